//! The machine, as far as it tells.

use crate::machine;
use candle_core::Device;
use serde::Serialize;
use std::fs::read_to_string;

/// Less memory than this is worth a warning, MiB.
const LITTLE: u64 = 2048;

/// What there is to compute with.
#[derive(Debug, Serialize)]
pub struct Host {
    /// Cores that this process may use.
    pub cores: usize,
    /// Threads of the pool.
    pub threads: usize,
    pub simd: &'static str,
    pub memory_mib: Option<u64>,
    pub available_mib: Option<u64>,
    /// Of the control group, where it has one.
    pub memory_limit_mib: Option<u64>,
    /// Cores' worth of time that the control group allows.
    pub cpu_limit: Option<f64>,
    /// Kinds of devices that this program was built for.
    pub built_for: Vec<&'static str>,
    pub device: String,
    pub warnings: Vec<String>,
}

impl Host {
    /// Looks around.
    pub fn look(device: &Device) -> Self {
        let built_for = [
            ("cpu", true),
            ("cuda", cfg!(feature = "cuda")),
            ("cudnn", cfg!(feature = "cudnn")),
            ("metal", cfg!(feature = "metal")),
        ];
        let mut host = Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            threads: rayon::current_num_threads(),
            simd: machine::simd(),
            memory_mib: memory("MemTotal:"),
            available_mib: memory("MemAvailable:"),
            memory_limit_mib: memory_limit(),
            cpu_limit: cpu_limit(),
            built_for: built_for.into_iter().filter(|(_, built)| *built).map(|(name, _)| name).collect(),
            device: match device {
                Device::Cpu => "cpu".into(),
                other => format!("{:?}", other.location()).to_lowercase(),
            },
            warnings: vec![],
        };
        host.warnings = host.warn();
        host
    }

    /// Memory that is left to this process, MiB.
    pub fn left_mib(&self) -> Option<u64> {
        [self.available_mib, self.memory_limit_mib].into_iter().flatten().min()
    }

    fn warn(&self) -> Vec<String> {
        let Self { cores, threads, .. } = self;
        let mut warnings = vec![];
        if threads < cores {
            warnings.push(format!("{threads} of {cores} cores are used: --threads {cores} uses them all"));
        }
        if threads > cores {
            warnings.push(format!("{threads} threads share {cores} cores: --threads {cores} is enough"));
        }
        if let Some(limit) = self.cpu_limit.filter(|limit| *limit < *threads as f64) {
            warnings.push(format!("the control group allows the time of {limit:.1} cores to {threads} threads"));
        }
        if let Some(left) = self.left_mib().filter(|left| *left < LITTLE) {
            warnings
                .push(format!("only {left} MiB of memory are left: keep train.cache_mb and train.batch_size small"));
        }
        if self.simd == "sse2" {
            warnings.push("the processor has no AVX2: the kernels run several times slower than they could".into());
        }
        warnings
    }
}

/// A line of `/proc/meminfo`, MiB.
fn memory(key: &str) -> Option<u64> {
    let text = read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}

/// The memory that the control group allows, of either version; none where it is more than anyone has.
fn memory_limit() -> Option<u64> {
    let limit =
        |folder: String, file: &str| read_to_string(format!("{folder}/{file}")).ok()?.trim().parse::<u64>().ok();
    let second = |own: &str| limit(format!("/sys/fs/cgroup{own}"), "memory.max");
    let first = |own: &str| limit(format!("/sys/fs/cgroup/memory{own}"), "memory.limit_in_bytes");
    // The group itself, and the root as a container sees it.
    let found = [second(&own_group("")), second(""), first(&own_group("memory")), first("")];
    found.into_iter().flatten().filter(|bytes| *bytes < 1 << 50).map(|bytes| bytes >> 20).min()
}

/// The path of this process's control group under `controller`; the second version has one without a name.
fn own_group(controller: &str) -> String {
    let text = read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut groups = text.lines().filter_map(|line| line.splitn(3, ':').skip(1).collect::<Vec<_>>().try_into().ok());
    let own = groups.find(|[names, _]: &[&str; 2]| names.split(',').any(|name| name == controller));
    own.map_or(String::new(), |[_, path]| path.trim_end_matches('/').to_string())
}

/// The cores' worth of time that the control group allows, of either version.
fn cpu_limit() -> Option<f64> {
    let pair = read_to_string("/sys/fs/cgroup/cpu.max").or_else(|_| {
        let part = |name: &str| read_to_string(format!("/sys/fs/cgroup/cpu/cpu.{name}"));
        Ok::<_, std::io::Error>(format!("{} {}", part("cfs_quota_us")?.trim(), part("cfs_period_us")?.trim()))
    });
    let pair = pair.ok()?;
    let mut numbers = pair.split_whitespace().map(str::parse::<f64>);
    let (quota, period) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

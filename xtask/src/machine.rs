//! Threads, device, and what `environment.json` says of the machine.

use crate::usage::Usage;
use anyhow::{Context, Result, bail};
use candle_core::Device;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Sets the size of the one thread pool and opens the device. Call once, before any work.
pub fn start(device: &str, threads: Option<u16>) -> Result<Device> {
    let device = self::device(device)?;
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Some(threads) = threads {
        pool = pool.num_threads(threads.into());
    }
    pool.build_global().context("cannot start the threads")?;
    Ok(device)
}

/// The device that `--device` names.
fn device(name: &str) -> Result<Device> {
    let number = |index: &str| index.parse::<usize>().context(Usage::command_line());
    match name {
        "cpu" => Ok(Device::Cpu),
        "auto" if cfg!(feature = "cuda") => cuda(0).or(Ok(Device::Cpu)),
        "auto" if cfg!(feature = "metal") => Device::new_metal(0).or(Ok(Device::Cpu)),
        "auto" => Ok(Device::Cpu),
        "cuda" => cuda(0),
        "metal" if cfg!(feature = "metal") => Ok(Device::new_metal(0)?),
        "metal" => missing("metal"),
        other => match other.strip_prefix("cuda:") {
            Some(index) => cuda(number(index)?),
            None => Err(Usage::command_line())
                .context(format!("unknown device '{other}', expected one of cpu, cuda, cuda:N, metal, auto")),
        },
    }
}

fn cuda(index: usize) -> Result<Device> {
    if !cfg!(feature = "cuda") {
        return missing("cuda");
    }
    // A library that is not there makes `cudarc` panic rather than fail; what it prints then is said better below.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    // One stream for all threads: on the default one, which is another for each thread, a batch could be used before the
    // loader's thread has copied it.
    let device = std::panic::catch_unwind(|| Device::new_cuda_with_stream(index));
    std::panic::set_hook(hook);
    match device {
        Ok(device) => Ok(device.context("cannot open the CUDA device; use --device cpu")?),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().and_then(|said| said.split(" - ").next());
            bail!("{}; is NVIDIA's driver installed? use --device cpu", said.unwrap_or("no CUDA driver was found"))
        }
    }
}

fn missing(feature: &str) -> Result<Device> {
    Err(Usage::command_line()).context(format!(
        "this program was built without {feature}; build it with --features {feature}, or use --device cpu"
    ))
}

/// Where programs of this user keep what can be made again.
pub fn caches() -> Option<PathBuf> {
    let set = std::env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    set.or_else(|| Some(std::env::home_dir()?.join(".cache")))
}

/// The instruction set that kernels find on this machine.
pub fn simd() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return "avx512";
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            return "avx2+fma";
        }
        "sse2"
    }
    #[cfg(target_arch = "aarch64")]
    {
        "neon"
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        "portable"
    }
}

/// Most memory that this process has held, MiB, where the system tells.
pub fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

/// What `environment.json` holds; the fingerprints are those of the data and of the folds.
pub fn environment(device: &Device, seed: u64, [data, folds]: [&str; 2]) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "git_commit": git_commit(),
        "os": std::env::consts::OS,
        "arch": std::env::consts::ARCH,
        "device": format!("{:?}", device.location()),
        "threads": rayon::current_num_threads(),
        "simd": simd(),
        "seed": seed,
        "data_fingerprint": data,
        "folds_fingerprint": folds,
    })
}

/// The commit that is checked out now where this program was built, if that is still there; `-dirty` where tracked files are
/// changed. The program itself may be older.
fn git_commit() -> Option<String> {
    // No tag counts, so that it is the whole hash.
    let git = ["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"];
    let output = std::process::Command::new("git").args(git).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_string())
}

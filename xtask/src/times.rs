//! Where the time of a run goes: seconds by stage, in `times.json`. For people only; no result depends on it.

use anyhow::{Context, Result};
use eval::Run;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

const FILE: &str = "times.json";

/// Seconds by stage, added up over all attempts of a run; of one that was killed those before its last checkpoint.
#[derive(Debug, Default)]
pub struct Times(Mutex<BTreeMap<String, f64>>);

impl Times {
    /// Adds what earlier attempts wrote.
    pub fn add_earlier(&self, run: &Run) -> Result<()> {
        if run.has(FILE) {
            let earlier: BTreeMap<String, f64> = serde_json::from_slice(&run.read(FILE)?)
                .with_context(|| format!("'{}' is broken; delete it", run.path(FILE).display()))?;
            earlier.iter().for_each(|(stage, seconds)| self.add(stage, *seconds));
        }
        Ok(())
    }

    /// Adds seconds to a stage.
    pub fn add(&self, stage: &str, seconds: f64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *all.entry(stage.into()).or_default() += seconds;
    }

    /// Does `work` and adds what it took.
    pub fn of<T>(&self, stage: &str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = work();
        self.add(stage, start.elapsed().as_secs_f64());
        done
    }

    /// Seconds of a stage so far.
    pub fn seconds(&self, stage: &str) -> f64 {
        self.all().get(stage).copied().unwrap_or(0.0)
    }

    /// All stages.
    pub fn all(&self) -> BTreeMap<String, f64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes `times.json`.
    pub fn write(&self, run: &Run) -> Result<()> {
        Ok(run.write(FILE, &serde_json::to_vec_pretty(&self.all())?)?)
    }
}

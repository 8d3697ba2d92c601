//! Weights and checkpoints on disk. A file is written beside its place, synced and renamed: killed at any moment, the old
//! or the new one is whole. Equal states give equal bytes.

use crate::error::{Error, Result};
use crate::params::variables;
use crate::precision::LossScale;
use candle_core::{Device, Tensor};
use candle_nn::VarMap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

/// The one metadata key: a map with several would be written in random order.
const STATE: &str = "state";

/// Tensors by name and one JSON text.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    /// Sorted by name.
    pub tensors: BTreeMap<String, Tensor>,
    /// Everything that is no tensor, as JSON.
    pub state: Option<String>,
}

impl Checkpoint {
    /// Writes the file; a crash leaves the old one or the new one.
    ///
    /// # Errors
    /// [`Error::Io`] names the file, for instance on a full or read-only disk.
    pub fn write(&self, path: &Path) -> Result<()> {
        let metadata = self.state.clone().map(|state| HashMap::from([(STATE.to_string(), state)]));
        let tensors: Vec<(&String, Tensor)> = self
            .tensors
            .iter()
            .map(|(name, t)| Ok((name, t.to_device(&Device::Cpu)?.contiguous()?)))
            .collect::<Result<_>>()?;
        let bytes = safetensors::serialize(tensors, metadata).map_err(|error| broken(path, &error.to_string()))?;
        write_atomic(path, &bytes)
    }

    /// Reads a file whole.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read, [`Error::Checkpoint`] when it is no checkpoint or cut off.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|source| Error::Io { doing: "read", path: path.into(), source })?;
        let unusable = |why: &dyn std::fmt::Display| {
            broken(path, &format!("{why}; it is cut off or no checkpoint, remove it to begin again"))
        };
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).map_err(|e| unusable(&e))?;
        let state = header.metadata().as_ref().and_then(|m| m.get(STATE)).cloned();
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).map_err(|e| unusable(&e))?;
        Ok(Self { tensors: tensors.into_iter().collect(), state })
    }

    /// Takes out the tensors whose names begin with `prefix`, without it.
    pub fn take(&mut self, prefix: &str) -> BTreeMap<String, Tensor> {
        let names: Vec<String> = self.tensors.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
        let tensors = names.into_iter().filter_map(|name| self.tensors.remove_entry(&name));
        tensors.map(|(name, t)| (name[prefix.len()..].to_string(), t)).collect()
    }
}

/// All variables of a network as they are now.
pub(crate) fn copies(vars: &VarMap) -> candle_core::Result<BTreeMap<String, Tensor>> {
    variables(vars).into_iter().map(|(name, var)| Ok((name, var.as_detached_tensor().copy()?))).collect()
}

/// Sets every variable of `vars` from `tensors`.
///
/// # Errors
/// [`Error::Checkpoint`] names the first variable that is missing, left over, or of another shape or type.
pub fn restore(vars: &VarMap, tensors: &BTreeMap<String, Tensor>, path: &Path) -> Result<()> {
    let variables = variables(vars);
    if let Some(name) = tensors.keys().find(|name| !variables.contains_key(*name)) {
        return Err(broken(
            path,
            &format!("it has '{name}', which this network does not have; is it another model's?"),
        ));
    }
    for (name, var) in &variables {
        let Some(tensor) = tensors.get(name) else {
            return Err(broken(path, &format!("'{name}' is missing; is it another model's?")));
        };
        if tensor.dims() != var.dims() || tensor.dtype() != var.dtype() {
            let (has, wants) = (tensor.shape(), var.shape());
            let why =
                format!("it has {name} {has:?} {:?}, the network wants {wants:?} {:?}", tensor.dtype(), var.dtype());
            return Err(broken(path, &why));
        }
    }
    for (name, var) in &variables {
        var.set(&tensors[name].to_device(var.device())?)?;
    }
    Ok(())
}

/// Sets every variable of `vars` from a weights file.
///
/// # Errors
/// As [`Checkpoint::read`] and [`restore`].
pub fn load_weights(path: &Path, vars: &VarMap) -> Result<()> {
    restore(vars, &Checkpoint::read(path)?.tensors, path)
}

/// Where training is; everything of it that is no tensor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Epochs done.
    pub epoch: usize,
    /// Optimizer steps done.
    pub step: usize,
    /// Batches done in the current epoch.
    pub batch: usize,
    /// Sum of the current epoch's losses so far, one a step.
    pub loss_sum: f64,
    /// How many losses that is.
    pub loss_count: usize,
    /// Steps of the current epoch that were not skipped.
    pub taken: usize,
    /// Epochs since one that was enough better.
    pub stale: usize,
    /// How many weights the averaged ones have seen.
    pub averaged: usize,
    /// How many they had seen in the good state that can be gone back to.
    pub averaged_when_good: usize,
    /// How many they had seen in the state that waits to be shown good.
    pub averaged_when_kept: usize,
    /// Losses seen before that state.
    pub seen_when_kept: usize,
    /// Snapshots taken.
    pub snapshots: usize,
    /// Losses seen in all epochs.
    pub seen: usize,
    /// Running average of the losses.
    pub usual: f64,
    /// Returns to a good state.
    pub rollbacks: usize,
    /// Of mixed precision.
    pub loss_scale: Option<LossScale>,
    /// Steps that were skipped, because their gradients were no numbers under the loss scale.
    pub skipped: usize,
    /// In how many pieces each batch passes, because memory is not enough for whole ones.
    pub pieces: usize,
    /// Pieces that memory has been enough for, 0 at first.
    pub fitting: usize,
    /// Whether training is over.
    pub finished: bool,
    /// One record an epoch.
    pub history: Vec<Record>,
    /// Index of the best epoch in `history`.
    pub best: Option<usize>,
    /// What the caller says must not change between saving and resuming.
    pub fingerprint: String,
}

/// One epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// 0-based.
    pub epoch: usize,
    /// Mean training loss.
    pub loss: f64,
    /// What validation said, if there was one.
    pub scores: Option<crate::event::Scores>,
}

pub(crate) fn broken(path: &Path, why: &str) -> Error {
    Error::Checkpoint { path: path.into(), why: why.into() }
}

/// Writes beside, syncs, renames, syncs the folder.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut builder = tempfile::Builder::new();
        // Others may read results: the file is as any new one, not private as temporary ones are.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        #[cfg(unix)]
        std::fs::File::open(folder)?.sync_all()?;
        Ok(())
    };
    write().map_err(|source| Error::Io { doing: "write", path: path.into(), source })
}

//! A trained fold on disk: everything that predicting needs beside the weights, as `fold<k>/model.json`.

use crate::assemble;
use crate::recipe::Spec;
use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarMap;
use data::Normalize;
use data::batch::Stats;
use data::decode::Color;
use data::tabular::Encoder;
use eval::Run;
use losses::Loss;
use models::{Network, NetworkConfig, init};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// How a fold's network is fed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Saved {
    /// Architecture.
    pub network: NetworkConfig,
    /// Class names in the order of the outputs.
    pub classes: Vec<String>,
    /// What pictures are turned into when they are decoded.
    pub color: Color,
    /// Deterministic transforms, the last one to the input size.
    pub steps: Vec<Spec>,
    /// Normalization.
    pub stats: Stats,
    /// The same where pictures or groups have their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalize: Option<Normalize>,
    /// Metadata as features.
    pub encoder: Encoder,
    /// Test-time views.
    pub views: augment::Views,
    /// What it was trained with: it knows which probabilities the outputs mean.
    pub loss: Spec,
    /// Whether a fold's predictions are those of its snapshots, averaged.
    pub ensemble: bool,
}

/// Digest of what the folds of the run in `folder` know and said.
pub fn digest(folder: &Path) -> Result<String> {
    let mut hash = blake3::Hasher::new();
    for fold in (0..).map(|fold| folder.join(format!("fold{fold}"))).take_while(|fold| fold.is_dir()) {
        let snapshots = (1..).map(|i| fold.join(format!("snapshot{i}.safetensors"))).take_while(|path| path.is_file());
        let others = ["weights.safetensors", "test.csv"].map(|name| fold.join(name)).into_iter();
        for file in snapshots.chain(others.filter(|path| path.is_file())) {
            let bytes = std::fs::read(&file).with_context(|| format!("cannot read '{}'", file.display()))?;
            hash.update(&(bytes.len() as u64).to_le_bytes()).update(&bytes);
        }
    }
    Ok(hash.finalize().to_hex()[..16].to_string())
}

/// Weights that a fold kept at the ends of cycles, in order.
pub fn snapshots(run: &Run, fold: usize) -> Vec<PathBuf> {
    let path = |i| run.path(&format!("fold{fold}/snapshot{i}.safetensors"));
    (1..).map(path).take_while(|path| path.is_file()).collect()
}

/// A network with its variables, and what its outputs mean.
pub struct Trained {
    pub network: Network,
    pub vars: VarMap,
    loss: Box<dyn Loss>,
}

impl Trained {
    /// Probabilities `[B, K]` of the classes, from what the network says.
    pub fn probabilities(&self, said: &Tensor) -> candle_core::Result<Tensor> {
        self.loss.probabilities(said)
    }
}

impl Saved {
    /// Reads `fold<k>/model.json`.
    pub fn read(run: &Run, fold: usize) -> Result<Self> {
        let name = format!("fold{fold}/model.json");
        let bytes = run.read(&name)?;
        serde_json::from_slice(&bytes).with_context(|| format!("'{}' is broken", run.path(&name).display()))
    }

    /// How many folds a finished run has.
    pub fn folds(run: &Run) -> Result<usize> {
        let folds = (0..).take_while(|fold| run.has(&format!("fold{fold}/weights.safetensors"))).count();
        match folds > 0 && run.has("metrics.json") {
            true => Ok(folds),
            false => bail!("'{}' holds no finished run; finish it with --resume", run.folder().display()),
        }
    }

    /// Writes `fold<k>/model.json`.
    pub fn write(&self, run: &Run, fold: usize) -> Result<()> {
        Ok(run.write(&format!("fold{fold}/model.json"), &serde_json::to_vec_pretty(self)?)?)
    }

    /// The network with fresh weights.
    pub fn build(&self, seed: u64, device: &Device) -> Result<Trained> {
        let vars = VarMap::new();
        let network = Network::new(&self.network, init::seeded(&vars, seed, DType::F32, device))?;
        let loss = losses::build(&self.loss.name, self.loss.value())?;
        Ok(Trained { network, vars, loss })
    }

    /// The network with the best weights of its fold.
    pub fn load(&self, run: &Run, fold: usize, device: &Device) -> Result<Trained> {
        let trained = self.build(0, device)?;
        train::checkpoint::load_weights(&run.path(&format!("fold{fold}/weights.safetensors")), &trained.vars)?;
        Ok(trained)
    }

    /// Files of the weights whose predictions are a fold's: the best ones, or the snapshots of all cycles.
    pub fn members(&self, run: &Run, fold: usize) -> Vec<PathBuf> {
        let snapshots = snapshots(run, fold);
        match self.ensemble && !snapshots.is_empty() {
            true => snapshots,
            false => vec![run.path(&format!("fold{fold}/weights.safetensors"))],
        }
    }

    /// The deterministic transforms.
    pub fn transform(&self) -> Result<assemble::Shared> {
        assemble::shared(&self.steps)
    }

    /// The last of them, for pictures that went through the others.
    pub fn fit(&self) -> Result<assemble::Shared> {
        assemble::shared(&self.steps[self.steps.len().saturating_sub(1)..])
    }
}

//! What makes training slow: the machine, the recipe, and the time of every stage on real pictures. Nothing is written.

mod advice;
mod host;
mod shown;
mod stages;
mod verdict;

pub use host::Host;

use crate::assemble::{self, Parts};
use crate::fold::Training;
use crate::pipeline::aside;
use crate::progress::Progress;
use crate::recipe::Recipe;
use crate::times::Times;
use anyhow::Result;
use candle_core::Device;
use stages::Pictures;
use std::sync::Arc;
use verdict::{Measured, Verdict};

/// Everything that was found out.
pub struct Diagnosis {
    host: Host,
    recipe: Recipe,
    /// Rows of all parts, and of those that fold 0 learns from and judges.
    rows: [usize; 3],
    classes: usize,
    /// Median width and height.
    sides: [usize; 2],
    decoded_mb: u64,
    pictures: Pictures,
    measured: Measured,
    verdict: Verdict,
    advice: Vec<String>,
}

/// Takes `recipe` through every stage; demo data go to a folder that nobody keeps.
pub fn examine(mut recipe: Recipe, parts: &Parts, device: &Device, progress: &Progress) -> Result<Diagnosis> {
    let host = Host::look(device);
    let temporary = tempfile::tempdir()?;
    let prepared = aside(&mut recipe, &temporary.path().join("run"), progress)?;
    progress.note("timing every stage: up to twenty seconds, longer for slow models");
    // Nothing is kept: each picture costs what it costs the first time.
    let pictures = assemble::prepared(&recipe, prepared.dataset.clone())?;
    let training = Training {
        recipe: &recipe,
        parts,
        prepared: &prepared,
        normalize: assemble::normalize(&recipe, &*pictures)?,
        pictures,
        device,
        progress,
        times: &Times::default(),
        interrupted: Arc::default(),
        fingerprint: String::new(),
        start: None,
        features: false,
    };
    let (measured, pictures) = stages::measure(&training, &training.fold(0)?)?;
    let verdict = measured.verdict();
    let (learned, judged) = prepared.split(0);
    let rows = [prepared.dataset.rows().len(), learned.len(), judged.len()];
    let facts =
        advice::Facts { recipe: &recipe, host: &host, pictures, rows: rows[0], measured: &measured, verdict: &verdict };
    let (decoded_mb, advice) = (facts.decoded_mb(), facts.advice());
    let sizes = &prepared.report.sizes;
    let (sides, classes) = ([sizes.width[1], sizes.height[1]], prepared.classes().len());
    Ok(Diagnosis { host, recipe, rows, classes, sides, decoded_mb, pictures, measured, verdict, advice })
}

//! `batch-find`: how large a batch may be, and from which size on larger ones are no faster.

use crate::args::BatchFindArgs;
use crate::budget;
use crate::doctor::Host;
use crate::fold::Training;
use crate::pipeline::{self, Session};
use crate::{machine, output};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::sync::Arc;

/// Share of the memory that is left which a batch may take.
const USABLE: f64 = 0.8;
/// Share of the highest speed that is enough.
const FAST: f64 = 0.95;

/// What one size of batch costs.
struct Row {
    batch: usize,
    images_per_s: f64,
    peak_mib: Option<u64>,
}

pub fn run(args: &BatchFindArgs) -> Result<()> {
    let common = &args.recipe.common;
    let recipe = pipeline::recipe(&args.recipe)?;
    let copies = recipe.train.repeat;
    let session = Session::new(recipe, common, || common.start())?;
    let (rows, end) = session.aside(|training| measure(training, args.most.into()))?;
    let best = rows.iter().map(|row| row.images_per_s).fold(0.0, f64::max);
    let enough = rows
        .iter()
        .find(|row| row.images_per_s >= FAST * best)
        .with_context(|| format!("no batch was tried, the smallest one is {}: {end}", smallest(copies)))?;
    let largest = rows.last().map_or(enough.batch, |row| row.batch);
    let table: Vec<Value> = rows
        .iter()
        .map(|row| json!({"batch": row.batch, "images_per_s": row.images_per_s, "peak_mib": row.peak_mib}))
        .collect();
    output::result(&match common.json {
        true => json!({"batch": enough.batch, "largest": largest, "ended": end, "sizes": table}).to_string(),
        false => {
            let line = |row: &Row| {
                let memory = row.peak_mib.map_or(String::new(), |mib| format!(", {mib} MiB at most"));
                format!("batch {:>5}: {:>9.1} pictures/s{memory}", row.batch, row.images_per_s)
            };
            let lines: Vec<String> = rows.iter().map(line).collect();
            format!(
                "{}\n{end}\nsuggested: --set train.batch_size={} (larger ones are at most {:.0} % faster; {largest} works as well)",
                lines.join("\n"),
                enough.batch,
                100.0 * (best / enough.images_per_s - 1.0)
            )
        }
    });
    Ok(())
}

/// The batch that is tried first.
fn smallest(copies: usize) -> usize {
    8usize.next_multiple_of(copies)
}

/// Whether a tensor found no room.
fn is_out_of_memory(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref().is_some_and(train::is_out_of_memory))
}

/// Doubles the batch until memory or pictures end; why it ended.
fn measure(training: &Training<'_>, most: usize) -> Result<(Vec<Row>, String)> {
    let before = machine::peak_mib().unwrap_or(0);
    let (mut rows, copies) = (vec![], training.recipe.train.repeat);
    let pictures = training.prepared.split(0).0.len() * copies;
    let mut batch = smallest(copies);
    loop {
        if batch > most || batch > pictures {
            let why = if batch > most { "as far as --most says" } else { "there are no more pictures" };
            return Ok((rows, why.into()));
        }
        let mut recipe = training.recipe.clone();
        recipe.train.batch_size = batch;
        // Steps of one batch each; nothing that depends on the number of steps matters here.
        recipe.train.accumulate = 1;
        let other = Training {
            recipe: &recipe,
            pictures: Arc::clone(&training.pictures),
            normalize: training.normalize.clone(),
            interrupted: Arc::clone(&training.interrupted),
            fingerprint: String::new(),
            ..*training
        };
        let seconds = match budget::try_step(&other, &other.fold(0)?) {
            Ok(seconds) => seconds.step,
            Err(error) if is_out_of_memory(&error) && !rows.is_empty() => {
                return Ok((rows, format!("batch {batch} does not fit into memory")));
            }
            Err(error) if is_out_of_memory(&error) => {
                let advice = "take smaller pictures (preprocess.size) or a smaller model";
                return Err(error.context(format!("not even a batch of {batch} fits into memory; {advice}")));
            }
            Err(error) => return Err(error),
        };
        let peak_mib = machine::peak_mib();
        rows.push(Row { batch, images_per_s: batch as f64 / seconds.max(1e-9), peak_mib });
        // Asking for too much would end the program rather than fail.
        let next = peak_mib.map_or(0, |peak| peak + peak.saturating_sub(before));
        let limit =
            Host::look(training.device).left_mib().map(|left| peak_mib.unwrap_or(0) + (USABLE * left as f64) as u64);
        if limit.is_some_and(|limit| next > limit) {
            return Ok((rows, format!("the next size would take about {next} MiB, more than there is")));
        }
        batch *= 2;
    }
}

//! `augment`: a contact sheet of what training will see, made by the loader that training uses.

mod contents;
mod replay;
mod shown;

use crate::args::AugmentArgs;
use crate::fold::Training;
use crate::pipeline::{self, aside, folder};
use crate::progress::Progress;
use crate::sheet::Layout;
use crate::times::Times;
use crate::usage::Usage;
use crate::{assemble, machine, output, prepare};
use anyhow::{Context, Result};
use contents::{Contents, MIXED_ROWS};
use data::Cached;
use eval::Run;
use replay::Replay;
use std::sync::Arc;

/// The name of the sheet.
const FILE: &str = "augment.png";

/// Draws the sheet and writes it.
pub fn run(args: &AugmentArgs) -> Result<()> {
    let common = &args.recipe.common;
    let mut recipe = pipeline::recipe(&args.recipe)?;
    let parts = assemble::parts(&mut recipe)?;
    prepare::check(&recipe)?;
    let (rows, epochs) = (usize::from(args.rows), usize::from(args.columns));
    let more = if parts.mixing.is_empty() { 0 } else { MIXED_ROWS };
    if args.sample.is_none() {
        Layout::new(recipe.preprocess.size, 1 + epochs, rows, more).context(Usage::command_line())?;
    }
    let out = folder(common, &format!("{}-augment", recipe.name));
    if out.join("recipe.toml").is_file() {
        let message = format!("'{}' holds a run; choose another folder with --out", out.display());
        return Err(Usage::new(message).into());
    }
    let device = machine::start(&common.device, common.threads)?;
    let progress = Progress::new(common.quiet);
    let temporary = tempfile::tempdir()?;
    let prepared = aside(&mut recipe, &temporary.path().join("run"), &progress)?;
    let pictures = Cached::new(assemble::prepared(&recipe, prepared.dataset.clone())?, recipe.train.cache_mb);
    let training = Training {
        recipe: &recipe,
        parts: &parts,
        prepared: &prepared,
        normalize: assemble::normalize(&recipe, &pictures)?,
        pictures: Arc::new(pictures),
        device: &device,
        times: &Times::default(),
        progress: &progress,
        interrupted: Arc::default(),
        fingerprint: String::new(),
        start: None,
        features: false,
    };
    let file = out.join(FILE);
    let (sheet, size, json, lines) = match &args.sample {
        Some(id) => {
            let replay = Replay::of(&training, id, epochs)?;
            let (sheet, size) = replay.sheet(recipe.preprocess.size).context(Usage::command_line())?;
            (sheet, size, replay.json(recipe.seed, &file, size), replay.lines(recipe.seed))
        }
        None => {
            let contents = Contents::gather(&training, rows, epochs)?;
            let (sheet, size) = contents.sheet(recipe.preprocess.size)?;
            (sheet, size, contents.json(&file, size), contents.lines(&recipe))
        }
    };

    std::fs::create_dir_all(&out).with_context(|| format!("cannot create '{}'", out.display()))?;
    Run::open(&out)?.write(FILE, &sheet.png()?)?;
    match common.json {
        true => output::result(&json.to_string()),
        false => {
            let [width, height] = size;
            lines.iter().for_each(|line| output::result(line));
            output::result(&format!("the sheet is {} ({width}×{height} pixels)", file.display()));
        }
    }
    Ok(())
}

//! `augment`: a contact sheet of what training will see, made by the loader that training uses.

mod contents;
mod shown;

use crate::args::{AugmentArgs, RunArgs};
use crate::fold::Training;
use crate::pipeline::{self, draw, folder};
use crate::prepare::{self, Prepared};
use crate::progress::Progress;
use crate::recipe::Recipe;
use crate::sheet::Layout;
use crate::times::Times;
use crate::usage::Usage;
use crate::{assemble, machine, output};
use anyhow::{Context, Result};
use contents::{Contents, MIXED_ROWS};
use data::Cached;
use eval::Run;
use std::path::Path;
use std::sync::Arc;

/// The name of the sheet.
const FILE: &str = "augment.png";

/// Draws the sheet and writes it.
pub fn run(args: &AugmentArgs) -> Result<()> {
    let mut recipe = recipe(args)?;
    let parts = assemble::parts(&mut recipe)?;
    prepare::check(&recipe)?;
    let (rows, epochs) = (usize::from(args.rows), usize::from(args.columns));
    let more = if parts.mixing.is_empty() { 0 } else { MIXED_ROWS };
    Layout::new(recipe.preprocess.size, 1 + epochs, rows, more).context(Usage::command_line())?;
    let out = folder(&args.common, &format!("{}-augment", recipe.name));
    if out.join("recipe.toml").is_file() {
        let message = format!("'{}' holds a run; choose another folder with --out", out.display());
        return Err(Usage::new(message).into());
    }
    let device = machine::start(&args.common.device, args.common.threads)?;
    let progress = Progress::new(args.common.quiet);
    let temporary = tempfile::tempdir()?;
    let prepared = read(&mut recipe, &temporary.path().join("run"), &progress)?;
    let training = Training {
        recipe: &recipe,
        parts: &parts,
        prepared: &prepared,
        pictures: Arc::new(Cached::new(prepared.dataset.clone(), recipe.train.cache_mb)),
        device: &device,
        times: &Times::default(),
        progress: &progress,
        interrupted: Arc::default(),
        fingerprint: String::new(),
    };
    let contents = Contents::gather(&training, rows, epochs)?;
    let (sheet, [width, height]) = contents.sheet(recipe.preprocess.size)?;

    std::fs::create_dir_all(&out).with_context(|| format!("cannot create '{}'", out.display()))?;
    let run = Run::open(&out)?;
    run.write(FILE, &sheet.png()?)?;
    match args.common.json {
        true => output::result(&contents.json(&run.path(FILE), [width, height]).to_string()),
        false => {
            contents.lines(&recipe).iter().for_each(|line| output::result(line));
            output::result(&format!("the sheet is {} ({width}×{height} pixels)", run.path(FILE).display()));
        }
    }
    Ok(())
}

/// The recipe as `pipeline` would take it.
fn recipe(args: &AugmentArgs) -> Result<Recipe> {
    let AugmentArgs { recipe, data, demo, common, .. } = args.clone();
    pipeline::recipe(&RunArgs { recipe, data, demo, common, resume: false, max_minutes: None, dry_run: false })
}

/// Rows and folds; demo data are drawn into `folder`, which nobody keeps.
fn read(recipe: &mut Recipe, folder: &Path, progress: &Progress) -> Result<Prepared> {
    let demo = if recipe.data.demo { Some(draw(recipe, folder, progress)?.path("demo-data")) } else { None };
    let collection = prepare::open(recipe, demo.as_deref())?;
    let report = prepare::look(&collection, &recipe.data.drop_labels, progress)?;
    progress.note(&prepare::headline(&report));
    prepare::prepare(recipe, &collection, report, progress)
}

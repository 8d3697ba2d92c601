//! `eda`: the data report alone.

use crate::args::EdaArgs;
use crate::pipeline::{draw, folder, with_options};
use crate::place::forget;
use crate::progress::Progress;
use crate::recipe::Recipe;
use crate::usage::Usage;
use crate::{assemble, machine, output, prepare, report};
use anyhow::{Context, Result};
use eval::Run;
use std::path::Path;

pub fn run(args: &EdaArgs) -> Result<()> {
    let mut recipe = recipe(args)?;
    assemble::parts(&mut recipe)?;
    prepare::check(&recipe)?;
    machine::start(&args.common.device, args.common.threads)?;
    let progress = Progress::new(args.common.quiet);
    let out = folder(&args.common, &format!("{}-eda", recipe.name));
    if out.join("recipe.toml").is_file() {
        let message =
            format!("'{}' holds a run, which has a report already; choose another folder with --out", out.display());
        return Err(Usage::new(message).into());
    }
    let drawn = if recipe.data.demo { Some(draw(&recipe, &out, &progress)?) } else { None };
    let demo = drawn.as_ref().map(|run| run.path("demo-data"));
    let opened = prepare::find(&mut recipe, demo.as_deref());
    let collection = opened.inspect_err(|_| {
        if drawn.is_some() {
            forget(&out)
        }
    })?;
    let report = prepare::look(&collection, &recipe, !args.no_decode, &progress)?;
    std::fs::create_dir_all(&out).with_context(|| format!("cannot create '{}'", out.display()))?;
    let run = Run::open(&out)?;
    run.write("eda.json", &serde_json::to_vec_pretty(&report)?)?;
    run.write("eda.html", report::data_page(&recipe.name, &report, &collection).to_html().as_bytes())?;
    if args.common.json {
        output::result(&serde_json::to_string(&report)?);
        return Ok(());
    }
    output::result(&prepare::headline(&report));
    for warning in &report.warnings {
        output::result(&format!("warning: {warning}"));
    }
    output::result(&format!("the report is {}", run.path("eda.html").display()));
    Ok(())
}

/// A recipe by its name or file; anything else is data for the default recipe.
fn recipe(args: &EdaArgs) -> Result<Recipe> {
    let path = Path::new(&args.what);
    // A bare word that is no file may be a misspelt recipe; a path is data.
    let is_word = !path.exists() && path.components().count() == 1;
    let is_recipe = path.extension().is_some_and(|e| e == "toml") || is_word;
    if is_recipe {
        return with_options(&args.what, &args.common);
    }
    let mut recipe = with_options("default", &args.common)?;
    recipe.data.params.insert("path".into(), args.what.clone().into());
    recipe.name = path.file_stem().map_or("data".into(), |name| name.to_string_lossy().into_owned());
    Ok(recipe)
}

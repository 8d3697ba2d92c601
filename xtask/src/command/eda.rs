//! `eda`: the data report alone.

use crate::args::EdaArgs;
use crate::pipeline::{folder, with_options};
use crate::progress::Progress;
use crate::recipe::Recipe;
use crate::{machine, output, prepare};
use anyhow::{Context, Result};
use eval::Run;
use std::path::Path;

pub fn run(args: &EdaArgs) -> Result<()> {
    let mut recipe = recipe(args)?;
    prepare::check(&recipe)?;
    machine::start(&args.common.device, args.common.threads)?;
    let progress = Progress::new(args.common.quiet);
    let out = folder(&args.common, &format!("{}-eda", recipe.name));
    std::fs::create_dir_all(&out).with_context(|| format!("cannot create '{}'", out.display()))?;
    let run = Run::open(&out)?;
    let demo = recipe.data.demo.then(|| run.path("demo-data"));
    if let (Some(folder), Some(demo)) = (&demo, &recipe.demo) {
        demo.write(folder, recipe.seed)?;
    }
    let collection = prepare::open(&mut recipe, demo.as_deref())?;
    let report = prepare::look(&collection, &recipe.data.drop_labels, &progress)?;
    run.write("eda.json", &serde_json::to_vec_pretty(&report)?)?;
    if args.common.json {
        output::result(&serde_json::to_string(&report)?);
        return Ok(());
    }
    output::result(&prepare::headline(&report));
    for warning in &report.warnings {
        output::result(&format!("warning: {warning}"));
    }
    output::result(&format!("the report is {}", run.path("eda.json").display()));
    Ok(())
}

/// A recipe by its name or file; anything else is data for the default recipe.
fn recipe(args: &EdaArgs) -> Result<Recipe> {
    let path = Path::new(&args.what);
    let is_recipe = path.extension().is_some_and(|e| e == "toml") || !path.exists();
    if is_recipe {
        return with_options(&args.what, &args.common);
    }
    let mut recipe = with_options("default", &args.common)?;
    recipe.data.params.insert("path".into(), args.what.clone().into());
    recipe.name = path.file_stem().map_or("data".into(), |name| name.to_string_lossy().into_owned());
    Ok(recipe)
}

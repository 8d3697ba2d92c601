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
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// What the report in a folder is of.
const ASKED: &str = "eda.toml";

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
    if args.dry_run {
        return try_out(&mut recipe, &progress, args.common.json);
    }
    // The page is written last.
    let is_whole = out.join("eda.json").is_file() && out.join("eda.html").is_file();
    let draws = recipe.data.demo && !(args.resume && is_whole);
    if draws {
        draw(&recipe, &out, &progress)?;
    }
    let demo = recipe.data.demo.then(|| out.join("demo-data"));
    let opened = prepare::find(&mut recipe, demo.as_deref());
    let collection = opened.inspect_err(|_| {
        if draws {
            forget(&out)
        }
    })?;
    let asked = format!("# eda{}\n{}", if args.no_decode { " --no-decode" } else { "" }, recipe.text()?);
    if args.resume && is_whole {
        return taken(&out, &asked, args.common.json);
    }
    let report = prepare::look(&collection, &recipe, !args.no_decode, &progress)?;
    std::fs::create_dir_all(&out).with_context(|| format!("cannot create '{}'", out.display()))?;
    let run = Run::open(&out)?;
    run.write(ASKED, asked.as_bytes())?;
    run.write("eda.json", &serde_json::to_vec_pretty(&report)?)?;
    run.write("eda.html", report::data_page(&recipe.name, &report, &collection).to_html().as_bytes())?;
    if args.common.json {
        output::result(&serde_json::to_string(&report)?);
        return Ok(());
    }
    say(&prepare::headline(report.images, &report.classes), &report.warnings, &out)
}

/// `--resume`: says again what the report in `out` says, if it is of what is `asked` now.
fn taken(out: &Path, asked: &str, json: bool) -> Result<()> {
    if std::fs::read_to_string(out.join(ASKED)).is_ok_and(|then| then != asked) {
        let message =
            format!("'{}' is a report of other data, or by another recipe; leave --resume away", out.display());
        return Err(Usage::new(message).into());
    }
    output::note(&format!("'{}' is finished already", out.display()));
    let bytes = Run::open(out)?.read("eda.json")?;
    let broken = || format!("'{}' is broken; leave --resume away", out.join("eda.json").display());
    if json {
        output::result(&serde_json::from_slice::<Value>(&bytes).with_context(broken)?.to_string());
        return Ok(());
    }
    let Short { images, classes, warnings } = serde_json::from_slice(&bytes).with_context(broken)?;
    say(&prepare::headline(images, &classes), &warnings, out)
}

/// What is printed of a report.
#[derive(Deserialize)]
struct Short {
    images: usize,
    classes: BTreeMap<String, usize>,
    warnings: Vec<String>,
}

fn say(headline: &str, warnings: &[String], out: &Path) -> Result<()> {
    output::result(headline);
    warnings.iter().for_each(|warning| output::result(&format!("warning: {warning}")));
    output::result(&format!("the report is {}", out.join("eda.html").display()));
    Ok(())
}

/// `--dry-run`: the data are opened and some pictures decoded; nothing stays on disk.
fn try_out(recipe: &mut Recipe, progress: &Progress, json: bool) -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let drawn = if recipe.data.demo { Some(draw(recipe, &temporary.path().join("run"), progress)?) } else { None };
    let collection = prepare::find(recipe, drawn.as_ref().map(|run| run.path("demo-data")).as_deref())?;
    let some = collection.files.iter().take(32).map(|file| (collection.read)(&file.path));
    let (good, broken): (Vec<_>, Vec<_>) = some.partition(Result::is_ok);
    let (rows, files, tried) = (collection.dataset.rows().len(), collection.files.len(), good.len() + broken.len());
    output::result(&match json {
        true => json!({"rows": rows, "files": files, "tried": tried, "decoded": good.len()}).to_string(),
        false => format!(
            "{rows} rows, {files} files; of the first {tried} files {} can be decoded; nothing was written",
            good.len()
        ),
    });
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

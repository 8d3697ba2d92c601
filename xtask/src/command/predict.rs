//! `predict`: what a finished run says of pictures.

use crate::args::PredictArgs;
use crate::pictures::{Pictures, as_any, below, file};
use crate::progress::Progress;
use crate::recipe::{Data, Recipe};
use crate::saved::Saved;
use crate::{machine, output, predict};
use anyhow::{Context, Result, bail};
use data::Dataset;
use data::source::{Alone, PICTURES, Reader};
use eval::{Predictions, Run, ensemble};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub fn run(args: &PredictArgs) -> Result<()> {
    let run = Run::open(&args.run)?;
    let device = machine::start(&args.device.device, args.device.threads)?;
    let progress = Progress::new(args.device.quiet);
    let folds = Saved::folds(&run)?;
    let first = Saved::read(&run, 0)?;
    let (dataset, broken) = pictures(&run, &args.images, &first)?;
    if let Some(data::Normalize::PerGroup { .. }) = first.normalize {
        output::warning(
            "which group a picture is of is not known here: all are normalized as those of a group never seen",
        );
    }
    let mut said = vec![];
    for fold in 0..folds {
        let saved = Saved::read(&run, fold)?;
        let network = saved.build(0, &device)?;
        let loader = predict::loader(&saved, dataset.clone(), 32, &device)?;
        let stretch = progress.stretch(&format!("fold {}/{folds}", fold + 1), dataset.rows().len() as u64, "pictures");
        let done = |pictures: usize| stretch.at(pictures as u64);
        said.push(predict::members(&network, &saved, &saved.members(&run, fold), &loader, done)?);
    }
    let text = shown(&ensemble::mean(&said)?, args.json)?;
    match &args.out {
        Some(path) => write(path, text.as_bytes())?,
        None => output::result(text.trim_end()),
    }
    match broken {
        0 => Ok(()),
        n => bail!("{n} pictures could not be read and have no prediction"),
    }
}

/// The pictures that `paths` name, as the data of `run` were read, those of a folder as one sample where the network sees several;
/// and how many of them cannot be read: each is warned of.
pub(super) fn pictures(run: &Run, paths: &[PathBuf], saved: &Saved) -> Result<(Arc<dyn Dataset>, usize)> {
    let (read, is_one) = reader(run, saved)?;
    let (paths, broken) = readable(list(paths, is_one)?, &read);
    for (path, why) in &broken {
        output::warning(&format!("'{path}' is left out: {why}"));
    }
    if paths.is_empty() {
        bail!("none of the {} pictures can be read", broken.len());
    }
    let pictures = Pictures::new(paths, saved.classes.clone(), read);
    // Slices of a volume are no pictures of their own.
    let by_folder = saved.network.views > 1 && is_one.is_some() && pictures.image(0)?.depth() == 1;
    let dataset: Arc<dyn Dataset> = if by_folder { Arc::new(pictures.by_folder()?) } else { Arc::new(pictures) };
    Ok((dataset, broken.len()))
}

/// Whether a file is a picture, by its name; `None`: a folder is one.
type IsOne = Option<fn(&Path) -> bool>;

/// What decodes files as the data of `run` were, and which files are such.
fn reader(run: &Run, saved: &Saved) -> Result<(Reader, IsOne)> {
    let text = String::from_utf8(run.read("recipe.toml")?).context("recipe.toml is no text")?;
    let Data { source, mut params, .. } = Recipe::parse(&text, "recipe.toml")?.data;
    // Those of demo data have none.
    params.entry("path").or_insert_with(|| ".".into());
    if source == "synthetic" {
        params.remove("path");
    }
    match data::source::alone(&source, Value::Object(params))? {
        Alone::Picture => Ok((as_any(saved.color), Some(is_picture))),
        Alone::Read { read, is_one } => Ok((read, is_one)),
        Alone::Nothing => bail!(
            "no file is a picture of source '{source}' by itself; put what is to be predicted beside the data as their test part"
        ),
    }
}

fn is_picture(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| PICTURES.contains(&ending.as_str()))
}

/// Every picture that `paths` name, folders with all below them.
fn list(paths: &[PathBuf], is_one: IsOne) -> Result<Vec<PathBuf>> {
    let mut found = vec![];
    for path in paths {
        let metadata = std::fs::metadata(path).with_context(|| format!("cannot read '{}'", path.display()))?;
        match is_one {
            Some(is_one) if metadata.is_dir() => {
                let pictures = below(path, &|name| is_one(Path::new(name)))?;
                if pictures.is_empty() {
                    bail!("no files as those that the run learned from are below '{}'", path.display());
                }
                found.extend(pictures);
            }
            _ => found.push(path.clone()),
        }
    }
    Ok(found)
}

/// Pictures that decode, and the others with the reason.
fn readable(paths: Vec<PathBuf>, read: &Reader) -> (Vec<PathBuf>, Vec<(String, String)>) {
    use rayon::prelude::*;
    let check = |path: &PathBuf| -> Result<(), String> {
        if !path.is_file() && !path.is_dir() {
            return Err("it is no regular file".into());
        }
        match file(read, path) {
            Ok(_) => Ok(()),
            Err(data::Error::Decode { why, .. }) => Err(why),
            Err(other) => Err(other.to_string()),
        }
    };
    let checked: Vec<_> = paths.par_iter().map(check).collect();
    let (mut good, mut broken) = (vec![], vec![]);
    for (path, result) in paths.into_iter().zip(checked) {
        match result {
            Ok(()) => good.push(path),
            Err(why) => broken.push((path.display().to_string(), why)),
        }
    }
    (good, broken)
}

/// CSV, or a JSON object a line: id, class, probabilities.
fn shown(said: &Predictions, lines: bool) -> Result<String> {
    if !lines {
        return Ok(String::from_utf8(said.to_csv()?)?);
    }
    let mut text = String::new();
    for (i, id) in said.ids.iter().enumerate() {
        let probabilities: serde_json::Map<_, _> =
            said.classes.iter().cloned().zip(said.row(i).iter().map(|p| json!(p))).collect();
        let class = &said.classes[said.best(i)];
        text.push_str(&json!({"id": id, "class": class, "probabilities": probabilities}).to_string());
        text.push('\n');
    }
    Ok(text)
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().with_context(|| format!("'{}' is no file name", path.display()))?;
    Ok(Run::open(folder)?.write(&name.to_string_lossy(), bytes)?)
}

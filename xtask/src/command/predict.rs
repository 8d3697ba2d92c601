//! `predict`: what a finished run says of pictures.

use crate::args::PredictArgs;
use crate::pictures::{Pictures, below};
use crate::progress::Progress;
use crate::saved::Saved;
use crate::{machine, output, predict};
use anyhow::{Context, Result, bail};
use data::Dataset;
use data::decode::{Color, decode};
use data::source::PICTURES;
use eval::{Predictions, Run, ensemble};
use serde_json::json;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub fn run(args: &PredictArgs) -> Result<()> {
    let run = Run::open(&args.run)?;
    let device = machine::start(&args.device.device, args.device.threads)?;
    let progress = Progress::new(args.device.quiet);
    let folds = Saved::folds(&run)?;
    let first = Saved::read(&run, 0)?;
    let (dataset, broken) = pictures(&args.images, &first)?;
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

/// The pictures that `paths` name, those of a folder as one sample where the network sees several; and how many of them cannot
/// be read: each is warned of.
pub(super) fn pictures(paths: &[PathBuf], saved: &Saved) -> Result<(Arc<dyn Dataset>, usize)> {
    let (paths, broken) = readable(list(paths)?, saved.color);
    for (path, why) in &broken {
        output::warning(&format!("'{path}' is left out: {why}"));
    }
    if paths.is_empty() {
        bail!("none of the {} pictures can be read", broken.len());
    }
    let pictures = Pictures::new(paths, saved.classes.clone(), saved.color);
    let dataset: Arc<dyn Dataset> =
        if saved.network.views > 1 { Arc::new(pictures.by_folder()?) } else { Arc::new(pictures) };
    Ok((dataset, broken.len()))
}

/// Every picture that `paths` name, folders with all below them.
fn list(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let is_picture = |ending: &OsStr| ending.to_str().is_some_and(|ending| PICTURES.contains(&ending));
    let mut found = vec![];
    for path in paths {
        let metadata = std::fs::metadata(path).with_context(|| format!("cannot read '{}'", path.display()))?;
        match metadata.is_dir() {
            true => {
                let pictures = below(path, &|name| Path::new(name).extension().is_some_and(is_picture))?;
                if pictures.is_empty() {
                    bail!("no pictures ({}) are below '{}'", PICTURES.join(", "), path.display());
                }
                found.extend(pictures);
            }
            false => found.push(path.clone()),
        }
    }
    Ok(found)
}

/// Pictures that decode, and the others with the reason.
fn readable(paths: Vec<PathBuf>, color: Color) -> (Vec<PathBuf>, Vec<(String, String)>) {
    use rayon::prelude::*;
    let check = |path: &PathBuf| -> Result<(), String> {
        if !path.is_file() {
            return Err("it is no regular file".into());
        }
        let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
        match decode(&path.display().to_string(), &bytes, color) {
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

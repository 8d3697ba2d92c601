//! `bench loader`: JPEG files to normalized batches, by the loader that training uses.

use crate::args::LoaderArgs;
use crate::{machine, output};
use anyhow::{Context, Result, bail};
use augment::{Pipeline, Transform};
use data::decode::{Color, decode};
use data::{Dataset, Error, Image, Loader, LoaderConfig, Part, Row, Shuffled};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Pictures of a batch, as the peer's.
const BATCH: usize = 64;
/// Epochs; their median is the answer.
const EPOCHS: usize = 3;

/// Times the epochs and prints their speed.
pub fn run(args: &LoaderArgs) -> Result<()> {
    machine::start("cpu", args.threads)?;
    let files = Files::below(&args.data)?;
    let images = files.rows.len();
    let transforms = json!([
        {"name": "random_resized_crop", "size": args.size},
        "flip",
        {"name": "color_jitter", "brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.0},
    ]);
    let pipeline: Pipeline = serde_json::from_value(transforms)?;
    let config = LoaderConfig { batch_size: BATCH, ..LoaderConfig::default() };
    let loader =
        Loader::new(Arc::new(files), Shuffled, config).with_transform(move |image, rng| pipeline.apply(image, rng));
    let mut speeds = vec![];
    for epoch in 0..EPOCHS {
        let start = Instant::now();
        for batch in loader.epoch(epoch) {
            batch?;
        }
        speeds.push(images as f64 / start.elapsed().as_secs_f64());
    }
    speeds.sort_by(f64::total_cmp);
    let described = json!({
        "images": images,
        "size": args.size,
        "threads": rayon::current_num_threads(),
        "images_per_s": speeds[EPOCHS / 2],
        "best_images_per_s": speeds[EPOCHS - 1],
    });
    output::result(&described.to_string());
    Ok(())
}

/// Files that are read and decoded each time.
struct Files {
    paths: Vec<PathBuf>,
    rows: Vec<Row>,
}

impl Files {
    /// All JPEG files below `folder` that hold something, sorted.
    fn below(folder: &Path) -> Result<Self> {
        let mut paths = vec![];
        walk(folder, &mut paths, &mut BTreeSet::new())?;
        paths.sort();
        if paths.is_empty() {
            bail!(
                "there are no JPEG files (*.jp*g) below '{}'; name a folder of pictures with --data",
                folder.display()
            );
        }
        let row = |path: &PathBuf| {
            let id = path.display().to_string();
            Row { id, part: Part::Train, target: None, group: None, meta: vec![] }
        };
        Ok(Self { rows: paths.iter().map(row).collect(), paths })
    }
}

impl Dataset for Files {
    fn rows(&self) -> &[Row] {
        &self.rows
    }
    fn classes(&self) -> &[String] {
        &[]
    }
    fn image(&self, index: usize) -> data::Result<Image> {
        let path = &self.paths[index];
        let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.clone(), source })?;
        Ok(decode(&self.rows[index].id, &bytes, Color::Rgb)?.image)
    }
}

/// Adds the files below `folder` to `paths`; links are followed, but never in a circle.
fn walk(folder: &Path, paths: &mut Vec<PathBuf>, seen: &mut BTreeSet<PathBuf>) -> Result<()> {
    let unreadable = || format!("cannot read the folder '{}'; name a folder of pictures with --data", folder.display());
    if !seen.insert(std::fs::canonicalize(folder).with_context(unreadable)?) {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let Ok(metadata) = std::fs::metadata(&path) else { continue };
        match metadata.is_dir() {
            _ if name.starts_with('.') => {}
            true => walk(&path, paths, seen)?,
            false if is_jpeg(&name) && metadata.len() > 0 => paths.push(path),
            false => {}
        }
    }
    Ok(())
}

/// `*.jp*g`, in lower case.
fn is_jpeg(name: &str) -> bool {
    name.find(".jp").is_some_and(|at| name[at + 3..].ends_with('g'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_jpeg_files() {
        assert!(["a.jpg", "a.jpeg", "b.c.jpg", "a.jpxg"].iter().all(|name| is_jpeg(name)));
        assert!(["a.jp", "a.png", "jpg", "a.jpe"].iter().all(|name| !is_jpeg(name)));
    }
}

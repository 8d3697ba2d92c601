//! `bench loader`: JPEG files to normalized batches, by the loader that training uses.

use crate::args::LoaderArgs;
use crate::pictures::{Pictures, as_any, below};
use crate::{machine, output};
use anyhow::{Result, bail};
use augment::{Draw, Pipeline, Transform};
use data::decode::Color;
use data::{Loader, LoaderConfig, Shuffled};
use serde_json::json;
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
    let files = files(&args.data)?;
    let images = files.len();
    let transforms = json!([
        {"name": "random_resized_crop", "size": args.size},
        "flip",
        {"name": "color_jitter", "brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.0},
    ]);
    let pipeline: Pipeline = serde_json::from_value(transforms)?;
    let config = LoaderConfig { batch_size: BATCH, ..LoaderConfig::default() };
    let loader = Loader::new(Arc::new(Pictures::new(files, vec![], as_any(Color::Rgb))), Shuffled, config)
        .with_transform(move |image, rng| pipeline.apply(image, &mut Draw::of(rng)));
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

/// All JPEG files below `folder` that hold something.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = below(folder, &is_jpeg)?;
    paths.retain(|path| std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0));
    match paths.is_empty() {
        true => bail!(
            "there are no JPEG files (*.jp*g) below '{}'; name a folder of pictures with --data",
            folder.display()
        ),
        false => Ok(paths),
    }
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

//! `explain`: what a finished run sees in pictures, as a page.

use super::predict::pictures;
use crate::args::ExplainArgs;
use crate::explained::Eye;
use crate::progress::Progress;
use crate::saved::Saved;
use crate::{machine, output, predict, prepare, report};
use anyhow::{Context, Result, bail};
use candle_core::Device;
use data::Dataset;
use eval::report::page::{Block, Page, Picture, Section};
use eval::{Predictions, Run, ensemble};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The page's name, where nobody gives another.
const FILE: &str = "explain.html";

pub fn run(args: &ExplainArgs) -> Result<()> {
    let run = Run::open(&args.run)?;
    let place = place(&run, args.out.as_deref())?;
    let device = machine::start(&args.device.device, args.device.threads)?;
    let progress = Progress::new(args.device.quiet);
    let folds = Saved::folds(&run)?;
    let (section, broken) = match args.images.is_empty() {
        true => (hardest(&run, args, &device, &progress)?, 0),
        false => given(&run, folds, args, &device)?,
    };
    let name = run.folder().file_name().map_or("run".into(), |name| name.to_string_lossy().into_owned());
    let lead = "Where the network looked: bright places speak for the class (Grad-CAM).".into();
    let page = Page { title: format!("{name}: explained"), lead, figures: vec![], sections: vec![section] };
    let html = page.to_html();
    super::predict::write(&place, html.as_bytes())?;
    output::result(&format!("open {}", place.display()));
    match broken {
        0 => Ok(()),
        n => bail!("{n} pictures could not be read and are not explained"),
    }
}

/// Where the page goes: into a file, or into a folder under its own name. Looked at before minutes are spent on it.
fn place(run: &Run, out: Option<&Path>) -> Result<PathBuf> {
    let place = match out {
        Some(out) if out.is_dir() => out.join(FILE),
        Some(out) => out.to_path_buf(),
        None => run.path(FILE),
    };
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        bail!("'{}' cannot be written: there is no folder '{}'", place.display(), folder.display());
    }
    if place.is_dir() {
        bail!("'{}' cannot be written: it is a folder", place.display());
    }
    Ok(place)
}

/// The pictures that cost the run most, as its report shows them.
fn hardest(run: &Run, args: &ExplainArgs, device: &Device, progress: &Progress) -> Result<Section> {
    let (_, _, prepared) = prepare::again(run, args.data.as_deref(), progress)?;
    let text = String::from_utf8(run.read("oof.csv")?).context("oof.csv is no text")?;
    let oof = Predictions::from_csv(&text).with_context(|| format!("'{}'", run.path("oof.csv").display()))?;
    report::hard(run, &prepared, &oof, device)
}

/// Pictures from anywhere: what all folds say together, and where the first one looked. Also how many cannot be read.
fn given(run: &Run, folds: usize, args: &ExplainArgs, device: &Device) -> Result<(Section, usize)> {
    let first = Saved::read(run, 0)?;
    let (dataset, broken) = pictures(run, &args.images, &first)?;
    let mut said = vec![];
    for fold in 0..folds {
        let Eye { saved, trained, .. } = &Eye::open(run, fold, device)?;
        let loader = predict::loader(saved, dataset.clone(), 32, device)?;
        said.push(predict::all(trained, &loader, &saved.classes, saved.views, |_| ())?);
    }
    let said = ensemble::mean(&said)?;
    let eye = Eye::open(run, 0, device)?;
    let blocks =
        vec![Block::Gallery((0..said.len()).map(|i| picture(&eye, &dataset, &said, i)).collect::<Result<_>>()?)];
    let about = "The picture, then where the most probable class was seen, then the next one; probabilities are the mean of \
                 all folds, heat is that of the first; the picture is unchanged where no part speaks for the class.";
    Ok((Section { title: "Pictures".into(), about: about.into(), blocks }, broken))
}

/// A picture with its two most probable classes.
fn picture(eye: &Eye<'_>, dataset: &Arc<dyn Dataset>, said: &Predictions, i: usize) -> Result<Picture> {
    let row = said.row(i);
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
    order.truncate(2);
    let seen = eye.look(dataset, i, &order)?;
    Ok(Picture {
        images: std::iter::once(seen.picture).chain(seen.heat).collect(),
        name: said.ids[i].clone(),
        lines: order.iter().map(|&class| format!("{} ({:.3})", said.classes[class], row[class])).collect(),
    })
}

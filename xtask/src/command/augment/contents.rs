//! What is on the sheet.

use crate::fold::{Fold, Step, Training};
use crate::predict;
use crate::saved::Saved;
use crate::sheet::{Layout, Sheet};
use anyhow::{Context, Result, anyhow};
use candle_core::{DType, Device, Tensor};
use data::rng::{stream, sub_seed};
use data::{Image, Row, Stats, Subset};
use rand::seq::SliceRandom;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most rows that a mixed batch takes.
pub const MIXED_ROWS: usize = 2;
/// Batches among which a mixed one is looked for: chance may leave some as they are.
const PATIENCE: usize = 16;
/// Largest share of one class that looks mixed.
const VISIBLE: f32 = 0.9;

/// What is on the sheet.
pub struct Contents {
    /// Training rows of fold 0, by class.
    pub rows: Vec<Row>,
    /// Of each row the picture as evaluation sees it, then as epochs 0, 1, … do.
    pub pictures: Vec<Vec<Image>>,
    /// A batch after batch mixing, where the recipe has some.
    pub mixed: Option<Mixed>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Pictures of a sample.
    pub views: usize,
}

/// The first pictures of a mixed batch.
pub struct Mixed {
    /// Which batch of epoch 0.
    pub batch: usize,
    /// Whether one can see that it is mixed.
    pub visible: bool,
    /// Of the pictures that the others were mixed into.
    pub ids: Vec<String>,
    /// Shares of the classes of each.
    pub targets: Vec<Vec<f32>>,
    pub images: Vec<Image>,
}

impl Contents {
    /// Asks the loader of fold 0 for `count` rows and `epochs` epochs.
    pub fn gather(training: &Training<'_>, count: usize, epochs: usize) -> Result<Self> {
        let fold = training.fold(0)?;
        let learned = training.prepared.split(0).0;
        // Behind them come rows with pseudo-labels, some of them several times.
        let known = &fold.train.rows()[..learned.len()];
        let chosen = choose(known, count, sub_seed(training.recipe.seed, "sheet"));
        let indices = chosen.iter().map(|&row| learned[row]).collect();
        let judged = Arc::new(Subset::new(training.pictures.clone(), indices));
        let evaluation = predict::prepared(&fold.saved, judged, 1, training.device)?;
        let row = |(i, &row): (usize, &usize)| -> data::Result<Vec<Image>> {
            let first = std::iter::once_with(|| evaluation.sample(0, i));
            let all = first.chain((0..epochs).map(|epoch| fold.train.sample(epoch, row)));
            all.map(|seen| middle(seen?)).collect()
        };
        let pictures = chosen.par_iter().enumerate().map(|(i, chosen)| row((i, chosen)));
        let mixed = match training.parts.mixing.is_empty() {
            true => None,
            false => Some(Mixed::of(&fold, training, MIXED_ROWS * epochs)?),
        };
        Ok(Self {
            pictures: pictures.collect::<Result<_, _>>()?,
            rows: chosen.iter().map(|&row| fold.train.rows()[row].clone()).collect(),
            mixed,
            classes: fold.saved.classes,
            views: fold.saved.network.views,
        })
    }

    /// The sheet of pictures of `side`, and its width and height. A mixed batch lies below the epochs.
    pub fn sheet(&self, side: usize) -> Result<(Sheet, [usize; 2])> {
        let epochs = self.epochs();
        let mixed = self.mixed.iter().flat_map(|mixed| &mixed.images);
        let layout = Layout::new(side, 1 + epochs, self.rows.len(), mixed.clone().count().div_ceil(epochs))?;
        let mut sheet = Sheet::new(layout);
        for (row, pictures) in self.pictures.iter().enumerate() {
            for (column, picture) in pictures.iter().enumerate() {
                sheet.put(row, column, picture)?;
            }
        }
        for (i, picture) in mixed.enumerate() {
            sheet.put(self.rows.len() + i / epochs, 1 + i % epochs, picture)?;
        }
        Ok((sheet, layout.size()))
    }
}

/// The middle one of the pictures of a sample, or of the slices of a volume.
fn middle(mut seen: Vec<Image>) -> data::Result<Image> {
    let one = seen.swap_remove(seen.len() / 2);
    one.slice(one.depth() / 2)
}

/// Rows spread over the classes, in their order: as many of each class as can be, drawn by `seed`.
fn choose(rows: &[Row], count: usize, seed: u64) -> Vec<usize> {
    let mut members = BTreeMap::<Option<u32>, Vec<usize>>::new();
    for (i, row) in rows.iter().enumerate() {
        members.entry(row.class()).or_default().push(i);
    }
    let mut members: Vec<Vec<usize>> = members.into_values().collect();
    for (class, members) in members.iter_mut().enumerate() {
        members.shuffle(&mut stream(seed, 0, class as u64));
    }
    let mut chosen = vec![];
    while chosen.len() < count.min(rows.len()) {
        members.retain(|members| !members.is_empty());
        let (open, wanted) = (members.len(), members.len().min(count - chosen.len()));
        chosen.extend((0..wanted).filter_map(|i| members[i * open / wanted].pop()));
    }
    chosen.sort_by_key(|&row| (rows[row].class(), row));
    chosen
}

impl Mixed {
    /// The first batch of epoch 0 that one can see is mixed, else the first of all; at most `count` pictures of it.
    fn of(fold: &Fold, training: &Training<'_>, count: usize) -> Result<Self> {
        let mut first = None;
        for (batch, step) in fold.first_steps(training.parts).take(PATIENCE).enumerate() {
            let mixed = Self::from(step.map_err(|error| anyhow!(error))?, batch, &fold.saved, count)?;
            if mixed.visible {
                return Ok(mixed);
            }
            first.get_or_insert(mixed);
        }
        first.context("there is no batch to train on")
    }

    fn from(step: Step, batch: usize, saved: &Saved, count: usize) -> Result<Self> {
        let count = count.min(step.batch.ids.len());
        let targets: Vec<Vec<f32>> = step.targets.narrow(0, 0, count)?.to_vec2()?;
        let is_mixed = |shares: &Vec<f32>| shares.iter().all(|share| *share <= VISIBLE);
        Ok(Self {
            batch,
            visible: targets.iter().any(is_mixed),
            ids: step.batch.ids.into_iter().take(count).collect(),
            targets,
            images: pictures(&flat(&step.batch.images.narrow(0, 0, count)?, saved.network.views)?, &saved.stats)?,
        })
    }
}

/// The middle pictures `[B, C, H, W]` of `[B, V, C, H, W]`, or slices of `[B, C, D, H, W]`.
fn flat(images: &Tensor, views: usize) -> Result<Tensor> {
    let axis = if views > 1 { 1 } else { 2 };
    Ok(match images.rank() {
        5 => images.narrow(axis, images.dim(axis)? / 2, 1)?.squeeze(axis)?,
        _ => images.clone(),
    })
}

/// Pictures from normalized `[B, C, H, W]`.
fn pictures(images: &Tensor, stats: &Stats) -> Result<Vec<Image>> {
    let (_, channels, height, width) = images.dims4()?;
    let values = images.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.permute((0, 2, 3, 1))?;
    let level = |(i, value): (usize, &f32)| {
        let c = i % channels;
        ((value * stats.std[c] + stats.mean[c]) * 255.0).round().clamp(0.0, 255.0) as u8
    };
    let picture = |values: &[f32]| {
        Image::new(width, height, channels, values.iter().enumerate().map(level).collect()).map_err(Into::into)
    };
    values.flatten_all()?.to_vec1::<f32>()?.chunks_exact(channels * height * width).map(picture).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::Target;

    #[test]
    fn rows_are_spread_over_the_classes() {
        let row = |class: usize| Row { target: Some(Target::Class(class as u32)), ..Row::default() };
        let rows: Vec<Row> = (0..100).map(|i| row(if i < 90 { i % 9 } else { 9 })).collect();
        let classes =
            |count: usize| choose(&rows, count, 1).iter().map(|&i| rows[i].class().unwrap()).collect::<Vec<_>>();
        assert_eq!(classes(5), [0, 2, 4, 6, 8]);
        assert_eq!(classes(10), (0..10).collect::<Vec<_>>());
        assert_eq!(classes(12), [0, 0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9]);
        assert_eq!(classes(1000).len(), 100);
        assert_ne!(choose(&rows, 5, 1), choose(&rows, 5, 2));
        assert!(choose(&[], 5, 1).is_empty());
    }

    #[test]
    fn normalized_pictures_become_the_same_again() {
        let images: Vec<Image> =
            (0..2u8).map(|n| Image::new(16, 8, 2, (0..=255).map(|v| v ^ n).collect())).map(Result::unwrap).collect();
        let stats = Stats { mean: vec![0.485, 0.1], std: vec![0.229, 0.05] };
        let tensor = data::batch::stack(&images, &stats, &Device::Cpu).unwrap();
        assert_eq!(pictures(&tensor, &stats).unwrap(), images);
    }
}

//! One picture on its way through the transforms, step by step, with what was drawn.

use crate::fold::Training;
use crate::sheet::{Layout, Sheet};
use crate::usage::Usage;
use anyhow::{Context, Result, anyhow};
use augment::geometry::{Fit, Resize};
use augment::{Draw, Step, Transform};
use data::{Image, Row};
use serde_json::{Value, json};
use std::path::Path;

/// A picture as some epochs change it.
pub struct Replay {
    row: Row,
    fold: usize,
    /// Of each epoch the picture before and after every step.
    epochs: Vec<(Image, Vec<Step>)>,
}

impl Replay {
    /// The sample `id` in the first `epochs` epochs of the first fold that trains on it.
    pub fn of(training: &Training<'_>, id: &str, epochs: usize) -> Result<Self> {
        let prepared = training.prepared;
        let rows = prepared.dataset.rows();
        let trained = |&fold: &usize| prepared.split(fold).0.iter().any(|&row| rows[row].id == id);
        let fold = (0..prepared.trained_folds).find(trained).ok_or_else(|| {
            let why = match rows.iter().any(|row| row.id == id) {
                true => "is not trained on: it belongs to the test part or judges",
                false => "is none of this data set; folds.csv of a run has the ids",
            };
            anyhow!("'{id}' {why}").context(Usage::command_line())
        })?;
        let loader = training.fold(fold)?.train;
        let row = loader.rows().iter().position(|row| row.id == id).with_context(|| format!("'{id}' is gone"))?;
        let steps = &training.parts.training.get(&training.recipe.preprocess.size).context("no such side")?.steps;
        // As it lies there: the deterministic steps are among those shown.
        let read = rows.iter().position(|row| row.id == id).with_context(|| format!("'{id}' is gone"))?;
        let image = prepared.dataset.image(read)?;
        let seen = |epoch: usize| -> Result<(Image, Vec<Step>)> {
            let mut stream = loader.first_stream(epoch, row);
            let mut draw = Draw::of(&mut stream).recording();
            steps.apply(image.clone(), &mut draw);
            Ok((image.clone(), draw.into_steps()))
        };
        let epochs = (0..epochs).map(seen).collect::<Result<Vec<_>>>()?;
        Ok(Self { row: loader.rows()[row].clone(), fold, epochs })
    }

    /// Columns of the sheet: the picture as it was read, then after every step of the longest epoch.
    pub fn columns(&self) -> usize {
        1 + self.epochs.iter().map(|(_, steps)| steps.len()).max().unwrap_or(0)
    }

    /// A row for each epoch, every picture fitted to `side`.
    pub fn sheet(&self, side: usize) -> Result<(Sheet, [usize; 2])> {
        let layout = Layout::new(side, self.columns(), self.epochs.len(), 0)?;
        let mut sheet = Sheet::new(layout);
        for (row, (first, steps)) in self.epochs.iter().enumerate() {
            let pictures = std::iter::once(first).chain(steps.iter().filter_map(|step| step.image.as_ref()));
            for (column, picture) in pictures.enumerate() {
                sheet.put(row, column, &fitted(picture, side)?)?;
            }
        }
        Ok((sheet, layout.size()))
    }

    /// All of it as one object.
    pub fn json(&self, seed: u64, file: &Path, [width, height]: [usize; 2]) -> Value {
        let epoch = |(epoch, (_, steps)): (usize, &(Image, Vec<Step>))| {
            let step = |step: &Step| {
                let drawn: serde_json::Map<String, Value> = numbered(&step.drawn).into_iter().collect();
                let size = step.image.as_ref().map(|image| [image.width(), image.height(), image.channels()]);
                json!({"name": step.name, "depth": step.depth, "drawn": drawn, "size": size})
            };
            json!({"epoch": epoch + 1, "steps": steps.iter().map(step).collect::<Vec<_>>()})
        };
        json!({
            "file": file, "width": width, "height": height, "id": self.row.id, "seed": seed, "fold": self.fold + 1,
            "epochs": self.epochs.iter().enumerate().map(epoch).collect::<Vec<_>>(),
        })
    }

    /// A line for every step.
    pub fn lines(&self, seed: u64) -> Vec<String> {
        let mut lines = vec![format!("'{}' with seed {seed} in fold {}", self.row.id, self.fold + 1)];
        for (epoch, (first, steps)) in self.epochs.iter().enumerate() {
            lines.push(format!("epoch {}: {}×{} pixels", epoch + 1, first.width(), first.height()));
            lines.extend(steps.iter().map(|step| {
                let drawn: Vec<String> =
                    numbered(&step.drawn).iter().map(|(name, value)| format!("{name} {}", short(value))).collect();
                format!("  {}{}  {}", "  ".repeat(step.depth), step.name, drawn.join(", ")).trim_end().to_string()
            }));
        }
        lines.push("columns: the picture as it was read, then after each step; rows: epochs".into());
        lines
    }
}

/// What was drawn several times under one name gets numbers.
fn numbered(drawn: &[(&'static str, Value)]) -> Vec<(String, Value)> {
    let before = |i: usize| drawn[..i].iter().filter(|(name, _)| *name == drawn[i].0).count();
    let named = |(i, (name, value)): (usize, &(&str, Value))| match before(i) {
        0 => (name.to_string(), value.clone()),
        n => (format!("{name} {}", n + 1), value.clone()),
    };
    drawn.iter().enumerate().map(named).collect()
}

/// Four digits are enough to read.
fn short(value: &Value) -> String {
    match value {
        Value::Number(number) if number.is_f64() => {
            let rounded = (number.as_f64().unwrap_or_default() * 1e4).round() / 1e4;
            rounded.to_string()
        }
        other => other.to_string(),
    }
}

/// The middle slice in a square of `side`, stripes beside it.
fn fitted(image: &Image, side: usize) -> Result<Image> {
    let image = image.slice(image.depth() / 2)?;
    let fit = Resize { size: side, mode: Fit::Letterbox, ..Resize::default() };
    Ok(fit.apply(image, &mut Draw::of(&mut data::Stream::new(0, 0, 0))))
}

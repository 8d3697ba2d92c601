//! What is said of the sheet: it has no text itself.

use super::contents::{Contents, Mixed};
use crate::recipe::Recipe;
use data::{Image, Row};
use serde_json::{Map, Value, json};
use std::path::Path;

impl Contents {
    /// All of it as one object.
    pub fn json(&self, file: &Path, [width, height]: [usize; 2]) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(|row| json!({"id": row.id, "class": self.class(row)})).collect();
        let mixed = |mixed: &Mixed| {
            let shares = |i: usize| -> Map<String, Value> {
                self.shares(&mixed.targets[i]).map(|(class, share)| (class.clone(), json!(share))).collect()
            };
            let picture = |(i, id): (usize, &String)| json!({"id": id, "target": shares(i)});
            let pictures: Vec<Value> = mixed.ids.iter().enumerate().map(picture).collect();
            json!({"batch": mixed.batch, "pictures": pictures})
        };
        json!({
            "file": file, "width": width, "height": height, "channels": self.channels(), "epochs": self.epochs(),
            "rows": rows, "mixed": self.mixed.as_ref().map(mixed),
        })
    }

    /// A line per row, and how to read the sheet.
    pub fn lines(&self, recipe: &Recipe) -> Vec<String> {
        let wide = self.rows.iter().filter_map(|row| self.class(row)).map(|class| class.chars().count()).max();
        let wide = wide.unwrap_or(0);
        let row = |(i, row): (usize, &Row)| {
            format!("row {:2}  {:wide$}  {}", i + 1, self.class(row).unwrap_or_default(), row.id)
        };
        let mut lines: Vec<String> = self.rows.iter().enumerate().map(row).collect();
        let last = match self.epochs() {
            1 => "epoch 1 trains".to_string(),
            epochs => format!("epochs 1 to {epochs} train"),
        };
        lines.push(format!("first column: as evaluation sees it; then as {last} on it in fold 1"));
        if let Some(mixed) = &self.mixed {
            let names: Vec<&str> = recipe.augment.batch.iter().map(|spec| spec.name.as_str()).collect();
            let unseen = if mixed.visible { "" } else { ", which chance left as it is" };
            let (names, batch) = (names.join(" and "), mixed.batch + 1);
            lines.push(format!("below: the start of batch {batch} of epoch 1 after {names}{unseen}"));
            lines.extend((0..mixed.ids.len()).map(|i| self.mixture(mixed, i)));
        }
        if self.views > 1 {
            lines.push(format!("of the {} pictures of a sample the middle one is shown", self.views));
        }
        match self.channels() {
            0 | 1 | 3 => {}
            2 => lines.push("the pictures have 2 channels; the first is shown".into()),
            channels => lines.push(format!(
                "the pictures have {channels} channels; the first three are shown as red, green and blue"
            )),
        }
        lines
    }

    /// Picture `i` of a mixed batch in words.
    fn mixture(&self, mixed: &Mixed, i: usize) -> String {
        // Tiny shares are there, but not to be seen.
        let seen = self.shares(&mixed.targets[i]).filter(|(_, share)| *share >= 0.005);
        let shares: Vec<String> = seen.map(|(class, share)| format!("{class} {share:.2}")).collect();
        let (row, column) = (i / self.epochs() + 1, i % self.epochs() + 1);
        format!("  {row}.{column}  {}", shares.join(" + "))
    }

    /// Classes that have a share.
    fn shares<'a>(&'a self, target: &'a [f32]) -> impl Iterator<Item = (&'a String, f32)> {
        self.classes.iter().zip(target.iter().copied()).filter(|(_, share)| *share > 0.0)
    }

    fn class(&self, row: &Row) -> Option<&str> {
        row.class().map(|class| self.classes[class as usize].as_str())
    }

    fn channels(&self) -> usize {
        self.pictures.first().and_then(|row| row.first()).map_or(0, Image::channels)
    }

    /// Epochs shown of each row.
    pub fn epochs(&self) -> usize {
        self.pictures.first().map_or(1, |row| row.len() - 1)
    }
}

//! Rows of a table of features, which become pictures whose pixels are features.

use super::csv::{names, one_or_several};
use super::files::Tree;
use super::records::Records;
use super::sheet::{Head, Roles, Sheets, enter, find_tables, undecoded};
use super::{Alone, Collection, Reader, Source, Stamper};
use crate::convert::tabular::Reduction;
use crate::convert::{DeepInsight, tsne};
use crate::decode::{Color, Decoded};
use crate::error::{Error, Result};
use crate::image::Image;
use crate::impute::median;
use crate::labels::Labels;
use crate::row::Part;
use crate::table::{Lines, is_missing};
use csv::StringRecord;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A table with a header whose rows are samples and whose columns are features. Each row is a picture by [`DeepInsight`]: every
/// feature has a pixel, and those that go together lie together.
///
/// Where features lie, how they are scaled and what stands in for missing values is learned from the features of the training
/// part, once for all folds: never from a label, and never from a row of the validation or test part. So within the training part
/// the placement has seen the features, not the labels, of rows that later judge, as it has where pyDeepInsight is fitted before
/// cross-validation. The same table gives the same pictures.
///
/// It is learned from up to 8,192 rows of the training part, evenly spaced ones of more, each time the table is opened: on a machine
/// of another kind features may lie elsewhere in the last digit. What is kept of a row afterwards is where it begins.
///
/// | field | default | range |
/// |---|---|---|
/// | `path` | required | the table, or a folder with it |
/// | `table` | found | table of the training part, relative to the folder |
/// | `test_table` | found beside it | table of the test part |
/// | `features` | found | columns of numbers; else all that say nothing else and begin with a thousand rows of numbers |
/// | `deep_insight` | 120 by 120, tsne, min_max | how features are placed and rows drawn ([`DeepInsight`]) |
/// | `missing` | refuse | of missing values: refuse, or median, that of the feature in the training part |
/// | `label` | found | a column, or several |
/// | `target` | class | what the labels are ([`Labels`]): class, multi_label, ordinal, distribution, regression |
/// | `id` | found | a column called `id`; else the number of the row in its table, from 1 |
/// | `part` | found | column that says what a row is for, one called `Usage` where it does: train, val or test |
/// | `group` | none | column whose values never sit in two folds |
/// | `meta` | none | columns that join the network's head: numbers or categories; they are no features |
/// | `color` | gray | gray; rgb: the channel is repeated, for networks that were trained on colors |
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tabular {
    /// The root, or the table in it.
    pub path: PathBuf,
    /// Table of the training part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Table of the test part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_table: Option<String>,
    /// Columns of the features.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "names")]
    pub features: Vec<String>,
    /// How features are placed and rows drawn.
    #[serde(default)]
    pub deep_insight: DeepInsight,
    /// What becomes of missing values.
    #[serde(default)]
    pub missing: Empty,
    /// Columns of the label.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "names",
        serialize_with = "one_or_several"
    )]
    pub label: Vec<String>,
    /// What the labels are.
    #[serde(default, skip_serializing_if = "Labels::is_plain")]
    pub target: Labels,
    /// Column of the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Column that says which part a row is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Column of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Columns of metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meta: Vec<String>,
    /// What pictures are turned into.
    #[serde(default = "gray")]
    pub color: Color,
}

/// What becomes of missing values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Empty {
    /// They are an error.
    #[default]
    Refuse,
    /// The median of the feature in the training part stands in for them.
    Median,
}

/// Most rows, and most values of all of them, that features are placed and scaled by.
const LEARNED: usize = 8192;
const LEARNED_VALUES: usize = 1 << 26;
/// Rows that are looked at to tell which columns are features.
const LOOKED: usize = 1000;

fn gray() -> Color {
    Color::Gray
}

impl Source for Tabular {
    fn open(&mut self) -> Result<Collection> {
        enter(&mut self.path, &mut self.table);
        let tree = Tree::walk(&self.path)?;
        find_tables(&tree, &mut self.table, &mut self.test_table)?;
        let table = self.table.clone().unwrap_or_default();
        let path = self.path.join(&table);
        let wrong = |why: String| Error::Table { path: path.clone(), why };
        let mut own = head(&path)?;
        own.numbers = own.columns(&path, "features", &self.features)?;
        let roles = self.roles(&path, &own)?;
        let warning = self.find_features(&path, &mut own, &roles)?;
        let (mut sheets, mut learned) = (Sheets::new("tabular"), vec![]);
        let most = LEARNED.min(LEARNED_VALUES / own.numbers.len().max(1)).max(64);
        let (mut trained, mut every) = (0usize, 1usize);
        let empty = self.missing;
        let place = (self.path.as_path(), table.as_str());
        let mut records = sheets.read(place, &own, &roles, Part::Train, &mut |record, row| {
            let values = values(row, &own, empty)?;
            if record.part == Part::Train {
                if trained % every == 0 {
                    learned.push(values);
                }
                trained += 1;
                if learned.len() > most {
                    // Every other one of them: those left are as far apart as those to come.
                    every *= 2;
                    let mut nth = 0;
                    learned.retain(|_| {
                        nth += 1;
                        nth % 2 == 1
                    });
                }
            }
            Ok(())
        })?;
        let mut heads = vec![own];
        if let Some(test) = &self.test_table {
            let at = self.path.join(test);
            let other = head(&at)?.with_numbers_of(&heads[0], &at)?;
            let place = (self.path.as_path(), test.as_str());
            let see = &mut |_: &_, row: &StringRecord| values(row, &other, empty).map(drop);
            records.extend(sheets.read(place, &other, &roles, Part::Test, see)?);
            heads.push(other);
        }
        if learned.is_empty() {
            return Err(wrong("no row of it is of the training part, from which features are placed".into()));
        }
        if self.deep_insight.reduction == Reduction::Tsne && self.features.len() > tsne::MOST {
            let (count, most) = (self.features.len(), tsne::MOST);
            return Err(wrong(format!(
                "t-SNE places at most {most} features, and there are {count}; set data.deep_insight.reduction = \"pca\", or name fewer \
                 in data.features"
            )));
        }
        let medians = medians(&mut learned);
        let layout = self.deep_insight.fit(&learned).map_err(|error| wrong(error.to_string()))?;
        drop(learned);
        // Every picture depends on the training part's table, where features have their places from.
        let (color, own, all) = (self.color, sheets.stamper(), format!("{table}/"));
        let stamp: Stamper = Arc::new(move |path| Some(own(path)? + &own(&all)?));
        let read: Reader = Arc::new(move |name| {
            let row = sheets.find(name)?;
            let wrong = |why: String| undecoded(name, row.line, &why);
            let mut values = values(&row.cells, &heads[row.sheet], empty).map_err(wrong)?;
            fill(&mut values, &medians);
            let image = layout.image(&values).map_err(|error| wrong(error.to_string()))?;
            let image = match color {
                Color::Gray => image,
                Color::Rgb => {
                    let pixels = image.pixels().iter().flat_map(|&level| [level; 3]).collect();
                    Image::new(image.width(), image.height(), 3, pixels)?
                }
            };
            Ok(Decoded { image, format: "tabular", stored_channels: 1, is_deep: false })
        });
        let (columns, meta) = (self.label.clone(), self.meta.clone());
        let records = Records { columns, meta, records, unowned: vec![], read, stamp };
        let mut found = records.collect(&self.target, &path)?;
        found.warnings.extend(warning);
        let sample_submission = tree.sample_submission().map(|table| tree.root.join(table));
        Ok(Collection { sample_submission, ..found })
    }

    fn alone(&self) -> Alone {
        Alone::Nothing
    }
}

impl Tabular {
    /// What the columns are that are no features, which is written down.
    fn roles(&mut self, path: &Path, head: &Head) -> Result<Roles> {
        let mut roles = Roles {
            label: self.label.clone(),
            kind: self.target.kind,
            id: self.id.clone(),
            part: self.part.clone(),
            group: self.group.clone(),
            meta: self.meta.clone(),
        };
        roles.find(path, head)?;
        (self.label, self.id, self.part) = (roles.label.clone(), roles.id.clone(), roles.part.clone());
        Ok(roles)
    }

    /// The columns of the features; says which columns are left out because they hold something else than numbers.
    fn find_features(&mut self, path: &Path, head: &mut Head, roles: &Roles) -> Result<Option<String>> {
        if !self.features.is_empty() {
            if let Some(taken) = self.features.iter().find(|name| roles.takes(name)) {
                return Err(Error::Invalid(format!(
                    "data.features: '{taken}' is a label, id, part, group or metadata, too"
                )));
            }
            return Ok(None);
        }
        let mut is_number = vec![true; head.names.len()];
        let mut lines = Lines::open(path)?;
        lines.next_line()?;
        for _ in 0..LOOKED {
            let Some(line) = lines.next_line()? else { break };
            for (is_number, cell) in is_number.iter_mut().zip(line.cells) {
                *is_number &= number(cell).is_some();
            }
        }
        let free = (0..head.names.len()).filter(|&column| !roles.takes(&head.names[column]));
        let (numbers, words): (Vec<usize>, Vec<usize>) = free.partition(|&column| is_number[column]);
        if numbers.is_empty() {
            let why = "no column is left that holds numbers, the features; say which with data.features";
            return Err(Error::Table { path: path.into(), why: why.into() });
        }
        self.features = numbers.iter().map(|&column| head.names[column].clone()).collect();
        head.numbers = numbers;
        Ok(words.first().map(|&first| {
            let (count, first) = (words.len(), &head.names[first]);
            format!("{count} columns hold something else than numbers and are no features, as '{first}'; data.meta takes them")
        }))
    }
}

/// The columns of the table at `path`.
fn head(path: &Path) -> Result<Head> {
    let wrong = |why: &str| Error::Table { path: path.into(), why: why.into() };
    let mut lines = Lines::open(path)?;
    let first = lines.next_line()?.ok_or_else(|| wrong("it is empty; expected a header line"))?;
    match first.cells.iter().all(|cell| cell.parse::<f32>().is_ok()) {
        true => Err(wrong("it has no header; its first line must name the columns")),
        false => Head::titled(path, first.cells),
    }
}

/// The number of a cell, NaN where it is missing.
fn number(cell: &str) -> Option<f32> {
    let value = cell.parse().ok().filter(|value: &f32| value.is_finite());
    if is_missing(cell) { Some(f32::NAN) } else { value }
}

/// The features of a row, NaN where they are missing.
fn values(row: &StringRecord, head: &Head, empty: Empty) -> Result<Vec<f32>, String> {
    let value = |&column: &usize| {
        let (cell, name) = (row.get(column).unwrap_or_default(), &head.names[column]);
        match number(cell) {
            None => Err(format!(
                "column '{name}' holds '{cell}', which is no number; take it out of data.features, data.meta takes categories"
            )),
            Some(value) if value.is_nan() && empty == Empty::Refuse => Err(format!(
                "column '{name}' holds no value; fill it in, set data.missing = \"median\", or take it out of data.features"
            )),
            Some(value) => Ok(value),
        }
    };
    head.numbers.iter().map(value).collect()
}

/// The median of every feature, 0 where it has no value, which then stands in for what is missing in `rows`.
fn medians(rows: &mut [Vec<f32>]) -> Vec<f32> {
    let median = |feature: usize| {
        median(rows.iter().map(|row| row[feature]).filter(|value| !value.is_nan()).collect()).unwrap_or(0.0)
    };
    let medians: Vec<f32> = (0..rows.first().map_or(0, Vec::len)).map(median).collect();
    rows.iter_mut().for_each(|row| fill(row, &medians));
    medians
}

fn fill(row: &mut [f32], medians: &[f32]) {
    row.iter_mut().zip(medians).filter(|(value, _)| value.is_nan()).for_each(|(value, median)| *value = *median);
}

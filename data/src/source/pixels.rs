//! Pictures written as numbers into a table.

use super::csv::{names, one_or_several};
use super::files::{Tree, is_sample};
use super::records::Records;
use super::sheet::{Head, Roles, Sheets, enter, is_test, undecoded};
use super::{Collection, Reader, Source};
use crate::decode::{Color, Decoded, luma};
use crate::error::{Error, Result};
use crate::image::Image;
use crate::labels::Labels;
use crate::row::Part;
use crate::table::Lines;
use csv::StringRecord;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A table whose rows are pictures: a column for each pixel, as Kaggle's Digit Recognizer and Sign Language MNIST come
/// (`label,pixel0,pixel1,…`, with a header or without), or one column of numbers with blanks between them, as FER2013 comes
/// (`emotion,pixels,Usage`). Values are whole numbers from 0 to 255.
///
/// The table is gone through once; what is kept of a row is where it begins, and its numbers are read when its picture is asked
/// for. A row of another number of cells is an error; a number that is no pixel makes a picture that cannot be decoded.
///
/// | field | default | range |
/// |---|---|---|
/// | `path` | required | the table, or a folder with it |
/// | `table` | found | table of the training part, relative to the folder |
/// | `test_table` | found beside it | table of the test part |
/// | `pixels` | found | the column that holds all numbers; else they are the columns of one name with a number behind it |
/// | `shape` | a square | `[height, width]` or `[height, width, channels]` |
/// | `order` | hwc | of three or more channels: hwc, a pixel's values stand together, or chw, a channel's do |
/// | `label` | found | a column, or several; without a header the first column is called `label` |
/// | `target` | class | what the labels are ([`Labels`]): class, multi_label, ordinal, distribution, regression |
/// | `id` | found | a column called `id` or `ImageId`; else the number of the row in its table, from 1 |
/// | `part` | found | column that says what a row is for, one called `Usage` where it does: train, val or test |
/// | `group` | none | column whose values never sit in two folds |
/// | `meta` | none | columns that join the network's head: numbers or categories |
/// | `color` | as stored | rgb, gray; only pictures of one or three channels |
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pixels {
    /// The root, or the table in it.
    pub path: PathBuf,
    /// Table of the training part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Table of the test part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_table: Option<String>,
    /// Column of all numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels: Option<String>,
    /// Sides of the pictures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shape: Vec<usize>,
    /// Which values stand together.
    #[serde(default)]
    pub order: Order,
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
    #[serde(default)]
    pub meta: Vec<String>,
    /// What pictures are turned into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<Color>,
}

/// Which values of a picture stand together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Those of a pixel.
    #[default]
    Hwc,
    /// Those of a channel.
    Chw,
}

/// Fewest pixels by which a table is known.
const FEWEST: usize = 64;
/// What a column of all numbers is called.
const LIST: &str = "pixels";

/// How a table is laid out.
#[derive(Clone, Debug, PartialEq)]
struct Layout {
    head: Head,
    /// Whether one column holds all numbers.
    is_list: bool,
    /// Numbers of a picture.
    count: usize,
}

/// Whether a table is one of pixels, by its first rows.
pub(super) fn fits(table: &Path) -> bool {
    Layout::of(table, &Pixels::default()).is_ok_and(|layout| layout.count >= FEWEST && found(layout.count).is_some())
}

/// The tables of pixels below `tree`, those of the training part first.
fn tables(tree: &Tree) -> Vec<&String> {
    let fitting = tree.tables.iter().filter(|table| !is_sample(table) && fits(&tree.root.join(table)));
    let mut tables: Vec<&String> = fitting.collect();
    tables.sort_by_key(|table| (is_test(table), table.matches('/').count()));
    tables
}

/// Whether tables of pixels lie below `tree`.
pub(super) fn lie_in(tree: &Tree) -> bool {
    tables(tree).first().is_some_and(|table| !is_test(table))
}

impl Layout {
    /// How the table at `path` is laid out.
    fn of(path: &Path, config: &Pixels) -> Result<Self> {
        let wrong = |why: String| Error::Table { path: path.into(), why };
        let mut lines = Lines::open(path)?;
        let mut row = || -> Result<Option<StringRecord>> { Ok(lines.next_line()?.map(|line| line.cells.clone())) };
        let Some(first) = row()? else { return Err(wrong("it is empty; expected a row for each picture".into())) };
        if !first.iter().all(|cell| cell.parse::<f32>().is_ok()) {
            let names: Vec<String> = first.iter().map(str::to_string).collect();
            let (numbers, is_list) = numbers_of(&names, config.pixels.as_deref()).map_err(wrong)?;
            let count = match is_list {
                false => numbers.len(),
                true => row()?.as_ref().and_then(|row| row.get(numbers[0])).map_or(0, |cell| list(cell).count()),
            };
            return Ok(Self { head: Head { names, titled: true, numbers }, is_list, count });
        }
        // Of numbers alone, one more than a picture has is its label.
        let (all, given) = (first.len(), config.shape.iter().product::<usize>());
        let is_picture = |count: usize| match config.shape.is_empty() {
            true => found(count).is_some(),
            false => count == given,
        };
        let labels = match (is_picture(all.saturating_sub(1)), is_picture(all)) {
            (true, _) => 1,
            (false, true) => 0,
            _ => {
                return Err(wrong(format!(
                    "its rows have {all} numbers, neither a square nor one and a label; give data.shape"
                )));
            }
        };
        let pixels = (0..all - labels).map(|i| format!("pixel{i}"));
        let names = (0..labels).map(|_| "label".to_string()).chain(pixels).collect();
        let head = Head { names, titled: false, numbers: (labels..all).collect() };
        Ok(Self { head, is_list: false, count: all - labels })
    }

    /// The numbers of a row.
    fn numbers(&self, row: &StringRecord) -> Result<Vec<u8>, String> {
        let wrong = |cell: &str, column: usize| {
            let name = &self.head.names[column];
            format!("column '{name}' holds '{cell}', which is no whole number from 0 to 255")
        };
        let value = |cell: &str, column: usize| level(cell).ok_or_else(|| wrong(cell, column));
        let cells = self.head.numbers.iter().map(|&column| (row.get(column).unwrap_or_default(), column));
        match self.is_list {
            false => cells.map(|(cell, column)| value(cell, column)).collect(),
            true => cells
                .flat_map(|(cell, c)| list(cell).map(move |number| (number, c)))
                .map(|(n, c)| value(n, c))
                .collect(),
        }
    }
}

/// In which columns of a header numbers stand: the one called `list`, which holds all, else those of the most frequent name
/// without digits.
fn numbers_of(header: &[String], list: Option<&str>) -> Result<(Vec<usize>, bool), String> {
    let is_list = |name: &String| list.map_or(name.eq_ignore_ascii_case(LIST), |list| name == list);
    if let Some(column) = header.iter().position(is_list) {
        return Ok((vec![column], true));
    }
    let mut stems = BTreeMap::<String, Vec<usize>>::new();
    for (column, name) in header.iter().enumerate().filter(|(_, name)| name.contains(|c: char| c.is_ascii_digit())) {
        stems.entry(name.replace(|c: char| c.is_ascii_digit(), "")).or_default().push(column);
    }
    let most = stems.into_values().max_by_key(Vec::len).filter(|most| list.is_none() && most.len() > 1);
    most.map(|most| (most, false)).ok_or_else(|| {
        let shown = header.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
        let list = list.unwrap_or(LIST);
        format!("it has no column '{list}' and no columns of one name that count pixels; there are {shown}")
    })
}

/// The numbers of a cell.
fn list(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']')).filter(|number| !number.is_empty())
}

/// A pixel; `pandas` writes some as `0.0`.
fn level(cell: &str) -> Option<u8> {
    let whole = || cell.parse::<f64>().ok().filter(|v| v.fract() == 0.0 && (0.0..=255.0).contains(v)).map(|v| v as u8);
    cell.parse().ok().or_else(whole)
}

/// The sides of a square of so many numbers, of one channel or three.
fn found(count: usize) -> Option<[usize; 3]> {
    let square = |channels: usize| {
        let side = (count / channels).isqrt();
        (side > 1 && side * side * channels == count).then_some([side, side, channels])
    };
    square(1).or_else(|| square(3))
}

impl Source for Pixels {
    fn open(&mut self) -> Result<Collection> {
        enter(&mut self.path, &mut self.table);
        let tree = Tree::walk(&self.path)?;
        self.find_tables(&tree)?;
        let table = self.table.clone().unwrap_or_default();
        let path = self.path.join(&table);
        let layout = Layout::of(&path, self)?;
        let dims = self.find_shape(&path, layout.count)?;
        let mut roles = Roles {
            label: std::mem::take(&mut self.label),
            kind: self.target.kind,
            id: self.id.take(),
            part: self.part.take(),
            group: self.group.clone(),
            meta: self.meta.clone(),
        };
        roles.find(&path, &layout.head)?;
        (self.label, self.id, self.part) = (roles.label.clone(), roles.id.clone(), roles.part.clone());
        let mut sheets = Sheets::new("pixels");
        // Numbers are looked at when they are decoded.
        let place = (self.path.as_path(), table.as_str());
        let mut records = sheets.read(place, &layout.head, &roles, Part::Train, &mut |_, _| Ok(()))?;
        let mut layouts = vec![layout];
        if let Some(test) = &self.test_table {
            let at = self.path.join(test);
            let layout = Layout::of(&at, self)?;
            if layout.count != dims.iter().product::<usize>() {
                let why = format!("its pictures have {} numbers, those of the training part {dims:?}", layout.count);
                return Err(Error::Table { path: at, why });
            }
            let place = (self.path.as_path(), test.as_str());
            records.extend(sheets.read(place, &layout.head, &roles, Part::Test, &mut |_, _| Ok(()))?);
            layouts.push(layout);
        }
        let stamp = sheets.stamper();
        let (order, color) = (self.order, self.color);
        let read: Reader = Arc::new(move |name| {
            let row = sheets.find(name)?;
            let pixels = layouts[row.sheet].numbers(&row.cells);
            let image = pixels.and_then(|pixels| picture(pixels, dims, order, color));
            let image = image.map_err(|why| undecoded(name, row.line, &why))?;
            Ok(Decoded { image, format: "pixels", stored_channels: dims[2], is_deep: false })
        });
        let (columns, meta) = (self.label.clone(), self.meta.clone());
        let records = Records { columns, meta, records, unowned: vec![], read, stamp };
        let found = records.collect(&self.target, &path)?;
        let sample_submission = tree.sample_submission().map(|table| tree.root.join(table));
        Ok(Collection { sample_submission, ..found })
    }
}

impl Pixels {
    /// The tables of both parts.
    fn find_tables(&mut self, tree: &Tree) -> Result<()> {
        if self.table.is_some() && self.test_table.is_some() {
            return Ok(());
        }
        let (train, test): (Vec<&String>, Vec<&String>) = tables(tree).into_iter().partition(|table| !is_test(table));
        let none = || Error::Layout {
            path: self.path.clone(),
            why: "no .csv or .tsv table below it has columns of pixels; say which with data.table".into(),
        };
        let table = self.table.clone().or_else(|| train.first().map(|table| table.to_string())).ok_or_else(none)?;
        let folder = |table: &str| table.rsplit_once('/').map(|(folder, _)| folder.to_string());
        let beside = |test: &&&String| folder(test) == folder(&table) && ***test != table;
        self.test_table = self.test_table.take().or_else(|| test.iter().find(beside).map(|test| test.to_string()));
        self.table = Some(table);
        Ok(())
    }

    /// Height, width and channels of pictures of `count` numbers.
    fn find_shape(&mut self, path: &Path, count: usize) -> Result<[usize; 3]> {
        let wrong = |why: String| Error::Table { path: path.into(), why };
        let dims = match self.shape[..] {
            [] => found(count)
                .ok_or_else(|| wrong(format!("pictures of {count} numbers are no squares; give data.shape")))?,
            [height, width] => [height, width, 1],
            [height, width, channels] => [height, width, channels],
            _ => return Err(Error::Invalid("data.shape must be [height, width] or [height, width, channels]".into())),
        };
        if dims.iter().try_fold(1usize, |product, side| product.checked_mul(*side)) != Some(count) || count == 0 {
            return Err(wrong(format!("its pictures have {count} numbers, but data.shape is {:?}", self.shape)));
        }
        if self.color.is_some() && ![1, 3].contains(&dims[2]) {
            let why = format!("pictures of {} channels have no color; leave data.color away", dims[2]);
            return Err(Error::Invalid(why));
        }
        self.shape = if dims[2] == 1 { dims[..2].into() } else { dims.into() };
        Ok(dims)
    }
}

/// A picture from its numbers.
fn picture(numbers: Vec<u8>, dims: [usize; 3], order: Order, color: Option<Color>) -> Result<Image, String> {
    let [height, width, channels] = dims;
    let (count, area) = (numbers.len(), height * width);
    if count != area * channels {
        return Err(format!("it has {count} pixels, expected {height}×{width}×{channels} = {}", area * channels));
    }
    let pixels: Vec<u8> = match order {
        Order::Chw => (0..count).map(|i| numbers[i % channels * area + i / channels]).collect(),
        Order::Hwc => numbers,
    };
    let (channels, pixels) = match (channels, color) {
        (1, Some(Color::Rgb)) => (3, pixels.iter().flat_map(|&level| [level; 3]).collect()),
        (3, Some(Color::Gray)) => (1, pixels.chunks_exact(3).map(luma).collect()),
        _ => (channels, pixels),
    };
    Image::new(width, height, channels, pixels).map_err(|error| error.to_string())
}

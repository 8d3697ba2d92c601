//! Pictures written as numbers into a table.

use super::csv::{LABELS, names, one_or_several};
use super::files::{Tree, file_name, is_sample, is_table, part_named, words};
use super::records::{Record, Records};
use super::{Collection, Reader, Source, Stamper};
use crate::cache::DiskCached;
use crate::decode::{Color, Decoded, luma};
use crate::error::{Error, Result};
use crate::image::Image;
use crate::labels::{Kind, Labels};
use crate::row::Part;
use crate::table::{Lines, cells, is_missing};
use csv::StringRecord;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
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
/// What columns of ids are called.
const IDS: [&str; 3] = ["id", "imageid", "image_id"];
/// What the column of the part is called.
const USAGE: &str = "usage";

/// How a table is laid out.
#[derive(Clone, Debug, PartialEq)]
struct Layout {
    header: Vec<String>,
    /// Whether the header stands in the table.
    titled: bool,
    place: Place,
    /// Numbers of a picture.
    count: usize,
}

/// Where the numbers of a row stand.
#[derive(Clone, Debug, PartialEq)]
enum Place {
    /// One in each of these columns.
    Columns(Vec<usize>),
    /// All in this one.
    List(usize),
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

fn is_test(table: &str) -> bool {
    words(file_name(table)).iter().any(|word| word.starts_with("test"))
}

impl Layout {
    /// How the table at `path` is laid out.
    fn of(path: &Path, config: &Pixels) -> Result<Self> {
        let wrong = |why: String| Error::Table { path: path.into(), why };
        let mut lines = Lines::open(path)?;
        let mut row = || -> Result<Option<StringRecord>> { Ok(lines.next_line()?.map(|line| line.cells.clone())) };
        let Some(first) = row()? else { return Err(wrong("it is empty; expected a row for each picture".into())) };
        if !first.iter().all(|cell| cell.parse::<f32>().is_ok()) {
            let header: Vec<String> = first.iter().map(str::to_string).collect();
            let place = Place::named(&header, config.pixels.as_deref()).map_err(wrong)?;
            let count = match &place {
                Place::Columns(columns) => columns.len(),
                Place::List(column) => row()?.as_ref().and_then(|row| row.get(*column)).map_or(0, |c| list(c).count()),
            };
            return Ok(Self { header, titled: true, place, count });
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
        let header = (0..labels).map(|_| "label".to_string()).chain(pixels).collect();
        Ok(Self { header, titled: false, place: Place::Columns((labels..all).collect()), count: all - labels })
    }

    /// Columns that hold no pixels.
    fn free(&self) -> impl Iterator<Item = usize> + '_ {
        let holds = |column: &usize| match &self.place {
            Place::Columns(columns) => columns.binary_search(column).is_ok(),
            Place::List(list) => column == list,
        };
        (0..self.header.len()).filter(move |column| !holds(column))
    }

    /// The column of this name, which field `parameter` asks for.
    fn column(&self, path: &Path, parameter: &'static str, name: &str) -> Result<usize> {
        self.free().find(|&column| self.header[column] == name).ok_or_else(|| Error::Column {
            path: path.into(),
            parameter,
            name: name.into(),
            known: self.free().map(|column| self.header[column].as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// The first column that has one of these names.
    fn called(&self, names: &[&str]) -> Option<usize> {
        self.free().find(|&column| names.contains(&self.header[column].to_lowercase().as_str()))
    }

    /// The numbers of a row.
    fn numbers(&self, row: &StringRecord) -> Result<Vec<u8>, String> {
        let name = |column: usize| &self.header[column];
        let wrong = |cell: &str, column| {
            format!("column '{}' holds '{cell}', which is no whole number from 0 to 255", name(column))
        };
        match &self.place {
            Place::Columns(columns) => {
                let value = |&column: &usize| {
                    let cell = row.get(column).unwrap_or_default();
                    level(cell).ok_or_else(|| wrong(cell, column))
                };
                columns.iter().map(value).collect()
            }
            Place::List(column) => {
                let numbers = list(row.get(*column).unwrap_or_default());
                numbers.map(|number| level(number).ok_or_else(|| wrong(number, *column))).collect()
            }
        }
    }
}

impl Place {
    /// In which columns of a header numbers stand: the one called `list`, else those of the most frequent name without digits.
    fn named(header: &[String], list: Option<&str>) -> Result<Self, String> {
        let is_list = |name: &String| list.map_or(name.eq_ignore_ascii_case(LIST), |list| name == list);
        if let Some(column) = header.iter().position(is_list) {
            return Ok(Self::List(column));
        }
        let mut stems = BTreeMap::<String, Vec<usize>>::new();
        for (column, name) in header.iter().enumerate().filter(|(_, name)| name.contains(|c: char| c.is_ascii_digit()))
        {
            stems.entry(name.replace(|c: char| c.is_ascii_digit(), "")).or_default().push(column);
        }
        let most = stems.into_values().max_by_key(Vec::len).filter(|most| list.is_none() && most.len() > 1);
        most.map(Self::Columns).ok_or_else(|| {
            let shown = header.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
            let list = list.unwrap_or(LIST);
            format!("it has no column '{list}' and no columns of one name that count pixels; there are {shown}")
        })
    }
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

/// A table that was gone through.
struct Sheet {
    /// As its pictures' paths begin.
    name: String,
    path: PathBuf,
    separator: u8,
    layout: Layout,
    /// Of the file, before it was gone through.
    stamp: Option<String>,
    /// Where each row begins, bytes, and on which line; at last where the table ends.
    rows: Vec<(u64, u64)>,
}

impl Source for Pixels {
    fn open(&mut self) -> Result<Collection> {
        if is_table(&self.path) && self.path.is_file() {
            self.table = self.path.file_name().map(|name| name.to_string_lossy().into_owned());
            let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty());
            self.path = folder.unwrap_or(Path::new(".")).into();
        }
        let tree = Tree::walk(&self.path)?;
        self.find_tables(&tree)?;
        let table = self.table.clone().unwrap_or_default();
        let path = self.path.join(&table);
        let layout = Layout::of(&path, self)?;
        let dims = self.find_shape(&path, layout.count)?;
        self.find_columns(&path, &layout)?;
        let mut records = vec![];
        let mut sheets = vec![self.sheet(table, layout, Part::Train, &mut records)?];
        if let Some(test) = self.test_table.clone() {
            let at = self.path.join(&test);
            let layout = Layout::of(&at, self)?;
            if layout.count != dims.iter().product::<usize>() {
                let why = format!("its pictures have {} numbers, those of the training part {dims:?}", layout.count);
                return Err(Error::Table { path: at, why });
            }
            sheets.push(self.sheet(test, layout, Part::Test, &mut records)?);
        }
        let stamps: Vec<(String, Option<String>)> =
            sheets.iter().map(|sheet| (sheet.name.clone(), sheet.stamp.clone())).collect();
        let stamp: Stamper = Arc::new(move |path| {
            let (sheet, _) = path.rsplit_once('/')?;
            stamps.iter().find(|(name, _)| name == sheet)?.1.clone()
        });
        let (order, color) = (self.order, self.color);
        let read: Reader = Arc::new(move |name| {
            let unknown = || Error::Invalid(format!("source 'pixels' has no picture '{name}'"));
            let (sheet, row) = name.rsplit_once('/').ok_or_else(unknown)?;
            let sheet = sheets.iter().find(|other| other.name == sheet).ok_or_else(unknown)?;
            let row: usize = row.parse().map_err(|_| unknown())?;
            let place = row.checked_sub(1).and_then(|row| Some((*sheet.rows.get(row)?, *sheet.rows.get(row + 1)?)));
            let ((start, line), (end, _)) = place.ok_or_else(unknown)?;
            let pixels = sheet.read(start, end)?;
            let wrong = |why: String| Error::Decode { name: name.into(), why: format!("line {line}: {why}") };
            let image = pixels.and_then(|pixels| picture(pixels, dims, order, color)).map_err(wrong)?;
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

    /// The columns of a row's label, id and part.
    fn find_columns(&mut self, path: &Path, layout: &Layout) -> Result<()> {
        let name = |column: usize| layout.header[column].clone();
        self.id = self.id.take().or_else(|| layout.called(&IDS).map(name));
        self.part = self.part.take().or_else(|| layout.called(&[USAGE]).map(name));
        if !self.label.is_empty() {
            return Ok(());
        }
        let taken = |column: &usize| {
            let taken = self.meta.iter().chain(&self.id).chain(&self.part).chain(&self.group);
            taken.into_iter().any(|taken| *taken == layout.header[*column])
        };
        let free: Vec<usize> = layout.free().filter(|column| !taken(column)).collect();
        let is_label = |column: &usize| LABELS.contains(&layout.header[*column].to_lowercase().as_str());
        let label = free.iter().copied().find(is_label);
        self.label = match (label, &free[..]) {
            (Some(label), _) => vec![name(label)],
            (None, &[one]) => vec![name(one)],
            (None, several) => {
                let known = several.iter().map(|&column| name(column)).collect::<Vec<_>>().join(", ");
                let why = format!("which column is the label? say it with data.label; there are {known}");
                return Err(Error::Table { path: path.into(), why });
            }
        };
        Ok(())
    }

    /// Goes through table `name` and adds its rows to `records`.
    fn sheet(&self, name: String, layout: Layout, part: Part, records: &mut Vec<Record>) -> Result<Sheet> {
        let path = self.path.join(&name);
        let wrong = |why: String| Error::Table { path: path.clone(), why };
        // A test part may come without them.
        let column = |parameter, name: &String| match (layout.column(&path, parameter, name), part) {
            (Err(_), Part::Test) => Ok(None),
            (found, _) => found.map(Some),
        };
        let columns = |parameter, names: &[String]| {
            names.iter().map(|name| column(parameter, name)).collect::<Result<Vec<Option<usize>>>>()
        };
        let (labels, meta) = (columns("label", &self.label)?, columns("meta", &self.meta)?);
        let one = |parameter, name: &Option<String>| name.as_ref().map_or(Ok(None), |name| column(parameter, name));
        let (id, group) = (one("id", &self.id)?, one("group", &self.group)?);
        let parts = if part == Part::Test { None } else { one("part", &self.part)? };
        let is_word = matches!(self.target.kind, Kind::Class | Kind::Ordinal | Kind::MultiLabel);

        let stamp = DiskCached::file_stamp(&path);
        let mut lines = Lines::open(&path)?;
        if layout.titled {
            lines.next_line()?;
        }
        let mut rows = vec![];
        while let Some(line) = lines.next_line()? {
            let (number, cells) = (line.number, line.cells);
            if cells.len() != layout.header.len() {
                let (found, wanted) = (cells.len(), layout.header.len());
                return Err(wrong(format!("line {number} has {found} cells, expected {wanted}")));
            }
            let cell = |column: Option<usize>| cells.get(column?).filter(|cell| !cell.is_empty());
            let known = |column| cell(column).filter(|cell| !is_missing(cell)).map(str::to_string);
            let named = parts.map_or(Ok(part), |column| part_named(&cells[column]));
            rows.push((line.offset, number));
            let ordinal = rows.len().to_string();
            if id.is_some() && cell(id).is_none() {
                return Err(wrong(format!("line {number} has no id")));
            }
            records.push(Record {
                path: format!("{name}/{ordinal}"),
                id: cell(id).map_or(ordinal, str::to_string),
                part: named.map_err(|why| wrong(format!("line {number}: data.part: {why}")))?,
                // A class may be called NA.
                labels: labels
                    .iter()
                    .map(|&column| if is_word { cell(column).map(str::to_string) } else { known(column) })
                    .collect(),
                group: known(group),
                sample: None,
                meta: meta.iter().map(|&column| known(column)).collect(),
            });
        }
        if rows.is_empty() {
            return Err(wrong("it has no rows; expected one for each picture".into()));
        }
        let unreadable = |source| Error::Read { path: path.clone(), source };
        rows.push((std::fs::metadata(&path).map_err(unreadable)?.len(), 0));
        Ok(Sheet { name, separator: lines.separator, path, layout, stamp, rows })
    }
}

impl Sheet {
    /// The numbers of the row between two places.
    fn read(&self, start: u64, end: u64) -> Result<Result<Vec<u8>, String>> {
        let unreadable = |source| Error::Read { path: self.path.clone(), source };
        let mut file = File::open(&self.path).map_err(unreadable)?;
        file.seek(SeekFrom::Start(start)).map_err(unreadable)?;
        // No more than a row has was read when the table was gone through.
        let mut bytes = vec![0; end.saturating_sub(start) as usize];
        file.read_exact(&mut bytes).map_err(unreadable)?;
        Ok(cells(&bytes, self.separator).and_then(|row| self.layout.numbers(&row)))
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

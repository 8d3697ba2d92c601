//! Series of numbers, which become pictures of what their values have to do with one another.

use super::csv::{names, one_or_several};
use super::files::{Tree, file_name, words};
use super::records::Records;
use super::sheet::{Head, Roles, Sheets, enter, find_tables, undecoded};
use super::{Alone, Collection, Reader, Source};
use crate::convert::gaf::{Gaf, Method};
use crate::convert::paa::paa;
use crate::convert::{Markov, Recurrence};
use crate::decode::{Decoded, MAX_PIXELS};
use crate::error::{Error, Result};
use crate::image::Image;
use crate::labels::Labels;
use crate::row::Part;
use crate::table::{Lines, is_missing};
use csv::StringRecord;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A table whose rows are series of numbers: of the UCR archive (`X_TRAIN.tsv` and `X_TEST.tsv`, the label in the first column,
/// no header), or with a header, where every column that is no label, id, part, group or metadata holds a value, from left to
/// right. Each series is a square picture with a channel for each of `fields`.
///
/// The table is gone through once; what is kept of a row is where it begins, and its numbers are read when its picture is asked
/// for. Series may be of different length: empty and `NaN` cells at the end of a row are none of its values, as the archive
/// writes them. What is missing before the last value, and a cell that holds no number, is an error that names the row, or is
/// interpolated.
///
/// | field | default | range |
/// |---|---|---|
/// | `path` | required | the table, or a folder with it |
/// | `table` | found | table of the training part, relative to the folder |
/// | `test_table` | found beside it | table of the test part |
/// | `fields` | gasf, gadf, mtf | 1 to 16 of gasf, gadf, mtf and recurrence, or tables of them ([`Field`]) |
/// | `size` | the shortest series, at most 128 | edge of the picture, pixels; longer series are shortened by their means ([`paa`]) |
/// | `missing` | refuse | refuse, interpolate: on a line between the values beside it, or the first one at the start |
/// | `ignore` | none | columns that hold nothing of interest |
/// | `label` | found | a column, or several; without a header the first column is called `label` |
/// | `target` | class | what the labels are ([`Labels`]): class, multi_label, ordinal, distribution, regression |
/// | `id` | found | a column called `id`; else the number of the row in its table, from 1 |
/// | `part` | found | column that says what a row is for, one called `Usage` where it does: train, val or test |
/// | `group` | none | column whose values never sit in two folds |
/// | `meta` | none | columns that join the network's head: numbers or categories |
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// The root, or the table in it.
    pub path: PathBuf,
    /// Table of the training part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Table of the test part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_table: Option<String>,
    /// Channels of the picture.
    #[serde(default = "all", deserialize_with = "fields")]
    pub fields: Vec<Field>,
    /// Edge of the picture, pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// What becomes of missing values.
    #[serde(default)]
    pub missing: Gaps,
    /// Columns that hold nothing of interest.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "names")]
    pub ignore: Vec<String>,
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
}

/// How a series becomes a channel: a name, or a table of `name` and what the conversion takes.
///
/// | name | field | default | range |
/// |---|---|---|---|
/// | `gasf`, `gadf` | | | Gramian angular field of sums, of differences ([`Gaf`]) |
/// | `mtf` | `n_bins` | 5 | Markov transition field of 2 to 256 bins ([`Markov`]) |
/// | `recurrence` | `dimension`, `delay`, `threshold` | 1, 1, none | recurrence plot ([`Recurrence`]) |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Field {
    /// Gramian angular field of sums.
    Gasf {},
    /// Gramian angular field of differences.
    Gadf {},
    /// Markov transition field.
    Mtf {
        /// Bins.
        #[serde(default = "bins")]
        n_bins: usize,
    },
    /// Recurrence plot.
    Recurrence(Recurrence),
}

/// What becomes of missing values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gaps {
    /// They are an error.
    #[default]
    Refuse,
    /// They lie on a line between the values beside them.
    Interpolate,
}

/// Largest edge by default, pixels.
const EDGE: usize = 128;
/// Most channels.
const MOST: usize = 16;
/// Rows by which a table of the archive is known.
const LOOKED: usize = 20;
/// What the first column is called where there is no header.
const LABEL: &str = "label";

fn bins() -> usize {
    Markov::default().n_bins
}

/// The fields by default.
fn all() -> Vec<Field> {
    vec![Field::Gasf {}, Field::Gadf {}, Field::Mtf { n_bins: bins() }]
}

/// A name is short for a table that says nothing else.
fn fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Field>, D::Error> {
    let field = |spec: Value| match spec {
        Value::String(name) => serde_json::from_value(json!({"name": name})),
        table => serde_json::from_value(table),
    };
    let fields: Result<_, serde_json::Error> = Vec::deserialize(deserializer)?.into_iter().map(field).collect();
    fields.map_err(|error| serde::de::Error::custom(format!("fields: {error}")))
}

impl Field {
    /// The channel of a series, `[size, size]`.
    fn image(&self, series: &[f32], size: usize) -> Result<Image> {
        let gaf = |method| Gaf { method, size: Some(size) }.image(series);
        match self {
            Self::Gasf {} => gaf(Method::Summation),
            Self::Gadf {} => gaf(Method::Difference),
            Self::Mtf { n_bins } => Markov { n_bins: *n_bins, size: Some(size) }.image(series),
            Self::Recurrence(plot) => plot.image(&paa(series, size.saturating_add(self.span()))?),
        }
    }

    /// Values that a series has more than the channel pixels along its edge, at least.
    fn span(&self) -> usize {
        match self {
            Self::Recurrence(plot) => plot.dimension.saturating_sub(1).saturating_mul(plot.delay),
            _ => 0,
        }
    }
}

/// The picture of a series.
fn picture(fields: &[Field], size: usize, series: &[f32]) -> Result<Image> {
    let channels = fields.iter().map(|field| field.image(series, size)).collect::<Result<Vec<_>>>()?;
    let pixel = |i: usize| channels.iter().map(move |channel| channel.pixels()[i]);
    Image::new(size, size, fields.len(), (0..size * size).flat_map(pixel).collect())
}

/// The values of a row.
fn values(row: &StringRecord, head: &Head, missing: Gaps) -> Result<Vec<f32>, String> {
    let cells = || head.numbers.iter().map(|&column| (column, row.get(column).unwrap_or_default()));
    let length = cells().enumerate().rfind(|(_, (_, cell))| !is_missing(cell)).map_or(0, |(last, _)| last + 1);
    if length == 0 {
        return Err("its series has no values; leave the row out".into());
    }
    let mut values = Vec::<f32>::with_capacity(length);
    // How many of the last ones are missing.
    let mut gap = 0;
    for (column, cell) in cells().take(length) {
        let name = &head.names[column];
        if is_missing(cell) {
            if missing == Gaps::Refuse {
                return Err(format!(
                    "column '{name}' holds no value, but the series goes on behind it; fill it in, or set data.missing = \
                     \"interpolate\""
                ));
            }
            gap += 1;
            continue;
        }
        let value = cell.parse::<f32>().ok().filter(|value| value.is_finite());
        let value = value.ok_or_else(|| {
            format!("column '{name}' holds '{cell}', which is no number; columns of no values go into data.ignore")
        })?;
        let before = f64::from(values.last().copied().unwrap_or(value));
        let step = (f64::from(value) - before) / (gap + 1) as f64;
        values.extend((1..=gap).map(|i| (before + step * i as f64) as f32));
        values.push(value);
        gap = 0;
    }
    Ok(values)
}

fn is_number(cell: &str) -> bool {
    is_missing(cell) || cell.parse::<f32>().is_ok()
}

/// The names of a table's columns, and whether they stand in it.
fn head(path: &Path) -> Result<Head> {
    let wrong = |why: &str| Error::Table { path: path.into(), why: why.into() };
    let mut lines = Lines::open(path)?;
    let first = lines.next_line()?.ok_or_else(|| wrong("it is empty; expected a row for each series"))?;
    let titled = !first.cells.iter().all(is_number);
    if titled {
        return Head::titled(path, first.cells);
    }
    let names = (0..first.cells.len()).map(|i| if i == 0 { LABEL.into() } else { format!("value{i}") }).collect();
    Ok(Head { names, titled, numbers: vec![] })
}

/// Whether the table at `path` is the training part of a pair as the UCR archive has them.
pub(super) fn fits(path: &Path) -> bool {
    let Some(wanted) = path.file_name().and_then(|name| twin(name.to_str()?)) else { return false };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(beside) = std::fs::read_dir(folder) else { return false };
    let is_twin =
        |entry: &std::fs::DirEntry| entry.file_name().to_str().is_some_and(|own| own.to_lowercase() == wanted);
    beside.flatten().find(is_twin).is_some_and(|twin| are_pair(path, &twin.path()))
}

/// The name of the test part's table in small letters, where the training part's is called `train`.
fn twin(train: &str) -> Option<String> {
    let is_train = words(train).iter().any(|word| word.starts_with("train"));
    is_train.then(|| train.to_lowercase().replace("train", "test"))
}

/// Two tables without a header whose rows are a whole number, the label, and equally many values, which are no bytes, as those of
/// pictures would be.
fn are_pair(train: &Path, test: &Path) -> bool {
    match (width(train), width(test)) {
        (Some((own, true)), Some((other, _))) => own == other,
        _ => false,
    }
}

/// How many cells the first rows of a table of series without a header have, and whether a value in them is no byte.
fn width(path: &Path) -> Option<(usize, bool)> {
    let is_byte = |cell: &str| {
        is_missing(cell)
            || cell.parse::<f32>().is_ok_and(|value| (0.0..=255.0).contains(&value) && value.fract() == 0.0)
    };
    let is_label = |cell: &str| cell.parse::<f32>().is_ok_and(|value| value.fract() == 0.0);
    let mut lines = Lines::open(path).ok()?;
    let (mut width, mut is_series) = (None, false);
    for _ in 0..LOOKED {
        let Some(line) = lines.next_line().ok()? else { break };
        let cells = line.cells;
        let same = *width.get_or_insert(cells.len()) == cells.len() && cells.len() > 2;
        if !same || !is_label(&cells[0]) || !cells.iter().all(is_number) {
            return None;
        }
        is_series |= !cells.iter().skip(1).all(is_byte);
    }
    width.map(|width| (width, is_series))
}

/// Whether pairs of the UCR archive lie below `tree`.
pub(super) fn lie_in(tree: &Tree) -> bool {
    let known: HashMap<String, &String> = tree.tables.iter().map(|table| (table.to_lowercase(), table)).collect();
    tree.tables.iter().any(|table| {
        let name = file_name(table);
        let folder = &table[..table.len() - name.len()];
        let test = twin(name).and_then(|test| known.get(&(folder.to_lowercase() + &test)));
        test.is_some_and(|test| are_pair(&tree.root.join(table), &tree.root.join(test)))
    })
}

impl Source for Series {
    fn open(&mut self) -> Result<Collection> {
        enter(&mut self.path, &mut self.table);
        if !(1..=MOST).contains(&self.fields.len()) {
            let why = format!("data.fields must be 1 to {MOST} conversions, not {}", self.fields.len());
            return Err(Error::Invalid(why));
        }
        let tree = Tree::walk(&self.path)?;
        find_tables(&tree, &mut self.table, &mut self.test_table)?;
        let table = self.table.clone().unwrap_or_default();
        let path = self.path.join(&table);
        let mut own = head(&path)?;
        let roles = self.roles(&path, &own)?;
        own.numbers = own.free().filter(|&column| self.is_value(&roles, &own.names[column])).collect();
        if own.numbers.is_empty() {
            return Err(Error::Table { path, why: "no column is left that may hold values of a series".into() });
        }
        let mut shortest = Shortest { size: self.size, span: self.span(), missing: self.missing, least: usize::MAX };
        let mut sheets = Sheets::new("series");
        let place = (self.path.as_path(), table.as_str());
        let mut records = sheets.read(place, &own, &roles, Part::Train, &mut |_, row| shortest.see(row, &own))?;
        let mut heads = vec![own];
        if let Some(test) = &self.test_table {
            let other = self.test_head(&self.path.join(test), &heads[0])?;
            let (place, see) = ((self.path.as_path(), test.as_str()), &mut |_: &_, row: &_| shortest.see(row, &other));
            records.extend(sheets.read(place, &other, &roles, Part::Test, see)?);
            heads.push(other);
        }
        let size = self.size.unwrap_or_else(|| (shortest.least - shortest.span).min(EDGE));
        self.try_fields(size)?;
        self.size = Some(size);
        let (fields, missing, stamp) = (self.fields.clone(), self.missing, sheets.stamper());
        let read: Reader = Arc::new(move |name| {
            let row = sheets.find(name)?;
            let wrong = |why: &str| undecoded(name, row.line, why);
            let series = values(&row.cells, &heads[row.sheet], missing).map_err(|why| wrong(&why))?;
            let image = picture(&fields, size, &series).map_err(|error| wrong(&error.to_string()))?;
            Ok(Decoded { image, format: "series", stored_channels: fields.len(), is_deep: false })
        });
        let (columns, meta) = (self.label.clone(), self.meta.clone());
        let records = Records { columns, meta, records, unowned: vec![], read, stamp };
        let found = records.collect(&self.target, &path)?;
        let sample_submission = tree.sample_submission().map(|table| tree.root.join(table));
        Ok(Collection { sample_submission, ..found })
    }

    fn alone(&self) -> Alone {
        Alone::Nothing
    }
}

impl Series {
    /// What the columns are, which is written down.
    fn roles(&mut self, path: &Path, head: &Head) -> Result<Roles> {
        if !head.titled && self.label.is_empty() {
            self.label = vec![LABEL.into()];
        }
        if let Some(name) = self.ignore.iter().find(|name| !head.names.contains(name)) {
            head.column(path, "ignore", name)?;
        }
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

    fn is_value(&self, roles: &Roles, name: &String) -> bool {
        !roles.takes(name) && !self.ignore.contains(name)
    }

    /// The columns of the test part's table at `path`, which has the values of the training part's.
    fn test_head(&self, path: &Path, train: &Head) -> Result<Head> {
        let test = head(path)?;
        if !train.titled && !test.titled && train.names.len() != test.names.len() {
            let (found, wanted) = (test.names.len(), train.names.len());
            let why = format!("its rows have {found} cells, those of the training part {wanted}");
            return Err(Error::Table { path: path.into(), why });
        }
        test.with_numbers_of(train, path)
    }

    fn span(&self) -> usize {
        self.fields.iter().map(Field::span).max().unwrap_or(0)
    }

    /// What cannot be drawn of a series of numbers that rise cannot be drawn at all.
    fn try_fields(&self, size: usize) -> Result<()> {
        let values = size.checked_mul(size).and_then(|area| area.checked_mul(self.fields.len()));
        if size == 0 || values.is_none_or(|values| values as u64 > MAX_PIXELS) {
            let why = format!("data.size must be at least 1 and of at most {MAX_PIXELS} values in all, not {size}");
            return Err(Error::Invalid(why));
        }
        let rising: Vec<f32> = (0..size.saturating_add(self.span())).map(|value| value as f32).collect();
        picture(&self.fields, size, &rising).map(drop)
    }
}

/// The shortest series so far.
struct Shortest {
    size: Option<usize>,
    span: usize,
    missing: Gaps,
    least: usize,
}

impl Shortest {
    /// Looks at a row; one that is too short for its picture is refused.
    fn see(&mut self, row: &StringRecord, head: &Head) -> Result<(), String> {
        let length = values(row, head, self.missing)?.len();
        let least = self.size.unwrap_or(1).saturating_add(self.span);
        if length < least {
            return Err(format!(
                "its series has {length} values, but data.size and data.fields take at least {least}; lower them or leave the \
                 row out"
            ));
        }
        self.least = self.least.min(length);
        Ok(())
    }
}

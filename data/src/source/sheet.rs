//! Tables whose rows are pictures in numbers: what sources of them share. A table is gone through once; what is kept of a row is
//! where it begins, and its numbers are read when its picture is asked for.

use super::Stamper;
use super::csv::LABELS;
use super::files::{Tree, file_name, is_sample, is_table, part_named, words};
use super::records::Record;
use crate::cache::DiskCached;
use crate::error::{Error, Result};
use crate::labels::Kind;
use crate::row::Part;
use crate::table::{Lines, cells, is_missing};
use csv::StringRecord;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What columns of ids are called.
const IDS: [&str; 3] = ["id", "imageid", "image_id"];
/// What the column of the part is called.
const USAGE: &str = "usage";
/// Columns that an error lists.
const SHOWN: usize = 20;

/// The columns of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Head {
    pub names: Vec<String>,
    /// Whether they stand in the table.
    pub titled: bool,
    /// Columns that hold a picture's numbers, in the order of the training part.
    pub numbers: Vec<usize>,
}

impl Head {
    /// Of the header `row` of the table at `path`, which names every column once.
    pub fn titled(path: &Path, row: &StringRecord) -> Result<Self> {
        let mut seen = HashSet::new();
        match row.iter().find(|name| !seen.insert(*name)) {
            None => Ok(Self { names: row.iter().map(str::to_string).collect(), titled: true, numbers: vec![] }),
            Some(twice) => {
                let why = format!("column '{twice}' stands in the header twice");
                Err(Error::Table { path: path.into(), why })
            }
        }
    }

    /// With the columns of numbers that `train`, the training part's table, has; this one lies at `path`.
    pub fn with_numbers_of(mut self, train: &Self, path: &Path) -> Result<Self> {
        let places: HashMap<&str, usize> = self.names.iter().map(String::as_str).zip(0..).collect();
        let place = |&column: &usize| {
            let name = train.names[column].as_str();
            let why = || format!("column '{name}' of the training part's table is not in it");
            places.get(name).copied().ok_or_else(|| Error::Table { path: path.into(), why: why() })
        };
        let numbers = train.numbers.iter().map(place).collect::<Result<_>>()?;
        self.numbers = numbers;
        Ok(self)
    }

    /// Columns that hold no numbers.
    pub fn free(&self) -> impl Iterator<Item = usize> + '_ {
        let mut holds = vec![false; self.names.len()];
        self.numbers.iter().for_each(|&column| holds[column] = true);
        (0..self.names.len()).filter(move |&column| !holds[column])
    }

    /// The column of this name, which field `parameter` asks for.
    pub fn column(&self, path: &Path, parameter: &'static str, name: &str) -> Result<usize> {
        let found = self.columns(path, parameter, std::slice::from_ref(&name))?;
        Ok(found[0])
    }

    /// The columns of these names.
    pub fn columns(&self, path: &Path, parameter: &'static str, names: &[impl AsRef<str>]) -> Result<Vec<usize>> {
        let places: HashMap<&str, usize> = self.free().map(|column| (self.names[column].as_str(), column)).collect();
        let place = |name: &str| {
            places.get(name).copied().ok_or_else(|| {
                let known: Vec<&str> = self.free().map(|column| self.names[column].as_str()).collect();
                Error::Column { path: path.into(), parameter, name: name.into(), known: listed(&known) }
            })
        };
        names.iter().map(|name| place(name.as_ref())).collect()
    }
}

/// Names for an error, the first of many.
fn listed(names: &[&str]) -> String {
    match names.get(..SHOWN) {
        Some(first) if names.len() > SHOWN => format!("{} and {} more", first.join(", "), names.len() - SHOWN),
        _ => names.join(", "),
    }
}

/// What the columns beside the numbers are, by their names.
#[derive(Clone, Debug, Default)]
pub(super) struct Roles {
    pub label: Vec<String>,
    pub kind: Kind,
    pub id: Option<String>,
    pub part: Option<String>,
    pub group: Option<String>,
    pub meta: Vec<String>,
}

impl Roles {
    /// Finds what is not said by the names of the columns of the table at `path`: id and part, and the label, which is called as
    /// labels are or the only column left.
    ///
    /// # Errors
    /// When no column or several may be the label.
    pub fn find(&mut self, path: &Path, head: &Head) -> Result<()> {
        let name = |column: usize| head.names[column].clone();
        let called = |names: &[&str]| head.free().find(|&c| names.contains(&head.names[c].to_lowercase().as_str()));
        self.id = self.id.take().or_else(|| called(&IDS).map(name));
        self.part = self.part.take().or_else(|| called(&[USAGE]).map(name));
        if !self.label.is_empty() {
            return Ok(());
        }
        let free: Vec<usize> = head.free().filter(|&column| !self.takes(&head.names[column])).collect();
        let label = free.iter().copied().find(|&c| LABELS.contains(&head.names[c].to_lowercase().as_str()));
        self.label = match (label, &free[..]) {
            (Some(label), _) => vec![name(label)],
            (None, &[one]) => vec![name(one)],
            (None, []) => {
                return Err(Error::Table { path: path.into(), why: "no column is left that may be the label".into() });
            }
            (None, several) => {
                let known: Vec<&str> = several.iter().map(|&column| head.names[column].as_str()).collect();
                let why = format!("which column is the label? say it with data.label; there are {}", listed(&known));
                return Err(Error::Table { path: path.into(), why });
            }
        };
        Ok(())
    }

    /// Whether the column of this name has something to say.
    pub fn takes(&self, name: &str) -> bool {
        let taken = self.label.iter().chain(&self.meta).chain(&self.id).chain(&self.part).chain(&self.group);
        taken.into_iter().any(|taken| taken == name)
    }
}

/// Makes the path of a table the folder that it lies in, and `table` its name.
pub(super) fn enter(path: &mut PathBuf, table: &mut Option<String>) {
    if is_table(path) && path.is_file() {
        *table = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        *path = folder.unwrap_or(Path::new(".")).into();
    }
}

/// Whether a table is called as those of the test part are.
pub(super) fn is_test(table: &str) -> bool {
    is_called(table, "test")
}

fn is_called(table: &str, part: &str) -> bool {
    words(file_name(table)).iter().any(|word| word.starts_with(part))
}

fn folder(table: &str) -> Option<&str> {
    table.rsplit_once('/').map(|(folder, _)| folder)
}

/// The table of the test part that goes with `train` by its name: `x_TEST.tsv` with `x_TRAIN.tsv`.
fn twin<'a>(tree: &'a Tree, train: &str) -> Option<&'a String> {
    let wanted = file_name(train).to_lowercase().replace("train", "test");
    let is_twin = |test: &&String| folder(test) == folder(train) && file_name(test).to_lowercase() == wanted;
    tree.tables.iter().find(|test| is_called(train, "train") && is_test(test) && is_twin(test))
}

/// Finds the tables of both parts, where they are not said: one called after the training part, or the only one; and beside it
/// that of the test part which has its name, or of a table with any other name the only one.
///
/// # Errors
/// When there is none, or several may be the training part's.
pub(super) fn find_tables(tree: &Tree, table: &mut Option<String>, test: &mut Option<String>) -> Result<()> {
    let wrong = |why: String| Error::Layout { path: tree.root.clone(), why };
    if table.is_none() {
        let all: Vec<&String> = tree.tables.iter().filter(|table| !is_sample(table) && !is_test(table)).collect();
        let named: Vec<&String> = all.iter().copied().filter(|table| is_called(table, "train")).collect();
        match if named.is_empty() { &all[..] } else { &named } {
            [] => return Err(wrong("no .csv or .tsv table of a training part is below it".into())),
            [one] => *table = Some(one.to_string()),
            [first, second, ..] => {
                let why = format!(
                    "it has several tables, as '{first}' and '{second}'; say with data.table which is to be learned from"
                );
                return Err(wrong(why));
            }
        }
    }
    let Some(own) = table.as_deref().filter(|_| test.is_none()) else { return Ok(()) };
    let beside = |test: &&String| folder(test) == folder(own) && test.as_str() != own && is_test(test);
    let others: Vec<&String> = tree.tables.iter().filter(|test| beside(test) && !is_sample(test)).collect();
    *test = match (twin(tree, own), &others[..]) {
        (Some(twin), _) => Some(twin.clone()),
        (None, [one]) if !is_called(own, "train") => Some(one.to_string()),
        _ => None,
    };
    Ok(())
}

/// A table that was gone through.
struct Sheet {
    /// As its pictures' paths begin.
    name: String,
    path: PathBuf,
    separator: u8,
    /// Of the file, before it was gone through.
    stamp: Option<String>,
    /// Where each row begins, bytes, and on which line; at last where the table ends.
    rows: Vec<(u64, u64)>,
}

/// Tables that were gone through.
pub(super) struct Sheets {
    /// Of all sources, the one that errors name.
    source: &'static str,
    list: Vec<Sheet>,
}

/// A row that was read again.
pub(super) struct Found {
    /// Which of the tables it stands in, in the order in which they were gone through.
    pub sheet: usize,
    /// Its line there.
    pub line: u64,
    pub cells: StringRecord,
}

impl Sheets {
    pub fn new(source: &'static str) -> Self {
        Self { source, list: vec![] }
    }

    /// Goes through the table `name` below `root` and gives its rows, each of which `see` looks at and may refuse.
    ///
    /// # Errors
    /// [`Error::Table`] naming the line, when a row has another number of cells than the head, no id, a part of no name, or is
    /// refused; when there are no rows or a column is missing.
    pub fn read(
        &mut self,
        (root, name): (&Path, &str),
        head: &Head,
        roles: &Roles,
        part: Part,
        see: &mut dyn FnMut(&Record, &StringRecord) -> Result<(), String>,
    ) -> Result<Vec<Record>> {
        let path = root.join(name);
        let wrong = |why: String| Error::Table { path: path.clone(), why };
        let column = |parameter, name: &String| head.column(&path, parameter, name);
        // A test part may come without them.
        let perhaps = |parameter, name: &String| match (column(parameter, name), part) {
            (Err(_), Part::Test) => Ok(None),
            (found, _) => found.map(Some),
        };
        let all = |parameter, names: &[String]| {
            names.iter().map(|name| perhaps(parameter, name)).collect::<Result<Vec<Option<usize>>>>()
        };
        let (labels, meta) = (all("label", &roles.label)?, all("meta", &roles.meta)?);
        let group = roles.group.as_ref().map_or(Ok(None), |name| perhaps("group", name))?;
        // Nobody could tell what was predicted by other ids.
        let id = roles.id.as_ref().map(|name| column("id", name)).transpose()?;
        let parts = roles.part.as_ref().filter(|_| part != Part::Test);
        let parts = parts.map(|name| column("part", name)).transpose()?;
        let is_word = matches!(roles.kind, Kind::Class | Kind::Ordinal | Kind::MultiLabel);

        let stamp = DiskCached::file_stamp(&path);
        let mut lines = Lines::open(&path)?;
        if head.titled {
            lines.next_line()?;
        }
        let (mut rows, mut records) = (vec![], vec![]);
        while let Some(line) = lines.next_line()? {
            let (number, cells) = (line.number, line.cells);
            if cells.len() != head.names.len() {
                let (found, wanted) = (cells.len(), head.names.len());
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
            let record = Record {
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
            };
            see(&record, cells).map_err(|why| wrong(format!("line {number}: {why}")))?;
            records.push(record);
        }
        if rows.is_empty() {
            return Err(wrong("it has no rows; expected one for each picture".into()));
        }
        let unreadable = |source| Error::Read { path: path.clone(), source };
        rows.push((std::fs::metadata(&path).map_err(unreadable)?.len(), 0));
        self.list.push(Sheet { name: name.into(), separator: lines.separator, path, stamp, rows });
        Ok(records)
    }

    /// What changes when the table of a picture does.
    pub fn stamper(&self) -> Stamper {
        let stamps: Vec<_> = self.list.iter().map(|sheet| (sheet.name.clone(), sheet.stamp.clone())).collect();
        Arc::new(move |path| {
            let (sheet, _) = path.rsplit_once('/')?;
            stamps.iter().find(|(name, _)| name == sheet)?.1.clone()
        })
    }

    /// The row of the picture `name`, read again.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no such row, [`Error::Decode`] and [`Error::Read`] when the file is another now.
    pub fn find(&self, name: &str) -> Result<Found> {
        let unknown = || Error::Invalid(format!("source '{}' has no picture '{name}'", self.source));
        let (table, row) = name.rsplit_once('/').ok_or_else(unknown)?;
        let index = self.list.iter().position(|other| other.name == table).ok_or_else(unknown)?;
        let (sheet, row) = (&self.list[index], row.parse::<usize>().map_err(|_| unknown())?);
        let place = row.checked_sub(1).and_then(|row| Some((*sheet.rows.get(row)?, *sheet.rows.get(row + 1)?)));
        let ((start, line), (end, _)) = place.ok_or_else(unknown)?;
        let unreadable = |source| Error::Read { path: sheet.path.clone(), source };
        let mut file = File::open(&sheet.path).map_err(unreadable)?;
        file.seek(SeekFrom::Start(start)).map_err(unreadable)?;
        // No more than a row has was read when the table was gone through.
        let mut bytes = vec![0; end.saturating_sub(start) as usize];
        file.read_exact(&mut bytes).map_err(unreadable)?;
        let cells = cells(&bytes, sheet.separator).map_err(|why| undecoded(name, line, &why))?;
        Ok(Found { sheet: index, line, cells })
    }
}

/// What is said of the picture `name` when the row on `line` makes none.
pub(super) fn undecoded(name: &str, line: u64, why: &str) -> Error {
    Error::Decode { name: name.into(), why: format!("line {line}: {why}") }
}

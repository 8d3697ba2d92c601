//! A table of ids and labels beside a folder of pictures, as most competitions come.

use super::files::{Tree, file_name, is_sample, is_table, words};
use super::{Collection, Found, Listing, Source, class_order};
use crate::decode::Color;
use crate::error::{Error, Result};
use crate::row::{Column, Part, Row, Target};
use crate::table::{Table, is_missing};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A table with a row per picture, or per sample of several. What is not said is found out: the id column is the one whose cells name most
/// pictures (with or without folder and ending), the label column the one that the sample submission asks for, else
/// the one called label, class, target and the like.
///
/// | field | default | range |
/// |---|---|---|
/// | `path` | required | the folder of everything, or the table |
/// | `table` | found | table of the training part, relative to the folder |
/// | `test_table` | found | table of the test part |
/// | `sample_submission` | found | example of an answer; its ids are the test part where no table is |
/// | `id`, `label` | found | column names |
/// | `pictures` | the id | columns that each name one picture of a row's sample: both eyes, two sites |
/// | `sample` | none | columns that say which rows are pictures of one sample: a patient, a product |
/// | `group` | none | column whose values never sit in two folds |
/// | `meta` | none | columns that join the network's head: numbers or categories |
/// | `color` | rgb | rgb, gray |
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Csv {
    /// The root, or the table in it.
    pub path: PathBuf,
    /// Table of the training part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Table of the test part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_table: Option<String>,
    /// Example of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_submission: Option<String>,
    /// Column that names the picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Column of the class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Columns that each name one picture of a row's sample; the id is then the sample's.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "names")]
    pub pictures: Vec<String>,
    /// Columns whose values together say which rows are pictures of one sample.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "names")]
    pub sample: Vec<String>,
    /// Column of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Columns of metadata.
    #[serde(default)]
    pub meta: Vec<String>,
    /// What pictures are turned into.
    #[serde(default)]
    pub color: Color,
}

/// One name, or several.
fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected the name of a column, or several")]
    enum Names {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Names::deserialize(deserializer)? {
        Names::One(name) => vec![name],
        Names::Several(names) => names,
    })
}

/// Names that label columns have.
const LABELS: &[&str] = &["label", "labels", "class", "target", "category", "species", "diagnosis", "level", "y"];

/// How well a table fits the pictures beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// No column names pictures, or none could be the label.
    No,
    /// One column names pictures and one other is left: it may be the label.
    Perhaps,
    /// One column names pictures and another is called as labels are.
    Yes,
}

/// How well the best table below the tree fits.
///
/// # Errors
/// When none fits, the first table that cannot be read.
pub(super) fn fits(tree: &Tree) -> Result<Fit> {
    let index = Index::new(&tree.pictures);
    let sample = tree.sample_submission().and_then(|name| Table::read(&tree.root.join(name)).ok());
    let (mut best, mut broken) = (Fit::No, None);
    for name in training_tables(tree) {
        match Table::read(&tree.root.join(name)) {
            Ok(table) => {
                let Some(id) = id_column(&table, &index) else { continue };
                let free = Csv::default().free_columns(&table, id);
                let fit = match label_among(&table, &free, sample.as_ref()) {
                    Some(_) => Fit::Yes,
                    None if free.len() == 1 => Fit::Perhaps,
                    None => Fit::No,
                };
                best = best.max(fit);
            }
            Err(error) => broken = broken.or(Some(error)),
        }
    }
    broken.filter(|_| best == Fit::No).map_or(Ok(best), Err)
}

/// The column that the sample submission asks for, else one that is called as labels are.
fn label_among(table: &Table, free: &[usize], sample: Option<&Table>) -> Option<usize> {
    let asked = sample.filter(|s| s.header.len() == 2).map(|s| &s.header[1]);
    let named = |i: &&usize| LABELS.contains(&table.header[**i].to_lowercase().as_str());
    free.iter().find(|i| Some(&table.header[**i]) == asked).or_else(|| free.iter().find(named)).copied()
}

/// Tables that may be the training part's, the likeliest first.
fn training_tables(tree: &Tree) -> Vec<&String> {
    let has = |table: &str, word: &str| words(file_name(table)).iter().any(|w| w.starts_with(word));
    let mut tables: Vec<&String> = tree.tables.iter().filter(|t| !is_sample(t) && !has(t, "test")).collect();
    tables.sort_by_key(|t| (t.matches('/').count(), !(has(t, "train") || has(t, "label"))));
    tables
}

impl Source for Csv {
    fn open(&mut self) -> Result<Collection> {
        if is_table(&self.path) && self.path.is_file() {
            self.table = self.path.file_name().map(|name| name.to_string_lossy().into_owned());
            let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty());
            self.path = folder.unwrap_or(Path::new(".")).into();
        }
        let tree = Tree::walk(&self.path)?;
        let index = Index::new(&tree.pictures);
        let sample = self.sample(&tree)?;
        let table = self.training_table(&tree, &index)?;
        if !self.pictures.is_empty() && !self.sample.is_empty() {
            let why = "data.pictures are the pictures of a row, data.sample the rows of a sample; give one of them";
            return Err(Error::Invalid(why.into()));
        }
        let id = match self.id.as_ref().or(self.pictures.first()) {
            Some(name) => table.column("id", name)?,
            None => id_column(&table, &index).ok_or_else(|| {
                table.wrong("no column names the pictures below its folder; say which with data.id".into())
            })?,
        };
        self.id = Some(table.header[id].clone());
        let label = self.label_column(&table, id, sample.as_ref())?;
        self.label = Some(table.header[label].clone());
        let test = self.test_table(&tree, &table.header[id])?;

        let mut reading = Reading::new(&tree, &index);
        reading.add(&table, Part::Train, [id, label], self)?;
        if let Some(test) = &test {
            let (id, known) = (&table.header[id], test.header.join(", "));
            let missing = || test.wrong(format!("column '{id}' of the training table is not in it; there are {known}"));
            let test_id = test.header.iter().position(|h| h == id).ok_or_else(missing)?;
            let test_label = test.header.iter().position(|h| *h == table.header[label]);
            reading.add(test, Part::Test, [test_id, test_label.unwrap_or(usize::MAX)], self)?;
        } else if let Some(sample) = &sample {
            if !(self.pictures.is_empty() && self.sample.is_empty()) {
                let why = "it does not say which pictures its samples have; give a table of the test part with data.test_table";
                return Err(sample.wrong(why.into()));
            }
            reading.add(sample, Part::Test, [0, usize::MAX], self)?;
        }
        reading.finish(self, sample.map(|s| s.path))
    }
}

impl Csv {
    fn sample(&mut self, tree: &Tree) -> Result<Option<Table>> {
        self.sample_submission = self.sample_submission.take().or_else(|| tree.sample_submission().cloned());
        self.sample_submission.as_ref().map(|name| Table::read(&self.path.join(name))).transpose()
    }

    fn training_table(&mut self, tree: &Tree, index: &Index<'_>) -> Result<Table> {
        if let Some(name) = &self.table {
            return Table::read(&self.path.join(name));
        }
        let tables = training_tables(tree);
        for name in &tables {
            let table = Table::read(&self.path.join(name))?;
            if self.id.is_some() || !self.pictures.is_empty() || id_column(&table, index).is_some() {
                self.table = Some(name.to_string());
                return Ok(table);
            }
        }
        let why = match tables.len() {
            0 => "no .csv or .tsv table is below it".to_string(),
            _ => format!(
                "no table ({tables:?}) has a column that names its pictures; say which with data.table and data.id"
            ),
        };
        Err(Error::Layout { path: self.path.clone(), why })
    }

    fn test_table(&mut self, tree: &Tree, id: &str) -> Result<Option<Table>> {
        if let Some(name) = &self.test_table {
            return Table::read(&self.path.join(name)).map(Some);
        }
        let is_test = |t: &&String| words(file_name(t)).iter().any(|w| w.starts_with("test")) && !is_sample(t);
        for name in tree.tables.iter().filter(is_test) {
            // Another table of the test part may be the one.
            let Ok(table) = Table::read(&self.path.join(name)) else { continue };
            if table.header.iter().any(|h| h == id) {
                self.test_table = Some(name.clone());
                return Ok(Some(table));
            }
        }
        Ok(None)
    }

    /// Columns that nothing is said of.
    fn free_columns(&self, table: &Table, id: usize) -> Vec<usize> {
        let free = |i: &usize| {
            let name = &table.header[*i];
            let taken = [&self.meta, &self.pictures, &self.sample].into_iter().flatten().chain(&self.group);
            *i != id && !taken.into_iter().any(|taken| taken == name)
        };
        (0..table.header.len()).filter(free).collect()
    }

    fn label_column(&self, table: &Table, id: usize, sample: Option<&Table>) -> Result<usize> {
        if let Some(name) = &self.label {
            return table.column("label", name);
        }
        let free = self.free_columns(table, id);
        match (label_among(table, &free, sample), &free[..]) {
            (Some(i), _) | (None, &[i]) => Ok(i),
            _ => Err(table.wrong(format!(
                "which column is the label? say it with data.label; there are {}",
                table.header.join(", ")
            ))),
        }
    }
}

/// Pictures by every name that a cell may give them.
struct Index<'a> {
    pictures: &'a [String],
    by_name: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Index<'a> {
    fn new(pictures: &'a [String]) -> Self {
        let mut by_name = HashMap::<&str, Vec<usize>>::new();
        for (i, path) in pictures.iter().enumerate() {
            let name = file_name(path);
            let cut = |text: &'a str| text.rsplit_once('.').map_or(text, |(stem, _)| stem);
            let names: BTreeSet<&str> = [path.as_str(), name, cut(path), cut(name)].into();
            for name in names {
                by_name.entry(name).or_default().push(i);
            }
        }
        Self { pictures, by_name }
    }

    /// Pictures that `cell` may mean.
    fn candidates(&self, cell: &str) -> &[usize] {
        let found = self.by_name.get(cell.trim_start_matches("./")).or_else(|| self.by_name.get(file_name(cell)));
        found.map(Vec::as_slice).unwrap_or_default()
    }

    /// The one picture that `cell` means for a row of `part`: folders called after the part decide between several.
    fn find(&self, cell: &str, part: Part) -> Result<Option<usize>, [usize; 2]> {
        let word = if part == Part::Test { "test" } else { "train" };
        let other = if part == Part::Test { "train" } else { "test" };
        let in_folder = |i: usize, word: &str| {
            let folders = self.pictures[i].rsplit_once('/').map_or("", |(folders, _)| folders);
            words(folders).iter().any(|w| w.starts_with(word))
        };
        match self.candidates(cell) {
            [] => Ok(None),
            [one] => Ok(Some(*one)),
            several => {
                let likely: Vec<usize> = several.iter().copied().filter(|&i| in_folder(i, word)).collect();
                let possible: Vec<usize> = several.iter().copied().filter(|&i| !in_folder(i, other)).collect();
                match (&likely[..], &possible[..]) {
                    ([one], _) | ([], [one]) => Ok(Some(*one)),
                    _ => Err([several[0], several[1]]),
                }
            }
        }
    }
}

/// The column whose cells name the most pictures, if that is at least half of them.
fn id_column(table: &Table, index: &Index<'_>) -> Option<usize> {
    let looked = &table.rows[..table.rows.len().min(2000)];
    let hits = |column: usize| looked.iter().filter(|(_, row)| !index.candidates(&row[column]).is_empty()).count();
    let best = (0..table.header.len()).map(|c| (hits(c), c)).max_by_key(|(hits, c)| (*hits, std::cmp::Reverse(*c)));
    best.filter(|(hits, _)| *hits > 0 && 2 * hits >= looked.len()).map(|(_, column)| column)
}

/// Rows as they are read from the tables.
struct Reading<'a> {
    tree: &'a Tree,
    index: &'a Index<'a>,
    rows: Vec<Row>,
    labels: Vec<Option<String>>,
    /// Cells of the metadata columns; `None` where missing.
    cells: Vec<Vec<Option<String>>>,
    /// Picture of each row.
    pictures: Vec<usize>,
    /// Row of each picture.
    owner: Vec<Option<usize>>,
    /// Rows that stand in their table again.
    repeated: usize,
    /// Test rows whose picture is in the training part.
    known: usize,
    missing_files: Vec<String>,
    missing_values: BTreeMap<String, Vec<String>>,
    warnings: Vec<String>,
}

impl<'a> Reading<'a> {
    fn new(tree: &'a Tree, index: &'a Index<'a>) -> Self {
        Self {
            tree,
            index,
            rows: vec![],
            labels: vec![],
            cells: vec![],
            pictures: vec![],
            owner: vec![None; tree.pictures.len()],
            repeated: 0,
            known: 0,
            missing_files: vec![],
            missing_values: BTreeMap::new(),
            warnings: vec![],
        }
    }

    /// Adds the rows of `table`; a label column that is not there is out of range.
    fn add(&mut self, table: &Table, part: Part, [id, label]: [usize; 2], config: &Csv) -> Result<()> {
        // A test part may come without them.
        let column = |parameter: &'static str, name: &String| match (table.column(parameter, name), part) {
            (Err(_), Part::Test) => Ok(None),
            (found, _) => found.map(Some),
        };
        let group = config.group.as_ref().map(|name| column("group", name)).transpose()?.flatten();
        let meta = config.meta.iter().map(|name| column("meta", name)).collect::<Result<Vec<_>>>()?;
        let sample = config.sample.iter().map(|name| table.column("sample", name)).collect::<Result<Vec<_>>>()?;
        let mut pictures =
            config.pictures.iter().map(|name| table.column("pictures", name)).collect::<Result<Vec<_>>>()?;
        let several = !pictures.is_empty();
        if !several {
            pictures.push(id);
        }
        let mut seen = HashMap::<&str, (u64, Option<String>)>::new();
        for (line, cells) in &table.rows {
            let name = &cells[id];
            if name.is_empty() {
                return Err(table.wrong(format!("line {line} has no id in column '{}'", table.header[id])));
            }
            let class = cells.get(label).filter(|cell| !cell.is_empty()).cloned();
            if let Some((first, said)) = seen.insert(name, (*line, class.clone())) {
                if said != class {
                    return Err(
                        table.wrong(format!("id '{name}' stands on lines {first} and {line} with different labels"))
                    );
                }
                self.repeated += 1;
                continue;
            }
            for (column, cell) in table.header.iter().zip(cells) {
                let missing = if *column == table.header[id] { false } else { is_missing(cell) };
                // A class may be called NA.
                let missing = if table.header.get(label) == Some(column) { cell.is_empty() } else { missing };
                if missing {
                    self.missing_values.entry(column.clone()).or_default().push(name.clone());
                }
            }
            let group = group.map(|g| cells[g].clone()).filter(|g| !is_missing(g));
            let key = match several {
                true => Some(name.clone()),
                false => self.key(table, *line, cells, &sample)?,
            };
            let meta: Vec<_> = meta.iter().map(|m| m.map(|m| cells[m].clone()).filter(|c| !is_missing(c))).collect();
            for &column in &pictures {
                let cell = &cells[column];
                if several && is_missing(cell) {
                    continue;
                }
                let row = Row { id: cell.clone(), part, group: group.clone(), sample: key.clone(), ..Row::default() };
                if self.take(table, *line, row)? {
                    self.labels.push(class.clone());
                    self.cells.push(meta.clone());
                }
            }
        }
        Ok(())
    }

    /// The sample that a row is a picture of: the values of these columns.
    fn key(&self, table: &Table, line: u64, cells: &[String], columns: &[usize]) -> Result<Option<String>> {
        if let Some(&empty) = columns.iter().find(|&&column| is_missing(&cells[column])) {
            let column = &table.header[empty];
            return Err(table.wrong(format!("line {line} has no value in column '{column}', which data.sample names")));
        }
        let values: Vec<&str> = columns.iter().map(|&column| cells[column].as_str()).collect();
        Ok(Some(values.join("/")).filter(|_| !columns.is_empty()))
    }

    /// Takes `row` with the picture that its id names, if there is one that no other row has.
    fn take(&mut self, table: &Table, line: u64, row: Row) -> Result<bool> {
        let name = &row.id;
        let found = self.index.find(name, row.part).map_err(|[a, b]| {
            let pictures = self.index.pictures;
            table.wrong(format!("line {line}: id '{name}' may be '{}' or '{}'", pictures[a], pictures[b]))
        })?;
        let Some(picture) = found else {
            self.missing_files.push(name.clone());
            return Ok(false);
        };
        if let Some(first) = self.owner[picture].replace(self.rows.len()) {
            let other = &self.rows[first];
            if row.part == Part::Test && other.part == Part::Train {
                self.owner[picture] = Some(first);
                self.known += 1;
                return Ok(false);
            }
            let path = &self.index.pictures[picture];
            return Err(
                table.wrong(format!("line {line}: ids '{}' and '{name}' mean the same picture '{path}'", other.id))
            );
        }
        self.rows.push(row);
        self.pictures.push(picture);
        Ok(true)
    }

    fn finish(mut self, config: &Csv, sample_submission: Option<PathBuf>) -> Result<Collection> {
        let training = |i: &usize| self.rows[*i].part == Part::Train;
        let known = (0..self.rows.len()).filter(training).filter_map(|i| self.labels[i].clone());
        let classes = class_order(known);
        let columns = self.columns(&config.meta);
        for (i, row) in self.rows.iter_mut().enumerate() {
            let class = self.labels[i].as_ref().and_then(|label| classes.iter().position(|c| c == label));
            row.target = class.map(|class| Target::Class(class as u32));
            row.meta = columns.iter().zip(&self.cells[i]).map(|(column, cell)| code(column, cell.as_deref())).collect();
        }
        self.warnings.extend(self.tree.warnings());
        if self.repeated > 0 {
            self.warnings.push(format!("{} rows stand in their table again and are left out", self.repeated));
        }
        if self.known > 0 {
            self.warnings.push(format!("{} test rows mean a training picture and are left out", self.known));
        }
        let owned = self.tree.pictures.iter().zip(&self.owner);
        let files = owned.map(|(path, row)| Found { path: path.clone(), row: *row }).collect();
        let read = self.tree.reader(config.color);
        let paths = self.pictures.iter().map(|&p| self.tree.pictures[p].clone()).collect();
        self.missing_files.sort();
        Ok(Collection {
            dataset: Arc::new(Listing { rows: self.rows, paths, classes, columns, read: read.clone() }),
            files,
            missing_files: self.missing_files,
            missing_values: self.missing_values,
            label: config.label.clone(),
            sample_submission,
            warnings: self.warnings,
            read,
        })
    }

    /// A column is numeric where all its cells are numbers.
    fn columns(&self, names: &[String]) -> Vec<Column> {
        let column = |(m, name): (usize, &String)| {
            let values: BTreeSet<&String> = self.cells.iter().filter_map(|cells| cells.get(m)?.as_ref()).collect();
            let numeric = values.iter().all(|v| v.parse::<f32>().is_ok_and(f32::is_finite));
            let categories = if numeric { vec![] } else { values.into_iter().cloned().collect() };
            Column { name: name.clone(), categories }
        };
        names.iter().enumerate().map(column).collect()
    }
}

/// The raw value of a cell.
fn code(column: &Column, cell: Option<&str>) -> f32 {
    let Some(cell) = cell else { return f32::NAN };
    match column.categories.is_empty() {
        true => cell.parse().unwrap_or(f32::NAN),
        false => column.categories.iter().position(|c| c == cell).map_or(f32::NAN, |i| i as f32),
    }
}

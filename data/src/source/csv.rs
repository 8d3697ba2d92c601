//! A table of ids and labels beside a folder of pictures, as most competitions come.

use super::files::{Tree, below, file_name, is_sample, is_table, part_named, words};
use super::folder::class_folders;
use super::records::{Record, Records};
use super::{Collection, Reader, Source};
use crate::decode::Color;
use crate::error::{Error, Result};
use crate::labels::{Kind, Labels};
use crate::row::Part;
use crate::table::{Cells, Table, is_missing};
use rayon::prelude::*;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

/// A table with a row per picture, or per sample of several. What is not said is found out: the id column is the one whose
/// cells name most pictures (with or without ending, and with the folders of any machine), the label column the one that the
/// sample submission asks for, else the one called label, class, target and the like.
///
/// | field | default | range |
/// |---|---|---|
/// | `path` | required | the folder of everything, or the table |
/// | `table` | found | table of the training part, relative to the folder |
/// | `test_table` | found | table of the test part |
/// | `sample_submission` | found | example of an answer; its ids are the test part where no table is |
/// | `id` | found | column name, or a pattern that composes it of several: `{experiment}_{plate}_{well}` |
/// | `label` | found | a column, or several: one per class, or one per value of a regression or distribution |
/// | `target` | class | what the labels are ([`Labels`]): class, multi_label, ordinal, distribution, regression |
/// | `pictures` | the id | columns that each name one picture of a row's sample: both eyes, two sites |
/// | `part` | none | column that says what a row of the training table is for: train, val or test; FER2013's words are known |
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
    /// Column that names the picture, or a pattern of columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
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
    /// Columns that each name one picture of a row's sample; the id is then the sample's.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "names")]
    pub pictures: Vec<String>,
    /// Column that says which part a row is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
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
pub(super) fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
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

/// One name as a word.
pub(super) fn one_or_several<S: Serializer>(names: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    match names {
        [one] => serializer.serialize_str(one),
        several => serializer.collect_seq(several),
    }
}

/// Rows that are looked at to tell which column names the pictures.
const LOOKED: usize = 2000;
/// Names that label columns have.
pub(super) const LABELS: &[&str] =
    &["label", "labels", "class", "target", "category", "species", "diagnosis", "level", "emotion", "y"];

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
    let sample = tree.sample_submission().and_then(|name| Table::head(&tree.root.join(name), 1).ok());
    let (mut best, mut broken) = (Fit::No, None);
    for name in training_tables(tree) {
        match Table::head(&tree.root.join(name), LOOKED) {
            Ok(table) => {
                let Some(id) = id_column(&table, &index) else { continue };
                let free = Csv::default().free_columns(&table, id);
                let fit = match labels_among(&table, &free, sample.as_ref())[..] {
                    [] if free.len() == 1 => Fit::Perhaps,
                    [] => Fit::No,
                    _ => Fit::Yes,
                };
                best = best.max(fit);
            }
            Err(error) => broken = broken.or(Some(error)),
        }
    }
    broken.filter(|_| best == Fit::No).map_or(Ok(best), Err)
}

/// The columns that the sample submission asks for, else one that is called as labels are.
fn labels_among(table: &Table, free: &[usize], sample: Option<&Table>) -> Vec<usize> {
    let place = |name: &String| free.iter().copied().find(|&i| table.header[i] == *name);
    let asked = sample.and_then(|sample| sample.header.get(1..)?.iter().map(place).collect::<Option<Vec<_>>>());
    let named = |i: &&usize| LABELS.contains(&table.header[**i].to_lowercase().as_str());
    asked.filter(|asked| !asked.is_empty()).unwrap_or_else(|| free.iter().find(named).copied().into_iter().collect())
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
        self.enter();
        let tree = Tree::walk(&self.path)?;
        let read = tree.reader(self.color);
        self.rows(tree, read)
    }
}

impl Csv {
    /// Makes the path of a table the folder it lies in.
    pub(super) fn enter(&mut self) {
        if is_table(&self.path) && self.path.is_file() {
            self.table = self.path.file_name().map(|name| name.to_string_lossy().into_owned());
            let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty());
            self.path = folder.unwrap_or(Path::new(".")).into();
        }
    }

    /// The pictures of `tree` with what its tables say of them, or their class folders where no table names them; `read`
    /// decodes them.
    pub(super) fn open_any(&mut self, tree: Tree, read: Reader) -> Result<Collection> {
        let said = self.table.is_some() || self.id.is_some() || !self.label.is_empty();
        let fit = if said { Ok(Fit::Yes) } else { fits(&tree) };
        if matches!(fit, Ok(Fit::Yes)) {
            return self.rows(tree, read);
        }
        let columns = self.group.iter().chain(&self.meta).chain(&self.sample).next();
        if columns.is_some() || !self.target.is_plain() {
            return self.rows(tree, read);
        }
        match (class_folders(&tree, read.clone(), None), fit) {
            (Ok(found), Ok(Fit::No)) => Ok(found),
            (Ok(found), _) if found.dataset.classes().len() >= 2 => Ok(found),
            (_, Ok(Fit::Perhaps)) => self.rows(tree, read),
            (_, Err(error)) | (Err(error), _) => Err(error),
            (found, _) => found,
        }
    }

    /// The rows of the tables with the pictures of `tree`, which `read` decodes.
    pub(super) fn rows(&mut self, tree: Tree, read: Reader) -> Result<Collection> {
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
        let labels = self.label_columns(&table, id, sample.as_ref())?;
        self.label = labels.iter().map(|&label| table.header[label].clone()).collect();
        let test = self.test_table(&tree, &table.header[id])?;

        let mut reading = Reading { owner: vec![None; tree.pictures.len()], ..Reading::default() };
        reading.add(&table, Part::Train, id, self, &index)?;
        if let Some(test) = &test {
            let (id, known) = (&table.header[id], test.header.join(", "));
            let missing = || test.wrong(format!("column '{id}' of the training table is not in it; there are {known}"));
            let test_id = test.header.iter().position(|h| h == id).ok_or_else(missing)?;
            reading.add(test, Part::Test, test_id, self, &index)?;
        } else if let Some(sample) = &sample {
            if !(self.pictures.is_empty() && self.sample.is_empty()) {
                let why = "it does not say which pictures its samples have; give a table of the test part with data.test_table";
                return Err(sample.wrong(why.into()));
            }
            // What stands in its label columns is an example.
            reading.add(sample, Part::Test, 0, &Self { label: vec![], ..self.clone() }, &index)?;
        }
        let place = table.path.clone();
        let sample_submission = sample.map(|sample| sample.path);
        // Of a million rows these take as much memory as what is made of them.
        drop((index, table, test));
        let found = reading.finish(self, tree, read, &place)?;
        Ok(Collection { sample_submission, ..found })
    }

    /// Reads a table, with the column of the ids where those are composed.
    fn read_table(&self, name: &str) -> Result<Table> {
        let table = Table::read(&self.path.join(name))?;
        match &self.id {
            Some(pattern) if pattern.contains('{') => table.composed(pattern),
            _ => Ok(table),
        }
    }

    fn sample(&mut self, tree: &Tree) -> Result<Option<Table>> {
        self.sample_submission = self.sample_submission.take().or_else(|| tree.sample_submission().cloned());
        self.sample_submission.as_ref().map(|name| Table::read(&self.path.join(name))).transpose()
    }

    fn training_table(&mut self, tree: &Tree, index: &Index<'_>) -> Result<Table> {
        if let Some(name) = &self.table {
            return self.read_table(name);
        }
        let tables = training_tables(tree);
        for name in &tables {
            let table = self.read_table(name)?;
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
            return self.read_table(name).map(Some);
        }
        let is_test = |t: &&String| words(file_name(t)).iter().any(|w| w.starts_with("test")) && !is_sample(t);
        for name in tree.tables.iter().filter(is_test) {
            // Another table of the test part may be the one.
            let Ok(table) = self.read_table(name) else { continue };
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
            let taken = [&self.meta, &self.pictures, &self.sample].into_iter().flatten();
            let taken = taken.chain(&self.group).chain(&self.part);
            *i != id && !taken.into_iter().any(|taken| taken == name)
        };
        (0..table.header.len()).filter(free).collect()
    }

    fn label_columns(&self, table: &Table, id: usize, sample: Option<&Table>) -> Result<Vec<usize>> {
        if !self.label.is_empty() {
            return self.label.iter().map(|name| table.column("label", name)).collect();
        }
        let free = self.free_columns(table, id);
        match (labels_among(table, &free, sample), &free[..]) {
            (found, _) if !found.is_empty() => Ok(found),
            (_, &[one]) => Ok(vec![one]),
            (_, free) if matches!(self.target.kind, Kind::Distribution | Kind::Regression) && !free.is_empty() => {
                Ok(free.to_vec())
            }
            _ => Err(table.wrong(format!(
                "which column is the label? say it with data.label; there are {}",
                table.header.join(", ")
            ))),
        }
    }
}

/// Pictures by the names that a cell may give them: with or without ending, and with the folders of any machine.
pub(super) struct Index<'a> {
    pictures: &'a [String],
    /// By name without ending.
    stems: Stems,
    /// By that and the folder: those of many folders may all be called alike.
    placed: Stems,
}

/// A number made of each picture's name, and the picture; sorted. Of a million pictures this takes a tenth of a map's memory.
struct Stems {
    numbers: Vec<(u64, u32)>,
    /// Where in `numbers` those of each first 16 bits begin.
    starts: Vec<u32>,
}

impl Stems {
    fn new(pictures: &[String], number: impl Fn(&str) -> u64 + Sync) -> Self {
        let mut numbers: Vec<(u64, u32)> =
            pictures.par_iter().map(|path| number(path)).zip(0..pictures.len() as u32).collect();
        numbers.par_sort_unstable();
        let start = |first: u64| numbers.partition_point(|(number, _)| number >> 48 < first) as u32;
        let starts = (0..=1 << 16).map(start).collect();
        Self { numbers, starts }
    }

    /// Pictures that may have this number's name.
    fn of(&self, number: u64) -> impl Iterator<Item = usize> {
        let first = (number >> 48) as usize;
        let bucket = &self.numbers[self.starts[first] as usize..self.starts[first + 1] as usize];
        bucket.iter().filter(move |(other, _)| *other == number).map(|(_, picture)| *picture as usize)
    }
}

/// A number made of a name and its folder; empty: of any.
fn number_of(folder: &str, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(folder.as_bytes());
    hasher.write_u8(b'/');
    hasher.write(name.as_bytes());
    hasher.finish()
}

/// The folder that a file lies in directly; empty where none is said.
fn last_folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folders, _)| file_name(folders))
}

/// Without the ending.
fn stem(name: &str) -> &str {
    let plain = name.strip_suffix(".gz").filter(|plain| plain.ends_with(".nii")).unwrap_or(name);
    plain.rsplit_once('.').map_or(plain, |(stem, _)| stem)
}

impl<'a> Index<'a> {
    pub fn new(pictures: &'a [String]) -> Self {
        let stems = Stems::new(pictures, |path| number_of("", stem(file_name(path))));
        let placed = Stems::new(pictures, |path| number_of(last_folder(path), stem(file_name(path))));
        Self { pictures, stems, placed }
    }

    /// Pictures whose file is called `name`, without its ending or with it, in a folder called `folder`; empty: in any.
    fn named(&self, folder: &str, name: &str) -> Vec<usize> {
        // What looks like an ending may be part of a name without one.
        let owns = if stem(name) == name { vec![name] } else { vec![stem(name), name] };
        let index = if folder.is_empty() { &self.stems } else { &self.placed };
        let is_meant = |picture: &usize| {
            let path = &self.pictures[*picture];
            let file = file_name(path);
            (file == name || stem(file) == name) && (folder.is_empty() || last_folder(path) == folder)
        };
        owns.into_iter().flat_map(|own| index.of(number_of(folder, own)).filter(is_meant)).collect()
    }

    /// Pictures that `cell` may mean: all of its file name, or of these those that share the most folders with it, or the one
    /// whose path it is.
    fn candidates(&self, cell: &str) -> Vec<usize> {
        let cell = slashes(cell.trim_start_matches("./"));
        // Those of its folder share the most folders with it.
        let mut several = self.named(last_folder(&cell), file_name(&cell));
        if several.is_empty() {
            several = self.named("", file_name(&cell));
        }
        if several.len() > 1 {
            let path = |picture: usize| self.pictures[picture].as_str();
            if let Some(one) = several.iter().find(|&&i| path(i) == cell || stem(path(i)) == cell) {
                return vec![*one];
            }
            let folders = |path| str::rsplit(path, '/').skip(1);
            let shared = |i: usize| folders(path(i)).zip(folders(&cell)).take_while(|(a, b)| a == b).count();
            let most = several.iter().map(|&i| shared(i)).max();
            several.retain(|&i| Some(shared(i)) == most);
        }
        several
    }

    /// The one picture that `cell` means for a row of `part`: folders called after the part decide between several.
    pub fn find(&self, cell: &str, part: Part) -> Result<Option<usize>, [usize; 2]> {
        let word = if part == Part::Test { "test" } else { "train" };
        let other = if part == Part::Test { "train" } else { "test" };
        let in_folder = |i: usize, word: &str| {
            let folders = self.pictures[i].rsplit_once('/').map_or("", |(folders, _)| folders);
            words(folders).iter().any(|w| w.starts_with(word))
        };
        match &self.candidates(cell)[..] {
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

/// A path with `/`, as Windows writes it with `\\`.
fn slashes(cell: &str) -> Cow<'_, str> {
    match cell.contains('\\') {
        true => cell.replace('\\', "/").into(),
        false => cell.into(),
    }
}

/// The column whose cells name the most pictures, if that is at least half of them.
fn id_column(table: &Table, index: &Index<'_>) -> Option<usize> {
    let looked = table.len().min(LOOKED);
    let hits = |column: usize| (0..looked).filter(|&r| !index.candidates(&table.row(r)[column]).is_empty()).count();
    let best = (0..table.header.len()).map(|c| (hits(c), c)).max_by_key(|(hits, c)| (*hits, std::cmp::Reverse(*c)));
    best.filter(|(hits, _)| *hits > 0 && 2 * hits >= looked).map(|(_, column)| column)
}

/// Most contradictions that are named.
const NAMED: usize = 10;

/// Ids whose rows contradict each other.
#[derive(Default)]
struct Contradictions {
    count: usize,
    named: Vec<String>,
}

impl Contradictions {
    fn add(&mut self, what: impl FnOnce() -> String) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(what());
        }
    }

    fn finish(self) -> Result<(), String> {
        let more = self.count - self.named.len();
        let named = self.named.join(", ");
        match (self.count, more) {
            (0, _) => Ok(()),
            (_, 0) => Err(format!("{named}; leave one line of each id")),
            _ => Err(format!("{named} and {more} more; leave one line of each id")),
        }
    }
}

/// Rows as they are read from the tables.
#[derive(Default)]
struct Reading {
    /// Without their paths.
    records: Vec<Record>,
    /// Row of each picture.
    owner: Vec<Option<usize>>,
    /// How many rows stand in their table again, and the first of them.
    repeated: Option<(usize, String)>,
    /// How many of these have other metadata there, and of the first of them where.
    other_meta: Option<(usize, String)>,
    /// How many test rows have a picture of the training part, and the first of them.
    known: Option<(usize, String)>,
    missing_files: Vec<String>,
    missing_values: BTreeMap<String, Vec<String>>,
}

impl Reading {
    /// Adds the rows of `table`, whose pictures column `id` names.
    fn add(&mut self, table: &Table, part: Part, id: usize, config: &Csv, index: &Index<'_>) -> Result<()> {
        // A test part may come without them.
        let column = |parameter: &'static str, name: &String| match (table.column(parameter, name), part) {
            (Err(_), Part::Test) => Ok(None),
            (found, _) => found.map(Some),
        };
        let columns = |parameter, names: &[String]| {
            names.iter().map(|name| column(parameter, name)).collect::<Result<Vec<Option<usize>>>>()
        };
        let labels = columns("label", &config.label)?;
        let group = columns("group", config.group.as_slice())?.first().copied().flatten();
        let meta = columns("meta", &config.meta)?;
        let sample = config.sample.iter().map(|name| table.column("sample", name)).collect::<Result<Vec<_>>>()?;
        // All rows of a table of the test part are of it.
        let parts = config.part.as_ref().filter(|_| part != Part::Test);
        let parts = parts.map(|name| table.column("part", name)).transpose()?;
        let mut pictures =
            config.pictures.iter().map(|name| table.column("pictures", name)).collect::<Result<Vec<_>>>()?;
        let several = !pictures.is_empty();
        if !several {
            pictures.push(id);
        }
        // Of a listing of labels, an empty one is a listing; a class may be called NA.
        let label = |cells: Cells<'_>, column: Option<usize>| {
            let cell = cells.get(column?).filter(|cell| !cell.is_empty())?;
            let is_word =
                matches!(config.target.kind, Kind::Class | Kind::Ordinal | Kind::MultiLabel) && labels.len() == 1;
            (is_word || !is_missing(cell)).then(|| cell.to_string())
        };
        let mut is_label = vec![false; table.header.len()];
        labels.iter().flatten().for_each(|&column| is_label[column] = true);
        // What a row that stands there again must repeat.
        let repeats: Vec<usize> =
            labels.iter().chain(&[group]).flatten().chain(&sample).chain(&parts).copied().collect();
        let repeats: Vec<usize> = repeats.into_iter().chain(pictures.iter().copied().filter(|&p| p != id)).collect();
        let mut contradictions = Contradictions::default();
        // The first row of each id, and whether another one contradicts it.
        let mut seen = HashMap::<&str, (usize, bool)>::with_capacity(table.len());
        for (r, cells) in table.rows().enumerate() {
            let (line, name) = (cells.line, cells.get(id).unwrap_or_default());
            if name.is_empty() {
                return Err(table.wrong(format!("line {line} has no id in column '{}'", table.header[id])));
            }
            let (first, is_refuted) = seen.entry(name).or_insert((r, false));
            if *first != r {
                let first = table.row(*first);
                let differs = |column: &&usize| first[**column] != cells[**column];
                if let Some(&column) = repeats.iter().find(differs) {
                    let (first, column) = (first.line, &table.header[column]);
                    if !std::mem::replace(is_refuted, true) {
                        contradictions.add(|| {
                            format!("id '{name}' stands on lines {first} and {line} with different '{column}'")
                        });
                    }
                } else if let Some(&column) = meta.iter().flatten().find(differs) {
                    let what = || (0, format!("'{name}' in column '{}'", table.header[column]));
                    self.other_meta.get_or_insert_with(what).0 += 1;
                }
                self.repeated.get_or_insert((0, name.into())).0 += 1;
                continue;
            }
            let part = parts.map_or(Ok(part), |column| part_named(&cells[column]));
            let part = part.map_err(|why| table.wrong(format!("line {line}: data.part: {why}")))?;
            for (c, column) in table.header.iter().enumerate().filter(|(c, _)| *c != id) {
                let missing = match is_label[c] {
                    // What is to be predicted need not be said.
                    true => part != Part::Test && label(cells, Some(c)).is_none(),
                    false => is_missing(&cells[c]),
                };
                if missing {
                    self.missing_values.entry(column.clone()).or_default().push(name.into());
                }
            }
            let known = |column: usize| cells.get(column).filter(|cell| !is_missing(cell)).map(str::to_string);
            let record = Record {
                part,
                labels: labels.iter().map(|&column| label(cells, column)).collect(),
                group: group.and_then(known),
                sample: match several {
                    true => Some(name.into()),
                    false => self.key(table, cells, &sample)?,
                },
                meta: meta.iter().map(|column| column.and_then(known)).collect(),
                ..Record::default()
            };
            for cell in pictures.iter().filter_map(|&column| cells.get(column)) {
                if !(several && is_missing(cell)) {
                    self.take(table, line, Record { id: cell.into(), ..record.clone() }, index)?;
                }
            }
        }
        contradictions.finish().map_err(|why| table.wrong(why))
    }

    /// The sample that a row is a picture of: the values of these columns.
    fn key(&self, table: &Table, cells: Cells<'_>, columns: &[usize]) -> Result<Option<String>> {
        if let Some(&empty) = columns.iter().find(|&&column| is_missing(&cells[column])) {
            let (line, column) = (cells.line, &table.header[empty]);
            return Err(table.wrong(format!("line {line} has no value in column '{column}', which data.sample names")));
        }
        let values: Vec<&str> = columns.iter().map(|&column| &cells[column]).collect();
        Ok(Some(values.join("/")).filter(|_| !columns.is_empty()))
    }

    /// Takes `record` with the picture that its id names, if there is one that no other row has.
    fn take(&mut self, table: &Table, line: u64, record: Record, index: &Index<'_>) -> Result<()> {
        let name = &record.id;
        let pictures = index.pictures;
        let found = index.find(name, record.part).map_err(|[a, b]| {
            table.wrong(format!("line {line}: id '{name}' may be '{}' or '{}'", pictures[a], pictures[b]))
        })?;
        let Some(picture) = found else {
            self.missing_files.push(name.clone());
            return Ok(());
        };
        if let Some(first) = self.owner[picture] {
            let other = &self.records[first];
            if record.part == Part::Test && other.part == Part::Train {
                self.known.get_or_insert((0, name.clone())).0 += 1;
                return Ok(());
            }
            return Err(table.wrong(format!(
                "line {line}: ids '{}' and '{name}' mean the same picture '{}'",
                other.id, pictures[picture]
            )));
        }
        self.owner[picture] = Some(self.records.len());
        self.records.push(record);
        Ok(())
    }

    /// The data set of these rows; `place` is their table.
    fn finish(mut self, config: &Csv, tree: Tree, read: Reader, place: &Path) -> Result<Collection> {
        let (mut warnings, stamp) = (tree.warnings(), below(&tree.root));
        let mut say = |left_out: &Option<(usize, String)>, what: &str| {
            let said = left_out.as_ref().map(|(count, first)| format!("{count} {what} and are left out, as '{first}'"));
            warnings.extend(said);
        };
        say(&self.repeated, "rows stand in their table again");
        say(&self.known, "test rows mean a training picture");
        warnings.extend(self.other_meta.iter().map(|(count, first)| {
            format!(
                "{count} rows that stand in their table again have other metadata there, which are lost, as {first}"
            )
        }));
        let mut unowned = vec![];
        for (path, owner) in tree.pictures.into_iter().zip(&self.owner) {
            match owner {
                Some(row) => self.records[*row].path = path,
                None => unowned.push(path),
            }
        }
        // A sample submission has no label columns.
        let width = config.label.len();
        self.records.iter_mut().for_each(|record| record.labels.resize(width, None));
        let (columns, meta) = (config.label.clone(), config.meta.clone());
        let records = Records { columns, meta, records: self.records, unowned, read, stamp };
        let found = records.collect(&config.target, place)?;
        self.missing_files.sort();
        warnings.extend(found.warnings.iter().cloned());
        let (missing_files, missing_values) = (self.missing_files, self.missing_values);
        Ok(Collection { missing_files, missing_values, warnings, ..found })
    }
}

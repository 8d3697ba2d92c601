//! Files that hold many samples each: which files those are, which of their fields say what, and how the places of
//! their pictures are written.

use super::csv::LABELS;
use super::files::{Tree, below, ending, file_name, words};
use super::folder::part_of;
use super::records::{Record, Records};
use super::{Collection, Reader, Stamper};
use crate::cache::DiskCached;
use crate::error::{Error, Result};
use crate::labels::{Kind, Labels};
use crate::row::Part;
use crate::table::is_missing;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names that ids have, the likeliest first.
const IDS: &[&str] =
    &["id", "image_id", "image_name", "filename", "file_name", "image/filename", "image_path", "name", "key", "uuid"];
/// Names that pictures have, the likeliest first.
pub(super) const IMAGES: &[&str] =
    &["image", "image/encoded", "img", "picture", "photo", "jpg", "jpeg", "png", "webp", "image_raw", "pixel_values"];
/// Names that labels have beside those of tables.
const MORE_LABELS: &[&str] = &["cls", "image/class/label", "class_id", "label_id"];
/// What stands between the values of one field: no text has it.
const UNIT: &str = "\u{1f}";
/// Most files that braces may stand for.
const MOST_FILES: usize = 1 << 20;

/// The source that reads a file of this name, if it is one of many samples.
pub(super) fn kind(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?.to_lowercase();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    match ending(path).as_str() {
        "parquet" => Some("parquet"),
        "bson" => Some("bson"),
        "tar" => Some("webdataset"),
        // TensorFlow Datasets counts behind the ending: `flowers-train.tfrecord-00000-of-00002`.
        _ if [".tfrec", ".tfrecord", ".tfrecords"].iter().any(|end| stem.ends_with(end)) => Some("tfrecord"),
        _ if name.contains(".tfrecord-") => Some("tfrecord"),
        _ => None,
    }
}

/// A file of many samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shard {
    pub path: PathBuf,
    /// Relative to the data's root, with `/`.
    pub name: String,
    /// What its own name or that of a folder above says.
    pub part: Part,
    /// Of the file, before it is listed.
    pub stamp: Option<String>,
}

/// The files of a data set, sorted by name.
pub(super) struct Shards {
    /// What was asked for.
    pub path: PathBuf,
    /// What their names are relative to.
    pub root: PathBuf,
    pub list: Vec<Shard>,
    pub sample_submission: Option<PathBuf>,
}

impl Shards {
    /// The files of source `source` at `path`: one file, those below a folder, or those of a pattern, in which `*` and
    /// `?` stand for parts of a name and `{0..9}`, `{000..009}` and `{a,b}` for each of several.
    pub fn find(path: &Path, source: &str) -> Result<Self> {
        let of = |root, list, sample_submission| Self { path: path.into(), root, list, sample_submission };
        let wrong = |why: String| Error::Layout { path: path.into(), why };
        let text = path.to_string_lossy();
        let mut shards = if path.is_dir() {
            let tree = Tree::walk(path)?;
            let sample = tree.sample_submission().map(|table| path.join(table));
            let ours = tree.shards.into_iter().filter(|name| kind(Path::new(name)) == Some(source));
            of(path.into(), ours.map(|name| shard(path, name)).collect(), sample)
        } else if !path.exists() && text.contains(['*', '?', '{']) {
            let wild = |part: &str| part.contains(['*', '?', '{']);
            let components: Vec<&str> = text.split('/').collect();
            let fixed = components.iter().position(|part| wild(part)).unwrap_or_default();
            let root = match &components[..fixed] {
                [] => PathBuf::from("."),
                [""] => PathBuf::from("/"),
                fixed => PathBuf::from(fixed.join("/")),
            };
            let mut names = BTreeSet::new();
            let mut there: Option<Vec<String>> = None;
            for pattern in expand(&components[fixed..].join("/")).map_err(wrong)? {
                if !wild(&pattern) {
                    names.insert(pattern);
                    continue;
                }
                if there.is_none() {
                    there = Some(Tree::walk(&root)?.shards);
                }
                names.extend(
                    there.iter().flatten().filter(|name| matches(pattern.as_bytes(), name.as_bytes())).cloned(),
                );
            }
            let list = names.into_iter().map(|name| shard(&root, name)).collect();
            of(root, list, None)
        } else {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let root = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            of(root.into(), vec![Shard { path: path.into(), ..shard(root, name) }], None)
        };
        if shards.list.is_empty() {
            return Err(wrong(format!(
                "no file of the source '{source}' is there; give one, their folder or a pattern"
            )));
        }
        shards.list.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(shards)
    }

    /// What `f` makes of each file, in their order; of several errors the first file's.
    pub fn each<T: Send>(&self, f: impl Fn(&Shard) -> Result<T> + Sync) -> Result<Vec<T>> {
        let made: Vec<Result<T>> = self.list.par_iter().map(&f).collect();
        made.into_iter().collect()
    }

    /// The stamp of the file that a picture lies in, or of its own where it lies beside them.
    fn stamper(&self) -> Stamper {
        let stamps: Vec<_> = self.list.iter().map(|shard| (shard.name.clone(), shard.stamp.clone())).collect();
        let beside = below(&self.root);
        Arc::new(move |path| {
            let shard = |end| stamps.binary_search_by(|(name, _)| name.as_str().cmp(&path[..end])).ok();
            let found = path.match_indices('/').find_map(|(slash, _)| shard(slash));
            found.map_or_else(|| beside(path), |shard| stamps[shard].1.clone())
        })
    }

    /// The file and the number that a [`place`] names.
    pub fn locate(&self, place: &str) -> Option<(usize, usize)> {
        let (name, number) = place.rsplit_once('/')?;
        let shard = self.list.binary_search_by(|shard| shard.name.as_str().cmp(name)).ok()?;
        Some((shard, number.parse().ok()?))
    }
}

/// What the picture of number `index` of `len` in a file is called.
pub(super) fn place(shard: &Shard, index: usize, len: usize) -> String {
    let digits = len.saturating_sub(1).to_string().len().max(5);
    format!("{}/{index:0digits$}", shard.name)
}

fn shard(root: &Path, name: String) -> Shard {
    // `train00-2071.tfrec` is of the training part, `test/0.tfrec` of the test part.
    let word = |word: &String| part_of(word.trim_end_matches(|c: char| c.is_ascii_digit())).map(|(part, _)| part);
    let part = name.rsplit('/').find_map(|component| words(component).iter().find_map(word));
    let path = root.join(&name);
    Shard { stamp: DiskCached::file_stamp(&path), path, part: part.unwrap_or_default(), name }
}

/// What the braces of `pattern` stand for.
fn expand(pattern: &str) -> Result<Vec<String>, String> {
    let Some((before, rest)) = pattern.split_once('{') else { return Ok(vec![pattern.into()]) };
    let (inside, after) = rest.split_once('}').ok_or("a brace is not closed")?;
    let number = |text: &str| text.parse::<usize>().map_err(|_| format!("'{text}' in braces is no number"));
    let choices: Vec<String> = match inside.split_once("..") {
        Some((first, last)) => {
            let (width, first, last) = (first.len(), number(first)?, number(last)?);
            if last < first || last - first >= MOST_FILES {
                return Err(format!("the braces '{{{inside}}}' stand for no file or for more than {MOST_FILES}"));
            }
            (first..=last).map(|number| format!("{number:0width$}")).collect()
        }
        None => inside.split(',').map(str::to_string).collect(),
    };
    let rests = expand(after)?;
    if choices.len().saturating_mul(rests.len()) > MOST_FILES {
        return Err(format!("its braces stand for more than {MOST_FILES} files"));
    }
    let all = choices.iter().flat_map(|choice| rests.iter().map(move |rest| format!("{before}{choice}{rest}")));
    Ok(all.collect())
}

/// Whether `name` is of `pattern`, in which `*` is any text without `/` and `?` any byte but `/`.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&byte) if byte == name[n] || (byte == b'?' && name[n] != b'/') => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, taken)) if name[taken] != b'/' => {
                    star = Some((at, taken + 1));
                    (p, n) = (at + 1, taken + 1);
                }
                _ => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// The values of a sample's fields, by name; a field that is missing is not there.
pub(super) type Values = BTreeMap<String, Vec<String>>;

/// Which fields of a sample say what.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    pub id: Option<String>,
    pub label: Vec<String>,
    pub sample: Vec<String>,
    pub group: Option<String>,
    pub meta: Vec<String>,
    /// Whether the id was found, not said.
    pub found_id: bool,
    /// Samples without their id, and the first of them.
    pub without_id: Option<(usize, String)>,
}

impl Fields {
    /// Finds out among `known`, the names of all fields, what is not said. Where a training part is among `shards`, there
    /// must be a label.
    pub fn find(&mut self, known: &BTreeSet<String>, shards: &Shards) -> Result<()> {
        let said = [
            ("id", self.id.as_slice()),
            ("label", &self.label[..]),
            ("sample", &self.sample[..]),
            ("group", self.group.as_slice()),
            ("meta", &self.meta[..]),
        ];
        let all = || known.iter().cloned().collect::<Vec<_>>().join(", ");
        for (parameter, names) in said {
            if let Some(name) = names.iter().find(|name| !known.contains(*name)) {
                let (path, name) = (shards.path.clone(), name.clone());
                return Err(Error::Column { path, parameter, name, known: all() });
            }
        }
        let wanted = self.wanted();
        let free: Vec<&String> = known.iter().filter(|name| !wanted.contains(*name)).collect();
        let called = |names: &[&str]| {
            let one = |name: &&str| free.iter().find(|field| field.to_lowercase() == **name);
            names.iter().find_map(one).map(|name| name.to_string())
        };
        if self.label.is_empty() {
            self.label.extend(called(LABELS).or_else(|| called(MORE_LABELS)));
        }
        if self.label.is_empty() && shards.list.iter().any(|shard| shard.part != Part::Test) {
            let why = match known.is_empty() {
                true => "its samples have no fields beside their pictures, so none can be the label".into(),
                false => format!("which field is the label? say it with data.label; there are {}", all()),
            };
            return Err(Error::Layout { path: shards.path.clone(), why });
        }
        if self.id.is_none() {
            self.id = called(IDS).filter(|id| !self.label.contains(id));
            self.found_id = self.id.is_some();
        }
        Ok(())
    }

    /// All fields that are read.
    pub fn wanted(&self) -> BTreeSet<String> {
        let several = [&self.label, &self.sample, &self.meta].into_iter().flatten();
        self.id.iter().chain(&self.group).chain(several).cloned().collect()
    }

    /// A sample whose picture is at `path`; without an id of its own it is called `name`.
    pub fn record(&mut self, path: String, name: String, part: Part, values: &Values) -> Record {
        let text = |field: &String| values.get(field).map(|values| values.join(UNIT));
        let cell = |field: &String| text(field).filter(|cell| !is_missing(cell));
        let id = self.id.as_ref().and_then(cell);
        if id.is_none() && self.id.is_some() {
            self.without_id.get_or_insert((0, name.clone())).0 += 1;
        }
        let sample: Option<Vec<String>> = self.sample.iter().map(cell).collect();
        Record {
            path,
            id: id.unwrap_or(name),
            part,
            labels: self.label.iter().map(text).collect(),
            group: self.group.as_ref().and_then(cell),
            sample: sample.filter(|keys| !keys.is_empty()).map(|keys| keys.join("/")),
            meta: self.meta.iter().map(cell).collect(),
        }
    }

    /// `records` as a data set, whose pictures `read` decodes; `unowned` are pictures without a row.
    pub fn collect(
        &self,
        mut records: Vec<Record>,
        unowned: Vec<String>,
        labels: &Labels,
        shards: &Shards,
        read: Reader,
    ) -> Result<Collection> {
        let mut warnings = vec![];
        let mut seen = HashSet::with_capacity(records.len());
        let unique = records.iter().all(|record| seen.insert((record.part, record.id.as_str())));
        drop(seen);
        let field = self.id.as_deref().unwrap_or_default();
        if !unique && self.found_id {
            warnings.push(format!("the field '{field}' is not unique; rows are called by their places"));
            records.iter_mut().for_each(|record| record.id.clone_from(&record.path));
        } else if let Some((count, first)) = &self.without_id {
            warnings.push(format!("{count} samples have no '{field}' and are called by their places, as '{first}'"));
        }
        let wrong = |why: String| Error::Layout { path: shards.path.clone(), why };
        if records.is_empty() {
            return Err(wrong("none of its samples has a picture; say which field holds them".into()));
        }
        let mut labels = labels.clone();
        let columns = columns(&self.label, &mut records, &mut labels).map_err(wrong)?;
        let (meta, stamp) = (self.meta.clone(), shards.stamper());
        let records = Records { columns, meta, records, unowned, read, stamp };
        let found = records.collect(&labels, &shards.path)?;
        warnings.extend(found.warnings.iter().cloned());
        Ok(Collection { warnings, sample_submission: shards.sample_submission.clone(), ..found })
    }
}

/// The label columns of `records`. A field of several values is the labels of a sample where they may be several, and
/// a column for each value otherwise: ones and zeros, shares, numbers.
fn columns(names: &[String], records: &mut [Record], labels: &mut Labels) -> Result<Vec<String>, String> {
    let cells = |records: &[Record], column: usize, test: fn(&str) -> bool| {
        records.iter().any(|record| record.labels.get(column).and_then(Option::as_deref).is_some_and(test))
    };
    let lists: Vec<bool> = (0..names.len()).map(|c| cells(records, c, |cell| cell.contains(UNIT))).collect();
    if labels.kind == Kind::MultiLabel && names.len() == 1 {
        if lists[0] && labels.separator.is_none() {
            labels.separator = Some(UNIT.into());
        }
        return Ok(names.into());
    }
    let mut widths = vec![1; names.len()];
    for (column, width) in widths.iter_mut().enumerate().filter(|(column, _)| lists[*column]) {
        let count = |cell: &String| cell.split(UNIT).count();
        let mut counts = records.iter().filter_map(|r| Some((r, count(r.labels[column].as_ref()?))));
        *width = counts.next().map_or(1, |(_, count)| count);
        if let Some((other, count)) = counts.find(|(_, count)| *count != *width) {
            let (name, id) = (&names[column], &other.id);
            return Err(format!(
                "'{id}' has {count} values in '{name}' where others have {width}; say target = \"multi_label\" where they \
                 are several labels"
            ));
        }
    }
    let is_word = matches!(labels.kind, Kind::Class | Kind::Ordinal) && widths == [1];
    for record in records.iter_mut() {
        let old = std::mem::take(&mut record.labels);
        for (cell, width) in old.into_iter().zip(&widths) {
            let parts: Vec<Option<String>> = match (cell, width) {
                (Some(cell), 1) => vec![Some(cell)],
                (Some(cell), _) => cell.split(UNIT).map(|part| Some(part.into())).collect(),
                (None, width) => vec![None; *width],
            };
            // A class may be called NA.
            let known = |cell: &String| !cell.is_empty() && (is_word || !is_missing(cell));
            record.labels.extend(parts.into_iter().map(|part| part.filter(known)));
        }
    }
    let named = names.iter().zip(&widths).flat_map(|(name, width)| match width {
        1 => vec![name.clone()],
        width => (0..*width).map(|i| format!("{}_{i}", file_name(name))).collect(),
    });
    Ok(named.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert_eq!(expand("t-{08..10}.tar").unwrap(), ["t-08.tar", "t-09.tar", "t-10.tar"]);
        assert_eq!(expand("{a,b}{0..1}").unwrap(), ["a0", "a1", "b0", "b1"]);
        for bad in ["{1..", "{b..a}", "{3..1}", "{0..99999999}", "{0..9999}{0..9999}"] {
            assert!(expand(bad).is_err(), "{bad}");
        }
        let matches = |pattern: &str, name: &str| matches(pattern.as_bytes(), name.as_bytes());
        assert!(matches("*.tar", "a.tar") && matches("t*-?.tar*", "train-1.tar") && matches("*/*", "a/b"));
        assert!(!matches("*.tar", "a/b.tar") && !matches("?", "/") && !matches("a*b", "ac") && !matches("a", "ab"));
    }

    #[test]
    fn parts_by_names() {
        let part = |name: &str| shard(Path::new(""), name.into()).part;
        for name in ["train/0.tfrec", "0.tfrec", "train00-2071.tfrec", "x-train-00000-of-00002.parquet"] {
            assert_eq!(part(name), Part::Train, "{name}");
        }
        assert_eq!(part("train/test-1.tar"), Part::Test);
        assert_eq!(part("validation-00000-of-00001.parquet"), Part::Validation);
        assert_eq!(
            (kind(Path::new("x-train.tfrecord-00000-of-00001")), kind(Path::new("a.csv"))),
            (Some("tfrecord"), None)
        );
    }
}

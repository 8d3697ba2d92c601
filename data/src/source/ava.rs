//! Photographs that people have voted on.

use super::csv::{Index, names};
use super::files::{Tree, below};
use super::records::{Record, Records};
use super::{Collection, Source};
use crate::decode::Color;
use crate::error::{Error, Result};
use crate::labels::{Kind, Labels};
use crate::row::Part;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// AVA, a large-scale database for aesthetic visual analysis (Murray et al. 2012): `AVA.txt` with a line of 15 numbers for each
/// photograph: place in the list, id, how many gave the scores 1 to 10, two semantic tags, challenge; pictures are called
/// `<id>.jpg` anywhere below. Targets are the shares of the ten scores. Photographs that are not there are counted and named:
/// the list has more than can be had.
///
/// The test part is what `generic_test.jpgl` lists, in the folder or in `aesthetics_image_lists`, as in most publications; all
/// others are learned from, or those of a training list where it is given.
///
/// | field | default | range |
/// |---|---|---|
/// | `path` | required | the folder of everything, or `AVA.txt` |
/// | `train_list` | the others | file of the ids to learn from, one on a line, relative to the folder |
/// | `test_list` | found | file of the ids of the test part |
/// | `group` | challenge | challenge: what was handed in for one never sits in two folds; picture: each stands alone |
/// | `meta` | none | `tag_1`, `tag_2`: categories, named as in `tags.txt` where it lies there |
/// | `color` | rgb | rgb, gray |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ava {
    /// The root, or the list in it.
    pub path: PathBuf,
    /// Ids of the training part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_list: Option<String>,
    /// Ids of the test part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_list: Option<String>,
    /// What is kept together.
    #[serde(default)]
    pub group: Grouping,
    /// Columns of metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "names")]
    pub meta: Vec<String>,
    /// What pictures are turned into.
    #[serde(default)]
    pub color: Color,
}

/// What is kept together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grouping {
    /// The photographs of a challenge.
    #[default]
    Challenge,
    /// Nothing.
    Picture,
}

/// The list.
const LIST: &str = "AVA.txt";
/// Numbers on each of its lines.
const NUMBERS: usize = 15;
/// Columns of the scores 1 to 10.
const VOTES: std::ops::Range<usize> = 2..12;
/// Columns of the tags.
const TAGS: [(&str, usize); 2] = [("tag_1", 12), ("tag_2", 13)];
/// Column of the challenge.
const CHALLENGE: usize = 14;
/// Names of the tags.
const TAG_NAMES: &str = "tags.txt";
/// Where a list of the test part may lie.
const TEST_LISTS: [&str; 2] = ["generic_test.jpgl", "aesthetics_image_lists/generic_test.jpgl"];

/// Whether a file is called as the list is.
pub(super) fn is_list(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == LIST)
}

/// Whether the list lies in a folder.
pub(super) fn lies_in(folder: &Path) -> bool {
    folder.join(LIST).is_file()
}

impl Source for Ava {
    fn open(&mut self) -> Result<Collection> {
        if is_list(&self.path) && self.path.is_file() {
            let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty());
            self.path = folder.unwrap_or(Path::new(".")).into();
        }
        let list = self.path.join(LIST);
        if let Some(unknown) = self.meta.iter().find(|name| !TAGS.iter().any(|(tag, _)| tag == name)) {
            let known = TAGS.map(|(tag, _)| tag).join(", ");
            return Err(Error::Column { path: list, parameter: "meta", name: unknown.clone(), known });
        }
        let wrong = |why: String| Error::Table { path: list.clone(), why };
        let text = read(&list)?;
        let tags = self.tag_names()?;
        let found = TEST_LISTS.into_iter().find(|name| self.path.join(name).is_file());
        self.test_list = self.test_list.take().or_else(|| found.map(str::to_string));
        let mut parts = self.parts()?;

        let tree = Tree::walk(&self.path)?;
        let index = Index::new(&tree.pictures);
        let mut owned = vec![false; tree.pictures.len()];
        let mut seen = HashMap::<&str, (usize, &str)>::new();
        let (mut records, mut missing_files, mut repeated, mut left_out) = (vec![], vec![], 0, 0);
        for (line, row) in (1..).zip(text.lines()).filter(|(_, row)| !row.trim().is_empty()) {
            let numbers: Vec<&str> = row.split_whitespace().collect();
            if numbers.len() != NUMBERS || !numbers.iter().all(|number| number.parse::<u32>().is_ok()) {
                return Err(wrong(format!("line {line} is not {NUMBERS} whole numbers: {}", start(row))));
            }
            let (id, rest) =
                (numbers[1], row.trim_start().split_once(char::is_whitespace).map_or("", |(_, rest)| rest));
            if let Some((first, other)) = seen.insert(id, (line, rest)) {
                if other != rest {
                    return Err(wrong(format!("id {id} stands on lines {first} and {line} with different numbers")));
                }
                repeated += 1;
                continue;
            }
            let part = match parts.of.get_mut(id) {
                Some((part, listed)) => {
                    *listed = true;
                    *part
                }
                None => match parts.other {
                    Some(part) => part,
                    None => {
                        left_out += 1;
                        continue;
                    }
                },
            };
            let picture = index.find(id, part).map_err(|[a, b]| {
                let [a, b] = [&tree.pictures[a], &tree.pictures[b]];
                wrong(format!("line {line}: the picture of {id} may be '{a}' or '{b}'"))
            })?;
            let Some(picture) = picture else {
                missing_files.push(id.to_string());
                continue;
            };
            owned[picture] = true;
            let tag = |name: &String| {
                let (_, column) = TAGS.into_iter().find(|(tag, _)| tag == name)?;
                Some(tags.get(numbers[column]).cloned().unwrap_or_else(|| match numbers[column] {
                    "0" => "none".into(),
                    number => format!("tag {number}"),
                }))
            };
            records.push(Record {
                path: tree.pictures[picture].clone(),
                id: id.into(),
                part,
                labels: numbers[VOTES].iter().map(|votes| Some(votes.to_string())).collect(),
                group: (self.group == Grouping::Challenge).then(|| numbers[CHALLENGE].to_string()),
                sample: None,
                meta: self.meta.iter().map(tag).collect(),
            });
        }
        if seen.is_empty() {
            return Err(wrong("it is empty; expected a line for each photograph".into()));
        }
        let mut warnings = tree.warnings();
        let mut say = |count: usize, what: &str| {
            if count > 0 {
                warnings.push(format!("{count} {what}"));
            }
        };
        say(repeated, "lines stand in the list again and are left out");
        say(left_out, "photographs are neither in data.train_list nor in data.test_list and are left out");
        let unknown: Vec<&String> = parts.of.iter().filter(|(_, (_, listed))| !listed).map(|(id, _)| id).collect();
        if let Some(first) = unknown.first() {
            say(unknown.len(), &format!("ids of data.train_list or data.test_list are not in {LIST}, as '{first}'"));
        }
        let unowned = tree.pictures.iter().zip(owned).filter(|(_, owned)| !owned).map(|(path, _)| path.clone());
        let records = Records {
            columns: (1..=VOTES.len()).map(|score| score.to_string()).collect(),
            meta: self.meta.clone(),
            records,
            unowned: unowned.collect(),
            read: tree.reader(self.color),
            stamp: below(&self.path),
        };
        let found = records.collect(&Labels::of(Kind::Distribution), &list)?;
        missing_files.sort();
        warnings.extend(found.warnings.iter().cloned());
        Ok(Collection { missing_files, warnings, ..found })
    }
}

/// Which part photographs are of.
struct Parts {
    /// The part of each id of a list, and whether it was met.
    of: BTreeMap<String, (Part, bool)>,
    /// The part of all others; `None`: they are left out.
    other: Option<Part>,
}

impl Ava {
    /// The parts that the lists say.
    fn parts(&self) -> Result<Parts> {
        let mut of = BTreeMap::new();
        for (name, part) in [(&self.train_list, Part::Train), (&self.test_list, Part::Test)] {
            let Some(name) = name else { continue };
            let path = self.path.join(name);
            for (line, id) in (1..).zip(read(&path)?.lines()).filter(|(_, id)| !id.trim().is_empty()) {
                let id = id.trim();
                let id = id.rsplit_once('.').map_or(id, |(stem, _)| stem);
                if id.parse::<u32>().is_err() {
                    let why = format!("line {line} is no id of a photograph: {}", start(id));
                    return Err(Error::Table { path, why });
                }
                if of.insert(id.to_string(), (part, false)).is_some_and(|(other, _)| other != part) {
                    let why = format!("line {line}: {id} is in data.train_list, too");
                    return Err(Error::Table { path, why });
                }
            }
        }
        let other = match (&self.train_list, &self.test_list) {
            (Some(_), Some(_)) => None,
            (Some(_), None) => Some(Part::Test),
            (None, _) => Some(Part::Train),
        };
        Ok(Parts { of, other })
    }

    /// Names of the tags by their numbers, where they lie beside the list.
    fn tag_names(&self) -> Result<HashMap<String, String>> {
        let path = self.path.join(TAG_NAMES);
        let text = if path.is_file() { read(&path)? } else { String::new() };
        let named = text.lines().filter_map(|line| line.trim().split_once(char::is_whitespace));
        Ok(named.map(|(number, name)| (number.to_string(), name.trim().to_string())).collect())
    }
}

/// A file of lines.
fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.into(), source })?;
    String::from_utf8(bytes).map_err(|error| {
        let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
        Error::Table { path: path.into(), why: format!("line {line} is no valid UTF-8; fetch it again") }
    })
}

/// As much of a line as fits into a message.
fn start(line: &str) -> String {
    format!("'{}'", line.chars().take(60).collect::<String>())
}

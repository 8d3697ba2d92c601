//! Tar files of samples that share a key: `000017.jpg`, `000017.cls`, `000017.json`.

use super::files::{is_picture, read_span};
use super::records::Record;
use super::shards::{Fields, Shard, Shards, Values};
use super::tar::{Members, is_gzipped};
use super::{Collection, PICTURES, Reader, Source};
use crate::decode::{Color, decode};
use crate::error::{Error, Result};
use crate::labels::Labels;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tar::Archive;

/// Tar files of samples, as [WebDataset](https://github.com/webdataset/webdataset) lays them out: files that share
/// their folder and name up to the first dot, the key, are one sample. A picture, `.cls` (the class), `.txt` and the
/// fields of `.json` are read. The files are listed once and each picture read where it lies; compressed ones are
/// refused. A file belongs to the part that its name or folder says (train, val, test).
///
/// | field | default | range |
/// |---|---|---|
/// | `path` | required | a file, a folder of files, or a pattern: `train-{000000..000009}.tar`, `val/*.tar` |
/// | `image` | found | ending of the picture behind the key, `jpg` or `left.png`; several are pictures of one sample |
/// | `id` | the key | field of the id |
/// | `label` | found | `cls`, `txt` or a field of the `.json`, or several; one of several numbers is a column for each |
/// | `target` | class | what the labels are ([`Labels`]); the values of a list are the labels of a `multi_label` |
/// | `group` | none | field whose values never sit in two folds |
/// | `meta` | none | fields that join the network's head: numbers or categories |
/// | `color` | rgb | rgb, gray |
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebDataset {
    /// A file, a folder or a pattern.
    pub path: PathBuf,
    /// Endings of the pictures; without any, the first of a sample's pictures that has none but its own.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "super::csv::names",
        serialize_with = "super::csv::one_or_several"
    )]
    pub image: Vec<String>,
    /// Field of the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Fields of the label.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "super::csv::names",
        serialize_with = "super::csv::one_or_several"
    )]
    pub label: Vec<String>,
    /// What the labels are.
    #[serde(default, skip_serializing_if = "Labels::is_plain")]
    pub target: Labels,
    /// Field of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Fields of metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meta: Vec<String>,
    /// What pictures are turned into.
    #[serde(default)]
    pub color: Color,
}

/// Endings of what is said of a sample.
const WORDS: &[&str] = &["cls", "txt"];
/// Most bytes of a file of words.
const MOST_TEXT: u64 = 1 << 20;
/// So many files of an archive are looked at to tell whose layout it is.
const LOOKED_AT: usize = 64;

/// Key and ending of a file.
fn split(name: &str) -> (&str, &str) {
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    name[base..].find('.').map_or((name, ""), |dot| (&name[..base + dot], &name[base + dot + 1..]))
}

fn is_wanted(path: &Path) -> bool {
    let name = path.to_string_lossy();
    let (_, ending) = split(&name);
    is_picture(path) || ending == "json" || WORDS.contains(&ending)
}

/// Whether the first files of an archive are a picture and something that is said of it.
pub(super) fn is_webdataset(path: &Path) -> bool {
    let (mut pictures, mut said) = (HashSet::new(), HashSet::new());
    let Ok(file) = File::open(path) else { return false };
    let mut archive = Archive::new(file);
    let Ok(entries) = archive.entries_with_seek() else { return false };
    for entry in entries.take(LOOKED_AT).map_while(io::Result::ok) {
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let key = split(&name).0.to_string();
        match is_wanted(Path::new(&name)) {
            true if is_picture(Path::new(&name)) => pictures.insert(key),
            true => said.insert(key),
            false => false,
        };
    }
    !pictures.is_disjoint(&said)
}

/// A file of an archive.
enum Member {
    /// Where it lies and its length, bytes.
    Picture((u64, u64)),
    Text(Vec<u8>),
}

/// A sample of an archive.
struct Sample {
    key: String,
    /// Names in the archive and places of its pictures.
    pictures: Vec<(String, (u64, u64))>,
    values: Values,
}

/// What is in an archive.
struct Listed {
    samples: Vec<Sample>,
    warnings: Vec<String>,
}

impl Source for WebDataset {
    fn open(&mut self) -> Result<Collection> {
        let shards = Shards::find(&self.path, "webdataset")?;
        let listed = shards.each(list)?;
        let samples = || listed.iter().flat_map(|listed| &listed.samples);
        let known: BTreeSet<String> = samples().flat_map(|sample| sample.values.keys()).cloned().collect();
        let (id, label, group, meta) =
            (self.id.clone(), std::mem::take(&mut self.label), self.group.clone(), self.meta.clone());
        // The key is a better id than one that is found.
        let keyed = id.is_none();
        let mut fields = Fields { id, label, group, meta, ..Fields::default() };
        if keyed && known.contains("cls") && fields.label.is_empty() {
            fields.label.push("cls".into());
        }
        fields.find(&known, &shards)?;
        if keyed {
            fields.id = None;
        }
        // One key may stand in several files.
        let mut seen = HashSet::new();
        let keys =
            shards.list.iter().zip(&listed).flat_map(|(s, l)| l.samples.iter().map(move |x| (s.part, x.key.as_str())));
        let repeated = keys.into_iter().filter(|key| !seen.insert(*key)).count() > 0;
        drop(seen);

        let (mut records, mut unowned, mut missing_files) = (Vec::<Record>::new(), vec![], vec![]);
        let (mut places, mut warnings) = (BTreeMap::new(), vec![]);
        for (index, (shard, listed)) in shards.list.iter().zip(listed).enumerate() {
            warnings.extend(listed.warnings);
            for sample in listed.samples {
                let (key, values) = (&sample.key, &sample.values);
                let name = if repeated { format!("{}/{key}", shard.name) } else { key.clone() };
                let mut own: Vec<Option<String>> = vec![None; self.image.len().max(1)];
                let choice = self.choice(&sample);
                for (n, (file, span)) in sample.pictures.into_iter().enumerate() {
                    let path = format!("{}/{file}", shard.name);
                    match choice.iter().position(|chosen| *chosen == Some(n)) {
                        Some(slot) => own[slot] = Some(path.clone()),
                        None => unowned.push(path.clone()),
                    }
                    places.insert(path, (index, span));
                }
                let mut row = fields.record(String::new(), name, shard.part, values);
                missing_files.extend(own.iter().all(Option::is_none).then(|| row.id.clone()));
                match &self.image[..] {
                    [] | [_] => records.extend(own.pop().flatten().map(|path| Record { path, ..row })),
                    several => {
                        row.sample = Some(row.id.clone());
                        let slots = several.iter().zip(own).filter_map(|(ending, path)| Some((ending, path?)));
                        records.extend(slots.map(|(ending, path)| {
                            let id = format!("{}.{ending}", row.id);
                            Record { path, id, ..row.clone() }
                        }));
                    }
                }
            }
        }
        self.label.clone_from(&fields.label);
        let (color, shards) = (self.color, Arc::new(shards));
        let list = shards.clone();
        let read: Reader = Arc::new(move |path| {
            let unknown = || Error::Decode { name: path.into(), why: "no archive has such a picture".into() };
            let (shard, span) = places.get(path).ok_or_else(unknown)?;
            decode(path, &read_span(&list.list[*shard].path, path, *span)?, color)
        });
        let found = fields.collect(records, unowned, &self.target, &shards, read)?;
        warnings.extend(found.warnings.iter().cloned());
        Ok(Collection { missing_files, warnings, ..found })
    }
}

impl WebDataset {
    /// Which of its pictures a sample has for each of [`WebDataset::image`]; the likeliest where nothing is said.
    fn choice(&self, sample: &Sample) -> Vec<Option<usize>> {
        let with =
            |ending: &str| sample.pictures.iter().position(|(name, _)| split(name).1.eq_ignore_ascii_case(ending));
        match self.image.is_empty() {
            // A picture of two endings is a mask, a depth map and the like.
            true => {
                vec![PICTURES.iter().find_map(|ending| with(ending)).or((!sample.pictures.is_empty()).then_some(0))]
            }
            false => self.image.iter().map(|ending| with(ending)).collect(),
        }
    }
}

/// The samples of an archive, sorted by key.
fn list(shard: &Shard) -> Result<Listed> {
    let wrong = |why: String| Error::Layout { path: shard.path.clone(), why };
    if is_gzipped(&shard.path)? {
        return Err(wrong(
            "it is compressed with gzip, of which no file can be read alone; unpack it with gunzip".into(),
        ));
    }
    let members = Members::index(&shard.path, is_wanted, |entry, span| {
        if is_picture(Path::new(&*String::from_utf8_lossy(&entry.path_bytes()))) {
            return Ok(Member::Picture(span));
        }
        let (invalid, size) = (|what: String| io::Error::new(ErrorKind::InvalidData, what), span.1);
        if size > MOST_TEXT {
            return Err(invalid(format!("a text of {size} bytes is in it, more than the {MOST_TEXT} allowed")));
        }
        let mut bytes = vec![];
        entry.read_to_end(&mut bytes)?;
        Ok(Member::Text(bytes))
    })?;
    let warnings = members.warnings().into_iter().map(|what| format!("'{}': {what}", shard.name)).collect();
    let mut samples = Vec::<Sample>::new();
    // Files of one key lie side by side: all begin with the key and a dot.
    for (name, member) in members.kept {
        let (key, ending) = split(&name);
        if samples.last().is_none_or(|sample| sample.key != key) {
            samples.push(Sample { key: key.into(), pictures: vec![], values: Values::new() });
        }
        let Some(sample) = samples.last_mut() else { continue };
        match member {
            Member::Picture(span) => sample.pictures.push((name, span)),
            Member::Text(bytes) => {
                let text = String::from_utf8(bytes).map_err(|_| wrong(format!("'{name}' is no valid UTF-8")))?;
                match ending {
                    "json" => json(&text, &mut sample.values).map_err(|e| wrong(format!("'{name}': {e}")))?,
                    field => {
                        sample.values.insert(field.into(), vec![text.trim().into()]);
                    }
                }
            }
        }
    }
    // A table or a readme that belongs to no picture.
    samples.retain(|sample| !sample.pictures.is_empty() || sample.values.contains_key("cls"));
    match samples.is_empty() {
        true => Err(wrong(format!("no pictures ({}) are in it; expected key.jpg beside key.cls", PICTURES.join(", ")))),
        false => Ok(Listed { samples, warnings }),
    }
}

/// Adds the fields of an object.
fn json(text: &str, values: &mut Values) -> Result<(), String> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    match serde_json::from_str(text).map_err(|error| error.to_string())? {
        Value::Object(object) => values.extend(object.into_iter().filter_map(|(name, value)| {
            let list = match &value {
                Value::Array(list) => list.iter().map(one).collect::<Option<Vec<_>>>()?,
                value => vec![one(value)?],
            };
            Some((name, list))
        })),
        // A label alone.
        value => values.extend(one(&value).map(|value| ("json".into(), vec![value]))),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_end_at_the_first_dot_of_the_name() {
        assert_eq!(split("a.b/0001.left.jpg"), ("a.b/0001", "left.jpg"));
        assert_eq!((split("0001.cls"), split("readme")), (("0001", "cls"), ("readme", "")));
        assert!(is_wanted(Path::new("1.JPG")) && is_wanted(Path::new("1.json")) && !is_wanted(Path::new("1.a.json")));
    }

    #[test]
    fn fields_of_an_object() {
        let mut values = Values::new();
        json(r#"{"label": 3, "tags": ["a b", "c,d"], "box": [[1]], "no": null, "yes": true}"#, &mut values).unwrap();
        let of = |name: &str| values.get(name).cloned().unwrap_or_default();
        assert_eq!(
            (of("label"), of("tags"), of("yes")),
            (vec!["3".into()], vec!["a b".into(), "c,d".into()], vec!["true".into()])
        );
        assert!(!values.contains_key("box") && !values.contains_key("no"));
        assert!(json("{", &mut Values::new()).is_err());
    }
}

//! Cdiscount's products: BSON documents one behind the other.

use super::files::{Skim, broken, read_span};
use super::shards::{Fields, Shards, Values, place};
use super::{Collection, Reader, Source};
use crate::decode::{Color, decode};
use crate::error::{Error, Result};
use crate::labels::Labels;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files of BSON documents, `{_id, category_id, imgs: [{picture}, …]}`, as Cdiscount's competition comes: `train.bson`
/// and `test.bson`, whose documents have no category. A document is one sample of as many pictures as it has. The files
/// are listed once, pictures skipped; a picture is read where it lies. `train_example.bson` repeats the first documents
/// of `train.bson` and is left out beside it. Needs about 400 bytes of memory for each picture.
///
/// The format is BSON 1.1 (<https://bsonspec.org/spec.html>).
///
/// | field | default | range |
/// |---|---|---|
/// | `path` | required | a file, a folder of files, or a pattern |
/// | `id` | `_id` | element |
/// | `label` | `category_id` | an element, or several; none needs to be in a test part |
/// | `target` | class | what the labels are ([`Labels`]) |
/// | `images` | `imgs` | element of the pictures: an array, or a single picture |
/// | `picture` | `picture` | element of a picture, where the array holds documents |
/// | `group` | none | element whose values never sit in two folds |
/// | `meta` | none | elements that join the network's head: numbers or categories |
/// | `color` | rgb | rgb, gray |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bson {
    /// A file, a folder or a pattern.
    pub path: PathBuf,
    /// Element of the id.
    #[serde(default = "id")]
    pub id: String,
    /// Elements of the label.
    #[serde(default = "label", deserialize_with = "super::csv::names", serialize_with = "super::csv::one_or_several")]
    pub label: Vec<String>,
    /// What the labels are.
    #[serde(default, skip_serializing_if = "Labels::is_plain")]
    pub target: Labels,
    /// Element of the pictures.
    #[serde(default = "images")]
    pub images: String,
    /// Element of a picture.
    #[serde(default = "picture")]
    pub picture: String,
    /// Element of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Elements of metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meta: Vec<String>,
    /// What pictures are turned into.
    #[serde(default)]
    pub color: Color,
}

fn id() -> String {
    "_id".into()
}

fn label() -> Vec<String> {
    vec!["category_id".into()]
}

fn images() -> String {
    "imgs".into()
}

fn picture() -> String {
    "picture".into()
}

/// Where a picture lies in its file and its length, bytes.
type Span = (u64, u64);
/// Longest name of an element, bytes.
const LONGEST_NAME: u64 = 1 << 10;
/// Most bytes of a text that is a label, id or metadata.
const MOST_TEXT: u64 = 1 << 16;
/// Most bytes that the texts of a document take, which each of its pictures has.
const MOST_TEXTS: usize = 1 << 20;

impl Source for Bson {
    fn open(&mut self) -> Result<Collection> {
        let mut shards = Shards::find(&self.path, "bson")?;
        let mut warnings = vec![];
        if let Some(example) = shards.list.iter().position(|shard| shard.name.ends_with("train_example.bson"))
            && shards.list.iter().any(|shard| shard.name.ends_with("train.bson"))
        {
            let name = shards.list.remove(example).name;
            warnings.push(format!("'{name}' repeats documents of train.bson and is left out"));
        }
        let (group, meta) = (self.group.clone(), self.meta.clone());
        let mut fields =
            Fields { id: Some(self.id.clone()), label: self.label.clone(), group, meta, ..Fields::default() };
        let wanted = fields.wanted();
        let listed = shards.each(|shard| self.list(&shard.path, &wanted))?;
        let (mut records, mut missing_files, mut spans) = (vec![], vec![], vec![]);
        for (shard, documents) in shards.list.iter().zip(listed) {
            let len = documents.iter().map(|(_, pictures)| pictures.len()).sum();
            let mut own = Vec::<Span>::with_capacity(len);
            for (values, pictures) in documents {
                let known = fields.record(String::new(), String::new(), shard.part, &values);
                missing_files.extend(pictures.is_empty().then(|| known.id.clone()));
                for (n, span) in pictures.into_iter().enumerate() {
                    let mut record = known.clone();
                    record.path = place(shard, own.len(), len);
                    record.sample = Some(known.id.clone());
                    record.id = format!("{}-{n}", known.id);
                    records.push(record);
                    own.push(span);
                }
            }
            spans.push(own);
        }
        let (color, shards) = (self.color, Arc::new(shards));
        let list = shards.clone();
        let read: Reader = Arc::new(move |path| {
            let unknown = || Error::Decode { name: path.into(), why: "no document has such a picture".into() };
            let (shard, index) = list.locate(path).ok_or_else(unknown)?;
            let span = spans.get(shard).and_then(|spans| spans.get(index)).ok_or_else(unknown)?;
            decode(path, &read_span(&list.list[shard].path, path, *span)?, color)
        });
        let found = fields.collect(records, vec![], &self.target, &shards, read)?;
        warnings.extend(found.warnings.iter().cloned());
        Ok(Collection { missing_files, warnings, ..found })
    }
}

impl Bson {
    /// The values and the pictures of every document.
    fn list(&self, path: &Path, wanted: &BTreeSet<String>) -> Result<Vec<(Values, Vec<Span>)>> {
        let mut skim = Skim::open(path)?;
        let mut found = vec![];
        while skim.at < skim.length {
            let (count, start) = (found.len(), skim.at);
            let document = self.document(&mut skim, wanted).map_err(|error| {
                let what = format!("document {count}, which begins at byte {start}: {error}");
                broken(path, io::Error::new(error.kind(), what))
            });
            found.push(document?);
        }
        match found.is_empty() {
            true => Err(Error::Layout { path: path.into(), why: "it is empty; expected BSON documents".into() }),
            false => Ok(found),
        }
    }

    fn document<R: Read + Seek>(
        &self,
        skim: &mut Skim<R>,
        wanted: &BTreeSet<String>,
    ) -> io::Result<(Values, Vec<Span>)> {
        let (mut values, mut pictures) = (Values::new(), vec![]);
        let end = nested(skim, skim.length)?;
        each(skim, end, &mut |skim, name, element| {
            match element {
                Element::Text(text) if wanted.contains(name) => {
                    values.insert(name.into(), vec![text]);
                }
                Element::Binary(span) if name == self.images => pictures.push(span),
                // Pictures of an array, or those of the documents in it.
                Element::Nested(end) if name == self.images => {
                    each(skim, end, &mut |skim, _, element| match element {
                        Element::Binary(span) => {
                            pictures.push(span);
                            Ok(())
                        }
                        Element::Nested(end) => each(skim, end, &mut |_, name, element| {
                            if let (Element::Binary(span), true) = (element, name == self.picture) {
                                pictures.push(span);
                            }
                            Ok(())
                        }),
                        _ => Ok(()),
                    })?
                }
                _ => {}
            }
            Ok(())
        })?;
        let texts = values.values().flatten().map(String::len).sum::<usize>();
        if texts.saturating_mul(pictures.len()) > MOST_TEXTS {
            return invalid(&format!("its texts have {texts} bytes, too many for each of {} pictures", pictures.len()));
        }
        match values.contains_key(&self.id) {
            true => Ok((values, pictures)),
            false => invalid(&format!("it has no '{}'; say with data.id which element is the id", self.id)),
        }
    }
}

fn invalid<T>(what: &str) -> io::Result<T> {
    Err(io::Error::new(ErrorKind::InvalidData, what))
}

/// What an element holds.
enum Element {
    /// A number, a word, yes or no, an object's id.
    Text(String),
    Binary(Span),
    /// A document or an array, which ends here, behind its final zero.
    Nested(u64),
    /// Nothing, or what is no label.
    Other,
}

/// Reads a length that must be at least `least`.
fn length<R: Read + Seek>(skim: &mut Skim<R>, end: u64, least: i32) -> io::Result<u64> {
    let length = i32::from_le_bytes(skim.array(end)?);
    match length >= least {
        true => Ok(length as u64),
        false => invalid(&format!("a length of {length} is announced, which is none")),
    }
}

/// Reads the length of a document; gives where it ends.
fn nested<R: Read + Seek>(skim: &mut Skim<R>, end: u64) -> io::Result<u64> {
    // It counts itself and the final zero.
    let length = length(skim, end, 5)?;
    skim.end_of(length - 4, end)
}

/// A text up to its zero.
fn text<R: Read + Seek>(skim: &mut Skim<R>, end: u64) -> io::Result<String> {
    let mut bytes = vec![];
    loop {
        match skim.array(end)? {
            [0] => return String::from_utf8(bytes).or_else(|_| invalid("a name is no valid UTF-8")),
            _ if bytes.len() as u64 > LONGEST_NAME => return invalid("a name has no end; it is no BSON"),
            [byte] => bytes.push(byte),
        }
    }
}

/// What is done with name and value of an element.
type Visit<'a, R> = dyn FnMut(&mut Skim<R>, &str, Element) -> io::Result<()> + 'a;

/// Calls `f` with name and value of every element of the document that ends at `end`.
fn each<R: Read + Seek>(skim: &mut Skim<R>, end: u64, f: &mut Visit<'_, R>) -> io::Result<()> {
    loop {
        let [kind] = skim.array(end)?;
        if kind == 0 {
            return match skim.at == end {
                true => Ok(()),
                false => invalid("a document is shorter than it announces"),
            };
        }
        let name = text(skim, end)?;
        let element = element(skim, kind, end)?;
        let own = match element {
            Element::Nested(own) => own,
            _ => skim.at,
        };
        f(skim, &name, element)?;
        skim.go(own)?;
    }
}

/// The value of an element of type `kind`; of a nested one only the length is read.
fn element<R: Read + Seek>(skim: &mut Skim<R>, kind: u8, end: u64) -> io::Result<Element> {
    let skip = |skim: &mut Skim<R>, count: u64| {
        let own = skim.end_of(count, end)?;
        skim.go(own)?;
        Ok(Element::Other)
    };
    let words = |text: String| Ok(Element::Text(text));
    match kind {
        0x01 => words(f64::from_le_bytes(skim.array(end)?).to_string()),
        0x02 | 0x0D | 0x0E => {
            let length = length(skim, end, 1)?;
            if length > MOST_TEXT {
                return skip(skim, length);
            }
            let mut bytes = skim.take(length, end)?;
            match bytes.pop() {
                Some(0) => String::from_utf8(bytes).map_or_else(|_| invalid("a text is no valid UTF-8"), words),
                _ => invalid("a text does not end with a zero"),
            }
        }
        0x03 | 0x04 => nested(skim, end).map(Element::Nested),
        0x05 => {
            let length = length(skim, end, 0)?;
            let [subtype] = skim.array(end)?;
            // The old subtype has its length once more in front.
            let front = if subtype == 2 && length >= 4 { 4 } else { 0 };
            let span = (skim.at + front, length - front);
            skip(skim, length)?;
            Ok(Element::Binary(span))
        }
        0x06 | 0x0A | 0x7F | 0xFF => Ok(Element::Other),
        0x07 => words(skim.array::<12>(end)?.iter().map(|byte| format!("{byte:02x}")).collect()),
        0x08 => {
            let [byte] = skim.array(end)?;
            words((byte != 0).to_string())
        }
        0x09 | 0x12 => words(i64::from_le_bytes(skim.array(end)?).to_string()),
        0x0B => text(skim, end).and_then(|_| text(skim, end)).map(|_| Element::Other),
        0x0C => {
            let length = length(skim, end, 1)?;
            skip(skim, length + 12)
        }
        0x0F => {
            let length = length(skim, end, 14)?;
            skip(skim, length - 4)
        }
        0x10 => words(i32::from_le_bytes(skim.array(end)?).to_string()),
        0x11 => skip(skim, 8),
        0x13 => skip(skim, 16),
        kind => invalid(&format!("an element is of the unknown type 0x{kind:02x}; it is no BSON")),
    }
}

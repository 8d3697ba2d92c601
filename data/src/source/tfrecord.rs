//! TensorFlow's record files of `tf.train.Example` messages.

use super::files::{LARGEST, Skim, broken, first_bytes, is_gzip, read_span};
use super::records::Record;
use super::shards::{Fields, IMAGES, Shards, Values, place};
use super::{Collection, Reader, Source};
use crate::decode::{Color, decode};
use crate::error::{Error, Result};
use crate::labels::Labels;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// TFRecord files of `tf.train.Example` messages whose pictures are encoded (JPEG, PNG, …), as the flower and melanoma
/// competitions come. The files are listed once without reading the pictures; a picture is read where it lies. A file
/// belongs to the part that its name or folder says (train, val, test). Checksums: of every length at opening, of
/// every record when its picture is read. Compressed files are refused.
///
/// Records are framed as length (u64), its checksum, message, its checksum (u32; CRC-32C, rotated by 15 bits and
/// `0xa282ead8` added); all little endian
/// ([`record_writer.cc`](https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/lib/io/record_writer.cc),
/// [`example.proto`](https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/example/example.proto)).
///
/// | field | default | range |
/// |---|---|---|
/// | `path` | required | a file, a folder of files, or a pattern: `train/*.tfrec`, `train-{00..15}.tfrec` |
/// | `image` | found | feature of the picture: `image`, `image/encoded` and the like, else the one that starts as a picture |
/// | `id` | found | feature, else the record's place |
/// | `label` | found | a feature, or several; one of several numbers is a column for each |
/// | `target` | class | what the labels are ([`Labels`]); the values of a feature are the labels of a `multi_label` |
/// | `sample` | none | features that say which records are pictures of one sample |
/// | `group` | none | feature whose values never sit in two folds |
/// | `meta` | none | features that join the network's head: numbers or categories |
/// | `color` | rgb | rgb, gray |
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TfRecord {
    /// A file, a folder or a pattern.
    pub path: PathBuf,
    /// Feature of the picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Feature of the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Features of the label.
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
    /// Features whose values together say which records are pictures of one sample.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "super::csv::names")]
    pub sample: Vec<String>,
    /// Feature of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Features of metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meta: Vec<String>,
    /// What pictures are turned into.
    #[serde(default)]
    pub color: Color,
}

/// Length and its checksum, bytes.
const HEADER: u64 = 12;
/// Most values of a feature that are kept: more are no label.
const MOST_VALUES: usize = 1 << 16;
/// So many bytes of each value are kept: a name fits, and the beginning of a picture.
const HEAD: u64 = 256;
/// Most bytes of a value that is a label, id or metadata.
const MOST_TEXT: u64 = 1 << 16;

/// Where a record and the picture in it lie in their file, bytes.
struct Place {
    record: (u64, u64),
    image: Option<(u64, u64)>,
}

impl Source for TfRecord {
    fn open(&mut self) -> Result<Collection> {
        let shards = Shards::find(&self.path, "tfrecord")?;
        let firsts = shards.each(|shard| first(&shard.path))?;
        let image = match &self.image {
            Some(image) => image.clone(),
            None => picture(&firsts).map_err(|why| Error::Layout { path: self.path.clone(), why })?,
        };
        if !firsts.iter().any(|features| features.contains_key(&image)) {
            let known: BTreeSet<&str> = firsts.iter().flat_map(BTreeMap::keys).map(String::as_str).collect();
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            return Err(Error::Column { path: self.path.clone(), parameter: "image", name: image, known });
        }
        let known: BTreeSet<String> =
            firsts.iter().flat_map(BTreeMap::keys).filter(|k| **k != image).cloned().collect();
        let (id, label, sample) = (self.id.take(), std::mem::take(&mut self.label), self.sample.clone());
        let (group, meta) = (self.group.clone(), self.meta.clone());
        let mut fields = Fields { id, label, sample, group, meta, ..Fields::default() };
        fields.find(&known, &shards)?;
        let wanted = fields.wanted();
        let listed = shards.each(|shard| list(&shard.path, &image, &wanted))?;
        let (mut records, mut missing_files) = (Vec::<Record>::new(), vec![]);
        let mut places = Vec::with_capacity(listed.len());
        for (shard, listed) in shards.list.iter().zip(listed) {
            let len = listed.len();
            let mut own = Vec::with_capacity(len);
            for (index, (at, values)) in listed.into_iter().enumerate() {
                let path = place(shard, index, len);
                let record = fields.record(path.clone(), path, shard.part, &values);
                match at.image {
                    Some(_) => records.push(record),
                    None => missing_files.push(record.id),
                }
                own.push(at);
            }
            places.push(own);
        }
        (self.image, self.id, self.label) = (Some(image), fields.id.clone(), fields.label.clone());
        let (color, shards) = (self.color, Arc::new(shards));
        let list = shards.clone();
        let read: Reader = Arc::new(move |path| {
            let refuse = |why: &str| Error::Decode { name: path.into(), why: why.into() };
            let found = list.locate(path).and_then(|(shard, index)| Some((shard, places.get(shard)?.get(index)?)));
            let (shard, at) = found.ok_or_else(|| refuse("no file has such a record"))?;
            let image = at.image.ok_or_else(|| refuse("the record has no picture"))?;
            let (offset, length) = at.record;
            let bytes = read_span(&list.list[shard].path, path, (offset, length.saturating_add(4)))?;
            let (message, checksum) = bytes.split_last_chunk::<4>().ok_or_else(|| refuse("the record is cut"))?;
            if masked(message) != u32::from_le_bytes(*checksum) {
                return Err(refuse("the record does not fit its checksum; fetch the file again"));
            }
            let start = (image.0 - offset) as usize;
            let encoded = message.get(start..start + image.1 as usize).ok_or_else(|| refuse("the record is cut"))?;
            decode(path, encoded, color)
        });
        let found = fields.collect(records, vec![], &self.target, &shards, read)?;
        Ok(Collection { missing_files, ..found })
    }
}

/// The checksum of `bytes` as it stands in the file.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// The features of the first record.
fn first(path: &Path) -> Result<BTreeMap<String, Feature>> {
    let mut skim = Skim::open(path)?;
    let why = match () {
        () if skim.length == 0 => "it is empty; expected TFRecords; fetch it again",
        () if is_gzip(&first_bytes(path)?) => {
            "it is compressed with gzip, of which no record can be read alone; unpack it with gunzip"
        }
        () => return frame(&mut skim).and_then(|end| features(&mut skim, end)).map_err(|source| broken(path, source)),
    };
    Err(Error::Layout { path: path.into(), why: why.into() })
}

/// The feature that holds pictures.
fn picture(firsts: &[BTreeMap<String, Feature>]) -> Result<String, String> {
    let is_picture = |feature: &Feature| match feature {
        Feature::Bytes(values) => values.first().is_some_and(|value| image::guess_format(&value.head).is_ok()),
        _ => false,
    };
    let all = || firsts.iter().flatten();
    let found: BTreeSet<&String> = all().filter(|(_, feature)| is_picture(feature)).map(|(name, _)| name).collect();
    let named = IMAGES.iter().find_map(|name| found.iter().find(|found| found.as_str() == *name));
    named.or(found.first()).map(|name| name.to_string()).ok_or_else(|| {
        let names: BTreeSet<&str> = all().map(|(name, _)| name.as_str()).collect();
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        format!(
            "no feature of its first records holds an encoded picture (JPEG, PNG, …), there are {names}; raw tensors \
                 are not read; say which with data.image where the first record only lacks it"
        )
    })
}

/// Every record's place and its values of the features that are `wanted`.
fn list(path: &Path, image: &str, wanted: &BTreeSet<String>) -> Result<Vec<(Place, Values)>> {
    let mut skim = Skim::open(path)?;
    let mut found = vec![];
    while skim.at < skim.length {
        let (count, start) = (found.len(), skim.at);
        let record = record(&mut skim, image, wanted).map_err(|error| {
            let what = format!("record {count}, which begins at byte {start}: {error}");
            broken(path, io::Error::new(error.kind(), what))
        });
        found.push(record?);
    }
    Ok(found)
}

fn record<R: Read + Seek>(skim: &mut Skim<R>, image: &str, wanted: &BTreeSet<String>) -> io::Result<(Place, Values)> {
    let end = frame(skim)?;
    let start = skim.at;
    let features = features(skim, end)?;
    let image = match features.get(image) {
        Some(Feature::Bytes(values)) => values.first().map(|value| value.span),
        _ => None,
    };
    let mut values = Values::new();
    for name in wanted {
        if let Some(feature) = features.get(name) {
            let texts = texts(skim, feature).map_err(|e| io::Error::new(e.kind(), format!("feature '{name}': {e}")))?;
            values.extend((!texts.is_empty()).then(|| (name.clone(), texts)));
        }
    }
    skim.go(end + 4)?;
    Ok((Place { record: (start, end - start), image }, values))
}

fn invalid<T>(what: &str) -> io::Result<T> {
    Err(io::Error::new(ErrorKind::InvalidData, what))
}

/// Reads the header of a record; gives where its message ends.
fn frame<R: Read + Seek>(skim: &mut Skim<R>) -> io::Result<u64> {
    let is_first = skim.at == 0;
    let header: [u8; HEADER as usize] = skim.array(skim.length)?;
    let (length, checksum) = header.split_at(8);
    if masked(length).to_le_bytes() != checksum {
        return match is_first {
            true => invalid("it does not begin with a record: it is no TFRecord file, or compressed"),
            false => invalid("its length does not fit the checksum; fetch the file again"),
        };
    }
    let length = length.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
    if length > LARGEST {
        return invalid(&format!("it has {length} bytes, more than the {LARGEST} allowed"));
    }
    let end = skim.end_of(length, skim.length)?;
    skim.end_of(length + 4, skim.length)?;
    Ok(end)
}

/// The values of a feature.
enum Feature {
    Bytes(Vec<Value>),
    Floats(Vec<f32>),
    Ints(Vec<i64>),
    /// More than are looked at.
    Many,
}

/// One value of bytes.
struct Value {
    /// Where it lies in the file and its length.
    span: (u64, u64),
    /// Its first bytes.
    head: Vec<u8>,
}

/// The values of a feature as words.
fn texts<R: Read + Seek>(skim: &mut Skim<R>, feature: &Feature) -> io::Result<Vec<String>> {
    let text = |bytes| String::from_utf8(bytes).or_else(|_| invalid("it is no text"));
    match feature {
        Feature::Floats(values) => Ok(values.iter().map(f32::to_string).collect()),
        Feature::Ints(values) => Ok(values.iter().map(i64::to_string).collect()),
        Feature::Many => invalid(&format!("it has more than {MOST_VALUES} values")),
        Feature::Bytes(values) => {
            let one = |value: &Value| match value.span {
                (_, length) if length == value.head.len() as u64 => text(value.head.clone()),
                (_, length) if length > MOST_TEXT => {
                    invalid(&format!("its value has {length} bytes, which is no word"))
                }
                (offset, length) => {
                    skim.go(offset)?;
                    text(skim.take(length, skim.length)?)
                }
            };
            values.iter().map(one).collect()
        }
    }
}

/// What a field of a protobuf message holds.
enum Wire {
    Varint(u64),
    Fixed([u8; 4]),
    /// Bytes that end here.
    Until(u64),
    /// Nothing that these messages have.
    Other,
}

/// What is done with number and value of a field.
type Visit<'a, R> = dyn FnMut(&mut Skim<R>, u64, Wire) -> io::Result<()> + 'a;

/// Calls `f` with every field of the message that ends at `end`: its number and what it holds.
fn each<R: Read + Seek>(skim: &mut Skim<R>, end: u64, f: &mut Visit<'_, R>) -> io::Result<()> {
    while skim.at < end {
        let tag = skim.varint(end)?;
        match tag & 7 {
            0 => {
                let value = skim.varint(end)?;
                f(skim, tag >> 3, Wire::Varint(value))?;
            }
            1 => {
                skim.array::<8>(end)?;
                f(skim, tag >> 3, Wire::Other)?;
            }
            2 => {
                let length = skim.varint(end)?;
                let own = skim.end_of(length, end)?;
                f(skim, tag >> 3, Wire::Until(own))?;
                skim.go(own)?;
            }
            5 => {
                let bytes = skim.array(end)?;
                f(skim, tag >> 3, Wire::Fixed(bytes))?;
            }
            kind => {
                return invalid(&format!(
                    "a field of the message is of the unknown type {kind}; it is no tf.train.Example"
                ));
            }
        }
    }
    Ok(())
}

/// The features of the message `Example`, or of the context of a `SequenceExample`, that ends at `end`.
fn features<R: Read + Seek>(skim: &mut Skim<R>, end: u64) -> io::Result<BTreeMap<String, Feature>> {
    let mut found = BTreeMap::new();
    each(skim, end, &mut |skim, number, wire| match (number, wire) {
        (1, Wire::Until(end)) => each(skim, end, &mut |skim, number, wire| match (number, wire) {
            (1, Wire::Until(end)) => {
                let (mut name, mut feature) = (String::new(), None);
                each(skim, end, &mut |skim, number, wire| {
                    match (number, wire) {
                        (1, Wire::Until(end)) => {
                            let bytes = skim.take(end - skim.at, end)?;
                            name = String::from_utf8(bytes).or_else(|_| invalid("a feature's name is no text"))?;
                        }
                        (2, Wire::Until(end)) => feature = values(skim, end)?,
                        _ => {}
                    }
                    Ok(())
                })?;
                found.extend(feature.map(|feature| (name, feature)));
                Ok(())
            }
            _ => Ok(()),
        }),
        _ => Ok(()),
    })?;
    Ok(found)
}

/// The message `Feature` that ends at `end`; `None` where it is empty.
fn values<R: Read + Seek>(skim: &mut Skim<R>, end: u64) -> io::Result<Option<Feature>> {
    let mut found = None;
    each(skim, end, &mut |skim, number, wire| {
        let (1..=3, Wire::Until(end)) = (number, wire) else { return Ok(()) };
        let (mut bytes, mut floats, mut ints) = (vec![], vec![], vec![]);
        each(skim, end, &mut |skim, field, wire| {
            match (number, field, wire) {
                (1, 1, Wire::Until(end)) if bytes.len() <= MOST_VALUES => {
                    let span = (skim.at, end - skim.at);
                    bytes.push(Value { span, head: skim.take(span.1.min(HEAD), end)? });
                }
                // Numbers stand one by one, or packed.
                (2, 1, Wire::Fixed(value)) if floats.len() <= MOST_VALUES => floats.push(f32::from_le_bytes(value)),
                (2, 1, Wire::Until(end)) => {
                    while skim.at < end && floats.len() <= MOST_VALUES {
                        floats.push(f32::from_le_bytes(skim.array(end)?));
                    }
                }
                (3, 1, Wire::Varint(value)) if ints.len() <= MOST_VALUES => ints.push(value as i64),
                (3, 1, Wire::Until(end)) => {
                    while skim.at < end && ints.len() <= MOST_VALUES {
                        ints.push(skim.varint(end)? as i64);
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        let count = bytes.len().max(floats.len()).max(ints.len());
        found = match number {
            _ if count > MOST_VALUES => Some(Feature::Many),
            1 => Some(Feature::Bytes(bytes)),
            2 => Some(Feature::Floats(floats)),
            _ => Some(Feature::Ints(ints)),
        };
        Ok(())
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn checksums_are_those_of_the_reference() {
        // RFC 3720, B.4.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c::crc32c(&(0..32).collect::<Vec<u8>>()), 0x46DD_794E);
        // tensorflow/core/lib/hash/crc32c.h: the mask of 0x8A9136AA.
        assert_eq!(masked(&[0; 32]), 0x8A91_36AA_u32.rotate_right(15).wrapping_add(0xA282_EAD8));
    }

    #[test]
    fn numbers_packed_and_one_by_one() {
        let parse = |bytes: &[u8]| {
            let length = bytes.len() as u64;
            values(&mut Skim::new(Cursor::new(bytes), length), length)
        };
        // -1 takes ten bytes.
        let packed = [&[0x1A, 13, 0x0A, 11, 7][..], &[0xFF; 9], &[1]].concat();
        assert!(matches!(parse(&packed).unwrap(), Some(Feature::Ints(v)) if v == [7, -1]));
        assert!(matches!(parse(&[0x1A, 4, 0x08, 7, 0x08, 9]).unwrap(), Some(Feature::Ints(v)) if v == [7, 9]));
        let float = 1.5f32.to_le_bytes();
        let single = [&[0x12, 5, 0x0D][..], &float].concat();
        assert!(matches!(parse(&single).unwrap(), Some(Feature::Floats(v)) if v == [1.5]));
        // Fields nobody knows are skipped, of every type.
        let unknown = [&[0x22, 1, 0xFF, 0x28, 1, 0x31][..], &[0; 8], &[0x3D, 0, 0, 0, 0], &[0x1A, 2, 0x08, 3]].concat();
        assert!(matches!(parse(&unknown).unwrap(), Some(Feature::Ints(v)) if v == [3]));
        assert!(parse(&[]).unwrap().is_none());
        for bad in [&[0x1A][..], &[0x1A, 2, 0], &[0x0B], &[0xFF; 12], &[0x12, 3, 0x0D, 0, 0]] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}

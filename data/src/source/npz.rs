//! NumPy's arrays in one file.

use super::files::{Budget, broken, memory_mb, read_announced, within};
use super::idx::{Stack, collect};
use super::records::{Record, Records};
use super::{Collection, Source};
use crate::decode::Color;
use crate::error::{Error, Result};
use crate::labels::Labels;
use crate::row::{Part, Row};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use zip::ZipArchive;
use zip::result::ZipError;

/// Arrays `train_images`, `train_labels` and likewise `val_…` and `test_…`, as MedMNIST comes, or `x_train`, `y_train`, as
/// Keras' `mnist.npz`: pictures `[N, H, W]` or `[N, H, W, 3]` or volumes `[N, D, H, W]` of unsigned bytes, classes `[N]` or
/// `[N, 1]` of any integers. Other targets may be floats, and `[N, K]`: K labels of ones and zeros, shares or values. A test
/// part without labels is to be predicted. All is kept in memory.
///
/// | field | default | range |
/// |---|---|---|
/// | `path` | required | a `.npz` file |
/// | `images` | found | name of the arrays of pictures, `{part}` for train, val or test; without it there is one training part |
/// | `labels` | found | name of the arrays of labels, likewise |
/// | `target` | class | what the labels are ([`Labels`]): class, multi_label, ordinal, distribution, regression; its `classes` name the K columns |
/// | `color` | as stored | gray, rgb; colors are not made gray |
/// | `memory_mb` | 2048 | most that the arrays and the rows of their pictures may take, at least 1 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Npz {
    /// The file.
    pub path: PathBuf,
    /// Name of the arrays of pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<String>,
    /// Name of the arrays of labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
    /// What the labels are.
    #[serde(default, skip_serializing_if = "Labels::is_plain")]
    pub target: Labels,
    /// What pictures are turned into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<Color>,
    /// Most that the arrays and the rows of their pictures may take, MiB.
    #[serde(default = "memory_mb")]
    pub memory_mb: u64,
}

/// Prefixes of the arrays.
const PARTS: [(&str, Part); 3] = [("train", Part::Train), ("val", Part::Validation), ("test", Part::Test)];
/// What stands for a prefix in the name of an array.
const PART: &str = "{part}";
/// Names of the arrays of pictures and labels: MedMNIST's, and Keras'.
const NAMES: [(&str, &str); 2] = [("{part}_images", "{part}_labels"), ("x_{part}", "y_{part}")];
/// What is kept of a label while it is read as a word, bytes.
const CELL: u64 = 48;
/// Longest header of an array, bytes.
const LONGEST_HEADER: u64 = 1 << 16;

impl Source for Npz {
    fn open(&mut self) -> Result<Collection> {
        let mut budget = Budget::new("npz", self.memory_mb)?;
        let stamp = within(&self.path);
        let file = File::open(&self.path).map_err(|source| Error::Read { path: self.path.clone(), source })?;
        let mut arrays =
            Arrays { zip: ZipArchive::new(BufReader::new(file)).map_err(|e| self.unzip(e))?, source: self };
        let has = |name: &str| arrays.zip.index_for_name(&format!("{}.npy", name.replace(PART, "train"))).is_some();
        let found = NAMES.into_iter().find(|(images, _)| has(images)).unwrap_or(NAMES[0]);
        let images = self.images.clone().unwrap_or_else(|| found.0.into());
        let labels = self.labels.clone().unwrap_or_else(|| found.1.into());
        let (mut stacks, mut cells) = (Vec::<Stack>::new(), BTreeMap::new());
        let mut columns = 1;
        let parts = if images.contains(PART) { &PARTS[..] } else { &PARTS[..1] };
        for &(name, part) in parts {
            let (images, labels) = (images.replace(PART, name), labels.replace(PART, name));
            let (pictures, classes) = (arrays.read(&images, &mut budget)?, arrays.read(&labels, &mut budget)?);
            let Some(pictures) = pictures else {
                match part {
                    Part::Train => return Err(arrays.missing(&images)),
                    _ => continue,
                }
            };
            if classes.is_none() && part != Part::Test {
                return Err(arrays.missing(&labels));
            }
            let mut stack = Stack {
                name,
                part,
                dims: pictures.dims().map_err(|why| self.wrong(&images, &why))?,
                labels: None,
                pixels: pictures.bytes,
            };
            match classes {
                Some(classes) if self.target.is_plain() => {
                    stack.labels = Some(classes.classes().map_err(|why| self.wrong(&labels, &why))?);
                    stack.check(&self.path)?;
                }
                Some(classes) => {
                    let ([count, width], held) =
                        (classes.sides().map_err(|why| self.wrong(&labels, &why))?, stack.len());
                    if count != held || (part != Part::Train && width != columns) {
                        let why = format!("its sides are {:?}, expected [{held}, {columns}]", classes.shape);
                        return Err(self.wrong(&labels, &why));
                    }
                    columns = width;
                    budget.take(CELL.saturating_mul((count * width) as u64), &self.path)?;
                    cells.insert(name, classes.cells().map_err(|why| self.wrong(&labels, &why))?);
                }
                None => {}
            }
            stack.charge(&self.path, &mut budget)?;
            if let Some(first) = stacks.first().filter(|first| first.dims != stack.dims) {
                let (this, that) = (stack.dims, first.dims);
                return Err(
                    self.wrong(&images, &format!("its pictures are {this:?}, but those of the training {that:?}"))
                );
            }
            stacks.push(stack);
        }
        (self.images, self.labels) = (Some(images), Some(labels));
        let stored = if stacks.iter().any(|stack| stack.dims[3] == 3) { Color::Rgb } else { Color::Gray };
        let color = *self.color.get_or_insert(stored);
        if color == Color::Gray && stored == Color::Rgb {
            let why = "its pictures have colors, which are not made gray; leave data.color away".into();
            return Err(Error::Layout { path: self.path.clone(), why });
        }
        let found = Collection { stamp, ..collect(stacks, "npz", color) };
        if self.target.is_plain() {
            return Ok(found);
        }
        self.labelled(found, cells, columns)
    }
}

impl Npz {
    /// `found` with the labels of each part, one for each of `columns`.
    fn labelled(&self, found: Collection, mut cells: BTreeMap<&str, Labelled>, columns: usize) -> Result<Collection> {
        // Rows stand in the order of their parts' names, those of a part in their own.
        let record = |row: &Row| {
            let (part, _) = row.id.split_once('/').unwrap_or_default();
            let labels = cells.get_mut(part).and_then(Iterator::next).unwrap_or_else(|| vec![None; columns]);
            Record { path: row.id.clone(), id: row.id.clone(), part: row.part, labels, ..Record::default() }
        };
        let records = found.dataset.rows().iter().map(record).collect();
        let columns = match columns {
            1 => vec!["label".into()],
            _ if self.target.classes.len() == columns => self.target.classes.clone(),
            _ => (0..columns).map(|column| column.to_string()).collect(),
        };
        let (meta, unowned) = (vec![], vec![]);
        Records { columns, meta, records, unowned, read: found.read, stamp: found.stamp }
            .collect(&self.target, &self.path)
    }

    fn wrong(&self, array: &str, why: &str) -> Error {
        Error::Layout { path: self.path.clone(), why: format!("array '{array}': {why}") }
    }

    fn unzip(&self, error: ZipError) -> Error {
        match error {
            ZipError::Io(source) => broken(&self.path, source),
            other => {
                let why = format!("it is no .npz file that can be unpacked ({other}); fetch or save it again");
                Error::Layout { path: self.path.clone(), why }
            }
        }
    }
}

/// The arrays of a file.
struct Arrays<'a> {
    zip: ZipArchive<BufReader<File>>,
    source: &'a Npz,
}

impl Arrays<'_> {
    fn missing(&self, array: &str) -> Error {
        let mut known: Vec<String> = self.zip.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
        known.sort();
        let known = known.iter().map(|name| name.trim_end_matches(".npy")).collect::<Vec<_>>().join(", ");
        let why = format!("array '{array}' is not in it; there are {known}");
        Error::Layout { path: self.source.path.clone(), why }
    }

    /// An array, where there is one of this name.
    fn read(&mut self, name: &str, budget: &mut Budget) -> Result<Option<Array>> {
        let source = self.source;
        let mut file = match self.zip.by_name(&format!("{name}.npy")) {
            Ok(file) => file,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(source.unzip(error)),
        };
        let (held, cut) = (file.size(), |error| broken(&source.path, error));
        let text = header(&mut file).map_err(cut)?.map_err(|why| source.wrong(name, &why))?;
        let (kind, shape) = layout(&text.1).map_err(|why| source.wrong(name, &why))?;
        let values = shape.iter().try_fold(kind.size as u64, |product, side| product.checked_mul(*side as u64));
        let announced = values.unwrap_or(u64::MAX);
        if announced == 0 || announced != held.saturating_sub(text.0) {
            let held = held.saturating_sub(text.0);
            let why = format!("its header announces {shape:?}, {announced} bytes, but {held} follow; make it again");
            return Err(source.wrong(name, &why));
        }
        budget.take(announced, &source.path)?;
        let bytes = read_announced(&mut file, announced).map_err(cut)?;
        Ok(Some(Array { kind, shape, bytes }))
    }
}

/// What an array's values are.
#[derive(Clone, Debug, PartialEq)]
struct Kind {
    /// As NumPy writes it: `|u1`, `<i8`.
    name: String,
    /// `u` unsigned, `i` signed, `b` yes or no, …
    letter: char,
    /// Bytes of a value.
    size: usize,
}

/// The label cells of one picture after the other.
type Labelled = std::vec::IntoIter<Vec<Option<String>>>;

/// An array as it is stored.
struct Array {
    kind: Kind,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// The length of an array's header, bytes, and its text.
fn header(reader: &mut impl Read) -> io::Result<Result<(u64, String), String>> {
    let mut start = [0; 8];
    reader.read_exact(&mut start)?;
    let [version, _] = [start[6], start[7]];
    if !start.starts_with(b"\x93NUMPY") || !(1..=3).contains(&version) {
        return Ok(Err("it is no NumPy array of version 1, 2 or 3".into()));
    }
    let mut length = [0; 4];
    let width = if version == 1 { 2 } else { 4 };
    reader.read_exact(&mut length[..width])?;
    let length = u64::from(u32::from_le_bytes(length));
    if length > LONGEST_HEADER {
        return Ok(Err(format!("its header has {length} bytes, more than the {LONGEST_HEADER} allowed")));
    }
    let mut text = vec![0; length as usize];
    reader.read_exact(&mut text)?;
    Ok(Ok((8 + width as u64 + length, String::from_utf8_lossy(&text).into_owned())))
}

/// Type and sides from `{'descr': '|u1', 'fortran_order': False, 'shape': (5, 28, 28), }`.
fn layout(header: &str) -> Result<(Kind, Vec<usize>), String> {
    let value = |key: &str| {
        let (_, rest) = header.split_once(&format!("'{key}'")).ok_or_else(|| format!("its header has no '{key}'"))?;
        Ok::<_, String>(rest.trim_start().trim_start_matches(':').trim_start())
    };
    let unknown = |what: &str| format!("its {what} cannot be understood from its header: {}", header.trim());
    let quoted = value("descr")?.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
    let (name, _) = quoted.ok_or("its values are records; only plain numbers are read")?;
    let letters = name.trim_start_matches(['<', '>', '|', '=']);
    let letter = letters.chars().next().ok_or_else(|| unknown("type"))?;
    if letter == 'O' {
        return Err("its values are pickled Python objects, which are not read; save plain numbers".into());
    }
    let size: usize = letters[letter.len_utf8()..].parse().map_err(|_| unknown("type"))?;
    if !value("fortran_order")?.starts_with("False") {
        return Err("it is stored column by column; save np.ascontiguousarray of it".into());
    }
    let sides = value("shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    let (sides, _) = sides.ok_or_else(|| unknown("shape"))?;
    let sides = sides.split(',').map(str::trim).filter(|side| !side.is_empty());
    let shape: Result<Vec<usize>, _> = sides.map(str::parse).collect();
    Ok((Kind { name: name.into(), letter, size }, shape.map_err(|_| unknown("shape"))?))
}

impl Array {
    /// `[D, H, W, C]` of a picture.
    fn dims(&self) -> Result<[usize; 4], String> {
        if (self.kind.letter, self.kind.size) != ('u', 1) {
            return Err(format!("its values are '{}'; pictures are read from unsigned bytes ('|u1')", self.kind.name));
        }
        match self.shape[..] {
            [_, height, width] => Ok([1, height, width, 1]),
            [_, height, width, channels @ (1 | 3)] => Ok([1, height, width, channels]),
            [_, depth, height, width] if width > 4 => Ok([depth, height, width, 1]),
            [_, depth, height, width, channels @ (1 | 3)] => Ok([depth, height, width, channels]),
            _ => Err(format!("its sides are {:?}, expected [N, H, W], [N, H, W, 3] or [N, D, H, W]", self.shape)),
        }
    }

    /// A class number for each picture.
    fn classes(&self) -> Result<Vec<i64>, String> {
        if !matches!(self.shape[..], [_] | [_, 1]) {
            return Err(format!(
                "its sides are {:?}, expected one class per picture, [N] or [N, 1]; for several labels say data.target = \
                 \"multi_label\"",
                self.shape
            ));
        }
        let Kind { name, letter, size } = &self.kind;
        if !matches!((letter, size), ('u' | 'i', 1 | 2 | 4 | 8) | ('b', 1)) {
            return Err(format!(
                "its values are '{name}'; classes are read from integers; for numbers say data.target = \"regression\""
            ));
        }
        let class = |bytes| {
            let value = self.kind.integer(bytes);
            i64::try_from(value).map_err(|_| format!("class {value} is too large"))
        };
        self.bytes.chunks_exact(*size).map(class).collect()
    }

    /// Pictures and labels of each.
    fn sides(&self) -> Result<[usize; 2], String> {
        match self.shape[..] {
            [count] => Ok([count, 1]),
            [count, width] => Ok([count, width]),
            _ => Err(format!("its sides are {:?}, expected [N] or [N, K]", self.shape)),
        }
    }

    /// The labels of each picture as words; `None` for a float that is no number.
    fn cells(&self) -> Result<Labelled, String> {
        let [_, width] = self.sides()?;
        let Kind { name, letter, size } = &self.kind;
        let word: fn(&Kind, &[u8]) -> Option<String> = match (letter, size) {
            ('u' | 'i', 1 | 2 | 4 | 8) | ('b', 1) => |kind, bytes| Some(kind.integer(bytes).to_string()),
            ('f', 4) => |kind, bytes| {
                let value = f32::from_bits(kind.integer(bytes) as u32);
                (!value.is_nan()).then(|| value.to_string())
            },
            ('f', 8) => |kind, bytes| {
                let value = f64::from_bits(kind.integer(bytes) as u64);
                (!value.is_nan()).then(|| value.to_string())
            },
            _ => {
                return Err(format!(
                    "its values are '{name}'; labels are read from integers and floats of 4 or 8 bytes"
                ));
            }
        };
        let words = |row: &[u8]| row.chunks_exact(*size).map(|bytes| word(&self.kind, bytes)).collect();
        Ok(self.bytes.chunks_exact(size * width).map(words).collect::<Vec<_>>().into_iter())
    }
}

impl Kind {
    /// The integer of these bytes.
    fn integer(&self, bytes: &[u8]) -> i128 {
        let add = |number: i128, byte: &u8| number << 8 | i128::from(*byte);
        let value =
            if self.name.starts_with('>') { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) };
        let is_negative = self.letter == 'i' && value >> (8 * self.size - 1) == 1;
        if is_negative { value - (1 << (8 * self.size)) } else { value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(kind: &str, shape: &str, bytes: &[u8]) -> Result<Array, String> {
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}  \n");
        layout(&header).map(|(kind, shape)| Array { kind, shape, bytes: bytes.into() })
    }

    #[test]
    fn shapes_of_pictures_and_volumes() {
        let dims = |shape: &str| array("|u1", shape, &[]).and_then(|array| array.dims());
        assert_eq!(dims("(5, 28, 20)"), Ok([1, 28, 20, 1]));
        assert_eq!(dims("(5, 28, 20, 3)"), Ok([1, 28, 20, 3]));
        assert_eq!(dims("(5, 28, 20, 1)"), Ok([1, 28, 20, 1]));
        assert_eq!(dims("(5, 16, 28, 20)"), Ok([16, 28, 20, 1]));
        assert_eq!(dims("(5, 16, 28, 20, 3)"), Ok([16, 28, 20, 3]));
        assert!(dims("(5, 28, 20, 4)").is_err_and(|why| why.contains("[5, 28, 20, 4]")));
        assert!(dims("(5,)").is_err());
        assert!(dims("5").is_err_and(|why| why.contains("shape cannot be understood")));
    }

    #[test]
    fn integers_of_every_kind() {
        let classes = |kind, bytes: &[u8]| array(kind, "(2,)", bytes).and_then(|array| array.classes());
        assert_eq!(classes("|u1", &[3, 255]), Ok(vec![3, 255]));
        assert_eq!(classes("|i1", &[3, 255]), Ok(vec![3, -1]));
        assert_eq!(classes("|b1", &[1, 0]), Ok(vec![1, 0]));
        assert_eq!(classes("<u2", &[1, 2, 0, 0]), Ok(vec![513, 0]));
        assert_eq!(classes(">u2", &[1, 2, 0, 0]), Ok(vec![258, 0]));
        assert_eq!(classes("<i8", &[[7, 0, 0, 0, 0, 0, 0, 0], [0xFF; 8]].concat()), Ok(vec![7, -1]));
        assert!(classes("<u8", &[0xFF; 16]).is_err_and(|why| why.contains("too large")));
        assert!(classes("<f4", &[0; 8]).is_err_and(|why| why.contains("'<f4'")));
        assert!(classes("|O", &[]).is_err_and(|why| why.contains("pickled")));
    }
}

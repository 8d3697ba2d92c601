//! What a picture needs of a DICOM file (PS3.5, PS3.10): elements of the top level, and where the pixels lie.
//!
//! Nothing is allocated by a length that the file only announces, and sequences are walked without recursion: neither large nor
//! deeply nested files can take the memory or the stack.

use super::files::{LARGEST, read_announced};
use flate2::read::DeflateDecoder;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

/// Tags, group and element.
pub(super) mod tag {
    pub const SYNTAX: u32 = 0x0002_0010;
    pub const PATIENT: u32 = 0x0010_0020;
    pub const THICKNESS: u32 = 0x0018_0050;
    pub const BETWEEN_SLICES: u32 = 0x0018_0088;
    pub const IMAGER_SPACING: u32 = 0x0018_1164;
    pub const SERIES: u32 = 0x0020_000E;
    pub const INSTANCE: u32 = 0x0020_0013;
    pub const POSITION: u32 = 0x0020_0032;
    pub const ORIENTATION: u32 = 0x0020_0037;
    pub const SAMPLES: u32 = 0x0028_0002;
    pub const PHOTOMETRIC: u32 = 0x0028_0004;
    pub const PLANAR: u32 = 0x0028_0006;
    pub const FRAMES: u32 = 0x0028_0008;
    pub const ROWS: u32 = 0x0028_0010;
    pub const COLUMNS: u32 = 0x0028_0011;
    pub const SPACING: u32 = 0x0028_0030;
    pub const ALLOCATED: u32 = 0x0028_0100;
    pub const STORED: u32 = 0x0028_0101;
    pub const HIGH_BIT: u32 = 0x0028_0102;
    pub const SIGNED: u32 = 0x0028_0103;
    pub const PADDING: u32 = 0x0028_0120;
    pub const PADDING_LIMIT: u32 = 0x0028_0121;
    pub const CENTER: u32 = 0x0028_1050;
    pub const WIDTH: u32 = 0x0028_1051;
    pub const INTERCEPT: u32 = 0x0028_1052;
    pub const SLOPE: u32 = 0x0028_1053;
    pub const WINDOW_FUNCTION: u32 = 0x0028_1056;
    /// Of red; those of green and blue follow.
    pub const PALETTE_LAYOUT: u32 = 0x0028_1101;
    pub const PALETTE: u32 = 0x0028_1201;
    pub const LOOKUP: u32 = 0x0028_3000;
    pub const PIXELS: u32 = 0x7FE0_0010;
    pub const ITEM: u32 = 0xFFFE_E000;
    pub const ITEM_END: u32 = 0xFFFE_E00D;
    pub const SEQUENCE_END: u32 = 0xFFFE_E0DD;
}

/// Longest value that is kept of an element, bytes; those of pictures are shorter.
const LONGEST: u32 = 1024;
/// The same of a color's levels: 65536 of 16 bits.
const LONGEST_PALETTE: u32 = 1 << 17;
/// Groups whose elements are kept.
const GROUPS: [u32; 6] = [0x02, 0x08, 0x10, 0x18, 0x20, 0x28];
/// A length that is not known in advance.
const UNDEFINED: u32 = u32::MAX;
/// Representations whose lengths have 32 bits.
const LONG: [&[u8; 2]; 13] =
    [b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"];

/// How the elements and pixels of a file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Syntax {
    /// Whether the highest byte of a number is first.
    pub big: bool,
    explicit: bool,
    deflated: bool,
    pub coding: Coding,
}

/// How the pixels of a file are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// Not at all.
    Plain,
    /// A JPEG file for each frame.
    Jpeg,
    /// A lossless one.
    Lossless,
    /// Run lengths.
    Runs,
}

/// Transfer syntaxes whose pixels are compressed in a way that is not read.
const FOREIGN: &[(&str, &str)] = &[
    ("1.2.840.10008.1.2.4.51", "JPEG Extended (12 bits)"),
    ("1.2.840.10008.1.2.4.80", "JPEG-LS Lossless"),
    ("1.2.840.10008.1.2.4.81", "JPEG-LS"),
    ("1.2.840.10008.1.2.4.90", "JPEG 2000 Lossless"),
    ("1.2.840.10008.1.2.4.91", "JPEG 2000"),
    ("1.2.840.10008.1.2.4.201", "High-Throughput JPEG 2000 Lossless"),
    ("1.2.840.10008.1.2.4.203", "High-Throughput JPEG 2000"),
];

impl Syntax {
    fn of(uid: &str) -> Result<Self, String> {
        let plain = Self { big: false, explicit: true, deflated: false, coding: Coding::Plain };
        Ok(match uid {
            "1.2.840.10008.1.2" => Self { explicit: false, ..plain },
            "1.2.840.10008.1.2.1" => plain,
            "1.2.840.10008.1.2.1.99" => Self { deflated: true, ..plain },
            "1.2.840.10008.1.2.2" => Self { big: true, ..plain },
            "1.2.840.10008.1.2.4.50" => Self { coding: Coding::Jpeg, ..plain },
            "1.2.840.10008.1.2.4.57" | "1.2.840.10008.1.2.4.70" => Self { coding: Coding::Lossless, ..plain },
            "1.2.840.10008.1.2.5" => Self { coding: Coding::Runs, ..plain },
            other => {
                let name = FOREIGN.iter().find(|(uid, _)| *uid == other).map_or("unknown", |(_, name)| name);
                return Err(format!(
                    "its transfer syntax {other} ({name}) is not read; convert it to an uncompressed one, with `gdcmconv --raw` \
                     or pydicom's `decompress()`"
                ));
            }
        })
    }
}

/// A file's elements.
pub(super) struct Elements {
    pub syntax: Syntax,
    values: BTreeMap<u32, Vec<u8>>,
    /// Parts of the pixels, each its place and length in the file: one, or the fragments of compressed ones.
    pixels: Vec<(u64, u64)>,
    /// Whether plain pixels are written in words of 16 bits.
    pub words: bool,
    input: BufReader<Input>,
}

/// A file on disk, or one that was inflated into memory.
enum Input {
    File(File),
    Memory(Cursor<Vec<u8>>),
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Memory(memory) => memory.read(buffer),
        }
    }
}

impl Seek for Input {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Memory(memory) => memory.seek(to),
        }
    }
}

/// Whether a file starts as DICOM files do.
pub(super) fn is_dicom(path: &Path) -> bool {
    let mut start = [0; 132];
    File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start.ends_with(b"DICM")
}

impl Elements {
    /// Reads the elements up to the pixels, which are not read.
    ///
    /// # Errors
    /// What is wrong with the file: no DICOM, cut, a transfer syntax that is not read.
    pub fn open(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let length = file.metadata().map_err(|error| error.to_string())?.len();
        let mut walk = Walk::new(Input::File(file), length);
        let mut start = [0; 132];
        let is_whole = walk.input.read_exact(&mut start).is_ok();
        if !is_whole || !start.ends_with(b"DICM") {
            let why =
                if length == 0 { "the file is empty" } else { "it is no DICOM file: 'DICM' is not at its byte 128" };
            return Err(why.into());
        }
        walk.position = 132;
        while walk.next_group().map_err(cut)? == Some(2) {
            walk.element().map_err(cut)?;
        }
        let uid = walk.values.get(&tag::SYNTAX).map(|value| text(value)).ok_or("it names no transfer syntax")?;
        let syntax = Syntax::of(&uid)?;
        if syntax.deflated {
            let mut inflated = vec![];
            let limit = LARGEST + 1;
            DeflateDecoder::new(&mut walk.input).take(limit).read_to_end(&mut inflated).map_err(cut)?;
            let length = inflated.len() as u64;
            if length == limit {
                return Err(format!("it has more than the {LARGEST} bytes allowed when it is inflated"));
            }
            walk = Walk { values: walk.values, ..Walk::new(Input::Memory(Cursor::new(inflated)), length) };
        }
        (walk.explicit, walk.big) = (syntax.explicit, syntax.big);
        while walk.pixels.is_empty() && walk.next_group().map_err(cut)?.is_some() {
            walk.element().map_err(cut)?;
        }
        let Walk { values, pixels, words, input, .. } = walk;
        Ok(Self { syntax, values, pixels, words, input })
    }

    /// The text of an element without its padding; `None` where it is missing or empty.
    pub fn text(&self, tag: u32) -> Option<String> {
        self.values.get(&tag).map(|value| text(value)).filter(|text| !text.is_empty())
    }

    /// The first 16 bits of an element.
    pub fn number(&self, tag: u32) -> Option<u16> {
        self.number_at(tag, 0)
    }

    /// The bits of number `index` of an element of numbers of 16 bits.
    pub fn number_at(&self, tag: u32, index: usize) -> Option<u16> {
        let bytes = *self.values.get(&tag)?.as_chunks::<2>().0.get(index)?;
        Some(if self.syntax.big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    /// The bytes of an element.
    pub fn bytes(&self, tag: u32) -> Option<&[u8]> {
        self.values.get(&tag).map(Vec::as_slice)
    }

    /// The numbers of an element that holds them as text; `None` where one is none.
    pub fn decimals<const N: usize>(&self, tag: u32) -> Option<[f64; N]> {
        let text = self.text(tag)?;
        let mut numbers =
            text.split('\\').map(|number| number.trim().parse().ok().filter(|number: &f64| number.is_finite()));
        let mut found = [0.0; N];
        for number in &mut found {
            *number = numbers.next()??;
        }
        Some(found)
    }

    /// Whether there is such an element, a sequence or a value.
    pub fn has(&self, tag: u32) -> bool {
        self.values.contains_key(&tag)
    }

    /// The parts of the pixels, of which `most` bytes are read.
    pub fn pixels(&mut self, most: u64) -> Result<Vec<Vec<u8>>, String> {
        if self.pixels.is_empty() {
            return Err("it has no pixels (element 7FE0,0010)".into());
        }
        let (mut parts, mut left) = (vec![], most);
        for &(place, length) in &self.pixels {
            let length = length.min(left);
            left -= length;
            self.input.seek(SeekFrom::Start(place)).map_err(cut)?;
            parts.push(read_announced(&mut (&mut self.input).take(length), length).map_err(cut)?);
        }
        Ok(parts)
    }
}

fn text(value: &[u8]) -> String {
    // Identifiers and numbers are ASCII; what is not is only compared.
    String::from_utf8_lossy(value).trim_matches(['\0', ' ']).to_string()
}

/// What is said of a file that cannot be read to its end.
fn cut(error: io::Error) -> String {
    match error.kind() {
        ErrorKind::UnexpectedEof => "it is truncated; fetch it again".into(),
        ErrorKind::InvalidInput | ErrorKind::InvalidData => format!("it is broken: {error}"),
        _ => error.to_string(),
    }
}

/// A walk over the elements of the top level.
struct Walk {
    input: BufReader<Input>,
    position: u64,
    length: u64,
    explicit: bool,
    big: bool,
    values: BTreeMap<u32, Vec<u8>>,
    pixels: Vec<(u64, u64)>,
    words: bool,
}

/// What stands before a value.
struct Header {
    tag: u32,
    /// Its representation, zeros where it is not said.
    kind: [u8; 2],
    length: u32,
}

impl Walk {
    fn new(input: Input, length: u64) -> Self {
        let (values, pixels) = (BTreeMap::new(), vec![]);
        let input = BufReader::new(input);
        Self { input, position: 0, length, explicit: true, big: false, values, pixels, words: false }
    }

    /// The group of the next element; `None` at the end.
    fn next_group(&mut self) -> io::Result<Option<u16>> {
        let buffer = self.input.fill_buf()?;
        // A buffer may hold half a group: its second byte is read with the element.
        Ok(match *buffer {
            [] => None,
            [low, high, ..] if !self.big => Some(u16::from_le_bytes([low, high])),
            _ => Some(0),
        })
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes)?;
        self.position += N as u64;
        Ok(bytes)
    }

    fn half(&mut self) -> io::Result<u16> {
        let bytes = self.bytes()?;
        Ok(if self.big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn word(&mut self) -> io::Result<u32> {
        let bytes = self.bytes()?;
        Ok(if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn header(&mut self) -> io::Result<Header> {
        let (group, element) = (self.half()?, self.half()?);
        let tag = u32::from(group) << 16 | u32::from(element);
        // Items and delimiters have no representation.
        if !self.explicit || group == 0xFFFE {
            return Ok(Header { tag, kind: [0; 2], length: self.word()? });
        }
        let kind = self.bytes()?;
        let length = match LONG.contains(&&kind) {
            true => {
                self.half()?;
                self.word()?
            }
            false => u32::from(self.half()?),
        };
        Ok(Header { tag, kind, length })
    }

    /// Keeps the value of an element of the groups that describe pictures.
    fn keep(&mut self, tag: u32, value: Vec<u8>) {
        if GROUPS.contains(&(tag >> 16)) {
            self.values.insert(tag, value);
        }
    }

    fn skip(&mut self, length: u64) -> io::Result<()> {
        if length > self.length.saturating_sub(self.position) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.position += length;
        self.input.seek_relative(i64::try_from(length).map_err(io::Error::other)?)
    }

    /// Passes one element; keeps a short value, and the place of the pixels.
    fn element(&mut self) -> io::Result<()> {
        let Header { tag, kind, length } = self.header()?;
        let longest = if tag.wrapping_sub(tag::PALETTE) < 3 { LONGEST_PALETTE } else { LONGEST };
        match length {
            UNDEFINED if tag == tag::PIXELS => self.fragments(),
            UNDEFINED => {
                self.keep(tag, vec![]);
                self.sequence(&kind == b"UN")
            }
            _ if tag == tag::PIXELS => {
                (self.pixels, self.words) = (vec![(self.position, length.into())], &kind == b"OW");
                self.skip(length.into())
            }
            _ if length <= longest && u64::from(length) <= self.length.saturating_sub(self.position) => {
                let mut value = vec![0; length as usize];
                self.input.read_exact(&mut value)?;
                self.position += u64::from(length);
                self.keep(tag, value);
                Ok(())
            }
            _ => {
                self.keep(tag, vec![]);
                self.skip(length.into())
            }
        }
    }

    /// Passes a sequence of unknown length. What was of no known kind is written as in the implicit syntax.
    fn sequence(&mut self, is_unknown: bool) -> io::Result<()> {
        let (explicit, big) = (self.explicit, self.big);
        if is_unknown {
            (self.explicit, self.big) = (false, false);
        }
        let mut open = 1u64;
        while open > 0 {
            let Header { tag, length, .. } = self.header()?;
            match (tag, length) {
                (tag::ITEM_END | tag::SEQUENCE_END, _) => open -= 1,
                (_, UNDEFINED) => open += 1,
                (_, length) => self.skip(length.into())?,
            }
        }
        (self.explicit, self.big) = (explicit, big);
        Ok(())
    }

    /// Notes the fragments of compressed pixels, behind a table of their offsets.
    fn fragments(&mut self) -> io::Result<()> {
        let mut is_table = true;
        loop {
            let Header { tag, length, .. } = self.header()?;
            match tag {
                tag::ITEM if length != UNDEFINED => {
                    if !std::mem::take(&mut is_table) {
                        self.pixels.push((self.position, length.into()));
                    }
                    self.skip(length.into())?;
                }
                tag::SEQUENCE_END => return Ok(()),
                _ => return Err(io::Error::new(ErrorKind::InvalidData, "its compressed pixels are no items")),
            }
        }
    }
}

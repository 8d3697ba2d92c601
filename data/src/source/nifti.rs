//! NIfTI files: volumes of magnetic resonance and other scans.

use super::csv::{Csv, names, one_or_several};
use super::files::{Tree, first_bytes, is_gzip, is_nifti, read_announced};
use super::window::{Percentiles, Voxels, Window, check_spacing, checked};
use super::{Alone, Collection, Reader, Source};
use crate::decode::Decoded;
use crate::error::{Error, Result};
use crate::labels::Labels;
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Volumes in `.nii` and `.nii.gz` files (NIfTI-1 and NIfTI-2) below a folder with labels from a table beside them, as those of `csv`, or
/// from class folders. Values of every integer and float type are rescaled by slope and intercept and windowed to bytes. What
/// lies behind the third side (times, directions) becomes channels, so all files need equally many.
///
/// | field | default | range |
/// |---|---|---|
/// | `path` | required | the folder of everything, or the table |
/// | `window` | percentiles 0.5 to 99.5 | `[low, high]`, lung, bone, soft_tissue, brain, or `{ percentiles = [low, high] }` |
/// | `orientation` | LPS | where columns, rows and slices lead to: one each of R or L, A or P, S or I, in any order; LPS is DICOM's, RAS MONAI's |
/// | `spacing` | as stored | mm between voxels, `[z, y, x]` of the result, each above 0 |
/// | `table`, `test_table`, `sample_submission`, `id`, `label`, `target`, `sample`, `group`, `meta` | as `csv` | as `csv` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nifti {
    /// The root, or the table in it.
    pub path: PathBuf,
    /// What becomes black and white.
    #[serde(default = "middle")]
    pub window: Window,
    /// Where columns, rows and slices lead to.
    #[serde(default = "lps")]
    pub orientation: String,
    /// Distance of the voxels, `[z, y, x]` mm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spacing: Option<[f32; 3]>,
    /// Table of the training part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Table of the test part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_table: Option<String>,
    /// Example of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_submission: Option<String>,
    /// Column that names the file.
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
    /// Columns whose values together say which rows are pictures of one sample.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "names")]
    pub sample: Vec<String>,
    /// Column of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Columns of metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meta: Vec<String>,
}

fn middle() -> Window {
    Window::Percentiles(Percentiles { percentiles: [0.5, 99.5] })
}

fn lps() -> String {
    "LPS".into()
}

/// Most that deflate makes of a byte.
const MAX_RATIO: u64 = 1032;

impl Source for Nifti {
    fn open(&mut self) -> Result<Collection> {
        self.window.check()?;
        check_spacing(self.spacing)?;
        let axes = letters(&self.orientation).map_err(Error::Invalid)?;
        let mut csv = Csv {
            path: self.path.clone(),
            table: self.table.take(),
            test_table: self.test_table.take(),
            sample_submission: self.sample_submission.take(),
            id: self.id.take(),
            label: std::mem::take(&mut self.label),
            target: self.target.clone(),
            sample: self.sample.clone(),
            group: self.group.clone(),
            meta: self.meta.clone(),
            ..Csv::default()
        };
        csv.enter();
        let tree = Tree::walk_for(&csv.path, is_nifti)?;
        if tree.pictures.is_empty() {
            let why = "no NIfTI files (.nii, .nii.gz) are below it".into();
            return Err(Error::Layout { path: csv.path, why });
        }
        let read = self.reader(csv.path.clone(), axes);
        let found = csv.open_any(tree, read)?;
        Csv {
            path: self.path,
            table: self.table,
            test_table: self.test_table,
            sample_submission: self.sample_submission,
            id: self.id,
            label: self.label,
            ..
        } = csv;
        Ok(found)
    }

    fn alone(&self) -> Alone {
        match letters(&self.orientation) {
            Ok(axes) => Alone::Read { read: self.reader(PathBuf::new(), axes), is_one: Some(is_nifti) },
            Err(_) => Alone::Nothing,
        }
    }
}

impl Nifti {
    /// Decodes volumes below `root`.
    fn reader(&self, root: PathBuf, axes: [Axis; 3]) -> Reader {
        let (window, spacing) = (self.window, self.spacing);
        Arc::new(move |name| {
            let wrong = |why: String| Error::Decode { name: name.into(), why };
            let (voxels, distances) = volume(&root.join(name), axes).map_err(wrong)?;
            let voxels = match spacing {
                Some(spacing) => voxels.resampled(distances, spacing).map_err(wrong)?,
                None => voxels,
            };
            let image = voxels.image(voxels.range(window))?;
            Ok(Decoded { stored_channels: image.channels(), image, format: "nifti", is_deep: false })
        })
    }
}

/// An axis of the body, 0 left to right, 1 back to front, 2 feet to head, and whether it is followed in this direction.
type Axis = (usize, bool);

/// Where columns, rows and slices lead to.
fn letters(orientation: &str) -> Result<[Axis; 3], String> {
    let axis = |letter: char| {
        ["LR", "PA", "IS"].iter().enumerate().find_map(|(axis, ends)| {
            let place = ends.find(letter.to_ascii_uppercase())?;
            Some((axis, place == 1))
        })
    };
    let axes: Option<Vec<Axis>> = orientation.chars().map(axis).collect();
    match axes.as_deref() {
        Some(&[a, b, c]) if a.0 != b.0 && a.0 != c.0 && b.0 != c.0 => Ok([a, b, c]),
        _ => Err(format!(
            "data.orientation: '{orientation}' must be one each of R or L, A or P, S or I, such as LPS or RAS"
        )),
    }
}

/// What is said of a file that cannot be read to its end.
fn cut(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => format!("it is truncated ({error}); fetch it again"),
        _ => format!("it is broken: {error}"),
    }
}

/// The voxels of a file along `axes`, and their distances `[z, y, x]`.
fn volume(path: &Path, axes: [Axis; 3]) -> Result<(Voxels, [f64; 3]), String> {
    let gzip = is_gzip(&first_bytes(path).map_err(|error| error.to_string())?);
    let file = File::open(path).map_err(|error| error.to_string())?;
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let file = BufReader::new(file);
    let mut reader: Box<dyn Read> = if gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut start = vec![];
    (&mut reader).take(FIRST.length).read_to_end(&mut start).map_err(|error| cut(&error))?;
    let short = || "it is truncated: its header is not whole; fetch it again".to_string();
    let elsewhere = || Err("its voxels are in another file (.img); save both as one .nii, with nibabel".into());
    let places = match (start.get(344..348), start.get(4..8)) {
        _ if length == 0 => return Err("the file is empty".into()),
        (None, _) => return Err(short()),
        (Some(b"n+1\0"), _) => &FIRST,
        (_, Some(b"n+2\0")) => &SECOND,
        (Some(b"ni1\0"), _) | (_, Some(b"ni2\0")) => return elsewhere(),
        _ => return Err("it is no NIfTI file: 'n+1' is not at its byte 344, nor 'n+2' at byte 4".into()),
    };
    (&mut reader).take(places.length - FIRST.length).read_to_end(&mut start).map_err(|error| cut(&error))?;
    let header = Header::read(&start, places).ok_or_else(short)?;
    let (sides, channels) = sides(&header)?;
    let number = Number::of(&header)?;
    let count = checked([sides[2], sides[1], sides[0], channels])?;
    let announced = (count * number.size) as u64;
    let offset = header.offset;
    let skipped = if offset >= places.length as f64 && offset < 1e9 { offset as u64 - places.length } else { 4 };
    let needed = places.length + skipped + announced;
    let most = if gzip { length.saturating_mul(MAX_RATIO) } else { length };
    if needed > most {
        return Err(format!(
            "its header announces {sides:?} by {channels} values, {needed} bytes, but it has at most {most}; it is truncated, \
             fetch it again"
        ));
    }
    let passed = io::copy(&mut (&mut reader).take(skipped), &mut io::sink()).map_err(|error| cut(&error))?;
    let bytes = read_announced(&mut (&mut reader).take(announced), announced).map_err(|error| cut(&error))?;
    if passed < skipped {
        return Err("it is truncated; fetch it again".into());
    }
    let own = orientation(&affine(&header));
    // The file's axis for each of ours, and whether it is followed backwards.
    let taken = axes.map(|(body, forwards)| {
        let axis = own.iter().position(|(other, _)| *other == body).unwrap_or(body);
        (axis, own[axis].1 != forwards)
    });
    let strides = [1, sides[0], sides[0] * sides[1]];
    let dims = [sides[taken[2].0], sides[taken[1].0], sides[taken[0].0], channels];
    let mut values = Vec::with_capacity(count);
    let step = |n: usize, place: usize| {
        let (axis, backwards) = taken[n];
        strides[axis] * if backwards { sides[axis] - 1 - place } else { place }
    };
    for z in 0..dims[0] {
        for y in 0..dims[1] {
            let row = step(2, z) + step(1, y);
            for x in 0..dims[2] {
                let first = row + step(0, x);
                let volume = strides[2] * sides[2];
                values.extend((0..channels).map(|c| number.value(&bytes, first + c * volume)));
            }
        }
    }
    let mm = |n: usize| header.pixdim[1 + taken[n].0].abs();
    Ok((Voxels { dims, values }, [mm(2), mm(1), mm(0)]))
}

/// Where a version's header has its fields, bytes from its start, and how wide its numbers are.
struct Places {
    /// Of the header, bytes.
    length: u64,
    /// Bytes of a side, and of the codes.
    side: usize,
    code: usize,
    /// Bytes of a float.
    float: usize,
    dim: usize,
    kind: usize,
    pixdim: usize,
    offset: usize,
    /// Of the slope; the intercept follows.
    scale: usize,
    /// Codes of the two ways to say where voxels are.
    forms: usize,
    quaternion: usize,
    rows: usize,
}

/// NIfTI-1 (nifti1.h).
const FIRST: Places = Places {
    length: 348,
    side: 2,
    code: 2,
    float: 4,
    dim: 40,
    kind: 70,
    pixdim: 76,
    offset: 108,
    scale: 112,
    forms: 252,
    quaternion: 256,
    rows: 280,
};
/// NIfTI-2 (nifti2.h).
const SECOND: Places = Places {
    length: 540,
    side: 8,
    code: 4,
    float: 8,
    dim: 16,
    kind: 12,
    pixdim: 104,
    offset: 168,
    scale: 176,
    forms: 344,
    quaternion: 352,
    rows: 400,
};

/// What is needed of a header of either version.
struct Header {
    big: bool,
    dim: [u64; 8],
    kind: u64,
    pixdim: [f64; 8],
    /// Of the voxels, bytes.
    offset: f64,
    slope: f64,
    intercept: f64,
    /// Whether the quaternion and the rows say where voxels are.
    has_quaternion: bool,
    has_rows: bool,
    quaternion: [f64; 3],
    rows: [[f64; 4]; 3],
}

/// The bits of a number.
fn bits(bytes: &[u8], big: bool) -> u64 {
    let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    if big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
}

/// The float that these bits are.
fn float(bits: u64, size: usize) -> f64 {
    if size == 4 { f64::from(f32::from_bits(bits as u32)) } else { f64::from_bits(bits) }
}

impl Header {
    /// `None` where it is not whole.
    fn read(bytes: &[u8], places: &Places) -> Option<Self> {
        let bytes = bytes.get(..places.length as usize)?;
        // Its own length stands first.
        let big = bits(&bytes[..4], false) != places.length
            && (bits(&bytes[..4], true) == places.length || !(1..8).contains(&bits(&bytes[places.dim..][..2], false)));
        let whole = |place: usize, size: usize| bits(&bytes[place..][..size], big);
        let decimal = |place: usize| float(whole(place, places.float), places.float);
        let decimals = |place: usize, n: usize| decimal(place + n * places.float);
        // A code's highest bit is its sign.
        let is_positive =
            |n: usize| (1..1 << (8 * places.code - 1)).contains(&whole(places.forms + n * places.code, places.code));
        Some(Self {
            big,
            dim: std::array::from_fn(|n| whole(places.dim + n * places.side, places.side)),
            kind: whole(places.kind, 2),
            pixdim: std::array::from_fn(|n| decimals(places.pixdim, n)),
            // NIfTI-1 has a float there for the sake of the format before it.
            offset: if places.side == 2 { decimal(places.offset) } else { whole(places.offset, 8) as f64 },
            slope: decimal(places.scale),
            intercept: decimals(places.scale, 1),
            has_quaternion: is_positive(0),
            has_rows: is_positive(1),
            quaternion: std::array::from_fn(|n| decimals(places.quaternion, n)),
            rows: std::array::from_fn(|row| std::array::from_fn(|n| decimals(places.rows, 4 * row + n))),
        })
    }
}

/// Columns, rows and slices as they are stored, and what lies behind them.
fn sides(header: &Header) -> Result<([usize; 3], usize), String> {
    let count = header.dim[0];
    if !(1..=7).contains(&count) {
        return Err(format!("it has {count} dimensions, expected 1 to 7"));
    }
    let count = count as usize;
    let side = |i: usize| if i <= count { usize::try_from(header.dim[i]).unwrap_or(usize::MAX) } else { 1 };
    // Seven sides may say more than 64 bits hold.
    let channels = (4..8).try_fold(1usize, |product, i| product.checked_mul(side(i))).unwrap_or(usize::MAX);
    Ok(([side(1), side(2), side(3)], channels))
}

/// What a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unsigned,
    Signed,
    Float,
    /// Nothing that a picture is made of.
    Other(&'static str),
}

/// Types of values: code, what they are, bytes.
const KINDS: [(u64, Kind, usize); 16] = [
    (2, Kind::Unsigned, 1),
    (4, Kind::Signed, 2),
    (8, Kind::Signed, 4),
    (16, Kind::Float, 4),
    (32, Kind::Other("Complex64"), 8),
    (64, Kind::Float, 8),
    (128, Kind::Other("Rgb24"), 3),
    (256, Kind::Signed, 1),
    (512, Kind::Unsigned, 2),
    (768, Kind::Unsigned, 4),
    (1024, Kind::Signed, 8),
    (1280, Kind::Unsigned, 8),
    (1536, Kind::Other("Float128"), 16),
    (1792, Kind::Other("Complex128"), 16),
    (2048, Kind::Other("Complex256"), 32),
    (2304, Kind::Other("Rgba32"), 4),
];

/// How a value is stored and what it means.
struct Number {
    kind: Kind,
    /// Bytes.
    size: usize,
    big: bool,
    slope: f64,
    intercept: f64,
}

impl Number {
    fn of(header: &Header) -> Result<Self, String> {
        let unknown = || format!("its values are of the unknown type {}", header.kind);
        let (_, kind, size) = *KINDS.iter().find(|(code, ..)| *code == header.kind).ok_or_else(unknown)?;
        if let Kind::Other(name) = kind {
            return Err(format!("its values are of type {name}; integers and floats up to 64 bits are read"));
        }
        let Header { slope, intercept, big, .. } = *header;
        let is_scaled = slope != 0.0 && slope.is_finite() && intercept.is_finite();
        let (slope, intercept) = if is_scaled { (slope, intercept) } else { (1.0, 0.0) };
        Ok(Self { kind, size, big, slope, intercept })
    }

    fn value(&self, bytes: &[u8], index: usize) -> f32 {
        let bits = bits(&bytes[index * self.size..][..self.size], self.big);
        let unused = 64 - 8 * self.size as u32;
        let value = match self.kind {
            Kind::Signed => ((bits << unused) as i64 >> unused) as f64,
            Kind::Float => float(bits, self.size),
            _ => bits as f64,
        };
        (value * self.slope + self.intercept) as f32
    }
}

/// Columns lead along the file's axes, rows are right, front and head (nifti1.h, methods 1 to 3).
fn affine(header: &Header) -> [[f64; 3]; 3] {
    let size = [header.pixdim[1], header.pixdim[2], header.pixdim[3]];
    if header.has_rows {
        return header.rows.map(|[x, y, z, _]| [x, y, z]);
    }
    if header.has_quaternion {
        let [b, c, d] = header.quaternion;
        let a = (1.0 - b * b - c * c - d * d).max(0.0).sqrt();
        let turn = [
            [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
            [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
            [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ];
        let side = if header.pixdim[0] < 0.0 { -1.0 } else { 1.0 };
        return turn.map(|[x, y, z]| [x * size[0], y * size[1], z * size[2] * side]);
    }
    // nibabel takes files without a word on it for stored from right to left.
    [[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
}

/// The axis of the body that each axis of the file leads along: the nearest one, each once.
fn orientation(affine: &[[f64; 3]; 3]) -> [Axis; 3] {
    let length = |axis: usize| affine.iter().map(|row| row[axis] * row[axis]).sum::<f64>().sqrt();
    let cosine = |body: usize, axis: usize| affine[body][axis] / length(axis).max(f64::MIN_POSITIVE);
    let (mut found, mut left) = ([None; 3], vec![]);
    for body in 0..3 {
        left.extend((0..3).map(|axis| (body, axis, cosine(body, axis))));
    }
    left.sort_by(|a, b| b.2.abs().total_cmp(&a.2.abs()));
    for (body, axis, cosine) in left {
        if found[axis].is_none() && found.iter().flatten().all(|(other, _)| *other != body) {
            found[axis] = Some((body, cosine >= 0.0));
        }
    }
    let axes: Vec<Axis> = found.into_iter().enumerate().map(|(axis, found)| found.unwrap_or((axis, true))).collect();
    [axes[0], axes[1], axes[2]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orientations_are_three_letters() {
        assert_eq!(letters("RAS"), Ok([(0, true), (1, true), (2, true)]));
        assert_eq!(letters("pil"), Ok([(1, false), (2, false), (0, false)]));
        for bad in ["", "RA", "RAR", "RLS", "XYZ", "RASR"] {
            assert!(letters(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn axes_lead_along_the_nearest_of_the_body() {
        let tilted = [[0.0, 0.1, -2.0], [-3.0, 0.3, 0.1], [0.5, 2.9, 0.0]];
        assert_eq!(orientation(&tilted), [(1, false), (2, true), (0, false)]);
        assert_eq!(orientation(&[[0.0; 3]; 3]).map(|(axis, _)| axis), [0, 1, 2]);
        assert_eq!(orientation(&[[f64::NAN; 3]; 3]).len(), 3);
    }
}

//! DICOM files: X-rays and other single pictures, and series of slices as volumes.

use super::csv::{Csv, names, one_or_several};
use super::dicom_file::{Coding, Elements, is_dicom, tag};
use super::files::{LARGEST, Tree, ending, is_litter};
use super::window::{Voxels, Window, check_spacing, checked};
use super::{Alone, Collection, Found, Reader, Source, lossless_jpeg};
use crate::cache::DiskCached;
use crate::dataset::Subset;
use crate::decode::{Color, Decoded, decode, luma};
use crate::error::{Error, Result};
use crate::image::Image;
use crate::labels::Labels;
use crate::row::Row;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// DICOM files below a folder (`.dcm`, `.dicom`, `.ima`, or without an ending) with labels from a table beside them, as those of
/// `csv`, or from class folders. Gray values are rescaled by slope and intercept (Hounsfield units of a CT) and windowed to
/// bytes; MONOCHROME1 is inverted, padding is black. Without a window, the one that the file names first is taken, else all that
/// its bits can say (up to 8 bits) or all its values.
///
/// The slices of a series lie in one folder, whose name is the volume's id. They are sorted by their position along the normal of
/// their planes, else by InstanceNumber; of several at one position the one with the lowest number is taken, which a warning
/// says. Read are implicit and explicit, little and big endian, deflated files, run lengths (RLE), JPEG baseline and lossless; 8,
/// 16 and 32 bits, signed or not, gray, RGB or with a palette.
///
/// | field | default | range |
/// |---|---|---|
/// | `path` | required | the folder of everything, or the table |
/// | `series` | found | true: the files of a folder are one volume; false: each file is a picture. Found: whether the first two files of a folder are of one series |
/// | `window` | of the file | `[low, high]`, lung, bone, soft_tissue, brain, or `{ percentiles = [low, high] }` |
/// | `spacing` | as stored | volumes only: mm between voxels, `[z, y, x]`, each above 0; 1 mm is usual for nodules |
/// | `color` | of the first file | gray, rgb |
/// | `group` | PatientID | column whose values never sit in two folds |
/// | `table`, `test_table`, `sample_submission`, `id`, `label`, `target`, `sample`, `meta` | as `csv` | as `csv` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dicom {
    /// The root, or the table in it.
    pub path: PathBuf,
    /// Whether the files of a folder are one volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<bool>,
    /// What becomes black and white.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Distance of a volume's voxels, `[z, y, x]` mm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spacing: Option<[f32; 3]>,
    /// What pictures are turned into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<Color>,
    /// Table of the training part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Table of the test part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_table: Option<String>,
    /// Example of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_submission: Option<String>,
    /// Column that names the file or the folder.
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

/// Whether a file is called as DICOM's are, or called by a number or without an ending and starts as they do.
pub(super) fn is_file(path: &Path) -> bool {
    let ending = ending(path);
    match ending.as_str() {
        "dcm" | "dicom" | "ima" => true,
        // The directory of a disk is no picture.
        ending if ending.bytes().all(|byte| byte.is_ascii_digit()) => !path.ends_with("DICOMDIR") && is_dicom(path),
        _ => false,
    }
}

impl Source for Dicom {
    fn open(&mut self) -> Result<Collection> {
        self.window.map_or(Ok(()), |window| window.check())?;
        check_spacing(self.spacing)?;
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
        let mut tree = Tree::walk_for(&csv.path, is_file)?;
        let Some(first) = tree.pictures.first() else {
            let why = "no DICOM files (.dcm, .dicom, .ima or without an ending) are below it".into();
            return Err(Error::Layout { path: csv.path, why });
        };
        let is_color = |elements: Elements| elements.number(tag::SAMPLES) == Some(3) || is_palette(&elements);
        let first = Elements::open(&csv.path.join(first)).is_ok_and(is_color);
        self.color.get_or_insert(if first { Color::Rgb } else { Color::Gray });
        let series = *self.series.get_or_insert_with(|| is_series(&tree));
        if self.spacing.is_some() && !series {
            let why =
                "data.spacing is for volumes, but each file is a picture here; leave it out, or say data.series = true";
            return Err(Error::Invalid(why.into()));
        }
        if series {
            tree.pictures = tree.pictures.iter().map(|path| folder(path).to_string()).collect();
            tree.pictures.sort();
            tree.pictures.dedup();
        }
        let mut found = csv.open_any(tree, self.clone().reader(csv.path.clone()))?;
        if series {
            let root = csv.path.clone();
            found.stamp = Arc::new(move |name| DiskCached::stamp_of(&slices(&root.join(name)).ok()?));
            let said = left_out(&found, &csv.path);
            found.warnings.extend(said);
        }
        Csv {
            path: self.path,
            table: self.table,
            test_table: self.test_table,
            sample_submission: self.sample_submission,
            id: self.id,
            label: self.label,
            ..
        } = csv;
        Ok(if self.group.is_none() { by_patient(found, &self.path, series) } else { found })
    }

    fn alone(&self) -> Alone {
        let is_one: Option<fn(&Path) -> bool> = if self.series == Some(true) { None } else { Some(is_file) };
        Alone::Read { read: self.clone().reader(PathBuf::new()), is_one }
    }
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(folder, _)| folder)
}

/// Whether the first two files of a folder are of one series.
fn is_series(tree: &Tree) -> bool {
    let pair = tree.pictures.windows(2).find(|pair| folder(&pair[0]) == folder(&pair[1]));
    let series = |path: &String| Elements::open(&tree.root.join(path)).ok()?.text(tag::SERIES);
    pair.is_some_and(|pair| series(&pair[0]).is_some_and(|first| series(&pair[1]) == Some(first)))
}

/// The files of a series' folder.
fn slices(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| error.to_string())?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<PathBuf>>>();
    let mut paths = paths.map_err(|error| error.to_string())?;
    paths.retain(|path| !is_litter(&shown(path)) && path.is_file() && is_file(path));
    paths.sort();
    Ok(paths)
}

fn shown(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What is said of series with several slices at one position.
fn left_out(found: &Collection, root: &Path) -> Option<String> {
    let left_out = |file: &Found| {
        let files = slices(&root.join(&file.path)).ok()?;
        // What is wrong with a series is said where it is read.
        let left_out = files.len() - sorted(&files).ok()?.len();
        (left_out > 0).then(|| format!("'{}' {left_out}", file.path))
    };
    let all: Vec<String> = found.files.par_iter().filter_map(left_out).collect();
    let shown = all.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
    let what = "series have several slices at one position, of which those of the higher InstanceNumbers are left out:";
    let more = if all.len() > 10 { ", …" } else { "" };
    (!all.is_empty()).then(|| format!("{} {what} {shown}{more}", all.len()))
}

/// With the patient as the group of every row. Where all files name the same, or none, nothing is known of patients.
fn by_patient(found: Collection, root: &Path, series: bool) -> Collection {
    let patient = |path: &str| {
        let full = root.join(path);
        let file = if series { slices(&full).ok()?.into_iter().next()? } else { full };
        Elements::open(&file).ok()?.text(tag::PATIENT)
    };
    let rows = found.dataset.rows();
    let named: Vec<Option<(usize, String)>> =
        found.files.par_iter().map(|file| Some((file.row?, patient(&file.path)?))).collect();
    let mut groups = vec![None; rows.len()];
    named.into_iter().flatten().for_each(|(row, patient)| groups[row] = Some(patient));
    if groups.iter().flatten().collect::<BTreeSet<_>>().len() < 2 {
        return found;
    }
    let rows = rows.iter().zip(groups).map(|(row, group)| Row { group, ..row.clone() }).collect();
    let all = (0..found.dataset.rows().len()).collect();
    Collection { dataset: Arc::new(Subset::new(found.dataset.clone(), all).with_rows(rows)), ..found }
}

/// How the pixels of a file are laid out and what their values mean.
struct Layout {
    /// `[D, H, W, C]`.
    dims: [usize; 4],
    /// Bits of a value in the file, 8, 16 or 32; of these are used `stored` up to and with `high`.
    allocated: u32,
    stored: u32,
    high: u32,
    signed: bool,
    /// Whether one color follows the other.
    planar: bool,
    /// Whether low values are white.
    inverted: bool,
    slope: f64,
    intercept: f64,
    /// Values from and to which nothing was measured.
    padding: Option<[i64; 2]>,
    /// What the values stand for, where that is colors.
    palette: Option<Palette>,
}

/// Colors by number (PS3.3 C.7.6.3.1.5).
struct Palette {
    /// The number of the first one; lower ones have it, too, and higher ones than there are the last.
    first: i64,
    /// Red, green and blue, equally many.
    levels: [Vec<u8>; 3],
}

fn is_palette(elements: &Elements) -> bool {
    elements.text(tag::PHOTOMETRIC).is_some_and(|colors| colors == "PALETTE COLOR")
}

impl Palette {
    fn of(elements: &Elements, signed: bool) -> Result<Self, String> {
        let levels = |color: u32| {
            let layout = tag::PALETTE_LAYOUT + color;
            let count =
                elements.number_at(layout, 0).map(|count| if count == 0 { 1 << 16 } else { usize::from(count) });
            let bits = elements.number_at(layout, 2).filter(|bits| [8, 16].contains(bits));
            let (count, bits, bytes) = (count?, bits?, elements.bytes(tag::PALETTE + color)?);
            // Levels of 8 bits may stand in words of 16, and two of them are always written as one word.
            let (is_wide, big) = (bits == 16 || bytes.len() >= 2 * count, elements.syntax.big);
            let level = |i: usize| match is_wide {
                true => bytes.get(2 * i + usize::from((bits == 16) != big)),
                false => bytes.get(if big { i ^ 1 } else { i }),
            };
            (0..count).map(|i| level(i).copied()).collect::<Option<Vec<u8>>>()
        };
        let first = elements.number_at(tag::PALETTE_LAYOUT, 1).unwrap_or_default();
        match (levels(0), levels(1), levels(2)) {
            (Some(red), Some(green), Some(blue)) if red.len() == green.len() && red.len() == blue.len() => Ok(Self {
                first: if signed { i64::from(first as i16) } else { i64::from(first) },
                levels: [red, green, blue],
            }),
            _ => Err("its palette (0028,1101 to 0028,1203) is missing, cut or segmented, which is not read; apply it first, with \
                      pydicom's `apply_color_lut`"
                .into()),
        }
    }

    fn color(&self, number: i64) -> [u8; 3] {
        let last = self.levels[0].len().saturating_sub(1);
        let place = usize::try_from(number - self.first).unwrap_or(0).min(last);
        [0, 1, 2].map(|color| self.levels[color].get(place).copied().unwrap_or_default())
    }
}

impl Layout {
    fn of(elements: &Elements) -> Result<Self, String> {
        let need = |tag, name| elements.number(tag).ok_or_else(|| format!("it does not say its {name}"));
        let (samples, coding) = (elements.number(tag::SAMPLES).unwrap_or(1), elements.syntax.coding);
        let colors = elements.text(tag::PHOTOMETRIC).unwrap_or_default();
        match (samples, colors.as_str()) {
            (1, "MONOCHROME1" | "MONOCHROME2" | "PALETTE COLOR") | (3, "RGB") => {}
            (3, "YBR_FULL" | "YBR_FULL_422") if coding == Coding::Jpeg => {}
            _ => {
                return Err(format!(
                    "its colors are '{colors}' of {samples} samples, which is not read; convert them to MONOCHROME2 or RGB, with \
                     pydicom's `apply_color_lut` or `convert_color_space`"
                ));
            }
        }
        let frames = elements.text(tag::FRAMES).map_or(Ok(1), |text| text.parse::<usize>());
        let frames = frames.map_err(|_| "its number of frames is no number")?;
        let sides = [need(tag::ROWS, "rows")?, need(tag::COLUMNS, "columns")?, samples].map(usize::from);
        let dims = [frames, sides[0], sides[1], sides[2]];
        checked(dims)?;
        let allocated = u32::from(need(tag::ALLOCATED, "bits allocated")?);
        let stored = elements.number(tag::STORED).map_or(allocated, u32::from);
        let high = elements.number(tag::HIGH_BIT).map_or(stored.saturating_sub(1), u32::from);
        if ![8, 16, 32].contains(&allocated) || stored == 0 || high + 1 < stored || high >= allocated {
            return Err(format!(
                "its values have {allocated} bits of which {stored} up to {high} are used, which is not read"
            ));
        }
        if (samples == 3 || coding == Coding::Jpeg) && (allocated, stored) != (8, 8) {
            return Err(format!("its colors or JPEGs have {stored} of {allocated} bits; only 8 of 8 are read"));
        }
        let signed = elements.number(tag::SIGNED) == Some(1);
        let slope = elements.decimals(tag::SLOPE).map(|[slope]| slope);
        if slope.is_none() && elements.has(tag::LOOKUP) {
            return Err("its values are rescaled by a lookup table (0028,3000), which is not read; apply it first, with pydicom's \
                        `apply_modality_lut`"
                .into());
        }
        let value = |tag| {
            let value = elements.number(tag)?;
            Some(if signed { i64::from(value as i16) } else { i64::from(value) })
        };
        let padding = value(tag::PADDING).map(|value_of| {
            let limit = value(tag::PADDING_LIMIT).unwrap_or(value_of);
            [value_of.min(limit), value_of.max(limit)]
        });
        Ok(Self {
            dims,
            allocated,
            stored,
            high,
            signed,
            planar: elements.number(tag::PLANAR) == Some(1) && coding == Coding::Plain,
            inverted: colors == "MONOCHROME1",
            slope: slope.unwrap_or(1.0),
            intercept: elements.decimals(tag::INTERCEPT).map_or(0.0, |[intercept]| intercept),
            padding,
            palette: is_palette(elements).then(|| Palette::of(elements, signed)).transpose()?,
        })
    }

    /// Whether its pictures have colors.
    fn is_color(&self) -> bool {
        self.dims[3] == 3 || self.palette.is_some()
    }

    /// The bytes of the pixels as they are stored, or as they are unpacked: little endian, one pixel after the other.
    fn bytes(&self, elements: &mut Elements) -> Result<Vec<u8>, String> {
        let need = self.dims.iter().product::<usize>() * self.allocated as usize / 8;
        if elements.syntax.coding != Coding::Plain {
            return self.unpacked(elements.pixels(LARGEST)?, elements.syntax.coding);
        }
        let mut bytes = elements.pixels(need as u64)?.concat();
        // The last byte of an odd number is stored with another one behind it.
        if elements.words && elements.syntax.big && self.allocated == 8 {
            bytes = elements.pixels(need.next_multiple_of(2) as u64)?.concat();
            bytes.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
            bytes.truncate(need);
        }
        match bytes.len() {
            held if held < need => Err(format!("it has {held} bytes of pixels where {need} must be; fetch it again")),
            _ => Ok(bytes),
        }
    }

    /// A frame is one fragment; a single frame may be several.
    fn unpacked(&self, parts: Vec<Vec<u8>>, coding: Coding) -> Result<Vec<u8>, String> {
        let frames = self.dims[0];
        let parts = if frames == 1 { vec![parts.concat()] } else { parts };
        if parts.len() != frames {
            return Err(format!("it has {frames} frames in {} fragments, which is not read", parts.len()));
        }
        let mut bytes = vec![];
        for part in parts {
            bytes.extend(match coding {
                Coding::Runs => self.runs(&part)?,
                Coding::Lossless => self.lossless(&part)?,
                _ => self.jpeg(&part)?,
            });
        }
        Ok(bytes)
    }

    fn jpeg(&self, part: &[u8]) -> Result<Vec<u8>, String> {
        let [_, height, width, channels] = self.dims;
        let color = if channels == 3 { Color::Rgb } else { Color::Gray };
        let image = decode("", part, color).map_err(|error| match error {
            Error::Decode { why, .. } => why,
            other => other.to_string(),
        })?;
        let dims = image.image.dims();
        match dims == [1, height, width, channels] {
            true => Ok(image.image.into_pixels()),
            false => Err(format!("its JPEG is {}×{}, but it says {width}×{height}", dims[2], dims[1])),
        }
    }

    fn lossless(&self, part: &[u8]) -> Result<Vec<u8>, String> {
        let [_, height, width, channels] = self.dims;
        let values = lossless_jpeg::decode(part, [height, width, channels], self.allocated.min(16))?;
        let size = self.allocated as usize / 8;
        Ok(values.into_iter().flat_map(|value| u32::from(value).to_le_bytes().into_iter().take(size)).collect())
    }

    /// A frame of run lengths (PS3.5, annex G): for each color and each byte of its values, the highest first, a segment.
    fn runs(&self, part: &[u8]) -> Result<Vec<u8>, String> {
        let [_, height, width, channels] = self.dims;
        let (plane, size) = (height * width, self.allocated as usize / 8);
        let count = channels * size;
        let word = |i: usize| part.as_chunks::<4>().0.get(i).map(|bytes| u32::from_le_bytes(*bytes) as usize);
        if word(0) != Some(count) {
            return Err(format!("a frame of it has {} segments, expected {count}", word(0).unwrap_or(0)));
        }
        let cut = || "its run lengths are truncated; fetch it again".to_string();
        // Two bytes stand for at most 128: no memory is taken for more.
        if plane * count > 64 * part.len() {
            return Err(cut());
        }
        let mut bytes = vec![0; plane * count];
        for segment in 0..count {
            let end = if segment + 1 < count { word(segment + 2) } else { Some(part.len()) };
            let packed = word(segment + 1).zip(end).and_then(|(start, end)| part.get(start..end)).ok_or_else(cut)?;
            let place = segment / size * size + size - 1 - segment % size;
            let mut values = bytes.iter_mut().skip(place).step_by(count);
            unpack(packed, &mut values);
            if values.next().is_some() {
                return Err(cut());
            }
        }
        Ok(bytes)
    }

    /// What the bytes of a value say.
    fn number(&self, big: bool) -> impl Fn(&[u8]) -> i64 {
        let (signed, stored) = (self.signed, self.stored);
        let add = |number: u32, byte: &u8| number << 8 | u32::from(*byte);
        let shift = self.high + 1 - self.stored;
        let mask = u32::MAX >> (32 - self.stored);
        move |bytes| {
            let word = if big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) };
            let number = i64::from(word >> shift & mask);
            let is_negative = signed && number >> (stored - 1) == 1;
            if is_negative { number - (1 << stored) } else { number }
        }
    }

    /// Gray values, rescaled.
    fn voxels(&self, elements: &mut Elements) -> Result<Voxels, String> {
        let (bytes, number) = (self.bytes(elements)?, self.number(elements.syntax.big));
        let measured = |bytes: &[u8]| match (number(bytes), self.padding) {
            (number, Some([low, high])) if (low..=high).contains(&number) => f32::NAN,
            (number, _) => (number as f64 * self.slope + self.intercept) as f32,
        };
        let size = self.allocated as usize / 8;
        let count = self.dims.iter().product::<usize>() * size;
        Ok(Voxels { dims: self.dims, values: bytes[..count].chunks_exact(size).map(measured).collect() })
    }

    /// The pixels of a picture of colors.
    fn colors(&self, elements: &mut Elements) -> Result<Vec<u8>, String> {
        let bytes = self.bytes(elements)?;
        let plane = self.dims[1] * self.dims[2];
        if let Some(palette) = &self.palette {
            let (size, number) = (self.allocated as usize / 8, self.number(elements.syntax.big));
            let count = self.dims.iter().product::<usize>() * size;
            return Ok(bytes[..count].chunks_exact(size).flat_map(|bytes| palette.color(number(bytes))).collect());
        }
        Ok(match self.planar {
            true => bytes
                .chunks_exact(3 * plane)
                .flat_map(|frame| (0..plane).flat_map(|i| [frame[i], frame[plane + i], frame[2 * plane + i]]))
                .collect(),
            false => bytes,
        })
    }
}

/// Fills `values` with what PackBits stand for, as far as both reach; what lies behind is padding.
fn unpack<'a>(mut packed: &[u8], values: &mut impl Iterator<Item = &'a mut u8>) {
    while let Some((&head, rest)) = packed.split_first() {
        let literal = usize::from(head) + 1;
        packed = match head {
            128 => rest,
            129.. => {
                let Some((&level, rest)) = rest.split_first() else { return };
                values.by_ref().take(257 - usize::from(head)).for_each(|value| *value = level);
                rest
            }
            _ => {
                let (levels, rest) = rest.split_at(literal.min(rest.len()));
                // The levels are asked first: none of the values is lost where they end.
                levels.iter().zip(&mut *values).for_each(|(level, value)| *value = *level);
                rest
            }
        };
    }
}

/// A slice of a series.
struct Slice {
    path: PathBuf,
    dims: [usize; 4],
    is_color: bool,
    series: Option<String>,
    instance: Option<i64>,
    /// Along the normal of its plane, mm, and its directions of rows and columns.
    place: Option<(f64, [f64; 6])>,
}

impl Slice {
    fn open(path: &Path) -> Result<Self, String> {
        let elements = Elements::open(path)?;
        let layout = Layout::of(&elements)?;
        let place = elements.decimals::<3>(tag::POSITION).zip(elements.decimals::<6>(tag::ORIENTATION));
        let place = place.map(|([x, y, z], directions)| {
            let [a, b, c, d, e, f] = directions;
            (x * (b * f - c * e) + y * (c * d - a * f) + z * (a * e - b * d), directions)
        });
        Ok(Self {
            path: path.into(),
            dims: layout.dims,
            is_color: layout.is_color(),
            series: elements.text(tag::SERIES),
            instance: elements.text(tag::INSTANCE).and_then(|text| text.parse().ok()),
            place,
        })
    }
}

/// Slices in their order, which must fit each other.
fn sorted(files: &[PathBuf]) -> Result<Vec<Slice>, String> {
    let open = |path: &PathBuf| Slice::open(path).map_err(|why| format!("slice '{}': {why}", shown(path)));
    let mut slices = files.iter().map(open).collect::<Result<Vec<Slice>, String>>()?;
    let Some(first) = slices.first() else { return Err("no DICOM files are in this folder".into()) };
    for slice in &slices {
        let (a, b) = (shown(&first.path), shown(&slice.path));
        if slice.dims != first.dims {
            let size = |slice: &Slice| format!("{}×{}", slice.dims[2], slice.dims[1]);
            return Err(format!(
                "its slices '{a}' and '{b}' have different sizes, {} and {}",
                size(first),
                size(slice)
            ));
        }
        if slice.series != first.series {
            return Err(format!("'{a}' and '{b}' are of different series; give each series a folder of its own"));
        }
        let apart = |(one, other): (&f64, &f64)| (one - other).abs() > 1e-3;
        if let (Some((_, one)), Some((_, other))) = (&first.place, &slice.place)
            && one.iter().zip(other).any(apart)
        {
            return Err(format!("its slices '{a}' and '{b}' are not parallel; a scout may lie among them"));
        }
    }
    if slices.len() > 1 && slices[0].dims[0] > 1 {
        return Err("several of its files hold several frames each; give each such file a folder of its own".into());
    }
    slices.sort_by_key(|slice| slice.instance);
    if slices.iter().all(|slice| slice.place.is_some()) {
        let place = |slice: &Slice| slice.place.map_or(0.0, |(place, _)| place);
        slices.sort_by(|a, b| place(a).total_cmp(&place(b)));
        slices.dedup_by(|b, a| place(b) - place(a) < 1e-3);
    } else if let Some(nowhere) = slices.iter().find(|slice| slice.instance.is_none())
        && slices.len() > 1
    {
        let name = shown(&nowhere.path);
        return Err(format!("slice '{name}' has neither a position (0020,0032 and 0020,0037) nor an InstanceNumber"));
    }
    Ok(slices)
}

impl Dicom {
    /// Decodes files, or volumes of series, below `root`.
    fn reader(self, root: PathBuf) -> Reader {
        Arc::new(move |name| {
            let full = root.join(name);
            let decoded = if self.series == Some(true) { self.volume(&full) } else { self.picture(&full) };
            decoded.map_err(|why| Error::Decode { name: name.into(), why })
        })
    }

    /// The picture of one file.
    fn picture(&self, path: &Path) -> Result<Decoded, String> {
        let mut elements = Elements::open(path)?;
        let layout = Layout::of(&elements)?;
        let image = if layout.is_color() {
            let [depth, height, width, _] = layout.dims;
            let colors = layout.colors(&mut elements)?;
            Image::volume([depth, height, width, 3], colors).map_err(|error| error.to_string())?
        } else {
            let voxels = layout.voxels(&mut elements)?;
            self.levels(voxels, &elements, &layout)?
        };
        self.decoded(image)
    }

    /// The volume of the slices in a folder.
    fn volume(&self, folder: &Path) -> Result<Decoded, String> {
        let slices = sorted(&slices(folder)?)?;
        let [depth, height, width, channels] = slices[0].dims;
        if slices.iter().any(|slice| slice.is_color) {
            return Err("its slices have colors; volumes are read from gray ones".into());
        }
        let dims = [depth * slices.len(), height, width, channels];
        checked(dims)?;
        let mut values = vec![];
        for slice in &slices {
            let mut elements = Elements::open(&slice.path)?;
            let voxels = Layout::of(&elements)?.voxels(&mut elements);
            values.extend(voxels.map_err(|why| format!("slice '{}': {why}", shown(&slice.path)))?.values);
        }
        let elements = Elements::open(&slices[0].path)?;
        let mut voxels = Voxels { dims, values };
        if let Some(spacing) = self.spacing {
            voxels = voxels.resampled(spacing_of(&elements, &slices)?, spacing)?;
        }
        let layout = Layout::of(&elements)?;
        let image = self.levels(voxels, &elements, &layout)?;
        self.decoded(image)
    }

    /// Gray values as bytes.
    fn levels(&self, voxels: Voxels, elements: &Elements, layout: &Layout) -> Result<Image, String> {
        let [low, high] = match self.window {
            Some(window) => voxels.range(window),
            None => own_window(elements)?.unwrap_or_else(|| match layout.stored {
                ..=8 => {
                    let half = if layout.signed { 1i64 << (layout.stored - 1) } else { 0 };
                    let ends = [-half, (1 << layout.stored) - 1 - half];
                    let [a, b] = ends.map(|end| end as f64 * layout.slope + layout.intercept);
                    [a.min(b), a.max(b)]
                }
                _ => voxels.extent(),
            }),
        };
        voxels.image(if layout.inverted { [high, low] } else { [low, high] }).map_err(|error| error.to_string())
    }

    /// In the wanted color. A window says which bits are kept, so none is called deep.
    fn decoded(&self, image: Image) -> Result<Decoded, String> {
        let ([depth, height, width, channels], color) = (image.dims(), self.color.unwrap_or_default());
        let pixels = image.into_pixels();
        let pixels = match (channels, color) {
            (1, Color::Rgb) => pixels.into_iter().flat_map(|level| [level; 3]).collect(),
            (3, Color::Gray) => pixels.chunks_exact(3).map(luma).collect(),
            _ => pixels,
        };
        let image =
            Image::volume([depth, height, width, color.channels()], pixels).map_err(|error| error.to_string())?;
        Ok(Decoded { image, format: "dicom", stored_channels: channels, is_deep: false })
    }
}

/// The window that a file names first (PS3.3 C.11.2.1.2).
fn own_window(elements: &Elements) -> Result<Option<[f64; 2]>, String> {
    let named = elements.decimals::<1>(tag::CENTER).zip(elements.decimals::<1>(tag::WIDTH));
    let Some(([center], [width])) = named.filter(|(_, [width])| *width > 0.0) else { return Ok(None) };
    match elements.text(tag::WINDOW_FUNCTION).as_deref() {
        None | Some("LINEAR") if width < 1.0 => Ok(None),
        None | Some("LINEAR") => Ok(Some([-1.0, 1.0].map(|side| center - 0.5 + side * (width - 1.0) / 2.0))),
        Some("LINEAR_EXACT") => Ok(Some([-1.0, 1.0].map(|side| center + side * width / 2.0))),
        Some(other) => Err(format!("its window is of kind '{other}', which is not read; give data.window")),
    }
}

/// Distances of a series' voxels, `[z, y, x]` mm.
fn spacing_of(elements: &Elements, slices: &[Slice]) -> Result<[f64; 3], String> {
    let between = || elements.decimals::<1>(tag::BETWEEN_SLICES).or_else(|| elements.decimals(tag::THICKNESS));
    let z = match slices {
        [Slice { place: Some((first, _)), .. }, .., Slice { place: Some((last, _)), .. }] => {
            Some((last - first) / (slices.len() - 1) as f64)
        }
        _ => between().map(|[z]| z),
    };
    let plane = elements.decimals::<2>(tag::SPACING).or_else(|| elements.decimals(tag::IMAGER_SPACING));
    match (z, plane) {
        (Some(z), Some([y, x])) => Ok([z, y, x]),
        _ => {
            Err("it does not say how far its voxels are apart (0028,0030 and positions); leave data.spacing out".into())
        }
    }
}

//! MNIST's files, and what all sources share whose pictures are one array.

use super::files::{Budget, broken, first_bytes, is_gzip, memory_mb, read_announced};
use super::{Collection, Found, Listing, Reader, Source, Stamper};
use crate::cache::DiskCached;
use crate::decode::{Color, Decoded};
use crate::error::{Error, Result};
use crate::image::Image;
use crate::labels::Kind;
use crate::row::{Part, Row, Target};
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, `t10k-…` likewise for the test part, gzipped or not, as
/// MNIST, Fashion-MNIST and KMNIST come; a dot before `idx` is understood, too. Classes are numbers. All is kept in
/// memory.
///
/// | field | default | range |
/// |---|---|---|
/// | `path` | required | the folder of the files, or one of them |
/// | `color` | gray | gray, rgb |
/// | `memory_mb` | 2048 | most that the pictures and their rows may take, at least 1 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idx {
    /// The folder, or a file in it.
    pub path: PathBuf,
    /// What pictures are turned into.
    #[serde(default = "gray")]
    pub color: Color,
    /// Most that the pictures and their rows may take, MiB.
    #[serde(default = "memory_mb")]
    pub memory_mb: u64,
}

fn gray() -> Color {
    Color::Gray
}

/// Prefixes of the file names.
const PARTS: [(&str, Part); 2] = [("train", Part::Train), ("t10k", Part::Test)];
/// Most that deflate makes of a byte.
const MAX_RATIO: u64 = 1032;
/// What is kept of a picture beside its pixels, bytes: its row, and its name in several places.
const ROW: u64 = 400;

/// Kinds of files, with their dimensions.
const KINDS: [(&str, usize); 2] = [("images", 3), ("labels", 1)];

/// How a file may be called.
fn names(folder: &Path, part: &str, (kind, dimensions): (&str, usize)) -> [PathBuf; 4] {
    [("-", ""), (".", ""), ("-", ".gz"), (".", ".gz")]
        .map(|(dash, end)| folder.join(format!("{part}-{kind}{dash}idx{dimensions}-ubyte{end}")))
}

/// A file of the folder.
fn file(folder: &Path, part: &str, kind: (&str, usize)) -> Option<PathBuf> {
    names(folder, part, kind).into_iter().find(|path| path.is_file())
}

/// Whether MNIST's training pictures lie in a folder.
pub(super) fn lies_in(folder: &Path) -> bool {
    file(folder, PARTS[0].0, KINDS[0]).is_some()
}

/// Whether a file is called as one of MNIST's.
pub(super) fn is_part(path: &Path) -> bool {
    let folder = path.parent().unwrap_or(Path::new(""));
    PARTS.iter().any(|(part, _)| KINDS.iter().any(|kind| names(folder, part, *kind).iter().any(|name| name == path)))
}

impl Source for Idx {
    fn open(&mut self) -> Result<Collection> {
        if self.path.is_file() {
            let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty());
            self.path = folder.unwrap_or(Path::new(".")).into();
        }
        let mut budget = Budget::new("idx", self.memory_mb)?;
        let (mut stacks, mut stamps) = (vec![], vec![]);
        for (name, part) in PARTS {
            let [images, labels] = KINDS.map(|kind| file(&self.path, name, kind));
            let (images, labels) = match (images, labels, part) {
                (Some(images), Some(labels), _) => (images, labels),
                (None, None, Part::Test) => continue,
                (images, _, _) => {
                    let missing = if images.is_none() { "images-idx3" } else { "labels-idx1" };
                    let why = format!("{name}-{missing}-ubyte (or .gz) is not in it");
                    return Err(Error::Layout { path: self.path.clone(), why });
                }
            };
            stamps.push((name, DiskCached::file_stamp(&images)));
            let ([_, height, width], pixels) = array::<3>(&images, &mut budget)?;
            let (_, classes) = array::<1>(&labels, &mut budget)?;
            let stack = Stack {
                name,
                part,
                dims: [1, height, width, 1],
                pixels,
                labels: Some(classes.into_iter().map(i64::from).collect()),
            };
            stack.check(&images)?;
            stack.charge(&images, &mut budget)?;
            stacks.push(stack);
        }
        let stamp: Stamper = Arc::new(move |path| {
            let (part, _) = path.split_once('/')?;
            stamps.iter().find(|(name, _)| *name == part)?.1.clone()
        });
        Ok(Collection { stamp, ..collect(stacks, "idx", self.color) })
    }
}

/// The sides and bytes of a file of `N` dimensions.
fn array<const N: usize>(path: &Path, budget: &mut Budget) -> Result<([usize; N], Vec<u8>)> {
    let wrong = |why: String| Error::Layout { path: path.into(), why };
    let unreadable = |source| Error::Read { path: path.into(), source };
    let gzip = is_gzip(&first_bytes(path)?);
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let mut reader: Box<dyn Read> = match gzip {
        true => Box::new(MultiGzDecoder::new(BufReader::new(file))),
        false => Box::new(file),
    };
    let mut header = [0; 4];
    reader.read_exact(&mut header).map_err(|error| broken(path, error))?;
    let [zero, zero_too, kind, dimensions] = header;
    if (zero, zero_too) != (0, 0) {
        return Err(wrong(format!("it is no IDX file: it starts with {header:02x?}, expected [00, 00, 08, {N:02x}]")));
    }
    if kind != 8 {
        return Err(wrong(format!("its values are of type 0x{kind:02x}; only unsigned bytes (0x08) are read")));
    }
    if usize::from(dimensions) != N {
        return Err(wrong(format!("it has {dimensions} dimensions, expected {N}")));
    }
    let mut sides = [0; N];
    for side in &mut sides {
        let mut bytes = [0; 4];
        reader.read_exact(&mut bytes).map_err(|error| broken(path, error))?;
        *side = u32::from_be_bytes(bytes) as usize;
    }
    // Three sides of 32 bits may say more than 64 bits hold.
    let announced = sides.iter().try_fold(1u64, |product, side| product.checked_mul(*side as u64)).unwrap_or(u64::MAX);
    if announced == 0 {
        return Err(wrong(format!("its header announces {sides:?}, which is nothing")));
    }
    let held = length.saturating_sub(4 + 4 * N as u64);
    let most = if gzip { length.saturating_mul(MAX_RATIO) } else { held };
    if announced > most || (!gzip && announced < held) {
        let (state, most) = if gzip { ("at most ", most) } else { ("", held) };
        return Err(wrong(format!(
            "its header announces {sides:?}, {announced} bytes, but {state}{most} follow; it is truncated or broken, \
             fetch it again"
        )));
    }
    budget.take(announced, path)?;
    Ok((sides, read_announced(&mut reader, announced).map_err(|error| broken(path, error))?))
}

/// Pictures of one part, all of one size.
pub(super) struct Stack {
    /// First component of their paths.
    pub name: &'static str,
    pub part: Part,
    /// `[D, H, W, C]` of each.
    pub dims: [usize; 4],
    /// Of one picture after the other.
    pub pixels: Vec<u8>,
    /// The class of each, where they are known.
    pub labels: Option<Vec<i64>>,
}

impl Stack {
    /// Values of a picture.
    fn size(&self) -> usize {
        self.dims.iter().product::<usize>().max(1)
    }

    /// Pictures.
    pub fn len(&self) -> usize {
        self.pixels.len() / self.size()
    }

    /// Whether there is a label for each picture; `path` is where they lie.
    pub fn check(&self, path: &Path) -> Result<()> {
        match &self.labels {
            Some(labels) if labels.len() != self.len() => {
                let (name, images, labels) = (self.name, self.len(), labels.len());
                let why = format!("{name} has {images} pictures but {labels} labels; these files are not of one set");
                Err(Error::Layout { path: path.into(), why })
            }
            _ => Ok(()),
        }
    }

    /// Takes what the rows of these pictures are going to need: of small pictures that is more than the pixels.
    pub fn charge(&self, path: &Path, budget: &mut Budget) -> Result<()> {
        budget.take(ROW.saturating_mul(self.len() as u64), path)
    }

    /// Picture `index`.
    fn picture(&self, index: usize, color: Color) -> Option<Result<Image>> {
        let pixels = self.pixels.chunks_exact(self.size()).nth(index)?;
        let [depth, height, width, channels] = self.dims;
        let pixels = match color.channels() / channels {
            3 => pixels.iter().flat_map(|&level| [level; 3]).collect(),
            _ => pixels.to_vec(),
        };
        Some(Image::volume([depth, height, width, color.channels()], pixels))
    }
}

/// `stacks` as a data set: `train/00017` is the 18th picture of the stack `train`. Gray is repeated where `color` is
/// rgb; a stack has no more channels than `color`. The stamps are the source's to add.
pub(super) fn collect(mut stacks: Vec<Stack>, format: &'static str, color: Color) -> Collection {
    // Files are sorted by path.
    stacks.sort_by_key(|stack| stack.name);
    let known = stacks.iter().filter(|stack| stack.part != Part::Test).flat_map(|stack| stack.labels.iter().flatten());
    let numbers: Vec<i64> = known.copied().collect::<BTreeSet<_>>().into_iter().collect();
    let (mut rows, mut strange) = (vec![], vec![]);
    for stack in &stacks {
        let digits = stack.len().saturating_sub(1).to_string().len().max(5);
        for index in 0..stack.len() {
            let label = stack.labels.as_ref().map(|labels| labels[index]);
            let class = label.and_then(|label| numbers.binary_search(&label).ok());
            strange.extend(label.filter(|_| class.is_none()));
            let target = class.map(|class| Target::Class(class as u32));
            let id = format!("{}/{index:0digits$}", stack.name);
            rows.push(Row { id, part: stack.part, target, ..Row::default() });
        }
    }
    let warnings = strange.first().map(|first| {
        let what = "test pictures have a class that the training part lacks and count as unlabelled";
        format!("{} {what}, as {first}", strange.len())
    });
    let read: Reader = Arc::new(move |path| {
        let unknown = || Error::Invalid(format!("source '{format}' has no picture '{path}'"));
        let (name, index) = path.split_once('/').ok_or_else(unknown)?;
        let stack = stacks.iter().find(|stack| stack.name == name).ok_or_else(unknown)?;
        let index = index.parse().map_err(|_| unknown())?;
        let image = stack.picture(index, color).ok_or_else(unknown)??;
        Ok(Decoded { image, format, stored_channels: stack.dims[3], is_deep: false })
    });
    let paths: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
    let files = paths.iter().enumerate().map(|(i, path)| Found { path: path.clone(), row: Some(i) }).collect();
    let classes = numbers.iter().map(i64::to_string).collect();
    Collection {
        dataset: Arc::new(Listing { rows, paths, classes, columns: vec![], read: read.clone() }),
        target: Kind::Class,
        files,
        missing_files: vec![],
        missing_values: BTreeMap::new(),
        label: None,
        sample_submission: None,
        warnings: warnings.into_iter().collect(),
        read,
        stamp: Arc::new(|_| None),
    }
}

//! Tensors by name from a file, whoever wrote it. They are made when they are asked for.

use super::pickle::LONGEST_NAME;
use super::{table, torch};
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// Most dimensions of a tensor.
const MOST_DIMENSIONS: usize = 8;

/// Prefixes that wrappers put before every name: data parallelism, `torch.compile`, averages of weights.
const PREFIXES: [&str; 3] = ["module.", "_orig_mod.", "ema."];

/// The tensors of a file: safetensors, or PyTorch's `.pth` in both of its formats. No code in it is ever run, and every length is
/// checked against the file before memory is taken.
pub struct Weights {
    file: String,
    bytes: Vec<u8>,
    tensors: BTreeMap<String, Stored>,
}

/// Where the values of a tensor lie.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored {
    dtype: DType,
    shape: Vec<usize>,
    /// In values.
    strides: Vec<usize>,
    /// Byte of the first value.
    start: usize,
}

impl Stored {
    /// A tensor whose first value is the `offset`-th of those in the bytes `storage`, or why that cannot be.
    pub fn new(
        dtype: DType,
        shape: Vec<usize>,
        strides: Vec<usize>,
        offset: usize,
        storage: Range<usize>,
    ) -> Result<Self, String> {
        if shape.len() != strides.len() || shape.len() > MOST_DIMENSIONS {
            return Err(format!("has shape {shape:?} and strides {strides:?}, which do not fit"));
        }
        let held = storage.len() / dtype.size_in_bytes();
        // Sides beside one of 0 count as well: strides are their products.
        let sides = shape.iter().filter(|&&side| side > 0).try_fold(1usize, |product, &side| product.checked_mul(side));
        let count = sides.map(|product| if shape.contains(&0) { 0 } else { product });
        let last = shape.iter().zip(&strides).try_fold(offset, |sum, (&side, &stride)| {
            stride.checked_mul(side.saturating_sub(1)).and_then(|step| sum.checked_add(step))
        });
        // A tensor that repeats the values it has would take more memory than the file.
        match (count, last) {
            (Some(count), Some(last)) if count <= held && (count == 0 || last < held) => {}
            _ => {
                return Err(format!(
                    "has shape {shape:?}, but the file holds {held} of its values; get the file again"
                ));
            }
        }
        let start = storage.start + offset.min(held) * dtype.size_in_bytes();
        Ok(Self { dtype, shape, strides, start })
    }

    fn plain(dtype: DType, shape: Vec<usize>, storage: Range<usize>) -> Result<Self, String> {
        let mut strides = vec![1usize; shape.len()];
        for i in (1..shape.len()).rev() {
            strides[i - 1] = strides[i].saturating_mul(shape[i]);
        }
        Self::new(dtype, shape, strides, 0, storage)
    }

    fn read(&self, bytes: &[u8]) -> candle_core::Result<Tensor> {
        let (size, count) = (self.dtype.size_in_bytes(), self.shape.iter().product::<usize>());
        let contiguous = Self::plain(self.dtype, self.shape.clone(), self.start..self.start + count * size);
        if contiguous.is_ok_and(|plain| plain.strides == self.strides) {
            let values = &bytes[self.start..self.start + count * size];
            return Tensor::from_raw_buffer(values, self.dtype, &self.shape, &Device::Cpu);
        }
        let mut values = Vec::with_capacity(count * size);
        let mut index = vec![0; self.shape.len()];
        for _ in 0..count {
            let at = self.start + size * index.iter().zip(&self.strides).map(|(i, stride)| i * stride).sum::<usize>();
            values.extend_from_slice(&bytes[at..at + size]);
            for (i, side) in index.iter_mut().zip(&self.shape).rev() {
                *i = (*i + 1) % side;
                if *i > 0 {
                    break;
                }
            }
        }
        Tensor::from_raw_buffer(&values, self.dtype, &self.shape, &Device::Cpu)
    }
}

impl Weights {
    /// Reads the file at `path`. One that is known by its name, which has the beginning of its digest, must have that digest.
    ///
    /// # Errors
    /// [`Error::Weights`] names the file: it cannot be read, is cut off or changed, or is no file of weights.
    pub fn open(path: &Path) -> Result<Self> {
        let file = path.display().to_string();
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => return Err(Error::Weights { file, why: format!("cannot read it: {error}") }),
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some(row) = table::of_file(&name).filter(|row| !row.sha256.is_empty())
            && !hexadecimal(&Sha256::digest(&bytes)).starts_with(row.sha256)
        {
            let why = format!("its SHA-256 does not begin with {}, as its name says; get the file again", row.sha256);
            return Err(Error::Weights { file, why });
        }
        Self::parse(&file, bytes)
    }

    /// The content of a file; `file` is what errors call it.
    ///
    /// # Errors
    /// As [`Weights::open`].
    pub fn parse(file: &str, bytes: Vec<u8>) -> Result<Self> {
        let tensors = match &bytes[..bytes.len().min(16)] {
            [b'P', b'K', 3, 4, ..] => torch::zipped(&bytes),
            [0x80, 2..=5, ..] => torch::legacy(&bytes),
            [_, _, _, _, _, _, _, _, b'{', ..] => safetensors(&bytes),
            [b'v', b'e', b'r', b's', b'i', b'o', b'n', ..] => {
                Err("it only points to a file of Git LFS; run `git lfs pull`".into())
            }
            [b'<', ..] => Err("it is a web page, not a file; the download went wrong".into()),
            _ => {
                Err("it is neither safetensors nor PyTorch's format; convert it, or get it again if it was cut off"
                    .into())
            }
        };
        match tensors {
            Ok(tensors) => Ok(Self { file: file.into(), bytes, tensors: unwrapped(tensors) }),
            Err(why) => Err(Error::Weights { file: file.into(), why }),
        }
    }

    /// What errors call the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The file's content.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Names and shapes, sorted by name, without the prefixes of wrappers.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.tensors.iter().map(|(name, stored)| (name.as_str(), stored.shape.as_slice()))
    }

    /// The tensor `name` in the type in which it is stored, on the CPU.
    ///
    /// # Errors
    /// [`Error::Weights`] when there is none of this name.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        match self.tensors.get(name) {
            Some(stored) => Ok(stored.read(&self.bytes)?),
            None => Err(Error::Weights { file: self.file.clone(), why: format!("there is no '{name}' in it") }),
        }
    }
}

/// A digest as it is written.
pub(super) fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn safetensors(bytes: &[u8]) -> Result<BTreeMap<String, Stored>, String> {
    let cut = |error| format!("it is no whole safetensors file ({error}); get it again");
    let (header, metadata) = SafeTensors::read_metadata(bytes).map_err(cut)?;
    let begin = header + 8;
    let tensor = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
        if name.len() > LONGEST_NAME {
            return Err(format!("a name in it has {} bytes, more than {LONGEST_NAME}", name.len()));
        }
        let dtype =
            DType::try_from(info.dtype).map_err(|_| format!("'{name}' is {:?}, which is not read", info.dtype))?;
        let (from, to) = info.data_offsets;
        let stored = Stored::plain(dtype, info.shape.clone(), begin + from..begin + to);
        Ok((name.clone(), stored.map_err(|why| format!("'{name}' {why}"))?))
    };
    metadata.tensors().into_iter().map(tensor).collect()
}

/// Without the prefixes that all names have.
fn unwrapped(tensors: BTreeMap<String, Stored>) -> BTreeMap<String, Stored> {
    let (Some((first, _)), Some((last, _))) = (tensors.first_key_value(), tensors.last_key_value()) else {
        return tensors;
    };
    // Names are sorted: what the first and the last begin with, all do.
    let mut cut = 0;
    while let Some(prefix) = PREFIXES.iter().find(|p| first[cut..].starts_with(*p) && last[cut..].starts_with(*p)) {
        cut += prefix.len();
    }
    match cut {
        0 => tensors,
        _ => tensors.into_iter().map(|(name, stored)| (name[cut..].to_string(), stored)).collect(),
    }
}

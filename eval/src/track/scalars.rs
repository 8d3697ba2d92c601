//! Curves: one JSON object a line, added to as training goes.

use super::write_atomic;
use crate::error::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// One point of a curve, a line of `scalars.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scalar {
    /// Optimizer steps done.
    pub step: usize,
    /// 0-based.
    pub epoch: usize,
    /// 0-based.
    pub fold: usize,
    /// The curve, such as `train/loss`.
    pub name: String,
    /// Its value; JSON knows no NaN and no infinity, they become `null` and come back as NaN.
    #[serde(deserialize_with = "number_or_null")]
    pub value: f64,
}

fn number_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// A file of scalars that is only ever added to.
#[derive(Debug)]
pub struct Scalars {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Scalars {
    /// Goes on with the file at `path`, or begins it: first cuts it back to the lines for which `keep` holds, in one
    /// atomic step. A last line that a kill cut off is dropped.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Scalars`] for a whole line that is no scalar.
    pub fn resume(path: impl Into<PathBuf>, keep: impl Fn(&Scalar) -> bool) -> Result<Self> {
        let path = path.into();
        let bytes = read_if_there(&path)?;
        let mut kept = Vec::with_capacity(bytes.len());
        for (line, scalar) in lines(&path, &bytes) {
            if keep(&scalar?) {
                kept.extend_from_slice(line);
            }
        }
        if kept != bytes || kept.is_empty() {
            write_atomic(&path, &kept)?;
        }
        let file = OpenOptions::new().append(true).open(&path).map_err(|source| Error::io("write", &path, source))?;
        Ok(Self { path, file: BufWriter::new(file) })
    }

    /// All whole lines of a file, in order; none if there is no such file.
    ///
    /// # Errors
    /// As [`Scalars::resume`].
    pub fn read(path: &Path) -> Result<Vec<Scalar>> {
        let bytes = read_if_there(path)?;
        lines(path, &bytes).map(|(_, scalar)| scalar).collect()
    }

    /// Adds a line; it is on its way to the file after [`Scalars::flush`].
    ///
    /// # Errors
    /// [`Error::Io`] names the file.
    pub fn push(&mut self, scalar: &Scalar) -> Result<()> {
        let mut line = serde_json::to_vec(scalar).map_err(|error| Error::io("write", &self.path, error.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(|source| Error::io("write", &self.path, source))
    }

    /// Hands all lines to the operating system: once before every checkpoint that counts on them.
    ///
    /// # Errors
    /// As [`Scalars::push`].
    pub fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(|source| Error::io("write", &self.path, source))
    }
}

fn read_if_there(path: &Path) -> Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(vec![]),
        read => read.map_err(|source| Error::io("read", path, source)),
    }
}

/// The whole lines, with their line breaks.
fn lines<'a>(path: &'a Path, bytes: &'a [u8]) -> impl Iterator<Item = (&'a [u8], Result<Scalar>)> {
    let whole = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    whole.enumerate().map(move |(i, line)| {
        let scalar = serde_json::from_slice(line);
        (line, scalar.map_err(|source| Error::Scalars { path: path.into(), line: i + 1, source }))
    })
}

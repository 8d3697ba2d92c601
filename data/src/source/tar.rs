//! Class folders in an archive.

use super::files::{Budget, Tree, broken, first_bytes, is_gzip, is_litter, is_picture, memory_mb, read_span, within};
use super::folder::{Unit, class_folders};
use super::{Collection, Reader, Source};
use crate::decode::{Color, decode};
use crate::error::{Error, Result};
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tar::{Archive, Entries, Entry};

/// Class folders in a `.tar`, `.tar.gz` or `.tgz`, laid out as those of `folder`; nothing is unpacked to disk. A plain
/// archive is listed once and each picture read where it lies; a gzipped one is unpacked into memory.
///
/// | field | default | range |
/// |---|---|---|
/// | `path` | required | an archive |
/// | `color` | rgb | rgb, gray |
/// | `sample` | none | `folder`: the pictures of a folder inside of a class folder are one sample |
/// | `memory_mb` | 2048 | most that a gzipped archive may take unpacked, at least 1 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tar {
    /// The archive.
    pub path: PathBuf,
    /// What pictures are turned into.
    #[serde(default)]
    pub color: Color,
    /// What pictures of one sample share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Unit>,
    /// Most that a gzipped archive may take unpacked, MiB.
    #[serde(default = "memory_mb")]
    pub memory_mb: u64,
}

/// Compressions that archives come in but that are not read, by their first bytes.
const FOREIGN: &[(&[u8], &str)] = &[
    (b"BZh", "bzip2"),
    (b"\xFD7zXZ", "xz"),
    (b"\x28\xB5\x2F\xFD", "zstd"),
    (b"PK\x03\x04", "zip"),
    (b"7z\xBC\xAF", "7-Zip"),
];
/// Archives consist of blocks of so many bytes.
const BLOCK: u64 = 512;

/// Whether a file is called as archives are, those included that are refused with a reason.
pub(super) fn is_archive(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let endings = [".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".zip", ".7z"];
    endings.iter().any(|ending| name.ends_with(ending))
}

impl Source for Tar {
    fn open(&mut self) -> Result<Collection> {
        let mut budget = Budget::new("tar", self.memory_mb)?;
        let stamp = within(&self.path);
        let (names, warnings, read) = match is_gzipped(&self.path)? {
            true => self.unpack(&mut budget)?,
            false => self.index()?,
        };
        let tree = Tree::of_archive(&self.path, names);
        let mut collection = class_folders(&tree, read, self.sample)?;
        collection.warnings.extend(warnings);
        if let Some(first) = tree.tables.first() {
            collection.warnings.push(format!(
                "tables in archives are not read, as '{first}'; unpack the archive where they hold the labels"
            ));
        }
        Ok(Collection { stamp, ..collection })
    }
}

/// What is said of an archive without its end.
const NO_END: &str = "the block that ends an archive is missing: all its files are whole, but there may have been more";

/// Whether an archive is gzipped; one that is packed otherwise is an error.
pub(super) fn is_gzipped(path: &Path) -> Result<bool> {
    let first = first_bytes(path)?;
    match FOREIGN.iter().find(|(bytes, _)| first.starts_with(bytes)) {
        Some((_, kind)) => {
            let why = format!("it is packed with {kind}, which is not read; unpack it, or pack it as .tar or .tar.gz");
            Err(Error::Layout { path: path.into(), why })
        }
        None => Ok(is_gzip(&first)),
    }
}

/// What a listing finds: names of all files, what is odd, and how pictures are read.
type Found = (BTreeSet<String>, Vec<String>, Reader);

impl Tar {
    /// Lists a plain archive.
    fn index(&self) -> Result<Found> {
        let members = Members::index(&self.path, is_picture, |_, span| Ok(span))?;
        let warnings = members.warnings();
        let (path, color, places) = (self.path.clone(), self.color, members.kept);
        let read: Reader = Arc::new(move |name| {
            let span = places.get(name).ok_or_else(|| unknown(name))?;
            let bytes = read_span(&path, name, *span)?;
            decode(name, &bytes, color)
        });
        Ok((members.names, warnings, read))
    }

    /// Unpacks a gzipped archive into memory.
    fn unpack(&self, budget: &mut Budget) -> Result<Found> {
        let file = File::open(&self.path).map_err(|source| Error::Read { path: self.path.clone(), source })?;
        let decoder = MultiGzDecoder::new(BufReader::with_capacity(1 << 16, file));
        let mut reader = Limited { inner: decoder, count: 0, limit: budget.left };
        let mut members = Members::default();
        let mut archive = Archive::new(&mut reader);
        let listed = archive.entries().and_then(|entries| {
            members.list(entries, is_picture, |entry| {
                let mut bytes = vec![];
                match entry.read_to_end(&mut bytes)? as u64 == entry.size() {
                    true => Ok(bytes.into_boxed_slice()),
                    false => Err(io::Error::new(ErrorKind::UnexpectedEof, "its last file is cut")),
                }
            })
        });
        // The checksum stands at the end.
        let listed = listed.and_then(|()| io::copy(&mut reader, &mut io::sink()).map(drop));
        if reader.count > reader.limit {
            return Err(budget.exceeded(&self.path));
        }
        members.check(listed, reader.count).map_err(|error| broken(&self.path, error))?;
        let warnings = members.warnings();
        let (color, pictures) = (self.color, members.kept);
        let read: Reader = Arc::new(move |name| decode(name, pictures.get(name).ok_or_else(|| unknown(name))?, color));
        Ok((members.names, warnings, read))
    }
}

fn unknown(name: &str) -> Error {
    Error::Decode { name: name.into(), why: "the archive has no such picture".into() }
}

/// What is in an archive.
pub(super) struct Members<T> {
    /// Of all files.
    pub names: BTreeSet<String>,
    /// How to get each file that is wanted; of two files of one name the later one counts, as `tar` unpacks it.
    pub kept: BTreeMap<String, T>,
    /// Links and paths that are not safe.
    odd: Vec<String>,
    /// Names that came again.
    repeated: Vec<String>,
    /// Where the last file ends, bytes.
    end: u64,
    /// Whether the archive has its end.
    ends: bool,
}

impl<T> Default for Members<T> {
    fn default() -> Self {
        let (odd, repeated) = (vec![], vec![]);
        Self { names: BTreeSet::new(), kept: BTreeMap::new(), odd, repeated, end: 0, ends: false }
    }
}

impl<T> Members<T> {
    /// Lists a plain archive and keeps of each file that is `wanted` what `keep` makes of it and its offset and size.
    pub fn index(
        path: &Path,
        wanted: fn(&Path) -> bool,
        keep: impl Fn(&mut Entry<'_, File>, (u64, u64)) -> io::Result<T>,
    ) -> Result<Self> {
        let unreadable = |source| Error::Read { path: path.into(), source };
        let file = File::open(path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        let mut archive = Archive::new(file);
        let entries = archive.entries_with_seek().map_err(unreadable)?;
        let mut members = Self::default();
        let listed = members.list(entries, wanted, |entry| {
            let (offset, size) = (entry.raw_file_position(), entry.size());
            match offset.checked_add(size) {
                Some(end) if end <= length => keep(entry, (offset, size)),
                _ => Err(io::Error::new(ErrorKind::UnexpectedEof, "its last file is cut")),
            }
        });
        members.check(listed, length).map_err(|error| broken(path, error))?;
        Ok(members)
    }

    /// What is odd but no error.
    pub fn warnings(&self) -> Vec<String> {
        let say = |names: &[String], what: &str| Some(format!("{} files {what}, as '{}'", names.len(), names.first()?));
        let odd = say(&self.odd, "are links, devices or paths that lead out of the archive and are ignored");
        let repeated = say(&self.repeated, "have the name of an earlier one, which they replace");
        (!self.ends).then(|| NO_END.into()).into_iter().chain(odd).chain(repeated).collect()
    }

    fn list<R: Read>(
        &mut self,
        entries: Entries<'_, R>,
        wanted: fn(&Path) -> bool,
        keep: impl Fn(&mut Entry<'_, R>) -> io::Result<T>,
    ) -> io::Result<()> {
        let invalid = |what: String| io::Error::new(ErrorKind::InvalidData, what);
        for entry in entries {
            let mut entry = entry?;
            let end = entry.raw_file_position().checked_add(entry.size());
            let end = end.and_then(|end| end.checked_next_multiple_of(BLOCK));
            self.end = end.ok_or_else(|| invalid("a file is larger than any archive".into()))?;
            let kind = entry.header().entry_type();
            if kind.is_dir() || kind.is_pax_global_extensions() {
                continue;
            }
            let name = String::from_utf8(entry.path_bytes().into_owned()).map_err(|e| {
                invalid(format!("the name '{}' is no valid UTF-8", String::from_utf8_lossy(e.as_bytes())))
            })?;
            let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
            if name.starts_with('/') || parts.contains(&"..") || !(kind.is_file() || kind.is_contiguous()) {
                self.odd.push(name);
            } else if !parts.iter().any(|part| is_litter(part)) {
                let name = parts.join("/");
                if wanted(Path::new(&name)) {
                    let kept = self.kept.insert(name.clone(), keep(&mut entry)?);
                    self.repeated.extend(kept.map(|_| name.clone()));
                }
                self.names.insert(name);
            }
        }
        Ok(())
    }

    /// Notes whether the archive of `length` bytes has its end, a block of zeros, behind its last file; a file that is cut is an
    /// error. Some programs leave the end away.
    fn check(&mut self, listed: io::Result<()>, length: u64) -> io::Result<()> {
        let ends = length >= self.end.saturating_add(BLOCK);
        let cut = |what: &str| Err(io::Error::new(ErrorKind::UnexpectedEof, what));
        match listed {
            Ok(()) if length < self.end => cut("its last file is cut"),
            Ok(()) if self.end == 0 && !ends => cut("the block that ends an archive is missing"),
            // What `tar` says of half a header.
            Err(error) if error.kind() == ErrorKind::Other && !ends => {
                Err(io::Error::new(ErrorKind::UnexpectedEof, error))
            }
            listed => {
                self.ends = ends;
                listed
            }
        }
    }
}

/// Fails when more than `limit` bytes come.
struct Limited<R> {
    inner: R,
    count: u64,
    limit: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        match self.count > self.limit {
            true => Err(io::Error::other("it is too large")),
            false => Ok(count),
        }
    }
}

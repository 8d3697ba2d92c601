//! What lies below a folder.

use super::folder::part_of;
use super::{Reader, Stamper, shards};
use crate::cache::DiskCached;
use crate::decode::{Color, decode};
use crate::error::{Error, Result};
use crate::row::Part;
use rayon::slice::ParallelSliceMut;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Endings of files that are taken for pictures.
pub const PICTURES: &[&str] =
    &["jpg", "jpeg", "jpe", "jfif", "png", "bmp", "tif", "tiff", "webp", "pbm", "pgm", "ppm", "pnm"];

/// Endings of pictures that are not read.
const FOREIGN: &[&str] = &["gif", "heic", "heif", "avif", "jxl", "svg", "psd", "tga", "dcm", "nii", ""];
/// Deepest folder that is looked into.
const DEEPEST: usize = 64;
/// Largest file that is read, bytes.
pub(super) const LARGEST: u64 = 1 << 30;

/// Pictures and tables below a folder, sorted, relative to it.
pub(super) struct Tree {
    pub root: PathBuf,
    pub pictures: Vec<String>,
    pub tables: Vec<String>,
    /// Files that hold many samples each.
    pub shards: Vec<String>,
    /// Files that may be pictures but cannot be read.
    pub foreign: Vec<String>,
    /// Files and folders whose names are no valid UTF-8, with � in them.
    pub unnamed: Vec<String>,
    /// Folders that are not entered, as they lie too deep.
    deep: Vec<String>,
    /// Whether a file is a picture.
    wanted: fn(&Path) -> bool,
    /// Folders that were entered, without links: a link may lead in a circle.
    seen: BTreeSet<PathBuf>,
}

impl Tree {
    /// Lists `root`. Hidden files and the litter of zip programs are left out.
    pub fn walk(root: &Path) -> Result<Self> {
        Self::walk_for(root, is_picture)
    }

    /// Lists `root`, where the files that are `wanted` are the pictures.
    pub fn walk_for(root: &Path, wanted: fn(&Path) -> bool) -> Result<Self> {
        let mut tree = Self { wanted, ..Self::empty(root) };
        tree.enter(root, "", 0)?;
        tree.pictures.par_sort_unstable();
        tree.tables.sort();
        tree.shards.sort();
        tree.foreign.sort();
        tree.unnamed.sort();
        Ok(tree)
    }

    /// Lists `names`, which are files of an archive at `root`.
    pub fn of_archive(root: &Path, names: BTreeSet<String>) -> Self {
        let mut tree = Self::empty(root);
        names.into_iter().for_each(|name| tree.add(is_picture(Path::new(&name)), name));
        tree
    }

    fn empty(root: &Path) -> Self {
        Self {
            root: root.into(),
            pictures: vec![],
            tables: vec![],
            shards: vec![],
            foreign: vec![],
            unnamed: vec![],
            deep: vec![],
            wanted: is_picture,
            seen: BTreeSet::new(),
        }
    }

    /// What is said of files that cannot be read.
    pub fn warnings(&self) -> Vec<String> {
        let say = |names: &[String], what: &str| Some(format!("{} {what}, as '{}'", names.len(), names.first()?));
        let said = [
            say(&self.foreign, "files are no pictures of a known kind and are ignored"),
            say(&self.unnamed, "files or folders have names that are no valid UTF-8 and are ignored; rename them"),
            say(&self.deep, "folders lie too deep and are ignored; move them up"),
        ];
        said.into_iter().flatten().collect()
    }

    fn enter(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<()> {
        let unreadable = |source| Error::Read { path: folder.into(), source };
        let real = std::fs::canonicalize(folder).map_err(unreadable)?;
        // A run of this program is no data; runs may lie beside them.
        if !self.seen.insert(real) || (depth > 0 && folder.join("recipe.toml").is_file()) {
            return Ok(());
        }
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let within = |name: &str| if prefix.is_empty() { name.into() } else { format!("{prefix}/{name}") };
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                self.unnamed.push(within(&name.to_string_lossy()));
                continue;
            };
            if is_litter(name) {
                continue;
            }
            // Links are followed; a link to nowhere counts as a picture that cannot be read. Only of a link the file itself
            // must be asked.
            let is_folder = match entry.file_type() {
                Ok(kind) if kind.is_dir() || kind.is_file() => kind.is_dir(),
                _ => std::fs::metadata(entry.path()).is_ok_and(|m| m.is_dir()),
            };
            if !is_folder {
                self.add((self.wanted)(&entry.path()), within(name));
            } else if depth < DEEPEST {
                self.enter(&entry.path(), &within(name), depth + 1)?;
            } else {
                self.deep.push(within(name));
            }
        }
        Ok(())
    }

    fn add(&mut self, is_wanted: bool, relative: String) {
        let path = Path::new(&relative);
        if is_wanted {
            self.pictures.push(relative);
        } else if is_table(path) {
            self.tables.push(relative);
        } else if shards::kind(path).is_some() {
            self.shards.push(relative);
        } else if FOREIGN.contains(&ending(path).as_str()) || is_nifti(path) {
            self.foreign.push(relative);
        }
    }

    /// The sample submission, by its name.
    pub fn sample_submission(&self) -> Option<&String> {
        self.tables.iter().find(|table| is_sample(table))
    }

    /// Decodes pictures below the root.
    pub fn reader(&self, color: Color) -> Reader {
        let root = self.root.clone();
        Arc::new(move |path| decode(path, &read(&root, path)?, color))
    }
}

/// The stamp of pictures that are a file each below `root`, as they are when it is asked for.
pub(super) fn below(root: &Path) -> Stamper {
    let root = root.to_path_buf();
    Arc::new(move |path| DiskCached::file_stamp(&root.join(path)))
}

/// The stamp of pictures that all lie in the file at `path`, as it is now: it is to be taken before the file is listed.
pub(super) fn within(path: &Path) -> Stamper {
    let stamp = DiskCached::file_stamp(path);
    Arc::new(move |_| stamp.clone())
}

/// The bytes of the file at `path` below `root`.
pub(super) fn read(root: &Path, path: &str) -> Result<Vec<u8>> {
    let full = root.join(path);
    let unreadable = |source| Error::Read { path: full.clone(), source };
    let metadata = std::fs::metadata(&full).map_err(unreadable)?;
    let refuse = |why: String| Err(Error::Decode { name: path.into(), why });
    match metadata.len() {
        _ if !metadata.is_file() => refuse("it is no regular file".into()),
        size if size > LARGEST => refuse(format!("it has {size} bytes, more than the {LARGEST} allowed")),
        _ => std::fs::read(&full).map_err(unreadable),
    }
}

/// Memory that the pictures of an archive may take.
pub(super) struct Budget {
    memory_mb: u64,
    pub left: u64,
}

/// Default of the field `memory_mb`.
pub(super) fn memory_mb() -> u64 {
    2048
}

impl Budget {
    /// For a source called `source`.
    pub fn new(source: &str, memory_mb: u64) -> Result<Self> {
        match memory_mb {
            0 => Err(Error::Invalid(format!("source '{source}': memory_mb must be at least 1"))),
            _ => Ok(Self { memory_mb, left: memory_mb.saturating_mul(1 << 20) }),
        }
    }

    /// Takes `bytes` for what lies at `path`.
    pub fn take(&mut self, bytes: u64, path: &Path) -> Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| self.exceeded(path))?;
        Ok(())
    }

    pub fn exceeded(&self, path: &Path) -> Error {
        let mb = self.memory_mb;
        let why = format!("it takes more than {mb} MB of memory; raise data.memory_mb where the machine has more");
        Error::Layout { path: path.into(), why }
    }
}

/// The first bytes of a file, zeros where it is shorter.
pub(super) fn first_bytes(path: &Path) -> Result<[u8; 6]> {
    let unreadable = |source| Error::Read { path: path.into(), source };
    let mut bytes = vec![];
    File::open(path).map_err(unreadable)?.take(6).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(std::array::from_fn(|i| bytes.get(i).copied().unwrap_or_default()))
}

/// Whether a file of these first bytes is compressed with gzip.
pub(super) fn is_gzip(first: &[u8]) -> bool {
    first.starts_with(&[0x1F, 0x8B])
}

/// Reads the last `announced` bytes of `reader`; memory grows with what is there, whatever was announced.
pub(super) fn read_announced(reader: &mut dyn Read, announced: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    let count = reader.take(announced.saturating_add(1)).read_to_end(&mut bytes)? as u64;
    let wrong = |kind, what: &str| Err(io::Error::new(kind, format!("{what} than the {announced} bytes announced")));
    match count {
        _ if count < announced => wrong(ErrorKind::UnexpectedEof, "it holds less"),
        _ if count > announced => wrong(ErrorKind::InvalidData, "it holds more"),
        _ => Ok(bytes),
    }
}

/// Reads in order what is wanted of a large file, and skips the rest without reading it.
pub(super) struct Skim<R> {
    inner: BufReader<R>,
    /// Where it stands, bytes from the start.
    pub at: u64,
    /// Of the file, bytes.
    pub length: u64,
}

impl Skim<File> {
    /// A file from its start.
    pub fn open(path: &Path) -> Result<Self> {
        let unreadable = |source| Error::Read { path: path.into(), source };
        let file = File::open(path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        Ok(Self::new(file, length))
    }
}

impl<R: Read + Seek> Skim<R> {
    /// `inner` from its start, which has `length` bytes.
    pub fn new(inner: R, length: u64) -> Self {
        Self { inner: BufReader::new(inner), at: 0, length }
    }

    /// Where something of `count` bytes ends, which must be at `end` or before.
    pub fn end_of(&self, count: u64, end: u64) -> io::Result<u64> {
        let past = |kind, what: &str| io::Error::new(kind, format!("at byte {}: {what}", self.at));
        match self.at.checked_add(count) {
            Some(own) if own > self.length => Err(past(ErrorKind::UnexpectedEof, "more is announced than follows")),
            Some(own) if own <= end => Ok(own),
            _ => Err(past(ErrorKind::InvalidData, "a value is larger than what holds it")),
        }
    }

    /// The next `count` bytes, which must end at `end` or before.
    pub fn take(&mut self, count: u64, end: u64) -> io::Result<Vec<u8>> {
        let own = self.end_of(count, end)?;
        let mut bytes = vec![0; usize::try_from(count).map_err(io::Error::other)?];
        self.inner.read_exact(&mut bytes)?;
        self.at = own;
        Ok(bytes)
    }

    /// The next `N` bytes, which must end at `end` or before.
    pub fn array<const N: usize>(&mut self, end: u64) -> io::Result<[u8; N]> {
        let own = self.end_of(N as u64, end)?;
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        self.at = own;
        Ok(bytes)
    }

    /// A number of seven bits to a byte, the lowest first, as protobuf and Thrift write it.
    pub fn varint(&mut self, end: u64) -> io::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array(end)?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(io::Error::new(ErrorKind::InvalidData, format!("at byte {}: a number has no end", self.at)))
    }

    /// Goes to byte `to`, forwards or back.
    pub fn go(&mut self, to: u64) -> io::Result<()> {
        let by = i64::try_from(i128::from(to) - i128::from(self.at)).map_err(io::Error::other)?;
        self.inner.seek_relative(by)?;
        self.at = to;
        Ok(())
    }
}

/// The `length` bytes of the file at `path` that begin at `offset`; `name` is what errors call them.
pub(super) fn read_span(path: &Path, name: &str, (offset, length): (u64, u64)) -> Result<Vec<u8>> {
    if length > LARGEST {
        let why = format!("it has {length} bytes, more than the {LARGEST} allowed");
        return Err(Error::Decode { name: name.into(), why });
    }
    let mut file = Skim::open(path)?;
    // The file may have become shorter since it was listed.
    let end = file.length;
    let read = file.go(offset).and_then(|()| file.take(length, end));
    read.map_err(|source| Error::Read { path: path.into(), source })
}

/// What is said of a file that is not what it should be, apart from one that cannot be read at all.
pub(super) fn broken(path: &Path, source: io::Error) -> Error {
    let why = match source.kind() {
        ErrorKind::UnexpectedEof => format!("it is truncated ({source}); fetch it again"),
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::Other => format!("it is broken: {source}"),
        _ => return Error::Read { path: path.into(), source },
    };
    Error::Layout { path: path.into(), why }
}

/// Whether a file or folder is hidden or the litter of a zip program.
pub(super) fn is_litter(name: &str) -> bool {
    name.starts_with('.') || name == "__MACOSX"
}

pub(super) fn ending(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default()
}

pub(super) fn is_picture(path: &Path) -> bool {
    PICTURES.contains(&ending(path).as_str())
}

/// Whether a file is called as volumes of NIfTI are.
pub(super) fn is_nifti(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    name.ends_with(".nii") || name.ends_with(".nii.gz")
}

pub(super) fn is_table(path: &Path) -> bool {
    ["csv", "tsv"].contains(&ending(path).as_str())
}

/// The last component.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Lower-case words of a name: `Seg-Train` → seg, train.
pub(super) fn words(name: &str) -> Vec<String> {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
    words.map(str::to_lowercase).collect()
}

/// The part that a cell of a table names: `train`, `val`, `test` and what else folders of parts are called; FER2013's
/// `PublicTest` is its validation part.
///
/// # Errors
/// What is expected instead.
pub(super) fn part_named(cell: &str) -> Result<Part, String> {
    match cell.to_lowercase().as_str() {
        "publictest" => Ok(Part::Validation),
        "privatetest" => Ok(Part::Test),
        name => match part_of(name) {
            Some((part, _)) => Ok(part),
            None => Err(format!("'{cell}' is no part; expected train, val or test")),
        },
    }
}

/// Whether a table is a competition's example of an answer.
pub(super) fn is_sample(table: &str) -> bool {
    let name = file_name(table).to_lowercase();
    name.contains("submission") || name.contains("sample_sub")
}

//! Decoded pictures on disk, from one run to the next.

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::image::Image;
use crate::row::{Column, Row};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

/// What an entry begins with; the digit is the number of its layout.
const MAGIC: &[u8; 8] = b"pixels 1";
/// Bytes before the pixels: magic, identity, four sides, CRC-32C of all that and the pixels.
const HEADER: usize = 8 + 32 + 4 * 8 + 4;
/// Part of the limit after which the folder is looked through again, as others may write into it too.
const SHARE: u64 = 16;

/// What changes when a picture's bytes do: of sample and picture number. None where that cannot be known.
pub type Stamp = dyn Fn(usize, usize) -> Option<String> + Send + Sync;

/// Keeps decoded pictures in a folder up to a limit; beyond it they are decoded each time. The pixels are the same either way.
///
/// An entry is found by the row's id and part and the picture's number, and holds for as long as its key, its stamp and the
/// version of this crate stay what they were; another is decoded again and replaced, as one that is cut or otherwise broken.
/// Several processes may use a folder. Where its limit is reached, entries of other keys make room, the oldest first; those of
/// the own key never do, as every epoch needs each of them. What cannot be written is not kept and no error:
/// [`DiskCached::usage`] says why.
///
/// An entry is a file `<key>/<2 digits>/<60 digits>`: `pixels 1`, a BLAKE3 hash of what the entry depends on, depth, height,
/// width and channels as u64, a CRC-32C of all this and the pixels, the pixels. Numbers are little-endian.
pub struct DiskCached {
    of: Arc<dyn Dataset>,
    folder: PathBuf,
    /// Of the own key's folder.
    name: String,
    key: blake3::Hash,
    limit: u64,
    stamp: Box<Stamp>,
    room: Mutex<Room>,
    read: AtomicU64,
    decoded: AtomicU64,
    written: AtomicU64,
}

/// What a [`DiskCached`] did so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskUse {
    /// Pictures that were read from the folder.
    pub read: u64,
    /// Pictures that were decoded.
    pub decoded: u64,
    /// Bytes in the folder, as of the last look, and what was written since.
    pub bytes: u64,
    /// Why pictures are no longer written.
    pub stopped: Option<String>,
}

/// What may still be written.
struct Room {
    /// Bytes in the folder.
    used: u64,
    /// Bytes written since the folder was looked through.
    since: u64,
    stopped: Option<String>,
}

/// Where an entry lies and what it holds for.
struct Entry {
    path: PathBuf,
    identity: blake3::Hash,
}

impl DiskCached {
    /// Keeps at most `megabytes` (MiB) in `folder`, which is made where it is missing. `key` is what the pixels of all pictures
    /// depend on: the name of the source and its parameters, as [`source::open`](crate::source::open) gives them. `stamp` is
    /// what those of one depend on, as [`Collection::stamps`](crate::source::Collection::stamps) has them; a picture without
    /// one is never kept.
    ///
    /// # Errors
    /// [`Error::Read`] when the folder cannot be made or listed.
    pub fn open(
        of: Arc<dyn Dataset>,
        folder: &Path,
        megabytes: usize,
        key: &str,
        stamp: impl Fn(usize, usize) -> Option<String> + Send + Sync + 'static,
    ) -> Result<Self> {
        let key = hash([env!("CARGO_PKG_VERSION").as_bytes(), key.as_bytes()]);
        let name = key.to_hex()[..32].to_string();
        let cached = Self {
            of,
            folder: folder.into(),
            name,
            key,
            limit: (megabytes as u64).saturating_mul(1 << 20),
            stamp: Box::new(stamp),
            room: Mutex::new(Room { used: 0, since: 0, stopped: None }),
            read: AtomicU64::new(0),
            decoded: AtomicU64::new(0),
            written: AtomicU64::new(0),
        };
        let unreadable = |source| Error::Read { path: folder.into(), source };
        fs::create_dir_all(folder.join(&cached.name)).map_err(unreadable)?;
        // Whoever is at work on one of them loses that entry, no more.
        let unfinished = |found: &&Kept| found.name.starts_with('.') && found.key == cached.name;
        let found = kept(folder).map_err(unreadable)?;
        found.iter().filter(unfinished).for_each(|found| drop(fs::remove_file(&found.path)));
        cached.room().used = found.iter().filter(|found| !unfinished(found)).map(|found| found.bytes).sum();
        Ok(cached)
    }

    /// The stamps of all `files`, for a picture that is made of them; `None` where there are none, or one cannot be had.
    pub fn stamp_of(files: &[PathBuf]) -> Option<String> {
        let stamps: Option<Vec<String>> = files.iter().map(|file| Self::file_stamp(file)).collect();
        stamps.filter(|stamps| !stamps.is_empty()).map(|stamps| stamps.join("\n"))
    }

    /// Path, size and time of change of a file: the stamp of a picture that lies in it. None where it cannot be had.
    ///
    /// A file that is changed without another size within the resolution of the file system's clock is not told from the old one.
    pub fn file_stamp(path: &Path) -> Option<String> {
        let metadata = fs::metadata(path).ok()?;
        let changed = match metadata.modified().ok()?.duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_nanos().to_string(),
            Err(before) => format!("-{}", before.duration().as_nanos()),
        };
        Some(format!("{} {changed} {}", metadata.len(), path.display()))
    }

    /// What it did so far.
    pub fn usage(&self) -> DiskUse {
        let (room, count) = (self.room(), |count: &AtomicU64| count.load(Ordering::Relaxed));
        DiskUse {
            read: count(&self.read),
            decoded: count(&self.decoded),
            bytes: room.used,
            stopped: room.stopped.clone(),
        }
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, index: usize, nth: usize) -> Option<Entry> {
        let row = &self.of.rows()[index];
        let place: [&[u8]; 3] = [row.id.as_bytes(), &[row.part as u8], &(nth as u64).to_le_bytes()];
        let name = hash(place).to_hex();
        let stamp = (self.stamp)(index, nth)?;
        let identity = hash([&self.key.as_bytes()[..], place[0], place[1], place[2], stamp.as_bytes()]);
        Some(Entry { path: self.folder.join(&self.name).join(&name[..2]).join(&name[2..62]), identity })
    }

    /// The entry's picture, where it is there, whole and still holds.
    fn load(&self, entry: &Entry) -> Option<Image> {
        let mut file = File::open(&entry.path).ok()?;
        let length = file.metadata().ok()?.len();
        let mut header = [0; HEADER];
        file.read_exact(&mut header).ok()?;
        let (front, sum) = header.split_at(HEADER - 4);
        let (known, sides) = front.split_at(40);
        let side = |side: &[u8; 8]| usize::try_from(u64::from_le_bytes(*side)).ok();
        let dims: Vec<usize> = sides.as_chunks::<8>().0.iter().map(side).collect::<Option<_>>()?;
        let bytes = dims.iter().try_fold(1usize, |n, side| n.checked_mul(*side))?;
        let expected = (bytes as u64).checked_add(HEADER as u64)?;
        if known[..8] != *MAGIC || known[8..] != *entry.identity.as_bytes() || length != expected || length > self.limit
        {
            return None;
        }
        let mut pixels = Vec::with_capacity(bytes);
        file.take(bytes as u64).read_to_end(&mut pixels).ok()?;
        let whole = crc32c::crc32c_append(crc32c::crc32c(front), &pixels).to_le_bytes() == *sum;
        Image::volume(dims.try_into().ok()?, pixels).ok().filter(|_| whole)
    }

    /// Writes the entry where there is room.
    fn keep(&self, entry: &Entry, image: &Image) {
        let bytes = (HEADER + image.pixels().len()) as u64;
        if !self.take(bytes) {
            return;
        }
        match self.store(entry, image) {
            // Another process removed the file or its folder.
            Err(error) if error.kind() != ErrorKind::NotFound => {
                let why = format!("cannot write '{}': {error}", entry.path.display());
                self.room().stopped.get_or_insert(why);
            }
            _ => {}
        }
    }

    /// Whether `bytes` may be written, which are then counted.
    fn take(&self, bytes: u64) -> bool {
        let mut room = self.room();
        if room.stopped.is_some() {
            return false;
        }
        let fits = |room: &Room| room.used.saturating_add(bytes) <= self.limit;
        if !fits(&room) || room.since > self.limit / SHARE {
            room.used = self.make_room(bytes);
            room.since = 0;
        }
        if !fits(&room) {
            let full = format!("the {} MiB of '{}' are full", self.limit >> 20, self.folder.display());
            room.stopped = Some(full);
            return false;
        }
        room.used += bytes;
        room.since += bytes;
        true
    }

    /// Removes entries of other keys until there is room for more than `bytes`; gives what is left.
    fn make_room(&self, bytes: u64) -> u64 {
        let Ok(mut found) = kept(&self.folder) else { return u64::MAX };
        let mut used = found.iter().map(|found| found.bytes).sum::<u64>();
        if used.saturating_add(bytes) <= self.limit {
            return used;
        }
        let wanted = self.limit.saturating_sub(bytes.max(self.limit / SHARE));
        found.retain(|found| found.key != self.name);
        found.sort_by(|a, b| (a.age, &a.path).cmp(&(b.age, &b.path)));
        for found in found {
            if used <= wanted {
                break;
            }
            if fs::remove_file(&found.path).is_ok() {
                used = used.saturating_sub(found.bytes);
            }
        }
        used
    }

    /// Writes beside the entry first: no reader sees a part of it.
    fn store(&self, entry: &Entry, image: &Image) -> io::Result<()> {
        let mut front = [MAGIC, &entry.identity.as_bytes()[..]].concat();
        image.dims().iter().for_each(|side| front.extend((*side as u64).to_le_bytes()));
        let sum = crc32c::crc32c_append(crc32c::crc32c(&front), image.pixels());
        front.extend(sum.to_le_bytes());
        let folder = entry.path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder)?;
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        // Another process has another id, another cache of this one another address.
        let unfinished = folder.join(format!(".{}-{:p}-{number}", std::process::id(), self));
        let write = || {
            let mut file = File::create_new(&unfinished)?;
            file.write_all(&front)?;
            file.write_all(image.pixels())?;
            drop(file);
            fs::rename(&unfinished, &entry.path)
        };
        write().inspect_err(|_| drop(fs::remove_file(&unfinished)))
    }
}

impl Dataset for DiskCached {
    fn rows(&self) -> &[Row] {
        self.of.rows()
    }
    fn classes(&self) -> &[String] {
        self.of.classes()
    }
    fn columns(&self) -> &[Column] {
        self.of.columns()
    }
    fn image(&self, index: usize) -> Result<Image> {
        self.picture(index, 0)
    }
    fn pictures(&self, index: usize) -> usize {
        self.of.pictures(index)
    }
    fn picture(&self, index: usize, nth: usize) -> Result<Image> {
        // The stamp is taken before the picture is decoded: what changes in between is decoded once more, never kept.
        let entry = self.entry(index, nth);
        if let Some(image) = entry.as_ref().and_then(|entry| self.load(entry)) {
            self.read.fetch_add(1, Ordering::Relaxed);
            return Ok(image);
        }
        let image = self.of.picture(index, nth)?;
        self.decoded.fetch_add(1, Ordering::Relaxed);
        if let Some(entry) = &entry {
            self.keep(entry, &image);
        }
        Ok(image)
    }
}

/// The parts' hash; where one ends and the next begins is part of it.
fn hash<const N: usize>(parts: [&[u8]; N]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    hasher.finalize()
}

/// A file of a cache.
struct Kept {
    key: String,
    name: String,
    path: PathBuf,
    bytes: u64,
    /// When it was written, after the epoch of UNIX.
    age: std::time::Duration,
}

/// The entries of all keys in `folder`, also unfinished ones; files that no cache wrote are left out.
fn kept(folder: &Path) -> io::Result<Vec<Kept>> {
    let named = |entry: &fs::DirEntry, digits: usize| {
        let name = entry.file_name().into_string().ok()?;
        let ours = name.len() == digits && name.bytes().all(|b| b.is_ascii_hexdigit());
        (ours || digits == 60 && name.starts_with('.')).then_some(name)
    };
    // What another process removes meanwhile is not there.
    let inside = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found = vec![];
    for key in fs::read_dir(folder)? {
        let key = key?;
        let Some(name) = named(&key, 32) else { continue };
        for part in inside(&key.path()).filter(|part| named(part, 2).is_some()) {
            for entry in inside(&part.path()) {
                let (Some(own), Ok(metadata)) = (named(&entry, 60), entry.metadata()) else { continue };
                if metadata.is_file() {
                    let age = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                    found.push(Kept {
                        key: name.clone(),
                        name: own,
                        path: entry.path(),
                        bytes: metadata.len(),
                        age: age.unwrap_or_default(),
                    });
                }
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    /// Pictures of one row's number, of so many pixels, and how often they were decoded.
    struct Plain(Vec<Row>, usize, AtomicUsize);

    impl Plain {
        fn new(rows: usize, side: usize) -> Arc<Self> {
            let row = |i| Row { id: format!("row {i}"), ..Row::default() };
            Arc::new(Self((0..rows).map(row).collect(), side, AtomicUsize::new(0)))
        }
    }

    impl Dataset for Plain {
        fn rows(&self) -> &[Row] {
            &self.0
        }
        fn classes(&self) -> &[String] {
            &[]
        }
        fn image(&self, index: usize) -> Result<Image> {
            self.picture(index, 0)
        }
        fn pictures(&self, _: usize) -> usize {
            2
        }
        fn picture(&self, index: usize, nth: usize) -> Result<Image> {
            self.2.fetch_add(1, Ordering::Relaxed);
            Ok(Image::filled(self.1, self.1, &[index as u8, nth as u8, 7]))
        }
    }

    fn open(of: &Arc<Plain>, folder: &Path, key: &str, stamp: &'static str) -> DiskCached {
        let stamp = move |_, _| (!stamp.is_empty()).then(|| stamp.to_string());
        DiskCached::open(of.clone(), folder, 1, key, stamp).unwrap()
    }

    /// All pictures, and how many were decoded for it.
    fn read(cached: &DiskCached, of: &Plain) -> (Vec<Image>, usize) {
        let before = of.2.load(Ordering::Relaxed);
        let all = (0..of.0.len()).flat_map(|i| [(i, 0), (i, 1)]);
        let seen = all.map(|(i, nth)| cached.picture(i, nth).unwrap()).collect();
        (seen, of.2.load(Ordering::Relaxed) - before)
    }

    #[test]
    fn entries_hold_for_their_key_and_stamp_only() {
        let (folder, plain) = (tempfile::tempdir().unwrap(), Plain::new(3, 4));
        let cached = open(&plain, folder.path(), "rgb", "1");
        let (images, decoded) = read(&cached, &plain);
        assert_eq!(decoded, 6);
        assert_eq!(read(&cached, &plain), (images.clone(), 0));
        assert_eq!(read(&open(&plain, folder.path(), "rgb", "1"), &plain), (images.clone(), 0));
        assert_eq!(read(&open(&plain, folder.path(), "gray", "1"), &plain), (images.clone(), 6));
        // What is changed takes the place of what was.
        let files = || kept(folder.path()).unwrap().len();
        assert_eq!(files(), 12);
        assert_eq!(read(&open(&plain, folder.path(), "rgb", "2"), &plain), (images.clone(), 6));
        assert_eq!(files(), 12);
        assert_eq!(read(&open(&plain, folder.path(), "rgb", "1"), &plain), (images.clone(), 6));
        // Never kept.
        let without = open(&plain, folder.path(), "rgb", "");
        assert_eq!((read(&without, &plain).1, read(&without, &plain).1), (6, 6));
        assert_eq!(without.usage(), DiskUse { read: 0, decoded: 12, bytes: without.usage().bytes, stopped: None });
    }

    /// Every bit of an entry counts, and so does every byte that is missing or too many.
    #[test]
    fn broken_entries_are_decoded_again() {
        let (folder, plain) = (tempfile::tempdir().unwrap(), Plain::new(1, 2));
        let cached = open(&plain, folder.path(), "", "1");
        let image = cached.image(0).unwrap();
        let path = kept(folder.path()).unwrap().remove(0).path;
        let whole = fs::read(&path).unwrap();
        assert_eq!(whole.len(), HEADER + 12);
        let mut broken: Vec<Vec<u8>> = (0..whole.len()).map(|cut| whole[..cut].to_vec()).collect();
        broken.extend((0..whole.len() * 8).map(|bit| {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            flipped
        }));
        broken.extend([[&whole[..], b"x"].concat(), vec![0xFF; whole.len()]]);
        for bytes in broken {
            fs::write(&path, &bytes).unwrap();
            let before = plain.2.load(Ordering::Relaxed);
            assert_eq!(cached.image(0).unwrap(), image);
            assert_eq!(plain.2.load(Ordering::Relaxed) - before, 1);
            assert_eq!(fs::read(&path).unwrap(), whole);
        }
    }

    #[test]
    fn what_is_full_keeps_its_own_and_drops_what_others_left() {
        let (folder, plain) = (tempfile::tempdir().unwrap(), Plain::new(4, 256));
        // 196,608 bytes each: five fit into one MiB.
        let cached = open(&plain, folder.path(), "a", "1");
        let (images, _) = read(&cached, &plain);
        assert_eq!(read(&cached, &plain), (images.clone(), 3));
        let usage = cached.usage();
        assert!(usage.bytes <= 1 << 20 && usage.stopped.unwrap().contains("are full"));
        assert_eq!(kept(folder.path()).unwrap().len(), 5);
        fs::write(folder.path().join("notes.txt"), "not of a cache").unwrap();
        let other = open(&plain, folder.path(), "b", "1");
        assert_eq!((read(&other, &plain).1, read(&other, &plain).1), (8, 3));
        let found = kept(folder.path()).unwrap();
        assert!(found.len() == 5 && found.iter().all(|found| found.key == other.name));
        assert!(folder.path().join("notes.txt").exists());
        assert_eq!(read(&cached, &plain), (images, 8));
    }

    #[test]
    fn what_was_left_unfinished_is_removed_and_what_cannot_be_written_is_no_error() {
        let (folder, plain) = (tempfile::tempdir().unwrap(), Plain::new(1, 2));
        let first = open(&plain, folder.path(), "", "1");
        first.image(0).unwrap();
        let path = kept(folder.path()).unwrap().remove(0).path;
        let unfinished = path.with_file_name(".1-2");
        fs::write(&unfinished, "half").unwrap();
        let again = open(&plain, folder.path(), "", "1");
        assert!(!unfinished.exists() && path.exists());
        // A folder stands where the entry belongs.
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        again.image(0).unwrap();
        assert!(again.usage().stopped.unwrap().contains("cannot write"));
        let file = path.join("file");
        fs::write(&file, "").unwrap();
        let stamp = |_, _| None;
        assert!(DiskCached::open(plain, &file, 1, "", stamp).err().unwrap().to_string().contains("cannot read"));
    }

    #[test]
    fn stamps_of_files_tell_what_they_can() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&a, "1").unwrap();
        fs::write(&b, "1").unwrap();
        let first = DiskCached::file_stamp(&a).unwrap();
        assert_eq!(DiskCached::file_stamp(&a), Some(first.clone()));
        assert_ne!(DiskCached::file_stamp(&b), Some(first.clone()));
        fs::write(&a, "12").unwrap();
        assert_ne!(DiskCached::file_stamp(&a), Some(first.clone()));
        fs::write(&a, "1").unwrap();
        File::options().write(true).open(&a).unwrap().set_modified(UNIX_EPOCH).unwrap();
        assert_ne!(DiskCached::file_stamp(&a), Some(first));
        assert_eq!(DiskCached::file_stamp(&folder.path().join("c")), None);
    }
}

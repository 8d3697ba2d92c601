//! A run's folder: every file whole or not there.

mod scalars;
pub mod tensorboard;

pub use scalars::{Scalar, Scalars};

use crate::error::{Error, Result};
use std::io::Write;
use std::path::{Component, Path, PathBuf};

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct Run {
    folder: PathBuf,
}

impl Run {
    /// Makes a new folder, with those above it.
    ///
    /// # Errors
    /// A folder that already holds something: nothing is ever mixed into it or overwritten. [`Error::Io`] otherwise.
    pub fn create(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        let wrong = |source| Error::io("create", &folder, source);
        std::fs::create_dir_all(&folder).map_err(wrong)?;
        if std::fs::read_dir(&folder).map_err(wrong)?.next().is_some() {
            return Err(Error::Invalid(format!("'{}' is not empty; choose another folder", folder.display())));
        }
        Ok(Self { folder })
    }

    /// Takes a folder that is there.
    ///
    /// # Errors
    /// No such folder.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        match folder.is_dir() {
            true => Ok(Self { folder }),
            false => Err(Error::Invalid(format!("there is no run at '{}'", folder.display()))),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The place of a file, such as `fold0/oof.csv`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Whether the file is there.
    pub fn has(&self, name: &str) -> bool {
        self.path(name).is_file()
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// [`Error::Io`] names the file.
    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.path(name);
        std::fs::read(&path).map_err(|source| Error::io("read", &path, source))
    }

    /// Writes a file, whole or not at all: a crash leaves the old one or the new one. Makes the folders of `name`.
    ///
    /// # Errors
    /// A name that leads out of the folder; [`Error::Io`] names the file and says what to do about a full disk or one
    /// that cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        if name.is_empty() || !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(Error::Invalid(format!("'{name}' is no name inside of a run's folder")));
        }
        write_atomic(&self.path(name), bytes)
    }
}

/// Writes beside, syncs, renames, syncs the folder.
fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut builder = tempfile::Builder::new();
        // Others may read results: the file is as any new one, not private as temporary ones are.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        #[cfg(unix)]
        std::fs::File::open(folder)?.sync_all()?;
        Ok(())
    };
    write().map_err(|source| Error::io("write", path, source))
}

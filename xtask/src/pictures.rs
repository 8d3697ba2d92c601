//! Pictures that lie anywhere, without labels.

use anyhow::{Context, Result};
use data::decode::{Color, Decoded, decode};
use data::source::Reader;
use data::{Dataset, Image, Part, Row, Samples};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Pictures by path; each is read and decoded whenever it is asked for.
pub struct Pictures {
    rows: Vec<Row>,
    paths: Vec<PathBuf>,
    classes: Vec<String>,
    read: Reader,
}

impl Pictures {
    /// Pictures that `read` decodes, to be taken for one of `classes`.
    pub fn new(paths: Vec<PathBuf>, classes: Vec<String>, read: Reader) -> Self {
        let row = |path: &PathBuf| Row { id: path.display().to_string(), part: Part::Test, ..Row::default() };
        Self { rows: paths.iter().map(row).collect(), paths, classes, read }
    }

    /// The same where all pictures of a folder are one sample, called as the folder is.
    pub fn by_folder(mut self) -> data::Result<Samples> {
        for (row, path) in self.rows.iter_mut().zip(&self.paths) {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            row.sample = Some(folder.display().to_string());
        }
        Samples::gather(Arc::new(self))
    }
}

impl Dataset for Pictures {
    fn rows(&self) -> &[Row] {
        &self.rows
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn image(&self, index: usize) -> data::Result<Image> {
        Ok(file(&self.read, &self.paths[index])?.image)
    }
}

/// Decodes picture files as they are.
pub fn as_any(color: Color) -> Reader {
    Arc::new(move |name| {
        let bytes = std::fs::read(name).map_err(|source| data::Error::Read { path: name.into(), source })?;
        decode(name, &bytes, color)
    })
}

/// What `read` makes of a file.
pub fn file(read: &Reader, path: &Path) -> data::Result<Decoded> {
    let name = path.to_str().ok_or_else(|| {
        let why = "its name is no UTF-8; rename it".into();
        data::Error::Decode { name: path.display().to_string(), why }
    })?;
    read(name)
}

/// The files below `folder` whose name, in lower case, is `wanted`, in the order of their paths; hidden ones are left out.
pub fn below(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let mut found = vec![];
    enter(folder, wanted, &mut found, &mut BTreeSet::new())?;
    Ok(found)
}

/// `seen` are the folders entered so far, as links may lead in a circle.
fn enter(
    folder: &Path,
    wanted: &dyn Fn(&str) -> bool,
    found: &mut Vec<PathBuf>,
    seen: &mut BTreeSet<PathBuf>,
) -> Result<()> {
    let unreadable = || format!("cannot read the folder '{}'", folder.display());
    if !seen.insert(folder.canonicalize().with_context(unreadable)?) {
        return Ok(());
    }
    let entries = std::fs::read_dir(folder).with_context(unreadable)?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>().with_context(unreadable)?;
    paths.sort();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        match path.is_dir() {
            _ if name.starts_with('.') => {}
            true => enter(&path, wanted, found, seen)?,
            false if wanted(&name) => found.push(path),
            false => {}
        }
    }
    Ok(())
}

//! A CSV table in memory, as text.

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// Header and rows of a `.csv` or `.tsv` file; every row has a cell for every column.
#[derive(Clone, Debug)]
pub struct Table {
    /// The file.
    pub path: PathBuf,
    /// Column names.
    pub header: Vec<String>,
    /// Line number in the file and cells.
    pub rows: Vec<(u64, Vec<String>)>,
}

impl Table {
    /// Reads a table; the separator (comma, tab, semicolon or bar) is the one most frequent in the header.
    ///
    /// # Errors
    /// [`Error::Read`], or [`Error::Table`] naming the line: no header, a column twice, a row of another length.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.into(), source })?;
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
        let first = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
        let count = |separator: u8| first.iter().filter(|b| **b == separator).count();
        let separator = [b'|', b';', b'\t', b','].into_iter().max_by_key(|s| count(*s)).unwrap_or(b',');
        let broken = |why: String| Error::Table { path: path.into(), why };
        let mut reader = csv::ReaderBuilder::new().delimiter(separator).trim(csv::Trim::All).from_reader(bytes);
        let header: Vec<String> =
            reader.headers().map_err(|e| broken(e.to_string()))?.iter().map(str::to_string).collect();
        if header.iter().all(String::is_empty) {
            return Err(broken("it is empty; expected a header line".into()));
        }
        if let Some(twice) = header.iter().enumerate().find(|(i, name)| header[..*i].contains(name)) {
            return Err(broken(format!("column '{}' stands in the header twice", twice.1)));
        }
        let mut rows = vec![];
        for record in reader.records() {
            let record = record.map_err(|e| broken(e.to_string()))?;
            let line = record.position().map_or(0, csv::Position::line);
            rows.push((line, record.iter().map(str::to_string).collect()));
        }
        Ok(Self { path: path.into(), header, rows })
    }

    /// Index of column `name`, which a source's `parameter` asks for.
    ///
    /// # Errors
    /// [`Error::Column`] lists the columns there are.
    pub fn column(&self, parameter: &'static str, name: &str) -> Result<usize> {
        self.header.iter().position(|h| h == name).ok_or_else(|| Error::Column {
            path: self.path.clone(),
            parameter,
            name: name.into(),
            known: self.header.join(", "),
        })
    }

    /// An error about this table.
    pub fn wrong(&self, why: String) -> Error {
        Error::Table { path: self.path.clone(), why }
    }
}

/// Whether a cell says that its value is missing, as pandas reads it.
pub fn is_missing(cell: &str) -> bool {
    ["", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "<NA>", "n/a", "#N/A"].contains(&cell)
}

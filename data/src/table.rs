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
    /// All cells, one behind the other: a million rows are a few large allocations.
    text: String,
    /// Where each cell ends in `text`.
    ends: Vec<usize>,
    /// Line number of each row in the file.
    lines: Vec<u64>,
}

/// A row of a [`Table`].
#[derive(Clone, Copy, Debug)]
pub struct Cells<'a> {
    /// Its line in the file.
    pub line: u64,
    table: &'a Table,
    first: usize,
}

impl<'a> Cells<'a> {
    /// The cell of column `column`, where there is one.
    pub fn get(&self, column: usize) -> Option<&'a str> {
        (column < self.table.header.len()).then(|| self.table.cell(self.first + column))
    }
}

impl std::ops::Index<usize> for Cells<'_> {
    type Output = str;

    fn index(&self, column: usize) -> &str {
        self.table.cell(self.first + column)
    }
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
        let mut table = Self { path: path.into(), header, text: String::new(), ends: vec![], lines: vec![] };
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(|e| broken(e.to_string()))? {
            table.lines.push(record.position().map_or(0, csv::Position::line));
            for cell in &record {
                table.text.push_str(cell);
                table.ends.push(table.text.len());
            }
        }
        Ok(table)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is only a header.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Row `row`.
    ///
    /// # Panics
    /// When there is none.
    pub fn row(&self, row: usize) -> Cells<'_> {
        Cells { line: self.lines[row], table: self, first: row * self.header.len() }
    }

    /// All rows.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Cells<'_>> {
        (0..self.len()).map(|row| self.row(row))
    }

    /// With a last column called `pattern`, such as `{experiment}_{well}`, that holds it with the cells of the columns named in
    /// braces; without it where it names columns that there are not.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a brace is not closed.
    pub fn composed(self, pattern: &str) -> Result<Self> {
        let unclosed = || Error::Invalid(format!("the pattern '{pattern}' has a brace that is not closed"));
        let (first, rest) = pattern.split_once('{').ok_or_else(unclosed)?;
        let mut parts = vec![];
        for part in rest.split('{') {
            let (name, text) = part.split_once('}').ok_or_else(unclosed)?;
            let Some(column) = self.header.iter().position(|h| h == name) else { return Ok(self) };
            parts.push((column, text));
        }
        let (header, lines, path) = (self.header.clone(), self.lines.clone(), self.path.clone());
        let mut table = Self { header, lines, path, text: String::new(), ends: vec![] };
        table.header.push(pattern.into());
        for row in self.rows() {
            for column in 0..self.header.len() {
                table.text.push_str(&row[column]);
                table.ends.push(table.text.len());
            }
            table.text.push_str(first);
            for (column, text) in &parts {
                table.text.push_str(&row[*column]);
                table.text.push_str(text);
            }
            table.ends.push(table.text.len());
        }
        Ok(table)
    }

    fn cell(&self, cell: usize) -> &str {
        let start = cell.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[cell]]
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

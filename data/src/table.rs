//! A CSV table in memory, as text.

use crate::error::{Error, Result};
use csv::{ErrorKind, StringRecord};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Longest row, bytes: a picture of a thousand pixels to each side in numbers.
const LONGEST: u64 = 1 << 26;
/// Most columns of a table, which are compared with each other.
const MOST_COLUMNS: usize = 1 << 15;
/// What is looked at to tell how a table is written, bytes.
const LOOKED: u64 = 1 << 16;
/// What a file in UTF-16 starts with.
const UTF_16: [&[u8]; 2] = [b"\xFF\xFE", b"\xFE\xFF"];

/// Rows of a `.csv` or `.tsv` file one after the other, in the memory of the longest. What stands at the start that says it is
/// UTF-8 is skipped; lines may end in any way.
pub(crate) struct Lines {
    pub path: PathBuf,
    /// Between cells: comma, tab, semicolon or bar, the one most frequent in the first line.
    pub separator: u8,
    /// Where the first row begins in the file.
    start: u64,
    reader: csv::Reader<Limited>,
    /// Bytes that were read for the row.
    taken: Rc<Cell<u64>>,
    record: StringRecord,
}

/// A row as it stands in the file.
pub(crate) struct Line<'a> {
    /// Counted from 1.
    pub number: u64,
    /// Where it begins, bytes; an end of the line before it may stand there.
    pub offset: u64,
    /// Without blanks around them.
    pub cells: &'a StringRecord,
}

/// Fails when a row is too long, as one with a stray quote is. Every line ends with `\n` alone, and the last one does, so that
/// lines can be counted; no byte moves.
struct Limited {
    inner: File,
    taken: Rc<Cell<u64>>,
    /// What stands for `\r`: a blank before `\n`, or `\n` where that alone ends lines.
    instead: u8,
    /// The last byte that was read; none behind the end.
    last: Option<u8>,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        buffer[..count].iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = self.instead);
        self.taken.set(self.taken.get() + count as u64);
        if self.taken.get() > LONGEST {
            return Err(io::Error::other("a row is longer than the 64 MiB allowed; is there a quote too many?"));
        }
        match (buffer[..count].last(), self.last) {
            (Some(&last), _) => self.last = Some(last),
            (None, Some(last)) if last != b'\n' && !buffer.is_empty() => {
                (buffer[0], self.last) = (b'\n', None);
                return Ok(1);
            }
            _ => {}
        }
        Ok(count)
    }
}

impl Lines {
    /// Opens a table.
    ///
    /// # Errors
    /// [`Error::Read`], or [`Error::Table`] for another encoding than UTF-8.
    pub fn open(path: &Path) -> Result<Self> {
        let unreadable = |source| Error::Read { path: path.into(), source };
        let wrong = |why: String| Err(Error::Table { path: path.into(), why });
        let mut file = File::open(path).map_err(unreadable)?;
        let mut first = vec![];
        (&mut file).take(LOOKED).read_to_end(&mut first).map_err(unreadable)?;
        if UTF_16.iter().any(|mark| first.starts_with(mark)) {
            return wrong("it is written in UTF-16; save it as UTF-8".into());
        }
        if first.contains(&0) {
            return wrong("it holds bytes of value 0, as no table in UTF-8 does; save it as UTF-8".into());
        }
        let start = if first.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
        let line = first[start..].split(|b| matches!(b, b'\n' | b'\r')).find(|line| !line.is_empty());
        let count = |separator: u8| line.unwrap_or_default().iter().filter(|b| **b == separator).count();
        let separator = [b'|', b';', b'\t', b','].into_iter().max_by_key(|s| count(*s)).unwrap_or(b',');
        let start = start as u64;
        file.seek(SeekFrom::Start(start)).map_err(unreadable)?;
        let taken = Rc::new(Cell::new(0));
        let instead = if first.contains(&b'\n') { b' ' } else { b'\n' };
        let limited = Limited { inner: file, taken: taken.clone(), instead, last: None };
        let reader = builder(separator).from_reader(limited);
        Ok(Self { path: path.into(), separator, start, reader, taken, record: StringRecord::new() })
    }

    /// The next row, of any length.
    ///
    /// # Errors
    /// [`Error::Table`] naming the line.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>> {
        loop {
            self.taken.set(0);
            let (offset, before) = (self.start + self.reader.position().byte(), self.reader.position().line());
            let found = self.reader.read_record(&mut self.record);
            // Behind a row its end was counted; its cells may have lines of their own.
            let behind = self.reader.position().line();
            let number = |inside: usize| behind.saturating_sub(1 + inside as u64).max(1);
            match found {
                Ok(false) => return Ok(None),
                // A line of blanks.
                Ok(true) if self.record.len() == 1 && self.record[0].is_empty() => {}
                Ok(true) => {
                    let inside = self.record.as_slice().bytes().filter(|byte| *byte == b'\n').count();
                    return Ok(Some(Line { number: number(inside), offset, cells: &self.record }));
                }
                Err(error) => {
                    let line = if error.is_io_error() { before } else { number(0) };
                    return Err(Error::Table { path: self.path.clone(), why: reason(&error, line) });
                }
            }
        }
    }
}

/// What is wrong with the row that begins on `line`.
fn reason(error: &csv::Error, line: u64) -> String {
    match error.kind() {
        ErrorKind::Utf8 { err, .. } => {
            let cell = err.field() + 1;
            format!("line {line}: cell {cell} is no valid UTF-8; save the table as UTF-8 (it may be Latin-1)")
        }
        ErrorKind::Io(error) => format!("line {line} or one behind it: {error}"),
        _ => error.to_string(),
    }
}

/// How all tables are read.
fn builder(separator: u8) -> csv::ReaderBuilder {
    let mut builder = csv::ReaderBuilder::new();
    builder.delimiter(separator).trim(csv::Trim::All).has_headers(false).flexible(true);
    builder
}

/// The cells of one row, whose bytes were found by [`Lines`].
///
/// # Errors
/// What is wrong with them.
pub(crate) fn cells(bytes: &[u8], separator: u8) -> Result<StringRecord, String> {
    let mut record = StringRecord::new();
    builder(separator).from_reader(bytes).read_record(&mut record).map_err(|error| reason(&error, 1))?;
    Ok(record)
}

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
    /// [`Error::Read`], or [`Error::Table`] naming the line: no header, a column twice, a row of another length, another
    /// encoding than UTF-8.
    pub fn read(path: &Path) -> Result<Self> {
        Self::head(path, usize::MAX)
    }

    /// As [`Table::read`], but of the first `most` rows alone.
    pub(crate) fn head(path: &Path, most: usize) -> Result<Self> {
        let mut lines = Lines::open(path)?;
        let header: Vec<String> =
            lines.next_line()?.into_iter().flat_map(|l| l.cells.iter().map(str::to_string)).collect();
        let mut table = Self { path: path.into(), header, text: String::new(), ends: vec![], lines: vec![] };
        let header = &table.header;
        if header.iter().all(String::is_empty) {
            return Err(table.wrong("it is empty; expected a header line".into()));
        }
        if header.len() > MOST_COLUMNS {
            let (count, first) = (header.len(), header.first().map_or("", String::as_str));
            return Err(
                table.wrong(format!("it has {count} columns from '{first}', more than the {MOST_COLUMNS} allowed"))
            );
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = header.iter().find(|name| !seen.insert(*name)) {
            return Err(table.wrong(format!("column '{twice}' stands in the header twice")));
        }
        while table.len() < most
            && let Some(line) = lines.next_line()?
        {
            let (number, found, wanted) = (line.number, line.cells.len(), table.header.len());
            if found != wanted {
                return Err(table.wrong(format!("line {number} has {found} cells, but the header {wanted}")));
            }
            table.lines.push(number);
            for cell in line.cells {
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

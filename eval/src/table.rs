//! CSV as rows of text.

use crate::error::{Error, Result};
use csv::{ErrorKind, ReaderBuilder, StringRecord, WriterBuilder};

/// A header and rows of the same length.
pub(crate) struct Table {
    pub header: StringRecord,
    /// With the line that each begins on, 1-based.
    pub rows: Vec<(u64, StringRecord)>,
}

impl Table {
    /// Cells are separated by commas.
    pub fn parse(text: &str) -> Result<Self> {
        Self::separated(text, b',')
    }

    /// Cells are separated by `separator`.
    pub fn separated(text: &str, separator: u8) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = ReaderBuilder::new().delimiter(separator).from_reader(text.as_bytes());
        let header = reader.headers().map_err(wrong)?.clone();
        let row = |record: StringRecord| (record.position().map_or(0, |at| at.line()), record);
        let rows = reader.into_records().map(|record| Ok(row(record.map_err(wrong)?))).collect::<Result<_>>()?;
        Ok(Self { header, rows })
    }
}

/// What the cells of a table stand between: comma, semicolon or tab, whichever is most frequent in the header outside of
/// quotes.
pub(crate) fn separator(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    let bare: String = header.split('"').step_by(2).collect();
    let count = |separator: u8| bare.bytes().filter(|byte| *byte == separator).count();
    [b'\t', b';', b','].into_iter().max_by_key(|separator| count(*separator)).unwrap_or(b',')
}

fn wrong(error: csv::Error) -> Error {
    let line = error.position().map_or(1, |at| at.line());
    let why = match error.kind() {
        ErrorKind::UnequalLengths { expected_len, len, .. } => format!("it has {len} cells, the header {expected_len}"),
        _ => error.to_string(),
    };
    Error::Csv { line, why }
}

/// The bytes of a table; cells with commas, quotes or line breaks are quoted, all others left as they are.
pub(crate) fn encode<R: AsRef<[String]>>(rows: impl IntoIterator<Item = R>) -> Result<Vec<u8>> {
    encode_separated(rows, b',')
}

/// The same with another separator.
pub(crate) fn encode_separated<R: AsRef<[String]>>(
    rows: impl IntoIterator<Item = R>,
    separator: u8,
) -> Result<Vec<u8>> {
    let mut writer = WriterBuilder::new().delimiter(separator).from_writer(vec![]);
    for row in rows {
        writer.write_record(row.as_ref()).map_err(wrong)?;
    }
    writer.into_inner().map_err(|error| wrong(error.into_error().into()))
}

/// The first name that occurs twice.
pub(crate) fn repeated<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = std::collections::HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

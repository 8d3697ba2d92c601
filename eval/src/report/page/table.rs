//! Which columns of a table hold numbers.

use super::Table;
use crate::report::clean::line;
use minijinja::{Value, context};

const NUMBER: &str = "number";
/// Bytes of a text that needs a wide column.
const LONG: usize = 32;

/// The table as its template reads it, nothing if it has no cell; short rows are filled up with empty cells.
pub(super) fn view(table: &Table) -> Option<Value> {
    let width = table.rows.iter().map(Vec::len).max().filter(|width| *width > 0)?.max(table.columns.len());
    let classes: Vec<&str> = (0..width).map(|column| class(table, column)).collect();
    let row = |row: &Vec<String>| -> Vec<Value> {
        let cell = |(column, class): (usize, &&str)| {
            let text = row.get(column).map(|text| line(text)).unwrap_or_default();
            let names = column == 0 && *class != NUMBER && !text.is_empty();
            context!(text, names, class => *class)
        };
        classes.iter().enumerate().map(cell).collect()
    };
    let head = if table.columns.is_empty() { vec![] } else { row(&table.columns) };
    Some(context!(kind => "table", head, rows => table.rows.iter().map(row).collect::<Vec<_>>()))
}

/// How the style sheet calls a column of such cells.
fn class(table: &Table, column: usize) -> &'static str {
    let mut cells = table.rows.iter().filter_map(|row| row.get(column));
    if cells.clone().all(|cell| is_number(cell)) {
        NUMBER
    } else if cells.any(|cell| cell.len() > LONG) {
        "long"
    } else {
        ""
    }
}

/// Whether a cell is a number, a percentage, an interval, several of these, a dash or empty.
fn is_number(cell: &str) -> bool {
    let cell = cell.replace(" to ", " ").replace('\u{2212}', "-");
    let between = |c: char| {
        c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | ',' | ';' | '/' | '–' | '—' | '±' | '×' | '%')
    };
    cell.split(between).all(|part| {
        part.is_empty() || part == "-" || part.contains(|c: char| c.is_ascii_digit()) && part.parse::<f64>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_their_signs_are_numbers() {
        let numbers = ["0.5", "-3", "\u{2212}3", "+1e-5", "12,345", "12 345", "87.8 %", "87.8%", "", "-", "–", "—"];
        let intervals =
            ["0.85 to 0.9", "[0.85, 0.9]", "0.85–0.9", "0.88 ± 0.02", "0.88 (0.85 to 0.9)", "64 × 63", "3/5"];
        for cell in numbers.iter().chain(&intervals) {
            assert!(is_number(cell), "{cell}");
        }
        for cell in ["oak", "1.2.3", "12 px", "nan", "inf", "infinity", "5 oaks", "a-b", "2024-01-02", "0x1f", "x 3"] {
            assert!(!is_number(cell), "{cell}");
        }
    }

    #[test]
    fn a_table_without_cells_is_none() {
        let table = |rows: &[&[&str]]| Table {
            columns: vec!["a".into(), "b".into()],
            rows: rows.iter().map(|row| row.iter().map(|cell| cell.to_string()).collect()).collect(),
        };
        assert!(view(&table(&[])).is_none() && view(&table(&[&[], &[]])).is_none());
        assert!(view(&table(&[&[], &["1", "2", "3"]])).is_some());
    }
}

//! What was decided of single rows, and why: a table that is written, read, edited and applied again.

use crate::error::{Error, Result};
use crate::table::Table;
use std::collections::BTreeMap;
use std::path::Path;

/// What happens to a row. The data set itself is never changed, so that whatever is decided can be undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is left out.
    Exclude,
    /// It stays, though it is a copy, contradicts one or is on the list of those to leave out.
    Keep,
    /// It has another label, by its name in the data set; of several labels, all it has, separated by `|`.
    Relabel(String),
    /// It has another group.
    Group(String),
}

/// A line of a table of decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Of a row of the training or validation part.
    pub id: String,
    /// What.
    pub decision: Decision,
    /// Why.
    pub reason: String,
}

const HEADER: [&str; 4] = ["id", "decision", "value", "reason"];

/// Reads a table with the columns `id`, `decision`, `value` and `reason`; a decision is `exclude`, `keep`, `relabel` or `group`, the
/// last two with a value.
///
/// # Errors
/// [`Error::Read`], or [`Error::Table`] naming the line.
pub fn read(path: &Path) -> Result<Vec<Decided>> {
    let table = Table::read(path)?;
    let place = |name: &str| {
        let known = table.header.join(", ");
        let why = || format!("it has no column '{name}' but {known}; decisions have the columns {}", HEADER.join(", "));
        table.header.iter().position(|h| h == name).ok_or_else(|| table.wrong(why()))
    };
    let places = HEADER.iter().map(|name| place(name)).collect::<Result<Vec<_>>>()?;
    let mut decided = vec![];
    for cells in table.rows() {
        let line = cells.line;
        let [id, decision, value, reason] = [0, 1, 2, 3].map(|i| cells[places[i]].to_string());
        let wrong = |why: &str| Err(table.wrong(format!("line {line}: {why}")));
        let decision = match (&decision[..], value.is_empty()) {
            ("exclude", true) => Decision::Exclude,
            ("keep", true) => Decision::Keep,
            ("relabel", false) => Decision::Relabel(value),
            ("group", false) => Decision::Group(value),
            (name @ ("exclude" | "keep"), false) => {
                return wrong(&format!("'{name}' has no value, but '{value}' is one"));
            }
            (name @ ("relabel" | "group"), true) => return wrong(&format!("'{name}' needs a value")),
            (other, _) => {
                return wrong(&format!("unknown decision '{other}', expected one of exclude, keep, relabel, group"));
            }
        };
        decided.push(Decided { id, decision, reason });
    }
    check(&decided).map_err(|why| table.wrong(why))?;
    Ok(decided)
}

/// The table of `decided`, as [`read`] reads it.
///
/// # Errors
/// [`Error::Invalid`] when memory fails the writer.
pub fn write(decided: &[Decided]) -> Result<Vec<u8>> {
    let failed = |error: String| Error::Invalid(format!("decisions cannot be written: {error}"));
    let mut out = csv::Writer::from_writer(vec![]);
    out.write_record(HEADER).map_err(|error| failed(error.to_string()))?;
    for Decided { id, decision, reason } in decided {
        let (name, value) = match decision {
            Decision::Exclude => ("exclude", ""),
            Decision::Keep => ("keep", ""),
            Decision::Relabel(label) => ("relabel", &label[..]),
            Decision::Group(group) => ("group", &group[..]),
        };
        out.write_record([id, name, value, reason]).map_err(|error| failed(error.to_string()))?;
    }
    out.into_inner().map_err(|error| failed(error.to_string()))
}

/// Refuses two decisions of one kind on a row, and one that is to stay and to go.
fn check(decided: &[Decided]) -> Result<(), String> {
    let mut seen = BTreeMap::<(&str, u8), &Decided>::new();
    for one in decided {
        let kind = match one.decision {
            Decision::Exclude | Decision::Keep => 0,
            Decision::Relabel(_) => 1,
            Decision::Group(_) => 2,
        };
        if let Some(other) = seen.insert((&one.id, kind), one) {
            let what = if one.decision == other.decision { "stands there twice" } else { "contradicts itself" };
            return Err(format!("the decision on '{}' {what}; leave one line of it", one.id));
        }
    }
    Ok(())
}

//! Predictions as CSV: `id`, one probability column per class, `target`. The place of a column says what it is, so that
//! classes may have any name, even `id` or `target`. A target is the name of the class, or K values in the order of the
//! classes with `|` between them, nothing where a value is not known.

use super::{Predictions, Truth, wrong};
use crate::error::{Error, Result};
use crate::table::{Table, encode, repeated};

const TARGET: &str = "target";
const BETWEEN: &str = "|";

impl Predictions {
    /// The table: a header with the classes' names, a row per sample, what is right last if it is known: the name of the class, or
    /// the values as `0|1|0`.
    ///
    /// Numbers are as short as they can be read back exactly.
    ///
    /// # Errors
    /// Lengths that do not fit, and class names that are empty or occur twice.
    pub fn to_csv(&self) -> Result<Vec<u8>> {
        self.check()?;
        check_names(self.classes.iter().map(String::as_str))?;
        let known = |value: &f32| if value.is_nan() { String::new() } else { value.to_string() };
        let truth = |i: usize| match &self.truth {
            Some(Truth::Class(ids)) => self.classes[ids[i] as usize].clone(),
            Some(Truth::Dense(values)) => {
                let classes = self.classes.len();
                values[i * classes..(i + 1) * classes].iter().map(known).collect::<Vec<_>>().join(BETWEEN)
            }
            None => String::new(),
        };
        // A last class called `target` must not be taken for the truth: an empty column stands behind it.
        let with_target = self.truth.is_some() || self.classes.last().is_some_and(|name| name == TARGET);
        let row = |i: usize| {
            let mut row = vec![self.ids[i].clone()];
            row.extend(self.row(i).iter().map(f32::to_string));
            if with_target {
                row.push(truth(i));
            }
            row
        };
        let mut header = vec!["id".to_string()];
        header.extend(self.classes.iter().cloned());
        header.extend(with_target.then(|| TARGET.to_string()));
        encode(std::iter::once(header).chain((0..self.len()).map(row)))
    }

    /// Reads what [`Predictions::to_csv`] wrote. A last column `target` is the truth, unless all its cells are empty; values are
    /// read only where not all cells are names of classes.
    ///
    /// # Errors
    /// Names the line and the column: rows of unequal length, scores that are no finite numbers, targets that are neither a
    /// class nor K values, classes that occur twice.
    pub fn from_csv(text: &str) -> Result<Self> {
        let table = Table::parse(text)?;
        let mut names: Vec<&str> = table.header.iter().skip(1).collect();
        let with_target = names.last() == Some(&TARGET);
        if with_target {
            names.pop();
        }
        if names.is_empty() {
            return Err(Error::Csv { line: 1, why: "predictions need a column of ids and one per class".into() });
        }
        check_names(names.iter().copied()).map_err(|error| Error::Csv { line: 1, why: error.to_string() })?;
        let mut all = Self { classes: names.iter().map(|name| name.to_string()).collect(), ..Self::default() };
        let mut targets = vec![];
        let bad = |line: u64, column: &str, cell: &str, what: &str| Error::Csv {
            line,
            why: format!("column '{column}' holds '{cell}', which is {what}"),
        };
        for (line, row) in &table.rows {
            all.ids.push(row.get(0).unwrap_or_default().to_string());
            for (name, cell) in names.iter().zip(row.iter().skip(1)) {
                let score = cell.parse().ok().filter(|score: &f32| score.is_finite());
                all.scores.push(score.ok_or_else(|| bad(*line, name, cell, "no finite number"))?);
            }
            targets.push(row.get(1 + names.len()).unwrap_or_default());
        }
        if targets.iter().any(|cell| !cell.is_empty()) {
            let class = |cell: &str| names.iter().position(|name| *name == cell).map(|class| class as u32);
            let classes: Option<Vec<u32>> = targets.iter().map(|cell| class(cell)).collect();
            let values: Option<Vec<Vec<f32>>> = targets.iter().map(|cell| dense(cell, names.len())).collect();
            all.truth = Some(match (classes, values) {
                (Some(classes), _) => Truth::Class(classes),
                (None, Some(values)) => Truth::Dense(values.concat()),
                (None, None) => {
                    let named = targets.iter().any(|cell| class(cell).is_some());
                    let is_wrong =
                        |cell: &str| if named { class(cell).is_none() } else { dense(cell, names.len()).is_none() };
                    let lines = table.rows.iter().map(|(line, _)| *line);
                    let (line, cell) = lines.zip(targets).find(|(_, cell)| is_wrong(cell)).unwrap_or_default();
                    let what = match cell {
                        "" => "no class",
                        cell if cell.contains(BETWEEN) => "neither a class nor a value of each",
                        _ => "none of the classes",
                    };
                    return Err(bad(line, TARGET, cell, what));
                }
            });
        }
        Ok(all)
    }
}

/// K values, NaN where nothing stands.
fn dense(cell: &str, classes: usize) -> Option<Vec<f32>> {
    let value = |cell: &str| match cell {
        "" => Some(f32::NAN),
        cell => cell.parse().ok().filter(|value: &f32| value.is_finite()),
    };
    let values: Vec<f32> = cell.split(BETWEEN).map(value).collect::<Option<_>>()?;
    (values.len() == classes).then_some(values)
}

fn check_names<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Result<()> {
    if let Some(i) = names.clone().position(str::is_empty) {
        return wrong(format!("class {i} has no name"));
    }
    match repeated(names) {
        Some(name) => wrong(format!("there are two classes called '{name}'")),
        None => Ok(()),
    }
}

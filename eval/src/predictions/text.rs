//! Predictions as CSV: `id`, one probability column per class, `target`. The place of a column says what it is, so that
//! classes may have any name, even `id` or `target`.

use super::{Predictions, Truth, wrong};
use crate::error::{Error, Result};
use crate::table::{Table, encode, repeated};

const TARGET: &str = "target";

impl Predictions {
    /// The table: a header with the classes' names, a row per sample, the name of the true class last if it is known.
    ///
    /// Numbers are as short as they can be read back exactly. A truth of rows of values has no place in this form and
    /// is left out.
    ///
    /// # Errors
    /// Lengths that do not fit, and class names that are empty or occur twice.
    pub fn to_csv(&self) -> Result<Vec<u8>> {
        self.check()?;
        check_names(self.classes.iter().map(String::as_str))?;
        let truth = match &self.truth {
            Some(Truth::Class(ids)) => Some(ids),
            _ => None,
        };
        // A last class called `target` must not be taken for the truth: an empty column stands behind it.
        let with_target = truth.is_some() || self.classes.last().is_some_and(|name| name == TARGET);
        let row = |i: usize| {
            let mut row = vec![self.ids[i].clone()];
            row.extend(self.row(i).iter().map(f32::to_string));
            if with_target {
                row.push(truth.map(|ids| self.classes[ids[i] as usize].clone()).unwrap_or_default());
            }
            row
        };
        let mut header = vec!["id".to_string()];
        header.extend(self.classes.iter().cloned());
        header.extend(with_target.then(|| TARGET.to_string()));
        encode(std::iter::once(header).chain((0..self.len()).map(row)))
    }

    /// Reads what [`Predictions::to_csv`] wrote. A last column `target` is the truth, unless all its cells are empty.
    ///
    /// # Errors
    /// Names the line and the column: rows of unequal length, scores that are no finite numbers, targets that are no
    /// class, classes that occur twice.
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
            let cell = row.get(1 + names.len()).unwrap_or_default();
            let class = names.iter().position(|name| *name == cell).map(|class| class as u32);
            if class.is_none() && !cell.is_empty() {
                return Err(bad(*line, TARGET, cell, "none of the classes"));
            }
            targets.push(class);
        }
        if targets.iter().any(Option::is_some) {
            let lines = table.rows.iter().map(|(line, _)| *line);
            let known = |(class, line): (Option<u32>, u64)| class.ok_or_else(|| bad(line, TARGET, "", "no class"));
            all.truth = Some(Truth::Class(targets.into_iter().zip(lines).map(known).collect::<Result<_>>()?));
        }
        Ok(all)
    }
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

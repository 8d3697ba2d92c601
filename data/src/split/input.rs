//! What a scheme sees of the rows.

use crate::error::{Error, Result};
use crate::key::column;
use crate::row::{Column, Row, Target};
use crate::similar::clusters;
use std::collections::BTreeMap;

/// Labelled rows and what ties them together.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The rows to split.
    pub rows: &'a [&'a Row],
    /// Of each row: rows of one key stay together ([`Cleaned::split_keys`](crate::clean::Cleaned::split_keys)), as rows of one
    /// group do; `None`: it is on its own.
    pub keys: &'a [Option<String>],
    /// The columns of [`Row::meta`].
    pub columns: &'a [Column],
    /// Names of the classes.
    pub classes: &'a [String],
}

/// What is to be spread evenly: a number for each row, and what the numbers mean.
pub(super) struct Strata {
    pub of: Vec<u32>,
    pub names: Vec<String>,
}

impl Input<'_> {
    pub(super) fn check(&self) -> Result<()> {
        match (self.rows.len(), self.keys.len()) {
            (rows, keys) if rows == keys => Ok(()),
            (rows, keys) => Err(Error::Invalid(format!("{rows} rows cannot be split by {keys} keys"))),
        }
    }

    /// The keys, which rows of one group share, too. Those to which groups add nothing stay as they are.
    pub(super) fn tied(&self) -> Vec<Option<String>> {
        let groups: Vec<Option<String>> = self.rows.iter().map(|row| row.group.clone()).collect();
        let mut keys = self.keys.to_vec();
        keys.resize(groups.len(), None);
        let shared = bundles(&keys).into_iter().chain(bundles(&groups)).filter(|rows| rows.len() > 1);
        for rows in clusters(groups.len(), shared) {
            let first = |names: &[Option<String>]| rows.iter().filter_map(|&i| names[i].clone()).min();
            let name = first(&keys).or_else(|| first(&groups));
            rows.iter().for_each(|&i| keys[i].clone_from(&name));
        }
        keys
    }

    /// Makes sure that there are as many rows as folds.
    pub(super) fn enough(&self, folds: usize) -> Result<()> {
        match self.rows.len() {
            rows if rows >= folds => Ok(()),
            rows => Err(Error::Invalid(format!("{rows} rows cannot be split into {folds} folds; use fewer folds"))),
        }
    }

    /// Makes sure that some rows have a group.
    pub(super) fn grouped(&self, scheme: &str) -> Result<()> {
        match self.rows.iter().any(|row| row.group.is_some()) {
            true => Ok(()),
            false => Err(Error::Invalid(format!(
                "split '{scheme}': no row has a group; say which column it is (data.group), or use another split"
            ))),
        }
    }

    /// Rows that stay together: those of each key in the order of the keys, then each of the others on its own.
    pub(super) fn bundles(&self) -> Vec<Vec<usize>> {
        bundles(self.keys)
    }

    /// The values of column `name`, NaN where missing, and the column.
    pub(super) fn column(&self, scheme: &str, name: &str) -> Result<(Vec<f32>, &Column)> {
        let unknown = |error| Error::Invalid(format!("split '{scheme}': {error}"));
        let (index, column) = column(name, self.columns).map_err(unknown)?;
        let value = |row: &&Row| row.meta.get(index).copied().filter(|v| v.is_finite()).unwrap_or(f32::NAN);
        Ok((self.rows.iter().map(value).collect(), column))
    }

    /// Strata of the targets: their classes, for soft labels the likeliest, for one number `bins` ranges of it, fewer where they
    /// would have less than `least` rows; or of column `by`. Rows where that is not known are a stratum of their own, the last.
    /// Several labels or numbers are an error.
    pub(super) fn strata(&self, scheme: &str, by: Option<&str>, bins: usize, least: usize) -> Result<Strata> {
        if let Some(by) = by {
            let (values, column) = self.column(scheme, by)?;
            return Ok(match column.categories.is_empty() {
                true => ranges(&values, bins, least),
                false => named(values.iter().map(|v| (!v.is_nan()).then_some(*v as u32)), &column.categories),
            });
        }
        if let Some(row) = self.rows.iter().find(|row| says_several(row)) {
            return Err(Error::Invalid(format!(
                "split '{scheme}': row '{}' has several labels or numbers, none of which is its class; use 'multi_label' for labels, \
                 'k_fold', or say with `by` which column is to be spread evenly",
                row.id
            )));
        }
        let number = |row: &&Row| match &row.target {
            Some(Target::Dense(values)) if values.len() == 1 => Some(values[0]),
            None => Some(f32::NAN),
            _ => None,
        };
        match self.rows.iter().map(number).collect::<Option<Vec<f32>>>() {
            Some(values) => Ok(ranges(&values, bins, least)),
            None => Ok(named(self.rows.iter().map(|row| row.likeliest()), self.classes)),
        }
    }
}

/// Whether a target is of several values that are no shares of one whole.
fn says_several(row: &Row) -> bool {
    match &row.target {
        Some(Target::Dense(values)) if values.len() > 1 => {
            let known = values.iter().filter(|value| !value.is_nan());
            known.clone().count() > 0 && (known.sum::<f32>() - 1.0).abs() > 1e-3
        }
        _ => false,
    }
}

/// Indices of one key, then those without one.
pub(super) fn bundles(keys: &[Option<String>]) -> Vec<Vec<usize>> {
    let (mut bundles, mut singles) = (BTreeMap::<&str, Vec<usize>>::new(), vec![]);
    for (i, key) in keys.iter().enumerate() {
        match key {
            Some(key) => bundles.entry(key).or_default().push(i),
            None => singles.push(vec![i]),
        }
    }
    bundles.into_values().chain(singles).collect()
}

fn named(of: impl Iterator<Item = Option<u32>>, names: &[String]) -> Strata {
    let of: Vec<u32> = of.map(|stratum| stratum.unwrap_or(names.len() as u32)).collect();
    // A class that nobody named has its number as a name.
    let count = of.iter().max().map_or(0, |largest| *largest as usize + 1).max(names.len());
    let name = |i: usize| match names.get(i) {
        Some(name) => name.clone(),
        None if i == names.len() => "unknown".into(),
        None => i.to_string(),
    };
    Strata { of, names: (0..count).map(name).collect() }
}

/// Each of few values; of many, ranges with equally many rows. What has less than `least` rows is one with its neighbor.
fn ranges(values: &[f32], bins: usize, least: usize) -> Strata {
    let mut known: Vec<f32> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    known.sort_by(f32::total_cmp);
    let mut starts = known.clone();
    starts.dedup();
    if starts.len() > bins {
        let bins = bins.min(known.len() / least.max(1)).max(1);
        starts = (0..bins).map(|bin| known[bin * known.len() / bins]).collect();
        starts.dedup();
    }
    let below = |start: f32| known.partition_point(|v| *v < start);
    let mut last = 0;
    starts.retain(|&start| {
        let is_first = below(start) == 0;
        let keeps = is_first || (below(start) - last >= least && known.len() - below(start) >= least);
        last = if keeps { below(start) } else { last };
        keeps
    });
    let of = values.iter().map(|v| match v.is_nan() {
        true => starts.len() as u32,
        false => starts.partition_point(|start| start <= v).saturating_sub(1) as u32,
    });
    let mut names: Vec<String> = starts.windows(2).map(|pair| format!("{} to {}", pair[0], pair[1])).collect();
    names.extend(starts.last().map(|last| format!("from {last}")));
    names.push("unknown".into());
    Strata { of: of.collect(), names }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[Row], by: Option<&str>, bins: usize) -> Strata {
        at_least(rows, by, bins, 1)
    }

    fn at_least(rows: &[Row], by: Option<&str>, bins: usize, least: usize) -> Strata {
        let columns = [Column { name: "site".into(), categories: vec!["arm".into(), "leg".into()] }];
        let rows: Vec<&Row> = rows.iter().collect();
        let keys = vec![None; rows.len()];
        let classes = ["cat".into(), "dog".into()];
        Input { rows: &rows, keys: &keys, columns: &columns, classes: &classes }.strata("x", by, bins, least).unwrap()
    }

    #[test]
    fn targets_of_all_kinds_become_strata() {
        let row = |values: &[f32], site| Row {
            target: Some(Target::Dense(values.to_vec())),
            meta: vec![site],
            ..Row::default()
        };
        let soft = [row(&[0.2, 0.8], 1.0), row(&[0.6, 0.4], f32::NAN), row(&[f32::NAN, f32::NAN], 0.0)];
        assert_eq!(of(&soft, None, 10).of, [1, 0, 2]);
        let sites = of(&soft, Some("site"), 10);
        assert_eq!(
            (&sites.of[..], &sites.names[..]),
            (&[1, 2, 0][..], &["arm", "leg", "unknown"].map(String::from)[..])
        );
        let grades: Vec<Row> = [3.0, 1.0, 1.0, 2.0, f32::NAN].iter().map(|v| row(&[*v], 0.0)).collect();
        assert_eq!(of(&grades, None, 10).of, [2, 0, 0, 1, 3]);
        let many: Vec<Row> = (0..100).map(|i| row(&[(i * 37 % 100) as f32], 0.0)).collect();
        let bins = of(&many, None, 4);
        assert!((0..4).all(|bin| bins.of.iter().filter(|b| **b == bin).count() == 25));
        assert_eq!(bins.names[1], "25 to 50");
        // Half of them equal: fewer ranges, none of them empty.
        let tied: Vec<Row> = (0..100).map(|i| row(&[if i < 50 { 0.0 } else { i as f32 }], 0.0)).collect();
        let tied = of(&tied, None, 4);
        assert_eq!((tied.names.len(), tied.of.iter().max()), (4, Some(&2)));
    }

    #[test]
    fn no_range_has_too_few_rows() {
        let row = |value: f32| Row { target: Some(Target::Dense(vec![value])), ..Row::default() };
        let counts = |values: &[f32], bins, least| {
            let strata = at_least(&values.iter().map(|v| row(*v)).collect::<Vec<_>>(), None, bins, least);
            let count = |stratum| strata.of.iter().filter(|of| **of == stratum).count();
            (0..strata.names.len() as u32 - 1).map(count).collect::<Vec<_>>()
        };
        let forty: Vec<f32> = (0..40).map(|i| i as f32).collect();
        assert_eq!(counts(&forty, 10, 5), [5; 8]);
        assert_eq!(counts(&forty, 10, 4), [4; 10]);
        // Few values of which some are rare, at either end and between.
        let grades = [0.0, 1.0, 1.0, 1.0, 1.0, 2.0, 3.0, 3.0, 3.0, 4.0];
        assert_eq!(counts(&grades, 10, 1), [1, 4, 1, 3, 1]);
        assert_eq!(counts(&grades, 10, 3), [5, 5]);
        assert_eq!(counts(&grades, 10, 20), [10]);
        let mut tied = vec![0.5; 30];
        tied.extend([0.1, 0.2, 0.7, 0.8, 0.9, 0.95]);
        assert!(counts(&tied, 5, 5).iter().all(|n| *n >= 5), "{:?}", counts(&tied, 5, 5));
        assert_eq!(counts(&[], 5, 5), [0; 0]);
    }
}

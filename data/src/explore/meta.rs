//! Columns of metadata: what is in them, and what they tell of the target.

use super::labels::Kind;
use super::{Report, quartiles};
use crate::row::{Column, Part, Row, Target};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;

/// Most categories that are listed, the most frequent ones.
const LISTED: usize = 50;
/// Most labels that a column is compared with.
const COMPARED: usize = 100;
/// From this association on a column may say the target itself.
const TELLTALE: f64 = 0.95;

/// A column of metadata; counts are those of all parts.
#[derive(Clone, Debug, Serialize)]
pub struct MetaColumn {
    /// Its header.
    pub name: String,
    /// Rows without a value.
    pub missing: usize,
    /// What is in a column of numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Numbers>,
    /// What is in a column of categories: how many there are, and the most frequent ones with their counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub categories: Option<(usize, Vec<(String, usize)>)>,
    /// What it tells of the target, over labelled rows that have a value; none where there is nothing to compare.
    pub association: Option<Association>,
}

/// Of a column of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Numbers {
    /// Smallest.
    pub min: f64,
    /// The one in the middle, or the mean of two.
    pub median: f64,
    /// Largest.
    pub max: f64,
    /// Mean.
    pub mean: f64,
    /// Standard deviation of all, not of a sample.
    pub std: f64,
}

/// How much a column tells of the target.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Association {
    /// `eta_squared` (share of the variance that groups explain; statistic: F of the analysis of variance), `cramers_v`
    /// (statistic: χ², without a correction) or `r_squared` (statistic: F).
    pub measure: &'static str,
    /// 0..=1.
    pub value: f64,
    /// See `measure`; infinite where nothing is left to chance, which JSON has as null.
    pub statistic: f64,
    /// The label or output that it tells most of, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl Numbers {
    /// Of the finite ones among `values`; none if there are none.
    pub(super) fn of(values: Vec<f32>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).map(f64::from).collect();
        values.sort_by(f64::total_cmp);
        let [_, median, _] = quartiles(values.clone())?;
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let std = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        Some(Self { min: *values.first()?, median, max: *values.last()?, mean, std })
    }
}

impl Report {
    /// `is_class` says of a class whether it is one, and not a label to be dropped.
    pub(super) fn describe(&mut self, columns: &[Column], rows: &[Row], classes: &[String], kind: Kind) {
        let is_class = |class: usize| classes.get(class).is_none_or(|name| !self.dropped_labels.contains_key(name));
        let learned = |row: &&Row| row.part != Part::Test && row.target.is_some();
        let learned: Vec<&Row> =
            rows.iter().filter(learned).filter(|row| kind != Kind::Class || kind.labels(row).all(is_class)).collect();
        let found = columns.par_iter().enumerate().map(|(m, column)| {
            let known = |row: &Row| row.meta.get(m).copied().filter(|v| v.is_finite());
            let missing = rows.iter().filter(|row| known(row).is_none()).count();
            let mut found = MetaColumn {
                name: column.name.clone(),
                missing,
                numbers: None,
                categories: None,
                association: associate(column, m, &learned, classes, kind),
            };
            if column.categories.is_empty() {
                found.numbers = Numbers::of(rows.iter().filter_map(known).collect());
            } else {
                let mut counts = vec![0usize; column.categories.len()];
                for value in rows.iter().filter_map(known).filter(|v| (*v as usize) < column.categories.len()) {
                    counts[value as usize] += 1;
                }
                let seen = column.categories.iter().cloned().zip(counts).filter(|(_, count)| *count > 0);
                let mut seen: Vec<(String, usize)> = seen.collect();
                seen.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
                let distinct = seen.len();
                seen.truncate(LISTED);
                found.categories = Some((distinct, seen));
            }
            found
        });
        self.metadata = found.collect();
        for column in &self.metadata {
            let Some(Association { value, measure, .. }) = &column.association else { continue };
            // A few categories cannot tell many classes apart, however much classes tell of them; and those of few rows each are
            // associated with anything.
            let (few, many) = (if kind == Kind::Class { self.classes.len().max(2) } else { 0 }, learned.len() / 2);
            let told = column.categories.as_ref().is_none_or(|(count, _)| (few..=many).contains(count));
            if *value >= TELLTALE && told {
                self.warnings.push(format!(
                    "column '{}' nearly says the target ({measure} {value:.2}): leave it out unless it is known of what is to be \
                     predicted",
                    column.name
                ));
            }
        }
    }
}

fn associate(column: &Column, m: usize, rows: &[&Row], classes: &[String], kind: Kind) -> Option<Association> {
    let known = rows.iter().filter_map(|row| Some((*row, row.meta.get(m).copied().filter(|v| v.is_finite())?)));
    let is_number = column.categories.is_empty();
    let grouped = |group: &dyn Fn(&Row) -> Option<usize>| {
        let known = known.clone().filter_map(|(row, v)| Some((v, group(row)?)));
        match is_number {
            true => eta_squared(known.map(|(v, group)| (f64::from(v), group))),
            false => cramers_v(known.map(|(v, group)| (v as usize, group))),
        }
    };
    if kind == Kind::Class {
        return grouped(&|row| row.likeliest().map(|class| class as usize));
    }
    let width = rows.iter().map(|row| values(row).len()).max().unwrap_or(0);
    let with = |k: usize| {
        let output = |row: &Row| values(row).get(k).copied().filter(|v| v.is_finite()).map(f64::from);
        let found = match kind {
            Kind::Labels => grouped(&|row| output(row).map(|v| usize::from(v == 1.0))),
            _ if is_number => r_squared(known.clone().filter_map(|(row, v)| Some([f64::from(v), output(row)?]))),
            _ => eta_squared(known.clone().filter_map(|(row, v)| Some((output(row)?, v as usize)))),
        };
        let label = classes.get(k).cloned().unwrap_or_else(|| k.to_string());
        found.map(|found| Association { label: (width > 1).then_some(label), ..found })
    };
    (0..width.min(COMPARED)).filter_map(with).reduce(|best, next| if next.value > best.value { next } else { best })
}

fn values(row: &Row) -> &[f32] {
    match &row.target {
        Some(Target::Dense(values)) => values,
        _ => &[],
    }
}

/// One-way analysis of variance of values in groups.
fn eta_squared(values: impl Iterator<Item = (f64, usize)> + Clone) -> Option<Association> {
    let n = values.clone().count();
    let mean = values.clone().map(|(v, _)| v).sum::<f64>() / n as f64;
    let mut groups = BTreeMap::<usize, (f64, f64)>::new();
    for (v, group) in values.clone() {
        let (count, sum) = groups.entry(group).or_default();
        (*count, *sum) = (*count + 1.0, *sum + v - mean);
    }
    let total: f64 = values.clone().map(|(v, _)| (v - mean).powi(2)).sum();
    let between: f64 = groups.values().map(|(count, sum)| sum * sum / count).sum();
    let within: f64 = values.map(|(v, group)| (v - mean - groups[&group].1 / groups[&group].0).powi(2)).sum();
    let (k, n) = (groups.len() as f64, n as f64);
    let statistic = (between / (k - 1.0)) / (within / (n - k));
    let there_is = k > 1.0 && n > k && total > 0.0;
    there_is.then(|| Association { measure: "eta_squared", value: (between / total).min(1.0), statistic, label: None })
}

/// Cramér's V (1946) of two categories.
fn cramers_v(pairs: impl Iterator<Item = (usize, usize)>) -> Option<Association> {
    let mut cells = BTreeMap::<(usize, usize), f64>::new();
    pairs.for_each(|pair| *cells.entry(pair).or_default() += 1.0);
    let (mut rows, mut columns, mut n) = (BTreeMap::<usize, f64>::new(), BTreeMap::<usize, f64>::new(), 0.0);
    for ((row, column), count) in &cells {
        *rows.entry(*row).or_default() += count;
        *columns.entry(*column).or_default() += count;
        n += count;
    }
    let smaller = rows.len().min(columns.len());
    if smaller < 2 {
        return None;
    }
    // χ² = Σ (o − e)² / e; an empty cell has (0 − e)² / e = e.
    let expected = |row: &usize, column: &usize| rows[row] * columns[column] / n;
    let mut statistic = n;
    for ((row, column), count) in &cells {
        let expected = expected(row, column);
        statistic += (count - expected).powi(2) / expected - expected;
    }
    let value = (statistic.max(0.0) / n / (smaller - 1) as f64).sqrt().min(1.0);
    Some(Association { measure: "cramers_v", value, statistic, label: None })
}

/// Squared correlation of two numbers (Pearson).
fn r_squared(pairs: impl Iterator<Item = [f64; 2]> + Clone) -> Option<Association> {
    let n = pairs.clone().count() as f64;
    let mean = |i: usize| pairs.clone().map(|pair| pair[i]).sum::<f64>() / n;
    let (a, b) = (mean(0), mean(1));
    let product = |i: usize, j: usize| {
        let from = [a, b];
        pairs.clone().map(|pair| (pair[i] - from[i]) * (pair[j] - from[j])).sum::<f64>()
    };
    let (aa, ab, bb) = (product(0, 0), product(0, 1), product(1, 1));
    let value = (ab * ab / (aa * bb)).min(1.0);
    let statistic = value * (n - 2.0) / (1.0 - value);
    (n > 2.0 && aa > 0.0 && bb > 0.0).then_some(Association { measure: "r_squared", value, statistic, label: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn near(found: Association, value: &Value, statistic: &Value) {
        let (value, statistic) = (value.as_f64().unwrap(), statistic.as_f64().unwrap());
        assert!((found.value - value).abs() < 1e-9, "{found:?}: {value}");
        assert!((found.statistic / statistic - 1.0).abs() < 1e-9, "{found:?}: {statistic}");
    }

    #[test]
    fn associations_are_those_of_scipy() {
        let golden: Value = serde_json::from_str(include_str!("../../tests/golden/explore.json")).unwrap();
        let golden = &golden["association"];
        let list = |key: &str| golden[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect::<Vec<_>>();
        let (age, size) = (list("age"), list("size"));
        let (site, class) = (list("site"), list("class"));
        let index = |v: &f64| *v as usize;
        let ages = age.iter().copied().zip(class.iter().map(index));
        near(eta_squared(ages).unwrap(), &golden["eta_squared"], &golden["f"]);
        let sites = site.iter().map(index).zip(class.iter().map(index));
        near(cramers_v(sites).unwrap(), &golden["cramers_v"], &golden["chi2"]);
        let pairs = age.iter().zip(&size).map(|(a, b)| [*a, *b]);
        near(r_squared(pairs).unwrap(), &golden["r_squared"], &golden["r_f"]);
    }

    #[test]
    fn nothing_to_compare_is_no_association() {
        assert_eq!(eta_squared([(1.0, 0), (1.0, 1), (1.0, 1)].into_iter()), None, "a constant");
        assert_eq!(eta_squared([(1.0, 0), (2.0, 0)].into_iter()), None, "one group");
        assert_eq!(cramers_v([(0, 0), (0, 1)].into_iter()), None, "one category");
        assert_eq!(r_squared([[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]].into_iter()), None, "a constant");
        assert_eq!(eta_squared(std::iter::empty()), None);
        assert_eq!(Numbers::of(vec![f32::NAN]), None);
    }
}

//! Metadata that are missing, filled in by what is known of the rows that were learned from.

use crate::error::{Error, Result};
use crate::key::column;
use crate::row::{Column, Row};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What stands in for a missing value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Impute {
    /// Nothing: a category of its own, for numbers the median; [`Encoder`](crate::tabular::Encoder) says of every column beside
    /// its value whether that is missing.
    Own,
    /// The mean, of numbers only.
    Mean,
    /// The middle one, of an even number the mean of both; of numbers only.
    Median,
    /// The most frequent one, of equally frequent ones the least.
    Mode,
    /// A number, or the name of one of the column's categories; one for what is not known is [`Impute::Own`].
    Constant(Constant),
    /// What so many rows have that are nearest in the numbers that both have, at least 1: their mean, or their most frequent
    /// category. Distances are Euclidean over standardized numbers, scaled up for those that are missing, as those of
    /// scikit-learn's `KNNImputer`. It keeps all numbers that it learned from.
    Knn(usize),
}

/// A value that is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number or the name of a category")]
pub enum Constant {
    /// Of a column of numbers.
    Number(f32),
    /// Of a column of categories.
    Category(String),
}

/// How missing metadata are filled in.
///
/// | field | default | choices |
/// |---|---|---|
/// | `numbers` | own | own, mean, median, mode, { constant = 0.5 }, { knn = 5 } |
/// | `categories` | own | own, mode, { constant = "torso" }, one of the column's categories, { knn = 5 } |
/// | `columns` | none | the same for single columns, by name |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImputeConfig {
    /// Of all columns of numbers.
    pub numbers: Impute,
    /// Of all columns of categories.
    pub categories: Impute,
    /// Of single columns.
    pub columns: BTreeMap<String, Impute>,
}

impl Default for ImputeConfig {
    fn default() -> Self {
        Self { numbers: Impute::Own, categories: Impute::Own, columns: BTreeMap::new() }
    }
}

impl ImputeConfig {
    /// Rejects what no data can have.
    ///
    /// # Errors
    /// [`Error::Invalid`] for neighbors of whom none counts.
    pub fn validate(&self) -> Result<()> {
        let all = [("numbers", &self.numbers), ("categories", &self.categories)].into_iter();
        let all = all.chain(self.columns.iter().map(|(name, impute)| (name.as_str(), impute)));
        match all.into_iter().find(|(_, impute)| **impute == Impute::Knn(0)) {
            Some((name, _)) => Err(Error::Invalid(format!("impute: {name}: knn must be at least 1"))),
            None => Ok(()),
        }
    }
}

/// Fills in missing values. It learns from the rows it is fitted on and from no others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Imputer {
    fills: Vec<Fill>,
    /// Of the rows it learned from: the standardized numbers, by row and numeric column; none where no column asks for neighbors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    known: Vec<Vec<Option<f32>>>,
    /// Place among the columns, mean and deviation of each numeric column.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    scales: Vec<(usize, f64, f64)>,
}

/// What a column is filled with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fill {
    Nothing,
    Value(f32),
    /// Values of the rows it learned from, how many of the nearest count, whether they are categories, and what stands in where
    /// no row is comparable.
    Nearest {
        values: Vec<Option<f32>>,
        count: usize,
        is_category: bool,
        other: Option<f32>,
    },
}

impl Imputer {
    /// Learns from `rows`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unknown column or category, and for a choice that the column's kind cannot have.
    pub fn fit<'a>(
        config: &ImputeConfig,
        columns: &[Column],
        rows: impl Iterator<Item = &'a Row> + Clone,
    ) -> Result<Self> {
        for name in config.columns.keys() {
            column(name, columns).map_err(|error| Error::Invalid(format!("impute: {error}")))?;
        }
        let values = |i: usize| rows.clone().map(move |row| row.meta.get(i).copied().filter(|v| v.is_finite()));
        let numeric = (0..columns.len()).filter(|&i| columns[i].categories.is_empty());
        let scales: Vec<(usize, f64, f64)> = numeric.map(|i| scale(i, values(i).flatten())).collect();
        let mut fills = vec![];
        for (i, column) in columns.iter().enumerate() {
            let is_category = !column.categories.is_empty();
            let all = if is_category { &config.categories } else { &config.numbers };
            let impute = config.columns.get(&column.name).unwrap_or(all);
            fills.push(fill(impute, column, values(i))?);
        }
        let asks = fills.iter().any(|fill| matches!(fill, Fill::Nearest { .. }));
        let known = rows.filter(|_| asks).map(|row| standardized(&scales, &row.meta)).collect();
        Ok(Self { fills, known, scales: if asks { scales } else { vec![] } })
    }

    /// `meta` with its missing values filled in; NaN stays where nothing is to be or nothing is known.
    pub fn fill(&self, meta: &[f32]) -> Vec<f32> {
        let own = standardized(&self.scales, meta);
        let value = |(i, fill): (usize, &Fill)| match (meta.get(i).copied().filter(|v| v.is_finite()), fill) {
            (Some(value), _) => value,
            (None, Fill::Nothing) => f32::NAN,
            (None, Fill::Value(value)) => *value,
            (None, Fill::Nearest { values, count, is_category, other }) => {
                let rows = self.known.iter().zip(values).enumerate();
                let near = rows.filter_map(|(i, (row, value))| Some((distance(&own, row)?, i, (*value)?)));
                let mut near: Vec<(f64, usize, f32)> = near.collect();
                // Of rows equally far away the first ones count.
                let order = |a: &(f64, usize, f32), b: &(f64, usize, f32)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
                if *count < near.len() {
                    near.select_nth_unstable_by(*count, order);
                    near.truncate(*count);
                }
                near.sort_unstable_by(order);
                let near = near.iter().map(|(.., value)| *value);
                if *is_category { mode(near) } else { mean(near) }.or(*other).unwrap_or(f32::NAN)
            }
        };
        self.fills.iter().enumerate().map(value).collect()
    }
}

fn fill(impute: &Impute, column: &Column, values: impl Iterator<Item = Option<f32>> + Clone) -> Result<Fill> {
    let name = &column.name;
    let is_category = !column.categories.is_empty();
    let wrong = |why: String| Err(Error::Invalid(format!("impute: column '{name}' {why}")));
    let known = values.clone().flatten();
    Ok(match impute {
        Impute::Own => Fill::Nothing,
        Impute::Mean | Impute::Median if is_category => {
            return wrong("has categories; take own, mode, constant or knn".into());
        }
        Impute::Mean => mean(known).map_or(Fill::Nothing, Fill::Value),
        Impute::Median => median(known.collect()).map_or(Fill::Nothing, Fill::Value),
        Impute::Mode => mode(known).map_or(Fill::Nothing, Fill::Value),
        Impute::Constant(Constant::Number(value)) if !is_category && value.is_finite() => Fill::Value(*value),
        Impute::Constant(Constant::Number(value)) => match is_category {
            true => {
                return wrong(format!(
                    "has categories; {value} is none, expected one of {}",
                    column.categories.join(", ")
                ));
            }
            false => return wrong(format!("cannot be filled with {value}; give a finite number")),
        },
        Impute::Constant(Constant::Category(category)) => {
            match column.categories.iter().position(|known| known == category) {
                Some(index) => Fill::Value(index as f32),
                None if is_category => {
                    return wrong(format!(
                        "has no category '{category}', expected one of {}",
                        column.categories.join(", ")
                    ));
                }
                None => return wrong(format!("has numbers; '{category}' is none")),
            }
        }
        Impute::Knn(0) => return wrong("is to be filled by 0 neighbors; give at least 1".into()),
        Impute::Knn(count) => {
            let other = if is_category { mode(known) } else { mean(known) };
            Fill::Nearest { values: values.collect(), count: *count, is_category, other }
        }
    })
}

fn scale(index: usize, values: impl Iterator<Item = f32> + Clone) -> (usize, f64, f64) {
    let n = values.clone().count().max(1) as f64;
    let mean = values.clone().map(f64::from).sum::<f64>() / n;
    let variance = values.map(|v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
    (index, mean, if variance > 1e-12 { variance.sqrt() } else { 1.0 })
}

fn standardized(scales: &[(usize, f64, f64)], meta: &[f32]) -> Vec<Option<f32>> {
    let value = |(i, mean, std): &(usize, f64, f64)| {
        let value = meta.get(*i).copied().filter(|v| v.is_finite())?;
        Some(((f64::from(value) - mean) / std) as f32)
    };
    scales.iter().map(value).collect()
}

/// The squared distance in what both have, as if the rest differed as much; `None` where they have nothing in common.
fn distance(a: &[Option<f32>], b: &[Option<f32>]) -> Option<f64> {
    let both = a.iter().zip(b).filter_map(|(a, b)| Some((f64::from((*a)?) - f64::from((*b)?)).powi(2)));
    let (count, sum) = both.fold((0, 0.0), |(count, sum), square| (count + 1, sum + square));
    (count > 0).then(|| sum * a.len() as f64 / f64::from(count))
}

fn mean(values: impl Iterator<Item = f32>) -> Option<f32> {
    let (count, sum) = values.fold((0.0, 0.0), |(count, sum), v| (count + 1.0, sum + f64::from(v)));
    (count > 0.0).then(|| (sum / count) as f32)
}

/// The middle one, or the mean of both in the middle, as NumPy's.
pub(crate) fn median(mut values: Vec<f32>) -> Option<f32> {
    values.sort_by(f32::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    mean([lower, upper].into_iter())
}

fn mode(values: impl Iterator<Item = f32>) -> Option<f32> {
    let mut values: Vec<f32> = values.collect();
    values.sort_by(f32::total_cmp);
    let runs = values.chunk_by(|a, b| a == b);
    runs.rev().max_by_key(|run| run.len()).map(|run| run[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn columns() -> Vec<Column> {
        let column = |name: &str, categories: &[&str]| Column {
            name: name.into(),
            categories: categories.iter().map(ToString::to_string).collect(),
        };
        vec![column("age", &[]), column("size", &[]), column("site", &["arm", "leg"])]
    }

    fn rows(values: &[[f32; 3]]) -> Vec<Row> {
        values.iter().map(|v| Row { meta: v.to_vec(), ..Row::default() }).collect()
    }

    fn filled(config: serde_json::Value) -> Vec<f32> {
        let n = f32::NAN;
        let rows = rows(&[[1.0, 10.0, 0.0], [2.0, 20.0, 1.0], [2.0, 30.0, 1.0], [9.0, n, n], [n, 40.0, 0.0]]);
        let config = serde_json::from_value(config).unwrap();
        Imputer::fit(&config, &columns(), rows.iter()).unwrap().fill(&[n, 21.0, n])
    }

    #[test]
    fn values_are_those_of_the_rows_it_learned_from() {
        assert!(filled(json!({}))[0].is_nan() && filled(json!({}))[2].is_nan());
        assert_eq!(filled(json!({"numbers": "mean", "categories": "mode"})), [3.5, 21.0, 0.0]);
        assert_eq!(filled(json!({"numbers": "median", "columns": {"site": {"constant": "leg"}}})), [2.0, 21.0, 1.0]);
        assert_eq!(filled(json!({"numbers": "mode", "categories": {"knn": 3}})), [2.0, 21.0, 1.0]);
        assert_eq!(filled(json!({"numbers": {"constant": -1}, "categories": {"knn": 1}})), [-1.0, 21.0, 1.0]);
        assert_eq!(filled(json!({"numbers": {"knn": 2}, "categories": "mode"})), [2.0, 21.0, 0.0]);
        assert_eq!(filled(json!({"numbers": {"knn": 3}, "categories": "mode"}))[0], (1.0 + 2.0 + 2.0) / 3.0);
        assert_eq!(median(vec![1.0, 4.0]), Some(2.5));
    }

    #[test]
    fn rows_that_nothing_can_be_compared_with_get_the_mean() {
        let n = f32::NAN;
        let rows = rows(&[[1.0, n, 0.0], [2.0, n, 1.0], [6.0, n, 1.0]]);
        let config = serde_json::from_value(json!({"numbers": {"knn": 2}, "categories": {"knn": 2}})).unwrap();
        let imputer = Imputer::fit(&config, &columns(), rows.iter()).unwrap();
        let filled = imputer.fill(&[n, 3.0, n]);
        assert_eq!((filled[0], filled[2]), (3.0, 1.0));
        assert!(imputer.fill(&[])[1].is_nan());
        let text = serde_json::to_string(&imputer).unwrap();
        assert_eq!(serde_json::from_str::<Imputer>(&text).unwrap(), imputer);
    }

    #[test]
    fn what_a_column_cannot_have_is_refused() {
        let why = |config| {
            let config: ImputeConfig = serde_json::from_value(config).unwrap();
            Imputer::fit(&config, &columns(), [].iter()).err().unwrap().to_string()
        };
        assert!(why(json!({"categories": "mean"})).contains("column 'site' has categories"));
        assert!(
            why(json!({"columns": {"ages": "mean"}}))
                .contains("unknown column 'ages', expected one of age, size, site")
        );
        let unknown = why(json!({"columns": {"site": {"constant": "head"}}}));
        assert!(unknown.contains("no category 'head', expected one of arm, leg"), "{unknown}");
        assert!(why(json!({"numbers": {"constant": "many"}})).contains("'many' is none"));
        assert!(why(json!({"numbers": {"knn": 0}})).contains("at least 1"));
    }

    /// Against scikit-learn's `SimpleImputer` and `KNNImputer` (`xtask/fixtures/impute.py`).
    #[test]
    fn numbers_are_filled_as_scikit_learn_fills_them() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/impute.json");
        let golden: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let table = |value: &serde_json::Value| -> Vec<Vec<f32>> {
            let number = |v: &serde_json::Value| v.as_f64().map_or(f32::NAN, |v| v as f32);
            let row = |row: &serde_json::Value| row.as_array().unwrap().iter().map(number).collect();
            value.as_array().unwrap().iter().map(row).collect()
        };
        let values = table(&golden["values"]);
        let rows: Vec<Row> = values.iter().map(|meta| Row { meta: meta.clone(), ..Row::default() }).collect();
        let columns: Vec<Column> = (0..4).map(|i| Column { name: i.to_string(), categories: vec![] }).collect();
        let learned = golden["learned"].as_u64().unwrap() as usize;
        for (name, expected) in golden["cases"].as_object().unwrap() {
            let impute = match name.strip_prefix("knn") {
                Some(count) => json!({"knn": count.parse::<usize>().unwrap()}),
                None if name == "constant" => json!({"constant": -1}),
                None => json!(name),
            };
            let config = serde_json::from_value(json!({"numbers": impute})).unwrap();
            let imputer = Imputer::fit(&config, &columns, rows[..learned].iter()).unwrap();
            for (meta, expected) in values.iter().zip(table(expected)) {
                for (own, expected) in imputer.fill(meta).into_iter().zip(expected) {
                    assert!(
                        (own - expected).abs() <= 1e-5 * expected.abs().max(1.0),
                        "{name}: {own} {expected} of {meta:?}"
                    );
                }
            }
        }
    }
}

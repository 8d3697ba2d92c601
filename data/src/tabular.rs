//! Metadata as features: numbers standardized, categories one-hot, missing values with a feature of their own.

use crate::error::Result;
use crate::impute::{ImputeConfig, Imputer, median};
use crate::row::{Column, Row};
use serde::{Deserialize, Serialize};

/// Turns [`Row::meta`] into `[M]` features. It learns from the rows it is fitted on and from no others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Encoder {
    columns: Vec<Encoding>,
    /// What stands in for missing values, where that is not their own median or category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    imputer: Option<Imputer>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    /// `(v − mean) / std`, the median where missing, and whether it is missing.
    Number { median: f32, mean: f32, std: f32 },
    /// One feature per category and one for "missing".
    Category { count: usize },
    /// None.
    Ignored,
}

impl Encoder {
    /// Learns medians, means and deviations from `rows`.
    pub fn fit<'a>(columns: &[Column], rows: impl Iterator<Item = &'a Row> + Clone) -> Self {
        let fit = |(i, column): (usize, &Column)| {
            if !column.categories.is_empty() {
                return Encoding::Category { count: column.categories.len() };
            }
            let known = rows.clone().filter_map(|row| row.meta.get(i)).filter(|v| v.is_finite());
            let mut values: Vec<f32> = known.copied().collect();
            // A sum is then the same in whatever order rows come.
            values.sort_by(f32::total_cmp);
            let n = values.len().max(1) as f64;
            let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
            let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
            let std = if variance > 1e-12 { variance.sqrt() as f32 } else { 1.0 };
            Encoding::Number { median: median(values).unwrap_or(0.0), mean: mean as f32, std }
        };
        Self { columns: columns.iter().enumerate().map(fit).collect(), imputer: None }
    }

    /// With other values in place of missing ones, learned from the same `rows`. Features stay as many as they are, and the one
    /// that says "missing" still does.
    ///
    /// # Errors
    /// As [`Imputer::fit`].
    pub fn with_imputed<'a>(
        mut self,
        config: &ImputeConfig,
        columns: &[Column],
        rows: impl Iterator<Item = &'a Row> + Clone,
    ) -> Result<Self> {
        let imputer = Imputer::fit(config, columns, rows)?;
        self.imputer = (*config != ImputeConfig::default()).then_some(imputer);
        Ok(self)
    }

    /// Without a feature of the columns that `keep` refuses by their name.
    pub fn only(mut self, columns: &[Column], keep: impl Fn(&str) -> bool) -> Self {
        let refused = self.columns.iter_mut().zip(columns).filter(|(_, column)| !keep(&column.name));
        refused.for_each(|(encoding, _)| *encoding = Encoding::Ignored);
        self
    }

    /// M.
    pub fn width(&self) -> usize {
        let width = |encoding: &Encoding| match encoding {
            Encoding::Number { .. } => 2,
            Encoding::Category { count } => count + 1,
            Encoding::Ignored => 0,
        };
        self.columns.iter().map(width).sum()
    }

    /// What stands in for missing ones of these raw values; `None` where none is missing, or nothing was said of it.
    pub(crate) fn fill(&self, meta: &[f32]) -> Option<Vec<f32>> {
        let is_missing = meta.len() < self.columns.len() || meta.iter().any(|value| !value.is_finite());
        self.imputer.as_ref().filter(|_| is_missing).map(|imputer| imputer.fill(meta))
    }

    /// `[M]` features of raw values; a value that is not given is missing.
    pub fn encode(&self, meta: &[f32]) -> Vec<f32> {
        self.encode_filled(meta, self.fill(meta).as_deref())
    }

    /// The same where it is known already what stands in for missing values.
    pub(crate) fn encode_filled(&self, meta: &[f32], filled: Option<&[f32]>) -> Vec<f32> {
        let mut features = Vec::with_capacity(self.width());
        let imputed = |i: usize| filled?.get(i).copied().filter(|v| v.is_finite());
        for (i, encoding) in self.columns.iter().enumerate() {
            let value = meta.get(i).copied().filter(|v| v.is_finite());
            match encoding {
                Encoding::Number { median, mean, std } => {
                    features.push((value.or_else(|| imputed(i)).unwrap_or(*median) - mean) / std);
                    features.push(f32::from(value.is_none()));
                }
                Encoding::Category { count } => {
                    let hot = value.or_else(|| imputed(i)).map_or(*count, |v| (v as usize).min(*count));
                    features.extend((0..*count).map(|c| f32::from(c == hot)));
                    features.push(f32::from(value.is_none() || hot == *count));
                }
                Encoding::Ignored => {}
            }
        }
        features
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_values_have_a_feature_of_their_own() {
        let column = |name: &str, categories: &[&str]| Column {
            name: name.into(),
            categories: categories.iter().map(ToString::to_string).collect(),
        };
        let columns = [column("height", &[]), column("site", &["a", "b"])];
        let row = |height, site| Row { meta: vec![height, site], ..Row::default() };
        let rows = [row(1.0, 0.0), row(3.0, 1.0), row(f32::NAN, 1.0), row(2.0, f32::NAN)];
        let encoder = Encoder::fit(&columns, rows.iter());
        assert_eq!(encoder.width(), 5);
        let deviation = (2.0f32 / 3.0).sqrt();
        assert_eq!(encoder.encode(&rows[1].meta), [1.0 / deviation, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(encoder.encode(&rows[2].meta), [0.0, 1.0, 0.0, 1.0, 0.0]);
        assert_eq!(encoder.encode(&[]), [0.0, 1.0, 0.0, 0.0, 1.0]);

        // Median and mean are both 2.5.
        let even = Encoder::fit(&columns[..1], [row(1.0, 0.0), row(4.0, 0.0), row(2.0, 0.0), row(3.0, 0.0)].iter());
        assert_eq!(even.encode(&[f32::NAN]), [0.0, 1.0]);

        let site = encoder.clone().only(&columns, |name| name == "site");
        assert_eq!((site.width(), site.encode(&rows[1].meta)), (3, vec![0.0, 1.0, 0.0]));

        let with = |config: serde_json::Value| {
            let config = serde_json::from_value(config).unwrap();
            encoder.clone().with_imputed(&config, &columns, rows.iter()).unwrap()
        };
        assert_eq!(with(serde_json::json!({})), encoder);
        let imputed = with(serde_json::json!({"numbers": {"constant": 3}, "categories": "mode"}));
        assert_eq!(imputed.encode(&rows[1].meta), encoder.encode(&rows[1].meta));
        assert_eq!(imputed.encode(&[]), [1.0 / deviation, 1.0, 0.0, 1.0, 1.0]);
        let text = serde_json::to_string(&encoder).unwrap();
        assert!(!text.contains("imputer"), "{text}");
        assert_eq!(serde_json::from_str::<Encoder>(&text).unwrap(), encoder);
    }
}

//! Before and after.

use super::{Folds, Input, Split, at_least};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What came before trains, what came after judges. Several folds are expanding windows, as scikit-learn's `TimeSeriesSplit`
/// makes them: each judges what follows on all that it trains on. Rows of one time stay together. A row whose group judges a
/// fold does not train it, though it came before.
///
/// Times are numbers, or text whose alphabetical order is that in time, as `2024-03-01`. Numbers have 24 bits: days since a date
/// are exact, seconds are not.
///
/// | field | default | range |
/// |---|---|---|
/// | `column` | | the column of times |
/// | `folds` | 1 | at least 1 |
/// | `share` | 0 | what each fold judges, 0..1 of the rows, all folds below 1; 0: a fifth, of several folds 1 / (`folds` + 1) |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByTime {
    /// Where the times stand.
    pub column: String,
    /// How many.
    #[serde(default = "one")]
    pub folds: usize,
    /// What each fold judges.
    #[serde(default)]
    pub share: f64,
}

fn one() -> usize {
    1
}

impl Split for ByTime {
    fn folds(&self, input: &Input<'_>, _: u64) -> Result<Folds> {
        input.enough(self.folds + 1)?;
        let (times, _) = input.column("by_time", &self.column)?;
        if let Some(i) = times.iter().position(|time| time.is_nan()) {
            return Err(Error::Invalid(format!(
                "split 'by_time': row '{}' has no value in column '{}'; fill it in or leave the row out (data.clean.exclude)",
                input.rows[i].id, self.column
            )));
        }
        let rows = times.len();
        let judged = match self.share {
            share if share > 0.0 => (share * rows as f64).round() as usize,
            _ if self.folds == 1 => (0.2 * rows as f64).round() as usize,
            _ => rows / (self.folds + 1),
        };
        let judged = judged.max(1);
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_by(|&a, &b| times[a].total_cmp(&times[b]));
        // Where each fold begins to judge; not within rows of one time.
        let start = |fold: usize| {
            let mut start = rows.saturating_sub((self.folds - fold) * judged);
            while start > 0 && times[order[start]] == times[order[start - 1]] {
                start -= 1;
            }
            start
        };
        let starts: Vec<usize> = (0..self.folds).map(start).collect();
        let mut of = vec![None; rows];
        for (fold, &start) in starts.iter().enumerate() {
            let end = starts.get(fold + 1).copied().unwrap_or(rows);
            if start == 0 || start == end {
                let (fold, column) = (fold + 1, &self.column);
                return Err(Error::Invalid(format!(
                    "split 'by_time': too few different times in column '{column}': fold {fold} has none to train on or to judge"
                )));
            }
            order[start..end].iter().for_each(|&i| of[i] = Some(fold));
        }
        let unused = starts.iter().enumerate().map(|(fold, &start)| {
            let judges: BTreeSet<&String> =
                (0..rows).filter(|&i| of[i] == Some(fold)).filter_map(|i| input.keys[i].as_ref()).collect();
            let tied = |i: &usize| input.keys[*i].as_ref().is_some_and(|key| judges.contains(key));
            let later = order[start..].iter().filter(|&&i| of[i] != Some(fold));
            let mut unused: Vec<usize> = order[..start].iter().filter(|i| tied(i)).chain(later).copied().collect();
            unused.sort_unstable();
            unused
        });
        let unused = unused.collect();
        Ok(Folds { count: self.folds, of, unused, ..Folds::default() })
    }
    fn validate(&self) -> Result<()> {
        at_least("by_time", "folds", self.folds, 1)?;
        match self.share >= 0.0 && self.share * (self.folds as f64) < 1.0 {
            true => Ok(()),
            false => Err(Error::Invalid(format!(
                "split 'by_time': {} fold(s) with a share of {} each leave nothing to train on",
                self.folds, self.share
            ))),
        }
    }
    fn is_random(&self) -> bool {
        false
    }
    fn marks(&self) -> Vec<String> {
        vec![self.column.clone()]
    }
}

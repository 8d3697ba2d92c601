//! One share judges.

use super::input::Strata;
use super::{Folds, Input, Split, at_least, ten};
use crate::error::{Error, Result};
use crate::rng::stream;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One fold: a share judges, the rest trains. Tied rows go first, large groups before small ones, to the side where the shares of
/// their classes among all so far come closer to what is wanted: large and small groups judge alike. Single rows fill up, so
/// that without ties the size is exact and each class at most one sample off. Every class keeps a row, or one group of tied rows,
/// to learn from: where most have no more, less judges than asked for.
///
/// | field | default | range |
/// |---|---|---|
/// | `share` | 0.2 | above 0 and below 1, of the rows |
/// | `stratify` | true | whether each class has this share, too |
/// | `by` | the target | a column whose values have this share in its place |
/// | `bins` | 10 | at least 2, ranges of a number |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HoldOut {
    /// What judges.
    pub share: f64,
    /// Whether each class has this share, too.
    pub stratify: bool,
    /// What is spread evenly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Ranges of a number.
    pub bins: usize,
}

impl Default for HoldOut {
    fn default() -> Self {
        Self { share: 0.2, stratify: true, by: None, bins: ten() }
    }
}

impl Split for HoldOut {
    fn folds(&self, input: &Input<'_>, seed: u64) -> Result<Folds> {
        input.enough(2)?;
        let strata = match self.stratify {
            true => input.strata("hold_out", self.by.as_deref(), self.bins, 2)?,
            false => Strata { of: vec![0; input.rows.len()], names: vec!["all".into()] },
        };
        let labels = strata.of;
        let classes = strata.names.len();
        let mut total = vec![0usize; classes];
        labels.iter().for_each(|&c| total[c as usize] += 1);
        let mut have = vec![0usize; classes];
        let mut of = vec![None; labels.len()];

        let mut rng = stream(seed, 0, 0);
        let (mut several, mut singles): (Vec<_>, Vec<_>) = input.bundles().into_iter().partition(|b| b.len() > 1);
        several.shuffle(&mut rng);
        singles.shuffle(&mut rng);
        several.sort_by_key(|bundle| std::cmp::Reverse(bundle.len().ilog2()));
        let mut seen = vec![0usize; classes];
        for bundle in several {
            let mut own = BTreeMap::<usize, usize>::new();
            bundle.iter().for_each(|&i| *own.entry(labels[i] as usize).or_default() += 1);
            own.iter().for_each(|(&c, &n)| seen[c] += n);
            // How far off the squares of the counts would be with it, less without it.
            let change = own.iter().map(|(&c, &n)| {
                let off = |count: usize| ((count as f64 - self.share * seen[c] as f64) / total[c] as f64).powi(2);
                off(have[c] + n) - off(have[c])
            });
            let leaves_some = own.iter().all(|(&c, &n)| have[c] + n < total[c]);
            if leaves_some && change.sum::<f64>() < 0.0 {
                own.iter().for_each(|(&c, &n)| have[c] += n);
                bundle.iter().for_each(|&i| of[i] = Some(0));
            }
        }
        // What rounding takes from one class, the next one gives.
        let mut left = BTreeMap::<u32, Vec<usize>>::new();
        singles.iter().flatten().for_each(|&i| left.entry(labels[i]).or_default().push(i));
        let mut left: Vec<(u32, Vec<usize>)> = left.into_iter().collect();
        left.shuffle(&mut rng);
        let mut owed = 0.0;
        for (class, members) in left {
            let wanted = total[class as usize] as f64 * self.share - have[class as usize] as f64;
            let most = members.len().min(total[class as usize] - have[class as usize] - 1);
            let taken = (wanted + owed).round().clamp(0.0, most as f64);
            owed = (wanted + owed - taken).clamp(-0.5, 0.5);
            members.iter().take(taken as usize).for_each(|&i| of[i] = Some(0));
            have[class as usize] += taken as usize;
        }
        let unjudged = (0..classes).filter(|&c| self.stratify && total[c] > 0 && have[c] == 0);
        let (rare, lumped): (Vec<_>, Vec<_>) = unjudged.partition(|&c| total[c] as f64 * self.share < 1.0);
        let rare = rare.into_iter().map(|c| (c as u32, total[c])).collect();
        let lumped = lumped.into_iter().map(|c| (c as u32, 0)).collect();
        Ok(Folds { count: 1, of, rare, lumped, strata: strata.names, ..Folds::default() })
    }
    fn columns(&self) -> Vec<String> {
        self.by.iter().cloned().collect()
    }
    fn validate(&self) -> Result<()> {
        at_least("hold_out", "bins", self.bins, 2)?;
        match self.share > 0.0 && self.share < 1.0 {
            true => Ok(()),
            false => {
                Err(Error::Invalid(format!("split 'hold_out': share must be above 0 and below 1, got {}", self.share)))
            }
        }
    }
}

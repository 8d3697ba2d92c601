//! Drops when nothing gets better, as `torch` `ReduceLROnPlateau`.

use super::Schedule;
use crate::checkpoint::Record;
use crate::error::{Check, Result};
use crate::task::Progress;
use serde::{Deserialize, Serialize};

/// Multiplies by `gamma` after more than `patience` epochs in a row that are not better than the best one. It looks at what
/// has been recorded, so it remembers nothing itself.
///
/// | field | default | range |
/// |---|---|---|
/// | `gamma` | 0.1 | 0..1 |
/// | `patience` | 10 | epochs |
/// | `threshold` | 1e-4 | ≥ 0, relative: less of a difference is not better |
/// | `cooldown` | 0 | epochs after a drop that are not counted |
/// | `floor` | 0 | 0..=1, least factor |
/// | `monitor` | "score" | the decisive score, or the training "loss"; without validation always the loss |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plateau {
    /// Factor of each drop.
    pub gamma: f64,
    /// Epochs that are forgiven.
    pub patience: usize,
    /// Least relative difference that counts.
    pub threshold: f64,
    /// Epochs after a drop that are not counted.
    pub cooldown: usize,
    /// Least factor.
    pub floor: f64,
    /// What must get better.
    pub monitor: Monitor,
}

/// What a plateau is one of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Monitor {
    /// The decisive score of validation; higher is better.
    Score,
    /// Mean training loss.
    Loss,
}

impl Default for Plateau {
    fn default() -> Self {
        Self { gamma: 0.1, patience: 10, threshold: 1e-4, cooldown: 0, floor: 0.0, monitor: Monitor::Score }
    }
}

impl Plateau {
    fn better(&self, record: &Record, best: Option<&Record>) -> bool {
        let score = |record: &Record| match self.monitor {
            Monitor::Score => record.scores.as_ref().map(|s| s.decisive),
            Monitor::Loss => None,
        };
        match (score(record), best) {
            (_, None) => true,
            (Some(now), Some(best)) => now > score(best).unwrap_or(f64::NEG_INFINITY) * (1.0 + self.threshold),
            (None, Some(best)) => record.loss < best.loss * (1.0 - self.threshold),
        }
    }
}

impl Schedule for Plateau {
    fn factor(&self, _: Progress, history: &[Record]) -> f64 {
        let (mut factor, mut bad, mut cooling) = (1.0f64, 0, 0);
        let mut best: Option<&Record> = None;
        for record in history {
            if self.better(record, best) {
                (best, bad) = (Some(record), 0);
            } else {
                bad += 1;
            }
            if cooling > 0 {
                (cooling, bad) = (cooling - 1, 0);
            }
            if bad > self.patience {
                (factor, cooling, bad) = ((factor * self.gamma).max(self.floor), self.cooldown, 0);
            }
        }
        factor
    }
    fn validate(&self) -> Result<()> {
        let check = Check::schedule("plateau");
        check.positive("gamma", self.gamma)?;
        check.share("gamma", self.gamma)?;
        check.not_negative("threshold", self.threshold)?;
        check.closed("floor", self.floor)
    }
}

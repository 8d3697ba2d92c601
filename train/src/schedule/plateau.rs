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
/// | `threshold` | 1e-4 | ≥ 0, relative to the best one's size: less of a difference is not better |
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
        // A part of its size beyond the best, whatever its sign.
        let far = |best: f64| self.threshold * best.signum();
        match (score(record), best) {
            (Some(now), None) => now > f64::NEG_INFINITY,
            (None, None) => record.loss < f64::INFINITY,
            (Some(now), Some(best)) => score(best).is_none_or(|best| now > best * (1.0 + far(best))),
            (None, Some(best)) => record.loss < best.loss * (1.0 - far(best.loss)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Scores;
    use serde_json::{Value, json};

    fn factors(params: &Value, records: &[(f64, Option<f64>)]) -> Vec<f64> {
        let plateau: Plateau = serde_json::from_value(params.clone()).unwrap();
        let record = |(epoch, (loss, score)): (usize, &(f64, Option<f64>))| Record {
            epoch,
            loss: *loss,
            scores: score.map(|score| Scores::of("score", score)),
        };
        let history: Vec<Record> = records.iter().enumerate().map(record).collect();
        let at = Progress { epoch: 0, step: 0, steps_per_epoch: 1, epochs: 1 };
        (1..=history.len()).map(|epochs| plateau.factor(at, &history[..epochs])).collect()
    }

    /// `ReduceLROnPlateau(mode="min")` of PyTorch over errors (`xtask/fixtures/trainer.py`): as scores they are negative.
    #[test]
    fn less_is_better_where_scores_are_negative() {
        let golden: Value = serde_json::from_str(include_str!("../../tests/golden/trainer.json")).unwrap();
        for case in golden["plateaus"].as_array().unwrap() {
            let values: Vec<Option<f64>> = serde_json::from_value(case["values"].clone()).unwrap();
            let wants: Vec<f64> = serde_json::from_value(case["factors"].clone()).unwrap();
            let values = values.into_iter().map(|value| value.unwrap_or(f64::NAN));
            let errors: Vec<(f64, Option<f64>)> = values.map(|value| (value, Some(-value))).collect();
            assert_eq!(factors(&case["params"], &errors), wants, "{case}");
            let mut params = case["params"].clone();
            params["monitor"] = json!("loss");
            assert_eq!(factors(&params, &errors), wants, "{case}");
        }
    }

    /// A tenth of 1 better than −1 is −1.1.
    #[test]
    fn losses_may_be_negative() {
        let params = json!({"gamma": 0.5, "patience": 0, "threshold": 0.1, "monitor": "loss"});
        let losses = [-1.0, -0.95, -1.05, -1.11, -1.2, -1.23];
        assert_eq!(factors(&params, &losses.map(|loss| (loss, None))), [1.0, 0.5, 0.25, 0.25, 0.125, 0.125]);
    }
}

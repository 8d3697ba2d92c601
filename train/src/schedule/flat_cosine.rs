//! Flat, then a cosine, as fastai's `fit_flat_cos`.

use super::{Schedule, half_cosine};
use crate::checkpoint::Record;
use crate::error::{Check, Result};
use crate::task::Progress;
use serde::{Deserialize, Serialize};

/// 1 for a share of the steps, then half a cosine down to `floor`.
///
/// | field | default | range |
/// |---|---|---|
/// | `flat` | 0.75 | 0..1, share of the steps |
/// | `floor` | 1e-5 | 0..=1, factor at the end |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlatCosine {
    /// Share of the steps at the base rate.
    pub flat: f64,
    /// Factor at the end.
    pub floor: f64,
}

impl Default for FlatCosine {
    fn default() -> Self {
        Self { flat: 0.75, floor: 1e-5 }
    }
}

impl Schedule for FlatCosine {
    fn factor(&self, at: Progress, _: &[Record]) -> f64 {
        half_cosine(1.0, self.floor, ((at.fraction() - self.flat) / (1.0 - self.flat)).max(0.0))
    }
    fn validate(&self) -> Result<()> {
        let check = Check::schedule("flat_cosine");
        check.share("flat", self.flat)?;
        check.closed("floor", self.floor)
    }
}

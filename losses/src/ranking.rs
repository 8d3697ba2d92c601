//! Labels before non-labels: losses over the pairs of a sample's classes.
//!
//! A pair is a label p and another class n that is none; soft rows weigh it with `y_p (1 − y_n)`. A sample without
//! pairs loses nothing. Scores are ranked and not calibrated; `probabilities` says their sigmoid, which keeps the
//! order.

use crate::error::Result;
use crate::logits::{NEVER, hinge, mask, matrix, softplus};
use crate::loss::{Loss, check_factor, logits, paired, require};
use candle_core::Tensor;
use candle_nn::ops::sigmoid;
use serde::{Deserialize, Serialize};

/// What a pair loses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pairwise {
    /// `max(0, m + s_n − s_p)`.
    #[default]
    Hinge,
    /// `e^{s_n − s_p}`, BP-MLL; a straight line from a difference of 60 on.
    Exponential,
    /// `log(1 + e^{s_n − s_p})`.
    Logistic,
}

/// `ℓ` = the mean over the pairs of a sample of what each loses. It holds `[B, K, K]` numbers.
///
/// Hinge: Elisseeff & Weston 2001; exponential: Zhang & Zhou 2006, "Multilabel neural networks" (BP-MLL); logistic:
/// Burges et al. 2005, RankNet. Reference: the formulas in PyTorch, the hinge also `margin_ranking_loss` over the
/// pairs.
///
/// | field | default | range |
/// |---|---|---|
/// | `kind` | hinge | `hinge`, `exponential` or `logistic` |
/// | `margin` | 1 | at least 0, m of the hinge; the other kinds have none |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ranking {
    /// What a pair loses.
    pub kind: Pairwise,
    /// m of the hinge.
    pub margin: f64,
}

impl Default for Ranking {
    fn default() -> Self {
        Self { kind: Pairwise::Hinge, margin: 1.0 }
    }
}

impl Loss for Ranking {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (scores, rows) = paired(output, target)?;
        // [B, p, n]
        let ahead = scores.unsqueeze(1)?.broadcast_sub(&scores.unsqueeze(2)?)?;
        let weights = rows.unsqueeze(2)?.broadcast_mul(&rows.affine(-1.0, 1.0)?.unsqueeze(1)?)?;
        let classes = scores.dim(1)?;
        let others = matrix((classes, classes), &scores, |p, n| if p == n { 0.0 } else { 1.0 })?;
        let weights = weights.broadcast_mul(&others.unsqueeze(0)?)?;
        let losses = match self.kind {
            Pairwise::Hinge => hinge(&(ahead + self.margin)?)?,
            Pairwise::Logistic => softplus(&ahead)?,
            Pairwise::Exponential => {
                let bent = ahead.minimum(60.0)?;
                (bent.exp()? * ((ahead - &bent)? + 1.0)?)?
            }
        };
        let total = weights.sum((1, 2))?;
        let none = mask(&total.le(0.0)?, total.dtype())?;
        (losses * weights)?.sum((1, 2))? / (total + none)?
    }
    fn probabilities(&self, output: &Tensor) -> candle_core::Result<Tensor> {
        sigmoid(&logits(output)?)
    }
    fn validate(&self) -> Result<()> {
        check_factor("ranking", "margin", self.margin)?;
        let used = self.kind == Pairwise::Hinge || self.margin == Self::default().margin;
        require("ranking", used, "margin is the hinge's, leave it out beside another kind")
    }
}

/// `ℓ = log(1 + Σ_{p≠n} e^{s_n − s_p})` over all pairs of a sample, none left out.
///
/// Li et al. 2017, "Improving pairwise ranking for multi-label image classification" (arXiv 1704.03135), which draws
/// 1000 pairs; the sum over all of them is a product of two, less what soft rows say of a class and itself. Reference:
/// the formula in PyTorch. No parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lsep {}

/// `log Σ w e^s` of rows.
fn log_sum(scores: &Tensor, weights: &Tensor) -> candle_core::Result<Tensor> {
    let present = mask(&weights.gt(0.0)?, weights.dtype())?;
    let absent = present.affine(-1.0, 1.0)?;
    let logs = ((weights * &present)? + &absent)?.log()?;
    ((scores * present)? + (logs + (absent * NEVER)?)?)?.log_sum_exp(1)
}

impl Loss for Lsep {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (scores, rows) = paired(output, target)?;
        let unwanted = rows.affine(-1.0, 1.0)?;
        let all = (log_sum(&scores, &unwanted)? + log_sum(&scores.neg()?, &rows)?)?;
        // log(1 − Σ y(1 − y) + e^all), from the largest of 1 and e^all, which may be beyond all numbers.
        let own = (rows * unwanted)?.sum(1)?;
        let top = all.relu()?.detach();
        let rest = (own.affine(-1.0, 1.0)? * top.neg()?.exp()?)?;
        top.clone() + (rest + (all - top)?.exp()?)?.log()?
    }
    fn probabilities(&self, output: &Tensor) -> candle_core::Result<Tensor> {
        sigmoid(&logits(output)?)
    }
}

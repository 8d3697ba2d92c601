//! Sparsemax and entmax: probabilities that can be 0, and the losses that belong to them.

use crate::error::Result;
use crate::logits::{distributions, row_by_row};
use crate::loss::{Loss, logits, paired, require};
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

/// `max(x, 0)`, of what is not a number that: `f64::max` would make it 0.
fn positive(x: f64) -> f64 {
    if x < 0.0 { 0.0 } else { x }
}

/// `p` of a row: `[(α − 1)z − τ]₊^{1/(α − 1)}` with the τ that makes it sum to 1.
///
/// The sum is convex in τ for α of at most 2, so Newton's steps from the left never go too far; for α = 2 they end
/// after finitely many at the exact threshold.
fn project(z: &[f64], alpha: f64) -> Vec<f64> {
    let top = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let x: Vec<f64> = z.iter().map(|z| (alpha - 1.0) * (z - top)).collect();
    let power = 1.0 / (alpha - 1.0);
    let mut tau = -1.0f64;
    for _ in 0..z.len() + 100 {
        let above = x.iter().map(|x| x - tau).filter(|above| *above > 0.0);
        let (sum, slope) = above
            .fold((0.0, 0.0), |(sum, slope), above| (sum + above.powf(power), slope + power * above.powf(power - 1.0)));
        let step = (sum - 1.0) / slope;
        if step.is_nan() || step <= 1e-16 {
            break;
        }
        tau += step;
    }
    let p: Vec<f64> = x.iter().map(|x| positive(x - tau).powf(power)).collect();
    let total: f64 = p.iter().sum();
    p.into_iter().map(|p| p / total).collect()
}

/// α-entmax of logits `[B, K]`, with its exact Jacobian `diag(s) − s sᵀ / Σs`, `s = p^{2−α}` where p is not 0. α is
/// above 1, which softmax would be, and at most 2, which is [`sparsemax`].
///
/// Peters et al. 2019, "Sparse sequence-to-sequence models" (arXiv 1905.05702). Computed in F64 on the CPU; on another
/// device that is waited for.
///
/// # Errors
/// Logits that are not `[B, K]`, another α.
pub fn entmax(logits: &Tensor, alpha: f64) -> candle_core::Result<Tensor> {
    check_alpha(alpha).map_err(candle_core::Error::wrap)?;
    let logits = self::logits(logits)?;
    let rows = logits.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec2::<f64>()?;
    let p: Vec<f64> = rows.iter().flat_map(|z| project(z, alpha)).collect();
    let s: Vec<f64> = p.iter().map(|p| if *p > 0.0 { p.powf(2.0 - alpha) } else { 0.0 }).collect();
    let tensor = |values| {
        Tensor::from_vec(values, logits.shape(), &Device::Cpu)?.to_dtype(logits.dtype())?.to_device(logits.device())
    };
    let (p, s) = (tensor(p)?, tensor(s)?);
    let nothing = (&logits - logits.detach())?;
    let mean = (&s * &nothing)?.sum_keepdim(1)?.broadcast_div(&s.sum_keepdim(1)?)?;
    p + (s * nothing.broadcast_sub(&mean)?)?
}

/// The projection of logits `[B, K]` onto distributions, with its exact Jacobian `diag(s) − s sᵀ / |S|` on the support
/// S.
///
/// Martins & Astudillo 2016, "From softmax to sparsemax" (arXiv 1602.02068).
///
/// # Errors
/// Logits that are not `[B, K]`.
pub fn sparsemax(logits: &Tensor) -> candle_core::Result<Tensor> {
    entmax(logits, 2.0)
}

/// `ℓ = (p − q)·z + (Σq^α − Σp^α) / (α(α − 1))`, whose gradient is p − q.
fn fenchel_young(output: &Tensor, target: &Tensor, alpha: f64) -> candle_core::Result<Tensor> {
    let (logits, rows) = paired(output, target)?;
    row_by_row(&logits, &distributions(&rows)?, |z, q, gradient| {
        let top = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let p = project(z, alpha);
        let mut value = 0.0;
        for (((p, q), z), gradient) in p.iter().zip(q).zip(z).zip(gradient) {
            *gradient = p - q;
            value += (p - q) * (z - top) + (q.powf(alpha) - p.powf(alpha)) / (alpha * (alpha - 1.0));
        }
        positive(value)
    })
}

/// `ℓ = −q·z + ½ Σ_{k∈S} (zₖ² − τ²) + ½‖q‖²` of [`sparsemax`]; its gradient is p − q, and it is 0 once the true class
/// is ahead of all others by 1.
///
/// Martins & Astudillo 2016, with their multi-label form: several labels share a sample, rows are divided by what they
/// sum to. Reference implementation: deep-spin/entmax `SparsemaxLoss`. No parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sparsemax {}

impl Loss for Sparsemax {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        fenchel_young(output, target, 2.0)
    }
    fn probabilities(&self, output: &Tensor) -> candle_core::Result<Tensor> {
        sparsemax(output)
    }
}

/// `ℓ = (p − q)·z + (Σq^α − Σp^α) / (α(α − 1))` of [`entmax`]; its gradient is p − q.
///
/// Peters et al. 2019, "Sparse sequence-to-sequence models" (arXiv 1905.05702). Reference implementation:
/// deep-spin/entmax `EntmaxBisectLoss`, `Entmax15Loss`. Several labels share a sample: rows are divided by what they
/// sum to.
///
/// | field | default | range |
/// |---|---|---|
/// | `alpha` | 1.5 | α, above 1 and at most 2; 1 would be softmax, 2 is sparsemax |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Entmax {
    /// α, above 1 and at most 2.
    pub alpha: f64,
}

impl Default for Entmax {
    fn default() -> Self {
        Self { alpha: 1.5 }
    }
}

fn check_alpha(alpha: f64) -> Result<()> {
    require("entmax", alpha > 1.0 && alpha <= 2.0, format!("alpha must be above 1 and at most 2, got {alpha}"))
}

impl Loss for Entmax {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        fenchel_young(output, target, self.alpha)
    }
    fn probabilities(&self, output: &Tensor) -> candle_core::Result<Tensor> {
        entmax(output, self.alpha)
    }
    fn validate(&self) -> Result<()> {
        check_alpha(self.alpha)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_number_has_no_projection() {
        for alpha in [1.5, 2.0] {
            let p = project(&[0.5, f64::NAN, 1.0], alpha);
            assert!(p.iter().all(|p| p.is_nan()), "{p:?}");
        }
    }
}

//! Bi-tempered logistic loss: bounded for outliers, and a softmax with heavy tails for wrong labels nearby.

use crate::error::Result;
use crate::logits::row_by_row;
use crate::loss::{Loss, check_smoothing, logits, paired, require, smoothed};
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

/// `ℓ = Σₖ [qₖ (log_{t₁} qₖ − log_{t₁} pₖ) − (qₖ^{2−t₁} − pₖ^{2−t₁}) / (2 − t₁)]` with `p = exp_{t₂}(z − λ)`, the λ
/// that makes p sum to 1, `log_t x = (x^{1−t} − 1) / (1 − t)`, its inverse `exp_t`, and `q = (1 − ε)·y + ε/K`.
///
/// Amid et al. 2019, "Robust bi-tempered logistic loss based on Bregman divergences" (arXiv 1906.03361). Reference
/// implementation: google/bi-tempered-loss, which stops after 5 steps towards λ and adds 1e-10 to q in `log q`; here λ
/// is exact, and `0 log 0` is 0. Theirs spreads ε over the K − 1 other classes, ours over all K, as every loss here
/// does: for their ε give ε·K/(K − 1). Both temperatures at 1 give cross-entropy less the entropy of q. Computed in F64
/// on the CPU; on another device that is waited for.
///
/// | field | default | range |
/// |---|---|---|
/// | `t1` | 0.8 | 0..=1, below 1 the loss is bounded |
/// | `t2` | 1.2 | at least 1, above 1 the tail is heavy |
/// | `smoothing` | 0 | 0..=1, ε |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BiTempered {
    /// Temperature of the logarithm, 0..=1.
    pub t1: f64,
    /// Temperature of the exponential, at least 1.
    pub t2: f64,
    /// ε, 0..=1.
    pub smoothing: f64,
}

impl Default for BiTempered {
    fn default() -> Self {
        Self { t1: 0.8, t2: 1.2, smoothing: 0.0 }
    }
}

/// `log p` of a row. The sum of p is convex in λ, so Newton's steps from the left never go too far.
fn log_probabilities(z: &[f64], t: f64) -> Vec<f64> {
    let top = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_exp = |x: f64| if t == 1.0 { x } else { -((1.0 - t) * x).ln_1p() / (t - 1.0) };
    if t == 1.0 {
        let sum: f64 = z.iter().map(|z| (z - top).exp()).sum();
        return z.iter().map(|z| z - top - sum.ln()).collect();
    }
    let mut over = 0.0;
    for _ in 0..1000 {
        let p = z.iter().map(|z| log_exp(z - top - over).exp());
        let (sum, slope) = p.fold((0.0, 0.0), |(sum, slope), p| (sum + p, slope + p.powf(t)));
        let step = (sum - 1.0) / slope;
        if step.is_nan() || step <= 1e-16 * over {
            break;
        }
        over += step;
    }
    z.iter().map(|z| log_exp(z - top - over)).collect()
}

impl BiTempered {
    fn of_row(&self, z: &[f64], q: &[f64], gradient: &mut [f64]) -> f64 {
        let (t1, t2) = (self.t1, self.t2);
        let log_p = log_probabilities(z, t2);
        // log_t of x from log x.
        let tempered = |log: f64| if t1 == 1.0 { log } else { ((1.0 - t1) * log).exp_m1() / (1.0 - t1) };
        let mut value = 0.0;
        let (mut escorts, mut forgotten) = (0.0, 0.0);
        for ((log_p, q), gradient) in log_p.iter().zip(q).zip(gradient.iter_mut()) {
            let p = log_p.exp();
            if *q > 0.0 {
                value += q * (tempered(q.ln()) - tempered(*log_p));
            }
            value += (p.powf(2.0 - t1) - q.powf(2.0 - t1)) / (2.0 - t1);
            *gradient = (p - q) * ((t2 - t1) * log_p).exp();
            escorts += (t2 * log_p).exp();
            forgotten += *gradient;
        }
        for (gradient, log_p) in gradient.iter_mut().zip(&log_p) {
            *gradient -= forgotten * (t2 * log_p).exp() / escorts;
        }
        value
    }
}

impl Loss for BiTempered {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, rows) = paired(output, target)?;
        let rows = smoothed(rows, self.smoothing, 1.0 / logits.dim(1)? as f64)?;
        row_by_row(&logits, &rows, |z, q, gradient| self.of_row(z, q, gradient))
    }
    /// Without a gradient.
    fn probabilities(&self, output: &Tensor) -> candle_core::Result<Tensor> {
        let logits = logits(output)?;
        let rows = logits.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec2::<f64>()?;
        let p: Vec<f64> = rows.iter().flat_map(|z| log_probabilities(z, self.t2)).map(f64::exp).collect();
        Tensor::from_vec(p, logits.shape(), &Device::Cpu)?.to_dtype(logits.dtype())?.to_device(logits.device())
    }
    fn validate(&self) -> Result<()> {
        require("bi_tempered", (0.0..=1.0).contains(&self.t1), format!("t1 must be in 0..=1, got {}", self.t1))?;
        let heavy = self.t2 >= 1.0 && self.t2.is_finite();
        require("bi_tempered", heavy, format!("t2 must be at least 1, got {}", self.t2))?;
        check_smoothing("bi_tempered", self.smoothing)
    }
}

//! Margins between classes on a sphere: ArcFace, CosFace, SphereFace, AdaCos, and margins by the size of a class.
//!
//! They read what the cosine head says: the head's `scale` times the cosines between a sample and the classes, where a
//! class with several sub-centres (Deng et al. 2020, "Sub-center ArcFace") speaks through the nearest. So `scale` here
//! must equal the head's. Of a mixed target each class has its share of the loss with the margin at that class.

use crate::error::Result;
use crate::logits::{log_rest, softplus};
use crate::loss::{Loss, check_factor, check_positive, logits, needed, paired, per_class, require};
use candle_core::{DType, Device, Error, Tensor};
use candle_nn::ops::{log_softmax, softmax};
use serde::{Deserialize, Serialize};
use std::f64::consts::{FRAC_PI_4, PI, SQRT_2};

/// `ℓ = −Σₖ yₖ log(e^{s·mₖ} / (e^{s·mₖ} + Σ_{j≠k} e^{s·cⱼ}))`, m being what `moved` makes of the cosines c `[B, K]`.
pub(crate) fn with_margin(
    output: &Tensor,
    rows: &Tensor,
    scale: f64,
    moved: impl FnOnce(&Tensor) -> candle_core::Result<Tensor>,
) -> candle_core::Result<Tensor> {
    let moved = (moved(&(output / scale)?)? * scale)?;
    let log_p = log_softmax(output, 1)?;
    let behind = ((log_rest(&log_p)? - log_p)? + (output - moved)?)?;
    (rows * softplus(&behind)?)?.sum(1)
}

/// `cos(θ + m)`, m being one margin or one per class; beyond θ = π − m, where that would rise again, `cos θ − m sin m`.
/// With `easy`: only where θ is below π/2, else `cos θ`.
fn additive(cosines: &Tensor, margins: &[f64], easy: bool) -> candle_core::Result<Tensor> {
    let each = |of: fn(f64) -> f64| per_class(&margins.iter().map(|m| of(*m)).collect::<Vec<_>>(), cosines);
    // The slope of the root is endless at ±1.
    let within = cosines.clamp(-1.0 + 1e-7, 1.0 - 1e-7)?;
    let sines = within.sqr()?.affine(-1.0, 1.0)?.sqrt()?;
    let moved = (cosines.broadcast_mul(&each(f64::cos)?)? - sines.broadcast_mul(&each(f64::sin)?)?)?;
    match easy {
        true => cosines.gt(0.0)?.where_cond(&moved, cosines),
        false => {
            let steady = cosines.broadcast_sub(&each(|m| m * m.sin())?)?;
            cosines.broadcast_gt(&each(|m| -m.cos())?)?.where_cond(&moved, &steady)
        }
    }
}

fn check_scale(name: &'static str, scale: f64) -> Result<()> {
    check_positive(name, "scale", scale)
}

fn check_angle(name: &'static str, field: &str, margin: f64) -> Result<()> {
    let rule = format!("{field} must be at least 0 and below pi, got {margin}");
    require(name, (0.0..PI).contains(&margin), rule)
}

/// `s·cos(θ + m)` for the true class, beyond θ = π − m `s·(cos θ − m sin m)`.
///
/// Deng et al. 2018, "ArcFace" (arXiv 1801.07698). Reference implementations: deepinsight/insightface,
/// pytorch-metric-learning `ArcFaceLoss` and `SubCenterArcFaceLoss`, which have s = 64.
///
/// | field | default | range |
/// |---|---|---|
/// | `scale` | 30 | above 0, s; the head's |
/// | `margin` | 0.5 | at least 0 and below π, m in radians |
/// | `easy` | false | the margin only where θ is below π/2 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArcFace {
    /// s, the head's.
    pub scale: f64,
    /// m in radians.
    pub margin: f64,
    /// The margin only where θ is below π/2.
    pub easy: bool,
}

impl Default for ArcFace {
    fn default() -> Self {
        Self { scale: 30.0, margin: 0.5, easy: false }
    }
}

impl Loss for ArcFace {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, rows) = paired(output, target)?;
        with_margin(&logits, &rows, self.scale, |cosines| additive(cosines, &[self.margin], self.easy))
    }
    fn validate(&self) -> Result<()> {
        check_scale("arcface", self.scale)?;
        check_angle("arcface", "margin", self.margin)
    }
}

/// ArcFace with a margin per class, `mₖ = a nₖ^{−λ} + b`: the rarest class has the largest, the most frequent one the
/// smallest.
///
/// Ha et al. 2020, "Google landmark recognition 2020 competition third place solution" (arXiv 2010.05350).
///
/// | field | default | range |
/// |---|---|---|
/// | `scale` | 30 | above 0, s; the head's |
/// | `exponent` | 0.25 | above 0, λ |
/// | `smallest` | 0.05 | at least 0 and below π, radians |
/// | `largest` | 0.5 | at least `smallest` and below π |
/// | `counts` | none | n, samples per class; recipes fill it in |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DynamicArcFace {
    /// s, the head's.
    pub scale: f64,
    /// λ.
    pub exponent: f64,
    /// Margin of the most frequent class in radians.
    pub smallest: f64,
    /// Margin of the rarest class in radians.
    pub largest: f64,
    /// n, samples per class.
    pub counts: Option<Vec<u64>>,
}

impl Default for DynamicArcFace {
    fn default() -> Self {
        Self { scale: 30.0, exponent: 0.25, smallest: 0.05, largest: 0.5, counts: None }
    }
}

impl DynamicArcFace {
    fn margins(&self, classes: usize) -> Result<Vec<f64>> {
        let counts = needed("dynamic_arcface", self.counts.as_ref(), classes)?;
        let sizes: Vec<f64> = counts.iter().map(|n| n.powf(-self.exponent)).collect();
        let (low, high) = sizes.iter().fold((f64::INFINITY, 0f64), |(low, high), s| (low.min(*s), high.max(*s)));
        let slope = if high > low { (self.largest - self.smallest) / (high - low) } else { 0.0 };
        Ok(sizes.iter().map(|s| self.largest - slope * (high - s)).collect())
    }
}

impl Loss for DynamicArcFace {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, rows) = paired(output, target)?;
        let margins = self.margins(logits.dim(1)?).map_err(Error::wrap)?;
        with_margin(&logits, &rows, self.scale, |cosines| additive(cosines, &margins, false))
    }
    fn validate(&self) -> Result<()> {
        check_scale("dynamic_arcface", self.scale)?;
        check_positive("dynamic_arcface", "exponent", self.exponent)?;
        check_angle("dynamic_arcface", "smallest", self.smallest)?;
        check_angle("dynamic_arcface", "largest", self.largest)?;
        require("dynamic_arcface", self.largest >= self.smallest, "largest must be at least smallest")
    }
    fn check(&self, classes: usize) -> Result<()> {
        self.margins(classes).map(drop)
    }
}

/// `s·(cos θ − m)` for the true class.
///
/// Wang et al. 2018, "CosFace" (arXiv 1801.09414). Reference implementation: pytorch-metric-learning `CosFaceLoss`,
/// which has s = 64.
///
/// | field | default | range |
/// |---|---|---|
/// | `scale` | 30 | above 0, s; the head's |
/// | `margin` | 0.35 | at least 0, m |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CosFace {
    /// s, the head's.
    pub scale: f64,
    /// m.
    pub margin: f64,
}

impl Default for CosFace {
    fn default() -> Self {
        Self { scale: 30.0, margin: 0.35 }
    }
}

impl Loss for CosFace {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, rows) = paired(output, target)?;
        with_margin(&logits, &rows, self.scale, |cosines| cosines - self.margin)
    }
    fn validate(&self) -> Result<()> {
        check_scale("cosface", self.scale)?;
        check_factor("cosface", "margin", self.margin)
    }
}

/// `s·ψ(θ)` for the true class, `ψ = ((−1)^k cos(mθ) − 2k + λ cos θ) / (1 + λ)` for θ in `[kπ/m, (k + 1)π/m]`.
///
/// Liu et al. 2017, "SphereFace" (arXiv 1704.08063), where the length of the features is in place of s and λ falls
/// from 1000 to 5 in training. Reference implementation: pytorch-metric-learning `SphereFaceLoss`, without λ, on
/// features of length 1.
///
/// | field | default | range |
/// |---|---|---|
/// | `scale` | 30 | above 0, s; the head's |
/// | `margin` | 4 | 1..=16, m, a whole number |
/// | `lambda` | 0 | at least 0, λ, how much of the plain cosine is kept |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SphereFace {
    /// s, the head's.
    pub scale: f64,
    /// m.
    pub margin: u32,
    /// λ, how much of the plain cosine is kept.
    pub lambda: f64,
}

impl Default for SphereFace {
    fn default() -> Self {
        Self { scale: 30.0, margin: 4, lambda: 0.0 }
    }
}

impl SphereFace {
    fn psi(&self, cosines: &Tensor) -> candle_core::Result<Tensor> {
        let m = self.margin;
        // cos(mθ) is Chebyshev's polynomial of cos θ, whose slope is finite everywhere.
        let (mut before, mut angle) = (cosines.ones_like()?, cosines.clone());
        for _ in 1..m {
            let next = ((cosines * &angle)?.affine(2.0, 0.0)? - &before)?;
            (before, angle) = (angle, next);
        }
        let mut sheet = cosines.zeros_like()?;
        for k in 1..m {
            let beyond = cosines.lt((f64::from(k) * PI / f64::from(m)).cos())?;
            sheet = (sheet + beyond.to_dtype(cosines.dtype())?.detach())?;
        }
        // (−1)^k = 1 − 2 (k mod 2).
        let odd = (&sheet - ((&sheet * 0.5)?.floor()? * 2.0)?)?;
        let psi = ((odd.affine(-2.0, 1.0)? * angle)? - (sheet * 2.0)?)?;
        (psi + (cosines * self.lambda)?)? / (1.0 + self.lambda)
    }
}

impl Loss for SphereFace {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, rows) = paired(output, target)?;
        with_margin(&logits, &rows, self.scale, |cosines| self.psi(cosines))
    }
    fn validate(&self) -> Result<()> {
        check_scale("sphereface", self.scale)?;
        require("sphereface", (1..=16).contains(&self.margin), "margin must be in 1..=16")?;
        check_factor("sphereface", "lambda", self.lambda)
    }
}

/// Cross-entropy of `s·cos θ` with an s that fits the number of classes: `√2 ln(K − 1)`, or with `dynamic` one step
/// from it, `s = ln B / cos(min(π/4, θ_med))`, B being the batch's mean of `Σ_{k≠y} e^{s₀ cos θₖ}` and θ_med its median
/// angle to the true class; at least a tenth of the fixed one, for where all other cosines are low the step ends below
/// 0.
///
/// Zhang et al. 2019, "AdaCos" (arXiv 1905.00292), fixed and dynamic; there each step starts from the scale of the
/// step before, here all start from the fixed one, so that a loss has no memory. Reference implementation:
/// 4uiiurz1/pytorch-adacos. The dynamic form waits for the device, and its true class is the largest of a row.
///
/// | field | default | range |
/// |---|---|---|
/// | `scale` | 30 | above 0; the head's, it is taken away |
/// | `dynamic` | false | s depends on the batch, each time from the fixed one anew |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdaCos {
    /// The head's scale.
    pub scale: f64,
    /// Whether s depends on the batch.
    pub dynamic: bool,
}

impl Default for AdaCos {
    fn default() -> Self {
        Self { scale: 30.0, dynamic: false }
    }
}

fn fixed_scale(classes: usize) -> f64 {
    SQRT_2 * (classes as f64 - 1.0).ln()
}

/// The scale that fits cosines `[B, K]` whose true classes are the largest of `rows`.
fn fitting_scale(cosines: &Tensor, rows: &Tensor) -> candle_core::Result<f64> {
    let numbers = |t: &Tensor| t.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec2::<f64>();
    let (cosines, rows) = (numbers(cosines)?, numbers(rows)?);
    let start = fixed_scale(rows.first().map_or(0, Vec::len));
    let (mut others, mut angles) = (0.0, vec![]);
    for (cosines, row) in cosines.iter().zip(&rows) {
        let truth = (1..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best });
        others += cosines.iter().enumerate().filter(|(k, _)| *k != truth).map(|(_, c)| (start * c).exp()).sum::<f64>();
        angles.push(cosines[truth].clamp(-1.0 + 1e-7, 1.0 - 1e-7).acos());
    }
    angles.sort_by(f64::total_cmp);
    let scale = (others / rows.len() as f64).ln() / angles[(angles.len() - 1) / 2].min(FRAC_PI_4).cos();
    // What is not a number stays so.
    Ok(if scale < 0.1 * start { 0.1 * start } else { scale })
}

impl Loss for AdaCos {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, rows) = paired(output, target)?;
        let classes = logits.dim(1)?;
        self.check(classes).map_err(Error::wrap)?;
        let cosines = (logits / self.scale)?;
        let scale = if self.dynamic { fitting_scale(&cosines, &rows)? } else { fixed_scale(classes) };
        (rows * log_softmax(&(cosines * scale)?, 1)?)?.sum(1)?.neg()
    }
    /// With the fixed scale, for a sample has no batch when it is predicted.
    fn probabilities(&self, output: &Tensor) -> candle_core::Result<Tensor> {
        let logits = logits(output)?;
        softmax(&(&logits * (fixed_scale(logits.dim(1)?) / self.scale))?, 1)
    }
    fn validate(&self) -> Result<()> {
        check_scale("adacos", self.scale)
    }
    fn check(&self, classes: usize) -> Result<()> {
        require("adacos", classes > 2, format!("at least 3 classes are needed, got {classes}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;

    #[test]
    fn an_angle_too_wide_for_its_margin_stays_below_all_others() {
        let cosines = Tensor::new(&[[0.9f64, 0.5, 0.0, -0.5, -0.9, -0.99]], &Device::Cpu).unwrap();
        let moved = additive(&cosines, &[0.5], false).unwrap().to_vec2::<f64>().unwrap().remove(0);
        for (ours, known) in moved.iter().zip([0.580848, 0.023597, -0.479426, -0.853986, -1.139713, -1.229713]) {
            assert!((ours - known).abs() < 1e-6, "{moved:?}");
        }
        let easy = additive(&cosines, &[0.5], true).unwrap().to_vec2::<f64>().unwrap().remove(0);
        assert_eq!(easy[2..], [0.0, -0.5, -0.9, -0.99]);
        assert_eq!(easy[..2], moved[..2]);
    }

    #[test]
    fn gradients_are_finite_at_both_poles() {
        let losses: [Box<dyn Loss>; 5] = [
            Box::new(ArcFace::default()),
            Box::new(ArcFace { easy: true, ..Default::default() }),
            Box::new(CosFace::default()),
            Box::new(SphereFace::default()),
            Box::new(AdaCos { dynamic: true, ..Default::default() }),
        ];
        for loss in losses {
            let z = Var::new(&[[30f32, -30.0, 0.0], [-30.0, 30.0, 30.0]], &Device::Cpu).unwrap();
            let target = Tensor::new(&[0u32, 0], &Device::Cpu).unwrap();
            let gradient = loss.forward(&z, &target).unwrap().backward().unwrap();
            let gradient = gradient.get(&z).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert!(gradient.iter().all(|g| g.is_finite()) && gradient[3] < -0.01, "{loss:?}: {gradient:?}");
        }
    }

    #[test]
    fn scales_of_adacos() {
        assert!((fixed_scale(1108) - 9.913).abs() < 1e-3);
        assert!((fixed_scale(5004) - 12.046).abs() < 1e-3);
    }

    #[test]
    fn rare_classes_have_larger_margins() {
        let loss = DynamicArcFace { counts: Some(vec![10000, 16, 0]), ..Default::default() };
        let margins = loss.margins(3).unwrap();
        assert!((margins[0] - 0.05).abs() < 1e-12 && (margins[1] - 0.25).abs() < 1e-12, "{margins:?}");
        assert_eq!(margins[2], 0.5);
        let equal = DynamicArcFace { counts: Some(vec![7, 7]), ..Default::default() };
        assert_eq!(equal.margins(2).unwrap(), [0.5, 0.5]);
    }
}

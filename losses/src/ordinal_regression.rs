//! Ordered classes as numbers: regression, and thresholds that make classes of it again.

use crate::error::{Error, Result};
use crate::logits::{hinge, magnitude, matrix};
use crate::loss::{Loss, beside, logits, per_class, require, rows};
use candle_core::{DType, Tensor, bail};
use serde::{Deserialize, Serialize};

/// `ℓ = d(x − y)`, x the only output, y the number of the class: 0, 1, … ; of a mixed target `Σₖ k·yₖ`.
///
/// The usual way where a weighted kappa is the score, such as in APTOS 2019. Reference implementations of d:
/// `torch.nn.functional.mse_loss`, `huber_loss`. `probabilities` lie on the two classes
/// beside the number: cut k is where class k and k + 1 are equally likely, and in the middle between two cuts one class has
/// them all. The number that they expect is that of the output between the first and the last class, where cuts are halves.
///
/// | field | default | range |
/// |---|---|---|
/// | `of` | "mse" | d: "mse" `e²`; "huber" `½e²` up to 1, then `\|e\| − ½` |
/// | `classes` | none | at least 1, K; recipes fill it in |
/// | `cuts` | none | K − 1 numbers, each larger than the one before; none: k + ½ |
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrdinalRegression {
    /// d.
    pub of: Distance,
    /// K.
    pub classes: Option<usize>,
    /// Where one class ends and the next begins.
    pub cuts: Option<Vec<f64>>,
}

/// How far a number is from another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distance {
    /// Squared.
    #[default]
    Mse,
    /// Squared when near.
    Huber,
}

const NAME: &str = "ordinal_regression";

impl OrdinalRegression {
    /// Numbers `[B, 1]` with `cuts` moved to k + ½.
    fn moved(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let Some(cuts) = self.cuts.as_ref() else { return Ok(x.clone()) };
        let (Some(first), Some(last)) = (cuts.first(), cuts.last()) else { return Ok(x.clone()) };
        // Lines of slope 1 before the first and behind the last one, between two of them from one half to the next.
        let zero = x.zeros_like()?;
        let mut moved =
            (x.affine(1.0, -first)?.minimum(&zero)? + x.affine(1.0, -last)?.maximum(&zero)?)?.affine(1.0, 0.5)?;
        for pair in cuts.windows(2) {
            let width = pair[1] - pair[0];
            moved = (moved + x.affine(width.recip(), -pair[0] / width)?.clamp(0.0, 1.0)?)?;
        }
        Ok(moved)
    }
}

impl Loss for OrdinalRegression {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let x = beside(output, target)?;
        if x.dim(1)? != 1 {
            bail!("an output is [B, 1] numbers, got {:?}", output.dims());
        }
        let numbers = match (target.dims(), target.dtype()) {
            ([_], DType::U32) if self.classes.is_none() => target.to_dtype(x.dtype())?.unsqueeze(1)?,
            (dims, kind) => {
                let Some(classes) = self.classes.or(dims.get(1).copied()) else {
                    bail!("a target is [B] U32 class ids or [B, K] rows of floats, got {dims:?} {kind:?}")
                };
                let each = matrix((classes, 1), &x, |class, _| class as f64)?;
                rows(target, classes, x.dtype())?.matmul(&each)?
            }
        };
        let apart = (x - numbers)?;
        match self.of {
            Distance::Mse => apart.sqr()?.squeeze(1),
            Distance::Huber => {
                let size = magnitude(&apart)?;
                let near = size.minimum(1.0)?;
                ((near.sqr()? * 0.5)? + (size - near)?)?.squeeze(1)
            }
        }
    }
    fn probabilities(&self, output: &Tensor) -> candle_core::Result<Tensor> {
        let (x, Some(classes)) = (logits(output)?, self.classes) else {
            bail!("{NAME}: `classes` is missing, how many there are; recipes fill it in")
        };
        if x.dim(1)? != 1 {
            bail!("an output is [B, 1] numbers, got {:?}", output.dims());
        }
        let each: Vec<f64> = (0..classes).map(|class| class as f64).collect();
        let at = self.moved(&x)?.clamp(0.0, classes.saturating_sub(1) as f64)?;
        at.broadcast_sub(&per_class(&each, &x)?)?.abs()?.affine(-1.0, 1.0).and_then(|near| hinge(&near))
    }
    fn validate(&self) -> Result<()> {
        require(NAME, self.classes != Some(0), "classes must be at least 1")?;
        let Some(cuts) = &self.cuts else { return Ok(()) };
        let rising = cuts.iter().all(|cut| cut.is_finite()) && cuts.windows(2).all(|pair| pair[1] - pair[0] >= 1e-6);
        require(NAME, rising, format!("cuts must be numbers, each larger than the one before, got {cuts:?}"))
    }
    fn check(&self, classes: usize) -> Result<()> {
        match self.classes {
            Some(known) if known != classes => {
                let why = format!("classes is {known}, but there are {classes}; leave it away");
                Err(Error::Invalid { name: NAME, why })
            }
            _ => {
                let (between, given) = (classes.saturating_sub(1), self.cuts.as_ref().map(Vec::len));
                let rule = || format!("cuts needs {between} numbers for {classes} classes, got {}", given.unwrap_or(0));
                require(NAME, given.is_none_or(|given| given == between), rule())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn cuts_say_where_classes_end() {
        let said = |cuts: Option<Vec<f64>>, x: f64| {
            let loss = OrdinalRegression { classes: Some(4), cuts, ..Default::default() };
            loss.validate().unwrap();
            loss.probabilities(&Tensor::new(&[[x]], &Device::Cpu).unwrap()).unwrap().to_vec2::<f64>().unwrap()[0]
                .clone()
        };
        assert!(said(None, f64::NAN).iter().all(|p| p.is_nan()));
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(close(&said(None, 1.25), &[0.0, 0.75, 0.25, 0.0]));
        assert!(close(&said(None, -7.0), &[1.0, 0.0, 0.0, 0.0]));
        assert!(close(&said(None, 9.0), &[0.0, 0.0, 0.0, 1.0]));
        let cuts = || Some(vec![0.4, 1.0, 3.0]);
        for (cut, k) in [(0.4, 0), (1.0, 1), (3.0, 2)] {
            let p = said(cuts(), cut);
            assert!((p[k] - 0.5).abs() < 1e-12 && (p[k + 1] - 0.5).abs() < 1e-12, "{cut}: {p:?}");
        }
        // The middle between two cuts is all of one class, and half a number beyond the outer ones, too.
        assert!(close(&said(cuts(), 0.7), &[0.0, 1.0, 0.0, 0.0]) && close(&said(cuts(), 2.0), &[0.0, 0.0, 1.0, 0.0]));
        assert!(close(&said(cuts(), -0.1), &[1.0, 0.0, 0.0, 0.0]) && close(&said(cuts(), 3.5), &[0.0, 0.0, 0.0, 1.0]));
        let wrong = |cuts| OrdinalRegression { cuts: Some(cuts), ..Default::default() };
        assert!(wrong(vec![1.0, 1.0]).validate().is_err() && wrong(vec![f64::NAN]).validate().is_err());
        assert!(wrong(vec![0.5]).check(3).is_err() && wrong(vec![0.5, 1.0]).check(3).is_ok());
    }
}

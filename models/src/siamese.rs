//! What stands behind a network that learns without labels, from two views of each picture.
//!
//! Chen & He, "Exploring simple siamese representation learning", 2021 (arXiv 2011.10566). Reference implementation:
//! facebookresearch/simsiam.

use crate::error::{Error, Result};
use crate::layers::{BatchNorm, Branch, Dense, Variables};
use crate::pass::Pass;
use candle_core::Tensor;
use candle_nn::VarBuilder;

/// Projector and predictor of SimSiam. Variables are `projector.*` and `predictor.*`.
///
/// The projector is linear, batch norm, ReLU, twice, then linear and batch norm, all of `width`; the predictor is linear to
/// `bottleneck`, batch norm, ReLU, linear.
pub struct Siamese {
    projector: Branch,
    last: Dense,
    norm: BatchNorm,
    predictor: Branch,
    predicted: Dense,
}

impl Siamese {
    /// Behind rows of `features` numbers. The reference has a width of 2048 and a bottleneck of 512.
    ///
    /// # Errors
    /// Sizes of 0, variables of another shape.
    pub fn new(features: usize, width: usize, bottleneck: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        if features * width * bottleneck == 0 {
            return Err(Error::Invalid("a projector and a predictor need at least one feature in every layer".into()));
        }
        let mut vars = Variables::new("projector", vb);
        let projector = Branch::new(&mut vars, features, &[width, width], 0.0)?;
        // No bias: the norm behind it takes it away.
        let last = Dense::new(&mut vars, "last", [width, width], false)?;
        let norm = BatchNorm::new(&mut vars, Self::NORM, width)?;
        let mut vars = Variables::new("predictor", vb);
        let predictor = Branch::new(&mut vars, width, &[bottleneck], 0.0)?;
        let predicted = Dense::new(&mut vars, "last", [bottleneck, width], true)?;
        Ok(Self { projector, last, norm, predictor, predicted })
    }

    const NORM: &str = "norm";

    /// Whether a variable is to be trained: the projector's last norm stays without scale and shift.
    pub fn learns(variable: &str) -> bool {
        !["projector.norm.weight", "projector.norm.bias"].contains(&variable)
    }

    /// Projections and what is predicted of the other view's, `[N, width]` both, from rows `[N, features]`.
    pub fn forward(&self, rows: &Tensor, pass: &Pass<'_>) -> candle_core::Result<(Tensor, Tensor)> {
        let z = self.norm.forward(&self.last.forward(&self.projector.forward(rows, pass)?, pass)?, pass)?;
        let p = self.predicted.forward(&self.predictor.forward(&z, pass)?, pass)?;
        Ok((z, p))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::seeded;
    use candle_core::{DType, Device};
    use candle_nn::VarMap;

    #[test]
    fn projections_have_no_scale_and_all_others_learn() {
        let vars = VarMap::new();
        let siamese = Siamese::new(6, 10, 4, &seeded(&vars, 3, DType::F32, &Device::Cpu)).unwrap();
        let numbers: Vec<f32> = (0..8 * 6).map(|i| (1.7 * i as f32).sin()).collect();
        let rows = Tensor::from_vec(numbers, (8, 6), &Device::Cpu).unwrap();
        let (z, p) = siamese.forward(&rows, &Pass::train(0)).unwrap();
        assert_eq!((z.dims(), p.dims()), (&[8, 10][..], &[8, 10][..]));
        let variance = z.sqr().unwrap().mean(0).unwrap().to_vec1::<f32>().unwrap();
        assert!(variance.iter().all(|v| (v - 1.0).abs() < 1e-3), "{variance:?}");
        let store = p.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        let all = vars.data().lock().unwrap().clone();
        let mut learning = 0;
        for (name, var) in all.iter().filter(|(name, _)| !name.contains("running")) {
            learning += usize::from(Siamese::learns(name));
            assert!(store.get(var).is_some(), "{name}");
        }
        assert_eq!((learning, all.len()), (12, 12 + 2 + 8));
        assert!(Siamese::new(6, 0, 4, &seeded(&vars, 3, DType::F32, &Device::Cpu)).is_err());
    }
}

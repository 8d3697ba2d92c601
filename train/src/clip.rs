//! Gradient clipping.

use crate::params::Gradients;
use candle_core::{DType, Result};

/// L2 norm of all gradients together, summed in F64 in the order of the parameters.
pub fn global_norm(gradients: &Gradients) -> Result<f64> {
    let mut sum = 0.0;
    for g in &gradients.0 {
        sum += g.sqr()?.sum_all()?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
    }
    Ok(sum.sqrt())
}

/// Scales all gradients so that their global norm is at most `limit`
/// (Pascanu et al. 2013; as `torch.nn.utils.clip_grad_norm_`: the factor is `limit / (norm + 1e-6)`).
pub fn by_norm(gradients: Gradients, limit: f64) -> crate::Result<Gradients> {
    let factor = limit / (global_norm(&gradients)? + 1e-6);
    if factor < 1.0 { gradients.scale(factor) } else { Ok(gradients) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};

    #[test]
    fn three_four_becomes_unit_length() {
        let g = |v: f64| Tensor::new(&[v], &Device::Cpu).unwrap();
        let clipped = by_norm(Gradients(vec![g(3.0), g(4.0)]), 1.0).unwrap();
        let values: Vec<f64> = clipped.0.iter().map(|t| t.to_vec1::<f64>().unwrap()[0]).collect();
        assert!((values[0] - 0.6).abs() < 1e-6 && (values[1] - 0.8).abs() < 1e-6, "{values:?}");
        let kept = by_norm(Gradients(vec![g(3.0), g(4.0)]), 10.0).unwrap();
        assert_eq!(kept.0[0].to_vec1::<f64>().unwrap(), [3.0]);
    }
}

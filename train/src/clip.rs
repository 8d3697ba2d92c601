//! Gradients before a step: clipped, centralized.

use crate::optim::rule::squares;
use crate::params::{Gradients, Params};
use candle_core::{Result, Tensor};

/// L2 norm of all gradients together, summed in F64 in the order of the parameters.
pub fn global_norm(gradients: &Gradients) -> Result<f64> {
    Ok(gradients.0.iter().map(squares).sum::<Result<f64>>()?.sqrt())
}

/// Scales all gradients so that their global norm is at most `limit`
/// (Pascanu et al. 2013; as `torch.nn.utils.clip_grad_norm_`: the factor is `limit / (norm + 1e-6)`).
pub fn by_norm(gradients: Gradients, limit: f64) -> crate::Result<Gradients> {
    let norm = global_norm(&gradients)?;
    by_known_norm(gradients, norm, limit)
}

pub(crate) fn by_known_norm(gradients: Gradients, norm: f64, limit: f64) -> crate::Result<Gradients> {
    let factor = limit / (norm + 1e-6);
    if factor < 1.0 { gradients.scale(factor) } else { Ok(gradients) }
}

/// Cuts every number to `−limit..=limit` (as `torch.nn.utils.clip_grad_value_`).
pub fn by_value(gradients: Gradients, limit: f64) -> crate::Result<Gradients> {
    Ok(Gradients(gradients.0.iter().map(|g| g.clamp(-limit, limit)).collect::<Result<_>>()?))
}

/// Adaptive clipping: the gradient of each unit, a row of `[out, …]` or a whole vector, is at most `factor` times as long as
/// the unit, and units count as at least 1e-3 long (Brock et al., "High-performance large-scale image recognition without
/// normalization", 2021; as timm's `adaptive_clip_grad`). The authors leave the last layer out: `applies` says to which
/// parameters it applies, by name.
pub fn by_unit(
    gradients: Gradients,
    params: &Params,
    factor: f64,
    applies: impl Fn(&str) -> bool,
) -> crate::Result<Gradients> {
    let length = |t: &Tensor| -> Result<Tensor> {
        let rows = if t.rank() > 1 { t.flatten_from(1)? } else { t.reshape((1, t.elem_count()))? };
        rows.sqr()?.sum_keepdim(1)?.sqrt()
    };
    let clip = |(g, param): (&Tensor, &crate::Param)| -> Result<Tensor> {
        if !applies(&param.name) {
            return Ok(g.clone());
        }
        let limit = (length(&param.var.as_detached_tensor())?.maximum(1e-3)? * factor)?;
        // Where it is longer than its limit, limit / length is less than 1.
        let scale = (limit / length(g)?.maximum(1e-6)?)?.minimum(1.0)?;
        let rows = g.reshape((scale.dim(0)?, g.elem_count() / scale.dim(0)?.max(1)))?;
        rows.broadcast_mul(&scale)?.reshape(g.dims())
    };
    Ok(Gradients(gradients.0.iter().zip(&params.0).map(clip).collect::<Result<_>>()?))
}

/// Takes the mean of each unit's gradient out of it, in parameters with more than one dimension (Yong et al., "Gradient
/// centralization: a new optimization technique for deep neural networks", 2020).
pub fn centralize(gradients: Gradients) -> crate::Result<Gradients> {
    let center = |g: &Tensor| -> Result<Tensor> {
        if g.rank() < 2 {
            return Ok(g.clone());
        }
        let rows = g.flatten_from(1)?;
        rows.broadcast_sub(&rows.mean_keepdim(1)?)?.reshape(g.dims())
    };
    Ok(Gradients(gradients.0.iter().map(center).collect::<Result<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::variables;
    use candle_core::{Device, Var};
    use candle_nn::VarMap;

    fn g(v: f64) -> Tensor {
        Tensor::new(&[v], &Device::Cpu).unwrap()
    }

    #[test]
    fn three_four_becomes_unit_length() {
        let clipped = by_norm(Gradients(vec![g(3.0), g(4.0)]), 1.0).unwrap();
        let values: Vec<f64> = clipped.0.iter().map(|t| t.to_vec1::<f64>().unwrap()[0]).collect();
        assert!((values[0] - 0.6).abs() < 1e-6 && (values[1] - 0.8).abs() < 1e-6, "{values:?}");
        let kept = by_norm(Gradients(vec![g(3.0), g(4.0)]), 10.0).unwrap();
        assert_eq!(kept.0[0].to_vec1::<f64>().unwrap(), [3.0]);
    }

    #[test]
    fn values_are_cut() {
        let cut = by_value(Gradients(vec![Tensor::new(&[-3.0, 0.2, 3.0], &Device::Cpu).unwrap()]), 1.0).unwrap();
        assert_eq!(cut.0[0].to_vec1::<f64>().unwrap(), [-1.0, 0.2, 1.0]);
    }

    /// timm's `adaptive_clip_grad(clip_factor=0.1)`: rows of length 5 and 0 against limits 0.5 and 1e-4.
    #[test]
    fn units_are_clipped_by_their_own_length() {
        let vars = VarMap::new();
        let weight = Tensor::new(&[[3.0, 4.0], [0.0, 0.0], [30.0, 40.0]], &Device::Cpu).unwrap();
        vars.data().lock().unwrap().insert("a.weight".into(), Var::from_tensor(&weight).unwrap());
        vars.data().lock().unwrap().insert("b.bias".into(), Var::from_tensor(&g(2.0)).unwrap());
        vars.data().lock().unwrap().insert("head.bias".into(), Var::from_tensor(&g(2.0)).unwrap());
        assert_eq!(variables(&vars).len(), 3);
        let params = Params::new(&vars, |_| Some(1.0));
        let gradient = Tensor::new(&[[0.6, 0.8], [0.3, 0.4], [0.6, 0.8]], &Device::Cpu).unwrap();
        let clipped =
            by_unit(Gradients(vec![gradient, g(1.0), g(1.0)]), &params, 0.1, |n| !n.starts_with("head.")).unwrap();
        let rows = clipped.0[0].to_vec2::<f64>().unwrap();
        let wants = [[0.3, 0.4], [0.00006, 0.00008], [0.6, 0.8]];
        for (row, want) in rows.iter().zip(wants) {
            assert!(row.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12), "{rows:?}");
        }
        assert!((clipped.0[1].to_vec1::<f64>().unwrap()[0] - 0.2).abs() < 1e-12);
        assert_eq!(clipped.0[2].to_vec1::<f64>().unwrap(), [1.0]);
    }

    #[test]
    fn central_gradients_have_mean_zero() {
        let matrix = Tensor::new(&[[1.0, 3.0], [5.0, 5.0]], &Device::Cpu).unwrap();
        let central = centralize(Gradients(vec![matrix, g(1.0)])).unwrap();
        assert_eq!(central.0[0].to_vec2::<f64>().unwrap(), [[-1.0, 1.0], [0.0, 0.0]]);
        assert_eq!(central.0[1].to_vec1::<f64>().unwrap(), [1.0]);
    }
}

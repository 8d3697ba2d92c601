//! Grad-CAM.

use crate::error::{Error, Result};
use candle_core::{D, DType, IndexOp, Tensor, Var};

/// Where in the feature map class `class` was seen: `[V, h, w]` F32 in 0..=1 (Selvaraju et al. 2017).
///
/// `features` `[V, F, h, w]` are the last feature maps of the V pictures of one sample, one in most cases; `classify` is the
/// rest of the network up to the logits `[1, K]`, in its mode for prediction. `ReLU(Σₖ αₖ·Aₖ)` with αₖ the mean over a map
/// of the logit's gradient, then all maps together stretched to 0..=1; all 0 where no part of them speaks for the class, all 1
/// where every part does so equally.
///
/// # Errors
/// Other shapes, a class that is not below K, a gradient that does not arrive because a step of `classify` has none,
/// numbers that are not finite, and those of `classify`.
pub fn grad_cam(
    features: &Tensor,
    class: usize,
    classify: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
) -> Result<Tensor> {
    let &[1..=usize::MAX, _, _, _] = features.dims() else {
        return wrong(format!("features must be [V, F, h, w], got {:?}", features.dims()));
    };
    let features = Var::from_tensor(&features.detach().contiguous()?)?;
    let logits = classify(features.as_tensor())?;
    match logits.dims() {
        [1, classes] if class < *classes => {}
        [1, classes] => return wrong(format!("there is no class {class} among {classes}")),
        other => return wrong(format!("logits must be [1, K], got {other:?}")),
    }
    let gradients = logits.i((0, class))?.backward()?;
    let Some(gradient) = gradients.get(features.as_tensor()) else {
        return wrong(format!(
            "no gradient of class {class} arrives at the features: a step after them cuts the graph"
        ));
    };
    let weights = gradient.to_dtype(DType::F32)?.mean_keepdim((D::Minus1, D::Minus2))?;
    let features = features.as_detached_tensor().to_dtype(DType::F32)?;
    let map = features.broadcast_mul(&weights)?.sum(1)?;
    let mut values = map.flatten_all()?.to_vec1::<f32>()?;
    if values.iter().any(|value| !value.is_finite()) {
        return wrong(format!("the map of class {class} has values that are not finite"));
    }
    let clipped = values.iter().map(|value| value.max(0.0));
    let (low, high) = clipped.fold((f32::INFINITY, 0f32), |(low, high), v| (low.min(v), high.max(v)));
    for value in &mut values {
        *value = match high - low {
            _ if high == 0.0 => 0.0,
            0.0 => 1.0,
            span => (value.max(0.0) - low) / span,
        };
    }
    Ok(Tensor::from_vec(values, map.shape(), map.device())?)
}

fn wrong<T>(why: String) -> Result<T> {
    Err(Error::Invalid(format!("grad_cam: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn features() -> Tensor {
        Tensor::new(&[[[[1f32, 2.], [3., 4.]], [[4., 3.], [2., 1.]]]], &Device::Cpu).unwrap()
    }

    /// The means of the maps times `weights`.
    fn head(weights: [f32; 2]) -> impl Fn(&Tensor) -> candle_core::Result<Tensor> {
        move |f| f.mean((2, 3))?.broadcast_mul(&Tensor::new(&weights, &Device::Cpu)?)?.sum_keepdim(1)
    }

    fn map(weights: [f32; 2]) -> Vec<Vec<f32>> {
        grad_cam(&features(), 0, head(weights)).unwrap().squeeze(0).unwrap().to_vec2().unwrap()
    }

    #[test]
    fn views_of_one_sample_share_a_scale() {
        let two = Tensor::cat(&[features(), (features() * 0.5).unwrap()], 0).unwrap();
        let joined = |f: &Tensor| head([1.0, -0.5])(f)?.mean_keepdim(0);
        let maps: Vec<Vec<Vec<f32>>> = grad_cam(&two, 0, joined).unwrap().to_vec3().unwrap();
        let (strong, weak) = (maps[0].concat(), maps[1].concat());
        assert!(strong[3] == 1.0 && strong.iter().zip(&weak).all(|(a, b)| (a - 2.0 * b).abs() < 1e-6), "{maps:?}");
    }

    #[test]
    fn the_checked_map() {
        let got = map([1.0, -0.5]);
        for (got, wanted) in got.concat().iter().zip([0.0, 0.125, 0.5, 0.875]) {
            assert!((got - wanted / 0.875).abs() < 1e-6, "{got} {wanted}");
        }
    }

    #[test]
    fn a_class_that_is_nowhere_or_everywhere() {
        assert_eq!(map([-1.0, -1.0]), [[0.0; 2]; 2]);
        assert_eq!(map([0.0, 0.0]), [[0.0; 2]; 2]);
        assert_eq!(map([1.0, 1.0]), [[1.0; 2]; 2]);
    }

    #[test]
    fn mistakes_are_clear_errors() {
        let error = |class, classify: &dyn Fn(&Tensor) -> candle_core::Result<Tensor>| {
            grad_cam(&features(), class, classify).unwrap_err().to_string()
        };
        let cut = |f: &Tensor| head([1.0, 1.0])(&f.detach());
        assert!(error(0, &cut).contains("no gradient of class 0 arrives at the features"));
        assert_eq!(error(1, &head([1.0, 1.0])), "grad_cam: there is no class 1 among 1");
        assert_eq!(error(0, &|f| f.mean((0, 2, 3))), "grad_cam: logits must be [1, K], got [2]");
        assert!(error(0, &|f| head([1.0, 1.0])(&(f * f64::NAN)?)).contains("not finite"));
        let flat = grad_cam(&features().squeeze(0).unwrap(), 0, head([1.0, 1.0])).unwrap_err().to_string();
        assert_eq!(flat, "grad_cam: features must be [V, F, h, w], got [2, 2, 2]");
    }
}

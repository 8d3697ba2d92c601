//! Test-time augmentation.

use crate::pixel::Symmetry;
use candle_core::{DType, Result, Tensor};
use serde::{Deserialize, Serialize};

/// From which sides a picture is looked at when it is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Views {
    /// As it is.
    #[default]
    None,
    /// As it is and mirrored.
    Flip,
    /// All eight symmetries of the square.
    Dihedral,
}

impl Views {
    /// The symmetries, the identity first.
    pub fn symmetries(self) -> &'static [Symmetry] {
        match self {
            Self::None => &[Symmetry::IDENTITY],
            Self::Flip => &[Symmetry::IDENTITY, Symmetry::MIRROR],
            Self::Dihedral => &Symmetry::ALL,
        }
    }
}

/// Mean over the views of `predict(view)`, in F32.
///
/// `predict` maps `[B, C, H, W]` (or `[B, C, D, H, W]`) to probabilities `[B, K]`. Four of the views of
/// [`Views::Dihedral`] exchange `H` and `W`, so pictures that are not square need a network that takes any size.
///
/// # Errors
/// Those of `predict`, and tensors of other shapes.
pub fn predict_views(x: &Tensor, views: Views, predict: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let probabilities = |symmetry: &Symmetry| predict(&seen(x, *symmetry)?)?.to_dtype(DType::F32);
    let (first, rest) = (&Symmetry::IDENTITY, &views.symmetries()[1..]);
    let mut sum = probabilities(first)?;
    for symmetry in rest {
        sum = (sum + probabilities(symmetry)?)?;
    }
    sum / (1 + rest.len()) as f64
}

fn seen(x: &Tensor, symmetry: Symmetry) -> Result<Tensor> {
    if symmetry == Symmetry::IDENTITY {
        return Ok(x.clone());
    }
    if x.rank() < 4 {
        candle_core::bail!("views need [B, C, H, W] or [B, C, D, H, W], got {:?}", x.shape());
    }
    let (rows, columns) = (x.rank() - 2, x.rank() - 1);
    let x = if symmetry.transpose { x.transpose(rows, columns)? } else { x.clone() };
    let flipped = [(symmetry.upside_down, rows), (symmetry.mirror, columns)];
    let dims: Vec<usize> = flipped.into_iter().filter_map(|(flip, dim)| flip.then_some(dim)).collect();
    x.contiguous()?.flip(&dims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixel::orient;
    use candle_core::Device;
    use data::Image;
    use std::cell::RefCell;

    #[test]
    fn views_are_those_of_pictures() {
        let pixels: Vec<u8> = (0..6).collect();
        let x = Tensor::from_vec(pixels.clone(), (1, 1, 2, 3), &Device::Cpu).unwrap();
        for symmetry in Symmetry::ALL {
            let picture = orient(Image::new(3, 2, 1, pixels.clone()).unwrap(), symmetry);
            let view = seen(&x, symmetry).unwrap();
            assert_eq!(view.dims(), [1, 1, picture.height(), picture.width()]);
            assert_eq!(view.flatten_all().unwrap().to_vec1::<u8>().unwrap(), picture.pixels());
        }
    }

    #[test]
    fn views_are_averaged() {
        let x = Tensor::new(&[[[[3f32, 0.]]], [[[0., 0.5]]]], &Device::Cpu).unwrap();
        let seen = RefCell::new(0);
        let predict = |x: &Tensor| {
            *seen.borrow_mut() += 1;
            x.flatten_from(1)?.to_dtype(DType::F64)
        };
        let p = predict_views(&x, Views::Flip, predict).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(p, [[1.5, 1.5], [0.25, 0.25]]);
        assert_eq!(seen.take(), 2);
        let p = predict_views(&x, Views::None, predict).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(p, [[3.0, 0.0], [0.0, 0.5]]);
        assert!(predict_views(&x.flatten_all().unwrap(), Views::Flip, predict).is_err());
    }
}

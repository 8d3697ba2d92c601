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
    /// As `flip`, and both shifted by one pixel up and left and by one down and right, with reflected borders: four views that
    /// count for half as much (KellerJordan/cifar10-airbench, `infer_mirror_translate`).
    Shift,
}

/// A way to look at a picture.
struct View {
    symmetry: Symmetry,
    /// Pixels down and right by which one looks past the picture, before it is mirrored: −1, 0 or 1.
    shift: i8,
    /// How much it counts.
    weight: f64,
}

impl Views {
    /// How many there are.
    pub fn count(self) -> usize {
        self.all().len()
    }

    /// All of them, the picture as it is first.
    fn all(self) -> Vec<View> {
        let flip = [Symmetry::IDENTITY, Symmetry::MIRROR];
        let symmetries: &[Symmetry] = match self {
            Self::None => &flip[..1],
            Self::Flip | Self::Shift => &flip,
            Self::Dihedral => &Symmetry::ALL,
        };
        let (shifts, weight): (&[i8], f64) = if self == Self::Shift { (&[0, -1, 1], 2.0) } else { (&[0], 1.0) };
        let of = |&shift: &i8| {
            let weight = if shift == 0 { weight } else { 1.0 };
            symmetries.iter().map(move |&symmetry| View { symmetry, shift, weight })
        };
        shifts.iter().flat_map(of).collect()
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
    let mut sum: Option<Tensor> = None;
    let all = views.all();
    for View { symmetry, shift, weight } in &all {
        let said = predict(&seen(&shifted(x, *shift)?, *symmetry)?)?.to_dtype(DType::F32)?;
        let said = if *weight == 1.0 { said } else { (said * *weight)? };
        sum = Some(match sum {
            Some(sum) => (sum + said)?,
            None => said,
        });
    }
    let weights: f64 = all.iter().map(|view| view.weight).sum();
    match sum {
        Some(sum) => sum / weights,
        None => candle_core::bail!("there is no view"),
    }
}

/// The picture `shift` pixels further down and right, its border reflected.
fn shifted(x: &Tensor, shift: i8) -> Result<Tensor> {
    if shift == 0 {
        return Ok(x.clone());
    }
    if x.rank() < 4 {
        candle_core::bail!("views need [B, C, H, W] or [B, C, D, H, W], got {:?}", x.shape());
    }
    let along = |x: Tensor, axis: usize| -> Result<Tensor> {
        let last = x.dim(axis)? as i64 - 1;
        let at = |i: i64| {
            let i = i + i64::from(shift);
            let inside = if i < 0 {
                -i
            } else if i > last {
                2 * last - i
            } else {
                i
            };
            inside.clamp(0, last) as u32
        };
        x.index_select(&Tensor::from_iter((0..=last).map(at), x.device())?, axis)
    };
    along(along(x.clone(), x.rank() - 2)?, x.rank() - 1)
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

    /// PyTorch: `F.pad(x, (1,) * 4, "reflect")[:, :, :2, :3]` and `[:, :, 2:, 2:]`, as they are and flipped.
    #[test]
    fn shifted_views_count_for_half() {
        let x = Tensor::new(&[[[[0f32, 1., 2.], [3., 4., 5.]]]], &Device::Cpu).unwrap();
        let looked = RefCell::new(vec![]);
        let predict = |x: &Tensor| {
            looked.borrow_mut().push(x.flatten_all()?.to_vec1::<f32>()?);
            x.flatten_from(1)
        };
        let p = predict_views(&x, Views::Shift, predict).unwrap().to_vec2::<f32>().unwrap();
        let views: [[f32; 6]; 6] = [
            [0., 1., 2., 3., 4., 5.],
            [2., 1., 0., 5., 4., 3.],
            [4., 3., 4., 1., 0., 1.],
            [4., 3., 4., 1., 0., 1.],
            [4., 5., 4., 1., 2., 1.],
            [4., 5., 4., 1., 2., 1.],
        ];
        assert_eq!(looked.take(), views);
        assert_eq!(Views::Shift.count(), 6);
        let mean = |k: usize| (2.0 * (views[0][k] + views[1][k]) + (2..6).map(|v| views[v][k]).sum::<f32>()) / 8.0;
        assert_eq!(p[0], (0..6).map(mean).collect::<Vec<_>>());
        assert!(predict_views(&x.flatten_all().unwrap(), Views::Shift, predict).is_err());
    }
}

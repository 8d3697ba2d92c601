//! Test-time augmentation.

use crate::draw::Draw;
use crate::pixel::{Region, Symmetry};
use crate::resample::through;
use candle_core::{DType, Result, Tensor};
use data::Stream;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU8;

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
    /// The four corners and the middle, 7/8 of the sides, resized to the sides (`torchvision` `FiveCrop`; Krizhevsky et al.
    /// 2012 with 224 of 256 pixels).
    FiveCrop,
    /// As `five_crop`, and all of them mirrored.
    TenCrop,
    /// As it is, and zoomed about its middle by 0.875, with reflected borders, and by 1.125.
    MultiScale,
    /// This many, 1..=255: as it is, and crops of 0.8 to 1 of the sides anywhere, resized to the sides, half of them mirrored.
    /// The same ones for every picture.
    Random(NonZeroU8),
}

/// All [`Views`]: name in recipes, one sentence.
pub const VIEWS: &[(&str, &str)] = &[
    ("dihedral", "All eight symmetries of the square."),
    ("five_crop", "The four corners and the middle."),
    ("flip", "As it is and mirrored."),
    ("multi_scale", "As it is, smaller and larger."),
    ("none", "As it is."),
    ("random", "As many random crops and mirrorings as it says: { random = 10 }."),
    ("shift", "As it is, mirrored, and both shifted by a pixel: six views."),
    ("ten_crop", "The five crops and all of them mirrored."),
];

/// A way to look at a picture.
#[derive(Clone, Copy)]
struct View {
    /// Sides of the window as shares of the picture's: width and height.
    size: [f64; 2],
    /// Where the window lies, as shares of the room that it leaves to the left and above.
    at: [f64; 2],
    /// Pixels by which the window then moves down and right.
    shift: isize,
    /// What happens to what is seen in the window.
    symmetry: Symmetry,
    /// How much it counts.
    weight: f64,
}

impl View {
    /// The picture as it is.
    const WHOLE: Self = Self { size: [1.0; 2], at: [0.5; 2], shift: 0, symmetry: Symmetry::IDENTITY, weight: 1.0 };

    fn window(&self, sides: [usize; 2]) -> Region {
        let [(left, width), (top, height)] = [0, 1].map(|i| {
            let side = sides[i] as f64;
            let length = (side * self.size[i]).round().max(1.0);
            (((side - length) * self.at[i]).round_ties_even() as isize + self.shift, length as usize)
        });
        Region { left, top, width, height }
    }
}

impl Views {
    /// How many there are.
    pub fn count(self) -> usize {
        self.all().len()
    }

    /// All of them; where the picture as it is is one, it is the first.
    fn all(self) -> Vec<View> {
        let flip = [Symmetry::IDENTITY, Symmetry::MIRROR];
        let under = |symmetries: &[Symmetry], views: &[View]| -> Vec<View> {
            let each = |symmetry: &Symmetry| {
                let symmetry = *symmetry;
                views.iter().map(move |view| View { symmetry, ..*view })
            };
            symmetries.iter().flat_map(each).collect()
        };
        let crop = |x, y| View { size: [0.875; 2], at: [x, y], ..View::WHOLE };
        let five = [crop(0.0, 0.0), crop(1.0, 0.0), crop(0.0, 1.0), crop(1.0, 1.0), crop(0.5, 0.5)];
        match self {
            Self::None => vec![View::WHOLE],
            Self::Flip => under(&flip, &[View::WHOLE]),
            Self::Dihedral => under(&Symmetry::ALL, &[View::WHOLE]),
            Self::Shift => [0, -1, 1]
                .map(|shift| {
                    let weight = if shift == 0 { 2.0 } else { 1.0 };
                    under(&flip, &[View { shift, weight, ..View::WHOLE }])
                })
                .concat(),
            Self::FiveCrop => five.to_vec(),
            Self::TenCrop => under(&flip, &five),
            Self::MultiScale => [1.0, 0.875, 1.125].map(|zoom| View { size: [1.0 / zoom; 2], ..View::WHOLE }).to_vec(),
            Self::Random(count) => {
                let mut stream = Stream::new(0, 0, 0);
                let mut draw = Draw::new(&mut stream);
                let random = (1..count.get()).map(|_| View {
                    size: [draw.uniform("width", [0.8, 1.0]), draw.uniform("height", [0.8, 1.0])],
                    at: [draw.uniform("x", [0.0, 1.0]), draw.uniform("y", [0.0, 1.0])],
                    symmetry: flip[draw.below("mirror", 2)],
                    ..View::WHOLE
                });
                std::iter::once(View::WHOLE).chain(random).collect()
            }
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
    let mut sum: Option<Tensor> = None;
    let all = views.all();
    for view @ View { symmetry, weight, .. } in &all {
        let said = predict(&seen(&framed(x, view)?, *symmetry)?)?.to_dtype(DType::F32)?;
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

/// What is seen in the window of a view, as large as the picture.
fn framed(x: &Tensor, view: &View) -> Result<Tensor> {
    if view.size == [1.0; 2] && view.shift == 0 {
        return Ok(x.clone());
    }
    let [_, _, .., height, width] = *x.dims() else {
        candle_core::bail!("views need [B, C, H, W] or [B, C, D, H, W], got {:?}", x.shape());
    };
    through(x, view.window([width, height]), [width, height])
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

    /// The table has every word that a recipe may say.
    #[test]
    fn the_table_is_complete() {
        for (name, doc) in VIEWS {
            let said = if *name == "random" { serde_json::json!({"random": 3}) } else { serde_json::json!(name) };
            assert!(serde_json::from_value::<Views>(said).is_ok() && doc.ends_with('.'), "{name}");
        }
        let known = serde_json::from_str::<Views>("\"x\"").unwrap_err().to_string();
        assert_eq!(known.matches('`').count() / 2 - 1, VIEWS.len(), "{known}");
    }

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

    fn looked_at(x: &Tensor, views: Views) -> Vec<Vec<f32>> {
        let looked = RefCell::new(vec![]);
        let predict = |x: &Tensor| {
            looked.borrow_mut().push(x.flatten_all()?.to_vec1::<f32>()?);
            x.flatten_from(1)
        };
        predict_views(x, views, predict).unwrap();
        looked.take()
    }

    fn random(count: u8) -> Views {
        Views::Random(NonZeroU8::new(count).unwrap())
    }

    #[test]
    fn one_color_looks_the_same_from_everywhere() {
        for views in [Views::FiveCrop, Views::TenCrop, Views::MultiScale, Views::Shift, random(7)] {
            for shape in [&[2, 3, 9, 14][..], &[1, 2, 3, 6, 5], &[1, 1, 1, 1], &[1, 1, 1, 30]] {
                let x = Tensor::full(0.75f32, shape, &Device::Cpu).unwrap();
                let p = predict_views(&x, views, |x| {
                    assert_eq!(x.dims(), shape);
                    x.flatten_from(1)
                });
                let p = p.unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
                assert!(p.iter().all(|p| (p - 0.75).abs() < 1e-5), "{views:?} {shape:?}");
            }
            let x = Tensor::zeros((3, 4, 5), DType::F32, &Device::Cpu).unwrap();
            assert!(predict_views(&x, views, |x| x.flatten_from(1)).is_err() || views == random(1));
        }
    }

    #[test]
    fn ten_crops_are_five_and_their_mirror_images() {
        let x = Tensor::rand(0f32, 1.0, (1, 1, 16, 8), &Device::Cpu).unwrap();
        let (five, ten) = (looked_at(&x, Views::FiveCrop), looked_at(&x, Views::TenCrop));
        assert_eq!((five.len(), ten.len(), &ten[..5]), (5, 10, &five[..]));
        for (view, mirrored) in five.iter().zip(&ten[5..]) {
            let rows = view.chunks_exact(8).flat_map(|row| row.iter().rev().copied());
            assert_eq!(rows.collect::<Vec<_>>(), *mirrored);
        }
    }

    #[test]
    fn random_views_are_always_the_same_and_all_differ() {
        let x = Tensor::rand(0f32, 1.0, (1, 1, 40, 40), &Device::Cpu).unwrap();
        let views = looked_at(&x, random(9));
        assert_eq!((views.len(), random(9).count()), (9, 9));
        assert_eq!(views[..4], looked_at(&x, random(4)));
        assert_eq!(views[0], x.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        assert!((0..9).all(|i| (0..i).all(|j| views[i] != views[j])));
    }

    #[test]
    fn views_are_written_as_in_recipes() {
        let read = |text: &str| serde_json::from_str::<Views>(text);
        assert_eq!(read("\"ten_crop\"").unwrap(), Views::TenCrop);
        assert_eq!(read("{\"random\": 8}").unwrap(), random(8));
        assert_eq!(serde_json::to_string(&random(8)).unwrap(), "{\"random\":8}");
        assert!(read("{\"random\": 0}").is_err() && read("\"random\"").is_err());
    }
}

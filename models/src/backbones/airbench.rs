//! The airbench network for CIFAR-10: Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024 (arXiv 2404.00498).
//!
//! Reference implementation: KellerJordan/cifar10-airbench `airbench94`, whose variable names these are. Its first layer
//! takes 2×2 pixels apart along their principal components ([`whitening`]), the others start as identities:
//! [`begin`](crate::begin) sets both from training pictures. There the first layer's weight is then left as it is, the stage
//! `whiten`. What differs: the scale of its norms stays at 1 there and
//! learns here, and its head has no bias. Ours starts as PyTorch's linear layer, and reads features already scaled.

use super::convolutional::{Convolutional, Stage};
use crate::backbone::{Backbone, Begin, Family, Preset};
use crate::error::{Error, Result};
use crate::growth::{deeper, wider};
use crate::init::dirac;
use crate::limits;
use crate::ops::{Act, Flow, Node, Pool, Program, block, k};
use candle_core::{DType, Device, IndexOp, Tensor, Var};
use candle_nn::{Init, VarBuilder};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A whitening layer and groups of 3×3 convolutions, for pictures of 31 pixels or more.
///
/// | field | default | range |
/// |---|---|---|
/// | `widths` | 64, 256, 256 | channels of each group |
/// | `convs` | 2 | at least 1, convolutions of each group; behind the first one the map is halved |
/// | `act` | gelu | a name of [`Act`] |
/// | `scale` | 1/9 | above 0, factor of what the head reads, and so of the logits |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Airbench {
    /// Channels of each group; every group halves the map.
    pub widths: Vec<usize>,
    /// Convolutions of each group.
    pub convs: usize,
    /// Activation.
    pub act: Act,
    /// Factor of what the head reads.
    pub scale: f64,
}

impl Default for Airbench {
    fn default() -> Self {
        Self { widths: vec![64, 256, 256], convs: 2, act: Act::Gelu, scale: 1.0 / 9.0 }
    }
}

impl Family for Airbench {
    const HEAD: &str = "7";
    const BEGIN: Option<Begin> = Some(begin);

    fn presets() -> Vec<Preset<Self>> {
        vec![("airbench94", "A small fast network for 32-pixel pictures, 94 % on CIFAR-10.", Self::default())]
    }

    fn picture_size(_: &str) -> usize {
        32
    }

    /// Width: `widths`; depth: `convs`.
    fn grown(&self, width: f64, depth: f64) -> Option<Self> {
        let widths = self.widths.iter().map(|&channels| wider(channels, width, 1)).collect();
        Some(Self { widths, convs: deeper(self.convs, depth), ..self.clone() })
    }

    fn build(&self, channels: usize, vb: VarBuilder<'_>) -> Result<Box<dyn Backbone>> {
        if self.widths.is_empty() || self.widths.contains(&0) || channels * self.convs == 0 {
            return Err(Error::Invalid(
                "airbench: needs at least one group of at least one channel and convolution".into(),
            ));
        }
        if !(self.scale > 0.0 && self.scale.is_finite()) {
            return Err(Error::Invalid(format!("airbench: scale must be above 0, got {}", self.scale)));
        }
        limits::stages("airbench", self.widths.iter().map(|_| self.convs))?;
        let (stages, width) = (self.stages(channels)?, self.widths[self.widths.len() - 1]);
        let scaled = block(width, |x| x.times(self.scale))?;
        Ok(Box::new(Convolutional::new(channels, stages, vb.clone())?.with_neck(Stage::of("scale", scaled), vb)?))
    }
}

impl Airbench {
    /// The network as data. The reference numbers whitening, activation, groups, pool and head through.
    fn stages(&self, channels: usize) -> Result<Vec<Stage>> {
        let filters = 2 * 4 * channels;
        let whiten = block(channels, |x| x.conv("0", filters, k(2).pad(0).bias()).act(self.act))?;
        let mut stages = vec![Stage::of("whiten", started(whiten))];
        let mut reads = filters;
        for (i, &width) in self.widths.iter().enumerate() {
            let mut blocks = vec![(format!("{}", i + 2), started(block(reads, |x| self.group(x, width))?))];
            if i + 1 == self.widths.len() {
                blocks.push((String::new(), block(width, |x| x.pool(Pool::Max, k(3).pad(0).stride(3)))?));
            }
            stages.push(Stage { name: format!("group{}", i + 1), blocks });
            reads = width;
        }
        Ok(stages)
    }

    fn group<'a>(&self, x: Flow<'a>, width: usize) -> Flow<'a> {
        (1..=self.convs).fold(x, |x, i| {
            let y = x.conv(&format!("conv{i}"), width, k(3));
            let y = if i == 1 { y.pool(Pool::Max, k(2).pad(0).stride(2)) } else { y };
            y.norm(&format!("norm{i}")).act(self.act)
        })
    }
}

/// Statistics follow fast, and nothing is added to variances: the run has 400 steps. Convolutions start as PyTorch's.
fn started(mut program: Program) -> Program {
    for node in &mut program.nodes {
        match node {
            Node::Norm { eps, momentum, .. } => (*eps, *momentum) = (1e-12, 0.4),
            Node::Conv { weight, .. } => {
                let weight = &mut program.params[*weight];
                let bound = 1.0 / (weight.shape[1..].iter().product::<usize>() as f64).sqrt();
                weight.init = Init::Uniform { lo: -bound, up: bound };
            }
            _ => {}
        }
    }
    program
}

/// Whitens the first layer; the other convolutions pass on what they read, beside what they start with.
fn begin(vars: &BTreeMap<String, Var>, pictures: &Tensor) -> candle_core::Result<()> {
    for (name, var) in vars.iter().filter(|(_, var)| var.rank() == 4) {
        let started = match name.as_str() {
            "0.weight" => whitening(pictures, 2)?,
            _ if var.dim(0)? >= var.dim(1)? => passing_on(&var.as_detached_tensor())?,
            // Too narrow to pass on all of it.
            _ => continue,
        };
        var.set(&started.to_dtype(var.dtype())?.to_device(var.device())?)?;
    }
    Ok(())
}

/// `weight` `[O, I, k, k]` with its first filters, one per input channel, replaced by the identity.
fn passing_on(weight: &Tensor) -> candle_core::Result<Tensor> {
    let (_, reads, height, width) = weight.dims4()?;
    let identity = dirac(&[reads, reads, height, width], 1)?;
    let identity = Tensor::from_vec(identity, (reads, reads, height, width), weight.device())?;
    Tensor::cat(&[&identity.to_dtype(weight.dtype())?, &weight.i(reads..)?.contiguous()?], 0)
}

/// What keeps filters of hardly any variance finite, as in the reference.
const EPS: f64 = 5e-4;

/// The filters `[2·C·s², C, s, s]` that make the `s × s` patches of `pictures` `[N, C, H, W]` white: their principal
/// components, the strongest first, each divided by its standard deviation; then the same with the other sign, so that an
/// activation behind them loses nothing. The largest number of each of the first half is positive. A few thousand
/// pictures are enough.
///
/// # Errors
/// When there is no patch of that size.
pub fn whitening(pictures: &Tensor, side: usize) -> candle_core::Result<Tensor> {
    let (count, channels, height, width) = pictures.dims4()?;
    if count * channels * side == 0 || height < side || width < side {
        candle_core::bail!("whitening: no patch of {side} pixels in {:?}", pictures.dims())
    }
    let values = channels * side * side;
    let (rows, columns) = (height + 1 - side, width + 1 - side);
    let mut moments = Tensor::zeros((values, values), DType::F64, &Device::Cpu)?;
    for picture in 0..count {
        let picture = pictures.i(picture)?.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
        let mut taps = Vec::with_capacity(values);
        for c in 0..channels {
            for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (y, x))) {
                taps.push(picture.i((c, y..y + rows, x..x + columns))?.flatten_all()?);
            }
        }
        let patches = Tensor::stack(&taps, 0)?;
        moments = (moments + patches.matmul(&patches.t()?)?)?;
    }
    let moments = (moments / (count * rows * columns) as f64)?.flatten_all()?.to_vec1::<f64>()?;
    let (variances, components) = principal(moments, values);
    let filter = |(variance, component): (&f64, &Vec<f64>)| {
        let largest = component.iter().fold(0f64, |largest, v| if v.abs() > largest.abs() { *v } else { largest });
        let factor = largest.signum() / (variance + EPS).sqrt();
        component.iter().map(|v| v * factor).collect::<Vec<_>>()
    };
    let half: Vec<f64> = variances.iter().zip(&components).flat_map(filter).collect();
    let half = Tensor::from_vec(half, (values, channels, side, side), &Device::Cpu)?;
    Tensor::cat(&[&half, &half.neg()?], 0)?.to_dtype(pictures.dtype())?.to_device(pictures.device())
}

/// Eigenvalues, largest first, and eigenvectors of the symmetric `n × n` matrix `a`, by Jacobi's rotations.
fn principal(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<Vec<f64>>) {
    let mut vectors: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    let size = a.iter().map(|v| v * v).sum::<f64>();
    // Each sweep squares what is left beside the diagonal; ten are plenty.
    for _ in 0..50 {
        let beside: f64 = (0..n * n).filter(|at| at / n != at % n).map(|at| a[at] * a[at]).sum();
        if beside <= 1e-30 * size {
            break;
        }
        for (p, q) in (0..n).flat_map(|p| (p + 1..n).map(move |q| (p, q))) {
            if a[p * n + q] == 0.0 {
                continue;
            }
            // The rotation of rows and columns p and q that makes their common entry 0.
            let slope = (a[q * n + q] - a[p * n + p]) / (2.0 * a[p * n + q]);
            let t = slope.signum() / (slope.abs() + slope.hypot(1.0));
            let c = 1.0 / t.hypot(1.0);
            let s = t * c;
            let turn = |x: &mut f64, y: &mut f64| (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
            for i in 0..n {
                let (mut x, mut y) = (a[i * n + p], a[i * n + q]);
                turn(&mut x, &mut y);
                (a[i * n + p], a[i * n + q]) = (x, y);
            }
            let (upper, lower) = a.split_at_mut(q * n);
            upper[p * n..][..n].iter_mut().zip(&mut lower[..n]).for_each(|(x, y)| turn(x, y));
            let (upper, lower) = vectors.split_at_mut(q);
            upper[p].iter_mut().zip(&mut lower[0]).for_each(|(x, y)| turn(x, y));
        }
    }
    let mut found: Vec<(f64, Vec<f64>)> = vectors.into_iter().enumerate().map(|(i, v)| (a[i * n + i], v)).collect();
    found.sort_by(|x, y| y.0.total_cmp(&x.0));
    found.into_iter().unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principal_components_of_a_known_matrix() {
        // [[2, 1], [1, 2]]: 3 along (1, 1), 1 along (1, -1).
        let (variances, components) = principal(vec![2.0, 1.0, 1.0, 2.0], 2);
        assert!((variances[0] - 3.0).abs() < 1e-14 && (variances[1] - 1.0).abs() < 1e-14);
        assert!((components[0][0] - components[0][1]).abs() < 1e-14);
        assert!((components[1][0] + components[1][1]).abs() < 1e-14);
    }

    #[test]
    fn a_convolution_passes_its_channels_on() {
        let counted = |shape: &[usize]| {
            let count = shape.iter().product::<usize>();
            Tensor::arange(1f32, 1.0 + count as f32, &Device::Cpu).unwrap().reshape(shape).unwrap()
        };
        for filters in [3, 5] {
            let (weight, x) = (counted(&[filters, 3, 3, 3]), counted(&[1, 4, 4, 3]));
            let started = passing_on(&weight).unwrap();
            let y = crate::ops::conv2d(&x, &started, k(3)).unwrap().narrow(3, 0, 3).unwrap();
            let list = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(list(&y), list(&x));
            assert_eq!(list(&started.i(3..).unwrap()), list(&weight.i(3..).unwrap()));
        }
    }
}

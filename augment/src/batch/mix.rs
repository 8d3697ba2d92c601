//! Who is mixed with whom, and how: what the blends share.

use super::{cutmix::paste, mixup::blend};
use crate::draw::Draw;
use crate::pixel::Region;
use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

/// For how many pictures one set of random numbers is drawn (timm's `Mixup`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// For all of a batch.
    #[default]
    Batch,
    /// For the pictures `i` and `B − 1 − i`, which are mixed with each other; an odd one in the middle stays.
    Pair,
    /// For each picture `i`, which is mixed with `B − 1 − i`.
    Element,
}

/// What happens to a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Blend {
    /// It is averaged with the other one; the number is its own share λ.
    Average(f64),
    /// A rectangle of the other one is pasted, which lies inside.
    Paste(Region),
}

impl Blend {
    /// Nothing happens.
    pub const NOTHING: Self = Self::Average(1.0);

    /// A rectangle is pasted, which is noted.
    pub(super) fn pasted(region: Region, draw: &mut Draw) -> Self {
        let Region { left, top, width, height } = region;
        draw.note("box", [left, top, width as isize, height as isize].to_vec());
        Self::Paste(region)
    }

    /// The share of a picture of `[width, height]` that is left.
    pub fn kept(self, [width, height]: [usize; 2]) -> f64 {
        match self {
            Self::Average(lambda) => lambda,
            Self::Paste(region) => 1.0 - (region.width * region.height) as f64 / (width * height) as f64,
        }
    }
}

impl Mode {
    /// What happens to each picture of a batch; `one` draws for a batch, a pair or a picture.
    pub(super) fn blends(self, batch: usize, draw: &mut Draw, one: impl Fn(&mut Draw) -> Blend) -> Vec<Blend> {
        match self {
            Self::Batch => vec![one(draw); batch],
            Self::Element => (0..batch).map(|_| one(draw)).collect(),
            Self::Pair => {
                let mut blends: Vec<Blend> = (0..batch / 2).map(|_| one(draw)).collect();
                let mirrored: Vec<Blend> = blends.iter().rev().copied().collect();
                blends.resize(batch - batch / 2, Blend::NOTHING);
                blends.extend(mirrored);
                blends
            }
        }
    }
}

/// The order in which picture `i` meets picture `B − 1 − i`.
pub(super) fn reversed(images: &Tensor) -> Result<Tensor> {
    let batch = images.dim(0)?;
    Tensor::from_iter((0..batch as u32).rev(), images.device())
}

/// The `[width, height]` of images `[B, C, .., H, W]`.
pub(super) fn sides(images: &Tensor, technique: &str) -> Result<[usize; 2]> {
    match *images.dims() {
        [_, _, .., height, width] => Ok([width, height]),
        _ => candle_core::bail!("{technique} needs images [B, C, H, W] or [B, C, D, H, W], got {:?}", images.shape()),
    }
}

/// Mixes picture `i` of `[B, C, .., H, W]` with picture `B − 1 − i` as `blends[i]` says, and the targets `[B, K]` by the shares.
///
/// # Errors
/// Another number of blends, or tensors of other shapes.
pub fn mix(images: &Tensor, targets: &Tensor, blends: &[Blend]) -> Result<(Tensor, Tensor)> {
    let [width, height] = sides(images, "mixing")?;
    let order = reversed(images)?;
    let alike = blends.first().filter(|first| blends.iter().all(|blend| blend == *first));
    match alike {
        Some(Blend::Average(1.0)) => return Ok((images.clone(), targets.clone())),
        Some(Blend::Average(lambda)) => return Ok((blend(images, &order, *lambda)?, blend(targets, &order, *lambda)?)),
        Some(pasted @ Blend::Paste(region)) => {
            let kept = pasted.kept([width, height]);
            return Ok((paste(images, &order, *region)?, blend(targets, &order, kept)?));
        }
        None => {}
    }
    let own = own(images, blends)?;
    let kept = blends.iter().map(|blend| blend.kept([width, height]) as f32);
    let kept = Tensor::from_iter(kept, targets.device())?.reshape((blends.len(), 1))?;
    Ok((weighted(images, &order, &own)?, weighted(targets, &order, &kept)?))
}

/// The share of each picture itself at each place, `[B, 1, .., H, W]`, or `[B, 1, .., 1, 1]` where it is the same everywhere.
fn own(images: &Tensor, blends: &[Blend]) -> Result<Tensor> {
    let mut shape = vec![1; images.rank()];
    shape[0] = blends.len();
    let share = blends.iter().map(|blend| match blend {
        Blend::Average(lambda) => *lambda as f32,
        Blend::Paste(_) => 0.0,
    });
    let share = Tensor::from_iter(share, images.device())?.reshape(shape.as_slice())?;
    if blends.iter().all(|blend| matches!(blend, Blend::Average(_))) {
        return Ok(share);
    }
    // A rectangle is where its rows and its columns meet; an average is everywhere.
    let inside = |axis: usize, span: &dyn Fn(Region) -> (isize, usize)| {
        let length = images.dim(axis)?;
        let mut shape = shape.clone();
        shape[axis] = length;
        let each = blends.iter().flat_map(|blend| {
            let (first, count) = match blend {
                Blend::Average(_) => (0, length),
                Blend::Paste(region) => span(*region),
            };
            let first = first.max(0) as usize;
            (0..length).map(move |i| f32::from(u8::from((first..first + count).contains(&i))))
        });
        Tensor::from_iter(each, images.device())?.reshape(shape.as_slice())
    };
    let rows = inside(images.rank() - 2, &|region| (region.top, region.height))?;
    let columns = inside(images.rank() - 1, &|region| (region.left, region.width))?;
    rows.broadcast_mul(&columns)?.broadcast_mul(&share.affine(-1.0, 1.0)?)?.affine(-1.0, 1.0)
}

/// `own·x + (1 − own)·x[order]` with an F32 `own` that fits `x` by broadcasting.
pub(super) fn weighted(x: &Tensor, order: &Tensor, own: &Tensor) -> Result<Tensor> {
    let (own, rest) = (own.to_dtype(x.dtype())?, own.affine(-1.0, 1.0)?.to_dtype(x.dtype())?);
    let other = x.contiguous()?.index_select(order, 0)?;
    x.broadcast_mul(&own)? + other.broadcast_mul(&rest)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn pairs_share_what_they_draw() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut draw = Draw::new(&mut rng);
        let one = |draw: &mut Draw| Blend::Average(draw.uniform("", [0.0, 1.0]));
        let pairs = Mode::Pair.blends(5, &mut draw, one);
        assert_eq!((pairs[0], pairs[1], pairs[2]), (pairs[4], pairs[3], Blend::NOTHING));
        assert_ne!(pairs[0], pairs[1]);
        let all = Mode::Batch.blends(3, &mut draw, one);
        assert!(all.len() == 3 && all[0] == all[1] && all[1] == all[2]);
        let each = Mode::Element.blends(3, &mut draw, one);
        assert!(each.len() == 3 && each[0] != each[1] && each[1] != each[2] && each[0] != each[2]);
    }
}

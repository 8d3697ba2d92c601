//! Chains of operations, mixed.

use super::op::{Moves, Space};
use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Paint, Sampling, mix};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Mixes the picture with others that short chains of operations make of it (Hendrycks et al. 2020; `torchvision` `AugMix`),
/// for 1 or 3 channels.
///
/// The picture's share is of Beta(`alpha`, `alpha`), those of the chains in the rest are of a Dirichlet distribution with
/// `alpha`.
///
/// | field | default | range |
/// |---|---|---|
/// | `severity` | 3 | 1..=10: strengths are uniform among the first `severity` of ten |
/// | `width` | 3 | 1..=100 chains |
/// | `depth` | [1, 3] | operations of a chain: `[low, high]`, a number, or −1 for [1, 3]; at most 100 |
/// | `alpha` | 1 | > 0 |
/// | `all_ops` | true | whether brightness, color, contrast and sharpness are among the operations |
/// | `interpolation` | `bilinear` | `nearest`, `bilinear`, `bicubic` |
/// | `fill` | 0 | 0..=255, or one for each channel |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugMix {
    /// How strong.
    pub severity: usize,
    /// How many chains.
    pub width: usize,
    /// How many operations a chain has.
    pub depth: Depth,
    /// How even the shares are.
    pub alpha: f64,
    /// Whether the operations that the benchmark's corruptions resemble are among them.
    pub all_ops: bool,
    /// How pixels that move are read.
    pub interpolation: Sampling,
    /// What comes in at the border.
    pub fill: Paint,
}

/// How many operations a chain has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Depth {
    /// Uniform between two numbers.
    Between([i64; 2]),
    /// Always as many; −1 is from 1 to 3.
    Exactly(i64),
}

impl Depth {
    fn range(self) -> [i64; 2] {
        match self {
            Self::Between(range) => range,
            Self::Exactly(-1) => [1, 3],
            Self::Exactly(depth) => [depth, depth],
        }
    }
}

impl Default for AugMix {
    fn default() -> Self {
        Self {
            severity: 3,
            width: 3,
            depth: Depth::Between([1, 3]),
            alpha: 1.0,
            all_ops: true,
            interpolation: Sampling::Bilinear,
            fill: Paint::default(),
        }
    }
}

impl AugMix {
    fn chain(&self, mut image: Image, draw: &mut Draw) -> Image {
        let space = if self.all_ops { Space::AugMix } else { Space::AugMixPartial };
        let size = [image.width(), image.height()];
        let moves = Moves { interpolation: self.interpolation, fill: self.fill };
        for _ in 0..draw.whole("depth", self.depth.range()) {
            let op = space.ops()[draw.below("op", space.ops().len())];
            let (bin, negative) = (draw.below("bin", self.severity), draw.chance("negative", 0.5));
            image = op.step(image, space.argument(op, [bin, 10], size, negative), moves, draw);
        }
        image
    }
}

impl Transform for AugMix {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        if self.check_channels(image.channels()).is_err() {
            return image;
        }
        let kept = draw.beta("kept", [self.alpha; 2]);
        let mut rest = 1.0 - kept;
        let mut chains = Vec::with_capacity(self.width);
        for left in (0..self.width).rev() {
            // A Dirichlet distribution, share by share: what a chain takes of the rest.
            let taken = if left == 0 { 1.0 } else { draw.beta("share", [self.alpha, self.alpha * left as f64]) };
            chains.push((self.chain(image.clone(), draw), rest * taken));
            rest *= 1.0 - taken;
        }
        mix(&mut image, kept, &chains);
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'augmix'";
        check::within(technique, "severity", self.severity as f64, [1.0, 10.0])?;
        check::within(technique, "width", self.width as f64, [1.0, 100.0])?;
        check::positive(technique, "alpha", self.alpha)?;
        let [low, high] = self.depth.range();
        check::that(1 <= low && low <= high && high <= 100, technique, || {
            format!("depth must be −1, 1..=100 or [low, high] of these, got [{low}, {high}]")
        })
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::colors("transform 'augmix'", channels)?;
        check::fill("transform 'augmix'", self.fill, channels)
    }
}

//! SqueezeNet: Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", 2016 (arXiv 1602.07360).
//!
//! Reference implementation: torchvision 0.26 `squeezenet1_0` and `squeezenet1_1`, whose variable names and starting values
//! these are. What differs: the reference scores every pixel by a 1×1 convolution, cuts the scores off at 0 and averages
//! them. Here nothing is cut off: scores below 0 would have no gradient, and what is left, a mean of linear maps, is the
//! linear map of the mean, our head. The convolution's weights are the head's (`classifier.1.weight`, `[K, 512, 1, 1]`
//! there).

use super::convolutional::{Convolutional, Stage};
use crate::backbone::{Backbone, Family, Preset};
use crate::error::{Error, Result};
use crate::growth::{longer, wider};
use crate::init::Start;
use crate::layers::LinearStart;
use crate::limits;
use crate::ops::{Act, Flow, Pool, block, concat, k};
use candle_nn::VarBuilder;
use candle_nn::init::{FanInOut, Init, NonLinearity, NormalOrUniform};
use serde::{Deserialize, Serialize};

/// Modules that squeeze the map to few channels before they look at 3×3 windows.
///
/// | field | default | range |
/// |---|---|---|
/// | `stem` | 64 | channels of the first convolution |
/// | `size` | 3 | side of its windows |
/// | `act` | relu | a name of [`Act`] |
/// | `fires` | 16, 16 · 32, 32 · 48, 48, 64, 64 | squeezed channels of each module; a stage begins with a max-pool |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SqueezeNet {
    /// Channels of the first convolution.
    pub stem: usize,
    /// Side of its windows.
    pub size: usize,
    /// Activation.
    pub act: Act,
    /// Squeezed channels of each module, stage by stage; a module writes eight times as many.
    pub fires: Vec<Vec<usize>>,
}

impl Default for SqueezeNet {
    fn default() -> Self {
        let fires = vec![vec![16, 16], vec![32, 32], vec![48, 48, 64, 64]];
        Self { stem: 64, size: 3, act: Act::Relu, fires }
    }
}

impl Family for SqueezeNet {
    const HEAD: &str = "classifier.1";
    const HEAD_CONVOLVES: bool = true;
    const HEAD_START: LinearStart = LinearStart::unbiased(Start::Normal { std: 0.01 });

    fn presets() -> Vec<Preset<Self>> {
        let fires = vec![vec![16, 16, 32], vec![32, 48, 48, 64], vec![64]];
        let first = Self { stem: 96, size: 7, fires, ..Self::default() };
        vec![
            ("squeezenet1_0", "SqueezeNet as in the paper.", first),
            ("squeezenet1_1", "SqueezeNet with earlier pools: less than half the work.", Self::default()),
        ]
    }

    fn picture_size(_: &str) -> usize {
        224
    }

    /// Width: `stem` and the numbers in `fires`; depth: modules of each stage.
    fn grown(&self, width: f64, depth: f64) -> Option<Self> {
        let wide = |&squeezed: &usize| wider(squeezed, width, 1);
        let fires = self.fires.iter().map(|stage| longer(stage, depth).iter().map(wide).collect()).collect();
        Some(Self { stem: wide(&self.stem), fires, ..self.clone() })
    }

    fn build(&self, channels: usize, vb: VarBuilder<'_>) -> Result<Box<dyn Backbone>> {
        Ok(Box::new(Convolutional::new(channels, self.stages(channels)?, vb)?))
    }
}

/// He et al. 2015, fan-in.
const START: Init =
    Init::Kaiming { dist: NormalOrUniform::Uniform, fan: FanInOut::FanIn, non_linearity: NonLinearity::ReLU };

impl SqueezeNet {
    /// The network as data.
    fn stages(&self, channels: usize) -> Result<Vec<Stage>> {
        let empty = |stage: &Vec<usize>| stage.is_empty() || stage.contains(&0);
        if channels * self.stem * self.size == 0 || self.fires.is_empty() || self.fires.iter().any(empty) {
            return Err(Error::Invalid(
                "squeezenet: needs at least one stage, one module per stage and one channel, and no size of 0".into(),
            ));
        }
        limits::stages("squeezenet", self.fires.iter().map(Vec::len))?;
        // The reference numbers convolution, activation, pools and modules through.
        let features = |at: usize| format!("features.{at}");
        let stem = block(channels, |x| x.conv("0", self.stem, k(self.size).pad(0).stride(2).bias()).act(self.act))?;
        let mut stages = vec![Stage { name: "stem".into(), blocks: vec![("features".into(), stem.started(START))] }];
        let (mut reads, mut at) = (self.stem, 2);
        for (stage, squeezed) in (1..).zip(&self.fires) {
            let mut blocks = vec![(String::new(), block(reads, |x| x.pool(Pool::Max, k(3).pad(0).stride(2).ceil()))?)];
            for &squeezed in squeezed {
                at += 1;
                let program = block(reads, |x| self.fire(x, squeezed))?;
                reads = program.out_channels();
                blocks.push((features(at), program.started(START)));
            }
            at += 1;
            stages.push(Stage { name: format!("fires{stage}"), blocks });
        }
        Ok(stages)
    }

    /// Squeezed by a 1×1 convolution, expanded by 1×1 and 3×3 windows beside each other.
    fn fire<'a>(&self, x: Flow<'a>, squeezed: usize) -> Flow<'a> {
        let x = x.conv("squeeze", squeezed, k(1).bias()).act(self.act);
        let expand = |name: &str, size| x.conv(name, 4 * squeezed, k(size).bias()).act(self.act);
        concat(expand("expand1x1", 1), &[expand("expand3x3", 3)])
    }
}

//! Xception: Chollet, "Xception: deep learning with depthwise separable convolutions", 2016 (arXiv 1610.02357).
//!
//! Reference implementation: timm 1.0 `legacy_xception`, whose variable names and starting values these are: unlike
//! Keras' network, its first two convolutions are not padded, its pools are padded on both sides.

use super::convolutional::{Convolutional, Stage};
use crate::backbone::{Backbone, Family, Preset};
use crate::error::{Error, Result};
use crate::growth::{deeper, wider};
use crate::limits;
use crate::ops::{Act, Flow, Pool, Program, block, k};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

/// Residual blocks of separable convolutions.
///
/// | field | default | range |
/// |---|---|---|
/// | `stem` | 32, 64 | channels of the two plain convolutions |
/// | `entry` | 128, 256, 728 | channels of each block of the entry flow, which halves the map |
/// | `middle` | 8 | blocks of the middle flow |
/// | `exit` | 1024, 1536, 2048 | channels of the last block and of the two convolutions behind it |
/// | `act` | relu | a name of [`Act`] |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Xception {
    /// Channels of the two plain convolutions.
    pub stem: [usize; 2],
    /// Channels of each block of the entry flow.
    pub entry: Vec<usize>,
    /// Blocks of the middle flow.
    pub middle: usize,
    /// Channels of the last block and of the two convolutions behind it.
    pub exit: [usize; 3],
    /// Activation.
    pub act: Act,
}

impl Default for Xception {
    fn default() -> Self {
        let (entry, exit) = (vec![128, 256, 728], [1024, 1536, 2048]);
        Self { stem: [32, 64], entry, middle: 8, exit, act: Act::Relu }
    }
}

impl Family for Xception {
    const HEAD: &str = "fc";

    fn presets() -> Vec<Preset<Self>> {
        vec![("xception", "Xception in timm's form, made for 299 pixels.", Self::default())]
    }

    fn picture_size(_: &str) -> usize {
        299
    }

    /// Width: `stem`, `entry`, `exit`; depth: `middle`.
    fn grown(&self, width: f64, depth: f64) -> Option<Self> {
        let wide = |channels| wider(channels, width, 1);
        let (stem, exit) = (self.stem.map(wide), self.exit.map(wide));
        let entry = self.entry.iter().map(|&channels| wide(channels)).collect();
        Some(Self { stem, entry, middle: deeper(self.middle, depth), exit, ..self.clone() })
    }

    fn build(&self, channels: usize, vb: VarBuilder<'_>) -> Result<Box<dyn Backbone>> {
        Ok(Box::new(Convolutional::new(channels, self.stages(channels)?, vb)?))
    }
}

impl Xception {
    /// The network as data.
    fn stages(&self, channels: usize) -> Result<Vec<Stage>> {
        let Some(&width) = self.entry.last().filter(|_| !self.entry.contains(&0)) else {
            return Err(Error::Invalid("xception: entry needs at least one block of at least one channel".into()));
        };
        if channels == 0 || self.stem.contains(&0) || self.exit.contains(&0) {
            return Err(Error::Invalid("xception: needs at least one channel everywhere".into()));
        }
        limits::stages("xception", [self.entry.len(), self.middle])?;
        let stage = |name: &str, blocks| Stage { name: name.into(), blocks };
        let [first, second] = self.stem;
        let stem = block(channels, |x| {
            let y = x.conv("conv1", first, k(3).pad(0).stride(2)).norm("bn1").act(self.act);
            y.conv("conv2", second, k(3).pad(0)).norm("bn2").act(self.act)
        })?;
        let mut stages = vec![stage("stem", vec![(String::new(), stem)])];

        let (mut reads, mut at) = (second, 0);
        let mut next = |widths: &[usize], stride| -> Result<(String, Program)> {
            at += 1;
            // Behind the stem's activation there is no need for another one.
            let program = self.residual(reads, widths, stride, at > 1)?;
            reads = program.out_channels();
            Ok((format!("block{at}"), program))
        };
        let entry = self.entry.iter().map(|&width| next(&[width; 2], 2)).collect::<Result<_>>()?;
        let middle = (0..self.middle).map(|_| next(&[width; 3], 1)).collect::<Result<Vec<_>>>()?;
        let [last, third, fourth] = self.exit;
        let mut exit = vec![next(&[width, last], 2)?];
        exit.push((
            String::new(),
            block(last, |x| {
                let y = separable(x, "conv3", third).norm("bn3").act(self.act);
                separable(y, "conv4", fourth).norm("bn4").act(self.act)
            })?,
        ));
        stages.push(stage("entry", entry));
        if !middle.is_empty() {
            stages.push(stage("middle", middle));
        }
        stages.push(stage("exit", exit));
        Ok(stages)
    }

    /// Separable convolutions to `widths` channels each, with an activation before the first one or not; the reference
    /// numbers activations, convolutions and norms through.
    fn residual(&self, reads: usize, widths: &[usize], stride: usize, act_first: bool) -> Result<Program> {
        let name = |i: usize| format!("rep.{}", if act_first { i } else { i - 1 });
        block(reads, |x| {
            let y = widths.iter().enumerate().fold(x, |x, (i, &width)| {
                let x = if i > 0 || act_first { x.act(self.act) } else { x };
                separable(x, &name(3 * i + 1), width).norm(&name(3 * i + 2))
            });
            let y = if stride > 1 { y.pool(Pool::Max, k(3).stride(stride)) } else { y };
            let shape = (y.channels(), stride);
            y + if shape == (reads, 1) { x } else { x.conv("skip", shape.0, k(1).stride(stride)).norm("skipbn") }
        })
    }
}

/// A 3×3 window of every channel by itself, then a 1×1 convolution.
fn separable<'a>(x: Flow<'a>, name: &str, width: usize) -> Flow<'a> {
    x.depthwise(&format!("{name}.conv1"), k(3)).conv(&format!("{name}.pointwise"), width, k(1))
}

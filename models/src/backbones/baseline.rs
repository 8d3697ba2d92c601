//! The plain baseline: convolution, activation, pool, repeated; the first network of every competition.
//!
//! After the small Keras networks of the notebooks on Kaggle: a few 3×3 convolutions with ReLU, 2×2 max-pools, dense
//! layers. What differs in `baseline` itself: batch norm behind each convolution and a global average in place of the
//! flattened map, so that any picture size fits. The notebooks' own networks:
//!
//! | preset | notebook | pictures |
//! |---|---|---|
//! | `intel_cnn` | Intel scenes, "[BEG][TUT]" and "CNN – Keras" | 150 pixels |
//! | `intel_cnn_deep` | Intel scenes, "93.76 %", with dropout 0.5 before the head | 150 pixels |
//! | `protein_cnn` | Protein Atlas, "Exploration and baseline", with dropout 0.5 before the head | any |
//!
//! A flattened map with a dense layer behind it is a convolution as wide as the map: for pictures of the notebook's size
//! that is the notebook's network; larger ones are read at every place, smaller ones are spread first.

use super::convolutional::{Convolutional, Stage};
use super::droppable;
use crate::backbone::{Backbone, Family, Preset};
use crate::error::{Error, Result};
use crate::growth::{deeper, longer, wider};
use crate::limits;
use crate::ops::{Act, Flow, Pool, block, k};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

/// Where batch norm stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Norm {
    /// Nowhere.
    None,
    /// Between a convolution, which then needs no bias, and its activation (Ioffe & Szegedy 2015).
    Before,
    /// Behind the activation.
    After,
}

/// A plain stack of convolutions.
///
/// | field | default | range |
/// |---|---|---|
/// | `widths` | 32, 64, 128, 256 | channels of each stage, at least one stage |
/// | `convs` | 1 | convolutions per stage, at least 1 |
/// | `kernel` | 3 | odd, side of the convolutions' windows |
/// | `padded` | true | whether convolutions keep the map's size (Keras' `same`) or not (`valid`) |
/// | `norm` | before | none, before, after the activation |
/// | `act` | relu | a name of [`Act`] |
/// | `pooling` | max | max, avg, avg_inside |
/// | `pools` | none: 2 everywhere | side of each stage's pool; 1 for none |
/// | `pool_dropout` | 0 | 0..1, behind each pool |
/// | `dense` | none | units of each dense layer before the head |
/// | `flatten` | 0 | side of the map that the first dense layer reads pixel by pixel; 0 if it reads the map's mean |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Baseline {
    /// Channels of each stage.
    pub widths: Vec<usize>,
    /// Convolutions per stage.
    pub convs: usize,
    /// Side of the convolutions' windows.
    pub kernel: usize,
    /// Whether convolutions keep the map's size.
    pub padded: bool,
    /// Where batch norm stands; else convolutions have a bias.
    pub norm: Norm,
    /// Activation.
    pub act: Act,
    /// What a pool makes of its window.
    pub pooling: Pool,
    /// Side of each stage's pool.
    pub pools: Vec<usize>,
    /// Probability of dropping a value behind each pool.
    pub pool_dropout: f64,
    /// Units of each dense layer before the head.
    pub dense: Vec<usize>,
    /// Side of the map that the first dense layer reads.
    pub flatten: usize,
}

impl Default for Baseline {
    fn default() -> Self {
        Self {
            widths: vec![32, 64, 128, 256],
            convs: 1,
            kernel: 3,
            padded: true,
            norm: Norm::Before,
            act: Act::Relu,
            pooling: Pool::Max,
            pools: vec![],
            pool_dropout: 0.0,
            dense: vec![],
            flatten: 0,
        }
    }
}

impl Family for Baseline {
    const HEAD: &str = "head";

    fn presets() -> Vec<Preset<Self>> {
        let keras = Self { padded: false, norm: Norm::None, ..Self::default() };
        let intel = Self { widths: vec![32, 32], dense: vec![128], flatten: 36, ..keras.clone() };
        let deep = Self {
            widths: vec![200, 180, 180, 140, 100, 50],
            pools: vec![1, 5, 1, 1, 1, 5],
            dense: vec![180, 100, 50],
            flatten: 4,
            ..keras.clone()
        };
        let protein = Self { widths: vec![16, 32], pools: vec![1, 2], pool_dropout: 0.25, dense: vec![64], ..keras };
        vec![
            ("baseline", "Plain convolutions with batch norm, ReLU and max-pools, four stages.", Self::default()),
            ("intel_cnn", "Two convolutions and a dense layer, the notebooks' first network for Intel scenes.", intel),
            ("intel_cnn_deep", "Six convolutions and three dense layers for Intel scenes of 150 pixels.", deep),
            (
                "protein_cnn",
                "Two convolutions, dropout and a dense layer, first network for the Protein Atlas.",
                protein,
            ),
        ]
    }

    fn picture_size(name: &str) -> usize {
        match name {
            "baseline" => 64,
            "protein_cnn" => 128,
            _ => 150,
        }
    }

    /// Width: `widths`, `dense`; depth: `convs`, or dense layers behind convolutions that are not padded.
    fn grown(&self, width: f64, depth: f64) -> Option<Self> {
        let wide = |list: &[usize]| list.iter().map(|&channels| wider(channels, width, 1)).collect::<Vec<_>>();
        let (widths, dense) = (wide(&self.widths), wide(&self.dense));
        // Convolutions that are not padded shrink the map: there would soon be none.
        let (convs, dense) = if self.padded || dense.is_empty() {
            (deeper(self.convs, depth), dense)
        } else {
            (self.convs, longer(&dense, depth))
        };
        Some(Self { widths, convs, dense, ..self.clone() })
    }

    fn build(&self, channels: usize, vb: VarBuilder<'_>) -> Result<Box<dyn Backbone>> {
        self.check(channels)?;
        limits::stages("baseline", self.widths.iter().map(|_| self.convs))?;
        limits::stages("baseline", [self.dense.len()])?;
        let mut stages = self.stages(channels)?;
        let mut reads = self.widths[self.widths.len() - 1];
        let mut dense: Vec<_> = self.dense.iter().enumerate().collect();
        if self.flatten > 0 {
            let (_, &units) = dense.remove(0);
            let flat = k(self.flatten).pad(0).bias();
            let program = block(reads, |x| x.at_least(self.flatten).conv("dense0", units, flat).act(self.act))?;
            stages.push(Stage::of("dense0", program));
            reads = units;
        }
        let network = Convolutional::new(channels, stages, vb.clone())?;
        if dense.is_empty() {
            return Ok(Box::new(network));
        }
        let neck = block(reads, |x| {
            dense.into_iter().fold(x, |x, (i, &units)| x.conv(&format!("dense{i}"), units, k(1).bias()).act(self.act))
        })?;
        Ok(Box::new(network.with_neck(Stage::of("dense", neck), vb)?))
    }
}

impl Baseline {
    fn check(&self, channels: usize) -> Result<()> {
        let message = if self.widths.is_empty() || self.widths.contains(&0) || self.convs * channels == 0 {
            "needs at least one stage of at least one channel and convolution".into()
        } else if self.kernel.is_multiple_of(2) {
            format!("kernel must be odd, got {}", self.kernel)
        } else if self.pools.contains(&0) || !self.pools.is_empty() && self.pools.len() != self.widths.len() {
            format!("pools needs a side for each of the {} stages, at least 1, or nothing at all", self.widths.len())
        } else if self.dense.contains(&0) || self.flatten > 0 && self.dense.is_empty() {
            "dense layers need at least one unit, and a flattened map at least one dense layer".into()
        } else {
            return droppable("baseline: pool_dropout", self.pool_dropout);
        };
        Err(Error::Invalid(format!("baseline: {message}")))
    }

    /// The stages of convolutions as data.
    fn stages(&self, channels: usize) -> Result<Vec<Stage>> {
        let mut reads = channels;
        let mut stages = vec![];
        for (i, &width) in self.widths.iter().enumerate() {
            let side = self.pools.get(i).copied().unwrap_or(2);
            let program = block(reads, |x| {
                let y = (0..self.convs).fold(x, |x, j| self.layer(x, j, width));
                match side {
                    1 => y,
                    _ => y.pool(self.pooling, k(side).pad(0).stride(side)).dropout(self.pool_dropout),
                }
            })?;
            let name = format!("stage{}", i + 1);
            stages.push(Stage { name: name.clone(), blocks: vec![(name, program)] });
            reads = width;
        }
        Ok(stages)
    }

    fn layer<'a>(&self, x: Flow<'a>, j: usize, width: usize) -> Flow<'a> {
        let (conv, bn) = (format!("conv{j}"), format!("bn{j}"));
        let at = if self.padded { k(self.kernel) } else { k(self.kernel).pad(0) };
        match self.norm {
            Norm::None => x.conv(&conv, width, at.bias()).act(self.act),
            Norm::Before => x.conv(&conv, width, at).norm(&bn).act(self.act),
            Norm::After => x.conv(&conv, width, at.bias()).act(self.act).norm(&bn),
        }
    }
}

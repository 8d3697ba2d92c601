//! The plain baseline: convolution, ReLU, max-pool, repeated; the first network of every competition.
//!
//! After the small networks of the Intel scenes notebooks on Kaggle (two or more 3×3 convolutions with ReLU, each followed
//! by a 2×2 max-pool, then dense layers). What differs: batch norm behind each convolution (`norm = false` gives the
//! plain form), and a global average in place of the flattened map, so that any picture size fits.

use super::convolutional::{Convolutional, Stage};
use crate::backbone::{Backbone, Family, Preset};
use crate::error::{Error, Result};
use crate::ops::{Pool, block, k};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

/// A plain stack of convolutions.
///
/// | field | default | range |
/// |---|---|---|
/// | `widths` | 32, 64, 128, 256 | channels of each stage, at least one stage |
/// | `convs` | 1 | convolutions per stage, at least 1 |
/// | `norm` | true | batch norm behind each convolution |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Baseline {
    /// Channels of each stage; every stage halves the picture.
    pub widths: Vec<usize>,
    /// 3×3 convolutions per stage.
    pub convs: usize,
    /// Batch norm behind each convolution (else a bias).
    pub norm: bool,
}

impl Default for Baseline {
    fn default() -> Self {
        Self { widths: vec![32, 64, 128, 256], convs: 1, norm: true }
    }
}

impl Family for Baseline {
    const HEAD: &str = "head";

    fn presets() -> Vec<Preset<Self>> {
        vec![("baseline", "Plain convolutions with batch norm, ReLU and max-pools, four stages.", Self::default())]
    }

    fn build(&self, channels: usize, vb: VarBuilder<'_>) -> Result<Box<dyn Backbone>> {
        if self.widths.is_empty() || self.widths.contains(&0) || self.convs == 0 {
            return Err(Error::Invalid(
                "baseline: needs at least one stage of at least one channel and convolution".into(),
            ));
        }
        let mut reads = channels;
        let mut stages = vec![];
        for (i, &width) in self.widths.iter().enumerate() {
            let program = block(reads, |x| {
                let y = (0..self.convs).fold(x, |x, j| match self.norm {
                    true => x.conv(&format!("conv{j}"), width, k(3)).norm(&format!("bn{j}")).relu(),
                    false => x.conv(&format!("conv{j}"), width, k(3).bias()).relu(),
                });
                y.pool(Pool::Max, k(2).pad(0).stride(2))
            })?;
            let name = format!("stage{}", i + 1);
            stages.push(Stage { name: name.clone(), blocks: vec![(name, program)] });
            reads = width;
        }
        Ok(Box::new(Convolutional::new(channels, stages, vb)?))
    }
}

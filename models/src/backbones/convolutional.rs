//! Any backbone that is a sequence of block programs.

use crate::backbone::Backbone;
use crate::error::{Error, Result};
use crate::ops::{Block, Program, chain};
use crate::pass::Pass;
use crate::summary::{Layer, program_layers};
use candle_core::Tensor;
use candle_nn::VarBuilder;

/// A stage as data: blocks with the prefix of their variables (empty for none).
pub struct Stage {
    /// Name of the stage.
    pub name: String,
    /// Prefix and program of each block.
    pub blocks: Vec<(String, Program)>,
}

/// A backbone made of [`Stage`]s. It runs as one program, so that what one block hands to the next stays inside; stage by
/// stage where someone looks in between, or where stages are to be run again on the way back.
pub struct Convolutional {
    channels: usize,
    whole: Block,
    stages: Vec<(String, Block)>,
}

impl Convolutional {
    /// Takes or makes the variables of all blocks under `vb`'s path; the first block reads `channels` channels.
    ///
    /// # Errors
    /// When a block does not read what the one before writes, or a variable has another shape.
    pub fn new(channels: usize, stages: Vec<Stage>, vb: VarBuilder<'_>) -> Result<Self> {
        let mut width = channels;
        let mut built = Vec::with_capacity(stages.len());
        let mut programs = Vec::with_capacity(stages.len());
        for stage in stages {
            let program = chain(stage.blocks)?;
            let reads = program.channels.first().copied().unwrap_or(0);
            if reads != width {
                return Err(Error::Invalid(format!("stage '{}' reads {reads} channels, but gets {width}", stage.name)));
            }
            width = program.out_channels();
            programs.push((String::new(), program.clone()));
            built.push((stage.name, Block::new(program, vb.clone())?));
        }
        // The same variables by the same names.
        Ok(Self { channels, whole: Block::new(chain(programs)?, vb)?, stages: built })
    }
}

impl Backbone for Convolutional {
    fn features(&self, x: &Tensor, pass: &mut Pass<'_>) -> candle_core::Result<Tensor> {
        let (_, c, ..) = x.dims4()?;
        if c != self.channels {
            candle_core::bail!(
                "the network reads {} channels, but the pictures have {c}: {:?}",
                self.channels,
                x.dims()
            )
        }
        // Blocks speak [B, H, W, C]; pictures need no gradient here, and the last map is small.
        let mut x = x.permute((0, 2, 3, 1))?.contiguous()?;
        if pass.taps.is_none() && !pass.recompute {
            x = self.whole.forward(&x, pass)?;
        } else {
            for (name, stage) in &self.stages {
                x = stage.forward(&x, pass)?;
                pass.tap(name, &x);
            }
        }
        x.permute((0, 3, 1, 2))
    }

    fn width(&self) -> usize {
        self.stages.last().map_or(self.channels, |(_, stage)| stage.program().out_channels())
    }

    fn stages(&self) -> Vec<(String, Vec<String>)> {
        self.stages.iter().map(|(name, stage)| (name.clone(), stage.program().variables())).collect()
    }

    fn layers(&self, mut size: (usize, usize)) -> Result<Vec<Layer>> {
        let mut layers = vec![];
        for (_, stage) in &self.stages {
            size = program_layers(stage.program(), size, &mut layers)?;
        }
        Ok(layers)
    }
}

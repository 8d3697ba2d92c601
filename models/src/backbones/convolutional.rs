//! Any backbone that is a sequence of block programs.

use crate::backbone::Backbone;
use crate::error::{Error, Result};
use crate::ops::{Block, Program};
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

/// A backbone made of [`Stage`]s.
pub struct Convolutional {
    channels: usize,
    stages: Vec<(String, Vec<(String, Block)>)>,
}

impl Convolutional {
    /// Takes or makes the variables of all blocks under `vb`'s path; the first block reads `channels` channels.
    ///
    /// # Errors
    /// When a block does not read what the one before writes, or a variable has another shape.
    pub fn new(channels: usize, stages: Vec<Stage>, vb: VarBuilder<'_>) -> Result<Self> {
        let mut width = channels;
        let mut built = Vec::with_capacity(stages.len());
        for stage in stages {
            let mut blocks = Vec::with_capacity(stage.blocks.len());
            for (prefix, program) in stage.blocks {
                let reads = program.channels.first().copied().unwrap_or(0);
                if reads != width {
                    return Err(Error::Invalid(format!("block '{prefix}' reads {reads} channels, but gets {width}")));
                }
                width = program.out_channels();
                let vb = if prefix.is_empty() { vb.clone() } else { vb.pp(&prefix) };
                blocks.push((prefix, Block::new(program, vb)?));
            }
            built.push((stage.name, blocks));
        }
        Ok(Self { channels, stages: built })
    }

    fn blocks(&self) -> impl Iterator<Item = &(String, Block)> {
        self.stages.iter().flat_map(|(_, blocks)| blocks)
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
        for (name, blocks) in &self.stages {
            for (_, block) in blocks {
                x = block.forward(&x, pass)?;
            }
            pass.tap(name, &x);
        }
        x.permute((0, 3, 1, 2))
    }

    fn width(&self) -> usize {
        self.blocks().last().map_or(self.channels, |(_, block)| block.program().out_channels())
    }

    fn stages(&self) -> Vec<(String, Vec<String>)> {
        let variables = |blocks: &[(String, Block)]| {
            let names = blocks.iter().flat_map(|(prefix, block)| {
                let program = block.program();
                let params = program.params.iter().map(|p| p.name.clone());
                let stats = program.stats.iter();
                let stats = stats.flat_map(|(n, _)| [format!("{n}.running_mean"), format!("{n}.running_var")]);
                let path = |name| if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
                params.chain(stats).map(path).collect::<Vec<_>>()
            });
            names.collect()
        };
        self.stages.iter().map(|(name, blocks)| (name.clone(), variables(blocks))).collect()
    }

    fn layers(&self, mut size: (usize, usize)) -> Result<Vec<Layer>> {
        let mut layers = vec![];
        for (prefix, block) in self.blocks() {
            size = program_layers(prefix, block.program(), size, &mut layers)?;
        }
        Ok(layers)
    }
}

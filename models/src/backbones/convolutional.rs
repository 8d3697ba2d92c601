//! Any backbone that is a sequence of block programs.

use crate::backbone::Backbone;
use crate::error::{Error, Result};
use crate::onnx::{Graph, Value};
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

impl Stage {
    /// A stage of one block whose variables have no prefix.
    pub(crate) fn of(name: &str, block: Program) -> Self {
        Self { name: name.into(), blocks: vec![(String::new(), block)] }
    }
}

/// [`Stage`]s one behind the other. They run as one program, so that what one block hands to the next stays inside; stage by
/// stage where someone looks in between, where some stages are frozen, or where they are to be run again on the way back.
pub(crate) struct Sequence {
    whole: Block,
    stages: Vec<(String, Block)>,
}

impl Sequence {
    /// Takes or makes the variables of all blocks under `vb`'s path; the first block reads `channels` channels.
    ///
    /// # Errors
    /// When a block does not read what the one before writes, or a variable has another shape.
    pub(crate) fn new(channels: usize, stages: Vec<Stage>, vb: VarBuilder<'_>) -> Result<Self> {
        let mut width = channels;
        let mut built = Vec::with_capacity(stages.len());
        for stage in stages {
            let program = chain(stage.blocks)?;
            let reads = program.channels.first().copied().unwrap_or(0);
            if reads != width {
                return Err(Error::Invalid(format!("stage '{}' reads {reads} channels, but gets {width}", stage.name)));
            }
            width = program.out_channels();
            built.push((stage.name, Block::new(program, vb.clone())?));
        }
        let whole = Block::joined(built.iter().map(|(_, stage)| stage))?;
        Ok(Self { whole, stages: built })
    }

    /// `[B, H, W, C]` → `[B, H', W', F]`.
    pub(crate) fn forward(&self, x: &Tensor, pass: &mut Pass<'_>) -> candle_core::Result<Tensor> {
        let whole = pass.taps.is_none() && !pass.recompute;
        if whole && pass.freeze == 0 {
            return self.whole.forward(x, pass);
        }
        if whole && let Some(frozen) = pass.frozen(self.stages.len(), x) {
            return self.whole.forward(x, &frozen);
        }
        let mut x = x.clone();
        for (name, stage) in &self.stages {
            let frozen = pass.frozen(1, &x);
            x = stage.forward(&x, frozen.as_ref().unwrap_or(pass))?;
            pass.tap(name, &x);
        }
        Ok(x)
    }

    /// F.
    pub(crate) fn width(&self) -> usize {
        self.whole.program().out_channels()
    }

    /// Names of the stages and the variables of each.
    pub(crate) fn stages(&self) -> Vec<(String, Vec<String>)> {
        self.stages.iter().map(|(name, stage)| (name.clone(), stage.program().variables())).collect()
    }

    /// Batch norms folded into the convolutions before them.
    pub(crate) fn fold(&mut self) -> Result<()> {
        for (_, stage) in &mut self.stages {
            *stage = stage.folded()?;
        }
        self.whole = Block::joined(self.stages.iter().map(|(_, stage)| stage))?;
        Ok(())
    }

    /// In the operators of ONNX, for a map `x` of this size.
    pub(crate) fn onnx(&self, graph: &mut Graph, x: &Value, size: (usize, usize)) -> Result<Value> {
        Ok(graph.block(&self.whole, x, size)?.0)
    }

    /// Appends all layers for a map of `size` and returns the size of the last one's.
    pub(crate) fn layers(&self, size: (usize, usize), layers: &mut Vec<Layer>) -> Result<(usize, usize)> {
        self.stages.iter().try_fold(size, |size, (_, stage)| program_layers(stage.program(), size, layers))
    }
}

/// A backbone made of [`Stage`]s.
pub struct Convolutional {
    channels: usize,
    body: Sequence,
    neck: Option<Sequence>,
}

impl Convolutional {
    /// Takes or makes the variables of all blocks under `vb`'s path; the first block reads `channels` channels.
    ///
    /// # Errors
    /// When a block does not read what the one before writes, or a variable has another shape.
    pub fn new(channels: usize, stages: Vec<Stage>, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self { channels, body: Sequence::new(channels, stages, vb)?, neck: None })
    }

    /// With a stage behind the global average, which it reads as a map of one pixel.
    ///
    /// # Errors
    /// When it does not read what the last stage writes, or a variable has another shape.
    pub fn with_neck(mut self, neck: Stage, vb: VarBuilder<'_>) -> Result<Self> {
        self.neck = Some(Sequence::new(self.body.width(), vec![neck], vb)?);
        Ok(self)
    }
}

impl Backbone for Convolutional {
    fn features(&self, x: &Tensor, pass: &mut Pass<'_>) -> candle_core::Result<Tensor> {
        // Blocks speak [B, H, W, C]; pictures need no gradient here, and the last map is small.
        self.body.forward(&pixels_first(x, self.channels)?, pass)?.permute((0, 3, 1, 2))
    }

    fn width(&self) -> usize {
        self.body.width()
    }

    fn neck(&self, pooled: &Tensor, pass: &mut Pass<'_>) -> candle_core::Result<Tensor> {
        match &self.neck {
            Some(neck) => on_vectors(neck, pooled, pass),
            None => Ok(pooled.clone()),
        }
    }

    fn embedding(&self) -> usize {
        self.neck.as_ref().map_or(self.width(), Sequence::width)
    }

    fn stages(&self) -> Vec<(String, Vec<String>)> {
        let mut stages = self.body.stages();
        stages.extend(self.neck.iter().flat_map(Sequence::stages));
        stages
    }

    fn map(&self, size: (usize, usize)) -> Result<(usize, usize)> {
        self.body.layers(size, &mut vec![])
    }

    fn layers(&self, size: (usize, usize)) -> Result<Vec<Layer>> {
        let mut layers = vec![];
        self.body.layers(size, &mut layers)?;
        if let Some(neck) = &self.neck {
            neck.layers((1, 1), &mut layers)?;
        }
        Ok(layers)
    }

    fn fold(&mut self) -> Result<()> {
        self.body.fold()?;
        self.neck.as_mut().map_or(Ok(()), Sequence::fold)
    }

    fn onnx(&self, graph: &mut Graph, images: &Value, size: (usize, usize)) -> Result<Value> {
        self.body.onnx(graph, images, size)
    }

    fn neck_onnx(&self, graph: &mut Graph, pooled: &Value) -> Result<Value> {
        self.neck.as_ref().map_or(Ok(pooled.clone()), |neck| neck.onnx(graph, pooled, (1, 1)))
    }
}

/// Pictures `[B, C, H, W]` as `[B, H, W, C]`.
pub(crate) fn pixels_first(x: &Tensor, channels: usize) -> candle_core::Result<Tensor> {
    let (_, c, ..) = x.dims4()?;
    if c != channels {
        candle_core::bail!("the network reads {channels} channels, but the pictures have {c}: {:?}", x.dims())
    }
    x.permute((0, 2, 3, 1))?.contiguous()
}

/// Runs blocks on `[B, F]`, as on maps of one pixel.
pub(crate) fn on_vectors(blocks: &Sequence, x: &Tensor, pass: &mut Pass<'_>) -> candle_core::Result<Tensor> {
    let (b, f) = x.dims2()?;
    blocks.forward(&x.reshape((b, 1, 1, f))?, pass)?.flatten_from(1)
}

//! A block of a network as data: nodes in execution order. No tensors, no devices.
//!
//! Families write blocks in the words of the papers; interpreters run them, and counts of parameters,
//! multiplications and activations are a walk over them:
//!
//! ```
//! use sconce_models::ops::{block, k};
//! let basic = block(64, |x| {
//!     let y = x.conv("conv1", 64, k(3)).norm("bn1").relu().conv("conv2", 64, k(3)).norm("bn2");
//!     (y + x).relu()
//! })?;
//! assert_eq!(basic.parameters(), 2 * (64 * 64 * 9 + 2 * 64));
//! # Ok::<(), sconce_models::Error>(())
//! ```

use super::activation::Act;
use super::pool::Pool;
use super::upsample::Upsample;
use super::window::{Window, k};
use crate::error::{Error, Result};
use crate::limits;
use crate::onnx::{Graph, Value};
use candle_core::Tensor;
use candle_nn::init::{FanInOut, Init, NonLinearity, NormalOrUniform};
use std::cell::RefCell;
use std::ops::{Add, Mul};
use std::sync::Arc;

/// Index of a node in its program.
pub type Id = usize;

/// Candle code on `[B, C, H, W]` inputs and its own parameters → `[B, C', H', W']`.
pub type Plain = Arc<dyn Fn(&[Tensor], &[Tensor]) -> candle_core::Result<Tensor> + Send + Sync>;

/// The operators of ONNX that do what [`Plain`] code does, from its input and its parameters.
pub type Written = Arc<dyn Fn(&mut Graph, &Value, &[Value]) -> Value + Send + Sync>;

/// One step of a block. Values are maps `[B, H, W, C]`.
#[derive(Clone)]
pub enum Node {
    /// The block's input.
    Input,
    /// Convolution; `weight` and `bias` index [`Program::params`].
    Conv {
        /// What it reads.
        x: Id,
        /// Geometry.
        at: Window,
        /// `[O, C/groups, kh, kw]`, or the same numbers in another shape: `[O, C]` of a linear layer, `[C]` of a layer scale.
        weight: usize,
        /// `[O]`.
        bias: Option<usize>,
    },
    /// Batch normalization.
    Norm {
        /// What it reads.
        x: Id,
        /// Added to the variance.
        eps: f64,
        /// Share of the new statistics in the running ones.
        momentum: f64,
        /// `[C]`.
        weight: usize,
        /// `[C]`.
        bias: usize,
        /// Index into [`Program::stats`].
        stats: usize,
    },
    /// Layer normalization: every pixel by the mean and the variance of its channels.
    LayerNorm {
        /// What it reads.
        x: Id,
        /// Added to the variance.
        eps: f64,
        /// `[C]`.
        weight: usize,
        /// `[C]`.
        bias: usize,
    },
    /// Attention of all pixels to each other; it reads queries, keys and values, 3 · C channels.
    Attention {
        /// What it reads.
        x: Id,
        /// Groups of channels that attend by themselves.
        heads: usize,
    },
    /// Pointwise activation.
    Act {
        /// What it reads.
        x: Id,
        /// Which one.
        f: Act,
    },
    /// Sum of two maps.
    Add {
        /// One.
        a: Id,
        /// The other.
        b: Id,
    },
    /// Max or average over windows.
    Pool {
        /// What it reads.
        x: Id,
        /// Which of the two.
        f: Pool,
        /// Geometry.
        at: Window,
    },
    /// Mean over the picture, `[B, 1, 1, C]`.
    GlobalPool {
        /// What it reads.
        x: Id,
    },
    /// Each channel multiplied by its gate `[B, 1, 1, C]`.
    Scale {
        /// What it reads.
        x: Id,
        /// The gates.
        gate: Id,
    },
    /// Product of two maps of one shape.
    Mul {
        /// One.
        a: Id,
        /// The other.
        b: Id,
    },
    /// A map resampled to the size of another one.
    Upsample {
        /// What it reads.
        x: Id,
        /// How.
        f: Upsample,
        /// The map whose height and width it takes.
        like: Id,
    },
    /// Zero channels before and after (the parameter-free shortcut of CIFAR ResNets).
    PadChannels {
        /// What it reads.
        x: Id,
        /// Zeros in front.
        before: usize,
        /// Zeros behind.
        after: usize,
    },
    /// Stochastic depth.
    DropPath {
        /// What it reads.
        x: Id,
        /// Probability to drop a sample.
        p: f64,
    },
    /// Dropout of single values.
    Dropout {
        /// What it reads.
        x: Id,
        /// Probability to drop a value.
        p: f64,
    },
    /// The map spread to at least a size, as PyTorch's adaptive average does it.
    AtLeast {
        /// What it reads.
        x: Id,
        /// Least height and width.
        side: usize,
    },
    /// Every value multiplied by one number.
    Times {
        /// What it reads.
        x: Id,
        /// The number.
        by: f64,
    },
    /// Channels one behind the other.
    Concat {
        /// What it reads.
        xs: Vec<Id>,
    },
    /// The way out: any candle code.
    Plain {
        /// What it reads.
        x: Id,
        /// The code.
        f: Plain,
        /// The same for other runtimes.
        written: Option<Written>,
        /// Indices into [`Program::params`].
        params: Vec<usize>,
    },
}

impl Node {
    /// The values it reads.
    pub fn inputs(&self) -> Vec<Id> {
        match self {
            Self::Input => vec![],
            Self::Conv { x, .. }
            | Self::Norm { x, .. }
            | Self::LayerNorm { x, .. }
            | Self::Attention { x, .. }
            | Self::Act { x, .. }
            | Self::Pool { x, .. }
            | Self::GlobalPool { x }
            | Self::PadChannels { x, .. }
            | Self::DropPath { x, .. }
            | Self::Dropout { x, .. }
            | Self::AtLeast { x, .. }
            | Self::Times { x, .. }
            | Self::Plain { x, .. } => vec![*x],
            Self::Add { a, b }
            | Self::Mul { a, b }
            | Self::Scale { x: a, gate: b }
            | Self::Upsample { x: a, like: b, .. } => vec![*a, *b],
            Self::Concat { xs } => xs.clone(),
        }
    }
    /// The same, to be changed.
    pub(crate) fn inputs_mut(&mut self) -> Vec<&mut Id> {
        match self {
            Self::Input => vec![],
            Self::Conv { x, .. }
            | Self::Norm { x, .. }
            | Self::LayerNorm { x, .. }
            | Self::Attention { x, .. }
            | Self::Act { x, .. }
            | Self::Pool { x, .. }
            | Self::GlobalPool { x }
            | Self::PadChannels { x, .. }
            | Self::DropPath { x, .. }
            | Self::Dropout { x, .. }
            | Self::AtLeast { x, .. }
            | Self::Times { x, .. }
            | Self::Plain { x, .. } => vec![x],
            Self::Add { a, b }
            | Self::Mul { a, b }
            | Self::Scale { x: a, gate: b }
            | Self::Upsample { x: a, like: b, .. } => vec![a, b],
            Self::Concat { xs } => xs.iter_mut().collect(),
        }
    }
    /// Its indices into [`Program::params`].
    pub(crate) fn params_mut(&mut self) -> Vec<&mut usize> {
        match self {
            Self::Conv { weight, bias, .. } => std::iter::once(weight).chain(bias).collect(),
            Self::Norm { weight, bias, .. } | Self::LayerNorm { weight, bias, .. } => vec![weight, bias],
            Self::Plain { params, .. } => params.iter_mut().collect(),
            Self::Input
            | Self::Attention { .. }
            | Self::Act { .. }
            | Self::Add { .. }
            | Self::Mul { .. }
            | Self::Upsample { .. }
            | Self::Pool { .. }
            | Self::GlobalPool { .. }
            | Self::Scale { .. }
            | Self::PadChannels { .. }
            | Self::DropPath { .. }
            | Self::Dropout { .. }
            | Self::AtLeast { .. }
            | Self::Times { .. }
            | Self::Concat { .. } => vec![],
        }
    }
}

/// A trainable parameter of a program.
#[derive(Clone, Debug)]
pub struct Param {
    /// Name within the block, e.g. `conv1.weight`.
    pub name: String,
    /// Shape in PyTorch's layout.
    pub shape: Vec<usize>,
    /// How it starts.
    pub init: Init,
}

/// A block: nodes in execution order, the last one is the output.
#[derive(Clone, Default)]
pub struct Program {
    /// The steps.
    pub nodes: Vec<Node>,
    /// Channels of every node.
    pub channels: Vec<usize>,
    /// Trainable parameters.
    pub params: Vec<Param>,
    /// Running statistics: name of the norm and its channels.
    pub stats: Vec<(String, usize)>,
    error: Option<String>,
}

impl Program {
    /// Tells the random choices of node `id` from those of others: a hash of the last parameter before it, so that a block
    /// is the same alone and in a chain, and how many choices came between the two.
    pub(crate) fn site(&self, id: Id) -> u64 {
        let (mut name, mut earlier) = ("", 0);
        for node in self.nodes[..id].iter().rev() {
            match node {
                Node::Conv { weight, .. } | Node::Norm { weight, .. } | Node::LayerNorm { weight, .. } => {
                    name = &self.params[*weight].name;
                    break;
                }
                Node::DropPath { .. } | Node::Dropout { .. } => earlier += 1,
                _ => {}
            }
        }
        crate::init::name_hash(name).wrapping_add(earlier)
    }
    /// Channels of the output.
    pub fn out_channels(&self) -> usize {
        self.channels.last().copied().unwrap_or(0)
    }
    /// Trainable numbers.
    pub fn parameters(&self) -> usize {
        self.params.iter().map(|p| p.shape.iter().product::<usize>()).sum()
    }
    /// Names of all variables: parameters, then running statistics.
    pub fn variables(&self) -> Vec<String> {
        let stats = self.stats.iter().flat_map(|(n, _)| [format!("{n}.running_mean"), format!("{n}.running_var")]);
        self.params.iter().map(|p| p.name.clone()).chain(stats).collect()
    }
    /// `(height, width)` of every node for an input of `(height, width)`; code in [`Node::Plain`] counts as keeping its size.
    ///
    /// # Errors
    /// When a window does not fit.
    pub fn sizes(&self, input: (usize, usize)) -> Result<Vec<(usize, usize)>> {
        let mut sizes: Vec<(usize, usize)> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let size = match node {
                Node::Input => input,
                Node::Conv { x, at, .. } | Node::Pool { x, at, .. } => {
                    let (h, w) = sizes[*x];
                    at.fit((h, w)).ok_or_else(|| {
                        let of = match node {
                            Node::Conv { weight, .. } => format!(" of '{}'", self.params[*weight].name),
                            _ => String::new(),
                        };
                        Error::Invalid(format!(
                            "a window{of} of {} pixels does not fit into a map of {h}x{w}",
                            at.spans()
                        ))
                    })?
                }
                Node::GlobalPool { .. } => (1, 1),
                Node::AtLeast { x, side } => (sizes[*x].0.max(*side), sizes[*x].1.max(*side)),
                Node::Concat { xs } => xs.first().map_or((0, 0), |x| sizes[*x]),
                Node::Norm { x, .. }
                | Node::LayerNorm { x, .. }
                | Node::Attention { x, .. }
                | Node::Act { x, .. }
                | Node::Add { a: x, .. }
                | Node::Mul { a: x, .. }
                | Node::Upsample { like: x, .. }
                | Node::Scale { x, .. }
                | Node::PadChannels { x, .. }
                | Node::DropPath { x, .. }
                | Node::Dropout { x, .. }
                | Node::Times { x, .. }
                | Node::Plain { x, .. } => sizes[*x],
            };
            sizes.push(size);
        }
        Ok(sizes)
    }
    /// The same with every convolution started from `weight` and its bias at 0.
    pub(crate) fn started(mut self, weight: Init) -> Self {
        for node in &self.nodes {
            if let Node::Conv { weight: at, bias, .. } = node {
                self.params[*at].init = weight;
                bias.iter().for_each(|bias| self.params[*bias].init = Init::Const(0.0));
            }
        }
        self
    }
}

/// Blocks one behind the other as one program; the parameters of each get its prefix (none if empty).
///
/// # Errors
/// When a block does not read what the one before writes, or there is none.
pub fn chain(blocks: Vec<(String, Program)>) -> Result<Program> {
    let mut blocks = blocks.into_iter();
    let Some((prefix, first)) = blocks.next() else {
        return Err(Error::Invalid("a stage needs at least one block".into()));
    };
    let mut all = Program { nodes: vec![Node::Input], channels: first.channels[..1].to_vec(), ..Default::default() };
    for (prefix, block) in std::iter::once((prefix, first)).chain(blocks) {
        let (reads, gets) = (block.channels[0], all.out_channels());
        if reads != gets {
            return Err(Error::Invalid(format!("block '{prefix}' reads {reads} channels, but gets {gets}")));
        }
        all.append(&prefix, block);
    }
    Ok(all)
}

impl Program {
    /// The nodes of `block` with this program's output as their input.
    fn append(&mut self, prefix: &str, block: Self) {
        let path = |name: String| if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        let (nodes, params, stats) = (self.nodes.len() - 1, self.params.len(), self.stats.len());
        self.channels.extend(&block.channels[1..]);
        self.params.extend(block.params.into_iter().map(|p| Param { name: path(p.name), ..p }));
        self.stats.extend(block.stats.into_iter().map(|(name, c)| (path(name), c)));
        for mut node in block.nodes.into_iter().skip(1) {
            node.inputs_mut().into_iter().for_each(|x| *x += nodes);
            node.params_mut().into_iter().for_each(|p| *p += params);
            if let Node::Norm { stats: own, .. } = &mut node {
                *own += stats;
            }
            self.nodes.push(node);
        }
    }
}

/// A value while a program is written down. Copy: use it as often as you like; `+` adds maps, `*` multiplies them.
#[derive(Clone, Copy)]
pub struct Flow<'a> {
    draft: &'a RefCell<Program>,
    id: Id,
}

/// Writes a program that reads `channels` channels.
///
/// # Errors
/// The first mistake made while writing: channels that do not fit, the same name twice, an output that is not the last value.
pub fn block(channels: usize, f: impl FnOnce(Flow<'_>) -> Flow<'_>) -> Result<Program> {
    let start = Program { nodes: vec![Node::Input], channels: vec![channels], ..Default::default() };
    let draft = RefCell::new(start);
    let out = f(Flow { draft: &draft, id: 0 }).id;
    let program = draft.into_inner();
    if let Some(error) = program.error {
        return Err(Error::Invalid(error));
    }
    if out + 1 != program.nodes.len() {
        return Err(Error::Invalid("the last value of a block must be its output".into()));
    }
    Ok(program)
}

/// He et al. 2015, fan-out, as torchvision and timm start convolutions.
pub(crate) const CONV_INIT: Init =
    Init::Kaiming { dist: NormalOrUniform::Normal, fan: FanInOut::FanOut, non_linearity: NonLinearity::ReLU };

impl<'a> Flow<'a> {
    fn push(self, node: Node, channels: usize) -> Self {
        if channels > limits::CHANNELS {
            self.fail(format!(
                "a map has at most {} channels, not {channels}; make the network narrower",
                limits::CHANNELS
            ));
            return self;
        }
        let mut draft = self.draft.borrow_mut();
        draft.nodes.push(node);
        draft.channels.push(channels);
        Self { draft: self.draft, id: draft.nodes.len() - 1 }
    }
    fn keep(self, node: Node) -> Self {
        self.push(node, self.channels())
    }
    fn fail(self, message: String) {
        self.draft.borrow_mut().error.get_or_insert(message);
    }
    fn param(self, name: String, shape: Vec<usize>, init: Init) -> usize {
        if self.draft.borrow().params.iter().any(|p| p.name == name) {
            self.fail(format!("two parameters are called '{name}'"));
        }
        let mut draft = self.draft.borrow_mut();
        draft.params.push(Param { name, shape, init });
        draft.params.len() - 1
    }
    /// Channels of this value.
    pub fn channels(self) -> usize {
        self.draft.borrow().channels[self.id]
    }
    /// Convolution to `out` channels. The weight starts normal with He's fan-out deviation, a bias as PyTorch's.
    pub fn conv(self, name: &str, out: usize, at: Window) -> Self {
        let channels = self.channels();
        if at.groups == 0 || !channels.is_multiple_of(at.groups) || !out.is_multiple_of(at.groups) || out == 0 {
            self.fail(format!("{name}: {channels} -> {out} channels do not divide into {} groups", at.groups));
            return self;
        }
        let [height, width] = at.sides();
        let shape = vec![out, channels / at.groups, height, width];
        let bound = 1.0 / ((shape[1] * at.taps()) as f64).sqrt();
        let weight = self.param(format!("{name}.weight"), shape, CONV_INIT);
        let start = Init::Uniform { lo: -bound, up: bound };
        let bias = at.bias.then(|| self.param(format!("{name}.bias"), vec![out], start));
        self.push(Node::Conv { x: self.id, at, weight, bias }, out)
    }
    /// Convolution of every channel by itself.
    pub fn depthwise(self, name: &str, at: Window) -> Self {
        let channels = self.channels();
        self.conv(name, channels, at.groups(channels))
    }
    /// The same linear layer at every pixel: a 1×1 convolution with a bias whose weight is `[out, C]`. It starts as PyTorch's.
    pub fn linear(self, name: &str, out: usize) -> Self {
        let channels = self.channels();
        let bound = 1.0 / (channels as f64).sqrt();
        let start = Init::Uniform { lo: -bound, up: bound };
        let weight = self.param(format!("{name}.weight"), vec![out, channels], start);
        let bias = Some(self.param(format!("{name}.bias"), vec![out], start));
        self.push(Node::Conv { x: self.id, at: k(1).bias(), weight, bias }, out)
    }
    /// Every channel multiplied by a number of its own that starts at `start` (Touvron et al. 2021, "Going deeper with image
    /// transformers"): a depthwise convolution of one pixel.
    pub fn layer_scale(self, name: &str, start: f64) -> Self {
        let channels = self.channels();
        let weight = self.param(name.into(), vec![channels], Init::Const(start));
        self.push(Node::Conv { x: self.id, at: k(1).groups(channels), weight, bias: None }, channels)
    }
    /// Layer norm over the channels of each pixel, weight 1, bias 0.
    pub fn layer_norm(self, name: &str, eps: f64) -> Self {
        let channels = self.channels();
        let weight = self.param(format!("{name}.weight"), vec![channels], Init::Const(1.0));
        let bias = self.param(format!("{name}.bias"), vec![channels], Init::Const(0.0));
        self.keep(Node::LayerNorm { x: self.id, eps, weight, bias })
    }
    /// Attention of all pixels to each other; this value holds queries, keys and values, one third of its channels each.
    pub fn attention(self, heads: usize) -> Self {
        let channels = self.channels();
        if heads == 0 || !channels.is_multiple_of(3 * heads) {
            self.fail(format!("attention: {channels} channels are not queries, keys and values of {heads} heads"));
            return self;
        }
        self.push(Node::Attention { x: self.id, heads }, channels / 3)
    }
    /// Batch norm with PyTorch's defaults (eps 1e-5, momentum 0.1), weight 1, bias 0.
    pub fn norm(self, name: &str) -> Self {
        self.norm_from(name, 1.0)
    }
    /// Batch norm whose weight starts at `weight`: 0 makes a residual branch start as the identity (Goyal et al. 2017).
    pub fn norm_from(self, name: &str, weight: f64) -> Self {
        let channels = self.channels();
        let weight = self.param(format!("{name}.weight"), vec![channels], Init::Const(weight));
        let bias = self.param(format!("{name}.bias"), vec![channels], Init::Const(0.0));
        let stats = {
            let mut draft = self.draft.borrow_mut();
            draft.stats.push((name.into(), channels));
            draft.stats.len() - 1
        };
        self.keep(Node::Norm { x: self.id, eps: 1e-5, momentum: 0.1, weight, bias, stats })
    }
    /// Activation.
    pub fn act(self, f: Act) -> Self {
        self.keep(Node::Act { x: self.id, f })
    }
    /// ReLU.
    pub fn relu(self) -> Self {
        self.act(Act::Relu)
    }
    /// SiLU (swish).
    pub fn silu(self) -> Self {
        self.act(Act::Silu)
    }
    /// GELU.
    pub fn gelu(self) -> Self {
        self.act(Act::Gelu)
    }
    /// Max or average pool.
    pub fn pool(self, f: Pool, at: Window) -> Self {
        self.keep(Node::Pool { x: self.id, f, at })
    }
    /// Mean over the picture, `[B, 1, 1, C]`.
    pub fn global_pool(self) -> Self {
        self.keep(Node::GlobalPool { x: self.id })
    }
    /// Multiplies each channel by its gate.
    pub fn scale(self, gate: Self) -> Self {
        if gate.channels() != self.channels() {
            self.fail(format!("scale: {} channels, {} gates", self.channels(), gate.channels()));
        }
        self.keep(Node::Scale { x: self.id, gate: gate.id })
    }
    /// Resampled to the height and width of `like`.
    pub fn upsample(self, f: Upsample, like: Self) -> Self {
        self.keep(Node::Upsample { x: self.id, f, like: like.id })
    }
    /// Zero channels before and after.
    pub fn pad_channels(self, before: usize, after: usize) -> Self {
        self.push(Node::PadChannels { x: self.id, before, after }, self.channels() + before + after)
    }
    /// Stochastic depth; `p` = 0 writes nothing.
    pub fn drop_path(self, p: f64) -> Self {
        if !(0.0..1.0).contains(&p) {
            self.fail(format!("drop_path: p must be in 0..1, got {p}"));
        }
        if p == 0.0 { self } else { self.keep(Node::DropPath { x: self.id, p }) }
    }
    /// Dropout of single values (Srivastava et al. 2014); `p` = 0 writes nothing.
    pub fn dropout(self, p: f64) -> Self {
        if !(0.0..1.0).contains(&p) {
            self.fail(format!("dropout: p must be in 0..1, got {p}"));
        }
        if p == 0.0 { self } else { self.keep(Node::Dropout { x: self.id, p }) }
    }
    /// A map of at least `side × side` pixels, so that a window of that size fits: a smaller one is spread as PyTorch's
    /// adaptive average does it.
    pub fn at_least(self, side: usize) -> Self {
        self.keep(Node::AtLeast { x: self.id, side })
    }
    /// Every value multiplied by one number.
    pub fn times(self, by: f64) -> Self {
        self.keep(Node::Times { x: self.id, by })
    }
    /// Candle code in the middle of a block, `channels` out; `params` are (name, shape, start).
    pub fn plain(
        self,
        channels: usize,
        params: &[(&str, Vec<usize>, Init)],
        f: impl Fn(&[Tensor], &[Tensor]) -> candle_core::Result<Tensor> + Send + Sync + 'static,
    ) -> Self {
        let params = params.iter().map(|(n, s, i)| self.param((*n).into(), s.clone(), *i)).collect();
        self.push(Node::Plain { x: self.id, f: Arc::new(f), written: None, params }, channels)
    }
    /// What the code of [`Flow::plain`], whose value this is, does in the operators of ONNX.
    pub fn written(self, by: impl Fn(&mut Graph, &Value, &[Value]) -> Value + Send + Sync + 'static) -> Self {
        match self.draft.borrow_mut().nodes.get_mut(self.id) {
            Some(Node::Plain { written, .. }) => *written = Some(Arc::new(by)),
            _ => self.fail("only candle code can be written otherwise".into()),
        }
        self
    }
}

impl Add for Flow<'_> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        if other.channels() != self.channels() {
            self.fail(format!("add: {} and {} channels", self.channels(), other.channels()));
        }
        self.keep(Node::Add { a: self.id, b: other.id })
    }
}

impl Mul for Flow<'_> {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        if other.channels() != self.channels() {
            self.fail(format!("product: {} and {} channels", self.channels(), other.channels()));
        }
        self.keep(Node::Mul { a: self.id, b: other.id })
    }
}

/// Channels of all values, one behind the other; at least one value.
pub fn concat<'a>(first: Flow<'a>, rest: &[Flow<'a>]) -> Flow<'a> {
    let all = std::iter::once(&first).chain(rest);
    let channels = all.clone().map(|x| x.channels()).sum();
    first.push(Node::Concat { xs: all.map(|x| x.id).collect() }, channels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named() {
        let message = |program: Result<Program>| program.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message(block(8, |x| x.conv("a", 8, k(3).groups(3)))).contains("a: 8 -> 8 channels"));
        assert!(message(block(8, |x| x.conv("a", 8, k(3)).conv("a", 8, k(3)))).contains("'a.weight'"));
        assert!(message(block(8, |x| x + x.conv("a", 4, k(1)))).contains("8 and 4"));
        assert!(message(block(8, |x| x.linear("qkv", 24).attention(3))).contains("24 channels are not queries"));
        assert!(
            message(block(8, |x| {
                x.relu();
                x
            }))
            .contains("last value")
        );
    }

    #[test]
    fn every_random_choice_has_a_site_of_its_own() {
        let program = block(4, |x| x.conv("a", 4, k(1)).dropout(0.5).relu().dropout(0.5).drop_path(0.5)).unwrap();
        let sites = [2, 4, 5].map(|id| program.site(id));
        assert!(sites[0] != sites[1] && sites[1] != sites[2] && sites[0] != sites[2]);
        assert_eq!(sites[0], crate::init::name_hash("a.weight"));
    }

    #[test]
    fn sizes_follow_windows() {
        let program = block(3, |x| x.conv("a", 8, k(7).stride(2)).pool(Pool::Max, k(3).stride(2)).global_pool());
        let sizes = program.unwrap().sizes((33, 20)).unwrap();
        assert_eq!(sizes, [(33, 20), (17, 10), (9, 5), (1, 1)]);
        let program = block(3, |x| x.at_least(7).conv("a", 8, k(7).pad(0))).unwrap();
        assert_eq!(program.sizes((3, 9)).unwrap()[1..], [(7, 9), (1, 3)]);
    }
}

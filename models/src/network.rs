//! A whole network: backbone, pool, join of views, tabular join, head.

use crate::backbone::{self, Backbone};
use crate::error::{Error, Result};
use crate::heads::{self, HEADS, Head};
use crate::init;
use crate::joins::{self, JOINS, Join};
use crate::layers::{Branch, Variables, dropped};
use crate::limits;
use crate::onnx::{self, Graph};
use crate::parts::Choice;
use crate::pass::Pass;
use crate::pools::{POOLS, Pooling};
use crate::summary::{Layer, Summary};
use candle_core::{DType, ModuleT, Tensor, bail};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What network to build.
///
/// | field | default | range |
/// |---|---|---|
/// | `model` | baseline | a name of [`models`](crate::models) |
/// | `params` | null | overrides of the model's configuration |
/// | `classes` | 2 | at least 1 |
/// | `channels` | 3 | channels of the pictures |
/// | `pool` | mean | a name of [`POOLS`] with its parameters |
/// | `views` | 1 | at least 1, pictures of one sample |
/// | `join` | mean | a name of [`JOINS`] with its parameters; what it does with several views |
/// | `meta` | 0 | tabular features joined before the head |
/// | `meta_hidden` | none | widths of layers that they go through before, at least 1 |
/// | `dropout` | 0 | 0..1, before the head, and behind each of the layers of `meta_hidden` |
/// | `head` | linear | a name of [`HEADS`] with its parameters |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// Name of the backbone.
    pub model: String,
    /// Overrides of the backbone's configuration, an object.
    pub params: Value,
    /// Classes K: what the head says, in most cases.
    pub classes: usize,
    /// Channels of the pictures.
    pub channels: usize,
    /// What makes a row of a map.
    pub pool: Choice,
    /// Pictures V of one sample.
    pub views: usize,
    /// What makes one of several views.
    pub join: Choice,
    /// Tabular features M joined before the head.
    pub meta: usize,
    /// Widths of the layers (linear, batch norm, ReLU, dropout) that tabular features go through before they are joined.
    pub meta_hidden: Vec<usize>,
    /// Probability of dropping a feature before the head, and behind each of those layers.
    pub dropout: f64,
    /// From the joined row to what the network says.
    pub head: Choice,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            model: "baseline".into(),
            params: Value::Null,
            classes: 2,
            channels: 3,
            pool: Choice::new("mean"),
            views: 1,
            join: Choice::new("mean"),
            meta: 0,
            meta_hidden: vec![],
            dropout: 0.0,
            head: Choice::new("linear"),
        }
    }
}

/// Backbone, pool, join of views, tabular join and head. Variables are `backbone.*`, `pool.*`, `join.*`, `meta.*`, `head.*`.
pub struct Network {
    backbone: Box<dyn Backbone>,
    pool: Box<dyn Pooling>,
    /// Where a sample has several views.
    join: Option<Box<dyn Join>>,
    branch: Branch,
    head: Box<dyn Head>,
    /// Names of the variables behind the backbone.
    behind: Vec<String>,
    /// Name, kind, width, trainable numbers and multiply-adds of what stands behind the backbone and counts.
    parts: Vec<(&'static str, &'static str, usize, usize, usize)>,
    views: usize,
    channels: usize,
    meta: usize,
    dropout: f64,
}

impl Network {
    /// Takes or makes the variables under `vb`'s path.
    ///
    /// # Errors
    /// Unknown models, parts and parameters, impossible values, more than ten billion parameters, variables of another shape.
    pub fn new(config: &NetworkConfig, vb: VarBuilder<'_>) -> Result<Self> {
        config.check()?;
        // Too large a network is told before memory is taken.
        Self::made(config, init::outline())?;
        Self::made(config, vb)
    }

    fn made(config: &NetworkConfig, vb: VarBuilder<'_>) -> Result<Self> {
        let &NetworkConfig { classes, channels, views, meta, dropout, .. } = config;
        let backbone = backbone::made(&config.model, &config.params, channels, vb.pp("backbone"))?;
        let (mut behind, mut parts) = (vec![], vec![]);
        let mut keep = |name, kind, width, vars: Variables<'_>| {
            let (names, parameters, multiply_adds) = vars.made();
            if parameters > 0 {
                parts.push((name, kind, width, parameters, multiply_adds));
            }
            behind.extend(names);
        };

        let mut vars = Variables::new("pool", &vb);
        let pool = POOLS.build(&config.pool, backbone.width(), &mut vars)?;
        keep("pool", POOLS.find(&config.pool.name)?.name, pool.parts() * backbone.width(), vars);

        let mut features = pool.parts() * backbone.embedding();
        JOINS.resolve(&config.join)?;
        let mut join = None;
        if views > 1 {
            let mut vars = Variables::new("join", &vb);
            let built = JOINS.build(&config.join, joins::Sizes { views, features, classes }, &mut vars)?;
            features = built.widened(features);
            keep("join", JOINS.find(&config.join.name)?.name, features, vars);
            join = Some(built);
        }

        let mut vars = Variables::new("meta", &vb);
        let branch = Branch::new(&mut vars, meta, if meta > 0 { &config.meta_hidden } else { &[] }, dropout)?;
        let tabular = branch.outputs();
        keep("meta", "branch", tabular, vars);

        let mut vars = Variables::new("head", &vb);
        let start = backbone::head_start(&config.model)?;
        let sizes = heads::Sizes { inputs: features + tabular, classes, start };
        let head = HEADS.build(&config.head, sizes, &mut vars)?;
        keep("head", HEADS.find(&config.head.name)?.name, head.outputs(), vars);
        Ok(Self { backbone, pool, join, branch, head, behind, parts, channels, views, meta, dropout })
    }

    /// What the head says, `[B, K]` in most cases, F32 (F64 for F64 pictures), from pictures `[B, C, H, W]`, or
    /// `[B·V, C, H, W]` and `[B, V, C, H, W]` where a sample has V views, and tabular features `[B, M]`.
    pub fn forward(&self, images: &Tensor, meta: Option<&Tensor>, pass: &mut Pass<'_>) -> candle_core::Result<Tensor> {
        let features = self.features(images, pass)?;
        self.classify(&self.embed(&features, pass)?, meta, pass)
    }

    /// Axes of the input: 4 for pictures `[B, C, H, W]`, 5 for volumes `[B, C, D, H, W]`.
    pub fn rank(&self) -> usize {
        self.backbone.rank()
    }

    /// Whether the backbone only sees, so that all that can learn stands behind it.
    pub fn frozen(&self) -> bool {
        self.backbone.frozen()
    }

    /// The last feature map `[B, F, h, w]`, of each view by itself; Grad-CAM starts here.
    pub fn features(&self, images: &Tensor, pass: &mut Pass<'_>) -> candle_core::Result<Tensor> {
        self.seen(images, pass).map_err(|error| {
            let &[.., h, w] = images.dims() else { return error };
            match self.backbone.layers((h, w)) {
                Err(small) if self.backbone.layers((1024, 1024)).is_ok() => candle_core::Error::Msg(format!(
                    "pictures of {h}x{w} pixels are too small for the network: {small}"
                )),
                _ => error,
            }
        })
    }

    fn seen(&self, images: &Tensor, pass: &mut Pass<'_>) -> candle_core::Result<Tensor> {
        let dims = images.dims();
        if dims.len() == self.rank() + 1 {
            if dims[1] != self.views {
                bail!("the network takes {} views of a sample, but got {dims:?}", self.views)
            }
            return self.backbone.features(&images.flatten(0, 1)?, pass);
        }
        if !dims.first().is_some_and(|count| count.is_multiple_of(self.views)) {
            bail!("{dims:?} are no whole number of samples of {} views", self.views)
        }
        self.backbone.features(images, pass)
    }

    /// `[B, F, h, w]` → `[B, E]`: a row of the map, and what the family does behind it.
    pub fn embed(&self, features: &Tensor, pass: &mut Pass<'_>) -> candle_core::Result<Tensor> {
        // Back to the layout in which blocks wrote it: no copy.
        let pooled = self.pool.forward(&features.permute((0, 2, 3, 1))?, pass)?;
        let parts = self.pool.parts();
        if parts == 1 {
            return self.backbone.neck(&pooled, pass);
        }
        // Each of the rows that stand side by side goes through the neck by itself.
        let (batch, width) = pooled.dims2()?;
        self.backbone.neck(&pooled.reshape((batch * parts, width / parts))?, pass)?.reshape((batch, ()))
    }

    /// `[B, E]` and `[B, M]` → what the head says; `[B·V, E]` where a sample has V views.
    pub fn classify(
        &self,
        embedding: &Tensor,
        meta: Option<&Tensor>,
        pass: &mut Pass<'_>,
    ) -> candle_core::Result<Tensor> {
        let (embedding, meta) = self.read(embedding, meta, pass)?;
        match &self.join {
            None => self.say(&embedding, meta.as_ref(), pass),
            Some(join) if !join.behind() => {
                self.say(&join.forward(&self.by_sample(&embedding)?, pass)?, meta.as_ref(), pass)
            }
            Some(join) => {
                let each = |meta: Tensor| {
                    let (batch, m) = meta.dims2()?;
                    meta.unsqueeze(1)?.broadcast_as((batch, self.views, m))?.reshape((batch * self.views, m))
                };
                let said = self.say(&embedding, meta.map(each).transpose()?.as_ref(), pass)?;
                join.forward(&self.by_sample(&said)?, pass)
            }
        }
    }

    /// `[B, E]` and `[B, M]` → what each head of a bag says, `[B, N, K]`; others are one.
    pub fn each(&self, embedding: &Tensor, meta: Option<&Tensor>, pass: &mut Pass<'_>) -> candle_core::Result<Tensor> {
        if self.join.is_some() {
            bail!("the heads of a bag are heard one by one only where a sample is one picture")
        }
        let (embedding, meta) = self.read(embedding, meta, pass)?;
        self.head.each(&self.joined(&embedding, meta.as_ref(), pass)?, pass)
    }

    /// Both in the head's type, the tabular features behind their layers.
    fn read(
        &self,
        embedding: &Tensor,
        meta: Option<&Tensor>,
        pass: &Pass<'_>,
    ) -> candle_core::Result<(Tensor, Option<Tensor>)> {
        let wide = if embedding.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
        let meta = match (meta, self.meta) {
            (_, 0) => None,
            (Some(meta), m) if meta.dim(1)? == m => Some(self.branch.forward(&meta.to_dtype(wide)?, pass)?),
            (Some(meta), m) => bail!("the network takes {m} tabular features, but got {:?}", meta.dims()),
            (None, m) => bail!("the network takes {m} tabular features, but got none"),
        };
        Ok((embedding.to_dtype(wide)?, meta))
    }

    /// `[B·V, N]` → `[B, V, N]`.
    fn by_sample(&self, rows: &Tensor) -> candle_core::Result<Tensor> {
        let (count, width) = rows.dims2()?;
        rows.reshape((count / self.views, self.views, width))
    }

    /// Rows and their tabular features through the head.
    fn say(&self, rows: &Tensor, meta: Option<&Tensor>, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        self.head.forward(&self.joined(rows, meta, pass)?, pass)
    }

    /// Rows and their tabular features side by side, some of them dropped.
    fn joined(&self, rows: &Tensor, meta: Option<&Tensor>, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        let joined = match meta {
            Some(meta) => Tensor::cat(&[rows, meta], 1)?,
            None => rows.clone(),
        };
        dropped(&joined, self.dropout, pass, "head.dropout")
    }

    /// Outputs of the backbone's auxiliary heads, see [`Backbone::auxiliary`].
    pub fn auxiliary(&self) -> usize {
        self.backbone.auxiliary()
    }

    /// The head.
    pub fn head(&self) -> &dyn Head {
        self.head.as_ref()
    }

    /// Stages from input to output with their variables; the last one, the head, is all that stands behind the backbone.
    pub fn stages(&self) -> Vec<(String, Vec<String>)> {
        let prefixed = |(name, variables): (String, Vec<String>)| {
            (name, variables.iter().map(|v| format!("backbone.{v}")).collect())
        };
        self.backbone.stages().into_iter().map(prefixed).chain([("head".to_string(), self.behind.clone())]).collect()
    }

    /// Layers, output shapes, parameters and multiply-adds for pictures, or volumes of as many slices as the backbone
    /// [counts](Backbone::slices) for, of `size` (height, width).
    ///
    /// # Errors
    /// When the picture is too small for the network.
    pub fn summary(&self, size: (usize, usize)) -> Result<Summary> {
        if size.0.max(size.1) > limits::NUMBER {
            return Err(Error::Invalid(format!("pictures have at most {} pixels a side", limits::NUMBER)));
        }
        let mut layers = self.backbone.layers(size)?;
        let (h, w) = self.backbone.map(size)?;
        for &(name, kind, width, parameters, multiply_adds) in &self.parts {
            // A pool works at every pixel of the map.
            let rows = if name == "pool" { h * w } else { 1 };
            let output = vec![width, 1, 1];
            let multiply_adds = multiply_adds.saturating_mul(rows);
            layers.push(Layer { name: name.into(), kind, output, parameters, multiply_adds });
        }
        let input = [self.channels].into_iter().chain(self.backbone.slices()).chain([size.0, size.1]).collect();
        Ok(Summary { input, layers })
    }

    /// Folds batch norms into the convolutions before them: the same logits in evaluation, up to rounding. The network does
    /// not follow its variables any more and cannot be trained.
    ///
    /// # Errors
    /// Those of tensors.
    pub fn fold(&mut self) -> Result<()> {
        self.backbone.fold()
    }

    /// The network in evaluation as a file in ONNX (opset 17, F32), with `metadata` as its properties. It reads `images`
    /// `[batch, C, height, width]` of `size` (height, width), normalized, and `features` `[batch, M]` where it takes tabular
    /// ones, and says `logits` `[batch, K]`, or as many numbers as its head says. Volumes are `[batch, C, depth, height, width]`
    /// with any depth, several views `[batch, V, C, height, width]`.
    ///
    /// # Errors
    /// When a block has code of its own that says nothing of ONNX, the pictures are too small, or the file would be larger than
    /// the format can be.
    pub fn onnx(&self, size: (usize, usize), metadata: &[(&str, String)]) -> Result<Vec<u8>> {
        let mut graph = Graph::default();
        let images = self.images_onnx(&mut graph, size);
        let map = self.backbone.onnx(&mut graph, &images, size)?;
        let mut rows = vec![];
        for pooled in self.pool.onnx(&mut graph, &map)? {
            let row = self.backbone.neck_onnx(&mut graph, &pooled)?;
            rows.push(graph.flat(&row));
        }
        let rows = graph.concat(&rows, 1);
        let mut meta = (self.meta > 0).then(|| graph.input("features", &[self.meta]));
        if let Some(features) = meta {
            meta = Some(self.branch.onnx(&mut graph, &features)?);
        }
        let said = self.classify_onnx(&mut graph, &rows, meta)?;
        graph.output("logits", &said, &[self.head.outputs()]);
        graph.model(metadata)
    }

    /// All pictures one behind the other, as the backbone reads them.
    fn images_onnx(&self, graph: &mut Graph, (height, width): (usize, usize)) -> onnx::Value {
        let views = (self.views > 1).then_some(self.views);
        let outer: Vec<usize> = views.into_iter().chain([self.channels]).collect();
        let volumes = self.rank() == 5;
        let images = match volumes {
            true => graph.volumes("images", &outer, (height, width)),
            false => graph.input("images", &[&outer[..], &[height, width]].concat()),
        };
        match views {
            None => images,
            Some(_) if volumes => {
                // The depth is any number, and so is the batch: a shape has room for one of them.
                let all = graph.ints(&[-1]);
                let shape = graph.node("Shape", &[&images], &[]);
                let shape = graph.slice(&shape, 0, 2, 6);
                let shape = graph.concat(&[all, shape], 0);
                graph.node("Reshape", &[&images, &shape], &[])
            }
            Some(_) => graph.reshape(&images, &[-1, self.channels as i64, height as i64, width as i64]),
        }
    }

    /// [`Network::classify`] behind the layers for tabular features.
    fn classify_onnx(&self, graph: &mut Graph, rows: &onnx::Value, meta: Option<onnx::Value>) -> Result<onnx::Value> {
        let views = self.views;
        let by_sample =
            |graph: &mut Graph, rows: &onnx::Value, width| graph.reshape(rows, &[-1, views as i64, width as i64]);
        let say = |graph: &mut Graph, rows: onnx::Value, meta: Option<onnx::Value>| {
            let all: Vec<_> = std::iter::once(rows).chain(meta).collect();
            let joined = graph.concat(&all, 1);
            self.head.onnx(graph, &joined)
        };
        match &self.join {
            None => say(graph, rows.clone(), meta),
            Some(join) if !join.behind() => {
                let width = self.pool.parts() * self.backbone.embedding();
                let seen = by_sample(graph, rows, width);
                let seen = join.onnx(graph, &seen, (views, width))?;
                say(graph, seen, meta)
            }
            Some(join) => {
                let meta = meta.map(|meta| {
                    let often = graph.ints(&[1, views as i64]);
                    let each = graph.node("Tile", &[&meta, &often], &[]);
                    graph.reshape(&each, &[-1, self.branch.outputs() as i64])
                });
                let said = say(graph, rows.clone(), meta)?;
                let said = by_sample(graph, &said, self.head.outputs());
                join.onnx(graph, &said, (views, self.head.outputs()))
            }
        }
    }
}

impl NetworkConfig {
    fn check(&self) -> Result<()> {
        let wrong = |why: String| Err(Error::Invalid(why));
        match () {
            _ if [self.classes, self.channels, self.views].contains(&0) => {
                wrong("a network needs at least one class, one channel and one view".into())
            }
            _ if [self.classes, self.channels, self.views, self.meta].iter().any(|n| *n > limits::NUMBER) => {
                wrong(format!("classes, channels, views and tabular features are at most {} each", limits::NUMBER))
            }
            _ if !(0.0..1.0).contains(&self.dropout) => wrong(format!("dropout must be in 0..1, got {}", self.dropout)),
            _ if self.meta_hidden.contains(&0) => wrong("meta_hidden: every layer needs at least one feature".into()),
            _ => Ok(()),
        }
    }
}

impl ModuleT for Network {
    /// Logits without tabular features; training uses key 0.
    fn forward_t(&self, xs: &Tensor, train: bool) -> candle_core::Result<Tensor> {
        self.forward(xs, None, &mut if train { Pass::train(0) } else { Pass::eval() })
    }
}

//! Layers on rows `[N, F]`, of which pools, joins and heads are made, and where their variables come from.

use crate::error::Result;
use crate::init::{Start, name_hash};
use crate::onnx::{Graph, Value};
use crate::ops::{Act, batch_norm_eval, batch_norm_train, dropout, linear, relu};
use crate::pass::Pass;
use candle_core::{Shape, Tensor, Var};
use candle_nn::{Init, VarBuilder};

/// Takes or makes the variables of one part, and remembers them for freezing and for summaries.
pub struct Variables<'a> {
    path: &'static str,
    vb: VarBuilder<'a>,
    /// Where within the part.
    inside: String,
    names: Vec<String>,
    parameters: usize,
    multiply_adds: usize,
}

impl<'a> Variables<'a> {
    /// Those of the part `path` of the network under `vb`'s path.
    pub fn new(path: &'static str, vb: &VarBuilder<'a>) -> Self {
        Self { path, vb: vb.pp(path), inside: String::new(), names: vec![], parameters: 0, multiply_adds: 0 }
    }

    /// The trainable variable `name`.
    ///
    /// # Errors
    /// When it has another shape, or lacks and cannot be made.
    pub fn weight(&mut self, name: &str, shape: impl Into<Shape>, start: impl Into<Start>) -> Result<Tensor> {
        let shape = shape.into();
        self.names.push(self.full(name));
        let name = within(&self.inside, name);
        let made = start.into().make(&self.vb, &name, shape)?;
        self.parameters += made.elem_count();
        Ok(made)
    }

    /// What `make` makes, with its variables under `name`.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn inside<T>(&mut self, name: &str, make: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let inner = within(&self.inside, name);
        let outer = std::mem::replace(&mut self.inside, inner);
        let made = make(self);
        self.inside = outer;
        made
    }

    fn statistic(&mut self, name: &str, channels: usize, start: f64) -> Result<Var> {
        self.names.push(self.full(name));
        let name = within(&self.inside, name);
        Ok(Var::from_tensor(&self.vb.get_with_hints(channels, &name, Init::Const(start))?)?)
    }

    /// What `name` is called in the network.
    fn full(&self, name: &str) -> String {
        within(self.path, &within(&self.inside, name))
    }

    /// Counts `multiply_adds` for one row.
    pub fn count(&mut self, multiply_adds: usize) {
        self.multiply_adds += multiply_adds;
    }

    /// Names within the network, statistics included; trainable numbers; multiply-adds for one row.
    pub(crate) fn made(self) -> (Vec<String>, usize, usize) {
        (self.names, self.parameters, self.multiply_adds)
    }
}

/// The variable `leaf` of the layer `name`; either may be empty.
fn within(name: &str, leaf: &str) -> String {
    if name.is_empty() || leaf.is_empty() { format!("{name}{leaf}") } else { format!("{name}.{leaf}") }
}

/// How a linear layer starts; what is none starts as in PyTorch's.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinearStart {
    /// Of the weight `[G, F]`.
    pub weight: Option<Start>,
    /// Of the bias `[G]`.
    pub bias: Option<Start>,
}

impl LinearStart {
    /// PyTorch's: both uniform in ±1/√F.
    pub const PYTORCH: Self = Self { weight: None, bias: None };

    /// The weight so, the bias at 0.
    pub const fn unbiased(weight: Start) -> Self {
        Self { weight: Some(weight), bias: Some(Start::Constant { value: 0.0 }) }
    }
}

/// `x·Wᵀ + b`.
pub struct Dense {
    name: String,
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Dense {
    /// From `sizes[0]` features to `sizes[1]`; starts as PyTorch's linear layer.
    ///
    /// # Errors
    /// Those of [`Variables::weight`].
    pub fn new(vars: &mut Variables<'_>, name: &str, sizes: [usize; 2], bias: bool) -> Result<Self> {
        Self::started(vars, name, sizes, bias, LinearStart::PYTORCH)
    }

    /// The same, started so.
    ///
    /// # Errors
    /// Those of [`Variables::weight`].
    pub fn started(
        vars: &mut Variables<'_>,
        name: &str,
        sizes: [usize; 2],
        bias: bool,
        start: LinearStart,
    ) -> Result<Self> {
        let [inputs, outputs] = sizes;
        let bound = 1.0 / (inputs as f64).sqrt();
        let usual = Start::Plain(Init::Uniform { lo: -bound, up: bound });
        let weight = vars.weight(&within(name, "weight"), (outputs, inputs), start.weight.unwrap_or(usual))?;
        let start = start.bias.unwrap_or(usual);
        let bias = if bias { Some(vars.weight(&within(name, "bias"), outputs, start)?) } else { None };
        vars.count(inputs * outputs);
        Ok(Self { name: vars.full(name), weight, bias })
    }

    /// `[N, F]` → `[N, G]`.
    pub fn forward(&self, x: &Tensor, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        let bias = self.bias.as_ref().map(|b| pass.parameter(b));
        linear(x, &pass.parameter(&self.weight), bias.as_ref())
    }

    /// The same in the operators of ONNX.
    ///
    /// # Errors
    /// Those of tensors.
    pub fn onnx(&self, graph: &mut Graph, rows: &Value) -> Result<Value> {
        let (weight, bias) = self.written(graph, &self.weight)?;
        Ok(graph.linear(rows, &weight, bias.as_ref()))
    }

    /// The same at every pixel of a map `[batch, F, height, width]` → `[batch, G, height, width]`.
    ///
    /// # Errors
    /// Those of tensors.
    pub fn map_onnx(&self, graph: &mut Graph, map: &Value) -> Result<Value> {
        let (weight, bias) = self.written(graph, &self.weight.unsqueeze(2)?.unsqueeze(3)?)?;
        let inputs: Vec<&Value> = [map, &weight].into_iter().chain(&bias).collect();
        Ok(graph.node("Conv", &inputs, &[]))
    }

    fn written(&self, graph: &mut Graph, weight: &Tensor) -> Result<(Value, Option<Value>)> {
        let weight = graph.tensor(&within(&self.name, "weight"), weight)?;
        let bias = self.bias.as_ref().map(|bias| graph.tensor(&within(&self.name, "bias"), bias));
        Ok((weight, bias.transpose()?))
    }
}

/// Batch norm over rows with PyTorch's defaults (eps 1e-5, momentum 0.1).
pub struct BatchNorm {
    name: String,
    weight: Tensor,
    bias: Tensor,
    /// Mean and variance.
    running: [Var; 2],
}

impl BatchNorm {
    const EPS: f64 = 1e-5;
    const MOMENTUM: f64 = 0.1;

    /// Over `features` features.
    ///
    /// # Errors
    /// Those of [`Variables::weight`].
    pub fn new(vars: &mut Variables<'_>, name: &str, features: usize) -> Result<Self> {
        Ok(Self {
            name: vars.full(name),
            weight: vars.weight(&within(name, "weight"), features, Init::Const(1.0))?,
            bias: vars.weight(&within(name, "bias"), features, Init::Const(0.0))?,
            running: [
                vars.statistic(&within(name, "running_mean"), features, 0.0)?,
                vars.statistic(&within(name, "running_var"), features, 1.0)?,
            ],
        })
    }

    /// `[N, F]` → `[N, F]`; in training with [`Pass::update_stats`] the running statistics move.
    pub fn forward(&self, x: &Tensor, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        let (weight, bias) = (pass.parameter(&self.weight), pass.parameter(&self.bias));
        if !pass.train {
            let [mean, variance] = self.statistics();
            return batch_norm_eval(x, &weight, &bias, (&mean, &variance), Self::EPS);
        }
        let (y, batch) = batch_norm_train(x, &weight, &bias, Self::EPS)?;
        if pass.update_stats {
            batch.move_into(&self.running, Self::MOMENTUM)?;
        }
        Ok(y)
    }

    fn statistics(&self) -> [Tensor; 2] {
        self.running.each_ref().map(Var::as_detached_tensor)
    }

    /// The same in evaluation in the operators of ONNX, of rows `[N, F]` or maps `[batch, F, height, width]`.
    ///
    /// # Errors
    /// Those of tensors.
    pub fn onnx(&self, graph: &mut Graph, x: &Value) -> Result<Value> {
        let [mean, variance] = self.statistics();
        graph.batch_norm(x, &self.name, [&self.weight, &self.bias, &mean, &variance], Self::EPS)
    }
}

/// Drops values of `x` with probability `p` in training. `site` names the place in the network.
pub(crate) fn dropped(x: &Tensor, p: f64, pass: &Pass<'_>, site: &str) -> candle_core::Result<Tensor> {
    dropout(x, pass.rate(p), pass.key, name_hash(site))
}

/// Several of: linear, batch norm, ReLU, dropout. What metadata go through before they are joined.
pub struct Branch {
    layers: Vec<(Dense, BatchNorm)>,
    outputs: usize,
    dropout: f64,
}

impl Branch {
    /// Layers of `widths` behind `inputs` features.
    ///
    /// # Errors
    /// Those of [`Variables::weight`].
    pub fn new(vars: &mut Variables<'_>, inputs: usize, widths: &[usize], dropout: f64) -> Result<Self> {
        let mut layers = vec![];
        let mut reads = inputs;
        for (i, &width) in widths.iter().enumerate() {
            // No bias: the norm behind it takes it away.
            let dense = Dense::new(vars, &i.to_string(), [reads, width], false)?;
            layers.push((dense, BatchNorm::new(vars, &format!("{i}.norm"), width)?));
            reads = width;
        }
        Ok(Self { layers, outputs: reads, dropout })
    }

    /// W: features that come out.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// `[B, M]` → `[B, W]`, W the last of the widths, M without any.
    pub fn forward(&self, x: &Tensor, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        let mut x = x.clone();
        for (i, (dense, norm)) in self.layers.iter().enumerate() {
            x = relu(&norm.forward(&dense.forward(&x, pass)?, pass)?)?;
            x = dropped(&x, self.dropout, pass, &format!("meta.dropout.{i}"))?;
        }
        Ok(x)
    }

    /// The same in evaluation in the operators of ONNX.
    ///
    /// # Errors
    /// Those of tensors.
    pub fn onnx(&self, graph: &mut Graph, x: &Value) -> Result<Value> {
        let mut x = x.clone();
        for (dense, norm) in &self.layers {
            let y = dense.onnx(graph, &x)?;
            let y = norm.onnx(graph, &y)?;
            x = graph.act(&y, Act::Relu);
        }
        Ok(x)
    }
}

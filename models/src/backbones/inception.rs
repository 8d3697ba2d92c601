//! Inception v3: Szegedy et al., "Rethinking the Inception architecture for computer vision", 2015 (arXiv 1512.00567).
//!
//! Reference implementation: torchvision 0.26 `inception_v3`, whose variable names (timm's too), norms (eps 1e-3) and
//! starting values these are. What differs: pictures come normalized as the recipe says, so there is no
//! `transform_input`; dropout before the head is the network's own setting; `width` is TF-slim's `depth_multiplier`.

use super::convolutional::{Convolutional, Stage};
use crate::backbone::{Backbone, Family, Preset};
use crate::error::{Error, Result};
use crate::growth::{deeper, longer};
use crate::init::Start;
use crate::layers::{Dense, LinearStart, Variables};
use crate::limits;
use crate::onnx::{Graph, Value};
use crate::ops::{Act, Block, Flow, Node, Pool, Program, Window, block, concat, k, rect};
use crate::pass::{AUXILIARY, Pass};
use crate::summary::{Layer, program_layers};
use candle_core::{DType, Tensor};
use candle_nn::{Init, VarBuilder};
use serde::{Deserialize, Serialize};

/// Inception v3, made for 299 pixels; 75 are the least.
///
/// | field | default | range |
/// |---|---|---|
/// | `width` | 1 | above 0, factor of all channels |
/// | `depth` | 1 | above 0, factor of the modules that keep the map's size, which are rounded up |
/// | `act` | relu | a name of [`Act`] |
/// | `aux` | 0 | outputs of the auxiliary head: as many as classes, or 0 for none |
///
/// The auxiliary head reads the last map of 17×17 pixels, and needs them all. It exists for training alone: where a training pass has
/// [taps](Pass::taps), they see its logits `[B, K]` under the name [`AUXILIARY`]. The paper adds their loss with weight 0.3,
/// torchvision's recipe with 0.4. A step that does not use them leaves its parameters without gradients.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Inception {
    /// Factor of all channels.
    pub width: f64,
    /// Factor of the modules that keep the map's size.
    pub depth: f64,
    /// Activation.
    pub act: Act,
    /// Outputs of the auxiliary head.
    pub aux: usize,
}

impl Default for Inception {
    fn default() -> Self {
        Self { width: 1.0, depth: 1.0, act: Act::Relu, aux: 0 }
    }
}

/// The paper's modules, by torchvision's letters.
#[derive(Clone, Copy)]
enum Module {
    /// Figure 5: 5×5 as two 3×3; channels behind the pool.
    A(usize),
    /// Figure 10: half the side.
    B,
    /// Figure 6: 7×7 as 1×7 and 7×1; channels between them.
    C(usize),
    /// Half the side again.
    D,
    /// Figure 7: 1×3 beside 3×1.
    E,
}

/// Stages of modules: the digit in their names, the one that shrinks the map, and those that keep it.
const MODULES: [(usize, Option<Module>, &[Module]); 3] = [
    (5, None, &[Module::A(32), Module::A(64), Module::A(64)]),
    (6, Some(Module::B), &[Module::C(128), Module::C(160), Module::C(160), Module::C(192)]),
    (7, Some(Module::D), &[Module::E, Module::E]),
];

/// The stage whose last module the auxiliary head reads.
const BEFORE_AUX: usize = 6;
const AUX: &str = "AuxLogits";

/// Windows inside the map, at every pixel and at every other one.
fn valid(size: usize) -> Window {
    k(size).pad(0)
}
fn half(size: usize) -> Window {
    valid(size).stride(2)
}

impl Family for Inception {
    const HEAD: &str = "fc";
    const HEAD_START: LinearStart =
        LinearStart { weight: Some(Start::TruncNormal { std: 0.1, low: -2.0, high: 2.0 }), bias: None };

    fn presets() -> Vec<Preset<Self>> {
        vec![("inception_v3", "Inception v3 in torchvision's form, made for 299 pixels.", Self::default())]
    }

    fn picture_size(_: &str) -> usize {
        299
    }

    /// Width: `width`; depth: `depth`: factors themselves.
    fn grown(&self, width: f64, depth: f64) -> Option<Self> {
        Some(Self { width: self.width * width, depth: self.depth * depth, ..self.clone() })
    }

    fn build(&self, channels: usize, vb: VarBuilder<'_>) -> Result<Box<dyn Backbone>> {
        for (name, factor) in [("width", self.width), ("depth", self.depth)] {
            if !(factor > 0.0 && factor.is_finite()) {
                return Err(Error::Invalid(format!("inception: {name} must be above 0, got {factor}")));
            }
        }
        limits::stages("inception", MODULES.map(|(.., keep)| deeper(keep.len(), self.depth)))?;
        let trunk = Convolutional::new(channels, self.stages(channels)?, vb.clone())?;
        let aux = if self.aux == 0 { None } else { Some(self.aux_head(vb)?) };
        let before_aux = self.modules().into_iter().rfind(|(stage, ..)| *stage == BEFORE_AUX).map(|(_, name, _)| name);
        Ok(Box::new(WithAux { trunk, aux, before_aux: before_aux.unwrap_or_default() }))
    }
}

impl Inception {
    /// The network as data.
    fn stages(&self, channels: usize) -> Result<Vec<Stage>> {
        let stem = block(channels, |x| {
            let x = self.path(x, &[("Conv2d_1a_3x3", 32, half(3)), ("Conv2d_2a_3x3", 32, valid(3))]);
            let x = self.path(x, &[("Conv2d_2b_3x3", 64, k(3))]).pool(Pool::Max, half(3));
            let x = self.path(x, &[("Conv2d_3b_1x1", 80, k(1)), ("Conv2d_4a_3x3", 192, valid(3))]);
            x.pool(Pool::Max, half(3))
        })?;
        let mut reads = stem.out_channels();
        let mut stages = vec![Stage { name: "stem".into(), blocks: vec![(String::new(), started(stem))] }];
        for (_, name, module) in self.modules() {
            let program = block(reads, |x| self.module(x, module))?;
            reads = program.out_channels();
            stages.push(Stage { name: name.clone(), blocks: vec![(name, started(program))] });
        }
        Ok(stages)
    }

    /// Stage, name and module of all of them: `Mixed_6a` shrinks the map, the others of a stage go on in the alphabet.
    fn modules(&self) -> Vec<(usize, String, Module)> {
        let stages = MODULES.into_iter().flat_map(|(stage, shrinks, keep)| {
            let keep = longer(keep, self.depth).into_iter().enumerate().map(|(i, module)| (i + 1, module));
            let all = shrinks.into_iter().map(|module| (0, module)).chain(keep);
            all.map(move |(i, module)| (stage, format!("Mixed_{stage}{}", letter(i)), module))
        });
        stages.collect()
    }

    fn module<'a>(&self, x: Flow<'a>, module: Module) -> Flow<'a> {
        let path = |layers: &[(&str, usize, Window)]| self.path(x, layers);
        let pooled = |out: usize| self.path(x.pool(Pool::Avg, k(3)), &[("branch_pool", out, k(1))]);
        match module {
            Module::A(pool) => concat(
                path(&[("branch1x1", 64, k(1))]),
                &[
                    path(&[("branch5x5_1", 48, k(1)), ("branch5x5_2", 64, k(5))]),
                    path(&[("branch3x3dbl_1", 64, k(1)), ("branch3x3dbl_2", 96, k(3)), ("branch3x3dbl_3", 96, k(3))]),
                    pooled(pool),
                ],
            ),
            Module::B => concat(
                path(&[("branch3x3", 384, half(3))]),
                &[
                    path(&[
                        ("branch3x3dbl_1", 64, k(1)),
                        ("branch3x3dbl_2", 96, k(3)),
                        ("branch3x3dbl_3", 96, half(3)),
                    ]),
                    x.pool(Pool::Max, half(3)),
                ],
            ),
            Module::C(c) => concat(
                path(&[("branch1x1", 192, k(1))]),
                &[
                    path(&[("branch7x7_1", c, k(1)), ("branch7x7_2", c, rect(1, 7)), ("branch7x7_3", 192, rect(7, 1))]),
                    path(&[
                        ("branch7x7dbl_1", c, k(1)),
                        ("branch7x7dbl_2", c, rect(7, 1)),
                        ("branch7x7dbl_3", c, rect(1, 7)),
                        ("branch7x7dbl_4", c, rect(7, 1)),
                        ("branch7x7dbl_5", 192, rect(1, 7)),
                    ]),
                    pooled(192),
                ],
            ),
            Module::D => concat(
                path(&[("branch3x3_1", 192, k(1)), ("branch3x3_2", 320, half(3))]),
                &[
                    path(&[
                        ("branch7x7x3_1", 192, k(1)),
                        ("branch7x7x3_2", 192, rect(1, 7)),
                        ("branch7x7x3_3", 192, rect(7, 1)),
                        ("branch7x7x3_4", 192, half(3)),
                    ]),
                    x.pool(Pool::Max, half(3)),
                ],
            ),
            Module::E => {
                let single = path(&[("branch3x3_1", 384, k(1))]);
                let double = path(&[("branch3x3dbl_1", 448, k(1)), ("branch3x3dbl_2", 384, k(3))]);
                concat(
                    path(&[("branch1x1", 320, k(1))]),
                    &[
                        self.path(single, &[("branch3x3_2a", 384, rect(1, 3))]),
                        self.path(single, &[("branch3x3_2b", 384, rect(3, 1))]),
                        self.path(double, &[("branch3x3dbl_3a", 384, rect(1, 3))]),
                        self.path(double, &[("branch3x3dbl_3b", 384, rect(3, 1))]),
                        pooled(192),
                    ],
                )
            }
        }
    }

    /// Convolutions one behind the other: name, channels, window; each with its norm and activation.
    fn path<'a>(&self, x: Flow<'a>, layers: &[(&str, usize, Window)]) -> Flow<'a> {
        layers.iter().fold(x, |x, (name, out, at)| {
            x.conv(&format!("{name}.conv"), self.scaled(*out), *at).norm(&format!("{name}.bn")).act(self.act)
        })
    }

    fn scaled(&self, channels: usize) -> usize {
        ((channels as f64 * self.width).round() as usize).max(1)
    }

    /// Figure 8. Its second convolution and its classifier start smaller, as torchvision's.
    fn aux_head(&self, vb: VarBuilder<'_>) -> Result<Aux> {
        let reads = 4 * self.scaled(192);
        let program = block(reads, |x| {
            let x = x.pool(Pool::Avg, valid(5).stride(3));
            self.path(x, &[("conv0", 128, k(1)), ("conv1", 768, valid(5))]).global_pool()
        })?;
        let mut program = started(program);
        for param in program.params.iter_mut().filter(|p| p.name == "conv1.conv.weight") {
            param.init = Init::Randn { mean: 0.0, stdev: 0.01 };
        }
        let sizes = [program.out_channels(), self.aux];
        let features = Block::new(program, vb.pp(AUX))?;
        let mut vars = Variables::new(AUX, &vb);
        let start = LinearStart { weight: Some(Start::Normal { std: 0.001 }), bias: None };
        let classifier = Dense::started(&mut vars, "fc", sizes, true, start)?;
        let (names, parameters, multiply_adds) = vars.made();
        let (name, output) = ("fc".into(), vec![self.aux, 1, 1]);
        let layer = Layer { name, kind: "linear", output, parameters, multiply_adds };
        Ok(Aux { features, classifier, names, layer })
    }
}

/// a, b, …, z, and behind them numbers.
fn letter(i: usize) -> String {
    u8::try_from(i).ok().filter(|i| *i < 26).map_or_else(|| i.to_string(), |i| char::from(b'a' + i).to_string())
}

/// Norms with TensorFlow's eps; convolutions start normal with deviation 0.1.
fn started(mut program: Program) -> Program {
    for node in &mut program.nodes {
        match node {
            Node::Norm { eps, .. } => *eps = 1e-3,
            Node::Conv { weight, .. } => program.params[*weight].init = Init::Randn { mean: 0.0, stdev: 0.1 },
            _ => {}
        }
    }
    program
}

/// The auxiliary head: a map → logits.
struct Aux {
    features: Block,
    classifier: Dense,
    /// Variables of the classifier, and the line that counts it.
    names: Vec<String>,
    layer: Layer,
}

impl Aux {
    fn logits(&self, map: &Tensor, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        let features = self.features.forward(map, pass)?.flatten_from(1)?;
        // As the head of the network.
        let wide = if features.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
        self.classifier.forward(&features.to_dtype(wide)?, pass)
    }
}

/// The network, with its auxiliary head if it has one.
struct WithAux {
    trunk: Convolutional,
    aux: Option<Aux>,
    /// The stage that the auxiliary head reads.
    before_aux: String,
}

impl Backbone for WithAux {
    fn features(&self, x: &Tensor, pass: &mut Pass<'_>) -> candle_core::Result<Tensor> {
        let Some(aux) = self.aux.as_ref().filter(|_| pass.train) else { return self.trunk.features(x, pass) };
        let Some(tap) = pass.taps.take() else { return self.trunk.features(x, pass) };
        let mut read = None;
        let mut watch = |name: &str, map: &Tensor| {
            if name == self.before_aux {
                read = Some(map.clone());
            }
            tap(name, map);
        };
        let mut trunk = Pass { taps: Some(&mut watch), ..pass.untapped() };
        let y = self.trunk.features(x, &mut trunk)?;
        pass.freeze = trunk.freeze;
        // The head is the last stage; frozen, it has nothing to say.
        if let Some(map) = read.filter(|_| pass.freeze == 0) {
            tap(AUXILIARY, &aux.logits(&map, pass)?);
        }
        pass.taps = Some(tap);
        Ok(y)
    }

    fn width(&self) -> usize {
        self.trunk.width()
    }

    fn stages(&self) -> Vec<(String, Vec<String>)> {
        let mut stages = self.trunk.stages();
        if let Some(aux) = &self.aux {
            let own = aux.features.program().variables().into_iter().map(|v| format!("{AUX}.{v}"));
            stages.push((AUX.into(), own.chain(aux.names.iter().cloned()).collect()));
        }
        stages
    }

    fn auxiliary(&self) -> usize {
        self.aux.as_ref().map_or(0, |aux| aux.layer.output[0])
    }

    fn layers(&self, size: (usize, usize)) -> Result<Vec<Layer>> {
        let mut layers = self.trunk.layers(size)?;
        if let Some(aux) = &self.aux {
            let behind = layers.iter().rposition(|l| l.name.starts_with(&self.before_aux)).unwrap_or(0);
            let mut own = vec![];
            if let &[_, h, w] = layers[behind].output.as_slice() {
                program_layers(aux.features.program(), (h, w), &mut own)?;
            }
            own.push(aux.layer.clone());
            let own = own.into_iter().map(|l| Layer { name: format!("{AUX}.{}", l.name), ..l });
            layers.splice(behind + 1..behind + 1, own);
        }
        Ok(layers)
    }

    fn fold(&mut self) -> Result<()> {
        self.trunk.fold()
    }

    fn onnx(&self, graph: &mut Graph, images: &Value, size: (usize, usize)) -> Result<Value> {
        self.trunk.onnx(graph, images, size)
    }
}

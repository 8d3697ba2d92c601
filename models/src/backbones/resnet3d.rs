//! Residual networks for volumes and clips: Tran et al., "A closer look at spatiotemporal convolutions for action
//! recognition", 2018 (arXiv 1711.11248); Hara et al., "Learning spatio-temporal features with 3D residual networks for
//! action recognition", 2017 (arXiv 1708.07632).
//!
//! Reference implementation: torchvision 0.26 `r3d_18`, `mc3_18` and `r2plus1d_18`, whose variable names these are. What
//! differs: the map is the mean over the depth, `[B, F, h, w]`, so that Grad-CAM shows a picture; the mean over that is
//! torchvision's over all three. `Pass::recompute` has no effect: layers are single operations of candle's graph.

use crate::backbone::{Backbone, Family, Preset};
use crate::error::{Error, Result};
use crate::growth::{deeper, wider};
use crate::init::Start;
use crate::layers::LinearStart;
use crate::limits;
use crate::onnx::{Attribute, Graph, Value};
use crate::ops::{Act, CONV_INIT, Window, activate, batch_norm_eval, batch_norm_train, conv3d, k};
use crate::pass::{Grad, Pass};
use crate::summary::Layer;
use candle_core::{Tensor, Var, bail};
use candle_nn::{Init, VarBuilder};
use serde::{Deserialize, Serialize};

/// What a 3×3×3 convolution of a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// 3×3×3.
    Full,
    /// 3×3×3 in the first stage, 1×3×3 behind it ("mixed convolutions").
    Mixed,
    /// 1×3×3 and 3×1×1 with a norm and an activation between them, and as many parameters as 3×3×3.
    Split,
}

/// A residual network for `[B, C, D, H, W]`.
///
/// | field | default | range |
/// |---|---|---|
/// | `filter` | full | full, mixed, split |
/// | `layers` | 2, 2, 2, 2 | units per stage |
/// | `width` | 64 | channels of the first stage; each further one doubles them |
/// | `act` | relu | a name of [`Act`] |
/// | `slices` | 16 | at least 1, slices of a volume, for summaries alone |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResNet3d {
    /// What a convolution is.
    pub filter: Filter,
    /// Units per stage.
    pub layers: Vec<usize>,
    /// Channels of the first stage.
    pub width: usize,
    /// Activation.
    pub act: Act,
    /// Slices of a volume.
    pub slices: usize,
}

impl Default for ResNet3d {
    fn default() -> Self {
        Self { filter: Filter::Full, layers: vec![2, 2, 2, 2], width: 64, act: Act::Relu, slices: 16 }
    }
}

impl Family for ResNet3d {
    const HEAD: &str = "fc";
    const HEAD_START: LinearStart = LinearStart::unbiased(Start::Normal { std: 0.01 });

    fn presets() -> Vec<Preset<Self>> {
        let with = |filter| Self { filter, ..Self::default() };
        vec![
            ("r3d_18", "3-D ResNet-18 in torchvision's form, made for 16 slices of 112 pixels.", with(Filter::Full)),
            ("mc3_18", "ResNet-18 of mixed 3-D and 2-D convolutions in torchvision's form.", with(Filter::Mixed)),
            ("r2plus1d_18", "R(2+1)D ResNet-18 in torchvision's form.", with(Filter::Split)),
        ]
    }

    fn picture_size(_: &str) -> usize {
        112
    }

    /// Width: `width`; depth: `layers`.
    fn grown(&self, width: f64, depth: f64) -> Option<Self> {
        let layers = self.layers.iter().map(|&count| deeper(count, depth)).collect();
        Some(Self { layers, width: wider(self.width, width, 1), ..self.clone() })
    }

    fn build(&self, channels: usize, vb: VarBuilder<'_>) -> Result<Box<dyn Backbone>> {
        if self.layers.is_empty() || self.layers.contains(&0) || self.width * self.slices * channels == 0 {
            return Err(Error::Invalid(
                "resnet3d: needs at least one unit per stage, one channel and one slice".into(),
            ));
        }
        limits::stages("resnet3d", self.layers.iter().copied())?;
        let stem = Unit { main: self.stem(Path::new(&vb, "stem", channels))?, past: None };
        let mut stages = vec![("stem".to_string(), vec![stem])];
        let mut reads = self.width;
        for (stage, &count) in self.layers.iter().enumerate() {
            let (name, width) = (format!("layer{}", stage + 1), self.width << stage);
            let mut units = vec![];
            for i in 0..count {
                let stride = if i == 0 && stage > 0 { 2 } else { 1 };
                let from = Path::new(&vb, &format!("{name}.{i}"), reads);
                units.push(self.unit(from, width, self.flat(stage), stride)?);
                reads = width;
            }
            stages.push((name, units));
        }
        Ok(Box::new(Volumes { channels, width: reads, slices: self.slices, act: self.act, stages }))
    }
}

impl ResNet3d {
    fn stem(&self, x: Path<'_>) -> Result<Vec<Step>> {
        let at = k(7).stride(2);
        let y = match self.filter {
            Filter::Split => {
                // 45 channels between the two, as the reference.
                let y = x.conv("0", (self.width * 45 / 64).max(1), (k(1), at))?.norm("1")?.act(self.act);
                y.conv("3", self.width, (k(3), k(1)))?.norm("4")?
            }
            _ => x.conv("0", self.width, (k(3), at))?.norm("1")?,
        };
        Ok(y.act(self.act).steps)
    }

    /// Whether the units of a stage do not look along the depth.
    fn flat(&self, stage: usize) -> bool {
        self.filter == Filter::Mixed && stage > 0
    }

    fn unit<'a>(&self, x: Path<'a>, width: usize, flat: bool, stride: usize) -> Result<Unit> {
        let reads = x.channels;
        let past = if stride == 1 && reads == width {
            vec![]
        } else {
            let depth = k(1).stride(if flat { 1 } else { stride });
            x.again().conv("downsample.0", width, (depth, k(1).stride(stride)))?.norm("downsample.1")?.steps
        };
        // Both convolutions of a unit have the channels between that give the first one its parameters.
        let middle = 27 * reads * width / (9 * reads + 3 * width);
        let filter = |x: Path<'a>, name: &str, stride: usize| match self.filter {
            Filter::Split => {
                let name = |part: usize| format!("{name}.{part}");
                let x = x.conv(&name(0), middle, (k(1), k(3).stride(stride)))?.norm(&name(1))?.act(self.act);
                x.conv(&name(3), width, (k(3).stride(stride), k(1)))
            }
            _ if flat => x.conv(name, width, (k(1), k(3).stride(stride))),
            _ => x.conv(name, width, (k(3).stride(stride), k(3).stride(stride))),
        };
        let y = filter(x, "conv1.0", stride)?.norm("conv1.1")?.act(self.act);
        Ok(Unit { main: filter(y, "conv2.0", 1)?.norm("conv2.1")?.steps, past: Some(past) })
    }
}

/// The weight of a 2-D convolution `[O, C, h, w]` as that of a 3-D one `[O, C, depth, h, w]` that sees the same in a volume
/// of equal slices: repeated, and divided by how often (Carreira & Zisserman 2017, "Quo vadis, action recognition?").
pub fn inflate(weight: &Tensor, depth: usize) -> candle_core::Result<Tensor> {
    weight.unsqueeze(2)?.repeat((1, 1, depth, 1, 1))? / depth as f64
}

/// A layer on `[B, D, H, W, C]`, with the name of its variables.
enum Step {
    Conv {
        name: String,
        weight: Tensor,
        depth: Window,
        at: Window,
    },
    Norm {
        name: String,
        weight: Tensor,
        bias: Tensor,
        running: [Var; 2],
    },
    /// What is left of a norm that was folded into the convolution before it.
    Shift(Tensor),
    Act(Act),
}

/// Layers one behind the other while they are made.
struct Path<'a> {
    vb: &'a VarBuilder<'a>,
    prefix: String,
    channels: usize,
    steps: Vec<Step>,
}

impl<'a> Path<'a> {
    fn new(vb: &'a VarBuilder<'a>, prefix: &str, channels: usize) -> Self {
        Self { vb, prefix: prefix.into(), channels, steps: vec![] }
    }

    /// Another one from where this one begins; nothing was put on it yet.
    fn again(&self) -> Self {
        Self::new(self.vb, &self.prefix, self.channels)
    }

    /// Convolution to `out` channels, with a window along the depth and one over the slices.
    fn conv(mut self, name: &str, out: usize, (depth, at): (Window, Window)) -> Result<Self> {
        let name = format!("{}.{name}", self.prefix);
        let [height, width] = at.sides();
        let shape = (out, self.channels, depth.size, height, width);
        let weight = self.vb.get_with_hints(shape, &format!("{name}.weight"), CONV_INIT)?;
        self.steps.push(Step::Conv { name, weight, depth, at });
        self.channels = out;
        Ok(self)
    }

    fn norm(mut self, name: &str) -> Result<Self> {
        let name = format!("{}.{name}", self.prefix);
        let get = |kind: &str, start: f64| {
            self.vb.get_with_hints(self.channels, &format!("{name}.{kind}"), Init::Const(start))
        };
        let (weight, bias) = (get("weight", 1.0)?, get("bias", 0.0)?);
        let running = [Var::from_tensor(&get("running_mean", 0.0)?)?, Var::from_tensor(&get("running_var", 1.0)?)?];
        self.steps.push(Step::Norm { name, weight, bias, running });
        Ok(self)
    }

    fn act(mut self, f: Act) -> Self {
        self.steps.push(Step::Act(f));
        self
    }
}

impl Step {
    fn forward(&self, x: &Tensor, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        match self {
            Self::Conv { weight, depth, at, .. } => conv3d(x, &pass.parameter(weight), *depth, *at),
            Self::Norm { weight, bias, running, .. } if pass.train => {
                let (y, seen) = batch_norm_train(x, &pass.parameter(weight), &pass.parameter(bias), EPS)?;
                if pass.update_stats {
                    seen.move_into(running, MOMENTUM)?;
                }
                Ok(y)
            }
            Self::Norm { weight, bias, running: [mean, variance], .. } => {
                let statistics = (&mean.as_detached_tensor(), &variance.as_detached_tensor());
                batch_norm_eval(x, &pass.parameter(weight), &pass.parameter(bias), statistics, EPS)
            }
            Self::Shift(by) => x.broadcast_add(by),
            Self::Act(f) => activate(x, *f),
        }
    }

    fn variables(&self) -> Vec<String> {
        let named = |name: &str, kinds: &[&str]| kinds.iter().map(|kind| format!("{name}.{kind}")).collect();
        match self {
            Self::Conv { name, .. } => named(name, &["weight"]),
            Self::Norm { name, .. } => named(name, &["weight", "bias", "running_mean", "running_var"]),
            Self::Shift(_) | Self::Act(_) => vec![],
        }
    }
}

/// Every norm in the convolution before it.
fn folded(steps: &mut [Step]) -> candle_core::Result<()> {
    for i in 1..steps.len() {
        let [Step::Conv { weight, .. }, norm @ Step::Norm { .. }] = &mut steps[i - 1..=i] else { continue };
        let Step::Norm { weight: gain, bias, running: [mean, variance], .. } = &*norm else { continue };
        let scale = (gain / (variance.as_detached_tensor() + EPS)?.sqrt()?)?;
        let shift = (bias - (mean.as_detached_tensor() * &scale)?)?;
        *weight = weight.broadcast_mul(&scale.reshape(((), 1, 1, 1, 1))?)?;
        *norm = Step::Shift(shift);
    }
    Ok(())
}

const EPS: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

fn run(steps: &[Step], x: &Tensor, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
    steps.iter().try_fold(x.clone(), |x, step| step.forward(&x, pass))
}

/// The same in evaluation in the operators of ONNX, on `[batch, C, depth, height, width]`.
fn written(steps: &[Step], graph: &mut Graph, x: &Value) -> Result<Value> {
    let mut x = x.clone();
    for (i, step) in steps.iter().enumerate() {
        x = match step {
            Step::Conv { name, weight, depth, at } => {
                let weight = graph.tensor(&format!("{name}.weight"), weight)?;
                let bias = match steps.get(i + 1) {
                    Some(Step::Shift(by)) => Some(graph.tensor(&format!("{name}.bias"), by)?),
                    _ => None,
                };
                let [down, across] = at.axes();
                let each = |f: fn(&Window) -> usize| [depth, &down, &across].map(|at| f(at) as i64).to_vec();
                // As far beyond the far sides as beyond the near ones, whatever the volume's size.
                let attributes = [
                    ("kernel_shape", Attribute::Ints(each(|at| at.size))),
                    ("strides", Attribute::Ints(each(|at| at.stride))),
                    ("pads", Attribute::Ints(each(|at| at.pad).repeat(2))),
                ];
                let inputs: Vec<&Value> = [&x, &weight].into_iter().chain(&bias).collect();
                graph.node("Conv", &inputs, &attributes)
            }
            Step::Norm { name, weight, bias, running: [mean, variance] } => {
                let (mean, variance) = (mean.as_detached_tensor(), variance.as_detached_tensor());
                graph.batch_norm(&x, name, [weight, bias, &mean, &variance], EPS)?
            }
            // The bias of the convolution before it.
            Step::Shift(_) => x,
            Step::Act(f) => graph.act(&x, *f),
        }
    }
    Ok(x)
}

/// Appends the layers of `steps` for a volume of (depth, height, width) and returns the size of what they write.
fn measure(steps: &[Step], volume: [usize; 3], layers: &mut Vec<Layer>) -> Result<[usize; 3]> {
    let [mut d, mut h, mut w] = volume;
    for step in steps {
        match step {
            Step::Conv { name, weight, depth, at } => {
                let out = depth.out(d).zip(at.fit((h, w)));
                (d, (h, w)) = out.ok_or_else(|| {
                    Error::Invalid(format!("the window of '{name}' does not fit into a volume of {d}x{h}x{w}"))
                })?;
                let (parameters, output) = (weight.elem_count(), vec![weight.dims()[0], d, h, w]);
                let multiply_adds = parameters.saturating_mul(d).saturating_mul(h * w);
                layers.push(Layer { name: name.clone(), kind: "conv", output, parameters, multiply_adds });
            }
            Step::Norm { name, weight, .. } => {
                let (parameters, output) = (2 * weight.elem_count(), vec![weight.elem_count(), d, h, w]);
                layers.push(Layer { name: name.clone(), kind: "batch_norm", output, parameters, multiply_adds: 0 });
            }
            Step::Shift(_) | Step::Act(_) => {}
        }
    }
    Ok([d, h, w])
}

/// A path, and what is added to it before the activation: nothing for the stem, else what it reads, through layers of its own.
struct Unit {
    main: Vec<Step>,
    past: Option<Vec<Step>>,
}

impl Unit {
    fn forward(&self, x: &Tensor, act: Act, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        let y = run(&self.main, x, pass)?;
        match &self.past {
            None => Ok(y),
            Some(past) => activate(&(y + run(past, x, pass)?)?, act),
        }
    }

    fn steps(&self) -> impl Iterator<Item = &Step> {
        self.main.iter().chain(self.past.iter().flatten())
    }
}

/// A backbone of stages of [`Unit`]s.
struct Volumes {
    channels: usize,
    width: usize,
    slices: usize,
    act: Act,
    stages: Vec<(String, Vec<Unit>)>,
}

impl Backbone for Volumes {
    fn features(&self, x: &Tensor, pass: &mut Pass<'_>) -> candle_core::Result<Tensor> {
        if x.rank() != 5 || x.dims()[1] != self.channels {
            bail!(
                "the network reads volumes [B, C, D, H, W] of {} channels, but gets {:?}; one slice is a volume too",
                self.channels,
                x.dims()
            )
        }
        let x = if pass.grad == Grad::None { &x.detach() } else { x };
        let mut x = x.permute((0, 2, 3, 4, 1))?.contiguous()?;
        for (name, units) in &self.stages {
            let frozen = pass.frozen(1, &x);
            for unit in units {
                x = unit.forward(&x, self.act, frozen.as_ref().unwrap_or(pass))?;
            }
            pass.tap(name, &x);
        }
        x.mean(1)?.permute((0, 3, 1, 2))
    }

    fn onnx(&self, graph: &mut Graph, volumes: &Value, size: (usize, usize)) -> Result<Value> {
        // Names what does not fit.
        self.layers(size)?;
        let mut x = volumes.clone();
        for unit in self.stages.iter().flat_map(|(_, units)| units) {
            let y = written(&unit.main, graph, &x)?;
            x = match &unit.past {
                None => y,
                Some(past) => {
                    let past = written(past, graph, &x)?;
                    let sum = graph.node("Add", &[&y, &past], &[]);
                    graph.act(&sum, self.act)
                }
            };
        }
        Ok(graph.reduced("ReduceMean", &x, 2, false))
    }

    fn rank(&self) -> usize {
        5
    }

    fn width(&self) -> usize {
        self.width
    }

    fn slices(&self) -> Option<usize> {
        Some(self.slices)
    }

    fn stages(&self) -> Vec<(String, Vec<String>)> {
        let variables = |units: &[Unit]| units.iter().flat_map(Unit::steps).flat_map(Step::variables).collect();
        self.stages.iter().map(|(name, units)| (name.clone(), variables(units))).collect()
    }

    fn fold(&mut self) -> Result<()> {
        for unit in self.stages.iter_mut().flat_map(|(_, units)| units) {
            folded(&mut unit.main)?;
            unit.past.iter_mut().try_for_each(|past| folded(past))?;
        }
        Ok(())
    }

    fn layers(&self, (height, width): (usize, usize)) -> Result<Vec<Layer>> {
        let (mut layers, mut volume) = (vec![], [self.slices, height, width]);
        for unit in self.stages.iter().flat_map(|(_, units)| units) {
            let from = volume;
            volume = measure(&unit.main, from, &mut layers)?;
            if let Some(past) = &unit.past {
                measure(past, from, &mut layers)?;
            }
        }
        Ok(layers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::conv2d;
    use candle_core::Device;

    /// Of equal slices the middle one of the volume sees what the picture does.
    #[test]
    fn inflated_weights_see_the_same_in_still_volumes() {
        let values = |n: usize| (0..n).map(|i| ((i * 37) % 101) as f64 / 50.0 - 1.0).collect::<Vec<_>>();
        let x = Tensor::from_vec(values(2 * 6 * 5 * 3), (2, 6, 5, 3), &Device::Cpu).unwrap();
        let w = Tensor::from_vec(values(4 * 3 * 9), (4, 3, 3, 3), &Device::Cpu).unwrap();
        let still = x.unsqueeze(1).unwrap().repeat((1, 5, 1, 1, 1)).unwrap();
        let volume = conv3d(&still, &inflate(&w, 3).unwrap(), k(3), k(3)).unwrap();
        let picture = conv2d(&x, &w, k(3)).unwrap();
        let off = (volume.narrow(1, 2, 1).unwrap().squeeze(1).unwrap() - picture).unwrap();
        assert!(off.abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap() < 1e-12);
    }
}

//! Muon, as `torch.optim.Muon` and as in airbench.

use super::memory::Memory;
use super::rule::{Number, Rule, apply, squares};
use super::{Inner, Optimizer, Pace, State};
use crate::error::{Check, Error, Result};
use crate::params::{Gradients, Param, Params};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// `v ← μ·v + (1−μ)g`, `u = μ·v + (1−μ)g` with Nesterov or else `v`; `p ← p·(1 − lr·λ) − lr·s·O(u)`. `O` makes the rows of
/// the matrix `[out, rest]` nearly orthonormal by steps of `X ← aX + (bA + cA²)X`, `A = XXᵀ` (Newton-Schulz; a, b, c = 3.4445,
/// −4.775, 2.0315). Parameters with fewer than `min_dims` dimensions are left to another optimizer.
///
/// | field | default | range |
/// |---|---|---|
/// | `momentum` | 0.95 | μ in 0..1; airbench 0.6 |
/// | `nesterov` | true | |
/// | `weight_decay` | 0.1 | λ ≥ 0 |
/// | `iterations` | 5 | 1 to 20; airbench 3 |
/// | `scale` | "original" | s: "original" √max(1, out/rest), "match_rms_adamw" 0.2·√max(out, rest), "none" 1 (airbench) |
/// | `normalize` | false | whether p is first scaled to norm √out (airbench) |
/// | `min_dims` | 2 | ≥ 2; 4: filters of convolutions only (airbench) |
/// | `rest` | "adamw" | the other optimizer |
/// | `rest_lr` | 1 | > 0, multiplies the other's learning rate |
///
/// Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; match_rms_adamw: Liu et al., "Muon is
/// scalable for LLM training", 2025. Products are made in the type of the parameters, where the references round to BF16.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Muon {
    /// μ.
    pub momentum: f64,
    /// Looks ahead by one step of the momentum.
    pub nesterov: bool,
    /// λ.
    pub weight_decay: f64,
    /// Steps of Newton-Schulz.
    pub iterations: usize,
    /// s.
    pub scale: Scale,
    /// Whether weights keep their norm.
    pub normalize: bool,
    /// What is a matrix.
    pub min_dims: usize,
    /// Trains what is no matrix.
    pub rest: Inner,
    /// Factor of its learning rate.
    pub rest_lr: f64,
    #[serde(skip)]
    memory: Memory,
}

/// How the learning rate depends on the shape.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// √max(1, out/rest).
    Original,
    /// 0.2·√max(out, rest).
    MatchRmsAdamw,
    /// 1.
    None,
}

impl Default for Muon {
    fn default() -> Self {
        Self {
            momentum: 0.95,
            nesterov: true,
            weight_decay: 0.1,
            iterations: 5,
            scale: Scale::Original,
            normalize: false,
            min_dims: 2,
            rest: Inner::of::<super::AdamW>("adamw"),
            rest_lr: 1.0,
            memory: Memory::default(),
        }
    }
}

struct Average(f64);

impl Rule<1, 1> for Average {
    fn at<N: Number>(&self, [v]: [N; 1], [g]: [N; 1]) -> ([N; 1], [N; 0]) {
        ([v.blend(g, self.0)], [])
    }
}

struct Update {
    keep: f64,
    lr: f64,
}

impl Rule<1, 1> for Update {
    fn at<N: Number>(&self, [p]: [N; 1], [u]: [N; 1]) -> ([N; 1], [N; 0]) {
        ([p * self.keep - u * self.lr], [])
    }
}

/// The nearest matrix to `x`, `[out, rest]`, with equal singular values; only nearly, they are between 0.7 and 1.2.
fn orthogonal(x: &Tensor, iterations: usize) -> candle_core::Result<Tensor> {
    let (rows, columns) = x.dims2()?;
    let wide = |x: &Tensor| if rows > columns { x.t()?.contiguous() } else { Ok(x.clone()) };
    let mut x = (wide(x)? / squares(x)?.sqrt().max(1e-7))?;
    for _ in 0..iterations {
        let a = x.matmul(&x.t()?)?;
        let b = ((&a * -4.775)? + (a.matmul(&a)? * 2.0315)?)?;
        x = ((&x * 3.4445)? + b.matmul(&x)?)?;
    }
    wide(&x)
}

impl Muon {
    fn matrix(&mut self, param: &Param, g: &Tensor, pace: Pace) -> candle_core::Result<()> {
        let (p, mu) = (param.var.as_detached_tensor(), pace.momentum(self.momentum)?);
        let v = self.memory.slot(param, "v")?;
        apply(&Average(mu), [&v], [g])?;
        let v = v.as_detached_tensor();
        let u = if self.nesterov { ((g * (1.0 - mu))? + (v * mu)?)? } else { v };
        let (out, rest) = (p.dim(0)?, p.elem_count() / p.dim(0)?.max(1));
        let u = orthogonal(&u.reshape((out, rest))?, self.iterations)?.reshape(p.dims())?;
        let (a, b) = (out as f64, rest as f64);
        let scale = match self.scale {
            Scale::Original => (a / b).max(1.0).sqrt(),
            Scale::MatchRmsAdamw => 0.2 * a.max(b).sqrt(),
            Scale::None => 1.0,
        };
        let lr = pace.lr(param);
        // A frozen group keeps its weights as they are.
        let normal = if self.normalize && lr != 0.0 { a.sqrt() / squares(&p)?.sqrt().max(1e-7) } else { 1.0 };
        let keep = normal * (1.0 - lr * pace.decay(param, self.weight_decay));
        apply(&Update { keep, lr: lr * scale }, [&param.var], [&u.contiguous()?]).map(|_| ())
    }
}

const REST: &str = "rest/";

impl Optimizer for Muon {
    fn step(&mut self, params: &Params, gradients: &Gradients, pace: Pace) -> candle_core::Result<()> {
        let (mut others, mut theirs) = (Params(vec![]), Gradients(vec![]));
        for (param, g) in params.0.iter().zip(&gradients.0) {
            if param.var.dims().len() >= self.min_dims {
                self.matrix(param, g, pace)?;
            } else {
                others.0.push(param.clone());
                theirs.0.push(g.clone());
            }
        }
        self.rest.optimizer.step(&others, &theirs, Pace { lr: pace.lr * self.rest_lr, ..pace })
    }

    fn state(&self) -> candle_core::Result<State> {
        let mut state = self.memory.state()?;
        state.extend(self.rest.state(REST)?);
        Ok(state)
    }

    fn restore(&mut self, mut state: State) -> candle_core::Result<()> {
        self.rest.restore(REST, &mut state)?;
        self.memory.restore(state)
    }

    fn validate(&self) -> Result<()> {
        let check = Check::optimizer("muon");
        check.share("momentum", self.momentum)?;
        check.not_negative("weight_decay", self.weight_decay)?;
        check.positive("rest_lr", self.rest_lr)?;
        check.that((1..=20).contains(&self.iterations), || {
            format!("iterations must be 1 to 20, got {}", self.iterations)
        })?;
        check.that(self.min_dims >= 2, || format!("min_dims must be at least 2, got {}", self.min_dims))?;
        match self.rest.optimizer.climbs() {
            true => {
                Err(Error::Invalid("optimizer 'muon': rest cannot be one that climbs; put muon into it instead".into()))
            }
            false => Ok(()),
        }
    }
}

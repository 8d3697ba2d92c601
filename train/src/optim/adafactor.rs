//! Adafactor with a learning rate from outside, as timm's.

use super::factored::{Change, Factors, Matrices};
use super::fused;
use super::memory::Memory;
use super::rule::{Number, Rule, apply, squares};
use super::{Optimizer, Pace, State};
use crate::error::{Check, Result};
use crate::params::{Gradients, Param, Params};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// `β = 1 − t^(−decay_rate)`, `v ← βv + (1−β)(g² + ε)`, `u = g/√v`, `u ← u / max(1, RMS(u)/clip)`,
/// `p ← p·(1 − lr·λ) − lr·u`, with `beta1` the running average of `lr·u` instead. For large matrices and filters v is a
/// product of the averages of its rows and columns: `r·c / mean(r)`.
///
/// | field | default | range |
/// |---|---|---|
/// | `eps` | 1e-30 | > 0 |
/// | `clip` | 1 | > 0 |
/// | `decay_rate` | 0.8 | > 0 |
/// | `beta1` | 0 | 0..1; 0: no average |
/// | `weight_decay` | 0 | λ ≥ 0 |
/// | `factor_above` | 16 | sizes of both dimensions above which v is a product |
///
/// Shazeer & Stern, "Adafactor: adaptive learning rates with sublinear memory cost", 2018.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adafactor {
    /// ε.
    pub eps: f64,
    /// Largest root mean square of a step, before the learning rate.
    pub clip: f64,
    /// How fast old gradients are forgotten.
    pub decay_rate: f64,
    /// β₁.
    pub beta1: f64,
    /// λ.
    pub weight_decay: f64,
    /// Smaller ones are not factored.
    pub factor_above: usize,
    #[serde(skip)]
    memory: Memory,
}

impl Default for Adafactor {
    fn default() -> Self {
        let memory = Memory::default();
        Self { eps: 1e-30, clip: 1.0, decay_rate: 0.8, beta1: 0.0, weight_decay: 0.0, factor_above: 16, memory }
    }
}

/// The second moment of every number, and the squares of the step.
struct Whole {
    keep: f64,
    eps: f64,
}

impl Rule<1, 1, 1> for Whole {
    fn at<N: Number>(&self, [v]: [N; 1], [g]: [N; 1]) -> ([N; 1], [N; 1]) {
        let v = v.blend(g.clone().square() + self.eps, self.keep);
        let step = g / v.clone().sqrt();
        ([v], [step.square()])
    }
}

struct Update {
    keep: f64,
    rate: f64,
    beta1: f64,
}

impl Rule<1, 2> for Update {
    fn at<N: Number>(&self, [p]: [N; 1], [g, v]: [N; 2]) -> ([N; 1], [N; 0]) {
        ([p * self.keep - g / v.sqrt() * self.rate], [])
    }
}

impl Rule<2, 2> for Update {
    fn at<N: Number>(&self, [p, m]: [N; 2], [g, v]: [N; 2]) -> ([N; 2], [N; 0]) {
        let m = m.blend(g / v.sqrt() * self.rate, self.beta1);
        ([p * self.keep - m.clone(), m], [])
    }
}

struct Blend(f64);

impl Rule<1, 1> for Blend {
    fn at<N: Number>(&self, [old]: [N; 1], [new]: [N; 1]) -> ([N; 1], [N; 0]) {
        ([old.blend(new, self.0)], [])
    }
}

impl Adafactor {
    /// The two dimensions of the factors: the first two of filters, or the last two.
    fn factors(&self, dims: &[usize]) -> Option<(usize, usize)> {
        let (n, large) = (dims.len(), |i: usize| dims[i] > self.factor_above);
        match n {
            3.. if large(0) && large(1) => Some((0, 1)),
            2.. if large(n - 2) && large(n - 1) => Some((n - 2, n - 1)),
            _ => None,
        }
    }

    /// The running means over columns and over rows; `keep` of what was.
    fn means(&mut self, param: &Param, new: [Tensor; 2], keep: f64) -> candle_core::Result<[Tensor; 2]> {
        let [row, column] = new;
        let rows = self.memory.slot_or(param, "row", || row.zeros_like())?;
        let columns = self.memory.slot_or(param, "column", || column.zeros_like())?;
        apply(&Blend(keep), [&rows], [&row.contiguous()?])?;
        apply(&Blend(keep), [&columns], [&column.contiguous()?])?;
        Ok([rows.as_detached_tensor(), columns.as_detached_tensor()])
    }

    /// The second moment as a product; `keep` of what was.
    fn product(&mut self, param: &Param, g: &Tensor, keep: f64, (a, b): (usize, usize)) -> candle_core::Result<Tensor> {
        let square = (g.sqr()? + self.eps)?;
        let [row, column] = self.means(param, [square.mean(b)?, square.mean(a)?], keep)?;
        let row = row.broadcast_div(&row.mean_keepdim(a)?)?.unsqueeze(b)?;
        row.broadcast_mul(&column.unsqueeze(a)?)
    }

    /// A step with a product as second moment that makes no tensors of the parameter's size.
    fn step_in_place(
        &mut self,
        param: &Param,
        g: &Tensor,
        keep: f64,
        (a, b): (usize, usize),
        pace: Pace,
    ) -> candle_core::Result<()> {
        let matrices = Matrices::new(param.var.dims(), a);
        let without = |i: usize| [&param.var.dims()[..i], &param.var.dims()[i + 1..]].concat();
        let new = matrices.means(g, self.eps)?;
        let new = [(new.rows, without(b)), (new.columns, without(a))];
        let [row, column] = new.map(|(values, dims)| Tensor::from_vec(values, dims, param.var.device()));
        let [row, column] = self.means(param, [row?, column?], keep)?;
        let flat = |t: Tensor| t.flatten_all()?.to_vec1::<f32>();
        let factors = matrices.factors(&Factors { rows: flat(row)?, columns: flat(column)? });
        let update = self.update(param, matrices.squares(g, &factors)?, pace)?;
        let mut written = vec![param.var.as_detached_tensor()];
        if self.beta1 != 0.0 {
            written.push(self.memory.slot(param, "m")?.as_detached_tensor());
        }
        let Update { keep, rate, beta1 } = update;
        matrices.step(&written, g, &factors, Change { keep: keep as f32, rate: rate as f32, beta1: beta1 as f32 })
    }

    /// What becomes of a parameter whose step has so large a sum of squares.
    fn update(&self, param: &Param, squares: f64, pace: Pace) -> candle_core::Result<Update> {
        let spread = (squares / param.var.elem_count().max(1) as f64).sqrt();
        let lr = pace.lr(param);
        Ok(Update {
            keep: 1.0 - lr * pace.decay(param, self.weight_decay),
            rate: lr / (spread / self.clip).max(1.0),
            beta1: pace.momentum(self.beta1)?,
        })
    }
}

impl Optimizer for Adafactor {
    fn step(&mut self, params: &Params, gradients: &Gradients, pace: Pace) -> candle_core::Result<()> {
        let keep = 1.0 - f64::from(self.memory.begin()).powf(-self.decay_rate);
        for (param, g) in params.0.iter().zip(&gradients.0) {
            let (v, sum) = match self.factors(param.var.dims()) {
                Some(dims) if g.elem_count() > 0 && fused::fits([&param.var.as_detached_tensor(), g].into_iter()) => {
                    self.step_in_place(param, g, keep, dims, pace)?;
                    continue;
                }
                Some(dims) => {
                    let v = self.product(param, g, keep, dims)?;
                    let sum = squares(&(g / v.sqrt()?)?)?;
                    (v, sum)
                }
                None => {
                    let v = self.memory.slot(param, "v")?;
                    let [sum] = apply(&Whole { keep, eps: self.eps }, [&v], [g])?;
                    (v.as_detached_tensor(), sum)
                }
            };
            let update = self.update(param, sum, pace)?;
            if self.beta1 == 0.0 {
                apply(&update, [&param.var], [g, &v])?;
            } else {
                apply(&update, [&param.var, &self.memory.slot(param, "m")?], [g, &v])?;
            }
        }
        Ok(())
    }

    fn state(&self) -> candle_core::Result<State> {
        self.memory.state()
    }

    fn restore(&mut self, state: State) -> candle_core::Result<()> {
        self.memory.restore(state)
    }

    fn validate(&self) -> Result<()> {
        let check = Check::optimizer("adafactor");
        check.positive("eps", self.eps)?;
        check.positive("clip", self.clip)?;
        check.positive("decay_rate", self.decay_rate)?;
        check.share("beta1", self.beta1)?;
        check.not_negative("weight_decay", self.weight_decay)
    }
}

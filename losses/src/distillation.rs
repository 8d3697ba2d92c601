//! Learning from a teacher's logits.

use crate::error::Result;
use crate::loss::{Loss, beside, check_positive, logits, paired, require};
use candle_core::{Tensor, bail};
use candle_nn::ops::{log_softmax, softmax};
use serde::{Deserialize, Serialize};

/// `ℓ = α T² KL(softmax(t/T) ‖ softmax(z/T)) + (1 − α) CE(y, z)`, t being the teacher's logits, which get no gradient.
///
/// Hinton et al. 2015, "Distilling the knowledge in a neural network" (arXiv 1503.02531). Reference: `kl_div` and
/// `cross_entropy` of `torch.nn.functional`. As a [`Loss`] its target is `[B, 2·K]`, a row of classes (one-hot or
/// mixed) and the teacher's K logits behind it; [`Distillation::loss`] takes them apart.
///
/// | field | default | range |
/// |---|---|---|
/// | `temperature` | 4 | above 0, T |
/// | `alpha` | 0.9 | 0..=1, α, the teacher's share |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Distillation {
    /// T.
    pub temperature: f64,
    /// α, the teacher's share.
    pub alpha: f64,
}

impl Default for Distillation {
    fn default() -> Self {
        Self { temperature: 4.0, alpha: 0.9 }
    }
}

impl Distillation {
    /// The loss of every sample `[B]` from logits of student and teacher `[B, K]` and any target of classes.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn loss(&self, student: &Tensor, teacher: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (student, rows) = paired(student, target)?;
        let teacher = teacher.detach().to_dtype(student.dtype())?;
        if teacher.dims() != student.dims() {
            bail!("a student with logits {:?} and a teacher with {:?} do not fit", student.dims(), teacher.dims());
        }
        let hard = (rows * log_softmax(&student, 1)?)?.sum(1)?.neg()?;
        let teacher = (teacher / self.temperature)?;
        let apart = (log_softmax(&teacher, 1)? - log_softmax(&(student / self.temperature)?, 1)?)?;
        let soft = (softmax(&teacher, 1)? * apart)?.sum(1)?;
        (soft * (self.alpha * self.temperature * self.temperature))? + (hard * (1.0 - self.alpha))?
    }
}

impl Loss for Distillation {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let classes = beside(output, target)?.dim(1)?;
        if target.rank() != 2 || target.dim(1)? != 2 * classes || !target.dtype().is_float() {
            let (dims, kind) = (target.dims(), target.dtype());
            bail!("a target is [B, {}], a row of classes and a teacher's logits, got {dims:?} {kind:?}", 2 * classes);
        }
        self.loss(output, &target.narrow(1, classes, classes)?, &target.narrow(1, 0, classes)?)
    }
    fn probabilities(&self, output: &Tensor) -> candle_core::Result<Tensor> {
        softmax(&logits(output)?, 1)
    }
    fn validate(&self) -> Result<()> {
        check_positive("distillation", "temperature", self.temperature)?;
        require("distillation", (0.0..=1.0).contains(&self.alpha), "alpha must be in 0..=1")
    }
}

//! The samples of a batch compared with each other: triplet, contrastive, supervised contrastive and pairwise cosine
//! loss.
//!
//! They read embeddings `[B, E]` and class ids `[B]`; a mixed target says nothing about which samples are alike. An
//! embedding says nothing about classes either, so that `probabilities` is an error.

use crate::error::Result;
use crate::logits::{NEVER, hinge, mask, matrix, safe_sqrt, softplus};
use crate::loss::{Loss, beside, check_factor, check_positive, require};
use candle_core::{D, DType, Tensor, bail};
use serde::{Deserialize, Serialize};

/// Embeddings `[B, E]`, which pairs have the same class, without those of a sample and itself, and which have another,
/// `[B, B]`.
struct Batch {
    embeddings: Tensor,
    same: Tensor,
    other: Tensor,
}

impl Batch {
    fn new(output: &Tensor, target: &Tensor) -> candle_core::Result<Self> {
        let embeddings = beside(output, target)?;
        if target.rank() != 1 || target.dtype() != DType::U32 {
            let (dims, kind) = (target.dims(), target.dtype());
            bail!(
                "embeddings are compared by class ids, [B] U32, mixed targets do not say who is alike: {dims:?} {kind:?}"
            );
        }
        let equal = mask(&target.unsqueeze(1)?.broadcast_eq(&target.unsqueeze(0)?)?, embeddings.dtype())?;
        let itself = diagonal(&embeddings)?;
        let other = equal.affine(-1.0, 1.0)?;
        Ok(Self { same: (equal - itself)?, other, embeddings })
    }

    /// Euclidean distances `[B, B]`.
    fn distances(&self, normalize: bool) -> candle_core::Result<Tensor> {
        let x = if normalize { &unit(&self.embeddings)? } else { &self.embeddings };
        let squares = x.sqr()?.sum(1)?;
        let sums = squares.unsqueeze(1)?.broadcast_add(&squares.unsqueeze(0)?)?;
        safe_sqrt(&(sums - (x.matmul(&x.t()?)? * 2.0)?)?)
    }

    /// Cosines `[B, B]`.
    fn cosines(&self) -> candle_core::Result<Tensor> {
        let x = unit(&self.embeddings)?;
        x.matmul(&x.t()?)
    }
}

/// 1 for a sample and itself, `[B, B]`.
fn diagonal(embeddings: &Tensor) -> candle_core::Result<Tensor> {
    let batch = embeddings.dim(0)?;
    matrix((batch, batch), embeddings, |i, j| if i == j { 1.0 } else { 0.0 })
}

/// Every row at length 1, a row of zeros as it is.
pub(crate) fn unit(x: &Tensor) -> candle_core::Result<Tensor> {
    x.broadcast_div(&safe_sqrt(&x.sqr()?.sum_keepdim(D::Minus1)?)?)
}

/// Sums over `dims` of `losses` divided by those of `counted`, 0 where nothing counts.
fn mean_of(losses: &Tensor, counted: &Tensor, dims: &[usize]) -> candle_core::Result<Tensor> {
    losses.sum(dims)? / counted.sum(dims)?.maximum(1.0)?
}

pub(crate) fn no_classes(name: &str) -> candle_core::Result<Tensor> {
    bail!("{name} reads embeddings, which say nothing about classes")
}

/// The mean of `max(0, d(a, p) − d(a, n) + m)` over the triplets of an anchor, one of its class and one of another
/// that are not 0; with `hard` the farthest p and the nearest n of each anchor, and the mean over anchors that have
/// both.
///
/// Schroff et al. 2015, "FaceNet" (arXiv 1503.03832); Hermans et al. 2017, "In defense of the triplet loss" (arXiv
/// 1703.07737). Reference implementation: pytorch-metric-learning `TripletMarginLoss` and `BatchHardMiner`. All
/// triplets are `[B, B, B]` numbers.
///
/// | field | default | range |
/// |---|---|---|
/// | `margin` | 0.05 | at least 0, m |
/// | `hard` | false | each anchor's hardest pair in place of all |
/// | `soft` | false | `log(1 + e^x)` in place of `max(0, x)`: all triplets count |
/// | `normalize` | true | distances between embeddings of length 1 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Triplet {
    /// m.
    pub margin: f64,
    /// Each anchor's hardest pair in place of all.
    pub hard: bool,
    /// `log(1 + e^x)` in place of `max(0, x)`.
    pub soft: bool,
    /// Whether embeddings are brought to length 1.
    pub normalize: bool,
}

impl Default for Triplet {
    fn default() -> Self {
        Self { margin: 0.05, hard: false, soft: false, normalize: true }
    }
}

impl Triplet {
    /// What triplets lose, and which count: `[B, B, B]`, with `hard` `[B, 1, 1]`.
    fn terms(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<[Tensor; 2]> {
        let batch = Batch::new(output, target)?;
        let distances = batch.distances(self.normalize)?;
        let (positive, negative, counted) = match self.hard {
            false => {
                let counted = batch.same.unsqueeze(2)?.broadcast_mul(&batch.other.unsqueeze(1)?)?;
                (distances.unsqueeze(2)?, distances.unsqueeze(1)?, counted)
            }
            true => {
                let still = distances.detach();
                let far = ((&still * &batch.same)? + (batch.same.affine(-NEVER, NEVER)?))?.argmax_keepdim(1)?;
                let near = ((&still * &batch.other)? + (batch.other.affine(NEVER, -NEVER)?))?.argmin_keepdim(1)?;
                let at = |index: &Tensor| distances.gather(index, 1)?.unsqueeze(2);
                let counted = (batch.same.max_keepdim(1)? * batch.other.max_keepdim(1)?)?.unsqueeze(2)?;
                (at(&far)?, at(&near)?, counted)
            }
        };
        let behind = (positive.broadcast_sub(&negative)? + self.margin)?;
        let losses = (if self.soft { softplus(&behind)? } else { hinge(&behind)? } * &counted)?;
        let counted = if self.hard { counted } else { mask(&losses.gt(0.0)?, losses.dtype())? };
        Ok([losses, counted])
    }
}

impl Loss for Triplet {
    /// The mean over an anchor's triplets.
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let [losses, counted] = self.terms(output, target)?;
        mean_of(&losses, &counted, &[1, 2])
    }
    fn forward(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let [losses, counted] = self.terms(output, target)?;
        mean_of(&losses, &counted, &[0, 1, 2])
    }
    fn probabilities(&self, _: &Tensor) -> candle_core::Result<Tensor> {
        no_classes("triplet")
    }
    fn validate(&self) -> Result<()> {
        check_factor("triplet", "margin", self.margin)
    }
}

/// The mean of `max(0, d − m₊)` over pairs of a class and that of `max(0, m₋ − d)` over pairs of two classes, of those
/// that are not 0.
///
/// Hadsell et al. 2006, "Dimensionality reduction by learning an invariant mapping". Reference implementation:
/// pytorch-metric-learning `ContrastiveLoss`.
///
/// | field | default | range |
/// |---|---|---|
/// | `pos_margin` | 0 | at least 0, m₊ |
/// | `neg_margin` | 1 | above `pos_margin`, m₋; with `normalize` at most 2, which is as far as it gets |
/// | `normalize` | true | distances between embeddings of length 1 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Contrastive {
    /// m₊.
    pub pos_margin: f64,
    /// m₋.
    pub neg_margin: f64,
    /// Whether embeddings are brought to length 1.
    pub normalize: bool,
}

impl Default for Contrastive {
    fn default() -> Self {
        Self { pos_margin: 0.0, neg_margin: 1.0, normalize: true }
    }
}

impl Contrastive {
    fn over(&self, output: &Tensor, target: &Tensor, dims: &[usize]) -> candle_core::Result<Tensor> {
        let batch = Batch::new(output, target)?;
        let distances = batch.distances(self.normalize)?;
        let alike = (hinge(&(&distances - self.pos_margin)?)? * &batch.same)?;
        let apart = (hinge(&distances.affine(-1.0, self.neg_margin)?)? * &batch.other)?;
        let mean = |losses: &Tensor| mean_of(losses, &mask(&losses.gt(0.0)?, losses.dtype())?, dims);
        mean(&alike)? + mean(&apart)?
    }
}

impl Loss for Contrastive {
    /// The means over an anchor's pairs.
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        self.over(output, target, &[1])
    }
    fn forward(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        self.over(output, target, &[0, 1])
    }
    fn probabilities(&self, _: &Tensor) -> candle_core::Result<Tensor> {
        no_classes("contrastive")
    }
    fn validate(&self) -> Result<()> {
        check_factor("contrastive", "pos_margin", self.pos_margin)?;
        check_positive("contrastive", "neg_margin", self.neg_margin)?;
        require("contrastive", self.pos_margin < self.neg_margin, "neg_margin must be above pos_margin")?;
        let within = !self.normalize || self.neg_margin <= 2.0;
        require("contrastive", within, "neg_margin must be at most 2 with normalize, no distance is above")
    }
}

/// `ℓᵢ = −1/|P| Σ_{p∈P} log(e^{cos(i,p)/τ} / Σ_{j≠i} e^{cos(i,j)/τ})`, P being the others of i's class; the mean over
/// anchors that have some.
///
/// Khosla et al. 2020, "Supervised contrastive learning" (arXiv 2004.11362). Reference implementation:
/// pytorch-metric-learning `SupConLoss`.
///
/// | field | default | range |
/// |---|---|---|
/// | `temperature` | 0.1 | above 0, τ |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SupervisedContrastive {
    /// τ.
    pub temperature: f64,
}

impl Default for SupervisedContrastive {
    fn default() -> Self {
        Self { temperature: 0.1 }
    }
}

impl SupervisedContrastive {
    /// What every anchor loses, and whether it has others of its class.
    fn terms(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
        let batch = Batch::new(output, target)?;
        let near = (batch.cosines()? / self.temperature)?;
        let others = (&near + (diagonal(&near)? * NEVER)?)?.log_sum_exp(1)?.unsqueeze(1)?;
        let alike = batch.same.sum(1)?;
        let logs = (near.broadcast_sub(&others)? * &batch.same)?.sum(1)?;
        Ok(((logs / alike.maximum(1.0)?)?.neg()?, alike.minimum(1.0)?))
    }
}

impl Loss for SupervisedContrastive {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        Ok(self.terms(output, target)?.0)
    }
    fn forward(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (losses, counted) = self.terms(output, target)?;
        mean_of(&losses, &counted, &[0])
    }
    fn probabilities(&self, _: &Tensor) -> candle_core::Result<Tensor> {
        no_classes("supervised_contrastive")
    }
    fn validate(&self) -> Result<()> {
        check_positive("supervised_contrastive", "temperature", self.temperature)
    }
}

/// The mean of `(1 − s·cos)²` over all pairs, `s = 1` for two samples of a class and −1 for others.
///
/// Bromley et al. 1993, "Signature verification using a 'Siamese' time delay neural network", learns a cosine that says
/// who is alike; this form is that of the siamese notebooks of the recursion cellular image classification
/// competition, which add three times it to a focal loss. Reference: the formula in PyTorch. No parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PairwiseCosine {}

impl PairwiseCosine {
    fn over(output: &Tensor, target: &Tensor, dims: &[usize]) -> candle_core::Result<Tensor> {
        let batch = Batch::new(output, target)?;
        let sign = (&batch.same - &batch.other)?;
        let losses = (&sign * batch.cosines()?)?.affine(-1.0, 1.0)?.sqr()?;
        let counted = sign.sqr()?;
        mean_of(&(losses * &counted)?, &counted, dims)
    }
}

impl Loss for PairwiseCosine {
    /// The mean over an anchor's pairs.
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        Self::over(output, target, &[1])
    }
    fn forward(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        Self::over(output, target, &[0, 1])
    }
    fn probabilities(&self, _: &Tensor) -> candle_core::Result<Tensor> {
        no_classes("pairwise_cosine")
    }
}

//! Embeddings that follow another network's: cosine and similarity-preserving loss.
//!
//! They read embeddings `[B, E]`; a target is the other network's embeddings, `[B, E]` or of another width `[B, F]`, which
//! get no gradient. An embedding says nothing about classes, so that `probabilities` is an error.

use crate::logits::safe_sqrt;
use crate::loss::{Loss, beside};
use crate::pairs::{no_classes, unit};
use candle_core::{D, Tensor, bail};
use serde::{Deserialize, Serialize};

/// Embeddings of both networks in at least F32.
fn both(output: &Tensor, target: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
    let ours = beside(output, target)?;
    if target.rank() != 2 || !target.dtype().is_float() {
        let (dims, kind) = (target.dims(), target.dtype());
        bail!("a target is another network's embeddings, [B, F] floats, got {dims:?} {kind:?}");
    }
    let theirs = target.detach().to_dtype(ours.dtype())?;
    Ok((ours, theirs))
}

/// `ℓ = 1 − cos(z, t)`.
///
/// The distance of Chen & He 2021, "Exploring simple siamese representation learning" (arXiv 2011.10566), plus 1, and half
/// of that of Grill et al. 2020, "Bootstrap your own latent" (arXiv 2006.07733). Reference: `torch.nn.functional`
/// `cosine_similarity`. No parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cosine {}

impl Loss for Cosine {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (ours, theirs) = both(output, target)?;
        if ours.dims() != theirs.dims() {
            bail!("embeddings {:?} and {:?} have no cosine", ours.dims(), theirs.dims());
        }
        (unit(&ours)? * unit(&theirs)?)?.sum(D::Minus1)?.affine(-1.0, 1.0)
    }
    fn probabilities(&self, _: &Tensor) -> candle_core::Result<Tensor> {
        no_classes("cosine")
    }
}

/// `L = 1/B² Σᵢ ‖gᵢ(z) − gᵢ(t)‖²`, `gᵢ` being row i of `Z·Zᵀ` at length 1: pictures that are alike to the teacher shall be
/// alike. The two widths need not be the same.
///
/// Tung & Mori 2019, "Similarity-preserving knowledge distillation" (arXiv 1907.09682), eq. 4. Reference: the formula in
/// PyTorch. No parameters; the paper weighs it with 3000.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Similarity {}

impl Loss for Similarity {
    /// B times a sample's row of the sum, so that the mean over samples is the loss.
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (ours, theirs) = both(output, target)?;
        let alike = |x: &Tensor| -> candle_core::Result<Tensor> {
            let products = x.matmul(&x.t()?)?;
            products.broadcast_div(&safe_sqrt(&products.sqr()?.sum_keepdim(D::Minus1)?)?)
        };
        (alike(&ours)? - alike(&theirs)?)?.sqr()?.sum(D::Minus1)? / ours.dim(0)? as f64
    }
    fn probabilities(&self, _: &Tensor) -> candle_core::Result<Tensor> {
        no_classes("similarity")
    }
}

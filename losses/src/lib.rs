//! What training minimizes: losses from logits and targets to one number per sample.
//!
//! A target is a tensor, `[B]` class ids or `[B, K]` rows, so that mixed and soft labels need no other loss.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use sconce_losses::{CrossEntropy, Loss, build};
//! let logits = Tensor::new(&[[2.0f32, -1.0], [0.5, 0.1]], &Device::Cpu)?;
//! let classes = Tensor::new(&[0u32, 1], &Device::Cpu)?;
//! let mixed = Tensor::new(&[[1.0f32, 0.0], [0.3, 0.7]], &Device::Cpu)?;
//! let loss = CrossEntropy { smoothing: 0.1, ..Default::default() };
//! let hardest = loss.per_sample(&logits, &mixed)?.argmax(0)?.to_scalar::<u32>()?;
//! let by_name = build("cross_entropy", serde_json::json!({"smoothing": 0.1}))?;
//! let batch = by_name.forward(&logits, &classes)?.to_scalar::<f32>()?;
//! assert_eq!((hardest, batch), (1, loss.forward(&logits, &classes)?.to_scalar::<f32>()?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | what a sample shows | losses |
//! |---|---|
//! | one class | [`CrossEntropy`], [`Focal`], [`Poly`], [`AsymmetricSingle`], [`Sparsemax`], [`Entmax`] |
//! | one class, some labels wrong | [`Gce`], [`Symmetric`], [`Taylor`], [`BiTempered`] |
//! | one class of a few frequent and many rare ones | [`LogitAdjusted`], [`Ldam`], [`DynamicArcFace`] |
//! | one class, cosines | [`ArcFace`], [`CosFace`], [`SphereFace`], [`AdaCos`] |
//! | several labels | [`Bce`], [`Focal`], [`Asymmetric`], [`SoftF1`], [`Hamming`], [`ModifiedHuber`] |
//! | several labels, in order | [`Ranking`], [`Lsep`] |
//! | a class of an order | [`Coral`], [`Corn`], [`SoftOrdinal`], [`OrdinalRegression`], [`Kappa`] |
//! | a distribution over bins | [`Emd`], [`CrossEntropy`] |
//! | numbers | [`Mse`], [`Huber`], [`SmoothL1`], positions [`TrajectoryNll`] |
//! | who is alike, embeddings | [`Triplet`], [`Contrastive`], [`SupervisedContrastive`], [`PairwiseCosine`] |
//! | what a teacher or another view says | [`Distillation`], [`Jsd`], embeddings [`Cosine`], [`Similarity`] |
//!
//! [`Sum`] adds several. Names in recipes are those of the types in lower case with underscores, see [`LOSSES`]. A
//! loss also knows what its outputs mean: [`Loss::probabilities`].

mod asymmetric;
mod bce;
mod bi_tempered;
mod cross_entropy;
mod distillation;
mod emd;
mod entmax;
mod error;
mod focal;
mod hamming;
mod jsd;
mod kappa;
mod ldam;
mod logit_adjusted;
mod logits;
mod loss;
mod margins;
mod modified_huber;
mod ordinal;
mod ordinal_regression;
mod pairs;
mod ranking;
mod regression;
mod robust;
mod soft_f1;
mod sum;
mod teacher;
mod trajectory_nll;

pub use asymmetric::{Asymmetric, AsymmetricSingle};
pub use bce::Bce;
pub use bi_tempered::BiTempered;
pub use cross_entropy::CrossEntropy;
pub use distillation::Distillation;
pub use emd::Emd;
pub use entmax::{Entmax, Sparsemax, entmax, sparsemax};
pub use error::{Error, Result};
pub use focal::Focal;
pub use hamming::Hamming;
pub use jsd::Jsd;
pub use kappa::Kappa;
pub use ldam::Ldam;
pub use logit_adjusted::LogitAdjusted;
pub use loss::{Loss, rows};
pub use margins::{AdaCos, ArcFace, CosFace, DynamicArcFace, SphereFace};
pub use modified_huber::ModifiedHuber;
pub use ordinal::{Coral, Corn, SoftOrdinal};
pub use ordinal_regression::{Distance, OrdinalRegression};
pub use pairs::{Contrastive, PairwiseCosine, SupervisedContrastive, Triplet};
pub use ranking::{Lsep, Pairwise, Ranking};
pub use regression::{Huber, Mse, SmoothL1};
pub use robust::{Gce, Poly, Symmetric, Taylor};
pub use soft_f1::SoftF1;
pub use sum::Sum;
pub use teacher::{Cosine, Similarity};
pub use trajectory_nll::TrajectoryNll;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// A line of the table of losses.
pub struct Entry {
    /// Name in recipes.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    build: fn(Value) -> Result<Box<dyn Loss>, serde_json::Error>,
    resolve: fn(Value) -> Result<Value, serde_json::Error>,
}

impl Entry {
    const fn of<L: Loss + Serialize + DeserializeOwned + 'static>(name: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            build: |params| Ok(Box::new(serde_json::from_value::<L>(params)?)),
            resolve: |params| serde_json::to_value(serde_json::from_value::<L>(params)?),
        }
    }
}

/// All losses.
pub const LOSSES: &[Entry] = &[
    Entry::of::<AdaCos>(
        "adacos",
        "Softmax cross-entropy of cosines with a scale that fits the classes (Zhang et al. 2019).",
    ),
    Entry::of::<ArcFace>("arcface", "Additive angular margin between classes (Deng et al. 2018)."),
    Entry::of::<Asymmetric>("asymmetric", "Multi-label loss with less weight for easy negatives (Ridnik et al. 2021)."),
    Entry::of::<AsymmetricSingle>("asymmetric_single", "The asymmetric loss for one class per sample."),
    Entry::of::<Bce>("bce", "Binary cross-entropy of every class, with label smoothing and weights for positives."),
    Entry::of::<BiTempered>(
        "bi_tempered",
        "Bounded logistic loss with heavy tails, for wrong labels (Amid et al. 2019).",
    ),
    Entry::of::<Contrastive>(
        "contrastive",
        "Embeddings of a class together, of two classes apart (Hadsell et al. 2006).",
    ),
    Entry::of::<Coral>("coral", "Ordered classes as thresholds with one score (Cao et al. 2020)."),
    Entry::of::<Corn>("corn", "Ordered classes as conditional thresholds (Shi et al. 2021)."),
    Entry::of::<Cosine>("cosine", "Embeddings in the direction of another network's (Chen & He 2021)."),
    Entry::of::<CosFace>("cosface", "Additive cosine margin between classes (Wang et al. 2018)."),
    Entry::of::<CrossEntropy>(
        "cross_entropy",
        "Softmax cross-entropy with label smoothing (Szegedy et al. 2016) and class weights.",
    ),
    Entry::of::<Distillation>("distillation", "A teacher's soft targets beside the true ones (Hinton et al. 2015)."),
    Entry::of::<DynamicArcFace>("dynamic_arcface", "ArcFace with larger margins for rarer classes (Ha et al. 2020)."),
    Entry::of::<Emd>("emd", "Earth mover's distance between distributions over ordered bins (Talebi & Milanfar 2017)."),
    Entry::of::<Entmax>("entmax", "The loss of probabilities between softmax and sparsemax (Peters et al. 2019)."),
    Entry::of::<Focal>("focal", "Focal loss, softmax or sigmoid: easy samples count for less (Lin et al. 2017)."),
    Entry::of::<Gce>("gce", "Generalized cross-entropy, for wrong labels (Zhang & Sabuncu 2018)."),
    Entry::of::<Hamming>("hamming", "The expected share of wrong yes-or-no answers."),
    Entry::of::<Huber>("huber", "Squared error that goes on as a line (Huber 1964)."),
    Entry::of::<Jsd>("jsd", "Cross-entropy and Jensen-Shannon consistency of several views (Hendrycks et al. 2020)."),
    Entry::of::<Kappa>("kappa", "One less the weighted kappa of soft counts, of a batch (de La Torre et al. 2018)."),
    Entry::of::<Ldam>("ldam", "Larger cosine margins for rarer classes (Cao et al. 2019)."),
    Entry::of::<LogitAdjusted>(
        "logit_adjusted",
        "Cross-entropy that takes the frequency of classes away (Menon et al. 2020).",
    ),
    Entry::of::<Lsep>("lsep", "Log-sum-exp over all pairs of label and non-label (Li et al. 2017)."),
    Entry::of::<ModifiedHuber>("modified_huber", "Squared hinge of every class that goes on as a line (Zhang 2004)."),
    Entry::of::<Mse>("mse", "Mean squared error, of known targets."),
    Entry::of::<OrdinalRegression>("ordinal_regression", "Ordered classes as a number, cut into classes again."),
    Entry::of::<PairwiseCosine>(
        "pairwise_cosine",
        "Cosines of embeddings near 1 within a class and -1 between classes.",
    ),
    Entry::of::<Poly>("poly", "Cross-entropy with another first term of its series (Leng et al. 2022)."),
    Entry::of::<Ranking>("ranking", "Labels before non-labels, pair by pair: hinge, exponential (BP-MLL) or logistic."),
    Entry::of::<Similarity>(
        "similarity",
        "Pictures that are alike to a teacher are alike (Tung & Mori 2019), for embeddings.",
    ),
    Entry::of::<SmoothL1>("smooth_l1", "Absolute error that is smooth near 0 (Girshick 2015)."),
    Entry::of::<SoftF1>("soft_f1", "One less the macro F1 of soft counts, of a batch."),
    Entry::of::<SoftOrdinal>(
        "soft_ordinal",
        "Cross-entropy with soft labels that know the order of classes (Díaz & Marathe 2019).",
    ),
    Entry::of::<Sparsemax>("sparsemax", "The loss of probabilities that can be 0 (Martins & Astudillo 2016)."),
    Entry::of::<SphereFace>("sphereface", "Multiplicative angular margin between classes (Liu et al. 2017)."),
    Entry::of::<Sum>("sum", "Several losses with weights."),
    Entry::of::<SupervisedContrastive>(
        "supervised_contrastive",
        "Softmax over a batch's cosines, all of a class are right (Khosla et al. 2020).",
    ),
    Entry::of::<Symmetric>("symmetric", "Cross-entropy and the reverse, for wrong labels (Wang et al. 2019)."),
    Entry::of::<Taylor>("taylor", "The first terms of cross-entropy's series, for wrong labels (Feng et al. 2020)."),
    Entry::of::<TrajectoryNll>(
        "trajectory_nll",
        "Likelihood of future positions under several guesses (Houston et al. 2020).",
    ),
    Entry::of::<Triplet>("triplet", "An anchor nearer to its class than to others, over all or the hardest triplets."),
];

/// The loss `name` with `params`, an object.
///
/// # Errors
/// Unknown names and parameters, impossible values.
pub fn build(name: &str, params: Value) -> Result<Box<dyn Loss>> {
    let loss = (find(name)?.build)(params).map_err(|source| parameter(name, source))?;
    loss.validate()?;
    Ok(loss)
}

/// `params` with every default written out.
///
/// # Errors
/// As [`build`].
pub fn resolve(name: &str, params: Value) -> Result<Value> {
    build(name, params.clone())?;
    (find(name)?.resolve)(params).map_err(|source| parameter(name, source))
}

fn find(name: &str) -> Result<&'static Entry> {
    let known = || LOSSES.iter().map(|e| e.name).collect::<Vec<_>>().join(", ");
    LOSSES.iter().find(|e| e.name == name).ok_or_else(|| Error::Unknown { name: name.into(), known: known() })
}

fn parameter(name: &str, source: serde_json::Error) -> Error {
    Error::Parameter { name: name.into(), source }
}

//! `[train]`: how the loss is minimized.

use super::Spec;
use candle_core::DType;
use models::ops::Tile;
use serde::{Deserialize, Serialize};
use train::Rise;

/// `[train]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Train {
    /// Passes over the training rows.
    pub epochs: usize,
    /// Most optimizer steps of an epoch; 0: all.
    pub steps_per_epoch: usize,
    /// Pictures per step.
    pub batch_size: usize,
    /// How often each picture comes in a batch, each time changed in another way (Hoffer et al. 2020, "Augment your batch"). An
    /// epoch is so many times as long; `steps_per_epoch` bounds it.
    pub repeat: usize,
    /// Sides of pictures in the first epochs; all epochs are shared equally among these and `preprocess.size`, the last one
    /// (progressive resizing).
    pub sizes: Vec<usize>,
    /// Highest learning rate.
    pub lr: f64,
    /// Batch that `lr` is meant for: larger ones, micro-batches included, learn faster, as `lr_scaling` says. 0: the batch that
    /// there is.
    pub lr_batch: usize,
    /// With the batch (`linear`, Goyal et al. 2017) or its square root (`sqrt`, Krizhevsky 2014).
    pub lr_scaling: LrScaling,
    /// Factor of the learning rate for the backbone; what stands behind it is new: 1 trains all alike, 0 leaves the backbone as
    /// it is, its statistics and dropout included. A backbone that never learns is left as it is with any.
    pub backbone_lr: f64,
    /// Factor of the learning rate from each of the network's stages to the one before it, above 0 and at most 1; 1 trains them
    /// alike.
    pub layer_decay: f64,
    /// Factor of the learning rate for the biases of batch norms (64 in airbench).
    pub bias_lr: f64,
    /// Stages of the backbone, from the input on, that stay as they are.
    pub freeze: usize,
    /// Epochs after which one more of the other stages begins to learn, the last one first, while the head learns from the start
    /// (gradual unfreezing, Howard & Ruder 2018); the optimizer begins anew each time. 0: all learn from the start.
    pub unfreeze: usize,
    /// Weight of the loss of each auxiliary head, where the model has one.
    pub aux_weight: f64,
    /// Whether what a backbone that is not trained makes of a picture is computed once, with the pool, and kept in the user's
    /// cache, so that only what stands behind it sees the data again.
    pub features: bool,
    /// Heads on bootstrap resamples of the features, whose probabilities are averaged; 1: the head alone, on all of them.
    pub bags: usize,
    /// A name of `list optimizers` with its parameters.
    pub optimizer: Spec,
    /// A name of `list schedules` with its parameters.
    pub schedule: Spec,
    /// Epochs of linear warm-up. Left open it is 1, or 0 before a schedule that rises by itself (`one_cycle`, `cyclic`,
    /// `kaggle_ramp`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup: Option<f64>,
    /// The factor that it begins with, 0..=1; 0: the first of its steps counts as one of them, the last one has all of the rate.
    pub warmup_from: f64,
    /// Another schedule for the factor of the optimizer's momentum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum_schedule: Option<Spec>,
    /// Another schedule for the factor of the optimizer's weight decay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay_schedule: Option<Spec>,
    /// A schedule for the factor of dropout and of drop-path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout_schedule: Option<Spec>,
    /// Whether weight decay also shrinks biases and norms.
    pub decay_norms: bool,
    /// Weight of the absolute values of the weights, which it makes 0 where they do not matter (L1); 0: none.
    pub l1: f64,
    /// Order of the samples: a name of `list samplers` with its parameters.
    pub sampler: Spec,
    /// Micro-batches per step.
    pub accumulate: usize,
    /// What is computed in: `f32`; `bf16` or `f16` between the layers, with weights and sums in F32.
    pub precision: Precision,
    /// What the loss is multiplied by at first with `f16`, so that small gradients are not lost; it follows what is possible.
    pub loss_scale: f64,
    /// Whether the insides of blocks are computed again on the way back instead of being kept: less memory for a third more time.
    pub recompute: bool,
    /// Whether the mean of each unit's gradient is taken out (gradient centralization, Yong et al. 2020).
    pub centralize: bool,
    /// Largest norm of a unit's gradient over that of the unit (adaptive clipping, Brock et al. 2021); 0: no clipping.
    pub clip_unit: f64,
    /// Beginnings of names that it leaves alone.
    pub clip_unit_except: Vec<String>,
    /// Largest number in a gradient; 0: no clipping.
    pub clip_value: f64,
    /// Largest global norm of the gradients; 0: no clipping.
    pub clip_norm: f64,
    /// Decay of the averaged weights; 0: none.
    pub ema: f64,
    /// How it rises to that: `tensorflow`, `timm`, `none`.
    pub ema_rise: Rise,
    /// Share of the epochs after which their weights are averaged equally, with statistics of batch norms measured anew
    /// (stochastic weight averaging, Izmailov et al. 2018); 0: none.
    pub swa: f64,
    /// What becomes of weights at the ends of the schedule's cycles: `none`; `ensemble` averages what they predict (Huang et al.
    /// 2017); `soup` averages those that make the score better (Wortsman et al. 2022).
    pub snapshots: Snapshots,
    /// Steps between states in memory to which a loss that is no number leads back, with half the learning rate; 0: it is an
    /// error.
    pub guard: usize,
    /// How many times the usual one a loss must be to lead back as well; 0: none is too large.
    pub spike: f64,
    /// Epochs without a better score after which a fold ends; 0: never.
    pub patience: usize,
    /// How much better than the last better one a score must be for `patience`, in its own units, at least 0. The best epoch is
    /// kept without it.
    pub min_delta: f64,
    /// Checkpoints between epochs, every so many steps; 0: none.
    pub save_every: usize,
    /// Steps between logged losses.
    pub log_every: usize,
    /// Batches prepared ahead.
    pub prefetch: usize,
    /// Megabytes of decoded pictures kept in memory.
    pub cache_mb: usize,
    /// Megabytes of decoded pictures kept in the user's cache on disk, for later runs as well; 0: none.
    pub cache_disk_mb: usize,
    /// 3×3 convolutions on a CPU: `none` sums plainly, `two` computes 2×2 outputs at once with the same rounding error, `four`
    /// 4×4 with a three to five times larger one, with which networks train as well.
    pub winograd: Tile,
    /// The `--max-minutes` from which `epochs` was found; a record, it decides nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_minutes: Option<f64>,
}

impl Default for Train {
    fn default() -> Self {
        Self {
            epochs: 10,
            steps_per_epoch: 0,
            batch_size: 32,
            repeat: 1,
            sizes: vec![],
            lr: 0.05,
            lr_batch: 0,
            lr_scaling: LrScaling::Linear,
            backbone_lr: 1.0,
            layer_decay: 1.0,
            bias_lr: 1.0,
            freeze: 0,
            unfreeze: 0,
            aux_weight: 0.4,
            features: false,
            bags: 1,
            optimizer: Spec::new("sgd"),
            schedule: Spec::new("cosine"),
            warmup: None,
            warmup_from: 0.0,
            momentum_schedule: None,
            decay_schedule: None,
            dropout_schedule: None,
            decay_norms: false,
            l1: 0.0,
            sampler: Spec::new("shuffled"),
            accumulate: 1,
            precision: Precision::F32,
            loss_scale: 65536.0,
            recompute: false,
            centralize: false,
            clip_unit: 0.0,
            clip_unit_except: vec!["head.".into()],
            clip_value: 0.0,
            clip_norm: 0.0,
            ema: 0.0,
            ema_rise: Rise::Tensorflow,
            swa: 0.0,
            snapshots: Snapshots::None,
            guard: 0,
            spike: 0.0,
            patience: 0,
            min_delta: 0.0,
            save_every: 0,
            log_every: 10,
            prefetch: 4,
            cache_mb: 1024,
            cache_disk_mb: 0,
            winograd: Tile::Four,
            max_minutes: None,
        }
    }
}

impl Train {
    /// The highest learning rate for the batch that there is.
    pub fn highest_lr(&self) -> f64 {
        match self.lr_batch {
            0 => self.lr,
            meant => {
                let times = (self.batch_size * self.accumulate) as f64 / meant as f64;
                self.lr * if self.lr_scaling == LrScaling::Linear { times } else { times.sqrt() }
            }
        }
    }

    /// Epochs of warm-up, as they are where the recipe leaves them open.
    pub fn warmup(&self) -> f64 {
        let rises = ["one_cycle", "cyclic", "kaggle_ramp"].contains(&self.schedule.name.as_str());
        self.warmup.unwrap_or(if rises { 0.0 } else { 1.0 })
    }

    /// Each of `sizes` with the first epoch that has larger pictures.
    pub fn smaller(&self) -> impl Iterator<Item = (usize, usize)> {
        let shares = self.sizes.len() + 1;
        self.sizes.iter().enumerate().map(move |(i, &side)| ((self.epochs * (i + 1)).div_ceil(shares), side))
    }
}

/// How the learning rate follows the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LrScaling {
    Linear,
    Sqrt,
}

/// What becomes of weights at the ends of cycles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Snapshots {
    /// Nothing.
    None,
    /// Their predictions are averaged.
    Ensemble,
    /// Those that make the score better are averaged.
    Soup,
}

/// What is computed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    F32,
    Bf16,
    F16,
}

impl Precision {
    /// The type of what goes through the network.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_batches_learn_faster() {
        let train = Train { lr: 0.1, batch_size: 64, accumulate: 16, ..Train::default() };
        let scaled = |lr_batch, lr_scaling| Train { lr_batch, lr_scaling, ..train.clone() }.highest_lr();
        assert_eq!(train.highest_lr(), 0.1);
        assert_eq!(scaled(256, LrScaling::Linear), 0.4);
        assert_eq!(scaled(256, LrScaling::Sqrt), 0.2);
    }

    #[test]
    fn schedules_that_rise_have_no_warm_up_beside() {
        let of = |name: &str, warmup| Train { schedule: Spec::new(name), warmup, ..Train::default() }.warmup();
        assert_eq!((of("cosine", None), of("one_cycle", None), of("one_cycle", Some(2.0))), (1.0, 0.0, 2.0));
    }

    #[test]
    fn pictures_grow_in_equal_shares() {
        let train = Train { sizes: vec![32, 48], epochs: 6, ..Train::default() };
        assert_eq!(train.smaller().collect::<Vec<_>>(), [(2, 32), (4, 48)]);
        assert_eq!(Train::default().smaller().count(), 0);
    }
}

//! Blends within a batch, on its device.

mod cutmix;
mod mixup;

pub use cutmix::{CutMix, cut, paste};
pub use mixup::{Mixup, blend};

use crate::error::Result;
use candle_core::{Result as TensorResult, Tensor};
use rand::RngCore;
use rand_distr::{Beta, Distribution};
use std::fmt::Debug;

/// A change of pictures and targets together.
pub trait BatchTransform: Debug + Send + Sync {
    /// Images `[B, C, ..]` of a float type and targets `[B, K]` F32 → the same shapes.
    ///
    /// Gives the same batch for the same state of `rng`.
    ///
    /// # Errors
    /// Tensors of other shapes.
    fn apply(&self, images: &Tensor, targets: &Tensor, rng: &mut dyn RngCore) -> TensorResult<(Tensor, Tensor)>;
    /// Rejects impossible parameters when built.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) with the technique's and the parameter's name.
    fn validate(&self) -> Result<()>;
}

/// λ from Beta(α, α), 0..=1.
fn beta(rng: &mut dyn RngCore, alpha: f64) -> TensorResult<f64> {
    let beta = Beta::new(alpha, alpha).map_err(candle_core::Error::wrap)?;
    let lambda: f64 = beta.sample(rng);
    // The smallest α divide 0 by 0; their λ is 0 or 1.
    Ok(if lambda.is_nan() { 1.0 } else { lambda })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn lambda_has_the_moments_of_beta() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        for alpha in [0.2, 1.0, 4.0] {
            let draws: Vec<f64> = (0..20_000).map(|_| beta(&mut rng, alpha).unwrap()).collect();
            let mean = draws.iter().sum::<f64>() / draws.len() as f64;
            let variance = draws.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / draws.len() as f64;
            let exact = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            assert!((mean - 0.5).abs() < 0.01 && (variance - exact).abs() < 0.003, "{alpha}: {mean} {variance}");
        }
        for alpha in [1e-300, 1e-9, 1e9] {
            assert!((0..100).all(|_| (0.0..=1.0).contains(&beta(&mut rng, alpha).unwrap())), "{alpha}");
        }
    }
}

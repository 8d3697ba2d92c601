//! As they lie there.

use super::Sampler;
use crate::row::Row;
use rand_chacha::ChaCha8Rng;

/// As they lie there; for validation and prediction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequential;

impl Sampler for Sequential {
    fn order(&self, rows: &[Row], _: &mut ChaCha8Rng) -> Vec<usize> {
        (0..rows.len()).collect()
    }
}

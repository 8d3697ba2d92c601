//! Every sample once.

use super::Sampler;
use crate::row::Row;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Every sample once, shuffled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shuffled;

impl Sampler for Shuffled {
    fn order(&self, rows: &[Row], rng: &mut ChaCha8Rng) -> Vec<usize> {
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.shuffle(rng);
        order
    }
}

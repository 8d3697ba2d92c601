//! Every class equally likely.

use super::{Sampler, members};
use crate::row::Row;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// As many samples as there are, drawn with replacement so that every class is equally likely; soft labels count as the class
/// that they say above all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Balanced;

impl Sampler for Balanced {
    fn order(&self, rows: &[Row], rng: &mut ChaCha8Rng) -> Vec<usize> {
        let members: Vec<Vec<usize>> = members(rows, Row::likeliest).into_values().collect();
        draw(&members, rows.len(), rng)
    }
    fn by_class(&self) -> bool {
        true
    }
}

/// `count` indices, every list of `members` equally likely, and every index in it.
pub(super) fn draw(members: &[Vec<usize>], count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut draw = || {
        let class = &members[rng.random_range(0..members.len())];
        class[rng.random_range(0..class.len())]
    };
    (0..count).map(|_| draw()).collect()
}

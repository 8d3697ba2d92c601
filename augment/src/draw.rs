//! Draws that cannot fail, whatever the parameters.

use rand::{Rng, RngCore, seq::SliceRandom};

/// True with probability `p`. Always one number, so that what follows does not depend on `p`.
pub(crate) fn chance(rng: &mut dyn RngCore, p: f64) -> bool {
    rng.random::<f64>() < p
}

/// Uniform between two numbers.
pub(crate) fn uniform(rng: &mut dyn RngCore, [low, high]: [f64; 2]) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

/// Uniform in `0..n`; 0 when there is nothing to choose.
pub(crate) fn below(rng: &mut dyn RngCore, n: usize) -> usize {
    rng.random_range(0..n.max(1))
}

/// The numbers `0..n` in random order.
pub(crate) fn order(rng: &mut dyn RngCore, n: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n as u32).collect();
    order.shuffle(rng);
    order
}

/// Two sides `[a, b]` whose product is a uniform share of `area` and whose quotient `a/b` is uniform in its logarithm.
pub(crate) fn sides(rng: &mut dyn RngCore, area: f64, scale: [f64; 2], ratio: [f64; 2]) -> [usize; 2] {
    let area = area * uniform(rng, scale);
    let ratio = uniform(rng, ratio.map(f64::ln)).exp();
    [area * ratio, area / ratio].map(|square| square.sqrt().round_ties_even() as usize)
}

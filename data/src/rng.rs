//! Randomness as a function: of a seed and of what it is for.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The random stream of one sample in one epoch. Streams of different arguments have nothing to do with each other.
pub fn stream(seed: u64, epoch: usize, sample: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (part, value) in key.chunks_exact_mut(8).zip([seed, epoch as u64, sample, 0x5C0C_E5A3]) {
        part.copy_from_slice(&value.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// The random stream of a sample in an epoch, which also knows what stays from epoch to epoch.
#[derive(Clone, Debug)]
pub struct Stream {
    rng: ChaCha8Rng,
    epoch: usize,
    sample: u64,
}

impl Stream {
    /// The numbers of [`stream`].
    pub fn new(seed: u64, epoch: usize, sample: u64) -> Self {
        Self { rng: stream(seed, epoch, sample), epoch, sample: sub_seed(seed ^ sample, "sample") }
    }

    /// The epoch, from 0 on.
    pub fn epoch(&self) -> usize {
        self.epoch
    }

    /// A random number of seed and sample, the same in all epochs.
    pub fn of_sample(&self) -> u64 {
        self.sample
    }
}

impl RngCore for Stream {
    fn next_u32(&mut self) -> u32 {
        self.rng.next_u32()
    }
    fn next_u64(&mut self) -> u64 {
        self.rng.next_u64()
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.rng.fill_bytes(bytes);
    }
}

/// A seed of its own for `purpose`: stable between runs, versions and machines.
pub fn sub_seed(seed: u64, purpose: &str) -> u64 {
    // SplitMix64's finalizer (Steele et al. 2014) over FNV-1a of the purpose.
    let v = seed ^ name_hash(purpose);
    let v = (v ^ (v >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let v = (v ^ (v >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    v ^ (v >> 31)
}

/// FNV-1a.
pub(crate) fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_depend_on_every_argument() {
        let first = |seed, epoch, sample| stream(seed, epoch, sample).next_u64();
        assert_eq!(first(1, 2, 3), first(1, 2, 3));
        let others = [first(0, 2, 3), first(1, 0, 3), first(1, 2, 0), first(2, 1, 3), first(1, 3, 2)];
        assert!(others.iter().all(|v| *v != first(1, 2, 3)));
        assert_ne!(sub_seed(1, "folds"), sub_seed(1, "weights"));
        assert_ne!(sub_seed(1, "folds"), sub_seed(2, "folds"));
    }
}

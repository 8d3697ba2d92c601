//! One worker's part of an epoch.

use super::Sampler;
use crate::error::{Error, Result};
use crate::row::{Column, Row};
use rand_chacha::ChaCha8Rng;

/// The part that worker `rank` of `world` has of another sampler's order, as PyTorch's `DistributedSampler` deals it: every
/// `world`-th index from `rank` on, the order filled up with its beginning so that all parts have one length. Indices that belong
/// side by side stay so. All workers must be given the same random stream.
pub struct Sharded<S> {
    of: S,
    rank: usize,
    world: usize,
}

impl<S: Sampler> Sharded<S> {
    /// Part `rank` of `world` parts.
    ///
    /// # Errors
    /// [`Error::Invalid`] when `rank` is not below `world`.
    pub fn new(of: S, rank: usize, world: usize) -> Result<Self> {
        match rank < world {
            true => Ok(Self { of, rank, world }),
            false => Err(Error::Invalid(format!("worker {rank} of {world} workers: count workers from 0 on"))),
        }
    }
}

impl<S: Sampler> Sampler for Sharded<S> {
    fn order(&self, rows: &[Row], rng: &mut ChaCha8Rng) -> Vec<usize> {
        let all = self.of.order(rows, rng);
        let together = self.of.together().max(1);
        let length = self.length(rows);
        let at = |i: usize| {
            let place = (i / together * self.world + self.rank) * together + i % together;
            all[place % all.len()]
        };
        if all.is_empty() { vec![] } else { (0..length).map(at).collect() }
    }
    fn length(&self, rows: &[Row]) -> usize {
        let together = self.of.together().max(1);
        self.of.length(rows).div_ceil(together * self.world) * together
    }
    fn together(&self) -> usize {
        self.of.together()
    }
    fn bind(&mut self, columns: &[Column]) -> Result<()> {
        self.of.bind(columns)
    }
    fn by_class(&self) -> bool {
        self.of.by_class()
    }
    fn validate(&self) -> Result<()> {
        self.of.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;
    use crate::sampler::{Sequential, Shuffled, Twin};

    fn parts<S: Sampler>(of: impl Fn() -> S, rows: usize, world: usize) -> Vec<Vec<usize>> {
        let rows = vec![Row::default(); rows];
        let part = |rank| {
            let part = Sharded::new(of(), rank, world).unwrap();
            let order = part.order(&rows, &mut stream(1, 0, 0));
            assert_eq!(order.len(), part.length(&rows));
            order
        };
        (0..world).map(part).collect()
    }

    /// As `torch.utils.data.DistributedSampler` deals ten indices, and two, to four workers.
    #[test]
    fn parts_are_those_of_pytorch() {
        assert_eq!(parts(|| Sequential, 10, 4), [[0, 4, 8], [1, 5, 9], [2, 6, 0], [3, 7, 1]]);
        assert_eq!(parts(|| Sequential, 2, 4), [[0], [1], [0], [1]]);
        assert_eq!(parts(|| Sequential, 0, 2), [[0; 0]; 2]);
        let mut all = parts(|| Shuffled, 12, 3).concat();
        all.sort_unstable();
        assert_eq!(all, (0..12).collect::<Vec<_>>());
    }

    #[test]
    fn pairs_stay_together() {
        let whole = Twin {}.order(&vec![Row::default(); 5], &mut stream(1, 0, 0));
        let pairs: Vec<&[usize]> = whole.chunks(2).collect();
        let parts = parts(Twin::default, 5, 2);
        assert_eq!(parts[0], [pairs[0], pairs[2], pairs[4]].concat());
        assert_eq!(parts[1], [pairs[1], pairs[3], pairs[0]].concat());
        assert!(Sharded::new(Shuffled, 2, 2).is_err());
    }
}

//! Bootstrap resamples for the heads of a bag: Breiman, "Bagging predictors", 1996 (Machine Learning 24), in the form of Oza &
//! Russell, "Online bagging and boosting", 2001 (AISTATS).
//!
//! A row counts for a head as often as a Poisson variable with mean 1 says, which is a function of (seed, the row's id, the
//! head): in every epoch, in any order, a head learns from the same resample.

use candle_core::{Device, Result, Tensor};
use data::rng::{stream, sub_seed};
use rand::Rng;

/// Which rows of a batch count for which heads, each as often as it was drawn.
pub struct Drawn {
    heads: usize,
    /// `[R]`, row · heads + head.
    pairs: Tensor,
    /// `[R]`, the row alone.
    rows: Tensor,
}

impl Drawn {
    /// For the rows `ids` and so many heads.
    pub fn new(seed: u64, ids: &[String], heads: usize, device: &Device) -> Result<Self> {
        let all = ids.iter().enumerate().flat_map(|(row, id)| {
            let seed = sub_seed(seed, id);
            (0..heads).map(move |head| (row, head, poisson(stream(seed, head, 0).random())))
        });
        let often = |(row, head, times)| std::iter::repeat_n((row, head), times);
        let mut drawn: Vec<(usize, usize)> = all.flat_map(often).collect();
        if drawn.is_empty() {
            // A tiny batch that nobody drew is for everybody.
            drawn = (0..ids.len()).flat_map(|row| (0..heads).map(move |head| (row, head))).collect();
        }
        let count = drawn.len();
        let pairs: Vec<u32> = drawn.iter().map(|(row, head)| (row * heads + head) as u32).collect();
        let rows: Vec<u32> = drawn.iter().map(|(row, _)| *row as u32).collect();
        Ok(Self { heads, pairs: Tensor::from_vec(pairs, count, device)?, rows: Tensor::from_vec(rows, count, device)? })
    }

    /// The mean of `loss` over what was drawn; `said` is `[B, heads, K]`.
    pub fn loss(
        &self,
        said: &Tensor,
        targets: &Tensor,
        loss: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let said = said.flatten(0, 1)?.index_select(&self.pairs, 0)?;
        let mean = loss(&said, &targets.index_select(&self.rows, 0)?)?;
        // Each head has its share of the mean, but shall learn as fast as if it were alone: the value stays the mean.
        let heads = self.heads as f64;
        (&mean * heads)? - (mean.detach() * (heads - 1.0))?
    }
}

/// A Poisson variable with mean 1 from a number in 0..1.
fn poisson(mut u: f64) -> usize {
    let (mut times, mut share) = (0, (-1f64).exp());
    while u >= share && times < 16 {
        u -= share;
        times += 1;
        share /= times as f64;
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resample_is_a_function_of_seed_id_and_head() {
        let ids: Vec<String> = (0..2000).map(|i| format!("row {i}")).collect();
        let counts = |seed, ids: &[String]| {
            let drawn = Drawn::new(seed, ids, 3, &Device::Cpu).unwrap();
            let mut counts = vec![[0usize; 3]; ids.len()];
            let pairs = drawn.pairs.to_vec1::<u32>().unwrap();
            pairs.iter().for_each(|pair| counts[*pair as usize / 3][*pair as usize % 3] += 1);
            assert_eq!(drawn.rows.to_vec1::<u32>().unwrap(), pairs.iter().map(|pair| pair / 3).collect::<Vec<_>>());
            counts
        };
        let all = counts(7, &ids);
        let reversed: Vec<String> = ids.iter().rev().cloned().collect();
        assert_eq!(counts(7, &reversed), all.iter().rev().copied().collect::<Vec<_>>());
        assert_ne!(counts(8, &ids), all);
        for head in 0..3 {
            let of: Vec<usize> = all.iter().map(|counts| counts[head]).collect();
            let mean = of.iter().sum::<usize>() as f64 / 2000.0;
            let left_out = of.iter().filter(|count| **count == 0).count() as f64 / 2000.0;
            assert!((mean - 1.0).abs() < 0.08, "{mean}");
            // About 1/e of the rows are out of the bag.
            assert!((left_out - (-1f64).exp()).abs() < 0.04, "{left_out}");
        }
    }

    #[test]
    fn a_head_learns_as_if_it_were_alone() {
        let said = candle_core::Var::new(&[[[1f64, 2.0]], [[3.0, 5.0]]], &Device::Cpu).unwrap();
        let said = candle_core::Var::from_tensor(&said.repeat((1, 4, 1)).unwrap()).unwrap();
        let ids = ["a".to_string(), "b".to_string()];
        let drawn = Drawn::new(1, &ids, 4, &Device::Cpu).unwrap();
        let targets = Tensor::new(&[0u32, 1], &Device::Cpu).unwrap();
        let sum = |said: &Tensor, _: &Tensor| said.narrow(1, 0, 1)?.mean_all();
        let loss = drawn.loss(&said, &targets, sum).unwrap();
        let want = drawn.loss(&said, &targets, |s, t| sum(&s.detach(), t)).unwrap();
        assert_eq!(loss.to_scalar::<f64>().unwrap(), want.to_scalar::<f64>().unwrap());
        let gradient = loss.backward().unwrap().get(&said).unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap();
        // Four heads, each with a gradient of 1 in sum, whoever drew how much.
        assert!((gradient - 4.0).abs() < 1e-9, "{gradient}");
    }
}

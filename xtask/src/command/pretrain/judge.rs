//! What embeddings know of classes that they were never told. Labels are read here alone.

use crate::fold::Training;
use crate::predict;
use crate::saved::Saved;
use anyhow::{Result, bail};
use candle_core::{D, DType, Device, Tensor, Var};
use data::{Dataset, Part, Subset};
use losses::{CrossEntropy, Loss};
use models::{Network, Pass};
use std::sync::Arc;
use train::optim::{self, Pace};
use train::{Gradients, Param, Params};

/// Neighbours that are asked.
const NEIGHBOURS: usize = 20;
/// Most rows that a probe learns from.
const PROBED: usize = 20_000;
/// Steps of a probe, each over all its rows.
const STEPS: usize = 300;
/// The rate of its first step.
const RATE: f64 = 0.05;

/// Accuracy on the rows that judge the first fold, from embeddings alone.
pub struct Judged {
    /// Of a linear classifier on the frozen embeddings of the training rows.
    pub probe: f64,
    /// Of the nearest training rows.
    pub neighbours: f64,
}

/// Embeddings `[N, E]` and their classes.
struct Known {
    rows: Tensor,
    classes: Vec<u32>,
}

/// Judges what `network` makes of pictures.
pub fn judge(training: &Training<'_>, saved: &Saved, network: &Network) -> Result<Judged> {
    let embed = |rows: Vec<usize>| -> Result<Known> {
        let all = training.prepared.dataset.rows();
        let labelled = |row: &usize| all[*row].part != Part::Test && all[*row].class().is_some();
        let rows: Vec<usize> = rows.into_iter().filter(labelled).collect();
        if rows.len() < 2 {
            bail!(
                "pretrain is judged by rows with a class, of which the first fold has too few to learn from or to judge"
            );
        }
        let subset: Arc<dyn Dataset> = Arc::new(Subset::new(training.pictures.clone(), rows));
        let classes = subset.rows().iter().map(|row| row.class().unwrap_or(u32::MAX)).collect();
        let loader = predict::prepared(saved, subset, training.recipe.train.batch_size, training.device)?;
        let mut all = vec![];
        for batch in loader.epoch(0) {
            let mut pass = Pass::eval();
            let rows = network.embed(&network.features(&batch?.images, &mut pass)?, &mut pass)?;
            all.push(rows.to_dtype(DType::F32)?.to_device(&Device::Cpu)?);
        }
        Ok(Known { rows: Tensor::cat(&all, 0)?, classes })
    };
    let (learn, judge) = training.prepared.split(0);
    let (known, asked) = (embed(learn)?, embed(judge)?);
    let classes = training.prepared.classes().len();
    Ok(Judged { probe: probe(&known, &asked, classes)?, neighbours: neighbours(&known, &asked, classes)? })
}

/// Accuracy of multinomial logistic regression on embeddings with the mean 0 and the standard deviation 1 of `known`.
fn probe(known: &Known, asked: &Known, classes: usize) -> Result<f64> {
    let count = known.classes.len().min(PROBED);
    // Rows may lie there class by class.
    let picked: Vec<u32> = (0..count).map(|i| (i * known.classes.len() / count.max(1)) as u32).collect();
    let labels: Vec<u32> = picked.iter().map(|&row| known.classes[row as usize]).collect();
    let rows = known.rows.index_select(&Tensor::new(picked, &Device::Cpu)?, 0)?;
    let (mean, deviation) = (rows.mean_keepdim(0)?, (rows.var_keepdim(0)?.sqrt()? + 1e-6)?);
    let even = |rows: &Tensor| rows.broadcast_sub(&mean)?.broadcast_div(&deviation);
    let (x, labels) = (even(&rows)?, Tensor::new(labels, &Device::Cpu)?);
    let zeros = |shape: (usize, usize)| Var::zeros(shape, DType::F32, &Device::Cpu);
    let (weight, bias) = (zeros((x.dim(1)?, classes))?, zeros((1, classes))?);
    let logits = |x: &Tensor| x.matmul(&weight)?.broadcast_add(&bias);
    let param =
        |name: &str, var: &Var| Param { name: name.into(), var: var.clone(), lr_scale: 1.0, decay: false, from: 0 };
    let params = Params(vec![param("weight", &weight), param("bias", &bias)]);
    let mut adam = optim::build("adam", serde_json::json!({}))?;
    for step in 0..STEPS {
        let loss = CrossEntropy::default().forward(&logits(&x)?, &labels)?;
        let gradients = Gradients::take(&loss.backward()?, &params)?;
        adam.step(&params, &gradients, Pace::new(RATE * (1.0 - step as f64 / STEPS as f64)))?;
    }
    let said = logits(&even(&asked.rows)?)?.argmax(1)?.to_vec1::<u32>()?;
    Ok(share(said.iter().zip(&asked.classes).filter(|(said, class)| said == class).count(), said.len()))
}

/// Accuracy when the classes of the nearest rows are counted, each by its cosine (Wu et al. 2018).
fn neighbours(known: &Known, asked: &Known, classes: usize) -> Result<f64> {
    let unit = |rows: &Tensor| rows.broadcast_div(&(rows.sqr()?.sum_keepdim(D::Minus1)?.sqrt()? + 1e-12)?);
    let (rows, asking) = (unit(&known.rows)?.t()?, unit(&asked.rows)?);
    let mut right = 0;
    // In pieces: all cosines of a large data set at once need much memory.
    for start in (0..asked.classes.len()).step_by(256) {
        let piece = asking.narrow(0, start, 256.min(asked.classes.len() - start))?;
        for (cosines, class) in piece.matmul(&rows)?.to_vec2::<f32>()?.iter().zip(&asked.classes[start..]) {
            let mut order: Vec<usize> = (0..cosines.len()).collect();
            order.sort_by(|&a, &b| cosines[b].total_cmp(&cosines[a]).then(a.cmp(&b)));
            let mut votes = vec![0.0; classes];
            for &i in order.iter().take(NEIGHBOURS) {
                votes[known.classes[i] as usize] += (f64::from(cosines[i]) / 0.1).exp();
            }
            let best = (0..classes).fold(0, |best, k| if votes[k] > votes[best] { k } else { best });
            right += usize::from(best == *class as usize);
        }
    }
    Ok(share(right, asked.classes.len()))
}

fn share(right: usize, count: usize) -> f64 {
    right as f64 / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows from `first` on; only the second number tells their classes apart, beside one that is `far` times as large.
    fn known(first: usize, count: usize, far: f32) -> Known {
        let at = |i: usize| {
            let (size, side) = (1.0 + (i % 5) as f32, if i.is_multiple_of(2) { 1.0 } else { -1.0 });
            [far * ((i * i % 101) as f32 / 50.0 - 1.0), 0.1 * side * size, 0.02 * size]
        };
        let values: Vec<f32> = (first..first + count).flat_map(at).collect();
        let classes = (first as u32..(first + count) as u32).map(|i| i % 2).collect();
        Known { rows: Tensor::from_vec(values, (count, 3), &Device::Cpu).unwrap(), classes }
    }

    #[test]
    fn a_probe_finds_what_is_hidden_from_neighbours() {
        let judged = |far| {
            let (learn, asked) = (known(0, 200, far), known(200, 60, far));
            (probe(&learn, &asked, 2).unwrap(), neighbours(&learn, &asked, 2).unwrap())
        };
        assert_eq!(judged(0.0), (1.0, 1.0));
        let (probe, neighbours) = judged(1e4);
        assert!(probe == 1.0 && neighbours < 1.0, "{probe} {neighbours}");
    }
}

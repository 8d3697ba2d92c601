//! What a step minimizes: the loss of the logits, and what a recipe adds to it.

use crate::recipe::Spec;
use candle_core::{DType, Result, Tensor};
use losses::{Loss, Similarity};

/// All of `[loss]`, for a number of classes.
pub struct Criterion {
    /// The loss of the logits by name, every parameter written out.
    pub spec: Spec,
    /// The same, built.
    pub loss: Box<dyn Loss>,
    /// Copies of each picture that it compares; 1: none.
    pub copies: usize,
    /// Whether it listens to a teacher's logits.
    pub distills: bool,
    /// Losses of embeddings: name, weight, loss.
    pub embedding: Vec<(String, f64, Box<dyn Loss>)>,
    /// Weight of the similarity to a teacher's embeddings.
    pub similarity: f64,
    /// Weight of the loss of each auxiliary head.
    pub auxiliary: f64,
}

/// What a network says of a batch.
pub struct Said {
    /// `[B, K]`, or what the head says.
    pub logits: Tensor,
    /// `[B, E]`.
    pub embedding: Tensor,
    /// As `logits`, of auxiliary heads.
    pub auxiliary: Vec<Tensor>,
}

impl Criterion {
    /// Whether it compares embeddings.
    pub fn embeds(&self) -> bool {
        !self.embedding.is_empty() || self.similarity > 0.0
    }

    /// The loss of logits alone.
    pub fn of_logits(&self, logits: &Tensor, targets: &Tensor, teacher: Option<&Said>) -> Result<Tensor> {
        if self.copies > 1 {
            return self.loss.forward(&by_copy(logits, self.copies)?, &firsts(targets, self.copies)?);
        }
        match teacher.filter(|_| self.distills) {
            None => self.loss.forward(logits, targets),
            Some(teacher) => {
                let rows = losses::rows(targets, logits.dim(1)?, DType::F32)?;
                self.loss.forward(logits, &Tensor::cat(&[&rows, &teacher.logits.to_dtype(DType::F32)?], 1)?)
            }
        }
    }

    /// All terms by name, weighted; their sum is what a step minimizes.
    pub fn terms(&self, said: &Said, targets: &Tensor, teacher: Option<&Said>) -> Result<Vec<(String, Tensor)>> {
        let mut terms = vec![(self.spec.name.clone(), self.of_logits(&said.logits, targets, teacher)?)];
        for (name, weight, loss) in &self.embedding {
            terms.push((name.clone(), (loss.forward(&said.embedding, targets)? * *weight)?));
        }
        if let Some(teacher) = teacher.filter(|_| self.similarity > 0.0) {
            let apart = Similarity {}.forward(&said.embedding, &teacher.embedding)?;
            terms.push(("similarity".into(), (apart * self.similarity)?));
        }
        for said in &said.auxiliary {
            terms.push(("auxiliary".into(), (self.of_logits(said, targets, teacher)? * self.auxiliary)?));
        }
        Ok(terms)
    }
}

/// Rows of `[B·R, K]` in the order of copies: all first ones, then all second ones.
fn by_copy(rows: &Tensor, copies: usize) -> Result<Tensor> {
    let (count, width) = rows.dims2()?;
    rows.reshape((count / copies, copies, width))?.transpose(0, 1)?.reshape((count, width))
}

/// The targets of the first copies.
fn firsts(targets: &Tensor, copies: usize) -> Result<Tensor> {
    let ids: Vec<u32> = (0..targets.dim(0)?).step_by(copies).map(|i| i as u32).collect();
    targets.index_select(&Tensor::new(ids, targets.device())?, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn copies_are_sorted_and_counted_once() {
        let rows = Tensor::new(&[[0f32], [1.], [2.], [10.], [11.], [12.]], &Device::Cpu).unwrap();
        let sorted = by_copy(&rows, 3).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(sorted, [0., 10., 1., 11., 2., 12.]);
        let targets = Tensor::new(&[7u32, 7, 7, 4, 4, 4], &Device::Cpu).unwrap();
        assert_eq!(firsts(&targets, 3).unwrap().to_vec1::<u32>().unwrap(), [7, 4]);
    }

    #[test]
    fn terms_are_weighted_and_listen_to_the_teacher() {
        let spec = Spec::new("distillation");
        let loss = losses::build(&spec.name, serde_json::json!({"temperature": 2.0, "alpha": 0.5})).unwrap();
        let triplet = || losses::build("triplet", serde_json::json!({})).unwrap();
        let criterion = Criterion {
            spec,
            loss,
            copies: 1,
            distills: true,
            embedding: vec![("triplet".into(), 0.25, triplet())],
            similarity: 2.0,
            auxiliary: 0.4,
        };
        let of = |shift: f32| {
            let logits = Tensor::new(&[[shift, 1.], [0.5, -1.], [2., 0.3]], &Device::Cpu).unwrap();
            let embedding = Tensor::new(&[[1f32, shift], [0.2, -1.], [2., 0.3]], &Device::Cpu).unwrap();
            Said { logits, embedding, auxiliary: vec![] }
        };
        let (said, teacher) = (Said { auxiliary: vec![of(0.7).logits], ..of(0.2) }, of(-3.0));
        let targets = Tensor::new(&[1u32, 0, 0], &Device::Cpu).unwrap();
        let terms = criterion.terms(&said, &targets, Some(&teacher)).unwrap();
        let value = |name: &str| {
            let term = terms.iter().find(|(term, _)| term == name).unwrap();
            term.1.to_scalar::<f32>().unwrap()
        };
        let close = |a: f32, b: &Tensor, by: f64| {
            assert!((f64::from(a) - by * f64::from(b.to_scalar::<f32>().unwrap())).abs() < 1e-6)
        };
        let kd = losses::Distillation { temperature: 2.0, alpha: 0.5 };
        let own = |logits: &Tensor| kd.loss(logits, &teacher.logits, &targets).unwrap().mean_all().unwrap();
        close(value("distillation"), &own(&said.logits), 1.0);
        close(value("auxiliary"), &own(&said.auxiliary[0]), 0.4);
        close(value("triplet"), &triplet().forward(&said.embedding, &targets).unwrap(), 0.25);
        close(value("similarity"), &Similarity {}.forward(&said.embedding, &teacher.embedding).unwrap(), 2.0);
        assert_eq!(terms.len(), 4);
        assert!(criterion.terms(&of(0.2), &targets, None).is_err());
    }
}

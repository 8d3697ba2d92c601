//! Model soups (Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves accuracy without
//! increasing inference time", 2022).

use crate::error::{BoxError, Error, Result};
use candle_core::Tensor;
use std::collections::BTreeMap;

type Weights = BTreeMap<String, Tensor>;

/// What was made of several weights.
#[derive(Clone, Debug)]
pub struct Soup {
    /// The average.
    pub weights: Weights,
    /// Indices of what is in it, in the order in which it was added.
    pub ingredients: Vec<usize>,
    /// Its score.
    pub score: f64,
}

/// The equal average.
///
/// # Errors
/// [`Error::Invalid`] for none at all, and for weights that differ in names or shapes.
pub fn mean(weights: &[&Weights]) -> Result<Weights> {
    let [first, others @ ..] = weights else { return Err(Error::Invalid("an average needs weights".into())) };
    let average = |(name, tensor): (&String, &Tensor)| -> Result<(String, Tensor)> {
        let mut sum = tensor.clone();
        for other in others {
            let same = other.get(name).filter(|t| t.dims() == tensor.dims());
            let Some(t) = same else {
                return Err(Error::Invalid(format!("'{name}' differs between weights to average")));
            };
            sum = (sum + t)?;
        }
        Ok((name.clone(), (sum / weights.len() as f64)?))
    };
    if let Some(other) = others.iter().find(|other| other.len() != first.len()) {
        return Err(Error::Invalid(format!("weights to average have {} and {} tensors", first.len(), other.len())));
    }
    first.iter().map(average).collect()
}

/// The greedy soup: from the best on, each of `candidates` is added unless the average gets worse by it. `score` says how good
/// weights are on held-out data, higher is better; it is asked once for every candidate and once for every average.
///
/// # Errors
/// As [`mean`], and whatever `score` has to say.
pub fn greedy_soup<E: Into<BoxError>>(
    candidates: &[Weights],
    mut score: impl FnMut(&Weights) -> Result<f64, E>,
) -> Result<Soup> {
    let mut ask = |weights: &Weights| score(weights).map_err(|error| Error::Validation(error.into()));
    let mut order = candidates.iter().enumerate().map(|(i, c)| Ok((i, ask(c)?))).collect::<Result<Vec<_>>>()?;
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let Some(&(first, best)) = order.first() else { return Err(Error::Invalid("a soup needs weights".into())) };
    let mut soup = Soup { weights: candidates[first].clone(), ingredients: vec![first], score: best };
    for &(i, _) in &order[1..] {
        let with: Vec<&Weights> = soup.ingredients.iter().chain([&i]).map(|&i| &candidates[i]).collect();
        let weights = mean(&with)?;
        let score = ask(&weights)?;
        if score >= soup.score {
            soup.ingredients.push(i);
            (soup.weights, soup.score) = (weights, score);
        }
    }
    Ok(soup)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn weights(value: f64) -> Weights {
        [("w".to_string(), Tensor::new(&[value], &Device::Cpu).unwrap())].into()
    }

    fn read(weights: &Weights) -> f64 {
        weights["w"].to_vec1::<f64>().unwrap()[0]
    }

    /// The goal is 2: of 2.9, 0, 1.5 and 9 the average of 1.5 and 2.9 is best; 0 and 9 only hurt.
    #[test]
    fn a_soup_takes_what_makes_it_better() {
        let all = [2.9, 0.0, 1.5, 9.0].map(weights);
        let soup = greedy_soup(&all, |w| Ok::<_, Error>(-(read(w) - 2.0).abs())).unwrap();
        assert_eq!(soup.ingredients, [2, 0]);
        assert!((read(&soup.weights) - 2.2).abs() < 1e-12 && (soup.score + 0.2).abs() < 1e-12);
        assert!((read(&mean(&all.iter().collect::<Vec<_>>()).unwrap()) - 3.35).abs() < 1e-12);
    }

    #[test]
    fn weights_of_different_networks_are_refused() {
        let other: Weights = [("v".to_string(), Tensor::new(&[1.0], &Device::Cpu).unwrap())].into();
        assert!(mean(&[&weights(1.0), &other]).unwrap_err().to_string().contains("'w' differs"));
        assert!(mean(&[]).is_err());
        let none: [Weights; 0] = [];
        assert!(greedy_soup(&none, |_| Ok::<_, Error>(0.0)).is_err());
    }
}

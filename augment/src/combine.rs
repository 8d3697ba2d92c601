//! Transforms of transforms.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Transforms one after the other, all from one random stream.
#[derive(Debug, Default, Deserialize)]
pub struct Pipeline(pub Vec<Box<dyn Transform>>);

// The combinators are generic so that the same definition also reads and writes resolved parameters.

/// Another transform with probability `p`, else nothing.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maybe<T = Box<dyn Transform>> {
    /// Probability, 0..=1; default 0.5.
    #[serde(default = "half")]
    pub p: f64,
    /// What may happen.
    pub of: T,
}

/// One of several transforms.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneOf<T = Box<dyn Transform>> {
    /// How likely each is beside the others, ≥ 0 and not all 0; all alike by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<f64>,
    /// The choices, at least one.
    pub of: Vec<T>,
}

/// `n` different ones of several transforms, all subsets equally likely.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SomeOf<T = Box<dyn Transform>> {
    /// How many, 0..=length of `of`; default 1. All of them in random order: as many as there are, and `shuffle`.
    #[serde(default = "one")]
    pub n: usize,
    /// Apply them in random order, not as they are listed; default false.
    #[serde(default)]
    pub shuffle: bool,
    /// The choices.
    pub of: Vec<T>,
}

fn half() -> f64 {
    0.5
}

fn one() -> usize {
    1
}

impl Transform for Pipeline {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        self.0.iter().fold(image, |image, transform| transform.apply(image, draw))
    }
    fn validate(&self) -> Result<()> {
        self.0.iter().try_for_each(|transform| transform.validate())
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        self.0.iter().try_for_each(|transform| transform.check_channels(channels))
    }
    fn is_random(&self) -> bool {
        self.0.iter().any(|transform| transform.is_random())
    }
}

impl<T: Transform> Transform for Maybe<T> {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        if draw.chance("happens", self.p) { self.of.apply(image, draw) } else { image }
    }
    fn validate(&self) -> Result<()> {
        check::probability("transform 'maybe'", self.p)?;
        self.of.validate()
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        self.of.check_channels(channels)
    }
}

impl<T: Transform> Transform for OneOf<T> {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        let choice = match &self.weights[..] {
            [] => draw.below("choice", self.of.len()),
            weights => {
                let mut left = draw.uniform("choice", [0.0, weights.iter().sum()]);
                let beyond = |weight: &&f64| {
                    left -= **weight;
                    left >= 0.0
                };
                weights.iter().take_while(beyond).count()
            }
        };
        // Rounding may lead beyond the last one.
        match self.of.get(choice.min(self.of.len().saturating_sub(1))) {
            Some(transform) => transform.apply(image, draw),
            None => image,
        }
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'one_of'";
        check::that(!self.of.is_empty(), technique, || "of needs at least one transform".into())?;
        let (weights, count) = (&self.weights, self.of.len());
        check::that(weights.is_empty() || weights.len() == count, technique, || {
            format!("weights must be as many as the {count} transforms of `of`, got {}", weights.len())
        })?;
        let sound = weights.iter().all(|weight| (0.0..=1e9).contains(weight)) && weights.iter().sum::<f64>() > 0.0;
        check::that(weights.is_empty() || sound, technique, || {
            format!("weights must be at least 0 and not all 0, got {weights:?}")
        })?;
        self.of.iter().try_for_each(|transform| transform.validate())
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        self.of.iter().try_for_each(|transform| transform.check_channels(channels))
    }
}

impl<T: Transform> Transform for SomeOf<T> {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        let mut chosen = draw.order("choice", self.of.len());
        chosen.truncate(self.n);
        if !self.shuffle {
            chosen.sort_unstable();
        }
        chosen.iter().fold(image, |image, i| self.of[*i as usize].apply(image, draw))
    }
    fn validate(&self) -> Result<()> {
        check::that(self.n <= self.of.len(), "transform 'some_of'", || {
            format!("n must be at most the {} transforms of `of`, got {}", self.of.len(), self.n)
        })?;
        self.of.iter().try_for_each(|transform| transform.validate())
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        self.of.iter().try_for_each(|transform| transform.check_channels(channels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// Adds a power of two to the only pixel.
    #[derive(Debug)]
    struct Mark(u8);

    impl Transform for Mark {
        fn apply(&self, mut image: Image, _: &mut Draw) -> Image {
            image.pixels_mut()[0] += self.0;
            image
        }
    }

    fn marks(n: u32) -> Vec<Box<dyn Transform>> {
        (0..n).map(|i| Box::new(Mark(1 << i)) as Box<dyn Transform>).collect()
    }

    /// Doubles the only pixel.
    #[derive(Debug)]
    struct Double;

    impl Transform for Double {
        fn apply(&self, mut image: Image, _: &mut Draw) -> Image {
            image.pixels_mut()[0] *= 2;
            image
        }
    }

    fn counts(transform: &dyn Transform) -> [usize; 256] {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut counts = [0; 256];
        for _ in 0..6000 {
            counts[usize::from(transform.apply(Image::filled(1, 1, &[0]), &mut Draw::new(&mut rng)).pixels()[0])] += 1;
        }
        counts
    }

    #[test]
    fn choices_are_equally_likely() {
        let one_of = counts(&OneOf { weights: vec![], of: marks(3) });
        assert!([1, 2, 4].iter().all(|i| one_of[*i].abs_diff(2000) < 200), "{one_of:?}");
        let some_of = counts(&SomeOf { n: 2, shuffle: false, of: marks(3) });
        assert!([3, 5, 6].iter().all(|i| some_of[*i].abs_diff(2000) < 200), "{some_of:?}");
        let weighted = counts(&OneOf { weights: vec![1.0, 0.0, 2.0], of: marks(3) });
        assert!(
            weighted[1].abs_diff(2000) < 200 && weighted[2] == 0 && weighted[4].abs_diff(4000) < 200,
            "{weighted:?}"
        );
        // Marked before doubled, or after.
        let of = || marks(1).into_iter().chain([Box::new(Double) as Box<dyn Transform>]).collect();
        let listed = counts(&SomeOf { n: 2, shuffle: false, of: of() });
        let shuffled = counts(&SomeOf { n: 2, shuffle: true, of: of() });
        assert!(listed[2] == 6000 && shuffled[1].abs_diff(3000) < 200 && shuffled[1] + shuffled[2] == 6000);
        let maybe = counts(&Maybe { p: 0.25, of: Box::new(Pipeline(marks(3))) });
        assert!(maybe[7].abs_diff(1500) < 150 && maybe[0] + maybe[7] == 6000, "{maybe:?}");
    }
}

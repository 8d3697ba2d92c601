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

/// One of several transforms, all equally likely.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneOf<T = Box<dyn Transform>> {
    /// The choices, at least one.
    pub of: Vec<T>,
}

/// `n` different ones of several transforms, all subsets equally likely, in the order in which they are listed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SomeOf<T = Box<dyn Transform>> {
    /// How many, 0..=length of `of`; default 1.
    #[serde(default = "one")]
    pub n: usize,
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
        match self.of.get(draw.below("choice", self.of.len())) {
            Some(transform) => transform.apply(image, draw),
            None => image,
        }
    }
    fn validate(&self) -> Result<()> {
        check::that(!self.of.is_empty(), "transform 'one_of'", || "of needs at least one transform".into())?;
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
        chosen.sort_unstable();
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
        let one_of = counts(&OneOf { of: marks(3) });
        assert!([1, 2, 4].iter().all(|i| one_of[*i].abs_diff(2000) < 200), "{one_of:?}");
        let some_of = counts(&SomeOf { n: 2, of: marks(3) });
        assert!([3, 5, 6].iter().all(|i| some_of[*i].abs_diff(2000) < 200), "{some_of:?}");
        let maybe = counts(&Maybe { p: 0.25, of: Box::new(Pipeline(marks(3))) });
        assert!(maybe[7].abs_diff(1500) < 150 && maybe[0] + maybe[7] == 6000, "{maybe:?}");
    }
}

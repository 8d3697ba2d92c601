//! The random numbers of one picture: where they come from, and which they were.

use data::{Image, Stream};
use rand::{Rng, RngCore, seq::SliceRandom};
use rand_distr::{Beta, Distribution, StandardNormal};
use serde::Serialize;
use serde_json::Value;

/// What a transform draws its random numbers from.
///
/// None of the draws can fail, whatever the parameters. Each has the name of what it decides, so that a
/// [`recording`](Draw::recording) one can tell afterwards what happened to the picture.
pub struct Draw<'a> {
    rng: &'a mut dyn RngCore,
    epoch: usize,
    sample: u64,
    record: Option<Record>,
}

/// What happened to a picture, in order.
#[derive(Debug, Default)]
struct Record {
    steps: Vec<Step>,
    /// Steps that are not over yet, by their numbers.
    open: Vec<usize>,
}

/// A transform that was applied.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Its name in the table.
    pub name: &'static str,
    /// Of how many other transforms it is a part.
    pub depth: usize,
    /// What was drawn, in order.
    pub drawn: Vec<(&'static str, Value)>,
    /// The picture after it; none for what changes whole batches.
    #[serde(skip)]
    pub image: Option<Image>,
}

impl<'a> Draw<'a> {
    /// From a random stream, as in epoch 0.
    pub fn new(rng: &'a mut dyn RngCore) -> Self {
        Self { rng, epoch: 0, sample: 0, record: None }
    }

    /// From the stream of a sample in an epoch.
    pub fn of(stream: &'a mut Stream) -> Self {
        let (epoch, sample) = (stream.epoch(), stream.of_sample());
        Self { rng: stream, epoch, sample, record: None }
    }

    /// Remembers from now on what is drawn and how the picture looks after each transform.
    #[must_use]
    pub fn recording(self) -> Self {
        Self { record: Some(Record::default()), ..self }
    }

    /// What was recorded, in the order in which the transforms began.
    pub fn into_steps(self) -> Vec<Step> {
        self.record.unwrap_or_default().steps
    }

    /// The epoch, from 0 on.
    pub fn epoch(&self) -> usize {
        self.epoch
    }

    /// A fair coin that falls alike for a sample in all epochs: the one of number `which` of 64.
    pub fn coin_of_sample(&mut self, which: u32) -> bool {
        self.note("coin", self.sample.rotate_left(1 + which) & 1 == 1)
    }

    /// Notes what was decided without a draw of its own kind; gives it back.
    pub fn note<T: Clone + Into<Value>>(&mut self, name: &'static str, value: T) -> T {
        if let Some(record) = &mut self.record
            && let Some(step) = record.open.last()
        {
            record.steps[*step].drawn.push((name, value.clone().into()));
        }
        value
    }

    /// True with probability `p`. Always one number, so that what follows does not depend on `p`.
    pub fn chance(&mut self, name: &'static str, p: f64) -> bool {
        let happens = self.rng.random::<f64>() < p;
        self.note(name, happens)
    }

    /// Uniform between two numbers.
    pub fn uniform(&mut self, name: &'static str, [low, high]: [f64; 2]) -> f64 {
        let value = low + (high - low) * self.rng.random::<f64>();
        self.note(name, value)
    }

    /// Uniform in `0..n`; 0 when there is nothing to choose.
    pub fn below(&mut self, name: &'static str, n: usize) -> usize {
        let value = self.rng.random_range(0..n.max(1));
        self.note(name, value)
    }

    /// Uniform among the whole numbers `low..=high`; `low` when they are in the wrong order.
    pub fn whole(&mut self, name: &'static str, [low, high]: [i64; 2]) -> i64 {
        let value = self.rng.random_range(low..=high.max(low));
        self.note(name, value)
    }

    /// From the normal distribution.
    pub fn normal(&mut self, name: &'static str, mean: f64, deviation: f64) -> f64 {
        let value: f64 = StandardNormal.sample(&mut *self.rng);
        self.note(name, mean + deviation * value)
    }

    /// From Beta(α, β), in 0..=1.
    pub fn beta(&mut self, name: &'static str, [alpha, beta]: [f64; 2]) -> f64 {
        let value = Beta::new(alpha, beta).map_or(1.0, |beta| beta.sample(&mut *self.rng));
        // The smallest α divide 0 by 0; their draws are 0 or 1.
        self.note(name, if value.is_nan() { 1.0 } else { value })
    }

    /// The numbers `0..n` in random order.
    pub fn order(&mut self, name: &'static str, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n as u32).collect();
        order.shuffle(&mut *self.rng);
        self.note(name, order)
    }

    /// A seed for what needs more random numbers than one would write down.
    pub fn seed(&mut self, name: &'static str) -> u64 {
        let seed = self.rng.next_u64();
        self.note(name, seed)
    }

    /// Fills `bytes` with uniform ones, which are not recorded.
    pub fn bytes(&mut self, bytes: &mut [u8]) {
        self.rng.fill_bytes(bytes);
    }

    /// Two sides `[a, b]` whose product is a uniform share of `area` and whose quotient `a/b` is uniform in its logarithm.
    pub(crate) fn sides(&mut self, area: f64, scale: [f64; 2], ratio: [f64; 2]) -> [usize; 2] {
        let area = area * self.uniform("scale", scale);
        let ratio = self.uniform("log_ratio", ratio.map(f64::ln)).exp();
        [area * ratio, area / ratio].map(|square| square.sqrt().round_ties_even() as usize)
    }

    /// Applies a transform, or a part of one, as a step of its own: what it draws is recorded there, and the picture after it.
    ///
    /// Those of the table do so themselves; a transform that is built by hand does when it is applied within this.
    ///
    /// ```
    /// use rand::SeedableRng;
    /// use sconce_augment::{Draw, Image, Transform, geometry::Rotate};
    /// let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    /// let mut draw = Draw::new(&mut rng).recording();
    /// draw.step("rotate", Image::filled(4, 4, &[9]), |image, draw| Rotate::default().apply(image, draw));
    /// assert_eq!(draw.into_steps()[0].drawn[0].0, "degrees");
    /// ```
    pub fn step(&mut self, name: &'static str, image: Image, apply: impl FnOnce(Image, &mut Self) -> Image) -> Image {
        let number = self.open(name);
        let image = apply(image, self);
        self.close(number, Some(&image));
        image
    }

    /// As [`step`](Draw::step), for what changes no single picture, as batch transforms.
    pub fn record<T>(&mut self, name: &'static str, apply: impl FnOnce(&mut Self) -> T) -> T {
        let number = self.open(name);
        let made = apply(self);
        self.close(number, None);
        made
    }

    fn open(&mut self, name: &'static str) -> usize {
        let Some(record) = &mut self.record else { return 0 };
        let number = record.steps.len();
        record.steps.push(Step { name, depth: record.open.len(), drawn: vec![], image: None });
        record.open.push(number);
        number
    }

    fn close(&mut self, number: usize, image: Option<&Image>) {
        if let Some(record) = &mut self.record {
            record.open.pop();
            record.steps[number].image = image.cloned();
        }
    }
}

impl RngCore for Draw<'_> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn moments(mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let draws: Vec<f64> = (0..20_000).map(|_| draw()).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        (mean, draws.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / draws.len() as f64)
    }

    #[test]
    fn draws_have_the_moments_of_their_distributions() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut draw = Draw::new(&mut rng);
        for alpha in [0.2, 1.0, 4.0] {
            let (mean, variance) = moments(|| draw.beta("", [alpha; 2]));
            let exact = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            assert!((mean - 0.5).abs() < 0.01 && (variance - exact).abs() < 0.003, "{alpha}: {mean} {variance}");
        }
        for alpha in [1e-300, 1e-9, 1e9, f64::NAN, -1.0] {
            assert!((0..100).all(|_| (0.0..=1.0).contains(&draw.beta("", [alpha; 2]))), "{alpha}");
        }
        let (mean, variance) = moments(|| draw.normal("", 3.0, 2.0));
        assert!((mean - 3.0).abs() < 0.05 && (variance - 4.0).abs() < 0.15, "{mean} {variance}");
        let (mean, variance) = moments(|| draw.whole("", [-2, 2]) as f64);
        assert!(mean.abs() < 0.04 && (variance - 2.0).abs() < 0.05, "{mean} {variance}");
        assert_eq!((draw.whole("", [5, 2]), draw.below("", 0)), (5, 0));
    }

    #[test]
    fn steps_are_recorded_with_what_they_drew() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut draw = Draw::new(&mut rng).recording();
        let picture = Image::filled(1, 1, &[1]);
        let seen = draw.step("outer", picture.clone(), |image, draw| {
            draw.note("before", 1);
            let image = draw.step("inner", image, |_, draw| Image::filled(1, 1, &[draw.note("value", 7)]));
            draw.note("after", "text");
            image
        });
        assert_eq!(seen.pixels(), [7]);
        let steps = draw.into_steps();
        let said: Vec<(&str, usize, usize)> = steps.iter().map(|s| (s.name, s.depth, s.drawn.len())).collect();
        assert_eq!(said, [("outer", 0, 2), ("inner", 1, 1)]);
        assert!(steps.iter().all(|step| step.image.as_ref() == Some(&seen)));
        assert_eq!(steps[0].drawn[1], ("after", Value::from("text")));
    }

    /// How often each of `n` things happened, against as often as it should; none is further off than five deviations.
    fn even(counts: &[usize]) -> bool {
        let mean = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
        counts.iter().all(|count| (*count as f64 - mean).abs() < 5.0 * mean.sqrt())
    }

    #[test]
    fn uniform_draws_are_even_and_within_their_bounds() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut draw = Draw::new(&mut rng);
        let mut tenths = [0; 10];
        for _ in 0..20_000 {
            let value = draw.uniform("", [-2.0, 3.0]);
            assert!((-2.0..3.0).contains(&value));
            tenths[((value + 2.0) * 2.0) as usize] += 1;
        }
        assert!(even(&tenths), "{tenths:?}");
        assert_eq!(draw.uniform("", [4.0, 4.0]), 4.0);
        let (mut sevenths, mut ends) = ([0; 7], [0; 4]);
        for _ in 0..14_000 {
            sevenths[draw.below("", 7)] += 1;
            ends[(draw.whole("", [-1, 2]) + 1) as usize] += 1;
        }
        assert!(even(&sevenths) && even(&ends), "{sevenths:?} {ends:?}");
        assert_eq!([draw.below("", 1), draw.below("", 0)], [0, 0]);
    }

    #[test]
    fn chances_have_their_probability_and_always_take_one_number() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut draw = Draw::new(&mut rng);
        for p in [0.1, 0.5, 0.9] {
            let hits = (0..10_000).filter(|_| draw.chance("", p)).count() as f64;
            assert!((hits - 10_000.0 * p).abs() < 5.0 * (10_000.0 * p * (1.0 - p)).sqrt(), "{p}: {hits}");
        }
        assert!((0..1000).all(|_| draw.chance("", 1.0) && !draw.chance("", 0.0)));
        let next = |p| {
            let mut rng = ChaCha8Rng::seed_from_u64(3);
            let mut draw = Draw::new(&mut rng);
            draw.chance("", p);
            draw.seed("")
        };
        assert!([0.0, 0.3, 1.0].iter().all(|p| next(*p) == next(0.5)));
    }

    #[test]
    fn all_orders_are_as_likely() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut draw = Draw::new(&mut rng);
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..12_000 {
            *counts.entry(draw.order("", 4)).or_insert(0) += 1;
        }
        let counts: Vec<usize> = counts.into_values().collect();
        assert!(counts.len() == 24 && even(&counts), "{counts:?}");
        assert_eq!((draw.order("", 0), draw.order("", 1)), (vec![], vec![0]));
    }
}

//! The learning-rate range test: one short run with rates from far too low to far too high.

use crate::checkpoint::Record;
use crate::error::{Check, Result};
use crate::schedule::Schedule;
use crate::task::Progress;

/// Learning rates that grow exponentially with the steps: `lr_i = from·(to/from)^(i/(steps − 1))`, for a base rate of 1
/// (Smith, "Cyclical learning rates for training neural networks", 2017). Weights are useless afterwards: test copies of
/// them, or load them again.
///
/// | field | default | range |
/// |---|---|---|
/// | `from` | 1e-7 | > 0 |
/// | `to` | 10 | more than `from` |
/// | `steps` | 100 | ≥ 2; later steps stay at `to` |
#[derive(Clone, Debug, PartialEq)]
pub struct RangeTest {
    /// First rate.
    pub from: f64,
    /// Last rate.
    pub to: f64,
    /// Steps from one to the other.
    pub steps: usize,
}

impl Default for RangeTest {
    fn default() -> Self {
        Self { from: 1e-7, to: 10.0, steps: 100 }
    }
}

impl Schedule for RangeTest {
    fn factor(&self, at: Progress, _: &[Record]) -> f64 {
        let t = at.step as f64 / self.steps.saturating_sub(1).max(1) as f64;
        self.from * (self.to / self.from).powf(t.min(1.0))
    }
    fn validate(&self) -> Result<()> {
        let check = Check::schedule("range_test");
        check.positive("from", self.from)?;
        check.positive("to", self.to)?;
        check.that(self.from < self.to, || format!("to must be more than from = {}, got {}", self.from, self.to))?;
        check.that(self.steps >= 2, || format!("steps must be at least 2, got {}", self.steps))
    }
}

/// How much of the smoothed loss is kept at each step, as fastai.
const BETA: f64 = 0.98;

/// A smoothed loss of so many times the least one ends the test, as fastai.
const TOO_MUCH: f64 = 4.0;

/// Points at the beginning that are noise, as fastai for 100 steps.
const FIRST: usize = 10;

/// Points at the end that say nothing any more, as fastai.
const LAST: usize = 5;

/// Losses over learning rates, as a hook sees them.
/// Should a loss be no number, training ends with an error before its hooks hear of it; the curve has what was before.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use sconce_train::{BoxError, Curve, Error, Event, Flow, Params, RangeTest, Scores, TrainConfig, Trainer, optim, supervised};
/// let vars = candle_nn::VarMap::new();
/// let line = candle_nn::linear(1, 1, candle_nn::VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu))?;
/// let x = Tensor::new(&[[0f32], [1.], [2.]], &Device::Cpu)?;
/// let xy = (x.clone(), ((x * 3.)? + 1.)?);
/// let forward = |(x, _): &(Tensor, Tensor), _| candle_nn::Module::forward(&line, x);
/// let task = supervised(forward, |y: &Tensor, (_, t): &(Tensor, Tensor)| (y - t)?.sqr()?.mean_all());
/// let (test, mut curve) = (RangeTest::default(), Curve::default());
/// let config = TrainConfig { epochs: test.steps, lr: 1.0, log_every: 1, ..Default::default() };
/// let sgd = optim::build("sgd", serde_json::json!({}))?;
/// Trainer::new(config, &vars, Params::new(&vars, |_| Some(1.)), sgd, Box::new(test))?
///     .with_hook(|event: &Event<'_>| -> Result<Flow, BoxError> {
///         Ok(match event {
///             Event::Step { loss: Some(loss), lr, .. } if curve.push(*lr, *loss) => Flow::Stop,
///             _ => Flow::Continue,
///         })
///     })
///     .fit(&task, 1, |_, _| [Ok::<_, Error>(xy.clone())], |_| Ok::<_, Error>(None::<Scores>))?;
/// let lr = curve.suggest().map(|rates| rates.valley);
/// assert!(lr.is_some_and(|lr| (1e-4..1.0).contains(&lr)), "{lr:?}");
/// # Ok::<(), sconce_train::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Curve {
    /// Learning rate and smoothed loss of each step: the running average with β = 0.98, over `1 − βⁿ`.
    pub points: Vec<(f64, f64)>,
    average: f64,
    least: Option<f64>,
}

/// What a curve says about good learning rates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suggestions {
    /// Half of the middle third into the longest valley; the one to use.
    pub valley: f64,
    /// Where the loss falls fastest over the logarithm of the rate.
    pub steep: f64,
    /// A tenth of the rate with the least loss.
    pub minimum: f64,
}

impl Curve {
    /// Takes a step's rate and loss; says whether the test should end: the smoothed loss is more than 4 times the least one
    /// so far, or no number.
    pub fn push(&mut self, lr: f64, loss: f64) -> bool {
        self.average = BETA * self.average + (1.0 - BETA) * loss;
        let smooth = self.average / (1.0 - BETA.powf((self.points.len() + 1) as f64));
        self.points.push((lr, smooth));
        let least = self.least.map_or(smooth, |least| least.min(smooth));
        self.least = Some(least);
        !smooth.is_finite() || smooth > TOO_MUCH * least
    }

    /// Suggestions as fastai's `lr_find` makes them for 100 steps: without the first 10 and the last 5 points, and only as far
    /// as losses are numbers. `None` when fewer than 3 points are left.
    pub fn suggest(&self) -> Option<Suggestions> {
        let end = self.points.len().saturating_sub(LAST);
        let points = self.points.get(FIRST..end)?;
        let numbers = points.iter().take_while(|(_, loss)| !loss.is_nan()).count();
        let points = &points[..numbers];
        if numbers < 3 {
            return None;
        }
        let least = first_least(points.iter().map(|(_, loss)| *loss));
        let slope = |pair: &[(f64, f64)]| (pair[1].1 - pair[0].1) / (pair[1].0.ln() - pair[0].0.ln());
        let steep = first_least(points.windows(2).map(slope));
        Some(Suggestions { valley: points[valley(points)].0, steep: points[steep].0, minimum: points[least].0 / 10.0 })
    }
}

/// Index of the least value, the first of equal ones.
fn first_least(values: impl Iterator<Item = f64>) -> usize {
    let best = values.enumerate().reduce(|best, next| if next.1 < best.1 { next } else { best });
    best.map_or(0, |(i, _)| i)
}

/// The longest falling subsequence: its last point, and as many points before as it is long, are the valley; a third of its
/// length and half a third more from its beginning is the place.
fn valley(points: &[(f64, f64)]) -> usize {
    let (mut lengths, mut end) = (vec![1usize; points.len()], 0);
    for i in 1..points.len() {
        let falling = (0..i).filter(|j| points[i].1 < points[*j].1).map(|j| lengths[j] + 1).max();
        lengths[i] = falling.unwrap_or(1);
        if lengths[end] < lengths[i] {
            end = i;
        }
    }
    // Where nothing falls the valley is at the beginning and has no length. Its beginning may be one before the first point,
    // where fastai would take the last one.
    let length = if end == 0 { 0 } else { lengths[end] };
    let third = length as f64 / 3.0;
    (end + third as usize + (third / 2.0) as usize).saturating_sub(length)
}

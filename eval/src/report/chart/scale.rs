//! From numbers to a place on an axis.

/// Beyond this, differences of two numbers would not be finite.
const LIMIT: f64 = 1e300;

/// An axis, with ticks at 1, 2 or 5 times a power of ten.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    pub low: f64,
    pub high: f64,
    pub step: f64,
}

impl Scale {
    /// From 0 to 1.
    pub const UNIT: Self = Self { low: 0.0, high: 1.0, step: 0.2 };

    /// From the lowest to the highest finite value; [`Scale::UNIT`] without any. Whole values get whole ticks.
    pub fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let values = values.filter(|value| value.is_finite()).map(|value| value.clamp(-LIMIT, LIMIT));
        let Some(low) = values.clone().reduce(f64::min) else {
            return Self::UNIT;
        };
        let high = values.clone().fold(low, f64::max);
        let size = low.abs().max(high.abs());
        let (low, high) = match high - low {
            span if span > size * 1e-9 && span > 1.0 / LIMIT => (low, high),
            _ if size < 1.0 / LIMIT => (-0.5, 0.5),
            _ => (low - 0.1 * size, high + 0.1 * size),
        };
        let step = nice((high - low) / 5.0);
        let whole = values.into_iter().all(|value| value.fract() == 0.0);
        Self { low, high, step: if whole { step.max(1.0) } else { step } }
    }

    /// From 0, or from the lowest value if that is below.
    pub fn from_zero(values: impl Iterator<Item = f64> + Clone) -> Self {
        match values.clone().all(|value| value == 0.0 || !value.is_finite()) {
            true => Self { low: 0.0, high: 1.0, step: 1.0 },
            false => Self::of(values.chain([0.0])),
        }
    }

    /// The same with its ends at ticks.
    pub fn rounded(self) -> Self {
        let (low, high) = (self.low / self.step, self.high / self.step);
        Self { low: (low + 1e-9).floor() * self.step, high: (high - 1e-9).ceil() * self.step, ..self }
    }

    /// The numbers at the ticks, ascending.
    pub fn ticks(self) -> Vec<f64> {
        let (first, last) = ((self.low / self.step - 1e-9).ceil(), (self.high / self.step + 1e-9).floor());
        let ticks = (last - first + 1.0).clamp(0.0, 50.0) as usize;
        (0..ticks).map(|i| (first + i as f64) * self.step).collect()
    }

    /// 0..=1 of the way.
    pub fn share(self, value: f64) -> f64 {
        ((value.clamp(-LIMIT, LIMIT) - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

/// The next of 1, 2, 5, 10, … times a power of ten.
fn nice(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= step * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Scale {
        Scale::of(values.iter().copied())
    }

    #[test]
    fn ticks_are_at_one_two_and_five() {
        assert_eq!(of(&[0.0, 10.0]).ticks(), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(of(&[0.0, 3.0]).ticks(), [0.0, 1.0, 2.0, 3.0], "whole values have whole ticks");
        assert_eq!(of(&[0.5, 3.0]).ticks(), [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]);
        assert_eq!(of(&[-37.5, 120.0]).rounded(), Scale { low: -50.0, high: 150.0, step: 50.0 });
        assert_eq!(of(&[7.0]).ticks(), [7.0]);
        assert_eq!(of(&[f64::NAN]), Scale::UNIT);
        assert_eq!(Scale::from_zero([0.0].into_iter()), Scale { low: 0.0, high: 1.0, step: 1.0 });
    }

    #[test]
    fn places_stay_on_the_axis() {
        let scale = of(&[1.0, 3.0]);
        assert_eq!([0.0, 1.0, 1.5, 3.0, f64::MAX].map(|v| scale.share(v)), [0.0, 0.0, 0.25, 1.0, 1.0]);
    }
}

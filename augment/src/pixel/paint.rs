//! What covers pixels.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most channels that may have values of their own.
const MOST: usize = 16;

/// What covers pixels: one value in all channels, or one for each. In recipes `128` or `[124, 116, 104]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Paint {
    values: [u8; MOST],
    count: usize,
}

impl Paint {
    /// One value for each of at most 16 channels, or one for all; none of no or more values.
    pub fn new(given: &[u8]) -> Option<Self> {
        let mut values = [0; MOST];
        values.get_mut(..given.len())?.copy_from_slice(given);
        (!given.is_empty()).then_some(Self { values, count: given.len() })
    }

    /// Its values.
    pub fn values(&self) -> &[u8] {
        &self.values[..self.count]
    }

    /// Whether it has a meaning for pictures of this many channels.
    pub fn suits(&self, channels: usize) -> bool {
        self.count == 1 || self.count == channels
    }

    /// The value of a channel; of more channels than it has, the values repeat.
    #[inline(always)]
    pub(super) fn of(&self, channel: usize) -> u8 {
        if self.count == 1 { self.values[0] } else { self.values[channel % self.count] }
    }

    /// A pixel of so many channels.
    pub(super) fn pixel(&self, channels: usize) -> Vec<u8> {
        (0..channels).map(|c| self.of(c)).collect()
    }

    /// Covers whole pixels of so many channels.
    #[inline(always)]
    pub(crate) fn cover(&self, pixels: &mut [u8], channels: usize) {
        if self.count == 1 {
            return pixels.fill(self.values[0]);
        }
        for pixel in pixels.chunks_exact_mut(channels.max(1)) {
            pixel.iter_mut().enumerate().for_each(|(c, value)| *value = self.of(c));
        }
    }

    /// Adds so many pixels.
    #[inline(always)]
    pub(super) fn extend(&self, pixels: &mut Vec<u8>, count: usize, channels: usize) {
        let first = pixels.len();
        pixels.resize(first + count * channels, self.values[0]);
        if self.count > 1 {
            self.cover(&mut pixels[first..], channels);
        }
    }
}

impl From<u8> for Paint {
    fn from(value: u8) -> Self {
        Self { values: [value; MOST], count: 1 }
    }
}

impl Default for Paint {
    fn default() -> Self {
        0.into()
    }
}

impl TryFrom<Value> for Paint {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        Self::parse(&value).ok_or_else(|| {
            format!("fill must be in 0..=255, one number or a list of one for each channel, got {value}")
        })
    }
}

impl Paint {
    /// From a number or a list of them.
    pub(crate) fn parse(value: &Value) -> Option<Self> {
        let byte = |value: &Value| value.as_u64().and_then(|v| u8::try_from(v).ok());
        match value {
            Value::Array(list) => Self::new(&list.iter().map(byte).collect::<Option<Vec<_>>>()?),
            value => byte(value).map(Self::from),
        }
    }
}

impl From<Paint> for Value {
    fn from(paint: Paint) -> Self {
        match paint.values() {
            [value] => (*value).into(),
            values => values.to_vec().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paints_are_numbers_or_lists() {
        for (value, pixel) in [(json!(7), [7, 7, 7]), (json!([1, 2, 3]), [1, 2, 3]), (json!([1, 2]), [1, 2, 1])] {
            let paint = Paint::try_from(value.clone()).unwrap();
            assert_eq!((paint.pixel(3), Value::from(paint)), (pixel.to_vec(), value));
            let (mut covered, mut longer) = ([0; 6], vec![9]);
            paint.cover(&mut covered, 3);
            paint.extend(&mut longer, 2, 3);
            assert_eq!((&covered[..], &longer[1..]), (&pixel.repeat(2)[..], &covered[..]));
        }
        assert!(Paint::new(&[1; 3]).unwrap().suits(3) && !Paint::new(&[1; 3]).unwrap().suits(4));
        for wrong in [json!(256), json!([]), json!([1, -1]), json!("red"), json!(vec![0; 17])] {
            assert!(Paint::try_from(wrong).unwrap_err().starts_with("fill must be in 0..=255"));
        }
    }
}

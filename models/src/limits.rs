//! How large a network may be, so that a slip of the pen is an error and neither a panic nor an endless loop.

use crate::error::{Error, Result};
use serde_json::Value;

/// Largest number that a configuration has, and largest count of classes, channels, views and features.
pub(crate) const NUMBER: usize = 1_000_000;
/// Most stages of a network: each may double what the one before has.
const STAGES: usize = 16;
/// Most repeats of what a network is made of, all stages together.
pub(crate) const REPEATS: usize = 10_000;
/// Most channels of a map.
pub(crate) const CHANNELS: usize = 1 << 24;
/// Most trainable numbers of a network: 40 GB of F32.
const PARAMETERS: usize = 10_000_000_000;

/// Rejects a configuration with a number beyond the limit; `whose` it is.
pub(crate) fn numbers(whose: &str, config: &Value) -> Result<()> {
    config.as_object().into_iter().flatten().try_for_each(|(key, value)| number(whose, key, value))
}

fn number(whose: &str, key: &str, value: &Value) -> Result<()> {
    match value {
        Value::Number(n) => match n.as_f64() {
            Some(v) if v.abs() <= NUMBER as f64 => Ok(()),
            _ => Err(Error::Invalid(format!("{whose}: {key} must be at most {NUMBER}, got {n}"))),
        },
        Value::Array(values) => values.iter().try_for_each(|value| number(whose, key, value)),
        Value::Object(fields) => fields.iter().try_for_each(|(key, value)| number(whose, key, value)),
        _ => Ok(()),
    }
}

/// Rejects `family`'s network of too many stages, or of too many repeats in them.
pub(crate) fn stages(family: &str, repeats: impl IntoIterator<Item = usize>) -> Result<()> {
    let (stages, all) = repeats.into_iter().fold((0, 0usize), |(n, all), next| (n + 1, all.saturating_add(next)));
    match () {
        _ if stages > STAGES => {
            Err(Error::Invalid(format!("{family}: a network has at most {STAGES} stages, this one {stages}")))
        }
        _ if all > REPEATS => {
            Err(Error::Invalid(format!("{family}: all stages together have at most {REPEATS} repeats, these {all}")))
        }
        _ => Ok(()),
    }
}

/// How many numbers a network with `made` of them has with one more variable of this shape, or why that is too many.
pub(crate) fn parameters(made: usize, name: &str, shape: &[usize]) -> candle_core::Result<usize> {
    let own = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
    match own.and_then(|own| made.checked_add(own)).filter(|all| *all <= PARAMETERS) {
        Some(all) => Ok(all),
        // Without a trace: it is the user's.
        None => Err(candle_core::Error::Msg(format!(
            "a network has at most {} billion parameters, this one has more with '{name}' of shape {shape:?}; make it \
             narrower or less deep",
            PARAMETERS / 1_000_000_000
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn limits_themselves_are_allowed() {
        let of = |config: Value| numbers("x", &config).map_err(|error| error.to_string());
        assert_eq!(of(json!({"a": 1_000_000, "b": [[-1_000_000.0]], "c": "1e9"})), Ok(()));
        assert_eq!(of(json!({"a": 1_000_001})), Err("x: a must be at most 1000000, got 1000001".into()));
        assert!(of(json!({"rows": [{"b": -1e18}]})).unwrap_err().starts_with("x: b must be"));
        let fits = |repeats: &[usize]| stages("x", repeats.iter().copied()).is_ok();
        assert!(fits(&[625; 16]) && !fits(&[1; 17]) && !fits(&[5000, 5001]) && !fits(&[usize::MAX; 2]));
        assert_eq!(parameters(1, "w", &[PARAMETERS - 1]).unwrap(), PARAMETERS);
        assert!(parameters(2, "w", &[PARAMETERS - 1]).is_err() && parameters(0, "w", &[usize::MAX, 2]).is_err());
    }
}

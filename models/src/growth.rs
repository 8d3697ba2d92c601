//! Growing a model: wider, deeper, for larger pictures.

use crate::backbone;
use crate::error::{Error, Result};
use crate::limits;
use serde_json::{Map, Value};

/// By how much a model grows. What is wide and what is deep in a family, its page says ([`Family::grown`](crate::Family::grown)).
///
/// | field | default | range |
/// |---|---|---|
/// | `width` | 1 | above 0, factor of channels |
/// | `depth` | 1 | above 0, factor of repeated blocks, which are rounded up |
/// | `resolution` | 1 | above 0, factor of the side of pictures |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// Factor of channels.
    pub width: f64,
    /// Factor of repeated blocks.
    pub depth: f64,
    /// Factor of the side of pictures.
    pub resolution: f64,
}

impl Default for Growth {
    fn default() -> Self {
        Self { width: 1.0, depth: 1.0, resolution: 1.0 }
    }
}

impl Growth {
    /// All three together: depth 1.2^φ, width 1.1^φ, resolution 1.15^φ. Each step of one takes about
    /// 1.2 · 1.1² · 1.15² ≈ 1.9 times the multiply-adds (Tan & Le 2019, "EfficientNet", equation 3; there B1 to B7 are near
    /// φ = 0.5, 1, 2, …, 6, with numbers that were rounded by hand).
    pub fn compound(phi: f64) -> Self {
        Self { width: 1.1f64.powf(phi), depth: 1.2f64.powf(phi), resolution: 1.15f64.powf(phi) }
    }

    fn check(&self) -> Result<()> {
        for (name, factor) in [("width", self.width), ("depth", self.depth), ("resolution", self.resolution)] {
            if !(factor > 0.0 && factor <= 1e6) {
                return Err(Error::Invalid(format!(
                    "growth: {name} must be above 0 and at most a million, got {factor}"
                )));
            }
        }
        Ok(())
    }
}

/// The model `name` with `overrides` (an object, or null) grown: `overrides` with what changes, and the side of its pictures.
///
/// ```
/// use sconce_models::{Growth, grow};
/// let (overrides, side) = grow("resnet18", &serde_json::Value::Null, Growth::compound(2.0))?;
/// assert_eq!(overrides, serde_json::json!({"width": 78, "layers": [3, 3, 3, 3]}));
/// assert_eq!(side, 296);
/// # Ok::<(), sconce_models::Error>(())
/// ```
///
/// # Errors
/// Unknown names and parameters, impossible factors, models that never learn.
pub fn grow(name: &str, overrides: &Value, growth: Growth) -> Result<(Value, usize)> {
    growth.check()?;
    let before = backbone::resolve(name, overrides)?;
    let Some(grown) = backbone::grown(name, overrides, growth.width, growth.depth)? else {
        return Err(Error::Invalid(format!(
            "'{name}' never learns, it is as large as its weights; grow a model that learns"
        )));
    };
    let mut changed = overrides.as_object().cloned().unwrap_or_else(Map::new);
    if let Value::Object(grown) = grown {
        changed.extend(grown.into_iter().filter(|(key, value)| before[key] != *value));
    }
    let side = (backbone::picture_size(name)? as f64 * growth.resolution).round().max(1.0);
    Ok((if changed.is_empty() { overrides.clone() } else { Value::Object(changed) }, side as usize))
}

/// `channels` wider, a multiple of `of`.
pub(crate) fn wider(channels: usize, width: f64, of: usize) -> usize {
    (channels as f64 * width / of as f64).round().max(1.0) as usize * of
}

/// `repeats` more of them, rounded up.
pub(crate) fn deeper(repeats: usize, depth: f64) -> usize {
    // What a product has behind its last digit must not become a block.
    (repeats as f64 * depth - 1e-9).ceil() as usize
}

/// The list with more entries, each next to those that are like it.
pub(crate) fn longer<T: Clone>(list: &[T], depth: f64) -> Vec<T> {
    // No network may have more: it says so when it is built.
    let count = deeper(list.len(), depth).min(limits::REPEATS + 1);
    (0..count).map(|i| list[i * list.len() / count].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_grow_in_the_middle() {
        assert_eq!(longer(&[48, 64], 1.5), [48, 48, 64]);
        assert_eq!(longer(&[1, 2, 3, 4], 1.2), [1, 1, 2, 3, 4]);
        assert_eq!((longer(&[1, 2], 1.0), longer::<usize>(&[], 3.0)), (vec![1, 2], vec![]));
        assert_eq!((deeper(3, 1.1 / 3.0 * 3.0), deeper(10, 0.7 / 7.0 * 10.0), deeper(2, 0.1)), (4, 10, 1));
        assert_eq!((wider(64, 1.1, 1), wider(16, 1.1, 2), wider(4, 0.1, 2)), (70, 18, 2));
    }
}

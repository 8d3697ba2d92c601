//! An optimizer within another one.

use super::{Optimizer, State, build, resolve};
use crate::error::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};
use std::fmt;

/// In recipes a name, or a table of a name and parameters.
pub struct Inner {
    spec: Value,
    /// The optimizer.
    pub optimizer: Box<dyn Optimizer>,
}

/// Each optimizer is built three times, for its parameters too, and those in it nine times.
const DEEPEST: usize = 4;

/// How many tables lie one within another.
fn depth(params: &Map<String, Value>) -> usize {
    1 + params.values().filter_map(Value::as_object).map(depth).max().unwrap_or(0)
}

impl Inner {
    /// The optimizer `name` with its parameters, an object.
    ///
    /// # Errors
    /// As [`build`]; more than four optimizers one within another, this one included.
    pub fn new(name: &str, params: Map<String, Value>) -> crate::Result<Self> {
        let depth = depth(&params);
        if depth > DEEPEST {
            let why = format!("{depth} optimizers lie one within another inside of it, at most {DEEPEST} may");
            return Err(Error::Invalid(format!("optimizer '{name}': {why}")));
        }
        let optimizer = build(name, Value::Object(params.clone()))?;
        let mut spec = Map::from_iter([("name".to_string(), Value::from(name))]);
        if let Value::Object(resolved) = resolve(name, Value::Object(params))? {
            spec.extend(resolved);
        }
        Ok(Self { spec: Value::Object(spec), optimizer })
    }

    /// An optimizer of the table with its defaults.
    pub(super) fn of<O: Optimizer + Default + Serialize + 'static>(name: &str) -> Self {
        let optimizer = O::default();
        let mut spec = Map::from_iter([("name".to_string(), Value::from(name))]);
        if let Ok(Value::Object(params)) = serde_json::to_value(&optimizer) {
            spec.extend(params);
        }
        Self { spec: Value::Object(spec), optimizer: Box::new(optimizer) }
    }

    /// Its state with `prefix` before every name.
    pub(super) fn state(&self, prefix: &str) -> candle_core::Result<State> {
        Ok(self.optimizer.state()?.into_iter().map(|(name, t)| (format!("{prefix}{name}"), t)).collect())
    }

    /// Takes what [`Inner::state`] gave out of `state`.
    pub(super) fn restore(&mut self, prefix: &str, state: &mut State) -> candle_core::Result<()> {
        let all = std::mem::take(state);
        let (own, others): (State, State) = all.into_iter().partition(|(name, _)| name.starts_with(prefix));
        *state = others;
        self.optimizer.restore(own.into_iter().map(|(name, t)| (name[prefix.len()..].to_string(), t)).collect())
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.spec)
    }
}

impl Serialize for Inner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.spec.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Inner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (name, params) = match Value::deserialize(deserializer)? {
            Value::String(name) => (name, Map::new()),
            Value::Object(mut params) => match params.remove("name") {
                Some(Value::String(name)) => (name, params),
                _ => return Err(D::Error::custom("an optimizer within another one needs a `name`")),
            },
            other => return Err(D::Error::custom(format!("expected an optimizer's name or table, got {other}"))),
        };
        Self::new(&name, params).map_err(|error| match std::error::Error::source(&error) {
            Some(source) => D::Error::custom(format!("{error}: {source}")),
            None => D::Error::custom(error),
        })
    }
}

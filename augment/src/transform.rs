//! What a transform is, and how one is written inside another.

use crate::combine::Pipeline;
use crate::draw::Draw;
use crate::error::Result;
use crate::registry;
use data::Image;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::fmt::Debug;

/// A change of the picture that leaves its class alone.
///
/// Draw the random numbers first, then call a pure function of [`pixel`](crate::pixel).
pub trait Transform: Debug + Send + Sync {
    /// Gives the same picture for the same draws. Takes any size and any number of channels, and never fails: a picture with a
    /// number of channels that [`check_channels`](Transform::check_channels) refuses comes back as it is.
    fn apply(&self, image: Image, draw: &mut Draw) -> Image;
    /// Rejects impossible parameters when built.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) with the technique's and the parameter's name.
    fn validate(&self) -> Result<()> {
        Ok(())
    }
    /// Refuses numbers of channels that it has no meaning for, as colors have for satellite pictures.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) with the technique's name and the numbers that it takes.
    fn check_channels(&self, channels: usize) -> Result<()> {
        let _ = channels;
        Ok(())
    }
    /// Whether it draws anything: a transform that does not may prepare pictures once for all epochs.
    fn is_random(&self) -> bool {
        true
    }
}

impl<T: Transform + ?Sized> Transform for Box<T> {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        self.as_ref().apply(image, draw)
    }
    fn validate(&self) -> Result<()> {
        self.as_ref().validate()
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        self.as_ref().check_channels(channels)
    }
    fn is_random(&self) -> bool {
        self.as_ref().is_random()
    }
}

/// `"flip"`, `{"name": "flip", "p": 0.5}`, or a list of these: a [`Pipeline`].
impl<'de> Deserialize<'de> for Box<dyn Transform> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Spec::deserialize(deserializer)? {
            Spec::One(name, params) => registry::build(&name, params).map_err(D::Error::custom),
            Spec::List(list) => {
                let pipeline: Pipeline = serde_json::from_value(list).map_err(D::Error::custom)?;
                Ok(Box::new(pipeline))
            }
        }
    }
}

/// A transform inside another with every default written out: what [`registry::resolve`] puts in place of it.
#[derive(Debug)]
pub(crate) struct Resolved(Value);

impl<'de> Deserialize<'de> for Resolved {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Spec::deserialize(deserializer)? {
            Spec::One(name, params) => {
                let params = registry::resolve(&name, params).map_err(D::Error::custom)?;
                let mut spec = Map::from_iter([("name".to_string(), Value::String(name))]);
                if let Value::Object(params) = params {
                    spec.extend(params);
                }
                Ok(Self(Value::Object(spec)))
            }
            Spec::List(list) => {
                let list: Vec<Self> = serde_json::from_value(list).map_err(D::Error::custom)?;
                Ok(Self(list.into_iter().map(|spec| spec.0).collect()))
            }
        }
    }
}

impl Serialize for Resolved {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// How a transform is written.
enum Spec {
    /// Its name and its parameters, an object.
    One(String, Value),
    /// An array.
    List(Value),
}

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(name) => Ok(Self::One(name, Value::Object(Map::new()))),
            Value::Object(mut params) => match params.remove("name") {
                Some(Value::String(name)) => Ok(Self::One(name, Value::Object(params))),
                _ => Err(D::Error::custom("a table of a transform needs a `name`")),
            },
            list @ Value::Array(_) => Ok(Self::List(list)),
            other => Err(D::Error::custom(format!("expected a transform, its name or a list of them, got {other}"))),
        }
    }
}

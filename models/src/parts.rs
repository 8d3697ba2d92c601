//! Parts of a network that are chosen by name: [pools](crate::pools), [joins](crate::joins), [heads](crate::heads).
//!
//! Each is one file with its parameters, and one line in the table of its kind. Parameters are checked before anything is
//! known of the data; a part is built when its sizes are known.

use crate::error::{BuildError, Error, Result};
use crate::layers::Variables;
use crate::limits;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A part and its parameters: `"gem"`, or `{ "name": "gem", "p": 4 }`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// A name of the table.
    pub name: String,
    /// Its parameters; the others keep their defaults.
    #[serde(flatten)]
    pub params: Map<String, Value>,
}

impl Choice {
    /// `name` with its defaults.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), params: Map::new() }
    }
    /// `name` with the parameters in `params`, an object.
    pub fn with(name: &str, params: Value) -> Self {
        let params = if let Value::Object(params) = params { params } else { Map::new() };
        Self { name: name.into(), params }
    }
}

impl<'de> Deserialize<'de> for Choice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(name) => Ok(Self::new(&name)),
            Value::Object(mut params) => match params.remove("name") {
                Some(Value::String(name)) => Ok(Self { name, params }),
                _ => Err(D::Error::custom("a table here needs a `name`")),
            },
            other => Err(D::Error::custom(format!("expected a name or a table with a `name`, got {other}"))),
        }
    }
}

/// The configuration of a part of kind `P`, which is built from its sizes `S`.
pub trait Part<P: ?Sized, S>: Serialize + DeserializeOwned {
    /// Rejects impossible parameters.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the parameter.
    fn check(&self) -> Result<()> {
        Ok(())
    }
    /// The part, with its variables taken or made by `vars`.
    ///
    /// # Errors
    /// Parameters that do not fit the sizes, variables of another shape.
    fn build(&self, sizes: S, vars: &mut Variables<'_>) -> Result<Box<P>>;
}

/// A line of a table.
pub struct Entry<P: ?Sized, S> {
    /// Name in recipes.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    build: fn(Value, S, &mut Variables<'_>) -> Result<Box<P>, BuildError>,
    resolve: fn(Value) -> Result<Value, BuildError>,
}

impl<P: ?Sized, S> Entry<P, S> {
    pub(crate) const fn of<C: Part<P, S>>(name: &'static str, doc: &'static str) -> Self {
        fn read<P: ?Sized, S, C: Part<P, S>>(params: Value) -> Result<C, BuildError> {
            let config: C = serde_json::from_value(params).map_err(BuildError::Parameter)?;
            config.check().map_err(BuildError::Other)?;
            Ok(config)
        }
        Self {
            name,
            doc,
            build: |params, sizes, vars| read::<P, S, C>(params)?.build(sizes, vars).map_err(BuildError::Other),
            resolve: |params| serde_json::to_value(read::<P, S, C>(params)?).map_err(BuildError::Parameter),
        }
    }
}

/// A kind of parts: what one of them is called, and its table.
pub struct Table<P: ?Sized + 'static, S: 'static>(pub &'static str, pub &'static [Entry<P, S>]);

impl<P: ?Sized + 'static, S: 'static> Table<P, S> {
    /// Builds the part that `choice` names.
    ///
    /// # Errors
    /// Unknown names and parameters, impossible values, variables of another shape.
    pub fn build(&self, choice: &Choice, sizes: S, vars: &mut Variables<'_>) -> Result<Box<P>> {
        let (entry, params) = self.chosen(choice)?;
        (entry.build)(params, sizes, vars).map_err(|e| self.error(entry, e))
    }

    /// `choice` with every default written out.
    ///
    /// # Errors
    /// Unknown names and parameters, impossible values.
    pub fn resolve(&self, choice: &Choice) -> Result<Choice> {
        let (entry, params) = self.chosen(choice)?;
        let params = (entry.resolve)(params).map_err(|e| self.error(entry, e))?;
        Ok(Choice::with(entry.name, params))
    }

    /// Its line and its parameters. Lists are no sizes: counts of a confusion, values of classes.
    fn chosen(&self, choice: &Choice) -> Result<(&'static Entry<P, S>, Value)> {
        let entry = self.find(&choice.name)?;
        let single = choice.params.iter().filter(|(_, value)| value.is_number());
        let single = single.map(|(key, value)| (key.clone(), value.clone())).collect();
        limits::numbers(&format!("{} '{}'", self.0, entry.name), &Value::Object(single))?;
        Ok((entry, Value::Object(choice.params.clone())))
    }

    pub(crate) fn find(&self, name: &str) -> Result<&'static Entry<P, S>> {
        let known = || self.1.iter().map(|e| e.name).collect::<Vec<_>>().join(", ");
        let unknown = || Error::UnknownPart { kind: self.0, name: name.into(), known: known() };
        self.1.iter().find(|e| e.name == name).ok_or_else(unknown)
    }

    fn error(&self, entry: &'static Entry<P, S>, error: BuildError) -> Error {
        error.of(|source| Error::PartParameter { kind: self.0, name: entry.name, source })
    }
}

//! Another scheme several times.

use super::{Folds, Input, Split, at_least, build};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Another scheme several times, each time with a seed of its own: the spread of the scores over repeats says how much of it is
/// chance.
///
/// | field | default | range |
/// |---|---|---|
/// | `repeats` | 3 | at least 1 |
/// | `of` | stratified | a name of [`SPLITS`](super::SPLITS) that goes by the seed, or a table with a `name` and its parameters |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Repeated {
    /// How often.
    pub repeats: usize,
    /// What.
    pub of: Nested,
}

/// A scheme inside another one: `"grouped"`, or `{ name = "grouped", folds = 3 }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Nested {
    /// A name of [`SPLITS`](super::SPLITS).
    pub name: String,
    /// Its parameters.
    #[serde(flatten)]
    pub params: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a name or a table with a `name`")]
enum Written {
    Name(String),
    Table {
        name: String,
        #[serde(flatten)]
        params: Map<String, Value>,
    },
}

impl From<Written> for Nested {
    fn from(written: Written) -> Self {
        match written {
            Written::Name(name) => Self { name, params: Map::new() },
            Written::Table { name, params } => Self { name, params },
        }
    }
}

impl Default for Repeated {
    fn default() -> Self {
        Self { repeats: 3, of: Nested { name: "stratified".into(), params: Map::new() } }
    }
}

impl Repeated {
    fn inner(&self) -> Result<Box<dyn Split>> {
        build(&self.of.name, Value::Object(self.of.params.clone()))
    }
}

impl Split for Repeated {
    fn folds(&self, input: &Input<'_>, seed: u64) -> Result<Folds> {
        self.inner()?.folds(input, seed)
    }
    fn validate(&self) -> Result<()> {
        at_least("repeated", "repeats", self.repeats, 1)?;
        let inner = self.inner()?;
        if !inner.is_random() {
            return Err(Error::Invalid(format!(
                "split 'repeated': '{}' gives the same folds every time; name it alone, or repeat another one",
                self.of.name
            )));
        }
        match inner.repeats() {
            1 => Ok(()),
            _ => Err(Error::Invalid("split 'repeated': `of` is itself repeated; multiply `repeats` instead".into())),
        }
    }
    fn columns(&self) -> Vec<String> {
        self.inner().map(|inner| inner.columns()).unwrap_or_default()
    }
    fn marks(&self) -> Vec<String> {
        self.inner().map(|inner| inner.marks()).unwrap_or_default()
    }
    fn repeats(&self) -> usize {
        self.repeats
    }
}

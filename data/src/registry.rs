//! Tables of techniques: from names and parameters to what they name.

use crate::error::{Error, Result};
use serde_json::Value;

/// A line of a table, as of [`SPLITS`](crate::split::SPLITS) or [`SAMPLERS`](crate::sampler::SAMPLERS).
pub struct Entry<T: ?Sized> {
    /// Name in recipes.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    pub(crate) build: fn(Value) -> Result<Box<T>, serde_json::Error>,
    pub(crate) resolve: fn(Value) -> Result<Value, serde_json::Error>,
}

/// What `table` builds under `name` from `params`, an object.
pub(crate) fn build<T: ?Sized>(
    table: &'static [Entry<T>],
    kind: &'static str,
    name: &str,
    params: Value,
) -> Result<Box<T>> {
    let wrong = |source| Error::Parameter { kind, name: name.into(), source };
    (find(table, kind, name)?.build)(params).map_err(wrong)
}

/// `params` with every default written out.
pub(crate) fn resolve<T: ?Sized>(
    table: &'static [Entry<T>],
    kind: &'static str,
    name: &str,
    params: Value,
) -> Result<Value> {
    let wrong = |source| Error::Parameter { kind, name: name.into(), source };
    (find(table, kind, name)?.resolve)(params).map_err(wrong)
}

fn find<T: ?Sized>(table: &'static [Entry<T>], kind: &'static str, name: &str) -> Result<&'static Entry<T>> {
    let known = || table.iter().map(|e| e.name).collect::<Vec<_>>().join(", ");
    table.iter().find(|e| e.name == name).ok_or_else(|| Error::Unknown { kind, name: name.into(), known: known() })
}

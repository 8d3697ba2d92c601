//! In which order an epoch goes through the samples. An order is a function of rows and of the random stream it is given, which is
//! one of seed and epoch.
//!
//! ```
//! use sconce_data::{Row, Target, rng, sampler};
//! let rows: Vec<Row> = (0..8).map(|i| Row { target: Some(Target::Class(i / 6)), ..Row::default() }).collect();
//! let rare_twice = sampler::build("multiplier", serde_json::json!({"classes": [1, 2]}), &[])?;
//! assert_eq!(rare_twice.order(&rows, &mut rng::stream(0, 0, 0)).len(), 6 + 2 * 2);
//! # Ok::<(), sconce_data::Error>(())
//! ```

mod balanced;
mod composite;
mod multiplier;
mod sequential;
mod sharded;
mod shuffled;
mod twin;
mod weighted;

pub use balanced::Balanced;
pub use composite::Composite;
pub use multiplier::Multiplier;
pub use sequential::Sequential;
pub use sharded::Sharded;
pub use shuffled::Shuffled;
pub use twin::Twin;
pub use weighted::Weighted;

use crate::error::Result;
use crate::registry::{self, Entry};
use crate::row::{Column, Row};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Gives the indices of an epoch.
pub trait Sampler: Send + Sync {
    /// Indices into `rows`; the same for the same state of `rng`.
    fn order(&self, rows: &[Row], rng: &mut ChaCha8Rng) -> Vec<usize>;

    /// How many indices an order of these rows has.
    fn length(&self, rows: &[Row]) -> usize {
        rows.len()
    }

    /// How many indices of an order belong side by side.
    fn together(&self) -> usize {
        1
    }

    /// Whether it goes by the one class of each row ([`Row::likeliest`]), so that it has no meaning for rows of several labels.
    fn by_class(&self) -> bool {
        false
    }

    /// Looks up the columns of [`Row::meta`] that it goes by, before the first order; [`build`] does so.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a column that does not exist.
    fn bind(&mut self, _columns: &[Column]) -> Result<()> {
        Ok(())
    }

    /// Rejects impossible parameters when built.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) names the parameter.
    fn validate(&self) -> Result<()> {
        Ok(())
    }
}

impl Sampler for Box<dyn Sampler> {
    fn order(&self, rows: &[Row], rng: &mut ChaCha8Rng) -> Vec<usize> {
        (**self).order(rows, rng)
    }
    fn length(&self, rows: &[Row]) -> usize {
        (**self).length(rows)
    }
    fn together(&self) -> usize {
        (**self).together()
    }
    fn by_class(&self) -> bool {
        (**self).by_class()
    }
    fn bind(&mut self, columns: &[Column]) -> Result<()> {
        (**self).bind(columns)
    }
    fn validate(&self) -> Result<()> {
        (**self).validate()
    }
}

/// No parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl Entry<dyn Sampler> {
    const fn of<S: Sampler + Serialize + DeserializeOwned + 'static>(name: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            build: |params| Ok(Box::new(serde_json::from_value::<S>(params)?)),
            resolve: |params| serde_json::to_value(serde_json::from_value::<S>(params)?),
        }
    }
    const fn plain<S: Sampler + Default + 'static>(name: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            build: |params| serde_json::from_value(params).map(|Nothing {}| Box::new(S::default()) as Box<dyn Sampler>),
            resolve: |params| serde_json::from_value(params).map(|Nothing {}| json!({})),
        }
    }
}

type Order = Entry<dyn Sampler>;

/// All samplers that recipes can name.
pub const SAMPLERS: &[Entry<dyn Sampler>] = &[
    Order::plain::<Balanced>("balanced", "Drawn with replacement, every class equally likely."),
    Order::of::<Composite>(
        "composite",
        "Drawn with replacement, every combination of class, group, columns equally likely.",
    ),
    Order::of::<Multiplier>("multiplier", "Each sample as often as the rarest of its labels asks for."),
    Order::plain::<Sequential>("sequential", "As they lie there."),
    Order::plain::<Shuffled>("shuffled", "Every sample once, shuffled."),
    Order::of::<Twin>("twin", "Beside every sample one of the same class and another group."),
    Order::of::<Weighted>("weighted", "Drawn with replacement, rare classes more likely."),
];

/// The sampler `name` with `params`, an object, for rows with `columns` of metadata.
///
/// # Errors
/// [`Error::Unknown`](crate::Error::Unknown) lists the names there are; unknown and impossible parameters, unknown
/// columns.
pub fn build(name: &str, params: Value, columns: &[Column]) -> Result<Box<dyn Sampler>> {
    let mut sampler = checked(name, params)?;
    sampler.bind(columns)?;
    Ok(sampler)
}

fn checked(name: &str, params: Value) -> Result<Box<dyn Sampler>> {
    let sampler = registry::build(SAMPLERS, "sampler", name, params)?;
    sampler.validate()?;
    Ok(sampler)
}

/// `params` with every default written out, before it is known which columns there are.
///
/// # Errors
/// As [`build`], but for columns.
pub fn resolve(name: &str, params: Value) -> Result<Value> {
    checked(name, params.clone())?;
    registry::resolve(SAMPLERS, "sampler", name, params)
}

/// Rows by what `of` says of them, in its order.
fn members<K: Ord>(rows: &[Row], of: impl Fn(&Row) -> K) -> BTreeMap<K, Vec<usize>> {
    let mut members = BTreeMap::<K, Vec<usize>>::new();
    for (i, row) in rows.iter().enumerate() {
        members.entry(of(row)).or_default().push(i);
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;
    use crate::row::Target;

    #[test]
    fn orders_are_what_they_promise() {
        let class = |c| Row { target: Some(Target::Class(c)), ..Row::default() };
        let rows: Vec<Row> = (0..1000).map(|i| class(u32::from(i < 50))).collect();
        let order = |name: &str, seed| build(name, json!({}), &[]).unwrap().order(&rows, &mut stream(seed, 0, 0));
        assert_eq!(order("sequential", 0), (0..1000).collect::<Vec<_>>());
        let mut shuffled = order("shuffled", 1);
        assert_ne!(shuffled, order("shuffled", 2));
        shuffled.sort();
        assert_eq!(shuffled, (0..1000).collect::<Vec<_>>());
        let rare = order("balanced", 1).iter().filter(|i| **i < 50).count();
        assert!((400..600).contains(&rare), "{rare}");
        let soft =
            |c: u32| Row { target: Some(Target::Dense(vec![0.9 - c as f32, f32::NAN, c as f32])), ..Row::default() };
        let rows: Vec<Row> = (0..1000).map(|i| soft(u32::from(i < 50))).collect();
        assert_eq!((rows[0].likeliest(), rows[60].likeliest(), Row::default().likeliest()), (Some(2), Some(0), None));
        let rare = Balanced.order(&rows, &mut stream(1, 0, 0)).iter().filter(|i| **i < 50).count();
        assert!((400..600).contains(&rare), "{rare}");
        let why = build("shufled", json!({}), &[]).err().unwrap().to_string();
        assert!(why.contains("expected one of balanced, composite, multiplier, sequential, shuffled"), "{why}");
        let why = build("shuffled", json!({"p": 1}), &[]).err().unwrap().to_string();
        assert!(why.contains("sampler 'shuffled'") && why.contains("`p`"), "{why}");
    }
}

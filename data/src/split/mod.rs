//! Folds without leaks: rows of one key never stand on both sides.
//!
//! A scheme is one file: a struct of parameters that turns an [`Input`] into [`Folds`]. Every scheme keeps rows of one key or group
//! together, whether it has "group" in its name or not: keys are groups, samples of several pictures, and near duplicates.
//!
//! ```
//! use sconce_data::split::{self, Input};
//! use sconce_data::{Row, Target};
//! let rows: Vec<Row> = (0..20).map(|i| Row { target: Some(Target::Class(i % 2)), ..Row::default() }).collect();
//! let (rows, keys) = (rows.iter().collect::<Vec<_>>(), vec![None; 20]);
//! let input = Input { rows: &rows, keys: &keys, columns: &[], classes: &["cat".into(), "dog".into()] };
//! let repeats = split::build("stratified", serde_json::json!({"folds": 4}))?.split(&input, 0)?;
//! assert_eq!((repeats.len(), repeats[0].count, repeats[0].judges(0).len()), (1, 4, 5));
//! # Ok::<(), sconce_data::Error>(())
//! ```

mod by_time;
mod deal;
mod grouped;
mod hold_out;
mod input;
mod k_fold;
mod leave_one_group_out;
mod multi_label;
mod predefined;
mod repeated;
mod stratified;
mod stratified_grouped;
mod triple;

pub use by_time::ByTime;
pub use grouped::Grouped;
pub use hold_out::HoldOut;
pub use input::Input;
pub use k_fold::KFold;
pub use leave_one_group_out::LeaveOneGroupOut;
pub use multi_label::MultiLabel;
pub use predefined::Predefined;
pub use repeated::{Nested, Repeated};
pub use stratified::{Stratified, stratified_k_fold};
pub use stratified_grouped::{StratifiedGrouped, stratified_group_k_fold};
pub use triple::Triple;

use crate::error::{Error, Result};
use crate::registry::{self, Entry};
use crate::rng::sub_seed;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// A way of splitting.
pub trait Split: Debug + Send + Sync {
    /// Folds of `input`, whose keys alone tie rows together here: the same for the same seed. [`Split::split`] is what users call.
    ///
    /// # Errors
    /// [`Error::Invalid`] when `input` cannot be split so.
    fn folds(&self, input: &Input<'_>, seed: u64) -> Result<Folds>;

    /// Rejects impossible parameters when built.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the parameter.
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    /// Columns that say when or with what a row was taken, or where it is to judge. They are no property of what a picture shows,
    /// so a network has nothing to learn from them. Those that are only to be spread evenly are not among them.
    fn marks(&self) -> Vec<String> {
        vec![]
    }

    /// Whether another seed gives other folds.
    fn is_random(&self) -> bool {
        true
    }

    /// All columns that it goes by.
    fn columns(&self) -> Vec<String> {
        self.marks()
    }

    /// How often it is done, each time otherwise.
    fn repeats(&self) -> usize {
        1
    }

    /// The folds of all repeats, proven not to leak. The first repeat has `seed`, each other one a seed of its own.
    ///
    /// # Errors
    /// As [`Split::folds`]; [`Error::Leak`]; [`Error::Invalid`] for a fold that has nothing to learn from or to judge by.
    fn split(&self, input: &Input<'_>, seed: u64) -> Result<Vec<Folds>> {
        input.check()?;
        let keys = input.tied();
        let input = &Input { keys: &keys, ..*input };
        let repeat = |nth: usize| {
            let seed = if nth == 0 { seed } else { sub_seed(seed, &format!("repeat {nth}")) };
            let folds = self.folds(input, seed)?;
            folds.check_tied(input)?;
            folds.filled()?;
            Ok(folds)
        };
        (0..self.repeats()).map(repeat).collect()
    }
}

/// A split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folds {
    /// How many there are.
    pub count: usize,
    /// Fold of each sample, the one that it judges, 0..`count`; `None`: it judges none.
    pub of: Vec<Option<usize>>,
    /// Strata with too few samples for every fold to judge them, with their number of samples.
    pub rare: Vec<(u32, usize)>,
    /// Strata that lie in too few groups, with the number of folds that judge them.
    pub lumped: Vec<(u32, usize)>,
    /// What `rare` and `lumped` speak of, by number: classes, labels, values of a column, ranges of a number.
    pub strata: Vec<String>,
    /// Samples that neither judge nor train, by fold, sorted: those after the judged ones in a split by time, those of rare classes
    /// in a group that judges. Empty where every sample that does not judge trains.
    pub unused: Vec<Vec<usize>>,
}

impl Folds {
    /// Samples that judge fold `fold`, sorted.
    pub fn judges(&self, fold: usize) -> Vec<usize> {
        (0..self.of.len()).filter(|&i| self.of[i] == Some(fold)).collect()
    }

    /// Samples that train fold `fold`, sorted.
    pub fn trains(&self, fold: usize) -> Vec<usize> {
        (0..self.of.len()).filter(|&i| self.does_train(fold, i)).collect()
    }

    fn does_train(&self, fold: usize, sample: usize) -> bool {
        let is_unused = || self.unused.get(fold).is_some_and(|unused| unused.binary_search(&sample).is_ok());
        self.of[sample] != Some(fold) && !is_unused()
    }

    /// Whether `sample` neither trains nor judges any fold.
    pub fn leaves_out(&self, sample: usize) -> bool {
        self.of[sample].is_none() && !(0..self.count).any(|fold| self.does_train(fold, sample))
    }

    /// Makes sure that each fold has samples to learn from and to judge by.
    fn filled(&self) -> Result<()> {
        let mut judged = vec![0; self.count];
        self.of.iter().flatten().filter(|fold| **fold < self.count).for_each(|&fold| judged[fold] += 1);
        for (fold, &judges) in judged.iter().enumerate() {
            let learns = (self.of.len() - judges).saturating_sub(self.unused.get(fold).map_or(0, Vec::len));
            if judges == 0 || learns == 0 {
                let fold = fold + 1;
                return Err(Error::Invalid(format!(
                    "fold {fold} would have {learns} rows to learn from and {judges} to judge by: too few groups or too few rows \
                     of each class; use fewer folds, another split or another group"
                )));
            }
        }
        Ok(())
    }

    /// Proves that no two samples of one key or group of `input`, of which these are the folds, stand on both sides of a fold.
    ///
    /// # Errors
    /// The first two that do.
    pub fn check(&self, input: &Input<'_>) -> Result<(), Leak> {
        self.check_tied(&Input { keys: &input.tied(), ..*input })
    }

    /// The same where the keys of `input` hold its groups already.
    fn check_tied(&self, input: &Input<'_>) -> Result<(), Leak> {
        let id = |i: usize| input.rows[i].id.clone();
        let mut members = BTreeMap::<&str, Vec<usize>>::new();
        for (i, key) in input.keys.iter().enumerate().take(self.of.len()) {
            if let Some(key) = key {
                members.entry(key).or_default().push(i);
            }
        }
        for (key, members) in members {
            let mut seen = BTreeSet::new();
            for &judges in &members {
                let Some(fold) = self.of[judges].filter(|fold| seen.insert(*fold)) else { continue };
                if let Some(&trains) = members.iter().find(|&&i| self.does_train(fold, i)) {
                    return Err(Leak { fold, key: key.into(), trains: id(trains), judges: id(judges) });
                }
            }
        }
        Ok(())
    }
}

/// Two samples of one key, one of which trains a fold that the other one judges.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{trains}' and '{judges}' are of one group, '{key}', but one trains fold {} and the other judges it; give both one fold, leave \
     one out (data.clean.exclude), or take a split that keeps groups together", fold + 1
)]
pub struct Leak {
    /// The fold.
    pub fold: usize,
    /// What both have in common.
    pub key: String,
    /// Id of the one that trains.
    pub trains: String,
    /// Id of the one that judges.
    pub judges: String,
}

impl Entry<dyn Split> {
    const fn of<S: Split + Serialize + DeserializeOwned + 'static>(name: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            build: |params| Ok(Box::new(serde_json::from_value::<S>(params)?)),
            resolve: |params| serde_json::to_value(serde_json::from_value::<S>(params)?),
        }
    }
}

type Scheme = Entry<dyn Split>;

/// All ways of splitting.
pub const SPLITS: &[Entry<dyn Split>] = &[
    Scheme::of::<ByTime>("by_time", "What came before trains, what came after judges."),
    Scheme::of::<Grouped>("grouped", "No group in two folds, sizes as even as that allows."),
    Scheme::of::<HoldOut>("hold_out", "One share judges, the rest trains."),
    Scheme::of::<KFold>("k_fold", "Folds of one size, whatever the classes."),
    Scheme::of::<LeaveOneGroupOut>("leave_one_group_out", "Each group judges a fold of its own."),
    Scheme::of::<MultiLabel>("multi_label", "Each of several labels spread evenly (Sechidis et al. 2011)."),
    Scheme::of::<Predefined>("predefined", "A column, or the given validation part, says which rows judge."),
    Scheme::of::<Repeated>("repeated", "Another scheme several times, each time otherwise."),
    Scheme::of::<Stratified>("stratified", "Each class spread evenly."),
    Scheme::of::<StratifiedGrouped>("stratified_grouped", "No group in two folds, each class as even as that allows."),
    Scheme::of::<Triple>("triple", "Shards even in groups, classes and pictures per group (Deotte 2020)."),
];

/// The scheme `name` with `params`, an object.
///
/// # Errors
/// [`Error::Unknown`] lists the names there are; unknown and impossible parameters.
pub fn build(name: &str, params: Value) -> Result<Box<dyn Split>> {
    let split = registry::build(SPLITS, "split", name, params)?;
    split.validate()?;
    Ok(split)
}

/// `params` with every default written out.
///
/// # Errors
/// As [`build`].
pub fn resolve(name: &str, params: Value) -> Result<Value> {
    build(name, params.clone())?;
    registry::resolve(SPLITS, "split", name, params)
}

/// Default of `folds`.
fn five() -> usize {
    5
}

/// Default of `bins`.
fn ten() -> usize {
    10
}

fn at_least(scheme: &str, parameter: &str, value: usize, least: usize) -> Result<()> {
    match value >= least {
        true => Ok(()),
        false => Err(Error::Invalid(format!("split '{scheme}': {parameter} must be at least {least}, got {value}"))),
    }
}

//! Which rows are trained on. Files are never touched; every row left out is named with its reason.

use crate::dataset::{Dataset, Subset};
use crate::error::{Error, Result};
use crate::explore::Report;
use crate::row::{Part, Row, Target};
use crate::samples::Samples;
use crate::similar;
use crate::source::Collection;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What to do with what the report found.
///
/// | field | default | choices |
/// |---|---|---|
/// | `duplicates` | keep_one | keep_one, keep: equal pixels with one label |
/// | `conflicts` | drop | drop, keep: equal pixels with different labels |
/// | `near_duplicates` | group | group (they share a fold), ignore |
/// | `max_broken` | 0.1 | 0..=1, share of pictures that may be broken or missing |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CleanConfig {
    /// Equal pictures with one label.
    pub duplicates: Duplicates,
    /// Equal pictures with different labels.
    pub conflicts: Conflicts,
    /// Nearly equal pictures.
    pub near_duplicates: NearDuplicates,
    /// Share of pictures that may be broken or missing before this is an error.
    pub max_broken: f64,
}

/// Equal pictures with one label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// The first stays; a copy in the validation part goes before one in the training part.
    KeepOne,
    /// All stay, in one fold.
    Keep,
}

/// Equal pictures with different labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conflicts {
    /// None stays: nobody knows which label is right.
    Drop,
    /// All stay, in one fold.
    Keep,
}

/// Nearly equal pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NearDuplicates {
    /// They share a fold.
    Group,
    /// They are split like others.
    Ignore,
}

impl Default for CleanConfig {
    fn default() -> Self {
        Self {
            duplicates: Duplicates::KeepOne,
            conflicts: Conflicts::Drop,
            near_duplicates: NearDuplicates::Group,
            max_broken: 0.1,
        }
    }
}

/// Rows that can be trained on and predicted.
pub struct Cleaned {
    /// Labelled rows of the training and validation parts, and all readable rows of the test part; rows of one sample are one.
    pub dataset: Arc<dyn Dataset>,
    /// Rows with the same key must not sit in two folds; `None`: a row on its own.
    pub split_keys: Vec<Option<String>>,
    /// Ids of the rows left out, each with the reason.
    pub excluded: Vec<(String, &'static str)>,
    /// In words.
    pub warnings: Vec<String>,
}

/// Cleans `collection` by what `report` says of it; `drop_labels` are no classes.
///
/// # Errors
/// [`Error::TooManyBroken`]; [`Error::Invalid`] for a label to drop that does not exist, or when nothing is left.
pub fn clean(
    collection: &Collection,
    report: &Report,
    config: &CleanConfig,
    drop_labels: &[String],
) -> Result<Cleaned> {
    if !(0.0..=1.0).contains(&config.max_broken) {
        return Err(Error::Invalid(format!("max_broken must be in 0..=1, got {}", config.max_broken)));
    }
    broken_share(report, config)?;
    let (rows, classes) = (collection.dataset.rows(), collection.dataset.classes());
    if let Some(unknown) = drop_labels.iter().find(|label| !classes.contains(label)) {
        let known = classes.join(", ");
        return Err(Error::Invalid(format!("drop_labels: unknown label '{unknown}', expected one of {known}")));
    }
    let equal = row_groups(collection, &similar::equal(&report.sketches));
    let reasons = reasons(collection, report, config, drop_labels, &equal);
    let indices: Vec<usize> = (0..rows.len()).filter(|&i| reasons[i].is_none()).collect();

    let mut counts = vec![0; classes.len()];
    for class in indices.iter().filter(|&&i| rows[i].part != Part::Test).filter_map(|&i| rows[i].class()) {
        counts[class as usize] += 1;
    }
    let mut warnings = vec![];
    let gone = (0..classes.len()).filter(|&c| counts[c] == 0 && !drop_labels.contains(&classes[c]));
    warnings
        .extend(gone.map(|c| format!("no usable picture of class '{}' is left; it is no class any more", classes[c])));
    let kept: Vec<usize> = (0..classes.len()).filter(|&c| counts[c] > 0).collect();
    if kept.is_empty() {
        return Err(Error::Invalid("no usable labelled picture is left".into()));
    }
    let relabel = |row: &Row| {
        let class = row.class().and_then(|class| kept.iter().position(|&k| k == class as usize));
        Row { target: class.map(|class| Target::Class(class as u32)), ..row.clone() }
    };
    let new_rows = indices.iter().map(|&i| relabel(&rows[i])).collect();
    let new_classes = kept.iter().map(|&c| classes[c].clone()).collect();
    let dataset = Subset::new(collection.dataset.clone(), indices.clone()).relabelled(new_rows, new_classes);
    let mut groups = equal;
    if config.near_duplicates == NearDuplicates::Group {
        let near = similar::near(&report.sketches).into_iter().map(|(a, b)| vec![a, b]);
        groups.extend(row_groups(collection, &near.collect::<Vec<_>>()));
    }
    let keys = split_keys(rows, groups);
    let excluded = reasons.iter().enumerate().filter_map(|(i, r)| Some((rows[i].id.clone(), (*r)?)));
    let excluded = excluded.collect();
    let split_keys: Vec<_> = indices.iter().map(|&i| keys[i].clone()).collect();
    if indices.iter().all(|&i| rows[i].sample.is_none()) {
        return Ok(Cleaned { dataset: Arc::new(dataset), split_keys, excluded, warnings });
    }
    let samples = Samples::gather(Arc::new(dataset))?;
    // All pictures of a sample have its key.
    let split_keys = samples.members().iter().map(|members| split_keys[members[0]].clone()).collect();
    Ok(Cleaned { dataset: Arc::new(samples), split_keys, excluded, warnings })
}

fn broken_share(report: &Report, config: &CleanConfig) -> Result<()> {
    let (broken, total) =
        (report.corrupt.len() + report.missing_files.len(), report.images + report.missing_files.len());
    if broken as f64 <= config.max_broken * total as f64 {
        return Ok(());
    }
    let corrupt = report.corrupt.iter().map(|(path, why)| format!("'{path}' ({why})"));
    let missing = report.missing_files.iter().map(|id| format!("'{id}' (its picture does not exist)"));
    let mut list: Vec<String> = corrupt.chain(missing).collect();
    if list.len() > 20 {
        list.truncate(20);
        list.push(format!("and {} more", broken - 20));
    }
    let allowed = 100.0 * config.max_broken;
    Err(Error::TooManyBroken { broken, total, allowed, list: list.join(", ") })
}

/// Groups of files as groups of rows, those of one row left out.
fn row_groups(collection: &Collection, groups: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let rows = groups.iter().map(|group| group.iter().filter_map(|&i| collection.files[i].row).collect::<Vec<_>>());
    rows.filter(|group| group.len() > 1).collect()
}

/// Why each row is left out, if it is.
fn reasons(
    collection: &Collection,
    report: &Report,
    config: &CleanConfig,
    drop_labels: &[String],
    equal: &[Vec<usize>],
) -> Vec<Option<&'static str>> {
    let (rows, classes) = (collection.dataset.rows(), collection.dataset.classes());
    let mut reasons = vec![None; rows.len()];
    for (file, sketch) in collection.files.iter().zip(&report.sketches) {
        if let (Some(row), None) = (file.row, sketch) {
            reasons[row] = Some("its picture cannot be decoded");
        }
    }
    for (row, reason) in rows.iter().zip(&mut reasons).filter(|(row, _)| row.part != Part::Test) {
        let dropped = row.class().is_some_and(|class| drop_labels.contains(&classes[class as usize]));
        let own =
            if row.target.is_none() { Some("it has no label") } else { dropped.then_some("its label is no class") };
        *reason = reason.or(own);
    }
    for group in equal {
        // Test rows stay: they are to be predicted.
        let mut usable: Vec<usize> =
            group.iter().copied().filter(|&i| reasons[i].is_none() && rows[i].part != Part::Test).collect();
        usable.sort_by_key(|&i| (rows[i].part != Part::Validation, i));
        let conflict = usable.iter().any(|&i| rows[i].target != rows[usable[0]].target);
        if conflict && config.conflicts == Conflicts::Drop {
            usable.iter().for_each(|&i| reasons[i] = Some("an equal picture has another label"));
        } else if !conflict && config.duplicates == Duplicates::KeepOne {
            usable.iter().skip(1).for_each(|&i| reasons[i] = Some("it is a copy of another picture"));
        }
    }
    reasons
}

/// A key for all rows that are connected by groups, samples or similar pictures: the group's name, or the first row's id.
fn split_keys(rows: &[Row], mut connected: Vec<Vec<usize>>) -> Vec<Option<String>> {
    for shared in [|row: &Row| row.group.clone(), |row: &Row| row.sample.clone()] {
        let mut groups = BTreeMap::<String, Vec<usize>>::new();
        for (i, row) in rows.iter().enumerate() {
            if let Some(group) = shared(row) {
                groups.entry(group).or_default().push(i);
            }
        }
        connected.extend(groups.into_values());
    }
    let mut keys: Vec<Option<String>> = rows.iter().map(|row| row.group.clone()).collect();
    for cluster in similar::clusters(rows.len(), connected) {
        let name = cluster.iter().find_map(|&i| rows[i].group.clone()).unwrap_or_else(|| rows[cluster[0]].id.clone());
        cluster.iter().for_each(|&i| keys[i] = Some(name.clone()));
    }
    keys
}

//! Which rows are trained on, and as what. Files are never touched; every row left out is named with its reason, and what was
//! decided of single rows is a table that can be edited and applied again.

mod classes;
pub mod decisions;

pub use decisions::{Decided, Decision};

use crate::dataset::{Dataset, Subset};
use crate::error::{Error, Result};
use crate::explore::Report;
use crate::row::{Part, Row, Target};
use crate::samples::Samples;
use crate::similar;
use crate::source::Collection;
use classes::Relabelling;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

/// What to do with what the report found.
///
/// | field | default | choices |
/// |---|---|---|
/// | `duplicates` | keep_one | keep_one, keep: equal pixels with one label |
/// | `conflicts` | drop | drop, keep: equal pixels with different labels |
/// | `near_duplicates` | group | group (they share a fold), ignore |
/// | `max_broken` | 0.1 | 0..=1, share of pictures that may be broken or missing |
/// | `exclude` | none | ids of rows to leave out, or a file with one a line (lines from # on are remarks) |
/// | `remap` | none | other names of labels: those with one name are one class, those with none ("") are no class |
/// | `decisions` | none | a table of what was decided of single rows ([`decisions`]) |
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
    /// Rows of the training and validation parts to leave out.
    #[serde(skip_serializing_if = "Ids::is_empty")]
    pub exclude: Ids,
    /// Other names of labels; `""`: no class.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub remap: BTreeMap<String, String>,
    /// What was decided of single rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decisions: Option<PathBuf>,
}

/// Ids of rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a list of ids or the path of a file with one a line")]
pub enum Ids {
    /// These.
    List(Vec<String>),
    /// Those in a file, one a line; empty lines and those that begin with # do not count.
    File(PathBuf),
}

impl Ids {
    fn is_empty(&self) -> bool {
        matches!(self, Self::List(ids) if ids.is_empty())
    }

    fn read(&self) -> Result<Vec<String>> {
        match self {
            Self::List(ids) => Ok(ids.clone()),
            Self::File(path) => {
                let text =
                    std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.clone(), source })?;
                let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
                Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_string).collect())
            }
        }
    }
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
            exclude: Ids::List(vec![]),
            remap: BTreeMap::new(),
            decisions: None,
        }
    }
}

const NO_LABEL: &str = "it has no label";

/// Rows that can be trained on and predicted.
pub struct Cleaned {
    /// Labelled rows of the training and validation parts, and all readable rows of the test part; rows of one sample are one.
    pub dataset: Arc<dyn Dataset>,
    /// Rows with the same key must not sit in two folds; `None`: a row on its own.
    pub split_keys: Vec<Option<String>>,
    /// Readable rows of the training part without a label: not trained on, but pseudo-labels may be found for them.
    pub unlabelled: Arc<dyn Dataset>,
    /// Their keys. What shares one with a row that judges must not train in that fold.
    pub unlabelled_keys: Vec<Option<String>>,
    /// Ids of the rows left out, each with the reason.
    pub excluded: Vec<(String, String)>,
    /// What was decided of single rows, those given and those that cleaning came to: to be written ([`decisions::write`]), edited
    /// and applied again, which gives the same rows. Rows without a label are not among them.
    pub decisions: Vec<Decided>,
    /// In words.
    pub warnings: Vec<String>,
}

/// Cleans `collection` by what `report` says of it; `drop_labels` are no classes.
///
/// # Errors
/// [`Error::TooManyBroken`]; [`Error::Invalid`] for a label or id that does not exist, or when nothing is left; tables and lists
/// that cannot be read.
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
    let classes = collection.dataset.classes();
    let decided = Decisions::gather(collection, config)?;
    let rows = shared(decided.applied(collection)?);
    let mut relabelling = Relabelling::new(&rows, (classes, collection.target), &config.remap, drop_labels)?;
    let equal = row_groups(collection, &report.equal);
    let reasons = reasons(collection, report, config, &rows, (&decided, &relabelling), &equal);
    let indices: Vec<usize> = (0..rows.len()).filter(|&i| reasons[i].is_none()).collect();
    let learned = indices.iter().map(|&i| &rows[i]).filter(|row| row.part != Part::Test);
    let mut warnings = relabelling.drop_absent(learned)?;
    let ineffective = decided.keep.iter().filter_map(|&i| Some((&rows[i].id, reasons[i].as_ref()?)));
    warnings.extend(ineffective.map(|(id, why)| format!("'{id}' was to be kept, but {why}")));

    let mut groups = equal;
    if config.near_duplicates == NearDuplicates::Group {
        groups.extend(row_groups(collection, &report.near));
    }
    let keys = split_keys(&rows, groups);
    let part = |indices: Vec<usize>| {
        let new_rows = indices.iter().map(|&i| Row { target: relabelling.of(&rows[i]), ..rows[i].clone() }).collect();
        let keys = indices.iter().map(|&i| keys[i].clone()).collect();
        let subset = Subset::new(collection.dataset.clone(), indices).relabelled(new_rows, relabelling.names());
        gathered(subset, keys)
    };
    let is_unlabelled = |&i: &usize| rows[i].part == Part::Train && reasons[i].as_deref() == Some(NO_LABEL);
    let unlabelled = (0..rows.len()).filter(|i| is_unlabelled(i) && !decided.exclude.contains_key(i)).collect();
    let (unlabelled, unlabelled_keys) = part(unlabelled)?;
    let (dataset, split_keys) = part(indices)?;
    let excluded = rows.iter().zip(&reasons).filter_map(|(row, reason)| Some((row.id.clone(), reason.clone()?)));
    let excluded = excluded.collect();
    let decisions = decided.with(&rows, &reasons);
    Ok(Cleaned { dataset, split_keys, unlabelled, unlabelled_keys, excluded, decisions, warnings })
}

/// Checks before any picture is looked at that the ids and labels that `config` and `drop_labels` name are there.
///
/// # Errors
/// [`Error::Invalid`] for a label or id that does not exist; tables and lists that cannot be read.
pub fn check(collection: &Collection, config: &CleanConfig, drop_labels: &[String]) -> Result<()> {
    let rows = Decisions::gather(collection, config)?.applied(collection)?;
    let classes = (collection.dataset.classes(), collection.target);
    Relabelling::new(&rows, classes, &config.remap, drop_labels).map(drop)
}

/// With the first label of a sample's pictures for those of them that have none of their own.
fn shared(mut rows: Cow<'_, [Row]>) -> Cow<'_, [Row]> {
    let mut known = HashMap::<(Part, &str), &Target>::new();
    for row in rows.iter() {
        if let (Some(sample), Some(target)) = (&row.sample, &row.target) {
            known.entry((row.part, sample)).or_insert(target);
        }
    }
    let told = |(i, row): (usize, &Row)| {
        let target = known.get(&(row.part, row.sample.as_deref()?))?;
        row.target.is_none().then(|| (i, (*target).clone()))
    };
    let told: Vec<(usize, Target)> = rows.iter().enumerate().filter_map(told).collect();
    told.into_iter().for_each(|(i, target)| rows.to_mut()[i].target = Some(target));
    rows
}

/// Rows, and the key of each.
type Keyed = (Arc<dyn Dataset>, Vec<Option<String>>);

/// Rows of one sample as one; all its pictures have its key.
fn gathered(subset: Subset, keys: Vec<Option<String>>) -> Result<Keyed> {
    if subset.rows().iter().all(|row| row.sample.is_none()) {
        return Ok((Arc::new(subset), keys));
    }
    let samples = Samples::gather(Arc::new(subset))?;
    let keys = samples.members().iter().map(|members| keys[members[0]].clone()).collect();
    Ok((Arc::new(samples), keys))
}

/// What was decided of single rows, by their places.
#[derive(Default)]
struct Decisions {
    given: Vec<Decided>,
    /// Why.
    exclude: BTreeMap<usize, String>,
    keep: BTreeSet<usize>,
    relabel: BTreeMap<usize, String>,
    group: BTreeMap<usize, String>,
}

impl Decisions {
    /// The table of decisions and the list of rows to leave out; what the table says of a row goes before the list.
    fn gather(collection: &Collection, config: &CleanConfig) -> Result<Self> {
        let given = config.decisions.as_ref().map(|path| decisions::read(path)).transpose()?.unwrap_or_default();
        let listed = config.exclude.read()?;
        if given.is_empty() && listed.is_empty() {
            return Ok(Self::default());
        }
        let rows = collection.dataset.rows();
        let mut places = BTreeMap::<&str, Vec<usize>>::new();
        for (i, row) in rows.iter().enumerate().filter(|(_, row)| row.part != Part::Test) {
            places.entry(&row.id).or_default().push(i);
        }
        let find = |from: &str, id: &str| match places.get(id) {
            Some(places) => Ok(places.clone()),
            None => Err(Error::Invalid(match rows.iter().any(|row| row.id == id) {
                true => format!("{from}: '{id}' is of the test part, all rows of which are predicted as they are"),
                false => {
                    format!("{from}: no row has the id '{id}'; ids are written as in folds.csv, without their class")
                }
            })),
        };
        let mut decisions = Self::default();
        for Decided { id, decision, reason } in &given {
            for place in find("decisions", id)? {
                match decision {
                    Decision::Exclude => drop(decisions.exclude.insert(place, reason.clone())),
                    Decision::Keep => drop(decisions.keep.insert(place)),
                    Decision::Relabel(label) => drop(decisions.relabel.insert(place, label.clone())),
                    Decision::Group(group) => drop(decisions.group.insert(place, group.clone())),
                }
            }
        }
        for id in listed {
            for place in find("exclude", &id)? {
                if !decisions.keep.contains(&place) {
                    decisions.exclude.entry(place).or_insert_with(|| "it is on the list of rows to leave out".into());
                }
            }
        }
        Ok(Self { given, ..decisions })
    }

    /// The rows with other labels and groups.
    fn applied<'a>(&self, collection: &'a Collection) -> Result<Cow<'a, [Row]>> {
        let (rows, classes) = (collection.dataset.rows(), collection.dataset.classes());
        let mut rows = Cow::Borrowed(rows);
        for (&i, label) in &self.relabel {
            let target = classes::target(label, classes, rows.iter().find_map(|row| row.target.as_ref()));
            let wrong = |why| Error::Invalid(format!("decisions: '{}' {why}", rows[i].id));
            let target = Some(target.map_err(wrong)?);
            rows.to_mut()[i].target = target;
        }
        for (&i, group) in &self.group {
            rows.to_mut()[i].group = Some(group.clone());
        }
        Ok(rows)
    }

    /// Those given and those that cleaning came to.
    fn with(self, rows: &[Row], reasons: &[Option<String>]) -> Vec<Decided> {
        let mut all = self.given;
        // One decision stands for all rows of an id.
        let is_of_row = |d: &&Decided| matches!(d.decision, Decision::Exclude | Decision::Keep);
        let mut said: BTreeSet<String> = all.iter().filter(is_of_row).map(|d| d.id.clone()).collect();
        for (row, reason) in rows.iter().zip(reasons).filter(|(row, _)| row.part != Part::Test) {
            let Some(reason) = reason.clone().filter(|reason| reason != NO_LABEL) else { continue };
            if said.insert(row.id.clone()) {
                all.push(Decided { id: row.id.clone(), decision: Decision::Exclude, reason });
            }
        }
        all
    }
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
    rows: &[Row],
    (decided, relabelling): (&Decisions, &Relabelling),
    equal: &[Vec<usize>],
) -> Vec<Option<String>> {
    let mut reasons: Vec<Option<String>> = vec![None; rows.len()];
    for (file, sketch) in collection.files.iter().zip(&report.sketches) {
        if let (Some(row), None) = (file.row, sketch) {
            reasons[row] = Some("its picture cannot be decoded".into());
        }
    }
    for (i, row) in rows.iter().enumerate().filter(|(_, row)| row.part != Part::Test) {
        let own = match row.target.is_none() {
            true => Some(NO_LABEL),
            false => relabelling.of(row).is_none().then_some("its label is no class"),
        };
        let own = own.map(str::to_string).or_else(|| decided.exclude.get(&i).cloned());
        reasons[i] = reasons[i].take().or(own);
    }
    let is_kept = |i: &usize| decided.keep.contains(i);
    for group in equal {
        // Test rows stay: they are to be predicted.
        let mut usable: Vec<usize> =
            group.iter().copied().filter(|&i| reasons[i].is_none() && rows[i].part != Part::Test).collect();
        usable.sort_by_key(|&i| (!is_kept(&i), rows[i].part != Part::Validation, i));
        let conflict = Target::contradict(usable.iter().filter_map(|&i| relabelling.of(&rows[i])));
        let (first, why) = match conflict {
            true if config.conflicts == Conflicts::Drop => (0, "an equal picture has another label"),
            false if config.duplicates == Duplicates::KeepOne => (1, "it is a copy of another picture"),
            _ => continue,
        };
        let others = usable.iter().skip(first).filter(|i| !is_kept(i));
        others.for_each(|&i| reasons[i] = Some(why.into()));
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

#[cfg(test)]
mod tests;

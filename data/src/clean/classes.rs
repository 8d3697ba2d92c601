//! What labels are called, and which of them are classes.

use crate::error::{Error, Result};
use crate::labels::Kind;
use crate::row::{Part, Row, Target};
use std::collections::BTreeMap;

/// From the labels of a data set to the classes that are left.
pub(super) struct Relabelling {
    kind: Kind,
    /// Of each label, the place of its name; `None`: it is no class.
    to: Vec<Option<usize>>,
    names: Vec<String>,
    /// Names that are classes, in order; the others have no row.
    kept: Vec<usize>,
    /// Whether several values are labels, one for each class; else they are numbers, which have no classes to merge or drop.
    are_labels: bool,
}

impl Relabelling {
    /// Labels with one name in `remap` are one class, at the place of the first of them; those without one and `drop_labels` are
    /// none.
    pub fn new(
        rows: &[Row],
        (classes, kind): (&[String], Kind),
        remap: &BTreeMap<String, String>,
        drop_labels: &[String],
    ) -> Result<Self> {
        for (what, label) in drop_labels.iter().map(|l| ("drop_labels", l)).chain(remap.keys().map(|l| ("remap", l))) {
            if !classes.contains(label) {
                let known = classes.join(", ");
                return Err(Error::Invalid(format!("{what}: unknown label '{label}', expected one of {known}")));
            }
        }
        let mut learned = rows.iter().filter(|row| row.part != Part::Test);
        let is_label = |row: &Row| match &row.target {
            Some(Target::Dense(values)) => {
                values.len() == classes.len() && values.iter().all(|v| v.is_nan() || (0.0..=1.0).contains(v))
            }
            _ => true,
        };
        let are_labels = kind != Kind::Regression && learned.all(is_label);
        let changes = !remap.is_empty() || !drop_labels.is_empty();
        if changes && !are_labels {
            let why =
                "remap, drop_labels: the targets of this data set are numbers; only labels can be merged or dropped";
            return Err(Error::Invalid(why.into()));
        }
        let (mut names, mut places) = (Vec::<String>::new(), BTreeMap::<&String, usize>::new());
        let to = classes.iter().map(|class| {
            let name = remap.get(class).unwrap_or(class);
            if name.is_empty() || drop_labels.contains(class) {
                return None;
            }
            Some(*places.entry(name).or_insert_with(|| {
                names.push(name.clone());
                names.len() - 1
            }))
        });
        let to = to.collect();
        let kept = (0..names.len()).collect();
        Ok(Self { kind, to, names, kept, are_labels })
    }

    /// What a row shows, in the classes that are left; `None` where it shows none of them, or nothing is known. Of merged labels
    /// counts the sum of the known values, at most 1: several labels are then one, and the shares of soft ones add up. What is left
    /// of a distribution is scaled to the sum of 1 again.
    pub fn of(&self, row: &Row) -> Option<Target> {
        match row.target.as_ref()? {
            Target::Class(class) => {
                let name = self.to.get(*class as usize).copied().flatten()?;
                Some(Target::Class(self.kept.binary_search(&name).ok()? as u32))
            }
            Target::Dense(values) if self.are_labels && values.len() == self.to.len() => {
                let mut sums = vec![f32::NAN; self.names.len()];
                for (value, to) in values.iter().zip(&self.to).filter(|(value, _)| !value.is_nan()) {
                    if let Some(sum) = to.map(|to| &mut sums[to]) {
                        *sum = if sum.is_nan() { *value } else { (*sum + value).min(1.0) };
                    }
                }
                let mut left: Vec<f32> = self.kept.iter().map(|&kept| sums[kept]).collect();
                let is_lost = |(value, to): (&f32, &Option<usize>)| *value > 0.0 && to.is_none();
                if self.kind == Kind::Distribution && values.iter().zip(&self.to).any(is_lost) {
                    let sum: f64 = left.iter().map(|v| f64::from(*v)).sum();
                    left.iter_mut().for_each(|v| *v = (f64::from(*v) / sum.max(f64::MIN_POSITIVE)) as f32);
                }
                // A row without labels shows none of the classes; one whose labels are no classes shows nothing that is known.
                let any = |values: &[f32]| values.iter().any(|v| *v > 0.0);
                (any(&left) || !any(values)).then_some(Target::Dense(left))
            }
            Target::Dense(values) => Some(Target::Dense(values.clone())),
        }
    }

    /// Classes that no row of `rows` shows are none; says so of each that was not dropped on purpose. Grades stay, as without one
    /// of them the others would no longer be as far from each other.
    pub fn drop_absent<'a>(&mut self, rows: impl Iterator<Item = &'a Row>) -> Result<Vec<String>> {
        let (mut seen, mut any) = (vec![0usize; self.kept.len()], false);
        for row in rows {
            match self.of(row) {
                None => continue,
                Some(Target::Class(class)) => seen[class as usize] += 1,
                Some(Target::Dense(values)) if self.are_labels => {
                    seen.iter_mut().zip(&values).filter(|(_, v)| **v > 0.0).for_each(|(seen, _)| *seen += 1);
                }
                Some(Target::Dense(_)) => seen.iter_mut().for_each(|seen| *seen += 1),
            }
            any = true;
        }
        let (kept, gone): (Vec<usize>, Vec<usize>) = (0..seen.len()).partition(|&c| seen[c] > 0);
        // Numbers may come without names.
        if !any || (kept.is_empty() && !self.names.is_empty()) {
            return Err(Error::Invalid("no usable labelled picture is left".into()));
        }
        let fate = match self.kind {
            Kind::Ordinal => "it stays one of the grades",
            _ => "it is no class any more",
        };
        let said = |c: usize| format!("no usable picture of class '{}' is left; {fate}", self.names[c]);
        let said = gone.into_iter().map(said).collect();
        if self.kind != Kind::Ordinal {
            self.kept = kept;
        }
        Ok(said)
    }

    /// The classes that are left.
    pub fn names(&self) -> Vec<String> {
        self.kept.iter().map(|&kept| self.names[kept].clone()).collect()
    }
}

/// The target that a decision names: a class, or several separated by `|` where other rows have several labels, as `like`.
pub(super) fn target(label: &str, classes: &[String], like: Option<&Target>) -> Result<Target, String> {
    let find = |name: &str| {
        let known = || format!("is to have the unknown label '{name}', expected one of {}", classes.join(", "));
        classes.iter().position(|class| class == name).ok_or_else(known)
    };
    match like {
        Some(Target::Dense(values)) if values.len() != classes.len() => {
            Err("cannot have another label: the targets of this data set are numbers".into())
        }
        Some(Target::Dense(values)) => {
            let mut hot = vec![0.0; values.len()];
            for name in label.split('|') {
                hot[find(name.trim())?] = 1.0;
            }
            Ok(Target::Dense(hot))
        }
        _ => Ok(Target::Class(find(label)? as u32)),
    }
}

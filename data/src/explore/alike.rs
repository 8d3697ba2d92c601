//! What lies on two sides of a wall: copies, contradictions, leaks.

use super::{Report, part_name};
use crate::row::{Part, Row, Target};
use crate::similar;
use crate::source::Found;
use serde::Serialize;
use std::collections::BTreeMap;

/// Equal or nearly equal pictures, or rows of the same groups, on two sides of a wall.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Leak {
    /// `parts` or `groups`: which wall.
    pub between: &'static str,
    /// Whether the pixels are equal; none where it is groups that the sides have in common.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equal: Option<bool>,
    /// The files; none where it is groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Groups that have rows in all of the same given parts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Their rows by part.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rows: BTreeMap<&'static str, usize>,
    /// What training does about them, and what can be done.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub advice: String,
}

impl Report {
    /// Equal and nearly equal pictures.
    pub(super) fn compare(&mut self, files: &[Found], rows: &[Row]) {
        self.equal = similar::equal(&self.sketches);
        self.near = similar::near(&self.sketches);
        let paths = |group: &Vec<usize>| group.iter().map(|&i| files[i].path.clone()).collect::<Vec<_>>();
        let seen =
            |group: &[usize]| group.iter().filter_map(|&i| files[i].row.map(|row| &rows[row])).collect::<Vec<_>>();
        for (groups, equal) in [(&self.equal, true), (&self.near, false)] {
            for group in groups {
                let rows = seen(group);
                let between = if differ(rows.iter().map(|row| row.part), PartialEq::eq) {
                    "parts"
                } else if differ(rows.iter().filter_map(|row| row.group.as_ref()), PartialEq::eq) {
                    "groups"
                } else {
                    continue;
                };
                self.leaks.push(Leak { between, equal: Some(equal), paths: paths(group), ..Leak::default() });
            }
        }
        let contradicts =
            |group: &&Vec<usize>| Target::contradict(seen(group).iter().filter_map(|row| row.target.clone()));
        self.label_conflicts = self.equal.iter().filter(contradicts).map(paths).collect();
        self.duplicates = self.equal.iter().map(paths).collect();
        self.near_duplicates = self.near.iter().map(paths).collect();
    }

    /// Groups whose rows lie in several of the given parts.
    pub(super) fn find_torn_groups(&mut self, rows: &[Row]) {
        let mut counts = BTreeMap::<&str, [usize; 3]>::new();
        for row in rows {
            if let Some(group) = &row.group {
                counts.entry(group).or_default()[row.part as usize] += 1;
            }
        }
        let mut torn = BTreeMap::<[bool; 3], Leak>::new();
        for (group, counts) in counts {
            let lies_in = counts.map(|count| count > 0);
            if lies_in.iter().filter(|lies| **lies).count() < 2 {
                continue;
            }
            let leak = torn.entry(lies_in).or_default();
            leak.groups.push(group.into());
            for part in [Part::Train, Part::Validation, Part::Test].into_iter().filter(|part| lies_in[*part as usize]) {
                *leak.rows.entry(part_name(part)).or_default() += counts[part as usize];
            }
        }
        for ([in_train, in_validation, in_test], mut leak) in torn.into_iter().rev() {
            leak.between = "parts";
            let mut advice = vec![];
            if in_train && in_validation {
                advice.push(
                    "training leaves rows of the training part out whose group judges in the validation part, unless data.folds or \
                     data.split deals all rows anew, each group whole",
                );
            }
            if in_test {
                advice.push(
                    "rows with a group of the test part are learned from all the same, so that the test part says nothing of new \
                     groups; where it is to, leave those rows out (data.clean.exclude)",
                );
            }
            leak.advice = advice.join("; ");
            let rows: Vec<String> = leak.rows.iter().map(|(part, count)| format!("{part}: {count}")).collect();
            let (count, rows) = (leak.groups.len(), rows.join(", "));
            self.warnings.push(format!(
                "{count} groups, '{}' among them, have rows in several parts ({rows}): {}",
                leak.groups[0], leak.advice
            ));
            self.leaks.push(leak);
        }
    }
}

/// Whether not all are the same as the first.
fn differ<T>(mut values: impl Iterator<Item = T>, is: impl Fn(&T, &T) -> bool) -> bool {
    values.next().is_some_and(|first| values.any(|value| !is(&first, &value)))
}

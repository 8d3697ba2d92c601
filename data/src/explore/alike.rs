//! Equal and nearly equal pictures: copies, contradictions, leaks.

use super::Report;
use crate::row::Row;
use crate::similar;
use crate::source::Found;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Equal or nearly equal pictures on two sides of a wall.
#[derive(Clone, Debug, Serialize)]
pub struct Leak {
    /// `parts` or `groups`: which wall.
    pub between: &'static str,
    /// Whether the pixels are equal.
    pub equal: bool,
    /// The files.
    pub paths: Vec<String>,
}

/// The clusters of rows that a split tears apart, so that what was learned is asked for again: none where nothing leaks.
///
/// `folds` is the fold of each row; `None` trains in every fold, and therefore must not be in a cluster with a row of a fold.
/// Clusters are [`clusters_of`] groups, [`similar::clusters`] of pictures as rows, or both, and may overlap.
///
/// # Panics
/// When a cluster has a row that has no entry in `folds`.
pub fn leaks_of<'a>(folds: &[Option<usize>], clusters: impl IntoIterator<Item = &'a Vec<usize>>) -> Vec<Vec<usize>> {
    let torn = |cluster: &&Vec<usize>| cluster.iter().any(|&row| folds[row] != folds[cluster[0]]);
    clusters.into_iter().filter(torn).cloned().collect()
}

/// Rows with the same key, as [`Cleaned::split_keys`](crate::clean::Cleaned::split_keys), in the order of the keys; rows without
/// one, or alone with theirs, are in none.
pub fn clusters_of(keys: &[Option<String>]) -> Vec<Vec<usize>> {
    let mut clusters = BTreeMap::<&str, Vec<usize>>::new();
    for (i, key) in keys.iter().enumerate() {
        if let Some(key) = key {
            clusters.entry(key).or_default().push(i);
        }
    }
    clusters.into_values().filter(|cluster| cluster.len() > 1).collect()
}

impl Report {
    pub(super) fn compare(&mut self, files: &[Found], rows: &[Row]) {
        let paths = |group: &Vec<usize>| group.iter().map(|&i| files[i].path.clone()).collect::<Vec<_>>();
        let equal = similar::equal(&self.sketches);
        let pairs = similar::near(&self.sketches);
        let near = similar::clusters(self.sketches.len(), pairs.into_iter().map(|(a, b)| vec![a, b]));
        let row = |i: &usize| files[*i].row.map(|r| &rows[r]);
        let differ = |group: &[usize], of: &dyn Fn(&Row) -> Option<String>| {
            group.iter().filter_map(|i| row(i).and_then(of)).collect::<BTreeSet<_>>().len() > 1
        };
        let part = |row: &Row| Some(format!("{:?}", row.part));
        for (groups, is_equal) in [(&equal, true), (&near, false)] {
            for group in groups {
                if differ(group, &part) {
                    self.leaks.push(Leak { between: "parts", equal: is_equal, paths: paths(group) });
                } else if differ(group, &|row| row.group.clone()) {
                    self.leaks.push(Leak { between: "groups", equal: is_equal, paths: paths(group) });
                }
            }
        }
        // Values that are not known are equal to each other here.
        let label = |row: &Row| row.target.as_ref().map(|target| format!("{target:?}"));
        self.label_conflicts = equal.iter().filter(|group| differ(group, &label)).map(paths).collect();
        self.duplicates = equal.iter().map(paths).collect();
        self.near_duplicates = near.iter().map(paths).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_in_two_folds_leaks() {
        let keys = ["a", "a", "", "b", "b", "b", "c"].map(|key| Some(key.to_string()).filter(|key| !key.is_empty()));
        let clusters = clusters_of(&keys);
        assert_eq!(clusters, [vec![0, 1], vec![3, 4, 5]]);
        let fold = |folds: [i32; 7]| folds.map(|f| usize::try_from(f).ok());
        assert!(leaks_of(&fold([0, 0, 1, 1, 1, 1, 0]), &clusters).is_empty());
        assert_eq!(leaks_of(&fold([0, 1, 1, 1, 1, 1, 0]), &clusters), [vec![0, 1]]);
        // A row of no fold trains while the others are judged.
        assert_eq!(leaks_of(&fold([-1, -1, 1, 1, -1, 1, 0]), &clusters), [vec![3, 4, 5]]);
    }
}

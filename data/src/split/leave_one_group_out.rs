//! Each group judges once.

use super::{Folds, Input, Split};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::similar::clusters;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Each group judges a fold of its own: how good is it on a hospital, an experiment, a speaker that it has never seen? Groups that
/// share a key, as near duplicates have one, are one. Rows without a group train in every fold, unless a key ties them to one.
///
/// | field | default | range |
/// |---|---|---|
/// | `column` | the group | a column whose values are the groups |
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeaveOneGroupOut {
    /// Where the groups stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

impl Split for LeaveOneGroupOut {
    fn folds(&self, input: &Input<'_>, _: u64) -> Result<Folds> {
        let scheme = "leave_one_group_out";
        let key = match &self.column {
            None => input.grouped(scheme).map(|()| Key::Group)?,
            Some(column) => Key::find(column, input.columns)
                .map_err(|error| Error::Invalid(format!("split '{scheme}': {error}")))?,
        };
        let mut groups = BTreeMap::<String, Vec<usize>>::new();
        for (i, row) in input.rows.iter().enumerate() {
            if let Some(group) = key.of(row) {
                groups.entry(group).or_default().push(i);
            }
        }
        let rows = input.rows.len();
        let mut cluster_of = vec![None; rows];
        let connected = groups.values().cloned().chain(input.bundles().into_iter().filter(|b| b.len() > 1));
        for (cluster, members) in clusters(rows, connected).into_iter().enumerate() {
            members.into_iter().for_each(|i| cluster_of[i] = Some(cluster));
        }
        // A group of one row that nothing is tied to is no cluster.
        let id = |i: usize| cluster_of[i].map_or((1, i), |cluster| (0, cluster));
        let mut folds = BTreeMap::<(usize, usize), usize>::new();
        for members in groups.values() {
            let next = folds.len();
            folds.entry(id(members[0])).or_insert(next);
        }
        let of = (0..rows).map(|i| folds.get(&id(i)).copied()).collect();
        match folds.len() {
            0 | 1 => Err(Error::Invalid(format!(
                "split '{scheme}': there are not two groups that nothing ties together, so that none can be left out"
            ))),
            count => Ok(Folds { count, of, ..Folds::default() }),
        }
    }
    fn is_random(&self) -> bool {
        false
    }
    fn marks(&self) -> Vec<String> {
        self.column.iter().cloned().collect()
    }
}

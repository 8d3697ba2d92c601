//! Which prediction a sample's id means.

use super::refuse;
use crate::error::Result;
use std::collections::HashMap;

/// For every wanted id the index of its prediction.
///
/// Equal ids go first; what they take, no other id can get. Then names that fit as paths: equal folders as far as both
/// have some, equal file names, with or without an extension. The closest one wins.
///
/// # Errors
/// Ids that fit several predictions equally well, several ids that fit one, and ids that fit no prediction at all.
pub(super) fn find(wanted: &[String], have: &[String]) -> Result<Vec<Option<usize>>> {
    let exact: HashMap<&str, usize> = have.iter().enumerate().map(|(i, id)| (id.as_str(), i)).collect();
    let mut found: Vec<Option<usize>> = wanted.iter().map(|id| exact.get(id.as_str()).copied()).collect();
    let mut owner: HashMap<usize, &str> = HashMap::new();
    owner.extend(found.iter().zip(wanted).filter_map(|(at, id)| at.map(|i| (i, id.as_str()))));
    let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
    for (i, id) in have.iter().enumerate().filter(|(i, _)| !owner.contains_key(i)) {
        let name = Path::of(id).name;
        by_name.entry(name).or_default().push(i);
        if stem(name) != name {
            by_name.entry(stem(name)).or_default().push(i);
        }
    }
    for (at, id) in found.iter_mut().zip(wanted).filter(|(at, _)| at.is_none()) {
        let path = Path::of(id);
        let mut candidates: Vec<(Closeness, usize)> = [path.name, stem(path.name)]
            .iter()
            .filter_map(|name| by_name.get(name))
            .flatten()
            .filter_map(|&i| Some((path.closeness(&Path::of(&have[i]))?, i)))
            .collect();
        candidates.sort_unstable();
        candidates.dedup();
        let i = match candidates[..] {
            [] => continue,
            [(best, i), (next, j), ..] if best == next => {
                return refuse(format!("id '{id}' fits the predictions '{}' and '{}'", have[i], have[j]));
            }
            [(_, i), ..] => i,
        };
        if let Some(other) = owner.insert(i, id) {
            return refuse(format!("ids '{other}' and '{id}' both fit the prediction '{}'", have[i]));
        }
        *at = Some(i);
    }
    match (wanted, have) {
        ([wanted, ..], [have, ..]) if found.iter().all(Option::is_none) => refuse(format!(
            "none of the sample's ids is among the predictions; the sample begins with '{wanted}', they with '{have}'"
        )),
        (_, []) => refuse("there are no predictions".into()),
        _ => Ok(found),
    }
}

/// Smaller is closer: how the names differ, then how few folders agree.
type Closeness = (u8, std::cmp::Reverse<usize>);

struct Path<'a> {
    folders: Vec<&'a str>,
    name: &'a str,
}

impl<'a> Path<'a> {
    fn of(id: &'a str) -> Self {
        let mut folders: Vec<&str> = id.split(['/', '\\']).filter(|part| !part.is_empty() && *part != ".").collect();
        let name = folders.pop().unwrap_or(id);
        Self { folders, name }
    }

    fn closeness(&self, other: &Self) -> Option<Closeness> {
        let mut folders = self.folders.iter().rev().zip(other.folders.iter().rev());
        let names = match () {
            _ if self.name == other.name => 0,
            _ if self.name == stem(other.name) || stem(self.name) == other.name => 1,
            _ if stem(self.name) == stem(other.name) => 2,
            _ => return None,
        };
        let shared = self.folders.len().min(other.folders.len());
        folders.all(|(a, b)| a == b).then_some((names, std::cmp::Reverse(shared)))
    }
}

/// A file's name without its extension: up to five letters or digits, a letter first, so that numbered names such as
/// `1.2.840` stay whole.
fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, extension))
            if !stem.is_empty()
                && (2..=5).contains(&extension.len())
                && extension.starts_with(|c: char| c.is_ascii_alphabetic())
                && extension.chars().all(|c| c.is_ascii_alphanumeric()) =>
        {
            stem
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    fn fit(wanted: &[&str], have: &[&str]) -> Vec<Option<usize>> {
        find(&ids(wanted), &ids(have)).unwrap()
    }

    #[test]
    fn names_fit_with_and_without_folder_and_extension() {
        assert_eq!(fit(&["a", "b.jpg", "c.png", "d"], &["d", "test/c.jpg", "b", "a.jpg"]), [3, 2, 1, 0].map(Some));
        assert_eq!(fit(&["x/a.jpg", "y/a.jpg"], &["test/y/a.jpg", "test/x/a.jpg"]), [Some(1), Some(0)]);
        assert_eq!(fit(&["a.jpg"], &["a.png", "a"]), [Some(1)]);
        assert_eq!(fit(&["test\\a.jpg"], &["./test/a.jpg"]), [Some(0)]);
    }

    #[test]
    fn numbers_with_dots_are_no_extensions() {
        assert_eq!(fit(&["1.2.3", "1.2.4"], &["1.2.4.dcm", "1.2.5"]), [None, Some(0)]);
    }

    #[test]
    fn an_exact_match_is_never_taken_away() {
        assert_eq!(fit(&["a.png", "a.jpg"], &["a.jpg"]), [None, Some(0)]);
    }

    #[test]
    fn doubts_are_errors() {
        let error = |wanted: &[&str], have: &[&str]| find(&ids(wanted), &ids(have)).unwrap_err().to_string();
        assert!(error(&["a"], &["x/a.jpg", "y/a.jpg"]).contains("'a' fits the predictions 'x/a.jpg' and 'y/a.jpg'"));
        assert!(error(&["a.jpg", "a.png"], &["a"]).contains("'a.jpg' and 'a.png' both fit the prediction 'a'"));
        assert!(error(&["q"], &["a"]).contains("the sample begins with 'q', they with 'a'"));
        assert!(error(&["q"], &[]).contains("no predictions"));
    }
}

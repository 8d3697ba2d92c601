//! A folder per class, as torchvision's `ImageFolder`, with or without train, validation and test folders above.

use super::files::{Tree, below, words};
use super::{Collection, Found, Listing, Reader, Source};
use crate::decode::Color;
use crate::error::{Error, Result};
use crate::labels::{Kind, class_order};
use crate::row::{Part, Row, Target};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Class folders below `path`: `cat/1.jpg`, `train/cat/1.jpg`, or doubly nested as zips of competitions leave them
/// (`seg_train/seg_train/cat/1.jpg`). A test folder without class folders is to be predicted.
///
/// | field | default | range |
/// |---|---|---|
/// | `path` | required | a folder |
/// | `color` | rgb | rgb, gray |
/// | `sample` | none | `folder`: the pictures of a folder inside of a class folder are one sample |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    /// The root.
    pub path: PathBuf,
    /// What pictures are turned into.
    #[serde(default)]
    pub color: Color,
    /// What pictures of one sample share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Unit>,
}

/// What pictures of one sample share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// The folder that they lie in, inside of that of their class or part.
    Folder,
}

/// Where a picture belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    part: Part,
    class: Option<String>,
}

impl Source for Folder {
    fn open(&mut self) -> Result<Collection> {
        let tree = Tree::walk(&self.path)?;
        let collection = class_folders(&tree, tree.reader(self.color), self.sample)?;
        let sample_submission = tree.sample_submission().map(|table| tree.root.join(table));
        Ok(Collection { sample_submission, ..collection })
    }
}

/// The pictures of `tree` as its folders place them; `read` decodes them.
pub(super) fn class_folders(tree: &Tree, read: Reader, sample: Option<Unit>) -> Result<Collection> {
    let paths: Vec<Vec<&str>> = tree.pictures.iter().map(|p| p.split('/').collect()).collect();
    let mut places = vec![None; paths.len()];
    place(&paths, &(0..paths.len()).collect::<Vec<_>>(), 0, None, &mut places)
        .map_err(|why| Error::Layout { path: tree.root.clone(), why })?;

    let known = places.iter().flatten().filter(|p: &&Place| p.part != Part::Test);
    let classes = class_order(known.filter_map(|p| p.class.as_deref()).collect());
    if classes.is_empty() {
        return Err(Error::Layout {
            path: tree.root.clone(),
            why: format!(
                "{} pictures are below it, but no class folders; expected <class>/<picture> or train/<class>/<picture>",
                paths.len()
            ),
        });
    }
    let (mut rows, mut kept, mut files, mut strange) = (vec![], vec![], vec![], BTreeSet::new());
    for (path, place) in tree.pictures.iter().zip(places) {
        let row = place.filter(|place| place.part == Part::Test || place.class.is_some()).map(|place| {
            let class = place.class.as_ref().and_then(|name| classes.iter().position(|c| c == name));
            // Folders of a test part may be those of its samples.
            if class.is_none() && sample.is_none() {
                strange.extend(place.class);
            }
            let target = class.map(|class| Target::Class(class as u32));
            let sample = sample.and_then(|Unit::Folder| own_folder(path, class.map(|class| classes[class].as_str())));
            rows.push(Row { id: path.clone(), part: place.part, target, sample, ..Row::default() });
            kept.push(path.clone());
            rows.len() - 1
        });
        files.push(Found { path: path.clone(), row });
    }
    let warnings = strange.into_iter().map(|name| {
        format!("the test folder '{name}' is no class of the training part; its pictures count as unlabelled")
    });
    let warnings = tree.warnings().into_iter().chain(warnings).collect();
    let dataset = Arc::new(Listing { rows, paths: kept, classes, columns: vec![], read: read.clone() });
    Ok(Collection {
        dataset,
        target: Kind::Class,
        files,
        missing_files: vec![],
        missing_values: BTreeMap::new(),
        label: None,
        sample_submission: None,
        warnings,
        read,
        stamp: below(&tree.root),
    })
}

/// The folder of the picture at `path`, where it is not that of its class or part.
fn own_folder(path: &str, class: Option<&str>) -> Option<String> {
    let (folder, _) = path.rsplit_once('/')?;
    let name = folder.rsplit('/').next().unwrap_or(folder);
    (class.map_or_else(|| part_of(name).is_none(), |class| class != name)).then(|| folder.into())
}

/// The part that a folder of this name holds, and whether its pictures are labelled.
pub(super) fn part_of(name: &str) -> Option<(Part, bool)> {
    words(name).iter().find_map(|word| match word.as_str() {
        "train" | "training" => Some((Part::Train, true)),
        "val" | "valid" | "validation" | "validate" | "dev" => Some((Part::Validation, true)),
        "test" | "testing" => Some((Part::Test, true)),
        "pred" | "predict" | "prediction" | "unlabeled" | "unlabelled" => Some((Part::Test, false)),
        _ => None,
    })
}

/// Places `members` of `paths`, whose first `depth` components are one folder that holds `part`; says what is missing
/// where there are parts, but none to learn from.
fn place(
    paths: &[Vec<&str>],
    members: &[usize],
    depth: usize,
    part: Option<(Part, bool)>,
    places: &mut [Option<Place>],
) -> Result<(), String> {
    let mut folders = BTreeMap::<&str, Vec<usize>>::new();
    let mut direct = vec![];
    for &i in members {
        match paths[i].len() > depth + 1 {
            true => folders.entry(paths[i][depth]).or_default().push(i),
            false => direct.push(i),
        }
    }
    // Whether folder `name` has pictures directly in it, and whether it has folders.
    let holds = |name: &str, folder: bool| folders[name].iter().any(|&i| (paths[i].len() > depth + 2) == folder);
    // A class may be called "train", too: a training part has class folders below it.
    let is_parts = |name: &&&str| part_of(name) == Some((Part::Train, true)) && holds(name, true);
    if part.is_none() && folders.keys().find(is_parts).is_some() {
        for (name, members) in &folders {
            if let Some(part) = part_of(name) {
                place(paths, members, depth + 1, Some(part), places)?;
            }
        }
        return Ok(());
    }
    if part.is_none() && !folders.is_empty() && folders.keys().all(|name| part_of(name).is_some()) {
        return Err(nothing_to_learn_from(folders.keys()));
    }
    let parent = depth.checked_sub(1).map(|d| paths[members[0]][d]);
    if let ([(name, members)], true) = (&folders.iter().collect::<Vec<_>>()[..], direct.is_empty())
        && (!holds(name, false) || Some(**name) == parent)
    {
        return place(paths, members, depth + 1, part, places);
    }
    let (part, labelled) = part.unwrap_or((Part::Train, true));
    for i in direct {
        places[i] = Some(Place { part, class: None });
    }
    for (name, members) in folders {
        for i in members {
            places[i] = Some(Place { part, class: labelled.then(|| name.to_string()) });
        }
    }
    Ok(())
}

/// What is missing where all folders are parts and none is a training part of class folders.
fn nothing_to_learn_from<'a>(folders: impl Iterator<Item = &'a &'a str> + Clone) -> String {
    let shown = folders.clone().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    match folders.clone().find(|name| part_of(name).is_some_and(|(part, _)| part == Part::Train)) {
        Some(train) => format!(
            "'{train}' holds pictures, but no class folders; expected {train}/<class>/<picture>, or a table of labels \
             beside it"
        ),
        None => format!(
            "it holds {shown}, but no training part; expected train/<class>/<picture> beside them, or give a folder of \
             class folders itself"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places of `paths` as "part class" or "-".
    fn placed(paths: &[&str]) -> Vec<String> {
        let split: Vec<Vec<&str>> = paths.iter().map(|p| p.split('/').collect()).collect();
        let mut places = vec![None; paths.len()];
        if let Err(why) = place(&split, &(0..paths.len()).collect::<Vec<_>>(), 0, None, &mut places) {
            return vec![why];
        }
        let shown = |p: Option<Place>| match p {
            Some(Place { part, class }) => format!("{part:?} {}", class.unwrap_or("-".into())),
            None => "-".into(),
        };
        places.into_iter().map(shown).collect()
    }

    #[test]
    fn layouts_of_class_folders() {
        assert_eq!(placed(&["cat/1.jpg", "dog/a/2.jpg", "3.jpg"]), ["Train cat", "Train dog", "Train -"]);
        assert_eq!(
            placed(&["x/train/cat/1.jpg", "x/val/cat/2.jpg", "x/test/cat/3.jpg", "x/readme/4.jpg"]),
            ["Train cat", "Validation cat", "Test cat", "-"]
        );
        assert_eq!(
            placed(&["seg_train/seg_train/a/1.jpg", "seg_test/seg_test/a/2.jpg", "seg_pred/seg_pred/3.jpg"]),
            ["Train a", "Test a", "Test -"]
        );
        assert_eq!(placed(&["train/a/1.png", "train/b/2.png", "test/3.png"]), ["Train a", "Train b", "Test -"]);
        // A class called "train" among vehicles.
        assert_eq!(placed(&["bus/1.jpg", "train/2.jpg"]), ["Train bus", "Train train"]);
        // A single class keeps its name; wrapping folders go.
        assert_eq!(placed(&["archive/data/cat/1.jpg", "archive/data/dog/1.jpg"]), ["Train cat", "Train dog"]);
        assert_eq!(placed(&["cat/1.jpg"]), ["Train cat"]);
    }

    #[test]
    fn parts_without_one_to_learn_from_say_what_is_missing() {
        let none = placed(&["x/test/cat/1.jpg", "x/val/dog/2.jpg"]);
        assert!(
            none[0].starts_with("it holds 'test', 'val', but no training part; expected train/<class>"),
            "{none:?}"
        );
        assert!(placed(&["valid/1.jpg", "test/2.jpg"])[0].contains("no training part"));
        assert!(placed(&["test/cat/1.jpg", "test/dog/1.jpg"])[0].contains("it holds 'test', but"));
        let flat = placed(&["train/1.jpg", "test/2.jpg"]);
        assert!(
            flat[0].starts_with("'train' holds pictures, but no class folders; expected train/<class>"),
            "{flat:?}"
        );
        // Folders that only sound like parts are classes.
        assert_eq!(placed(&["dev/1.jpg", "prod/2.jpg"]), ["Train dev", "Train prod"]);
    }
}

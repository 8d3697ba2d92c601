//! What the written data promise.

use super::{Demo, Layout, dhash};
use data::decode::{Color, decode};
use image::RgbImage;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

type Planted = BTreeMap<String, Vec<String>>;

/// Data of 200 training pictures in a temporary folder.
struct Written {
    folder: tempfile::TempDir,
    planted: Planted,
}

impl Written {
    fn new(layout: Layout, seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let demo = Demo { layout, images: 200, test_images: 40, size: 48, ..Demo::default() };
        demo.write(folder.path(), seed).unwrap();
        let planted = serde_json::from_slice(&fs::read(folder.path().join("planted.json")).unwrap()).unwrap();
        Self { folder, planted }
    }

    /// The file of an id.
    fn file(&self, id: &str) -> Option<PathBuf> {
        let names = [id.to_string(), format!("images/{id}.jpg"), format!("images/{id}.png")];
        names.iter().map(|name| self.folder.path().join(name)).find(|path| path.is_file())
    }

    fn bytes(&self, id: &str) -> Vec<u8> {
        fs::read(self.file(id).unwrap()).unwrap()
    }

    fn picture(&self, id: &str) -> Option<RgbImage> {
        let image = decode(id, &self.bytes(id), Color::Rgb).ok()?.image;
        let [_, height, width, _] = image.dims();
        RgbImage::from_raw(width as u32, height as u32, image.pixels().to_vec())
    }

    fn pictures(&self, kind: &str) -> Vec<RgbImage> {
        self.planted[kind].iter().map(|id| self.picture(id).unwrap()).collect()
    }

    fn table(&self, name: &str) -> Vec<BTreeMap<String, String>> {
        csv::Reader::from_path(self.folder.path().join(name)).unwrap().deserialize().map(Result::unwrap).collect()
    }

    /// Label of every row of `train.csv`.
    fn labels(&self) -> BTreeMap<String, String> {
        self.table("train.csv").into_iter().map(|row| (row["id"].clone(), row["label"].clone())).collect()
    }

    /// Everything below the folder, by path.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        fn walk(folder: &Path, root: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, root, found);
                } else {
                    let name = path.strip_prefix(root).unwrap().display().to_string().replace('\\', "/");
                    found.insert(name, fs::read(&path).unwrap());
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(self.folder.path(), self.folder.path(), &mut found);
        found
    }
}

const LAYOUTS: [Layout; 3] = [Layout::Csv, Layout::Nested, Layout::FlatTest];

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    for layout in LAYOUTS {
        let first = Written::new(layout, 7).files();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert!(first == pool.install(|| Written::new(layout, 7)).files(), "{layout:?}");
        assert!(first != Written::new(layout, 8).files(), "{layout:?}");
    }
}

#[test]
fn every_kind_of_defect_is_planted_in_samples_of_its_own() {
    let everywhere = ["corrupt", "duplicates", "label_conflicts", "near_duplicates", "wrong_labels"];
    let tables = ["missing_files", "missing_values", "unlabelled_files"];
    for layout in LAYOUTS {
        let written = Written::new(layout, 1);
        let mut kinds = everywhere.to_vec();
        kinds.extend(tables.iter().filter(|_| layout == Layout::Csv));
        kinds.sort_unstable();
        assert!(written.planted.keys().eq(&kinds), "{layout:?}: {:?}", written.planted.keys());
        let mut all: Vec<&String> = written.planted.values().flatten().collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
        for (kind, ids) in &written.planted {
            assert!(ids.len() >= 3 && ids.is_sorted(), "{kind}: {ids:?}");
            assert!(ids.iter().all(|id| written.file(id).is_none() == (kind == "missing_files")), "{kind}: {ids:?}");
        }
    }
}

#[test]
fn only_corrupt_files_cannot_be_decoded() {
    for layout in LAYOUTS {
        let written = Written::new(layout, 2);
        let files = written.files().into_iter().filter(|(name, _)| name.ends_with(".jpg") || name.ends_with(".png"));
        let broken: Vec<String> =
            files.filter(|(name, bytes)| decode(name, bytes, Color::Rgb).is_err()).map(|(name, _)| name).collect();
        let mut planted: Vec<String> = written.planted["corrupt"]
            .iter()
            .map(|id| written.file(id).unwrap().strip_prefix(written.folder.path()).unwrap().display().to_string())
            .collect();
        planted.sort();
        assert_eq!(broken, planted, "{layout:?}");
    }
}

#[test]
fn duplicates_have_equal_pixels_and_one_label_and_conflicts_two() {
    for layout in LAYOUTS {
        let written = Written::new(layout, 3);
        let label = |id: &str| match layout {
            Layout::Csv => written.labels()[id].clone(),
            Layout::Nested | Layout::FlatTest => id.rsplit('/').nth(1).unwrap().to_string(),
        };
        let mut twins_in_other_bytes = 0;
        for kind in ["duplicates", "label_conflicts"] {
            let (ids, pictures) = (&written.planted[kind], written.pictures(kind));
            for (i, id) in ids.iter().enumerate() {
                let twins = (0..ids.len()).filter(|&j| j != i && pictures[i] == pictures[j]);
                let [twin] = twins.collect::<Vec<_>>()[..] else { panic!("{kind}: '{id}' has no twin") };
                assert_eq!(label(id) == label(&ids[twin]), kind == "duplicates", "{id} {}", ids[twin]);
                twins_in_other_bytes += usize::from(written.bytes(id) != written.bytes(&ids[twin]));
            }
        }
        assert!(twins_in_other_bytes >= 6, "{layout:?}");
    }
}

#[test]
fn near_duplicates_are_near_and_all_others_far() {
    for layout in LAYOUTS {
        let mut near = vec![];
        for seed in 0..3 {
            let pictures = Written::new(layout, seed).pictures("near_duplicates");
            for (i, picture) in pictures.iter().enumerate() {
                let others = pictures.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, other)| other);
                assert!(others.clone().all(|other| other != picture));
                near.extend(others.map(|other| dhash::distance(picture, other)).min());
            }
        }
        let within = near.iter().filter(|distance| **distance <= 2).count();
        assert!(within * 20 >= near.len() * 19, "{layout:?}: {near:?}");
    }
    let written = Written::new(Layout::Csv, 4);
    let copies = ["duplicates", "near_duplicates", "label_conflicts"];
    let is_copy = |id: &String| copies.iter().any(|kind| written.planted[*kind].contains(id));
    let rows = written.labels().into_keys().filter(|id| !is_copy(id) && written.file(id).is_some());
    let hashes: Vec<u64> = rows.filter_map(|id| written.picture(&id)).map(|picture| dhash::dhash(&picture)).collect();
    let pairs = hashes.iter().enumerate().flat_map(|(i, a)| hashes[..i].iter().map(move |b| (a ^ b).count_ones()));
    let near = pairs.filter(|distance| *distance <= 4).count();
    assert!(hashes.len() > 140 && near <= 1, "{near} pairs of ordinary pictures look alike");
}

#[test]
fn tables_have_the_rows_cells_and_plants_that_they_should() {
    let written = Written::new(Layout::Csv, 5);
    let (train, test) = (written.table("train.csv"), written.table("test.csv"));
    assert_eq!(train.len(), 200 - written.planted["unlabelled_files"].len());
    assert_eq!(test.len(), 40);
    assert!(test.iter().all(|row| !row.contains_key("label")));
    let answers = written.table("sample_submission.csv");
    assert!(answers.iter().map(|row| &row["id"]).eq(test.iter().map(|row| &row["id"])));
    let empty = train.iter().filter(|row| row.values().any(String::is_empty)).map(|row| row["id"].clone());
    assert_eq!(empty.collect::<Vec<_>>(), written.planted["missing_values"]);
    assert!(train.iter().all(|row| test.iter().all(|other| row["plant"] != other["plant"])));
    let mut counts = BTreeMap::<&str, usize>::new();
    train.iter().for_each(|row| *counts.entry(&row["label"]).or_default() += 1);
    let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
    assert!(counts.len() == 5 && (3..=8).contains(&(most / least)), "{counts:?}");
}

#[test]
fn class_folders_have_all_classes_and_a_test_part() {
    for (layout, train, test) in
        [(Layout::Nested, "seg_train/seg_train", "seg_test/seg_test/oak"), (Layout::FlatTest, "train", "test")]
    {
        let written = Written::new(layout, 6);
        let folder = |name: &str| fs::read_dir(written.folder.path().join(name)).unwrap().count();
        assert_eq!(folder(train), 5);
        assert!(folder(test) > 0);
    }
    assert_eq!(Written::new(Layout::FlatTest, 6).table("sample_submission.csv").len(), 40);
}

#[test]
fn the_smallest_data_of_any_number_of_classes_can_be_written() {
    for layout in LAYOUTS {
        for classes in [2, 5, 12] {
            let images = (20 * classes).max(100);
            let demo = Demo { layout, images, test_images: classes, classes, size: 16 };
            for seed in 0..2 {
                demo.write(tempfile::tempdir().unwrap().path(), seed).unwrap();
            }
        }
    }
}

#[test]
fn impossible_data_are_refused_with_the_name_of_the_key() {
    let refused = [
        (Demo { classes: 13, ..Demo::default() }, "demo.classes"),
        (Demo { images: 99, ..Demo::default() }, "demo.images"),
        (Demo { test_images: 1, ..Demo::default() }, "demo.test_images"),
        (Demo { size: 8, ..Demo::default() }, "demo.size"),
    ];
    for (demo, key) in refused {
        assert!(demo.validate().unwrap_err().to_string().starts_with(key));
    }
    assert!(serde_json::from_str::<Demo>(r#"{"layout": "csv", "pictures": 3}"#).is_err());
}

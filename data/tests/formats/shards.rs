//! Files of many samples: what is read of those that others wrote, and what is refused.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sconce_data::explore::explore;
use sconce_data::source::{self, Collection};
use sconce_data::{Dataset, Row, Samples, Target};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/shards").join(path)
}

fn open(path: &Path, more: Value) -> sconce_data::Result<(Collection, Value)> {
    let (name, mut params) = source::recognize(path)?;
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    source::open(name, params)
}

fn opened(path: &Path, more: Value) -> (Collection, Value) {
    open(path, more).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A row as "part id target group sample".
fn shown(collection: &Collection) -> Vec<String> {
    let classes = collection.dataset.classes();
    let target = |row: &Row| match &row.target {
        Some(Target::Class(class)) => classes[*class as usize].clone(),
        Some(Target::Dense(values)) => format!("{values:?}"),
        None => "-".into(),
    };
    let word = |text: &Option<String>| text.clone().unwrap_or("-".into());
    let rows = collection.dataset.rows().iter();
    rows.map(|r| format!("{:?} {} {} {} {}", r.part, r.id, target(r), word(&r.group), word(&r.sample))).collect()
}

/// The pixels of picture `n` of the fixtures.
fn pixels(n: usize) -> Vec<u8> {
    let at = |y: usize, x: usize, c: usize| (37 * n + 50 * y + 20 * x + 70 * c) as u8;
    (0..4).flat_map(|y| (0..6).flat_map(move |x| (0..3).map(move |c| at(y, x, c)))).collect()
}

fn assert_pictures(collection: &Collection, numbers: &[usize]) {
    let dataset = &collection.dataset;
    assert_eq!(dataset.rows().len(), numbers.len());
    // Backwards, so that nothing depends on the order.
    for (row, &number) in numbers.iter().enumerate().rev() {
        let image = dataset.image(row).unwrap_or_else(|error| panic!("{row}: {error}"));
        assert_eq!((image.width(), image.height()), (6, 4));
        assert_eq!(image.pixels(), pixels(number), "row {row} is not picture {number}");
    }
}

/// What is said when the file at `name` is opened as `source`, or its first broken picture is read.
fn outcome(source: &str, path: &Path) -> String {
    match source::open(source, json!({"path": path})) {
        Err(error) => error.to_string(),
        Ok((collection, _)) => {
            let count = collection.dataset.rows().len();
            let broken = (0..count).find_map(|row| collection.dataset.image(row).err());
            broken.map_or("fine".into(), |error| error.to_string())
        }
    }
}

/// Opens every `step`-th beginning of a file and `flips` versions with bits turned: nothing may panic.
fn survives(source: &str, path: &Path, step: usize, flips: usize) {
    let bytes = fs::read(path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join(path.file_name().unwrap());
    assert_eq!(outcome(source, path), "fine");
    let (mut said, mut tried) = (0, 0);
    for length in (0..bytes.len()).step_by(step) {
        fs::write(&broken, &bytes[..length]).unwrap();
        said += usize::from(outcome(source, &broken).contains(&*broken.to_string_lossy()));
        tried += 1;
    }
    // Where a record ends, a file may end.
    assert!(said + 4 > tried, "{said} of {tried} beginnings are said to be broken");
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for _ in 0..flips {
        let mut turned = bytes.clone();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..turned.len());
            turned[at] ^= 1 << rng.random_range(0..8);
        }
        fs::write(&broken, &turned).unwrap();
        outcome(source, &broken);
    }
}

fn refusal(source: &str, name: &str, bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    let said = outcome(source, &path);
    assert!(said.contains(name), "{said}");
    said
}

#[test]
fn records_of_the_flower_competition() {
    let (found, params) = opened(&golden("tfrecord/flowers"), json!({}));
    assert_eq!((&params["image"], &params["id"], &params["label"]), (&json!("image"), &json!("id"), &json!("class")));
    assert_eq!(
        shown(&found),
        [
            "Test flower4 - - -",
            "Test flower5 - - -",
            "Train flower0 0 - -",
            "Train flower1 1 - -",
            "Train flower2 2 - -",
            "Validation flower3 0 - -",
        ]
    );
    assert_pictures(&found, &[4, 5, 0, 1, 2, 3]);
    assert_eq!(found.files[2].path, "train/00-6x4-2.tfrec/00000");
    assert_eq!(found.warnings, Vec::<String>::new());
    let why = (found.read)("train/00-6x4-2.tfrec/00002").unwrap_err().to_string();
    assert!(why.contains("no file has such a record"), "{why}");
    let (train, _) =
        source::open("tfrecord", json!({"path": golden("tfrecord/flowers/train/*-6x4-{1,2}.tfrec")})).unwrap();
    assert_eq!(shown(&train), ["Train flower0 0 - -", "Train flower1 1 - -", "Train flower2 2 - -"]);
    let gap = json!({"path": golden("tfrecord/flowers/train/{00..02}-6x4-1.tfrec")});
    assert!(source::open("tfrecord", gap).err().unwrap().to_string().contains("00-6x4-1.tfrec"));
}

#[test]
fn features_of_every_kind() {
    let path = golden("tfrecord/many.tfrecord");
    let why = open(&path, json!({})).err().unwrap().to_string();
    assert!(why.contains("which field is the label?") && why.contains("age, caption, findings"), "{why}");
    let (found, params) = opened(
        &path,
        json!({"label": "names", "target": "multi_label", "group": "patient_id", "meta": ["age", "sex"]}),
    );
    assert_eq!(params["image"], "scan");
    assert_eq!(found.dataset.classes(), ["a b", "c,d"]);
    let ids: Vec<String> = (0..3).map(|n| format!("many.tfrecord/0000{n}")).collect();
    assert_eq!(
        shown(&found),
        [
            format!("Train {} [0.0, 0.0] p0 -", ids[0]),
            format!("Train {} [1.0, 0.0] p0 -", ids[1]),
            format!("Train {} [1.0, 1.0] p1 -", ids[2]),
        ]
    );
    let meta: Vec<&[f32]> = found.dataset.rows().iter().map(|row| &row.meta[..]).collect();
    assert!(meta[0][0] == 30.5 && meta[0][1].is_nan() && meta[1] == [31.5, 0.0], "{meta:?}");
    assert_eq!(found.missing_values["sex"], [ids[0].clone()]);
    assert_pictures(&found, &[10, 11, 12]);
    let (votes, _) = opened(&path, json!({"label": "votes", "target": "distribution"}));
    assert_eq!(votes.dataset.classes(), ["votes_0", "votes_1"]);
    assert!(shown(&votes)[1].ends_with("[0.25, 0.75] - -"), "{:?}", shown(&votes));
    // Longer than what is kept of a value at first.
    let (caption, _) = opened(&path, json!({"label": "caption"}));
    assert_eq!(caption.dataset.classes(), ["long ".repeat(100)]);
    let why = open(&path, json!({"label": "findings"})).err().unwrap().to_string();
    assert!(why.contains("has 2 values in 'findings' where others have 1"), "{why}");
    let why = open(&path, json!({"label": "scan2"})).err().unwrap().to_string();
    assert!(why.contains("data.label: unknown column 'scan2'"), "{why}");
}

#[test]
fn broken_records() {
    let path = golden("tfrecord/flowers/train/00-6x4-2.tfrec");
    survives("tfrecord", &path, 1, 3000);
    let bytes = fs::read(&path).unwrap();
    let mut wrong = bytes.clone();
    // In the picture of the first record.
    wrong[90] ^= 1;
    assert!(refusal("tfrecord", "a.tfrec", &wrong).contains("does not fit its checksum"));
    let mut wrong = bytes.clone();
    wrong[0] ^= 1;
    assert!(refusal("tfrecord", "a.tfrec", &wrong).contains("it is no TFRecord file"));
    assert!(refusal("tfrecord", "a.tfrec", &[]).contains("it is empty"));
    assert!(refusal("tfrecord", "a.tfrec.gz", &[0x1F, 0x8B, 8, 0, 0, 0, 0]).contains("compressed with gzip"));
    // A length that is checked but follows nowhere.
    let length = u64::MAX.to_le_bytes();
    let masked = crc32c::crc32c(&length).rotate_right(15).wrapping_add(0xA282_EAD8);
    assert!(refusal("tfrecord", "a.tfrec", &[&length[..], &masked.to_le_bytes()].concat()).contains("allowed"));
}

#[test]
fn shards_of_tar_files() {
    let (found, params) = opened(&golden("webdataset"), json!({"group": "patient", "meta": ["age"]}));
    assert_eq!(params["label"], "cls");
    assert_eq!(
        shown(&found),
        [
            "Test 000099 - - -",
            "Train 000020 0 p10 -",
            "Train 000021 1 p10 -",
            "Train 000022 0 p11 -",
            "Train 000023 1 p11 -",
            "Train 000024 0 p12 -",
            "Validation 000025 1 p12 -",
        ]
    );
    assert_pictures(&found, &[99, 20, 21, 22, 23, 24, 25]);
    assert_eq!(found.dataset.rows()[2].meta, [10.5]);
    let masks = found.files.iter().filter(|file| file.row.is_none());
    assert_eq!(masks.clone().count(), 6);
    assert!(masks.into_iter().all(|file| file.path.ends_with(".mask.png")));
    let pattern = golden("webdataset/train-{000000..000001}.tar");
    let (tags, _) = source::open(
        "webdataset",
        json!({"path": pattern, "label": "tags", "target": "multi_label", "image": "mask.png"}),
    )
    .unwrap();
    assert_eq!(tags.dataset.classes(), ["a b", "c,d"]);
    assert_eq!(shown(&tags)[..2], ["Train 000020 [1.0, 1.0] - -", "Train 000021 [0.0, 0.0] - -"]);
    assert_pictures(&tags, &[120, 121, 122, 123, 124]);
    // Several pictures of a sample.
    let (found, _) = opened(&golden("webdataset/train-000001.tar"), json!({"image": ["png", "mask.png"]}));
    assert_eq!(shown(&found)[1..3], ["Train 000023.mask.png 1 - 000023", "Train 000024.png 0 - 000024"]);
    let samples = Samples::gather(found.dataset).unwrap();
    assert_eq!((samples.rows().len(), samples.pictures(1)), (2, 2));
    assert_eq!(samples.picture(1, 1).unwrap().pixels(), pixels(124));
}

#[test]
fn tar_files_that_are_odd() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, members: &[(&str, &[u8])]| {
        let mut builder = tar::Builder::new(vec![]);
        for (name, bytes) in members {
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, *bytes).unwrap();
        }
        let path = folder.path().join(name);
        fs::write(&path, builder.into_inner().unwrap()).unwrap();
        path
    };
    let png = |n: u8| [b"P6 6 4 255\n", &pixels(n.into())[..]].concat();
    let (one, two) = (png(1), png(2));
    // The same keys in two files, paths that lead out, an empty sample, litter.
    let members: &[(&str, &[u8])] = &[
        ("a.ppm", &one),
        ("a.cls", b"x\n"),
        ("../b.ppm", &one),
        ("c.cls", b"y"),
        ("readme.txt", b"?"),
        ("._a.ppm", b""),
    ];
    write("one.tar", members);
    write("two.tar", &[("a.ppm", &two), ("a.cls", b"y")]);
    let (found, _) = opened(folder.path(), json!({}));
    assert_eq!(shown(&found), ["Train one.tar/a x - -", "Train two.tar/a y - -"]);
    assert_eq!(found.missing_files, ["one.tar/c"]);
    assert!(
        found.warnings[0].contains("1 files are links") && found.warnings[0].contains("../b.ppm"),
        "{:?}",
        found.warnings
    );
    assert_pictures(&found, &[1, 2]);
    // Class folders stay what they are, whatever else lies in them.
    let classes = write("classes.tar", &[("cat/1.ppm", &one), ("dog/2.ppm", &two), ("info.json", b"{}")]);
    assert_eq!(source::recognize(&classes).unwrap().0, "tar");
    let broken = write("broken.tar", &[("a.ppm", &one), ("a.json", b"{\"label\": ")]);
    assert!(outcome("webdataset", &broken).contains("'a.json': EOF"), "{}", outcome("webdataset", &broken));
    assert!(refusal("webdataset", "a.tar", &[0x1F, 0x8B, 8, 0, 0, 0, 0]).contains("gunzip"));
    assert!(refusal("webdataset", "a.tar", &[]).contains("truncated"));
    assert!(refusal("webdataset", "a.tar", b"no archive").contains("truncated"));
    survives_tar(&golden("webdataset/val-000000.tar"));
}

fn survives_tar(path: &Path) {
    let bytes = fs::read(path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("val-000000.tar");
    for length in (0..bytes.len()).step_by(37) {
        fs::write(&broken, &bytes[..length]).unwrap();
        outcome("webdataset", &broken);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for _ in 0..1000 {
        let mut turned = bytes.clone();
        turned[rng.random_range(0..bytes.len())] ^= 1 << rng.random_range(0..8);
        fs::write(&broken, &turned).unwrap();
        outcome("webdataset", &broken);
    }
}

#[cfg(feature = "parquet")]
mod parquet {
    use super::*;

    #[test]
    fn files_of_the_hub() {
        let (found, params) = opened(&golden("parquet/hub"), json!({"group": "patient", "meta": ["age"]}));
        assert_eq!(
            (&params["image"], &params["label"], &params["id"]),
            (&json!("image.bytes"), &json!("label"), &Value::Null)
        );
        assert_eq!(found.dataset.classes(), ["cat", "dog", "bee"]);
        let rows = shown(&found);
        assert_eq!(rows[0], "Test data/test-00000-of-00001.parquet/00000 - p27 -");
        assert_eq!(rows[2], "Train data/train-00000-of-00002.parquet/00000 dog p20 -");
        assert_eq!(rows[13], "Train data/train-00001-of-00002.parquet/00001 cat p25 -");
        let ages: Vec<f32> = found.dataset.rows()[2..4].iter().map(|row| row.meta[0]).collect();
        assert!(ages[0].is_nan() && ages[1] == 20.5, "{ages:?}");
        let numbers: Vec<usize> = (55..57).chain(40..55).collect();
        assert_eq!(found.dataset.rows().len(), numbers.len());
        for (row, number) in numbers.into_iter().enumerate().rev() {
            match (found.dataset.image(row), number) {
                (Err(error), 47) => assert!(error.to_string().contains("no bytes of a picture"), "{error}"),
                (image, number) => assert_eq!(image.unwrap().pixels(), pixels(number), "{number}"),
            }
        }
        let report = explore(&found, &Default::default(), &|_, _| ()).unwrap();
        assert_eq!((report.images, report.corrupt.len()), (17, 1));

        let train = golden("parquet/hub/data/train-*.parquet");
        let several = json!({"path": train, "label": "tags", "target": "multi_label", "id": "image.path"});
        // A picture that is null has no path.
        let (tags, _) = source::open("parquet", several).unwrap();
        assert_eq!(tags.dataset.classes(), ["red", "green"]);
        assert_eq!(
            shown(&tags)[..4].join("; "),
            "Train 40.png [0.0, 0.0] - -; Train 41.png [1.0, 0.0] - -; \
                    Train 42.png [1.0, 1.0] - -; Train 43.png [0.0, 0.0] - -"
        );
        assert!(tags.warnings[0].contains("1 samples have no 'image.path'"), "{:?}", tags.warnings);
        assert_eq!(tags.missing_values["tags"].len(), 3);
    }

    #[test]
    fn the_same_pictures_for_any_cache_and_threads() {
        let (found, _) = opened(&golden("parquet/hub"), json!({"cache_mb": 1}));
        let dataset = found.dataset;
        std::thread::scope(|scope| {
            for start in 0..8 {
                let dataset = &dataset;
                scope.spawn(move || {
                    for row in (0..60).map(|i| 2 + (start + i * 7) % 15).filter(|row| *row != 9) {
                        assert_eq!(dataset.image(row).unwrap().pixels(), pixels(38 + row));
                    }
                });
            }
        });
        let none = open(&golden("parquet/hub"), json!({"cache_mb": 0})).err().unwrap().to_string();
        assert!(none.contains("cache_mb must be at least 1"), "{none}");
    }

    #[test]
    fn plain_columns_and_paths() {
        let plain = golden("parquet/plain.parquet");
        let (found, params) = opened(&plain, json!({"id": "uid"}));
        assert_eq!((&params["image"], &params["label"]), (&json!("img"), &json!("species")));
        assert_eq!(shown(&found), ["Train a oak - -", "Train b elm - -"]);
        assert_pictures(&found, &[60, 61]);
        let (hot, _) = opened(&plain, json!({"label": "hot"}));
        assert_eq!(hot.dataset.rows()[1].class(), Some(1));
        let why = open(&golden("parquet/brotli1.parquet"), json!({})).err().unwrap().to_string();
        assert!(why.contains("compressed with BROTLI") && why.contains("write it again with Snappy"), "{why}");

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("paths.parquet");
        fs::copy(golden("parquet/paths.parquet"), &path).unwrap();
        fs::create_dir(folder.path().join("p")).unwrap();
        for (name, n) in [("p/62.png", 62), ("63.png", 63), ("66.png", 66)] {
            let bytes = [b"P6 6 4 255\n", &pixels(n)[..]].concat();
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        let (found, params) = opened(&path, json!({}));
        assert_eq!(params["image"], "file_name");
        assert_eq!(shown(&found), ["Train p/62.png x - -", "Train 63.png y - -"]);
        assert_pictures(&found, &[62, 63]);
        assert_eq!(found.missing_files, ["../64.png", "65.png"]);
        assert!(found.warnings[0].contains("1 paths lead out"), "{:?}", found.warnings);
        assert_eq!(found.files.iter().filter(|file| file.row.is_none()).count(), 1);
    }

    #[test]
    fn pages_of_every_compression() {
        for codec in ["zstd", "gzip", "lz4"] {
            for version in 1..3 {
                let path = golden(&format!("parquet/{codec}{version}.parquet"));
                let (found, _) = opened(&path, json!({"group": "patient", "meta": ["age"]}));
                assert_eq!(
                    shown(&found)[3].split(' ').skip(2).collect::<Vec<_>>(),
                    ["dog", "p21", "-"],
                    "{codec}{version}"
                );
                // Backwards: a page without those in front of it.
                for row in (0..10).rev().filter(|row| *row != 7) {
                    assert_eq!(found.dataset.image(row).unwrap().pixels(), pixels(40 + row), "{codec}{version} {row}");
                }
            }
        }
    }

    #[test]
    fn broken_files() {
        // A null picture is no broken one.
        for codec in ["zstd2", "gzip1", "lz41"] {
            let bytes = fs::read(golden(&format!("parquet/{codec}.parquet"))).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.parquet");
            let mut rng = ChaCha8Rng::seed_from_u64(5);
            for _ in 0..600 {
                let mut turned = bytes.clone();
                turned[rng.random_range(0..bytes.len())] ^= 1 << rng.random_range(0..8);
                fs::write(&path, &turned).unwrap();
                outcome("parquet", &path);
            }
        }
        survives("parquet", &golden("parquet/plain.parquet"), 1, 2000);
        let hub = golden("parquet/hub/data/train-00001-of-00002.parquet");
        survives("parquet", &hub, 7, 1000);
        assert!(refusal("parquet", "a.parquet", b"no Parquet at all").contains("it is no Parquet file or broken"));
        assert!(refusal("parquet", "a.parquet", &[]).contains("it is no Parquet file or broken"));
    }
}

#[test]
fn products_of_several_pictures() {
    let (found, params) = opened(&golden("bson"), json!({"path": golden("bson/t*.bson")}));
    assert_eq!(params["label"], "category_id");
    assert_eq!(
        shown(&found),
        [
            "Test 16-0 - - 16",
            "Test 16-1 - - 16",
            "Train 0-0 1000010653 - 0",
            "Train 10-0 1000010653 - 10",
            "Train 10-1 1000010653 - 10",
            "Train 15-0 1000004085 - 15",
        ]
    );
    assert_eq!(found.warnings, ["'train_example.bson' repeats documents of train.bson and is left out"]);
    assert_pictures(&found, &[74, 75, 70, 71, 72, 73]);
    let samples = Samples::gather(Arc::clone(&found.dataset)).unwrap();
    let of: Vec<(&str, usize)> =
        samples.rows().iter().map(|r| r.id.as_str()).zip((0..4).map(|i| samples.pictures(i))).collect();
    assert_eq!(of, [("16", 2), ("0", 1), ("10", 2), ("15", 1)]);
}

#[test]
fn elements_of_every_type() {
    let path = golden("bson/every.bson");
    let why = open(&path, json!({})).err().unwrap().to_string();
    assert!(why.contains("it has no '_id'; say with data.id"), "{why}");
    let more = json!({"id": "key", "label": "kind", "images": "photo", "group": "long", "meta": ["double", "yes", "undefined"]});
    let (found, _) = opened(&path, more);
    let key = "000102030405060708090a0b";
    assert_eq!(shown(&found), [format!("Train {key}-0 größer 1099511627776 {key}")]);
    assert_pictures(&found, &[76]);
    assert_eq!(found.dataset.columns()[1].categories, ["true"]);
    assert!(found.dataset.rows()[0].meta[0] == 1.5 && found.dataset.rows()[0].meta[2].is_nan());
}

#[test]
fn broken_documents() {
    survives("bson", &golden("bson/train.bson"), 1, 3000);
    let bytes = fs::read(golden("bson/every.bson")).unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("every.bson");
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for _ in 0..3000 {
        let mut turned = bytes.clone();
        turned[rng.random_range(0..bytes.len())] ^= 1 << rng.random_range(0..8);
        fs::write(&path, &turned).unwrap();
        let params = json!({"path": path, "id": "key", "label": "kind", "images": "photo", "meta": ["double", "code"]});
        if let Ok((found, _)) = source::open("bson", params) {
            let _ = found.dataset.image(0);
        }
    }
    // A long text that each of many pictures would have.
    let element = |kind: u8, name: &str, value: &[u8]| [&[kind][..], name.as_bytes(), &[0], value].concat();
    let document = |inside: Vec<u8>| [&(inside.len() as i32 + 5).to_le_bytes()[..], &inside, &[0]].concat();
    let text = [&60_001i32.to_le_bytes()[..], &[b'x'; 60_000], &[0]].concat();
    let many = document(element(5, "", &[0, 0, 0, 0, 0]).repeat(20));
    let long =
        [element(0x10, "_id", &[7, 0, 0, 0]), element(2, "category_id", &text), element(4, "imgs", &many)].concat();
    let said = refusal("bson", "a.bson", &document(long));
    assert!(said.contains("too many for each of 20 pictures"), "{said}");
    let none = json!({"images": "pictures"});
    let why = open(&golden("bson/test.bson"), none).err().unwrap().to_string();
    assert!(why.contains("none of its samples has a picture"), "{why}");
    assert!(refusal("bson", "a.bson", &[]).contains("it is empty"));
    assert!(refusal("bson", "a.bson", &[0xFF; 9]).contains("a length of -1 is announced"));
    assert!(refusal("bson", "a.bson", &[9, 0, 0, 0, 0x20, b'a', 0, 0, 0]).contains("unknown type 0x20"));
    assert!(refusal("bson", "a.bson", &i32::MAX.to_le_bytes()).contains("truncated"));
    // A document in a document that is larger than it.
    let inner = [&[17, 0, 0, 0, 3, b'a', 0][..], &[99, 0, 0, 0], &[0; 6]].concat();
    assert!(refusal("bson", "a.bson", &inner).contains("more is announced than follows"));
}

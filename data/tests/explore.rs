//! The data report of collections made by hand, and its figures against those of Python's libraries
//! (`xtask/fixtures/explore.py`).
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use sconce_data::decode::{Color, Decoded, decode};
use sconce_data::explore::{ExploreConfig, Report, explore};
use sconce_data::similar::{Sketch, dhash, phash};
use sconce_data::source::{Collection, Found};
use sconce_data::{Column, Dataset, Image, Kind, Part, Result, Row, Target};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

struct Made {
    rows: Vec<Row>,
    classes: Vec<String>,
    columns: Vec<Column>,
}

impl Dataset for Made {
    fn rows(&self) -> &[Row] {
        &self.rows
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn columns(&self) -> &[Column] {
        &self.columns
    }
    fn image(&self, index: usize) -> Result<Image> {
        Ok(Image::filled(8, 8, &[index as u8]))
    }
}

/// A collection of one file per row, whose picture is `draw` of the row's number.
fn collection(made: Made, draw: impl Fn(usize) -> Image + Send + Sync + 'static) -> Collection {
    let files = (0..made.rows.len()).map(|i| Found { path: format!("{i:05}.png"), row: Some(i) }).collect();
    let read = move |path: &str| {
        let image = draw(path[..5].parse().unwrap());
        let stored_channels = image.channels();
        Ok(Decoded { image, format: "png", stored_channels, is_deep: false })
    };
    Collection {
        dataset: Arc::new(made),
        target: Default::default(),
        files,
        missing_files: vec![],
        missing_values: Default::default(),
        label: None,
        sample_submission: None,
        warnings: vec![],
        read: Arc::new(read),
        stamp: Arc::new(|_| None),
    }
}

fn look(collection: &Collection) -> Report {
    explore(collection, &ExploreConfig::default(), &|_, _| ()).unwrap()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/explore.json")).unwrap()
}

/// The pattern of the script of the same name.
fn pattern(width: usize, height: usize, channels: usize, kind: usize) -> Image {
    let triangle = |v: usize, period: usize| (v % (2 * period)).abs_diff(period) * 255 / period;
    let value = |i: usize| {
        let (c, x, y) = (i % channels, i / channels % width, i / channels / width);
        let wave = triangle(x * (3 + kind) + 40 * c, width + 7) + triangle(y * (2 + kind) + x * kind, height + 5);
        let mixed = (x * 7919 + y * 104_729 + c * 1_299_709 + kind * 15_485_863) * 2_654_435_761 % (1 << 32);
        (wave / 2 + (mixed >> 27) * kind).min(255) as u8
    };
    Image::new(width, height, channels, (0..width * height * channels).map(value).collect()).unwrap()
}

#[test]
fn hashes_and_sharpness_are_those_of_python() {
    let golden = golden();
    let mut images = vec![];
    for case in golden["drawn"].as_array().unwrap() {
        let [width, height, channels, kind] =
            ["width", "height", "channels", "kind"].map(|key| case[key].as_u64().unwrap() as usize);
        images.push((format!("{width}×{height}"), pattern(width, height, channels, kind), case.clone()));
    }
    for (name, case) in golden["files"].as_object().unwrap() {
        let bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap();
        images.push((name.clone(), decode(name, &bytes, Color::Rgb).unwrap().image, case.clone()));
    }
    let drawn: Vec<Image> = images.iter().map(|(_, image, _)| image.clone()).collect();
    let rows = vec![Row::default(); images.len()];
    let report = look(&collection(Made { rows, classes: vec![], columns: vec![] }, move |i| drawn[i].clone()));
    for (i, (name, image, case)) in images.iter().enumerate() {
        assert_eq!(format!("{:016x}", dhash(image)), case["dhash"].as_str().unwrap(), "{name}");
        assert_eq!(format!("{:016x}", phash(image)), case["phash"].as_str().unwrap(), "{name}");
        let sharpness = f64::from(report.glances[i].as_ref().unwrap().sharpness);
        assert!((sharpness / case["sharpness"].as_f64().unwrap() - 1.0).abs() < 1e-6, "{name}: {sharpness}");
        let sketch = report.sketches[i].as_ref().unwrap();
        assert_eq!((sketch.dhash, sketch.phash), (dhash(image), phash(image)));
        assert_eq!(sketch, &Sketch::of(image));
    }
}

fn hot(id: usize, values: &[f32]) -> Row {
    Row { id: id.to_string(), target: Some(Target::Dense(values.to_vec())), ..Row::default() }
}

#[test]
fn several_labels_are_counted_alone_and_together() {
    let nan = f32::NAN;
    let sets: [&[f32]; 7] = [
        &[1.0, 1.0, 0.0],
        &[1.0, 1.0, 0.0],
        &[0.0, 0.0, 0.0],
        &[0.0, 1.0, 0.0],
        &[1.0, 0.0, 0.0],
        &[1.0, 0.0, nan],
        &[0.0, 1.0, 0.0],
    ];
    let mut rows: Vec<Row> = sets.iter().enumerate().map(|(i, values)| hot(i, values)).collect();
    rows.push(Row { part: Part::Test, ..hot(7, &[1.0, 1.0, 1.0]) });
    let made = Made { rows, classes: names(&["nucleus", "membrane", "rods"]), columns: vec![] };
    let mut made = collection(made, |i| Image::filled(4, 4, &[20 * i as u8]));
    made.target = Kind::MultiLabel;
    let report = look(&made);
    assert_eq!(
        report.classes.iter().map(|(n, c)| (n.as_str(), *c)).collect::<Vec<_>>(),
        [("membrane", 4), ("nucleus", 4)]
    );
    assert_eq!((report.imbalance, report.evenness), (1.0, 1.0));
    let labels = report.multi_label.as_ref().unwrap();
    assert_eq!((labels.rows, labels.empty, labels.unknown, labels.distinct), (7, 1, 1, 4));
    assert!((labels.cardinality - 8.0 / 7.0).abs() < 1e-12 && (labels.density - 8.0 / 21.0).abs() < 1e-12);
    assert_eq!(labels.together, [[4, 2, 0], [2, 4, 0], [0, 0, 0]]);
    // Of 7 rows 4, 4 and 2.
    assert!((labels.correlation[0][1].unwrap() - (7.0 * 2.0 - 16.0) / 12.0).abs() < 1e-12);
    assert_eq!(labels.correlation[0][2], None, "rods are never seen");
    let wished: Vec<(String, usize)> = labels.combinations.iter().map(|c| (c.labels.join("+"), c.count)).collect();
    let wanted = [("", 1), ("nucleus", 1), ("nucleus+membrane", 2), ("membrane", 2)].map(|(l, n)| (l.to_string(), n));
    assert_eq!(wished, wanted);
    assert_eq!(labels.combinations[2].examples, ["00000.png", "00001.png"]);
    let means: Vec<(&str, usize)> = report.mean_images.iter().map(|mean| (&mean.class[..], mean.count)).collect();
    assert_eq!(means, [("nucleus", 4), ("membrane", 4)]);
    assert_eq!(report.mean_images[0].image.pixels()[0], 50, "of 0, 20, 80 and 100");
    let json = serde_json::to_value(&report).unwrap();
    assert!(json["multi_label"]["correlation"][0][2].is_null());
}

/// Textures of which some are spoiled: each by one rule.
#[test]
fn odd_pictures_are_named_by_rules() {
    let draw = |i: usize| match i {
        30 => Image::filled(40, 30, &[128]),
        31 => Image::new(40, 30, 1, (0..1200).map(|i| (i % 5) as u8 * 4).collect()).unwrap(),
        32 => Image::new(40, 30, 1, (0..1200).map(|i| 250 + (i % 5) as u8).collect()).unwrap(),
        33 => Image::new(40, 30, 1, (0..1200).map(|i| 60 + (i % 40) as u8 * 3).collect()).unwrap(),
        34 => pattern(300, 30, 1, 2),
        35 => {
            let mut image = pattern(40, 30, 1, 2);
            image.pixels_mut()[..600].fill(0);
            image
        }
        _ => pattern(40, 30, 1, 2),
    };
    let rows = vec![Row::default(); 36];
    let report = look(&collection(Made { rows, classes: vec![], columns: vec![] }, draw));
    let found: Vec<(&str, Vec<&str>)> =
        report.outliers.iter().map(|o| (o.kind, o.files.iter().map(|(path, _)| &path[3..5]).collect())).collect();
    let wanted: [(&str, &[&str]); 6] = [
        ("blank", &["30"]),
        ("dark", &["31"]),
        ("bright", &["32"]),
        ("blurred", &["31", "32", "33"]),
        ("border", &["35"]),
        ("aspect", &["34"]),
    ];
    for ((kind, paths), (wanted, files)) in found.iter().zip(wanted) {
        assert_eq!(*kind, wanted);
        assert!(
            files.iter().all(|file| paths.contains(file)) && (wanted == "blurred" || paths.len() == 1),
            "{found:?}"
        );
    }
    assert_eq!(found.len(), 6, "{found:?}");
    assert!(report.warnings.contains(&"1 pictures are blank".to_string()), "{:?}", report.warnings);
}

fn row(i: usize) -> Row {
    let mixed = (i * 2_654_435_761 % (1 << 32)) >> 20;
    let (class, test) = (mixed % 3, i.is_multiple_of(3));
    let site = if mixed.is_multiple_of(7) { f32::NAN } else { ((class + mixed / 3 % 2) % 3) as f32 };
    Row {
        id: i.to_string(),
        part: if test { Part::Test } else { Part::Train },
        target: (!test).then_some(Target::Class(class as u32)),
        group: Some((i / 2).to_string()),
        meta: vec![(30 + mixed % 50 + if test { 25 } else { 0 }) as f32, site, class as f32],
        ..Row::default()
    }
}

fn tabular(len: usize) -> Collection {
    let column = |name: &str, categories: &[&str]| Column { name: name.into(), categories: names(categories) };
    let columns =
        vec![column("age", &[]), column("site", &["arm", "head", "leg"]), column("diagnosis", &["x", "y", "z"])];
    let made = Made { rows: (0..len).map(row).collect(), classes: names(&["a", "b", "c"]), columns };
    collection(made, |i| pattern(24 + i / 3 % 3, 20, 3, i % 4))
}

#[test]
fn metadata_are_described_and_compared_with_the_target() {
    let report = look(&tabular(400));
    let [age, site, diagnosis] = &report.metadata[..] else { panic!("{:?}", report.metadata) };
    let numbers = age.numbers.unwrap();
    assert!(age.missing == 0 && (30.0..35.0).contains(&numbers.min) && numbers.max > 90.0, "{age:?}");
    assert!(age.association.as_ref().unwrap().value < 0.1, "{age:?}");
    let (distinct, counts) = site.categories.as_ref().unwrap();
    assert_eq!((*distinct, counts.iter().map(|(_, n)| n).sum::<usize>() + site.missing), (3, 400));
    let told = site.association.as_ref().unwrap();
    assert!(told.measure == "cramers_v" && told.value > 0.3 && told.value < 0.9, "{told:?}");
    assert!(diagnosis.association.as_ref().unwrap().value > 1.0 - 1e-9, "{diagnosis:?}");
    let warned = |text: &str| report.warnings.iter().any(|warning| warning.contains(text));
    assert!(warned("column 'diagnosis' nearly says the target"), "{:?}", report.warnings);
    // Test rows are older.
    let adversarial = report.adversarial.as_ref().unwrap();
    assert_eq!((adversarial.train, adversarial.test), (266, 134));
    assert_eq!(adversarial.features[0].name, "age");
    assert!(adversarial.auc > 0.8 && adversarial.features[0].auc > 0.8 && adversarial.features[0].weight > 1.0);
    assert!(warned("most of all by age"), "{:?}", report.warnings);
}

#[test]
fn parts_that_do_not_differ_are_not_told_apart() {
    let mut rows: Vec<Row> = (0..600).map(row).collect();
    rows.iter_mut().for_each(|row| row.meta[0] = if row.part == Part::Test { row.meta[0] - 25.0 } else { row.meta[0] });
    let columns = vec![Column { name: "age".into(), categories: vec![] }];
    let report =
        look(&collection(Made { rows, classes: names(&["a", "b", "c"]), columns }, |i| pattern(24, 20, 3, i % 4)));
    let adversarial = report.adversarial.unwrap();
    assert!((adversarial.auc - 0.5).abs() < 0.1, "{}", adversarial.auc);
    assert!(!report.warnings.iter().any(|warning| warning.contains("test part differ")), "{:?}", report.warnings);
}

#[test]
fn without_decoding_there_is_what_rows_tell() {
    let mut collection = tabular(400);
    let full = look(&collection);
    collection.read = Arc::new(|path| panic!("{path} is decoded"));
    let config = ExploreConfig { decode: false, ..ExploreConfig::default() };
    let report = explore(&collection, &config, &|_, _| ()).unwrap();
    assert_eq!((report.images, &report.classes, &report.parts), (400, &full.classes, &full.parts));
    assert_eq!(report.metadata.len(), 3);
    assert_eq!(report.adversarial.unwrap().features[0].name, "age");
    assert!(report.sketches.is_empty() && report.corrupt.is_empty() && report.duplicates.is_empty());
}

#[test]
fn values_are_described_as_numbers() {
    let rows = (0..60).map(|i| Row { meta: vec![i as f32], ..hot(i, &[2.0 * i as f32, 5.0]) }).collect();
    let columns = vec![Column { name: "dose".into(), categories: vec![] }];
    let made = Made { rows, classes: names(&["mean", "spread"]), columns };
    let report = look(&Collection { target: Kind::Regression, ..collection(made, |_| Image::filled(4, 4, &[9])) });
    assert_eq!((report.outputs["mean"].max, report.outputs["spread"].std), (118.0, 0.0));
    assert!(report.classes.is_empty() && report.multi_label.is_none());
    let told = report.metadata[0].association.as_ref().unwrap();
    assert_eq!((told.measure, told.label.as_deref()), ("r_squared", Some("mean")));
    assert!((told.value - 1.0).abs() < 1e-12);
    // What adds up to one are shares or numbers, as the table says.
    let shares = |target| {
        let rows = (0..3).map(|i| hot(i, &[0.25, 0.75])).collect();
        let made = Made { rows, classes: names(&["mean", "spread"]), columns: vec![] };
        let report = look(&Collection { target, ..collection(made, |_| Image::filled(4, 4, &[9])) });
        (report.classes.into_iter().collect::<Vec<_>>(), report.outputs.len())
    };
    assert_eq!(shares(Kind::Regression), (vec![], 2));
    assert_eq!(shares(Kind::Distribution), (vec![("spread".to_string(), 3)], 0));
}

#[test]
fn files_of_different_channels_are_told_what_becomes_of_them() {
    let warned = |stored: [usize; 3], decoded: &'static [u8]| {
        let made = Made { rows: vec![Row::default(); 7], classes: vec![], columns: vec![] };
        let mut collection = collection(made, move |_| Image::filled(4, 4, decoded));
        let read = collection.read.clone();
        collection.read = Arc::new(move |path: &str| {
            let stored_channels = stored[path[..5].parse::<usize>().unwrap() % 3];
            Ok(Decoded { stored_channels, ..read(path)? })
        });
        let found = look(&collection).warnings.into_iter().find(|warning| warning.contains("data.color"));
        found.unwrap_or_default()
    };
    let mixed = warned([1, 3, 4], &[1, 2, 3]);
    assert!(
        mixed.contains("store: 3 gray, 2 color, 2 color with transparency or CMYK; all are read as color"),
        "{mixed}"
    );
    assert!(warned([1, 2, 3], &[1]).contains("3 gray, 2 gray with transparency, 2 color; all are read as gray"));
    assert_eq!(warned([3, 3, 3], &[1, 2, 3]), "");
    assert_eq!(warned([5, 6, 5], &[1, 2, 3, 4, 5]), "");
}

/// Six channels and volumes go through everything that RGB does.
#[test]
fn any_number_of_channels_is_looked_at() {
    let rows = (0..4).map(|i| Row { target: Some(Target::Class(i % 2)), ..Row::default() }).collect();
    let draw = |i: usize| {
        Image::volume([3, 8, 9, 6], (0..3 * 8 * 9 * 6).map(|v| (v * (i + 1) % 251) as u8).collect()).unwrap()
    };
    let report = look(&collection(Made { rows, classes: names(&["a", "b"]), columns: vec![] }, draw));
    assert_eq!((report.mean.len(), report.sizes.depth, report.mean_images[1].image.channels()), (6, [3; 3], 6));
}

/// Pictures of one class that differ in channels: the more frequent ones count, whichever come first.
#[test]
fn statistics_are_those_of_the_most_frequent_channels() {
    let rows = (0..8).map(|i| Row { target: Some(Target::Class(i % 2)), ..Row::default() }).collect();
    let draw = |i: usize| match i {
        0 | 1 | 7 => Image::filled(4, 4, &[200]),
        _ => Image::filled(4, 4, &[10 * i as u8, 51, 102]),
    };
    let report = look(&collection(Made { rows, classes: names(&["a", "b"]), columns: vec![] }, draw));
    let [a, b] = &report.mean_images[..] else { panic!("{:?}", report.mean_images) };
    assert_eq!((a.count, &a.image.pixels()[..3]), (3, &[40, 51, 102][..]));
    assert_eq!((b.count, &b.image.pixels()[..3]), (2, &[40, 51, 102][..]), "of two and two the colored ones");
    let wanted = [40.0, 51.0, 102.0].map(|v| v / 255.0);
    assert!(report.mean.len() == 3 && report.mean.iter().zip(wanted).all(|(m, w)| (m - w).abs() < 1e-12));
    assert!(report.std[1..].iter().all(|std| *std == 0.0), "{:?}", report.std);
    assert_eq!(report.channels.into_iter().collect::<Vec<_>>(), [(1, 3), (3, 5)]);
}

#[test]
fn figures_are_those_of_pandas() {
    let golden = &golden()["figures"];
    let number = |v: &Value| v.as_f64().unwrap_or(f64::NAN);
    let list = |v: &Value| v.as_array().unwrap().iter().map(number).collect::<Vec<_>>();
    let small = |v: &Value| list(v).iter().map(|v| *v as f32).collect::<Vec<_>>();
    let rows = small(&golden["dose"]).into_iter().zip(golden["labels"].as_array().unwrap()).enumerate();
    let rows: Vec<Row> = rows.map(|(i, (dose, labels))| Row { meta: vec![dose], ..hot(i, &small(labels)) }).collect();
    let columns = vec![Column { name: "dose".into(), categories: vec![] }];
    let made = Made { rows, classes: names(&["a", "b", "c", "d"]), columns };
    let mut made = collection(made, |i| pattern(20 + i % 3, 16, 3, i % 5));
    made.target = Kind::MultiLabel;
    let report = look(&made);
    let near = |name: &str, own: &[f64], wanted: &[f64]| {
        let same = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * b.abs().max(1.0) || (a.is_nan() && b.is_nan());
        assert!(own.len() == wanted.len() && own.iter().zip(wanted).all(same), "{name}: {own:?} {wanted:?}");
    };
    let n = report.metadata[0].numbers.unwrap();
    near("numbers", &[n.min, n.median, n.max, n.mean, n.std], &list(&golden["numbers"]));
    let labels = report.multi_label.as_ref().unwrap();
    let counts = report.classes.values().map(|count| *count as f64).collect::<Vec<_>>();
    near("counts", &counts, &list(&golden["counts"]));
    for (i, row) in golden["correlation"].as_array().unwrap().iter().enumerate() {
        let own: Vec<f64> = labels.correlation[i].iter().map(|phi| phi.unwrap_or(f64::NAN)).collect();
        near("correlation", &own, &list(row));
    }
    near("mean", &report.mean, &list(&golden["mean"]));
    near("std", &report.std, &list(&golden["std"]));
    let others = [labels.cardinality, report.entropy, labels.unknown as f64, labels.distinct as f64];
    let wanted = ["cardinality", "entropy", "unknown", "distinct"].map(|name| number(&golden[name]));
    near("others", &others, &wanted);
    assert_eq!(report.metadata[0].missing as u64, golden["missing"].as_u64().unwrap());
}

/// Each row has a category of its own: that is associated with any target, and tells nothing of it.
#[test]
fn names_of_rows_are_not_said_to_tell_the_target() {
    let numbers: Vec<String> = (0..60).map(|i| i.to_string()).collect();
    let class = |i: usize| Row { target: Some(Target::Class(i as u32 % 2)), meta: vec![i as f32], ..Row::default() };
    let columns = vec![Column { name: "name".into(), categories: numbers }];
    let made = Made { rows: (0..60).map(class).collect(), classes: names(&["a", "b"]), columns };
    let report = look(&collection(made, |i| pattern(24, 20, 3, i % 4)));
    assert!(report.metadata[0].association.as_ref().unwrap().value > 0.99);
    assert!(!report.warnings.iter().any(|warning| warning.contains("nearly says")), "{:?}", report.warnings);
}

/// Two groups in two given parts, one in all three, one in the training part alone.
#[test]
fn groups_in_several_given_parts_are_leaks() {
    let of = |parts: &[(&str, Part)]| {
        let row = |(i, (group, part)): (usize, &(&str, Part))| Row {
            id: i.to_string(),
            part: *part,
            target: Some(Target::Class(i as u32 % 2)),
            group: (!group.is_empty()).then(|| group.to_string()),
            ..Row::default()
        };
        let rows = parts.iter().enumerate().map(row).collect();
        let collection =
            collection(Made { rows, classes: names(&["a", "b"]), columns: vec![] }, |i| pattern(24, 20, 3, i));
        let decoded = look(&collection);
        let config = ExploreConfig { decode: false, ..ExploreConfig::default() };
        let rows_only = explore(&collection, &config, &|_, _| ()).unwrap();
        assert_eq!(serde_json::to_value(&decoded.leaks).unwrap(), serde_json::to_value(&rows_only.leaks).unwrap());
        decoded
    };
    use Part::{Test, Train, Validation};
    let clean = [("a", Train), ("a", Train), ("b", Validation), ("c", Test), ("", Train), ("", Test)];
    assert!(of(&clean).leaks.is_empty() && of(&clean).warnings.is_empty());
    let torn = [
        ("eve", Train),
        ("eve", Validation),
        ("eve", Train),
        ("adam", Validation),
        ("adam", Train),
        ("all", Train),
        ("all", Validation),
        ("all", Test),
        ("own", Train),
        ("late", Test),
        ("late", Validation),
    ];
    let report = of(&torn);
    let leaks = serde_json::to_value(&report.leaks).unwrap();
    let shown: Vec<_> = leaks.as_array().unwrap().iter().map(|l| (&l["between"], &l["groups"], &l["rows"])).collect();
    let (parts, all, learned, late) = (
        Value::from("parts"),
        (json!(["all"]), json!({"train": 1, "validation": 1, "test": 1})),
        (json!(["adam", "eve"]), json!({"train": 3, "validation": 2})),
        (json!(["late"]), json!({"validation": 1, "test": 1})),
    );
    assert_eq!(shown, [(&parts, &all.0, &all.1), (&parts, &learned.0, &learned.1), (&parts, &late.0, &late.1)]);
    let said = |leak: usize, text: &str| leaks[leak]["advice"].as_str().unwrap().contains(text);
    assert!(said(0, "training leaves rows") && said(0, "data.clean.exclude"));
    assert!(said(1, "training leaves rows") && !said(1, "test part"));
    assert!(!said(2, "training leaves rows") && said(2, "data.clean.exclude"));
    let warned = "2 groups, 'adam' among them, have rows in several parts (train: 3, validation: 2): training leaves";
    assert!(report.warnings.iter().any(|warning| warning.starts_with(warned)), "{:?}", report.warnings);
}

/// What other programs read of it.
#[test]
fn the_report_has_the_promised_keys() {
    let report = serde_json::to_value(look(&tabular(60))).unwrap();
    let lists = ["mean", "std", "corrupt", "missing_files", "unlabelled_files", "duplicates", "near_duplicates"];
    for key in lists.iter().chain(&["label_conflicts", "leaks", "warnings"]) {
        assert!(report[key].is_array(), "{key}");
    }
    assert!(["classes", "sizes", "channels", "missing_values"].iter().all(|key| report[key].is_object()));
    assert!(report["images"].is_u64() && report["imbalance"].is_f64());
    assert!(["equal", "near", "glances", "sketches", "mean_images"].iter().all(|key| report.get(key).is_none()));
}

/// The pool's size is fixed when a process starts, so this test runs itself again under several sizes.
#[test]
fn any_number_of_threads_gives_the_same_report() {
    let digest = |threads: &str| {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["digest_of_a_report", "--exact", "--nocapture"]).env("RAYON_NUM_THREADS", threads);
        let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
        text.lines().find_map(|line| line.split_once("digest: ").map(|(_, digest)| digest.to_string())).unwrap()
    };
    let [one, two, eight] = ["1", "2", "8"].map(digest);
    assert!(one.starts_with("1 threads") && two.starts_with("2 threads") && eight.starts_with("8 threads"));
    assert_eq!([&two[1..], &eight[1..]], [&one[1..]; 2]);
}

#[test]
fn digest_of_a_report() {
    let mut collection = tabular(300);
    collection.read = Arc::new(|path| {
        let i: usize = path[..5].parse().unwrap();
        let image = pattern(24 + i / 3 % 3, 20, if i % 5 < 2 { 1 } else { 3 }, i % 4);
        let stored_channels = image.channels();
        Ok(Decoded { image, format: "png", stored_channels, is_deep: false })
    });
    let report = look(&collection);
    let all = format!("{} {:?}", serde_json::to_string(&report).unwrap(), report.mean_images);
    println!("digest: {} threads {}", rayon::current_num_threads(), blake3::hash(all.as_bytes()).to_hex());
}

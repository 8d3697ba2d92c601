//! Every scheme on a hundred random sets, and beside scikit-learn and iterative-stratification (`xtask/fixtures/split.py`).
#![allow(clippy::unwrap_used)]

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use sconce_data::rng::stream;
use sconce_data::split::{self, Folds, Input, SPLITS, Triple};
use sconce_data::{Column, Part, Row, Target};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Rows, keys and columns of their own.
struct Set {
    rows: Vec<Row>,
    keys: Vec<Option<String>>,
    columns: Vec<Column>,
    classes: Vec<String>,
}

impl Set {
    fn of(rows: Vec<Row>) -> Self {
        let column = |name: &str, categories: &[&str]| Column {
            name: name.into(),
            categories: categories.iter().map(ToString::to_string).collect(),
        };
        let columns = vec![column("day", &[]), column("site", &["a", "b", "c"]), column("fold", &[])];
        let keys = rows.iter().map(|row| row.group.clone()).collect();
        Self { rows, keys, columns, classes: (0..4).map(|c| format!("class {c}")).collect() }
    }

    /// Groups of up to nine rows and rows without one; some of the groups are tied together, as near duplicates tie them.
    fn random(seed: u64) -> Self {
        let mut rng = stream(seed, 0, 0);
        let mut rows = vec![];
        for group in 0..rng.random_range(30..90) {
            let favorite = rng.random_range(0..4);
            let is_alone = rng.random_bool(0.4);
            let fold = (group % 6) as f32 - 1.0;
            for _ in 0..if is_alone { 1 } else { rng.random_range(2..10) } {
                let class = if rng.random_bool(0.6) { favorite } else { rng.random_range(0..4) };
                rows.push(Row {
                    id: rows.len().to_string(),
                    target: Some(Target::Class(class)),
                    group: (!is_alone).then(|| format!("g{group:02}")),
                    meta: vec![rng.random_range(0..50) as f32, rng.random_range(0..3) as f32, fold],
                    ..Row::default()
                });
            }
        }
        let mut set = Self::of(rows);
        for key in set.keys.iter_mut().flatten().filter(|key| key.ends_with('7')) {
            *key = "g05".into();
        }
        set
    }

    fn split(&self, name: &str, params: Value, seed: u64) -> sconce_data::Result<Vec<Folds>> {
        let rows: Vec<&Row> = self.rows.iter().collect();
        let Self { keys, columns, classes, .. } = self;
        split::build(name, params)?.split(&Input { rows: &rows, keys, columns, classes }, seed)
    }

    fn ungrouped(mut self) -> Self {
        self.keys.fill(None);
        self.rows.iter_mut().for_each(|row| row.group = None);
        self
    }

    fn largest_bundle(&self) -> usize {
        let count = |key: &Option<String>| self.keys.iter().filter(|k| *k == key).count();
        self.keys.iter().filter(|key| key.is_some()).map(count).max().unwrap_or(1)
    }

    fn class_counts(&self, rows: &[usize]) -> [usize; 4] {
        let mut counts = [0; 4];
        rows.iter().filter_map(|&i| self.rows[i].class()).for_each(|c| counts[c as usize] += 1);
        counts
    }
}

fn sizes(folds: &Folds) -> Vec<usize> {
    (0..folds.count).map(|fold| folds.judges(fold).len()).collect()
}

fn apart(sizes: &[usize]) -> usize {
    sizes.iter().max().unwrap() - sizes.iter().min().unwrap()
}

/// Straight from the definition, not by the code under test.
fn leaks(set: &Set, folds: &Folds) -> bool {
    let keys = |rows: Vec<usize>| rows.into_iter().filter_map(|i| set.keys[i].clone()).collect::<BTreeSet<String>>();
    (0..folds.count).any(|fold| !keys(folds.trains(fold)).is_disjoint(&keys(folds.judges(fold))))
}

#[test]
fn no_scheme_leaks_and_each_is_a_function_of_its_seed() {
    let params = |name: &str| match name {
        "by_time" => json!({"column": "day", "folds": 3}),
        "leave_one_group_out" | "hold_out" => json!({}),
        "repeated" => json!({"repeats": 2, "of": {"name": "grouped", "folds": 3}}),
        "triple" => json!({"folds": 3, "shards": 6}),
        "predefined" => json!({"column": "fold"}),
        _ => json!({"folds": 4}),
    };
    for entry in SPLITS {
        for seed in 0..100 {
            let mut set = Set::random(seed);
            if entry.name == "predefined" {
                // A given split may leak, which is then said: see below.
                set.keys = set.rows.iter().map(|row| row.group.clone()).collect();
            }
            let all = set.split(entry.name, params(entry.name), seed).unwrap();
            for folds in &all {
                assert_eq!(folds.of.len(), set.rows.len());
                assert!(!leaks(&set, folds), "{} {seed}", entry.name);
                for fold in 0..folds.count {
                    assert!(!folds.judges(fold).is_empty() && !folds.trains(fold).is_empty(), "{} {seed}", entry.name);
                }
                let judged = sizes(folds).iter().sum::<usize>();
                let whole =
                    ["grouped", "k_fold", "multi_label", "repeated", "stratified", "triple"].contains(&entry.name);
                assert!(judged == set.rows.len() || !whole || !folds.rare.is_empty(), "{} {seed}", entry.name);
            }
            assert_eq!(all, set.split(entry.name, params(entry.name), seed).unwrap());
            let other = set.split(entry.name, params(entry.name), seed + 1).unwrap();
            let fixed = ["by_time", "predefined", "leave_one_group_out"].contains(&entry.name);
            assert_eq!(all == other, fixed, "{} {seed}", entry.name);
        }
    }
}

/// Whoever splits rows with groups need not say so again by their keys.
#[test]
fn groups_stay_together_without_keys_and_with_others() {
    for seed in 0..20 {
        let grouped = Set::random(seed);
        let (mut set, mut rng) = (Set::of(grouped.rows), stream(seed, 1, 0));
        let groups = set.keys.clone();
        for near in [0.0, 0.02] {
            set.keys = vec![None; set.rows.len()];
            set.keys.iter_mut().filter(|_| rng.random_bool(near)).for_each(|key| *key = Some("near".into()));
            for name in ["grouped", "hold_out", "k_fold", "multi_label", "stratified", "stratified_grouped", "triple"] {
                let folds = &set.split(name, json!({}), seed).unwrap()[0];
                assert!(!leaks(&set, folds), "{name} {seed}");
                let set = Set { keys: groups.clone(), ..Set::of(set.rows.clone()) };
                assert!(!leaks(&set, folds), "{name} {seed}");
            }
        }
    }
    // Nor does the proof look at keys alone.
    let set = Set::of(vec![Row { group: Some("g".into()), ..Row::default() }; 2]);
    let (rows, torn) =
        (set.rows.iter().collect::<Vec<_>>(), Folds { count: 1, of: vec![None, Some(0)], ..Folds::default() });
    let input = Input { rows: &rows, keys: &[None, None], columns: &[], classes: &[] };
    assert_eq!(torn.check(&input).unwrap_err().key, "g");
}

fn classes(counts: &[usize]) -> Vec<Row> {
    let rows = counts.iter().enumerate().flat_map(|(class, &count)| std::iter::repeat_n(class as u32, count));
    rows.map(|class| Row { target: Some(Target::Class(class)), ..Row::default() }).collect()
}

/// Three hundred rows of one sender, one of which shows what nothing else does.
#[test]
fn a_rare_row_does_not_keep_its_group_from_judging() {
    let mut set = Set::of(classes(&[600, 600, 1]));
    (0..300).chain([1200]).for_each(|i| set.rows[i].group = Some("sender".into()));
    let folds = &set.split("stratified_grouped", json!({}), 1).unwrap()[0];
    assert_eq!((sizes(folds).iter().sum::<usize>(), &folds.rare[..]), (1200, &[(2, 1)][..]));
    let judged = folds.of[0].unwrap();
    let learned = (0..5).filter(|fold| folds.trains(*fold).contains(&1200)).collect::<Vec<_>>();
    assert_eq!(learned, (0..5).filter(|fold| *fold != judged).collect::<Vec<_>>());
}

#[test]
fn every_class_keeps_something_to_learn_from() {
    for seed in 0..20 {
        let mut set = Set::of(classes(&[40, 3, 1, 4]));
        (44..48).for_each(|i| set.rows[i].group = Some(format!("g{}", i / 2)));
        let held = &set.split("hold_out", json!({"share": 0.9}), seed).unwrap()[0];
        assert_eq!(set.class_counts(&held.trains(0))[1..], [1, 1, 2], "{seed}");
        assert_eq!((&held.rare[..], &held.lumped[..]), (&[(2, 1)][..], &[][..]));
        // All of a class in one group.
        (44..48).for_each(|i| set.rows[i].group = Some("g".into()));
        let held = &set.split("hold_out", json!({"share": 0.9}), seed).unwrap()[0];
        assert_eq!((set.class_counts(&held.trains(0))[3], &held.lumped[..]), (4, &[(3, 0)][..]));
    }
}

#[test]
fn folds_without_rows_are_refused() {
    let mut set = Set::of(classes(&[9]));
    (0..8).for_each(|i| set.rows[i].group = Some("g".into()));
    let why = set.split("grouped", json!({"folds": 3}), 0).unwrap_err().to_string();
    assert!(why.contains("fold 3 would have 9 rows to learn from and 0 to judge by: too few groups"), "{why}");
}

#[test]
fn rare_labels_are_told_from_those_of_few_groups() {
    let hot = |labels: [bool; 3]| Row { target: Some(Target::Dense(labels.map(f32::from).to_vec())), ..Row::default() };
    let mut set = Set::of((0..60).map(|i| hot([true, i < 2, (10..30).contains(&i)])).collect());
    (10..30).for_each(|i| set.rows[i].group = Some(format!("g{}", i % 2)));
    let why = set.split("stratified", json!({}), 3).unwrap_err().to_string();
    assert!(why.contains("has several labels") && why.contains("'multi_label'"), "{why}");
    set.split("hold_out", json!({"stratify": false}), 3).unwrap();
    let folds = &set.split("multi_label", json!({}), 3).unwrap()[0];
    assert_eq!((&folds.rare[..], &folds.lumped[..]), (&[(1, 2)][..], &[(2, 2)][..]));
}

/// What scikit-learn promises of `KFold`, `GroupKFold` and `StratifiedKFold`, and shares within bounds of all that spread classes.
#[test]
fn sizes_and_shares_are_within_bounds() {
    for seed in 0..100 {
        let set = Set::random(seed);
        let total = set.class_counts(&(0..set.rows.len()).collect::<Vec<_>>());
        let largest = set.largest_bundle();
        for name in ["k_fold", "grouped"] {
            let folds = &set.split(name, json!({}), seed).unwrap()[0];
            assert!(apart(&sizes(folds)) <= largest, "{name} {seed}: {:?}", sizes(folds));
        }
        let by_class = |folds: &Folds| (0..folds.count).map(|f| set.class_counts(&folds.judges(f))).collect::<Vec<_>>();
        for (name, bound) in [("stratified_grouped", 1.0), ("triple", 1.5)] {
            let folds = &set.split(name, json!({}), seed).unwrap()[0];
            for counts in by_class(folds) {
                for (n, total) in counts.iter().zip(total) {
                    assert!(
                        (*n as f64 - total as f64 / 5.0).abs() <= bound * largest as f64,
                        "{name} {seed}: {counts:?}"
                    );
                }
            }
        }
        let held = &set.split("hold_out", json!({"share": 0.3}), seed).unwrap()[0];
        for (n, total) in by_class(held)[0].iter().zip(total) {
            assert!((*n as f64 - 0.3 * total as f64).abs() <= largest as f64, "hold_out {seed}");
        }

        let set = set.ungrouped();
        let by_class = |folds: &Folds| (0..folds.count).map(|f| set.class_counts(&folds.judges(f))).collect::<Vec<_>>();
        assert!(apart(&sizes(&set.split("k_fold", json!({}), seed).unwrap()[0])) <= 1);
        for name in ["stratified", "multi_label"] {
            let counts = by_class(&set.split(name, json!({}), seed).unwrap()[0]);
            assert!((0..4).all(|c| apart(&counts.iter().map(|n| n[c]).collect::<Vec<_>>()) <= 1), "{name} {counts:?}");
        }
        let held = &set.split("hold_out", json!({"share": 0.3}), seed).unwrap()[0];
        assert!((sizes(held)[0] as f64 - 0.3 * set.rows.len() as f64).abs() <= 1.0);
        let exact = |(n, total): (&usize, usize)| (*n as f64 - 0.3 * total as f64).abs() <= 1.0;
        assert!(by_class(held)[0].iter().zip(total).all(exact), "hold_out {seed}");
        let plain = &set.split("hold_out", json!({"share": 0.3, "stratify": false}), seed).unwrap()[0];
        assert!((sizes(plain)[0] as f64 - 0.3 * set.rows.len() as f64).abs() <= 0.5);
    }
}

/// Two thousand patients as in melanoma: one of fifty pictures is malignant, one patient has up to sixty pictures.
#[test]
fn shards_are_even_in_three_ways() {
    let mut rng = stream(11, 0, 0);
    let mut rows = vec![];
    for patient in 0..2000 {
        let pictures = 1 + (60.0 * rng.random::<f64>().powi(4)) as usize;
        for _ in 0..pictures {
            rows.push(Row {
                target: Some(Target::Class(u32::from(rng.random_bool(0.02)))),
                group: Some(format!("{patient:04}")),
                ..Row::default()
            });
        }
    }
    let set = Set::of(rows);
    let rows: Vec<&Row> = set.rows.iter().collect();
    let input = Input { rows: &rows, keys: &set.keys, columns: &[], classes: &set.classes };
    let shards = Triple::default().shards(&input, 42).unwrap();
    let spread = |counts: &[usize]| {
        let mean = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
        counts.iter().map(|n| (*n as f64 - mean).abs() / mean).fold(0.0, f64::max)
    };
    let count = |of: &dyn Fn(usize) -> bool| {
        (0..15).map(|s| (0..rows.len()).filter(|&i| shards[i] == s && of(i)).count()).collect::<Vec<usize>>()
    };
    let size = |i: usize| set.keys.iter().filter(|key| **key == set.keys[i]).count();
    let sizes: Vec<usize> = (0..rows.len()).map(size).collect();
    assert!(spread(&count(&|_| true)) < 0.05, "{:?}", count(&|_| true));
    let malignant = count(&|i| rows[i].class() == Some(1));
    assert!(spread(&malignant) < 0.15, "{malignant:?}");
    // Pictures of patients with about as many.
    for range in [1..2, 2..4, 4..8, 8..16, 16..32, 32..64] {
        let pictures = count(&|i| range.contains(&sizes[i]));
        assert!(spread(&pictures) < 0.15, "{range:?}: {pictures:?}");
    }
    let folds = &set.split("triple", json!({}), 42).unwrap()[0];
    for fold in 0..5 {
        assert_eq!(folds.judges(fold).iter().map(|&i| shards[i]).collect::<BTreeSet<_>>().len(), 3);
    }
}

fn golden() -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/split.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

/// Mean over labels of the largest distance between a fold's share of it and an equal part.
fn spread(set: &Set, folds: &Folds, labels: usize) -> f64 {
    let has = |label: usize, fold: Option<usize>| {
        let of_fold = |i: &usize| fold.is_none() || folds.of[*i] == fold;
        (0..set.rows.len()).filter(|i| of_fold(i) && set.rows[*i].labels().contains(&label)).count() as f64
    };
    let off = |label, fold| (has(label, Some(fold)) / has(label, None) - 1.0 / folds.count as f64).abs();
    let worst = |label| (0..folds.count).map(|fold| off(label, fold)).fold(0.0, f64::max);
    (0..labels).map(worst).sum::<f64>() / labels as f64
}

/// Group sizes are exactly scikit-learn's. Classes are spread as evenly as by its `StratifiedGroupKFold`, give or take a fifth and
/// half a point of a share: both are means over ten seeds.
#[test]
fn groups_are_spread_as_evenly_as_by_scikit_learn() {
    for case in golden()["grouped"].as_array().unwrap() {
        let k = case["k"].as_u64().unwrap();
        let rows = numbers(&case["labels"]).into_iter().zip(numbers(&case["groups"])).map(|(label, group)| Row {
            target: Some(Target::Class(label as u32)),
            group: Some(format!("{group:03}")),
            ..Row::default()
        });
        let set = Set::of(rows.collect());
        let mut own = sizes(&set.split("grouped", json!({"folds": k}), 3).unwrap()[0]);
        own.sort_unstable();
        assert_eq!(own, numbers(&case["sizes"]));
        let labels = set.rows.iter().flat_map(Row::labels).max().unwrap() + 1;
        let of_seed = |seed| {
            let folds = &set.split("stratified_grouped", json!({"folds": k}), seed).unwrap()[0];
            assert!(folds.rare.is_empty());
            spread(&set, folds, labels)
        };
        let (own, expected) = ((0..10).map(of_seed).sum::<f64>() / 10.0, case["spread"].as_f64().unwrap());
        assert!(own <= 1.2 * expected + 0.005, "{own} {expected}");
    }
}

/// Labels are spread and folds sized as evenly as by `MultilabelStratifiedKFold`, give or take a tenth and a quarter of a point.
#[test]
fn labels_are_spread_as_evenly_as_by_iterative_stratification() {
    for case in golden()["multi_label"].as_array().unwrap() {
        let (k, count) = (case["k"].as_u64().unwrap(), case["count"].as_u64().unwrap() as usize);
        let row = |bits: usize| {
            let hot = (0..count).map(|label| (bits >> label & 1) as f32).collect();
            Row { target: Some(Target::Dense(hot)), ..Row::default() }
        };
        let set = Set::of(numbers(&case["labels"]).into_iter().map(row).collect());
        let (mut own, mut uneven) = (0.0, 0.0);
        for seed in 0..10 {
            let folds = &set.split("multi_label", json!({"folds": k}), seed).unwrap()[0];
            let even = set.rows.len() as f64 / k as f64;
            own += spread(&set, folds, count) / 10.0;
            uneven += sizes(folds).iter().map(|n| (*n as f64 - even).abs()).fold(0.0, f64::max) / 10.0;
        }
        let expected = case["spread"].as_f64().unwrap();
        assert!(own <= 1.1 * expected + 0.0025, "{own} {expected}");
        assert!(uneven <= case["unevenness"].as_f64().unwrap() + 1.0, "{uneven} {}", case["unevenness"]);
    }
}

#[test]
fn windows_are_those_of_scikit_learn() {
    for case in golden()["time"].as_array().unwrap() {
        let samples = case["samples"].as_u64().unwrap() as usize;
        // The last row is the first in time.
        let row = |i: usize| Row { meta: vec![(samples - i) as f32], ..Row::default() };
        let set = Set::of((0..samples).map(row).collect());
        let folds = &set.split("by_time", json!({"column": "day", "folds": case["k"]}), 0).unwrap()[0];
        for (fold, expected) in case["folds"].as_array().unwrap().iter().enumerate() {
            let [train, start, judged] = numbers(expected)[..] else { panic!() };
            let from = |start: usize, count: usize| (samples - start - count..samples - start).collect::<Vec<_>>();
            assert_eq!((folds.trains(fold), folds.judges(fold)), (from(0, train), from(start, judged)));
        }
    }
}

#[test]
fn nothing_of_a_time_or_group_that_judges_trains() {
    let row = |day: f32, group: &str| Row {
        group: (!group.is_empty()).then(|| group.into()),
        meta: vec![day],
        ..Row::default()
    };
    let set = Set::of(vec![
        row(1.0, "p"),
        row(2.0, ""),
        row(3.0, "q"),
        row(4.0, ""),
        row(4.0, "q"),
        row(4.0, "r"),
        row(5.0, "p"),
    ]);
    let folds = &set.split("by_time", json!({"column": "day", "folds": 2, "share": 0.2}), 0).unwrap()[0];
    // The rows of day 4 judge together; group q cannot train then, nor p afterwards.
    assert_eq!((folds.judges(0), folds.trains(0)), (vec![3, 4, 5], vec![0, 1]));
    assert_eq!((folds.judges(1), folds.trains(1)), (vec![6], vec![1, 2, 3, 4, 5]));
    let why = |rows: Vec<Row>, params| Set::of(rows).split("by_time", params, 0).unwrap_err().to_string();
    let missing = why(vec![row(1.0, ""), Row { id: "x".into(), ..row(f32::NAN, "") }], json!({"column": "day"}));
    assert!(missing.contains("'x'") && missing.contains("'day'"), "{missing}");
    let few = why(vec![row(1.0, ""); 9], json!({"column": "day"}));
    assert!(few.contains("too few different times in column 'day'"), "{few}");
}

#[test]
fn given_splits_are_taken_as_they_are_unless_they_leak() {
    let row = |fold: f32, part| Row { meta: vec![0.0, 0.0, fold], part, ..Row::default() };
    let mut set = Set::of([0.0, 1.0, -1.0, f32::NAN, 1.0].map(|fold| row(fold, Part::Train)).to_vec());
    set.rows.iter_mut().zip(["p", "q", "r", "s", "t"]).for_each(|(row, id)| row.id = id.into());
    let folds = &set.split("predefined", json!({"column": "fold"}), 0).unwrap()[0];
    assert_eq!((folds.count, &folds.of[..]), (2, &[Some(0), Some(1), None, None, Some(1)][..]));
    set.keys[0] = Some("k".into());
    set.keys[3] = Some("k".into());
    let why = set.split("predefined", json!({"column": "fold"}), 0).unwrap_err().to_string();
    assert!(
        why.contains("'s' and 'p' are of one group, 'k', but one trains fold 1 and the other judges it; "),
        "{why}"
    );
    assert!(why.contains("data.clean.exclude"), "{why}");
    let why = Set::of(vec![row(2.0, Part::Train); 3]).split("predefined", json!({"column": "fold"}), 0);
    assert!(why.unwrap_err().to_string().contains("no row of column 'fold' judges fold 0"));

    set = Set::of([Part::Train, Part::Validation, Part::Train].map(|part| row(0.0, part)).to_vec());
    assert_eq!(set.split("predefined", json!({}), 0).unwrap()[0].of, [None, Some(0), None]);
    let by_site = |set: &Set| set.split("predefined", json!({"column": "site", "train": "a"}), 0);
    let why = by_site(&set).unwrap_err().to_string();
    assert!(why.contains("no row judges: all have 'a' or nothing in column 'site'"), "{why}");
    set.rows[1].meta = vec![0.0, 2.0, 0.0];
    // Folds are numbered by the categories that there are: nobody is of site b.
    assert_eq!(by_site(&set).unwrap()[0].of, [None, Some(0), None]);
    set.rows[2].meta = vec![0.0, 1.0, 0.0];
    assert_eq!(by_site(&set).unwrap()[0].of, [None, Some(1), Some(0)]);
}

#[test]
fn each_group_is_left_out_once() {
    let row = |group: &str, site: f32| Row {
        group: (!group.is_empty()).then(|| group.into()),
        meta: vec![0.0, site],
        ..Row::default()
    };
    let mut set = Set::of(vec![row("x", 0.0), row("y", 1.0), row("z", 1.0), row("", 2.0), row("x", 1.0), row("", 0.0)]);
    let of = |set: &Set, params| set.split("leave_one_group_out", params, 0).unwrap()[0].of.clone();
    assert_eq!(of(&set, json!({})), [Some(0), Some(1), Some(2), None, Some(0), None]);
    // A near duplicate of group y, and groups that are tied together.
    set.keys = ["x", "y", "x", "y", "x"].iter().map(|key| Some(key.to_string())).chain([None]).collect();
    assert_eq!(of(&set, json!({})), [Some(0), Some(1), Some(0), Some(1), Some(0), None]);
    set.keys = vec![None; 6];
    // Group x is of both sites.
    assert_eq!(of(&set, json!({"column": "site"})), [Some(0), Some(0), Some(0), Some(1), Some(0), Some(0)]);
    let set = set.ungrouped();
    assert_eq!(of(&set, json!({"column": "site"})), [Some(0), Some(1), Some(1), Some(2), Some(1), Some(0)]);
}

#[test]
fn repeats_differ_and_the_first_is_the_scheme_itself() {
    let set = Set::random(1);
    let repeats = set.split("repeated", json!({"repeats": 3, "of": "stratified"}), 9).unwrap();
    assert_eq!(repeats.len(), 3);
    assert_eq!(repeats[0], set.split("stratified", json!({}), 9).unwrap()[0]);
    assert!(repeats[0] != repeats[1] && repeats[1] != repeats[2] && repeats[0] != repeats[2]);
    for fixed in [json!({"name": "by_time", "column": "day"}), json!("predefined"), json!("leave_one_group_out")] {
        let why = set.split("repeated", json!({"of": fixed}), 9).unwrap_err().to_string();
        assert!(why.contains("gives the same folds every time"), "{why}");
    }
}

/// The scheme that recipes had before there were several.
#[test]
fn stratified_folds_are_those_of_the_function() {
    let set = Set::random(2);
    let labels: Vec<u32> = set.rows.iter().filter_map(Row::class).collect();
    let folds = split::stratified_group_k_fold(&labels, &set.keys, 5, 77).unwrap();
    let scheme = &set.split("stratified", json!({}), 77).unwrap()[0];
    assert_eq!((&scheme.of, &scheme.rare, &scheme.lumped), (&folds.of, &folds.rare, &folds.lumped));
    // FNV-1a of the folds: runs are reproducible from version to version.
    let hash = folds
        .of
        .iter()
        .fold(0xCBF2_9CE4_8422_2325u64, |h, fold| (h ^ fold.map_or(99, |f| f as u64)).wrapping_mul(0x0100_0000_01B3));
    assert_eq!(hash, PINNED);
}

const PINNED: u64 = 15_280_210_309_134_605_432;

#[test]
fn strata_come_from_numbers_and_columns() {
    let mut rng: ChaCha8Rng = stream(3, 0, 0);
    let row = |i: usize, rng: &mut ChaCha8Rng| Row {
        target: Some(Target::Dense(vec![rng.random::<f32>().powi(3)])),
        meta: vec![0.0, if i < 20 { 1.0 } else { 0.0 }, 0.0],
        ..Row::default()
    };
    let set = Set::of((0..200).map(|i| row(i, &mut rng)).collect());
    let number = |i: usize| match &set.rows[i].target {
        Some(Target::Dense(values)) => values[0],
        _ => f32::NAN,
    };
    let folds = &set.split("stratified", json!({"bins": 10}), 1).unwrap()[0];
    let medians = (0..5).map(|fold| {
        let mut values: Vec<f32> = folds.judges(fold).into_iter().map(number).collect();
        values.sort_by(f32::total_cmp);
        values[values.len() / 2]
    });
    let medians: Vec<f32> = medians.collect();
    assert!(medians.iter().all(|m| (0.08..0.2).contains(m)), "{medians:?}");
    // More ranges than rows for them: each still judges in every fold.
    let few = Set::of(set.rows[..30].to_vec());
    let folds = &few.split("stratified", json!({"bins": 10}), 1).unwrap()[0];
    assert_eq!((sizes(folds), folds.rare.len()), (vec![6; 5], 0));
    let by = &set.split("stratified", json!({"by": "site"}), 1).unwrap()[0];
    assert!((0..5).all(|fold| by.judges(fold).iter().filter(|i| **i < 20).count() == 4));
    assert_eq!(by.strata[1], "b");
}

#[test]
fn impossible_splits_say_what_to_do() {
    let set = Set::random(5);
    let why = |name: &str, params: Value| set.split(name, params, 0).unwrap_err().to_string();
    assert!(why("stratifed", json!({})).contains("unknown split 'stratifed', expected one of by_time, grouped"));
    assert!(why("stratified", json!({"k": 5})).contains("`k`"));
    assert!(why("stratified", json!({"folds": 1})).contains("folds must be at least 2, got 1"));
    assert!(why("hold_out", json!({"share": 1})).contains("share must be above 0 and below 1"));
    assert!(
        why("by_time", json!({"column": "date"})).contains("unknown column 'date', expected one of day, site, fold")
    );
    assert!(why("by_time", json!({"column": "day", "folds": 5, "share": 0.2})).contains("nothing to train on"));
    assert!(why("triple", json!({"shards": 2})).contains("shards must be at least 5"));
    assert!(why("repeated", json!({"of": "repeated"})).contains("itself repeated"));
    assert!(why("k_fold", json!({"folds": 100_000})).contains("use fewer folds"));
    let alone = Set::of(vec![Row::default(); 9]);
    for name in ["grouped", "stratified_grouped", "leave_one_group_out"] {
        assert!(alone.split(name, json!({}), 0).unwrap_err().to_string().contains("no row has a group"), "{name}");
    }
    assert_eq!(
        split::resolve("repeated", json!({"of": "k_fold"})).unwrap(),
        json!({"repeats": 3, "of": {"name": "k_fold"}})
    );
    assert_eq!(split::resolve("stratified", json!({})).unwrap(), json!({"folds": 5, "bins": 10}));
}

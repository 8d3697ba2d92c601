//! The `clothing` pictures, where they are present beside the checkout: what is known of them must be found.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use sconce_data::explore::{ExploreConfig, explore};
use sconce_data::{Part, clean, source, split};
use std::collections::BTreeMap;
use std::path::Path;

#[test]
fn known_facts_are_found_and_no_sender_sits_in_two_folds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/clothing");
    if !root.exists() {
        println!("skipped: {} is not there", root.display());
        return;
    }
    let (name, mut params) = source::recognize(&root).unwrap();
    assert_eq!(name, "csv");
    params["group"] = "sender_id".into();
    let (collection, params) = source::open(name, params).unwrap();
    assert_eq!((&params["id"], &params["label"]), (&"image".into(), &"label".into()));
    let drop: Vec<String> = ["Not sure", "Other", "Skip"].map(str::to_string).into();
    let config = ExploreConfig { drop_labels: drop.clone(), root: Some(root.clone()), ..ExploreConfig::default() };
    let report = explore(&collection, &config, &|_, _| ()).unwrap();
    assert_eq!(report.images, 5762);
    assert_eq!(report.classes.values().sum::<usize>() + report.dropped_labels.values().sum::<usize>(), 5403);
    assert_eq!((report.classes.len(), report.classes["T-Shirt"], report.dropped_labels["Skip"]), (17, 1011, 12));
    assert_eq!(report.groups, 351);
    assert_eq!(report.corrupt.len(), 6, "{:?}", report.corrupt);
    assert!(report.corrupt.iter().all(|(_, why)| why == "the file is empty"));
    assert_eq!((report.unlabelled_files.len(), report.missing_files.len()), (359, 0));
    assert_eq!(report.duplicates.len(), 1, "{:?}", report.duplicates);
    assert!(report.duplicates[0].iter().any(|p| p.contains("680b1bbb")));
    assert!(report.duplicates[0].iter().any(|p| p.contains("a1f62195")));
    println!("near duplicates: {}, warnings: {:?}", report.near_duplicates.len(), report.warnings);

    let cleaned = clean::clean(&collection, &report, &Default::default(), &drop).unwrap();
    let rows = cleaned.dataset.rows();
    assert!(rows.iter().all(|row| row.part == Part::Train && row.target.is_some()));
    assert_eq!((rows.len(), cleaned.dataset.classes().len()), (5096, 17));
    let labels: Vec<u32> = rows.iter().filter_map(|row| row.class()).collect();
    let folds = split::stratified_group_k_fold(&labels, &cleaned.split_keys, 5, 1).unwrap();
    let mut fold_of = BTreeMap::new();
    for (row, fold) in rows.iter().zip(&folds.of) {
        assert_eq!(fold_of.entry(row.group.clone().unwrap()).or_insert(*fold), fold, "{:?}", row.group);
    }
    let sizes: Vec<usize> = (0..5).map(|f| folds.of.iter().filter(|o| **o == Some(f)).count()).collect();
    println!("fold sizes: {sizes:?}, {:?}", folds.lumped);
    assert!(sizes.iter().all(|n| (850..1200).contains(n)), "{sizes:?}");
}

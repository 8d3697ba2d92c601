//! Layouts on disk, what is found wrong with them, and what cleaning leaves.

use sconce_data::clean::{CleanConfig, Cleaned, clean};
use sconce_data::explore::{Report, explore};
use sconce_data::source::{self, Collection};
use sconce_data::{Part, Row};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A picture of its own for every number, as BMP bytes.
fn picture(number: u32) -> Vec<u8> {
    let side = 16u32;
    let mut bytes = b"BM".to_vec();
    let header: [u32; 13] = [54 + side * side * 3, 0, 54, 40, side, side, 1 | 24 << 16, 0, side * side * 3, 0, 0, 0, 0];
    bytes.extend(header.iter().flat_map(|v| v.to_le_bytes()));
    let mut state = (u64::from(number) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    state = (state ^ (state >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    // Blocks of 4×4, so that thumbnails differ, too.
    let blocks: Vec<u8> = (0..48)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect();
    for i in 0..side * side {
        let block = (i / side / 4 * 4 + i % side / 4) as usize;
        bytes.extend_from_slice(&blocks[3 * block..3 * block + 3]);
    }
    bytes
}

fn folder(files: &[(&str, Vec<u8>)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

fn open(path: &Path, more: Value) -> sconce_data::Result<(Collection, Value)> {
    let (name, mut params) = source::recognize(path)?;
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    source::open(name, params)
}

fn look(collection: &Collection) -> Report {
    explore(collection, &Default::default(), &|_, _| ()).unwrap()
}

fn error<T>(result: sconce_data::Result<T>) -> String {
    result.err().unwrap().to_string()
}

fn shown(collection: &Collection) -> Vec<String> {
    let classes = collection.dataset.classes();
    let class = |row: &Row| row.class().map_or("-", |c| &classes[c as usize]).to_string();
    collection.dataset.rows().iter().map(|row| format!("{:?} {} {}", row.part, row.id, class(row))).collect()
}

#[test]
fn class_folders_open_and_their_flaws_are_named() {
    let data = folder(&[
        ("train/cat/1.bmp", picture(1)),
        ("train/cat/2.bmp", picture(2)),
        ("train/cat/3.jpg", vec![]),
        ("train/dog/4.png", picture(2)),
        ("train/dog/5.bmp", picture(5)),
        ("train/dog/.hidden.bmp", picture(6)),
        ("train/notes.bmp", picture(7)),
        ("test/a.bmp", picture(8)),
        ("test/b.bmp", picture(1)),
        ("sample_submission.csv", b"file,species\na.bmp,cat\nb.bmp,cat\n".to_vec()),
    ]);
    let (collection, params) = open(data.path(), json!({})).unwrap();
    assert_eq!(params["color"], "rgb");
    assert_eq!(
        shown(&collection),
        [
            "Test test/a.bmp -",
            "Test test/b.bmp -",
            "Train train/cat/1.bmp cat",
            "Train train/cat/2.bmp cat",
            "Train train/cat/3.jpg cat",
            "Train train/dog/4.png dog",
            "Train train/dog/5.bmp dog"
        ]
    );
    assert!(collection.sample_submission.as_ref().unwrap().ends_with("sample_submission.csv"));
    let report = look(&collection);
    assert_eq!(report.corrupt, [("train/cat/3.jpg".to_string(), "the file is empty".to_string())]);
    assert_eq!(report.unlabelled_files, ["train/notes.bmp"]);
    assert_eq!(report.label_conflicts, [["train/cat/2.bmp", "train/dog/4.png"]]);
    assert_eq!(report.duplicates, [["test/b.bmp", "train/cat/1.bmp"], ["train/cat/2.bmp", "train/dog/4.png"]]);
    assert_eq!(report.leaks.len(), 1);
    assert_eq!((report.leaks[0].between, &report.leaks[0].paths[0][..]), ("parts", "test/b.bmp"));
    assert!(
        report
            .warnings
            .iter()
            .any(|w| w.contains("1 files have another format than their name says, as 'train/dog/4.png'"))
    );
    assert_eq!((report.classes["cat"], report.classes["dog"]), (3, 2));

    let config = CleanConfig { max_broken: 0.2, ..CleanConfig::default() };
    let cleaned = clean(&collection, &report, &config, &[]).unwrap();
    let left: Vec<&str> = cleaned.dataset.rows().iter().map(|r| r.id.as_str()).collect();
    assert_eq!(left, ["test/a.bmp", "test/b.bmp", "train/cat/1.bmp", "train/dog/5.bmp"]);
    let reason = |id: &str| cleaned.excluded.iter().find(|(i, _)| i == id).unwrap().1.clone();
    assert_eq!(reason("train/cat/3.jpg"), "its picture cannot be decoded");
    assert_eq!(reason("train/cat/2.bmp"), "an equal picture has another label");
    let strict = CleanConfig { max_broken: 0.05, ..CleanConfig::default() };
    let message = error(clean(&collection, &report, &strict, &[]));
    assert!(
        message.contains("1 of 8 pictures") && message.contains("'train/cat/3.jpg' (the file is empty)"),
        "{message}"
    );
}

fn table() -> TempDir {
    let train =
        "\u{feff}image;label;plant;height\na;oak;p1;1.5\nb;oak;p1;\nc;elm;p2;2\nd;elm;;3\ne;elm;p3;4\ngone;oak;p9;1\n";
    let mut files: Vec<(String, Vec<u8>)> =
        "abcde".chars().map(|c| (format!("images/{c}.bmp"), picture(c as u32))).collect();
    files.push(("images/f.bmp".into(), picture('a' as u32)));
    files.push(("images/lonely.bmp".into(), picture(99)));
    files.push(("images/t1.bmp".into(), picture(200)));
    files.push(("train.csv".into(), (train.to_string() + "f;oak;p2;7\n").into_bytes()));
    files.push(("sample_submission.csv".into(), b"image,label\nt1,oak\nt2,oak\n".to_vec()));
    folder(&files.iter().map(|(p, b)| (p.as_str(), b.clone())).collect::<Vec<_>>())
}

#[test]
fn tables_are_understood_without_being_told() {
    let data = table();
    let (collection, params) = open(data.path(), json!({"group": "plant", "meta": ["height"]})).unwrap();
    assert_eq!(
        (&params["id"], &params["label"], &params["table"]),
        (&json!("image"), &json!("label"), &json!("train.csv"))
    );
    let rows = shown(&collection);
    assert_eq!(
        rows,
        ["Train a oak", "Train b oak", "Train c elm", "Train d elm", "Train e elm", "Train f oak", "Test t1 -"]
    );
    assert_eq!(collection.missing_files, ["gone", "t2"]);
    assert_eq!(collection.missing_values["plant"], ["d"]);
    assert_eq!(collection.missing_values["height"], ["b"]);
    let meta: Vec<f32> = collection.dataset.rows().iter().map(|row| row.meta[0]).collect();
    assert!(meta[0] == 1.5 && meta[1].is_nan() && meta[6].is_nan());
    let report = look(&collection);
    assert_eq!(report.unlabelled_files, ["images/lonely.bmp"]);
    assert_eq!(report.leaks[0].between, "groups");
    // Copies in two groups connect these groups where both stay.
    let keep =
        CleanConfig { duplicates: sconce_data::clean::Duplicates::Keep, max_broken: 1.0, ..CleanConfig::default() };
    let keys = |config: &CleanConfig| -> Cleaned { clean(&collection, &report, config, &[]).unwrap() };
    let kept = keys(&keep);
    assert_eq!(kept.split_keys[0], kept.split_keys[2]);
    assert_eq!(kept.split_keys[3], None);
    let one = keys(&CleanConfig { max_broken: 1.0, ..CleanConfig::default() });
    assert!(one.excluded.iter().any(|(id, why)| id == "f" && why.contains("copy")));
    let dropped = clean(&collection, &report, &keep, &["elm".into()]).unwrap();
    assert_eq!(dropped.dataset.classes(), ["oak"]);
    assert!(dropped.dataset.rows().iter().all(|row| row.part == Part::Test || row.class() == Some(0)));
    assert!(
        error(clean(&collection, &report, &keep, &["elk".into()]))
            .contains("unknown label 'elk', expected one of elm, oak")
    );
}

#[test]
fn a_table_alone_can_be_given() {
    let data = table();
    let (collection, params) = open(&data.path().join("train.csv"), json!({})).unwrap();
    assert_eq!(params["table"], "train.csv");
    assert_eq!(collection.dataset.classes(), ["elm", "oak"]);
}

#[test]
fn wrong_tables_and_places_are_clear_errors() {
    let data = table();
    let message = error(open(data.path(), json!({"group": "plan"})));
    assert!(message.contains("unknown column 'plan', expected one of image, label, plant, height"), "{message}");
    assert!(error(open(data.path(), json!({"gruop": "plant"}))).contains("unknown field `gruop`"));
    assert!(error(open(Path::new("/nowhere/at/all"), json!({}))).contains("cannot read '/nowhere/at/all'"));
    assert!(error(open(folder(&[("a.txt", vec![1])]).path(), json!({}))).contains("no pictures"));
    assert!(error(open(folder(&[("a.bmp", picture(1))]).path(), json!({}))).contains("no class folders"));
    let parts = folder(&[("val/a/1.bmp", picture(1)), ("test/b/2.bmp", picture(2))]);
    assert!(error(open(parts.path(), json!({}))).contains("it holds 'test', 'val', but no training part"));
    let message = error(open(data.path(), json!({"id": "imag"})));
    assert!(message.contains("data.id: unknown column 'imag', expected one of image, label, plant"), "{message}");
    let broken = |text: &str| {
        let data = folder(&[("a.bmp", picture(1)), ("b.bmp", picture(2)), ("train.csv", text.as_bytes().to_vec())]);
        error(source::open("csv", json!({"path": data.path()})))
    };
    assert!(broken("id,label\na,x\nb\n").contains("line 3 has 1 cells, but the header 2"));
    assert!(broken("").contains("expected a header line"));
    assert!(broken("id,id\na,x\n").contains("column 'id' stands in the header twice"));
    let twice = broken("id,label\na,x\na,y\nb,x\nb,x\nb,z\n");
    assert!(
        twice.contains("id 'a' stands on lines 2 and 3 with different 'label', id 'b' stands on lines 4 and 6 "),
        "{twice}"
    );
    assert!(broken("id,size,weight\na,1,2\nb,3,4\n").contains("which column is the label"));
    assert!(broken("id,label\nq,x\nr,y\n").contains("has a column that names its pictures"));
}

#[test]
#[cfg(unix)]
fn links_in_a_circle_runs_and_two_names_for_one_picture() {
    let data = folder(&[
        ("cat/1.bmp", picture(1)),
        ("dog/2.bmp", picture(2)),
        ("dog/3.gif", vec![1]),
        ("runs/x/recipe.toml", vec![]),
        ("runs/x/demo-data/9.bmp", picture(9)),
        ("notes.csv", b"number,price\n1,2\n2,3\n".to_vec()),
    ]);
    std::os::unix::fs::symlink("..", data.path().join("dog/loop")).unwrap();
    let (collection, _) = open(data.path(), json!({})).unwrap();
    assert_eq!(shown(&collection), ["Train cat/1.bmp cat", "Train dog/2.bmp dog"]);
    assert!(collection.warnings[0].contains("1 files are no pictures of a known kind and are ignored, as 'dog/3.gif'"));
    let twice = folder(&[("p/0.bmp", picture(0)), ("train.csv", b"id,label\n0,a\n0.bmp,b\n".to_vec())]);
    assert!(
        error(open(twice.path(), json!({}))).contains("line 3: ids '0' and '0.bmp' mean the same picture 'p/0.bmp'")
    );
    let unreadable = folder(&[("p/0.bmp", picture(0)), ("train.csv", b"\xFF\xFE".to_vec())]);
    assert!(error(source::recognize(unreadable.path())).contains("train.csv"));
}

#[test]
fn plain_pictures_are_no_near_duplicates() {
    let plain = |level: u8| {
        let mut bytes = picture(0);
        bytes[54..].fill(level);
        bytes
    };
    let data =
        folder(&[("a/1.bmp", plain(0)), ("a/2.bmp", plain(3)), ("b/3.bmp", plain(250)), ("b/4.bmp", plain(250))]);
    let report = look(&open(data.path(), json!({})).unwrap().0);
    assert_eq!((report.duplicates.len(), report.near_duplicates.len()), (1, 0));
}

#[test]
fn names_that_mean_two_pictures_are_decided_by_folders_or_refused() {
    let files = |x: &str, y: &str| {
        folder(&[
            (x, picture(1)),
            (y, picture(2)),
            ("train.csv", b"id,label\n1,a\n".to_vec()),
            ("test.csv", b"id\n1\n".to_vec()),
        ])
    };
    let data = files("train/1.bmp", "test/1.bmp");
    let (collection, _) = open(data.path(), json!({})).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(collection.files.iter().map(|f| f.row).collect::<Vec<_>>(), [Some(1), Some(0)]);
    let message = error(open(files("x/1.bmp", "y/1.bmp").path(), json!({})));
    assert!(message.contains("line 2: id '1' may be 'x/1.bmp' or 'y/1.bmp'"), "{message}");
}

/// Rows of what cleaning leaves: id, class, pictures and split key.
fn samples(collection: &Collection) -> Vec<String> {
    let cleaned = clean(collection, &look(collection), &CleanConfig::default(), &[]).unwrap();
    let dataset = &cleaned.dataset;
    let row = |(i, row): (usize, &Row)| {
        let class = row.class().map_or("-", |class| &dataset.classes()[class as usize]);
        let key = cleaned.split_keys[i].as_deref().unwrap_or("alone");
        format!("{} {class} {} {key}", row.id, dataset.pictures(i))
    };
    dataset.rows().iter().enumerate().map(row).collect()
}

#[test]
fn rows_of_a_table_are_pictures_of_samples() {
    let train = "image,label,patient,side,site\na,oak,p1,left,s\nb,oak,p1,left,s\nc,elm,p1,right,s\nd,elm,p2,left,t\ne,oak,p3,left,u\n";
    let mut files: Vec<(String, Vec<u8>)> = "abcdf".chars().map(|c| (format!("{c}.bmp"), picture(c as u32))).collect();
    // A copy of another sample's picture in a sample of its own keeps both in one fold.
    files.push(("e.bmp".into(), picture('a' as u32)));
    files.push(("train.csv".into(), train.into()));
    files.push(("test.csv".into(), b"image,patient,side,site\nf,p9,left,v\n".to_vec()));
    let data = folder(&files.iter().map(|(p, b)| (p.as_str(), b.clone())).collect::<Vec<_>>());
    let (collection, params) = open(data.path(), json!({"sample": ["patient", "side"]})).unwrap();
    assert_eq!(params["sample"], json!(["patient", "side"]));
    assert_eq!(
        samples(&collection),
        ["p1/left oak 2 a", "p1/right elm 1 alone", "p2/left elm 1 alone", "p9/left - 1 alone"]
    );
    let (collection, _) = open(data.path(), json!({"sample": "patient"})).unwrap();
    let cleaned = clean(&collection, &look(&collection), &CleanConfig::default(), &[]);
    assert!(error(cleaned).contains("sample 'p1' have different labels: 'a' (oak) and 'c' (elm)"));
    let why = error(open(data.path(), json!({"sample": "patients"})));
    assert!(why.contains("data.sample: unknown column 'patients'"), "{why}");
    let why = error(open(data.path(), json!({"sample": "patient", "pictures": ["image"]})));
    assert!(why.contains("give one of them"), "{why}");
}

#[test]
fn columns_of_a_table_are_pictures_of_a_sample() {
    let mut files: Vec<(String, Vec<u8>)> =
        "abcdefgh".chars().map(|c| (format!("{c}.bmp"), picture(c as u32))).collect();
    files.push(("train.csv".into(), b"patient,left,right,label\np1,a,b,oak\np2,c,d,elm\np3,e,,oak\n".to_vec()));
    files.push(("test.csv".into(), b"patient,left,right\np9,g,h\n".to_vec()));
    files.push(("sample_submission.csv".into(), b"patient,label\np9,oak\n".to_vec()));
    let data = folder(&files.iter().map(|(p, b)| (p.as_str(), b.clone())).collect::<Vec<_>>());
    let more = json!({"id": "patient", "pictures": ["left", "right"]});
    let (collection, _) = open(data.path(), more.clone()).unwrap();
    assert_eq!(
        shown(&collection),
        ["Train a oak", "Train b oak", "Train c elm", "Train d elm", "Train e oak", "Test g -", "Test h -"]
    );
    assert_eq!(collection.missing_values["right"], ["p3"]);
    assert_eq!(samples(&collection), ["p1 oak 2 a", "p2 elm 2 c", "p3 oak 1 alone", "p9 - 2 g"]);
    fs::remove_file(data.path().join("test.csv")).unwrap();
    let why = error(open(data.path(), more));
    assert!(why.contains("data.test_table"), "{why}");
}

#[test]
fn folders_inside_of_class_folders_are_samples() {
    let data = folder(&[
        ("train/cat/tom/1.bmp", picture(1)),
        ("train/cat/tom/2.bmp", picture(2)),
        ("train/cat/3.bmp", picture(3)),
        ("train/dog/rex/4.bmp", picture(4)),
        ("test/who/5.bmp", picture(5)),
        ("test/who/6.bmp", picture(6)),
    ]);
    let (collection, _) = open(data.path(), json!({"sample": "folder"})).unwrap();
    let found = samples(&collection);
    assert_eq!(
        found,
        [
            "test/who - 2 test/who/5.bmp",
            "train/cat/3.bmp cat 1 alone",
            "train/cat/tom cat 2 train/cat/tom/1.bmp",
            "train/dog/rex dog 1 alone"
        ]
    );
    assert!(collection.warnings.is_empty(), "{:?}", collection.warnings);
}

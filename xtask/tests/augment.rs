//! The contact sheet: what is on it, and that it depends on nothing but its options.
#![allow(clippy::unwrap_used)]

mod program;

use image::RgbImage;
use program::{fails, read, said, succeeds, with};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

const SMALL: &[&str] = &["demo.images=200", "demo.test_images=5", "demo.size=24", "preprocess.size=24", "data.folds=2"];
/// Of the network's input, and how often each pixel is repeated.
const SIDE: u32 = 24 * 4;

fn augment(folder: &Path, out: &str, sets: &[&str]) -> Command {
    let mut command = program::sconce(folder);
    command.args(["augment", "demo", "--quiet", "--json", "--out", out, "--rows", "5", "--columns", "4"]);
    with(with(command, SMALL), sets)
}

fn sheet(folder: &Path, out: &str) -> RgbImage {
    image::load_from_memory(&read(&folder.join(out).join("augment.png"))).unwrap().into_rgb8()
}

/// The picture in a row and a column.
fn cell(sheet: &RgbImage, row: u32, column: u32) -> RgbImage {
    let at = |i: u32, wide: bool| 12 + i * (SIDE + 4) + if wide { 8 } else { 0 };
    image::imageops::crop_imm(sheet, at(column, column > 0), at(row, row >= 5), SIDE, SIDE).to_image()
}

#[test]
fn a_sheet_shows_what_each_epoch_sees_and_is_the_same_for_any_number_of_threads() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let described = said(&succeeds(augment(folder, "one", &[]).args(["--threads", "1"])));
    succeeds(augment(folder, "two", &[]).args(["--threads", "2"]));
    succeeds(augment(folder, "eight", &[]).args(["--threads", "8"]));
    succeeds(augment(folder, "other", &[]).args(["--seed", "1"]));
    let file = |out: &str| read(&folder.join(out).join("augment.png"));
    assert!(file("one") == file("two") && file("one") == file("eight") && file("one") != file("other"));
    assert_eq!(fs::read_dir(folder.join("one")).unwrap().count(), 1, "demo data were left behind");

    let classes: Vec<&str> =
        described["rows"].as_array().unwrap().iter().map(|r| r["class"].as_str().unwrap()).collect();
    let mut different = classes.clone();
    different.dedup();
    assert!(different.len() == 5 && classes.is_sorted(), "{classes:?}");
    assert_eq!((&described["epochs"], &described["channels"]), (&4.into(), &3.into()));
    assert!(described["mixed"].is_null() && described["file"] == "one/augment.png");
    let sheet = sheet(folder, "one");
    let size = [described["width"].as_u64().unwrap() as u32, described["height"].as_u64().unwrap() as u32];
    assert_eq!([sheet.width(), sheet.height()], size);
    for row in 0..5 {
        for (a, b) in [(0, 1), (1, 2), (2, 3), (3, 4)] {
            assert!(cell(&sheet, row, a) != cell(&sheet, row, b), "row {row}, columns {a} and {b}");
        }
    }
    succeeds(&mut augment(folder, "one", &[]));
    assert!(file("one") == file("two"), "another sheet may take the place of the first");
}

#[test]
fn without_transforms_every_epoch_sees_what_evaluation_sees() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    succeeds(&mut augment(folder, "plain", &["augment.transforms=[]"]));
    let plain = sheet(folder, "plain");
    for row in 0..5 {
        assert!((1..5).all(|column| cell(&plain, row, column) == cell(&plain, row, 0)), "row {row}");
        assert!(row == 0 || cell(&plain, row, 0) != cell(&plain, row - 1, 0), "row {row}");
    }
    // Rows do not depend on the transforms, and evaluation does not see them.
    succeeds(&mut augment(folder, "changed", &[]));
    let changed = sheet(folder, "changed");
    assert!((0..5).all(|row| cell(&plain, row, 0) == cell(&changed, row, 0)));
}

#[test]
fn a_batch_is_shown_mixed_and_gray_pictures_gray() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let mixing = ["augment.transforms=[]", "augment.batch=['cutmix']", "data.color=gray", "preprocess.stats=imagenet"];
    let described = said(&succeeds(&mut augment(folder, "mixed", &mixing)));
    assert_eq!(described["channels"], 1);
    let pictures = described["mixed"]["pictures"].as_array().unwrap();
    assert_eq!(pictures.len(), 8);
    let shares = |picture: &Value| -> Vec<f64> {
        picture["target"].as_object().unwrap().values().map(|share| share.as_f64().unwrap()).collect()
    };
    assert!(pictures.iter().all(|picture| (shares(picture).iter().sum::<f64>() - 1.0).abs() < 1e-5));
    assert!(pictures.iter().any(|picture| shares(picture).len() == 2), "{pictures:?}");
    let sheet = sheet(folder, "mixed");
    assert!(sheet.pixels().all(|pixel| pixel.0 == [pixel.0[0]; 3]));
    let ground = |row, column| cell(&sheet, row, column).pixels().all(|pixel| pixel.0 == [128; 3]);
    assert!((5..7).all(|row| ground(row, 0) && (1..5).all(|column| !ground(row, column))));
    let text = String::from_utf8(succeeds(&mut without_json(augment(folder, "mixed", &mixing))).stdout).unwrap();
    assert!(text.contains("after cutmix") && text.contains("row  5") && text.contains("mixed/augment.png"), "{text}");
}

/// The same command for a person.
fn without_json(command: Command) -> Command {
    let mut plain = Command::new(command.get_program());
    plain.args(command.get_args().filter(|arg| *arg != "--json")).current_dir(command.get_current_dir().unwrap());
    plain
}

#[test]
fn a_sample_is_replayed_step_by_step() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let sets =
        ["augment.transforms=[{name='rotate', p=0.5}, {name='one_of', of=['dihedral', 'flip']}, 'color_jitter']"];
    let shown = said(&succeeds(&mut augment(folder, "sheet", &sets)));
    let id = shown["rows"][0]["id"].as_str().unwrap().to_string();
    let replay = |out: &str, more: &[&str]| {
        let mut command = program::sconce(folder);
        command.args(["augment", "demo", "--quiet", "--json", "--out", out, "--columns", "4", "--sample", &id]);
        let mut command = with(with(command, SMALL), &sets);
        command.args(more);
        command
    };
    let described = said(&succeeds(&mut replay("one", &["--threads", "1"])));
    assert_eq!(said(&succeeds(&mut replay("one", &["--threads", "3"]))), described);
    assert_eq!((&described["id"], &described["fold"]), (&Value::from(id.as_str()), &1.into()));
    let epochs = described["epochs"].as_array().unwrap();
    assert_eq!(epochs.len(), 4);
    for epoch in epochs {
        let steps = epoch["steps"].as_array().unwrap();
        let top: Vec<&str> =
            steps.iter().filter(|s| s["depth"] == 0).map(|step| step["name"].as_str().unwrap()).collect();
        assert_eq!(top, ["rotate", "one_of", "color_jitter", "resize"]);
        let turned = steps[0]["drawn"]["degrees"].is_f64();
        assert_eq!(steps[0]["drawn"]["happens"], turned, "{epoch}");
        assert!(steps.iter().any(|step| step["depth"] == 1), "{epoch}");
    }
    // The last picture of each row is the one that the sheet shows of this epoch.
    let (own, all) = (sheet(folder, "one"), sheet(folder, "sheet"));
    for epoch in 0..4 {
        let steps = epochs[epoch as usize]["steps"].as_array().unwrap().len() as u32;
        assert!(cell(&own, epoch, steps) == cell(&all, 0, 1 + epoch), "epoch {epoch}");
    }
    let text = String::from_utf8(succeeds(&mut without_json(replay("one", &[]))).stdout).unwrap();
    assert!(text.contains(&format!("'{id}' with seed 0 in fold 1")) && text.contains("  rotate  happens "), "{text}");
    let mut unknown = augment(folder, "out", &[]);
    unknown = without_rows(unknown);
    assert!(fails(unknown.args(["--sample", "nobody"]), 2).contains("'nobody' is none of this data set"));
}

/// The same command without `--rows`.
fn without_rows(command: Command) -> Command {
    let mut other = Command::new(command.get_program());
    let args: Vec<_> = command.get_args().collect();
    let at = args.iter().position(|arg| *arg == "--rows").unwrap();
    other.args(args[..at].iter().chain(&args[at + 2..])).current_dir(command.get_current_dir().unwrap());
    other
}

#[test]
fn transforms_must_have_a_meaning_where_they_stand() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let steps = fails(&mut augment(folder, "out", &["preprocess.steps=['flip']"]), 2);
    assert!(steps.contains("'flip' changes pictures at random; it belongs into augment.transforms"), "{steps}");
}

#[test]
fn mistakes_are_found_before_anything_is_read() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let large = fails(augment(folder, "out", &[]).args(["--set", "preprocess.size=2048"]), 2);
    assert!(large.contains("more than 8192 a side") && large.contains("fewer --rows or --columns"), "{large}");
    assert!(fails(augment(folder, "out", &[]).args(["--samples", "0"]), 2).contains("--rows"));
    assert!(fails(&mut augment(folder, "out", &["augment.transforms=['flpi']"]), 2).contains("did you mean 'flip'?"));
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0, "something was written");
    fs::create_dir(folder.join("run")).unwrap();
    fs::write(folder.join("run/recipe.toml"), "").unwrap();
    assert!(fails(&mut augment(folder, "run", &[]), 2).contains("'run' holds a run"));
}

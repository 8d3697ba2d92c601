//! The benches: what they print, and what they say where there is nothing to measure.
#![allow(clippy::unwrap_used)]

mod program;

use program::{fails, said, sconce, succeeds};
use std::fs;
use std::path::Path;

fn photo(path: &Path) {
    let pixels: Vec<u8> = (0..60 * 40 * 3).map(|i| (i * 7 / 5) as u8).collect();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let encoder = jpeg_encoder::Encoder::new_file(path, 80).unwrap();
    encoder.encode(&pixels, 60, 40, jpeg_encoder::ColorType::Rgb).unwrap();
}

#[test]
fn the_loader_reads_every_jpeg_below_the_folder_and_skips_empty_ones() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("photos");
    for name in ["a.jpg", "deep/er/b.JPEG", "deep/c.Jpg", ".hidden/d.jpg"] {
        photo(&folder.join(name));
    }
    fs::write(folder.join("deep/empty.jpg"), "").unwrap();
    fs::write(folder.join("notes.txt"), "no picture").unwrap();
    let mut bench = sconce(temporary.path());
    bench.args(["bench", "loader", "--data", "photos", "--size", "16", "--threads", "2"]);
    let described = said(&succeeds(&mut bench));
    assert_eq!((&described["images"], &described["size"], &described["threads"]), (&3.into(), &16.into(), &2.into()));
    let speed = |key: &str| described[key].as_f64().unwrap();
    assert!(speed("images_per_s") > 0.0 && speed("best_images_per_s") >= speed("images_per_s"), "{described}");
}

#[test]
fn a_folder_without_jpeg_files_is_named() {
    let temporary = tempfile::tempdir().unwrap();
    fs::create_dir(temporary.path().join("nothing")).unwrap();
    for (folder, expected) in [("nothing", "there are no JPEG files"), ("missing", "cannot read the folder")] {
        let mut bench = sconce(temporary.path());
        let message = fails(bench.args(["bench", "loader", "--data", folder, "--size", "16"]), 1);
        assert!(message.contains(expected) && message.contains(&format!("'{folder}'")), "{message}");
    }
}

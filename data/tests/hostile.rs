//! Files that are cut, changed or made to harm: never a panic, never more memory than is allowed, always an error that names
//! the file.
#![allow(clippy::unwrap_used)]

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::RngSeed;
use sconce_data::source;
use serde_json::{Value, json};
use std::fs;
use std::io::{Cursor, Write};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A data set of a few pictures, one file of which is going to be harmed.
struct Victim {
    source: &'static str,
    /// Given to the source beside the path.
    params: Value,
    /// The path that is opened; empty: the folder.
    path: &'static str,
    /// The file that is harmed.
    harmed: &'static str,
    bytes: Vec<u8>,
    /// Files beside it.
    others: Vec<(&'static str, Vec<u8>)>,
    folder: TempDir,
}

fn picture(level: u8) -> Vec<u8> {
    [b"P5 2 2 255\n".as_slice(), &[level; 4]].concat()
}

fn idx(sides: &[u32], values: &[u8]) -> Vec<u8> {
    let header = [0, 0, 8, sides.len() as u8];
    let sides = sides.iter().flat_map(|side| side.to_be_bytes());
    header.into_iter().chain(sides).chain(values.iter().copied()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(vec![]);
    for (name, level) in [("a/1.pgm", 1), ("b/2.pgm", 2)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(picture(level).len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, &picture(level)[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

fn npz(method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(vec![]));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, shape, values) in [("train_images", "(2, 3, 3)", vec![7; 18]), ("train_labels", "(2, 1)", vec![0, 1])] {
        zip.start_file(format!("{name}.npy"), options).unwrap();
        let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
        zip.write_all(b"\x93NUMPY\x01\x00").unwrap();
        zip.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
        zip.write_all(header.as_bytes()).unwrap();
        zip.write_all(&values).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn victims() -> Vec<Victim> {
    let limited = || json!({"memory_mb": 8});
    let victim = |source, params, path, harmed, bytes, others| {
        let folder = tempfile::tempdir().unwrap();
        Victim { source, params, path, harmed, bytes, others, folder }
    };
    let images = idx(&[3, 2, 2], &[9; 12]);
    let labels = || vec![("train-labels-idx1-ubyte", idx(&[3], &[0, 1, 0]))];
    let pictures = || vec![("a.pgm", picture(1)), ("b.pgm", picture(2))];
    let photographs = || vec![("7.jpg", picture(1)), ("8.jpg", picture(2))];
    let table = "\u{feff}id,label,group,note\r\na,x,1,\"y \"\"z\"\"\"\r\nb,ü,2,\r\n";
    let row = ",0,255,17".repeat(3);
    let columns: String = (0..9).map(|i| format!(",p{i}")).collect();
    let pixels = format!("label{columns}\nx{row}\ny{row}\n");
    let faces = "emotion,pixels,Usage\n0,1 2 3 4,Training\n1,5 6 7 8,PrivateTest\n";
    let series = "1\t0.5\t1e1\t-3\n2\t7\t8.25\tNaN\n";
    let gaps = "id,label,a,b,c\nu,x,1,,2.5\nv,y,3,4,5\nw,x,-6,70,8\n";
    let plot = json!([{"name": "recurrence", "dimension": 2}]);
    let raster = json!({"raster_size": [6, 5], "history": 1});
    let boxes = "scene,frame,track,x,y,yaw,length,width\na,7,1,0,0,0,4,2\na,6,1,-1,0.5,1e-1,4,2\na,7,2,3,3,0,1,1\n";
    let sample = "scene,frame,track,label\na,7,1,x\na,6,1,y\n";
    let boxed = || vec![("boxes.csv", boxes.as_bytes().to_vec())];
    let sampled = || vec![("t.csv", sample.as_bytes().to_vec())];
    let small = json!({"width": 5, "height": 4});
    let votes = format!("1 7{} 1 0 5\n2 8{} 0 2 6\n", " 1".repeat(10), " 23".repeat(10));
    vec![
        victim("idx", limited(), "", "train-images-idx3-ubyte", images.clone(), labels()),
        victim("idx", limited(), "", "train-images-idx3-ubyte.gz", gzip(&images), labels()),
        victim("tar", limited(), "a.tar", "a.tar", archive(), vec![]),
        victim("tar", limited(), "a.tar.gz", "a.tar.gz", gzip(&archive()), vec![]),
        victim("npz", limited(), "a.npz", "a.npz", npz(CompressionMethod::Stored), vec![]),
        victim("npz", limited(), "a.npz", "a.npz", npz(CompressionMethod::Deflated), vec![]),
        victim("csv", json!({"group": "group", "meta": ["note"]}), "", "train.csv", table.into(), pictures()),
        victim("pixels", json!({}), "a.csv", "a.csv", pixels.into_bytes(), vec![]),
        victim("pixels", json!({}), "a.csv", "a.csv", faces.into(), vec![]),
        victim(
            "series",
            json!({}),
            "",
            "a_TRAIN.tsv",
            series.into(),
            vec![("a_TEST.tsv", b"1\t0.5\t2\t-3\n".to_vec())],
        ),
        victim("series", json!({"fields": plot, "missing": "interpolate"}), "a.csv", "a.csv", gaps.into(), vec![]),
        victim("tabular", json!({"deep_insight": small, "missing": "median"}), "a.csv", "a.csv", gaps.into(), vec![]),
        victim("trajectories", json!({"raster": raster}), "", "boxes.csv", boxes.into(), sampled()),
        victim("trajectories", json!({"raster": raster}), "", "t.csv", sample.into(), boxed()),
        victim("ava", json!({"meta": ["tag_1"]}), "", "AVA.txt", votes.into_bytes(), photographs()),
    ]
}

impl Victim {
    /// Opens the data set with other bytes and decodes all its pictures; says what was refused.
    fn try_with(&self, bytes: &[u8]) -> Result<(), String> {
        let root = self.folder.path();
        for (name, bytes) in self.others.iter().filter(|(name, _)| !root.join(name).exists()) {
            fs::write(root.join(name), bytes).unwrap();
        }
        // Some file systems write to disk at once what takes the place of something else.
        let _ = fs::remove_file(root.join(self.harmed));
        fs::write(root.join(self.harmed), bytes).unwrap();
        let path = if self.path.is_empty() { root.into() } else { root.join(self.path) };
        // What is recognized may be anything, but it is so without a panic.
        drop(source::recognize(&path).and_then(|(name, params)| source::open(name, params)));
        let mut params = json!({"path": path});
        params.as_object_mut().unwrap().extend(self.params.as_object().unwrap().clone());
        let (collection, _) = source::open(self.source, params).map_err(|error| error.to_string())?;
        for row in 0..collection.dataset.rows().len() {
            drop(collection.dataset.image(row));
        }
        Ok(())
    }

    /// As [`Victim::try_with`]; what is refused names the file.
    fn check(&self, bytes: &[u8]) -> Result<(), String> {
        let found = self.try_with(bytes);
        let stem = self.harmed.split('.').next().unwrap();
        if let Err(why) = &found {
            assert!(why.contains(stem) || why.contains(self.folder.path().to_str().unwrap()), "{}: {why}", self.source);
        }
        found
    }
}

/// The most memory that this process ever had, MiB.
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? >> 10)
}

#[test]
fn whole_files_open_and_cut_ones_never_panic() {
    for victim in victims() {
        victim.check(&victim.bytes).unwrap_or_else(|why| panic!("{}: {why}", victim.source));
        assert!(victim.check(&[]).is_err(), "{}: nothing opens", victim.harmed);
        let binary = !["csv", "pixels", "series", "tabular", "trajectories", "ava"].contains(&victim.source);
        for keep in 0..victim.bytes.len() {
            let opens = victim.check(&victim.bytes[..keep]).is_ok();
            // Behind a whole file of an archive, and within the zeros at its end, nothing is known to be missing.
            let may_open = !binary || (victim.harmed == "a.tar" && (keep == 1024 || keep >= 2048));
            assert!(!opens || may_open, "{} opens with {keep} of {} bytes", victim.harmed, victim.bytes.len());
        }
    }
}

#[test]
fn changed_files_never_panic_nor_take_more_memory_than_is_allowed() {
    for victim in victims() {
        let change = (any::<Index>(), any::<u8>());
        let config = ProptestConfig {
            cases: 1500,
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(7),
            ..ProptestConfig::default()
        };
        let mut runner = proptest::test_runner::TestRunner::new(config);
        let strategy = (vec(change, 1..4), prop::option::weighted(0.2, (any::<Index>(), any::<Index>())));
        let ran = runner.run(&strategy, |(changes, doubled)| {
            let mut bytes = victim.bytes.clone();
            for (at, bits) in &changes {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            if let Some((from, to)) = doubled {
                let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
                bytes.extend_from_within(from.min(to)..from.max(to));
            }
            let _ = victim.check(&bytes);
            Ok(())
        });
        ran.unwrap_or_else(|why| panic!("{} {}: {why}", victim.source, victim.harmed));
    }
    // Whatever sizes were announced.
    assert!(peak().is_none_or(|mb| mb < 64), "{:?} MiB", peak());
}

#[test]
fn announced_sizes_cost_nothing() {
    for victim in victims() {
        let digits: Vec<usize> = (0..victim.bytes.len()).filter(|&i| victim.bytes[i].is_ascii_digit()).collect();
        for at in digits {
            for number in ["999999999999999999999999", "18446744073709551615", "-1", "0", "4294967295", "1e308"] {
                let bytes = [&victim.bytes[..at], number.as_bytes(), &victim.bytes[at + 1..]].concat();
                let _ = victim.check(&bytes);
            }
        }
        for at in 0..victim.bytes.len().saturating_sub(8) {
            for fill in [0u8, 0x7F, 0x80, 0xFF] {
                let mut bytes = victim.bytes.clone();
                bytes[at..at + 4].fill(fill);
                let _ = victim.check(&bytes);
            }
        }
    }
    assert!(peak().is_none_or(|mb| mb < 64), "{:?} MiB", peak());
}

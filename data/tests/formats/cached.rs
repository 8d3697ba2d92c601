//! What the cache on disk keeps of every source, and what makes it decode again.

use sconce_data::source::{self, Alone, Collection};
use sconce_data::{Dataset, DiskCached};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};
use tempfile::TempDir;

/// Copies a folder.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), &to).unwrap()),
        }
    }
}

/// A copy of a folder of golden files.
fn golden(path: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(path), folder.path());
    folder
}

fn written(files: &[(&str, Vec<u8>)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

fn opened(name: &str, path: &Path, more: &Value) -> Collection {
    let mut params = json!({"path": path});
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    source::open(name, params).unwrap_or_else(|error| panic!("{name}: {error}")).0
}

/// How many pictures an epoch of a data set that is opened anew takes from the cache, and how many it decodes.
fn epoch(cache: &Path, name: &str, path: &Path, more: &Value) -> (u64, u64) {
    let collection = opened(name, path, more);
    let stamps = collection.stamps().unwrap_or_else(|| panic!("{name} has no stamps"));
    let cached = DiskCached::open(collection.dataset.clone(), cache, 10, name, stamps).unwrap();
    for row in 0..cached.rows().len() {
        assert_eq!(cached.image(row).unwrap(), collection.dataset.image(row).unwrap(), "{name}");
    }
    (cached.usage().read, cached.usage().decoded)
}

/// A second epoch comes from the disk; once `touched` is changed, `stale` of its pictures are decoded again.
#[track_caller]
fn assert_kept(name: &str, data: &TempDir, path: &str, more: Value, (touched, stale): (&str, u64)) {
    let (cache, path) = (tempfile::tempdir().unwrap(), data.path().join(path));
    let epoch = || epoch(cache.path(), name, &path, &more);
    let (read, all) = epoch();
    assert_eq!(read, 0, "{name}");
    assert_eq!(epoch(), (all, 0), "{name}");
    let touched = File::options().write(true).open(data.path().join(touched)).unwrap();
    touched.set_modified(UNIX_EPOCH + Duration::from_secs(7)).unwrap();
    assert_eq!(epoch(), (all - stale, stale), "{name}");
    assert_eq!(epoch(), (all, 0), "{name}");
}

fn gray(level: u8) -> Vec<u8> {
    [&b"P5 2 2 255\n"[..], &[level; 4]].concat()
}

#[test]
fn pictures_of_a_file_each() {
    let data = written(&[("a/1.pgm", gray(1)), ("a/2.pgm", gray(2)), ("b/3.pgm", gray(3))]);
    assert_kept("folder", &data, "", json!({}), ("a/2.pgm", 1));
    let data = written(&[("t.csv", b"id,label\n1,x\n2,y\n".to_vec()), ("1.pgm", gray(1)), ("2.pgm", gray(2))]);
    assert_kept("csv", &data, "t.csv", json!({}), ("1.pgm", 1));
    // Labels are none of the pixels.
    assert_kept("csv", &data, "", json!({}), ("t.csv", 0));
    let votes = format!("1 7{} 1 0 5\n2 8{} 0 2 6\n", " 1".repeat(10), " 23".repeat(10));
    let data = written(&[("AVA.txt", votes.into_bytes()), ("p/7.jpg", gray(1)), ("p/8.jpg", gray(2))]);
    assert_kept("ava", &data, "", json!({}), ("p/8.jpg", 1));
    assert_kept("audio", &golden("tables/sounds"), "", json!({}), ("0_ann_1.wav", 1));
}

#[test]
fn pictures_of_several_files() {
    let files: Vec<(String, Vec<u8>)> = ["a/1", "a/2", "b/3"]
        .iter()
        .flat_map(|id| ["u", "v"].map(|channel| (format!("{id}_{channel}.pgm"), gray(channel.as_bytes()[0]))))
        .collect();
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    let params = json!({"pattern": "{id}_{channel}.pgm", "channels": ["u", "v"]});
    assert_kept("multichannel", &written(&files), "", params, ("a/2_v.pgm", 1));
}

#[test]
fn rows_of_tables() {
    let waves = golden("converted/Waves");
    assert_kept("series", &waves, "", json!({}), ("Waves_TEST.tsv", 2));
    // Where features lie is learned from the training part's table: all pictures change with it.
    let measures = golden("converted/measures");
    assert_kept("tabular", &measures, "", json!({}), ("test.csv", 4));
    assert_kept("tabular", &measures, "", json!({}), ("train.csv", 14));
    let boxes = b"scene,frame,track,x,y,yaw,length,width\na,7,1,0,0,0,4,2\na,7,2,9,0,0,4,2\n".to_vec();
    let samples = b"scene,frame,track,label\na,7,1,x\na,7,2,y\n".to_vec();
    let traffic = written(&[("boxes.csv", boxes), ("t.csv", samples)]);
    let params = json!({"raster": {"raster_size": [8, 8], "history": 1}});
    assert_kept("trajectories", &traffic, "", params.clone(), ("t.csv", 2));
    assert_kept("trajectories", &traffic, "", params, ("boxes.csv", 2));
}

#[test]
fn slices_of_series() {
    let data = golden("medical/series");
    assert_kept("dicom", &data, "", json!({}), ("p1/3.dcm", 1));
    assert_kept("dicom", &golden("medical/pictures"), "", json!({"label": "target"}), ("rgb.dcm", 1));
    // A slice that goes changes the volume.
    let cache = tempfile::tempdir().unwrap();
    assert_eq!(epoch(cache.path(), "dicom", data.path(), &json!({})), (0, 2));
    fs::remove_file(data.path().join("p2/2.dcm")).unwrap();
    assert_eq!(epoch(cache.path(), "dicom", data.path(), &json!({})), (1, 1));
}

#[test]
fn volumes() {
    assert_kept("nifti", &golden("medical/nifti"), "", json!({}), ("i1.nii", 1));
}

#[test]
fn pictures_in_files_of_many() {
    let flowers = golden("shards/tfrecord/flowers");
    assert_kept("tfrecord", &flowers, "", json!({}), ("train/00-6x4-2.tfrec", 2));
    assert_kept("tfrecord", &flowers, "train/01-6x4-1.tfrec", json!({}), ("train/01-6x4-1.tfrec", 1));
    assert_kept("webdataset", &golden("shards/webdataset"), "", json!({}), ("train-000001.tar", 2));
    assert_kept("bson", &golden("shards/bson"), "t*.bson", json!({}), ("train.bson", 4));
}

#[cfg(feature = "parquet")]
#[test]
fn pictures_in_columns() {
    let data = golden("shards/parquet");
    assert_kept("parquet", &data, "plain.parquet", json!({}), ("plain.parquet", 2));
    // Pictures that lie beside the file that names them.
    for name in ["p/62.png", "63.png"] {
        fs::create_dir_all(data.path().join("p")).unwrap();
        fs::write(data.path().join(name), gray(9)).unwrap();
    }
    assert_kept("parquet", &data, "paths.parquet", json!({}), ("63.png", 1));
}

#[test]
fn pictures_in_archives_and_arrays() {
    let archive = |gzip: bool| {
        let mut builder = tar::Builder::new(vec![]);
        for (name, level) in [("a/1.pgm", 1), ("b/2.pgm", 2)] {
            let mut header = tar::Header::new_gnu();
            header.set_size(gray(level).len() as u64);
            builder.append_data(&mut header, name, &gray(level)[..]).unwrap();
        }
        let bytes = builder.into_inner().unwrap();
        let mut encoder = flate2::read::GzEncoder::new(&bytes[..], flate2::Compression::fast());
        let mut packed = vec![];
        std::io::Read::read_to_end(&mut encoder, &mut packed).unwrap();
        if gzip { packed } else { bytes }
    };
    assert_kept("tar", &written(&[("a.tar", archive(false))]), "a.tar", json!({}), ("a.tar", 2));
    assert_kept("tar", &written(&[("a.tgz", archive(true))]), "a.tgz", json!({}), ("a.tgz", 2));
    let medical = golden("medical");
    assert_kept("npz", &medical, "keras.npz", json!({}), ("keras.npz", 5));
    assert_kept("npz", &medical, "chest.npz", json!({"target": "multi_label"}), ("chest.npz", 5));
    let idx = |sides: &[u8], values: &[u8]| {
        let sides = sides.iter().flat_map(|side| [0, 0, 0, *side]);
        [0, 0, 8, sides.clone().count() as u8 / 4].into_iter().chain(sides).chain(values.iter().copied()).collect()
    };
    let data = written(&[
        ("train-images-idx3-ubyte", idx(&[3, 2, 2], &[9; 12])),
        ("train-labels-idx1-ubyte", idx(&[3], &[0, 1, 0])),
        ("t10k-images-idx3-ubyte", idx(&[2, 2, 2], &[5; 8])),
        ("t10k-labels-idx1-ubyte", idx(&[2], &[1, 0])),
    ]);
    assert_kept("idx", &data, "", json!({}), ("t10k-images-idx3-ubyte", 2));
    assert_kept("idx", &data, "", json!({}), ("train-labels-idx1-ubyte", 0));
    let table = |label: &str| format!("{label},p0,p1,p2,p3\nx,0,1,2,3\ny,4,5,6,7\n").into_bytes();
    let data = written(&[("train.csv", table("label")), ("test.csv", table("note"))]);
    let tables = json!({"table": "train.csv", "test_table": "test.csv"});
    assert_kept("pixels", &data, "", tables, ("test.csv", 2));
}

#[test]
fn what_is_drawn_has_no_stamp() {
    assert!(source::open("synthetic", json!({"len": 3})).unwrap().0.stamps().is_none());
}

/// What a file says by itself is what it says within its data set, to which the parameters are resolved.
#[test]
fn files_alone_are_decoded_as_within_their_set() {
    let sets = [
        ("audio", golden("tables/sounds"), json!({}), true),
        ("dicom", golden("medical/pictures"), json!({"label": "target"}), true),
        ("dicom", golden("medical/series"), json!({}), false),
        ("nifti", golden("medical/nifti"), json!({}), true),
    ];
    for (name, data, mut params, are_files) in sets {
        params["path"] = json!(data.path());
        let (collection, resolved) = source::open(name, params).unwrap();
        let Alone::Read { read, is_one } = source::alone(name, resolved).unwrap() else { panic!("{name}") };
        assert_eq!(is_one.is_some(), are_files, "{name}");
        let mut tried = 0;
        for file in &collection.files {
            let place = data.path().join(&file.path);
            assert!(is_one.is_none_or(|is_one| is_one(&place)), "{name}: {}", file.path);
            // Some are broken on purpose.
            let Ok(wanted) = (collection.read)(&file.path) else { continue };
            assert_eq!(read(place.to_str().unwrap()).unwrap().image, wanted.image, "{name}: {}", file.path);
            tried += 1;
        }
        assert!(tried > 1, "{name}");
    }
    let params = json!({"path": ".", "channels": ["u", "v"], "pattern": "{id}_{channel}.pgm"});
    assert!(matches!(source::alone("multichannel", params).unwrap(), Alone::Nothing));
    assert!(matches!(source::alone("folder", json!({"path": "."})).unwrap(), Alone::Picture));
}

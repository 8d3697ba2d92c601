//! Archives and arrays: what they give, and what is refused.

use candle_core::Device;
use flate2::Compression;
use flate2::write::GzEncoder;
use sconce_data::batch::{Stats, stack};
use sconce_data::explore::explore;
use sconce_data::source::{self, Collection};
use sconce_data::{Part, Row};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use tar::{EntryType, Header};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fn open(path: &Path, more: Value) -> sconce_data::Result<(Collection, Value)> {
    let (name, mut params) = source::recognize(path)?;
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    source::open(name, params)
}

/// What is said when a file of these bytes is opened.
fn refusal(name: &str, bytes: &[u8], more: Value) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    open(&path, more).err().map_or("it opens".into(), |error| error.to_string())
}

fn shown(collection: &Collection) -> Vec<String> {
    let classes = collection.dataset.classes();
    let class = |row: &Row| row.class().map_or("-", |c| &classes[c as usize]).to_string();
    collection.dataset.rows().iter().map(|row| format!("{:?} {} {}", row.part, row.id, class(row))).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Real data, where they are.
fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(path);
    if !path.is_file() {
        println!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

/// A picture of its own for every number.
fn picture(number: u8) -> Vec<u8> {
    let pixels = (0..8 * 8 * 3u32).map(|i| (i.wrapping_mul(u32::from(number) * 40_503 + 97) >> 3) as u8);
    b"P6 8 8 255\n".iter().copied().chain(pixels).collect()
}

/// A file of an archive, as it stands there.
fn member(name: &str, kind: EntryType, bytes: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let padding = bytes.len().next_multiple_of(512) - bytes.len();
    [header.as_bytes(), bytes, &vec![0; padding]].concat()
}

fn file(name: &str, number: u8) -> Vec<u8> {
    member(name, EntryType::Regular, &picture(number))
}

fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

#[test]
fn archives_are_read_as_folders_are() {
    let long = format!("set/train/cat/{}.ppm", "long".repeat(40));
    let pax = "set/train/dog/größer.ppm";
    let record = |length: usize| format!("{length} path={pax}\n");
    let record = record(record(10).len());
    let bytes = archive(&[
        member("./set/", EntryType::Directory, &[]),
        file("./set/train/cat/1.ppm", 9),
        file("./set/train/dog/2.ppm", 2),
        member("././@LongLink", EntryType::GNULongName, format!("{long}\0").as_bytes()),
        file("cut", 3),
        member("PaxHeaders/x", EntryType::XHeader, record.as_bytes()),
        file("x", 4),
        file("set/test/5.ppm", 5),
        file("set/val/dog/6.ppm", 6),
        file("set/train/cat/._1.ppm", 7),
        file("__MACOSX/set/train/cat/1.ppm", 7),
        file("/etc/cat/1.ppm", 7),
        file("../cat/1.ppm", 7),
        member("set/train/cat/link.ppm", EntryType::Symlink, &[]),
        member("set/train.csv", EntryType::Regular, b"id,label\n"),
        member("set/anim.gif", EntryType::Regular, b"GIF89a"),
        // A later file of the same name replaces the first one.
        file("set/train/cat/1.ppm", 1),
        member("set/train/dog/8.ppm", EntryType::Regular, &[]),
    ]);
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("a.tar", bytes.clone()), ("a.tar.gz", gzip(&bytes)), ("a.TGZ", gzip(&bytes))] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let (collection, params) = open(&path, json!({})).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(params, json!({"path": path, "color": "rgb", "memory_mb": 2048}));
        assert_eq!(
            shown(&collection),
            [
                "Test set/test/5.ppm -".into(),
                "Train set/train/cat/1.ppm cat".into(),
                format!("Train {long} cat"),
                "Train set/train/dog/2.ppm dog".into(),
                "Train set/train/dog/8.ppm dog".into(),
                format!("Train {pax} dog"),
                "Validation set/val/dog/6.ppm dog".into(),
            ]
        );
        let pixels = |index: usize| collection.dataset.image(index).unwrap().into_pixels();
        for (index, number) in [(0, 5), (1, 1), (2, 3), (3, 2), (5, 4), (6, 6)] {
            assert_eq!(pixels(index), picture(number)[11..], "{name} {index}");
        }
        let said = collection.warnings.join("\n");
        assert!(said.contains("1 files are no pictures of a known kind") && said.contains("'set/anim.gif'"), "{said}");
        assert!(said.contains("3 files are links") && said.contains("'/etc/cat/1.ppm'"), "{said}");
        assert!(
            said.contains("1 files have the name of an earlier one, which they replace, as 'set/train/cat/1.ppm'"),
            "{said}"
        );
        assert!(said.contains("tables in archives are not read, as 'set/train.csv'"), "{said}");
        let report = explore(&collection, &Default::default(), &|_, _| ()).unwrap();
        assert_eq!(report.corrupt, [("set/train/dog/8.ppm".to_string(), "the file is empty".to_string())]);
        assert!((collection.read)("set/train/cat/2.ppm").unwrap_err().to_string().contains("no such picture"));
        let (gray, _) = open(&path, json!({"color": "gray"})).unwrap();
        assert_eq!(gray.dataset.image(0).unwrap().channels(), 1);
    }
}

#[test]
fn broken_archives_are_refused_with_a_reason() {
    let members = [file("train/a/1.ppm", 1), file("train/b/2.ppm", 2), file("train/b/3.ppm", 3)];
    let bytes = archive(&members);
    assert_eq!(refusal("a.tar", &bytes, json!({})), "it opens");
    for keep in (0..bytes.len() - 512).step_by(64) {
        let why = refusal("a.tar", &bytes[..keep], json!({}));
        // Behind a whole file only the end is missing.
        let expected = if keep > 0 && keep.is_multiple_of(members[0].len()) { "it opens" } else { "it is truncated" };
        assert!(why.contains(expected), "{keep} of {} bytes: {why}", bytes.len());
    }
    let packed = gzip(&bytes);
    assert_eq!(refusal("a.tgz", &packed, json!({})), "it opens");
    for keep in 2..packed.len() {
        let why = refusal("a.tgz", &packed[..keep], json!({}));
        assert!(why.contains("it is truncated"), "{keep} of {} bytes: {why}", packed.len());
    }
    assert!(refusal("a.tgz", &gzip(&bytes[..2000]), json!({})).contains("it is truncated"));
    // Whole files without the block that ends an archive.
    let folder = tempfile::tempdir().unwrap();
    let endless = members.concat();
    for (name, bytes, lacks) in [
        ("a.tar", endless.clone(), true),
        ("a.tgz", gzip(&endless), true),
        ("b.tar", bytes.clone(), false),
        ("b.tgz", gzip(&bytes), false),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let (collection, _) = open(&path, json!({})).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(collection.dataset.rows().len(), 3, "{name}");
        assert_eq!(collection.dataset.image(2).unwrap().pixels(), &picture(3)[11..], "{name}");
        let said = collection.warnings.join("\n");
        assert_eq!(said.contains("the block that ends an archive is missing"), lacks, "{name}: {said}");
    }
    for cut in [1, 200, 300, 513] {
        let bytes = &endless[..endless.len() - cut];
        assert!(refusal("a.tar", bytes, json!({})).contains("it is truncated"), "{cut}");
        assert!(refusal("a.tgz", &gzip(bytes), json!({})).contains("it is truncated"), "{cut}");
    }

    // A header that announces more than there is costs no memory.
    let mut lying = bytes.clone();
    let mut header = Header::new_gnu();
    header.as_mut_bytes().copy_from_slice(&bytes[..512]);
    header.set_size(1 << 60);
    header.set_cksum();
    lying[..512].copy_from_slice(header.as_bytes());
    assert!(refusal("a.tar", &lying, json!({})).contains("it is truncated"));
    assert!(refusal("a.tgz", &gzip(&lying), json!({})).contains("it is truncated"));

    // Nor does what unpacks to more than is allowed.
    let bomb = archive(&[member("train/a/1.ppm", EntryType::Regular, &vec![0; 3 << 20])]);
    let why = refusal("a.tgz", &gzip(&bomb), json!({"memory_mb": 2}));
    assert!(why.contains("it takes more than 2 MB of memory; raise data.memory_mb"), "{why}");
    assert_eq!(refusal("a.tgz", &gzip(&bomb), json!({"memory_mb": 4})), "it opens");
    assert!(refusal("a.tar", &bytes, json!({"memory_mb": 0})).contains("memory_mb must be at least 1"));

    assert!(refusal("a.tar", &[b'x'; 5000], json!({})).contains("it is broken"));
    assert!(refusal("a.tar.xz", b"\xFD7zXZ\0abc", json!({})).contains("packed with xz"));
    assert!(refusal("a.zip", b"PK\x03\x04abc", json!({})).contains("packed with zip"));
    assert!(
        refusal("a.tar", &archive(&[file("1.ppm", 1)]), json!({})).contains("1 pictures are below it, but no class")
    );
    assert!(refusal("a.rar", b"Rar!", json!({})).contains("neither a table (.csv, .tsv) nor an archive"));
    let mut name = file("train/a/?.ppm", 1);
    name[8] = 0xFF;
    let mut header = Header::new_gnu();
    header.as_mut_bytes().copy_from_slice(&name[..512]);
    header.set_cksum();
    name[..512].copy_from_slice(header.as_bytes());
    assert!(refusal("a.tar", &archive(&[name]), json!({})).contains("no valid UTF-8"));
}

#[test]
fn cifar_opens_from_its_archive() {
    let Some(path) = shared("cifar10/train.tar.gz") else { return };
    let (collection, params) = open(&path, json!({})).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(params["color"], "rgb");
    let rows = collection.dataset.rows();
    let mut counts = BTreeMap::<u32, usize>::new();
    rows.iter().for_each(|row| *counts.entry(row.class().unwrap()).or_default() += 1);
    assert_eq!(counts, (0..10).map(|class| (class, 5000)).collect());
    assert!(rows.iter().all(|row| row.part == Part::Train));
    assert_eq!(collection.dataset.classes()[..3], ["airplane", "automobile", "bird"]);
    assert_eq!(collection.warnings, Vec::<String>::new());
    for index in (0..50_000).step_by(997) {
        assert_eq!(collection.dataset.image(index).unwrap().dims(), [1, 32, 32, 3]);
    }
}

/// An IDX file of bytes.
fn idx(sides: &[u32], values: &[u8]) -> Vec<u8> {
    let header = [0, 0, 8, sides.len() as u8];
    let sides = sides.iter().flat_map(|side| side.to_be_bytes());
    header.into_iter().chain(sides).chain(values.iter().copied()).collect()
}

fn folder(files: &[(&str, Vec<u8>)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes).unwrap());
    folder
}

#[test]
fn idx_files_open_gzipped_or_not_with_dashes_or_dots() {
    let pixels: Vec<u8> = (0..4 * 2 * 3).collect();
    let data = folder(&[
        ("train-images-idx3-ubyte", idx(&[4, 2, 3], &pixels)),
        ("train-labels.idx1-ubyte", idx(&[4], &[7, 10, 7, 2])),
        ("t10k-images.idx3-ubyte.gz", gzip(&idx(&[2, 2, 3], &pixels[6..18]))),
        // The name of some downloads still says what they no longer are.
        ("t10k-labels-idx1-ubyte.gz", idx(&[2], &[10, 3])),
    ]);
    let (collection, params) = open(data.path(), json!({})).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(params, json!({"path": data.path(), "color": "gray", "memory_mb": 2048}));
    assert_eq!(collection.dataset.classes(), ["2", "7", "10"]);
    assert_eq!(
        shown(&collection),
        [
            "Test t10k/00000 10",
            "Test t10k/00001 -",
            "Train train/00000 7",
            "Train train/00001 10",
            "Train train/00002 7",
            "Train train/00003 2"
        ]
    );
    assert!(collection.warnings[0].contains("1 test pictures have a class that the training part lacks"));
    let third = collection.dataset.image(4).unwrap();
    assert_eq!((third.dims(), third.pixels()), ([1, 2, 3, 1], &pixels[12..18]));
    let decoded = (collection.read)("t10k/00001").unwrap();
    assert_eq!((decoded.image.pixels(), decoded.format, decoded.stored_channels), (&pixels[12..18], "idx", 1));
    for unknown in ["train/00004", "train/-1", "train", "val/00000", "train/18446744073709551615"] {
        assert!((collection.read)(unknown).is_err(), "{unknown}");
    }
    let report = explore(&collection, &Default::default(), &|_, _| ()).unwrap();
    assert_eq!((report.corrupt.len(), report.leaks.len(), report.formats["idx"]), (0, 2, 6));

    let (colored, _) = open(&data.path().join("train-labels.idx1-ubyte"), json!({"color": "rgb"})).unwrap();
    let first = colored.dataset.image(2).unwrap();
    assert_eq!((first.dims(), &first.pixels()[..6]), ([1, 2, 3, 3], &[0, 0, 0, 1, 1, 1][..]));
}

#[test]
fn idx_files_that_lie_are_refused() {
    let why = |images: &[u8], labels: Option<&[u8]>, more: Value| {
        let data = folder(&[("train-images-idx3-ubyte", images.to_vec())]);
        let labels = labels.map(|labels| fs::write(data.path().join("train-labels-idx1-ubyte.gz"), labels));
        labels.transpose().unwrap();
        open(data.path(), more).err().map_or("it opens".into(), |error| error.to_string())
    };
    let (good, labels) = (idx(&[2, 2, 2], &[1; 8]), gzip(&idx(&[2], &[0, 1])));
    let images = |bytes: &[u8]| why(bytes, Some(&labels), json!({}));
    assert_eq!(images(&good), "it opens");
    for keep in 0..good.len() {
        assert!(images(&good[..keep]).contains("truncated"), "{keep}: {}", images(&good[..keep]));
    }
    for keep in 2..labels.len() {
        assert_ne!(why(&good, Some(&labels[..keep]), json!({})), "it opens", "{keep}");
    }
    assert!(images(&idx(&[2, 2, 2], &[1; 9])).contains("announces [2, 2, 2], 8 bytes, but 9 follow"));
    assert!(images(&idx(&[u32::MAX; 3], &[1; 8])).contains("but 8 follow"));
    assert!(images(&gzip(&idx(&[u32::MAX; 3], &[1; 8]))).contains("but at most"));
    // Less than deflate could make of it, so that only reading tells.
    assert!(images(&gzip(&idx(&[2, 2, 5], &[1; 8]))).contains("it is truncated"));
    assert!(images(&gzip(&idx(&[2, 2, 2], &[1; 9]))).contains("it holds more than the 8 bytes"));
    assert!(images(&idx(&[2, 0, 2], &[])).contains("which is nothing"));
    assert!(images(&idx(&[8], &[1; 8])).contains("it has 1 dimensions, expected 3"));
    assert!(images(b"P6 8 8 255").contains("it is no IDX file"));
    let mut floats = good.clone();
    floats[2] = 0x0D;
    assert!(images(&floats).contains("type 0x0d; only unsigned bytes"));
    let few = why(&good, Some(&idx(&[1], &[0])), json!({}));
    assert!(few.contains("train has 2 pictures but 1 labels"), "{few}");
    assert!(why(&good, None, json!({})).contains("train-labels-idx1-ubyte (or .gz) is not in it"));
    let large = idx(&[2, 1024, 1024], &vec![1; 2 << 20]);
    assert!(why(&large, Some(&labels), json!({"memory_mb": 1})).contains("more than 1 MB"));
    // Pictures of one pixel are cheap to announce; their rows are not.
    let (tiny, labels) = (gzip(&idx(&[3000, 1, 1], &[1; 3000])), idx(&[3000], &[0; 3000]));
    assert!(why(&tiny, Some(&labels), json!({"memory_mb": 1})).contains("more than 1 MB"));
    assert_eq!(why(&tiny, Some(&labels), json!({"memory_mb": 2})), "it opens");
}

/// A NumPy array.
fn npy(kind: &str, shape: &str, bytes: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), bytes].concat()
}

fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(vec![]));
    for (i, (name, bytes)) in arrays.iter().enumerate() {
        let method = [CompressionMethod::Deflated, CompressionMethod::Stored][i % 2];
        zip.start_file(format!("{name}.npy"), SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn arrays_of_pictures_open() {
    let pixels: Vec<u8> = (0..36).collect();
    let data = folder(&[(
        "set.npz",
        npz(&[
            ("train_images", npy("'|u1'", "(3, 2, 2, 3)", &pixels)),
            ("train_labels", npy("'<i4'", "(3, 1)", &[1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0])),
            ("val_images", npy("'|u1'", "(1, 2, 2, 3)", &pixels[..12])),
            ("val_labels", npy("'|b1'", "(1,)", &[1])),
            ("test_images", npy("'|u1'", "(1, 2, 2, 3)", &pixels[24..])),
        ]),
    )]);
    // A folder with nothing else is as good.
    assert_eq!(source::recognize(data.path()).unwrap(), source::recognize(&data.path().join("set.npz")).unwrap());
    let (collection, params) = open(&data.path().join("set.npz"), json!({})).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(params["color"], "rgb");
    assert_eq!(
        shown(&collection),
        [
            "Test test/00000 -",
            "Train train/00000 1",
            "Train train/00001 0",
            "Train train/00002 1",
            "Validation val/00000 1"
        ]
    );
    let image = collection.dataset.image(2).unwrap();
    assert_eq!((image.dims(), image.pixels()), ([1, 2, 2, 3], &pixels[12..24]));
    let decoded = (collection.read)("test/00000").unwrap();
    assert_eq!((decoded.format, decoded.stored_channels), ("npz", 3));
    let why = refusal("a.npz", &fs::read(data.path().join("set.npz")).unwrap(), json!({"color": "gray"}));
    assert!(why.contains("its pictures have colors"), "{why}");
}

#[test]
fn arrays_of_volumes_open_and_stack() {
    let voxels: Vec<u8> = (0..2 * 3 * 5 * 6u32).map(|i| (i * 37 % 251) as u8).collect();
    let bytes = npz(&[
        ("train_images", npy("'|u1'", "(2, 3, 5, 6)", &voxels)),
        ("train_labels", npy("'<u8'", "(2,)", &[[0; 8], [1, 0, 0, 0, 0, 0, 0, 0]].concat())),
    ]);
    let data = folder(&[("set.npz", bytes)]);
    let (collection, params) = open(&data.path().join("set.npz"), json!({})).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(params["color"], "gray");
    let images: Vec<_> = (0..2).map(|index| collection.dataset.image(index).unwrap()).collect();
    assert_eq!((images[1].dims(), images[1].pixels()), ([3, 5, 6, 1], &voxels[90..]));
    let stats = Stats { mean: vec![0.0], std: vec![1.0] };
    let batch = stack(&images, &stats, &Device::Cpu).unwrap();
    assert_eq!(batch.dims(), [2, 1, 3, 5, 6]);
    let values: Vec<f32> = batch.flatten_all().unwrap().to_vec1().unwrap();
    assert!(values.iter().zip(&voxels).all(|(value, voxel)| (value * 255.0 - f32::from(*voxel)).abs() < 1e-4));
    let report = explore(&collection, &Default::default(), &|_, _| ()).unwrap();
    assert_eq!((report.corrupt.len(), report.sizes.width, report.sizes.height), (0, [6; 3], [5; 3]));
    assert_eq!(serde_json::to_value(&report.sizes).unwrap()["depth"], json!([3, 3, 3]));
    let (colored, _) = open(&data.path().join("set.npz"), json!({"color": "rgb"})).unwrap();
    assert_eq!(colored.dataset.image(0).unwrap().dims(), [3, 5, 6, 3]);
}

#[test]
fn arrays_that_do_not_fit_are_refused() {
    let why = |images: Vec<u8>, labels: Vec<u8>| {
        refusal("a.npz", &npz(&[("train_images", images), ("train_labels", labels)]), json!({}))
    };
    let images = || npy("'|u1'", "(2, 2, 2)", &[1; 8]);
    let labels = || npy("'|u1'", "(2, 1)", &[0, 1]);
    assert_eq!(why(images(), labels()), "it opens");
    let bad = |kind, shape, bytes: &[u8]| why(npy(kind, shape, bytes), labels());
    assert!(bad("'|u1'", "(2, 2, 3)", &[1; 8]).contains("announces [2, 2, 3], 12 bytes, but 8 follow"));
    assert!(bad("'|u1'", "(2, 2, 1)", &[1; 8]).contains("4 bytes, but 8 follow"));
    assert!(bad("'|u1'", "(4294967296, 4294967296, 2)", &[1; 8]).contains("but 8 follow"));
    assert!(bad("'<f4'", "(1, 2, 1)", &[1; 8]).contains("pictures are read from unsigned bytes"));
    assert!(bad("'|O'", "(2, 2, 2)", &[1; 8]).contains("pickled Python objects"));
    assert!(bad("[('a', '|u1')]", "(2, 2, 2)", &[1; 8]).contains("its values are records"));
    assert!(bad("'?'", "(2, 2, 2)", &[1; 8]).contains("its type cannot be understood"));
    assert!(bad("'|u1'", "(2, -2, 2)", &[1; 8]).contains("its shape cannot be understood"));
    assert!(bad("'|u1'", "(8,)", &[1; 8]).contains("expected [N, H, W]"));
    assert!(why(b"hello, world".to_vec(), labels()).contains("it is no NumPy array"));
    assert!(why(images()[..20].to_vec(), labels()).contains("truncated"));
    let turned = String::from_utf8_lossy(&images()[10..]).replace("False", "True ");
    assert!(why([&images()[..10], turned.as_bytes()].concat(), labels()).contains("stored column by column"));

    let bad = |kind, shape, bytes: &[u8]| why(images(), npy(kind, shape, bytes));
    assert!(bad("'|u1'", "(3,)", &[0, 1, 2]).contains("train has 2 pictures but 3 labels"));
    assert!(bad("'|u1'", "(2, 2)", &[0, 1, 1, 0]).contains("expected one class per picture"));
    assert!(bad("'<f8'", "(2,)", &[0; 16]).contains("classes are read from integers"));

    let only = npz(&[("train_images", images()), ("x_train", images())]);
    let said = refusal("a.npz", &only, json!({}));
    assert!(said.contains("array 'train_labels' is not in it; there are train_images, x_train"), "{said}");
    assert!(refusal("a.npz", b"hello, world", json!({})).contains("it is no .npz file"));
    let whole = npz(&[("train_images", images()), ("train_labels", labels())]);
    for keep in 0..whole.len() {
        assert_ne!(refusal("a.npz", &whole[..keep], json!({})), "it opens", "{keep} of {} bytes", whole.len());
    }
    let large =
        npz(&[("train_images", npy("'|u1'", "(2, 1024, 1024)", &vec![1; 2 << 20])), ("train_labels", labels())]);
    assert!(refusal("a.npz", &large, json!({"memory_mb": 1})).contains("more than 1 MB"));
    assert_eq!(refusal("a.npz", &large, json!({"memory_mb": 3})), "it opens");
    let tiny = npz(&[
        ("train_images", npy("'|u1'", "(3000, 1, 1)", &[1; 3000])),
        ("train_labels", npy("'|u1'", "(3000,)", &[0; 3000])),
    ]);
    assert!(refusal("a.npz", &tiny, json!({"memory_mb": 1})).contains("more than 1 MB"));
    assert_eq!(refusal("a.npz", &tiny, json!({"memory_mb": 2})), "it opens");
    let other = npz(&[
        ("train_images", images()),
        ("train_labels", labels()),
        ("test_images", npy("'|u1'", "(1, 3, 3)", &[1; 9])),
    ]);
    assert!(refusal("a.npz", &other, json!({})).contains("[1, 3, 3, 1], but those of the training [1, 2, 2, 1]"));
}

#[test]
fn adrenal_glands_open() {
    let Some(path) = shared("adrenal3d/adrenalmnist3d.npz") else { return };
    let (collection, _) = open(&path, json!({})).unwrap_or_else(|e| panic!("{e}"));
    let rows = collection.dataset.rows();
    let count = |part: Part| rows.iter().filter(|row| row.part == part).count();
    assert_eq!([Part::Train, Part::Validation, Part::Test].map(count), [1188, 98, 298]);
    assert_eq!(collection.dataset.classes(), ["0", "1"]);
    let positive = rows.iter().filter(|row| row.class() == Some(1)).count() as f64 / rows.len() as f64;
    assert!((0.20..0.25).contains(&positive), "{positive}");
    assert_eq!(collection.dataset.image(1500).unwrap().dims(), [28, 28, 28, 1]);
    let report = explore(&collection, &Default::default(), &|_, _| ()).unwrap();
    assert_eq!((report.images, report.corrupt.len(), report.formats["npz"]), (1584, 0, 1584));
    // numpy's mean and std of train_images / 255.
    assert!((report.mean[0] - 0.0158).abs() < 1e-4 && (report.std[0] - 0.1247).abs() < 1e-4, "{:?}", report.mean);
}

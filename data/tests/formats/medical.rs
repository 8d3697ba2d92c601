//! DICOM, NIfTI, channels in files of their own, and arrays: as their reference libraries read them, and what is refused.

use sconce_data::decode::Decoded;
use sconce_data::source::{self, Collection};
use sconce_data::{Part, Row, Target};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/medical").join(path)
}

fn open(name: &str, path: &Path, more: Value) -> sconce_data::Result<(Collection, Value)> {
    let mut params = json!({"path": path});
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    source::open(name, params)
}

#[track_caller]
fn opened(name: &str, path: &Path, more: Value) -> (Collection, Value) {
    open(name, path, more).unwrap_or_else(|error| panic!("{error}"))
}

fn refusal<T>(result: sconce_data::Result<T>) -> String {
    result.err().map_or("it is read".into(), |error| error.to_string())
}

fn shown(collection: &Collection) -> Vec<String> {
    let classes = collection.dataset.classes();
    let class = |row: &Row| row.class().map_or("-", |c| &classes[c as usize]).to_string();
    let text = |row: &Row| {
        format!(
            "{:?} {} {} {}",
            row.part,
            row.id,
            class(row),
            row.group.as_deref().or(row.sample.as_deref()).unwrap_or("-")
        )
    };
    collection.dataset.rows().iter().map(text).collect()
}

#[derive(Deserialize)]
struct Case {
    source: String,
    path: String,
    params: Value,
    dims: [usize; 4],
    tolerance: u8,
    pixels: Vec<u8>,
}

#[derive(Deserialize)]
struct Arrays {
    pictures: Vec<u8>,
    chest: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
    arrays: Arrays,
}

fn cases() -> Golden {
    serde_json::from_str(&fs::read_to_string(golden("cases.json")).unwrap()).unwrap()
}

#[test]
fn voxels_are_those_of_pydicom_and_nibabel() {
    for case in cases().cases {
        let (folder, name) = case.path.split_once('/').unwrap();
        let shown = format!("{} {}", case.path, case.params);
        let (collection, _) = opened(&case.source, &golden(folder), case.params);
        let Decoded { image, .. } = (collection.read)(name).unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert_eq!(image.dims(), case.dims, "{shown}");
        let worst = image.pixels().iter().zip(&case.pixels).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(case.tolerance), "{shown}: {worst:?}\n{:?}\n{:?}", image.pixels(), case.pixels);
    }
}

#[test]
fn dicom_folders_explain_themselves() {
    let (name, params) = source::recognize(&golden("series")).unwrap();
    assert_eq!(name, "dicom");
    let (collection, params) = source::open(name, params).unwrap();
    assert_eq!(
        params,
        json!({"path": golden("series"), "series": true, "color": "gray", "table": "labels.csv", "id": "id", "label": "cancer"})
    );
    assert_eq!(shown(&collection), ["Train p1 1 p1", "Train p2 0 p2"]);
    assert_eq!(collection.dataset.image(0).unwrap().dims(), [6, 8, 10, 1]);
    let (collection, params) = opened("dicom", &golden("pictures/train.csv"), json!({"label": "target"}));
    assert_eq!((&params["series"], &params["id"]), (&json!(false), &json!("image_name")));
    let rows = shown(&collection);
    assert_eq!(rows[..4], ["Train big 0 a", "Train deflated 1 b", "Train frames 0 d", "Train implicit 1 a"]);
    let decoded = (collection.read)("implicit.dcm").unwrap();
    assert_eq!((decoded.format, decoded.stored_channels, decoded.is_deep), ("dicom", 1, false));
    // A column says more than the patient.
    let (collection, _) = opened("dicom", &golden("pictures"), json!({"label": "target", "group": "target"}));
    assert_eq!(collection.dataset.rows()[1].group.as_deref(), Some("1"));
    let why = refusal(open("dicom", &golden("pictures"), json!({"label": "target", "spacing": [1, 1, 1]})));
    assert!(why.contains("data.spacing is for volumes"), "{why}");
    let why = refusal(open("dicom", &golden("series"), json!({"window": "liver"})));
    assert!(why.contains("one of lung, bone, soft_tissue, brain"), "{why}");
    for bad in [json!({"window": [4, 4]}), json!({"spacing": [0, 1, 1]})] {
        assert!(refusal(open("dicom", &golden("series"), bad)).starts_with("data."));
    }
    assert!(refusal(open("dicom", &golden("nifti"), json!({}))).contains("no DICOM files"));
    // A palette is one of colors, whatever comes first decides.
    let data = copies(&[("pictures/palette.dcm", "a/1.dcm"), ("pictures/rgb.dcm", "b/1.dcm")]);
    assert_eq!(opened("dicom", data.path(), json!({})).1["color"], "rgb");
    let whole = fs::read(golden("pictures/lossless1.dcm")).unwrap();
    let place = whole.windows(8).position(|bytes| bytes == b"10008.1.").unwrap();
    assert_eq!(&whole[place + 8..][..6], b"2.4.70");
    let foreign = [&whole[..place + 8], b"2.4.90", &whole[place + 14..]].concat();
    fs::write(data.path().join("a/1.dcm"), foreign).unwrap();
    let (collection, _) = opened("dicom", data.path(), json!({}));
    let why = refusal((collection.read)("a/1.dcm"));
    assert!(
        why.contains("cannot decode 'a/1.dcm'") && why.contains("(JPEG 2000 Lossless)") && why.contains("gdcmconv"),
        "{why}"
    );
    for (name, bytes) in [("1.dcm", &whole[..]), ("1.IMA", &[]), ("1.nii.gz", &[]), ("1.jpg", &[]), ("1.wav", &[])] {
        fs::write(data.path().join(name), bytes).unwrap();
        let why = refusal(source::recognize(&data.path().join(name)));
        assert!(why.contains(name) && why.contains("give the folder that holds them all"), "{why}");
    }
}

/// Copies of golden files below a folder: from, to.
fn copies(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in files {
        let to = folder.path().join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(golden(from), to).unwrap();
    }
    folder
}

#[test]
fn series_lie_in_class_folders_too_and_their_slices_must_fit() {
    let slices =
        |n| ["series/p1/0.dcm", "series/p1/1.dcm", "series/p2/0.dcm", "pictures/frames.dcm", "pictures/rgb.dcm"][n];
    let data = copies(&[
        (slices(0), "train/cancer/a/IM0001"),
        (slices(1), "train/cancer/a/IM0002"),
        // The same place twice.
        (slices(1), "train/cancer/a/IM0003"),
        (slices(2), "train/healthy/b/1.dcm"),
        (slices(0), "train/healthy/mixed/1.dcm"),
        (slices(2), "train/healthy/mixed/2.dcm"),
        (slices(0), "train/healthy/sizes/1.dcm"),
        (slices(3), "train/healthy/sizes/2.dcm"),
        (slices(4), "train/healthy/colors/2.dcm"),
        (slices(3), "train/healthy/frames/2.dcm"),
        (slices(3), "train/healthy/frames/3.dcm"),
    ]);
    assert!(
        refusal(source::recognize(&data.path().join("train/cancer"))).contains("no pictures"),
        "files without an ending"
    );
    let (name, params) = source::recognize(data.path()).unwrap();
    let (collection, params) = source::open(name, params).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((name, &params["series"]), ("dicom", &json!(true)));
    let rows = shown(&collection);
    assert_eq!(rows[..2], ["Train train/cancer/a cancer p1", "Train train/healthy/b healthy p2"]);
    assert_eq!(collection.dataset.image(0).unwrap().dims(), [2, 8, 10, 1]);
    let said = "1 series have several slices at one position, of which those of the higher InstanceNumbers are left out: \
                'train/cancer/a' 1";
    assert!(collection.warnings.iter().any(|warning| warning == said), "{:?}", collection.warnings);
    let why = |name: &str| refusal((collection.read)(&format!("train/healthy/{name}")));
    assert!(why("mixed").contains("'1.dcm' and '2.dcm' are of different series"), "{}", why("mixed"));
    assert!(why("sizes").contains("different sizes, 10×8 and 5×4"), "{}", why("sizes"));
    assert!(why("colors").contains("have colors"), "{}", why("colors"));
    assert!(why("frames").contains("several frames"), "{}", why("frames"));
    assert!(why("nowhere").contains("cannot decode"), "{}", why("nowhere"));
}

/// A small generator of its own, the same on every machine.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// Reads all beginnings of a golden file and a thousand copies with wrong bits; gives what is said of the shortest ones.
fn hostile(source: &str, from: &str, name: &str, more: Value) -> Vec<String> {
    let data = copies(&[(from, &format!("a/{name}")), (from, &format!("b/{name}"))]);
    let (collection, _) = opened(source, data.path(), more);
    let (name, bytes) = (format!("a/{name}"), fs::read(golden(from)).unwrap());
    let read = |bytes: &[u8]| {
        fs::write(data.path().join(&name), bytes).unwrap();
        refusal((collection.read)(&name))
    };
    assert_eq!(read(&bytes), "it is read");
    let said: Vec<String> = (0..bytes.len()).map(|keep| read(&bytes[..keep])).collect();
    let mut state = 11;
    for _ in 0..1000 {
        let mut broken = bytes.clone();
        for _ in 0..1 + random(&mut state) % 4 {
            let bit = random(&mut state) as usize % (8 * bytes.len());
            broken[bit / 8] ^= 1 << (bit % 8);
        }
        read(&broken);
    }
    assert!(said.iter().all(|said| said == "it is read" || said.contains(&name)), "{said:?}");
    said
}

#[test]
fn broken_dicom_files_are_refused_with_a_reason() {
    let packed = ["rle_frames", "lossless4", "lossless_restarts", "palette"];
    for file in ["rgb", "implicit", "big", "frames", "jpeg_gray", "deflated"].into_iter().chain(packed) {
        let said = hostile("dicom", &format!("pictures/{file}.dcm"), "1.dcm", json!({"series": false}));
        assert!(said[0].contains("the file is empty") && said[100].contains("it is no DICOM file"), "{said:?}");
        assert!(said[200].contains("truncated"), "{file}: {}", said[200]);
        // The last byte of an odd number of pixels is none.
        let end = if file == "deflated" { said.len() * 2 / 3 } else { said.len() - 2 };
        assert!(said[133..end].iter().all(|said| said != "it is read"), "{file}");
    }
    let whole = fs::read(golden("pictures/rgb.dcm")).unwrap();
    let data = copies(&[("pictures/rgb.dcm", "a/1.dcm"), ("pictures/rgb.dcm", "b/1.dcm")]);
    let (collection, _) = opened("dicom", data.path(), json!({}));
    let read = |bytes: &[u8]| {
        fs::write(data.path().join("a/1.dcm"), bytes).unwrap();
        refusal((collection.read)("a/1.dcm"))
    };
    // Where the first element of the data set is: SOPClassUID.
    let start = whole.windows(6).position(|bytes| bytes == b"\x08\x00\x16\x00UI").unwrap();
    let with = |element: &[u8]| [&whole[..start], element, &whole[start..]].concat();
    assert_eq!(read(&with(b"\x08\x00\x10\x00SH\x02\x00xx")), "it is read");
    assert!(read(&with(b"\x08\x00\x10\x00OB\x00\x00\xFE\xFF\xFF\xFF")).contains("truncated"));
    assert!(read(&with(b"\x08\x00\x10\x00UT\x00\x00\xFF\xFF\xFF\x7F")).contains("truncated"));
    // Sequences in sequences, as deep as a file can hold them.
    let deep = b"\xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF\x08\x00\x40\x11SQ\x00\x00\xFF\xFF\xFF\xFF".repeat(100_000);
    assert!(
        read(&with(&[b"\x08\x00\x10\x11SQ\x00\x00\xFF\xFF\xFF\xFF".to_vec(), deep].concat())).contains("truncated")
    );
    packed_pictures_cost_nothing();
    // Sides of 65535 in 16000 frames.
    let frames = b"\x28\x00\x08\x00IS\x06\x00016000".to_vec();
    let rows = whole.windows(8).position(|bytes| bytes == b"\x28\x00\x10\x00US\x02\x00").unwrap();
    let mut large = whole.clone();
    large[rows + 8..rows + 10].copy_from_slice(&[0xFF; 2]);
    assert!(read(&large).contains("must be; fetch it again"), "{}", read(&large));
    large.splice(rows..rows, frames);
    assert!(read(&large).contains("more than the"), "{}", read(&large));
}

/// Pictures whose sides are more than their packed bytes can hold.
fn packed_pictures_cost_nothing() {
    for (file, what) in [("rle", "run lengths are truncated"), ("lossless1", "it says 65535×")] {
        let whole = fs::read(golden(&format!("pictures/{file}.dcm"))).unwrap();
        let data = copies(&[("pictures/rgb.dcm", "a/1.dcm"), ("pictures/rgb.dcm", "b/1.dcm")]);
        let (collection, _) = opened("dicom", data.path(), json!({}));
        let columns = whole.windows(8).position(|bytes| bytes == b"\x28\x00\x11\x00US\x02\x00").unwrap();
        let mut large = whole.clone();
        large[columns + 8..columns + 10].copy_from_slice(&[0xFF; 2]);
        let read = |bytes: &[u8]| {
            fs::write(data.path().join("a/1.dcm"), bytes).unwrap();
            refusal((collection.read)("a/1.dcm"))
        };
        assert!(read(&large).contains(what), "{}", read(&large));
        if file == "lossless1" {
            let frame = whole.windows(2).position(|bytes| bytes == b"\xFF\xC3").unwrap();
            large[frame + 7..frame + 9].copy_from_slice(&[0xFF; 2]);
            assert!(read(&large).contains("JPEG is truncated"), "{}", read(&large));
        }
        // A segment that begins behind the end.
        let mut large = whole.clone();
        let item = whole.windows(4).rposition(|bytes| bytes == b"\xFE\xFF\x00\xE0").unwrap();
        large[item + 12..item + 16].fill(0xFF);
        assert_ne!(read(&large), "it is read");
    }
}

#[test]
fn nifti_folders_explain_themselves() {
    let (name, params) = source::recognize(&golden("nifti")).unwrap();
    let (collection, params) = source::open(name, params).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(name, "nifti");
    assert_eq!(params["orientation"], "LPS");
    assert_eq!(params["window"], json!({"percentiles": [0.5, 99.5]}));
    assert_eq!((&params["id"], &params["label"]), (&json!("subject"), &json!("label")));
    assert_eq!(shown(&collection)[..2], ["Train f4 0 -", "Train f8 1 -"]);
    let why = refusal(open("nifti", &golden("nifti"), json!({"orientation": "RAR"})));
    assert!(why.contains("such as LPS or RAS"), "{why}");
    let (finer, _) = opened("nifti", &golden("nifti"), json!({"spacing": [1, 1, 1], "window": [-50, 90]}));
    assert_eq!((finer.read)("i1.nii").unwrap().image.dims(), [8, 15, 5, 1]);
    assert!(refusal(open("nifti", &golden("series"), json!({}))).contains("no NIfTI files"));
}

#[test]
fn broken_nifti_files_are_refused_with_a_reason() {
    for (file, name) in [("scaled.nii", "1.nii"), ("times.nii.gz", "1.nii.gz"), ("second.nii", "1.nii")] {
        let said = hostile("nifti", &format!("nifti/{file}"), name, json!({}));
        assert!(said[0].contains("the file is empty") && said[said.len() - 20].contains("truncated"), "{said:?}");
    }
    let whole = fs::read(golden("nifti/scaled.nii")).unwrap();
    let data = copies(&[("nifti/scaled.nii", "a/1.nii"), ("nifti/scaled.nii", "b/1.nii")]);
    let (collection, _) = opened("nifti", data.path(), json!({}));
    let read = |place: usize, bytes: &[u8]| {
        let mut broken = whole.clone();
        broken[place..place + bytes.len()].copy_from_slice(bytes);
        fs::write(data.path().join("a/1.nii"), broken).unwrap();
        refusal((collection.read)("a/1.nii"))
    };
    let sides = |sides: [u16; 8]| sides.map(u16::to_le_bytes).concat();
    assert!(read(40, &sides([7; 8].map(|side: u16| side.max(7)))).contains("announces"));
    assert!(read(40, &sides([7, 65535, 65535, 65535, 65535, 65535, 65535, 65535])).contains("more than the"));
    assert!(read(40, &sides([3, 500, 500, 600, 1, 1, 1, 1])).contains("truncated"));
    assert!(read(40, &sides([3, 4, 0, 5, 1, 1, 1, 1])).contains("which is nothing"));
    assert!(read(40, &sides([0; 8])).contains("0 dimensions"));
    assert!(read(70, &[32, 0]).contains("Complex64"));
    assert!(read(70, &[3, 0]).contains("unknown type 3"));
    assert!(read(108, &1e8f32.to_le_bytes()).contains("truncated"));
    for odd in [f32::NAN, -1.0, f32::INFINITY, 0.0] {
        assert_eq!(read(108, &odd.to_le_bytes()), "it is read");
    }
    assert!(read(344, b"ni1\0").contains("another file (.img)"));
    assert!(read(344, b"PNG\0ni2\0").contains("it is no NIfTI file"));
    let second = fs::read(golden("nifti/second.nii")).unwrap();
    let wide = |place: usize, bytes: &[u8]| {
        let mut broken = second.clone();
        broken[place..place + bytes.len()].copy_from_slice(bytes);
        fs::write(data.path().join("a/1.nii"), broken).unwrap();
        refusal((collection.read)("a/1.nii"))
    };
    let sides = |sides: [i64; 8]| sides.map(i64::to_le_bytes).concat();
    assert!(wide(4, b"ni2\0").contains("another file (.img)"));
    for side in [-1, i64::MAX, i64::MIN, 1 << 32] {
        assert!(wide(16, &sides([3, side, side, 2, 1, 1, 1, 1])).contains("more than the"), "{side}");
        assert!(wide(16, &sides([side, 1, 1, 1, 1, 1, 1, 1])).contains("dimensions"), "{side}");
    }
    assert!(wide(16, &sides([3, 500, 500, 600, 1, 1, 1, 1])).contains("truncated"));
    assert!(wide(168, &1_000_000i64.to_le_bytes()).contains("truncated"));
    assert_eq!(wide(168, &i64::MIN.to_le_bytes()), "it is read");
    assert!(read(344, b"PNG\0").contains("it is no NIfTI file"));
}

/// A gray picture of 3 × 2 pixels.
fn gray(level: u8) -> Vec<u8> {
    b"P5 3 2 255\n".iter().copied().chain((0..6).map(|i| level + i)).collect()
}

fn folder(files: &[(String, Vec<u8>)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

#[test]
fn four_channels_with_several_labels() {
    let mut files = vec![
        ("train.csv".to_string(), b"Id,Target\na-1,16 0\nb-2,7\nc-3,0\n".to_vec()),
        ("sample_submission.csv".into(), b"Id,Predicted\nd-4,0\n".to_vec()),
        ("train/extra.png".into(), gray(0)),
    ];
    for (n, id) in ["train/a-1", "train/b-2", "train/c-3", "test/d-4"].into_iter().enumerate() {
        for (c, color) in ["red", "green", "blue", "yellow"].into_iter().enumerate() {
            files.push((format!("{id}_{color}.png"), gray((50 * n + 10 * c) as u8)));
        }
    }
    files.retain(|(name, _)| name != "train/c-3_blue.png");
    files.iter_mut().find(|(name, _)| name == "train/b-2_green.png").unwrap().1 = b"P5 2 2 255\nabcd".to_vec();
    let data = folder(&files);
    let (name, mut params) = source::recognize(data.path()).unwrap();
    assert_eq!(name, "multichannel");
    params["target"] = "multi_label".into();
    params["label"] = "Target".into();
    let (collection, params) = source::open(name, params).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(params["pattern"], "{id}_{channel}.png");
    assert_eq!(params["channels"], json!(["red", "green", "blue", "yellow"]));
    assert_eq!(params["id"], "Id");
    let rows = collection.dataset.rows();
    assert_eq!(shown(&collection), ["Train a-1 - -", "Train b-2 - -", "Test d-4 - -"]);
    assert_eq!(collection.dataset.classes(), ["0", "7", "16"]);
    assert_eq!((&rows[0].target, rows[2].part), (&Some(Target::Dense(vec![1.0, 0.0, 1.0])), Part::Test));
    let image = collection.dataset.image(0).unwrap();
    assert_eq!((image.dims(), &image.pixels()[..8]), ([1, 2, 3, 4], &[0, 10, 20, 30, 1, 11, 21, 31][..]));
    let why = refusal(collection.dataset.image(1));
    assert!(why.contains("different sizes: 'red' 3×2, 'green' 2×2"), "{why}");
    assert_eq!(collection.missing_files, ["c-3"]);
    let said = collection.warnings.join("\n");
    assert!(said.contains("the channel 'train/c-3_blue.png' is missing"), "{said}");
    assert!(said.contains("1 pictures do not fit data.pattern"), "{said}");
    let given = json!({"pattern": "{id}_{channel}.png", "channels": ["green", "pink"]});
    let why = refusal(open("multichannel", data.path(), given));
    assert!(why.contains("no picture has all channels, 'test/d-4_pink.png' is not there"), "{why}");
    let why = refusal(open("multichannel", data.path(), json!({"pattern": "{id}.tif"})));
    assert!(why.contains("no {channel}"), "{why}");
}

#[test]
fn six_channels_of_two_sites() {
    let table =
        "id_code,experiment,plate,well,sirna\nHEPG2-01_1_B03,HEPG2-01,1,B03,513\nHEPG2-01_2_B03,HEPG2-01,2,B03,840\n";
    let mut files = vec![
        ("train.csv".to_string(), table.as_bytes().to_vec()),
        ("test.csv".into(), b"id_code,experiment,plate,well\nU2OS-04_3_C09,U2OS-04,3,C09\n".to_vec()),
        ("sample_submission.csv".into(), b"id_code,sirna\nU2OS-04_3_C09,0\n".to_vec()),
    ];
    for (n, place) in
        ["train/HEPG2-01/Plate1/B03", "train/HEPG2-01/Plate2/B03", "test/U2OS-04/Plate3/C09"].iter().enumerate()
    {
        for (site, channel) in (1..3).flat_map(|site| (1..7).map(move |channel| (site, channel))) {
            files.push((format!("{place}_s{site}_w{channel}.png"), gray((60 * n + 20 * site + channel) as u8)));
        }
    }
    let data = folder(&files);
    let (name, mut params) = source::recognize(data.path()).unwrap();
    params["group"] = "experiment".into();
    let (collection, params) = source::open(name, params).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        (name, &params["id"], &params["label"]),
        ("multichannel", &json!("{experiment}_{plate}_{well}"), &json!("sirna"))
    );
    let rows = collection.dataset.rows();
    assert_eq!(rows.len(), 6);
    let samples: Vec<&str> = rows.iter().filter_map(|row| row.sample.as_deref()).collect();
    assert_eq!(samples[1..3], ["HEPG2-01_1_B03", "HEPG2-01_2_B03"]);
    assert_eq!(rows[1].id, "train/HEPG2-01/Plate1/B03_s2_w{channel}.png");
    assert_eq!((rows[1].class(), rows[1].group.as_deref(), rows[5].part), (Some(0), Some("HEPG2-01"), Part::Test));
    let gathered = sconce_data::Samples::gather(collection.dataset.clone()).unwrap();
    use sconce_data::Dataset;
    assert_eq!((gathered.rows()[2].id.as_str(), gathered.pictures(2)), ("U2OS-04_3_C09", 2));
    let image = gathered.picture(0, 1).unwrap();
    assert_eq!((image.dims(), &image.pixels()[..6]), ([1, 2, 3, 6], &[41, 42, 43, 44, 45, 46][..]));
    assert!(collection.files.iter().all(|file| file.row.is_some()) && collection.files.len() == 6);
}

#[test]
fn channels_in_class_folders() {
    let files: Vec<(String, Vec<u8>)> = ["cat/1", "cat/2", "dog/1"]
        .iter()
        .flat_map(|id| ["a", "b"].map(|channel| (format!("{id}.{channel}.pgm"), gray(channel.as_bytes()[0]))))
        .collect();
    let data = folder(&files);
    let given = json!({"pattern": "{id}.{channel}.pgm", "channels": ["b", "a"]});
    let (collection, _) = opened("multichannel", data.path(), given);
    assert_eq!(shown(&collection), ["Train cat/1 cat -", "Train cat/2 cat -", "Train dog/1 dog -"]);
    assert_eq!(collection.dataset.image(2).unwrap().pixels()[..2], [98, 97]);
    let why = refusal(open("multichannel", data.path(), json!({})));
    assert!(why.contains("say with data.pattern and data.channels"), "{why}");
}

#[test]
fn arrays_of_other_names_and_several_labels() {
    let Arrays { pictures, chest } = cases().arrays;
    let (collection, params) = opened("npz", &golden("keras.npz"), json!({}));
    assert_eq!((&params["images"], &params["labels"]), (&json!("x_{part}"), &json!("y_{part}")));
    assert_eq!(
        shown(&collection),
        [
            "Test test/00000 0 -",
            "Test test/00001 - -",
            "Train train/00000 5 -",
            "Train train/00001 0 -",
            "Train train/00002 4 -"
        ]
    );
    assert_eq!(collection.dataset.image(1).unwrap().pixels(), &pictures[48..]);
    let why = refusal(open("npz", &golden("chest.npz"), json!({})));
    assert!(why.contains("[3, 3], expected one class per picture") && why.contains("multi_label"), "{why}");
    let target = json!({"kind": "multi_label", "classes": ["mass", "nodule", "edema"]});
    for (target, classes) in [(target, ["mass", "nodule", "edema"]), (json!("multi_label"), ["0", "1", "2"])] {
        let (collection, _) = opened("npz", &golden("chest.npz"), json!({"target": target}));
        assert_eq!(collection.dataset.classes(), classes);
        for (row, n) in collection.dataset.rows().iter().zip([4, 0, 1, 2, 3]) {
            assert_eq!(row.target, Some(Target::Dense(chest[n].clone())), "{}", row.id);
        }
    }
    let names = json!({"images": "faces", "labels": "ages", "target": "regression"});
    let (collection, _) = opened("npz", &golden("ages.npz"), names);
    let values: Vec<Option<Target>> = collection.dataset.rows().iter().map(|row| row.target.clone()).collect();
    let value = |value| Some(Target::Dense(vec![value]));
    assert_eq!(values, [value(1.5), None, value(33.0), value(-2.0), value(1e3)]);
    let why = refusal(open("npz", &golden("ages.npz"), json!({"images": "faces", "labels": "ages"})));
    assert!(why.contains("classes are read from integers") && why.contains("regression"), "{why}");
}

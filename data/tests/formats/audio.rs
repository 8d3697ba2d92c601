//! Folders of sounds: by their names, by folders, with a table.

use sconce_data::source::{self, Collection};
use sconce_data::{Part, Row};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tables/sounds")
}

fn open(path: &Path, more: Value) -> sconce_data::Result<(Collection, Value)> {
    let (name, mut params) = source::recognize(path)?;
    assert_eq!(name, "audio");
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    source::open(name, params)
}

fn error<T>(result: sconce_data::Result<T>) -> String {
    result.err().map_or("it opens".into(), |error| error.to_string())
}

fn shown(collection: &Collection) -> Vec<String> {
    let classes = collection.dataset.classes();
    let class = |row: &Row| row.class().map_or("-", |c| &classes[c as usize]).to_string();
    let group = |row: &Row| row.group.clone().unwrap_or("-".into());
    let row = |row: &Row| format!("{:?} {} {} {}", row.part, row.id, class(row), group(row));
    collection.dataset.rows().iter().map(row).collect()
}

/// The sounds under other names, with other files.
fn folder(names: &[(&str, &str)], files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let sounds = names.iter().map(|(from, to)| (*to, fs::read(golden().join(from)).unwrap()));
    for (path, bytes) in sounds.chain(files.iter().map(|(path, bytes)| (*path, bytes.to_vec()))) {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

#[test]
fn names_tell_labels_and_groups() {
    let (collection, params) = open(&golden(), json!({})).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(params["pattern"], "{label}_{group}_{n}");
    assert_eq!(
        shown(&collection)[..3],
        ["Train 0_ann_0.wav 0 ann", "Train 0_ann_1.wav 0 ann", "Train 0_bob_0.wav 0 bob"]
    );
    assert!(collection.warnings[0].contains("labels and groups are taken from the names"), "{:?}", collection.warnings);
    // 8 kHz, 57.5 ms at most.
    let found = &params["spectrogram"];
    assert_eq!((&found["rate"], &found["duration"]), (&json!(8000), &json!(0.1)));
    assert_eq!(
        (&found["stft"]["n_fft"], &found["stft"]["hop_length"], &found["mel"]["n_mels"]),
        (&json!(256), &json!(128), &json!(64))
    );
    let image = |index: usize| collection.dataset.image(index).unwrap();
    assert!((0..8).all(|index| image(index).dims() == [1, 64, 7, 1]));
    // The brightest row of the low tone lies below that of the high one; low frequencies are at the bottom.
    let brightest = |index: usize| {
        let image = image(index);
        let row = |y: usize| image.pixels()[y * 7..][..7].iter().map(|v| u32::from(*v)).sum::<u32>();
        (0..64).max_by_key(|y| row(*y)).unwrap()
    };
    assert!(brightest(0) > brightest(4) + 10, "{} {}", brightest(0), brightest(4));
    // What was resolved opens to the same.
    let (again, second) = source::open("audio", params.clone()).unwrap();
    assert_eq!((second, again.dataset.image(3).unwrap()), (params, image(3)));
}

#[test]
fn channels_and_fields_of_the_picture() {
    let one = |more: Value| open(&golden(), more).map(|(collection, _)| collection.dataset.image(0).unwrap());
    let plain = one(json!({})).unwrap();
    let rgb = one(json!({"color": "rgb"})).unwrap();
    assert_eq!(
        (rgb.channels(), rgb.pixels()[3 * 5], rgb.pixels()[3 * 5 + 2]),
        (3, plain.pixels()[5], plain.pixels()[5])
    );
    let delta = json!({"spectrogram": {"duration": 0.1, "stft": {"n_fft": 256, "hop_length": 64}, "delta_width": 9}});
    assert_eq!(one(delta).unwrap().dims(), [1, 128, 13, 3]);
    assert!(
        error(one(json!({"spectrogram": {"duration": 0.1, "stft": {"n_fft": 1}}})))
            .contains("n_fft must be 2 to 65536")
    );
    assert!(error(one(json!({"spectrogram": {"duration": -1.0}}))).contains("duration must be more than 0"));
    assert!(error(one(json!({"spectrogram": {"hop": 1}}))).contains("unknown field `hop`"));
}

#[test]
fn patterns_of_every_kind() {
    let data = folder(
        &[
            ("0_ann_0.wav", "x/rec-dog(ann)_7.wav"),
            ("0_ann_1.wav", "y/rec-cat(bob)_8.wav"),
            ("1_bob_0.wav", "y/other.wav"),
        ],
        &[],
    );
    let rows = |pattern: &str| {
        open(data.path(), json!({"pattern": pattern})).map(|(collection, _)| (shown(&collection), collection.warnings))
    };
    let (found, warnings) = rows("rec-{label}({group})_{n}").unwrap();
    assert_eq!(found, ["Train x/rec-dog(ann)_7.wav dog ann", "Train y/rec-cat(bob)_8.wav cat bob"]);
    assert_eq!(warnings[0], "1 names are not as data.pattern says and are left out, as 'y/other.wav'");
    assert_eq!(warnings[1], "sounds are resampled to 8000 Hz and cut or filled to 0.1 s; data.spectrogram sets both");
    assert_eq!(rows("{group}/{label}").unwrap().0[2], "Train y/rec-cat(bob)_8.wav rec-cat(bob)_8 y");
    for (pattern, why) in [
        ("{group}_{n}", "the field {label} is missing"),
        ("{label}{group}", "between two fields there must be some text"),
        ("{label}_{speaker}", "unknown field 'speaker', expected one of label, group, sample, n"),
        ("{label", "a } is missing"),
        ("{label}_{label}", "stands in it twice"),
        ("{label}#{group}", "none of its 3 names is as data.pattern says, as 'x/rec-dog(ann)_7.wav'"),
    ] {
        assert!(error(rows(pattern)).contains(why), "{pattern}: {}", error(rows(pattern)));
    }
}

#[test]
fn class_folders_tables_and_neither() {
    let names = [("0_ann_0.wav", "a/1.wav"), ("0_ann_1.wav", "a/2.WAV"), ("1_bob_0.wav", "b/3.wav")];
    let (collection, params) = open(folder(&names, &[]).path(), json!({})).unwrap();
    assert_eq!(shown(&collection), ["Train a/1.wav a -", "Train a/2.WAV a -", "Train b/3.wav b -"]);
    assert_eq!(params.get("pattern"), None);
    let table: (&str, &[u8]) = ("meta.csv", b"file,category,take\n1.wav,dog,7\n2.WAV,cat,8\nlost.wav,cat,9\n");
    let (collection, params) = open(folder(&names, &[table]).path(), json!({"group": "take"})).unwrap();
    assert_eq!(shown(&collection), ["Train 1.wav dog 7", "Train 2.WAV cat 8"]);
    assert_eq!(
        (&params["id"], &params["label"], &params["table"]),
        (&"file".into(), &"category".into(), &"meta.csv".into())
    );
    assert_eq!(collection.missing_files, ["lost.wav"]);
    let flat = folder(&[("0_ann_0.wav", "one.wav"), ("1_bob_0.wav", "two.wav")], &[]);
    assert!(
        error(open(flat.path(), json!({}))).contains("2 sounds are below it, but neither class folders nor a table")
    );
    let broken =
        folder(&[("0_ann_0.wav", "a/1.wav"), ("1_bob_0.wav", "b/2.wav")], &[("b/0.wav", b"RIFF"), ("b/9.wav", b"")]);
    let (collection, _) = open(broken.path(), json!({})).unwrap();
    let why = |index: usize| error(collection.dataset.image(index));
    assert!(
        why(1).contains("cannot decode 'b/0.wav'") && why(3).contains("'b/9.wav': the file is empty"),
        "{} {}",
        why(1),
        why(3)
    );
    assert!(error(open(folder(&[], &[("a/1.wav", b"RIFF")]).path(), json!({}))).contains("cannot decode 'a/1.wav'"));
    assert!(error(source::recognize(folder(&[], &[("a/1.txt", b"x")]).path())).contains("no pictures"));
}

#[test]
fn spoken_digits_open_by_their_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/spoken_digits");
    if !root.exists() {
        println!("skipped: {} is not there", root.display());
        return;
    }
    let (collection, params) = open(&root, json!({})).unwrap_or_else(|e| panic!("{e}"));
    println!("{params} {:?}", collection.warnings);
    let rows = collection.dataset.rows();
    assert_eq!(
        (rows.len(), collection.dataset.classes()),
        (2000, &(0..10).map(|d| d.to_string()).collect::<Vec<_>>()[..])
    );
    let (mut groups, mut classes) = (BTreeMap::<&str, usize>::new(), BTreeMap::<u32, usize>::new());
    for row in rows {
        *groups.entry(row.group.as_deref().unwrap()).or_default() += 1;
        *classes.entry(row.class().unwrap()).or_default() += 1;
    }
    assert_eq!((groups.len(), groups.values().all(|count| *count == 500)), (4, true), "{groups:?}");
    assert!(classes.values().all(|count| *count == 200), "{classes:?}");
    assert!(rows.iter().all(|row| row.part == Part::Train));
    let dims = collection.dataset.image(0).unwrap().dims();
    for index in (0..2000).step_by(53) {
        let image = collection.dataset.image(index).unwrap();
        let (least, most) = (image.pixels().iter().min().unwrap(), image.pixels().iter().max().unwrap());
        assert_eq!((image.dims(), *most), (dims, 255), "{index}");
        assert!(*least < 128, "{index}");
    }
}

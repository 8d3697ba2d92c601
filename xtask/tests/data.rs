//! What pictures of other forms do to the whole program, and mistakes about data.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod program;

use program::{fails, read, said, succeeds, with};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Pictures of an array set.
const COUNT: usize = 48;

/// Bytes that look random, a different share of bright ones for each of two classes.
fn pixels(per_picture: usize) -> (Vec<u8>, Vec<u8>) {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let labels: Vec<u8> = (0..COUNT).map(|i| (i % 2) as u8).collect();
    let pixels = labels.iter().flat_map(|&class| vec![class; per_picture]);
    (pixels.map(|class| if class == 0 { next() / 4 } else { next() }).collect(), labels)
}

/// MNIST's files of pictures of `side`.
fn idx(side: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = |sides: &[usize], values: &[u8]| -> Vec<u8> {
        let sides_of = sides.iter().flat_map(|side| (*side as u32).to_be_bytes());
        [0, 0, 8, sides.len() as u8].into_iter().chain(sides_of).chain(values.iter().copied()).collect()
    };
    let (pixels, labels) = pixels(side * side);
    let write = |name: &str, bytes: Vec<u8>| fs::write(folder.path().join(name), bytes).unwrap();
    write("train-images-idx3-ubyte", file(&[COUNT, side, side], &pixels));
    write("train-labels-idx1-ubyte", file(&[COUNT], &labels));
    folder
}

/// An `.npz` of pictures with `sides`, such as "16, 16, 3".
fn npz(folder: &Path, sides: &str) -> String {
    let per_picture = sides.split(", ").map(|side| side.parse::<usize>().unwrap()).product();
    let (pixels, labels) = pixels(per_picture);
    let npy = |shape: String, bytes: &[u8]| {
        let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape}), }}\n");
        [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), bytes].concat()
    };
    let path = folder.join(format!("{}.npz", sides.replace(", ", "x")));
    let mut zip = ZipWriter::new(fs::File::create(&path).unwrap());
    for (name, array) in [
        ("train_images", npy(format!("{COUNT}, {sides}"), &pixels)),
        ("train_labels", npy(format!("{COUNT},"), &labels)),
    ] {
        zip.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
        zip.write_all(&array).unwrap();
    }
    zip.finish().unwrap();
    path.display().to_string()
}

/// `pipeline --data` with a small network.
fn pipeline(folder: &Path, data: &str, sets: &[&str]) -> Command {
    pipeline_to(folder, "run", data, sets)
}

fn pipeline_to(folder: &Path, out: &str, data: &str, sets: &[&str]) -> Command {
    let mut command = program::sconce(folder);
    command.args(["pipeline", "--data", data, "--quiet", "--json", "--out", out]);
    let small = ["preprocess.size=16", "model={name='baseline', widths=[8]}", "data.folds=2", "train.epochs=1"];
    with(with(command, &small), sets)
}

#[test]
fn gray_arrays_have_one_channel_from_the_first_check_to_the_last_layer() {
    let (data, out) = (idx(16), tempfile::tempdir().unwrap());
    let folder = out.path();
    let path = data.path().to_str().unwrap();
    let mnist = "preprocess.stats={mean=[0.13], std=[0.31]}";
    succeeds(&mut pipeline(folder, path, &[mnist, "eval.bootstrap=0"]));
    let model: serde_json::Value = serde_json::from_slice(&read(&folder.join("run/fold0/model.json"))).unwrap();
    assert_eq!((&model["network"]["channels"], &model["color"]), (&1.into(), &"gray".into()));
    // With the source named the check comes before anything is read; ImageNet's statistics become those of gray.
    succeeds(pipeline(folder, path, &["data.source=idx", mnist]).arg("--dry-run"));
    succeeds(pipeline(folder, path, &["preprocess.stats=imagenet"]).arg("--dry-run"));
    let color = "preprocess.stats={mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5]}";
    for sets in [&[color][..], &[color, "data.source=idx"]] {
        let text = fails(&mut pipeline(folder, path, sets), 2);
        assert!(text.contains("the pictures have 1 channels, but stats has 3 means"), "{text}");
        assert!(text.contains("preprocess.stats"), "{text}");
    }
    assert!(fails(&mut pipeline(folder, "nowhere", &[color, "data.source=idx"]), 2).contains("have 1 channels"));
    succeeds(pipeline(folder, path, &[color, "data.color=rgb"]).arg("--dry-run"));

    let gray = npz(folder, "16, 16");
    succeeds(pipeline(folder, &gray, &[mnist]).arg("--dry-run"));
    assert!(fails(&mut pipeline(folder, &gray, &[color]), 2).contains("the pictures have 1 channels"));
    let colored = npz(folder, "16, 16, 3");
    succeeds(pipeline(folder, &colored, &[color]).arg("--dry-run"));
    assert!(fails(&mut pipeline(folder, &colored, &[mnist]), 2).contains("the pictures have 3 channels"));
}

#[test]
fn a_report_says_how_many_pictures_are_judged() {
    let (data, out) = (idx(16), tempfile::tempdir().unwrap());
    let sets = |folds: &'static str| ["preprocess.stats={mean=[0.13], std=[0.31]}", "eval.bootstrap=0", folds];
    succeeds(&mut pipeline(out.path(), data.path().to_str().unwrap(), &sets("data.folds=1")));
    let report = String::from_utf8(read(&out.path().join("run/report.html"))).unwrap();
    assert!(report.contains(&format!(" of {COUNT} pictures are judged; the others only train.")));
    assert!(report.contains("2 classes, 1 fold; "));
    succeeds(&mut pipeline(out.path(), data.path().to_str().unwrap(), &sets("data.folds=2")));
    let report = String::from_utf8(read(&out.path().join("run-2/report.html"))).unwrap();
    assert!(!report.contains("the others only train") && report.contains("2 classes, 2 folds; "));
}

/// Drawn pictures have no `color` to know their channels by.
#[test]
fn channels_that_only_the_pictures_tell_are_checked_before_training() {
    let out = tempfile::tempdir().unwrap();
    let run = |stats: &str| {
        let mut command = program::sconce(out.path());
        command.args(["train", "default", "--quiet", "--dry-run"]);
        with(command, &["data.source=synthetic", "data.len=40", "preprocess.size=16", "model={name='baseline'}", stats])
    };
    succeeds(&mut run("preprocess.stats=imagenet"));
    let text = fails(&mut run("preprocess.stats={mean=[0.5], std=[0.5]}"), 2);
    assert!(text.contains("the pictures have 3 channels, but stats has 1 means"), "{text}");
}

#[test]
fn equal_pictures_with_different_labels_are_listed_once() {
    let out = tempfile::tempdir().unwrap();
    let (pixels, _) = pixels(16 * 16);
    for i in 0..10 {
        let picture = [b"P5 16 16 255\n", &pixels[i * 256..(i + 1) * 256]].concat();
        let folders = match i {
            0 => ["left/a", "right/b"],
            1 => ["left/a", "left/b"],
            _ => [["left/a", "right/a"][i % 2]; 2],
        };
        for place in folders {
            let path = out.path().join("pictures").join(format!("{place}{i}.pgm"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &picture).unwrap();
        }
    }
    let mut eda = program::sconce(out.path());
    succeeds(eda.args(["eda", "pictures", "--quiet", "--out", "eda"]));
    let report = String::from_utf8(read(&out.path().join("eda/eda.html"))).unwrap();
    assert!(report.contains("Equal pictures with different labels: 1 groups"), "the conflict is not there");
    assert!(report.contains("Equal pictures: 1 groups"), "the conflict counts as a duplicate, too");
}

#[test]
fn volumes_are_given_whole_or_slice_by_slice() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path();
    let volumes = npz(folder, "6, 16, 16");
    let run = |name: &str, data: &str, sets: &[&str]| {
        let mut command = program::sconce(folder);
        command.args(["pipeline", "--data", data, "--quiet", "--out", name]);
        with(with(command, &["preprocess.size=16", "data.folds=2", "train.epochs=1", "eval.bootstrap=0"]), sets)
    };
    let network = |name: &str| -> serde_json::Value {
        let model = read(&folder.join(name).join("fold0/model.json"));
        serde_json::from_slice::<serde_json::Value>(&model).unwrap()["network"].clone()
    };
    // A folder with nothing but the file is as good, and three slices of a volume are a picture of three channels.
    fs::create_dir(folder.join("set")).unwrap();
    fs::copy(&volumes, folder.join("set/v.npz")).unwrap();
    let steps = "preprocess.steps=['projection']";
    succeeds(&mut run("projected", "set", &[steps, "model={name='baseline', widths=[8]}"]));
    assert_eq!((&network("projected")["views"], &network("projected")["channels"]), (&1.into(), &3.into()));
    let slices = "model={name='baseline', widths=[8], join='attention'}";
    succeeds(&mut run("slices", &volumes, &[slices]));
    assert_eq!((&network("slices")["views"], &network("slices")["join"]["name"]), (&6.into(), &"attention".into()));
    succeeds(&mut run("some", &volumes, &[slices, "model.views=3", "augment.batch=['cutmix']"]));
    assert_eq!(network("some")["views"], 3);
    let whole = "model={name='r3d_18', width=4}";
    succeeds(&mut run("whole", &volumes, &[whole]));
    assert_eq!(network("whole")["views"], 1);
    for name in ["slices", "whole"] {
        assert!(String::from_utf8(read(&folder.join(name).join("report.html"))).unwrap().contains("Hardest pictures"));
        succeeds(program::sconce(folder).args(["evaluate", name, "--quiet"]));
        succeeds(program::sconce(folder).args(["explain", name, "--quiet"]));
    }
    let refused = |sets: &[&str], data: &str| {
        let text = fails(&mut run("refused", data, sets), 2);
        assert!(!folder.join("refused").exists());
        text
    };
    assert!(refused(&[whole, "model.views=2"], &volumes).contains("takes a volume as it is; leave model.views away"));
    assert!(refused(&[whole], &npz(folder, "16, 16")).contains("'r3d_18' takes volumes, but these are flat pictures"));
    let mut eda = program::sconce(folder);
    let report = said(&succeeds(eda.args(["eda", &volumes, "--quiet", "--json", "--out", "eda"])));
    assert_eq!(report["sizes"]["depth"], serde_json::json!([6, 6, 6]));

    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/adrenal3d/adrenalmnist3d.npz");
    match real.is_file() {
        true => drop(succeeds(run("real", real.to_str().unwrap(), &[whole]).arg("--dry-run"))),
        false => println!("skipped: {} is not there", real.display()),
    }
}

#[test]
fn samples_of_several_pictures_go_the_whole_road() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path();
    let data = folder.join("data");
    fs::create_dir_all(data.join("images")).unwrap();
    let (pixels, _) = pixels(16 * 16);
    // Only one picture of a sample shows which class it is; some samples have one, some three.
    let (dark, bright) = (|i: usize| &pixels[2 * i * 256..][..256], |i: usize| &pixels[(2 * i + 1) * 256..][..256]);
    let mut tables = ["id,well,site,label\n".to_string(), "id,well,site\n".to_string()];
    for i in 0..COUNT / 2 {
        let class = ["off", "on"][i % 2];
        let pictures = match i % 2 {
            0 => vec![dark(i), dark((i + 1) % 24)],
            _ => vec![dark(i), bright(i), dark((i + 5) % 24)],
        };
        for (site, picture) in pictures.iter().enumerate() {
            // A mark of its own for every picture, so that none is a copy.
            let mut picture = picture.to_vec();
            (picture[0], picture[1]) = (i as u8, site as u8);
            fs::write(data.join(format!("images/w{i}s{site}.pgm")), [b"P5 16 16 255\n", &picture[..]].concat())
                .unwrap();
            match i < 20 {
                true => tables[0] += &format!("w{i}s{site},w{i},{site},{class}\n"),
                false => tables[1] += &format!("w{i}s{site},w{i},{site}\n"),
            }
        }
    }
    let answers: String = (20..COUNT / 2).map(|i| format!("w{i},off\n")).collect();
    fs::write(data.join("train.csv"), &tables[0]).unwrap();
    fs::write(data.join("test.csv"), &tables[1]).unwrap();
    fs::write(data.join("sample_submission.csv"), format!("well,label\n{answers}")).unwrap();
    let sets = [
        "data.sample=well",
        "model.join=max",
        "eval.views=flip",
        "eval.bootstrap=0",
        "data.clean.near_duplicates=ignore",
    ];
    succeeds(&mut pipeline(folder, "data", &sets));
    let text = |name: &str| String::from_utf8(read(&folder.join(name))).unwrap();
    let model: serde_json::Value = serde_json::from_str(&text("run/fold0/model.json")).unwrap();
    assert_eq!(model["network"]["views"], 3);
    assert_eq!(text("run/folds.csv").lines().count(), 21, "a line of each sample");
    assert_eq!(text("run/oof.csv").lines().count(), 21);
    assert!(text("run/submission.csv").lines().nth(1).unwrap().starts_with("w20,"));
    // Pictures from anywhere: those of a folder are a sample, whatever the sample is called.
    for i in 20..COUNT / 2 {
        let place = folder.join(format!("new/w{i}"));
        fs::create_dir_all(&place).unwrap();
        let pictures = (0..2 + i % 2).map(|site| format!("w{i}s{site}.pgm"));
        for name in pictures {
            fs::copy(data.join("images").join(&name), place.join(&name)).unwrap();
        }
    }
    succeeds(program::sconce(folder).args(["predict", "run", "new", "--quiet", "--out", "said.csv"]));
    let probabilities = |name: &str| -> Vec<String> {
        text(name).lines().skip(1).map(|line| line.split_once(',').unwrap().1.to_string()).collect()
    };
    assert_eq!(probabilities("said.csv"), probabilities("run/predictions.csv"));
    succeeds(program::sconce(folder).args(["explain", "run", "new/w21", "--quiet"]));
    let mut sheet = program::sconce(folder);
    sheet.args(["augment", "default", "--data", "data", "--quiet", "--out", "sheet"]);
    succeeds(&mut with(sheet, &["data.sample=well", "data.folds=2", "preprocess.size=16"]));
    let features =
        ["train.features=true", "train.backbone_lr=0", "augment.transforms=[]", "augment.batch=[]", "eval.views=none"];
    let mut again = pipeline(folder, "data", &["data.sample=well", "model.join=attention", "eval.bootstrap=0"]);
    again.env("XDG_CACHE_HOME", folder.join("cache"));
    succeeds(&mut with(again, &features));
}

#[test]
fn unknown_columns_and_labels_are_mistakes_of_the_recipe() {
    let out = tempfile::tempdir().unwrap();
    let refused = |command: &str, set: &str| {
        let mut program = program::sconce(out.path());
        program.args([command, "demo", "--quiet", "--out", "run"]);
        fails(&mut with(program, &["demo.images=100", "demo.test_images=5", "demo.size=16", set]), 2)
    };
    for (wrong, right) in [
        (
            "data.id=idd",
            "data.id: unknown column 'idd', expected one of id, label, plant, site, height_cm; did you mean 'id'?",
        ),
        ("data.label=lable", "did you mean 'label'?"),
        ("data.group=plnat", "did you mean 'plant'?"),
        ("data.meta=['site', 'hieght_cm']", "data.meta: unknown column 'hieght_cm'"),
        ("data.drop_labels=['oka']", "data.drop_labels: unknown label 'oka', expected one of"),
    ] {
        for command in ["pipeline", "eda"] {
            let text = refused(command, wrong);
            assert!(text.contains(right) && text.contains("recipe 'demo' is wrong"), "{wrong}: {text}");
        }
    }
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "something was left behind");
}

#[test]
fn the_submission_has_the_separator_of_its_sample() {
    let out = tempfile::tempdir().unwrap();
    let data = out.path().join("data");
    fs::create_dir_all(data.join("images")).unwrap();
    let (pixels, labels) = pixels(16 * 16);
    let picture = |i: usize| [b"P5 16 16 255\n", &pixels[i * 256..(i + 1) * 256]].concat();
    let mut table = "id;label\n".to_string();
    for i in 0..COUNT - 8 {
        fs::write(data.join(format!("images/p{i}.pgm")), picture(i)).unwrap();
        table += &format!("p{i};{}\n", ["dark", "bright"][usize::from(labels[i])]);
    }
    let mut sample = "id;label\n".to_string();
    for i in COUNT - 8..COUNT {
        fs::write(data.join(format!("images/p{i}.pgm")), picture(i)).unwrap();
        sample += &format!("p{i};dark\n");
    }
    fs::write(data.join("train.csv"), table).unwrap();
    fs::write(data.join("sample_submission.csv"), &sample).unwrap();
    succeeds(&mut pipeline(out.path(), "data", &["eval.bootstrap=0"]));
    let answer = String::from_utf8(read(&out.path().join("run/submission.csv"))).unwrap();
    let ids = |text: &str| text.lines().map(|line| line.split_once(';').unwrap().0.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(&answer), ids(&sample));
}

#[test]
fn decoded_pictures_are_kept_on_disk_for_later_runs() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path();
    let data = npz(folder, "16, 16, 3");
    let run = |disk: &str| {
        let mut command = pipeline(folder, &data, &["eval.bootstrap=0", disk]);
        succeeds(command.env("XDG_CACHE_HOME", folder.join("cache")))
    };
    run("train.cache_disk_mb=0");
    assert!(!folder.join("cache/sconce/decoded").exists());
    run("train.cache_disk_mb=50");
    assert!(fs::read_dir(folder.join("cache/sconce/decoded")).unwrap().count() > 0);
    run("train.cache_disk_mb=50");
    let oof = |run: &str| read(&folder.join(run).join("oof.csv"));
    assert!(oof("run") == oof("run-2") && oof("run-2") == oof("run-3"));
    let speed = String::from_utf8(read(&folder.join("run/speed.jsonl"))).unwrap();
    assert!(speed.contains("loader/decode_s") && speed.contains("loader/waited_s"), "{speed}");
}

/// The real sounds, where they lie.
#[test]
fn sounds_and_their_speakers_go_through_the_pipeline() {
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/spoken_digits");
    if !real.is_dir() {
        return println!("skipped: {} is not there", real.display());
    }
    let out = tempfile::tempdir().unwrap();
    // As many folds as speakers, where nobody says how many.
    let sets = ["data.folds=0", "train.steps_per_epoch=4", "eval.bootstrap=0"];
    succeeds(&mut pipeline(out.path(), real.to_str().unwrap(), &sets));
    let folds = String::from_utf8(read(&out.path().join("run/folds.csv"))).unwrap();
    let mut speakers = std::collections::BTreeMap::new();
    for line in folds.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(speakers.entry(cells[3]).or_insert(cells[1]), &cells[1], "{line}");
    }
    assert_eq!((speakers.len(), speakers.values().collect::<std::collections::BTreeSet<_>>().len()), (4, 4));
    // A sound that is given later is listened to in the same way.
    let digit = fs::read_dir(&real).unwrap().map(|entry| entry.unwrap().path());
    let digit = digit.filter(|path| path.extension().is_some_and(|ending| ending == "wav")).min().unwrap();
    let mut predict = program::sconce(out.path());
    let said = succeeds(predict.args(["predict", "run"]).arg(&digit));
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.starts_with("id,0,1,2,") && said.lines().count() == 2, "{said}");
}

/// A folder `data` of gray pictures, `COUNT` of them, with a table that begins with `header`, then what `line` says of each.
fn tabled(folder: &Path, header: &str, line: impl Fn(usize) -> String) {
    let (pixels, _) = pixels(16 * 16);
    fs::create_dir_all(folder.join("data")).unwrap();
    let mut table = format!("{header}\n");
    for i in 0..COUNT {
        let picture = [b"P5 16 16 255\n", &pixels[i * 256..(i + 1) * 256]].concat();
        fs::write(folder.join(format!("data/{i}.pgm")), picture).unwrap();
        table += &format!("{}\n", line(i));
    }
    fs::write(folder.join("data/train.csv"), table).unwrap();
}

#[test]
fn rows_without_a_label_are_predicted_and_learned_from() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path();
    // Every sixth picture has no label; each group of six has one of them.
    let label = |i: usize| if i % 6 == 5 { "" } else { ["dark", "bright"][i % 2] };
    tabled(folder, "id,label,plate", |i| format!("{i},{},p{}", label(i), i / 6));
    let sets = ["data.group=plate", "data.clean.near_duplicates=ignore", "eval.bootstrap=0", "train.batch_size=8"];
    succeeds(&mut pipeline(folder, "data", &sets));
    let text = |name: &str| String::from_utf8(read(&folder.join("run").join(name))).unwrap();
    let unlabelled = text("unlabelled.csv");
    assert!(unlabelled.starts_with("id,bright,dark\n5,") && unlabelled.lines().count() == 9, "{unlabelled}");
    assert_eq!(text("fold1/unlabelled.csv").lines().count(), 9);
    assert!(
        !text("folds.csv").lines().any(|line| line.starts_with("5,")) && !folder.join("run/predictions.csv").exists()
    );
    assert!(
        text("eda.json").contains("8 training pictures have no label") && text("excluded.csv").lines().count() == 1
    );
    assert_eq!(text("oof.csv").lines().count(), 41);

    // A finished run stays finished.
    let again = succeeds(pipeline(folder, "data", &sets).arg("--resume"));
    assert!(String::from_utf8_lossy(&again.stderr).contains("finished already"));

    let mut student = program::sconce(folder);
    student.args(["self-train", "--data", "data", "--json", "--out", "noisy"]);
    let small = ["preprocess.size=16", "model={name='baseline', widths=[8]}", "data.folds=2", "train.epochs=1"];
    let own = ["pseudo.confidence=0", "pseudo.balance=false", "self_train.rounds=1"];
    let said = succeeds(&mut with(with(with(student, &small), &sets), &own));
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    // A run that has not asked them is no teacher; the data without labels do not change who judges.
    let mut trained = program::sconce(folder);
    trained.args(["train", "--data", "data", "--out", "trained"]);
    succeeds(&mut with(with(trained, &small), &sets));
    let student = |out: &str, key: &str| {
        let mut command = program::sconce(folder);
        command.args(["pipeline", "--data", "data", "--out", out]);
        with(with(with(command, &small), &sets), &[key])
    };
    let why = fails(&mut student("student", "pseudo.run=trained"), 1);
    assert!(why.contains("has no fold0/unlabelled.csv") && !folder.join("student").exists(), "{why}");
    let table = String::from_utf8(read(&folder.join("data/train.csv"))).unwrap();
    let labelled: Vec<&str> = table.lines().filter(|line| !line.contains(",,")).collect();
    fs::write(folder.join("data/train.csv"), labelled.join("\n")).unwrap();
    succeeds(&mut student("later", "loss={name='distillation', teacher='trained'}"));
    // Half of the groups judge a fold: their pictures without a label are not learned from there.
    for fold in [1, 2] {
        let line = format!("fold {fold}: 4 pseudo-labels from 4 of the 4 rows to ask about");
        assert!(said.contains(&line), "{said}");
    }
}

#[test]
fn what_the_data_do_not_have_is_said_before_any_picture_is_looked_at() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path();
    tabled(folder, "id,label,plate,day", |i| format!("{i},{},p{},{}", ["dark", "bright"][i % 2], i / 6, i));
    for (sets, right) in [
        (&["data.impute.columns.ages=mean"][..], "data.impute"),
        (&["train.sampler=twin", "data.group=plate", "train.batch_size=7"], "set train.batch_size to a multiple of 2"),
        (&["train.sampler=twin"], "goes by groups, but no row has one"),
        (&["train.sampler={name='composite', by=['plat']}"], "unknown column 'plat'"),
        (&["preprocess.stats={per_group='plat'}"], "unknown column 'plat'"),
        (&["preprocess.stats={per_group='group'}"], "no row has a group"),
        (&["data.split={name='by_time', column='dya'}"], "unknown column 'dya', expected one of day"),
        (&["data.split={name='stratified', by='plate'}"], "unknown column 'plate', expected one of day"),
        (&["data.clean.remap={drak='bright'}"], "unknown label 'drak'"),
        (&["data.clean.exclude=['999']"], "no row has the id '999'"),
        (&["model.meta=['plate']"], "unknown column 'plate', data.meta has day"),
        (&["data.target=multi_label"], "set loss.name = \"bce\""),
        (
            &["data.target=multi_label", "loss.name=bce", "eval.metric=f_score", "train.sampler=balanced"],
            "take 'multiplier'",
        ),
        (&["data.label='day'", "data.meta=[]", "data.target=regression"], "but not trained on"),
        (&["data.grup=plate"], "data: unknown field `grup`, expected one of `source`"),
    ] {
        let sets = [&["data.meta=['day']"], sets].concat();
        let why = fails(&mut pipeline(folder, "data", &sets), 2);
        assert!(why.contains(right) && !folder.join("run").exists(), "{sets:?}: {why}");
    }
}

#[test]
fn rows_that_would_leak_are_named_and_no_teacher_knows_them() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path();
    // Plates 3 and 7 lie in both parts.
    let part = |i: usize| if i >= 36 || i == 20 { "val" } else { "train" };
    tabled(folder, "id,label,plate,part", |i| format!("{i},{},p{},{}", ["dark", "bright"][i % 2], i / 6, part(i)));
    let sets = ["data.part=part", "data.folds=0", "data.clean.near_duplicates=ignore", "eval.bootstrap=0"];
    let run = |more: &[&str], out: &str| pipeline_to(folder, out, "data", &[&sets[..], more].concat());
    succeeds(&mut run(&["data.group=plate"], "whole"));
    let excluded = String::from_utf8(read(&folder.join("whole/excluded.csv"))).unwrap();
    assert_eq!(
        excluded.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect::<Vec<_>>(),
        ["18", "19", "21", "22", "23"]
    );
    let eda = String::from_utf8(read(&folder.join("whole/eda.json"))).unwrap();
    assert!(eda.contains("5 training pictures are of a group of the validation part"), "{eda}");
    // Without groups a teacher learns from all of them: it judges the same rows, but knows what lies beside them.
    succeeds(&mut run(&[], "teacher"));
    let student = ["data.group=plate", "loss={name='distillation', teacher='teacher'}"];
    let why = fails(&mut run(&student, "student"), 1);
    assert!(why.contains("other rows or folds"), "{why}");
}

#[test]
fn the_report_alone_can_be_tried_and_taken_again() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path();
    tabled(folder, "id,label", |i| format!("{i},{}", ["dark", "bright"][i % 2]));
    let eda = |more: &[&str]| {
        let mut command = program::sconce(folder);
        command.args(["eda", "data", "--out", "report"]).args(more);
        String::from_utf8(succeeds(&mut command).stdout).unwrap()
    };
    let tried = eda(&["--dry-run"]);
    assert!(
        tried.contains("48 rows") && tried.contains("32 can be decoded") && !folder.join("report").exists(),
        "{tried}"
    );
    let first = eda(&["--resume"]);
    let written = read(&folder.join("report/eda.json"));
    fs::write(folder.join("data/train.csv"), "id,label\n0,dark\n").unwrap();
    assert_eq!(eda(&["--resume"]), first);
    assert_eq!(read(&folder.join("report/eda.json")), written);
    let mut other = program::sconce(folder);
    other.args(["eda", "data", "--out", "report", "--resume", "--no-decode"]);
    assert!(fails(&mut other, 2).contains("by another recipe"));
    assert!(eda(&["--dry-run", "--json"]).starts_with("{\"decoded\":"));
    assert_ne!(eda(&[]), first);
}

/// A test part of one class, a label of which is not known, has some of the scores.
#[test]
fn what_a_test_part_leaves_open_ends_no_run() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path();
    tabled(folder, "id,u,v", |i| format!("{i},{},{}", i % 2, i / 2 % 2));
    let table = String::from_utf8(read(&folder.join("data/train.csv"))).unwrap();
    let (train, test) = table.split_at(table.find("\n40,").unwrap() + 1);
    fs::write(folder.join("data/train.csv"), train).unwrap();
    let test: Vec<String> =
        test.lines().map(|line| format!("{},1,{}", &line[..2], if &line[..2] == "41" { "" } else { "0" })).collect();
    fs::write(folder.join("data/test.csv"), format!("id,u,v\n{}\n", test.join("\n"))).unwrap();
    let sets =
        ["data.source=csv", "data.label=['u', 'v']", "data.target=multi_label", "loss.name=bce", "eval.metric=f_score"];
    succeeds(&mut pipeline(folder, "data", &[&sets[..], &["eval.bootstrap=0", "eval.also=['auc']"]].concat()));
    let metrics: serde_json::Value = serde_json::from_slice(&read(&folder.join("run/metrics.json"))).unwrap();
    assert!(metrics["test"]["f_score"].is_f64() && metrics["test"]["auc"].is_null(), "{metrics}");
}

#[test]
fn pictures_of_several_labels_go_the_whole_road() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path();
    tabled(folder, "id,labels", |i| format!("{i},{}", ["dark sharp", "bright", "bright sharp", ""][i % 4]));
    let run = |sets: &[&str]| {
        let sets = [&["data.target=multi_label", "eval.bootstrap=10", "eval.metric=f_score"], sets].concat();
        pipeline(folder, "data", &sets)
    };
    let why = fails(&mut run(&[]), 2);
    assert!(why.contains("'cross_entropy' tells one class") && why.contains("loss.name = \"bce\""), "{why}");
    let mut students = program::sconce(folder);
    students.args(["self-train", "--data", "data", "--quiet", "--out", "noisy"]);
    let labels = ["data.target=multi_label", "loss.name=bce", "eval.metric=f_score", "preprocess.size=16"];
    let why = fails(&mut with(students, &labels), 2);
    assert!(why.contains("set pseudo.balance = false") && !folder.join("noisy").exists(), "{why}");
    let why = fails(&mut run(&["loss.name=bce", "eval.metric=kappa"]), 2);
    assert!(why.contains("eval.metric: data.target is 'multi_label'"), "{why}");
    // Probabilities of two classes sum to 1 by chance where a network knows nothing.
    let why = fails(&mut run(&["data.clean.remap={sharp='dark'}"]), 2);
    assert!(why.contains("'cross_entropy' tells one class"), "{why}");
    succeeds(&mut run(&["loss.name=bce"]));
    let text = |name: &str| String::from_utf8(read(&folder.join("run").join(name))).unwrap();
    let folds = text("folds.csv");
    assert!(folds.contains(",dark|sharp") && folds.lines().any(|line| line.ends_with(',')), "{folds}");
    let oof = text("oof.csv");
    assert!(oof.starts_with("id,bright,dark,sharp") && oof.lines().count() == 49, "{oof}");
    assert!(oof.starts_with("id,bright,dark,sharp,target\n") && oof.contains(",0|1|1\n"), "{oof}");
    // What a killed run has said of its first fold is read again.
    for file in ["fold1/oof.csv", "fold1/weights.safetensors", "fold1/last.safetensors", "metrics.json", "oof.csv"] {
        fs::remove_file(folder.join("run").join(file)).unwrap();
    }
    succeeds(run(&["loss.name=bce"]).arg("--resume"));
    assert_eq!(text("oof.csv"), oof);
    assert!(text("report.html").contains("f_score") && text("eda.html").contains("labels per picture"));
}

/// A sender whose pictures whoever made the parts has put into two of them.
#[test]
fn a_group_in_two_given_parts_is_named_and_not_learned_from() {
    let out = tempfile::tempdir().unwrap();
    let data = out.path().join("data");
    fs::create_dir_all(&data).unwrap();
    let (pixels, labels) = pixels(16 * 16);
    let mut table = "id,label,part,sender\n".to_string();
    for (i, label) in labels.iter().enumerate() {
        let picture = [b"P5 16 16 255\n", &pixels[i * 256..(i + 1) * 256]].concat();
        fs::write(data.join(format!("{i}.pgm")), picture).unwrap();
        let (part, sender) = if i < 16 { ("val", i / 4) } else { ("train", i / 4 - usize::from(i < 20)) };
        table += &format!("{i},{label},{part},s{sender}\n");
    }
    fs::write(data.join("train.csv"), table).unwrap();
    let sets = ["data.part=part", "data.group=sender", "data.folds=0", "data.clean.near_duplicates=ignore"];
    let mut eda = program::sconce(out.path());
    eda.args(["eda", "data", "--quiet", "--json", "--out", "eda"]);
    let report = said(&succeeds(&mut with(eda, &sets)));
    let leak = &report["leaks"][0];
    assert_eq!(leak["groups"], serde_json::json!(["s3"]), "{report}");
    assert_eq!(leak["rows"], serde_json::json!({"train": 4, "validation": 4}));
    let page = String::from_utf8(read(&out.path().join("eda/eda.html"))).unwrap();
    let shown = "rows of the same groups in different parts (train 4, validation 4): training leaves rows";
    assert!(page.contains(shown) && page.contains("s3"), "{page}");
    // What it says is what training does.
    let mut train = program::sconce(out.path());
    train.args(["train", "default", "--data", "data", "--dry-run"]);
    let small = ["preprocess.size=16", "model={name='baseline', widths=[8]}"];
    let output = succeeds(&mut with(with(train, &sets), &small));
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(log.contains("4 training pictures are of a group of the validation part"), "{log}");
}

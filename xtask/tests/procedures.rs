//! Procedures of training through the real program: all at once, teachers, students, snapshots.
#![allow(clippy::unwrap_used)]

mod program;

use program::{fails, read, said, sconce, succeeds, with};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const SMALL: &[&str] = &[
    "demo.images=160",
    "demo.test_images=40",
    "demo.size=32",
    "preprocess.size=24",
    "model={name='baseline', widths=[8, 16]}",
    "train.epochs=4",
    "train.log_every=1",
    "eval.bootstrap=20",
    "eval.views=none",
    "data.folds=2",
];

/// A small run of leaves with further keys.
fn small(folder: &Path, out: &str, sets: &[&str]) -> Command {
    let mut command = sconce(folder);
    command.args(["pipeline", "demo", "--out", out]);
    with(with(command, SMALL), sets)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&read(path)).unwrap()
}

/// Values of a curve, in order; what is no number, such as a gradient that half precision cannot hold, is NaN.
fn curve(run: &Path, name: &str) -> Vec<f64> {
    let text = String::from_utf8(read(&run.join("scalars.jsonl"))).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["name"] == name).map(|line| line["value"].as_f64().unwrap_or(f64::NAN)).collect()
}

fn score(run: &Path) -> f64 {
    json(&run.join("metrics.json"))["score"].as_f64().unwrap()
}

const ALL: &[&str] = &[
    "train.accumulate=2",
    "train.batch_size=8",
    "train.ema=0.9",
    "train.optimizer={name='sam', of={name='adamw', weight_decay=0.01}}",
    "train.lr=0.003",
    "train.schedule={name='plateau', patience=0}",
    "train.decay_schedule={name='linear', from=1, to=2}",
    "train.precision=f16",
    "train.loss_scale=1e9",
    "train.clip_norm=1",
    "train.clip_value=0.5",
    "train.clip_unit=0.1",
    "train.centralize=true",
    "train.l1=1e-5",
    "train.guard=5",
    "train.unfreeze=1",
    "train.recompute=true",
    "train.sizes=[16]",
    "train.repeat=2",
    "train.save_every=1",
    "train.dropout_schedule={name='linear', from=0, to=1}",
    "model.dropout=0.3",
    "augment.batch=['mixup']",
    "augment.copies=[{name='rotate', degrees=20}]",
    "loss={name='sum', of=[{name='cross_entropy', smoothing=0.1}, {name='poly', weight=0.5}]}",
];

/// Everything that can be on at once is: whoever forgets a state, forgets it here.
#[test]
fn with_every_trick_at_once_a_killed_run_ends_with_the_same_bytes() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    succeeds(&mut small(folder, "whole", ALL));
    let curves = folder.join("killed/scalars.jsonl");
    let come = || fs::read_to_string(&curves).map_or(0, |text| text.lines().count());
    let mut kills = 0;
    for more in [3, 30, 11, 57, 90] {
        let mut command = small(folder, "killed", ALL);
        let mut child = command.arg("--resume").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let goal = come() + more;
        while come() < goal && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        kills += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(kills >= 3, "{kills}");
    succeeds(small(folder, "killed", ALL).args(["--resume", "--threads", "3"]));
    for file in [
        "metrics.json",
        "oof.csv",
        "predictions.csv",
        "scalars.jsonl",
        "fold0/last.safetensors",
        "fold1/weights.safetensors",
    ] {
        assert!(read(&folder.join("whole").join(file)) == read(&folder.join("killed").join(file)), "{file} differs");
    }
    let whole = folder.join("whole");
    // The scale was far too high at first: steps were skipped until it fitted.
    let (scales, skipped) = (curve(&whole, "train/loss_scale"), curve(&whole, "train/skipped"));
    assert!(*scales.last().unwrap() < 1e9 && *skipped.last().unwrap() >= 1.0, "{scales:?} {skipped:?}");
    assert!(curve(&whole, "train/gradient_norm").iter().any(|norm| *norm > 0.0));
    assert!(curve(&whole, "train/weight_norm").iter().all(|norm| *norm > 0.0));
    let speed = String::from_utf8(read(&whole.join("speed.jsonl"))).unwrap();
    assert!(speed.contains("speed/images_per_s") && speed.contains("speed/waiting"), "{speed}");
}

#[test]
fn students_listen_to_the_teacher_of_their_fold() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    succeeds(&mut small(folder, "teacher", &["train.epochs=2"]));
    let student =
        ["loss={name='distillation', temperature=2, alpha=0.5}", "loss.teacher=teacher", "loss.similarity=10"];
    succeeds(&mut small(folder, "student", &student));
    let run = folder.join("student");
    let (soft, alike, whole) =
        (curve(&run, "train/loss/distillation"), curve(&run, "train/loss/similarity"), curve(&run, "train/loss"));
    assert!(!soft.is_empty() && soft.len() == alike.len() && soft.len() == whole.len());
    assert!(soft.iter().zip(&alike).zip(&whole).all(|((a, b), c)| *b > 0.0 && (a + b - c).abs() < 1e-5));
    // A finished student needs its teacher no more, a new one does.
    fs::rename(folder.join("teacher"), folder.join("away")).unwrap();
    let pictures = folder.join("student/demo-data");
    let again = said(&succeeds(sconce(folder).args(["evaluate", "student"])));
    assert_eq!(again["score"].as_f64().unwrap(), score(&run));
    succeeds(small(folder, "student", &student).arg("--resume"));
    let table = sconce(folder).args(["predict", "student"]).arg(&pictures).output().unwrap();
    assert!(String::from_utf8_lossy(&table.stdout).starts_with("id,"), "{table:?}");
    assert!(fails(&mut small(folder, "none", &student), 2).contains("'teacher' is no finished run"));
    fs::rename(folder.join("away"), folder.join("teacher")).unwrap();
    let other = [&student[..], &["data.folds=3"]].concat();
    assert!(
        fails(&mut small(folder, "other", &other), 1).contains("2 of the 3 folds")
            && !folder.join("other/recipe.toml").exists()
    );
    let colors = [&student[..], &["preprocess.steps=[{name='resize', size=20}]"]].concat();
    assert!(fails(&mut small(folder, "colors", &colors), 1).contains("take its data.color, preprocess.steps"));
    let silent = fails(&mut small(folder, "silent", &["loss.teacher=teacher"]), 2);
    assert!(silent.contains("nobody listens to the teacher"), "{silent}");
}

/// Whatever a fold of an earlier run knows of its own held-out rows stays out of other folds.
#[test]
fn folds_learn_from_the_same_fold_alone() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    succeeds(&mut small(folder, "teacher", &["train.epochs=1"]));
    let weights = |run: &str, fold: usize| read(&folder.join(format!("{run}/fold{fold}/weights.safetensors")));
    let (mine, test) = (weights("teacher", 1), read(&folder.join("teacher/fold1/test.csv")));
    let listening: &[&str] = &["loss.name=distillation", "loss.teacher=teacher", "train.epochs=1"];
    let believing: &[&str] = &["pseudo.run=teacher", "pseudo.confidence=0.2", "train.epochs=1"];
    let beginning: &[&str] = &["model.pretrained=teacher/fold0/weights.safetensors", "train.epochs=1"];
    let kinds = [("student", listening), ("believer", believing), ("heir", beginning)];
    for (name, sets) in kinds {
        succeeds(&mut small(folder, name, sets));
    }
    // Another second fold of the teacher changes the second fold of its students, and the first one not at all.
    fs::write(folder.join("teacher/fold1/weights.safetensors"), weights("teacher", 0)).unwrap();
    fs::write(folder.join("teacher/fold1/test.csv"), read(&folder.join("teacher/fold0/test.csv"))).unwrap();
    for (name, sets) in kinds {
        let again = format!("{name}-again");
        succeeds(&mut small(folder, &again, sets));
        assert!(weights(name, 0) == weights(&again, 0), "{name}: the first fold has heard of the second");
        assert!(weights(name, 1) != weights(&again, 1), "{name}: the second fold does not hear its own");
    }
    fs::write(folder.join("teacher/fold1/weights.safetensors"), mine).unwrap();
    fs::write(folder.join("teacher/fold1/test.csv"), test).unwrap();
    // Other folds would know rows that judge; a file elsewhere is nobody's fold.
    let other = fails(&mut small(folder, "other", &[beginning, &["seed=5"]].concat()), 1);
    assert!(other.contains("knows rows of these data") && other.contains("copy it elsewhere"), "{other}");
    assert!(!folder.join("other/recipe.toml").exists(), "it was begun");
    let mut inside = sconce(&folder.join("teacher/fold0"));
    inside.args(["pipeline", "demo", "--out", "../../other"]);
    let short = ["model.pretrained=weights.safetensors", "train.epochs=1", "seed=5"];
    assert!(fails(&mut with(with(inside, SMALL), &short), 1).contains("knows rows of these data"));
    let mut pretrain = sconce(folder);
    pretrain.args(["pretrain", "demo", "--out", "unlabelled"]);
    let unlabelled = fails(&mut with(with(pretrain, SMALL), beginning), 1);
    assert!(unlabelled.contains("knows labels of these rows"), "{unlabelled}");
    fs::copy(folder.join("teacher/fold0/weights.safetensors"), folder.join("some.safetensors")).unwrap();
    succeeds(&mut small(folder, "free", &["model.pretrained=some.safetensors", "train.epochs=1", "seed=5"]));
}

#[test]
fn self_training_goes_from_teacher_to_students() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let rounds = |out: &str, sets: &[&str]| {
        let mut command = sconce(folder);
        command.args(["self-train", "demo", "--out", out, "--json"]);
        let own = ["self_train.rounds=2", "self_train.student.model.dropout=0.2", "pseudo.confidence=0.2"];
        with(with(with(command, SMALL), &own), sets)
    };
    let output = succeeds(&mut rounds("noisy", &[]));
    let told = said(&output);
    assert_eq!(told["rounds"].as_array().unwrap().len(), 3);
    assert_eq!(json(&folder.join("noisy/self-train.json")), told);
    for (number, round) in told["rounds"].as_array().unwrap().iter().enumerate() {
        let run = folder.join(format!("noisy/round{number}"));
        assert_eq!(round["score"].as_f64().unwrap(), score(&run));
        let recipe: toml::Table = toml::from_str(&String::from_utf8(read(&run.join("recipe.toml"))).unwrap()).unwrap();
        assert_eq!(recipe["model"]["dropout"].as_float() == Some(0.2), number > 0);
        let teacher = recipe.get("pseudo").map(|pseudo| pseudo["run"].as_str().unwrap().to_string());
        assert_eq!(teacher, number.checked_sub(1).map(|before| format!("noisy/round{before}")));
    }
    // Students see more pictures than their teacher: an epoch is longer.
    let steps = |number: usize| curve(&folder.join(format!("noisy/round{number}")), "train/loss").len();
    assert!(steps(1) > steps(0), "{} {}", steps(0), steps(1));
    // The labels do decide: others give other weights.
    succeeds(&mut rounds("hard", &["pseudo.soft=false", "self_train.rounds=1"]));
    let weights = |run: &str| read(&folder.join(run).join("fold0/weights.safetensors"));
    assert!(weights("noisy/round0") == weights("hard/round0") && weights("noisy/round1") != weights("hard/round1"));
    assert!(fails(&mut rounds("hard", &[]), 2).contains("holds rounds already"));
    // Rows with labels of a run are shown and timed like others.
    let pseudo = ["pseudo.run=noisy/round0", "train.unfreeze=1", "train.sizes=[16]", "augment.batch=['mixup']"];
    succeeds(
        with(with(sconce(folder), &[]), &[])
            .args(["augment", "demo"])
            .args(SMALL.iter().chain(&pseudo).flat_map(|s| ["--set", s])),
    );
    succeeds(small(folder, "dry", &pseudo).arg("--dry-run"));
    // Rounds that are there are not done again.
    let before = fs::metadata(folder.join("hard/round0/metrics.json")).unwrap().modified().unwrap();
    succeeds(rounds("hard", &["pseudo.soft=false", "self_train.rounds=1"]).arg("--resume"));
    assert_eq!(fs::metadata(folder.join("hard/round0/metrics.json")).unwrap().modified().unwrap(), before);
    // Mistakes of students are found before their teacher is trained.
    for (sets, why) in [
        ("pseudo.confidence=7", "pseudo.confidence must be in 0..=1"),
        ("loss.embedding=['triplet']", "set pseudo.soft = false"),
        ("self_train.student.train.batch_size=0", "train.batch_size must be"),
        ("self_train.student.loss={name='distillation', teacher='nowhere'}", "'nowhere' is no finished run"),
    ] {
        let said = fails(&mut rounds("wrong", &[sets]), 2);
        assert!(said.contains(why) && !folder.join("wrong").exists(), "{said}");
    }
    let mut untested = sconce(folder);
    untested.args(["self-train", "default", "--out", "untested"]);
    let no_test = fails(&mut with(untested, &["data.source=synthetic", "data.len=40", "train.epochs=1"]), 1);
    assert!(no_test.contains("needs pictures for its students"), "{no_test}");
    let typo = fails(&mut rounds("typo", &["self_train.student.model.droput=0.2"]), 2);
    assert!(typo.contains("droput") && !folder.join("typo").exists(), "{typo}");
}

#[test]
fn snapshots_are_averaged_and_averages_are_refreshed() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let cycles = "train.schedule={name='warm_restarts', first=2}";
    succeeds(&mut small(folder, "ensemble", &[cycles, "train.snapshots=ensemble", "train.warmup=0"]));
    let run = folder.join("ensemble");
    assert!(run.join("fold0/snapshot1.safetensors").is_file() && run.join("fold0/snapshot2.safetensors").is_file());
    // What is said again from the files is what was said.
    let again = said(&succeeds(sconce(folder).args(["evaluate", "ensemble"])));
    assert_eq!(again["score"], json(&run.join("metrics.json"))["score"]);
    succeeds(&mut small(folder, "best", &[cycles, "train.warmup=0"]));
    assert!(read(&run.join("fold0/weights.safetensors")) == read(&folder.join("best/fold0/weights.safetensors")));
    assert!(read(&run.join("oof.csv")) != read(&folder.join("best/oof.csv")));

    // Snapshots of what stands behind a backbone that does not learn are whole networks, too.
    let still = [cycles, "train.snapshots=ensemble", "train.warmup=0", "train.backbone_lr=0"];
    succeeds(&mut small(folder, "still", &still));
    let again = said(&succeeds(sconce(folder).args(["evaluate", "still"])));
    assert_eq!(again["score"].as_f64().unwrap(), score(&folder.join("still")));

    succeeds(&mut small(folder, "soup", &[cycles, "train.snapshots=soup", "train.warmup=0"]));
    let weights = |run: &str| read(&folder.join(run).join("fold0/weights.safetensors"));
    assert!(weights("soup") != weights("best"), "the best epoch is no soup");
    let none = fails(&mut small(folder, "none", &["train.snapshots=soup"]), 2);
    assert!(none.contains("ends of several cycles") && none.contains("warm_restarts"), "{none}");

    succeeds(&mut small(folder, "swa", &["train.swa=0.5"]));
    succeeds(&mut small(folder, "plain", &[]));
    assert!(weights("swa") != weights("plain"));
    let both = fails(&mut small(folder, "both", &["train.swa=0.5", "train.ema=0.9"]), 2);
    assert!(both.contains("set one of them to 0"), "{both}");
}

#[test]
fn ordered_classes_and_sigmoids_say_their_own_probabilities() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    for (name, sets) in [
        ("coral", &["loss.name=coral", "model.head=coral"][..]),
        ("corn", &["loss.name=corn"]),
        ("number", &["loss={name='ordinal_regression', of='huber', cuts=[0.4, 1.5, 2.5, 3.6]}"]),
        ("bce", &["loss.name=bce"]),
        ("sparsemax", &["loss.name=sparsemax"]),
    ] {
        succeeds(&mut small(folder, name, sets));
        let table = String::from_utf8(read(&folder.join(name).join("oof.csv"))).unwrap();
        let rows: Vec<Vec<f64>> = table
            .lines()
            .skip(1)
            .map(|line| line.split(',').filter_map(|field| field.parse().ok()).collect())
            .collect();
        let sums = rows.iter().map(|row| row.iter().sum::<f64>());
        let ones = sums.filter(|sum| (sum - 1.0).abs() < 1e-4).count();
        assert_eq!(ones == rows.len(), name != "bce", "{name}: {ones} of {}", rows.len());
        let zeros = rows.iter().flatten().filter(|p| **p == 0.0).count();
        assert_eq!(zeros > 0, ["sparsemax", "number"].contains(&name), "{name}: {zeros}");
        assert!(folder.join(name).join("report.html").is_file());
        succeeds(sconce(folder).args(["explain", name, "--out", "seen.html"]));
    }
    let head = fails(&mut small(folder, "none", &["loss.name=coral"]), 2);
    assert!(head.contains("set model.head = \"coral\""), "{head}");
}

#[test]
fn the_range_test_suggests_a_rate_and_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let find = |sets: &[&str]| {
        let mut command = sconce(folder);
        command.args(["lr-find", "demo", "--steps", "60", "--json"]);
        with(with(command, SMALL), sets)
    };
    let told = said(&succeeds(&mut find(&[])));
    let (lr, curve) = (told["lr"].as_f64().unwrap(), told["curve"].as_array().unwrap());
    assert!((1e-5..1.0).contains(&lr), "{lr}");
    assert!((20..=60).contains(&curve.len()), "{}", curve.len());
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
    // The same again, and for a batch that the rate is not meant for.
    assert_eq!(said(&succeeds(&mut find(&[])))["lr"], told["lr"]);
    let half = said(&succeeds(&mut find(&["train.lr_batch=16"])))["lr"].as_f64().unwrap();
    assert!((half - lr / 2.0).abs() < 1e-9, "{half} {lr}");
    let text = succeeds(with(sconce(folder), &[]).args(["lr-find", "demo", "--steps", "40"]).args(["--set", SMALL[4]]));
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("suggested: --set train.lr=") && text.contains("< valley"), "{text}");
    assert!(
        fails(sconce(folder).args(["lr-find", "demo", "--from", "2", "--to", "1"]), 2).contains("to must be more than")
    );
}

#[test]
fn pretraining_makes_weights_that_a_recipe_starts_from() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let own = ["train.batch_size=32", "train.lr=0.03", "train.save_every=1", "pretrain={width=32, bottleneck=8}"];
    let pretrain = |out: &str| {
        let mut command = sconce(folder);
        command.args(["pretrain", "demo", "--out", out, "--json"]);
        with(with(command, SMALL), &own)
    };
    let told = said(&succeeds(&mut pretrain("whole")));
    for key in ["probe", "probe_before", "neighbours", "neighbours_before"] {
        assert!((0.1..=1.0).contains(&told[key].as_f64().unwrap()), "{told}");
    }
    assert!(!folder.join("whole/training").exists());
    let losses = curve(&folder.join("whole"), "epoch/loss");
    assert!(losses.len() == 4 && losses[3] < losses[0], "{losses:?}");
    // Projections have not become one.
    assert!(*curve(&folder.join("whole"), "train/spread").last().unwrap() > 0.2);
    let mut child = pretrain("killed").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !folder.join("killed/training/last.safetensors").exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    succeeds(pretrain("killed").args(["--resume", "--threads", "3"]));
    for file in ["weights.safetensors", "scalars.jsonl"] {
        assert!(read(&folder.join("whole").join(file)) == read(&folder.join("killed").join(file)), "{file} differs");
    }
    assert!(fails(&mut pretrain("whole"), 2).contains("continue it with --resume"));
    assert_eq!(said(&succeeds(pretrain("whole").arg("--resume"))), told);
    let start = ["model.pretrained=whole/weights.safetensors", "train.epochs=1", "train.lr=1e-9", "train.warmup=0"];
    succeeds(&mut small(folder, "begun", &start));
    let report = json(&folder.join("begun/pretrained.json"));
    assert!(report.to_string().contains("head.weight"), "{report}");
    let begun =
        candle_core::safetensors::load(folder.join("begun/fold0/weights.safetensors"), &candle_core::Device::Cpu);
    let whole = candle_core::safetensors::load(folder.join("whole/weights.safetensors"), &candle_core::Device::Cpu);
    let (begun, whole) = (begun.unwrap(), whole.unwrap());
    for (name, weight) in whole.iter().filter(|(name, _)| name.ends_with("weight")) {
        let apart = (weight - &begun[name]).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(apart < 1e-5, "{name}: {apart}");
    }
    // Killed before the first checkpoint there is only a recipe.
    fs::create_dir(folder.join("early")).unwrap();
    fs::copy(folder.join("whole/recipe.toml"), folder.join("early/recipe.toml")).unwrap();
    succeeds(pretrain("early").arg("--resume"));
    assert!(read(&folder.join("whole/weights.safetensors")) == read(&folder.join("early/weights.safetensors")));
    let none = fails(pretrain("none").args(["--set", "augment.transforms=[]"]), 2);
    assert!(none.contains("give it augment.transforms"), "{none}");
}

#[test]
fn the_airbench_recipe_runs_on_its_own_pictures() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let sets = ["demo.images=120", "demo.test_images=24", "train.batch_size=32", "train.epochs=2", "train.log_every=1"];
    succeeds(
        with(sconce(folder), &[]).args(["pipeline", "airbench", "--demo"]).args(sets.iter().flat_map(|s| ["--set", s])),
    );
    let groups = curve(&folder.join("runs/airbench"), "train/lr");
    assert!(!groups.is_empty());
    let text = String::from_utf8(read(&folder.join("runs/airbench/scalars.jsonl"))).unwrap();
    // Biases of norms learn faster, under the name of their group.
    assert!(text.contains("\"train/lr/"), "{text}");
}

#[test]
fn batches_grow_until_there_are_no_more_pictures() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let find = |most: &str| {
        let mut command = sconce(folder);
        command.args(["batch-find", "demo", "--most", most, "--json"]);
        with(command, SMALL)
    };
    let told = said(&succeeds(&mut find("1024")));
    let sizes: Vec<u64> = told["sizes"].as_array().unwrap().iter().map(|row| row["batch"].as_u64().unwrap()).collect();
    assert!(sizes.len() >= 3 && sizes.windows(2).all(|pair| pair[1] == 2 * pair[0]), "{told}");
    assert!(
        told["ended"].as_str().unwrap().contains("no more pictures")
            && sizes.contains(&told["batch"].as_u64().unwrap())
    );
    assert!(told["sizes"].as_array().unwrap().iter().all(|row| row["images_per_s"].as_f64().unwrap() > 0.0));
    assert_eq!(said(&succeeds(&mut find("16")))["sizes"].as_array().unwrap().len(), 2);
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
}

/// A split that is repeated: every picture is judged once in each repeat, and its predictions are their mean.
#[test]
fn recipes_name_splits_orders_and_what_stands_in_for_missing_values() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let sets = [
        "data.folds=0",
        "data.split={name='repeated', repeats=2, of={name='k_fold', folds=2}}",
        "data.impute={numbers='median', columns={height_cm='mean'}}",
        "train.sampler={name='weighted', weights='sqrt'}",
        "loss.class_weights=sqrt",
        "train.epochs=1",
    ];
    succeeds(&mut small(folder, "run", &sets));
    let run = folder.join("run");
    let table = String::from_utf8(read(&run.join("folds.csv"))).unwrap();
    let header: Vec<&str> = table.lines().next().unwrap().split(',').collect();
    let places = ["fold", "fold_2"].map(|name| header.iter().position(|column| *column == name).unwrap());
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert!(rows.iter().any(|row| row[places[0]] != row[places[1]]), "both repeats are alike");
    let metrics = json(&run.join("metrics.json"));
    assert_eq!(metrics["folds"].as_array().unwrap().len(), 4);
    let oof = String::from_utf8(read(&run.join("oof.csv"))).unwrap();
    assert_eq!(oof.lines().count(), rows.len() + 1);
    let mut evaluate = sconce(folder);
    let again = said(&succeeds(evaluate.args(["evaluate", "run", "--quiet"])));
    assert_eq!((&again["score"], &again["folds"]), (&metrics["score"], &metrics["folds"]));
    assert!(String::from_utf8(read(&run.join("decisions.csv"))).unwrap().starts_with("id,decision,value,reason"));
    succeeds(&mut small(folder, "groups", &["preprocess.stats={per_group='site'}", "train.epochs=1"]));
    let saved = json(&folder.join("groups/fold0/model.json"));
    assert!(saved["normalize"]["per_group"]["groups"].as_object().unwrap().len() > 1);
    let metrics = json(&folder.join("groups/metrics.json"));
    let again = said(&succeeds(sconce(folder).args(["evaluate", "groups", "--quiet"])));
    assert_eq!(again["score"], metrics["score"]);
    let why = fails(&mut small(folder, "other", &["preprocess.stats={per_group='plate'}"]), 2);
    assert!(why.contains("preprocess.stats") && why.contains("'plate'") && why.contains("site"), "{why}");
    let why = fails(&mut small(folder, "other", &["data.split=stratifed"]), 2);
    assert!(why.contains("data.split") && why.contains("did you mean 'stratified'"), "{why}");
}

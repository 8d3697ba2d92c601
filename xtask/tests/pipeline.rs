//! The whole road through the real program: files, exactness, resuming, exit codes.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// A small run of `recipe` on its own data.
const SMALL: &[&str] = &[
    "demo.images=120",
    "demo.test_images=24",
    "demo.size=32",
    "preprocess.size=24",
    "augment.transforms=['flip']",
    "model={name='baseline', widths=[8, 16]}",
    "train.epochs=2",
    "train.save_every=2",
    "train.log_every=1",
    "eval.bootstrap=50",
    "data.folds=2",
];

fn sconce(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.current_dir(folder);
    command
}

fn small(folder: &Path, recipe: &str, out: &str) -> Command {
    let mut command = sconce(folder);
    command.args(["pipeline", recipe, "--demo", "--quiet", "--out", out]);
    for set in SMALL {
        command.args(["--set", set]);
    }
    command
}

#[track_caller]
fn succeeds(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    output
}

#[track_caller]
fn fails(command: &mut Command, code: i32) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

fn read(path: PathBuf) -> Vec<u8> {
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&read(path)).unwrap()
}

fn lines(path: PathBuf) -> Vec<String> {
    String::from_utf8(read(path)).unwrap().lines().map(str::to_string).collect()
}

/// Everything that must be the same, byte for byte.
const EXACT: &[&str] = &[
    "metrics.json",
    "eda.json",
    "folds.csv",
    "oof.csv",
    "predictions.csv",
    "submission.csv",
    "scalars.jsonl",
    "fold0/weights.safetensors",
    "fold1/weights.safetensors",
    "fold0/last.safetensors",
];

#[track_caller]
fn same_runs(a: &Path, b: &Path) {
    for file in EXACT {
        assert!(read(a.join(file)) == read(b.join(file)), "{file} differs between {} and {}", a.display(), b.display());
    }
}

#[test]
fn every_recipe_goes_from_its_own_data_to_a_checked_submission() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    for recipe in ["demo", "intel", "seedlings"] {
        // Twelve species need more pictures.
        let images = if recipe == "seedlings" { "demo.images=260" } else { "demo.images=120" };
        let output = succeeds(small(folder, recipe, recipe).args(["--set", images, "--json"]));
        let run = folder.join(recipe);
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        let metrics = json(run.join("metrics.json"));
        assert_eq!(result["score"], metrics["score"], "{recipe}");
        assert_eq!(metrics["folds"].as_array().unwrap().len(), 2, "{recipe}");
        assert_eq!(recipe == "intel", metrics["test"].is_object(), "only intel's test part is labelled");
        for file in ["recipe.toml", "environment.json", "eda.json", "fold1/state.json", "fold1/model.json"] {
            assert!(!read(run.join(file)).is_empty(), "{recipe}/{file}");
        }
        let ids = |file: &str| -> BTreeSet<String> {
            lines(run.join(file)).iter().skip(1).map(|l| l.split(',').next().unwrap().to_string()).collect()
        };
        assert!(ids("oof.csv").is_subset(&ids("folds.csv")), "{recipe}");
        assert!(!ids("oof.csv").is_empty(), "{recipe}");
        if let Ok(sample) = fs::read_to_string(run.join("demo-data/sample_submission.csv")) {
            let submission = lines(run.join("submission.csv"));
            let first = |line: &str| line.split(',').next().unwrap().to_string();
            let wanted: Vec<String> = sample.lines().map(first).collect();
            assert_eq!(submission.iter().map(|l| first(l)).collect::<Vec<_>>(), wanted, "{recipe}");
            assert_eq!(submission[0], sample.lines().next().unwrap(), "{recipe}");
        }
        let events = fs::read_dir(&run)
            .unwrap()
            .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with("events.out.tfevents."));
        assert_eq!(events.count(), 1, "{recipe}");
    }
}

/// The report must find what was planted; wrong labels are found later, by their predictions.
#[test]
fn the_report_names_what_was_planted() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("eda");
    succeeds(sconce(temporary.path()).args(["eda", "demo", "--quiet", "--out", out.to_str().unwrap()]));
    let (eda, planted) = (json(out.join("eda.json")), json(out.join("demo-data/planted.json")));
    let mut kinds = 0;
    for (kind, ids) in planted.as_object().unwrap().iter().filter(|(kind, _)| *kind != "wrong_labels") {
        let key = if kind == "missing_values" { "missing_value_ids" } else { kind };
        // Ids without folder and ending, whatever the shape of the finding.
        fn names(value: &Value, into: &mut BTreeSet<String>) {
            match value {
                Value::String(text) => {
                    let name = text.rsplit('/').next().unwrap();
                    into.insert(name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_string());
                }
                Value::Array(values) => values.iter().for_each(|v| names(v, into)),
                Value::Object(map) => map.values().for_each(|v| names(v, into)),
                _ => {}
            }
        }
        let mut found = BTreeSet::new();
        names(&eda[key], &mut found);
        let ids: Vec<&str> = ids.as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
        let hits = ids.iter().filter(|id| found.contains(**id)).count();
        println!("{kind}: {hits} of {}", ids.len());
        assert!(ids.len() >= 3 && hits as f64 >= 0.9 * ids.len() as f64, "{kind}: {hits} of {}", ids.len());
        kinds += 1;
    }
    assert_eq!(kinds, 7);
}

#[test]
fn the_same_seed_gives_the_same_bytes_for_any_number_of_threads() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let mixing = [
        "--set",
        "augment.batch=['mixup', {name='cutmix', p=0.5}]",
        "--set",
        "model.dropout=0.2",
        "--set",
        "model.pool=gem",
        "--set",
        "model.head.name=mlp",
        "--set",
        "model.head.hidden=[8]",
        "--set",
        "model.init=[{ at = 'backbone.*', name = 'orthogonal' }, { at = 'head.weight', name = 'xavier_normal' }]",
        "--set",
        "train.ema=0.9",
    ];
    succeeds(small(folder, "demo", "one").args(["--threads", "1"]).args(mixing));
    succeeds(small(folder, "demo", "three").args(["--threads", "3"]).args(mixing));
    same_runs(&folder.join("one"), &folder.join("three"));
    succeeds(small(folder, "demo", "other").args(["--seed", "1"]).args(mixing));
    assert_ne!(read(folder.join("one/oof.csv")), read(folder.join("other/oof.csv")));
    // The resolved recipe is the run.
    let mut again = sconce(folder);
    succeeds(again.args(["pipeline", "one/recipe.toml", "--quiet", "--out", "again"]));
    same_runs(&folder.join("one"), &folder.join("again"));
    assert_eq!(read(folder.join("one/recipe.toml")), read(folder.join("again/recipe.toml")));
}

/// Killed again and again, each time a little further on than the curves say it had come.
#[test]
fn killed_at_any_moment_and_resumed_it_ends_with_the_same_bytes() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let epochs = ["--set", "train.epochs=5"];
    succeeds(small(folder, "demo", "whole").args(epochs));
    let curves = folder.join("killed/scalars.jsonl");
    let come = || fs::read_to_string(&curves).map_or(0, |text| text.lines().count());
    let (mut kills, mut checkpoints) = (0, 0);
    for more in [0, 1, 7, 2, 19, 5, 31, 3, 12] {
        let mut command = small(folder, "demo", "killed");
        command.args(epochs).arg("--resume").stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let goal = come() + more;
        while more > 0 && come() < goal && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        kills += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        checkpoints += usize::from(folder.join("killed/fold0/last.safetensors").exists());
    }
    assert!(checkpoints >= 3 && kills >= 5, "{kills} kills, {checkpoints} after a checkpoint");
    let trained = || json(folder.join("killed/times.json"))["training steps"].as_f64().unwrap();
    let before = trained();
    assert!(before > 0.0, "the time of killed attempts is lost");
    let output = succeeds(small(folder, "demo", "killed").args(epochs).arg("--resume"));
    assert!(trained() >= before);
    assert!(String::from_utf8_lossy(&output.stdout).contains("accuracy"));
    same_runs(&folder.join("whole"), &folder.join("killed"));
    let leftovers = fs::read_dir(folder.join("killed/fold0")).unwrap().flatten();
    assert_eq!(leftovers.filter(|e| e.file_name().to_string_lossy().starts_with(".tmp")).count(), 0);
}

#[test]
#[cfg(unix)]
fn ctrl_c_leaves_a_checkpoint_and_unfinished_runs_are_protected() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let long = ["--set", "train.epochs=40"];
    let child = small(folder, "demo", "run").args(long).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    while !folder.join("run/scalars.jsonl").exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("--resume goes on from the checkpoint"), "{text}");
    assert!(folder.join("run/fold0/last.safetensors").exists());

    assert!(fails(small(folder, "demo", "run").args(long), 2).contains("continue it with --resume"));
    let changed = fails(small(folder, "demo", "run").args(["--resume", "--set", "train.epochs=41"]), 2);
    assert!(changed.contains("epochs = 40") && changed.contains("epochs = 41"), "{changed}");
}

#[test]
fn finished_runs_are_kept_reported_scored_and_asked() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    succeeds(&mut small(folder, "demo", "run"));
    let before = read(folder.join("run/metrics.json"));
    let output = succeeds(small(folder, "demo", "run").args(["--resume", "--json"]));
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    succeeds(&mut small(folder, "demo", "run"));
    assert_eq!(before, read(folder.join("run/metrics.json")));
    assert_eq!(before, read(folder.join("run-2/metrics.json")));

    let output = succeeds(sconce(folder).args(["evaluate", "run", "--quiet"]));
    let scored: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&scored["score"], &scored["folds"]), (&shown["score"], &shown["folds"]));
    fs::remove_file(folder.join("run-2/demo-data/train.csv")).unwrap();
    fs::copy(folder.join("run/demo-data/test.csv"), folder.join("run-2/demo-data/train.csv")).unwrap();
    let others = fails(sconce(folder).args(["evaluate", "run-2", "--quiet"]), 1);
    assert!(others.contains("the data are others than when 'run-2' was begun"), "{others}");
    let changed = fails(small(folder, "demo", "run").args(["--resume", "--set", "train.lr=0.3"]), 2);
    assert!(changed.contains("lr = 0.3"), "{changed}");
    assert!(fails(sconce(folder).args(["eda", "demo", "--out", "run"]), 2).contains("holds a run"));

    let predictions = lines(folder.join("run/predictions.csv"));
    let id = predictions[1].split(',').next().unwrap();
    let images = folder.join("run/demo-data/images");
    let file =
        ["jpg", "png"].map(|ending| images.join(format!("{id}.{ending}"))).into_iter().find(|p| p.exists()).unwrap();
    let output = succeeds(sconce(folder).args(["predict", "run", file.to_str().unwrap(), "--json", "--quiet"]));
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sum: f64 = line["probabilities"].as_object().unwrap().values().map(|p| p.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-5, "{line}");
    fs::write(folder.join("broken.jpg"), "no picture").unwrap();
    let text =
        fails(sconce(folder).args(["predict", "run", file.to_str().unwrap(), "broken.jpg", "--out", "said.csv"]), 1);
    assert!(text.contains("broken.jpg") && text.contains("no picture"), "{text}");
    assert_eq!(lines(folder.join("said.csv")).len(), 2);

    let explain = |out: &str| {
        let mut command = sconce(folder);
        command.args(["explain", "run", file.to_str().unwrap(), "--quiet", "--out", out]);
        command
    };
    fs::create_dir(folder.join("pages")).unwrap();
    succeeds(&mut explain("pages"));
    succeeds(&mut explain("page.html"));
    assert_eq!(read(folder.join("pages/explain.html")), read(folder.join("page.html")));
    assert!(fails(&mut explain("no/where.html"), 1).contains("there is no folder 'no'"));
}

#[test]
fn a_time_limit_fixes_the_epochs_and_writes_them_down() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    succeeds(small(folder, "demo", "run").args(["--set", "train.epochs=1000000", "--max-minutes", "0.1"]));
    let recipe: toml::Table = String::from_utf8(read(folder.join("run/recipe.toml"))).unwrap().parse().unwrap();
    let epochs = recipe["train"]["epochs"].as_integer().unwrap();
    assert!((1..1_000_000).contains(&epochs), "{epochs}");
    assert_eq!(recipe["train"]["max_minutes"].as_float(), Some(0.1));
    let state = json(folder.join("run/fold1/state.json"));
    assert_eq!(state["epoch"].as_i64(), Some(epochs));
}

#[test]
fn mistakes_are_clear_and_leave_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let set = |set: &str| fails(small(folder, "demo", "run").args(["--set", set]), 2);
    for (wrong, right) in [
        ("train.epocs=3", "did you mean 'epochs'?"),
        ("data.flods=3", "did you mean 'folds'?"),
        ("data.gruop=plant", "did you mean 'group'?"),
        ("model.name=resnet81", "did you mean 'resnet18'?"),
        ("model.witdhs=[8]", "did you mean 'widths'?"),
        ("model.head=liner", "did you mean 'linear'?"),
        ("model.head={name='mlp', hiden=[8]}", "did you mean 'hidden'?"),
        ("model.head=coral", "says other numbers than a logit per class"),
        ("model.pool={name='gem', p=0}", "p and eps must be above 0"),
        ("model.init=[{at='*', name='orthgonal'}]", "did you mean 'orthogonal'?"),
        ("model.init=[{at='*', name='prior', probability=2}]", "is no way to start a variable"),
        ("model.meta_hidden=[0]", "at least one feature"),
        ("loss.name=cross_entrpy", "did you mean 'cross_entropy'?"),
        ("loss.smothing=0.1", "did you mean 'smoothing'?"),
        ("train.optimizer=sdg", "did you mean 'sgd'?"),
        ("train.schedule=cosin", "did you mean 'cosine'?"),
        ("train.sampler=balancd", "did you mean 'balanced'?"),
        ("eval.metric=acuracy", "did you mean 'accuracy'?"),
        ("augment.transforms=['flpi']", "did you mean 'flip'?"),
        ("augment.batch=['mixpu']", "did you mean 'mixup'?"),
        ("preprocess.resize=sqash", "did you mean 'squash'?"),
        ("preprocess.crop=0", "crop must be in 0.1..=1"),
        ("preprocess.interpolation=bicubc", "did you mean 'bicubic'?"),
        ("train.lr=-1", "lr must be positive"),
        ("train.epochs=0", "epochs must be at least 1"),
        ("train.epochs='many'", "[train] `epochs = \"many\"`"),
        ("train.freeze=99", "the stages of the backbone"),
        ("train.layer_decay=0", "layer_decay must be above 0"),
        ("train.aux_weight=0", "leaves the auxiliary head out"),
        ("train.prefetch=1000000000000", "prefetch must be in 1..=1024"),
        ("train.clip_norm=nan", "clip_norm must be at least 0"),
        ("train.repeat=3", "a multiple of it"),
        ("augment.copies=['flip']", "set train.repeat = 2 or more"),
        ("train.sizes=[5000]", "sizes must be in 1..=4096"),
        ("train.unfreeze=-1", "unfreeze"),
        ("train.swa=1", "swa must be in 0..1"),
        ("train.spike=0.5", "spike must be above 1"),
        ("train.spike=3", "set train.guard = 100"),
        ("train.precision=f8", "expected one of `f32`, `bf16`, `f16`"),
        ("train.warmup_from=2", "warmup_from must be in 0..=1"),
        ("train.momentum_schedule=linaer", "did you mean 'linear'?"),
        ("loss.embedding=['tripelt']", "did you mean 'triplet'?"),
        ("pseudo.run=nowhere", "is no finished run"),
        ("pseudo.confidance=1", "did you mean 'confidence'?"),
        ("train.log_every=0", "log_every must be at least 1"),
        ("preprocess.size=2", "does not suit the model"),
        ("preprocess.stats={mean=[0.5], std=[0.5]}", "3 channels, but stats has 1 means"),
        ("preprocess.stats=cifar", "a table with `mean` and `std`"),
        ("data.clean.max_broken=5", "max_broken must be in 0..=1"),
        ("data.source=foldr", "did you mean 'folder'?"),
        ("data.color=grey", "did you mean 'gray'?"),
        ("name=../up", "without / and .."),
    ] {
        let text = set(wrong);
        assert!(text.contains(right), "{wrong}: {text}");
        assert!(text.contains("recipe"), "{wrong}: {text}");
    }
    assert!(fails(sconce(folder).args(["pipeline", "dmeo"]), 2).contains("did you mean 'demo'?"));
    assert!(fails(sconce(folder).args(["pipelin"]), 2).contains("pipeline"));
    assert!(fails(sconce(folder).args(["pipeline", "seedlings"]), 2).contains("--data PATH"));
    assert!(fails(sconce(folder).args(["pipeline", "--device", "gpu"]), 2).contains("expected one of cpu, cuda"));
    assert!(fails(sconce(folder).args(["pipeline", "--data", "nowhere"]), 1).contains("cannot read 'nowhere'"));
    assert!(fails(sconce(folder).args(["summary", "resnet81"]), 2).contains("did you mean 'resnet18'?"));
    assert!(fails(sconce(folder).args(["evaluate", "nowhere"]), 1).contains("nowhere"));
    assert!(fails(sconce(folder).args(["eda", "no/where"]), 1).contains("cannot read 'no/where'"));
    assert!(fails(sconce(folder).args(["eda", "dmeo"]), 2).contains("did you mean 'demo'?"));
    assert!(fails(sconce(folder).args(["pipeline", "--max-minutes", "1e300"]), 2).contains("at most a million"));
    succeeds(small(folder, "demo", "run").arg("--dry-run"));
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0, "something was written");
}

#[test]
fn lists_summary_and_bench_print_what_they_promise() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    for (kind, name) in [
        ("models", "resnet18_cifar"),
        ("models", "frozen_dinov2"),
        ("pretrained", "frozen_vit_base.google_in21k_ft_in1k"),
        ("pools", "gem"),
        ("joins", "noisy_or"),
        ("heads", "cosine"),
        ("losses", "bce"),
        ("augment", "cutmix"),
        ("optimizers", "adamw"),
        ("schedules", "one_cycle"),
        ("metrics", "kappa"),
        ("sources", "csv"),
        ("recipes", "seedlings"),
    ] {
        let text = String::from_utf8(succeeds(sconce(folder).args(["list", kind])).stdout).unwrap();
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(name));
        assert!(line.is_some_and(|line| line.len() > name.len() + 10), "{kind}: {text}");
        let table: Value =
            serde_json::from_slice(&succeeds(sconce(folder).args(["list", kind, "--json"])).stdout).unwrap();
        assert_eq!(table.as_object().unwrap().len(), text.lines().count(), "{kind}");
    }
    let text = String::from_utf8(succeeds(sconce(folder).args(["summary", "resnet50"])).stdout).unwrap();
    assert!(text.contains("25557032 parameters, 4089"), "{text}");
    let summary = |arguments: &[&str]| {
        let all = [&["summary"], arguments].concat();
        String::from_utf8(succeeds(sconce(folder).args(all)).stdout).unwrap()
    };
    let text =
        summary(&["resnet18", "--size", "64", "--set", "width=32", "--set", "model.head={name=\"mlp\",hidden=[7]}"]);
    assert!(text.contains("32×16×16") && text.contains("mlp"), "{text}");
    let text = summary(&["r3d_18", "--depth", "8"]);
    assert!(text.contains("64×8×56×56") && text.contains("for a 3×8×112×112 volume"), "{text}");
    assert!(summary(&["r3d_18"]).contains("40696.9 million multiply-adds for a 3×16×112×112 volume"));
    // All that a recipe says of the network: 256 features of each of two views beside four of seven columns.
    let views =
        ["views=2", "join=concat", "model.meta_hidden=[4]", "pool.name=concat"].map(|set| ["--set", set]).concat();
    let text = summary(&[&["baseline", "--meta", "7", "--classes", "5"], &views[..]].concat());
    let line =
        |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
    assert!(line("meta").contains("branch") && line("meta").contains("36"), "{text}");
    assert!(line("head").contains(&((1024 + 4) * 5 + 5).to_string()), "{text}");
    assert!(!summary(&["baseline", "--meta", "7", "--set", "meta=false"]).contains("branch"));
    let wrong = |arguments: &[&str]| fails(sconce(folder).args([&["summary", "resnet18"], arguments].concat()), 2);
    let error = wrong(&["--set", "widht=3"]);
    assert!(
        error.contains("unknown key 'widht', expected one of") && error.contains("did you mean 'width'?"),
        "{error}"
    );
    assert!(wrong(&["--set", "pretrained=true"]).contains("pool, head, dropout, views, join, meta, meta_hidden"));
    assert!(wrong(&["--set", "views=two"]).contains("invalid type"));
    assert!(wrong(&["--set", "pool=gme"]).contains("did you mean 'gem'?"));
    assert!(wrong(&["--set", "width=wide"]).contains("invalid type"));
    assert!(wrong(&["--depth", "3"]).contains("'resnet18' reads pictures"));
    let bench =
        ["bench", "step", "--model", "baseline", "--batch", "4", "--size", "16", "--threads", "1", "--steps", "2"];
    let output = succeeds(sconce(folder).args(bench));
    let result: Value =
        serde_json::from_str(String::from_utf8(output.stdout).unwrap().lines().last().unwrap()).unwrap();
    for key in [
        "model",
        "batch",
        "size",
        "threads",
        "images_per_s",
        "best_images_per_s",
        "peak_mib",
        "conv",
        "first_loss",
        "last_loss",
    ] {
        assert!(!result[key].is_null(), "{key}: {result}");
    }
}

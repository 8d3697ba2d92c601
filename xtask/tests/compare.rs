//! Runs side by side: what is compared, what is not, and what is said of it.
#![allow(clippy::unwrap_used)]

mod program;

use program::{fails, said, succeeds, with};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A run as its files would tell it.
struct Run {
    /// Score of accuracy; the predictions have it.
    right: usize,
    metric: &'static str,
    lr: f64,
    transforms: &'static str,
    data: &'static str,
    /// Fold of picture `i`: `(i + shift) % 2`.
    shift: usize,
    times: Option<Value>,
}

const RUN: Run = Run {
    right: 30,
    metric: "{ name = \"accuracy\" }",
    lr: 0.1,
    transforms: "[]",
    data: "f00d",
    shift: 0,
    times: None,
};
const PICTURES: usize = 40;

impl Run {
    fn write(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        let Self { right, metric, lr, transforms, data, shift, .. } = self;
        let write = |name: &str, text: String| fs::write(folder.join(name), text).unwrap();
        let name = folder.file_name().unwrap().to_string_lossy();
        write(
            "recipe.toml",
            format!(
                "name = \"{name}\"\nseed = 0\n[preprocess]\nsize = 32\n[augment]\ntransforms = {transforms}\n[train]\nlr = {lr}\n\
                 epochs = 3\n[eval]\nmetric = {metric}\nalso = [{{ name = \"log_loss\" }}, {{ name = \"accuracy\" }}]\n"
            ),
        );
        let environment = json!({"version": "0.1.0", "git_commit": "abc", "threads": 2, "data_fingerprint": data});
        write("environment.json", environment.to_string());
        let class = |i: usize| ["cat", "dog"][i / 2 % 2];
        let fold = |i: usize| (i + shift) % 2;
        let rows: String = (0..PICTURES).map(|i| format!("p{i},{},{}\n", fold(i), class(i))).collect();
        write("folds.csv", format!("id,fold,target\n{rows}"));
        let said = |i: usize| if (class(i) == "cat") == (i < *right) { "0.8,0.2" } else { "0.3,0.7" };
        // Of one fold after the other.
        let order = (0..PICTURES).filter(|i| fold(*i) == 0).chain((0..PICTURES).filter(|i| fold(*i) == 1));
        let rows: String = order.map(|i| format!("p{i},{},{}\n", said(i), class(i))).collect();
        write("oof.csv", format!("id,cat,dog,target\n{rows}"));
        let score = *right as f64 / PICTURES as f64;
        let metric: toml::Table = format!("metric = {metric}").parse().unwrap();
        let metrics = json!({
            "metric": metric["metric"]["name"].as_str(), "score": score, "folds": [score - 0.1, score + 0.1],
            "all": {"accuracy": score, "log_loss": 1.0 - score}, "ci95": [score - 0.2, score + 0.2], "majority": 0.5,
        });
        write("metrics.json", metrics.to_string());
        self.times.iter().for_each(|times| write("times.json", times.to_string()));
    }
}

fn compare(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = program::sconce(folder);
    command.arg("compare").args(arguments);
    command
}

fn notes(comparison: &Value) -> String {
    comparison["notes"].as_array().unwrap().iter().map(|note| format!("{}\n", note.as_str().unwrap())).collect()
}

fn text(command: &mut Command) -> String {
    String::from_utf8(succeeds(command).stdout).unwrap()
}

/// The line of the table that begins with a label.
#[track_caller]
fn line<'a>(table: &'a str, label: &str) -> &'a str {
    table.lines().find(|line| line.trim_start().starts_with(label)).unwrap_or_else(|| panic!("{label}: {table}"))
}

#[test]
fn runs_on_the_same_folds_are_compared_in_pairs() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    RUN.write(&folder.join("runs/a"));
    let flips = "[{ name = \"flip\", p = 0.5 }]";
    let times = Some(json!({"look": 1.5, "fold 1": 10.0}));
    Run { right: 38, lr: 0.05, transforms: flips, times, ..RUN }.write(&folder.join("runs/b"));
    let all = said(&succeeds(&mut compare(folder, &["runs/a", "runs/b", "--json"])));
    assert_eq!((&all["comparable"], &all["notes"]), (&json!(true), &json!([])));
    assert_eq!(
        all["differences"],
        json!({"train.lr": [0.1, 0.05], "augment.transforms": [[], [{"name": "flip", "p": 0.5}]]})
    );
    let (a, b) = (&all["runs"][0], &all["runs"][1]);
    assert_eq!((&a["run"], &a["score"], &a["threads"]), (&json!("runs/a"), &json!(0.75), &json!(2)));
    assert_eq!((&a["difference"], &a["seconds"], &a["parameters"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!((&b["seconds"], &b["pictures"], &b["epochs"]), (&json!(11.5), &json!(40), &json!(3)));
    assert!((a["sd"].as_f64().unwrap() - 0.02f64.sqrt()).abs() < 1e-12, "{a}");
    let difference = &b["difference"];
    assert!((difference["score"].as_f64().unwrap() - 0.2).abs() < 1e-12, "{difference}");
    let [low, high] = [0, 1].map(|end| difference["ci95"][end].as_f64().unwrap());
    // b is right wherever a is, so no draw can be against it.
    assert!(0.0 < low && low < 0.2 && 0.2 < high && high < 0.4, "{difference}");

    let table = text(&mut compare(folder, &[]));
    assert!(line(&table, "accuracy").contains("0.7500") && line(&table, "accuracy").ends_with("0.9500 *"), "{table}");
    assert!(line(&table, "log_loss").ends_with("0.0500 *"), "{table}");
    assert!(line(&table, "mean of folds").contains("0.7500 ± 0.1414"), "{table}");
    assert!(line(&table, "more than the first").contains("+0.2000 (+0."), "{table}");
    assert!(line(&table, "seconds").ends_with("11.5"), "{table}");
    assert!(line(&table, "train.lr").ends_with("0.05"), "{table}");
    // Long settings stand below the table, whole.
    assert!(table.contains("augment.transforms\n  runs/a: []\n  runs/b: [{\"name\":\"flip\",\"p\":0.5}]"), "{table}");
    let one = text(&mut compare(folder, &["runs/a"]));
    assert!(!one.contains('*') && line(&one, "accuracy").ends_with("0.7500"), "{one}");
}

#[test]
fn groups_are_drawn_as_a_whole() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    RUN.write(&folder.join("a"));
    Run { right: 38, ..RUN }.write(&folder.join("b"));
    let low = || {
        let all = said(&succeeds(&mut compare(folder, &["a", "b", "--json"])));
        assert_eq!(all["comparable"], true, "{all}");
        all["runs"][1]["difference"]["ci95"][0].as_f64().unwrap()
    };
    assert!(low() > 0.0);
    for run in ["a", "b"] {
        let path = folder.join(run).join("folds.csv");
        let text = fs::read_to_string(&path).unwrap();
        let grouped = |(i, line): (usize, &str)| match i {
            0 => format!("{line},group\n"),
            row => format!("{line},g{}\n", (row - 1) / 10),
        };
        fs::write(&path, text.lines().enumerate().map(grouped).collect::<String>()).unwrap();
    }
    // All that b does better lies in one of four groups, which many draws lack.
    assert_eq!(low(), 0.0);
}

#[test]
fn what_cannot_be_compared_is_said() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    RUN.write(&folder.join("a"));
    Run { data: "beef", right: 38, ..RUN }.write(&folder.join("data"));
    Run { shift: 1, right: 38, ..RUN }.write(&folder.join("folds"));
    Run { metric: "{ name = \"log_loss\" }", ..RUN }.write(&folder.join("metric"));
    for (other, why) in [
        ("data", "'data' has other pictures or labels than 'a'"),
        ("folds", "'folds' has other folds than 'a' (40 of 40 pictures lie in another one)"),
        ("metric", "'metric' is judged by log_loss, 'a' by accuracy"),
    ] {
        let all = said(&succeeds(&mut compare(folder, &["a", other, "--json"])));
        assert!(all["comparable"] == false && all["runs"][1]["difference"].is_null(), "{all}");
        assert!(notes(&all).contains(why) && notes(&all).lines().count() == 1, "{other}: {}", notes(&all));
        let table = text(&mut compare(folder, &["a", other]));
        assert!(table.contains(&format!("note: {why}")), "{table}");
        match other {
            "metric" => {
                assert!(line(&table, "decisive score").contains("log_loss 0.7500"), "{table}");
                assert!(line(&table, "log_loss").ends_with(" *") && table.contains("* the best"), "{table}");
            }
            // No run is better than another on other pictures.
            _ => assert!(!table.contains('*'), "{table}"),
        }
    }
    let environment = fs::read_to_string(folder.join("a/environment.json")).unwrap();
    RUN.write(&folder.join("later"));
    fs::write(folder.join("later/environment.json"), environment.replace("abc", "def")).unwrap();
    let all = said(&succeeds(&mut compare(folder, &["a", "later", "--json"])));
    assert!(all["comparable"] == true && notes(&all).contains("another version of the program"), "{all}");
}

#[test]
fn unfinished_and_broken_runs_are_named() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    assert!(fails(&mut compare(folder, &[]), 1).contains("there are no runs at 'runs'"));
    RUN.write(&folder.join("runs/begun"));
    fs::remove_file(folder.join("runs/begun/metrics.json")).unwrap();
    let none = fails(&mut compare(folder, &[]), 1);
    assert!(none.contains("no finished runs in 'runs'") && none.contains("'runs/begun' is unfinished"), "{none}");
    RUN.write(&folder.join("runs/good"));
    RUN.write(&folder.join("runs/torn"));
    fs::write(folder.join("runs/torn/oof.csv"), "id,cat,dog,target\np0,0.5").unwrap();
    fs::create_dir(folder.join("runs/demo-augment")).unwrap();
    let all = said(&succeeds(&mut compare(folder, &["--json"])));
    assert_eq!(all["runs"].as_array().unwrap().len(), 1);
    let notes = notes(&all);
    assert!(notes.contains("'runs/begun' is unfinished; finish it with --resume"), "{notes}");
    assert!(notes.contains("runs/torn/oof.csv' is broken: line 2") && notes.lines().count() == 2, "{notes}");
    for (run, why) in [
        ("runs/begun", "is unfinished"),
        ("runs/torn", "oof.csv' is broken"),
        ("runs/demo-augment", "it has no recipe.toml"),
        ("nowhere", "no run at 'nowhere'"),
    ] {
        assert!(fails(&mut compare(folder, &["runs/good", run]), 1).contains(why), "{run}");
    }
}

#[test]
fn real_runs_tell_their_parameters_and_settings() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let small = [
        "demo.images=100",
        "demo.test_images=5",
        "demo.size=16",
        "preprocess.size=16",
        "data.folds=2",
        "train.epochs=1",
    ];
    for (name, widths) in
        [("narrow", "model={name='baseline', widths=[4]}"), ("wide", "model={name='baseline', widths=[8]}")]
    {
        let mut command = program::sconce(folder);
        command.args(["train", "demo", "--quiet", "--out", &format!("runs/{name}")]);
        succeeds(&mut with(with(command, &small), &[widths, "eval.bootstrap=50"]));
    }
    let all = said(&succeeds(&mut compare(folder, &["--json"])));
    assert_eq!(all["comparable"], true, "{all}");
    assert_eq!(all["differences"], json!({"model.widths": [[4], [8]]}));
    let parameters = [0, 1].map(|run| all["runs"][run]["parameters"].as_u64().unwrap());
    assert!(parameters[0] > 100 && parameters[0] < parameters[1], "{parameters:?}");
    assert!(all["runs"][1]["difference"]["ci95"][0].is_number(), "{all}");
}

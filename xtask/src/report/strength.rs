//! How good the answers are: folds, curves, scores, classes, calibration, the test part.

use super::Material;
use crate::prepare::is_known;
use anyhow::Result;
use eval::report::chart::{self, Chart, Interval, Labels, Series};
use eval::report::page::{Block, Section, Table};
use eval::{ClassScores, ConfusionMatrix, Predictions, bootstrap, curves, metrics};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Curves of one class against the rest in one chart.
const CURVES: usize = 6;
/// Bins of the reliability diagram.
const BINS: usize = 10;
/// Draws of the intervals of single folds.
const DRAWS: usize = 300;

/// A number for people.
pub fn number(value: &Value) -> String {
    value.as_f64().map_or("–".into(), |value| format!("{value:.4}"))
}

/// Which pictures judge which fold.
pub fn folds(of: &Material<'_>) -> Section {
    let prepared = of.ending.prepared;
    let rows = prepared.dataset.rows();
    let names: Vec<String> = (1..=prepared.trained_folds).map(|fold| format!("fold {fold}")).collect();
    let judged: Vec<Vec<usize>> = (0..prepared.trained_folds).map(|fold| prepared.split(fold).1).collect();
    let counts: Vec<Vec<usize>> = judged.iter().map(|judged| prepared.class_counts(judged)).collect();
    let groups = |rows_of: &[usize]| {
        let groups = rows_of.iter().filter_map(|&i| rows[i].group.as_deref());
        groups.collect::<std::collections::BTreeSet<_>>().len()
    };
    let grouped = rows.iter().any(|row| row.group.is_some());
    let mut columns: Vec<String> = ["fold", "learns from", "is judged by"].map(String::from).to_vec();
    columns.extend(grouped.then(|| "groups that judge".into()));
    columns.push(format!("{}, best weights", of.metrics["metric"].as_str().unwrap_or("score")));
    let row = |fold: usize| {
        let mut cells =
            vec![names[fold].clone(), prepared.split(fold).0.len().to_string(), judged[fold].len().to_string()];
        cells.extend(grouped.then(|| groups(&judged[fold]).to_string()));
        cells.push(number(&of.metrics["folds"][fold]));
        cells
    };
    let table = Table { columns, rows: (0..names.len()).map(row).collect() };
    let mut blocks = vec![Block::Table(table)];
    let classes = prepared.classes();
    if classes.len() <= 40 && names.len() > 1 {
        let labels = Labels { title: "Pictures per class and fold", x: "pictures that judge", y: "" };
        let of_fold = |fold: usize| (names[fold].clone(), counts[fold].iter().map(|n| *n as f64).collect());
        let series: Vec<(String, Vec<f64>)> = (0..names.len()).map(of_fold).collect();
        blocks.push(Block::Charts(vec![chart::stacked(labels, classes, &series)]));
    }
    if !prepared.excluded.is_empty() {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        prepared.excluded.iter().for_each(|(_, reason)| *reasons.entry(reason).or_default() += 1);
        let rows = reasons.iter().map(|(reason, count)| vec![reason.to_string(), count.to_string()]).collect();
        blocks.push(Block::Heading("Rows that are not used".into()));
        blocks.push(Block::Table(Table { columns: vec!["reason".into(), "rows".into()], rows }));
    }
    let given = of.ending.recipe.data.folds == 0 && rows.iter().any(|row| row.part == data::Part::Validation);
    let about = match given {
        true => {
            "The validation part that the data bring along judges as it is; what it shares with the training part is listed \
                 among the leaks."
        }
        false => "Every judged picture was predicted by a network that has seen neither it nor any of its group.",
    };
    let known = rows.iter().filter(|row| is_known(row)).count();
    let rest = match judged.iter().map(Vec::len).sum::<usize>() {
        count if count < known => format!(" {count} of {known} pictures are judged; the others only train."),
        _ => String::new(),
    };
    Section { title: "Folds".into(), about: format!("{about}{rest}"), blocks }
}

/// What was logged while training.
pub fn training(of: &Material<'_>) -> Section {
    let scalars = of.scalars;
    let metric = of.metrics["metric"].as_str().unwrap_or("score");
    let steps_of_epoch = |fold: usize| {
        let last = scalars.iter().rfind(|s| s.fold == fold && s.name == "epoch/loss");
        last.map_or(1.0, |s| s.step as f64 / (s.epoch + 1) as f64).max(1.0)
    };
    let series = |name: &str| -> Vec<Series> {
        let of_fold = |fold: usize| {
            let per_epoch = steps_of_epoch(fold);
            let mine = scalars.iter().filter(|s| s.fold == fold && s.name == name);
            let points = mine.map(|s| [s.step as f64 / per_epoch, s.value]).collect();
            Series { name: format!("fold {}", fold + 1), points }
        };
        (0..of.ending.prepared.trained_folds).map(of_fold).filter(|series| !series.points.is_empty()).collect()
    };
    let validation = format!("validation/{metric}");
    let rate: Vec<Series> = series("train/lr").into_iter().take(1).collect();
    let wanted: [(String, Vec<Series>); 4] = [
        ("Training loss".into(), series("train/loss")),
        (format!("Validation: {metric}"), series(&validation)),
        ("Validation: log_loss".into(), if metric == "log_loss" { vec![] } else { series("validation/log_loss") }),
        ("Learning rate".into(), rate),
    ];
    let wanted = wanted.iter().filter(|(_, series)| !series.is_empty());
    let y = |title: &str| match title {
        "Training loss" => "loss, nats".to_string(),
        "Learning rate" => "learning rate".to_string(),
        other => other.trim_start_matches("Validation: ").to_string(),
    };
    let draw =
        |(title, series): &(String, Vec<Series>)| chart::lines(Labels { title, x: "epochs", y: &y(title) }, series);
    let about = "One line per fold. A training loss that falls while the validation gets worse is overfitting.";
    let blocks = vec![Block::Charts(wanted.map(draw).collect())];
    Section { title: "Training".into(), about: about.into(), blocks }
}

/// Scores with intervals.
pub fn scores(of: &Material<'_>) -> Result<Section> {
    let name = of.metrics["metric"].as_str().unwrap_or("score");
    let seed = data::rng::sub_seed(of.ending.recipe.seed, "bootstrap");
    let number_at = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let ends = |at: usize| number_at(&of.metrics["ci95"][at]);
    let [low, high] = [ends(0), ends(1)];
    let mut rows = vec![Interval { name: "all folds".into(), value: number_at(&of.metrics["score"]), low, high }];
    let draws = of.ending.recipe.eval.bootstrap.min(DRAWS);
    let fold = |(i, said): (usize, &Predictions)| {
        let groups = of.ending.prepared.groups(&said.ids);
        // No draws, no interval.
        let interval = bootstrap::grouped_interval(said, &groups, &*of.ending.parts.metric, draws, seed);
        let [low, high] = interval.unwrap_or([f64::NAN; 2]);
        Interval { name: format!("fold {}", i + 1), value: number_at(&of.metrics["folds"][i]), low, high }
    };
    if of.folds.len() > 1 {
        rows.extend(of.folds.iter().enumerate().map(fold));
    }
    let majority = of.metrics["majority"].as_f64().filter(|_| name == "accuracy");
    let labels = Labels { title: "Score with 95 % intervals", x: name, y: "" };
    let chart = chart::intervals(labels, &rows, majority.map(|share| ("most frequent class", share)));
    let interval = |name: &str| match &of.metrics["ci95_all"][name] {
        Value::Array(ends) => format!("{} to {}", number(&ends[0]), number(&ends[1])),
        _ => "–".into(),
    };
    let test = of.metrics["test"].as_object();
    let mut columns: Vec<String> = ["score", "out of fold", "95 % interval"].map(String::from).to_vec();
    columns.extend(test.map(|_| "test part".to_string()));
    let all = of.metrics["all"].as_object().into_iter().flatten();
    let rows = all.map(|(key, value)| {
        let mut cells = vec![key.clone(), number(value), interval(key)];
        // Some scores are undefined on a part that lacks a class.
        cells.extend(test.map(|test| number(test.get(key).unwrap_or(&Value::Null))));
        cells
    });
    let blocks = vec![Block::Charts(vec![chart]), Block::Table(Table { columns, rows: rows.collect() })];
    let about = match of.ending.prepared.groups(&of.oof.ids).iter().any(Option::is_some) {
        true => {
            "Intervals are those of a bootstrap over the groups, each drawn as a whole: how far a score would move with other \
             groups of the same kind."
        }
        false => {
            "Intervals are those of a bootstrap over the pictures: how far a score would move with other pictures of the same \
             kind."
        }
    };
    Ok(Section { title: "Scores".into(), about: about.into(), blocks })
}

/// Which classes are good, and which are taken for which.
pub fn classes(of: &Material<'_>) -> Result<Section> {
    let matrix = ConfusionMatrix::new(of.oof)?;
    let auc = |class: usize| curves::roc(of.oof, class).map_or(f64::NAN, |points| curves::area(&points));
    let mut areas: Vec<(usize, f64)> = (0..matrix.classes.len()).map(|class| (class, auc(class))).collect();
    let shown = |value: f64| if value.is_finite() { format!("{value:.3}") } else { "–".into() };
    let row = |(scores, (class, area)): (ClassScores, &(usize, f64))| {
        let numbers = [scores.precision, scores.recall, scores.f1, *area].map(shown);
        [vec![matrix.classes[*class].clone(), scores.samples.to_string()], numbers.to_vec()].concat()
    };
    let rows = matrix.per_class().into_iter().zip(&areas).map(row).collect();
    let columns = ["class", "pictures", "precision", "recall", "F1", "ROC AUC"].map(String::from).to_vec();
    let mut blocks =
        vec![Block::Charts(vec![chart::confusion("Confusion", &matrix)]), Block::Table(Table { columns, rows })];
    let pairs = matrix.most_confused(10);
    if !pairs.is_empty() {
        let rows = pairs.into_iter().map(|p| vec![p.truth, p.predicted, p.count.to_string()]).collect();
        blocks.push(Block::Heading("Most often confused".into()));
        let columns = ["true class", "taken for", "pictures"].map(String::from).to_vec();
        blocks.push(Block::Table(Table { columns, rows }));
    }
    areas.retain(|(_, area)| area.is_finite());
    areas.sort_by(|a, b| a.1.total_cmp(&b.1));
    let text = match areas.len() > CURVES {
        true => format!("The curves are those of the {CURVES} classes with the smallest area under the ROC curve."),
        false => "Each class against the rest.".into(),
    };
    areas.truncate(CURVES);
    let series = |curve: &dyn Fn(usize) -> eval::Result<Vec<[f64; 2]>>| -> Vec<Series> {
        let one = |(class, _): &(usize, f64)| {
            Some(Series { name: matrix.classes[*class].clone(), points: curve(*class).ok()? })
        };
        areas.iter().filter_map(one).collect()
    };
    if !areas.is_empty() {
        let roc = chart::roc("ROC", &series(&|class| curves::roc(of.oof, class)));
        let pr = chart::precision_recall("Precision and recall", &series(&|c| curves::precision_recall(of.oof, c)));
        blocks.push(Block::Heading("At every threshold".into()));
        blocks.push(Block::Text(text));
        blocks.push(Block::Charts(vec![roc, pr]));
    }
    let about = "Rows are what pictures are, columns what they were taken for.";
    Ok(Section { title: "Classes".into(), about: about.into(), blocks })
}

/// Whether probabilities can be believed.
pub fn calibration(of: &Material<'_>) -> Result<Section> {
    let bins = metrics::reliability(of.oof, BINS)?;
    let error = metrics::build("calibration", json!({}))?.score(of.oof)?;
    let confidence: f64 = bins.iter().map(|bin| bin.confidence * bin.count as f64).sum::<f64>() / of.oof.len() as f64;
    let accuracy: f64 = bins.iter().map(|bin| bin.accuracy * bin.count as f64).sum::<f64>() / of.oof.len() as f64;
    let word = if confidence > accuracy { "more" } else { "less" };
    let text = format!(
        "Expected calibration error {error:.4} (15 bins). On average the network is {:.1} points {word} sure than right.",
        100.0 * (confidence - accuracy).abs()
    );
    let highest = |i: usize| f64::from(of.oof.row(i)[of.oof.best(i)]);
    let sure: Vec<f64> = (0..of.oof.len()).map(highest).collect();
    let labels = Labels { title: "How sure it is", x: "probability of the predicted class", y: "pictures" };
    let charts: Vec<Chart> = vec![chart::reliability("Reliability", &bins), chart::histogram(labels, &sure, 20)];
    let about = "On the dashed line a probability of 0.8 is right in eight of ten cases.";
    Ok(Section {
        title: "Calibration".into(),
        about: about.into(),
        blocks: vec![Block::Text(text), Block::Charts(charts)],
    })
}

/// What is said of the test part.
pub fn test(of: &Material<'_>) -> Section {
    let Some(blend) = of.blend else {
        let text = "The data have no test part, so there are no predictions and no submission.";
        return Section { title: "Test part".into(), about: String::new(), blocks: vec![Block::Text(text.into())] };
    };
    let (classes, known) = (of.ending.prepared.classes(), of.ending.prepared.dataset.rows());
    let known: Vec<usize> = (0..known.len()).filter(|&i| is_known(&known[i])).collect();
    let labelled = of.ending.prepared.class_counts(&known);
    let mut predicted = vec![0usize; classes.len()];
    (0..blend.len()).for_each(|i| predicted[blend.best(i)] += 1);
    let percent = |count: usize, whole: usize| format!("{:.1} %", 100.0 * count as f64 / whole.max(1) as f64);
    let row = |(i, class): (usize, &String)| {
        let shares = [percent(predicted[i], blend.len()), percent(labelled[i], known.len())];
        [vec![class.clone(), predicted[i].to_string()], shares.to_vec()].concat()
    };
    let columns = ["class", "predicted", "share", "share of the labelled pictures"].map(String::from).to_vec();
    let table = Table { columns, rows: classes.iter().enumerate().map(row).collect() };
    let about = "The mean of all folds. Shares that differ much from those of the labelled pictures deserve a look.";
    Section { title: "Test part".into(), about: about.into(), blocks: vec![Block::Table(table)] }
}

//! Laws that every metric of the table keeps, and intervals of them.
#![allow(clippy::unwrap_used)]

use sconce_eval::metrics::{METRICS, Metric, build, resolve};
use sconce_eval::{ConfusionMatrix, Goal, Predictions, Truth, bootstrap, ensemble};
use serde_json::json;

const CLASSES: usize = 4;

fn every(test: impl Fn(&str, &dyn Metric)) {
    for entry in METRICS {
        assert!(entry.doc.ends_with('.'), "{}", entry.name);
        test(entry.name, &*build(entry.name, json!({})).unwrap());
    }
}

/// The next of a fixed sequence of numbers that look random.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    (*state >> 33) as usize
}

fn sample(samples: usize) -> Predictions {
    let mut state = 7;
    let mut all = Predictions::new(&(0..CLASSES).map(|k| format!("c{k}")).collect::<Vec<_>>());
    let mut truth = vec![];
    for i in 0..samples {
        let parts: Vec<f32> = (0..CLASSES).map(|_| 1.0 + (next(&mut state) % 9) as f32).collect();
        let sum: f32 = parts.iter().sum();
        all.ids.push(format!("s{i}"));
        all.scores.extend(parts.iter().map(|p| p / sum));
        let guess = next(&mut state) % (3 * CLASSES);
        truth.push(if guess < CLASSES { guess } else { all.best(i) } as u32);
    }
    all.truth = Some(Truth::Class(truth));
    all
}

/// The scores replaced by certainty: of the truth or, turned by one, of a mistake.
fn sure(mut all: Predictions, turn: usize) -> Predictions {
    let Some(Truth::Class(truth)) = &all.truth else { unreachable!() };
    let row = |class: u32| (0..CLASSES).map(move |k| f32::from(u8::from(k == (class as usize + turn) % CLASSES)));
    all.scores = truth.iter().copied().flat_map(row).collect();
    all
}

#[test]
fn every_metric_ignores_the_order_of_samples() {
    let all = sample(60);
    let turned: Vec<usize> = (0..60).map(|i| (i * 7 + 3) % 60).collect();
    every(|name, metric| {
        let (a, b) = (metric.score(&all).unwrap(), metric.score(&all.select(&turned)).unwrap());
        assert!((a - b).abs() < 1e-12, "{name}: {a} {b}");
    });
}

#[test]
fn every_metric_counts_a_sample_as_often_as_it_is_told() {
    let all = sample(40);
    let counts: Vec<u32> = (0..40).map(|i| i * 5 % 4).collect();
    let repeated: Vec<usize> = (0..40).flat_map(|i| vec![i; counts[i] as usize]).collect();
    every(|name, metric| {
        let score = metric.weighted(&all).unwrap();
        let (a, b) = (score.score(&counts).unwrap(), metric.score(&all.select(&repeated)).unwrap());
        assert!((a - b).abs() < 1e-12, "{name}: {a} {b}");
        assert!(score.score(&[1]).unwrap_err().to_string().contains("of 40 samples got counts for 1"), "{name}");
    });
}

#[test]
fn every_metric_is_best_at_the_truth_and_stays_in_its_range() {
    let all = sample(50);
    every(|name, metric| {
        let (right, wrong) =
            (metric.score(&sure(all.clone(), 0)).unwrap(), metric.score(&sure(all.clone(), 1)).unwrap());
        let best = if metric.goal() == Goal::Maximize { 1.0 } else { 0.0 };
        assert!((right - best).abs() < 1e-12, "{name}: {right}");
        let score = metric.score(&all).unwrap();
        // With five guesses of four classes no one can be wrong.
        if name != "top_k" {
            assert!(
                metric.goal().better(right, score) && metric.goal().better(score, wrong),
                "{name}: {score} {wrong}"
            );
        }
        let worst = match name {
            "kappa" | "matthews" => -1.0,
            "brier" => 2.0,
            "calibration" => 1.0,
            "log_loss" => 36.1,
            _ => 0.0,
        };
        assert!(!metric.goal().better(worst, wrong), "{name}: {wrong}");
    });
}

#[test]
fn resolving_twice_changes_nothing() {
    for entry in METRICS {
        let resolved = resolve(entry.name, json!({})).unwrap();
        assert_eq!(resolve(entry.name, resolved.clone()).unwrap(), resolved, "{}", entry.name);
    }
    assert_eq!(resolve("f_score", json!({"average": "micro"})).unwrap(), json!({"beta": 1.0, "average": "micro"}));
}

#[test]
fn every_metric_says_what_it_lacks() {
    let (none, empty) =
        (Predictions { truth: None, ..sample(3) }, Predictions { truth: Some(Truth::Class(vec![])), ..sample(0) });
    let torn = Predictions { ids: vec!["a".into()], ..sample(3) };
    every(|name, metric| {
        let error = |p| metric.score(p).unwrap_err().to_string();
        assert_eq!(error(&none), format!("{name} needs the true classes, which these predictions do not have"));
        assert_eq!(error(&empty), format!("{name} is undefined: there are no samples"));
        assert!(error(&torn).contains("do not fit 1 samples of 4 classes"), "{name}");
    });
    let dense = Predictions { truth: Some(Truth::Dense(vec![f32::NAN; 12])), ..sample(3) };
    let error = |name: &str, p: &Predictions| build(name, json!({})).unwrap().score(p).unwrap_err().to_string();
    assert_eq!(error("kappa", &dense), "kappa needs one true class per sample, not rows of values");
    assert_eq!(error("recall", &dense), "predictions: whether sample 's0' is 'c0' is not known");
    let negative = Predictions { scores: vec![-0.5; 12], ..sample(3) };
    assert!(error("log_loss", &negative).contains("log_loss needs probabilities, but sample 's0' has [-0.5"));
    let alone = sure(Predictions { truth: Some(Truth::Class(vec![1; 3])), ..sample(3) }, 0);
    assert_eq!(error("kappa", &alone), "kappa is undefined: all truths and predictions are of one class");
    assert!(error("auc", &alone).contains("auc is undefined: no class is true of some samples and not of others"));
}

#[test]
fn wrong_names_and_values_are_clear_errors() {
    let error = |name: &str, params| build(name, params).err().unwrap().to_string();
    assert!(error("acuracy", json!({})).starts_with("unknown metric 'acuracy', expected one of accuracy, auc, "));
    assert!(error("f_score", json!({"averge": "micro"})).starts_with("metric 'f_score': unknown field `averge`"));
    assert!(error("f_score", json!({"average": "mikro"})).contains("expected one of `macro`, `micro`, `weighted`"));
    assert_eq!(error("f_score", json!({"beta": 0.0})), "metric 'f_score': beta must be positive, got 0");
    assert_eq!(error("top_k", json!({"k": 0})), "metric 'top_k': k must be at least 1");
}

#[test]
fn goals_never_prefer_what_is_no_number() {
    let nan = f64::NAN;
    assert!(Goal::Maximize.better(1.0, 0.0) && !Goal::Maximize.better(0.0, 0.0) && Goal::Minimize.better(0.0, 1.0));
    assert!(Goal::Minimize.better(5.0, nan) && !Goal::Maximize.better(nan, 0.0) && !Goal::Maximize.better(nan, nan));
}

#[test]
fn intervals_hold_the_score_and_depend_on_the_seed_only() {
    let all = sample(200);
    every(|name, metric| {
        let [low, high] = bootstrap::interval(&all, metric, 300, 1).unwrap();
        let score = metric.score(&all).unwrap();
        assert!(low <= score && score <= high && (low < high || name == "top_k"), "{name}: {low} {score} {high}");
        assert_eq!(bootstrap::interval(&all, metric, 300, 1).unwrap(), [low, high], "{name}");
    });
    let accuracy = build("accuracy", json!({})).unwrap();
    let [low, high] = bootstrap::interval(&all, &*accuracy, 1000, 1).unwrap();
    let p = accuracy.score(&all).unwrap();
    let normal = 2.0 * 1.96 * (p * (1.0 - p) / 200.0).sqrt();
    assert!((high - low - normal).abs() < 0.15 * normal, "{low} {high} {normal}");
    assert_ne!(bootstrap::interval(&all, &*accuracy, 50, 2).unwrap(), [low, high]);
    assert!(bootstrap::interval(&all, &*accuracy, 0, 1).unwrap_err().to_string().contains("at least one resample"));
    // In half of the draws one sample comes twice, and there is no pair to compare.
    let pair = Predictions { truth: Some(Truth::Class(vec![0, 1])), ..sample(2) };
    bootstrap::interval(&pair, &*build("auc", json!({})).unwrap(), 50, 0).unwrap();
}

#[test]
fn differences_are_of_pairs() {
    let first = sample(400);
    // The same predictions, every twentieth of them spoiled.
    let mut second = first.clone();
    (0..400).step_by(20).for_each(|i| second.scores[i * CLASSES..(i + 1) * CLASSES].rotate_right(1));
    every(|name, metric| {
        let of = |a, b| bootstrap::difference(a, b, metric, 300, 1).unwrap();
        let ([low, high], [back_low, back_high]) = (of(&first, &second), of(&second, &first));
        assert!((low + back_high).abs() < 1e-12 && (high + back_low).abs() < 1e-12, "{name}");
        let whole = metric.score(&second).unwrap() - metric.score(&first).unwrap();
        assert!(low <= whole && whole <= high, "{name}: {low} {whole} {high}");
        assert_eq!(of(&first, &first), [0.0, 0.0], "{name}");
    });
    // The deviation of a mean of pairs; that of two independent sets of samples would be several times as wide.
    let accuracy = build("accuracy", json!({})).unwrap();
    let Some(Truth::Class(truth)) = &first.truth else { unreachable!() };
    let right = |p: &Predictions, i: usize| f64::from(u8::from(p.best(i) == truth[i] as usize));
    let pairs: Vec<f64> = (0..400).map(|i| right(&second, i) - right(&first, i)).collect();
    let mean = pairs.iter().sum::<f64>() / 400.0;
    let deviation = (pairs.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / 400.0 / 400.0).sqrt();
    let [low, high] = bootstrap::difference(&first, &second, &*accuracy, 2000, 1).unwrap();
    let normal = 2.0 * 1.96 * deviation;
    assert!(mean < 0.0 && (high - low - normal).abs() < 0.15 * normal, "{low} {high} {normal}");
    let [one_low, one_high] = bootstrap::interval(&first, &*accuracy, 2000, 1).unwrap();
    assert!(high - low < 0.6 * (one_high - one_low));

    let error = |other: &Predictions| bootstrap::difference(&first, other, &*accuracy, 10, 0).unwrap_err().to_string();
    let turned: Vec<usize> = (0..400).rev().collect();
    assert!(error(&second.select(&turned)).contains("sample 0 is 's0' here and 's399' there"));
    assert!(error(&sample(399)).contains("sample 399 is 's399' here and missing there"));
    assert!(error(&Predictions { truth: None, ..first.clone() }).contains("another truth"));
    let renamed = Predictions { classes: ["a", "b", "c", "d"].map(String::from).to_vec(), ..first.clone() };
    assert!(error(&renamed).contains("class 0 is 'c0' here and 'a' there"));
}

#[test]
fn groups_are_drawn_as_a_whole() {
    let one = sample(200);
    let mut other = one.clone();
    (0..200).step_by(9).for_each(|i| other.scores[i * CLASSES..(i + 1) * CLASSES].rotate_right(1));
    let alone: Vec<String> = (0..200).map(|i| format!("g{}", 200 - i)).collect();
    let alone: Vec<Option<&str>> = alone.iter().map(|name| Some(name.as_str()).filter(|name| *name != "g7")).collect();
    // Every sample with a copy of itself: as many groups as there were samples, and nothing more is known.
    let copies: Vec<usize> = (0..400).map(|i| i / 2).collect();
    let (twice, twice_other) = (one.select(&copies), other.select(&copies));
    let names: Vec<String> = copies.iter().map(|i| format!("g{i}")).collect();
    let groups: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).collect();
    every(|name, metric| {
        let interval = bootstrap::interval(&one, metric, 200, 1).unwrap();
        assert_eq!(bootstrap::grouped_interval(&one, &alone, metric, 200, 1).unwrap(), interval, "{name}");
        let difference = bootstrap::difference(&one, &other, metric, 200, 1).unwrap();
        let of_groups = bootstrap::grouped_difference(&one, &other, &alone, metric, 200, 1).unwrap();
        assert_eq!(of_groups, difference, "{name}");
        let near = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).abs() < 1e-9 && (a[1] - b[1]).abs() < 1e-9;
        assert!(near(bootstrap::grouped_interval(&twice, &groups, metric, 200, 1).unwrap(), interval), "{name}");
        let of_groups = bootstrap::grouped_difference(&twice, &twice_other, &groups, metric, 200, 1).unwrap();
        assert!(near(of_groups, difference), "{name}");
    });
    let accuracy = build("accuracy", json!({})).unwrap();
    let wide = |[low, high]: [f64; 2]| high - low;
    let whole = wide(bootstrap::grouped_interval(&twice, &groups, &*accuracy, 1000, 1).unwrap());
    let single = wide(bootstrap::interval(&twice, &*accuracy, 1000, 1).unwrap());
    assert!(whole > 1.25 * single, "{whole} {single}");
    let error =
        |groups: &[Option<&str>]| bootstrap::grouped_interval(&one, groups, &*accuracy, 10, 0).unwrap_err().to_string();
    assert!(error(&[Some("a"); 200]).contains("all samples are of one group"));
    assert!(error(&[None; 3]).contains("of 200 samples got counts for 3"));
}

#[test]
fn confusions_are_counted_and_sorted() {
    let classes: Vec<String> = ["a", "b", "c"].map(String::from).to_vec();
    let said = Predictions {
        ids: (0..6).map(|i| i.to_string()).collect(),
        scores: [0, 1, 1, 2, 0, 2]
            .iter()
            .flat_map(|best| (0..3).map(move |k| f32::from(u8::from(k == *best))))
            .collect(),
        truth: Some(Truth::Class(vec![0, 0, 0, 1, 1, 2])),
        classes,
    };
    let matrix = ConfusionMatrix::new(&said).unwrap();
    assert_eq!(matrix.counts, [[1, 2, 0], [1, 0, 1], [0, 0, 1]]);
    let pairs = matrix.most_confused(2).into_iter().map(|c| (c.truth, c.predicted, c.count));
    assert_eq!(pairs.collect::<Vec<_>>(), [("a".into(), "b".into(), 2), ("b".into(), "a".into(), 1)]);
}

#[test]
fn a_mean_is_of_equal_samples() {
    let (a, mut b) = (sample(5), sure(sample(5), 0));
    let mean = ensemble::mean(&[a.clone(), b.clone()]).unwrap();
    assert_eq!(mean.scores[3], ((f64::from(a.scores[3]) + f64::from(b.scores[3])) / 2.0) as f32);
    assert_eq!(mean.truth, a.truth);
    assert_eq!(ensemble::mean(std::slice::from_ref(&a)).unwrap(), a);
    let error = |b: &Predictions| ensemble::mean(&[a.clone(), b.clone()]).unwrap_err().to_string();
    b.ids.swap(1, 2);
    assert_eq!(error(&b), "predictions: sample 1 is 's1' in the first member and 's2' in member 1");
    assert!(error(&sample(4)).contains("member 1 has 4 samples, the first has 5"));
    b.classes[2] = "x".into();
    assert_eq!(error(&b), "predictions: class 2 is 'c2' here and 'x' there");
    let other = Predictions { truth: Some(Truth::Class(vec![0; 5])), ..sample(5) };
    assert!(error(&other).contains("member 1 has another truth"));
    assert!(ensemble::mean(&[]).unwrap_err().to_string().contains("at least one member"));
}

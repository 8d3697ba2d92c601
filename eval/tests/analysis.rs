//! Hard samples, label errors planted and found again, curves without an answer.
#![allow(clippy::unwrap_used)]

use sconce_eval::analysis::{errors_csv, hardest, suspects};
use sconce_eval::{Predictions, Truth, curves};

fn said(scores: &[[f32; 3]], truth: &[u32]) -> Predictions {
    Predictions {
        ids: (0..scores.len()).map(|i| format!("s{i}")).collect(),
        classes: ["a", "b", "c"].map(String::from).to_vec(),
        scores: scores.concat(),
        truth: Some(Truth::Class(truth.to_vec())),
    }
}

/// A number in 0..1 that depends on `i` and looks random.
fn noise(i: usize) -> f32 {
    let mut state = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((state ^ (state >> 31)) >> 40) as f32 / (1u64 << 24) as f32
}

#[test]
fn planted_label_errors_come_first() {
    const SAMPLES: usize = 1500;
    const CLASSES: usize = 10;
    let classes: Vec<String> = (0..CLASSES).map(|k| format!("c{k}")).collect();
    let (mut all, mut given, mut planted) = (Predictions::new(&classes), vec![], vec![]);
    for i in 0..SAMPLES {
        let truth = i % CLASSES;
        // About a normal distribution: some pictures look more like another class.
        let normal = |at: usize| (0..6).map(|j| noise(6 * at + j)).sum::<f32>() - 3.0;
        let logit = |k: usize| 2.2 * normal(i * CLASSES + k) + 5.0 * f32::from(u8::from(k == truth));
        let row: Vec<f32> = (0..CLASSES).map(|k| logit(k).exp()).collect();
        let sum: f32 = row.iter().sum();
        all.ids.push(format!("s{i}"));
        all.scores.extend(row.iter().map(|value| value / sum));
        planted.push(i % 25 == 3);
        given.push(if planted[i] { (truth + 1 + i % (CLASSES - 1)) % CLASSES } else { truth } as u32);
    }
    all.truth = Some(Truth::Class(given));
    let count = planted.iter().filter(|wrong| **wrong).count();
    assert_eq!(count, SAMPLES / 25);
    let found = suspects(&all).unwrap();
    let hits = found.iter().take(count).filter(|suspect| planted[suspect.sample]).count();
    assert!(hits as f64 / count as f64 >= 0.6, "{hits} of {count} among {}", found.len());
    assert!(found.windows(2).all(|pair| pair[0].score <= pair[1].score));
    assert!(found.iter().all(|suspect| suspect.given != suspect.suggested && suspect.score < 0.5));
}

#[test]
fn the_hardest_come_first_and_equal_ones_in_order() {
    let all = said(&[[0.5, 0.5, 0.0], [0.1, 0.9, 0.0], [0.5, 0.25, 0.25], [0.0, 0.0, 1.0]], &[0, 0, 0, 2]);
    let order: Vec<usize> = hardest(&all, 3).unwrap().iter().map(|hard| hard.sample).collect();
    assert_eq!(order, [1, 0, 2]);
    assert!((hardest(&all, 9).unwrap()[1].loss - 2f64.ln()).abs() < 1e-7);
    let error = hardest(&Predictions { truth: None, ..all }, 1).unwrap_err().to_string();
    assert_eq!(error, "the search for hard samples needs the true classes, which these predictions do not have");
}

#[test]
fn the_table_of_errors_has_all_three_kinds() {
    let sure = [[0.875, 0.125, 0.0], [0.125, 0.875, 0.0], [0.0, 0.125, 0.875]];
    let scores: Vec<[f32; 3]> = (0..9).map(|i| sure[i % 3]).collect();
    let all = said(&scores, &[0, 1, 2, 0, 1, 2, 1, 1, 2]);
    let text = String::from_utf8(errors_csv(&all, 1, 5).unwrap()).unwrap();
    let wanted = format!(
        "kind,id,target,predicted,probability,score\nhardest,s6,b,a,0.875,{}\n\
         confused,,b,a,,1\nsuspect,s6,b,a,0.875,0.125\n",
        8f64.ln()
    );
    assert_eq!(text, wanted);
}

#[test]
fn without_doubts_there_are_no_suspects() {
    let all = said(&[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], &[0, 1]);
    assert_eq!(suspects(&all).unwrap(), []);
    assert_eq!(suspects(&said(&[], &[])).unwrap(), []);
    let alone = Predictions {
        ids: vec!["x".into()],
        classes: vec!["a".into()],
        scores: vec![1.0],
        truth: Some(Truth::Class(vec![0])),
    };
    assert_eq!(suspects(&alone).unwrap(), []);
}

#[test]
fn curves_say_what_they_lack() {
    let all = said(&[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], &[0, 0]);
    let error = |result: sconce_eval::Result<Vec<[f64; 2]>>| result.unwrap_err().to_string();
    assert_eq!(error(curves::roc(&all, 3)), "roc: there is no class 3 among 3");
    assert!(error(curves::roc(&all, 0)).starts_with("roc is undefined: the class is not true of some samples"));
    let none = error(curves::precision_recall(&all, 1));
    assert_eq!(none, "precision_recall is undefined: the class is true of no sample");
    let truth = Some(Truth::Dense(vec![f32::NAN; 6]));
    let unknown = error(curves::roc(&Predictions { truth, ..all.clone() }, 0));
    assert_eq!(unknown, "roc needs a truth without missing values");
    assert!(error(curves::roc(&Predictions { truth: None, ..all }, 0)).starts_with("roc needs the true classes"));
}

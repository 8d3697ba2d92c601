//! Submissions in the forms that competitions ask for.
#![allow(clippy::unwrap_used)]

use sconce_eval::submission::{Layout, Sample, Submission, Written, check, write};
use sconce_eval::{Predictions, Result};

const FALLBACK: [f32; 3] = [0.25, 0.5, 0.25];

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

fn said() -> Predictions {
    Predictions {
        ids: names(&["a", "test/b.png", "c.png"]),
        classes: names(&["Black-grass", "Maize", "Sugar beet"]),
        scores: vec![0.7, 0.2, 0.1, 0.1, 0.3, 0.6, 0.2, 0.6, 0.2],
        truth: None,
    }
}

fn answer(sample: &str) -> Result<Written> {
    write(&said(), &Submission::default(), Some(&Sample::parse(sample)?), &FALLBACK)
}

fn text(written: &Written) -> &str {
    std::str::from_utf8(&written.csv).unwrap()
}

fn refusal(sample: &str) -> String {
    answer(sample).unwrap_err().to_string()
}

#[test]
fn labels_in_the_order_of_the_sample() {
    let written = answer("file,species\nc.png,Maize\nz.png,Maize\nb.png,Maize\n").unwrap();
    assert_eq!(text(&written), "file,species\nc.png,Maize\nz.png,Maize\nb.png,Sugar beet\n");
    assert_eq!((written.filled, written.extra), (names(&["z.png"]), 1));
}

#[test]
fn probabilities_in_the_columns_of_the_sample() {
    let written = answer("\u{feff}id,sugar_beet,Maize,black grass\r\na.jpg,0,0,0\r\nq,0,0,0\r\n").unwrap();
    assert_eq!(text(&written), "id,sugar_beet,Maize,black grass\na.jpg,0.1,0.2,0.7\nq,0.25,0.5,0.25\n");
    assert_eq!((written.filled.len(), written.extra), (1, 2));
    assert_eq!(text(&answer("id,label\na,\n").unwrap()), "id,label\na,Black-grass\n");
}

#[test]
fn one_probability_of_two_classes() {
    let pair =
        Predictions { classes: names(&["benign", "malignant"]), scores: vec![0.7, 0.3, 0.1, 0.9, 0.5, 0.5], ..said() };
    let form = Submission { probabilities: true, ..Default::default() };
    let of = |sample: &str, form: &Submission| {
        write(&pair, form, Some(&Sample::parse(sample).unwrap()), &[0.8, 0.2]).map(|w| text(&w).to_string())
    };
    assert_eq!(of("image_name,target\na,0\nx,0\n", &form).unwrap(), "image_name,target\na,0.3\nx,0.2\n");
    assert_eq!(of("image,Benign\na,0.5\n", &form).unwrap(), "image,Benign\na,0.7\n");
    let error = of("image_name,target\na,0.5\n", &Submission::default()).unwrap_err().to_string();
    assert!(error.contains("holds '0.5', which is none of the classes benign, malignant; if it is a probability, set"));
}

#[test]
fn the_form_decides_without_a_sample() {
    let form = Submission { id: "file".into(), label: "species".into(), probabilities: false };
    let labels = write(&said(), &form, None, &FALLBACK).unwrap();
    assert_eq!(text(&labels), "file,species\na,Black-grass\ntest/b.png,Sugar beet\nc.png,Maize\n");
    let all = write(&said(), &Submission { probabilities: true, ..form }, None, &FALLBACK).unwrap();
    assert!(text(&all).starts_with("file,Black-grass,Maize,Sugar beet\na,0.7,0.2,0.1\n"));
    let same = Submission { id: "x".into(), label: "x".into(), probabilities: false };
    assert!(write(&said(), &same, None, &FALLBACK).unwrap_err().to_string().contains("need names of their own"));
}

#[test]
fn the_answer_has_the_separator_of_the_sample() {
    assert_eq!(
        text(&answer("file;species\nc.png;Maize\nb.png;\n").unwrap()),
        "file;species\nc.png;Maize\nb.png;Sugar beet\n"
    );
    let tabs = answer("id\tsugar beet\tMaize\tBlack,grass\r\na\t0\t0\t0\r\n").unwrap();
    assert_eq!(text(&tabs), "id\tsugar beet\tMaize\tBlack,grass\na\t0.1\t0.2\t0.7\n");
    // Separators between quotes are part of a name; a cell that holds one is quoted again.
    let named = Predictions { classes: names(&["a;b", "c;d;e", "f"]), ..said() };
    let sample = Sample::parse("id,\"c;d;e\",f,\"a;b\"\na,0,0,0\n").unwrap();
    let written = write(&named, &Submission::default(), Some(&sample), &FALLBACK).unwrap();
    assert_eq!(text(&written), "id,c;d;e,f,a;b\na,0.2,0.1,0.7\n");
    let sample = Sample::parse("id;f;\"c;d;e\";\"a;b\"\na;0;0;0\n").unwrap();
    let written = write(&named, &Submission::default(), Some(&sample), &FALLBACK).unwrap();
    assert_eq!(text(&written), "id;f;\"c;d;e\";\"a;b\"\na;0.1;0.2;0.7\n");
    let form = Submission::default();
    let sample = Sample::parse("id;label\na;Maize\n").unwrap();
    let error = check(b"id,label\na,Maize\n", &sample, &said().classes, &form).unwrap_err().to_string();
    assert!(error.contains("its columns are"), "{error}");
}

#[test]
fn doubts_are_errors_instead_of_guesses() {
    let classes = "none of the classes Black-grass, Maize, Sugar beet";
    let number = refusal("id,label\na,0\n");
    assert!(number.contains(classes) && number.contains("it looks like a class's number"), "{number}");
    assert!(refusal("id,label\na,maize\n").contains("spell the classes as the sample does"));
    assert!(refusal("id,label\na,Wheat\n").ends_with(classes));
    assert!(refusal("id,Maize,Wheat,Sugar beet\na,0,0,0\n").contains("column 'Wheat' is none of the classes"));
    assert!(refusal("id,Maize,Sugar beet\na,0,0\n").contains("no column for class 'Black-grass'"));
    assert!(refusal("id,Maize,maize,Sugar beet\na,0,0,0\n").contains("two columns of the sample are class 'Maize'"));
    assert_eq!(refusal("id,label\na,Maize\nb,Maize\na,Maize\n"), "line 4: id 'a' already stands in line 2");
    assert!(refusal("id,label\nq,Maize\n").contains("none of the sample's ids is among the predictions"));
    assert!(refusal("id,label\n").contains("lists no ids"));
    assert!(refusal("id|label\na|Maize\n").contains("separated by commas, semicolons or tabs"));
    assert_eq!(refusal("id,label\na,Maize,1\n"), "line 2: it has 3 cells, the header 2");
    let twice = Predictions { ids: names(&["a", "b", "a"]), ..said() };
    let error = write(&twice, &Submission::default(), None, &FALLBACK).unwrap_err().to_string();
    assert_eq!(error, "predictions: 'a' occurs twice");
    let error = write(&said(), &Submission::default(), None, &[0.5]).unwrap_err().to_string();
    assert!(error.contains("one finite number for each of 3 classes, got 1"));
}

#[test]
fn names_that_only_look_alike_are_not_mixed_up() {
    let classes = names(&["c", "C++", "c#"]);
    let layout = |text: &str| Sample::parse(text).unwrap().layout(&classes, &Submission::default());
    assert_eq!(layout("id,c#,C++,c\nx,0,0,0\n").unwrap(), Layout::Probabilities(vec![2, 1, 0]));
    assert!(layout("id,C#,C++,c\nx,0,0,0\n").unwrap_err().to_string().contains("column 'C#' is none of the classes"));
}

#[test]
fn every_damage_is_found() {
    let form = Submission::default();
    let labels = Sample::parse("id,label\na,Maize\nb,Maize\n").unwrap();
    let broken = |csv: &str| check(csv.as_bytes(), &labels, &said().classes, &form).unwrap_err().to_string();
    check(b"id,label\na,Maize\nb,Black-grass\n", &labels, &said().classes, &form).unwrap();
    assert!(broken("id,lable\na,Maize\nb,Maize\n").contains("its columns are"));
    assert!(broken("id,label\na,Maize\n").contains("it has 1 rows, the sample has 2"));
    assert_eq!(broken("id,label\nb,Maize\na,Maize\n"), "line 2: its id is 'b', the sample's is 'a'");
    assert!(broken("id,label\na,Maize\nb,Wheat\n").contains("line 3: column 'label' holds 'Wheat'"));
    let all = Sample::parse("id,Maize,Black-grass,Sugar beet\na,0,0,0\n").unwrap();
    let error = check(b"id,Maize,Black-grass,Sugar beet\na,0,NaN,1\n", &all, &said().classes, &form).unwrap_err();
    assert_eq!(error.to_string(), "line 2: column 'Black-grass' holds 'NaN', which is no finite number");
}

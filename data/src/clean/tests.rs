use super::*;
use crate::decode::Decoded;
use crate::explore::explore;
use crate::image::Image;
use crate::labels::Kind;
use crate::row::{Column, Target};
use crate::source::Found;
use std::io::Write;

struct Listed(Vec<Row>, Vec<String>);

impl Dataset for Listed {
    fn rows(&self) -> &[Row] {
        &self.0
    }
    fn classes(&self) -> &[String] {
        &self.1
    }
    fn columns(&self) -> &[Column] {
        &[]
    }
    fn image(&self, index: usize) -> Result<Image> {
        drawn(&self.0[index].id)
    }
}

/// A picture of its own for every first letter; none for `broken`.
fn drawn(id: &str) -> Result<Image> {
    if id == "broken" {
        return Err(Error::Decode { name: id.into(), why: "it is cut off".into() });
    }
    let letter = usize::from(id.as_bytes()[0]);
    let pixels = (0..256 * 3).map(|i| ((i / 3 % 16 / 4 * letter * 31 + i / 48 / 4 * letter * letter * 17) % 251) as u8);
    Image::new(16, 16, 3, pixels.collect())
}

fn collection(rows: Vec<Row>, classes: &[&str]) -> Collection {
    let files = rows.iter().enumerate().map(|(i, row)| Found { path: row.id.clone(), row: Some(i) }).collect();
    let read = |id: &str| Ok(Decoded { image: drawn(id)?, format: "drawn", stored_channels: 3, is_deep: false });
    Collection {
        dataset: Arc::new(Listed(rows, classes.iter().map(ToString::to_string).collect())),
        target: Default::default(),
        files,
        missing_files: vec![],
        missing_values: BTreeMap::new(),
        label: None,
        sample_submission: None,
        warnings: vec![],
        read: Arc::new(read),
        stamp: Arc::new(|_| None),
    }
}

fn row(id: &str, target: Option<Target>) -> Row {
    Row { id: id.into(), target, ..Row::default() }
}

/// Two copies (b), a contradiction (d), a broken picture, an unlabelled row and one to be predicted.
fn clothes() -> Collection {
    let of = |id: &str, class: Option<u32>| row(id, class.map(Target::Class));
    let mut rows = vec![
        of("a", Some(0)),
        of("b1", Some(1)),
        of("b2", Some(1)),
        of("c", Some(2)),
        of("d1", Some(0)),
        of("d2", Some(2)),
        of("broken", Some(0)),
        of("e", None),
        of("f", Some(3)),
        of("g", None),
    ];
    rows[9].part = Part::Test;
    collection(rows, &["Blouse", "Hat", "Top", "Skip"])
}

fn cleaned(of: &Collection, config: serde_json::Value, drop: &[&str]) -> Result<Cleaned> {
    let mut config: CleanConfig = serde_json::from_value(config).unwrap();
    config.max_broken = 0.5;
    let report = explore(of, &Default::default(), &|_, _| ()).unwrap();
    clean(of, &report, &config, &drop.iter().map(ToString::to_string).collect::<Vec<_>>())
}

fn shown(cleaned: &Cleaned) -> Vec<String> {
    let classes = cleaned.dataset.classes();
    let label = |row: &Row| match &row.target {
        Some(Target::Class(class)) => classes[*class as usize].clone(),
        Some(Target::Dense(values)) => format!("{values:?}"),
        None => "-".into(),
    };
    cleaned.dataset.rows().iter().map(|row| format!("{} {}", row.id, label(row))).collect()
}

fn why<T>(result: Result<T>) -> String {
    result.err().unwrap().to_string()
}

#[test]
fn unlabelled_rows_are_kept_apart() {
    let found = cleaned(&clothes(), serde_json::json!({}), &["Skip"]).unwrap();
    assert_eq!(shown(&found), ["a Blouse", "b1 Hat", "c Top", "g -"]);
    let unlabelled: Vec<&str> = found.unlabelled.rows().iter().map(|row| row.id.as_str()).collect();
    assert_eq!((unlabelled, &found.unlabelled_keys[..]), (vec!["e"], &[None][..]));
    assert_eq!(found.unlabelled.classes(), ["Blouse", "Hat", "Top"]);
    assert!(found.unlabelled.image(0).is_ok());
    assert!(found.excluded.contains(&("e".into(), NO_LABEL.into())));
    // A near or equal picture of a labelled row has its key.
    let of = collection(
        vec![row("a1", Some(Target::Class(0))), row("b", Some(Target::Class(1))), row("a2", None)],
        &["x", "y"],
    );
    let found = cleaned(&of, serde_json::json!({}), &[]).unwrap();
    assert_eq!((found.split_keys[0].as_deref(), found.unlabelled_keys[0].as_deref()), (Some("a1"), Some("a1")));
}

#[test]
fn labels_are_merged_renamed_and_dropped() {
    let remap = serde_json::json!({"remap": {"Blouse": "Top", "Hat": "Headgear", "Skip": ""}});
    let found = cleaned(&clothes(), remap, &[]).unwrap();
    assert_eq!(found.dataset.classes(), ["Top", "Headgear"]);
    // The pictures of d agree now; one of them is a copy.
    assert_eq!(shown(&found), ["a Top", "b1 Headgear", "c Top", "d1 Top", "g -"]);
    assert!(found.excluded.contains(&("f".into(), "its label is no class".into())));
    assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    let unknown = why(cleaned(&clothes(), serde_json::json!({"remap": {"Shirt": "Top"}}), &[]));
    assert_eq!(unknown, "remap: unknown label 'Shirt', expected one of Blouse, Hat, Top, Skip");
}

#[test]
fn rows_on_a_list_are_left_out() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all("\u{feff}# blurred\nb1\n\n  c \r\n".as_bytes()).unwrap();
    for exclude in [serde_json::json!(["b1", "c"]), serde_json::json!(file.path())] {
        let found = cleaned(&clothes(), serde_json::json!({"exclude": exclude}), &["Skip"]).unwrap();
        assert_eq!(shown(&found), ["a Blouse", "b2 Hat", "g -"]);
        assert!(found.warnings[0].contains("class 'Top'"), "{:?}", found.warnings);
    }
    assert!(why(cleaned(&clothes(), serde_json::json!({"exclude": ["z"]}), &[])).contains("no row has the id 'z'"));
    assert!(why(cleaned(&clothes(), serde_json::json!({"exclude": ["g"]}), &[])).contains("of the test part"));
    assert!(why(cleaned(&clothes(), serde_json::json!({"exclude": "/nowhere"}), &[])).contains("/nowhere"));
}

fn table(text: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text).unwrap();
    file
}

#[test]
fn decisions_are_written_applied_again_and_undone() {
    let given = table(b"id,decision,value,reason\nd1,keep,,sharper\ne,relabel,Top,looked at it\nc,group,studio,\"same person, same day\"\n");
    let config = |file: &tempfile::NamedTempFile| serde_json::json!({"decisions": file.path(), "exclude": ["d1", "a"]});
    let found = cleaned(&clothes(), config(&given), &["Skip"]).unwrap();
    assert_eq!(shown(&found), ["b1 Hat", "c Top", "d1 Blouse", "e Top", "g -"]);
    let c = found.dataset.rows().iter().position(|row| row.id == "c").unwrap();
    assert_eq!(found.split_keys[c].as_deref(), Some("studio"));
    assert!(found.unlabelled.rows().is_empty());
    // What cleaning decided for itself stands there, too, and gives the same rows.
    assert!(found.decisions[3..].iter().all(|d| d.decision == Decision::Exclude));
    let said: Vec<&str> = found.decisions.iter().map(|d| d.id.as_str()).collect();
    assert_eq!(said, ["d1", "e", "c", "a", "b2", "d2", "broken", "f"]);
    let written = decisions::write(&found.decisions).unwrap();
    let again = cleaned(&clothes(), config(&table(&written)), &["Skip"]).unwrap();
    assert_eq!((shown(&again), &again.excluded), (shown(&found), &found.excluded));
    assert_eq!(again.decisions, found.decisions);
    assert_eq!(decisions::write(&again.decisions).unwrap(), written);
    // Undone by an edit.
    let edited =
        String::from_utf8(written).unwrap().replace("b2,exclude", "b2,keep").replace("broken,exclude", "broken,keep");
    let undone = cleaned(&clothes(), config(&table(edited.as_bytes())), &["Skip"]).unwrap();
    assert!(shown(&undone).contains(&"b2 Hat".to_string()) && !shown(&undone).contains(&"b1 Hat".to_string()));
    assert_eq!(undone.warnings, ["'broken' was to be kept, but its picture cannot be decoded"]);
}

#[test]
fn decisions_that_cannot_be_are_refused() {
    let refused = |lines: &str| {
        let file = table(format!("id,decision,value,reason\n{lines}").as_bytes());
        why(cleaned(&clothes(), serde_json::json!({"decisions": file.path()}), &[]))
    };
    assert!(refused("z,keep,,\n").contains("no row has the id 'z'"));
    assert!(
        refused("a,relabel,Shirt,\n")
            .contains("'a' is to have the unknown label 'Shirt', expected one of Blouse, Hat, Top, Skip")
    );
    assert!(refused("a,relabel,,\n").contains("line 2: 'relabel' needs a value"));
    assert!(refused("a,exclude,x,\n").contains("line 2: 'exclude' has no value, but 'x' is one"));
    assert!(
        refused("a,delete,,\n").contains("unknown decision 'delete', expected one of exclude, keep, relabel, group")
    );
    assert!(refused("a,keep,,\na,exclude,,\n").contains("'a' contradicts itself"));
    assert!(refused("a,keep,,\na,keep,,\n").contains("'a' stands there twice"));
    let file = table(b"id,value\na,b\n");
    let missing = why(cleaned(&clothes(), serde_json::json!({"decisions": file.path()}), &[]));
    assert!(missing.contains("no column 'decision'"), "{missing}");
}

#[test]
fn several_labels_lose_those_that_nobody_has() {
    let dense = |id: &str, values: [f32; 4]| row(id, Some(Target::Dense(values.to_vec())));
    let n = f32::NAN;
    let rows = vec![
        dense("a", [1.0, 0.0, 0.0, 0.0]),
        dense("b1", [0.0, 1.0, 0.0, n]),
        dense("b2", [0.0, 1.0, 0.0, n]),
        dense("c", [1.0, n, 0.0, 1.0]),
        dense("d", [0.0, 0.0, 0.0, 1.0]),
        dense("e", [0.0; 4]),
    ];
    let of = collection(rows, &["x", "y", "z", "skip"]);
    let found = cleaned(&of, serde_json::json!({}), &["skip"]).unwrap();
    assert_eq!(found.dataset.classes(), ["x", "y"]);
    assert_eq!(shown(&found), ["a [1.0, 0.0]", "b1 [0.0, 1.0]", "c [1.0, NaN]", "e [0.0, 0.0]"]);
    assert_eq!(found.excluded[0], ("b2".into(), "it is a copy of another picture".into()));
    assert_eq!(found.excluded[1], ("d".into(), "its label is no class".into()));
    assert!(found.warnings[0].contains("class 'z'"), "{:?}", found.warnings);
    let merged = cleaned(&of, serde_json::json!({"remap": {"x": "xy", "y": "xy"}}), &[]).unwrap();
    assert_eq!(merged.dataset.classes(), ["xy", "skip"]);
    assert_eq!(shown(&merged)[..2], ["a [1.0, 0.0]", "b1 [1.0, NaN]"]);
    assert_eq!(shown(&merged)[2], "c [1.0, 1.0]");
    let file = table(b"id,decision,value,reason\nd,relabel,x | z,\n");
    let said = cleaned(&of, serde_json::json!({"decisions": file.path()}), &[]).unwrap();
    assert!(shown(&said).contains(&"d [1.0, 0.0, 1.0, 0.0]".to_string()), "{:?}", shown(&said));
    // Shares of soft labels add up.
    let soft = collection(
        vec![dense("a", [0.5, 0.25, 0.0, 0.25]), dense("b", [0.0, 0.0, 1.0, 0.0])],
        &["x", "y", "z", "skip"],
    );
    let soft = cleaned(&soft, serde_json::json!({"remap": {"y": "x"}}), &[]).unwrap();
    assert_eq!(shown(&soft)[0], "a [0.75, 0.0, 0.25]");
}

#[test]
fn distributions_sum_to_one_and_grades_stay_in_their_order() {
    let dense = |id: &str, values: [f32; 3]| row(id, Some(Target::Dense(values.to_vec())));
    let rows = vec![dense("a", [0.5, 0.25, 0.25]), dense("b", [0.0, 0.0, 1.0]), dense("c", [0.125, 0.875, 0.0])];
    let mut votes = collection(rows, &["x", "y", "skip"]);
    votes.target = Kind::Distribution;
    let found = cleaned(&votes, serde_json::json!({}), &["skip"]).unwrap();
    let third = format!("a {:?}", [2.0f32 / 3.0, 1.0 / 3.0]);
    assert_eq!(shown(&found), [third.as_str(), "c [0.125, 0.875]"]);
    assert!(found.excluded.contains(&("b".into(), "its label is no class".into())));

    let grade = |id: &str, grade| row(id, Some(Target::Class(grade)));
    let mut grades = collection(vec![grade("a", 0), grade("b", 1), grade("c", 3)], &["0", "1", "2", "3", "none"]);
    grades.target = Kind::Ordinal;
    let found = cleaned(&grades, serde_json::json!({}), &["none"]).unwrap();
    assert_eq!(found.dataset.classes(), ["0", "1", "2", "3"]);
    assert_eq!(shown(&found)[2], "c 3");
    assert_eq!(found.warnings, ["no usable picture of class '2' is left; it stays one of the grades"]);
}

#[test]
fn pictures_of_a_sample_share_its_label() {
    let of_sample =
        |id: &str, class: Option<u32>| Row { sample: Some("s".into()), ..row(id, class.map(Target::Class)) };
    let rows = vec![
        of_sample("a", None),
        of_sample("b", Some(1)),
        row("c", Some(Target::Class(0))),
        row("d", None),
        Row { part: Part::Test, ..of_sample("e", None) },
    ];
    let found = cleaned(&collection(rows, &["x", "y"]), serde_json::json!({}), &[]).unwrap();
    assert_eq!(shown(&found), ["s y", "c x", "s -"]);
    assert_eq!((found.dataset.pictures(0), found.excluded.len()), (2, 1));
    assert_eq!(found.unlabelled.rows().len(), 1);
}

#[test]
fn what_is_not_known_contradicts_nothing() {
    let n = f32::NAN;
    let dense = |id: &str, values: [f32; 2]| row(id, Some(Target::Dense(values.to_vec())));
    let found = |rows: Vec<Row>| {
        let mut of = collection(rows, &["x", "y"]);
        of.target = Kind::MultiLabel;
        let found = cleaned(&of, serde_json::json!({}), &[]).unwrap();
        shown(&found).into_iter().map(|row| row[..2].to_string()).collect::<Vec<_>>()
    };
    let other = || dense("c", [1.0, 1.0]);
    assert_eq!(found(vec![dense("a1", [1.0, n]), dense("a2", [n, 0.0]), other()]), ["a1", "c "]);
    assert_eq!(found(vec![dense("a1", [1.0, n]), dense("a2", [0.0, n]), other()]), ["c "]);
    // The second agrees with both others, which contradict each other.
    assert_eq!(found(vec![dense("a1", [1.0, n]), dense("a2", [n, 1.0]), dense("a3", [0.0, n]), other()]), ["c "]);
}

#[test]
fn numbers_are_no_labels() {
    let rows: Vec<Row> = ["a", "b", "c"]
        .iter()
        .zip([3.5, -1.0, 0.0])
        .map(|(id, v)| row(id, Some(Target::Dense(vec![v, 0.0]))))
        .collect();
    let of = collection(rows, &["age", "zero"]);
    let found = cleaned(&of, serde_json::json!({}), &[]).unwrap();
    assert_eq!((shown(&found)[1].as_str(), found.dataset.classes().len()), ("b [-1.0, 0.0]", 2));
    assert!(why(cleaned(&of, serde_json::json!({}), &["zero"])).contains("are numbers"));
    // Shares of something are no labels either, where they are to be told as numbers.
    let mut shares = collection(vec![row("a", Some(Target::Dense(vec![0.5, 0.0])))], &["age", "zero"]);
    shares.target = Kind::Regression;
    assert_eq!(shown(&cleaned(&shares, serde_json::json!({}), &[]).unwrap()), ["a [0.5, 0.0]"]);
    let unnamed = collection(vec![row("a", Some(Target::Dense(vec![0.5, 2.0])))], &[]);
    assert_eq!(shown(&cleaned(&unnamed, serde_json::json!({}), &[]).unwrap()), ["a [0.5, 2.0]"]);
}

//! What the label cells of a row mean: one class, several, an order, a distribution, numbers.

use crate::row::Target;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeSet, HashMap};

/// What the targets of a data set are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One of the classes. Of several columns: the one that is 1 where every labelled row has exactly one, else their values
    /// together, `a/b`. Where just a few rows have none or several, these are named as an error.
    #[default]
    Class,
    /// Any number of the classes, as ones and zeros. One cell lists them (`3 17`, `a|b`, `['a', 'b']`; empty: none), or every
    /// column is a class and holds 1 or 0; empty or -1: not known, NaN.
    MultiLabel,
    /// One of the classes, which have an order: that of their numbers, or of [`Labels::classes`].
    Ordinal,
    /// A share of every column, soft labels or votes, scaled to sum 1.
    Distribution,
    /// A number of every column; empty: not known, NaN.
    Regression,
}

/// How labels are read: the name of a [`Kind`], or a table.
///
/// | field | default | range |
/// |---|---|---|
/// | `kind` | class | class, multi_label, ordinal, distribution, regression |
/// | `separator` | found | what stands between the labels of one cell: the first of `\|`, `;`, `,` that occurs, else blanks |
/// | `classes` | found | all classes in their order; a label that is none of them is an error |
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labels {
    /// What the targets are.
    pub kind: Kind,
    /// What stands between the labels of one cell.
    pub separator: Option<String>,
    /// All classes in their order.
    pub classes: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    separator: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    classes: Vec<String>,
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (&self.separator, &self.classes[..]) {
            (None, []) => self.kind.serialize(serializer),
            _ => Table { kind: self.kind, separator: self.separator.clone(), classes: self.classes.clone() }
                .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let value = serde_json::Value::deserialize(deserializer)?;
        let table = match value.is_string() {
            true => Table {
                kind: serde_json::from_value(value).map_err(D::Error::custom)?,
                separator: None,
                classes: vec![],
            },
            false => serde_json::from_value(value).map_err(D::Error::custom)?,
        };
        let Table { kind, separator, classes } = table;
        let labels = Self { kind, separator, classes };
        labels.check().map_err(D::Error::custom)?;
        Ok(labels)
    }
}

/// What was read of a table's label cells.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Read {
    /// Names of the classes, or of the values.
    pub classes: Vec<String>,
    /// Of each row, where it is known.
    pub targets: Vec<Option<Target>>,
    /// Rows whose label no other part has, and one of those labels.
    pub strange: Option<(usize, String)>,
}

/// The label cells of a row.
pub(crate) struct Cells<'a> {
    /// What errors call the row.
    pub id: &'a str,
    /// One for each label column; `None` where missing.
    pub cells: &'a [Option<String>],
    /// Whether its labels make the classes: those of a test part do not.
    pub known: bool,
}

impl Labels {
    /// One of the classes, as they are found.
    pub fn of(kind: Kind) -> Self {
        Self { kind, ..Self::default() }
    }

    /// Whether this is one class as it is found: the default, which need not be written.
    pub(crate) fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    fn check(&self) -> Result<(), String> {
        if let Some(twice) = (1..self.classes.len()).find(|&i| self.classes[..i].contains(&self.classes[i])) {
            return Err(format!("target.classes has '{}' twice", self.classes[twice]));
        }
        match &self.separator {
            Some(separator) if separator.is_empty() => Err("target.separator must not be empty".into()),
            Some(_) if self.kind != Kind::MultiLabel => {
                Err("target.separator is for targets of kind 'multi_label'".into())
            }
            _ if !self.classes.is_empty() && matches!(self.kind, Kind::Distribution | Kind::Regression) => {
                Err("target.classes are the label columns for distributions and regressions; leave it out".into())
            }
            _ => Ok(()),
        }
    }

    /// Targets from the cells of the label columns `columns`.
    pub(crate) fn read(&self, columns: &[String], rows: &[Cells<'_>]) -> Result<Read, String> {
        match self.kind {
            Kind::Class | Kind::Ordinal if columns.len() > 1 && is_one_hot(rows)? => self.one_hot(columns, rows),
            Kind::Class | Kind::Ordinal => self.single(rows),
            Kind::MultiLabel if columns.len() > 1 => numbers(columns, rows, flag),
            Kind::MultiLabel => self.several(rows),
            Kind::Regression => numbers(columns, rows, number),
            Kind::Distribution => distribution(columns, rows),
        }
    }

    /// The class whose column is 1.
    fn one_hot(&self, columns: &[String], rows: &[Cells<'_>]) -> Result<Read, String> {
        let targets = rows.iter().map(|row| hot(row).map(|class| Target::Class(class as u32))).collect();
        self.order(columns)?;
        // Zeros stand where the labels of a test part are to be written.
        let is_empty = |cell: &Option<String>| cell.as_deref().is_none_or(|cell| flag(cell) == Some(0.0));
        let mut strange = rows.iter().filter(|row| hot(row).is_none() && !row.cells.iter().all(is_empty));
        let label =
            |row: &Cells<'_>| row.cells.iter().map(|c| c.as_deref().unwrap_or("")).collect::<Vec<_>>().join("/");
        let strange = strange.next().map(|first| (1 + strange.count(), label(first)));
        Ok(Read { classes: columns.into(), targets, strange })
    }

    /// Given classes must be those of the columns, in their order.
    fn order(&self, columns: &[String]) -> Result<(), String> {
        match self.classes.is_empty() || self.classes == columns {
            true => Ok(()),
            false => Err(format!("target.classes must be the label columns in their order: {}", columns.join(", "))),
        }
    }

    /// One class, which may be the values of several columns together.
    fn single(&self, rows: &[Cells<'_>]) -> Result<Read, String> {
        let class = |row: &Cells<'_>| {
            let parts: Option<Vec<&str>> = row.cells.iter().map(|cell| cell.as_deref()).collect();
            parts.filter(|parts| !parts.is_empty()).map(|parts| parts.join("/"))
        };
        let labels: Vec<Vec<String>> = rows.iter().map(|row| class(row).into_iter().collect()).collect();
        let classes = self.classes(&labels, rows)?;
        let place = places(&classes);
        let targets = labels.iter().map(|label| label.first().and_then(|l| place.get(l.as_str())));
        let targets = targets.map(|class| class.map(|&class| Target::Class(class as u32))).collect();
        let strange = strange(&labels, &place);
        Ok(Read { targets, strange, classes })
    }

    /// The labels that one cell lists.
    fn several(&self, rows: &[Cells<'_>]) -> Result<Read, String> {
        let cells: Vec<&str> =
            rows.iter().map(|row| row.cells.first().and_then(|c| c.as_deref()).unwrap_or("")).collect();
        let separator = self.separator.as_deref().or_else(|| {
            let found = ["|", ";", ","].into_iter();
            found.into_iter().find(|separator| cells.iter().any(|cell| !is_list(cell) && cell.contains(separator)))
        });
        let labels: Vec<Vec<String>> = cells.iter().map(|cell| split(cell, separator)).collect();
        let classes = self.classes(&labels, rows)?;
        let place = places(&classes);
        let hot = |labels: &Vec<String>| {
            let mut values = vec![0.0; classes.len()];
            labels.iter().filter_map(|label| place.get(label.as_str())).for_each(|&class| values[class] = 1.0);
            values
        };
        // A test part may come without labels: an empty cell says nothing there.
        let known = |(row, labels): (&Cells<'_>, &Vec<String>)| {
            (row.known || !labels.is_empty()).then(|| Target::Dense(hot(labels)))
        };
        let targets = rows.iter().zip(&labels).map(known).collect();
        let strange = strange(&labels, &place);
        Ok(Read { targets, strange, classes })
    }

    /// The classes: those given, else those of all rows that make them.
    fn classes(&self, labels: &[Vec<String>], rows: &[Cells<'_>]) -> Result<Vec<String>, String> {
        if self.classes.is_empty() {
            let known = labels.iter().zip(rows).filter(|(_, row)| row.known).flat_map(|(labels, _)| labels);
            let classes = class_order(known.map(String::as_str).collect());
            let is_number = |name: &String| name.parse::<f64>().is_ok();
            if self.kind == Kind::Ordinal && !classes.iter().all(is_number) {
                let shown = classes.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
                return Err(format!(
                    "ordinal classes need an order, but these are no numbers: {shown}; give it with target.classes"
                ));
            }
            return Ok(classes);
        }
        let place = places(&self.classes);
        let unknown = |labels: &[String]| labels.iter().position(|label| !place.contains_key(label.as_str()));
        let known = labels.iter().zip(rows).filter(|(_, row)| row.known);
        let wrong = known.filter_map(|(labels, row)| Some((&labels[unknown(labels)?], row.id)));
        if let Some((label, id)) = wrong.clone().next() {
            return Err(format!(
                "the label '{label}' of '{id}' is none of target.classes: {}; add it, or correct the {} rows that have such labels",
                self.classes.join(", "),
                wrong.count()
            ));
        }
        Ok(self.classes.clone())
    }
}

/// Classes in the order of their indices: by number where all are numbers, else by name.
pub(crate) fn class_order(names: BTreeSet<&str>) -> Vec<String> {
    let mut names: Vec<&str> = names.into_iter().collect();
    let number = |name: &str| name.parse::<f64>().ok().filter(|number| number.is_finite());
    if names.iter().all(|name| number(name).is_some()) {
        names.sort_by(|a, b| number(a).unwrap_or_default().total_cmp(&number(b).unwrap_or_default()));
    }
    names.into_iter().map(str::to_string).collect()
}

fn places(classes: &[String]) -> HashMap<&str, usize> {
    classes.iter().enumerate().map(|(i, class)| (class.as_str(), i)).collect()
}

/// Rows with a label that is no class, and the first such label.
fn strange(labels: &[Vec<String>], place: &HashMap<&str, usize>) -> Option<(usize, String)> {
    let unknown = |labels: &&Vec<String>| labels.iter().any(|label| !place.contains_key(label.as_str()));
    let rows: Vec<&Vec<String>> = labels.iter().filter(unknown).collect();
    let first = rows.first()?.iter().find(|label| !place.contains_key(label.as_str()))?;
    Some((rows.len(), first.clone()))
}

/// The one cell that is 1 among zeros.
fn hot(row: &Cells<'_>) -> Option<usize> {
    let flags: Option<Vec<f32>> = row.cells.iter().map(|cell| flag(cell.as_deref()?)).collect();
    let flags = flags?;
    let mut ones = (0..flags.len()).filter(|&i| flags[i] == 1.0);
    ones.next().filter(|_| ones.next().is_none())
}

/// Whether every labelled row has exactly one 1 among zeros.
///
/// # Errors
/// Where nine of ten do: those that do not.
fn is_one_hot(rows: &[Cells<'_>]) -> Result<bool, String> {
    let labelled = rows.iter().filter(|row| row.known && row.cells.iter().any(Option::is_some));
    let (mut count, mut others) = (0, vec![]);
    for row in labelled {
        count += 1;
        if hot(row).is_none() {
            others.push(row.id);
        }
    }
    if others.is_empty() || 10 * others.len() > count {
        return Ok(others.is_empty());
    }
    let shown = others.iter().take(10).map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ");
    Err(format!(
        "{} of {count} rows do not have exactly one 1 among the zeros of their label columns, as {shown}; correct them, or say \
         target = \"multi_label\" where a picture may show several or none",
        others.len()
    ))
}

/// Whether a cell is written as a list of a programming language.
fn is_list(cell: &str) -> bool {
    cell.starts_with(['[', '(', '{']) && cell.ends_with([']', ')', '}'])
}

/// The labels of a cell.
fn split(cell: &str, separator: Option<&str>) -> Vec<String> {
    let plain = |label: &str| label.trim().trim_matches(['\'', '"']).to_string();
    let labels: Vec<String> = match separator {
        _ if is_list(cell) => cell[1..cell.len() - 1].split(',').map(plain).collect(),
        Some(" ") | None => cell.split_whitespace().map(str::to_string).collect(),
        Some(separator) => cell.split(separator).map(plain).collect(),
    };
    labels.into_iter().filter(|label| !label.is_empty()).collect()
}

/// 1 or 0 of a cell that says whether; NaN where nobody knows.
fn flag(cell: &str) -> Option<f32> {
    match cell.to_lowercase().as_str() {
        "true" | "yes" => Some(1.0),
        "false" | "no" => Some(0.0),
        number => match number.parse::<f32>().ok()? {
            -1.0 => Some(f32::NAN),
            value @ (0.0 | 1.0) => Some(value),
            _ => None,
        },
    }
}

fn number(cell: &str) -> Option<f32> {
    cell.parse().ok().filter(|number: &f32| number.is_finite())
}

/// A value of every column; a row without any has no target.
fn numbers(columns: &[String], rows: &[Cells<'_>], value: fn(&str) -> Option<f32>) -> Result<Read, String> {
    let target = |row: &Cells<'_>| {
        let values = row.cells.iter().zip(columns).map(|(cell, column)| match cell {
            None => Ok(f32::NAN),
            Some(cell) => value(cell).ok_or_else(|| {
                format!("'{}' has '{cell}' in column '{column}', where a number of its kind must stand", row.id)
            }),
        });
        let values = values.collect::<Result<Vec<f32>, String>>()?;
        Ok((!values.iter().all(|value| value.is_nan())).then_some(Target::Dense(values)))
    };
    let targets = rows.iter().map(target).collect::<Result<_, String>>()?;
    Ok(Read { classes: columns.into(), targets, strange: None })
}

/// Shares that sum to 1.
fn distribution(columns: &[String], rows: &[Cells<'_>]) -> Result<Read, String> {
    let mut read = numbers(columns, rows, number)?;
    for (row, target) in rows.iter().zip(&mut read.targets) {
        let Some(Target::Dense(values)) = target else { continue };
        let sum: f64 = values.iter().map(|value| f64::from(*value)).sum();
        let is_share = values.iter().all(|value| *value >= 0.0) && sum > 0.0 && sum.is_finite();
        if !is_share {
            return Err(format!(
                "'{}' has {values:?} in {}, which is no distribution: every share must be given, none below 0 and not all 0",
                row.id,
                columns.join(", ")
            ));
        }
        values.iter_mut().for_each(|value| *value = (f64::from(*value) / sum) as f32);
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(labels: &Labels, columns: &[&str], table: &[&[&str]]) -> Result<Read, String> {
        let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
        let cell = |cell: &&str| (!cell.is_empty()).then(|| cell.to_string());
        let cells: Vec<Vec<Option<String>>> = table.iter().map(|row| row.iter().map(cell).collect()).collect();
        // The last row is one of a test part.
        let last = cells.len() - 1;
        let rows = cells.iter().enumerate().map(|(i, cells)| Cells { id: "row", cells, known: i < last });
        labels.read(&columns, &rows.collect::<Vec<_>>())
    }

    fn dense(read: Result<Read, String>) -> (Vec<String>, Vec<Option<Vec<f32>>>) {
        let read = read.unwrap();
        let values = read.targets.into_iter().map(|target| match target {
            Some(Target::Dense(values)) => Some(values),
            Some(Target::Class(class)) => Some(vec![class as f32]),
            None => None,
        });
        (read.classes, values.collect())
    }

    #[test]
    fn one_class() {
        let found = read(&Labels::default(), &["label"], &[&["10"], &["9"], &[""], &["11"]]).unwrap();
        assert_eq!(found.classes, ["9", "10"]);
        assert_eq!(found.targets, [Some(Target::Class(1)), Some(Target::Class(0)), None, None]);
        assert_eq!(found.strange, Some((1, "11".into())));
        let (classes, values) = dense(read(&Labels::default(), &["a", "b"], &[&["1", "0"], &["0", "1"], &["", ""]]));
        assert_eq!((classes, values), (vec!["a".into(), "b".into()], vec![Some(vec![0.0]), Some(vec![1.0]), None]));
        let (classes, _) = dense(read(&Labels::default(), &["a", "b"], &[&["1", "1"], &["0", "1"], &["0", "0"]]));
        assert_eq!(classes, ["0/1", "1/1"]);
    }

    #[test]
    fn a_few_rows_that_are_not_one_hot_are_named() {
        let of = |odd: &[&'static str], odds: usize, test: &[&str]| {
            let mut table = [&["1", "0", "0"][..], &["0", "1", "0"], &["", "", ""]].repeat(10);
            table[..odds].fill(odd);
            read(&Labels::default(), &["a", "b", "c"], &[&table[..], &[test]].concat())
        };
        // The test part has no say.
        for (test, strange) in [(["0"; 3], None), ([""; 3], None), (["1", "1", "0"], Some((1, "1/1/0".to_string())))] {
            let found = of(&[], 0, &test).unwrap();
            assert_eq!((found.classes.len(), found.strange, found.targets.last()), (3, strange, Some(&None)));
        }
        for odd in [["1", "1", "0"], ["0"; 3], ["1", "", "0"], ["2", "0", "0"]] {
            let why = of(&odd, 2, &[""; 3]).unwrap_err();
            assert!(
                why.starts_with("2 of 20 rows do not have exactly one 1") && why.contains("'row', 'row';"),
                "{why}"
            );
        }
        assert_eq!(of(&["1", "1", "0"], 6, &[""; 3]).unwrap().classes, ["0/1/0", "1/0/0", "1/1/0"]);
    }

    #[test]
    fn several_labels_in_every_spelling() {
        let labels = Labels::of(Kind::MultiLabel);
        let expected = (
            vec!["2".to_string(), "10".into()],
            vec![Some(vec![0.0, 1.0]), Some(vec![1.0, 1.0]), Some(vec![0.0, 0.0])],
        );
        let spelled = |a: &str, b: &str| {
            let (classes, mut values) = dense(read(&labels, &["Target"], &[&[a], &[b], &[""], &[""]]));
            assert_eq!(values.pop(), Some(None));
            (classes, values)
        };
        for (a, b) in [("10", "10 2"), ("10", "2|10"), ("10 ", "2; 10"), ("['10']", "[2, '10']"), ("10", "2,10")] {
            assert_eq!(spelled(a, b), expected, "{a} {b}");
        }
        assert_eq!(spelled("a b|c", "c").0, ["a b", "c"]);
        let (classes, values) = dense(read(&labels, &["x", "y"], &[&["1", "-1"], &["True", ""], &["0", "0"]]));
        assert_eq!(classes, ["x", "y"]);
        assert!(values[0].as_ref().unwrap()[1].is_nan() && values[1].as_ref().unwrap()[1].is_nan());
        assert!(read(&labels, &["x", "y"], &[&["1", "2"]]).unwrap_err().contains("'2' in column 'y'"));
    }

    #[test]
    fn orders_distributions_and_numbers() {
        let ordinal = Labels::of(Kind::Ordinal);
        assert!(read(&ordinal, &["grade"], &[&["mild"], &["severe"], &[""]]).unwrap_err().contains("target.classes"));
        let given = Labels { classes: vec!["severe".into(), "mild".into()], ..ordinal };
        assert_eq!(read(&given, &["grade"], &[&["mild"], &[""]]).unwrap().targets, [Some(Target::Class(1)), None]);
        let why = read(&given, &["grade"], &[&["none"], &["mild"]]).unwrap_err();
        assert!(why.contains("'none' of 'row' is none of target.classes: severe, mild"), "{why}");
        let votes = read(&Labels::of(Kind::Distribution), &["1", "2"], &[&["1", "3"], &["", ""]]);
        assert_eq!(dense(votes).1, [Some(vec![0.25, 0.75]), None]);
        for bad in [["0", "0"], ["-1", "2"], ["1", ""]] {
            assert!(read(&Labels::of(Kind::Distribution), &["1", "2"], &[&bad]).is_err(), "{bad:?}");
        }
        let (_, values) = dense(read(&Labels::of(Kind::Regression), &["x", "y"], &[&["1.5", ""], &["", ""]]));
        assert!(values[0].as_ref().unwrap()[1].is_nan() && values[1].is_none());
        assert!(read(&Labels::of(Kind::Regression), &["x"], &[&["tall"]]).is_err());
    }

    #[test]
    fn a_word_or_a_table() {
        let parse = |text: &str| serde_json::from_str::<Labels>(text).map_err(|e| e.to_string());
        let plain = parse("\"multi_label\"").unwrap();
        assert_eq!((plain.kind, serde_json::to_string(&plain).unwrap()), (Kind::MultiLabel, "\"multi_label\"".into()));
        let table = r#"{"kind":"ordinal","classes":["no","mild"]}"#;
        assert_eq!(serde_json::to_string(&parse(table).unwrap()).unwrap(), table);
        assert!(parse("\"klass\"").unwrap_err().contains("expected one of `class`, `multi_label`"));
        assert!(parse(r#"{"separator":" "}"#).unwrap_err().contains("multi_label"));
        assert!(parse(r#"{"classes":["a","a"]}"#).unwrap_err().contains("twice"));
        assert!(parse(r#"{"klasses":[]}"#).unwrap_err().contains("unknown field `klasses`"));
    }
}

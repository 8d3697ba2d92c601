//! A competition's sample submission: which ids, in which order, in which columns.

use super::{Submission, matching, refuse};
use crate::error::{Error, Result};
use crate::table::{Table, separator};
use std::collections::{BTreeSet, HashMap};

/// What a sample submission asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    separator: u8,
    columns: Vec<String>,
    ids: Vec<String>,
    /// The different values of the second column.
    values: BTreeSet<String>,
}

/// What the columns after the id hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One column: the name of the best class.
    Label,
    /// One column: the probability of this class.
    Probability(usize),
    /// One probability per column: the class of each.
    Probabilities(Vec<usize>),
}

impl Sample {
    /// Reads a sample submission: a header, then one row per id, the id in the first column. Cells are separated by
    /// commas, semicolons or tabs, whichever the header has most of.
    ///
    /// # Errors
    /// Rows of unequal length, fewer than two columns, no rows, an id that occurs twice.
    pub fn parse(text: &str) -> Result<Self> {
        let separator = separator(text);
        let table = Table::separated(text, separator)?;
        let columns: Vec<String> = table.header.iter().map(str::to_string).collect();
        if columns.len() < 2 {
            return refuse(format!(
                "the sample needs a column of ids and at least one more, separated by commas, semicolons or tabs, got {columns:?}"
            ));
        }
        if table.rows.is_empty() {
            return refuse("the sample lists no ids".into());
        }
        let (mut lines, mut ids) = (HashMap::new(), vec![]);
        for (line, row) in &table.rows {
            let id = row.get(0).unwrap_or_default();
            if let Some(first) = lines.insert(id, *line) {
                return Err(Error::Csv { line: *line, why: format!("id '{id}' already stands in line {first}") });
            }
            ids.push(id.to_string());
        }
        let values = table.rows.iter().filter_map(|(_, row)| row.get(1)).map(str::to_string).collect();
        Ok(Self { separator, columns, ids, values })
    }

    /// The header; the first column is the id's.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// What its cells are separated by: a comma, a semicolon or a tab.
    pub fn separator(&self) -> u8 {
        self.separator
    }

    /// The ids in the sample's order.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// Makes sure that predictions with these `ids` have an answer to it; ask before training, so that a run does not fail at its end.
    ///
    /// # Errors
    /// Ids of the sample that fit several of `ids`, and a sample none of whose ids is among them.
    pub fn check(&self, ids: &[String]) -> Result<()> {
        matching::find(&self.ids, ids).map(drop)
    }

    /// What the columns hold, given the classes; ask before training, so that a run does not fail at its end.
    ///
    /// Two columns are an id and a label, or one probability as [`Submission::probabilities`] says. More are an id and
    /// one probability per class, in any order. A column's name is that of its class, exactly or else without regard to
    /// case, spaces and punctuation.
    ///
    /// # Errors
    /// A column that is no class, a class without a column, a label in the sample that is no class.
    pub fn layout(&self, classes: &[String], form: &Submission) -> Result<Layout> {
        match &self.columns[1..] {
            [column] if classes.len() == 2 && form.probabilities => {
                Ok(Layout::Probability(class_of(column, classes).unwrap_or(1)))
            }
            [column] => self.label(column, classes),
            columns => probabilities(columns, classes),
        }
    }

    fn label(&self, column: &str, classes: &[String]) -> Result<Layout> {
        let known = |value: &&String| value.is_empty() || classes.contains(value);
        let Some(value) = self.values.iter().find(|value| !known(value)) else {
            return Ok(Layout::Label);
        };
        let advice = match (value.parse::<usize>(), value.parse::<f64>()) {
            (Ok(number), _) if number < classes.len() => {
                "; it looks like a class's number: name the classes as it does"
            }
            (Err(_), Ok(_)) if classes.len() == 2 => "; if it is a probability, set `submission.probabilities = true`",
            _ if class_of(value, classes).is_some() => "; spell the classes as the sample does",
            _ => "",
        };
        refuse(format!(
            "the sample's column '{column}' holds '{value}', which is none of the classes {}{advice}",
            listed(classes)
        ))
    }
}

fn probabilities(columns: &[String], classes: &[String]) -> Result<Layout> {
    let mut order: Vec<usize> = vec![];
    for column in columns {
        match class_of(column, classes) {
            Some(class) if order.contains(&class) => {
                return refuse(format!("two columns of the sample are class '{}'", classes[class]));
            }
            Some(class) => order.push(class),
            None => {
                let classes = listed(classes);
                return refuse(format!("the sample's column '{column}' is none of the classes {classes}"));
            }
        }
    }
    match (0..classes.len()).find(|class| !order.contains(class)) {
        Some(class) => refuse(format!("the sample has no column for class '{}'", classes[class])),
        None => Ok(Layout::Probabilities(order)),
    }
}

/// The class of this name, or the only one with the same letters and digits.
fn class_of(name: &str, classes: &[String]) -> Option<usize> {
    let plain =
        |name: &str| -> String { name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect() };
    if let Some(class) = classes.iter().position(|class| class == name) {
        return Some(class);
    }
    let wanted = plain(name);
    let mut alike = (0..classes.len()).filter(|&class| !wanted.is_empty() && plain(&classes[class]) == wanted);
    match (alike.next(), alike.next()) {
        (found, None) => found,
        _ => None,
    }
}

/// The first classes' names.
fn listed(classes: &[String]) -> String {
    let shown = classes.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
    if classes.len() > 10 { format!("{shown}, …") } else { shown }
}

//! A comparison as a table or as one object.

use super::comparison::{Comparison, Difference};
use super::finished::Finished;
use eval::Goal;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Most runs side by side; more are shown in several tables.
const ABREAST: usize = 6;
/// Longest setting that stands in the table, characters; others are listed below it.
const SHORT: usize = 24;

/// Behind the best score of a line.
const BEST: &str = " *";

/// A line of the table.
struct Row {
    label: String,
    /// One per run.
    cells: Vec<String>,
}

impl Comparison {
    /// All of it as one object.
    pub fn json(&self) -> Value {
        let run = |(run, difference): (&Finished, &Option<Difference>)| -> Value {
            let (mean, sd) = run.spread();
            json!({
                "run": run.name, "metric": run.metrics.metric, "score": run.metrics.score, "ci95": run.metrics.ci95,
                "folds": run.metrics.folds, "mean": mean, "sd": sd, "all": run.metrics.all, "test": run.metrics.test,
                "difference": difference.as_ref().map(|d| json!({"score": d.score, "ci95": d.ci95})),
                "pictures": run.cost.pictures, "epochs": run.cost.epochs, "parameters": run.cost.parameters,
                "threads": run.environment.threads, "seconds": run.cost.seconds(), "times": run.cost.times,
            })
        };
        let runs: Vec<Value> = self.runs.iter().zip(&self.differences).map(run).collect();
        json!({"runs": runs, "differences": self.settings, "comparable": self.comparable(), "notes": self.notes})
    }

    /// The table, long settings and notes.
    pub fn lines(&self) -> Vec<String> {
        let (short, long): (Vec<_>, Vec<_>) = self
            .settings
            .iter()
            .partition(|(_, values)| values.iter().all(|value| setting(value).chars().count() <= SHORT));
        let setting_row = |(key, values): (&String, &Vec<Value>)| Row {
            label: key.clone(),
            cells: values.iter().map(setting).collect(),
        };
        let mut rows = self.scores();
        rows.extend(self.costs());
        rows.extend(short.into_iter().map(setting_row));
        let mut lines = vec![];
        for first in (0..self.runs.len()).step_by(ABREAST) {
            let last = (first + ABREAST).min(self.runs.len());
            let names = self.runs.iter().map(|run| run.name.clone()).collect();
            let header = Row { label: String::new(), cells: names };
            lines.extend(table(&header, &rows, first..last));
            lines.push(String::new());
        }
        for (key, values) in long {
            lines.push(key.clone());
            lines
                .extend(self.runs.iter().zip(values).map(|(run, value)| format!("  {}: {}", run.name, setting(value))));
            lines.push(String::new());
        }
        if rows.iter().flat_map(|row| &row.cells).any(|cell| cell.ends_with(BEST)) {
            lines.push("* the best of its line".into());
        }
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }

    /// What decides, then all other scores.
    fn scores(&self) -> Vec<Row> {
        let decisive = self.runs.first().map(|run| run.metrics.metric.clone()).unwrap_or_default();
        let shared = self.runs.iter().all(|run| run.metrics.metric == decisive);
        let mut rows = vec![];
        if shared {
            rows.push(self.score(&decisive, &decisive, |run| run.metrics.score));
        } else {
            let cell = |run: &Finished| format!("{} {}", run.metrics.metric, number(run.metrics.score));
            rows.push(self.row("decisive score", cell));
        }
        let interval =
            |run: &Finished| run.metrics.ci95.map_or(nothing(), |[low, high]| format!("{low:.4} to {high:.4}"));
        rows.push(self.row("  95 % interval", interval));
        rows.push(self.row("  mean of folds", |run| match run.spread() {
            (mean, None) => number(mean),
            (mean, Some(sd)) => format!("{} ± {sd:.4}", number(mean)),
        }));
        if self.differences.iter().any(Option::is_some) {
            let cells = self.differences.iter().map(|difference| match difference {
                Some(d) => match d.ci95 {
                    Some([low, high]) => format!("{:+.4} ({low:+.4} to {high:+.4})", d.score),
                    None => format!("{:+.4}", d.score),
                },
                None => nothing(),
            });
            rows.push(Row { label: "  more than the first".into(), cells: cells.collect() });
        }
        let named = |of: fn(&Finished) -> Vec<&String>| -> BTreeSet<String> {
            self.runs.iter().flat_map(of).cloned().collect()
        };
        for name in named(|run| run.metrics.all.keys().collect()).iter().filter(|name| !shared || **name != decisive) {
            rows.push(self.score(name, name, |run| run.metrics.all.get(name).copied().flatten()));
        }
        for name in named(|run| run.metrics.test.iter().flat_map(|test| test.keys()).collect()) {
            let of = |run: &Finished| run.metrics.test.as_ref().and_then(|test| test.get(&name).copied().flatten());
            rows.push(self.score(&format!("test part: {name}"), &name, of));
        }
        rows
    }

    fn costs(&self) -> Vec<Row> {
        let count = |value: Option<usize>| value.map_or(nothing(), |value| value.to_string());
        vec![
            self.row("pictures", |run| run.cost.pictures.to_string()),
            self.row("epochs", |run| count(run.cost.epochs.map(|epochs| epochs as usize))),
            self.row("parameters", |run| count(run.cost.parameters)),
            self.row("threads", |run| count(run.environment.threads)),
            self.row("seconds", |run| run.cost.seconds().map_or(nothing(), |seconds| format!("{seconds:.1}"))),
        ]
    }

    fn row(&self, label: &str, cell: impl Fn(&Finished) -> String) -> Row {
        Row { label: label.into(), cells: self.runs.iter().map(cell).collect() }
    }

    /// A row of scores; the best is marked where all runs were judged on the same rows by the same metric.
    fn score(&self, label: &str, metric: &str, of: impl Fn(&Finished) -> Option<f64>) -> Row {
        let scores: Vec<Option<f64>> = self.runs.iter().map(of).collect();
        let spec = self.runs.first().and_then(|run| run.spec(metric));
        let built = spec.and_then(|spec| eval::metrics::build(&spec.name, spec.value()).ok());
        let goal =
            built.filter(|_| scores.len() > 1 && self.same_rows && self.agrees(metric)).map(|metric| metric.goal());
        let best = goal.and_then(|goal| best(&scores, goal));
        let cell = |score: &Option<f64>| match score.is_some() && *score == best {
            true => format!("{}{BEST}", number(*score)),
            false => number(*score),
        };
        Row { label: label.into(), cells: scores.iter().map(cell).collect() }
    }
}

fn best(scores: &[Option<f64>], goal: Goal) -> Option<f64> {
    scores.iter().flatten().copied().reduce(|best, score| if goal.better(score, best) { score } else { best })
}

/// The columns of some runs, aligned.
fn table(header: &Row, rows: &[Row], runs: std::ops::Range<usize>) -> Vec<String> {
    let all = || std::iter::once(header).chain(rows);
    let length = |text: &str| text.chars().count();
    let label = all().map(|row| length(&row.label)).max().unwrap_or(0);
    let widths: Vec<usize> =
        runs.clone().map(|run| all().map(|row| length(&row.cells[run])).max().unwrap_or(0)).collect();
    let line = |row: &Row| {
        let cells = row.cells[runs.clone()].iter().zip(&widths).map(|(cell, &width)| format!("  {cell:width$}"));
        format!("{:label$}{}", row.label, cells.collect::<String>()).trim_end().to_string()
    };
    all().map(line).collect()
}

/// A setting as a person would write it.
fn setting(value: &Value) -> String {
    match value {
        Value::Null => nothing(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or(nothing(), |value| format!("{value:.4}"))
}

fn nothing() -> String {
    "–".into()
}

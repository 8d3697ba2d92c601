//! `report.html` and `eda.html`: what a run found, for people.

mod data;
mod mistakes;
mod strength;
pub mod thumbnail;

pub use data::page as data_page;
pub use mistakes::hard;

use crate::results::Ending;
use anyhow::Result;
use data::Look;
use eval::report::chart::{self, Labels};
use eval::report::page::{Block, Figure, Page, Section};
use eval::{Predictions, Scalar};
use serde_json::Value;
use strength::number;

/// What a report is made of.
pub struct Material<'a> {
    pub ending: &'a Ending<'a>,
    /// All curves.
    pub scalars: &'a [Scalar],
    /// What `metrics.json` is going to hold.
    pub metrics: &'a Value,
    /// Out-of-fold predictions of each fold, and of all in the order of the rows.
    pub folds: &'a [Predictions],
    pub oof: &'a Predictions,
    /// Of the test part.
    pub blend: Option<&'a Predictions>,
}

/// The report of a run that is about to be finished.
pub fn page(of: &Material<'_>) -> Result<Page> {
    let mut sections = of.ending.times.of("report", || sections(of))?;
    sections.push(settings(of)?);
    Ok(Page {
        title: of.ending.recipe.name.clone(),
        lead: of.ending.recipe.about.clone(),
        figures: figures(of),
        sections,
    })
}

/// Everything but the settings: strength, mistakes, data.
fn sections(of: &Material<'_>) -> Result<Vec<Section>> {
    let look = Look::new(&of.ending.prepared.report, &of.ending.prepared.collection);
    let mut sections = vec![strength::scores(of)?, strength::training(of)];
    // Of several labels none is taken for another one.
    if !matches!(of.oof.truth, Some(eval::Truth::Dense(_))) {
        sections.extend([
            strength::classes(of)?,
            strength::calibration(of)?,
            hard(of.ending.run, of.ending.prepared, of.oof, of.ending.device)?,
            mistakes::suspicious(of)?,
        ]);
    }
    sections.extend(look.sections());
    sections.extend([strength::folds(of), strength::test(of)]);
    Ok(sections)
}

/// The few numbers that a reader came for.
fn figures(of: &Material<'_>) -> Vec<Figure> {
    let figure = |name: &str, value: String, about: String| Figure { name: name.into(), value, about };
    let metrics = of.metrics;
    let interval = match &metrics["ci95"] {
        Value::Array(ends) => format!("95 % interval {} to {}", number(&ends[0]), number(&ends[1])),
        _ => String::new(),
    };
    let majority = match metrics["majority"].is_null() {
        true => String::new(),
        false => format!("; always the most frequent class: accuracy {}", number(&metrics["majority"])),
    };
    let known = of.oof.len();
    let classes = of.ending.prepared.classes().len();
    let folds = match of.ending.prepared.trained_folds {
        1 => "1 fold".to_string(),
        count => format!("{count} folds"),
    };
    let seconds: f64 = of.ending.times.all().values().sum();
    let mut all = vec![
        figure(metrics["metric"].as_str().unwrap_or("score"), number(&metrics["score"]), interval),
        figure("judged pictures", known.to_string(), format!("{classes} classes, {folds}{majority}")),
        figure(
            "model",
            of.ending.recipe.model.name.clone(),
            format!("{0}×{0} pixels", of.ending.recipe.preprocess.size),
        ),
        figure("time", duration(seconds), "where it went is shown at the end".into()),
    ];
    if let Some(score) = metrics["test"].get(metrics["metric"].as_str().unwrap_or_default()) {
        all.insert(1, figure("test part", number(score), "scored once, at the end".into()));
    }
    all
}

/// Seconds as a person says them.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 6000.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// How to get the same again, and what it cost.
fn settings(of: &Material<'_>) -> Result<Section> {
    let environment: Value = serde_json::from_slice(&of.ending.run.read("environment.json")?)?;
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    let facts = environment.as_object().into_iter().flatten();
    let facts = facts.filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.replace('_', " "), text(value)));
    // Tenths of a second are as exact as anybody wants to know it.
    let spent = of.ending.times.all().into_iter().map(|(stage, seconds)| (stage, (10.0 * seconds).round() / 10.0));
    let mut spent: Vec<(String, f64)> = spent.filter(|(_, seconds)| *seconds > 0.0).collect();
    spent.sort_by(|a, b| b.1.total_cmp(&a.1));
    let labels = Labels { title: "Time spent", x: "seconds", y: "" };
    let recipe = vec![Block::Code(of.ending.recipe.text()?)];
    let blocks = vec![
        Block::Charts(vec![chart::bars(labels, &spent)]),
        Block::Heading("Environment".into()),
        Block::Facts(facts.collect()),
        Block::Details("recipe.toml, with every default".into(), recipe),
    ];
    let about = "The recipe as it was resolved; running it again on the same data gives the same run.";
    Ok(Section { title: "Settings".into(), about: about.into(), blocks })
}

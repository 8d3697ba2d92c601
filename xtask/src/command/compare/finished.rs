//! A finished run as its files tell it.

use super::settings;
use crate::recipe::Spec;
use crate::saved::Saved;
use anyhow::{Context, Result, anyhow, bail};
use eval::{Metric, Predictions, Run};
use models::Network;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// What is compared of a run.
pub struct Finished {
    /// Its folder, as it was named.
    pub name: String,
    pub metrics: Metrics,
    /// The decisive metric with its parameters.
    pub metric: Spec,
    /// The others.
    pub also: Vec<Spec>,
    /// Id, fold and target of every row that is not of the test part, sorted.
    pub folds: Vec<[String; 3]>,
    /// The group of every such row that has one, by id.
    pub groups: BTreeMap<String, String>,
    /// Out-of-fold predictions.
    pub oof: Predictions,
    pub environment: Environment,
    pub cost: Cost,
    /// The recipe by dotted keys.
    pub settings: BTreeMap<String, Value>,
}

/// `metrics.json`; a score that is no number is null there.
#[derive(Clone, Debug, Deserialize)]
pub struct Metrics {
    pub metric: String,
    pub score: Option<f64>,
    pub folds: Vec<Option<f64>>,
    pub all: BTreeMap<String, Option<f64>>,
    #[serde(default)]
    pub ci95: Option<[f64; 2]>,
    #[serde(default)]
    pub test: Option<BTreeMap<String, Option<f64>>>,
}

/// What `environment.json` tells of data and program.
#[derive(Clone, Debug, Deserialize)]
pub struct Environment {
    pub data_fingerprint: String,
    #[serde(default)]
    pub version: Value,
    #[serde(default)]
    pub git_commit: Value,
    #[serde(default)]
    pub threads: Option<usize>,
}

/// What a run took.
pub struct Cost {
    /// Rows to learn from and to judge by.
    pub pictures: usize,
    pub epochs: Option<u64>,
    /// Of the network, where it can be built.
    pub parameters: Option<usize>,
    /// Seconds of each stage, where they were taken.
    pub times: Option<BTreeMap<String, f64>>,
}

impl Cost {
    /// Seconds of all stages.
    pub fn seconds(&self) -> Option<f64> {
        self.times.as_ref().map(|times| times.values().sum())
    }
}

impl Finished {
    /// Reads the run at `path`; says what is missing or broken.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let run = Run::open(path)?;
        if !run.has("recipe.toml") {
            bail!("'{name}' is no run: it has no recipe.toml");
        }
        if !run.has("metrics.json") {
            bail!("'{name}' is unfinished; finish it with --resume");
        }
        Self::of(&run, name.clone()).with_context(|| format!("'{name}' cannot be compared"))
    }

    fn of(run: &Run, name: String) -> Result<Self> {
        let recipe: Value =
            toml::from_str(&text(run, "recipe.toml")?).map_err(|error| broken(run, "recipe.toml", error))?;
        let specs = |section: &Value| -> Result<(Spec, Vec<Spec>)> {
            Ok((serde_json::from_value(section["metric"].clone())?, serde_json::from_value(section["also"].clone())?))
        };
        let (metric, also) = specs(&recipe["eval"]).map_err(|error| broken(run, "recipe.toml", error))?;
        let oof = Predictions::from_csv(&text(run, "oof.csv")?).map_err(|error| broken(run, "oof.csv", error))?;
        let table = text(run, "folds.csv")?;
        let folds = folds(&table).map_err(|error| broken(run, "folds.csv", error))?;
        let groups = groups(&table).map_err(|error| broken(run, "folds.csv", error))?;
        let size = recipe["preprocess"]["size"].as_u64().map(|size| size as usize);
        let cost = Cost {
            pictures: folds.len(),
            epochs: recipe["train"]["epochs"].as_u64(),
            parameters: size.and_then(|size| parameters(run, size)),
            times: if run.has("times.json") { Some(json(run, "times.json")?) } else { None },
        };
        Ok(Self {
            name,
            metrics: json(run, "metrics.json")?,
            metric,
            also,
            folds,
            groups,
            oof,
            environment: json(run, "environment.json")?,
            cost,
            settings: settings::flat(&recipe),
        })
    }

    /// The decisive metric.
    pub fn scorer(&self) -> Result<Box<dyn Metric>> {
        let built = eval::metrics::build(&self.metric.name, self.metric.value());
        built.with_context(|| format!("the metric of '{}' cannot be built", self.name))
    }

    /// The metric of this name with its parameters.
    pub fn spec(&self, metric: &str) -> Option<&Spec> {
        std::iter::once(&self.metric).chain(&self.also).find(|spec| spec.name == metric)
    }

    /// Mean and standard deviation of the folds' scores; the latter needs two.
    pub fn spread(&self) -> (Option<f64>, Option<f64>) {
        let scores: Vec<f64> = self.metrics.folds.iter().flatten().copied().collect();
        let count = scores.len() as f64;
        let mean = scores.iter().sum::<f64>() / count;
        let squares: f64 = scores.iter().map(|score| (score - mean).powi(2)).sum();
        let deviation = (scores.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
        ((!scores.is_empty()).then_some(mean), deviation)
    }
}

/// Trainable numbers of the first fold's network.
fn parameters(run: &Run, size: usize) -> Option<usize> {
    let saved = Saved::read(run, 0).ok()?;
    let network = Network::new(&saved.network, models::init::outline()).ok()?;
    Some(network.summary((size, size)).ok()?.parameters())
}

/// Id, fold and target of every row of `folds.csv`, sorted.
fn folds(text: &str) -> Result<Vec<[String; 3]>> {
    let mut table = csv::Reader::from_reader(text.as_bytes());
    let header = table.headers()?.clone();
    let column =
        |name: &str| header.iter().position(|h| h == name).with_context(|| format!("it has no column '{name}'"));
    let columns = [column("id")?, column("fold")?, column("target")?];
    let row = |record: csv::Result<csv::StringRecord>| -> Result<[String; 3]> {
        let record = record?;
        Ok(columns.map(|column| record.get(column).unwrap_or_default().to_string()))
    };
    let mut rows = table.records().map(row).collect::<Result<Vec<_>>>()?;
    rows.sort();
    Ok(rows)
}

/// The group of every row of `folds.csv` that has one, by id.
fn groups(text: &str) -> Result<BTreeMap<String, String>> {
    let mut table = csv::Reader::from_reader(text.as_bytes());
    let header = table.headers()?.clone();
    let column = |name: &str| header.iter().position(|h| h == name);
    let (Some(id), Some(group)) = (column("id"), column("group")) else { return Ok(BTreeMap::new()) };
    let mut groups = BTreeMap::new();
    for record in table.records() {
        let record = record?;
        let cell = |column: usize| record.get(column).unwrap_or_default().to_string();
        if !cell(group).is_empty() {
            groups.insert(cell(id), cell(group));
        }
    }
    Ok(groups)
}

fn text(run: &Run, name: &str) -> Result<String> {
    String::from_utf8(run.read(name)?).map_err(|error| broken(run, name, error))
}

fn json<T: DeserializeOwned>(run: &Run, name: &str) -> Result<T> {
    serde_json::from_slice(&run.read(name)?).map_err(|error| broken(run, name, error))
}

fn broken(run: &Run, name: &str, error: impl Into<anyhow::Error>) -> anyhow::Error {
    let error: anyhow::Error = error.into();
    anyhow!("{error:#}").context(format!("'{}' is broken", run.path(name).display()))
}

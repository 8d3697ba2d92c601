//! `list`: what there is.

use crate::args::Kind;
use crate::output;
use crate::recipe::{BUNDLED, Recipe};
use anyhow::Result;
use models::{Network, NetworkConfig};
use serde_json::{Map, Value, json};

pub fn run(kind: Kind, json: bool) -> Result<()> {
    let rows = rows(kind)?;
    if json {
        let object: Map<String, Value> = rows.into_iter().map(|row| (row.name, row.json)).collect();
        output::result(&Value::Object(object).to_string());
        return Ok(());
    }
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    for Row { name, text, .. } in rows {
        output::result(&format!("{name:width$}  {text}"));
    }
    Ok(())
}

/// One line of a table.
struct Row {
    name: String,
    text: String,
    json: Value,
}

impl Row {
    /// Name and one sentence.
    fn new(name: &str, doc: &str) -> Self {
        Self { name: name.into(), text: doc.into(), json: doc.into() }
    }
}

fn rows(kind: Kind) -> Result<Vec<Row>> {
    Ok(match kind {
        Kind::Models => of_models()?,
        Kind::Joins => models::joins::JOINS.1.iter().map(|e| Row::new(e.name, e.doc)).collect(),
        Kind::Pools => models::pools::POOLS.1.iter().map(|e| Row::new(e.name, e.doc)).collect(),
        Kind::Heads => models::heads::HEADS.1.iter().map(|e| Row::new(e.name, e.doc)).collect(),
        Kind::Pretrained => crate::pretrained::list().iter().map(|(name, doc)| Row::new(name, doc)).collect(),
        Kind::Losses => losses::LOSSES.iter().map(|e| Row::new(e.name, e.doc)).collect(),
        Kind::Augment => {
            let single = augment::TRANSFORMS.iter().map(|e| Row::new(e.name, e.doc));
            let batch = augment::BATCH_TRANSFORMS.iter().map(|e| Row::new(e.name, e.doc));
            // Some are called as transforms are.
            let views = augment::VIEWS.iter().map(|(name, doc)| Row::new(&format!("eval.views.{name}"), doc));
            single.chain(batch).chain(views).collect()
        }
        Kind::Optimizers => train::optim::OPTIMIZERS.iter().map(|e| Row::new(e.name, e.doc)).collect(),
        Kind::Schedules => train::schedule::SCHEDULES.iter().map(|e| Row::new(e.name, e.doc)).collect(),
        Kind::Metrics => eval::metrics::METRICS.iter().map(|e| Row::new(e.name, e.doc)).collect(),
        Kind::Sources => data::source::SOURCES.iter().map(|e| Row::new(e.name, e.doc)).collect(),
        Kind::Splits => data::split::SPLITS.iter().map(|e| Row::new(e.name, e.doc)).collect(),
        Kind::Samplers => data::sampler::SAMPLERS.iter().map(|e| Row::new(e.name, e.doc)).collect(),
        Kind::Recipes => {
            let about = |(name, _): &(&str, &str)| Ok(Row::new(name, &Recipe::load(name, &[])?.about));
            BUNDLED.iter().map(about).collect::<Result<_>>()?
        }
    })
}

/// With what each needs for a picture, or a volume of 16 slices, of the size that it was made for, and as many classes as its pictures usually have:
/// ten at 32 pixels as CIFAR-10, else a thousand as ImageNet.
fn of_models() -> Result<Vec<Row>> {
    let row = |(name, doc): (&str, &str)| {
        let size = models::picture_size(name)?;
        let classes = if size == 32 { 10 } else { 1000 };
        let config = NetworkConfig { model: name.into(), classes, ..NetworkConfig::default() };
        let summary = Network::new(&config, models::init::outline())?.summary((size, size))?;
        let (parameters, multiply_adds) = (summary.parameters(), summary.multiply_adds());
        let (millions, billions) = (parameters as f64 / 1e6, multiply_adds as f64 / 1e9);
        let mut json = json!({
            "about": doc, "size": size, "classes": classes, "parameters": parameters, "multiply_adds": multiply_adds,
        });
        let mut pixels = size.to_string();
        if let [_, depth, _, _] = summary.input[..] {
            json["depth"] = depth.into();
            pixels = format!("{depth}×{size}");
        }
        Ok(Row { text: format!("{pixels:>6} px  {millions:7.2} M  {billions:7.3} G  {doc}"), json, name: name.into() })
    };
    models::models().into_iter().map(row).collect()
}

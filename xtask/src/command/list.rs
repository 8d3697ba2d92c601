//! `list`: what there is.

use crate::args::Kind;
use crate::output;
use crate::recipe::{BUNDLED, Recipe};
use anyhow::Result;
use serde_json::{Map, Value};

pub fn run(kind: Kind, json: bool) -> Result<()> {
    let rows = rows(kind)?;
    if json {
        let object: Map<String, Value> = rows.into_iter().map(|(name, doc)| (name, Value::String(doc))).collect();
        output::result(&Value::Object(object).to_string());
        return Ok(());
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, doc) in rows {
        output::result(&format!("{name:width$}  {doc}"));
    }
    Ok(())
}

/// Name and one sentence.
fn rows(kind: Kind) -> Result<Vec<(String, String)>> {
    let owned = |(name, doc): (&str, &str)| (name.to_string(), doc.to_string());
    Ok(match kind {
        Kind::Models => models::models().into_iter().map(owned).collect(),
        Kind::Pools => models::pools::POOLS.1.iter().map(|e| owned((e.name, e.doc))).collect(),
        Kind::Heads => models::heads::HEADS.1.iter().map(|e| owned((e.name, e.doc))).collect(),
        Kind::Pretrained => crate::pretrained::list(),
        Kind::Losses => losses::LOSSES.iter().map(|e| owned((e.name, e.doc))).collect(),
        Kind::Augment => {
            let single = augment::TRANSFORMS.iter().map(|e| owned((e.name, e.doc)));
            single.chain(augment::BATCH_TRANSFORMS.iter().map(|e| owned((e.name, e.doc)))).collect()
        }
        Kind::Optimizers => train::optim::OPTIMIZERS.iter().map(|e| owned((e.name, e.doc))).collect(),
        Kind::Schedules => train::schedule::SCHEDULES.iter().map(|e| owned((e.name, e.doc))).collect(),
        Kind::Metrics => eval::metrics::METRICS.iter().map(|e| owned((e.name, e.doc))).collect(),
        Kind::Sources => data::source::SOURCES.iter().map(|e| owned((e.name, e.doc))).collect(),
        Kind::Recipes => {
            let about = |(name, _): &(&str, &str)| Ok((name.to_string(), Recipe::load(name, &[])?.about));
            BUNDLED.iter().map(about).collect::<Result<_>>()?
        }
    })
}

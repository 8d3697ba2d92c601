//! `export`: the networks of a finished run for elsewhere, a file a fold.

use crate::args::{ExportArgs, Format};
use crate::output;
use crate::recipe::table;
use crate::saved::{Saved, Trained};
use anyhow::{Context, Result, bail};
use candle_core::Device;
use data::Image;
use eval::Run;
use models::heads::HEADS;
use models::joins::JOINS;
use models::pools::POOLS;
use models::{NetworkConfig, reference};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::PoisonError;

pub fn run(args: &ExportArgs) -> Result<()> {
    let run = Run::open(&args.run)?;
    let folds = Saved::folds(&run)?;
    let folder = args.out.clone().unwrap_or_else(|| run.path("export"));
    let mut files: Vec<PathBuf> = vec![];
    for fold in 0..folds {
        let saved = Saved::read(&run, fold)?;
        let trained = saved.load(&run, fold, &Device::Cpu)?;
        let about = about(&saved)?;
        let (bytes, ending) = match args.format {
            Format::Safetensors => (safetensors(&saved, &trained, &about)?, "safetensors"),
            Format::Onnx => (onnx(&saved, trained, about)?, "onnx"),
        };
        // Only now: what cannot be exported leaves no empty folder.
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder '{}'", folder.display()))?;
        let path = folder.join(format!("fold{fold}.{ending}"));
        super::predict::write(&path, &bytes)?;
        files.push(path);
    }
    if args.json {
        output::result(&json!({"model": Saved::read(&run, 0)?.network.model, "files": files}).to_string());
    } else {
        files.iter().for_each(|file| output::result(&file.display().to_string()));
    }
    Ok(())
}

/// What whoever runs the network needs to know.
fn about(saved: &Saved) -> Result<Map<String, Value>> {
    let (height, width) = size(saved)?;
    let mut about = json!({
        "model": saved.network.model,
        "classes": saved.classes,
        "color": saved.color,
        "size": [height, width],
        "steps": saved.steps,
        // Of pictures whose values are 0..=1.
        "mean": saved.stats.mean,
        "std": saved.stats.std,
    });
    if let Some(normalize) = &saved.normalize {
        // In place of both.
        about["normalize"] = json!(normalize);
    }
    if saved.network.meta > 0 {
        about["features"] = json!(saved.encoder);
    }
    let mut about = table(about);
    about.extend(otherwise(&saved.network)?);
    Ok(about)
}

/// What makes the network another one than the reference of its model, which pools by the mean and has a linear head.
fn otherwise(network: &NetworkConfig) -> Result<Map<String, Value>> {
    let mut other = Map::new();
    let preset = models::resolve(&network.model, &Value::Null)?;
    let mut params = table(models::resolve(&network.model, &network.params)?);
    params.retain(|key, value| preset[key.as_str()] != *value);
    if !params.is_empty() {
        other.insert("params".into(), json!(params));
    }
    let NetworkConfig { pool, head, join, views, meta_hidden, .. } = network;
    if pool.name != "mean" {
        other.insert("pool".into(), json!(POOLS.resolve(pool)?));
    }
    if head.name != "linear" {
        other.insert("head".into(), json!(HEADS.resolve(head)?));
    }
    if *views > 1 {
        other.insert("views".into(), json!(views));
        other.insert("join".into(), json!(JOINS.resolve(join)?));
    }
    if network.meta > 0 && !meta_hidden.is_empty() {
        other.insert("meta_hidden".into(), json!(meta_hidden));
    }
    Ok(other)
}

/// Height and width of the pictures that the network reads: what the deterministic steps make of one.
fn size(saved: &Saved) -> Result<(usize, usize)> {
    let picture = Image::filled(64, 64, &vec![0; saved.color.channels()]);
    let picture = saved.transform()?(picture, &mut data::Stream::new(0, 0, 0));
    let [_, height, width, _] = picture.dims();
    Ok((height, width))
}

/// Weights by the names of timm and torchvision. All metadata have one key: their order in the file would be any.
fn safetensors(saved: &Saved, trained: &Trained, about: &Map<String, Value>) -> Result<Vec<u8>> {
    let variables = trained.vars.data().lock().unwrap_or_else(PoisonError::into_inner);
    let mut tensors = BTreeMap::new();
    for (name, variable) in variables.iter() {
        let (theirs, tensor) = reference(&saved.network.model, name, &variable.as_detached_tensor())?;
        if tensors.contains_key(&theirs) {
            bail!("'{name}' would have the name of another variable: the reference has one '{theirs}'");
        }
        tensors.insert(theirs, tensor);
    }
    let metadata = HashMap::from([("sconce".to_string(), json!(about).to_string())]);
    Ok(safetensors::serialize(tensors, Some(metadata))?)
}

/// The whole network, its batch norms folded. Words are properties as they are, everything else is JSON.
fn onnx(saved: &Saved, mut trained: Trained, about: Map<String, Value>) -> Result<Vec<u8>> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    let properties: Vec<(&str, String)> = about.iter().map(|(key, value)| (key.as_str(), text(value))).collect();
    trained.network.fold()?;
    let model = &saved.network.model;
    trained.network.onnx(size(saved)?, &properties).with_context(|| format!("cannot export model '{model}'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::parts::Choice;

    #[test]
    fn what_is_not_the_reference_s_is_told() {
        let plain = NetworkConfig { model: "resnet18".into(), dropout: 0.5, ..NetworkConfig::default() };
        assert_eq!(otherwise(&plain).unwrap(), Map::new());
        let whole = models::resolve("resnet18", &json!({"width": 32})).unwrap();
        let other = NetworkConfig {
            params: whole,
            pool: Choice::new("max"),
            head: Choice::with("cosine", json!({"scale": 8})),
            views: 2,
            meta: 3,
            meta_hidden: vec![4],
            ..plain
        };
        let told = json!({
            "params": {"width": 32},
            "pool": {"name": "max"},
            "head": {"name": "cosine", "scale": 8.0, "centres": 1},
            "views": 2,
            "join": {"name": "mean", "behind": false},
            "meta_hidden": [4],
        });
        assert_eq!(Value::Object(otherwise(&other).unwrap()), told);
    }
}

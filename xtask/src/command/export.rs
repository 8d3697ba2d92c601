//! `export`: the networks of a finished run for elsewhere, a file a fold.

use crate::args::{ExportArgs, Format};
use crate::output;
use crate::recipe::table;
use crate::saved::{Saved, Trained};
use anyhow::{Context, Result, bail};
use candle_core::Device;
use data::Image;
use eval::Run;
use models::reference_name;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
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
    if saved.network.meta > 0 {
        about["features"] = json!(saved.encoder);
    }
    Ok(table(about))
}

/// Height and width of the pictures that the network reads: what the deterministic steps make of one.
fn size(saved: &Saved) -> Result<(usize, usize)> {
    let picture = Image::filled(64, 64, &vec![0; saved.color.channels()]);
    let picture = saved.transform()?(picture, &mut ChaCha8Rng::seed_from_u64(0));
    match picture.dims() {
        [1, height, width, _] => Ok((height, width)),
        [depth, ..] => bail!("the network reads volumes of {depth} slices; only flat pictures can be exported"),
    }
}

/// Weights by the names of timm and torchvision. All metadata have one key: their order in the file would be any.
fn safetensors(saved: &Saved, trained: &Trained, about: &Map<String, Value>) -> Result<Vec<u8>> {
    let variables = trained.vars.data().lock().unwrap_or_else(PoisonError::into_inner);
    let mut tensors = BTreeMap::new();
    for (name, variable) in variables.iter() {
        tensors.insert(reference_name(&saved.network.model, name)?, variable.as_detached_tensor());
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

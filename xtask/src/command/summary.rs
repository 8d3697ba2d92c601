//! `summary`: what a model is made of.

use crate::args::SummaryArgs;
use crate::output;
use crate::recipe::{self, Meta, Model};
use crate::usage::Usage;
use anyhow::{Context, Result, anyhow};
use models::{Network, NetworkConfig};
use serde_json::{Map, Value, json};

pub fn run(args: &SummaryArgs) -> Result<()> {
    let config = config(args).context(Usage::command_line())?;
    let network = Network::new(&config, models::init::outline()).context(Usage::command_line())?;
    if args.depth.is_some() && network.rank() == 4 {
        let why = anyhow!("--depth is for models that read volumes; '{}' reads pictures", args.model);
        return Err(why).context(Usage::command_line());
    }
    let size = args.size.map_or_else(|| models::picture_size(&args.model), Ok).context(Usage::command_line())?;
    let summary = network.summary((size, size)).context(Usage::command_line())?;
    let (parameters, multiply_adds) = (summary.parameters(), summary.multiply_adds());
    if args.json {
        output::result(
            &json!({
                "model": args.model, "size": size, "input": summary.input, "parameters": parameters, "multiply_adds": multiply_adds,
                "layers": summary.layers,
            })
            .to_string(),
        );
        return Ok(());
    }
    let width = summary.layers.iter().map(|l| l.name.len()).max().unwrap_or(0).max(5);
    output::result(&format!(
        "{:width$}  {:11}  {:>16}  {:>12}  {:>15}",
        "layer", "kind", "output", "parameters", "multiply-adds"
    ));
    for layer in &summary.layers {
        output::result(&format!(
            "{:width$}  {:11}  {:>16}  {:>12}  {:>15}",
            layer.name,
            layer.kind,
            shape(&layer.output),
            layer.parameters,
            layer.multiply_adds
        ));
    }
    output::result(&format!(
        "{}: {parameters} parameters, {:.1} million multiply-adds for a {} {}",
        args.model,
        multiply_adds as f64 / 1e6,
        shape(&summary.input),
        if network.rank() == 4 { "picture" } else { "volume" }
    ));
    Ok(())
}

/// `C×H×W` or `C×D×H×W`.
fn shape(sides: &[usize]) -> String {
    sides.iter().map(usize::to_string).collect::<Vec<_>>().join("×")
}

/// Keys of a recipe's `[model]` beside the model's own; the others say how variables start, which changes no layer.
const KEYS: &[&str] = &["pool", "head", "dropout", "views", "join", "meta", "meta_hidden"];

/// The network with all `--set` options laid over it; their keys may begin with `model.`, as in recipes.
fn config(args: &SummaryArgs) -> Result<NetworkConfig> {
    let plain = Model::default();
    let mut table = toml::Table::new();
    for (key, part) in [("pool", plain.pool), ("head", plain.head), ("join", plain.join)] {
        table.insert(key.into(), part.name.into());
    }
    for set in &args.sets {
        recipe::lay(&mut table, set.strip_prefix("model.").unwrap_or(set))?;
    }
    let preset = models::resolve(&args.model, &Value::Null)?;
    let known = preset.as_object().into_iter().flat_map(Map::keys).map(String::as_str);
    let known: Vec<&str> = known.chain(KEYS.iter().copied()).collect();
    if let Some(key) = table.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(anyhow!("--set: unknown key '{key}', expected one of {}", known.join(", ")));
    }
    let mut model: Model = table.try_into()?;
    if let Some(depth) = args.depth.filter(|_| known.contains(&"slices")) {
        model.params.insert("slices".into(), depth.into());
    }
    Ok(NetworkConfig {
        model: args.model.clone(),
        params: Value::Object(model.params),
        classes: args.classes,
        channels: args.channels,
        pool: model.pool.part(),
        // As many as the data have; of one picture without any.
        views: model.views.max(1),
        join: model.join.part(),
        meta: if model.meta == Meta::All(false) { 0 } else { args.meta },
        meta_hidden: model.meta_hidden,
        dropout: model.dropout,
        head: model.head.part(),
    })
}

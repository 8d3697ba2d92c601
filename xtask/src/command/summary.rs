//! `summary`: what a model is made of.

use crate::args::SummaryArgs;
use crate::output;
use crate::recipe::{self, Spec};
use crate::usage::Usage;
use anyhow::{Context, Result, anyhow};
use models::{Network, NetworkConfig};
use serde::Deserialize;
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

/// What a recipe's `[model]` says of a network: all other keys override the model's configuration.
#[derive(Deserialize)]
struct Model {
    pool: Spec,
    head: Spec,
    dropout: f64,
    #[serde(flatten)]
    params: Map<String, Value>,
}

/// The network with all `--set` options laid over it; their keys may begin with `model.`, as in recipes.
fn config(args: &SummaryArgs) -> Result<NetworkConfig> {
    let plain = NetworkConfig::default();
    let mut table = toml::Table::new();
    table.insert("pool".into(), plain.pool.name.into());
    table.insert("head".into(), plain.head.name.into());
    table.insert("dropout".into(), plain.dropout.into());
    for set in &args.sets {
        recipe::lay(&mut table, set.strip_prefix("model.").unwrap_or(set))?;
    }
    let Model { pool, head, dropout, mut params } = table.try_into()?;
    let preset = models::resolve(&args.model, &Value::Null)?;
    let known = preset.as_object().into_iter().flat_map(Map::keys).map(String::as_str);
    let known: Vec<&str> = known.chain(["pool", "head", "dropout"]).collect();
    if let Some(key) = params.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(anyhow!("--set: unknown key '{key}', expected one of {}", known.join(", ")));
    }
    if let Some(depth) = args.depth.filter(|_| known.contains(&"slices")) {
        params.insert("slices".into(), depth.into());
    }
    Ok(NetworkConfig {
        model: args.model.clone(),
        params: Value::Object(params),
        classes: args.classes,
        channels: args.channels,
        pool: pool.part(),
        head: head.part(),
        dropout,
        ..plain
    })
}

//! `summary`: what a model is made of.

use crate::args::SummaryArgs;
use crate::output;
use crate::usage::Usage;
use anyhow::{Context, Result};
use models::{Network, NetworkConfig};
use serde_json::json;

pub fn run(args: &SummaryArgs) -> Result<()> {
    let config = NetworkConfig {
        model: args.model.clone(),
        classes: args.classes,
        channels: args.channels,
        ..NetworkConfig::default()
    };
    let network = Network::new(&config, models::init::outline()).context(Usage::command_line())?;
    let summary = network.summary((args.size, args.size)).context(Usage::command_line())?;
    let (parameters, multiply_adds) = (summary.parameters(), summary.multiply_adds());
    if args.json {
        output::result(
            &json!({
                "model": args.model, "size": args.size, "parameters": parameters, "multiply_adds": multiply_adds, "layers": summary.layers,
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
        let [c, h, w] = layer.output;
        let shape = format!("{c}×{h}×{w}");
        output::result(&format!(
            "{:width$}  {:11}  {shape:>16}  {:>12}  {:>15}",
            layer.name, layer.kind, layer.parameters, layer.multiply_adds
        ));
    }
    let (channels, size) = (args.channels, args.size);
    output::result(&format!(
        "{}: {parameters} parameters, {:.1} million multiply-adds for a {channels}×{size}×{size} picture",
        args.model,
        multiply_adds as f64 / 1e6
    ));
    Ok(())
}

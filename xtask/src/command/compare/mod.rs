//! `compare`: finished runs side by side.

mod comparison;
mod finished;
mod settings;
mod shown;

use crate::args::CompareArgs;
use crate::output;
use anyhow::{Context, Result, bail};
use comparison::Comparison;
use finished::Finished;
use std::path::Path;

/// Where runs lie if nothing else is said.
const RUNS: &str = "runs";

/// Reads the runs and prints what they have in common and what not.
pub fn run(args: &CompareArgs) -> Result<()> {
    let (runs, left_out) = match args.runs.is_empty() {
        true => listed(Path::new(RUNS))?,
        false => (args.runs.iter().map(|run| Finished::read(run)).collect::<Result<_>>()?, vec![]),
    };
    let comparison = Comparison::of(runs, left_out)?;
    match args.json {
        true => output::result(&comparison.json().to_string()),
        false => comparison.lines().iter().for_each(|line| output::result(line)),
    }
    Ok(())
}

/// The finished runs in a folder, and why others in it are left out.
fn listed(folder: &Path) -> Result<(Vec<Finished>, Vec<String>)> {
    let shown = folder.display();
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("there are no runs at '{shown}'; name the folders of the runs to compare"))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.join("recipe.toml").is_file());
    paths.sort();
    let (mut runs, mut left_out) = (vec![], vec![]);
    for path in paths {
        match Finished::read(&path) {
            Ok(run) => runs.push(run),
            Err(error) => left_out.push(format!("left out: {error:#}")),
        }
    }
    if runs.is_empty() {
        let why = left_out.iter().map(|note| format!("; {note}")).collect::<String>();
        bail!("there are no finished runs in '{shown}'; name the folders of the runs to compare{why}");
    }
    Ok((runs, left_out))
}

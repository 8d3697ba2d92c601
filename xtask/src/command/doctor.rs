//! `doctor`: what makes training slow, and what to do about it.

use crate::args::RecipeArgs;
use crate::pipeline;
use crate::progress::Progress;
use crate::{assemble, doctor, machine, output, prepare};
use anyhow::Result;

/// Examines the recipe that the options name and prints what was found.
pub fn run(args: &RecipeArgs) -> Result<()> {
    let mut recipe = pipeline::recipe(args)?;
    let parts = assemble::parts(&mut recipe)?;
    prepare::check(&recipe)?;
    let device = machine::start(&args.common.device, args.common.threads)?;
    let progress = Progress::new(args.common.quiet);
    let diagnosis = doctor::examine(recipe, &parts, &device, &progress)?;
    match args.common.json {
        true => output::result(&diagnosis.json().to_string()),
        false => diagnosis.lines().iter().for_each(|line| output::result(line)),
    }
    Ok(())
}

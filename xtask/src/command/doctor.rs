//! `doctor`: what makes training slow, and what to do about it.

use crate::args::{DoctorArgs, RunArgs};
use crate::pipeline;
use crate::progress::Progress;
use crate::{assemble, doctor, machine, output, prepare};
use anyhow::Result;

/// Examines the recipe that the options name and prints what was found.
pub fn run(args: &DoctorArgs) -> Result<()> {
    let DoctorArgs { recipe, data, demo, common } = args.clone();
    let run = RunArgs { recipe, data, demo, common, resume: false, max_minutes: None, dry_run: true };
    let mut recipe = pipeline::recipe(&run)?;
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

//! The command line of Sconce: wires the crates together. Each command is a file in `command`.

mod args;
mod assemble;
mod bootstrap;
mod budget;
mod command;
mod criterion;
mod demo;
mod doctor;
mod explained;
mod features;
mod fold;
mod machine;
mod memory;
mod output;
mod pictures;
mod pipeline;
mod place;
mod predict;
mod prepare;
mod pretrained;
mod progress;
mod pseudo;
mod recipe;
mod report;
mod results;
mod saved;
mod sheet;
mod teacher;
#[cfg(test)]
mod tidy;
mod times;
mod usage;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    memory::keep();
    let cli = args::Cli::parse();
    // Backpropagation recurses as deep as the network is.
    let work =
        std::thread::Builder::new().name("main".into()).stack_size(256 << 20).spawn(move || command::run(cli.command));
    let result = match work.map(|handle| handle.join()) {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(anyhow::anyhow!("a bug in the program stopped it; please report the message above")),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::from(if error.is::<usage::Usage>() { 2 } else { 1 })
        }
    }
}

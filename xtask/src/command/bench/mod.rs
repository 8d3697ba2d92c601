//! `bench`: speed of the parts, comparable from outside.

mod augment;
mod loader;
mod loss;
mod step;

use crate::args::Bench;
use anyhow::Result;

/// Times the part that the command line names.
pub fn run(part: &Bench) -> Result<()> {
    match part {
        Bench::Step(args) => step::run(args),
        Bench::Loader(args) => loader::run(args),
        Bench::Loss(args) => loss::run(args),
        Bench::Augment(args) => augment::run(args),
    }
}

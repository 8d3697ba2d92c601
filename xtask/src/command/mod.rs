//! One command a file.

mod augment;
mod batch_find;
mod bench;
mod compare;
mod doctor;
mod eda;
mod evaluate;
mod explain;
mod export;
mod list;
mod lr_find;
mod predict;
mod pretrain;
mod self_train;
mod summary;

use crate::args::Command;
use crate::pipeline::{self, Extent};
use anyhow::Result;

/// Does what the command line says.
pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Pipeline(args) => pipeline::run(&args, Extent::Whole),
        Command::Train(args) => pipeline::run(&args, Extent::Training),
        Command::SelfTrain(args) => self_train::run(&args),
        Command::Pretrain(args) => pretrain::run(&args),
        Command::BatchFind(args) => batch_find::run(&args),
        Command::LrFind(args) => lr_find::run(&args),
        Command::Eda(args) => eda::run(&args),
        Command::Augment(args) => augment::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Export(args) => export::run(&args),
        Command::List { kind, json } => list::run(kind, json),
        Command::Summary(args) => summary::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Bench { part } => bench::run(&part),
    }
}

//! Every layout of data sets, as its reference writes it and harmed: one program, as each would be linked by itself.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod archives;
mod audio;
mod converted;
mod folders;
mod medical;
mod shards;
mod tables;

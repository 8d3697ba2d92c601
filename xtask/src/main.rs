//! The command line of Sconce.
fn main() {}

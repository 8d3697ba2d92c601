//! Results go to stdout, everything else to stderr. The only place that prints.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use crate::usage::suggestion;
use std::io::Write;

/// One line of the result. A closed pipe is not an error.
pub fn result(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// One line for the person who waits.
pub fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A warning.
pub fn warning(line: &str) {
    note(&format!("warning: {line}"));
}

/// The chain of causes, each on its line, with a hint where a known word is near.
pub fn error(error: &anyhow::Error) {
    let mut chain = error.chain().map(ToString::to_string).collect::<Vec<_>>();
    // Some errors show their cause themselves.
    chain.dedup_by(|cause, shown| shown.contains(cause.as_str()));
    for (i, cause) in chain.iter().enumerate() {
        let hint = if i + 1 == chain.len() { suggestion(cause) } else { String::new() };
        note(&format!("{}{cause}{hint}", if i == 0 { "error: " } else { "  because: " }));
    }
}

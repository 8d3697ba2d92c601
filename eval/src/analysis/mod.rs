//! Which samples are wrong, and which labels may be.

mod errors;
mod hardest;
mod joint;
mod suspects;

pub use errors::errors_csv;
pub use hardest::{Hard, hardest};
pub use suspects::{Suspect, suspects};

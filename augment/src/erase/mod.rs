//! Parts hidden, so that the network looks at the rest too.

mod random_erasing;

pub use random_erasing::{Fill, RandomErasing};

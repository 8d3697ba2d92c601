//! What color things have.

mod color_jitter;

pub use color_jitter::ColorJitter;

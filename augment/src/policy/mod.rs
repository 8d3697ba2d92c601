//! Random choices among many operations.

mod augmix;
mod auto_augment;
mod op;
mod rand_augment;
mod trivial_augment;

pub use augmix::{AugMix, Depth};
pub use auto_augment::{AutoAugment, Policy};
pub use op::{Levels, Moves, Op, Space};
pub use rand_augment::{RandAugment, Style};
pub use trivial_augment::TrivialAugment;

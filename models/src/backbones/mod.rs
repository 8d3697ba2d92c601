//! One family a file. The listing of this folder is the catalogue of architectures.

mod attention;
mod baseline;
mod convolutional;
mod efficientnet;
mod inception;
mod resnet;
mod resnet3d;

pub use attention::{Attention, Form, ResidualAttention};
pub use baseline::Baseline;
pub use convolutional::{Convolutional, Stage};
pub use efficientnet::{EfficientNet, StageRow};
pub use inception::Inception;
pub use resnet::{ResNet, Shortcut, Stem, Unit};
pub use resnet3d::{Filter, ResNet3d, inflate};

use crate::backbone::Entry;

/// All families, in the order in which their models are listed.
pub const FAMILIES: &[Entry] = &[
    Entry::of::<Baseline>(),
    Entry::of::<ResNet>(),
    Entry::of::<EfficientNet>(),
    Entry::of::<Inception>(),
    Entry::of::<ResidualAttention>(),
    Entry::of::<ResNet3d>(),
];

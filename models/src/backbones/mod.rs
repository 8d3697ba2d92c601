//! One family a file. The listing of this folder is the catalogue of architectures.

mod airbench;
mod baseline;
mod convolutional;
mod densenet;
mod efficientnet;
mod resnet;
mod squeezenet;
mod vgg;
mod xception;

pub use airbench::{Airbench, dirac, whitening};
pub use baseline::{Baseline, Norm};
pub use convolutional::{Convolutional, Stage};
pub use densenet::DenseNet;
pub use efficientnet::{EfficientNet, StageRow};
pub use resnet::{ResNet, Shortcut, Stem, Unit};
pub use squeezenet::SqueezeNet;
pub use vgg::Vgg;
pub use xception::Xception;

use crate::backbone::Entry;

/// All families, in the order in which their models are listed.
pub const FAMILIES: &[Entry] = &[
    Entry::of::<Baseline>(),
    Entry::of::<ResNet>(),
    Entry::of::<EfficientNet>(),
    Entry::of::<Vgg>(),
    Entry::of::<DenseNet>(),
    Entry::of::<SqueezeNet>(),
    Entry::of::<Xception>(),
    Entry::of::<Airbench>(),
];

//! One family a file. The listing of this folder is the catalogue of architectures.

mod baseline;
mod convnext;
mod convolutional;
mod efficientnet;
mod mbconv;
mod preact_resnet;
mod resnet;
mod vit;

pub use baseline::Baseline;
pub use convnext::ConvNext;
pub use convolutional::{Convolutional, Stage};
pub use efficientnet::EfficientNet;
pub use mbconv::{BlockKind, Excite, StageRow};
pub use preact_resnet::PreActResNet;
pub use resnet::{ResNet, Shortcut, Stem, Unit};
pub use vit::{Pooling, Vit};

use crate::backbone::Entry;

/// All families, in the order in which their models are listed.
pub const FAMILIES: &[Entry] = &[
    Entry::of::<Baseline>(),
    Entry::of::<ResNet>(),
    Entry::of::<PreActResNet>(),
    Entry::of::<EfficientNet>(),
    Entry::of::<ConvNext>(),
    Entry::of::<Vit>(),
];

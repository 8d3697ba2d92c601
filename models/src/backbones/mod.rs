//! One family a file. The listing of this folder is the catalogue of architectures.

mod attention;
mod baseline;
mod convnext;
mod convolutional;
mod efficientnet;
mod inception;
mod mbconv;
mod preact_resnet;
mod resnet;
mod resnet3d;
mod vit;

pub use attention::{Attention, Form, ResidualAttention};
pub use baseline::Baseline;
pub use convnext::ConvNext;
pub use convolutional::{Convolutional, Stage};
pub use efficientnet::EfficientNet;
pub use inception::Inception;
pub use mbconv::{BlockKind, Excite, StageRow};
pub use preact_resnet::PreActResNet;
pub use resnet::{ResNet, Shortcut, Stem, Unit};
pub use resnet3d::{Filter, ResNet3d, inflate};
pub use vit::{Pooling, Vit};

use crate::backbone::Entry;

/// All families, in the order in which their models are listed.
pub const FAMILIES: &[Entry] = &[
    Entry::of::<Baseline>(),
    Entry::of::<ResNet>(),
    Entry::of::<PreActResNet>(),
    Entry::of::<EfficientNet>(),
    Entry::of::<Inception>(),
    Entry::of::<ResidualAttention>(),
    Entry::of::<ConvNext>(),
    Entry::of::<Vit>(),
    Entry::of::<ResNet3d>(),
];

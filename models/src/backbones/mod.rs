//! One family a file. The listing of this folder is the catalogue of architectures.
//!
//! Where a family's page says that starting values are the reference's, that is about a linear head, too
//! ([`Family::HEAD_START`](crate::Family)); other heads start alike behind all of them.

mod airbench;
mod attention;
mod baseline;
mod convnext;
mod convolutional;
mod densenet;
mod efficientnet;
mod frozen;
mod inception;
mod mbconv;
mod preact_resnet;
mod resnet;
mod resnet3d;
mod squeezenet;
mod vgg;
mod vit;
mod xception;

pub use airbench::{Airbench, whitening};
pub use attention::{Attention, Form, ResidualAttention};
pub use baseline::{Baseline, Norm};
pub use convnext::ConvNext;
pub use convolutional::{Convolutional, Stage};
pub use densenet::DenseNet;
pub use efficientnet::EfficientNet;
pub use frozen::{Frozen, Size};
pub use inception::Inception;
pub use mbconv::{BlockKind, Excite, StageRow};
pub use preact_resnet::PreActResNet;
pub use resnet::{ResNet, Shortcut, Stem, Unit};
pub use resnet3d::{Filter, ResNet3d, inflate};
pub use squeezenet::SqueezeNet;
pub use vgg::Vgg;
pub(crate) use vit::resampled;
pub use vit::{Pooling, Vit};
pub use xception::Xception;

use crate::backbone::Entry;
use crate::error::{Error, Result};

/// All families, in the order in which their models are listed.
pub const FAMILIES: &[Entry] = &[
    Entry::of::<Baseline>(),
    Entry::of::<Vgg>(),
    Entry::of::<ResNet>(),
    Entry::of::<PreActResNet>(),
    Entry::of::<DenseNet>(),
    Entry::of::<SqueezeNet>(),
    Entry::of::<EfficientNet>(),
    Entry::of::<Inception>(),
    Entry::of::<Xception>(),
    Entry::of::<ResidualAttention>(),
    Entry::of::<ConvNext>(),
    Entry::of::<Vit>(),
    Entry::of::<ResNet3d>(),
    Entry::of::<Airbench>(),
    Entry::of::<Frozen>(),
];

/// Rejects what is no probability of dropping something; `key` is the family's and the parameter's name.
fn droppable(key: &str, p: f64) -> Result<()> {
    if (0.0..1.0).contains(&p) { Ok(()) } else { Err(Error::Invalid(format!("{key} must be in 0..1, got {p}"))) }
}

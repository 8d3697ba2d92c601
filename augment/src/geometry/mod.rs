//! Where things are: mirrored, turned, cropped, resized.

mod alternating_flip;
mod dihedral;
mod flip;
mod pad_crop;
mod random_resized_crop;
mod resize;
mod rotate;

pub use alternating_flip::AlternatingFlip;
pub use dihedral::Dihedral;
pub use flip::Flip;
pub use pad_crop::PadCrop;
pub use random_resized_crop::RandomResizedCrop;
pub use resize::{Fit, Resize};
pub use rotate::Rotate;

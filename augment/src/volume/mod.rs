//! Volumes, along all three axes.

mod intensity;
mod projection;
mod volume_crop;
mod volume_flip;
mod volume_resize;
mod volume_rotate;

pub use intensity::Intensity;
pub use projection::{Mode, Projection};
pub use volume_crop::{Place, VolumeCrop};
pub use volume_flip::VolumeFlip;
pub use volume_resize::VolumeResize;
pub use volume_rotate::{Plane, VolumeRotate};

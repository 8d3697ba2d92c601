//! Parts hidden, so that the network looks at the rest too.

mod coarse_dropout;
mod cutout;
mod extent;
mod fill;
mod grid_dropout;
mod grid_mask;
mod pixel_dropout;
mod random_erasing;

pub use coarse_dropout::CoarseDropout;
pub use cutout::Cutout;
pub use extent::Extent;
pub use fill::Fill;
pub use grid_dropout::GridDropout;
pub use grid_mask::GridMask;
pub use pixel_dropout::PixelDropout;
pub use random_erasing::RandomErasing;

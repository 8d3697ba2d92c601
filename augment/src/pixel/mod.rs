//! The kernels: pictures and explicit numbers in, pictures out, no randomness.
//!
//! All take pictures and volumes of any size and any number of channels; 1 to 4 channels have code of their own.

/// Calls a kernel with its first argument, the number of channels, as a constant where it is a usual one.
macro_rules! unrolled {
    ($kernel:ident($channels:expr, $($argument:expr),* $(,)?)) => {
        match $channels {
            1 => $kernel(1, $($argument),*),
            2 => $kernel(2, $($argument),*),
            3 => $kernel(3, $($argument),*),
            4 => $kernel(4, $($argument),*),
            channels => $kernel(channels, $($argument),*),
        }
    };
}

mod border;
mod clahe;
pub mod color;
mod fill;
mod histogram;
mod lab;
mod mix;
mod pca;
mod region;
mod resize;
mod sharpen;
mod simd;
mod symmetry;
pub mod tone;
mod warp;
mod window;

pub use border::Border;
pub use clahe::clahe;
pub use fill::fill;
pub use histogram::{autocontrast, equalize};
pub use mix::mix;
pub use pca::fancy_pca;
pub use region::Region;
pub use resize::{Interpolation, resize, resize_middle};
pub use sharpen::sharpen;
pub use symmetry::{Symmetry, orient};
pub use warp::{Sampling, rotation, warp};
pub use window::window;

use data::Image;

/// The picture that a kernel has laid out.
fn image(dims: [usize; 4], pixels: Vec<u8>) -> Image {
    sound(Image::volume(dims, pixels))
}

/// What cannot fail because the kernel itself made the sizes fit.
fn sound<T, E: std::fmt::Display>(made: Result<T, E>) -> T {
    made.unwrap_or_else(|error| unreachable!("a kernel made sizes that do not fit: {error}"))
}

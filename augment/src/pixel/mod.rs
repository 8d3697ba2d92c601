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
pub mod color;
mod field;
mod fill;
mod lattice;
mod read;
mod region;
mod resize;
mod simd;
mod spline;
mod symmetry;
mod tiles;
mod warp;
mod window;

pub use border::Border;
pub use field::noise_field;
pub use fill::fill;
pub use lattice::{Between, Lattice, bend};
pub use read::Sampling;
pub use region::Region;
pub use resize::{Interpolation, resize, resize_middle};
pub use spline::thin_plate;
pub use symmetry::{Symmetry, orient};
pub use tiles::{Grid, rearrange};
pub use warp::{Map, affine, lens, project, quadrilateral, remap, remap_axes, rotation, warp};
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

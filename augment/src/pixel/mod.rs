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

mod bilateral;
mod black_hat;
mod blur;
mod border;
mod clahe;
pub mod color;
mod components;
mod disc;
mod downscale;
mod field;
mod fill;
mod fundus;
pub mod grid;
pub mod hair;
mod histogram;
mod hsv;
mod jpeg;
mod lab;
mod lattice;
mod median;
mod mix;
mod morphology;
pub mod noise;
mod paint;
mod pca;
pub mod polygon;
mod read;
mod region;
mod resize;
mod sharpen;
mod simd;
mod smear;
mod spline;
pub mod stain;
mod symmetry;
mod tiles;
pub mod tone;
pub mod veil;
mod volume;
mod warp;
#[cfg(feature = "webp")]
mod webp;
mod window;

pub use bilateral::bilateral;
pub use black_hat::{fill_in, hairs};
pub use blur::{MAX_BOX, box_blur, gaussian_blur, gaussian_size, gaussian_weights};
pub use border::Border;
pub use clahe::clahe;
pub use components::{Component, label};
pub use disc::{middle, middle_pixel, outside_disc};
pub use downscale::{Scaling, downscale};
pub use field::noise_field;
pub use fill::fill;
pub use fundus::{against_surroundings, bounds, radius};
pub use histogram::{autocontrast, equalize, histograms};
pub use hsv::{hsv, keep_colors};
pub use jpeg::jpeg;
pub use lattice::{Between, Lattice, bend};
pub use median::median_blur;
pub use mix::mix;
pub use morphology::{close_cross, close_mask};
pub use paint::Paint;
pub use pca::fancy_pca;
pub use read::Sampling;
pub use region::Region;
pub use resize::{Interpolation, resize, resize_middle};
pub use sharpen::sharpen;
pub use smear::{MAX_LINE, MAX_RADIUS, disc_blur, mean_of, motion_line, swap_nearby, zoom_blur};
pub use spline::thin_plate;
pub use symmetry::{Symmetry, orient};
pub use tiles::{Grid, rearrange};
pub use volume::{mirror_volume, resize_volume, turn_volume, window_volume};
pub use warp::{Map, affine, lens, project, quadrilateral, remap, remap_axes, rotation, warp};
#[cfg(feature = "webp")]
pub use webp::webp;
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

//! What cameras, files and screens do to pictures.

mod compression;
mod downscale;

pub use compression::{Compression, Format};
pub use downscale::Downscale;

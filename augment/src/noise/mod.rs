//! What sensors and transmission add.

mod gaussian_noise;
mod iso_noise;
mod multiplicative_noise;
mod salt_pepper;

pub use gaussian_noise::GaussianNoise;
pub use iso_noise::IsoNoise;
pub use multiplicative_noise::MultiplicativeNoise;
pub use salt_pepper::SaltPepper;

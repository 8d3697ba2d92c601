//! Preparation: what is the same for every epoch and makes pictures of different devices alike.

mod background_removal;
mod ben_graham;
mod circle_crop;
mod crop_gray;
mod denoise;
mod gray_world;
mod hair_removal;
mod lung_mask;
mod radius_normalize;
mod shades_of_gray;
mod window;

pub use background_removal::BackgroundRemoval;
pub use ben_graham::BenGraham;
pub use circle_crop::CircleCrop;
pub use crop_gray::CropGray;
pub use denoise::Denoise;
pub use gray_world::GrayWorld;
pub use hair_removal::HairRemoval;
pub use lung_mask::LungMask;
pub use radius_normalize::RadiusNormalize;
pub use shades_of_gray::ShadesOfGray;
pub use window::Window;

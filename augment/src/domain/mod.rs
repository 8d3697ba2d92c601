//! What is special to pictures of one kind.

mod hair_overlay;
mod microscope_circle;
mod stain_jitter;

pub use hair_overlay::HairOverlay;
pub use microscope_circle::MicroscopeCircle;
pub use stain_jitter::StainJitter;

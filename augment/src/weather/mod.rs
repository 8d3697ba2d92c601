//! What weather does to pictures taken outdoors.

mod fog;
mod rain;
mod shadow;

pub use fog::Fog;
pub use rain::Rain;
pub use shadow::Shadow;

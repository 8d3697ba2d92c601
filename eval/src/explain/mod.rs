//! Why a network said what it said.

mod grad_cam;
mod overlay;

pub use grad_cam::grad_cam;
pub use overlay::overlay;

//! Why a network said what it said.

mod grad_cam;

pub use grad_cam::grad_cam;

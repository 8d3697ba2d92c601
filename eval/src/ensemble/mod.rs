//! One answer from several predictions of the same samples.

mod mean;

pub use mean::mean;

//! Kernels and transforms against their references, one program for all families: linking costs more than the tests.

mod batch;
mod blur;
mod color;
mod draws;
mod geometry;
mod golden;
mod noise;
mod pillow;
mod policies;
mod preprocess;

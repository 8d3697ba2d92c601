//! What a report is made of.

pub mod chart;

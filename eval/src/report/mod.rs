//! What a report is made of: charts as inline SVG, and pages as one self-contained HTML file.

pub mod chart;
mod clean;
pub mod page;

//! Whether probabilities can be believed.

use super::curves::diagonal;
use super::frame::{Frame, area, dot};
use super::scale::Scale;
use super::{Chart, Labels, color};
use crate::metrics::Bin;

/// Accuracy over confidence in the bins of [`crate::metrics::reliability`]: a bar for the accuracy, a dot at the mean
/// confidence whose area is the share of samples; on the dashed line both are equal.
pub fn reliability(title: &str, bins: &[Bin]) -> Chart {
    let labels = Labels { title, x: "probability of the predicted class", y: "share of samples that are right" };
    let mut frame = Frame::new(labels, Scale::UNIT, Scale::UNIT, &[], 260.0);
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or_default().max(1) as f64;
    let finite = |bin: &&Bin| bin.count > 0 && bin.confidence.is_finite() && bin.accuracy.is_finite();
    let used: Vec<&Bin> = bins.iter().filter(finite).collect();
    for bin in &used {
        let ([left, top], [right, bottom]) = (frame.at(bin.low, bin.accuracy), frame.at(bin.high, 0.0));
        let fill = format!(r#"fill="{}" fill-opacity=".45""#, color(0));
        let at = [left, top, (right - left - 1.0).max(1.0), bottom - top];
        frame.draw(&area(at, &fill, &about(bin)));
    }
    diagonal(&mut frame);
    for bin in &used {
        let at = frame.at(bin.confidence, bin.accuracy);
        let radius = 2.0 + 6.0 * (bin.count as f64 / most).sqrt();
        frame.draw(&dot(at, radius, 1, &about(bin)));
    }
    frame.finish()
}

fn about(bin: &Bin) -> String {
    let Bin { low, high, count, confidence, accuracy } = bin;
    format!("{low:.2} to {high:.2}: {count} samples, confidence {confidence:.3}, accuracy {accuracy:.3}")
}

//! A histogram: how often values occur.

use super::frame::{Frame, area};
use super::scale::Scale;
use super::text::number;
use super::{Chart, Labels, color};

/// How many of the finite `values` lie in each of about `bins` stretches of the axis, which end at round numbers.
pub fn histogram(labels: Labels, values: &[f64], bins: usize) -> Chart {
    let values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let mut x = Scale::of(values.iter().copied()).rounded();
    if x.high <= x.low {
        x.high = x.low + x.step;
    }
    let bins = bins.clamp(1, 200);
    // Of whole numbers, a stretch narrower than 1 would stay empty.
    let whole = values.iter().all(|value| value.fract() == 0.0) && x.high - x.low >= 1.0;
    let bins = if whole { bins.min((x.high - x.low).min(200.0) as usize).max(1) } else { bins };
    let mut counts = vec![0u64; bins];
    for value in &values {
        counts[((x.share(*value) * bins as f64) as usize).min(bins - 1)] += 1;
    }
    let y = Scale::from_zero(counts.iter().map(|count| *count as f64)).rounded();
    let mut frame = Frame::new(labels, x, y, &[], 170.0);
    let edge = |i: usize| x.low + (x.high - x.low) * (i as f64 / bins as f64);
    for (i, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let ([left, top], [right, bottom]) = (frame.at(edge(i), *count as f64), frame.at(edge(i + 1), 0.0));
        let shown = |value: f64| number(value, x.step / 100.0);
        let about = format!("{} to {}: {count}", shown(edge(i)), shown(edge(i + 1)));
        let gap = if right - left > 4.0 { 1.0 } else { 0.0 };
        let fill = format!(r#"fill="{}""#, color(0));
        frame.draw(&area([left, top, right - left - gap, bottom - top], &fill, &about));
    }
    frame.finish()
}

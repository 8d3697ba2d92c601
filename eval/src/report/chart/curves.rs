//! ROC, and precision over recall.

use super::frame::{Frame, axis, line};
use super::lines::{Series, draw};
use super::scale::Scale;
use super::{Chart, Labels};

const HEIGHT: f64 = 260.0;

/// ROC curves of [`crate::curves::roc`], with the line of chance.
pub fn roc(title: &str, series: &[Series]) -> Chart {
    let labels = Labels { title, x: "false positive rate", y: "true positive rate" };
    curves(labels, series, true)
}

/// Curves of [`crate::curves::precision_recall`].
pub fn precision_recall(title: &str, series: &[Series]) -> Chart {
    curves(Labels { title, x: "recall", y: "precision" }, series, false)
}

fn curves(labels: Labels, series: &[Series], chance: bool) -> Chart {
    let names: Vec<&str> = series.iter().map(|series| series.name.as_str()).collect();
    let mut frame = Frame::new(labels, Scale::UNIT, Scale::UNIT, &names, HEIGHT);
    if chance {
        diagonal(&mut frame);
    }
    for (i, series) in series.iter().enumerate() {
        draw(&mut frame, i, &series.points);
    }
    frame.finish()
}

/// From `[0, 0]` to `[1, 1]`.
pub(super) fn diagonal(frame: &mut Frame) {
    let (from, to) = (frame.at(0.0, 0.0), frame.at(1.0, 1.0));
    frame.draw(&line(from, to, &format!(r#"{} stroke-dasharray="4 4""#, axis(".5"))));
}

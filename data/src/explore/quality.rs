//! Pictures that are blank, dark, bright, blurred or of an odd shape, by rules that are stated.

use super::{Glance, Report, quartiles};
use crate::source::Found;
use serde::Serialize;

/// Fewer pictures have no usual range.
const FEW: usize = 20;
/// Interquartile ranges beyond the quartiles from which on a value is far out (Tukey 1977).
const FAR: f64 = 3.0;

/// Pictures that a rule sets apart.
#[derive(Clone, Debug, Serialize)]
pub struct Outliers {
    /// blank, dark, bright, blurred, border, aspect.
    pub kind: &'static str,
    /// What the value is, and from where on it is odd.
    pub rule: String,
    /// Files with their values, the oddest first.
    pub files: Vec<(String, f64)>,
}

/// What every kind of outlier looks at.
type Measure = fn(&Glance) -> f64;

impl Report {
    /// Blank, dark and bright pictures have limits of their own; the others are far out of the usual range (three interquartile
    /// ranges beyond a quartile), where there are at least 20 pictures that are not blank.
    pub(super) fn find_outliers(&mut self, files: &[Found]) {
        let seen: Vec<(usize, &Glance)> =
            self.glances.iter().enumerate().filter_map(|(i, glance)| Some((i, glance.as_ref()?))).collect();
        let is_blank = |glance: &Glance| glance.contrast < 1.0;
        let textured: Vec<(usize, &Glance)> = seen.iter().copied().filter(|(_, glance)| !is_blank(glance)).collect();
        let mut found = vec![];
        let mut add = |kind: &'static str, rule: String, measure: Measure, is_odd: &dyn Fn(&Glance) -> bool| {
            let odd = seen.iter().filter(|(_, glance)| is_odd(glance));
            let mut files: Vec<(String, f64)> =
                odd.map(|(i, glance)| (files[*i].path.clone(), measure(glance))).collect();
            let middle = quartiles(textured.iter().map(|(_, glance)| measure(glance)).collect()).map_or(0.0, |q| q[1]);
            let off = |value: f64| -(value - middle).abs();
            files.sort_by(|a, b| off(a.1).total_cmp(&off(b.1)).then_with(|| a.0.cmp(&b.0)));
            if !files.is_empty() {
                found.push(Outliers { kind, rule, files });
            }
        };
        let usual = |measure: Measure| {
            let known = quartiles(textured.iter().map(|(_, glance)| measure(glance)).collect());
            known.filter(|_| textured.len() >= FEW)
        };
        let contrast: Measure = |glance| f64::from(glance.contrast);
        let luma: Measure = |glance| f64::from(glance.luma);
        add("blank", "the standard deviation of the gray levels is below 1".into(), contrast, &is_blank);
        // Where pictures are dark as a rule, as those of a microscope, a dark one is nothing odd.
        let level = usual(luma).map_or(128.0, |q| q[1]);
        if level >= 32.0 {
            add("dark", "the mean gray level is below 16".into(), luma, &|glance| glance.luma < 16.0);
        }
        if level <= 223.0 {
            add("bright", "the mean gray level is above 239".into(), luma, &|glance| glance.luma > 239.0);
        }
        let sharpness: Measure = |glance| f64::from(glance.sharpness);
        if let Some([low, _, high]) = usual(|glance| f64::from(glance.sharpness).max(1e-3).ln()) {
            // Where nearly all are as sharp as each other, half of that is nothing odd.
            let limit = (low - (FAR * (high - low)).max(4f64.ln())).exp();
            let rule = format!("the variance of the Laplacian is below {limit:.3}, far under that of most");
            add("blurred", rule, sharpness, &|glance| !is_blank(glance) && sharpness(glance) < limit);
        }
        let border: Measure = |glance| f64::from(glance.border);
        if let Some([low, _, high]) = usual(border) {
            let limit = (high + FAR * (high - low)).max(0.1);
            let rule = format!("the share of black border is above {limit:.2}, far over that of most");
            add("border", rule, border, &|glance| !is_blank(glance) && border(glance) > limit);
        }
        if let Some([low, _, high]) = usual(|glance| glance.aspect().ln()) {
            // Where nearly all have one shape, its like on end is nothing odd.
            let reach = (FAR * (high - low)).max(2f64.ln());
            let [narrow, wide] = [(low - reach).exp(), (high + reach).exp()];
            let rule = format!("width over height is below {narrow:.2} or above {wide:.2}, far out of the usual range");
            add("aspect", rule, Glance::aspect, &|glance| !(narrow..=wide).contains(&glance.aspect()));
        }
        self.outliers = found;
    }
}

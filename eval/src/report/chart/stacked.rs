//! Stacked bars: of what a number consists.

use super::bars::{beside, named, row};
use super::frame::{LINE, TOP, WIDTH, area, axis, legend, line, text, ticks};
use super::scale::Scale;
use super::text::{escape, plain, short};
use super::{COLORS, Chart, Labels, color};

/// A bar per name, from the top, that consists of a part per series, such as the samples of a class in each fold.
///
/// `series` have a name and a number per bar, in the order of `names`; what is missing, negative or not finite counts as 0.
/// Up to six series are told apart by their colors. `labels.x` says what is counted, `labels.y` is not drawn.
pub fn stacked(labels: Labels, names: &[String], series: &[(String, Vec<f64>)]) -> Chart {
    let value = |part: usize, i: usize| {
        let value = series.get(part).and_then(|(_, values)| values.get(i)).copied().unwrap_or_default();
        if value.is_finite() { value.max(0.0) } else { 0.0 }
    };
    let total = |i: usize| (0..series.len()).map(|part| value(part, i)).sum::<f64>();
    let scale = Scale::from_zero((0..names.len()).map(total)).rounded();
    let of: Vec<&str> = series.iter().map(|(name, _)| name.as_str()).collect();
    let (mut svg, used) =
        legend(&of, WIDTH, |i, [x, y]| format!(r#"<path d="M{x:.1} {:.1}h15v9h-15z" {}/>"#, y - 4.5, fill(i)));
    let (top, left) = (TOP + used, beside(names.iter().map(String::as_str)));
    let (row, room) = (row(names.len()), WIDTH - left - 14.0);
    let bottom = top + row * names.len() as f64;
    svg += &ticks(scale, [left, room], bottom, Some(top));
    for (i, name) in names.iter().enumerate() {
        let (y, mut sum) = (top + row * i as f64, 0.0);
        svg += &named(name, left, y, row);
        for (part, name_of_part) in of.iter().enumerate().filter(|(part, _)| value(*part, i) > 0.0) {
            let from = left + scale.share(sum) * room;
            sum += value(part, i);
            let to = left + scale.share(sum) * room;
            let about = format!("{}, {}: {}", escape(name), escape(name_of_part), plain(value(part, i)));
            let gap = if to - from > 3.0 { 1.0 } else { 0.0 };
            svg += &area([from, y + 2.5, to - from - gap, row - 5.0], &fill(part), &about);
        }
    }
    svg += &line([left, top], [left, bottom], &axis(".5"));
    svg += &text([left + room / 2.0, bottom + 2.0 * LINE], r#"text-anchor="middle""#, &short(labels.x, room));
    Chart::new(labels.title, [WIDTH, bottom + 38.0], &svg)
}

/// The same colors again are fainter.
fn fill(i: usize) -> String {
    let opacity = if (i / COLORS.len()).is_multiple_of(2) { "" } else { r#" fill-opacity=".5""# };
    format!(r#"fill="{}"{opacity}"#, color(i))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacked_parts_lie_beside_each_other() {
        let names = ["oak".to_string(), "elm".to_string()];
        let series = [("a".to_string(), vec![1.0, 2.0]), ("b".to_string(), vec![3.0, f64::NAN])];
        let chart = stacked(Labels::default(), &names, &series);
        let places: Vec<[f64; 2]> = chart
            .as_str()
            .split("<rect ")
            .skip(1)
            .map(|rect| {
                ["x=\"", "width=\""]
                    .map(|name| rect.split(name).nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            })
            .collect();
        let [[left, one], [next, three], [low, two]] = places[..] else { panic!("{places:?}") };
        assert!((left + one + 1.0 - next).abs() < 0.11 && (three - 3.0 * one).abs() < 2.5, "{places:?}");
        assert!((left - low).abs() < 0.01 && (two - 2.0 * one).abs() < 1.5, "{places:?}");
    }
}

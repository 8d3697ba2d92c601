//! Pictures inside of the page's file.

use super::{Encoded, Format, Picture};
use crate::report::clean::line;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minijinja::{Value, context};

/// Smaller pictures are enlarged pixel by pixel, to about twice this.
const TINY: usize = 48;
/// Between these every picture of a gallery gets the same width, in CSS pixels.
const SIDE: [usize; 2] = [96, 224];

/// The pictures as their template reads them, nothing if there are none.
pub(super) fn view(pictures: &[Picture]) -> Option<Value> {
    let images = pictures.iter().flat_map(|picture| &picture.images);
    let side = images.map(|image| shown(image)[0]).max().unwrap_or_default().clamp(SIDE[0], SIDE[1]);
    let pictures: Vec<Value> = pictures.iter().filter_map(picture).collect();
    (!pictures.is_empty()).then(|| context!(kind => "gallery", side, pictures))
}

fn picture(picture: &Picture) -> Option<Value> {
    let images: Vec<Value> = picture.images.iter().filter(|image| !image.bytes.is_empty()).map(encoded).collect();
    let lines: Vec<String> = picture.lines.iter().map(|text| line(text)).collect();
    let empty = images.is_empty() && picture.name.is_empty() && lines.is_empty();
    (!empty).then(|| context!(count => images.len().max(1), images, name => line(&picture.name), lines))
}

fn encoded(image: &Encoded) -> Value {
    let format = match image.format {
        Format::Jpeg => "jpeg",
        Format::Png => "png",
    };
    // No character of base64 is markup.
    let source = format!("data:image/{format};base64,{}", STANDARD.encode(&image.bytes));
    let [width, height] = shown(image);
    let pixels = image.width.max(image.height) < TINY;
    context!(source => Value::from_safe_string(source), alt => line(&image.alt), width, height, pixels)
}

/// Width and height of a picture on the page.
fn shown(image: &Encoded) -> [usize; 2] {
    let factor = enlargement(image.width.max(image.height));
    [image.width, image.height].map(|side| side.saturating_mul(factor))
}

/// How many times larger a picture is shown whose longer side has `side` pixels.
fn enlargement(side: usize) -> usize {
    match side {
        0 => 1,
        side if side < TINY => (2 * TINY / side).min(16),
        side if side < 2 * TINY => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pictures_are_enlarged_by_whole_numbers() {
        let sides = [0, 1, 8, 28, 32, 47, 48, 95, 96, 4000];
        assert_eq!(sides.map(enlargement), [1, 16, 12, 3, 3, 2, 2, 2, 1, 1]);
    }
}

//! Small pictures for pages.

use anyhow::{Result, bail};
use augment::pixel::{Interpolation, Region, resize};
use data::Image;
use eval::report::page::{Encoded, Format};
use jpeg_encoder::{ColorType, Encoder};

/// Longest side, pixels.
pub const SIDE: usize = 160;
const QUALITY: u8 = 82;

/// A picture of at most [`SIDE`] pixels a side; of a volume its middle slice, of many channels the first three.
pub fn thumbnail(image: &Image, alt: &str) -> Result<Encoded> {
    let shown = visible(image)?;
    let (width, height) = (shown.width(), shown.height());
    let longest = width.max(height);
    let small = |side: usize| (side * SIDE).div_ceil(longest).max(1);
    let shown = match longest > SIDE {
        true => {
            let whole = Region::whole(&shown);
            resize(shown, whole, [small(width), small(height)], Interpolation::Bilinear)
        }
        false => shown,
    };
    encode(&shown, alt)
}

/// One slice of one or three channels.
pub fn visible(image: &Image) -> Result<Image> {
    let [depth, height, width, channels] = image.dims();
    let slice = height * width * channels;
    let pixels = &image.pixels()[depth / 2 * slice..][..slice];
    let kept = if channels < 3 { 1 } else { 3 };
    let pixels = pixels.chunks_exact(channels).flat_map(|pixel| pixel[..kept].iter().copied()).collect();
    Ok(Image::new(width, height, kept, pixels)?)
}

/// The channels of the middle slice, each as a gray picture.
pub fn planes(image: &Image) -> Result<Vec<Image>> {
    let [depth, height, width, channels] = image.dims();
    let slice = height * width * channels;
    let pixels = &image.pixels()[depth / 2 * slice..][..slice];
    let plane = |channel: usize| pixels.iter().skip(channel).step_by(channels).copied().collect();
    (0..channels).map(|channel| Ok(Image::new(width, height, 1, plane(channel))?)).collect()
}

/// Pictures of one size and as many channels as one picture: side by side, in rows as long as there are rows.
pub fn mosaic(pictures: &[Image]) -> Result<Image> {
    let [one, ..] = pictures else { bail!("there is no picture to show") };
    if pictures.len() == 1 {
        return Ok(one.clone());
    }
    let columns = (1..).find(|columns| columns * columns >= pictures.len()).unwrap_or(1);
    let (width, height, channels) = (one.width(), one.height(), one.channels());
    let mut sheet = Image::filled(columns * width, pictures.len().div_ceil(columns) * height, &vec![0; channels]);
    let (row, whole) = (width * channels, columns * width * channels);
    for (i, picture) in pictures.iter().enumerate() {
        let start = i / columns * height * whole + i % columns * row;
        let lines = sheet.pixels_mut()[start..].chunks_mut(whole);
        for (to, from) in lines.zip(picture.pixels().chunks_exact(row)) {
            to[..row].copy_from_slice(from);
        }
    }
    Ok(sheet)
}

/// A picture of one or three channels as JPEG.
pub fn encode(image: &Image, alt: &str) -> Result<Encoded> {
    let (width, height) = (image.width(), image.height());
    let color = if image.channels() == 1 { ColorType::Luma } else { ColorType::Rgb };
    let mut bytes = vec![];
    let side = |side: usize| u16::try_from(side).unwrap_or(u16::MAX);
    Encoder::new(&mut bytes, QUALITY).encode(image.pixels(), side(width), side(height), color)?;
    Ok(Encoded { format: Format::Jpeg, bytes, width, height, alt: alt.into() })
}

//! From the bytes of a file to a picture: JPEG, PNG, BMP, TIFF, WebP and PNM, recognized by their content.
//!
//! Sizes are checked before memory is taken. A truncated file is an error, never a picture with a gray rest.

use crate::error::{Error, Result};
use crate::image::Image;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use serde::{Deserialize, Serialize};
use std::io::Cursor;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// Most pixels of a picture: PIL's limit against decompression bombs.
pub const MAX_PIXELS: u64 = 178_956_970;

/// What a picture is turned into, whatever the file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Color {
    /// Three channels; gray is repeated, transparency laid over white.
    #[default]
    Rgb,
    /// One channel, `0.299 R + 0.587 G + 0.114 B` as PIL's mode L.
    Gray,
}

impl Color {
    /// Channels of the decoded picture.
    pub fn channels(self) -> usize {
        match self {
            Self::Rgb => 3,
            Self::Gray => 1,
        }
    }
}

/// A picture and what its file is.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// Upright: the EXIF orientation is applied.
    pub image: Image,
    /// jpeg, png, bmp, tiff, webp, pnm; what a source calls itself where its pictures are no files.
    pub format: &'static str,
    /// Channels that the file stores: 1 gray, 2 gray with alpha, 3 color, 4 color with alpha or CMYK.
    pub stored_channels: usize,
    /// Whether the file stores more than eight bits per channel, of which the highest eight are kept.
    pub is_deep: bool,
}

/// Decodes `bytes`; `name` is what errors call the file.
///
/// # Errors
/// [`Error::Decode`] says what is wrong: empty, no picture, truncated, too large, unsupported.
pub fn decode(name: &str, bytes: &[u8], color: Color) -> Result<Decoded> {
    let decoded = match bytes {
        [] => Err("the file is empty".to_string()),
        [0xFF, 0xD8, ..] => jpeg(bytes, color),
        _ => other(bytes, color),
    };
    decoded.map_err(|why| Error::Decode { name: name.into(), why })
}

fn jpeg(bytes: &[u8], color: Color) -> Result<Decoded, String> {
    let space = match color {
        Color::Rgb => ColorSpace::RGB,
        Color::Gray => ColorSpace::Luma,
    };
    let (mut pixels, header) = match jpeg_pixels(bytes, space, true) {
        // Cameras leave stray bytes between headers; they cost no pixel.
        Err(why) if why.contains("Extra bytes between headers") => jpeg_pixels(bytes, space, false)?,
        // CMYK has no luma of its own.
        Err(_) if color == Color::Gray => {
            let (rgb, header) = jpeg_pixels(bytes, ColorSpace::RGB, true)?;
            (rgb.chunks_exact(3).map(luma).collect(), header)
        }
        result => result?,
    };
    if !ends_properly(bytes) {
        return Err("the JPEG is truncated: its end is missing".into());
    }
    let JpegHeader { width, height, stored_channels, orientation } = header;
    let mut image = if color == Color::Rgb {
        image::RgbImage::from_raw(width, height, std::mem::take(&mut pixels)).map(DynamicImage::from)
    } else {
        image::GrayImage::from_raw(width, height, std::mem::take(&mut pixels)).map(DynamicImage::from)
    }
    .ok_or("the JPEG has fewer pixels than its header says")?;
    image.apply_orientation(orientation);
    Ok(Decoded { image: finish(image, color)?, format: "jpeg", stored_channels, is_deep: false })
}

struct JpegHeader {
    width: u32,
    height: u32,
    stored_channels: usize,
    orientation: Orientation,
}

fn jpeg_pixels(bytes: &[u8], space: ColorSpace, strict: bool) -> Result<(Vec<u8>, JpegHeader), String> {
    let side = usize::from(u16::MAX);
    let options = DecoderOptions::default()
        .set_max_width(side)
        .set_max_height(side)
        .set_strict_mode(strict)
        .jpeg_set_out_colorspace(space);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|e| shown(&e))?;
    let (width, height) = decoder.dimensions().ok_or("the JPEG has no size")?;
    small_enough(width as u64, height as u64)?;
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    let stored_channels = decoder.input_colorspace().map_or(3, |space| space.num_components());
    let pixels = decoder.decode().map_err(|e| shown(&e))?;
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    Ok((pixels, JpegHeader { width: width as u32, height: height as u32, stored_channels, orientation }))
}

/// The decoder's reason; it prints an error as itself, so the first line is enough.
fn shown(error: &impl std::fmt::Debug) -> String {
    let text = format!("{error:?}");
    format!("the JPEG is broken: {}", text.lines().next().unwrap_or_default().trim().trim_matches('"'))
}

/// Whether an end marker follows the last scan. Inside a scan every 0xFF is followed by 0x00, so markers are real.
fn ends_properly(bytes: &[u8]) -> bool {
    let last = |marker: u8| bytes.windows(2).rposition(|pair| pair == [0xFF, marker]);
    matches!((last(0xDA), last(0xD9)), (Some(scan), Some(end)) if scan < end)
}

fn other(bytes: &[u8], color: Color) -> Result<Decoded, String> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    let format = match reader.format() {
        Some(image::ImageFormat::Png) => "png",
        Some(image::ImageFormat::Bmp) => "bmp",
        Some(image::ImageFormat::Tiff) => "tiff",
        Some(image::ImageFormat::WebP) => "webp",
        Some(image::ImageFormat::Pnm) => "pnm",
        Some(format) => return Err(format!("{format:?} is not supported; convert it to PNG or JPEG")),
        None => return Err("the file is no picture: its first bytes are of no known format".into()),
    };
    let broken = |e: image::ImageError| format!("the {} is broken: {e}", format.to_uppercase());
    let mut reader = reader;
    let mut limits = Limits::default();
    limits.max_alloc = Some(8 * MAX_PIXELS);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    small_enough(u64::from(width), u64::from(height))?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let stored = decoder.original_color_type();
    let stored_channels = usize::from(stored.channel_count());
    let is_deep = stored.bits_per_pixel() > 8 * u16::from(stored.channel_count());
    let mut image = DynamicImage::from_decoder(decoder).map_err(broken)?;
    image.apply_orientation(orientation);
    Ok(Decoded { image: finish(image, color)?, format, stored_channels, is_deep })
}

fn small_enough(width: u64, height: u64) -> Result<(), String> {
    match width.saturating_mul(height) {
        0 => Err(format!("the picture has no pixels: {width}×{height}")),
        pixels if pixels > MAX_PIXELS => {
            Err(format!("the header says {width}×{height}, more than the {MAX_PIXELS} pixels allowed"))
        }
        _ => Ok(()),
    }
}

/// To the wanted channels, transparency over white.
fn finish(image: DynamicImage, color: Color) -> Result<Image, String> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let pixels = match (image, color) {
        (DynamicImage::ImageLuma8(gray), Color::Gray) => gray.into_raw(),
        (image, color) => {
            let rgb = if image.color().has_alpha() {
                let over =
                    |c: u8, a: u8| ((u32::from(c) * u32::from(a) + 255 * (255 - u32::from(a)) + 127) / 255) as u8;
                let rgba = image.into_rgba8().into_raw();
                rgba.chunks_exact(4).flat_map(|p| [over(p[0], p[3]), over(p[1], p[3]), over(p[2], p[3])]).collect()
            } else {
                image.into_rgb8().into_raw()
            };
            if color == Color::Rgb { rgb } else { rgb.chunks_exact(3).map(luma).collect() }
        }
    };
    Image::new(width, height, color.channels(), pixels).map_err(|e| e.to_string())
}

/// PIL's 16-bit fixed point.
pub(crate) fn luma(rgb: &[u8]) -> u8 {
    let [r, g, b] = [rgb[0], rgb[1], rgb[2]].map(u32::from);
    ((r * 19_595 + g * 38_470 + b * 7_471 + 0x8000) >> 16) as u8
}

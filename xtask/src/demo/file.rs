//! The bytes of picture files: good ones, altered copies, broken ones.

use super::dhash;
use anyhow::Result;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::imageops::{self, FilterType as Resampling};
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use jpeg_encoder::{ColorType, Encoder};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a file holds.
#[derive(Clone, Copy, Debug)]
pub enum Content {
    /// A picture of its own.
    Drawn,
    /// The picture of another sample, by index.
    Copy { of: usize, how: Change },
    /// Nothing that can be decoded.
    Broken { how: Damage },
}

/// How a copy differs from its original.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// Not at all.
    Identical,
    /// The same pixels in other bytes.
    Rewritten,
    /// JPEG with losses of its own.
    Degraded,
    /// Sides times a factor near 1.
    Resized(f32),
    /// Brightness times a factor near 1.
    Brightened(f32),
}

/// How a file is broken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Damage {
    /// Ends within its header.
    HeaderCut,
    /// Ends within its pixels.
    PixelsCut,
    /// Has no bytes.
    Empty,
    /// Is an error page of a web server.
    Text,
    /// Claims 65500×65500 pixels.
    Giant,
    /// Is random bytes.
    Static,
}

/// A file format; JPEG with its quality.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    /// With losses.
    Jpeg(u8),
    /// Without.
    Png,
}

impl Format {
    /// Extension of file names.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg(_) => "jpg",
            Self::Png => "png",
        }
    }

    /// A picture as a file; a `rewritten` one has other bytes for the same pixels.
    pub fn encode(self, picture: &RgbImage, rewritten: bool) -> Result<Vec<u8>> {
        let mut bytes = vec![];
        let (width, height) = picture.dimensions();
        match self {
            Self::Jpeg(quality) => {
                let mut encoder = Encoder::new(&mut bytes, quality);
                if rewritten {
                    // Not other Huffman tables: decoders do not all give the same pixels for them.
                    encoder.add_app_segment(15, b"a copy".to_vec())?;
                }
                encoder.encode(picture.as_raw(), width as u16, height as u16, ColorType::Rgb)?;
            }
            Self::Png => {
                let filter = if rewritten { FilterType::Paeth } else { FilterType::Sub };
                let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, filter);
                encoder.write_image(picture.as_raw(), width, height, ExtendedColorType::Rgb8)?;
            }
        }
        Ok(bytes)
    }
}

impl Change {
    /// The changed picture; a change that the perceptual hash would take for another picture is made milder.
    pub fn apply(self, original: &RgbImage) -> RgbImage {
        let milder = [1., 0.6].into_iter().map(|strength| self.at(strength, original));
        let near = milder.into_iter().find(|changed| dhash::distance(changed, original) <= 1);
        near.unwrap_or_else(|| self.at(0.3, original))
    }

    fn at(self, strength: f32, picture: &RgbImage) -> RgbImage {
        match self {
            Self::Identical | Self::Rewritten | Self::Degraded => picture.clone(),
            Self::Resized(factor) => {
                let side = |pixels: u32| {
                    let change = strength * (factor - 1.) * pixels as f32;
                    // A size that stays the same would make an exact copy.
                    (pixels as f32 + change.abs().max(1.).copysign(change)).round() as u32
                };
                imageops::resize(picture, side(picture.width()), side(picture.height()), Resampling::CatmullRom)
            }
            Self::Brightened(factor) => {
                let factor = 1. + strength * (factor - 1.);
                let mut picture = picture.clone();
                picture.iter_mut().for_each(|value| *value = (f32::from(*value) * factor).round() as u8);
                picture
            }
        }
    }
}

impl Damage {
    /// All ways to break a file.
    pub const ALL: [Self; 6] = [Self::HeaderCut, Self::PixelsCut, Self::Empty, Self::Text, Self::Giant, Self::Static];

    /// Breaks a good file.
    pub fn apply(self, mut good: Vec<u8>) -> Vec<u8> {
        match self {
            Self::HeaderCut => good.truncate(24),
            Self::PixelsCut => good.truncate(good.len() * 3 / 5),
            Self::Empty => good.clear(),
            Self::Text => good = b"<html><body><h1>404 Not Found</h1></body></html>\n".to_vec(),
            Self::Giant => enlarge(&mut good),
            Self::Static => {
                let mut rng = ChaCha8Rng::seed_from_u64(good.len() as u64);
                rng.fill(&mut good[..]);
            }
        }
        good
    }
}

/// Writes 65500×65500 into the header of a PNG, and the checksum that belongs to it.
fn enlarge(png: &mut [u8]) {
    png[16..20].copy_from_slice(&65500u32.to_be_bytes());
    png[20..24].copy_from_slice(&65500u32.to_be_bytes());
    let checksum = !png[12..29].iter().fold(u32::MAX, |sum, byte| {
        let shift = |sum: u32| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| shift(sum))
    });
    png[29..33].copy_from_slice(&checksum.to_be_bytes());
}

//! Lossy files.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// What saving and loading as a JPEG or as a WebP leaves (Albumentations `ImageCompression`, `torchvision` `JPEG`): exactly
/// what Pillow leaves at the same quality.
///
/// WebP needs the feature `webp`, which builds libwebp; sides above 16383, which it cannot hold, stay as they are.
///
/// Three channels are a color picture, of another number each is a gray picture. The default reaches from visible blocks
/// to traces; Albumentations' [99, 100] changes next to nothing.
///
/// | field | default | range |
/// |---|---|---|
/// | `format` | `jpeg` | `jpeg`, `webp` |
/// | `quality` | [50, 95] | 1 ≤ low ≤ high ≤ 100 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Compression {
    /// Of the file.
    pub format: Format,
    /// Smallest and largest quality.
    pub quality: [u8; 2],
}

/// A lossy format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Chroma at half the resolution (4:2:0).
    #[default]
    Jpeg,
    /// Lossy WebP, of libwebp's default effort.
    Webp,
}

impl Default for Compression {
    fn default() -> Self {
        Self { format: Format::Jpeg, quality: [50, 95] }
    }
}

impl Transform for Compression {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let quality = draw.whole("quality", self.quality.map(i64::from)) as u8;
        match self.format {
            Format::Jpeg => pixel::jpeg(&mut image, quality),
            #[cfg(feature = "webp")]
            Format::Webp => pixel::webp(&mut image, quality),
            #[cfg(not(feature = "webp"))]
            Format::Webp => {}
        }
        image
    }
    fn validate(&self) -> Result<()> {
        let built = cfg!(feature = "webp") || self.format != Format::Webp;
        check::that(built, "transform 'compression'", || {
            "format webp must be built in: build with the feature `webp`".into()
        })?;
        let [low, high] = self.quality;
        check::that(1 <= low && low <= high && high <= 100, "transform 'compression'", || {
            format!("quality must be [low, high] with 1 ≤ low ≤ high ≤ 100, got [{low}, {high}]")
        })
    }
}

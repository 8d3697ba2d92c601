//! Lossy files.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::jpeg;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// What saving and loading as a JPEG leaves (Albumentations `ImageCompression`, `torchvision` `JPEG`): exactly what Pillow
/// leaves at the same quality.
///
/// Three channels are a color picture, of another number each is a gray picture. The default reaches from visible blocks
/// to traces; Albumentations' [99, 100] changes next to nothing.
///
/// | field | default | range |
/// |---|---|---|
/// | `format` | `jpeg` | `jpeg` |
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
            Format::Jpeg => jpeg(&mut image, quality),
        }
        image
    }
    fn validate(&self) -> Result<()> {
        let [low, high] = self.quality;
        check::that(1 <= low && low <= high && high <= 100, "transform 'compression'", || {
            format!("quality must be [low, high] with 1 ≤ low ≤ high ≤ 100, got [{low}, {high}]")
        })
    }
}

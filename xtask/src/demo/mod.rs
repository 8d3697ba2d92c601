//! Look-alike data: leaves drawn by the program, in the layouts of competitions, with the defects of real data.
//!
//! [`plan`] decides on plants and pictures, [`defects`] on what is wrong with them, [`layout`] on where they lie;
//! [`picture`] draws. Every picture has a random stream of its own, so threads may draw in any order.

mod camera;
mod canvas;
mod color;
mod defects;
mod dhash;
mod file;
mod frame;
mod ground;
mod layout;
mod leaf;
mod noise;
mod picture;
mod plan;
mod species;
#[cfg(test)]
mod tests;

use anyhow::{Result, ensure};
use plan::Plan;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// `[demo]`: look-alike data of a recipe's layout.
///
/// | field | default | range |
/// |---|---|---|
/// | `layout` | csv | csv, nested, flat_test |
/// | `images` | 600 | training pictures, defective ones included; at least 100, and 20 per class |
/// | `test_images` | 150 | at least one per class |
/// | `classes` | 5 | 2..=12 species |
/// | `size` | 64 | 16..=512 pixels, about the side of a picture |
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Demo {
    /// Where pictures and labels lie.
    pub layout: Layout,
    /// Training pictures, defective ones included.
    pub images: usize,
    /// Test pictures.
    pub test_images: usize,
    /// Species.
    pub classes: usize,
    /// About the side of a picture, pixels.
    pub size: u32,
}

/// Where pictures and labels lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Tables beside one folder of pictures: `images/<id>.jpg`, `train.csv`, `test.csv`, `sample_submission.csv`.
    #[default]
    Csv,
    /// Class folders, nested twice as some zips leave them: `seg_train/seg_train/<class>/<n>.jpg`, likewise `seg_test`;
    /// `seg_pred/seg_pred/<n>.jpg`.
    Nested,
    /// Class folders and a flat test folder: `train/<class>/<id>.png`, `test/<id>.png`, `sample_submission.csv`.
    FlatTest,
}

impl Default for Demo {
    fn default() -> Self {
        Self { layout: Layout::default(), images: 600, test_images: 150, classes: 5, size: 64 }
    }
}

impl Demo {
    /// Whether such data can be made.
    pub fn validate(&self) -> Result<()> {
        let Self { images, test_images, classes, size, .. } = *self;
        let most = species::SPECIES.len();
        ensure!((2..=most).contains(&classes), "demo.classes is {classes}, must be within 2..={most}");
        let least = (20 * classes).max(100);
        ensure!(images >= least, "demo.images is {images}, {classes} classes and their defects need at least {least}");
        ensure!(test_images >= classes, "demo.test_images is {test_images}, {classes} classes need at least {classes}");
        ensure!((16..=512).contains(&size), "demo.size is {size}, must be within 16..=512 pixels");
        Ok(())
    }

    /// Writes the data into `folder`; the same seed gives the same bytes.
    ///
    /// `planted.json` lists what is wrong with them, kind → sorted ids: the file's stem in the csv layout, else its
    /// path below `folder`.
    pub fn write(&self, folder: &Path, seed: u64) -> Result<()> {
        self.validate()?;
        let mut plan = Plan::new(self, &mut stream(seed, 0));
        defects::plant(&mut plan, self, seed)?;
        layout::write(&plan, self, folder, seed)
    }
}

/// Random numbers of their own for every `number`.
fn stream(seed: u64, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    rng
}

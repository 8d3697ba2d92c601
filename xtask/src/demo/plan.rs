//! What there is: plants of several species, and how many pictures of each.

use super::defects::Defect;
use super::file::{Content, Format};
use super::picture::Look;
use super::species::SPECIES;
use super::{Demo, Layout, stream};
use image::RgbImage;
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Where plants grow.
pub const SITES: [&str; 5] = ["garden", "hillside", "nursery", "riverbank", "roadside"];

/// Streams of random numbers below this one are not of pictures.
const PICTURES: u64 = 16;

/// All plants and all pictures, in the order of the tables.
pub struct Plan {
    /// Training plants and test plants, mixed.
    pub plants: Vec<Plant>,
    /// Training pictures, then test pictures, then unlabeled ones.
    pub samples: Vec<Sample>,
}

/// One plant; its pictures resemble each other.
pub struct Plant {
    /// Index in [`SITES`].
    pub site: usize,
    look: Look,
    species: usize,
    height_cm: f32,
}

/// One picture.
pub struct Sample {
    /// What it is for.
    pub part: Part,
    /// File name without extension.
    pub stem: String,
    /// File format.
    pub format: Format,
    /// Index in the plan.
    pub plant: usize,
    /// Species of the plant.
    pub species: usize,
    /// Species that is claimed.
    pub label: usize,
    /// Height of the plant when the picture was taken.
    pub height_cm: f32,
    /// What the file holds.
    pub content: Content,
    /// What is wrong with it.
    pub defect: Option<Defect>,
}

/// What a picture is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Training.
    Train,
    /// Test.
    Test,
    /// Prediction only: `seg_pred`.
    Unlabeled,
}

impl Plan {
    /// Plants and pictures without defects.
    pub fn new(demo: &Demo, rng: &mut ChaCha8Rng) -> Self {
        let mut plan = Self { plants: vec![], samples: vec![] };
        plan.grow(Part::Train, demo.images, demo, rng);
        plan.grow(Part::Test, demo.test_images, demo, rng);
        if demo.layout == Layout::Nested {
            plan.grow(Part::Unlabeled, (demo.test_images / 10).max(demo.classes), demo, rng);
        }
        plan.mix_plants(rng);
        plan.name(demo.layout, rng);
        plan
    }

    fn grow(&mut self, part: Part, total: usize, demo: &Demo, rng: &mut ChaCha8Rng) {
        let start = self.samples.len();
        for (species, mut left) in class_counts(total, demo.classes, imbalance(demo.layout)).into_iter().enumerate() {
            while left > 0 {
                let most = plant_pictures(demo.layout);
                let count = rng.random_range(1..=most).min(rng.random_range(1..=most)).min(left);
                let plant = self.plants.len();
                self.plants.push(Plant::new(species, rng));
                self.samples.extend((0..count).map(|_| Sample::new(part, plant, &self.plants[plant], rng)));
                left -= count;
            }
        }
        self.samples[start..].shuffle(rng);
    }

    /// The number of a plant must not tell its species.
    fn mix_plants(&mut self, rng: &mut ChaCha8Rng) {
        let mut order: Vec<usize> = (0..self.plants.len()).collect();
        order.shuffle(rng);
        let mut plants: Vec<(usize, Plant)> = order.iter().copied().zip(self.plants.drain(..)).collect();
        plants.sort_by_key(|(place, _)| *place);
        self.plants = plants.into_iter().map(|(_, plant)| plant).collect();
        for sample in &mut self.samples {
            sample.plant = order[sample.plant];
        }
    }

    fn name(&mut self, layout: Layout, rng: &mut ChaCha8Rng) {
        let offset: u64 = rng.random();
        for (i, sample) in self.samples.iter_mut().enumerate() {
            (sample.stem, sample.format) = match layout {
                Layout::Csv if rng.random_bool(0.15) => (format!("leaf_{:04}", i + 1), Format::Png),
                Layout::Csv => (format!("leaf_{:04}", i + 1), Format::Jpeg(rng.random_range(86..=95))),
                Layout::Nested => (i.to_string(), Format::Jpeg(rng.random_range(86..=95))),
                // An odd factor never gives two numbers of 36 bits alike.
                Layout::FlatTest => {
                    let number = (i as u64).wrapping_mul(0x5_851f_42d5).wrapping_add(offset);
                    (format!("{:09x}", number & 0xf_ffff_ffff), Format::Png)
                }
            };
        }
    }
}

impl Plant {
    fn new(species: usize, rng: &mut ChaCha8Rng) -> Self {
        let site = rng.random_range(0..SITES.len());
        let spread = rng.random_range(-0.4..0.4f32) + rng.random_range(-0.3..0.3);
        let height_cm = SPECIES[species].height_cm * spread.exp();
        Self { look: Look::new(&SPECIES[species], site, rng), site, species, height_cm }
    }

    /// Draws picture `number` of the data, which is of this plant, about `size` pixels a side.
    pub fn picture(&self, number: usize, size: u32, seed: u64) -> RgbImage {
        self.look.draw(size, &mut stream(seed, PICTURES + number as u64))
    }
}

impl Sample {
    fn new(part: Part, plant: usize, grown: &Plant, rng: &mut ChaCha8Rng) -> Self {
        Self {
            part,
            stem: String::new(),
            format: Format::Png,
            plant,
            species: grown.species,
            label: grown.species,
            height_cm: grown.height_cm * rng.random_range(0.94..1.06),
            content: Content::Drawn,
            defect: None,
        }
    }
}

/// How many times the largest class is as large as the smallest, as in the competitions that a layout is after.
fn imbalance(layout: Layout) -> f64 {
    match layout {
        Layout::Csv => 6.,
        Layout::Nested => 1.2,
        Layout::FlatTest => 3.,
    }
}

/// Only a table can say that pictures belong together.
fn plant_pictures(layout: Layout) -> usize {
    match layout {
        Layout::Csv => 12,
        Layout::Nested | Layout::FlatTest => 1,
    }
}

/// A geometric series that sums up to `total`, at least one of each class.
fn class_counts(total: usize, classes: usize, imbalance: f64) -> Vec<usize> {
    let share = |class: usize| imbalance.powf(-(class as f64) / (classes - 1) as f64);
    let all: f64 = (0..classes).map(share).sum();
    let mut counts: Vec<usize> =
        (0..classes).map(|class| ((total as f64 * share(class) / all) as usize).max(1)).collect();
    // What rounding left over.
    while counts.iter().sum::<usize>() > total {
        counts[0] -= 1;
    }
    counts[0] += total - counts.iter().sum::<usize>();
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_counts_sum_up_and_are_as_unequal_as_asked() {
        let counts = class_counts(600, 5, 6.);
        assert_eq!(counts.iter().sum::<usize>(), 600);
        let ratio = counts[0] as f64 / counts[4] as f64;
        assert!((5.5..7.).contains(&ratio), "{counts:?}");
        assert_eq!(class_counts(12, 12, 6.), [1; 12]);
    }
}

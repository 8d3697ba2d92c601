//! Shapes drawn by the program.

use super::{Collection, Found, Listing, Reader, Source};
use crate::decode::Decoded;
use crate::error::{Error, Result};
use crate::image::Image;
use crate::labels::Kind;
use crate::rng::stream;
use crate::row::{Part, Row, Target};
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Stripes of an angle per class on noise: easy, endless, and the same on every machine.
///
/// | field | default | range |
/// |---|---|---|
/// | `len` | 256 | pictures, at least 1 |
/// | `test` | 0 | further pictures of the test part, labelled |
/// | `classes` | 4 | 2..=36 |
/// | `size` | 16 | side, pixels, 4..=1024 |
/// | `noise` | 40 | largest gray levels added, 0..=127 |
/// | `seed` | 0 | of the drawing |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Synthetic {
    /// Pictures to learn from.
    pub len: usize,
    /// Pictures of the test part.
    pub test: usize,
    /// Classes.
    pub classes: usize,
    /// Side, pixels.
    pub size: usize,
    /// Largest gray levels added.
    pub noise: u8,
    /// Of the drawing.
    pub seed: u64,
}

impl Default for Synthetic {
    fn default() -> Self {
        Self { len: 256, test: 0, classes: 4, size: 16, noise: 40, seed: 0 }
    }
}

impl Source for Synthetic {
    fn open(&mut self) -> Result<Collection> {
        let wrong = |why: &str| Err(Error::Invalid(format!("source 'synthetic': {why}")));
        match self {
            _ if self.len == 0 => return wrong("len must be at least 1"),
            _ if !(2..=36).contains(&self.classes) => return wrong("classes must be in 2..=36"),
            _ if !(4..=1024).contains(&self.size) => return wrong("size must be in 4..=1024"),
            _ if self.noise > 127 => return wrong("noise must be in 0..=127"),
            _ => {}
        }
        let count = self.len + self.test;
        let path = |i: usize| format!("{i:06}");
        let row = |i: usize| Row {
            id: path(i),
            part: if i < self.len { Part::Train } else { Part::Test },
            target: Some(Target::Class((i % self.classes) as u32)),
            ..Row::default()
        };
        let config = self.clone();
        let read: Reader = Arc::new(move |path| {
            let index =
                path.parse().map_err(|_| Error::Invalid(format!("source 'synthetic' has no picture '{path}'")))?;
            Ok(Decoded { image: config.draw(index)?, format: "drawn", stored_channels: 3, is_deep: false })
        });
        let dataset = Arc::new(Listing {
            rows: (0..count).map(row).collect(),
            paths: (0..count).map(path).collect(),
            classes: (0..self.classes).map(|c| format!("{} degrees", 180 * c / self.classes)).collect(),
            columns: vec![],
            read: read.clone(),
        });
        Ok(Collection {
            dataset,
            target: Kind::Class,
            files: (0..count).map(|i| Found { path: path(i), row: Some(i) }).collect(),
            missing_files: vec![],
            missing_values: BTreeMap::new(),
            label: None,
            sample_submission: None,
            warnings: vec![],
            read,
            stamp: Arc::new(|_| None),
        })
    }
}

impl Synthetic {
    fn draw(&self, index: usize) -> Result<Image> {
        let mut rng = stream(self.seed, 0, index as u64);
        let angle = std::f64::consts::PI * (index % self.classes) as f64 / self.classes as f64;
        let (sin, cos) = angle.sin_cos();
        let (phase, period) =
            (rng.random_range(0.0..std::f64::consts::TAU), rng.random_range(0.8..1.2) * self.size as f64 / 3.0);
        let color: [f64; 3] = std::array::from_fn(|_| rng.random_range(40.0..110.0));
        let noise = f64::from(self.noise);
        let mut pixels = Vec::with_capacity(self.size * self.size * 3);
        for y in 0..self.size {
            for x in 0..self.size {
                let wave = (std::f64::consts::TAU * (cos * x as f64 + sin * y as f64) / period + phase).sin();
                pixels.extend(color.map(|c| {
                    let noise = if noise > 0.0 { rng.random_range(-noise..noise) } else { 0.0 };
                    (127.0 + c * wave + noise).clamp(0.0, 255.0) as u8
                }));
            }
        }
        Image::new(self.size, self.size, 3, pixels)
    }
}

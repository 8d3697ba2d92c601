//! The mean picture of each class.

use crate::image::Image;
use crate::similar::shrink;
use std::sync::{Mutex, PoisonError};

/// Side of a mean picture, pixels.
const SIDE: usize = 32;

/// The mean of a class's pictures, each shrunk to 32×32 whatever its shape; of volumes the middle slices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeanImage {
    /// The class.
    pub class: String,
    /// Pictures in the mean.
    pub count: usize,
    /// The mean, with the channels of the pictures.
    pub image: Image,
}

/// Sums while pictures come in, from any thread: whole numbers, so that their order does not matter.
pub(super) struct Means(Vec<Mutex<(u32, Vec<u32>)>>);

impl Means {
    pub fn new(classes: usize) -> Self {
        Self((0..classes).map(|_| Mutex::new((0, vec![]))).collect())
    }

    /// Adds a picture to some classes; one with other channels than the first is left out.
    pub fn add(&self, image: &Image, classes: impl Iterator<Item = usize>) {
        let mut small = None;
        for class in classes {
            let small = small.get_or_insert_with(|| shrink(image, SIDE, SIDE));
            let Some(place) = self.0.get(class) else { continue };
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            let (count, sums) = &mut *place;
            if *count == 0 {
                *sums = vec![0; small.len()];
            }
            // 2²⁴ pictures of white fill the sums.
            if sums.len() == small.len() && *count < 1 << 24 {
                *count += 1;
                sums.iter_mut().zip(small.iter()).for_each(|(sum, v)| *sum += u32::from(*v));
            }
        }
    }

    /// The means of all classes that have pictures.
    pub fn finish(self, classes: &[String]) -> Vec<MeanImage> {
        let mean = |(place, class): (Mutex<(u32, Vec<u32>)>, &String)| {
            let (count, sums) = place.into_inner().unwrap_or_else(PoisonError::into_inner);
            let pixels = sums.iter().map(|sum| ((sum + count / 2) / count.max(1)) as u8).collect();
            let image = Image::new(SIDE, SIDE, sums.len() / (SIDE * SIDE), pixels).ok()?;
            Some(MeanImage { class: class.clone(), count: count as usize, image })
        };
        self.0.into_iter().zip(classes).filter_map(mean).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_a_class_are_averaged() {
        let means = Means::new(3);
        means.add(&Image::filled(64, 40, &[10, 20, 30]), [0, 2].into_iter());
        means.add(&Image::filled(7, 9, &[20, 20, 255]), [0].into_iter());
        let found = means.finish(&["a".into(), "b".into(), "c".into()]);
        assert_eq!(found.len(), 2, "no picture shows b");
        assert_eq!((&found[0].class[..], found[0].count), ("a", 2));
        assert_eq!(found[0].image, Image::filled(32, 32, &[15, 20, 143]));
        assert_eq!(found[1].image, Image::filled(32, 32, &[10, 20, 30]));
    }
}

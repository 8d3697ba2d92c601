//! The mean picture of each class.

use crate::image::Image;
use crate::similar::shrink;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Side of a mean picture, pixels.
const SIDE: usize = 32;
/// Most classes that have a mean picture: a hundred thousand of them would fill the memory.
const MOST: usize = 1000;

/// The mean of a class's pictures, each shrunk to 32×32 whatever its shape; of volumes the middle slices. Where they have
/// different channels, the mean of those with the most frequent number of channels, of several the largest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeanImage {
    /// The class.
    pub class: String,
    /// Pictures in the mean.
    pub count: usize,
    /// The mean, with the channels of the pictures.
    pub image: Image,
}

/// By channels how many pictures, and the sums of their pixels.
type Sums = BTreeMap<usize, (usize, Vec<u64>)>;

/// Sums while pictures come in, from any thread: whole numbers of each class and number of channels, so that the order of the
/// pictures does not matter.
pub(super) struct Means<'a> {
    classes: &'a [String],
    sums: Vec<Mutex<Sums>>,
}

impl<'a> Means<'a> {
    pub fn new(classes: &'a [String]) -> Self {
        Self { classes, sums: classes.iter().take(MOST).map(|_| Mutex::default()).collect() }
    }

    /// Adds a picture to some classes.
    pub fn add(&self, image: &Image, classes: impl Iterator<Item = usize>) {
        let mut small = None;
        for sums in classes.filter_map(|class| self.sums.get(class)) {
            let small = small.get_or_insert_with(|| shrink(image, SIDE, SIDE));
            let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
            let (count, sums) = sums.entry(image.channels()).or_insert_with(|| (0, vec![0; small.len()]));
            *count += 1;
            sums.iter_mut().zip(small.iter()).for_each(|(sum, v)| *sum += u64::from(*v));
        }
    }

    /// The means of all classes that have pictures.
    pub fn finish(self) -> Vec<MeanImage> {
        let mean = |(sums, class): (Mutex<Sums>, &String)| {
            let sums = sums.into_inner().unwrap_or_else(PoisonError::into_inner);
            let (channels, (count, sums)) =
                sums.into_iter().max_by_key(|(channels, (count, _))| (*count, *channels))?;
            let half = count as u64 / 2;
            let pixels = sums.iter().map(|sum| ((sum + half) / count as u64) as u8).collect();
            let image = Image::new(SIDE, SIDE, channels, pixels).ok()?;
            Some(MeanImage { class: class.clone(), count, image })
        };
        self.sums.into_iter().zip(self.classes).filter_map(mean).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn means(pictures: &[(Image, &[usize])]) -> Vec<MeanImage> {
        let classes = ["a", "b", "c"].map(String::from);
        let means = Means::new(&classes);
        pictures.iter().for_each(|(image, classes)| means.add(image, classes.iter().copied()));
        means.finish()
    }

    #[test]
    fn pictures_of_a_class_are_averaged() {
        let found =
            means(&[(Image::filled(64, 40, &[10, 20, 30]), &[0, 2]), (Image::filled(7, 9, &[20, 20, 255]), &[0])]);
        assert_eq!(found.len(), 2, "no picture shows b");
        assert_eq!((&found[0].class[..], found[0].count), ("a", 2));
        assert_eq!(found[0].image, Image::filled(32, 32, &[15, 20, 143]));
        assert_eq!(found[1].image, Image::filled(32, 32, &[10, 20, 30]));
    }

    /// Whichever comes first.
    #[test]
    fn of_different_channels_the_most_frequent_ones_are_averaged() {
        let (gray, color) = (Image::filled(8, 8, &[7]), Image::filled(9, 8, &[1, 2, 3]));
        let mut pictures: Vec<(Image, &[usize])> =
            vec![(gray.clone(), &[0, 1]), (color.clone(), &[0, 1]), (gray, &[0]), (color, &[2])];
        let found = means(&pictures);
        let channels: Vec<(usize, usize)> = found.iter().map(|mean| (mean.count, mean.image.channels())).collect();
        assert_eq!(channels, [(2, 1), (1, 3), (1, 3)]);
        pictures.reverse();
        assert_eq!(means(&pictures), found);
    }
}

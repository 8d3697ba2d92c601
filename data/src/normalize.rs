//! Means and deviations that pictures are normalized with: known ones by name, measured ones, those of each picture or group.
//!
//! ```
//! use sconce_data::{Image, Normalize, Row, normalize};
//! let picture = Image::new(2, 1, 1, vec![100, 104])?;
//! let own = Normalize::PerImage { unbiased: false }.of(&Row::default(), &picture)?;
//! assert!((own.mean[0] - 102.0 / 255.0).abs() < 1e-6 && (own.std[0] - 2.0 / 255.0).abs() < 1e-6);
//! assert_eq!(normalize::named("mnist")?.mean, [0.1307]);
//! # Ok::<(), sconce_data::Error>(())
//! ```

use crate::batch::Stats;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::image::Image;
use crate::key::Key;
use crate::row::Row;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Name, what it is of, means and deviations.
type Known = (&'static str, &'static str, &'static [f32], &'static [f32]);

/// Means and deviations that are known by name, in units of 0..=1.
pub const STATS: &[Known] = &[
    ("cifar10", "CIFAR-10's training pictures.", &[0.4914, 0.4822, 0.4465], &[0.2470, 0.2435, 0.2616]),
    ("cifar100", "CIFAR-100's training pictures.", &[0.5071, 0.4865, 0.4409], &[0.2673, 0.2564, 0.2762]),
    ("fashion_mnist", "Fashion-MNIST's training pictures, gray.", &[0.2860], &[0.3530]),
    ("imagenet", "ImageNet's, what most pretrained networks expect.", &[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]),
    ("inception", "From -1 to 1, what Inception and its kin expect.", &[0.5, 0.5, 0.5], &[0.5, 0.5, 0.5]),
    ("mnist", "MNIST's training pictures, gray.", &[0.1307], &[0.3081]),
];

/// The means and deviations known as `name`.
///
/// # Errors
/// [`Error::Unknown`] lists the names there are.
pub fn named(name: &str) -> Result<Stats> {
    let known = || STATS.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ");
    let found = STATS.iter().find(|(known, ..)| *known == name);
    let (.., mean, std) =
        found.ok_or_else(|| Error::Unknown { kind: "statistics", name: name.into(), known: known() })?;
    Ok(Stats { mean: mean.to_vec(), std: std.to_vec() })
}

/// What a picture is normalized with, `(v/255 − mean) / std` in each channel, where that is not the same for all pictures
/// ([`LoaderConfig::stats`](crate::LoaderConfig::stats)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Normalize {
    /// Each picture's own mean and deviation plus 1e-8: it says nothing of the exposure. A channel without change becomes 0.
    PerImage {
        /// Divide by n − 1, as `torch.std` does, instead of n.
        #[serde(default)]
        unbiased: bool,
    },
    /// Those of the row's group, plate or experiment: it says nothing of what they were recorded with.
    PerGroup {
        /// What tells groups apart.
        key: Key,
        /// By group.
        groups: BTreeMap<String, Stats>,
        /// Of all other groups.
        other: Stats,
    },
}

impl Normalize {
    /// What `image`, a picture of `row`, is normalized with.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there are not as many means and deviations as the picture has channels.
    pub fn of(&self, row: &Row, image: &Image) -> Result<Cow<'_, Stats>> {
        let stats = match self {
            Self::PerImage { unbiased } => Cow::Owned(Moments::of(image).own(*unbiased)),
            Self::PerGroup { key, groups, other } => {
                Cow::Borrowed(key.of(row).and_then(|group| groups.get(&group)).unwrap_or(other))
            }
        };
        stats.check(image.channels())?;
        Ok(stats)
    }

    /// What `image` alone says, where that is all that counts.
    pub(crate) fn own(&self, image: &Image) -> Option<Stats> {
        match self {
            Self::PerImage { unbiased } => Some(Moments::of(image).own(*unbiased)),
            Self::PerGroup { .. } => None,
        }
    }

    /// Measures the groups that `key` tells apart, over `rows` of `dataset` and no others; all of them together stand in for
    /// groups that are not among them. See [`measure`].
    ///
    /// # Errors
    /// As [`measure`].
    pub fn per_group(
        key: Key,
        dataset: &dyn Dataset,
        rows: &[usize],
        prepare: &(dyn Fn(Image) -> Image + Sync),
    ) -> Result<Self> {
        type Groups = BTreeMap<Option<String>, Moments>;
        let add = |mut groups: Groups, (group, moments): (Option<String>, Moments)| {
            let sum = groups.entry(group).or_default();
            *sum = std::mem::take(sum).and(moments)?;
            Ok::<_, Error>(groups)
        };
        // One pass over all pictures: many small groups keep all cores busy, too.
        let measured = rows.par_iter().map(|&row| (key.of(&dataset.rows()[row]), of_row(dataset, row, prepare)));
        let moments = measured
            .try_fold(Groups::new, |groups, (group, moments)| add(groups, (group, moments?)))
            .try_reduce(Groups::new, |groups, more| more.into_iter().try_fold(groups, add))?;
        let other = moments.values().cloned().try_fold(Moments::default(), Moments::and)?.stats()?;
        let groups = moments.into_iter().filter_map(|(group, moments)| Some((group?, moments)));
        let groups = groups.map(|(group, moments)| Ok((group, moments.stats()?))).collect::<Result<_>>()?;
        Ok(Self::PerGroup { key, groups, other })
    }
}

/// Mean and deviation of each channel over all pixels of all pictures of `rows`, which are decoded on all cores one after the
/// other, each changed by `prepare` as the network will see it. Sums are whole numbers: the result depends neither on threads
/// nor on the order of the rows.
///
/// # Errors
/// When a picture cannot be decoded; [`Error::Invalid`] when there is none, or numbers of channels differ.
pub fn measure(dataset: &dyn Dataset, rows: &[usize], prepare: &(dyn Fn(Image) -> Image + Sync)) -> Result<Stats> {
    let moments = rows.par_iter().map(|&row| of_row(dataset, row, prepare));
    moments.try_reduce(Moments::default, Moments::and)?.stats()
}

/// Of all pictures of a row.
fn of_row(dataset: &dyn Dataset, row: usize, prepare: &(dyn Fn(Image) -> Image + Sync)) -> Result<Moments> {
    (0..dataset.pictures(row))
        .try_fold(Moments::default(), |sum, nth| sum.and(Moments::of(&prepare(dataset.picture(row, nth)?))))
}

/// Pixels, and of each channel the sum and the sum of squares of their values.
#[derive(Clone, Debug, Default)]
struct Moments {
    pixels: u64,
    sums: Vec<[u128; 2]>,
}

impl Moments {
    fn of(image: &Image) -> Self {
        let channels = image.channels();
        let mut sums = vec![[0u64; 2]; channels];
        for pixel in image.pixels().chunks_exact(channels) {
            for (sum, &v) in sums.iter_mut().zip(pixel) {
                sum[0] += u64::from(v);
                sum[1] += u64::from(v) * u64::from(v);
            }
        }
        let pixels = (image.pixels().len() / channels.max(1)) as u64;
        Self { pixels, sums: sums.into_iter().map(|sum| sum.map(u128::from)).collect() }
    }

    /// Both together; one without pixels changes nothing.
    fn and(mut self, other: Self) -> Result<Self> {
        if self.pixels == 0 || other.pixels == 0 {
            return Ok(if self.pixels == 0 { other } else { self });
        }
        if self.sums.len() != other.sums.len() {
            let (a, b) = (self.sums.len(), other.sums.len());
            return Err(Error::Invalid(format!(
                "pictures with {} and with {} channels cannot be measured together; give all one color (data.color)",
                a.min(b),
                a.max(b)
            )));
        }
        self.pixels += other.pixels;
        for (sum, own) in self.sums.iter_mut().zip(other.sums) {
            *sum = [sum[0] + own[0], sum[1] + own[1]];
        }
        Ok(self)
    }

    /// Of a data set: a channel that never changes is left at its scale.
    fn stats(&self) -> Result<Stats> {
        match self.pixels {
            0 => Err(Error::Invalid("there are no pictures to measure the mean and deviation of".into())),
            _ => Ok(self.divided(self.pixels, 0.0)),
        }
    }

    /// Of a picture.
    fn own(&self, unbiased: bool) -> Stats {
        self.divided(if unbiased { self.pixels.saturating_sub(1) } else { self.pixels }, 1e-8)
    }

    fn divided(&self, by: u64, epsilon: f64) -> Stats {
        let n = u128::from(self.pixels.max(1));
        let mean = |[sum, _]: &[u128; 2]| (*sum as f64 / n as f64 / 255.0) as f32;
        let std = |[sum, squares]: &[u128; 2]| {
            // n Σv² − (Σv)², exact.
            let spread = n * squares - sum * sum;
            let variance = spread as f64 / n as f64 / by.max(1) as f64;
            if spread == 0 { 1.0 } else { (variance.sqrt() / 255.0 + epsilon) as f32 }
        };
        Stats { mean: self.sums.iter().map(mean).collect(), std: self.sums.iter().map(std).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Column;

    struct Patches(Vec<Row>, Vec<Image>);

    impl Dataset for Patches {
        fn rows(&self) -> &[Row] {
            &self.0
        }
        fn classes(&self) -> &[String] {
            &[]
        }
        fn image(&self, index: usize) -> Result<Image> {
            Ok(self.1[index].clone())
        }
    }

    /// Each of another size and brightness; plates A and B in turn, the last without one.
    fn patches() -> Patches {
        let image = |i: usize| {
            let pixels = (0..(i + 2) * 3 * 2).map(|p| ((p * 37 + i * 50) % 251) as u8);
            Image::new(i + 2, 3, 2, pixels.collect()).unwrap()
        };
        let row = |i: usize| Row { meta: vec![if i < 6 { (i % 2) as f32 } else { f32::NAN }], ..Row::default() };
        Patches((0..7).map(row).collect(), (0..7).map(image).collect())
    }

    /// Mean and deviation of a channel, straight from the pixels.
    fn expected(images: &[&Image], channel: usize) -> (f64, f64) {
        let values: Vec<f64> = images
            .iter()
            .flat_map(|image| image.pixels().iter().skip(channel).step_by(2))
            .map(|v| f64::from(*v) / 255.0)
            .collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (mean, variance.sqrt())
    }

    fn assert_close(stats: &Stats, images: &[&Image]) {
        for channel in 0..2 {
            let (mean, std) = expected(images, channel);
            assert!((f64::from(stats.mean[channel]) - mean).abs() < 1e-6, "{stats:?} {mean}");
            assert!((f64::from(stats.std[channel]) - std).abs() < 1e-6, "{stats:?} {std}");
        }
    }

    #[test]
    fn only_the_given_rows_are_measured_whatever_the_threads() {
        let data = patches();
        let stats = measure(&data, &[0, 2, 5], &|image| image).unwrap();
        assert_close(&stats, &[&data.1[0], &data.1[2], &data.1[5]]);
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for threads in [1, 3] {
            assert_eq!(pool(threads).install(|| measure(&data, &[5, 0, 2], &|image| image)).unwrap(), stats);
        }
        let gray = measure(&data, &[0], &|_| Image::filled(4, 4, &[51])).unwrap();
        assert_eq!(gray, Stats { mean: vec![0.2], std: vec![1.0] });
        assert!(measure(&data, &[], &|image| image).is_err());
        let mixed = |image: Image| if image.width() == 2 { Image::filled(1, 1, &[0]) } else { image };
        assert!(measure(&data, &[0, 1], &mixed).unwrap_err().to_string().contains("with 1 and with 2 channels"));
    }

    #[test]
    fn groups_have_their_own_and_unknown_ones_those_of_all() {
        let data = patches();
        let column = Column { name: "plate".into(), categories: vec!["A".into(), "B".into()] };
        let key = Key::find("plate", &[column]).unwrap();
        let measured = || Normalize::per_group(key.clone(), &data, &[0, 1, 2, 3, 6], &|image| image).unwrap();
        let normalize = measured();
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(measured), normalize);
        }
        let of = |i: usize| normalize.of(&data.0[i], &data.1[i]).unwrap();
        assert_close(&of(4), &[&data.1[0], &data.1[2]]);
        assert_close(&of(5), &[&data.1[1], &data.1[3]]);
        assert_close(&of(6), &[0, 1, 2, 3, 6].map(|i: usize| &data.1[i]));
        let text = serde_json::to_string(&normalize).unwrap();
        assert_eq!(serde_json::from_str::<Normalize>(&text).unwrap(), normalize);
    }

    /// `(x - x.mean()) / (x.std() + 1e-8)` of a channel with NumPy and, without bias, PyTorch.
    #[test]
    fn a_picture_s_own_are_those_of_its_pixels() {
        let data = patches();
        let own = |unbiased| Normalize::PerImage { unbiased }.of(&Row::default(), &data.1[3]).unwrap().into_owned();
        assert_close(&own(false), &[&data.1[3]]);
        let ratio = own(true).std[1] / own(false).std[1];
        assert!((ratio - (15.0f32 / 14.0).sqrt()).abs() < 1e-6, "{ratio}");
        let plain = Normalize::PerImage { unbiased: true }
            .of(&Row::default(), &Image::filled(1, 1, &[7]))
            .unwrap()
            .into_owned();
        assert_eq!(plain, Stats { mean: vec![7.0 / 255.0], std: vec![1.0] });
        let groups = Normalize::PerGroup { key: Key::Group, groups: BTreeMap::new(), other: Stats::default() };
        let why = groups.of(&Row::default(), &data.1[0]).unwrap_err().to_string();
        assert!(why.contains("2 channels"), "{why}");
    }

    #[test]
    fn names_are_known() {
        for (name, ..) in STATS {
            let stats = named(name).unwrap();
            stats.check(stats.mean.len()).unwrap();
        }
        assert_eq!(named("imagenet").unwrap(), Stats::default());
        assert!(named("imagnet").unwrap_err().to_string().contains("expected one of cifar10, cifar100"));
    }
}

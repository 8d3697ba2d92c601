//! The data report: what is there, and what is wrong with it, before anything is trained.

use crate::decode::Decoded;
use crate::error::Result;
use crate::row::{Part, Row};
use crate::similar::{self, Sketch};
use crate::source::{Collection, Found};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

/// How to look.
#[derive(Clone, Debug, Default)]
pub struct ExploreConfig {
    /// Labels that are no classes: they are counted apart.
    pub drop_labels: Vec<String>,
}

/// What was found. Paths are relative to the data's root.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Pictures found, broken ones included.
    pub images: usize,
    /// Labelled rows of the training and validation parts by class.
    pub classes: BTreeMap<String, usize>,
    /// The same for labels that are no classes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped_labels: BTreeMap<String, usize>,
    /// Rows with a picture by part.
    pub parts: BTreeMap<String, usize>,
    /// Largest class over smallest.
    pub imbalance: f64,
    /// Groups, where there is such a column.
    pub groups: usize,
    /// Sides of the pictures.
    pub sizes: Sizes,
    /// Pictures by stored channels: 1 gray, 2 gray with alpha, 3 color, 4 color with alpha or CMYK.
    pub channels: BTreeMap<usize, usize>,
    /// Pictures by file format.
    pub formats: BTreeMap<String, usize>,
    /// Mean of every channel over all pixels of the labelled pictures, 0..=1.
    pub mean: Vec<f64>,
    /// Standard deviation likewise.
    pub std: Vec<f64>,
    /// Files that cannot be decoded, and why.
    pub corrupt: Vec<(String, String)>,
    /// Ids of rows without a picture.
    pub missing_files: Vec<String>,
    /// Pictures without a row, readable or not.
    pub unlabelled_files: Vec<String>,
    /// Groups of files with equal pixels.
    pub duplicates: Vec<Vec<String>>,
    /// Clusters of files that show nearly the same.
    pub near_duplicates: Vec<Vec<String>>,
    /// Groups of files with equal pixels and different labels.
    pub label_conflicts: Vec<Vec<String>>,
    /// Empty cells by column.
    pub missing_values: BTreeMap<String, usize>,
    /// The ids of their rows.
    pub missing_value_ids: BTreeMap<String, Vec<String>>,
    /// Pictures that make a score better than it is.
    pub leaks: Vec<Leak>,
    /// In words.
    pub warnings: Vec<String>,
    /// Digest of paths and pixels.
    pub fingerprint: String,
    /// Width and height of each file of the collection, pixels; `None` where it cannot be decoded.
    #[serde(skip)]
    pub shapes: Vec<Option<[usize; 2]>>,
    /// What was seen of each file of the collection; `None` where it cannot be decoded.
    #[serde(skip)]
    pub sketches: Vec<Option<Sketch>>,
}

/// Sides of pictures, pixels, upright.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sizes {
    /// Smallest, median, largest width.
    pub width: [usize; 3],
    /// Smallest, median, largest height.
    pub height: [usize; 3],
    /// Smallest, median, largest number of slices, where there are volumes.
    #[serde(skip_serializing_if = "is_flat")]
    pub depth: [usize; 3],
    /// Smallest, median, largest width over height.
    pub aspect: [f64; 3],
    /// The most frequent sizes: width, height, count.
    pub common: Vec<(usize, usize, usize)>,
}

fn is_flat(depth: &[usize; 3]) -> bool {
    depth[2] <= 1
}

/// Equal or nearly equal pictures on two sides of a wall.
#[derive(Clone, Debug, Serialize)]
pub struct Leak {
    /// `parts` or `groups`: which wall.
    pub between: &'static str,
    /// Whether the pixels are equal.
    pub equal: bool,
    /// The files.
    pub paths: Vec<String>,
}

/// What is kept of a picture after a look.
struct Look {
    sketch: Sketch,
    depth: usize,
    width: usize,
    height: usize,
    format: &'static str,
    stored_channels: usize,
    is_deep: bool,
    /// Sum and sum of squares of each channel.
    sums: Vec<[f64; 2]>,
}

/// Looks at every file on all cores; `progress(done, total)` is called now and then, from any thread.
///
/// # Errors
/// None for broken pictures: they are in the report.
pub fn explore(
    collection: &Collection,
    config: &ExploreConfig,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Report> {
    let files = &collection.files;
    let done = AtomicUsize::new(0);
    let looks: Vec<Result<Look, String>> = files
        .par_iter()
        .map(|file| {
            let look = (collection.read)(&file.path).map(look);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, files.len());
            look.map_err(|error| reason(&error))
        })
        .collect();
    let rows = collection.dataset.rows();
    let mut report = Report { images: files.len(), warnings: collection.warnings.clone(), ..Report::default() };
    report.count_rows(collection, config);
    report.measure(files, &looks, rows);
    report.missing_files = collection.missing_files.clone();
    report.missing_values = collection.missing_values.iter().map(|(c, ids)| (c.clone(), ids.len())).collect();
    report.missing_value_ids = collection.missing_values.clone();
    report.unlabelled_files = files.iter().filter(|f| f.row.is_none()).map(|f| f.path.clone()).collect();
    report.corrupt =
        looks.iter().zip(files).filter_map(|(l, f)| Some((f.path.clone(), l.as_ref().err()?.clone()))).collect();
    report.shapes = looks.iter().map(|look| look.as_ref().ok().map(|look| [look.width, look.height])).collect();
    report.sketches = looks.into_iter().map(|look| look.ok().map(|look| look.sketch)).collect();
    report.compare(files, rows);
    report.fingerprint = fingerprint(files, &report.sketches);
    report.warn();
    Ok(report)
}

/// The reason without the path, which stands beside it.
fn reason(error: &crate::Error) -> String {
    match error {
        crate::Error::Decode { why, .. } => why.clone(),
        crate::Error::Read { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

fn look(decoded: Decoded) -> Look {
    let Decoded { image, format, stored_channels, is_deep } = decoded;
    let channels = image.channels();
    let mut sums = vec![[0u64; 2]; channels];
    for pixel in image.pixels().chunks_exact(channels) {
        for (sum, &v) in sums.iter_mut().zip(pixel) {
            sum[0] += u64::from(v);
            sum[1] += u64::from(v) * u64::from(v);
        }
    }
    let sums = sums.into_iter().map(|s| s.map(|v| v as f64)).collect();
    let [depth, height, width, _] = image.dims();
    Look { sketch: Sketch::of(&image), depth, width, height, format, stored_channels, is_deep, sums }
}

impl Report {
    fn count_rows(&mut self, collection: &Collection, config: &ExploreConfig) {
        let (rows, classes) = (collection.dataset.rows(), collection.dataset.classes());
        let mut groups = BTreeSet::new();
        for row in rows {
            *self.parts.entry(format!("{:?}", row.part).to_lowercase()).or_default() += 1;
            groups.extend(row.group.as_ref());
            let (Some(class), true) = (row.class(), row.part != Part::Test) else { continue };
            let name = &classes[class as usize];
            let dropped = config.drop_labels.contains(name);
            *if dropped { &mut self.dropped_labels } else { &mut self.classes }.entry(name.clone()).or_default() += 1;
        }
        self.groups = groups.len();
        let (most, least) = (self.classes.values().max(), self.classes.values().min());
        self.imbalance = most.zip(least).map_or(1.0, |(most, least)| *most as f64 / *least as f64);
    }

    fn measure(&mut self, files: &[Found], looks: &[Result<Look, String>], rows: &[Row]) {
        let seen: Vec<&Look> = looks.iter().flatten().collect();
        let mut common = BTreeMap::<(usize, usize), usize>::new();
        for look in &seen {
            *common.entry((look.width, look.height)).or_default() += 1;
            *self.channels.entry(look.stored_channels).or_default() += 1;
            *self.formats.entry(look.format.into()).or_default() += 1;
        }
        let aspects = seen.iter().map(|l| l.width as f64 / l.height as f64).collect();
        self.sizes = Sizes {
            width: spread(seen.iter().map(|l| l.width).collect(), usize::cmp),
            height: spread(seen.iter().map(|l| l.height).collect(), usize::cmp),
            depth: spread(seen.iter().map(|l| l.depth).collect(), usize::cmp),
            aspect: spread(aspects, f64::total_cmp),
            common: common.into_iter().map(|((w, h), n)| (w, h, n)).collect(),
        };
        self.sizes.common.sort_by_key(|(w, h, n)| (std::cmp::Reverse(*n), *w, *h));
        self.sizes.common.truncate(10);

        // Statistics are those of the pictures to learn from; where none is labelled, of all.
        let learned = |file: &Found| file.row.is_some_and(|r| rows[r].part == Part::Train && rows[r].target.is_some());
        let any = files.iter().any(learned);
        let channels = seen.first().map_or(0, |l| l.sums.len());
        let (mut sums, mut pixels) = (vec![[0.0; 2]; channels], 0.0);
        for (look, _) in looks.iter().zip(files).filter(|(_, file)| !any || learned(file)) {
            let Ok(look) = look else { continue };
            pixels += (look.depth * look.width * look.height) as f64;
            for (sum, own) in sums.iter_mut().zip(&look.sums) {
                *sum = [sum[0] + own[0], sum[1] + own[1]];
            }
        }
        let means: Vec<f64> = sums.iter().map(|s| s[0] / f64::max(pixels, 1.0)).collect();
        let deviation = |(s, m): (&[f64; 2], &f64)| (s[1] / f64::max(pixels, 1.0) - m * m).max(0.0).sqrt() / 255.0;
        self.std = sums.iter().zip(&means).map(deviation).collect();
        self.mean = means.iter().map(|m| m / 255.0).collect();
        let deep = seen.iter().filter(|look| look.is_deep).count();
        if deep > 0 {
            self.warnings
                .push(format!("{deep} pictures have more than 8 bits per channel; only the highest 8 are used"));
        }
        let named: Vec<&str> = looks.iter().zip(files).filter_map(|(l, f)| misnamed(l.as_ref().ok()?, f)).collect();
        if let Some(first) = named.first() {
            self.warnings.push(format!("{} files have another format than their name says, as '{first}'", named.len()));
        }
    }

    fn compare(&mut self, files: &[Found], rows: &[Row]) {
        let paths = |group: &Vec<usize>| group.iter().map(|&i| files[i].path.clone()).collect::<Vec<_>>();
        let equal = similar::equal(&self.sketches);
        let pairs = similar::near(&self.sketches);
        let near = similar::clusters(files.len(), pairs.into_iter().map(|(a, b)| vec![a, b]));
        let row = |i: &usize| files[*i].row.map(|r| &rows[r]);
        let differ = |group: &[usize], of: &dyn Fn(&Row) -> Option<String>| {
            group.iter().filter_map(|i| row(i).and_then(of)).collect::<BTreeSet<_>>().len() > 1
        };
        let part = |row: &Row| Some(format!("{:?}", row.part));
        for (groups, is_equal) in [(&equal, true), (&near, false)] {
            for group in groups {
                if differ(group, &part) {
                    self.leaks.push(Leak { between: "parts", equal: is_equal, paths: paths(group) });
                } else if differ(group, &|row| row.group.clone()) {
                    self.leaks.push(Leak { between: "groups", equal: is_equal, paths: paths(group) });
                }
            }
        }
        let conflicting = equal.iter().filter(|group| differ(group, &|row| row.class().map(|c| c.to_string())));
        self.label_conflicts = conflicting.map(paths).collect();
        self.duplicates = equal.iter().map(paths).collect();
        self.near_duplicates = near.iter().map(paths).collect();
    }

    fn warn(&mut self) {
        let mut say = |count: usize, what: &str| {
            if count > 0 {
                self.warnings.push(format!("{count} {what}"));
            }
        };
        say(self.corrupt.len(), "files cannot be decoded and are left out");
        say(self.missing_files.len(), "rows have no picture and are left out");
        say(self.unlabelled_files.len(), "pictures have no row or class and are left out");
        say(self.label_conflicts.len(), "groups of equal pictures have different labels");
        say(self.leaks.len(), "groups of equal or nearly equal pictures lie in different parts or groups");
        if self.imbalance >= 10.0 {
            self.warnings
                .push(format!("the largest class has {:.0} times as many pictures as the smallest", self.imbalance));
        }
    }
}

/// Smallest, median and largest.
fn spread<T: Copy + Default>(mut values: Vec<T>, order: impl Fn(&T, &T) -> std::cmp::Ordering) -> [T; 3] {
    values.sort_by(order);
    let at = |i: usize| values.get(i).copied().unwrap_or_default();
    [at(0), at(values.len() / 2), at(values.len().saturating_sub(1))]
}

fn misnamed<'a>(look: &Look, file: &'a Found) -> Option<&'a str> {
    let ending = file.path.rsplit('.').next().unwrap_or_default().to_lowercase();
    let format = match ending.as_str() {
        "jpg" | "jpeg" | "jpe" | "jfif" => "jpeg",
        "tif" | "tiff" => "tiff",
        "png" => "png",
        "bmp" => "bmp",
        "webp" => "webp",
        _ => return None,
    };
    (format != look.format && look.format != "drawn").then_some(file.path.as_str())
}

fn fingerprint(files: &[Found], sketches: &[Option<Sketch>]) -> String {
    let mut hash = blake3::Hasher::new();
    for (file, sketch) in files.iter().zip(sketches) {
        hash.update(file.path.as_bytes());
        hash.update(sketch.as_ref().map_or(&[0; 32], |sketch| &sketch.pixels));
    }
    hash.finalize().to_hex()[..16].to_string()
}

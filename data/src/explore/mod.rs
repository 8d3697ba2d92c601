//! The data report: what is there, and what is wrong with it, before anything is trained.

mod adversarial;
mod alike;
mod glance;
mod labels;
mod logistic;
mod mean_images;
mod meta;
mod quality;
mod sizes;

pub use adversarial::{Adversarial, Feature};
pub use alike::Leak;
pub use glance::Glance;
pub use labels::{Combination, MultiLabel};
pub use mean_images::MeanImage;
pub use meta::{Association, MetaColumn, Numbers};
pub use quality::Outliers;
pub use sizes::Sizes;

use crate::error::Result;
use crate::row::Part;
use crate::similar::Sketch;
use crate::source::{Collection, Found};
use labels::Kind;
use mean_images::Means;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How to look.
///
/// | field | default | choices |
/// |---|---|---|
/// | `drop_labels` | none | labels that are no classes |
/// | `decode` | true | false: only what needs no pixels |
/// | `root` | none | where the files lie |
#[derive(Clone, Debug)]
pub struct ExploreConfig {
    /// Labels that are no classes: they are counted apart.
    pub drop_labels: Vec<String>,
    /// Whether pictures are decoded. Without it there is what rows and file names tell: no channels, sizes, duplicates, outliers.
    pub decode: bool,
    /// Folder below which the files lie, for their bytes; files of an archive have none of their own.
    pub root: Option<PathBuf>,
}

impl Default for ExploreConfig {
    fn default() -> Self {
        Self { drop_labels: vec![], decode: true, root: None }
    }
}

/// What was found. Paths are relative to the data's root.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Pictures found, broken ones included.
    pub images: usize,
    /// Labelled rows of the training and validation parts by class; of several labels, rows where each is set.
    pub classes: BTreeMap<String, usize>,
    /// The same for labels that are no classes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped_labels: BTreeMap<String, usize>,
    /// Rows with a picture by part.
    pub parts: BTreeMap<&'static str, usize>,
    /// Largest class over smallest.
    pub imbalance: f64,
    /// Shannon entropy of the classes, nats.
    pub entropy: f64,
    /// Entropy over that of even classes, 0..=1.
    pub evenness: f64,
    /// Several labels at once, where targets are such.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multi_label: Option<MultiLabel>,
    /// Values of targets that are other numbers, by output.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, Numbers>,
    /// Groups, where there is such a column.
    pub groups: usize,
    /// Sides of the pictures.
    pub sizes: Sizes,
    /// Pictures by stored channels: 1 gray, 2 gray with alpha, 3 color, 4 color with alpha or CMYK.
    pub channels: BTreeMap<usize, usize>,
    /// Pictures by file format.
    pub formats: BTreeMap<String, usize>,
    /// Mean of every channel over all pixels of the labelled pictures of the training part, of all where there are none, 0..=1.
    /// Where pictures have different channels, over those with the most frequent number of channels.
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
    /// Blank, dark, bright, blurred and oddly shaped pictures.
    pub outliers: Vec<Outliers>,
    /// Columns of metadata.
    pub metadata: Vec<MetaColumn>,
    /// Empty cells by column.
    pub missing_values: BTreeMap<String, usize>,
    /// The ids of their rows.
    pub missing_value_ids: BTreeMap<String, Vec<String>>,
    /// Pictures and groups that make a score better than it is.
    pub leaks: Vec<Leak>,
    /// Whether training and test part differ, where there are at least 50 rows of both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adversarial: Option<Adversarial>,
    /// In words.
    pub warnings: Vec<String>,
    /// Digest of paths and pixels.
    pub fingerprint: String,
    /// Bytes of each file of the collection, where they are known; empty without a root.
    #[serde(skip)]
    pub bytes: Vec<Option<u64>>,
    /// Figures of each file of the collection; `None` where it cannot be decoded; empty without decoding.
    #[serde(skip)]
    pub glances: Vec<Option<Glance>>,
    /// What was seen of each file of the collection; `None` where it cannot be decoded; empty without decoding.
    #[serde(skip)]
    pub sketches: Vec<Option<Sketch>>,
    /// Files of `duplicates`, their places in the collection.
    #[serde(skip)]
    pub equal: Vec<Vec<usize>>,
    /// Files of `near_duplicates` likewise.
    #[serde(skip)]
    pub near: Vec<Vec<usize>>,
    /// The mean picture of each of the first 1000 classes, training and validation parts.
    #[serde(skip)]
    pub mean_images: Vec<MeanImage>,
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
    let (files, dataset) = (&collection.files, &collection.dataset);
    let (rows, classes, columns) = (dataset.rows(), dataset.classes(), dataset.columns());
    let kind = Kind::from(collection.target);
    let mut report = Report { images: files.len(), warnings: collection.warnings.clone(), ..Report::default() };
    report.count_rows(collection, config, kind);
    report.missing_files = collection.missing_files.clone();
    report.missing_values = collection.missing_values.iter().map(|(c, ids)| (c.clone(), ids.len())).collect();
    report.missing_value_ids = collection.missing_values.clone();
    report.unlabelled_files = files.iter().filter(|f| f.row.is_none()).map(|f| f.path.clone()).collect();
    if let Some(root) = &config.root {
        let bytes = |file: &Found| std::fs::metadata(root.join(&file.path)).ok().map(|found| found.len());
        report.bytes = files.par_iter().map(bytes).collect();
    }
    if config.decode {
        report.look(collection, kind, progress);
        report.measure(files, rows);
        report.find_outliers(files);
        report.compare(files, rows);
    }
    report.find_torn_groups(rows);
    report.describe(columns, rows, classes, kind);
    report.tell_apart(files, rows, columns);
    report.fingerprint = report.digest(files);
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

impl Report {
    /// Decodes every file once and keeps what is small.
    fn look(&mut self, collection: &Collection, kind: Kind, progress: &(dyn Fn(usize, usize) + Sync)) {
        let (files, rows) = (&collection.files, collection.dataset.rows());
        let means = Means::new(collection.dataset.classes());
        let done = AtomicUsize::new(0);
        let look = |file: &Found| {
            let decoded = (collection.read)(&file.path);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, files.len());
            let decoded = decoded.map_err(|error| reason(&error))?;
            if let Some(row) = file.row.map(|row| &rows[row]).filter(|row| row.part != Part::Test) {
                means.add(&decoded.image, kind.labels(row));
            }
            Ok(Glance::of(&decoded))
        };
        let looks: Vec<Result<(Glance, Sketch), String>> = files.par_iter().map(look).collect();
        for (look, file) in looks.into_iter().zip(files) {
            let (glance, sketch) = match look {
                Ok((glance, sketch)) => (Some(glance), Some(sketch)),
                Err(why) => {
                    self.corrupt.push((file.path.clone(), why));
                    (None, None)
                }
            };
            self.glances.push(glance);
            self.sketches.push(sketch);
        }
        self.mean_images = means.finish();
    }

    fn warn(&mut self) {
        let blank = self.outliers.iter().filter(|o| o.kind == "blank").map(|o| o.files.len()).sum();
        let mut say = |count: usize, what: &str| {
            if count > 0 {
                self.warnings.push(format!("{count} {what}"));
            }
        };
        say(self.corrupt.len(), "files cannot be decoded and are left out");
        say(self.missing_files.len(), "rows have no picture and are left out");
        say(self.unlabelled_files.len(), "pictures have no row or class and are left out");
        say(blank, "pictures are blank");
        say(self.label_conflicts.len(), "groups of equal pictures have different labels");
        let leaks = self.leaks.iter().filter(|leak| leak.equal.is_some()).count();
        say(leaks, "groups of equal or nearly equal pictures lie in different parts or groups");
        if self.imbalance >= 10.0 {
            self.warnings
                .push(format!("the largest class has {:.0} times as many pictures as the smallest", self.imbalance));
        }
    }

    fn digest(&self, files: &[Found]) -> String {
        let mut hash = blake3::Hasher::new();
        for (i, file) in files.iter().enumerate() {
            hash.update(file.path.as_bytes());
            let sketch = self.sketches.get(i).and_then(Option::as_ref);
            hash.update(sketch.map_or(&[0; 32], |sketch| &sketch.pixels));
        }
        hash.finalize().to_hex()[..16].to_string()
    }
}

/// What a part is called.
fn part_name(part: Part) -> &'static str {
    match part {
        Part::Train => "train",
        Part::Validation => "validation",
        Part::Test => "test",
    }
}

/// The number of channels that most pictures have; of several, the largest.
fn usual_channels<'a>(glances: impl Iterator<Item = &'a Glance>) -> Option<usize> {
    let mut counts = BTreeMap::<usize, usize>::new();
    glances.for_each(|glance| *counts.entry(glance.sums.len()).or_default() += 1);
    counts.into_iter().max_by_key(|(channels, count)| (*count, *channels)).map(|(channels, _)| channels)
}

/// Of sorted values the one in the middle, the upper one of two.
fn middle<T: Copy>(sorted: &[T]) -> Option<T> {
    sorted.get(sorted.len() / 2).copied()
}

/// The quartiles of finite values (linear interpolation, NumPy's `percentile`); none of no values.
fn quartiles(mut values: Vec<f64>) -> Option<[f64; 3]> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some([0.25, 0.5, 0.75].map(|share| {
        let at = share * last as f64;
        let (low, part) = (at.floor() as usize, at.fract());
        values[low] + part * (values[(low + 1).min(last)] - values[low])
    }))
}

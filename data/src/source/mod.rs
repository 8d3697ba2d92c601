//! Layouts in which data sets come. Each is one file: a configuration that opens into a [`Collection`].

mod audio;
mod ava;
mod bson;
mod csv;
mod dicom;
mod dicom_file;
mod files;
mod folder;
mod idx;
mod lossless_jpeg;
mod multichannel;
mod nifti;
mod npz;
#[cfg(feature = "parquet")]
mod parquet;
mod pixels;
mod records;
mod series;
mod shards;
mod sheet;
mod synthetic;
mod tabular;
mod tar;
mod tfrecord;
mod trajectories;
mod webdataset;
mod window;

pub use audio::Audio;
pub use ava::{Ava, Grouping};
pub use bson::Bson;
pub use csv::Csv;
pub use dicom::Dicom;
pub use files::PICTURES;
pub use folder::{Folder, Unit};
pub use idx::Idx;
pub use multichannel::Multichannel;
pub use nifti::Nifti;
pub use npz::Npz;
#[cfg(feature = "parquet")]
pub use parquet::Parquet;
pub use pixels::{Order, Pixels};
pub use series::{Field, Gaps, Series};
pub use synthetic::Synthetic;
pub use tabular::{Empty, Tabular};
pub use tar::Tar;
pub use tfrecord::TfRecord;
pub use trajectories::Trajectories;
pub use webdataset::WebDataset;
pub use window::{Percentiles, Tissue, Window};

use crate::convert::audio::SOUNDS;
use crate::dataset::Dataset;
use crate::decode::{Color, Decoded};
use crate::error::{Error, Result};
use crate::image::Image;
use crate::labels::Kind;
use crate::row::{Column, Row};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A layout.
pub trait Source: Serialize + DeserializeOwned {
    /// Lists what is there; decodes nothing. What it found out for itself, it writes into its fields.
    ///
    /// # Errors
    /// When the place is not laid out like this, naming what is missing.
    fn open(&mut self) -> Result<Collection>;

    /// What a file is by itself, without its data set, to be predicted: a picture as any, if nothing else is said.
    fn alone(&self) -> Alone {
        Alone::Picture
    }
}

/// What a file of a layout is by itself.
pub enum Alone {
    /// A picture file, as [`decode`](crate::decode::decode()) reads it.
    Picture,
    /// What `read` decodes, wherever it lies: its path from the working folder, or the whole.
    Read {
        /// Decodes it.
        read: Reader,
        /// Whether a file is such a one, by its name; `None`: a folder is.
        is_one: Option<fn(&Path) -> bool>,
    },
    /// Nothing: a picture is made of several files, or is a part of one.
    Nothing,
}

/// Decodes the picture of a path as it stands in [`Found::path`].
pub type Reader = Arc<dyn Fn(&str) -> Result<Decoded> + Send + Sync>;

/// What changes when the bytes of the picture of a path do, as it stands in [`Found::path`]: name, length and time of change of
/// the files that it is read from. `None` where it is read from none.
pub type Stamper = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// A picture that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Relative to the data's root, with `/`.
    pub path: String,
    /// The row that it belongs to, if any.
    pub row: Option<usize>,
}

/// A data set as it lies there, with what has no place in a [`Dataset`].
#[derive(Clone)]
pub struct Collection {
    /// Every row that has a picture, labelled or not, of all parts.
    pub dataset: Arc<dyn Dataset>,
    /// What the targets of its rows are.
    pub target: Kind,
    /// Every picture, with a row or without, sorted by path.
    pub files: Vec<Found>,
    /// Ids of rows whose picture does not exist.
    pub missing_files: Vec<String>,
    /// Ids of the rows with an empty cell, by column.
    pub missing_values: BTreeMap<String, Vec<String>>,
    /// Columns of the target, where there is a table.
    pub label: Option<String>,
    /// A competition's sample submission, if one lies there.
    pub sample_submission: Option<PathBuf>,
    /// What is odd but no error.
    pub warnings: Vec<String>,
    /// Decodes a file of `files`.
    pub read: Reader,
    /// Tells when a file of `files` has to be decoded again.
    pub stamp: Stamper,
}

impl Collection {
    /// The stamp of each row's picture, for a [`DiskCached`](crate::DiskCached); `None` where no picture has one, as those that
    /// are drawn.
    pub fn stamps(&self) -> Option<impl Fn(usize, usize) -> Option<String> + Send + Sync + use<>> {
        let mut paths = vec![None; self.dataset.rows().len()];
        for (path, row) in self.files.iter().filter_map(|file| Some((&file.path, file.row?))) {
            paths[row] = Some(path.clone());
        }
        let stamp = self.stamp.clone();
        let any = paths.iter().flatten().any(|path| stamp(path).is_some());
        any.then_some(move |row: usize, _: usize| stamp(paths.get(row)?.as_ref()?))
    }
}

/// Rows whose pictures a [`Reader`] decodes: the data set of every layout.
struct Listing {
    rows: Vec<Row>,
    paths: Vec<String>,
    classes: Vec<String>,
    columns: Vec<Column>,
    read: Reader,
}

impl Dataset for Listing {
    fn rows(&self) -> &[Row] {
        &self.rows
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn columns(&self) -> &[Column] {
        &self.columns
    }
    fn image(&self, index: usize) -> Result<Image> {
        Ok((self.read)(&self.paths[index])?.image)
    }
}

/// A line of the table of sources.
pub struct Entry {
    /// Name in recipes.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    open: fn(Value) -> Result<(Collection, Value), OpenError>,
    resolve: fn(Value) -> Result<Value, serde_json::Error>,
    alone: fn(Value) -> Result<Alone, serde_json::Error>,
}

enum OpenError {
    Parameter(serde_json::Error),
    Other(Error),
}

impl Entry {
    const fn of<S: Source>(name: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            open: |params| {
                let mut source: S = serde_json::from_value(params).map_err(OpenError::Parameter)?;
                let collection = source.open().map_err(OpenError::Other)?;
                let resolved = serde_json::to_value(source).map_err(OpenError::Parameter)?;
                Ok((collection, resolved))
            },
            resolve: |params| serde_json::to_value(serde_json::from_value::<S>(params)?),
            alone: |params| Ok(serde_json::from_value::<S>(params)?.alone()),
        }
    }
}

/// All sources.
pub const SOURCES: &[Entry] = &[
    Entry::of::<Audio>("audio", "A folder of sounds by class, by name or with a table, as spectrograms."),
    Entry::of::<Ava>("ava", "AVA's photographs with two hundred votes each, from 1 to 10."),
    Entry::of::<Bson>("bson", "BSON documents of a product's pictures, as Cdiscount's competition comes."),
    Entry::of::<Csv>("csv", "A table with id and label columns beside a folder of pictures."),
    Entry::of::<Dicom>("dicom", "DICOM files: X-rays and other pictures, or series of slices as volumes."),
    Entry::of::<Folder>("folder", "A folder of pictures per class, with or without train, val and test folders above."),
    Entry::of::<Idx>("idx", "MNIST's four files, gzipped or not: pictures and their classes as bytes."),
    Entry::of::<Multichannel>("multichannel", "Pictures whose channels are a file each, as microscopes store them."),
    Entry::of::<Nifti>("nifti", "NIfTI volumes (.nii, .nii.gz) with a table or in class folders."),
    Entry::of::<Npz>("npz", "NumPy's arrays of pictures or volumes with their classes, as MedMNIST comes."),
    #[cfg(feature = "parquet")]
    Entry::of::<Parquet>("parquet", "Parquet files of pictures and labels, as the Hugging Face hub lays them out."),
    Entry::of::<Pixels>(
        "pixels",
        "A table whose rows are pictures in numbers: Digit Recognizer, Sign Language MNIST, FER2013.",
    ),
    Entry::of::<Series>(
        "series",
        "A table whose rows are series of numbers, as the UCR archive's, as angular and other fields.",
    ),
    Entry::of::<Synthetic>("synthetic", "Shapes drawn by the program: nothing to download, for tests and first steps."),
    Entry::of::<Tabular>("tabular", "A table whose rows are features, which are placed as pixels (DeepInsight)."),
    Entry::of::<Tar>("tar", "Class folders in a .tar, .tar.gz or .tgz, which is never unpacked to disk."),
    Entry::of::<TfRecord>("tfrecord", "TensorFlow's record files of pictures and their features."),
    Entry::of::<Trajectories>(
        "trajectories",
        "Boxes of cars and others as they move, as what one of them sees around it (Lyft).",
    ),
    Entry::of::<WebDataset>("webdataset", "Tar files of samples: pictures beside the .cls or .json of the same name."),
];

/// Opens the data set `name` with `params`, an object, and gives the parameters as they were resolved.
///
/// # Errors
/// Unknown names and parameters, and whatever is wrong with the place.
pub fn open(name: &str, params: Value) -> Result<(Collection, Value)> {
    (find(name)?.open)(params).map_err(|error| match error {
        OpenError::Parameter(source) => parameter(name, source),
        OpenError::Other(error) => error,
    })
}

/// `params` with every default written out; reads nothing.
///
/// # Errors
/// Unknown names and parameters.
pub fn resolve(name: &str, params: Value) -> Result<Value> {
    (find(name)?.resolve)(params).map_err(|source| parameter(name, source))
}

/// What a file of the source `name`, which was opened with the resolved `params`, is by itself; reads nothing.
///
/// # Errors
/// As [`resolve`].
pub fn alone(name: &str, params: Value) -> Result<Alone> {
    (find(name)?.alone)(params).map_err(|source| parameter(name, source))
}

/// Tells from what lies at `path` which source reads it, and with which parameters.
///
/// # Errors
/// When nothing is there, or it is laid out in no known way.
pub fn recognize(path: &Path) -> Result<(&'static str, Value)> {
    let metadata = std::fs::metadata(path).map_err(|source| Error::Read { path: path.into(), source })?;
    let params = json!({"path": path});
    if metadata.is_file() {
        let source = match path {
            _ if files::is_table(path) && series::fits(path) => "series",
            _ if files::is_table(path) && pixels::fits(path) => "pixels",
            _ if files::is_table(path) => "csv",
            _ if files::ending(path) == "tar" && webdataset::is_webdataset(path) => "webdataset",
            _ if ava::is_list(path) => "ava",
            _ if tar::is_archive(path) => "tar",
            _ if idx::is_part(path) => "idx",
            _ if files::ending(path) == "npz" => "npz",
            _ if is_single(path) => {
                let why = "this is one picture, sound or volume; give the folder that holds them all, in class folders or with \
                           a table of their labels";
                return Err(Error::Layout { path: path.into(), why: why.into() });
            }
            _ => shards::kind(path).ok_or_else(|| {
                let why = "this is a file, but neither a table (.csv, .tsv) nor an archive (.tar, .tar.gz, .tgz, .npz) \
                           nor a file of many samples (.tfrec, .parquet, .bson); give one of them or a folder of pictures";
                Error::Layout { path: path.into(), why: why.into() }
            })?,
        };
        return Ok((source, params));
    }
    if idx::lies_in(path) {
        return Ok(("idx", params));
    }
    if ava::lies_in(path) {
        return Ok(("ava", params));
    }
    let tree = files::Tree::walk(path)?;
    if multichannel::lies_in(&tree) {
        return Ok(("multichannel", params));
    }
    if tree.pictures.is_empty() {
        if series::lie_in(&tree) {
            return Ok(("series", params));
        }
        if pixels::lie_in(&tree) {
            return Ok(("pixels", params));
        }
        if audio::lie_in(path)? {
            return Ok(("audio", params));
        }
        let has = |is_one: &dyn Fn(&Path) -> bool| tree.foreign.iter().any(|name| is_one(Path::new(name)));
        if has(&|file| ["dcm", "dicom", "ima"].contains(&files::ending(file).as_str())) {
            return Ok(("dicom", params));
        }
        if has(&files::is_nifti) {
            return Ok(("nifti", params));
        }
        let arrays = files::Tree::walk_for(path, |file| files::ending(file) == "npz")?;
        if let [one] = &arrays.pictures[..] {
            return Ok(("npz", json!({"path": path.join(one)})));
        }
        let is_samples = |kind: &str, shard: &str| kind != "webdataset" || webdataset::is_webdataset(&path.join(shard));
        let mut shards = tree.shards.iter().filter_map(|shard| Some((shards::kind(Path::new(shard))?, shard)));
        if let Some((source, first)) = shards.next()
            && is_samples(source, first)
        {
            return Ok((source, params));
        }
        let mut why = format!("no pictures ({}) are below it", PICTURES.join(", "));
        if !tree.tables.is_empty() {
            let sources = ["series", "tabular", "trajectories", "pixels"];
            why += &format!("; if its tables are of numbers, say which: data.source = {}", sources.join(", "));
        }
        return Err(Error::Layout { path: path.into(), why });
    }
    let table = csv::fits(&tree);
    if matches!(table, Ok(csv::Fit::Yes)) {
        return Ok(("csv", params));
    }
    // Class folders explain themselves better than a table that only may be one of labels; a table that cannot be read
    // explains why there seem to be no classes.
    let folders = Folder { path: path.into(), color: Color::default(), sample: None }.open();
    match (folders, table) {
        (Ok(found), _) if found.dataset.classes().len() >= 2 => Ok(("folder", params)),
        (_, Ok(csv::Fit::Perhaps)) => Ok(("csv", params)),
        (_, Err(error)) | (Err(error), _) => Err(error),
        (Ok(_), Ok(_)) => match tree.tables.iter().find(|table| !files::is_sample(table)) {
            None => Ok(("folder", params)),
            Some(table) => {
                let why = format!(
                    "its pictures lie in one folder, and the table '{table}' does not say by itself what they show; name its columns \
                     with data.source = \"csv\", data.id and data.label, or say data.source = \"folder\""
                );
                Err(Error::Layout { path: path.into(), why })
            }
        },
    }
}

/// Whether a file is called as one sample alone is.
fn is_single(path: &Path) -> bool {
    let ending = files::ending(path);
    let known = PICTURES.iter().chain(SOUNDS).chain(&["dcm", "dicom", "ima"]);
    files::is_nifti(path) || known.into_iter().any(|known| *known == ending)
}

fn find(name: &str) -> Result<&'static Entry> {
    let known = || SOURCES.iter().map(|e| e.name).collect::<Vec<_>>().join(", ");
    SOURCES.iter().find(|e| e.name == name).ok_or_else(|| Error::Unknown {
        kind: "source",
        name: name.into(),
        known: known(),
    })
}

fn parameter(name: &str, source: serde_json::Error) -> Error {
    Error::Parameter { kind: "source", name: name.into(), source }
}

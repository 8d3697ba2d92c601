//! From a folder of pictures to batches of tensors: sources, data report, cleaning, leak-safe folds, a deterministic
//! loader.
//!
//! ```
//! use sconce_data::{Loader, LoaderConfig, Shuffled, Subset, source, split};
//! let (collection, _) = source::open("synthetic", serde_json::json!({"len": 64}))?;
//! let dataset = collection.dataset;
//! let labels: Vec<u32> = dataset.rows().iter().filter_map(|row| row.class()).collect();
//! let folds = split::stratified_k_fold(&labels, 4, 0)?;
//! let train = (0..64).filter(|&i| folds.of[i] != Some(0)).collect();
//! let train = std::sync::Arc::new(Subset::new(dataset, train));
//! for batch in Loader::new(train, Shuffled, LoaderConfig::default()).epoch(0) {
//!     assert_eq!(batch?.images.dims()[1..], [3, 16, 16]);
//! }
//! # Ok::<(), sconce_data::Error>(())
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`source`] | layouts: class folders, archives, tables, arrays, a file per channel, DICOM and NIfTI, files of many samples, sounds, series, features, traffic, drawn shapes |
//! | [`decode`](mod@decode) | JPEG, PNG, BMP, TIFF, WebP and PNM to an upright [`Image`] |
//! | [`explore`](mod@explore) | the data report |
//! | [`similar`] | equal and nearly equal pictures |
//! | [`clean`](mod@clean) | which rows are used, and why others are not |
//! | [`Samples`] | rows that are several pictures of one sample |
//! | [`split`] | folds without leaks, by class, group, label, time |
//! | [`balance`], [`sampler`] | against imbalance |
//! | [`tabular`], [`impute`] | metadata as features, missing values filled in |
//! | [`normalize`] | means and deviations of channels |
//! | [`convert`] | sounds, series, tables, traffic and volumes as pictures |
//! | [`Cached`], [`DiskCached`] | decoded pictures, kept in memory or on disk |
//! | [`Loader`] | decoding and transforms on all cores, the same batches for any number of threads |
//! | [`Waits`] | how long training waited for batches, and why |

pub mod balance;
pub mod batch;
mod cache;
mod changed;
pub mod clean;
pub mod convert;
mod dataset;
pub mod decode;
mod error;
pub mod explore;
mod image;
pub mod impute;
mod key;
pub mod labels;
mod loader;
pub mod normalize;
mod registry;
pub mod rng;
mod row;
pub mod sampler;
mod samples;
pub mod similar;
pub mod source;
pub mod split;
pub mod table;
pub mod tabular;
mod waits;

pub use batch::{Batch, Stats};
pub use cache::{DiskCached, DiskUse, Stamp};
pub use changed::Changed;
pub use dataset::{Cached, Concat, Dataset, Subset};
pub use error::{Error, Result};
pub use image::Image;
pub use key::Key;
pub use labels::{Kind, Labels};
pub use loader::{Epoch, Loader, LoaderConfig};
pub use normalize::Normalize;
pub use registry::Entry;
pub use rng::Stream;
pub use row::{Column, Part, Row, Target};
pub use sampler::{Balanced, Sampler, Sequential, Shuffled};
pub use samples::{Samples, spread};
pub use waits::{Meter, Waits};

/// The examples of the README are run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

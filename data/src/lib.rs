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
//! | [`source`] | layouts: class folders, tar archives of them, a table beside pictures or of them, sounds, IDX, npz, drawn shapes |
//! | [`decode`](mod@decode) | JPEG, PNG, BMP, TIFF, WebP and PNM to an upright [`Image`] |
//! | [`explore`](mod@explore) | the data report |
//! | [`similar`] | equal and nearly equal pictures |
//! | [`clean`](mod@clean) | which rows are used, and why others are not |
//! | [`Samples`] | rows that are several pictures of one sample |
//! | [`split`] | stratified, grouped and stratified-grouped folds |
//! | [`balance`], [`sampler`] | against imbalance |
//! | [`convert`] | sounds, series, tables, traffic and volumes as pictures |
//! | [`tabular`] | metadata as features |
//! | [`Loader`] | decoding and transforms on all cores, the same batches for any number of threads |

pub mod balance;
pub mod batch;
pub mod clean;
pub mod convert;
mod dataset;
pub mod decode;
mod error;
pub mod explore;
mod image;
pub mod labels;
mod loader;
pub mod rng;
mod row;
pub mod sampler;
mod samples;
pub mod similar;
pub mod source;
pub mod split;
pub mod table;
pub mod tabular;

pub use batch::{Batch, Stats};
pub use dataset::{Cached, Dataset, Subset};
pub use error::{Error, Result};
pub use image::Image;
pub use labels::{Kind, Labels};
pub use loader::{Epoch, Loader, LoaderConfig};
pub use rng::Stream;
pub use row::{Column, Part, Row, Target};
pub use sampler::{Balanced, Sampler, Sequential, Shuffled};
pub use samples::{Samples, spread};

//! Scores, out-of-fold predictions, blends and checked submissions.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use sconce_eval::{Metric, Predictions, Submission, bootstrap, metrics, submission};
//! let mut said = Predictions::new(&["cat".into(), "dog".into()]);
//! let scores = Tensor::new(&[[0.9f32, 0.1], [0.6, 0.4]], &Device::Cpu)?;
//! said.push(&["a".into(), "b".into()], &scores, Some(&Tensor::new(&[0u32, 1], &Device::Cpu)?))?;
//! assert_eq!(metrics::Accuracy::default().score(&said)?, 0.5);
//! let by_name = metrics::build("f_score", serde_json::json!({"average": "micro"}))?;
//! assert_eq!(bootstrap::interval(&said, &*by_name, 100, 0)?, [0.0, 1.0]);
//! let sample = submission::Sample::parse("file,label\nb.jpg,dog\na.jpg,dog\n")?;
//! let written = submission::write(&said, &Submission::default(), Some(&sample), &[0.5, 0.5])?;
//! assert_eq!(written.csv, b"file,label\nb.jpg,cat\na.jpg,cat\n");
//! # Ok::<(), sconce_eval::Error>(())
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`Predictions`] | probabilities with ids, classes and truth; CSV in and out |
//! | [`metrics`] | accuracy, top-k, precision, recall, F, Matthews, kappa, AUC, log loss, Brier, calibration |
//! | [`bootstrap`] | how far a score would move with other samples |
//! | [`ConfusionMatrix`] | which classes are taken for which |
//! | [`curves`] | ROC, precision and recall at every threshold |
//! | [`analysis`] | hardest samples, confused pairs, suspected label errors |
//! | [`explain`] | where in a picture a class was seen: Grad-CAM, and its map over the picture |
//! | [`report`] | charts as inline SVG, pages as one self-contained HTML file |
//! | [`ensemble`] | one answer from several predictions |
//! | [`submission`] | the answer in the competition's own form, checked against its sample |
//! | [`track`] | the run's folder, curves, TensorBoard |

pub mod analysis;
pub mod bootstrap;
mod confusion;
pub mod curves;
pub mod ensemble;
mod error;
pub mod explain;
pub mod metrics;
mod predictions;
pub mod report;
pub mod submission;
mod table;
pub mod track;

pub use confusion::{ClassScores, Confusion, ConfusionMatrix};
pub use error::{Error, Result};
pub use metrics::{Goal, Metric};
pub use predictions::{Predictions, Truth};
pub use submission::Submission;
pub use track::{Run, Scalar, Scalars};

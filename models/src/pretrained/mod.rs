//! Pretrained weights: read, fitted to a network, found by name.
//!
//! ```no_run
//! use candle_core::{DType, Device};
//! use sconce_models::pretrained::{self, Input, Weights};
//! use sconce_models::{Network, NetworkConfig, init};
//! let vars = candle_nn::VarMap::new();
//! let config = NetworkConfig { model: "resnet18".into(), classes: 12, channels: 1, ..Default::default() };
//! let network = Network::new(&config, init::seeded(&vars, 42, DType::F32, &Device::Cpu))?;
//! let weights = Weights::open("resnet18-f37072fd.pth".as_ref())?;
//! let report = pretrained::load(&weights, &config, &vars, Input::Repeat)?;
//! assert!(report.missing.is_empty());
//! # Ok::<(), sconce_models::Error>(())
//! ```
//!
//! | what | where |
//! |---|---|
//! | tensors by name from safetensors and PyTorch's files, without running what is in them | [`Weights`] |
//! | into a network: other names, another head, other channels, another depth | [`load`], [`check`] |
//! | which weights there are, and how pictures are prepared for them | [`Pretrained`], [`Preprocess`] |
//! | from Hugging Face's hub into its cache | `Hub`, with the feature `hub` |

mod fit;
#[cfg(feature = "hub")]
mod hub;
mod load;
mod names;
mod pickle;
mod rows;
mod table;
mod torch;
mod weights;

#[cfg(feature = "hub")]
pub use hub::Hub;
pub use load::{Input, Report, check, load};
pub use table::{Fit, Interpolation, Place, Preprocess, Pretrained, all, find, of_file, of_model};
pub use weights::Weights;

//! The training loop and its parts, on candle. It knows no model, no loss and no data: a step is a closure.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use sconce_train::{Error, Params, Scores, TrainConfig, Trainer, optim, schedule, supervised};
//! let vars = candle_nn::VarMap::new();
//! let line = candle_nn::linear(1, 1, candle_nn::VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu))?;
//! let x = Tensor::new(&[[0f32], [1.], [2.]], &Device::Cpu)?;
//! let xy = (x.clone(), ((x * 3.)? + 1.)?);
//! let forward = |(x, _): &(Tensor, Tensor), _| candle_nn::Module::forward(&line, x);
//! let task = supervised(forward, |y: &Tensor, (_, t): &(Tensor, Tensor)| (y - t)?.sqr()?.mean_all());
//! let sgd = optim::build("sgd", serde_json::json!({"weight_decay": 0.0}))?;
//! let cosine = schedule::build("cosine", serde_json::json!({}))?;
//! let config = TrainConfig { epochs: 300, ..Default::default() };
//! let mut trainer = Trainer::new(config, &vars, Params::new(&vars, |_| Some(1.)), sgd, cosine)?;
//! let outcome = trainer.fit(&task, 1, |_, _| [Ok::<_, Error>(xy.clone())], |_| Ok::<_, Error>(None::<Scores>))?;
//! assert!(outcome.history[299].loss < 1e-4);
//! # Ok::<(), sconce_train::Error>(())
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`optim`] | SGD and AdamW with state that can be saved |
//! | [`schedule`] | constant, step, multi-step, cosine, one-cycle, each with a linear warm-up |
//! | [`clip`] | by global norm |
//! | [`Ema`] | averaged weights |
//! | [`checkpoint`] | files that a crash cannot break, resumed bit by bit |
//! | [`Event`], [`Flow`], [`Hook`] | what observers see and may ask for |

mod average;
pub mod checkpoint;
pub mod clip;
mod error;
mod event;
pub mod optim;
mod params;
pub mod schedule;
mod task;
mod trainer;

pub use average::Ema;
pub use error::{BoxError, Error, Result};
pub use event::{Event, Flow, Hook, Scores};
pub use params::{Gradients, Param, Params, is_statistic, variables};
pub use task::{Progress, Supervised, Task, supervised};
pub use trainer::{Outcome, TrainConfig, Trainer};

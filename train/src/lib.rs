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
//! | [`optim`] | SGD, Adam and their relatives, for large batches, around each other; state that can be saved |
//! | [`schedule`] | steps, powers, cosines, cycles, plateaus, for rate, momentum and decay; a linear warm-up before any |
//! | [`Params`] | learning rates, weight decay, freezing and gradual unfreezing, by name |
//! | [`Trainer::with_copies`], [`LossScale`] | mixed precision |
//! | [`Task::split`], [`is_out_of_memory`] | batches that are too large for memory pass in pieces |
//! | [`RangeTest`], [`Curve`] | which learning rates are good |
//! | [`clip`] | by global norm, by value, by unit; centralization |
//! | [`Ema`], [`Swa`], [`greedy_soup`] | averaged weights |
//! | [`checkpoint`] | files that a crash cannot break, resumed bit by bit |
//! | [`Event`], [`Flow`], [`Hook`] | what observers see and may ask for |

mod average;
pub mod checkpoint;
pub mod clip;
mod error;
mod event;
pub mod optim;
mod params;
mod precision;
mod range_test;
pub mod regularize;
pub mod schedule;
mod task;
mod trainer;

pub use average::{Ema, Rise, Soup, Swa, greedy_soup, mean};
pub use error::{BoxError, Error, Result, is_out_of_memory};
pub use event::{Event, Flow, Hook, Measures, Scores};
pub use params::{Gradients, Param, Params, is_statistic, variables};
pub use precision::LossScale;
pub use range_test::{Curve, RangeTest, Suggestions};
pub use task::{Pieces, Progress, Supervised, Task, supervised};
pub use trainer::{Outcome, TrainConfig, Trainer};

//! Random changes of pictures and batches, each a pure function of its parameters and a random stream.
//!
//! ```
//! use rand::SeedableRng;
//! use sconce_augment::{Draw, Image, Pipeline, Transform};
//! let pipeline: Pipeline = serde_json::from_str(
//!     r#"["dihedral", {"name": "maybe", "p": 0.5, "of": {"name": "rotate", "degrees": 30}}]"#,
//! )?;
//! let image = Image::filled(4, 4, &[200, 100, 50]);
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
//! let seen = pipeline.apply(image.clone(), &mut Draw::new(&mut rng));
//! assert_eq!(seen, image); // one color stays one color
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`geometry`] | `flip`, `dihedral`, `rotate`, `random_resized_crop`, `pad_crop`, `resize` |
//! | [`color`] | `brightness`, `contrast`, `saturation`, `hue`, `color_jitter`, `gray`, `invert` |
//! | | `gamma`, `tone_curve`, `solarize`, `posterize`, `equalize`, `autocontrast`, `clahe` |
//! | | `sharpen`, `fancy_pca`, `rgb_shift`, `channel_affine`, `channel_drop`, `channel_shuffle` |
//! | [`policy`] | `auto_augment`, `rand_augment`, `trivial_augment`, `augmix` |
//! | [`erase`] | `random_erasing` |
//! | [`Pipeline`], [`Maybe`], [`OneOf`], [`SomeOf`] | `maybe`, `one_of`, `some_of`: transforms of transforms |
//! | [`batch`] | `mixup`, `cutmix`: blends within a batch, on its device |
//! | [`predict_views`] | test-time augmentation |
//! | [`pixel`] | the kernels below them, without randomness |
//!
//! A transform of your own is a type with [`Transform`]; it goes into a [`Pipeline`] like those of the table.
//! A volume is changed slice by slice, all slices alike.

pub mod batch;
mod check;
pub mod color;
mod combine;
mod draw;
pub mod erase;
mod error;
pub mod geometry;
pub mod pixel;
pub mod policy;
mod registry;
mod transform;
mod views;

pub use batch::BatchTransform;
pub use combine::{Maybe, OneOf, Pipeline, SomeOf};
pub use data::Image;
pub use draw::{Draw, Step};
pub use error::{Error, Result};
pub use registry::{BATCH_TRANSFORMS, Entry, TRANSFORMS, build, build_batch, resolve, resolve_batch};
pub use transform::Transform;
pub use views::{Views, predict_views};

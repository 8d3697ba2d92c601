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
//! | [`geometry`] | `flip`, `alternating_flip`, `dihedral`, `grid_shuffle`: pixels elsewhere |
//! | | `rotate`, `affine`, `perspective`: straight lines stay straight |
//! | | `elastic`, `grid_distortion`, `optical_distortion`, `piecewise_affine`, `thin_plate`: bent |
//! | | `random_resized_crop`, `random_crop`, `center_crop`, `five_crop`, `pad_crop`, `pad`: crops and frames |
//! | | `resize`, `letterbox` |
//! | [`noise`] | `gaussian_noise`, `iso_noise`, `multiplicative_noise`, `salt_pepper` |
//! | [`weather`] | `shadow`, `fog`, `rain` |
//! | [`erase`] | `random_erasing`, `cutout`, `coarse_dropout`, `grid_dropout`, `grid_mask`, `pixel_dropout` |
//! | [`domain`] | `hair_overlay`, `microscope_circle`, `stain_jitter` |
//! | [`enhance`], for eyes | `crop_gray`, `circle_crop`, `radius_normalize`, `ben_graham`: nothing random |
//! | [`enhance`], for others | `gray_world`, `shades_of_gray`, `hair_removal`, `background_removal`, `denoise` |
//! | [`enhance`], of radiology | `window`, `lung_mask` |
//! | [`volume`] | `volume_flip`, `volume_rotate`, `volume_crop`, `volume_resize`, `intensity`, `projection` |
//! | [`blur`] | `box_blur`, `gaussian_blur`, `median_blur`, `motion_blur`, `defocus`, `zoom_blur`, `glass_blur` |
//! | [`quality`] | `compression` (JPEG; WebP with the feature `webp`), `downscale` |
//! | [`color`] | `brightness`, `contrast`, `saturation`, `hue`, `color_jitter`, `gray`, `invert` |
//! | | `gamma`, `tone_curve`, `solarize`, `posterize`, `equalize`, `autocontrast`, `clahe` |
//! | | `sharpen`, `fancy_pca`, `rgb_shift`, `channel_affine`, `channel_drop`, `channel_shuffle` |
//! | [`policy`] | `auto_augment`, `rand_augment`, `trivial_augment`, `augmix` |
//! | [`Pipeline`], [`Maybe`], [`OneOf`], [`SomeOf`] | `maybe`, `one_of`, `some_of`: transforms of transforms |
//! | [`batch`] | `mixup`, `cutmix`, `mixup_cutmix`, `fmix`, `resize_mix`: blends within a batch, on its device |
//! | [`predict_views`] | test-time augmentation |
//! | [`pixel`] | the kernels below them, without randomness |
//!
//! A transform of your own is a type with [`Transform`]; it goes into a [`Pipeline`] like those of the table.
//! A volume is changed slice by slice, all slices alike.

pub mod batch;
pub mod blur;
mod check;
pub mod color;
mod combine;
pub mod domain;
mod draw;
pub mod enhance;
pub mod erase;
mod error;
pub mod geometry;
pub mod noise;
pub mod pixel;
pub mod policy;
pub mod quality;
mod registry;
mod resample;
mod transform;
mod views;
pub mod volume;
pub mod weather;

pub use batch::BatchTransform;
pub use combine::{Maybe, OneOf, Pipeline, SomeOf};
pub use data::Image;
pub use draw::{Draw, Step};
pub use error::{Error, Result};
pub use registry::{BATCH_TRANSFORMS, Entry, TRANSFORMS, build, build_batch, resolve, resolve_batch};
pub use transform::Transform;
pub use views::{VIEWS, Views, predict_views};

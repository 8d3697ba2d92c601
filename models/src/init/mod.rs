//! Seeded initialization: every variable starts as a function of (seed, its name), so neither the order of construction
//! nor the other layers of a network matter. candle's CPU generator cannot be seeded.
//!
//! | what | how |
//! |---|---|
//! | [`seeded`] | a builder that starts variables as their family says |
//! | [`outline`] | a builder for networks that are only looked at |
//! | [`Start`] | more ways to start than candle's `Init` has, for families ([`Start::make`]) |
//! | [`restart`] | variables of given names start otherwise: what a recipe overrides |
//! | [`unfold`] | gives norms of folded weights the statistics of pictures back |
//! | [`lsuv`] | scales each layer until its output has variance 1 |

mod lsuv;
mod start;
mod unfold;

pub use lsuv::lsuv;
pub(crate) use start::dirac;
pub use start::{Rule, Start, restart};
pub use unfold::{is_folded, unfold};

use crate::limits;
use candle_core::{DType, Device, Result, Shape, Tensor, Var, bail};
use candle_nn::init::NormalOrUniform;
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder, VarMap};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A builder that makes missing variables in `vars` from `seed` and their names, and hands out those that exist.
///
/// ```
/// use candle_core::{DType, Device};
/// let vars = candle_nn::VarMap::new();
/// let vb = sconce_models::init::seeded(&vars, 42, DType::F32, &Device::Cpu);
/// vb.get_with_hints((8, 3), "weight", candle_nn::Init::Randn { mean: 0.0, stdev: 1.0 })?;
/// assert_eq!(vars.all_vars().len(), 1);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn seeded(vars: &VarMap, seed: u64, dtype: DType, device: &Device) -> VarBuilder<'static> {
    VarBuilder::from_backend(Box::new(Seeded { vars: vars.clone(), seed }), dtype, device.clone())
}

struct Seeded {
    vars: VarMap,
    seed: u64,
}

impl SimpleBackend for Seeded {
    fn get(&self, shape: Shape, name: &str, init: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let mut vars = self.vars.data().lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(var) = vars.get(name) {
            if var.shape() != &shape {
                bail!("variable '{name}' has shape {:?}, the network wants {shape:?}", var.shape())
            }
            return Ok(var.as_tensor().clone());
        }
        let values = draw(init, &shape, self.seed, name);
        let var = Var::from_tensor(&Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?)?;
        let tensor = var.as_tensor().clone();
        vars.insert(name.to_string(), var);
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        let vars = self.vars.data().lock().unwrap_or_else(PoisonError::into_inner);
        match vars.get(name) {
            Some(var) => Ok(var.as_tensor().clone()),
            None => bail!("there is no variable '{name}'"),
        }
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.vars.data().lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }
}

/// A builder of variables that have a shape, all values 0, and take no memory: for what is asked of a network without
/// running it ([`Network::summary`](crate::Network::summary), sizes that it takes), up to ten billion numbers.
pub fn outline() -> VarBuilder<'static> {
    noting(Arc::default())
}

/// Shapes of variables by name.
pub(crate) type Shapes = BTreeMap<String, Vec<usize>>;

/// An [`outline`] that notes what a network asks for.
pub(crate) fn noting(seen: Arc<Mutex<Shapes>>) -> VarBuilder<'static> {
    VarBuilder::from_backend(Box::new(Outline { seen, made: Mutex::new(0) }), DType::F32, Device::Cpu)
}

struct Outline {
    seen: Arc<Mutex<Shapes>>,
    /// Numbers of all variables so far.
    made: Mutex<usize>,
}

impl SimpleBackend for Outline {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        *made = limits::parameters(*made, name, shape.dims())?;
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into(), shape.dims().to_vec());
        Tensor::zeros((), dtype, device)?.broadcast_as(shape)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        bail!("'{name}' has no shape in an outline")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}

/// Values of `init` for the variable `name`.
fn draw(init: Init, shape: &Shape, seed: u64, name: &str) -> Vec<f64> {
    let count = shape.elem_count();
    let mut rng = ChaCha8Rng::seed_from_u64(mix(seed) ^ name_hash(name));
    let mut uniform = |lo: f64, up: f64| (0..count).map(|_| lo + (up - lo) * rng.random::<f64>()).collect();
    match init {
        Init::Const(value) => vec![value; count],
        Init::Uniform { lo, up } => uniform(lo, up),
        Init::Randn { mean, stdev } => normal(&mut rng, mean, stdev, count),
        Init::Kaiming { dist, fan, non_linearity } => {
            let stdev = non_linearity.gain() / (fan.for_shape(shape) as f64).sqrt();
            match dist {
                NormalOrUniform::Normal => normal(&mut rng, 0.0, stdev, count),
                NormalOrUniform::Uniform => uniform(-3f64.sqrt() * stdev, 3f64.sqrt() * stdev),
            }
        }
    }
}

fn normal(rng: &mut ChaCha8Rng, mean: f64, stdev: f64, count: usize) -> Vec<f64> {
    (0..count).map(|_| mean + stdev * rng.sample::<f64, _>(StandardNormal)).collect()
}

/// A bijection of 64 bits whose outputs look random (SplitMix64's finalizer, Steele et al. 2014).
pub(crate) fn mix(v: u64) -> u64 {
    let v = v.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let v = (v ^ (v >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let v = (v ^ (v >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    v ^ (v >> 31)
}

/// FNV-1a of a name: stable between runs, versions and machines.
pub(crate) fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_nn::init::{FanInOut, NonLinearity};

    #[test]
    fn values_depend_on_seed_and_name_only() {
        let values = |seed, name: &str, other: bool| {
            let vars = VarMap::new();
            let vb = seeded(&vars, seed, DType::F32, &Device::Cpu);
            let init = Init::Randn { mean: 0.0, stdev: 1.0 };
            if other {
                vb.get_with_hints(5, "other", init).unwrap();
            }
            vb.get_with_hints(64, name, init).unwrap().to_vec1::<f32>().unwrap()
        };
        assert_eq!(values(1, "a", false), values(1, "a", true));
        assert_ne!(values(1, "a", false), values(2, "a", false));
        assert_ne!(values(1, "a", false), values(1, "b", false));
    }

    /// √(2 / (7·7·64)) for a 7×7 convolution to 64 channels.
    #[test]
    fn kaiming_deviation_is_he_s() {
        let init =
            Init::Kaiming { dist: NormalOrUniform::Normal, fan: FanInOut::FanOut, non_linearity: NonLinearity::ReLU };
        let v = draw(init, &(64, 64, 7, 7).into(), 3, "w");
        let sd = (v.iter().map(|v| v * v).sum::<f64>() / v.len() as f64).sqrt();
        assert!((sd - 0.025_253_8).abs() < 2e-4, "{sd}");
    }
}

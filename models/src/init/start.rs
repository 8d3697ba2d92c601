//! Ways to start a variable by name.

use super::seeded;
use crate::error::{Error, Result};
use candle_core::{Shape, Tensor, Var, bail, cpu::erf::erf_f64};
use candle_nn::init::{FanInOut, NonLinearity, NormalOrUniform};
use candle_nn::{Init, VarBuilder, VarMap};
use serde::{Deserialize, Serialize};
use std::f64::consts::{FRAC_1_SQRT_2, PI, SQRT_2};

/// How a variable starts. Fans are PyTorch's: axis 1 (in) or axis 0 (out) times the window.
///
/// | name | parameters | values |
/// |---|---|---|
/// | `constant` | `value` | all alike |
/// | `normal` | `std` | N(0, std²) |
/// | `trunc_normal` | `std` 0.02, `low` −2, `high` 2 | the same between two bounds, as timm's `trunc_normal_` |
/// | `xavier_uniform`, `xavier_normal` | `gain` 1 | variance gain² · 2 / (in + out) (Glorot & Bengio 2010) |
/// | `kaiming_uniform`, `kaiming_normal` | `fan_out` true | variance 2 / fan (He et al. 2015) |
/// | `orthogonal` | `gain` 1 | orthonormal rows or columns (Saxe et al. 2013) |
/// | `dirac` | `groups` 1 | a convolution that hands its input on (Zagoruyko & Komodakis 2017) |
/// | `prior` | `probability` 0.01 | −log((1 − π) / π): what a final bias says before it has learned (Lin et al. 2017) |
/// | `descending` | | 1, (n − 1)/n, …, 1/n: n thresholds in order, as coral-pytorch's |
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Start {
    /// All alike.
    Constant {
        /// Of every entry.
        value: f64,
    },
    /// Normal around 0.
    Normal {
        /// Its deviation.
        std: f64,
    },
    /// Normal around 0 between two bounds.
    TruncNormal {
        /// Its deviation before it is cut.
        #[serde(default = "small")]
        std: f64,
        /// The lower bound.
        #[serde(default = "low")]
        low: f64,
        /// The upper bound.
        #[serde(default = "high")]
        high: f64,
    },
    /// Glorot & Bengio's, uniform.
    XavierUniform {
        /// Factor.
        #[serde(default = "one")]
        gain: f64,
    },
    /// Glorot & Bengio's, normal.
    XavierNormal {
        /// Factor.
        #[serde(default = "one")]
        gain: f64,
    },
    /// He et al.'s, uniform.
    KaimingUniform {
        /// Which fan counts.
        #[serde(default = "yes")]
        fan_out: bool,
    },
    /// He et al.'s, normal.
    KaimingNormal {
        /// Which fan counts.
        #[serde(default = "yes")]
        fan_out: bool,
    },
    /// Orthonormal rows or columns.
    Orthogonal {
        /// Factor.
        #[serde(default = "one")]
        gain: f64,
    },
    /// The identity as a convolution.
    Dirac {
        /// Of the convolution.
        #[serde(default = "single")]
        groups: usize,
    },
    /// The logit of a probability.
    Prior {
        /// π.
        #[serde(default = "rare")]
        probability: f64,
    },
    /// From 1 to 1/n in equal steps.
    Descending,
    /// One of candle's; not in recipes.
    #[serde(skip)]
    Plain(Init),
}

fn small() -> f64 {
    0.02
}
fn low() -> f64 {
    -2.0
}
fn high() -> f64 {
    2.0
}
fn one() -> f64 {
    1.0
}
fn yes() -> bool {
    true
}
fn single() -> usize {
    1
}
fn rare() -> f64 {
    0.01
}

impl From<Init> for Start {
    fn from(init: Init) -> Self {
        Self::Plain(init)
    }
}

impl Start {
    /// The variable `name` of `vb`: as it is, or started so. A family makes variables in this way before it builds the blocks
    /// that use them.
    ///
    /// # Errors
    /// Those of `vb`, and starts that do not fit the shape.
    pub fn make(self, vb: &VarBuilder<'_>, name: &str, shape: impl Into<Shape>) -> candle_core::Result<Tensor> {
        let shape = shape.into();
        if self.by_fan() && shape.rank() < 2 {
            bail!("variable '{name}' of shape {shape:?} has no fans; {self:?} needs at least two axes")
        }
        let exists = vb.contains_tensor(name);
        let drawn = vb.get_with_hints(shape.clone(), name, self.noise(&shape))?;
        if !exists
            && matches!(
                self,
                Self::TruncNormal { .. } | Self::Orthogonal { .. } | Self::Dirac { .. } | Self::Descending
            )
        {
            let noise = drawn.flatten_all()?.to_dtype(candle_core::DType::F64)?.to_vec1::<f64>()?;
            let values =
                Tensor::from_vec(self.shaped(noise, &shape)?, shape, drawn.device())?.to_dtype(drawn.dtype())?;
            Var::from_tensor(&drawn)?.set(&values)?;
        }
        Ok(drawn)
    }

    /// Whether it needs axes for what comes in and what goes out.
    fn by_fan(self) -> bool {
        match self {
            Self::XavierUniform { .. }
            | Self::XavierNormal { .. }
            | Self::KaimingUniform { .. }
            | Self::KaimingNormal { .. }
            | Self::Orthogonal { .. }
            | Self::Dirac { .. } => true,
            Self::Constant { .. }
            | Self::Normal { .. }
            | Self::TruncNormal { .. }
            | Self::Prior { .. }
            | Self::Descending
            | Self::Plain(_) => false,
        }
    }

    /// What is drawn before it is shaped.
    fn noise(self, shape: &Shape) -> Init {
        let normal = |stdev| Init::Randn { mean: 0.0, stdev };
        let xavier = |gain: f64| {
            let fans = FanInOut::FanIn.for_shape(shape) + FanInOut::FanOut.for_shape(shape);
            gain * (2.0 / fans as f64).sqrt()
        };
        let kaiming = |dist, fan_out| {
            let fan = if fan_out { FanInOut::FanOut } else { FanInOut::FanIn };
            Init::Kaiming { dist, fan, non_linearity: NonLinearity::ReLU }
        };
        match self {
            Self::Constant { value } => Init::Const(value),
            Self::Normal { std } => normal(std),
            // Not uniform: rounded to F32, shares near 1 are so coarse that the farthest values would lie at the bound.
            Self::TruncNormal { .. } => normal(1.0),
            Self::XavierUniform { gain } => {
                let bound = 3f64.sqrt() * xavier(gain);
                Init::Uniform { lo: -bound, up: bound }
            }
            Self::XavierNormal { gain } => normal(xavier(gain)),
            Self::KaimingUniform { fan_out } => kaiming(NormalOrUniform::Uniform, fan_out),
            Self::KaimingNormal { fan_out } => kaiming(NormalOrUniform::Normal, fan_out),
            Self::Orthogonal { .. } => normal(1.0),
            Self::Dirac { .. } | Self::Descending => Init::Const(0.0),
            Self::Prior { probability } => Init::Const(-((1.0 - probability) / probability).ln()),
            Self::Plain(init) => init,
        }
    }

    /// Values from what was drawn.
    fn shaped(self, noise: Vec<f64>, shape: &Shape) -> candle_core::Result<Vec<f64>> {
        Ok(match self {
            Self::TruncNormal { std, low, high } => {
                // Through its share of all to one between the bounds', and back.
                let (from, to) = (below(low / std), below(high / std));
                let between = |v: f64| (std * quantile(from + (to - from) * below(v))).clamp(low, high);
                noise.into_iter().map(between).collect()
            }
            Self::Orthogonal { gain } => orthogonal(&noise, shape.dims()[0]).into_iter().map(|v| gain * v).collect(),
            Self::Dirac { groups } => dirac(shape.dims(), groups)?,
            Self::Descending => {
                let count = noise.len();
                (0..count).map(|i| (count - i) as f64 / count as f64).collect()
            }
            _ => noise,
        })
    }

    fn check(self) -> Result<()> {
        let fits = match self {
            Self::Constant { value } => value.is_finite(),
            Self::Normal { std } => std >= 0.0 && std.is_finite(),
            Self::TruncNormal { std, low, high } => std > 0.0 && std.is_finite() && low < high,
            Self::XavierUniform { gain } | Self::XavierNormal { gain } | Self::Orthogonal { gain } => gain.is_finite(),
            Self::Dirac { groups } => groups > 0,
            Self::Prior { probability } => probability > 0.0 && probability < 1.0,
            Self::KaimingUniform { .. } | Self::KaimingNormal { .. } | Self::Descending | Self::Plain(_) => true,
        };
        if fits { Ok(()) } else { Err(Error::Invalid(format!("init: {self:?} is no way to start a variable"))) }
    }
}

/// Share of a standard normal below `x`.
fn below(x: f64) -> f64 {
    0.5 * (1.0 + erf_f64(x * FRAC_1_SQRT_2))
}

/// Below which a share `u` of a standard normal lies. Giles, "Approximating the erfinv function", 2010, and two of Newton's
/// steps to double precision.
fn quantile(u: f64) -> f64 {
    const NEAR: [f64; 9] = [
        2.810_226_36e-08,
        3.432_739_39e-07,
        -3.523_387_7e-06,
        -4.391_506_54e-06,
        0.000_218_580_87,
        -0.001_253_725_03,
        -0.004_177_681_64,
        0.246_640_727,
        1.501_409_41,
    ];
    const FAR: [f64; 9] = [
        -0.000_200_214_257,
        0.000_100_950_558,
        0.001_349_343_22,
        -0.003_673_428_44,
        0.005_739_507_73,
        -0.007_622_461_3,
        0.009_438_870_47,
        1.001_674_06,
        2.832_976_82,
    ];
    // No share that can be told from 0 or 1 lies farther out.
    let x = (2.0 * u - 1.0).clamp(-1.0 + f64::EPSILON, 1.0 - f64::EPSILON);
    let w = -((1.0 - x) * (1.0 + x)).ln();
    let (w, terms) = if w < 5.0 { (w - 2.5, NEAR) } else { (w.sqrt() - 3.0, FAR) };
    let mut y = x * terms.iter().fold(0.0, |sum, term| sum * w + term);
    for _ in 0..2 {
        y -= (erf_f64(y) - x) * PI.sqrt() / 2.0 * (y * y).exp();
    }
    SQRT_2 * y
}

/// The factor with orthonormal columns (rows, where there are fewer of them) of a QR decomposition of `noise` with `rows` rows,
/// its signs such that R has a positive diagonal: Gram–Schmidt, each vector twice, which keeps all digits.
fn orthogonal(noise: &[f64], rows: usize) -> Vec<f64> {
    let columns = noise.len() / rows.max(1);
    let (count, length) = (rows.min(columns), rows.max(columns));
    // Vector i of the smaller side.
    let at = |i: usize, j: usize| if rows < columns { i * columns + j } else { j * columns + i };
    let mut vectors: Vec<Vec<f64>> = (0..count).map(|i| (0..length).map(|j| noise[at(i, j)]).collect()).collect();
    for i in 0..count {
        let (done, rest) = vectors.split_at_mut(i);
        let own = &mut rest[0];
        for _ in 0..2 {
            for other in done.iter() {
                let dot: f64 = own.iter().zip(other).map(|(a, b)| a * b).sum();
                own.iter_mut().zip(other).for_each(|(a, b)| *a -= dot * b);
            }
        }
        let norm = own.iter().map(|v| v * v).sum::<f64>().sqrt();
        own.iter_mut().for_each(|v| *v /= norm);
    }
    let mut values = vec![0.0; noise.len()];
    for (i, vector) in vectors.iter().enumerate() {
        vector.iter().enumerate().for_each(|(j, v)| values[at(i, j)] = *v);
    }
    values
}

/// One at the middle of the window of each channel's own filter.
pub(crate) fn dirac(dims: &[usize], groups: usize) -> candle_core::Result<Vec<f64>> {
    let &[out, inputs, ref window @ ..] = dims else {
        bail!("dirac: a convolution has at least two axes, got {dims:?}")
    };
    if out % groups != 0 {
        bail!("dirac: {out} channels do not divide into {groups} groups")
    }
    let taps: usize = window.iter().product();
    let middle = window.iter().fold(0, |at, side| at * side + side / 2);
    let mut values = vec![0.0; out * inputs * taps];
    for group in 0..groups {
        for channel in 0..(out / groups).min(inputs) {
            values[((group * (out / groups) + channel) * inputs + channel) * taps + middle] = 1.0;
        }
    }
    Ok(values)
}

/// Which variables start how: `{ at = "backbone.*.weight", name = "orthogonal" }`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rule {
    /// Names of variables; `*` stands for anything.
    pub at: String,
    /// How they start.
    #[serde(flatten)]
    pub start: Start,
}

impl Rule {
    /// Rejects impossible parameters.
    ///
    /// # Errors
    /// [`Error::Invalid`] says which.
    pub fn check(&self) -> Result<()> {
        self.start.check()
    }

    fn matches(&self, name: &str) -> bool {
        let mut pieces = self.at.split('*');
        let Some(mut rest) = pieces.next().and_then(|first| name.strip_prefix(first)) else { return false };
        let pieces: Vec<&str> = pieces.collect();
        let Some((last, between)) = pieces.split_last() else { return rest.is_empty() };
        for piece in between {
            let Some(at) = rest.find(piece) else { return false };
            rest = &rest[at + piece.len()..];
        }
        rest.ends_with(last)
    }
}

/// Starts the variables of `vars` that `rules` name anew, the later rule first: as functions of (seed, name), so as if the
/// family had said so. Starts that need fans leave vectors alone, such as the weights of norms; running statistics keep
/// their values.
///
/// # Errors
/// Impossible starts, and rules without a variable.
pub fn restart(vars: &VarMap, seed: u64, rules: &[Rule]) -> Result<()> {
    let all = vars.data().lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    let mut used = vec![false; rules.len()];
    for rule in rules {
        rule.check()?;
    }
    for (name, var) in all.iter().filter(|(name, _)| !name.contains("running_")) {
        let fits = |rule: &Rule| rule.matches(name) && (var.rank() > 1 || !rule.start.by_fan());
        let fitting = rules.iter().enumerate().filter(|(_, rule)| fits(rule));
        let mut last = None;
        for (i, rule) in fitting {
            used[i] = true;
            last = Some(rule);
        }
        if let Some(rule) = last {
            let vb = seeded(&VarMap::new(), seed, var.dtype(), var.device());
            var.set(&rule.start.make(&vb, name, var.shape().clone())?)?;
        }
    }
    match rules.iter().zip(used).find(|(_, used)| !used) {
        Some((rule, _)) => {
            Err(Error::Invalid(format!("init: no variable is called '{}' and fits {:?}", rule.at, rule.start)))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    fn made(start: Start, shape: &[usize]) -> Vec<f64> {
        let vb = seeded(&VarMap::new(), 3, DType::F64, &Device::Cpu);
        start.make(&vb, "w", shape).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn deviations_and_bounds_are_the_published_ones() {
        let largest = |v: &[f64]| v.iter().fold(0f64, |m, v| m.max(v.abs()));
        let deviation = |v: &[f64]| (v.iter().map(|v| v * v).sum::<f64>() / v.len() as f64).sqrt();
        let uniform = made(Start::XavierUniform { gain: 1.0 }, &[10, 512]);
        assert!(largest(&uniform) <= 0.107_211_3 && largest(&uniform) > 0.1070);
        let normal = made(Start::XavierNormal { gain: 1.0 }, &[128, 512]);
        assert!((deviation(&normal) - (2f64 / 640.0).sqrt()).abs() < 4e-4);
        let kaiming = made(Start::KaimingNormal { fan_out: true }, &[64, 64, 7, 7]);
        assert!((deviation(&kaiming) - 0.025_253_8).abs() < 2e-4);
        let inwards = made(Start::KaimingNormal { fan_out: false }, &[640, 3, 7, 7]);
        assert!((deviation(&inwards) - 0.116_642_4).abs() < 1e-3);
        let cut = made(Start::TruncNormal { std: 1.0, low: -1.0, high: 1.0 }, &[40_000]);
        // √(1 − 2φ(1) / (Φ(1) − Φ(−1)))
        assert!(largest(&cut) <= 1.0 && (deviation(&cut) - 0.539_56).abs() < 4e-3);
        let prior = made(Start::Prior { probability: 0.01 }, &[2]);
        assert!(prior.iter().all(|v| (v + 4.595_12).abs() < 1e-5));
    }

    /// Bounds of 100 deviations: what F32 rounds away must not become the bound.
    #[test]
    fn rounded_noise_stays_where_it_was() {
        let start = Start::TruncNormal { std: 0.02, low: -2.0, high: 2.0 };
        let of = |dtype| {
            let vb = seeded(&VarMap::new(), 3, dtype, &Device::Cpu);
            let made = start.make(&vb, "w", 200_000).unwrap();
            made.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap()
        };
        for (single, double) in of(DType::F32).iter().zip(of(DType::F64)) {
            assert!((single - double).abs() <= 1e-6 * double.abs() + 1e-9, "{single} {double}");
        }
        let far = start.shaped(vec![6.5, -6.5, 40.0], &3.into()).unwrap();
        assert!((far[0] - 0.13).abs() < 1e-6 && (far[1] + 0.13).abs() < 1e-6, "{far:?}");
        assert!(far[2] < 0.2, "{far:?}");
    }

    #[test]
    fn quantiles_are_those_of_the_normal_distribution() {
        for (u, x) in [
            (0.5, 0.0),
            (0.975, 1.959_963_984_540_054),
            (1e-9, -5.997_807_015_007_681),
            (0.025, -1.959_963_984_540_054),
        ] {
            assert!((quantile(u) - x).abs() < 1e-7, "{u}: {}", quantile(u));
        }
    }

    #[test]
    fn rows_or_columns_are_orthonormal() {
        for shape in [[12, 5], [5, 12]] {
            let v = made(Start::Orthogonal { gain: 2.0 }, &shape);
            let matrix = Tensor::from_vec(v, (shape[0], shape[1]), &Device::Cpu).unwrap();
            let product =
                if shape[0] > 5 { matrix.t().unwrap().matmul(&matrix) } else { matrix.matmul(&matrix.t().unwrap()) };
            for (i, row) in product.unwrap().to_vec2::<f64>().unwrap().iter().enumerate() {
                let want = |j: usize| if i == j { 4.0 } else { 0.0 };
                assert!(row.iter().enumerate().all(|(j, v)| (v - want(j)).abs() < 1e-12), "{row:?}");
            }
        }
    }

    #[test]
    fn rules_name_variables() {
        let rule = |at: &str| Rule { at: at.into(), start: Start::Constant { value: 1.0 } };
        assert!(rule("head.weight").matches("head.weight") && !rule("head").matches("head.weight"));
        assert!(rule("*").matches("head.bias") && rule("backbone.*.weight").matches("backbone.layer1.0.conv1.weight"));
        assert!(!rule("backbone.*.weight").matches("head.weight") && !rule("*.bias").matches("bias"));
        assert!(rule("*conv*weight").matches("a.conv1.weight") && !rule("*conv*weight").matches("a.bn1.weight"));
        let vars = VarMap::new();
        let vb = seeded(&vars, 0, DType::F32, &Device::Cpu);
        for (name, shape) in [("a.weight", vec![4, 4]), ("a.bias", vec![4]), ("bn.weight", vec![4])] {
            vb.get_with_hints(shape, name, Init::Const(0.0)).unwrap();
        }
        let read: Vec<Rule> = serde_json::from_value(serde_json::json!([
            {"at": "*.weight", "name": "orthogonal"}, {"at": "*.bias", "name": "prior", "probability": 0.5},
        ]))
        .unwrap();
        restart(&vars, 7, &read).unwrap();
        let value = |name: &str| vars.data().lock().unwrap()[name].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(value("bn.weight") == [0.0; 4] && value("a.bias") == [0.0; 4]);
        assert!((value("a.weight").iter().map(|v| v * v).sum::<f32>() - 4.0).abs() < 1e-5);
        let error = restart(&vars, 7, &[rule("c.*")]).unwrap_err().to_string();
        assert!(error.contains("no variable is called 'c.*'"), "{error}");
        let unknown = serde_json::json!({"at": "*", "name": "orthogonal", "gian": 1});
        assert!(serde_json::from_value::<Rule>(unknown).unwrap_err().to_string().contains("gian"));
    }
}

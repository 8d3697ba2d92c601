//! Which pretrained weights there are, and how pictures are prepared for them.

use super::Input;
use super::rows::{ELSEWHERE, ROWS};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How a network's pictures were resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// Between the nearest 2×2 pixels.
    Bilinear,
    /// Between the nearest 4×4 pixels.
    Bicubic,
}

/// What becomes of a picture that is not square.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Its middle is kept.
    Crop,
    /// Its aspect changes.
    Squash,
}

/// How pictures are prepared for a network: it travels with the weights.
///
/// | field | range |
/// |---|---|
/// | `mean`, `std` | of red, green, blue, in 0..=1 units |
/// | `size` | side of the network's input, pixels |
/// | `fit` | crop, squash |
/// | `crop` | 0..=1, the side of the kept middle as a share of the resized picture's shorter one |
/// | `interpolation` | bilinear, bicubic |
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocess {
    /// Subtracted from each channel.
    pub mean: [f32; 3],
    /// Then divides it.
    pub std: [f32; 3],
    /// Side of the network's input, pixels.
    pub size: usize,
    /// What becomes of a picture that is not square.
    pub fit: Fit,
    /// Share of the resized picture's shorter side that is kept.
    pub crop: f64,
    /// How pictures are resized.
    pub interpolation: Interpolation,
}

impl Preprocess {
    /// Means and deviations for pictures of `channels` channels whose first convolution was adapted as `input` says. Where a
    /// channel reads a mean of others, both its mean and its deviation are the means of theirs:
    ///
    /// | `input` | channels |
    /// |---|---|
    /// | `repeat` | red, green, blue, red, …; a single one is the mean of the three |
    /// | `mean` | each is the mean of the three |
    /// | `rgby` | red, green, blue, the mean of red and blue |
    pub fn stats(&self, channels: usize, input: Input) -> (Vec<f32>, Vec<f32>) {
        let of = |three: &[f32; 3]| {
            let [red, _, blue] = three;
            let mean = three.iter().sum::<f32>() / 3.0;
            match (input, channels) {
                (_, 3) => three.to_vec(),
                (_, 1) | (Input::Mean, _) => vec![mean; channels],
                (Input::Rgby, 4) => three.iter().copied().chain([(red + blue) / 2.0]).collect(),
                _ => three.iter().copied().cycle().take(channels).collect(),
            }
        };
        (of(&self.mean), of(&self.std))
    }
}

/// Where the file of weights is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In timm's repository of the same name on Hugging Face's hub.
    Hub,
    /// In this repository of the hub.
    Repository(&'static str),
    /// In this folder of another server: [`Pretrained::address`].
    Url(&'static str),
    /// It has to be brought; known by its file's name.
    Brought,
}

/// Pretrained weights of a model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Pretrained {
    /// The model and, behind a dot, how it was trained: timm's name.
    pub name: &'static str,
    /// Where they are.
    pub place: Place,
    /// Name of the file.
    pub file: &'static str,
    /// How the SHA-256 of the file begins, where that is published in its name; the hub says its own. A file that is downloaded
    /// or opened under this name is checked.
    pub sha256: &'static str,
    /// Parameters of the model that they were trained with, where its preset has others: JSON.
    pub params: &'static str,
    /// How pictures are prepared.
    pub preprocess: Preprocess,
    /// Licence of the weights (SPDX).
    pub license: &'static str,
}

impl Pretrained {
    /// The model they belong to.
    pub fn model(&self) -> &'static str {
        self.name.split('.').next().unwrap_or(self.name)
    }
    /// Whether model `model` can start from them: their own, and networks for volumes whose kernels are theirs, repeated over the
    /// slices (Carreira & Zisserman 2017).
    pub fn fits(&self, model: &str) -> bool {
        self.model() == model || INFLATED.contains(&(model, self.model()))
    }
    /// The repository of the hub that has them.
    pub fn repository(&self) -> Option<String> {
        match self.place {
            Place::Hub => Some(format!("timm/{}", self.name)),
            Place::Repository(name) => Some(name.into()),
            Place::Url(_) | Place::Brought => None,
        }
    }
    /// The address of the file, where it is not on the hub.
    pub fn address(&self) -> Option<String> {
        if let Place::Url(folder) = self.place { Some(format!("{folder}/{}", self.file)) } else { None }
    }
    /// Parameters of the model that they were trained with, where its preset has others.
    pub fn params(&self) -> Map<String, Value> {
        serde_json::from_str(self.params).unwrap_or_default()
    }
}

/// Networks for volumes, and the one for pictures that has the same layers.
const INFLATED: [(&str, &str); 2] = [("r3d_18", "resnet18"), ("mc3_18", "resnet18")];

/// The weights `name`.
///
/// # Errors
/// [`Error::Invalid`] for an unknown name; it lists those of the model whose name is nearest.
pub fn find(name: &str) -> Result<&'static Pretrained> {
    let model = name.split('.').next().unwrap_or(name);
    let distance = |row: &&Pretrained| strsim::damerau_levenshtein(row.model(), model);
    let nearest = all().min_by_key(distance).filter(|row| distance(row) <= 1 + model.len() / 4).map(Pretrained::model);
    all().find(|row| row.name == name).ok_or_else(|| {
        Error::Invalid(match nearest {
            // Of a model that has none.
            _ if crate::models().iter().any(|(known, _)| *known == model) && nearest != Some(model) => {
                format!("there are no pretrained weights of '{model}'; give a file of weights")
            }
            None => format!("unknown pretrained weights '{name}', which are like no model's; give a file of weights"),
            Some(nearest) => {
                let known: Vec<&str> = all().filter(|row| row.model() == nearest).map(|row| row.name).collect();
                format!("unknown pretrained weights '{name}', expected one of {}, or a file", known.join(", "))
            }
        })
    })
}

/// The weights that a model has by default: timm's choice.
///
/// # Errors
/// [`Error::Invalid`] when none are known.
pub fn of_model(model: &str) -> Result<&'static Pretrained> {
    all().find(|row| row.model() == model && row.place != Place::Brought).ok_or_else(|| {
        let brought = all().find(|row| row.model() == model).map(|row| format!(" such as '{}'", row.file));
        let file = brought.unwrap_or_default();
        Error::Invalid(format!("no pretrained weights of '{model}' are known on the hub; give a file of weights{file}"))
    })
}

/// The weights that a file of this name holds, if it is a known one.
pub fn of_file(file: &str) -> Option<&'static Pretrained> {
    // Every repository of the hub calls its file the same.
    all().find(|row| row.file == file && row.repository().is_none())
}

/// All weights, a model's default ones before its others.
pub fn all() -> impl Iterator<Item = &'static Pretrained> {
    BROUGHT.iter().chain(ROWS).chain(ELSEWHERE).chain(FROZEN)
}

/// Half of the range of a byte on both sides.
const HALF: [f32; 3] = [0.5; 3];

/// Those of networks that never learn, from timm's registry; the ViT's are its authors' own. DINOv2 is evaluated by its
/// authors at 224 pixels.
#[rustfmt::skip]
const FROZEN: &[Pretrained] = &[
    frozen("frozen_dinov2.lvd142m", "timm/vit_small_patch14_dinov2.lvd142m", IMAGENET, 224, 0.875, "apache-2.0"),
    frozen("frozen_dinov2_small.lvd142m", "timm/vit_small_patch14_dinov2.lvd142m", IMAGENET, 224, 0.875, "apache-2.0"),
    frozen("frozen_dinov2_base.lvd142m", "timm/vit_base_patch14_dinov2.lvd142m", IMAGENET, 224, 0.875, "apache-2.0"),
    frozen("frozen_dinov2reg4_small.lvd142m", "timm/vit_small_patch14_reg4_dinov2.lvd142m", IMAGENET, 518, 1.0, "apache-2.0"),
    frozen("frozen_dinov2reg4_base.lvd142m", "timm/vit_base_patch14_reg4_dinov2.lvd142m", IMAGENET, 518, 1.0, "apache-2.0"),
    frozen("frozen_vit_base.google_in21k_ft_in1k", "google/vit-base-patch16-224", (HALF, HALF), 224, 1.0, "apache-2.0"),
    frozen("frozen_convnext_tiny.in12k_ft_in1k", "timm/convnext_tiny.in12k_ft_in1k", IMAGENET, 224, 0.95, "apache-2.0"),
    frozen("frozen_convnext_small.in12k_ft_in1k", "timm/convnext_small.in12k_ft_in1k", IMAGENET, 224, 0.95, "apache-2.0"),
    frozen("frozen_convnext_base.fb_in22k_ft_in1k", "timm/convnext_base.fb_in22k_ft_in1k", IMAGENET, 224, 0.875, "apache-2.0"),
    frozen("frozen_convnextv2_atto.fcmae_ft_in1k", "timm/convnextv2_atto.fcmae_ft_in1k", IMAGENET, 224, 0.875, "cc-by-nc-4.0"),
    frozen("frozen_convnextv2_nano.fcmae_ft_in22k_in1k", "timm/convnextv2_nano.fcmae_ft_in22k_in1k", IMAGENET, 224, 0.875, "cc-by-nc-4.0"),
    frozen("frozen_convnextv2_tiny.fcmae_ft_in22k_in1k", "timm/convnextv2_tiny.fcmae_ft_in22k_in1k", IMAGENET, 224, 0.875, "cc-by-nc-4.0"),
    frozen("frozen_convnextv2_base.fcmae_ft_in22k_in1k", "timm/convnextv2_base.fcmae_ft_in22k_in1k", IMAGENET, 224, 0.875, "cc-by-nc-4.0"),
];

const IMAGENET: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

const fn frozen(
    name: &'static str,
    repository: &'static str,
    (mean, std): ([f32; 3], [f32; 3]),
    size: usize,
    crop: f64,
    license: &'static str,
) -> Pretrained {
    let preprocess = Preprocess { mean, std, size, fit: Fit::Crop, crop, interpolation: Interpolation::Bicubic };
    let place = Place::Repository(repository);
    Pretrained { name, place, file: "model.safetensors", sha256: "", params: "{}", preprocess, license }
}

/// Weights that are on no hub.
const BROUGHT: &[Pretrained] = &[
    // Idelbayev's "Proper ResNet implementation for CIFAR10"; trained on the whole 32 × 32 pixels.
    Pretrained {
        name: "resnet20.akamaster_cifar10",
        place: Place::Brought,
        file: "resnet20-12fca82f.th",
        sha256: "12fca82f",
        params: "{}",
        preprocess: Preprocess {
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
            size: 32,
            fit: Fit::Crop,
            crop: 1.0,
            interpolation: Interpolation::Bilinear,
        },
        license: "bsd-2-clause",
    },
    // TensorFlow's quantized MobileNets as floats, their norms folded into the convolutions before them.
    Pretrained {
        name: "mobilenetv2_100.tf_quant_in1k",
        place: Place::Brought,
        file: "mobilenet_v2_1.0_224_quant_f32.safetensors",
        sha256: "",
        params: r#"{"same": true}"#,
        preprocess: Preprocess {
            mean: HALF,
            std: HALF,
            size: 224,
            fit: Fit::Crop,
            crop: 0.875,
            interpolation: Interpolation::Bilinear,
        },
        license: "apache-2.0",
    },
    Pretrained {
        name: "mobilenetv1_100.tf_quant_025_in1k",
        place: Place::Brought,
        file: "mobilenet_v1_0.25_128_quant_f32.safetensors",
        sha256: "",
        params: r#"{"same": true, "width": 0.25}"#,
        preprocess: Preprocess {
            mean: HALF,
            std: HALF,
            size: 128,
            fit: Fit::Crop,
            crop: 0.875,
            interpolation: Interpolation::Bilinear,
        },
        license: "apache-2.0",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn rows_are_sound() {
        let names: BTreeSet<&str> = all().map(|row| row.name).collect();
        assert_eq!(names.len(), all().count());
        for row in all() {
            let Preprocess { mean, std, size, crop, .. } = row.preprocess;
            assert!(row.name.contains('.') && row.file.contains('.') && !row.license.is_empty(), "{}", row.name);
            assert!(mean.iter().chain(&std).all(|v| (0.0..=1.0).contains(v)) && std.iter().all(|v| *v > 0.0));
            assert!((32..=1024).contains(&size) && (0.5..=1.0).contains(&crop), "{}", row.name);
            assert!(serde_json::from_str::<Map<String, Value>>(row.params).is_ok(), "{}", row.name);
            crate::resolve(row.model(), &Value::Null).unwrap();
            if let Some(address) = row.address() {
                assert!(address.starts_with("https://") && !address.contains("//models"), "{address}");
                assert!(row.file.contains(&format!("-{}.", row.sha256)) && row.sha256.len() >= 8, "{}", row.file);
            }
        }
    }

    #[test]
    fn weights_are_found_by_model_name_and_file() {
        assert_eq!(of_model("resnet18").unwrap().name, "resnet18.a1_in1k");
        assert_eq!(find("resnet18.tv_in1k").unwrap().preprocess.crop, 0.875);
        assert_eq!(of_file("resnet20-12fca82f.th").unwrap().model(), "resnet20");
        assert_eq!(of_file("model.safetensors"), None);
        let flat = find("resnet18.tv_in1k").unwrap();
        assert!(["resnet18", "r3d_18", "mc3_18"].iter().all(|model| flat.fits(model)) && !flat.fits("r2plus1d_18"));
        let unknown = find("resnet18.tv").unwrap_err().to_string();
        assert!(unknown.contains("resnet18.a1_in1k, resnet18.tv_in1k"), "{unknown}");
        let mistyped = find("resent18.tv_in1k").unwrap_err().to_string();
        assert!(mistyped.starts_with("unknown pretrained weights 'resent18.tv_in1k', expected one of "), "{mistyped}");
        assert!(mistyped.ends_with("resnet18.a1_in1k, resnet18.tv_in1k, or a file"), "{mistyped}");
        assert!(find("baseline.in1k").unwrap_err().to_string().contains("no pretrained weights of 'baseline'"));
        assert!(find("something").unwrap_err().to_string().contains("'something', which are like no model's"));
        // On the hub first, and where timm has none at torchvision's address.
        assert_eq!(of_model("inception_v3").unwrap().name, "inception_v3.tv_in1k");
        assert!(matches!(of_model("squeezenet1_1").unwrap().place, Place::Url(_)));
        assert_eq!(of_file("mobilenet_v3_small-047dcff4.pth").unwrap().params()["eps"], 1e-3);
        assert!(of_model("resnet20").unwrap_err().to_string().contains("resnet20-12fca82f.th"));
    }

    #[test]
    fn statistics_follow_the_first_convolution() {
        let said = of_model("resnet18").unwrap().preprocess;
        let near = |(mean, std): (Vec<f32>, Vec<f32>), want: &[[f32; 2]]| {
            assert_eq!((mean.len(), std.len()), (want.len(), want.len()));
            for ((mean, std), want) in mean.iter().zip(&std).zip(want) {
                assert!((mean - want[0]).abs() < 1e-6 && (std - want[1]).abs() < 1e-6, "{mean} {std} {want:?}");
            }
        };
        let [red, green, blue] = [[0.485, 0.229], [0.456, 0.224], [0.406, 0.225]];
        let (gray, yellow) = ([0.449, 0.226], [0.4455, 0.227]);
        for input in [Input::Repeat, Input::Mean, Input::Rgby] {
            near(said.stats(1, input), &[gray]);
            near(said.stats(3, input), &[red, green, blue]);
        }
        near(said.stats(5, Input::Repeat), &[red, green, blue, red, green]);
        near(said.stats(4, Input::Mean), &[gray; 4]);
        near(said.stats(4, Input::Rgby), &[red, green, blue, yellow]);
    }
}

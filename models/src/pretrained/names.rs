//! How other libraries call the variables that timm's names are ours for.

/// A library's names as replacements, applied one after the other, each wherever it fits first. `#` is a number that stays.
pub(super) struct Source {
    /// Whose names these are.
    pub name: &'static str,
    rules: &'static [(&'static str, &'static str)],
    /// What its networks were trained with where our presets, which are timm's, say otherwise: how the names of the models
    /// begin, a parameter, its value. Of the first that fits.
    pub trained: &'static [(&'static str, &'static str, f64)],
}

impl Source {
    const fn new(name: &'static str, rules: &'static [(&'static str, &'static str)]) -> Self {
        Self { name, rules, trained: &[] }
    }
    const fn trained(self, trained: &'static [(&'static str, &'static str, f64)]) -> Self {
        Self { trained, ..self }
    }
    /// timm's name for this library's `name`.
    pub fn rename(&self, name: &str) -> String {
        self.rules.iter().fold(name.to_string(), |name, (from, to)| replaced(&name, from, to).unwrap_or(name))
    }
}

/// `name` with `from` replaced by `to` where it occurs first.
fn replaced(name: &str, from: &str, to: &str) -> Option<String> {
    let Some((head, tail)) = from.split_once('#') else {
        return name.contains(from).then(|| name.replacen(from, to, 1));
    };
    let start = name.find(head)?;
    let rest = &name[start + head.len()..];
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let behind = rest[digits..].strip_prefix(tail).filter(|_| digits > 0)?;
    Some(format!("{}{}{behind}", &name[..start], to.replacen('#', &rest[..digits], 1)))
}

/// A run of ours: no name changes.
pub(super) const OWN: Source = Source::new("Sconce", &[]);

/// All libraries whose names are known. The one is taken whose renamed variables a network has most of.
pub(super) const SOURCES: &[Source] = &[
    Source::new("timm", &[]),
    Source::new("CIFAR resnet", CIFAR_RESNET),
    Source::new("torchvision densenet", DENSENET),
    Source::new("torchvision vgg", VGG),
    Source::new("torchvision vit", VIT),
    Source::new("torchvision convnext", CONVNEXT),
    Source::new("torchvision efficientnet", EFFICIENTNET).trained(TENSORFLOW_B),
    Source::new("torchvision efficientnet_v2", EFFICIENTNET_V2).trained(TENSORFLOW),
    Source::new("torchvision mobilenet_v2", MOBILENET_V2),
    Source::new("torchvision mobilenet_v3_small", MOBILENET_V3_SMALL).trained(TENSORFLOW),
    Source::new("torchvision mobilenet_v3_large", MOBILENET_V3_LARGE).trained(TENSORFLOW),
    Source::new("TensorFlow mobilenet_v1", MOBILENET_V1),
    Source::new("resnet of pictures for volumes", FLAT_RESNET),
];

/// TensorFlow's norms.
const TENSORFLOW: &[(&str, &str, f64)] = &[("", "eps", 1e-3)];

/// torchvision's B5 to B7 come from TensorFlow, its smaller ones from timm.
const TENSORFLOW_B: &[(&str, &str, f64)] =
    &[("efficientnet_b5", "eps", 1e-3), ("efficientnet_b6", "eps", 1e-3), ("efficientnet_b7", "eps", 1e-3)];

/// timm's and torchvision's ResNet-18 and -34, whose kernels are repeated over the slices of torchvision's `r3d_18`.
const FLAT_RESNET: &[(&str, &str)] = &[
    (".conv1.", ".conv1.0."),
    (".bn1.", ".conv1.1."),
    (".conv2.", ".conv2.0."),
    (".bn2.", ".conv2.1."),
    ("conv1.weight", "stem.0.weight"),
    ("bn1.", "stem.1."),
];

/// akamaster/pytorch_resnet_cifar10, kuangliu/pytorch-cifar.
const CIFAR_RESNET: &[(&str, &str)] = &[("linear.", "fc."), (".shortcut.", ".downsample.")];

/// Names of 2017, which torchvision's files still have.
const DENSENET: &[(&str, &str)] =
    &[(".norm.1.", ".norm1."), (".conv.1.", ".conv1."), (".norm.2.", ".norm2."), (".conv.2.", ".conv2.")];

const VGG: &[(&str, &str)] =
    &[("classifier.0.", "pre_logits.fc1."), ("classifier.3.", "pre_logits.fc2."), ("classifier.6.", "head.fc.")];

const VIT: &[(&str, &str)] = &[
    ("class_token", "cls_token"),
    ("conv_proj.", "patch_embed.proj."),
    ("encoder.pos_embedding", "pos_embed"),
    ("encoder.layers.encoder_layer_#.", "blocks.#."),
    ("encoder.ln.", "norm."),
    ("heads.head.", "head."),
    (".ln_1.", ".norm1."),
    (".ln_2.", ".norm2."),
    (".self_attention.in_proj_", ".attn.qkv."),
    (".self_attention.out_proj.", ".attn.proj."),
    (".mlp.linear_1.", ".mlp.fc1."),
    (".mlp.linear_2.", ".mlp.fc2."),
    (".mlp.0.", ".mlp.fc1."),
    (".mlp.3.", ".mlp.fc2."),
];

/// Stages have odd numbers, the halvings before them even ones.
const CONVNEXT: &[(&str, &str)] = &[
    ("features.0.", "stem."),
    ("features.2.", "stages.1.downsample."),
    ("features.4.", "stages.2.downsample."),
    ("features.6.", "stages.3.downsample."),
    ("features.1.#.", "stages.0.blocks.#."),
    ("features.3.#.", "stages.1.blocks.#."),
    ("features.5.#.", "stages.2.blocks.#."),
    ("features.7.#.", "stages.3.blocks.#."),
    (".layer_scale", ".gamma"),
    (".block.0.", ".conv_dw."),
    (".block.2.", ".norm."),
    (".block.3.", ".mlp.fc1."),
    (".block.5.", ".mlp.fc2."),
    ("classifier.0.", "head.norm."),
    ("classifier.2.", "head.fc."),
];

/// The first stage does not expand.
const EFFICIENTNET: &[(&str, &str)] = &[
    ("features.0.0.", "conv_stem."),
    ("features.0.1.", "bn1."),
    ("features.8.0.", "conv_head."),
    ("features.8.1.", "bn2."),
    ("features.1.#.block.0.0.", "blocks.0.#.conv_dw."),
    ("features.1.#.block.0.1.", "blocks.0.#.bn1."),
    ("features.1.#.block.1.fc1.", "blocks.0.#.se.conv_reduce."),
    ("features.1.#.block.1.fc2.", "blocks.0.#.se.conv_expand."),
    ("features.1.#.block.2.0.", "blocks.0.#.conv_pw."),
    ("features.1.#.block.2.1.", "blocks.0.#.bn2."),
    ("features.2.#.", "blocks.1.#."),
    ("features.3.#.", "blocks.2.#."),
    ("features.4.#.", "blocks.3.#."),
    ("features.5.#.", "blocks.4.#."),
    ("features.6.#.", "blocks.5.#."),
    ("features.7.#.", "blocks.6.#."),
    (".block.0.0.", ".conv_pw."),
    (".block.0.1.", ".bn1."),
    (".block.1.0.", ".conv_dw."),
    (".block.1.1.", ".bn2."),
    (".block.2.fc1.", ".se.conv_reduce."),
    (".block.2.fc2.", ".se.conv_expand."),
    (".block.3.0.", ".conv_pwl."),
    (".block.3.1.", ".bn3."),
    ("classifier.1.", "classifier."),
];

/// The first stage is plain convolutions, the next two are fused; of the last convolution's two numbers one is that of a stage of
/// the larger networks.
const EFFICIENTNET_V2: &[(&str, &str)] = &[
    ("features.0.0.", "conv_stem."),
    ("features.0.1.", "bn1."),
    ("features.1.#.block.0.0.", "blocks.0.#.conv."),
    ("features.1.#.block.0.1.", "blocks.0.#.bn1."),
    ("features.2.#.block.0.0.", "blocks.1.#.conv_exp."),
    ("features.2.#.block.1.0.", "blocks.1.#.conv_pwl."),
    ("features.2.#.block.1.1.", "blocks.1.#.bn2."),
    ("features.3.#.block.0.0.", "blocks.2.#.conv_exp."),
    ("features.3.#.block.1.0.", "blocks.2.#.conv_pwl."),
    ("features.3.#.block.1.1.", "blocks.2.#.bn2."),
    ("features.2.#.", "blocks.1.#."),
    ("features.3.#.", "blocks.2.#."),
    ("features.4.#.", "blocks.3.#."),
    ("features.5.#.", "blocks.4.#."),
    ("features.6.#.", "blocks.5.#."),
    ("features.7.#.block.", "blocks.6.#.block."),
    ("features.7.0.", "conv_head."),
    ("features.7.1.", "bn2."),
    ("features.8.0.", "conv_head."),
    ("features.8.1.", "bn2."),
    (".block.0.0.", ".conv_pw."),
    (".block.0.1.", ".bn1."),
    (".block.1.0.", ".conv_dw."),
    (".block.1.1.", ".bn2."),
    (".block.2.fc1.", ".se.conv_reduce."),
    (".block.2.fc2.", ".se.conv_expand."),
    (".block.3.0.", ".conv_pwl."),
    (".block.3.1.", ".bn3."),
    ("classifier.1.", "classifier."),
];

/// Blocks are numbered through; the first one does not expand.
const MOBILENET_V2: &[(&str, &str)] = &[
    ("features.0.0.", "conv_stem."),
    ("features.0.1.", "bn1."),
    ("features.18.0.", "conv_head."),
    ("features.18.1.", "bn2."),
    ("features.1.conv.0.0.", "blocks.0.0.conv_dw."),
    ("features.1.conv.0.1.", "blocks.0.0.bn1."),
    ("features.1.conv.1.", "blocks.0.0.conv_pw."),
    ("features.1.conv.2.", "blocks.0.0.bn2."),
    ("features.2.", "blocks.1.0."),
    ("features.3.", "blocks.1.1."),
    ("features.4.", "blocks.2.0."),
    ("features.5.", "blocks.2.1."),
    ("features.6.", "blocks.2.2."),
    ("features.7.", "blocks.3.0."),
    ("features.8.", "blocks.3.1."),
    ("features.9.", "blocks.3.2."),
    ("features.10.", "blocks.3.3."),
    ("features.11.", "blocks.4.0."),
    ("features.12.", "blocks.4.1."),
    ("features.13.", "blocks.4.2."),
    ("features.14.", "blocks.5.0."),
    ("features.15.", "blocks.5.1."),
    ("features.16.", "blocks.5.2."),
    ("features.17.", "blocks.6.0."),
    (".conv.0.0.", ".conv_pw."),
    (".conv.0.1.", ".bn1."),
    (".conv.1.0.", ".conv_dw."),
    (".conv.1.1.", ".bn2."),
    (".conv.2.", ".conv_pwl."),
    (".conv.3.", ".bn3."),
    ("classifier.1.", "classifier."),
];

/// Blocks are numbered through; the first one does not expand, some squeeze.
const MOBILENET_V3_SMALL: &[(&str, &str)] = &[
    ("features.0.0.", "conv_stem."),
    ("features.0.1.", "bn1."),
    ("features.1.block.0.0.", "blocks.0.0.conv_dw."),
    ("features.1.block.0.1.", "blocks.0.0.bn1."),
    ("features.1.block.1.fc1.", "blocks.0.0.se.conv_reduce."),
    ("features.1.block.1.fc2.", "blocks.0.0.se.conv_expand."),
    ("features.1.block.2.0.", "blocks.0.0.conv_pw."),
    ("features.1.block.2.1.", "blocks.0.0.bn2."),
    ("features.2.", "blocks.1.0."),
    ("features.3.", "blocks.1.1."),
    ("features.4.", "blocks.2.0."),
    ("features.5.", "blocks.2.1."),
    ("features.6.", "blocks.2.2."),
    ("features.7.", "blocks.3.0."),
    ("features.8.", "blocks.3.1."),
    ("features.9.", "blocks.4.0."),
    ("features.10.", "blocks.4.1."),
    ("features.11.", "blocks.4.2."),
    ("features.12.0.", "blocks.5.0.conv."),
    ("features.12.1.", "blocks.5.0.bn1."),
    (".block.0.0.", ".conv_pw."),
    (".block.0.1.", ".bn1."),
    (".block.1.0.", ".conv_dw."),
    (".block.1.1.", ".bn2."),
    (".block.2.fc1.", ".se.conv_reduce."),
    (".block.2.fc2.", ".se.conv_expand."),
    (".block.2.0.", ".conv_pwl."),
    (".block.2.1.", ".bn3."),
    (".block.3.0.", ".conv_pwl."),
    (".block.3.1.", ".bn3."),
    ("classifier.0.", "conv_head."),
    ("classifier.3.", "classifier."),
];

/// Blocks are numbered through; the first one does not expand, some squeeze.
const MOBILENET_V3_LARGE: &[(&str, &str)] = &[
    ("features.0.0.", "conv_stem."),
    ("features.0.1.", "bn1."),
    ("features.1.block.0.0.", "blocks.0.0.conv_dw."),
    ("features.1.block.0.1.", "blocks.0.0.bn1."),
    ("features.1.block.1.0.", "blocks.0.0.conv_pw."),
    ("features.1.block.1.1.", "blocks.0.0.bn2."),
    ("features.2.", "blocks.1.0."),
    ("features.3.", "blocks.1.1."),
    ("features.4.", "blocks.2.0."),
    ("features.5.", "blocks.2.1."),
    ("features.6.", "blocks.2.2."),
    ("features.7.", "blocks.3.0."),
    ("features.8.", "blocks.3.1."),
    ("features.9.", "blocks.3.2."),
    ("features.10.", "blocks.3.3."),
    ("features.11.", "blocks.4.0."),
    ("features.12.", "blocks.4.1."),
    ("features.13.", "blocks.5.0."),
    ("features.14.", "blocks.5.1."),
    ("features.15.", "blocks.5.2."),
    ("features.16.0.", "blocks.6.0.conv."),
    ("features.16.1.", "blocks.6.0.bn1."),
    (".block.0.0.", ".conv_pw."),
    (".block.0.1.", ".bn1."),
    (".block.1.0.", ".conv_dw."),
    (".block.1.1.", ".bn2."),
    (".block.2.fc1.", ".se.conv_reduce."),
    (".block.2.fc2.", ".se.conv_expand."),
    (".block.2.0.", ".conv_pwl."),
    (".block.2.1.", ".bn3."),
    (".block.3.0.", ".conv_pwl."),
    (".block.3.1.", ".bn3."),
    ("classifier.0.", "conv_head."),
    ("classifier.3.", "classifier."),
];

/// Blocks are numbered through, each a depthwise and a pointwise convolution.
const MOBILENET_V1: &[(&str, &str)] = &[
    ("features.0.0.", "conv_stem."),
    ("features.0.1.", "bn1."),
    ("features.1.", "blocks.0.0."),
    ("features.2.", "blocks.1.0."),
    ("features.3.", "blocks.1.1."),
    ("features.4.", "blocks.2.0."),
    ("features.5.", "blocks.2.1."),
    ("features.6.", "blocks.3.0."),
    ("features.7.", "blocks.3.1."),
    ("features.8.", "blocks.3.2."),
    ("features.9.", "blocks.3.3."),
    ("features.10.", "blocks.3.4."),
    ("features.11.", "blocks.3.5."),
    ("features.12.", "blocks.4.0."),
    ("features.13.", "blocks.4.1."),
    (".dw.", ".conv_dw."),
    (".dw_bn.", ".bn1."),
    (".pw.", ".conv_pw."),
    (".pw_bn.", ".bn2."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_stay() {
        let stage = |name| replaced(name, "features.1.#.block.", "blocks.0.#.");
        assert_eq!(stage("features.1.12.block.0.weight").unwrap(), "blocks.0.12.0.weight");
        assert_eq!(stage("features.1.block.0.weight"), None);
        assert_eq!(stage("features.11.2.block.0.weight"), None);
    }

    /// Every variable of torchvision's network gets the name of one of timm's, and none is left
    /// (`xtask/fixtures/pretrained.py`).
    #[test]
    fn names_of_torchvision_become_those_of_timm() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/names");
        let names = |v: &Value| -> Vec<String> {
            v.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_string()).collect()
        };
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(files.len() >= 8);
        for file in files {
            let row: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            let timm: BTreeSet<String> = names(&row["timm"]).into_iter().collect();
            let source = SOURCES.iter().find(|source| source.name == row["source"]).unwrap();
            let ours: BTreeSet<String> = names(&row["theirs"]).iter().map(|name| source.rename(name)).collect();
            let (left, lacking): (Vec<_>, Vec<_>) =
                (ours.difference(&timm).collect(), timm.difference(&ours).collect());
            assert!(left.is_empty() && lacking.is_empty(), "{file:?}: left {left:?}, lacking {lacking:?}");
        }
    }
}

//! The registries of timm 1.0.31 and torchvision 0.26.0, written by `xtask/fixtures/pretrained.py`.

use super::table::Interpolation::{self, Bicubic, Bilinear};
use super::table::{Fit, Place, Preprocess, Pretrained};

type Three = [f32; 3];

const IMAGENET: Three = [0.485, 0.456, 0.406];
const IMAGENET_STD: Three = [0.229, 0.224, 0.225];
const HALF: Three = [0.5; 3];

/// Of networks with TensorFlow's norms under the names of presets that have PyTorch's.
const NORMS: &str = r#"{"eps": 0.001}"#;

const fn hub(
    name: &'static str,
    (mean, std): (Three, Three),
    size: usize,
    crop: f64,
    interpolation: Interpolation,
    license: &'static str,
) -> Pretrained {
    let preprocess = Preprocess { mean, std, size, fit: Fit::Crop, crop, interpolation };
    Pretrained { name, place: Place::Hub, file: "model.safetensors", sha256: "", params: "{}", preprocess, license }
}

const fn url(
    (name, params, license): (&'static str, &'static str, &'static str),
    (folder, file, sha256): (&'static str, &'static str, &'static str),
    (mean, std): (Three, Three),
    size: usize,
    crop: f64,
    interpolation: Interpolation,
) -> Pretrained {
    let preprocess = Preprocess { mean, std, size, fit: Fit::Crop, crop, interpolation };
    Pretrained { name, place: Place::Url(folder), file, sha256, params, preprocess, license }
}

const fn squashed(row: Pretrained) -> Pretrained {
    Pretrained { preprocess: Preprocess { fit: Fit::Squash, ..row.preprocess }, ..row }
}

/// A model's default weights come before its others.
#[rustfmt::skip]
pub(super) const ROWS: &[Pretrained] = &[
    hub("resnet18.a1_in1k", (IMAGENET, IMAGENET_STD), 224, 0.95, Bicubic, "apache-2.0"),
    hub("resnet18.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("resnet34.a1_in1k", (IMAGENET, IMAGENET_STD), 224, 0.95, Bicubic, "apache-2.0"),
    hub("resnet34.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("resnet50.a1_in1k", (IMAGENET, IMAGENET_STD), 224, 0.95, Bicubic, "apache-2.0"),
    hub("resnet50.tv2_in1k", (IMAGENET, IMAGENET_STD), 176, 0.875, Bilinear, "bsd-3-clause"),
    hub("resnet50.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("resnet101.a1h_in1k", (IMAGENET, IMAGENET_STD), 224, 0.95, Bicubic, "apache-2.0"),
    hub("resnet101.tv2_in1k", (IMAGENET, IMAGENET_STD), 176, 0.875, Bilinear, "bsd-3-clause"),
    hub("resnet101.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("resnet152.a1h_in1k", (IMAGENET, IMAGENET_STD), 224, 0.95, Bicubic, "apache-2.0"),
    hub("resnet152.tv2_in1k", (IMAGENET, IMAGENET_STD), 176, 0.875, Bilinear, "bsd-3-clause"),
    hub("resnet152.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("resnet18d.ra2_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("resnet34d.ra2_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("resnet26d.bt_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("resnet50d.ra2_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("resnet101d.ra2_in1k", (IMAGENET, IMAGENET_STD), 256, 0.95, Bicubic, "apache-2.0"),
    hub("resnet152d.ra2_in1k", (IMAGENET, IMAGENET_STD), 256, 0.95, Bicubic, "apache-2.0"),
    hub("resnetblur50.bt_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("seresnet50.a1_in1k", (IMAGENET, IMAGENET_STD), 224, 0.95, Bicubic, "apache-2.0"),
    hub("resnext50_32x4d.a1h_in1k", (IMAGENET, IMAGENET_STD), 224, 0.95, Bicubic, "apache-2.0"),
    hub("resnext50_32x4d.tv2_in1k", (IMAGENET, IMAGENET_STD), 176, 0.875, Bilinear, "bsd-3-clause"),
    hub("resnext50_32x4d.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("resnext101_32x8d.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("resnext101_32x8d.tv2_in1k", (IMAGENET, IMAGENET_STD), 176, 0.875, Bilinear, "bsd-3-clause"),
    hub("seresnext50_32x4d.racm_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("wide_resnet50_2.racm_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("wide_resnet50_2.tv2_in1k", (IMAGENET, IMAGENET_STD), 176, 0.875, Bilinear, "bsd-3-clause"),
    hub("wide_resnet50_2.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("wide_resnet101_2.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("wide_resnet101_2.tv2_in1k", (IMAGENET, IMAGENET_STD), 176, 0.875, Bilinear, "bsd-3-clause"),
    hub("efficientnet_b0.ra_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("efficientnet_b1.ra4_e3600_r240_in1k", (HALF, HALF), 240, 0.9, Bicubic, "apache-2.0"),
    hub("efficientnet_b2.ra_in1k", (IMAGENET, IMAGENET_STD), 256, 0.875, Bicubic, "apache-2.0"),
    hub("efficientnet_b3.ra2_in1k", (IMAGENET, IMAGENET_STD), 288, 0.875, Bicubic, "apache-2.0"),
    hub("efficientnet_b4.ra2_in1k", (IMAGENET, IMAGENET_STD), 320, 0.875, Bicubic, "apache-2.0"),
    squashed(hub("efficientnet_b5.sw_in12k_ft_in1k", (IMAGENET, IMAGENET_STD), 448, 1.0, Bicubic, "apache-2.0")),
    hub("efficientnet_lite0.ra_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("tf_efficientnet_b0.ns_jft_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("tf_efficientnet_b1.ns_jft_in1k", (IMAGENET, IMAGENET_STD), 240, 0.882, Bicubic, "apache-2.0"),
    hub("tf_efficientnet_b2.ns_jft_in1k", (IMAGENET, IMAGENET_STD), 260, 0.89, Bicubic, "apache-2.0"),
    hub("tf_efficientnet_b3.ns_jft_in1k", (IMAGENET, IMAGENET_STD), 300, 0.904, Bicubic, "apache-2.0"),
    hub("tf_efficientnet_b4.ns_jft_in1k", (IMAGENET, IMAGENET_STD), 380, 0.922, Bicubic, "apache-2.0"),
    hub("tf_efficientnet_b5.ns_jft_in1k", (IMAGENET, IMAGENET_STD), 456, 0.934, Bicubic, "apache-2.0"),
    hub("tf_efficientnet_b6.ns_jft_in1k", (IMAGENET, IMAGENET_STD), 528, 0.942, Bicubic, "apache-2.0"),
    hub("tf_efficientnet_b7.ns_jft_in1k", (IMAGENET, IMAGENET_STD), 600, 0.949, Bicubic, "apache-2.0"),
    hub("tf_efficientnetv2_s.in21k_ft_in1k", (HALF, HALF), 300, 1.0, Bicubic, "apache-2.0"),
    hub("mobilenetv1_100.ra4_e3600_r224_in1k", (HALF, HALF), 224, 0.875, Bicubic, "apache-2.0"),
    hub("mobilenetv2_050.lamb_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("mobilenetv2_100.ra_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("mobilenetv2_140.ra_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("mobilenetv3_small_050.lamb_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("mobilenetv3_small_100.lamb_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("mobilenetv3_large_100.ra_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("vgg11.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("vgg11_bn.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("vgg13.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("vgg13_bn.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("vgg16.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("vgg16_bn.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("vgg19.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("vgg19_bn.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("densenet121.ra_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("densenet121.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("densenet161.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("densenet169.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("densenet201.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("inception_v3.tv_in1k", (HALF, HALF), 299, 0.875, Bicubic, "apache-2.0"),
    hub("vit_tiny_patch16_224.augreg_in21k_ft_in1k", (HALF, HALF), 224, 0.9, Bicubic, "apache-2.0"),
    hub("vit_small_patch16_224.augreg_in21k_ft_in1k", (HALF, HALF), 224, 0.9, Bicubic, "apache-2.0"),
    hub("vit_base_patch16_224.augreg2_in21k_ft_in1k", (HALF, HALF), 224, 0.9, Bicubic, "apache-2.0"),
    hub("deit_tiny_patch16_224.fb_in1k", (IMAGENET, IMAGENET_STD), 224, 0.9, Bicubic, "apache-2.0"),
    hub("deit_small_patch16_224.fb_in1k", (IMAGENET, IMAGENET_STD), 224, 0.9, Bicubic, "apache-2.0"),
    hub("deit_base_patch16_224.fb_in1k", (IMAGENET, IMAGENET_STD), 224, 0.9, Bicubic, "apache-2.0"),
    hub("convnext_atto.d2_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("convnext_femto.d1_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("convnext_pico.d1_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("convnext_nano.in12k_ft_in1k", (IMAGENET, IMAGENET_STD), 224, 0.95, Bicubic, "apache-2.0"),
    hub("convnext_tiny.in12k_ft_in1k", (IMAGENET, IMAGENET_STD), 224, 0.95, Bicubic, "apache-2.0"),
    hub("convnext_tiny.fb_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("convnext_tiny.fb_in22k_ft_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("convnext_small.in12k_ft_in1k", (IMAGENET, IMAGENET_STD), 224, 0.95, Bicubic, "apache-2.0"),
    hub("convnext_small.fb_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("convnext_small.fb_in22k_ft_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("convnext_base.fb_in22k_ft_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("convnext_base.fb_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
];

/// What timm has not on the hub: on the authors' own servers.
#[rustfmt::skip]
pub(super) const ELSEWHERE: &[Pretrained] = &[
    url(("xception.tf_in1k", "{}", "apache-2.0"), ("https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-cadene", "xception-43020ad28.pth", "43020ad28"), (HALF, HALF), 299, 0.8975, Bicubic),
    url(("efficientnet_b0.torchvision_in1k", "{}", "bsd-3-clause"), ("https://download.pytorch.org/models", "efficientnet_b0_rwightman-7f5810bc.pth", "7f5810bc"), (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic),
    url(("efficientnet_b1.torchvision_in1k", "{}", "bsd-3-clause"), ("https://download.pytorch.org/models", "efficientnet_b1-c27df63c.pth", "c27df63c"), (IMAGENET, IMAGENET_STD), 240, 0.9412, Bilinear),
    url(("efficientnet_b1.torchvision2_in1k", "{}", "bsd-3-clause"), ("https://download.pytorch.org/models", "efficientnet_b1_rwightman-bac287d4.pth", "bac287d4"), (IMAGENET, IMAGENET_STD), 240, 0.9375, Bicubic),
    url(("efficientnet_b2.torchvision_in1k", "{}", "bsd-3-clause"), ("https://download.pytorch.org/models", "efficientnet_b2_rwightman-c35c1473.pth", "c35c1473"), (IMAGENET, IMAGENET_STD), 288, 1.0, Bicubic),
    url(("efficientnet_b3.torchvision_in1k", "{}", "bsd-3-clause"), ("https://download.pytorch.org/models", "efficientnet_b3_rwightman-b3899882.pth", "b3899882"), (IMAGENET, IMAGENET_STD), 300, 0.9375, Bicubic),
    url(("efficientnet_b4.torchvision_in1k", "{}", "bsd-3-clause"), ("https://download.pytorch.org/models", "efficientnet_b4_rwightman-23ab8bcd.pth", "23ab8bcd"), (IMAGENET, IMAGENET_STD), 380, 0.9896, Bicubic),
    url(("efficientnet_b5.torchvision_in1k", NORMS, "bsd-3-clause"), ("https://download.pytorch.org/models", "efficientnet_b5_lukemelas-1a07897c.pth", "1a07897c"), (IMAGENET, IMAGENET_STD), 456, 1.0, Bicubic),
    url(("efficientnet_b6.torchvision_in1k", NORMS, "bsd-3-clause"), ("https://download.pytorch.org/models", "efficientnet_b6_lukemelas-24a108a5.pth", "24a108a5"), (IMAGENET, IMAGENET_STD), 528, 1.0, Bicubic),
    url(("efficientnet_b7.torchvision_in1k", NORMS, "bsd-3-clause"), ("https://download.pytorch.org/models", "efficientnet_b7_lukemelas-c5b4e57e.pth", "c5b4e57e"), (IMAGENET, IMAGENET_STD), 600, 1.0, Bicubic),
    url(("efficientnetv2_s.torchvision_in1k", NORMS, "bsd-3-clause"), ("https://download.pytorch.org/models", "efficientnet_v2_s-dd5fe13b.pth", "dd5fe13b"), (IMAGENET, IMAGENET_STD), 384, 1.0, Bilinear),
    url(("mobilenetv2_100.torchvision_in1k", "{}", "bsd-3-clause"), ("https://download.pytorch.org/models", "mobilenet_v2-7ebf99e0.pth", "7ebf99e0"), (IMAGENET, IMAGENET_STD), 224, 0.9655, Bilinear),
    url(("mobilenetv2_100.torchvision2_in1k", "{}", "bsd-3-clause"), ("https://download.pytorch.org/models", "mobilenet_v2-b0353104.pth", "b0353104"), (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear),
    url(("mobilenetv3_small_100.torchvision_in1k", NORMS, "bsd-3-clause"), ("https://download.pytorch.org/models", "mobilenet_v3_small-047dcff4.pth", "047dcff4"), (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear),
    url(("mobilenetv3_large_100.torchvision_in1k", NORMS, "bsd-3-clause"), ("https://download.pytorch.org/models", "mobilenet_v3_large-5c1a4163.pth", "5c1a4163"), (IMAGENET, IMAGENET_STD), 224, 0.9655, Bilinear),
    url(("mobilenetv3_large_100.torchvision2_in1k", NORMS, "bsd-3-clause"), ("https://download.pytorch.org/models", "mobilenet_v3_large-8738ca79.pth", "8738ca79"), (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear),
    url(("squeezenet1_0.torchvision_in1k", "{}", "bsd-3-clause"), ("https://download.pytorch.org/models", "squeezenet1_0-b66bff10.pth", "b66bff10"), (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear),
    url(("squeezenet1_1.torchvision_in1k", "{}", "bsd-3-clause"), ("https://download.pytorch.org/models", "squeezenet1_1-b8a52dc0.pth", "b8a52dc0"), (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear),
    url(("inception_v3.torchvision_in1k", "{}", "bsd-3-clause"), ("https://download.pytorch.org/models", "inception_v3_google-0cc3c7bd.pth", "0cc3c7bd"), (HALF, HALF), 299, 0.8743, Bilinear),
    url(("vit_base_patch16_224.torchvision_in1k", "{}", "bsd-3-clause"), ("https://download.pytorch.org/models", "vit_b_16-c867db91.pth", "c867db91"), (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear),
    url(("convnext_tiny.torchvision_in1k", "{}", "bsd-3-clause"), ("https://download.pytorch.org/models", "convnext_tiny-983f1562.pth", "983f1562"), (IMAGENET, IMAGENET_STD), 224, 0.9492, Bilinear),
    url(("convnext_small.torchvision_in1k", "{}", "bsd-3-clause"), ("https://download.pytorch.org/models", "convnext_small-0c510722.pth", "0c510722"), (IMAGENET, IMAGENET_STD), 224, 0.9739, Bilinear),
    url(("convnext_base.torchvision_in1k", "{}", "bsd-3-clause"), ("https://download.pytorch.org/models", "convnext_base-6075fbad.pth", "6075fbad"), (IMAGENET, IMAGENET_STD), 224, 0.9655, Bilinear),
    url(("r3d_18.torchvision_k400", "{}", "bsd-3-clause"), ("https://download.pytorch.org/models", "r3d_18-b3b3357e.pth", "b3b3357e"), ([0.43216, 0.394666, 0.37645], [0.22803, 0.22145, 0.216989]), 112, 0.875, Bilinear),
    url(("mc3_18.torchvision_k400", "{}", "bsd-3-clause"), ("https://download.pytorch.org/models", "mc3_18-a90a0ba3.pth", "a90a0ba3"), ([0.43216, 0.394666, 0.37645], [0.22803, 0.22145, 0.216989]), 112, 0.875, Bilinear),
    url(("r2plus1d_18.torchvision_k400", "{}", "bsd-3-clause"), ("https://download.pytorch.org/models", "r2plus1d_18-91a641e6.pth", "91a641e6"), ([0.43216, 0.394666, 0.37645], [0.22803, 0.22145, 0.216989]), 112, 0.875, Bilinear),
];

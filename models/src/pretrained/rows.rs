//! The registry of timm 1.0.31, written by `xtask/fixtures/pretrained.py`.

use super::table::Interpolation::{self, Bicubic, Bilinear};
use super::table::{Fit, Place, Preprocess, Pretrained};

type Three = [f32; 3];

const IMAGENET: Three = [0.485, 0.456, 0.406];
const IMAGENET_STD: Three = [0.229, 0.224, 0.225];

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

const fn squashed(row: Pretrained) -> Pretrained {
    Pretrained { preprocess: Preprocess { fit: Fit::Squash, ..row.preprocess }, ..row }
}

/// A model's default weights come before its others.
#[rustfmt::skip]
pub(super) const ROWS: &[Pretrained] = &[
    hub("resnet18.a1_in1k", (IMAGENET, IMAGENET_STD), 224, 0.95, Bicubic, "apache-2.0"),
    hub("resnet18.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("resnet26.bt_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
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
    hub("resnet26d.bt_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("resnet50d.ra2_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("resnetv2_50.a1h_in1k", ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]), 224, 0.95, Bicubic, "apache-2.0"),
    hub("resnet10t.c3_in1k", (IMAGENET, IMAGENET_STD), 176, 0.875, Bicubic, "apache-2.0"),
    hub("resnetblur50.bt_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("seresnet50.a1_in1k", (IMAGENET, IMAGENET_STD), 224, 0.95, Bicubic, "apache-2.0"),
    hub("resnext50_32x4d.a1h_in1k", (IMAGENET, IMAGENET_STD), 224, 0.95, Bicubic, "apache-2.0"),
    hub("resnext50_32x4d.tv2_in1k", (IMAGENET, IMAGENET_STD), 176, 0.875, Bilinear, "bsd-3-clause"),
    hub("resnext50_32x4d.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("resnext101_32x8d.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("resnext101_32x8d.tv2_in1k", (IMAGENET, IMAGENET_STD), 176, 0.875, Bilinear, "bsd-3-clause"),
    hub("seresnext50_32x4d.racm_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("resnest50d.in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "apache-2.0"),
    hub("wide_resnet50_2.racm_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("wide_resnet50_2.tv2_in1k", (IMAGENET, IMAGENET_STD), 176, 0.875, Bilinear, "bsd-3-clause"),
    hub("wide_resnet50_2.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("wide_resnet101_2.tv_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("wide_resnet101_2.tv2_in1k", (IMAGENET, IMAGENET_STD), 176, 0.875, Bilinear, "bsd-3-clause"),
    hub("efficientnet_b0.ra_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("efficientnet_b1.ra4_e3600_r240_in1k", ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]), 240, 0.9, Bicubic, "apache-2.0"),
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
    hub("tf_efficientnet_lite0.in1k", ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]), 224, 0.875, Bicubic, "apache-2.0"),
    hub("tf_efficientnetv2_s.in21k_ft_in1k", ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]), 300, 1.0, Bicubic, "apache-2.0"),
    hub("efficientnetv2_rw_s.ra2_in1k", (IMAGENET, IMAGENET_STD), 288, 1.0, Bicubic, "apache-2.0"),
    hub("mobilenetv1_100.ra4_e3600_r224_in1k", ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]), 224, 0.875, Bicubic, "apache-2.0"),
    hub("mobilenetv2_050.lamb_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("mobilenetv2_100.ra_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("mobilenetv2_140.ra_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("mobilenetv3_small_100.lamb_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("mobilenetv3_large_100.ra_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("tf_mobilenetv3_large_100.in1k", ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]), 224, 0.875, Bilinear, "apache-2.0"),
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
    hub("inception_v3.tv_in1k", ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]), 299, 0.875, Bicubic, "apache-2.0"),
    hub("inception_v4.tf_in1k", ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]), 299, 0.875, Bicubic, "apache-2.0"),
    hub("inception_resnet_v2.tf_in1k", ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]), 299, 0.8975, Bicubic, "apache-2.0"),
    hub("xception41.tf_in1k", ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]), 299, 0.903, Bicubic, "apache-2.0"),
    hub("xception65.ra3_in1k", ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]), 299, 0.94, Bicubic, "apache-2.0"),
    hub("nasnetalarge.tf_in1k", ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]), 331, 0.911, Bicubic, "apache-2.0"),
    hub("dla34.in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bilinear, "bsd-3-clause"),
    hub("regnetx_004.pycls_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "mit"),
    hub("regnety_004.tv2_in1k", (IMAGENET, IMAGENET_STD), 224, 0.965, Bicubic, "bsd-3-clause"),
    hub("vit_tiny_patch16_224.augreg_in21k_ft_in1k", ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]), 224, 0.9, Bicubic, "apache-2.0"),
    hub("vit_small_patch16_224.augreg_in21k_ft_in1k", ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]), 224, 0.9, Bicubic, "apache-2.0"),
    hub("vit_base_patch16_224.augreg2_in21k_ft_in1k", ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]), 224, 0.9, Bicubic, "apache-2.0"),
    hub("deit_tiny_patch16_224.fb_in1k", (IMAGENET, IMAGENET_STD), 224, 0.9, Bicubic, "apache-2.0"),
    hub("deit_small_patch16_224.fb_in1k", (IMAGENET, IMAGENET_STD), 224, 0.9, Bicubic, "apache-2.0"),
    hub("deit_base_patch16_224.fb_in1k", (IMAGENET, IMAGENET_STD), 224, 0.9, Bicubic, "apache-2.0"),
    hub("convnext_atto.d2_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("convnext_femto.d1_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("convnext_pico.d1_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
    hub("convnext_nano.in12k_ft_in1k", (IMAGENET, IMAGENET_STD), 224, 0.95, Bicubic, "apache-2.0"),
    hub("convnext_tiny.in12k_ft_in1k", (IMAGENET, IMAGENET_STD), 224, 0.95, Bicubic, "apache-2.0"),
    hub("convnext_small.in12k_ft_in1k", (IMAGENET, IMAGENET_STD), 224, 0.95, Bicubic, "apache-2.0"),
    hub("convnext_base.fb_in22k_ft_in1k", (IMAGENET, IMAGENET_STD), 224, 0.875, Bicubic, "apache-2.0"),
];

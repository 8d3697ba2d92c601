//! Laws that every transform of the tables keeps.
#![allow(clippy::unwrap_used)]

use candle_core::{Device, Tensor};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sconce_augment::{
    BATCH_TRANSFORMS, Draw, Image, Pipeline, TRANSFORMS, Transform, build, build_batch, resolve, resolve_batch,
};
use serde_json::{Value, json};

/// Parameters to try: the defaults, and whatever has code of its own.
fn parameters(name: &str) -> Vec<Value> {
    match name {
        "maybe" => vec![json!({"of": "flip"}), json!({"p": 0, "of": ["dihedral", {"name": "flip", "p": 1}]})],
        "one_of" => vec![
            json!({"of": ["flip", {"name": "maybe", "of": "rotate"}]}),
            json!({"of": ["flip", "rotate"], "weights": [1, 2.5]}),
        ],
        "some_of" => vec![
            json!({"of": ["flip", "rotate"]}),
            json!({"n": 2, "shuffle": true, "of": ["random_erasing", ["flip"]]}),
        ],
        "box_blur" => vec![json!({}), json!({"kernel": [9, 41]})],
        "compression" if cfg!(feature = "webp") => {
            vec![json!({}), json!({"quality": [1, 100]}), json!({"quality": [1, 100], "format": "webp"})]
        }
        "compression" => vec![json!({}), json!({"quality": [1, 100]})],
        "defocus" => vec![json!({}), json!({"radius": [1, 20], "alias_blur": [0.1, 3]})],
        "downscale" => ["nearest", "bilinear"]
            .map(|how| ["nearest", "bilinear"].map(|up| json!({"scale": [0.01, 1], "down": how, "up": up})))
            .concat(),
        "gaussian_blur" => vec![json!({}), json!({"sigma": [0.01, 12], "kernel": [3, 81]})],
        "glass_blur" => vec![json!({}), json!({"max_delta": 1, "iterations": 1})],
        "motion_blur" => vec![json!({}), json!({"kernel": [3, 31], "shifted": false})],
        "zoom_blur" => vec![json!({}), json!({"factor": [2, 3], "step": [0.2, 1]})],
        "flip" => vec![json!({}), json!({"vertical": true})],
        "coarse_dropout" => {
            vec![json!({}), json!({"holes": [5, 5], "height": [8, 30], "width": [2, 2], "fill": "color"})]
        }
        "ben_graham" => vec![json!({"sigma": 2}), json!({"disc": 3})],
        "background_removal" => vec![json!({}), json!({"closing": 1, "low": [0, 0, 0]})],
        // Wider ones only take longer, without optimization.
        "denoise" => vec![json!({"radius": 1}), json!({"strength": 0.1, "space": 100, "radius": 1})],
        "hair_removal" => vec![json!({}), json!({"kernel": 31, "threshold": 0})],
        "intensity" => vec![json!({}), json!({"scale": 1, "shift": 1})],
        "lung_mask" => vec![json!({}), json!({"threshold": 255, "closing": 1, "fill": 9})],
        "projection" => ["planes", "max", "mean", "min"]
            .map(|mode| ["depth", "width"].map(|axis| json!({"mode": mode, "axis": axis, "at": [0, 1, 0.3]})))
            .concat()
            .into_iter()
            .chain([json!({}), json!({"axis": "height", "count": 5})])
            .collect(),
        "radius_normalize" => vec![json!({"radius": 8}), json!({"radius": 20, "disc": 0.9})],
        "volume_crop" => {
            vec![json!({"size": [2, 9, 9]}), json!({"size": [5, 3, 2], "place": "center", "border": "replicate"})]
        }
        "volume_resize" => vec![json!({"size": [2, 9, 9]}), json!({"size": [1, 1, 1], "interpolation": "bicubic"})],
        "volume_rotate" => vec![
            json!({}),
            json!({"planes": [], "degrees": 180}),
            json!({"planes": ["depth_height", "depth_width"], "border": "constant"}),
        ],
        "window" => vec![json!({}), json!({"low": 100, "high": 101})],
        "color_jitter" => {
            vec![json!({}), json!({"brightness": 0.4, "contrast": 2.0, "saturation": 0.4, "hue": 0.5})]
        }
        "brightness" | "contrast" | "saturation" => {
            vec![json!({"strength": 1.5}), json!({"strength": 0.5, "semantics": "tensorflow"})]
        }
        "hue" => vec![json!({}), json!({"semantics": "tensorflow"})],
        "channel_drop" => vec![json!({}), json!({"channels": [2, 5], "fill": 9})],
        "clahe" => vec![json!({}), json!({"tiles": 3, "clip": [100, 100]})],
        "tone_curve" => vec![json!({}), json!({"per_channel": true, "scale": 1})],
        "cutout" => vec![json!({}), json!({"inside": true, "size": 5, "count": 3, "fill": "pixel"})],
        "gaussian_noise" => vec![json!({"deviation": [0, 255]}), json!({"per_channel": false})],
        "grid_dropout" => {
            vec![json!({}), json!({"unit": [2, 9], "random_offset": false, "ratio": 1}), json!({"fill": "random"})]
        }
        "grid_mask" => vec![json!({}), json!({"d": [2, 9], "rotate": 0}), json!({"d": [0.1, 0.5], "ratio": 0})],
        "hair_overlay" => vec![json!({}), json!({"hairs": [9, 9], "width": [0.5, 1.0]})],
        "iso_noise" => vec![json!({}), json!({"color_shift": [1, 1], "intensity": [10, 10]})],
        "microscope_circle" => vec![json!({}), json!({"radius": [0.01, 2], "fill": 255})],
        "multiplicative_noise" => [(false, false), (false, true), (true, false), (true, true)]
            .map(|(pixel, channel)| json!({"factor": [0, 3], "per_pixel": pixel, "per_channel": channel}))
            .into(),
        "pixel_dropout" => vec![json!({}), json!({"share": 0.5, "per_channel": true}), json!({"fill": "pixel"})],
        "auto_augment" => {
            vec![json!({}), json!({"policy": "cifar10", "interpolation": "bilinear"}), json!({"policy": "svhn"})]
        }
        "rand_augment" => vec![
            json!({"ops": 3, "magnitude": 30}),
            json!({"style": "timm", "magnitude": 7, "std": 0.5, "increasing": true, "interpolation": "bilinear", "fill": 128}),
            json!({"style": "timm", "op_p": 1, "std": 1000, "max": 100, "magnitude": 100}),
        ],
        "trivial_augment" => vec![json!({}), json!({"bins": 2})],
        "augmix" => vec![json!({}), json!({"severity": 10, "width": 1, "depth": -1, "all_ops": false, "alpha": 1e-9})],
        "pad_crop" => vec![json!({}), json!({"size": 9, "border": "reflect_101", "padding": 40})],
        "random_erasing" => vec![
            json!({"p": 1}),
            json!({"p": 1, "fill": "random", "scale": [0.5, 1.0]}),
            json!({"p": 1, "fill": "pixel", "count": [1, 5]}),
            json!({"p": 1, "fill": "color"}),
        ],
        "rain" => vec![json!({}), json!({"drops": 10, "slant": [-80, 80], "blur": 15, "color": 255})],
        "random_resized_crop" => {
            vec![json!({"size": 8, "interpolation": "bicubic"}), json!({"size": 1, "ratio": [0.01, 0.1]})]
        }
        "resize" => ["squash", "crop", "letterbox"]
            .map(|mode| {
                [("bilinear", 1.0), ("bicubic", 0.875)].map(|(interpolation, crop)| {
                json!({"size": 9, "mode": mode, "crop": crop, "interpolation": interpolation})
            })
            })
            .concat(),
        "salt_pepper" => vec![json!({}), json!({"amount": [1, 1]})],
        "shadow" => {
            vec![json!({}), json!({"count": [0, 5], "vertices": 9, "intensity": [0, 1], "region": [0, 0, 1, 1]})]
        }
        "stain_jitter" => vec![json!({}), json!({"sigma1": 1, "sigma2": 2})],
        "rotate" => ["constant", "reflect", "reflect_101", "replicate"]
            .map(|border| {
                ["nearest", "bilinear", "bicubic"]
                    .map(|i| json!({"degrees": 180, "border": border, "interpolation": i}))
            })
            .concat(),
        "affine" => vec![
            json!({"border": "constant", "shear": [89, 89], "scale": [0.01, 100], "translate": [1, 1]}),
            json!({"border": "reflect", "interpolation": "nearest", "scale": [0.001, 0.01]}),
        ],
        "perspective" => vec![json!({}), json!({"scale": [1, 1], "interpolation": "bicubic"})],
        "elastic" => vec![json!({}), json!({"alpha": 1e5, "sigma": 0, "border": "reflect"}), json!({"sigma": 300})],
        "grid_distortion" => vec![json!({}), json!({"steps": 100, "limit": 0.9}), json!({"steps": 1})],
        "optical_distortion" => vec![json!({}), json!({"limit": 9, "border": "constant"})],
        "thin_plate" => vec![json!({}), json!({"scale": [1, 1], "points": 2})],
        "piecewise_affine" => {
            vec![json!({}), json!({"scale": [1, 1], "grid": 17}), json!({"scale": [0, 0], "grid": 2})]
        }
        "center_crop" => vec![json!({"size": 9}), json!({"size": 9, "border": "reflect"})],
        "random_crop" => vec![json!({"size": 9}), json!({"size": 9, "width": 9, "border": "replicate"})],
        "five_crop" => vec![json!({"size": 9}), json!({"size": 9, "flips": true})],
        "grid_shuffle" => vec![json!({}), json!({"grid": 40})],
        "letterbox" => ["nearest", "lanczos"].map(|i| json!({"size": 9, "interpolation": i, "fill": 7})).into(),
        "pad" => vec![json!({}), json!({"padding": [4, 4, 4, 4], "border": "reflect"})],
        _ => vec![json!({})],
    }
}

/// Those that change colors wherever they are.
const COLORS: [&str; 20] = [
    "autocontrast",
    "brightness",
    "channel_affine",
    "channel_drop",
    "channel_shuffle",
    "clahe",
    "color_jitter",
    "contrast",
    "equalize",
    "fancy_pca",
    "gamma",
    "gray",
    "hue",
    "invert",
    "posterize",
    "rgb_shift",
    "saturation",
    "sharpen",
    "solarize",
    "tone_curve",
];
/// What has a number of its own for each pixel.
const NOISE: [&str; 5] = ["gaussian_noise", "iso_noise", "multiplicative_noise", "pixel_dropout", "salt_pepper"];
/// What hides or draws something, in other colors.
const FOREIGN: [&str; 12] = [
    "background_removal",
    "circle_crop",
    "coarse_dropout",
    "cutout",
    "grid_dropout",
    "grid_mask",
    "hair_overlay",
    "letterbox",
    "microscope_circle",
    "random_erasing",
    "rain",
    "shadow",
];
/// What makes another color of one color; JPEG rounds it.
const RECOLORED: [&str; 9] = [
    "ben_graham",
    "color_jitter",
    "compression",
    "fog",
    "gray_world",
    "intensity",
    "shades_of_gray",
    "some_of",
    "stain_jitter",
];
/// Any of their operations may be of these kinds.
const POLICIES: [&str; 4] = ["augmix", "auto_augment", "rand_augment", "trivial_augment"];
/// What looks at all slices of a volume before it changes one: means, and counts of values.
const WHOLE: [&str; 3] = ["clahe", "color_jitter", "equalize"];
/// Parameters of batch transforms, so that any share of a picture is mixed.
fn batch_parameters(name: &str) -> Vec<Value> {
    let modes = ["batch", "pair", "element"];
    match name {
        "mixup" | "cutmix" => modes.map(|mode| json!({"alpha": 1, "mode": mode})).into(),
        "mixup_cutmix" => modes
            .map(|mode| vec![json!({"mode": mode, "p": 0.8}), json!({"mode": mode, "min_max": [0.3, 0.9]})])
            .concat(),
        _ => vec![json!({})],
    }
}

/// All batch transforms with their parameters.
fn all_batches() -> impl Iterator<Item = (&'static str, Value)> {
    BATCH_TRANSFORMS.iter().flat_map(|entry| batch_parameters(entry.name).into_iter().map(|p| (entry.name, p)))
}

/// All transforms with their parameters.
fn all() -> impl Iterator<Item = (&'static str, Value, Box<dyn Transform>)> {
    let each = |name| parameters(name).into_iter().map(move |p| (name, p.clone(), build(name, p).unwrap()));
    TRANSFORMS.iter().flat_map(move |entry| each(entry.name))
}

/// The sides and channels that a picture of `dims` may get; all other transforms keep them.
fn results(name: &str, params: &Value, dims: [usize; 4]) -> Vec<[usize; 4]> {
    let [depth, height, width, channels] = dims;
    if let Some(size) = params["size"].as_array() {
        let side = |i: usize| size[i].as_u64().unwrap() as usize;
        return vec![[side(0), side(1), side(2), channels]];
    }
    let size = params["size"].as_u64().map(|size| size as usize);
    match (name, size) {
        (
            "resize" | "random_resized_crop" | "pad_crop" | "center_crop" | "random_crop" | "five_crop" | "letterbox",
            Some(size),
        ) => vec![[depth, size, size, channels]],
        ("pad", _) => vec![[depth, height + 8, width + 8, channels]],
        ("projection", _) => {
            let across = match params["axis"].as_str().filter(|_| params["mode"] != "planes") {
                Some("height") => [depth, width],
                Some("width") => [depth, height],
                _ => [height, width],
            };
            let times = match params["mode"].as_str() {
                None => params["count"].as_u64().unwrap_or(3) as usize,
                Some("planes") => 3,
                Some(_) => 1,
            };
            vec![[1, across[0], across[1], times * channels]]
        }
        ("dihedral", _) => vec![dims, [depth, width, height, channels]],
        ("volume_rotate", _) => vec![
            dims,
            [depth, width, height, channels],
            [height, depth, width, channels],
            [width, height, depth, channels],
        ],
        _ => vec![dims],
    }
}

fn textured(dims: [usize; 4]) -> Image {
    let count: usize = dims.iter().product();
    Image::volume(dims, (0..count).map(|i| (i * 89 + i / 7) as u8).collect()).unwrap()
}

fn check(name: &str, params: &Value, transform: &dyn Transform, dims: [usize; 4], seed: u64) {
    let apply = || {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        transform.apply(textured(dims), &mut Draw::new(&mut rng))
    };
    let seen = apply();
    assert_eq!(seen, apply(), "{name} {params}: not a function of the seed");
    // These keep what the picture shows of something.
    if ["crop_gray", "circle_crop", "radius_normalize"].contains(&name) {
        return assert_eq!((seen.depth(), seen.channels()), (dims[0], dims[3]), "{name} {params}");
    }
    assert!(results(name, params, dims).contains(&seen.dims()), "{name} {params}: {dims:?} became {:?}", seen.dims());
}

#[test]
fn every_transform_takes_every_picture() {
    for (name, params, transform) in all() {
        for [width, height] in
            [[1, 1], [1, 7], [7, 1], [3, 200], [200, 3], [2, 2], [17, 12], [1, 30_000], [10_000, 1], [10_000, 3]]
        {
            for channels in [1, 2, 3, 4, 6] {
                // The widest shows what overflows, not what chance does.
                for seed in 0..if width > 1000 || height > 1000 { 1 } else { 5 } {
                    check(name, &params, transform.as_ref(), [1, height, width, channels], seed);
                }
            }
        }
        check(name, &params, transform.as_ref(), [3, 6, 5, 1], 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]
    #[test]
    fn no_picture_makes_a_transform_panic(
        depth in 1usize..3, height in 1usize..40, width in 1usize..40, channels in 1usize..9, seed: u64,
    ) {
        for (name, params, transform) in all() {
            check(name, &params, transform.as_ref(), [depth, height, width, channels], seed);
        }
    }
}

#[test]
fn slices_of_a_volume_change_alike() {
    for (name, params, transform) in all().filter(|(name, params, _)| {
        let noise = |fill: &Value| ["random", "pixel"].iter().any(|noise| fill == noise);
        ![&WHOLE[..], &NOISE, &POLICIES].iter().any(|names| names.contains(name))
            && !noise(&params["fill"])
            && !name.starts_with("volume_")
            && *name != "projection"
            && *name != "some_of"
    }) {
        let picture = textured([1, 9, 8, 3]);
        let volume = Image::volume([2, 9, 8, 3], picture.pixels().repeat(2)).unwrap();
        let apply = |image| transform.apply(image, &mut Draw::new(&mut ChaCha8Rng::seed_from_u64(3)));
        let seen = apply(picture);
        assert_eq!(apply(volume).pixels(), seen.pixels().repeat(2), "{name} {params}");
    }
}

#[test]
fn probability_zero_changes_nothing() {
    for (name, params, _) in all() {
        let mut resolved = resolve(name, params).unwrap();
        resolved["p"] = json!(0);
        let picture = textured([1, 9, 8, 3]);
        let transform = build(name, resolved).unwrap();
        for seed in 0..20 {
            let seen = transform.apply(picture.clone(), &mut Draw::new(&mut ChaCha8Rng::seed_from_u64(seed)));
            assert_eq!(seen, picture, "{name}");
        }
    }
}

#[test]
fn one_color_stays_one_color() {
    for (name, params, transform) in all() {
        // What comes in at the border or is erased is another color.
        let crops = ["pad_crop", "pad", "center_crop", "random_crop", "five_crop", "volume_crop"].contains(&name);
        let foreign = [&NOISE[..], &FOREIGN, &RECOLORED, &POLICIES].iter().any(|names| names.contains(&name))
            || params.get("disc").is_some()
            || params.get("low").is_some()
            || params["border"] == "constant"
            || params["mode"] == "letterbox"
            || (crops && params.get("border").is_none());
        for seed in 0..20 {
            let color = [200, 100, 50];
            let seen =
                transform.apply(Image::filled(20, 15, &color), &mut Draw::new(&mut ChaCha8Rng::seed_from_u64(seed)));
            // A change of color gives one other color.
            let kept = if COLORS.contains(&name) { &seen.pixels()[..3] } else { &color };
            let same = seen.pixels().chunks_exact(3).all(|pixel| pixel == kept);
            assert!(same || foreign, "{name} {params}");
        }
    }
}

#[test]
fn resolving_writes_every_default_once() {
    for (name, params, _) in all() {
        let resolved = resolve(name, params).unwrap();
        assert_eq!(resolve(name, resolved.clone()).unwrap(), resolved, "{name}");
    }
    for entry in TRANSFORMS {
        assert!(entry.doc.ends_with('.') && entry.doc.len() < 90, "{}", entry.name);
    }
    assert_eq!(resolve("flip", json!({})).unwrap(), json!({"p": 0.5, "vertical": false}));
    assert_eq!(resolve("crop_from_gray", json!({})).unwrap(), resolve("crop_gray", json!({})).unwrap());
    let nested = resolve("maybe", json!({"of": ["flip", {"name": "one_of", "of": ["dihedral"]}]})).unwrap();
    let one_of = json!({"name": "one_of", "of": [{"name": "dihedral", "p": 1.0}], "p": 1.0});
    let flip = json!({"name": "flip", "p": 0.5, "vertical": false});
    assert_eq!(nested, json!({"p": 0.5, "of": [flip, one_of]}));
    for entry in BATCH_TRANSFORMS {
        let resolved = resolve_batch(entry.name, json!({})).unwrap();
        assert_eq!(resolve_batch(entry.name, resolved.clone()).unwrap(), resolved, "{}", entry.name);
    }
}

#[test]
fn tables_are_sorted_and_named_once() {
    let names = TRANSFORMS.iter().map(|e| e.name).collect::<Vec<_>>();
    let batch = BATCH_TRANSFORMS.iter().map(|e| e.name).collect::<Vec<_>>();
    for names in [names, batch] {
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    }
}

#[test]
fn batch_transforms_keep_shapes_and_the_sum_of_targets() {
    let targets = Tensor::new(&[[1f32, 0., 0.], [0., 1., 0.], [0., 0., 1.], [0.5, 0.5, 0.]], &Device::Cpu).unwrap();
    assert!(BATCH_TRANSFORMS.iter().all(|entry| entry.doc.ends_with('.')));
    for (name, params) in all_batches() {
        for shape in [&[4, 3, 5, 7][..], &[4, 1, 1, 1], &[4, 2, 3, 6, 5]] {
            let images = Tensor::rand(0f32, 1.0, shape, &Device::Cpu).unwrap();
            let before = images.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for seed in 0..30 {
                let apply = |params| {
                    let transform = build_batch(name, params).unwrap();
                    transform.apply(&images, &targets, &mut Draw::new(&mut ChaCha8Rng::seed_from_u64(seed))).unwrap()
                };
                let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                let (mixed, labels) = apply(params.clone());
                let (again, _) = apply(params.clone());
                assert_eq!((mixed.dims(), labels.dims()), (images.dims(), targets.dims()));
                assert_eq!(flat(&mixed), flat(&again), "{}", name);
                assert!(flat(&mixed).iter().all(|v| (0.0..=1.00001).contains(v)), "{}", name);
                for row in labels.to_vec2::<f32>().unwrap() {
                    assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{} {row:?}", name);
                }
                let (same, unchanged) = apply(json!({"p": 0}));
                assert_eq!((flat(&same), flat(&unchanged)), (before.clone(), flat(&targets)), "{}", name);
                assert_eq!(flat(&images), before, "{} wrote into its input", name);
            }
        }
    }
}

#[test]
fn labels_are_mixed_as_pictures_are() {
    // Picture i is one-hot too: whatever happened to it happened to its target, on average over the pixels.
    let targets = Tensor::eye(5, candle_core::DType::F32, &Device::Cpu).unwrap();
    let images = targets.reshape((5, 5, 1, 1)).unwrap().repeat((1, 1, 8, 6)).unwrap();
    for (name, params) in all_batches() {
        for seed in 0..50 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let transform = build_batch(name, params.clone()).unwrap();
            let (mixed, labels) = transform.apply(&images, &targets, &mut Draw::new(&mut rng)).unwrap();
            let mean = mixed.mean((2, 3)).unwrap();
            let gap = (mean - labels).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(gap < 1e-5, "{}: {gap}", name);
        }
    }
}

#[test]
fn recipes_build() {
    let recipe = json!([
        {"name": "random_resized_crop", "size": 96, "scale": [0.4, 1.0]},
        "flip",
        {"name": "rotate", "degrees": 30.0},
        {"name": "color_jitter", "brightness": 0.2, "contrast": 0.2, "saturation": 0.2},
        {"name": "some_of", "n": 1, "of": [{"name": "random_erasing", "fill": "random"}, ["flip", "dihedral"]]},
        {"name": "resize", "size": 48, "mode": "letterbox"},
    ]);
    let pipeline: Pipeline = serde_json::from_value(recipe).unwrap();
    let seen = pipeline.apply(textured([1, 50, 70, 3]), &mut Draw::new(&mut ChaCha8Rng::seed_from_u64(0)));
    assert_eq!(seen.dims(), [1, 48, 48, 3]);
}

#[test]
fn wrong_names_and_values_are_clear_errors() {
    let wrong = |name: &str, params, message: &str| {
        let error = build(name, params).err().unwrap().to_string();
        assert!(error.contains(message), "{error}");
    };
    wrong("flp", json!({}), "unknown transform 'flp', expected one of ");
    wrong("flip", json!({"q": 1}), "transform 'flip': unknown field `q`, expected `p` or `vertical`");
    wrong("flip", json!({"p": 1.5}), "transform 'flip': p must be in 0..=1, got 1.5");
    wrong("dihedral", json!({"p": -0.5}), "transform 'dihedral': p must be in 0..=1, got -0.5");
    wrong("dihedral", json!({"p": "often"}), "transform 'dihedral': invalid type: string");
    wrong("maybe", json!({"of": "flp"}), "transform 'maybe': unknown transform 'flp'");
    wrong("maybe", json!({"of": {"name": "flip", "p": 2}}), "transform 'maybe': transform 'flip': p must be in 0..=1");
    wrong("maybe", json!({"of": 3}), "expected a transform, its name or a list of them, got 3");
    wrong("maybe", json!({"of": {"p": 1}}), "a table of a transform needs a `name`");
    wrong("maybe", json!({"p": 1}), "missing field `of`");
    wrong("one_of", json!({"of": []}), "of needs at least one transform");
    wrong(
        "one_of",
        json!({"of": ["flip"], "weights": [1, 2]}),
        "weights must be as many as the 1 transforms of `of`, got 2",
    );
    wrong("one_of", json!({"of": ["flip"], "weights": [0]}), "weights must be at least 0 and not all 0, got [0.0]");
    wrong("some_of", json!({"n": 2, "of": ["flip"]}), "n must be at most the 1 transforms of `of`, got 2");
    wrong("rotate", json!({"degrees": -1}), "degrees must be in 0..=180, got -1");
    wrong("rotate", json!({"border": "wrap"}), "unknown variant `wrap`, expected one of `constant`, `reflect`");
    wrong("affine", json!({"scale": [0, 1]}), "scale must be [low, high] with 0 < low ≤ high, got [0, 1]");
    wrong("affine", json!({"shear": [0, 90]}), "shear must be in 0..=89, got 90");
    wrong("affine", json!({"translate": [2, 0]}), "translate must be in 0..=1, got 2");
    wrong(
        "perspective",
        json!({"scale": [0.2, 0.1]}),
        "scale must be [low, high] with 0 ≤ low ≤ high ≤ 1, got [0.2, 0.1]",
    );
    wrong("elastic", json!({"sigma": -1}), "sigma must be in 0..=1000, got -1");
    wrong("grid_distortion", json!({"steps": 0}), "steps must be in 1..=1000, got 0");
    wrong("thin_plate", json!({"points": 11}), "points must be in 2..=10, got 11");
    wrong("piecewise_affine", json!({"grid": 1}), "grid must be in 2..=100, got 1");
    wrong("random_crop", json!({"width": 0}), "width must be in 1..=32768, got 0");
    wrong("pad", json!({"padding": [1, 2]}), "padding must be a number or [left, top, right, bottom], got [1,2]");
    wrong("grid_shuffle", json!({"grid": 0}), "grid must be in 1..=256, got 0");
    wrong("resize", json!({"mode": "long_side", "crop": 0.5}), "crop is for squares, must be 1 for one side, got 0.5");
    wrong("resize", json!({"max_size": 9}), "max_size is for mode short_side and at least size, 224; got 9");
    wrong("resize", json!({"size": 0}), "size must be in 1..=32768, got 0");
    wrong("pad_crop", json!({"size": 0}), "size must be in 1..=32768, got 0");
    wrong("pad_crop", json!({"padding": 99_999}), "padding must be in 0..=32768, got 99999");
    wrong("random_resized_crop", json!({"scale": [0.5, 2.0]}), "0 < low ≤ high ≤ 1, got [0.5, 2]");
    wrong("random_resized_crop", json!({"ratio": [2.0, 1.0]}), "0 < low ≤ high, got [2, 1]");
    let fills = "fill must be in 0..=255, one for each channel, \"random\", \"pixel\" or \"color\", got";
    wrong("random_erasing", json!({"value": 300}), &format!("transform 'random_erasing': {fills} 300"));
    wrong("cutout", json!({"fill": [1, 300]}), &format!("transform 'cutout': {fills} [1,300]"));
    wrong(
        "rotate",
        json!({"fill": -1}),
        "transform 'rotate': fill must be in 0..=255, one number or a list of one for each",
    );
    wrong("rotate", json!({"fill": 9}), "transform 'rotate': fill needs border constant, got [9]");
    wrong("volume_crop", json!({"fill": [1, 2], "border": "reflect"}), "fill needs border constant, got [1, 2]");
    wrong("pixel_dropout", json!({"fill": [1, 2], "per_channel": true}), "fill must be one value with per_channel");
    wrong(
        "center_crop",
        json!({"size": 9, "width": 8, "height": 7}),
        "size is for squares, leave it out beside width and height, got 9",
    );
    wrong("rand_augment", json!({"std": 0.5}), "std is not of this style, Torchvision");
    wrong("rand_augment", json!({"style": "timm", "bins": 11}), "bins is not of this style, Timm");
    wrong(
        "random_erasing",
        json!({"count": [2, 1]}),
        "count must be [low, high] with 1 ≤ low ≤ high ≤ 1000, got [2, 1]",
    );
    wrong("gaussian_noise", json!({"deviation": [-1, 1]}), "deviation must be [low, high] with 0 ≤ low");
    wrong("iso_noise", json!({"color_shift": [0, 2]}), "color_shift must be [low, high]");
    wrong("multiplicative_noise", json!({"factor": [2, 1]}), "factor must be [low, high]");
    wrong("salt_pepper", json!({"amount": [0, 2]}), "amount must be [low, high]");
    wrong("cutout", json!({"size": 0}), "size must be in 1..=32768, got 0");
    wrong("coarse_dropout", json!({"height": [0.5, 2]}), "shares below 1 or whole pixels, in order, got [0.5, 2]");
    wrong("coarse_dropout", json!({"holes": [0, 2]}), "holes must be [low, high]");
    wrong("grid_dropout", json!({"ratio": 0}), "ratio must be in 0..=1, above 0, got 0");
    wrong("grid_dropout", json!({"unit": [1, 2]}), "unit must be [low, high]");
    wrong("grid_mask", json!({"d": [1, 2]}), "d must be at least 2 pixels, got 1");
    wrong("pixel_dropout", json!({"share": 2}), "share must be in 0..=1, got 2");
    wrong("shadow", json!({"vertices": 2}), "vertices must be in 3..=100, got 2");
    wrong("shadow", json!({"region": [1, 0, 0, 1]}), "region's left and right must be [low, high]");
    wrong("fog", json!({"haze": 2}), "haze must be in 0..=1, got 2");
    wrong("rain", json!({"blur": 4}), "blur must be odd and in 1..=15, got 4");
    wrong("hair_overlay", json!({"width": [0, 1]}), "width must be [low, high] with 0 < low");
    wrong("microscope_circle", json!({"radius": [1, 3]}), "radius must be [low, high]");
    wrong("stain_jitter", json!({"sigma1": 2}), "sigma1 must be in 0..=1, got 2");
    wrong("ben_graham", json!({"sigma": 0}), "transform 'ben_graham': sigma must be in 0.1..=100, got 0");
    wrong("hair_removal", json!({"kernel": 8}), "kernel must be an odd number in 3..=255, got 8");
    wrong("background_removal", json!({"low": [99, 0, 0]}), "low must not be above high");
    wrong("window", json!({"low": 9, "high": 9}), "transform 'window': low must be below high, got 9 and 9");
    wrong("lung_mask", json!({"keep": 0}), "transform 'lung_mask': keep must be at least 1");
    wrong("denoise", json!({"radius": 99}), "transform 'denoise': radius must be in 1..=16, got 99");
    wrong("radius_normalize", json!({"radius": 0}), "radius must be in 1..=4096, got 0");
    wrong("shades_of_gray", json!({"power": 0.5}), "power must be in 1..=32, got 0.5");
    wrong("volume_crop", json!({"size": [1, 0, 1]}), "size must be in 1..=32768, got 0");
    wrong("volume_resize", json!({"size": [9999, 9999, 9999]}), "size must have at most 2³⁰ pixels");
    wrong("projection", json!({"count": 2}), "transform 'projection': count must be an odd number in 1..=31, got 2");
    wrong("projection", json!({"at": [0, 2, 0]}), "transform 'projection': at must be in 0..=1, got 2");
    wrong("projection", json!({"mode": "mip"}), "unknown variant `mip`, expected one of `slices`, `planes`, `max`");
    wrong("volume_flip", json!({"depth": 2}), "transform 'volume_flip': depth must be in 0..=1, got 2");
    wrong(
        "volume_rotate",
        json!({"planes": ["sagittal"]}),
        "unknown variant `sagittal`, expected one of `height_width`",
    );
    wrong("intensity", json!({"shift": -1}), "transform 'intensity': shift must be in 0..=1, got -1");
    wrong("box_blur", json!({"kernel": [3, 6]}), "transform 'box_blur': kernel must be [low, high], odd, with 3 ≤ low");
    wrong("median_blur", json!({"kernel": [3, 9]}), "3 ≤ low ≤ high ≤ 7, got [3, 9]");
    wrong("gaussian_blur", json!({"sigma": [0, 1]}), "sigma must be [low, high] with 0 < low ≤ high ≤ 100, got [0, 1]");
    wrong(
        "motion_blur",
        json!({"direction": [-2, 0]}),
        "direction must be [low, high] with −1 ≤ low ≤ high ≤ 1, got [-2, 0]",
    );
    wrong("defocus", json!({"radius": [0, 3]}), "radius must be [low, high] with 1 ≤ low ≤ high ≤ 60, got [0, 3]");
    wrong("zoom_blur", json!({"step": [0, 1]}), "step must be [low, high] with 0.01 ≤ low ≤ high ≤ 1, got [0, 1]");
    wrong("glass_blur", json!({"max_delta": 0}), "max_delta must be in 1..=100, got 0");
    wrong(
        "compression",
        json!({"quality": [0, 50]}),
        "quality must be [low, high] with 1 ≤ low ≤ high ≤ 100, got [0, 50]",
    );
    wrong("compression", json!({"format": "png"}), "unknown variant `png`, expected `jpeg` or `webp`");
    #[cfg(not(feature = "webp"))]
    wrong("compression", json!({"format": "webp"}), "format webp must be built in: build with the feature `webp`");
    wrong(
        "downscale",
        json!({"scale": [0.5, 2]}),
        "scale must be [low, high] with 0.01 ≤ low ≤ high ≤ 1, got [0.5, 2]",
    );
    wrong("color_jitter", json!({"hue": 0.6}), "hue must be in 0..=0.5, got 0.6");
    wrong("color_jitter", json!({"brightness": -1}), "brightness must be at least 0, got -1");
    let wrong = |name: &str, params, message: &str| {
        let error = build_batch(name, params).err().unwrap().to_string();
        assert!(error.contains(message), "{error}");
    };
    wrong("mixups", json!({}), "unknown batch transform 'mixups', expected one of cutmix, fmix, mixup");
    wrong("mixup", json!({"alpha": 0}), "batch transform 'mixup': alpha must be positive, got 0");
    wrong("mixup", json!({"mode": "elem"}), "unknown variant `elem`, expected one of `batch`, `pair`, `element`");
    wrong("mixup_cutmix", json!({"mixup_alpha": 0, "cutmix_alpha": 0}), "mixup_alpha and cutmix_alpha are both 0");
    wrong("mixup_cutmix", json!({"min_max": [0.5, 2]}), "min_max must be [low, high] with 0 < low ≤ high ≤ 1");
    wrong("fmix", json!({"decay": -1}), "batch transform 'fmix': decay must be in 0..=10, got -1");
    wrong("resize_mix", json!({"scale": [0, 1]}), "batch transform 'resize_mix': scale must be [low, high]");
    wrong("cutmix", json!({"p": -0.1}), "batch transform 'cutmix': p must be in 0..=1, got -0.1");
}

#[test]
fn fills_have_a_value_for_each_channel() {
    let color = json!([10, 20, 30]);
    for entry in TRANSFORMS {
        let defaults = match entry.name {
            "maybe" | "one_of" | "some_of" => continue,
            name => resolve(name, json!({})).unwrap(),
        };
        if defaults.get("fill").is_none() || entry.name == "lung_mask" {
            continue;
        }
        let mut params = json!({"fill": color});
        if defaults.get("border").is_some() {
            params["border"] = json!("constant");
        }
        let transform = build(entry.name, params.clone()).unwrap();
        assert_eq!(resolve(entry.name, params.clone()).unwrap()["fill"], color, "{}", entry.name);
        transform.check_channels(3).unwrap();
        let error = transform.check_channels(4).unwrap_err().to_string();
        assert!(
            error.contains("fill must be one value or one for each of 4 channels") || error.contains("channels, got 4")
        );
        params["fill"] = json!(0);
        let black = build(entry.name, params).unwrap();
        let (mut differs, mut found) = (false, false);
        for seed in 0..200 {
            let apply = |transform: &dyn Transform| {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                transform.apply(Image::filled(40, 30, &[210, 220, 230]), &mut Draw::new(&mut rng))
            };
            let seen = apply(transform.as_ref());
            differs |= seen != apply(black.as_ref());
            found |= seen.pixels().as_chunks::<3>().0.contains(&[10, 20, 30]);
        }
        // By default these read hardly anything outside, and these mix the fill with other colors.
        let kept = ["volume_rotate", "grid_distortion", "perspective", "piecewise_affine"].contains(&entry.name);
        let mixed = ["augmix", "channel_drop", "optical_distortion", "thin_plate"].contains(&entry.name);
        assert!((differs || kept) && (found || kept || mixed), "{}: {differs} {found}", entry.name);
    }
}

/// What a batch transform draws can be shown: shares, boxes, orders.
#[test]
fn batch_transforms_record_what_they_draw() {
    let (images, targets) = (
        Tensor::zeros((4, 3, 8, 6), candle_core::DType::F32, &Device::Cpu).unwrap(),
        Tensor::eye(4, candle_core::DType::F32, &Device::Cpu).unwrap(),
    );
    for (name, drawn) in [
        ("mixup", &["mixes", "lambda", "order"][..]),
        ("cutmix", &["mixes", "lambda", "x", "y", "order", "box"]),
        ("fmix", &["mixes", "lambda", "noise", "order", "kept"]),
        ("resize_mix", &["mixes", "scale", "top", "left", "order", "box"]),
    ] {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut draw = Draw::new(&mut rng).recording();
        build_batch(name, json!({})).unwrap().apply(&images, &targets, &mut draw).unwrap();
        let steps = draw.into_steps();
        let names: Vec<&str> = steps[0].drawn.iter().map(|(name, _)| *name).collect();
        assert_eq!((steps.len(), steps[0].name, &names[..], steps[0].image.is_none()), (1, name, drawn, true));
        let (_, order) = steps[0].drawn.iter().find(|(name, _)| *name == "order").unwrap();
        assert_eq!(order.as_array().unwrap().len(), 4);
        if let Some((_, seen)) = steps[0].drawn.iter().find(|(name, _)| *name == "box") {
            assert!(seen[2].as_i64().unwrap() <= 6 && seen[3].as_i64().unwrap() <= 8, "{seen}");
        }
    }
}

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
        "one_of" => vec![json!({"of": ["flip", {"name": "maybe", "of": "rotate"}]})],
        "some_of" => vec![json!({"of": ["flip", "rotate"]}), json!({"n": 2, "of": ["random_erasing", ["flip"]]})],
        "flip" => vec![json!({}), json!({"vertical": true})],
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
        "random_erasing" => vec![json!({"p": 1}), json!({"p": 1, "value": "random", "scale": [0.5, 1.0]})],
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
        "rotate" => ["constant", "reflect_101", "replicate"].map(|b| json!({"degrees": 180, "border": b})).into(),
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

/// All transforms with their parameters.
fn all() -> impl Iterator<Item = (&'static str, Value, Box<dyn Transform>)> {
    let each = |name| parameters(name).into_iter().map(move |p| (name, p.clone(), build(name, p).unwrap()));
    TRANSFORMS.iter().flat_map(move |entry| each(entry.name))
}

/// The sides and channels that a picture of `dims` may get; all other transforms keep them.
fn results(name: &str, params: &Value, dims: [usize; 4]) -> Vec<[usize; 4]> {
    let [depth, height, width, channels] = dims;
    let size = params["size"].as_u64().map(|size| size as usize);
    match (name, size) {
        ("resize" | "random_resized_crop" | "pad_crop", Some(size)) => vec![[depth, size, size, channels]],
        ("dihedral", _) => vec![dims, [depth, width, height, channels]],
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
    assert!(results(name, params, dims).contains(&seen.dims()), "{name} {params}: {dims:?} became {:?}", seen.dims());
}

#[test]
fn every_transform_takes_every_picture() {
    for (name, params, transform) in all() {
        for [width, height] in [[1, 1], [1, 7], [7, 1], [3, 200], [200, 3], [2, 2], [17, 12], [1, 30_000]] {
            for channels in [1, 2, 3, 4, 6] {
                for seed in 0..5 {
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
        // The contrast is that of the whole volume, as are counts of values; noise differs everywhere.
        let counts = ["augmix", "auto_augment", "color_jitter", "equalize", "clahe", "rand_augment", "trivial_augment"];
        !counts.contains(name) && params["value"] != "random" && *name != "some_of"
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
    let mut with_p = 0;
    for (name, params, _) in all() {
        let mut resolved = resolve(name, params).unwrap();
        if resolved.get("p").is_some() {
            resolved["p"] = json!(0);
            let picture = textured([1, 9, 8, 3]);
            let transform = build(name, resolved).unwrap();
            for seed in 0..20 {
                let seen = transform.apply(picture.clone(), &mut Draw::new(&mut ChaCha8Rng::seed_from_u64(seed)));
                assert_eq!(seen, picture, "{name}");
            }
            with_p += 1;
        }
    }
    assert!(with_p >= 6);
}

#[test]
fn one_color_stays_one_color() {
    for (name, params, transform) in all() {
        // What comes in at the border or is erased is another color.
        let foreign = ["augmix", "auto_augment", "rand_augment", "random_erasing", "some_of", "trivial_augment"]
            .contains(&name)
            || params["border"] == "constant"
            || params["mode"] == "letterbox"
            || (name == "pad_crop" && params.get("border").is_none());
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
    for entry in BATCH_TRANSFORMS {
        assert!(entry.doc.ends_with('.'), "{}", entry.name);
        for shape in [&[4, 3, 5, 7][..], &[4, 1, 1, 1], &[4, 2, 3, 6, 5]] {
            let images = Tensor::rand(0f32, 1.0, shape, &Device::Cpu).unwrap();
            let before = images.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for seed in 0..30 {
                let apply = |params| {
                    let transform = build_batch(entry.name, params).unwrap();
                    transform.apply(&images, &targets, &mut Draw::new(&mut ChaCha8Rng::seed_from_u64(seed))).unwrap()
                };
                let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                let (mixed, labels) = apply(json!({"alpha": 1}));
                let (again, _) = apply(json!({"alpha": 1}));
                assert_eq!((mixed.dims(), labels.dims()), (images.dims(), targets.dims()));
                assert_eq!(flat(&mixed), flat(&again), "{}", entry.name);
                assert!(flat(&mixed).iter().all(|v| (0.0..=1.00001).contains(v)), "{}", entry.name);
                for row in labels.to_vec2::<f32>().unwrap() {
                    assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{} {row:?}", entry.name);
                }
                let (same, unchanged) = apply(json!({"p": 0}));
                assert_eq!((flat(&same), flat(&unchanged)), (before.clone(), flat(&targets)), "{}", entry.name);
                assert_eq!(flat(&images), before, "{} wrote into its input", entry.name);
            }
        }
    }
}

#[test]
fn labels_are_mixed_as_pictures_are() {
    // Picture i is one-hot too: whatever happened to it happened to its target, on average over the pixels.
    let targets = Tensor::eye(5, candle_core::DType::F32, &Device::Cpu).unwrap();
    let images = targets.reshape((5, 5, 1, 1)).unwrap().repeat((1, 1, 8, 6)).unwrap();
    for entry in BATCH_TRANSFORMS {
        for seed in 0..50 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let transform = build_batch(entry.name, json!({"alpha": 1})).unwrap();
            let (mixed, labels) = transform.apply(&images, &targets, &mut Draw::new(&mut rng)).unwrap();
            let mean = mixed.mean((2, 3)).unwrap();
            let gap = (mean - labels).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(gap < 1e-5, "{}: {gap}", entry.name);
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
        {"name": "some_of", "n": 1, "of": [{"name": "random_erasing", "value": "random"}, ["flip", "dihedral"]]},
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
    wrong("some_of", json!({"n": 2, "of": ["flip"]}), "n must be at most the 1 transforms of `of`, got 2");
    wrong("rotate", json!({"degrees": -1}), "degrees must be in 0..=180, got -1");
    wrong("rotate", json!({"border": "wrap"}), "unknown variant `wrap`, expected one of `constant`, `reflect_101`");
    wrong("resize", json!({"size": 0}), "size must be in 1..=32768, got 0");
    wrong("pad_crop", json!({"size": 0}), "size must be in 1..=32768, got 0");
    wrong("pad_crop", json!({"padding": 99_999}), "padding must be in 0..=32768, got 99999");
    wrong("random_resized_crop", json!({"scale": [0.5, 2.0]}), "0 < low ≤ high ≤ 1, got [0.5, 2]");
    wrong("random_resized_crop", json!({"ratio": [2.0, 1.0]}), "0 < low ≤ high, got [2, 1]");
    wrong("random_erasing", json!({"value": 300}), "value must be in 0..=255 or \"random\", got 300");
    wrong("color_jitter", json!({"hue": 0.6}), "hue must be in 0..=0.5, got 0.6");
    wrong("color_jitter", json!({"brightness": -1}), "brightness must be at least 0, got -1");
    let wrong = |name: &str, params, message: &str| {
        let error = build_batch(name, params).err().unwrap().to_string();
        assert!(error.contains(message), "{error}");
    };
    wrong("mixups", json!({}), "unknown batch transform 'mixups', expected one of cutmix, mixup");
    wrong("mixup", json!({"alpha": 0}), "batch transform 'mixup': alpha must be positive, got 0");
    wrong("cutmix", json!({"p": -0.1}), "batch transform 'cutmix': p must be in 0..=1, got -0.1");
}

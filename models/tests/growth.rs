//! Laws of growing, over the whole table of models.
#![allow(clippy::unwrap_used)]

use sconce_models::{Growth, Network, NetworkConfig, grow, init, models, picture_size, resolve};

/// Parameters and multiply-adds of a model with `params`, in pictures of `side`, that says a thousand classes.
fn size(model: &str, params: &serde_json::Value, side: usize) -> (usize, f64) {
    let config = NetworkConfig { model: model.into(), params: params.clone(), classes: 1000, ..Default::default() };
    let summary = Network::new(&config, init::outline()).unwrap().summary((side, side));
    let summary = summary.unwrap_or_else(|error| panic!("{model} {params} {side}: {error}"));
    (summary.parameters(), summary.multiply_adds() as f64)
}

/// By 1 nothing changes; wider, deeper and larger networks are what they say, and read pictures of the side that goes with them.
#[test]
fn every_model_that_learns_grows() {
    let none = serde_json::Value::Null;
    for (model, _) in models() {
        if model.starts_with("frozen_") {
            let error = grow(model, &none, Growth::default()).unwrap_err().to_string();
            assert!(error.contains("never learns"), "{error}");
            continue;
        }
        let side = picture_size(model).unwrap();
        assert_eq!(grow(model, &none, Growth::default()).unwrap(), (none.clone(), side), "{model}");
        let (parameters, work) = size(model, &none, side);
        let grown = |growth| {
            let (params, side) = grow(model, &none, growth).unwrap();
            (side, size(model, &params, side))
        };
        let (same, (wide, more)) = grown(Growth { width: 2.0, ..Growth::default() });
        assert!(same == side && wide > parameters && more > work, "{model}: {wide} {more}");
        let (same, (deep, more)) = grown(Growth { depth: 2.0, ..Growth::default() });
        assert!(same == side && deep > parameters && more > work, "{model}: {deep} {more}");
        let (large, (_, more)) = grown(Growth { resolution: 2.0, ..Growth::default() });
        assert!(large == 2 * side && more >= work, "{model}: {large} {more}");
        let (_, (parameters, _)) = grown(Growth { width: 0.5, depth: 0.5, resolution: 1.0 });
        assert!(parameters > 0 && parameters < wide, "{model}");
    }
}

/// What was said of the model stays, and grows.
#[test]
fn growing_keeps_overrides() {
    let own = serde_json::json!({"width": 24, "act": "silu"});
    let (params, _) = grow("resnet18", &own, Growth { width: 1.5, ..Growth::default() }).unwrap();
    assert_eq!(params, serde_json::json!({"width": 36, "act": "silu"}));
    assert!(grow("resnet18", &serde_json::json!({"widht": 1}), Growth::default()).is_err());
    let error = grow("resnet18", &own, Growth { depth: 0.0, ..Growth::default() }).unwrap_err().to_string();
    assert!(error.contains("depth must be above 0"), "{error}");
}

/// Width, depth and side together: 1.2 · 1.1² · 1.15² times the work, as far as rounding allows: networks of few blocks double
/// every stage of one.
#[test]
fn compound_scaling_nearly_doubles_the_work() {
    let none = serde_json::Value::Null;
    let work = |model: &str, phi: f64| {
        let (params, side) = grow(model, &none, Growth::compound(phi)).unwrap();
        size(model, &params, side).1
    };
    for phi in 0..6 {
        let factor = work("efficientnet_b0", f64::from(phi + 1)) / work("efficientnet_b0", f64::from(phi));
        assert!((1.6..2.7).contains(&factor), "{phi}: {factor}");
    }
    let whole = work("efficientnet_b0", 6.0) / work("efficientnet_b0", 0.0) / 1.92f64.powi(6);
    assert!((0.8..1.4).contains(&whole), "{whole}");
    let residual = ["resnet", "seres", "wide_", "preact_", "convnext"];
    for (model, _) in models().into_iter().filter(|(model, _)| residual.iter().any(|name| model.starts_with(name))) {
        let factor = work(model, 1.0) / work(model, 0.0);
        assert!((1.9..2.8).contains(&factor), "{model}: {factor}");
    }
}

/// By the published factors B0 becomes B1 to B7: sides and parameters of the paper's implementation.
#[test]
fn b0_grows_into_the_published_sizes() {
    let none = serde_json::Value::Null;
    for (name, width, depth, side, parameters) in [
        ("efficientnet_b1", 1.0, 1.1, 240, 7_794_184),
        ("efficientnet_b2", 1.1, 1.2, 260, 9_109_994),
        ("efficientnet_b3", 1.2, 1.4, 300, 12_233_232),
        ("efficientnet_b4", 1.4, 1.8, 380, 19_341_616),
        ("efficientnet_b5", 1.6, 2.2, 456, 30_389_784),
        ("efficientnet_b6", 1.8, 2.6, 528, 43_040_704),
        ("efficientnet_b7", 2.0, 3.1, 600, 66_347_960),
    ] {
        let growth = Growth { width, depth, resolution: side as f64 / 224.0 };
        let (params, grown) = grow("efficientnet_b0", &none, growth).unwrap();
        assert_eq!(grown, side, "{name}");
        assert_eq!(resolve("efficientnet_b0", &params).unwrap(), resolve(name, &none).unwrap());
        assert_eq!(size("efficientnet_b0", &params, side).0, parameters, "{name}");
    }
    let (params, side) = grow("efficientnet_b0", &none, Growth::compound(1.0)).unwrap();
    assert_eq!((params, side), (serde_json::json!({"width": 1.1, "depth": 1.2}), 258));
}

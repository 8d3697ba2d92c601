//! What folds are made of, step by step.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::{assemble, prepare};
use candle_nn::VarMap;
use models::parts::Choice;
use train::{Gradients, Task};

/// A recipe on drawn shapes.
fn prepared(sets: &[&str]) -> Result<(Recipe, Parts, Prepared)> {
    let own = ["data.source=synthetic", "data.len=40", "data.folds=2", "train.batch_size=4", "augment.transforms=[]"];
    let sets: Vec<String> = own.iter().chain(sets).map(|set| set.to_string()).collect();
    let mut recipe = Recipe::load("default", &sets)?;
    let (parts, progress) = (assemble::parts(&mut recipe)?, Progress::new(true));
    let collection = prepare::open(&mut recipe, None)?;
    let report = prepare::look(&collection, &recipe, true, &progress)?;
    let prepared = prepare::prepare(&recipe, &collection, report, &progress)?;
    Ok((recipe, parts, prepared))
}

/// Calls `test` with fold 0 of such a recipe.
fn with_fold(sets: &[&str], test: impl FnOnce(&Training<'_>, &Fold)) {
    let (recipe, parts, prepared) = prepared(sets).unwrap();
    let pictures = assemble::prepared(&recipe, prepared.dataset.clone()).unwrap();
    let training = Training {
        recipe: &recipe,
        parts: &parts,
        prepared: &prepared,
        normalize: assemble::normalize(&recipe, &*pictures).unwrap(),
        pictures,
        features: false,
        device: &Device::Cpu,
        progress: &Progress::new(true),
        times: &Times::default(),
        interrupted: Arc::default(),
        fingerprint: String::new(),
        start: None,
    };
    test(&training, &training.fold(0).unwrap());
}

/// Gradients of the first step.
fn gradients(training: &Training<'_>, fold: &Fold) -> (Params, Gradients) {
    let step = fold.first_steps(training.parts).next().unwrap().unwrap();
    let params = fold.params(training.recipe);
    let at = train::Progress { epoch: 0, step: 0, steps_per_epoch: 1, epochs: 1 };
    let store = fold.loss(&step, at).unwrap().backward().unwrap();
    let gradients = Gradients::take(&store, &params).unwrap();
    (params, gradients)
}

#[test]
fn what_is_new_learns_at_the_full_rate() {
    let pool = "model.pool={name='attention', hidden=[4]}";
    with_fold(&["model={name='resnet20', width=4}", pool, "train.backbone_lr=0"], |training, fold| {
        let (params, gradients) = gradients(training, fold);
        let names: Vec<&str> = params.0.iter().map(|param| param.name.as_str()).collect();
        assert!(names.iter().any(|name| name.starts_with("pool.")) && names.contains(&"head.weight"), "{names:?}");
        assert!(params.0.iter().all(|param| param.lr_scale == 1.0 && !param.name.starts_with("backbone.")));
        let moved = |gradient: &Tensor| gradient.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap() > 0.0;
        assert!(gradients.0.iter().any(moved));
    });
}

#[test]
fn rates_fall_from_stage_to_stage() {
    let config = NetworkConfig {
        model: "resnet20".into(),
        params: serde_json::json!({"width": 4}),
        pool: Choice::new("gem"),
        views: 2,
        join: Choice::new("attention"),
        meta: 2,
        meta_hidden: vec![3],
        ..NetworkConfig::default()
    };
    let vars = VarMap::new();
    let network = Network::new(&config, init::seeded(&vars, 0, DType::F32, &Device::Cpu)).unwrap();
    let train = Train { backbone_lr: 0.1, layer_decay: 0.5, freeze: 2, bias_lr: 4.0, ..Default::default() };
    let rates = rates(&network, &train, train.freeze);
    for name in vars.data().lock().unwrap().keys() {
        let part = name.strip_prefix("backbone.").unwrap_or(name).split('.').next().unwrap();
        let norm = ["bn1.bias", "bn2.bias", "norm.bias"].iter().any(|end| name.ends_with(end));
        let want = match part {
            "conv1" | "bn1" | "layer1" => None,
            "layer2" => Some(0.1 * 0.25),
            "layer3" => Some(0.1 * 0.5),
            _ => Some(1.0),
        };
        let want = want.map(|rate: f64| if norm { 4.0 * rate } else { rate });
        assert_eq!(rates.get(name).copied(), want, "{name}");
    }
    let behind = ["pool.p", "head.weight"];
    assert!(behind.iter().all(|name| rates.contains_key(*name)));
    assert!(["join.", "meta."].iter().all(|part| rates.keys().any(|name| name.starts_with(part))));
}

const SMALL: &str = "model={name='resnet20', width=4}";

/// The loss of the first step, and the sum of the absolute values of its gradients.
fn first_loss(sets: &[&str], epoch: usize) -> (f32, f64) {
    let mut said = (0.0, 0.0);
    with_fold(&[&[SMALL], sets].concat(), |training, fold| {
        let step = fold.steps(training.parts, epoch, 0).next().unwrap().unwrap();
        let at = train::Progress { epoch, step: epoch, steps_per_epoch: 1, epochs: training.recipe.train.epochs };
        let loss = fold.loss(&step, at).unwrap();
        let store = loss.backward().unwrap();
        let all = train::variables(&fold.trained.vars);
        let size = |var: &candle_core::Var| {
            let gradient = store.get(var).map(|g| g.to_dtype(DType::F64)?.abs()?.sum_all()?.to_scalar::<f64>());
            gradient.transpose().unwrap().unwrap_or(0.0)
        };
        said = (loss.to_scalar().unwrap(), all.values().map(size).sum());
    });
    said
}

#[test]
fn precision_recomputation_and_dropout_do_what_they_say() {
    let plain = first_loss(&[], 0);
    let again = first_loss(&["train.recompute=true"], 0);
    assert_eq!(plain.0, again.0);
    assert!((plain.1 - again.1).abs() < 1e-4 * plain.1, "{plain:?} {again:?}");
    for precision in ["bf16", "f16"] {
        let (loss, _) = first_loss(&[&format!("train.precision={precision}")], 0);
        assert!(loss != plain.0 && (loss - plain.0).abs() < 0.05 * plain.0, "{precision}: {loss} {plain:?}");
    }
    let dropped = first_loss(&["model.dropout=0.5"], 0);
    assert_ne!(dropped.0, plain.0);
    let linear = "train.dropout_schedule={name='linear', from=0, to=1}";
    assert_eq!(first_loss(&["model.dropout=0.5", linear], 0).0, plain.0);
    assert_ne!(first_loss(&["model.dropout=0.5", linear], 5).0, first_loss(&[], 5).0);
}

#[test]
fn pictures_grow_and_come_several_times() {
    let sets = [SMALL, "train.sizes=[16, 24]", "preprocess.size=32", "train.epochs=3", "train.repeat=2"];
    let crop = "augment.transforms=['random_resized_crop']";
    with_fold(&[&sets[..], &[crop, "augment.copies=['dihedral']"]].concat(), |training, fold| {
        for (epoch, side) in [16, 24, 32].into_iter().enumerate() {
            let step = fold.steps(training.parts, epoch, 0).next().unwrap().unwrap();
            assert_eq!(step.batch.images.dims(), [4, 3, side, side]);
            assert!(step.batch.ids[0] == step.batch.ids[1] && step.batch.ids[1] != step.batch.ids[2]);
            let rows = step.batch.images.flatten_from(1).unwrap().to_vec2::<f32>().unwrap();
            assert_ne!(rows[0], rows[1]);
        }
        assert_eq!(fold.batches, 2 * 20 / 4);
    });
}

#[test]
fn stages_thaw_one_after_the_other() {
    with_fold(&[SMALL, "train.unfreeze=2", "train.freeze=1"], |training, fold| {
        let stages = fold.trained.network.stages().len() - 1;
        let frozen: Vec<usize> = (0..2 * stages + 2).map(|epoch| fold.frozen(epoch)).collect();
        assert_eq!((frozen[0], frozen[1], frozen[2], *frozen.last().unwrap()), (stages, stages, stages - 1, 1));
        let params = fold.params(training.recipe);
        for (epoch, &frozen) in frozen.iter().enumerate() {
            let step = fold.steps(training.parts, 0, 0).next().unwrap().unwrap();
            let at = train::Progress { epoch, step: 0, steps_per_epoch: 1, epochs: 20 };
            let store = fold.loss(&step, at).unwrap().backward().unwrap();
            for param in &params.0 {
                // Whatever has begun to learn has a gradient, and nothing else.
                assert_eq!(store.get(&param.var).is_some(), param.from <= epoch, "{} {epoch} {frozen}", param.name);
            }
        }
    });
}

#[test]
fn losses_of_embeddings_are_added_and_named() {
    let plain = first_loss(&[], 0);
    let triplet = first_loss(&["loss.embedding=[{name='triplet', weight=2.0, margin=5.0}]"], 0);
    assert!(triplet.0 > plain.0 + 1.0, "{plain:?} {triplet:?}");
    with_fold(&[SMALL, "loss.embedding=['supervised_contrastive']"], |training, fold| {
        let step = fold.first_steps(training.parts).next().unwrap().unwrap();
        let at = train::Progress { epoch: 0, step: 0, steps_per_epoch: 1, epochs: 1 };
        let whole = f64::from(fold.loss(&step, at).unwrap().to_scalar::<f32>().unwrap());
        let parts = Task::parts(fold);
        assert_eq!(parts.len(), 2);
        assert!((parts.iter().map(|(_, value)| value).sum::<f64>() - whole).abs() < 1e-5);
        // Pieces of a step are shares of it.
        let pieces = fold.split(&step, 2).unwrap().unwrap();
        assert_eq!(
            pieces.iter().map(|(piece, share)| (piece.batch.ids.len(), *share)).collect::<Vec<_>>(),
            [(2, 0.5); 2]
        );
        assert_eq!(fold.split(&step, 5).unwrap().unwrap().len(), 4);
    });
    let jsd = ["loss.name=jsd", "train.repeat=3", "train.batch_size=6", "augment.transforms=['dihedral']"];
    assert!(first_loss(&jsd, 0).0 > 0.0);
    let views = prepared(&["loss.name=jsd"]).err().unwrap();
    assert!(format!("{views:#}").contains("set train.repeat = 3"), "{views:#}");
}

#[test]
fn statistics_of_averaged_weights_are_those_of_the_pictures() {
    with_fold(&[SMALL], |training, fold| {
        refresh::refresh(fold, training.parts, 0).unwrap();
        let all = train::variables(&fold.trained.vars);
        let (mean, variance) = (&all["backbone.bn1.running_mean"], &all["backbone.bn1.running_var"]);
        // What the first norm reads is a convolution of pictures.
        let (mut means, mut variances, mut batches) = (vec![0.0; 4], vec![0.0; 4], 0.0);
        for step in fold.first_steps(training.parts) {
            let images = step.unwrap().batch.images;
            let y = images.conv2d(&all["backbone.conv1.weight"], 1, 1, 1, 1).unwrap().transpose(0, 1).unwrap();
            for (channel, values) in y.flatten_from(1).unwrap().to_vec2::<f32>().unwrap().into_iter().enumerate() {
                let n = values.len() as f64;
                let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
                means[channel] += mean;
                variances[channel] += values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / (n - 1.0);
            }
            batches += 1.0;
        }
        for (var, sums) in [(mean, means), (variance, variances)] {
            for (ours, sum) in var.to_vec1::<f32>().unwrap().into_iter().zip(sums) {
                assert!(
                    (f64::from(ours) - sum / batches).abs() < 1e-4 * (1.0 + sum / batches),
                    "{ours} {sum} {batches}"
                );
            }
        }
    });
}

#[test]
fn frozen_stages_keep_their_statistics_when_others_are_measured() {
    with_fold(&[SMALL, "train.freeze=2", "data.len=16"], |training, fold| {
        let all = train::variables(&fold.trained.vars);
        let of = |name: &str| all[&format!("backbone.{name}")].as_detached_tensor();
        assert!(fold.still_names(0).contains("backbone.layer1.0.bn1.running_mean"));
        assert!(!fold.still_names(0).contains("backbone.layer2.0.bn1.running_mean"));
        let mean = &all["backbone.bn1.running_mean"];
        mean.set(&mean.zeros_like().unwrap().affine(0.0, 0.3).unwrap()).unwrap();
        let names: Vec<&String> = all.keys().filter(|name| train::is_statistic(name)).collect();
        let values =
            |name: &str| all[name].to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let before: Vec<Vec<f64>> = names.iter().map(|name| values(name)).collect();
        refresh::refresh(fold, training.parts, 0).unwrap();
        for (name, before) in names.iter().zip(&before) {
            assert_eq!(&values(name) == before, fold.still_names(0).contains(*name), "{name}");
        }
        // What the first measured norm reads comes from stages with their own statistics.
        let norm = |x: &Tensor, name: &str| {
            let part = |of_what: &str| of(&format!("{name}.{of_what}")).reshape((1, 4, 1, 1)).unwrap();
            let y = x.broadcast_sub(&part("running_mean")).unwrap();
            y.broadcast_div(&(part("running_var") + 1e-5).unwrap().sqrt().unwrap()).unwrap()
        };
        let conv = |x: &Tensor, name: &str, stride| x.conv2d(&of(&format!("{name}.weight")), 1, stride, 1, 1).unwrap();
        let (mut sums, mut batches) = (vec![0.0; 8], 0.0);
        for step in fold.first_steps(training.parts) {
            let mut x = norm(&conv(&step.unwrap().batch.images, "conv1", 1), "bn1").relu().unwrap();
            for block in 0..3 {
                let name = |part: &str| format!("layer1.{block}.{part}");
                let y = norm(&conv(&x, &name("conv1"), 1), &name("bn1")).relu().unwrap();
                x = (norm(&conv(&y, &name("conv2"), 1), &name("bn2")) + x).unwrap().relu().unwrap();
            }
            let y = conv(&x, "layer2.0.conv1", 2);
            let means = y.transpose(0, 1).unwrap().flatten_from(1).unwrap().mean(1).unwrap().to_vec1::<f32>().unwrap();
            sums.iter_mut().zip(means).for_each(|(sum, mean)| *sum += f64::from(mean));
            batches += 1.0;
        }
        for (ours, sum) in values("backbone.layer2.0.bn1.running_mean").into_iter().zip(sums) {
            assert!((ours - sum / batches).abs() < 1e-3 * (1.0 + ours.abs()), "{ours} {}", sum / batches);
        }
    });
}

#[test]
fn an_auxiliary_head_learns_and_is_not_asked() {
    let model = "model={name='inception_v3', width=0.03}";
    with_fold(&[model, "model.aux=3", "data.classes=3", "preprocess.size=299"], |training, fold| {
        let (params, gradients) = gradients(training, fold);
        for (param, gradient) in params.0.iter().zip(&gradients.0).filter(|(p, _)| p.name.contains("AuxLogits")) {
            let size = gradient.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(size > 0.0, "{}: {size}", param.name);
        }
        for (name, var) in fold.trained.vars.data().lock().unwrap().iter().filter(|(n, _)| n.contains("AuxLogits")) {
            var.set(&var.zeros_like().unwrap().affine(0.0, f64::NAN).unwrap())
                .unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        let batch = fold.validation.epoch(0).next().unwrap().unwrap();
        let said = predict::batch(&fold.trained, &batch, augment::Views::None).unwrap();
        assert!(said.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|v| v.is_finite()));
    });
    let other = prepared(&[model, "model.aux=5", "data.classes=3", "preprocess.size=299"]).err().unwrap();
    assert!(format!("{other:#}").contains("5 outputs for 3 classes; set model.aux=3"), "{other:#}");
}

#[test]
fn steps_before_the_cache_come_once_and_first() {
    let sets =
        [SMALL, "preprocess.steps=['invert', {name='resize', size=20}]", "augment.transforms=['flip', 'rotate']"];
    with_fold(&sets, |training, fold| {
        let row = fold.train.rows().len() - 1;
        let id = &fold.train.rows()[row].id;
        let read = training.prepared.dataset.rows().iter().position(|row| row.id == *id).unwrap();
        let image = training.prepared.dataset.image(read).unwrap();
        let mut stream = fold.train.first_stream(3, row);
        let steps = &training.parts.training[&training.recipe.preprocess.size].steps;
        let whole = augment::Transform::apply(steps, image.clone(), &mut augment::Draw::of(&mut stream));
        assert_eq!(fold.train.sample(3, row).unwrap(), [whole]);
        let judged = predict::prepared(&fold.saved, training.pictures.clone(), 1, training.device).unwrap();
        let mut plain = data::Stream::new(0, 0, 0);
        assert_eq!(judged.sample(0, read).unwrap(), [fold.saved.transform().unwrap()(image, &mut plain)]);
    });
}

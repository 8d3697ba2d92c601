//! What training minimizes, from the recipe's `[loss]`.

use super::At;
use crate::criterion::Criterion;
use crate::recipe::{ClassWeights, NamedWeights, Recipe, Spec, table};
use crate::usage::Usage;
use anyhow::{Context, Result, anyhow, bail};
use candle_core::{DType, Device, Tensor};
use data::{Kind, Part, Row, Target};
use losses::Loss;
use serde_json::{Map, Value, json};

/// What a loss reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// A logit for each class.
    Logits,
    /// One fewer.
    Thresholds,
    /// One number.
    Number,
    /// Embeddings and classes.
    Embeddings,
    /// Logits and those of a teacher.
    Teacher,
    /// Logits of several copies of each picture.
    Copies,
    /// Embeddings and those of a teacher.
    Hints,
    /// Numbers that no picture's class says.
    Positions,
}

/// What loss `name` reads.
pub fn reads(name: &str) -> Reads {
    match name {
        "coral" | "corn" => Reads::Thresholds,
        "contrastive" | "pairwise_cosine" | "supervised_contrastive" | "triplet" => Reads::Embeddings,
        "cosine" | "similarity" => Reads::Hints,
        "distillation" => Reads::Teacher,
        "jsd" => Reads::Copies,
        "ordinal_regression" => Reads::Number,
        "trajectory_nll" => Reads::Positions,
        _ => Reads::Logits,
    }
}

/// Refuses losses that do not read what `head` says and what the rest of the recipe gives.
pub(super) fn check(recipe: &Recipe, params: &Value, head: &Spec) -> Result<()> {
    let (name, train) = (recipe.loss.name.as_str(), &recipe.train);
    let reads_classes = models::heads::says_classes(&head.part());
    let terms = params.get("of").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for term in terms.iter().filter_map(|term| term.get("name").and_then(Value::as_str)) {
        if reads(term) != Reads::Logits {
            bail!(
                "'{term}' reads something else than the other terms of a sum; make it loss.name, or one of loss.embedding"
            );
        }
    }
    match (reads(name), head.name.as_str()) {
        (Reads::Embeddings, _) => {
            bail!("'{name}' reads embeddings; add it to another loss with loss.embedding = [\"{name}\"]")
        }
        (Reads::Hints, _) => bail!("'{name}' reads a teacher's embeddings; set loss.teacher and loss.similarity"),
        (Reads::Positions, _) => {
            bail!("'{name}' reads positions, which no source of pictures gives; take another loss")
        }
        (Reads::Thresholds, "coral") if name == "coral" => {}
        (Reads::Thresholds, "linear") if name == "corn" => {}
        (Reads::Thresholds, _) => {
            let head = if name == "coral" { "coral" } else { "linear" };
            bail!("'{name}' reads one threshold fewer than there are classes; set model.head = \"{head}\"")
        }
        (Reads::Number, "linear") => {}
        (Reads::Number, _) => bail!("'{name}' reads one number; set model.head = \"linear\""),
        _ if !reads_classes => {
            bail!("head '{}' says other numbers than a logit per class, which '{name}' reads", head.name)
        }
        (Reads::Copies, _) => {
            let views = params.get("views").and_then(Value::as_u64).unwrap_or_default();
            if train.repeat as u64 != views {
                bail!("'{name}' compares {views} copies of each picture; set train.repeat = {views}");
            }
            if !recipe.augment.batch.is_empty() {
                bail!(
                    "'{name}' compares copies of one picture, which augment.batch mixes with others; set augment.batch = []"
                );
            }
        }
        (Reads::Teacher, _) if recipe.loss.teacher.is_none() => {
            bail!("'{name}' listens to a teacher; set loss.teacher to the folder of a finished run")
        }
        _ => {}
    }
    if recipe.loss.similarity > 0.0 && recipe.loss.teacher.is_none() {
        bail!("similarity is that to a teacher; set loss.teacher to the folder of a finished run");
    }
    if recipe.loss.teacher.is_some() && recipe.loss.similarity == 0.0 && reads(name) != Reads::Teacher {
        bail!(
            "nobody listens to the teacher; set loss.name = \"distillation\" or loss.similarity, or leave loss.teacher away"
        );
    }
    if train.features && (recipe.loss.teacher.is_some() || !recipe.loss.embedding.is_empty()) {
        bail!("train.features leave nothing to compare embeddings for; leave loss.teacher and loss.embedding away");
    }
    for spec in &recipe.loss.embedding {
        if reads(&spec.name) != Reads::Embeddings {
            bail!("embedding: '{}' does not read embeddings and classes", spec.name);
        }
    }
    // A bag says the logarithm of its mean probability, which only a softmax takes back.
    let is_one = || Ok::<_, anyhow::Error>(reads(name) == Reads::Logits && is_softmax(name, params)?);
    if (train.bags > 1 || head.name == "bag") && !is_one()? {
        bail!("a bag of heads says probabilities of a softmax, which '{name}' does not; take cross_entropy or its kin");
    }
    if recipe.loss.class_weights != ClassWeights::Named(NamedWeights::None) && params.get("weights").is_none() {
        bail!(
            "'{name}' has no weights of classes; set loss.class_weights = \"none\", or take cross_entropy or its kin"
        );
    }
    check_scale(name, params, head)?;
    terms.iter().try_for_each(|term| check_scale(term.get("name").and_then(Value::as_str).unwrap_or(name), term, head))
}

/// Whether a loss that reads cosines gets them, with the scale that it takes away.
fn check_scale(name: &str, params: &Value, head: &Spec) -> Result<()> {
    let Some(scale) = params.get("scale").and_then(Value::as_f64) else { return Ok(()) };
    match head.params.get("scale").and_then(Value::as_f64).filter(|_| head.name == "cosine") {
        Some(of_head) if of_head == scale => Ok(()),
        Some(of_head) => bail!("'{name}' takes the head's scale away, which is {of_head}; set loss.scale = {of_head}"),
        None => bail!("'{name}' reads cosines; set model.head = \"cosine\""),
    }
}

/// Whether a loss's probabilities are those of a softmax.
fn is_softmax(name: &str, params: &Value) -> Result<bool> {
    let logits = Tensor::new(&[[0.5f64, -0.25, 1.0]], &Device::Cpu)?;
    let of = |loss: &dyn Loss| -> Result<Vec<f64>> { Ok(loss.probabilities(&logits)?.flatten_all()?.to_vec1()?) };
    let (ours, theirs) = (of(&*losses::build(name, params.clone())?)?, of(&losses::CrossEntropy::default())?);
    Ok(ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-9))
}

/// How many numbers the head of a network says that is trained with the recipe's loss, as far as the head does not decide it.
pub fn outputs(recipe: &Recipe, classes: usize) -> usize {
    match reads(&recipe.loss.name) {
        // The head `coral` leaves one out by itself.
        Reads::Thresholds if recipe.loss.name == "corn" => classes.saturating_sub(1).max(1),
        Reads::Number => 1,
        _ => classes,
    }
}

/// Every default of `loss.embedding` written out; `weight` stays beside them.
pub(super) fn embedding(recipe: &Recipe) -> Result<Vec<Spec>> {
    let each = |spec: &Spec| {
        let (weight, params) = weighted(spec)?;
        let mut params = table(losses::resolve(&spec.name, params)?);
        params.insert("weight".into(), json!(weight));
        Ok(Spec { name: spec.name.clone(), params })
    };
    recipe.loss.embedding.iter().map(each).collect::<Result<_>>().at(recipe, "loss.embedding")
}

/// Weight and parameters of a loss of embeddings.
fn weighted(spec: &Spec) -> Result<(f64, Value)> {
    let mut params: Map<String, Value> = spec.params.clone();
    let weight = params.remove("weight").map_or(Some(1.0), |weight| weight.as_f64());
    match weight {
        Some(weight) if weight > 0.0 && weight.is_finite() => Ok((weight, Value::Object(params))),
        _ => bail!("'{}': weight must be a number above 0", spec.name),
    }
}

/// Fills in how many classes there are, and how many samples every class has, wherever a loss asks for that, inside of a sum
/// as well.
pub fn count_in(params: &mut Value, counts: &[usize]) {
    match params {
        Value::Array(all) => all.iter_mut().for_each(|each| count_in(each, counts)),
        Value::Object(params) => {
            for (key, value) in params {
                match key.as_str() {
                    "counts" if value.is_null() => *value = json!(counts),
                    "classes" if value.is_null() => *value = json!(counts.len()),
                    _ => count_in(value, counts),
                }
            }
        }
        _ => {}
    }
}

/// What training minimizes for these classes; class weights come from `counts`.
pub fn criterion(recipe: &Recipe, counts: &[usize]) -> Result<Criterion> {
    let (params, loss) = of_logits(recipe, counts)?;
    let embedding = recipe.loss.embedding.iter().map(|spec| {
        let (weight, params) = weighted(spec)?;
        Ok((spec.name.clone(), weight, losses::build(&spec.name, params)?))
    });
    let embedding = embedding.collect::<Result<Vec<_>>>().at(recipe, "loss.embedding")?;
    takes_soft(recipe, &recipe.loss.name, &*loss, counts.len())?;
    embedding.iter().try_for_each(|(name, _, loss)| takes_soft(recipe, name, &**loss, counts.len()))?;
    let spec = Spec { name: recipe.loss.name.clone(), params: table(params) };
    let copies = if reads(&spec.name) == Reads::Copies { recipe.train.repeat } else { 1 };
    Ok(Criterion {
        distills: reads(&spec.name) == Reads::Teacher,
        spec,
        loss,
        copies,
        embedding,
        similarity: recipe.loss.similarity,
        auxiliary: recipe.train.aux_weight,
    })
}

/// Whether a loss takes rows of targets where the recipe makes such.
fn takes_soft(recipe: &Recipe, name: &str, loss: &dyn Loss, classes: usize) -> Result<()> {
    let (who, other) = match &recipe.pseudo {
        Some(pseudo) if pseudo.soft => ("pseudo.soft makes rows of", "pseudo.soft = false"),
        _ if !recipe.augment.batch.is_empty() => ("augment.batch mixes", "augment.batch = []"),
        _ => return Ok(()),
    };
    let width = match reads(name) {
        Reads::Logits => classes,
        Reads::Thresholds => classes.saturating_sub(1).max(1),
        Reads::Number => 1,
        Reads::Embeddings => 2,
        _ => return Ok(()),
    };
    let output = Tensor::ones((4, width), DType::F32, &Device::Cpu)?;
    let soft = (Tensor::ones((4, classes), DType::F32, &Device::Cpu)? / classes as f64)?;
    let hint = format!("{who} targets, which '{name}' does not take; set {other}");
    loss.forward(&output, &soft).map(drop).context(hint).at(recipe, "loss")
}

/// The same for all losses of a recipe, before its classes are known.
pub fn check_soft(recipe: &Recipe) -> Result<()> {
    const CLASSES: usize = 3;
    let mut all = vec![(&recipe.loss.name, Value::Object(recipe.loss.params.clone()))];
    for spec in &recipe.loss.embedding {
        all.push((&spec.name, weighted(spec)?.1));
    }
    for (name, params) in all {
        let mut params = losses::resolve(name, params).at(recipe, "loss")?;
        count_in(&mut params, &[1; CLASSES]);
        let loss = losses::build(name, params).at(recipe, "loss")?;
        // What is for a certain number of classes is seen when they are known.
        if loss.check(CLASSES).is_ok() {
            takes_soft(recipe, name, &*loss, CLASSES)?;
        }
    }
    Ok(())
}

/// Refuses losses and scores that have no meaning for targets of `kind`.
pub fn check_targets(recipe: &Recipe, kind: Kind, classes: &[String]) -> Result<()> {
    let refuse = |why: String| Err(anyhow!(why).context(Usage::recipe(&recipe.name)));
    let said = serde_json::to_value(kind)?;
    let said = said.as_str().unwrap_or_default();
    match kind {
        Kind::Class | Kind::Ordinal => return Ok(()),
        Kind::Regression => {
            return refuse(format!(
                "data.target: targets of kind '{said}' are read, looked at and split, but not trained on"
            ));
        }
        Kind::MultiLabel | Kind::Distribution => {}
    }
    let loss = of_logits(recipe, &vec![1; classes.len()])?.1;
    let sum = match reads(&recipe.loss.name) {
        Reads::Logits => loss.probabilities(&Tensor::ones((1, classes.len()), DType::F32, &Device::Cpu)?)?.sum_all()?,
        _ => return refuse(format!("loss: '{}' is for one class; data.target is '{said}'", recipe.loss.name)),
    };
    let is_one = (f64::from(sum.to_scalar::<f32>()?) - 1.0).abs() < 1e-3;
    match (kind, is_one) {
        (Kind::MultiLabel, true) => {
            let name = &recipe.loss.name;
            return refuse(format!(
                "loss: '{name}' tells one class from the others, but data.target is '{said}'; take one that asks for each class \
                 by itself: set loss.name = \"bce\""
            ));
        }
        (Kind::Distribution, false) => {
            let name = &recipe.loss.name;
            return refuse(format!("loss: the probabilities of '{name}' do not sum to 1, but data.target is '{said}'"));
        }
        _ => {}
    }
    let metric =
        eval::metrics::build(&recipe.eval.metric.name, recipe.eval.metric.value()).at(recipe, "eval.metric")?;
    let mut tried = eval::Predictions::new(classes);
    let scores = Tensor::full(0.25f32, (2, classes.len()), &Device::Cpu)?;
    let truth = Tensor::zeros((2, classes.len()), DType::F32, &Device::Cpu)?;
    tried.push(&["a".into(), "b".into()], &scores, Some(&truth))?;
    if let Err(error @ eval::Error::Truth { .. }) = metric.score(&tried) {
        return Err(anyhow!(error).context(format!("eval.metric: data.target is '{said}'")))
            .context(Usage::recipe(&recipe.name));
    }
    Ok(())
}

/// Refuses rows that nothing can be learned from.
pub fn check_known(rows: &[Row]) -> Result<()> {
    let holed = |row: &&Row| matches!(&row.target, Some(Target::Dense(values)) if values.iter().any(|v| v.is_nan()));
    let holed = || rows.iter().filter(|row| row.part != Part::Test).filter(holed);
    if let Some(first) = holed().next() {
        bail!(
            "{} rows have labels that are not known, as '{}'; fill them in, or leave these rows out (data.clean.exclude)",
            holed().count(),
            first.id
        );
    }
    Ok(())
}

/// The loss of the logits, and its parameters.
fn of_logits(recipe: &Recipe, counts: &[usize]) -> Result<(Value, Box<dyn Loss>)> {
    let mut params = recipe.loss.params.clone();
    let weights = match recipe.loss.class_weights {
        ClassWeights::Named(NamedWeights::None) => None,
        ClassWeights::Named(NamedWeights::Balanced) => Some(data::balance::inverse(counts)),
        ClassWeights::Named(NamedWeights::Sqrt) => Some(data::balance::sqrt_inverse(counts)),
        ClassWeights::Named(NamedWeights::Effective) => Some(data::balance::effective_number(counts, 0.999)),
        ClassWeights::Effective { effective } => Some(data::balance::effective_number(counts, effective)),
    };
    if let Some(weights) = weights {
        if params.get("weights").is_some_and(|w| !w.is_null()) {
            let why = anyhow!("loss: give either `weights` or `class_weights`, not both");
            return Err(why).context(Usage::recipe(&recipe.name));
        }
        params.insert("weights".into(), json!(weights));
    }
    let mut params = losses::resolve(&recipe.loss.name, Value::Object(params)).at(recipe, "loss")?;
    count_in(&mut params, counts);
    let loss = losses::build(&recipe.loss.name, params.clone()).at(recipe, "loss")?;
    loss.check(counts.len()).at(recipe, "loss")?;
    Ok((params, loss))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_get_what_they_read_or_are_refused() {
        let built = |sets: &[&str]| -> Result<Recipe> {
            let mut recipe = Recipe::load("default", &sets.iter().map(|set| set.to_string()).collect::<Vec<_>>())?;
            crate::assemble::parts(&mut recipe)?;
            Ok(recipe)
        };
        let refused = |sets: &[&str]| format!("{:#}", built(sets).unwrap_err());
        assert!(refused(&["loss.name=triplet"]).contains("'triplet' reads embeddings"));
        assert!(refused(&["loss.name=arcface"]).contains("set model.head = \"cosine\""));
        let other = refused(&["loss.name=cosface", "model.head={name='cosine', scale=20}"]);
        assert!(other.contains("set loss.scale = 20"), "{other}");
        let inside = refused(&["loss={name='sum', of=[{name='cross_entropy'}, {name='arcface', weight=0.5}]}"]);
        assert!(inside.contains("'arcface' reads cosines; set model.head"), "{inside}");
        let weights = refused(&["loss.name=bce", "loss.class_weights=balanced"]);
        assert!(weights.contains("'bce' has no weights of classes; set loss.class_weights"), "{weights}");
        assert!(refused(&["loss.name=coral"]).contains("set model.head = \"coral\""));
        assert!(refused(&["model.head=coral"]).contains("head 'coral' says other numbers"));
        assert!(refused(&["loss.name=jsd"]).contains("set train.repeat = 3"));
        assert!(refused(&["loss.name=distillation"]).contains("set loss.teacher"));
        assert!(refused(&["loss.teacher=runs/a"]).contains("nobody listens"));
        assert!(refused(&["loss.embedding=['gce']"]).contains("does not read embeddings"));
        assert!(refused(&["loss.name=bce", "model.head=bag"]).contains("probabilities of a softmax"));
        let mixing = "augment.batch=['mixup']";
        let mixed = built(&["loss.embedding=[{name='triplet', weight=0.1}]", mixing]).unwrap();
        let why = format!("{:#}", criterion(&mixed, &[7, 300]).err().unwrap());
        assert!(why.contains("'triplet' does not take; set augment.batch = []"), "{why}");
        criterion(&built(&["loss.name=corn"]).unwrap(), &[7, 300, 4]).unwrap();
        let number = built(&["loss.name=ordinal_regression"]).unwrap();
        assert_eq!(
            (outputs(&number, 5), criterion(&number, &[1; 5]).unwrap().spec.params["classes"].as_u64()),
            (1, Some(5))
        );
        let cuts = built(&["loss={name='ordinal_regression', cuts=[0.5]}"]).unwrap();
        assert!(
            format!("{:#}", criterion(&cuts, &[1; 5]).err().unwrap())
                .contains("cuts needs 4 numbers for 5 classes, got 1")
        );
        assert!(
            refused(&["loss.name=ordinal_regression", "model.head=cosine"]).contains("set model.head = \"linear\"")
        );
        let recipe = built(&["loss.name=ldam", "model.head=cosine"]).unwrap();
        assert!(format!("{:?}", criterion(&recipe, &[7, 300]).unwrap().loss).contains("[7, 300]"));
        let sum = "loss={name='sum', of=[{name='logit_adjusted'}, {name='poly', weight=0.5}]}";
        assert!(format!("{:?}", criterion(&built(&[sum]).unwrap(), &[7, 300]).unwrap().loss).contains("[7, 300]"));
    }
}

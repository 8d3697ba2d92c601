//! One batch through every stage, timed on real pictures of the first fold.

use super::verdict::{DECODE, Measured, Of, Part, Stage};
use crate::fold::{Fold, Step, Training};
use crate::recipe::{Recipe, Spec};
use crate::{assemble, predict};
use anyhow::{Context, Result, anyhow};
use augment::{Draw, Transform, Views};
use data::rng::{stream, sub_seed};
use data::{Batch, Image, Stream};
use rand::seq::SliceRandom;
use rayon::prelude::*;
use std::time::{Duration, Instant};
use train::optim::Pace;
use train::{Gradients, Task};

/// Longest time for the stages of the loader, for the whole loader, and for the model.
const PICTURES: Duration = Duration::from_secs(6);
const LOADER: Duration = Duration::from_secs(4);
const MODEL: Duration = Duration::from_secs(6);
/// Longest time for predictions.
const JUDGE: Duration = Duration::from_secs(3);
/// Most repetitions; the median counts.
const PASSES: usize = 15;
/// Seconds that one pass over the loader's stages should take.
const PASS: f64 = 1.0;

/// What the sampled pictures are like, on the average.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pictures {
    /// Decoded, bytes.
    pub bytes: f64,
    /// Pixels of a picture, all slices together.
    pub pixels: f64,
}

/// Times everything; `training.pictures` must not keep what it decodes.
pub fn measure(training: &Training<'_>, fold: &Fold) -> Result<(Measured, Pictures)> {
    let (recipe, prepared) = (training.recipe, training.prepared);
    let (step, judged) = first(training, fold)?;
    let (mut stages, pictures) = loader_stages(training, fold)?;
    let loader = whole(fold)?;
    stages.extend(model_stages(training, fold, &step)?);
    stages.push(judging(training, fold, judged.as_ref())?);
    let rows = prepared.dataset.rows().len() as f64;
    let limit = recipe.train.cache_mb as f64 * f64::from(1 << 20);
    let measured = Measured {
        stages,
        loader,
        batch: step.batch.ids.len(),
        learned: fold.batches(),
        judged: fold.validation.batches(),
        tested: fold.asked.iter().map(|(_, loader)| loader.batches()).sum::<usize>(),
        epochs: recipe.train.epochs,
        folds: prepared.trained_folds,
        views: recipe.eval.views.count(),
        kept: (limit / (rows * pictures.bytes).max(1.0)).min(1.0),
        overlaps: !training.device.is_cpu(),
    };
    Ok((measured, pictures))
}

/// A batch to learn from and one that judges.
fn first(training: &Training<'_>, fold: &Fold) -> Result<(Step, Option<Batch>)> {
    let start = Instant::now();
    let step = fold.first_steps(training.parts).next().context("there is no batch to train on")?;
    let step = step.map_err(|error| anyhow!(error))?;
    let judged = fold.validation.epoch(0).next().transpose()?;
    settle(start.elapsed().as_secs_f64());
    Ok((step, judged))
}

/// A dropped epoch ends the batch that it is at: waits for that, so that it does not disturb the next clock.
fn settle(seconds: f64) {
    std::thread::sleep(Duration::from_secs_f64((1.5 * seconds).clamp(0.01, 2.0)));
}

/// A stage of single pictures with its times.
struct Station {
    name: String,
    of: Of,
    transform: Box<dyn Transform>,
    /// Seconds per picture.
    seconds: Vec<f64>,
    pixels: f64,
}

impl Station {
    fn new(spec: &Spec, name: String, of: Of) -> Result<Self> {
        let transform = augment::build(&spec.name, spec.value())?;
        Ok(Self { name, of, transform, seconds: vec![], pixels: 0.0 })
    }

    /// Changes the pictures and notes how long it took.
    fn pass(&mut self, seen: Vec<Seen>) -> Vec<Seen> {
        self.pixels = mean(seen.iter().map(|seen| pixels(&seen.image)));
        let (count, transform, start) = (seen.len(), &self.transform, Instant::now());
        let change = |Seen { image, mut rng }| Seen { image: transform.apply(image, &mut Draw::of(&mut rng)), rng };
        let seen = seen.into_par_iter().map(change).collect();
        self.seconds.push(start.elapsed().as_secs_f64() / count as f64);
        seen
    }
}

/// A picture on its way, and its random numbers.
#[derive(Clone)]
struct Seen {
    image: Image,
    rng: Stream,
}

/// The stages of single pictures in the order of training. Pictures that judge leave the line after the deterministic steps.
fn stations(recipe: &Recipe) -> Result<Vec<Station>> {
    let steps = assemble::evaluation_steps(recipe);
    let (fit, steps) = steps.split_last().context("there is no fit to the input size")?;
    let mut stations: Vec<Station> = vec![];
    let mut add = |spec: &Spec, name: &str, of: Of| -> Result<()> {
        let same = |station: &&Station| station.name.split(" (").next() == Some(name);
        let name = match stations.iter().filter(same).count() {
            0 => name.to_string(),
            before => format!("{name} ({})", before + 1),
        };
        stations.push(Station::new(spec, name, of)?);
        Ok(())
    };
    steps.iter().try_for_each(|step| add(step, &step.name, Of::Both))?;
    if recipe.augment.transforms.is_empty() {
        add(fit, "fit to size", Of::Both)?;
    } else {
        add(fit, "fit to judge", Of::Judged)?;
        recipe.augment.transforms.iter().try_for_each(|random| add(random, &random.name, Of::Learned))?;
        add(&assemble::training_fit(&recipe.preprocess, &recipe.augment.transforms), "fit to size", Of::Learned)?;
    }
    Ok(stations)
}

/// Times decoding, each transform and stacking on pictures that fold 0 learns from, as many at once as a second allows.
fn loader_stages(training: &Training<'_>, fold: &Fold) -> Result<(Vec<Stage>, Pictures)> {
    let recipe = training.recipe;
    let mut rows = training.prepared.split(0).0;
    let seed = sub_seed(recipe.seed, "doctor");
    rows.shuffle(&mut stream(seed, 0, 0));
    let mut stations = stations(recipe)?;
    let (mut decode, mut stack, mut sizes) = (vec![], vec![], vec![]);
    let (start, mut at) = (Instant::now(), 0);
    let mut count = rayon::current_num_threads().min(recipe.train.batch_size);
    for pass in 0..PASSES {
        let clock = Instant::now();
        let chosen: Vec<usize> = (at..at + count).map(|i| rows[i % rows.len()]).collect();
        at += count;
        let images = chosen.par_iter().map(|&row| pictures_of(training, row));
        let images: Vec<Image> = images.collect::<data::Result<Vec<_>>>()?.into_iter().flatten().collect();
        decode.push(clock.elapsed().as_secs_f64() / images.len() as f64);
        sizes.extend(images.iter().map(|image| (image.pixels().len() as f64, pixels(image))));
        let seen =
            images.into_iter().enumerate().map(|(i, image)| Seen { image, rng: Stream::new(seed, pass, i as u64) });
        stack.push(through(&mut stations, seen.collect(), &fold.saved.stats, training)?);
        if pass == 0 {
            // The first pass fills caches and says how many pictures a pass can take.
            let each = clock.elapsed().as_secs_f64() / count as f64;
            count = ((PASS / each.max(1e-9)) as usize).clamp(count, recipe.train.batch_size);
        }
        if pass > 0 && start.elapsed() > PICTURES {
            break;
        }
    }
    let batch = (recipe.train.batch_size.min(rows.len()) * sizes.len()) as f64 / at as f64;
    let stage = |name: &str, of: Of, times: Vec<f64>, pixels: Option<f64>| Stage {
        name: name.into(),
        part: Part::Loader,
        of,
        seconds: batch * middle(times),
        pixels,
    };
    let mut stages = vec![stage(DECODE, Of::Both, decode, None)];
    stages.extend(stations.into_iter().map(|s| stage(&s.name, s.of, s.seconds, Some(s.pixels))));
    stages.push(stage("stack", Of::Both, stack, None));
    let [bytes, pixels] = [mean(sizes.iter().map(|s| s.0)), mean(sizes.iter().map(|s| s.1))];
    Ok((stages, Pictures { bytes, pixels }))
}

/// The pictures of a sample that the network sees, each once.
fn pictures_of(training: &Training<'_>, row: usize) -> data::Result<Vec<Image>> {
    let dataset = &training.prepared.dataset;
    let mut seen: Vec<usize> = data::spread(dataset.pictures(row), training.prepared.views).collect();
    seen.dedup();
    seen.into_iter().map(|nth| dataset.picture(row, nth)).collect()
}

/// Sends pictures down the line; the seconds that stacking and normalizing takes for each.
fn through(stations: &mut [Station], mut seen: Vec<Seen>, stats: &data::Stats, training: &Training<'_>) -> Result<f64> {
    for station in stations {
        if station.of == Of::Judged {
            station.pass(seen.clone());
        } else {
            seen = station.pass(seen);
        }
    }
    let images: Vec<Image> = seen.into_iter().map(|seen| seen.image).collect();
    let start = Instant::now();
    data::batch::stack(&images, stats, training.device)?;
    training.device.synchronize()?;
    Ok(start.elapsed().as_secs_f64() / images.len() as f64)
}

/// Seconds per batch of the loader that training uses, with nothing else to do.
fn whole(fold: &Fold) -> Result<f64> {
    let (mut batches, start) = (0, Instant::now());
    let enough = |batches: usize| {
        let passed = start.elapsed();
        passed > LOADER || batches >= PASSES && passed > LOADER / 4
    };
    let mut epoch = 0;
    while batches == 0 || !enough(batches) {
        for batch in fold.train.epoch(epoch).take(fold.batches()) {
            batch?;
            batches += 1;
            if enough(batches) {
                break;
            }
        }
        epoch += 1;
    }
    let seconds = start.elapsed().as_secs_f64() / batches as f64;
    settle(seconds);
    Ok(seconds)
}

/// Times the steps of a network that is thrown away, on one batch.
fn model_stages(training: &Training<'_>, fold: &Fold, step: &Step) -> Result<Vec<Stage>> {
    let recipe = training.recipe;
    let params = fold.params(recipe);
    let mut optimizer = assemble::optimizer(recipe)?;
    let at = fold.thawed(recipe.train.epochs);
    let [mut mixing, mut forward, mut backward, mut update] = [vec![], vec![], vec![], vec![]];
    let start = Instant::now();
    for pass in 0..PASSES {
        mixing.push(mix(training, step, pass)?);
        let clock = Instant::now();
        let loss = fold.loss(step, at)?;
        training.device.synchronize()?;
        forward.push(clock.elapsed().as_secs_f64());
        let clock = Instant::now();
        let gradients = Gradients::take(&loss.backward()?, &params)?;
        training.device.synchronize()?;
        backward.push(clock.elapsed().as_secs_f64());
        let clock = Instant::now();
        optimizer.step(&params, &gradients, Pace::new(recipe.train.lr * 1e-3))?;
        training.device.synchronize()?;
        update.push(clock.elapsed().as_secs_f64() / recipe.train.accumulate as f64);
        if start.elapsed() > MODEL {
            break;
        }
    }
    let stage = |name: &str, seconds: f64| Stage {
        name: name.into(),
        part: Part::Model,
        of: Of::Learned,
        seconds,
        pixels: None,
    };
    let mut stages = vec![];
    if !training.parts.mixing.is_empty() {
        // A batch is mixed or not by chance.
        stages.push(stage("batch mixing", mean(mixing.into_iter())));
    }
    stages.extend(
        [("forward", forward), ("backward", backward), ("optimizer", update)]
            .map(|(name, times)| stage(name, middle(times))),
    );
    Ok(stages)
}

/// Seconds of batch mixing.
fn mix(training: &Training<'_>, step: &Step, pass: usize) -> Result<f64> {
    let mut rng = stream(sub_seed(training.recipe.seed, "doctor"), pass, 0);
    let pair = (step.batch.images.clone(), step.targets.clone());
    let start = Instant::now();
    training.parts.mixing.iter().try_fold(pair, |(x, y), mix| mix.apply(&x, &y, &mut Draw::new(&mut rng)))?;
    training.device.synchronize()?;
    Ok(start.elapsed().as_secs_f64())
}

/// Times the predictions of a batch, without views.
fn judging(training: &Training<'_>, fold: &Fold, batch: Option<&Batch>) -> Result<Stage> {
    let (mut times, start) = (vec![], Instant::now());
    while let Some(batch) = batch.filter(|_| times.len() < PASSES && (times.is_empty() || start.elapsed() < JUDGE)) {
        let clock = Instant::now();
        predict::batch(&fold.trained, batch, Views::None)?.sum_all()?.to_scalar::<f32>()?;
        training.device.synchronize()?;
        times.push(clock.elapsed().as_secs_f64());
    }
    Ok(Stage { name: "predict".into(), part: Part::Judging, of: Of::Judged, seconds: middle(times), pixels: None })
}

/// The median without the first value, where there are more: it pays for caches.
fn middle(mut times: Vec<f64>) -> f64 {
    if times.len() > 1 {
        times.remove(0);
    }
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(0.0)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    sum / count.max(1) as f64
}

fn pixels(image: &Image) -> f64 {
    (image.depth() * image.height() * image.width()) as f64
}

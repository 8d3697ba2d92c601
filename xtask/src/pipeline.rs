//! The whole road: look, clean, split, train each fold, evaluate, blend, predict, submit.

use crate::args::{Common, RecipeArgs, RunArgs};
use crate::assemble::{self, Parts};
use crate::fold::{self, Training};
use crate::place::{Place, choose, clear, forget, sweep};
use crate::prepare::{self, Asked, Prepared};
use crate::pretrained::Start;
use crate::progress::Progress;
use crate::pseudo::Pseudo;
use crate::recipe::Recipe;
use crate::saved;
use crate::times::Times;
use crate::usage::Usage;
use crate::{budget, machine, output, report, results};
use anyhow::{Context, Result, anyhow, bail};
use candle_core::Device;
use data::Cached;
use data::source::Collection;
use eval::{Predictions, Run};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How far a command goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// To the submission.
    Whole,
    /// To the scores of the folds.
    Training,
}

/// Everything that is known before anything is read.
pub struct Session {
    recipe: Recipe,
    parts: Parts,
    device: Device,
    progress: Progress,
    start: Option<Start>,
    times: Times,
    extent: Extent,
    deadline: Option<Instant>,
    /// What students will believe of what this run says.
    students: Option<Pseudo>,
}

/// `pipeline` and `train`.
pub fn run(args: &RunArgs, extent: Extent) -> Result<()> {
    let deadline = args.max_minutes.map(deadline);
    let common = &args.recipe.common;
    let mut recipe = recipe(&args.recipe)?;
    recipe.train.max_minutes = args.max_minutes;
    let folder = folder(common, &recipe.name);
    let session = Session::new(recipe, common, || common.start())?.within(extent, deadline);
    match args.dry_run {
        true => session.try_out(common.json),
        false => results::show(&session.go(&folder, args.resume)?, common.json),
    }
}

/// When `minutes` from now will have passed.
pub fn deadline(minutes: f64) -> Instant {
    Instant::now() + Duration::from_secs_f64(60.0 * minutes)
}

/// The recipe that the options name, with what they change.
pub fn recipe(args: &RecipeArgs) -> Result<Recipe> {
    let name = match (&args.recipe, &args.data) {
        (Some(name), _) => name,
        (None, Some(_)) => "default",
        (None, None) => "demo",
    };
    let mut recipe = with_options(name, &args.common)?;
    if let Some(path) = &args.data {
        recipe.data.params.insert("path".into(), path.display().to_string().into());
        recipe.data.demo = false;
    }
    if args.demo && recipe.demo.is_none() {
        let message = format!("recipe '{name}' has no [demo] table; give it pictures with --data PATH");
        return Err(Usage::new(message).into());
    }
    recipe.data.demo |= args.demo;
    Ok(recipe)
}

/// A recipe with `--set` and `--seed`.
pub fn with_options(name: &str, common: &Common) -> Result<Recipe> {
    let mut recipe = Recipe::load(name, &common.sets)?;
    recipe.seed = common.seed.unwrap_or(recipe.seed);
    Ok(recipe)
}

/// `--out`, or `runs/<name>`.
pub fn folder(common: &Common, name: &str) -> PathBuf {
    common.out.clone().unwrap_or_else(|| Path::new("runs").join(name))
}

impl Session {
    /// Builds everything of `recipe`, then opens the device.
    pub fn new(mut recipe: Recipe, common: &Common, device: impl FnOnce() -> Result<Device>) -> Result<Self> {
        let parts = assemble::parts(&mut recipe)?;
        prepare::check(&recipe)?;
        let (device, progress) = (device()?, Progress::new(common.quiet));
        if recipe.train.recompute && !device.is_cpu() {
            let message = "train.recompute is for the CPU; set train.recompute = false, or a smaller train.batch_size";
            return Err(Usage::new(message.to_string()).into());
        }
        let start = Start::open(&recipe, common.offline, &progress)?;
        let (times, extent, deadline) = (Times::default(), Extent::Whole, None);
        Ok(Self { recipe, parts, device, progress, start, times, extent, deadline, students: None })
    }

    /// Goes as far as `extent` says, to the submission otherwise, and is over at `deadline`.
    pub fn within(self, extent: Extent, deadline: Option<Instant>) -> Self {
        Self { extent, deadline, ..self }
    }

    /// A teacher: refuses data that its students could not learn from, by these rules, before anything is trained.
    pub fn of_students(self, rules: Pseudo) -> Self {
        Self { students: Some(rules), ..self }
    }

    /// From the data to results in `folder`, or beside it where finished runs lie there; goes on with an unfinished one when
    /// resuming.
    pub fn go(self, folder: &Path, resume: bool) -> Result<Run> {
        match choose(folder, resume)? {
            Place::New(folder) => {
                let demo = self.recipe.data.demo;
                let mistaken = |error: &anyhow::Error| demo && error.is::<Usage>();
                self.begin(&folder).inspect_err(|error| {
                    if mistaken(error) {
                        forget(&folder)
                    }
                })
            }
            Place::Unfinished(folder) | Place::Finished(folder) => self.go_on(Run::open(folder)?),
        }
    }

    /// A new run in `folder`.
    fn begin(mut self, folder: &Path) -> Result<Run> {
        assemble::check_runs(&self.recipe)?;
        let (run, collection) = if self.recipe.data.demo {
            let run = draw(&self.recipe, folder, &self.progress)?;
            let collection = prepare::open(&mut self.recipe, Some(&run.path("demo-data")))?;
            (Some(run), collection)
        } else {
            (None, prepare::open(&mut self.recipe, None)?)
        };
        let prepared = self.prepare(&collection)?;
        let create = || -> Result<Run> {
            clear(folder)?;
            Ok(Run::create(folder)?)
        };
        let run = run.map_or_else(create, Ok)?;
        if let Some(deadline) = self.deadline {
            let fitting = budget::fitting(&self.training(&prepared, Arc::default())?, deadline)?;
            (self.recipe.train.epochs, self.recipe.train.steps_per_epoch) = fitting;
            let fits = assemble::parts(&mut self.recipe.clone()).map(drop);
            // By then data have been read: it is no mistake of the command line alone.
            fits.map_err(|error| {
                anyhow!("--max-minutes leaves time for {} epochs; allow more minutes, or: {error:#}", fitting.0)
            })?;
        }
        let environment = machine::environment(
            &self.device,
            self.recipe.seed,
            [&prepared.fingerprint, &prepared.folds_fingerprint()],
        );
        run.write("eda.json", &serde_json::to_vec_pretty(&prepared.report)?)?;
        let page = || report::data_page(&self.recipe.name, &prepared.report, &collection).to_html();
        run.write("eda.html", self.times.of("report", page).as_bytes())?;
        run.write("folds.csv", &prepare::folds_csv(&prepared)?)?;
        run.write("excluded.csv", &prepare::excluded_csv(&prepared)?)?;
        run.write("decisions.csv", &data::clean::decisions::write(&prepared.decisions)?)?;
        run.write("environment.json", &serde_json::to_vec_pretty(&environment)?)?;
        // A run begins with its recipe: it comes last, when all the rest is there.
        run.write("recipe.toml", self.recipe.text()?.as_bytes())?;
        self.travel(&run, &prepared)?;
        Ok(run)
    }

    /// A run that was begun before: the rest of it.
    fn go_on(mut self, run: Run) -> Result<Run> {
        sweep(run.folder());
        let stored = String::from_utf8(run.read("recipe.toml")?).context("recipe.toml is no text")?;
        let stored_recipe = Recipe::parse(&stored, "recipe.toml")?;
        if stored_recipe.train.max_minutes.is_some() {
            // The clock chose these once; it is not asked again.
            let Recipe { train, .. } = &mut self.recipe;
            (train.epochs, train.max_minutes) = (stored_recipe.train.epochs, stored_recipe.train.max_minutes);
            train.steps_per_epoch = stored_recipe.train.steps_per_epoch;
        }
        let demo = self.recipe.data.demo.then(|| run.path("demo-data"));
        let collection = prepare::open(&mut self.recipe, demo.as_deref())?;
        let text = self.recipe.text()?;
        if text != stored {
            let pair = text.lines().zip(stored.lines()).find(|(now, then)| now != then);
            let (now, then) = pair.unwrap_or(("of another length", "of its own"));
            let message = format!(
                "'{}' was begun with another recipe: there it says `{then}`, now it is `{now}`; resume with the same options, \
                 or choose another folder with --out",
                run.folder().display()
            );
            return Err(Usage::new(message).into());
        }
        let rows = collection.dataset.rows();
        let whole = self.extent == Extent::Whole;
        let tested = whole && rows.iter().any(|row| row.part == data::Part::Test);
        let asked = whole && prepare::has_unlabelled(&collection);
        let said = |asked: bool, file: &str| !asked || run.has(file);
        if run.has("metrics.json") && said(tested, "predictions.csv") && said(asked, "unlabelled.csv") {
            output::note(&format!("'{}' is finished already", run.folder().display()));
            return Ok(run);
        }
        assemble::check_runs(&self.recipe)?;
        let prepared = self.prepare(&collection)?;
        prepared.is_of(&run)?;
        self.progress.note(&format!("going on with '{}'", run.folder().display()));
        self.times.add_earlier(&run)?;
        self.travel(&run, &prepared)?;
        Ok(run)
    }

    fn prepare(&self, collection: &Collection) -> Result<Prepared> {
        let look = || prepare::look(collection, &self.recipe, true, &self.progress);
        let report = self.times.of("looking at the data", look)?;
        self.progress.note(&prepare::headline(report.images, &report.classes));
        let prepared = prepare::prepare(&self.recipe, collection, report, &self.progress)?;
        let Recipe { loss, pseudo, .. } = &self.recipe;
        let runs = [("loss.teacher", loss.teacher.as_ref()), ("pseudo.run", pseudo.as_ref().map(|pseudo| &pseudo.run))];
        for (key, run) in runs.into_iter().filter_map(|(key, run)| Some((key, run?))) {
            prepared.has_folds_of(&Run::open(run)?).context(key)?;
        }
        if let Some(pseudo) = pseudo {
            pseudo.check_answers(&prepared)?;
        }
        self.check_students(&prepared)?;
        self.start.as_ref().map_or(Ok(()), |start| start.check(&prepared))?;
        Ok(prepared)
    }

    /// Refuses data that students could not learn from, before their teacher is trained.
    fn check_students(&self, prepared: &Prepared) -> Result<()> {
        let Some(rules) = &self.students else { return Ok(()) };
        rules.check_target(prepared.collection.target).context(Usage::recipe(&self.recipe.name))?;
        if Asked::ALL.into_iter().all(|about| prepared.asked(about).is_empty()) {
            bail!("self-train needs pictures for its students: a test part, or training rows without a label");
        }
        Ok(())
    }

    /// From prepared data to results.
    fn travel(&self, run: &Run, prepared: &Prepared) -> Result<()> {
        self.times.write(run)?;
        let interrupted = listen()?;
        let training = self.training(prepared, interrupted)?;
        let about: &[Asked] = if self.extent == Extent::Whole { &Asked::ALL } else { &[] };
        let mut asked: BTreeMap<Asked, Vec<Predictions>> = about.iter().map(|about| (*about, vec![])).collect();
        let mut oof = vec![];
        for number in 0..prepared.trained_folds {
            let answer = match fold::finished(run, number, prepared, about)? {
                Some(answer) => Some(answer),
                None => {
                    let mut fold = training.fold(number)?;
                    fold.asked.retain(|(what, _)| about.contains(what));
                    if let (Some(start), Some(report), 0) = (&self.start, &fold.begun, number) {
                        self.progress.note(&start.said(report));
                        run.write("pretrained.json", &serde_json::to_vec_pretty(&start.record(report))?)?;
                    }
                    training.run(run, fold)?
                }
            };
            let Some(answer) = answer else {
                let place = run.folder().display();
                bail!("interrupted; the same command with --resume goes on from the checkpoint in '{place}'");
            };
            oof.push(answer.oof);
            answer.asked.into_iter().for_each(|(about, said)| asked.entry(about).or_default().push(said));
        }
        if let Some(why) = prepared.disk.as_ref().and_then(|disk| disk.usage().stopped) {
            self.progress.warning(&format!("not all decoded pictures are kept on disk: {why}"));
        }
        let answers = results::Answers { oof: Predictions::concat(&oof)?, folds: oof, asked };
        let ending = results::Ending {
            run,
            recipe: &self.recipe,
            parts: &self.parts,
            prepared,
            device: &self.device,
            times: &self.times,
            progress: &self.progress,
        };
        results::write(&ending, &answers)
    }

    fn training<'a>(&'a self, prepared: &'a Prepared, interrupted: Arc<AtomicBool>) -> Result<Training<'a>> {
        let text = self.recipe.text().unwrap_or_default();
        let mut weights = self.start.as_ref().map(|start| format!("\0{}", start.digest)).unwrap_or_default();
        let runs = self.recipe.loss.teacher.iter().chain(self.recipe.pseudo.as_ref().map(|pseudo| &pseudo.run));
        runs.for_each(|run| weights.extend(["\0", &saved::digest(Path::new(run)).unwrap_or_default()]));
        let fingerprint =
            blake3::hash(format!("{text}\0{}{weights}", prepared.fingerprint).as_bytes()).to_hex()[..16].to_string();
        let pictures = assemble::prepared(&self.recipe, prepared.dataset.clone())?;
        let pictures = Cached::new(pictures, self.recipe.train.cache_mb);
        Ok(Training {
            recipe: &self.recipe,
            parts: &self.parts,
            prepared,
            normalize: assemble::normalize(&self.recipe, &pictures)?,
            pictures: Arc::new(pictures),
            device: &self.device,
            progress: &self.progress,
            times: &self.times,
            interrupted,
            fingerprint,
            start: self.start.as_ref(),
            features: self.recipe.train.features,
        })
    }

    /// Does `work` with a training of which nothing stays on disk.
    pub fn aside<T>(mut self, work: impl FnOnce(&Training<'_>) -> Result<T>) -> Result<T> {
        let temporary = tempfile::tempdir()?;
        let prepared = aside(&mut self.recipe, &temporary.path().join("run"), &self.progress)?;
        self.check_students(&prepared)?;
        // A look at some batches does not pay for the features of all.
        work(&Training { features: false, ..self.training(&prepared, Arc::default())? })
    }

    /// `--dry-run`: one batch through every stage; nothing stays on disk.
    pub fn try_out(self, json: bool) -> Result<()> {
        let (seconds, pictures, classes, folds) = self.aside(|training| {
            let prepared = training.prepared;
            let (pictures, classes) = (prepared.dataset.rows().len(), prepared.classes().len());
            Ok((budget::try_step(training, &training.fold(0)?)?, pictures, classes, prepared.trained_folds))
        })?;
        let (step, judge) = (seconds.step, seconds.judge);
        output::result(&match json {
            true => serde_json::json!({
                "pictures": pictures, "classes": classes, "folds": folds, "step_seconds": step, "judge_seconds": judge,
            })
            .to_string(),
            false => format!(
                "every stage works: {pictures} pictures, {classes} classes, {folds} folds; a step takes {step:.3} s, \
                 a judged batch {judge:.3} s; nothing was written"
            ),
        });
        Ok(())
    }
}

/// Rows and folds of a recipe that is only looked at; demo data are drawn into `folder`, which nobody keeps.
pub fn aside(recipe: &mut Recipe, folder: &Path, progress: &Progress) -> Result<Prepared> {
    assemble::check_runs(recipe)?;
    let demo = if recipe.data.demo { Some(draw(recipe, folder, progress)?.path("demo-data")) } else { None };
    let collection = prepare::open(recipe, demo.as_deref())?;
    let report = prepare::look(&collection, recipe, true, progress)?;
    progress.note(&prepare::headline(report.images, &report.classes));
    prepare::prepare(recipe, &collection, report, progress)
}

/// Draws demo data into `folder` under another name and renames them, so that they are whole or not there.
pub fn draw(recipe: &Recipe, folder: &Path, progress: &Progress) -> Result<Run> {
    let Some(demo) = &recipe.demo else { bail!("recipe '{}' has no [demo] table", recipe.name) };
    progress.note("drawing demo data");
    clear(folder)?;
    let run = Run::create(folder)?;
    let mut builder = tempfile::Builder::new();
    // Others may look at them: the folder is as any new one, not private as temporary ones are.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    let temporary = builder.prefix(".demo-data").tempdir_in(folder)?;
    demo.write(temporary.path(), recipe.seed).context("cannot make the demo data")?;
    let target = run.path("demo-data");
    std::fs::rename(temporary.keep(), &target).with_context(|| format!("cannot create '{}'", target.display()))?;
    Ok(run)
}

/// Ctrl-C asks for a checkpoint; a second one ends at once. What is given says whether it came.
pub fn listen() -> Result<Arc<AtomicBool>> {
    // A process has one handler; several runs of one command share it.
    static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    if let Some(asked) = ASKED.get() {
        return Ok(asked.clone());
    }
    let asked = ASKED.get_or_init(Arc::default).clone();
    let flag = asked.clone();
    let handler = move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(1);
        }
        output::note("stopping after this step and saving a checkpoint; once more ends at once");
    };
    ctrlc::set_handler(handler).context("cannot listen to Ctrl-C")?;
    Ok(asked)
}

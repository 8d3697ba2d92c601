//! From a recipe to rows that can be trained on: open, look, clean, split.

use crate::assemble::{self, Parts};
use crate::machine;
use crate::progress::Progress;
use crate::recipe::{Recipe, Spec, table};
use crate::usage::Usage;
use anyhow::{Context, Result, anyhow, bail};
use data::clean::{Cleaned, Decided};
use data::decode::Color;
use data::explore::{ExploreConfig, Report};
use data::source::Collection;
use data::split::{Folds, Input};
use data::{Concat, Dataset, DiskCached, Kind, Part, Row, Subset, Target};
use eval::Run;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// Data that is ready for training.
pub struct Prepared {
    /// What was found.
    pub report: Report,
    /// The data as they lie there.
    pub collection: Collection,
    /// The cache on disk, where there is one.
    pub disk: Option<Arc<DiskCached>>,
    /// Files of the collection that each row of `dataset` has.
    files: Vec<Vec<usize>>,
    /// All usable rows: training, validation, test, and behind them those of the training part without a label.
    pub dataset: Arc<dyn Dataset>,
    /// What each of them has in common with others: rows of one key never stand on both sides of a fold.
    keys: Vec<Option<String>>,
    /// Ids of the rows left out, each with the reason.
    pub excluded: Vec<(String, String)>,
    /// What was decided of single rows, to be edited and given again with `data.clean.decisions`.
    pub decisions: Vec<Decided>,
    /// Folds of the rows of `dataset`, of which test rows judge none; several where the split is repeated.
    pub splits: Vec<Folds>,
    /// Number of folds to train, those of all repeats.
    pub trained_folds: usize,
    /// The competition's own form, if there is one.
    pub sample: Option<eval::submission::Sample>,
    /// What pictures are turned into when they are decoded.
    pub color: Color,
    /// Pictures of a sample, or slices of its volume, that the network sees.
    pub views: usize,
    /// Of the pictures that the network sees, behind the deterministic steps.
    pub channels: usize,
    /// Digest of rows and pixels.
    pub fingerprint: String,
}

impl Prepared {
    pub fn classes(&self) -> &[String] {
        self.dataset.classes()
    }
    /// The class; of several labels all that it has, of other values all of them, with `|` between them.
    fn said(&self, target: &Target) -> String {
        let known = |value: &f32| if value.is_nan() { String::new() } else { value.to_string() };
        let all: Vec<String> = match (target, self.collection.target) {
            (Target::Class(class), _) => return self.classes()[*class as usize].clone(),
            (Target::Dense(values), Kind::MultiLabel) => {
                let set = values.iter().zip(self.classes()).filter(|(value, _)| **value > 0.5);
                set.map(|(_, class)| class.clone()).collect()
            }
            (Target::Dense(values), _) => values.iter().map(known).collect(),
        };
        all.join("|")
    }
    /// Makes sure that these are the pictures and labels that `run` was begun with.
    pub fn is_of(&self, run: &Run) -> Result<()> {
        let environment: Value = serde_json::from_slice(&run.read("environment.json")?)
            .with_context(|| format!("'{}' is broken; begin a new run", run.path("environment.json").display()))?;
        if environment["data_fingerprint"] != self.fingerprint.as_str() {
            bail!(
                "the pictures or labels are others than when '{}' was begun; begin a new run",
                run.folder().display()
            );
        }
        Ok(())
    }
    /// Makes sure that a finished `run` has these rows and folds: what a fold of it has learned is then known here, too.
    pub fn has_folds_of(&self, run: &Run) -> Result<()> {
        let folds = crate::saved::Saved::folds(run)?;
        if folds < self.trained_folds {
            bail!(
                "'{}' has {folds} of the {} folds that are to be trained; train it with data.folds = {}",
                run.folder().display(),
                self.trained_folds,
                self.trained_folds
            );
        }
        let environment: Value = serde_json::from_slice(&run.read("environment.json")?)
            .with_context(|| format!("'{}' is broken", run.path("environment.json").display()))?;
        if run.read("folds.csv")? != folds_csv(self)? || environment["folds_fingerprint"] != self.folds_fingerprint() {
            bail!(
                "'{}' has other rows or folds, so that it may know rows that are to judge; train it on the same data with the \
                 same seed",
                run.folder().display()
            );
        }
        Ok(())
    }
    /// Digest of what learns and judges in every fold.
    pub fn folds_fingerprint(&self) -> String {
        let (rows, mut hash) = (self.dataset.rows(), blake3::Hasher::new());
        for fold in 0..self.splits.iter().map(|folds| folds.count).sum() {
            let (learn, judge) = self.split(fold);
            for (what, rows_of) in [("learn", learn), ("judge", judge)] {
                hash.update(format!("{what} {}\0", rows_of.len()).as_bytes());
                for row in rows_of {
                    hash.update(rows[row].id.as_bytes()).update(&[0]);
                }
            }
        }
        hash.finalize().to_hex()[..16].to_string()
    }
    /// Whether the run in `folder` knows a row of these, by its id.
    pub fn shares_rows(&self, folder: &Path) -> Result<bool> {
        let path = folder.join("folds.csv");
        let broken = || format!("'{}' is broken", path.display());
        let known = self.dataset.rows().iter().map(|row| row.id.as_str()).collect::<HashSet<_>>();
        for record in csv::Reader::from_path(&path).with_context(broken)?.records() {
            let record = record.with_context(broken)?;
            if record.get(0).is_some_and(|id| known.contains(id)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
    /// Rows that train fold `fold` and rows that judge it.
    pub fn split(&self, fold: usize) -> (Vec<usize>, Vec<usize>) {
        let rows = self.dataset.rows();
        let (mut split, mut fold) = (0, fold);
        while split + 1 < self.splits.len() && fold >= self.splits[split].count {
            fold -= self.splits[split].count;
            split += 1;
        }
        let split = &self.splits[split];
        let learned = split.trains(fold).into_iter().filter(|&i| is_known(&rows[i]));
        (learned.collect(), split.judges(fold))
    }
    /// A trained fold that row `row` judges.
    pub fn judged_in(&self, row: usize) -> Option<usize> {
        self.splits[0].of[row].filter(|fold| *fold < self.trained_folds)
    }
    /// Mean and deviation of every channel over the pictures of `rows`, as they lie there, 0..=1.
    pub fn channels(&self, rows: &[usize]) -> [Vec<f64>; 2] {
        let mut pixels = 0.0;
        let mut sums = vec![[0.0; 2]; self.report.mean.len()];
        for glance in
            rows.iter().flat_map(|&row| &self.files[row]).filter_map(|&file| self.report.glances[file].as_ref())
        {
            pixels += glance.pixels();
            for (sum, own) in sums.iter_mut().zip(&glance.sums) {
                (sum[0], sum[1]) = (sum[0] + own[0], sum[1] + own[1]);
            }
        }
        let mean = |sum: &[f64; 2]| sum[0] / f64::max(pixels, 1.0) / 255.0;
        let variance = |sum: &[f64; 2]| sum[1] / f64::max(pixels, 1.0) / (255.0 * 255.0) - mean(sum) * mean(sum);
        [sums.iter().map(mean).collect(), sums.iter().map(|sum| variance(sum).max(0.0).sqrt()).collect()]
    }
    /// Rows that are asked about: of the test part, or of the training part without a label.
    pub fn asked(&self, about: Asked) -> Vec<usize> {
        let rows = self.dataset.rows();
        let is_asked = |row: &Row| match about {
            Asked::Test => row.part == Part::Test,
            Asked::Unlabelled => row.part != Part::Test && row.target.is_none(),
        };
        (0..rows.len()).filter(|&i| is_asked(&rows[i])).collect()
    }
    /// Those of `rows` that have nothing in common with a row that judges fold `fold`.
    pub fn apart(&self, rows: Vec<usize>, fold: usize) -> Vec<usize> {
        let judged: HashSet<&String> = self.split(fold).1.into_iter().filter_map(|i| self.keys[i].as_ref()).collect();
        rows.into_iter().filter(|&i| self.keys[i].as_ref().is_none_or(|key| !judged.contains(key))).collect()
    }
    /// The groups of the rows with these ids, which are not of the test part: its ids may be those of other rows.
    pub fn groups(&self, ids: &[String]) -> Vec<Option<&str>> {
        let known = self.dataset.rows().iter().filter(|row| is_known(row));
        let groups: HashMap<&str, Option<&str>> = known.map(|row| (row.id.as_str(), row.group.as_deref())).collect();
        ids.iter().map(|id| groups.get(id.as_str()).copied().flatten()).collect()
    }
    /// Pictures of every class among `rows`; of several labels each counts.
    pub fn class_counts(&self, rows: &[usize]) -> Vec<usize> {
        let mut counts = vec![0; self.classes().len()];
        for class in rows.iter().flat_map(|&row| self.dataset.rows()[row].labels()) {
            counts[class] += 1;
        }
        counts
    }
}

/// What the networks are asked about beside the rows that judge them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// The test part.
    Test,
    /// Rows of the training part without a label.
    Unlabelled,
}

impl Asked {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Test, Self::Unlabelled];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Test => "test part",
            Self::Unlabelled => "rows without a label",
        }
    }

    /// Name of the file with a fold's answers.
    pub fn file(self) -> &'static str {
        match self {
            Self::Test => "test.csv",
            Self::Unlabelled => "unlabelled.csv",
        }
    }
}

/// Whether a row can be learned from or judged by.
pub fn is_known(row: &Row) -> bool {
    row.part != Part::Test && row.target.is_some()
}

/// Whether training rows have no label; some may be unreadable.
pub fn has_unlabelled(collection: &Collection) -> bool {
    collection.dataset.rows().iter().any(|row| row.part == Part::Train && row.target.is_none())
}

/// Keys of `[data]` that every source has.
const GENERAL: &[&str] = &["source", "demo", "folds", "split", "clean", "impute", "drop_labels"];

/// Opens data to train on: those of [`find`], which have what the recipe says of them.
pub fn open(recipe: &mut Recipe, demo: Option<&Path>) -> Result<Collection> {
    let collection = find(recipe, demo)?;
    assemble::check_data(recipe, &collection)?;
    Ok(collection)
}

/// Opens what `[data]` names and writes into the recipe what was found out: the source, columns, tables.
pub fn find(recipe: &mut Recipe, demo: Option<&Path>) -> Result<Collection> {
    let name = recipe.name.clone();
    let mut params = recipe.data.params.clone();
    if let Some(folder) = demo {
        params.insert("path".into(), Value::String(folder.display().to_string()));
    }
    let path = params.get("path").and_then(Value::as_str).map(str::to_string);
    if path.is_none() && recipe.data.source != "synthetic" {
        let message = format!(
            "recipe '{name}' has no data; give it pictures with --data PATH (or --set data.path=PATH), or let it make its own \
             with --demo"
        );
        return Err(Usage::new(message).into());
    }
    let mut recognized = String::new();
    if let ("auto", Some(path)) = (recipe.data.source.as_str(), path) {
        let (source, found) = data::source::recognize(Path::new(&path))?;
        recognized = format!("'{path}' looks like source '{source}' (data.source can say otherwise); ");
        if let Value::Object(found) = found {
            // What the recipe says wins over what was recognized, but for the place: a file in a folder may be all there is.
            let mut said = std::mem::replace(&mut params, found);
            said.remove("path");
            params.extend(said);
        }
        recipe.data.source = source.into();
    }
    let source = &recipe.data.source;
    let fitting = data::source::resolve(source, Value::Object(params.clone())).map_err(|error| general(vec![error]));
    let is_csv = || data::source::resolve("csv", Value::Object(params.clone())).is_ok();
    let hint = if fitting.is_err() && is_csv() { "; a table with such columns is data.source = \"csv\"" } else { "" };
    fitting.map_err(|error| anyhow!("{recognized}{error}{hint}")).context(Usage::recipe(&name))?;
    let (collection, resolved) = data::source::open(source, Value::Object(params)).map_err(|error| match error {
        data::Error::Column { .. } => anyhow::Error::from(error).context(Usage::recipe(&name)),
        error => error.into(),
    })?;
    let classes = collection.dataset.classes();
    if let Some(unknown) = recipe.data.drop_labels.iter().find(|label| !classes.contains(label)) {
        let known = classes.join(", ");
        let why = anyhow!("data.drop_labels: unknown label '{unknown}', expected one of {known}");
        return Err(why.context(Usage::recipe(&name)));
    }
    if let Value::Object(mut resolved) = resolved {
        // Demo data lie in the run's folder, wherever that is.
        demo.inspect(|_| drop(resolved.remove("path")));
        // TOML has no null.
        recipe.data.params = table(Value::Object(resolved));
    }
    if let Some(channels) = assemble::channels(recipe)? {
        assemble::check_pictures(recipe, channels)?;
    }
    Ok(collection)
}

/// Checks the keys of `[data]` before anything is read or drawn; `auto` takes what any source takes.
pub fn check(recipe: &Recipe) -> Result<()> {
    let mut params = recipe.data.params.clone();
    let source = recipe.data.source.as_str();
    if source != "synthetic" {
        params.entry("path").or_insert_with(|| ".".into());
    }
    let names = data::source::SOURCES.iter().map(|entry| entry.name).filter(|name| source == "auto" || source == *name);
    let tried: Vec<_> =
        names.map(|name| data::source::resolve(name, Value::Object(params.clone())).map(drop)).collect();
    if tried.iter().any(Result::is_ok) {
        return Ok(());
    }
    let errors: Vec<data::Error> = match tried.is_empty() {
        true => data::source::resolve(source, Value::Null).err().into_iter().collect(),
        false => tried.into_iter().filter_map(Result::err).collect(),
    };
    Err(general(errors)).context(Usage::recipe(&recipe.name))
}

/// What is wrong with the keys of `[data]` for every source that may be meant. A source knows only its own keys; a person may have
/// meant those of another one, or of `[data]`.
fn general(errors: Vec<data::Error>) -> anyhow::Error {
    let several = errors.len() > 1;
    let messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let split = |message: &'_ String| -> Option<(String, Vec<String>)> {
        let (head, known) = message.split_once(", expected ").filter(|(head, _)| head.contains("unknown field"))?;
        let known = known.trim_start_matches("one of ").replace(" or ", ", ");
        Some((head.to_string(), known.split(", ").map(str::to_string).collect()))
    };
    let Some((head, _)) = messages.iter().find_map(split) else {
        return anyhow!("data: {}", messages.first().map_or("nothing fits", String::as_str));
    };
    let field = head.find("unknown field").map_or(head.as_str(), |at| &head[at..]).to_string();
    let mut known: Vec<String> = GENERAL.iter().map(|key| format!("`{key}`")).collect();
    for key in messages.iter().filter_map(split).flat_map(|(_, known)| known) {
        if !known.contains(&key) {
            known.push(key);
        }
    }
    anyhow!("data: {}, expected one of {}", if several { field } else { head }, known.join(", "))
}

/// Looks at every file, at its pixels only where they are to be decoded.
pub fn look(collection: &Collection, recipe: &Recipe, decode: bool, progress: &Progress) -> Result<Report> {
    let stretch = progress.stretch("looking at pictures", collection.files.len() as u64, "pictures");
    let path = recipe.data.params.get("path").and_then(Value::as_str).map(Path::new);
    // The files lie below a folder, or beside a table.
    let root = path.and_then(|path| if path.is_file() { path.parent() } else { Some(path) }).map(Path::to_path_buf);
    let config = ExploreConfig { drop_labels: recipe.data.drop_labels.clone(), root, decode };
    Ok(data::explore::explore(collection, &config, &|done, _| stretch.at(done as u64))?)
}

/// What `run` was made of, prepared again as it was; `data` says where its pictures lie now, if not where they were.
pub fn again(run: &Run, data: Option<&Path>, progress: &Progress) -> Result<(Recipe, Parts, Prepared)> {
    let text = String::from_utf8(run.read("recipe.toml")?).context("recipe.toml is no text")?;
    let mut recipe = Recipe::parse(&text, "recipe.toml")?;
    let parts = assemble::parts(&mut recipe)?;
    if let Some(path) = data {
        recipe.data.params.insert("path".into(), path.display().to_string().into());
        recipe.data.demo = false;
    }
    let demo = recipe.data.demo.then(|| run.path("demo-data"));
    let collection = open(&mut recipe, demo.as_deref()).map_err(|error| match error.is::<Usage>() {
        // The recipe was right once.
        true => anyhow!("{}", error.root_cause())
            .context(format!("the data are others than when '{}' was begun", run.folder().display())),
        false => error,
    })?;
    let report = look(&collection, &recipe, true, progress)?;
    let prepared = prepare(&recipe, &collection, report, progress)?;
    // The same pictures and labels fall into the same folds.
    prepared.is_of(run)?;
    Ok((recipe, parts, prepared))
}

/// The same collection, whose decoded pictures are kept in the user's cache on disk where the recipe has room for them.
fn on_disk(
    recipe: &Recipe,
    collection: &Collection,
    progress: &Progress,
) -> Result<(Collection, Option<Arc<DiskCached>>)> {
    let megabytes = recipe.train.cache_disk_mb;
    if megabytes == 0 {
        return Ok((collection.clone(), None));
    }
    let Some(stamps) = collection.stamps() else {
        let source = &recipe.data.source;
        let what = "train.cache_disk_mb keeps nothing: no file holds the pictures of source";
        progress.warning(&format!("{what} '{source}', so nothing would tell when they change"));
        return Ok((collection.clone(), None));
    };
    let caches = machine::caches().context("there is no folder for the cache on disk; set XDG_CACHE_HOME")?;
    let key = format!("{} {}", recipe.data.source, Value::Object(recipe.data.params.clone()));
    let folder = caches.join("sconce/decoded");
    let disk = Arc::new(DiskCached::open(collection.dataset.clone(), &folder, megabytes, &key, stamps)?);
    Ok((Collection { dataset: disk.clone(), ..collection.clone() }, Some(disk)))
}

/// Cleans and splits.
pub fn prepare(recipe: &Recipe, collection: &Collection, report: Report, progress: &Progress) -> Result<Prepared> {
    let (collection, disk) = &on_disk(recipe, collection, progress)?;
    let cleaned = data::clean::clean(collection, &report, &recipe.data.clean, &recipe.data.drop_labels)?;
    let mut report = report;
    report.warnings.extend(cleaned.warnings.iter().cloned());
    assemble::check_known(cleaned.dataset.rows())?;
    if cleaned.dataset.classes().len() < 2 {
        bail!(
            "found {} class(es) to tell apart, need at least two: {:?}",
            cleaned.dataset.classes().len(),
            cleaned.dataset.classes()
        );
    }
    // Predictions are told apart by the ids of their rows.
    let (mut ids, rows) = (HashSet::new(), cleaned.dataset.rows());
    if let Some(twice) = rows.iter().filter(|row| is_known(row)).find(|row| !ids.insert(row.id.as_str())) {
        bail!("the id '{}' stands in the training and in the validation part; give their rows different ids", twice.id);
    }
    let (mut splits, trained_folds) = split(recipe, collection.target, &cleaned, &mut report.warnings)?;
    let sample = collection.sample_submission.as_ref().map(|path| sample(path, recipe, &cleaned)).transpose()?;
    // What is not labelled of a sample that is belongs to it no more.
    let alone = cleaned.unlabelled.rows().iter().map(|row| !ids.contains(row.id.as_str()));
    let alone: Vec<usize> = alone.enumerate().filter_map(|(i, alone)| alone.then_some(i)).collect();
    let mut keys = cleaned.split_keys;
    keys.extend(alone.iter().map(|&i| cleaned.unlabelled_keys[i].clone()));
    let known = cleaned.dataset.rows().len();
    let dataset: Arc<dyn Dataset> = match alone.is_empty() {
        true => cleaned.dataset,
        false => Arc::new(Concat::new(cleaned.dataset, [Arc::new(Subset::new(cleaned.unlabelled, alone)) as _])),
    };
    if dataset.rows().len() > known {
        let what = "training pictures have no label and are of no fold: `pipeline` predicts them, `self-train` and [pseudo] learn from \
                    them";
        report.warnings.push(format!("{} {what}", dataset.rows().len() - known));
    }
    for warning in &report.warnings {
        progress.warning(warning);
    }
    splits.iter_mut().for_each(|folds| folds.of.resize(keys.len(), None));
    let (views, channels) = assemble::views(recipe, &report, &*dataset)?;
    let files = files(collection, &*dataset);
    let fingerprint = fingerprint(&dataset, &report);
    let color = recipe.data.params.get("color").and_then(|color| serde_json::from_value(color.clone()).ok());
    let color = color.unwrap_or_default();
    let (mut excluded, decisions) = (cleaned.excluded, cleaned.decisions);
    let rows = dataset.rows();
    // Those are asked about, so that they are not left out.
    let asked: HashSet<&str> = rows[known..].iter().map(|row| row.id.as_str()).collect();
    excluded.retain(|(id, _)| !asked.contains(id.as_str()));
    let held = (0..known).filter(|&i| is_known(&rows[i]) && splits.iter().all(|folds| folds.leaves_out(i)));
    excluded.extend(held.map(|i| (rows[i].id.clone(), "the split leaves it out, so that nothing leaks".to_string())));
    let (collection, disk) = (collection.clone(), disk.clone());
    let prepared = Prepared {
        report,
        collection,
        disk,
        files,
        dataset,
        keys,
        excluded,
        decisions,
        splits,
        trained_folds,
        sample,
        color,
        views,
        channels,
        fingerprint,
    };
    // Class weights and an auxiliary head that do not fit these classes are mistakes of the recipe.
    assemble::criterion(recipe, &prepared.class_counts(&prepared.split(0).0))?;
    assemble::check_auxiliary(recipe, prepared.channels, prepared.classes().len())?;
    Ok(prepared)
}

/// The sample submission, refused now rather than after training where it does not fit the classes.
fn sample(path: &Path, recipe: &Recipe, cleaned: &Cleaned) -> Result<eval::submission::Sample> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read '{}'", path.display()))?;
    let fitting = eval::submission::Sample::parse(&text).and_then(|sample| {
        sample.layout(cleaned.dataset.classes(), &recipe.submission)?;
        let test = cleaned.dataset.rows().iter().filter(|row| row.part == Part::Test);
        let test: Vec<String> = test.map(|row| row.id.clone()).collect();
        if !test.is_empty() {
            sample.check(&test)?;
        }
        Ok(sample)
    });
    fitting.with_context(|| format!("sample submission '{}'", path.display()))
}

/// Folds of every row, and how many of them there are to train; what is to be known of them goes to `warnings`.
fn split(recipe: &Recipe, target: Kind, cleaned: &Cleaned, warnings: &mut Vec<String>) -> Result<(Vec<Folds>, usize)> {
    let rows = cleaned.dataset.rows();
    let known: Vec<usize> = (0..rows.len()).filter(|&i| rows[i].part != Part::Test).collect();
    let keys: Vec<Option<String>> = known.iter().map(|&i| cleaned.split_keys[i].clone()).collect();
    let seed = data::rng::sub_seed(recipe.seed, "folds");
    let given = recipe.data.folds == 0 && rows.iter().any(|row| row.part == Part::Validation);
    // Each class is to be spread evenly, or each of several labels.
    let by_itself = || {
        let name = if target == Kind::MultiLabel { "multi_label" } else { "stratified" };
        // Of four speakers none can judge a fifth fold.
        let apart =
            keys.iter().flatten().collect::<HashSet<_>>().len() + keys.iter().filter(|key| key.is_none()).count();
        let folds = if recipe.data.folds > 1 { recipe.data.folds } else { apart.clamp(2, 5) };
        Spec::new(name).with(json!({"folds": folds}))
    };
    let seen: Vec<&Row> = known.iter().map(|&i| &rows[i]).collect();
    let (columns, classes) = (cleaned.dataset.columns(), cleaned.dataset.classes());
    let input = Input { rows: &seen, keys: &keys, columns, classes };
    let (splits, trained) = match &recipe.data.split {
        None if given => {
            let judges = |&i: &usize| (rows[i].part == Part::Validation).then_some(0);
            let of: Vec<Option<usize>> = known.iter().map(judges).collect();
            // Whoever made the parts may have torn a group or two copies apart.
            let judged = keys.iter().zip(&of).filter(|(_, fold)| fold.is_some()).filter_map(|(key, _)| key.as_ref());
            let judged: HashSet<&String> = judged.collect();
            let leaks = |i: &usize| of[*i].is_none() && keys[*i].as_ref().is_some_and(|key| judged.contains(key));
            let unused: Vec<usize> = (0..known.len()).filter(leaks).collect();
            if !unused.is_empty() {
                warnings.push(format!(
                    "{} training pictures are of a group of the validation part, or nearly equal to pictures of it, and are not \
                     learned from",
                    unused.len()
                ));
            }
            let folds = Folds { count: 1, of, unused: vec![unused], ..Folds::default() };
            folds.check(&input)?;
            (vec![folds], 1)
        }
        scheme => {
            let scheme = scheme.clone().unwrap_or_else(by_itself);
            let splits = data::split::build(&scheme.name, scheme.value())?
                .split(&input, seed)
                .context("data.split, data.folds")?;
            let all = splits.iter().map(|folds| folds.count).sum();
            (splits, if recipe.data.folds == 1 { 1 } else { all })
        }
    };
    for folds in &splits {
        let (count, name) = (folds.count, |stratum: u32| folds.strata.get(stratum as usize).map_or("", String::as_str));
        for &(stratum, pictures) in &folds.rare {
            let class = name(stratum);
            warnings.push(format!("class '{class}' has {pictures} pictures, too few for every fold to judge it"));
        }
        for &(stratum, in_folds) in &folds.lumped {
            let class = name(stratum);
            warnings.push(format!("class '{class}' lies in few groups: only {in_folds} of {count} folds have it"));
        }
        for fold in 0..folds.count.min(trained) {
            let (learned, judges) = (folds.trains(fold).len(), folds.judges(fold).len());
            if judges == 0 || learned == 0 {
                bail!(
                    "fold {} would have {learned} pictures to learn from and {judges} to judge by: too few groups or too few \
                     pictures of each class; use fewer folds (data.folds), another data.split or another data.group",
                    fold + 1,
                );
            }
        }
    }
    Ok((splits.into_iter().map(|folds| among(folds, &known, rows.len())).collect(), trained))
}

/// Folds of the rows at `places` as folds of `count` rows, the others of which judge none.
fn among(folds: Folds, places: &[usize], count: usize) -> Folds {
    let mut of = vec![None; count];
    places.iter().zip(&folds.of).for_each(|(&place, fold)| of[place] = *fold);
    let unused = folds.unused.iter().map(|unused| unused.iter().map(|&i| places[i]).collect()).collect();
    Folds { of, unused, ..folds }
}

/// Files of `collection` that each row of `dataset` has: a row has the id of its picture, or of the sample that it is one of.
fn files(collection: &Collection, dataset: &dyn Dataset) -> Vec<Vec<usize>> {
    let mut files = HashMap::<(Part, &str), Vec<usize>>::new();
    let rows = collection.dataset.rows();
    for (i, row) in collection.files.iter().enumerate().filter_map(|(i, file)| Some((i, &rows[file.row?]))) {
        files.entry((row.part, row.sample.as_deref().unwrap_or(&row.id))).or_default().push(i);
    }
    dataset.rows().iter().map(|row| files.remove(&(row.part, row.id.as_str())).unwrap_or_default()).collect()
}

fn fingerprint(dataset: &Arc<dyn Dataset>, report: &Report) -> String {
    let mut hash = blake3::Hasher::new();
    for (i, row) in dataset.rows().iter().enumerate() {
        hash.update(
            format!("{}\0{:?}\0{:?}\0{:?}\0{:?}\n", row.id, row.part, row.target, row.group, row.meta).as_bytes(),
        );
        // Which pictures are whose; a sample of one is what it always was.
        if dataset.pictures(i) > 1 {
            hash.update(format!("{}\n", dataset.pictures(i)).as_bytes());
        }
    }
    hash.update(report.fingerprint.as_bytes());
    hash.finalize().to_hex()[..16].to_string()
}

/// `folds.csv`: `id,fold,target[,group]`, then a column for each repeat of the split, `fold_2` and so on; fold -1 judges in none.
pub fn folds_csv(prepared: &Prepared) -> Result<Vec<u8>> {
    let rows = prepared.dataset.rows();
    let grouped = rows.iter().any(|row| row.group.is_some());
    let mut out = csv::Writer::from_writer(vec![]);
    let mut header = vec!["id", "fold", "target"];
    header.extend(grouped.then_some("group"));
    let repeats: Vec<String> = (1..prepared.splits.len()).map(|repeat| format!("fold_{}", repeat + 1)).collect();
    header.extend(repeats.iter().map(String::as_str));
    out.write_record(&header)?;
    let said = |folds: &Folds, row: usize| folds.of[row].map_or("-1".to_string(), |fold| fold.to_string());
    for (i, row) in rows.iter().enumerate() {
        if !is_known(row) {
            continue;
        }
        let target = row.target.as_ref().map_or(String::new(), |target| prepared.said(target));
        let mut record = vec![row.id.clone(), said(&prepared.splits[0], i), target];
        record.extend(grouped.then(|| row.group.clone().unwrap_or_default()));
        record.extend(prepared.splits[1..].iter().map(|folds| said(folds, i)));
        out.write_record(&record)?;
    }
    Ok(out.into_inner()?)
}

/// `excluded.csv`: `id,reason` of every row that is not used.
pub fn excluded_csv(prepared: &Prepared) -> Result<Vec<u8>> {
    let mut out = csv::Writer::from_writer(vec![]);
    out.write_record(["id", "reason"])?;
    for (id, reason) in &prepared.excluded {
        out.write_record([id.as_str(), reason.as_str()])?;
    }
    Ok(out.into_inner()?)
}

/// One line a person can read: how many pictures of which classes.
pub fn headline(images: usize, classes: &BTreeMap<String, usize>) -> String {
    let Some((name, count)) = classes.iter().max_by_key(|(_, count)| **count) else {
        return format!("{images} pictures");
    };
    format!("{images} pictures, {} classes, most often '{name}' ({count})", classes.len())
}

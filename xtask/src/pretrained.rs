//! Pretrained weights of a recipe: which ones, where they are, and what they say of preprocessing.

use crate::prepare::Prepared;
use crate::progress::Progress;
use crate::recipe::{Model, Recipe};
use crate::saved;
use crate::usage::Usage;
use anyhow::{Context, Result, anyhow, bail};
use candle_nn::VarMap;
use eval::Run;
use models::NetworkConfig;
use models::pretrained::{self, Place, Preprocess, Pretrained, Report, Weights};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What `model.pretrained` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected true, a name such as \"resnet18.tv_in1k\", or a file")]
pub enum Choice {
    /// Whether the model starts from its default weights.
    Own(bool),
    /// A name of `list pretrained`, or a file.
    Named(String),
}

impl Choice {
    /// The known weights that this means for `model`; none for a file that nobody knows, and for `false`.
    pub fn row(&self, model: &str) -> Result<Option<&'static Pretrained>> {
        let (row, said) = match self {
            Self::Own(false) => return Ok(None),
            Self::Own(true) => return Ok(Some(pretrained::of_model(model)?)),
            Self::Named(file) if is_file(file) => {
                let name = Path::new(file).file_name().map(|name| name.to_string_lossy().into_owned());
                let Some(row) = pretrained::of_file(&name.unwrap_or_default()) else { return Ok(None) };
                (row, format!("'{file}' holds '{}', which are", row.name))
            }
            Self::Named(name) => (pretrained::find(name)?, format!("'{name}' are")),
        };
        if !row.fits(model) {
            let own = row.model();
            bail!(
                "{said} weights of model '{own}', but model.name is '{model}'; take model.name = \"{own}\", or other weights"
            );
        }
        Ok(Some(row))
    }
}

/// Names have no folder and no ending that weights have; so a file that is not there is missed as a file.
fn is_file(text: &str) -> bool {
    let endings = ["safetensors", "pth", "pt", "th", "bin", "ckpt"];
    let path = Path::new(text);
    path.is_file()
        || text.contains(['/', '\\'])
        || path.extension().is_some_and(|e| endings.iter().any(|known| e == *known))
}

/// Writes into a recipe's table what its weights say and it leaves open: how pictures are prepared, parameters of the model.
/// A crop belongs to the way in which pictures are made square; so a recipe that names its own way keeps them whole.
pub fn complete(recipe: &mut toml::Table) -> Result<()> {
    let Some(toml::Value::Table(model)) = recipe.get_mut("model") else { return Ok(()) };
    let Some(choice) = model.get("pretrained").and_then(|choice| choice.clone().try_into::<Choice>().ok()) else {
        return Ok(());
    };
    let name = model.get("name").and_then(toml::Value::as_str).unwrap_or_default();
    let Some(row) = choice.row(name).context("model.pretrained")? else { return Ok(()) };
    for (key, value) in row.params() {
        model.entry(key).or_insert(toml::Value::try_from(value)?);
    }
    let preprocess = recipe.entry("preprocess").or_insert_with(|| toml::Value::Table(toml::Table::new()));
    if let toml::Value::Table(preprocess) = preprocess {
        let said = row.preprocess;
        preprocess.entry("size").or_insert(toml::Value::Integer(said.size as i64));
        if !preprocess.contains_key("resize") {
            preprocess.insert("resize".into(), toml::Value::try_from(said.fit)?);
            preprocess.entry("crop").or_insert(toml::Value::Float(said.crop));
        }
        preprocess.entry("interpolation").or_insert(toml::Value::try_from(said.interpolation)?);
        preprocess.entry("stats").or_insert(toml::Value::String("pretrained".into()));
    }
    Ok(())
}

/// How pictures are prepared for the weights of `model`.
pub fn preprocess(model: &Model) -> Result<Preprocess> {
    let Some(choice) = model.pretrained.as_ref().filter(|choice| **choice != Choice::Own(false)) else {
        bail!("\"pretrained\" needs weights; set model.pretrained, or take \"imagenet\" or \"dataset\"");
    };
    match (choice.row(&model.name)?, choice) {
        (None, Choice::Named(file)) => {
            bail!("nothing is known of '{file}'; give preprocess.stats as a table with `mean` and `std`")
        }
        (row, _) => Ok(row.context("no weights")?.preprocess),
    }
}

/// Weights at hand.
pub struct Start {
    weights: Weights,
    row: Option<&'static Pretrained>,
    input: pretrained::Input,
    /// The run and the name of the file, where they are those of a fold.
    run: Option<(PathBuf, String)>,
    /// Digest of the file, and of the run that it is of.
    pub digest: String,
}

/// The run whose fold wrote `weights`, and the name of the file there.
fn run_of(weights: &Path) -> Option<(PathBuf, String)> {
    let weights = weights.canonicalize().ok()?;
    let fold = weights.parent()?;
    let number = fold.file_name()?.to_str()?.strip_prefix("fold")?;
    let run = fold.parent().filter(|_| number.parse::<usize>().is_ok())?;
    let name = weights.file_name()?.to_str()?.to_string();
    run.join("folds.csv").is_file().then(|| (run.to_path_buf(), name))
}

impl Start {
    /// Opens the weights of a recipe, from the network if need be and allowed, and tries whether they fit its model.
    pub fn open(recipe: &Recipe, offline: bool, progress: &Progress) -> Result<Option<Self>> {
        let model = &recipe.model;
        let Some(choice) = model.pretrained.as_ref().filter(|choice| **choice != Choice::Own(false)) else {
            return Ok(None);
        };
        let row = choice.row(&model.name).context("model.pretrained").context(Usage::recipe(&recipe.name))?;
        let path = match (choice, row) {
            (Choice::Named(file), _) if is_file(file) => PathBuf::from(file),
            (_, Some(row)) => fetch(row, offline, progress)?,
            (_, None) => bail!("no weights"),
        };
        let weights = Weights::open(&path)?;
        let run = run_of(&path);
        let own = blake3::hash(weights.bytes()).to_hex()[..16].to_string();
        let digest = match &run {
            Some((run, _)) => format!("{own} of {}", saved::digest(run)?),
            None => own,
        };
        let config = NetworkConfig {
            model: model.name.clone(),
            params: Value::Object(model.params.clone()),
            channels: crate::assemble::channels(recipe)?.unwrap_or(3),
            ..NetworkConfig::default()
        };
        pretrained::check(&weights, &config, model.input).context(Usage::recipe(&recipe.name))?;
        Ok(Some(Self { weights, row, input: model.input, run, digest }))
    }

    /// Sets the variables `vars` of the network `config` of fold `fold`. Where the weights are of a run with the same rows, each
    /// fold begins with the same one of that run: another one has learned the rows that judge it.
    pub fn of_fold(&self, fold: usize, prepared: &Prepared, config: &NetworkConfig, vars: &VarMap) -> Result<Report> {
        let Some((run, name)) = self.knows(prepared)? else { return self.load(config, vars) };
        let own = Weights::open(&run.join(format!("fold{fold}/{name}"))).context("model.pretrained")?;
        Ok(pretrained::load(&own, config, vars, self.input)?)
    }

    /// Refuses weights of a run that knows rows of `prepared` in other folds.
    pub fn check(&self, prepared: &Prepared) -> Result<()> {
        let Some((run, _)) = self.knows(prepared)? else { return Ok(()) };
        prepared.has_folds_of(&Run::open(run)?).with_context(|| {
            format!(
                "model.pretrained: '{}' knows rows of these data; copy it elsewhere if it has learned other pictures of the same \
                 names",
                self.weights.file()
            )
        })
    }

    /// The run that they are of, and the name of their file, where it knows rows of `prepared`.
    pub fn knows(&self, prepared: &Prepared) -> Result<Option<&(PathBuf, String)>> {
        match &self.run {
            Some(run) if prepared.shares_rows(&run.0)? => Ok(Some(run)),
            _ => Ok(None),
        }
    }

    /// Sets the variables `vars` of the network `config`.
    fn load(&self, config: &NetworkConfig, vars: &VarMap) -> Result<Report> {
        Ok(pretrained::load(&self.weights, config, vars, self.input)?)
    }

    /// The file.
    pub fn file(&self) -> &str {
        self.weights.file()
    }

    /// What `pretrained.json` of a run holds.
    pub fn record(&self, report: &Report) -> Value {
        json!({"file": self.weights.file(), "digest": self.digest, "known_as": self.row, "report": report})
    }

    /// One line for the person who waits.
    pub fn said(&self, report: &Report) -> String {
        let license = self.row.map(|row| format!(" ({}, {})", row.name, row.license)).unwrap_or_default();
        format!("starting from '{}'{license}: {report}", self.weights.file())
    }
}

/// The file of `row` from the hub or its cache.
#[cfg(feature = "hub")]
fn fetch(row: &Pretrained, offline: bool, progress: &Progress) -> Result<PathBuf> {
    let place = place(row)?;
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let folder = set("HF_HUB_CACHE").map(PathBuf::from).or_else(|| Some(PathBuf::from(set("HF_HOME")?).join("hub")));
    let folder = folder.or_else(|| Some(crate::machine::caches()?.join("huggingface/hub")));
    let mut hub = pretrained::Hub::new(folder.context("there is no home folder; set HF_HOME")?);
    hub.offline = offline
        || set("HF_HUB_OFFLINE")
            .is_some_and(|value| ["1", "true", "yes", "on"].contains(&value.to_lowercase().as_str()));
    hub.token = set("HF_TOKEN");
    if let Some(endpoint) = set("HF_ENDPOINT") {
        hub.endpoint = endpoint.trim_end_matches('/').into();
    }
    let stretch = std::cell::OnceCell::new();
    let title = format!("downloading {}", row.name);
    // Kilobytes: bytes are too many digits.
    let show = |done: u64, all: u64| stretch.get_or_init(|| progress.stretch(&title, all >> 10, "kB")).at(done >> 10);
    Ok(match row.address() {
        Some(address) => hub.fetch_url(&address, row.sha256, &show)?,
        None => hub.fetch(&place, row.file, &show)?,
    })
}

#[cfg(not(feature = "hub"))]
fn fetch(row: &Pretrained, _: bool, _: &Progress) -> Result<PathBuf> {
    let place = place(row)?;
    bail!(
        "this program was built without the feature `hub`; give model.pretrained the path of '{}' of '{place}'",
        row.file
    )
}

/// The repository of the hub, or the address.
fn place(row: &Pretrained) -> Result<String> {
    row.repository()
        .or_else(|| row.address())
        .ok_or_else(|| anyhow!("'{}' is on no hub; give model.pretrained the path of '{}'", row.name, row.file))
}

/// Name and one sentence of all weights.
pub fn list() -> Vec<(String, String)> {
    let sentence = |row: &Pretrained| {
        let place = match row.place {
            Place::Hub | Place::Repository(_) => "on the hub".to_string(),
            Place::Url(folder) => format!("at {folder}"),
            Place::Brought => format!("in the file '{}'", row.file),
        };
        format!("For {} pixels, {}, {place}.", row.preprocess.size, row.license)
    };
    pretrained::all().map(|row| (row.name.into(), sentence(row))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{Preprocess, StatsChoice};
    use augment::pixel::Interpolation;
    use candle_core::Device;
    use models::{Network, init};

    fn recipe(sets: &[&str]) -> Result<Recipe> {
        Recipe::load("default", &sets.iter().map(|set| set.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn what_the_weights_say_holds_where_the_recipe_says_nothing() {
        let own = ["model.name=resnet18", "model.pretrained=true"];
        let said = recipe(&own).unwrap();
        let Preprocess { size, resize, crop, interpolation, .. } = &said.preprocess;
        assert_eq!((*size, resize.as_str(), *crop, *interpolation), (224, "crop", 0.95, Interpolation::Bicubic));
        assert!(matches!(said.preprocess.stats, StatsChoice::Named(crate::recipe::NamedStats::Pretrained)));
        let stats = crate::assemble::stats(&said, [vec![0.5; 3], vec![0.5; 3]]).unwrap();
        assert_eq!(stats.mean, [0.485, 0.456, 0.406]);
        let both = [&own[..], &["preprocess.size=96", "preprocess.stats=dataset"]].concat();
        let said = recipe(&both).unwrap();
        assert_eq!((said.preprocess.size, said.preprocess.crop), (96, 0.95));
        assert!(matches!(said.preprocess.stats, StatsChoice::Named(crate::recipe::NamedStats::Dataset)));
        // What is resolved reads as itself.
        let again = Recipe::parse(&said.text().unwrap(), "again").unwrap();
        assert_eq!(again.model.pretrained, Some(Choice::Own(true)));
        assert_eq!((again.preprocess.crop, again.preprocess.interpolation), (0.95, Interpolation::Bicubic));
        // A recipe's own way of making pictures square has no crop of the weights.
        let own = recipe(&[&own[..], &["preprocess.resize=letterbox"]].concat()).unwrap();
        assert_eq!((own.preprocess.resize.as_str(), own.preprocess.crop), ("letterbox", 1.0));
        let squashed = recipe(&["model.name=efficientnet_b5", "model.pretrained=true"]).unwrap();
        assert_eq!((squashed.preprocess.size, squashed.preprocess.resize.as_str()), (448, "squash"));
        let file =
            recipe(&["model.name=mobilenetv2_100", "model.pretrained=x/mobilenet_v2_1.0_224_quant_f32.safetensors"]);
        assert_eq!(file.unwrap().model.params["same"], true);
        // torchvision's networks with TensorFlow's norms, by name and by file.
        for weights in ["mobilenetv3_small_100.torchvision_in1k", "x/mobilenet_v3_small-047dcff4.pth"] {
            let said = recipe(&["model.name=mobilenetv3_small_100", &format!("model.pretrained={weights}")]).unwrap();
            assert_eq!(said.model.params["eps"], 1e-3);
        }
        assert_eq!(recipe(&[]).unwrap().preprocess.size, 64);
    }

    /// Networks for volumes start from the one for pictures, by its name.
    #[test]
    fn volumes_take_the_weights_of_pictures() {
        for model in ["r3d_18", "mc3_18"] {
            let said = recipe(&[&format!("model.name={model}"), "model.pretrained=resnet18.tv_in1k"]).unwrap();
            assert_eq!((said.preprocess.size, said.preprocess.interpolation), (224, Interpolation::Bilinear));
            assert_eq!(said.model.pretrained.unwrap().row(model).unwrap().unwrap().name, "resnet18.tv_in1k");
        }
        let split = recipe(&["model.name=r2plus1d_18", "model.pretrained=resnet18.tv_in1k"]).unwrap_err();
        assert!(format!("{split:#}").contains("weights of model 'resnet18'"), "{split:#}");
    }

    #[test]
    fn mistakes_name_what_is_wrong() {
        let why = |sets: &[&str]| format!("{:#}", recipe(sets).unwrap_err());
        let other = why(&["model.name=resnet50", "model.pretrained=resnet18.tv_in1k"]);
        assert!(
            other.contains("weights of model 'resnet18'") && other.contains("model.name = \"resnet18\""),
            "{other}"
        );
        let file = why(&["model.name=resnet18", "model.pretrained=x/mobilenet_v3_small-047dcff4.pth"]);
        assert!(
            file.contains("'x/mobilenet_v3_small-047dcff4.pth' holds 'mobilenetv3_small_100.torchvision_in1k'"),
            "{file}"
        );
        assert!(file.contains("weights of model 'mobilenetv3_small_100', but model.name is 'resnet18'"), "{file}");
        let unknown = why(&["model.name=resnet18", "model.pretrained=resnet18.tv"]);
        assert!(unknown.contains("expected one of resnet18.a1_in1k"), "{unknown}");
        let mistyped = why(&["model.name=resnet18", "model.pretrained=resent18.tv_in1k"]);
        assert_eq!(crate::usage::suggestion(&mistyped), "; did you mean 'resnet18.tv_in1k'?", "{mistyped}");
        let none = why(&["model.name=baseline", "model.pretrained=true"]);
        assert!(none.contains("give a file"), "{none}");
        assert!(why(&["model.name=resnet18", "model.pretrained=3"]).contains("expected true, a name"));
    }

    /// A published network names what is on a real photograph, prepared as the weights say.
    #[test]
    fn a_published_mobilenet_knows_what_it_sees() {
        let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
        let file = shared.join("weights/mobilenet_v2_1.0_224_quant_f32.safetensors");
        let photos = shared.join("data/clothing");
        if !file.is_file() || !photos.is_dir() {
            crate::output::note("skipped: no weights or photographs beside the checkout");
            return;
        }
        let sets = ["model.name=mobilenetv2_100".to_string(), format!("model.pretrained={}", file.display())];
        let recipe = Recipe::load("default", &sets).unwrap();
        let start = Start::open(&recipe, true, &Progress::new(true)).unwrap().unwrap();
        let vars = VarMap::new();
        let params = Value::Object(recipe.model.params.clone());
        let config =
            NetworkConfig { model: recipe.model.name.clone(), classes: 1000, params, ..NetworkConfig::default() };
        let network = Network::new(&config, init::seeded(&vars, 0, candle_core::DType::F32, &Device::Cpu)).unwrap();
        start.load(&config, &vars).unwrap();
        let labels = std::fs::read_to_string(shared.join("weights/imagenet_labels.txt")).unwrap();
        // The first line is the background.
        let labels: Vec<&str> = labels.lines().skip(1).collect();
        let table = std::fs::read_to_string(photos.join("images.csv")).unwrap();
        let of_label = |label: &str, most: usize| {
            let rows = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
            let rows = rows.filter(|row| row[2] == label).take(most);
            rows.map(|row| photos.join("images").join(format!("{}.jpg", row[0]))).collect::<Vec<_>>()
        };
        let steps = crate::assemble::shared(&crate::assemble::evaluation_steps(&recipe)).unwrap();
        let stats = crate::assemble::stats(&recipe, [vec![0.5; 3], vec![0.5; 3]]).unwrap();
        let mut right = 0;
        for (label, names) in
            [("T-Shirt", &["jersey", "sweatshirt"][..]), ("Shoes", &["shoe", "Loafer", "boot", "sandal", "clog"][..])]
        {
            for path in of_label(label, 10) {
                let bytes = std::fs::read(&path).unwrap();
                let image = data::decode::decode("photo", &bytes, data::decode::Color::Rgb).unwrap().image;
                let image = steps(image, &mut data::Stream::new(0, 0, 0));
                let x = data::batch::stack(&[image], &stats, &Device::Cpu).unwrap();
                let logits = network.forward(&x, None, &mut models::Pass::eval()).unwrap();
                let logits = logits.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                let best = (0..1000).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
                crate::output::note(&format!("{label}: {}", labels[best]));
                right += usize::from(names.iter().any(|name| labels[best].contains(name)));
            }
        }
        assert!(right >= 14, "{right} of 20");
    }

    /// What is known of a published ResNet-20: 86.5 % of the first thousand pictures of each class in the archive, which it
    /// was trained on before they were compressed.
    #[test]
    fn a_published_resnet20_knows_cifar() {
        let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
        let (file, archive) = (shared.join("weights/resnet20-12fca82f.th"), shared.join("data/cifar10/train.tar.gz"));
        if !file.is_file() || !archive.is_file() {
            crate::output::note("skipped: no weights or pictures beside the checkout");
            return;
        }
        let sets = ["model.name=resnet20".to_string(), format!("model.pretrained={}", file.display())];
        let sets = [&sets[..], &["model.width=16".into(), "model.stem=cifar".into()]].concat();
        let recipe = Recipe::load("default", &sets).unwrap();
        let start = Start::open(&recipe, true, &Progress::new(true)).unwrap().unwrap();
        let vars = VarMap::new();
        let params = Value::Object(recipe.model.params.clone());
        let config =
            NetworkConfig { model: recipe.model.name.clone(), classes: 10, params, ..NetworkConfig::default() };
        let network = Network::new(&config, init::seeded(&vars, 0, candle_core::DType::F32, &Device::Cpu)).unwrap();
        start.load(&config, &vars).unwrap();
        let stats = crate::assemble::stats(&recipe, [vec![0.5; 3], vec![0.5; 3]]).unwrap();
        let classes = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
            .map(String::from);
        let mut seen = [0; 10];
        let (mut images, mut labels) = (vec![], vec![]);
        let archive = std::fs::File::open(archive).unwrap();
        for entry in tar::Archive::new(flate2::read::GzDecoder::new(archive)).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().into_owned();
            let folder = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
            let class = folder.and_then(|name| classes.iter().position(|class| *class == name));
            let Some(class) = class.filter(|&class| seen[class] < 1000 && path.extension().is_some()) else { continue };
            let mut bytes = vec![];
            std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
            images.push(data::decode::decode("picture", &bytes, data::decode::Color::Rgb).unwrap().image);
            labels.push(class);
            seen[class] += 1;
        }
        assert_eq!(seen, [1000; 10]);
        let mut right = 0;
        for (images, labels) in images.chunks(500).zip(labels.chunks(500)) {
            let x = data::batch::stack(images, &stats, &Device::Cpu).unwrap();
            let said = network.forward(&x, None, &mut models::Pass::eval()).unwrap().argmax(1).unwrap();
            right += said.to_vec1::<u32>().unwrap().iter().zip(labels).filter(|(a, b)| **a as usize == **b).count();
        }
        crate::output::note(&format!("{right} of 10000"));
        assert!((8600..=8700).contains(&right), "{right} of 10000");
    }
}

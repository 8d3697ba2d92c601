//! What follows from the numbers, with the option to type.

use super::host::Host;
use super::stages::Pictures;
use super::verdict::{DECODE, Measured, Of, Part, Share, Verdict};
use crate::recipe::Recipe;
use models::{Network, NetworkConfig};
use serde_json::{Map, Value, json};

/// A part of the loader smaller than this is not worth a line, unless it is what the verdict names.
const NOTABLE: f64 = 0.25;
/// Fewer channels than this are not halved.
const CHANNELS: u64 = 16;

/// How the stages are called that bring pictures to the size of the input.
const FIT: &str = "fit to ";

/// What advice is drawn from.
pub struct Facts<'a> {
    pub recipe: &'a Recipe,
    pub host: &'a Host,
    pub pictures: Pictures,
    /// Rows of all parts.
    pub rows: usize,
    pub measured: &'a Measured,
    pub verdict: &'a Verdict,
}

impl Facts<'_> {
    /// All decoded pictures, MB as `train.cache_mb` counts them, rounded up.
    pub fn decoded_mb(&self) -> u64 {
        (self.rows as f64 * self.pictures.bytes / f64::from(1 << 20)).ceil() as u64
    }

    /// The lines, most telling first.
    pub fn advice(&self) -> Vec<String> {
        let mut lines = match self.verdict.bottleneck {
            Part::Loader => self.loader(),
            Part::Model => self.model(),
            Part::Judging => self.judging(),
        };
        lines.extend(self.memory());
        let Host { cores, threads, .. } = self.host;
        if threads < cores {
            lines.push(format!("{threads} of {cores} cores work: --threads {cores}"));
        }
        lines
    }

    /// Whether the kept pictures leave room for the rest.
    fn memory(&self) -> Option<String> {
        let (cache, left) = (self.decoded_mb().min(self.recipe.train.cache_mb as u64), self.host.left_mib()?);
        (cache > left * 4 / 5).then(|| {
            format!(
                "kept pictures would take {cache} MB of the {left} MiB of memory that are left: --set train.cache_mb={}",
                left / 2
            )
        })
    }

    fn loader(&self) -> Vec<String> {
        let inside = self.verdict.shares.iter().filter(|s| s.stage.part == Part::Loader);
        let total: f64 = inside.clone().map(|share| share.seconds).sum();
        // A transform that a recipe has several times is one cost; its most expensive stage stands for all.
        let mut costs: Vec<(&Share, f64)> = vec![];
        for share in inside {
            let same = |(first, _): &(&Share, f64)| transform_of(&first.stage.name) == transform_of(&share.stage.name);
            match costs.iter().position(same) {
                Some(at) => {
                    let (worst, seconds) = &mut costs[at];
                    *seconds += share.seconds;
                    if share.seconds > worst.seconds {
                        *worst = share;
                    }
                }
                None => costs.push((share, share.seconds)),
            }
        }
        costs.sort_by(|a, b| b.1.total_cmp(&a.1));
        let parts = costs.into_iter().map(|(share, seconds)| (share, seconds / total.max(1e-12)));
        let named = transform_of(&self.verdict.stage);
        let notable = parts.filter(|(share, part)| *part >= NOTABLE || transform_of(&share.stage.name) == named);
        let lines = notable.flat_map(|(share, part)| match share.stage.name.as_str() {
            DECODE => self.decoding(),
            _ => vec![self.transform(share, part)],
        });
        lines.collect()
    }

    /// Decoding: keep the pictures, or make them smaller.
    fn decoding(&self) -> Vec<String> {
        let (mb, cache, size) = (self.decoded_mb(), self.recipe.train.cache_mb, self.recipe.preprocess.size);
        let mut lines = vec![];
        let again = self.measured.epochs * self.measured.folds > 1;
        // Room for what training itself takes.
        let fits = self.host.left_mib().is_none_or(|left| mb as f64 <= 0.6 * left as f64);
        if again && self.measured.kept < 1.0 && fits {
            let enough = round_up(mb + mb / 20 + 1);
            lines.push(format!(
                "the decoded pictures take {mb} MB and train.cache_mb is {cache}: --set train.cache_mb={enough} keeps them all"
            ));
        } else if again && self.measured.kept < 1.0 {
            lines.push(format!(
                "the decoded pictures take {mb} MB, more than memory has room for, so most are decoded in every epoch"
            ));
        }
        if self.measured.kept >= 1.0 {
            lines.push("memory keeps all decoded pictures: only the first epoch decodes them".into());
        }
        if self.pictures.pixels > 8.0 * (size * size) as f64 {
            let side = self.pictures.pixels.sqrt().round();
            lines.push(format!(
                "pictures have {:.1} million pixels (as {side}×{side}) for an input of {size}×{size}: smaller copies on disk \
                 would decode faster; give their folder with --data",
                self.pictures.pixels / 1e6
            ));
        }
        if lines.is_empty() {
            lines.push("every picture is decoded once, in the only epoch: only more cores decode faster".into());
        }
        lines
    }

    /// A transform that takes much of the loader.
    fn transform(&self, share: &Share, part: f64) -> String {
        let (percent, size) = (100.0 * part, self.recipe.preprocess.size);
        let is_fit = share.stage.name.starts_with(FIT);
        let name = if is_fit { share.stage.name.as_str() } else { transform_of(&share.stage.name) };
        // Stacking does not work on single pictures.
        let area = share.stage.pixels.unwrap_or_default();
        if area > 2.0 * (size * size) as f64 && share.stage.of == Of::Learned && !is_fit {
            let side = area.sqrt().round();
            return format!(
                "'{name}' takes {percent:.0} % of the loader: it works on pictures as large as {side}×{side} for an input of \
                 {size}×{size}; let it come after a crop, or make them smaller first: \
                 --set 'preprocess.steps=[{{name=\"resize\",size={}}}]'",
                size + size / 4
            );
        }
        match share.stage.of {
            Of::Learned if !is_fit => format!(
                "'{name}' takes {percent:.0} % of the loader: leave it out of augment.transforms, or give it to fewer pictures \
                 with {{name=\"maybe\",p=0.3,of={{name=\"{name}\",…}}}}"
            ),
            _ if area <= (size * size) as f64 => format!(
                "'{name}' takes {percent:.0} % of the loader, on pictures no larger than the input: there is little left to save"
            ),
            _ => format!(
                "'{name}' takes {percent:.0} % of the loader: pictures come as large as {0}×{0}, smaller copies on disk would save it",
                area.sqrt().round()
            ),
        }
    }

    fn model(&self) -> Vec<String> {
        let Recipe { preprocess, model, .. } = self.recipe;
        let mut lines = vec![];
        if preprocess.size >= 32 {
            let smaller = (preprocess.size * 3 / 4).next_multiple_of(8);
            let work = (smaller as f64 / preprocess.size as f64).powi(2);
            lines.push(format!(
                "the model's work grows with the area of its input: --set preprocess.size={smaller} needs about {:.0} % of it",
                100.0 * work
            ));
        }
        lines.extend(
            halved(&model.params)
                .map(|set| format!("half as many channels need about a quarter of the work: --set {set}")),
        );
        lines.extend(self.lighter().map(|(name, work)| {
            let percent = (100.0 * work).max(1.0);
            format!(
                "a smaller model may do: --set model.name={name} needs {percent:.0} % of the multiply-adds of '{}'",
                model.name
            )
        }));
        if self.host.device == "cpu" {
            let built = self.host.built_for.iter().find(|kind| **kind != "cpu");
            lines.extend(built.map(|kind| format!("this program was built for {kind}: --device {kind}")));
        }
        if lines.is_empty() {
            lines.push("the model is small already: fewer epochs (train.epochs) are what saves time".into());
        }
        lines
    }

    /// The largest model that needs at most half the multiply-adds in no more layers, and the share that it needs.
    fn lighter(&self) -> Option<(&'static str, f64)> {
        let Recipe { preprocess, model, .. } = self.recipe;
        let work = |name: &str, params: Value| -> Option<(f64, usize)> {
            let config = NetworkConfig { model: name.into(), params, ..NetworkConfig::default() };
            let network = Network::new(&config, models::init::outline()).ok()?;
            if network.rank() != 4 {
                return None;
            }
            let summary = network.summary((preprocess.size, preprocess.size)).ok()?;
            Some((summary.multiply_adds() as f64, summary.layers.len()))
        };
        let own = work(&model.name, Value::Object(model.params.clone()))?;
        let all = models::models().into_iter().map(|(name, _)| name).filter(|name| *name != model.name);
        let works = all.filter_map(|name| Some((name, work(name, json!({}))?)));
        // Many thin layers take longer than their multiply-adds say.
        let shares = works.filter(|(_, work)| work.1 <= own.1).map(|(name, work)| (name, work.0 / own.0));
        shares.filter(|(_, share)| *share <= 0.5).max_by(|a, b| a.1.total_cmp(&b.1))
    }

    fn judging(&self) -> Vec<String> {
        let Measured { judged, learned, .. } = self.measured;
        let mut lines = vec![format!("after every {learned} batches of training {judged} batches are judged")];
        match self.recipe.train.steps_per_epoch {
            0 if self.measured.folds > 1 => lines.push(format!(
                "a single fold, judged by a fifth of the pictures, takes the time of one of {}: --set data.folds=1",
                self.measured.folds
            )),
            0 if self.recipe.data.folds == 0 => {
                lines.push("the validation part that the data bring along is large: a smaller one is judged faster".into());
            }
            0 => {}
            limit => lines.push(format!(
                "longer epochs are judged less often: --set train.steps_per_epoch={}, with fewer epochs (--set train.epochs={})",
                4 * limit,
                self.measured.epochs.div_ceil(4)
            )),
        }
        lines
    }
}

/// What a stage's transform is called, whichever of several it is.
fn transform_of(name: &str) -> &str {
    if name.starts_with(FIT) { FIT } else { name.split(" (").next().unwrap_or(name) }
}

/// The option that halves a model's channels, where they are not few.
fn halved(params: &Map<String, Value>) -> Option<String> {
    if let Some(width) = params.get("width").and_then(Value::as_u64).filter(|width| *width >= CHANNELS) {
        return Some(format!("model.width={}", width / 2));
    }
    let widths: Vec<u64> = params.get("widths")?.as_array()?.iter().filter_map(Value::as_u64).collect();
    let halves: Vec<u64> = widths.iter().map(|width| width.div_ceil(2)).collect();
    widths.iter().any(|width| *width >= CHANNELS).then(|| format!("'model.widths={halves:?}'"))
}

/// To the next hundred.
fn round_up(mb: u64) -> u64 {
    mb.next_multiple_of(100)
}

#[cfg(test)]
mod tests {
    use super::super::verdict::Stage;
    use super::*;

    /// What is said of stages of 10 batches that are learned from and as many that judge.
    fn advice(stages: &[(&str, Part, Of, f64)], folds: [usize; 2]) -> String {
        let mut recipe = Recipe::load("default", &[]).unwrap();
        let stage = |&(name, part, of, seconds): &(&str, Part, Of, f64)| {
            let is_single = part == Part::Loader && name != DECODE && name != "stack";
            Stage { name: name.into(), part, of, seconds, pixels: is_single.then_some(1e6) }
        };
        let measured = Measured {
            stages: stages.iter().map(stage).collect(),
            loader: 0.0,
            batch: 8,
            learned: 10,
            judged: 10,
            tested: 0,
            epochs: 1,
            folds: folds[1],
            views: 1,
            kept: 0.0,
            overlaps: false,
        };
        recipe.data.folds = folds[0];
        let host = Host {
            cores: 2,
            threads: 2,
            simd: "avx2+fma",
            memory_mib: None,
            available_mib: None,
            memory_limit_mib: None,
            cpu_limit: None,
            built_for: vec!["cpu"],
            device: "cpu".into(),
            warnings: vec![],
        };
        let verdict = measured.verdict();
        let pictures = Pictures { bytes: 3000.0, pixels: 1000.0 };
        let facts = Facts { recipe: &recipe, host: &host, pictures, rows: 100, measured: &measured, verdict: &verdict };
        facts.advice().join("\n")
    }

    #[test]
    fn a_transform_is_added_up_and_what_the_verdict_names_is_never_left_out() {
        let loader = |name, seconds| (name, Part::Loader, Of::Learned, seconds);
        let twice = [loader("rotate", 2.0), loader("flip", 3.0), loader("rotate (2)", 2.1), loader("cut", 2.9)];
        let said = advice(&twice, [0, 1]);
        assert!(said.starts_with("'rotate' takes 41 % of the loader") && said.contains("'flip' takes 30 %"), "{said}");
        assert_eq!(said.lines().count(), 3, "{said}");
        let names = ["a", "b", "c", "d", "e"];
        let many: Vec<_> = names.into_iter().enumerate().map(|(i, name)| loader(name, 1.0 + 0.01 * i as f64)).collect();
        let said = advice(&many, [0, 1]);
        assert!(said.starts_with("'e' takes 20 %") && said.lines().count() == 1, "{said}");
        let only = |name| advice(&[(name, Part::Loader, Of::Both, 1.0)], [0, 1]);
        assert!(only("stack").contains("'stack' takes 100 % of the loader, on pictures no larger than the input"));
        assert!(only(DECODE).contains("every picture is decoded once"), "{}", only(DECODE));
    }

    #[test]
    fn less_judging_is_advised_only_where_it_saves_time() {
        let of = |folds| advice(&[("predict", Part::Judging, Of::Judged, 1.0)], folds);
        assert!(of([5, 5]).contains("--set data.folds=1") && of([0, 5]).contains("--set data.folds=1"));
        assert!(of([0, 1]).contains("a smaller one is judged faster"));
        assert_eq!(of([1, 1]), "after every 10 batches of training 10 batches are judged");
    }

    #[test]
    fn channels_are_halved_under_either_name() {
        let half = |params: Value| halved(params.as_object().unwrap());
        assert_eq!(half(json!({"width": 64})), Some("model.width=32".into()));
        assert_eq!(half(json!({"widths": [8, 33], "convs": 1})), Some("'model.widths=[4, 17]'".into()));
        assert_eq!(half(json!({"widths": [8, 9]})), None);
        assert_eq!(half(json!({"width": 8})), None);
    }
}

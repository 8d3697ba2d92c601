//! What follows from the numbers, with the option to type.

use super::host::Host;
use super::stages::Pictures;
use super::verdict::{DECODE, Measured, Of, Part, Share, Verdict};
use crate::recipe::Recipe;
use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use models::{Network, NetworkConfig};
use serde_json::{Value, json};

/// A part of the loader smaller than this is not worth a line.
const NOTABLE: f64 = 0.25;

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
        let inside: Vec<&Share> = self.verdict.shares.iter().filter(|s| s.stage.part == Part::Loader).collect();
        let total: f64 = inside.iter().map(|share| share.seconds).sum();
        let mut notable: Vec<(&Share, f64)> = inside
            .into_iter()
            .map(|share| (share, share.seconds / total.max(1e-12)))
            .filter(|s| s.1 >= NOTABLE)
            .collect();
        notable.sort_by(|a, b| b.1.total_cmp(&a.1));
        notable
            .iter()
            .flat_map(
                |(share, part)| {
                    if share.stage.name == DECODE { self.decoding() } else { vec![self.transform(share, *part)] }
                },
            )
            .collect()
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
        lines
    }

    /// A transform that takes much of the loader.
    fn transform(&self, share: &Share, part: f64) -> String {
        let (name, percent, size) = (&share.stage.name, 100.0 * part, self.recipe.preprocess.size);
        let area = share.stage.pixels.unwrap_or_default();
        if area > 2.0 * (size * size) as f64 && share.stage.of == Of::Learned && !name.starts_with("fit") {
            let side = area.sqrt().round();
            return format!(
                "'{name}' takes {percent:.0} % of the loader: it works on pictures as large as {side}×{side} for an input of \
                 {size}×{size}; let it come after a crop, or make them smaller first: \
                 --set 'preprocess.steps=[{{name=\"resize\",size={}}}]'",
                size + size / 4
            );
        }
        match share.stage.of {
            Of::Learned if !name.starts_with("fit") => format!(
                "'{name}' takes {percent:.0} % of the loader: leave it out of augment.transforms, or give it to fewer pictures \
                 with {{name=\"maybe\",p=0.3,of={{name=\"{name}\",…}}}}"
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
        if let Some(width) = model.params.get("width").and_then(Value::as_u64).filter(|width| *width >= 16) {
            let half = width / 2;
            lines.push(format!("half as many channels need about a quarter of the work: --set model.width={half}"));
        }
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
        lines
    }

    /// The largest model that needs at most half the multiply-adds in no more layers, and the share that it needs.
    fn lighter(&self) -> Option<(&'static str, f64)> {
        let Recipe { preprocess, model, .. } = self.recipe;
        let work = |name: &str, params: Value| -> Option<(f64, usize)> {
            let config = NetworkConfig { model: name.into(), params, ..NetworkConfig::default() };
            let network = Network::new(&config, VarBuilder::zeros(DType::F32, &Device::Cpu)).ok()?;
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
            0 => {
                let folds = (2 * self.measured.folds).max(5);
                lines.push(format!("more folds judge fewer pictures each: --set data.folds={folds}"));
            }
            limit => lines.push(format!(
                "longer epochs are judged less often: --set train.steps_per_epoch={}, with fewer epochs (--set train.epochs={})",
                4 * limit,
                self.measured.epochs.div_ceil(4)
            )),
        }
        lines
    }
}

/// To the next hundred.
fn round_up(mb: u64) -> u64 {
    mb.next_multiple_of(100)
}

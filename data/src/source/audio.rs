//! Sounds, which become pictures of time and frequency.

use super::csv::{Csv, Fit, fits, names, one_or_several};
use super::files::{LARGEST, Tree, below, ending, file_name};
use super::folder::class_folders;
use super::records::{Record, Records};
use super::{Alone, Collection, Reader, Source};
use crate::convert::audio::{self, SOUNDS, Sound};
use crate::convert::mel::Mel;
use crate::convert::spectrogram::{Spectrogram, Stft};
use crate::decode::{Color, Decoded, luma};
use crate::error::{Error, Result};
use crate::image::Image;
use crate::labels::Labels;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder of sounds: class folders as those of `folder`, names that tell what is heard (`7_jackson_32.wav`, as the Free Spoken
/// Digit Dataset comes), or a table beside them as that of `csv`. Each sound is a picture by its [`Spectrogram`].
///
/// A pattern is made of `{label}`, `{group}`, `{sample}` and, for what says nothing, `{n}`, with other text between; it tells
/// the name without its ending, or with a `/` in it the whole path below the folder. Where no spectrogram is given, it has 64 mel
/// bands of windows of about 32 ms that overlap by half, at the rate and of the length that nearly all sounds have, so that all
/// pictures are of one size; some sounds are listened to for that.
///
/// | field | default | range |
/// |---|---|---|
/// | `path` | required | a folder |
/// | `pattern` | found | what the names say, as `{label}_{group}_{n}`, which is found |
/// | `spectrogram` | found | [`Spectrogram`] |
/// | `table` | found | table of the training part, relative to the folder |
/// | `test_table` | found | table of the test part |
/// | `id` | found | column of the table that names the sound |
/// | `label` | found | column of the table, or several |
/// | `target` | class | what the labels are ([`Labels`]): class, multi_label, ordinal, distribution, regression |
/// | `part` | none | column of the table that says what a row is for: train, val or test |
/// | `group` | none | column of the table whose values never sit in two folds |
/// | `meta` | none | columns of the table that join the network's head: numbers or categories |
/// | `color` | as drawn | rgb: one channel is repeated, for networks that were trained on colors; gray |
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audio {
    /// The root.
    pub path: PathBuf,
    /// What the names are made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// How sounds become pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spectrogram: Option<Spectrogram>,
    /// Table of the training part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Table of the test part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_table: Option<String>,
    /// Column that names the sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Columns of the label.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "names",
        serialize_with = "one_or_several"
    )]
    pub label: Vec<String>,
    /// What the labels are.
    #[serde(default, skip_serializing_if = "Labels::is_plain")]
    pub target: Labels,
    /// Column that says which part a row is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Column of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Columns of metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meta: Vec<String>,
    /// What pictures are turned into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<Color>,
}

/// The pattern that is found.
const FOUND: &str = "{label}_{group}_{n}";
/// Fields that a pattern may have.
const FIELDS: [&str; 4] = ["label", "group", "sample", "n"];
/// Sounds that are listened to, to tell how long they are.
const HEARD: usize = 64;
/// Longest sound by default, seconds.
const LONGEST: f64 = 10.0;
/// Length of a window by default, seconds.
const WINDOW: f64 = 0.032;
/// Mel bands by default.
const BANDS: usize = 64;

/// Whether sounds lie below a folder.
pub(super) fn lie_in(folder: &Path) -> Result<bool> {
    Ok(!Tree::walk_for(folder, is_sound)?.pictures.is_empty())
}

fn is_sound(path: &Path) -> bool {
    SOUNDS.contains(&ending(path).as_str())
}

impl Source for Audio {
    fn open(&mut self) -> Result<Collection> {
        let mut tree = Tree::walk_for(&self.path, is_sound)?;
        // Pictures and notes beside sounds are nothing to warn of.
        tree.foreign.clear();
        if tree.pictures.is_empty() {
            let why = format!("no sounds ({}) are below it", SOUNDS.join(", "));
            return Err(Error::Layout { path: self.path.clone(), why });
        }
        let is_given = self.spectrogram.is_some();
        let spectrogram = self.spectrogram.take().map_or_else(|| fitting(&tree), Ok)?;
        let (rate, seconds) = (spectrogram.rate, spectrogram.duration);
        if let Some(seconds) = seconds {
            // What cannot be drawn of silence cannot be drawn at all.
            let rate = rate.unwrap_or(16_000);
            let samples = vec![0.0; 1 + (seconds.clamp(0.0, 60.0) * f64::from(rate)) as usize];
            spectrogram.image(&Sound { samples, rate })?;
        }
        let read = reader(tree.root.clone(), spectrogram.clone(), self.color);
        self.spectrogram = Some(spectrogram);
        let mut found = self.rows(tree, read)?;
        if let (false, Some(rate), Some(seconds)) = (is_given, rate, seconds) {
            let said = format!(
                "sounds are resampled to {rate} Hz and cut or filled to {seconds} s; data.spectrogram sets both"
            );
            found.warnings.push(said);
        }
        Ok(found)
    }

    fn alone(&self) -> Alone {
        // One that was opened has found it.
        let Some(spectrogram) = self.spectrogram.clone() else { return Alone::Nothing };
        Alone::Read { read: reader(PathBuf::new(), spectrogram, self.color), is_one: Some(is_sound) }
    }
}

impl Audio {
    /// The rows by what tells them: what is given, else a table, folders, names.
    fn rows(&mut self, tree: Tree, read: Reader) -> Result<Collection> {
        if let Some(pattern) = &self.pattern {
            return self.by_names(&tree, &Pattern::parse(pattern)?, read);
        }
        if self.table.is_some() || matches!(fits(&tree), Ok(Fit::Yes)) {
            return self.by_table(tree, read);
        }
        let folders = class_folders(&tree, read.clone(), None);
        if folders.as_ref().is_ok_and(|found| found.dataset.classes().len() >= 2) {
            return folders;
        }
        let pattern = Pattern::parse(FOUND)?;
        if pattern.tells(&tree.pictures) {
            self.pattern = Some(FOUND.into());
            let mut found = self.by_names(&tree, &pattern, read)?;
            let said = format!("labels and groups are taken from the names by data.pattern = \"{FOUND}\"");
            found.warnings.insert(0, said);
            return Ok(found);
        }
        folders.map_err(|_| Error::Layout {
            path: self.path.clone(),
            why: format!(
                "{} sounds are below it, but neither class folders nor a table of their labels; say with data.pattern what \
                 their names tell, as \"{FOUND}\"",
                tree.pictures.len()
            ),
        })
    }

    /// Rows as the names of their sounds tell them.
    fn by_names(&self, tree: &Tree, pattern: &Pattern, read: Reader) -> Result<Collection> {
        let (mut records, mut unowned) = (vec![], vec![]);
        for path in &tree.pictures {
            let Some(found) = pattern.read(path) else {
                unowned.push(path.clone());
                continue;
            };
            let part = |field: &str| found.get(field).map(|part| part.to_string());
            records.push(Record {
                path: path.clone(),
                id: path.clone(),
                labels: vec![part("label")],
                group: part("group"),
                sample: part("sample"),
                ..Record::default()
            });
        }
        let mut warnings = tree.warnings();
        if let Some(first) = unowned.first() {
            let count = unowned.len();
            if records.is_empty() {
                let why = format!("none of its {count} names is as data.pattern says, as '{first}'");
                return Err(Error::Layout { path: self.path.clone(), why });
            }
            warnings.push(format!("{count} names are not as data.pattern says and are left out, as '{first}'"));
        }
        let (columns, stamp) = (vec!["label".into()], below(&tree.root));
        let records = Records { columns, meta: vec![], records, unowned, read, stamp };
        let found = records.collect(&self.target, &self.path)?;
        warnings.extend(found.warnings.iter().cloned());
        Ok(Collection { warnings, label: None, ..found })
    }

    /// Rows as a table tells them.
    fn by_table(&mut self, tree: Tree, read: Reader) -> Result<Collection> {
        let mut table = Csv {
            path: self.path.clone(),
            table: self.table.take(),
            test_table: self.test_table.take(),
            id: self.id.take(),
            label: std::mem::take(&mut self.label),
            target: self.target.clone(),
            part: self.part.clone(),
            group: self.group.clone(),
            meta: self.meta.clone(),
            ..Csv::default()
        };
        let found = table.rows(tree, read)?;
        (self.table, self.test_table, self.id, self.label) = (table.table, table.test_table, table.id, table.label);
        Ok(found)
    }
}

/// What names are made of: a text, then fields, each with the text behind it.
struct Pattern {
    start: String,
    fields: Vec<(String, String)>,
}

impl Pattern {
    fn parse(text: &str) -> Result<Self> {
        let wrong = |what: &str| Err(Error::Invalid(format!("data.pattern = \"{text}\": {what}")));
        let mut parts = text.split('{');
        let start = parts.next().unwrap_or_default().to_string();
        let mut fields = Vec::<(String, String)>::new();
        for part in parts {
            let Some((field, behind)) = part.split_once('}') else { return wrong("a } is missing") };
            if !FIELDS.contains(&field) {
                return wrong(&format!("unknown field '{field}', expected one of {}", FIELDS.join(", ")));
            }
            if fields.last().is_some_and(|(_, before)| before.is_empty()) {
                return wrong("between two fields there must be some text");
            }
            if field != "n" && fields.iter().any(|(other, _)| other == field) {
                return wrong(&format!("the field '{field}' stands in it twice"));
            }
            fields.push((field.into(), behind.into()));
        }
        match fields.iter().any(|(field, _)| field == "label") {
            true => Ok(Self { start, fields }),
            false => wrong("the field {label} is missing"),
        }
    }

    /// The fields of a name, if it is made like this; each is as short as it can be.
    fn read<'a>(&'a self, path: &'a str) -> Option<BTreeMap<&'a str, &'a str>> {
        let is_path = self.start.contains('/') || self.fields.iter().any(|(_, behind)| behind.contains('/'));
        let name = if is_path { path } else { file_name(path) };
        let (stem, _) = name.rsplit_once('.')?;
        let mut rest = stem.strip_prefix(self.start.as_str())?;
        let mut found = BTreeMap::new();
        for (i, (field, behind)) in self.fields.iter().enumerate() {
            let value;
            (value, rest) = match i + 1 == self.fields.len() {
                true => (rest.strip_suffix(behind.as_str())?, ""),
                false => rest.split_once(behind.as_str())?,
            };
            if value.is_empty() {
                return None;
            }
            found.insert(field.as_str(), value);
        }
        Some(found)
    }

    /// Whether all names are made like this, with numbers at the end, of several labels and groups that come again and again.
    fn tells(&self, paths: &[String]) -> bool {
        let (mut labels, mut groups) = (BTreeSet::new(), BTreeSet::new());
        let fits = paths.iter().all(|path| {
            let Some(found) = self.read(path) else { return false };
            labels.extend(found.get("label").copied());
            groups.extend(found.get("group").copied());
            found.get("n").is_some_and(|n| n.parse::<u64>().is_ok())
        });
        fits && labels.len() >= 2 && 2 * labels.len() <= paths.len() && 2 * groups.len() <= paths.len()
    }
}

/// A spectrogram that fits the sounds: some of them are listened to.
fn fitting(tree: &Tree) -> Result<Spectrogram> {
    let count = tree.pictures.len();
    let step = count.div_ceil(HEARD);
    let mut broken = None;
    let mut heard = vec![];
    for path in tree.pictures.iter().step_by(step) {
        match sound(&tree.root, path) {
            Ok(sound) => heard.push((sound.rate, sound.samples.len() as f64 / f64::from(sound.rate))),
            Err(error) => broken = broken.or(Some(error)),
        }
    }
    heard.sort_by(|a, b| a.1.total_cmp(&b.1));
    let Some((_, seconds)) = heard.get((heard.len() * 95).div_ceil(100).saturating_sub(1)).copied() else {
        // There is one at least.
        return Err(broken.unwrap_or_else(|| Error::Invalid("source 'audio': no sounds".into())));
    };
    let mut rates: Vec<u32> = heard.iter().map(|(rate, _)| *rate).collect();
    rates.sort_unstable();
    let rate = rates[rates.len() / 2];
    let n_fft = (2f64.powf((f64::from(rate) * WINDOW).log2().round()) as usize).clamp(64, 4096);
    Ok(Spectrogram {
        rate: Some(rate),
        // Tenths of a second read better.
        duration: Some(((10.0 * seconds).ceil() / 10.0).min(LONGEST)),
        stft: Stft { n_fft, hop_length: n_fft / 2, ..Stft::default() },
        mel: Some(Mel { n_mels: BANDS.min(n_fft / 4), ..Mel::default() }),
        ..Spectrogram::default()
    })
}

/// A sound below `root`.
fn sound(root: &Path, path: &str) -> Result<Sound> {
    let full = root.join(path);
    let unreadable = |source| Error::Read { path: full.clone(), source };
    let metadata = std::fs::metadata(&full).map_err(unreadable)?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        let why = format!("it is no regular file of at most {LARGEST} bytes");
        return Err(Error::Decode { name: path.into(), why });
    }
    audio::decode(path, &std::fs::read(&full).map_err(unreadable)?)
}

/// Draws sounds below `root`.
fn reader(root: PathBuf, spectrogram: Spectrogram, color: Option<Color>) -> Reader {
    Arc::new(move |path| {
        let wrong = |error: Error| Error::Decode { name: path.into(), why: error.to_string() };
        let image = spectrogram.image(&sound(&root, path)?).map_err(wrong)?;
        let stored_channels = image.channels();
        let (width, height) = (image.width(), image.height());
        let image = match (stored_channels, color) {
            (1, Some(Color::Rgb)) => {
                let pixels = image.pixels().iter().flat_map(|&level| [level; 3]).collect();
                Image::new(width, height, 3, pixels)?
            }
            (3, Some(Color::Gray)) => Image::new(width, height, 1, image.pixels().chunks_exact(3).map(luma).collect())?,
            _ => image,
        };
        Ok(Decoded { image, format: "audio", stored_channels, is_deep: false })
    })
}

//! Pictures whose channels are a file each: microscopes with a stain per channel.

use super::csv::{Csv, names, one_or_several};
use super::files::Tree;
use super::{Alone, Collection, Found, Listing, Reader, Source};
use crate::cache::DiskCached;
use crate::decode::Color;
use crate::error::{Error, Result};
use crate::image::Image;
use crate::labels::Labels;
use crate::row::Row;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// A gray file per channel, found by a pattern, with labels from a table beside them, as those of `csv`, or from class folders.
/// The pattern fits the end of a path; a name in braces stands for a part of a file's or folder's name, `{channel}` for one of
/// the channels. What the pattern names beside the id and the channel (`{site}`) tells the several pictures of one sample apart.
/// A picture that lacks a channel is left out and said so.
///
/// | field | default | range |
/// |---|---|---|
/// | `path` | required | the folder of everything, or the table |
/// | `pattern` | found | such as `{id}_{channel}.png` or `{experiment}/Plate{plate}/{well}_s{site}_w{channel}.png` |
/// | `channels` | found | the values of `{channel}` in the order of the picture's channels, at least one |
/// | `id` | found | column of what the pattern calls `{id}`, or a pattern of columns that are its other names: `{experiment}_{plate}_{well}` |
/// | `table`, `test_table`, `sample_submission`, `label`, `target`, `group`, `meta` | as `csv` | as `csv` |
///
/// Found are the two layouts of the Human Protein Atlas (red, green, blue, yellow) and of Recursion's RxRx1 (1 to 6).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Multichannel {
    /// The root, or the table in it.
    pub path: PathBuf,
    /// How the files are called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// What stands for `{channel}`, in the order of the picture's channels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    /// Column of the id, or a pattern of columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Table of the training part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Table of the test part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_table: Option<String>,
    /// Example of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_submission: Option<String>,
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
    /// Column of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Columns of metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meta: Vec<String>,
}

/// Layouts that are found: pattern, channels, and the pattern of ids.
const KNOWN: [(&str, &[&str], &str); 2] = [
    ("{id}_{channel}.png", &["red", "green", "blue", "yellow"], "{id}"),
    (
        "{experiment}/Plate{plate}/{well}_s{site}_w{channel}.png",
        &["1", "2", "3", "4", "5", "6"],
        "{experiment}_{plate}_{well}",
    ),
];
/// What stands for the channel in the path of a picture.
const HOLE: &str = "{channel}";

/// Whether a tree is one of the known layouts with a table.
pub(super) fn lies_in(tree: &Tree) -> bool {
    !tree.tables.is_empty() && known(tree).is_some()
}

/// The known layout that most pictures of a tree have.
fn known(tree: &Tree) -> Option<&'static (&'static str, &'static [&'static str], &'static str)> {
    KNOWN.iter().find(|(pattern, channels, _)| {
        let channels: Vec<String> = channels.iter().map(ToString::to_string).collect();
        let Ok(pattern) = Pattern::new(pattern, &channels) else { return false };
        let fitting = tree.pictures.iter().filter_map(|path| pattern.fit(path));
        let mut seen = vec![false; channels.len()];
        let count = fitting.map(|fit| seen[fit.channel] = true).count();
        2 * count >= tree.pictures.len() && seen.into_iter().all(|seen| seen)
    })
}

impl Source for Multichannel {
    fn open(&mut self) -> Result<Collection> {
        let mut csv = Csv {
            path: self.path.clone(),
            table: self.table.take(),
            test_table: self.test_table.take(),
            sample_submission: self.sample_submission.take(),
            label: std::mem::take(&mut self.label),
            target: self.target.clone(),
            group: self.group.clone(),
            meta: self.meta.clone(),
            ..Csv::default()
        };
        csv.enter();
        let mut tree = Tree::walk(&csv.path)?;
        if self.pattern.is_none() {
            let (pattern, channels, id) = known(&tree).ok_or_else(|| {
                let why = "its files are called in no known way; say with data.pattern and data.channels how they are called, \
                           such as '{id}_{channel}.png'";
                Error::Layout { path: csv.path.clone(), why: why.into() }
            })?;
            self.pattern = Some(pattern.to_string());
            if self.channels.is_empty() {
                self.channels = channels.iter().map(ToString::to_string).collect();
            }
            self.id = self.id.take().or_else(|| (*id != "{id}").then(|| id.to_string()));
        }
        let text = self.pattern.as_deref().unwrap_or_default();
        let pattern = Pattern::new(text, &self.channels).map_err(Error::Invalid)?;
        let key = self.id.as_deref().filter(|id| id.contains('{')).unwrap_or("{id}");
        let key = Template::new(key, &pattern).map_err(Error::Invalid)?;
        let (gathered, has_several) = (gather(&tree, &pattern, &key), key.leaves_out);
        if gathered.samples.is_empty() {
            let why = match gathered.lacking.first() {
                Some(file) => format!("no picture has all channels, '{file}' is not there; correct data.channels"),
                None => format!("no file fits data.pattern '{text}' with the channels {}", self.channels.join(", ")),
            };
            return Err(Error::Layout { path: csv.path, why });
        }
        let read = reader(&tree, self.channels.clone());
        let others = tree.pictures.len() - gathered.files;
        tree.pictures = gathered.samples.keys().cloned().collect();
        csv.id = self.id.clone();
        let root = tree.root.clone();
        let mut found = csv.open_any(tree, read.clone())?;
        if let Some(first) = gathered.lacking.first() {
            let shown = gathered.lacking.iter().take(10).map(|file| format!("'{file}'")).collect::<Vec<_>>().join(", ");
            let count = gathered.lacking.len();
            found.warnings.push(match count {
                1 => format!("the channel '{first}' is missing; its picture is left out"),
                _ => format!("{count} channels are missing and their pictures are left out: {shown}"),
            });
        }
        if others > 0 {
            found.warnings.push(format!("{others} pictures do not fit data.pattern and are ignored"));
        }
        Csv {
            path: self.path,
            table: self.table,
            test_table: self.test_table,
            sample_submission: self.sample_submission,
            id: self.id,
            label: self.label,
            ..
        } = csv;
        let channels = self.channels.clone();
        found.stamp = Arc::new(move |path| {
            let files = channels.iter().map(|channel| root.join(path.replace(HOLE, channel)));
            DiskCached::stamp_of(&files.collect::<Vec<_>>())
        });
        Ok(spread(found, &gathered.samples, has_several, read))
    }

    fn alone(&self) -> Alone {
        Alone::Nothing
    }
}

/// A part of a pattern.
#[derive(Debug, PartialEq)]
enum Piece {
    Text(String),
    /// The place of a name.
    Name(usize),
    Channel,
}

/// How files are called.
struct Pattern {
    pieces: Vec<Piece>,
    names: Vec<String>,
    channels: Vec<String>,
    /// Folders that it names.
    folders: usize,
}

/// What a file's name says.
struct Fit<'a> {
    /// Of the folders above the pattern, with a `/` behind.
    above: &'a str,
    channel: usize,
    /// A value for each name.
    values: Vec<&'a str>,
}

/// What cannot fit.
type Failed = BTreeSet<(usize, usize, usize)>;

/// The texts and names of `{a}_{b}`.
fn pieces(pattern: &str) -> Result<Vec<(&str, Option<&str>)>, String> {
    let mut parts = pattern.split('{');
    let mut found = vec![(parts.next().unwrap_or_default(), None)];
    for part in parts {
        let (name, text) = part.split_once('}').ok_or("a brace is not closed")?;
        found.push((text, Some(name)));
    }
    Ok(found)
}

impl Pattern {
    fn new(pattern: &str, channels: &[String]) -> Result<Self, String> {
        let wrong = |why: &str| format!("data.pattern '{pattern}': {why}; expected such as '{{id}}_{{channel}}.png'");
        let mut this =
            Self { pieces: vec![], names: vec![], channels: channels.to_vec(), folders: pattern.matches('/').count() };
        for (text, name) in pieces(pattern).map_err(|why| wrong(&why))? {
            if let Some(name) = name {
                if !matches!(this.pieces.last(), None | Some(Piece::Text(_))) {
                    return Err(wrong("between two names there must be a text"));
                }
                let place = this.names.iter().position(|other| other == name);
                this.pieces.push(match (name, place) {
                    ("channel", _) => Piece::Channel,
                    (_, Some(_)) => return Err(wrong("a name stands in it twice")),
                    _ => {
                        this.names.push(name.into());
                        Piece::Name(this.names.len() - 1)
                    }
                });
            }
            if !text.is_empty() {
                this.pieces.push(Piece::Text(text.into()));
            }
        }
        let twice = (1..channels.len()).any(|i| channels[..i].contains(&channels[i]));
        match () {
            () if !this.pieces.contains(&Piece::Channel) => Err(wrong("it has no {channel}")),
            () if this.names.is_empty() => Err(wrong("it names nothing that tells pictures apart")),
            () if channels.is_empty() || channels.iter().any(String::is_empty) || twice => {
                Err("data.channels must be the values of {channel}, each once, such as [\"red\", \"green\"]".into())
            }
            () => Ok(this),
        }
    }

    /// What the name at `path` says, if it fits.
    fn fit<'a>(&self, path: &'a str) -> Option<Fit<'a>> {
        let start = path.rmatch_indices('/').nth(self.folders).map_or(0, |(slash, _)| slash + 1);
        let (above, rest) = path.split_at(start);
        let mut fit = Fit { above, channel: usize::MAX, values: vec![""; self.names.len()] };
        self.fits(0, rest, &mut fit, &mut BTreeSet::new()).then_some(fit)
    }

    /// Whether `text` is what is left of the pieces from `place`; the first names are as long as they can be. `failed` holds
    /// what was tried of names: piece, length of the text, channel.
    fn fits<'a>(&self, place: usize, text: &'a str, fit: &mut Fit<'a>, failed: &mut Failed) -> bool {
        let Some(piece) = self.pieces.get(place) else { return text.is_empty() };
        let next = place + 1;
        match piece {
            Piece::Text(expected) => {
                text.strip_prefix(expected.as_str()).is_some_and(|rest| self.fits(next, rest, fit, failed))
            }
            Piece::Channel => (0..self.channels.len()).any(|channel| {
                let before = std::mem::replace(&mut fit.channel, channel);
                let rest = text.strip_prefix(self.channels[channel].as_str());
                // A channel that stands twice is the same one.
                let fits = [usize::MAX, channel].contains(&before)
                    && rest.is_some_and(|rest| self.fits(next, rest, fit, failed));
                if !fits {
                    fit.channel = before;
                }
                fits
            }),
            Piece::Name(name) => {
                let tried = (place, text.len(), fit.channel);
                let longest = text.find('/').unwrap_or(text.len());
                let mut ends = (1..=longest).rev().filter(|end| text.is_char_boundary(*end));
                let fits = !failed.contains(&tried)
                    && ends.any(|end| {
                        let (value, rest) = text.split_at(end);
                        fit.values[*name] = value;
                        self.fits(next, rest, fit, failed)
                    });
                if !fits {
                    failed.insert(tried);
                }
                fits
            }
        }
    }

    /// The path of a picture: that of its files with [`HOLE`] in place of the channel.
    fn path(&self, fit: &Fit<'_>) -> String {
        let mut path = fit.above.to_string();
        for piece in &self.pieces {
            path.push_str(match piece {
                Piece::Text(text) => text,
                Piece::Name(name) => fit.values[*name],
                Piece::Channel => HOLE,
            });
        }
        path
    }
}

/// How the names of a pattern make an id.
struct Template<'a> {
    /// Texts, each behind the place of a name.
    pieces: Vec<(&'a str, Option<usize>)>,
    /// Whether other names tell apart the pictures of a sample.
    leaves_out: bool,
}

impl<'a> Template<'a> {
    fn new(template: &'a str, pattern: &Pattern) -> Result<Self, String> {
        let known = pattern.names.join(", ");
        let place = |(text, name): (&'a str, Option<&'a str>)| {
            let place = |name: &str| {
                let found = pattern.names.iter().position(|other| other == name);
                found.ok_or_else(|| {
                    format!("data.id: the pattern of files has no '{{{name}}}', only {known}; name it there, or compose the id")
                })
            };
            Ok::<_, String>((text, name.map(place).transpose()?))
        };
        let pieces = pieces(template).map_err(|why| format!("data.id '{template}': {why}"))?;
        let pieces = pieces.into_iter().map(place).collect::<Result<Vec<_>, _>>()?;
        let leaves_out = (0..pattern.names.len()).any(|name| !pieces.iter().any(|(_, place)| *place == Some(name)));
        Ok(Self { pieces, leaves_out })
    }

    fn fill(&self, fit: &Fit<'_>) -> String {
        let mut id = fit.above.to_string();
        for (text, name) in &self.pieces {
            id.push_str(name.map_or("", |name| fit.values[name]));
            id.push_str(text);
        }
        id
    }
}

/// What lies below a tree.
#[derive(Default)]
struct Gathered {
    /// Whole pictures of each sample.
    samples: BTreeMap<String, Vec<String>>,
    /// Files of channels that are not there, while others of their picture are.
    lacking: Vec<String>,
    /// Files that fit the pattern.
    files: usize,
}

fn gather(tree: &Tree, pattern: &Pattern, key: &Template<'_>) -> Gathered {
    let mut gathered = Gathered::default();
    let mut pictures = BTreeMap::<String, (String, Vec<bool>)>::new();
    for fit in tree.pictures.iter().filter_map(|path| pattern.fit(path)) {
        let none = || (key.fill(&fit), vec![false; pattern.channels.len()]);
        pictures.entry(pattern.path(&fit)).or_insert_with(none).1[fit.channel] = true;
        gathered.files += 1;
    }
    for (path, (sample, channels)) in pictures {
        let lacking = pattern.channels.iter().zip(&channels).filter(|(_, is_there)| !**is_there);
        let lacking: Vec<String> = lacking.map(|(channel, _)| path.replace(HOLE, channel)).collect();
        if lacking.is_empty() {
            gathered.samples.entry(sample).or_default().push(path);
        }
        gathered.lacking.extend(lacking);
    }
    gathered
}

/// Decodes a picture from its channels' files.
fn reader(tree: &Tree, channels: Vec<String>) -> Reader {
    let gray = tree.reader(Color::Gray);
    Arc::new(move |path| {
        let mut planes = vec![];
        for channel in &channels {
            planes.push(gray(&path.replace(HOLE, channel))?);
        }
        let sides = |n: usize| planes[n].image.dims();
        if let Some(other) = (1..planes.len()).find(|&n| sides(n) != sides(0)) {
            let size = |n: usize| format!("'{}' {}×{}", channels[n], sides(n)[2], sides(n)[1]);
            let why = format!("its channels have different sizes: {}, {}; store them alike", size(0), size(other));
            return Err(Error::Decode { name: path.into(), why });
        }
        let [_, height, width, _] = sides(0);
        let mut pixels = vec![0; width * height * planes.len()];
        for (channel, plane) in planes.iter().enumerate() {
            let values = pixels.iter_mut().skip(channel).step_by(planes.len());
            values.zip(plane.image.pixels()).for_each(|(value, level)| *value = *level);
        }
        let stored_channels = planes.len();
        let mut decoded = planes.swap_remove(0);
        decoded.image = Image::new(width, height, stored_channels, pixels)?;
        Ok(crate::decode::Decoded { stored_channels, ..decoded })
    })
}

/// A row for each picture of the samples that `found` has as rows.
fn spread(found: Collection, samples: &BTreeMap<String, Vec<String>>, has_several: bool, read: Reader) -> Collection {
    let mut pictures: Vec<&[String]> = vec![&[]; found.dataset.rows().len()];
    let mut files: Vec<Found> = vec![];
    for file in &found.files {
        let own = samples.get(&file.path).map_or(&[][..], Vec::as_slice);
        match file.row {
            Some(row) => pictures[row] = own,
            None => files.extend(own.iter().map(|path| Found { path: path.clone(), row: None })),
        }
    }
    let (mut rows, mut paths) = (vec![], vec![]);
    for (row, own) in found.dataset.rows().iter().zip(pictures) {
        for path in own {
            files.push(Found { path: path.clone(), row: Some(rows.len()) });
            paths.push(path.clone());
            rows.push(match has_several {
                true => Row { id: path.clone(), sample: Some(row.id.clone()), ..row.clone() },
                false => row.clone(),
            });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let (classes, columns) = (found.dataset.classes().to_vec(), found.dataset.columns().to_vec());
    let dataset = Arc::new(Listing { rows, paths, classes, columns, read: read.clone() });
    Collection { dataset, files, read, ..found }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(pattern: &str, channels: &[&str], path: &str) -> Option<String> {
        let channels: Vec<String> = channels.iter().map(ToString::to_string).collect();
        let pattern = Pattern::new(pattern, &channels).unwrap();
        let fit = pattern.fit(path)?;
        assert_eq!(pattern.path(&fit).replace(HOLE, &channels[fit.channel]), path);
        Some(format!("{}|{}|{}", fit.above, fit.values.join(","), channels[fit.channel]))
    }

    #[test]
    fn patterns_fit_the_ends_of_paths() {
        let (atlas, colors, _) = KNOWN[0];
        assert_eq!(fitted(atlas, colors, "train/a_b_red.png"), Some("train/|a_b|red".into()));
        assert_eq!(fitted(atlas, colors, "train/a_b_pink.png"), None);
        assert_eq!(fitted(atlas, colors, "_red.png"), None);
        let (rxrx, numbers, _) = KNOWN[1];
        let path = "train/HEPG2-01/Plate1/B03_s1_w3.png";
        assert_eq!(fitted(rxrx, numbers, path), Some("train/|HEPG2-01,1,B03,1|3".into()));
        assert_eq!(fitted(rxrx, numbers, "Plate1/B03_s1_w3.png"), None);
        assert_eq!(
            fitted("{channel}/{id}_{channel}.png", &["a", "ab"], "x/ab/größe_ab.png"),
            Some("x/|größe|ab".into())
        );
        assert_eq!(fitted("{channel}/{id}_{channel}.png", &["a", "b"], "a/1_b.png"), None);
        // Ways to cut a name that are more than can be tried.
        let names = "{a}_{b}_{c}_{d}_{e}_{f}_{g}_{h}_{channel}.png";
        assert_eq!(fitted(names, &["x"], &"_".repeat(400)), None);
    }

    #[test]
    fn patterns_that_say_too_little_are_refused() {
        let why = |pattern: &str, channels: &[&str]| {
            let channels: Vec<String> = channels.iter().map(ToString::to_string).collect();
            Pattern::new(pattern, &channels).err().unwrap_or_default()
        };
        assert!(why("{id}.png", &["a"]).contains("no {channel}"));
        assert!(why("{channel}.png", &["a"]).contains("tells pictures apart"));
        assert!(why("{id}{channel}.png", &["a"]).contains("must be a text"));
        assert!(why("{id}_{id}_{channel}", &["a"]).contains("twice"));
        assert!(why("{id_{channel}", &["a"]).contains("not closed"));
        assert!(
            why("{id}_{channel}", &["a", "a"]).contains("data.channels")
                && why("{id}_{channel}", &[]).contains("each once")
        );
    }
}

//! Cars, cyclists and pedestrians as they move, which become pictures of what one of them sees.

use super::csv::{names, one_or_several};
use super::files::{Budget, Tree, is_sample, memory_mb};
use super::records::Records;
use super::sheet::{Head, Roles, Sheets, enter, find_tables, undecoded};
use super::{Alone, Collection, Reader, Source, Stamper};
use crate::cache::DiskCached;
use crate::convert::Raster;
use crate::convert::raster::Agent;
use crate::decode::Decoded;
use crate::error::{Error, Result};
use crate::labels::Labels;
use crate::row::Part;
use crate::table::Lines;
use csv::StringRecord;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A table of boxes, one for each agent in each frame (`scene,frame,track,x,y,yaw,length,width`: meters, yaw in radians,
/// counter-clockwise from x), and a table of samples (`scene,frame,track` and labels): each is the picture of what that agent sees
/// in that frame and those before it, by [`Raster`] without a map. Scenes are words, frames and tracks whole numbers; frames that
/// follow one another differ by 1.
///
/// Boxes are held in memory, so that a picture costs no search through their table. Samples of a scene show the same agents, so
/// scenes are groups where nothing else is said.
///
/// | field | default | range |
/// |---|---|---|
/// | `path` | required | a folder with the tables |
/// | `boxes` | found | table of the boxes, relative to the folder: the one with their columns |
/// | `table` | found | table of the training part's samples |
/// | `test_table` | found beside it | table of the test part's samples |
/// | `raster` | [`Raster`] | how boxes are drawn: 224 by 224 of 0.5 m, 10 frames before, so 22 channels |
/// | `memory_mb` | 2048 | most memory that boxes may take, MiB, 72 bytes each |
/// | `label` | found | a column, or several: of a regression one for each value |
/// | `target` | class | what the labels are ([`Labels`]): class, multi_label, ordinal, distribution, regression |
/// | `id` | found | a column called `id`; else the number of the row in its table, from 1 |
/// | `part` | found | column that says what a row is for, one called `Usage` where it does: train, val or test |
/// | `group` | scene | column whose values never sit in two folds |
/// | `meta` | none | columns that join the network's head: numbers or categories |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trajectories {
    /// The root.
    pub path: PathBuf,
    /// Table of the boxes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boxes: Option<String>,
    /// Table of the training part's samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Table of the test part's samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_table: Option<String>,
    /// How boxes are drawn.
    #[serde(default)]
    pub raster: Raster,
    /// Most memory that boxes may take, MiB.
    #[serde(default = "memory_mb")]
    pub memory_mb: u64,
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
    /// Column of the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Column that says which part a row is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Column of the group.
    #[serde(default = "scene")]
    pub group: String,
    /// Columns of metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meta: Vec<String>,
}

/// What says which box a row means.
const KEY: [&str; 3] = ["scene", "frame", "track"];
/// What a box is.
const BOX: [&str; 5] = ["x", "y", "yaw", "length", "width"];

fn scene() -> String {
    KEY[0].into()
}

/// All boxes.
struct Boxes {
    scenes: BTreeMap<String, u32>,
    /// By scene and frame.
    seen: Vec<Seen>,
}

/// A box in a frame of a scene.
struct Seen {
    scene: u32,
    frame: i64,
    agent: Agent,
}

impl Seen {
    fn key(&self) -> (u32, i64, u64) {
        (self.scene, self.frame, self.agent.id)
    }
}

/// The columns of the table at `path`, of which `numbers` are those of these names.
fn head(path: &Path, names: &[&str]) -> Result<Head> {
    let mut lines = Lines::open(path)?;
    let wrong = |why: String| Error::Table { path: path.into(), why };
    let first = lines.next_line()?.ok_or_else(|| wrong("it is empty; expected a header line".into()))?;
    let mut head = Head::titled(path, first.cells)?;
    let place = |name: &str| head.names.iter().position(|own| own == name);
    if let Some(missing) = names.iter().find(|name| place(name).is_none()) {
        return Err(wrong(format!("column '{missing}' is not in it; expected {}", names.join(", "))));
    }
    head.numbers = names.iter().filter_map(|name| place(name)).collect();
    Ok(head)
}

/// The cells of `numbers`, with their names.
fn cells<'a, const N: usize>(row: &'a StringRecord, head: &'a Head) -> [(&'a str, &'a str); N] {
    std::array::from_fn(|i| {
        let column = head.numbers[i];
        (row.get(column).unwrap_or_default(), head.names[column].as_str())
    })
}

fn whole<T: std::str::FromStr>((cell, name): (&str, &str)) -> Result<T, String> {
    cell.parse().map_err(|_| format!("column '{name}' holds '{cell}', which is no whole number of its kind"))
}

fn number((cell, name): (&str, &str)) -> Result<f64, String> {
    let value = cell.parse().ok().filter(|value: &f64| value.is_finite());
    value.ok_or_else(|| format!("column '{name}' holds '{cell}', which is no number"))
}

impl Boxes {
    /// Reads the table at `path`.
    fn read(path: &Path, memory_mb: u64) -> Result<Self> {
        let mut budget = Budget::new("trajectories", memory_mb)?;
        let head = head(path, &[&KEY[..], &BOX].concat())?;
        let wrong = |line: u64, why: String| Error::Table { path: path.into(), why: format!("line {line}: {why}") };
        let (mut scenes, mut seen) = (BTreeMap::<String, u32>::new(), vec![]);
        let mut lines = Lines::open(path)?;
        lines.next_line()?;
        while let Some(line) = lines.next_line()? {
            let at = line.number;
            if line.cells.len() != head.names.len() {
                let (found, wanted) = (line.cells.len(), head.names.len());
                return Err(wrong(at, format!("it has {found} cells, expected {wanted}")));
            }
            let [scene, frame, track, x, y, yaw, length, width] = cells(line.cells, &head);
            let agent = || -> Result<(i64, Agent), String> {
                let (center, extent) = ([number(x)?, number(y)?], [number(length)?, number(width)?]);
                Ok((whole(frame)?, Agent { id: whole(track)?, center, yaw: number(yaw)?, extent }))
            };
            let (frame, agent) = agent().map_err(|why| wrong(at, why))?;
            budget.take(size_of::<Seen>() as u64, path)?;
            let next = u32::try_from(scenes.len()).map_err(|_| wrong(at, "there are too many scenes".into()))?;
            let scene = match scenes.get(scene.0) {
                Some(&scene) => scene,
                None => *scenes.entry(scene.0.into()).or_insert(next),
            };
            seen.push(Seen { scene, frame, agent });
        }
        seen.sort_by_key(Seen::key);
        if let Some(twice) = seen.windows(2).find(|pair| pair[0].key() == pair[1].key()) {
            let (frame, track) = (twice[0].frame, twice[0].agent.id);
            let scene = scenes.iter().find(|(_, scene)| **scene == twice[0].scene).map_or("", |(name, _)| name);
            let why = format!("track {track} has two boxes in frame {frame} of scene '{scene}'");
            return Err(Error::Table { path: path.into(), why });
        }
        Ok(Self { scenes, seen })
    }

    /// Who is there in a frame.
    fn frame(&self, scene: u32, frame: i64) -> &[Seen] {
        let start = self.seen.partition_point(|seen| (seen.scene, seen.frame) < (scene, frame));
        let end = self.seen.partition_point(|seen| (seen.scene, seen.frame) <= (scene, frame));
        &self.seen[start..end]
    }

    /// Scene, frame and track that a sample names, where there is such a box.
    fn sample(&self, row: &StringRecord, head: &Head) -> Result<(u32, i64, u64), String> {
        let [(scene, _), frame, track] = cells(row, head);
        let (frame, track): (i64, u64) = (whole(frame)?, whole(track)?);
        let known = self
            .scenes
            .get(scene)
            .copied()
            .filter(|&scene| self.seen.binary_search_by_key(&(scene, frame, track), Seen::key).is_ok());
        let scene = known.ok_or_else(|| {
            format!("track {track} has no box in frame {frame} of scene '{scene}'; add it to data.boxes or leave the row out")
        })?;
        Ok((scene, frame, track))
    }
}

impl Source for Trajectories {
    fn open(&mut self) -> Result<Collection> {
        enter(&mut self.path, &mut self.table);
        // What cannot be drawn of one agent cannot be drawn at all.
        let one = Agent { id: 0, center: [0.0; 2], yaw: 0.0, extent: [1.0; 2] };
        self.raster.image(&[vec![one]], 0, None)?;
        let mut tree = Tree::walk(&self.path)?;
        let boxes = self.find_boxes(&tree)?;
        tree.tables.retain(|table| *table != boxes);
        find_tables(&tree, &mut self.table, &mut self.test_table)?;
        let table = self.table.clone().unwrap_or_default();
        let path = self.path.join(&table);
        let own = head(&path, &KEY)?;
        let roles = self.roles(&path, &own)?;
        let boxes = self.path.join(boxes);
        let drawn = DiskCached::file_stamp(&boxes);
        let boxes = Boxes::read(&boxes, self.memory_mb)?;
        let (mut sheets, mut scenes) = (Sheets::new("trajectories"), vec![]);
        let mut read = |name: &str, head: &Head, part| {
            sheets.read((self.path.as_path(), name), head, &roles, part, &mut |_, row| {
                boxes.sample(row, head)?;
                scenes.push(cells::<3>(row, head)[0].0.to_string());
                Ok(())
            })
        };
        let mut records = read(&table, &own, Part::Train)?;
        let mut heads = vec![own];
        if let Some(test) = &self.test_table {
            let other = head(&self.path.join(test), &KEY)?;
            records.extend(read(test, &other, Part::Test)?);
            heads.push(other);
        }
        if self.group == scene() {
            records.iter_mut().zip(scenes).for_each(|(record, scene)| record.group = Some(scene));
        }
        let (raster, own) = (self.raster.clone(), sheets.stamper());
        let stamp: Stamper = Arc::new(move |path| Some(own(path)? + drawn.as_deref()?));
        let read: Reader = Arc::new(move |name| {
            let row = sheets.find(name)?;
            let wrong = |why: String| undecoded(name, row.line, &why);
            let (scene, frame, track) = boxes.sample(&row.cells, &heads[row.sheet]).map_err(wrong)?;
            let agents = |frame| boxes.frame(scene, frame).iter().map(|seen| seen.agent).collect();
            let frames: Vec<Vec<Agent>> =
                (0..=raster.history as i64).map_while(|before| frame.checked_sub(before)).map(agents).collect();
            let image = raster.image(&frames, track, None).map_err(|error| wrong(error.to_string()))?;
            let stored_channels = image.channels();
            Ok(Decoded { image, format: "trajectories", stored_channels, is_deep: false })
        });
        let (columns, meta) = (self.label.clone(), self.meta.clone());
        let records = Records { columns, meta, records, unowned: vec![], read, stamp };
        let found = records.collect(&self.target, &path)?;
        let sample_submission = tree.sample_submission().map(|table| tree.root.join(table));
        Ok(Collection { sample_submission, ..found })
    }

    fn alone(&self) -> Alone {
        Alone::Nothing
    }
}

impl Trajectories {
    /// The table of the boxes.
    fn find_boxes(&mut self, tree: &Tree) -> Result<String> {
        if let Some(boxes) = &self.boxes {
            return Ok(boxes.clone());
        }
        let is_boxes =
            |table: &&String| !is_sample(table) && head(&tree.root.join(table), &[&KEY[..], &BOX].concat()).is_ok();
        let found: Vec<&String> = tree.tables.iter().filter(is_boxes).collect();
        let wrong = |why: String| Err(Error::Layout { path: self.path.clone(), why });
        match found[..] {
            [one] => {
                self.boxes = Some(one.clone());
                Ok(one.clone())
            }
            [] => wrong(format!("no table below it has the columns of boxes: {}, {}", KEY.join(", "), BOX.join(", "))),
            [first, second, ..] => {
                wrong(format!("it has several tables of boxes, as '{first}' and '{second}'; say which with data.boxes"))
            }
        }
    }

    /// What the columns of samples are, which is written down.
    fn roles(&mut self, path: &Path, head: &Head) -> Result<Roles> {
        let mut roles = Roles {
            label: self.label.clone(),
            kind: self.target.kind,
            id: self.id.clone(),
            part: self.part.clone(),
            group: Some(self.group.clone()).filter(|group| *group != scene()),
            meta: self.meta.clone(),
        };
        roles.find(path, head)?;
        (self.label, self.id, self.part) = (roles.label.clone(), roles.id.clone(), roles.part.clone());
        Ok(roles)
    }
}

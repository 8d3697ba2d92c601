//! Galleries of pictures as they are, and of their means.

use super::super::thumbnail::{planes, thumbnail};
use super::{Look, SAMPLES};
use eval::report::page::{Block, Encoded, Picture, Section};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Most channels that are shown of a picture.
const CHANNELS: usize = 12;
/// Most pictures of a group.
const OF_GROUP: usize = 4;

/// What is to be shown: paths, and lines below them.
pub(super) type Wanted = (Vec<String>, Vec<String>);

impl Look<'_> {
    /// A few pictures of every class, spread over its rows, and the mean of all.
    pub(super) fn samples(&self) -> Section {
        let (rows, classes) = (self.collection.dataset.rows(), self.collection.dataset.classes());
        let mut members: BTreeMap<&str, Vec<&str>> = classes.iter().map(|class| (class.as_str(), vec![])).collect();
        for file in &self.collection.files {
            let row = file.row.map(|row| &rows[row]).filter(|row| row.part != data::Part::Test);
            for name in row.map_or(vec![], |row| self.labels_of(row)) {
                members.entry(name).or_default().push(&file.path);
            }
        }
        let seen: Vec<(&str, Vec<&str>)> = classes
            .iter()
            .filter_map(|class| members.remove_entry(class.as_str()))
            .filter(|(_, m)| !m.is_empty())
            .collect();
        let each = (SAMPLES / seen.len().max(1)).clamp(1, 6);
        let mut wanted = vec![];
        for (name, paths) in seen.iter().take(SAMPLES) {
            let step = paths.len().div_ceil(each).max(1);
            wanted.extend(paths.iter().step_by(step).map(|path| (vec![path.to_string()], vec![name.to_string()])));
        }
        let about = match seen.len() > SAMPLES {
            true => format!("One of each of the first {SAMPLES} of {} classes.", seen.len()),
            false => {
                "Some of each class, spread over its rows. Channels are gray pictures of their own where there are \
                      not one or three."
                    .into()
            }
        };
        let mut blocks = vec![Block::Gallery(self.gallery(wanted, false))];
        let means = self.report.mean_images.iter().take(SAMPLES).filter_map(|mean| {
            let name = mean.class.clone();
            let lines = vec![format!("mean of {}", mean.count)];
            Some(Picture { images: encoded(&mean.image, &format!("mean of {name}"))?, name, lines })
        });
        blocks.push(Block::Heading("Mean pictures".into()));
        blocks.push(Block::Gallery(means.collect()));
        Section { title: "Samples".into(), about, blocks }
    }

    /// Pictures of several paths each; those that cannot be read are left out.
    pub(super) fn gallery(&self, wanted: Vec<Wanted>, labelled: bool) -> Vec<Picture> {
        let made = wanted.into_par_iter().map(|(paths, mut lines)| {
            let read = |path: &String| encoded(&(self.collection.read)(path).ok()?.image, path);
            let images: Vec<_> = paths.iter().take(OF_GROUP).filter_map(read).flatten().collect();
            let label = |path: &String| format!("{path}: {}", self.label(path));
            match paths.as_slice() {
                [path] if labelled => lines.push(self.label(path)),
                [_] => {}
                several => lines.extend(several.iter().skip(1).map(label)),
            }
            let first = paths.first().cloned().unwrap_or_default();
            let name = if paths.len() > 1 { label(&first) } else { first };
            Picture { images, name, lines }
        });
        made.filter(|picture| !picture.images.is_empty()).collect()
    }
}

/// A thumbnail, or one of each channel where there are not one or three.
pub(super) fn encoded(image: &data::Image, alt: &str) -> Option<Vec<Encoded>> {
    if matches!(image.channels(), 1 | 3) {
        return Some(vec![thumbnail(image, alt).ok()?]);
    }
    let planes = planes(image).ok()?;
    let one = |(c, plane): (usize, &data::Image)| thumbnail(plane, &format!("{alt}, channel {c}")).ok();
    planes.iter().take(CHANNELS).enumerate().map(one).collect()
}

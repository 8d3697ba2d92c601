//! Sides, bytes, channels and formats of the pictures.

use super::{Glance, Report, middle, usual_channels};
use crate::row::{Part, Row};
use crate::source::Found;
use serde::Serialize;
use std::collections::BTreeMap;

/// Sides of pictures, pixels, upright. Of an even number of pictures the median is the upper one of the two in the middle.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sizes {
    /// Smallest, median, largest width.
    pub width: [usize; 3],
    /// Smallest, median, largest height.
    pub height: [usize; 3],
    /// Smallest, median, largest number of slices, where there are volumes.
    #[serde(skip_serializing_if = "is_flat")]
    pub depth: [usize; 3],
    /// Smallest, median, largest width over height.
    pub aspect: [f64; 3],
    /// Smallest, median, largest file, bytes, where files are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<[u64; 3]>,
    /// The most frequent sizes: width, height, count.
    pub common: Vec<(usize, usize, usize)>,
}

fn is_flat(depth: &[usize; 3]) -> bool {
    depth[2] <= 1
}

impl Report {
    pub(super) fn measure(&mut self, files: &[Found], rows: &[Row]) {
        let seen: Vec<&Glance> = self.glances.iter().flatten().collect();
        let mut common = BTreeMap::<(usize, usize), usize>::new();
        for look in &seen {
            *common.entry((look.width as usize, look.height as usize)).or_default() += 1;
            *self.channels.entry(look.stored_channels as usize).or_default() += 1;
            *self.formats.entry(look.format.into()).or_default() += 1;
        }
        let side = |of: fn(&Glance) -> u32| spread(seen.iter().map(|l| of(l) as usize).collect(), usize::cmp);
        let bytes: Vec<u64> = self.bytes.iter().flatten().copied().collect();
        self.sizes = Sizes {
            width: side(|l| l.width),
            height: side(|l| l.height),
            depth: side(|l| l.depth),
            aspect: spread(seen.iter().map(|l| l.aspect()).collect(), f64::total_cmp),
            bytes: (!bytes.is_empty()).then(|| spread(bytes, u64::cmp)),
            common: common.into_iter().map(|((w, h), n)| (w, h, n)).collect(),
        };
        self.sizes.common.sort_by_key(|(w, h, n)| (std::cmp::Reverse(*n), *w, *h));
        self.sizes.common.truncate(10);

        // Statistics are those of the pictures to learn from; where none is labelled, of all.
        let learned = |file: &Found| file.row.is_some_and(|r| rows[r].part == Part::Train && rows[r].target.is_some());
        let any = files.iter().any(learned);
        let taken = self.glances.iter().zip(files).filter(|(_, file)| !any || learned(file));
        let taken: Vec<&Glance> = taken.filter_map(|(look, _)| look.as_ref()).collect();
        let channels = usual_channels(taken.iter().copied()).unwrap_or(0);
        let (mut sums, mut pixels) = (vec![[0.0; 2]; channels], 0.0);
        for look in taken.iter().filter(|look| look.sums.len() == channels) {
            pixels += look.pixels();
            for (sum, own) in sums.iter_mut().zip(&look.sums) {
                *sum = [sum[0] + own[0], sum[1] + own[1]];
            }
        }
        let means: Vec<f64> = sums.iter().map(|s| s[0] / f64::max(pixels, 1.0)).collect();
        let deviation = |(s, m): (&[f64; 2], &f64)| (s[1] / f64::max(pixels, 1.0) - m * m).max(0.0).sqrt() / 255.0;
        self.std = sums.iter().zip(&means).map(deviation).collect();
        self.mean = means.iter().map(|m| m / 255.0).collect();
        let deep = seen.iter().filter(|look| look.is_deep).count();
        if deep > 0 {
            self.warnings
                .push(format!("{deep} pictures have more than 8 bits per channel; only the highest 8 are used"));
        }
        let kinds: Vec<String> =
            self.channels.iter().map(|(stored, count)| format!("{count} {}", kind(*stored))).collect();
        let read = match channels {
            1 => "gray, of colors their brightness",
            _ => "color, gray in all three channels",
        };
        if kinds.len() > 1 && [1, 3].contains(&channels) && seen.iter().all(|look| look.sums.len() == channels) {
            self.warnings.push(format!(
                "files differ in what they store: {}; all are read as {read}, what is transparent over white (data.color)",
                kinds.join(", ")
            ));
        }
        let named: Vec<&str> = self.glances.iter().zip(files).filter_map(|(l, f)| misnamed(l.as_ref()?, f)).collect();
        if let Some(first) = named.first() {
            self.warnings.push(format!("{} files have another format than their name says, as '{first}'", named.len()));
        }
    }
}

/// What so many stored channels are.
fn kind(stored: usize) -> String {
    match stored {
        1 => "gray".into(),
        2 => "gray with transparency".into(),
        3 => "color".into(),
        4 => "color with transparency or CMYK".into(),
        other => format!("of {other} channels"),
    }
}

/// Smallest, median and largest.
fn spread<T: Copy + Default>(mut values: Vec<T>, order: impl Fn(&T, &T) -> std::cmp::Ordering) -> [T; 3] {
    values.sort_by(order);
    let last = values.last().copied().unwrap_or_default();
    [values.first().copied().unwrap_or_default(), middle(&values).unwrap_or_default(), last]
}

fn misnamed<'a>(look: &Glance, file: &'a Found) -> Option<&'a str> {
    let ending = file.path.rsplit('.').next().unwrap_or_default().to_lowercase();
    let format = match ending.as_str() {
        "jpg" | "jpeg" | "jpe" | "jfif" => "jpeg",
        "tif" | "tiff" => "tiff",
        "png" => "png",
        "bmp" => "bmp",
        "webp" => "webp",
        _ => return None,
    };
    (format != look.format && look.format != "drawn").then_some(file.path.as_str())
}

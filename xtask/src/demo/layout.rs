//! Where the pictures lie, and the tables beside them.

use super::defects::Defect;
use super::file::{Change, Content};
use super::plan::{Part, Plan, SITES, Sample};
use super::species::SPECIES;
use super::{Demo, Layout};
use anyhow::{Context, Result};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

impl Layout {
    fn class(self, species: usize) -> &'static str {
        match self {
            Self::Csv | Self::Nested => SPECIES[species].name,
            Self::FlatTest => SPECIES[species].full_name,
        }
    }

    /// Path below the data's folder.
    fn path(self, sample: &Sample) -> String {
        let Sample { part, stem, label, .. } = sample;
        let (class, file) = (self.class(*label), format!("{stem}.{}", sample.format.extension()));
        match (self, part) {
            (Self::Csv, _) => format!("images/{file}"),
            (Self::Nested, Part::Train) => format!("seg_train/seg_train/{class}/{file}"),
            (Self::Nested, Part::Test) => format!("seg_test/seg_test/{class}/{file}"),
            (Self::Nested, Part::Unlabeled) => format!("seg_pred/seg_pred/{file}"),
            (Self::FlatTest, Part::Train) => format!("train/{class}/{file}"),
            (Self::FlatTest, Part::Test | Part::Unlabeled) => format!("test/{file}"),
        }
    }

    fn id(self, sample: &Sample) -> String {
        if self == Self::Csv { sample.stem.clone() } else { self.path(sample) }
    }
}

/// Writes pictures, tables and `planted.json`.
pub fn write(plan: &Plan, demo: &Demo, folder: &Path, seed: u64) -> Result<()> {
    let files = |sample: &&Sample| sample.defect != Some(Defect::MissingFiles);
    for sample in plan.samples.iter().filter(files) {
        let path = folder.join(demo.layout.path(sample));
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("cannot create '{}'", parent.display()))?;
    }
    (0..plan.samples.len()).into_par_iter().filter(|&i| files(&&plan.samples[i])).try_for_each(|i| {
        let path = folder.join(demo.layout.path(&plan.samples[i]));
        fs::write(&path, bytes(plan, i, demo.size, seed)?).with_context(|| format!("cannot write '{}'", path.display()))
    })?;
    write_tables(plan, demo.layout, folder)?;
    let mut planted: BTreeMap<Defect, Vec<String>> = BTreeMap::new();
    for sample in &plan.samples {
        if let Some(defect) = sample.defect {
            planted.entry(defect).or_default().push(demo.layout.id(sample));
        }
    }
    planted.values_mut().for_each(|ids| ids.sort());
    let path = folder.join("planted.json");
    fs::write(&path, serde_json::to_vec_pretty(&planted)?).with_context(|| format!("cannot write '{}'", path.display()))
}

/// The file of sample `index`.
fn bytes(plan: &Plan, index: usize, size: u32, seed: u64) -> Result<Vec<u8>> {
    let sample = &plan.samples[index];
    let (original, change) = match sample.content {
        Content::Copy { of, how } => (of, how),
        Content::Drawn | Content::Broken { .. } => (index, Change::Identical),
    };
    let picture = plan.plants[plan.samples[original].plant].picture(original, size, seed);
    let file = sample.format.encode(&change.apply(&picture), change == Change::Rewritten)?;
    Ok(match sample.content {
        Content::Broken { how } => how.apply(file),
        Content::Drawn | Content::Copy { .. } => file,
    })
}

fn write_tables(plan: &Plan, layout: Layout, folder: &Path) -> Result<()> {
    let rows = |part: Part| {
        plan.samples.iter().filter(move |s| s.part == part && s.defect != Some(Defect::UnlabelledFiles)).enumerate()
    };
    let first = layout.class(0).to_string();
    match layout {
        Layout::Csv => {
            let train = rows(Part::Train).map(|(i, sample)| {
                let [plant, site, height] = about(plan, i, sample);
                [sample.stem.clone(), layout.class(sample.label).into(), plant, site, height]
            });
            write_table(&folder.join("train.csv"), ["id", "label", "plant", "site", "height_cm"], train)?;
            let test = rows(Part::Test).map(|(i, sample)| {
                let [plant, site, height] = about(plan, i, sample);
                [sample.stem.clone(), plant, site, height]
            });
            write_table(&folder.join("test.csv"), ["id", "plant", "site", "height_cm"], test)?;
            let answers = rows(Part::Test).map(|(_, sample)| [sample.stem.clone(), first.clone()]);
            write_table(&folder.join("sample_submission.csv"), ["id", "label"], answers)
        }
        Layout::FlatTest => {
            let file = |sample: &Sample| format!("{}.{}", sample.stem, sample.format.extension());
            let answers = rows(Part::Test).map(|(_, sample)| [file(sample), first.clone()]);
            write_table(&folder.join("sample_submission.csv"), ["file", "species"], answers)
        }
        Layout::Nested => Ok(()),
    }
}

/// Plant, site and height; where values are missing, by turns no site or no height.
fn about(plan: &Plan, row: usize, sample: &Sample) -> [String; 3] {
    let mut cells = [
        format!("P{:03}", sample.plant + 1),
        SITES[plan.plants[sample.plant].site].to_string(),
        format!("{:.1}", sample.height_cm),
    ];
    if sample.defect == Some(Defect::MissingValues) {
        cells[1 + row % 2].clear();
    }
    cells
}

fn write_table<const N: usize>(path: &Path, header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> Result<()> {
    let mut table = csv::Writer::from_writer(vec![]);
    table.write_record(header)?;
    for row in rows {
        table.write_record(row)?;
    }
    fs::write(path, table.into_inner()?).with_context(|| format!("cannot write '{}'", path.display()))
}

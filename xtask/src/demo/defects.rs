//! What is wrong with the data: each kind of defect in samples of its own.

use super::file::{Change, Content, Damage, Format};
use super::plan::{Part, Plan, Sample};
use super::{Demo, Layout, dhash, stream};
use anyhow::{Context, Result};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// A kind of defect; its name in `planted.json` is the data report's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Defect {
    /// Cannot be decoded.
    Corrupt,
    /// A row without a file.
    MissingFiles,
    /// A file without a row.
    UnlabelledFiles,
    /// The same pixels, the same label.
    Duplicates,
    /// Nearly the same pixels, the same label.
    NearDuplicates,
    /// The same pixels, another label.
    LabelConflicts,
    /// A label of another species.
    WrongLabels,
    /// A row with an empty cell.
    MissingValues,
}

/// Pictures of each class that stay as they are, so that there is something to learn.
const SPARED: usize = 4;

/// Plants all kinds of defects that the layout can have.
pub fn plant(plan: &mut Plan, demo: &Demo, seed: u64) -> Result<()> {
    let Plan { plants, samples } = plan;
    let (images, rng) = (demo.images, &mut stream(seed, 1));
    let plant_of: Vec<usize> = samples.iter().map(|sample| sample.plant).collect();
    let firm = |&at: &usize| dhash::is_firm(&plants[plant_of[at]].picture(at, demo.size, seed));
    let mut picker = Picker::new(samples, demo.classes, rng);
    let order = picker.order.clone();

    let pairs = (images / 75).max(4);
    let rewrites = [Change::Identical, Change::Rewritten];
    picker.plant_copies(Defect::Duplicates, &rewrites, pairs, &mut order.iter().copied())?;
    let mut firm_first = order.iter().copied().filter(firm).chain(order.iter().copied());
    picker.plant_copies(Defect::NearDuplicates, near_changes(demo.layout), pairs, &mut firm_first)?;
    picker.plant_conflicts((images / 150).max(3), &mut order.iter().copied())?;
    for i in 0..(images / 60).max(Damage::ALL.len()) {
        picker.pick(Defect::Corrupt)?.break_file(Damage::ALL[i % Damage::ALL.len()], demo.layout);
    }
    for _ in 0..(images / 25).max(3) {
        let sample = picker.pick(Defect::WrongLabels)?;
        sample.label = (sample.species + rng.random_range(1..demo.classes)) % demo.classes;
    }
    if demo.layout == Layout::Csv {
        for _ in 0..(images / 150).max(3) {
            picker.pick(Defect::MissingFiles)?;
            picker.pick(Defect::UnlabelledFiles)?;
        }
        for _ in 0..(images / 50).max(3) {
            picker.pick(Defect::MissingValues)?;
        }
        let mut tests = samples.iter_mut().filter(|sample| sample.part == Part::Test);
        if let Some(sample) = tests.nth(demo.test_images / 2) {
            sample.defect = Some(Defect::Corrupt);
            sample.break_file(Damage::HeaderCut, demo.layout);
        }
    }
    Ok(())
}

/// A layout of PNG files has no JPEG losses.
fn near_changes(layout: Layout) -> &'static [Change] {
    const ALL: [Change; 5] = [
        Change::Degraded,
        Change::Resized(0.95),
        Change::Brightened(1.03),
        Change::Resized(1.05),
        Change::Brightened(0.97),
    ];
    if layout == Layout::FlatTest { &ALL[1..] } else { &ALL }
}

impl Sample {
    fn break_file(&mut self, damage: Damage, layout: Layout) {
        self.content = Content::Broken { how: damage };
        self.format = match (damage, layout) {
            (Damage::Giant, _) | (_, Layout::FlatTest) => Format::Png,
            (_, Layout::Csv | Layout::Nested) => Format::Jpeg(90),
        };
    }
}

/// Chooses training samples without a defect, by chance.
struct Picker<'a> {
    samples: &'a mut [Sample],
    order: Vec<usize>,
    untouched: Vec<usize>,
}

impl<'a> Picker<'a> {
    fn new(samples: &'a mut [Sample], classes: usize, rng: &mut ChaCha8Rng) -> Self {
        let mut order: Vec<usize> = (0..samples.len()).filter(|&i| samples[i].part == Part::Train).collect();
        order.shuffle(rng);
        let mut untouched = vec![0; classes];
        order.iter().for_each(|&i| untouched[samples[i].species] += 1);
        Self { samples, order, untouched }
    }

    fn is_free(&self, at: usize) -> bool {
        let sample = &self.samples[at];
        sample.defect.is_none() && self.untouched[sample.species] > SPARED
    }

    /// The next free sample that `fits`.
    fn find(&self, fits: impl Fn(&Sample) -> bool) -> Option<usize> {
        self.order.iter().copied().find(|&at| self.is_free(at) && fits(&self.samples[at]))
    }

    fn pick(&mut self, defect: Defect) -> Result<&mut Sample> {
        let at = self.find(|_| true).with_context(|| too_few(defect))?;
        self.mark(at, defect);
        Ok(&mut self.samples[at])
    }

    /// The next of `originals` that is free and has a partner.
    fn pick_pair(
        &mut self,
        defect: Defect,
        originals: &mut dyn Iterator<Item = usize>,
        partner: impl Fn(&Self, usize) -> Option<usize>,
    ) -> Result<[usize; 2]> {
        let mut pairs = originals.filter(|&of| self.is_free(of)).filter_map(|of| Some([of, partner(self, of)?]));
        let pair = pairs.next().with_context(|| too_few(defect))?;
        pair.iter().for_each(|&at| self.mark(at, defect));
        Ok(pair)
    }

    fn mark(&mut self, at: usize, defect: Defect) {
        self.samples[at].defect = Some(defect);
        self.untouched[self.samples[at].species] -= 1;
    }

    /// Copies of pictures of the same species, by turns from another plant and, if that has more, from the same.
    fn plant_copies(
        &mut self,
        defect: Defect,
        changes: &[Change],
        count: usize,
        originals: &mut dyn Iterator<Item = usize>,
    ) -> Result<()> {
        for i in 0..count {
            let [of, copy] = self.pick_pair(defect, originals, |picker, of| {
                let Sample { plant, species, .. } = picker.samples[of];
                let across = || picker.find(|other| other.species == species && other.plant != plant);
                let within = |&at: &usize| at != of && picker.samples[at].plant == plant && picker.is_free(at);
                if i % 2 == 0 { across() } else { picker.order.iter().copied().find(within).or_else(across) }
            })?;
            // Every change meets both.
            self.copy(of, copy, changes[(i + i / 2) % changes.len()]);
        }
        Ok(())
    }

    /// Copies of pictures under the label of another species.
    fn plant_conflicts(&mut self, count: usize, originals: &mut dyn Iterator<Item = usize>) -> Result<()> {
        for i in 0..count {
            let [of, copy] = self.pick_pair(Defect::LabelConflicts, originals, |picker, of| {
                picker.find(|other| other.species != picker.samples[of].species)
            })?;
            self.copy(of, copy, if i % 2 == 0 { Change::Identical } else { Change::Rewritten });
        }
        Ok(())
    }

    fn copy(&mut self, of: usize, copy: usize, how: Change) {
        let format = self.samples[of].format;
        let sample = &mut self.samples[copy];
        sample.content = Content::Copy { of, how };
        sample.format = if how == Change::Degraded { Format::Jpeg(80) } else { format };
    }
}

fn too_few(defect: Defect) -> String {
    format!("demo: too few pictures for defects of kind {defect:?}")
}

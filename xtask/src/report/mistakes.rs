//! What goes wrong: the hardest pictures with what the network saw, and labels that may be wrong.

use super::Material;
use super::thumbnail::thumbnail;
use crate::explained::Eye;
use crate::prepare::{Prepared, is_known};
use anyhow::{Context, Result};
use candle_core::Device;
use data::Dataset;
use eval::analysis::{hardest, suspects};
use eval::report::page::{Block, Encoded, Picture, Section};
use eval::{Predictions, Run};
use rayon::prelude::*;
use std::collections::HashMap;
use std::collections::btree_map::{BTreeMap, Entry};

/// Pictures of each kind.
const HARDEST: usize = 18;
const SUSPECTS: usize = 36;
/// Most pictures of one sample.
const MANY: usize = 3;

/// Row of the data set by id; ids of the test part may be those of training rows.
fn places(prepared: &Prepared) -> HashMap<&str, usize> {
    let rows = prepared.dataset.rows().iter().enumerate();
    rows.filter(|(_, row)| is_known(row)).map(|(i, row)| (row.id.as_str(), i)).collect()
}

/// The pictures with the highest loss, and where the network looked.
pub fn hard(run: &Run, prepared: &Prepared, oof: &Predictions, device: &Device) -> Result<Section> {
    let places = places(prepared);
    let truth = oof.true_classes("the report")?;
    let mut eyes: BTreeMap<usize, Eye<'_>> = BTreeMap::new();
    let mut pictures = vec![];
    for hard in hardest(oof, HARDEST)? {
        let i = hard.sample;
        let row = *places.get(oof.ids[i].as_str()).with_context(|| format!("no row '{}'", oof.ids[i]))?;
        let fold = prepared.judged_in(row).unwrap_or(0);
        if let Entry::Vacant(place) = eyes.entry(fold) {
            place.insert(Eye::open(run, fold, device)?);
        }
        let (given, best) = (truth[i] as usize, oof.best(i));
        let classes = if given == best { vec![best] } else { vec![best, given] };
        let seen = eyes[&fold].look(&prepared.dataset, row, &classes)?;
        let (name, p) = (|class: usize| &oof.classes[class], |class: usize| oof.row(i)[class]);
        pictures.push(Picture {
            images: std::iter::once(seen.picture).chain(seen.heat).collect(),
            name: oof.ids[i].clone(),
            lines: vec![
                format!("labelled {} ({:.3})", name(given), p(given)),
                format!("taken for {} ({:.3})", name(best), p(best)),
                format!("loss {:.2} nats", hard.loss),
            ],
        });
    }
    let about = "The pictures that cost most, each judged by a network that has not seen it: the picture, then where the \
                 class was seen that it was taken for, then where the labelled one was (Grad-CAM: bright places speak for it; \
                 unchanged where no part speaks for the class).";
    Ok(Section { title: "Hardest pictures".into(), about: about.into(), blocks: vec![Block::Gallery(pictures)] })
}

/// The first pictures of a sample, small.
fn some(dataset: &dyn Dataset, row: usize, id: &str) -> Result<Vec<Encoded>> {
    let pictures = dataset.pictures(row).min(MANY);
    (0..pictures).map(|nth| thumbnail(&dataset.picture(row, nth)?, id)).collect()
}

/// Labels that are probably wrong.
pub fn suspicious(of: &Material<'_>) -> Result<Section> {
    let places = places(of.ending.prepared);
    let found = suspects(of.oof)?;
    let picture = |suspect: &eval::analysis::Suspect| -> Result<Picture> {
        let id = &of.oof.ids[suspect.sample];
        let row = *places.get(id.as_str()).with_context(|| format!("no row '{id}'"))?;
        let (name, p) = (|c: usize| &of.oof.classes[c], |c: usize| of.oof.row(suspect.sample)[c]);
        Ok(Picture {
            images: some(&*of.ending.prepared.dataset, row, id)?,
            name: id.clone(),
            lines: vec![
                format!("labelled {} ({:.3})", name(suspect.given), p(suspect.given)),
                format!("looks like {} ({:.3})", name(suspect.suggested), p(suspect.suggested)),
            ],
        })
    };
    let pictures = found.par_iter().take(SUSPECTS).map(picture).collect::<Result<Vec<_>>>()?;
    let text = match found.len() {
        0 => "No label contradicts its picture clearly.".to_string(),
        n if n > SUSPECTS => format!("{n} labels, the {SUSPECTS} most suspicious first; errors.csv has all."),
        n => format!("{n} labels, the most suspicious first; errors.csv has them, too."),
    };
    // Confident learning takes the networks at their word.
    let doubt = match found.len() * 10 > of.oof.len() {
        true => {
            " They are more than a tenth of all: most of them are likely mistakes of the networks, not of the labels."
        }
        false => "",
    };
    let text = text + doubt;
    let about =
        "Where the networks contradict a label clearly (confident learning): look at them before you trust either.";
    let blocks = vec![Block::Text(text), Block::Gallery(pictures)];
    Ok(Section { title: "Suspected wrong labels".into(), about: about.into(), blocks })
}

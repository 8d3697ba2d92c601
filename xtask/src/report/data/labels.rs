//! Several labels at once: which come together, and which combinations are rare.

use super::pictures::encoded;
use super::{Look, table};
use data::explore::Combination;
use eval::report::chart;
use eval::report::page::{Block, Picture, Section};
use rayon::prelude::*;

/// Combinations with pictures.
const WISHED: usize = 24;

impl Look<'_> {
    pub(super) fn labels(&self) -> Section {
        let title = "Labels together".to_string();
        let Some(labels) = &self.report.multi_label else {
            return Section { title, ..Section::default() };
        };
        let facts = [
            ("labelled pictures", labels.rows.to_string()),
            ("without any label set", labels.empty.to_string()),
            ("values not known", labels.unknown.to_string()),
            ("labels per picture (cardinality)", format!("{:.3}", labels.cardinality)),
            ("share of all labels (density)", format!("{:.4}", labels.density)),
            ("different combinations", labels.distinct.to_string()),
        ];
        let mut blocks = vec![Block::Facts(facts.map(|(name, value)| (name.to_string(), value)).into())];
        if !labels.correlation.is_empty() {
            let title = "Correlation of labels, percent (phi)";
            blocks.push(Block::Charts(vec![chart::correlation(title, &labels.labels, &labels.correlation)]));
        }
        let name = |c: &Combination| if c.labels.is_empty() { "no label".into() } else { c.labels.join(" + ") };
        let picture = |wish: &Combination| {
            let read = |path: &String| encoded(&(self.collection.read)(path).ok()?.image, path);
            let images = wish.examples.iter().take(2).filter_map(read).flatten().collect();
            Picture { images, name: name(wish), lines: vec![format!("{} pictures", wish.count)] }
        };
        let wished: Vec<Picture> = labels.combinations.par_iter().take(WISHED).map(picture).collect();
        blocks.push(Block::Heading("Wish list: the rarest combinations".into()));
        blocks.push(Block::Text("More pictures of these would help most; a fold may have none of them.".into()));
        blocks.push(Block::Gallery(wished));
        let rows = labels.combinations.iter().map(|c| [name(c), c.count.to_string(), c.examples.join(", ")]).collect();
        blocks.push(table(["labels", "pictures", "for example"], rows));
        let about = "Pictures that show several things at once.";
        Section { title, about: about.into(), blocks }
    }
}

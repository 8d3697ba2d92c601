//! Metadata, what they tell of the target, and whether the test part is another kind of data.

use super::{Look, table};
use data::explore::{Adversarial, Association, MetaColumn};
use eval::report::chart::{self, Labels};
use eval::report::page::{Block, Section};

/// Features of adversarial validation that are shown as bars.
const FEATURES: usize = 12;

impl Look<'_> {
    pub(super) fn metadata(&self) -> Section {
        let mut blocks = vec![];
        if !self.report.metadata.is_empty() {
            let rows = self.report.metadata.iter().map(|column| {
                let told = column.association.as_ref().map_or("–".into(), told);
                [column.name.clone(), column.missing.to_string(), content(column), told]
            });
            blocks.push(Block::Heading("Columns".into()));
            blocks.push(table(["column", "missing", "values", "tells of the target"], rows.collect()));
        }
        if self.report.missing_values.values().any(|count| *count > 0) {
            let rows = self.report.missing_values.iter().map(|(c, n)| [c.clone(), n.to_string()]).collect();
            blocks.push(Block::Heading("Missing values".into()));
            blocks.push(Block::Text("Empty cells of the table.".into()));
            blocks.push(table(["column", "empty cells"], rows));
        }
        blocks.extend(self.report.adversarial.as_ref().map_or(vec![], adversarial));
        Section { title: "Metadata".into(), about: String::new(), blocks }
    }
}

/// What is in a column, in one line.
fn content(column: &MetaColumn) -> String {
    match (&column.numbers, &column.categories) {
        (Some(n), _) => format!("{} to {}, median {}, mean {:.3}", short(n.min), short(n.max), short(n.median), n.mean),
        (_, Some((distinct, counts))) => {
            let some: Vec<String> = counts.iter().take(5).map(|(name, count)| format!("{name} {count}")).collect();
            let more = if *distinct > 5 { format!(" and {} more", distinct - 5) } else { String::new() };
            some.join(", ") + &more
        }
        _ => "none".into(),
    }
}

fn told(association: &Association) -> String {
    let name = match association.measure {
        "eta_squared" => "η²",
        "cramers_v" => "Cramér's V",
        "r_squared" => "r²",
        other => other,
    };
    let of = association.label.as_ref().map_or(String::new(), |label| format!(" of {label}"));
    format!("{name} {:.3}{of}", association.value)
}

/// A number without digits that say nothing.
fn short(value: f64) -> String {
    format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').into()
}

fn adversarial(found: &Adversarial) -> Vec<Block> {
    let verdict = match found.auc {
        auc if auc > 0.9 => {
            "The test part is clearly another kind of data: a score on training folds says little of it."
        }
        auc if auc > 0.7 => "The parts differ: look at the features that tell them apart before you trust a score.",
        auc if auc > 0.6 => "The parts differ a little.",
        _ => "The parts cannot be told apart by these features.",
    };
    let text = format!(
        "Can {} rows of the training part be told from {} of the test part by metadata and simple figures of the pictures? A \
         logistic regression gets an AUC of {:.3} on rows left out (0.5: not at all; 1: always). {verdict}",
        found.train, found.test, found.auc
    );
    let bars: Vec<(String, f64)> =
        found.features.iter().take(FEATURES).map(|f| (f.name.clone(), f.auc - 0.5)).collect();
    let labels = Labels {
        title: "What tells the parts apart, alone",
        x: "AUC − 0.5: right of 0, larger in the test part",
        y: "",
    };
    let rows =
        found.features.iter().map(|f| [f.name.clone(), format!("{:.3}", f.auc), format!("{:.3}", f.weight)]).collect();
    vec![
        Block::Heading("Training part against test part".into()),
        Block::Text(text),
        Block::Charts(vec![chart::bars(labels, &bars)]),
        table(["feature", "AUC alone", "weight, standardized"], rows),
    ]
}

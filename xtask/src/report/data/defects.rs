//! What is wrong: files, copies, contradictions, leaks, outliers.

use super::{Look, SHOWN, table};
use eval::report::page::{Block, Picture, Section, Table};
use std::collections::BTreeSet;

impl Look<'_> {
    /// Pictures that a rule sets apart.
    pub(super) fn outliers(&self) -> Section {
        let mut blocks = vec![];
        for found in &self.report.outliers {
            let count = found.files.len();
            let some = if count > SHOWN { format!(", the oddest {SHOWN} shown") } else { String::new() };
            blocks.push(Block::Heading(format!("{}: {count}{some}", capital(found.kind))));
            blocks.push(Block::Text(format!("Rule: {}.", found.rule)));
            let line = |(path, value): &(String, f64)| (vec![path.clone()], vec![format!("{value:.3}")]);
            let shown: Vec<Picture> = self.gallery(found.files.iter().take(SHOWN).map(line).collect(), true);
            blocks.push(Block::Gallery(shown));
            if count > SHOWN {
                let rows = found.files.iter().map(|(path, value)| [path.clone(), format!("{value:.3}")]).collect();
                blocks.push(table(["file", "value"], rows));
            }
        }
        let about = "They may be mistakes of a camera or of whoever gathered the pictures; nothing is done about them.";
        let about = if blocks.is_empty() { String::new() } else { about.into() };
        Section { title: "Odd pictures".into(), about, blocks }
    }

    pub(super) fn defects(&self) -> Section {
        let report = self.report;
        let mut blocks = vec![Block::Warnings(report.warnings.clone())];
        let mut add = |title: String, what: &str, more: Vec<Block>| {
            blocks.push(Block::Heading(title));
            blocks.push(Block::Text(what.into()));
            blocks.extend(more);
        };
        let groups = |groups: &[Vec<String>]| {
            Block::Gallery(self.gallery(groups.iter().take(SHOWN).map(|g| (g.clone(), vec![])).collect(), true))
        };
        let list = |names: &[String]| {
            let rows = names.iter().map(|name| vec![name.clone()]).collect();
            Block::Details(
                format!("All {}", names.len()),
                vec![Block::Table(Table { columns: vec!["name".into()], rows })],
            )
        };
        let some = |n: usize| if n > SHOWN { format!(", {SHOWN} of them shown") } else { String::new() };
        if !report.corrupt.is_empty() {
            let rows = report.corrupt.iter().map(|(path, why)| [path.clone(), why.clone()]).collect();
            let title = format!("Files that cannot be decoded: {}", report.corrupt.len());
            add(title, "They are left out.", vec![table(["file", "why"], rows)]);
        }
        // Equal pictures with different labels have a heading of their own.
        let conflicts: BTreeSet<&Vec<String>> = report.label_conflicts.iter().collect();
        let agreed: Vec<Vec<String>> = report.duplicates.iter().filter(|g| !conflicts.contains(g)).cloned().collect();
        for (found, title, what) in [
            (
                &report.label_conflicts,
                "Equal pictures with different labels",
                "At least one label is wrong: none of them is used, unless data.clean.conflicts says otherwise.",
            ),
            (
                &agreed,
                "Equal pictures",
                "The pixels are the same: one of each is used, unless data.clean.duplicates says otherwise.",
            ),
            (
                &report.near_duplicates,
                "Nearly equal pictures",
                "They share a fold, unless data.clean.near_duplicates says otherwise or the data bring a validation part along.",
            ),
        ] {
            if !found.is_empty() {
                add(format!("{title}: {} groups{}", found.len(), some(found.len())), what, vec![groups(found)]);
            }
        }
        if !report.leaks.is_empty() {
            let row = |leak: &data::explore::Leak| match leak.equal {
                Some(true) => [format!("equal pictures in different {}", leak.between), leak.paths.join(", ")],
                Some(false) => [format!("nearly equal pictures in different {}", leak.between), leak.paths.join(", ")],
                None => {
                    let rows: Vec<String> = leak.rows.iter().map(|(part, count)| format!("{part} {count}")).collect();
                    let what = format!("rows of the same groups in different {} ({})", leak.between, rows.join(", "));
                    [format!("{what}: {}", leak.advice), leak.groups.join(", ")]
                }
            };
            let rows = report.leaks.iter().map(row).collect();
            let what = "Such pictures and groups make a score better than it is.";
            add(format!("Leaks: {}", report.leaks.len()), what, vec![table(["what", "files or groups"], rows)]);
        }
        let unlabelled = &report.unlabelled_files;
        if !unlabelled.is_empty() {
            let wanted = unlabelled.iter().take(SHOWN).map(|path| (vec![path.clone()], vec![])).collect();
            let title = format!("Pictures without a row or class: {}{}", unlabelled.len(), some(unlabelled.len()));
            add(title, "They are left out.", vec![Block::Gallery(self.gallery(wanted, false)), list(unlabelled)]);
        }
        if !report.missing_files.is_empty() {
            let title = format!("Rows without a picture: {}", report.missing_files.len());
            add(title, "They are left out.", vec![list(&report.missing_files)]);
        }
        if !report.dropped_labels.is_empty() {
            let rows = report.dropped_labels.iter().map(|(c, n)| [c.clone(), n.to_string()]).collect();
            let what = "The recipe says that they are no classes.";
            add("Dropped labels".into(), what, vec![table(["label", "pictures"], rows)]);
        }
        if blocks.len() == 1 && report.warnings.is_empty() {
            blocks.push(Block::Text("Nothing was found.".into()));
        }
        Section { title: "Defects".into(), about: "What was found, and what is done about it.".into(), blocks }
    }
}

fn capital(kind: &str) -> &'static str {
    match kind {
        "blank" => "Blank",
        "dark" => "Dark",
        "bright" => "Bright",
        "blurred" => "Blurred",
        "border" => "Black border",
        _ => "Odd shape",
    }
}

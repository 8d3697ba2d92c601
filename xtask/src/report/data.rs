//! The data and their defects, in numbers and pictures.

use super::thumbnail::thumbnail;
use data::explore::Report;
use data::source::Collection;
use eval::report::chart::{self, Labels};
use eval::report::page::{Block, Figure, Page, Picture, Section, Table};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Pictures of the whole gallery of samples.
const SAMPLES: usize = 60;
/// Groups and files shown of each kind of defect.
const SHOWN: usize = 12;
/// Bars of a chart of classes; more are a table.
const BARS: usize = 40;

/// What is shown of the data.
pub struct Look<'a> {
    report: &'a Report,
    collection: &'a Collection,
    labels: HashMap<&'a str, String>,
}

/// The data report as a page of its own.
pub fn page(name: &str, report: &Report, collection: &Collection) -> Page {
    let look = Look::new(report, collection);
    let figure = |name: &str, value: String, about: &str| Figure { name: name.into(), value, about: about.into() };
    let largest = report.classes.iter().max_by_key(|(_, count)| **count);
    let about = largest.map_or(String::new(), |(class, count)| format!("most often {class} ({count})"));
    Page {
        title: format!("{name}: the data"),
        lead: "What is there, and what is wrong with it, before anything is trained.".into(),
        figures: vec![
            figure("pictures", report.images.to_string(), &parts(report)),
            figure("classes", report.classes.len().to_string(), &about),
            figure("imbalance", format!("{:.1} : 1", report.imbalance), "largest class : smallest"),
            figure("warnings", report.warnings.len().to_string(), "each is explained below"),
        ],
        sections: look.sections(),
    }
}

fn parts(report: &Report) -> String {
    let of = |(part, count): (&String, &usize)| format!("{part} {count}");
    report.parts.iter().map(of).collect::<Vec<_>>().join(", ")
}

impl<'a> Look<'a> {
    pub fn new(report: &'a Report, collection: &'a Collection) -> Self {
        let (rows, classes) = (collection.dataset.rows(), collection.dataset.classes());
        let label = |row: usize| match rows[row].class() {
            Some(class) => format!("labelled {}", classes[class as usize]),
            None => format!("{:?} part, no label", rows[row].part).to_lowercase(),
        };
        let of = |file: &'a data::source::Found| (file.path.as_str(), file.row.map_or("no row".into(), label));
        Self { report, collection, labels: collection.files.iter().map(of).collect() }
    }

    pub fn sections(&self) -> Vec<Section> {
        vec![self.overview(), self.samples(), self.defects()]
    }

    fn overview(&self) -> Section {
        let Report { sizes, formats, channels, mean, std, classes, groups, .. } = self.report;
        let list = |values: &[f64]| values.iter().map(|v| format!("{v:.3}")).collect::<Vec<_>>().join(", ");
        let spread = |[low, middle, high]: [usize; 3]| format!("{low} to {high}, median {middle}");
        let join = |pairs: Vec<String>| pairs.join(", ");
        let mut facts = vec![
            ("parts".to_string(), parts(self.report)),
            ("width, pixels".into(), spread(sizes.width)),
            ("height, pixels".into(), spread(sizes.height)),
            ("formats".into(), join(formats.iter().map(|(f, n)| format!("{f} {n}")).collect())),
            ("stored channels".into(), join(channels.iter().map(|(c, n)| format!("{c}: {n}")).collect())),
            ("mean per channel, 0 to 1".into(), list(mean)),
            ("standard deviation".into(), list(std)),
        ];
        if *groups > 0 {
            facts.insert(1, ("groups".into(), groups.to_string()));
        }
        let mut blocks = vec![Block::Facts(facts)];
        let mut counted: Vec<(String, f64)> = classes.iter().map(|(c, n)| (c.clone(), *n as f64)).collect();
        counted.sort_by(|a, b| b.1.total_cmp(&a.1));
        let labels = Labels { title: "Pictures per class", x: "labelled pictures", y: "" };
        let mut charts = vec![chart::bars(labels, &counted[..counted.len().min(BARS)])];
        charts.extend(self.sizes());
        blocks.push(Block::Charts(charts));
        if counted.len() > BARS {
            let rows = counted.iter().map(|(class, count)| vec![class.clone(), count.to_string()]).collect();
            let table = Table { columns: vec!["class".into(), "pictures".into()], rows };
            blocks.push(Block::Details(format!("All {} classes", counted.len()), vec![Block::Table(table)]));
        }
        Section { title: "Data".into(), about: String::new(), blocks }
    }

    fn sizes(&self) -> Vec<chart::Chart> {
        let shapes: Vec<[usize; 2]> = self.report.shapes.iter().flatten().copied().collect();
        let of = |pick: &dyn Fn(&[usize; 2]) -> f64| shapes.iter().map(pick).collect::<Vec<_>>();
        let histogram =
            |title: &str, x: &str, values: Vec<f64>| chart::histogram(Labels { title, x, y: "pictures" }, &values, 30);
        if shapes.iter().all(|shape| Some(shape) == shapes.first()) {
            return vec![];
        }
        vec![
            histogram("Width", "pixels", of(&|s| s[0] as f64)),
            histogram("Height", "pixels", of(&|s| s[1] as f64)),
            histogram("Aspect", "width / height", of(&|s| s[0] as f64 / s[1] as f64)),
        ]
    }

    /// A few pictures of every class, spread over its rows.
    fn samples(&self) -> Section {
        let (rows, classes) = (self.collection.dataset.rows(), self.collection.dataset.classes());
        let mut members: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
        for file in &self.collection.files {
            let row = file.row.map(|row| &rows[row]).filter(|row| row.part != data::Part::Test);
            if let Some(class) = row.and_then(data::Row::class) {
                members.entry(class).or_default().push(&file.path);
            }
        }
        let each = (SAMPLES / members.len().max(1)).clamp(1, 6);
        let mut wanted = vec![];
        for (class, paths) in members.iter().take(SAMPLES) {
            let step = paths.len().div_ceil(each).max(1);
            let name = &classes[*class as usize];
            wanted.extend(paths.iter().step_by(step).map(|path| (vec![path.to_string()], vec![name.clone()])));
        }
        let about = match members.len() > SAMPLES {
            true => format!("One of each of the first {SAMPLES} of {} classes.", members.len()),
            false => "Some of each class, spread over its rows.".into(),
        };
        Section { title: "Samples".into(), about, blocks: vec![Block::Gallery(self.gallery(wanted, false))] }
    }

    /// Pictures of several paths each; those that cannot be read are left out.
    fn gallery(&self, wanted: Vec<(Vec<String>, Vec<String>)>, labelled: bool) -> Vec<Picture> {
        let made = wanted.into_par_iter().map(|(paths, mut lines)| {
            let read = |path: &String| thumbnail(&(self.collection.read)(path).ok()?.image, path).ok();
            let images: Vec<_> = paths.iter().take(4).filter_map(read).collect();
            let label = |path: &String| format!("{path}: {}", self.label(path));
            match paths.as_slice() {
                [path] if labelled => lines.push(self.label(path).into()),
                [_] => {}
                several => lines.extend(several.iter().skip(1).map(label)),
            }
            let first = paths.first().cloned().unwrap_or_default();
            let name = if paths.len() > 1 { label(&first) } else { first };
            Picture { images, name, lines }
        });
        made.filter(|picture| !picture.images.is_empty()).collect()
    }

    fn label(&self, path: &str) -> &str {
        self.labels.get(path).map_or("", String::as_str)
    }

    fn defects(&self) -> Section {
        let report = self.report;
        let mut blocks = vec![Block::Warnings(report.warnings.clone())];
        let mut add = |title: String, what: &str, more: Vec<Block>| {
            blocks.push(Block::Heading(title));
            blocks.push(Block::Text(what.into()));
            blocks.extend(more);
        };
        let table = |columns: [&str; 2], rows: Vec<[String; 2]>| {
            let columns = columns.map(String::from).to_vec();
            let count = rows.len();
            let table = Block::Table(Table { columns, rows: rows.into_iter().map(|row| row.to_vec()).collect() });
            if count > SHOWN { Block::Details(format!("All {count}"), vec![table]) } else { table }
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
            let kind = |leak: &data::explore::Leak| {
                format!("{} pictures in different {}", if leak.equal { "equal" } else { "nearly equal" }, leak.between)
            };
            let rows = report.leaks.iter().map(|leak| [kind(leak), leak.paths.join(", ")]).collect();
            let what = "Such pictures make a score better than it is.";
            add(format!("Leaks: {}", report.leaks.len()), what, vec![table(["what", "files"], rows)]);
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
        if report.missing_values.values().any(|count| *count > 0) {
            let rows = report.missing_values.iter().map(|(c, n)| [c.clone(), n.to_string()]).collect();
            add("Missing values".into(), "Empty cells of the table.", vec![table(["column", "empty cells"], rows)]);
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

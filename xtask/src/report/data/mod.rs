//! The data and their defects, in numbers and pictures.

mod defects;
mod figures;
mod labels;
mod meta;
mod pictures;

use data::explore::Report;
use data::source::Collection;
use eval::report::page::{Block, Figure, Page, Section, Table};

/// Groups and files shown of each kind of defect.
const SHOWN: usize = 12;
/// Pictures of a gallery of classes.
const SAMPLES: usize = 60;

/// What is shown of the data.
pub struct Look<'a> {
    report: &'a Report,
    collection: &'a Collection,
}

/// The data report as a page of its own.
pub fn page(name: &str, report: &Report, collection: &Collection) -> Page {
    let figure = |name: &str, value: String, about: &str| Figure { name: name.into(), value, about: about.into() };
    let largest = report.classes.iter().max_by_key(|(_, count)| **count);
    let about = largest.map_or(String::new(), |(class, count)| format!("most often {class} ({count})"));
    let mut figures = vec![
        figure("pictures", report.images.to_string(), &parts(report)),
        figure("classes", report.classes.len().to_string(), &about),
        figure("imbalance", format!("{:.1} : 1", report.imbalance), "largest class : smallest"),
        figure("warnings", report.warnings.len().to_string(), "each is explained below"),
    ];
    if let Some(labels) = &report.multi_label {
        let about = format!("density {:.3}, {} combinations", labels.density, labels.distinct);
        figures.insert(2, figure("labels per picture", format!("{:.2}", labels.cardinality), &about));
    }
    if let Some(adversarial) = &report.adversarial {
        figures.insert(
            3,
            figure("train against test", format!("{:.2}", adversarial.auc), "AUC; 0.5: cannot be told apart"),
        );
    }
    Page {
        title: format!("{name}: the data"),
        lead: "What is there, and what is wrong with it, before anything is trained.".into(),
        figures,
        sections: Look::new(report, collection).sections(),
    }
}

fn parts(report: &Report) -> String {
    let of = |(part, count): (&&str, &usize)| format!("{part} {count}");
    report.parts.iter().map(of).collect::<Vec<_>>().join(", ")
}

impl<'a> Look<'a> {
    pub fn new(report: &'a Report, collection: &'a Collection) -> Self {
        Self { report, collection }
    }

    pub fn sections(&self) -> Vec<Section> {
        vec![self.overview(), self.labels(), self.samples(), self.metadata(), self.outliers(), self.defects()]
    }

    /// What the label of a file is.
    fn label(&self, path: &str) -> String {
        let files = &self.collection.files;
        let sorted = files.binary_search_by(|file| file.path.as_str().cmp(path)).ok();
        let place = sorted.or_else(|| files.iter().position(|file| file.path == path));
        let row = place.and_then(|place| files[place].row).map(|row| &self.collection.dataset.rows()[row]);
        let Some(row) = row else { return "no row".into() };
        let names = self.labels_of(row);
        match (names.is_empty(), &row.target) {
            (false, _) => format!("labelled {}", names.join(", ")),
            (true, Some(_)) => "labelled without any class".into(),
            (true, None) => format!("{:?} part, no label", row.part).to_lowercase(),
        }
    }

    /// Names of the classes of a row.
    fn labels_of(&self, row: &data::Row) -> Vec<&'a str> {
        let name = |class: usize| self.collection.dataset.classes().get(class).map(String::as_str);
        match (&row.target, &self.report.multi_label) {
            (Some(data::Target::Dense(values)), Some(_)) => {
                let set = values.iter().enumerate().filter(|(_, value)| **value == 1.0);
                set.filter_map(|(class, _)| name(class)).collect()
            }
            _ if self.report.outputs.is_empty() => row.likeliest().and_then(|c| name(c as usize)).into_iter().collect(),
            _ => vec![],
        }
    }
}

/// A table; a long one is closed until it is asked for.
fn table<const N: usize>(columns: [&str; N], rows: Vec<[String; N]>) -> Block {
    let columns = columns.map(String::from).to_vec();
    let count = rows.len();
    let table = Block::Table(Table { columns, rows: rows.into_iter().map(|row| row.to_vec()).collect() });
    if count > SHOWN { Block::Details(format!("All {count}"), vec![table]) } else { table }
}

//! From what a source says of its pictures to a data set: what all sources share that know labels in words.

use super::{Collection, Found, Listing, Reader, Stamper};
use crate::error::{Error, Result};
use crate::labels::{Cells, Kind, Labels};
use crate::row::{Column, Part, Row};
use rayon::slice::ParallelSliceMut;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

/// A picture and what is said of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    /// Of the picture, as the reader knows it.
    pub path: String,
    /// The row's id.
    pub id: String,
    pub part: Part,
    /// A cell for each label column; `None` where missing.
    pub labels: Vec<Option<String>>,
    pub group: Option<String>,
    pub sample: Option<String>,
    /// A cell for each column of metadata.
    pub meta: Vec<Option<String>>,
}

/// All that a source lists.
pub(super) struct Records {
    /// Names of the label columns.
    pub columns: Vec<String>,
    /// Names of the metadata columns.
    pub meta: Vec<String>,
    pub records: Vec<Record>,
    /// Pictures that no row has.
    pub unowned: Vec<String>,
    pub read: Reader,
    pub stamp: Stamper,
}

impl Records {
    /// As a data set; `place` is what errors name. Ids must be unique in their part.
    ///
    /// # Errors
    /// [`Error::Layout`] for an id that stands twice in a part and for labels that cannot be read.
    pub fn collect(self, labels: &Labels, place: &Path) -> Result<Collection> {
        let wrong = |why: String| Error::Layout { path: place.into(), why };
        let mut seen = HashMap::<(Part, &str), ()>::with_capacity(self.records.len());
        for record in &self.records {
            if seen.insert((record.part, record.id.as_str()), ()).is_some() {
                return Err(wrong(format!("the id '{}' stands twice in it; ids must be unique", record.id)));
            }
        }
        drop(seen);
        let Self { columns, meta, mut records, unowned, read, stamp } = self;
        let cells = |record: &Record| record.part != Part::Test;
        let rows: Vec<Cells<'_>> =
            records.iter().map(|r| Cells { id: &r.id, cells: &r.labels, known: cells(r) }).collect();
        let found = labels.read(&columns, &rows).map_err(wrong)?;
        drop(rows);
        let encoders = categories(&meta, &records);
        let missing_values = missing(&columns, &meta, &records);
        let strange = found.strange.map(|(count, first)| {
            format!("{count} test rows have a label that the training part lacks and count as unlabelled, as '{first}'")
        });
        // Of a listing of labels, an empty one is a listing; somebody may have meant that it is not known.
        let is_listed = labels.kind == Kind::MultiLabel && columns.len() == 1;
        let none = records.iter().filter(|r| is_listed && r.part != Part::Test && r.labels[0].is_none()).count();
        let none = (none > 0).then(|| format!("{none} rows name no label, which is read as none of them"));
        let warnings = strange.into_iter().chain(none).collect();
        let (mut rows, mut paths) = (Vec::with_capacity(records.len()), Vec::with_capacity(records.len()));
        for (record, target) in records.drain(..).zip(found.targets) {
            let values = encoders.iter().zip(&record.meta).map(|(column, cell)| column.code(cell.as_deref())).collect();
            let Record { path, id, part, group, sample, .. } = record;
            rows.push(Row { id, part, target, group, sample, meta: values });
            paths.push(path);
        }
        let owned = paths.iter().enumerate().map(|(row, path)| Found { path: path.clone(), row: Some(row) });
        let mut files: Vec<Found> = owned.collect();
        files.extend(unowned.into_iter().map(|path| Found { path, row: None }));
        files.par_sort_by(|a, b| a.path.cmp(&b.path));
        let columns_of_meta = encoders.into_iter().map(|encoder| encoder.column).collect();
        Ok(Collection {
            dataset: Arc::new(Listing {
                rows,
                paths,
                classes: found.classes,
                columns: columns_of_meta,
                read: read.clone(),
            }),
            target: labels.kind,
            files,
            missing_files: vec![],
            missing_values,
            label: (!columns.is_empty()).then(|| columns.join(", ")),
            sample_submission: None,
            warnings,
            read,
            stamp,
        })
    }
}

/// A column of metadata with the place of every category.
struct Encoder {
    column: Column,
    places: HashMap<String, usize>,
}

impl Encoder {
    /// The raw value of a cell.
    fn code(&self, cell: Option<&str>) -> f32 {
        let Some(cell) = cell else { return f32::NAN };
        match self.column.categories.is_empty() {
            true => cell.parse().unwrap_or(f32::NAN),
            false => self.places.get(cell).map_or(f32::NAN, |place| *place as f32),
        }
    }
}

/// A column is numeric where all its cells are numbers.
fn categories(names: &[String], records: &[Record]) -> Vec<Encoder> {
    let encoder = |(m, name): (usize, &String)| {
        let cells = records.iter().filter_map(|record| record.meta.get(m)?.as_deref());
        let is_number = |cell: &str| cell.parse::<f32>().is_ok_and(f32::is_finite);
        let categories: Vec<String> = match cells.clone().all(is_number) {
            true => vec![],
            false => cells.collect::<BTreeSet<_>>().into_iter().map(str::to_string).collect(),
        };
        let places = categories.iter().cloned().zip(0..).collect();
        Encoder { column: Column { name: name.clone(), categories }, places }
    };
    names.iter().enumerate().map(encoder).collect()
}

/// Ids of the rows with an empty cell, by column; labels of a test part are none.
fn missing(columns: &[String], meta: &[String], records: &[Record]) -> BTreeMap<String, Vec<String>> {
    let mut missing = BTreeMap::<String, Vec<String>>::new();
    for record in records {
        let labels = columns.iter().zip(&record.labels).filter(|_| record.part != Part::Test);
        for (column, _) in labels.chain(meta.iter().zip(&record.meta)).filter(|(_, cell)| cell.is_none()) {
            missing.entry(column.clone()).or_default().push(record.id.clone());
        }
    }
    missing
}

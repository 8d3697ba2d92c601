//! Parquet files of pictures, as the Hugging Face hub lays them out.

use super::files::{LARGEST, Skim, Tree, broken};
use super::records::Record;
use super::shards::{Fields, IMAGES, Shard, Shards, Values, place};
use super::{Collection, Reader, Source};
use crate::decode::{Color, decode};
use crate::error::{Error, Result};
use crate::labels::{Kind, Labels};
use flate2::read::MultiGzDecoder;
use parquet::basic::{Compression, ConvertedType, Type};
use parquet::column::page::{Page as Stored, PageMetadata, PageReader};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, DataType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};
use ruzstd::decoding::StreamingDecoder;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Parquet files with a column of encoded pictures: a struct of `bytes` and `path` as the Hugging Face hub has it, plain
/// binary, or paths of pictures that lie below the files' folder. Names of classes are those of the file's `ClassLabel`;
/// one of -1 is not known. A file belongs to the part that its name or folder says (`train-00000-of-00002.parquet`).
/// Columns may be compressed with Snappy, gzip, Zstandard, LZ4 (raw) or not at all.
///
/// At opening the columns of labels and metadata are read, and of the pictures the header of each page. A picture costs
/// the reading of its page, unless that is among the last ones that `cache_mb` keeps: read in order, every page is
/// read once; shuffled, about once for every picture in it. A page has about 1 MB, but of some writers as much as a
/// group of rows (100 pictures and more): where shuffled training waits for it, write the set again with smaller pages,
/// or as `webdataset`.
///
/// | field | default | range |
/// |---|---|---|
/// | `path` | required | a file, a folder of files, or a pattern: `data/train-*.parquet` |
/// | `image` | found | column of the picture |
/// | `id` | found | column, else the row's place; `image.path` is the name of the picture |
/// | `label` | found | a column, or several; one of several numbers is a column for each |
/// | `target` | class | what the labels are ([`Labels`]); a list is the labels of a `multi_label` |
/// | `sample` | none | columns that say which rows are pictures of one sample |
/// | `group` | none | column whose values never sit in two folds |
/// | `meta` | none | columns that join the network's head: numbers or categories |
/// | `color` | rgb | rgb, gray |
/// | `cache_mb` | 256 | pages that are kept, MiB, at least 1; the one being read is kept whatever its size |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parquet {
    /// A file, a folder or a pattern.
    pub path: PathBuf,
    /// Column of the picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Column of the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Columns of the label.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "super::csv::names",
        serialize_with = "super::csv::one_or_several"
    )]
    pub label: Vec<String>,
    /// What the labels are.
    #[serde(default, skip_serializing_if = "Labels::is_plain")]
    pub target: Labels,
    /// Columns whose values together say which rows are pictures of one sample.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "super::csv::names")]
    pub sample: Vec<String>,
    /// Column of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Columns of metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meta: Vec<String>,
    /// What pictures are turned into.
    #[serde(default)]
    pub color: Color,
    /// Pages that are kept, MiB.
    #[serde(default = "cache_mb")]
    pub cache_mb: u64,
}

fn cache_mb() -> u64 {
    256
}

/// Columns that may hold paths, beside those that may hold pictures.
const PATHS: &[&str] = &["image_path", "file_name", "filename", "filepath", "path"];
/// Rows that are read at a time.
const BATCH: usize = 4096;
/// Most bytes of a value that is a label, id or metadata.
const MOST_TEXT: usize = 1 << 16;
/// Most values of a page.
const MOST_VALUES: u64 = 1 << 26;
/// Most pages that are kept.
const MOST_PAGES: usize = 64;

/// The values of a row's column: several of a list, none of an empty list; `None` where missing.
type Cell = Option<Vec<String>>;

/// What is known of a file from its end.
struct Table {
    path: PathBuf,
    metadata: ParquetMetaData,
    /// Names of classes, by column.
    classes: BTreeMap<String, Vec<String>>,
    rows: usize,
}

/// The column of pictures of a file.
struct Pictures {
    path: PathBuf,
    /// The column in each group of rows, and the bytes of the largest of its pages.
    groups: Vec<(ColumnChunkMetaData, u64)>,
    pages: Vec<Page>,
}

/// A page of a column.
#[derive(Clone, Copy, Debug)]
struct Page {
    group: usize,
    /// Its first row, counted in the file.
    row: usize,
    rows: usize,
    /// Where it lies in the file and its length with its header, bytes.
    place: (u64, u64),
    /// The same of the first page of its group, and the rows in that.
    first: ((u64, u64), usize),
    /// Memory that its values take with those of the group's dictionary.
    bytes: u64,
}

impl Source for Parquet {
    fn open(&mut self) -> Result<Collection> {
        if self.cache_mb == 0 {
            return Err(Error::Invalid("source 'parquet': cache_mb must be at least 1".into()));
        }
        let shards = Arc::new(Shards::find(&self.path, "parquet")?);
        let tables = shards.each(Table::open)?;
        let wrong = |why: String| Error::Layout { path: shards.path.clone(), why };
        let schema = tables[0].metadata.file_metadata().schema_descr();
        let image = image(schema, self.image.as_deref()).map_err(wrong)?;
        let (image_name, is_path) = (name(schema, image), is_text(&schema.column(image)));
        let known: BTreeSet<String> =
            tables.iter().flat_map(Table::names).filter(|name| is_path || *name != image_name).collect();
        let (id, label, sample) = (self.id.clone(), self.label.clone(), self.sample.clone());
        let (group, meta) = (self.group.clone(), self.meta.clone());
        let mut fields = Fields { id, label, sample, group, meta, ..Fields::default() };
        let mut labelled = tables[0].classes.keys().filter(|name| known.contains(*name));
        if let (true, Some(one), None) = (fields.label.is_empty(), labelled.next(), labelled.next()) {
            fields.label.push(one.clone());
        }
        fields.find(&known, &shards)?;
        let mut labels = self.target.clone();
        if let ([label], true, Kind::Class | Kind::Ordinal | Kind::MultiLabel) =
            (&fields.label[..], labels.classes.is_empty(), labels.kind)
        {
            labels.classes = tables[0].classes.get(label).cloned().unwrap_or_default();
        }
        (self.image, self.id, self.label) =
            (self.image.take().or(Some(image_name.clone())), fields.id.clone(), fields.label.clone());

        let mut wanted = fields.wanted();
        wanted.extend(is_path.then(|| image_name.clone()));
        let (mut records, mut beside) = (Vec::<Record>::new(), Beside::new(&shards, is_path)?);
        for (shard, table) in shards.list.iter().zip(&tables) {
            let mut cells: Vec<(&String, Vec<Cell>)> = vec![];
            for name in &wanted {
                let Some(leaf) = leaf(table.metadata.file_metadata().schema_descr(), name) else { continue };
                cells.push((name, table.cells(name, leaf)?));
            }
            for row in 0..table.rows {
                let taken = cells.iter_mut().filter_map(|(name, cells)| Some((name.to_string(), cells[row].take()?)));
                let values: Values = taken.collect();
                let own = place(shard, row, table.rows);
                let path = match is_path {
                    true => beside.find(shard, values.get(&image_name).and_then(|cells| cells.first())),
                    false => Some(own.clone()),
                };
                let record = fields.record(path.clone().unwrap_or_default(), own, shard.part, &values);
                match path {
                    Some(_) => records.push(record),
                    None => beside.missing.push(record.id),
                }
            }
        }
        let read = match is_path {
            true => beside.tree.reader(self.color),
            false => self.reader(&tables, &image_name, &shards)?,
        };
        let found = fields.collect(records, beside.unowned(), &labels, &shards, read)?;
        let warnings = beside.warnings().into_iter().chain(found.warnings.iter().cloned()).collect();
        Ok(Collection { missing_files: beside.missing, warnings, ..found })
    }
}

impl Parquet {
    /// Decodes pictures of the column `image`.
    fn reader(&self, tables: &[Table], image: &str, shards: &Arc<Shards>) -> Result<Reader> {
        let pictures = tables.iter().map(|table| table.pictures(image)).collect::<Result<Vec<_>>>()?;
        let (color, places) = (self.color, shards.clone());
        let cache = Cache { limit: self.cache_mb.saturating_mul(1 << 20), slots: Mutex::default() };
        Ok(Arc::new(move |path| {
            let refuse = |why: &str| Error::Decode { name: path.into(), why: why.into() };
            let (shard, row) = places.locate(path).ok_or_else(|| refuse("no file has such a row"))?;
            let file = pictures.get(shard).ok_or_else(|| refuse("no file has such a row"))?;
            let index = file.pages.partition_point(|page| page.row + page.rows <= row);
            let page = file.pages.get(index).ok_or_else(|| refuse("the file has no such row"))?;
            let values = cache.get((shard, index), page.bytes, || file.read(page))?;
            let value = values.get(row - page.row).and_then(Option::as_ref);
            let why = "the row has no bytes of a picture; where it is a path, say so with data.image (image = \"image.path\")";
            decode(path, value.ok_or_else(|| refuse(why))?.data(), color)
        }))
    }
}

/// What a file's own decoder says; a file may contradict itself in ways that make it panic.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T> {
    let why = match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(ParquetError::External(source))) => match source.downcast::<io::Error>() {
            Ok(source) => return Err(broken(path, *source)),
            Err(source) => source.to_string(),
        },
        Ok(Err(ParquetError::NYI(why))) => return Err(Error::Layout { path: path.into(), why }),
        Ok(Err(ParquetError::General(why))) => why,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "its pages contradict its description".into(),
    };
    Err(Error::Layout { path: path.into(), why: format!("it is no Parquet file or broken: {why}; fetch it again") })
}

/// What is not read, as good as it may be.
fn unread(why: String) -> ParquetError {
    ParquetError::NYI(why)
}

fn general(why: &str) -> ParquetError {
    ParquetError::General(why.into())
}

/// The column of a field: its own name, or that of a group of one column.
fn leaf(schema: &SchemaDescriptor, field: &str) -> Option<usize> {
    let exact = schema.columns().iter().position(|column| column.path().string() == field);
    let mut below = (0..schema.num_columns()).filter(|leaf| root(schema, *leaf) == Some(field));
    exact.or_else(|| below.next().filter(|_| below.next().is_none()))
}

fn root(schema: &SchemaDescriptor, leaf: usize) -> Option<&str> {
    schema.columns().get(leaf)?.path().parts().first().map(String::as_str)
}

/// What the field of a column is called.
fn name(schema: &SchemaDescriptor, column: usize) -> String {
    match root(schema, column).filter(|root| leaf(schema, root) == Some(column)) {
        Some(root) => root.into(),
        None => schema.column(column).path().string(),
    }
}

fn is_text(column: &ColumnDescriptor) -> bool {
    column.converted_type() == ConvertedType::UTF8
}

/// The column of pictures or of their paths.
fn image(schema: &SchemaDescriptor, said: Option<&str>) -> Result<usize, String> {
    let columns = schema.columns();
    let all = || (0..columns.len()).map(|leaf| name(schema, leaf)).collect::<Vec<_>>().join(", ");
    let fits = |leaf: &usize| {
        let column = &columns[*leaf];
        column.physical_type() == Type::BYTE_ARRAY && column.max_rep_level() == 0
    };
    if let Some(said) = said {
        let found = leaf(schema, &format!("{said}.bytes")).or_else(|| leaf(schema, said)).filter(fits);
        return found
            .ok_or_else(|| format!("data.image: '{said}' is no column of pictures or paths; there are {}", all()));
    }
    let rank = |leaf: usize| {
        let (column, root) = (&columns[leaf], root(schema, leaf)?.to_lowercase());
        let named = |names: &[&str]| names.iter().position(|name| *name == root);
        let is_bytes = column.path().parts().len() == 2 && column.name() == "bytes";
        match (is_text(column), is_bytes, column.path().parts().len()) {
            (false, true, _) => Some((0, named(IMAGES).unwrap_or(usize::MAX))),
            (false, _, 1) => Some((1, named(IMAGES).unwrap_or(usize::MAX))),
            (true, _, 1) => named(IMAGES).or_else(|| named(PATHS).map(|n| n + IMAGES.len())).map(|n| (2, n)),
            _ => None,
        }
    };
    let best = (0..columns.len()).filter(fits).filter_map(|leaf| Some((rank(leaf)?, leaf))).min();
    best.map(|(_, leaf)| leaf).ok_or_else(|| {
        format!(
            "no column holds pictures (bytes, or paths beside the file); say which with data.image; there are {}",
            all()
        )
    })
}

/// The names of a `ClassLabel`, or of a list of them.
fn classes(feature: &Value) -> Option<Vec<String>> {
    let names = [&feature["names"], &feature["feature"]["names"], &feature[0]["names"]];
    let names = names.into_iter().find_map(Value::as_array)?;
    let names: Vec<String> = names.iter().map(|name| name.as_str().map(str::to_string)).collect::<Option<_>>()?;
    let distinct: BTreeSet<&String> = names.iter().collect();
    (distinct.len() == names.len() && !names.is_empty()).then_some(names)
}

impl Table {
    fn open(shard: &Shard) -> Result<Self> {
        let path = shard.path.clone();
        let file = File::open(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let length = file.metadata().map_err(|source| Error::Read { path: path.clone(), source })?.len();
        let (metadata, classes, rows) = guarded(&path, || {
            let metadata = ParquetMetaDataReader::new().parse_and_finish(&file)?;
            let mut rows = 0usize;
            for group in metadata.row_groups() {
                let own = usize::try_from(group.num_rows())?;
                rows = rows.checked_add(own).ok_or_else(|| general("it announces more rows than there can be"))?;
            }
            // A picture of its own takes more than a byte.
            if rows as u64 > length {
                return Err(general("it announces more rows than it can hold"));
            }
            let said = metadata.file_metadata().key_value_metadata().into_iter().flatten();
            let said = said.filter(|pair| pair.key == "huggingface").find_map(|pair| pair.value.as_deref());
            let said: Value = said.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            let features = said["info"]["features"].as_object().into_iter().flatten();
            let classes = features.filter_map(|(name, feature)| Some((name.clone(), classes(feature)?))).collect();
            Ok((metadata, classes, rows))
        })?;
        Ok(Self { path, metadata, classes, rows })
    }

    /// Names of all fields.
    fn names(&self) -> Vec<String> {
        let schema = self.metadata.file_metadata().schema_descr();
        (0..schema.num_columns()).map(|leaf| name(schema, leaf)).collect()
    }

    /// The column `leaf` in group `group`, whose pages are known to be what they announce.
    fn pages(&self, leaf: usize, group: usize) -> Result<(&ColumnChunkMetaData, Vec<Header>, u64), ParquetError> {
        let column =
            self.metadata.row_groups()[group].columns().get(leaf).ok_or_else(|| general("a column is missing"))?;
        let mut skim = Skim::open(&self.path).map_err(|error| ParquetError::External(Box::new(error)))?;
        let (pages, dictionary) = pages(&mut skim, column)?;
        Ok((column, pages, dictionary))
    }

    /// The cells of field `field`, column `leaf`.
    fn cells(&self, field: &str, leaf: usize) -> Result<Vec<Cell>> {
        let file = Arc::new(File::open(&self.path).map_err(|source| Error::Read { path: self.path.clone(), source })?);
        guarded(&self.path, || {
            // As many rows as are announced may not follow.
            let mut cells = vec![];
            for (index, group) in self.metadata.row_groups().iter().enumerate() {
                let (column, pages, dictionary) = self.pages(leaf, index)?;
                let rows = usize::try_from(group.num_rows())?;
                let most = largest(&pages, dictionary);
                read_cells(column, Unpacked::open(&file, (column, most), rows, None)?, rows, &mut cells)?;
            }
            if cells.len() != self.rows {
                return Err(general(&format!("the column '{field}' has other rows than are announced")));
            }
            match self.classes.get(field) {
                Some(names) => cells.into_iter().map(|cell| cell.map_or(Ok(None), |c| named(&c, names))).collect(),
                None => Ok(cells),
            }
        })
    }

    /// Where the pictures of field `image` are.
    fn pictures(&self, image: &str) -> Result<Pictures> {
        guarded(&self.path, || {
            let leaf = leaf(self.metadata.file_metadata().schema_descr(), image);
            let leaf = leaf.ok_or_else(|| general(&format!("it has no column '{image}', which others have")))?;
            let (mut groups, mut found, mut row) = (vec![], vec![], 0);
            for (group, metadata) in self.metadata.row_groups().iter().enumerate() {
                let (column, pages, dictionary) = self.pages(leaf, group)?;
                let start = row;
                for page in &pages {
                    let (rows, first) = (page.values as usize, (pages[0].place, pages[0].values as usize));
                    let bytes = page.bytes.saturating_add(dictionary);
                    found.push(Page { group, row, rows, place: page.place, first, bytes });
                    row += rows;
                }
                if i64::try_from(row - start)? != metadata.num_rows() {
                    return Err(general("a group of rows has other pages than it announces"));
                }
                groups.push((column.clone(), largest(&pages, dictionary)));
            }
            Ok(Pictures { path: self.path.clone(), groups, pages: found })
        })
    }
}

/// Names of the classes that a cell has the numbers of; -1 is not known.
fn named(cell: &[String], names: &[String]) -> Result<Cell, ParquetError> {
    let name = |number: &String| match number.parse::<usize>() {
        _ if number == "-1" => Ok(None),
        Ok(class) if class < names.len() => Ok(Some(names[class].clone())),
        _ => Err(general(&format!("the class {number} is none of the {} that it names", names.len()))),
    };
    let known = cell.iter().filter_map(|number| name(number).transpose()).collect::<Result<Vec<_>, _>>()?;
    Ok((known.len() == cell.len()).then_some(known))
}

impl Pictures {
    /// The values of `page`.
    fn read(&self, page: &Page) -> Result<Arc<Vec<Option<ByteArray>>>> {
        let file = Arc::new(File::open(&self.path).map_err(|source| Error::Read { path: self.path.clone(), source })?);
        guarded(&self.path, || {
            let (column, most) = &self.groups[page.group];
            let location = |place: (u64, u64), row: usize| -> Result<PageLocation, ParquetError> {
                let (offset, size) = (i64::try_from(place.0)?, i32::try_from(place.1)?);
                Ok(PageLocation { offset, compressed_page_size: size, first_row_index: row as i64 })
            };
            // The reader finds the dictionary in front of the first page.
            let (first, skipped) = match page.first {
                (first, _) if first == page.place => (first, 0),
                (first, rows) => (first, rows),
            };
            let mut locations = vec![location(first, 0)?];
            if first != page.place {
                locations.push(location(page.place, skipped)?);
            }
            let pages = Unpacked::open(&file, (column, *most), skipped + page.rows, Some(locations))?;
            let mut reader = ColumnReaderImpl::<ByteArrayType>::new(column.column_descr_ptr(), pages);
            let (mut levels, mut values) = (vec![], vec![]);
            let skipped_rows = reader.skip_records(skipped)?;
            let (rows, ..) = reader.read_records(page.rows, Some(&mut levels), None, &mut values)?;
            if skipped_rows != skipped || rows != page.rows {
                return Err(general("a page has fewer rows than it announces"));
            }
            let most = column.column_descr().max_def_level();
            let mut values = values.into_iter();
            let mut value = |row: usize| match levels.get(row).is_none_or(|level| *level == most) {
                true => values.next(),
                false => None,
            };
            Ok(Arc::new((0..rows).map(&mut value).collect()))
        })
    }
}

/// Reads the values of a column in one group of rows.
fn read_cells(
    column: &ColumnChunkMetaData,
    pages: Box<dyn PageReader>,
    rows: usize,
    cells: &mut Vec<Cell>,
) -> Result<(), ParquetError> {
    let leaf = column.column_descr();
    let text = |value: &ByteArray| match value.as_utf8() {
        Ok(text) if text.len() <= MOST_TEXT => Ok(text.to_string()),
        _ => Err(unread(format!("the column '{}' holds values that are no words", leaf.path()))),
    };
    match get_column_reader(column.column_descr_ptr(), pages) {
        ColumnReader::BoolColumnReader(reader) => gather(reader, leaf, rows, cells, |value| Ok(value.to_string())),
        ColumnReader::Int32ColumnReader(reader) => gather(reader, leaf, rows, cells, |value| Ok(value.to_string())),
        ColumnReader::Int64ColumnReader(reader) => gather(reader, leaf, rows, cells, |value| Ok(value.to_string())),
        ColumnReader::FloatColumnReader(reader) => gather(reader, leaf, rows, cells, |value| Ok(value.to_string())),
        ColumnReader::DoubleColumnReader(reader) => gather(reader, leaf, rows, cells, |value| Ok(value.to_string())),
        ColumnReader::ByteArrayColumnReader(reader) => gather(reader, leaf, rows, cells, text),
        _ => Err(unread(format!(
            "the column '{}' is of the type {}, which is not read",
            leaf.path(),
            leaf.physical_type()
        ))),
    }
}

fn gather<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    leaf: &ColumnDescriptor,
    rows: usize,
    cells: &mut Vec<Cell>,
    text: impl Fn(&T::T) -> Result<String, ParquetError>,
) -> Result<(), ParquetError> {
    let (most, list, is_list) = (leaf.max_def_level(), leaf.repeated_ancestor_def_level(), leaf.max_rep_level() > 0);
    let (mut left, mut bytes) = (rows, 0u64);
    while left > 0 {
        let (mut defined, mut repeated, mut values) = (vec![], vec![], vec![]);
        let (records, _, levels) =
            reader.read_records(left.min(BATCH), Some(&mut defined), Some(&mut repeated), &mut values)?;
        if records == 0 {
            return Err(general(&format!("the column '{}' has fewer rows than are announced", leaf.path())));
        }
        let mut values = values.iter();
        for level in 0..levels {
            let defined = defined.get(level).copied().unwrap_or(most);
            if repeated.get(level).is_none_or(|repeated| *repeated == 0) {
                // An empty list is defined up to the list itself.
                cells.push((is_list && defined + 1 >= list).then(Vec::new));
            }
            if defined < most {
                continue;
            }
            if let (Some(value), Some(cell)) = (values.next(), cells.last_mut()) {
                let text = text(value)?;
                bytes += (text.len() + size_of::<String>()) as u64;
                if bytes > LARGEST {
                    return Err(general(&format!("the column '{}' takes more than {LARGEST} bytes", leaf.path())));
                }
                cell.get_or_insert_default().push(text);
            }
        }
        left -= records;
    }
    Ok(())
}

/// What the header of a page announces.
#[derive(Clone, Copy, Debug, Default)]
struct Header {
    kind: i64,
    encoding: i64,
    values: u64,
    /// Where it lies in the file and its length with its header, bytes.
    place: (u64, u64),
    /// Uncompressed.
    bytes: u64,
}

/// Data pages of the old and new kind, a dictionary, an index.
const DATA: [i64; 2] = [0, 3];
const DICTIONARY: i64 = 2;
/// The encoding whose values repeat the beginning of the one before.
const DELTA_BYTE_ARRAY: i64 = 7;

/// The data pages of a column and the bytes of its dictionary: sizes that no page could have are an error.
fn pages(skim: &mut Skim<File>, column: &ColumnChunkMetaData) -> Result<(Vec<Header>, u64), ParquetError> {
    // Most that is made of a byte.
    let ratio = match column.compression() {
        Compression::UNCOMPRESSED => 1,
        // 64 bytes of three.
        Compression::SNAPPY => 32,
        Compression::LZ4_RAW => 255,
        Compression::GZIP(_) => 1032,
        // A block of 128 KiB of four.
        Compression::ZSTD(_) => 1 << 15,
        other => {
            let name = column.column_path();
            return Err(unread(format!(
                "the column '{name}' is compressed with {other:?}, which is not read; write it again with Snappy or Zstandard: \
                 pyarrow.parquet.write_table(pyarrow.parquet.read_table(old), new, compression=\"snappy\")"
            )));
        }
    };
    let (start, length) = column.byte_range();
    let end = start.checked_add(length).filter(|end| *end <= skim.length);
    let end = end.ok_or_else(|| general("a column reaches past the end of the file; it is truncated"))?;
    let (mut found, mut dictionary) = (vec![], 0);
    skim.go(start)?;
    while skim.at < end {
        let offset = skim.at;
        let (mut header, mut sizes) = (Header::default(), [0; 2]);
        structure(skim, end, 0, &mut |parent, field, value| match (parent, field) {
            (0, 1) => header.kind = value,
            (0, 2 | 3) => sizes[field as usize - 2] = value,
            (5 | 7 | 8, 1) => header.values = value as u64,
            (5 | 7, 2) | (8, 4) => header.encoding = value,
            _ => {}
        })?;
        let [bytes, compressed] = sizes.map(|size| u64::try_from(size).unwrap_or(u64::MAX));
        let own = skim.end_of(compressed, end)?;
        (header.place, header.bytes) = ((offset, own - offset), bytes);
        let repeats = if header.encoding == DELTA_BYTE_ARRAY { header.values } else { 1 };
        let too_large = bytes > compressed.saturating_mul(ratio).saturating_add(64)
            || bytes.checked_mul(repeats).is_none_or(|all| all > LARGEST)
            || (header.kind == DICTIONARY && header.values > bytes)
            || header.values > MOST_VALUES;
        if too_large {
            return Err(general(&format!("the page at byte {offset} announces more than it can hold")));
        }
        match header.kind {
            DICTIONARY => dictionary = bytes,
            kind if DATA.contains(&kind) && header.values > 0 => found.push(header),
            _ => {}
        }
        skim.go(own)?;
    }
    Ok((found, dictionary))
}

/// The bytes of the largest page.
fn largest(pages: &[Header], dictionary: u64) -> u64 {
    pages.iter().map(|page| page.bytes).fold(dictionary, u64::max)
}

/// Pages whose bytes are unpacked here where `parquet` needs C for it, or a limit.
struct Unpacked {
    pages: SerializedPageReader<File>,
    codec: Compression,
    /// Most bytes of a page.
    most: u64,
}

impl Unpacked {
    /// The pages of a column, the largest of which has so many bytes; of `locations` those alone.
    fn open(
        file: &Arc<File>,
        (column, most): (&ColumnChunkMetaData, u64),
        rows: usize,
        locations: Option<Vec<PageLocation>>,
    ) -> Result<Box<dyn PageReader>, ParquetError> {
        let codec = column.compression();
        if matches!(codec, Compression::UNCOMPRESSED | Compression::SNAPPY) {
            return Ok(Box::new(SerializedPageReader::new(file.clone(), column, rows, locations)?));
        }
        let stored = column.clone().into_builder().set_compression(Compression::UNCOMPRESSED).build()?;
        Ok(Box::new(Self { pages: SerializedPageReader::new(file.clone(), &stored, rows, locations)?, codec, most }))
    }
}

/// The bytes that a page stands for, at most `most`.
fn unpack(codec: Compression, packed: &[u8], most: u64) -> Result<Vec<u8>, ParquetError> {
    let (mut bytes, limit) = (vec![], most.saturating_add(1));
    match codec {
        // Of a page of no values nothing may be stored.
        _ if packed.is_empty() => {}
        Compression::GZIP(_) => drop(MultiGzDecoder::new(packed).take(limit).read_to_end(&mut bytes)?),
        Compression::ZSTD(_) => {
            let decoder = StreamingDecoder::new(packed).map_err(|error| general(&error.to_string()))?;
            decoder.take(limit).read_to_end(&mut bytes)?;
        }
        _ => {
            bytes.resize(usize::try_from(most)?, 0);
            let count = lz4_flex::block::decompress_into(packed, &mut bytes);
            bytes.truncate(count.map_err(|error| general(&error.to_string()))?);
        }
    }
    match bytes.len() as u64 > most {
        true => Err(general("a page holds more than it announces")),
        false => Ok(bytes),
    }
}

impl Iterator for Unpacked {
    type Item = Result<Stored, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Unpacked {
    fn get_next_page(&mut self) -> Result<Option<Stored>, ParquetError> {
        let Some(mut page) = self.pages.get_next_page()? else { return Ok(None) };
        match &mut page {
            // Levels stand unpacked in front.
            Stored::DataPageV2 { buf, def_levels_byte_len, rep_levels_byte_len, is_compressed, .. }
                if *is_compressed =>
            {
                let levels = (*def_levels_byte_len as usize).saturating_add(*rep_levels_byte_len as usize);
                let (levels, packed) = buf.split_at_checked(levels).ok_or_else(|| general("a page has no values"))?;
                *buf = [levels, &unpack(self.codec, packed, self.most)?].concat().into();
            }
            Stored::DataPageV2 { .. } => {}
            Stored::DataPage { buf, .. } | Stored::DictionaryPage { buf, .. } => {
                *buf = unpack(self.codec, buf, self.most)?.into()
            }
        }
        Ok(Some(page))
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>, ParquetError> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<(), ParquetError> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool, ParquetError> {
        self.pages.at_record_boundary()
    }
}

/// Calls `f` with the numbers of a struct of Thrift's compact protocol and of those in it: the field that holds it (0 for
/// the outer one), its own field, the value.
fn structure(skim: &mut Skim<File>, end: u64, parent: i64, f: &mut dyn FnMut(i64, i64, i64)) -> io::Result<()> {
    let signed = |value: u64| (value >> 1) as i64 ^ -((value & 1) as i64);
    let mut field = 0i64;
    loop {
        let [head] = skim.array(end)?;
        if head == 0 {
            return Ok(());
        }
        field = match head >> 4 {
            0 => signed(skim.varint(end)?),
            step => field.saturating_add(i64::from(step)),
        };
        match head & 15 {
            1 | 2 => {}
            3 => {
                skim.array::<1>(end)?;
            }
            4..=6 => f(parent, field, signed(skim.varint(end)?)),
            7 => {
                skim.array::<8>(end)?;
            }
            8 => {
                let length = skim.varint(end)?;
                let own = skim.end_of(length, end)?;
                skim.go(own)?;
            }
            // Statistics are in a page's description, nothing is in those but numbers and bytes.
            12 if parent < 256 => structure(skim, end, parent * 256 + field.clamp(1, 255), f)?,
            kind => {
                let what = format!("at byte {}: a page's header has a field of the type {kind}", skim.at);
                return Err(io::Error::new(ErrorKind::InvalidData, what));
            }
        }
    }
}

/// The values of a page.
type Filled = Arc<Vec<Option<ByteArray>>>;
/// Those that threads share, once they are read.
type Slot = Arc<Mutex<Option<Filled>>>;
/// File and number of a page.
type PageKey = (usize, usize);

/// The pages that were read last.
struct Cache {
    /// Most that they take, bytes.
    limit: u64,
    /// Each page with its size; the latest stands last.
    slots: Mutex<VecDeque<(PageKey, u64, Slot)>>,
}

impl Cache {
    /// The values of page `key`, which `read` reads unless they are kept. Two threads never read one page at once.
    fn get(&self, key: PageKey, bytes: u64, read: impl FnOnce() -> Result<Filled>) -> Result<Filled> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            let place = slots.iter().position(|(other, ..)| *other == key);
            let entry = place.and_then(|place| slots.remove(place)).unwrap_or_else(|| (key, bytes, Slot::default()));
            let slot = entry.2.clone();
            slots.push_back(entry);
            let mut sum: u64 = slots.iter().map(|(_, bytes, _)| bytes).sum();
            while slots.len() > 1 && (sum > self.limit || slots.len() > MOST_PAGES) {
                sum -= slots.pop_front().map_or(0, |(_, bytes, _)| bytes);
            }
            slot
        };
        let mut kept = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(values) = &*kept {
            return Ok(values.clone());
        }
        Ok(kept.insert(read()?).clone())
    }
}

/// Pictures that lie beside files of their paths.
struct Beside {
    tree: Tree,
    used: BTreeSet<String>,
    missing: Vec<String>,
    /// Paths that lead elsewhere.
    odd: Vec<String>,
}

impl Beside {
    fn new(shards: &Shards, is_path: bool) -> Result<Self> {
        let tree = match is_path {
            true => Tree::walk(&shards.root)?,
            false => Tree::of_archive(&shards.root, BTreeSet::new()),
        };
        Ok(Self { tree, used: BTreeSet::new(), missing: vec![], odd: vec![] })
    }

    /// The picture that a row of `shard` names, if it is there.
    fn find(&mut self, shard: &Shard, cell: Option<&String>) -> Option<String> {
        let cell = cell?;
        let parts: Vec<&str> = cell.split(['/', '\\']).filter(|part| !matches!(*part, "" | ".")).collect();
        if cell.starts_with(['/', '\\']) || parts.contains(&"..") {
            self.odd.push(cell.clone());
            return None;
        }
        let folder = shard.name.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let path = folder + &parts.join("/");
        self.tree.pictures.binary_search(&path).ok()?;
        self.used.insert(path.clone());
        Some(path)
    }

    fn unowned(&self) -> Vec<String> {
        self.tree.pictures.iter().filter(|path| !self.used.contains(*path)).cloned().collect()
    }

    fn warnings(&self) -> Option<String> {
        let what = "paths lead out of the folder of the files and are ignored";
        self.odd.first().map(|first| format!("{} {what}, as '{first}'", self.odd.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_hold_more_than_they_announce_are_refused() {
        let gzip = {
            let mut bytes = vec![];
            flate2::read::GzEncoder::new(&[0; 100_000][..], flate2::Compression::best())
                .read_to_end(&mut bytes)
                .unwrap();
            bytes
        };
        // Zeros, as libzstd packs them.
        let zstd = [40, 181, 47, 253, 160, 160, 134, 1, 0, 85, 0, 0, 16, 0, 0, 1, 0, 155, 134, 57, 192, 2];
        let lz4 = lz4_flex::block::compress(&[0; 100_000]);
        let all = [
            (Compression::GZIP(Default::default()), &gzip[..]),
            (Compression::ZSTD(Default::default()), &zstd),
            (Compression::LZ4_RAW, &lz4),
        ];
        for (codec, packed) in all {
            assert_eq!(unpack(codec, packed, 100_000).unwrap(), [0; 100_000], "{codec:?}");
            assert!(unpack(codec, packed, 99_999).is_err(), "{codec:?}");
            assert!(unpack(codec, &packed[..packed.len() / 2], 100_000).is_err(), "{codec:?}");
            assert!(unpack(codec, &[7; 30], 100_000).is_err(), "{codec:?}");
            assert!(unpack(codec, &[], 9).unwrap().is_empty(), "{codec:?}");
        }
    }
}

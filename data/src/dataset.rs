//! Samples that can be decoded one by one, on any thread.

use crate::error::Result;
use crate::image::Image;
use crate::row::{Column, Row};
use std::sync::{Arc, Mutex, PoisonError};

/// Labels in memory, pixels on demand.
pub trait Dataset: Send + Sync {
    /// All samples. Exploring, splitting and sampling read these and never decode.
    fn rows(&self) -> &[Row];
    /// Names of the classes in the order of their indices.
    fn classes(&self) -> &[String];
    /// The columns of [`Row::meta`].
    fn columns(&self) -> &[Column] {
        &[]
    }
    /// Decodes sample `index`, on any thread.
    ///
    /// # Errors
    /// When the picture cannot be read or decoded.
    ///
    /// # Panics
    /// When `index` is out of range.
    fn image(&self, index: usize) -> Result<Image>;
    /// How many pictures sample `index` has, at least 1.
    ///
    /// # Panics
    /// When `index` is out of range.
    fn pictures(&self, _index: usize) -> usize {
        1
    }
    /// Decodes picture `nth` of sample `index`, on any thread; [`Dataset::image`] is the first one.
    ///
    /// # Errors
    /// As [`Dataset::image`].
    ///
    /// # Panics
    /// When `index` or `nth` is out of range.
    fn picture(&self, index: usize, _nth: usize) -> Result<Image> {
        self.image(index)
    }
}

/// Some rows of a data set, possibly with other labels.
pub struct Subset {
    of: Arc<dyn Dataset>,
    indices: Vec<usize>,
    rows: Vec<Row>,
    classes: Vec<String>,
}

impl Subset {
    /// The rows at `indices`, in that order.
    ///
    /// # Panics
    /// When an index is out of range.
    pub fn new(of: Arc<dyn Dataset>, indices: Vec<usize>) -> Self {
        let rows = indices.iter().map(|&i| of.rows()[i].clone()).collect();
        let classes = of.classes().to_vec();
        Self { of, indices, rows, classes }
    }

    /// With other ids and labels: `rows` one for one.
    ///
    /// # Panics
    /// When there are more or fewer than before.
    pub fn with_rows(mut self, rows: Vec<Row>) -> Self {
        assert_eq!(self.rows.len(), rows.len(), "rows must be given one for one");
        self.rows = rows;
        self
    }

    /// With other labels: `rows` one for one.
    pub(crate) fn relabelled(mut self, rows: Vec<Row>, classes: Vec<String>) -> Self {
        (self.rows, self.classes) = (rows, classes);
        self
    }
}

impl Dataset for Subset {
    fn rows(&self) -> &[Row] {
        &self.rows
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn columns(&self) -> &[Column] {
        self.of.columns()
    }
    fn image(&self, index: usize) -> Result<Image> {
        self.of.image(self.indices[index])
    }
    fn pictures(&self, index: usize) -> usize {
        self.of.pictures(self.indices[index])
    }
    fn picture(&self, index: usize, nth: usize) -> Result<Image> {
        self.of.picture(self.indices[index], nth)
    }
}

/// Data sets with the same classes and columns, one behind the other.
pub struct Concat {
    parts: Vec<Arc<dyn Dataset>>,
    rows: Vec<Row>,
    /// Where each part begins.
    starts: Vec<usize>,
}

impl Concat {
    /// `first` and `others` behind it, whose targets are of the classes of `first`.
    pub fn new(first: Arc<dyn Dataset>, others: impl IntoIterator<Item = Arc<dyn Dataset>>) -> Self {
        let parts: Vec<_> = std::iter::once(first).chain(others).collect();
        let (mut rows, mut starts) = (vec![], vec![]);
        for part in &parts {
            starts.push(rows.len());
            rows.extend_from_slice(part.rows());
        }
        Self { parts, rows, starts }
    }

    /// The part of sample `index`, and its place there.
    fn place(&self, index: usize) -> (&dyn Dataset, usize) {
        // Parts without samples begin where the next one does.
        let part = self.starts.partition_point(|start| *start <= index) - 1;
        (&*self.parts[part], index - self.starts[part])
    }
}

impl Dataset for Concat {
    fn rows(&self) -> &[Row] {
        &self.rows
    }
    fn classes(&self) -> &[String] {
        self.parts[0].classes()
    }
    fn columns(&self) -> &[Column] {
        self.parts[0].columns()
    }
    fn image(&self, index: usize) -> Result<Image> {
        let (part, index) = self.place(index);
        part.image(index)
    }
    fn pictures(&self, index: usize) -> usize {
        let (part, index) = self.place(index);
        part.pictures(index)
    }
    fn picture(&self, index: usize, nth: usize) -> Result<Image> {
        let (part, index) = self.place(index);
        part.picture(index, nth)
    }
}

/// Keeps decoded pictures in memory up to a limit; beyond it they are decoded each time. The pixels are the same either way.
pub struct Cached {
    of: Arc<dyn Dataset>,
    kept: Mutex<Kept>,
    limit: usize,
}

struct Kept {
    /// Every picture of every sample.
    images: Vec<Vec<Option<Arc<Image>>>>,
    bytes: usize,
}

impl Cached {
    /// Keeps at most `megabytes` of pixels.
    pub fn new(of: Arc<dyn Dataset>, megabytes: usize) -> Self {
        let images = (0..of.rows().len()).map(|index| vec![None; of.pictures(index)]).collect();
        Self { of, kept: Mutex::new(Kept { images, bytes: 0 }), limit: megabytes.saturating_mul(1 << 20) }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dataset for Cached {
    fn rows(&self) -> &[Row] {
        self.of.rows()
    }
    fn classes(&self) -> &[String] {
        self.of.classes()
    }
    fn columns(&self) -> &[Column] {
        self.of.columns()
    }
    fn image(&self, index: usize) -> Result<Image> {
        self.picture(index, 0)
    }
    fn pictures(&self, index: usize) -> usize {
        self.of.pictures(index)
    }
    fn picture(&self, index: usize, nth: usize) -> Result<Image> {
        let found = self.kept().images[index][nth].clone();
        if let Some(image) = found {
            return Ok((*image).clone());
        }
        let image = self.of.picture(index, nth)?;
        let mut kept = self.kept();
        let bytes = image.pixels().len();
        if kept.images[index][nth].is_none() && kept.bytes + bytes <= self.limit {
            kept.images[index][nth] = Some(Arc::new(image.clone()));
            kept.bytes += bytes;
        }
        Ok(image)
    }
}

//! Changes that are the same in every epoch.

use crate::dataset::Dataset;
use crate::error::Result;
use crate::image::Image;
use crate::row::{Column, Row};
use std::sync::Arc;

/// A data set whose pictures go through a change that is always the same: preparing steps. Where a cache keeps what comes out, a
/// picture is changed once and not in every epoch.
pub struct Changed<F> {
    of: Arc<dyn Dataset>,
    change: F,
}

impl<F: Fn(Image) -> Image + Send + Sync> Changed<F> {
    /// The pictures of `of` after `change`.
    pub fn new(of: Arc<dyn Dataset>, change: F) -> Self {
        Self { of, change }
    }
}

impl<F: Fn(Image) -> Image + Send + Sync> Dataset for Changed<F> {
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
        Ok((self.change)(self.of.image(index)?))
    }
    fn pictures(&self, index: usize) -> usize {
        self.of.pictures(index)
    }
    fn picture(&self, index: usize, nth: usize) -> Result<Image> {
        Ok((self.change)(self.of.picture(index, nth)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Cached;
    use crate::source;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_cache_behind_it_changes_each_picture_once() {
        let (collection, _) = source::open("synthetic", serde_json::json!({"len": 3})).unwrap();
        let plain = collection.dataset.image(1).unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let counter = count.clone();
        let changed = Changed::new(collection.dataset, move |mut image: Image| {
            counter.fetch_add(1, Ordering::Relaxed);
            image.pixels_mut().iter_mut().for_each(|v| *v = 255 - *v);
            image
        });
        let cached = Cached::new(Arc::new(changed), 10);
        for _ in 0..3 {
            let image = cached.picture(1, 0).unwrap();
            assert!(image.pixels().iter().zip(plain.pixels()).all(|(a, b)| *a == 255 - *b));
        }
        assert_eq!((count.load(Ordering::Relaxed), cached.rows().len()), (1, 3));
    }
}

//! Samples of several pictures: both eyes of a patient, the sites of a well, the photos of a product.

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::image::Image;
use crate::row::{Column, Part, Row};
use std::collections::HashMap;
use std::sync::Arc;

/// A data set whose rows of one [`Row::sample`] (and part) are one row with several pictures.
pub struct Samples {
    of: Arc<dyn Dataset>,
    rows: Vec<Row>,
    /// The rows of `of` whose pictures each sample has.
    members: Vec<Vec<usize>>,
}

impl Samples {
    /// Gathers the rows of `of`, samples and their pictures in the order of their first rows. A sample's id is its key, a row
    /// without one stays as it is. Group and metadata are the first known ones of its pictures.
    ///
    /// # Errors
    /// [`Error::Invalid`] when pictures of one sample have different labels, or a sample's key is another row's id.
    pub fn gather(of: Arc<dyn Dataset>) -> Result<Self> {
        let (mut rows, mut members) = (Vec::<Row>::new(), Vec::<Vec<usize>>::new());
        let mut places = HashMap::<(Part, &str), usize>::new();
        for (i, row) in of.rows().iter().enumerate() {
            let id = row.sample.as_deref().unwrap_or(&row.id);
            let Some(&place) = places.get(&(row.part, id)) else {
                places.insert((row.part, id), rows.len());
                rows.push(Row { id: id.into(), sample: None, ..row.clone() });
                members.push(vec![i]);
                continue;
            };
            let first = &of.rows()[members[place][0]];
            if row.sample != first.sample {
                let why = format!(
                    "'{id}' is the key of a sample and the id of another picture; give one of them another name"
                );
                return Err(Error::Invalid(why));
            }
            let sample = &mut rows[place];
            if row.target.as_ref().zip(sample.target.as_ref()).is_some_and(|(a, b)| !a.is(b)) {
                let (a, b) = (&first.id, &row.id);
                let said =
                    |row: &Row| row.class().map_or(String::new(), |c| format!(" ({})", of.classes()[c as usize]));
                return Err(Error::Invalid(format!(
                    "the pictures of sample '{id}' have different labels: '{a}'{} and '{b}'{}; correct them, or take another \
                     data.sample",
                    said(first),
                    said(row)
                )));
            }
            sample.target = sample.target.take().or_else(|| row.target.clone());
            sample.group = sample.group.take().or_else(|| row.group.clone());
            for (known, other) in sample.meta.iter_mut().zip(&row.meta).filter(|(known, _)| known.is_nan()) {
                *known = *other;
            }
            members[place].push(i);
        }
        Ok(Self { of, rows, members })
    }

    /// The rows of the data set it was gathered from, for each sample.
    pub fn members(&self) -> &[Vec<usize>] {
        &self.members
    }
}

impl Dataset for Samples {
    fn rows(&self) -> &[Row] {
        &self.rows
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
        self.members[index].len()
    }
    fn picture(&self, index: usize, nth: usize) -> Result<Image> {
        self.of.image(self.members[index][nth])
    }
}

/// Which of `count` pictures stand for `views` of them, in order: evenly spaced where there are more, some of them again where
/// there are fewer.
pub fn spread(count: usize, views: usize) -> impl Iterator<Item = usize> {
    (0..views).map(move |view| view * count / views.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Target;

    /// Rows with pictures of one pixel, the row's number.
    struct Dots(Vec<Row>, Vec<String>);

    impl Dataset for Dots {
        fn rows(&self) -> &[Row] {
            &self.0
        }
        fn classes(&self) -> &[String] {
            &self.1
        }
        fn image(&self, index: usize) -> Result<Image> {
            Ok(Image::filled(1, 1, &[index as u8]))
        }
    }

    fn dots(rows: &[(&str, Option<&str>, Option<u32>)]) -> Arc<dyn Dataset> {
        let row = |&(id, sample, class): &(&str, Option<&str>, Option<u32>)| Row {
            id: id.into(),
            sample: sample.map(str::to_string),
            target: class.map(Target::Class),
            group: class.map(|c| format!("group {c}")),
            meta: vec![class.map_or(f32::NAN, |c| c as f32)],
            ..Row::default()
        };
        Arc::new(Dots(rows.iter().map(row).collect(), vec!["cat".into(), "dog".into()]))
    }

    #[test]
    fn rows_of_a_sample_become_one_with_their_pictures() {
        let rows = [("a", Some("s"), None), ("b", None, Some(0)), ("c", Some("s"), Some(1)), ("d", Some("t"), Some(0))];
        let samples = Samples::gather(dots(&rows)).unwrap();
        let ids: Vec<&str> = samples.rows().iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, ["s", "b", "t"]);
        assert_eq!(samples.members(), [vec![0, 2], vec![1], vec![3]]);
        let first = &samples.rows()[0];
        assert_eq!((first.class(), first.group.as_deref(), &first.meta[..]), (Some(1), Some("group 1"), &[1.0][..]));
        assert_eq!((samples.pictures(0), samples.pictures(1)), (2, 1));
        assert_eq!(samples.picture(0, 1).unwrap().pixels(), [2]);
        assert_eq!(samples.image(2).unwrap().pixels(), [3]);
    }

    #[test]
    fn samples_that_contradict_themselves_are_refused() {
        let why = |rows: &[_]| Samples::gather(dots(rows)).err().unwrap().to_string();
        let labels = why(&[("a", Some("s"), Some(0)), ("b", Some("s"), Some(1))]);
        assert!(labels.contains("sample 's'") && labels.contains("'a' (cat) and 'b' (dog)"), "{labels}");
        let names = why(&[("s", None, Some(0)), ("b", Some("s"), Some(0))]);
        assert!(names.contains("'s' is the key of a sample and the id of another"), "{names}");
    }

    #[test]
    fn views_are_spread_over_the_pictures() {
        assert_eq!(spread(3, 3).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(spread(8, 4).collect::<Vec<_>>(), [0, 2, 4, 6]);
        assert_eq!(spread(1, 3).collect::<Vec<_>>(), [0, 0, 0]);
        assert_eq!(spread(2, 3).collect::<Vec<_>>(), [0, 0, 1]);
    }
}

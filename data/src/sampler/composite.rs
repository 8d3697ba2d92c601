//! Every combination equally likely.

use super::balanced::draw;
use super::{Sampler, members};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::row::{Column, Row};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Drawn with replacement so that every combination of class, group and columns that there is comes equally often: no class is
/// then told by the eye, hospital or experiment that most of its samples come from. Rows without a value are a kind of their own.
/// Before it is bound to columns ([`Sampler::bind`], which [`build`](super::build) and [`Loader`](crate::Loader) do) it knows no
/// combinations and draws nothing.
///
/// | field | default | range |
/// |---|---|---|
/// | `by` | class, group | at least one of `class`, `group` and the columns of metadata |
/// | `each` | 0 | samples of each combination in an epoch; 0: an epoch has as many as there are rows |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Composite {
    /// What is combined.
    pub by: Vec<String>,
    /// Samples of each combination.
    pub each: usize,
    /// None until they are bound.
    #[serde(skip)]
    keys: Option<Vec<Key>>,
}

impl Default for Composite {
    fn default() -> Self {
        Self { by: vec!["class".into(), "group".into()], each: 0, keys: None }
    }
}

impl Composite {
    fn kinds(&self, rows: &[Row]) -> Vec<Vec<usize>> {
        let kind = |row: &Row| self.keys.iter().flatten().map(|key| key.of(row)).collect::<Vec<_>>();
        let rows = if self.keys.is_some() { rows } else { &[] };
        members(rows, kind).into_values().collect()
    }

    /// Of an epoch of rows of so many `kinds`.
    fn count(&self, rows: &[Row], kinds: usize) -> usize {
        match self.each {
            0 if kinds > 0 => rows.len(),
            each => each * kinds,
        }
    }
}

impl Sampler for Composite {
    fn order(&self, rows: &[Row], rng: &mut ChaCha8Rng) -> Vec<usize> {
        let kinds = self.kinds(rows);
        draw(&kinds, self.count(rows, kinds.len()), rng)
    }
    fn length(&self, rows: &[Row]) -> usize {
        self.count(rows, self.kinds(rows).len())
    }
    fn by_class(&self) -> bool {
        self.by.iter().any(|name| name == "class")
    }
    fn bind(&mut self, columns: &[Column]) -> Result<()> {
        let wrong = |error| Error::Invalid(format!("sampler 'composite': by: {error}"));
        self.keys = Some(self.by.iter().map(|name| Key::find(name, columns)).collect::<Result<_>>().map_err(wrong)?);
        Ok(())
    }
    fn validate(&self) -> Result<()> {
        match self.by.is_empty() {
            true => {
                Err(Error::Invalid("sampler 'composite': by must name what to combine, as ['class', 'group']".into()))
            }
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;
    use crate::row::Target;
    use crate::sampler::build;
    use serde_json::json;

    #[test]
    fn every_combination_comes_equally_often() {
        // Nearly all of class 1 are of the left eye.
        let row = |i: usize| Row {
            target: Some(Target::Class((i % 2) as u32)),
            group: Some(format!("patient {}", i % 7)),
            meta: vec![f32::from(i.is_multiple_of(4) || i % 40 == 1)],
            ..Row::default()
        };
        let rows: Vec<Row> = (0..4000).map(row).collect();
        let columns = [Column { name: "eye".into(), categories: vec!["left".into(), "right".into()] }];
        let sampler = build("composite", json!({"by": ["class", "eye"], "each": 750}), &columns).unwrap();
        let order = sampler.order(&rows, &mut stream(1, 0, 0));
        assert_eq!((order.len(), sampler.length(&rows)), (3000, 3000));
        for (class, eye) in [(0, 0.0), (0, 1.0), (1, 0.0), (1, 1.0)] {
            let seen = order.iter().filter(|&&i| rows[i].class() == Some(class) && rows[i].meta[0] == eye).count();
            // 750 expected, with a standard deviation of 24.
            assert!((630..870).contains(&seen), "{class} {eye}: {seen}");
        }
        assert_eq!(build("composite", json!({}), &[]).unwrap().length(&rows), 4000);
        let unbound = Composite::default();
        assert_eq!((unbound.length(&rows), unbound.order(&rows, &mut stream(1, 0, 0)).len()), (0, 0));
        let why = build("composite", json!({"by": ["eyes"]}), &columns).err().unwrap().to_string();
        assert!(why.contains("unknown column 'eyes', expected one of eye"), "{why}");
    }
}

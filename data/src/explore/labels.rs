//! Classes and labels: how often, how even, which together.

use super::meta::Numbers;
use super::{ExploreConfig, Report, part_name};
use crate::labels;
use crate::row::{Part, Row, Target};
use crate::source::Collection;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Most labels whose matrices are made.
const MATRIX: usize = 100;
/// Most combinations that are listed.
const LISTED: usize = 500;
/// Most examples of a combination.
const EXAMPLES: usize = 4;

/// Several labels at once.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MultiLabel {
    /// Labelled rows of the training and validation parts.
    pub rows: usize,
    /// Of them, rows without any label set.
    pub empty: usize,
    /// Values that are not known.
    pub unknown: usize,
    /// Mean number of labels set in a row.
    pub cardinality: f64,
    /// Cardinality over the number of labels.
    pub density: f64,
    /// Names of the labels, the order of the matrices; those are empty where there are more than 100 labels.
    pub labels: Vec<String>,
    /// In how many rows both labels are set.
    pub together: Vec<Vec<usize>>,
    /// Phi coefficient of both labels over the rows that know them; none where one of them is always or never set.
    pub correlation: Vec<Vec<Option<f64>>>,
    /// How many different combinations there are.
    pub distinct: usize,
    /// The rarest combinations, at most 500, rarest first: what a wish list of more pictures begins with.
    pub combinations: Vec<Combination>,
}

/// Labels that are set together and no others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Combination {
    /// Their names.
    pub labels: Vec<String>,
    /// Rows that have just these.
    pub count: usize,
    /// Some of their files.
    pub examples: Vec<String>,
}

/// What the targets of a data set are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One class, also where it is given as soft labels that add up to one.
    Class,
    /// Any number of labels, each 0, 1 or not known.
    Labels,
    /// Other numbers.
    Values,
}

impl From<labels::Kind> for Kind {
    fn from(kind: labels::Kind) -> Self {
        match kind {
            labels::Kind::Class | labels::Kind::Ordinal | labels::Kind::Distribution => Self::Class,
            labels::Kind::MultiLabel => Self::Labels,
            labels::Kind::Regression => Self::Values,
        }
    }
}

impl Kind {
    /// The classes or labels of a row.
    pub fn labels(self, row: &Row) -> impl Iterator<Item = usize> {
        let one = if self == Self::Class { row.likeliest() } else { None };
        let several = match &row.target {
            Some(Target::Dense(values)) if self == Self::Labels => values.as_slice(),
            _ => &[],
        };
        let set = several.iter().enumerate().filter(|(_, value)| **value == 1.0).map(|(label, _)| label);
        one.map(|class| class as usize).into_iter().chain(set)
    }
}

impl Report {
    pub(super) fn count_rows(&mut self, collection: &Collection, config: &ExploreConfig, kind: Kind) {
        let (rows, classes) = (collection.dataset.rows(), collection.dataset.classes());
        let mut groups = BTreeSet::new();
        let mut counts = vec![0usize; width(rows).max(classes.len())];
        for row in rows {
            *self.parts.entry(part_name(row.part)).or_default() += 1;
            groups.extend(row.group.as_deref());
            if row.part != Part::Test {
                kind.labels(row).for_each(|class| {
                    if let Some(count) = counts.get_mut(class) {
                        *count += 1;
                    }
                });
            }
        }
        for (class, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            let name = name(classes, class);
            let dropped = config.drop_labels.contains(&name);
            if dropped { &mut self.dropped_labels } else { &mut self.classes }.insert(name, count);
        }
        self.groups = groups.len();
        let (most, least) = (self.classes.values().max(), self.classes.values().min());
        self.imbalance = most.zip(least).map_or(1.0, |(most, least)| *most as f64 / *least as f64);
        self.entropy = entropy(self.classes.values());
        self.evenness = if self.classes.len() > 1 { self.entropy / (self.classes.len() as f64).ln() } else { 1.0 };
        match kind {
            Kind::Class => {}
            Kind::Labels => self.multi_label = Some(several(collection)),
            Kind::Values => self.outputs = outputs(rows, classes),
        }
    }
}

/// Shannon entropy in nats of how often each class is seen.
fn entropy<'a>(counts: impl Iterator<Item = &'a usize> + Clone) -> f64 {
    let total = counts.clone().sum::<usize>().max(1) as f64;
    counts.map(|count| *count as f64 / total).filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum::<f64>().max(0.0)
}

fn name(classes: &[String], label: usize) -> String {
    classes.get(label).cloned().unwrap_or_else(|| label.to_string())
}

/// The values of rows that are to be learned or judged by.
fn dense(rows: &[Row]) -> impl Iterator<Item = (usize, &[f32])> {
    let learned = rows.iter().enumerate().filter(|(_, row)| row.part != Part::Test);
    learned.filter_map(|(i, row)| match &row.target {
        Some(Target::Dense(values)) => Some((i, values.as_slice())),
        _ => None,
    })
}

/// Most values of a row.
fn width(rows: &[Row]) -> usize {
    dense(rows).map(|(_, values)| values.len()).max().unwrap_or(0)
}

fn outputs(rows: &[Row], classes: &[String]) -> BTreeMap<String, Numbers> {
    let numbers = |k: usize| Numbers::of(dense(rows).filter_map(|(_, values)| values.get(k).copied()).collect());
    (0..width(rows)).filter_map(|k| Some((name(classes, k), numbers(k)?))).collect()
}

fn several(collection: &Collection) -> MultiLabel {
    let (rows, classes) = (collection.dataset.rows(), collection.dataset.classes());
    let width = width(rows).max(classes.len());
    let mut found = MultiLabel { labels: (0..width).map(|k| name(classes, k)).collect(), ..MultiLabel::default() };
    let mut pairs = Pairs::new(if width <= MATRIX { width } else { 0 });
    let mut combinations = BTreeMap::<Vec<u32>, (usize, Vec<usize>)>::new();
    let mut total = 0;
    for (row, values) in dense(rows) {
        let which = |wanted: fn(&f32) -> bool| {
            let found = values.iter().enumerate().filter(|(_, v)| wanted(v));
            found.map(|(label, _)| label as u32).collect::<Vec<u32>>()
        };
        let (set, unknown) = (which(|v| *v == 1.0), which(|v| v.is_nan()));
        found.rows += 1;
        found.empty += usize::from(set.is_empty() && unknown.is_empty());
        found.unknown += unknown.len();
        total += set.len();
        pairs.add(&set, &unknown);
        // What is not known may be set, so that nothing can be said of the combination.
        if unknown.is_empty() {
            let (count, examples) = combinations.entry(set).or_default();
            *count += 1;
            if examples.len() < EXAMPLES {
                examples.push(row);
            }
        }
    }
    found.cardinality = total as f64 / found.rows.max(1) as f64;
    found.density = found.cardinality / width.max(1) as f64;
    (found.together, found.correlation) = pairs.finish(found.rows);
    found.distinct = combinations.len();
    let mut rarest: Vec<_> = combinations.into_iter().map(|(labels, (count, rows))| (count, labels, rows)).collect();
    rarest.sort();
    rarest.truncate(LISTED);
    let shown: BTreeSet<usize> = rarest.iter().flat_map(|(_, _, rows)| rows).copied().collect();
    let files = collection.files.iter().filter_map(|file| Some((file.row?, &file.path)));
    let paths: BTreeMap<usize, &String> = files.filter(|(row, _)| shown.contains(row)).collect();
    let combination = |(count, labels, rows): (usize, Vec<u32>, Vec<usize>)| Combination {
        labels: labels.iter().map(|label| found.labels[*label as usize].clone()).collect(),
        count,
        examples: rows.iter().filter_map(|row| paths.get(row).map(|path| path.to_string())).collect(),
    };
    found.combinations = rarest.into_iter().map(combination).collect();
    found
}

/// In how many rows two labels are set or not known.
struct Pairs {
    both: Vec<Vec<usize>>,
    /// The first is set, the second not known.
    half: Vec<Vec<usize>>,
    neither_known: Vec<Vec<usize>>,
}

impl Pairs {
    fn new(width: usize) -> Self {
        let zeros = vec![vec![0; width]; width];
        Self { both: zeros.clone(), half: zeros.clone(), neither_known: zeros }
    }

    fn add(&mut self, set: &[u32], unknown: &[u32]) {
        if self.both.is_empty() {
            return;
        }
        for (matrix, first, second) in
            [(&mut self.both, set, set), (&mut self.half, set, unknown), (&mut self.neither_known, unknown, unknown)]
        {
            for &i in first {
                second.iter().for_each(|&j| matrix[i as usize][j as usize] += 1);
            }
        }
    }

    /// How often both are set, and phi.
    fn finish(self, rows: usize) -> (Vec<Vec<usize>>, Vec<Vec<Option<f64>>>) {
        let Self { both, half, neither_known: unknown } = &self;
        let phi = |i: usize, j: usize| {
            let known = (rows + unknown[i][j] - unknown[i][i] - unknown[j][j]) as f64;
            let (a, b) = ((both[i][i] - half[i][j]) as f64, (both[j][j] - half[j][i]) as f64);
            let varied = a * (known - a) * b * (known - b);
            (varied > 0.0).then(|| (known * both[i][j] as f64 - a * b) / varied.sqrt())
        };
        let matrix = (0..both.len()).map(|i| (0..both.len()).map(|j| phi(i, j)).collect()).collect();
        (self.both, matrix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[f32]) -> Row {
        Row { target: Some(Target::Dense(values.to_vec())), ..Row::default() }
    }

    #[test]
    fn targets_are_told_apart() {
        let class = Row { target: Some(Target::Class(2)), ..Row::default() };
        assert_eq!(Kind::Class.labels(&class).collect::<Vec<_>>(), [2]);
        assert_eq!(Kind::Labels.labels(&row(&[1.0, f32::NAN, 1.0])).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(Kind::Class.labels(&row(&[0.25, 0.75])).collect::<Vec<_>>(), [1]);
        assert_eq!(Kind::Values.labels(&row(&[1.0])).count(), 0);
    }

    /// `phi` of rows where both labels are known is Pearson's correlation of them.
    #[test]
    fn phi_leaves_out_what_is_not_known() {
        let nan = f32::NAN;
        let rows = [[1.0, 1.0], [1.0, 0.0], [0.0, 0.0], [nan, 1.0], [0.0, nan], [nan, nan], [1.0, 1.0]];
        let mut pairs = Pairs::new(2);
        for row in &rows {
            let which = |wanted: fn(f32) -> bool| (0..2u32).filter(|i| wanted(row[*i as usize])).collect::<Vec<_>>();
            pairs.add(&which(|v| v == 1.0), &which(f32::is_nan));
        }
        let (together, phi) = pairs.finish(rows.len());
        assert_eq!(together, [[3, 2], [2, 3]]);
        // Known rows: (1,1), (1,0), (0,0), (1,1).
        assert!((phi[0][1].unwrap() - (4.0 * 2.0 - 3.0 * 2.0) / (3.0 * 1.0 * 2.0 * 2.0f64).sqrt()).abs() < 1e-12);
        assert_eq!(phi[0][1], phi[1][0]);
        assert_eq!(phi[1][1], Some(1.0));
    }

    #[test]
    fn even_classes_have_the_largest_entropy() {
        assert!((entropy([5, 5, 5, 5].iter()) - 4f64.ln()).abs() < 1e-12);
        assert_eq!(entropy([7].iter()), 0.0);
        assert_eq!(entropy([].iter()), 0.0);
    }
}

//! Adversarial validation: can rows of the training part be told from those of the test part?

use super::logistic::{Logistic, auc};
use super::{Glance, Report, usual_channels};
use crate::rng::stream;
use crate::row::{Column, Part, Row};
use crate::source::Found;
use crate::tabular::Encoder;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::Serialize;

/// Fewer rows of a part say nothing.
const FEW: usize = 50;
/// Most rows of a part that are taken, evenly spread; of many features fewer.
const MANY: usize = 20_000;
/// Columns with more categories are left out: they would be fitted by heart.
const CATEGORIES: usize = 32;
/// Most features of columns; further columns are left out.
const WIDE: usize = 1000;
/// Most rows of a part times features times features: beyond it fewer rows are taken, a step of the fit costs so much.
const WORK: usize = 400_000_000;
const FOLDS: usize = 5;
const RIDGE: f64 = 1.0;
/// From this area on the parts differ.
const DIFFERENT: f64 = 0.7;

/// How well a logistic regression tells training rows from test rows (0.5: not at all, 1: always), and by what.
///
/// It sees metadata (columns of at most 32 categories, at most 1000 features of them) and simple figures of the pictures: sides,
/// bytes, means and deviations of channels, sharpness, black border. Features are standardized, the ridge is 1, areas are those
/// of rows left out (5 folds).
#[derive(Clone, Debug, Serialize)]
pub struct Adversarial {
    /// Rows taken of the training part.
    pub train: usize,
    /// Rows taken of the test part.
    pub test: usize,
    /// Area under the ROC curve of rows left out.
    pub auc: f64,
    /// What it sees, the feature that tells most alone first.
    pub features: Vec<Feature>,
}

/// A feature of the rows.
#[derive(Clone, Debug, Serialize)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// Area under the ROC curve of the feature alone; below 0.5 where it is smaller in the test part.
    pub auc: f64,
    /// Weight of the standardized feature in a regression on all rows.
    pub weight: f64,
}

impl Report {
    pub(super) fn tell_apart(&mut self, files: &[Found], rows: &[Row], columns: &[Column]) {
        let channels = usual_channels(self.glances.iter().flatten());
        let places = places(columns);
        let of_columns = places.iter().map(|&m| width(&columns[m])).sum::<usize>();
        let features = of_columns + FIGURES.len() + 2 * channels.unwrap_or(0) + 1;
        let many = (WORK / (features * features)).clamp(FEW, MANY);
        let usable = |file: usize| {
            let glance = self.glances.get(file).and_then(Option::as_ref);
            channels.is_none_or(|channels| glance.is_some_and(|glance| glance.sums.len() == channels))
        };
        let of = |part: Part| {
            let owned = files.iter().enumerate().filter_map(|(file, found)| Some((found.row?, file)));
            let own: Vec<(usize, usize)> =
                owned.filter(|(row, file)| rows[*row].part == part && usable(*file)).collect();
            let taken = own.len().min(many);
            (0..taken).map(|n| own[n * own.len() / taken]).collect::<Vec<_>>()
        };
        let (train, test) = (of(Part::Train), of(Part::Test));
        if train.len() < FEW || test.len() < FEW {
            return;
        }
        let (names, features) = self.features(&[&train[..], &test].concat(), rows, columns, &places);
        let taken: Vec<&[f32]> = features.iter().map(Vec::as_slice).collect();
        let truth: Vec<bool> = (0..taken.len()).map(|i| i >= train.len()).collect();
        let Some(area) = left_out(&taken, &truth, &folds(&truth)).filter(|_| !names.is_empty()) else { return };
        let weights = Logistic::fit(&taken, &truth, RIDGE).weights;
        let alone = |(k, name): (usize, String)| {
            let values: Vec<f64> = taken.iter().map(|row| f64::from(row[k])).collect();
            Feature { name, auc: auc(&values, &truth).unwrap_or(0.5), weight: weights[k] }
        };
        let mut features: Vec<Feature> = names.into_iter().enumerate().map(alone).collect();
        features.sort_by(|a, b| (b.auc - 0.5).abs().total_cmp(&(a.auc - 0.5).abs()).then_with(|| a.name.cmp(&b.name)));
        if let (true, Some(first)) = (area > DIFFERENT, features.first()) {
            self.warnings.push(format!(
                "training and test part differ: a regression tells their rows apart with AUC {area:.2}, most of all by {} (AUC \
                 {:.2} alone)",
                first.name, first.auc
            ));
        }
        self.adversarial = Some(Adversarial { train: train.len(), test: test.len(), auc: area, features });
    }

    /// Names of the features, and those of rows with their files.
    fn features(
        &self,
        taken: &[(usize, usize)],
        rows: &[Row],
        columns: &[Column],
        places: &[usize],
    ) -> (Vec<String>, Vec<Vec<f32>>) {
        let kept: Vec<Column> = places.iter().map(|&m| columns[m].clone()).collect();
        let mut names = vec![];
        for column in &kept {
            match column.categories.is_empty() {
                true => names.push(column.name.clone()),
                false => names.extend(column.categories.iter().map(|category| format!("{} = {category}", column.name))),
            }
            names.push(format!("{} is missing", column.name));
        }
        let meta = |row: &Row| places.iter().map(|&m| row.meta.get(m).copied().unwrap_or(f32::NAN)).collect();
        let reduced = taken.iter().map(|(row, _)| Row { meta: meta(&rows[*row]), ..Row::default() });
        let reduced: Vec<Row> = reduced.collect();
        let encoder = Encoder::fit(&kept, reduced.iter());
        let glance = |file: usize| self.glances.get(file).and_then(Option::as_ref);
        if let Some(first) = taken.first().and_then(|(_, file)| glance(*file)) {
            names.extend(FIGURES.map(String::from));
            let of = |c: usize| [format!("mean of channel {c}"), format!("deviation of channel {c}")];
            names.extend((0..first.sums.len()).flat_map(of));
        }
        let sized = self.bytes.iter().any(Option::is_some);
        if sized {
            names.push("bytes (log)".into());
        }
        let features = reduced.iter().zip(taken).map(|(row, (_, file))| {
            let mut features = encoder.encode(&row.meta);
            if let Some(glance) = glance(*file) {
                figures(glance, &mut features);
            }
            if sized {
                features.push(self.bytes[*file].map_or(0.0, |bytes| (bytes as f32).ln_1p()));
            }
            features
        });
        let features = features.collect();
        (names, features)
    }
}

/// Features of a column: one of a number or of each category, and whether it is missing.
fn width(column: &Column) -> usize {
    column.categories.len().max(1) + 1
}

/// The columns that are looked at.
fn places(columns: &[Column]) -> Vec<usize> {
    let mut room = WIDE;
    let mut has_room = |m: &usize| {
        let left = room.checked_sub(width(&columns[*m]));
        room = left.unwrap_or(room);
        left.is_some()
    };
    let few = (0..columns.len()).filter(|&m| columns[m].categories.len() <= CATEGORIES);
    few.filter(|m| has_room(m)).collect()
}

/// Names of the first [`figures`].
const FIGURES: [&str; 5] = ["width (log)", "height (log)", "aspect (log)", "sharpness (log)", "border"];

fn figures(glance: &Glance, features: &mut Vec<f32>) {
    let (width, height) = (f64::from(glance.width), f64::from(glance.height));
    features.extend([width.ln(), height.ln(), glance.aspect().ln()].map(|v| v as f32));
    features.extend([glance.sharpness.ln_1p(), glance.border]);
    features.extend(glance.channels().flatten().map(|v| v as f32));
}

/// A fold for each row, both kinds spread evenly, always in the same way.
fn folds(truth: &[bool]) -> Vec<usize> {
    let mut rng = stream(0, 0, 0);
    let mut folds = vec![0; truth.len()];
    for kind in [false, true] {
        let mut own: Vec<usize> = (0..truth.len()).filter(|&i| truth[i] == kind).collect();
        own.shuffle(&mut rng);
        own.into_iter().enumerate().for_each(|(n, i)| folds[i] = n % FOLDS);
    }
    folds
}

/// Area under the ROC curve of all rows, each judged by a regression on the other folds.
fn left_out(rows: &[&[f32]], truth: &[bool], folds: &[usize]) -> Option<f64> {
    let judge = |fold: usize| -> Vec<(usize, f64)> {
        let (out, taken): (Vec<usize>, Vec<usize>) = (0..rows.len()).partition(|&i| folds[i] == fold);
        let pick = taken.iter().map(|&i| (rows[i], truth[i]));
        let (fitted, known): (Vec<&[f32]>, Vec<bool>) = pick.unzip();
        let model = Logistic::fit(&fitted, &known, RIDGE);
        out.into_iter().map(|i| (i, model.score(rows[i]))).collect()
    };
    let mut scores = vec![0.0; rows.len()];
    let judged: Vec<_> = (0..FOLDS).into_par_iter().map(judge).collect();
    judged.into_iter().flatten().for_each(|(i, score)| scores[i] = score);
    auc(&scores, truth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn scikit_learn_tells_the_parts_apart_as_well() {
        let golden: Value = serde_json::from_str(include_str!("../../tests/golden/explore.json")).unwrap();
        let golden = &golden["adversarial"];
        let numbers = |v: &Value| v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect::<Vec<_>>();
        let rows: Vec<Vec<f32>> = golden["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| numbers(row).iter().map(|v| *v as f32).collect())
            .collect();
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let truth: Vec<bool> = numbers(&golden["test"]).iter().map(|v| *v == 1.0).collect();
        let folds: Vec<usize> = numbers(&golden["folds"]).iter().map(|v| *v as usize).collect();
        let area = left_out(&rows, &truth, &folds).unwrap();
        let wanted = golden["auc"].as_f64().unwrap();
        assert!((area - wanted).abs() < 1e-3, "{area} {wanted}");
        let weights = Logistic::fit(&rows, &truth, RIDGE).weights;
        for (weight, wanted) in weights.iter().zip(numbers(&golden["weights"])) {
            assert!((weight - wanted).abs() < 1e-4, "{weights:?} {}", golden["weights"]);
        }
    }

    #[test]
    fn folds_are_even_and_always_the_same() {
        let truth: Vec<bool> = (0..103).map(|i| i % 4 == 0).collect();
        let dealt = folds(&truth);
        assert_eq!(dealt, folds(&truth));
        for fold in 0..FOLDS {
            let test = (0..103).filter(|&i| truth[i] && dealt[i] == fold).count();
            assert!((5..=6).contains(&test), "{dealt:?}");
        }
    }
}

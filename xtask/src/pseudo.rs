//! Pseudo-labels: rows of the test part, and training rows without a label, with what the networks of a finished run say of
//! them, to learn from as well.
//!
//! Lee 2013, "Pseudo-label: the simple and efficient semi-supervised learning method"; the filter and the balance are those of
//! Xie et al. 2020, "Self-training with noisy student improves ImageNet classification" (arXiv 1911.04252). Each fold learns
//! from what the run's network of the same fold says, so that nothing of the rows that judge it comes back through the labels.

use crate::prepare::{Asked, Prepared};
use anyhow::{Context, Result, bail};
use data::{Dataset, Kind, Row, Subset, Target};
use eval::{Predictions, Run};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// `[pseudo]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pseudo {
    /// Folder of a finished run with the same rows and folds; `self-train` fills it in.
    pub run: String,
    /// Probability of the best class from which on it is believed, 0..=1.
    pub confidence: f64,
    /// Whether every class has the same number of pictures: the surest ones of frequent classes, those of rare ones several
    /// times.
    pub balance: bool,
    /// That number, or without `balance` the most; 0: the median over the classes, or all.
    pub per_class: usize,
    /// Whether the labels are all probabilities, not the best class alone.
    pub soft: bool,
}

/// Classes that a note names.
const MOST_NAMED: usize = 12;

/// What was believed.
pub struct Told {
    /// Rows that the networks were asked about.
    pub asked: usize,
    /// Pseudo-labels, copies included.
    pub believed: usize,
    /// Rows by the class that they have now, each counted once.
    by_class: Vec<(String, usize)>,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: usize = self.by_class.iter().map(|(_, count)| count).sum();
        write!(f, "{} pseudo-labels from {rows} of the {} rows to ask about", self.believed, self.asked)?;
        let named: Vec<String> =
            self.by_class.iter().filter(|(_, n)| *n > 0).map(|(class, n)| format!("{class} {n}")).collect();
        match named.len() {
            0 => Ok(()),
            1..=MOST_NAMED => write!(f, ": {}", named.join(", ")),
            all => write!(f, ": {}, and {} classes more", named[..MOST_NAMED].join(", "), all - MOST_NAMED),
        }
    }
}

impl Default for Pseudo {
    fn default() -> Self {
        Self { run: String::new(), confidence: 0.3, balance: true, per_class: 0, soft: true }
    }
}

impl Pseudo {
    /// Refuses what cannot be, before anything is read.
    pub fn check(&self) -> Result<()> {
        match () {
            _ if self.run.is_empty() => {
                bail!("pseudo.run is missing, the folder of a finished run; `self-train` makes one")
            }
            _ if !(0.0..=1.0).contains(&self.confidence) => bail!("pseudo.confidence must be in 0..=1"),
            _ if self.per_class > 10_000_000 => bail!("pseudo.per_class must be at most ten million"),
            _ => Ok(()),
        }
    }

    /// Refuses what has no meaning for targets of `kind`.
    pub fn check_target(&self, kind: Kind) -> Result<()> {
        if kind == Kind::MultiLabel && (self.balance || !self.soft) {
            bail!(
                "pseudo: a picture of several labels has no class alone; set pseudo.balance = false and pseudo.soft = true"
            );
        }
        Ok(())
    }

    /// Makes sure that the run has an answer of every fold for what is asked.
    pub fn check_answers(&self, prepared: &Prepared) -> Result<()> {
        let run = Run::open(Path::new(&self.run)).context("pseudo.run")?;
        let asked = Asked::ALL.into_iter().filter(|about| !prepared.asked(*about).is_empty());
        let mut files =
            asked.flat_map(|about| (0..prepared.trained_folds).map(move |fold| format!("fold{fold}/{}", about.file())));
        match files.find(|file| !run.has(file)) {
            None => Ok(()),
            Some(file) => {
                let folder = run.folder().display();
                bail!(
                    "pseudo.run: '{folder}' has no {file}; let `pipeline --resume` finish it, which asks all pictures without a label"
                )
            }
        }
    }

    /// The rows `learn` of `pictures` and behind them those without a label that the network of fold `fold` is sure of, some
    /// of them several times; and how many those are.
    pub fn join(
        &self,
        pictures: Arc<dyn Dataset>,
        learn: &[usize],
        fold: usize,
        prepared: &Prepared,
    ) -> Result<(Subset, Told)> {
        let run = Run::open(Path::new(&self.run)).context("pseudo.run")?;
        prepared.has_folds_of(&run).context("pseudo.run")?;
        let (rows, classes) = (pictures.rows(), prepared.classes());
        let mut answers = vec![];
        for about in Asked::ALL {
            let mut asked = prepared.asked(about);
            if about == Asked::Unlabelled {
                // Whoever left a label away did not mean to give a picture of a row that judges.
                asked = prepared.apart(asked, fold);
            }
            if !asked.is_empty() {
                answers.push((asked, said(&run, &format!("fold{fold}/{}", about.file()))?));
            }
        }
        if answers.is_empty() {
            bail!(
                "pseudo.run: nothing can be learned from it: there is no test part, and no training row without a label"
            );
        }
        let mut asked = vec![];
        for (rows_of, said) in &answers {
            if said.classes != classes {
                bail!("pseudo.run: '{}' knows other classes", run.folder().display());
            }
            let place: HashMap<&str, usize> = said.ids.iter().enumerate().map(|(i, id)| (id.as_str(), i)).collect();
            let known = rows_of.iter().filter_map(|&row| Some((row, said.row(*place.get(rows[row].id.as_str())?))));
            asked.extend(known);
        }
        let believed = self.believed(&asked, classes.len());
        let target = |said: &[f32], best: usize| match self.soft {
            true => Target::Dense(said.to_vec()),
            false => Target::Class(best as u32),
        };
        let known = learn.iter().map(|&row| {
            let own = rows[row].clone();
            // All targets of a batch are of one kind.
            let target = own
                .class()
                .filter(|_| self.soft)
                .map(|class| Target::Dense((0..classes.len()).map(|k| f32::from(k == class as usize)).collect()));
            (row, Row { target: target.or(own.target.clone()), ..own })
        });
        let pseudo = believed.iter().map(|&(i, best, copy)| {
            let (row, said) = asked[i];
            let own = rows[row].clone();
            // Random changes follow ids: copies are to differ.
            let id = if copy == 0 { own.id.clone() } else { format!("{}\u{1f}{copy}", own.id) };
            (row, Row { id, target: Some(target(said, best)), ..own })
        });
        let (indices, rows): (Vec<usize>, Vec<Row>) = known.chain(pseudo).unzip();
        let mut by_class = vec![0; classes.len()];
        believed.iter().filter(|(.., copy)| *copy == 0).for_each(|(_, best, _)| by_class[*best] += 1);
        let by_class = classes.iter().cloned().zip(by_class).collect();
        let told = Told { asked: asked.len(), believed: believed.len(), by_class };
        Ok((Subset::new(pictures.clone(), indices).with_rows(rows), told))
    }

    /// Which of the predictions are believed: index, class, and which copy it is.
    fn believed(&self, said: &[(usize, &[f32])], classes: usize) -> Vec<(usize, usize, usize)> {
        let mut by_class: Vec<Vec<(usize, f32)>> = vec![vec![]; classes];
        for (i, (_, row)) in said.iter().enumerate() {
            let best = (0..classes).fold(0, |best, k| if row[k] > row[best] { k } else { best });
            if f64::from(row[best]) >= self.confidence {
                by_class[best].push((i, row[best]));
            }
        }
        for members in &mut by_class {
            members.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        }
        let mut counts: Vec<usize> = by_class.iter().map(Vec::len).filter(|count| *count > 0).collect();
        counts.sort_unstable();
        let each = match (self.per_class, self.balance) {
            (0, false) => usize::MAX,
            (0, true) => counts.get(counts.len() / 2).copied().unwrap_or(0),
            (given, _) => given,
        };
        let mut chosen = vec![];
        for (class, members) in by_class.iter().enumerate().filter(|(_, members)| !members.is_empty()) {
            let count = if self.balance { each } else { each.min(members.len()) };
            chosen.extend((0..count).map(|n| (members[n % members.len()].0, class, n / members.len())));
        }
        chosen
    }
}

/// What a fold of `run` said.
fn said(run: &Run, name: &str) -> Result<Predictions> {
    let text = String::from_utf8(run.read(name)?).with_context(|| format!("'{name}' is no text"))?;
    Predictions::from_csv(&text).with_context(|| format!("'{}'", run.path(name).display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sure_predictions_are_believed_and_balanced() {
        let said: [[f32; 2]; 6] = [[0.9, 0.1], [0.8, 0.2], [0.55, 0.45], [0.7, 0.3], [0.2, 0.8], [0.95, 0.05]];
        let said: Vec<(usize, &[f32])> = said.iter().enumerate().map(|(i, row)| (i, &row[..])).collect();
        let chosen = |pseudo: Pseudo| pseudo.believed(&said, 2);
        let sure = || Pseudo { confidence: 0.6, ..Pseudo::default() };
        assert_eq!(
            chosen(Pseudo { balance: false, ..sure() }),
            [(5, 0, 0), (0, 0, 0), (1, 0, 0), (3, 0, 0), (4, 1, 0)]
        );
        // The median of 4 and 1 is the upper one.
        let all = chosen(sure());
        assert_eq!(all[4..], [(4, 1, 0), (4, 1, 1), (4, 1, 2), (4, 1, 3)]);
        assert_eq!(chosen(Pseudo { per_class: 2, ..sure() }), [(5, 0, 0), (0, 0, 0), (4, 1, 0), (4, 1, 1)]);
        assert_eq!(chosen(Pseudo { per_class: 2, balance: false, ..sure() }), [(5, 0, 0), (0, 0, 0), (4, 1, 0)]);
        assert!(chosen(Pseudo { confidence: 0.99, ..Pseudo::default() }).is_empty());
    }

    #[test]
    fn a_missing_run_is_said() {
        let why = |pseudo: Pseudo| format!("{:#}", pseudo.check().unwrap_err());
        assert!(why(Pseudo::default()).contains("pseudo.run is missing"));
        let some = || Pseudo { run: "runs/a".into(), ..Pseudo::default() };
        assert!(why(Pseudo { per_class: 1 << 60, ..some() }).contains("per_class"));
        assert!(why(Pseudo { confidence: 7.0, ..some() }).contains("confidence"));
    }
}

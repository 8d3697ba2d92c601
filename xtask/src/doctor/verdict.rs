//! From measured seconds to what holds training up: a pure function, so that it can be tested without a clock.

use serde::Serialize;

/// A part of the program that training may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// From files to batches.
    Loader,
    /// What a step computes.
    Model,
    /// Predictions of the rows that judge.
    Judging,
}

impl Part {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loader => "loader",
            Self::Model => "model",
            Self::Judging => "judging",
        }
    }
}

/// What a stage works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Batches that are learned from.
    Learned,
    /// Batches that judge.
    Judged,
    /// Both.
    Both,
}

/// A stage and what a batch costs in it.
#[derive(Clone, Debug)]
pub struct Stage {
    /// What it is called in a recipe, or here.
    pub name: String,
    pub part: Part,
    pub of: Of,
    /// Seconds per batch.
    pub seconds: f64,
    /// Pixels of a picture that comes in, on the average, where it works on single pictures.
    pub pixels: Option<f64>,
}

/// The name of the stage that reads and decodes.
pub const DECODE: &str = "decode";

/// What was measured and how often it is done.
#[derive(Clone, Debug)]
pub struct Measured {
    pub stages: Vec<Stage>,
    /// Seconds that the whole loader takes for a batch to learn from, nothing kept; 0: not measured.
    pub loader: f64,
    /// Pictures of a batch.
    pub batch: usize,
    /// Batches of an epoch that are learned from.
    pub learned: usize,
    /// Batches of an epoch that judge.
    pub judged: usize,
    /// Batches of the test part.
    pub tested: usize,
    pub epochs: usize,
    pub folds: usize,
    /// Test-time views of the predictions at the end.
    pub views: usize,
    /// Share of the pictures that stay decoded in memory.
    pub kept: f64,
    /// Whether the device computes while the cores load.
    pub overlaps: bool,
}

/// A stage with its share of the work of an epoch.
#[derive(Clone, Debug)]
pub struct Share {
    pub stage: Stage,
    /// Seconds of an epoch, on the average over the run.
    pub seconds: f64,
    /// Of all work of an epoch.
    pub share: f64,
}

/// What holds training up.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub shares: Vec<Share>,
    pub bottleneck: Part,
    /// The most expensive stage of the bottleneck.
    pub stage: String,
    /// Share of the bottleneck in the work of an epoch.
    pub part_share: f64,
    /// Share of that stage in its part.
    pub stage_share: f64,
    /// Pictures a second of the loader alone, nothing kept.
    pub loader_speed: f64,
    /// Pictures a second of the model alone.
    pub model_speed: f64,
    /// Of an epoch, its judging included, on the average over the run.
    pub epoch_seconds: f64,
    /// Of all folds, with their predictions at the end.
    pub run_seconds: f64,
}

impl Measured {
    /// Weighs the stages over an epoch and says what training waits for.
    pub fn verdict(&self) -> Verdict {
        let factor = self.correction();
        let mut shares: Vec<Share> = self.stages.iter().map(|stage| self.share(stage, factor)).collect();
        let total: f64 = shares.iter().map(|share| share.seconds).sum();
        shares.iter_mut().for_each(|share| share.share = share.seconds / total.max(f64::MIN_POSITIVE));
        let part = |part: Part| shares.iter().filter(|s| s.stage.part == part).map(|s| s.seconds).sum::<f64>();
        let parts = [Part::Loader, Part::Model, Part::Judging].map(|p| (part(p), p));
        // Ties go to the model: it cannot be bought off with another disk.
        let (seconds, bottleneck) = parts.into_iter().fold(parts[1], |a, b| if b.0 > a.0 { b } else { a });
        let inside = shares.iter().filter(|share| share.stage.part == bottleneck);
        let worst = inside.max_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let (stage, stage_share) = worst.map_or((String::new(), 0.0), |worst| {
            (worst.stage.name.clone(), worst.seconds / seconds.max(f64::MIN_POSITIVE))
        });
        let epoch_seconds = self.epoch(factor);
        let speed = |seconds: f64| self.batch as f64 / seconds.max(1e-9);
        Verdict {
            bottleneck,
            stage,
            stage_share,
            part_share: seconds / total.max(f64::MIN_POSITIVE),
            loader_speed: speed(self.batch_of(Part::Loader, factor)),
            model_speed: speed(self.batch_of(Part::Model, factor)),
            epoch_seconds,
            run_seconds: self.folds as f64 * (self.epochs as f64 * epoch_seconds + self.at_end(factor)),
            shares,
        }
    }

    /// The stages were timed one by one: what the whole loader takes is the truth, they say how it is divided.
    fn correction(&self) -> f64 {
        let sum = self.batch_of(Part::Loader, 1.0);
        if self.loader > 0.0 && sum > 0.0 { self.loader / sum } else { 1.0 }
    }

    /// Seconds of a batch to learn from, in one part.
    fn batch_of(&self, part: Part, factor: f64) -> f64 {
        let inside = self.stages.iter().filter(|stage| stage.part == part && stage.of != Of::Judged);
        inside.map(|stage| stage.seconds * if part == Part::Loader { factor } else { 1.0 }).sum()
    }

    fn share(&self, stage: &Stage, factor: f64) -> Share {
        let mut stage = stage.clone();
        if stage.part == Part::Loader {
            stage.seconds *= factor;
        }
        let batches = match stage.of {
            Of::Learned => self.learned,
            Of::Judged => self.judged,
            Of::Both => self.learned + self.judged,
        };
        let seconds = batches as f64 * stage.seconds * if stage.name == DECODE { self.decoded() } else { 1.0 };
        Share { stage, seconds, share: 0.0 }
    }

    /// Share of the pictures that are decoded, on the average over all epochs of all folds: kept ones only in the first.
    fn decoded(&self) -> f64 {
        let epochs = (self.epochs * self.folds).max(1) as f64;
        (1.0 + (epochs - 1.0) * (1.0 - self.kept.clamp(0.0, 1.0))) / epochs
    }

    /// Seconds of an epoch on the average over the run.
    fn epoch(&self, factor: f64) -> f64 {
        let decoded = self.decoded();
        let learned = self.learned as f64 * self.together(Of::Learned, factor, decoded, 1);
        learned + self.judged as f64 * self.together(Of::Judged, factor, decoded, 1)
    }

    /// Seconds of a fold's predictions at its end, of the rows that judge and of the test part.
    fn at_end(&self, factor: f64) -> f64 {
        let batches = (self.judged + self.tested) as f64;
        batches * self.together(Of::Judged, factor, 1.0 - self.kept.clamp(0.0, 1.0), self.views)
    }

    /// Seconds of a batch through all its stages: on a device of its own the model computes while the cores load, on the CPU
    /// they share the cores.
    fn together(&self, of: Of, factor: f64, decoded: f64, views: usize) -> f64 {
        let (mut loads, mut computes) = (0.0, 0.0);
        for stage in self.stages.iter().filter(|stage| stage.of == of || stage.of == Of::Both) {
            match stage.part {
                Part::Loader if stage.name == DECODE => loads += stage.seconds * factor * decoded,
                Part::Loader => loads += stage.seconds * factor,
                Part::Model => computes += stage.seconds,
                Part::Judging => computes += stage.seconds * views as f64,
            }
        }
        if self.overlaps { f64::max(loads, computes) } else { loads + computes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(name: &str, part: Part, of: Of, seconds: f64) -> Stage {
        Stage { name: name.into(), part, of, seconds, pixels: None }
    }

    /// An epoch of 10 batches, judged by 5.
    fn measured(decode: f64, rotate: f64, forward: f64, judge: f64) -> Measured {
        Measured {
            stages: vec![
                stage(DECODE, Part::Loader, Of::Both, decode),
                stage("rotate", Part::Loader, Of::Learned, rotate),
                stage("forward", Part::Model, Of::Learned, forward),
                stage("backward", Part::Model, Of::Learned, 2.0 * forward),
                stage("judge", Part::Judging, Of::Judged, judge),
            ],
            loader: 0.0,
            batch: 8,
            learned: 10,
            judged: 5,
            tested: 0,
            epochs: 10,
            folds: 2,
            views: 1,
            kept: 0.0,
            overlaps: false,
        }
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9 * b.abs().max(1.0)
    }

    #[test]
    fn the_most_expensive_part_and_the_stage_inside_are_named() {
        let of = |measured: Measured| {
            let verdict = measured.verdict();
            assert!(near(verdict.shares.iter().map(|s| s.share).sum(), 1.0));
            (verdict.bottleneck, verdict.stage)
        };
        assert_eq!(of(measured(1.0, 0.1, 0.1, 0.1)), (Part::Loader, "decode".into()));
        assert_eq!(of(measured(0.1, 1.0, 0.1, 0.1)), (Part::Loader, "rotate".into()));
        assert_eq!(of(measured(0.1, 0.1, 1.0, 0.1)), (Part::Model, "backward".into()));
        assert_eq!(of(measured(0.1, 0.1, 0.1, 9.0)), (Part::Judging, "judge".into()));
    }

    #[test]
    fn on_the_cpu_time_adds_and_on_a_device_of_its_own_the_longer_counts() {
        let mut both = measured(1.0, 1.0, 1.0, 1.0);
        let (loader, model, judging) = (15.0 + 10.0, 30.0, 5.0);
        assert!(near(both.verdict().epoch_seconds, loader + model + judging));
        both.overlaps = true;
        assert!(near(both.verdict().epoch_seconds, model + judging));
        both.stages[0].seconds = 10.0;
        let verdict = both.verdict();
        assert!(near(verdict.epoch_seconds, 160.0) && verdict.bottleneck == Part::Loader);
        assert!(near(verdict.run_seconds, 2.0 * (10.0 * 160.0 + 5.0 * 10.0)));
    }

    #[test]
    fn kept_pictures_are_decoded_once() {
        let mut slow = measured(1.0, 0.01, 0.2, 0.01);
        assert_eq!(slow.verdict().bottleneck, Part::Loader);
        slow.kept = 1.0;
        let verdict = slow.verdict();
        // One of the 20 epochs decodes.
        assert!(near(verdict.shares[0].seconds, 15.0 / 20.0));
        assert_eq!((verdict.bottleneck, verdict.stage.as_str()), (Part::Model, "backward"));
        slow.kept = 0.5;
        assert!(near(slow.verdict().shares[0].seconds, 15.0 * (1.0 + 19.0 * 0.5) / 20.0));
        (slow.epochs, slow.folds, slow.kept) = (1, 1, 1.0);
        assert_eq!(slow.verdict().bottleneck, Part::Loader, "a single epoch decodes everything");
    }

    #[test]
    fn the_whole_loader_says_how_fast_its_stages_are_together() {
        let mut slow = measured(1.0, 1.0, 1.0, 1.0);
        slow.loader = 1.0;
        let verdict = slow.verdict();
        assert!(near(verdict.loader_speed, 8.0) && near(verdict.model_speed, 8.0 / 3.0));
        assert!(near(verdict.shares[1].stage.seconds, 0.5) && near(verdict.shares[2].stage.seconds, 1.0));
    }

    #[test]
    fn views_count_at_the_end_of_a_fold_only() {
        let mut judged = measured(0.0, 0.0, 1.0, 1.0);
        let before = judged.verdict();
        (judged.views, judged.tested) = (8, 5);
        let after = judged.verdict();
        assert!(near(before.epoch_seconds, after.epoch_seconds));
        assert!(near(after.run_seconds - before.run_seconds, 2.0 * (80.0 - 5.0)));
    }
}

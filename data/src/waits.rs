//! How long an epoch's reader waited for batches, and what the loader did meanwhile.
//!
//! Clocks are read in this file alone, and what they say has no part in any result.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Share of the time that may be spent waiting before it is worth a word.
const LITTLE: f64 = 0.05;
/// An epoch that is over before this many seconds says nothing.
const SHORT: f64 = 1.0;

/// What the time of an epoch went into, seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Waits {
    /// From when the first batch was asked for until the last one so far was handed out.
    pub elapsed_s: f64,
    /// Of it, how long the reader waited for batches.
    pub waited_s: f64,
    /// How long finished batches waited for room, that is for the reader.
    pub idle_s: f64,
    /// Batches handed out.
    pub batches: usize,
    /// Threads that decode and transform.
    pub threads: usize,
    /// Reading and decoding, summed over the threads.
    pub decode_s: f64,
    /// Transforms, summed over the threads.
    pub transform_s: f64,
    /// Normalizing into batches and bringing them to the device, which one thread does.
    pub collate_s: f64,
}

impl Waits {
    /// Share of the time that was spent waiting, 0 to 1.
    pub fn share(&self) -> f64 {
        if self.elapsed_s > 0.0 { (self.waited_s / self.elapsed_s).min(1.0) } else { 0.0 }
    }

    /// What limits the loader and what to do about it, where its reader waited for more than a twentieth of the time of an epoch that took a
    /// second or longer.
    pub fn verdict(&self) -> Option<String> {
        if self.batches == 0 || self.elapsed_s < SHORT || self.share() <= LITTLE {
            return None;
        }
        let work = self.decode_s + self.transform_s + self.collate_s;
        let of =
            |seconds: f64, stage: &str| format!("{:.0} % of the loader's work was {stage}", 100.0 * seconds / work);
        let why = if self.idle_s >= self.waited_s {
            "at other times it was ahead of training and had no room for more batches: raise prefetch".to_string()
        } else if self.collate_s > (self.decode_s + self.transform_s) / self.threads.max(1) as f64 {
            format!("{}, which one thread does: use smaller pictures or fewer views", of(self.collate_s, "collating"))
        } else if self.decode_s >= self.transform_s {
            let advice = "keep decoded pictures in memory or on disk, store smaller ones, or use more threads";
            format!("{}: {advice}", of(self.decode_s, "reading and decoding"))
        } else {
            let advice = "use fewer or cheaper transforms, smaller pictures before them, or more threads";
            format!("{}: {advice}", of(self.transform_s, "transforms"))
        };
        let (waited, elapsed, share) = (self.waited_s, self.elapsed_s, 100.0 * self.share());
        Some(format!("{waited:.1} of {elapsed:.1} s ({share:.0} %) were spent waiting for batches; {why}"))
    }
}

/// What time is spent on.
#[derive(Clone, Copy)]
pub(crate) enum Stage {
    Waited,
    Idle,
    Decode,
    Transform,
    Collate,
}

/// Counts the [`Waits`] of an epoch; clones count together, so that one can be read while the epoch is used up elsewhere.
#[derive(Clone)]
pub struct Meter(Arc<Counts>);

/// Nanoseconds, since `start` where they are points in time.
struct Counts {
    start: Instant,
    from: AtomicU64,
    until: AtomicU64,
    batches: AtomicU64,
    stages: [AtomicU64; 5],
}

impl Meter {
    pub(crate) fn start() -> Self {
        let (start, zero) = (Instant::now(), AtomicU64::default);
        Self(Arc::new(Counts {
            start,
            from: AtomicU64::new(u64::MAX),
            until: zero(),
            batches: zero(),
            stages: Default::default(),
        }))
    }

    /// Does `work` as part of `stage`.
    pub(crate) fn time<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = work();
        self.0.stages[stage as usize].fetch_add(nanos(start.elapsed()), Ordering::Relaxed);
        done
    }

    /// Hands out a batch that `work` waits for.
    pub(crate) fn hand_out<T>(&self, work: impl FnOnce() -> T) -> T {
        let counts = &self.0;
        counts.from.fetch_min(nanos(counts.start.elapsed()), Ordering::Relaxed);
        let done = self.time(Stage::Waited, work);
        counts.until.fetch_max(nanos(counts.start.elapsed()), Ordering::Relaxed);
        counts.batches.fetch_add(1, Ordering::Relaxed);
        done
    }

    /// What was counted so far.
    pub fn waits(&self) -> Waits {
        let counts = &self.0;
        let seconds = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64 / 1e9;
        let stage = |stage: Stage| seconds(&counts.stages[stage as usize]);
        Waits {
            elapsed_s: (seconds(&counts.until) - seconds(&counts.from)).max(0.0),
            waited_s: stage(Stage::Waited),
            idle_s: stage(Stage::Idle),
            batches: counts.batches.load(Ordering::Relaxed) as usize,
            threads: rayon::current_num_threads(),
            decode_s: stage(Stage::Decode),
            transform_s: stage(Stage::Transform),
            collate_s: stage(Stage::Collate),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_names_the_stage_that_limits() {
        let waits = Waits { elapsed_s: 60.0, waited_s: 12.0, batches: 100, threads: 4, ..Waits::default() };
        let said = |decode_s, transform_s, collate_s, idle_s| {
            Waits { decode_s, transform_s, collate_s, idle_s, ..waits }.verdict().unwrap()
        };
        let decode = said(150.0, 40.0, 10.0, 1.0);
        assert!(decode.starts_with("12.0 of 60.0 s (20 %) were spent waiting for batches; 75 % of the"), "{decode}");
        assert!(decode.contains("reading and decoding: keep decoded pictures"), "{decode}");
        assert!(said(40.0, 150.0, 10.0, 1.0).contains("75 % of the loader's work was transforms: use fewer"));
        // One thread collates: that it works all the time limits even where four others work longer in sum.
        assert!(said(60.0, 60.0, 55.0, 1.0).contains("collating, which one thread does"));
        assert!(said(60.0, 60.0, 55.0, 12.0).contains("raise prefetch"));
    }

    #[test]
    fn little_waiting_is_not_worth_a_word() {
        let waits = Waits { elapsed_s: 60.0, waited_s: 2.9, batches: 100, decode_s: 100.0, ..Waits::default() };
        assert_eq!(waits.verdict(), None);
        assert!(Waits { waited_s: 3.1, ..waits }.verdict().is_some());
        assert_eq!(Waits::default().verdict(), None);
        assert_eq!(Waits { waited_s: 1.0, ..Waits::default() }.share(), 0.0);
        assert_eq!(Meter::start().waits(), Waits { threads: rayon::current_num_threads(), ..Waits::default() });
    }
}

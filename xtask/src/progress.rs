//! What the person who waits sees: bars with the time left on a terminal, plain lines otherwise, nothing with `--quiet`.

use crate::output;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Shows how far the command is.
pub struct Progress {
    quiet: bool,
    terminal: bool,
}

/// One stretch of work.
pub struct Stretch {
    bar: Option<ProgressBar>,
    lines: Option<Mutex<Lines>>,
    title: String,
    unit: &'static str,
    total: u64,
}

struct Lines {
    /// Units done when this stretch began: a resumed one does not begin at 0.
    first: Option<u64>,
    start: Instant,
    last: Instant,
}

/// Between plain lines, so that a log stays short.
const PAUSE: Duration = Duration::from_secs(15);

impl Progress {
    pub fn new(quiet: bool) -> Self {
        Self { quiet, terminal: std::io::stderr().is_terminal() }
    }

    /// A line of its own.
    pub fn note(&self, line: &str) {
        if !self.quiet {
            output::note(line);
        }
    }

    /// A warning; shown unless quiet.
    pub fn warning(&self, line: &str) {
        if !self.quiet {
            output::warning(line);
        }
    }

    /// Begins `total` units of work.
    pub fn stretch(&self, title: &str, total: u64, unit: &'static str) -> Stretch {
        let bar = (!self.quiet && self.terminal).then(|| {
            let bar = ProgressBar::new(total);
            let template = format!("{{msg:24}} [{{bar:30}}] {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left");
            if let Ok(style) = ProgressStyle::with_template(&template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_message(title.to_string());
            bar
        });
        let now = Instant::now();
        let lines = (!self.quiet && !self.terminal).then(|| Mutex::new(Lines { first: None, start: now, last: now }));
        Stretch { bar, lines, title: title.into(), unit, total }
    }
}

impl Stretch {
    /// `done` units are done.
    pub fn at(&self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
        let Some(lines) = &self.lines else { return };
        let Ok(mut lines) = lines.try_lock() else { return };
        let first = *lines.first.get_or_insert(done);
        if lines.last.elapsed() >= PAUSE && done > first && done < self.total {
            lines.last = Instant::now();
            let seconds = lines.start.elapsed().as_secs_f64();
            let rate = (done - first) as f64 / seconds;
            let (unit, left) = (self.unit, (self.total - done) as f64 / rate);
            output::note(&format!(
                "{}: {done}/{} {unit}, {rate:.0} {unit}/s, {left:.0} s left",
                self.title, self.total
            ));
        }
    }

    /// A line that stays, above the bar.
    pub fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None if self.lines.is_some() => output::note(text),
            None => {}
        }
    }
}

impl Drop for Stretch {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

//! The diagnosis for a person and for a program.

use super::Diagnosis;
use serde_json::{Value, json};

impl Diagnosis {
    /// One JSON object.
    pub fn json(&self) -> Value {
        let Self { verdict, measured, recipe, .. } = self;
        let stages = verdict.shares.iter().map(|s| {
            let stage = &s.stage;
            json!({"name": stage.name, "part": stage.part, "ms_per_batch": 1e3 * stage.seconds, "share": s.share})
        });
        json!({
            "machine": self.host,
            "recipe": {
                "name": recipe.name,
                "model": recipe.model.name,
                "size": recipe.preprocess.size,
                "batch_size": recipe.train.batch_size,
                "epochs": measured.epochs,
                "folds": measured.folds,
                "pictures": self.rows[0],
                "classes": self.classes,
                "width": self.sides[0],
                "height": self.sides[1],
                "decoded_mb": self.decoded_mb,
                "cache_mb": recipe.train.cache_mb,
                "batches": measured.learned,
                "judged_batches": measured.judged,
            },
            "stages": stages.collect::<Vec<_>>(),
            "loader_images_per_s": verdict.loader_speed,
            "model_images_per_s": verdict.model_speed,
            "bottleneck": verdict.bottleneck,
            "stage": verdict.stage,
            "bottleneck_share": verdict.part_share,
            "stage_share": verdict.stage_share,
            "advice": self.advice,
            "epoch_seconds": verdict.epoch_seconds,
            "run_seconds": verdict.run_seconds,
        })
    }

    /// Lines for a person.
    pub fn lines(&self) -> Vec<String> {
        [self.of_machine(), self.of_recipe(), self.of_stages(), self.of_time()].concat()
    }

    fn of_machine(&self) -> Vec<String> {
        let host = &self.host;
        let mib = |value: Option<u64>| value.map_or("unknown".into(), |mib| format!("{mib} MiB"));
        let cpu = host.cpu_limit.map(|cores| format!(", limited to {cores:.1}")).unwrap_or_default();
        let limit = host.memory_limit_mib.map(|mib| format!(", limited to {mib} MiB")).unwrap_or_default();
        let mut lines = vec![
            "machine".to_string(),
            format!("  cores    {}{cpu}; {} threads, {}", host.cores, host.threads, host.simd),
            format!("  memory   {}, {} available{limit}", mib(host.memory_mib), mib(host.available_mib)),
            format!("  device   {} (built for {})", host.device, host.built_for.join(", ")),
        ];
        lines.extend(host.warnings.iter().map(|warning| format!("  warning: {warning}")));
        lines
    }

    fn of_recipe(&self) -> Vec<String> {
        let (recipe, measured, [all, learned, judged]) = (&self.recipe, &self.measured, self.rows);
        let Diagnosis { classes, sides: [width, height], decoded_mb, .. } = self;
        let (model, size, batch) = (&recipe.model.name, recipe.preprocess.size, recipe.train.batch_size);
        let bytes = self.pictures.bytes / f64::from(1 << 20);
        vec![
            format!("recipe '{}'", recipe.name),
            format!(
                "  data     {all} pictures of {classes} classes, typically {width}×{height}; fold 1 learns from {learned}, judges {judged}"
            ),
            format!(
                "  decoded  {decoded_mb} MB ({bytes:.2} MB each); train.cache_mb is {}, which keeps {:.0} %",
                recipe.train.cache_mb,
                100.0 * measured.kept
            ),
            format!(
                "  model    {model} on {size}×{size} in batches of {batch}; folds {}, epochs {}, batches of an epoch {}",
                measured.folds, measured.epochs, measured.learned
            ),
        ]
    }

    fn of_stages(&self) -> Vec<String> {
        let shares = &self.verdict.shares;
        let wide = shares.iter().map(|s| s.stage.name.chars().count()).max().unwrap_or(0).max(5);
        let mut lines = vec!["one batch through every stage".to_string()];
        lines.push(format!("  {:<8} {:<wide$} {:>12} {:>7}", "part", "stage", "ms per batch", "share"));
        lines.extend(shares.iter().map(|s| {
            let (part, name, ms) = (s.stage.part.name(), &s.stage.name, 1e3 * s.stage.seconds);
            format!("  {part:<8} {name:<wide$} {ms:>12.2} {:>5.1} %", 100.0 * s.share)
        }));
        lines
    }

    fn of_time(&self) -> Vec<String> {
        let verdict = &self.verdict;
        let together = if self.measured.overlaps { "they overlap" } else { "they share the cores" };
        let (share, inside) = (100.0 * verdict.part_share, 100.0 * verdict.stage_share);
        let (bottleneck, stage) = (verdict.bottleneck.name(), &verdict.stage);
        let mut lines = vec![
            "where the time goes".to_string(),
            format!(
                "  alone    the loader makes {:.0} images/s, the model takes {:.0} images/s; {together}",
                verdict.loader_speed, verdict.model_speed
            ),
            format!(
                "  time     {} an epoch, {} the whole run",
                duration(verdict.epoch_seconds),
                duration(verdict.run_seconds)
            ),
            format!(
                "  verdict  the {bottleneck} holds training up: {share:.0} % of the work, {inside:.0} % of that in '{stage}'"
            ),
        ];
        lines.extend(self.advice.iter().map(|advice| format!("  advice   {advice}")));
        lines
    }
}

/// In a unit that a person would choose.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.1} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

//! Counts, sizes and levels.

use super::{Look, parts, table};
use data::explore::{Glance, Report};
use eval::report::chart::{self, Chart, Labels};
use eval::report::page::{Block, Section};

/// Bars of a chart of classes; more are a table.
const BARS: usize = 40;

impl Look<'_> {
    pub(super) fn overview(&self) -> Section {
        let Report { sizes, formats, channels, mean, std, classes, groups, .. } = self.report;
        let list = |values: &[f64]| values.iter().map(|v| format!("{v:.3}")).collect::<Vec<_>>().join(", ");
        let spread = |[low, middle, high]: [usize; 3]| format!("{low} to {high}, median {middle}");
        let join = |pairs: Vec<String>| pairs.join(", ");
        let mut facts = vec![("parts".to_string(), parts(self.report))];
        if *groups > 0 {
            facts.push(("groups".into(), groups.to_string()));
        }
        if classes.len() > 1 {
            let about = format!(
                "{:.2} nats, {:.0} % of that of even classes",
                self.report.entropy,
                100.0 * self.report.evenness
            );
            facts.push(("entropy of the classes".into(), about));
        }
        if !self.report.glances.is_empty() {
            let [narrow, usual, wide] = sizes.aspect;
            facts.extend([
                ("width, pixels".to_string(), spread(sizes.width)),
                ("height, pixels".into(), spread(sizes.height)),
                ("width / height".into(), format!("{narrow:.2} to {wide:.2}, median {usual:.2}")),
                ("formats".into(), join(formats.iter().map(|(f, n)| format!("{f} {n}")).collect())),
                ("stored channels".into(), join(channels.iter().map(|(c, n)| format!("{c}: {n}")).collect())),
                ("mean per channel, 0 to 1".into(), list(mean)),
                ("standard deviation".into(), list(std)),
            ]);
        }
        if sizes.depth[2] > 1 {
            facts.push(("slices".into(), spread(sizes.depth)));
        }
        if let Some(bytes) = sizes.bytes {
            let [least, middle, most] = bytes.map(|bytes| format!("{:.1}", bytes as f64 / 1024.0));
            facts.push(("file size, KiB".into(), format!("{least} to {most}, median {middle}")));
        }
        let mut blocks = vec![Block::Facts(facts)];
        let total = classes.values().sum::<usize>().max(1) as f64;
        let mut counted: Vec<(&String, usize)> = classes.iter().map(|(class, count)| (class, *count)).collect();
        counted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let labels = Labels { title: "Pictures per class", x: "labelled pictures", y: "" };
        let bars: Vec<(String, f64)> = counted.iter().take(BARS).map(|(c, n)| (c.to_string(), *n as f64)).collect();
        let mut charts = if bars.is_empty() { vec![] } else { vec![chart::bars(labels, &bars)] };
        charts.extend(self.sizes());
        charts.extend(self.levels());
        blocks.push(Block::Charts(charts));
        let share = |count: usize| format!("{:.2} %", 100.0 * count as f64 / total);
        let rows: Vec<_> = counted.iter().map(|(c, n)| [c.to_string(), n.to_string(), share(*n)]).collect();
        let shown = table(["class", "pictures", "share"], rows);
        blocks.push(match shown {
            Block::Table(_) => Block::Details(format!("All {} classes", counted.len()), vec![shown]),
            shown => shown,
        });
        if !self.report.outputs.is_empty() {
            let show = |v: f64| format!("{v:.4}");
            let rows =
                self.report.outputs.iter().map(|(name, n)| {
                    [name.clone(), show(n.min), show(n.median), show(n.max), show(n.mean), show(n.std)]
                });
            blocks.push(Block::Heading("Values to predict".into()));
            blocks.push(table(["output", "smallest", "median", "largest", "mean", "deviation"], rows.collect()));
        }
        Section { title: "Data".into(), about: String::new(), blocks }
    }

    fn sizes(&self) -> Vec<Chart> {
        let seen: Vec<&Glance> = self.report.glances.iter().flatten().collect();
        let shapes: Vec<[f64; 2]> = seen.iter().map(|g| [f64::from(g.width), f64::from(g.height)]).collect();
        let mut charts = vec![];
        if shapes.iter().any(|shape| Some(shape) != shapes.first()) {
            let labels = Labels { title: "Sizes", x: "width, pixels", y: "height, pixels" };
            charts.push(chart::scatter(labels, &shapes));
            charts.push(histogram("Aspect", "width / height", seen.iter().map(|g| g.aspect()).collect()));
        }
        let bytes: Vec<f64> = self.report.bytes.iter().flatten().map(|bytes| *bytes as f64 / 1024.0).collect();
        if bytes.iter().any(|size| Some(size) != bytes.first()) {
            charts.push(histogram("File sizes", "KiB", bytes));
        }
        charts
    }

    fn levels(&self) -> Vec<Chart> {
        let seen: Vec<&Glance> = self.report.glances.iter().flatten().collect();
        if seen.len() < 2 {
            return vec![];
        }
        let of = |pick: fn(&Glance) -> f32| seen.iter().map(|g| f64::from(pick(g))).collect::<Vec<_>>();
        // Sharpness spans powers of ten.
        let sharpness = of(|g| g.sharpness.max(0.1).log10());
        let mut charts = vec![
            histogram("Brightness", "mean gray level, 0 to 255", of(|g| g.luma)),
            histogram("Contrast", "standard deviation of the gray levels", of(|g| g.contrast)),
            histogram("Sharpness", "variance of the Laplacian, power of ten", sharpness),
        ];
        if seen.iter().any(|g| g.border > 0.0) {
            charts.push(histogram("Black border", "share of the picture", of(|g| g.border)));
        }
        charts
    }
}

fn histogram(title: &str, x: &str, values: Vec<f64>) -> Chart {
    chart::histogram(Labels { title, x, y: "pictures" }, &values, 30)
}

//! Batches depend on seed, epoch and rows, and on nothing else.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use candle_core::DType;
use rand::Rng;
use sconce_data::tabular::Encoder;
use sconce_data::{
    Balanced, Batch, Cached, Column, Dataset, DiskCached, Error, Image, Loader, LoaderConfig, Normalize, Result, Row,
    Sampler, Samples, Sequential, Shuffled, Stats, Stream, Subset, sampler, source,
};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn dataset(len: usize) -> Arc<dyn Dataset> {
    source::open("synthetic", json!({"len": len, "size": 8})).unwrap().0.dataset
}

fn loader(dataset: Arc<dyn Dataset>, seed: u64) -> Loader {
    let config = LoaderConfig { batch_size: 8, seed, ..LoaderConfig::default() };
    Loader::new(dataset, Shuffled, config).with_transform(|mut image, rng| {
        let shift: u8 = rng.random();
        image.pixels_mut().iter_mut().for_each(|v| *v = v.wrapping_add(shift));
        image
    })
}

fn bits(batches: impl Iterator<Item = Result<Batch>>) -> Vec<(Vec<String>, Vec<u32>, Vec<u32>)> {
    let bits = |batch: Batch| {
        let pixels = batch.images.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        (batch.ids, batch.targets.unwrap().to_vec1().unwrap(), pixels.into_iter().map(f32::to_bits).collect())
    };
    batches.map(|batch| bits(batch.unwrap())).collect()
}

/// The pool's size is fixed when a process starts, so this test runs itself again under two sizes.
#[test]
fn any_number_of_threads_gives_the_same_batches() {
    let digest = |threads: &str| {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["digest_of_an_epoch", "--exact", "--nocapture"]).env("RAYON_NUM_THREADS", threads);
        let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
        text.lines().find_map(|line| line.split_once("digest: ").map(|(_, digest)| digest.to_string())).unwrap()
    };
    let one = digest("1");
    assert!(one.starts_with("1 threads"), "{one}");
    let eight = digest("8");
    assert!(eight.starts_with("8 threads"), "{eight}");
    assert_eq!(one[1..], eight[1..]);
}

#[test]
fn digest_of_an_epoch() {
    let batches = bits(loader(dataset(50), 3).epoch(2));
    assert_eq!(batches.len(), 7);
    let folder = tempfile::tempdir().unwrap();
    let on_disk = || Arc::new(DiskCached::open(dataset(50), folder.path(), 1, "", |_, _| Some(String::new())).unwrap());
    let (cold, warm) = (on_disk(), on_disk());
    let caches: [Arc<dyn Dataset>; 4] =
        [Arc::new(Cached::new(dataset(50), 1)), cold.clone(), warm.clone(), Arc::new(Cached::new(warm.clone(), 1))];
    for cached in caches {
        assert_eq!(batches, bits(loader(cached, 3).epoch(2)));
    }
    assert_eq!((cold.usage().decoded, warm.usage().decoded, warm.usage().read), (50, 0, 100));
    let hash = blake3::hash(format!("{batches:?}").as_bytes());
    println!("digest: {} threads {}", rayon::current_num_threads(), hash.to_hex());
}

#[test]
fn epochs_and_seeds_differ_and_an_epoch_can_be_entered_anywhere() {
    let epoch = |seed, epoch| bits(loader(dataset(50), seed).epoch(epoch));
    assert_ne!(epoch(3, 2), epoch(3, 1));
    assert_ne!(epoch(3, 2), epoch(4, 2));
    for name in sampler::SAMPLERS.iter().map(|entry| entry.name) {
        for (repeat, drop_last, batch_size) in [(1, false, 8), (1, true, 8), (3, false, 8), (2, true, 7), (3, false, 1)]
        {
            let config = LoaderConfig { batch_size, seed: 3, repeat, drop_last, ..LoaderConfig::default() };
            let change = |mut image: Image, rng: &mut Stream| {
                image.pixels_mut()[0] = rng.random();
                image
            };
            let copied = |_, rng: &mut Stream| Image::filled(8, 8, &[rng.random(), 1, 2]);
            let loader =
                Loader::new(dataset(20), data_sampler(name), config).with_transform(change).with_copies(copied);
            let whole = bits(loader.epoch(2));
            assert_eq!(whole.len(), loader.batches());
            for first in [0, 1, 2, loader.batches() - 1, loader.batches(), loader.batches() + 1] {
                let rest = whole.get(first..).unwrap_or_default();
                assert_eq!(bits(loader.epoch_from(2, first)), rest, "{name}, {repeat} times, from {first}");
            }
        }
    }
}

/// Counts what is decoded, which may never be more than `allowed`.
struct Counted {
    rows: Vec<Row>,
    decoded: AtomicUsize,
    allowed: AtomicUsize,
    exceeded: AtomicUsize,
}

impl Dataset for Counted {
    fn rows(&self) -> &[Row] {
        &self.rows
    }
    fn classes(&self) -> &[String] {
        &[]
    }
    fn image(&self, _: usize) -> Result<Image> {
        let count = self.decoded.fetch_add(1, Ordering::SeqCst) + 1;
        self.exceeded.fetch_max(count.saturating_sub(self.allowed.load(Ordering::SeqCst)), Ordering::SeqCst);
        Ok(Image::filled(1, 1, &[0, 0, 0]))
    }
}

/// However slow its reader is and however many rows there are, a loader is ahead by `prefetch` + 2 batches and no more.
#[test]
fn a_loader_is_ahead_by_a_fixed_number_of_batches() {
    let (batch_size, prefetch) = (2 * rayon::current_num_threads(), 3);
    let ahead = (prefetch + 2) * batch_size;
    let rows = (0..20 * batch_size).map(|i| Row { id: i.to_string(), ..Row::default() }).collect::<Vec<_>>();
    let (count, zero) = (rows.len(), AtomicUsize::default);
    let dataset = Arc::new(Counted { rows, decoded: zero(), allowed: ahead.into(), exceeded: zero() });
    let config = LoaderConfig { batch_size, prefetch, ..LoaderConfig::default() };
    let mut epoch = Loader::new(dataset.clone(), Sequential, config).epoch(0);
    for taken in 0..20 {
        while dataset.decoded.load(Ordering::SeqCst) < count.min(ahead + taken * batch_size) {
            std::thread::yield_now();
        }
        dataset.allowed.fetch_add(batch_size, Ordering::SeqCst);
        epoch.next().unwrap().unwrap();
    }
    assert!(epoch.next().is_none());
    assert_eq!((dataset.decoded.load(Ordering::SeqCst), dataset.exceeded.load(Ordering::SeqCst)), (count, 0));
}

#[test]
fn waits_can_be_read_while_an_epoch_runs_and_after_it() {
    let loader = loader(dataset(50), 3);
    let mut epoch = loader.epoch(0);
    let (before, meter) = (epoch.waits(), epoch.meter());
    assert_eq!((before.batches, before.waited_s, before.elapsed_s), (0, 0.0, 0.0));
    epoch.next().unwrap().unwrap();
    assert_eq!((epoch.waits().batches, meter.waits().batches), (1, 1));
    assert_eq!(epoch.count(), 6);
    let after = meter.waits();
    assert_eq!(after.batches, 7);
    assert!(after.waited_s <= after.elapsed_s);
    assert!(after.decode_s > 0.0 && after.transform_s > 0.0 && after.collate_s > 0.0);
}

#[test]
fn a_sample_is_what_its_batch_holds() {
    let loader = loader(dataset(20), 3);
    for batch in loader.epoch(2) {
        let batch = batch.unwrap();
        let row = |id: &String| loader.rows().iter().position(|row| row.id == *id).unwrap();
        let samples: Vec<Image> = batch.ids.iter().flat_map(|id| loader.sample(2, row(id)).unwrap()).collect();
        let stacked = sconce_data::batch::stack(&samples, &Default::default(), &candle_core::Device::Cpu).unwrap();
        let values = |t: &candle_core::Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values(&stacked), values(&batch.images));
        assert_ne!(samples[0], loader.sample(1, row(&batch.ids[0])).unwrap()[0]);
    }
}

/// The rows of a data set as pictures of samples: `per` of each, one after the other.
struct Bundled(Vec<Row>, Arc<dyn Dataset>);

impl Bundled {
    fn of(of: Arc<dyn Dataset>, per: usize) -> Arc<dyn Dataset> {
        let row = |(i, row): (usize, &Row)| Row { sample: Some(format!("s{}", i / per)), target: None, ..row.clone() };
        let rows = of.rows().iter().enumerate().map(row).collect();
        Arc::new(Samples::gather(Arc::new(Self(rows, of))).unwrap())
    }
}

impl Dataset for Bundled {
    fn rows(&self) -> &[Row] {
        &self.0
    }
    fn classes(&self) -> &[String] {
        self.1.classes()
    }
    fn image(&self, index: usize) -> Result<Image> {
        self.1.image(index)
    }
}

#[test]
fn samples_of_several_pictures_make_batches_of_views() {
    let values = |t: &candle_core::Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let config = |views| LoaderConfig { batch_size: 4, views, ..LoaderConfig::default() };
    let bundled = Bundled::of(dataset(10), 3);
    let loader = Loader::new(Arc::new(Cached::new(bundled.clone(), 1)), Sequential, config(3));
    let first = loader.epoch(0).next().unwrap().unwrap();
    assert_eq!(
        (first.images.dims(), &first.ids[..]),
        (&[4, 3, 3, 8, 8][..], &["s0", "s1", "s2", "s3"].map(String::from)[..])
    );
    let alone = Loader::new(dataset(10), Sequential, LoaderConfig { batch_size: 10, ..config(1) });
    let alone = alone.epoch(0).next().unwrap().unwrap().images;
    // The last sample has one picture, which stands for all three.
    for (view, picture) in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9].into_iter().enumerate() {
        let (seen, want) = (first.images.get(view / 3).unwrap().get(view % 3).unwrap(), alone.get(picture).unwrap());
        assert_eq!(values(&seen), values(&want), "{view}");
    }
    // Every picture changes by itself, and as in any other epoch's way.
    let loader =
        Loader::new(bundled, Sequential, config(2)).with_transform(|_, rng| Image::filled(1, 1, &[rng.random(), 0, 0]));
    let drawn = values(&loader.epoch(0).next().unwrap().unwrap().images);
    assert_ne!(drawn[0], drawn[3]);
    assert_eq!(drawn[..3], values(&loader.epoch(0).next().unwrap().unwrap().images)[..3]);
}

#[test]
fn slices_of_a_volume_are_views_that_change_together() {
    struct Volume(Vec<Row>);
    impl Dataset for Volume {
        fn rows(&self) -> &[Row] {
            &self.0
        }
        fn classes(&self) -> &[String] {
            &[]
        }
        fn image(&self, _: usize) -> Result<Image> {
            Image::volume([4, 1, 1, 1], vec![0, 1, 2, 3])
        }
    }
    let stats = Stats { mean: vec![0.0], std: vec![1.0 / 255.0] };
    let config = LoaderConfig { views: 2, stats, ..LoaderConfig::default() };
    let rows = vec![Row { id: "v".into(), ..Row::default() }];
    let loader = Loader::new(Arc::new(Volume(rows)), Sequential, config).with_transform(|mut image, rng| {
        let by: u8 = rng.random_range(1..100);
        image.pixels_mut().iter_mut().for_each(|v| *v += by);
        image
    });
    let images = loader.epoch(0).next().unwrap().unwrap().images;
    assert_eq!(images.dims(), [1, 2, 1, 1, 1]);
    let seen: Vec<f32> = images.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().map(|v| v.round()).collect();
    assert_eq!(seen[1] - seen[0], 2.0);
    assert!(seen[0] >= 1.0);
}

/// A row's stream does not depend on the rows around it; a row that is drawn twice changes twice.
#[test]
fn streams_belong_to_rows_and_differ_between_draws() {
    let pixels = |loader: Loader, id: &str| -> Vec<Vec<u32>> {
        let batches = bits(loader.epoch(0));
        let at = |(ids, _, pixels): (Vec<String>, Vec<u32>, Vec<u32>)| {
            let size = pixels.len() / ids.len();
            let found = ids
                .iter()
                .enumerate()
                .filter(|(_, i)| *i == id)
                .map(|(n, _)| pixels[n * size..(n + 1) * size].to_vec());
            found.collect::<Vec<_>>()
        };
        batches.into_iter().flat_map(at).collect()
    };
    let whole = pixels(loader(dataset(50), 3), "000007");
    let part = pixels(loader(Arc::new(Subset::new(dataset(50), vec![9, 7, 30])), 3), "000007");
    assert_eq!(whole, part);
    let config = LoaderConfig { batch_size: 8, ..LoaderConfig::default() };
    let balanced = Loader::new(Arc::new(Subset::new(dataset(50), vec![7, 7])), Balanced, config).with_transform(
        |mut image, rng| {
            image.pixels_mut()[0] = rng.random();
            image
        },
    );
    let twice = (0..8).map(|epoch| bits(balanced.epoch(epoch))).find(|b| b[0].0.len() == 2).unwrap();
    let (first, second) = twice[0].2.split_at(twice[0].2.len() / 2);
    assert_ne!(first, second);
}

#[test]
fn sizes_of_batches_and_device_types() {
    let config = LoaderConfig { batch_size: 8, drop_last: true, ..LoaderConfig::default() };
    let loader = Loader::new(dataset(50), Sequential, config).on(&candle_core::Device::Cpu, DType::BF16);
    let batches: Vec<Batch> = loader.epoch(0).map(|b| b.unwrap()).collect();
    assert_eq!((batches.len(), loader.batches()), (6, 6));
    assert!(batches.iter().all(|b| b.images.dims() == [8, 3, 8, 8] && b.images.dtype() == DType::BF16));
    assert_eq!(batches[0].ids[7], "000007");
}

/// What it had begun it may finish; the data set is held until its thread and the pool are done.
#[test]
fn a_dropped_epoch_ends_its_work() {
    let (batch_size, prefetch) = (2 * rayon::current_num_threads(), 1);
    let rows = (0..1000 * batch_size).map(|i| Row { id: i.to_string(), ..Row::default() }).collect::<Vec<_>>();
    let zero = AtomicUsize::default;
    let dataset = Arc::new(Counted { rows, decoded: zero(), allowed: usize::MAX.into(), exceeded: zero() });
    let config = LoaderConfig { batch_size, prefetch, ..LoaderConfig::default() };
    let mut epoch = Loader::new(dataset.clone(), Sequential, config).epoch(0);
    epoch.next().unwrap().unwrap();
    drop(epoch);
    while Arc::strong_count(&dataset) > 1 {
        std::thread::yield_now();
    }
    let decoded = dataset.decoded.load(Ordering::SeqCst);
    assert!(decoded <= (1 + prefetch + 2) * batch_size, "{decoded}");
}

/// Rows with a number that some of them lack.
struct Measured(Vec<Row>, Vec<Column>);

impl Dataset for Measured {
    fn rows(&self) -> &[Row] {
        &self.0
    }
    fn classes(&self) -> &[String] {
        &[]
    }
    fn columns(&self) -> &[Column] {
        &self.1
    }
    fn image(&self, index: usize) -> Result<Image> {
        Image::new(2, 1, 3, (0..6).map(|i| (i * 40 + index) as u8).collect())
    }
}

#[test]
fn metadata_and_own_statistics_are_those_of_each_row() {
    let meta = |i: usize| vec![if i.is_multiple_of(5) { f32::NAN } else { i as f32 }, (i * i % 17) as f32];
    let rows = (0..40).map(|i| Row { id: i.to_string(), meta: meta(i), ..Row::default() }).collect::<Vec<_>>();
    let columns = ["age", "size"].map(|name| Column { name: name.into(), categories: vec![] }).to_vec();
    let impute = serde_json::from_value(json!({"numbers": {"knn": 3}})).unwrap();
    let encoder = Encoder::fit(&columns, rows.iter()).with_imputed(&impute, &columns, rows.iter()).unwrap();
    let dataset = Arc::new(Measured(rows, columns));
    let config = LoaderConfig { batch_size: 7, ..LoaderConfig::default() };
    let own = Normalize::PerImage { unbiased: true };
    let loader =
        Loader::new(dataset.clone(), Shuffled, config).with_meta(encoder.clone()).with_normalize(Some(own.clone()));
    let mut seen = 0;
    for batch in loader.epoch(0) {
        let batch = batch.unwrap();
        let (meta, images) = (batch.meta.unwrap().to_vec2::<f32>().unwrap(), batch.images);
        for (n, id) in batch.ids.iter().enumerate() {
            let (row, image) = (&dataset.0[id.parse::<usize>().unwrap()], dataset.image(id.parse().unwrap()).unwrap());
            assert_eq!(meta[n], encoder.encode(&row.meta));
            let alone = own.of(row, &image).unwrap();
            let alone =
                sconce_data::batch::stack(std::slice::from_ref(&image), &alone, &candle_core::Device::Cpu).unwrap();
            let bits = |t: candle_core::Tensor| {
                t.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits)
            };
            assert!(bits(images.get(n).unwrap()).eq(bits(alone)));
            seen += 1;
        }
    }
    assert_eq!(seen, 40);
}

#[test]
fn samplers_are_bound_to_the_columns_there_are() {
    let rows = (0..20).map(|i| Row { meta: vec![f32::from(u8::from(i < 2))], ..Row::default() }).collect();
    let columns = vec![Column { name: "eye".into(), categories: vec!["left".into(), "right".into()] }];
    let dataset = Arc::new(Measured(rows, columns));
    let by = |name: &str| {
        let mut sampler = sampler::Composite::default();
        (sampler.by, sampler.each) = (vec![name.to_string()], 5);
        Loader::new(dataset.clone(), sampler, LoaderConfig::default())
    };
    assert_eq!(by("eye").epoch(0).map(|batch| batch.unwrap().ids.len()).sum::<usize>(), 10);
    let lost = by("hand");
    let mut epoch = lost.epoch(0);
    let why = epoch.next().unwrap().err().unwrap().to_string();
    assert!(why.contains("unknown column 'hand', expected one of eye"), "{why}");
    assert!(epoch.next().is_none());
}

struct Broken(Vec<Row>);

impl Dataset for Broken {
    fn rows(&self) -> &[Row] {
        &self.0
    }
    fn classes(&self) -> &[String] {
        &[]
    }
    fn image(&self, index: usize) -> Result<Image> {
        match index {
            9 => Err(Error::Decode { name: "ten.jpg".into(), why: "it vanished".into() }),
            13 => Image::new(2, 1, 3, vec![0; 6]),
            17 => panic!("a bug in a decoder"),
            _ => Image::new(1, 1, 3, vec![0; 3]),
        }
    }
}

#[test]
fn a_picture_that_fails_ends_the_epoch_with_its_name() {
    let rows = |n| Broken((0..n).map(|i| Row { id: i.to_string(), ..Row::default() }).collect());
    let config = LoaderConfig { batch_size: 4, ..LoaderConfig::default() };
    let results: Vec<_> = Loader::new(Arc::new(rows(20)), Sequential, config.clone()).epoch(0).collect();
    assert_eq!(results.len(), 3);
    assert!(results[0].as_ref().unwrap().targets.is_none());
    assert!(results[2].as_ref().err().unwrap().to_string().contains("ten.jpg"));
    let sizes = Loader::new(Arc::new(Subset::new(Arc::new(rows(20)), vec![12, 13])), Sequential, config.clone());
    assert!(sizes.epoch(0).next().unwrap().err().unwrap().to_string().contains("different sizes"));
    let panics = Loader::new(dataset(4), Sequential, config).with_transform(|_, _| panic!("a bug in a transform"));
    let mut epoch = panics.epoch(0);
    let why = epoch.next().unwrap().err().unwrap().to_string();
    assert!(why.contains("the picture of '000000' panicked: a bug in a transform"), "{why}");
    assert!(epoch.next().is_none());
    let panics =
        Loader::new(Arc::new(Subset::new(Arc::new(rows(20)), vec![16, 17])), Sequential, LoaderConfig::default());
    let why = panics.epoch(0).next().unwrap().err().unwrap().to_string();
    assert!(why.contains("the picture of '17' panicked: a bug in a decoder"), "{why}");
}

/// The same order and targets, a row of features of each sample, and no picture is read.
#[test]
fn features_stand_in_for_pictures() {
    let features =
        candle_core::Tensor::arange(0f32, 40.0, &candle_core::Device::Cpu).unwrap().reshape((20, 2)).unwrap();
    let rows = (0..20).map(|i| Row { id: i.to_string(), ..Row::default() }).collect();
    let loader = loader(Arc::new(Broken(rows)), 3).with_features(features);
    let mut seen = 0;
    for batch in loader.epoch(1) {
        let batch = batch.unwrap();
        for (id, row) in batch.ids.iter().zip(batch.images.to_vec2::<f32>().unwrap()) {
            let i: f32 = id.parse().unwrap();
            assert_eq!(row, [2.0 * i, 2.0 * i + 1.0]);
            seen += 1;
        }
    }
    assert_eq!(seen, 20);
}

#[test]
fn copies_stand_one_behind_the_other_and_differ() {
    let config = LoaderConfig { batch_size: 6, seed: 5, repeat: 3, ..LoaderConfig::default() };
    let shift = |mut image: Image, rng: &mut Stream| {
        let shift: u8 = rng.random();
        image.pixels_mut().iter_mut().for_each(|v| *v = v.wrapping_add(shift));
        image
    };
    let blank = |mut image: Image, rng: &mut Stream| {
        let level: u8 = rng.random();
        image.pixels_mut().fill(level);
        image
    };
    for sampler in [data_sampler("shuffled"), data_sampler("balanced")] {
        let loader = Loader::new(dataset(10), sampler, config.clone()).with_transform(shift).with_copies(blank);
        assert_eq!((loader.batches(), loader.epoch(0).count()), (5, 5));
        for batch in loader.epoch(1) {
            let batch = batch.unwrap();
            let pictures = batch.images.flatten_from(1).unwrap().to_vec2::<f32>().unwrap();
            for (ids, seen) in batch.ids.chunks(3).zip(pictures.chunks(3)) {
                assert!(ids.iter().all(|id| *id == ids[0]));
                let flat = |picture: &[f32]| picture[..64].iter().all(|v| *v == picture[0]);
                assert_eq!([flat(&seen[0]), flat(&seen[1]), flat(&seen[2])], [false, true, true]);
                assert_ne!(seen[1], seen[2]);
            }
        }
    }
    // One alone is changed as ever.
    let once = LoaderConfig { repeat: 1, ..config.clone() };
    let first = |config| bits(Loader::new(dataset(4), Sequential, config).with_transform(shift).epoch(0)).remove(0).2;
    let (once, thrice) = (first(once), first(config));
    assert_eq!(once[..192], thrice[..192]);
    assert_eq!(once[192..384], thrice[576..768]);
}

fn data_sampler(name: &str) -> Box<dyn Sampler> {
    sampler::build(name, serde_json::json!({}), &[]).unwrap()
}

#[test]
fn pictures_may_be_normalized_each_by_its_own() {
    let config = LoaderConfig { batch_size: 5, ..LoaderConfig::default() };
    let own = Some(Normalize::PerImage { unbiased: false });
    let loader = Loader::new(dataset(5), Sequential, config.clone()).with_normalize(own);
    let batch = loader.epoch(0).next().unwrap().unwrap().images;
    let plain = Loader::new(dataset(5), Sequential, config).epoch(0).next().unwrap().unwrap().images;
    for channel in batch.reshape((15, ())).unwrap().to_vec2::<f32>().unwrap() {
        let mean = channel.iter().sum::<f32>() / channel.len() as f32;
        let variance = channel.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / channel.len() as f32;
        // A channel without change becomes 0.
        assert!(mean.abs() < 1e-4 && ((variance - 1.0).abs() < 1e-3 || variance == 0.0), "{mean} {variance}");
    }
    let flat = |images: &candle_core::Tensor| images.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_ne!(flat(&batch), flat(&plain));
}

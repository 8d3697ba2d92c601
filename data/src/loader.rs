//! Batches made ahead on all cores. What is in them depends on seed, epoch and rows, never on threads or timing.
//!
//! The threads of the pool decode and transform pictures, a batch of them ahead of what is needed next, so that none waits for
//! the end of a batch. A thread of the epoch takes them in order and puts each into its batch, which it brings to the device.

use crate::batch::{Batch, Stack, Stats, cast, targets};
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::image::Image;
use crate::normalize::Normalize;
use crate::rng::{Stream, name_hash, stream, sub_seed};
use crate::row::Row;
use crate::sampler::Sampler;
use crate::samples::spread;
use crate::tabular::Encoder;
use crate::waits::{Meter, Stage, Waits};
use candle_core::{DType, Device, Tensor};
use crossbeam_channel::{Receiver, Sender, bounded};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

/// How batches are made.
///
/// | field | default | range |
/// |---|---|---|
/// | `batch_size` | 32 | at least 1 |
/// | `seed` | 0 | of order and transforms |
/// | `repeat` | 1 | at least 1, how often each sample comes, one copy behind the other |
/// | `drop_last` | false | leave out a last batch that is smaller |
/// | `prefetch` | 4 | batches made ahead, at least 1 |
/// | `stats` | ImageNet | normalization |
/// | `views` | 1 | at least 1, pictures that stand for a sample, or slices of a volume |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoaderConfig {
    /// Samples per batch.
    pub batch_size: usize,
    /// Of order and transforms.
    pub seed: u64,
    /// How often each sample of the order comes, one copy behind the other, each changed in another way (batch augmentation,
    /// Hoffer et al. 2020); an epoch is so many times as long.
    pub repeat: usize,
    /// Leave out a last batch that is smaller.
    pub drop_last: bool,
    /// Batches made ahead.
    pub prefetch: usize,
    /// Normalization.
    pub stats: Stats,
    /// Pictures V that stand for a sample, or slices of its volume: evenly spaced ones of more, some again of fewer. With several,
    /// batches are `[B, V, C, H, W]`.
    pub views: usize,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        let stats = Stats::default();
        Self { batch_size: 32, seed: 0, repeat: 1, drop_last: false, prefetch: 4, stats, views: 1 }
    }
}

type Transform = Arc<dyn Fn(Image, &mut Stream) -> Image + Send + Sync>;

/// Pictures of a sample, each behind its own means and deviations where it is normalized with these.
type Views = Vec<(Option<Stats>, Image)>;

/// Makes the batches of an epoch. Clones share everything.
#[derive(Clone)]
pub struct Loader {
    dataset: Arc<dyn Dataset>,
    sampler: Arc<dyn Sampler>,
    config: LoaderConfig,
    transform: Transform,
    copies: Option<Transform>,
    features: Option<Tensor>,
    /// What makes features of metadata.
    meta: Option<Encoder>,
    /// What stands in for missing values of rows: neighbors are looked for but once.
    filled: Arc<BTreeMap<usize, Vec<f32>>>,
    normalize: Option<Normalize>,
    device: Device,
    dtype: DType,
    /// Why there cannot be an epoch.
    failed: Option<String>,
}

impl Loader {
    /// Batches of `dataset` in the order of `sampler`, F32 on the CPU, without a transform. Where the sampler goes by a column that
    /// the data set does not have, its epochs say so and end.
    pub fn new(dataset: Arc<dyn Dataset>, mut sampler: impl Sampler + 'static, config: LoaderConfig) -> Self {
        let transform: Transform = Arc::new(|image, _| image);
        let failed = sampler.bind(dataset.columns()).err().map(|error| error.to_string());
        Self {
            dataset,
            sampler: Arc::new(sampler),
            config,
            transform,
            copies: None,
            features: None,
            meta: None,
            filled: Arc::default(),
            normalize: None,
            device: Device::Cpu,
            dtype: DType::F32,
            failed,
        }
    }

    /// With a change of every picture; its random stream is a function of seed, epoch, the row's id and which of its pictures it
    /// is. The slices of a volume change together.
    pub fn with_transform(mut self, f: impl Fn(Image, &mut Stream) -> Image + Send + Sync + 'static) -> Self {
        self.transform = Arc::new(f);
        self
    }

    /// With another change of the copies that `repeat` makes of a sample: all but its first.
    pub fn with_copies(mut self, f: impl Fn(Image, &mut Stream) -> Image + Send + Sync + 'static) -> Self {
        self.copies = Some(Arc::new(f));
        self
    }

    /// With the rows of `features` `[N, E]`, one of each sample, in place of pictures, which are then not read.
    pub fn with_features(mut self, features: Tensor) -> Self {
        self.features = Some(features);
        self
    }

    /// With metadata features.
    pub fn with_meta(mut self, encoder: Encoder) -> Self {
        let fill = |(i, row): (usize, &Row)| Some((i, encoder.fill(&row.meta)?));
        self.filled = Arc::new(self.dataset.rows().par_iter().enumerate().filter_map(fill).collect());
        self.meta = Some(encoder).filter(|encoder| encoder.width() > 0);
        self
    }

    /// With pictures normalized otherwise than with `stats`: each with its own, or with those of its group.
    pub fn with_normalize(mut self, normalize: Option<Normalize>) -> Self {
        self.normalize = normalize;
        self
    }

    /// With pictures as `dtype` on `device`.
    pub fn on(mut self, device: &Device, dtype: DType) -> Self {
        (self.device, self.dtype) = (device.clone(), dtype);
        self
    }

    /// Rows that an epoch draws from.
    pub fn rows(&self) -> &[Row] {
        self.dataset.rows()
    }

    /// Batches of an epoch.
    pub fn batches(&self) -> usize {
        let samples = self.sampler.length(self.dataset.rows());
        let (rows, size) = (samples * self.config.repeat.max(1), self.config.batch_size.max(1));
        if self.config.drop_last { rows / size } else { rows.div_ceil(size) }
    }

    /// The batches of epoch `epoch`: the same number, the same batches.
    pub fn epoch(&self, epoch: usize) -> Epoch {
        self.epoch_from(epoch, 0)
    }

    /// The batches of epoch `epoch` from the `first` one on, as if those before had been read. Their making begins with this
    /// call; pictures in memory are at most those of `prefetch` + 2 batches, and two per thread where a batch has fewer.
    pub fn epoch_from(&self, epoch: usize, first: usize) -> Epoch {
        let (sender, receiver) = bounded(self.config.prefetch.max(1));
        let (loader, left, meter) = (Arc::new(self.clone()), self.batches().saturating_sub(first), Meter::start());
        if let Some(why) = &self.failed {
            return Epoch { receiver, left: 1, failed: Some(why.clone()), meter };
        }
        let counts = meter.clone();
        let work = move || loader.make(epoch, first, &sender, &counts);
        let spawned = std::thread::Builder::new().name("loader".into()).spawn(work);
        Epoch { receiver, left, failed: spawned.err().map(|e| e.to_string()), meter }
    }

    /// Makes the batches of an epoch from the `first` one on and sends them off.
    fn make(self: &Arc<Self>, epoch: usize, first: usize, sender: &Sender<Result<Batch>>, meter: &Meter) {
        let (size, rows) = (self.config.batch_size.max(1), self.dataset.rows());
        let order = self.sampler.order(rows, &mut stream(sub_seed(self.config.seed, "order"), epoch, 0));
        let order = numbered(order.iter().flat_map(|&row| std::iter::repeat_n(row, self.config.repeat.max(1))));
        let batches: Vec<&[(usize, u64)]> = order.chunks(size).take(self.batches()).skip(first).collect();
        let running = Arc::new(());
        let read = batches.iter().filter(|_| self.features.is_none()).flat_map(|members| members.iter());
        let mut coming = read.map(|member| self.begin(epoch, *member, Arc::downgrade(&running), meter));
        let mut begun: VecDeque<_> = coming.by_ref().take(size.max(2 * rayon::current_num_threads())).collect();
        for &members in &batches {
            let pictures = std::iter::from_fn(|| {
                let next = begun.pop_front()?;
                let views = next.recv().unwrap_or_else(|_| Err(stopped("a picture was not made")));
                begun.extend(coming.next());
                Some(views)
            });
            let batch = self.batch(members, pictures, meter);
            let stop = batch.is_err();
            // Nobody listens any more: the epoch was dropped.
            if meter.time(Stage::Idle, || sender.send(batch)).is_err() || stop {
                return;
            }
        }
    }

    /// Lets the pool make a sample's pictures, unless nobody is `wanted` to have them when their turn comes.
    fn begin(
        self: &Arc<Self>,
        epoch: usize,
        (row, before): (usize, u64),
        wanted: Weak<()>,
        meter: &Meter,
    ) -> Receiver<Result<Views>> {
        let (sender, receiver) = bounded(1);
        let (loader, meter) = (self.clone(), meter.clone());
        rayon::spawn(move || {
            if wanted.strong_count() == 0 {
                return;
            }
            let views = || -> Result<Views> {
                let views = loader.views(epoch, row, before, &meter)?;
                let own = |image: &Image| loader.normalize.as_ref()?.own(image);
                Ok(meter
                    .time(Stage::Transform, || views.into_iter().map(|image| (own(&image), image)).collect::<Vec<_>>()))
            };
            // A panic ends this epoch and not the program.
            let views = catch_unwind(AssertUnwindSafe(views)).unwrap_or_else(|panic| {
                let id = &loader.dataset.rows()[row].id;
                Err(stopped(&format!("decoding or changing the picture of '{id}' panicked{}", said(&*panic))))
            });
            let _ = sender.send(views);
        });
        receiver
    }

    /// The pictures of row `row`, as many as there are views, as epoch `epoch` shows them where the row comes first: read and
    /// transformed with the very random numbers of that epoch's batches, not yet normalized.
    ///
    /// # Errors
    /// When a picture cannot be read or decoded.
    ///
    /// # Panics
    /// When `row` is out of range.
    pub fn sample(&self, epoch: usize, row: usize) -> Result<Vec<Image>> {
        self.views(epoch, row, 0, &Meter::start())
    }

    /// The random stream that epoch `epoch` changes the first picture of row `row` with where the row comes first.
    ///
    /// # Panics
    /// When `row` is out of range.
    pub fn first_stream(&self, epoch: usize, row: usize) -> Stream {
        self.stream(epoch, row, 0, 0)
    }

    /// The same for a row that came `before` times in this epoch.
    fn views(&self, epoch: usize, row: usize, before: u64, meter: &Meter) -> Result<Vec<Image>> {
        let (count, views) = (self.dataset.pictures(row), self.config.views.max(1));
        let picture = |nth| self.picture(self.stream(epoch, row, nth, before), (row, nth, before), meter);
        let first = picture(0)?;
        if views == 1 {
            return Ok(vec![first]);
        }
        if count == 1 && first.depth() > 1 {
            return spread(first.depth(), views).map(|z| first.slice(z)).collect();
        }
        let mut seen = vec![first];
        for pair in spread(count, views).collect::<Vec<_>>().windows(2) {
            seen.push(match pair {
                [before, nth] if before == nth => seen[seen.len() - 1].clone(),
                other => picture(other[1])?,
            });
        }
        Ok(seen)
    }

    /// The random stream of picture `nth` of a row that came `before` times in this epoch.
    fn stream(&self, epoch: usize, row: usize, nth: usize, before: u64) -> Stream {
        let id = name_hash(&self.dataset.rows()[row].id);
        let sample = id.wrapping_add(before.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let picture = sample.wrapping_add((nth as u64).wrapping_mul(0xD1B5_4A32_D192_ED03));
        Stream::new(sub_seed(self.config.seed, "transform"), epoch, picture)
    }

    /// Picture `nth` of a row that came `before` times in this epoch, changed by the numbers of `stream`.
    fn picture(&self, mut stream: Stream, (row, nth, before): (usize, usize, u64), meter: &Meter) -> Result<Image> {
        let first = before.is_multiple_of(self.config.repeat.max(1) as u64);
        let transform = self.copies.as_ref().filter(|_| !first).unwrap_or(&self.transform);
        let image = meter.time(Stage::Decode, || self.dataset.picture(row, nth))?;
        Ok(meter.time(Stage::Transform, || transform(image, &mut stream)))
    }

    /// The batch of `members` from the pictures of each, which come in this order.
    fn batch(
        &self,
        members: &[(usize, u64)],
        pictures: impl Iterator<Item = Result<Views>>,
        meter: &Meter,
    ) -> Result<Batch> {
        let views = self.config.views.max(1);
        let images = match &self.features {
            Some(features) => {
                let indices: Vec<u32> = members.iter().map(|(i, _)| *i as u32).collect();
                features.index_select(&Tensor::new(indices, features.device())?, 0)?.to_device(&self.device)?
            }
            None => {
                let mut stack = Stack::new(&self.config.stats, members.len() * views);
                for (sample, (row, _)) in pictures.take(members.len()).zip(members) {
                    let (sample, row) = (sample?, &self.dataset.rows()[*row]);
                    let mut push = |(own, picture): (Option<Stats>, Image)| match (own, &self.normalize) {
                        (Some(own), _) => stack.push_as(&picture, Cow::Owned(own)),
                        (None, Some(normalize)) => stack.push_as(&picture, normalize.of(row, &picture)?),
                        (None, None) => stack.push(&picture),
                    };
                    meter.time(Stage::Collate, || sample.into_iter().try_for_each(&mut push))?;
                }
                meter.time(Stage::Collate, || stack.tensor(&self.device))?
            }
        };
        let rows: Vec<&Row> = members.iter().map(|(i, _)| &self.dataset.rows()[*i]).collect();
        let meta = |encoder: &Encoder| -> Result<Tensor> {
            let of_row = |((i, _), row): (&(usize, u64), &&Row)| {
                encoder.encode_filled(&row.meta, self.filled.get(i).map(Vec::as_slice))
            };
            let features: Vec<f32> = members.iter().zip(&rows).flat_map(of_row).collect();
            Ok(Tensor::from_vec(features, (rows.len(), encoder.width()), &self.device)?)
        };
        meter.time(Stage::Collate, || {
            let images = match views > 1 && self.features.is_none() {
                true => images.reshape([&[members.len(), views], &images.dims()[1..]].concat())?,
                false => images,
            };
            Ok(Batch {
                ids: rows.iter().map(|row| row.id.clone()).collect(),
                images: cast(images, self.dtype)?,
                targets: targets(&rows, &self.device)?,
                meta: self.meta.as_ref().map(meta).transpose()?,
            })
        })
    }
}

/// Each index with how often it stood before.
fn numbered(order: impl Iterator<Item = usize>) -> Vec<(usize, u64)> {
    let mut seen = HashMap::<usize, u64>::new();
    let mut before = |i: usize| {
        let count = seen.entry(i).or_default();
        *count += 1;
        *count - 1
    };
    order.map(|i| (i, before(i))).collect()
}

/// What a panic said, if it did.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.map_or_else(String::new, |text| format!(": {text}"))
}

fn stopped(why: &str) -> Error {
    Error::Invalid(format!("the loader stopped: {why}"))
}

/// The batches of one epoch, made by a thread of their own; dropping it ends the work.
pub struct Epoch {
    receiver: Receiver<Result<Batch>>,
    left: usize,
    failed: Option<String>,
    meter: Meter,
}

impl Epoch {
    /// How long batches were waited for so far, and what the loader did meanwhile.
    pub fn waits(&self) -> Waits {
        self.meter.waits()
    }

    /// What [`Epoch::waits`] reads, for one who gives the epoch away.
    pub fn meter(&self) -> Meter {
        self.meter.clone()
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let batch = match self.failed.take() {
            Some(why) => Err(stopped(&why)),
            None => {
                self.meter.hand_out(|| self.receiver.recv()).unwrap_or_else(|_| Err(stopped("its thread panicked")))
            }
        };
        if batch.is_err() {
            self.left = 0;
        }
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

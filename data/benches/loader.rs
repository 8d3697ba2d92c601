//! JPEG files to normalized batches of 64 through [`Loader`]: read, decode, random resized crop, flip, normalize.
//!
//! `cargo bench -p sconce-data --bench loader -- [FOLDER] [SIZE] [THREADS]`; without a folder, of pictures drawn for it. Every
//! file is read and decoded in every epoch. One JSON line, with the median of the epochs and where the time of the last went.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use fast_image_resize::images::{Image as Pixels, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use jpeg_encoder::{ColorType, Encoder};
use rand::Rng;
use sconce_data::decode::{Color, decode};
use sconce_data::{Dataset, Error, Image, Loader, LoaderConfig, Result, Row, Shuffled, Stream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

const EPOCHS: usize = 5;

struct Files(Vec<Row>);

impl Dataset for Files {
    fn rows(&self) -> &[Row] {
        &self.0
    }
    fn classes(&self) -> &[String] {
        &[]
    }
    fn image(&self, index: usize) -> Result<Image> {
        let name = &self.0[index].id;
        let bytes = std::fs::read(name).map_err(|source| Error::Read { path: name.into(), source })?;
        Ok(decode(name, &bytes, Color::Rgb)?.image)
    }
}

/// A tenth to all of the picture, made a square of `size`; mirrored half the time.
fn crop(image: Image, size: usize, rng: &mut Stream) -> Image {
    let (width, height) = (image.width() as f64, image.height() as f64);
    let side = rng.random_range(0.3..1.0);
    let (part_width, part_height) = (side * width, side * height);
    let (left, top) = (rng.random_range(0.0..width - part_width), rng.random_range(0.0..height - part_height));
    let from = ImageRef::new(width as u32, height as u32, image.pixels(), PixelType::U8x3).unwrap();
    let mut to = Pixels::new(size as u32, size as u32, PixelType::U8x3);
    let options = ResizeOptions::new()
        .crop(left, top, part_width, part_height)
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize(&from, &mut to, &options).unwrap();
    let mut pixels = to.into_vec();
    if rng.random() {
        for row in pixels.as_chunks_mut::<3>().0.chunks_exact_mut(size) {
            row.reverse();
        }
    }
    Image::new(size, size, 3, pixels).unwrap()
}

/// Waves of 160 × 128.
fn draw(folder: &Path) {
    let (width, height) = (160u16, 128u16);
    for i in 0..1024u32 {
        let wave = |x: u32, y: u32, c: u32| ((x * (3 + i % 11) + y * (2 + c)) % 256) as u8 / 2 + ((x ^ y) % 64) as u8;
        let at = |n: u32| (n / 3 % u32::from(width), n / 3 / u32::from(width), n % 3);
        let pixels: Vec<u8> =
            (0..u32::from(width) * u32::from(height) * 3).map(at).map(|(x, y, c)| wave(x, y, c)).collect();
        let encoder = Encoder::new_file(folder.join(format!("{i}.jpg")), 85).unwrap();
        encoder.encode(&pixels, width, height, ColorType::Rgb).unwrap();
    }
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.extension() {
            _ if path.is_dir() => below(&path, found),
            Some(e) if (e == "jpg" || e == "jpeg") && path.metadata().unwrap().len() > 0 => found.push(path),
            _ => {}
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let number = |at: usize, default| args.get(at).map_or(default, |arg| arg.parse().unwrap());
    let (size, threads) = (number(1, 112), number(2, 0));
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().unwrap();
    let drawn = tempfile::tempdir().unwrap();
    let folder = args.first().map_or(drawn.path(), Path::new);
    if args.is_empty() {
        draw(folder);
    }
    let mut paths = vec![];
    below(folder, &mut paths);
    paths.sort();
    let rows = paths.iter().map(|path| Row { id: path.display().to_string(), ..Row::default() }).collect();
    let config = LoaderConfig { batch_size: 64, ..LoaderConfig::default() };
    let loader =
        Loader::new(Arc::new(Files(rows)), Shuffled, config).with_transform(move |image, rng| crop(image, size, rng));
    let (mut speeds, mut waits) = (vec![], None);
    for epoch in 0..EPOCHS {
        let start = Instant::now();
        let mut batches = loader.epoch(epoch);
        batches.by_ref().for_each(|batch| drop(batch.unwrap()));
        waits = Some(batches.waits());
        speeds.push(paths.len() as f64 / start.elapsed().as_secs_f64());
    }
    speeds.sort_by(f64::total_cmp);
    let speed = speeds[EPOCHS / 2];
    let described = serde_json::json!({
        "images": paths.len(),
        "size": size,
        "threads": rayon::current_num_threads(),
        "images_per_s": speed,
        "best_images_per_s": speeds[EPOCHS - 1],
        "waits": waits,
    });
    println!("{described}");
}

//! `bench augment`: transforms of one fixed picture, one thread.

use crate::args::AugmentBenchArgs;
use crate::output;
use crate::usage::Usage;
use anyhow::{Context, Result};
use augment::{Draw, TRANSFORMS, Transform};
use data::{Image, Stream};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Applications before the clock runs, and at least as many with it.
const WARM: usize = 3;
/// Combinators, which have nothing to time without transforms inside.
const COMBINATORS: &[&str] = &["maybe", "one_of", "some_of"];

/// Times each transform and prints a line for it.
pub fn run(args: &AugmentBenchArgs) -> Result<()> {
    let all = || TRANSFORMS.iter().map(|entry| Value::from(entry.name)).collect::<Vec<_>>();
    let specs = match &args.transform {
        Some(text) if text.starts_with(['[', '{']) => vec![serde_json::from_str(text).context(Usage::command_line())?],
        Some(name) => vec![Value::from(name.as_str())],
        None => all().into_iter().filter(|name| COMBINATORS.iter().all(|other| name != other)).collect(),
    };
    let picture = picture(usize::from(args.size));
    for spec in specs {
        let transform: Box<dyn Transform> =
            serde_json::from_value(spec.clone()).with_context(|| spec.to_string()).context(Usage::command_line())?;
        let mut times = times(transform.as_ref(), &picture, Duration::from_millis(u64::from(args.milliseconds)));
        times.sort_by(f64::total_cmp);
        let described = json!({
            "transform": spec,
            "size": args.size,
            "images_per_s": 1.0 / times[times.len() / 2],
            "best_images_per_s": 1.0 / times[0],
        });
        output::result(&described.to_string());
    }
    Ok(())
}

/// Seconds of each application, other random numbers every time; copying the picture is part of it, as the others write a new one.
fn times(transform: &dyn Transform, picture: &Image, most: Duration) -> Vec<f64> {
    let start = Instant::now();
    let mut times = vec![];
    for number in 0.. {
        let mut stream = Stream::new(0, 0, number as u64);
        let before = Instant::now();
        let seen = transform.apply(picture.clone(), &mut Draw::of(&mut stream));
        std::hint::black_box(seen.pixels());
        if number >= WARM {
            times.push(before.elapsed().as_secs_f64());
        }
        if number > 2 * WARM && start.elapsed() > most {
            break;
        }
    }
    times
}

/// Waves and noise, three channels; `xtask/fixtures/augment_speed.py` makes the very same one.
fn picture(size: usize) -> Image {
    let value = |i: usize| {
        let (x, y, c) = (i / 3 % size, i / 3 / size, i % 3);
        let waves = 128.0 + 90.0 * (x as f64 / 9.0 + c as f64).sin() * (y as f64 / 13.0 - c as f64).cos();
        let noise = (i as u32).wrapping_mul(2_654_435_761) >> 27;
        (waves + f64::from(noise) - 16.0).clamp(0.0, 255.0) as u8
    };
    let mut picture = Image::filled(size, size, &[0; 3]);
    picture.pixels_mut().iter_mut().enumerate().for_each(|(i, byte)| *byte = value(i));
    picture
}

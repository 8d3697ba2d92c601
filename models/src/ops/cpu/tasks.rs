//! How work is cut into pieces. Cuts depend on shapes only, so sums never depend on the number of threads.

use super::scratch::Scratch;
use rayon::prelude::*;

/// Rows `first..last` of picture `sample`, and where they are written.
pub(crate) struct Strip<'a> {
    pub sample: usize,
    pub first: usize,
    pub last: usize,
    pub out: &'a mut [f32],
}

/// Cuts `out`, `samples` pictures of `rows` rows of `width` numbers, into strips of `each` rows; none spans two pictures.
pub(crate) fn strips(out: &mut [f32], samples: usize, rows: usize, width: usize, each: usize) -> Vec<Strip<'_>> {
    let mut strips = vec![];
    for (sample, picture) in out.chunks_exact_mut(rows * width).enumerate().take(samples) {
        for (i, out) in picture.chunks_mut(each * width).enumerate() {
            let first = i * each;
            strips.push(Strip { sample, first, last: first + out.len() / width, out });
        }
    }
    strips
}

/// Memory that a thread reuses from task to task.
#[derive(Default)]
pub(crate) struct Room {
    pub a: Scratch,
    pub b: Scratch,
    pub c: Scratch,
    pub d: Scratch,
}

/// Multiply-adds below which starting threads costs more than they bring.
const SMALL: usize = 1 << 17;

/// Results of all tasks in their order; `cost` is the number of multiply-adds of all of them.
pub(crate) fn run<T: Send, R: Send>(tasks: Vec<T>, cost: usize, f: impl Fn(T, &mut Room) -> R + Sync + Send) -> Vec<R> {
    if cost < SMALL {
        let mut room = Room::default();
        return tasks.into_iter().map(|task| f(task, &mut room)).collect();
    }
    tasks.into_par_iter().with_max_len(1).map_init(Room::default, |room, task| f(task, room)).collect()
}

/// Rows for each of about `pieces` tasks.
pub(crate) fn share(rows: usize, pieces: usize) -> usize {
    rows.div_ceil(pieces.max(1)).max(1)
}

//! Which kernel a convolution takes: a function of its shape.
#![allow(unsafe_code)]

use super::depthwise::{Depthwise, depthwise_both, depthwise_weights};
use super::geometry::Geometry;
use super::matmul::Panels;
use super::pointwise::{Gathered, Map, pointwise, pointwise_both, pointwise_weights};
use super::rows::{Sink, Source, Sums};
use super::scratch::unwritten;
use super::weight;
use super::windows::{Windows, window_weights};
use super::winograd::{Winograd, winograd_weights};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU8, Ordering};

/// A way to convolve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    Pointwise,
    Depthwise,
    /// F(2×2, 3×3).
    Winograd2,
    /// F(4×4, 3×3).
    Winograd4,
    Direct,
}

/// Outputs of a side that 3×3 convolutions of stride 1 compute at a time: fewer multiplications, larger rounding errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Tile {
    /// One: the plain sum.
    None = 1,
    /// F(2×2, 3×3), whose error is that of the plain sum.
    Two = 2,
    /// F(4×4, 3×3) where it pays; its error is three to five times that, and networks train as well with it (`BENCHMARKS.md`).
    Four = 4,
}

/// A setting of the process.
static TILE: AtomicU8 = AtomicU8::new(Tile::Four as u8);

/// The largest tile in use.
pub fn winograd() -> Tile {
    match TILE.load(Ordering::Relaxed) {
        1 => Tile::None,
        2 => Tile::Two,
        _ => Tile::Four,
    }
}

/// Uses tiles up to this one from now on.
pub fn set_winograd(largest: Tile) {
    TILE.store(largest as u8, Ordering::Relaxed);
}

/// The kernel for a shape.
pub(crate) fn kernel(g: &Geometry) -> Kernel {
    if g.pointwise() {
        Kernel::Pointwise
    } else if g.depthwise() {
        Kernel::Depthwise
    } else if g.dense3() && g.ci >= 8 && g.co >= 8 && g.oh >= 2 && g.ow >= 2 {
        match winograd() {
            Tile::None => Kernel::Direct,
            Tile::Two => Kernel::Winograd2,
            Tile::Four if g.oh >= 4 && g.ow >= 4 => Kernel::Winograd4,
            Tile::Four => Kernel::Winograd2,
        }
    } else {
        Kernel::Direct
    }
}

/// `y = x ∗ w` through `sink`; `w` is `[O, C/groups, k, k]`.
pub(crate) fn forward(
    kernel: Kernel,
    g: &Geometry,
    x: Source<'_>,
    w: &[f32],
    sink: Sink<'_>,
    y: &mut [f32],
) -> Vec<Sums> {
    match kernel {
        Kernel::Pointwise => {
            let panels = Panels::new(g.ci, g.co, |columns, out, width| {
                weight::forward_panel(w, g.ci, 1, columns, out, width);
            });
            pointwise(map(g, g.ci), x, panels.factor(), sink, y)
        }
        Kernel::Depthwise => Depthwise::forward(g, w).run(x, sink, y),
        Kernel::Winograd2 => Winograd::<2>::forward(g, w).run(x, sink, y),
        Kernel::Winograd4 => Winograd::<4>::forward(g, w).run(x, sink, y),
        Kernel::Direct => Windows::forward(g, w).run(x, sink, y),
    }
}

/// The gradient of `x` from that of `y`, through `sink`.
pub(crate) fn input_gradient(
    kernel: Kernel,
    g: &Geometry,
    dy: Source<'_>,
    w: &[f32],
    sink: Sink<'_>,
    dx: &mut [f32],
) -> Vec<Sums> {
    match kernel {
        Kernel::Pointwise => pointwise(map(g, g.co), dy, backward_panels(g, w).factor(), sink, dx),
        Kernel::Depthwise => Depthwise::backward(g, w).run(dy, sink, dx),
        Kernel::Winograd2 => Winograd::<2>::backward(g, w).run(dy, sink, dx),
        Kernel::Winograd4 => Winograd::<4>::backward(g, w).run(dy, sink, dx),
        Kernel::Direct => Windows::backward(g, w).run(dy, sink, dx),
    }
}

/// Both gradients: that of `x` through `sink`, and that of `w`.
pub(crate) fn gradients(
    kernel: Kernel,
    g: &Geometry,
    (x, dy): (Source<'_>, Source<'_>),
    w: &[f32],
    sink: Sink<'_>,
    dx: &mut [f32],
) -> (Vec<Sums>, Vec<f32>) {
    if kernel == Kernel::Pointwise {
        let panels = backward_panels(g, w);
        if let Some(both) = pointwise_both(map(g, g.ci), x, dy, panels.factor(), sink, dx) {
            return both;
        }
        let sums = pointwise(map(g, g.co), dy, panels.factor(), sink, dx);
        return (sums, weight_gradient(kernel, g, x, dy));
    }
    if kernel == Kernel::Depthwise
        && let Some((sums, gathered)) = depthwise_both(g, x, dy, w, sink, dx)
    {
        // SAFETY: every weight is put in its place.
        let mut dw = unsafe { unwritten(g.co * g.size * g.size) };
        weight::outputs_first(&gathered.data, g.co, 1, g.size * g.size, gathered.step, &mut dw);
        return (sums, dw);
    }
    (input_gradient(kernel, g, dy, w, sink, dx), weight_gradient(kernel, g, x, dy))
}

/// The right factor that takes a gradient back through a 1×1 convolution.
fn backward_panels(g: &Geometry, w: &[f32]) -> Panels {
    Panels::new(g.co, g.ci, |columns, out, width| {
        weight::backward_panel(w, (g.co, g.ci, 1), &[0], columns, out, width);
    })
}

/// The gradient of `w`, `[O, C/groups, k, k]`.
pub(crate) fn weight_gradient(kernel: Kernel, g: &Geometry, x: Source<'_>, dy: Source<'_>) -> Vec<f32> {
    let taps = g.taps();
    let (ci, co) = (g.ci / g.groups, g.co / g.groups);
    // SAFETY: each way puts every weight in its place.
    let mut dw = unsafe { unwritten(g.co * ci * taps) };
    let order = |sums: &Gathered, groups: usize, inputs: usize, outputs: usize, dw: &mut [f32]| {
        let each = taps * inputs * sums.step;
        for (sum, dw) in sums.data.chunks_exact(each).zip(dw.chunks_exact_mut(dw.len() / groups)) {
            weight::outputs_first(sum, outputs, inputs, taps, sums.step, dw);
        }
    };
    match kernel {
        Kernel::Pointwise => pointwise_weights(map(g, g.ci), x, dy, &mut dw),
        Kernel::Depthwise => order(&depthwise_weights(g, x, dy), 1, 1, g.co, &mut dw),
        Kernel::Winograd2 => winograd_weights::<2>(g, x, dy, &mut dw),
        Kernel::Winograd4 => winograd_weights::<4>(g, x, dy, &mut dw),
        Kernel::Direct => order(&window_weights(g, x, dy), g.groups, ci, co, &mut dw),
    }
    dw
}

fn map(g: &Geometry, channels: usize) -> Map {
    Map { samples: g.samples, pixels: g.h * g.w, channels }
}

//! The traffic around an agent as a picture.

use crate::decode::MAX_PIXELS;
use crate::error::{Error, Result};
use crate::image::Image;
use serde::{Deserialize, Serialize};

/// What one agent sees of the others and of the map, from above, as the baseline of the Lyft Motion Prediction competition draws
/// it (l5kit's `BoxRasterizer` and `SemanticRasterizer`): the agent stands at `ego_center` and looks to the right, the boxes of
/// the others and its own are channels of their own in each frame. Filled without smoothing as `cv2.fillPoly` does where no
/// corner lies outside, so that a box smaller than a pixel is seen, too.
///
/// | field | default | range |
/// |---|---|---|
/// | `raster_size` | [224, 224] | width and height, pixels, 1 to 4096 |
/// | `pixel_size` | [0.5, 0.5] | width and height of a pixel, meters, more than 0 |
/// | `ego_center` | [0.25, 0.5] | where the agent stands, as a share of width and height from the upper left |
/// | `history` | 10 | frames before this one, 0 to 100 |
/// | `background` | [255, 255, 255] | color where the map has nothing |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Raster {
    /// Width and height, pixels.
    pub raster_size: [usize; 2],
    /// Width and height of a pixel, meters.
    pub pixel_size: [f64; 2],
    /// Where the agent stands.
    pub ego_center: [f64; 2],
    /// Frames before this one.
    pub history: usize,
    /// Color where the map has nothing.
    pub background: [u8; 3],
}

impl Default for Raster {
    fn default() -> Self {
        Self {
            raster_size: [224, 224],
            pixel_size: [0.5, 0.5],
            ego_center: [0.25, 0.5],
            history: 10,
            background: [255; 3],
        }
    }
}

/// A car, cyclist or pedestrian in one frame.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// The same in all frames.
    pub id: u64,
    /// Of its box, in the world, meters.
    pub center: [f64; 2],
    /// Where it looks, radians, counter-clockwise from the x-axis.
    pub yaw: f64,
    /// Length and width, meters.
    pub extent: [f64; 2],
}

/// A piece of the map, in the world, meters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Its corners.
    pub points: Vec<[f64; 2]>,
    /// Filled, the last corner joined to the first; else a line of one pixel.
    pub filled: bool,
    /// Its color.
    pub color: [u8; 3],
}

impl Raster {
    /// Draws what surrounds agent `ego`. `frames` begin with this one and go back in time, and each holds all agents, the
    /// self-driving car too; frames that are not there are black. Channels are `1 + history` of the others and `1 + history` of
    /// the agent itself, newest first, and where there is a map its three colors, later shapes over earlier ones.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a field is out of its range, a number is not finite, or `ego` is not in the first frame.
    pub fn image(&self, frames: &[Vec<Agent>], ego: u64, map: Option<&[Shape]>) -> Result<Image> {
        self.check()?;
        let [width, height] = self.raster_size;
        let steps = 1 + self.history;
        let channels = 2 * steps + if map.is_some() { 3 } else { 0 };
        if (width * height * channels) as u64 > MAX_PIXELS {
            let why = "values are more than the allowed";
            return Err(Error::Invalid(format!(
                "raster: {width}×{height}×{channels} {why} {MAX_PIXELS}; lower raster_size or history"
            )));
        }
        let Some(own) = frames.first().and_then(|frame| frame.iter().find(|agent| agent.id == ego)) else {
            return Err(Error::Invalid(format!("raster: agent {ego} is not in the first frame")));
        };
        finite(&[own.center[0], own.center[1], own.yaw])?;
        let mut canvas = Canvas { width, height, channels, pixels: vec![0; width * height * channels] };
        for (step, agents) in frames.iter().take(steps).enumerate() {
            for agent in agents {
                let channel = if agent.id == ego { steps + step } else { step };
                let corners = self.corners(agent, own)?;
                canvas.fill(&corners, channel, &[255]);
            }
        }
        if let Some(shapes) = map {
            let background = |pixel: &mut [u8]| pixel[2 * steps..].copy_from_slice(&self.background);
            canvas.pixels.chunks_exact_mut(channels).for_each(background);
            for shape in shapes {
                let points = shape.points.iter().map(|p| self.pixel(*p, own)).collect::<Result<Vec<_>>>()?;
                if shape.filled {
                    canvas.fill(&points, 2 * steps, &shape.color);
                } else {
                    points.windows(2).for_each(|pair| canvas.line(pair[0], pair[1], 2 * steps, &shape.color));
                }
            }
        }
        Image::new(width, height, channels, canvas.pixels)
    }

    fn check(&self) -> Result<()> {
        let Self { raster_size, pixel_size, ego_center, history, .. } = self;
        if raster_size.iter().any(|side| !(1..=4096).contains(side)) || *history > 100 {
            return Err(Error::Invalid(format!(
                "raster: raster_size must be 1 to 4096 and history 0 to 100, not {raster_size:?} and {history}"
            )));
        }
        if pixel_size.iter().any(|side| !(*side > 0.0 && side.is_finite())) || finite(ego_center).is_err() {
            return Err(Error::Invalid(format!(
                "raster: pixel_size must be more than 0 and ego_center finite, not {pixel_size:?} and {ego_center:?}"
            )));
        }
        Ok(())
    }

    /// The pixels of the corners of an agent's box, as `own` sees them.
    fn corners(&self, agent: &Agent, own: &Agent) -> Result<Vec<[i64; 2]>> {
        let (sin, cos) = agent.yaw.sin_cos();
        let [length, width] = agent.extent.map(|side| side / 2.0);
        let corner = |[along, across]: [f64; 2]| {
            let [x, y] = [along * length, across * width];
            self.pixel([agent.center[0] + x * cos - y * sin, agent.center[1] + x * sin + y * cos], own)
        };
        [[-1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [1.0, -1.0]].into_iter().map(corner).collect()
    }

    /// The pixel whose middle is nearest to a point of the world, as `own` sees it.
    fn pixel(&self, point: [f64; 2], own: &Agent) -> Result<[i64; 2]> {
        finite(&point)?;
        let (sin, cos) = own.yaw.sin_cos();
        let [x, y] = [point[0] - own.center[0], point[1] - own.center[1]];
        let ahead_and_left = [x * cos + y * sin, y * cos - x * sin];
        let place = |axis: usize, sign: f64| {
            let middle = self.ego_center[axis] * self.raster_size[axis] as f64;
            // So far outside nothing is seen, and sums stay small.
            (middle + sign * ahead_and_left[axis] / self.pixel_size[axis]).round().clamp(-1e6, 1e6) as i64
        };
        Ok([place(0, 1.0), place(1, -1.0)])
    }
}

fn finite(values: &[f64]) -> Result<()> {
    match values.iter().all(|v| v.is_finite()) {
        true => Ok(()),
        false => Err(Error::Invalid(format!("raster: positions and angles must be finite, not {values:?}"))),
    }
}

struct Canvas {
    width: usize,
    height: usize,
    channels: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    /// Sets a pixel, from `channel` on.
    fn set(&mut self, x: i64, y: i64, channel: usize, color: &[u8]) {
        if (0..self.width as i64).contains(&x) && (0..self.height as i64).contains(&y) {
            let at = (y as usize * self.width + x as usize) * self.channels + channel;
            self.pixels[at..at + color.len()].copy_from_slice(color);
        }
    }

    /// OpenCV's line of eight directions, from its left end on; Bresenham's with halves rounded towards that end.
    fn line(&mut self, a: [i64; 2], b: [i64; 2], channel: usize, color: &[u8]) {
        let (a, b) = if a[0] > b[0] { (b, a) } else { (a, b) };
        let (dx, dy, down) = (b[0] - a[0], (b[1] - a[1]).abs(), (b[1] - a[1]).signum());
        let (long, short) = (dx.max(dy), dx.min(dy));
        // Only what may be seen.
        let (first, last) = if dx >= dy {
            (-a[0], self.width as i64 - 1 - a[0])
        } else {
            let ends = [-a[1] * down, (self.height as i64 - 1 - a[1]) * down];
            (ends[0].min(ends[1]), ends[0].max(ends[1]))
        };
        for step in first.max(0)..=last.min(long) {
            let aside = if long == 0 { 0 } else { -(long - 2 * short * step).div_euclid(2 * long) };
            let (x, y) = if dx >= dy { (step, aside) } else { (aside, step) };
            self.set(a[0] + x, a[1] + down * y, channel, color);
        }
    }

    /// OpenCV's filled polygon: what an odd number of edges lies left of, and the edges themselves.
    fn fill(&mut self, points: &[[i64; 2]], channel: usize, color: &[u8]) {
        const ONE: i64 = 1 << 16;
        let edges: Vec<[[i64; 2]; 2]> =
            points.iter().enumerate().map(|(i, a)| [*a, points[(i + 1) % points.len()]]).collect();
        edges.iter().for_each(|[a, b]| self.line(*a, *b, channel, color));
        let rows = points.iter().map(|p| p[1]);
        let (top, bottom) = (rows.clone().min().unwrap_or(0).max(0), rows.max().unwrap_or(0).min(self.height as i64));
        for y in top..bottom {
            let crossing = |[a, b]: &[[i64; 2]; 2]| {
                let (upper, lower) = if a[1] < b[1] { (a, b) } else { (b, a) };
                let crosses = upper[1] <= y && y < lower[1];
                crosses.then(|| {
                    let slope = (lower[0] - upper[0]) * ONE / (lower[1] - upper[1]);
                    upper[0] * ONE + (y - upper[1]) * slope
                })
            };
            let mut crossings: Vec<i64> = edges.iter().filter_map(crossing).collect();
            crossings.sort_unstable();
            for pair in crossings.chunks_exact(2) {
                // What lies within; edges are drawn.
                let (left, right) = ((pair[0] + ONE - 1) >> 16, pair[1] >> 16);
                (left.max(0)..=right.min(self.width as i64 - 1)).for_each(|x| self.set(x, y, channel, color));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(id: u64, center: [f64; 2], yaw: f64) -> Agent {
        Agent { id, center, yaw, extent: [4.0, 2.0] }
    }

    fn small() -> Raster {
        Raster { raster_size: [32, 16], pixel_size: [1.0, 1.0], history: 1, ..Raster::default() }
    }

    /// Column and row of all pixels of a channel that are set.
    fn set(image: &Image, channel: usize) -> Vec<[usize; 2]> {
        let pixels = image.pixels().chunks_exact(image.channels()).enumerate();
        pixels.filter(|(_, p)| p[channel] == 255).map(|(i, _)| [i % image.width(), i / image.width()]).collect()
    }

    #[test]
    fn the_world_is_seen_by_the_agent() {
        // Looking north: what is north of it lies to the right, what is west of it above.
        let now = vec![agent(7, [100.0, 50.0], std::f64::consts::FRAC_PI_2), agent(1, [97.0, 60.0], 0.0)];
        let before = vec![agent(7, [100.0, 45.0], std::f64::consts::FRAC_PI_2)];
        let image = small().image(&[now, before], 7, None).unwrap();
        assert_eq!(image.dims(), [1, 16, 32, 4]);
        let middle = |channel| {
            let pixels = set(&image, channel);
            let mean = |axis: usize| pixels.iter().map(|p| p[axis]).sum::<usize>() as f64 / pixels.len() as f64;
            [mean(0), mean(1)]
        };
        assert_eq!(middle(2), [8.0, 8.0]);
        assert_eq!(middle(3), [3.0, 8.0]);
        assert_eq!(middle(0), [18.0, 5.0]);
        assert!(set(&image, 1).is_empty());
        // 5 × 3 pixels: edges count.
        assert_eq!(set(&image, 2).len(), 15);
        assert!(set(&image, 0).iter().all(|[x, y]| (17..=19).contains(x) && (3..=7).contains(y)));
    }

    #[test]
    fn maps_are_three_more_channels() {
        let frames = [vec![agent(7, [0.0, 0.0], 0.0)]];
        let square = Shape {
            points: vec![[-1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [1.0, -1.0]],
            filled: true,
            color: [10, 20, 30],
        };
        let line = Shape { points: vec![[-1e9, 0.0], [1e9, 0.0]], filled: false, color: [1, 2, 3] };
        let image = small().image(&frames, 7, Some(&[square, line])).unwrap();
        assert_eq!(image.channels(), 7);
        let at = |x: usize, y: usize| &image.pixels()[(y * 32 + x) * 7 + 4..][..3];
        assert_eq!(
            (at(0, 0), at(8, 7), at(8, 8), at(31, 8)),
            (&[255; 3][..], &[10, 20, 30][..], &[1, 2, 3][..], &[1, 2, 3][..])
        );
    }

    #[test]
    fn odd_scenes_give_a_picture_or_say_why_not() {
        let one = |agent: Agent| [vec![agent]];
        assert!(small().image(&[], 7, None).is_err());
        assert!(small().image(&one(agent(1, [0.0; 2], 0.0)), 7, None).unwrap_err().to_string().contains("agent 7"));
        for wrong in [agent(7, [f64::NAN, 0.0], 0.0), agent(7, [0.0; 2], f64::INFINITY)] {
            assert!(small().image(&one(wrong), 7, None).is_err());
        }
        let far = agent(1, [1e300, -1e300], 0.0);
        assert!(small().image(&[vec![agent(7, [0.0; 2], 0.0), far]], 7, None).is_ok());
        let empty = Shape { points: vec![], filled: true, color: [0; 3] };
        assert!(small().image(&one(agent(7, [0.0; 2], 0.0)), 7, Some(&[empty])).is_ok());
        // Smaller than a pixel, and yet seen.
        let tiny = Agent { extent: [0.0, 0.0], ..agent(7, [0.0; 2], 0.0) };
        assert_eq!(set(&small().image(&one(tiny), 7, None).unwrap(), 2), [[8, 8]]);
        for raster in [
            Raster { raster_size: [0, 1], ..small() },
            Raster { raster_size: [1, 5000], ..small() },
            Raster { pixel_size: [0.0, 1.0], ..small() },
            Raster { ego_center: [f64::NAN, 0.0], ..small() },
            Raster { history: 101, ..small() },
            Raster { history: 100, raster_size: [4096, 4096], ..small() },
        ] {
            assert!(raster.image(&one(agent(7, [0.0; 2], 0.0)), 7, None).is_err());
        }
    }
}

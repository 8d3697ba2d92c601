//! A photograph of a leaf: pose, light, ground, what lies over it, and the camera.

use super::camera;
use super::canvas::{Canvas, Point, Stroke};
use super::color::{self, Color};
use super::frame::Frame;
use super::ground::{Ground, KINDS};
use super::leaf::Leaf;
use super::noise::Noise;
use super::species::Species;
use image::RgbImage;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// What the pictures of one plant share.
#[derive(Clone, Copy)]
pub struct Look {
    species: &'static Species,
    leaf: Color,
    ground: Ground,
    slender: f32,
}

/// How a leaf lies in its picture.
struct Pose {
    frame: Frame,
    middle: Point,
    slender: f32,
    bend: f32,
}

impl Look {
    /// A plant of this species; its site prefers one kind of ground.
    pub fn new(species: &'static Species, site: usize, rng: &mut ChaCha8Rng) -> Self {
        let [hue, spread, saturation, value] = species.color;
        let hue = hue + spread * (rng.random_range(-1.0..1.0) + rng.random_range(-0.6..0.6));
        let saturation = saturation * rng.random_range(0.8..1.15);
        let leaf = color::hsv(hue, saturation, value * rng.random_range(0.8..1.2));
        let kind = if rng.random_bool(0.5) { site } else { rng.random_range(0..KINDS.len()) };
        let ground = Ground::new(KINDS[kind % KINDS.len()], rng);
        Self { species, leaf, ground, slender: rng.random_range(0.85..1.1) }
    }

    /// Draws one leaf of the plant, about `size` pixels a side.
    pub fn draw(&self, size: u32, rng: &mut ChaCha8Rng) -> RgbImage {
        let mut side = || (size as f32 * rng.random_range(0.9..1.15)).round().max(8.) as usize;
        let (width, height) = (side(), side());
        let mut canvas = Canvas::new(width, height);
        self.draw_leaf(&mut canvas, [width as f32, height as f32], rng);
        if rng.random_bool(0.3) {
            draw_straw(&mut canvas, [width as f32, height as f32], rng);
        }
        let pixels = self.lay_down(&canvas, [width, height], rng);
        camera::shoot(pixels, width, size as f32, rng)
    }

    fn draw_leaf(&self, canvas: &mut Canvas, [width, height]: Point, rng: &mut ChaCha8Rng) {
        let leaf = self.species.form.grow(&self.species.blade, rng);
        let pose = Pose::new(&leaf, [width, height], self.slender, rng);
        let noise = Noise(rng.random());
        let fold = rng.random_range(-0.1..0.1);
        let (stain, yellowed) = (rng.random_range(0.0..1.0f32).powi(4), rng.random_range(0.0..1.0f32).powi(3));
        let pale = color::mix(self.leaf, [0.86, 0.84, 0.58], 0.5);
        let stalk = color::mix(self.leaf, [0.5, 0.36, 0.2], 0.45);
        canvas.fill(&leaf.stalk.placed(|p| pose.place(p)).outline(), |_| Some(stalk));
        for shape in &leaf.blades {
            let outline: Vec<Point> = shape.outline.iter().map(|&p| pose.place(p)).collect();
            let veins = self.species.blade.veins as f32;
            canvas.fill(&outline, |point| {
                let inside = pose.locate(point);
                let [along, across] = shape.frame.locate(inside);
                let tissue = 0.13 * noise.layers(5. * inside[0], 5. * inside[1], 3);
                let ribs = 0.05 * (6.3 * veins * (along - 0.8 * across.abs())).cos();
                let light = 1. + tissue + ribs + fold * (across * 60.).clamp(-1., 1.) - 0.1 * across.abs();
                let edge = (across.abs() / self.species.blade.width.max(0.1)).max(along - 0.3);
                let aged = color::mix(self.leaf, [0.72, 0.56, 0.2], 0.7 * yellowed * edge.clamp(0., 1.));
                let spot = noise.at(9. * inside[0] + 31., 9. * inside[1]) > 0.95 - 0.45 * stain;
                Some(color::lit(if spot { color::mix(aged, [0.33, 0.2, 0.1], 0.6) } else { aged }, light))
            });
            for vein in &shape.veins {
                canvas.fill(&vein.placed(|p| pose.place(p)).outline(), |_| Some(pale));
            }
        }
        for _ in 0..bites(rng) {
            let edge = &leaf.blades[rng.random_range(0..leaf.blades.len())].outline;
            let [x, y] = edge[rng.random_range(0..edge.len())];
            let radius = rng.random_range(0.03..0.09);
            let circle = (0..16).map(|i| (i as f32 * 22.5).to_radians().sin_cos());
            let hole: Vec<Point> = circle.map(|(sin, cos)| pose.place([x + radius * cos, y + radius * sin])).collect();
            canvas.fill(&hole, |_| None);
        }
    }

    /// The leaf and its shadow on the ground.
    fn lay_down(&self, canvas: &Canvas, [width, height]: [usize; 2], rng: &mut ChaCha8Rng) -> Vec<Color> {
        let pixels = canvas.pixels();
        let noise = Noise(rng.random());
        let ground = Frame::new([rng.random(), rng.random()], rng.random_range(0.0..360.0), 1.);
        let unit = 1. / width.max(height) as f32;
        let reach = 0.02 / unit;
        let (right, down) = (rng.random_range(-reach..reach), rng.random_range(0.3 * reach..1.3 * reach));
        let mut coverage: Vec<f32> = pixels.iter().map(|(_, coverage)| *coverage).collect();
        camera::blur(&mut coverage, width, 0.016 / unit);
        let depth = rng.random_range(0.25..0.5);
        let place = |row: usize, column: usize| {
            let below = self.ground.at(ground.place([column as f32 * unit, row as f32 * unit]), noise);
            let (y, x) = (row as f32 - down, column as f32 - right);
            let (y, x) = (y.clamp(0., height as f32 - 1.) as usize, x.clamp(0., width as f32 - 1.) as usize);
            let (leaf, cover) = pixels[row * width + column];
            let below = color::lit(below, (1. - depth * coverage[y * width + x]) * (1. - cover));
            std::array::from_fn(|c| leaf[c] + below[c])
        };
        (0..height).flat_map(|row| (0..width).map(move |column| (row, column))).map(|(r, c)| place(r, c)).collect()
    }
}

impl Pose {
    fn new(leaf: &Leaf, [width, height]: Point, slender: f32, rng: &mut ChaCha8Rng) -> Self {
        let points = leaf.blades.iter().flat_map(|shape| &shape.outline);
        let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
        for point in points {
            low = [low[0].min(point[0]), low[1].min(point[1])];
            high = [high[0].max(point[0]), high[1].max(point[1])];
        }
        let extent = (high[0] - low[0]).max(high[1] - low[1]);
        let length = width.min(height) * rng.random_range(0.7..1.05) / extent;
        let mut shift = |side: f32| side * (0.5 + rng.random_range(-0.11..0.11));
        let origin = [shift(width), shift(height)];
        let middle = [0.5 * (low[0] + high[0]), 0.5 * (low[1] + high[1])];
        let frame = Frame::new(origin, rng.random_range(0.0..360.0), length);
        // Leaves are seen from above, but seldom exactly.
        Self { frame, middle, slender: slender * rng.random_range(0.82..1.08), bend: rng.random_range(-0.28..0.28) }
    }

    /// From the leaf to the picture.
    fn place(&self, [x, y]: Point) -> Point {
        let x = x - self.middle[0];
        self.frame.place([x, (y - self.middle[1]) * self.slender + self.bend * x * x])
    }

    /// From the picture to the leaf.
    fn locate(&self, point: Point) -> Point {
        let [x, y] = self.frame.locate(point);
        [x + self.middle[0], (y - self.bend * x * x) / self.slender + self.middle[1]]
    }
}

/// How often something has eaten of the leaf.
fn bites(rng: &mut ChaCha8Rng) -> usize {
    if rng.random_bool(0.25) { rng.random_range(1..4) } else { 0 }
}

/// A straw or two across the picture.
fn draw_straw(canvas: &mut Canvas, [width, height]: Point, rng: &mut ChaCha8Rng) {
    for _ in 0..rng.random_range(1..3) {
        let lying = rng.random();
        let from = [rng.random_range(-0.1..1.1) * width, -0.1 * height];
        let to = [rng.random_range(-0.1..1.1) * width, 1.1 * height];
        let bow = width * rng.random_range(-0.25..0.25);
        let along =
            |t: f32| [from[0] + t * (to[0] - from[0]) + bow * 4. * t * (1. - t), from[1] + t * (to[1] - from[1])];
        let turned = |[x, y]: Point| if lying { [y * width / height, x * height / width] } else { [x, y] };
        let path = (0..=8).map(|i| turned(along(i as f32 / 8.))).collect();
        let thick = width * rng.random_range(0.02..0.05);
        let straw = color::hsv(rng.random_range(35.0..95.0), 0.45, rng.random_range(0.35..0.75));
        canvas.fill(&Stroke { path, widths: [thick, 0.3 * thick] }.outline(), |_| Some(straw));
    }
}

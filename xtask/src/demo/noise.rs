//! Smooth noise: what makes soil, bark and leaf tissue look grown.

/// Noise of the plane, a function of the seed and the place alone.
#[derive(Clone, Copy, Debug)]
pub struct Noise(pub u32);

impl Noise {
    /// Smooth noise with one hill or valley per unit, −1..=1.
    pub fn at(self, x: f32, y: f32) -> f32 {
        let (left, top) = (x.floor(), y.floor());
        let (across, down) = (ease(x - left), ease(y - top));
        let (column, row) = (left as i32, top as i32);
        let upper = mix(self.corner(column, row), self.corner(column + 1, row), across);
        let lower = mix(self.corner(column, row + 1), self.corner(column + 1, row + 1), across);
        mix(upper, lower, down)
    }

    /// Noise with finer and finer detail, each octave half as wide and 0.6 times as strong, about −1..=1.
    pub fn layers(self, x: f32, y: f32, octaves: u32) -> f32 {
        let (mut sum, mut total, mut strength, mut scale) = (0., 0., 1., 1.);
        for octave in 0..octaves {
            sum += strength * Self(self.0.wrapping_add(octave)).at(x * scale, y * scale);
            total += strength;
            strength *= 0.6;
            scale *= 2.;
        }
        1.5 * sum / total
    }

    fn corner(self, column: i32, row: i32) -> f32 {
        let mut hash = self.0 ^ (column as u32).wrapping_mul(0x9e37_79b1) ^ (row as u32).wrapping_mul(0x85eb_ca77);
        hash = (hash ^ (hash >> 15)).wrapping_mul(0x2c1b_3c6d);
        hash = (hash ^ (hash >> 12)).wrapping_mul(0x297a_2d39);
        hash ^= hash >> 15;
        hash as f32 / (u32::MAX / 2) as f32 - 1.
    }
}

/// From `a` (`t` = 0) to `b` (`t` = 1).
pub fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

fn ease(t: f32) -> f32 {
    t * t * (3. - 2. * t)
}

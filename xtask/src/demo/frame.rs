//! Where a thing lies inside a larger one.

use super::canvas::Point;

/// An origin, an axis and a length: (0, 0) is the origin, (1, 0) the end of the axis.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    origin: Point,
    cos: f32,
    sin: f32,
    length: f32,
}

impl Frame {
    /// `degrees` from the x axis of what is around it.
    pub fn new(origin: Point, degrees: f32, length: f32) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        Self { origin, cos, sin, length }
    }

    /// From inside to outside.
    pub fn place(&self, [x, y]: Point) -> Point {
        let (x, y) = (x * self.length, y * self.length);
        [self.origin[0] + x * self.cos - y * self.sin, self.origin[1] + x * self.sin + y * self.cos]
    }

    /// From outside to inside.
    pub fn locate(&self, [x, y]: Point) -> Point {
        let (x, y) = ((x - self.origin[0]) / self.length, (y - self.origin[1]) / self.length);
        [x * self.cos + y * self.sin, y * self.cos - x * self.sin]
    }
}

//! Jigsaw puzzles.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Grid, rearrange};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Cuts the picture into a grid of tiles and shuffles them (Albumentations `RandomGridShuffle`).
///
/// Where the sides are no multiples of `grid`, tiles change places with those of their own size.
///
/// | field | default | range |
/// |---|---|---|
/// | `grid` | 3 | 1..=256, tiles of a row and of a column |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GridShuffle {
    /// Tiles of a row and of a column.
    pub grid: usize,
}

impl Default for GridShuffle {
    fn default() -> Self {
        Self { grid: 3 }
    }
}

impl Transform for GridShuffle {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        let grid = Grid { sides: [image.width(), image.height()], counts: [self.grid; 2] };
        // One order of all tiles; those of a size take their places in the order in which they stand in it.
        let order = draw.order("order", grid.len());
        let size = |tile: u32| {
            let [_, _, width, height] = grid.tile(tile as usize);
            (width, height)
        };
        let mut places: Vec<u32> = (0..order.len() as u32).collect();
        let mut tiles = order;
        // Stable: places stay in reading order and tiles in random order within a size.
        places.sort_by_key(|tile| size(*tile));
        tiles.sort_by_key(|tile| size(*tile));
        let mut from = vec![0; tiles.len()];
        places.iter().zip(&tiles).for_each(|(place, tile)| from[*place as usize] = *tile);
        rearrange(&image, grid, &from)
    }
    fn validate(&self) -> Result<()> {
        check::that((1..=256).contains(&self.grid), "transform 'grid_shuffle'", || {
            format!("grid must be in 1..=256, got {}", self.grid)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use std::collections::BTreeMap;

    #[test]
    fn all_orders_are_equally_likely_and_no_pixel_is_lost() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut counts = BTreeMap::new();
        for _ in 0..4800 {
            let seen =
                GridShuffle { grid: 2 }.apply(Image::new(2, 2, 1, vec![1, 2, 3, 4]).unwrap(), &mut Draw::new(&mut rng));
            *counts.entry(seen.into_pixels()).or_insert(0usize) += 1;
        }
        assert!(counts.len() == 24 && counts.values().all(|count| count.abs_diff(200) < 60), "{counts:?}");
        let picture = Image::new(7, 5, 1, (0..35).collect()).unwrap();
        let mut seen = GridShuffle::default().apply(picture.clone(), &mut Draw::new(&mut rng)).into_pixels();
        seen.sort_unstable();
        assert_eq!(seen, picture.pixels());
    }
}

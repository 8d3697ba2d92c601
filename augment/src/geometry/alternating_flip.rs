//! Mirror images in turn.

use crate::draw::Draw;
use crate::pixel::{Symmetry, orient};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Exchanges left and right in every other epoch (Jordan 2024, `KellerJordan/cifar10-airbench`).
///
/// A fair coin of the sample decides whether it begins mirrored. So any two epochs in a row show a picture from both sides,
/// where [`Flip`](super::Flip) shows half of them twice the same.
///
/// | field | default | |
/// |---|---|---|
/// | `vertical` | false | exchange top and bottom instead |
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlternatingFlip {
    /// Exchange top and bottom instead.
    pub vertical: bool,
}

impl Transform for AlternatingFlip {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        let begins_mirrored = draw.coin_of_sample(u32::from(self.vertical));
        let flips = begins_mirrored != (draw.epoch() % 2 == 1);
        match (draw.note("flips", flips), self.vertical) {
            (false, _) => image,
            (true, false) => orient(image, Symmetry::MIRROR),
            (true, true) => orient(image, Symmetry::UPSIDE_DOWN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::Stream;

    #[test]
    fn epochs_take_turns_and_samples_begin_at_random() {
        let flip = AlternatingFlip::default();
        let picture = Image::new(2, 1, 1, vec![1, 2]).unwrap();
        let seen = |epoch, sample| flip.apply(picture.clone(), &mut Draw::of(&mut Stream::new(3, epoch, sample)));
        let begin_mirrored = (0..1000).filter(|&sample| seen(0, sample) != picture).count();
        assert!(begin_mirrored.abs_diff(500) < 60, "{begin_mirrored}");
        for sample in 0..20 {
            let both = [seen(0, sample), seen(1, sample)];
            assert!(both.contains(&picture) && both[0] != both[1]);
            assert_eq!([seen(2, sample), seen(7, sample)], both);
        }
        // Both together show all four sides: each has its own coin.
        let (corner, turned) = (Image::new(2, 2, 1, vec![1, 0, 0, 0]).unwrap(), AlternatingFlip { vertical: true });
        let place = |sample| {
            let mut stream = Stream::new(3, 0, sample);
            let mut draw = Draw::of(&mut stream);
            let seen = flip.apply(corner.clone(), &mut draw);
            turned.apply(seen, &mut draw).pixels().iter().position(|v| *v == 1).unwrap()
        };
        let mut counts = [0; 4];
        (0..1000).for_each(|sample| counts[place(sample)] += 1);
        assert!(counts.iter().all(|count: &usize| count.abs_diff(250) < 60), "{counts:?}");
    }
}

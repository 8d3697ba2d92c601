//! The operations of the policies, and how strong they are.

use crate::draw::Draw;
use crate::pixel::{
    Border, Paint, Region, Sampling, autocontrast, color, equalize, rotation, sharpen, tone, warp, window,
};
use data::Image;

/// An operation of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Op {
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    SolarizeAdd,
    AutoContrast,
    Equalize,
    Invert,
}

/// What an operation needs that moves pixels.
#[derive(Clone, Copy, Debug)]
pub struct Moves {
    /// How pixels are read.
    pub interpolation: Sampling,
    /// What comes in at the border.
    pub fill: Paint,
}

impl Op {
    /// Its name in a record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::ShearX => "shear_x",
            Self::ShearY => "shear_y",
            Self::TranslateX => "translate_x",
            Self::TranslateY => "translate_y",
            Self::Rotate => "rotate",
            Self::Brightness => "brightness",
            Self::Color => "color",
            Self::Contrast => "contrast",
            Self::Sharpness => "sharpness",
            Self::Posterize => "posterize",
            Self::Solarize => "solarize",
            Self::SolarizeAdd => "solarize_add",
            Self::AutoContrast => "auto_contrast",
            Self::Equalize => "equalize",
            Self::Invert => "invert",
        }
    }

    /// Whether it goes to either side with the same probability.
    pub fn is_signed(self) -> bool {
        use Op::*;
        matches!(self, ShearX | ShearY | TranslateX | TranslateY | Rotate | Brightness | Color | Contrast | Sharpness)
    }

    /// The picture after it.
    ///
    /// The argument is a slope for shears, pixels to the right or down for translations (whole ones for the nearest pixel),
    /// degrees counter-clockwise for rotations, a factor for brightness, color, contrast and sharpness, the bits that stay,
    /// the threshold of what is turned over, or what is added to values below 128. The others have none.
    pub fn apply(self, mut image: Image, argument: f64, moves: Moves) -> Image {
        let (width, height) = (image.width(), image.height());
        match self {
            Self::Identity => {}
            // About the corner of the picture, half a pixel from the middle of its first one.
            Self::ShearX => return moved(&image, [1.0, argument, argument / 2.0, 0.0, 1.0, 0.0], moves),
            Self::ShearY => return moved(&image, [1.0, 0.0, 0.0, argument, 1.0, argument / 2.0], moves),
            Self::TranslateX => return translated(image, [argument, 0.0], moves),
            Self::TranslateY => return translated(image, [0.0, argument], moves),
            Self::Rotate => return moved(&image, rotation(argument, width, height), moves),
            Self::Brightness => color::brightness(&mut image, argument),
            Self::Color => color::saturation(&mut image, argument),
            Self::Contrast => color::contrast(&mut image, argument),
            Self::Sharpness => sharpen(&mut image, argument),
            Self::Posterize => tone::look_up(&mut image, &tone::posterize(argument as u32)),
            Self::Solarize => tone::look_up(&mut image, &tone::solarize(argument)),
            Self::SolarizeAdd => tone::look_up(&mut image, &tone::solarize_add(argument as u8)),
            Self::AutoContrast => autocontrast(&mut image),
            Self::Equalize => equalize(&mut image),
            Self::Invert => tone::look_up(&mut image, &tone::invert()),
        }
        image
    }

    /// The picture after it as a step of its own.
    pub(super) fn step(self, image: Image, argument: Option<f64>, moves: Moves, draw: &mut Draw) -> Image {
        draw.step(self.name(), image, |image, draw| {
            let argument = argument.map_or(0.0, |argument| draw.note("magnitude", argument));
            self.apply(image, argument, moves)
        })
    }
}

fn moved(image: &Image, inverse: [f64; 6], moves: Moves) -> Image {
    warp(image, inverse, moves.interpolation, Border::Constant, moves.fill)
}

fn translated(image: Image, [right, down]: [f64; 2], moves: Moves) -> Image {
    if right.fract() == 0.0 && down.fract() == 0.0 {
        // Whole pixels are moved row by row.
        let region = Region { left: -right as isize, top: -down as isize, ..Region::whole(&image) };
        return window(image, region, Border::Constant, moves.fill);
    }
    moved(&image, [1.0, 0.0, -right, 0.0, 1.0, -down], moves)
}

/// Which operations a policy of `torchvision` chooses from, and how strong they are (`_augmentation_space`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// That of `AutoAugment`.
    AutoAugment,
    /// That of `RandAugment`.
    RandAugment,
    /// That of `TrivialAugmentWide`.
    TrivialWide,
    /// That of `AugMix` with all operations.
    AugMix,
    /// That of `AugMix` without those of its benchmark's corruptions.
    AugMixPartial,
}

/// All operations of `RandAugment`, which those of other spaces are parts of.
const ALL: [Op; 14] = {
    use Op::*;
    [
        Identity,
        ShearX,
        ShearY,
        TranslateX,
        TranslateY,
        Rotate,
        Brightness,
        Color,
        Contrast,
        Sharpness,
        Posterize,
        Solarize,
        AutoContrast,
        Equalize,
    ]
};

impl Space {
    /// What it chooses from, all equally likely.
    pub fn ops(self) -> &'static [Op] {
        use Op::*;
        const MIX: [Op; 13] = [
            ShearX,
            ShearY,
            TranslateX,
            TranslateY,
            Rotate,
            Posterize,
            Solarize,
            AutoContrast,
            Equalize,
            Brightness,
            Color,
            Contrast,
            Sharpness,
        ];
        match self {
            Self::AutoAugment | Self::RandAugment | Self::TrivialWide => &ALL,
            Self::AugMix => &MIX,
            Self::AugMixPartial => &MIX[..9],
        }
    }

    /// How strong an operation is in the bin `bin` of `bins` ≥ 2, for [`Op::apply`]; none for those without an argument.
    pub fn argument(self, op: Op, [bin, bins]: [usize; 2], [width, height]: [usize; 2], negative: bool) -> Option<f64> {
        let wide = self == Self::TrivialWide;
        let mix = matches!(self, Self::AugMix | Self::AugMixPartial);
        let sign = if negative { -1.0 } else { 1.0 };
        let up_to = |most: f64| sign * evenly(most as f32, bin, bins);
        let pixels = |side: usize| {
            let most = match (wide, mix) {
                (true, _) => 32.0,
                (_, true) => side as f64 / 3.0,
                _ => 150.0 / 331.0 * side as f64,
            };
            up_to(most).trunc()
        };
        match op {
            Op::ShearX | Op::ShearY => Some(up_to(if wide { 0.99 } else { 0.3 })),
            Op::TranslateX => Some(pixels(width)),
            Op::TranslateY => Some(pixels(height)),
            Op::Rotate => Some(up_to(if wide { 135.0 } else { 30.0 })),
            Op::Brightness | Op::Color | Op::Contrast | Op::Sharpness => {
                Some(1.0 + up_to(if wide { 0.99 } else { 0.9 }))
            }
            Op::Posterize => {
                let (bits, steps) = (if mix { 4.0 } else { 8.0 }, if wide { 6.0 } else { 4.0 });
                Some((bits - bin as f64 / ((bins - 1) as f64 / steps)).round_ties_even())
            }
            Op::Solarize => Some(255.0 * evenly(1.0, bins - 1 - bin.min(bins - 1), bins)),
            Op::Identity | Op::SolarizeAdd | Op::AutoContrast | Op::Equalize | Op::Invert => None,
        }
    }
}

/// Number `bin` of `bins` from 0 to `most`: `torch.linspace`, whose single precision decides about whole pixels.
fn evenly(most: f32, bin: usize, bins: usize) -> f64 {
    let step = most / (bins - 1) as f32;
    let from_above = |bin: usize| (-step).mul_add((bins - 1).saturating_sub(bin) as f32, most);
    f64::from(if bin < bins / 2 { step * bin as f32 } else { from_above(bin) })
}

/// How strong the operations of `timm`'s `RandAugment` are (`LEVEL_TO_ARG`).
#[derive(Clone, Copy, Debug)]
pub struct Levels {
    /// Whether all become stronger with the level (`inc1`).
    pub increasing: bool,
}

impl Levels {
    /// What it chooses from, all equally likely.
    pub const OPS: [Op; 15] = {
        use Op::*;
        [
            AutoContrast,
            Equalize,
            Invert,
            Rotate,
            Posterize,
            Solarize,
            SolarizeAdd,
            Color,
            Contrast,
            Brightness,
            Sharpness,
            ShearX,
            ShearY,
            TranslateX,
            TranslateY,
        ]
    };

    /// Whether a sign is drawn: without `increasing`, factors go from 0.1 to 1.9.
    pub fn is_signed(self, op: Op) -> bool {
        let factor = matches!(op, Op::Brightness | Op::Color | Op::Contrast | Op::Sharpness);
        op.is_signed() && (self.increasing || !factor)
    }

    /// How strong an operation is at a level, usually of 0..=10, for [`Op::apply`]; none for those without an argument.
    pub fn argument(self, op: Op, level: f64, [width, height]: [usize; 2], negative: bool) -> Option<f64> {
        let share = level / 10.0;
        let sign = if negative { -1.0 } else { 1.0 };
        match op {
            Op::ShearX | Op::ShearY => Some(sign * share * 0.3),
            // Pillow moves the other way, but to either side as often.
            Op::TranslateX => Some(sign * share * 0.45 * width as f64),
            Op::TranslateY => Some(sign * share * 0.45 * height as f64),
            Op::Rotate => Some(sign * share * 30.0),
            Op::Brightness | Op::Color | Op::Contrast | Op::Sharpness => {
                Some(if self.increasing { (1.0 + sign * share * 0.9).max(0.1) } else { share * 1.8 + 0.1 })
            }
            Op::Posterize => {
                let bits = (share * 4.0).trunc();
                Some(if self.increasing { (4.0 - bits).max(0.0) } else { bits })
            }
            Op::Solarize => {
                let threshold = (share * 256.0).trunc().min(256.0);
                Some(if self.increasing { 256.0 - threshold } else { threshold })
            }
            Op::SolarizeAdd => Some((share * 110.0).trunc().min(128.0)),
            Op::Identity | Op::AutoContrast | Op::Equalize | Op::Invert => None,
        }
    }
}

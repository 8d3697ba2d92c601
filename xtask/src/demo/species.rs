//! The species that can be drawn, as a table.

use super::leaf::{Blade, Form, Margin};

/// What all leaves of a species share.
pub struct Species {
    /// Name in lower case, one word.
    pub name: &'static str,
    /// Name as a botanical garden writes it.
    pub full_name: &'static str,
    /// How blades make up the leaf.
    pub form: Form,
    /// The outline of one blade.
    pub blade: Blade,
    /// Hue in degrees, its spread between plants, saturation, brightness.
    pub color: [f32; 4],
    /// Typical height of a plant.
    pub height_cm: f32,
}

/// From the most to the least frequent.
pub const SPECIES: [Species; 12] = [
    Species {
        name: "oak",
        full_name: "English Oak",
        form: Form::Single,
        blade: Blade {
            width: 0.36,
            base: 1.1,
            tip: 0.55,
            heart: 0.,
            margin: Margin::Lobed { count: 4.5, depth: 0.52 },
            veins: 4,
        },
        color: [66., 10., 0.6, 0.42],
        height_cm: 38.,
    },
    Species {
        name: "maple",
        full_name: "Norway Maple",
        form: Form::Palm(&[(-108., 0.52), (108., 0.52), (-54., 0.88), (54., 0.88), (0., 1.)]),
        blade: Blade {
            width: 0.27,
            base: 0.5,
            tip: 0.75,
            heart: 0.,
            margin: Margin::Spiny { count: 3., depth: 0.4 },
            veins: 3,
        },
        color: [36., 14., 0.74, 0.66],
        height_cm: 62.,
    },
    Species {
        name: "birch",
        full_name: "Silver Birch",
        form: Form::Single,
        blade: Blade {
            width: 0.37,
            base: 0.42,
            tip: 1.15,
            heart: 0.,
            margin: Margin::Toothed { count: 11., depth: 0.2 },
            veins: 6,
        },
        color: [90., 10., 0.58, 0.6],
        height_cm: 95.,
    },
    Species {
        name: "linden",
        full_name: "Small-leaved Linden",
        form: Form::Single,
        blade: Blade {
            width: 0.45,
            base: 0.55,
            tip: 0.72,
            heart: 0.21,
            margin: Margin::Toothed { count: 17., depth: 0.08 },
            veins: 5,
        },
        color: [124., 11., 0.48, 0.47],
        height_cm: 50.,
    },
    Species {
        name: "beech",
        full_name: "Common Beech",
        form: Form::Single,
        blade: Blade {
            width: 0.31,
            base: 0.72,
            tip: 0.74,
            heart: 0.,
            margin: Margin::Wavy { count: 8., depth: 0.035 },
            veins: 8,
        },
        color: [8., 12., 0.42, 0.4],
        height_cm: 30.,
    },
    Species {
        name: "willow",
        full_name: "White Willow",
        form: Form::Single,
        blade: Blade { width: 0.1, base: 0.8, tip: 1., heart: 0., margin: Margin::Smooth, veins: 9 },
        color: [95., 13., 0.38, 0.54],
        height_cm: 110.,
    },
    Species {
        name: "poplar",
        full_name: "Black Poplar",
        form: Form::Single,
        blade: Blade {
            width: 0.52,
            base: 0.24,
            tip: 1.05,
            heart: 0.04,
            margin: Margin::Wavy { count: 9., depth: 0.04 },
            veins: 5,
        },
        color: [84., 14., 0.56, 0.54],
        height_cm: 120.,
    },
    Species {
        name: "holly",
        full_name: "European Holly",
        form: Form::Single,
        blade: Blade {
            width: 0.34,
            base: 0.55,
            tip: 0.6,
            heart: 0.,
            margin: Margin::Spiny { count: 6., depth: 0.48 },
            veins: 5,
        },
        color: [128., 12., 0.58, 0.34],
        height_cm: 24.,
    },
    Species {
        name: "ginkgo",
        full_name: "Maidenhair Ginkgo",
        form: Form::Fan { blades: 8, spread: 128. },
        blade: Blade { width: 0.145, base: 1.5, tip: 0.28, heart: 0., margin: Margin::Smooth, veins: 0 },
        color: [60., 13., 0.7, 0.7],
        height_cm: 70.,
    },
    Species {
        name: "ash",
        full_name: "European Ash",
        form: Form::Feather { pairs: 4 },
        blade: Blade {
            width: 0.19,
            base: 0.75,
            tip: 0.85,
            heart: 0.,
            margin: Margin::Toothed { count: 8., depth: 0.1 },
            veins: 4,
        },
        color: [104., 13., 0.5, 0.46],
        height_cm: 80.,
    },
    Species {
        name: "clover",
        full_name: "White Clover",
        form: Form::Palm(&[(-118., 0.95), (118., 0.95), (0., 1.)]),
        blade: Blade { width: 0.43, base: 0.85, tip: 0.4, heart: 0., margin: Margin::Smooth, veins: 6 },
        color: [116., 12., 0.56, 0.5],
        height_cm: 14.,
    },
    Species {
        name: "pine",
        full_name: "Scots Pine",
        form: Form::Fan { blades: 13, spread: 84. },
        blade: Blade { width: 0.018, base: 0.25, tip: 0.3, heart: 0., margin: Margin::Smooth, veins: 0 },
        color: [132., 14., 0.5, 0.4],
        height_cm: 45.,
    },
];

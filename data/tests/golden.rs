//! Decoding against Pillow (`xtask/fixtures/data.py`), and what must not decode.
#![allow(clippy::unwrap_used)]

use sconce_data::decode::{Color, decode};
use serde_json::Value;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn golden() -> Value {
    serde_json::from_slice(&std::fs::read(folder().join("decoded.json")).unwrap()).unwrap()
}

fn number(v: &Value) -> usize {
    v.as_u64().unwrap() as usize
}

#[test]
fn every_format_and_orientation_decodes_as_pillow_does() {
    for (name, case) in golden()["cases"].as_object().unwrap() {
        let decoded = decode(name, &std::fs::read(folder().join(name)).unwrap(), Color::Rgb).unwrap();
        let image = decoded.image;
        assert_eq!((image.width(), image.height()), (number(&case["width"]), number(&case["height"])), "{name}");
        let wanted = case["rgb"].as_array().unwrap().iter().map(number);
        assert_eq!(image.pixels().len(), case["rgb"].as_array().unwrap().len(), "{name}");
        assert_eq!(decoded.is_deep, name == "deep.png");
        let worst = image.pixels().iter().zip(wanted).map(|(a, b)| usize::from(*a).abs_diff(b)).max().unwrap();
        assert!(worst <= number(&case["tolerance"]), "{name}: {worst} levels off");
    }
}

#[test]
fn gray_is_the_luma_of_the_colors() {
    for name in ["rgb.png", "gray.png", "rgb.jpg", "gray.jpg", "cmyk.jpg", "alpha.png"] {
        let bytes = std::fs::read(folder().join(name)).unwrap();
        let (color, gray) = (decode(name, &bytes, Color::Rgb).unwrap(), decode(name, &bytes, Color::Gray).unwrap());
        assert_eq!(gray.image.channels(), 1);
        for (rgb, gray) in color.image.pixels().chunks_exact(3).zip(gray.image.pixels()) {
            let luma = 0.299 * f32::from(rgb[0]) + 0.587 * f32::from(rgb[1]) + 0.114 * f32::from(rgb[2]);
            assert!((luma - f32::from(*gray)).abs() < 2.5, "{name}: {rgb:?} {gray}");
        }
    }
}

fn why(name: &str, bytes: &[u8]) -> String {
    decode(name, bytes, Color::Rgb).err().map_or("it decodes".into(), |error| error.to_string())
}

#[test]
fn broken_files_are_errors_that_say_why() {
    assert_eq!(why("a.jpg", b""), "cannot decode 'a.jpg': the file is empty");
    assert!(why("a.jpg", b"hello, world").contains("no picture"));
    assert!(why("a.gif", b"GIF89a\x01\0\x01\0\0\0\0").contains("not supported"));
    // Cut anywhere, no file of any format may give a picture.
    for name in ["rgb.jpg", "progressive.jpg", "gray.jpg", "rgb.png", "palette.png", "rgb.webp", "rgb.bmp", "rgb.ppm"] {
        let bytes = std::fs::read(folder().join(name)).unwrap();
        for keep in 0..bytes.len() - if name.ends_with("png") { 12 } else { 1 } {
            assert_ne!(why(name, &bytes[..keep]), "it decodes", "{name} cut to {keep} of {} bytes", bytes.len());
        }
    }
}

/// Headers that claim 65,500² pixels; accepting them would cost 12 GB.
#[test]
fn absurd_sizes_are_refused_before_memory_is_taken() {
    let mut png = std::fs::read(folder().join("rgb.png")).unwrap();
    png[16..20].copy_from_slice(&65_500u32.to_be_bytes());
    png[20..24].copy_from_slice(&65_500u32.to_be_bytes());
    assert_ne!(why("a.png", &png), "it decodes");
    let mut bmp = std::fs::read(folder().join("rgb.bmp")).unwrap();
    bmp[18..22].copy_from_slice(&65_500u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&65_500u32.to_le_bytes());
    assert!(why("a.bmp", &bmp).contains("65500×65500"), "{}", why("a.bmp", &bmp));
    let mut jpg = std::fs::read(folder().join("rgb.jpg")).unwrap();
    let at = jpg.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    jpg[at + 5..at + 7].copy_from_slice(&65_500u16.to_be_bytes());
    jpg[at + 7..at + 9].copy_from_slice(&65_500u16.to_be_bytes());
    assert!(why("a.jpg", &jpg).contains("65500×65500"), "{}", why("a.jpg", &jpg));
    assert!(why("a.ppm", b"P6 65500 65500 255\n").contains("65500×65500"));
}

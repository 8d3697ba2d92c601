//! Pictures of golden files, as `xtask/fixtures/golden.py` writes them.
#![allow(clippy::unwrap_used)]

use sconce_augment::Image;
use serde_json::Value;

/// Bytes in hexadecimal.
pub fn bytes(v: &Value) -> Vec<u8> {
    let pairs = v.as_str().unwrap().as_bytes().as_chunks::<2>().0.iter();
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// `[width, height, channels, bytes]`.
pub fn picture(v: &Value) -> Image {
    let [width, height, channels] = std::array::from_fn(|i| v[i].as_u64().unwrap() as usize);
    Image::new(width, height, channels, bytes(&v[3])).unwrap()
}

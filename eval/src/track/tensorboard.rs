//! Curves for TensorBoard: the file format of its event files, without TensorFlow.
//!
//! An event file is a TFRecord file: each record is its length, the length's checksum, the bytes, their checksum. The
//! bytes are a protocol-buffer message `Event` (`tensorboard/compat/proto/event.proto`).

use super::Scalar;

/// What an event file begins with.
const VERSION: &str = "brain.Event:2";

/// The bytes of a whole `events.out.tfevents.*` file with all `scalars`; `wall_time` in seconds since 1970.
///
/// A curve is called `fold0/train/loss`: folds share their steps, not their curves.
pub fn encode(scalars: &[Scalar], wall_time: f64) -> Vec<u8> {
    let mut file = vec![];
    record(&mut file, &event(wall_time, 0, |event| field(event, 3, VERSION.as_bytes())));
    for scalar in scalars {
        let mut value = vec![];
        field(&mut value, 1, format!("fold{}/{}", scalar.fold, scalar.name).as_bytes());
        key(&mut value, 2, FIXED32);
        value.extend((scalar.value as f32).to_le_bytes());
        let mut summary = vec![];
        field(&mut summary, 1, &value);
        record(&mut file, &event(wall_time, scalar.step as u64, |event| field(event, 5, &summary)));
    }
    file
}

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

fn event(wall_time: f64, step: u64, what: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut event = vec![];
    key(&mut event, 1, FIXED64);
    event.extend(wall_time.to_le_bytes());
    // A protocol buffer leaves out what is zero.
    if step > 0 {
        key(&mut event, 2, VARINT);
        varint(&mut event, step);
    }
    what(&mut event);
    event
}

fn key(message: &mut Vec<u8>, field: u64, wire_type: u64) {
    varint(message, field << 3 | wire_type);
}

fn field(message: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    key(message, number, BYTES);
    varint(message, bytes.len() as u64);
    message.extend(bytes);
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

fn record(file: &mut Vec<u8>, bytes: &[u8]) {
    let length = (bytes.len() as u64).to_le_bytes();
    file.extend(length);
    file.extend(masked(crc32c(&length)).to_le_bytes());
    file.extend(bytes);
    file.extend(masked(crc32c(bytes)).to_le_bytes());
}

/// A checksum of data that holds checksums would be weak: TFRecord turns and shifts it.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Castagnoli's polynomial, bit-reversed.
fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let (mut crc, mut bit) = (i as u32, 0);
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
                bit += 1;
            }
            table[i] = crc;
            i += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc, byte| TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ crc >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_rfc_3720() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }
}

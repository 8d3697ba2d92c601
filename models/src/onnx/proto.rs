//! Protocol Buffers' wire format, as far as writing needs it (protobuf.dev/programming-guides/encoding): fields one behind
//! the other, each with its number and how it is stored.

/// The bytes of a message.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// A whole number, an enum's value.
    pub(super) fn int(mut self, field: u32, value: i64) -> Self {
        self.key(field, 0);
        self.varint(value as u64);
        self
    }
    /// A single-precision number.
    pub(super) fn float(mut self, field: u32, value: f32) -> Self {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
        self
    }
    /// Bytes, UTF-8.
    pub(super) fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }
    /// A message in this one.
    pub(super) fn message(self, field: u32, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }
    /// A repeated field: one after the other.
    pub(super) fn each<T>(self, values: impl IntoIterator<Item = T>, put: impl Fn(Self, T) -> Self) -> Self {
        values.into_iter().fold(self, put)
    }
    /// The message as a file has it.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn key(&mut self, field: u32, kind: u32) {
        self.varint(u64::from((field << 3) | kind));
    }
    /// Seven bits a byte, the lowest first; the eighth bit says that there are more.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the format's description, and a negative number: ten bytes.
    #[test]
    fn fields_are_those_of_the_description() {
        assert_eq!(Message::default().int(1, 150).into_bytes(), [0x08, 0x96, 0x01]);
        assert_eq!(Message::default().bytes(2, b"testing").into_bytes(), b"\x12\x07testing");
        let inner = Message::default().int(1, 150);
        assert_eq!(Message::default().message(3, &inner).into_bytes(), [0x1A, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(Message::default().float(1, 1.0).into_bytes(), [0x0D, 0, 0, 0x80, 0x3F]);
        assert_eq!(Message::default().int(1, -1).len(), 11);
    }
}

//! Lossless JPEG (ITU-T T.81, process 14, annex H), as DICOM stores X-rays and slices.

/// The values of the one scan of a picture, whose `[height, width, channels]` must be `dims` and which have at most `bits` bits:
/// those of a pixel stand together. Memory is taken for values that the bytes may hold, no more.
///
/// # Errors
/// What is wrong with the bytes.
pub(super) fn decode(bytes: &[u8], dims: [usize; 3], bits: u32) -> Result<Vec<u16>, String> {
    let cut = || "its JPEG is truncated; fetch it again".to_string();
    if !bytes.starts_with(&[0xFF, 0xD8]) {
        return Err("it holds no JPEG".into());
    }
    let mut scan = Scan { dims, bits: 0, components: vec![], tables: [const { None }; 4], interval: 0 };
    let mut at = 2;
    loop {
        let [0xFF, marker] = *bytes.get(at..).and_then(<[u8]>::first_chunk).ok_or_else(cut)? else {
            return Err("its JPEG is broken: a marker is missing".into());
        };
        // Any number of bytes may stand before a marker.
        if marker == 0xFF {
            at += 1;
            continue;
        }
        let length = number(bytes, at + 2).filter(|length| *length >= 2).ok_or_else(cut)?;
        let (body, end) = (bytes.get(at + 4..at + 2 + length).ok_or_else(cut)?, at + 2 + length);
        match marker {
            0xC3 => scan.frame(body, bits)?,
            0xC4 => scan.define(body).ok_or("its JPEG is broken: it has codes that are none")?,
            0xDD => scan.interval = number(body, 0).ok_or_else(cut)?,
            0xDA => return scan.decode(body, &bytes[end..]),
            0xC0..=0xCF => return Err("its JPEG is of another kind than it says".into()),
            _ => {}
        }
        at = end;
    }
}

/// The 16 bits at a place.
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes).into())
}

/// What was said of the scan before it.
struct Scan {
    /// Height, width, channels.
    dims: [usize; 3],
    /// Of a value; 0: no frame was announced.
    bits: u32,
    /// Names of the channels.
    components: Vec<u8>,
    tables: [Option<Codes>; 4],
    /// Pixels between two restarts; 0: there are none.
    interval: usize,
}

impl Scan {
    fn frame(&mut self, body: &[u8], most: u32) -> Result<(), String> {
        let [height, width, channels] = self.dims;
        let is = |at, side| number(body, at) == Some(side);
        let components = body.get(6..).unwrap_or_default().as_chunks::<3>().0;
        if !is(1, height) || !is(3, width) || body.get(5).map(|n| usize::from(*n)) != Some(channels) {
            let (w, h) = (number(body, 3).unwrap_or(0), number(body, 1).unwrap_or(0));
            return Err(format!("its JPEG is {w}×{h}, but it says {width}×{height}, channels {channels}"));
        }
        // The sampling of a single channel means nothing.
        if components.len() != channels || channels > 1 && components.iter().any(|[_, sampling, _]| *sampling != 0x11) {
            return Err("its JPEG has channels of different sizes, which is not read".into());
        }
        self.bits = u32::from(body[0]);
        if !(2..=most).contains(&self.bits) {
            return Err(format!("its JPEG has values of {} bits, but it says {most}", self.bits));
        }
        self.components = components.iter().map(|[name, ..]| *name).collect();
        Ok(())
    }

    /// Takes over the tables of codes in a segment.
    fn define(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&place, rest)) = body.split_first() {
            let counts = rest.first_chunk::<16>()?;
            let count = counts.iter().map(|count| usize::from(*count)).sum::<usize>();
            let values = rest.get(16..16 + count)?;
            *self.tables.get_mut(usize::from(place))? = Some(Codes::new(counts, values)?);
            body = &rest[16 + count..];
        }
        Some(())
    }

    fn decode(&self, header: &[u8], data: &[u8]) -> Result<Vec<u16>, String> {
        let unread = |what: &str| Err(format!("its JPEG {what}, which is not read"));
        let [height, width, channels] = self.dims;
        let named = header.get(1..).unwrap_or_default().as_chunks::<2>().0;
        let (Some(named), Some(&[predictor, _, shift])) =
            (named.get(..channels), header.get(1 + 2 * channels..).and_then(<[u8]>::first_chunk))
        else {
            return unread("has several scans");
        };
        if self.bits == 0 || header[0] as usize != channels || !named.iter().map(|[name, _]| name).eq(&self.components)
        {
            return unread("has several scans");
        }
        let shift = u32::from(shift & 15);
        if !(1..=7).contains(&predictor) || shift >= self.bits {
            return unread("has an unknown predictor");
        }
        if !self.interval.is_multiple_of(width.max(1)) {
            return unread("restarts amid a line");
        }
        let table = |[_, table]: &[u8; 2]| self.tables.get(usize::from(table >> 4))?.as_ref();
        let tables: Vec<&Codes> =
            named.iter().map(table).collect::<Option<_>>().ok_or("its JPEG is broken: codes are missing")?;
        let cut = || "its JPEG is truncated or broken; fetch it again".to_string();
        let (stride, mut bits) = (width * channels, Bits { bytes: data, held: 0, count: 0 });
        // A value takes at least a bit.
        if height * stride > data.len().saturating_mul(8) {
            return Err(cut());
        }
        let mut values = vec![0u16; height * stride];
        // The first line behind the start or a restart, and the number of the next restart.
        let (mut top, mut restart) = (0, 0);
        for y in 0..height {
            if self.interval > 0 && y > 0 && y * width % self.interval == 0 {
                bits.restart(restart).ok_or_else(cut)?;
                (top, restart) = (y, (restart + 1) % 8);
            }
            for place in y * stride..(y + 1) * stride {
                let x = place - y * stride;
                let before = |back: usize| i32::from(values[place - back]);
                let predicted = match (x < channels, y == top) {
                    (true, true) => 1 << (self.bits - shift - 1),
                    (false, true) => before(channels),
                    (true, false) => before(stride),
                    (false, false) => {
                        let (left, above, corner) = (before(channels), before(stride), before(stride + channels));
                        match predictor {
                            1 => left,
                            2 => above,
                            3 => corner,
                            4 => left + above - corner,
                            5 => left + ((above - corner) >> 1),
                            6 => above + ((left - corner) >> 1),
                            _ => (left + above) >> 1,
                        }
                    }
                };
                let difference = bits.difference(tables[x % channels]).ok_or_else(cut)?;
                // Sums are those of 16 bits.
                values[place] = (predicted + difference) as u16;
            }
        }
        values.iter_mut().for_each(|value| *value <<= shift);
        Ok(values)
    }
}

/// A table of Huffman codes.
struct Codes {
    /// For each length from 1 bit: the first code, the place of its value, and how many there are.
    lengths: [(u32, usize, u32); 16],
    values: Vec<u8>,
}

impl Codes {
    /// None where the codes of a length are more than it has room for.
    fn new(counts: &[u8; 16], values: &[u8]) -> Option<Self> {
        let (mut code, mut place, mut lengths) = (0u32, 0, [(0, 0, 0); 16]);
        for (n, count) in counts.iter().enumerate() {
            lengths[n] = (code, place, u32::from(*count));
            code += u32::from(*count);
            place += usize::from(*count);
            if code > 2 << n {
                return None;
            }
            code <<= 1;
        }
        Some(Self { lengths, values: values.into() })
    }
}

/// The bits of a scan, the highest of a byte first; none behind a marker.
struct Bits<'a> {
    bytes: &'a [u8],
    held: u8,
    /// How many bits of `held` are left.
    count: u32,
}

impl Bits<'_> {
    fn bit(&mut self) -> Option<u32> {
        if self.count == 0 {
            let skipped = match *self.bytes {
                [0xFF, 0, ..] => 2,
                [0xFF, ..] | [] => return None,
                _ => 1,
            };
            (self.held, self.bytes, self.count) = (self.bytes[0], &self.bytes[skipped..], 8);
        }
        self.count -= 1;
        Some(u32::from(self.held) >> self.count & 1)
    }

    /// What a value is more than predicted (T.81, F.1.2.1 and H.1.2.2).
    fn difference(&mut self, codes: &Codes) -> Option<i32> {
        let (mut code, mut size) = (0, None);
        for (first, place, count) in codes.lengths {
            code = code << 1 | self.bit()?;
            if code.wrapping_sub(first) < count {
                size = codes.values.get(place + (code - first) as usize);
                break;
            }
        }
        match *size? {
            0 => Some(0),
            16 => Some(1 << 15),
            size @ 1..16 => {
                let bits = (0..size).try_fold(0, |bits, _| Some(bits << 1 | self.bit()? as i32))?;
                Some(if bits < 1 << (size - 1) { bits - (1 << size) + 1 } else { bits })
            }
            _ => None,
        }
    }

    /// Passes restart marker `number`, which the bits that are left stand before.
    fn restart(&mut self, number: u8) -> Option<()> {
        self.count = 0;
        while self.bytes.starts_with(&[0xFF, 0xFF]) {
            self.bytes = &self.bytes[1..];
        }
        self.bytes = self.bytes.strip_prefix(&[0xFF, 0xD0 + number])?;
        Some(())
    }
}

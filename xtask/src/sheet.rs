//! A contact sheet: square pictures of one size in rows and columns on a neutral ground.

use anyhow::{Context, Result, ensure};
use data::Image;
use image::{ImageFormat, Rgb, RgbImage};
use std::io::Cursor;

/// Longest side that every viewer shows, pixels.
pub const LONGEST: usize = 8192;
/// Small pictures are repeated to about this side, pixels.
const READABLE: usize = 96;
/// Around everything.
const MARGIN: usize = 12;
/// Between pictures.
const GAP: usize = 4;
/// After the first column, and before the last block of rows.
const WIDE: usize = 12;
/// Dark and bright pictures stand out from it alike.
const GROUND: [u8; 3] = [128; 3];

/// Where pictures of `side` pixels go: `columns` of them in `rows` and, set apart, in `more` rows.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    side: usize,
    columns: usize,
    rows: usize,
    more: usize,
    zoom: usize,
}

impl Layout {
    /// Refuses a sheet that is longer than [`LONGEST`].
    pub fn new(side: usize, columns: usize, rows: usize, more: usize) -> Result<Self> {
        let zoomed = |zoom: usize| Self { side, columns, rows, more, zoom };
        let fits = |layout: &Self| layout.size().into_iter().all(|side| side <= LONGEST);
        let wanted = (READABLE / side.max(1)).max(1);
        let found = (1..=wanted).rev().map(zoomed).find(fits);
        let [width, height] = zoomed(1).size();
        found.with_context(|| {
            format!(
                "a sheet of {columns} columns and {} rows of {side}-pixel pictures would have {width}×{height} pixels, more \
                 than {LONGEST} a side; ask for fewer --rows or --columns, or a smaller preprocess.size",
                rows + more
            )
        })
    }

    /// Width and height of the sheet, pixels.
    pub fn size(&self) -> [usize; 2] {
        let end = |[x, y]: [usize; 2]| [x, y].map(|at| at - GAP + MARGIN);
        let [width, _] = end(self.corner(0, self.columns));
        let [_, height] = end(self.corner(self.rows + self.more, 0));
        [width, height]
    }

    /// The upper left corner of a picture, `[x, y]`.
    fn corner(&self, row: usize, column: usize) -> [usize; 2] {
        let wide = |is_after: bool| if is_after { WIDE - GAP } else { 0 };
        let cell = self.side * self.zoom + GAP;
        let is_apart = self.more > 0 && self.rows > 0 && row >= self.rows;
        [MARGIN + column * cell + wide(column > 0 && self.columns > 1), MARGIN + row * cell + wide(is_apart)]
    }
}

/// A sheet that is being filled.
pub struct Sheet {
    layout: Layout,
    pixels: RgbImage,
}

impl Sheet {
    /// Nothing but the ground.
    pub fn new(layout: Layout) -> Self {
        let [width, height] = layout.size().map(|side| side as u32);
        Self { layout, pixels: RgbImage::from_pixel(width, height, Rgb(GROUND)) }
    }

    /// Puts a picture where it belongs: one channel as gray, of several the first three as red, green and blue.
    pub fn put(&mut self, row: usize, column: usize, image: &Image) -> Result<()> {
        let ([depth, height, width, channels], side) = (image.dims(), self.layout.side);
        ensure!(
            [depth, height, width] == [1, side, side],
            "a picture of {height}×{width}×{depth} is not one of {side}"
        );
        let ([left, top], zoom) = (self.layout.corner(row, column), self.layout.zoom);
        for (i, pixel) in image.pixels().chunks_exact(channels).enumerate() {
            let color = Rgb(if channels < 3 { [pixel[0]; 3] } else { [pixel[0], pixel[1], pixel[2]] });
            let (x, y) = (left + i % side * zoom, top + i / side * zoom);
            for at in 0..zoom * zoom {
                self.pixels.put_pixel((x + at % zoom) as u32, (y + at / zoom) as u32, color);
            }
        }
        Ok(())
    }

    /// The sheet as a file.
    pub fn png(&self) -> Result<Vec<u8>> {
        let mut bytes = Cursor::new(vec![]);
        self.pixels.write_to(&mut bytes, ImageFormat::Png).context("cannot encode the sheet")?;
        Ok(bytes.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_lie_where_they_belong_and_never_on_each_other() {
        let layout = Layout::new(40, 3, 2, 1).unwrap();
        assert_eq!(layout.zoom, 2);
        let mut sheet = Sheet::new(layout);
        let cells = (0..3).flat_map(|row| (0..3).map(move |column| (row, column)));
        cells.for_each(|(row, column)| {
            sheet.put(row, column, &Image::filled(40, 40, &[row as u8, column as u8, 7, 99])).unwrap();
        });
        for (row, column) in [(0, 0), (1, 2), (2, 1)] {
            let own = sheet.pixels.pixels().filter(|p| p.0 == [row, column, 7]).count();
            assert_eq!(own, 80 * 80, "{row} {column}");
        }
        let [width, height] = layout.size().map(|side| side as u32);
        assert_eq!(sheet.pixels.get_pixel(width - 1, height - 1).0, GROUND);
        assert_eq!(sheet.pixels.get_pixel(width - 1 - MARGIN as u32, height - 1 - MARGIN as u32).0, [2, 2, 7]);
        sheet.put(0, 0, &Image::filled(40, 40, &[200])).unwrap();
        assert_eq!(sheet.pixels.get_pixel(MARGIN as u32, MARGIN as u32).0, [200; 3]);
        assert!(sheet.put(0, 0, &Image::filled(39, 40, &[200])).is_err());
        assert!(sheet.png().unwrap().starts_with(b"\x89PNG"));
    }

    #[test]
    fn sheets_that_no_viewer_shows_are_refused() {
        assert_eq!(Layout::new(64, 110, 6, 0).unwrap().zoom, 1, "shown small rather than not at all");
        assert_eq!(Layout::new(28, 9, 6, 0).unwrap().zoom, 3);
        let message = Layout::new(1024, 9, 6, 2).unwrap_err().to_string();
        assert!(message.contains("9 columns and 8 rows") && message.contains("fewer --rows or --columns"), "{message}");
    }
}

//! A page as data, written as one self-contained HTML file.
//!
//! A page is a title, a few large figures and sections of blocks. Everything that is text here is shown as it is, whatever
//! it contains: the only markup from outside of the template are [`Chart`]s, which this crate alone makes, and the bytes of
//! [`Encoded`] pictures, which are written as base64.

mod picture;
mod table;
mod view;

use super::chart::Chart;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};

const TEMPLATE: &str = include_str!("page.html");

/// A whole page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Of the window and above everything.
    pub title: String,
    /// One or two sentences below the title.
    pub lead: String,
    /// The few numbers that a reader came for.
    pub figures: Vec<Figure>,
    /// In reading order; their titles are the page's contents.
    pub sections: Vec<Section>,
}

/// A number that stands large.
#[derive(Clone, Debug, Default)]
pub struct Figure {
    /// What it is.
    pub name: String,
    /// The number with its unit.
    pub value: String,
    /// Below it: an interval, a comparison.
    pub about: String,
}

/// A part of the page with a title of its own.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// Also in the contents.
    pub title: String,
    /// One or two sentences that say what is seen and how to read it; may be empty.
    pub about: String,
    /// In reading order.
    pub blocks: Vec<Block>,
}

/// What stands in a section.
#[derive(Clone, Debug)]
pub enum Block {
    /// A heading below the section's.
    Heading(String),
    /// A paragraph.
    Text(String),
    /// What a reader must not miss, one line each.
    Warnings(Vec<String>),
    /// Names and values.
    Facts(Vec<(String, String)>),
    /// Rows and columns.
    Table(Table),
    /// Charts side by side where there is room.
    Charts(Vec<Chart>),
    /// Pictures side by side.
    Gallery(Vec<Picture>),
    /// Text as a program reads it, such as a recipe.
    Code(String),
    /// Closed until it is asked for; open on paper.
    Details(String, Vec<Block>),
}

/// Rows and columns.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Cells, as many a row as there are columns; columns whose cells are all numbers are aligned right.
    pub rows: Vec<Vec<String>>,
}

/// One or more pictures that belong together, with what is to be said of them.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// Side by side: a picture and its heat map, or copies of one another.
    pub images: Vec<Encoded>,
    /// Its name, such as a path.
    pub name: String,
    /// Below the name, one line each.
    pub lines: Vec<String>,
}

/// An encoded picture.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// `image/jpeg` or `image/png`.
    pub format: Format,
    /// The file's bytes.
    pub bytes: Vec<u8>,
    /// Pixels from left to right.
    pub width: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// For those who cannot see it.
    pub alt: String,
}

/// How a picture is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
}

impl Page {
    /// The page as one HTML file that needs no network and no script.
    ///
    /// What has nothing to show is left out: blocks without content, headings and sections with nothing below them.
    ///
    /// # Panics
    /// With [`Block::Details`] inside of one another some hundred times over.
    pub fn to_html(&self) -> String {
        let mut environment = Environment::empty();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        match environment.render_str(TEMPLATE, view::view(self)) {
            Ok(html) => html,
            Err(error) => unreachable!("the template is a part of this program: {error}"),
        }
    }
}

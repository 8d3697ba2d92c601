//! The page as its template reads it: cleaned, and without what has nothing to show.

use super::{Block, Figure, Page, Section, picture, table};
use crate::report::chart::Chart;
use crate::report::clean::{line, lines};
use minijinja::{Value, context};

const STYLE: &str = include_str!("page.css");

pub(super) fn view(page: &Page) -> Value {
    let figures: Vec<Value> = page.figures.iter().filter_map(figure).collect();
    let sections = page.sections.iter().enumerate();
    let sections: Vec<Value> = sections.filter_map(|(i, part)| section(i + 1, part)).collect();
    let title = named(&page.title, "Report".into());
    let style = Value::from_safe_string(STYLE.into());
    context!(style, title, lead => line(&page.lead), figures, several => sections.len() > 1, sections)
}

fn figure(figure: &Figure) -> Option<Value> {
    let Figure { name, value, about } = figure;
    let empty = [name, value, about].iter().all(|text| text.is_empty());
    (!empty).then(|| context!(name => line(name), value => line(value), about => line(about)))
}

fn section(number: usize, section: &Section) -> Option<Value> {
    let blocks = blocks(&section.blocks);
    let empty = blocks.is_empty() && section.about.is_empty();
    let title = named(&section.title, format!("Part {number}"));
    let id = format!("s{number}{}", slug(&section.title));
    (!empty).then(|| context!(id, title, about => lines(&section.about), blocks))
}

/// The blocks that show something; a heading with nothing below it does not.
fn blocks(blocks: &[Block]) -> Vec<Value> {
    let mut shown: Vec<Value> = vec![];
    let mut heading = None;
    for block in blocks {
        match block {
            Block::Heading(text) => heading = Some(text).filter(|text| !text.is_empty()),
            block => {
                let block = view_of(block);
                let heading = heading.take_if(|_| block.is_some());
                shown.extend(heading.map(|text| context!(kind => "heading", text => line(text))));
                shown.extend(block);
            }
        }
    }
    shown
}

fn view_of(block: &Block) -> Option<Value> {
    match block {
        Block::Heading(_) => None,
        Block::Text(text) => (!text.is_empty()).then(|| context!(kind => "text", text => lines(text))),
        Block::Warnings(texts) => {
            let texts: Vec<String> = texts.iter().map(|text| line(text)).collect();
            (!texts.is_empty()).then(|| context!(kind => "warnings", texts))
        }
        Block::Facts(facts) => {
            let facts: Vec<Value> =
                facts.iter().map(|(name, value)| context!(name => line(name), value => line(value))).collect();
            (!facts.is_empty()).then(|| context!(kind => "facts", facts))
        }
        Block::Table(table) => table::view(table),
        Block::Charts(charts) => {
            let charts: Vec<Value> = charts.iter().map(chart).collect();
            (!charts.is_empty()).then(|| context!(kind => "charts", charts))
        }
        Block::Gallery(pictures) => picture::view(pictures),
        Block::Code(text) => (!text.is_empty()).then(|| context!(kind => "code", text => lines(text))),
        Block::Details(title, inside) => {
            let inside = blocks(inside);
            let title = named(title, "More".into());
            (!inside.is_empty()).then(|| context!(kind => "details", title, blocks => inside))
        }
    }
}

fn chart(chart: &Chart) -> Value {
    let svg = Value::from_safe_string(chart.as_str().into());
    context!(svg, title => line(chart.title()), wide => chart.is_wide())
}

fn named(name: &str, otherwise: String) -> String {
    if name.trim().is_empty() { otherwise } else { line(name) }
}

/// `-` and what of a title can stand in an address, nothing if that is nothing.
fn slug(title: &str) -> String {
    let mut slug = String::new();
    for c in title.chars().take(40) {
        match c.is_ascii_alphanumeric() {
            true if slug.is_empty() => slug.extend(['-', c.to_ascii_lowercase()]),
            true => slug.push(c.to_ascii_lowercase()),
            false if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            false => {}
        }
    }
    slug.trim_end_matches('-').into()
}

//! Pages as a browser gets them: one file, whatever text is in it.
#![allow(clippy::unwrap_used)]

use sconce_eval::report::chart::{self, Chart, Labels};
use sconce_eval::report::page::{Block, Encoded, Figure, Format, Page, Picture, Section, Table};

const HOSTILE: [&str; 7] = [
    "<script>alert(1)</script>",
    "\"' onload='alert(1)' x=\"",
    "a & b &amp; &#60;img src=x&#62;",
    "]]> --> </style></title><!--",
    "{{ 7*7 }}{% for x in y %}",
    "javascript:alert(1)",
    "a\u{202e}b\u{1}\0c\u{1b}[31m\nd",
];

fn picture(name: &str, bytes: usize) -> Picture {
    let encoded = |format| Encoded { format, bytes: vec![7; bytes], width: bytes, height: 3, alt: name.into() };
    let images = vec![encoded(Format::Jpeg), encoded(Format::Png)];
    Picture { images, name: name.into(), lines: vec![name.into(), name.into()] }
}

fn charts(name: &str) -> Vec<Chart> {
    vec![chart::bars(Labels { title: name, x: name, y: name }, &[(name.into(), 1.0), (name.into(), 2.0)])]
}

/// Every kind of block, all of them saying `text`.
fn blocks(text: &str) -> Vec<Block> {
    let row = vec![text.to_string(), "1".into()];
    vec![
        Block::Heading(text.into()),
        Block::Text(text.into()),
        Block::Warnings(vec![text.into()]),
        Block::Facts(vec![(text.into(), text.into())]),
        Block::Table(Table { columns: row.clone(), rows: vec![row.clone(), row] }),
        Block::Charts(charts(text)),
        Block::Gallery(vec![picture(text, 1), picture(text, 40), picture(text, 400)]),
        Block::Code(text.into()),
    ]
}

fn page(text: &str) -> Page {
    let mut all = blocks(text);
    all.push(Block::Details(text.into(), [blocks(text), vec![Block::Details(text.into(), blocks(text))]].concat()));
    let section = Section { title: text.into(), about: text.into(), blocks: all };
    let figure = Figure { name: text.into(), value: text.into(), about: text.into() };
    Page { title: text.into(), lead: text.into(), figures: vec![figure; 2], sections: vec![section; 3] }
}

fn with(blocks: Vec<Block>) -> String {
    let sections = vec![Section { title: "only".into(), blocks, ..Section::default() }];
    Page { title: "page".into(), sections, ..Page::default() }.to_html()
}

/// What stands behind `name=` in the tags.
fn values<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let attribute = format!(" {name}=\"");
    html.split(&attribute).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

/// Names of the tags between `<` and `>`, checked to be closed in the order in which they were opened.
fn tags(html: &str) -> Vec<String> {
    let (mut names, mut open) = (vec![], vec![]);
    let style = html.find("<style>").unwrap() + 7..html.find("</style>").unwrap();
    let html = format!("{}{}", &html[..style.start], &html[style.end..]);
    for tag in html.split('<').skip(1) {
        let (tag, after) = tag.split_once('>').unwrap_or_else(|| panic!("<{tag} does not end"));
        assert!(!after.contains('>'), "{tag}> is followed by a bare >: {after}");
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap().to_string();
        match () {
            () if tag.starts_with('/') => assert_eq!(open.pop(), Some(name), "</{tag}>"),
            () if ["!doctype", "meta", "link", "img"].contains(&name.as_str()) || tag.ends_with('/') => {
                names.push(name)
            }
            () => {
                open.push(name.clone());
                names.push(name);
            }
        }
    }
    assert!(open.is_empty(), "{open:?} stay open");
    names
}

#[test]
fn no_text_becomes_markup() {
    let calm = tags(&page("calm").to_html());
    for text in HOSTILE {
        let html = page(text).to_html();
        assert_eq!(tags(&html), calm, "{text}");
        assert!(!html.contains("<script") && !html.contains(">49") && html.matches("</style>").count() == 1, "{text}");
        assert!(!html.contains(['\u{202e}', '\u{1}', '\0', '\u{1b}']), "{text}");
        let names = ["onload", "onerror"].iter().flat_map(|name| values(&html, name)).count();
        assert_eq!(names, 0, "{text}");
    }
}

#[test]
fn text_is_shown_as_it_is() {
    let html = page("a < b & \"c\" {{ d }}").to_html();
    let shown = html.matches("a &lt; b &amp; &quot;c&quot; {{ d }}").count();
    let given = format!("{:?}", page("mark")).matches("mark").count();
    assert!(shown >= given, "{shown} of {given}");
}

#[test]
fn nothing_comes_from_outside() {
    for text in HOSTILE.into_iter().chain(["http://example.org/a.png", "url(//example.org/a.css)", "src=//example.org"])
    {
        let html = page(text).to_html();
        let sources = [values(&html, "src"), values(&html, "href")].concat();
        assert!(sources.len() > 20, "{text}");
        for source in sources {
            assert!(source.starts_with("data:") || source.starts_with('#'), "{text}: {source}");
        }
        for attribute in ["srcset", "action", "poster", "background", "data", "xlink:href"] {
            assert!(values(&html, attribute).is_empty(), "{text}: {attribute}");
        }
        let (style, policy) = (html.split("<style>").nth(1).unwrap(), "content=\"default-src 'none';");
        let style = style.split("</style>").next().unwrap();
        assert!(!style.contains("url(") && !style.contains("@import") && html.contains(policy), "{text}");
        assert!(values(&html, "style").iter().all(|style| !style.contains("url")), "{text}");
    }
}

#[test]
fn anchors_are_unique_and_lead_somewhere() {
    for text in HOSTILE.into_iter().chain(["", "Calibration & curves", "Ünïcode", "main"]) {
        let html = page(text).to_html();
        let ids = values(&html, "id");
        for (i, id) in ids.iter().enumerate() {
            assert!(!ids[..i].contains(id), "{text}: {id} twice");
            assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{text}: {id}");
        }
        let links: Vec<&str> = values(&html, "href").into_iter().filter_map(|to| to.strip_prefix('#')).collect();
        assert_eq!(links.len(), 7, "{text}: one to the content, two lists of three sections");
        assert!(links.iter().all(|to| ids.contains(to)), "{text}: {links:?} {ids:?}");
    }
    assert!(page("Calibration & curves").to_html().contains(r#"<section id="s2-calibration-curves">"#));
}

#[test]
fn what_is_empty_leaves_nothing_behind() {
    let none = Page::default().to_html();
    assert!(none.contains("<title>Report</title>") && none.contains(">Report</h1>"));
    let empty = vec![
        Block::Heading("nothing follows".into()),
        Block::Text(String::new()),
        Block::Warnings(vec![]),
        Block::Facts(vec![]),
        Block::Table(Table { columns: vec!["a".into()], rows: vec![] }),
        Block::Charts(vec![]),
        Block::Gallery(vec![Picture::default()]),
        Block::Code(String::new()),
        Block::Details("nothing inside".into(), vec![Block::Heading("neither here".into()), Block::Charts(vec![])]),
    ];
    let figures = vec![Figure::default()];
    let sections = vec![Section { title: "gone".into(), blocks: empty, ..Section::default() }];
    let html = Page { title: "Report".into(), figures, sections, ..Page::default() }.to_html();
    assert_eq!(html, none);
    tags(&none);
    assert!(with(vec![Block::Text("a".into())]).contains("</h2>\n<p dir=\"auto\">a</p>"), "no empty line about it");
    assert!(!with(vec![Block::Text("a".into())]).contains("<nav"), "one section needs no contents");
}

#[test]
fn headings_keep_their_order() {
    let levels: Vec<String> =
        tags(&page("a").to_html()).into_iter().filter(|tag| ["h1", "h2", "h3", "h4"].contains(&tag.as_str())).collect();
    assert_eq!(levels[0], "h1");
    assert_eq!(levels.iter().filter(|level| *level == "h1").count(), 1);
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] || pair[1].as_bytes()[1] == pair[0].as_bytes()[1] + 1));
}

#[test]
fn columns_of_numbers_are_aligned() {
    let rows = [["oak", "1", "0.9 to 1", "–", "3 px"], ["elm", "12,000", "", "87.5 %", "4"]];
    let rows = rows.iter().map(|row| row.iter().map(|cell| cell.to_string()).collect()).collect();
    let html = with(vec![Block::Table(Table { columns: ["a", "b", "c", "d", "e"].map(String::from).to_vec(), rows })]);
    for cell in ["1", "12,000", "0.9 to 1", "–", "87.5 %", ""] {
        assert!(html.contains(&format!("<td class=\"number\"><bdi>{cell}</bdi></td>")), "{cell}");
    }
    assert!(html.contains("<th scope=\"row\"><bdi>oak</bdi></th>") && html.contains("<td><bdi>4</bdi></td>"));
    assert!(html.contains("<th scope=\"col\" class=\"number\"><bdi>b</bdi></th>"));
    let html = with(vec![Block::Table(Table { columns: vec![], rows: vec![vec!["0".into()], vec!["1".into()]] })]);
    assert!(html.contains("<td class=\"number\"><bdi>0</bdi></td>") && !html.contains("<thead>"));
}

#[test]
fn pictures_are_in_the_file() {
    let image = |bytes: &[u8], side| Encoded {
        format: Format::Png,
        bytes: bytes.into(),
        width: side,
        height: side,
        alt: "é".into(),
    };
    let pictures = |images| with(vec![Block::Gallery(vec![Picture { images, name: "a".into(), lines: vec![] }])]);
    let html = pictures(vec![image(b"M", 32), image(b"Ma", 64), image(b"Man", 0)]);
    assert!(html.contains(r#"<img src="data:image/png;base64,TQ==" alt="é" width="96" height="96" class="pixels">"#));
    assert!(html.contains(r#"<img src="data:image/png;base64,TWE=" alt="é" width="128" height="128">"#));
    assert!(html.contains(r#"<img src="data:image/png;base64,TWFu" alt="é""#) && !html.contains("width=\"0\""));
    assert!(!pictures(vec![image(b"", 32)]).contains("<img"), "without bytes there is nothing to show");
    // A picture and two heat maps stand side by side however narrow the page is.
    assert!(pictures(vec![image(b"M", 112); 3]).contains("<div class=\"images\">"));
    assert!(pictures(vec![image(b"M", 112); 4]).contains("<div class=\"images many\">"));
}

#[test]
fn line_breaks_of_code_are_kept() {
    let html = with(vec![Block::Code("a = 1\r\n\tb".into()), Block::Text("one\ntwo".into())]);
    assert!(html.contains("<code>a = 1\n\tb</code>") && html.contains("one\ntwo"));
}

#[test]
fn deep_pages_are_written() {
    let nested = (0..100).fold(Block::Text("deep".into()), |inside, _| Block::Details("open".into(), vec![inside]));
    assert!(with(vec![nested]).contains("deep"));
}

/// Relative luminance of a `#rrggbb` (WCAG 2.2).
fn luminance(color: &str) -> f64 {
    let part = |i: usize| {
        let c = f64::from(u8::from_str_radix(&color[i..i + 2], 16).unwrap()) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
}

#[test]
fn colors_can_be_told_from_their_ground() {
    let html = Page::default().to_html();
    let (light, dark) = html.split_once("prefers-color-scheme: dark").unwrap();
    for (theme, style) in [("light", light), ("dark", dark)] {
        let color = |name: &str| {
            let rest = style.split_once(&format!("--{name}: ")).unwrap_or_else(|| panic!("{theme}: no {name}")).1;
            luminance(&rest[..7])
        };
        let contrast = |a: f64, b: f64| (a.max(b) + 0.05) / (a.min(b) + 0.05);
        let charts = (1..=6).map(|i| (format!("chart-{i}"), 3.0));
        let texts = ["text", "muted", "accent", "warning"].map(|name| (name.to_string(), 4.5));
        for (name, least) in charts.chain(texts) {
            for ground in ["ground", "raised", "warning-ground"] {
                let found = contrast(color(&name), color(ground));
                assert!(found >= least, "{theme}: {name} on {ground} has {found:.2}");
            }
        }
    }
}

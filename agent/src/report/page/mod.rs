//! Pages: one file each, no scripts, nothing from elsewhere, readable in the dark, on paper and by keyboard.
//!
//! All that comes out of records goes through [`Shown`], or through a [`Line`], and through the escaping of the templates: names
//! of files are chosen by whoever makes them.

mod chain;
mod day;
mod evidence;
mod index;
mod parts;
mod steps;

use maud::{DOCTYPE, Markup, PreEscaped, Render, html};

use super::style::{Line, Paint, safe};

pub use day::{Day, day};
pub use index::{Asked, SINCE, index};

pub(super) use chain::chain;
pub(super) use parts::{HOLE_NS, Signal, signals, texts};

/// What a browser may fetch for a page: nothing. Also said by whoever serves it.
pub const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
/// Most rows of a table: what a browser still shows, and a person still reads.
pub(super) const ROWS_MAX: usize = 2_000;
/// Most letters of a text in a cell. The record has all of it.
const CELL_MAX: usize = 400;

pub(super) const COLOURS: &str = include_str!("colours.css");
const STYLE: &str = include_str!("page.css");
/// What pages of chains have beside.
const CHAINS: &[&str] = &[include_str!("chain.css"), super::graph::STYLE];

/// Where a page lies: a file has no others beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file of its own.
    File,
    /// Among those of `spoor serve`, which it may link.
    Served,
}

/// A page around what it tells.
pub(super) struct Shell<'a> {
    pub(super) title: Markup,
    /// The first section, which the keyboard may skip to: its id, and what it is called.
    pub(super) first: (&'a str, &'a str),
    pub(super) header: Markup,
    pub(super) main: Markup,
}

impl Shell<'_> {
    /// The page as a text.
    pub(super) fn page(self, more: &[&str]) -> String {
        let (first, name) = self.first;
        let markup = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    title { (self.title) }
                    style { (PreEscaped(COLOURS)) (PreEscaped(STYLE)) @for style in more { (PreEscaped(style)) } }
                }
                body {
                    a.skip href={ "#" (first) } { "To the " (name) }
                    (self.header)
                    main { (self.main) }
                }
            }
        };
        markup.into_string()
    }

    /// One that tells of chains.
    fn of_chains(self) -> String {
        self.page(CHAINS)
    }
}

/// A text out of a record: what would move a cursor or turn the direction is spelt, the rest is escaped.
pub(super) struct Shown<'a>(pub(super) &'a str);

impl Render for Shown<'_> {
    fn render_to(&self, buffer: &mut String) {
        safe(self.0).as_str().render_to(buffer);
    }
}

impl Render for Line {
    fn render_to(&self, buffer: &mut String) {
        for (paint, text) in self.pieces() {
            let class = match paint {
                Paint::Plain => {
                    text.as_str().render_to(buffer);
                    continue;
                }
                Paint::Strong => "strong",
                Paint::Faint => "faint",
                Paint::Good => "good",
                Paint::Bad => "bad",
                Paint::Doubt => "doubt",
            };
            html! { span class=(class) { (text) } }.render_to(buffer);
        }
    }
}

/// A table that can be moved by keyboard where it is wider than the window.
pub(super) fn table(id: &str, caption: &str, heads: &[&str], rows: &Markup) -> Markup {
    html! {
        div.wide role="region" tabindex="0" aria-labelledby=(id) {
            table {
                caption id=(id) { (caption) }
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody { (rows) }
            }
        }
    }
}

/// A section with its title.
fn section(id: &str, title: &str, inner: &Markup) -> Markup {
    html! {
        section id=(id) aria-labelledby={ (id) "-title" } {
            h2 id={ (id) "-title" } { (title) }
            (inner)
        }
    }
}

/// The sections of a page, as links.
pub(super) fn sections(list: &[(&str, &str)]) -> Markup {
    html! {
        nav aria-label="Sections" { @for (id, title) in list { a href={ "#" (id) } { (title) } } }
    }
}

/// The way to the other pages, where there are any.
fn ways(place: Place, day: Option<&str>) -> Markup {
    html! {
        @if place == Place::Served {
            nav aria-label="Pages" {
                a href="/" { "Chains of this host" }
                @if let Some(day) = day { a href={ "/day/" (day) } { "All of " (day) } }
            }
        }
    }
}

/// A chain's id; where there are other pages, as the way to its own.
fn way_to(place: Place, chain: &str) -> Markup {
    // An id of ours has letters and digits only; what has others is no way to anywhere.
    let plain = !chain.is_empty() && chain.bytes().all(|byte| byte.is_ascii_alphanumeric());
    html! {
        @if place == Place::Served && plain { a.mono href={ "/chain/" (chain) } { (chain) } }
        @else { span.mono { (Shown(chain)) } }
    }
}

/// Day and minute, UTC.
fn minute(time_ns: i64) -> String {
    super::words::moment(&crate::record::rfc3339(time_ns)).get(..16).unwrap_or_default().to_owned()
}

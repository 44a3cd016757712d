//! The graph of a chain: its actor, the programs it ran, the credentials they opened, the destinations they tried.
//!
//! An edge between a credential and a destination says *observed after*, with what that is worth, and is drawn otherwise than
//! what was seen: no edge says that the credential went there.

mod build;
mod dot;
mod layout;
mod svg;

use super::chain::Chain;
use super::style::safe;

/// How a graph looks, on a page and alone.
pub(super) const STYLE: &str = include_str!("graph.css");

/// What a node stands for: the columns of the graph, from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Actor,
    Program,
    Credential,
    Destination,
}

impl Of {
    /// The heading of its column.
    const fn heading(self) -> &'static str {
        match self {
            Of::Actor => "Actor",
            Of::Program => "Programs",
            Of::Credential => "Credentials",
            Of::Destination => "Destinations",
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Of::Actor => "actor",
            Of::Program => "program",
            Of::Credential => "credential",
            Of::Destination => "destination",
        }
    }
}

#[derive(Debug)]
struct Node {
    of: Of,
    /// Two lines of a few letters.
    label: String,
    sub: String,
    /// All of it.
    full: String,
    /// Its column. Programs have several.
    column: usize,
    /// Of a destination: it never answered.
    never: bool,
    /// It stands for all that are not drawn.
    rest: bool,
}

/// What an edge says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tie {
    /// An actor ran a program, or a program another.
    Ran,
    /// A program opened, read, wrote, received a credential, or took it out of memory.
    Opened(&'static str),
    /// A program held a credential whose opening is not in the chain.
    Held,
    /// A program asked for a connection, or sent.
    Tried,
    /// A connection came after a credential was opened.
    After,
    /// A credential was opened while a connection was served.
    While,
    /// A credential was written after another was opened.
    Written,
}

#[derive(Debug)]
struct Edge {
    from: usize,
    to: usize,
    tie: Tie,
    /// How often.
    count: u64,
    /// How many of them went well; of those that can go wrong.
    good: u64,
    /// What a link is worth at best.
    confidence: Option<u64>,
    /// Some of it was outside of what the actor is for.
    outside: bool,
}

/// Most programs that are drawn, and most credentials, and destinations.
const EACH_MAX: usize = 24;
/// Most columns of programs; those who are farther from the actor stand in the last.
const PROGRAMS_DEEP: usize = 3;

/// The graph of a chain.
#[derive(Debug)]
pub(super) struct Graph {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

impl Graph {
    /// Of a chain's records.
    pub(super) fn of(chain: &Chain) -> Self {
        build::graph(chain)
    }

    /// As SVG inside of a page, which has [`STYLE`].
    pub(super) fn inline(&self, title: &str) -> maud::Markup {
        svg::inline(self, title)
    }

    /// As a file of its own.
    pub(super) fn svg(&self, title: &str) -> String {
        svg::file(self, title)
    }

    /// In the language of Graphviz.
    pub(super) fn dot(&self, title: &str) -> String {
        dot::dot(self, title)
    }

    /// What it says, an edge a line.
    pub(super) fn told(&self) -> impl Iterator<Item = String> {
        let name = |index: usize| self.nodes.get(index).map_or("?", |node| node.full.as_str());
        self.edges.iter().map(move |edge| format!("{} {} {}", name(edge.from), edge.says(), name(edge.to)))
    }
}

impl Edge {
    /// It stands between what its two nodes are called.
    fn says(&self) -> String {
        let verb = self.verb();
        if self.outside { format!("{verb}, outside its purpose,") } else { verb }
    }

    fn verb(&self) -> String {
        let often = |verb: &str| match self.count {
            0 | 1 => verb.to_owned(),
            count => format!("{verb} ({count} times)"),
        };
        match self.tie {
            Tie::Ran => often("ran"),
            Tie::Opened(verb) => often(verb),
            Tie::Held => "held".to_owned(),
            Tie::Tried => format!("tried ({} of {} established)", self.good, self.count.max(self.good)),
            Tie::After => format!("was opened before a connection to ({})", self.worth()),
            Tie::Written => format!("was opened before the writing of ({})", self.worth()),
            Tie::While => format!("was opened while connected with ({})", self.worth()),
        }
    }

    /// What a link is worth, in a word.
    fn worth(&self) -> &'static str {
        match super::words::worth(self.confidence).trim_end_matches(": ") {
            "" => "of unknown worth",
            word => word,
        }
    }

    /// None of the attempts went well.
    fn failed(&self) -> bool {
        self.tie == Tie::Tried && self.good == 0
    }
}

/// A text that may stand in XML: what would move a cursor or turn the direction is spelt, and so are the letters that XML has
/// not.
fn plain(text: &str) -> String {
    safe(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

/// The same, with the tail of it cut.
fn cut(text: &str, width: usize) -> String {
    super::style::head(&plain(text), width)
}

#[cfg(test)]
mod tests;

//! The graph as SVG: inside of a page, or a file of its own. Elements are closed as XML wants it.

use maud::{Markup, html};

use super::layout::{HEIGHT, Layout, MARGIN, WIDTH, layout, left};
use super::{Edge, Graph, STYLE, Tie, cut, plain};
use crate::report::page::COLOURS;

/// Letters that fit into a node: of the label, and of the line below it.
const LABEL: usize = 25;
const SUB: usize = 27;

pub(super) fn inline(graph: &Graph, title: &str) -> Markup {
    let (layout, title) = (layout(graph), plain(title));
    let (width, height) = (round(layout.width), round(layout.height));
    html! {
        svg role="img" aria-label=(title) width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } {
            (drawn(graph, &layout))
        }
    }
}

pub(super) fn file(graph: &Graph, title: &str) -> String {
    let (layout, title) = (layout(graph), plain(title));
    let (width, height) = (round(layout.width), round(layout.height));
    let markup = html! {
        svg xmlns="http://www.w3.org/2000/svg" role="img" width=(width) height=(height)
            viewBox={ "0 0 " (width) " " (height) } {
            title { (title) }
            style { (COLOURS) (STYLE) "svg { background: var(--paper); }\n" }
            (drawn(graph, &layout))
        }
    };
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", markup.into_string())
}

fn drawn(graph: &Graph, layout: &Layout) -> Markup {
    let mut columns: Vec<(usize, &str)> = Vec::new();
    for node in &graph.nodes {
        let heading = (node.column, node.of.heading());
        // Programs have several columns, and one heading.
        if !columns.iter().any(|known| known.1 == heading.1) {
            columns.push(heading);
        }
    }
    html! {
        @for (column, heading) in columns {
            text.column x=(round(left(column))) y=(round(MARGIN + 8.0)) { (heading) }
        }
        @for (edge, way) in graph.edges.iter().zip(&layout.edges) { (line(graph, layout, edge, way)) }
        @for (node, (x, y)) in graph.nodes.iter().zip(&layout.nodes) {
            g class={ "node " (node.of.class()) @if node.never { " never" } @if node.rest { " rest" } } {
                title { (plain(&node.full)) }
                rect x=(round(*x)) y=(round(y - HEIGHT / 2.0)) width=(round(WIDTH)) height=(round(HEIGHT)) rx="5" {}
                // What does not fit is cut at the node's edge: letters may be wider than they are counted.
                svg x=(round(*x)) y=(round(y - HEIGHT / 2.0)) width=(round(WIDTH - 4.0)) height=(round(HEIGHT)) {
                    text x="8" y="18" { (cut(&node.label, LABEL)) }
                    text.sub x="8" y="34" { (cut(&node.sub, SUB)) }
                }
            }
        }
    }
}

fn line(graph: &Graph, layout: &Layout, edge: &Edge, way: &[(f64, f64)]) -> Markup {
    let at = |index: usize| layout.nodes.get(index).copied().unwrap_or_default();
    let ((from_x, from_y), (to_x, to_y)) = (at(edge.from), at(edge.to));
    let name = |index: usize| graph.nodes.get(index).map_or("?", |node| node.full.as_str());
    let (path, tip) = if from_x < to_x {
        let mut path = format!("M{} {}", round(from_x + WIDTH), round(from_y));
        let mut last = (from_x + WIDTH, from_y);
        for (x, y) in way {
            path.push_str(&curve(last, (*x, *y)));
            path.push_str(&format!("H{}", round(x + WIDTH)));
            last = (x + WIDTH, *y);
        }
        path.push_str(&curve(last, (to_x - 6.0, to_y)));
        (path, tip((to_x, to_y), -1.0))
    } else {
        // To a program of the same column or of one before: around the right side.
        let (start, end) = ((from_x + WIDTH, from_y + 8.0), (to_x + WIDTH + 6.0, to_y + 8.0));
        let out = round(start.0.max(end.0) + 40.0);
        let path = format!(
            "M{} {}C{out} {} {out} {} {} {}",
            round(start.0),
            round(start.1),
            round(start.1),
            round(end.1),
            round(end.0),
            round(end.1)
        );
        (path, tip((to_x + WIDTH, to_y + 8.0), 1.0))
    };
    let class = match edge.tie {
        Tie::Tried if edge.failed() => "edge fail",
        Tie::Ran | Tie::Opened(_) | Tie::Tried => "edge",
        Tie::Held => "edge held",
        Tie::After | Tie::While | Tie::Written if edge.worth() == "weak" => "edge after weak",
        Tie::After | Tie::While | Tie::Written => "edge after",
    };
    let class = if edge.outside { format!("{class} outside") } else { class.to_owned() };
    html! {
        g class=(class) {
            title { (plain(name(edge.from))) " " (edge.says()) " " (plain(name(edge.to))) }
            path d=(path) {}
            path.tip d=(tip) {}
        }
    }
}

fn curve(from: (f64, f64), to: (f64, f64)) -> String {
    let middle = round(f64::midpoint(from.0, to.0));
    format!("C{middle} {} {middle} {} {} {}", round(from.1), round(to.1), round(to.0), round(to.1))
}

/// An arrow's head at a point, from its left (-1) or its right.
fn tip((x, y): (f64, f64), side: f64) -> String {
    let back = round(x + side * 8.0);
    format!("M{} {}L{back} {}L{back} {}Z", round(x), round(y), round(y - 4.0), round(y + 4.0))
}

/// A length with one place.
fn round(length: f64) -> String {
    let text = format!("{length:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

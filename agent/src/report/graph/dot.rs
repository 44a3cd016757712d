//! The graph in the language of Graphviz.

use std::fmt::Write as _;

use super::{Graph, Of, Tie, plain};

pub(super) fn dot(graph: &Graph, title: &str) -> String {
    let mut out = String::from("digraph chain {\n");
    // Writing to a String does not fail.
    let _ = writeln!(out, "  graph [rankdir=LR, label={}, fontname=\"sans-serif\"];", quoted(&[title]));
    out.push_str("  node [shape=box, fontname=\"monospace\", fontsize=11];\n");
    out.push_str("  edge [fontname=\"sans-serif\", fontsize=10];\n");
    for (index, node) in graph.nodes.iter().enumerate() {
        let shape = match node.of {
            Of::Actor => ", style=bold",
            Of::Program => "",
            Of::Credential => ", style=filled, fillcolor=\"#fff1e0\"",
            Of::Destination if node.never => ", color=\"#a40e26\"",
            Of::Destination => ", style=rounded",
        };
        let label = quoted(&[&node.label, &node.sub]);
        let _ = writeln!(out, "  n{index} [label={label}, tooltip={}{shape}];", quoted(&[&node.full]));
    }
    for edge in &graph.edges {
        let style = match edge.tie {
            Tie::Tried if edge.failed() => "solid, color=\"#a40e26\"",
            Tie::Ran | Tie::Opened(_) | Tie::Tried => "solid",
            Tie::Held | Tie::After | Tie::While | Tie::Written => "dashed",
        };
        let label = match edge.tie {
            Tie::After | Tie::Written => format!("before ({})", edge.worth()),
            Tie::While => format!("while connected ({})", edge.worth()),
            Tie::Tried => format!("{} of {}", edge.good, edge.count.max(edge.good)),
            Tie::Ran | Tie::Opened(_) | Tie::Held => edge.verb(),
        };
        let label = quoted(&[&label, if edge.outside { "outside its purpose" } else { "" }]);
        let _ = writeln!(out, "  n{} -> n{} [label={label}, style={style}];", edge.from, edge.to);
    }
    out.push_str("}\n");
    out
}

/// Lines as a quoted string. Graphviz reads `\N` and its kind, and entities of HTML, in such strings.
fn quoted(lines: &[&str]) -> String {
    let escaped = lines
        .iter()
        .filter(|line| !line.is_empty())
        .map(|line| plain(line).replace('&', "&amp;").replace('\\', "\\\\").replace('"', "\\\""));
    format!("\"{}\"", escaped.collect::<Vec<_>>().join("\\n"))
}

//! Who made whom, and what each did.

use serde_json::Value;

use super::chain::Chain;
use super::deeds::deed;
use super::style::{Line, Paint};
use super::words;
use crate::record::View;

struct Node<'a> {
    id: &'a str,
    process: &'a Value,
    /// It is of the lineage, or the root: its arguments are told beside its name.
    before: bool,
    parent: Option<usize>,
    actions: Vec<&'a View>,
}

/// The processes of a chain as a tree, a line each.
pub(super) fn tree(chain: &Chain) -> Vec<Line> {
    let (nodes, mut lines) = (nodes(chain), Vec::new());
    for top in (0..nodes.len()).filter(|index| nodes.get(*index).is_some_and(|node| node.parent.is_none())) {
        branch(&nodes, top, "", "", &mut lines);
    }
    lines
}

fn nodes(chain: &Chain) -> Vec<Node<'_>> {
    let mut nodes: Vec<Node<'_>> = Vec::new();
    let before = chain.opened().map(|opened| {
        let lineage = opened.list("lineage").iter().rev();
        lineage.chain(opened.at("root")).collect::<Vec<_>>()
    });
    for process in before.into_iter().flatten() {
        add(&mut nodes, process, true);
    }
    for view in chain.records.iter().filter(|view| view.kind() == "action") {
        if let Some(process) = view.at("process")
            && let Some(index) = add(&mut nodes, process, false)
            && let Some(node) = nodes.get_mut(index)
        {
            node.actions.push(view);
        }
    }
    nodes
}

/// The node of a process, made where it is not there yet.
fn add<'a>(nodes: &mut Vec<Node<'a>>, process: &'a Value, before: bool) -> Option<usize> {
    let id = words::text(process, "id")?;
    if let Some(index) = nodes.iter().position(|node| node.id == id) {
        return Some(index);
    }
    let parent = process.get("parent").and_then(|parent| {
        nodes.iter().position(|node| {
            let same = |name| parent.get(name).is_some() && parent.get(name) == node.process.get(name);
            words::text(parent, "id") == Some(node.id) || (same("pid") && same("start_ns"))
        })
    });
    nodes.push(Node { id, process, before, parent, actions: Vec::new() });
    Some(nodes.len() - 1)
}

/// A node and what is below it: `lead` stands before its own line, `under` before all others.
fn branch(nodes: &[Node<'_>], at: usize, lead: &str, under: &str, into: &mut Vec<Line>) {
    let Some(node) = nodes.get(at) else {
        return;
    };
    let line = Line::new().faint(lead).put(Paint::Strong, &words::process(node.process));
    let told = if node.before { words::command(node.process) } else { String::new() };
    into.push(line.faint(&format!("  {told}")).of(node.id));

    let mut lines = actions(node);
    // A parent is listed before its children: no index points forward, so this ends.
    let children: Vec<usize> = (at + 1..nodes.len())
        .filter(|index| nodes.get(*index).is_some_and(|child| child.parent == Some(at)))
        .collect();
    let last = lines.len() + children.len();
    let marks = |index: usize| {
        if index == last { ("└─ ", "   ") } else { ("├─ ", "│  ") }
    };
    for (index, line) in lines.drain(..).enumerate() {
        let lead = format!("{under}{}", marks(index + 1).0);
        into.push(Line::new().faint(&lead).then(line).of(node.id));
    }
    for (index, child) in children.iter().enumerate() {
        let (mark, blank) = marks(last - children.len() + index + 1);
        branch(nodes, *child, &format!("{under}{mark}"), &format!("{under}{blank}"), into);
    }
}

/// What a process did; the same again and again is told once, with how often.
fn actions(node: &Node<'_>) -> Vec<Line> {
    let key = |view: &View| {
        let names = ["action", "outcome", "errno", "destination", "file.path", "file.access"];
        names.map(|name| view.at(name).cloned())
    };
    node.actions
        .chunk_by(|one, other| one.text("action") != Some("exec") && key(one) == key(other))
        .filter_map(|same| {
            let line = deed(same.first()?, false);
            Some(match same.len() {
                1 => line,
                count => line.put(Paint::Strong, &format!("  ×{count}")),
            })
        })
        .collect()
}

//! The graph out of a chain's records.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{EACH_MAX, Edge, Graph, Node, Of, PROGRAMS_DEEP, Tie};
use crate::record::View;
use crate::report::chain::Chain;
use crate::report::words;

#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    /// Edges by what they are, so that the same again is counted.
    known: BTreeMap<(usize, usize, Tie), usize>,
    /// Nodes by what they stand for.
    by_key: BTreeMap<(Of, String), usize>,
    /// How many stand behind each node that stands for the rest.
    rest: BTreeMap<Of, (usize, u64)>,
    /// The program of each process, as of its last record.
    programs: BTreeMap<String, usize>,
    /// Processes of each program.
    pids: BTreeMap<usize, BTreeSet<String>>,
    /// Credentials by the record that tells of their opening.
    opened: BTreeMap<u64, Vec<usize>>,
    /// Destinations by the record that tells of the connection.
    tried: BTreeMap<u64, usize>,
    /// Programs and what they held.
    held: BTreeSet<(usize, usize)>,
}

pub(super) fn graph(chain: &Chain) -> Graph {
    let mut builder = Builder::default();
    let actor = chain.any().and_then(|view| view.text("actor.id")).unwrap_or("?").to_owned();
    let user = chain.any().and_then(|view| view.text("actor.user")).map(|user| format!("user {user}"));
    let node = Node { sub: user.unwrap_or_default(), ..named(Of::Actor, &actor) };
    let actor = builder.node(Of::Actor, &actor, || node);
    if let Some(root) = chain.opened().and_then(|opened| opened.at("root")) {
        builder.program(root, actor);
    }
    for view in chain.records.iter().filter(|view| view.kind() == "action") {
        builder.action(view, actor);
    }
    builder.build()
}

fn named(of: Of, full: &str) -> Node {
    let (label, full) = (full.to_owned(), full.to_owned());
    Node { of, label, sub: String::new(), full, column: 0, never: false, rest: false }
}

fn outside(view: &View) -> bool {
    view.text("purpose.verdict") == Some("outside")
}

impl Builder {
    /// The node of a key, made where it is not there yet; that of the rest, where there are too many.
    fn node(&mut self, of: Of, key: &str, make: impl FnOnce() -> Node) -> usize {
        let key = (of, key.to_owned());
        if let Some(index) = self.by_key.get(&key) {
            return *index;
        }
        let there = self.nodes.iter().filter(|node| node.of == of).count();
        let index = if there < EACH_MAX {
            self.nodes.push(make());
            self.nodes.len() - 1
        } else {
            let next = self.nodes.len();
            let (index, count) = self.rest.entry(of).or_insert((next, 0));
            *count += 1;
            if *index == next {
                self.nodes.push(Node { rest: true, column: make().column, ..named(of, "others") });
            }
            *index
        };
        // What a key is kept for is bounded by the chain, whose actions are.
        self.by_key.insert(key, index);
        index
    }

    fn edge(&mut self, from: usize, to: usize, tie: Tie) -> &mut Edge {
        let next = self.edges.len();
        let index = *self.known.entry((from, to, tie)).or_insert(next);
        if index == next {
            self.edges.push(Edge { from, to, tie, count: 0, good: 0, confidence: None, outside: false });
        }
        // It was pushed, now or before.
        #[expect(clippy::indexing_slicing, reason = "the index is of an edge that is there")]
        &mut self.edges[index]
    }

    /// The program that a process runs, and who ran it.
    fn program(&mut self, process: &Value, actor: usize) -> usize {
        let exe = words::text(process, "exe").or_else(|| words::text(process, "comm")).unwrap_or("?");
        let script = words::text(process, "script");
        let full = script.map_or_else(|| exe.to_owned(), |script| format!("{script} by {exe}"));
        let id = words::text(process, "id").unwrap_or_default().to_owned();
        let parent = process.get("parent").and_then(|parent| words::text(parent, "id"));
        let before = self.programs.get(&id).or_else(|| self.programs.get(parent?)).copied();
        let from = before.unwrap_or(actor);
        let column = self.nodes.get(from).map_or(1, |node| (node.column + 1).min(PROGRAMS_DEEP));
        let program = self.node(Of::Program, &full, || Node {
            label: words::base(script.unwrap_or(exe)).to_owned(),
            column,
            ..named(Of::Program, &full)
        });
        let known = self.programs.insert(id.clone(), program);
        self.pids.entry(program).or_default().insert(id);
        if known != Some(program) && from != program {
            self.edge(from, program, Tie::Ran).count += 1;
        }
        program
    }

    fn credential(&mut self, value: &Value) -> usize {
        let get = |name| words::text(value, name).unwrap_or_default();
        let kind = get("kind");
        self.node(Of::Credential, get("id"), || Node {
            label: words::credential(value),
            sub: kind.to_owned(),
            full: format!("{kind} {} ({})", words::credential(value), get("path")),
            ..named(Of::Credential, "")
        })
    }

    /// A destination by its address; its name may come later.
    fn destination(&mut self, value: &Value) -> usize {
        let key: String = ["path", "cid", "ip", "port", "transport"]
            .into_iter()
            .filter_map(|name| value.get(name).map(|part| format!("{part} ")))
            .collect();
        let full = words::address(value);
        let index = self.node(Of::Destination, &key, || named(Of::Destination, &full));
        if let (Some(name), Some(node)) = (words::text(value, "name"), self.nodes.get_mut(index))
            && !node.rest
        {
            (node.label, node.full) = (name.to_owned(), full);
        }
        index
    }

    fn action(&mut self, view: &View, actor: usize) {
        let Some(process) = view.at("process") else { return };
        let program = self.program(process, actor);
        if view.text("action") == Some("exec") && outside(view) {
            let ran = self.edges.iter_mut().filter(|edge| edge.to == program && edge.tie == Tie::Ran);
            ran.for_each(|edge| edge.outside = true);
        }
        let credentials = view.list("credential");
        let verb = match view.text("action").unwrap_or_default() {
            "secret.open" => "opened",
            "secret.read" => "read",
            "secret.write" => return self.writing(view, program),
            "secret.receive" => "received",
            "memory.access" => "looked in memory at",
            other => {
                let held: Vec<usize> = credentials.iter().map(|one| self.credential(one)).collect();
                self.held.extend(held.iter().map(|credential| (program, *credential)));
                if matches!(other, "connect" | "send") {
                    self.connection(view, program, &held);
                }
                return;
            }
        };
        let found: Vec<usize> = credentials.iter().map(|one| self.credential(one)).collect();
        for credential in &found {
            let edge = self.edge(program, *credential, Tie::Opened(verb));
            edge.count += 1;
            edge.outside |= outside(view);
            if view.text("link.relation") == Some("opened_while_connected")
                && let Some(to) = view.list("link.of").first().and_then(Value::as_u64)
                && let Some(to) = self.tried.get(&to).copied()
            {
                let edge = self.edge(*credential, to, Tie::While);
                edge.confidence = edge.confidence.max(view.number("link.confidence"));
            }
        }
        self.opened.insert(view.seq(), found);
    }

    /// A credential was written; what its process held then stands before it.
    fn writing(&mut self, view: &View, program: usize) {
        let Some(written) = view.list("credential").first().map(|one| self.credential(one)) else { return };
        let edge = self.edge(program, written, Tie::Opened("wrote"));
        edge.count += 1;
        edge.outside |= outside(view);
        let held: Vec<usize> = view.held().iter().map(|one| self.credential(one)).collect();
        self.held.extend(held.iter().map(|credential| (program, *credential)));
        for credential in self.after(view, &held).into_iter().filter(|other| *other != written) {
            let edge = self.edge(credential, written, Tie::Written);
            edge.confidence = edge.confidence.max(view.number("link.confidence"));
            edge.count += 1;
        }
    }

    /// The credentials whose openings an action came after.
    fn after(&self, view: &View, held: &[usize]) -> Vec<usize> {
        let of = view.list("link.of").iter().filter_map(Value::as_u64);
        let mut after: Vec<usize> = of.filter_map(|seq| self.opened.get(&seq)).flatten().copied().collect();
        if after.is_empty() && view.at("link.of").is_some() {
            after.extend(held);
        }
        after
    }

    fn connection(&mut self, view: &View, program: usize, held: &[usize]) {
        let Some(to) = view.at("destination").map(|to| self.destination(to)) else { return };
        self.tried.insert(view.seq(), to);
        let good = matches!(view.text("outcome"), Some("established" | "associated" | "sent"));
        let edge = self.edge(program, to, Tie::Tried);
        let times = view.times();
        edge.count = edge.count.saturating_add(view.attempts());
        edge.good = edge.good.saturating_add(if good { times } else { 0 });
        edge.outside |= outside(view);
        for credential in self.after(view, held) {
            let edge = self.edge(credential, to, Tie::After);
            edge.confidence = edge.confidence.max(view.number("link.confidence"));
            edge.count = edge.count.saturating_add(times);
        }
    }

    fn build(mut self) -> Graph {
        for (program, credential) in std::mem::take(&mut self.held) {
            let seen =
                self.edges.iter().any(|edge| edge.to == credential && matches!(edge.tie, Tie::Opened(_)));
            if !seen {
                self.edge(program, credential, Tie::Held);
            }
        }
        let deepest = self.nodes.iter().map(|node| node.column).max().unwrap_or(0);
        let tries = |index: usize| {
            let to = self.edges.iter().filter(|edge| edge.to == index && edge.tie == Tie::Tried);
            let sums = |(all, good): (u64, u64), edge: &Edge| {
                (all.saturating_add(edge.count.max(edge.good)), good.saturating_add(edge.good))
            };
            to.fold((0, 0), sums)
        };
        let credentials = self.nodes.iter().any(|node| node.of == Of::Credential);
        for index in 0..self.nodes.len() {
            let (all, good) = tries(index);
            let processes = self.pids.get(&index).map_or(0, BTreeSet::len);
            let hidden = self.rest.values().find(|(at, _)| *at == index).map(|(_, count)| *count);
            let Some(node) = self.nodes.get_mut(index) else { continue };
            match node.of {
                Of::Actor => {}
                Of::Program if processes == 1 => "1 process".clone_into(&mut node.sub),
                Of::Program => node.sub = format!("{processes} processes"),
                Of::Credential => node.column = deepest + 1,
                Of::Destination => {
                    node.column = deepest + 1 + usize::from(credentials);
                    node.never = good == 0;
                    let tries = if all == 1 { "try" } else { "tries" };
                    node.sub = format!("{all} {tries}, {good} established");
                }
            }
            if let Some(hidden) = hidden {
                node.label = format!("and {hidden} more");
                "not drawn one by one".clone_into(&mut node.sub);
                node.full = format!("{hidden} others");
            }
        }
        Graph { nodes: self.nodes, edges: self.edges }
    }
}

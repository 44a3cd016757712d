//! The graph: what it says, and that it is drawn so that it can be read.

use proptest::prelude::*;

use super::layout::{HEIGHT, WIDTH, layout};
use super::*;
use crate::record::View;

fn view(seq: u64, rest: &str) -> View {
    let body = format!(
        r#"{{"seq":{seq},"time":"2026-01-02T03:00:00.000000000Z","type":"action","chain":"C","actor":{{"id":"systemd:a.service"}},{rest}}}"#
    );
    View::parse(body.as_bytes()).unwrap()
}

fn graph(rests: &[String]) -> Graph {
    let views = (1..).zip(rests).map(|(seq, rest)| view(seq, rest)).collect();
    Graph::of(&Chain::new("C".to_owned(), views))
}

fn process(id: u64, parent: u64, exe: &str) -> String {
    format!(r#""process":{{"id":"p{id}","pid":{id},"exe":"{exe}","parent":{{"id":"p{parent}"}}}}"#)
}

fn connect(outcome: &str, port: u16, rest: &str) -> String {
    format!(
        r#""action":"connect","outcome":"{outcome}","destination":{{"ip":"10.0.0.9","port":{port},"transport":"tcp"}}{rest},{}"#,
        process(2, 1, "/usr/bin/curl")
    )
}

const KEYS: &str = r#""credential":[{"id":"aws:AKIA","kind":"aws","path":"/k"}]"#;

#[test]
fn it_says_what_was_seen_and_what_came_after() {
    let open = |seq: u64| format!(r#""action":"secret.open",{KEYS},{}"#, process(seq, 0, "/bin/sh"));
    let held = r#","credential":[{"id":"pg:x","kind":"pg","path":"/pg"}]"#;
    let graph = graph(&[
        open(1),
        open(1),
        format!(r#""action":"exec",{}"#, process(2, 1, "/usr/bin/curl")),
        connect("refused", 443, r#","link":{"of":[1],"confidence":90}"#),
        connect("established", 443, r#","link":{"of":[2],"confidence":20},"purpose":{"verdict":"outside"}"#),
        // Not linked with anything.
        connect("timed-out", 22, held),
    ]);
    let told: Vec<String> = graph.told().collect();
    let expected = [
        "systemd:a.service ran /bin/sh",
        "/bin/sh opened (2 times) aws AKIA (/k)",
        "/bin/sh ran /usr/bin/curl",
        "/usr/bin/curl tried (1 of 2 established), outside its purpose, 10.0.0.9:443",
        "aws AKIA (/k) was opened before a connection to (strong) 10.0.0.9:443",
        "/usr/bin/curl tried (0 of 1 established) 10.0.0.9:22",
        "/usr/bin/curl held pg x (/pg)",
    ];
    assert_eq!(told, expected);
    let dot = graph.dot("chain \"C\"");
    assert!(dot.contains(r#"label="chain \"C\"""#) && dot.contains("before (strong)"), "{dot}");
    assert!(!dot.contains("used"), "{dot}");
}

/// The name of a destination comes with a later record, which completes the first and is no other try.
#[test]
fn a_name_that_comes_late_is_the_name_of_the_same_destination() {
    let named = r#""action":"connect","completes":1,"outcome":"established","destination":{"ip":"10.0.0.9","port":443,"transport":"tcp","name":"s3.example.com"},"#;
    let graph = graph(&[connect("pending", 443, ""), format!("{named}{}", process(2, 1, "/usr/bin/curl"))]);
    let nodes: Vec<(&str, &str)> = graph
        .nodes
        .iter()
        .filter(|node| node.of == Of::Destination)
        .map(|node| (node.label.as_str(), node.sub.as_str()))
        .collect();
    assert_eq!(nodes, [("s3.example.com", "1 try, 1 established")]);
}

#[test]
fn what_is_too_much_stands_behind_one_node() {
    let many: Vec<String> = (1..=40).map(|port| connect("established", port, "")).collect();
    let graph = graph(&many);
    let destinations: Vec<&Node> = graph.nodes.iter().filter(|node| node.of == Of::Destination).collect();
    assert_eq!(destinations.len(), EACH_MAX + 1);
    let last = destinations.last().unwrap();
    assert_eq!((last.label.as_str(), last.rest), ("and 16 more", true));
}

/// A graph of which everything is tied with everything is as high as its nodes, not as its edges.
#[test]
fn many_edges_share_their_ways() {
    let node = |column: usize| Node {
        of: Of::Program,
        label: String::new(),
        sub: String::new(),
        full: String::new(),
        column,
        never: false,
        rest: false,
    };
    let tie =
        |from, to| Edge { from, to, tie: Tie::Ran, count: 1, good: 0, confidence: None, outside: false };
    // Columns of ten, and an edge from each of the first to each of the last.
    let edges = (0..10).flat_map(|from| (20..30).map(move |to| tie(from, to))).collect();
    let graph = Graph { nodes: (0..30).map(|index| node(index / 10)).collect(), edges };
    let drawn = layout(&graph);
    assert!(drawn.height < 30.0 * HEIGHT, "{}", drawn.height);
    let lanes: std::collections::BTreeSet<String> =
        drawn.edges.iter().flatten().map(|(_, y)| format!("{y:.1}")).collect();
    assert_eq!(lanes.len(), 10);
}

/// A program that runs another, which runs the first again; and an empty chain.
#[test]
fn circles_and_nothing_are_drawn_too() {
    let ran = |id: u64, exe: &str| format!(r#""action":"exec",{}"#, process(id, id - 1, exe));
    let graph_of_circle =
        graph(&[ran(1, "/bin/sh"), ran(2, "/bin/make"), ran(3, "/bin/sh"), ran(4, "/bin/make")]);
    assert!(graph_of_circle.told().any(|line| line == "/bin/make ran /bin/sh"));
    assert_eq!(graph_of_circle.svg("c").matches("class=\"tip\"").count(), 3);
    assert!(graph(&[]).svg("nothing").ends_with("</svg>\n"));
}

prop_compose! {
    fn any_graph()(columns in prop::collection::vec(0..6_usize, 1..60))(
        edges in prop::collection::vec((0..columns.len(), 0..columns.len()), 0..120),
        columns in Just(columns),
    ) -> Graph {
        let node = |(index, column): (usize, usize)| Node {
            of: Of::Program, label: format!("{index}"), sub: String::new(), full: String::new(), column,
            never: false, rest: false,
        };
        let edge = |(from, to)| Edge { from, to, tie: Tie::Ran, count: 1, good: 0, confidence: None, outside: false };
        Graph {
            nodes: columns.into_iter().enumerate().map(node).collect(),
            edges: edges.into_iter().map(edge).collect(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Nothing lies on anything else or outside of the picture, no line goes through a node, and it always comes out the same.
    #[test]
    fn whatever_is_drawn_can_be_read(graph in any_graph()) {
        let drawn = layout(&graph);
        for (index, (x, y)) in drawn.nodes.iter().enumerate() {
            prop_assert!(*x >= 0.0 && x + WIDTH <= drawn.width);
            prop_assert!(y - HEIGHT / 2.0 >= 0.0 && y + HEIGHT / 2.0 <= drawn.height, "{} of {}", y, drawn.height);
            for (other_x, other_y) in drawn.nodes.iter().skip(index + 1) {
                prop_assert!(other_x != x || (other_y - y).abs() >= HEIGHT);
            }
            for (through_x, through_y) in drawn.edges.iter().flatten() {
                prop_assert!(through_x != x || (through_y - y).abs() >= HEIGHT / 2.0);
            }
        }
        prop_assert_eq!(graph.svg("t"), graph.svg("t"));
    }
}

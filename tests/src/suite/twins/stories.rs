//! The stories, as data.
//!
//! In the steps `%name` is a file of the story, `@name` a system that listens, `USER` the service account. A link is *fair* from 30
//! on, as docs/CHAINS.md has it; below it is a list of what might have gone along.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::records::{at, text};

/// What is easily misread.
pub(super) struct Story {
    pub(super) name: &'static str,
    /// Copies of the acting program by these names: programs of their own, as far as anybody can see.
    pub(super) programs: &'static [&'static str],
    pub(super) secrets: &'static [&'static str],
    pub(super) steps: &'static str,
    /// How many ask the worker that listens.
    pub(super) clients: usize,
    /// Every connection to its systems.
    pub(super) reaches: &'static [Reach],
    /// For which request a secret was opened.
    pub(super) opened: &'static [(&'static str, Option<usize>)],
    /// What else its connections must say.
    pub(super) proof: fn(&[&Value]) -> Result<()>,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Reach {
    pub(super) to: &'static str,
    /// The secret that goes over it.
    pub(super) used: Option<&'static str>,
    /// What its link must be worth at least.
    pub(super) least: u64,
    /// What the link of any other may be worth at most; 0: there is none.
    pub(super) most: u64,
    /// Which of the clients it is done for, where that must be known; else it must not be told.
    pub(super) request: Option<usize>,
}

const STRONG: u64 = super::STRONG;
const FAIR: u64 = super::FAIR;
const WEAK: u64 = FAIR - 1;
/// What belongs to another request.
const OTHER_REQUEST: u64 = 10;

/// Goes there with that secret, whose link is worth so much at least.
const fn with(to: &'static str, used: &'static str, least: u64) -> Reach {
    Reach { to, used: Some(used), least, most: 0, request: None }
}

/// Goes there with nothing.
const fn without(to: &'static str) -> Reach {
    Reach { to, used: None, least: 0, most: 0, request: None }
}

impl Reach {
    /// The links of others may be worth so much.
    const fn others(self, most: u64) -> Self {
        Self { most, ..self }
    }

    const fn for_client(self, client: usize) -> Self {
        Self { request: Some(client), ..self }
    }
}

const PLAIN: Story = Story {
    name: "",
    programs: &["job"],
    secrets: &["one.token"],
    steps: "",
    clients: 0,
    reaches: &[],
    opened: &[],
    proof: |_| Ok(()),
};

pub(super) const STORIES: &[Story] = &[
    // One user, one system, at one time; the third has no credential.
    Story {
        name: "two services of one user",
        programs: &["one", "two", "three"],
        secrets: &["one.token", "two.token"],
        steps: "pool
            [ user USER become %one [ take %one.token touch %first wait-for %second use %one.token @api ] ]
            [ user USER become %two [ wait-for %first take %two.token touch %second use %two.token @api ] ]
            [ user USER become %three [ wait-for %second use-nothing @api ] ]",
        reaches: &[with("api", "one.token", FAIR), with("api", "two.token", FAIR), without("api")],
        ..PLAIN
    },
    // The same program of the same user under the number of a holder that is gone.
    Story {
        name: "a number is used again",
        steps: "again
            [ user USER become %job [ take %one.token use %one.token @api ] ]
            [ user USER become %job [ use-nothing @other ] ]",
        reaches: &[with("api", "one.token", STRONG), without("other")],
        proof: one_number_two_processes,
        ..PLAIN
    },
    Story {
        name: "one thread reads and another connects",
        steps: "user USER become %job [ threads
            [ take %one.token touch %taken ]
            [ wait-for %taken use %one.token @api ] ]",
        reaches: &[with("api", "one.token", STRONG)],
        ..PLAIN
    },
    Story {
        name: "two threads with a token each",
        secrets: &["one.token", "two.token"],
        steps: "user USER become %job [ threads
            [ take %one.token touch %first wait-for %second use %one.token @api touch %third ]
            [ wait-for %first take %two.token touch %second wait-for %third use %two.token @other ] ]",
        reaches: &[
            with("api", "one.token", FAIR).others(WEAK),
            with("other", "two.token", FAIR).others(WEAK),
        ],
        ..PLAIN
    },
    Story {
        name: "a double fork",
        steps: "user USER become %job [ take %one.token daemon [ use %one.token @api touch %done ] wait-for %done ]",
        reaches: &[with("api", "one.token", FAIR)],
        ..PLAIN
    },
    // Its twin: the token is opened after the fork, by the one who stays.
    Story {
        name: "a double fork before the opening",
        steps: "user USER become %job [
            daemon [ wait-for %taken use-nothing @other touch %done ]
            take %one.token touch %taken wait-for %done use %one.token @api ]",
        reaches: &[without("other"), with("api", "one.token", FAIR)],
        ..PLAIN
    },
    // The master opens what names the database; one of its workers has a token of its own.
    Story {
        name: "a pool of workers",
        secrets: &[".pgpass", "one.token"],
        clients: 2,
        steps: "user USER become %job [ take %.pgpass listen %port pool
            [ serve [ use %.pgpass @db touch %first take %one.token use %one.token @api ] touch %second ]
            [ wait-for %first serve [ use %.pgpass @db wait-for %second use-nothing @api ] ] ]",
        reaches: &[
            with("db", ".pgpass", STRONG).for_client(0),
            with("api", "one.token", FAIR).for_client(0),
            with("db", ".pgpass", STRONG).for_client(1),
            without("api").others(3).for_client(1),
        ],
        opened: &[(".pgpass", None), ("one.token", Some(0))],
        ..PLAIN
    },
    // One worker, one request after the other; what was opened for one is not what the next is about.
    Story {
        name: "one request after the other",
        secrets: &["one.token", "two.token"],
        clients: 3,
        steps: "user USER become %job [ listen %port
            serve [ take %one.token use %one.token @api ]
            serve [ take %two.token use %two.token @other ]
            serve [ use-nothing @log ]
            use-nothing @time ]",
        reaches: &[
            with("api", "one.token", STRONG).for_client(0),
            with("other", "two.token", FAIR).others(OTHER_REQUEST).for_client(1),
            without("log").others(OTHER_REQUEST).for_client(2),
            without("time").others(WEAK),
        ],
        opened: &[("one.token", Some(0)), ("two.token", Some(1))],
        ..PLAIN
    },
    // Each in a thread that accepted it, both at once.
    Story {
        name: "a thread for each request",
        secrets: &["one.token", "two.token"],
        clients: 2,
        steps: "user USER become %job [ listen %port threads
            [ serve [ touch %first wait-for %second take %one.token use %one.token @api touch %third ] ]
            [ wait-for %first serve [ touch %second wait-for %third take %two.token use %two.token @other ] ] ]",
        reaches: &[
            with("api", "one.token", STRONG).for_client(0),
            with("other", "two.token", FAIR).others(OTHER_REQUEST).for_client(1),
        ],
        opened: &[("one.token", Some(0)), ("two.token", Some(1))],
        ..PLAIN
    },
    Story {
        name: "a child for each request",
        clients: 2,
        steps: "user USER become %job [ listen %port
            serve [ fork [ take %one.token use %one.token @api ] ]
            serve [ fork [ use-nothing @api ] ] ]",
        reaches: &[
            with("api", "one.token", STRONG).for_client(0),
            without("api").for_client(1),
        ],
        opened: &[("one.token", Some(0))],
        ..PLAIN
    },
    // Of one that serves both at once nobody knows which it works for: so it is not told.
    Story {
        name: "two requests at once",
        clients: 2,
        steps: "user USER become %job [ listen %port
            serve-both [ take %one.token use %one.token @api ] ]",
        reaches: &[with("api", "one.token", STRONG)],
        opened: &[("one.token", None)],
        ..PLAIN
    },
    Story {
        name: "passed over a socket",
        programs: &["broker", "client", "neighbour"],
        secrets: &["one.token", "two.token"],
        steps: "pool
            [ user USER become %broker [ take %two.token send-fd %socket %one.token use %two.token @other ] ]
            [ user USER become %client [ take-passed %socket %one.token use %one.token @api touch %done ] ]
            [ user USER become %neighbour [ wait-for %done use-nothing @api ] ]",
        reaches: &[
            with("api", "one.token", STRONG),
            with("other", "two.token", 1).others(WEAK),
            without("api"),
        ],
        ..PLAIN
    },
    // Its text is passed, not a descriptor of it: that is not seen, and nothing is said.
    Story {
        name: "told over a socket",
        programs: &["broker", "client"],
        steps: "pool
            [ user USER become %broker [ take %one.token tell %socket %one.token ] ]
            [ user USER become %client [ take-told %socket %one.token use %one.token @api ] ]",
        reaches: &[with("api", "one.token", 0)],
        ..PLAIN
    },
    // As `cat .pgpass | psql` in a script, which downloads something then.
    Story {
        name: "a pipeline",
        programs: &["script", "cat", "psql", "curl"],
        secrets: &[".pgpass"],
        steps: "user USER become %script [
            pipe %cat [ take %.pgpass out %.pgpass ] %psql [ take-stdin %.pgpass use %.pgpass @db ]
            spawn %curl [ use-nothing @mirror ] ]",
        reaches: &[with("db", ".pgpass", STRONG), without("mirror").others(3)],
        ..PLAIN
    },
    // Of a token that names nothing, a pipeline says little.
    Story {
        name: "a pipeline with a token",
        programs: &["script", "cat", "curl"],
        steps: "user USER become %script [
            pipe %cat [ take %one.token out %one.token ] %curl [ take-stdin %one.token use %one.token @api ] ]",
        reaches: &[with("api", "one.token", 1)],
        ..PLAIN
    },
];

/// Two connections of one number, and of two processes.
fn one_number_two_processes(connections: &[&Value]) -> Result<()> {
    let [one, two] = connections else { anyhow::bail!("two should be: {connections:?}") };
    let pid = |of: &Value| at(of, "process.pid").as_u64().context("a process without a number");
    ensure!(pid(one)? == pid(two)?, "no number was used again: {connections:?}");
    ensure!(text(one, "process.exe") == text(two, "process.exe"), "two programs: {connections:?}");
    let start = |of: &Value| at(of, "process.start_ns").as_u64();
    ensure!(start(one) < start(two), "taken for one process: {connections:?}");
    ensure!(text(one, "run") != text(two, "run"), "taken for one run: {connections:?}");
    Ok(())
}

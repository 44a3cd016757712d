//! Which credential real clients open, and where they connect, on a Debian with servers of their own.
//!
//! Each client runs as a service of its own name, under an account that holds one credential of each kind, against a
//! server on the loopback device that accepts it. The chain must name actor, credential and destination. Its twin is the
//! same client against the same server without the credential, which must connect and leave none.
//!
//! Clients differ in what they do first. One that has opened its credential when it connects leaves a link; one that asks
//! for it only when the server wants it (ssh, git by its store) has connected by then: its opening has one. Of curl's key
//! the chain alone says so, for nothing tells what a key is for.

mod servers;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::house::shell;
use super::{KEY_ID, SECRET, is_action, is_chain, of_chain, port_is, verdict};
use crate::Place;
use crate::agent::Agent;
use crate::records::{Records, at, text};
pub use servers::before_boot;

/// One client with its credential.
struct Client {
    /// Of the test, and of its service.
    name: &'static str,
    /// What the service runs. Words are split at blanks.
    runs: &'static str,
    /// What stands elsewise in the twin's command.
    twin: (&'static str, &'static str),
    user: &'static str,
    opens: &'static str,
    kind: &'static str,
    /// An identifier that the credential must be known by: its name and its value, or that there is one.
    known_by: Option<(&'static str, &'static str)>,
    port: u16,
    /// The name under which the host knows the destination.
    destination: Option<&'static str>,
    link: Link,
}

/// What links the connection with the opening.
enum Link {
    /// The process that connects has opened before; what it opened names the destination.
    Names,
    /// The same, and it does not.
    After,
    /// The same, and whether it does is not said here.
    Any,
    /// It connects first, and opens when it is asked, by itself or by a helper: the opening says so.
    Asked,
    /// It connects first, and nothing says what the credential is for.
    Before,
}

/// Stands for any value of an identifier.
const ANY: &str = "*";

const CLIENTS: &[Client] = &[
    Client {
        name: "ssh",
        runs: "/usr/bin/ssh alice@127.0.0.1 true",
        twin: ("", ""),
        user: "deploy",
        opens: "/home/deploy/.ssh/id_ed25519",
        kind: "ssh-private-key",
        known_by: Some(("fingerprint", ANY)),
        port: 22,
        destination: None,
        link: Link::Asked,
    },
    Client {
        name: "git-ssh",
        runs: "/usr/bin/git ls-remote ssh://alice@127.0.0.1/srv/www/repo.git",
        twin: ("", ""),
        user: "deploy",
        opens: "/home/deploy/.ssh/id_ed25519",
        kind: "ssh-private-key",
        known_by: Some(("fingerprint", ANY)),
        port: 22,
        destination: None,
        link: Link::Asked,
    },
    // A helper reads the file and tells git by a pipe, when the server has asked.
    Client {
        name: "git-store",
        runs: "/usr/bin/git ls-remote http://127.0.0.1:8081/repo.git",
        twin: ("", ""),
        user: "builder",
        opens: "/home/builder/.git-credentials",
        kind: "git-credentials",
        known_by: Some(("user", "deploy")),
        port: servers::WEB,
        destination: None,
        link: Link::Asked,
    },
    Client {
        name: "git-netrc",
        runs: "/usr/bin/git ls-remote http://127.0.0.1:8081/repo.git",
        twin: ("", ""),
        user: "deploy",
        opens: "/home/deploy/.netrc",
        kind: "netrc",
        known_by: Some(("entry", "deploy@127.0.0.1")),
        port: servers::WEB,
        destination: None,
        link: Link::Names,
    },
    Client {
        name: "curl-netrc",
        runs: "/usr/bin/curl --silent --fail --netrc http://127.0.0.1:8081/hello",
        twin: ("--netrc ", ""),
        user: "deploy",
        opens: "/home/deploy/.netrc",
        kind: "netrc",
        known_by: Some(("entry", "deploy@127.0.0.1")),
        port: servers::WEB,
        destination: None,
        link: Link::Names,
    },
    Client {
        name: "psql",
        runs: "/usr/bin/psql --host=127.0.0.1 --username=deploy --no-password --dbname=orders --command=select",
        twin: ("", ""),
        user: "deploy",
        opens: "/home/deploy/.pgpass",
        kind: "pgpass",
        known_by: Some(("entry", "deploy@127.0.0.1:5432/orders")),
        port: 5432,
        destination: None,
        link: Link::Names,
    },
    Client {
        name: "aws",
        runs: "/usr/bin/aws --endpoint-url http://127.0.0.1:4566 --region us-east-1 sts get-caller-identity",
        twin: ("/usr/bin/aws", "/usr/bin/aws --no-sign-request"),
        user: "deploy",
        opens: "/home/deploy/.aws/credentials",
        kind: "aws-access-key",
        known_by: Some(("key_id", KEY_ID)),
        port: servers::CLOUD,
        destination: None,
        link: Link::After,
    },
    Client {
        name: "skopeo",
        runs: "/usr/bin/skopeo list-tags --tls-verify=false docker://127.0.0.1:5000/house",
        twin: ("", ""),
        user: "deploy",
        opens: "/home/deploy/.config/containers/auth.json",
        kind: "docker-config",
        known_by: Some(("entry", "deploy@127.0.0.1")),
        port: servers::REGISTRY,
        destination: None,
        link: Link::Names,
    },
    Client {
        name: "podman-login",
        runs: "/usr/bin/podman login --tls-verify=false 127.0.0.1:5000",
        twin: ("login", "login --authfile=/srv/public/auth.json --username=me --password=mine"),
        user: "root",
        opens: "/run/containers/0/auth.json",
        kind: "docker-config",
        known_by: Some(("entry", "deploy@127.0.0.1")),
        port: servers::REGISTRY,
        destination: None,
        link: Link::Names,
    },
    Client {
        name: "kubectl",
        runs: "/usr/bin/kubectl get --raw /healthz",
        twin: ("get", "--server=https://kube.house:6443 --insecure-skip-tls-verify --token=mine get"),
        user: "deploy",
        opens: "/home/deploy/.kube/config",
        kind: "kubeconfig",
        known_by: Some(("context", "deploy@house")),
        port: servers::KUBE,
        destination: Some("kube.house"),
        link: Link::Names,
    },
    Client {
        name: "restic",
        runs: "/usr/bin/restic --no-cache --repo rest:http://127.0.0.1:8083/ --password-file /etc/restic/password init",
        twin: ("/ --password-file /etc/restic", "/twin/ --password-file /srv/public"),
        user: "deploy",
        opens: "/etc/restic/password",
        kind: "backup-key",
        known_by: None,
        port: servers::BACKUP,
        destination: None,
        link: Link::After,
    },
    Client {
        name: "rclone",
        runs: "/usr/bin/rclone lsf store:",
        twin: ("store:", ":webdav: --webdav-url=http://127.0.0.1:8082 --retries=1"),
        user: "deploy",
        opens: "/home/deploy/.config/rclone/rclone.conf",
        kind: "rclone",
        known_by: None,
        port: servers::STORE,
        destination: None,
        link: Link::Any,
    },
    Client {
        name: "openssl-key",
        runs: "/usr/bin/openssl s_client -connect 127.0.0.1:8443 -cert /etc/ssl/client.pem -key /etc/ssl/private/client.key",
        twin: (" -cert /etc/ssl/client.pem -key /etc/ssl/private/client.key", ""),
        user: "deploy",
        opens: "/etc/ssl/private/client.key",
        kind: "tls-private-key",
        known_by: None,
        port: servers::TLS,
        destination: None,
        link: Link::After,
    },
    Client {
        name: "curl-key",
        runs: "/usr/bin/curl --silent --insecure --cert /etc/ssl/client.pem --key /etc/ssl/private/client.key \
            https://tls.house:8443/",
        twin: ("--cert /etc/ssl/client.pem --key /etc/ssl/private/client.key ", ""),
        user: "deploy",
        opens: "/etc/ssl/private/client.key",
        kind: "tls-private-key",
        known_by: None,
        port: servers::TLS,
        destination: Some("tls.house"),
        link: Link::Before,
    },
];

/// Runs each client and its twin, and asks the records. One verdict a client.
///
/// # Errors
/// Where the servers or the agent do not start.
pub fn clients(place: &Place) -> Result<()> {
    let _servers = servers::start().context("start the servers")?;
    let mut agent = Agent::start(place, "clients", "")?;
    for client in CLIENTS {
        verdict(place, &format!("client-{}", client.name), client.take(&mut agent.records));
    }
    let (status, records) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    ensure!(!records.shown().contains(SECRET), "the secret left its file");
    Ok(())
}

impl Client {
    /// All that is wrong of it, in one message.
    fn take(&self, records: &mut Records) -> Result<()> {
        let unit = format!("client-{}", self.name);
        shell(&format!("{} {}", service(&unit, self.user), self.runs))?;
        let told = |found: Result<Vec<String>>| found.unwrap_or_else(|error| vec![format!("{error:#}")]);
        let mut wrong = told(self.with(&unit, records));
        let twin = format!("{unit}-twin");
        let user = if self.user == "root" { "root" } else { "guest" };
        let runs = self.runs.replacen(self.twin.0, self.twin.1, 1);
        // That it is refused is none of our business.
        shell(&format!("{} {runs} || true", service(&twin, user)))?;
        wrong.extend(told(self.without(&twin, records)));
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    }

    fn with(&self, unit: &str, records: &mut Records) -> Result<Vec<String>> {
        let closed = ended(unit, records)?;
        let of = of_chain(records, text(&closed, "chain"));
        let mut wrong = Vec::new();
        let mut must = |holds: bool, what: &str, shown: &Value| {
            if !holds {
                wrong.push(format!("{what}: {shown}"));
            }
        };
        let actor = at(&closed, "actor");
        must(text(actor, "kind") == "systemd-service", "the kind of actor", actor);
        must(text(actor, "user") == self.user, "the user", actor);
        let held = at(&closed, "summary.credentials");
        must(only(held).is_some_and(|held| self.is_it(held)), "the credential", held);
        let reached = at(&closed, "summary.destinations");
        let is_there = |to: &Value| {
            at(to, "port") == self.port
                && at(to, "ip") == "127.0.0.1"
                && at(to, "established").as_u64() > Some(0)
                && self.destination.is_none_or(|name| text(to, "name") == name)
        };
        must(reached.as_array().is_some_and(|all| all.iter().any(is_there)), "the destination", reached);
        let connects = of.iter().filter(|record| is_action(record, "connect") && port_is(self.port)(record));
        let linked: Vec<&Value> =
            connects.map(|record| at(record, "link")).filter(|link| link.is_object()).collect();
        let says = |link: &&Value, fact: &str| at(link, "facts").to_string().contains(fact);
        let shown = Value::from(linked.iter().map(|link| (*link).clone()).collect::<Vec<_>>());
        let first = matches!(self.link, Link::Before | Link::Asked);
        must(linked.is_empty() == first, "whether there is a link", &shown);
        let opened = of.iter().filter(|record| is_action(record, "secret.open"));
        let asked: Vec<&str> = opened.map(|record| text(record, "link.relation")).collect();
        // The first counts: who keeps a connection and asks again opens again.
        let asked_for = asked.first() == Some(&"opened_while_connected");
        must(
            asked_for == matches!(self.link, Link::Asked),
            "whether the opening has one",
            &Value::from(asked),
        );
        let same = linked.iter().all(|link| text(link, "basis") == "same-process");
        must(same, "the basis of the link", &shown);
        let names = linked.iter().any(|link| says(link, "destination-named"));
        match self.link {
            Link::Names => must(names, "that the credential names the destination", &shown),
            Link::After => must(!names, "that the credential does not name the destination", &shown),
            Link::Any | Link::Asked | Link::Before => {}
        }
        Ok(wrong)
    }

    fn is_it(&self, held: &Value) -> bool {
        let known = self.known_by.is_none_or(|(name, value)| {
            let found = at(at(held, "identifiers"), name).to_string();
            found != "null" && (value == ANY || found.contains(value))
        });
        known && text(held, "kind") == self.kind && text(held, "path") == self.opens
    }

    fn without(&self, unit: &str, records: &mut Records) -> Result<Vec<String>> {
        let closed = ended(unit, records)?;
        let mut wrong = Vec::new();
        let held = at(&closed, "summary.credentials");
        if held.as_array().is_some_and(|held| !held.is_empty()) {
            wrong.push(format!("the twin holds {held}"));
        }
        for record in of_chain(records, text(&closed, "chain")) {
            if is_action(record, "connect") && !at(record, "link").is_null() {
                wrong.push(format!("the twin's connection is linked: {record}"));
            }
        }
        let reached = at(&closed, "summary.destinations");
        if !reached.as_array().is_some_and(|all| all.iter().any(|to| at(to, "port") == self.port)) {
            wrong.push(format!("the twin reached {reached}"));
        }
        Ok(wrong)
    }
}

/// Runs what follows as a service of this name, and waits for its end.
fn service(unit: &str, user: &str) -> String {
    let variables = "GIT_TERMINAL_PROMPT=0 AWS_EC2_METADATA_DISABLED=true";
    let variables: String = variables.split(' ').map(|variable| format!(" --setenv={variable}")).collect();
    format!("systemd-run --quiet --wait --pipe --unit={unit} --property=User={user}{variables}")
}

fn ended(unit: &str, records: &mut Records) -> Result<Value> {
    let id = format!("systemd:{unit}.service");
    records.wait(&format!("the closed chain of {id}"), |record| {
        is_chain(record, "closed") && text(record, "actor.id") == id
    })
}

fn only(list: &Value) -> Option<&Value> {
    match list.as_array()?.as_slice() {
        [one] => Some(one),
        _ => None,
    }
}

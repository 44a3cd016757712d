//! What a client's arguments ask for: a program in a container that runs. A table of clients, and how each reads its flags.

use crate::lineage::{Process, basename};

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Words {
    /// This program, in that container.
    Asked {
        /// Where.
        target: Target,
        /// What is to be executed.
        command: Vec<Vec<u8>>,
    },
    /// An execution, of which the arguments are not understood as a whole, or were cut.
    Unread,
}

/// Where, as the arguments name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// An id, the beginning of one, or a name.
    Container(String),
    /// A pod of Kubernetes, and what more of it is named.
    Pod { name: String, namespace: Option<String>, container: Option<String> },
}

/// A program by which people ask a daemon for an execution.
#[derive(Debug)]
pub(super) struct Client {
    program: &'static [u8],
    /// Which subcommands are an execution.
    verbs: &'static [&'static [&'static str]],
    before: Flags,
    after: Flags,
    /// Names may have one dash (`-exec-id`), as Go's own package has them.
    one_dash: bool,
    /// Runtimes whose containers it enters; none of one that names pods.
    pub(super) runtimes: &'static [&'static str],
    /// Kinds of sockets by which it reaches their daemon; none of one that goes over the network.
    pub(super) sockets: &'static [&'static str],
    /// How much of an id it takes for a container's.
    pub(super) by: By,
}

/// What a client takes for the name of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// An id in full.
    Whole,
    /// The beginning of an id; or a name, where the agent learns those.
    Beginning,
    /// A pod's name.
    Pod,
}

/// Flags with a value of their own, and flags without. One letter is a short one.
#[derive(Debug)]
struct Flags {
    valued: &'static [&'static str],
    plain: &'static [&'static str],
}

const EXEC: &[&[&str]] = &[&["exec"], &["container", "exec"]];
const CLIENTS: &[Client] = &[
    Client {
        program: b"docker",
        verbs: EXEC,
        before: Flags {
            valued: &[
                "config",
                "context",
                "c",
                "host",
                "H",
                "log-level",
                "l",
                "tlscacert",
                "tlscert",
                "tlskey",
            ],
            plain: &["debug", "D", "tls", "tlsverify"],
        },
        after: ENTERING,
        one_dash: false,
        runtimes: &["docker", "podman"],
        sockets: &["docker-socket", "podman-socket"],
        by: By::Beginning,
    },
    Client {
        program: b"podman",
        verbs: EXEC,
        before: Flags {
            valued: &[
                "connection",
                "c",
                "url",
                "identity",
                "log-level",
                "root",
                "runroot",
                "runtime",
                "cgroup-manager",
            ],
            plain: &["remote", "r", "syslog"],
        },
        after: ENTERING,
        one_dash: false,
        runtimes: &["podman"],
        sockets: &["podman-socket", "docker-socket"],
        by: By::Beginning,
    },
    Client {
        program: b"nerdctl",
        verbs: EXEC,
        before: Flags {
            valued: &[
                "address",
                "a",
                "host",
                "H",
                "namespace",
                "n",
                "snapshotter",
                "storage-driver",
                "data-root",
                "cni-path",
                "cni-netconfpath",
                "cgroup-manager",
                "hosts-dir",
            ],
            plain: &["debug", "debug-full", "insecure-registry", "experimental"],
        },
        after: ENTERING,
        one_dash: false,
        runtimes: &["nerdctl", "containerd"],
        sockets: &["containerd-socket"],
        by: By::Beginning,
    },
    Client {
        program: b"ctr",
        verbs: &[&["task", "exec"], &["tasks", "exec"], &["t", "exec"]],
        before: Flags {
            valued: &["address", "a", "namespace", "n", "timeout", "connect-timeout"],
            plain: &["debug"],
        },
        after: Flags {
            valued: &["exec-id", "cwd", "user", "log-uri", "fifo-dir"],
            plain: &["tty", "t", "detach", "d"],
        },
        one_dash: true,
        runtimes: &["containerd", "nerdctl", "cri"],
        sockets: &["containerd-socket"],
        by: By::Whole,
    },
    Client {
        program: b"crictl",
        verbs: &[&["exec"]],
        before: Flags {
            valued: &["config", "c", "runtime-endpoint", "r", "image-endpoint", "i", "timeout", "t"],
            plain: &["debug", "D"],
        },
        after: Flags {
            valued: &["timeout", "transport", "r"],
            plain: &["tty", "t", "interactive", "i", "sync", "s"],
        },
        one_dash: true,
        runtimes: &["containerd", "cri", "crio", "docker"],
        sockets: &["containerd-socket", "crio-socket", "docker-socket"],
        by: By::Beginning,
    },
    Client {
        program: b"kubectl",
        verbs: &[&["exec"]],
        before: KUBECTL,
        after: KUBECTL,
        one_dash: false,
        runtimes: &[],
        sockets: &[],
        by: By::Pod,
    },
];

/// Those of `docker exec`, which others took over.
const ENTERING: Flags = Flags {
    valued: &["detach-keys", "env", "e", "env-file", "user", "u", "workdir", "w", "preserve-fds"],
    plain: &["detach", "d", "interactive", "i", "tty", "t", "privileged"],
};
const KUBECTL: Flags = Flags {
    valued: &[
        "namespace",
        "n",
        "context",
        "cluster",
        "user",
        "kubeconfig",
        "server",
        "s",
        "token",
        "as",
        "as-group",
        "as-uid",
        "cache-dir",
        "certificate-authority",
        "client-certificate",
        "client-key",
        "request-timeout",
        "tls-server-name",
        "v",
        "username",
        "password",
        "container",
        "c",
        "pod-running-timeout",
    ],
    plain: &["stdin", "i", "tty", "t", "quiet", "q", "insecure-skip-tls-verify", "match-server-version"],
};
/// Where many clients are one program.
const MANY: &[u8] = b"k3s";

/// What was asked for, where a program is a client and asks for an execution.
pub(super) fn asked(process: &Process) -> Option<(&'static Client, Words)> {
    let program = basename(&process.program.exe.bytes);
    let (first, rest) = process.program.argv.split_first()?;
    let (program, arguments) = match rest.split_first() {
        _ if program != MANY => (program, rest),
        Some((second, rest)) if basename(first) == MANY => (second.as_slice(), rest),
        _ => (basename(first), rest),
    };
    let client = CLIENTS.iter().find(|client| client.program == program)?;
    let words = match client.read(arguments) {
        Ok(found) => found?,
        // Another subcommand with flags of its own is no execution, unless the word is there.
        Err(Unread) => arguments.iter().any(|argument| argument == b"exec").then_some(Words::Unread)?,
    };
    Some((client, if process.program.argv_truncated { Words::Unread } else { words }))
}

/// A flag that is not known, or none of what has to be there.
struct Unread;

/// Flags and their values, until something else.
struct Reader<'a> {
    rest: &'a [Vec<u8>],
    one_dash: bool,
    found: Vec<(&'a str, &'a [u8])>,
    /// `--` was there.
    ended: bool,
}

impl Client {
    /// Where and what; `None` where it is no execution.
    fn read(&self, arguments: &[Vec<u8>]) -> Result<Option<Words>, Unread> {
        let mut reader = Reader { rest: arguments, one_dash: self.one_dash, found: Vec::new(), ended: false };
        reader.flags(&self.before)?;
        let is_verb = |verb: &&&[&str]| {
            let words = reader.rest.get(..verb.len());
            words.is_some_and(|words| words.iter().zip(**verb).all(|(word, verb)| word == verb.as_bytes()))
        };
        let Some(verb) = self.verbs.iter().find(is_verb) else {
            return Ok(None);
        };
        reader.rest = reader.rest.get(verb.len()..).unwrap_or_default();
        reader.flags(&self.after)?;
        let name = text(reader.next().ok_or(Unread)?)?;
        if self.by != By::Pod {
            return asking(Target::Container(name), reader.rest).map(Some);
        }
        // Of kubectl flags may follow, and `--` must.
        while !reader.ended {
            let before = reader.rest.len();
            reader.flags(&self.after)?;
            if !reader.ended && reader.rest.len() == before {
                return Err(Unread);
            }
        }
        let value = |names: [&str; 2]| {
            let found = reader.found.iter().rev().find(|(name, _)| names.contains(name));
            found.map(|(_, value)| text(value)).transpose()
        };
        let (namespace, container) = (value(["namespace", "n"])?, value(["container", "c"])?);
        let name = ["pod/", "pods/", "po/"].iter().find_map(|kind| name.strip_prefix(kind)).unwrap_or(&name);
        // `deploy/web`: which pod that was, the API server chose.
        if name.contains('/') {
            return Err(Unread);
        }
        let target = Target::Pod { name: name.to_owned(), namespace, container };
        asking(target, reader.rest).map(Some)
    }
}

fn asking(target: Target, command: &[Vec<u8>]) -> Result<Words, Unread> {
    if command.is_empty() { Err(Unread) } else { Ok(Words::Asked { target, command: command.to_vec() }) }
}

fn text(bytes: &[u8]) -> Result<String, Unread> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Unread)
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn flags(&mut self, flags: &Flags) -> Result<(), Unread> {
        while let Some(argument) = self.rest.first().filter(|argument| argument.len() > 1) {
            let Some(name) = argument.strip_prefix(b"-") else {
                return Ok(());
            };
            self.next();
            if name == b"-" {
                self.ended = true;
                return Ok(());
            }
            let long = name.strip_prefix(b"-");
            let name = std::str::from_utf8(long.unwrap_or(name)).map_err(|_| Unread)?;
            if long.is_some() || self.one_dash && flags.knows(name.split('=').next().unwrap_or(name)) {
                self.named(flags, name)?;
            } else {
                self.letters(flags, name)?;
            }
        }
        Ok(())
    }

    fn named(&mut self, flags: &Flags, name: &'a str) -> Result<(), Unread> {
        let (name, value) = name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)));
        if flags.valued.contains(&name) {
            let value = value.map(str::as_bytes).or_else(|| self.next()).ok_or(Unread)?;
            self.found.push((name, value));
            return Ok(());
        }
        if flags.plain.contains(&name) { Ok(()) } else { Err(Unread) }
    }

    /// `-itu root`, `-uroot`, `-u=root`
    fn letters(&mut self, flags: &Flags, letters: &'a str) -> Result<(), Unread> {
        for (at, letter) in letters.char_indices() {
            let after = at.saturating_add(letter.len_utf8());
            let (name, rest) = (letters.get(at..after).ok_or(Unread)?, letters.get(after..).ok_or(Unread)?);
            if flags.valued.contains(&name) {
                let value = rest.strip_prefix('=').unwrap_or(rest);
                let value = if rest.is_empty() { self.next().ok_or(Unread)? } else { value.as_bytes() };
                self.found.push((name, value));
                return Ok(());
            }
            if !flags.plain.contains(&name) {
                return Err(Unread);
            }
            // `-t=false`
            if rest.starts_with('=') {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Flags {
    fn knows(&self, name: &str) -> bool {
        self.valued.contains(&name) || self.plain.contains(&name)
    }
}

/// Whether a process runs what was asked for. Of a script, the kernel has put the interpreter before it.
pub(super) fn runs(process: &Process, command: &[Vec<u8>]) -> bool {
    if process.program.argv_truncated {
        return false;
    }
    if process.program.argv == command {
        return true;
    }
    let Some((name, rest)) = command.split_first().filter(|_| process.program.script.is_some()) else {
        return false;
    };
    let script = process.program.argv.len().checked_sub(rest.len().saturating_add(1));
    let script = script.and_then(|at| process.program.argv.get(at..)).and_then(<[_]>::split_first);
    script.is_some_and(|(script, after)| after == rest && basename(script) == basename(name))
}

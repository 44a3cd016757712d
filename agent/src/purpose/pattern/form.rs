//! Patterns of actors that no id of their kind fits: no mistake, for a later version may know more kinds, and yet nobody
//! who writes one means it.

use super::actor::ActorPattern;

/// How ids of a kind are built: `agent/src/actor/grammar.md`.
struct Form {
    kind: &'static str,
    /// How many `:` are behind the kind, at least and at most.
    colons: (usize, usize),
    last: Last,
    told: &'static str,
}

/// What the last part is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// A path, of few a word alone.
    Program,
    Service,
    /// Neither has a `/` in it.
    Name,
    /// Anything.
    Open,
}

const MANY: usize = usize::MAX;

const FORMS: [Form; 9] = [
    // Names of units may have a `:` in them.
    form("systemd", (0, MANY), Last::Service, "systemd:<unit>.service"),
    form("user-unit", (1, MANY), Last::Name, "user-unit:<user>:<unit>"),
    form("cron", (1, MANY), Last::Program, "cron:<user>:<program>"),
    form("ci", (1, MANY), Last::Open, "ci:<runner>:<user>[:<project>]"),
    form("kubernetes", (1, 1), Last::Name, "kubernetes:<namespace>:<account>"),
    form("container", (1, 2), Last::Name, "container:<runtime>:[<user>:]<id>"),
    form("ai", (1, MANY), Last::Open, "ai:<agent>:<user>[:<program>]"),
    form("user", (1, MANY), Last::Program, "user:<user>:<program>"),
    form("session", (1, 1), Last::Name, "session:<user>:<session>"),
];

const fn form(kind: &'static str, colons: (usize, usize), last: Last, told: &'static str) -> Form {
    Form { kind, colons, last, told }
}

/// Why a pattern claims nobody, where it does: behind the pattern itself.
pub(in crate::purpose) fn claims_nobody(pattern: &ActorPattern) -> Option<String> {
    let (kind, rest) = pattern.text().split_once(':')?;
    let Some(form) = FORMS.iter().find(|form| form.kind == kind) else {
        return Some(format!("is nobody's id: there is no kind of actor `{kind}`"));
    };
    // A wildcard stands for neither, so an id has as many of them as the pattern.
    let colons = rest.matches(':').count();
    let fits = (form.colons.0..=form.colons.1).contains(&colons)
        && match form.last {
            Last::Service => !rest.contains('/') && may_end(rest, ".service"),
            Last::Name => !rest.contains('/'),
            Last::Program | Last::Open => true,
        };
    if !fits {
        return Some(format!("is nobody's id: these are `{}`, and `*` is no `:` and no `/`", form.told));
    }
    let program = rest.split_once(':').map_or("", |(_, program)| program);
    let misses = form.last == Last::Program && program.starts_with('*') && !program.contains('/');
    misses.then(|| {
        format!(
            "claims no program that is a path, for `*` is no `/`: ids are `{}`, as in `/usr/bin/*`",
            form.told
        )
    })
}

/// Whether a text that a pattern matches may have this end.
fn may_end(pattern: &str, end: &str) -> bool {
    match pattern.rsplit_once('*') {
        Some((_, tail)) => tail.ends_with(end) || end.ends_with(tail),
        None => pattern.ends_with(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nobody(text: &str) -> Option<String> {
        claims_nobody(&ActorPattern::parse(text).unwrap())
    }

    /// As the grammar has them, each with all its parts and without those it may lack.
    #[test]
    fn ids_and_patterns_that_fit_some() {
        for id in [
            "systemd:backup.service",
            "systemd:odd:name.service",
            "systemd:backup@*.service",
            "systemd:backup*",
            "systemd:*",
            "systemd:back*.ser*",
            "systemd:*e",
            "user-unit:alice:sync.service",
            "user-unit:*:init.scope",
            "cron:backup:/usr/bin/mysqldump",
            "cron:*:/usr/bin/*",
            "cron:backup:*/mysqldump",
            "cron:backup:rotate*",
            "cron:root:?",
            "ci:github:runner",
            "ci:gitlab:runner:group/project",
            "ci:*:*",
            "kubernetes:shop:cart",
            "kubernetes:*:*",
            "container:docker:0123456789ab",
            "container:podman:alice:0123456789ab",
            "container:docker:*",
            "ai:codex:alice",
            "ai:codex:alice:/usr/bin/psql",
            "user:svc:/memfd:job",
            "user:*:/opt/jobs/*",
            "session:alice:3",
            "session:*:*",
        ] {
            assert_eq!(nobody(id), None, "{id}");
        }
    }

    #[test]
    fn patterns_that_fit_none() {
        for pattern in [
            "systemd:backup",
            "systemd:backup.timer",
            "systemd:backup@*.timer",
            "systemd:a/b.service",
            "user-unit:alice",
            "user-unit:*",
            "cron:*",
            "cron:/usr/bin/mysqldump",
            "ci:github",
            "kubernetes:*",
            "kubernetes:prod/web",
            "kubernetes:prod:web:x",
            "container:*",
            "container:a:b:c:d",
            "ai:codex",
            "user:*",
            "session:alice",
            "session:alice:3:4",
        ] {
            let told = nobody(pattern).unwrap_or_else(|| panic!("{pattern}"));
            let kind = pattern.split(':').next().unwrap();
            assert!(told.starts_with(&format!("is nobody's id: these are `{kind}:")), "{told}");
        }
        assert_eq!(nobody("service:a").unwrap(), "is nobody's id: there is no kind of actor `service`");
        for pattern in ["cron:*:*", "cron:backup:*", "user:svc:*dump"] {
            assert!(nobody(pattern).unwrap().starts_with("claims no program that is a path"), "{pattern}");
        }
    }
}

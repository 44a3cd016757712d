//! What differs between two configs, key by key, and what of it can hold without a restart.

use super::{Config, Credentials, Filter, FindingsConfig, LogConfig, SinkConfig, StoreConfig};

/// A key whose value is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `section.key`; of a sink `sink.NAME.key`, or `sink.NAME` where it is there in one of them only.
    pub key: String,
    /// Whether it can hold while the agent runs.
    pub live: bool,
}

#[derive(Default)]
struct Changes(Vec<Change>);

impl Changes {
    fn key<T: PartialEq>(&mut self, key: &str, live: bool, before: &T, after: &T) {
        if before != after {
            self.0.push(Change { key: key.to_owned(), live });
        }
    }
}

impl Config {
    /// What another config says otherwise. Every field is named here, so that a new key has to be thought of.
    #[must_use]
    pub fn changes(&self, new: &Config) -> Vec<Change> {
        let mut found = Changes::default();
        let Config {
            scope,
            credentials,
            kubernetes,
            store,
            chain,
            findings,
            canary,
            inventory,
            purposes,
            sinks,
            telemetry,
            log,
        } = self;
        found.key("scope.cgroups", false, &scope.cgroups, &new.scope.cgroups);
        let Credentials { paths, catalogue, fingerprint_key, environment } = credentials;
        found.key("credentials.paths", true, paths, &new.credentials.paths);
        found.key("credentials.catalogue", true, catalogue, &new.credentials.catalogue);
        found.key("credentials.fingerprint_key", false, fingerprint_key, &new.credentials.fingerprint_key);
        found.key("credentials.environment", true, environment, &new.credentials.environment);
        found.key("kubernetes", false, kubernetes, &new.kubernetes);
        let StoreConfig { path, keep, max_bytes } = store;
        found.key("store.path", false, path, &new.store.path);
        found.key("store.keep", true, keep, &new.store.keep);
        found.key("store.max_bytes", true, max_bytes, &new.store.max_bytes);
        found.key("chain", false, chain, &new.chain);
        let FindingsConfig { learn, off } = findings;
        found.key("findings.learn", true, learn, &new.findings.learn);
        found.key("findings.off", true, off, &new.findings.off);
        found.key("canary.every", false, &canary.every, &new.canary.every);
        found.key("inventory", false, inventory, &new.inventory);
        found.key("purposes.path", true, &purposes.path, &new.purposes.path);
        found.key("telemetry.listen", false, &telemetry.listen, &new.telemetry.listen);
        let LogConfig { level, probes } = log;
        found.key("log.level", true, level, &new.log.level);
        found.key("log.probes", false, probes, &new.log.probes);
        changed_sinks(sinks, &new.sinks, &mut found);
        found.0
    }

    /// This config with all that is live of another one.
    #[must_use]
    pub fn with_live(&self, new: &Config) -> Config {
        let mut config = self.clone();
        config.credentials = Credentials {
            fingerprint_key: self.credentials.fingerprint_key.clone(),
            ..new.credentials.clone()
        };
        config.store = StoreConfig { path: self.store.path.clone(), ..new.store.clone() };
        config.findings = new.findings.clone();
        config.purposes = new.purposes.clone();
        config.log.level = new.log.level;
        for sink in &mut config.sinks {
            if let Some(newer) = new.sinks.iter().find(|newer| newer.name == sink.name) {
                sink.filter.clone_from(&newer.filter);
            }
        }
        config
    }
}

fn changed_sinks(before: &[SinkConfig], after: &[SinkConfig], found: &mut Changes) {
    let named = |list: &[SinkConfig], name: &str| list.iter().any(|sink| sink.name == name);
    for SinkConfig { name, kind, format, filter } in before {
        let Some(newer) = after.iter().find(|newer| newer.name == *name) else {
            found.key(&format!("sink.{name}"), false, &true, &false);
            continue;
        };
        let same = (kind, format) == (&newer.kind, &newer.format);
        found.key(&format!("sink.{name}"), false, &same, &true);
        let Filter { types, actions, actors, min_severity } = filter;
        found.key(&format!("sink.{name}.types"), true, types, &newer.filter.types);
        found.key(&format!("sink.{name}.actions"), true, actions, &newer.filter.actions);
        found.key(&format!("sink.{name}.actors"), true, actors, &newer.filter.actors);
        found.key(&format!("sink.{name}.min_severity"), true, min_severity, &newer.filter.min_severity);
    }
    for newer in after.iter().filter(|newer| !named(before, &newer.name)) {
        found.key(&format!("sink.{}", newer.name), false, &false, &true);
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    /// Every key of the file, each with a value that is not its default, and whether it is live.
    const KEYS: &[(&str, &str, bool)] = &[
        ("scope", "cgroups = [\"/a\"]", false),
        ("credentials", "paths = [\"/srv/a\"]", true),
        ("credentials", "catalogue = \"/srv/c.toml\"", true),
        ("credentials", "fingerprint_key = \"/srv/key\"", false),
        ("credentials", "environment = false", true),
        ("kubernetes", "pods = \"/run/pods\"", false),
        ("kubernetes", "token = \"/run/token\"", false),
        ("kubernetes", "ca = \"/run/ca\"", false),
        ("kubernetes", "trust_domain = \"a.b\"", false),
        ("store", "path = \"/data\"", false),
        ("store", "keep = \"1d\"", true),
        ("store", "max_bytes = \"1GiB\"", true),
        ("chain", "quiet = \"1m\"", false),
        ("chain", "max_actions = 16", false),
        ("chain", "max_open = 16", false),
        ("findings", "learn = \"1d\"", true),
        ("findings", "off = [\"fan-out\"]", true),
        ("canary", "every = \"1h\"", false),
        ("inventory", "first = \"1h\"", false),
        ("inventory", "every = \"1h\"", false),
        ("purposes", "path = \"/srv/p\"", true),
        ("telemetry", "listen = \"127.0.0.1:1\"", false),
        ("log", "level = \"debug\"", true),
        ("log", "probes = \"warn\"", false),
    ];

    #[test]
    fn every_key_is_live_or_waits() {
        let before = Config::default();
        let all = super::super::keys::KEYS.iter().filter(|key| key.section != "sink").count();
        assert_eq!(KEYS.len(), all, "a key that is not here");
        for (section, line, live) in KEYS {
            let after = parse("t", &format!("[{section}]\n{line}\n")).unwrap();
            let changes = before.changes(&after);
            let [change] = changes.as_slice() else { panic!("{line}: {changes:?}") };
            assert_eq!(change.live, *live, "{line}");
            assert!(change.key.starts_with(section), "{line}: {change:?}");
            // What is live holds afterwards, and nothing else does.
            let merged = before.with_live(&after);
            assert_eq!(merged == after, *live, "{line}");
            assert_eq!(merged.changes(&after).is_empty(), *live, "{line}");
        }
    }

    #[test]
    fn of_sinks_what_they_get_is_live_and_what_they_are_is_not() {
        let config = |text: &str| parse("t", text).unwrap();
        let sink = |name: &str, more: &str| {
            format!("[[sink]]\nname = \"{name}\"\ntype = \"file\"\npath = \"/{name}\"\n{more}\n")
        };
        let before = config(&[sink("a", ""), sink("b", "")].concat());
        let after = config(&[sink("a", "types = [\"finding\"]\nformat = \"ecs\""), sink("c", "")].concat());
        let changes: Vec<(String, bool)> =
            before.changes(&after).into_iter().map(|change| (change.key, change.live)).collect();
        let expected = [("sink.a", false), ("sink.a.types", true), ("sink.b", false), ("sink.c", false)];
        assert_eq!(changes, expected.map(|(key, live)| (key.to_owned(), live)));
        let merged = before.with_live(&after);
        assert_eq!(merged.sinks[0].filter.types, ["finding"]);
        assert_eq!(merged.sinks[0].format, before.sinks[0].format);
        assert_eq!(merged.sinks.len(), 2);
    }
}

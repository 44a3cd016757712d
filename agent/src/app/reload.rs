//! What can change while the agent runs: purposes, and of the config what needs no restart. Read at the start and whenever
//! somebody asks for it (SIGHUP), beside the pipeline. All that is read is good, or nothing of it holds.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use sd_notify::NotifyState;
use tokio::sync::watch;

use super::purposes::{Loaded, PurposesError, TOLD_MAX, lines, load};
use super::{RunOptions, inventory};
use crate::config::{self, Config, ConfigError};
use crate::credential::{Catalogue, CatalogueError};
use crate::forward::Filters;
use crate::pipeline::worker::{Fresh, Reload, Settings};
use crate::store::Retention;
use crate::telemetry::log;

/// What is in force.
pub(super) struct InForce {
    pub(super) config: Config,
    /// Where the config was read; `None` where there is none: then only purposes are read again.
    pub(super) path: Option<PathBuf>,
    pub(super) catalogue: Arc<Catalogue>,
    /// Somebody has declared purposes.
    pub(super) declared: bool,
    /// Tells sinks what they get.
    pub(super) filters: watch::Sender<Filters>,
}

/// A config that was read again, and is good.
struct Newer {
    config: Config,
    catalogue: Arc<Catalogue>,
    changed: Vec<String>,
    waiting: Vec<String>,
}

impl InForce {
    /// What the agent starts with. Purposes are not read yet.
    pub(super) fn new(
        options: &RunOptions,
        catalogue: &Arc<Catalogue>,
        filters: watch::Sender<Filters>,
    ) -> Self {
        InForce {
            config: options.config.clone(),
            path: options.config_path.clone(),
            catalogue: Arc::clone(catalogue),
            declared: false,
            filters,
        }
    }

    /// Reads purposes for the first time: the config is read already.
    fn first(&mut self) -> Reload {
        match load(&self.config.purposes.path) {
            Ok(loaded) => Reload::Good(Box::new(self.fresh(loaded, None))),
            Err(error) => {
                tracing::error!("purposes: NOT taken over, actions get no verdict:\n{error}");
                Reload::Refused { purposes: error.lines(), config: Vec::new() }
            }
        }
    }

    /// Reads everything again. What holds here afterwards holds everywhere, once the pipeline has taken it.
    fn again(&mut self) -> Reload {
        let newer = self.path.clone().map(|path| self.read(&path));
        let purposes_at = match &newer {
            Some(Ok(newer)) => &newer.config.purposes.path,
            _ => &self.config.purposes.path,
        };
        // Also where the config is no good: all mistakes are told at once.
        let loaded = load(purposes_at);
        match (newer.transpose(), loaded) {
            (Ok(newer), Ok(loaded)) => {
                let fresh = self.fresh(loaded, newer);
                Reload::Good(Box::new(fresh))
            }
            (newer, purposes) => refused(newer.err(), purposes.err(), self.path.is_some()),
        }
    }

    fn read(&self, path: &std::path::Path) -> Result<Newer, Mistakes> {
        let config = config::load(path)?;
        let catalogue = Catalogue::new(&config.credentials)?.after(&self.catalogue);
        let (mut changed, mut waiting) = (Vec::new(), Vec::new());
        for change in self.config.changes(&config) {
            if change.live { changed.push(change.key) } else { waiting.push(change.key) }
        }
        let same = catalogue.same(&self.catalogue);
        let told = changed.iter().any(|key| key.starts_with("credentials."));
        if !same && !told {
            // Its file says something else.
            changed.push("credentials.catalogue".to_owned());
        }
        let catalogue = if same { Arc::clone(&self.catalogue) } else { Arc::new(catalogue) };
        let config = self.config.with_live(&config);
        Ok(Newer { config, catalogue, changed, waiting })
    }

    /// Puts in force what is the daemon's own, and gives what is the pipeline's.
    fn fresh(&mut self, loaded: Loaded, newer: Option<Newer>) -> Fresh {
        let settings = newer.map(|newer| {
            let Newer { config, catalogue, changed, waiting } = newer;
            if config.log.level != self.config.log.level && !log::set_level(config.log.level.as_str()) {
                tracing::error!("log.level: it stays what it was, the log cannot be changed");
            }
            self.filters.send_replace(filters(&config));
            tell(&changed, &waiting);
            (self.config, self.catalogue) = (config, catalogue);
            let store = &self.config.store;
            Settings {
                catalogue: Arc::clone(&self.catalogue),
                environment: self.config.credentials.environment,
                retention: Retention { keep: store.keep, max_bytes: store.max_bytes },
                findings: inventory::settings(&self.config.findings),
                changed,
                waiting,
            }
        });
        let path = self.config.purposes.path.display();
        let Loaded { purposes, texts, warnings, files } = loaded;
        for warning in &warnings {
            tracing::warn!("purposes: {warning}");
        }
        match files {
            None if self.declared => {
                tracing::warn!("purposes: {path} is GONE: actions get no verdict any more");
            }
            None => tracing::info!("purposes: there is no {path}: actions get no verdict"),
            Some(files) => {
                tracing::info!("purposes: {} in {files} files, set {}", purposes.len(), purposes.id());
            }
        }
        self.declared = files.is_some();
        Fresh { purposes: Arc::new(purposes), texts, there: files.is_some(), settings }
    }
}

/// What sinks get.
pub(super) fn filters(config: &Config) -> Filters {
    config.sinks.iter().map(|sink| (sink.name.clone(), sink.filter.clone())).collect()
}

fn tell(changed: &[String], waiting: &[String]) {
    match changed {
        [] => tracing::info!("config: read again; nothing changed that holds without a restart"),
        changed => tracing::warn!("config: read again; these hold now: {}", changed.join(", ")),
    }
    if !waiting.is_empty() {
        tracing::warn!("config: these changed and hold after a RESTART only: {}", waiting.join(", "));
    }
}

fn refused(config: Option<Mistakes>, purposes: Option<PurposesError>, configured: bool) -> Reload {
    if let Some(error) = &config {
        tracing::error!("config: NOT taken over, what was in force before stays in force:\n{error}");
    }
    if let Some(error) = &purposes {
        tracing::error!("purposes: NOT taken over, what was in force before stays in force:\n{error}");
    }
    let purposes = purposes.map(|error| error.lines()).unwrap_or_default();
    let config = match config {
        Some(mistakes) => mistakes.lines(),
        // Half of what somebody has changed would be neither the old nor the new.
        None if configured => {
            vec!["purposes have mistakes, so the config was not taken over either".to_owned()]
        }
        None => Vec::new(),
    };
    Reload::Refused { purposes, config }
}

/// What is wrong with a config or its catalogue.
#[derive(Debug, thiserror::Error)]
enum Mistakes {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

impl Mistakes {
    /// One line each, as many as a record carries.
    fn lines(&self) -> Vec<String> {
        match self {
            Mistakes::Config(ConfigError::Invalid(file))
            | Mistakes::Catalogue(CatalogueError::Mistakes(file)) => lines(file).take(TOLD_MAX).collect(),
            Mistakes::Config(ConfigError::Unreadable { .. })
            | Mistakes::Catalogue(
                CatalogueError::Unreadable { .. } | CatalogueError::Path { .. } | CatalogueError::Globs(_),
            ) => vec![self.to_string()],
        }
    }
}

/// Asks for everything to be read again.
#[derive(Clone, Debug)]
pub(super) struct Reloader(Sender<()>);

impl Reloader {
    /// Reads purposes for the first time, and starts the thread that reads everything whenever it is asked. What it reads comes
    /// out of the receiver.
    pub(super) fn start(mut in_force: InForce) -> std::io::Result<(Self, Receiver<Reload>)> {
        let (wanted, asked) = channel();
        let (told, reloads) = channel();
        // The first is there before anything is judged.
        let first = told.send(in_force.first());
        debug_assert!(first.is_ok(), "the receiver is here");
        std::thread::Builder::new().name("spoor-reload".into()).spawn(move || {
            while let Ok(()) = asked.recv() {
                // Asked twice meanwhile is asked once.
                while asked.try_recv().is_ok() {}
                if told.send(in_force.again()).is_err() {
                    return;
                }
                super::daemon::notify(&[NotifyState::Ready]);
            }
        })?;
        Ok((Reloader(wanted), reloads))
    }

    pub(super) fn ask(&self) {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            super::daemon::notify(&[NotifyState::Reloading, now]);
        }
        if self.0.send(()).is_err() {
            tracing::error!("nobody reads the config and purposes any more");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    const GOOD: &str =
        "[[purpose]]\nname = \"a\"\nactor = \"systemd:a.service\"\nowner = \"x\"\nprograms = [\"any\"]\n";

    fn in_force(dir: &Path, text: &str, configured: bool) -> (InForce, watch::Receiver<Filters>) {
        let path = dir.join("spoor.toml");
        fs::create_dir_all(dir.join("purposes.d")).unwrap();
        fs::write(&path, config(dir, text)).unwrap();
        let config = config::load(&path).unwrap();
        let (sender, receiver) = watch::channel(filters(&config));
        let catalogue = Arc::new(Catalogue::new(&config.credentials).unwrap());
        let path = configured.then_some(path);
        (InForce { config, path, catalogue, declared: false, filters: sender }, receiver)
    }

    fn config(dir: &Path, text: &str) -> String {
        let purposes = dir.join("purposes.d");
        format!(
            "[purposes]\npath = {purposes:?}\n[[sink]]\nname = \"s\"\ntype = \"file\"\npath = \"/s\"\n{text}"
        )
    }

    fn good(reload: Reload) -> Fresh {
        match reload {
            Reload::Good(fresh) => *fresh,
            Reload::Refused { purposes, config } => panic!("refused: {purposes:?} {config:?}"),
        }
    }

    fn mistakes(reload: Reload) -> (Vec<String>, Vec<String>) {
        match reload {
            Reload::Good(_) => panic!("taken over"),
            Reload::Refused { purposes, config } => (purposes, config),
        }
    }

    #[test]
    fn whoever_asks_gets_what_is_there_then() {
        let dir = tempfile::tempdir().unwrap();
        let (in_force, _filters) = in_force(dir.path(), "", false);
        let (reloader, reloads) = Reloader::start(in_force).unwrap();
        assert_eq!(good(reloads.recv().unwrap()).purposes.len(), 0);
        let file = dir.path().join("purposes.d/a.toml");
        fs::write(&file, GOOD).unwrap();
        reloader.ask();
        let fresh = good(reloads.recv().unwrap());
        assert_eq!((fresh.purposes.len(), fresh.settings.is_none()), (1, true), "no config is read");
        fs::write(&file, "x").unwrap();
        reloader.ask();
        let (purposes, config) = mistakes(reloads.recv().unwrap());
        assert!(purposes[0].contains("a.toml:1:") && config.is_empty(), "{purposes:?} {config:?}");
    }

    #[test]
    fn what_is_live_holds_and_the_rest_is_named_until_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let (mut in_force, filters) = in_force(dir.path(), "", true);
        let write = |text: &str| fs::write(dir.path().join("spoor.toml"), config(dir.path(), text)).unwrap();
        write(
            "types = [\"finding\"]\n[store]\nkeep = \"2d\"\n[chain]\nquiet = \"1m\"\n[credentials]\npaths = [\"/srv/a\"]\n",
        );
        let settings = good(in_force.again()).settings.unwrap();
        assert_eq!(settings.changed, ["credentials.paths", "store.keep", "sink.s.types"]);
        assert_eq!(settings.waiting, ["chain"]);
        assert_eq!(settings.retention.keep.as_secs(), 2 * 86_400);
        assert_eq!(settings.catalogue.kind(0, b"/srv/a").unwrap().id, "declared");
        assert_eq!(filters.borrow()["s"].types, ["finding"]);
        // The same again: nothing is new, and what waits still waits.
        let again = good(in_force.again()).settings.unwrap();
        assert!(again.changed.is_empty() && Arc::ptr_eq(&again.catalogue, &settings.catalogue));
        assert_eq!(again.waiting, ["chain"]);
    }

    #[test]
    fn one_mistake_anywhere_and_nothing_holds() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("own.toml");
        let (mut in_force, filters) = in_force(dir.path(), "", true);
        let write = |text: &str| fs::write(dir.path().join("spoor.toml"), config(dir.path(), text)).unwrap();
        let purposes = dir.path().join("purposes.d/a.toml");
        let before = (in_force.config.clone(), Arc::clone(&in_force.catalogue));
        let broken = format!("types = [\"finding\"]\n[credentials]\ncatalogue = {own:?}\n");
        for (config, catalogue, purpose, wrong) in [
            (
                "types = [\"finding\"]\n[store]\npaht = 1\n",
                "",
                GOOD,
                "spoor.toml:9:1: C003 unknown key `paht`",
            ),
            (broken.as_str(), "version = 1\n[[credential]]\nid = 1\n", GOOD, "own.toml:3:6"),
            ("types = [\"finding\"]\n", "", "x", "purposes have mistakes"),
            ("types = [\"finding\"]\n[store]\npaht = 1\n", "", "x", "C003"),
        ] {
            write(config);
            fs::write(&own, catalogue).unwrap();
            fs::write(&purposes, purpose).unwrap();
            let (of_purposes, of_config) = mistakes(in_force.again());
            assert!(of_config.iter().any(|line| line.contains(wrong)), "{wrong}: {of_config:?}");
            assert_eq!(of_purposes.is_empty(), purpose == GOOD, "{of_purposes:?}");
            assert!(filters.borrow()["s"].types.is_empty() && in_force.config == before.0);
            assert!(Arc::ptr_eq(&in_force.catalogue, &before.1));
        }
        fs::remove_file(dir.path().join("spoor.toml")).unwrap();
        let (_, of_config) = mistakes(in_force.again());
        assert!(of_config[0].contains("cannot read"), "{of_config:?}");
        // Repaired; the catalogue's file alone makes a difference too.
        fs::write(&purposes, GOOD).unwrap();
        fs::write(&own, "version = 1\n").unwrap();
        write(&format!("[credentials]\ncatalogue = {own:?}\n"));
        assert_eq!(good(in_force.again()).settings.unwrap().changed, ["credentials.catalogue"]);
        fs::write(&own, "version = 1\n[[credential]]\nid = \"pgpass\"\noff = true\n").unwrap();
        let settings = good(in_force.again()).settings.unwrap();
        assert_eq!(settings.changed, ["credentials.catalogue"]);
        assert!(settings.catalogue.kinds().all(|kind| kind.id != "pgpass"));
    }
}

//! What can change while the agent runs is taken over between two batches: all of one is judged by the same.

use std::sync::Arc;

use super::Worker;
use crate::actor::Host;
use crate::capture::Input;
use crate::credential::{Catalogue, Describe};
use crate::finding;
use crate::kernel::boot_ns;
use crate::purpose::Purposes;
use crate::record::{ConfigInForce, PurposesInForce, Record};
use crate::store::Retention;

/// What came of reading purposes and, where there is one, the config.
#[derive(Debug)]
pub enum Reload {
    /// All of it is good.
    Good(Box<Fresh>),
    /// Something is not, and nothing is taken over.
    Refused {
        /// Mistakes of the purposes.
        purposes: Vec<String>,
        /// Mistakes of the config and its catalogue, or why good ones are not taken over.
        config: Vec<String>,
    },
}

/// What is to hold from now on.
#[derive(Debug)]
pub struct Fresh {
    /// What service accounts are for.
    pub purposes: Arc<Purposes>,
    /// Names of their files, and what these say.
    pub texts: Arc<[(String, String)]>,
    /// Somebody has put something there.
    pub there: bool,
    /// What the config says; `None` where it was not read: at the start, and where there is none.
    pub settings: Option<Settings>,
}

/// What the config can change without a restart, as far as it is the pipeline's.
#[derive(Debug)]
pub struct Settings {
    /// Where credentials are, with the numbers of the one before.
    pub catalogue: Arc<Catalogue>,
    /// Whether environments are read.
    pub environment: bool,
    /// How much is kept.
    pub retention: Retention,
    /// What is found.
    pub findings: finding::Settings,
    /// Keys that changed and hold.
    pub changed: Vec<String>,
    /// Keys that changed and hold after a restart only.
    pub waiting: Vec<String>,
}

impl<D: Describe, H: Host> Worker<D, H> {
    /// Takes over what was read meanwhile, and says so.
    pub(super) fn reload(&mut self) -> Vec<Record> {
        if !self.take_over() {
            return Vec::new();
        }
        self.cover(boot_ns())
    }

    /// Takes over what was read meanwhile; of what has mistakes only these. Tells whether there was any.
    pub(super) fn take_over(&mut self) -> bool {
        let mut any = false;
        while let Ok(reload) = self.around.reloads.try_recv() {
            any = true;
            match reload {
                Reload::Good(fresh) => self.go_by(*fresh),
                Reload::Refused { purposes, config } => self.refuse(purposes, config),
            }
        }
        any
    }

    fn go_by(&mut self, fresh: Fresh) {
        let Fresh { purposes: set, texts, there, settings } = fresh;
        let (ledger, known) = (Arc::clone(&self.around.ledger), &mut self.around.coverage.purposes);
        ledger.purposes_taken.add(u64::from(there));
        let id = (!set.is_empty()).then(|| set.id().to_owned());
        // Where nobody has ever declared anything, there is nothing to say.
        if there || known.is_some() {
            *known = Some(PurposesInForce { count: set.len(), set: id, refused: Vec::new() });
        }
        // Neither makes a record by itself.
        let mut none = Vec::new();
        self.enter(&Input::Purposes { texts, set }, &mut none);
        let Some(Settings { catalogue, environment, retention, findings, changed, waiting }) = settings
        else {
            return;
        };
        ledger.configs_taken.one();
        self.around.coverage.config = Some(ConfigInForce { changed, waiting, refused: Vec::new() });
        self.around.store.keep(retention);
        self.enter(&Input::Findings(findings), &mut none);
        self.desk.stages.describer().go_by(&catalogue, environment);
        if !Arc::ptr_eq(&self.around.catalogue, &catalogue) {
            let refused = self.around.control.set_names(catalogue.names());
            if refused != 0 {
                tracing::warn!(
                    "{refused} names of the catalogue are not watched: the kernel's table is full"
                );
            }
            self.around.ledger.rules_refused.add(refused);
            self.around.catalogue = catalogue;
            self.rescan();
        }
    }

    fn refuse(&mut self, purposes: Vec<String>, config: Vec<String>) {
        let coverage = &mut self.around.coverage;
        if !purposes.is_empty() {
            self.around.ledger.purposes_refused.one();
            coverage.purposes.get_or_insert_default().refused = purposes;
        }
        if !config.is_empty() {
            self.around.ledger.configs_refused.one();
            coverage.config.get_or_insert_default().refused = config;
        }
    }
}

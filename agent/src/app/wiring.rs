//! Puts the parts together.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use spoor_wire::rule::InodeKey;
use tokio::sync::watch;

use super::own::own;
use super::{Failure, RunOptions, identity};
use crate::actor::{Files, Pods};
use crate::capture::{Asked, Header, Scales, Tape, Taped};
use crate::config::Config;
use crate::credential::{Catalogue, Describer, FingerprintKey, redact};
use crate::event::{Event, Loss, What};
use crate::evidence::Signer;
use crate::kernel::probes::Tier;
use crate::kernel::{
    Cgroups, Control, Counters, Covered, Feed, Host, Kernel, MissWatch, MountWatch, Options, Passed, Patrol,
    Proof, Reader, ReaderHandle, ScopeWatch, Wanted, boot_ns, establish, seed,
};
use crate::pipeline::worker::{Glance, Reload, Show, Surroundings, Turn, Worker};
use crate::pipeline::{Desk, Digests, Outside};
use crate::record::{self, Redaction};
use crate::store::{self, Store};
use crate::telemetry::Ledger;

/// Most processes remembered.
const PROCESSES_MAX: usize = 131_072;
/// A connection without an outcome for so long is reported without one.
const PENDING: Duration = Duration::from_secs(3);
/// Most connections waiting for their outcome.
const PENDING_MAX: usize = 8_192;

/// The kernel's side, attached and proven.
pub(super) struct Watching {
    pub(super) kernel: Kernel,
    pub(super) control: Control,
    pub(super) counters: Arc<Counters>,
    pub(super) reader: ReaderHandle,
    pub(super) feed: Feed,
    pub(super) covered: Covered,
    pub(super) scope: Option<ScopeWatch>,
    pub(super) cgroups: Option<Cgroups>,
    pub(super) mounts: MountWatch,
    pub(super) since_ns: u64,
}

/// Level of the probes' messages, as aya-log counts.
fn probe_level(config: &Config) -> u8 {
    let level = config.log.probes.and_then(|level| level.as_str().parse::<log::Level>().ok());
    level.and_then(|level| u8::try_from(level as usize).ok()).unwrap_or(0)
}

/// Loads the object and takes its control maps: nothing is attached yet.
pub(super) fn load(host: &Host, options: Options) -> Result<(Kernel, Control, Arc<Counters>), Failure> {
    let mut kernel = Kernel::load(host, options)?;
    let control = Control::take(&mut kernel)?;
    let counters = Arc::new(Counters::take(&mut kernel)?);
    Ok((kernel, control, counters))
}

/// Starts the reader, attaches, and proves by the canary. No tiers named: all are allowed.
pub(super) fn prove(
    kernel: &mut Kernel,
    control: &mut Control,
    counters: &Arc<Counters>,
    ledger: &Arc<Ledger>,
    tiers: &[Tier],
) -> Result<(ReaderHandle, Feed, Covered), Failure> {
    let reader = Reader::take(kernel, Arc::clone(counters), Arc::clone(ledger))?;
    let (reader, feed) = reader.start().map_err(Failure::system("start the reader"))?;
    let allowed = if tiers.is_empty() { &Tier::ALL } else { tiers };
    let covered = establish(kernel, control, &feed, allowed).map_err(Failure::system("send the canary"))?;
    Ok((reader, feed, covered))
}

/// Loads, attaches, and proves by the canary. Rules are in place before the first probe is.
pub(super) fn watch_host(
    options: &RunOptions,
    host: &Host,
    catalogue: &Catalogue,
    ledger: &Arc<Ledger>,
) -> Result<Watching, Failure> {
    let config = &options.config;
    let since_ns = boot_ns();
    let scoped = !config.scope.cgroups.is_empty();
    let cgroups = match Cgroups::find() {
        Ok(found) => Some(found),
        Err(error) if scoped => return Err(error.into()),
        Err(_) => None,
    };
    let (mut kernel, mut control, counters) = load(host, Options { scoped, log_level: probe_level(config) })?;
    let mut scope =
        cgroups.clone().filter(|_| scoped).map(|found| ScopeWatch::new(found, config.scope.cgroups.clone()));
    for path in scope.iter_mut().flat_map(|scope| scope.refresh(&mut control)) {
        tracing::warn!("scope: there is no cgroup {path} now; it is watched from when there is");
    }
    let refused = control.set_names(catalogue.names());
    if refused != 0 {
        tracing::warn!("{refused} names of the catalogue are not watched: the kernel's table is full");
        ledger.rules_refused.add(refused);
    }
    // From before the scan on, so that what is mounted while the probes are proven is noticed.
    let mounts = MountWatch::new().map_err(Failure::system("read the mount table"))?;
    let scan = catalogue.scan();
    ledger.rules_refused.add(control.set_watch(&scan.inodes, &scan.entries, &scan.dirs, boot_ns()));
    for missing in &scan.missing {
        tracing::warn!("credentials: {missing} is not there yet; it is watched from when it is");
    }
    let (reader, feed, covered) = prove(&mut kernel, &mut control, &counters, ledger, &options.tiers)?;
    ledger.samples_canary.add(covered.canary_events);
    Ok(Watching { kernel, control, counters, reader, feed, covered, scope, cgroups, mounts, since_ns })
}

/// What the worker has to know before anything else: what is covered, who was there, what came meanwhile.
pub(super) struct Early {
    pub(super) coverage: record::Coverage,
    pub(super) events: Vec<Event>,
}

/// Scans `/proc` and puts what came meanwhile behind it.
pub(super) fn early(
    options: &RunOptions,
    host: &Host,
    catalogue: &Catalogue,
    watching: &mut Watching,
    ledger: &Ledger,
) -> Result<Early, Failure> {
    let scope = &options.config.scope.cgroups;
    let credential = |path: &[u8]| catalogue.rule_of(path);
    let cgroups = watching.cgroups.as_ref();
    let wanted = Wanted { cgroups, scope, credential: &credential, starting: true };
    let scan = seed(&wanted).map_err(Failure::system("scan /proc"))?;
    if scan.unread != 0 {
        tracing::debug!("{} processes of /proc cannot be read", scan.unread);
    }
    ledger.descriptors_passed_by.add(scan.descriptors_passed_by);
    let mut events = scan.events;
    for event in &events {
        if let What::Seeded(seeded) = &event.what {
            for file in &seeded.open {
                let key = InodeKey { ino: file.ino, dev: file.dev, generation: 0 };
                if watching.control.know(key, file.rule).is_err() {
                    tracing::warn!("a file that was open before is not known to the probes");
                }
            }
        }
    }
    events.append(&mut watching.covered.kept);
    if watching.covered.not_kept != 0 {
        // Of what kinds they were, nobody counted: it is a gap without numbers.
        let loss = Loss::uncounted(watching.since_ns);
        events.push(Event { time_ns: boot_ns(), what: What::Lost(loss) });
    }
    let coverage = coverage(host, &watching.covered, scope);
    Ok(Early { coverage: record::Coverage { own: Some(Box::new(own(&options.config))), ..coverage }, events })
}

/// The coverage report, as a record.
pub(super) fn coverage(host: &Host, covered: &Covered, scope: &[String]) -> record::Coverage {
    let signals = covered.signals.iter().map(|signal| record::SignalCoverage {
        signal: signal.signal.name().to_owned(),
        tier: signal.tier.map(|tier| tier.name().to_owned()),
        attach: signal.attach.clone(),
        // A tier is in use only when the canary was seen through it.
        proven: signal.tier.is_some(),
        blind: signal.blind.iter().map(|&blind| blind.to_owned()).collect(),
        refused: signal.refused.iter().map(|r| (r.tier.name().to_owned(), r.why.clone())).collect(),
    });
    record::Coverage {
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: host.release.clone(),
        signals: signals.collect(),
        scope: scope.to_vec(),
        config: None,
        purposes: None,
        own: None,
    }
}

/// What the worker shares with the daemon.
pub(super) struct Shared {
    pub(super) ledger: Arc<Ledger>,
    pub(super) stopping: Arc<AtomicBool>,
    pub(super) stored: watch::Sender<u64>,
    pub(super) show: Option<Show>,
    pub(super) reloads: Receiver<Reload>,
    pub(super) turn: Turn,
    pub(super) glance: watch::Sender<Glance>,
}

/// The parts of [`Watching`] the worker takes over.
pub(super) struct Hands {
    pub(super) control: Control,
    pub(super) counters: Arc<Counters>,
    pub(super) scope: Option<ScopeWatch>,
    pub(super) mounts: MountWatch,
    pub(super) proofs: BTreeSet<Proof>,
    pub(super) passed: Arc<Passed>,
    pub(super) cgroups: Option<Cgroups>,
    pub(super) coverage: record::Coverage,
}

/// Puts the stages and the loop around them together.
pub(super) fn worker(
    options: &RunOptions,
    host: &Host,
    catalogue: &Arc<Catalogue>,
    store: Store,
    hands: Hands,
    shared: Shared,
) -> Result<Worker<Taped<Describer>, Taped<Files>>, Failure> {
    let config = &options.config;
    let wall_offset_ns = identity::wall_offset_ns();
    let this = identity::host(host.boot_id);
    let signing = store.sign_with(Signer::open(&config.store.path, &this.id)?)?;
    let reader = store::Reader::open(&config.store.path)?;
    let header = Header {
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: host.release.clone(),
        boot_id: host.boot_id,
        host: this,
        wall_offset_ns,
        first_seq: store.next_seq()?,
        before: store.end().hash,
        scales: scales(config),
        findings: super::inventory::settings(&config.findings),
        watched_since: super::inventory::watched_since(&reader, wall_offset_ns)?,
    };
    let asked = if options.capture.is_some() { Asked::on_tape() } else { Asked::default() };
    let mut desk = desk(config, catalogue, &header, &shared.ledger, &asked)?;
    let mut tape = super::record::begin(options, &header, asked)?;
    super::inventory::recall(&reader, config, |input| {
        tape.iter().for_each(Tape::begin);
        desk.take(&input, &mut Vec::new(), &mut Vec::new());
        tape.iter_mut().for_each(|tape| tape.put(&input));
    })?;
    let Hands { control, counters, scope, mounts, proofs, passed, cgroups, coverage } = hands;
    let Shared { ledger, stopping, stored, show, reloads, turn, glance } = shared;
    let catalogue = Arc::clone(catalogue);
    let around = Surroundings {
        tape,
        store,
        signing,
        stored,
        control,
        counters,
        catalogue,
        mounts,
        scope,
        patrol: Patrol::new(proofs, nanos(config.canary.every), boot_ns()),
        misses: MissWatch::new(passed, boot_ns()),
        cgroups,
        watched: config.scope.cgroups.clone(),
        coverage,
        reloads,
        turn,
        ledger,
        wall_offset_ns,
        stopping,
        show,
        glance,
    };
    Ok(Worker::new(desk, around))
}

/// The stages of this host, and what their records are made with.
fn desk(
    config: &Config,
    catalogue: &Arc<Catalogue>,
    header: &Header,
    ledger: &Arc<Ledger>,
    asked: &Asked,
) -> Result<Desk<Taped<Describer>, Taped<Files>>, Failure> {
    let root = Path::new("/");
    let pods = Pods::start(root, config.kubernetes.clone(), Arc::clone(ledger));
    let pods = pods.map_err(Failure::system("start a thread"))?;
    let key = match &config.credentials.fingerprint_key {
        Some(path) => FingerprintKey::read(path),
        None => FingerprintKey::of_host(&config.store.path.join("fingerprint.key")),
    };
    let describer = Describer::new(Arc::clone(catalogue), key?);
    let describer = describer.reading_environments(config.credentials.environment);
    let files = Files::new(root).with_pods(pods);
    let digests = Digests::start().map_err(Failure::system("start a thread"))?;
    let outside = Outside {
        describer: Taped::new(describer, asked.clone()),
        host: Taped::new(files, asked.clone()),
        digests: (digests, asked.clone()),
    };
    Ok(Desk::of(header, outside, REDACTION, Arc::clone(ledger)))
}

/// The only way bytes of the host get into a record.
pub(super) const REDACTION: Redaction = Redaction { argv: redact::argv, printable: redact::printable };

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn scales(config: &Config) -> Scales {
    Scales {
        quiet_ns: nanos(config.chain.quiet),
        pending_ns: nanos(PENDING),
        max_actions: config.chain.max_actions.into(),
        max_open: usize::try_from(config.chain.max_open).unwrap_or(usize::MAX),
        max_pending: PENDING_MAX,
        processes_max: PROCESSES_MAX,
        inventory_first_ns: nanos(config.inventory.first),
        inventory_every_ns: nanos(config.inventory.every),
    }
}

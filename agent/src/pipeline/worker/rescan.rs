//! Where credentials are, looked at anew from time to time. That takes milliseconds, or as long as a slow file system likes, so
//! it is done on a thread of its own, and no event waits for it. One is under way at a time; what it found goes into the
//! kernel's maps and to the inventory by the loop's hand, as everything does.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::Worker;
use crate::actor::Host;
use crate::capture::Input;
use crate::credential::{Catalogue, Describe, Scan};
use crate::kernel::boot_ns;

/// How often the loop looks whether a scan has ended, where nothing else wakes it: most take that long or twice as long, and
/// what they found is watched from then on.
const LOOK: Duration = Duration::from_millis(5);
/// For how long it does so, ns. One that takes longer is asked for at each tick and batch.
const LOOK_NS: u64 = 200_000_000;
/// One that takes longer than that is told, ns: while it lasts, no rule is added for what is new.
const LATE_NS: u64 = 60_000_000_000;

/// Looks at the host.
type Look = dyn Fn(&Catalogue) -> Scan + Send + Sync;

/// Scans for credentials.
pub(super) struct Scans {
    look: Arc<Look>,
    under_way: Option<UnderWay>,
    /// Another was asked for meanwhile: what made somebody ask may have come after this one looked.
    again: bool,
}

struct UnderWay {
    thread: JoinHandle<Scan>,
    /// What it looks for.
    catalogue: Arc<Catalogue>,
    since_ns: u64,
    late: bool,
}

/// What there is of a scan.
#[derive(Debug)]
pub(super) enum Found {
    /// None has ended.
    Nothing,
    /// What is there now.
    Scan(Box<Scan>),
    /// None could be made, or it died.
    Failed(io::Error),
}

impl Scans {
    /// Of this host. Where the config says what is to be watched, of files that it does not name none is kept.
    pub(super) fn of_host(declared_only: bool) -> Self {
        Self::by(move |catalogue| {
            let mut scan = catalogue.scan();
            if declared_only {
                scan.resting.keep_declared();
            }
            for problem in &scan.problems {
                tracing::debug!("{problem}");
            }
            scan
        })
    }

    fn by(look: impl Fn(&Catalogue) -> Scan + Send + Sync + 'static) -> Self {
        Scans { look: Arc::new(look), under_way: None, again: false }
    }

    /// Looks here and now, on the thread that asks.
    pub(super) fn here(&self, catalogue: &Catalogue) -> Scan {
        (self.look)(catalogue)
    }

    /// Has somebody look; where somebody does, once more after that.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub(super) fn ask(&mut self, catalogue: &Arc<Catalogue>, now_ns: u64) -> io::Result<()> {
        if self.under_way.is_some() {
            self.again = true;
            return Ok(());
        }
        let (look, wanted) = (Arc::clone(&self.look), Arc::clone(catalogue));
        // Made for each: it takes a fraction of what it does, and between two there is none. It has of privileges what the loop
        // has. Nobody waits for its end but who takes what it found: one that hangs does not keep the agent from stopping.
        let thread = Builder::new().name("spoor-scan".into()).spawn(move || look(&wanted))?;
        let catalogue = Arc::clone(catalogue);
        self.under_way = Some(UnderWay { thread, catalogue, since_ns: now_ns, late: false });
        Ok(())
    }

    /// What was found, where a scan has ended. One that looked for what another catalogue names is thrown away: who
    /// changed it has looked anew.
    pub(super) fn take(&mut self, catalogue: &Arc<Catalogue>, now_ns: u64) -> Found {
        let Some(ended) = self.under_way.take_if(|scan| scan.thread.is_finished()) else {
            self.tell_if_late(now_ns);
            return Found::Nothing;
        };
        let scan = ended.thread.join().map_err(|_| io::Error::other("its thread died"));
        let asked = if std::mem::take(&mut self.again) { self.ask(catalogue, now_ns) } else { Ok(()) };
        match scan.and_then(|scan| asked.map(|()| scan)) {
            Err(error) => Found::Failed(error),
            Ok(scan) if Arc::ptr_eq(&ended.catalogue, catalogue) => Found::Scan(Box::new(scan)),
            Ok(_) => Found::Nothing,
        }
    }

    /// How long until one may have ended; `None` where none is worth waking up for.
    pub(super) fn left(&self, now_ns: u64) -> Option<Duration> {
        let young = |scan: &UnderWay| now_ns.saturating_sub(scan.since_ns) < LOOK_NS;
        self.under_way.as_ref().is_some_and(young).then_some(LOOK)
    }

    fn tell_if_late(&mut self, now_ns: u64) {
        if let Some(scan) = &mut self.under_way
            && !scan.late
            && now_ns.saturating_sub(scan.since_ns) >= LATE_NS
        {
            scan.late = true;
            tracing::warn!(
                "a scan for credentials takes longer than {} s: until it ends, what is new is watched by its name only",
                LATE_NS / 1_000_000_000
            );
        }
    }
}

impl<D: Describe, H: Host> Worker<D, H> {
    /// Has somebody look where credentials are now.
    pub(super) fn ask_for_scan(&mut self, now: u64) {
        if let Err(error) = self.scans.ask(&self.around.catalogue, now) {
            self.no_scan(&error);
        }
    }

    /// What was found, if anything was.
    pub(super) fn take_scan(&mut self) {
        match self.scans.take(&self.around.catalogue, boot_ns()) {
            Found::Nothing => {}
            Found::Scan(scan) => self.scanned(&scan),
            Found::Failed(error) => self.no_scan(&error),
        }
    }

    /// Looks and goes by it before anything else: a new catalogue is in force when it is said to be.
    pub(super) fn rescan(&mut self) {
        let scan = self.scans.here(&self.around.catalogue);
        self.scanned(&scan);
    }

    fn scanned(&mut self, scan: &Scan) {
        let refused = self.around.control.set_watch(&scan.inodes, &scan.entries, &scan.dirs, boot_ns());
        if refused != 0 {
            tracing::warn!("{refused} files or directories are not watched: the kernel's tables are full");
        }
        self.around.ledger.rules_refused.add(refused);
        let scanned = self.rest.scanned(&scan.resting);
        // Of what a scan leaves out, nothing is told by itself.
        self.enter(&Input::Scan { time_ns: boot_ns(), scanned }, &mut Vec::new());
    }

    /// The rules stay as they are, and it is tried again when the next is due.
    fn no_scan(&mut self, error: &io::Error) {
        tracing::error!("credentials could not be looked for: {error}");
        self.around.ledger.scans_failed.one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Instant;

    use super::*;

    /// Longest that a thread of these tests may take.
    const LONG: Duration = Duration::from_secs(60);

    /// A scan that tells when it begins, and ends as it is told: with a path that is missing, or by dying.
    fn told() -> (Scans, Receiver<()>, Sender<Option<&'static str>>) {
        let (begins, begun) = channel();
        let (end, ends) = channel::<Option<&'static str>>();
        let ends = Mutex::new(ends);
        let scans = Scans::by(move |_| {
            begins.send(()).unwrap();
            // Not under the lock: who dies there would take it along.
            let end = ends.lock().unwrap().recv().unwrap();
            let missing = end.expect("told to die");
            Scan { missing: vec![missing.to_owned()], ..Scan::default() }
        });
        (scans, begun, end)
    }

    /// What the scan that is under way comes to.
    fn ended(scans: &mut Scans, catalogue: &Arc<Catalogue>) -> Found {
        let deadline = Instant::now() + LONG;
        while scans.under_way.as_ref().is_some_and(|scan| !scan.thread.is_finished()) {
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::yield_now();
        }
        scans.take(catalogue, 0)
    }

    fn missing(found: &Found) -> Option<&str> {
        let Found::Scan(scan) = found else { return None };
        scan.missing.first().map(String::as_str)
    }

    #[test]
    fn nobody_waits_for_it_and_what_it_found_is_taken_once() {
        let (mut scans, begun, end) = told();
        let catalogue = Arc::new(Catalogue::builtin());
        assert_eq!(scans.left(0), None, "none is under way");
        scans.ask(&catalogue, 0).unwrap();
        begun.recv_timeout(LONG).unwrap();
        assert!(matches!(scans.take(&catalogue, 1), Found::Nothing));
        assert_eq!((scans.left(1), scans.left(LOOK_NS)), (Some(LOOK), None), "a slow one wakes nobody");
        end.send(Some("first")).unwrap();
        assert_eq!(missing(&ended(&mut scans, &catalogue)), Some("first"));
        assert!(matches!(scans.take(&catalogue, 2), Found::Nothing));
        assert_eq!(scans.left(2), None);
        assert!(begun.try_recv().is_err());
    }

    #[test]
    fn one_at_a_time_and_one_more_for_all_that_ask_meanwhile() {
        let (mut scans, begun, end) = told();
        let catalogue = Arc::new(Catalogue::builtin());
        for now in 0..3 {
            scans.ask(&catalogue, now).unwrap();
        }
        begun.recv_timeout(LONG).unwrap();
        end.send(Some("first")).unwrap();
        assert_eq!(missing(&ended(&mut scans, &catalogue)), Some("first"));
        begun.recv_timeout(LONG).unwrap();
        end.send(Some("second")).unwrap();
        assert_eq!(missing(&ended(&mut scans, &catalogue)), Some("second"));
        assert!(scans.under_way.is_none() && begun.try_recv().is_err());
    }

    #[test]
    fn what_was_found_for_a_catalogue_that_is_not_in_force_any_more_is_thrown_away() {
        let (mut scans, begun, end) = told();
        let (before, now) = (Arc::new(Catalogue::builtin()), Arc::new(Catalogue::builtin()));
        scans.ask(&before, 0).unwrap();
        begun.recv_timeout(LONG).unwrap();
        // It is changed, and mounts change too.
        scans.ask(&now, 1).unwrap();
        end.send(Some("before")).unwrap();
        assert!(matches!(ended(&mut scans, &now), Found::Nothing));
        begun.recv_timeout(LONG).unwrap();
        end.send(Some("now")).unwrap();
        assert_eq!(missing(&ended(&mut scans, &now)), Some("now"), "the next looks for what is in force");
    }

    #[test]
    fn one_that_dies_is_told_and_the_next_is_another() {
        let (mut scans, _begun, end) = told();
        let catalogue = Arc::new(Catalogue::builtin());
        scans.ask(&catalogue, 0).unwrap();
        end.send(None).unwrap();
        assert!(matches!(ended(&mut scans, &catalogue), Found::Failed(_)));
        scans.ask(&catalogue, 1).unwrap();
        end.send(Some("next")).unwrap();
        assert_eq!(missing(&ended(&mut scans, &catalogue)), Some("next"));
    }

    #[test]
    fn one_that_hangs_is_told_and_does_not_keep_the_loop_from_ending() {
        let (mut scans, begun, end) = told();
        let catalogue = Arc::new(Catalogue::builtin());
        scans.ask(&catalogue, 0).unwrap();
        begun.recv_timeout(LONG).unwrap();
        assert!(matches!(scans.take(&catalogue, LATE_NS - 1), Found::Nothing));
        assert!(scans.under_way.as_ref().is_some_and(|scan| !scan.late));
        assert!(matches!(scans.take(&catalogue, LATE_NS), Found::Nothing));
        assert!(scans.under_way.as_ref().is_some_and(|scan| scan.late));
        drop(scans);
        // It goes on until here.
        end.send(Some("late")).unwrap();
    }
}

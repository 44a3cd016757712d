//! What is known of pods, learnt on a thread of its own: from the kubelet's list where one is configured, else from what
//! lies on the node: the annotations of the container's bundle, and the claims of the pod's own token.

mod claims;
mod kubelet;
mod list;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::config::Kubernetes;

/// What is known of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodIdentity {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its service account, where the source tells it: static pods have none, container runtimes do not know it.
    pub service_account: Option<String>,
    /// What made it, `Deployment/web`.
    pub owner: Option<String>,
    /// The node it runs on.
    pub node: Option<String>,
    /// Names of its containers, by id.
    pub containers: BTreeMap<String, String>,
}

/// Most pods that are remembered. A node runs some hundreds.
const PODS_MAX: usize = 4096;
/// Most questions that wait for an answer; those beyond are asked again when the pod acts again.
const ASKS_MAX: usize = 256;
/// How long a question is left alone after it was asked.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// How often the kubelet is asked at most.
const LIST_AGAIN: Duration = Duration::from_secs(1);

/// A question: the pod's uid, the container's id.
type Ask = (String, String);
type Known = HashMap<String, Arc<PodIdentity>>;

/// The pods of this node. Answers at once with what is known, and has somebody look for what is not.
#[derive(Debug)]
pub struct Pods {
    known: Arc<Mutex<Known>>,
    asks: SyncSender<Ask>,
    asked: HashMap<Ask, Instant>,
}

impl Pods {
    /// Starts the thread that looks pods up. It ends when this is dropped. `root` is `/` but for tests.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(root: &Path, config: Kubernetes) -> std::io::Result<Self> {
        let (asks, questions) = sync_channel(ASKS_MAX);
        let known = Arc::new(Mutex::new(Known::new()));
        let mut clerk =
            Clerk { root: root.to_owned(), config, known: Arc::clone(&known), listed: None, failing: false };
        std::thread::Builder::new().name("pods".into()).spawn(move || clerk.work(&questions))?;
        Ok(Self { known, asks, asked: HashMap::new() })
    }

    /// What is known by now.
    pub(super) fn pod(&mut self, uid: &str, container: &str) -> Option<Arc<PodIdentity>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(uid).cloned();
        let complete = known.as_ref().is_some_and(|pod| pod.service_account.is_some());
        if !complete {
            self.ask((uid.to_owned(), container.to_owned()));
        }
        known
    }

    fn ask(&mut self, ask: Ask) {
        let now = Instant::now();
        if self.asked.get(&ask).is_some_and(|asked| now.duration_since(*asked) < ASK_AGAIN) {
            return;
        }
        if self.asked.len() >= PODS_MAX {
            self.asked.clear();
        }
        // Who finds no room asks again when the pod acts again.
        if self.asks.try_send(ask.clone()).is_ok() {
            self.asked.insert(ask, now);
        }
    }
}

/// Looks pods up.
struct Clerk {
    root: PathBuf,
    config: Kubernetes,
    known: Arc<Mutex<Known>>,
    /// When the kubelet was asked last.
    listed: Option<Instant>,
    /// It did not answer then: said once.
    failing: bool,
}

impl Clerk {
    fn work(&mut self, questions: &Receiver<Ask>) {
        while let Ok(first) = questions.recv() {
            let mut asks = vec![first];
            // A pod has several containers, a node starts several pods: one list answers them all.
            let pause = self.listed.map_or(Duration::ZERO, |at| LIST_AGAIN.saturating_sub(at.elapsed()));
            loop {
                match questions.recv_timeout(pause) {
                    Ok(ask) => asks.push(ask),
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                if asks.len() >= ASKS_MAX {
                    break;
                }
            }
            self.answer(&asks);
        }
    }

    fn answer(&mut self, asks: &[Ask]) {
        let mut found: HashMap<String, PodIdentity> = HashMap::new();
        if let Some(source) = &self.config.pods {
            self.listed = Some(Instant::now());
            match kubelet::list(source, &self.config) {
                Ok(pods) => {
                    self.failing = false;
                    found.extend(pods);
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::warn!("pods are named by their own tokens alone: {error}");
                    }
                }
            }
        }
        for (uid, container) in asks {
            if !found.contains_key(uid)
                && let Some(pod) = claims::pod(&self.root, uid, container)
            {
                found.insert(uid.clone(), pod);
            }
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len().saturating_add(found.len()) > PODS_MAX {
            known.clear();
        }
        known.extend(found.into_iter().take(PODS_MAX).map(|(uid, pod)| (uid, Arc::new(pod))));
    }
}

/// A whole file, wiped after use: a token is a secret. All room at once, for a buffer that grows leaves its former selves
/// behind. What is longer than expected is refused.
fn read(path: &Path, limit: u64) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut file = File::open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.len() > limit {
        return Err(std::io::Error::other(format!("no file of at most {limit} bytes")));
    }
    let mut text = Zeroizing::new(vec![0; usize::try_from(found.len()).map_err(std::io::Error::other)?]);
    file.read_exact(&mut text)?;
    Ok(text)
}

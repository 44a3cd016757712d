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
use crate::telemetry::Ledger;

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
    /// Its SPIFFE ID, where the config gives a trust domain and its account is known.
    pub spiffe_id: Option<String>,
}

impl PodIdentity {
    /// Names of containers that were known and are not in what is known now.
    fn keep_names(&mut self, before: &Self) {
        let room = CONTAINERS_MAX.saturating_sub(self.containers.len());
        let gone: Vec<_> =
            before.containers.iter().filter(|(id, _)| !self.containers.contains_key(*id)).collect();
        self.containers.extend(gone.into_iter().take(room).map(|(id, name)| (id.clone(), name.clone())));
    }

    /// The ID that SPIRE and service meshes give to a service account.
    fn spiffe_id(&self, trust_domain: &str) -> Option<String> {
        const ID_MAX: usize = 2048;
        let account = self.service_account.as_deref()?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let is_segment = |name: &str| !matches!(name, "" | "." | "..") && name.bytes().all(plain);
        let id = format!("spiffe://{trust_domain}/ns/{}/sa/{account}", self.namespace);
        (is_segment(&self.namespace) && is_segment(account) && id.len() <= ID_MAX).then_some(id)
    }
}

/// Most pods that are remembered. A node runs some hundreds.
const PODS_MAX: usize = 4096;
/// Most questions that wait for an answer; those beyond are asked again when the pod acts again.
const ASKS_MAX: usize = 256;
/// How long a question is left alone after it was asked.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// How often a list is asked for the name of a container alone: it has a pod's containers a moment after the pod, and those
/// that only hold its namespaces never.
const NAME_ASKS_MAX: u32 = 5;
/// Most containers of a pod whose names are kept: one that crashes has a new one each time.
const CONTAINERS_MAX: usize = 64;
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
    /// When each was asked last, and how often.
    asked: HashMap<Ask, (Instant, u32)>,
}

impl Pods {
    /// Starts the thread that looks pods up. It ends when this is dropped. `root` is `/` but for tests.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(root: &Path, config: Kubernetes, ledger: Arc<Ledger>) -> std::io::Result<Self> {
        let (asks, questions) = sync_channel(ASKS_MAX);
        let mut clerk = Clerk::new(root, config, ledger);
        let known = Arc::clone(&clerk.known);
        std::thread::Builder::new().name("pods".into()).spawn(move || clerk.work(&questions))?;
        Ok(Self { known, asks, asked: HashMap::new() })
    }

    /// What is known by now.
    pub(super) fn pod(&mut self, uid: &str, container: &str) -> Option<Arc<PodIdentity>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(uid).cloned();
        let named = known.as_ref().is_some_and(|pod| pod.service_account.is_some());
        let complete = named && known.as_ref().is_some_and(|pod| pod.containers.contains_key(container));
        if !complete {
            self.ask((uid.to_owned(), container.to_owned()), if named { NAME_ASKS_MAX } else { u32::MAX });
        }
        known
    }

    fn ask(&mut self, ask: Ask, most: u32) {
        let now = Instant::now();
        let before = self.asked.get(&ask).copied();
        if before.is_some_and(|(asked, times)| times >= most || now.duration_since(asked) < ASK_AGAIN) {
            return;
        }
        let times = before.map_or(1, |(_, times)| times.saturating_add(1));
        if self.asked.len() >= PODS_MAX {
            self.asked.clear();
        }
        // Who finds no room asks again when the pod acts again.
        if self.asks.try_send(ask.clone()).is_ok() {
            self.asked.insert(ask, (now, times));
        }
    }
}

/// Looks pods up.
struct Clerk {
    root: PathBuf,
    config: Kubernetes,
    known: Arc<Mutex<Known>>,
    ledger: Arc<Ledger>,
    /// When the kubelet was asked last.
    listed: Option<Instant>,
    /// It did not answer then: said once.
    failing: bool,
}

impl Clerk {
    fn new(root: &Path, config: Kubernetes, ledger: Arc<Ledger>) -> Self {
        Self { root: root.to_owned(), config, known: Arc::default(), ledger, listed: None, failing: false }
    }

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
                    self.ledger.pod_lists.one();
                    found.extend(pods);
                }
                Err(error) => {
                    self.ledger.pod_lists_failed.one();
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::warn!("pods are named by their own tokens alone: {error}");
                    }
                }
            }
        }
        for (uid, container) in asks {
            match found.get_mut(uid) {
                // The list has a pod before it has the numbers of its containers; what the runtime keeps has them.
                Some(pod) if !pod.containers.contains_key(container) => {
                    pod.containers.extend(claims::container(&self.root, uid, container));
                }
                Some(_) => {}
                None => {
                    let pod = claims::pod(&self.root, uid, container);
                    found.extend(pod.map(|pod| (uid.clone(), pod)));
                }
            }
        }
        let unnamed = asks.iter().filter(|(uid, _)| !found.contains_key(uid)).count();
        self.ledger.pods_unnamed.add(u64::try_from(unnamed).unwrap_or(u64::MAX));
        if let Some(trust_domain) = &self.config.trust_domain {
            found.values_mut().for_each(|pod| pod.spiffe_id = pod.spiffe_id(trust_domain));
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len().saturating_add(found.len()) > PODS_MAX {
            known.clear();
        }
        for (uid, mut pod) in found.into_iter().take(PODS_MAX) {
            if let Some(before) = known.get(&uid) {
                pod.keep_names(before);
            }
            known.insert(uid, Arc::new(pod));
        }
    }
}

/// A whole file, wiped after use: a token is a secret. All room at once, for a buffer that grows leaves its former selves
/// behind. What is longer than expected is refused.
pub(super) fn read(path: &Path, limit: u64) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut file = File::open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.len() > limit {
        return Err(std::io::Error::other(format!("no file of at most {limit} bytes")));
    }
    let mut text = Zeroizing::new(vec![0; usize::try_from(found.len()).map_err(std::io::Error::other)?]);
    file.read_exact(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::sync::mpsc::sync_channel;
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    use super::{ASK_AGAIN, CONTAINERS_MAX, Clerk, NAME_ASKS_MAX, PodIdentity, Pods};
    use crate::config::{Kubernetes, PodsSource};
    use crate::telemetry::Ledger;

    /// Counters of lists, of those that failed, and of questions without an answer.
    fn counted(ledger: &Ledger) -> [u64; 3] {
        [ledger.pod_lists.get(), ledger.pod_lists_failed.get(), ledger.pods_unnamed.get()]
    }

    #[test]
    fn a_kubelet_that_refuses_is_counted_until_it_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/pods", listener.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            let refusal = "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"items\":[{\"metadata\":{\"uid\":\"u\",\
                          \"name\":\"n\",\"namespace\":\"s\"},\"spec\":{\"serviceAccountName\":\"a\"}}]}";
            for answer in [refusal, refusal, answer] {
                let (mut client, _) = listener.accept().unwrap();
                let asked = BufReader::new(client.try_clone().unwrap()).lines();
                assert!(asked.map(Result::unwrap).any(|line| line.is_empty()));
                client.write_all(answer.as_bytes()).unwrap();
            }
        });
        let root = tempfile::tempdir().unwrap();
        let config = Kubernetes { pods: Some(PodsSource::Url(url)), ..Kubernetes::default() };
        let ledger = Arc::new(Ledger::default());
        let mut clerk = Clerk::new(root.path(), config, Arc::clone(&ledger));
        let ask = |uid: &str| [(uid.to_owned(), "c".to_owned())];
        clerk.answer(&ask("u"));
        clerk.answer(&ask("u"));
        assert_eq!(counted(&ledger), [0, 2, 2]);
        assert!(clerk.known.lock().unwrap().is_empty());
        clerk.answer(&[ask("u"), ask("another")].concat());
        assert_eq!(counted(&ledger), [1, 2, 3], "what the list does not have is not known");
        assert!(clerk.known.lock().unwrap().contains_key("u"));
        serving.join().unwrap();
    }

    #[test]
    fn a_node_without_a_list_fails_none() {
        let root = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::default());
        let mut clerk = Clerk::new(root.path(), Kubernetes::default(), Arc::clone(&ledger));
        clerk.answer(&[("u".to_owned(), "c".to_owned())]);
        assert_eq!(counted(&ledger), [0, 0, 1]);
    }

    #[test]
    fn a_container_that_the_list_does_not_have_yet_is_named_by_its_runtime_and_stays_so() {
        const UID: &str = "63b3ebfc-2890-11e9-8154-16bf8ef8d9dc";
        let root = tempfile::tempdir().unwrap();
        let list = root.path().join("pods.json");
        let pod = r#"{"items":[{"metadata":{"uid":"UID","name":"n","namespace":"s"},"spec":{"serviceAccountName":"a"}}]}"#;
        std::fs::write(&list, pod.replace("UID", UID)).unwrap();
        let (first, second) = ("a".repeat(64), "b".repeat(64));
        let bundle = root.path().join("run/containerd/io.containerd.runtime.v2.task/k8s.io").join(&first);
        std::fs::create_dir_all(&bundle).unwrap();
        let notes = r#"{"annotations":{"io.kubernetes.cri.sandbox-uid":"UID","io.kubernetes.cri.sandbox-name":"n",
            "io.kubernetes.cri.sandbox-namespace":"s","io.kubernetes.cri.container-name":"web"}}"#;
        std::fs::write(bundle.join("config.json"), notes.replace("UID", UID)).unwrap();
        let config = Kubernetes { pods: Some(PodsSource::File(list)), ..Kubernetes::default() };
        let mut clerk = Clerk::new(root.path(), config, Arc::new(Ledger::default()));
        let known = Arc::clone(&clerk.known);
        let names = || known.lock().unwrap()[UID].containers.clone();
        clerk.answer(&[(UID.to_owned(), second.clone())]);
        assert!(names().is_empty(), "nobody's name is taken for another's");
        clerk.answer(&[(UID.to_owned(), first.clone())]);
        assert_eq!(names(), [(first.clone(), "web".to_owned())].into());
        clerk.answer(&[(UID.to_owned(), second)]);
        assert_eq!(names(), [(first, "web".to_owned())].into(), "a newer list takes no name away");
    }

    #[test]
    fn names_of_containers_are_kept_within_bounds() {
        let many = (0..CONTAINERS_MAX * 2).map(|n| (format!("{n:064x}"), "web".to_owned()));
        let before = PodIdentity { containers: many.collect(), ..PodIdentity::default() };
        let mut now =
            PodIdentity { containers: [("x".to_owned(), "new".to_owned())].into(), ..PodIdentity::default() };
        now.keep_names(&before);
        assert_eq!(now.containers.len(), CONTAINERS_MAX);
        assert_eq!(now.containers["x"], "new");
    }

    #[test]
    fn a_name_of_a_container_is_not_asked_for_without_end() {
        let (asks, questions) = sync_channel(8);
        let named = PodIdentity { service_account: Some("a".to_owned()), ..PodIdentity::default() };
        let known = HashMap::from([("u".to_owned(), Arc::new(named))]);
        let mut pods = Pods { known: Arc::new(Mutex::new(known)), asks, asked: HashMap::new() };
        let mut counts = HashMap::new();
        for uid in ["u", "unknown"] {
            for _ in 0..NAME_ASKS_MAX * 2 {
                pods.pod(uid, "c");
                pods.pod(uid, "c");
                // As if it were later.
                for (asked, _) in pods.asked.values_mut() {
                    *asked = Instant::now().checked_sub(ASK_AGAIN).unwrap();
                }
                *counts.entry(uid).or_insert(0) += questions.try_iter().count();
            }
        }
        let most = usize::try_from(NAME_ASKS_MAX).unwrap();
        assert_eq!(
            counts,
            [("u", most), ("unknown", most * 2)].into(),
            "a pod is asked for as long as it acts"
        );
    }

    #[test]
    fn spiffe_ids_are_made_of_names_that_may_stand_in_them() {
        let pod = |namespace: &str, account: Option<&str>| PodIdentity {
            namespace: namespace.to_owned(),
            service_account: account.map(str::to_owned),
            ..PodIdentity::default()
        };
        let id = |pod: &PodIdentity| pod.spiffe_id("example.org");
        assert_eq!(id(&pod("shop", Some("cart"))).as_deref(), Some("spiffe://example.org/ns/shop/sa/cart"));
        for odd in
            [pod("shop", None), pod("shop", Some("..")), pod("a/b", Some("cart")), pod("", Some("cart"))]
        {
            assert_eq!(id(&odd), None, "{odd:?}");
        }
        assert_eq!(id(&pod(&"a".repeat(2048), Some("cart"))), None);
    }
}

//! Which broker leads which partition, and the connections to them.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::broker::{Broker, Way};
use super::errors::describe;
use super::wire::{self, Api, Metadata};
use crate::forward::connection::Stamp;
use crate::forward::deliver::{DeliverError, reason};

/// After so long, who leads what is asked again, so that new partitions and brokers are found.
const KNOWN_FOR: Duration = Duration::from_mins(5);
/// Most addresses that are tried in a row.
const TRIED_MAX: usize = 16;

/// Of each partition the address of its leader, if it has one.
pub(super) type Leaders = Arc<[Option<Arc<str>>]>;

pub(super) struct Cluster {
    topic: String,
    /// As the config names them.
    brokers: Vec<String>,
    way: Way,
    connections: HashMap<String, Broker>,
    known: Option<(Leaders, Instant)>,
    stamp: Stamp,
    /// Which of the config's brokers is asked first: by chance, so that a fleet does not ask the same.
    turn: usize,
}

impl Cluster {
    pub(super) fn new(topic: String, brokers: Vec<String>, way: Way) -> Self {
        // Each of these is seeded by the system.
        let random = RandomState::new().build_hasher().finish();
        let turn = usize::try_from(random & 0xffff).unwrap_or(0);
        let stamp = Stamp::default();
        Self { topic, brokers, way, connections: HashMap::new(), known: None, stamp, turn }
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// Who leads what must be asked anew.
    pub(super) fn stale(&mut self) {
        self.known = None;
    }

    /// A connection that did not do what it should.
    pub(super) fn forget(&mut self, address: &str) {
        self.connections.remove(address);
        self.stale();
    }

    /// Files of TLS that were rotated: all connections are made anew.
    fn renew(&mut self) {
        if let Some(files) = &self.way.tls {
            let stamp = Stamp::of(files);
            if stamp != self.stamp {
                self.connections.clear();
                self.stamp = stamp;
            }
        }
    }

    /// A connection to a broker.
    pub(super) fn broker(&mut self, address: &str) -> Result<&mut Broker, DeliverError> {
        let kept = self.connections.remove(address).filter(|broker| !broker.worn());
        let broker = match kept {
            Some(broker) => broker,
            None => Broker::connect(address, &self.way)?,
        };
        Ok(self.connections.entry(address.to_owned()).or_insert(broker))
    }

    /// The connection that a request went over, for its answer.
    pub(super) fn sent_to(&mut self, address: &str) -> Result<&mut Broker, DeliverError> {
        let gone =
            || DeliverError::Kafka { broker: address.to_owned(), what: "the connection is gone".to_owned() };
        self.connections.get_mut(address).ok_or_else(gone)
    }

    /// The partitions of the topic. Asked first of all in a round.
    pub(super) fn leaders(&mut self) -> Result<Leaders, DeliverError> {
        self.renew();
        if let Some((leaders, asked)) = &self.known
            && asked.elapsed() < KNOWN_FOR
        {
            return Ok(Arc::clone(leaders));
        }
        let (from, metadata) = self.ask()?;
        let leaders = self.understand(&from, metadata)?;
        let in_use = |address: &String| leaders.iter().flatten().any(|leader| **leader == **address);
        self.connections.retain(|address, _| *address == from || in_use(address));
        self.known = Some((Arc::clone(&leaders), Instant::now()));
        Ok(leaders)
    }

    /// Asks the brokers we are connected with, then those of the config, until one answers.
    fn ask(&mut self) -> Result<(String, Metadata), DeliverError> {
        let mut addresses: Vec<String> = self.connections.keys().cloned().collect();
        let count = self.brokers.len();
        addresses.extend(self.brokers.iter().cycle().skip(self.turn % count.max(1)).take(count).cloned());
        let (mut told, mut last) = (Vec::new(), None);
        let begun = Instant::now();
        for address in addresses.into_iter().take(TRIED_MAX) {
            // What is left has its turn the next time, which begins elsewhere.
            if begun.elapsed() > self.way.patience * 2 {
                break;
            }
            match self.ask_one(&address) {
                Ok(metadata) => return Ok((address, metadata)),
                Err(error) => {
                    self.connections.remove(&address);
                    told.push(error.to_string());
                    last = Some(error);
                }
            }
        }
        self.turn = self.turn.wrapping_add(1);
        match last {
            Some(error) if told.len() == 1 => Err(error),
            _ => {
                let broker = "no broker answers".to_owned();
                Err(DeliverError::Kafka { broker, what: reason(&told.join("; ")) })
            }
        }
    }

    fn ask_one(&mut self, address: &str) -> Result<Metadata, DeliverError> {
        let body = wire::ask_metadata(&self.topic);
        let broker = self.broker(address)?;
        let version = broker.version(Api::Metadata)?;
        let answer = broker.call(Api::Metadata, version, &body)?;
        wire::metadata(&answer, version).map_err(broker.misread(Api::Metadata))
    }

    fn understand(&self, from: &str, metadata: Metadata) -> Result<Leaders, DeliverError> {
        let refused = |error, text: &str| DeliverError::Kafka {
            broker: from.to_owned(),
            what: format!("topic {}: {}", self.topic, describe(error, text)),
        };
        let topic = metadata.topics.into_iter().find(|topic| topic.name == self.topic);
        let topic = topic.ok_or_else(|| refused(3, "it is not in the answer"))?;
        if topic.error != 0 {
            return Err(refused(topic.error, ""));
        }
        if topic.partitions.is_empty() {
            return Err(refused(5, "it has no partitions"));
        }
        let strange = |host: &str| host.is_empty() || host.contains(|c: char| !c.is_ascii_graphic());
        if metadata.brokers.iter().any(|(_, host, _)| strange(host)) {
            let text = "metadata: a broker whose name is none".to_owned();
            return Err(DeliverError::Protocol { url: from.to_owned(), text });
        }
        let addresses: HashMap<i32, Arc<str>> =
            metadata.brokers.iter().map(|(id, host, port)| (*id, address(host, *port))).collect();
        let mut leaders = vec![None; topic.partitions.len()];
        for (index, leader) in topic.partitions {
            let slot = usize::try_from(index).ok().and_then(|index| leaders.get_mut(index));
            let Some(slot) = slot else {
                let text = format!("metadata: partition {index} of {}", leaders.len());
                return Err(DeliverError::Protocol { url: from.to_owned(), text });
            };
            *slot = addresses.get(&leader).cloned();
        }
        Ok(leaders.into())
    }
}

/// `host:port`, an IPv6 address in brackets.
fn address(host: &str, port: i32) -> Arc<str> {
    if host.contains(':') { format!("[{host}]:{port}").into() } else { format!("{host}:{port}").into() }
}

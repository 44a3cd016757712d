//! A topic of Kafka, or of whatever speaks its protocol.
//!
//! A record is taken when all replicas that are in sync have it (`acks=all`). One request to a broker is on its way at a time, and the
//! next records of a partition go when the ones before are answered for: that keeps their order whatever is repeated. Why the client
//! is our own is told in docs/adr/0016-kafka-by-a-small-client.md.

mod batch;
mod broker;
mod cluster;
mod errors;
mod sasl;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use self::broker::Way;
use self::cluster::{Cluster, Leaders};
use self::errors::{About, about, describe};
use self::wire::{Api, Produced};
use super::deliver::{Deliver, DeliverError, Failure, Fate, Outcome, reason};
use super::encodings::Item;
use super::portion::Portion;
use crate::config;

/// How long a broker may wait for its replicas.
const REPLICAS: Duration = Duration::from_secs(10);
/// How long an answer is waited for: longer than that.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest time that a broker may ask us to be quiet; beyond it, its own limits hold.
const QUIET_MAX: Duration = Duration::from_secs(30);

/// A topic.
pub(super) struct Kafka {
    config: config::Kafka,
    format: &'static str,
    cluster: Cluster,
    portion: Portion,
    /// Until then, brokers want nothing from us.
    quiet: Option<Instant>,
}

impl Kafka {
    pub(super) fn new(config: config::Kafka, format: config::Format) -> Self {
        Self::patient(config, format, PATIENCE)
    }

    /// The same, that waits for answers no longer than this.
    pub(super) fn patient(config: config::Kafka, format: config::Format, patience: Duration) -> Self {
        let way = Way { tls: config.tls.clone(), sasl: config.sasl.clone(), patience };
        let cluster = Cluster::new(config.topic.clone(), config.brokers.clone(), way);
        Self { config, format: format.name(), cluster, portion: Portion::new(), quiet: None }
    }

    /// Sends each leader its batches. What could not be sent waits.
    fn send(&mut self, round: &mut Round) -> Vec<Sent> {
        let mut sent = Vec::new();
        for address in round.addresses() {
            let partitions = round.led_by(&address);
            match self.send_one(round, &address, &partitions) {
                Ok(version) => sent.push(Sent { address, version, partitions }),
                Err(why) => {
                    self.cluster.forget(&address);
                    round.wait(why);
                }
            }
        }
        sent
    }

    fn send_one(&mut self, round: &Round, address: &str, partitions: &[usize]) -> Result<i16, DeliverError> {
        let mut batches = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let items = round.items(*partition);
            let batch = batch::batch(&items, self.config.partition_by, self.format, self.config.compression)
                .map_err(DeliverError::io("cannot compress"))?;
            batches.push((i32::try_from(*partition).unwrap_or(i32::MAX), batch));
        }
        let timeout_ms = i32::try_from(REPLICAS.as_millis()).unwrap_or(i32::MAX);
        let body = wire::ask_produce(self.cluster.topic(), timeout_ms, &batches);
        let broker = self.cluster.broker(address)?;
        let version = broker.version(Api::Produce)?;
        broker.send(Api::Produce, version, &body).map(|()| version)
    }

    /// What a leader answers, and what that means for each record.
    fn receive(&mut self, round: &mut Round, sent: &Sent) {
        match self.receive_one(sent) {
            Ok(answers) => {
                for partition in &sent.partitions {
                    let wanted = |answer: &&Produced| usize::try_from(answer.partition) == Ok(*partition);
                    match answers.iter().find(wanted) {
                        Some(answer) => self.settle(round, sent, *partition, answer),
                        None => round.wait(DeliverError::Protocol {
                            url: sent.address.to_string(),
                            text: format!("produce: no answer for partition {partition}"),
                        }),
                    }
                }
            }
            Err(why) => {
                self.cluster.forget(&sent.address);
                round.wait(why);
            }
        }
    }

    fn receive_one(&mut self, sent: &Sent) -> Result<Vec<Produced>, DeliverError> {
        let broker = self.cluster.sent_to(&sent.address)?;
        let answer = broker.receive(Api::Produce)?;
        let (answers, throttle_ms) =
            wire::produced(&answer, sent.version).map_err(broker.misread(Api::Produce))?;
        let quiet = Duration::from_millis(u64::try_from(throttle_ms).unwrap_or(0)).min(QUIET_MAX);
        if !quiet.is_zero() {
            // What was answered for is taken all the same; only the next has to wait.
            self.quiet = self.quiet.max(Some(Instant::now() + quiet));
        }
        Ok(answers)
    }

    fn settle(&mut self, round: &mut Round, sent: &Sent, partition: usize, answer: &Produced) {
        if answer.error == 0 {
            round.all(partition, &Fate::Taken);
            return;
        }
        let about = about(answer.error);
        if about == About::Records {
            self.blame(round, partition, answer);
            return;
        }
        if about == About::Leaders {
            self.cluster.stale();
        }
        let what = format!(
            "produce to {} partition {partition}: {}",
            self.cluster.topic(),
            describe(answer.error, &reason(&answer.text))
        );
        round.wait(DeliverError::Kafka { broker: sent.address.to_string(), what });
    }

    /// A batch was refused for its records: those that the broker names, or the only one, or one that smaller batches will show.
    fn blame(&mut self, round: &mut Round, partition: usize, answer: &Produced) {
        let count = round.count(partition);
        let named =
            answer.records.iter().filter_map(|(place, text)| Some((usize::try_from(*place).ok()?, text)));
        let mut found = 0;
        for (place, text) in named.filter(|(place, _)| *place < count) {
            let said = if text.is_empty() { &answer.text } else { text };
            round.one(partition, place, Fate::Refused(reason(&describe(answer.error, said))));
            found += 1;
        }
        if found == 0 && count <= 1 {
            round.all(partition, &Fate::Refused(reason(&describe(answer.error, &answer.text))));
        } else if found == 0 {
            round.halve(count);
        }
    }
}

impl Deliver for Kafka {
    fn deliver(&mut self, batch: &[Arc<Item>]) -> Outcome {
        if let Some(until) = self.quiet.take() {
            thread::sleep(until.saturating_duration_since(Instant::now()));
        }
        let leaders = match self.cluster.leaders() {
            Ok(leaders) => leaders,
            Err(why) => return Outcome::failed(0, why),
        };
        // No broker finds a batch too large then, whichever partition its records go to.
        let part = self.portion.of(batch, self.config.max_record);
        let mut round = Round::new(part, leaders, &self.config);
        if round.headless() {
            self.cluster.stale();
        }
        for sent in self.send(&mut round) {
            self.receive(&mut round, &sent);
        }
        match round.refused {
            Some(count) => self.portion.halve(count),
            None if round.failure.is_none() => self.portion.grow(),
            None => {}
        }
        round.outcome()
    }
}

/// A request that was sent and is to be answered.
struct Sent {
    address: Arc<str>,
    version: i16,
    partitions: Vec<usize>,
}

/// Records on their way to their partitions, and what becomes of each.
struct Round<'a> {
    part: &'a [Arc<Item>],
    leaders: Leaders,
    fates: Vec<Fate>,
    /// By partition, the places of its records.
    places: Vec<(usize, Vec<usize>)>,
    failure: Option<DeliverError>,
    /// Records of the smallest batch that was refused as a whole.
    refused: Option<usize>,
}

impl<'a> Round<'a> {
    fn new(part: &'a [Arc<Item>], leaders: Leaders, config: &config::Kafka) -> Self {
        let mut places: Vec<(usize, Vec<usize>)> = Vec::new();
        let mut fates = vec![Fate::Again; part.len()];
        for (place, (item, fate)) in part.iter().zip(&mut fates).enumerate() {
            let (length, max) = (item.bytes.len(), config.max_record);
            if length > max {
                *fate = Fate::Refused(format!("{length} bytes, and `max_record` is {max}"));
                continue;
            }
            let partition = batch::partition(batch::key(item, config.partition_by), leaders.len());
            match places.iter_mut().find(|(known, _)| *known == partition) {
                Some((_, places)) => places.push(place),
                None => places.push((partition, vec![place])),
            }
        }
        Self { part, leaders, fates, places, failure: None, refused: None }
    }

    fn leader(&self, partition: usize) -> Option<&Arc<str>> {
        self.leaders.get(partition)?.as_ref()
    }

    /// Whether a partition is led by nobody; its records wait.
    fn headless(&mut self) -> bool {
        let without = self.places.iter().find(|(partition, _)| self.leader(*partition).is_none());
        let Some((partition, _)) = without else {
            return false;
        };
        let what = format!("partition {partition}: {}", describe(5, ""));
        self.wait(DeliverError::Kafka { broker: "nobody leads".to_owned(), what });
        true
    }

    /// Who leads what is to be sent.
    fn addresses(&self) -> Vec<Arc<str>> {
        let mut all: Vec<_> =
            self.places.iter().filter_map(|(partition, _)| self.leader(*partition).cloned()).collect();
        all.sort();
        all.dedup();
        all
    }

    fn led_by(&self, address: &Arc<str>) -> Vec<usize> {
        let partitions = self.places.iter().map(|(partition, _)| *partition);
        partitions.filter(|partition| self.leader(*partition) == Some(address)).collect()
    }

    fn at(&self, partition: usize) -> &[usize] {
        let found = self.places.iter().find(|(known, _)| *known == partition);
        found.map_or(&[], |(_, places)| places)
    }

    fn items(&self, partition: usize) -> Vec<&'a Arc<Item>> {
        self.at(partition).iter().filter_map(|place| self.part.get(*place)).collect()
    }

    fn count(&self, partition: usize) -> usize {
        self.at(partition).len()
    }

    fn one(&mut self, partition: usize, place: usize, fate: Fate) {
        let place = self.at(partition).get(place).copied();
        if let Some(slot) = place.and_then(|place| self.fates.get_mut(place)) {
            *slot = fate;
        }
    }

    fn all(&mut self, partition: usize, fate: &Fate) {
        for place in 0..self.count(partition) {
            self.one(partition, place, fate.clone());
        }
    }

    fn wait(&mut self, why: DeliverError) {
        // The first is the reason; what follows is mostly the same.
        self.failure.get_or_insert(why);
    }

    /// Of so many records, nobody knows which is the bad one.
    fn halve(&mut self, count: usize) {
        self.refused = Some(self.refused.map_or(count, |smallest| smallest.min(count)));
    }

    fn outcome(self) -> Outcome {
        let failure = self.failure.map(|why| Failure { why, after: None, closed: false });
        Outcome { fates: self.fates, failure }
    }
}

//! Splunk's HTTP Event Collector, with and without indexer acknowledgement.
//!
//! Without it, a success says that the collector has the records, not that they are indexed. With it, each request gets a
//! number, which is asked for until an indexer has it. The collector says `true` of a number once and forgets it; where the
//! word does not come in time, the batch is sent again, and some of it may come twice.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Answer, Client};
use super::{Portion, REQUEST_MAX, refusal, wait};
use crate::config::{Format, Http};
use crate::forward::deliver::{Deliver, DeliverError, Fate, Outcome, reason};
use crate::forward::encodings::Item;

/// How long an acknowledgement is waited for, before the batch is sent again.
const ACKNOWLEDGED: Duration = Duration::from_secs(120);
/// How often it is asked for: soon at first, then more rarely.
const ASK_FIRST: Duration = Duration::from_millis(50);
const ASK_RAREST: Duration = Duration::from_secs(5);

/// A collector.
#[derive(Debug)]
pub(in crate::forward) struct Splunk {
    client: Client,
    url: String,
    index: Option<String>,
    /// The channel of acknowledgements, where they are waited for.
    channel: Option<String>,
    format: Format,
    portion: Portion,
    patience: Duration,
}

impl Splunk {
    pub(in crate::forward) fn new(
        http: Http,
        index: Option<String>,
        acknowledge: bool,
        format: Format,
    ) -> Self {
        let client = Client::new(http);
        let url = client.url("/services/collector/event");
        let channel = acknowledge.then(channel);
        Self { client, url, index, channel, format, portion: Portion::new(), patience: ACKNOWLEDGED }
    }

    /// For tests: another patience.
    #[cfg(test)]
    pub(in crate::forward) fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn post(&mut self, url: &str, body: &[u8], records: bool) -> Result<Answer, DeliverError> {
        let mut headers = vec![("Content-Type", "application/json")];
        let channel = self.channel.clone();
        headers.extend(channel.as_deref().map(|channel| ("X-Splunk-Request-Channel", channel)));
        if records { self.client.post(url, &headers, body) } else { self.client.ask(url, &headers, body) }
    }

    /// One record in its envelope.
    fn event(&self, item: &Item) -> Vec<u8> {
        let facts = &item.facts;
        let seconds = facts.time_ns.div_euclid(1_000_000_000);
        let rest = facts.time_ns.rem_euclid(1_000_000_000);
        let mut fields = json!({"spoor_seq": item.seq.to_string(), "spoor_host_id": facts.host_id});
        for (name, value) in [("spoor_chain", &facts.chain), ("spoor_actor", &facts.actor)] {
            if let Some(value) = value {
                fields[name] = json!(value);
            }
        }
        let mut envelope = json!({
            "time": format!("{seconds}.{rest:09}"),
            "host": facts.host_name,
            "source": "spoor",
            "sourcetype": format!("spoor:{}", self.format.name()),
            "fields": fields,
        });
        if let Some(index) = &self.index {
            envelope["index"] = json!(index);
        }
        let text = String::from_utf8_lossy(&item.bytes).into_owned();
        // As the record's own bytes, so that no number is written anew.
        let event = if self.format.is_json() { text } else { json!(text).to_string() };
        let head = envelope.to_string();
        let head = head.strip_suffix('}').unwrap_or(&head);
        format!("{head},\"event\":{event}}}").into_bytes()
    }

    /// Asks until an indexer has it.
    fn acknowledged(&mut self, number: u64) -> Result<bool, DeliverError> {
        let url = self.url.replace("/services/collector/event", "/services/collector/ack");
        let url = format!("{url}?channel={}", self.channel.as_deref().unwrap_or_default());
        let question = json!({"acks": [number]}).to_string();
        let until = Instant::now() + self.patience;
        let mut pause = ASK_FIRST;
        loop {
            let answer = self.post(&url, question.as_bytes(), false)?;
            if !answer.success() {
                let text = reason(&answer.text());
                return Err(DeliverError::Status { url, status: answer.status, text });
            }
            let parsed: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            match parsed.get("acks").and_then(|acks| acks.get(number.to_string())).and_then(Value::as_bool) {
                Some(true) => return Ok(true),
                Some(false) => {}
                None => {
                    let text = format!("nothing about acknowledgement {number}");
                    return Err(DeliverError::Protocol { url, text });
                }
            }
            if Instant::now() + pause > until {
                return Ok(false);
            }
            sleep(pause);
            pause = (pause * 2).min(ASK_RAREST);
        }
    }

    fn taken(&mut self, answer: &Answer, count: usize) -> Outcome {
        let parsed: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let protocol = |url: &str, text: &str| {
            Outcome::failed(0, DeliverError::Protocol { url: url.to_owned(), text: text.to_owned() })
        };
        // Anybody on the way can say 200, a page to log in for one: a collector says that it is a success.
        if parsed.get("code").and_then(Value::as_u64) != Some(0) {
            let text = reason(&format!("a success without `\"code\":0`: {}", answer.text()));
            return protocol(&self.url, &text);
        }
        if self.channel.is_none() {
            self.portion.grow();
            return Outcome::taken(count);
        }
        let Some(number) = parsed.get("ackId").and_then(Value::as_u64) else {
            return protocol(&self.url, "no `ackId`: is indexer acknowledgement on for this token?");
        };
        match self.acknowledged(number) {
            Ok(true) => {
                self.portion.grow();
                Outcome::taken(count)
            }
            Ok(false) => protocol(&self.url, "no indexer acknowledged the batch in time; it is sent again"),
            Err(why) => Outcome::failed(0, why),
        }
    }
}

impl Deliver for Splunk {
    fn deliver(&mut self, batch: &[Arc<Item>]) -> Outcome {
        let part = self.portion.of(batch, REQUEST_MAX);
        let count = part.len();
        let mut body = Vec::new();
        for item in part {
            body.extend_from_slice(&self.event(item));
            body.push(b'\n');
        }
        let url = self.url.clone();
        match self.post(&url, &body, true) {
            Err(why) => Outcome::failed(0, why),
            Ok(answer) if answer.success() => self.taken(&answer, count),
            Ok(answer) if answer.status == 413 => self.portion.refused(count, refusal(&answer)),
            Ok(answer) if answer.status == 400 => self.bad(&answer, count),
            Ok(answer) => wait(&answer, &self.url),
        }
    }
}

impl Splunk {
    /// A 400: its code says whether it is about a record, and its number which.
    fn bad(&mut self, answer: &Answer, count: usize) -> Outcome {
        let parsed: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let number = |name: &str| parsed.get(name).and_then(Value::as_u64);
        // 7 wrong index, 10 and 11 channel, 14 acknowledgement off, 16 query string: about the token or the config.
        if matches!(number("code"), Some(7 | 10 | 11 | 14 | 16)) {
            return wait(answer, &self.url);
        }
        let first_bad = number("invalid-event-number").and_then(|bad| usize::try_from(bad).ok());
        match first_bad.filter(|bad| *bad < count) {
            // What stood before it is taken; without acknowledgement, that is all there is to know of it.
            Some(bad) if self.channel.is_none() => {
                let mut fates = vec![Fate::Taken; bad];
                fates.push(Fate::Refused(refusal(answer)));
                Outcome { fates, failure: None }
            }
            // With it, no number was given for these: they are sent again, without the bad one.
            Some(bad) => {
                let mut fates = vec![Fate::Again; bad];
                fates.push(Fate::Refused(refusal(answer)));
                Outcome { fates, failure: None }
            }
            None => self.portion.refused(count, refusal(answer)),
        }
    }
}

/// A random UUID, as the collector asks for.
fn channel() -> String {
    // Each of these is seeded by the system.
    let random = || u128::from(RandomState::new().build_hasher().finish());
    let bits = (random() << 64 | random()) & !(0xf << 76 | 0x3 << 62) | 4 << 76 | 2 << 62;
    let hex = format!("{bits:032x}");
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

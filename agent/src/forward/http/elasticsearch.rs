//! The `_bulk` interface of Elasticsearch and OpenSearch.
//!
//! A 200 says nothing of the records: each has its own answer. `create` with an id that is made of host and number, so that a
//! record that comes twice is refused as there already (409), which is what we want to hear.

use std::sync::Arc;

use serde_json::{Value, json};

use super::client::{Answer, Client};
use super::{Portion, REQUEST_MAX, refusal, wait};
use crate::config::Http;
use crate::forward::deliver::{Deliver, DeliverError, Failure, Fate, Outcome, reason};
use crate::forward::encodings::Item;

/// An index or a data stream.
#[derive(Debug)]
pub(in crate::forward) struct Elasticsearch {
    client: Client,
    url: String,
    index: String,
    portion: Portion,
}

impl Elasticsearch {
    pub(in crate::forward) fn new(http: Http, index: &str) -> Self {
        let client = Client::new(http);
        Self { url: client.url("/_bulk"), client, index: index.to_owned(), portion: Portion::new() }
    }

    fn body(&self, part: &[Arc<Item>]) -> Vec<u8> {
        let mut body = Vec::new();
        for item in part {
            let action = json!({"create": {"_index": self.index, "_id": item.facts.id(item.seq)}});
            body.extend_from_slice(action.to_string().as_bytes());
            body.push(b'\n');
            body.extend_from_slice(&item.bytes);
            body.push(b'\n');
        }
        body
    }
}

impl Deliver for Elasticsearch {
    fn deliver(&mut self, batch: &[Arc<Item>]) -> Outcome {
        let part = self.portion.of(batch, REQUEST_MAX);
        let body = self.body(part);
        match self.client.post(&self.url, &[("Content-Type", "application/x-ndjson")], &body) {
            Err(why) => Outcome::failed(0, why),
            Ok(answer) if answer.status == 200 => {
                let outcome = items(&answer, part.len(), &self.url);
                if outcome.failure.is_none() {
                    self.portion.grow();
                }
                outcome
            }
            // Of the request as a whole, only its size is about the records: these are JSON lines by making.
            Ok(answer) if answer.status == 413 => self.portion.refused(part.len(), refusal(&answer)),
            Ok(answer) => wait(&answer, &self.url),
        }
    }
}

/// What became of each record.
fn items(answer: &Answer, count: usize, url: &str) -> Outcome {
    let protocol = |text: String| {
        Outcome::failed(0, DeliverError::Protocol { url: url.to_owned(), text: reason(&text) })
    };
    let parsed: Value = match serde_json::from_slice(&answer.body) {
        Ok(parsed) => parsed,
        Err(error) => return protocol(format!("no JSON: {error}")),
    };
    let items = parsed.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if items.len() != count {
        return protocol(format!("{count} records were sent, and {} have an answer", items.len()));
    }
    let mut fates = Vec::with_capacity(count);
    let mut busy = None;
    for item in items {
        let created = item.get("create");
        let status = created.and_then(|created| created.get("status")).and_then(Value::as_u64).unwrap_or(0);
        let error = created.and_then(|created| created.get("error"));
        fates.push(match status {
            // 409: it is there already.
            200..=299 | 409 => Fate::Taken,
            // 0: an answer without a status. 403 and 404 are about the index, not about the record.
            0 | 401 | 403 | 404 | 429 | 500..=599 => {
                busy.get_or_insert_with(|| (status, why(error)));
                Fate::Again
            }
            status => Fate::Refused(reason(&format!("{status}: {}", why(error)))),
        });
    }
    let failure = busy.map(|(status, text)| {
        let status = u16::try_from(status).unwrap_or(0);
        let why = DeliverError::Status { url: url.to_owned(), status, text: reason(&text) };
        Failure { why, after: answer.retry_after, closed: false }
    });
    Outcome { fates, failure }
}

/// Type and reason of an error of Elasticsearch.
fn why(error: Option<&Value>) -> String {
    let text = |name: &str| error.and_then(|error| error.get(name)).and_then(Value::as_str);
    match (text("type"), text("reason")) {
        (Some(kind), Some(why)) => format!("{kind}: {why}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => error.map_or_else(|| "no reason given".to_owned(), Value::to_string),
    }
}

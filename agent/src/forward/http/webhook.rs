//! Lines posted to a URL: the simplest receiver there is. Every 2xx takes the whole batch.

use std::sync::Arc;

use super::client::Client;
use super::{Portion, REQUEST_MAX, about_records, refusal, wait};
use crate::config::{Format, Http};
use crate::forward::deliver::{Deliver, Outcome};
use crate::forward::encodings::Item;
use crate::forward::file::lines;

/// A receiver of lines.
#[derive(Debug)]
pub(in crate::forward) struct Webhook {
    client: Client,
    url: String,
    content: &'static str,
    portion: Portion,
}

impl Webhook {
    pub(in crate::forward) fn new(http: Http, format: Format) -> Self {
        let content = if format.is_json() { "application/x-ndjson" } else { "text/plain; charset=utf-8" };
        Self { url: http.url.clone(), client: Client::new(http), content, portion: Portion::new() }
    }
}

impl Deliver for Webhook {
    fn deliver(&mut self, batch: &[Arc<Item>]) -> Outcome {
        let part = self.portion.of(batch, REQUEST_MAX);
        let (Some(first), Some(last)) = (part.first(), part.last()) else {
            return Outcome::default();
        };
        // The same batch has the same key, so that a receiver may tell a repetition.
        let key = format!("{}-{}-{}", first.facts.host_id, first.seq, last.seq);
        let headers = [("Content-Type", self.content), ("Idempotency-Key", key.as_str())];
        match self.client.post(&self.url, &headers, &lines(part)) {
            Err(why) => Outcome::failed(0, why),
            Ok(answer) if answer.success() => {
                self.portion.grow();
                Outcome::taken(part.len())
            }
            Ok(answer) if about_records(answer.status) => self.portion.refused(part.len(), refusal(&answer)),
            Ok(answer) => wait(&answer, &self.url),
        }
    }
}

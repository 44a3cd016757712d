//! An OpenTelemetry collector, over HTTP with protobuf or JSON, or over gRPC.
//!
//! A success may be partial: so many records were rejected, and the collector does not say which. Such a request must not be sent
//! again. So all its records are set aside, each saying that it may be one of them, and the next requests are small.

mod answer;
mod channel;
mod grpc;

use std::sync::Arc;

use tracing::warn;

pub(in crate::forward) use self::grpc::Grpc;

use self::answer::{Partial, status_text};
use super::client::{Answer, Client, PROTOBUF};
use super::{Portion, REQUEST_MAX, refusal, wait};
use crate::config::{self, OtlpProtocol};
use crate::forward::deliver::{Deliver, DeliverError, Fate, Outcome, reason};
use crate::forward::encodings::Item;
use crate::schema;

/// A collector, spoken to as the config says.
pub(in crate::forward) fn collector(config: config::Otlp) -> Box<dyn Deliver> {
    match config.protocol {
        OtlpProtocol::Grpc => Box::new(Grpc::new(config)),
        OtlpProtocol::HttpProtobuf | OtlpProtocol::HttpJson => Box::new(Otlp::new(config)),
    }
}

/// Requests and their limits, whatever they go over.
#[derive(Debug)]
struct Requests {
    portion: Portion,
    protocol: OtlpProtocol,
    max: usize,
    /// The last warning of the collector's, so that it is told once.
    warned: String,
}

impl Requests {
    fn new(config: &config::Otlp) -> Self {
        let (protocol, max) = (config.protocol, config.max_request);
        Self { portion: Portion::new(), protocol, max, warned: String::new() }
    }

    /// The next request, and how many records are in it. Where it is too long, what becomes of these records.
    fn next(&mut self, batch: &[Arc<Item>]) -> Result<(usize, Vec<u8>), Outcome> {
        let part = self.portion.of(batch, REQUEST_MAX);
        let Some(first) = part.first() else {
            return Err(Outcome::default());
        };
        let records = part.iter().map(|item| item.bytes.as_slice());
        let (id, name) = (&first.facts.host_id, &first.facts.host_name);
        let body = match self.protocol {
            OtlpProtocol::HttpJson => schema::otel_json(id, name, records),
            OtlpProtocol::Grpc | OtlpProtocol::HttpProtobuf => schema::otel_protobuf(id, name, records),
        };
        if body.len() > self.max {
            let why = format!("a request of {} bytes, and `max_request` is {}", body.len(), self.max);
            return Err(self.portion.refused(part.len(), why));
        }
        Ok((part.len(), body))
    }

    /// The collector took a request, or most of it.
    fn taken(&mut self, count: usize, partial: &Partial, url: &str) -> Outcome {
        let text = reason(&partial.text);
        if partial.rejected > 0 {
            self.portion.shrink();
            let text = if text.is_empty() { "no reason given".to_owned() } else { text };
            let why = reason(&format!("one of {count}, of which {} rejected: {text}", partial.rejected));
            return Outcome { fates: vec![Fate::Refused(why); count], failure: None };
        }
        // Nothing rejected and a text all the same: a warning, by the protocol.
        if !text.is_empty() && text != self.warned {
            warn!(url, text, "the collector took the records, with a warning");
            self.warned = text;
        }
        self.portion.grow();
        Outcome::taken(count)
    }
}

/// A collector over HTTP.
#[derive(Debug)]
struct Otlp {
    client: Client,
    url: String,
    requests: Requests,
}

impl Otlp {
    fn new(config: config::Otlp) -> Self {
        let requests = Requests::new(&config);
        let client = Client::new(config.http);
        Self { url: client.url("/v1/logs"), client, requests }
    }

    fn content(&self) -> &'static str {
        match self.requests.protocol {
            OtlpProtocol::HttpJson => "application/json",
            OtlpProtocol::Grpc | OtlpProtocol::HttpProtobuf => PROTOBUF,
        }
    }
}

/// The same answer, the collector's words in it as text.
fn readable(mut answer: Answer) -> Answer {
    if answer.content == PROTOBUF
        && let Some(text) = status_text(&answer.body)
    {
        answer.body = text.into_bytes();
    }
    answer
}

impl Deliver for Otlp {
    fn deliver(&mut self, batch: &[Arc<Item>]) -> Outcome {
        let (count, body) = match self.requests.next(batch) {
            Ok(request) => request,
            Err(outcome) => return outcome,
        };
        let answer = match self.client.post(&self.url, &[("Content-Type", self.content())], &body) {
            Err(why) => return Outcome::failed(0, why),
            Ok(answer) => answer,
        };
        if answer.success() {
            let parsed = match self.requests.protocol {
                OtlpProtocol::HttpJson => Partial::of_json(&answer.body),
                OtlpProtocol::Grpc | OtlpProtocol::HttpProtobuf => Partial::of_protobuf(&answer.body),
            };
            // Whoever says something else was no collector, and has taken nothing.
            let lie = |text| Outcome::failed(0, DeliverError::Protocol { url: self.url.clone(), text });
            return match parsed {
                Err(text) => lie(text),
                Ok(partial) => self.requests.taken(count, &partial, &self.url),
            };
        }
        let answer = readable(answer);
        match answer.status {
            // To the letter: only 429, 502, 503 and 504 may be tried again. Who may not come in, or asks at the wrong door,
            // waits for a person; that costs no record.
            300..=399 | 401 | 403..=405 | 407 | 415 | 429 | 502..=504 => wait(&answer, &self.url),
            _ => self.requests.portion.refused(count, refusal(&answer)),
        }
    }
}

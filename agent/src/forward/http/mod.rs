//! What every receiver over HTTP shares: one client, sizes, and what an answer means for records.
//!
//! An answer is about the records (too large, cannot be read) or about the receiver and the way there (busy, not permitted, not
//! found). Only the first sets records aside; a batch that is refused is halved until the one record is found. Everything
//! else waits, so that a wrong token or address costs no record.

mod client;
mod elasticsearch;
mod otlp;
mod splunk;
mod webhook;

#[cfg(test)]
pub(super) use client::ANSWER_PATIENCE;
pub(super) use elasticsearch::Elasticsearch;
#[cfg(test)]
pub(super) use otlp::Grpc;
pub(super) use otlp::collector;
pub(super) use splunk::Splunk;
pub(super) use webhook::Webhook;

use self::client::Answer;
use super::deliver::{DeliverError, Failure, Outcome, reason};
use super::portion::Portion;

/// Most bytes of one request.
const REQUEST_MAX: usize = 1_000_000;

/// Everything has to wait, as long as the answer says or as we think.
fn wait(answer: &Answer, url: &str) -> Outcome {
    let why =
        DeliverError::Status { url: url.to_owned(), status: answer.status, text: reason(&answer.text()) };
    Outcome { fates: Vec::new(), failure: Some(Failure { why, after: answer.retry_after, closed: false }) }
}

/// The answer is about the records: too large, or not to be read.
fn about_records(status: u16) -> bool {
    matches!(status, 400 | 413 | 422)
}

/// Why a record was refused, in the receiver's words.
fn refusal(answer: &Answer) -> String {
    reason(&format!("{}: {}", answer.status, answer.text()))
}

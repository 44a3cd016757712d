//! Each way out.

use std::io;

use super::deliver::Deliver;
use super::file::FileTarget;
use super::http;
use super::kafka::Kafka;
use super::stdout::StreamTarget;
use super::syslog;
use crate::config::{Format, SinkKind};

/// What hands records over to a receiver of that kind.
pub(super) fn output(kind: SinkKind, format: Format) -> io::Result<Box<dyn Deliver>> {
    Ok(match kind {
        SinkKind::Stdout => Box::new(StreamTarget::stdout()?),
        SinkKind::File { path, rotate } => Box::new(FileTarget::new(path, rotate)),
        SinkKind::Syslog(config) => syslog::output(config),
        SinkKind::Webhook(http) => Box::new(http::Webhook::new(http, format)),
        SinkKind::Elasticsearch { http, index } => Box::new(http::Elasticsearch::new(http, &index)),
        SinkKind::Splunk { http, index, acknowledge } => {
            Box::new(http::Splunk::new(http, index, acknowledge, format))
        }
        SinkKind::Otlp(otlp) => http::collector(otlp),
        SinkKind::Kafka(config) => Box::new(Kafka::new(config, format)),
    })
}

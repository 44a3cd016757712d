//! A collector over gRPC.
//!
//! The connection lives on a thread of its own, so that it answers pings and notices its end also while there is nothing to hand
//! over.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use http::Uri;
use http::uri::PathAndQuery;
use prost::Message as _;
use prost::bytes::{BufMut as _, Bytes};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{AsciiMetadataValue, MetadataValue};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use ureq::Proxy;
use zeroize::Zeroizing;

use super::Requests;
use super::answer::{Partial, Response};
use super::channel::Channel;
use crate::config::{self, Http};
use crate::forward::connection::{Stamp, tls};
use crate::forward::deliver::{Deliver, DeliverError, Failure, Outcome, causes, reason};
use crate::forward::encodings::Item;
use crate::forward::http::client::{ANSWER_PATIENCE, USER_AGENT, authorization, hidden};

const METHOD: PathAndQuery =
    PathAndQuery::from_static("/opentelemetry.proto.collector.logs.v1.LogsService/Export");
/// Longest answer that is read.
const ANSWER_MAX: usize = 4 << 20;

/// A collector over gRPC.
#[derive(Debug)]
pub(in crate::forward) struct Grpc {
    http: Http,
    requests: Requests,
    proxy: Option<Proxy>,
    driver: Option<Driver>,
    channel: Option<(Channel, Stamp)>,
    patience: Duration,
}

/// What the collector said.
enum Reply {
    Taken(Partial),
    Not(Status),
}

impl Grpc {
    pub(in crate::forward) fn new(config: config::Otlp) -> Self {
        let requests = Requests::new(&config);
        let proxy = Proxy::try_from_env();
        let (driver, channel) = (None, None);
        Self { http: config.http, requests, proxy, driver, channel, patience: ANSWER_PATIENCE }
    }

    /// For tests: through this proxy, whatever the environment says.
    #[cfg(test)]
    pub(in crate::forward) fn through(mut self, proxy: Option<Proxy>) -> Self {
        self.proxy = proxy;
        self
    }

    /// For tests: another patience.
    #[cfg(test)]
    pub(in crate::forward) fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sends a request, and gives what the collector itself said of it. All else is an error, after which a new connection is
    /// made.
    fn post(&mut self, body: Vec<u8>) -> Result<Reply, DeliverError> {
        let authorization = authorization(&self.http)?;
        let stamp = Stamp::of(&self.http.tls);
        // Files of TLS were rotated, or the collector has closed it.
        let usable = |(channel, made): &(Channel, Stamp)| *made == stamp && channel.open();
        let channel = self.channel.take().filter(usable);
        let to: Uri = self.http.url.parse().map_err(|_| self.broken("this is no URL".into()))?;
        let tls = match &channel {
            None if to.scheme_str() == Some("https") => Some(tls(&self.http.tls)?),
            _ => None,
        };
        let proxy = self.proxy.clone();
        let (gzip, patience) = (self.http.gzip, self.patience);
        let handle = self.handle()?;
        let done = handle.block_on(timeout(patience, async {
            let channel = match channel {
                Some((channel, _)) => channel,
                None => Channel::connect(&to, tls, proxy.as_ref()).await?,
            };
            let request = request(body, authorization.as_ref(), patience)?;
            let (wire, said) = channel.call();
            let reply = export(wire, to, request, gzip).await;
            Ok((channel, reply, said))
        }));
        let (channel, reply, said) = match done {
            Err(_) => return Err(self.broken(format!("no answer within {patience:?}").into())),
            Ok(Err(error)) => return Err(self.broken(error)),
            Ok(Ok(done)) => done,
        };
        match reply {
            Ok(response) => {
                self.channel = Some((channel, stamp));
                let mut partial = Partial::from(response);
                partial.text = hidden(partial.text, authorization.as_ref());
                Ok(Reply::Taken(partial))
            }
            // A status that the collector did not say is about the way there.
            Err(status) if !said.was(status.code()) => {
                let text = match std::error::Error::source(&status) {
                    Some(source) => causes(source),
                    None => status.message().to_owned(),
                };
                Err(self.broken(hidden(text, authorization.as_ref()).into()))
            }
            Err(status) => {
                self.channel = Some((channel, stamp));
                let text = hidden(status.message().to_owned(), authorization.as_ref());
                let details = Bytes::copy_from_slice(status.details());
                Ok(Reply::Not(Status::with_details(status.code(), text, details)))
            }
        }
    }

    fn broken(&self, error: Box<dyn std::error::Error + Send + Sync>) -> DeliverError {
        DeliverError::Connection { url: self.http.url.clone(), error }
    }

    fn handle(&mut self) -> Result<Handle, DeliverError> {
        let driver = match self.driver.take() {
            Some(driver) => driver,
            None => Driver::start().map_err(DeliverError::io("no thread for a connection"))?,
        };
        Ok(self.driver.insert(driver).handle.clone())
    }

    /// What becomes of records by a status.
    fn refused(&mut self, status: &Status, count: usize) -> Outcome {
        let code = status.code();
        let text = reason(status.message());
        let asked = status.get_details_retry_info();
        let again = match code {
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss
            // Who may not come in, or asks at the wrong door, waits for a person; that costs no record.
            | Code::Unauthenticated
            | Code::PermissionDenied
            | Code::Unimplemented => true,
            // Only who speaks of trying again means that it passes.
            Code::ResourceExhausted => asked.is_some(),
            Code::Ok
            | Code::Unknown
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::Internal => false,
        };
        if !again {
            return self.requests.portion.refused(count, reason(&format!("{code:?}: {text}")));
        }
        let why = DeliverError::Grpc { url: self.http.url.clone(), code, text };
        let after = asked.and_then(|info| info.retry_delay);
        Outcome { fates: Vec::new(), failure: Some(Failure { why, after, closed: false }) }
    }
}

impl Deliver for Grpc {
    fn deliver(&mut self, batch: &[Arc<Item>]) -> Outcome {
        let (count, body) = match self.requests.next(batch) {
            Ok(request) => request,
            Err(outcome) => return outcome,
        };
        match self.post(body) {
            Err(why) => Outcome::failed(0, why),
            Ok(Reply::Taken(partial)) => self.requests.taken(count, &partial, &self.http.url),
            Ok(Reply::Not(status)) => self.refused(&status, count),
        }
    }
}

fn request(
    body: Vec<u8>,
    authorization: Option<&Zeroizing<String>>,
    patience: Duration,
) -> Result<Request<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
    let mut request = Request::new(Bytes::from(body));
    request.set_timeout(patience);
    request.metadata_mut().insert("user-agent", MetadataValue::from_static(USER_AGENT));
    if let Some(authorization) = authorization {
        // The error does not show the value.
        let mut value = AsciiMetadataValue::try_from(authorization.as_str())?;
        value.set_sensitive(true);
        request.metadata_mut().insert("authorization", value);
    }
    Ok(request)
}

async fn export(wire: Channel, to: Uri, request: Request<Bytes>, gzip: bool) -> Result<Response, Status> {
    // Answers are short, and not to be unpacked into long ones: compression of these is not offered.
    let mut client = tonic::client::Grpc::with_origin(wire, to).max_decoding_message_size(ANSWER_MAX);
    if gzip {
        client = client.send_compressed(CompressionEncoding::Gzip);
    }
    client.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
    Ok(client.unary(request, METHOD, Messages).await?.into_inner())
}

/// Requests are messages already; answers become some.
struct Messages;

impl Codec for Messages {
    type Encode = Bytes;
    type Decode = Response;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Messages {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Messages {
    type Item = Response;
    type Error = Status;

    fn decode(&mut self, input: &mut DecodeBuf<'_>) -> Result<Option<Response>, Status> {
        Response::decode(input).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

/// The thread on which connections live, until this is dropped.
#[derive(Debug)]
struct Driver {
    handle: Handle,
    _until: oneshot::Sender<()>,
}

impl Driver {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let handle = runtime.handle().clone();
        let (until, dropped) = oneshot::channel();
        let drive = move || drop(runtime.block_on(dropped));
        thread::Builder::new().name("spoor-grpc".into()).spawn(drive)?;
        Ok(Self { handle, _until: until })
    }
}

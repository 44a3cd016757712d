//! A connection for gRPC: HTTP/2 over TCP, over TLS that is that of the other sinks, or through a proxy.
//!
//! It also tells what the receiver itself said of a call. The library invents a status for whatever goes wrong on the way, and
//! only a status of the receiver's own may cost a record.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, Uri};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::rt::{Read, Write};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;
use ureq::{Proxy, ProxyProtocol};

use crate::forward::connection::PATIENCE;

type Failure = Box<dyn StdError + Send + Sync>;

/// What the receiver said of a call: the number of its `grpc-status`.
#[derive(Clone, Debug)]
pub(super) struct Said(Arc<AtomicI32>);

impl Said {
    const NOTHING: i32 = -1;

    fn new() -> Self {
        Self(Arc::new(AtomicI32::new(Self::NOTHING)))
    }

    /// Whether it was this.
    pub(super) fn was(&self, code: tonic::Code) -> bool {
        self.0.load(Ordering::SeqCst) == i32::from(code)
    }

    fn hear(&self, headers: &HeaderMap) {
        let number = headers.get("grpc-status").and_then(|value| value.to_str().ok()?.parse().ok());
        if let Some(number) = number {
            self.0.store(number, Ordering::SeqCst);
        }
    }
}

/// A connection, as the library takes it.
#[derive(Debug)]
pub(super) struct Channel {
    sender: SendRequest<tonic::body::Body>,
    said: Said,
    /// When the last handle is dropped, the connection has to end.
    wanted: Arc<oneshot::Sender<()>>,
}

type Opened = (SendRequest<tonic::body::Body>, oneshot::Sender<()>);

impl Channel {
    /// Connects; through a proxy where there is one.
    pub(super) async fn connect(
        to: &Uri,
        tls: Option<Arc<ClientConfig>>,
        proxy: Option<&Proxy>,
    ) -> Result<Self, Failure> {
        let host = to.host().ok_or("no host in the URL")?;
        let port = to.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
        let stream = tcp(format!("http://{host}:{port}").parse()?, proxy).await?;
        let (sender, wanted) = match tls {
            None => handshake(TokioIo::new(stream)).await?,
            Some(config) => {
                let mut config = ClientConfig::clone(&config);
                config.alpn_protocols = vec![b"h2".to_vec()];
                let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
                let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
                if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                    return Err("the receiver does not speak HTTP/2, and gRPC goes over nothing else".into());
                }
                handshake(TokioIo::new(stream)).await?
            }
        };
        Ok(Self { sender, said: Said::new(), wanted: Arc::new(wanted) })
    }

    /// Whether it is still there.
    pub(super) fn open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Another handle on it for one call, and what will have been said of that.
    pub(super) fn call(&self) -> (Self, Said) {
        let said = Said::new();
        let (sender, wanted) = (self.sender.clone(), Arc::clone(&self.wanted));
        (Self { sender, said: said.clone(), wanted }, said)
    }
}

async fn tcp(to: Uri, proxy: Option<&Proxy>) -> Result<TcpStream, Failure> {
    let mut direct = HttpConnector::new();
    direct.set_connect_timeout(Some(PATIENCE));
    direct.set_nodelay(true);
    let stream = match proxy.filter(|proxy| !proxy.is_no_proxy(&to)) {
        None => direct.call(to).await?,
        Some(proxy) if proxy.protocol() == ProxyProtocol::Http => {
            let address = format!("http://{}:{}", proxy.host(), proxy.port()).parse()?;
            let mut tunnel = Tunnel::new(address, direct);
            if let Some(user) = proxy.username() {
                let pair = format!("{user}:{}", proxy.password().unwrap_or_default());
                tunnel = tunnel.with_auth(HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))?);
            }
            tunnel.call(to).await?
        }
        Some(_) => {
            return Err(
                "the proxy of the environment is none of http://, and gRPC goes through no other".into()
            );
        }
    };
    Ok(stream.into_inner())
}

async fn handshake(stream: impl Read + Write + Unpin + Send + 'static) -> Result<Opened, Failure> {
    let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
    let (wanted, given_up) = oneshot::channel::<()>();
    // What breaks it shows in the call that is under way, or in the next. Whoever does not listen to a farewell is not waited
    // for.
    tokio::spawn(async move {
        let mut connection = pin!(connection);
        tokio::select! {
            _ = &mut connection => return,
            _ = given_up => {}
        }
        drop(timeout(PATIENCE, connection).await);
    });
    Ok((sender, wanted))
}

impl Service<http::Request<tonic::body::Body>> for Channel {
    type Response = http::Response<Heard>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.sender.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let (answer, said) = (self.sender.send_request(request), self.said.clone());
        Box::pin(async move {
            let answer = answer.await?;
            said.hear(answer.headers());
            Ok(answer.map(|body| Heard { body, said }))
        })
    }
}

/// The body of an answer, behind which the status stands.
#[derive(Debug)]
pub(super) struct Heard {
    body: Incoming,
    said: Said,
}

impl Body for Heard {
    type Data = <Incoming as Body>::Data;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            self.said.hear(trailers);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! A collector over gRPC, made of the messages and the service of OpenTelemetry's own library, that does as it is told.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

pub(super) type Said = Result<ExportLogsServiceResponse, Status>;

/// What it does with a request.
pub(super) enum Step {
    Say(Said),
    /// Takes the records, and says something else.
    TakeAndSay(Status),
    /// Never answers.
    Silence,
}

type Check = Box<dyn Fn(&MetadataMap, &ExportLogsServiceRequest) -> Option<Status> + Send + Sync>;

/// What it was told, and what it got.
pub(super) struct State {
    /// What it does first; then it takes everything that `check` has nothing against.
    steps: Mutex<VecDeque<Step>>,
    check: Check,
    pub(super) taken: Mutex<Vec<u64>>,
    pub(super) requests: AtomicUsize,
    pub(super) connections: AtomicUsize,
}

/// Listens on a port of this host until it is dropped, with all its connections.
pub(super) struct Collector {
    pub(super) port: u16,
    pub(super) state: Arc<State>,
    task: JoinHandle<()>,
}

/// The number of a record, as its id ends with it.
pub(super) fn seq(record: &LogRecord) -> u64 {
    let id = record.attributes.iter().find(|one| one.key == "log.record.uid").expect("an id");
    let Some(Value::StringValue(id)) = &id.value.as_ref().unwrap().value else { panic!("an id is a text") };
    id.rsplit_once('-').unwrap().1.parse().unwrap()
}

pub(super) fn records(request: &ExportLogsServiceRequest) -> impl Iterator<Item = &LogRecord> {
    let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
    scopes.flat_map(|scope| &scope.log_records)
}

#[tonic::async_trait]
impl LogsService for State {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let (metadata, _, request) = request.into_parts();
        let take = || self.taken.lock().unwrap().extend(records(&request).map(seq));
        let step = self.steps.lock().unwrap().pop_front();
        match step {
            Some(Step::Say(said)) => said.map(Response::new),
            Some(Step::TakeAndSay(status)) => {
                take();
                Err(status)
            }
            Some(Step::Silence) => pending().await,
            None => match (self.check)(&metadata, &request) {
                Some(status) => Err(status),
                None => {
                    take();
                    Ok(Response::new(ExportLogsServiceResponse::default()))
                }
            },
        }
    }
}

impl Collector {
    pub(super) async fn start(
        port: u16,
        tls: Option<Arc<ServerConfig>>,
        steps: impl IntoIterator<Item = Step>,
        check: impl Fn(&MetadataMap, &ExportLogsServiceRequest) -> Option<Status> + Send + Sync + 'static,
    ) -> Self {
        let state = Arc::new(State {
            steps: Mutex::new(steps.into_iter().collect()),
            check: Box::new(check),
            taken: Mutex::default(),
            requests: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        });
        let tls = tls.map(|config| {
            let mut config = ServerConfig::clone(&config);
            config.alpn_protocols = vec![b"h2".to_vec()];
            TlsAcceptor::from(Arc::new(config))
        });
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let theirs = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                theirs.connections.fetch_add(1, Ordering::SeqCst);
                let service = LogsServiceServer::from_arc(Arc::clone(&theirs))
                    .accept_compressed(CompressionEncoding::Gzip)
                    .send_compressed(CompressionEncoding::Gzip);
                let service = TowerToHyperService::new(service);
                let tls = tls.clone();
                connections.spawn(async move {
                    let server = http2::Builder::new(TokioExecutor::new());
                    match tls {
                        None => drop(server.serve_connection(TokioIo::new(stream), service).await),
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            drop(server.serve_connection(TokioIo::new(stream), service).await);
                        }
                    }
                });
            }
        });
        Self { port, state, task }
    }

    pub(super) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    pub(super) fn taken(&self) -> Vec<u64> {
        self.state.taken.lock().unwrap().clone()
    }

    pub(super) fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }

    pub(super) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

//! Stands in a kubelet's place: HTTPS by an authority of its own, one path, one token, and nothing for anybody else.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::PATIENCE;

/// Where a kubelet listens.
const PORT: u16 = 10_250;
/// What opens it. It must never be seen again.
pub(super) const TOKEN: &str = "pLanTed-kubeLet-token-7d21c04be9";
const FOLDER: &str = "/srv/kubelet";
/// Its name, which its certificate has, and nothing else.
pub(super) const NODE: &str = "house";

/// What it was asked.
#[derive(Debug, Default)]
struct Asked {
    /// How often it told its list.
    told: u64,
    /// What it would not answer: path, and why.
    refused: Vec<String>,
}

/// A kubelet that knows some pods.
pub(super) struct Kubelet {
    pods: Arc<Mutex<Vec<Value>>>,
    asked: Arc<Mutex<Asked>>,
}

impl Kubelet {
    /// Listens, and lays down what the agent needs to ask it.
    pub(super) fn start() -> Result<Self> {
        fs::create_dir_all(FOLDER)?;
        fs::write(Path::new(FOLDER).join("token"), format!("{TOKEN}\n"))?;
        let config = Arc::new(certified()?);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).context("the kubelet's port")?;
        let kubelet = Self { pods: Arc::default(), asked: Arc::default() };
        let (pods, asked) = (Arc::clone(&kubelet.pods), Arc::clone(&kubelet.asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Err(error) = answer(stream, &config, &pods, &asked) {
                    let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
                    asked.refused.push(format!("{error:#}"));
                }
            }
        });
        Ok(kubelet)
    }

    /// What the agent's config says of it. By the node's name, as one config for all nodes does.
    pub(super) fn config() -> String {
        format!(
            "[kubernetes]\npods = \"https://{{hostname}}:{PORT}/pods\"\ntoken = \"{FOLDER}/token\"\n\
             ca = \"{FOLDER}/ca.pem\"\ntrust_domain = \"house.test\"\n"
        )
    }

    /// From now on its list has this pod, too.
    pub(super) fn learns(&self, pod: Value) {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner).push(pod);
    }

    /// How often it told its list. Whoever asked otherwise than a kubelet wants to be asked is a failure.
    pub(super) fn told(&self) -> Result<u64> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(asked.refused.is_empty(), "it refused: {:?}", asked.refused);
        Ok(asked.told)
    }
}

/// An authority, and what it signed for the node.
fn certified() -> Result<ServerConfig> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    fs::write(Path::new(FOLDER).join("ca.pem"), params.self_signed(&key)?.pem())?;
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec![NODE.to_owned()])?.signed_by(&key, &issuer)?;
    let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], private)?)
}

/// Answers one request, as strict as a kubelet is.
fn answer(
    stream: TcpStream,
    config: &Arc<ServerConfig>,
    pods: &Mutex<Vec<Value>>,
    asked: &Mutex<Asked>,
) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(StreamOwned::new(ServerConnection::new(Arc::clone(config))?, stream));
    let (mut request, mut bearer, mut line) = (String::new(), None, String::new());
    reader.read_line(&mut request)?;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        if name.eq_ignore_ascii_case("authorization") {
            bearer = value.trim().strip_prefix("Bearer ").map(str::to_owned);
        }
    }
    let (status, body) = match (request.trim_end(), bearer.as_deref()) {
        ("GET /pods HTTP/1.1", Some(TOKEN)) => {
            let pods = pods.lock().unwrap_or_else(PoisonError::into_inner).clone();
            (
                "200 OK",
                json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods}).to_string(),
            )
        }
        ("GET /pods HTTP/1.1", _) => ("401 Unauthorized", "Unauthorized".to_owned()),
        _ => ("404 Not Found", "404 page not found".to_owned()),
    };
    let stream = reader.get_mut();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    stream.conn.send_close_notify();
    stream.flush()?;
    ensure!(status.starts_with("200"), "{}: {status}", request.trim_end());
    asked.lock().unwrap_or_else(PoisonError::into_inner).told += 1;
    Ok(())
}

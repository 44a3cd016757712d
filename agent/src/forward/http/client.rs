//! One client for all receivers over HTTP.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use rustls::pki_types::CertificateDer;
use ureq::Agent;
use ureq::http::header::{CONTENT_TYPE, RETRY_AFTER};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
use zeroize::Zeroizing;

use crate::config::{Auth, Http};
use crate::forward::connection::{PATIENCE, Stamp, certificates, no_key, read, secret};
use crate::forward::deliver::DeliverError;

/// Longest answer that is read.
const ANSWER_MAX: u64 = 4 << 20;
/// How long an answer to a whole batch is waited for, its head and body. Tests have less time.
pub(in crate::forward) const ANSWER_PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 5 } else { 30 });

/// The type of protobuf, in requests and answers.
pub(super) const PROTOBUF: &str = "application/x-protobuf";
/// Who we are.
pub(super) const USER_AGENT: &str = concat!("spoor/", env!("CARGO_PKG_VERSION"));

/// What a receiver said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    /// Type of the body, without parameters.
    pub(super) content: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(self.body.get(..4096).unwrap_or(&self.body)).into_owned()
    }

    pub(super) fn success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A client for one receiver.
#[derive(Debug)]
pub(super) struct Client {
    http: Http,
    agent: Option<(Agent, Stamp)>,
}

impl Client {
    pub(super) fn new(http: Http) -> Self {
        Self { http, agent: None }
    }

    /// The URL of a path; where the config names a path already, that one.
    pub(super) fn url(&self, path: &str) -> String {
        let url = &self.http.url;
        let bare = url.splitn(4, '/').nth(3).is_none_or(str::is_empty);
        if bare { format!("{}{path}", url.trim_end_matches('/')) } else { url.clone() }
    }

    /// Posts records, compressed where the config says so, and gives whatever comes back, also what is no success.
    pub(super) fn post(
        &mut self,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, DeliverError> {
        if !self.http.gzip {
            return self.ask(url, headers, body);
        }
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        let packed = packed.write_all(body).and_then(|()| packed.finish());
        let packed = packed.map_err(DeliverError::io("cannot compress a request"))?;
        let headers = [headers, &[("Content-Encoding", "gzip")]].concat();
        self.ask(url, &headers, &packed)
    }

    /// Posts something that is no record, as it is.
    pub(super) fn ask(
        &mut self,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, DeliverError> {
        let authorization = authorization(&self.http)?;
        let agent = self.agent()?;
        let mut request = agent.post(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(authorization) = &authorization {
            request = request.header("Authorization", authorization.as_str());
        }
        let failed = |error| DeliverError::Http { url: url.to_owned(), error: Box::new(error) };
        let answer = request.send(body).map_err(failed)?;
        let status = answer.status().as_u16();
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after = header(RETRY_AFTER).and_then(seconds);
        let content = header(CONTENT_TYPE).and_then(|value| value.split(';').next());
        let content = content.unwrap_or_default().trim().to_owned();
        let mut body = Vec::new();
        let reader = answer.into_body().into_reader().take(ANSWER_MAX).read_to_end(&mut body);
        reader.map_err(DeliverError::io(format!("cannot read the answer of {url}")))?;
        if let Some(authorization) = &authorization {
            hide(&mut body, authorization, &content);
        }
        Ok(Answer { status, retry_after, content, body })
    }

    /// The agent, made anew when a file of TLS has changed. A proxy of the environment is used, unless `NO_PROXY` says
    /// otherwise; nobody is followed to another address.
    fn agent(&mut self) -> Result<&Agent, DeliverError> {
        let stamp = Stamp::of(&self.http.tls);
        if self.agent.as_ref().is_some_and(|(_, made)| *made != stamp) {
            self.agent = None;
        }
        let made = match self.agent.take() {
            Some(made) => made,
            None => (self.make()?, stamp),
        };
        Ok(&self.agent.insert(made).0)
    }

    fn make(&self) -> Result<Agent, DeliverError> {
        let files = &self.http.tls;
        let owned = |ders: Vec<CertificateDer<'static>>| -> Vec<Certificate<'static>> {
            ders.iter().map(|der| Certificate::from_der(der).to_owned()).collect()
        };
        let mut tls = TlsConfig::builder();
        if let Some(path) = &files.ca {
            tls = tls.root_certs(RootCerts::new_with_certs(&owned(certificates(path)?)));
        }
        if let Some((certificate, key)) = &files.own {
            let text = read(key)?;
            let key = PrivateKey::from_pem(&text).map_err(|_| no_key(key))?;
            tls = tls.client_cert(Some(ClientCert::new_with_certs(&owned(certificates(certificate)?), key)));
        }
        let config = Agent::config_builder()
            .timeout_connect(Some(PATIENCE))
            .timeout_global(Some(ANSWER_PATIENCE))
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(USER_AGENT)
            .tls_config(tls.build());
        Ok(config.build().into())
    }
}

/// `Retry-After`, as seconds or as a date.
fn seconds(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    Duration::try_from(then.duration_since(jiff::Timestamp::now())).ok()
}

/// What stands in `Authorization`. Read anew each time: tokens are rotated.
pub(super) fn authorization(http: &Http) -> Result<Option<Zeroizing<String>>, DeliverError> {
    let Some(source) = &http.secret else {
        return Ok(None);
    };
    let secret = secret(source)?;
    let value = match http.auth {
        Auth::Bearer => format!("Bearer {}", *secret),
        Auth::Basic => format!("Basic {}", STANDARD.encode(secret.as_bytes())),
        Auth::ApiKey => format!("ApiKey {}", *secret),
        Auth::Splunk => format!("Splunk {}", *secret),
    };
    Ok(Some(Zeroizing::new(value)))
}

/// A text of a receiver's, without our secret.
pub(super) fn hidden(text: String, authorization: Option<&Zeroizing<String>>) -> String {
    let Some(authorization) = authorization else {
        return text;
    };
    let mut bytes = text.into_bytes();
    hide(&mut bytes, authorization, "");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A receiver that sends our secret back shall not bring it into a log: as it was sent, nor as it was before that. A message
/// of protobuf stays as long as it is, since lengths are written down in it.
fn hide(body: &mut Vec<u8>, authorization: &str, content: &str) {
    let sent = authorization.split_once(' ').map_or(authorization, |(_, sent)| sent);
    let decoded = Zeroizing::new(STANDARD.decode(sent).unwrap_or_default());
    let pair = std::str::from_utf8(&decoded).unwrap_or_default();
    let password = pair.split_once(':').map_or("", |(_, password)| password);
    for secret in [sent, pair, password].into_iter().filter(|secret| secret.len() > 3) {
        let instead = if content == PROTOBUF { "*".repeat(secret.len()) } else { "[redacted]".to_owned() };
        let mut from = 0;
        while let Some(at) = find(body.get(from..).unwrap_or_default(), secret.as_bytes()) {
            let start = from + at;
            body.splice(start..start + secret.len(), instead.bytes());
            from = start + instead.len();
        }
    }
}

fn find(body: &[u8], what: &[u8]) -> Option<usize> {
    body.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TlsFiles;

    fn client(url: &str) -> Client {
        let http = Http {
            url: url.to_owned(),
            tls: TlsFiles::default(),
            auth: Auth::Bearer,
            secret: None,
            gzip: false,
        };
        Client::new(http)
    }

    #[test]
    fn a_path_is_added_where_there_is_none() {
        assert_eq!(client("http://a:1").url("/_bulk"), "http://a:1/_bulk");
        assert_eq!(client("http://a:1/").url("/_bulk"), "http://a:1/_bulk");
        assert_eq!(client("http://a:1/es/_bulk").url("/_bulk"), "http://a:1/es/_bulk");
    }

    #[test]
    fn a_receiver_says_how_long() {
        assert_eq!(seconds("120"), Some(Duration::from_secs(120)));
        assert_eq!(seconds("Wed, 21 Oct 2015 07:28:00 GMT"), None, "long past");
        assert!(seconds("Wed, 21 Oct 2099 07:28:00 GMT").is_some());
        assert_eq!(seconds("soon"), None);
    }

    #[test]
    fn a_secret_that_comes_back_is_hidden() {
        let mut body = b"bad token sesame!".to_vec();
        hide(&mut body, "Bearer sesame", "text/plain");
        assert_eq!(body, b"bad token [redacted]!");
        let mut body = b"no user with sesame; you sent bWU6c2VzYW1l".to_vec();
        hide(&mut body, "Basic bWU6c2VzYW1l", "text/plain");
        assert_eq!(body, b"no user with [redacted]; you sent [redacted]");
        let mut body = b"\x12\x10bad token sesame".to_vec();
        hide(&mut body, "Bearer sesame", PROTOBUF);
        assert_eq!(body, b"\x12\x10bad token ******", "lengths inside are still true");
    }
}

//! The kubelet's list of pods, from itself or from a file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use zeroize::Zeroizing;

use super::{PodIdentity, list};
use crate::config::{Kubernetes, PodsSource};

/// Longest list that is read. Some hundred pods make a few MiB.
const LIST_MAX: u64 = 64 << 20;
/// Longest token and bundle of authorities.
const FILE_MAX: u64 = 1 << 20;
/// Stands for this host's name in the address: one config is for all nodes, and a kubelet's certificate names its own.
const HOSTNAME: &str = "{hostname}";
/// The kubelet lives on this host.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no list of pods.
#[derive(Debug, thiserror::Error)]
pub(super) enum PodsError {
    /// A file could not be read: the list, the token, or the authorities.
    #[error("cannot read {}: {io}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        io: std::io::Error,
    },
    /// The kubelet did not answer, or refused.
    #[error("{url}: {error}")]
    Refused {
        /// What was asked.
        url: String,
        /// What came instead.
        #[source]
        error: Box<ureq::Error>,
    },
    /// What came is no list of pods.
    #[error("{source_name} is no list of pods: {error}")]
    NoList {
        /// From where.
        source_name: String,
        /// Where it stops being one.
        #[source]
        error: serde_json::Error,
    },
    /// There is no certificate in the file with the authorities.
    #[error("{} holds no certificate", path.display())]
    NoAuthority {
        /// Which.
        path: PathBuf,
    },
}

/// Every pod of the node, by the uid its cgroups are named after.
pub(super) fn list(
    source: &PodsSource,
    config: &Kubernetes,
) -> Result<Vec<(String, PodIdentity)>, PodsError> {
    let no_list = |name: String| move |error| PodsError::NoList { source_name: name, error };
    match source {
        PodsSource::File(path) => {
            let file = File::open(path).map_err(|io| PodsError::Unreadable { path: path.clone(), io })?;
            let text = std::io::BufReader::new(file).take(LIST_MAX);
            list::parse(text).map_err(no_list(path.display().to_string()))
        }
        PodsSource::Url(url) => {
            let url = named(url);
            let body = ask(&url, config)?;
            list::parse(body.take(LIST_MAX)).map_err(no_list(url))
        }
    }
}

fn named(url: &str) -> String {
    let name =
        || nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    if url.contains(HOSTNAME) { url.replace(HOSTNAME, &name()) } else { url.to_owned() }
}

fn ask(url: &str, config: &Kubernetes) -> Result<impl Read, PodsError> {
    let mut tls = TlsConfig::builder();
    if let Some(path) = &config.ca {
        tls = tls.root_certs(authorities(path)?);
    }
    // A proxy of the environment is not asked about this node, and a token is not carried to where somebody redirects.
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .proxy(None)
        .max_redirects(0)
        .tls_config(tls.build())
        .build()
        .into();
    let mut request = agent.get(url);
    if let Some(path) = &config.token {
        let token = read(path)?;
        let token = Zeroizing::new(String::from_utf8_lossy(&token).trim().to_owned());
        request = request.header("Authorization", format!("Bearer {}", *token));
    }
    let answer =
        request.call().map_err(|error| PodsError::Refused { url: url.to_owned(), error: Box::new(error) })?;
    Ok(answer.into_body().into_reader())
}

fn authorities(path: &Path) -> Result<RootCerts, PodsError> {
    let text = read(path)?;
    let found: Vec<Certificate<'static>> = ureq::tls::parse_pem(&text)
        .filter_map(|item| match item {
            Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return Err(PodsError::NoAuthority { path: path.to_owned() });
    }
    Ok(RootCerts::new_with_certs(&found))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, PodsError> {
    super::read(path, FILE_MAX).map_err(|io| PodsError::Unreadable { path: path.to_owned(), io })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::{PodsError, list, named};
    use crate::config::{Kubernetes, PodsSource};

    /// Answers once, as told; gives what it was asked.
    fn server(answer: &'static str) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/pods", listener.local_addr().unwrap());
        let asked = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let lines = BufReader::new(client.try_clone().unwrap()).lines();
            let asked = lines.map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
            client.write_all(answer.as_bytes()).unwrap();
            asked
        });
        (url, asked)
    }

    #[test]
    fn a_kubelet_that_answers() {
        let (url, asked) = server(
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"items\":[{\"metadata\":{\"uid\":\"u\",\"name\":\"n\",\
             \"namespace\":\"s\"},\"spec\":{\"serviceAccountName\":\"a\"}}]}",
        );
        let root = tempfile::tempdir().unwrap();
        let token = root.path().join("token");
        std::fs::write(&token, "made-up\n").unwrap();
        let config = Kubernetes { token: Some(token), ..Kubernetes::default() };
        let pods = list(&PodsSource::Url(url), &config).unwrap();
        assert_eq!((pods[0].0.as_str(), pods[0].1.service_account.as_deref()), ("u", Some("a")));
        let asked = asked.join().unwrap();
        assert_eq!(asked[0], "GET /pods HTTP/1.1");
        assert!(
            asked.iter().any(|line| line.eq_ignore_ascii_case("authorization: bearer made-up")),
            "{asked:?}"
        );
    }

    #[test]
    fn a_kubelet_is_asked_by_the_name_of_its_node() {
        let name = nix::unistd::gethostname().unwrap().into_string().unwrap();
        assert_eq!(named("https://{hostname}:10250/pods"), format!("https://{name}:10250/pods"));
        assert_eq!(named("https://127.0.0.1:10250/pods"), "https://127.0.0.1:10250/pods");
    }

    #[test]
    fn a_kubelet_that_refuses_redirects_or_lies() {
        for answer in [
            "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno",
            "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"items\":[",
            "gibberish\r\n\r\n",
        ] {
            let (url, asked) = server(answer);
            let error = list(&PodsSource::Url(url.clone()), &Kubernetes::default()).unwrap_err();
            assert!(error.to_string().contains(&url), "{error}");
            asked.join().unwrap();
        }
    }

    #[test]
    fn files_that_are_not_there() {
        let root = tempfile::tempdir().unwrap();
        let missing = root.path().join("none");
        let error = list(&PodsSource::File(missing.clone()), &Kubernetes::default()).unwrap_err();
        assert!(matches!(error, PodsError::Unreadable { .. }), "{error}");
        let config = Kubernetes { ca: Some(missing.clone()), ..Kubernetes::default() };
        let url = PodsSource::Url("https://127.0.0.1:1/pods".into());
        assert!(matches!(list(&url, &config), Err(PodsError::Unreadable { .. })));
        std::fs::write(&missing, "no certificate").unwrap();
        assert!(matches!(list(&url, &config), Err(PodsError::NoAuthority { .. })));
    }
}

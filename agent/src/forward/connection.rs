//! What sinks over the network share: TLS by files that may be rotated, secrets from files, addresses.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use zeroize::Zeroizing;

use super::deliver::DeliverError;
use crate::config::{Secret, TlsFiles};

/// How long a connection, an answer or room for more bytes is waited for. Tests have less time.
pub(super) const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 5 } else { 10 });
/// Longest file of certificates, keys or tokens.
const FILE_MAX: u64 = 1 << 20;

/// What files looked like when they were read: another look tells whether they were rotated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Option<(u64, u64, i64, i64)>>);

impl Stamp {
    pub(super) fn of(files: &TlsFiles) -> Self {
        let own = files.own.iter().flat_map(|(certificate, key)| [certificate, key]);
        let look =
            |metadata: Metadata| (metadata.dev(), metadata.ino(), metadata.mtime(), metadata.mtime_nsec());
        Self(files.ca.iter().chain(own).map(|path| fs::metadata(path).ok().map(look)).collect())
    }
}

/// TLS as the files say it now.
pub(super) fn tls(files: &TlsFiles) -> Result<Arc<ClientConfig>, DeliverError> {
    let mut store = RootCertStore::empty();
    match &files.ca {
        None => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            for root in certificates(path)? {
                store.add(root).map_err(|error| unfit(Some(path), &error))?;
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unfit(None, &error))?
        .with_root_certificates(store);
    let config = match &files.own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let own = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| no_key(key))?;
            let chain = certificates(certificate)?;
            builder.with_client_auth_cert(chain, own).map_err(|error| unfit(Some(certificate), &error))?
        }
    };
    Ok(Arc::new(config))
}

fn unfit(path: Option<&Path>, error: &rustls::Error) -> DeliverError {
    let what = path.map_or("TLS".to_owned(), |path| path.display().to_string());
    DeliverError::Material { what: format!("{what}: {error}") }
}

pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, DeliverError> {
    let text = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(DeliverError::Material { what: format!("{} holds no certificate", path.display()) }),
    }
}

/// The error of a broken file may show what is in it, so that nobody tells more than this.
pub(super) fn no_key(path: &Path) -> DeliverError {
    DeliverError::Material { what: format!("{} holds no private key", path.display()) }
}

/// A secret, as it is now. Without the newline that editors put behind it.
pub(super) fn secret(secret: &Secret) -> Result<Zeroizing<String>, DeliverError> {
    let path = match secret {
        Secret::File(path) => path.clone(),
        Secret::Credential(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
            Some(directory) => PathBuf::from(directory).join(name),
            None => {
                let what = format!("there is no credential {name}: $CREDENTIALS_DIRECTORY is not set");
                return Err(DeliverError::Material { what });
            }
        },
    };
    let bytes = read(&path)?;
    let text = std::str::from_utf8(&bytes).map(str::trim).unwrap_or_default();
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(DeliverError::Material {
            what: format!("{} holds no secret of one line", path.display()),
        });
    }
    Ok(Zeroizing::new(text.to_owned()))
}

pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, DeliverError> {
    let mut bytes = Zeroizing::new(Vec::new());
    let mut read = || File::open(path)?.take(FILE_MAX).read_to_end(&mut bytes);
    read().map_err(DeliverError::io(format!("cannot read {}", path.display())))?;
    Ok(bytes)
}

/// Connects to the first address of a name that answers.
pub(super) fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for candidate in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&candidate, PATIENCE) {
            Ok(stream) => {
                stream.set_write_timeout(Some(PATIENCE))?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// TLS over a socket that is connected to `host:port`. The handshake is over when this returns, so that a certificate that is no
/// good is told as that.
pub(super) fn handshake<S: Read + Write>(
    files: &TlsFiles,
    address: &str,
    socket: S,
    cannot: impl Fn(io::Error) -> DeliverError,
) -> Result<StreamOwned<ClientConnection, S>, DeliverError> {
    let name =
        ServerName::try_from(host(address).to_owned()).map_err(|error| cannot(io::Error::other(error)))?;
    let config = tls(files)?;
    let session = ClientConnection::new(config, name).map_err(|error| cannot(io::Error::other(error)))?;
    let mut stream = StreamOwned::new(session, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).map_err(&cannot)?;
    }
    Ok(stream)
}

/// The name or address in `host:port`, without brackets.
pub(super) fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

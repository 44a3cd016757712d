//! The server name that a TLS client asks for, in the first bytes it sends.
//!
//! Written here and not taken from a crate: what we are given is often only the beginning of a hello, and the one answer
//! that matters then, "it ends before the name", is what parsers of whole messages do not tell apart.

use super::reader::Reader;
use super::{NameFault, host};

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// Longest payload of a record.
const RECORD_MAX: u16 = 1 << 14;
const SERVER_NAME: u16 = 0;
const ENCRYPTED_HELLO: u16 = 0xfe0d;
const HOST_NAME: u8 = 0;

/// Why there is no telling which server a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// Not TLS, or not a client's first words.
    #[error("it is no TLS client hello")]
    Other,
    /// The bytes end before the place where the name would be.
    #[error("it is cut before the server's name")]
    Cut,
    /// A hello that breaks the format.
    #[error("the {0} of the hello is malformed")]
    Malformed(&'static str),
    /// What was asked for is not a host's name.
    #[error("the name asked for is not a host's: {0}")]
    Name(#[from] NameFault),
}

/// Reads the server name from the first bytes that a client sent. [`None`]: the hello has none, or hides the true one
/// behind another (Encrypted Client Hello; some clients pretend to, and are taken by their word).
///
/// # Errors
/// Where the bytes are no hello, or too few. Behind the name they may end: then nothing hides it as far as they go.
pub fn server_name(bytes: &[u8]) -> Result<Option<String>, TlsError> {
    let (message, stopped) = message(bytes)?;
    let mut reader = Reader::new(&message);
    let kind = reader.u8();
    if kind.is_some_and(|kind| kind != CLIENT_HELLO) {
        return Err(TlsError::Other);
    }
    let [high, middle, low] = reader.array::<3>().ok_or(stopped.before("record"))?;
    let length = usize::try_from(u32::from_be_bytes([0, high, middle, low])).unwrap_or(usize::MAX);
    let body = reader.take_up_to(length);
    match (body.len() == length, stopped) {
        (true, _) => hello(body, End::True),
        (false, End::Cut) => hello(body, End::Cut),
        (false, End::True) => Err(TlsError::Malformed("record")),
    }
}

/// Why bytes end where they do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The sender ended there.
    True,
    /// We were given no more.
    Cut,
}

impl End {
    /// What it means that something was expected behind the end.
    const fn before(self, what: &'static str) -> TlsError {
        match self {
            End::True => TlsError::Malformed(what),
            End::Cut => TlsError::Cut,
        }
    }
}

/// The first handshake message, or its beginning, out of the records it is spread over; and whether another kind of record
/// follows these, so that no more of it can come.
fn message(bytes: &[u8]) -> Result<(Vec<u8>, End), TlsError> {
    let mut reader = Reader::new(bytes);
    let mut message = Vec::new();
    while let Some(kind) = reader.u8() {
        match (kind, message.is_empty()) {
            (HANDSHAKE, _) => {}
            (_, true) => return Err(TlsError::Other),
            (_, false) => return Ok((message, End::True)),
        }
        match reader.u8() {
            Some(3) => {}
            Some(_) => return Err(TlsError::Other),
            None => break,
        }
        let (Some(_minor), Some(length)) = (reader.u8(), reader.u16()) else {
            break;
        };
        if length == 0 || length > RECORD_MAX {
            return Err(TlsError::Malformed("record"));
        }
        message.extend_from_slice(reader.take_up_to(usize::from(length)));
    }
    Ok((message, End::Cut))
}

fn hello(body: &[u8], ends: End) -> Result<Option<String>, TlsError> {
    let mut reader = Reader::new(body);
    let [major, _] = reader.array::<2>().ok_or(ends.before("version"))?;
    if major != 3 {
        return Err(TlsError::Malformed("version"));
    }
    reader.take(32).ok_or(ends.before("random"))?;
    let session = reader.u8().ok_or(ends.before("session"))?;
    reader.take(usize::from(session)).ok_or(ends.before("session"))?;
    let ciphers = reader.u16().ok_or(ends.before("list of ciphers"))?;
    reader.take(usize::from(ciphers)).ok_or(ends.before("list of ciphers"))?;
    let methods = reader.u8().ok_or(ends.before("list of compressions"))?;
    reader.take(usize::from(methods)).ok_or(ends.before("list of compressions"))?;
    if reader.is_empty() && ends == End::True {
        return Ok(None); // as before TLS 1.2: a hello may end here
    }
    let length = usize::from(reader.u16().ok_or(ends.before("list of extensions"))?);
    let list = reader.take_up_to(length);
    match (list.len() == length, ends) {
        (true, _) => extensions(list, End::True),
        (false, End::Cut) => extensions(list, End::Cut),
        (false, End::True) => Err(TlsError::Malformed("list of extensions")),
    }
}

fn extensions(list: &[u8], ends: End) -> Result<Option<String>, TlsError> {
    let mut reader = Reader::new(list);
    let mut name = None;
    loop {
        if reader.is_empty() && ends == End::True {
            return Ok(name);
        }
        let (Some(kind), Some(length)) = (reader.u16(), reader.u16()) else {
            return name.map(Some).ok_or(ends.before("extension"));
        };
        if kind == ENCRYPTED_HELLO {
            return Ok(None);
        }
        let Some(data) = reader.take(usize::from(length)) else {
            return name.map(Some).ok_or(ends.before("extension"));
        };
        // Were there a second, no server would talk to that client.
        if kind == SERVER_NAME && name.is_none() {
            name = host_name(data)?;
        }
    }
}

/// The one name of type "host" in the extension.
fn host_name(data: &[u8]) -> Result<Option<String>, TlsError> {
    const WHAT: TlsError = TlsError::Malformed("server name");
    let mut reader = Reader::new(data);
    let length = reader.u16().ok_or(WHAT)?;
    let mut list = Reader::new(reader.take(usize::from(length)).ok_or(WHAT)?);
    if !reader.is_empty() {
        return Err(WHAT);
    }
    while !list.is_empty() {
        let kind = list.u8().ok_or(WHAT)?;
        let length = list.u16().ok_or(WHAT)?;
        let text = list.take(usize::from(length)).ok_or(WHAT)?;
        if kind == HOST_NAME {
            let text = text.strip_suffix(b".").unwrap_or(text);
            return Ok(Some(host(text.split(|byte| *byte == b'.'))?));
        }
    }
    Ok(None)
}

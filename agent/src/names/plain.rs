//! Packets with nothing in them but what is read out of them: for whoever keeps a stream, since the rest of a packet may be
//! anything.

use std::net::IpAddr;

use super::{Answers, TlsError, answers, server_name};

/// A hello that asks for the same name, or is refused or of no interest as this one is.
#[must_use]
pub fn plain_hello(bytes: &[u8]) -> Vec<u8> {
    match server_name(bytes) {
        Ok(Some(name)) => hello(&name),
        // A byte that begins no hello: of no interest.
        Ok(None) | Err(TlsError::Other) => vec![0],
        // Nothing at all is cut before the name.
        Err(TlsError::Cut | TlsError::Malformed(_) | TlsError::Name(_)) => Vec::new(),
    }
}

/// An answer with the same name and addresses, or one that is malformed or of no interest as this one is.
#[must_use]
pub fn plain_answer(bytes: &[u8]) -> Vec<u8> {
    match answers(bytes) {
        Ok(answers) => answer(&answers),
        Err(error) if error.is_malformed() => Vec::new(),
        // A query: twelve bytes of header, without the bit of an answer.
        Err(_) => vec![0; 12],
    }
}

/// Bytes behind their length, which is at most that of a name with its frame.
fn behind_length(body: &[u8]) -> impl Iterator<Item = u8> {
    u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes().into_iter().chain(body.iter().copied())
}

/// A record of TLS with the shortest hello that asks for a name.
fn hello(name: &str) -> Vec<u8> {
    // A list with one name, of the type "host".
    let host: Vec<u8> = [0].into_iter().chain(behind_length(name.as_bytes())).collect();
    let list: Vec<u8> = behind_length(&host).collect();
    let extensions: Vec<u8> = [0, 0].into_iter().chain(behind_length(&list)).collect();
    // Version, random, and empty lists of sessions, ciphers and compressions.
    let mut body = vec![0; 2 + 32 + 1 + 2 + 1];
    body.splice(..2, [3, 3]);
    body.extend(behind_length(&extensions));
    let message: Vec<u8> = [1, 0].into_iter().chain(behind_length(&body)).collect();
    [22, 3, 1].into_iter().chain(behind_length(&message)).collect()
}

/// An answer to the question for any record of a name.
fn answer(of: &Answers) -> Vec<u8> {
    let count = u16::try_from(of.addresses.len()).unwrap_or(u16::MAX).saturating_add(of.left_out);
    let mut out = vec![0, 0, 0x81, 0x80, 0, 1];
    out.extend(count.to_be_bytes());
    out.extend([0; 4]);
    for label in of.name.split('.') {
        out.push(u8::try_from(label.len()).unwrap_or(0));
        out.extend_from_slice(label.as_bytes());
    }
    out.extend([0, 0, 255, 0, 1]);
    for address in &of.addresses {
        let (kind, data) = match address {
            IpAddr::V4(v4) => (1, v4.octets().to_vec()),
            IpAddr::V6(v6) => (28, v6.octets().to_vec()),
        };
        out.extend([0xc0, 12, 0, kind, 0, 1]);
        out.extend(of.ttl_s.to_be_bytes());
        out.extend(behind_length(&data));
    }
    out
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn seeds(of: &str) -> Vec<Vec<u8>> {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(of);
        fs::read_dir(corpus).unwrap().map(|seed| fs::read(seed.unwrap().path()).unwrap()).collect()
    }

    /// What is read out of it is the same, and nothing else is left.
    fn same_hello(bytes: &[u8]) {
        let plain = plain_hello(bytes);
        match (server_name(bytes), server_name(&plain)) {
            (Ok(Some(name)), told) => assert_eq!(told, Ok(Some(name))),
            (Ok(None) | Err(TlsError::Other), told) => assert_eq!(told, Err(TlsError::Other)),
            (Err(_), told) => assert_eq!(told, Err(TlsError::Cut)),
        }
        assert_eq!(plain_hello(&plain), plain);
    }

    fn same_answer(bytes: &[u8]) {
        let plain = plain_answer(bytes);
        match (answers(bytes), answers(&plain)) {
            (Ok(of), told) => assert_eq!(told, Ok(of)),
            (Err(error), told) => assert_eq!(told.unwrap_err().is_malformed(), error.is_malformed()),
        }
        assert_eq!(plain_answer(&plain), plain);
    }

    #[test]
    fn every_seed_says_the_same_when_it_is_plain() {
        seeds("tls").iter().for_each(|seed| same_hello(seed));
        seeds("dns").iter().for_each(|seed| same_answer(seed));
        assert!(seeds("tls").iter().any(|seed| matches!(server_name(seed), Ok(Some(_)))));
        assert!(seeds("dns").iter().any(|seed| answers(seed).is_ok_and(|of| !of.addresses.is_empty())));
    }

    #[test]
    fn what_else_a_packet_holds_is_gone() {
        let request = b"GET / HTTP/1.1\r\nAuthorization: Bearer hunter2\r\n\r\n";
        assert_eq!(plain_hello(request), [0]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            same_hello(&bytes);
            same_answer(&bytes);
        }

        #[test]
        fn any_name(name in "[a-z_][a-z0-9_-]{0,62}(\\.[a-z][a-z0-9-]{0,30}){0,6}") {
            proptest::prop_assert_eq!(server_name(&hello(&name)), Ok(Some(name)));
        }
    }
}

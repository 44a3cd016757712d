//! Messages by which a peer's name is known.
//!
//! `tls-hello ADDR NAME` connects and sends the first message of TLS 1.3 (and 1.2) with that server name;
//! `tls-hello-split ADDR NAME` sends it in two parts. `dns-ask SERVER NAME` asks for a name's IPv4 addresses over UDP, by a
//! connected socket as glibc does, and waits for the answer; `dns-ask-unconnected SERVER NAME` names the server with
//! the message. `dns-serve PORTFILE NAME IP` (on 127.0.0.1, any port) and `dns-serve-at ADDR READYFILE NAME IP` answer
//! queries until they could give that address once.

use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};

use anyhow::{Context, Result, ensure};

use crate::{PATIENCE, Steps, await_input, place};

const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
const CLASS_IN: u16 = 1;
/// Of a DNS message: what is before the question.
const DNS_HEADER: usize = 12;

pub(crate) fn step(step: &str, steps: &mut Steps<'_>) -> Result<bool> {
    match step {
        "tls-hello" => {
            let mut stream = TcpStream::connect(steps.next()?)?;
            stream.write_all(&client_hello(steps.next()?)?)?;
        }
        "tls-hello-split" => {
            let mut stream = TcpStream::connect(steps.next()?)?;
            stream.set_nodelay(true)?;
            let hello = client_hello(steps.next()?)?;
            let (first, second) = hello.split_at(hello.len() / 2);
            stream.write_all(first)?;
            stream.write_all(second)?;
        }
        "dns-ask" => {
            let (server, socket) = asker(steps.number()?)?;
            socket.connect(server)?;
            socket.send(&query(steps.next()?)?)?;
            answered(&socket)?;
        }
        "dns-ask-unconnected" => {
            let (server, socket) = asker(steps.number()?)?;
            socket.send_to(&query(steps.next()?)?, server)?;
            answered(&socket)?;
        }
        "dns-serve" => serve("127.0.0.1:0", steps.next()?, steps.next()?, steps.number()?)?,
        "dns-serve-at" => serve(steps.next()?, steps.next()?, steps.next()?, steps.number()?)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Bytes, after as many that say how many they are.
fn counted(width: usize, bytes: &[u8]) -> Result<Vec<u8>> {
    let length = u32::try_from(bytes.len())?.to_be_bytes();
    let (too_much, length) = length.split_at(length.len() - width);
    ensure!(too_much.iter().all(|byte| *byte == 0), "too long a part of a message");
    Ok([length, bytes].concat())
}

fn extension(number: u16, content: &[u8]) -> Result<Vec<u8>> {
    Ok([&number.to_be_bytes()[..], &counted(2, content)?].concat())
}

/// RFC 8446, 4.1.2. The key in it is nobody's: no server gets as far as to use it.
fn client_hello(name: &str) -> Result<Vec<u8>> {
    let key = [&[0x00, 0x1d][..], &counted(2, &[9; 32])?].concat();
    let host = [&[0][..], &counted(2, name.as_bytes())?].concat();
    let extensions = [
        extension(0, &counted(2, &host)?)?,                      // server_name
        extension(10, &counted(2, &[0x00, 0x1d, 0x00, 0x17])?)?, // supported_groups
        extension(13, &counted(2, &[0x04, 0x03, 0x08, 0x04, 0x04, 0x01])?)?, // signature_algorithms
        extension(16, &counted(2, &counted(1, b"http/1.1")?)?)?, // ALPN
        extension(43, &counted(1, &[0x03, 0x04, 0x03, 0x03])?)?, // supported_versions
        extension(51, &counted(2, &key)?)?,                      // key_share
    ]
    .concat();
    let suites = [0x13, 0x01, 0x13, 0x02, 0x13, 0x03, 0xc0, 0x2b, 0xc0, 0x2f];
    let body = [
        vec![0x03, 0x03],
        vec![7; 32],           // random
        counted(1, &[8; 32])?, // session
        counted(2, &suites)?,
        counted(1, &[0])?, // no compression
        counted(2, &extensions)?,
    ]
    .concat();
    let handshake = [&[1][..], &counted(3, &body)?].concat();
    Ok([&[0x16, 0x03, 0x01][..], &counted(2, &handshake)?].concat())
}

fn asker(server: SocketAddr) -> Result<(SocketAddr, UdpSocket)> {
    let socket = UdpSocket::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    Ok((server, socket))
}

/// RFC 1035, 4.1: one question, with the wish that the server asks others.
fn query(name: &str) -> Result<Vec<u8>> {
    let mut message = vec![0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.trim_end_matches('.').split('.') {
        ensure!((1..64).contains(&label.len()), "{name} is no name");
        message.extend(counted(1, label.as_bytes())?);
    }
    message.push(0);
    message.extend(TYPE_A.to_be_bytes());
    message.extend(CLASS_IN.to_be_bytes());
    Ok(message)
}

fn answered(socket: &UdpSocket) -> Result<()> {
    await_input("an answer", socket)?;
    socket.recv_from(&mut [0; 512]).context("an answer")?;
    Ok(())
}

fn serve(at: &str, port_file: &str, name: &str, address: IpAddr) -> Result<()> {
    let socket = UdpSocket::bind(at).with_context(|| format!("serve at {at}"))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    place(port_file, &socket.local_addr()?.port().to_string())?;
    let mut message = [0; 512];
    loop {
        let (length, peer) = socket.recv_from(&mut message).context("a question")?;
        let asked = message.get(..length).unwrap_or_default();
        let Some((answer, full)) = answer(asked, name, address) else { continue };
        socket.send_to(&answer, peer)?;
        if full {
            return Ok(());
        }
    }
}

/// What to say to a question, and whether the address is in it. None to what is no question.
fn answer(asked: &[u8], name: &str, address: IpAddr) -> Option<(Vec<u8>, bool)> {
    let id = asked.get(..2)?;
    let mut rest = asked.get(DNS_HEADER..)?;
    let mut labels = Vec::new();
    loop {
        let (length, after) = rest.split_first()?;
        let (label, after) = after.split_at_checked(usize::from(*length))?;
        rest = after;
        if label.is_empty() {
            break;
        }
        labels.push(std::str::from_utf8(label).ok()?);
    }
    let [high, low, _, _, after @ ..] = rest else { return None };
    let question = asked.get(DNS_HEADER..asked.len() - after.len())?;
    let (kind, bytes) = match address {
        IpAddr::V4(address) => (TYPE_A, address.octets().to_vec()),
        IpAddr::V6(address) => (TYPE_AAAA, address.octets().to_vec()),
    };
    let known = labels.join(".").eq_ignore_ascii_case(name.trim_end_matches('.'));
    let full = known && u16::from_be_bytes([*high, *low]) == kind;
    let code = if known { 0x80 } else { 0x83 };
    let mut message = [id, &[0x81, code, 0, 1, 0, u8::from(full), 0, 0, 0, 0], question].concat();
    if full {
        message.extend([0xc0, 0x0c]); // the name is the question's
        message.extend(kind.to_be_bytes());
        message.extend(CLASS_IN.to_be_bytes());
        message.extend(60_u32.to_be_bytes());
        message.extend(counted(2, &bytes).ok()?);
    }
    Some((message, full))
}

//! A message a datagram.

use std::io;
use std::net::{ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;

use nix::errno::Errno;

use super::message::Form;
use crate::forward::connection::PATIENCE;
use crate::forward::deliver::{Deliver, DeliverError, Failure, Fate, Outcome};
use crate::forward::encodings::Item;

/// Where datagrams go.
#[derive(Debug)]
enum To {
    Udp(String),
    Local(PathBuf),
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Local(UnixDatagram),
}

/// A receiver of datagrams.
#[derive(Debug)]
pub(super) struct DatagramSyslog {
    to: To,
    form: Form,
    socket: Option<Socket>,
}

impl DatagramSyslog {
    pub(super) fn udp(address: String, form: Form) -> Self {
        Self { to: To::Udp(address), form, socket: None }
    }

    pub(super) fn local(path: PathBuf, form: Form) -> Self {
        Self { to: To::Local(path), form, socket: None }
    }

    fn socket(&mut self) -> io::Result<&Socket> {
        if self.socket.is_none() {
            self.socket = Some(match &self.to {
                To::Udp(address) => Socket::Udp(udp(address)?),
                To::Local(path) => {
                    let socket = UnixDatagram::unbound()?;
                    socket.set_write_timeout(Some(PATIENCE))?;
                    socket.connect(path)?;
                    Socket::Local(socket)
                }
            });
        }
        self.socket.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let sent = match self.socket()? {
            Socket::Udp(socket) => socket.send(message)?,
            Socket::Local(socket) => socket.send(message)?,
        };
        if sent == message.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    fn name(&self) -> String {
        match &self.to {
            To::Udp(address) => format!("udp {address}"),
            To::Local(path) => path.display().to_string(),
        }
    }
}

impl Deliver for DatagramSyslog {
    fn deliver(&mut self, batch: &[Arc<Item>]) -> Outcome {
        let mut fates = Vec::with_capacity(batch.len());
        for item in batch {
            let message = match self.form.message(item) {
                Ok(message) => message,
                Err(why) => {
                    fates.push(Fate::Refused(why));
                    continue;
                }
            };
            match self.send(&message) {
                Ok(()) => fates.push(Fate::Taken),
                Err(error) if error.raw_os_error() == Some(Errno::EMSGSIZE as i32) => {
                    fates.push(Fate::Refused(format!(
                        "{} bytes are too long for one datagram",
                        message.len()
                    )));
                }
                Err(error) => {
                    // Also the name is looked up anew.
                    self.socket = None;
                    let why = DeliverError::io(format!("cannot send to {}", self.name()))(error);
                    return Outcome { fates, failure: Some(Failure { why, after: None, closed: false }) };
                }
            }
        }
        Outcome { fates, failure: None }
    }
}

/// A socket of the family that the first address of the name has.
fn udp(address: &str) -> io::Result<UdpSocket> {
    let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let to = address.to_socket_addrs()?.next().ok_or_else(none)?;
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.connect(to)?;
    Ok(socket)
}

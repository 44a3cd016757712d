//! Syslog (RFC 5424) over TCP, TLS (RFC 5425), UDP (RFC 5426) and the socket of this host.
//!
//! Syslog has no answer: that a byte was written says that the kernel took it, not that the receiver did. So over a stream the
//! last records are kept, and come again after a broken connection; receivers see some of them twice. What a receiver
//! that dies had in its buffers beyond that is lost, and nobody can tell. UDP loses whatever the network loses.

mod datagram;
mod message;
mod stream;

use super::deliver::Deliver;
use crate::config::{Syslog, SyslogTo};

/// What hands records over to a receiver of syslog.
pub(super) fn output(config: Syslog) -> Box<dyn Deliver> {
    let form = message::Form { facility: config.facility, max: config.max_record };
    match config.to {
        SyslogTo::Tcp(address) => Box::new(stream::StreamSyslog::new(address, None, form)),
        SyslogTo::Tls(address, files) => Box::new(stream::StreamSyslog::new(address, Some(files), form)),
        SyslogTo::Udp(address) => Box::new(datagram::DatagramSyslog::udp(address, form)),
        SyslogTo::Local(path) => Box::new(datagram::DatagramSyslog::local(path, form)),
    }
}

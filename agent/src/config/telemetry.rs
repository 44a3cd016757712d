//! Where the agent answers over HTTP.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::diagnostic::{Code, Report};
use super::raw::Table;
use super::validate::path;

/// Metrics and health over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// Where; [`None`]: nowhere.
    pub listen: Option<Listen>,
}

/// Where the agent answers. Nothing there asks who somebody is, so it is this host only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// An address of loopback.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(address) => write!(f, "{address}"),
            Listen::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

pub(super) fn listen(table: &Table, report: &mut Report) -> Option<Listen> {
    const KEY: &str = "listen";
    let (text, span) = table.text(KEY)?;
    if text.starts_with(['/', '~', '.']) {
        let socket = path(table, KEY, report)?;
        // The kernel's own limit.
        if text.len() > 107 {
            let message = "a socket's path has at most 107 bytes";
            report.add(Code::BadPath, span, message);
            return None;
        }
        return Some(Listen::Unix(socket));
    }
    let Ok(address) = text.parse::<SocketAddr>() else {
        let message = format!("`{text}` is not an address with a port");
        let help = "as in \"127.0.0.1:9464\" or \"[::1]:9464\", or the absolute path of a socket";
        report.add_help(Code::BadAddress, span, message, help);
        return None;
    };
    if !is_loopback(address.ip()) {
        let message = format!("`{text}` is not of loopback");
        let help = "who asks there is not asked who they are: listen on 127.0.0.1 or [::1], and let a proxy that checks \
                    them carry it out of this host";
        report.add_help(Code::BadAddress, span, message, help);
        return None;
    }
    if address.port() == 0 {
        report.add(Code::OutOfRange, span, "the port is from 1 to 65535");
        return None;
    }
    Some(Listen::Tcp(address))
}

/// Whether an address is of this host only.
#[must_use]
pub fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

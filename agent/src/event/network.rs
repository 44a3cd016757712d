//! The other end of what goes over a network.

use std::borrow::Cow;
use std::net::IpAddr;

/// Where a connection goes, or what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// IPv4 or IPv6.
    Inet {
        /// Address.
        ip: IpAddr,
        /// Port; 0 where the protocol has none.
        port: u16,
        /// What is spoken above IP.
        transport: Transport,
    },
    /// A virtual machine or its host.
    Vsock {
        /// Context id.
        cid: u32,
        /// Port.
        port: u32,
    },
}

impl Endpoint {
    /// A TCP port.
    #[must_use]
    pub const fn tcp(ip: IpAddr, port: u16) -> Self {
        Endpoint::Inet { ip, port, transport: Transport::TCP }
    }

    /// Address and port, where it has them.
    #[must_use]
    pub const fn inet(self) -> Option<(IpAddr, u16)> {
        match self {
            Endpoint::Inet { ip, port, .. } => Some((ip, port)),
            Endpoint::Vsock { .. } => None,
        }
    }

    /// Whether somebody at the other end answers a connection, so that it can be established or refused.
    #[must_use]
    pub fn answers(self) -> bool {
        match self {
            Endpoint::Inet { transport, .. } => !matches!(
                transport,
                Transport::UDP | Transport::UDPLITE | Transport::ICMP | Transport::ICMP6 | Transport::RAW
            ),
            Endpoint::Vsock { .. } => true,
        }
    }
}

/// A protocol above IP, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Transport(pub u32);

impl Transport {
    /// `IPPROTO_ICMP`
    pub const ICMP: Self = Self(1);
    /// `IPPROTO_TCP`
    pub const TCP: Self = Self(6);
    /// `IPPROTO_UDP`
    pub const UDP: Self = Self(17);
    /// `IPPROTO_ICMPV6`
    pub const ICMP6: Self = Self(58);
    /// `IPPROTO_SCTP`
    pub const SCTP: Self = Self(132);
    /// `IPPROTO_UDPLITE`
    pub const UDPLITE: Self = Self(136);
    /// `IPPROTO_RAW`: the sender makes the whole packet.
    pub const RAW: Self = Self(255);
    /// `IPPROTO_MPTCP`
    pub const MPTCP: Self = Self(262);

    /// The name used in records; of a rare protocol, `ip-` and its number.
    #[must_use]
    pub fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::ICMP => "icmp",
            Self::TCP => "tcp",
            Self::UDP => "udp",
            Self::ICMP6 => "icmpv6",
            Self::SCTP => "sctp",
            Self::UDPLITE => "udplite",
            Self::RAW => "raw",
            Self::MPTCP => "mptcp",
            Self(other) => return Cow::Owned(format!("ip-{other}")),
        })
    }
}

/// What the kernel said to a sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// It took it. Whether it arrives, nobody can say.
    Sent,
    /// It refused, with this error number.
    Failed(i32),
    /// The attach point does not tell.
    Unknown,
}

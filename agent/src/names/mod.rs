//! Names of destinations.

/// Where a name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameSource {
    /// An answer of a name server that the host received.
    Dns,
    /// What the client itself asked for.
    Tls,
}

impl NameSource {
    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            NameSource::Dns => "dns",
            NameSource::Tls => "tls",
        }
    }
}

/// A destination's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Named {
    /// The name.
    pub name: String,
    /// Where it comes from.
    pub source: NameSource,
}

pub mod dns {
    pub struct Answers;
    pub fn answers(_bytes: &[u8]) -> Result<Answers, ()> {
        Err(())
    }
}
pub mod tls {
    pub fn server_name(_bytes: &[u8]) -> Result<Option<String>, ()> {
        Err(())
    }
}
#[derive(Debug, Default)]
pub struct Names;
impl Names {
    pub fn learn(&mut self, _answers: &dns::Answers, _time_ns: u64) {}
    pub fn name_of(&self, _ip: std::net::IpAddr, _time_ns: u64) -> Option<&str> {
        None
    }
}

//! Reading records, also those that a later version wrote: unknown types and fields are there to be passed over.

use serde_json::Value;

use super::nanoseconds;
use super::node::{Node, Tree};
use super::room::Room;

/// Why bytes are no record.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// No JSON.
    #[error("a record that is no JSON")]
    Json(#[from] serde_json::Error),
    /// JSON, but not an object with a sequence number, a time and a type.
    #[error("a record without `{0}`")]
    Missing(&'static str),
}

/// A record as somebody else may read it: owned, or borrowed from its bytes where it is only turned into something else.
#[derive(Clone, Debug, PartialEq)]
pub struct View<T = Value> {
    value: T,
    seq: u64,
    time_ns: i64,
}

impl View {
    /// Reads a record's bytes.
    ///
    /// # Errors
    /// [`ViewError`] where they are no record of any version.
    pub fn parse(body: &[u8]) -> Result<Self, ViewError> {
        Self::of(serde_json::from_slice(body)?)
    }
}

impl<'a> View<Node<'a>> {
    /// Reads a record's bytes without a copy of them, into this room.
    ///
    /// # Errors
    /// [`ViewError`] where they are no record of any version.
    pub fn borrow(body: &'a [u8], room: &'a mut Room) -> Result<Self, ViewError> {
        Self::of(Node::parse(body, room)?)
    }
}

impl<T: Tree> View<T> {
    fn of(value: T) -> Result<Self, ViewError> {
        let seq = value.member("seq").and_then(T::whole).ok_or(ViewError::Missing("seq"))?;
        let time_ns =
            value.member("time").and_then(T::text).and_then(nanoseconds).ok_or(ViewError::Missing("time"))?;
        if value.member("type").and_then(T::text).is_none() {
            return Err(ViewError::Missing("type"));
        }
        Ok(Self { value, seq, time_ns })
    }

    /// Its number.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// When, ns since 1970.
    #[must_use]
    pub fn time_ns(&self) -> i64 {
        self.time_ns
    }

    /// The name of its type, which may be one we do not know.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("type").unwrap_or_default()
    }

    /// The chain it belongs to.
    #[must_use]
    pub fn chain(&self) -> Option<&str> {
        self.text("chain")
    }

    /// The value at a path of names with dots between.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&T> {
        path.split('.').try_fold(&self.value, |value, name| value.member(name))
    }

    /// The text there.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        self.at(path)?.text()
    }

    /// The number there.
    #[must_use]
    pub fn number(&self, path: &str) -> Option<u64> {
        self.at(path)?.whole()
    }

    /// How many actions it tells of: several where nothing tells them apart, else one.
    #[must_use]
    pub fn times(&self) -> u64 {
        if self.kind() == "action" { self.number("count").unwrap_or(1).max(1) } else { 1 }
    }

    /// How many connections it tells of, or first datagrams: none where it completes what another record tells of.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        if self.at("completes").is_none() { self.times() } else { 0 }
    }

    /// Credentials that the process of an action came by or had: of a writing without what it wrote, which stands first.
    #[must_use]
    pub fn held(&self) -> &[T] {
        let all = self.list("credential");
        if self.text("action") == Some("secret.write") { all.get(1..).unwrap_or_default() } else { all }
    }

    /// The list there; empty where there is none.
    #[must_use]
    pub fn list(&self, path: &str) -> &[T] {
        self.at(path).and_then(T::items).unwrap_or_default()
    }

    /// The whole record.
    #[must_use]
    pub fn value(&self) -> &T {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_version_is_readable() {
        let view = View::parse(
            br#"{"v":9,"seq":3,"time":"2026-01-02T03:04:05.000000001Z","type":"omen","new":{"deep":[1]}}"#,
        )
        .unwrap();
        assert_eq!((view.seq(), view.kind(), view.chain()), (3, "omen", None));
        assert_eq!(view.list("new.deep").len(), 1);
        assert_eq!(view.text("new.deep"), None);
        assert!(view.list("absent").is_empty());
    }

    #[test]
    fn what_is_no_record_says_why() {
        let why = |bytes: &[u8]| View::parse(bytes).unwrap_err().to_string();
        assert_eq!(why(b"{"), "a record that is no JSON");
        assert_eq!(why(b"[]"), "a record without `seq`");
        assert_eq!(why(br#"{"seq":1,"time":"noon","type":"x"}"#), "a record without `time`");
        assert_eq!(why(br#"{"seq":1,"time":"2026-01-02T03:04:05Z"}"#), "a record without `type`");
    }
}

//! Identifiers of a credential, as an object.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// Names and values. A name that comes again is numbered, for an object has each key once: `key_id`, `key_id_2`, …
pub(super) struct Identifiers<'a>(pub(super) &'a [(String, String)]);

impl Identifiers<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Identifiers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (at, (name, value)) in self.0.iter().enumerate() {
            let before = self.0.iter().take(at).filter(|(known, _)| known == name).count();
            let key = match before {
                0 => Cow::Borrowed(name),
                before => Cow::Owned(format!("{name}_{}", before + 1)),
            };
            map.serialize_entry(&*key, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::Identifiers;

    #[test]
    fn each_key_once() {
        let pairs = [("key_id", "A"), ("profile", "x"), ("key_id", "B"), ("key_id", "C")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let text = serde_json::to_string(&Identifiers(&pairs)).unwrap();
        assert_eq!(text, r#"{"key_id":"A","profile":"x","key_id_2":"B","key_id_3":"C"}"#);
    }
}

//! What is left of a record, against the plain way: a copy, out of which is removed what was taken.

use proptest::prelude::*;

use super::super::fields::{COUNT, Field, Fields as _};
use super::super::source::Source;
use super::*;
use crate::record::Room;

/// Removes what is at a path, and what is empty after that.
fn remove(map: &mut serde_json::Map<String, Value>, path: &str) {
    match path.split_once('.') {
        None => {
            map.remove(path);
        }
        Some((name, rest)) => {
            if let Some(Value::Object(inner)) = map.get_mut(name) {
                remove(inner, rest);
                if inner.is_empty() {
                    map.remove(name);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn what_is_left_is_all_that_was_not_taken(
        record in any_record(),
        wanted in prop::collection::btree_set(0..COUNT, 0..COUNT),
        more in prop::option::of("[a-z]{1,7}"),
    ) {
        let body = record.to_string();
        let mut room = Room::new();
        let Ok(view) = View::borrow(body.as_bytes(), &mut room) else { return Ok(()) };
        let source = Source::new(&view);
        let owned = View::parse(body.as_bytes()).unwrap();
        let mut left = record.as_object().unwrap().clone();
        let fields = wanted.into_iter().map(Field::numbered);
        let taken: Vec<Field> = fields.filter(|field| source.take(*field).is_some()).collect();
        for field in &taken {
            prop_assert_eq!(source.text_at(*field), owned.text(field.path()));
            remove(&mut left, field.path());
        }
        let more: Vec<_> = more.into_iter().map(|name| (name, b"1".to_vec())).collect();
        left.extend(more.iter().map(|(name, _)| (name.clone(), json!(1))));
        let mut out = Vec::new();
        source.write_rest(&more, &mut out);
        prop_assert_eq!(String::from_utf8(out).unwrap(), Value::Object(left).to_string());
    }
}

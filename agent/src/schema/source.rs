//! A record that remembers which of its fields were taken.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::record::View;

/// A record on its way into a schema.
pub(super) struct Source<'a> {
    pub(super) view: &'a View,
    taken: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Source<'a> {
    pub(super) fn new(view: &'a View) -> Self {
        Self { view, taken: RefCell::default() }
    }

    /// The value at a path, which is taken with it.
    pub(super) fn take(&self, path: &'static str) -> Option<&'a Value> {
        let value = self.view.at(path)?;
        self.taken.borrow_mut().insert(path);
        Some(value)
    }

    /// The text there. What is of another kind is not taken.
    pub(super) fn text(&self, path: &'static str) -> Option<&'a str> {
        let text = self.view.at(path)?.as_str()?;
        self.taken.borrow_mut().insert(path);
        Some(text)
    }

    /// The number there. What is of another kind is not taken.
    pub(super) fn number(&self, path: &'static str) -> Option<u64> {
        let number = self.view.at(path)?.as_u64()?;
        self.taken.borrow_mut().insert(path);
        Some(number)
    }

    /// The list there. What is of another kind is not taken.
    pub(super) fn list(&self, path: &'static str) -> &'a [Value] {
        let Some(list) = self.view.at(path).and_then(Value::as_array) else { return &[] };
        self.taken.borrow_mut().insert(path);
        list
    }

    /// What nobody took, in its own shape.
    pub(super) fn rest(&self) -> Map<String, Value> {
        let mut rest = self.view.value().as_object().cloned().unwrap_or_default();
        for path in self.taken.borrow().iter() {
            remove(&mut rest, path);
        }
        rest
    }
}

/// Removes what is at a path, and what is empty after that.
fn remove(map: &mut Map<String, Value>, path: &str) {
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

/// An object that is built by paths.
#[derive(Default)]
pub(super) struct Target(Map<String, Value>);

impl Target {
    /// Puts a value at a path of names with dots between, making the objects on the way.
    pub(super) fn put(&mut self, path: &str, value: impl Into<Value>) {
        let mut at = &mut self.0;
        let mut names = path.split('.').peekable();
        while let Some(name) = names.next() {
            if names.peek().is_none() {
                at.insert(name.to_owned(), value.into());
                return;
            }
            let inner = at.entry(name).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(inner) = inner else { return };
            at = inner;
        }
    }

    /// The same, where there is a value.
    pub(super) fn put_some(&mut self, path: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(path, value);
        }
    }

    /// What was not taken goes below `path`.
    pub(super) fn put_rest(&mut self, path: &str, source: &Source<'_>) {
        let rest = source.rest();
        if !rest.is_empty() {
            self.put(path, rest);
        }
    }

    pub(super) fn build(self) -> Value {
        Value::Object(self.0)
    }
}

//! A record that remembers which of its fields were taken.

use std::cell::Cell;
use std::ops::Range;

use super::fields::{COUNT, Field, Fields, matched};
use crate::record::{Member, Name, Node, Text, Tree, View, comma, write_read, write_text};

/// A record on its way into a schema.
pub(super) struct Source<'a> {
    pub(super) view: &'a View<Node<'a>>,
    /// By the number of the field.
    at: [Option<&'a Node<'a>>; COUNT],
    /// A bit for each field.
    taken: Cell<u128>,
}

const _: () = assert!(COUNT <= 128);

/// What is left of a member.
enum Left<'a> {
    Whole(&'a Node<'a>),
    /// An object of which something was taken, with the fields in it.
    Part(&'a [Member<'a>], Range<usize>),
}

impl<'a> Source<'a> {
    pub(super) fn new(view: &'a View<Node<'a>>) -> Self {
        let mut at = [None; COUNT];
        find(view.value().members().unwrap_or_default(), 0..COUNT, &mut at);
        Self { view, at, taken: Cell::new(0) }
    }

    /// The value of a field, which is not taken.
    pub(super) fn peek(&self, field: Field) -> Option<&'a Node<'a>> {
        self.at.get(field.number()).copied().flatten()
    }

    /// The text there, which is not taken.
    pub(super) fn peek_text(&self, field: Field) -> Option<&'a str> {
        self.peek(field)?.text()
    }

    /// The list there, which is not taken.
    pub(super) fn peek_list(&self, field: Field) -> &'a [Node<'a>] {
        self.peek(field).and_then(Node::items).unwrap_or_default()
    }

    /// The value of a field, which is taken with it.
    pub(super) fn take(&self, field: Field) -> Option<&'a Node<'a>> {
        self.if_some(field, self.peek(field))
    }

    /// The text there. What is of another kind is not taken.
    pub(super) fn text(&self, field: Field) -> Option<&'a str> {
        self.if_some(field, self.peek_text(field))
    }

    /// The number there. What is of another kind is not taken.
    pub(super) fn number(&self, field: Field) -> Option<u64> {
        self.if_some(field, self.peek(field).and_then(Node::whole))
    }

    /// The list there. What is of another kind is not taken.
    pub(super) fn list(&self, field: Field) -> Option<&'a [Node<'a>]> {
        self.if_some(field, self.peek(field).and_then(Node::items))
    }

    fn if_some<T>(&self, field: Field, value: Option<T>) -> Option<T> {
        if value.is_some() {
            self.taken.set(self.taken.get() | 1 << field.number());
        }
        value
    }

    /// The members of an object, without what was taken.
    fn left(
        &self,
        members: &'a [Member<'a>],
        fields: Range<usize>,
    ) -> impl Iterator<Item = (&'a Name<'a>, Left<'a>)> {
        let taken = self.taken.get();
        matched(members, fields).filter_map(move |((name, value), field)| {
            let Some((number, known)) = field else { return Some((name, Left::Whole(value))) };
            let inside = number + 1..known.end;
            if taken >> number & 1 == 1 {
                return None;
            }
            let part = value.members().filter(|_| inside.clone().any(|number| taken >> number & 1 == 1));
            Some((name, part.map_or(Left::Whole(value), |members| Left::Part(members, inside))))
        })
    }

    /// What nobody took, in its own shape, as JSON; between it, in order, `more` names with their JSON.
    pub(super) fn write_rest(&self, more: &[(String, Vec<u8>)], out: &mut Vec<u8>) {
        let mut more = more.iter().peekable();
        out.push(b'{');
        for (name, left) in self.left(self.view.value().members().unwrap_or_default(), 0..COUNT) {
            while let Some((own, json)) = more.next_if(|(own, _)| own.as_str() < &**name) {
                member(own, out);
                out.extend_from_slice(json);
            }
            if more.peek().is_none_or(|(own, _)| **own != **name) {
                self.write_left(name, left, out);
            }
        }
        for (own, json) in more {
            member(own, out);
            out.extend_from_slice(json);
        }
        out.push(b'}');
    }

    fn write_left(&self, name: &Name<'_>, left: Left<'a>, out: &mut Vec<u8>) {
        let before = out.len();
        comma(out);
        write_read(name.text(), out);
        out.push(b':');
        match left {
            Left::Whole(value) => value.write(out),
            Left::Part(members, fields) => {
                out.push(b'{');
                let start = out.len();
                for (name, left) in self.left(members, fields) {
                    self.write_left(name, left, out);
                }
                if out.len() == start {
                    // All of it was taken.
                    out.truncate(before);
                } else {
                    out.push(b'}');
                }
            }
        }
    }

    /// The leaves of what nobody took, with their paths below `name`; lists stay lists.
    pub(super) fn rest_leaves(&self, name: &str, put: &mut impl FnMut(Text<'_>, &'a Node<'a>)) {
        let mut path = String::with_capacity(128);
        path.push_str(name);
        let all = Left::Part(self.view.value().members().unwrap_or_default(), 0..COUNT);
        self.leaves(&mut path, true, all, put);
    }

    /// `is_plain`: the names of the path need no escapes.
    fn leaves(
        &self,
        path: &mut String,
        is_plain: bool,
        left: Left<'a>,
        put: &mut impl FnMut(Text<'_>, &'a Node<'a>),
    ) {
        let len = path.len();
        let mut below = |name: &Name<'_>, left, put: &mut _| {
            path.push('.');
            path.push_str(name);
            self.leaves(path, is_plain && name.text().is_plain(), left, put);
            path.truncate(len);
        };
        match left {
            Left::Whole(Node::Map(members)) => {
                for (name, value) in *members {
                    below(name, Left::Whole(value), put);
                }
            }
            Left::Whole(value) => put(if is_plain { Text::plain(path) } else { Text::odd(path) }, value),
            Left::Part(members, fields) => {
                for (name, left) in self.left(members, fields) {
                    below(name, left, put);
                }
            }
        }
    }
}

/// A name of ours in an object, with what stands before and behind it.
fn member(name: &str, out: &mut Vec<u8>) {
    comma(out);
    write_text(name, out);
    out.push(b':');
}

/// Sees where each field of a range is.
fn find<'a>(members: &'a [Member<'a>], fields: Range<usize>, at: &mut [Option<&'a Node<'a>>; COUNT]) {
    for ((_, value), field) in matched(members, fields) {
        let Some((number, known)) = field else { continue };
        if let Some(place) = at.get_mut(number) {
            *place = Some(value);
        }
        if let Node::Map(inner) = value {
            find(inner, number + 1..known.end, at);
        }
    }
}

impl<'a> Fields for Source<'a> {
    type Value = Node<'a>;

    fn at(&self, field: Field) -> Option<&Self::Value> {
        self.peek(field)
    }

    fn seq(&self) -> u64 {
        self.view.seq()
    }
}

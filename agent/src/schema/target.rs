//! An event on its way out of a record: a value for each place that its schema has, written in the order of places.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::fields::{compare, last_name, parent_len, position};
use super::source::Source;
use crate::record::{Node, comma, write, write_list, write_text};

/// Where a schema has values, in order, which is that of their JSON.
pub(super) struct Places<const N: usize> {
    paths: [&'static str; N],
    list: [Place; N],
}

#[derive(Clone, Copy)]
struct Place {
    /// The path of the object it is in; empty for the event itself.
    parent: &'static str,
    name: &'static str,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot(usize);

impl<const N: usize> Places<N> {
    pub(super) const fn new(paths: [&'static str; N]) -> Self {
        let mut list = [Place { parent: "", name: "" }; N];
        let mut at = 0;
        while at < N {
            let path = paths[at];
            assert!(at == 0 || matches!(compare(paths[at - 1], path), Ordering::Less), "not in order");
            list[at] = Place { parent: path.split_at(parent_len(path)).0, name: last_name(path) };
            at += 1;
        }
        Self { paths, list }
    }

    /// The place at a path; the compiler stops where there is none.
    pub(super) const fn spot(&self, path: &str) -> Spot {
        Spot(position(&self.paths, path))
    }
}

/// What stands at a place.
pub(super) enum Out<'a> {
    /// Nothing.
    Nothing,
    /// Nothing, but the objects it would be in are there.
    Moved,
    Null,
    Flag(bool),
    Whole(u64),
    Signed(i64),
    Text(Cow<'a, str>),
    Texts(Cow<'a, [&'a str]>),
    Node(&'a Node<'a>),
    Nodes(&'a [Node<'a>]),
    /// Objects of texts; their names in order.
    Pairs(Vec<[(&'static str, &'a str); 2]>),
    /// What was not taken.
    Rest,
}

macro_rules! into_out {
    ($($from:ty => |$value:ident| $out:expr,)*) => {
        $(impl<'a> From<$from> for Out<'a> {
            fn from($value: $from) -> Self {
                $out
            }
        })*
    };
}

into_out! {
    &'a str => |text| Out::Text(Cow::Borrowed(text)),
    String => |text| Out::Text(Cow::Owned(text)),
    bool => |flag| Out::Flag(flag),
    u8 => |number| Out::Whole(number.into()),
    u32 => |number| Out::Whole(number.into()),
    u64 => |number| Out::Whole(number),
    i64 => |number| Out::Signed(number),
    &'a Node<'a> => |node| Out::Node(node),
    &'a [Node<'a>] => |nodes| Out::Nodes(nodes),
    &'static [&'static str] => |texts| Out::Texts(Cow::Borrowed(texts)),
    Vec<&'a str> => |texts| Out::Texts(Cow::Owned(texts)),
    Vec<[(&'static str, &'a str); 2]> => |pairs| Out::Pairs(pairs),
}

impl Out<'_> {
    fn is_nothing(&self) -> bool {
        matches!(self, Out::Nothing)
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Out::Nothing | Out::Moved | Out::Rest => {}
            Out::Null => out.extend_from_slice(b"null"),
            Out::Flag(flag) => write(flag, out),
            Out::Whole(number) => write(number, out),
            Out::Signed(number) => write(number, out),
            Out::Text(text) => write_text(text, out),
            Out::Texts(texts) => write(texts, out),
            Out::Node(node) => node.write(out),
            Out::Nodes(nodes) => write_list(nodes, out),
            Out::Pairs(all) => {
                out.push(b'[');
                for pairs in all {
                    comma(out);
                    out.push(b'{');
                    for (name, text) in pairs {
                        key(name, out);
                        write_text(text, out);
                    }
                    out.push(b'}');
                }
                out.push(b']');
            }
        }
    }
}

/// The name of a place, which needs no escapes, with what stands before and behind it.
fn key(name: &str, out: &mut Vec<u8>) {
    comma(out);
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// An event with what stands at each place.
pub(super) struct Target<'a, const N: usize> {
    places: &'static Places<N>,
    values: [Out<'a>; N],
    /// What goes along with the rest, in order.
    more: Vec<(String, Vec<u8>)>,
}

impl<'a, const N: usize> Target<'a, N> {
    pub(super) fn new(places: &'static Places<N>) -> Self {
        Self { places, values: [const { Out::Nothing }; N], more: Vec::new() }
    }

    pub(super) fn put(&mut self, spot: Spot, value: impl Into<Out<'a>>) {
        if let Some(place) = self.values.get_mut(spot.0) {
            *place = value.into();
        }
    }

    /// The same, where there is a value.
    pub(super) fn put_some(&mut self, spot: Spot, value: Option<impl Into<Out<'a>>>) {
        if let Some(value) = value {
            self.put(spot, value);
        }
    }

    pub(super) fn at(&self, spot: Spot) -> &Out<'a> {
        self.values.get(spot.0).unwrap_or(&Out::Nothing)
    }

    /// Moves what is at a path and below it to the rest, under another name. Of what is moved alone the object stays.
    pub(super) fn move_to_rest(&mut self, path: &'static str, name: String) {
        let below = format!("{path}.");
        let mut moved = Target::new(self.places);
        let all = self.values.iter_mut().zip(&mut moved.values).zip(&self.places.paths);
        let mut found = false;
        for ((from, to), own) in all.filter(|((from, _), _)| !from.is_nothing()) {
            let whole = *own == path;
            if whole || own.starts_with(&below) {
                *to = std::mem::replace(from, if whole { Out::Moved } else { Out::Nothing });
                found = true;
            }
        }
        if found {
            let mut json = Vec::new();
            moved.write_below(path, &mut json);
            let place = self.more.partition_point(|(known, _)| *known < name);
            self.more.insert(place, (name, json));
        }
    }

    /// The value at a path that is none of an object, or the object there.
    fn write_below(&self, path: &'static str, out: &mut Vec<u8>) {
        let own = self.values.iter().zip(&self.places.paths).find(|(_, own)| **own == path);
        match own {
            Some((value, _)) => value.write(out),
            None => self.write_places(path, None, out),
        }
    }

    /// The event as JSON.
    pub(super) fn write(&self, source: &Source<'_>, out: &mut Vec<u8>) {
        self.write_places("", Some(source), out);
    }

    /// The object at a path with all that is in it.
    fn write_places(&self, path: &'static str, source: Option<&Source<'_>>, out: &mut Vec<u8>) {
        out.push(b'{');
        let mut open = path;
        let all = self.values.iter().zip(&self.places.list);
        for (value, place) in all.filter(|(value, _)| !value.is_nothing()) {
            if open != place.parent {
                open = walk(open, place.parent, out);
            }
            let before = out.len();
            match (value, source) {
                (Out::Moved, _) => {}
                (Out::Rest, Some(source)) => {
                    key(place.name, out);
                    let start = out.len();
                    source.write_rest(&self.more, out);
                    if out.len() == start + 2 {
                        out.truncate(before);
                    }
                }
                _ => {
                    key(place.name, out);
                    value.write(out);
                }
            }
        }
        walk(open, path, out);
        out.push(b'}');
    }
}

/// Closes and opens objects on the way from one to another.
fn walk(from: &'static str, to: &'static str, out: &mut Vec<u8>) -> &'static str {
    let mut at = from;
    let rest = loop {
        if at.is_empty() {
            break to;
        }
        match to.strip_prefix(at) {
            Some("") => return to,
            Some(rest) if rest.starts_with('.') => break rest.get(1..).unwrap_or_default(),
            _ => {}
        }
        at = at.rsplit_once('.').map_or("", |(parent, _)| parent);
        out.push(b'}');
    };
    for name in rest.split('.').filter(|name| !name.is_empty()) {
        key(name, out);
        out.push(b'{');
    }
    to
}

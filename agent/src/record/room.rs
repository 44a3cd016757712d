//! Where the nodes of a record are.

use bumpalo::Bump;
use serde_json::Value;

use super::node::{Member, Name, Node, Text};

/// Bytes that nearly all records are content with, and most that are kept for the next one.
const ROOM: usize = 8 << 10;
const ROOM_MAX: usize = 64 << 10;

/// Members of an object, of which few have more.
const MEMBERS: usize = 32;

/// Where the nodes of a record are, and texts that are made for it. All of it is given back at once, when the next record
/// is read.
#[derive(Debug)]
pub struct Room {
    bump: Bump,
    /// Of the object that was read, the first seven bytes of each name, and which member it is of in the eighth.
    order: Vec<u64>,
}

impl Default for Room {
    fn default() -> Self {
        Self::new()
    }
}

impl Room {
    /// For one record after the other.
    #[must_use]
    pub fn new() -> Self {
        Self { bump: Bump::with_capacity(ROOM), order: Vec::with_capacity(MEMBERS) }
    }

    /// What puts things into it, when all else was taken out.
    pub(super) fn cleared(&mut self) -> Put<'_> {
        if self.bump.allocated_bytes() > ROOM_MAX {
            *self = Self::new();
        }
        self.bump.reset();
        Put { bump: &self.bump, order: &mut self.order }
    }
}

/// Puts things into a room.
pub(super) struct Put<'a> {
    bump: &'a Bump,
    order: &'a mut Vec<u64>,
}

impl<'a> Put<'a> {
    /// A text that may need escapes.
    pub(super) fn text(&self, text: &str) -> Text<'a> {
        Text::odd(self.bump.alloc_str(text))
    }

    pub(super) fn items(&self, items: &[Member<'a>]) -> &'a [Node<'a>] {
        self.bump.alloc_slice_fill_iter(items.iter().map(|(_, item)| *item))
    }

    /// Members in order; of a name that comes twice the last.
    pub(super) fn members(&mut self, members: &[Member<'a>]) -> &'a [Member<'a>] {
        // Numbers are sorted, not members: those are larger.
        let numbered = members.iter().zip(0_u64..);
        self.order.clear();
        self.order.extend(numbered.map(|((name, _), number)| name.start() & !0xff | number));
        self.order.sort_unstable();
        if members.len() > 256 || !self.order.is_sorted_by(|one, next| one >> 8 < next >> 8) {
            // Very many, or some begin alike.
            return self.sorted(members);
        }
        let nothing = (Name::NONE, Node::Null);
        let at = |key: &u64| usize::try_from(*key & 0xff).unwrap_or(usize::MAX);
        let placed = self.order.iter().map(|key| members.get(at(key)).copied().unwrap_or(nothing));
        self.bump.alloc_slice_fill_iter(placed)
    }

    fn sorted(&self, members: &[Member<'a>]) -> &'a [Member<'a>] {
        let mut members = members.to_vec();
        members.sort_by_key(|(name, _)| *name);
        members.dedup_by(|later, kept| {
            let twice = later.0 == kept.0;
            if twice {
                *kept = *later;
            }
            twice
        });
        self.bump.alloc_slice_copy(&members)
    }

    /// What `serde_json` read.
    pub(super) fn node(&self, value: &Value) -> Node<'a> {
        match value {
            Value::Null => Node::Null,
            Value::Bool(flag) => Node::Flag(*flag),
            Value::Number(number) => Node::number(number),
            Value::String(text) => Node::Text(self.text(text)),
            Value::Array(items) => {
                let items: Vec<_> = items.iter().map(|item| self.node(item)).collect();
                Node::List(self.bump.alloc_slice_copy(&items))
            }
            Value::Object(map) => {
                let members = map.iter().map(|(name, value)| (Name::new(self.text(name)), self.node(value)));
                Node::Map(self.bump.alloc_slice_copy(&members.collect::<Vec<_>>()))
            }
        }
    }
}

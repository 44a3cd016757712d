//! Parts that stand in record after record, kept as the text that they are there: who acted, with what, on which host. Most
//! records of a host are of the same few processes, and a program's arguments are searched for secrets once.

use std::cell::RefCell;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// A part of a record, as its text.
#[derive(Clone, Debug)]
pub(super) struct Part(Arc<RawValue>);

impl Part {
    /// What is serialized here has texts for keys and no numbers that JSON has not: there is nothing to refuse.
    pub(super) fn of(shape: &impl Serialize) -> Self {
        let text = to_raw_value(shape);
        debug_assert!(text.is_ok(), "{text:?}");
        Self(text.unwrap_or_else(|_| RawValue::NULL.to_owned()).into())
    }
}

impl Default for Part {
    fn default() -> Self {
        Self(RawValue::NULL.to_owned().into())
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// What can be kept.
pub(super) trait Weighs: Clone {
    /// Bytes of its text.
    fn bytes(&self) -> usize;
}

impl Weighs for Part {
    fn bytes(&self) -> usize {
        self.0.get().len()
    }
}

/// The text of each of the things that were told lately, with what else it depends on. A thing that is shared and never
/// changes is known by where it lies, and it is held here, so that nothing else can come to lie there.
#[derive(Debug)]
pub(super) struct Kept<T, K, V> {
    places: RefCell<Vec<Option<Place<T, K, V>>>>,
}

#[derive(Debug)]
struct Place<T, K, V> {
    of: Arc<T>,
    with: K,
    told: V,
}

impl<T, K: PartialEq, V: Weighs> Kept<T, K, V> {
    /// A power of two.
    const PLACES: usize = 256;
    /// Longer texts are made anew each time: so all of them together are a MiB at most.
    const BYTES_MAX: usize = 4_096;

    pub(super) fn new() -> Self {
        Self { places: RefCell::new((0..Self::PLACES).map(|_| None).collect()) }
    }

    /// The text of a thing: the one that is kept, where it was told with the same, else what is made now.
    pub(super) fn told(&self, of: &Arc<T>, with: K, make: impl FnOnce() -> V) -> V {
        let at = Self::place(of);
        if let Some(Some(place)) = self.places.borrow().get(at)
            && Arc::ptr_eq(&place.of, of)
            && place.with == with
        {
            return place.told.clone();
        }
        let told = make();
        if told.bytes() <= Self::BYTES_MAX
            && let Some(place) = self.places.borrow_mut().get_mut(at)
        {
            *place = Some(Place { of: Arc::clone(of), with, told: told.clone() });
        }
        told
    }

    fn place(of: &Arc<T>) -> usize {
        // What was allocated one after the other lies next to each other: the low bits say nothing, and the others little.
        let spread = (Arc::as_ptr(of).addr() >> 4).wrapping_mul(0x9e37_79b9);
        (spread >> 16) % Self::PLACES
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_text_is_made_once_for_what_it_depends_on() {
        let (kept, made) = (Kept::<u32, bool, Part>::new(), Cell::new(0));
        let make = |text: &str| {
            made.set(made.get() + 1);
            Part::of(&text)
        };
        let (one, other) = (Arc::new(7), Arc::new(7));
        let told = |of, with, text| kept.told(of, with, || make(text)).0.get().to_owned();
        assert_eq!(told(&one, true, "a\n"), r#""a\n""#);
        assert_eq!(told(&one, true, "b"), r#""a\n""#, "as it is kept");
        assert_eq!(told(&one, false, "c"), r#""c""#, "it depends on more");
        assert_eq!(told(&other, false, "d"), r#""d""#, "an equal one is another");
        assert_eq!(made.get(), 3);
    }

    #[test]
    fn what_is_long_is_not_kept_and_what_is_kept_is_bounded() {
        let kept = Kept::<u32, (), Part>::new();
        let long = Arc::new(0);
        kept.told(&long, (), || Part::of(&"x".repeat(5_000)));
        assert_eq!(Arc::strong_count(&long), 1);
        let many: Vec<Arc<u32>> = (0..10_000).map(Arc::new).collect();
        many.iter().for_each(|one| drop(kept.told(one, (), || Part::of(&**one))));
        let held = many.iter().filter(|one| Arc::strong_count(one) > 1).count();
        assert!((64..=256).contains(&held), "{held} of 256 places are used");
    }
}

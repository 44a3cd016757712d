//! Which names an address has, by the answers that came in; bounded.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::HashMap;

use super::Answers;

/// Most addresses remembered.
const ADDRESSES_MAX: usize = 16_384;
/// Most names of one address.
const NAMES_MAX: usize = 4;
const SECOND_NS: u64 = 1_000_000_000;
/// Bounds of an answer's own time, in seconds. Below, even the connection that follows at once could miss it; above, it is
/// believed longer than anybody should.
const TTL_S: (u32, u32) = (30, 86_400);
/// Programs keep addresses a little longer than they are told to.
const GRACE_NS: u64 = 60 * SECOND_NS;

/// The names that addresses have by the answers of name servers. What is forgotten first is what was learned longest ago:
/// asking changes nothing, so a recorded stream gives the same names.
#[derive(Debug, Default)]
pub struct Names {
    addresses: HashMap<IpAddr, Entry>,
    /// By when they were learned last.
    order: BTreeMap<u64, IpAddr>,
    /// Number of the next entry in `order`.
    next: u64,
    counts: Counts,
}

/// What became of answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Answers that named at least one address.
    pub answers: u64,
    /// Addresses that were forgotten while a name of theirs still stood, because there were too many.
    pub addresses_evicted: u64,
    /// Names that were forgotten while they stood, because their address had too many.
    pub names_evicted: u64,
    /// Records of answers that were not looked at.
    pub records_left_out: u64,
}

#[derive(Debug)]
struct Entry {
    /// Its key in `order`.
    number: u64,
    /// The one that was learned last comes first.
    names: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    name: Arc<str>,
    /// Since when it is known without a break.
    since_ns: u64,
    expires_ns: u64,
}

impl Known {
    const fn stands(&self, time_ns: u64) -> bool {
        self.since_ns <= time_ns && time_ns < self.expires_ns
    }
}

impl Names {
    /// Takes an answer in. `time_ns` is when it came, in nanoseconds since boot, as all times here.
    pub fn learn(&mut self, answers: &Answers, time_ns: u64) {
        self.counts.records_left_out += u64::from(answers.left_out);
        if answers.addresses.is_empty() {
            return;
        }
        self.counts.answers += 1;
        let ttl_s = answers.ttl_s.clamp(TTL_S.0, TTL_S.1);
        let expires_ns = time_ns.saturating_add(u64::from(ttl_s) * SECOND_NS + GRACE_NS);
        let name: Arc<str> = Arc::from(answers.name.as_str());
        for address in &answers.addresses {
            let known = Known { name: Arc::clone(&name), since_ns: time_ns, expires_ns };
            self.put(address.to_canonical(), known, time_ns);
        }
    }

    /// The name of an address at a time: of those that stood then, the one learned last.
    #[must_use]
    pub fn name_of(&self, address: IpAddr, time_ns: u64) -> Option<&str> {
        self.standing(address, time_ns).next()
    }

    /// All names of an address at a time, at most 4, the one learned last first.
    #[must_use]
    pub fn names_of(&self, address: IpAddr, time_ns: u64) -> Vec<Arc<str>> {
        let entry = self.addresses.get(&address.to_canonical());
        let names = entry.map(|entry| entry.names.as_slice()).unwrap_or_default();
        names.iter().filter(|known| known.stands(time_ns)).map(|known| Arc::clone(&known.name)).collect()
    }

    /// How many names the address has at a time, at most 4. With more than one, [`Names::name_of`] may tell another than
    /// the one meant: hosts share addresses.
    #[must_use]
    pub fn ambiguous(&self, address: IpAddr, time_ns: u64) -> usize {
        self.standing(address, time_ns).count()
    }

    /// What became of answers so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    fn standing(&self, address: IpAddr, time_ns: u64) -> impl Iterator<Item = &str> {
        let entry = self.addresses.get(&address.to_canonical());
        let names = entry.map(|entry| entry.names.as_slice()).unwrap_or_default();
        names.iter().filter(move |known| known.stands(time_ns)).map(|known| &*known.name)
    }

    fn put(&mut self, address: IpAddr, mut known: Known, time_ns: u64) {
        let number = self.next;
        self.next += 1;
        if !self.addresses.contains_key(&address) && self.addresses.len() >= ADDRESSES_MAX {
            self.forget_oldest(time_ns);
        }
        let entry = self.addresses.entry(address).or_insert_with(|| Entry { number, names: Vec::new() });
        self.order.remove(&entry.number);
        entry.number = number;
        self.order.insert(number, address);
        if let Some(at) = entry.names.iter().position(|old| old.name == known.name) {
            let old = entry.names.remove(at);
            // Who was given the earlier answer may go by it as long as that said.
            if old.stands(time_ns) {
                known.since_ns = old.since_ns;
                known.expires_ns = known.expires_ns.max(old.expires_ns);
            }
        }
        entry.names.retain(|old| old.expires_ns > time_ns);
        entry.names.insert(0, known);
        if entry.names.len() > NAMES_MAX {
            entry.names.truncate(NAMES_MAX);
            self.counts.names_evicted += 1;
        }
    }

    fn forget_oldest(&mut self, time_ns: u64) {
        let Some((_, oldest)) = self.order.pop_first() else {
            return;
        };
        let entry = self.addresses.remove(&oldest);
        if entry.is_some_and(|entry| entry.names.iter().any(|known| known.expires_ns > time_ns)) {
            self.counts.addresses_evicted += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    fn told(name: &str, addresses: &[u32], ttl_s: u32) -> Answers {
        let addresses = addresses.iter().copied().map(ip).collect();
        Answers { name: name.to_owned(), addresses, ttl_s, left_out: 0 }
    }

    const fn s(seconds: u64) -> u64 {
        seconds * SECOND_NS
    }

    #[test]
    fn a_name_stands_from_its_answer_to_its_end_and_a_little_longer() {
        let mut names = Names::default();
        names.learn(&told("a.example", &[1, 2], 100), s(10));
        for address in [1, 2] {
            assert_eq!(names.name_of(ip(address), s(10) - 1), None, "a later answer is no cause");
            assert_eq!(names.name_of(ip(address), s(10)), Some("a.example"));
            assert_eq!(names.name_of(ip(address), s(170) - 1), Some("a.example"));
            assert_eq!(names.name_of(ip(address), s(170)), None);
        }
        assert_eq!(names.name_of(ip(3), s(10)), None);
    }

    #[test]
    fn times_have_bounds() {
        let mut names = Names::default();
        names.learn(&told("short.example", &[1], 0), 0);
        names.learn(&told("long.example", &[2], u32::MAX), 0);
        assert_eq!(names.name_of(ip(1), s(90) - 1), Some("short.example"));
        assert_eq!(names.name_of(ip(1), s(90)), None);
        assert_eq!(names.name_of(ip(2), s(86_460) - 1), Some("long.example"));
        assert_eq!(names.name_of(ip(2), s(86_460)), None);
        names.learn(&told("last.example", &[3], 60), u64::MAX - 1);
        assert_eq!(names.name_of(ip(3), u64::MAX - 1), Some("last.example"));
    }

    #[test]
    fn the_name_learned_last_is_told_and_the_others_are_counted() {
        let mut names = Names::default();
        names.learn(&told("a.example", &[1], 1000), s(1));
        names.learn(&told("b.example", &[1], 30), s(2));
        assert_eq!((names.name_of(ip(1), s(3)), names.ambiguous(ip(1), s(3))), (Some("b.example"), 2));
        assert_eq!((names.name_of(ip(1), s(1)), names.ambiguous(ip(1), s(1))), (Some("a.example"), 1));
        assert_eq!((names.name_of(ip(1), s(92)), names.ambiguous(ip(1), s(92))), (Some("a.example"), 1));
        names.learn(&told("a.example", &[1], 30), s(4));
        assert_eq!((names.name_of(ip(1), s(5)), names.ambiguous(ip(1), s(5))), (Some("a.example"), 2));
        assert_eq!(names.name_of(ip(1), s(1)), Some("a.example"), "known without a break since then");
        assert_eq!(names.name_of(ip(1), s(1060)), Some("a.example"), "who got the first answer goes by it");
        assert_eq!(names.ambiguous(ip(9), s(5)), 0);
    }

    #[test]
    fn an_address_has_four_names() {
        let mut names = Names::default();
        for n in 0..6_u64 {
            names.learn(&told(&format!("n{n}.example"), &[1], 1000), s(n));
        }
        assert_eq!((names.name_of(ip(1), s(9)), names.ambiguous(ip(1), s(9))), (Some("n5.example"), 4));
        assert_eq!(names.counts().names_evicted, 2);
        names.learn(&told("later.example", &[1], 1000), s(5000));
        assert_eq!(
            (names.ambiguous(ip(1), s(5000)), names.counts().names_evicted),
            (1, 2),
            "the others were over"
        );
    }

    #[test]
    fn there_is_room_for_so_many_addresses() {
        let most = u32::try_from(ADDRESSES_MAX).unwrap();
        let mut names = Names::default();
        names.learn(&told("over.example", &[u32::MAX], 30), 0);
        for n in 0..most {
            names.learn(&told("x.example", &[n], 86_400), s(100));
        }
        assert_eq!(names.counts().addresses_evicted, 0, "what is forgotten was over");
        names.learn(&told("x.example", &[0], 86_400), s(101));
        names.learn(&told("y.example", &[most], 30), s(102));
        assert_eq!(names.name_of(ip(0), s(103)), Some("x.example"), "it was learned anew");
        assert_eq!(names.name_of(ip(1), s(103)), None, "it was learned longest ago");
        assert_eq!(names.name_of(ip(most), s(103)), Some("y.example"));
        assert_eq!((names.addresses.len(), names.order.len()), (ADDRESSES_MAX, ADDRESSES_MAX));
        let counts = names.counts();
        assert_eq!((counts.addresses_evicted, counts.answers), (1, u64::from(most) + 3));
    }

    #[test]
    fn an_address_has_one_form() {
        let mut names = Names::default();
        names.learn(&told("a.example", &[0x0a00_0001], 60), 0);
        assert_eq!(names.name_of("::ffff:10.0.0.1".parse().unwrap(), 0), Some("a.example"));
        let mapped =
            Answers { addresses: vec!["::ffff:10.0.0.2".parse().unwrap()], ..told("b.example", &[], 60) };
        names.learn(&mapped, 0);
        assert_eq!(names.name_of(ip(0x0a00_0002), 0), Some("b.example"));
    }

    #[test]
    fn answers_without_addresses_leave_nothing_but_a_count() {
        let mut names = Names::default();
        names.learn(&Answers { left_out: 3, ..told("a.example", &[], 60) }, 0);
        assert_eq!(names.counts(), Counts { records_left_out: 3, ..Counts::default() });
        assert!(names.addresses.is_empty());
    }
}

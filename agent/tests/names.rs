//! Names of destinations, out of what name servers and clients sent: whole, cut, damaged, and made up.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::IpAddr;

use proptest::prelude::*;
use simple_dns::rdata::{A, AAAA, CNAME, RData};
use simple_dns::{CLASS, Name, Packet, QCLASS, QTYPE, Question, ResourceRecord, TYPE};
use spoor::names::{Answers, DnsError, NAME_MAX, NameFault, TlsError, answers, server_name};

/// What the fuzz targets are fed with is what these tests read: hellos of OpenSSL and curl as they went over the wire,
/// answers as resolvers write them, and their damaged relatives.
fn seed(target: &str, name: &str) -> Vec<u8> {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/corpus");
    std::fs::read(format!("{corpus}/{target}/{name}")).unwrap()
}

fn dns(name: &str) -> Result<Answers, DnsError> {
    answers(&seed("dns", name))
}

fn tls(name: &str) -> Result<Option<String>, TlsError> {
    server_name(&seed("tls", name))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn told(name: &str, addresses: &[&str], ttl_s: u32) -> Answers {
    let addresses = addresses.iter().map(|text| ip(text)).collect();
    Answers { name: name.to_owned(), addresses, ttl_s, left_out: 0 }
}

#[test]
fn answers_as_resolvers_send_them() {
    assert_eq!(dns("a").unwrap(), told("files.example.net", &["203.0.113.9"], 300));
    assert_eq!(dns("aaaa").unwrap(), told("www.example.org", &["2001:db8::1", "2001:db8::2"], 86_400));
    let aliases = dns("aliases").unwrap();
    assert_eq!(aliases, told("bucket.s3.example.com", &["198.51.100.7", "198.51.100.8"], 5));
    assert_eq!(dns("no-addresses").unwrap(), told("alias.example", &[], 0));
    assert_eq!(dns("signed").unwrap(), told("signed.example", &["203.0.113.1"], 60));
}

#[test]
fn a_cut_answer_gives_what_it_has() {
    let cut = dns("cut").unwrap();
    assert_eq!((cut.addresses.as_slice(), cut.left_out), ([ip("198.51.100.7")].as_slice(), 1));
    let many = dns("thousands-announced").unwrap();
    assert_eq!((many.addresses.len(), many.left_out), (1, 65_535 - 64));
    // Wherever it ends: what it has is true, or it is too short to say anything.
    let whole = seed("dns", "aliases");
    for end in 0..whole.len() {
        match answers(&whole[..end]) {
            Ok(part) => {
                assert_eq!(part.name, "bucket.s3.example.com");
                assert!(part.addresses.len() < 2 && part.left_out > 0, "{end}");
            }
            Err(error) => assert_eq!(error, DnsError::Short, "{end}"),
        }
    }
}

#[test]
fn what_is_no_answer() {
    assert_eq!(dns("query"), Err(DnsError::Query));
    assert_eq!(dns("nxdomain"), Err(DnsError::Code(3)));
    assert_eq!(dns("reverse"), Err(DnsError::Kind { kind: 12, class: 1 }), "never a reverse look-up");
    assert_eq!(dns("empty"), Err(DnsError::Short));
    assert_eq!(dns("pointer-to-itself"), Err(DnsError::Label));
    assert_eq!(dns("pointers-in-a-circle"), Err(DnsError::Label));
    assert_eq!(dns("aliases-in-a-circle"), Err(DnsError::Loop));
    assert_eq!(dns("name-for-a-terminal"), Err(DnsError::Name(NameFault::Byte(0x1b))));
    assert_eq!(answers(&vec![0; 65_536]), Err(DnsError::Long));
    let mut two = seed("dns", "a");
    two[5] = 2;
    assert_eq!(answers(&two), Err(DnsError::Questions(2)));
    let mut update = seed("dns", "a");
    update[2] |= 5 << 3;
    assert_eq!(answers(&update), Err(DnsError::Operation(5)));
    let mut long = seed("dns", "a");
    let length = long.len() - 11 - 4 - 1;
    long[length] = 3;
    assert_eq!(answers(&long), Err(DnsError::Record(1)));
    assert!(DnsError::Loop.is_malformed() && !DnsError::Code(3).is_malformed());
}

#[test]
fn an_address_of_somebody_else_is_not_an_answer() {
    let bytes = reply("asked.example", &[("other.example", 60, a(1)), ("asked.example", 60, a(2))], false);
    assert_eq!(answers(&bytes).unwrap(), told("asked.example", &["0.0.0.2"], 60));
}

#[test]
fn the_order_of_records_means_nothing_and_the_shortest_time_counts() {
    let records = [
        ("c.example", 900, a(7)),
        ("b.example", 20, alias("c.example")),
        ("a.example", 600, alias("b.example")),
    ];
    assert_eq!(answers(&reply("A.example", &records, true)).unwrap(), told("a.example", &["0.0.0.7"], 20));
    let endless = [("a.example", 1 << 31, a(7))];
    assert_eq!(answers(&reply("a.example", &endless, true)).unwrap().ttl_s, 0);
}

#[test]
fn hellos_as_clients_send_them() {
    for (name, expected) in [
        ("openssl-tls13", "api.github.example"),
        ("openssl-tls12", "db7.backup.example"),
        ("curl", "s3.eu-central-1.example"),
        ("s-client", "vault.internal"),
        ("many-records", "api.github.example"),
    ] {
        assert_eq!(tls(name).unwrap().as_deref(), Some(expected), "{name}");
    }
    assert_eq!(tls("no-name"), Ok(None));
    assert_eq!(tls("encrypted-hello"), Ok(None));
}

#[test]
fn what_is_no_hello() {
    assert_eq!(tls("http"), Err(TlsError::Other));
    assert_eq!(tls("postgres-sslrequest"), Err(TlsError::Other));
    assert_eq!(tls("empty"), Err(TlsError::Cut));
    assert_eq!(tls("cut-in-ciphers"), Err(TlsError::Cut));
    assert_eq!(tls("record-longer-than-bytes"), Ok(Some("api.github.example".to_owned())));
    assert_eq!(tls("list-too-long"), Err(TlsError::Malformed("server name")));
    assert_eq!(tls("name-for-a-terminal"), Err(TlsError::Name(NameFault::Byte(0x1b))));
    let mut server = seed("tls", "curl");
    server[5] = 2;
    assert_eq!(server_name(&server), Err(TlsError::Other));
    assert_eq!(server_name(b"\x16\x03\x01\0\0"), Err(TlsError::Malformed("record")));
    assert_eq!(server_name(b"\x16\x02"), Err(TlsError::Other));
    // Another record inside of the hello: no more of it can come.
    let mut broken = seed("tls", "many-records");
    broken[12 * 10] = 23;
    assert_eq!(server_name(&broken), Err(TlsError::Malformed("record")));
}

#[test]
fn a_cut_hello_says_so_or_gives_the_name() {
    for name in ["openssl-tls13", "openssl-tls12", "curl", "s-client", "many-records"] {
        let whole = seed("tls", name);
        let expected = server_name(&whole);
        let mut told = false;
        for end in 0..whole.len() {
            let found = server_name(&whole[..end]);
            assert!(found == expected || (!told && found == Err(TlsError::Cut)), "{name} {end}: {found:?}");
            told |= found == expected;
        }
        assert!(told, "{name}");
    }
}

#[test]
fn a_hello_without_a_name_is_not_called_one_before_its_end() {
    let whole = seed("tls", "no-name");
    for end in 0..whole.len() {
        assert_eq!(server_name(&whole[..end]), Err(TlsError::Cut), "{end}");
    }
}

fn a(address: u32) -> RData<'static> {
    RData::A(A { address })
}

fn alias(name: &str) -> RData<'static> {
    RData::CNAME(CNAME(Name::new_unchecked(name).into_owned()))
}

/// An answer by another hand.
fn reply(name: &str, records: &[(&str, u32, RData<'static>)], compressed: bool) -> Vec<u8> {
    let mut packet = Packet::new_reply(7);
    let (kind, class) = (QTYPE::TYPE(TYPE::A), QCLASS::CLASS(CLASS::IN));
    packet.questions.push(Question::new(Name::new_unchecked(name), kind, class, false));
    for (owner, ttl, data) in records {
        packet.answers.push(ResourceRecord::new(Name::new_unchecked(owner), CLASS::IN, *ttl, data.clone()));
    }
    if compressed { packet.build_bytes_vec_compressed().unwrap() } else { packet.build_bytes_vec().unwrap() }
}

fn name_of_a_host() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[a-z_][a-z0-9_-]{0,15}(\\.[a-z_][a-z0-9-]{0,15}){0,5}").unwrap()
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = answers(&bytes);
        let _ = server_name(&bytes);
    }

    /// Behind a good header, where most damage is possible.
    #[test]
    fn any_records(announced: u16, rest in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut bytes = vec![0, 0, 0x81, 0x80, 0, 1];
        bytes.extend(announced.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(b"\x01a\x00\x00\x01\x00\x01");
        bytes.extend(rest);
        if let Ok(found) = answers(&bytes) {
            prop_assert_eq!(found.name, "a");
            prop_assert!(found.addresses.len() <= 64);
        }
    }

    /// One byte of a good message is another.
    #[test]
    fn any_damage(at in 0..517_usize, byte: u8) {
        for (target, name) in [("dns", "aliases"), ("tls", "curl"), ("tls", "many-records")] {
            let mut bytes = seed(target, name);
            let at = at % bytes.len();
            bytes[at] = byte;
            let name = answers(&bytes).ok().map(|found| found.name);
            for name in name.into_iter().chain(server_name(&bytes).ok().flatten()) {
                prop_assert!(name.len() <= NAME_MAX && name.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }

    /// What another hand wrote is read as it was meant.
    #[test]
    fn round_trip(
        names in proptest::collection::hash_set(name_of_a_host(), 1..6),
        hosts in proptest::collection::btree_set(any::<u32>(), 1..8),
        wide in proptest::collection::btree_set(any::<u128>(), 0..4),
        ttl in 0..1_000_000_u32,
        compressed: bool,
    ) {
        let names: Vec<String> = names.into_iter().collect();
        let last = names.last().unwrap();
        let mut records: Vec<(&str, u32, RData<'static>)> =
            names.windows(2).map(|pair| (pair[0].as_str(), ttl + 1, alias(&pair[1]))).collect();
        records.extend(hosts.iter().map(|host| (last.as_str(), ttl, a(*host))));
        records.extend(wide.iter().map(|address| (last.as_str(), ttl, RData::AAAA(AAAA { address: *address }))));
        let found = answers(&reply(&names[0], &records, compressed)).unwrap();
        let expected = hosts.iter().map(|host| IpAddr::from(host.to_be_bytes()));
        let expected: Vec<_> = expected.chain(wide.iter().map(|host| IpAddr::from(host.to_be_bytes()))).collect();
        prop_assert_eq!(&found.name, &names[0]);
        prop_assert_eq!(found.addresses, expected);
        prop_assert_eq!((found.ttl_s, found.left_out), (ttl, 0));
    }

    /// A hello with any name, spread over records of any size, is read; cut anywhere, it is told.
    #[test]
    fn round_trip_of_hellos(name in name_of_a_host(), before in 0..300_usize, size in 1..400_usize, cut in 0..900_usize) {
        let bytes = hello(&name, before, size);
        prop_assert_eq!(server_name(&bytes), Ok(Some(name.clone())));
        let part = server_name(&bytes[..cut.min(bytes.len())]);
        prop_assert!(part == Err(TlsError::Cut) || part == Ok(Some(name)), "{part:?}");
    }
}

fn behind_length(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// A hello with the name behind an extension of some length.
fn hello(name: &str, before: usize, size: usize) -> Vec<u8> {
    let padding = [&[0, 21][..], &behind_length(&vec![0; before])].concat();
    let host = behind_length(&[&[0][..], &behind_length(name.as_bytes())].concat());
    let extension = [&[0, 0][..], &behind_length(&host)].concat();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body.extend(behind_length(&[padding, extension].concat()));
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[1], &length[1..], &body].concat();
    message.chunks(size).flat_map(|part| [&[22, 3, 1][..], &behind_length(part)].concat()).collect()
}

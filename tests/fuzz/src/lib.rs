//! What each fuzz target does with its bytes. It may refuse them; it may not panic, nor take long.

use std::sync::LazyLock;

use spoor::capture::{CaptureError, checksum};
use spoor::credential::{Catalogue, Parser, redact, told};
use spoor::evidence::{How, PublicKey, Received, SignedHead};
use spoor::kernel::{btf::Btf, offsets};
use spoor::names::{self, Names};
use spoor::pipeline::replay::Replay;
use spoor::purpose::{Act, Program, Towards, Using};
use spoor::record::Redaction;
use spoor::store::unpack;

/// A sample of the ring, and the event it becomes.
pub fn decode(data: &[u8]) {
    if let Ok(raw) = spoor_wire::RawEvent::decode(data) {
        drop(spoor::event::convert(&raw));
    }
}

/// A kernel's description of its types, and every offset asked of it.
pub fn btf(data: &[u8]) {
    if let Ok(btf) = Btf::parse(data) {
        drop(offsets::resolve(&btf));
    }
}

/// A config file; its mistakes are told to a person.
pub fn config(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Err(mistakes) = spoor::config::parse("fuzz", text)
    {
        assert!(!mistakes.to_string().is_empty(), "a config was refused without a word");
    }
}

/// A catalogue of somebody's own; its mistakes are told to a person.
pub fn catalogue(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Err(mistakes) = Catalogue::check("fuzz", text)
    {
        assert!(!mistakes.to_string().is_empty(), "a catalogue was refused without a word");
    }
}

/// A credential, read by every parser: few and short identifiers, and nothing that a terminal obeys.
pub fn credential(data: &[u8]) {
    for (name, parser) in Parser::ALL {
        let found = told(parser, data);
        assert!(found.identifiers.len() <= 48 && found.expects.len() <= 48, "{name} tells too much");
        for (key, value) in &found.identifiers {
            assert!(!value.is_empty() && value.len() <= 256, "{name}: {key} is too long, or nothing");
            assert!(!value.contains(char::is_control), "{name}: control characters: {value:?}");
        }
        for (host, _) in &found.expects {
            assert!(host.bytes().all(|byte| byte.is_ascii_graphic()), "{name}: {host:?} cannot be shown");
        }
    }
}

/// A file of purposes; its mistakes are told to a person, and what is right judges an act.
pub fn purpose(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let read = match spoor::purpose::read(&[("fuzz", text)]) {
        Ok(read) => read,
        Err(mistakes) => {
            assert!(!mistakes.to_string().is_empty(), "purposes were refused without a word");
            return;
        }
    };
    let heard = ["a.b.example.com".into()];
    let towards = Towards::Inet { ip: [10, 0, 0, 9].into(), port: 443, heard: &heard, said: None };
    let program = Program { exe: b"/usr/bin/restic", ..Program::default() };
    let act = Act { actor: "systemd:a.service", program, using: Using::Nothing, towards, wall_ns: i64::MIN };
    let judged = read.purposes.judge(&act);
    assert_eq!(judged.is_none(), read.purposes.is_empty(), "no verdict, or one without declarations");
}

/// Arguments, split at NULs as the kernel keeps them. Whatever they were, a terminal has nothing to obey.
pub fn argv(data: &[u8]) {
    let args: Vec<Vec<u8>> = data.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    let shown = redact::argv(&args);
    assert_eq!(shown.len(), args.len(), "an argument came or went");
    assert!(!shown.iter().any(|arg| arg.contains(char::is_control)), "control characters: {shown:?}");
}

/// An environment as the kernel shows it. Names leave, and nothing else.
pub fn environ(data: &[u8]) {
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::builtin);
    let handed = CATALOGUE.environment(data).credentials;
    assert!(handed.len() <= 16, "more than one process is told to have");
    let names = data.split(|byte| *byte == 0).filter_map(|entry| entry.split(|byte| *byte == b'=').next());
    let shown = |name: &[u8]| redact::printable(name.get(..128).unwrap_or(name));
    let names: Vec<String> = names.map(shown).collect();
    for credential in handed {
        let name = credential.variable().unwrap_or_default();
        assert!(names.iter().any(|known| known == name.trim_end_matches('…')), "{name:?} is no name");
        assert!(credential.id.ends_with(&format!(":env:{name}")) && credential.path.is_empty());
        assert!(credential.identifiers.len() == 1 && credential.fingerprints.is_empty());
    }
}

/// An answer of a name server, and the addresses it names. A name is one that can be shown.
pub fn dns(data: &[u8]) {
    let Ok(answers) = names::answers(data) else {
        return;
    };
    is_name(&answers.name);
    assert!(answers.addresses.len() <= 64, "more addresses than records are looked at");
    let mut names = Names::default();
    names.learn(&answers, 1);
    for address in &answers.addresses {
        assert_eq!(names.name_of(*address, 1), Some(answers.name.as_str()));
    }
}

/// The first bytes of a connection, and the server they ask for.
pub fn tls(data: &[u8]) {
    if let Ok(Some(name)) = names::server_name(data) {
        is_name(&name);
    }
}

fn is_name(name: &str) {
    assert!(!name.is_empty() && name.len() <= names::NAME_MAX, "{name:?} is too long, or nothing");
    assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?} cannot be shown");
}

/// A file of what a receiver has, and the note of a head.
pub fn evidence(data: &[u8]) {
    drop(Received::verify_bytes(data, &How { filtered: true, ..How::default() }));
    if let Ok(text) = std::str::from_utf8(data) {
        drop(SignedHead::parse(text));
        drop(PublicKey::parse(text));
    }
}

/// A capture; what it holds is replayed, with the checksum of each frame made right, for they would keep everything else out.
pub fn capture(data: &[u8]) {
    replay(data);
    replay(&with_sums(data));
}

/// A pack of the store, as it lies there, and once more deflated, for few bytes would inflate.
pub fn pack(data: &[u8]) {
    for found in [unpack(data, false), unpack(data, true)].into_iter().flatten() {
        assert!(found.windows(2).all(|pair| pair[0].seq < pair[1].seq), "numbers that do not grow");
        let bytes: usize = found.iter().map(|record| record.body.len()).sum();
        assert!(bytes <= 24 << 20, "{bytes} bytes in a pack");
    }
}

fn replay(data: &[u8]) {
    let redaction = Redaction { argv: redact::argv, printable: redact::printable };
    let Ok(mut replay) = Replay::open(data, redaction) else {
        return;
    };
    let mut shown = 0_usize;
    let outcome = replay.play::<CaptureError>(|records| {
        shown += records.len();
        Ok(())
    });
    match outcome {
        Ok(account) => assert_eq!(account.records, shown as u64, "a record came or went"),
        Err(error) => assert!(!error.to_string().is_empty(), "a capture was refused without a word"),
    }
}

/// The same frames, each with the checksum that it has to have.
fn with_sums(data: &[u8]) -> Vec<u8> {
    let mut out = data.to_vec();
    let mut at = 15;
    while let Some(length) = out.get(at..at + 4) {
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let Some(body) = out.get(at + 8..).and_then(|rest| rest.get(..length)) else { break };
        let sum = checksum(body).to_le_bytes();
        out[at + 4..at + 8].copy_from_slice(&sum);
        at += 8 + length;
    }
    out
}

//! What each fuzz target does with its bytes. It may refuse them; it may not panic, nor take long.

use spoor::credential::redact;
use spoor::kernel::{btf::Btf, offsets};
use spoor::names::{self, Names};

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

/// Arguments, split at NULs as the kernel keeps them. Whatever they were, a terminal has nothing to obey.
pub fn argv(data: &[u8]) {
    let args: Vec<Vec<u8>> = data.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    let shown = redact::argv(&args);
    assert_eq!(shown.len(), args.len(), "an argument came or went");
    assert!(!shown.iter().any(|arg| arg.contains(char::is_control)), "control characters: {shown:?}");
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

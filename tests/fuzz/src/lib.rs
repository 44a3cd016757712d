//! What each fuzz target does with its bytes. It may refuse them; it may not panic, nor take long.

use spoor::credential::redact;
use spoor::kernel::{btf::Btf, offsets};

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

//! Which file is a credential.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, ensure};

use super::{act_well, closed, of_chain, one, path};
use crate::Place;
use crate::agent::Agent;
use crate::records::{at, text};

/// A declared file is replaced by another just before it is read, and is still the credential; its neighbour is not.
pub(super) fn rename_over(place: &Place) -> Result<()> {
    let directory = place.directory("rename-over")?;
    let program = directory.join("reloader");
    place.program(&program)?;
    let (token, fresh) = (directory.join("token"), directory.join("token.new"));
    fs::write(&token, "old")?;
    let config = format!("[credentials]\npaths = [{token:?}]\n");
    let mut agent = Agent::start(place, "rename-over", &config)?;
    fs::write(&fresh, "new")?;
    fs::rename(&fresh, &token)?;
    fs::write(&fresh, "no credential")?;
    let program = program.display().to_string();
    act_well(
        place,
        &[
            "become",
            &program,
            "[",
            "read",
            &path(&directory, "token.new"),
            "read",
            &path(&directory, "token"),
            "]",
        ],
    )?;
    let chain = closed(&mut agent.records, "/reloader")?;
    let of = of_chain(&agent.records, text(&chain, "chain"));
    let open = one(&of, "secret.open", |_| true)?;
    ensure!(text(open, "file.path") == path(&directory, "token"), "opened: {open}");
    drop(agent.stop()?);
    Ok(())
}

/// A kind of one's own: what its entry says of it stands in the record, and what its file says. Beside it lies a certificate
/// without a key, which is no credential.
pub(super) fn own_kind(place: &Place) -> Result<()> {
    let directory = place.directory("own-kind")?;
    let program = directory.join("terminator");
    place.program(&program)?;
    let keys = directory.join("keys");
    fs::create_dir(&keys)?;
    let (key, certificate) = (keys.join("server.pem"), keys.join("chain.pem"));
    fs::write(&key, include_str!("../../../agent/tests/keys/combined.pem"))?;
    fs::write(&certificate, include_str!("../../../agent/tests/keys/ec-cert.pem"))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let to = listener.local_addr()?.to_string();
    let catalogue = directory.join("catalogue.toml");
    let entry = format!(
        "version = 1\n[[credential]]\nid = \"our-key\"\nparser = \"pem\"\nissuer = \"our-ca\"\nlifetime = \"rotated\"\n\
         max_age = \"1d\"\nhuman = \"finding\"\ndestinations = [\"{to}\"]\nglobs = [\"{}/*.pem\"]\n",
        keys.display()
    );
    fs::write(&catalogue, entry)?;
    let mut agent = Agent::start(place, "own-kind", &format!("[credentials]\ncatalogue = {catalogue:?}\n"))?;
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let program = program.display().to_string();
    act_well(place, &["become", &program, "[", "read", &certificate, "read", &key, "connect", &to, "]"])?;
    let chain = closed(&mut agent.records, "/terminator")?;
    let of = of_chain(&agent.records, text(&chain, "chain"));
    let open = one(&of, "secret.open", |_| true)?;
    ensure!(text(open, "file.path") == key, "opened: {open}");
    let credential = &at(open, "credential")[0];
    for (name, value) in [
        ("id", "our-key:spiffe://example/ns/prod/sa/backup"),
        ("issuer", "our-ca"),
        ("lifetime", "rotated"),
        ("human_use", "finding"),
        ("expires", "2036-11-22T17:42:05.000000000Z"),
    ] {
        ensure!(text(credential, name) == value, "{name}: {credential}");
    }
    ensure!(at(credential, "destinations")[0].as_str() == Some(&to), "destinations: {credential}");
    let connect = one(&of, "connect", |_| true)?;
    let facts = at(connect, "link.facts").to_string();
    ensure!(facts.contains("destination-expected") && !facts.contains("destination-named"), "facts: {facts}");
    drop(agent.stop()?);
    Ok(())
}

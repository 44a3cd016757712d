//! Which file is a credential.

use std::fs;

use anyhow::{Result, ensure};

use super::{act_well, closed, of_chain, one, path};
use crate::Place;
use crate::agent::Agent;
use crate::records::text;

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

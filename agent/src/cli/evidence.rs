//! `spoor verify` and `spoor keys`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};

use super::{Place, directory, print};
use crate::app::{self, Failure};
use crate::evidence::{self, How, PublicKey, Received, Signer};
use crate::record::now_ns;
use crate::report;
use crate::store;

/// How long `spoor keys rotate` waits for a running agent.
const TURN_LONGEST: Duration = Duration::from_secs(90);

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    place: Place,
    /// What a receiver has: native records, one a line, also inside of what it put around them; `-` is standard input.
    /// Without --store or --config, nothing of this host is looked at
    #[arg(long, value_name = "FILE")]
    received: Vec<PathBuf>,
    /// The receiver's sink has a filter: that records are missing there proves nothing
    #[arg(long, requires = "received")]
    filtered: bool,
    /// Believe heads of this key only, and of those that it vouches for: as `spoor keys show` prints it
    /// [default: the key of the first head]
    #[arg(long, value_name = "KEY", value_parser = key)]
    key: Vec<PublicKey>,
}

fn key(text: &str) -> Result<PublicKey, String> {
    PublicKey::parse(text).map_err(|error| error.to_string())
}

#[derive(Debug, Subcommand)]
pub(super) enum KeysVerb {
    /// Print the key by which heads are checked; keep it somewhere else than on this host
    Show {
        #[command(flatten)]
        place: Place,
    },
    /// Make the key where there is none, as an installer would
    Make {
        #[command(flatten)]
        place: Place,
    },
    /// Change the key: the old one signs for the new one, and is gone
    Rotate {
        #[command(flatten)]
        place: Place,
    },
}

impl VerifyArgs {
    pub(super) fn run(&self) -> Result<u8, Failure> {
        let how = How { keys: self.key.clone(), filtered: self.filtered };
        let received = match self.received.as_slice() {
            [] => None,
            paths => Some(Received::verify(paths, &how)?),
        };
        let named = self.place.store.is_some() || self.place.config.is_some();
        let mut text = String::new();
        if received.is_none() || named {
            let directory = directory(&self.place)?;
            let verified = store::verify(&directory, &self.key)?;
            text.push_str(&report::verified(&directory, &verified, now_ns()));
            if let Some(received) = &received {
                text.push_str(&report::agreed(&store::agree(&directory, &verified, received)?));
            }
        }
        if let Some(received) = &received {
            text.push_str(&report::received(received, now_ns()));
        }
        print(&text);
        Ok(0)
    }
}

impl KeysVerb {
    pub(super) fn run(&self) -> Result<u8, Failure> {
        match self {
            KeysVerb::Show { place } => {
                let directory = directory(place)?;
                print(&format!("{}\n", Signer::open(&directory, &app::host_id()?)?.public()));
            }
            KeysVerb::Make { place } => {
                let directory = place.store()?;
                store::make_directory(&directory)?;
                print(&format!("{}\n", Signer::open(&directory, &app::host_id()?)?.public()));
            }
            KeysVerb::Rotate { place } => rotate(&directory(place)?)?,
        }
        Ok(0)
    }
}

fn rotate(directory: &Path) -> Result<(), Failure> {
    let host = app::host_id()?;
    let before = Signer::open(directory, &host)?.public();
    evidence::make_next(directory)?;
    if !store::is_open(directory)? {
        print("the agent is not running; it changes the key when it starts\n");
        return Ok(());
    }
    let deadline = Instant::now() + TURN_LONGEST;
    while evidence::is_waiting(directory) {
        if Instant::now() > deadline {
            print("the agent has not changed the key yet; its log says why\n");
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let now = Signer::open(directory, &host)?.public();
    print(&format!("{before}\nsigned for\n{now}\n"));
    Ok(())
}

//! Who tries probes beside a running agent, as the doctor does, is in no record of that: it asks over the status socket to be
//! left out, and is for as long as it holds the connection. Its canary is a child of its own, and left out with it.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::handover::{peer, spare};
use crate::pipeline::worker::Spare;
use crate::status::socket;

/// Longest time that somebody is left out.
const LONGEST: Duration = Duration::from_mins(3);
/// Most that are left out at a time.
const MOST: usize = 4;
/// The word that it is so.
const DONE: &[u8] = b"{\"v\":1}\n";

/// Asks the agent whose state directory that is to leave this process out, which it does until this is dropped. `None`:
/// nobody runs there, or it cannot be asked.
pub(super) fn ask(store: &Path) -> Option<StdStream> {
    let asked = socket::dial(store).and_then(|mut stream| {
        stream.write_all(format!("{}\n", socket::SPARE).as_bytes())?;
        let mut line = Vec::new();
        BufReader::new(&stream).take(4096).read_until(b'\n', &mut line)?;
        if line == DONE { Ok(stream) } else { Err(io::Error::other("it does not know how")) }
    });
    asked
        .inspect_err(|error| {
            if !socket::nobody(error) {
                tracing::warn!("what is tried here may be in the records of the running agent: {error}");
            }
        })
        .ok()
}

/// Leaves out who asked, until it hangs up.
pub(super) fn attend(attending: &mut JoinSet<()>, stream: UnixStream, spares: &mpsc::Sender<Spare>) {
    while attending.try_join_next().is_some() {}
    if attending.len() >= MOST {
        return;
    }
    let spares = spares.clone();
    attending.spawn(async move {
        if let Err(error) = leave_out(stream, &spares).await {
            tracing::warn!("who asked to be left out is not: {error}");
        }
    });
}

async fn leave_out(mut stream: UnixStream, spares: &mpsc::Sender<Spare>) -> io::Result<()> {
    let process = peer(&stream)?;
    spare(spares, process, false).await?;
    // Whoever may ask is root; that it was asked stays written all the same.
    tracing::warn!("process {} tries probes of its own, and is in no record until it is done", process.tgid);
    let held = async {
        stream.write_all(DONE).await?;
        stream.read(&mut [0]).await
    };
    let held = timeout(LONGEST, held).await;
    spare(spares, process, true).await?;
    match held {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::Error::other("it took too long, and is in the records again")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::status;
    use crate::telemetry::Ledger;

    #[tokio::test]
    async fn who_asks_is_left_out_until_it_hangs_up() {
        let dir = tempfile::tempdir().unwrap();
        let (spares, asked) = mpsc::channel::<Spare>();
        let (seen, mut marks) = tokio::sync::mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for Spare { process, again, done } in asked {
                seen.send((process.tgid, again)).unwrap();
                let _ = done.send(());
            }
        });
        let relief = super::super::handover::Relief::attend(spares, None);
        let door = socket::Door::open(dir.path()).unwrap();
        let ask: status::Ask = Arc::new(|| Arc::new(status::Status::default()));
        let serving = tokio::spawn(door.serve(ask, relief.asked.clone(), Arc::new(Ledger::default())));
        let store = dir.path().to_owned();
        let held = tokio::task::spawn_blocking(move || super::ask(&store)).await.unwrap().unwrap();
        let patience = Duration::from_secs(30);
        assert_eq!(timeout(patience, marks.recv()).await.unwrap(), Some((std::process::id(), false)));
        assert!(marks.try_recv().is_err(), "for as long as the connection lasts");
        drop(held);
        assert_eq!(timeout(patience, marks.recv()).await.unwrap(), Some((std::process::id(), true)));
        serving.abort();
    }

    #[test]
    fn where_nobody_runs_nobody_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        assert!(ask(dir.path()).is_none());
    }
}

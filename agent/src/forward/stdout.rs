//! Lines to standard output.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::sync::Arc;

use super::deliver::{Deliver, DeliverError, Failure, Fate, Outcome};
use super::encodings::Item;
use super::file::lines;

/// Writes to standard output, or in tests to something like it.
pub(super) struct StreamTarget {
    stream: Box<dyn Write + Send>,
    /// How much of the first line of the next batch the stream has taken already.
    ahead: usize,
}

impl StreamTarget {
    /// The descriptor itself: a buffer in between would say "taken" of what nobody has.
    pub(super) fn stdout() -> io::Result<Self> {
        let stdout = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Self::new(Box::new(File::from(stdout))))
    }

    pub(super) fn new(stream: Box<dyn Write + Send>) -> Self {
        Self { stream, ahead: 0 }
    }
}

impl Deliver for StreamTarget {
    /// Writes a batch: all of it, or as far as it went. A stream takes nothing back, so that it goes on within the line.
    fn deliver(&mut self, batch: &[Arc<Item>]) -> Outcome {
        let bytes = lines(batch);
        let mut at = self.ahead;
        let error = loop {
            let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) else {
                break self.stream.flush().err();
            };
            match self.stream.write(rest) {
                Ok(0) => break Some(io::ErrorKind::WriteZero.into()),
                Ok(count) => at += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Some(error),
            }
        };
        let mut whole = 0;
        for item in batch {
            let length = item.bytes.len() + 1;
            if at < length {
                break;
            }
            at -= length;
            whole += 1;
        }
        self.ahead = at;
        match error {
            None => Outcome::taken(batch.len()),
            Some(error) => {
                let closed = error.kind() == io::ErrorKind::BrokenPipe;
                let why = DeliverError::io("cannot write to standard output")(error);
                Outcome {
                    fates: vec![Fate::Taken; whole],
                    failure: Some(Failure { why, after: None, closed }),
                }
            }
        }
    }
}

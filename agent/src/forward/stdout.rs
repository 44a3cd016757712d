//! Lines to standard output.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;

use super::sink::{Taken, lines};
use crate::store::Stored;

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

    /// Writes a batch: all of it, or as far as it went. A stream takes nothing back, so that it goes on within the line.
    pub(super) fn write(&mut self, records: &[Stored]) -> Taken {
        let bytes = lines(records);
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
        for record in records {
            let length = record.body.len() + 1;
            if at < length {
                break;
            }
            at -= length;
            whole += 1;
        }
        self.ahead = at;
        match error {
            None => Taken::all(records),
            Some(error) => Taken::failed(whole, error),
        }
    }
}

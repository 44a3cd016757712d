//! The file: a line that says what it is, then frames, each with its length and checksum.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use super::asked::Answered;
use super::code::{Broken, Bytes, Coded, variants};
use super::{Asked, FORMAT, FORMAT_READ, Header, Input, Told};
use crate::event::What;

/// First bytes of every capture; the byte behind them is the format.
const MAGIC: &[u8; 14] = b"spoor capture\n";
/// Longest frame, in bytes. Purposes are the longest there are.
const FRAME_MAX: usize = 8 << 20;
/// Length and checksum before each frame.
const FRAME_HEAD: usize = 8;

/// The checksum of a frame.
#[must_use]
pub fn checksum(body: &[u8]) -> u32 {
    crc32c::crc32c(body)
}

/// How a capture ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The agent stopped.
    Stopped,
    /// The file would have become longer than it may be. The agent went on.
    Full,
}

variants! { End { 1 => Stopped, 2 => Full } }

/// Why no capture can be begun.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// A file is there already: nothing is overwritten.
    #[error("{} is there already; name a file that is not", .0.display())]
    There(PathBuf),
    /// The system refused it.
    #[error("cannot write {}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// Not even the header has room.
    #[error("a capture needs more than {0} bytes")]
    NoRoom(u64),
}

/// A capture that is being written.
#[derive(Debug)]
pub struct Tape {
    out: BufWriter<File>,
    path: PathBuf,
    asked: Asked,
    written: u64,
    max: u64,
    /// Nothing more is written.
    over: bool,
    /// Is told when that is so.
    ended: Option<Sender<()>>,
}

impl Tape {
    /// Makes the file, which is its owner's only. What stages ask is noted by `asked`; `ended` is told when the capture ends before
    /// the agent does.
    ///
    /// # Errors
    /// [`TapeError`]
    pub fn create(
        path: &Path,
        max: u64,
        header: &Header,
        asked: Asked,
        ended: Option<Sender<()>>,
    ) -> Result<Self, TapeError> {
        let failed = |error: io::Error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                TapeError::There(path.to_owned())
            } else {
                TapeError::Io { path: path.to_owned(), error }
            }
        };
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        let mut out = BufWriter::new(file);
        let mut body = vec![0];
        header.put(&mut body);
        let start = u64::try_from(MAGIC.len() + 1).unwrap_or(u64::MAX);
        out.write_all(MAGIC).and_then(|()| out.write_all(&[FORMAT])).map_err(failed)?;
        let mut tape = Tape { out, path: path.to_owned(), asked, written: start, max, over: false, ended };
        if !tape.fits(body.len()) {
            return Err(TapeError::NoRoom(max));
        }
        tape.frame(&body).and_then(|()| tape.out.flush()).map_err(failed)?;
        Ok(tape)
    }

    /// The input is about to be digested.
    pub fn begin(&self) {
        self.asked.begin();
    }

    /// It was. A file that cannot be written is no reason to stop watching.
    pub fn put(&mut self, input: &Input<'_>) {
        let answers = self.asked.end();
        if self.over {
            return;
        }
        let mut body = vec![1];
        answers.put(&mut body);
        input.put(&mut body);
        if body.len() > FRAME_MAX || !self.fits(body.len()) {
            tracing::warn!("the capture {} is full: it ends here", self.path.display());
            return self.end(End::Full);
        }
        let ticks = matches!(input, Input::Event { event, .. } if event.what == What::Tick);
        let flush = |tape: &mut Self| if ticks { tape.out.flush() } else { Ok(()) };
        if let Err(error) = self.frame(&body).and_then(|()| flush(self)) {
            tracing::error!("the capture {} cannot be written, and ends here: {error}", self.path.display());
            self.stop();
        }
    }

    /// Nothing follows.
    pub fn end(&mut self, end: End) {
        if self.over {
            return;
        }
        let mut body = vec![2];
        end.put(&mut body);
        if let Err(error) = self.frame(&body).and_then(|()| self.out.flush()) {
            tracing::error!("the capture {} has no end: {error}", self.path.display());
        }
        self.stop();
    }

    fn stop(&mut self) {
        self.over = true;
        if let Some(ended) = self.ended.take() {
            // Whoever started it may not wait any more.
            let _ = ended.send(());
        }
    }

    /// Whether a frame has room, with one for the end behind it.
    fn fits(&self, body: usize) -> bool {
        let more = u64::try_from(body + 2 * FRAME_HEAD + 2).unwrap_or(u64::MAX);
        self.written.saturating_add(more) <= self.max
    }

    fn frame(&mut self, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&checksum(body).to_le_bytes())?;
        self.out.write_all(body)?;
        self.written += u64::from(length) + u64::try_from(FRAME_HEAD).unwrap_or(0);
        Ok(())
    }
}

/// Why a capture cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The system refused it.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Something else.
    #[error("it is no capture of spoor's")]
    Foreign,
    /// Of another version.
    #[error(
        "it has format {found}, and this spoor reads {FORMAT_READ} to {FORMAT}; take the one that made it"
    )]
    Format {
        /// Its version.
        found: u8,
    },
    /// Nothing follows the first line.
    #[error("it ends before its header does")]
    Headless,
    /// Not what was written.
    #[error("frame {frame} at byte {at} is not what was written: its checksum differs")]
    Checksum {
        /// Which, the header being 0.
        frame: u64,
        /// Where it begins.
        at: u64,
    },
    /// Longer than any that is written.
    #[error("frame {frame} at byte {at} claims {length} bytes, and none has more than {FRAME_MAX}")]
    Long {
        /// Which, the header being 0.
        frame: u64,
        /// Where it begins.
        at: u64,
        /// What it claims.
        length: u32,
    },
    /// Its checksum is right, and it makes no sense.
    #[error("frame {frame} at byte {at} makes no sense: {broken}")]
    Frame {
        /// Which, the header being 0.
        frame: u64,
        /// Where it begins.
        at: u64,
        /// What is wrong.
        broken: Broken,
    },
    /// More answers than an agent keeps.
    #[error("frame {frame} at byte {at} has more answers than an agent keeps")]
    Answers {
        /// Which, the header being 0.
        frame: u64,
        /// Where it begins.
        at: u64,
    },
}

/// What is behind the last input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// The end, as it was written.
    End(End),
    /// Nothing, or so many bytes of a frame that has no end: the agent was killed, or the file was cut.
    Cut(u64),
}

/// What is read next.
enum Next {
    Frame(Vec<u8>),
    Tail(Tail),
}

/// A capture that is being read.
#[derive(Debug)]
pub struct Frames<R> {
    from: R,
    told: Told,
    frame: u64,
    at: u64,
    tail: Option<Tail>,
}

impl<R: Read> Frames<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`CaptureError`]
    pub fn open(mut from: R) -> Result<(Header, Self), CaptureError> {
        let mut first = Vec::new();
        let length = u64::try_from(MAGIC.len() + 1).unwrap_or(u64::MAX);
        from.by_ref().take(length).read_to_end(&mut first)?;
        let format = first.strip_prefix(MAGIC).ok_or(CaptureError::Foreign)?;
        match format {
            [FORMAT_READ..=FORMAT] => {}
            [found] => return Err(CaptureError::Format { found: *found }),
            _ => return Err(CaptureError::Headless),
        }
        let mut frames = Frames { from, told: Told::default(), frame: 0, at: length, tail: None };
        let (at, Next::Frame(body)) = (frames.at, frames.next_frame()?) else {
            return Err(CaptureError::Headless);
        };
        let header = match body.split_first() {
            Some((0, rest)) => Header::of(rest),
            _ => Err(Broken::Number(body.first().copied().unwrap_or(0).into())),
        };
        let header = header.map_err(|broken| CaptureError::Frame { frame: 0, at, broken })?;
        Ok((header, frames))
    }

    /// What was told up to here: the host of the replay.
    #[must_use]
    pub fn told(&self) -> Told {
        self.told.clone()
    }

    /// What is behind the last input, once that is read.
    #[must_use]
    pub fn tail(&self) -> Option<Tail> {
        self.tail
    }

    /// The next input; `None` behind the last.
    ///
    /// # Errors
    /// [`CaptureError`]; nothing can be read behind it.
    pub fn next_input(&mut self) -> Result<Option<Input<'static>>, CaptureError> {
        if self.tail.is_some() {
            return Ok(None);
        }
        let (frame, at) = (self.frame, self.at);
        let body = match self.next_frame()? {
            Next::Frame(body) => body,
            Next::Tail(tail) => {
                self.tail = Some(tail);
                return Ok(None);
            }
        };
        let broken = |broken| CaptureError::Frame { frame, at, broken };
        match body.split_first() {
            Some((1, rest)) => {
                let mut from = Bytes(rest);
                let (forgot, answers) = <(bool, Vec<Answered>)>::take(&mut from).map_err(broken)?;
                let input = Input::of(from.0).map_err(broken)?;
                if !self.told.learn(forgot, answers) {
                    return Err(CaptureError::Answers { frame, at });
                }
                Ok(Some(input))
            }
            Some((2, rest)) => {
                self.tail = Some(Tail::End(End::of(rest).map_err(broken)?));
                // Whatever is behind the end was not written by us.
                match self.from.by_ref().take(1).read(&mut [0])? {
                    0 => Ok(None),
                    _ => Err(broken(Broken::Rest(1))),
                }
            }
            other => Err(broken(Broken::Number(other.map_or(0, |(tag, _)| u64::from(*tag))))),
        }
    }

    fn next_frame(&mut self) -> Result<Next, CaptureError> {
        let mut head = Vec::new();
        let wanted = u64::try_from(FRAME_HEAD).unwrap_or(u64::MAX);
        self.from.by_ref().take(wanted).read_to_end(&mut head)?;
        let &[a, b, c, d, e, f, g, h] = head.as_slice() else {
            return Ok(Next::Tail(Tail::Cut(u64::try_from(head.len()).unwrap_or(u64::MAX))));
        };
        let (length, sum) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let (frame, at) = (self.frame, self.at);
        if usize::try_from(length).is_ok_and(|length| length > FRAME_MAX) {
            return Err(CaptureError::Long { frame, at, length });
        }
        // Grows with what is there, not with what is claimed.
        let mut body = Vec::new();
        self.from.by_ref().take(length.into()).read_to_end(&mut body)?;
        let read = u64::try_from(body.len()).unwrap_or(u64::MAX);
        if read < length.into() {
            return Ok(Next::Tail(Tail::Cut(wanted + read)));
        }
        if checksum(&body) != sum {
            return Err(CaptureError::Checksum { frame, at });
        }
        self.frame += 1;
        self.at += wanted + read;
        Ok(Next::Frame(body))
    }
}

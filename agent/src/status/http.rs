//! HTTP on loopback or on a unix socket, as much of it as a page needs: `GET` and `HEAD`, one question a connection, no body is
//! read. What is answered is not known here: the agent answers with its status ([`Door::serve`]), `spoor serve` with pages.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::time::timeout;

use super::{Ask, PATIENCE, answers, door};
use crate::config::Listen;
use crate::telemetry::Ledger;

/// Longest head of a question.
const HEAD_MAX: usize = 8 << 10;
/// Most header lines of one.
const HEADERS_MAX: usize = 64;

/// Where questions come in.
#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// The door, open for as long as this lives.
#[derive(Debug)]
pub struct Door(Listener);

impl Drop for Door {
    fn drop(&mut self) {
        if let Listener::Unix(_, path) = &self.0 {
            // Gone already is what is wanted.
            drop(std::fs::remove_file(path));
        }
    }
}

impl Door {
    /// Opens it. Inside a runtime only.
    ///
    /// # Errors
    /// What the system refused; an address that somebody else has.
    pub fn open(at: &Listen) -> io::Result<Self> {
        Self::open_as(at, 0o660)
    }

    /// The same; of a socket, with the mode of its file.
    ///
    /// # Errors
    /// As [`Door::open`].
    pub fn open_as(at: &Listen, mode: u32) -> io::Result<Self> {
        Ok(Door(match at {
            Listen::Tcp(address) => Listener::Tcp(tcp(*address)?),
            Listen::Unix(path) => Listener::Unix(unix(path, mode)?, path.clone()),
        }))
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.0 {
            Listener::Tcp(listener) => {
                listener.local_addr().map_or_else(|_| String::new(), |at| at.to_string())
            }
            Listener::Unix(_, path) => path.display().to_string(),
        }
    }

    /// Answers with the agent's status until it is dropped.
    pub async fn serve(self, ask: Ask, ledger: Arc<Ledger>) {
        let answer = move |question: Question| answers::answer(question, Arc::clone(&ask));
        self.attend(answer, PATIENCE, ledger).await;
    }

    /// Answers until it is dropped; who has not got all of it within `patience` is cut off.
    pub async fn attend<F, A>(self, answer: F, patience: Duration, ledger: Arc<Ledger>)
    where
        F: Fn(Question) -> A + Clone + Send + 'static,
        A: Future<Output = io::Result<Said>> + Send + 'static,
    {
        match &self.0 {
            Listener::Tcp(listener) => {
                door::attend(listener, |stream| exchange(stream, answer.clone()), patience, ledger).await;
            }
            Listener::Unix(listener, _) => {
                door::attend(listener, |stream| exchange(stream, answer.clone()), patience, ledger).await;
            }
        }
    }
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// A socket that a killed agent left is taken over; one that somebody answers at is not.
fn unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    match std::fs::symlink_metadata(path) {
        Ok(left) if left.file_type().is_socket() => match std::os::unix::net::UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
            _ => return Err(io::ErrorKind::AddrInUse.into()),
        },
        Ok(_) => return Err(io::Error::other("something is there that is no socket")),
        Err(_) => {}
    }
    door::unix(path, mode)
}

/// What is asked: the head of a question, as far as somebody answers by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// With what stands behind `?`.
    pub path: String,
    /// Which host it believes to ask.
    pub host: Option<String>,
    /// Who it says it is.
    pub authorization: Option<String>,
}

/// What is said, before it has a head.
#[derive(Clone, Debug)]
pub struct Said {
    /// As in `200 OK`.
    pub code: &'static str,
    /// Of what type the body is.
    pub kind: &'static str,
    /// More lines of the head.
    pub head: &'static [(&'static str, &'static str)],
    /// All of it.
    pub body: String,
}

impl Said {
    /// A text.
    #[must_use]
    pub fn plain(code: &'static str, body: impl Into<String>) -> Self {
        Said { code, kind: "text/plain; charset=utf-8", head: &[], body: body.into() }
    }

    /// Its bytes.
    fn text(&self, with_body: bool) -> String {
        let mut text = format!(
            "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nX-Content-Type-Options: nosniff\r\n\
             Cache-Control: no-store\r\nConnection: close\r\n",
            self.code,
            self.kind,
            self.body.len()
        );
        for (name, value) in self.head {
            // Writing to a String does not fail.
            let _ = write!(text, "{name}: {value}\r\n");
        }
        text.push_str("\r\n");
        if with_body {
            text.push_str(&self.body);
        }
        text
    }
}

/// What was read of an asker.
enum Read {
    /// A question; with everything but the body wanted (`HEAD`), or all.
    Question(Question, bool),
    /// None, and why.
    Refused(Said),
}

async fn exchange<S, F, A>(mut stream: S, answer: F) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Fn(Question) -> A,
    A: Future<Output = io::Result<Said>>,
{
    // Whoever takes long to ask is not waited for as long as an answer may take.
    let read = timeout(PATIENCE, question(&mut stream)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    let (said, with_body, refused) = match read {
        Read::Question(question, head) => (answer(question).await?, !head, false),
        Read::Refused(said) => (said, true, true),
    };
    stream.write_all(said.text(with_body).as_bytes()).await?;
    stream.shutdown().await?;
    if refused { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(()) }
}

/// Reads the head of a question.
async fn question<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Read> {
    let mut text = Vec::new();
    loop {
        let mut part = [0; 1_024];
        let read = stream.read(&mut part).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        text.extend_from_slice(part.get(..read).unwrap_or_default());
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&text) {
            Ok(httparse::Status::Complete(_)) => return Ok(understood(&request)),
            Ok(httparse::Status::Partial) if text.len() <= HEAD_MAX => {}
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                let code = "431 Request Header Fields Too Large";
                return Ok(Read::Refused(Said::plain(code, "the head of the question is too long\n")));
            }
            Err(_) => return Ok(Read::Refused(Said::plain("400 Bad Request", "that is no HTTP\n"))),
        }
    }
}

fn understood(request: &httparse::Request<'_, '_>) -> Read {
    let head = request.method == Some("HEAD");
    if !head && request.method != Some("GET") {
        let said = Said::plain("405 Method Not Allowed", "GET or HEAD: nothing can be changed here\n");
        return Read::Refused(Said { head: &[("Allow", "GET, HEAD")], ..said });
    }
    // Of two lines of one name nobody knows which one is meant.
    let line = |name: &str| {
        let mut lines = request.headers.iter().filter(|line| line.name.eq_ignore_ascii_case(name));
        let line = lines.next().filter(|_| lines.next().is_none())?;
        std::str::from_utf8(line.value).ok().map(str::to_owned)
    };
    let path = request.path.unwrap_or_default().to_owned();
    let (host, authorization) = (line("host"), line("authorization"));
    Read::Question(Question { path, host, authorization }, head)
}

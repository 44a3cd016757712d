//! `spoor serve`: the pages of a store, read-only, over a unix socket or over loopback with a token.
//!
//! Who asks over the socket is who its file lets in: nobody but its owner and root. On loopback everybody of this host could
//! ask, so a token is asked for. In both, a question has to believe that it asks this host by a name of loopback: a page of
//! the web whose name was turned to our address is not answered.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::Failure;
use crate::config::Listen;
use crate::record::now_ns;
use crate::report::{self, Asked, Day, Format, Place, ReportError, Style};
use crate::status::http::{Door, Question, Said};
use crate::store::Reader;
use crate::telemetry::Ledger;
use crate::{hex, keyfile};

/// Name of the socket in the store's directory.
pub const FILE: &str = "view.sock";
/// Longest time for a page and its way to who asked.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most pages in the making.
const PAGES_MAX: usize = 2;
/// Least letters of a token that somebody chose.
const TOKEN_MIN: usize = 16;
/// Longest value of a question.
const VALUE_MAX: usize = 1_024;

/// What goes with each answer. The policy is that of the pages, which have it in their heads, and what only a head can say.
const HEAD: &[(&str, &str)] = &[
    ("Content-Security-Policy", POLICY),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
];
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// The same, where it is asked who somebody is.
const WHO: &[(&str, &str)] =
    &[("WWW-Authenticate", "Basic realm=\"spoor: any user, the token as password\", charset=\"UTF-8\"")];

/// What is served, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of the store.
    pub store: PathBuf,
    /// Where questions come in.
    pub listen: Listen,
    /// Where the token is read; on loopback there is one anyway.
    pub token_file: Option<PathBuf>,
}

/// Serves until a signal says otherwise. `say` is told where, before anybody is answered.
///
/// # Errors
/// [`Failure`] where it could not begin.
pub fn run(options: &Options, say: impl Fn(&str)) -> Result<(), Failure> {
    let token = token(options)?;
    // A store that cannot be read is told now, and not to who asks.
    Reader::open(&options.store)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::system("start the runtime"))?;
    let refused = runtime.block_on(async {
        let door = Door::open_as(&options.listen, 0o600)
            .map_err(Failure::system(format!("listen on {}", options.listen)))?;
        say(&where_it_is(&door, options, token.as_ref()));
        let pages = Pages::new(options.store.clone(), token.as_ref().map(|token| token.hash));
        let ledger = Arc::new(Ledger::default());
        let stop = |kind| signal(kind).map_err(Failure::system("wait for signals"));
        let (mut terminated, mut interrupted) =
            (stop(SignalKind::terminate())?, stop(SignalKind::interrupt())?);
        tokio::select! {
            () = pages.serve(door, Arc::clone(&ledger)) => {}
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
        Ok::<_, Failure>(ledger.askers_refused.get())
    })?;
    runtime.shutdown_timeout(Duration::from_millis(200));
    if refused > 0 {
        say(&format!("{refused} connections were cut off or turned away\n"));
    }
    Ok(())
}

/// What has to be said, and whether it was made just now.
struct Token {
    hash: blake3::Hash,
    made: Option<Zeroizing<String>>,
}

fn token(options: &Options) -> Result<Option<Token>, Failure> {
    if let Some(path) = &options.token_file {
        let text = keyfile::read(path)?;
        let text = text.trim_ascii();
        let usable = text.len() >= TOKEN_MIN && text.iter().all(u8::is_ascii_graphic);
        if !usable {
            return Err(Failure::Token(path.clone()));
        }
        return Ok(Some(Token { hash: blake3::hash(text), made: None }));
    }
    match options.listen {
        Listen::Unix(_) => Ok(None),
        Listen::Tcp(_) => {
            let random = keyfile::random::<16>(&options.store)?;
            let text = Zeroizing::new(hex::encode(random.as_ref()));
            Ok(Some(Token { hash: blake3::hash(text.as_bytes()), made: Some(text) }))
        }
    }
}

fn where_it_is(door: &Door, options: &Options, token: Option<&Token>) -> String {
    let at = door.address();
    let mut text = match options.listen {
        Listen::Tcp(_) => format!("http://{at}/\n"),
        Listen::Unix(_) => format!("{at}\n  curl --unix-socket {at} http://localhost/\n"),
    };
    match token.map(|token| &token.made) {
        Some(Some(token)) => {
            text.push_str(&format!(
                "  token (the password of whatever user; said once): {}\n",
                token.as_str()
            ));
        }
        Some(None) => text.push_str("  with the token of the file\n"),
        None => {}
    }
    text
}

/// What answers.
#[derive(Clone)]
pub(super) struct Pages {
    store: PathBuf,
    token: Option<blake3::Hash>,
    /// Pages in the making go on when their asker is gone, and hold their place until they are done.
    room: Arc<Semaphore>,
}

impl Pages {
    pub(super) fn new(store: PathBuf, token: Option<blake3::Hash>) -> Self {
        Pages { store, token, room: Arc::new(Semaphore::new(PAGES_MAX)) }
    }

    /// Answers until it is dropped.
    pub(super) async fn serve(self, door: Door, ledger: Arc<Ledger>) {
        let answer = move |question: Question| {
            let pages = self.clone();
            async move { pages.answer(question).await }
        };
        door.attend(answer, PATIENCE, ledger).await;
    }

    async fn answer(self, question: Question) -> io::Result<Said> {
        if !question.host.as_deref().is_some_and(is_ours) {
            let why = "ask this host by a name of loopback: localhost, 127.0.0.1 or [::1]\n";
            return Ok(said("403 Forbidden", why.to_owned()));
        }
        if !self.token.is_none_or(|token| is_known(question.authorization.as_deref(), token)) {
            let text = "the token is the password, of whatever user\n";
            return Ok(Said { head: WHO, ..Said::plain("401 Unauthorized", text) });
        }
        let place = Arc::clone(&self.room).acquire_owned().await.map_err(io::Error::other)?;
        let made = tokio::task::spawn_blocking(move || {
            let said = page(&self.store, &question.path);
            drop(place);
            said
        });
        made.await.map_err(io::Error::other)
    }
}

/// Whether a question believes to ask this host, by a name that nobody else can give to an address.
fn is_ours(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, "")) => name,
            Some((name, port)) if is_port(port.strip_prefix(':')) => name,
            _ => return false,
        },
        None => match host.split_once(':') {
            None => host,
            Some((name, port)) if is_port(Some(port)) => name,
            Some(_) => return false,
        },
    };
    ["localhost", "127.0.0.1", "::1"].iter().any(|ours| name.eq_ignore_ascii_case(ours))
}

fn is_port(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.parse::<u16>().is_ok())
}

/// Whether somebody says the token. What they say is hashed first: hashes are compared in constant time, whatever their lengths were.
fn is_known(authorization: Option<&str>, token: blake3::Hash) -> bool {
    let Some((scheme, rest)) = authorization.and_then(|line| line.trim().split_once(' ')) else {
        return false;
    };
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return blake3::hash(rest.as_bytes()) == token;
    }
    let decoded = STANDARD.decode(rest).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"));
    let password = decoded.as_deref().and_then(|said| {
        let colon = said.iter().position(|byte| *byte == b':')?;
        said.get(colon + 1..)
    });
    password.is_some_and(|password| blake3::hash(password) == token)
}

/// The page of a path.
fn page(store: &std::path::Path, path: &str) -> Said {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let made = || {
        let reader = Reader::open(store)?;
        match path.split('/').collect::<Vec<_>>().as_slice() {
            ["", ""] => report::index(&reader, &asked(query), now_ns()).map(Some),
            ["", "chain", id] => {
                let plain = Style { width: 0, colour: false };
                report::show(&reader, id, Format::Html(Place::Served), &plain).map(Some)
            }
            ["", "day", day] => {
                Day::read(day).map(|day| report::day(&reader, day, Place::Served)).transpose()
            }
            _ => Ok(None),
        }
    };
    match made() {
        Ok(Some(body)) => Said { kind: "text/html; charset=utf-8", ..said("200 OK", body) },
        Ok(None) => said("404 Not Found", "there are: /, /chain/ID, /day/2026-01-02\n".to_owned()),
        Err(error @ ReportError::Store(_)) => said("500 Internal Server Error", format!("{error}\n")),
        Err(
            error @ (ReportError::Unknown { .. }
            | ReportError::Ambiguous { .. }
            | ReportError::NoDay { .. }
            | ReportError::NoEntry { .. }),
        ) => said("404 Not Found", format!("{error}\n")),
    }
}

fn said(code: &'static str, body: String) -> Said {
    Said { head: HEAD, ..Said::plain(code, body) }
}

/// What the form of the first page asks for. What it does not know is passed over.
fn asked(query: &str) -> Asked {
    let mut asked = Asked::default();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = decoded(value);
        match name {
            "actor" => asked.actor = value,
            "credential" => asked.credential = value,
            "since" => asked.since = value,
            "outside" => asked.outside = !value.is_empty(),
            "findings" => asked.findings = !value.is_empty(),
            _ => {}
        }
    }
    asked
}

/// A value as forms write it.
fn decoded(value: &str) -> String {
    let value: String = value.chars().take(VALUE_MAX).collect::<String>().replace('+', " ");
    percent_encoding::percent_decode_str(&value).decode_utf8_lossy().trim().to_owned()
}

#[cfg(test)]
mod tests;

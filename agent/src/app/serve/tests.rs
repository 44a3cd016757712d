//! The served pages, asked over real sockets: by those who may, by those who may not, and by those who dawdle.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Instant;

use tempfile::TempDir;
use tokio::sync::oneshot;

use super::*;
use crate::record::testing::alarm;
use crate::store::{Retention, Store};

const LONG: Duration = Duration::from_secs(30);
const TOKEN: &str = "0123456789abcdef0123";
const BASIC: &str = "Authorization: Basic YW55Ym9keTowMTIzNDU2Nzg5YWJjZGVmMDEyMw==\r\n";

/// A store of a night on which somebody broke in.
fn store() -> TempDir {
    let dir = TempDir::new().unwrap();
    let retention = Retention { keep: Duration::from_hours(24), max_bytes: 1 << 30 };
    Store::open(dir.path(), retention).unwrap().append(&alarm(true)).unwrap();
    dir
}

/// Pages that are served by a thread of their own until this goes.
struct Served {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    ledger: Arc<Ledger>,
    at: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().map(std::thread::JoinHandle::join);
    }
}

fn serve(store: &Path, listen: Listen, token: Option<&str>) -> Served {
    let ledger = Arc::new(Ledger::default());
    let (stop, stopped) = oneshot::channel();
    let (ready, is_ready) = channel();
    let (store, counts) = (store.to_owned(), Arc::clone(&ledger));
    let token = token.map(|token| blake3::hash(token.as_bytes()));
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let door = Door::open_as(&listen, 0o600).unwrap();
            ready.send(door.address()).unwrap();
            tokio::select! {
                () = Pages::new(store, token).serve(door, counts) => {}
                _ = stopped => {}
            }
        });
    });
    Served { stop: Some(stop), thread: Some(thread), ledger, at: is_ready.recv().unwrap() }
}

fn any_port() -> Listen {
    Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// What is said to these bytes.
fn said(served: &Served, question: &[u8]) -> String {
    let mut stream = TcpStream::connect(&served.at).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    // Cut off in the middle of a long one is meant.
    let _ = stream.write_all(question);
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    String::from_utf8(said).unwrap()
}

/// What is said to a question with these lines in its head.
fn get(served: &Served, path: &str, lines: &str) -> String {
    said(served, format!("GET {path} HTTP/1.1\r\n{lines}\r\n").as_bytes())
}

fn code(said: &str) -> &str {
    said.strip_prefix("HTTP/1.1 ").unwrap_or(said).get(..3).unwrap_or_default()
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let of_store = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".sqlite"));
    of_store
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

#[test]
fn pages_are_served_and_nothing_is_written() {
    let dir = store();
    let before = files(dir.path());
    let reader = Reader::open(dir.path()).unwrap();
    let chain = reader.chains_between((i64::MIN, i64::MAX), 9).unwrap().remove(0);
    let served = serve(dir.path(), any_port(), Some(TOKEN));
    let lines = format!("Host: {}\r\n{BASIC}", served.at);
    let index = get(&served, "/", &lines);
    assert!(index.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"), "{index}");
    for line in [
        "frame-ancestors 'none'",
        "X-Frame-Options: DENY",
        "Referrer-Policy: no-referrer",
        "nosniff",
        "no-store",
    ] {
        assert!(index.split("\r\n\r\n").next().unwrap().contains(line), "{line}");
    }
    assert!(index.contains(&format!("href=\"/chain/{chain}\"")));
    let filtered = get(&served, "/?actor=systemd%3Aweb.service&findings=1&x&=&credential=%ff", &lines);
    assert!(
        filtered.contains("value=\"systemd:web.service\"") && filtered.contains(" checked"),
        "{filtered}"
    );
    let page = get(&served, &format!("/chain/{chain}"), &lines);
    assert!(page.contains("id=\"evidence\"") && page.contains("href=\"/day/2026-01-02\""));
    assert!(get(&served, "/day/2026-01-02", &lines).contains("<b>3</b> chains"));
    let long = format!("/chain/{}", "A".repeat(2_000));
    for path in [
        "/chain/ZZZ",
        "/chain/",
        "/day/2026-01-03",
        "/day/x",
        "/etc/passwd",
        "/../x",
        "*",
        "/chain/a/b",
        &long,
    ] {
        let said = get(&served, path, &lines);
        assert_eq!(code(&said), "404", "{path}: {said}");
        assert!(said.contains("Content-Type: text/plain"), "{said}");
    }
    let head = said_head(&served, &lines);
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    drop(served);
    assert_eq!(files(dir.path()), before);
}

fn said_head(served: &Served, lines: &str) -> String {
    said(served, format!("HEAD / HTTP/1.1\r\n{lines}\r\n").as_bytes())
}

#[test]
fn nothing_but_get_and_head_is_taken() {
    let dir = store();
    let served = serve(dir.path(), any_port(), Some(TOKEN));
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get"] {
        let question =
            format!("{method} / HTTP/1.1\r\nHost: localhost\r\n{BASIC}Content-Length: 2\r\n\r\n{{}}");
        let said = said(&served, question.as_bytes());
        assert_eq!(code(&said), "405", "{method}: {said}");
        assert!(said.contains("\r\nAllow: GET, HEAD\r\n"), "{said}");
    }
}

#[test]
fn who_does_not_say_the_token_gets_nothing() {
    let dir = store();
    let served = serve(dir.path(), any_port(), Some(TOKEN));
    let say = |line: &str| get(&served, "/", &format!("Host: localhost\r\n{line}"));
    let basic = |text: &str| format!("Authorization: Basic {}\r\n", STANDARD.encode(text));
    assert_eq!(code(&say(BASIC)), "200");
    assert_eq!(code(&say(&format!("authorization: bearer {TOKEN}\r\n"))), "200");
    assert_eq!(code(&say(&basic(&format!(":{TOKEN}")))), "200");
    let twice = format!("{BASIC}{BASIC}");
    let wrong = [
        String::new(),
        twice,
        "Authorization: Bearer\r\n".to_owned(),
        "Authorization: Bearer \r\n".to_owned(),
        format!("Authorization: Bearer {}\r\n", &TOKEN[1..]),
        format!("Authorization: Bearer {TOKEN}0\r\n"),
        format!("Authorization: Digest {TOKEN}\r\n"),
        format!("Authorization: {TOKEN}\r\n"),
        "Authorization: Basic ?\r\n".to_owned(),
        basic(TOKEN),
        basic(&format!("{TOKEN}:")),
        basic(&format!("a:{TOKEN}:")),
    ];
    for line in &wrong {
        let said = say(line);
        assert_eq!(code(&said), "401", "{line}");
        assert!(said.contains("\r\nWWW-Authenticate: Basic ") && !said.contains("systemd:"), "{said}");
    }
    let in_the_path = get(&served, &format!("/?token={TOKEN}"), "Host: localhost\r\n");
    assert_eq!(code(&in_the_path), "401", "addresses are kept by browsers");
}

/// A page of the web whose name was turned to our address asks by that name.
#[test]
fn by_a_foreign_name_nobody_is_answered() {
    let dir = store();
    let served = serve(dir.path(), any_port(), Some(TOKEN));
    let by = |host: &str| get(&served, "/", &format!("{host}{BASIC}"));
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1:65535", "[::1]", "[::1]:80"] {
        assert_eq!(code(&by(&format!("Host: {host}\r\n"))), "200", "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:80",
        "localhost.evil.example",
        "127.0.0.1.evil.example:80",
        "evil.localhost",
        "localhost:",
        "localhost:99999",
        "localhost:80:80",
        "[::1",
        "[::1]evil",
        "[::1]:x",
        "[::2]",
        "127.0.0.2",
        "0.0.0.0",
        "::1",
        "",
    ] {
        let said = by(&format!("Host: {host}\r\n"));
        assert_eq!(code(&said), "403", "{host}");
        assert!(!said.contains("systemd:"), "{said}");
    }
    assert_eq!(code(&by("")), "403", "none at all");
    assert_eq!(code(&by("Host: localhost\r\nHost: evil.example\r\n")), "403", "two");
}

#[test]
fn heads_are_bounded() {
    let dir = store();
    let served = serve(dir.path(), any_port(), None);
    let filled =
        |bytes: usize| get(&served, "/", &format!("Host: localhost\r\nX: {}\r\n", "x".repeat(bytes)));
    assert_eq!(code(&filled(7_000)), "200");
    assert_eq!(code(&filled(9_300)), "431");
    let many: String = (0..80).map(|number| format!("X{number}: 1\r\n")).collect();
    assert_eq!(code(&get(&served, "/", &format!("Host: localhost\r\n{many}"))), "431");
    assert_eq!(code(&said(&served, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")), "400");
    assert_eq!(code(&get(&served, "/", "Host: localhost\r\n")), "200", "still there");
}

/// Who asks slowly is cut off, and holds up nobody meanwhile.
#[test]
fn slow_askers_are_cut_off() {
    let dir = store();
    let served = serve(dir.path(), any_port(), None);
    let start = Instant::now();
    let mut slow = TcpStream::connect(&served.at).unwrap();
    slow.set_read_timeout(Some(LONG)).unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: loc").unwrap();
    assert_eq!(code(&get(&served, "/", "Host: localhost\r\n")), "200");
    let mut said = Vec::new();
    let _ = slow.read_to_end(&mut said);
    assert!(said.is_empty());
    let patience = crate::status::PATIENCE;
    assert!(start.elapsed() >= patience && start.elapsed() < patience * 3, "{:?}", start.elapsed());
    while served.ledger.askers_refused.get() == 0 {
        assert!(start.elapsed() < LONG, "never counted");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn the_socket_is_its_owners_from_the_first_moment() {
    let dir = store();
    let path = dir.path().join(FILE);
    let served = serve(dir.path(), Listen::Unix(path.clone()), None);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let ask = |host: &str| {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    };
    assert_eq!(code(&ask("localhost")), "200");
    assert_eq!(code(&ask("evil.example")), "403", "it may be forwarded to loopback elsewhere");
    drop(served);
    assert!(!path.exists());
}

#[test]
fn tokens_are_made_or_read_of_a_file_that_is_nobody_elses() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("token");
    let with = |text: &str, mode: u32| {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let options =
            Options { store: dir.path().to_owned(), listen: any_port(), token_file: Some(file.clone()) };
        token(&options).map(|token| token.map(|token| token.hash))
    };
    assert_eq!(with(&format!("{TOKEN}\n"), 0o600).unwrap(), Some(blake3::hash(TOKEN.as_bytes())));
    for (text, mode) in
        [(TOKEN, 0o640), (TOKEN, 0o604), ("short", 0o600), ("", 0o600), ("0123456789 0123456789", 0o600)]
    {
        assert_eq!(with(text, mode).unwrap_err().code(), 3, "{text} {mode:o}");
    }
    let alone = |listen| Options { store: dir.path().to_owned(), listen, token_file: None };
    assert!(token(&alone(Listen::Unix(file.clone()))).unwrap().is_none());
    let (one, other) =
        (token(&alone(any_port())).unwrap().unwrap(), token(&alone(any_port())).unwrap().unwrap());
    assert_ne!(one.hash, other.hash);
    assert_eq!(blake3::hash(one.made.as_ref().unwrap().as_bytes()), one.hash);
    assert_eq!(one.made.unwrap().len(), 32);
}

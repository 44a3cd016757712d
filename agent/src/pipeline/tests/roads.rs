//! Roads to a credential beside opening it, and what is done beside connecting by TCP.

use super::{AWS, BACKUP, MARK_HOLDS, PGPASS, Scenario};
use crate::event::{
    Deed, Endpoint, IdentityChange, Ids, MemoryWay, OpenedFile, SampleId, SendOutcome, Source, Transport,
};
use crate::pipeline::scenario::{REFUSED, file, text};

const TOKEN: &str = "/srv/token";

fn lines(story: &Scenario) -> Vec<String> {
    story.play().lines()
}

fn udp(to: &str, port: u16) -> Endpoint {
    Endpoint::Inet { ip: to.parse().unwrap(), port, transport: Transport::UDP }
}

#[test]
fn a_descriptor_that_is_handed_over_is_received_and_inherited() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.deed(job, Source::LsmReceive, Deed::Receive(file(TOKEN)));
    story.deed(job, Source::LsmRead, Deed::Read { file: file(TOKEN), mapped: false });
    let asked = story.connect(job, "10.0.0.1", 1);
    story.end(asked, Ok(()));
    let child = story.fork(job, 201);
    story.deed(child, Source::LsmMap, Deed::Read { file: file(TOKEN), mapped: true });
    assert_eq!(
        lines(&story)[1..],
        [
            "A 200 receive token:/srv/token",
            "A 200 read token:/srv/token < token of 1 received/0 only-credential",
            "A 200 connect 10.0.0.1:1 established < token of 1 received/0 first-connection,only-credential",
            "A 201 map token:/srv/token < token of 1 inherited/1 only-credential",
        ]
    );
}

#[test]
fn what_is_read_and_was_never_opened_was_held_before() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.deed(job, Source::LsmRead, Deed::Read { file: file(TOKEN), mapped: false });
    assert_eq!(lines(&story)[1], "A 200 read token:/srv/token < token of  held/0 only-credential");
}

#[test]
fn reading_is_linked_with_the_opening_of_that_file_alone() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.open(job, AWS);
    story.open(job, PGPASS);
    story.deed(job, Source::LsmRead, Deed::Read { file: file(AWS), mapped: false });
    let read = lines(&story).pop().unwrap();
    assert_eq!(read, format!("A 200 read aws:{AWS} < aws of 1 same-process/0 only-credential"));
}

#[test]
fn a_socket_that_stands_for_a_credential_is_one_unless_it_refuses() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.deed(job, Source::LsmUnix, Deed::Unix { file: file(TOKEN), refused: Some(13) });
    let refused = story.connect(job, "10.0.0.1", 1);
    story.end(refused, Ok(()));
    story.deed(job, Source::LsmUnix, Deed::Unix { file: file(TOKEN), refused: None });
    let asked = story.connect(job, "10.0.0.1", 1);
    story.end(asked, Ok(()));
    assert_eq!(
        lines(&story)[1..],
        [
            "A 200 socket token:/srv/token error",
            "A 200 connect 10.0.0.1:1 established",
            "A 200 socket token:/srv/token established",
            "A 200 connect 10.0.0.1:1 established < token of 3 same-process/0 first-connection,only-credential",
        ]
    );
}

#[test]
fn who_reads_a_holder_may_have_what_it_held() {
    let (mut story, shell) = Scenario::begin();
    let holder = story.run(shell, 200, BACKUP, "/usr/bin/holder");
    let thief = story.run(shell, 300, BACKUP, "/usr/bin/thief");
    story.open(holder, AWS);
    story.deed(thief, Source::LsmPtrace, Deed::Memory { target: holder, how: MemoryWay::Attach });
    let asked = story.connect(thief, "10.0.0.1", 1);
    story.end(asked, Ok(()));
    let played = story.play();
    assert_eq!(
        played.lines()[3..],
        [
            "B 300 memory of Some(200) by attach",
            "B 300 connect 10.0.0.1:1 established < aws of 2 received/0 first-connection,only-credential",
        ]
    );
    assert!(played.wishes.iter().any(|wish| wish.key == thief && wish.flags == MARK_HOLDS));
}

#[test]
fn failures_and_changes_are_actions_of_an_open_chain() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    let change = || {
        let from = Ids { euid: Some(0), ..Ids::default() };
        let to = Ids { euid: Some(34), ..Ids::default() };
        Deed::Identity(Box::new(IdentityChange { from, to }))
    };
    // Before there is a chain it is nobody's business.
    story.deed(job, Source::FentryCreds, change());
    story.open(job, AWS);
    story.deed(job, Source::FentryCreds, change());
    story.deed(job, Source::FexitExec, Deed::ExecFailed { filename: text("/bin/no"), errno: 2 });
    assert_eq!(
        lines(&story)[2..],
        [
            "A 200 change Some(0) > Some(34) < aws of 1 same-process/0 only-credential",
            "A 200 exec failed /bin/no 2 < aws of 1 same-process/0 only-credential",
        ]
    );
}

#[test]
fn datagrams_and_callers_open_chains_too() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    let to = udp("10.0.0.53", 53);
    story.deed(job, Source::FexitSend, Deed::Send { to, outcome: SendOutcome::Sent });
    let asked = story.deed(job, Source::LsmConnect, Deed::Connect { to: udp("10.0.0.9", 514) });
    story.end(asked, Ok(()));
    let server = story.run(shell, 300, BACKUP, "/usr/bin/server");
    let from = ("10.0.0.8".parse().unwrap(), 40_000);
    let at = ("10.0.0.1".parse().unwrap(), 443);
    story.deed(server, Source::LsmAccept, Deed::Accept { from, at, transport: Transport::TCP });
    assert_eq!(
        lines(&story)[1..],
        [
            "A 200 send 10.0.0.53:53 Sent",
            "A 200 connect 10.0.0.9:514 associated",
            "B opened user:backup:/usr/bin/server init backup",
            "B 300 accept 10.0.0.8:40000 at 10.0.0.1:443",
        ]
    );
}

#[test]
fn an_endpoint_that_hands_out_credentials_is_a_way_to_have_one() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    let refused = story.connect(job, "169.254.169.254", 80);
    story.end(refused, REFUSED);
    let asked = story.connect(job, "169.254.169.254", 80);
    story.end(asked, Ok(()));
    let after = story.connect(job, "10.0.0.1", 1);
    story.end(after, Ok(()));
    let played = story.play();
    let last = played.lines().pop().unwrap();
    assert_eq!(
        last,
        "A 200 connect 10.0.0.1:1 established < metadata of 2 same-process/0 first-connection,only-credential"
    );
    assert!(played.wishes.iter().any(|wish| wish.key == job && wish.flags == MARK_HOLDS));
}

#[test]
fn what_lies_beneath_an_opening_is_that_opening() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    let beneath = || OpenedFile { backing: true, ..file("/layers/7/srv/token") };
    story.deed(job, Source::LsmOpen, Deed::Open(file(TOKEN)));
    story.deed(job, Source::LsmOpen, Deed::Open(beneath()));
    // Read, it is merged with a reading only.
    story.deed(job, Source::LsmRead, Deed::Read { file: beneath(), mapped: false });
    let played = story.play();
    assert_eq!(played.lines().len(), 3, "{:?}", played.lines());
    assert_eq!(played.counter("opens_merged"), 1);
    // What lies beneath and came alone is told.
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.deed(job, Source::LsmOpen, Deed::Open(beneath()));
    assert_eq!(lines(&story)[1], "A 200 open token:/layers/7/srv/token");
}

#[test]
fn an_unheard_hello_changes_nothing() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    let asked = story.connect(job, "10.0.0.1", 443);
    story.end(asked, Ok(()));
    // The first is no TLS: nothing to read, and nothing lost.
    let of = SampleId { cpu: 0, seq: 9_999 };
    story.deed(job, Source::SkbHello, Deed::Hello { of: asked, bytes: vec![1, 2, 3] });
    story.deed(job, Source::SkbHello, Deed::Hello { of, bytes: Vec::new() });
    let played = story.play();
    assert_eq!(played.lines().len(), 2);
    assert_eq!(played.counter("hellos_unread"), 1, "the empty one");
}

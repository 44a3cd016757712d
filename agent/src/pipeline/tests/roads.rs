//! Roads to a credential beside opening it, and what is done beside connecting by TCP.

use crate::chain::{GapKind, Note};

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
fn a_reading_is_told_by_inode_and_gets_the_path_of_the_opening() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.deed(job, Source::LsmOpen, Deed::Open(file(TOKEN)));
    let nameless = |ino| OpenedFile { path: text(""), ino, ..file(TOKEN) };
    story.deed(job, Source::LsmRead, Deed::Read { file: nameless(file(TOKEN).ino), mapped: false });
    // Of this one nothing is known, and the names are what makes it a credential here.
    story.deed(job, Source::LsmRead, Deed::Read { file: nameless(9_999), mapped: false });
    let played = story.play();
    assert_eq!(
        played.lines()[2..],
        ["A 200 read token:/srv/token < token of 1 same-process/0 only-credential"]
    );
    assert_eq!(played.counter("opens_unconfirmed"), 1);
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

/// What the credential has to do with it is known with the name, and not before.
#[test]
fn a_hello_tells_that_the_kind_is_expected_there() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.deed(job, Source::LsmOpen, Deed::Open(file(TOKEN)));
    let asked = story.connect(job, "10.0.0.1", 443);
    story.end(asked, Ok(()));
    let hello = include_bytes!("../../../../tests/fuzz/corpus/tls/openssl-tls12");
    story.deed(job, Source::SkbHello, Deed::Hello { of: asked, bytes: hello.to_vec() });
    assert_eq!(
        lines(&story)[2..],
        [
            "A 200 connect 10.0.0.1:443 established < token of 1 same-process/0 first-connection,only-credential",
            "A 200 connect 10.0.0.1:443 db7.backup.example by tls established at last < token of 1 same-process/0 \
             destination-expected,first-connection,only-credential",
        ]
    );
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

/// The first that a TLS client says, to a server of this name.
pub(super) fn hello(name: &str) -> Vec<u8> {
    let with_len = |bytes: &[u8]| {
        let len = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        [&len[..], bytes].concat()
    };
    let names = with_len(&[&[0][..], &with_len(name.as_bytes())].concat());
    let extensions = with_len(&[&[0, 0][..], &with_len(&names)].concat());
    let body = [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0x13, 1], &[1, 0], &extensions].concat();
    let handshake = [&[1, 0][..], &with_len(&body)].concat();
    [&[22, 3, 1][..], &with_len(&handshake)].concat()
}

#[test]
fn a_name_that_is_said_late_is_weighed_as_one_that_was_known() {
    for (said, facts) in [
        ("kube.example", "destination-named,first-connection,only-credential"),
        ("other.example", "first-connection,only-credential"),
    ] {
        let (mut story, shell) = Scenario::begin();
        let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
        story.open(job, "/srv/kubeconfig");
        let asked = story.connect(job, "10.0.0.1", 6443);
        story.end(asked, Ok(()));
        // What is opened meanwhile was not there when it connected.
        story.open(job, TOKEN);
        story.deed(job, Source::SkbHello, Deed::Hello { of: asked, bytes: hello(said) });
        let linked = "< kubeconfig of 1 same-process/0";
        assert_eq!(
            lines(&story)[2..],
            [
                format!("A 200 connect 10.0.0.1:6443 established {linked} first-connection,only-credential"),
                "A 200 open token:/srv/token".to_owned(),
                format!("A 200 connect 10.0.0.1:6443 {said} by tls established at last {linked} {facts}"),
            ]
        );
    }
}

/// A daemon goes on with what its secret was rotated to, and its chain names both; a second opening of one adds nothing.
#[test]
fn what_is_rotated_within_a_run_is_named_twice() {
    let summary = |versions: &[&str]| {
        let (mut story, shell) = Scenario::begin();
        let job = story.run(shell, 200, BACKUP, "/usr/bin/daemon");
        for version in versions {
            story.open(job, &format!("/srv/app/rotated.{version}"));
            let asked = story.connect(job, "10.0.0.1", 443);
            story.end(asked, Ok(()));
        }
        story.exit(job, 0);
        let played = story.play();
        let Some(Note::Closed(closed)) = played.notes.last() else {
            panic!("not closed");
        };
        let named = closed.summary.credentials.iter();
        let named: Vec<String> = named.map(|known| known.version.clone().unwrap()).collect();
        let reached: Vec<usize> =
            closed.summary.fan_out.iter().flat_map(|one| one.destinations.clone()).collect();
        assert_eq!(reached, [0], "one credential still, to one system");
        assert_eq!(closed.summary.gaps, []);
        named
    };
    assert_eq!(summary(&["v1", "v2", "v1"]), ["v1", "v2"]);
    assert_eq!(summary(&["v1", "v1"]), ["v1"]);
    // Opened to be written, or not readable: no version is known, and it is no other.
    assert_eq!(summary(&["v1", ""]), ["v1"]);
    assert_eq!(summary(&["", "v1", "", "v2"]), ["v1", "v2"]);
}

/// A file that is written anew for each opening hides no other credential, and what is left out is said.
#[test]
fn so_many_versions_are_named_and_no_more() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/daemon");
    (0..300).for_each(|version| story.open(job, &format!("/srv/app/rotated.{version}")));
    story.open(job, AWS);
    story.exit(job, 0);
    let played = story.play();
    let Some(Note::Closed(closed)) = played.notes.last() else {
        panic!("not closed");
    };
    assert_eq!(closed.summary.credentials.len(), 17);
    assert_eq!(closed.summary.credentials[16].kind, "aws");
    assert_eq!(closed.summary.gaps, [GapKind::StateFull]);
}

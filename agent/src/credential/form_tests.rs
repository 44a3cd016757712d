//! What one's own catalogue may say, and every mistake in it.

use std::time::Duration;

use super::catalogue::{CatalogueError, rule};
use super::catalogue_tests::kind;
use super::{Catalogue, Human, Kind, Lifetime, Parser};
use crate::config::Credentials;

/// A config with a catalogue of its own.
fn own(text: &str) -> Result<Catalogue, CatalogueError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    std::fs::write(&path, text).unwrap();
    Catalogue::new(&Credentials { catalogue: Some(path), ..Credentials::default() })
}

/// The mistakes in the entries of a catalogue: number, line and column.
fn mistakes(entries: &str) -> Vec<(&'static str, usize, usize)> {
    match own(&format!("version = 1\n{entries}")) {
        Err(CatalogueError::Mistakes(found)) => {
            found.list.iter().map(|one| (one.code.as_str(), one.line, one.column)).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn of<'a>(catalogue: &'a Catalogue, id: &str) -> Option<&'a Kind> {
    catalogue.kinds().find(|kind| kind.id == id)
}

#[test]
fn a_new_kind_says_its_name_and_its_place_and_the_rest_if_it_likes() {
    let short = own("version = 1\n[[credential]]\nid = \"ours\"\nglobs = [\"/opt/app/login\"]\n").unwrap();
    assert_eq!(kind(&short, "/opt/app/login").as_deref(), Some("ours"));
    assert_eq!(kind(&short, "/home/a/.netrc").as_deref(), Some("netrc"), "the others stay");
    let ours = of(&short, "ours").unwrap();
    assert_eq!((ours.parser, ours.sensitivity, ours.human), (Parser::Guess, 2, Human::Expected));
    assert_eq!((ours.lifetime, ours.issuer.as_str(), ours.destinations.len()), (None, "", 0));
    let whole = own(
        "version = 1\n[[credential]]\nid = \"ours\"\nabout = \"x\"\nsensitivity = 3\nparser = \"jwt\"\nissuer = \"us\"\n\
         destinations = [\"*.us.example:443\"]\nlifetime = \"rotated\"\nmax_age = \"1d\"\nhuman = \"finding\"\n\
         endpoints = [\"192.0.2.1:*\", \"169.254.169.254:80\"]\n",
    )
    .unwrap();
    let found = whole.endpoint("192.0.2.1".parse().unwrap(), 7).unwrap();
    assert_eq!((found.id.as_str(), found.issuer.as_str()), ("ours:192.0.2.1:7", "us"));
    assert_eq!((found.lifetime, found.human), (Some(Lifetime::Rotated), Human::Finding));
    assert_eq!(found.max_age, Some(Duration::from_secs(86_400)));
    assert!(found.destinations[0].is("192.0.2.1".parse().unwrap(), 443, Some("a.us.example")));
    let first = whole.endpoint("169.254.169.254".parse().unwrap(), 80).unwrap();
    assert_eq!(first.kind, "ours", "the first has it");
    let socket =
        own("version = 1\n[[credential]]\nid = \"a\"\nsocket = true\nglobs = [\"/opt/app/agent.sock\"]")
            .unwrap();
    assert_eq!(socket.socket(rule(0, false), b"/opt/app/agent.sock").unwrap().kind, "a");
    assert_eq!(kind(&socket, "/opt/app/agent.sock"), None);
}

#[test]
fn a_built_in_kind_is_changed_field_by_field() {
    let builtin = Catalogue::builtin();
    let before = of(&builtin, "netrc").unwrap();
    let changed = own("version = 1\n[[credential]]\nid = \"netrc\"\nhuman = \"finding\"\n").unwrap();
    assert_eq!(of(&changed, "netrc").unwrap(), &Kind { human: Human::Finding, ..before.clone() });
    let order = |catalogue: &Catalogue| catalogue.kinds().map(|kind| kind.id.clone()).collect::<Vec<_>>();
    assert_eq!(order(&changed), order(&builtin), "it claims paths where it did before");
    let moved = own("version = 1\n[[credential]]\nid = \"netrc\"\nglobs = [\"/opt/app/login\"]\n").unwrap();
    assert_eq!(kind(&moved, "/opt/app/login").as_deref(), Some("netrc"));
    assert_eq!(kind(&moved, "/home/a/.netrc"), None, "replaced");
    assert_eq!(of(&moved, "netrc").unwrap().parser, Parser::Netrc, "the rest stays");
    let more = own("version = 1\n[[credential]]\nid = \"netrc\"\nalso = [\"/opt/app/login\"]\n").unwrap();
    for path in ["/opt/app/login", "/home/a/.netrc"] {
        assert_eq!(kind(&more, path).as_deref(), Some("netrc"), "{path}");
    }
    assert_eq!(order(&more).iter().position(|id| id == "netrc"), Some(1), "one's own places come first");
}

#[test]
fn a_built_in_kind_is_switched_off() {
    let off = own("version = 1\n[[credential]]\nid = \"k8s-secret-volume\"\noff = true\n").unwrap();
    assert!(of(&off, "k8s-secret-volume").is_none());
    assert_eq!(off.kinds().count() + 1, Catalogue::builtin().kinds().count());
    assert_eq!(kind(&off, "/home/a/.netrc").as_deref(), Some("netrc"));
    assert_eq!(mistakes("[[credential]]\nid = \"netcr\"\noff = true"), [("C014", 3, 1)]);
}

#[test]
fn every_mistake_of_a_catalogue_has_its_place() {
    assert!(matches!(own("version = 2"), Err(CatalogueError::Mistakes(_))));
    assert!(matches!(own(""), Err(CatalogueError::Mistakes(_))));
    assert!(matches!(own(&"#".repeat((1 << 20) + 1)), Err(CatalogueError::Mistakes(_))));
    let missing = Credentials { catalogue: Some("/none/c.toml".into()), ..Credentials::default() };
    assert!(matches!(Catalogue::new(&missing), Err(CatalogueError::Unreadable { .. })));
    assert_eq!(mistakes("x = 1"), [("C003", 2, 1)]);
    assert_eq!(mistakes("[credential]\nid = \"a\""), [("C005", 2, 2)]);
    let one = |line: &str| mistakes(&format!("[[credential]]\nid = \"a\"\nglobs = [\"/a/b\"]\n{line}"));
    for (line, code) in [
        ("human = \"never\"", "C013"),
        ("lifetime = 7", "C005"),
        ("parser = \"xsl\"", "C013"),
        ("about = \"a\\nb\"", "C009"),
        ("issuer = \"A B\"", "C014"),
        ("sensitivity = 4", "C009"),
        ("sensitivity = true", "C009"),
        ("socket = \"yes\"", "C005"),
        ("off = 1", "C005"),
        ("mounts = [\"\"]", "C017"),
        ("except = [\"[\"]", "C017"),
        ("also = [\"**/*.pem\"]", "C017"),
        ("endpoints = [\"metadata:80\"]", "C021"),
        ("endpoints = [80]", "C005"),
        ("destinations = [\"https://a\"]", "C021"),
        ("lifetime = \"rotated\"\nmax_age = \"1y\"", "C007"),
        ("max_age = \"1d\"", "C006"),
        ("humans = \"finding\"", "C003"),
    ] {
        let found = one(line);
        assert_eq!(found.iter().map(|(code, ..)| *code).collect::<Vec<_>>(), [code], "{line}");
    }
    let many = vec!["\"a:1\""; 17].join(",");
    assert_eq!(one(&format!("destinations = [{many}]")), [("C012", 5, 1)]);
    let bad = "[[credential]]\nid = \"A\"\nglob = []\n[[credential]]\nabout = 1\n[[credential]]\nid = \"declared\"\n";
    assert_eq!(
        mistakes(bad),
        [("C014", 3, 6), ("C003", 4, 1), ("C006", 5, 1), ("C005", 6, 9), ("C014", 8, 6)]
    );
    let twice = "[[credential]]\nid = \"a\"\nglobs = []\n";
    assert_eq!(mistakes(&format!("{twice}{twice}")), [("C018", 6, 1)]);
    assert_eq!(mistakes("[[credential]]\nid = \"netcr\"\nhuman = \"finding\""), [("C006", 3, 1)]);
}

#[test]
fn every_built_in_kind_says_what_is_usual_for_it() {
    let forms = super::form::read("x", super::catalogue::BUILTIN, &[]).unwrap();
    assert!(forms.len() >= 70);
    for form in forms {
        let said = form.about.is_some() && form.sensitivity.is_some() && form.parser.is_some();
        let usual = form.issuer.is_some() && form.destinations.is_some() && form.lifetime.is_some();
        assert!(said && usual && form.human.is_some() && form.places(), "{}", form.id);
    }
}

/// What the head of the file shows as an example is one, and it names every key.
#[test]
fn the_head_of_the_built_in_catalogue_tells_the_truth() {
    let (head, _) = super::catalogue::BUILTIN.split_once("\nversion = 1\n").unwrap();
    let (keys, example) = head.split_once("For example:\n").unwrap();
    let lines = example.lines().map(|line| line.trim_start_matches('#').trim_start());
    let example = lines.collect::<Vec<_>>().join("\n");
    let changed = own(&example).unwrap();
    assert_eq!(of(&changed, "aws-access-key").unwrap().human, Human::Finding);
    assert!(of(&changed, "wifi-psk").is_none() && of(&changed, "billing-token").is_some());
    assert_eq!(kind(&changed, "/srv/a/pgpass").as_deref(), Some("pgpass"));
    for key in super::form::KEYS {
        assert!(keys.lines().any(|line| line.starts_with(&format!("#   {key} "))), "{key} is not told");
    }
}

//! What people and services do with credentials that are services' own: a person over ssh, who is worth a finding, and a
//! secret that two services have, which its keyed fingerprint tells. Each beside a twin of which nothing is said.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{PUBLIC, SECRETS, shell};
use crate::Place;
use crate::agent::Agent;
use crate::records::{Records, at, text};
use crate::suite::{SECRET, is_action, verdict};

/// Of a kind that people have no business with. Two, for who has done so once has done so for as long as habits take here.
const SERVICES: [&str; 2] = ["/etc/vault/secret_id", "/etc/vault-two/secret_id"];
/// Of a kind that is theirs.
const OWN: &str = "/home/alice/.netrc";
/// Two services have the same secret, and the third another.
const HOLDERS: [(&str, &str); 3] = [
    ("first", "tWin-secRet-5c0e77d1a9"),
    ("second", "tWin-secRet-5c0e77d1a9"),
    ("other", "tWin-secRet-0b93f2c4e8"),
];
/// So that what two services have in common is known for long enough when the second comes.
pub(super) const CONFIG: &str = "[findings]\nlearn = \"1s\"\n[inventory]\nfirst = \"1s\"\n";

/// What is done before systemd is there: the credentials, and who opens them.
pub(super) fn before_boot(system: &Path) -> Result<()> {
    for path in SERVICES {
        fs::create_dir_all(Path::new(path).parent().context("a credential lies in a folder")?)?;
        fs::write(path, format!("{SECRET}\n"))?;
    }
    let services = SERVICES.join(" ");
    fs::write(OWN, format!("machine 127.0.0.1 login alice password {SECRET}\n"))?;
    shell(&format!("chmod 600 {services} {OWN} && chown svc {services} && chown alice {OWN}"))?;
    let unit = |user: &str, reads: &str| {
        format!(
            "[Service]\nType=oneshot\nUser={user}\nExecStart=/srv/bin/tool read {PUBLIC}/plain read {reads}\n"
        )
    };
    fs::write(system.join("vaulted.service"), unit("svc", &SERVICES.join(" read ")))?;
    for (name, secret) in HOLDERS {
        let path = held(name);
        fs::write(&path, format!("{secret}\n"))?;
        fs::write(system.join(format!("holds-{name}.service")), unit("root", &path))?;
    }
    Ok(())
}

fn held(name: &str) -> String {
    format!("{SECRETS}/holds-{name}")
}

/// One verdict each.
pub(super) fn people(place: &Place, agent: &mut Agent) {
    let started = Instant::now();
    // What the first holder has is habit when the person has come and gone.
    let first = holds(HOLDERS[0].0, &mut agent.records);
    verdict(place, "human-use", human_use(place, agent));
    verdict(place, "same-secret", first.and_then(|first| same_secret(place, &first, agent)));
    println!("people took {:.0?}", started.elapsed());
}

/// A service opens its credential, a person her own, and then she opens the service's: as root, and as the service's user.
fn human_use(place: &Place, agent: &mut Agent) -> Result<()> {
    shell("systemctl start vaulted.service")?;
    for path in SERVICES {
        let by_service = opened(&mut agent.records, path, "/srv/bin/tool", "svc")?;
        ensure!(text(&by_service, "actor.id") == "systemd:vaulted.service", "{by_service}");
    }
    shell(&format!("/srv/bin/ssh-login cat {OWN}"))?;
    opened(&mut agent.records, OWN, "/cat", "alice")?;
    for (path, sudo, user) in [(SERVICES[0], "sudo", "root"), (SERVICES[1], "sudo -u svc", "svc")] {
        shell(&format!("/srv/bin/ssh-login {sudo} cat {path}"))?;
        let opening = opened(&mut agent.records, path, "/cat", user)?;
        let finding = agent.records.wait("the finding", |record| {
            is_human_use(record)
                && at(record, "actions")
                    .as_array()
                    .is_some_and(|actions| actions.contains(at(&opening, "seq")))
        })?;
        is_alices(&finding, path, user)?;
        ensure!(text(&finding, "chain") == text(&opening, "chain"), "of another chain: {finding} {opening}");
    }
    let all: Vec<&Value> = agent.records.all.iter().filter(|record| is_human_use(record)).collect();
    // Neither the service's own use nor the person's own credential.
    ensure!(all.iter().all(|record| text(record, "subject") == "alice"), "somebody else: {all:#?}");
    ensure!(
        all.iter().all(|record| !record.to_string().contains(OWN)),
        "a person's own credential: {all:#?}"
    );
    let told = agent.ask(place, &["findings", "--json"])?;
    for path in SERVICES {
        let of = told.lines().filter(|line| line.contains("\"human-use\"") && line.contains(path));
        ensure!(of.count() == 1, "`spoor findings` tells otherwise of {path}:\n{told}");
    }
    Ok(())
}

fn is_human_use(record: &Value) -> bool {
    text(record, "type") == "finding" && text(record, "kind") == "human-use"
}

/// Who it was, from where, as whom and by what.
fn is_alices(finding: &Value, path: &str, user: &str) -> Result<()> {
    for (field, expected) in [
        ("severity", "medium"),
        ("subject", "alice"),
        ("facts.person", "alice"),
        ("facts.program", "/usr/bin/cat"),
        ("facts.as_user", user),
        ("actor.human.user", "alice"),
        ("actor.human.from", "127.0.0.1"),
    ] {
        let found = text(finding, field);
        ensure!(found == expected, "{field} is {found:?}, not {expected:?}: {finding}");
    }
    ensure!(at(finding, "credential").to_string().contains(path), "{finding}");
    ensure!(at(finding, "tags.owasp_nhi").to_string().contains("NHI10:2025"), "{finding}");
    Ok(())
}

/// The opening of a credential by a program, as a user.
fn opened(records: &mut Records, path: &str, program: &str, user: &str) -> Result<Value> {
    records.wait(&format!("the opening of {path} by {program} as {user}"), |record| {
        is_action(record, "secret.open")
            && text(record, "file.path") == path
            && text(record, "process.exe").ends_with(program)
            && text(record, "actor.user") == user
    })
}

/// The fingerprint of what a service of that name holds.
fn holds(name: &str, records: &mut Records) -> Result<Value> {
    shell(&format!("systemctl start holds-{name}.service"))?;
    let record = opened(records, &held(name), "/srv/bin/tool", "root")?;
    ensure!(text(&record, "actor.id") == format!("systemd:holds-{name}.service"), "{record}");
    let prints = record.pointer("/credential/0/fingerprints").and_then(Value::as_array);
    match prints.map(Vec::as_slice) {
        Some([print]) => Ok(print.clone()),
        _ => bail!("one fingerprint: {record}"),
    }
}

/// One secret in two places, under two services; a third has another.
fn same_secret(place: &Place, first: &Value, agent: &mut Agent) -> Result<()> {
    let second = holds(HOLDERS[1].0, &mut agent.records)?;
    let other = holds(HOLDERS[2].0, &mut agent.records)?;
    ensure!(*first == second, "one secret has two fingerprints: {first} {second}");
    ensure!(*first != other, "two secrets have one fingerprint: {first}");
    let shared = agent.records.wait("the finding", |record| {
        text(record, "kind") == "shared-secret" && text(record, "actor.id") == "systemd:holds-second.service"
    })?;
    ensure!(text(&shared, "facts.other_actor") == "systemd:holds-first.service", "{shared}");
    ensure!(at(&shared, "facts.other").to_string().contains(&held("first")), "{shared}");
    let of_other = |record: &&Value| {
        text(record, "kind") == "shared-secret" && record.to_string().contains("holds-other")
    };
    ensure!(
        !agent.records.all.iter().any(|record| of_other(&record)),
        "another secret is shared with nobody"
    );
    let told = agent.ask(place, &["credentials", "--remark", "same-secret", "--json"])?;
    let of = |name: &str| told.lines().any(|line| line.contains(&held(name)));
    ensure!(of("first") && of("second") && !of("other"), "`spoor credentials` tells otherwise:\n{told}");
    let shown = [agent.records.shown(), agent.log(), told].concat();
    ensure!(HOLDERS.iter().all(|(_, secret)| !shown.contains(secret)), "a secret left its file");
    Ok(())
}

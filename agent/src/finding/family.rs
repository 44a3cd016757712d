//! Who counts as the same, though the name is another each time.

use crate::actor::{Actor, ActorKind};
use crate::inventory::person;

/// Actors of one kind whose names differ from run to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// The name stays: whoever has another name is another.
    Alone,
    /// Containers of a runtime, units that systemd makes up: another name says nothing.
    Ephemeral(String),
    /// Instances of a template: they may be one service each, or one connection each.
    Template(String),
}

impl Family {
    /// By the id of an actor.
    pub(super) fn of(id: &str) -> Family {
        if let Some(rest) = id.strip_prefix("container:") {
            let runtime = rest.split(':').next().unwrap_or(rest);
            return Family::Ephemeral(format!("container:{runtime}"));
        }
        let user = id.strip_prefix("user-unit:").and_then(|rest| rest.split_once(':'));
        let unit = user.map(|(_, unit)| unit).or_else(|| id.strip_prefix("systemd:"));
        let Some((unit, prefix)) = unit.and_then(|unit| Some((unit, id.strip_suffix(unit)?))) else {
            return Family::Alone;
        };
        if let Some((template, instance)) = unit.split_once('@') {
            let family = format!("{prefix}{template}@");
            let instance = instance.strip_suffix(".service").unwrap_or(instance);
            return if is_made_up(instance) { Family::Ephemeral(family) } else { Family::Template(family) };
        }
        let made_up = unit.strip_prefix("run-").and_then(|rest| rest.strip_suffix(".service"));
        let digits = |name: &str| {
            let name = name.trim_start_matches(['r', 'u', 'p', 'i']);
            name.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'-' | b'i'))
        };
        if made_up.is_some_and(digits) {
            return Family::Ephemeral(format!("{prefix}run-"));
        }
        Family::Alone
    }
}

/// Whether an instance has a number for a name: a connection's addresses, a start's random digits.
fn is_made_up(instance: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'-' | b'.' | b':');
    instance.len() >= 8 && instance.bytes().all(digit) && instance.bytes().any(|byte| byte.is_ascii_digit())
}

/// By whom findings are told apart: a person whatever the session, a container whatever its id.
pub(super) fn who(actor: &Actor) -> String {
    let by_person = matches!(actor.kind, ActorKind::HumanSession | ActorKind::SystemUser);
    if let Some(person) = person(actor).filter(|_| by_person) {
        return format!("person:{person}");
    }
    match Family::of(&actor.id) {
        Family::Ephemeral(family) => family,
        Family::Alone | Family::Template(_) => actor.id.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_stay_and_names_that_do_not() {
        let ephemeral = |family: &str| Family::Ephemeral(family.to_owned());
        let template = |family: &str| Family::Template(family.to_owned());
        for (id, family) in [
            ("container:docker:0123456789ab", ephemeral("container:docker")),
            ("systemd:nginx.service", Family::Alone),
            ("systemd:run-u12.service", ephemeral("systemd:run-")),
            ("systemd:run-r0af3.service", ephemeral("systemd:run-")),
            ("systemd:run-p12-i13.service", ephemeral("systemd:run-")),
            ("systemd:run-backup.service", Family::Alone),
            ("systemd:app@a.service", template("systemd:app@")),
            ("systemd:postgresql@15-main.service", template("systemd:postgresql@")),
            ("systemd:sshd@3-10.0.0.7:22-10.0.0.9:51234.service", ephemeral("systemd:sshd@")),
            ("user-unit:alice:app-editor@3c1f09ab77.service", ephemeral("user-unit:alice:app-editor@")),
            ("user-unit:alice:app@a.service", template("user-unit:alice:app@")),
            ("user-unit:alice:run-u1.service", ephemeral("user-unit:alice:run-")),
            ("cron:root:/usr/bin/x", Family::Alone),
            ("kubernetes:shop:cart", Family::Alone),
            ("", Family::Alone),
        ] {
            assert_eq!(Family::of(id), family, "{id}");
        }
    }
}

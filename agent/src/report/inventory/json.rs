//! An entry of the inventory for programs.

use serde_json::{Value, json};

use super::remarks::Same;
use super::row::{Some64, Times, names};
use super::{Entry, Of, Seen};
use crate::record::rfc3339;

pub(super) fn entry(seen: &Seen, entry: &Entry<'_>, of: Of, same: &Same<'_>) -> Value {
    let Entry { id, row, remarks } = entry;
    let (ways, others) = match of {
        Of::Actors => ("origins", "credentials"),
        Of::Credentials => ("paths", "actors"),
    };
    let destinations: Vec<Value> = row
        .destinations
        .values
        .iter()
        .map(|(to, tries)| json!({"to": to, "tried": tries.all, "established": tries.established}))
        .collect();
    let remarks: Vec<Value> = remarks
        .iter()
        .map(|remark| {
            json!({"name": remark.name, "text": remark.text, "owasp": remark.owasp, "csf": remark.csf})
        })
        .collect();
    let mut told = json!({
        "id": id, "kind": row.kind,
        "watched_since": seen.watched_since_ns.map(rfc3339), "as_of": rfc3339(seen.as_of_ns),
        "known": row.known_ns.map(rfc3339),
        "first": row.times.span.map(|(first, _)| rfc3339(first)),
        "last": row.last_ns().map(rfc3339),
        "last_program": row.last_program, "actions": row.times.actions, "runs": row.runs(),
        ways: names(&row.ways), "users": names(&row.users), "programs": names(&row.programs),
        others: partners(&row.others), "people": partners(&row.people),
        "destinations": destinations, "remarks": remarks, "not_told": row.not_told(),
    });
    if of == Of::Credentials {
        told["identifiers"] = json!(row.identifiers);
        told["versions"] = json!(row.versions());
        told["same_secret"] = json!(same.secret_as(id, row));
        told["written"] = json!(row.written_ns.map(rfc3339));
        told["expires"] = json!(row.expires_ns.map(rfc3339));
        told["issuer"] = json!(row.issuer);
        told["lifetime"] = json!(row.lifetime);
        let file = |(path, place): (&String, &super::row::Place)| json!({"path": path, "owner": place.owner, "mode": format!("{:04o}", place.mode & 0o7777)});
        told["files"] = Value::Array(row.files.iter().map(file).collect());
    }
    told
}

fn partners(others: &Some64<Times>) -> Vec<Value> {
    let partner = |(id, times): (&String, &Times)| {
        json!({
            "id": id, "actions": times.actions,
            "first": times.span.map(|(first, _)| rfc3339(first)),
            "last": times.span.map(|(_, last)| rfc3339(last)),
        })
    };
    others.values.iter().map(partner).collect()
}

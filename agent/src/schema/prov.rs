//! One chain as W3C PROV, in its JSON: actors are agents, processes activities, credentials, programs and destinations entities.
//!
//! `used` of a credential says that a process opened, read or received it. `used` of a destination says that it asked for a
//! connection, with what became of it; what that came after stands beside it as `spoor:observed_after`. No relation says that
//! the credential went there. `wasGeneratedBy` of a credential says that a process opened its file to write it; what that came
//! after stands beside it as `spoor:written_after`. No relation says that it was derived from that.

use serde_json::{Map, Value, json};

use super::{base, message};
use crate::record::View;

const NAMESPACE: &str = "urn:spoor:";

/// The document of a chain's records.
#[must_use]
pub fn prov(records: &[View]) -> Value {
    let mut document = Document::default();
    for view in records {
        document.take(view);
    }
    document.build()
}

#[derive(Default)]
struct Document {
    /// By PROV's name of the kind, then by id.
    parts: Map<String, Value>,
}

impl Document {
    fn take(&mut self, view: &View) {
        let actor = view.text("actor.id").map(|id| {
            let name = name("actor", id);
            self.set("agent", &name, "prov:label", json!(id));
            self.set("agent", &name, "prov:type", qualified("prov:SoftwareAgent"));
            for field in ["kind", "origin", "user"] {
                if let Some(value) = view.text(&format!("actor.{field}")) {
                    self.set("agent", &name, &format!("spoor:{field}"), json!(value));
                }
            }
            name
        });
        for path in ["root", "process"] {
            if let (Some(process), Some(actor)) =
                (view.at(path).and_then(|found| self.process(found)), &actor)
            {
                let association = format!("_:a{}", process.trim_start_matches("spoor:process/"));
                self.relate("wasAssociatedWith", &association, &[("activity", &process), ("agent", actor)]);
            }
        }
        for forebear in view.list("lineage") {
            self.process(forebear);
        }
        if view.kind() == "action" {
            self.action(view);
        }
    }

    fn action(&mut self, view: &View) {
        let Some(process) = view.at("process").and_then(|process| self.process(process)) else { return };
        let time = view.text("time").unwrap_or_default();
        let seq = view.seq();
        match view.text("action").unwrap_or_default() {
            "secret.open" | "secret.read" | "secret.receive" => {
                for (number, held) in view.list("credential").iter().enumerate() {
                    let Some(credential) = self.credential(held) else { continue };
                    self.used(&format!("_:u{seq}-{number}"), &process, &credential, "credential", view);
                }
            }
            "secret.write" => {
                let written = view.list("credential").first().and_then(|written| self.credential(written));
                if let Some(credential) = written {
                    let id = format!("_:g{seq}");
                    self.relate("wasGeneratedBy", &id, &[("entity", &credential), ("activity", &process)]);
                    self.say("wasGeneratedBy", &id, "credential", view);
                }
            }
            "exec" => {
                self.set("activity", &process, "prov:startTime", json!(time));
                if let Some(exe) = view.text("process.exe") {
                    let program = name("program", exe);
                    self.set("entity", &program, "prov:label", json!(exe));
                    self.set("entity", &program, "prov:type", json!("spoor:Program"));
                    self.used(&format!("_:u{seq}"), &process, &program, "executable", view);
                }
            }
            "exit" => self.set("activity", &process, "prov:endTime", json!(time)),
            "connect" | "send" | "accept" => {
                let Some(destination) = view.at("destination") else { return };
                let text = |name: &str| destination.get(name).and_then(Value::as_str);
                let whole = |name: &str| destination.get(name).and_then(Value::as_u64);
                let host = text("name").or(text("ip")).or(text("path")).map(str::to_owned);
                let host = host.or_else(|| Some(format!("vsock {}", whole("cid")?))).unwrap_or_default();
                let port = whole("port").map(|port| format!(" {port}")).unwrap_or_default();
                let label = format!("{host}{port} {}", text("transport").unwrap_or_default());
                let endpoint = name("destination", &label);
                self.set("entity", &endpoint, "prov:label", json!(label));
                self.set("entity", &endpoint, "prov:type", json!("spoor:Destination"));
                self.used(&format!("_:u{seq}"), &process, &endpoint, "destination", view);
            }
            _ => {}
        }
    }

    /// A process as an activity, informed by its parent.
    fn process(&mut self, process: &Value) -> Option<String> {
        let id = process.get("id")?.as_str()?;
        let activity = name("process", id);
        self.set("activity", &activity, "spoor:cpid", json!(id));
        for field in ["pid", "exe", "script"] {
            if let Some(value) = process.get(field) {
                self.set("activity", &activity, &format!("spoor:{field}"), value.clone());
            }
        }
        if let Some(exe) = process.get("exe").and_then(Value::as_str) {
            self.set("activity", &activity, "prov:label", json!(base(exe)));
        }
        if let Some(parent) = process.get("parent").and_then(|parent| parent.get("id")?.as_str()) {
            let informant = name("process", parent);
            self.set("activity", &informant, "spoor:cpid", json!(parent));
            let ends = [("informed", activity.as_str()), ("informant", informant.as_str())];
            self.relate("wasInformedBy", &format!("_:i{id}"), &ends);
        }
        Some(activity)
    }

    fn credential(&mut self, held: &Value) -> Option<String> {
        let id = held.get("id")?.as_str()?;
        let entity = name("credential", id);
        self.set("entity", &entity, "prov:label", json!(id));
        self.set("entity", &entity, "prov:type", json!("spoor:Credential"));
        for field in ["kind", "path", "version"] {
            if let Some(value) = held.get(field) {
                self.set("entity", &entity, &format!("spoor:{field}"), value.clone());
            }
        }
        Some(entity)
    }

    fn used(&mut self, id: &str, activity: &str, entity: &str, role: &str, view: &View) {
        self.relate("used", id, &[("activity", activity), ("entity", entity)]);
        self.say("used", id, role, view);
    }

    /// When a relation came about, and what is known of it.
    fn say(&mut self, relation: &str, id: &str, role: &str, view: &View) {
        let mut say = |name: &str, value: Value| self.set(relation, id, name, value);
        say("prov:time", json!(view.text("time")));
        say("prov:role", json!(role));
        say("prov:label", json!(message(view)));
        say("spoor:seq", json!(view.seq()));
        for (path, name) in [("outcome", "spoor:outcome"), ("link.confidence", "spoor:confidence")] {
            if let Some(value) = view.at(path) {
                say(name, value.clone());
            }
        }
        let after = view.list("link.of");
        if !after.is_empty() {
            let written = view.text("link.relation") == Some("written_after");
            say(if written { "spoor:written_after" } else { "spoor:observed_after" }, json!(after));
        }
    }

    fn relate(&mut self, kind: &str, id: &str, ends: &[(&str, &str)]) {
        for (end, name) in ends {
            self.set(kind, id, &format!("prov:{end}"), json!(name));
        }
    }

    fn set(&mut self, kind: &str, id: &str, attribute: &str, value: Value) {
        let kind = self.parts.entry(kind).or_insert_with(|| json!({}));
        let Value::Object(kind) = kind else { return };
        if let Value::Object(part) = kind.entry(id).or_insert_with(|| json!({})) {
            part.insert(attribute.to_owned(), value);
        }
    }

    fn build(mut self) -> Value {
        let prefix = json!({"spoor": NAMESPACE, "xsd": "http://www.w3.org/2001/XMLSchema#"});
        self.parts.insert("prefix".to_owned(), prefix);
        Value::Object(self.parts)
    }
}

/// A qualified name as a value.
fn qualified(name: &str) -> Value {
    json!({"$": name, "type": "prov:QUALIFIED_NAME"})
}

/// A name in our namespace; what may not stand in one is escaped as in a URL.
fn name(kind: &str, text: &str) -> String {
    let mut out = format!("spoor:{kind}/");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

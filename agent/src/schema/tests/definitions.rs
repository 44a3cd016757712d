//! What OCSF says of itself, and what of an event it does not allow.

use std::path::Path;

use serde_json::Value;

pub(super) struct Definitions(Value);

impl Definitions {
    pub(super) fn read(version: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/ocsf/{version}.json"));
        Self(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    }

    /// Everything that is wrong with an event.
    pub(super) fn mistakes(&self, event: &Value) -> Vec<String> {
        let mut mistakes = Vec::new();
        let classes = self.0["classes"].as_object().unwrap();
        let Some(class) = classes.values().find(|class| class["uid"] == event["class_uid"]) else {
            return vec![format!("no class {}", event["class_uid"])];
        };
        let number = |name: &str| event[name].as_u64().unwrap_or(0);
        if number("type_uid") != number("class_uid") * 100 + number("activity_id") {
            mistakes.push("type_uid is not made of class and activity".to_owned());
        }
        if event["metadata"]["version"] != self.0["version"] {
            mistakes.push("another version".to_owned());
        }
        let profiles: Vec<&str> = event["metadata"]["profiles"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        self.object("", class, event, &profiles, &mut mistakes);
        mistakes
    }

    fn object(
        &self,
        path: &str,
        definition: &Value,
        value: &Value,
        profiles: &[&str],
        mistakes: &mut Vec<String>,
    ) {
        let Some(map) = value.as_object() else {
            mistakes.push(format!("{path} is no object"));
            return;
        };
        let attributes = definition["attributes"].as_object().unwrap();
        for (name, value) in map {
            match attributes.get(name) {
                None => mistakes.push(format!("{path}.{name} is not known")),
                Some(attribute) => {
                    if !of_profiles(attribute, profiles) {
                        mistakes.push(format!("{path}.{name} is of a profile that is not named"));
                    }
                    self.attribute(&format!("{path}.{name}"), attribute, value, profiles, mistakes);
                }
            }
        }
        for (name, attribute) in attributes {
            let needed = attribute["requirement"] == "required" && of_profiles(attribute, profiles);
            if needed && !map.contains_key(name) {
                mistakes.push(format!("{path}.{name} is lacking"));
            }
        }
        if let Some(any) = definition["constraints"]["at_least_one"].as_array()
            && !any.iter().filter_map(Value::as_str).any(|name| map.contains_key(name))
        {
            mistakes.push(format!("{path} has none of {any:?}"));
        }
    }

    fn attribute(
        &self,
        path: &str,
        attribute: &Value,
        value: &Value,
        profiles: &[&str],
        mistakes: &mut Vec<String>,
    ) {
        if attribute["is_array"] == true {
            match value.as_array() {
                None => mistakes.push(format!("{path} is no list")),
                Some(items) => {
                    items.iter().for_each(|item| self.one(path, attribute, item, profiles, mistakes));
                }
            }
        } else {
            self.one(path, attribute, value, profiles, mistakes);
        }
    }

    fn one(
        &self,
        path: &str,
        attribute: &Value,
        value: &Value,
        profiles: &[&str],
        mistakes: &mut Vec<String>,
    ) {
        if let Some(name) = attribute["object"].as_str() {
            if name == "object" {
                if !value.is_object() {
                    mistakes.push(format!("{path} is no object"));
                }
                return;
            }
            match self.0["objects"].get(name) {
                None => mistakes.push(format!("{path}: the extract lacks the object {name}")),
                Some(definition) => self.object(path, definition, value, profiles, mistakes),
            }
            return;
        }
        let fits = match attribute["type"].as_str().unwrap() {
            "integer_t" | "long_t" | "timestamp_t" | "port_t" => value.is_i64() || value.is_u64(),
            "boolean_t" => value.is_boolean(),
            "float_t" => value.is_number(),
            "json_t" => true,
            "ip_t" => value.as_str().is_some_and(|text| text.parse::<std::net::IpAddr>().is_ok()),
            "uuid_t" => value.as_str().is_some_and(|text| text.len() == 36),
            _ => value.is_string(),
        };
        if !fits {
            mistakes.push(format!("{path} is no {}: {value}", attribute["type"]));
        }
        if attribute["type"] == "port_t" && value.as_u64().is_none_or(|port| port > 65_535) {
            mistakes.push(format!("{path} is no port"));
        }
        if let Some(numbers) = attribute["enum"].as_array() {
            let word = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if !numbers.iter().any(|number| *number == word.as_str()) {
                mistakes.push(format!("{path} is none of its values: {value}"));
            }
        }
    }
}

/// Whether an attribute is there without a profile, or of one that is named.
fn of_profiles(attribute: &Value, profiles: &[&str]) -> bool {
    // A name in older versions, a list in newer ones.
    match &attribute["profile"] {
        Value::String(profile) => profiles.contains(&profile.as_str()),
        Value::Array(of) => of.iter().filter_map(Value::as_str).any(|profile| profiles.contains(&profile)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => true,
    }
}

//! What the file says: known keys with values of the right shape, each with its place. Everything else is reported.
//!
//! The spanned tree is walked by hand, because a derived reader stops at its first mistake.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Code, Report};
use super::keys::{Key, Section, Type};

/// A value with its place.
#[derive(Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// A value of the shape its key asks for.
#[derive(Debug)]
pub(super) enum Value {
    Text(String),
    Count(u64),
    Flag(bool),
    List(Vec<At<String>>),
}

/// One table of the file.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) section: &'static str,
    pub(crate) span: Range<usize>,
    found: Vec<Found>,
}

#[derive(Debug)]
struct Found {
    key: &'static str,
    /// Place of the key.
    at: Range<usize>,
    /// `None` where its shape was wrong, which is reported already.
    value: Option<At<Value>>,
}

impl Table {
    pub(crate) fn text(&self, key: &str) -> Option<(&str, Range<usize>)> {
        match self.value(key)? {
            At { value: Value::Text(text), span } => Some((text, span.clone())),
            At { value: Value::Count(_) | Value::Flag(_) | Value::List(_), .. } => None,
        }
    }

    pub(crate) fn count(&self, key: &str) -> Option<(u64, Range<usize>)> {
        match self.value(key)? {
            At { value: Value::Count(count), span } => Some((*count, span.clone())),
            At { value: Value::Text(_) | Value::Flag(_) | Value::List(_), .. } => None,
        }
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        match self.value(key)? {
            At { value: Value::Flag(flag), .. } => Some(*flag),
            At { value: Value::Text(_) | Value::Count(_) | Value::List(_), .. } => None,
        }
    }

    pub(crate) fn list(&self, key: &str) -> &[At<String>] {
        match self.value(key) {
            Some(At { value: Value::List(list), .. }) => list,
            Some(At { value: Value::Text(_) | Value::Count(_) | Value::Flag(_), .. }) | None => &[],
        }
    }

    /// Place of the key, also where its value was no good.
    pub(crate) fn mentions(&self, key: &str) -> Option<Range<usize>> {
        let found = self.found.iter().find(|found| found.key == key)?;
        Some(found.at.clone())
    }

    fn value(&self, key: &str) -> Option<&At<Value>> {
        self.found.iter().find(|found| found.key == key)?.value.as_ref()
    }
}

/// Reads the text; what it does not understand goes to the report.
pub(crate) fn read(
    text: &str,
    sections: &'static [Section],
    keys: &'static [Key],
    report: &mut Report,
) -> Vec<Table> {
    let tree = tree(text, report);
    let mut tables = Vec::new();
    for (name, value) in tree.get_ref().iter() {
        let Some(section) = sections.iter().find(|section| section.name == name.get_ref().as_ref()) else {
            unknown_section(name, sections, keys, report);
            continue;
        };
        read_section(section, name.span(), value, keys, report, &mut tables);
    }
    tables.sort_by_key(|table| table.span.start);
    tables
}

/// What TOML makes of a text, as far as it is TOML.
pub(crate) fn tree<'a>(text: &'a str, report: &mut Report) -> Spanned<DeTable<'a>> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        if error.message().starts_with("duplicate key") {
            report.add(Code::DuplicateKey, span, "this is here twice");
        } else {
            report.add(Code::Syntax, span, format!("not TOML: {}", error.message()));
        }
    }
    tree
}

fn unknown_section(
    name: &Spanned<toml::de::DeString<'_>>,
    sections: &'static [Section],
    keys: &'static [Key],
    report: &mut Report,
) {
    let word = name.get_ref().as_ref();
    let message = format!("unknown section `{word}`");
    if let Some(key) = keys.iter().find(|key| key.name == word) {
        let help = format!("`{word}` belongs into [{}]", key.section);
        report.add_help(Code::UnknownKey, name.span(), message, help);
        return;
    }
    let help = closest(word, sections.iter().map(|section| section.name)).map_or_else(
        || {
            let names = sections.iter().map(|section| section.name).collect::<Vec<_>>();
            format!("there are: {}", names.join(", "))
        },
        |near| format!("did you mean `{near}`?"),
    );
    report.add_help(Code::UnknownKey, name.span(), message, help);
}

fn read_section(
    section: &'static Section,
    at: Range<usize>,
    value: &Spanned<DeValue<'_>>,
    keys: &'static [Key],
    report: &mut Report,
    tables: &mut Vec<Table>,
) {
    let wrong = |report: &mut Report| {
        let (wanted, shown) = if section.many {
            ("a list of tables", format!("[[{}]]", section.name))
        } else {
            ("a table", format!("[{}]", section.name))
        };
        let message = format!("`{}` must be {wanted}, and is {}", section.name, shape(value.get_ref()));
        report.add_help(Code::WrongType, at.clone(), message, format!("write {shown}"));
    };
    if !section.many {
        match value.get_ref().as_table() {
            Some(table) => tables.push(read_table(section, at, table, keys, report)),
            None => wrong(report),
        }
        return;
    }
    let Some(items) = value.get_ref().as_array() else {
        wrong(report);
        return;
    };
    for item in items {
        match item.get_ref().as_table() {
            Some(table) => tables.push(read_table(section, item.span(), table, keys, report)),
            None => wrong(report),
        }
    }
}

fn read_table(
    section: &'static Section,
    span: Range<usize>,
    table: &DeTable<'_>,
    keys: &'static [Key],
    report: &mut Report,
) -> Table {
    let mut found = Vec::new();
    for (name, value) in table.iter() {
        let word = name.get_ref().as_ref();
        let mut own = keys.iter().filter(|key| key.section == section.name);
        if let Some(key) = own.clone().find(|key| key.name == word) {
            let value = read_value(key, value, report);
            found.push(Found { key: key.name, at: name.span(), value });
            continue;
        }
        if let Some(key) = own.find(|key| key.formerly.contains(&word)) {
            let message = format!("`{word}` is called `{}` since {}", key.name, key.since);
            report.add(Code::RetiredKey, name.span(), message);
            continue;
        }
        unknown_key(section, name, keys, report);
    }
    Table { section: section.name, span, found }
}

fn unknown_key(
    section: &Section,
    name: &Spanned<toml::de::DeString<'_>>,
    keys: &'static [Key],
    report: &mut Report,
) {
    let word = name.get_ref().as_ref();
    let message = format!("unknown key `{word}` in [{}]", section.name);
    let own = || keys.iter().filter(|key| key.section == section.name).map(|key| key.name);
    let help = if let Some(near) = closest(word, own()) {
        format!("did you mean `{near}`?")
    } else if let Some(key) = keys.iter().find(|key| key.name == word) {
        format!("`{word}` belongs into [{}]", key.section)
    } else {
        format!("there are: {}", own().collect::<Vec<_>>().join(", "))
    };
    report.add_help(Code::UnknownKey, name.span(), message, help);
}

fn read_value(key: &Key, value: &Spanned<DeValue<'_>>, report: &mut Report) -> Option<At<Value>> {
    let span = value.span();
    let read = match (key.kind, value.get_ref()) {
        (
            Type::Cgroups | Type::Globs | Type::Texts | Type::Words(_) | Type::Items { .. },
            DeValue::Array(items),
        ) => read_list(key, items, report),
        (Type::Count, DeValue::Integer(number)) => {
            let digits = number.as_str().replace('_', "");
            let digits = digits.trim_start_matches('+');
            u64::from_str_radix(digits, number.radix()).ok().map(Value::Count)
        }
        (Type::Flag, DeValue::Boolean(flag)) => Some(Value::Flag(*flag)),
        (
            Type::Path
            | Type::PathOrUrl
            | Type::Duration
            | Type::Size
            | Type::Word(_)
            | Type::Name
            | Type::TrustDomain
            | Type::Listen
            | Type::Text
            | Type::Date,
            DeValue::String(text),
        ) => Some(Value::Text(text.clone().into_owned())),
        (Type::Date, DeValue::Datetime(date)) => Some(Value::Text(date.to_string())),
        (..) => None,
    };
    if let Some(value) = read {
        return Some(At { value, span });
    }
    if matches!((key.kind, value.get_ref()), (Type::Count, DeValue::Integer(_))) {
        report.add(Code::OutOfRange, span, format!("`{}` is out of range", key.name));
        return None;
    }
    let message = format!("`{}` must be {}, and is {}", key.name, key.kind.shape(), shape(value.get_ref()));
    let example = match (key.kind, key.default) {
        (Type::Cgroups, _) => "[\"/system.slice/backup.service\"]",
        (Type::Globs, _) => "[\"/srv/app/secrets/**\"]",
        (Type::Items { example, .. }, _) => example,
        (Type::Date, _) => "2026-12-31",
        (Type::Texts, _) => "[\"…\"]",
        (Type::Listen, _) => "\"127.0.0.1:9464\"",
        (_, Some(default)) => default,
        (_, None) => "\"…\"",
    };
    let help = format!("for example: {} = {example}", key.name);
    report.add_help(Code::WrongType, span, message, help);
    None
}

/// The texts of a list; items of another shape are reported and left out.
fn read_list(key: &Key, items: &toml::de::DeArray<'_>, report: &mut Report) -> Option<Value> {
    let mut list = Vec::new();
    for item in items {
        match item.get_ref().as_str() {
            Some(text) => list.push(At { value: text.to_owned(), span: item.span() }),
            None => {
                let message = format!("`{}` must list texts, and has {}", key.name, shape(item.get_ref()));
                report.add(Code::WrongType, item.span(), message);
            }
        }
    }
    Some(Value::List(list))
}

pub(crate) fn shape(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The word that was probably meant.
pub(crate) fn closest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // The distance costs the product of the lengths, and a key can be as long as the file.
    if word.len() > 64 {
        return None;
    }
    known
        .map(|name| (strsim::osa_distance(word, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min()
        .map(|(_, name)| name)
}

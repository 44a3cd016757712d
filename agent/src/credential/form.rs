//! What a catalogue's file says, entry by entry; every mistake in it, with its place.

use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::carried::{self, KeyName};
use super::catalogue::DECLARED;
use super::destination::Destination;
use super::endpoint::Endpoint;
use super::kind::{Human, Lifetime};
use super::parse::Parser;
use super::watch::{self, Compiled};
use crate::config::{Code, Diagnostics, Report, closest, duration, pattern, shape, tree};

/// Longest catalogue that is read.
pub(super) const TEXT_MAX: u64 = 1 << 20;
/// Longest name of a kind or an issuer.
const NAME_MAX: usize = 64;
/// Most destinations of a kind: records carry them.
const DESTINATIONS_MAX: usize = 16;
/// What an entry may say.
pub(super) const KEYS: [&str; 18] = [
    "id",
    "about",
    "sensitivity",
    "parser",
    "issuer",
    "destinations",
    "lifetime",
    "max_age",
    "human",
    "globs",
    "also",
    "except",
    "mounts",
    "endpoints",
    "keys",
    "env",
    "socket",
    "off",
];

type Value<'a> = Spanned<DeValue<'a>>;

/// One entry: what it says, and nothing where it is silent.
#[derive(Clone, Debug, Default)]
pub(super) struct Form {
    pub(super) id: String,
    /// Where its id stands.
    at: Range<usize>,
    pub(super) about: Option<String>,
    pub(super) sensitivity: Option<u8>,
    pub(super) parser: Option<Parser>,
    pub(super) issuer: Option<String>,
    pub(super) destinations: Option<Vec<Destination>>,
    pub(super) lifetime: Option<Lifetime>,
    pub(super) max_age: Option<Duration>,
    pub(super) human: Option<Human>,
    pub(super) globs: Option<Vec<Compiled>>,
    /// Beside `globs`.
    pub(super) also: Vec<Compiled>,
    pub(super) except: Option<Vec<Vec<String>>>,
    pub(super) mounts: Option<Vec<String>>,
    pub(super) endpoints: Option<Vec<Endpoint>>,
    pub(super) keys: Option<Vec<KeyName>>,
    pub(super) env: Option<Vec<String>>,
    pub(super) socket: Option<bool>,
    pub(super) off: bool,
}

impl Form {
    /// Whether it says where: an empty list says so, too.
    pub(super) fn places(&self) -> bool {
        let lists = self.globs.is_some() || self.mounts.is_some() || self.endpoints.is_some();
        lists || !self.also.is_empty() || self.keys.is_some() || self.env.is_some()
    }

    /// This entry, and where it is silent what the other says.
    pub(super) fn over(self, base: &Form) -> Form {
        let base = base.clone();
        Form {
            id: self.id,
            at: self.at,
            about: self.about.or(base.about),
            sensitivity: self.sensitivity.or(base.sensitivity),
            parser: self.parser.or(base.parser),
            issuer: self.issuer.or(base.issuer),
            destinations: self.destinations.or(base.destinations),
            lifetime: self.lifetime.or(base.lifetime),
            max_age: self.max_age.or(base.max_age),
            human: self.human.or(base.human),
            globs: self.globs.or(base.globs),
            also: base.also.into_iter().chain(self.also).collect(),
            except: self.except.or(base.except),
            mounts: self.mounts.or(base.mounts),
            endpoints: self.endpoints.or(base.endpoints),
            keys: self.keys.or(base.keys),
            env: self.env.or(base.env),
            socket: self.socket.or(base.socket),
            off: self.off,
        }
    }
}

/// Reads a catalogue. `base` is what its entries may change.
pub(super) fn read(name: &str, text: &str, base: &[Form]) -> Result<Vec<Form>, Diagnostics> {
    let mut report = Report::default();
    if text.len() as u64 > TEXT_MAX {
        report.add(Code::TooLong, 0..0, "the file is longer than 1 MiB");
        return Err(report.finish(name, text));
    }
    let tree = tree(text, &mut report);
    let mut forms: Vec<Form> = Vec::new();
    let mut versioned = false;
    for (name, value) in tree.get_ref().iter() {
        match (name.get_ref().as_ref(), value.get_ref()) {
            ("version", value) => {
                versioned = true;
                if value.as_integer().is_none_or(|version| version.as_str() != "1") {
                    report.add(Code::OutOfRange, name.span(), "this release reads version 1, as a number");
                }
            }
            ("credential", DeValue::Array(items)) => {
                items.iter().for_each(|item| forms.extend(entry(item, base, &mut report)));
            }
            ("credential", _) => {
                let message = "`credential` must be a list of tables";
                report.add_help(Code::WrongType, name.span(), message, "write [[credential]]");
            }
            (word, _) => {
                let message = format!("unknown key `{word}`");
                let help = "there are: version = 1, and [[credential]] for each kind";
                report.add_help(Code::UnknownKey, name.span(), message, help);
            }
        }
    }
    if !versioned && report.is_empty() {
        report.add(Code::MissingKey, 0..0, "a catalogue begins with `version = 1`");
    }
    let mut seen = HashSet::new();
    let twice: Vec<_> = forms.iter().filter(|form| !seen.insert(form.id.as_str())).collect();
    for form in twice {
        report.add(Code::DuplicateItem, form.at.clone(), format!("`{}` is here twice", form.id));
    }
    if report.is_empty() { Ok(forms) } else { Err(report.finish(name, text)) }
}

/// One entry; `None` where there is none, which is reported.
fn entry(item: &Value<'_>, base: &[Form], report: &mut Report) -> Option<Form> {
    let Some(table) = item.get_ref().as_table() else {
        report.add(Code::WrongType, item.span(), "`credential` must list tables");
        return None;
    };
    let mut form = fields(table, report);
    let Some((at, _)) = table.get_key_value("id") else {
        report.add(Code::MissingKey, item.span(), "a kind needs an `id`");
        return None;
    };
    form.at = at.span();
    let known = base.iter().any(|known| known.id == form.id);
    let near = || closest(&form.id, base.iter().map(|known| known.id.as_str()));
    let help = || near().map_or("a new kind needs one".to_owned(), |near| format!("did you mean `{near}`?"));
    if form.id.is_empty() {
        return None;
    }
    if form.off && !known {
        let message = format!("`{}` is no built-in kind, so it cannot be switched off", form.id);
        report.add_help(Code::BadName, at.span(), message, help());
    } else if !known && !form.places() {
        let message =
            format!("{} names no place: no `globs`, `mounts`, `endpoints`, `keys` or `env`", form.id);
        report.add_help(Code::MissingKey, at.span(), message, help());
    }
    if form.max_age.is_some() && form.lifetime.is_none() && !known {
        report.add(Code::MissingKey, at.span(), "`max_age` needs a `lifetime`");
    }
    Some(form)
}

fn fields(table: &DeTable<'_>, report: &mut Report) -> Form {
    let mut form = Form::default();
    for (name, value) in table.iter() {
        match name.get_ref().as_ref() {
            "id" => form.id = one(value, kind_name, Code::BadName, report).unwrap_or_default(),
            "about" => form.about = one(value, about, Code::OutOfRange, report),
            "sensitivity" => form.sensitivity = sensitivity(value, report),
            "parser" => form.parser = word(value, &Parser::ALL, report),
            "issuer" => form.issuer = one(value, issuer, Code::BadName, report),
            "destinations" => {
                form.destinations = list(value, Destination::parse, Code::BadAddress, report);
                if form.destinations.as_ref().is_some_and(|list| list.len() > DESTINATIONS_MAX) {
                    let message = format!("more than {DESTINATIONS_MAX} destinations");
                    report.add(Code::TooMany, name.span(), message);
                }
            }
            "lifetime" => form.lifetime = word(value, &Lifetime::ALL, report),
            "max_age" => form.max_age = one(value, age, Code::BadDuration, report),
            "human" => form.human = word(value, &Human::ALL, report),
            "globs" => form.globs = list(value, watch::compile, Code::BadGlob, report),
            "also" => form.also = list(value, watch::compile, Code::BadGlob, report).unwrap_or_default(),
            "except" => form.except = list(value, except, Code::BadGlob, report),
            "mounts" => form.mounts = list(value, mount, Code::BadGlob, report),
            "endpoints" => form.endpoints = list(value, Endpoint::parse, Code::BadAddress, report),
            "keys" => form.keys = list(value, carried::key, Code::BadName, report),
            "env" => form.env = list(value, carried::variable, Code::BadName, report),
            "socket" => form.socket = flag(value, report),
            "off" => form.off = flag(value, report).unwrap_or_default(),
            other => {
                let help = closest(other, KEYS.into_iter()).map_or_else(
                    || format!("there are: {}", KEYS.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                let message = format!("unknown key `{other}` of a kind");
                report.add_help(Code::UnknownKey, name.span(), message, help);
            }
        }
    }
    form
}

fn wrong(value: &Value<'_>, wanted: &str, report: &mut Report) {
    let message = format!("this must be {wanted}, and is {}", shape(value.get_ref()));
    report.add(Code::WrongType, value.span(), message);
}

/// A text of a certain form.
fn one<T>(
    value: &Value<'_>,
    parse: impl Fn(&str) -> Result<T, &'static str>,
    code: Code,
    report: &mut Report,
) -> Option<T> {
    let Some(text) = value.get_ref().as_str() else {
        wrong(value, "a text", report);
        return None;
    };
    let why = |why| report_fault(text, why, value.span(), code, report);
    parse(text).map_err(why).ok()
}

fn report_fault(text: &str, why: &str, span: Range<usize>, code: Code, report: &mut Report) {
    report.add(code, span, format!("`{text}` {why}"));
}

/// A list of such texts.
fn list<T>(
    value: &Value<'_>,
    parse: impl Fn(&str) -> Result<T, &'static str>,
    code: Code,
    report: &mut Report,
) -> Option<Vec<T>> {
    let Some(items) = value.get_ref().as_array() else {
        wrong(value, "a list of texts", report);
        return None;
    };
    Some(items.iter().filter_map(|item| one(item, &parse, code, report)).collect())
}

/// One of these words.
fn word<T: Copy>(value: &Value<'_>, words: &[(&'static str, T)], report: &mut Report) -> Option<T> {
    let Some(text) = value.get_ref().as_str() else {
        wrong(value, "a text", report);
        return None;
    };
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, meant)| *meant);
    if found.is_none() {
        let names = words.iter().map(|(word, _)| *word);
        let help = closest(text, names.clone()).map_or_else(
            || format!("there are: {}", names.collect::<Vec<_>>().join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        report.add_help(Code::BadWord, value.span(), format!("`{text}` is not known here"), help);
    }
    found
}

fn flag(value: &Value<'_>, report: &mut Report) -> Option<bool> {
    let found = value.get_ref().as_bool();
    if found.is_none() {
        wrong(value, "true or false", report);
    }
    found
}

fn sensitivity(value: &Value<'_>, report: &mut Report) -> Option<u8> {
    let number = value.get_ref().as_integer().and_then(|number| number.as_str().parse().ok());
    let found = number.filter(|number| (1..=3).contains(number));
    if found.is_none() {
        report.add(Code::OutOfRange, value.span(), "`sensitivity` is 1, 2 or 3");
    }
    found
}

/// A name of small letters, digits and hyphens.
fn plain(text: &str) -> Option<String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (!text.is_empty() && text.len() <= NAME_MAX && text.chars().all(fits)).then(|| text.to_owned())
}

fn kind_name(text: &str) -> Result<String, &'static str> {
    if text == DECLARED {
        return Err("is the kind of what the config names");
    }
    plain(text).ok_or("is not a name for a kind: at most 64 of `a-z`, `0-9` and `-`")
}

fn issuer(text: &str) -> Result<String, &'static str> {
    plain(text).ok_or("is not a name for an issuer: at most 64 of `a-z`, `0-9` and `-`")
}

fn about(text: &str) -> Result<String, &'static str> {
    let fits = text.len() <= 256 && !text.contains(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err("is longer than 256 bytes, or more than one line") }
}

fn age(text: &str) -> Result<Duration, &'static str> {
    let fits = duration(text).filter(|age| !age.is_zero() && *age <= Duration::from_secs(520 * 604_800));
    fits.ok_or("is not an age: a number with s, m, h, d or w, from 1 second to 520 weeks")
}

fn except(text: &str) -> Result<Vec<String>, &'static str> {
    let globs = pattern::expand(text)?;
    let good = globs.iter().all(|glob| pattern::glob(glob).is_ok());
    if good { Ok(globs) } else { Err("is not a pattern: look at its brackets") }
}

fn mount(text: &str) -> Result<String, &'static str> {
    if text.is_empty() { Err("is in every mount point") } else { Ok(text.to_owned()) }
}

//! Just enough of Rust's grammar to tell code from comments and strings, and tests from the rest.

/// A Rust source with everything that is not code blanked out; lines stay where they are.
#[derive(Debug)]
pub(super) struct Code {
    /// Comments and the insides of literals are spaces.
    pub(super) all: String,
    /// As `all`, and what is under `#[cfg(test)]` is blank too.
    pub(super) shipped: String,
    /// How many lines are under `#[cfg(test)]`.
    pub(super) test_lines: usize,
}

impl Code {
    pub(super) fn new(text: &str) -> Self {
        let all = blank_prose(text);
        let (shipped, test_lines) = blank_tests(&all);
        Self { all, shipped, test_lines }
    }
}

/// The line, from 1, of a byte offset.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// Where a word stands, and only as a whole word.
pub(super) fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = text[..*at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        // A word may itself end in punctuation: then what follows it does not matter.
        let ends_in_letter = word.chars().next_back().is_some_and(char::is_alphanumeric);
        let joined = part(before) || (ends_in_letter && part(after));
        !joined
    })
}

fn blank_prose(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let opens = out.chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_');
        if let Some(len) = prose(rest, opens) {
            // Keep the line breaks and the length, so that offsets and lines stay true.
            out.extend(rest[..len].chars().flat_map(|c| {
                let blank = if c == '\n' { '\n' } else { ' ' };
                std::iter::repeat_n(blank, c.len_utf8())
            }));
            rest = &rest[len..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// The length of the comment or literal that begins here, if one does. `word_start`: what came before was no letter, so
/// that an `r` or `b` may be a literal's prefix.
fn prose(text: &str, word_start: bool) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(block_comment(text));
    }
    let prefix =
        if word_start { text.find(|c| !"rbc".contains(c)).filter(|len| *len <= 2).unwrap_or(0) } else { 0 };
    let body = &text[prefix..];
    let raw = text[..prefix].contains('r');
    if raw && body.starts_with(['"', '#']) {
        return raw_string(body).map(|len| prefix + len);
    }
    if body.starts_with('"') {
        return Some(prefix + string(body));
    }
    // A byte (`b'x'`) is a character with a prefix; a prefix before a lifetime does not exist.
    if body.starts_with('\'') { character(body).map(|len| prefix + len) } else { None }
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string(text: &str) -> Option<usize> {
    let hashes = text.find(|c| c != '#')?;
    let inner = text[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", &text[..hashes]);
    let end = inner.find(&close).map_or(inner.len(), |at| at + close.len());
    Some(hashes + 1 + end)
}

/// The length of a character literal; none for a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        let (after, _) = chars.nth(1)?;
        return text[after..].find('\'').map(|at| after + at + 1);
    }
    let (at, second) = chars.next()?;
    (second == '\'').then_some(at + 1)
}

/// Blanks the items under `#[cfg(test)]`, and counts their lines.
fn blank_tests(code: &str) -> (String, usize) {
    let (mut out, mut lines, mut from) = (String::with_capacity(code.len()), 0, 0);
    while let Some(at) = code[from..].find("#[cfg(").map(|at| from + at) {
        let attribute = code[at..].find(']').map_or(code.len(), |end| at + end + 1);
        let condition = &code[at..attribute];
        if words(condition, "test").next().is_none() || condition.contains("not(") {
            out.push_str(&code[from..attribute]);
            from = attribute;
            continue;
        }
        let end = item_end(code, attribute);
        out.push_str(&code[from..at]);
        out.extend(code[at..end].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        lines += code[at..end].matches('\n').count() + 1;
        from = end;
    }
    out.push_str(&code[from..]);
    (out, lines)
}

/// Where the item after an attribute ends: at its `;`, or where its braces close.
fn item_end(code: &str, from: usize) -> usize {
    let (mut nested, mut braces) = (0_i32, 0_i32);
    for (at, c) in code[from..].char_indices() {
        match c {
            '(' | '[' => nested += 1,
            ')' | ']' => nested -= 1,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces == 0 {
                    return from + at + 1;
                }
            }
            ';' if nested == 0 && braces == 0 => return from + at + 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_code() {
        let text = "a // unsafe\nb /* unsafe /* nested */ */ c \"unsafe \\\" x\" d r#\"unsafe \" \"# e b'\\'' f 'u' g<'a> h";
        let code = blank_prose(text);
        assert_eq!(code.len(), text.len());
        let left: Vec<_> = code.split_whitespace().collect();
        assert_eq!(left, ["a", "b", "c", "d", "e", "f", "g<'a>", "h"]);
    }

    #[test]
    fn a_name_that_ends_in_r_begins_no_raw_string() {
        assert_eq!(blank_prose("for x in four\"y\"; break"), "for x in four   ; break");
        assert_eq!(blank_prose("r#type = br\"x\" + c\"y\" + \"é\""), "r#type =       +      +     ");
    }

    #[test]
    fn tests_are_told_from_what_ships() {
        let code = Code::new("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n");
        assert!(
            code.shipped.contains("fn a") && code.shipped.contains("fn c") && !code.shipped.contains("fn b")
        );
        assert!(code.all.contains("fn b"));
        assert_eq!(code.test_lines, 4);
        let code = Code::new("#[cfg(test)]\nmod tests;\n#[cfg(not(test))]\nfn a() {}\n");
        assert!(code.shipped.contains("fn a") && !code.shipped.contains("mod tests"));
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(words("unsafe_code unsafe my_unsafe", "unsafe").count(), 1);
        assert_eq!(line_of("a\nb\nc", 4), 3);
    }
}

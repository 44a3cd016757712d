//! SPDX licence expressions, and whether a set of licences satisfies one.
//!
//! The grammar (SPDX specification, annex D): `OR` binds weaker than `AND`, `WITH` adds an exception to one licence, `+`
//! is part of the licence's name here. Older crates write `MIT/Apache-2.0` and mean OR.

use anyhow::{Result, bail};

/// A parsed expression.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Expression {
    /// One licence, with its exception if it has one: `Apache-2.0 WITH LLVM-exception`.
    Licence(String),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
}

impl Expression {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut parser = Parser { words: &words };
        let expression = parser.or()?;
        match parser.next() {
            None => Ok(expression),
            Some(word) => bail!("`{word}` is one too many in `{text}`"),
        }
    }

    /// Whether the licences that we accept let us use what is under this expression.
    pub(crate) fn satisfied(&self, accept: &impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Licence(name) => accept(name),
            Self::And(a, b) => a.satisfied(accept) && b.satisfied(accept),
            Self::Or(a, b) => a.satisfied(accept) || b.satisfied(accept),
        }
    }
}

struct Parser<'a> {
    words: &'a [&'a str],
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn take(&mut self, word: &str) -> bool {
        let there = self.words.first() == Some(&word);
        if there {
            self.next();
        }
        there
    }

    fn or(&mut self) -> Result<Expression> {
        let mut left = self.and()?;
        while self.take("OR") {
            left = Expression::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression> {
        let mut left = self.licence()?;
        while self.take("AND") {
            left = Expression::And(Box::new(left), Box::new(self.licence()?));
        }
        Ok(left)
    }

    fn licence(&mut self) -> Result<Expression> {
        match self.next() {
            Some("(") => {
                let inner = self.or()?;
                if !self.take(")") {
                    bail!("a parenthesis is not closed");
                }
                Ok(inner)
            }
            Some(name) if is_name(name) => {
                if !self.take("WITH") {
                    return Ok(Expression::Licence(name.to_owned()));
                }
                match self.next() {
                    Some(exception) if is_name(exception) => {
                        Ok(Expression::Licence(format!("{name} WITH {exception}")))
                    }
                    Some(_) | None => bail!("WITH needs an exception after it"),
                }
            }
            Some(word) => bail!("`{word}` is no licence"),
            None => bail!("a licence is missing at the end"),
        }
    }
}

fn is_name(word: &str) -> bool {
    let keyword = matches!(word, "AND" | "OR" | "WITH");
    !keyword && word.chars().all(|c| c.is_ascii_alphanumeric() || "-.+:".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(text: &str, licences: &[&str]) -> bool {
        Expression::parse(text).unwrap().satisfied(&|name: &str| licences.contains(&name))
    }

    #[test]
    fn one_of_several_is_enough_for_or_and_all_are_needed_for_and() {
        assert!(accepted("MIT OR GPL-3.0-only", &["MIT"]));
        assert!(!accepted("MIT AND GPL-3.0-only", &["MIT"]));
        assert!(accepted("MIT/Apache-2.0", &["Apache-2.0"]));
    }

    #[test]
    fn and_binds_stronger_than_or_and_parentheses_stronger_than_both() {
        assert!(accepted("MIT OR Apache-2.0 AND Unicode-3.0", &["MIT"]));
        assert!(!accepted("(MIT OR Apache-2.0) AND Unicode-3.0", &["MIT"]));
        assert!(accepted("(MIT OR Apache-2.0) AND Unicode-3.0", &["Apache-2.0", "Unicode-3.0"]));
    }

    #[test]
    fn an_exception_is_part_of_the_licence() {
        let text = "Apache-2.0 WITH LLVM-exception OR BSL-1.0";
        assert!(accepted(text, &["Apache-2.0 WITH LLVM-exception"]));
        assert!(!accepted(text, &["Apache-2.0"]));
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in ["", "MIT OR", "AND MIT", "(MIT", "MIT)", "MIT Apache-2.0", "MIT WITH", "MIT, Apache-2.0"]
        {
            assert!(Expression::parse(text).is_err(), "{text}");
        }
    }
}

//! Lexer and parser of label selectors. Errors are whole texts.

use std::collections::BTreeSet;
use std::iter::Peekable;

use super::syntax::{label_value_errors, qualified_name_errors};
use super::{Operator, Requirement};
use crate::model::field_error::FieldError;
use crate::model::selector::check_count;

/// A piece of a selector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// A key, a value, or one of the words `in` and `notin`, which only their place tells apart.
    Word(&'a str),
    /// One of `= == != ! ( ) , > <`.
    Symbol(&'static str),
    End,
}

impl<'a> Token<'a> {
    fn text(self) -> &'a str {
        match self {
            Self::Word(text) | Self::Symbol(text) => text,
            Self::End => "",
        }
    }
}

/// Problems named in one error.
const MAX_PROBLEMS: usize = 10;

/// Longest first.
const SYMBOLS: &[&str] = &["==", "!=", "=", "!", "(", ")", ",", ">", "<"];

/// Cuts a selector into tokens. A NUL, which ends it in Kubernetes, is a character that no word may have.
struct Lexer<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.rest = self.rest.trim_start_matches(is_space);
        if self.rest.is_empty() {
            return None;
        }
        if let Some((symbol, rest)) =
            SYMBOLS.iter().find_map(|symbol| Some((*symbol, self.rest.strip_prefix(*symbol)?)))
        {
            self.rest = rest;
            return Some(Token::Symbol(symbol));
        }
        let end = self.rest.find(ends_word).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(Token::Word(word))
    }
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

fn ends_word(character: char) -> bool {
    is_space(character) || matches!(character, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}

/// Reads requirements from tokens.
pub(super) struct Parser<'a> {
    tokens: Peekable<Lexer<'a>>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { tokens: Lexer { rest: text }.peekable() }
    }

    /// The whole selector.
    pub(super) fn requirements(mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        match self.peek() {
            Token::End => return Ok(requirements),
            Token::Word(_) | Token::Symbol("!") => {}
            Token::Symbol(other) => {
                return Err(format!("found '{other}', expected: !, identifier, or 'end of string'"));
            }
        }
        loop {
            let requirement = self.requirement().map_err(|text| format!("unable to parse requirement: {text}"))?;
            requirements.push(requirement);
            check_count(requirements.len()).map_err(|error| error.to_string())?;
            match self.take() {
                Token::End => return Ok(requirements),
                Token::Symbol(",") => {}
                other => return Err(format!("found '{}', expected: ',' or 'end of string'", other.text())),
            }
            let next = self.peek();
            if !matches!(next, Token::Word(_) | Token::Symbol("!")) {
                return Err(format!("found '{}', expected: identifier after ','", next.text()));
            }
        }
    }

    fn peek(&mut self) -> Token<'a> {
        self.tokens.peek().copied().unwrap_or(Token::End)
    }

    fn take(&mut self) -> Token<'a> {
        self.tokens.next().unwrap_or(Token::End)
    }

    fn ends_requirement(&mut self) -> bool {
        matches!(self.peek(), Token::End | Token::Symbol(","))
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let mut first = self.take();
        let negated = first == Token::Symbol("!");
        if negated {
            first = self.take();
        }
        let Token::Word(key) = first else {
            return Err(format!("found '{}', expected: identifier", first.text()));
        };
        let problems = qualified_name_errors(key);
        if !problems.is_empty() {
            return Err(FieldError::invalid("<nil>", key, problems.join("; ")).to_string());
        }
        let operator = if negated {
            Operator::DoesNotExist
        } else if self.ends_requirement() {
            Operator::Exists
        } else {
            self.operator(key)?
        };
        Ok(Requirement { key: key.to_owned(), operator })
    }

    fn operator(&mut self, key: &str) -> Result<Operator, String> {
        let token = self.take();
        match token {
            Token::Word("in") => Ok(Operator::In(self.values(key)?)),
            Token::Word("notin") => Ok(Operator::NotIn(self.values(key)?)),
            Token::Symbol("=" | "==") => Ok(Operator::Equals(self.value(key)?)),
            Token::Symbol("!=") => Ok(Operator::NotEquals(self.value(key)?)),
            Token::Symbol(">") => Ok(Operator::GreaterThan(self.integer(key)?)),
            Token::Symbol("<") => Ok(Operator::LessThan(self.integer(key)?)),
            other => Err(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", other.text())),
        }
    }

    /// The one value behind `=`, which may be nothing.
    fn word(&mut self) -> Result<&'a str, String> {
        if self.ends_requirement() {
            return Ok("");
        }
        match self.take() {
            Token::Word(word) => Ok(word),
            other => Err(format!("found '{}', expected: identifier", other.text())),
        }
    }

    fn value(&mut self, key: &str) -> Result<String, String> {
        let value = self.word()?;
        check_values(key, std::iter::once(value), Vec::new())?;
        Ok(value.to_owned())
    }

    fn integer(&mut self, key: &str) -> Result<i64, String> {
        let value = self.word()?;
        let integer = value.parse();
        let mut problems = Vec::new();
        if integer.is_err() {
            let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
            problems.push(FieldError::invalid("values[0]", value, detail).to_string());
        }
        check_values(key, std::iter::once(value), problems)?;
        Ok(integer.unwrap_or_default())
    }

    fn values(&mut self, key: &str) -> Result<BTreeSet<String>, String> {
        let opening = self.take();
        if opening != Token::Symbol("(") {
            return Err(format!("found '{}' expected: '('", opening.text()));
        }
        let values = match self.peek() {
            Token::Symbol(")") => BTreeSet::from([""]),
            Token::Word(_) | Token::Symbol(",") => self.list()?,
            other => return Err(format!("found '{}', expected: ',', ')' or identifier", other.text())),
        };
        self.take();
        check_values(key, values.iter().copied(), Vec::new())?;
        Ok(values.into_iter().map(ToOwned::to_owned).collect())
    }

    /// The values up to the closing parenthesis, which is left. Nothing between two commas is the empty value.
    fn list(&mut self) -> Result<BTreeSet<&'a str>, String> {
        let mut values = BTreeSet::new();
        loop {
            match self.take() {
                Token::Word(word) => {
                    values.insert(word);
                    match self.peek() {
                        Token::Symbol(",") => {}
                        Token::Symbol(")") => return Ok(values),
                        other => return Err(format!("found '{}', expected: ',' or ')'", other.text())),
                    }
                }
                Token::Symbol(",") => {
                    if values.is_empty() {
                        values.insert("");
                    }
                    match self.peek() {
                        Token::Symbol(")") => {
                            values.insert("");
                            return Ok(values);
                        }
                        Token::Symbol(",") => {
                            self.take();
                            values.insert("");
                        }
                        _ => {}
                    }
                }
                other => return Err(format!("found '{}', expected: ',', or identifier", other.text())),
            }
        }
    }
}

/// Joins what is wrong with the values, as an aggregate error of Kubernetes does.
fn check_values<'v>(key: &str, values: impl Iterator<Item = &'v str>, mut problems: Vec<String>) -> Result<(), String> {
    for (index, value) in values.enumerate() {
        let errors = label_value_errors(value);
        if !errors.is_empty() && problems.len() < MAX_PROBLEMS {
            let path = format!("values[{index}][{key}]");
            problems.push(FieldError::invalid(path, value, errors.join("; ")).to_string());
        }
    }
    match problems.as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        _ => Err(format!("[{}]", problems.join(", "))),
    }
}

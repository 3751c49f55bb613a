//! `.env` files by python-dotenv's grammar: `KEY=value`, `export`, comments, single and double quotes with their escapes.
//!
//! Unlike there, a line that is none of these is an error, and `${…}` is text.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::sensitive::{SecretBuffer, SecretBytes};

/// Why a `.env` file was not read; lines are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DotenvError {
    /// Not UTF-8.
    #[error("the file is not UTF-8 text")]
    NotText,
    /// Not `KEY=value`.
    #[error("line {0} is not KEY=value, or a quote is not closed, or something follows one")]
    Line(usize),
    /// A key without `=`, which would be a variable of nobody's environment here.
    #[error("line {0} has a key without a value")]
    NoValue(usize),
}

/// The values by key; of equal keys, the last one counts.
pub fn read(file: &[u8]) -> Result<BTreeMap<String, SecretBytes>, DotenvError> {
    let text = std::str::from_utf8(file).map_err(|_| DotenvError::NotText)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // What a text file is to Python: every kind of line break is one character.
    let mut unified = Zeroizing::new(String::with_capacity(text.len()));
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\r' {
            chars.next_if_eq(&'\n');
        }
        unified.push(if c == '\r' { '\n' } else { c });
    }
    let mut reader = Reader { rest: &unified, line: 1 };
    let mut values = BTreeMap::new();
    loop {
        reader.skip(is_space);
        if reader.rest.is_empty() {
            return Ok(values);
        }
        if let Some((key, value)) = reader.binding()? {
            values.insert(key, value);
        }
    }
}

/// What Python's `\s` matches.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn is_blank(c: char) -> bool {
    c != '\n' && is_space(c)
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    /// What is matched, and goes on behind it.
    fn skip(&mut self, matches: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !matches(c)).unwrap_or(self.rest.len());
        let (skipped, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.line += skipped.matches('\n').count();
        self.rest = rest;
        skipped
    }

    fn skip_char(&mut self, c: char) -> bool {
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// One line, or several of a quoted value; `None` for a comment.
    fn binding(&mut self) -> Result<Option<(String, SecretBytes)>, DotenvError> {
        let start = self.line;
        let wrong = DotenvError::Line(start);
        if let Some(after) = self.rest.strip_prefix("export").filter(|rest| rest.starts_with(is_blank)) {
            self.rest = after;
            self.skip(is_blank);
        }
        if self.rest.starts_with('#') {
            self.skip(|c| c != '\n');
            return Ok(None);
        }
        let key = if self.skip_char('\'') {
            let key = self.skip(|c| c != '\'');
            if !self.skip_char('\'') {
                return Err(wrong);
            }
            key
        } else {
            self.skip(|c| !matches!(c, '=' | '#') && !is_space(c))
        };
        if key.is_empty() {
            return Err(wrong);
        }
        self.skip(is_blank);
        if !self.skip_char('=') {
            return Err(DotenvError::NoValue(start));
        }
        let spaced = !self.skip(is_blank).is_empty();
        let value = match self.rest.chars().next() {
            Some('#') if spaced => SecretBytes::new(Vec::new()),
            Some(quote @ ('\'' | '"')) => self.quoted(quote).ok_or(wrong)?,
            _ => self.unquoted(),
        };
        self.skip(is_blank);
        if self.rest.starts_with('#') {
            self.skip(|c| c != '\n');
        }
        if self.rest.is_empty() || self.rest.starts_with('\n') { Ok(Some((key.to_owned(), value))) } else { Err(wrong) }
    }

    /// Up to the end of the line or a comment that white space stands before.
    fn unquoted(&mut self) -> SecretBytes {
        let line = self.skip(|c| c != '\n');
        let comment = line.match_indices('#').map(|(at, _)| at);
        let mut values = comment.filter_map(|at| line.get(..at)).filter(|before| before.ends_with(is_space));
        let value = values.next().unwrap_or(line).trim_end_matches(is_space);
        SecretBytes::new(value.as_bytes().to_vec())
    }

    fn quoted(&mut self, quote: char) -> Option<SecretBytes> {
        self.skip_char(quote);
        let mut value = SecretBuffer::default();
        let mut chars = self.rest.chars();
        loop {
            match chars.next()? {
                c if c == quote => break,
                '\\' => {
                    let escaped = chars.next()?;
                    let meant = meaning(quote, escaped);
                    if meant.is_none() {
                        value.push('\\');
                    }
                    value.push(meant.unwrap_or(escaped));
                }
                c => value.push(c),
            }
        }
        let rest = chars.as_str();
        let taken = self.rest.get(..self.rest.len() - rest.len()).unwrap_or_default();
        self.line += taken.matches('\n').count();
        self.rest = rest;
        Some(value.take())
    }
}

/// What an escaped character stands for; `None` where the backslash stays.
fn meaning(quote: char, escaped: char) -> Option<char> {
    match escaped {
        '\\' | '\'' => Some(escaped),
        _ if quote == '\'' => None,
        '"' => Some('"'),
        'a' => Some('\u{7}'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\u{b}'),
        _ => None,
    }
}

//! Templates: text with `{{ key }}` in it, and filters behind it: `{{ pass | urlencode }}`.
//!
//! ```text
//! expression = ( key | "text" ) { "|" filter }
//! filter     = urlencode | base64 | base64decode | json | lower | upper | trim | default "text"
//! ```
//!
//! A key that is missing is an error, unless `default` follows it at once. What is rendered of a Secret is secret: it is
//! handed out in a `SecretBuffer`, and no error holds any of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::sensitive::{SecretBuffer, SecretBytes};

/// Bytes that a template may render to: what a Secret may hold.
const RENDERED_MAX_BYTES: usize = 1024 * 1024;
/// Bytes of a template.
const TEMPLATE_MAX_BYTES: usize = 64 * 1024;
const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// A template that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Expression(Operand, Vec<Filter>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operand {
    Key(String),
    Literal(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Filter {
    UrlEncode,
    Base64,
    Base64Decode,
    Json,
    Lower,
    Upper,
    Trim,
    Default(String),
}

/// Why a template cannot be read, or rendered. Holds no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Not a template.
    #[error("at byte {at}: {problem}")]
    Syntax {
        /// Where.
        at: usize,
        /// What.
        problem: &'static str,
    },
    /// A key that the source does not have.
    #[error("the source has no key {0:?}")]
    MissingKey(String),
    /// A value that is not UTF-8.
    #[error("the value of {0:?} is not text: only `base64` can write it")]
    NotText(String),
    /// A value that is no base64.
    #[error("the value of {0:?} is not base64")]
    NotBase64(String),
    /// Too much.
    #[error("it would be longer than {RENDERED_MAX_BYTES} bytes")]
    TooLong,
}

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > TEMPLATE_MAX_BYTES {
            return Err(TemplateError::Syntax { at: TEMPLATE_MAX_BYTES, problem: "the template is too long" });
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once(OPEN) {
            let at = text.len() - behind.len();
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let mut reader = Reader { text, rest: behind };
            let expression = reader.expression()?;
            parts.push(expression);
            rest = reader.rest.strip_prefix(CLOSE).ok_or(TemplateError::Syntax { at, problem: "`{{` without `}}`" })?;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// The keys that it names.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Expression(Operand::Key(key), _) => Some(key.as_str()),
            _ => None,
        })
    }

    /// The text, with the values that `value` gives for keys.
    pub fn render(&self, value: impl Fn(&str) -> Option<SecretBytes>) -> Result<SecretBuffer, TemplateError> {
        let mut rendered = SecretBuffer::default();
        for part in &self.parts {
            match part {
                Part::Text(text) => rendered.push_str(text),
                Part::Expression(operand, filters) => {
                    let filled = fill(operand, filters, &value)?;
                    rendered.extend(&filled);
                }
            }
            if rendered.len() > RENDERED_MAX_BYTES {
                return Err(TemplateError::TooLong);
            }
        }
        Ok(rendered)
    }
}

#[expect(clippy::disallowed_methods, reason = "the value goes into the text it is meant for")]
fn fill(
    operand: &Operand,
    filters: &[Filter],
    value: &impl Fn(&str) -> Option<SecretBytes>,
) -> Result<Zeroizing<Vec<u8>>, TemplateError> {
    let (name, mut filters) = match operand {
        Operand::Key(key) => (key.as_str(), filters),
        Operand::Literal(_) => ("", filters),
    };
    let mut bytes = match operand {
        Operand::Literal(text) => Zeroizing::new(text.as_bytes().to_vec()),
        Operand::Key(key) => match (value(key), filters.split_first()) {
            (Some(found), _) => Zeroizing::new(found.expose().to_vec()),
            (None, Some((Filter::Default(text), rest))) => {
                filters = rest;
                Zeroizing::new(text.as_bytes().to_vec())
            }
            (None, _) => return Err(TemplateError::MissingKey(key.clone())),
        },
    };
    for filter in filters {
        bytes = filtered(filter, &bytes, name)?;
        if bytes.len() > RENDERED_MAX_BYTES {
            return Err(TemplateError::TooLong);
        }
    }
    if std::str::from_utf8(&bytes).is_err() {
        return Err(TemplateError::NotText(name.to_owned()));
    }
    Ok(bytes)
}

fn filtered(filter: &Filter, bytes: &[u8], name: &str) -> Result<Zeroizing<Vec<u8>>, TemplateError> {
    let text = || std::str::from_utf8(bytes).map_err(|_| TemplateError::NotText(name.to_owned()));
    Ok(Zeroizing::new(match filter {
        Filter::UrlEncode => url_encoded(bytes),
        Filter::Base64 => STANDARD.encode(bytes).into_bytes(),
        Filter::Base64Decode => {
            let mut decoded = Vec::with_capacity(bytes.len());
            let read = STANDARD.decode_vec(bytes.trim_ascii(), &mut decoded);
            read.map_err(|_| TemplateError::NotBase64(name.to_owned()))?;
            decoded
        }
        Filter::Json => {
            let quoted = Zeroizing::new(serde_json::to_vec(text()?).unwrap_or_default());
            let inner = quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
            inner.unwrap_or_default().to_vec()
        }
        Filter::Lower => text()?.to_lowercase().into_bytes(),
        Filter::Upper => text()?.to_uppercase().into_bytes(),
        Filter::Trim => text()?.trim().as_bytes().to_vec(),
        Filter::Default(_) => bytes.to_vec(),
    }))
}

/// Everything but unreserved characters as `%XX` (RFC 3986, section 2.3), so that it can stand anywhere in a URL.
fn url_encoded(bytes: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(bytes.len() * 3);
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            encoded.push(*byte);
        } else {
            let digit = |half: u8| char::from_digit(u32::from(half), 16).map_or(b'0', |c| c.to_ascii_uppercase() as u8);
            encoded.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    encoded
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Reader<'_> {
    fn expression(&mut self) -> Result<Part, TemplateError> {
        let operand = match self.string()? {
            Some(text) => Operand::Literal(text),
            None => Operand::Key(self.word("a key is missing")?),
        };
        let mut filters = Vec::new();
        loop {
            self.skip_space();
            if self.rest.starts_with(CLOSE) {
                return Ok(Part::Expression(operand, filters));
            }
            let Some(rest) = self.rest.strip_prefix('|') else {
                return Err(self.wrong("expected `|` or `}}`"));
            };
            self.rest = rest;
            filters.push(self.filter()?);
        }
    }

    fn filter(&mut self) -> Result<Filter, TemplateError> {
        let at =
            self.wrong("unknown filter: there are urlencode, base64, base64decode, json, lower, upper, trim, default");
        Ok(match self.word("a filter is missing")?.as_str() {
            "urlencode" => Filter::UrlEncode,
            "base64" => Filter::Base64,
            "base64decode" => Filter::Base64Decode,
            "json" => Filter::Json,
            "lower" => Filter::Lower,
            "upper" => Filter::Upper,
            "trim" => Filter::Trim,
            "default" => {
                let text = self.string()?;
                Filter::Default(text.ok_or_else(|| self.wrong("`default` needs a text in quotes"))?)
            }
            _ => return Err(at),
        })
    }

    /// A key of a Secret, or the name of a filter.
    fn word(&mut self, missing: &'static str) -> Result<String, TemplateError> {
        self.skip_space();
        let is_of_keys = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let end = self.rest.find(|c| !is_of_keys(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if word.is_empty() {
            return Err(self.wrong(missing));
        }
        self.rest = rest;
        Ok(word.to_owned())
    }

    /// A text in quotes, in which `\"` and `\\` stand for themselves.
    fn string(&mut self) -> Result<Option<String>, TemplateError> {
        self.skip_space();
        let Some(rest) = self.rest.strip_prefix('"') else { return Ok(None) };
        let mut text = String::new();
        let mut chars = rest.chars();
        loop {
            match chars.next() {
                Some('"') => break,
                Some('\\') => match chars.next() {
                    Some(c @ ('"' | '\\')) => text.push(c),
                    _ => return Err(self.wrong("only `\\\"` and `\\\\` may follow a backslash")),
                },
                Some(c) => text.push(c),
                None => return Err(self.wrong("a quote is not closed")),
            }
        }
        self.rest = chars.as_str();
        Ok(Some(text))
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn wrong(&self, problem: &'static str) -> TemplateError {
        TemplateError::Syntax { at: self.text.len() - self.rest.len(), problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "the test looks at what it rendered")]
    fn rendered(template: &str) -> Result<String, TemplateError> {
        let values = [("user", &b"ada"[..]), ("pass", b"p@ss/w:rd \xc3\xa4"), ("raw", b"\xff\x00"), ("b64", b"aGk=\n")];
        let value =
            |key: &str| values.iter().find(|(name, _)| *name == key).map(|(_, bytes)| SecretBytes::new(bytes.to_vec()));
        let mut text = Template::parse(template)?.render(value)?;
        Ok(String::from_utf8(text.take().expose().to_vec()).unwrap())
    }

    #[test]
    fn keys_are_replaced_and_filters_follow_each_other() {
        for (template, expected) in [
            ("postgres://{{ user }}:{{pass|urlencode}}@db", "postgres://ada:p%40ss%2Fw%3Ard%20%C3%A4@db"),
            ("", ""),
            ("no braces } {", "no braces } {"),
            (r#"{{ "{{" }} {{ "a \"b\" \\" }}"#, r#"{{ a "b" \"#),
            ("{{ user | upper | base64 }}", "QURB"),
            ("{{ raw | base64 }}", "/wA="),
            ("{{ b64 | base64decode }}", "hi"),
            (r#"{{ gone | default "x y" | upper }}"#, "X Y"),
            (r#"{{ user | default "x" }}"#, "ada"),
            (r#"{"p": "{{ pass | json }}"}"#, "{\"p\": \"p@ss/w:rd ä\"}"),
        ] {
            assert_eq!(rendered(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_and_says_where() {
        for (template, expected) in [
            ("ab{{ user", "at byte 9: expected `|` or `}}`"),
            ("{{ }}", "at byte 3: a key is missing"),
            ("{{ user | }}", "at byte 10: a filter is missing"),
            ("{{ user pass }}", "at byte 8: expected `|` or `}}`"),
            ("{{ user | default }}", "at byte 18: `default` needs a text in quotes"),
            (r#"{{ "a }}"#, "at byte 3: a quote is not closed"),
            ("{{ gone }}", "the source has no key \"gone\""),
            ("{{ raw }}", "the value of \"raw\" is not text: only `base64` can write it"),
            ("{{ pass | base64decode }}", "the value of \"pass\" is not base64"),
        ] {
            assert_eq!(rendered(template).unwrap_err().to_string(), expected, "{template}");
        }
        assert!(rendered("{{ user | shout }}").unwrap_err().to_string().contains("unknown filter"));
    }

    #[test]
    fn what_would_be_too_long_is_not_made() {
        let long = "{{ x }}".repeat(9_000);
        let template = Template::parse(&long).unwrap();
        let value = |_: &str| Some(SecretBytes::new(vec![b'v'; 1_000]));
        assert_eq!(template.render(value).err(), Some(TemplateError::TooLong));
    }
}

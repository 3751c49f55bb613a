//! Templates of paths into a JSON tree, as `kubectl -o jsonpath=` takes them: the simple ones.
//!
//! `{.data.user}`, `{.data['tls\.crt']}`, `{.items[*].metadata.name}`, `{.items[0]}`, text around them and `{"\n"}`. What
//! chooses or repeats (`range`, filters, `..`, slices, unions) is refused, never half understood. Source:
//! `k8s.io/client-go/util/jsonpath`.

use serde_json::Value;

use crate::sensitive::{SecretBuffer, SecretBytes};

/// Text and paths, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Path(Vec<Step>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Index(i64),
    All,
}

/// Not a template, or more than is understood here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonPathError {
    /// A brace, bracket or quote is not closed.
    #[error("a brace, bracket or quote is not closed")]
    Unclosed,
    /// Something that is no field, index or `*`.
    #[error("give a path such as {{.data.user}}, {{.data['tls\\.crt']}} or {{.items[*].metadata.name}}")]
    Path,
    /// Of kubectl's, and not of ours.
    #[error("{0} is not supported: take -o json, and a program that reads JSON")]
    Unsupported(&'static str),
}

impl JsonPath {
    /// Reads a template. One without braces is a path, as kubectl has it.
    pub fn parse(text: &str) -> Result<Self, JsonPathError> {
        if text.is_empty() {
            return Err(JsonPathError::Path);
        }
        if !text.contains('{') {
            let path = text.strip_prefix('$').unwrap_or(text);
            let path = if path.starts_with(['.', '[']) { path.to_owned() } else { format!(".{path}") };
            return Ok(Self(vec![Piece::Path(steps(&path)?)]));
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let end = closing(after).ok_or(JsonPathError::Unclosed)?;
            let (inside, behind) = after.split_at(end);
            pieces.push(piece(inside.trim())?);
            rest = behind.get(1..).unwrap_or_default();
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// What it gives of `value`: texts as they are, all else as JSON, several with a space between. What is not there gives
    /// nothing.
    #[must_use]
    pub fn of(&self, value: &Value) -> SecretBytes {
        let mut out = SecretBuffer::default();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Path(steps) => {
                    let mut found = Vec::new();
                    walk(value, steps, &mut found);
                    for (at, one) in found.into_iter().enumerate() {
                        if at > 0 {
                            out.push(' ');
                        }
                        write(one, &mut out);
                    }
                }
            }
        }
        out.take()
    }
}

/// Where the brace is closed; one within quotes is text.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            ('\\', _) => drop(chars.next()),
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('}', None) => return Some(at),
            _ => {}
        }
    }
    None
}

fn piece(inside: &str) -> Result<Piece, JsonPathError> {
    if let Some(quote) = inside.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let text = inside.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        return Ok(Piece::Text(unescape(text.ok_or(JsonPathError::Unclosed)?)));
    }
    if inside == "end" || inside.split_whitespace().next() == Some("range") {
        return Err(JsonPathError::Unsupported("range"));
    }
    let path = inside.strip_prefix(['$', '@']).unwrap_or(inside);
    steps(path).map(Piece::Path)
}

/// `\n` and `\t` as Go reads them in quotes; of anything else the character itself.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next().map(|c| match c {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            })),
            c => out.push(c),
        }
    }
    out
}

fn steps(path: &str) -> Result<Vec<Step>, JsonPathError> {
    let mut steps = Vec::new();
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        match first {
            '.' if rest.starts_with("..") => return Err(JsonPathError::Unsupported("..")),
            // The whole.
            '.' if rest.len() == 1 && steps.is_empty() => return Ok(steps),
            '.' if rest.starts_with(".[") => rest = rest.get(1..).unwrap_or_default(),
            '.' => {
                let (name, behind) = field(rest.get(1..).unwrap_or_default());
                match name.as_str() {
                    "" => return Err(JsonPathError::Path),
                    "*" => steps.push(Step::All),
                    _ => steps.push(Step::Field(name)),
                }
                rest = behind;
            }
            '[' => {
                let inside = rest.get(1..).unwrap_or_default();
                let (step, behind) = bracket(inside)?;
                steps.push(step);
                rest = behind;
            }
            _ => return Err(JsonPathError::Path),
        }
    }
    Ok(steps)
}

/// A name up to the next dot or bracket; a backslash makes either a part of it.
fn field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.extend(chars.next().map(|(_, c)| c)),
            '.' | '[' => return (name, text.get(at..).unwrap_or_default()),
            c => name.push(c),
        }
    }
    (name, "")
}

fn bracket(text: &str) -> Result<(Step, &str), JsonPathError> {
    if text.starts_with('?') {
        return Err(JsonPathError::Unsupported("a filter"));
    }
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let quoted = text.get(1..).unwrap_or_default();
        let mut is_escaped = false;
        let end = quoted.find(|c| {
            let ends = c == quote && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            ends
        });
        let (name, behind) = quoted.split_at(end.ok_or(JsonPathError::Unclosed)?);
        return match behind.get(1..).unwrap_or_default() {
            behind if behind.starts_with(',') => Err(JsonPathError::Unsupported("a union")),
            behind => Ok((Step::Field(unescape(name)), behind.strip_prefix(']').ok_or(JsonPathError::Unclosed)?)),
        };
    }
    let (inside, behind) = text.split_once(']').ok_or(JsonPathError::Unclosed)?;
    match inside.trim() {
        "*" => Ok((Step::All, behind)),
        slice if slice.contains(':') => Err(JsonPathError::Unsupported("a slice")),
        union if union.contains(',') => Err(JsonPathError::Unsupported("a union")),
        index => Ok((Step::Index(index.parse().map_err(|_| JsonPathError::Path)?), behind)),
    }
}

fn walk<'a>(value: &'a Value, steps: &[Step], found: &mut Vec<&'a Value>) {
    let Some((step, rest)) = steps.split_first() else {
        found.push(value);
        return;
    };
    match (step, value) {
        (Step::Field(name), Value::Object(fields)) => {
            if let Some(value) = fields.get(name) {
                walk(value, rest, found);
            }
        }
        (Step::Index(index), Value::Array(items)) => {
            let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
            let at = if *index < 0 { length.saturating_add(*index) } else { *index };
            if let Some(value) = usize::try_from(at).ok().and_then(|at| items.get(at)) {
                walk(value, rest, found);
            }
        }
        (Step::All, Value::Array(items)) => items.iter().for_each(|item| walk(item, rest, found)),
        (Step::All, Value::Object(fields)) => fields.values().for_each(|value| walk(value, rest, found)),
        _ => {}
    }
}

fn write(value: &Value, out: &mut SecretBuffer) {
    match value {
        Value::String(text) => out.push_str(text),
        Value::Null => {}
        other => {
            let json = zeroize::Zeroizing::new(super::json::to_vec(other));
            out.extend(&json);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "the test looks at what it wrote")]
    fn of(path: &str, value: &Value) -> String {
        String::from_utf8(JsonPath::parse(path).unwrap().of(value).expose().to_vec()).unwrap()
    }

    #[test]
    fn paths_give_what_kubectl_gives() {
        let value = json!({
            "data": {"user": "YWRh", "tls.crt": "UEVN", "a'b": "eA=="}, "immutable": true,
            "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}, {"other": 1}],
        });
        for (path, expected) in [
            ("{.data.user}", "YWRh"),
            (".data.user", "YWRh"),
            ("data.user", "YWRh"),
            ("$.data.user", "YWRh"),
            ("{$.data.user}", "YWRh"),
            (r"{.data.tls\.crt}", "UEVN"),
            ("{.data['tls.crt']}", "UEVN"),
            (r"{.data['tls\.crt']}", "UEVN"),
            (r#"{.data["user"]}"#, "YWRh"),
            (r"{.data['a\'b']}", "eA=="),
            ("{.items[0].metadata.name}", "a"),
            ("{.items[-2].metadata.name}", "b"),
            ("{.items[7].metadata.name}", ""),
            ("{.items[*].metadata.name}", "a b"),
            ("{.items.*.metadata.name}", "a b"),
            ("{.items[0]}", r#"{"metadata":{"name":"a"}}"#),
            ("{.immutable}", "true"),
            ("{.none.at.all}", ""),
            (r#"u={.data.user}{"\n"}"#, "u=YWRh\n"),
            ("{'}'}{.immutable}", "}true"),
        ] {
            assert_eq!(of(path, &value), expected, "{path}");
        }
        assert_eq!(of("{.}", &json!([1])), "[1]");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for path in [
            "{.a",
            "{range .items[*]}{.a}{end}",
            "{..a}",
            "{.a[?(@.b)]}",
            "{.a[0:2]}",
            "{.a[0,1]}",
            "{.a['b','c']}",
            "{.a[b]}",
            "{.a.}",
            "{a}",
            "{\"x}",
            "",
            "{.a['b}",
        ] {
            assert!(JsonPath::parse(path).is_err(), "{path}");
        }
        assert_eq!(JsonPath::parse("{range .a}{end}").unwrap_err(), JsonPathError::Unsupported("range"));
    }
}

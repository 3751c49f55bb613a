//! Which type a YAML scalar has: go-yaml v2's reading of YAML 1.1.
//!
//! The same table decides what must be quoted when text is written. No error quotes the scalar.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Number, Value};

use crate::codec::go_text;

/// A scalar with its type.
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// A whole number above the range of `Int`.
    Uint(u64),
    Float(f64),
    Text(Cow<'a, str>),
}

impl Scalar<'_> {
    /// As JSON; infinities and NaN have no JSON.
    pub(super) fn to_json(&self) -> Result<Value, &'static str> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Number((*value).into()),
            Self::Uint(value) => Value::Number((*value).into()),
            // Go's JSON has no fraction for a whole number, so that `1e3` is good for an integer field.
            Self::Float(value) => Value::Number(
                go_text::whole(*value)
                    .or_else(|| Number::from_f64(*value))
                    .ok_or("json: unsupported value: not a finite number")?,
            ),
            Self::Text(text) => Value::String(text.clone().into_owned()),
        })
    }

    /// As the key of a JSON object.
    pub(super) fn to_key(&self) -> Result<String, &'static str> {
        Ok(match self {
            Self::Null => return Err("unsupported map key of type: null"),
            Self::Uint(_) => return Err("unsupported map key of type: uint64"),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) if value.is_nan() => ".nan".to_owned(),
            Self::Float(value) if value.is_infinite() => if *value > 0.0 { ".inf" } else { "-.inf" }.to_owned(),
            Self::Float(value) => go_text::general_float32(*value),
            Self::Text(text) => text.clone().into_owned(),
        })
    }
}

/// Types a scalar; `plain` is one without quotes and tag, `tag` is in short form (`!!int`).
pub(super) fn scalar<'a>(text: Cow<'a, str>, plain: bool, tag: Option<&str>) -> Result<Scalar<'a>, &'static str> {
    match tag {
        None if plain => Ok(untagged(text)),
        Some("!!binary") => {
            let bytes = go_text::canonical_base64(&text)
                .ok()
                .and_then(|canonical| STANDARD.decode(canonical.as_bytes()).ok())
                .ok_or("!!binary value contains invalid base64 data")?;
            Ok(Scalar::Text(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())))
        }
        Some("!!timestamp") if go_text::is_yaml_timestamp(&text) => Ok(Scalar::Text(text)),
        Some("!!timestamp") => Err("cannot decode a value as a !!timestamp"),
        Some("!!null") => match untagged(text) {
            Scalar::Null => Ok(Scalar::Null),
            _ => Err("cannot decode a value as a !!null"),
        },
        Some("!!bool") => match untagged(text) {
            Scalar::Bool(value) => Ok(Scalar::Bool(value)),
            _ => Err("cannot decode a value as a !!bool"),
        },
        Some("!!int") => match untagged(text) {
            number @ (Scalar::Int(_) | Scalar::Uint(_)) => Ok(number),
            _ => Err("cannot decode a value as a !!int"),
        },
        Some("!!float") => match untagged(text) {
            number @ Scalar::Float(_) => Ok(number),
            #[expect(clippy::cast_precision_loss, reason = "the document asks for a float")]
            Scalar::Int(value) => Ok(Scalar::Float(value as f64)),
            _ => Err("cannot decode a value as a !!float"),
        },
        // Quoted, `!!str`, or a tag of the author's own.
        _ => Ok(Scalar::Text(text)),
    }
}

/// Whether text would be read back as text if it were written without quotes.
pub(super) fn reads_as_text(text: &str) -> bool {
    typed(text).is_none() && !go_text::is_yaml_timestamp(text) && !is_base60(text)
}

fn untagged(text: Cow<'_, str>) -> Scalar<'_> {
    typed(&text).unwrap_or(Scalar::Text(text))
}

/// The type other than text that plain text has.
fn typed(text: &str) -> Option<Scalar<'static>> {
    let word = match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Scalar::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Scalar::Bool(false),
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        _ => return number(text),
    };
    Some(word)
}

fn number(text: &str) -> Option<Scalar<'static>> {
    match text.as_bytes().first()? {
        b'.' => float(text, true).map(Scalar::Float),
        b'0'..=b'9' | b'+' | b'-' if !go_text::is_yaml_timestamp(text) => {
            // Underscores go wherever they are, as in go-yaml.
            let plain: Cow<'_, str> =
                if text.contains('_') { Cow::Owned(text.replace('_', "")) } else { Cow::Borrowed(text) };
            int(&plain).or_else(|| float(&plain, false).map(Scalar::Float))
        }
        _ => None,
    }
}

/// `strconv.ParseInt(text, 0, 64)`, then `ParseUint`.
fn int(text: &str) -> Option<Scalar<'static>> {
    let (negative, signed, digits) = match text.as_bytes().first()? {
        b'-' => (true, true, text.get(1..)?),
        b'+' => (false, true, text.get(1..)?),
        _ => (false, false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, digits.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, digits.get(2..)?),
        [b'0', _, ..] => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    // from_str_radix would take another sign.
    if !digits.as_bytes().first()?.is_ascii_alphanumeric() {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return 0_i64.checked_sub_unsigned(magnitude).map(Scalar::Int);
    }
    match i64::try_from(magnitude) {
        Ok(value) => Some(Scalar::Int(value)),
        Err(_) if signed => None,
        Err(_) => Some(Scalar::Uint(magnitude)),
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, and finite; underscores between digits where Go takes them.
fn float(text: &str, underscores: bool) -> Option<f64> {
    let mut rest = text.as_bytes();
    if let [b'+' | b'-', tail @ ..] = rest {
        rest = tail;
    }
    let whole = digits(&mut rest, underscores)?;
    let mut fraction = 0;
    if let [b'.', tail @ ..] = rest {
        rest = tail;
        fraction = digits(&mut rest, underscores)?;
    }
    if whole + fraction == 0 {
        return None;
    }
    if let [b'e' | b'E', tail @ ..] = rest {
        rest = tail;
        if let [b'+' | b'-', tail @ ..] = rest {
            rest = tail;
        }
        if digits(&mut rest, underscores)? == 0 {
            return None;
        }
    }
    if !rest.is_empty() {
        return None;
    }
    text.replace('_', "").parse().ok().filter(|value: &f64| value.is_finite())
}

/// Length of the run of digits at the front; `None` for a misplaced underscore.
fn digits(rest: &mut &[u8], underscores: bool) -> Option<usize> {
    let length =
        rest.iter().position(|byte| !(byte.is_ascii_digit() || underscores && *byte == b'_')).unwrap_or(rest.len());
    let (run, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    let misplaced = run.first() == Some(&b'_') || run.last() == Some(&b'_') || run.windows(2).any(|pair| pair == b"__");
    (!misplaced).then_some(length)
}

/// `[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?`: not a number to us, but one to other readers.
fn is_base60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (places, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut places = places.split(':');
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let first = places.next().unwrap_or_default();
    let mut others = places.peekable();
    first.starts_with(|c: char| c.is_ascii_digit())
        && is_digits(first)
        && is_digits(fraction)
        && others.peek().is_some()
        && others.all(|place| matches!(place.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']))
}

//! The grammars of names, labels and keys, as matchers written by hand: one pass, no allocation for a good name.
//!
//! Each function returns what is wrong, in Kubernetes' words; nothing when all is well. They never see values
//! of secrets, only names. Source: `k8s.io/apimachinery/pkg/util/validation` and `…/api/validation/path`.

/// What is wrong with a name; empty when nothing is.
pub type Problems = Vec<&'static str>;

/// Letters that a generated name's suffix is made of: no vowels and no look-alikes, so no words appear by chance.
pub const GENERATED_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Bytes kept of a `generateName` before the five letters are added.
pub const GENERATED_BASE_MAX_BYTES: usize = 58;

const SUBDOMAIN_MAX_BYTES: usize = 253;
const LABEL_MAX_BYTES: usize = 63;

macro_rules! label_pattern {
    () => {
        "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    };
}
macro_rules! subdomain_text {
    () => {
        concat!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
             and must start and end with an alphanumeric character (e.g. 'example.com', \
             regex used for validation is '",
            label_pattern!(),
            "(\\.",
            label_pattern!(),
            ")*')"
        )
    };
}
macro_rules! qualified_text {
    () => {
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
         character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
         '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
    };
}

const AT_MOST_253: &str = "must be no more than 253 characters";
const AT_MOST_63: &str = "must be no more than 63 characters";
const SUBDOMAIN: &str = subdomain_text!();
const DNS_LABEL: &str = concat!(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end \
     with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '",
    label_pattern!(),
    "')"
);
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
     '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex \
     used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const SECRET_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. \
     'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/// The grammar of a kind's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameRule {
    /// RFC 1123 subdomain, at most 253 bytes (Secret, ServiceAccount).
    Subdomain,
    /// RFC 1123 label, at most 63 bytes (Namespace).
    Label,
    /// Anything that can stand in a path; used for the RBAC kinds, whose prefixes obey it in full.
    PathSegment,
    /// As `PathSegment`, but a prefix may be `.` or `..`: what every kind is held to on update.
    AnyPathSegment,
}

impl NameRule {
    /// What is wrong with `name`; `prefix` when it is a `generateName`, to which a suffix will be added.
    pub fn problems(self, name: &str, prefix: bool) -> Problems {
        match self {
            Self::Subdomain if prefix => subdomain_bytes(&masked(name)),
            Self::Subdomain => dns1123_subdomain(name),
            Self::Label if prefix => label_bytes(&masked(name)),
            Self::Label => dns1123_label(name),
            Self::AnyPathSegment if prefix => path_segment_prefix(name),
            Self::PathSegment | Self::AnyPathSegment => path_segment(name),
        }
    }
}

/// RFC 1123 subdomain: labels joined by dots, at most 253 bytes.
pub fn dns1123_subdomain(name: &str) -> Problems {
    subdomain_bytes(name.as_bytes())
}

/// RFC 1123 label: lower case letters, digits and inner dashes, at most 63 bytes.
pub fn dns1123_label(name: &str) -> Problems {
    label_bytes(name.as_bytes())
}

/// A name that can be one segment of a URL path: not `.` or `..`, without `/` and `%`.
pub fn path_segment(name: &str) -> Problems {
    match name {
        "." => vec!["may not be '.'"],
        ".." => vec!["may not be '..'"],
        _ => path_segment_prefix(name),
    }
}

/// The beginning of a path segment: as [`path_segment`], but a suffix may still turn `.` into a name.
pub fn path_segment_prefix(name: &str) -> Problems {
    let mut problems = Problems::new();
    if name.contains('/') {
        problems.push("may not contain '/'");
    }
    if name.contains('%') {
        problems.push("may not contain '%'");
    }
    problems
}

/// A label key, finalizer or (lower-cased) annotation key: `[dns-subdomain/]name`.
pub fn qualified_name(name: &str) -> Problems {
    let mut problems = Problems::new();
    let (prefix, local) = match name.split_once('/') {
        None => (None, name),
        Some((_, rest)) if rest.contains('/') => {
            problems.push(concat!(
                "a qualified name ",
                qualified_text!(),
                " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ));
            return problems;
        }
        Some((prefix, local)) => (Some(prefix), local),
    };
    match prefix {
        Some("") => problems.push("prefix part must be non-empty"),
        Some(prefix) => {
            if prefix.len() > SUBDOMAIN_MAX_BYTES {
                problems.push("prefix part must be no more than 253 characters");
            }
            if !is_subdomain(prefix.as_bytes()) {
                problems.push(concat!("prefix part ", subdomain_text!()));
            }
        }
        None => {}
    }
    if local.is_empty() {
        problems.push("name part must be non-empty");
    } else if local.len() > LABEL_MAX_BYTES {
        problems.push("name part must be no more than 63 characters");
    }
    if !is_qualified_part(local.as_bytes()) {
        problems.push(concat!("name part ", qualified_text!()));
    }
    problems
}

/// An annotation's key: a qualified name whose case does not matter.
pub fn annotation_key(key: &str) -> Problems {
    if key.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
        qualified_name(&key.to_lowercase())
    } else {
        qualified_name(key)
    }
}

/// A label's value: empty, or at most 63 bytes beginning and ending with a letter or digit.
pub fn label_value(value: &str) -> Problems {
    let mut problems = Problems::new();
    if value.len() > LABEL_MAX_BYTES {
        problems.push(AT_MOST_63);
    }
    if !value.is_empty() && !is_qualified_part(value.as_bytes()) {
        problems.push(LABEL_VALUE);
    }
    problems
}

/// A key of a Secret's data: 1 to 253 letters, digits, `-`, `_`, `.`; not `.` and not beginning `..`.
pub fn secret_key(key: &str) -> Problems {
    let mut problems = Problems::new();
    if key.len() > SUBDOMAIN_MAX_BYTES {
        problems.push(AT_MOST_253);
    }
    if key.is_empty() || !key.bytes().all(is_qualified_byte) {
        problems.push(SECRET_KEY);
    }
    match key {
        "." => problems.push("must not be '.'"),
        ".." => problems.push("must not be '..'"),
        _ if key.starts_with("..") => problems.push("must not start with '..'"),
        _ => {}
    }
    problems
}

/// A finalizer without a domain must be one of Kubernetes' own.
pub fn is_standard_finalizer(name: &str) -> bool {
    matches!(name, "kubernetes" | "orphan" | "foregroundDeletion")
}

/// The name made from a `generateName`: `base` cut to 58 bytes and five letters chosen by `random`.
///
/// Each random byte is reduced modulo 27, whose bias is harmless: the suffix need not be unpredictable.
pub fn generate_name(base: &str, random: &[u8; 5]) -> String {
    let mut end = base.len().min(GENERATED_BASE_MAX_BYTES);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let mut name = String::with_capacity(end + random.len());
    name.push_str(base.get(..end).unwrap_or_default());
    for byte in random {
        let index = usize::from(*byte) % GENERATED_ALPHABET.len();
        name.push(char::from(GENERATED_ALPHABET.get(index).copied().unwrap_or(b'b')));
    }
    name
}

/// A prefix may end in a dash, because something follows it: its last two bytes count as one letter.
fn masked(prefix: &str) -> Vec<u8> {
    let bytes = prefix.as_bytes();
    match bytes {
        [head @ .., _, b'-'] => {
            let mut masked = head.to_vec();
            masked.push(b'a');
            masked
        }
        _ => bytes.to_vec(),
    }
}

fn subdomain_bytes(name: &[u8]) -> Problems {
    let mut problems = Problems::new();
    if name.len() > SUBDOMAIN_MAX_BYTES {
        problems.push(AT_MOST_253);
    }
    if !is_subdomain(name) {
        problems.push(SUBDOMAIN);
    }
    problems
}

fn label_bytes(name: &[u8]) -> Problems {
    let mut problems = Problems::new();
    if name.len() > LABEL_MAX_BYTES {
        problems.push(AT_MOST_63);
    }
    if !is_dns_label(name) {
        problems.push(if is_subdomain(name) { "must not contain dots" } else { DNS_LABEL });
    }
    problems
}

fn is_subdomain(name: &[u8]) -> bool {
    name.split(|byte| *byte == b'.').all(is_dns_label)
}

fn is_dns_label(name: &[u8]) -> bool {
    let is_outer = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.first().is_some_and(is_outer)
        && name.last().is_some_and(is_outer)
        && name.iter().all(|byte| is_outer(byte) || *byte == b'-')
}

fn is_qualified_part(name: &[u8]) -> bool {
    name.first().is_some_and(u8::is_ascii_alphanumeric)
        && name.last().is_some_and(u8::is_ascii_alphanumeric)
        && name.iter().copied().all(is_qualified_byte)
}

fn is_qualified_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;

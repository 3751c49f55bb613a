//! Files of environment variables, one quoting per dialect.
//!
//! What it never does: drop or alter what a dialect cannot write. Every `Err` of a quoting says why it cannot.

use std::collections::BTreeMap;

use super::{ExportError, Format, SecretDocument};
use crate::sensitive::{SecretBuffer, SecretBytes};

const NUL: &str = "the value holds a NUL byte, which no environment variable can";
const NOT_TEXT: &str = "the value is not UTF-8 text";
const NOT_A_VARIABLE: &str =
    "a variable is called by letters, digits and underscores here, and does not begin with a digit";

/// docker reads lines of less than 64 KiB, with their line break.
const MAX_DOCKER_LINE_BYTES: usize = 65_535;

/// Variables that shells set by themselves, refuse to set, or give a meaning.
const OF_THE_SHELL: [&str; 30] = [
    "_",
    "BASHOPTS",
    "BASHPID",
    "BASH_ALIASES",
    "BASH_ARGC",
    "BASH_ARGV",
    "BASH_CMDS",
    "BASH_COMMAND",
    "BASH_LINENO",
    "BASH_SOURCE",
    "BASH_SUBSHELL",
    "BASH_VERSINFO",
    "COMP_WORDBREAKS",
    "DIRSTACK",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "EUID",
    "FUNCNAME",
    "GROUPS",
    "HISTCMD",
    "LINENO",
    "OPTIND",
    "PIPESTATUS",
    "PPID",
    "RANDOM",
    "SECONDS",
    "SHELLOPTS",
    "SRANDOM",
    "UID",
    "BASH_ARGV0",
];

/// All keys of all Secrets, one line or more each.
pub(super) fn render(secrets: &[SecretDocument], format: Format) -> Result<SecretBytes, ExportError> {
    let mut out = SecretBuffer::default();
    let mut seen: BTreeMap<&str, &SecretDocument> = BTreeMap::new();
    for secret in secrets {
        for (key, value) in &secret.data {
            if let Some(first) = seen.insert(key, secret) {
                return Err(ExportError::KeyTwice { key: key.clone(), first: first.title(), second: secret.title() });
            }
            line(&mut out, format, key, value).map_err(|reason| ExportError::NotCarried {
                format,
                secret: secret.title(),
                key: key.clone(),
                reason,
            })?;
        }
    }
    Ok(out.take())
}

#[expect(clippy::disallowed_methods, reason = "environment files are what these formats show values in")]
fn line(out: &mut SecretBuffer, format: Format, key: &str, value: &SecretBytes) -> Result<(), &'static str> {
    let value = value.expose();
    if value.contains(&0) {
        return Err(NUL);
    }
    let text = || std::str::from_utf8(value).map_err(|_| NOT_TEXT);
    match format {
        Format::Shell => shell(out, key, value)?,
        Format::DockerEnv => docker(out, key, text()?)?,
        Format::SystemdEnv => systemd(out, key, text()?)?,
        _ => dotenv(out, key, text()?)?,
    }
    out.push('\n');
    Ok(())
}

fn is_variable(key: &str) -> bool {
    !key.starts_with(|c: char| c.is_ascii_digit())
        && !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Single quotes, in which a POSIX shell takes every byte as it is; a single quote itself stands outside.
fn shell(out: &mut SecretBuffer, key: &str, value: &[u8]) -> Result<(), &'static str> {
    if !is_variable(key) {
        return Err(NOT_A_VARIABLE);
    }
    if OF_THE_SHELL.contains(&key) {
        return Err("shells keep this variable for themselves");
    }
    out.push_str("export ");
    out.push_str(key);
    out.push_str("='");
    for (index, part) in value.split(|byte| *byte == b'\'').enumerate() {
        if index > 0 {
            out.push_str("'\\''");
        }
        out.extend(part);
    }
    out.push('\'');
    Ok(())
}

/// No quoting at all: the rest of the line is the value, and the line ends at a line feed, less a carriage return.
fn docker(out: &mut SecretBuffer, key: &str, value: &str) -> Result<(), &'static str> {
    if !is_key(key) {
        return Err("the key holds a character that a line cannot begin with");
    }
    if value.contains('\n') {
        return Err("the value has a line break, and this format has one line for a value");
    }
    if value.ends_with('\r') {
        return Err("the value ends with a carriage return, which is read as part of the line break");
    }
    if key.len() + 1 + value.len() > MAX_DOCKER_LINE_BYTES {
        return Err("the line would be longer than the 64 KiB that are read");
    }
    out.push_str(key);
    out.push('=');
    out.push_str(value);
    Ok(())
}

/// Double quotes with the escapes that systemd.exec(5) knows.
fn systemd(out: &mut SecretBuffer, key: &str, value: &str) -> Result<(), &'static str> {
    if !is_variable(key) {
        return Err(NOT_A_VARIABLE);
    }
    if value.contains(|c| c == '\u{feff}' || is_noncharacter(c)) {
        return Err("the value holds a byte-order mark or a Unicode noncharacter, which this format excludes");
    }
    out.push_str(key);
    quoted(out, value, |c| match c {
        '"' => Some("\\\""),
        '\\' => Some("\\\\"),
        '`' => Some("\\`"),
        '$' => Some("\\$"),
        _ => None,
    });
    Ok(())
}

/// U+FDD0 to U+FDEF and the last two of every plane.
fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

/// The characters that a key of a Secret may have.
fn is_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

/// The form that most readers agree on for this value: single quotes or double quotes with nothing in them to escape;
/// else python-dotenv's escapes.
fn dotenv(out: &mut SecretBuffer, key: &str, value: &str) -> Result<(), &'static str> {
    if !is_key(key) {
        return Err("the key holds a character that readers do not accept");
    }
    if value.contains("${") {
        return Err("readers replace ${…} by another variable, and there is no way to stop them");
    }
    if value.ends_with('\\') {
        // Before the closing quote, python-dotenv took it for an escape until 1.2.4, however it was written.
        return Err("the value ends with a backslash, which readers take for part of the closing quote");
    }
    out.push_str(key);
    if value.contains('\r') {
        // Python reads a bare carriage return as a line feed.
        if value.contains('$') {
            return Err("the value has a carriage return, which needs double quotes, in which readers replace $…");
        }
        quoted(out, value, |c| match c {
            '"' => Some("\\\""),
            '\\' => Some("\\\\"),
            '\r' => Some("\\r"),
            '\n' => Some("\\n"),
            _ => None,
        });
        return Ok(());
    }
    if value.contains('\'') && !value.contains(['"', '\\', '$', '`']) {
        quoted(out, value, |_| None);
        return Ok(());
    }
    out.push_str("='");
    // A backslash alone is a backslash for all; before another or a quote it is an escape for some.
    let escaped = value.contains('\'') || value.contains("\\\\");
    for c in value.chars() {
        if escaped && matches!(c, '\'' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('\'');
    Ok(())
}

/// `="…"`
fn quoted(out: &mut SecretBuffer, value: &str, escape: impl Fn(char) -> Option<&'static str>) {
    out.push_str("=\"");
    for c in value.chars() {
        match escape(c) {
            Some(escape) => out.push_str(escape),
            None => out.push(c),
        }
    }
    out.push('"');
}

//! `strongroom secret diff`: what differs between two versions of a Secret: keys and lengths, values only if asked for.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::place::{Place, SecretName, namespace_option, values};
use super::revision::{self, Revision, Wanted};
use crate::cli::connection::ConnectionOptions;
use crate::cli::output::{one_line, print, several_lines};
use crate::cli::{CliError, completion};
use crate::config::Environment;
use crate::sensitive::{Document, SecretBuffer, SecretBytes};

/// Options of `secret diff`.
#[derive(Args)]
pub struct Diff {
    /// The Secret
    #[arg(value_name = "[NAMESPACE/]NAME", value_parser = SecretName::parse, add = completion::secrets())]
    secret: SecretName,
    /// Number of a revision, or its name
    #[arg(value_name = "REVISION", value_parser = Wanted::parse)]
    from: Wanted,
    /// Another one [default: the current one, or the last]
    #[arg(value_name = "OTHER", value_parser = Wanted::parse)]
    to: Option<Wanted>,
    /// Show values
    #[arg(long)]
    reveal: bool,
    /// Its namespace [default: that of the context]
    #[arg(short, long, value_name = "NAMESPACE", value_parser = namespace_option, add = completion::namespaces())]
    namespace: Option<String>,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Diff {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let place = Place::connect(&self.connection, self.namespace.as_deref(), environment)?;
        let id = place.id(&self.secret);
        let all = revision::all(&place, &id)?;
        let from = revision::find(&all, &id, &self.from)?;
        let to = match (&self.to, all.last()) {
            (Some(to), _) => revision::find(&all, &id, to)?,
            (None, Some(last)) => last,
            (None, None) => from,
        };
        let read = |one: &Revision| revision::as_secret(&place, &id, one);
        let (before, after) = (read(from)?, read(to)?);
        let mut out = SecretBuffer::default();
        out.push_str(&format!("{id}: revision {} → {}\n", label(from, to), label(to, from)));
        let is_same = compare(&before, &after, self.reveal, &mut out)?;
        if is_same {
            out.push_str("nothing differs\n");
        }
        #[expect(clippy::disallowed_methods, reason = "values are in it where they were asked for")]
        print(&Zeroizing::new(String::from_utf8_lossy(out.take().expose()).into_owned()));
        Ok(())
    }
}

/// Its number, or its name where the other one is of another Secret.
fn label(one: &Revision, other: &Revision) -> String {
    if one.secret_uid() == other.secret_uid() { one.number().to_string() } else { one.name().to_owned() }
}

/// Writes what differs; whether nothing does.
fn compare(before: &Document, after: &Document, reveal: bool, out: &mut SecretBuffer) -> Result<bool, CliError> {
    let (old, new) = (values(before)?, values(after)?);
    let mut is_same = true;
    for key in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let (was, is) = (old.get(key), new.get(key));
        let length = |value: Option<&SecretBytes>| value.map_or(0, SecretBytes::len);
        let shown = one_line(key);
        match (was, is) {
            (None, _) => out.push_str(&format!("  + {shown} ({} bytes)\n", length(is))),
            (_, None) => out.push_str(&format!("  - {shown} ({} bytes)\n", length(was))),
            (Some(one), Some(other)) if equal(one, other) => continue,
            _ => out.push_str(&format!("  ~ {shown} ({} → {} bytes)\n", length(was), length(is))),
        }
        is_same = false;
        if reveal {
            for (mark, value) in [('-', was), ('+', is)] {
                push_value(mark, value, out);
            }
        }
    }
    for line in of_metadata(before, after) {
        is_same = false;
        out.push_str(&line);
    }
    Ok(is_same)
}

#[expect(clippy::disallowed_methods, reason = "two values are compared")]
fn equal(one: &SecretBytes, other: &SecretBytes) -> bool {
    one.expose() == other.expose()
}

#[expect(clippy::disallowed_methods, reason = "the person who asked for the values is shown them")]
fn push_value(mark: char, value: Option<&SecretBytes>, out: &mut SecretBuffer) {
    let Some(value) = value else { return };
    let Ok(text) = std::str::from_utf8(value.expose()) else {
        out.push_str(&format!("    {mark} (not text)\n"));
        return;
    };
    let shown = Zeroizing::new(several_lines(text));
    for line in shown.lines() {
        out.push_str("    ");
        out.push(mark);
        out.push(' ');
        out.push_str(line);
        out.push('\n');
    }
}

/// Names of labels and annotations that differ, and types.
#[expect(clippy::disallowed_methods, reason = "metadata and type hold no secret values")]
fn of_metadata(before: &Document, after: &Document) -> Vec<String> {
    let mut lines = Vec::new();
    for (field, what) in [("labels", "label"), ("annotations", "annotation")] {
        let of = |document: &Document| -> BTreeMap<String, Value> {
            let map = document.expose().pointer("/metadata").and_then(|all| all.get(field)).and_then(Value::as_object);
            map.into_iter().flat_map(Map::iter).map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let (old, new) = (of(before), of(after));
        for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            let mark = match (old.get(name), new.get(name)) {
                (None, _) => '+',
                (_, None) => '-',
                (was, is) if was == is => continue,
                _ => '~',
            };
            lines.push(format!("  {mark} {what} {}\n", one_line(name)));
        }
    }
    if before.expose().get("type") != after.expose().get("type") {
        lines.push("  ~ type\n".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "the test looks at what was written")]
    fn difference(before: &Value, after: &Value, reveal: bool) -> String {
        let secret = |fields: &Value| {
            let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}});
            secret.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            Document::new(secret)
        };
        let mut out = SecretBuffer::default();
        let is_same = compare(&secret(before), &secret(after), reveal, &mut out).unwrap();
        let text = String::from_utf8(out.take().expose().to_vec()).unwrap();
        assert_eq!(is_same, text.is_empty());
        text
    }

    #[test]
    fn keys_and_lengths_are_told_and_values_when_they_are_asked_for() {
        let before = json!({"data": {"a": "b25l", "b": "eA==", "c": "eQ=="}, "metadata": {"name": "db", "labels": {"l": "1", "m": "1"}}});
        let after = json!({"data": {"a": "dHdvCnRocmVl", "c": "eQ==", "d": "/w=="}, "metadata": {"name": "db", "labels": {"l": "2"}}});
        assert_eq!(
            difference(&before, &after, false),
            "  ~ a (3 → 9 bytes)\n  - b (1 bytes)\n  + d (1 bytes)\n  ~ label l\n  - label m\n"
        );
        let revealed = difference(&before, &after, true);
        assert!(revealed.contains("  ~ a (3 → 9 bytes)\n    - one\n    + two\n    + three\n"), "{revealed}");
        assert!(
            revealed.contains("  - b (1 bytes)\n    - x\n") && revealed.contains("    + (not text)\n"),
            "{revealed}"
        );
        assert_eq!(difference(&after, &after, true), "");
    }
}

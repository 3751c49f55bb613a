//! Secret manifests that hold data: YAML of any number of documents, JSON, lists.
//!
//! A SealedSecret is none. In a SOPS file what is encrypted is passed over, and what is not is found.

use serde_json::Value;

use crate::codec::{json, yaml};
use crate::sensitive::Document;

/// A key of a Secret manifest that holds a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InManifest {
    /// Line of the key, from 1; of the document, where the key is not found in the text.
    pub line: usize,
    /// Name of the Secret; empty where it has none.
    pub secret: String,
    /// The key.
    pub key: String,
}

/// Every such key of a file. What is neither YAML nor JSON holds none.
#[must_use]
pub fn in_manifests(file: &[u8]) -> Vec<InManifest> {
    // What mentions no Secret is not worth reading.
    let Ok(text) = std::str::from_utf8(file) else { return Vec::new() };
    if !text.contains("Secret") || !(text.contains("data") || text.contains("stringData")) {
        return Vec::new();
    }
    let mut found = Vec::new();
    if text.trim_start().starts_with('{') {
        if let Ok(parsed) = json::parse(file) {
            look(&Document::new(parsed.value), text, 0, &mut found);
        }
        return found;
    }
    // Document by document, so that one which is no YAML (a template) does not hide the others.
    let mut first_line = 0;
    for part in documents(text) {
        if part.contains("Secret")
            && let Ok(parsed) = yaml::parse_all(part.as_bytes())
        {
            for parsed in parsed {
                look(&Document::new(parsed.value), part, first_line, &mut found);
            }
        }
        first_line += part.matches('\n').count();
    }
    found
}

/// The documents of a YAML text, each with its separator.
fn documents(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut begin, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        if line.trim_end() == "---" || line.starts_with("--- ") {
            parts.extend(text.get(begin..at));
            begin = at;
        }
        at += line.len();
    }
    parts.extend(text.get(begin..));
    parts
}

#[expect(clippy::disallowed_methods, reason = "keys are told, and whether values are there")]
fn look(document: &Document, text: &str, first_line: usize, found: &mut Vec<InManifest>) {
    secrets(document.expose(), &mut |secret| {
        let name = secret.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let is_sops = secret.get("sops").is_some_and(|sops| sops.get("mac").is_some());
        for field in ["data", "stringData"] {
            for (key, value) in secret.get(field).and_then(Value::as_object).into_iter().flatten() {
                let is_there = match value {
                    Value::Null => false,
                    Value::String(text) if is_sops && text.starts_with("ENC[") => false,
                    Value::String(text) => !text.is_empty(),
                    _ => true,
                };
                if is_there {
                    let line = first_line + line_of_key(text, field, key);
                    found.push(InManifest { line, secret: name.to_owned(), key: key.clone() });
                }
            }
        }
    });
}

fn secrets(value: &Value, each: &mut dyn FnMut(&Value)) {
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "Secret" if value.get("apiVersion").is_none_or(|version| version == "v1") => each(value),
        "List" | "SecretList" => {
            for item in value.get("items").and_then(Value::as_array).into_iter().flatten() {
                if kind == "SecretList" && item.get("kind").is_none() {
                    each(item);
                } else {
                    secrets(item, each);
                }
            }
        }
        _ => {}
    }
}

/// The line of a key below its field, from 1; the first line where it is not found.
fn line_of_key(text: &str, field: &str, key: &str) -> usize {
    let is_of = |line: &str, name: &str| {
        let line = line.trim_start().trim_start_matches(['{', '-', ' ', ',']);
        let rest = [format!("{name}:"), format!("\"{name}\":"), format!("'{name}':")];
        rest.iter().any(|start| {
            line.starts_with(start.as_str())
                || line.contains(&format!("{{{start}"))
                || line.contains(&format!(" {start}"))
        })
    };
    let mut lines = text.lines().enumerate().skip_while(|(_, line)| !is_of(line, field));
    let Some((first, _)) = lines.clone().next() else { return 1 };
    let at = lines.find(|(_, line)| is_of(line, key));
    1 + at.map_or(first, |(at, _)| at)
}

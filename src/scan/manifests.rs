//! Secret manifests that hold data: YAML of any number of documents, JSON, lists.
//!
//! A SealedSecret is none. In a SOPS file what is encrypted is passed over, and what is not is found.

use serde_json::Value;

use crate::codec::yaml::{Lines, segment};
use crate::codec::{json, yaml};
use crate::sensitive::Document;

/// A key of a Secret manifest that holds a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InManifest {
    /// Line of the key, from 1.
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
            look(vec![parsed.value], file, 0, &mut found);
        }
        return found;
    }
    // Document by document, so that one which is no YAML (a template) does not hide the others.
    let mut first_line = 0;
    for part in documents(text) {
        if part.contains("Secret")
            && let Ok(parsed) = yaml::parse_all(part.as_bytes())
        {
            look(parsed.into_iter().map(|parsed| parsed.value).collect(), part.as_bytes(), first_line, &mut found);
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

/// Looks into what was read of `source`. Lines are looked for where something is found only; JSON that is no YAML has none, and
/// is told of as a whole.
#[expect(clippy::disallowed_methods, reason = "keys are told, and whether values are there")]
fn look(documents: Vec<Value>, source: &[u8], first_line: usize, found: &mut Vec<InManifest>) {
    let documents: Vec<Document> = documents.into_iter().map(Document::new).collect();
    let none = Lines::default();
    let mut anything = Vec::new();
    for document in &documents {
        secrets(document.expose(), "", false, &none, &mut anything);
    }
    if anything.is_empty() {
        return;
    }
    let lines = yaml::lines(source).unwrap_or_default();
    let start = found.len();
    for (at, document) in documents.iter().enumerate() {
        secrets(document.expose(), "", false, lines.get(at).unwrap_or(&none), found);
    }
    found.iter_mut().skip(start).for_each(|one| one.line += first_line);
}

/// The Secrets in `value`, which stands at `pointer`. SOPS encrypts a list as a whole, and says so at its top.
fn secrets(value: &Value, pointer: &str, is_sops: bool, lines: &Lines, found: &mut Vec<InManifest>) {
    let is_sops = is_sops || value.get("sops").is_some_and(|sops| sops.get("mac").is_some());
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "Secret" if value.get("apiVersion").is_none_or(|version| version == "v1") => {
            data(value, pointer, is_sops, lines, found);
        }
        "List" | "SecretList" => {
            let items = value.get("items").and_then(Value::as_array).into_iter().flatten();
            for (at, item) in items.enumerate() {
                let pointer = format!("{pointer}/items/{at}");
                if kind == "SecretList" && item.get("kind").is_none() {
                    data(item, &pointer, is_sops, lines, found);
                } else {
                    secrets(item, &pointer, is_sops, lines, found);
                }
            }
        }
        _ => {}
    }
}

fn data(secret: &Value, pointer: &str, is_sops: bool, lines: &Lines, found: &mut Vec<InManifest>) {
    let name = secret.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    for field in ["data", "stringData"] {
        for (key, value) in secret.get(field).and_then(Value::as_object).into_iter().flatten() {
            let is_there = match value {
                Value::Null => false,
                Value::String(text) if is_sops && text.starts_with("ENC[") && text.ends_with(']') => false,
                Value::String(text) => !text.is_empty(),
                _ => true,
            };
            if is_there {
                let line = lines.of(&format!("{pointer}/{field}/{}", segment(key)));
                found.push(InManifest { line, secret: name.to_owned(), key: key.clone() });
            }
        }
    }
}

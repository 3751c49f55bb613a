//! What `secret edit` offers to an editor, and what is read back: YAML, with text as it is.
//!
//! Pure. What it never does: put a value into a message, or change what was not edited.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::get::text as as_text;
use super::place::{Id, key_option, values};
use super::writing::{State, encode};
use crate::cli::CliError;
use crate::codec::yaml;
use crate::export::decode;
use crate::sensitive::{Document, SecretBuffer, SecretBytes};

/// Holds all values once more, and is `kubectl apply`'s own.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const FIELDS: [&str; 7] = ["apiVersion", "data", "immutable", "kind", "metadata", "stringData", "type"];

/// A Secret as a person edits it.
pub struct Content {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    immutable: bool,
    values: BTreeMap<String, SecretBytes>,
}

/// A Secret as the server has it.
pub struct Original {
    id: Id,
    secret_type: String,
    pub state: State,
    content: Content,
}

impl Original {
    #[expect(clippy::disallowed_methods, reason = "the Secret is taken apart, values into secrets of their own")]
    pub fn read(id: &Id, secret: &Document) -> Result<Self, CliError> {
        let object = secret.expose();
        let texts = |pointer: &str| {
            let entries = object.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
            let entries = entries.filter(|(key, _)| *key != LAST_APPLIED);
            entries.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
        };
        Ok(Self {
            id: id.clone(),
            secret_type: object.get("type").and_then(Value::as_str).unwrap_or("Opaque").to_owned(),
            state: State::of(secret),
            content: Content {
                labels: texts("/metadata/labels"),
                annotations: texts("/metadata/annotations"),
                immutable: object.get("immutable").is_some_and(|immutable| *immutable == true),
                values: values(secret)?,
            },
        })
    }

    /// The draft, below what is said about it.
    #[expect(clippy::disallowed_methods, reason = "the draft is what was asked for, and is wiped")]
    pub fn draft(&self) -> SecretBytes {
        let content = &self.content;
        let (mut texts, mut data) = (Map::new(), Map::new());
        for (key, value) in &content.values {
            match as_text(value).filter(|text| survives(text)) {
                Some(text) => texts.insert(key.clone(), text.into()),
                None => data.insert(key.clone(), encode(value).into()),
            };
        }
        let mut metadata = json!({"name": self.id.name, "namespace": self.id.namespace});
        let mut object = json!({"apiVersion": "v1", "kind": "Secret", "type": self.secret_type});
        if let (Some(metadata), Some(object)) = (metadata.as_object_mut(), object.as_object_mut()) {
            for (field, entries) in [("labels", &content.labels), ("annotations", &content.annotations)] {
                if !entries.is_empty() {
                    metadata.insert(field.to_owned(), json!(entries));
                }
            }
            if content.immutable {
                object.insert("immutable".to_owned(), true.into());
            }
            // Always there, so that it is seen where a new value goes.
            object.insert("stringData".to_owned(), Value::Object(texts));
            if !data.is_empty() {
                object.insert("data".to_owned(), Value::Object(data));
            }
        }
        if let Some(object) = object.as_object_mut() {
            object.insert("metadata".to_owned(), metadata);
        }
        let object = Document::new(object);
        let mut out = SecretBuffer::with_capacity(4096);
        out.push_str(&self.header(&[]));
        yaml::write(&mut out, object.expose());
        out.take()
    }

    /// What stands above a draft: `notes` first.
    fn header(&self, notes: &[String]) -> String {
        let mut out = String::new();
        for line in notes.iter().flat_map(|note| note.lines()) {
            let _ = writeln!(out, "# ! {}", crate::cli::output::one_line(line));
        }
        let _ = write!(
            out,
            "# The Secret {}. Text stands under stringData as it is, and what is not text under data in base64.\n\
             # A key that is taken away here is taken away from the Secret. To give up, save nothing but comments, or leave\n\
             # the editor with an error.\n",
            self.id
        );
        out
    }

    /// The draft as it was saved, with `notes` above it in place of what was said before.
    #[expect(clippy::disallowed_methods, reason = "the draft is offered again, and is wiped")]
    pub fn offer_again(&self, saved: &SecretBytes, notes: &[String]) -> SecretBytes {
        let saved = saved.expose();
        let mut rest = saved;
        while rest.starts_with(b"#") {
            let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
            rest = rest.get(end..).unwrap_or_default();
        }
        let header = self.header(notes);
        let mut out = SecretBuffer::with_capacity(header.len() + rest.len());
        out.push_str(&header);
        out.extend(rest);
        out.take()
    }

    /// What was saved; `None` where that is nothing. Otherwise all that is wrong with it.
    #[expect(clippy::disallowed_methods, reason = "the draft is taken apart, values into secrets of their own")]
    pub fn read_draft(&self, saved: &SecretBytes) -> Result<Option<Content>, Vec<String>> {
        let parsed = yaml::parse(saved.expose()).map_err(|error| vec![error.to_string()])?;
        let document = Document::new(parsed.value);
        let mut problems: Vec<String> = parsed.duplicates.iter().map(ToString::to_string).collect();
        let object = match document.expose() {
            Value::Null => return Ok(None),
            Value::Object(object) => object,
            _ => return Err(vec!["this is no object".to_owned()]),
        };
        self.check_fixed(document.expose(), &mut problems);
        let texts = |field: &str, problems: &mut Vec<String>| {
            let mut texts = BTreeMap::new();
            for (key, value) in entries(document.expose(), &format!("/metadata/{field}"), problems) {
                match value.as_str() {
                    Some(text) => drop(texts.insert(key.clone(), text.to_owned())),
                    None => problems.push(format!("metadata.{field}.{key} is no text: put it in quotes")),
                }
            }
            texts
        };
        let labels = texts("labels", &mut problems);
        let annotations = texts("annotations", &mut problems);
        let immutable = match object.get("immutable") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(immutable)) => *immutable,
            Some(_) => {
                problems.push("immutable is neither true nor false".to_owned());
                false
            }
        };
        let mut values = BTreeMap::new();
        for field in ["stringData", "data"] {
            for (key, value) in entries(document.expose(), &format!("/{field}"), &mut problems) {
                if let Err(problem) = key_option(key) {
                    problems.push(format!("{field}: {problem}"));
                    continue;
                }
                let read = match value {
                    Value::Null => Some(Vec::new()),
                    Value::String(text) if field == "data" => decode(text),
                    Value::String(text) => Some(text.as_bytes().to_vec()),
                    _ if field == "data" => None,
                    _ => {
                        problems.push(format!("stringData.{key} is no text: put it in quotes"));
                        continue;
                    }
                };
                let Some(bytes) = read else {
                    problems.push(format!("data.{key} is not base64: text goes under stringData"));
                    continue;
                };
                if values.insert(key.clone(), SecretBytes::new(bytes)).is_some() {
                    problems.push(format!("{key} stands under stringData and under data"));
                }
            }
        }
        if problems.is_empty() { Ok(Some(Content { labels, annotations, immutable, values })) } else { Err(problems) }
    }

    /// What is not edited here.
    fn check_fixed(&self, object: &Value, problems: &mut Vec<String>) {
        let unknown = |fields: Option<&Map<String, Value>>, known: &[&str], prefix: &str| -> Vec<String> {
            let fields = fields.into_iter().flatten().filter(|(field, _)| !known.contains(&field.as_str()));
            // A slip of the pen makes a field of a value.
            let name = |field: &str| {
                if field.bytes().all(|c| c.is_ascii_alphabetic()) { field.to_owned() } else { "…".to_owned() }
            };
            fields.map(|(field, _)| format!("{prefix}{} is no field that is edited here", name(field))).collect()
        };
        problems.extend(unknown(object.as_object(), &FIELDS, ""));
        let metadata = object.get("metadata").and_then(Value::as_object);
        problems.extend(unknown(metadata, &["annotations", "labels", "name", "namespace"], "metadata."));
        for (pointer, expected, advice) in [
            ("/apiVersion", "v1", ""),
            ("/kind", "Secret", ""),
            ("/metadata/name", &self.id.name, ": `strongroom secret rename` does"),
            ("/metadata/namespace", &self.id.namespace, ": `strongroom secret rename` does"),
            ("/type", &self.secret_type, ": make a new Secret"),
        ] {
            if object.pointer(pointer).is_some_and(|value| value != expected) {
                problems.push(format!(
                    "{} cannot be changed here{advice}",
                    pointer.replace('/', ".").trim_start_matches('.')
                ));
            }
        }
    }

    /// A merge patch of what was edited, for this state alone; `None` where that is nothing.
    pub fn patch(&self, edited: &Content) -> Option<Map<String, Value>> {
        let content = &self.content;
        let mut metadata = Map::new();
        for (field, before, after) in
            [("labels", &content.labels, &edited.labels), ("annotations", &content.annotations, &edited.annotations)]
        {
            let mut changes = Map::new();
            changes.extend(before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key.clone(), Value::Null)));
            let new = after.iter().filter(|(key, text)| before.get(*key) != Some(text));
            changes.extend(new.map(|(key, text)| (key.clone(), text.as_str().into())));
            if !changes.is_empty() {
                metadata.insert(field.to_owned(), Value::Object(changes));
            }
        }
        let mut data = Map::new();
        for key in changed(&content.values, &edited.values) {
            let value = edited.values.get(&key).map_or(Value::Null, |value| encode(value).into());
            data.insert(key, value);
        }
        let mut patch = Map::new();
        if content.immutable != edited.immutable {
            patch.insert("immutable".to_owned(), edited.immutable.into());
        }
        if !data.is_empty() {
            patch.insert("data".to_owned(), Value::Object(data));
        }
        if patch.is_empty() && metadata.is_empty() {
            return None;
        }
        metadata.extend(self.state.metadata());
        patch.insert("metadata".to_owned(), Value::Object(metadata));
        Some(patch)
    }

    /// Takes over the state that the server has now; says what somebody else has changed, and what of it `edited` changes
    /// too. What is edited is still what differs from the state that was read first.
    pub fn follow(&mut self, now: Self, edited: &Content) -> String {
        let theirs = changed(&self.content.values, &now.content.values);
        let ours = changed(&self.content.values, &edited.values);
        let both: Vec<&str> = theirs.intersection(&ours).map(String::as_str).collect();
        let what = match theirs.len() {
            0 => "but no value".to_owned(),
            _ => theirs.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
        };
        let overlap = match both.len() {
            0 => String::new(),
            _ => format!(" What you have changed too is yours then: {}.", both.join(", ")),
        };
        self.state = now.state;
        format!(
            "{} was changed by somebody else meanwhile: {what}. Save this to make your changes to what is there now.{overlap}",
            self.id
        )
    }
}

/// Keys that one of the two has alone, or with another value.
#[expect(clippy::disallowed_methods, reason = "values are compared")]
fn changed(before: &BTreeMap<String, SecretBytes>, after: &BTreeMap<String, SecretBytes>) -> BTreeSet<String> {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differs = |key: &&String| before.get(*key).map(SecretBytes::expose) != after.get(*key).map(SecretBytes::expose);
    keys.into_iter().filter(differs).cloned().collect()
}

/// Whether YAML gives it back as it is.
fn survives(text: &str) -> bool {
    let object = Document::new(json!({"k": text}));
    let mut written = SecretBuffer::with_capacity(text.len() * 2 + 64);
    #[expect(clippy::disallowed_methods, reason = "what was written is read back and compared")]
    yaml::write(&mut written, object.expose());
    let written = written.take();
    #[expect(clippy::disallowed_methods, reason = "what was written is read back and compared")]
    let read = yaml::parse(written.expose()).map(|parsed| Document::new(parsed.value));
    #[expect(clippy::disallowed_methods, reason = "what was written is read back and compared")]
    read.is_ok_and(|read| read.expose() == object.expose())
}

/// The entries of a map; that it is none is a problem, that it is not there is not.
fn entries<'a>(object: &'a Value, pointer: &str, problems: &mut Vec<String>) -> Vec<(&'a String, &'a Value)> {
    match object.pointer(pointer) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Object(fields)) => fields.iter().collect(),
        Some(_) => {
            problems.push(format!("{} is no map", pointer.replace('/', ".").trim_start_matches('.')));
            Vec::new()
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests look at what they edit")]
mod tests {
    use super::*;

    fn original(extra: &Value) -> Original {
        let mut secret = json!({
            "kind": "Secret", "apiVersion": "v1", "type": "Opaque",
            "metadata": {"name": "db", "namespace": "prod", "uid": "u", "resourceVersion": "7", "labels": {"a": "b"},
                "annotations": {LAST_APPLIED: "all of it"}},
            "data": {"user": "YWRh", "raw": "AAE=", "pem": "YQpiCg=="},
        });
        secret.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let id = Id { namespace: "prod".to_owned(), name: "db".to_owned() };
        Original::read(&id, &Document::new(secret)).unwrap()
    }

    fn text(bytes: &SecretBytes) -> String {
        String::from_utf8(bytes.expose().to_vec()).unwrap()
    }

    fn bytes(text: &str) -> SecretBytes {
        SecretBytes::new(text.as_bytes().to_vec())
    }

    #[test]
    fn a_draft_shows_text_as_it_is_and_reads_back_as_nothing_new() {
        let original = original(&json!({}));
        let draft = original.draft();
        let text = text(&draft);
        let body = &text[text.find("apiVersion").unwrap()..];
        assert_eq!(
            body,
            "apiVersion: v1\ndata:\n  raw: AAE=\nkind: Secret\nmetadata:\n  labels:\n    a: b\n  name: db\n  namespace: prod\n\
             stringData:\n  pem: |\n    a\n    b\n  user: ada\ntype: Opaque\n"
        );
        let read = original.read_draft(&draft).unwrap().unwrap();
        assert!(original.patch(&read).is_none());
        assert!(original.read_draft(&bytes("# nothing\n")).unwrap().is_none());
    }

    #[test]
    fn values_of_any_form_come_through() {
        for value in [
            "",
            " ",
            "yes",
            "017",
            "null",
            "- a",
            "a: b",
            "x\r\ny",
            "\ttab",
            "a\n\n",
            "\u{2028}",
            "\u{feff}x",
            "~",
            "'\"",
            "#x",
            "a #b",
            "\u{85}",
        ] {
            let original = original(&json!({"data": {"k": encode(&bytes(value))}}));
            let read = original.read_draft(&original.draft()).map_err(|problems| format!("{value:?}: {problems:?}"));
            assert_eq!(read.unwrap().unwrap().values["k"].expose(), value.as_bytes(), "{value:?}");
        }
    }

    #[test]
    fn a_patch_is_what_was_edited_and_nothing_else() {
        let original = original(&json!({}));
        let saved = text(&original.draft())
            .replace("user: ada", "user: eve\n  port: \"5432\"")
            .replace("  raw: AAE=\n", "")
            .replace("a: b", "c: d");
        let edited = original.read_draft(&bytes(&saved)).unwrap().unwrap();
        assert_eq!(
            Value::Object(original.patch(&edited).unwrap()),
            json!({
                "data": {"port": "NTQzMg==", "raw": null, "user": "ZXZl"},
                "metadata": {"labels": {"a": null, "c": "d"}, "uid": "u", "resourceVersion": "7"},
            })
        );
    }

    #[test]
    fn all_that_is_wrong_is_told_without_a_value() {
        let original = original(&json!({}));
        let draft = text(&original.draft());
        for (saved, told) in [
            (draft.replace("  user: ada", "  user: [hunter2"), vec!["yaml: line "]),
            (
                draft.replace("user: ada", "port: 5432\n  a b: hunter2\n  raw: hunter2"),
                vec!["stringData.port is no text", "KEY", "raw stands under stringData and under data"],
            ),
            (draft.replace("raw: AAE=", "raw: hunter2!"), vec!["data.raw is not base64"]),
            (draft.replace("name: db", "name: other"), vec!["metadata.name cannot be changed here"]),
            (
                draft.replace("Opaque", "kubernetes.io/tls") + "status: hunter2\n",
                vec!["status is no field", "type cannot be changed"],
            ),
            (draft.replace("user: ada", "user: ada\n  user: hunter2"), vec!["already set in map"]),
            ("- hunter2\n".to_owned(), vec!["no object"]),
        ] {
            let problems = original.read_draft(&bytes(&saved)).err().unwrap().join("\n");
            assert!(!problems.contains("hunter2"), "{problems}");
            for told in told {
                assert!(problems.contains(told), "{told}: {problems}");
            }
        }
    }

    #[test]
    fn what_was_saved_is_offered_again_below_the_reason() {
        let original = original(&json!({}));
        let saved = text(&original.draft()) + "# mine\nbroken: [\n";
        let again = text(&original.offer_again(&bytes(&saved), &["yaml: line 3".to_owned()]));
        assert!(again.starts_with("# ! yaml: line 3\n# The Secret prod/db"), "{again}");
        assert!(again.ends_with("# mine\nbroken: [\n") && again.matches("# The Secret").count() == 1, "{again}");
        let third = text(&original.offer_again(&bytes(&again), &["other".to_owned()]));
        assert!(!third.contains("line 3"), "{third}");
    }

    #[test]
    fn changes_of_others_are_kept_and_told() {
        let mut mine = original(&json!({}));
        let saved = text(&mine.draft()).replace("user: ada", "user: eve");
        let edited = mine.read_draft(&bytes(&saved)).unwrap().unwrap();
        let theirs = json!({"metadata": {"name": "db", "uid": "u", "resourceVersion": "9"}, "data": {"user": "Ym9i", "raw": "AAI=", "pem": "YQpiCg=="}});
        let note = mine.follow(original(&theirs), &edited);
        assert!(note.contains("raw, user") && note.contains("yours then: user."), "{note}");
        let patch = Value::Object(mine.patch(&edited).unwrap());
        assert_eq!(patch, json!({"data": {"user": "ZXZl"}, "metadata": {"uid": "u", "resourceVersion": "9"}}));
    }
}

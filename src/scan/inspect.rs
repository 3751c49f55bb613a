//! What a file of manifests gives away: every key of every Secret in it, and whether anything but base64 is before it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::codec::{ParseError, lenient_documents};
use crate::sensitive::SecretBytes;

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object of the file.
pub struct Inspected {
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty where it has none.
    pub namespace: String,
    /// Its name; empty where it has none.
    pub name: String,
    /// The type of a Secret.
    pub secret_type: String,
    /// What is before its values.
    pub protection: Protection,
    /// Its keys.
    pub entries: Vec<Entry>,
    /// Whether an annotation holds all of it once more, as `kubectl apply` leaves it.
    pub has_copy: bool,
}

/// What keeps a reader of the file from the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Nothing: base64 is an encoding.
    None,
    /// A SealedSecret: encrypted to the controller of a cluster.
    Sealed,
    /// SOPS: encrypted to its recipients, but for what is not.
    Sops,
    /// There are no values, or it is an object of another kind.
    NoValues,
}

/// A key.
pub struct Entry {
    /// The key.
    pub key: String,
    /// `data`, `stringData` or `encryptedData`.
    pub field: &'static str,
    /// What stands there.
    pub found: Found,
}

/// What stands under a key.
pub enum Found {
    /// The value, for everybody who has the file.
    Value(SecretBytes),
    /// Ciphertext of so many characters.
    Encrypted(usize),
    /// Neither.
    Unreadable(&'static str),
}

/// Every object of a file, in its order; lists are taken apart.
pub fn inspect(file: &[u8]) -> Result<Vec<Inspected>, ParseError> {
    let (documents, _) = lenient_documents(file)?;
    let mut found = Vec::new();
    for document in &documents {
        #[expect(clippy::disallowed_methods, reason = "values move into secrets of their own")]
        object(document.expose(), false, &mut found);
    }
    Ok(found)
}

fn object(value: &Value, is_sops: bool, found: &mut Vec<Inspected>) {
    let Some(fields) = value.as_object() else { return };
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = text("/kind");
    let is_sops = is_sops || value.pointer("/sops/mac").is_some();
    if kind == "List" || kind == "SecretList" {
        for item in fields.get("items").and_then(Value::as_array).into_iter().flatten() {
            object(item, is_sops, found);
        }
        return;
    }
    let mut entries = Vec::new();
    let mut add = |field: &'static str, at: &str, read: &dyn Fn(&Value) -> Found| {
        for (key, value) in value.pointer(at).and_then(Value::as_object).into_iter().flatten() {
            entries.push(Entry { key: key.clone(), field, found: read(value) });
        }
    };
    let is_secret = kind == "Secret" && matches!(text("/apiVersion").as_str(), "v1" | "");
    if is_secret {
        add("data", "/data", &|value| encoded(value, is_sops));
        add("stringData", "/stringData", &|value| plain(value, is_sops));
    } else if kind == "SealedSecret" {
        add("encryptedData", "/spec/encryptedData", &|value| Found::Encrypted(value.as_str().map_or(0, str::len)));
        // What a controller takes over as it is.
        add("data", "/spec/template/data", &|value| plain(value, false));
    }
    let protection = match kind.as_str() {
        "SealedSecret" => Protection::Sealed,
        _ if entries.is_empty() => Protection::NoValues,
        _ if is_sops => Protection::Sops,
        _ => Protection::None,
    };
    let has_copy = value.pointer("/metadata/annotations").and_then(|all| all.get(LAST_APPLIED)).is_some();
    found.push(Inspected {
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name"),
        secret_type: if is_secret { text("/type") } else { String::new() },
        has_copy: has_copy && is_secret,
        kind,
        protection,
        entries,
    });
}

fn encrypted(text: &str, is_sops: bool) -> Option<Found> {
    (is_sops && text.starts_with("ENC[") && text.ends_with(']')).then(|| Found::Encrypted(text.len()))
}

fn encoded(value: &Value, is_sops: bool) -> Found {
    let text = match value {
        Value::Null => return Found::Value(SecretBytes::new(Vec::new())),
        Value::String(text) => text,
        _ => return Found::Unreadable("not text"),
    };
    if let Some(found) = encrypted(text, is_sops) {
        return found;
    }
    // Line breaks within are passed over, as Go does.
    let joined = Zeroizing::new(text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect::<Vec<u8>>());
    match STANDARD.decode(joined.as_slice()) {
        Ok(bytes) => Found::Value(SecretBytes::new(bytes)),
        Err(_) => Found::Unreadable("not base64: no server takes it"),
    }
}

fn plain(value: &Value, is_sops: bool) -> Found {
    match value {
        Value::Null => Found::Value(SecretBytes::new(Vec::new())),
        Value::String(text) => {
            encrypted(text, is_sops).unwrap_or_else(|| Found::Value(SecretBytes::new(text.as_bytes().to_vec())))
        }
        _ => Found::Unreadable("not text: no server takes it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "the test looks at what was read")]
    fn shown(file: &str) -> Vec<String> {
        let line = |object: &Inspected| {
            let entries = object.entries.iter().map(|entry| {
                let found = match &entry.found {
                    Found::Value(value) => String::from_utf8_lossy(value.expose()).into_owned(),
                    Found::Encrypted(length) => format!("<{length}>"),
                    Found::Unreadable(why) => format!("!{why}"),
                };
                format!(" {}.{}={found}", entry.field, entry.key)
            });
            let entries: String = entries.collect();
            format!("{} {}/{} {:?}{entries}", object.kind, object.namespace, object.name, object.protection)
        };
        inspect(file.as_bytes()).unwrap().iter().map(line).collect()
    }

    #[test]
    fn every_value_that_is_not_encrypted_is_found() {
        let file = "kind: Secret\napiVersion: v1\nmetadata: {name: db, namespace: prod}\ndata: {a: eA==, b: '!', c: null}\nstringData: {d: open, e: 7}\n\
            ---\nkind: SealedSecret\nmetadata: {name: s}\nspec: {encryptedData: {k: AgBy}, template: {data: {t: open}}}\n\
            ---\nkind: ConfigMap\nmetadata: {name: c}\ndata: {k: v}\n---\n\
            kind: Secret\nmetadata: {name: x}\nstringData: {k: 'ENC[AES256_GCM,data:x]', open: z}\nsops: {mac: m}\n";
        assert_eq!(
            shown(file),
            [
                "Secret prod/db None data.a=x data.b=!not base64: no server takes it data.c= stringData.d=open \
                 stringData.e=!not text: no server takes it",
                "SealedSecret /s Sealed encryptedData.k=<4> data.t=open",
                "ConfigMap /c NoValues",
                "Secret /x Sops stringData.k=<22> stringData.open=z",
            ]
        );
        let list = r#"{"kind":"List","items":[{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a"},"data":{"k":"eA=="}}]}"#;
        assert_eq!(shown(list), ["Secret /a None data.k=x"]);
        assert!(inspect(b"a: [").is_err());
        assert!(shown("").is_empty());
    }
}

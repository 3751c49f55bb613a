//! Reads SOPS files that are encrypted to age recipients.
//!
//! Nothing is given out before the MAC over all leaves is found right. Which leaves are encrypted is seen from their form
//! and not from the file's rules: a leaf in plain text changes the MAC as well. What it never does: ask a key service, or
//! put a key or a value into an error.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::age::{self, Identity};
use super::primitives::{Key, TAG_BYTES, gcm32_open};
use super::sops::{Mac, NONCE_BYTES, flag_text};
use crate::codec::{DocumentsError, ParseError, documents};
use crate::sensitive::Document;

/// The lists of keys that are no age keys.
const OTHER_KEYS: [&str; 7] = ["kms", "gcp_kms", "azure_kv", "hc_vault", "pgp", "hckms", "key_groups"];

/// Why a SOPS file was not read. Paths are field names with a colon behind each.
#[derive(Debug, thiserror::Error)]
pub enum SopsError {
    /// Neither YAML nor JSON.
    #[error("the file cannot be read: {0}")]
    Parse(#[from] ParseError),
    /// A field is set twice, which SOPS and we could read differently.
    #[error("a field is set twice: {0}")]
    Duplicate(String),
    /// No `sops` field, or one that lacks something.
    #[error("not a SOPS file: its field `sops` is missing or has no {0}")]
    NotSops(&'static str),
    /// Keys that are no age keys.
    #[error("the file is encrypted to {0} as well; only files for age recipients alone are read")]
    OtherKeys(&'static str),
    /// No identity opens it.
    #[error("none of the given age identities can decrypt the file")]
    NoIdentity,
    /// A leaf is not what was encrypted there.
    #[error("the value at {0} does not decrypt: it was changed or moved")]
    Value(String),
    /// A leaf of a type that is not known.
    #[error("the value at {path} has the type {kind}, which is not known here")]
    Type {
        /// Where.
        path: String,
        /// `bytes`, `time`, …
        kind: String,
    },
    /// The MAC does not fit the leaves.
    #[error("the MAC of the file does not fit its values: something was changed, moved, added or removed")]
    Mac,
}

/// The documents of a SOPS file in plain text, without their `sops` field, in their order.
pub fn decrypt(file: &[u8], identities: &[Identity]) -> Result<Vec<Document>, SopsError> {
    let mut documents = parse(file)?;
    let mut metadata = None;
    for document in &mut documents {
        if let Some(fields) = fields_of(document) {
            let own = fields.shift_remove("sops");
            metadata = metadata.or(own);
        }
    }
    let metadata = metadata.ok_or(SopsError::NotSops("content"))?;
    let data_key = data_key(&metadata, identities)?;
    let text = |field| metadata.get(field).and_then(Value::as_str);
    let time = text("lastmodified").ok_or(SopsError::NotSops("lastmodified"))?;
    let stored = text("mac").ok_or(SopsError::NotSops("mac"))?;
    let stored = open(&data_key, stored, time).ok_or(SopsError::Mac)?;
    let encrypted_only = metadata.get("mac_only_encrypted").and_then(Value::as_bool).unwrap_or_default();

    let mut opening = Opening { data_key: &data_key, mac: Mac::new(encrypted_only), path: String::new() };
    for document in &mut documents {
        opening.document(document)?;
    }
    if bool::from(opening.mac.text().as_bytes().ct_eq(stored.text.as_bytes())) {
        Ok(documents)
    } else {
        Err(SopsError::Mac)
    }
}

fn parse(file: &[u8]) -> Result<Vec<Document>, SopsError> {
    documents(file).map_err(|error| match error {
        DocumentsError::Parse(error) => error.into(),
        DocumentsError::Duplicate { key, .. } => SopsError::Duplicate(key),
    })
}

#[expect(clippy::disallowed_methods, reason = "the field of SOPS is taken out; values are encrypted still")]
fn fields_of(document: &mut Document) -> Option<&mut Map<String, Value>> {
    document.expose_mut().as_object_mut()
}

fn data_key(metadata: &Value, identities: &[Identity]) -> Result<Key, SopsError> {
    let is_used = |field: &str| metadata.get(field).and_then(Value::as_array).is_some_and(|keys| !keys.is_empty());
    if let Some(other) = OTHER_KEYS.into_iter().find(|field| is_used(field)) {
        return Err(SopsError::OtherKeys(other));
    }
    let keys = metadata.get("age").and_then(Value::as_array).filter(|keys| !keys.is_empty());
    let keys = keys.ok_or(SopsError::NotSops("age recipients"))?;
    let wrapped = keys.iter().filter_map(|key| key.get("enc").and_then(Value::as_str));
    let opened = wrapped.filter_map(|armored| age::decrypt(armored, identities));
    let key: Option<Key> = opened.filter_map(|key| <[u8; 32]>::try_from(key.as_slice()).ok()).map(Key::new).next();
    key.ok_or(SopsError::NoIdentity)
}

struct Opening<'a> {
    data_key: &'a Key,
    mac: Mac,
    path: String,
}

impl Opening<'_> {
    #[expect(clippy::disallowed_methods, reason = "values are decrypted where they stand")]
    fn document(&mut self, document: &mut Document) -> Result<(), SopsError> {
        self.value(document.expose_mut())
    }

    fn value(&mut self, value: &mut Value) -> Result<(), SopsError> {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let before = self.path.len();
                    self.path.push_str(name);
                    self.path.push(':');
                    self.value(value)?;
                    self.path.truncate(before);
                }
            }
            // A place in a list is no part of the path.
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.value(item))?,
            Value::String(text) if text.starts_with("ENC[") => {
                let opened =
                    open(self.data_key, text, &self.path).ok_or_else(|| SopsError::Value(self.path.clone()))?;
                self.mac.add(opened.text.as_bytes(), true);
                let typed = opened.typed().ok_or_else(|| SopsError::Type {
                    path: self.path.clone(),
                    kind: opened.kind.chars().filter(char::is_ascii_alphanumeric).take(16).collect(),
                })?;
                *value = typed;
            }
            Value::String(text) => self.mac.add(text.as_bytes(), false),
            Value::Bool(flag) => self.mac.add(flag_text(*flag).as_bytes(), false),
            Value::Number(number) => {
                // Rust writes a float without an exponent and shortest, as SOPS does.
                let text = match number.as_f64() {
                    Some(float) if number.is_f64() => float.to_string(),
                    _ => number.to_string(),
                };
                self.mac.add(text.as_bytes(), false);
            }
            Value::Null => {}
        }
        Ok(())
    }
}

/// A decrypted leaf.
struct Opened {
    text: Zeroizing<String>,
    kind: String,
}

impl Opened {
    fn typed(&self) -> Option<Value> {
        match self.kind.as_str() {
            "str" => Some(Value::String(self.text.as_str().to_owned())),
            "int" => self.text.parse::<i64>().ok().map(Value::from),
            "float" => self.text.parse::<f64>().ok().map(Value::from),
            "bool" => match self.text.as_str() {
                "True" | "true" => Some(Value::Bool(true)),
                "False" | "false" => Some(Value::Bool(false)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// `None` for another form, or what does not authenticate.
fn open(data_key: &Key, leaf: &str, path: &str) -> Option<Opened> {
    let fields = leaf.strip_prefix("ENC[AES256_GCM,data:")?.strip_suffix(']')?;
    let (data, fields) = fields.split_once(",iv:")?;
    let (nonce, fields) = fields.split_once(",tag:")?;
    let (tag, kind) = fields.split_once(",type:")?;
    let nonce: [u8; NONCE_BYTES] = STANDARD.decode(nonce).ok()?.try_into().ok()?;
    let tag: [u8; TAG_BYTES] = STANDARD.decode(tag).ok()?.try_into().ok()?;
    let mut bytes = STANDARD.decode(data).ok()?;
    gcm32_open(data_key, &nonce, path.as_bytes(), &mut bytes, &tag)?;
    match String::from_utf8(bytes) {
        Ok(text) => Some(Opened { text: Zeroizing::new(text), kind: kind.to_owned() }),
        Err(error) => {
            error.into_bytes().zeroize();
            None
        }
    }
}

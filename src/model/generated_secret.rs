//! What a GeneratedSecret asks for, read into types.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::certificate::{SecretTemplate, length, secret_name};
use super::field_error::FieldError;
use super::secret_owner::check_request;
use super::validation::secret::SERVICE_ACCOUNT_TOKEN;
use super::validation::{list, names, text};

/// Behind the name of a key: that of its former value.
pub const PREVIOUS: &str = ".previous";
/// The words of `generator`.
pub const GENERATORS: [&str; 4] = ["base64", "hex", "password", "uuid"];

const KEYS_MAX: usize = 64;
/// Of characters, and of random bytes: more than anybody guesses.
const LENGTH_MIN: i64 = 16;
const LENGTH: usize = 32;
const LENGTH_MAX: i64 = 4_096;
/// Sixteen characters of an alphabet of sixteen are 64 bits.
const ALPHABET_MIN: usize = 16;
const LETTERS_AND_DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const INTERVAL_MIN: Duration = Duration::from_mins(1);

/// How a value is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Generator {
    /// So many characters of an alphabet, each as likely as the others.
    Password {
        /// How many.
        length: usize,
        /// ASCII, each once, sorted.
        alphabet: Vec<u8>,
    },
    /// So many random bytes in hexadecimal digits.
    Hex(usize),
    /// So many random bytes in base64.
    Base64(usize),
    /// A UUID of version 4.
    Uuid,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// How its value is made.
    pub generator: Generator,
}

impl Key {
    /// What a value must have been made for to be as it is asked for.
    #[must_use]
    pub fn wish(&self) -> String {
        format!("{:?}", self.generator)
    }
}

/// `spec` of a GeneratedSecret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The Secret that gets the values.
    pub secret_name: String,
    /// Its type.
    pub secret_type: String,
    /// Its keys, at least one.
    pub keys: Vec<Key>,
    /// How often they are made anew.
    pub rotation_interval: Option<Duration>,
    /// Whether former values are kept.
    pub keeps_previous: bool,
    /// Labels and annotations of the Secret.
    pub template: SecretTemplate,
}

impl Spec {
    /// Reads `spec` of a GeneratedSecret.
    pub fn parse(object: &Value) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let spec = object.get("spec").unwrap_or(&Value::Null);
        check_request(object, &mut errors);
        let secret_name = secret_name(spec, &mut errors);
        let secret_type = secret_type(spec, &mut errors);
        let keeps_previous = spec.get("keepPrevious").and_then(Value::as_bool).unwrap_or_default();
        let keys = keys(spec, keeps_previous, &mut errors);
        let rotation_interval = length(spec, "rotationInterval", INTERVAL_MIN, &mut errors);
        let template = SecretTemplate::parse(spec, &mut errors);
        if errors.is_empty() {
            Ok(Self { secret_name, secret_type, keys, rotation_interval, keeps_previous, template })
        } else {
            Err(errors)
        }
    }
}

fn secret_type(spec: &Value, errors: &mut Vec<FieldError>) -> String {
    match text(spec, "type") {
        "" => "Opaque".to_owned(),
        SERVICE_ACCOUNT_TOKEN => {
            errors.push(FieldError::forbidden("spec.type", "tokens of service accounts are not made at random"));
            String::new()
        }
        other => other.to_owned(),
    }
}

fn keys(spec: &Value, keeps_previous: bool, errors: &mut Vec<FieldError>) -> Vec<Key> {
    let listed = list(spec, "keys");
    if listed.is_empty() {
        errors.push(FieldError::required("spec.keys", "at least one key is needed"));
    }
    if listed.len() > KEYS_MAX {
        errors.push(FieldError::too_many("spec.keys", listed.len(), KEYS_MAX));
    }
    let mut keys = Vec::new();
    let mut taken = BTreeSet::new();
    for (at, entry) in listed.iter().take(KEYS_MAX).enumerate() {
        let path = format!("spec.keys[{at}]");
        let name = text(entry, "key");
        let field = format!("{path}.key");
        if name.is_empty() {
            errors.push(FieldError::required(field, ""));
        } else {
            let longest = format!("{name}{}", if keeps_previous { PREVIOUS } else { "" });
            for problem in names::secret_key(&longest) {
                errors.push(FieldError::invalid(&field, name, problem));
            }
            // Both names of a key are its own, also while no former value is kept.
            let is_new = taken.insert(name.to_owned()) & taken.insert(format!("{name}{PREVIOUS}"));
            if !is_new {
                errors.push(FieldError::duplicate(field, name));
            }
        }
        if let Some(generator) = generator(entry, &path, errors) {
            keys.push(Key { name: name.to_owned(), generator });
        }
    }
    keys
}

fn generator(entry: &Value, path: &str, errors: &mut Vec<FieldError>) -> Option<Generator> {
    let asked = entry.get("length").and_then(Value::as_i64);
    let alphabet = text(entry, "alphabet");
    let word = text(entry, "generator");
    if word.is_empty() {
        errors.push(FieldError::required(format!("{path}.generator"), ""));
        return None;
    }
    if !alphabet.is_empty() && word != "password" {
        errors.push(FieldError::forbidden(format!("{path}.alphabet"), "only a password has an alphabet"));
    }
    if word == "uuid" {
        if let Some(asked) = asked {
            let detail = "a UUID has one length only";
            errors.push(FieldError::invalid_raw(format!("{path}.length"), asked.to_string(), detail));
        }
        return Some(Generator::Uuid);
    }
    let length = match asked {
        None => LENGTH,
        Some(asked) if (LENGTH_MIN..=LENGTH_MAX).contains(&asked) => usize::try_from(asked).unwrap_or(LENGTH),
        Some(asked) => {
            let detail = format!("must be between {LENGTH_MIN} and {LENGTH_MAX}");
            errors.push(FieldError::invalid_raw(format!("{path}.length"), asked.to_string(), detail));
            LENGTH
        }
    };
    Some(match word {
        "password" => Generator::Password { length, alphabet: characters(alphabet, path, errors) },
        "hex" => Generator::Hex(length),
        "base64" => Generator::Base64(length),
        other => {
            errors.push(FieldError::not_supported(format!("{path}.generator"), other, &GENERATORS));
            return None;
        }
    })
}

fn characters(alphabet: &str, path: &str, errors: &mut Vec<FieldError>) -> Vec<u8> {
    let alphabet = if alphabet.is_empty() { LETTERS_AND_DIGITS } else { alphabet };
    let is_printable = alphabet.bytes().all(|byte| byte.is_ascii_graphic());
    let characters: BTreeSet<u8> = alphabet.bytes().collect();
    if !is_printable || characters.len() < ALPHABET_MIN {
        let detail = format!("must be at least {ALPHABET_MIN} different printable characters of ASCII, and no blanks");
        errors.push(FieldError::invalid(format!("{path}.alphabet"), alphabet, detail));
    }
    characters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(spec: &Value) -> Result<Spec, Vec<FieldError>> {
        Spec::parse(&json!({"metadata": {"name": "db"}, "spec": spec}))
    }

    #[test]
    fn what_is_not_said_is_as_in_the_description() {
        let spec = parse(&json!({"secretName": "db", "keys": [
            {"key": "password", "generator": "password"}, {"key": "id", "generator": "uuid"},
            {"key": "seed", "generator": "hex", "length": 16},
        ]}));
        let spec = spec.unwrap();
        assert_eq!((spec.secret_type.as_str(), spec.rotation_interval, spec.keeps_previous), ("Opaque", None, false));
        let Generator::Password { length, alphabet } = &spec.keys[0].generator else { panic!("no password") };
        assert_eq!((*length, alphabet.len()), (32, 62));
        assert_eq!(spec.keys[1].generator, Generator::Uuid);
        assert_eq!(spec.keys[2].generator, Generator::Hex(16));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let fields = |spec: Value| {
            parse(&spec).err().unwrap_or_default().into_iter().map(|error| error.field).collect::<Vec<_>>()
        };
        assert_eq!(fields(json!({})), ["spec.secretName", "spec.keys"]);
        let wrong = json!({
            "secretName": "db", "type": "kubernetes.io/service-account-token", "rotationInterval": "1s",
            "keepPrevious": true,
            "keys": [
                {"key": "a b", "generator": "hex"}, {"generator": "uuid", "length": 16},
                {"key": "c", "generator": "base64", "length": 8, "alphabet": "x"},
                {"key": "c.previous", "generator": "hex"}, {"key": "d", "generator": "dice"}, {"key": "e"},
                {"key": "f", "generator": "password", "length": 4097, "alphabet": "0000000000000000"},
                {"key": "g", "generator": "password", "alphabet": "äbcdefghijklmnopqrstuvwxyz"},
                {"key": "h".repeat(250), "generator": "hex"},
            ],
        });
        assert_eq!(
            fields(wrong),
            [
                "spec.type",
                "spec.keys[0].key",
                "spec.keys[1].key",
                "spec.keys[1].length",
                "spec.keys[2].alphabet",
                "spec.keys[2].length",
                "spec.keys[3].key",
                "spec.keys[4].generator",
                "spec.keys[5].generator",
                "spec.keys[6].length",
                "spec.keys[6].alphabet",
                "spec.keys[7].alphabet",
                "spec.keys[8].key",
                "spec.rotationInterval",
            ]
        );
    }
}

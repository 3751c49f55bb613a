//! What a KMSKey asks for and what its status says; the key ids that clusters keep.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::age::parse_rfc3339;
use super::certificate::length;
use super::condition::condition;
use super::duration::{LENGTH_OF_TIME, go_duration};
use super::field_error::FieldError;
use super::validation::{list, text};

/// Before a key id: who made it, and the version of its form.
const PREFIX: &str = "sr1:";
const ROTATE_AFTER_MIN: Duration = Duration::from_hours(1);
const UNSEEN_MIN: Duration = Duration::from_mins(1);
const CURRENT: &str = "Current";
const DECRYPT_ONLY: &str = "DecryptOnly";

/// Key under which the store keeps the terms of the KMSKey of this uid.
pub fn kms_key_state_key(uid: &str) -> String {
    format!("kmskey/{uid}")
}

/// For how long a term must not have been seen, where nothing else is said. kube-apiserver keeps what it has decrypted for 24
/// hours, and a write renews that: a term in full use may be unseen for a day. Two of them, and an hour for its clock.
pub const UNSEEN: Duration = Duration::from_hours(49);

/// Bytes of a term's tag.
pub const TAG_BYTES: usize = 8;

/// What a cluster keeps beside what a KMSKey encrypted: `sr1:UID:TERM:TAG`.
///
/// A cluster judges by it alone whether the key is still the same. Numbers come again when a backup is restored that is older
/// than a rotation; the tag, which is made of the term's seed, does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId {
    /// `metadata.uid` of the KMSKey.
    pub uid: [u8; 16],
    /// Number of its term.
    pub term: u32,
    /// What tells the term from any other of that number.
    pub tag: [u8; TAG_BYTES],
}

impl KeyId {
    /// Reads one; `None` of any text but the one that [`KeyId`] is shown as.
    pub fn parse(text: &str) -> Option<Self> {
        let (uid, term) = text.strip_prefix(PREFIX)?.split_once(':')?;
        let (term, written) = term.split_once(':')?;
        let mut tag = [0; TAG_BYTES];
        hex::decode_to_slice(written, &mut tag).ok()?;
        let id = Self { uid: uuid::Uuid::try_parse(uid).ok()?.into_bytes(), term: term.parse().ok()?, tag };
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}:{}:{}", uuid::Uuid::from_bytes(self.uid), self.term, hex::encode(self.tag))
    }
}

/// `spec` of a KMSKey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// How old the current term may become.
    pub rotate_after: Option<Duration>,
    /// Whether the key may be deleted.
    pub allows_deletion: bool,
}

impl Spec {
    /// Reads `spec` of a KMSKey.
    pub fn parse(object: &Value) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let spec = object.get("spec").unwrap_or(&Value::Null);
        let rotate_after = length(spec, "rotateAfter", ROTATE_AFTER_MIN, &mut errors);
        let allows_deletion = spec.get("allowDeletion").and_then(Value::as_bool).unwrap_or_default();
        if errors.is_empty() { Ok(Self { rotate_after, allows_deletion }) } else { Err(errors) }
    }
}

/// `spec` of a KMSKeyRetirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retirement {
    /// The term.
    pub key_id: KeyId,
    /// For how long it must not have been seen.
    pub unseen_for: Duration,
}

impl Retirement {
    /// Reads `spec` of a KMSKeyRetirement.
    pub fn parse(object: &Value) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let spec = object.get("spec").unwrap_or(&Value::Null);
        let written = text(spec, "keyID");
        let key_id = KeyId::parse(written);
        if written.is_empty() {
            errors.push(FieldError::required("spec.keyID", ""));
        } else if key_id.is_none() {
            errors.push(FieldError::invalid("spec.keyID", written, "must be a key id of the status"));
        }
        let written = text(spec, "unseenFor");
        let unseen_for = if written.is_empty() { Some(UNSEEN) } else { go_duration(written) };
        match unseen_for {
            None => errors.push(FieldError::invalid("spec.unseenFor", written, LENGTH_OF_TIME)),
            Some(length) if length < UNSEEN_MIN => {
                errors.push(FieldError::invalid("spec.unseenFor", written, "must be at least 1m"));
            }
            Some(_) => {}
        }
        match (key_id, unseen_for) {
            (Some(key_id), Some(unseen_for)) if errors.is_empty() => Ok(Self { key_id, unseen_for }),
            _ => Err(errors),
        }
    }
}

/// How often and when a term was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TermUse {
    /// How often it has encrypted.
    pub encryptions: u64,
    /// How often it has decrypted.
    pub decryptions: u64,
    /// When it last encrypted, seconds since the epoch.
    pub last_encryption: Option<i64>,
    /// When it last decrypted, seconds since the epoch.
    pub last_decryption: Option<i64>,
}

/// A term, without its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Its number.
    pub number: u32,
    /// Its tag.
    pub tag: [u8; TAG_BYTES],
    /// When it was made, seconds since the epoch.
    pub created: i64,
}

/// The status of a KMSKey with these terms, of which the last is the current one. What `former`, the status before, says
/// of their use is kept, and `used` added to it.
pub fn status(
    uid: [u8; 16],
    generation: i64,
    terms: &[Term],
    former: &Value,
    used: &BTreeMap<u32, TermUse>,
    now: i64,
    rfc3339: fn(i64) -> String,
) -> Value {
    let Some((current, older)) = terms.split_last() else { return Value::Null };
    let current_id = KeyId { uid, term: current.number, tag: current.tag }.to_string();
    let mut written = Vec::with_capacity(terms.len());
    for (at, term) in older.iter().chain([current]).enumerate() {
        let key_id = KeyId { uid, term: term.number, tag: term.tag }.to_string();
        let before = list(former, "terms").iter().find(|before| text(before, "keyID") == key_id);
        let before = before.unwrap_or(&Value::Null);
        let used = used.get(&term.number).copied().unwrap_or_default();
        let count = |field: &str, more: u64| {
            before.get(field).and_then(Value::as_u64).unwrap_or_default().saturating_add(more).min(i64::MAX as u64)
        };
        let time = |field: &str, later: Option<i64>| {
            let before = parse_rfc3339(text(before, field));
            before.max(later).map(rfc3339)
        };
        let mut entry = Map::new();
        entry.insert("keyID".to_owned(), key_id.into());
        entry.insert("state".to_owned(), if term == current { CURRENT } else { DECRYPT_ONLY }.into());
        entry.insert("createdTime".to_owned(), rfc3339(term.created).into());
        if let Some(next) = terms.get(at + 1) {
            let superseded = parse_rfc3339(text(before, "supersededTime")).unwrap_or(next.created);
            entry.insert("supersededTime".to_owned(), rfc3339(superseded).into());
        }
        for (field, more) in [("encryptions", used.encryptions), ("decryptions", used.decryptions)] {
            // As it is stored, where nothing stands for zero.
            if let Some(count) = Some(count(field, more)).filter(|count| *count > 0) {
                entry.insert(field.to_owned(), count.into());
            }
        }
        for (field, later) in
            [("lastEncryptionTime", used.last_encryption), ("lastDecryptionTime", used.last_decryption)]
        {
            if let Some(time) = time(field, later) {
                entry.insert(field.to_owned(), time.into());
            }
        }
        written.push(Value::Object(entry));
    }
    let message = format!("encrypts with term {}", current.number);
    let ready = condition(former, "Ready", true, "Encrypts", &message, generation, &rfc3339(now));
    json!({
        "observedGeneration": generation, "conditions": [ready], "currentKeyID": current_id, "terms": written,
    })
}

/// The key id that is encrypted with now, by the status.
pub fn current_key_id(status: &Value) -> &str {
    text(status, "currentKeyID")
}

/// The key ids of all terms, oldest first, by the status.
pub fn key_ids(status: &Value) -> Vec<&str> {
    list(status, "terms").iter().map(|term| text(term, "keyID")).collect()
}

/// When a term was last known to be in use, by the status: when it was superseded, or was used. `None` if the status does
/// not have it, or it is the current one.
pub fn last_seen(status: &Value, key_id: &str) -> Option<i64> {
    let term = list(status, "terms").iter().find(|term| text(term, "keyID") == key_id)?;
    if text(term, "state") != DECRYPT_ONLY {
        return None;
    }
    let times = ["createdTime", "supersededTime", "lastEncryptionTime", "lastDecryptionTime"];
    times.into_iter().filter_map(|field| parse_rfc3339(text(term, field))).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0b6f0c3e-52f4-4f2b-9d3c-0d6c3f1d8a11";
    const TAG: [u8; TAG_BYTES] = [0xab, 1, 2, 3, 4, 5, 6, 7];
    const SHOWN: &str = "ab01020304050607";

    fn uid() -> [u8; 16] {
        uuid::Uuid::try_parse(UID).unwrap().into_bytes()
    }

    #[test]
    fn a_key_id_is_read_in_one_form_alone() {
        let id = KeyId { uid: uid(), term: 7, tag: TAG };
        assert_eq!(id.to_string(), format!("sr1:{UID}:7:{SHOWN}"));
        assert_eq!(KeyId::parse(&id.to_string()), Some(id));
        let upper = UID.to_uppercase();
        for wrong in [
            String::new(),
            UID.to_owned(),
            format!("sr1:{UID}"),
            format!("sr1:{UID}:7"),
            format!("sr1:{UID}:7:"),
            format!("sr1:{UID}:07:{SHOWN}"),
            format!("sr1:{UID}:+7:{SHOWN}"),
            format!("sr1:{upper}:7:{SHOWN}"),
            format!("sr2:{UID}:7:{SHOWN}"),
            format!("sr1:{UID}:4294967296:{SHOWN}"),
            format!("sr1:{UID}:7:{}", SHOWN.to_uppercase()),
            format!("sr1:{UID}:7:{}", &SHOWN[2..]),
            format!("sr1:{UID}:7:{SHOWN}00"),
            format!("sr1:{UID}:7:{SHOWN}:1"),
        ] {
            assert_eq!(KeyId::parse(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_may_ask_for_rotation_and_may_allow_its_deletion() {
        let parse = |spec: Value| Spec::parse(&json!({"spec": spec})).map_err(|errors| errors[0].field.clone());
        assert_eq!(Spec::parse(&json!({})), Ok(Spec { rotate_after: None, allows_deletion: false }));
        let both = parse(json!({"rotateAfter": "2160h", "allowDeletion": true}));
        assert_eq!(both, Ok(Spec { rotate_after: Some(Duration::from_hours(2160)), allows_deletion: true }));
        for wrong in ["59m", "often", "-1h"] {
            assert_eq!(parse(json!({"rotateAfter": wrong})), Err("spec.rotateAfter".to_owned()), "{wrong}");
        }
    }

    #[test]
    fn a_retirement_names_a_term_and_how_long_it_was_not_seen() {
        let id = KeyId { uid: uid(), term: 1, tag: TAG };
        let parse = |spec: Value| {
            Retirement::parse(&json!({"spec": spec}))
                .map_err(|errors| errors.iter().map(|error| error.field.clone()).collect::<Vec<_>>())
        };
        let parsed = parse(json!({"keyID": id.to_string()})).unwrap();
        assert_eq!(parsed, Retirement { key_id: id, unseen_for: Duration::from_hours(49) });
        assert_eq!(parse(json!({"keyID": id.to_string(), "unseenFor": "90m"})).unwrap().unseen_for.as_secs(), 5_400);
        assert_eq!(parse(json!({})), Err(vec!["spec.keyID".to_owned()]));
        assert_eq!(
            parse(json!({"keyID": "1", "unseenFor": "30s"})),
            Err(vec!["spec.keyID".to_owned(), "spec.unseenFor".to_owned()])
        );
    }

    #[test]
    fn use_adds_up_and_times_only_rise() {
        let shown = |seconds: i64| format!("1970-01-01T00:{:02}:{:02}Z", seconds / 60, seconds % 60);
        let terms = [Term { number: 1, tag: TAG, created: 100 }, Term { number: 3, tag: [9; TAG_BYTES], created: 200 }];
        let used = |encryptions, last| TermUse { encryptions, last_encryption: last, ..TermUse::default() };
        let first = status(uid(), 1, &terms[..1], &Value::Null, &BTreeMap::from([(1, used(2, Some(150)))]), 150, shown);
        let first_id = format!("sr1:{UID}:1:{SHOWN}");
        assert_eq!(first["currentKeyID"], first_id.as_str());
        assert_eq!(first["terms"][0]["encryptions"], 2);
        assert_eq!(last_seen(&first, &first_id), None, "the current term cannot be retired");
        let later = BTreeMap::from([(1, used(1, Some(120))), (9, used(1, Some(999)))]);
        let second = status(uid(), 2, &terms, &first, &later, 300, shown);
        assert_eq!(second["currentKeyID"], format!("sr1:{UID}:3:{}", "09".repeat(TAG_BYTES)));
        assert_eq!(second["terms"].as_array().unwrap().len(), 2);
        assert_eq!(second["terms"][0]["encryptions"], 3);
        assert_eq!(second["terms"][0]["lastEncryptionTime"], shown(150));
        assert_eq!(second["terms"][0]["state"], "DecryptOnly");
        assert!(second["terms"][1].get("lastEncryptionTime").is_none());
        assert_eq!(last_seen(&second, &first_id), Some(200));
        assert_eq!(last_seen(&second, "sr1:other"), None);
        let third = status(uid(), 2, &terms, &second, &BTreeMap::new(), 400, shown);
        assert_eq!(third["terms"], second["terms"]);
        assert_eq!(third["conditions"][0]["lastTransitionTime"], second["conditions"][0]["lastTransitionTime"]);
    }
}

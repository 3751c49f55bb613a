//! What a backup says of itself. None of it is secret: names of objects and keys do not occur.

use serde_json::{Value, json};

use crate::codec::json;

/// The format that is written; a higher one is another release's.
const FORMAT: u64 = 1;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The store's identifier.
    pub store_id: [u8; 16],
    /// Commits that the store had seen.
    pub sequence: u64,
    /// Its latest revision.
    pub revision: u64,
    /// Its restore epoch.
    pub restore_epoch: u64,
    /// When it was made, seconds since the epoch.
    pub created_unix_seconds: i64,
    /// By which release.
    pub release: String,
    /// What opens it: kinds of slots, in their order.
    pub slots: Vec<String>,
    /// Slots of passphrases that were left out.
    pub slots_left_out: u64,
    /// Length of the database.
    pub database_bytes: u64,
    /// SHA-256 of the database.
    pub database_sha256: [u8; 32],
}

/// Why a manifest was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestError {
    /// Written by a later release.
    Newer(u64),
    /// Not of the shape that it has.
    Malformed,
}

impl Manifest {
    /// As JSON, on one line, without its end.
    pub fn to_line(&self) -> Vec<u8> {
        json::to_vec(&json!({
            "format": FORMAT,
            "storeId": hex::encode(self.store_id),
            "sequence": self.sequence,
            "revision": self.revision,
            "restoreEpoch": self.restore_epoch,
            "created": self.created(),
            "release": self.release,
            "slots": self.slots,
            "slotsLeftOut": self.slots_left_out,
            "database": {"bytes": self.database_bytes, "sha256": hex::encode(self.database_sha256)},
        }))
    }

    /// Reads [`Manifest::to_line`]. Fields that are not known are passed over: a later release of the same format may add some.
    pub fn parse(line: &[u8]) -> Result<Self, ManifestError> {
        let parsed = json::parse(line).map_err(|_| ManifestError::Malformed)?;
        let whole = parsed.value;
        match whole.get("format").and_then(Value::as_u64) {
            Some(FORMAT) if parsed.duplicates.is_empty() => {}
            Some(format) if format > FORMAT => return Err(ManifestError::Newer(format)),
            _ => return Err(ManifestError::Malformed),
        }
        Self::of(&whole).ok_or(ManifestError::Malformed)
    }

    fn of(whole: &Value) -> Option<Self> {
        let number = |name: &str| whole.get(name)?.as_u64();
        let text = |name: &str| whole.get(name)?.as_str();
        let database = whole.get("database")?;
        let slots = whole.get("slots")?.as_array()?.iter().map(|slot| slot.as_str().map(str::to_owned));
        Some(Self {
            store_id: hex::decode(text("storeId")?).ok()?.try_into().ok()?,
            sequence: number("sequence")?,
            revision: number("revision")?,
            restore_epoch: number("restoreEpoch")?,
            created_unix_seconds: text("created")?.parse::<jiff::Timestamp>().ok()?.as_second(),
            release: text("release")?.to_owned(),
            slots: slots.collect::<Option<_>>()?,
            slots_left_out: number("slotsLeftOut")?,
            database_bytes: database.get("bytes")?.as_u64()?,
            database_sha256: hex::decode(database.get("sha256")?.as_str()?).ok()?.try_into().ok()?,
        })
    }

    /// When it was made, RFC 3339.
    pub fn created(&self) -> String {
        jiff::Timestamp::from_second(self.created_unix_seconds).unwrap_or_default().to_string()
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn sample() -> Manifest {
        Manifest {
            store_id: [7; 16],
            sequence: 12,
            revision: u64::MAX,
            restore_epoch: 3,
            created_unix_seconds: 1_790_000_000,
            release: "0.1.0".to_owned(),
            slots: vec!["key file".to_owned()],
            slots_left_out: 1,
            database_bytes: 5,
            database_sha256: [9; 32],
        }
    }

    #[test]
    fn a_manifest_reads_back_as_it_was_written() {
        let line = sample().to_line();
        assert_eq!(Manifest::parse(&line), Ok(sample()));
        assert!(!line.contains(&b'\n'));
        assert!(String::from_utf8(line).unwrap().contains("\"created\":\"2026-09-21T14:13:20Z\""));
    }

    #[test]
    fn a_later_format_is_told_from_damage_and_a_new_field_is_neither() {
        let text = String::from_utf8(sample().to_line()).unwrap();
        let parse = |text: &str| Manifest::parse(text.as_bytes());
        assert_eq!(parse(&text.replace("\"format\":1", "\"format\":2")), Err(ManifestError::Newer(2)));
        assert_eq!(parse(&text.replace("\"format\":1", "\"format\":1,\"more\":[1]")), Ok(sample()));
        for (from, to) in [
            ("\"format\":1", "\"format\":0"),
            ("\"format\":1,", ""),
            ("\"sequence\":12", "\"sequence\":-1"),
            ("0707", "07"),
            ("\"slots\":[\"key file\"]", "\"slots\":[1]"),
            ("2026-09-21T14:13:20Z", "soon"),
            ("{", ""),
        ] {
            assert_eq!(parse(&text.replacen(from, to, 1)), Err(ManifestError::Malformed), "{from} as {to}");
        }
    }
}

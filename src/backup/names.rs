//! What backups of a schedule are called: `strongroom-STOREID-20261128T174800Z.strongroom-backup`.
//!
//! The name says whose it is and when it was made, so that what is too old is found without opening anything, and no file of
//! anybody else's is taken for one.

/// How a backup's name ends.
pub const ENDING: &str = "strongroom-backup";
/// How an encrypted one's does.
pub const ENCRYPTED_ENDING: &str = "strongroom-backup.age";

const PREFIX: &str = "strongroom-";
const TIME: &str = "%Y%m%dT%H%M%SZ";

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupName {
    /// The store's identifier.
    pub store_id: [u8; 16],
    /// When it was made, seconds since the epoch.
    pub created_unix_seconds: i64,
    /// Whether age encrypts it.
    pub is_encrypted: bool,
}

impl BackupName {
    /// The file's name.
    pub fn to_text(&self) -> String {
        let ending = if self.is_encrypted { ENCRYPTED_ENDING } else { ENDING };
        format!("{PREFIX}{}-{}.{ending}", hex::encode(self.store_id), compact_time(self.created_unix_seconds))
    }

    /// Reads a name; `None` of anything that [`BackupName::to_text`] would not write.
    pub fn parse(name: &str) -> Option<Self> {
        let (stem, is_encrypted) = match name.strip_suffix(ENCRYPTED_ENDING) {
            Some(stem) => (stem, true),
            None => (name.strip_suffix(ENDING)?, false),
        };
        let (store_id, time) = stem.strip_suffix('.')?.strip_prefix(PREFIX)?.split_once('-')?;
        let store_id = hex::decode(store_id).ok()?.try_into().ok()?;
        let time = jiff::civil::DateTime::strptime(TIME, time).ok()?;
        let created_unix_seconds = jiff::tz::TimeZone::UTC.to_timestamp(time).ok()?.as_second();
        Some(Self { store_id, created_unix_seconds, is_encrypted }).filter(|parsed| parsed.to_text() == name)
    }
}

/// A time as it stands in names of files.
pub fn compact_time(unix_seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(unix_seconds).unwrap_or_default();
    time.strftime(TIME).to_string()
}

/// Whether a text is one of [`compact_time`].
pub fn is_compact_time(text: &str) -> bool {
    jiff::civil::DateTime::strptime(TIME, text).is_ok_and(|time| time.strftime(TIME).to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written_and_no_other_is() {
        for is_encrypted in [false, true] {
            let name = BackupName { store_id: [0xab; 16], created_unix_seconds: 1_790_000_000, is_encrypted };
            assert_eq!(BackupName::parse(&name.to_text()), Some(name));
        }
        let id = "ab".repeat(16);
        assert!(BackupName::parse(&format!("strongroom-{id}-20260921T141320Z.strongroom-backup")).is_some());
        for wrong in [
            format!("strongroom-{id}-20260921T141320Z.strongroom-backup.gz"),
            format!(".strongroom-{id}-20260921T141320Z.strongroom-backup"),
            format!("strongroom-{id}-20260921T141320Zstrongroom-backup"),
            format!("strongroom-{}-20260921T141320Z.strongroom-backup", &id[2..]),
            format!("strongroom-{}-20260921T141320Z.strongroom-backup", id.to_uppercase()),
            format!("strongroom-{id}-20260931T141320Z.strongroom-backup"),
            format!("strongroom-{id}-2026921T141320Z.strongroom-backup"),
            format!("strongroom-{id}.strongroom-backup"),
            String::new(),
        ] {
            assert_eq!(BackupName::parse(&wrong), None, "{wrong}");
        }
    }
}

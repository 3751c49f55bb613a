//! What is kept of Secrets for when the server does not answer: one sealed entry each.
//!
//! ```text
//! "strongroom offline v1\n" ‖ got i64 ‖ kept for i64 ‖ LP(version) ‖ sealed( LP(key) ‖ LP(value) ‖ … )
//! ```
//!
//! Integers are big-endian, times are seconds since the epoch, `LP(x)` is the length of `x` as u32, then `x`. What stands in
//! the clear is bound to what is sealed, and so are the server, the authority it is known by, who asked it, namespace and name:
//! an entry that was moved, edited or copied from elsewhere does not open. It tells when a Secret was got, its uid and version, and
//! about how long it is.
//!
//! What it never does: read a clock or a file, or say which of the things that an entry is bound to was another.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::objects::{ObjectName, Values};
use crate::crypto::OfflineKey;
pub use crate::crypto::{RandomError, SealError};
use crate::kube_client::Client;
use crate::sensitive::{SecretBuffer, SecretBytes};

const MAGIC: &[u8] = b"strongroom offline v1\n";

/// Seals and opens what one user of one server is given.
pub struct OfflineSealer {
    key: OfflineKey,
    /// Server, digest of the authorities that it is known by, and who asks it.
    origin: [String; 3],
}

/// What stands in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfflineTimes {
    /// When it was got.
    pub got_unix_seconds: i64,
    /// For how long it is kept: the largest age that was asked for.
    pub kept_for_seconds: i64,
}

/// Why an entry is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// Damaged, or sealed for another server, user or Secret, or with another key.
    Foreign,
    /// Older than was allowed: how old, in seconds.
    Old(i64),
    /// The clock says that it is got in the future: the clock went back, and ages mean nothing.
    ClockWentBack,
}

impl OfflineSealer {
    /// The 32 bytes of a new key.
    pub fn make_key() -> Result<SecretBytes, RandomError> {
        OfflineKey::make_bytes()
    }

    /// For what `client` is given. `None` where the key has not 32 bytes.
    #[must_use]
    pub fn new(key: &SecretBytes, client: &Client) -> Option<Self> {
        let mut trust = Sha256::new();
        for certificate in client.trust() {
            trust.update(Sha256::digest(certificate));
        }
        let origin = [client.server().to_owned(), hex::encode(trust.finalize()), client.identity().to_owned()];
        Some(Self { key: OfflineKey::from_bytes(key)?, origin })
    }

    /// The name of the entry's file: 64 hexadecimal digits, which tell nothing without the key.
    #[must_use]
    pub fn file_name(&self, name: &ObjectName) -> String {
        hex::encode(self.key.name(&self.place(name)))
    }

    /// The entry of a Secret.
    pub fn seal(&self, name: &ObjectName, values: &Values, times: OfflineTimes) -> Result<Vec<u8>, SealError> {
        let mut entry = header(&values.version, times);
        let sealed = self.key.seal(&self.bound(name, &entry), &plain(&values.data))?;
        entry.extend_from_slice(&sealed);
        Ok(entry)
    }

    /// What an entry holds, and when that was got.
    pub fn open(
        &self,
        name: &ObjectName,
        entry: &[u8],
        now_unix_seconds: i64,
        max_age_seconds: i64,
    ) -> Result<(Values, i64), Unusable> {
        let (times, version, sealed) = split(entry).ok_or(Unusable::Foreign)?;
        let clear = entry.get(..entry.len() - sealed.len()).unwrap_or_default();
        let opened = self.key.open(&self.bound(name, clear), sealed).map_err(|_| Unusable::Foreign)?;
        let data = read(&opened).ok_or(Unusable::Foreign)?;
        match now_unix_seconds.checked_sub(times.got_unix_seconds) {
            Some(age) if age > max_age_seconds => return Err(Unusable::Old(age)),
            Some(0..) => {}
            _ => return Err(Unusable::ClockWentBack),
        }
        Ok((Values { version: version.to_owned(), data, binary_data: BTreeMap::new() }, times.got_unix_seconds))
    }

    fn place<'a>(&'a self, name: &'a ObjectName) -> [&'a [u8]; 5] {
        let [server, trust, identity] = &self.origin;
        [server, trust, identity, &name.namespace, &name.name].map(String::as_bytes)
    }

    fn bound<'a>(&'a self, name: &'a ObjectName, header: &'a [u8]) -> [&'a [u8]; 6] {
        let [server, trust, identity, namespace, name] = self.place(name);
        [server, trust, identity, namespace, name, header]
    }
}

impl OfflineTimes {
    /// Those that an entry claims; `None` of what is no entry. Its first 64 bytes are enough.
    #[must_use]
    pub fn of_entry(entry: &[u8]) -> Option<Self> {
        clear(entry).map(|(times, _)| times)
    }

    /// Whether it has been kept for as long as anybody asked for.
    #[must_use]
    pub fn is_over(self, now_unix_seconds: i64) -> bool {
        now_unix_seconds.saturating_sub(self.got_unix_seconds) > self.kept_for_seconds
    }
}

fn header(version: &str, times: OfflineTimes) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&times.got_unix_seconds.to_be_bytes());
    header.extend_from_slice(&times.kept_for_seconds.to_be_bytes());
    header.extend_from_slice(&length(version.as_bytes()));
    header.extend_from_slice(version.as_bytes());
    header
}

/// The times, and what follows them.
fn clear(entry: &[u8]) -> Option<(OfflineTimes, &[u8])> {
    let (got, rest) = entry.strip_prefix(MAGIC)?.split_first_chunk()?;
    let (kept_for, rest) = rest.split_first_chunk()?;
    let (got_unix_seconds, kept_for_seconds) = (i64::from_be_bytes(*got), i64::from_be_bytes(*kept_for));
    Some((OfflineTimes { got_unix_seconds, kept_for_seconds }, rest))
}

/// Times, version, and what is sealed.
fn split(entry: &[u8]) -> Option<(OfflineTimes, &str, &[u8])> {
    let (times, rest) = clear(entry)?;
    let (version, sealed) = prefixed(rest)?;
    Some((times, std::str::from_utf8(version).ok()?, sealed))
}

/// The length of a part as it stands before it. A Secret of 4 GiB cannot occur.
fn length(part: &[u8]) -> [u8; 4] {
    u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes()
}

/// A part, and what follows it.
fn prefixed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[expect(clippy::disallowed_methods, reason = "the values are written down to be sealed")]
fn plain(data: &BTreeMap<String, SecretBytes>) -> SecretBytes {
    let mut plain = SecretBuffer::with_capacity(data.iter().map(|(key, value)| 8 + key.len() + value.len()).sum());
    for (key, value) in data {
        for part in [key.as_bytes(), value.expose()] {
            plain.extend(&length(part));
            plain.extend(part);
        }
    }
    plain.take()
}

#[expect(clippy::disallowed_methods, reason = "values move into secrets of their own")]
fn read(plain: &SecretBytes) -> Option<BTreeMap<String, SecretBytes>> {
    let (mut data, mut rest) = (BTreeMap::new(), plain.expose());
    while !rest.is_empty() {
        let (key, after) = prefixed(rest)?;
        let (value, after) = prefixed(after)?;
        data.insert(std::str::from_utf8(key).ok()?.to_owned(), SecretBytes::new(value.to_vec()));
        rest = after;
    }
    Some(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: OfflineTimes = OfflineTimes { got_unix_seconds: 1_790_000_000, kept_for_seconds: 3600 };
    const NOW: i64 = 1_790_000_060;

    fn sealer(key: u8, [server, trust, identity]: [&str; 3]) -> OfflineSealer {
        let key = OfflineKey::from_bytes(&SecretBytes::new(vec![key; 32])).unwrap();
        OfflineSealer { key, origin: [server, trust, identity].map(str::to_owned) }
    }

    fn usual() -> OfflineSealer {
        sealer(1, ["https://h:1", "t", "ada"])
    }

    fn values() -> Values {
        let data = [("a", &b"one"[..]), ("b", b""), ("c", b"\0\xff")];
        let data = data.map(|(key, value)| (key.to_owned(), SecretBytes::new(value.to_vec())));
        Values { version: "uid/7".to_owned(), data: data.into(), binary_data: BTreeMap::new() }
    }

    fn entry() -> Vec<u8> {
        usual().seal(&ObjectName::secret("prod", "db"), &values(), TIMES).unwrap()
    }

    fn opened(sealer: &OfflineSealer, name: &str, entry: &[u8], now: i64, max_age: i64) -> Result<i64, Unusable> {
        sealer.open(&ObjectName::secret("prod", name), entry, now, max_age).map(|(_, got)| got)
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at what it sealed")]
    fn an_entry_gives_back_what_was_put_in() {
        let (read, got) = usual().open(&ObjectName::secret("prod", "db"), &entry(), NOW, 60).unwrap();
        assert_eq!((read.version.as_str(), got), ("uid/7", TIMES.got_unix_seconds));
        let shown: Vec<_> = read.data.iter().map(|(key, value)| (key.as_str(), value.expose())).collect();
        assert_eq!(shown, [("a", &b"one"[..]), ("b", b""), ("c", b"\0\xff")]);
        assert_eq!(OfflineTimes::of_entry(&entry()[..64]), Some(TIMES));
        assert_eq!(OfflineTimes::of_entry(&entry()[..30]), None);
        assert_eq!(OfflineTimes::of_entry(b"something else that is long enough to be an entry of ours......"), None);
    }

    #[test]
    fn an_entry_is_used_up_to_its_age_and_not_before_its_time() {
        for (now, max_age, expected) in [
            (NOW, 60, Ok(TIMES.got_unix_seconds)),
            (NOW, 59, Err(Unusable::Old(60))),
            (TIMES.got_unix_seconds, 1, Ok(TIMES.got_unix_seconds)),
            (TIMES.got_unix_seconds - 1, i64::MAX, Err(Unusable::ClockWentBack)),
            (i64::MAX, 1, Err(Unusable::Old(i64::MAX - TIMES.got_unix_seconds))),
            (i64::MIN, i64::MAX, Err(Unusable::ClockWentBack)),
        ] {
            assert_eq!(opened(&usual(), "db", &entry(), now, max_age), expected, "{now} {max_age}");
        }
        assert!(!TIMES.is_over(TIMES.got_unix_seconds + 3600) && TIMES.is_over(TIMES.got_unix_seconds + 3601));
    }

    #[test]
    fn what_was_moved_edited_or_copied_does_not_open() {
        let foreign = |sealer: &OfflineSealer, name: &str, entry: &[u8]| {
            assert_eq!(opened(sealer, name, entry, NOW, i64::MAX), Err(Unusable::Foreign));
        };
        foreign(&usual(), "other", &entry());
        foreign(&sealer(2, ["https://h:1", "t", "ada"]), "db", &entry());
        for origin in [["https://h:2", "t", "ada"], ["https://h:1", "u", "ada"], ["https://h:1", "t", "eve"]] {
            foreign(&sealer(1, origin), "db", &entry());
            let name = ObjectName::secret("prod", "db");
            assert_ne!(sealer(1, origin).file_name(&name), usual().file_name(&name));
        }
        let whole = entry();
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] ^= 1;
            foreign(&usual(), "db", &other);
            foreign(&usual(), "db", &whole[..at]);
        }
        foreign(&usual(), "db", &[whole.as_slice(), b"x"].concat());
        let apart = [ObjectName::secret("a", "bc"), ObjectName::secret("ab", "c")];
        assert_ne!(usual().file_name(&apart[0]), usual().file_name(&apart[1]));
    }
}

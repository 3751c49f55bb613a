//! What the history of a Secret says of one version: its number, who made it, when, and which keys it changed.
//!
//! It is sealed in `meta` with the version itself, so that a change and its trail are one row.
//!
//! ```text
//! number u32 ‖ time i64 ‖ flags u8 ‖ LP(who) ‖ 3 × (count u32 ‖ LP(key)…): added, changed, removed
//! ```
//!
//! What it never holds: a value, or anything that depends on more of one than whether it is another.

use super::record::RecordFormatError;

const FLAG_METADATA: u8 = 1;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trail {
    /// The version's number, from 1. What is no revision of its own has the number of the one before.
    pub number: u32,
    /// When, seconds since the epoch.
    pub unix_seconds: i64,
    /// Name of the user; empty where it is not known.
    pub by: String,
    /// Keys of `data` that were not there before, in order.
    pub added: Vec<String>,
    /// Keys whose value is another.
    pub changed: Vec<String>,
    /// Keys that are gone.
    pub removed: Vec<String>,
    /// Labels, annotations, type or `immutable` are others.
    pub metadata_changed: bool,
}

impl Trail {
    /// The bytes above.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&self.unix_seconds.to_be_bytes());
        out.push(if self.metadata_changed { FLAG_METADATA } else { 0 });
        push(&mut out, &self.by);
        for keys in [&self.added, &self.changed, &self.removed] {
            out.extend_from_slice(&length(keys.len()));
            for key in keys {
                push(&mut out, key);
            }
        }
        out
    }

    /// Reads what [`Trail::encode`] wrote.
    ///
    /// # Errors
    /// It is anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordFormatError> {
        let mut rest = bytes;
        let number = u32::from_be_bytes(take(&mut rest)?);
        let unix_seconds = i64::from_be_bytes(take(&mut rest)?);
        let [flags] = take(&mut rest)?;
        let by = text(&mut rest)?;
        let (added, changed, removed) = (keys(&mut rest)?, keys(&mut rest)?, keys(&mut rest)?);
        if !rest.is_empty() || flags > FLAG_METADATA {
            return Err(RecordFormatError);
        }
        Ok(Self { number, unix_seconds, by, added, changed, removed, metadata_changed: flags == FLAG_METADATA })
    }
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

fn push(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&length(text.len()));
    out.extend_from_slice(text.as_bytes());
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], RecordFormatError> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(RecordFormatError)?;
    *rest = tail;
    Ok(*head)
}

fn text(rest: &mut &[u8]) -> Result<String, RecordFormatError> {
    let length = usize::try_from(u32::from_be_bytes(take(rest)?)).map_err(|_| RecordFormatError)?;
    let (head, tail) = rest.split_at_checked(length).ok_or(RecordFormatError)?;
    *rest = tail;
    String::from_utf8(head.to_vec()).map_err(|_| RecordFormatError)
}

fn keys(rest: &mut &[u8]) -> Result<Vec<String>, RecordFormatError> {
    let count = u32::from_be_bytes(take(rest)?);
    (0..count).map(|_| text(rest)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trail() -> Trail {
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        Trail {
            number: 7,
            unix_seconds: -1,
            by: "jané".to_owned(),
            added: keys(&["a", ""]),
            changed: keys(&[]),
            removed: keys(&["tls.key"]),
            metadata_changed: true,
        }
    }

    #[test]
    fn a_trail_is_read_as_it_was_written() {
        for trail in [trail(), Trail::default()] {
            assert_eq!(Trail::decode(&trail.encode()), Ok(trail));
        }
    }

    /// What is stored must be read by every later release.
    #[test]
    fn the_bytes_of_a_trail_are_these() {
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        let trail = Trail {
            number: 2,
            unix_seconds: 0x0102,
            by: "jo".to_owned(),
            changed: keys(&["k"]),
            metadata_changed: true,
            ..Trail::default()
        };
        let expected = "00000002000000000000010201000000026a6f0000000000000001000000016b00000000";
        assert_eq!(hex::encode(trail.encode()), expected);
    }

    #[test]
    fn whatever_is_cut_off_added_or_no_text_is_refused() {
        let bytes = trail().encode();
        for end in 0..bytes.len() {
            assert_eq!(Trail::decode(&bytes[..end]), Err(RecordFormatError), "{end}");
        }
        assert_eq!(Trail::decode(&[&bytes[..], &[0]].concat()), Err(RecordFormatError));
        let mut other = bytes.clone();
        other[12] = 2;
        assert_eq!(Trail::decode(&other), Err(RecordFormatError), "an unknown flag");
        other = bytes;
        other[17] = 0xff;
        assert_eq!(Trail::decode(&other), Err(RecordFormatError), "no UTF-8");
    }
}

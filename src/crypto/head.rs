//! The head of the store: what is true of all rows together. It is stored sealed, never in the clear.
//!
//! A row's own sealing cannot tell that the row is an older one, or that another row is gone. The head can: for
//! each of 1,024 buckets it holds the XOR of the items of the bucket's rows (MSet-XOR-Hash: Clarke, Devadas, van
//! Dijk, Gassend, Suh, ASIACRYPT 2003). In the clear, the history of these sums would let an attacker solve for
//! rows whose joint rollback changes nothing; that is why they are sealed.
//!
//! Encoded: `01 ver ‖ u64 sequence ‖ u64 revision ‖ u64 policy generation ‖ u64 restore epoch ‖ i64 time ‖
//! audit chain head 32 ‖ schema hash 32 ‖ u32 n ‖ n × (LP(kind) ‖ u64 count), kinds ascending ‖ 1024 × 32`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::bytes::{Reader, put_prefixed};

/// Number of buckets.
pub const BUCKETS: usize = 1024;
pub(super) const BUCKET_MASK: u16 = 1023;
const VERSION: u8 = 1;
const ITEM_BYTES: usize = 32;
const FIXED_BYTES: usize = 1 + 5 * 8 + 2 * 32 + 4 + BUCKETS * ITEM_BYTES;

/// One sum of items for each bucket. The order of rows does not matter, and adding a row again removes it.
#[derive(Clone)]
pub struct Accumulators(Box<[[u8; ITEM_BYTES]]>);

impl Accumulators {
    /// Those of an empty store.
    pub fn empty() -> Self {
        Self(vec![[0; ITEM_BYTES]; BUCKETS].into_boxed_slice())
    }

    /// Adds a row's item, or removes it if it is there. `bucket` comes from [`Keyring::bucket`] and is taken
    /// modulo 1,024.
    ///
    /// [`Keyring::bucket`]: super::Keyring::bucket
    pub fn toggle(&mut self, bucket: u16, item: &[u8; ITEM_BYTES]) {
        if let Some(sum) = self.0.get_mut(usize::from(bucket & BUCKET_MASK)) {
            for (byte, change) in sum.iter_mut().zip(item) {
                *byte ^= change;
            }
        }
    }

    /// Adds the rows that `other` was made of. The two must have no row in common, which would remove it.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().flatten().zip(other.0.iter().flatten()) {
            *mine ^= theirs;
        }
    }

    /// The buckets, ascending, in which the two differ: those that hold a changed, missing or added row.
    pub fn differing(&self, other: &Self) -> Vec<u16> {
        (0_u16..)
            .zip(self.0.iter().zip(other.0.iter()))
            .filter(|(_, (mine, theirs))| !bool::from(mine.ct_eq(*theirs)))
            .map(|(bucket, _)| bucket)
            .collect()
    }
}

impl fmt::Debug for Accumulators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Accumulators")
    }
}

/// What the sealed head of the store holds.
#[derive(Debug, Clone)]
pub struct Head {
    /// Counts commits; never goes back.
    pub sequence: u64,
    /// The latest resource version.
    pub revision: u64,
    /// Rises with every change of who may do what.
    pub policy_generation: u64,
    /// Rises with every restore of a backup; what was issued in an earlier epoch is void.
    pub restore_epoch: u64,
    /// The latest time by which credentials were judged when it was written; 0: none yet.
    pub time_high_water_unix_seconds: i64,
    /// The last link of the chain of mutations.
    pub audit_chain_head: [u8; 32],
    /// Hash of the database's schema.
    pub schema_hash: [u8; 32],
    /// Number of live objects of each kind.
    pub counts: BTreeMap<String, u64>,
    /// The sums over all rows.
    pub accumulators: Accumulators,
}

impl Head {
    /// The head of a store without rows.
    pub fn empty(schema_hash: [u8; 32], audit_chain_head: [u8; 32]) -> Self {
        Self {
            sequence: 0,
            revision: 0,
            policy_generation: 0,
            restore_epoch: 0,
            time_high_water_unix_seconds: 0,
            audit_chain_head,
            schema_hash,
            counts: BTreeMap::new(),
            accumulators: Accumulators::empty(),
        }
    }

    /// Adds a row's item to its bucket, or removes it; see [`Accumulators::toggle`].
    pub fn toggle(&mut self, bucket: u16, item: &[u8; 32]) {
        self.accumulators.toggle(bucket, item);
    }

    /// The bytes to be sealed: about 33 KiB.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let counts_bytes: usize = self.counts.keys().map(|kind| 4 + kind.len() + 8).sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(FIXED_BYTES + counts_bytes));
        bytes.push(VERSION);
        for number in [self.sequence, self.revision, self.policy_generation, self.restore_epoch] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.time_high_water_unix_seconds.to_be_bytes());
        bytes.extend_from_slice(&self.audit_chain_head);
        bytes.extend_from_slice(&self.schema_hash);
        bytes.extend_from_slice(&u32::try_from(self.counts.len()).unwrap_or(u32::MAX).to_be_bytes());
        for (kind, count) in &self.counts {
            put_prefixed(&mut bytes, kind.as_bytes());
            bytes.extend_from_slice(&count.to_be_bytes());
        }
        bytes.extend_from_slice(self.accumulators.0.as_flattened());
        bytes
    }

    /// Reads what [`Head::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeadFormatError> {
        match bytes.split_first() {
            Some((&VERSION, body)) => Self::decode_body(body).ok_or(HeadFormatError::Malformed),
            Some((&version, _)) if version > VERSION => Err(HeadFormatError::UnknownVersion(version)),
            Some(_) | None => Err(HeadFormatError::Malformed),
        }
    }

    fn decode_body(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let mut head = Self {
            sequence: reader.u64()?,
            revision: reader.u64()?,
            policy_generation: reader.u64()?,
            restore_epoch: reader.u64()?,
            time_high_water_unix_seconds: reader.i64()?,
            audit_chain_head: *reader.array()?,
            schema_hash: *reader.array()?,
            counts: BTreeMap::new(),
            accumulators: Accumulators::empty(),
        };
        for _ in 0..reader.u32()? {
            let kind = std::str::from_utf8(reader.prefixed()?).ok()?;
            let ascending = head.counts.last_key_value().is_none_or(|(previous, _)| previous.as_str() < kind);
            let count = reader.u64()?;
            if !ascending {
                return None;
            }
            head.counts.insert(kind.to_owned(), count);
        }
        for sum in &mut head.accumulators.0 {
            *sum = *reader.array()?;
        }
        reader.is_empty().then_some(head)
    }
}

/// Why the opened bytes are not a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadFormatError {
    /// Written by another version of the format.
    UnknownVersion(u8),
    /// Not of the shape that its version has.
    Malformed,
}

impl fmt::Display for HeadFormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownVersion(version) => {
                write!(f, "the head of the store has format version {version}: use a newer release")
            }
            Self::Malformed => f.write_str("the head of the store is malformed"),
        }
    }
}

impl Error for HeadFormatError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Head {
        let mut head = Head::empty([1; 32], [2; 32]);
        head.sequence = 3;
        head.revision = u64::MAX;
        head.time_high_water_unix_seconds = -1;
        head.counts = BTreeMap::from([("Secret".to_owned(), 7), ("ConfigMap".to_owned(), 1)]);
        head.toggle(5, &[9; 32]);
        head
    }

    #[test]
    fn a_head_reads_back_as_it_was_written() {
        let encoded = sample().encode();
        let decoded = Head::decode(&encoded).unwrap();
        assert_eq!(decoded.encode(), encoded);
        assert_eq!((decoded.sequence, decoded.revision, decoded.counts["Secret"]), (3, u64::MAX, 7));
        assert_eq!(encoded.capacity(), encoded.len(), "no growth left a copy behind");
    }

    #[test]
    fn every_truncation_and_every_extension_of_a_head_is_refused() {
        let encoded = sample().encode();
        for length in (0..200).chain([encoded.len() - 32, encoded.len() - 1]) {
            assert_eq!(Head::decode(&encoded[..length]).unwrap_err(), HeadFormatError::Malformed, "{length}");
        }
        let mut longer = encoded.to_vec();
        longer.push(0);
        assert_eq!(Head::decode(&longer).unwrap_err(), HeadFormatError::Malformed);
        longer[0] = 2;
        assert_eq!(Head::decode(&longer).unwrap_err(), HeadFormatError::UnknownVersion(2));
    }

    #[test]
    fn kinds_out_of_order_or_twice_are_refused() {
        let mut head = sample();
        head.counts = BTreeMap::from([("A".to_owned(), 1), ("B".to_owned(), 2)]);
        let encoded = head.encode();
        let first_kind = 1 + 5 * 8 + 64 + 4 + 4;
        for replacement in [b'B', b'C'] {
            let mut changed = encoded.to_vec();
            assert_eq!(changed[first_kind], b'A');
            changed[first_kind] = replacement;
            assert_eq!(Head::decode(&changed).unwrap_err(), HeadFormatError::Malformed);
        }
    }

    #[test]
    fn sums_over_parts_merge_into_the_sum_over_the_whole() {
        let (mut whole, mut one, mut two) = (Accumulators::empty(), Accumulators::empty(), Accumulators::empty());
        for (bucket, item) in [(3, [5; 32]), (3, [6; 32]), (9, [7; 32])] {
            if item == [5; 32] {
                one.toggle(bucket, &item);
            } else {
                two.toggle(bucket, &item);
            }
            whole.toggle(bucket, &item);
        }
        one.merge(&two);
        assert_eq!(one.differing(&whole), Vec::<u16>::new());
    }

    #[test]
    fn toggling_twice_undoes_itself_and_order_does_not_matter() {
        let (mut one, mut two) = (Accumulators::empty(), Accumulators::empty());
        one.toggle(3, &[5; 32]);
        one.toggle(3, &[6; 32]);
        two.toggle(3, &[6; 32]);
        two.toggle(3, &[5; 32]);
        assert_eq!(one.differing(&two), Vec::<u16>::new());
        two.toggle(3, &[5; 32]);
        two.toggle(1023, &[1; 32]);
        assert_eq!(one.differing(&two), [3, 1023]);
        two.toggle(1023, &[1; 32]);
        two.toggle(3, &[6; 32]);
        assert_eq!(two.differing(&Accumulators::empty()), Vec::<u16>::new());
    }
}

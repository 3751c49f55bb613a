//! Links between audit records, so that an edit, removal, reordering or truncation shows.
//!
//! `link = HMAC(k_audit, previous link 32 ‖ record)`. Each chain (mutations, reads) starts from its own value, so
//! records cannot be moved between chains or stores. It knows nothing of what a record says.

use std::error::Error;
use std::fmt;

use subtle::ConstantTimeEq;

use super::bytes::length_prefix;
use super::derive::AUDIT_START;
use super::keyring::Keyring;

impl Keyring {
    /// What the first record of a chain is linked to:
    /// `HMAC(k_audit, "strongroom/audit/v1\0" ‖ LP(store id) ‖ LP(chain))`.
    pub fn audit_start(&self, chain: &str) -> [u8; 32] {
        let (store_id, chain) = (self.store_id(), chain.as_bytes());
        self.audit_mac().of(&[AUDIT_START, &length_prefix(&store_id), &store_id, &length_prefix(chain), chain])
    }

    /// The link of a record: `HMAC(k_audit, previous ‖ event)`. `event` is the record in its stored form.
    pub fn audit_link(&self, previous: &[u8; 32], event: &[u8]) -> [u8; 32] {
        self.audit_mac().of(&[previous, event])
    }
}

/// The last record of a chain, as somebody who keeps it elsewhere names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainEnd {
    /// Number of the record, from 1; 0 where there is none.
    pub sequence: u64,
    /// Its link, or what the first record is linked to.
    pub link: [u8; 32],
}

impl ChainEnd {
    /// As it is kept among the store's own values: the number in 8 bytes, big-endian, then the link.
    pub fn to_bytes(self) -> Vec<u8> {
        [self.sequence.to_be_bytes().as_slice(), &self.link].concat()
    }

    /// Out of [`ChainEnd::to_bytes`]; `None` where it is another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (sequence, link) = bytes.split_first_chunk()?;
        Some(Self { sequence: u64::from_be_bytes(*sequence), link: link.try_into().ok()? })
    }
}

/// Follows a chain record by record.
pub struct ChainWalk<'k> {
    keyring: &'k Keyring,
    link: [u8; 32],
    records: u64,
}

impl<'k> ChainWalk<'k> {
    /// Starts behind `link`: [`Keyring::audit_start`], or the link of the last record that retention removed.
    pub fn behind(keyring: &'k Keyring, link: [u8; 32]) -> Self {
        Self { keyring, link, records: 0 }
    }

    /// Takes the next record with the link stored beside it.
    pub fn step(&mut self, event: &[u8], stored_link: &[u8; 32]) -> Result<(), ChainBreak> {
        let link = self.keyring.audit_link(&self.link, event);
        self.compare(&link, stored_link)?;
        self.link = link;
        self.records += 1;
        Ok(())
    }

    /// Ends at the link that is kept elsewhere; another one means that records at the end are missing. Returns
    /// the number of records.
    pub fn end(self, expected_link: &[u8; 32]) -> Result<u64, ChainBreak> {
        self.compare(&self.link, expected_link)?;
        Ok(self.records)
    }

    fn compare(&self, computed: &[u8; 32], stored: &[u8; 32]) -> Result<(), ChainBreak> {
        if computed.ct_eq(stored).into() { Ok(()) } else { Err(ChainBreak { intact_records: self.records }) }
    }
}

/// The chain does not hold together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainBreak {
    /// How many records before the break are as they were written.
    pub intact_records: u64,
}

impl fmt::Display for ChainBreak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the audit chain breaks after {} intact records", self.intact_records)
    }
}

impl Error for ChainBreak {}

#[cfg(test)]
mod tests {
    use super::*;

    type Record = (Vec<u8>, [u8; 32]);

    fn chain(keyring: &Keyring) -> (Vec<Record>, [u8; 32]) {
        let mut link = keyring.audit_start("mutations");
        let mut records = Vec::new();
        for event in ["one", "two", "three", "four"] {
            link = keyring.audit_link(&link, event.as_bytes());
            records.push((event.as_bytes().to_vec(), link));
        }
        (records, link)
    }

    fn walk(keyring: &Keyring, records: &[Record], end: &[u8; 32]) -> Result<u64, ChainBreak> {
        let mut walk = ChainWalk::behind(keyring, keyring.audit_start("mutations"));
        for (event, link) in records {
            walk.step(event, link)?;
        }
        walk.end(end)
    }

    #[test]
    fn an_edit_removal_reordering_or_truncation_breaks_the_chain_where_it_happened() {
        let keyring = Keyring::make(0).unwrap();
        let (records, end) = chain(&keyring);
        assert_eq!(walk(&keyring, &records, &end), Ok(4));

        let mut edited = records.clone();
        edited[2].0[0] ^= 1;
        assert_eq!(walk(&keyring, &edited, &end), Err(ChainBreak { intact_records: 2 }));
        let mut removed = records.clone();
        removed.remove(1);
        assert_eq!(walk(&keyring, &removed, &end), Err(ChainBreak { intact_records: 1 }));
        let mut swapped = records.clone();
        swapped.swap(0, 1);
        assert_eq!(walk(&keyring, &swapped, &end), Err(ChainBreak { intact_records: 0 }));
        assert_eq!(walk(&keyring, &records[..3], &end), Err(ChainBreak { intact_records: 3 }));
        assert_eq!(walk(&keyring, &[], &end), Err(ChainBreak { intact_records: 0 }));
    }

    #[test]
    fn chains_and_stores_start_from_different_links() {
        let (one, two) = (Keyring::make(0).unwrap(), Keyring::make(0).unwrap());
        assert_ne!(one.audit_start("mutations"), one.audit_start("reads"));
        assert_ne!(one.audit_start("reads"), two.audit_start("reads"));
        let (records, end) = chain(&one);
        assert_eq!(walk(&two, &records, &end), Err(ChainBreak { intact_records: 0 }));
    }
}

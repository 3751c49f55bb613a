//! What a sealed row is bound to: the exact bytes of its associated data.
//!
//! ```text
//! "strongroom/rec/v1\0" ‖ LP(table) ‖ LP(store id 16) ‖ LP(kind) ‖ LP(namespace) ‖ LP(name) ‖ LP(uid 16)
//!   ‖ u64 revision ‖ u32 term ‖ LP(column) ‖ u8 flags
//! ```
//!
//! Every part of variable length carries its length, so no two different rows have the same bytes. The store id
//! stops moving a row to another store, the uid its revival under a re-created name, the revision an older value
//! under the same uid, the term a mix-up of keys, the column an exchange of `meta` and `data`, and the top bit of
//! the flags (set when the row has data) the blanking of `data`. This layout is frozen: a change is a new version.

use super::bytes::length_prefix;
use super::derive::AAD_RECORD;

/// The bit of the flags that says whether the row has data. Not the caller's to set.
pub(super) const HAS_DATA: u8 = 0x80;

/// Room for the associated data of every row whose names keep to Kubernetes' usual lengths.
const INLINE_BYTES: usize = 512;

/// The table a row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    /// The latest version of each object.
    Objects,
    /// Every change, append-only.
    Versions,
    /// What is still to be sent elsewhere.
    Outbox,
    /// Opaque tokens.
    Tokens,
    /// Audit records of mutations.
    Audit,
    /// Single values of the store itself: signing keys, certificates.
    State,
}

impl Table {
    /// The name, as SQL and the associated data have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Objects => "objects",
            Self::Versions => "versions",
            Self::Outbox => "outbox",
            Self::Tokens => "tokens",
            Self::Audit => "audit",
            Self::State => "state",
        }
    }
}

/// One of the two sealed columns of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// Labels, annotations, type and everything else that is not a secret value.
    Meta,
    /// The secret values. Empty where a kind has none.
    Data,
}

impl Field {
    /// The name, as SQL and the associated data have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Data => "data",
        }
    }
}

/// Everything in the clear columns that a row's sealed columns are bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordId<'a> {
    /// The table.
    pub table: Table,
    /// `group/kind`, or the kind alone in the core group.
    pub kind: &'a str,
    /// Empty for what has no namespace.
    pub namespace: &'a str,
    /// The object's name, or the row's key in tables without objects.
    pub name: &'a str,
    /// The object's UUID.
    pub uid: [u8; 16],
    /// The resource version at which the row was written.
    pub revision: u64,
    /// What the row is: 1 put, 2 delete tombstone. The top bit is reserved and must be clear.
    pub flags: u8,
}

/// The associated data of both columns of one row, built once, on the stack unless a name is unusually long.
pub(super) struct RecordAad {
    bytes: StackBytes,
    shared: usize,
    flags: u8,
}

impl RecordAad {
    pub(super) fn new(store_id: &[u8; 16], id: &RecordId<'_>, term: u32, has_data: bool) -> Self {
        let mut bytes = StackBytes::new();
        bytes.push(AAD_RECORD);
        bytes.push_prefixed(id.table.name().as_bytes());
        bytes.push_prefixed(store_id);
        bytes.push_prefixed(id.kind.as_bytes());
        bytes.push_prefixed(id.namespace.as_bytes());
        bytes.push_prefixed(id.name.as_bytes());
        bytes.push_prefixed(&id.uid);
        bytes.push(&id.revision.to_be_bytes());
        bytes.push(&term.to_be_bytes());
        let flags = if has_data { id.flags | HAS_DATA } else { id.flags };
        Self { shared: bytes.as_slice().len(), bytes, flags }
    }

    /// The bytes for one column; they differ only at the end.
    pub(super) fn column(&mut self, field: Field) -> &[u8] {
        self.bytes.truncate(self.shared);
        self.bytes.push_prefixed(field.name().as_bytes());
        self.bytes.push(&[self.flags]);
        self.bytes.as_slice()
    }
}

/// Bytes on the stack, which move to the heap when they outgrow it.
struct StackBytes {
    inline: [u8; INLINE_BYTES],
    length: usize,
    spilled: Option<Vec<u8>>,
}

impl StackBytes {
    fn new() -> Self {
        Self { inline: [0; INLINE_BYTES], length: 0, spilled: None }
    }

    fn as_slice(&self) -> &[u8] {
        match &self.spilled {
            Some(heap) => heap,
            None => self.inline.get(..self.length).unwrap_or_default(),
        }
    }

    fn push(&mut self, part: &[u8]) {
        if let Some(heap) = &mut self.spilled {
            heap.extend_from_slice(part);
            return;
        }
        let end = self.length.saturating_add(part.len());
        if let Some(room) = self.inline.get_mut(self.length..end) {
            room.copy_from_slice(part);
            self.length = end;
        } else {
            let mut heap = Vec::with_capacity(end.saturating_mul(2));
            heap.extend_from_slice(self.as_slice());
            heap.extend_from_slice(part);
            self.spilled = Some(heap);
        }
    }

    fn push_prefixed(&mut self, part: &[u8]) {
        self.push(&length_prefix(part));
        self.push(part);
    }

    fn truncate(&mut self, length: usize) {
        match &mut self.spilled {
            Some(heap) => heap.truncate(length),
            None => self.length = self.length.min(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn associated_data_is_the_same_on_the_stack_and_on_the_heap() {
        for name_length in [0, 1, 253, 380, 381, 382, 383, 384, 400, 512, 5000] {
            let name = "n".repeat(name_length);
            let id = RecordId {
                table: Table::Objects,
                kind: "Secret",
                namespace: "prod",
                name: &name,
                uid: [7; 16],
                revision: 9,
                flags: 1,
            };
            let mut expected = AAD_RECORD.to_vec();
            for part in [&b"objects"[..], &[3; 16], b"Secret", b"prod", name.as_bytes(), &[7; 16]] {
                crate::crypto::bytes::put_prefixed(&mut expected, part);
            }
            expected.extend_from_slice(&9_u64.to_be_bytes());
            expected.extend_from_slice(&2_u32.to_be_bytes());
            let mut aad = RecordAad::new(&[3; 16], &id, 2, true);
            // Asking again, in any order, gives the same bytes.
            for field in [Field::Meta, Field::Data, Field::Data, Field::Meta] {
                let mut whole = expected.clone();
                crate::crypto::bytes::put_prefixed(&mut whole, field.name().as_bytes());
                whole.push(0x81);
                assert_eq!(aad.column(field), whole, "name of {name_length} bytes");
            }
        }
    }
}

//! The keys of an open room: data terms, root key, slots. Who changes them, and what becomes of those that are replaced.
//!
//! ```text
//! rotate data   a new term; rows are sealed anew with it; the former one is destroyed when nothing needs it
//! rotate root   a new root key; the keyring is wrapped with it, and so is every slot whose secret is at hand
//! a slot        another secret opens the room, or one does no longer
//! ```
//!
//! What it never does: change a key without the record of it, leave the room with no slot that opens it, or try a secret on a
//! slot that was not named.

mod custody;
mod explained;
mod look_after;
mod status;

#[cfg(test)]
mod tests;

pub use custody::{Change, Custody, KeysError, OpenKeys, Opened, OpenedWith, Rewrapped, RootRotation, SlotSecret};
pub use explained::{DATA_ROTATED, ROOT_ROTATED, SLOT_CHANGED, SLOT_REMOVED};
pub use look_after::look_after;
pub use status::{KeyStatus, SlotStatus};

pub use crate::store::Resealing;

//! What may be told of the keys: which there are, what they are for, and what they protect against. Nothing secret.

use crate::crypto::{Slot, SlotKind, TermInfo};
use crate::store::Resealing;

use super::custody::OpenedWith;

/// What there is.
#[derive(Debug, Clone)]
pub struct KeyStatus {
    /// Every data term, the active one first.
    pub terms: Vec<TermInfo>,
    /// How far the rows are sealed with the active one.
    pub resealing: Resealing,
    /// What opens the room.
    pub slots: Vec<SlotStatus>,
    /// What this protects against.
    pub protects: Vec<&'static str>,
    /// What it does not protect against.
    pub does_not_protect: Vec<&'static str>,
}

/// A slot, without what it wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotStatus {
    /// Its number.
    pub id: u32,
    /// What kind of secret opens it.
    pub kind: SlotKind,
    /// Its secret is 256 random bits, and not what a person has chosen.
    pub is_high_entropy: bool,
    /// The running server was opened with it.
    pub is_in_use: bool,
}

pub(super) fn of_slots(slots: &[Slot], opened: OpenedWith) -> Vec<SlotStatus> {
    let status = |slot: &Slot| SlotStatus {
        id: slot.id(),
        kind: slot.kind(),
        is_high_entropy: slot.cost().is_none(),
        is_in_use: slot.kind() == opened.kind,
    };
    slots.iter().map(status).collect()
}

/// What the slots protect against, and what not.
pub(super) fn protection(slots: &[SlotStatus], opened: OpenedWith) -> (Vec<&'static str>, Vec<&'static str>) {
    let mut protects = vec!["a copy of the database without a secret that opens it"];
    let mut not = vec!["root on this machine, and whoever may debug its processes, while the room is open"];
    if opened.is_colocated {
        not.push("a copy of the whole home, or theft of its disk: the key file lies in the home");
    } else if opened.kind == SlotKind::KeyFile {
        protects.push("a copy of the home without the key file, which lies elsewhere");
        not.push("theft of the disk, if the key file is on the same one");
    } else {
        protects.push("theft of the disk while the room is sealed");
    }
    if slots.iter().any(|slot| !slot.is_high_entropy) {
        not.push("whoever has a copy of the database and guesses a passphrase");
    }
    (protects, not)
}

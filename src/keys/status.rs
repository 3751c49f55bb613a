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
    let has = |kind| slots.iter().any(|slot| slot.kind == kind);
    match (has(SlotKind::KeyFile), opened.is_colocated.filter(|_| opened.kind == SlotKind::KeyFile)) {
        (false, _) => protects.push("theft of the disk while the room is sealed"),
        (true, Some(true)) => not.push("a copy of the whole home, or theft of its disk: the key file lies in the home"),
        (true, Some(false)) => {
            protects.push("a copy of the home without the key file, which lies elsewhere");
            not.push("theft of the disk, if the key file is on the same one");
        }
        (true, None) => not.push("a copy of the home, or theft of its disk, together with the key file"),
    }
    if slots.iter().any(|slot| !slot.is_high_entropy) {
        not.push("whoever has a copy of the database and guesses a passphrase");
    }
    (protects, not)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kinds: &[SlotKind], kind: SlotKind, is_colocated: Option<bool>) -> (Vec<&'static str>, Vec<&'static str>) {
        let slot = |kind: &SlotKind| SlotStatus { id: 1, kind: *kind, is_high_entropy: true, is_in_use: false };
        let (mut protects, mut not) =
            protection(&kinds.iter().map(slot).collect::<Vec<_>>(), OpenedWith { kind, is_colocated });
        (protects.split_off(1), not.split_off(1))
    }

    #[test]
    fn a_key_file_is_spoken_of_as_far_as_there_is_one_and_it_is_known_where() {
        use SlotKind::{KeyFile, Passphrase};

        let in_home = told(&[KeyFile], KeyFile, Some(true));
        assert!(in_home.0.is_empty() && in_home.1[0].contains("lies in the home"), "{in_home:?}");
        let elsewhere = told(&[KeyFile], KeyFile, Some(false));
        assert!(elsewhere.0[0].contains("lies elsewhere"), "{elsewhere:?}");
        // The key came over a connection; or another secret was used, and the key file is the nearest that a thief has.
        for (kind, is_colocated) in [(KeyFile, None), (Passphrase, Some(false)), (Passphrase, None)] {
            let unknown = told(&[KeyFile, Passphrase], kind, is_colocated);
            assert_eq!(unknown.1, ["a copy of the home, or theft of its disk, together with the key file"], "{kind}");
            assert!(unknown.0.is_empty());
        }
        // The slot is gone since.
        let hardened = told(&[Passphrase], KeyFile, Some(true));
        assert_eq!(hardened, (vec!["theft of the disk while the room is sealed"], vec![]));
    }
}

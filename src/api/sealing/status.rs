//! The states of a server, as they are told.

use serde_json::{Value, json};

/// Where a server is between sealed and ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealState {
    /// The keys are not in memory.
    Sealed,
    /// An unlock secret is being checked.
    Unsealing,
    /// The keys are open, and every stored row is being authenticated.
    Verifying,
    /// Everything is served.
    Ready,
    /// What is stored is served, and nothing is written.
    ReadOnly,
}

impl SealState {
    /// All of them, in the order in which a start goes through them.
    pub const ALL: [Self; 5] = [Self::Sealed, Self::Unsealing, Self::Verifying, Self::Ready, Self::ReadOnly];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Unsealing => "unsealing",
            Self::Verifying => "verifying",
            Self::Ready => "ready",
            Self::ReadOnly => "read-only",
        }
    }
}

/// A way to unseal a home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotFacts {
    /// Its number.
    pub id: u32,
    /// What opens it: `passphrase`, `key-file`, `systemd-credential`, `recovery-key`.
    pub kind: String,
}

/// What a server tells of its state, to everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealStatus {
    /// The state.
    pub state: SealState,
    /// Why it is not ready; empty where it is.
    pub why: String,
    /// What to do next; empty where there is nothing to do.
    pub next: String,
    /// The ways to unseal it.
    pub slots: Vec<SlotFacts>,
}

impl SealStatus {
    /// As it is answered.
    pub fn to_json(&self) -> Value {
        let slots: Vec<Value> = self.slots.iter().map(|slot| json!({"id": slot.id, "kind": slot.kind})).collect();
        json!({"state": self.state.as_str(), "why": self.why, "next": self.next, "slots": slots})
    }

    /// Of an answer; `None` where it is none of these.
    pub fn of_json(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let state = SealState::ALL.into_iter().find(|state| state.as_str() == text("state"))?;
        let slots = value.get("slots").and_then(Value::as_array).into_iter().flatten();
        let slot = |slot: &Value| {
            let id = u32::try_from(slot.get("id")?.as_u64()?).ok()?;
            Some(SlotFacts { id, kind: slot.get("kind")?.as_str()?.to_owned() })
        };
        Some(Self { state, why: text("why"), next: text("next"), slots: slots.filter_map(slot).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_it_was_told() {
        let slots = vec![SlotFacts { id: 1, kind: "passphrase".into() }, SlotFacts { id: 7, kind: "key-file".into() }];
        for state in SealState::ALL {
            let told = SealStatus { state, why: "a".into(), next: "b".into(), slots: slots.clone() };
            assert_eq!(SealStatus::of_json(&told.to_json()).unwrap(), told);
        }
        assert_eq!(SealStatus::of_json(&json!({"state": "open"})), None);
        assert_eq!(SealStatus::of_json(&json!([])), None);
    }
}

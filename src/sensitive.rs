//! The only types in which plaintext lives.
//!
//! What they are: owned buffers that are wiped when dropped. What they never do: implement `Clone`,
//! `Debug`, `Display` or `Serialize`, so that no log line, error or derive can print them. Reading one
//! is always spelled `expose…`, which clippy refuses unless the call site carries a reason.

use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

/// Owned secret bytes, wiped on drop.
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes ownership of `bytes`; the caller keeps no copy.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The plaintext.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// A second copy, which is wiped on its own. Named so that a copy is always a decision.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A JSON tree that may hold secret values (an API object, a patch). Every string in it is wiped on drop.
pub struct Document(Value);

impl Document {
    /// Takes ownership of a parsed tree.
    #[must_use]
    pub fn new(value: Value) -> Self {
        Self(value)
    }

    /// The plaintext tree.
    #[must_use]
    pub fn expose(&self) -> &Value {
        &self.0
    }

    /// The plaintext tree, to change in place. Strings replaced through it are the caller's to wipe.
    pub fn expose_mut(&mut self) -> &mut Value {
        &mut self.0
    }

    /// A second copy, which is wiped on its own. Named so that a copy is always a decision.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Wipes every string in a JSON tree and leaves `null`.
pub fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    *value = Value::Null;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wiping_leaves_nothing_of_a_tree() {
        let mut value = serde_json::json!({"data": {"a": "c2VjcmV0"}, "l": ["x", 1]});
        wipe(&mut value);
        assert_eq!(value, Value::Null);
    }
}

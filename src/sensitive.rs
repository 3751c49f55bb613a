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

/// Secret bytes that are being written: wiped on drop, and where it grows, no copy of the former place is left behind.
#[derive(Default)]
pub struct SecretBuffer(Zeroizing<Vec<u8>>);

impl SecretBuffer {
    /// Room for `capacity` bytes before it has to grow.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(capacity)))
    }

    /// Appends `bytes`.
    pub fn extend(&mut self, bytes: &[u8]) {
        let needed = self.0.len().saturating_add(bytes.len());
        if needed > self.0.capacity() {
            // `Vec` would free its former place as it is.
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(self.0.capacity().saturating_mul(2))));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
    }

    /// Appends `text`.
    pub fn push_str(&mut self, text: &str) {
        self.extend(text.as_bytes());
    }

    /// Appends one character.
    pub fn push(&mut self, c: char) {
        self.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// Number of bytes written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was written, and begins anew with nothing.
    #[must_use]
    pub fn take(&mut self) -> SecretBytes {
        SecretBytes(std::mem::take(&mut self.0))
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
    #[expect(clippy::disallowed_methods, reason = "the test looks at what it wrote")]
    fn a_buffer_holds_what_was_written_however_it_grew() {
        let mut buffer = SecretBuffer::default();
        let mut expected = String::new();
        for c in "a€\u{1f512}\n".chars().cycle().take(999) {
            buffer.push(c);
            buffer.push_str("xy");
            expected.push(c);
            expected.push_str("xy");
        }
        assert_eq!(buffer.len(), expected.len());
        assert_eq!(buffer.take().expose(), expected.as_bytes());
        assert!(buffer.is_empty());
    }

    #[test]
    fn wiping_leaves_nothing_of_a_tree() {
        let mut value = serde_json::json!({"data": {"a": "c2VjcmV0"}, "l": ["x", 1]});
        wipe(&mut value);
        assert_eq!(value, Value::Null);
    }
}

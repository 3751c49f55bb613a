//! Where the writers of text put it: a plain string, or a buffer that is wiped. Writing never fails.

use crate::sensitive::SecretBuffer;

/// Takes text piece by piece.
pub trait Text {
    /// Appends `text`.
    fn push_str(&mut self, text: &str);

    /// Appends one character.
    fn push(&mut self, c: char);
}

impl Text for String {
    fn push_str(&mut self, text: &str) {
        Self::push_str(self, text);
    }

    fn push(&mut self, c: char) {
        Self::push(self, c);
    }
}

impl Text for SecretBuffer {
    fn push_str(&mut self, text: &str) {
        Self::push_str(self, text);
    }

    fn push(&mut self, c: char) {
        Self::push(self, c);
    }
}

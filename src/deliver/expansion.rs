//! References to other variables, `$(NAME)`, as `third_party/forked/golang/expansion` replaces them.
//!
//! `$$` is a dollar sign that begins no reference. What names no variable, and what is not closed, stays as it is. What is
//! put in is not looked at again.

use crate::sensitive::{SecretBuffer, SecretBytes};

/// Replaces the references in `text` with what `lookup` knows.
///
/// One difference from Kubernetes: there, a dollar sign before a character beyond ASCII breaks that character, because
/// only its first byte is copied, as if it were a character itself. Here it stays whole.
#[must_use]
pub fn expand<'a>(text: &[u8], lookup: impl Fn(&[u8]) -> Option<&'a SecretBytes>) -> SecretBytes {
    let mut out = SecretBuffer::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
        let (before, from) = rest.split_at(at);
        out.extend(before);
        let read = match from.get(1) {
            Some(b'$') => {
                out.extend(b"$");
                2
            }
            Some(b'(') => reference(from, &lookup, &mut out),
            _ => {
                out.extend(b"$");
                1
            }
        };
        rest = from.get(read..).unwrap_or_default();
    }
    out.extend(rest);
    out.take()
}

/// What begins with `$(`; how much of it was read.
#[expect(clippy::disallowed_methods, reason = "values are put into a value")]
fn reference<'a>(from: &[u8], lookup: impl Fn(&[u8]) -> Option<&'a SecretBytes>, out: &mut SecretBuffer) -> usize {
    let Some(end) = from.iter().position(|byte| *byte == b')') else {
        out.extend(b"$(");
        return 2;
    };
    match lookup(from.get(2..end).unwrap_or_default()) {
        Some(value) => out.extend(value.expose()),
        None => out.extend(from.get(..=end).unwrap_or_default()),
    }
    end + 1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The cases of Kubernetes' own test of this (`expand_test.go`) and those around them.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at what it made")]
    fn references_are_replaced_as_kubernetes_replaces_them() {
        let known = [("VAR_A", "A"), ("VAR_B", "B"), ("VAR_C", "C"), ("VAR_REF", "$(VAR_A)"), ("VAR_EMPTY", "")];
        let known: BTreeMap<&[u8], SecretBytes> =
            known.iter().map(|(name, value)| (name.as_bytes(), SecretBytes::new(value.as_bytes().to_vec()))).collect();
        for (text, expected) in [
            ("$(VAR_A)", "A"),
            ("___$(VAR_B)___", "___B___"),
            ("$(VAR_A)-1", "A-1"),
            ("$(VAR_A)_$(VAR_B)_$(VAR_C)", "A_B_C"),
            ("$$(VAR_A)_$$(VAR_B)", "$(VAR_A)_$(VAR_B)"),
            ("$$$$$$(VAR_A)", "$$$(VAR_A)"),
            ("f000-$$VAR_A", "f000-$VAR_A"),
            ("foo\\$(VAR_C)bar", "foo\\Cbar"),
            ("foo\\\\$(VAR_C)bar", "foo\\\\Cbar"),
            ("$(VAR_A$(VAR_B)", "$(VAR_A$(VAR_B)"),
            ("$(VAR_A$(VAR_B))", "$(VAR_A$(VAR_B))"),
            ("$$(VAR_A$(VAR_B))", "$(VAR_AB)"),
            ("$((VAR_A))", "$((VAR_A))"),
            ("$(VAR_REF)", "$(VAR_A)"),
            ("%%$(VAR_REF)--$(VAR_REF)%%", "%%$(VAR_A)--$(VAR_A)%%"),
            ("foo$(VAR_EMPTY)bar", "foobar"),
            ("foo$(MISSING)bar", "foo$(MISSING)bar"),
            ("$()", "$()"),
            ("$", "$"),
            ("a$", "a$"),
            ("$$", "$"),
            ("$$$", "$$"),
            ("$(", "$("),
            ("$(VAR_A", "$(VAR_A"),
            ("$VAR_A", "$VAR_A"),
            ("${VAR_A}", "${VAR_A}"),
            ("$(VAR_A)$", "A$"),
            ("$\u{e4}$(VAR_A)", "$\u{e4}A"),
            ("", ""),
        ] {
            let expanded = expand(text.as_bytes(), |name| known.get(name));
            assert_eq!(String::from_utf8_lossy(expanded.expose()), expected, "{text}");
        }
    }
}

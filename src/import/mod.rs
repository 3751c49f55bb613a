//! Secrets from files of other formats: manifests and dotenv. (SOPS files are read by `export`, which writes them too.)
//!
//! Pure: bytes come in, Secrets or an error go out. What it never does: put a value into an error, replace variables in
//! values, or change a value that looks wrong.

mod dotenv;
mod manifests;

use crate::sensitive::SecretBytes;

pub use dotenv::{DotenvError, read as dotenv};
pub use manifests::{ManifestError, read as manifests, secrets};

/// Whether the value is one line with a line break behind it, as `echo secret | base64` makes it. Worth a word to the user.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "only where line breaks are is looked at")]
pub fn has_accidental_line_break(value: &SecretBytes) -> bool {
    let line = value.expose().strip_suffix(b"\n");
    line.is_some_and(|line| !line.is_empty() && !line.contains(&b'\n') && std::str::from_utf8(line).is_ok())
}

#[cfg(test)]
mod tests;

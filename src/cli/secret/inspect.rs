//! `strongroom secret inspect`: what a manifest on disk gives away. Asks no server.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use zeroize::Zeroizing;

use super::get::{MASK, text};
use crate::cli::CliError;
use crate::cli::connection::read_bounded;
use crate::cli::output::{Table, one_line, print, several_lines};
use crate::scan::{Entry, Found, Inspected, Protection, inspect, recognise};

const FILE_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Options of `secret inspect`.
#[derive(Args)]
pub struct Inspect {
    /// A file of manifests, YAML or JSON
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Show values
    #[arg(long)]
    reveal: bool,
}

impl Inspect {
    pub(super) fn run(self) -> Result<(), CliError> {
        let refuse = |why: String| CliError::NotDone(format!("{}: {why}", self.file.display()));
        let bytes = read_bounded(&self.file, FILE_MAX_BYTES)?;
        #[expect(clippy::disallowed_methods, reason = "the file is looked through")]
        let objects = inspect(bytes.expose()).map_err(|error| refuse(error.to_string()))?;
        if objects.is_empty() {
            return Err(refuse("there is no object in it".to_owned()));
        }
        for (at, object) in objects.iter().enumerate() {
            if at > 0 {
                print("\n");
            }
            print(&Zeroizing::new(shown(object, self.reveal)));
        }
        Ok(())
    }
}

fn shown(object: &Inspected, reveal: bool) -> String {
    let kind = if object.kind.is_empty() { "Object without a kind" } else { &object.kind };
    let place = if object.namespace.is_empty() { String::new() } else { format!("{}/", object.namespace) };
    let secret_type = if object.secret_type.is_empty() { String::new() } else { format!(" ({})", object.secret_type) };
    let mut out = one_line(&format!("{kind} {place}{}{secret_type}", object.name));
    out.push('\n');
    let open = object.entries.iter().filter(|entry| matches!(entry.found, Found::Value(_))).count();
    let protection = match object.protection {
        Protection::NoValues if object.kind == "Secret" => "It holds no values.".to_owned(),
        Protection::NoValues => "Not a Secret: not looked into.".to_owned(),
        Protection::None => {
            "base64 is an encoding, not encryption: whoever reads this file has every value in it.".to_owned()
        }
        Protection::Sealed => format!(
            "Encrypted: only the controller that it is sealed for can read it.{} Names, keys and labels are open.",
            but(open)
        ),
        Protection::Sops => {
            format!(
                "Encrypted with SOPS: only its recipients can read it.{} Names, keys and labels are open.",
                but(open)
            )
        }
    };
    out.push_str(&protection);
    out.push('\n');
    if object.has_copy {
        out.push_str("An annotation of `kubectl apply` holds all values once more.\n");
    }
    if object.entries.is_empty() {
        return out;
    }
    out.push('\n');
    let headings: &[&str] = if reveal {
        &["KEY", "FIELD", "BYTES", "WHAT IT IS", "VALUE"]
    } else {
        &["KEY", "FIELD", "BYTES", "WHAT IT IS"]
    };
    let mut table = Table::new(headings);
    let mut below = Zeroizing::new(String::new());
    for entry in &object.entries {
        let (bytes, what) = told(entry);
        let mut cells = vec![entry.key.clone(), entry.field.to_owned(), bytes, what];
        if reveal {
            cells.push(value(entry, &mut below));
        }
        table.row(cells);
    }
    out.push_str(&Zeroizing::new(table.text()));
    out.push_str(&below);
    out
}

fn but(open: usize) -> String {
    match open {
        0 => String::new(),
        1 => " But 1 value is not encrypted.".to_owned(),
        open => format!(" But {open} values are not encrypted."),
    }
}

#[expect(clippy::disallowed_methods, reason = "of a value only its length and form are told")]
fn told(entry: &Entry) -> (String, String) {
    match &entry.found {
        Found::Value(value) => (value.len().to_string(), recognise(value.expose())),
        Found::Encrypted(_) => ("-".to_owned(), "encrypted".to_owned()),
        Found::Unreadable(why) => ("-".to_owned(), (*why).to_owned()),
    }
}

/// The value for its cell, or below the table where it has several lines.
fn value(entry: &Entry, below: &mut String) -> String {
    let Found::Value(value) = &entry.found else { return MASK.to_owned() };
    match text(value) {
        Some(text) if text.contains('\n') => {
            let _ = write!(below, "\n{}:\n", one_line(&entry.key));
            below.push_str(&Zeroizing::new(several_lines(text)));
            if !below.ends_with('\n') {
                below.push('\n');
            }
            "(below)".to_owned()
        }
        Some(text) => text.to_owned(),
        None => format!("base64 {}", super::writing::encode(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_told_to_be_open_and_values_are_kept_back() {
        let file = b"kind: Secret\napiVersion: v1\nmetadata: {name: db, namespace: prod}\ntype: Opaque\ndata: {user: aHVudGVyMg==, raw: AAE=}\n";
        let object = inspect(file).unwrap().remove(0);
        assert_eq!(
            shown(&object, false),
            "Secret prod/db (Opaque)\n\
             base64 is an encoding, not encryption: whoever reads this file has every value in it.\n\n\
             KEY    FIELD   BYTES   WHAT IT IS\n\
             user   data    7       text\n\
             raw    data    2       binary\n"
        );
        let revealed = shown(&object, true);
        assert!(revealed.contains("hunter2") && revealed.contains("base64 AAE="), "{revealed}");
    }
}

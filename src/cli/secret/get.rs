//! `strongroom secret get`: a Secret with its values masked, or one value as it is.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};

use clap::Args;
use zeroize::Zeroizing;

use super::place::{Place, SecretName, key_option, metadata, namespace_option, values};
use super::revision::{self, Wanted};
use crate::cli::connection::ConnectionOptions;
use crate::cli::output::{Table, one_line, print, several_lines};
use crate::cli::shown::Shown;
use crate::cli::{CliError, completion};
use crate::config::Environment;
use crate::sensitive::{Document, SecretBuffer, SecretBytes};

/// Stands for a value, whatever its length.
pub const MASK: &str = "********";

/// Options of `secret get`.
#[derive(Args)]
pub struct Get {
    /// The Secret
    #[arg(value_name = "[NAMESPACE/]NAME", value_parser = SecretName::parse, add = completion::secrets())]
    secret: SecretName,
    /// The value of this key alone, as it is: to a file or a program; with --reveal, to the terminal
    #[arg(short, long, value_name = "KEY", value_parser = key_option, conflicts_with = "output", add = completion::keys())]
    key: Option<String>,
    /// Show values
    #[arg(long)]
    reveal: bool,
    /// As it was as of this revision: its number, or its name
    #[arg(long, value_name = "REVISION", value_parser = Wanted::parse)]
    revision: Option<Wanted>,
    /// Its namespace [default: that of the context]
    #[arg(short, long, value_name = "NAMESPACE", value_parser = namespace_option, add = completion::namespaces())]
    namespace: Option<String>,
    /// How it is shown: table, json, yaml, name, or jsonpath=TEMPLATE such as jsonpath={.data.user}
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = Shown::parse)]
    output: Shown,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Get {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let to_terminal = std::io::stdout().is_terminal();
        if to_terminal && !self.reveal && (self.key.is_some() || self.output.is_whole()) {
            return Err(CliError::NotDone(
                "this shows values: --reveal shows them here; a file or a program is given them without".to_owned(),
            ));
        }
        let place = Place::connect(&self.connection, self.namespace.as_deref(), environment)?;
        let id = place.id(&self.secret);
        let secret = match &self.revision {
            None => place.get(&id)?,
            Some(wanted) => {
                let all = revision::all(&place, &id)?;
                revision::as_secret(&place, &id, revision::find(&all, &id, wanted)?)?
            }
        };
        let Some(key) = &self.key else {
            return self.show(&secret);
        };
        let values = values(&secret)?;
        match values.get(key) {
            Some(value) => print_value(value, to_terminal),
            None => Err(CliError::NotDone(no_such_key(metadata(&secret, "name"), key, &values))),
        }
    }

    fn show(&self, secret: &Document) -> Result<(), CliError> {
        if self.output == Shown::Table {
            let shown = table(&values(secret)?, self.reveal);
            #[expect(clippy::disallowed_methods, reason = "the person who asked for the values is shown them")]
            print(&Zeroizing::new(String::from_utf8_lossy(shown.expose()).into_owned()));
            return Ok(());
        }
        self.output.show(secret, |_| String::new(), |_| vec![format!("secret/{}", metadata(secret, "name"))]);
        Ok(())
    }
}

/// What keys there are instead.
fn no_such_key(name: &str, key: &str, values: &BTreeMap<String, SecretBytes>) -> String {
    let keys: Vec<String> = values.keys().map(|key| one_line(key)).collect();
    let there = if keys.is_empty() { "it has none".to_owned() } else { format!("it has {}", keys.join(", ")) };
    format!("Secret {name} has no key {key}: {there}")
}

/// To a program the bytes and nothing else; to a terminal text, and a line end.
#[expect(clippy::disallowed_methods, reason = "the value is what was asked for")]
fn print_value(value: &SecretBytes, to_terminal: bool) -> Result<(), CliError> {
    let mut output = std::io::stdout().lock();
    let written = if to_terminal {
        let text = text(value)
            .ok_or_else(|| CliError::NotDone("the value is not text: send it to a file or a program".to_owned()))?;
        let shown = Zeroizing::new(several_lines(text));
        let end = if shown.ends_with('\n') { "" } else { "\n" };
        output.write_all(shown.as_bytes()).and_then(|()| output.write_all(end.as_bytes()))
    } else {
        output.write_all(value.expose())
    };
    written
        .and_then(|()| output.flush())
        .map_err(|error| CliError::NotDone(format!("the value could not be written to standard output: {error}")))
}

/// The value, if a person would call it text.
#[expect(clippy::disallowed_methods, reason = "whether a value is text is asked of its bytes")]
pub fn text(value: &SecretBytes) -> Option<&str> {
    let text = std::str::from_utf8(value.expose()).ok()?;
    (!text.contains(|c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r'))).then_some(text)
}

/// Keys, lengths and masks. Where values are shown, those of several lines stand below.
fn table(values: &BTreeMap<String, SecretBytes>, reveal: bool) -> SecretBytes {
    let mut table = Table::new(&["KEY", "BYTES", "VALUE"]);
    let mut below = SecretBuffer::default();
    for (key, value) in values {
        let cell = match text(value) {
            _ if !reveal => MASK.to_owned(),
            Some(text) if text.contains('\n') => {
                below.extend(format!("\n{}:\n", one_line(key)).as_bytes());
                let shown = Zeroizing::new(several_lines(text));
                below.push_str(&shown);
                if !shown.ends_with('\n') {
                    below.push('\n');
                }
                "(below)".to_owned()
            }
            Some(text) => text.to_owned(),
            None => "(not text: --key writes it to a file or a program)".to_owned(),
        };
        table.row([key.clone(), value.len().to_string(), cell]);
    }
    let shown = if table.is_empty() { "The Secret has no keys.\n".to_owned() } else { table.text() };
    let shown = Zeroizing::new(shown);
    let mut out = SecretBuffer::with_capacity(shown.len() + below.len());
    out.push_str(&shown);
    #[expect(clippy::disallowed_methods, reason = "what stands below is put below")]
    out.extend(below.take().expose());
    out.take()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "the test looks at what it wrote")]
    fn shown(reveal: bool) -> String {
        let value = |bytes: &[u8]| SecretBytes::new(bytes.to_vec());
        let values = BTreeMap::from([
            ("pass".to_owned(), value(b"hunter2")),
            ("raw".to_owned(), value(b"\0\xff")),
            ("tls.key".to_owned(), value(b"a\nb")),
        ]);
        String::from_utf8(table(&values, reveal).expose().to_vec()).unwrap()
    }

    #[test]
    fn values_are_masked_unless_they_are_asked_for() {
        assert_eq!(
            shown(false),
            "KEY       BYTES   VALUE\npass      7       ********\nraw       2       ********\ntls.key   3       ********\n"
        );
        assert_eq!(
            shown(true),
            "KEY       BYTES   VALUE\npass      7       hunter2\n\
             raw       2       (not text: --key writes it to a file or a program)\n\
             tls.key   3       (below)\n\ntls.key:\na\nb\n"
        );
    }
}

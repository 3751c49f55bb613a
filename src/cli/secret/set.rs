//! `strongroom secret set`: gives keys values, and leaves the others as they are.
//!
//! What it never does: repeat an argument in an error, for it may hold a value.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal as _, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use zeroize::Zeroizing;

use super::place::{SecretName, key_option};
use super::writing::{WriteOptions, Written};
use crate::cli::connection::read_bounded;
use crate::cli::{CliError, completion, warn};
use crate::config::{ConfigError, Environment};
use crate::import::has_accidental_line_break;
use crate::sensitive::SecretBytes;
use crate::terminal::{Prompt, Terminal};

/// All of a Secret's data (`core/v1`, `MaxSecretSize`).
const VALUE_MAX_BYTES: u64 = 1024 * 1024;

/// Options of `secret set`.
#[derive(Args)]
pub struct Set {
    // As it is: clap would repeat a value that was given in its place.
    /// The Secret; made if there is none
    #[arg(value_name = "[NAMESPACE/]NAME", required = true, add = completion::secrets())]
    secret: OsString,
    /// KEY asks on the terminal, KEY=- reads standard input, KEY=@FILE a file; KEY=VALUE is seen by others
    #[arg(value_name = "KEY[=-|=@FILE|=VALUE]", required = true, add = completion::keys())]
    values: Vec<OsString>,
    /// Type of a new Secret [default: Opaque]
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    #[command(flatten)]
    write: WriteOptions,
}

/// Where a value comes from.
enum Source {
    Argument(SecretBytes),
    File(PathBuf),
    Input,
    Terminal,
}

impl Set {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let name = secret_name(&self.secret)?;
        let sources = sources(&self.values)?;
        let place = self.write.place(environment)?;
        let id = place.id(&name);
        if sources.values().any(|source| matches!(source, Source::Argument(_))) {
            warn(
                "what stands on a command line is seen by everybody on this machine (ps) and kept by the shell's history: \
                 KEY alone asks for it, KEY=- reads standard input, KEY=@FILE a file",
            );
        }
        let values = read(sources, &mut Terminal)?;
        let written = self.write.put(&place, &id, &values, self.kind.as_deref())?;
        let done = if written == Written::Created { "created" } else { "changed" };
        self.write.tell(&id, done, &format!(": {} set", listed(values.keys())));
        Ok(())
    }
}

/// The name, of which nothing is repeated where it may be a value.
fn secret_name(argument: &OsStr) -> Result<SecretName, CliError> {
    let text = argument.to_str().unwrap_or("=");
    if text.contains('=') {
        return Err(ConfigError::new("[NAMESPACE/]NAME", "comes before the keys").into());
    }
    SecretName::parse(text).map_err(|problem| ConfigError::new("[NAMESPACE/]NAME", problem).into())
}

/// Where each value comes from, or all that is wrong.
fn sources(arguments: &[OsString]) -> Result<BTreeMap<String, Source>, CliError> {
    let mut sources = BTreeMap::new();
    let mut problems = Vec::new();
    let mut reads_input = false;
    for (argument, at) in arguments.iter().zip(1..) {
        let bytes = argument.as_bytes();
        let (key, value) = match bytes.iter().position(|byte| *byte == b'=') {
            Some(end) => (bytes.get(..end), bytes.get(end + 1..)),
            None => (Some(bytes), None),
        };
        let key = key.and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default();
        if let Err(problem) = key_option(key) {
            // The key itself may be a value that was given alone.
            problems.push(format!("argument {at} behind the name: {problem}"));
            continue;
        }
        let source = match value {
            None => Source::Terminal,
            Some(b"-") => Source::Input,
            Some([b'@', path @ ..]) if !path.is_empty() => Source::File(PathBuf::from(OsStr::from_bytes(path))),
            Some(value) => Source::Argument(SecretBytes::new(value.to_vec())),
        };
        if matches!(source, Source::Input) && std::mem::replace(&mut reads_input, true) {
            problems.push("standard input can be one value only".to_owned());
        }
        if sources.insert(key.to_owned(), source).is_some() {
            problems.push(format!("{key} is given twice"));
        }
    }
    if problems.is_empty() {
        return Ok(sources);
    }
    Err(ConfigError::new("KEY", problems.join("; ")).into())
}

/// The values; all that cannot be read is told at once, before anybody is asked for anything.
fn read(sources: BTreeMap<String, Source>, prompt: &mut dyn Prompt) -> Result<BTreeMap<String, SecretBytes>, CliError> {
    let mut values = BTreeMap::new();
    let mut problems = Vec::new();
    let mut asked = Vec::new();
    for (key, source) in sources {
        let read = match source {
            Source::Argument(value) => Ok(value),
            Source::File(path) => file(&path),
            Source::Input => input(&key),
            Source::Terminal => {
                asked.push(key);
                continue;
            }
        };
        match read {
            Ok(value) => drop(values.insert(key, value)),
            Err(problem) => problems.push(problem),
        }
    }
    if !asked.is_empty() && !prompt.is_available() {
        problems.push(format!(
            "there is no terminal to ask for {} on: give KEY=- and the value on standard input, or KEY=@FILE",
            listed(asked.iter())
        ));
    }
    if !problems.is_empty() {
        return Err(CliError::NotDone(problems.join("\n")));
    }
    for key in asked {
        let value = prompt.ask(&format!("Value of {key}: "));
        let value = value.map_err(|error| CliError::NotDone(format!("no value was given for {key}: {error}")))?;
        if value.is_empty() {
            return Err(CliError::NotDone(format!("nothing was typed for {key}: KEY= sets an empty value")));
        }
        values.insert(key, value);
    }
    for (key, value) in &values {
        if has_accidental_line_break(value) {
            warn(&format!("{key} ends with a line break, which is a part of the value: printf writes none"));
        }
    }
    Ok(values)
}

fn file(path: &Path) -> Result<SecretBytes, String> {
    read_bounded(path, VALUE_MAX_BYTES).map_err(|error| error.to_string())
}

fn input(key: &str) -> Result<SecretBytes, String> {
    let input = std::io::stdin();
    if input.is_terminal() {
        return Err(format!("standard input is the terminal, which shows what is typed: give {key} alone to be asked"));
    }
    // Room for the whole, so that growing leaves no copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(VALUE_MAX_BYTES).unwrap_or(0) + 1));
    let read = input.lock().take(VALUE_MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("standard input: {error}"))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > VALUE_MAX_BYTES {
        return Err("standard input is longer than a Secret can be (1 MiB)".to_owned());
    }
    Ok(SecretBytes::new(bytes.to_vec()))
}

/// Keys with a comma between.
pub fn listed<T: AsRef<str>>(keys: impl Iterator<Item = T>) -> String {
    keys.map(|key| key.as_ref().to_owned()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Typed(Option<&'static str>);

    impl Prompt for Typed {
        fn is_available(&self) -> bool {
            self.0.is_some()
        }

        fn ask(&mut self, _: &str) -> std::io::Result<SecretBytes> {
            Ok(SecretBytes::new(self.0.unwrap_or_default().into()))
        }
    }

    fn of(arguments: &[&str]) -> Result<BTreeMap<String, Source>, CliError> {
        sources(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at what it gave")]
    fn a_value_comes_from_where_its_argument_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, b"\0x").unwrap();
        let file = format!("file=@{}", path.display());
        let sources = of(&["a=x=y", "empty=", "at=@", &file, "asked"]).unwrap();
        let values = read(sources, &mut Typed(Some("typed"))).unwrap();
        let shown: Vec<_> = values.iter().map(|(key, value)| (key.as_str(), value.expose())).collect();
        assert_eq!(shown, [("a", &b"x=y"[..]), ("asked", b"typed"), ("at", b"@"), ("empty", b""), ("file", b"\0x")]);
    }

    #[test]
    fn all_that_is_wrong_is_told_and_no_argument_is_repeated() {
        let error = of(&["a b=hunter2", "x=-", "y=-", "z=1", "z=hunter2", "hun/ter2"]).err().unwrap().to_string();
        assert!(!error.contains("hunter2") && !error.contains("hun/ter2"), "{error}");
        for part in ["argument 1 ", "argument 6 ", "one value only", "z is given twice"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        let error = read(of(&["a=@/none", "b=@/nowhere", "c"]).unwrap(), &mut Typed(None)).err().unwrap().to_string();
        assert_eq!(error.lines().count(), 3, "{error}");
        assert!(secret_name(OsStr::new("pass=hunter2")).err().unwrap().to_string().contains("comes before the keys"));
        assert!(
            read(of(&["c"]).unwrap(), &mut Typed(Some(""))).err().unwrap().to_string().contains("nothing was typed")
        );
    }
}

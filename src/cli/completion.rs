//! `strongroom completion`: what shells offer when Tab is pressed.
//!
//! Names of namespaces, Secrets and keys come from the server, within a moment or not at all. What it never does: ask for a
//! value (keys are read from `managedFields`), ask anybody for a password, or say anything but candidates.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::sync::mpsc;
use std::time::Duration;

use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};
use serde_json::Value;

use super::connection::{Connection, ConnectionOptions};
use super::output::{list_at, text_at};
use super::{Cli, CliError, server};
use crate::config::Environment;
use crate::kube_client::{Request, encode_segment};

/// Set by the scripts.
const VARIABLE: &str = "STRONGROOM_COMPLETE";
/// A person waits. A token that has to be renewed first takes one request more.
const TIMEOUT: Duration = Duration::from_millis(1500);
const LIST: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
const OBJECT: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
/// More than a person reads.
const CANDIDATES_MAX: &str = "500";
/// Options of `completion`.
#[derive(Args)]
#[command(after_help = "\
bash: source <(strongroom completion bash), in ~/.bashrc\n\
zsh: source <(strongroom completion zsh), in ~/.zshrc behind compinit\n\
fish: strongroom completion fish | source, in ~/.config/fish/config.fish")]
pub struct Completion {
    /// For which shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Completion {
    /// The script, to be sourced: it asks this program for candidates.
    pub(super) fn run(self) -> Result<(), CliError> {
        let shell: &dyn EnvCompleter = match self.shell {
            Shell::Bash => &Bash,
            Shell::Zsh => &Zsh,
            Shell::Fish => &Fish,
        };
        let mut script = Vec::new();
        let mut out = std::io::stdout().lock();
        shell
            .write_registration(VARIABLE, "strongroom", "strongroom", "strongroom", &mut script)
            .and_then(|()| out.write_all(&script))
            .map_err(|error| CliError::NotDone(format!("the script could not be written: {error}")))
    }
}

/// Answers a shell, if it is one that asks. Whatever goes wrong gives no candidates.
pub fn answer(command: impl Fn() -> clap::Command) -> bool {
    if std::env::var_os(VARIABLE).is_none_or(|value| value.is_empty() || value == "0") {
        return false;
    }
    server::harden();
    // A credential plugin finds no terminal to ask on, and nothing is shown beside what is typed.
    if let Ok(nowhere) = std::fs::OpenOptions::new().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stderr(&nowhere);
    }
    let directory = std::env::current_dir().ok();
    let _ = CompleteEnv::with_factory(command).var(VARIABLE).try_complete(std::env::args_os(), directory.as_deref());
    true
}

/// For an argument that is `[NAMESPACE/]NAME`.
pub fn secrets() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let Some(current) = current.to_str().map(str::to_owned) else { return Vec::new() };
        within(move |words| {
            let connection = words.connect()?;
            let Some((namespace, _)) = current.split_once('/') else {
                let mut found = list(&connection, &secrets_of(connection.namespace(words.namespace())))?;
                found.extend(
                    list(&connection, "/api/v1/namespaces").unwrap_or_default().iter().map(|name| format!("{name}/")),
                );
                return Some(starting(found, &current));
            };
            let found = list(&connection, &secrets_of(namespace))?;
            Some(starting(found.iter().map(|name| format!("{namespace}/{name}")).collect(), &current))
        })
    })
}

/// For an argument that is a namespace.
pub fn namespaces() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let Some(current) = current.to_str().map(str::to_owned) else { return Vec::new() };
        within(move |words| Some(starting(list(&words.connect()?, "/api/v1/namespaces")?, &current)))
    })
}

/// For an argument that is a key of the Secret that stands before it.
pub fn keys() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let Some(current) = current.to_str().map(str::to_owned) else { return Vec::new() };
        within(move |words| {
            let connection = words.connect()?;
            let secret = words.secret()?;
            let (namespace, name) = match secret.split_once('/') {
                Some((namespace, name)) => (namespace, name),
                None => (connection.namespace(words.namespace()), secret.as_str()),
            };
            let path = format!("{}/{}", secrets_of(namespace), encode_segment(name));
            let object = connection.object(Request::get(path).accepting(OBJECT)).ok()?;
            #[expect(clippy::disallowed_methods, reason = "metadata holds no values")]
            let mut found = keys_of(object.expose());
            found.sort_unstable();
            found.dedup();
            Some(starting(found, &current))
        })
    })
}

fn secrets_of(namespace: &str) -> String {
    format!("/api/v1/namespaces/{}/secrets", encode_segment(namespace))
}

#[expect(clippy::disallowed_methods, reason = "metadata holds no values")]
fn list(connection: &Connection, path: &str) -> Option<Vec<String>> {
    let answer = connection.object(Request::get(path).accepting(LIST).with("limit", CANDIDATES_MAX)).ok()?;
    Some(list_at(answer.expose(), "/items").iter().map(|item| text_at(item, "/metadata/name").to_owned()).collect())
}

/// What the managers of its fields have written under `data`.
fn keys_of(object: &Value) -> Vec<String> {
    let managed = list_at(object, "/metadata/managedFields").iter();
    let fields = managed.filter_map(|entry| entry.pointer("/fieldsV1/f:data")?.as_object()).flatten();
    fields.filter_map(|(field, _)| field.strip_prefix("f:")).map(str::to_owned).collect()
}

/// Nothing that a shell would take for more than a word is offered.
fn starting(found: Vec<String>, current: &str) -> Vec<String> {
    let is_plain = |name: &String| name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._/".contains(&c));
    found.into_iter().filter(|name| name.starts_with(current) && is_plain(name)).collect()
}

/// In a thread, which ends with the process: connecting may run a credential plugin, for which nobody waits.
fn within(ask: impl FnOnce(&Words) -> Option<Vec<String>> + Send + 'static) -> Vec<CompletionCandidate> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(ask(&Words::of_process()).unwrap_or_default()));
    let found = receiver.recv_timeout(TIMEOUT).unwrap_or_default();
    found.into_iter().map(CompletionCandidate::new).collect()
}

/// The command line that is being completed: what stands behind `--`.
struct Words(Vec<OsString>);

impl Words {
    fn of_process() -> Self {
        Self(std::env::args_os().skip_while(|word| word != "--").skip(2).collect())
    }

    fn option(&self, names: &[&str]) -> Option<String> {
        let mut words = self.0.iter().filter_map(|word| word.to_str());
        while let Some(word) = words.next() {
            if names.contains(&word) {
                return words.next().map(str::to_owned);
            }
            if let Some((name, value)) = word.split_once('=')
                && names.contains(&name)
            {
                return Some(value.to_owned());
            }
        }
        None
    }

    fn namespace(&self) -> Option<&str> {
        let at = self.0.iter().position(|word| word == "-n" || word == "--namespace")?;
        self.0.get(at + 1)?.to_str()
    }

    /// The first word behind `secret VERB` that is no option, nor the value of one.
    fn secret(&self) -> Option<String> {
        let valued = valued(&Cli::command());
        let mut plain = Vec::new();
        let mut words = self.0.iter().filter_map(|word| word.to_str());
        while let Some(word) = words.next() {
            if valued.contains(word) {
                words.next();
            } else if !word.starts_with('-') {
                plain.push(word);
            }
        }
        plain.get(2).map(|name| (*name).to_owned())
    }

    fn connect(&self) -> Option<Connection> {
        let options = ConnectionOptions::of_words(|name| self.option(&[name]));
        options.connect(&Environment::of_process()).ok()
    }
}

/// Options of any command with a value in the next word, which is no name of a Secret.
fn valued(command: &clap::Command) -> BTreeSet<String> {
    let options =
        command.get_arguments().filter(|option| !option.is_positional() && option.get_action().takes_values());
    let names = options.flat_map(|option| {
        let short = option.get_short().map(|short| format!("-{short}"));
        short.into_iter().chain(option.get_long().map(|long| format!("--{long}")))
    });
    names.chain(command.get_subcommands().flat_map(valued)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_say_which_secret_is_meant() {
        let words = |line: &str| Words(line.split(' ').map(OsString::from).collect());
        let line = words("secret --home /h get -n prod -k x db user");
        assert_eq!((line.secret().as_deref(), line.namespace()), (Some("db"), Some("prod")));
        assert_eq!(line.option(&["--home"]).as_deref(), Some("/h"));
        assert_eq!(words("secret get --home=/h").option(&["--home"]).as_deref(), Some("/h"));
        assert_eq!(words("secret get").secret(), None);
    }

    #[test]
    fn keys_are_read_without_values_and_odd_names_are_not_offered() {
        let object = json!({"metadata": {"managedFields": [{"fieldsV1": {"f:data": {".": {}, "f:tls.crt": {}, "f:a": {}}}}, {}]}});
        assert_eq!(keys_of(&object), ["tls.crt", "a"]);
        let found = ["a", "b", "a$(x)", "a b"].map(str::to_owned).to_vec();
        assert_eq!(starting(found, "a"), ["a"]);
    }
}

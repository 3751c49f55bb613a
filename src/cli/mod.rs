//! The command line: one file per command. Owns standard output and exit codes.
//!
//! Exit codes: 0 done, 1 not done (the reason is on standard error), 2 the command line or a setting is wrong.
//! `access explain` ends with 1 too where something is denied, `doctor` and `verify` where something is wrong, `sync plan` with 2 where changes
//! are pending, `sync run` and `sync status` with 3 where not everything is in sync, `import`, `secret rename` and `secret
//! delete` with 3 where a part was done only, `secret edit` with 128 and the number of the signal that ended it. `run` ends as its
//! command does (128 and the number of the signal, where one ended it), with 125 where nothing was started, 126 where the command
//! cannot be executed, 127 where there is none (as env(1) does). `run`, `mount` and `secret` end with 69 (`EX_UNAVAILABLE`) where
//! the server does not answer, is not to be trusted, or serves nobody now; `credential` where it does not answer.
//!
//! What it never does: print a secret that it was not asked for, or want one as an argument: `secret set` takes one there, and
//! says who sees it.

mod access;
mod admin;
mod audit;
mod backup;
mod cluster;
mod completion;
mod connection;
mod consent;
mod credential;
mod credentials;
mod delivery;
mod doctor;
mod duration;
mod export;
mod healthcheck;
mod home_options;
mod import;
mod keys;
mod kms;
mod kubeconfig;
mod login;
mod logout;
mod mount;
mod offline;
mod output;
mod password;
mod progress;
mod reference;
mod run;
mod scan;
mod seal;
mod secret;
mod serve;
mod session;
mod shown;
mod sync;
mod token;
mod unseal;
mod user;
mod verify;
mod whoami;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::config::log::LogFilter;
use crate::config::{ConfigError, Environment};
use crate::kube_client::{ConnectError, Failure};
use crate::server::private_files::FileError;
use crate::server::{self, ClientError, ServeError};

const NOT_DONE: u8 = 1;
const USAGE: u8 = 2;
const PENDING: u8 = 2;
const PARTIAL: u8 = 3;
const UNAVAILABLE: u8 = 69;
const NOT_STARTED: u8 = 125;

/// Kubernetes Secrets without the cluster.
#[derive(Parser)]
#[command(name = "strongroom", version, propagate_version = true)]
struct Cli {
    /// What is logged to standard error: off, error, warn, info, debug, trace, or a filter [env: STRONGROOM_LOG]
    #[arg(long, global = true, value_name = "LEVEL")]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a home if there is none, and serve the Kubernetes API over it
    Serve(Box<serve::Serve>),
    /// Exit with 0 if the server of this home is ready, with 1 if not
    Healthcheck(healthcheck::Healthcheck),
    /// Have the server drop its keys: nothing is served until somebody unseals it
    Seal(seal::Seal),
    /// Unseal the server of this home
    Unseal(unseal::Unseal),
    /// Sign in to a server, and set up kubectl for it
    Login(login::Login),
    /// End your session
    Logout(logout::Logout),
    /// Say who you are to the server
    Whoami(whoami::Whoami),
    /// Look after the people who sign in
    User(user::User),
    /// Get tokens of service accounts
    Token(token::Token),
    /// Ask who may do what, and why
    Access(access::Access),
    /// Write Secrets as manifests, environment files, SealedSecrets or SOPS files
    Export(Box<export::Export>),
    /// Take Secrets over from manifests, environment files, SOPS files, folders and clusters
    Import(Box<import::Import>),
    /// Look for Secret manifests, and for the store's own values, in files and in what is about to be committed
    Scan(Box<scan::Scan>),
    /// Look at Secrets and change them
    Secret(Box<secret::Secret>),
    /// Run a command with Secrets in its environment and its files
    Run(Box<run::Run>),
    /// Keep Secrets as files in a directory
    Mount(mount::Mount),
    /// Give Secrets to systemd units that load credentials
    Credentials(Box<credentials::Credentials>),
    /// Send Secrets to clusters
    Sync(Box<sync::Sync>),
    /// Prepare clusters that Secrets are sent to
    Cluster(Box<cluster::Cluster>),
    /// Lend keys to clusters, to encrypt what they store
    Kms(kms::Kms),
    /// Read the audit log
    Audit(audit::Audit),
    /// Make backups of a home, check and restore them
    Backup(Box<backup::Backup>),
    /// Give kubectl a token; `login` sets it up
    Credential(credential::Credential),
    /// Look after the keys of a room, and what opens it
    Keys(Box<keys::Keys>),
    /// Look after a home
    Admin(admin::Admin),
    /// Look at everything that a home stores while no server runs: is it as it was written?
    Verify(verify::Verify),
    /// Look for what is wrong, on this machine and with the server
    Doctor(doctor::Doctor),
    /// Print a script that lets a shell complete commands, and names of namespaces, Secrets and keys
    Completion(completion::Completion),
    /// Write the reference of all commands
    #[command(hide = true)]
    Reference(reference::Reference),
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("the audit log is not as it was written: {0} findings")]
    AuditFindings(u64),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server refused, in its own words.
    #[error(transparent)]
    Server(#[from] Failure),
    #[error("{0}")]
    NotDone(String),
    /// Something is denied, which was asked about and told.
    #[error("denied")]
    Denied,
    /// Something is wrong, which was looked for and told.
    #[error("something is wrong")]
    Unwell,
    /// Changes would be made, which was asked about and told.
    #[error("changes are pending")]
    Pending,
    /// A backup was not made, is not whole, or was not restored.
    #[error(transparent)]
    Format(#[from] crate::backup::FormatError),
    /// A part was done, and what was not is told.
    #[error("not everything is done")]
    Partial,
    /// A part was done before something went wrong: which.
    #[error("{0}")]
    PartlyDone(String),
    /// The server does not answer, is not to be trusted, or serves nobody now.
    #[error("{0}")]
    Unavailable(String),
    /// A command was to be run, and was not.
    #[error("{text}")]
    NotStarted {
        /// Why.
        text: String,
        /// What to end with.
        code: u8,
    },
    /// The command that was run has ended.
    #[error("the command ended with {0}")]
    Ended(u8),
}

impl CliError {
    /// A server that does not answer, is not to be trusted or serves nobody now is told from all else, in one line.
    fn or_unavailable(self) -> Self {
        match self {
            Self::Connect(
                error @ (ConnectError::Connection { .. }
                | ConnectError::Timeout { .. }
                | ConnectError::Stalled { .. }
                | ConnectError::PluginUnavailable),
            ) => Self::Unavailable(error.to_string()),
            // One damaged row is not the server.
            Self::Server(failure)
                if failure.code == 429 || (failure.code >= 500 && failure.reason != "IntegrityFailure") =>
            {
                Self::Unavailable(failure.to_string().replace('\n', " "))
            }
            other => other,
        }
    }
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    if completion::answer(Cli::command) {
        return ExitCode::SUCCESS;
    }
    // Clap prints help and usage errors itself, and leaves with 0 or 2.
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(CliError::Denied | CliError::Unwell) => ExitCode::from(NOT_DONE),
        Err(CliError::Pending) => ExitCode::from(PENDING),
        Err(CliError::Partial) => ExitCode::from(PARTIAL),
        Err(CliError::Ended(code)) => ExitCode::from(code),
        Err(error) => {
            // What a server says is shown as kubectl shows it.
            let prefix = if matches!(error, CliError::Server(_)) { "" } else { "strongroom: " };
            let _ = writeln!(std::io::stderr(), "{prefix}{error}");
            ExitCode::from(match error {
                CliError::Config(_) => USAGE,
                CliError::PartlyDone(_) => PARTIAL,
                CliError::Unavailable(_) => UNAVAILABLE,
                CliError::NotStarted { code, .. } => code,
                _ => NOT_DONE,
            })
        }
    }
}

fn run(cli: Cli) -> Result<(), CliError> {
    let environment = Environment::of_process();
    start_log(&LogFilter::resolve(cli.log, &environment)?)?;
    // Before a setting is read, for one of them may be a passphrase.
    let former = server::harden();
    match cli.command {
        Command::Serve(command) => command.run(&environment),
        Command::Healthcheck(command) => command.run(&environment),
        Command::Seal(command) => command.run(&environment),
        Command::Unseal(command) => command.run(&environment),
        Command::Login(command) => command.run(&environment),
        Command::Logout(command) => command.run(&environment),
        Command::Whoami(command) => command.run(&environment),
        Command::User(command) => command.run(&environment),
        Command::Token(command) => command.run(&environment),
        Command::Access(command) => command.run(&environment),
        Command::Export(command) => command.run(&environment),
        Command::Import(command) => command.run(&environment),
        Command::Scan(command) => command.run(&environment),
        Command::Secret(command) => command.run(&environment),
        Command::Run(command) => command.run(&environment, &former),
        Command::Mount(command) => command.run(&environment),
        Command::Credentials(command) => command.run(&environment),
        Command::Sync(command) => command.run(&environment),
        Command::Cluster(command) => command.run(&environment),
        Command::Kms(command) => command.run(&environment),
        Command::Audit(command) => command.run(&environment),
        Command::Backup(command) => command.run(&environment),
        Command::Credential(command) => command.run(&environment),
        Command::Keys(command) => command.run(&environment),
        Command::Admin(command) => command.run(&environment),
        Command::Verify(command) => command.run(&environment),
        Command::Doctor(command) => command.run(&environment),
        Command::Completion(command) => command.run(),
        Command::Reference(command) => command.run(Cli::command()),
    }
}

fn start_log(filter: &LogFilter) -> Result<(), CliError> {
    let filter =
        EnvFilter::try_new(filter.as_str()).map_err(|_| ConfigError::new("--log", "is not a level or a filter"))?;
    // A line that cannot be written is lost; to complain of that on standard error would fail as well, and panic.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    // Colours only where a person looks.
    let has_colours = std::io::IsTerminal::is_terminal(&std::io::stderr()) && !wants_no_colour();
    let _ = log.with_ansi(has_colours).try_init();
    Ok(())
}

/// `NO_COLOR`, whatever it says (no-color.org). Help and usage errors follow it by themselves.
fn wants_no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Says something that does not keep the command from being done.
fn warn(text: &str) {
    progress::aside(|| drop(writeln!(std::io::stderr(), "warning: {text}")));
}

/// Says something that a person who looks wants to know, and a program does not.
fn note(text: &str) {
    progress::aside(|| drop(writeln!(std::io::stderr(), "strongroom: {text}")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_is_understood() {
        for line in [
            "strongroom serve",
            "strongroom verify --home /h --key-file k --accept --yes -o json",
            "strongroom serve --home /h --listen 127.0.0.1:0 --advertise a:1 --advertise b:2 --log debug",
            "strongroom serve --tls-cert c --tls-key k --swagger-ui --key-file k --cache-size 128",
            "strongroom serve --client-certificates --client-ca a --client-ca b --listen-unix s --listen-unix-mode 0660",
            "strongroom --log warn healthcheck --home /h",
            "strongroom admin rotate --home /h --passphrase-file p",
            "strongroom serve --audit-max-size 1 --audit-max-age 2 --audit-max-files 3 --audit-sync always --audit-reads off",
            "strongroom audit verify --home /h --key-file k",
            "strongroom audit verify --public-key p --directory d",
            "strongroom serve --backup-directory d --backup-every 1h --backup-keep 30d --backup-recipient age1a --backup-recipient age1b",
            "strongroom backup create -o f --recipient age1a --keep-passphrase-slots --home h --key-file k",
            "strongroom backup verify f --identity i --recovery-key-file r",
            "strongroom backup restore f --home h --accept-rollback --passphrase-prompt",
            "strongroom backup schedule -o json --context c",
            "strongroom admin rotate-signing-keys --revoke --server https://h:1 --token-file t",
            "strongroom login ada --server https://h:1 --ca-file c --context x --kubeconfig k --password-stdin",
            "strongroom login --embed-token",
            "strongroom logout --all",
            "strongroom whoami -o yaml --kubeconfig k --context c",
            "strongroom user create ada --group dev --group ops --no-password",
            "strongroom user passwd",
            "strongroom user certificate ada --expires 30d --out-dir d --home h",
            "strongroom user certificate ada --out-kubeconfig k --kubeconfig c",
            "strongroom token create app -n prod --audience a --duration 1h --bound-secret db -o json",
            "strongroom access explain --as ada --as-group dev get secrets/db -n prod --subresource status",
            "strongroom access explain get /metrics",
            "strongroom access who-can get secrets -A",
            "strongroom access unused --since 12w",
            "strongroom audit tail -f -n 5",
            "strongroom audit query -n prod --since 1h --decision forbid -o json",
            "strongroom credential --server https://h:1 --user ada --ca-sha256 00",
            "strongroom import a.yaml - .env -n prod --dry-run --overwrite",
            "strongroom import a.yaml --create-namespaces --partial",
            "strongroom import --from-kubeconfig k --from-context c --from-namespace n -l a=b",
            "strongroom scan . a.yaml -n prod -n dev",
            "strongroom scan --staged --manifests-only",
            "strongroom scan --install-hook --force",
            "strongroom scan --staged -A --require-known",
            "strongroom serve --no-sync",
            "strongroom serve --sealed --home h",
            "strongroom seal --yes --home h",
            "strongroom unseal --home h",
            "strongroom unseal --socket s --recovery-key-file f",
            "strongroom unseal --passphrase-file f --slot 2",
            "strongroom sync run db -n prod --once --wait --timeout 90s --force",
            "strongroom sync run -A --wait",
            "strongroom sync plan --home h",
            "strongroom sync status -A",
            "strongroom cluster rbac --sync prod/db --cluster east --service-account infra/writer",
            "strongroom run --env-from prod/db:DB_ --secret api? -- true",
            "strongroom run --env A=prod/db:key --env B=api?:key -n n --only A,B --preserve-env C --clear-env -- sh -c x",
            "strongroom run --secret db --redact --watch --signal SIGHUP -- sleep 1",
            "strongroom run --pod p.yaml -c app --configmap c.yaml --ignore-unsupported --no-namespace -- true",
            "strongroom mount prod/db d",
            "strongroom secret get prod/db --key tls.crt",
            "strongroom secret get db -n prod --reveal -o jsonpath={.data.user}",
            "strongroom secret list prod -l a=b -o name",
            "strongroom secret list -A",
            "strongroom secret describe prod/db",
            "strongroom secret set prod/db a=1 b=@f c=- d --type x --dry-run",
            "strongroom secret unset db a b -n prod",
            "strongroom secret edit prod/db",
            "strongroom secret generate db a b --kind password --length 20 --alphabet abcdefghij --overwrite",
            "strongroom secret generate db --kind tls --dns-name a --dns-name 10.0.0.1 --days 30 --curve p384",
            "strongroom secret copy a b/c",
            "strongroom secret rename a b --dry-run",
            "strongroom secret delete a b c/d",
            "strongroom secret inspect f --reveal",
            "strongroom doctor --home h",
            "strongroom completion bash",
            "strongroom reference markdown",
            "strongroom reference man d",
            "strongroom mount prod/db d --offline-max-age 12h",
            "strongroom run --secret db --offline-max-age 1h30m --offline-key-file k -- true",
            "strongroom credentials --socket s --give web.service/p=prod/db:k --give web@*.service/p=db:k -n n",
            "strongroom credentials --socket - --give web.service/p=prod/db:k --offline-max-age 1h --server https://h:1",
            "strongroom mount prod/db? api d --once --mode 0440 -n n",
            "strongroom kms check --etcd https://e:2379 --cacert a --cert c --key k --prefix /registry/ -q",
            "strongroom kms check --snapshot s --quiet",
            "strongroom keys status -o yaml --home h",
            "strongroom keys rotate data --no-wait",
            "strongroom keys rotate root --key-file k --passphrase-file p --drop recovery-key",
            "strongroom keys slot add key-file --from k",
            "strongroom keys slot add passphrase",
            "strongroom keys slot remove passphrase --force",
            "strongroom keys set-passphrase --passphrase-file p",
            "strongroom keys recovery-key -o f --replace",
            "strongroom keys harden --new-passphrase-file p --key-file k -y",
            "strongroom keys harden --new-passphrase-file p --keep-key-file",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        for line in [
            "strongroom",
            "strongroom serve --passphrase x",
            "strongroom admin",
            "strongroom audit",
            "strongroom audit verify --directory d",
            "strongroom backup create",
            "strongroom backup verify",
            "strongroom backup restore f",
            "strongroom backup verify f --recovery-key-file r --key-file k",
            "strongroom audit verify --public-key p --key-file k",
            "strongroom verify --yes",
            "strongroom verify -o table",
            "strongroom login ada --password x",
            "strongroom login ada --ca-file c --ca-pin 00",
            "strongroom login ada --ca-pin 00",
            "strongroom user create ada --password x",
            "strongroom user create ada --no-password --password-stdin",
            "strongroom whoami --home h --kubeconfig k",
            "strongroom whoami --token x",
            "strongroom access unused --since 0d",
            "strongroom access explain get",
            "strongroom import",
            "strongroom scan",
            "strongroom scan . --staged",
            "strongroom scan . -A -n prod",
            "strongroom scan . --require-known --manifests-only",
            "strongroom import a.yaml --from-kubeconfig k",
            "strongroom sync run --force",
            "strongroom sync run db -A",
            "strongroom cluster rbac",
            "strongroom run -- true",
            "strongroom run --secret db",
            "strongroom run --secret db true",
            "strongroom run --secret DB -- true",
            "strongroom run --env A=db -- true",
            "strongroom run --env db:key -- true",
            "strongroom run --env ==db:key -- true",
            "strongroom run --secret db --signal HUP -- true",
            "strongroom run --secret db --watch --signal KILLER -- true",
            "strongroom run --secret db --pod p.yaml -- true",
            "strongroom run --secret db --configmap c.yaml -- true",
            "strongroom mount d",
            "strongroom secret",
            "strongroom secret get PROD/db",
            "strongroom secret get prod/db --key a/b",
            "strongroom secret get prod/db --key a -o json",
            "strongroom secret get prod/db -o wide",
            "strongroom secret list prod -A",
            "strongroom secret set db",
            "strongroom secret unset db",
            "strongroom secret unset db A/B",
            "strongroom secret copy a",
            "strongroom secret generate db a --kind rsa --bits 1024",
            "strongroom secret generate db --kind tls --days 0",
            "strongroom secret delete",
            "strongroom unseal --passphrase x",
            "strongroom unseal --passphrase-file p --key-file k",
            "strongroom unseal --home h --socket s",
            "strongroom secret inspect",
            "strongroom keys harden --yes --keep-key-file",
            "strongroom kms check",
            "strongroom kms check --etcd e --snapshot s",
            "strongroom kms check --snapshot s --cacert a",
            "strongroom kms check --etcd e --cert c",
            "strongroom completion",
            "strongroom completion tcsh",
            "strongroom mount prod/db d --offline-key-file k",
            "strongroom run --secret db --offline-max-age 0s -- true",
            "strongroom credentials --socket s",
            "strongroom credentials --give web.service/p=prod/db:k",
            "strongroom credentials --socket s --give web.service=prod/db:k",
            "strongroom mount db d --mode 0999",
            "strongroom mount db:key d",
            "strongroom keys",
            "strongroom keys slot add recovery-key",
            "strongroom keys slot add key-file",
            "strongroom keys slot remove x",
            "strongroom keys set-passphrase x",
            "strongroom keys recovery-key",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}

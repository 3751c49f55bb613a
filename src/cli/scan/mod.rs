//! `strongroom scan`: Secret manifests and values of the store in files, and in what is about to be committed.
//!
//! What it never does: show a value, have one, or send a file anywhere.

mod files;
mod hook;
mod known;

use std::path::PathBuf;

use clap::Args;

use self::known::{Known, Namespaces};
use super::connection::ConnectionOptions;
use super::output::{one_line, print};
use super::progress::Progress;
use super::{CliError, warn};
use crate::config::Environment;
use crate::scan::{Scanner, in_manifests};

/// Options of `scan`.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of a command line")]
pub struct Scan {
    /// Files and folders; of folders in a Git repository, what is not ignored
    #[arg(value_name = "PATH", required_unless_present_any = ["staged", "install_hook"])]
    paths: Vec<PathBuf>,
    /// What is about to be committed
    #[arg(long, conflicts_with = "paths")]
    staged: bool,
    /// Install a pre-commit hook in the Git repository, which scans what is about to be committed, with these options
    #[arg(long, conflicts_with_all = ["paths", "staged"])]
    install_hook: bool,
    /// With --install-hook: write over a hook that is there
    #[arg(long, requires = "install_hook")]
    force: bool,
    /// Namespace whose values are looked for; may be repeated [default: that of the context]
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Vec<String>,
    /// Values of every namespace whose values may be asked for
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// Fail where the known values cannot be had, neither of the server nor as they were last got from it
    #[arg(long)]
    require_known: bool,
    /// Look for Secret manifests only, and ask no server
    #[arg(long, conflicts_with_all = ["namespace", "all_namespaces", "require_known"])]
    manifests_only: bool,
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Scan {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        if self.install_hook {
            return hook::install(self.force, &self.options_of_hook());
        }
        let known = if self.manifests_only {
            None
        } else {
            let namespaces =
                if self.all_namespaces { Namespaces::All } else { Namespaces::Named(self.namespace.clone()) };
            match Known::find(&self.connection, environment, &namespaces) {
                Ok(known) => Some(known),
                Err(why) if self.require_known => {
                    return Err(CliError::NotDone(format!(
                        "nothing is scanned, for the known values cannot be had: {why}"
                    )));
                }
                Err(why) => {
                    warn(&format!("known values are not looked for: {why}"));
                    None
                }
            }
        };
        let scanner = known.as_ref().map(|known| Scanner::new(&known.key, &known.fingerprints));
        let mut findings = 0;
        let progress = Progress::of(None, "files scanned");
        let mut look = |name: &str, bytes: &[u8]| {
            progress.advance(1);
            let name = one_line(name);
            for found in in_manifests(bytes) {
                let of = if found.secret.is_empty() { String::new() } else { format!(" {:?}", found.secret) };
                print(&format!("{name}:{}: manifest of Secret{of} with a value for {:?}\n", found.line, found.key));
                findings += 1;
            }
            for found in scanner.iter().flat_map(|scanner| scanner.find(bytes)) {
                let what = known.as_ref().and_then(|known| known.names.get(found.value)).map_or("", String::as_str);
                let (line, form) = (found.line, found.encoding.as_str());
                print(&format!("{name}:{line}: the value of {} ({form})\n", one_line(what)));
                findings += 1;
            }
        };
        if self.staged {
            files::staged(&mut look)?;
        } else {
            files::below(&self.paths, &mut look)?;
        }
        drop(progress);
        if findings == 0 {
            return Ok(());
        }
        Err(CliError::NotDone(format!(
            "{findings} secrets found: take them out, or seal them with `strongroom export --format sealedsecret` or `sops`"
        )))
    }

    fn options_of_hook(&self) -> Vec<String> {
        if self.manifests_only {
            return vec!["--manifests-only".to_owned()];
        }
        let switches = [("--all-namespaces", self.all_namespaces), ("--require-known", self.require_known)];
        let switches = switches.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name.to_owned());
        let namespaces = self.namespace.iter().flat_map(|name| ["--namespace".to_owned(), name.clone()]);
        switches.chain(namespaces).chain(self.connection.given()).collect()
    }
}

//! `strongroom run`: a command with Secrets in its environment and its files.
//!
//! The command inherits the environment of this process, without what is set for Strongroom itself (`STRONGROOM_*`), and
//! variables of Secrets win over what is inherited. Where nothing is left to do once it runs, this process turns into it.
//!
//! What it never does: start the command with a part of what was asked for, or put a value into an argument.

mod child;
mod files;
mod options;
mod output;
mod signals;
mod supervise;
mod wanted;

pub(super) use self::signals::Signals;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;

use self::child::Program;
use self::files::Files;
use self::options::{EnvOption, SignalOption, secret_option, variable_name};
use self::supervise::Supervision;
use self::wanted::Wanted;
use super::connection::{Connection, ConnectionOptions, read_bounded};
use super::delivery::{get, told};
use super::offline::{Kept, OfflineOptions};
use super::output::one_line;
use super::{CliError, NOT_STARTED, warn};
use crate::config::Environment;
use crate::deliver::{self, Begin, ManifestError, Objects, Reference, Which, read_manifest};
use crate::server::Former;

const MANIFEST_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Options of `run`.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of a command line")]
pub struct Run {
    /// All keys of a Secret as variables, each behind PREFIX; ? for one that may be missing; may be repeated
    #[arg(long, visible_alias = "secret", value_name = "[NAMESPACE/]NAME[?][:PREFIX]", value_parser = secret_option, add = crate::cli::completion::secrets(), required_unless_present_any = ["env", "pod"])]
    env_from: Vec<Reference>,
    /// One key of a Secret as a variable; wins over --env-from; may be repeated
    #[arg(long, value_name = "VARIABLE=[NAMESPACE/]NAME[?]:KEY", value_parser = EnvOption::parse)]
    env: Vec<EnvOption>,
    /// What a container of this workload gets: a manifest of a Pod, Deployment, StatefulSet, DaemonSet, Job or CronJob
    #[arg(long, value_name = "FILE", conflicts_with_all = ["env_from", "env"])]
    pod: Option<PathBuf>,
    /// Namespace of what names none; with --pod, instead of the manifest's [default: that of the context]
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Which container [default: the one that kubectl.kubernetes.io/default-container names, or the only one]
    #[arg(short, long, value_name = "NAME", requires = "pod", conflicts_with_all = ["env_from", "env"], help_heading = "Pod")]
    container: Option<String>,
    /// ConfigMaps that it refers to, which the store does not hold; may be repeated
    #[arg(long, value_name = "FILE", requires = "pod", conflicts_with_all = ["env_from", "env"], help_heading = "Pod")]
    configmap: Vec<PathBuf>,
    /// Go on without what the store does not hold: ConfigMaps, fields of the Pod, volumes of other kinds
    #[arg(long, requires = "pod", conflicts_with_all = ["env_from", "env"], help_heading = "Pod")]
    ignore_unsupported: bool,
    /// Files below a private directory, $STRONGROOM_VOLUMES, and not at their own paths in a mount namespace
    #[arg(long, requires = "pod", conflicts_with_all = ["env_from", "env"], help_heading = "Pod")]
    no_namespace: bool,
    /// Of the variables just these, separated by commas
    #[arg(long, value_name = "VARIABLES", value_delimiter = ',', value_parser = variable_name, help_heading = "Environment")]
    only: Vec<String>,
    /// Variables that stay as they are here, where they are set, separated by commas
    #[arg(long, value_name = "VARIABLES", value_delimiter = ',', value_parser = variable_name, help_heading = "Environment")]
    preserve_env: Vec<String>,
    /// Nothing else from the environment here
    #[arg(long, help_heading = "Environment")]
    clear_env: bool,
    /// Mask the values in what the command prints, whole, in base64 and line by line
    #[arg(long, help_heading = "Running")]
    redact: bool,
    /// Restart the command when a Secret changes
    #[arg(long, help_heading = "Running")]
    watch: bool,
    /// With --watch: send this signal, such as HUP, instead of restarting
    #[arg(long, value_name = "SIGNAL", value_parser = SignalOption::parse, requires = "watch", help_heading = "Running")]
    signal: Option<SignalOption>,
    #[command(flatten)]
    offline: OfflineOptions,
    #[command(flatten)]
    connection: ConnectionOptions,
    /// The command, and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// What was asked for, as it was got.
struct Got {
    objects: Objects,
    begin: Begin,
    kept: Option<Kept>,
}

impl Run {
    pub(super) fn run(self, environment: &Environment, former: &Former) -> Result<(), CliError> {
        let ended = self.deliver(environment, former).map_err(not_started)?;
        if ended == 0 { Ok(()) } else { Err(CliError::Ended(ended)) }
    }

    /// What the command ended with; where it takes this process's place, there is no return.
    fn deliver(&self, environment: &Environment, former: &Former) -> Result<u8, CliError> {
        let connection = self.connection.connect(environment)?;
        let (wanted, config_maps) = self.wanted(connection.namespace(None), self.namespace.as_deref())?;
        let kept = self.offline.open(environment, &connection)?;
        let (mut objects, begin) = get(&connection, &wanted.names(), kept.as_ref())?;
        objects.extend(config_maps);
        let got = Got { objects, begin, kept };
        let delivery = wanted.make(&got.objects, &self.only)?;
        for warning in delivery.variables.warnings() {
            warn(&warning);
        }
        let program = Program::new(&self.command, self.clear_env, &self.preserve_env);
        if wanted.mounts().is_empty() {
            if self.watch || self.redact {
                drop(delivery);
                return self.supervise(&connection, &wanted, got, None, &program, former);
            }
            drop(connection);
            return Err(program.exec(&delivery, former));
        }
        // A namespace is entered by a process of one thread.
        drop(connection);
        let mut files = Files::place(&wanted, &delivery, environment, !self.no_namespace)?;
        if files.vanish() && !(self.watch || self.redact) {
            files.leave()?;
            let error = program.exec(&delivery, former);
            files.take_back();
            return Err(error);
        }
        drop(delivery);
        let ended = self
            .connection
            .connect(environment)
            .and_then(|connection| self.supervise(&connection, &wanted, got, Some(&mut files), &program, former));
        files.remove();
        ended
    }

    /// What was asked for, and the ConfigMaps that were given.
    #[expect(clippy::disallowed_methods, reason = "manifests are read for what they refer to")]
    fn wanted(&self, of_context: &str, given: Option<&str>) -> Result<(Wanted, Objects), CliError> {
        let Some(file) = &self.pod else {
            let wanted = Wanted::of_options(&self.env_from, &self.env, given.unwrap_or(of_context));
            return Ok((wanted, Objects::default()));
        };
        let in_file = |file: &Path, error: ManifestError| CliError::NotDone(format!("{}: {error}", file.display()));
        let which =
            Which { container: self.container.as_deref(), namespace: given, default_namespace: Some(of_context) };
        let read = read_manifest(read_bounded(file, MANIFEST_MAX_BYTES)?.expose(), which);
        let (container, mut config_maps) = read.map_err(|error| in_file(file, error))?;
        for file in &self.configmap {
            let read = deliver::config_maps(read_bounded(file, MANIFEST_MAX_BYTES)?.expose(), &container.namespace);
            config_maps.extend(read.map_err(|error| in_file(file, error))?);
        }
        let title = container.title.clone();
        let (wanted, unsupported) = Wanted::of_container(container, &config_maps);
        if !unsupported.is_empty() {
            let lines: Vec<String> = unsupported.iter().map(|line| one_line(line)).collect();
            let told = format!("{title} asks for what the store does not hold:\n  {}", lines.join("\n  "));
            if !self.ignore_unsupported {
                return Err(CliError::NotDone(format!("{told}\n--ignore-unsupported goes on without")));
            }
            warn(&told);
        }
        Ok((wanted, config_maps))
    }

    fn supervise(
        &self,
        connection: &Connection,
        wanted: &Wanted,
        got: Got,
        files: Option<&mut Files>,
        program: &Program,
        former: &Former,
    ) -> Result<u8, CliError> {
        connection.wait_for(async |client| {
            let supervision = Supervision {
                client,
                wanted,
                objects: got.objects,
                begin: got.begin,
                kept: got.kept.as_ref(),
                files,
                only: &self.only,
                program,
                former,
                redacts: self.redact,
                watches: self.watch,
                signal: self.signal.as_ref().map(|option| option.0),
            };
            supervision.run(|error| told(connection, error)).await
        })
    }
}

/// Everything that kept the command from being started, but for a server that is not there and a wrong setting.
fn not_started(error: CliError) -> CliError {
    match error {
        CliError::Config(_) | CliError::Unavailable(_) | CliError::NotStarted { .. } | CliError::Ended(_) => error,
        other => CliError::NotStarted { text: other.to_string(), code: NOT_STARTED },
    }
}

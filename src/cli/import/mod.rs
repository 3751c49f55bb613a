//! `strongroom import`: Secrets from files, folders and clusters, all of a namespace in one transaction, or all that can be
//! written.
//!
//! All of it is planned by the server before any of it is done. What it never does: replace what is there unasked, show a
//! value, or change one that looks wrong.

mod parts;
mod report;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use self::parts::Part;
use self::report::Report;
use self::sources::Found;
use super::connection::{Connection, ConnectionOptions, body};
use super::output::print;
use super::progress::Progress;
use super::{CliError, warn};
use crate::config::Environment;
use crate::kube_client::{Failure, Request, encode_segment};
use crate::model::kinds::{OWN_API_VERSION, SECRET_IMPORT};
use crate::sensitive::{Document, SecretBytes};

const MANAGER: &str = "strongroom-import";

/// Options of `import`.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of a command line")]
pub struct Import {
    /// Files or folders; - is standard input
    #[arg(value_name = "FILE", required_unless_present = "from_kubeconfig")]
    files: Vec<PathBuf>,
    /// What they are [default: by their names and contents]
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// What the Secret is called that is made of an environment file or a folder [default: as the file or folder]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Namespace of Secrets that name none [default: that of the context]
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// sops: file of age identities that decrypt it [env: SOPS_AGE_KEY_FILE]
    #[arg(long, value_name = "FILE")]
    age_identity: Option<PathBuf>,
    /// Take Secrets of a live cluster, by this kubeconfig of yours
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "format", "name", "age_identity"], help_heading = "Clusters")]
    from_kubeconfig: Option<PathBuf>,
    /// Its context [default: the current one]
    #[arg(long, value_name = "NAME", requires = "from_kubeconfig", help_heading = "Clusters")]
    from_context: Option<String>,
    /// Namespace of the cluster [default: that of its context]
    #[arg(long, value_name = "NAMESPACE", requires = "from_kubeconfig", help_heading = "Clusters")]
    from_namespace: Option<String>,
    /// Only Secrets with these labels
    #[arg(short = 'l', long, value_name = "SELECTOR", requires = "from_kubeconfig", help_heading = "Clusters")]
    selector: Option<String>,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
    /// Replace Secrets that are there and differ
    #[arg(long)]
    overwrite: bool,
    /// Make namespaces that are missing
    #[arg(long)]
    create_namespaces: bool,
    /// Write what can be written, tell what is refused, and end with 3 if anything is; several transactions where there is too much for one
    #[arg(long)]
    partial: bool,
    #[command(flatten)]
    connection: ConnectionOptions,
}

// The variants have no documentation of their own: clap would make long help of it.

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Manifests,
    Dotenv,
    Sops,
    Files,
}

/// Secrets by namespace, in the order in which they were found.
type Grouped = BTreeMap<String, Vec<Found>>;

/// What is asked of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// What would be done.
    Plan,
    /// What would be done if the namespace were there.
    PlanWithNamespace,
    Do,
}

impl Import {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let found = self.find(environment)?;
        let connection = self.connection.connect(environment)?;
        let (mut plan, mut missing) = (Report::default(), BTreeSet::new());
        let (parts, too_large) = parts::split(self.grouped(found, &connection)?, self.partial)?;
        for (namespace, name, why) in too_large {
            plan.refuse(&namespace, &name, &why);
        }
        let mut planned = Vec::new();
        let progress = Progress::of(Some(total(&parts)), "Secrets planned");
        for part in parts {
            let count = part.secrets.len() as u64;
            if self.plan(&connection, &part, &mut plan, &mut missing)? {
                planned.push(part);
            }
            progress.advance(count);
        }
        drop(progress);
        print(&plan.text);
        if self.dry_run {
            print(&format!("{plan}, if it were not a dry run\n"));
            return match (plan.refused > 0, plan.writes() || !missing.is_empty()) {
                (true, _) => Err(CliError::Partial),
                (false, true) => Err(CliError::Pending),
                (false, false) => Ok(()),
            };
        }
        if plan.replaced > 0 && !self.overwrite {
            return Err(CliError::NotDone(format!(
                "nothing is imported, for {} secrets are there and differ: --overwrite replaces them",
                plan.replaced
            )));
        }
        let mut done = Report::following(&plan);
        let progress = Progress::of(Some(total(&planned)), "Secrets written");
        for part in &planned {
            if let Err(error) = self.write(&connection, part, &mut done, &mut missing) {
                return Err(interrupted(error, &part.namespace, &done));
            }
            progress.advance(part.secrets.len() as u64);
        }
        drop(progress);
        print(&done.text);
        print(&format!("{done}\n"));
        if done.refused > 0 { Err(CliError::Partial) } else { Ok(()) }
    }

    /// Plans a part; whether there is something left to do of it.
    fn plan(
        &self,
        connection: &Connection,
        part: &Part,
        plan: &mut Report,
        missing: &mut BTreeSet<String>,
    ) -> Result<bool, CliError> {
        let namespace = &part.namespace;
        let ask = if missing.contains(namespace) { Ask::PlanWithNamespace } else { Ask::Plan };
        let mut answer = self.send(connection, part, ask);
        if self.create_namespaces
            && let Err(CliError::Server(failure)) = &answer
            && is_missing(failure, namespace)
        {
            answer = make_namespace(connection, namespace, true).and_then(|_| {
                missing.insert(namespace.clone());
                plan.namespace(namespace);
                self.send(connection, part, Ask::PlanWithNamespace)
            });
        }
        match answer {
            Ok(answer) => {
                plan.add(&answer, namespace);
                for warning in plan.warnings.drain(..) {
                    warn(&warning);
                }
                Ok(true)
            }
            Err(CliError::Server(failure)) if self.partial => {
                part.secrets.iter().for_each(|one| plan.refuse(namespace, &one.name, &failure.message));
                Ok(false)
            }
            Err(CliError::Server(mut failure)) if is_missing(&failure, namespace) => {
                failure.hints.push("--create-namespaces makes it.".to_owned());
                Err(CliError::Server(failure))
            }
            Err(error) => Err(error),
        }
    }

    /// Writes a part that was planned.
    fn write(
        &self,
        connection: &Connection,
        part: &Part,
        done: &mut Report,
        missing: &mut BTreeSet<String>,
    ) -> Result<(), CliError> {
        let namespace = &part.namespace;
        let made = if missing.contains(namespace) { make_namespace(connection, namespace, false) } else { Ok(false) };
        let answer = made.and_then(|made| {
            missing.remove(namespace);
            if made {
                done.made.push(format!("namespace {namespace}"));
            }
            self.send(connection, part, Ask::Do)
        });
        match answer {
            Ok(answer) => done.add(&answer, namespace),
            Err(CliError::Server(failure)) if self.partial => {
                part.secrets.iter().for_each(|one| done.refuse(namespace, &one.name, &failure.message));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn grouped(&self, found: Vec<Found>, connection: &Connection) -> Result<Grouped, CliError> {
        let usual = connection.namespace(self.namespace.as_deref()).to_owned();
        let mut groups = Grouped::new();
        for mut one in found {
            for key in &one.broken_lines {
                warn(&format!(
                    "Secret {}, key {key}: a single line with a line break behind it, as `echo` makes it; it is imported as it is",
                    one.name
                ));
            }
            let namespace = match (one.namespace.take(), &self.namespace) {
                (Some(own), Some(given)) if own != *given => {
                    return Err(CliError::NotDone(format!(
                        "Secret {} is of namespace {own}, and -n says {given}: leave one of them out",
                        one.name
                    )));
                }
                (own, _) => own.unwrap_or_else(|| usual.clone()),
            };
            groups.entry(namespace).or_default().push(one);
        }
        Ok(groups)
    }

    fn find(&self, environment: &Environment) -> Result<Vec<Found>, CliError> {
        if let Some(kubeconfig) = &self.from_kubeconfig {
            let context = self.from_context.as_deref();
            return sources::of_cluster(kubeconfig, context, self.from_namespace.as_deref(), self.selector.as_deref());
        }
        let identities = sources::identities(self.age_identity.clone(), environment)?;
        let mut found = Vec::new();
        for file in &self.files {
            found.extend(sources::of_file(file, self.format, self.name.as_deref(), &identities)?);
        }
        if found.is_empty() {
            return Err(CliError::NotDone("there is no Secret in it".to_owned()));
        }
        Ok(found)
    }

    #[expect(clippy::disallowed_methods, reason = "the Secrets go to the server that is to keep them")]
    fn send(&self, connection: &Connection, part: &Part, ask: Ask) -> Result<Document, CliError> {
        let objects: Vec<Value> = part.secrets.iter().map(|one| one.secret.expose().clone()).collect();
        let mut asked = Document::new(json!({
            "apiVersion": OWN_API_VERSION, "kind": SECRET_IMPORT.kind,
            "spec": {"secrets": objects, "overwrite": self.overwrite, "partial": self.partial},
        }));
        if let (Ask::PlanWithNamespace, Some(spec)) = (ask, asked.expose_mut().get_mut("spec")) {
            spec["assumeNamespace"] = true.into();
        }
        let namespace = encode_segment(&part.namespace);
        let path = format!("/apis/{OWN_API_VERSION}/namespaces/{namespace}/{}", SECRET_IMPORT.plural);
        let mut request = Request::post(path, body(&asked)).with("fieldManager", MANAGER);
        if ask != Ask::Do {
            request = request.with("dryRun", "All");
        }
        connection.object(request)
    }
}

/// Makes a namespace as the caller; `false` if somebody else has meanwhile.
fn make_namespace(connection: &Connection, name: &str, dry_run: bool) -> Result<bool, CliError> {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let body = SecretBytes::new(object.to_string().into_bytes());
    let mut request = Request::post("/api/v1/namespaces", body).with("fieldManager", MANAGER);
    if dry_run {
        request = request.with("dryRun", "All");
    }
    match connection.object(request) {
        Err(CliError::Server(failure)) if failure.reason == "AlreadyExists" => Ok(false),
        answer => answer.map(|_| true),
    }
}

fn is_missing(failure: &Failure, namespace: &str) -> bool {
    failure.code == 404 && failure.message == format!("namespaces {namespace:?} not found")
}

fn total(parts: &[Part]) -> u64 {
    parts.iter().map(|part| part.secrets.len() as u64).sum()
}

/// What to say of an import that broke off within a namespace: what was written before, exactly.
fn interrupted(error: CliError, namespace: &str, done: &Report) -> CliError {
    let is_unknown = !matches!(error, CliError::Server(_));
    if done.made.is_empty() && !is_unknown {
        return error;
    }
    let mut lines = vec![error.to_string()];
    if is_unknown {
        lines
            .push(format!("whether the secrets of namespace {namespace} were written is not known: import them again"));
    }
    if done.made.is_empty() {
        return CliError::NotDone(lines.join("\n"));
    }
    lines.push("written before that:".to_owned());
    lines.extend(done.made.iter().map(|one| format!("  {one}")));
    CliError::PartlyDone(lines.join("\n"))
}

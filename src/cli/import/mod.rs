//! `strongroom import`: Secrets from files, folders and clusters, all of a namespace in one transaction.
//!
//! What it never does: replace what is there unasked, show a value, or change one that looks wrong.

mod sources;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use self::sources::Found;
use super::connection::{Connection, ConnectionOptions, body};
use super::output::print;
use super::{CliError, warn};
use crate::config::Environment;
use crate::kube_client::{Request, encode_segment};
use crate::model::kinds::{OWN_API_VERSION, SECRET_IMPORT};
use crate::sensitive::Document;

/// Options of `import`.
#[derive(Args)]
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

impl Import {
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let found = self.find(environment)?;
        let connection = self.connection.connect(environment)?;
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
        let mut total = Counts::default();
        let mut text = String::new();
        // All of it is tried before any of it is done.
        for (namespace, secrets) in &groups {
            let answer = self.send(&connection, namespace, secrets, true)?;
            total.add(&answer, namespace, &mut text);
        }
        print(&text);
        if self.dry_run {
            print(&format!("{total}, if it were not a dry run\n"));
            return if total.created + total.replaced > 0 { Err(CliError::Pending) } else { Ok(()) };
        }
        if total.replaced > 0 && !self.overwrite {
            return Err(CliError::NotDone(format!(
                "nothing is imported, for {} secrets are there and differ: --overwrite replaces them",
                total.replaced
            )));
        }
        for (done, (namespace, secrets)) in groups.iter().enumerate() {
            if let Err(error) = self.send(&connection, namespace, secrets, false) {
                let before: Vec<&str> = groups.keys().take(done).map(String::as_str).collect();
                if before.is_empty() {
                    return Err(error);
                }
                return Err(CliError::NotDone(format!(
                    "{error}\nimported before that: namespaces {}",
                    before.join(", ")
                )));
            }
        }
        print(&format!("{total}\n"));
        Ok(())
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
    fn send(
        &self,
        connection: &Connection,
        namespace: &str,
        secrets: &[Found],
        dry_run: bool,
    ) -> Result<Document, CliError> {
        let objects: Vec<Value> = secrets.iter().map(|one| one.secret.expose().clone()).collect();
        let asked = Document::new(json!({
            "apiVersion": OWN_API_VERSION, "kind": SECRET_IMPORT.kind,
            "spec": {"secrets": objects, "overwrite": self.overwrite},
        }));
        let path = format!("/apis/{OWN_API_VERSION}/namespaces/{}/{}", encode_segment(namespace), SECRET_IMPORT.plural);
        let mut request = Request::post(path, body(&asked)).with("fieldManager", "strongroom-import");
        if dry_run {
            request = request.with("dryRun", "All");
        }
        connection.object(request)
    }
}

/// How many became what.
#[derive(Debug, Default)]
struct Counts {
    created: usize,
    replaced: usize,
    unchanged: usize,
}

impl Counts {
    /// Takes an answer in, and describes it.
    #[expect(clippy::disallowed_methods, reason = "names and lengths are told")]
    fn add(&mut self, answer: &Document, namespace: &str, text: &mut String) {
        let imported = answer.expose().pointer("/status/secrets").and_then(Value::as_array).into_iter().flatten();
        for secret in imported {
            let field = |name: &str| secret.get(name).and_then(Value::as_str).unwrap_or_default();
            let what = match field("outcome") {
                "Created" => {
                    self.created += 1;
                    "new"
                }
                "Replaced" => {
                    self.replaced += 1;
                    "differs"
                }
                _ => {
                    self.unchanged += 1;
                    "unchanged"
                }
            };
            let _ = writeln!(text, "{namespace}/{} {what}", field("name"));
            for key in secret.get("keys").and_then(Value::as_array).into_iter().flatten() {
                let length = |name: &str| key.get(name).and_then(Value::as_u64);
                let name = key.get("key").and_then(Value::as_str).unwrap_or_default();
                let _ = match (length("before"), length("after")) {
                    (None, Some(after)) => writeln!(text, "  + {name} ({after} bytes)"),
                    (Some(before), None) => writeln!(text, "  - {name} ({before} bytes)"),
                    (Some(before), Some(after)) => writeln!(text, "  ~ {name} ({before} → {after} bytes)"),
                    (None, None) => Ok(()),
                };
            }
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} created, {} replaced, {} unchanged", self.created, self.replaced, self.unchanged)
    }
}

//! `strongroom export`: Secrets of a namespace as a file of another format.
//!
//! What it never does: put values on a terminal unasked, or write over a file that is there, but for one of SealedSecrets
//! that it is told to bring up to date.

use std::fs;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::CliError;
use super::connection::{ConnectionOptions, body, read_bounded};
use super::output::{print, several_lines};
use crate::config::Environment;
use crate::export::{EarlierSealedSecret, Format, PREVIOUS_MAX_BYTES, UnknownFormat};
use crate::import::manifests;
use crate::kube_client::{Request, encode_segment};
use crate::model::kinds::{OWN_API_VERSION, SECRET_EXPORT};
use crate::model::selector::{LabelSelector, Operator};
use crate::sensitive::Document;
use crate::server::private_files::{create_folder, create_new, replace};

const CERTIFICATES_MAX_BYTES: u64 = 1024 * 1024;

/// Options of `export`.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of a command line")]
pub struct Export {
    /// Names of the Secrets
    #[arg(value_name = "NAME", required_unless_present_any = ["selector", "all"])]
    names: Vec<String>,
    /// Secrets with these labels, such as app=web,tier!=test
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with_all = ["names", "all"])]
    selector: Option<String>,
    /// All Secrets of the namespace
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Their namespace [default: that of the context]
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// What is written: yaml, json, dotenv, shell, docker-env, systemd-env, sealedsecret, sops, external-secret, pod or files
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml", value_parser = Written::parse)]
    format: Written,
    /// New file to write it to, which only you can read; for files, a new folder [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Show values on the terminal
    #[arg(long)]
    reveal: bool,
    /// yaml, json and sops: text under stringData as it is
    #[arg(long)]
    string_data: bool,
    /// sealedsecret: the controller's certificate, as `kubeseal --fetch-cert` prints it
    #[arg(long, value_name = "FILE", help_heading = "Formats")]
    certificate: Option<PathBuf>,
    /// sealedsecret: where it can be unsealed
    #[arg(long, value_enum, value_name = "SCOPE", requires = "certificate", help_heading = "Formats")]
    scope: Option<ScopeName>,
    /// sealedsecret: take a certificate that has expired
    #[arg(long, requires = "certificate", help_heading = "Formats")]
    allow_expired: bool,
    /// sealedsecret: an earlier file of these; values that are the same keep their ciphertext
    #[arg(long, value_name = "FILE", requires = "certificate", help_heading = "Formats")]
    previous: Option<PathBuf>,
    /// sealedsecret: FILE may be there; it is the earlier file, and is replaced
    #[arg(long, requires_all = ["certificate", "output"], conflicts_with = "previous", help_heading = "Formats")]
    update: bool,
    /// sops: who can decrypt it, age1…; may be repeated
    #[arg(long, value_name = "RECIPIENT", help_heading = "Formats")]
    age_recipient: Vec<String>,
    /// external-secret: the server as the cluster reaches it, https://…
    #[arg(long, value_name = "URL", requires = "store_ca_file", help_heading = "Formats")]
    store_url: Option<String>,
    /// external-secret: the authorities of its certificate, PEM
    #[arg(long, value_name = "FILE", requires = "store_url", help_heading = "Formats")]
    store_ca_file: Option<PathBuf>,
    #[command(flatten)]
    connection: ConnectionOptions,
}

/// What an export is written as: one document that the server makes, or files that are made of one here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Document(Format),
    Files,
}

impl Written {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "files" {
            return Ok(Self::Files);
        }
        text.parse().map(Self::Document).map_err(|error: UnknownFormat| format!("{error}, or files"))
    }
}

// The variants have no documentation of their own: clap would make long help of it.

/// Where a SealedSecret can be unsealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScopeName {
    Strict,
    NamespaceWide,
    ClusterWide,
}

impl Export {
    #[expect(clippy::disallowed_methods, reason = "the file is what was asked for")]
    pub(super) fn run(self, environment: &Environment) -> Result<(), CliError> {
        let format = match self.format {
            Written::Document(format) => format,
            Written::Files => return self.write_files(environment),
        };
        let shows = self.output.is_none() && std::io::stdout().is_terminal();
        if shows && format.shows_values() && !self.reveal {
            return Err(CliError::NotDone(format!(
                "format {format} shows the values: -o FILE writes them to a file that only you can read, --reveal shows them here"
            )));
        }
        let earlier = self.earlier()?;
        let answer = self.ask(environment, format, earlier.as_ref())?;
        let Some(document) = answer.expose().pointer("/status/document").and_then(Value::as_str) else {
            return Err(CliError::NotDone("the server did not answer with a file".to_owned()));
        };
        match &self.output {
            Some(file) => {
                let exported = answer.expose().pointer("/status/secrets").and_then(Value::as_array).map_or(0, Vec::len);
                let mut end = "";
                match &earlier {
                    Some(earlier) if self.update && earlier.text == document => end = ", where nothing has changed",
                    Some(earlier) if self.update => earlier.replace_with(document)?,
                    _ => create_new(&std::path::absolute(file).unwrap_or_else(|_| file.clone()), document.as_bytes())?,
                }
                print(&format!("{exported} secrets exported to {}{end}\n", file.display()));
            }
            None if shows => print(&zeroize::Zeroizing::new(several_lines(document))),
            None => {
                let mut output = std::io::stdout().lock();
                output.write_all(document.as_bytes()).and_then(|()| output.flush()).map_err(|error| {
                    CliError::NotDone(format!("the file could not be written to standard output: {error}"))
                })?;
            }
        }
        Ok(())
    }

    /// A new folder of files that only the user can read, one for each key, as a Pod has them from a volume. Of several
    /// Secrets each has a folder of its own.
    #[expect(clippy::disallowed_methods, reason = "the files are what was asked for")]
    fn write_files(&self, environment: &Environment) -> Result<(), CliError> {
        let folder = self.output.as_ref().ok_or_else(|| CliError::NotDone("files need -o FOLDER".to_owned()))?;
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
        if self.string_data {
            return Err(CliError::NotDone("--string-data is of manifests".to_owned()));
        }
        if self.previous.is_some() || self.update {
            return Err(CliError::NotDone("--previous and --update are of SealedSecrets".to_owned()));
        }
        let answer = self.ask(environment, Format::Json, None)?;
        let document = answer.expose().pointer("/status/document").and_then(Value::as_str).unwrap_or_default();
        let secrets = manifests(document.as_bytes());
        let secrets = secrets.map_err(|_| CliError::NotDone("the server did not answer with manifests".to_owned()))?;
        let is_single = self.names.len() == 1;
        let mut files = Vec::new();
        for secret in &secrets {
            let below = if is_single { PathBuf::new() } else { PathBuf::from(secret.name()) };
            files.extend(secret.values().map(|(key, value)| (below.join(key), value)));
        }
        create_folder(&folder, &files)?;
        print(&format!(
            "{} secrets exported to {}\n",
            secrets.len(),
            self.output.as_deref().unwrap_or(&folder).display()
        ));
        Ok(())
    }

    /// The file whose ciphertexts are to be kept, if there is one.
    fn earlier(&self) -> Result<Option<Earlier>, CliError> {
        let updated = self.output.as_ref().filter(|_| self.update);
        match (&self.previous, updated) {
            (Some(file), _) => Earlier::read(file).map(Some),
            (None, Some(file)) if fs::symlink_metadata(file).is_ok() => Earlier::read(file).map(Some),
            _ => Ok(None),
        }
    }

    fn ask(&self, environment: &Environment, format: Format, earlier: Option<&Earlier>) -> Result<Document, CliError> {
        let spec = self.spec(format, earlier)?;
        let connection = self.connection.connect(environment)?;
        let namespace = connection.namespace(self.namespace.as_deref());
        let path = format!("/apis/{OWN_API_VERSION}/namespaces/{}/{}", encode_segment(namespace), SECRET_EXPORT.plural);
        let asked = json!({"apiVersion": OWN_API_VERSION, "kind": SECRET_EXPORT.kind, "spec": spec});
        connection.object(Request::post(path, body(&Document::new(asked))))
    }

    fn spec(&self, format: Format, earlier: Option<&Earlier>) -> Result<Value, CliError> {
        let mut spec = Map::new();
        let mut put = |field: &str, value: Value| drop(spec.insert(field.to_owned(), value));
        put("format", format.name().into());
        match &self.selector {
            _ if self.all => put("selector", json!({})),
            Some(text) => put("selector", selector(text)?),
            None => put("names", json!(self.names)),
        }
        if self.string_data {
            put("stringData", true.into());
        }
        if let Some(file) = &self.certificate {
            let scope = self.scope.and_then(|scope| Some(scope.to_possible_value()?.get_name().to_owned()));
            let mut options = json!({
                "certificates": pem(file)?, "scope": scope.unwrap_or_default(), "allowExpired": self.allow_expired,
            });
            if let (Some(earlier), Some(options)) = (earlier, options.as_object_mut()) {
                options.insert("previous".to_owned(), earlier.text.as_str().into());
            }
            put("sealedSecret", options);
        }
        if !self.age_recipient.is_empty() {
            put("sops", json!({"ageRecipients": self.age_recipient}));
        }
        if let (Some(url), Some(file)) = (&self.store_url, &self.store_ca_file) {
            put("externalStore", json!({"url": url, "authorities": pem(file)?}));
        }
        Ok(Value::Object(spec))
    }
}

/// A file of SealedSecrets, in which nothing is secret.
struct Earlier {
    /// Where it is, and not a link to it.
    path: PathBuf,
    text: String,
    permissions: fs::Permissions,
}

impl Earlier {
    /// A file with anything else in it is sent nowhere, nor replaced.
    #[expect(clippy::disallowed_methods, reason = "SealedSecrets are public, and what is none is refused")]
    fn read(file: &Path) -> Result<Self, CliError> {
        let refuse = |why: String| CliError::NotDone(format!("{}: {why}", file.display()));
        let bytes = read_bounded(file, u64::try_from(PREVIOUS_MAX_BYTES).unwrap_or(u64::MAX))?;
        EarlierSealedSecret::read_all(bytes.expose()).map_err(|error| refuse(error.to_string()))?;
        let io = |error: std::io::Error| refuse(error.to_string());
        Ok(Self {
            path: fs::canonicalize(file).map_err(io)?,
            text: String::from_utf8_lossy(bytes.expose()).into_owned(),
            permissions: fs::metadata(file).map_err(io)?.permissions(),
        })
    }

    /// Whole or not at all; whoever could read it still can.
    fn replace_with(&self, document: &str) -> Result<(), CliError> {
        replace(&self.path, document.as_bytes())?;
        fs::set_permissions(&self.path, self.permissions.clone())
            .map_err(|error| CliError::NotDone(format!("{}: {error}", self.path.display())))
    }
}

/// Certificates are public; a file that holds a key besides is sent nowhere.
#[expect(clippy::disallowed_methods, reason = "certificates are public, and what is not one is refused")]
fn pem(file: &Path) -> Result<String, CliError> {
    let bytes = read_bounded(file, CERTIFICATES_MAX_BYTES)?;
    let text = std::str::from_utf8(bytes.expose()).unwrap_or_default();
    if text.contains("PRIVATE KEY") {
        return Err(CliError::NotDone(format!("{} holds a private key: give the certificates alone", file.display())));
    }
    Ok(text.to_owned())
}

/// A selector as kubectl takes it, as the API's objects have it.
fn selector(text: &str) -> Result<Value, CliError> {
    let refuse = |why: String| CliError::NotDone(format!("--selector: {why}"));
    let parsed = LabelSelector::parse(text).map_err(|error| refuse(error.to_string()))?;
    let expressions = parsed.requirements().iter().map(|requirement| {
        let key = &requirement.key;
        let compared =
            |operator: &str, values: Vec<&String>| json!({"key": key, "operator": operator, "values": values});
        Ok(match &requirement.operator {
            Operator::Exists => json!({"key": key, "operator": "Exists"}),
            Operator::DoesNotExist => json!({"key": key, "operator": "DoesNotExist"}),
            Operator::Equals(value) => compared("In", vec![value]),
            Operator::NotEquals(value) => compared("NotIn", vec![value]),
            Operator::In(values) => compared("In", values.iter().collect()),
            Operator::NotIn(values) => compared("NotIn", values.iter().collect()),
            Operator::GreaterThan(_) | Operator::LessThan(_) => {
                return Err(refuse("< and > cannot be asked for here".to_owned()));
            }
        })
    });
    Ok(json!({"matchExpressions": expressions.collect::<Result<Vec<Value>, CliError>>()?}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_asks_the_same_in_both_forms() {
        for text in ["app=web", "app!=web", "a in (b,c),d notin (e)", "x,!y", "app=web,tier!=test"] {
            let object = selector(text).unwrap();
            let again = LabelSelector::from_api(&object, "").unwrap();
            let labels =
                |at: usize| move |key: &str| [None, Some("web"), Some("b"), Some("test")][(key.len() + at) % 4];
            for at in 0..4 {
                assert_eq!(
                    again.matches(labels(at)),
                    LabelSelector::parse(text).unwrap().matches(labels(at)),
                    "{text}"
                );
            }
        }
        assert!(selector("a>1").is_err() && selector("a=b=c").is_err());
        assert_eq!(selector("").unwrap(), json!({"matchExpressions": []}));
    }
}

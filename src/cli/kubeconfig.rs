//! A user's kubeconfig, changed as `kubectl config` changes it: entries are added or replaced, all else stays.
//!
//! What stays, stays in meaning; comments and the order of keys do not, as with `kubectl config`. What it never does:
//! replace an entry that is not one of ours, leave a half-written file, or leave one that others may read.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::CliError;
use crate::codec;
use crate::sensitive::{Document, SecretBytes, wipe};
use crate::server::private_files::replace;

const FILE_MAX_BYTES: u64 = 4 * 1024 * 1024;
const LOCK_ATTEMPTS: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// Names of clusters and users that are ours begin with it.
const OURS: &str = "strongroom-";

/// What a context of ours consists of.
pub struct Entry {
    /// `HOST:PORT`; names of cluster and user are made of it.
    pub authority: String,
    /// `https://HOST:PORT`
    pub server: String,
    /// The certificates to trust, PEM; `None` leaves it to the operating system.
    pub trust: Option<String>,
    /// Who.
    pub user: String,
    /// What goes below `user`: an `exec` entry, a token, a client certificate.
    pub credential: Document,
    /// The context's name; `None` makes it `USER@HOST:PORT`.
    pub context: Option<String>,
}

impl Entry {
    /// The context's name.
    pub fn context_name(&self) -> String {
        self.context.clone().unwrap_or_else(|| context_name(&self.user, &self.authority))
    }

    fn cluster_name(&self) -> String {
        format!("{OURS}{}", self.authority)
    }

    fn user_name(&self) -> String {
        format!("{OURS}{}@{}", self.user, self.authority)
    }
}

/// What a context of ours leads to.
pub struct Found {
    /// `certificate-authority-data`, base64 of PEM.
    pub trust: String,
    /// The arguments of the `exec` entry; empty where there is none.
    pub exec_arguments: Vec<String>,
    /// The context's name.
    pub context: String,
}

/// The file of the list that is changed: the first that is there, else the last, as kubectl has it.
pub fn file_to_change(files: &[PathBuf]) -> Option<&PathBuf> {
    files.iter().find(|file| file.exists()).or(files.last())
}

/// Reads a file, lets `change` alter it, and puts it back. A file that is not there begins empty.
pub fn change(path: &Path, change: impl FnOnce(&mut Value) -> Result<(), String>) -> Result<(), CliError> {
    // A link is followed, so that it stays one.
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let _lock = FileLock::take(path)?;
    let mut document = read(path)?;
    change_document(&mut document, change).map_err(|problem| in_file(path, &problem))?;
    write(path, &document)
}

/// Reads a file; one that is not there is empty.
pub fn read(path: &Path) -> Result<Document, CliError> {
    let bytes = match super::connection::read_bounded(path, FILE_MAX_BYTES) {
        Ok(bytes) => bytes,
        Err(CliError::Connect(crate::kube_client::ConnectError::File { source, .. }))
            if source.kind() == io::ErrorKind::NotFound =>
        {
            return Ok(Document::new(Value::Null));
        }
        Err(error) => return Err(error),
    };
    parse(&bytes).map_err(|problem| in_file(path, &problem))
}

/// A new file that holds this entry and nothing else.
pub fn only(entry: &Entry) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let mut document = Document::new(Value::Null);
    change_document(&mut document, |config| set(config, entry)).map_err(CliError::NotDone)?;
    Ok(encode(&document))
}

/// Adds the entry or replaces it, and makes its context the current one.
#[expect(clippy::disallowed_methods, reason = "the credential goes into its file, mode 0600")]
pub fn set(config: &mut Value, entry: &Entry) -> Result<(), String> {
    let context = entry.context_name();
    may_set(config, &context)?;
    let mut cluster = Map::new();
    if let Some(trust) = &entry.trust {
        cluster.insert("certificate-authority-data".into(), base64(trust.as_bytes()).into());
    }
    cluster.insert("server".into(), entry.server.as_str().into());
    put(config, "clusters", &entry.cluster_name(), "cluster", &["extensions"], Value::Object(cluster))?;
    put(config, "users", &entry.user_name(), "user", &[], entry.credential.expose().clone())?;
    let leads_to = json!({"cluster": entry.cluster_name(), "user": entry.user_name()});
    put(config, "contexts", &context, "context", &["namespace", "extensions"], leads_to)?;
    if let Some(fields) = config.as_object_mut() {
        fields.insert("current-context".into(), context.into());
    }
    Ok(())
}

/// `USER@HOST:PORT`
pub fn context_name(user: &str, authority: &str) -> String {
    format!("{user}@{authority}")
}

/// Whether a context of this name would replace one that is not ours; the error says where that leads.
pub fn may_set(config: &Value, context: &str) -> Result<(), String> {
    let before = named(config, "contexts", context).and_then(|item| item.get("context"));
    let Some(other) = before.filter(|context| !is_ours(context)) else { return Ok(()) };
    let cluster = other.get("cluster").and_then(Value::as_str).unwrap_or("another cluster");
    Err(format!("context {context:?} leads to {cluster}: choose another name with --context"))
}

/// What a context leads to, if it is one of ours; `None` asks for the current one.
pub fn find(config: &Value, context: Option<&str>) -> Option<Found> {
    let name = context.or_else(|| config.get("current-context").and_then(Value::as_str))?;
    let context = named(config, "contexts", name)?.get("context").filter(|context| is_ours(context))?;
    let entry = |list: &str, key: &str| named(config, list, context.get(key)?.as_str()?)?.get(key);
    let (cluster, user) = (entry("clusters", "cluster")?, entry("users", "user")?);
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let arguments = user.pointer("/exec/args").and_then(Value::as_array);
    Some(Found {
        trust: text(cluster, "certificate-authority-data"),
        exec_arguments: arguments.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
        context: name.to_owned(),
    })
}

/// The authority (base64 of PEM) by which our entry knows a server, whoever signed in there.
pub fn known_trust<'a>(config: &'a Value, authority: &str) -> Option<&'a str> {
    let cluster = named(config, "clusters", &format!("{OURS}{authority}"))?;
    cluster.pointer("/cluster/certificate-authority-data")?.as_str()
}

/// Takes the token of a context of ours away.
pub fn remove_token(config: &mut Value, context: &str) -> Result<(), String> {
    let user = named(config, "contexts", context).and_then(|item| item.pointer("/context/user")?.as_str());
    let Some(user) = user.filter(|user| user.starts_with(OURS)).map(str::to_owned) else { return Ok(()) };
    put(config, "users", &user, "user", &[], json!({}))
}

/// Text in base64, as a kubeconfig holds certificates and keys.
pub fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn is_ours(context: &Value) -> bool {
    let begins = |key: &str| context.get(key).and_then(Value::as_str).is_some_and(|name| name.starts_with(OURS));
    begins("cluster") && begins("user")
}

fn named<'a>(config: &'a Value, list: &str, name: &str) -> Option<&'a Value> {
    config.get(list)?.as_array()?.iter().find(|item| item.get("name").is_some_and(|own| own == name))
}

/// Sets `key` of the item of this name, but for the fields of it that are to be kept.
fn put(config: &mut Value, list: &str, name: &str, key: &str, kept: &[&str], mut value: Value) -> Result<(), String> {
    let fields = config.as_object_mut().ok_or("is no kubeconfig")?;
    let items = fields.entry(list).or_insert(Value::Null);
    // kubectl writes an empty list as `null`.
    if items.is_null() {
        *items = json!([]);
    }
    let items = items.as_array_mut().ok_or_else(|| format!("{list} is no list"))?;
    let Some(item) = items.iter_mut().find(|item| item.get("name").is_some_and(|own| own == name)) else {
        // Moved, not copied: it may be a credential.
        let fields = [("name".to_owned(), Value::from(name)), (key.to_owned(), value)];
        items.push(Value::Object(fields.into_iter().collect()));
        return Ok(());
    };
    for field in kept {
        if let (Some(old), Some(new)) = (item.get(key).and_then(|item| item.get(*field)), value.as_object_mut()) {
            new.insert((*field).to_owned(), old.clone());
        }
    }
    if let Some(mut old) = item.as_object_mut().and_then(|item| item.insert(key.to_owned(), value)) {
        wipe(&mut old);
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the file is changed in memory, in a type that is wiped")]
fn change_document(
    document: &mut Document,
    change: impl FnOnce(&mut Value) -> Result<(), String>,
) -> Result<(), String> {
    let config = document.expose_mut();
    if config.is_null() {
        *config = json!({"apiVersion": "v1", "kind": "Config", "preferences": {}});
    }
    if !config.is_object() {
        return Err("is no kubeconfig".to_owned());
    }
    change(config)
}

#[expect(clippy::disallowed_methods, reason = "the file is parsed into a type that is wiped")]
fn parse(bytes: &SecretBytes) -> Result<Document, String> {
    codec::yaml::parse(bytes.expose())
        .map(|parsed| Document::new(parsed.value))
        .map_err(|error| format!("cannot be read as YAML: {error}"))
}

#[expect(clippy::disallowed_methods, reason = "the file holds credentials, and is written with mode 0600")]
fn encode(document: &Document) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(codec::yaml::to_string(document.expose()).into_bytes())
}

fn write(path: &Path, document: &Document) -> Result<(), CliError> {
    Ok(replace(path, &encode(document))?)
}

fn in_file(path: &Path, problem: &str) -> CliError {
    CliError::NotDone(format!("{}: {problem}", path.display()))
}

/// kubectl's own lock: a file beside the kubeconfig that must not be there yet. Removed when dropped.
struct FileLock(PathBuf);

impl FileLock {
    fn take(path: &Path) -> Result<Self, CliError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|error| in_file(folder, &error.to_string()))?;
        }
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let lock = PathBuf::from(name);
        for attempt in 1..=LOCK_ATTEMPTS {
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&lock) {
                Ok(_) => return Ok(Self(lock)),
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(in_file(&lock, &error.to_string()));
                }
                Err(_) if attempt < LOCK_ATTEMPTS => std::thread::sleep(LOCK_PAUSE),
                Err(_) => {}
            }
        }
        Err(in_file(&lock, "another program changes the kubeconfig; if none does, remove this file"))
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
#[path = "kubeconfig_tests.rs"]
mod tests;

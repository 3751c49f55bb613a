//! Where Secrets are imported from: manifests, environment files, SOPS files, folders, a live cluster.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::Format;
use crate::cli::connection::read_bounded;
use crate::cli::progress::Progress;
use crate::cli::{CliError, warn};
use crate::config::Environment;
use crate::export::{Identity, SecretDocument, decrypt_sops};
use crate::import::{dotenv, has_accidental_line_break, manifests, secrets};
use crate::kube_client::{Client, Failure, Request, encode_segment};
use crate::sensitive::{Document, SecretBytes};

const FILE_MAX_BYTES: u64 = 64 * 1024 * 1024;
const IDENTITIES_MAX_BYTES: u64 = 64 * 1024;
const PAGE: &str = "500";
/// Secrets of a cluster that are good for nothing elsewhere: made by the cluster itself, or a tool's own records.
const LEFT_OUT: [&str; 3] =
    ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token", "helm.sh/release.v1"];

/// A Secret that was found.
pub struct Found {
    /// Its name.
    pub name: String,
    /// Its namespace, where it says one.
    pub namespace: Option<String>,
    /// The object, as the API takes it.
    pub secret: Document,
    /// Keys whose values look as if a line break had slipped in.
    pub broken_lines: Vec<String>,
}

impl Found {
    fn of(secret: &SecretDocument) -> Self {
        Self::made(&secret.object(), secret.namespace_or_none(), secret.values())
    }

    #[expect(clippy::disallowed_methods, reason = "the object is taken over, to be sent")]
    fn made<'v>(
        object: &Document,
        namespace: Option<String>,
        values: impl Iterator<Item = (&'v String, &'v SecretBytes)>,
    ) -> Self {
        let mut secret = object.duplicate();
        // What the request says already.
        if let Some(fields) = secret.expose_mut().as_object_mut() {
            fields.shift_remove("kind");
            fields.shift_remove("apiVersion");
        }
        if let Some(metadata) = secret.expose_mut().get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.shift_remove("namespace");
        }
        let name = secret.expose().pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let broken = values.filter(|(_, value)| has_accidental_line_break(value)).map(|(key, _)| key.clone());
        Self { name, namespace, secret, broken_lines: broken.collect() }
    }

    /// Of values alone.
    #[expect(clippy::disallowed_methods, reason = "the values go into the object that is sent")]
    fn of_values(name: &str, values: &BTreeMap<String, SecretBytes>) -> Self {
        let data: Map<String, Value> =
            values.iter().map(|(key, value)| (key.clone(), STANDARD.encode(value.expose()).into())).collect();
        let object = Document::new(json!({
            "metadata": {"name": name}, "type": "Opaque", "data": data,
        }));
        Self::made(&object, None, values.iter())
    }
}

/// The age identities that decrypt SOPS files.
#[expect(clippy::disallowed_methods, reason = "identities are read from their file")]
pub fn identities(file: Option<PathBuf>, environment: &Environment) -> Result<Vec<Identity>, CliError> {
    let Some(file) = file.or_else(|| environment.path("SOPS_AGE_KEY_FILE")) else { return Ok(Vec::new()) };
    let text = read_bounded(&file, IDENTITIES_MAX_BYTES)?;
    let text = std::str::from_utf8(text.expose()).unwrap_or_default();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let wrong = || CliError::NotDone(format!("{} holds what is no age identity", file.display()));
    lines.map(|line| line.parse().map_err(|_| wrong())).collect()
}

/// The Secrets of a file or folder.
pub fn of_file(
    path: &Path,
    format: Option<Format>,
    name: Option<&str>,
    identities: &[Identity],
) -> Result<Vec<Found>, CliError> {
    let fail = |why: String| CliError::NotDone(format!("{}: {why}", path.display()));
    if path != Path::new("-") && path.is_dir() {
        return match format {
            None | Some(Format::Files) => of_folder(path, name),
            Some(_) => Err(fail("is a folder, which only format files reads".to_owned())),
        };
    }
    let bytes = if path == Path::new("-") { standard_input()? } else { read_bounded(path, FILE_MAX_BYTES)? };
    match format.unwrap_or_else(|| guessed(path, &bytes)) {
        Format::Manifests => of_manifests(&bytes).map_err(fail),
        Format::Dotenv => {
            let stem = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let stem = stem.trim_start_matches('.').trim_end_matches(".env");
            let name = name.unwrap_or(stem);
            if matches!(name, "" | "-" | "env") {
                return Err(fail("--name says what the Secret is to be called".to_owned()));
            }
            of_dotenv(&bytes, name).map_err(fail)
        }
        Format::Sops => of_sops(&bytes, identities).map_err(fail),
        Format::Files => Err(fail("is no folder".to_owned())),
    }
}

#[expect(clippy::disallowed_methods, reason = "what a file is is told by its text")]
fn guessed(path: &Path, bytes: &SecretBytes) -> Format {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let text = std::str::from_utf8(bytes.expose()).unwrap_or_default();
    let has_sops = text.lines().any(|line| line.starts_with("sops:"))
        || text.contains("\"sops\": {")
        || text.contains("\"sops\":{");
    if has_sops && text.contains("ENC[AES256_GCM") {
        return Format::Sops;
    }
    let is_env = name == ".env" || name.starts_with(".env.") || path.extension().is_some_and(|end| end == "env");
    if is_env { Format::Dotenv } else { Format::Manifests }
}

#[expect(clippy::disallowed_methods, reason = "the file is read into Secrets")]
fn of_manifests(bytes: &SecretBytes) -> Result<Vec<Found>, String> {
    let secrets = manifests(bytes.expose()).map_err(|error| error.to_string())?;
    Ok(secrets.iter().map(Found::of).collect())
}

#[expect(clippy::disallowed_methods, reason = "the file is read into a Secret")]
fn of_dotenv(bytes: &SecretBytes, name: &str) -> Result<Vec<Found>, String> {
    let values = dotenv(bytes.expose()).map_err(|error| error.to_string())?;
    Ok(vec![Found::of_values(name, &values)])
}

#[expect(clippy::disallowed_methods, reason = "the file is decrypted into Secrets")]
fn of_sops(bytes: &SecretBytes, identities: &[Identity]) -> Result<Vec<Found>, String> {
    if identities.is_empty() {
        return Err("--age-identity says which file holds the identity that decrypts it".to_owned());
    }
    let documents = decrypt_sops(bytes.expose(), identities).map_err(|error| error.to_string())?;
    let found = secrets(documents).map_err(|error| error.to_string())?;
    Ok(found.iter().map(Found::of).collect())
}

/// A folder of files is one Secret; a folder of such folders is several. What no key and no Secret can be called is passed
/// over: files that begin with two dots, as what kubelet mounts has such, and folders that begin with one; beside folders, also
/// files that do.
fn of_folder(path: &Path, name: Option<&str>) -> Result<Vec<Found>, CliError> {
    let fail = |error: std::io::Error| CliError::NotDone(format!("{}: {error}", path.display()));
    let (mut values, mut folders) = (BTreeMap::new(), Vec::new());
    let mut entries: Vec<_> = std::fs::read_dir(path).and_then(Iterator::collect::<Result<_, _>>).map_err(fail)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let file_name = entry.file_name();
        let key = file_name.to_str().ok_or_else(|| fail(std::io::ErrorKind::InvalidFilename.into()))?;
        if key.starts_with("..") {
            continue;
        }
        // A link counts as what it leads to: that is how kubelet mounts.
        if std::fs::metadata(entry.path()).map_err(fail)?.is_dir() {
            if !key.starts_with('.') {
                folders.push(entry.path());
            }
        } else {
            values.insert(key.to_owned(), read_bounded(&entry.path(), FILE_MAX_BYTES)?);
        }
    }
    if !folders.is_empty() {
        values.retain(|key, _| !key.starts_with('.'));
    }
    if !values.is_empty() && !folders.is_empty() {
        let why = "holds files and folders: a folder of files is one Secret, and a folder of folders several";
        return Err(CliError::NotDone(format!("{}: {why}", path.display())));
    }
    let mut found = Vec::new();
    if !values.is_empty() {
        let own = std::path::absolute(path).ok();
        let own = own.as_deref().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
        found.push(Found::of_values(name.unwrap_or(own), &values));
    }
    for folder in folders {
        found.extend(of_folder(&folder, None)?);
    }
    Ok(found)
}

fn standard_input() -> Result<SecretBytes, CliError> {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = std::io::stdin().lock().take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| CliError::NotDone(format!("standard input: {error}")))?;
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(CliError::NotDone("standard input is too long".to_owned()));
    }
    Ok(SecretBytes::new(std::mem::take(&mut *bytes)))
}

/// The Secrets of a namespace of a cluster, which the user's own kubeconfig leads to.
#[expect(clippy::disallowed_methods, reason = "the answer is read into Secrets")]
pub fn of_cluster(
    kubeconfig: &Path,
    context: Option<&str>,
    namespace: Option<&str>,
    selector: Option<&str>,
) -> Result<Vec<Found>, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CliError::NotDone(format!("the client cannot be started: {error}")))?;
    runtime.block_on(async {
        let client = Client::of_kubeconfig(&[kubeconfig.to_owned()], context)?;
        let namespace = namespace.unwrap_or_else(|| client.namespace()).to_owned();
        let (mut found, mut token, mut left_out) = (Vec::new(), String::new(), 0);
        let progress = Progress::of(None, "Secrets read from the cluster");
        loop {
            let path = format!("/api/v1/namespaces/{}/secrets", encode_segment(&namespace));
            let mut request = Request::get(path).with("limit", PAGE);
            if let Some(selector) = selector {
                request = request.with("labelSelector", selector);
            }
            if !token.is_empty() {
                request = request.with("continue", std::mem::take(&mut token));
            }
            let answer = client.request(request).await?;
            if answer.code >= 300 {
                return Err(Failure::read(answer.code, &answer.body, answer.retry_after_seconds).into());
            }
            let page: Option<Document> = serde_json::from_slice(answer.body.expose()).map(Document::new).ok();
            let page = page.ok_or_else(|| CliError::NotDone("the cluster did not answer with JSON".to_owned()))?;
            for item in page.expose().get("items").and_then(Value::as_array).into_iter().flatten() {
                progress.advance(1);
                let is_left_out = item.get("type").and_then(Value::as_str).is_some_and(|kind| LEFT_OUT.contains(&kind));
                if is_left_out {
                    left_out += 1;
                    continue;
                }
                let secret = SecretDocument::read(&Document::new(item.clone()));
                let secret = secret.map_err(|error| CliError::NotDone(error.to_string()))?;
                // Which namespace of the cluster it was in says nothing of where it goes here.
                found.push(Found { namespace: None, ..Found::of(&secret) });
            }
            match page.expose().pointer("/metadata/continue").and_then(Value::as_str) {
                Some(next) if !next.is_empty() => next.clone_into(&mut token),
                _ => break,
            }
        }
        if left_out > 0 {
            warn(&format!("{left_out} secrets of the cluster's own making are left out"));
        }
        Ok(found)
    })
}

//! A kubeconfig that somebody has uploaded: where a cluster is, how it is known, and as whom to ask it.
//!
//! Read by a list of what may stand in it. Everything else is refused by name, for much of what a kubeconfig can say acts
//! on the machine that reads it: it starts processes, reads files, and leaves out verification. What is not read here is
//! read nowhere: the client is built from [`Connection`] by hand.
//!
//! What it never does: open a file, start a process, or put a value into an error.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::ServerName;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::codec::yaml;
use crate::config::ServerUrl;
use crate::pki::{Block, CertificateFacts, pair_warning, read_blocks};
use crate::sensitive::{Document, SecretBytes};

/// A kubeconfig that is larger is none.
const MAX_BYTES: usize = 64 * 1024;
/// Clusters, users or contexts.
const ENTRIES_MAX: usize = 100;

/// Where a cluster is, how it is known, and as whom to ask it.
pub struct Connection {
    /// `https://HOST:PORT`, and a path behind it where the cluster is reached below one.
    pub server: String,
    /// The name that its certificate must be for, where that is not the host.
    pub server_name: Option<String>,
    /// The authorities of its certificate, DER; at least one.
    pub trust: Vec<Vec<u8>>,
    /// As whom.
    pub credential: Credential,
}

/// What a cluster is shown.
pub enum Credential {
    /// A bearer token.
    Token(SecretBytes),
    /// A client certificate and its key, PEM.
    Certificate {
        /// The certificate, then those that lead to its authority.
        chain_pem: Vec<u8>,
        /// The key.
        key_pem: SecretBytes,
    },
}

/// Why a kubeconfig is not taken. Shows where, and no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeconfigError {
    /// `users[0].user.exec`; empty where it concerns the whole.
    pub field: String,
    /// What is wrong, and what to do.
    pub problem: &'static str,
}

impl fmt::Display for KubeconfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { f.write_str(self.problem) } else { write!(f, "{}: {}", self.field, self.problem) }
    }
}

impl std::error::Error for KubeconfigError {}

/// Fields that act on the machine that reads them, and why they are not taken.
const REFUSED: &[(&str, &str)] = &[
    ("exec", "would start a process on the server: put a token of a service account into the kubeconfig"),
    ("auth-provider", "would start a process on the server: put a token of a service account into the kubeconfig"),
    ("tokenFile", "would read a file of the server: put the token itself into `token`"),
    ("client-certificate", "would read a file of the server: use `client-certificate-data`"),
    ("client-key", "would read a file of the server: use `client-key-data`"),
    ("certificate-authority", "would read a file of the server: use `certificate-authority-data`"),
    ("proxy-url", "would send everything to another server: the cluster must be reached directly"),
    ("insecure-skip-tls-verify", "would let anybody answer for the cluster: give its certificate-authority-data"),
    ("username", "passwords are not supported: use a token or a client certificate"),
    ("password", "passwords are not supported: use a token or a client certificate"),
    ("as", "acting as somebody else is not supported: give a credential of that user"),
    ("as-uid", "acting as somebody else is not supported: give a credential of that user"),
    ("as-groups", "acting as somebody else is not supported: give a credential of that user"),
    ("as-user-extra", "acting as somebody else is not supported: give a credential of that user"),
];
const UNKNOWN: &str = "is no field that may stand here";

/// Reads a kubeconfig, and of it the context of this name, or its current one.
pub fn parse(bytes: &[u8], context: Option<&str>) -> Result<Connection, KubeconfigError> {
    if bytes.len() > MAX_BYTES {
        return Err(wrong("", "is larger than any kubeconfig"));
    }
    let parsed = yaml::parse(bytes).map_err(|_| wrong("", "is not one document of YAML or JSON"))?;
    let has_duplicates = !parsed.duplicates.is_empty();
    let document = Document::new(parsed.value);
    if has_duplicates {
        return Err(wrong("", "sets a key twice"));
    }
    read(&document, context)
}

#[expect(clippy::disallowed_methods, reason = "the credential is taken out of it")]
fn read(document: &Document, context: Option<&str>) -> Result<Connection, KubeconfigError> {
    let whole = document.expose();
    let fields = ["apiVersion", "kind", "clusters", "users", "contexts", "current-context", "preferences"];
    let whole = members(Some(whole), "", &fields)?;
    for (field, expected) in [("apiVersion", "v1"), ("kind", "Config")] {
        if whole.get(field).is_some_and(|value| value != expected) {
            return Err(wrong(field, "is not that of a kubeconfig"));
        }
    }
    if whole
        .get("preferences")
        .is_some_and(|value| !value.is_null() && value.as_object().is_none_or(|map| !map.is_empty()))
    {
        return Err(wrong("preferences", UNKNOWN));
    }
    // All of it, also what is not used: nobody is to find out later that it was left out.
    let clusters = entries(whole, "clusters", "cluster", &["server", "certificate-authority-data", "tls-server-name"])?;
    let users = entries(whole, "users", "user", &["token", "client-certificate-data", "client-key-data"])?;
    let contexts = entries(whole, "contexts", "context", &["cluster", "user", "namespace"])?;
    let (name, field) = match context.filter(|name| !name.is_empty()) {
        Some(name) => (name, "contexts"),
        None => (text(whole, "current-context", "")?, "current-context"),
    };
    if name.is_empty() {
        return Err(wrong("current-context", "is missing: set it, or name a context"));
    }
    let (context, path) = find(&contexts, name).ok_or_else(|| wrong(field, "there is no such context"))?;
    let named = |kind: &str| -> Result<(&str, String), KubeconfigError> {
        let field = format!("{path}.{kind}");
        Ok((text(context, kind, &path)?, field))
    };
    let (cluster, field) = named("cluster")?;
    let (cluster, path) = find(&clusters, cluster).ok_or_else(|| wrong(&field, "there is no such cluster"))?;
    let (server, server_name, trust) = server(cluster, &path)?;
    let (user, field) = named("user")?;
    let (user, path) = find(&users, user).ok_or_else(|| wrong(&field, "there is no such user"))?;
    Ok(Connection { server, server_name, trust, credential: credential(user, &path)? })
}

type Entries<'a> = Vec<(&'a str, &'a Map<String, Value>, String)>;

/// The entries of a list: their names, what they hold, and where that stands.
fn entries<'a>(
    whole: &'a Map<String, Value>,
    list: &str,
    member: &str,
    fields: &[&str],
) -> Result<Entries<'a>, KubeconfigError> {
    let listed = match whole.get(list) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(listed)) if listed.len() <= ENTRIES_MAX => listed,
        Some(Value::Array(_)) => return Err(wrong(list, "has too many entries")),
        Some(_) => return Err(wrong(list, "must be a list")),
    };
    let mut found: Entries<'a> = Vec::new();
    for (at, entry) in listed.iter().enumerate() {
        let path = format!("{list}[{at}]");
        let entry = members(Some(entry), &path, &["name", member])?;
        let name = text(entry, "name", &path)?;
        if name.is_empty() || found.iter().any(|(other, ..)| *other == name) {
            return Err(wrong(&format!("{path}.name"), "must be given, and once only"));
        }
        let path = format!("{path}.{member}");
        found.push((name, members(entry.get(member), &path, fields)?, path));
    }
    Ok(found)
}

/// The members of a map, if there are none but these.
fn members<'a>(
    value: Option<&'a Value>,
    path: &str,
    fields: &[&str],
) -> Result<&'a Map<String, Value>, KubeconfigError> {
    let map = value.and_then(Value::as_object).ok_or_else(|| wrong(path, "must be a map"))?;
    for name in map.keys() {
        if fields.contains(&name.as_str()) {
            continue;
        }
        let problem = REFUSED.iter().find(|(refused, _)| refused == name).map_or(UNKNOWN, |(_, why)| why);
        // A key that is none of Kubernetes' may be a value in the wrong place.
        let is_plain =
            name.len() <= 40 && name.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c.is_ascii_uppercase());
        let name = if is_plain { name.as_str() } else { "?" };
        return Err(wrong(&join(path, name), problem));
    }
    Ok(map)
}

fn find<'a>(entries: &Entries<'a>, name: &str) -> Option<(&'a Map<String, Value>, String)> {
    entries.iter().find(|(found, ..)| *found == name).map(|(_, map, path)| (*map, path.clone()))
}

fn text<'a>(map: &'a Map<String, Value>, field: &str, path: &str) -> Result<&'a str, KubeconfigError> {
    match map.get(field) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(wrong(&join(path, field), "must be text")),
    }
}

/// Decoded base64.
fn data(map: &Map<String, Value>, field: &str, path: &str) -> Result<Zeroizing<Vec<u8>>, KubeconfigError> {
    let encoded = text(map, field, path)?;
    let mut decoded = Zeroizing::new(Vec::with_capacity(encoded.len()));
    let lines = Zeroizing::new(encoded.split_ascii_whitespace().collect::<String>());
    let read = STANDARD.decode_vec(lines.as_bytes(), &mut decoded);
    read.map_err(|_| wrong(&join(path, field), "is not base64"))?;
    Ok(decoded)
}

type Server = (String, Option<String>, Vec<Vec<u8>>);

#[expect(clippy::disallowed_methods, reason = "a certificate is public")]
fn server(cluster: &Map<String, Value>, path: &str) -> Result<Server, KubeconfigError> {
    let address = text(cluster, "server", path)?;
    let field = join(path, "server");
    if !address.starts_with("https://") {
        return Err(wrong(&field, "must begin with https://"));
    }
    let server = ServerUrl::parse_with_path("server", address);
    let server = server.map_err(|_| wrong(&field, "must be https://HOST:PORT, and behind it a plain path at most"))?;
    let blocks = read_blocks(&data(cluster, "certificate-authority-data", path)?);
    if !are_certificates(&blocks) {
        let problem = "must hold the authority of the cluster's certificate and nothing else, PEM in base64";
        return Err(wrong(&join(path, "certificate-authority-data"), problem));
    }
    let trust = blocks.iter().map(|block| block.bytes.expose().to_vec()).collect();
    let server_name = Some(text(cluster, "tls-server-name", path)?).filter(|name| !name.is_empty());
    if server_name.is_some_and(|name| ServerName::try_from(name).is_err()) {
        return Err(wrong(&join(path, "tls-server-name"), "must be a DNS name or an address"));
    }
    Ok((server.to_string(), server_name.map(str::to_owned), trust))
}

/// Whether there is one certificate at least, and nothing else.
#[expect(clippy::disallowed_methods, reason = "it is looked at whether it is a certificate")]
fn are_certificates(blocks: &[Block]) -> bool {
    let is_one = |block: &Block| block.label == "CERTIFICATE" && CertificateFacts::read(block.bytes.expose()).is_ok();
    !blocks.is_empty() && blocks.iter().all(is_one)
}

fn credential(user: &Map<String, Value>, path: &str) -> Result<Credential, KubeconfigError> {
    let token = text(user, "token", path)?;
    let (chain, key) = (data(user, "client-certificate-data", path)?, data(user, "client-key-data", path)?);
    if !token.is_empty() {
        if !token.chars().all(|c| c.is_ascii_graphic()) {
            return Err(wrong(&join(path, "token"), "holds what cannot be in a token"));
        }
        if !chain.is_empty() || !key.is_empty() {
            return Err(wrong(path, "holds a token and a client certificate: keep the one that is to be shown"));
        }
        return Ok(Credential::Token(SecretBytes::new(token.as_bytes().to_vec())));
    }
    if chain.is_empty() || key.is_empty() {
        return Err(wrong(path, "must hold a token, or client-certificate-data and client-key-data"));
    }
    // A key in here would be handled as what is public.
    if !are_certificates(&read_blocks(&chain)) {
        let problem = "must hold a certificate, and those that lead to its authority, PEM in base64";
        return Err(wrong(&join(path, "client-certificate-data"), problem));
    }
    if pair_warning(&chain, &key).is_some() {
        let problem = "must hold the key of the certificate without a passphrase, PEM in base64";
        return Err(wrong(&join(path, "client-key-data"), problem));
    }
    Ok(Credential::Certificate { chain_pem: chain.to_vec(), key_pem: SecretBytes::new(key.to_vec()) })
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

fn wrong(field: &str, problem: &'static str) -> KubeconfigError {
    KubeconfigError { field: field.to_owned(), problem }
}

#[cfg(test)]
mod tests;

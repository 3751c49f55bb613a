//! `strongroom kms check`: whether what lies in an etcd is encrypted.
//!
//! What it never does: print a value, or any part of one but the names that stand before what is encrypted.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{ArgGroup, Args};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::cli::CliError;
use crate::cli::connection::{body, document, read_bounded, runtime, trust_file};
use crate::cli::output::{Table, list_at, print, text_at};
use crate::config::{ConfigError, ServerUrl};
use crate::kms::Stored;
use crate::kms::etcd::{Found, read_snapshot};
use crate::kube_client::{Certificate, Client, ConnectError, Endpoint, Request};
use crate::sensitive::Document;

const RANGE: &str = "/v3/kv/range";
/// Objects of one answer at most; fewer where they are so long that it would be too long.
const PAGE: u32 = 250;
const FILE_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Options of `kms check`.
#[derive(Args)]
#[command(group = ArgGroup::new("place").required(true))]
pub struct Check {
    /// An etcd, by its HTTP gateway; without TLS on this machine only
    #[arg(long, value_name = "URL", group = "place")]
    etcd: Option<String>,
    /// A snapshot of an etcd, or the database file of one that does not run
    #[arg(long, value_name = "FILE", group = "place")]
    snapshot: Option<PathBuf>,
    /// Certificates to trust for the etcd, PEM
    #[arg(long, value_name = "FILE", requires = "etcd", conflicts_with = "snapshot")]
    cacert: Option<PathBuf>,
    /// Client certificate to present to it, PEM
    #[arg(long, value_name = "FILE", requires = "etcd", requires = "key", conflicts_with = "snapshot")]
    cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Which keys of the etcd are looked at
    #[arg(long, value_name = "PREFIX", default_value = "/registry/secrets/")]
    prefix: String,
    /// Print what is not encrypted, and counts, alone
    #[arg(long, short)]
    quiet: bool,
}

impl Check {
    pub(super) fn run(self) -> Result<(), CliError> {
        if self.prefix.is_empty() {
            return Err(ConfigError::new("--prefix", "give the beginning of the keys, for example /registry/").into());
        }
        let found = match &self.snapshot {
            Some(path) => read_snapshot(path, &self.prefix)
                .map_err(|error| CliError::NotDone(format!("{}: {error}", path.display())))?,
            None => self.ask()?,
        };
        let mut table = Table::new(&["OBJECT", "STORED", "PROVIDER", "KEY"]);
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for (key, stored) in &found.latest {
            let (state, provider, name) = match stored {
                Stored::ClearText => ("clear text", String::new(), String::new()),
                Stored::Unknown => ("unknown", String::new(), String::new()),
                Stored::Encrypted { provider, name, key_id } if key_id.is_empty() => {
                    ("encrypted", provider.clone(), name.clone())
                }
                Stored::Encrypted { provider, name, key_id } => {
                    ("encrypted", format!("{provider} {name}"), key_id.clone())
                }
            };
            *counts.entry(format!("{state} {provider} {name}").trim_end().to_owned()).or_default() += 1;
            if !(self.quiet && stored.is_encrypted()) {
                let shown = key.strip_prefix(&self.prefix).unwrap_or(key).to_owned();
                table.row([shown, state.to_owned(), provider, name]);
            }
        }
        if !table.is_empty() {
            print(&table.text());
            print("\n");
        }
        print(&format!("{} objects under {}\n", found.latest.len(), self.prefix));
        for (what, count) in counts {
            print(&format!("{count:>8} {what}\n"));
        }
        if found.older_in_clear_text > 0 {
            print(&format!(
                "{:>8} older revisions in clear text, which go when etcd is compacted and defragmented\n",
                found.older_in_clear_text
            ));
        }
        if found.latest.values().all(Stored::is_encrypted) { Ok(()) } else { Err(CliError::Unwell) }
    }

    fn ask(&self) -> Result<Found, CliError> {
        let url = self.etcd.as_deref().unwrap_or_default();
        let runtime = runtime()?;
        // The client's tasks belong to the runtime.
        let client = runtime.block_on(async { self.client(url) })?;
        runtime.block_on(self.pages(&client))
    }

    fn client(&self, url: &str) -> Result<Client, CliError> {
        if let Some(address) = url.strip_prefix("http://") {
            let address: Option<SocketAddr> = address.trim_end_matches('/').parse().ok();
            let address = address.filter(|address| address.ip().is_loopback()).ok_or_else(|| {
                ConfigError::new(
                    "--etcd",
                    "without TLS only an address of this machine is asked: http://127.0.0.1:2379",
                )
            })?;
            return Ok(Client::of_loopback(address)?);
        }
        let certificate = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                Some(Certificate { chain_pem: read_certificates(cert)?, key_pem: read_bounded(key, FILE_MAX_BYTES)? })
            }
            _ => None,
        };
        let endpoint = Endpoint {
            server: ServerUrl::parse("--etcd", url)?,
            trust: self.cacert.as_deref().map(trust_file).transpose()?.unwrap_or_default(),
            server_name: None,
            token: None,
            certificate,
        };
        Ok(Client::new(endpoint)?)
    }

    /// All of it as of one revision, page by page.
    #[expect(clippy::disallowed_methods, reason = "values are looked at where they lie, and wiped")]
    async fn pages(&self, client: &Client) -> Result<Found, CliError> {
        let mut found = Found::default();
        let end = STANDARD.encode(after(self.prefix.as_bytes()));
        let (mut from, mut revision, mut limit) = (self.prefix.clone().into_bytes(), String::new(), PAGE);
        loop {
            let mut asked = json!({"key": STANDARD.encode(&from), "range_end": end, "limit": limit});
            if let (false, Some(fields)) = (revision.is_empty(), asked.as_object_mut()) {
                fields.insert("revision".to_owned(), revision.clone().into());
            }
            let answer = match client.request(Request::post(RANGE, body(&Document::new(asked)))).await {
                Err(ConnectError::TooLong(_)) if limit > 1 => {
                    limit /= 2;
                    continue;
                }
                answer => answer?,
            };
            if answer.code != 200 {
                let text = format!("the etcd answered with {}: is this its client address?", answer.code);
                return Err(CliError::NotDone(text));
            }
            let wrong = || CliError::NotDone("the answer is none of an etcd's gateway".to_owned());
            let page = document(&answer.body).ok_or_else(wrong)?;
            let page = page.expose();
            if revision.is_empty() {
                text_at(page, "/header/revision").clone_into(&mut revision);
            }
            let items = list_at(page, "/kvs");
            for item in items {
                let key = STANDARD.decode(text_at(item, "/key")).map_err(|_| wrong())?;
                let encoded = text_at(item, "/value");
                let mut value = Zeroizing::new(Vec::with_capacity(encoded.len()));
                STANDARD.decode_vec(encoded, &mut value).map_err(|_| wrong())?;
                let stored = Stored::of(&value);
                from = [key.as_slice(), &[0]].concat();
                found.latest.insert(String::from_utf8_lossy(&key).into_owned(), stored);
            }
            if items.is_empty() || page.get("more").and_then(Value::as_bool) != Some(true) {
                return Ok(found);
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "certificates are public")]
fn read_certificates(path: &std::path::Path) -> Result<Vec<u8>, CliError> {
    Ok(read_bounded(path, FILE_MAX_BYTES)?.expose().to_vec())
}

/// The first key that does not begin with `prefix`.
fn after(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return end;
        }
    }
    // Every key does: up to the end.
    vec![0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_behind_its_prefix() {
        assert_eq!(after(b"/a/"), b"/a0");
        assert_eq!(after(b"a\xff\xff"), b"b");
        assert_eq!(after(b"\xff"), b"\0");
    }
}

//! Outside OpenID Connect issuers: from the file that names them to what the authenticator wants to know, and where
//! their key sets are read from.
//!
//! What it never does: take a key set over an unverified connection, or let a slow issuer hold anything up.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::auth::{Fetch, FetchFailed, FetchKeys, JWKS_MAX_BYTES, JwksSource, OutsideIssuer};
use crate::config::outside_issuers::{self, KeySource};
use crate::config::{self, ConfigError};
use crate::kube_client::{Document, fetch_document};
use crate::pki::read_blocks;

const FILE_MAX_BYTES: u64 = 1024 * 1024;
/// For one key set.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// One byte more than may be: what is cut off must not pass for what is whole.
const FETCH_BYTES: u64 = JWKS_MAX_BYTES as u64 + 1;

/// Reads the file and the certificates that it names.
pub fn read(path: &Path) -> Result<Vec<OutsideIssuer>, ConfigError> {
    let setting = format!("--oidc-config {}", path.display());
    let wrong = |problem: String| ConfigError::new(setting.as_str(), problem);
    let content = read_file(path).map_err(|error| wrong(error.to_string()))?;
    let path = std::path::absolute(path).map_err(|error| wrong(error.to_string()))?;
    let parsed = outside_issuers::parse(&setting, &content, path.parent().unwrap_or(Path::new("/")))?;
    parsed.into_iter().map(|issuer| prepare(issuer).map_err(wrong)).collect()
}

/// Reads key sets from files and over https.
pub fn fetch() -> Fetch {
    Arc::new(|wanted| Box::pin(async { fetch_keys(wanted).await.map_err(FetchFailed) }))
}

fn prepare(issuer: config::OutsideIssuer) -> Result<OutsideIssuer, String> {
    let ca = issuer.authority_file.map(|path| read_authorities(&path)).transpose()?;
    let (groups_claim, groups_prefix) = issuer.groups.map(|groups| (groups.claim, groups.prefix)).unzip();
    Ok(OutsideIssuer {
        issuer: issuer.issuer,
        audiences: issuer.audiences,
        keys: match issuer.keys {
            KeySource::File(path) => JwksSource::File(path),
            KeySource::Url(url) => JwksSource::Url(url),
        },
        ca,
        username_claim: issuer.username.claim,
        username_prefix: issuer.username.prefix,
        groups_claim,
        groups_prefix: groups_prefix.unwrap_or_default(),
        required_claims: issuer.required_claims,
    })
}

fn read_authorities(path: &Path) -> Result<Vec<u8>, String> {
    let pem = read_file(path).map_err(|error| format!("caFile {}: {error}", path.display()))?;
    if certificates(&pem).is_empty() {
        return Err(format!("caFile {}: there is no certificate in PEM form", path.display()));
    }
    Ok(pem)
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let is_too_long = fs::metadata(path)?.len() > FILE_MAX_BYTES;
    if is_too_long { Err(io::ErrorKind::FileTooLarge.into()) } else { fs::read(path) }
}

/// In DER.
#[expect(clippy::disallowed_methods, reason = "certificates are public")]
fn certificates(pem: &[u8]) -> Vec<Vec<u8>> {
    let blocks = read_blocks(pem);
    blocks.iter().filter(|block| block.label == "CERTIFICATE").map(|block| block.bytes.expose().to_vec()).collect()
}

async fn fetch_keys(wanted: FetchKeys) -> Result<Vec<u8>, String> {
    match wanted.source {
        JwksSource::File(path) => {
            // A file may lie on a network, or be a pipe that nobody writes to.
            let reading = tokio::task::spawn_blocking(move || read_start(&path));
            match tokio::time::timeout(FETCH_TIMEOUT, reading).await {
                Ok(Ok(read)) => read,
                Ok(Err(_)) | Err(_) => Err(format!("the file was not read within {} s", FETCH_TIMEOUT.as_secs())),
            }
        }
        JwksSource::Url(url) => {
            let trust = wanted.ca.as_deref().map(certificates);
            let document = Document { url: &url, trust, max_bytes: FETCH_BYTES, timeout: FETCH_TIMEOUT };
            fetch_document(document).await.map_err(|error| format!("{url}: {error}"))
        }
    }
}

fn read_start(path: &PathBuf) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FETCH_BYTES).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, content).unwrap();
        path
    }

    #[test]
    fn what_the_file_says_of_an_issuer_is_what_its_tokens_are_held_to() {
        let folder = tempfile::tempdir().unwrap();
        let text = b"[{issuer: 'https://i', audiences: [a], jwks: {file: keys.json}, usernameClaim: email, \
            usernamePrefix: 'u:', groupsClaim: teams, groupsPrefix: 'g:', requiredClaims: {tenant: blue}}, \
            {issuer: 'https://j', audiences: [b], jwks: {url: 'https://j/keys'}}]";
        let issuers = read(&write(folder.path(), "oidc.yaml", text)).unwrap();
        let expected = OutsideIssuer {
            issuer: "https://i".to_owned(),
            audiences: vec!["a".to_owned()],
            keys: JwksSource::File(folder.path().join("keys.json")),
            ca: None,
            username_claim: "email".to_owned(),
            username_prefix: "u:".to_owned(),
            groups_claim: Some("teams".to_owned()),
            groups_prefix: "g:".to_owned(),
            required_claims: [("tenant".to_owned(), "blue".to_owned())].into(),
        };
        assert_eq!(issuers.first(), Some(&expected));
        let second = issuers.get(1).unwrap();
        assert_eq!(second.keys, JwksSource::Url("https://j/keys".to_owned()));
        assert_eq!((second.username_claim.as_str(), second.username_prefix.as_str()), ("sub", "oidc:"));
        assert_eq!(second.groups_claim, None);
    }

    #[test]
    fn an_authority_that_cannot_be_read_is_found_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let text = b"[{issuer: 'https://i', audiences: [a], jwks: {url: 'https://i/k'}, caFile: ca.crt}]";
        let path = write(folder.path(), "oidc.yaml", text);
        let error = read(&path).unwrap_err().to_string();
        assert!(error.starts_with("--oidc-config ") && error.contains("ca.crt: No such file"), "{error}");
        write(folder.path(), "ca.crt", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
        let error = read(&path).unwrap_err().to_string();
        assert!(error.ends_with("ca.crt: there is no certificate in PEM form"), "{error}");
    }

    #[tokio::test]
    async fn a_key_set_in_a_file_is_read_and_no_further_than_it_may_be_long() {
        let folder = tempfile::tempdir().unwrap();
        let of = |path: PathBuf| FetchKeys { source: JwksSource::File(path), ca: None };
        let short = write(folder.path(), "short", b"{}");
        assert_eq!(fetch()(of(short)).await.unwrap(), b"{}");
        let long = write(folder.path(), "long", &vec![b' '; JWKS_MAX_BYTES * 2]);
        assert_eq!(fetch()(of(long)).await.unwrap().len(), JWKS_MAX_BYTES + 1);
        let error = fetch()(of(folder.path().join("none"))).await.unwrap_err().to_string();
        assert!(error.contains("none: No such file"), "{error}");
    }
}

//! The values that are looked for, as fingerprints: of the server, or as they were last got from it.
//!
//! They are kept in a file that only the user can read, no longer than their key is good for: one for each server and choice of
//! namespaces, so that what is known of one is not taken for what is known of another.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::cli::connection::{Connection, ConnectionOptions, body, document};
use crate::cli::output::{list_at, text_at};
use crate::cli::{CliError, warn};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Environment;
use crate::kube_client::{Request, encode_segment};
use crate::model::age::parse_rfc3339;
use crate::model::kinds::{OWN_API_VERSION, SECRET_SCAN};
use crate::scan::{Fingerprint, ScanKey};
use crate::sensitive::{Document, SecretBytes};
use crate::server::private_files::{Access, FileError, make_directory, read_secret, replace};

const CACHE_MAX_BYTES: usize = 64 * 1024 * 1024;
const FOLDER: &str = "strongroom-scan";

/// What stands for all namespaces where they are named: no namespace can be called that.
const EVERY: &str = "*";
/// Objects of one page of a list.
const PAGE: &str = "500";

/// Of which namespaces values are looked for.
pub enum Namespaces {
    /// These; that of the context if there are none.
    Named(Vec<String>),
    /// All that there are, but for those whose values may not be asked for.
    All,
}

/// What is looked for.
pub struct Known {
    /// The key of the fingerprints.
    pub key: ScanKey,
    /// One for each value.
    pub fingerprints: Vec<Fingerprint>,
    /// `Secret prod/db[password]`, by the number of the value.
    pub names: Vec<String>,
}

impl Known {
    /// Asks the server; what it said the last time counts where it cannot be asked.
    pub fn find(
        options: &ConnectionOptions,
        environment: &Environment,
        namespaces: &Namespaces,
    ) -> Result<Self, String> {
        let connection = options.connect(environment).map_err(|error| error.to_string())?;
        let usual = [connection.namespace(None).to_owned()];
        let all = [EVERY.to_owned()];
        let chosen = match namespaces {
            Namespaces::Named(named) if named.is_empty() => &usual[..],
            Namespaces::Named(named) => named,
            Namespaces::All => &all,
        };
        let folder = cache_folder(environment).ok_or("there is no folder to keep them in: set XDG_CACHE_HOME")?;
        make_directory(&folder, || true).map_err(|error| error.to_string())?;
        let file = folder.join(file_name(connection.server(), chosen));
        let cached = read(&file).map_err(|error| error.to_string())?;
        let scanner = cached.as_ref().and_then(|cached| text(cached, "scanner")).map_or_else(make_scanner, Ok)?;
        let asked = match namespaces {
            Namespaces::Named(_) => ask(&connection, &scanner, chosen, false),
            Namespaces::All => every(&connection).and_then(|every| ask(&connection, &scanner, &every, true)),
        };
        let whole = match asked {
            Ok(whole) => {
                write(&file, &whole).map_err(|error| error.to_string())?;
                whole
            }
            Err(error) => {
                let cached = cached.ok_or_else(|| error.to_string())?;
                if expires(&cached) <= SystemClock.unix_seconds() {
                    return Err(format!("{error}; what was known has expired"));
                }
                warn(&format!("{error}: only values that were known before are looked for"));
                cached
            }
        };
        Self::of(&whole).ok_or_else(|| "the server's answer cannot be read".to_owned())
    }

    #[expect(clippy::disallowed_methods, reason = "fingerprints are read, and their key")]
    fn of(whole: &Document) -> Option<Self> {
        let whole = whole.expose();
        let key = SecretBytes::new(STANDARD.decode(whole.get("key")?.as_str()?).ok()?);
        let key = ScanKey::from_bytes(&key)?;
        let (mut fingerprints, mut names) = (Vec::new(), Vec::new());
        for entry in whole.get("fingerprints")?.as_array()? {
            let text = |field: &str| entry.get(field).and_then(Value::as_str);
            let name = format!("Secret {}/{}[{}]", text("namespace")?, text("secret")?, text("key")?);
            if names.last() != Some(&name) {
                names.push(name);
            }
            fingerprints.push(Fingerprint {
                window: entry.get("window")?.as_u64()?.try_into().ok()?,
                length: entry.get("length")?.as_u64()?.try_into().ok()?,
                mac: hex::decode(text("mac")?).ok()?.try_into().ok()?,
                value: names.len() - 1,
            });
        }
        Some(Self { key, fingerprints, names })
    }
}

/// The names of all namespaces.
#[expect(clippy::disallowed_methods, reason = "names are no secret")]
fn every(connection: &Connection) -> Result<Vec<String>, CliError> {
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let mut request = Request::get("/api/v1/namespaces").with("limit", PAGE);
        if !token.is_empty() {
            request = request.with("continue", std::mem::take(&mut token));
        }
        let page = connection.object(request)?;
        let items = list_at(page.expose(), "/items").iter();
        names.extend(items.map(|item| text_at(item, "/metadata/name").to_owned()));
        text_at(page.expose(), "/metadata/continue").clone_into(&mut token);
        if token.is_empty() {
            return Ok(names);
        }
    }
}

/// The fingerprints of all these namespaces, which share a key: it is the user's and the scanner's. Those that are forbidden are
/// passed over if that is allowed, and that is said.
#[expect(clippy::disallowed_methods, reason = "fingerprints are gathered")]
fn ask(
    connection: &Connection,
    scanner: &str,
    namespaces: &[String],
    may_pass_over: bool,
) -> Result<Document, CliError> {
    let mut whole = json!({"scanner": scanner, "fingerprints": []});
    let mut forbidden = Vec::new();
    for namespace in namespaces {
        let path = format!("/apis/{OWN_API_VERSION}/namespaces/{}/{}", encode_segment(namespace), SECRET_SCAN.plural);
        let body = json!({"apiVersion": OWN_API_VERSION, "kind": SECRET_SCAN.kind, "spec": {"scanner": scanner}});
        let request = Request::post(path, SecretBytes::new(body.to_string().into_bytes()));
        let answer = match connection.object(request) {
            Err(CliError::Server(failure)) if may_pass_over && failure.code == 403 => {
                forbidden.push(namespace.as_str());
                continue;
            }
            answer => answer?,
        };
        let status = answer.expose().get("status").cloned().unwrap_or_default();
        let listed = status.get("fingerprints").and_then(Value::as_array).cloned().unwrap_or_default();
        let Some(fields) = whole.as_object_mut() else { continue };
        for name in ["key", "expirationTimestamp"] {
            fields.insert(name.to_owned(), status.get(name).cloned().unwrap_or_default());
        }
        let all = fields.get_mut("fingerprints").and_then(Value::as_array_mut);
        let placed = listed.into_iter().map(|mut entry| {
            if let Some(fields) = entry.as_object_mut() {
                fields.insert("namespace".to_owned(), namespace.as_str().into());
            }
            entry
        });
        if let Some(all) = all {
            all.extend(placed);
        }
    }
    if !forbidden.is_empty() {
        let names = forbidden.join(", ");
        if forbidden.len() == namespaces.len() {
            return Err(CliError::NotDone(format!("the values of none of the namespaces may be asked for: {names}")));
        }
        warn(&format!("values of these namespaces are not looked for, for they may not be asked for: {names}"));
    }
    Ok(Document::new(whole))
}

fn cache_folder(environment: &Environment) -> Option<PathBuf> {
    let cache = environment.path("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    let cache = cache.or_else(|| Some(environment.path("HOME")?.join(".cache")))?;
    Some(cache.join(FOLDER))
}

/// SHA-256 over the server and the namespaces, none of which can hold the byte between them.
fn file_name(server: &str, namespaces: &[String]) -> String {
    let whole = std::iter::once(server).chain(namespaces.iter().map(String::as_str)).collect::<Vec<_>>().join("\0");
    format!("{}.json", hex::encode(Sha256::digest(whole)))
}

fn make_scanner() -> Result<String, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| "there is no randomness".to_owned())?;
    Ok(hex::encode(bytes))
}

/// What cannot be understood is nothing: the next answer replaces it.
fn read(file: &Path) -> Result<Option<Document>, FileError> {
    match read_secret(file, Access::OwnerOnly, CACHE_MAX_BYTES) {
        Ok(bytes) => Ok(document(&bytes)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

#[expect(clippy::disallowed_methods, reason = "the time is no secret")]
fn expires(cached: &Document) -> i64 {
    let text = cached.expose().get("expirationTimestamp").and_then(Value::as_str);
    text.and_then(parse_rfc3339).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "a name is no secret")]
fn text(cached: &Document, field: &str) -> Option<String> {
    cached.expose().get(field)?.as_str().map(str::to_owned)
}

#[expect(clippy::disallowed_methods, reason = "fingerprints are kept, in a file of the user's own")]
fn write(file: &Path, whole: &Document) -> Result<(), FileError> {
    replace(file, body(whole).expose())
}

//! Outside OpenID Connect issuers whose tokens are to be accepted (`--oidc-config FILE`): what the file may say.
//!
//! A list, in YAML or JSON:
//!
//! ```yaml
//! - issuer: https://login.example.com
//!   audiences: [strongroom]
//!   jwks: {url: "https://login.example.com/keys"}   # or {file: keys.json}
//!   caFile: login-ca.crt          # who signs the certificate of `jwks.url`; without it, those the system trusts
//!   usernameClaim: email          # default: sub
//!   usernamePrefix: "corp:"       # default: oidc:   `-` is none
//!   groupsClaim: groups           # default: no groups
//!   groupsPrefix: "corp:"         # default: oidc:   `-` is none
//!   requiredClaims: {tenant: blue}
//! ```
//!
//! A field that is not known, or known twice, is an error that names it. What this never does: open a file, fetch a
//! key, or let a prefix lead into `system:`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::ConfigError;
use crate::codec::yaml;

const DEFAULT_USERNAME_CLAIM: &str = "sub";
const DEFAULT_PREFIX: &str = "oidc:";
const NO_PREFIX: &str = "-";
const RESERVED_PREFIX: &str = "system:";
const ISSUERS_MAX: usize = 64;
const FIELDS: [&str; 9] = [
    "issuer",
    "audiences",
    "jwks",
    "caFile",
    "usernameClaim",
    "usernamePrefix",
    "groupsClaim",
    "groupsPrefix",
    "requiredClaims",
];

/// One issuer, and what its tokens mean here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideIssuer {
    /// `iss`, byte for byte: an https URL without query or fragment (OpenID Connect Core 1.0, 2).
    pub issuer: String,
    /// A token's `aud` must hold one of these.
    pub audiences: Vec<String>,
    /// Where its public keys are (RFC 7517).
    pub keys: KeySource,
    /// Who signs the certificate of the server that the keys are fetched from, a PEM file; `None` leaves it to the
    /// system.
    pub authority_file: Option<PathBuf>,
    /// The claim that is the user's name.
    pub username: ClaimName,
    /// The claim that is the user's groups, a text or a list of texts; `None` gives no groups.
    pub groups: Option<ClaimName>,
    /// Claims that a token must have, with these values.
    pub required_claims: BTreeMap<String, String>,
}

/// Where a JSON Web Key Set is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// In a file of this machine; an absolute path if that of the configuration is.
    File(PathBuf),
    /// At an https URL.
    Url(String),
}

/// A claim, and what is put before its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimName {
    /// The claim.
    pub claim: String,
    /// The prefix, perhaps empty.
    pub prefix: String,
}

impl ClaimName {
    /// The name that a value of the claim stands for; `None` where that would be empty or in `system:`.
    #[must_use]
    pub fn name(&self, value: &str) -> Option<String> {
        let name = format!("{}{value}", self.prefix);
        (!value.is_empty() && !is_reserved(&name)).then_some(name)
    }
}

/// Reads the content of a file. `setting` is how errors call it; paths in it are relative to `folder`.
pub fn parse(setting: &str, content: &[u8], folder: &Path) -> Result<Vec<OutsideIssuer>, ConfigError> {
    let fail = |problem: String| ConfigError::new(setting, problem);
    let parsed = yaml::parse(content).map_err(|error| fail(error.to_string()))?;
    if let Some(duplicate) = parsed.duplicates.first() {
        return Err(fail(duplicate.to_string()));
    }
    let Value::Array(items) = parsed.value else { return Err(fail("give a list of issuers".to_owned())) };
    if items.len() > ISSUERS_MAX {
        return Err(fail(format!("give at most {ISSUERS_MAX} issuers")));
    }
    let mut seen = BTreeSet::new();
    let read = |(index, item): (usize, &Value)| {
        let issuer = Fields::of(item, format!("[{index}]"), &FIELDS).and_then(|fields| read_issuer(&fields, folder))?;
        if seen.insert(issuer.issuer.clone()) { Ok(issuer) } else { Err(format!("[{index}].issuer: is there twice")) }
    };
    items.iter().enumerate().map(read).collect::<Result<_, _>>().map_err(fail)
}

fn read_issuer(fields: &Fields<'_>, folder: &Path) -> Result<OutsideIssuer, String> {
    let issuer = fields.required("issuer")?;
    if !is_https(issuer) || issuer.contains('?') {
        return Err(fields.wrong("issuer", "give an https URL without user, query and fragment"));
    }
    let username = ClaimName {
        claim: fields.text("usernameClaim")?.unwrap_or(DEFAULT_USERNAME_CLAIM).to_owned(),
        prefix: fields.prefix("usernamePrefix")?,
    };
    let groups_prefix = fields.prefix("groupsPrefix")?;
    let groups = fields.text("groupsClaim")?;
    if groups.is_none() && fields.has("groupsPrefix") {
        return Err(fields.wrong("groupsPrefix", "needs groupsClaim beside it"));
    }
    Ok(OutsideIssuer {
        issuer: issuer.to_owned(),
        audiences: fields.audiences()?,
        keys: fields.keys(folder)?,
        authority_file: fields.text("caFile")?.map(|path| folder.join(path)),
        username,
        groups: groups.map(|claim| ClaimName { claim: claim.to_owned(), prefix: groups_prefix }),
        required_claims: fields.required_claims()?,
    })
}

/// The fields of one object and where it stands.
struct Fields<'a> {
    values: &'a Map<String, Value>,
    path: String,
}

impl<'a> Fields<'a> {
    fn of(value: &'a Value, path: String, known: &[&str]) -> Result<Self, String> {
        let Value::Object(values) = value else { return Err(format!("{path}: give an object")) };
        match values.keys().find(|key| !known.contains(&key.as_str())) {
            Some(unknown) => Err(format!("unknown field {path}.{unknown}: these are known: {}", known.join(", "))),
            None => Ok(Self { values, path }),
        }
    }

    fn wrong(&self, field: &str, problem: &str) -> String {
        format!("{}.{field}: {problem}", self.path)
    }

    /// Whether the field is set; null is not, as in Kubernetes.
    fn has(&self, field: &str) -> bool {
        self.value(field).is_some()
    }

    fn value(&self, field: &str) -> Option<&'a Value> {
        self.values.get(field).filter(|value| !value.is_null())
    }

    fn text(&self, field: &str) -> Result<Option<&'a str>, String> {
        match self.value(field) {
            None => Ok(None),
            Some(Value::String(text)) if is_plain(text) => Ok(Some(text)),
            Some(_) => Err(self.wrong(field, "give a text that is not empty")),
        }
    }

    fn required(&self, field: &str) -> Result<&'a str, String> {
        self.text(field)?.ok_or_else(|| self.wrong(field, "is required"))
    }

    /// A prefix is refused where some value of the claim would complete it to `system:`, or it is that already. With no
    /// prefix at all values stand for themselves, and [`ClaimName::name`] refuses those.
    fn prefix(&self, field: &str) -> Result<String, String> {
        let prefix = match self.text(field)? {
            None => DEFAULT_PREFIX,
            Some(NO_PREFIX) => "",
            Some(prefix) => prefix,
        };
        let lower = prefix.to_ascii_lowercase();
        if !lower.is_empty() && (lower.starts_with(RESERVED_PREFIX) || RESERVED_PREFIX.starts_with(&lower)) {
            return Err(self.wrong(field, "leads to names in system:, which are the system's own"));
        }
        Ok(prefix.to_owned())
    }

    fn audiences(&self) -> Result<Vec<String>, String> {
        let wrong = || self.wrong("audiences", "give a list of at least one audience");
        let Some(Value::Array(items)) = self.value("audiences") else { return Err(wrong()) };
        let text = |item: &Value| item.as_str().filter(|text| is_plain(text)).map(str::to_owned).ok_or_else(wrong);
        let audiences: Vec<String> = items.iter().map(text).collect::<Result<_, _>>()?;
        if audiences.is_empty() { Err(wrong()) } else { Ok(audiences) }
    }

    fn keys(&self, folder: &Path) -> Result<KeySource, String> {
        let path = format!("{}.jwks", self.path);
        let Some(value) = self.value("jwks") else { return Err(format!("{path}: is required")) };
        let source = Fields::of(value, path, &["file", "url"])?;
        match (source.text("file")?, source.text("url")?) {
            (Some(file), None) if self.has("caFile") => {
                Err(self.wrong("caFile", &format!("is of no use with jwks.file ({file})")))
            }
            (Some(file), None) => Ok(KeySource::File(folder.join(file))),
            (None, Some(url)) if is_https(url) => Ok(KeySource::Url(url.to_owned())),
            (None, Some(_)) => Err(source.wrong("url", "give an https URL without user and fragment")),
            _ => Err(self.wrong("jwks", "give either file or url")),
        }
    }

    fn required_claims(&self) -> Result<BTreeMap<String, String>, String> {
        let wrong = || self.wrong("requiredClaims", "give texts by name of claim");
        let claims = match self.value("requiredClaims") {
            None => return Ok(BTreeMap::new()),
            Some(Value::Object(claims)) => claims,
            Some(_) => return Err(wrong()),
        };
        let claim = |(name, value): (&String, &Value)| match value.as_str().filter(|_| is_plain(name)) {
            Some(text) => Ok((name.clone(), text.to_owned())),
            None => Err(wrong()),
        };
        claims.iter().map(claim).collect()
    }
}

fn is_plain(text: &str) -> bool {
    !text.trim().is_empty() && !text.chars().any(char::is_control)
}

fn is_reserved(name: &str) -> bool {
    name.get(..RESERVED_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED_PREFIX))
}

fn is_https(text: &str) -> bool {
    let Ok(uri) = text.parse::<http::Uri>() else { return false };
    let has_host =
        uri.authority().is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    uri.scheme_str() == Some("https") && has_host && !text.contains('#')
}

#[cfg(test)]
#[path = "outside_issuers_tests.rs"]
mod tests;

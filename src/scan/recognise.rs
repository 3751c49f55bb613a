//! What a value is, by its form: a key, a token, a login. A guess that a person makes at a glance, and says nothing of what
//! the value opens.
//!
//! What it never does: show a piece of the value, but for names that stand in it: hosts, users, dates.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::pki::{CertificateFacts, read_blocks};
use crate::sensitive::Document;

/// Names that are shown of one value.
const NAMES_MAX: usize = 3;
/// Tokens whose makers gave them a beginning, so that they are found.
const PREFIXES: &[(&str, &str)] = &[
    ("ghp_", "GitHub token"),
    ("gho_", "GitHub token"),
    ("ghs_", "GitHub token"),
    ("github_pat_", "GitHub token"),
    ("glpat-", "GitLab token"),
    ("xoxb-", "Slack token"),
    ("xoxp-", "Slack token"),
    ("sk_live_", "Stripe key"),
    ("rk_live_", "Stripe key"),
    ("AIza", "Google API key"),
    ("npm_", "npm token"),
    ("hvs.", "Vault token"),
    ("sr_", "Strongroom token"),
    ("AGE-SECRET-KEY-1", "age identity (a private key)"),
    ("PuTTY-User-Key-File", "SSH private key (PuTTY)"),
];
const PUBLIC_SSH: &[&str] = &["ssh-rsa ", "ssh-ed25519 ", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"];

/// A few words on what it is.
#[must_use]
pub fn recognise(value: &[u8]) -> String {
    if value.is_empty() {
        return "empty".to_owned();
    }
    let text = std::str::from_utf8(value)
        .ok()
        .filter(|text| !text.contains(|c: char| c.is_control() && !"\t\r\n".contains(c)));
    let Some(text) = text else { return binary(value).to_owned() };
    of_text(text, true)
}

fn binary(value: &[u8]) -> &'static str {
    match value {
        [0x1f, 0x8b, ..] => "compressed data (gzip)",
        [0xfe, 0xed, 0xfe, 0xed, ..] => "Java key store",
        // A SEQUENCE with a long length: X.509, PKCS #8 and PKCS #12 all begin so.
        [0x30, 0x82, ..] => "DER: a certificate, a key or a key store",
        _ => "binary",
    }
}

fn of_text(text: &str, looks_deeper: bool) -> String {
    let trimmed = text.trim();
    pem(text)
        .or_else(|| jwt(trimmed))
        .or_else(|| token(trimmed).map(str::to_owned))
        .or_else(|| json(trimmed))
        .or_else(|| PUBLIC_SSH.iter().any(|prefix| trimmed.starts_with(prefix)).then(|| "SSH public key".to_owned()))
        .or_else(|| kubeconfig(text))
        .or_else(|| url(trimmed))
        .or_else(|| password_file(trimmed))
        .or_else(|| identifier(trimmed))
        .or_else(|| looks_deeper.then(|| base64_once_more(trimmed)).flatten())
        .unwrap_or_else(|| match trimmed.lines().count() {
            0 => "blank".to_owned(),
            1 => "text".to_owned(),
            lines => format!("text of {lines} lines"),
        })
}

#[expect(clippy::disallowed_methods, reason = "certificates are public; of other blocks only the label counts")]
fn pem(text: &str) -> Option<String> {
    if !text.contains("-----BEGIN ") {
        return None;
    }
    let mut found = Vec::new();
    for block in read_blocks(text.as_bytes()) {
        found.push(match block.label.as_str() {
            "PRIVATE KEY" => "private key (PKCS #8)".to_owned(),
            "RSA PRIVATE KEY" => "private key (RSA)".to_owned(),
            "EC PRIVATE KEY" => "private key (EC)".to_owned(),
            "OPENSSH PRIVATE KEY" => "SSH private key".to_owned(),
            "ENCRYPTED PRIVATE KEY" => "private key, encrypted with a passphrase".to_owned(),
            "CERTIFICATE" => certificate(block.bytes.expose()),
            label => label.to_lowercase(),
        });
    }
    found.dedup();
    (!found.is_empty()).then(|| found.join(", "))
}

fn certificate(der: &[u8]) -> String {
    let Ok(facts) = CertificateFacts::read(der) else { return "certificate that cannot be read".to_owned() };
    let names: Vec<String> =
        facts.names.dns.iter().cloned().chain(facts.names.addresses.iter().map(ToString::to_string)).collect();
    let what = if facts.is_authority { "certificate authority" } else { "certificate" };
    let names = if names.is_empty() { String::new() } else { format!(" for {}", few(&names)) };
    let until = jiff::Timestamp::from_second(facts.not_after).map(|time| format!(", until {time}")).unwrap_or_default();
    format!("{what}{names}{until}")
}

/// The first names, and how many more there are.
fn few(names: &[String]) -> String {
    let shown = names.iter().take(NAMES_MAX).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// RFC 7519.
fn jwt(text: &str) -> Option<String> {
    let mut parts = text.split('.');
    let (header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || !text.starts_with("eyJ") {
        return None;
    }
    let read = |part: &str| {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(part).ok()?);
        serde_json::from_slice::<Value>(&bytes).ok().map(Document::new)
    };
    let (header, claims) = (read(header)?, read(claims)?);
    #[expect(clippy::disallowed_methods, reason = "who signed it and when it ends is told")]
    let (header, claims) = (header.expose(), claims.expose());
    header.get("alg")?;
    let issuer = claims.get("iss").and_then(Value::as_str).map(|iss| format!(" of {iss}")).unwrap_or_default();
    let ends = claims.get("exp").and_then(Value::as_i64).and_then(|exp| jiff::Timestamp::from_second(exp).ok());
    let ends = ends.map_or_else(|| ", without an end".to_owned(), |time| format!(", until {time}"));
    Some(format!("JSON web token{issuer}{ends}"))
}

fn token(text: &str) -> Option<&'static str> {
    if text.contains('\n') && !text.starts_with("PuTTY") {
        return None;
    }
    let is_aws = |prefix: &str| {
        text.len() == 20
            && text.starts_with(prefix)
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    if is_aws("AKIA") || is_aws("ASIA") {
        return Some("AWS access key id");
    }
    // The other half of it: forty characters of base64 that are not hexadecimal.
    let is_aws_secret = text.len() == 40
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
        && text.bytes().any(|byte| byte.is_ascii_uppercase())
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().any(|byte| b"+/".contains(&byte));
    if is_aws_secret {
        return Some("perhaps an AWS secret access key");
    }
    let is_long_enough = |prefix: &str| text.len() >= prefix.len() + 12;
    PREFIXES.iter().find(|(prefix, _)| text.starts_with(prefix) && is_long_enough(prefix)).map(|(_, what)| *what)
}

fn json(text: &str) -> Option<String> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let document = Document::new(serde_json::from_str(text).ok()?);
    #[expect(clippy::disallowed_methods, reason = "hosts, users and fields are told, and no value")]
    let value = document.expose();
    if let Some(hosts) = value.get("auths").and_then(Value::as_object) {
        return Some(registries(hosts));
    }
    if value.get("type").is_some_and(|kind| kind == "service_account") && value.get("private_key").is_some() {
        let who = value.get("client_email").and_then(Value::as_str).unwrap_or_default();
        return Some(format!("Google service account key of {who}"));
    }
    if value.get("clusters").is_some() && value.get("users").is_some() {
        return Some("kubeconfig".to_owned());
    }
    if value.get("kty").is_some() {
        return Some(
            if value.get("d").or_else(|| value.get("k")).is_some() {
                "JSON web key, private"
            } else {
                "JSON web key, public"
            }
            .to_owned(),
        );
    }
    let is_registries = |fields: &serde_json::Map<String, Value>| {
        !fields.is_empty()
            && fields.values().all(|login| login.get("auth").is_some() || login.get("password").is_some())
    };
    Some(match value.as_object() {
        // A .dockercfg, which is older.
        Some(fields) if is_registries(fields) => registries(fields),
        Some(fields) => format!("JSON, {} fields", fields.len()),
        None => "JSON".to_owned(),
    })
}

/// Logins of a Docker configuration: who, and where.
fn registries(hosts: &serde_json::Map<String, Value>) -> String {
    let user = |login: &Value| {
        if let Some(user) = login.get("username").and_then(Value::as_str) {
            return user.to_owned();
        }
        let auth = login.get("auth").and_then(Value::as_str).unwrap_or_default();
        let decoded = Zeroizing::new(STANDARD.decode(auth).unwrap_or_default());
        let text = std::str::from_utf8(&decoded).unwrap_or_default();
        text.split_once(':').map_or_else(|| "somebody".to_owned(), |(user, _)| user.to_owned())
    };
    let logins: Vec<String> = hosts.iter().map(|(host, login)| format!("{} at {host}", user(login))).collect();
    if logins.is_empty() { "registry logins: none".to_owned() } else { format!("registry logins: {}", few(&logins)) }
}

fn kubeconfig(text: &str) -> Option<String> {
    let has = |field: &str| text.lines().any(|line| line.starts_with(field));
    (has("clusters:") && has("users:")).then(|| "kubeconfig".to_owned())
}

/// RFC 3986, with a password in it.
fn url(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme =
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !is_scheme || text.contains(char::is_whitespace) {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((login, host)) = authority.rsplit_once('@') else { return Some(format!("URL ({scheme})")) };
    match login.split_once(':') {
        Some((user, password)) if !password.is_empty() => {
            Some(format!("URL ({scheme}) with the password of {user} at {host}"))
        }
        _ => Some(format!("URL ({scheme})")),
    }
}

/// htpasswd(1), and crypt(5) alone.
fn password_file(text: &str) -> Option<String> {
    let hash = |text: &str| {
        ["$2y$", "$2a$", "$2b$", "$apr1$", "$6$", "$5$", "$argon2", "{SHA}"].iter().any(|p| text.starts_with(p))
    };
    if hash(text) {
        return Some("password hash".to_owned());
    }
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let users: Option<Vec<String>> = lines
        .iter()
        .map(|line| line.split_once(':').filter(|(_, rest)| hash(rest)).map(|(user, _)| user.to_owned()))
        .collect();
    users.filter(|users| !users.is_empty()).map(|users| format!("password hashes of {}", few(&users)))
}

fn identifier(text: &str) -> Option<String> {
    if uuid::Uuid::try_parse(text).is_ok() && text.len() == 36 {
        return Some("UUID".to_owned());
    }
    let is_hex = text.len() >= 32 && text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| format!("{} bytes in hexadecimal", text.len() / 2))
}

/// A value that somebody encoded before Kubernetes did.
fn base64_once_more(text: &str) -> Option<String> {
    if text.len() < 16 || !text.len().is_multiple_of(4) {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(text).ok()?);
    let inner = std::str::from_utf8(&decoded).ok()?;
    let is_text = !inner.contains(|c: char| c.is_control() && !"\t\r\n".contains(c));
    is_text.then(|| format!("base64 once more, of: {}", of_text(inner, false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_told_by_its_form() {
        let claims = |json: &str| format!("eyJhbGciOiJFUzI1NiJ9.{}.c2ln", URL_SAFE_NO_PAD.encode(json));
        for (value, expected) in [
            (String::new(), "empty"),
            ("hunter2".to_owned(), "text"),
            ("a\nb\nc\n".to_owned(), "text of 3 lines"),
            (" \n".to_owned(), "blank"),
            (
                claims(r#"{"iss":"https://i.example","exp":1790000000}"#),
                "JSON web token of https://i.example, until 2026-09-21T14:13:20Z",
            ),
            (claims("{}"), "JSON web token, without an end"),
            ("eyJ.eyJ.x".to_owned(), "text"),
            ("AKIAIOSFODNN7EXAMPLE".to_owned(), "AWS access key id"),
            ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1"[..40].to_owned(), "perhaps an AWS secret access key"),
            (format!("ghp_{}", "x".repeat(36)), "GitHub token"),
            (
                r#"{"auths":{"ghcr.io":{"auth":"YWRhOnB3"},"docker.io":{"username":"eve","password":"p"}}}"#.to_owned(),
                "registry logins: ada at ghcr.io, eve at docker.io",
            ),
            (r#"{"ghcr.io":{"auth":"YWRhOnB3"}}"#.to_owned(), "registry logins: ada at ghcr.io"),
            (r#"{"a":1,"b":2}"#.to_owned(), "JSON, 2 fields"),
            ("{not json".to_owned(), "text"),
            ("apiVersion: v1\nclusters:\n- x\nusers:\n- y\n".to_owned(), "kubeconfig"),
            ("postgres://ada:pw@db:5432/shop?x=y".to_owned(), "URL (postgres) with the password of ada at db:5432"),
            ("https://example.com/a@b".to_owned(), "URL (https)"),
            ("ada:$2y$05$abc\neve:$2y$05$def\n".to_owned(), "password hashes of ada, eve"),
            ("2f1c0d5e-0f4b-4c7e-9b1e-0a1b2c3d4e5f".to_owned(), "UUID"),
            ("ab".repeat(16), "16 bytes in hexadecimal"),
            (STANDARD.encode("a sentence of words"), "base64 once more, of: text"),
            ("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n".to_owned(), "private key (EC)"),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
                "certificate that cannot be read",
            ),
            ("ssh-ed25519 AAAA me".to_owned(), "SSH public key"),
        ] {
            assert_eq!(recognise(value.as_bytes()), expected, "{value}");
        }
        assert_eq!(recognise(&[0x1f, 0x8b, 8, 0]), "compressed data (gzip)");
        assert_eq!(recognise(b"a\0b"), "binary");
    }

    #[test]
    fn a_certificate_is_told_with_its_names_and_its_end() {
        let mut names =
            crate::pki::Names { dns: ["a.example", "b.example"].map(str::to_owned).into(), ..Default::default() };
        names.dns.extend(["c.example", "d.example"].map(str::to_owned));
        let made = crate::pki::make_self_signed(crate::pki::KeyKind::P256, &names, 1_790_000_000, 0).unwrap();
        assert_eq!(
            recognise(made.certificate.as_bytes()),
            "certificate for a.example, b.example, c.example and 1 more, until 2026-09-21T14:13:20Z"
        );
    }
}

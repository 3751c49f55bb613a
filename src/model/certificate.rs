//! What a Certificate asks for, read into types. The rules are those of cert-manager's kind of this name, as far as
//! there is something to it here.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::duration::{LENGTH_OF_TIME, go_duration};
use super::field_error::FieldError;
use super::secret_owner::check_request;
use super::secret_sync::read::{annotations, labels};
use super::validation::{list, names, text};

const DURATION: Duration = Duration::from_hours(2160);
const DURATION_MIN: Duration = Duration::from_mins(10);
/// Ten years.
const DURATION_MAX: Duration = Duration::from_hours(24 * 3650);
const RENEW_BEFORE_MIN: Duration = Duration::from_mins(1);
/// Names of one kind.
const NAMES_MAX: usize = 100;
/// RFC 5280, upper bound of a common name.
const COMMON_NAME_MAX: usize = 64;
const URI_MAX_BYTES: usize = 2_048;

/// The family of a private key, and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// RSA of so many bits.
    Rsa(u16),
    /// ECDSA on NIST's curve of so many bits.
    Ecdsa(u16),
    /// Ed25519
    Ed25519,
}

/// What a key may be used for, in cert-manager's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Usage {
    /// `digital signature`, `signing`
    DigitalSignature,
    /// `content commitment`
    ContentCommitment,
    /// `key encipherment`
    KeyEncipherment,
    /// `data encipherment`
    DataEncipherment,
    /// `key agreement`
    KeyAgreement,
    /// `cert sign`
    CertSign,
    /// `crl sign`
    CrlSign,
    /// `any`
    Any,
    /// `server auth`
    ServerAuth,
    /// `client auth`
    ClientAuth,
    /// `code signing`
    CodeSigning,
    /// `email protection`, `s/mime`
    EmailProtection,
    /// `timestamping`
    TimeStamping,
    /// `ocsp signing`
    OcspSigning,
}

/// The words of usages.
pub const USAGES: [&str; 16] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "digital signature",
    "email protection",
    "key agreement",
    "key encipherment",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

impl Usage {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "digital signature" | "signing" => Self::DigitalSignature,
            "content commitment" => Self::ContentCommitment,
            "key encipherment" => Self::KeyEncipherment,
            "data encipherment" => Self::DataEncipherment,
            "key agreement" => Self::KeyAgreement,
            "cert sign" => Self::CertSign,
            "crl sign" => Self::CrlSign,
            "any" => Self::Any,
            "server auth" => Self::ServerAuth,
            "client auth" => Self::ClientAuth,
            "code signing" => Self::CodeSigning,
            "email protection" | "s/mime" => Self::EmailProtection,
            "timestamping" => Self::TimeStamping,
            "ocsp signing" => Self::OcspSigning,
            _ => return None,
        })
    }
}

/// The words of `privateKey.algorithm`.
pub const ALGORITHMS: [&str; 3] = ["ECDSA", "Ed25519", "RSA"];
/// The words of `privateKey.rotationPolicy`.
pub const ROTATION_POLICIES: [&str; 2] = ["Always", "Never"];
/// The words of `issuerRef.kind`.
pub const ISSUERS: [&str; 2] = ["Room", "Secret"];

/// Who signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issuer {
    /// The room's own authority for workloads.
    Room,
    /// The certificate and key in the Secret of this name.
    Secret(String),
}

/// Labels and annotations of the Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretTemplate {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

impl SecretTemplate {
    pub(super) fn parse(spec: &Value, errors: &mut Vec<FieldError>) -> Self {
        let template = spec.get("secretTemplate").unwrap_or(&Value::Null);
        let path = "spec.secretTemplate";
        Self { labels: labels(template, path, errors), annotations: annotations(template, path, errors) }
    }
}

/// `spec` of a Certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The Secret that gets it.
    pub secret_name: String,
    /// Common name, or empty.
    pub common_name: String,
    /// DNS names, lower case.
    pub dns_names: Vec<String>,
    /// Addresses.
    pub ip_addresses: Vec<IpAddr>,
    /// URIs.
    pub uris: Vec<String>,
    /// How long it is valid.
    pub duration: Duration,
    /// How long before its end it is renewed; `None`: a third of its life.
    pub renew_before: Option<Duration>,
    /// Its private key.
    pub key: Key,
    /// Whether the key stays.
    pub keeps_key: bool,
    /// What the key may be used for; at least one thing.
    pub usages: Vec<Usage>,
    /// Whether it may sign others.
    pub is_authority: bool,
    /// Who signs it.
    pub issuer: Issuer,
    /// Labels and annotations of the Secret.
    pub template: SecretTemplate,
}

impl Spec {
    /// Reads `spec` of a Certificate.
    pub fn parse(object: &Value) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let errors_mut = &mut errors;
        let spec = object.get("spec").unwrap_or(&Value::Null);
        check_request(object, errors_mut);
        let secret_name = secret_name(spec, errors_mut);
        let common_name = text(spec, "commonName").to_owned();
        if common_name.chars().count() > COMMON_NAME_MAX {
            let detail = format!("must be no more than {COMMON_NAME_MAX} characters");
            errors_mut.push(FieldError::invalid("spec.commonName", &common_name, detail));
        } else if common_name.chars().any(char::is_control) {
            errors_mut.push(FieldError::invalid("spec.commonName", &common_name, "must be printable"));
        }
        let dns_names = each(spec, "dnsNames", errors_mut, dns_name);
        let ip_addresses = each(spec, "ipAddresses", errors_mut, |text| {
            text.parse::<IpAddr>().map_err(|_| "must be an IP address, such as 10.0.0.1 or 2001:db8::1")
        });
        let uris = each(spec, "uris", errors_mut, uri);
        if common_name.is_empty() && dns_names.is_empty() && ip_addresses.is_empty() && uris.is_empty() {
            let detail = "one of commonName, dnsNames, ipAddresses and uris must be given";
            errors_mut.push(FieldError::required("spec", detail));
        }
        let duration = length(spec, "duration", DURATION_MIN, errors_mut).unwrap_or(DURATION);
        let renew_before = length(spec, "renewBefore", RENEW_BEFORE_MIN, errors_mut);
        // A certificate that is due as soon as it is there would be renewed without end.
        if renew_before.is_some_and(|renew_before| renew_before > duration / 10 * 9) {
            let detail = "must be at most nine tenths of the duration";
            errors_mut.push(FieldError::invalid("spec.renewBefore", text(spec, "renewBefore"), detail));
        }
        let (key, keeps_key) = private_key(spec, errors_mut);
        let is_authority = spec.get("isCA").and_then(Value::as_bool).unwrap_or_default();
        let usages = usages(spec, key, is_authority, errors_mut);
        let issuer = issuer(spec, errors_mut);
        if matches!(&issuer, Issuer::Secret(name) if *name == secret_name) {
            errors_mut.push(FieldError::forbidden("spec.issuerRef.name", "a certificate does not sign itself"));
        }
        let template = SecretTemplate::parse(spec, errors_mut);
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            secret_name,
            common_name,
            dns_names,
            ip_addresses,
            uris,
            duration,
            renew_before,
            key,
            keeps_key,
            usages,
            is_authority,
            issuer,
            template,
        })
    }

    /// What a certificate must have been issued for to be as it is asked for: another text, another certificate.
    #[must_use]
    pub fn wish(&self) -> String {
        json!([
            self.common_name,
            self.dns_names,
            self.ip_addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>(),
            self.uris,
            self.duration.as_secs(),
            format!("{:?}", self.key),
            self.usages.iter().map(|usage| format!("{usage:?}")).collect::<Vec<_>>(),
            self.is_authority,
            format!("{:?}", self.issuer),
        ])
        .to_string()
    }
}

/// `spec.secretName`
pub(super) fn secret_name(spec: &Value, errors: &mut Vec<FieldError>) -> String {
    let name = text(spec, "secretName");
    if name.is_empty() {
        errors.push(FieldError::required("spec.secretName", ""));
    }
    for problem in names::dns1123_subdomain(name).into_iter().filter(|_| !name.is_empty()) {
        errors.push(FieldError::invalid("spec.secretName", name, problem));
    }
    name.to_owned()
}

fn each<T>(
    spec: &Value,
    field: &str,
    errors: &mut Vec<FieldError>,
    read: impl Fn(&str) -> Result<T, &'static str>,
) -> Vec<T> {
    let listed = list(spec, field);
    if listed.len() > NAMES_MAX {
        errors.push(FieldError::too_many(format!("spec.{field}"), listed.len(), NAMES_MAX));
    }
    let mut found = Vec::new();
    for (at, item) in listed.iter().take(NAMES_MAX).enumerate() {
        let item = item.as_str().unwrap_or_default();
        match read(item) {
            Ok(value) => found.push(value),
            Err(detail) => errors.push(FieldError::invalid(format!("spec.{field}[{at}]"), item, detail)),
        }
    }
    found
}

fn dns_name(text: &str) -> Result<String, &'static str> {
    let lower = text.to_ascii_lowercase();
    let host = lower.strip_prefix("*.").unwrap_or(&lower);
    if !names::dns1123_subdomain(host).is_empty() {
        return Err("must be a DNS name, whose first label can be *");
    }
    if host.parse::<IpAddr>().is_ok() {
        return Err("is an address: it belongs to ipAddresses");
    }
    Ok(lower)
}

/// RFC 3986, as far as a certificate needs it: a scheme and something behind it, in ASCII without spaces.
fn uri(text: &str) -> Result<String, &'static str> {
    let (scheme, rest) = text.split_once(':').unwrap_or_default();
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let is_uri = is_scheme && !rest.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_uri || text.len() > URI_MAX_BYTES {
        return Err("must be a URI with its scheme, such as spiffe://example.com/web");
    }
    Ok(text.to_owned())
}

/// A length of time of a spec, in its bounds.
pub(super) fn length(
    spec: &Value,
    field: &'static str,
    min: Duration,
    errors: &mut Vec<FieldError>,
) -> Option<Duration> {
    let text = Some(text(spec, field)).filter(|text| !text.is_empty())?;
    let path = format!("spec.{field}");
    match go_duration(text) {
        Some(length) if length < min => {
            errors.push(FieldError::invalid(path, text, format!("must be at least {}m", min.as_secs() / 60)));
            None
        }
        Some(length) if length > DURATION_MAX => {
            let detail = format!("must be at most {}h", DURATION_MAX.as_secs() / 3_600);
            errors.push(FieldError::invalid(path, text, detail));
            None
        }
        Some(length) => Some(length),
        None => {
            errors.push(FieldError::invalid(path, text, LENGTH_OF_TIME));
            None
        }
    }
}

fn private_key(spec: &Value, errors: &mut Vec<FieldError>) -> (Key, bool) {
    let key = spec.get("privateKey").unwrap_or(&Value::Null);
    let size = key.get("size").and_then(Value::as_i64);
    let mut sized = |sizes: [u16; 3], default: u16, supported: &[&str]| -> u16 {
        let Some(size) = size else { return default };
        let found = sizes.into_iter().find(|allowed| i64::from(*allowed) == size);
        found.unwrap_or_else(|| {
            errors.push(FieldError::not_supported_raw("spec.privateKey.size", size.to_string(), supported));
            default
        })
    };
    let algorithm = match text(key, "algorithm") {
        "" | "ECDSA" => Key::Ecdsa(sized([256, 384, 521], 256, &["256", "384", "521"])),
        "RSA" => Key::Rsa(sized([2048, 3072, 4096], 2048, &["2048", "3072", "4096"])),
        "Ed25519" => {
            if let Some(size) = size {
                let detail = "a key of Ed25519 has one size only";
                errors.push(FieldError::invalid_raw("spec.privateKey.size", size.to_string(), detail));
            }
            Key::Ed25519
        }
        other => {
            errors.push(FieldError::not_supported("spec.privateKey.algorithm", other, &ALGORITHMS));
            Key::Ed25519
        }
    };
    let policy = text(key, "rotationPolicy");
    if !policy.is_empty() && !ROTATION_POLICIES.contains(&policy) {
        errors.push(FieldError::not_supported("spec.privateKey.rotationPolicy", policy, &ROTATION_POLICIES));
    }
    (algorithm, policy == "Never")
}

fn usages(spec: &Value, key: Key, is_authority: bool, errors: &mut Vec<FieldError>) -> Vec<Usage> {
    let mut usages = Vec::new();
    for (at, word) in list(spec, "usages").iter().take(NAMES_MAX).enumerate() {
        let word = word.as_str().unwrap_or_default();
        match Usage::parse(word) {
            Some(usage) => usages.push(usage),
            None => errors.push(FieldError::not_supported(format!("spec.usages[{at}]"), word, &USAGES)),
        }
    }
    if usages.is_empty() && !is_authority {
        usages.extend([Usage::DigitalSignature, Usage::ServerAuth]);
        // What a key of another family cannot do.
        if matches!(key, Key::Rsa(_)) {
            usages.push(Usage::KeyEncipherment);
        }
    }
    if usages.contains(&Usage::CertSign) && !is_authority {
        errors.push(FieldError::forbidden("spec.usages", "only an authority signs certificates: set isCA"));
    }
    if is_authority {
        usages.extend([Usage::CertSign, Usage::CrlSign, Usage::DigitalSignature]);
    }
    usages.sort_unstable();
    usages.dedup();
    usages
}

fn issuer(spec: &Value, errors: &mut Vec<FieldError>) -> Issuer {
    let reference = spec.get("issuerRef").unwrap_or(&Value::Null);
    let name = text(reference, "name");
    match text(reference, "kind") {
        "" | "Room" => {
            if !name.is_empty() {
                errors.push(FieldError::forbidden("spec.issuerRef.name", "the room has one authority, without a name"));
            }
            Issuer::Room
        }
        "Secret" => {
            if name.is_empty() {
                errors.push(FieldError::required("spec.issuerRef.name", ""));
            }
            for problem in names::dns1123_subdomain(name).into_iter().filter(|_| !name.is_empty()) {
                errors.push(FieldError::invalid("spec.issuerRef.name", name, problem));
            }
            Issuer::Secret(name.to_owned())
        }
        other => {
            errors.push(FieldError::not_supported("spec.issuerRef.kind", other, &ISSUERS));
            Issuer::Room
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(spec: &Value) -> Result<Spec, Vec<FieldError>> {
        Spec::parse(&json!({"metadata": {"name": "web"}, "spec": spec}))
    }

    fn fields(spec: &Value) -> Vec<String> {
        parse(spec).err().unwrap_or_default().into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn what_is_not_said_is_as_in_the_description() {
        let spec = parse(&json!({"secretName": "web-tls", "dnsNames": ["Web.Example"]})).unwrap();
        assert_eq!(spec.dns_names, ["web.example"]);
        assert_eq!((spec.duration.as_secs(), spec.renew_before), (7_776_000, None));
        assert_eq!((spec.key, spec.keeps_key, spec.is_authority), (Key::Ecdsa(256), false, false));
        assert_eq!(spec.usages, [Usage::DigitalSignature, Usage::ServerAuth]);
        assert_eq!(spec.issuer, Issuer::Room);
        let rsa = json!({"secretName": "a", "commonName": "a", "privateKey": {"algorithm": "RSA", "rotationPolicy": "Never"}});
        let rsa = parse(&rsa).unwrap();
        assert_eq!((rsa.key, rsa.keeps_key), (Key::Rsa(2048), true));
        assert!(rsa.usages.contains(&Usage::KeyEncipherment));
        let authority = parse(&json!({"secretName": "a", "commonName": "a", "isCA": true})).unwrap();
        assert_eq!(authority.usages, [Usage::DigitalSignature, Usage::CertSign, Usage::CrlSign]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(fields(&json!({})), ["spec.secretName", "spec"]);
        let wrong = json!({
            "secretName": "A", "commonName": "x".repeat(65),
            "dnsNames": ["ok.example", "a b", "10.0.0.1", "*.*.example", ""], "ipAddresses": ["10.0.0"],
            "uris": ["no-scheme", "http:", "spiffe://example.com/web"],
            "duration": "5m", "renewBefore": "soon", "privateKey": {"algorithm": "DSA", "rotationPolicy": "Sometimes"},
            "usages": ["server auth", "cert sign", "flying"], "issuerRef": {"kind": "ClusterIssuer"},
            "secretTemplate": {"labels": {"a": "_"}, "annotations": {"strongroom.dev/issued-by": "me"}},
        });
        assert_eq!(
            fields(&wrong),
            [
                "spec.secretName",
                "spec.commonName",
                "spec.dnsNames[1]",
                "spec.dnsNames[2]",
                "spec.dnsNames[3]",
                "spec.dnsNames[4]",
                "spec.ipAddresses[0]",
                "spec.uris[0]",
                "spec.uris[1]",
                "spec.duration",
                "spec.renewBefore",
                "spec.privateKey.algorithm",
                "spec.privateKey.rotationPolicy",
                "spec.usages[2]",
                "spec.usages",
                "spec.issuerRef.kind",
                "spec.secretTemplate.labels[a]",
                "spec.secretTemplate.annotations[strongroom.dev/issued-by]",
            ]
        );
        let own = |more: Value| {
            let mut spec = json!({"secretName": "a", "commonName": "a"});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            fields(&spec)
        };
        assert_eq!(own(json!({"duration": "1h", "renewBefore": "55m"})), ["spec.renewBefore"]);
        assert_eq!(own(json!({"duration": "1h", "renewBefore": "54m"})), [""; 0]);
        assert_eq!(own(json!({"duration": "87601h"})), ["spec.duration"]);
        assert_eq!(own(json!({"issuerRef": {"kind": "Secret"}})), ["spec.issuerRef.name"]);
        assert_eq!(own(json!({"issuerRef": {"kind": "Secret", "name": "a"}})), ["spec.issuerRef.name"]);
        assert_eq!(own(json!({"issuerRef": {"name": "a"}})), ["spec.issuerRef.name"]);
        assert_eq!(own(json!({"privateKey": {"size": 2048}})), ["spec.privateKey.size"]);
        assert_eq!(own(json!({"privateKey": {"algorithm": "Ed25519", "size": 256}})), ["spec.privateKey.size"]);
        let long = json!({
            "metadata": {"annotations": {"strongroom.dev/rotate-now": "x".repeat(254)}},
            "spec": {"secretName": "a", "commonName": "a"},
        });
        let errors = Spec::parse(&long).unwrap_err();
        assert_eq!(errors[0].field, "metadata.annotations[strongroom.dev/rotate-now]");
    }

    #[test]
    fn a_wish_is_about_the_certificate_alone() {
        let wish = |more: Value| {
            let mut spec = json!({"secretName": "a", "commonName": "a"});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            parse(&spec).unwrap().wish()
        };
        let plain = wish(json!({}));
        for same in [
            json!({"secretName": "b"}),
            json!({"renewBefore": "2m"}),
            json!({"duration": "2160h"}),
            json!({"secretTemplate": {"labels": {"a": "b"}}}),
            json!({"privateKey": {"rotationPolicy": "Never"}}),
            json!({"issuerRef": {"kind": "Room"}}),
        ] {
            assert_eq!(wish(same.clone()), plain, "{same}");
        }
        for other in [
            json!({"commonName": "b"}),
            json!({"dnsNames": ["b"]}),
            json!({"duration": "2161h"}),
            json!({"isCA": true}),
            json!({"privateKey": {"size": 384}}),
            json!({"issuerRef": {"kind": "Secret", "name": "ca"}}),
            json!({"usages": ["client auth"]}),
        ] {
            assert_ne!(wish(other.clone()), plain, "{other}");
        }
    }
}

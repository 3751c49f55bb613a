//! What texts must look like beyond being texts, field by field: the grammars of `model::validation` as patterns.
//!
//! What the server returns always fits. Of what it takes, parameters leave out some odd forms, and lists the `null`
//! for which Go reads a zero value. Patterns keep to what ECMA 262 and Python read alike.

use crate::model::certificate::{ALGORITHMS, ISSUERS, ROTATION_POLICIES, USAGES};
use crate::model::generated_secret::GENERATORS;
use crate::model::kinds::Kind;
use crate::model::schema::Field;
use crate::model::validation::metadata::FIELD_MANAGER_MAX_BYTES;
use crate::model::validation::name_rule;
use crate::model::validation::names::NameRule;
use crate::pki::client::{CLIENT_MAX_TTL_SECONDS, CLIENT_MIN_TTL_SECONDS, SERIAL_TEXT_MAX_BYTES};

/// The formats of exports, in the order of the alphabet.
const FORMATS: [&str; 10] =
    ["docker-env", "dotenv", "external-secret", "json", "pod", "sealedsecret", "shell", "sops", "systemd-env", "yaml"];

macro_rules! dns_label {
    () => {
        "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    };
}
macro_rules! subdomain {
    () => {
        concat!(dns_label!(), "(\\.", dns_label!(), ")*")
    };
}
macro_rules! qualified_part {
    () => {
        "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
    };
}
macro_rules! label_key {
    () => {
        concat!("(", subdomain!(), "/)?", qualified_part!())
    };
}
macro_rules! label_requirement {
    () => {
        concat!(
            "(!?",
            label_key!(),
            "|",
            label_key!(),
            "(=|==|!=)(",
            qualified_part!(),
            ")?|",
            label_key!(),
            " (in|notin) \\(",
            qualified_part!(),
            "(,",
            qualified_part!(),
            ")*\\))"
        )
    };
}

/// Standard base64 with padding.
pub const BASE64: &str = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$";
/// A label selector in its usual forms; the server also takes `>`, `<` and more spaces.
pub const LABEL_SELECTOR: &str = concat!("^(", label_requirement!(), "(,", label_requirement!(), ")*)?$");
/// A resourceVersion: 19 digits always fit into 64 bits.
pub const REVISION: &str = "^[0-9]{0,19}$";
/// Printable ASCII, for what is sent. The server takes every printable character.
pub const PRINTABLE: &str = "^[ -~]*$";
/// At most 63 bytes.
const DNS_LABEL: &str = concat!("^", dns_label!(), "$");
/// At most 253 bytes.
const SUBDOMAIN: &str = concat!("^", subdomain!(), "$");
/// One segment of a path, neither `.` nor `..`.
const PATH_SEGMENT: &str = "^([^./%][^/%]*|\\.[^./%][^/%]*|\\.\\.[^/%]+)$";
const LABEL_KEY: &str = concat!("^", label_key!(), "$");
const LABEL_VALUE: &str = concat!("^(", qualified_part!(), ")?$");
/// As a label's key, whose case does not matter.
const ANNOTATION_KEY: &str = concat!(
    "^([A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?(\\.[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*/)?",
    qualified_part!(),
    "$"
);
/// Not `.`, and not beginning with `..`.
const SECRET_KEY: &str = "^(\\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]*)$";
/// Hexadecimal digits with colons between, and not zero.
const SERIAL: &str = "^[0:]*[1-9a-fA-F][0-9a-fA-F:]*$";
const FINALIZER: &str = concat!("^(kubernetes|orphan|foregroundDeletion|", subdomain!(), "/", qualified_part!(), ")$");
/// `VERSION` or `GROUP/VERSION`.
const API_VERSION: &str = "^([^/]*/)?[^/]+$";

const RBAC_GROUP: &str = "rbac.authorization.k8s.io";

/// What a text must look like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Text {
    /// ECMA 262.
    pub pattern: Option<&'static str>,
    /// In characters.
    pub min_length: Option<usize>,
    /// In characters.
    pub max_length: Option<usize>,
    /// The only values, if there are any.
    pub one_of: &'static [&'static str],
    /// Never part of an answer.
    pub write_only: bool,
}

impl Text {
    /// Of this form.
    pub const fn like(pattern: &'static str) -> Self {
        Self { pattern: Some(pattern), min_length: None, max_length: None, one_of: &[], write_only: false }
    }

    /// One of these.
    pub const fn one_of(values: &'static [&'static str]) -> Self {
        Self { pattern: None, min_length: None, max_length: None, one_of: values, write_only: false }
    }

    /// Anything but empty.
    pub const fn some() -> Self {
        Self { pattern: None, min_length: Some(1), max_length: None, one_of: &[], write_only: false }
    }

    /// No longer than this.
    pub const fn at_most(self, max_length: usize) -> Self {
        Self { max_length: Some(max_length), ..self }
    }
}

/// The names of Secrets and ServiceAccounts.
pub fn subdomain() -> Text {
    Text::like(SUBDOMAIN).at_most(253)
}

/// The names of a kind.
pub fn name(kind: &Kind) -> Text {
    match name_rule(kind) {
        NameRule::Subdomain => subdomain(),
        NameRule::Label => namespace(),
        NameRule::PathSegment | NameRule::AnyPathSegment => Text::like(PATH_SEGMENT),
    }
}

/// What a kind's generated names may begin with; empty is none. A dash at the end does not count.
pub fn name_prefix(kind: &Kind) -> Text {
    match name_rule(kind) {
        NameRule::Subdomain => Text::like(concat!("^(", subdomain!(), "-?)?$")).at_most(254),
        NameRule::Label => Text::like(concat!("^(", dns_label!(), "-?)?$")).at_most(64),
        NameRule::PathSegment | NameRule::AnyPathSegment => Text::like("^[^/%]*$"),
    }
}

/// The names of namespaces.
pub fn namespace() -> Text {
    Text::like(DNS_LABEL).at_most(63)
}

/// The text in a field, the texts of a list, or the values of a map.
pub fn text(message: &str, field: &str) -> Text {
    match (message, field) {
        ("ObjectMeta", "resourceVersion") => Text::like(REVISION),
        ("ObjectMeta", "namespace") => Text::like(concat!("^(", dns_label!(), ")?$")).at_most(63),
        ("ObjectMeta", "labels") | ("LabelSelector", "matchLabels") | ("LabelSelectorRequirement", "values") => {
            Text::like(LABEL_VALUE)
        }
        ("LabelSelectorRequirement", "key") => Text::like(LABEL_KEY).at_most(317),
        ("LabelSelectorRequirement" | "FieldSelectorRequirement", "operator") => {
            Text::one_of(&["In", "NotIn", "Exists", "DoesNotExist"])
        }
        ("ObjectMeta" | "NamespaceSpec", "finalizers") => Text::like(FINALIZER),
        ("OwnerReference", "apiVersion") => Text::like(API_VERSION),
        ("OwnerReference", "kind" | "name" | "uid")
        | ("Subject" | "TokenRequestStatus", "name" | "token")
        | ("FieldSelectorRequirement", "key") => Text::some(),
        ("ManagedFieldsEntry", "manager") => Text::default().at_most(FIELD_MANAGER_MAX_BYTES),
        ("ManagedFieldsEntry", "operation") => Text::one_of(&["Apply", "Update"]),
        ("ManagedFieldsEntry", "fieldsType") => Text::one_of(&["FieldsV1"]),
        ("ManagedFieldsEntry", "subresource") => Text::default().at_most(256),
        ("DeleteOptions", "dryRun") => Text::one_of(&["All"]),
        ("DeleteOptions", "propagationPolicy") => Text::one_of(&["Background", "Foreground", "Orphan"]),
        ("NamespaceStatus", "phase") => Text::one_of(&["Active", "Terminating"]),
        ("RoleRef", "apiGroup") => Text::one_of(&[RBAC_GROUP]),
        ("RoleRef", "kind") => Text::one_of(&["ClusterRole", "Role"]),
        ("RoleRef", "name") => Text::like(PATH_SEGMENT),
        ("Subject", "kind") => Text::one_of(&["Group", "ServiceAccount", "User"]),
        ("Subject", "apiGroup") => Text::one_of(&["", RBAC_GROUP]),
        ("Secret", "stringData") | ("PasswordRequestSpec", "password") | ("SealedSecretOptions", "previous") => {
            Text { write_only: true, ..Text::default() }
        }
        ("CertificateRevocationSpec", "serialNumber") => Text::like(SERIAL).at_most(SERIAL_TEXT_MAX_BYTES),
        ("SecretExportSpec", "format") => Text::one_of(&FORMATS),
        ("CertificateSpec" | "GeneratedSecretSpec", "secretName") => subdomain(),
        ("CertificateSpec", "usages") => Text::one_of(&USAGES),
        ("CertificatePrivateKey", "algorithm") => Text::one_of(&ALGORITHMS),
        ("CertificatePrivateKey", "rotationPolicy") => Text::one_of(&ROTATION_POLICIES),
        ("IssuerReference", "kind") => Text::one_of(&ISSUERS),
        ("GeneratedKey", "generator") => Text::one_of(&GENERATORS),
        ("SecretScanSpec", "scanner") => Text::like("^[0-9A-Za-z]{16,64}$").at_most(64),
        ("SealedSecretOptions", "scope") => Text::one_of(&["cluster-wide", "namespace-wide", "strict"]),
        ("Status", "status") => Text::one_of(&["Failure", "Success"]),
        _ => Text::default(),
    }
}

/// The keys of a map.
pub fn keys(message: &str, field: &str) -> Option<Text> {
    match (message, field) {
        ("Secret", "data" | "stringData") => Some(Text::like(SECRET_KEY).at_most(253)),
        ("ObjectMeta", "labels") | ("LabelSelector", "matchLabels") => Some(Text::like(LABEL_KEY).at_most(317)),
        ("ObjectMeta", "annotations") => Some(Text::like(ANNOTATION_KEY).at_most(317)),
        _ => None,
    }
}

/// The least and the most of a number.
pub fn range(message: &str, field: &str) -> (i64, i64) {
    match (message, field) {
        ("ObjectMeta", "generation") => (0, i64::MAX),
        ("TokenRequestSpec", "expirationSeconds") => (600, 1 << 32),
        ("CertificateRequestSpec", "expirationSeconds") => (CLIENT_MIN_TTL_SECONDS, CLIENT_MAX_TTL_SECONDS),
        ("GrantUsageReviewSpec", "sinceSeconds") => (1, i64::MAX),
        _ => (i64::MIN, i64::MAX),
    }
}

/// Lists that may not be empty.
pub fn min_items(message: &str, field: &str) -> Option<usize> {
    matches!((message, field), ("PolicyRule", "verbs") | ("AggregationRule", "clusterRoleSelectors")).then_some(1)
}

/// Whether a field must be there. Of those that Kubernetes lists as required the server fills some in.
pub fn is_required(message: &str, field: &Field) -> bool {
    match (message, field.json) {
        // The password is left out of the answer.
        ("RoleRef", "apiGroup")
        | ("TokenRequest", "spec")
        | ("TokenRequestSpec", "audiences")
        | ("PasswordRequestSpec", "password") => false,
        ("ManagedFieldsEntry", "operation") | ("AggregationRule", "clusterRoleSelectors") => true,
        _ => field.required,
    }
}

//! What can go wrong, with the texts that the server sends: each comes from the code that sends it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::examples;
use super::routes::Route;
use crate::api::body::{self, BODY_MAX_BYTES, Format};
use crate::api::exports;
use crate::api::imports;
use crate::api::negotiate::{self, Offer};
use crate::api::recorded;
use crate::api::request_info::{Query, request_info};
use crate::api::scans;
use crate::api::status::Failure;
use crate::api::subresources;
use crate::api::table::IncludeObject;
use crate::audit::Refused;
use crate::auth::policy_problem;
use crate::codec;
use crate::export::{self, ExportError};
use crate::model::field_error::FieldError;
use crate::model::kinds::{self, NAMESPACE, SECRET, SECRET_EXPORT, SECRET_IMPORT, SECRET_SCAN, Verb};
use crate::model::selector::LabelSelector;
use crate::model::user::{GROUP_AUTHENTICATED, User};
use crate::model::validation::options::{self, FieldValidation};
use crate::model::validation::{self, reviews};
use crate::objects::fields::{ApplyError, Conflict};
use crate::objects::{self, Error, Resource};
use crate::pki::PkiError;
use crate::rbac::{self, Attributes, Denial, Policy, PolicySet, Refusal};
use crate::sensitive::SecretBytes;

/// A failure by a short name.
pub type Case = (&'static str, Failure);

/// The failures of one code of an operation. At least one.
pub fn of(route: &Route, code: u16) -> Vec<Case> {
    if route.kind.id == SECRET_EXPORT.id
        && let Some(more) = of_exports(code)
    {
        let usual = if matches!(code, 404 | 500) { Vec::new() } else { of_any(route, code) };
        return usual.into_iter().chain(more).collect();
    }
    if route.kind.id == SECRET_IMPORT.id
        && let Some(more) = of_imports(code)
    {
        let usual = if matches!(code, 404 | 409 | 500) { Vec::new() } else { of_any(route, code) };
        return usual.into_iter().chain(more).collect();
    }
    if route.kind.id == SECRET_SCAN.id
        && let Some(more) = of_scans(code)
    {
        let usual = if code == 500 { Vec::new() } else { of_any(route, code) };
        return usual.into_iter().chain(more).collect();
    }
    of_any(route, code)
}

/// What a request for fingerprints may be answered with.
fn of_scans(code: u16) -> Option<Vec<Case>> {
    Some(match code {
        413 => vec![("secrets", scans::too_much())],
        422 => {
            let wrong = FieldError::invalid("spec.scanner", "me", "must be 16 to 64 letters and digits");
            vec![("scanner", scans::invalid(wrong))]
        }
        429 => vec![("busy", scans::busy())],
        500 => vec![
            ("integrity", Error::Integrity(Resource::new(&SECRET, examples::name(&SECRET))).into()),
            ("internal", Failure::internal()),
        ],
        _ => return None,
    })
}

/// What an import may be answered with because of the Secrets in it.
fn of_imports(code: u16) -> Option<Vec<Case>> {
    let name = examples::name(&SECRET);
    let cases = match code {
        403 => {
            let get = Attributes::object("get", &SECRET, examples::NAMESPACE, name);
            vec![("secret", Failure::forbidden(&Denial::of_request(&writer(), &get, "")))]
        }
        404 => vec![("namespace", Error::NotFound(Resource::new(&NAMESPACE, examples::NAMESPACE)).into())],
        409 => {
            let text = format!("nothing is imported, for these are there and differ: {name}");
            vec![("different", Error::Conflict(Resource::new(&SECRET_IMPORT, ""), text).into())]
        }
        422 => {
            let none = FieldError::required("spec.secrets", "at least one Secret is needed");
            vec![("secrets", imports::invalid(vec![none]))]
        }
        500 => vec![
            ("integrity", Error::Integrity(Resource::new(&SECRET, name)).into()),
            ("internal", Failure::internal()),
        ],
        _ => return None,
    };
    Some(cases)
}

/// What an export may be answered with because of the Secrets in it.
fn of_exports(code: u16) -> Option<Vec<Case>> {
    let secret = || Resource::new(&SECRET, examples::name(&SECRET));
    let title = format!("{}/{}", examples::NAMESPACE, examples::name(&SECRET));
    let cases = match code {
        403 => {
            let get = Attributes::object("get", &SECRET, examples::NAMESPACE, examples::name(&SECRET));
            vec![("secret", Failure::forbidden(&Denial::of_request(&writer(), &get, "")))]
        }
        404 => vec![("missing", Error::NotFound(secret()).into())],
        413 => vec![("secrets", exports::too_much())],
        422 => {
            let carried = ExportError::NotCarried {
                format: export::Format::Dotenv,
                secret: title,
                key: "tls.key".to_owned(),
                reason: "the value is not UTF-8 text",
            };
            let none = FieldError::required("spec.names", "names or a selector must be given");
            vec![("names", exports::invalid(vec![none])), ("value", exports::refused(&carried))]
        }
        429 => vec![("exports", exports::busy())],
        500 => vec![("integrity", Error::Integrity(secret()).into()), ("internal", Failure::internal())],
        _ => return None,
    };
    Some(cases)
}

fn of_any(route: &Route, code: u16) -> Vec<Case> {
    match code {
        400 => bad_request(route),
        403 => forbidden(route),
        404 => not_found(route),
        409 => conflict(route),
        415 if route.verb == Verb::Patch => {
            vec![("media-type", Failure::unsupported_media_type("415: Unsupported Media Type", Some(json!({}))))]
        }
        422 => invalid(route),
        500 if matches!(route.verb, Verb::Get | Verb::Update | Verb::Patch | Verb::Delete) => {
            vec![("integrity", Error::Integrity(resource(route)).into()), ("internal", Failure::internal())]
        }
        429 if route.sub.is_some_and(|sub| sub.name == "password") => {
            general(429).into_iter().chain([("hashing", subresources::too_many_passwords(2))]).collect()
        }
        503 if !route.kind.stored => vec![unrecorded()],
        503 if matches!(route.verb, Verb::Get | Verb::List) => {
            vec![("unavailable", Failure::unavailable("the store cannot be read")), unrecorded()]
        }
        503 => general(503).into_iter().chain([unrecorded()]).collect(),
        other => general(other),
    }
}

/// The failures that are the same for every operation.
pub fn general(code: u16) -> Vec<Case> {
    match code {
        401 => vec![("unauthorized", Failure::unauthorized())],
        406 => {
            let refused = negotiate::negotiate(Some("text/html"), Offer::Object).err();
            refused.map(|refused| ("accept", Failure::not_acceptable(refused.0))).into_iter().collect()
        }
        408 => vec![("slow", body::slow())],
        410 => vec![
            ("revision", Error::Expired("The resourceVersion for the provided list is too old.".to_owned(), None).into()),
            (
                "continue",
                Error::Expired(
                    "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.".to_owned(),
                    None,
                )
                .into(),
            ),
        ],
        413 => vec![("size", body::too_large(BODY_MAX_BYTES))],
        415 => body::format(Some("text/csv")).err().map(|failure| ("media-type", failure)).into_iter().collect(),
        421 => vec![("host", Failure::new(421, "", MISDIRECTED, None))],
        429 => vec![("busy", Failure::new(429, "TooManyRequests", BUSY, Some(json!({"retryAfterSeconds": 1}))))],
        500 => vec![("internal", Failure::internal())],
        503 => vec![("unavailable", Failure::unavailable("the store cannot be written"))],
        504 => vec![("future", Error::FutureRevision { asked: 99_999, current: 278 }.into())],
        _ => Vec::new(),
    }
}

/// A request that cannot be recorded.
pub fn unrecorded() -> Case {
    ("audit", recorded::unavailable(&Refused::OF_DISK))
}

/// What the edge says before the API is reached.
pub(super) const MISDIRECTED: &str =
    "this server does not answer to the host name of the request: start it with --advertise HOST:PORT";
pub(super) const BUSY: &str = "too many requests of this address are in progress, please try again later";

fn resource(route: &Route) -> Resource {
    Resource::new(route.kind, examples::name(route.kind))
}

fn bad_request(route: &Route) -> Vec<Case> {
    let kind = route.shown();
    match route.verb {
        Verb::Get => IncludeObject::parse("All")
            .err()
            .map(|text| ("includeObject", Failure::bad_request(text)))
            .into_iter()
            .collect(),
        Verb::List | Verb::Watch => {
            let selector = LabelSelector::parse("app in web").err();
            let selector = selector.map(|error| ("labelSelector", Failure::bad_request(error.to_string())));
            let limit = options::list(&[("limit".to_owned(), "ten".to_owned())]).err();
            selector.into_iter().chain(limit.map(|error| ("limit", Failure::options(error)))).collect()
        }
        Verb::Delete | Verb::DeleteCollection => {
            let wrong = options::delete_from_body(&json!({"dryRun": "All"})).err();
            wrong.map(|error| ("dryRun", Failure::options(error))).into_iter().collect()
        }
        Verb::Patch => {
            let broken = codec::json::parse(b"{\"data\":").err();
            let broken = broken.map(|error| Failure::bad_request(format!("error decoding patch: {error}")));
            broken.map(|failure| ("patch", failure)).into_iter().collect()
        }
        Verb::Create | Verb::Update => {
            let broken = body::decode_object(kind, Format::Json, &SecretBytes::new(b"{\"kind\":".to_vec())).err();
            let findings = vec!["unknown field \"metadata.nmae\"".to_owned()];
            let strict = body::judge(kind, FieldValidation::Strict, findings, &mut Vec::new()).err();
            let broken = broken.map(|failure| ("json", failure));
            let off = (kind.kind == "CertificateRequest").then(|| ("off", subresources::no_client_certificates()));
            broken.into_iter().chain(strict.map(|failure| ("strict", failure))).chain(off).collect()
        }
    }
}

fn forbidden(route: &Route) -> Vec<Case> {
    let info = request_info(route.method_name(), &route.example_path(), &Query::default());
    let denied = rbac::authorize(&Policy::empty(), &Arc::new(User::anonymous()), info.attributes).err();
    let mut cases: Vec<Case> = denied.iter().map(|denial| ("anonymous", Failure::forbidden(denial))).collect();
    let writes = matches!(route.verb, Verb::Create | Verb::Update | Verb::Patch);
    if writes && kinds::decides_access(route.kind.id) {
        cases.extend(beyond_ones_own(route));
    }
    if matches!(route.verb, Verb::Update | Verb::Patch) && route.kind.holds_values() {
        let attributes = Attributes::object("get", route.kind, examples::NAMESPACE, examples::name(route.kind));
        cases.push(("values", Failure::forbidden(&Denial::of_request(&writer(), &attributes, ""))));
    }
    match route.verb {
        Verb::Create if route.kind.stored && route.in_namespace && route.sub.is_none() => {
            let name = examples::NAMESPACE.to_owned();
            cases.push(("terminating", Error::NamespaceTerminating(resource(route), name).into()));
        }
        Verb::Delete if route.kind.id == NAMESPACE.id => {
            let resource = Resource::new(&NAMESPACE, "default");
            cases
                .push(("protected", Error::Forbidden(resource, "this namespace may not be deleted".to_owned()).into()));
        }
        _ => {}
    }
    cases
}

/// Somebody who may write and nothing else.
fn writer() -> User {
    User::new("jane", "", [GROUP_AUTHENTICATED])
}

/// What somebody is told who would hand out what they do not have.
fn beyond_ones_own(route: &Route) -> Option<Case> {
    let (kind, name, object) = (route.kind, examples::name(route.kind), examples::output(route.kind));
    let refused = match kind.kind {
        "User" => {
            let act = Attributes::impersonate("", "users", "", name);
            return Some(("impersonation", Failure::forbidden(&Denial::of_request(&writer(), &act, ""))));
        }
        "Role" | "ClusterRole" => {
            rbac::check_role(&Policy::empty(), &writer(), kind, examples::NAMESPACE, name, None, &object)
        }
        _ => {
            let mut roles = PolicySet::default();
            for (role, namespace) in [(&kinds::ROLE, examples::NAMESPACE), (&kinds::CLUSTER_ROLE, "")] {
                roles.put(role, namespace, examples::name(role), &examples::output(role));
            }
            rbac::check_binding(&roles.compile(), &writer(), kind, examples::NAMESPACE, name, None, &object)
        }
    };
    match refused.err()? {
        Refusal::Denied(denial) => Some(("escalation", Failure::forbidden(&denial))),
        Refusal::RoleNotFound { .. } | Refusal::TooLarge(_) => None,
    }
}

fn not_found(route: &Route) -> Vec<Case> {
    if route.verb == Verb::Create && route.sub.is_none() {
        return vec![("namespace", Error::NotFound(Resource::new(&NAMESPACE, examples::NAMESPACE)).into())];
    }
    vec![("missing", Error::NotFound(resource(route)).into())]
}

fn conflict(route: &Route) -> Vec<Case> {
    const MODIFIED: &str =
        "the object has been modified; please apply your changes to the latest version and try again";
    match route.verb {
        Verb::Create if route.sub.is_none() => vec![("exists", Error::AlreadyExists(resource(route), false).into())],
        Verb::Create if route.shown().id == kinds::PASSWORD_REQUEST.id => {
            vec![("modified", Error::Conflict(resource(route), MODIFIED.to_owned()).into())]
        }
        Verb::Create => {
            let text = "the UID in the bound object reference (4e8a7b52-6d3c-4f19-9a0b-2c1d5e7f8a90) does not match the UID in record. The object might have been deleted and then recreated";
            vec![("bound", Error::Conflict(resource(route), text.to_owned()).into())]
        }
        Verb::Delete | Verb::DeleteCollection => {
            let text = "the ResourceVersion in the precondition (277) does not match the ResourceVersion in record (278). The object might have been modified";
            let mut cases = vec![("precondition", Error::DeletePrecondition(resource(route), text.to_owned()).into())];
            if route.kind.id == kinds::SECRET_REVISION.id && route.verb == Verb::Delete {
                cases.push(("current", Error::Conflict(resource(route), objects::CURRENT.to_owned()).into()));
            }
            cases
        }
        Verb::Patch => {
            let conflict = Conflict { manager: "\"kubectl\"".to_owned(), field: ".metadata.labels.team".to_owned() };
            vec![
                ("modified", Error::Conflict(resource(route), MODIFIED.to_owned()).into()),
                ("apply", Error::Apply(ApplyError::Conflicts(vec![conflict])).into()),
            ]
        }
        _ => vec![("modified", Error::Conflict(resource(route), MODIFIED.to_owned()).into())],
    }
}

fn invalid(route: &Route) -> Vec<Case> {
    let query = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let refused = match route.verb {
        Verb::List | Verb::Watch => options::list(&query("resourceVersionMatch", "Exact")).err(),
        Verb::Delete => options::delete_from_query(&query("propagationPolicy", "Never")).err(),
        Verb::DeleteCollection => options::delete_from_query(&query("dryRun", "Some")).err(),
        Verb::Patch => options::patch(&[], true).err(),
        Verb::Update => options::update(&query("fieldValidation", "Loose")).err(),
        Verb::Get | Verb::Create => options::create(&query("dryRun", "Some")).err(),
    };
    let mut cases: Vec<Case> = refused.map(|error| ("options", Failure::options(error))).into_iter().collect();
    if route.kind.stored && route.sub.is_none() && matches!(route.verb, Verb::Create | Verb::Update | Verb::Patch) {
        let errors = validation::validate_create(route.kind, &broken(route));
        cases.push(("object", Error::Invalid(resource(route), errors).into()));
    }
    cases.extend(request_invalid(route));
    if matches!(route.kind.kind, "SubjectAccessReview" | "SelfSubjectAccessReview" | "LocalSubjectAccessReview") {
        let mut review = examples::input(route.kind);
        review.pointer_mut("/spec/resourceAttributes").map(Value::take);
        let refused = match route.kind.kind {
            "SelfSubjectAccessReview" => reviews::self_subject_access_review(&review),
            "LocalSubjectAccessReview" => reviews::local_subject_access_review(&review, examples::NAMESPACE),
            _ => reviews::subject_access_review(&review),
        };
        if let Err(reviews::Refusal::Invalid(errors)) = refused {
            cases.push(("review", Failure::invalid_options(&format!(".{}", route.kind.group), &errors)));
        }
    }
    cases
}

/// What a subresource does not take.
fn request_invalid(route: &Route) -> Option<Case> {
    let kind = route.sub.map(|_| route.shown())?;
    let errors = match kind.kind {
        "TokenRequest" => reviews::token_request_spec(&json!({"spec": {"expirationSeconds": 60}})),
        "PasswordRequest" => {
            let short = policy_problem(examples::name(route.kind), &SecretBytes::new(b"short".to_vec()));
            short.map(|why| FieldError::forbidden("spec.password", why)).into_iter().collect()
        }
        "CertificateRequest" => vec![FieldError::forbidden("spec.request", PkiError::Request.to_string())],
        "CertificateRevocation" => vec![subresources::no_serial("0x4a0b")],
        _ => return None,
    };
    let name = if kind.kind == "TokenRequest" { "" } else { examples::name(route.kind) };
    Some(("object", Error::Invalid(Resource::new(kind, name), errors).into()))
}

/// The example with a mistake in it.
fn broken(route: &Route) -> Value {
    let mut object = examples::output(route.kind);
    if let Some(fields) = object.as_object_mut() {
        match route.kind.kind {
            "Secret" => {
                fields.insert("type".to_owned(), json!("kubernetes.io/tls"));
            }
            "Role" | "ClusterRole" => {
                fields.insert("rules".to_owned(), json!([{"verbs": [], "apiGroups": [""], "resources": ["secrets"]}]));
            }
            "RoleBinding" | "ClusterRoleBinding" => {
                fields.insert("subjects".to_owned(), json!([{"kind": "Team", "name": "a"}]));
            }
            _ => {
                let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
                if let Some(metadata) = metadata.as_object_mut() {
                    metadata.insert("labels".to_owned(), json!({"team": "not a label"}));
                }
            }
        }
    }
    object
}

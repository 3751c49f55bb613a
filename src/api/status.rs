//! Errors as Kubernetes `Status` bodies: the one table from what went wrong to code, reason and text.

use serde_json::{Value, json};

use crate::model::field_error::FieldError;
use crate::model::validation::{self, options::OptionsError};
use crate::objects::{Error, Resource, fields};
use crate::rbac::Denial;

/// A failure as the client sees it.
#[derive(Debug)]
pub struct Failure {
    /// HTTP status.
    pub code: u16,
    /// The `Status` body.
    pub body: Value,
    /// Seconds for `Retry-After`.
    pub retry_after_seconds: Option<u32>,
}

impl Failure {
    /// A failure with these details.
    pub fn new(code: u16, reason: &str, message: impl Into<String>, details: Option<Value>) -> Self {
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message.into(),
        });
        if let Some(fields) = body.as_object_mut() {
            if !reason.is_empty() {
                fields.insert("reason".to_owned(), reason.into());
            }
            if let Some(details) = details {
                fields.insert("details".to_owned(), details);
            }
            fields.insert("code".to_owned(), code.into());
        }
        Self { code, body, retry_after_seconds: None }
    }

    /// 400 without details.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message, None)
    }

    /// 401: credentials that are wrong, expired or revoked.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized", None)
    }

    /// 403, from the authorizer.
    pub fn forbidden(denial: &Denial) -> Self {
        let mut details = json!({});
        if let Some(fields) = details.as_object_mut() {
            for (name, value) in [("name", &denial.name), ("group", &denial.group), ("kind", &denial.resource)] {
                if !value.is_empty() {
                    fields.insert(name.to_owned(), value.as_str().into());
                }
            }
        }
        if let Some(fields) = details.as_object_mut().filter(|_| !denial.hint.is_empty()) {
            fields.insert("causes".to_owned(), json!([{"reason": "AccessHint", "message": denial.hint}]));
        }
        Self::new(403, "Forbidden", denial.message.clone(), Some(details))
    }

    /// 404 of a path under a served version.
    pub fn no_such_resource() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource", Some(json!({})))
    }

    /// 405
    pub fn method_not_allowed() -> Self {
        let text = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", text, Some(json!({})))
    }

    /// 406
    pub fn not_acceptable(message: String) -> Self {
        Self::new(406, "NotAcceptable", message, Some(json!({})))
    }

    /// 413
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(413, "RequestEntityTooLarge", message, None)
    }

    /// 415
    pub fn unsupported_media_type(message: impl Into<String>, details: Option<Value>) -> Self {
        Self::new(415, "UnsupportedMediaType", message, details)
    }

    /// 422 of an options object, whose qualified kind is given (`PatchOptions.meta.k8s.io`), or of a review, whose
    /// kind Kubernetes leaves out (`.authorization.k8s.io`).
    pub fn invalid_options(kind: &str, errors: &[FieldError]) -> Self {
        let (name, group) = kind.split_once('.').unwrap_or((kind, ""));
        let details = if name.is_empty() { json!({"group": group}) } else { json!({"group": group, "kind": name}) };
        invalid(&format!("{kind} \"\""), details, errors)
    }

    /// Options of a request that are refused.
    pub fn options(error: OptionsError) -> Self {
        match error {
            OptionsError::BadRequest(text) => Self::bad_request(text),
            OptionsError::Invalid { kind, errors } => Self::invalid_options(&format!("{kind}.meta.k8s.io"), &errors),
        }
    }

    /// 500, which says nothing of what went wrong inside.
    pub fn internal() -> Self {
        Self::new(500, "InternalError", "Internal error occurred", Some(json!({})))
    }

    /// 429, to be tried again after so many seconds.
    pub fn too_many(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        let details = json!({"retryAfterSeconds": retry_after_seconds});
        let mut failure = Self::new(429, "TooManyRequests", message, Some(details));
        failure.retry_after_seconds = Some(retry_after_seconds);
        failure
    }

    /// 503, to be tried again.
    pub fn unavailable(message: impl Into<String>) -> Self {
        let mut failure = Self::new(503, "ServiceUnavailable", message, Some(json!({"retryAfterSeconds": 1})));
        failure.retry_after_seconds = Some(1);
        failure
    }

    /// Whether a stored row does not pass authentication.
    pub fn is_integrity(&self) -> bool {
        self.body.get("reason").and_then(Value::as_str) == Some("IntegrityFailure")
    }
}

fn details(resource: &Resource) -> Value {
    let mut details = json!({});
    if let Some(fields) = details.as_object_mut() {
        if !resource.name.is_empty() {
            fields.insert("name".to_owned(), resource.name.as_str().into());
        }
        if !resource.kind.group.is_empty() {
            fields.insert("group".to_owned(), resource.kind.group.into());
        }
        fields.insert("kind".to_owned(), resource.kind.plural.into());
    }
    details
}

fn invalid(what: &str, mut details: Value, errors: &[FieldError]) -> Failure {
    let causes: Vec<Value> = errors
        .iter()
        .map(|error| json!({"reason": error.kind.reason(), "message": error.body(), "field": error.field}))
        .collect();
    if let Some(fields) = details.as_object_mut() {
        fields.insert("causes".to_owned(), causes.into());
    }
    Failure::new(422, "Invalid", format!("{what} is invalid: {}", validation::message(errors)), Some(details))
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound(resource) => {
                let text = format!("{} \"{}\" not found", resource.kind.qualified_resource(), resource.name);
                Self::new(404, "NotFound", text, Some(details(&resource)))
            }
            Error::AlreadyExists(resource, terminating) => {
                let prefix = if terminating { "object is being deleted: " } else { "" };
                let text =
                    format!("{prefix}{} \"{}\" already exists", resource.kind.qualified_resource(), resource.name);
                Self::new(409, "AlreadyExists", text, Some(details(&resource)))
            }
            Error::Conflict(resource, text) => {
                let text = format!(
                    "Operation cannot be fulfilled on {} \"{}\": {text}",
                    resource.kind.qualified_resource(),
                    resource.name
                );
                Self::new(409, "Conflict", text, Some(details(&resource)))
            }
            Error::DeletePrecondition(resource, text) => {
                let text = format!(
                    "Operation cannot be fulfilled on {} \"{}\": {text}",
                    resource.kind.qualified_kind(),
                    resource.name
                );
                let mut details = details(&resource);
                if let Some(fields) = details.as_object_mut() {
                    fields.insert("kind".to_owned(), resource.kind.kind.into());
                }
                Self::new(409, "Conflict", text, Some(details))
            }
            Error::Apply(error) => apply_failure(&error),
            Error::Invalid(resource, errors) => {
                let mut about = details(&resource);
                if let Some(fields) = about.as_object_mut() {
                    fields.insert("kind".to_owned(), resource.kind.kind.into());
                }
                invalid(&format!("{} \"{}\"", resource.kind.qualified_kind(), resource.name), about, &errors)
            }
            Error::BadRequest(text) => Self::bad_request(text),
            Error::Unprocessable => {
                let text = "the server rejected our request due to an error in our request";
                Self::new(422, "Invalid", text, Some(json!({})))
            }
            Error::TooLarge(text) => Self::too_large(text),
            Error::Forbidden(resource, text) => {
                let text = format!("{} \"{}\" is forbidden: {text}", resource.kind.qualified_resource(), resource.name);
                Self::new(403, "Forbidden", text, Some(details(&resource)))
            }
            Error::Denied(denial) => Self::forbidden(&denial),
            Error::NamespaceTerminating(resource, namespace) => namespace_terminating(&resource, &namespace),
            Error::Expired(text, token) => {
                let mut failure = Self::new(410, "Expired", text, None);
                if let (Some(token), Some(metadata)) = (token, failure.body.get_mut("metadata")) {
                    *metadata = json!({"continue": token});
                }
                failure
            }
            Error::FutureRevision { asked, current } => {
                let text = format!("Timeout: Too large resource version: {asked}, current: {current}");
                let cause = json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
                let mut failure =
                    Self::new(504, "Timeout", text, Some(json!({"causes": [cause], "retryAfterSeconds": 1})));
                failure.retry_after_seconds = Some(1);
                failure
            }
            Error::Integrity(resource) => {
                let text = format!(
                    "{} \"{}\" cannot be read: its stored row does not pass authentication",
                    resource.kind.qualified_resource(),
                    resource.name
                );
                Self::new(500, "IntegrityFailure", text, Some(details(&resource)))
            }
            Error::Unavailable(text) => Self::unavailable(text),
            Error::TooMany(text) => {
                let details = json!({"retryAfterSeconds": 1});
                let failure = Self::new(429, "TooManyRequests", text, Some(details));
                Self { retry_after_seconds: Some(1), ..failure }
            }
            Error::Internal(text) => {
                tracing::error!(error.text = text, "internal error");
                Self::internal()
            }
        }
    }
}

fn apply_failure(error: &fields::ApplyError) -> Failure {
    match error {
        fields::ApplyError::Conflicts(conflicts) => {
            let causes: Vec<Value> = conflicts
                .iter()
                .map(|conflict| {
                    json!({"reason": "FieldManagerConflict", "message": conflict.message(), "field": conflict.field})
                })
                .collect();
            Failure::new(409, "Conflict", error.message(), Some(json!({"causes": causes})))
        }
        // Kubernetes answers 500 for a client's mistake.
        fields::ApplyError::Untyped(text) => Failure::bad_request(text.clone()),
    }
}

fn namespace_terminating(resource: &Resource, namespace: &str) -> Failure {
    let text = format!(
        "{} \"{}\" is forbidden: unable to create new content in namespace {namespace} because it is being terminated",
        resource.kind.qualified_resource(),
        resource.name
    );
    let mut details = details(resource);
    if let Some(fields) = details.as_object_mut() {
        let message = format!("namespace {namespace} is being terminated");
        fields.insert(
            "causes".to_owned(),
            json!([{"reason": "NamespaceTerminating", "message": message, "field": "metadata.namespace"}]),
        );
    }
    Failure::new(403, "Forbidden", text, Some(details))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::kinds;

    fn message(failure: &Failure) -> &str {
        failure.body["message"].as_str().unwrap()
    }

    #[test]
    fn failures_read_as_in_kubernetes() {
        let failure = Failure::from(Error::NotFound(Resource::new(&kinds::SECRET, "x")));
        assert_eq!((failure.code, message(&failure)), (404, "secrets \"x\" not found"));
        assert_eq!(failure.body["details"], json!({"name": "x", "kind": "secrets"}));
        let failure = Failure::from(Error::Conflict(Resource::new(&kinds::ROLE, "r"), "t".into()));
        assert_eq!(message(&failure), "Operation cannot be fulfilled on roles.rbac.authorization.k8s.io \"r\": t");
        let errors = vec![FieldError::required("data[tls.crt]", ""), FieldError::required("data[tls.key]", "")];
        let failure = Failure::from(Error::Invalid(Resource::new(&kinds::SECRET, "k1"), errors));
        assert_eq!(
            message(&failure),
            "Secret \"k1\" is invalid: [data[tls.crt]: Required value, data[tls.key]: Required value]"
        );
        assert_eq!(failure.body["details"]["causes"][0]["reason"], "FieldValueRequired");
    }

    #[test]
    fn each_error_has_its_code_its_reason_and_what_it_is_about() {
        let secret = || Resource::new(&kinds::SECRET, "x");
        let role = || Resource::new(&kinds::ROLE, "r");
        for (error, code, reason, text, about) in [
            (
                Error::AlreadyExists(secret(), true),
                409,
                "AlreadyExists",
                "object is being deleted: secrets \"x\" already exists",
                json!({"name": "x", "kind": "secrets"}),
            ),
            (
                Error::DeletePrecondition(role(), "t".into()),
                409,
                "Conflict",
                "Operation cannot be fulfilled on Role.rbac.authorization.k8s.io \"r\": t",
                json!({"name": "r", "group": "rbac.authorization.k8s.io", "kind": "Role"}),
            ),
            (
                Error::Forbidden(Resource::new(&kinds::NAMESPACE, "default"), "t".into()),
                403,
                "Forbidden",
                "namespaces \"default\" is forbidden: t",
                json!({"name": "default", "kind": "namespaces"}),
            ),
            (
                Error::Unprocessable,
                422,
                "Invalid",
                "the server rejected our request due to an error in our request",
                json!({}),
            ),
            (
                Error::Integrity(secret()),
                500,
                "IntegrityFailure",
                "secrets \"x\" cannot be read: its stored row does not pass authentication",
                json!({"name": "x", "kind": "secrets"}),
            ),
        ] {
            let failure = Failure::from(error);
            assert_eq!((failure.code, message(&failure)), (code, text));
            assert_eq!((&failure.body["reason"], &failure.body["details"]), (&json!(reason), &about), "{text}");
            assert_eq!((&failure.body["status"], &failure.body["code"]), (&json!("Failure"), &json!(code)));
        }
    }

    #[test]
    fn what_passes_says_when_to_come_back_and_what_is_old_how_to_go_on() {
        let future = Failure::from(Error::FutureRevision { asked: 99_999, current: 278 });
        assert_eq!(message(&future), "Timeout: Too large resource version: 99999, current: 278");
        assert_eq!((future.code, future.retry_after_seconds), (504, Some(1)));
        assert_eq!(future.body["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
        let unavailable = Failure::from(Error::Unavailable("t"));
        assert_eq!((unavailable.code, unavailable.retry_after_seconds), (503, Some(1)));
        let old = Failure::from(Error::Expired("t".into(), Some("next".into())));
        assert_eq!((old.code, &old.body["reason"]), (410, &json!("Expired")));
        assert_eq!(old.body["metadata"], json!({"continue": "next"}));
        assert_eq!(Failure::from(Error::Expired("t".into(), None)).body["metadata"], json!({}));
    }

    #[test]
    fn options_and_reviews_are_named_by_their_group() {
        let errors = [FieldError::forbidden("force", "no")];
        let options = Failure::invalid_options("PatchOptions.meta.k8s.io", &errors);
        assert_eq!(message(&options), "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: no");
        assert_eq!(options.body["details"]["kind"], "PatchOptions");
        let review = Failure::invalid_options(".authorization.k8s.io", &errors);
        assert_eq!(message(&review), ".authorization.k8s.io \"\" is invalid: force: Forbidden: no");
        assert_eq!(review.body["details"]["group"], "authorization.k8s.io");
        assert!(review.body["details"].get("kind").is_none());
    }

    #[test]
    fn conflicts_of_an_apply_name_managers_and_fields_and_no_object() {
        let conflict = |field: &str| fields::Conflict { manager: "\"m1\"".into(), field: field.into() };
        let failure = Failure::from(Error::Apply(fields::ApplyError::Conflicts(vec![conflict(".data.k1")])));
        assert_eq!(
            (failure.code, message(&failure)),
            (409, "Apply failed with 1 conflict: conflict with \"m1\": .data.k1")
        );
        let cause = json!({"reason": "FieldManagerConflict", "message": "conflict with \"m1\"", "field": ".data.k1"});
        assert_eq!(failure.body["details"], json!({"causes": [cause]}));
    }

    #[test]
    fn internal_text_stays_inside() {
        let failure = Failure::from(Error::Internal("a detail of the machine"));
        assert!(!failure.body.to_string().contains("machine"));
    }
}

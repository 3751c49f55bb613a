//! The review kinds: answered from who asks and what is asked, never stored.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::negotiate::{self, Offer};
use super::respond::Style;
use super::status::Failure;
use super::{Context, body, respond};
use crate::clock::rfc3339;
use crate::model::kinds::{self, Kind};
use crate::model::user::User;
use crate::model::validation::options;
use crate::model::validation::reviews::{self, Refusal};
use crate::rbac::{Attributes, Permit};

/// Said where another subject than the caller is asked about: stored roles are not consulted yet.
const NOT_EVALUATED: &str = "Role and ClusterRole objects are not evaluated by this version";

#[expect(clippy::disallowed_methods, reason = "a review is read to be answered")]
pub(super) async fn create(
    context: &Context<'_>,
    permit: &Permit,
    kind: &'static Kind,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    let agreed =
        negotiate::negotiate(context.accept(), Offer::Plain).map_err(|error| Failure::not_acceptable(error.0))?;
    let style = Style { encoding: agreed.encoding, ..context.style.clone() };
    let format = body::format(context.header("content-type"))?;
    let validation = options::create(context.query.pairs()).map_err(Failure::options)?.field_validation;
    let bytes = body::read(payload).await?;
    let mut decoded = body::decode_object(kind, format, &bytes)?;
    let mut warnings = Vec::new();
    body::judge(kind, validation, decoded.findings, &mut warnings)?;
    let review = decoded.document.expose_mut();
    check(kind, review, permit.namespace()).map_err(|refusal| match refusal {
        Refusal::BadRequest(text) => Failure::bad_request(text),
        // Kubernetes names no kind here.
        Refusal::Invalid(errors) => Failure::invalid_options(&format!(".{}", kind.group), &errors),
    })?;
    let status = answer(context, kind, review)?;
    let spec = match kind.kind {
        "SelfSubjectRulesReview" => json!({}),
        _ => review.get("spec").cloned().unwrap_or_else(|| json!({})),
    };
    let created = if kind.kind == "SelfSubjectReview" {
        Value::from(rfc3339(context.state.clock.unix_seconds()))
    } else {
        Value::Null
    };
    let mut body = json!({
        "kind": kind.kind, "apiVersion": kind.api_version, "metadata": {"creationTimestamp": created},
    });
    if let Some(fields) = body.as_object_mut() {
        if kind.kind != "SelfSubjectReview" {
            // A token is a secret: it is not sent back.
            let spec = if kind.kind == "TokenReview" { json!({}) } else { spec };
            fields.insert("spec".to_owned(), spec);
        }
        fields.insert("status".to_owned(), status);
    }
    Ok(respond::value(&style, 201, &body, &warnings))
}

fn check(kind: &Kind, review: &Value, namespace: &str) -> Result<(), Refusal> {
    match kind.kind {
        "SubjectAccessReview" => reviews::subject_access_review(review),
        "SelfSubjectAccessReview" => reviews::self_subject_access_review(review),
        "LocalSubjectAccessReview" => reviews::local_subject_access_review(review, namespace),
        "SelfSubjectRulesReview" => reviews::self_subject_rules_review(review).map(|_| ()),
        "TokenReview" => reviews::token_review(review),
        _ => Ok(()),
    }
}

fn answer(context: &Context<'_>, kind: &'static Kind, review: &Value) -> Result<Value, Failure> {
    let spec = review.get("spec").cloned().unwrap_or(Value::Null);
    match kind.kind {
        "SelfSubjectReview" => Ok(json!({"userInfo": user_info(&context.user)})),
        "SelfSubjectAccessReview" => Ok(judged(&context.user, &spec)),
        "SubjectAccessReview" | "LocalSubjectAccessReview" => {
            let text = |name: &str| spec.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let groups = spec.get("groups").and_then(Value::as_array).cloned().unwrap_or_default();
            let groups = groups.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            Ok(judged(&User { name: text("user"), uid: text("uid"), groups }, &spec))
        }
        "SelfSubjectRulesReview" => Ok(rules(&context.user)),
        "TokenReview" => {
            let token = spec.get("token").and_then(Value::as_str).unwrap_or_default();
            if token.is_empty() {
                return Err(Failure::bad_request("token is required for TokenReview in authentication"));
            }
            let state = context.state;
            Ok(match state.authenticator.token_user(&state.keyring, token.as_bytes()) {
                Ok(user) => json!({"authenticated": true, "user": user_info(&user)}),
                Err(_) => json!({"user": {}, "error": "invalid bearer token"}),
            })
        }
        _ => Err(Failure::no_such_resource()),
    }
}

fn user_info(user: &User) -> Value {
    let mut info = json!({"username": user.name});
    if let Some(fields) = info.as_object_mut() {
        if !user.uid.is_empty() {
            fields.insert("uid".to_owned(), user.uid.as_str().into());
        }
        fields.insert("groups".to_owned(), user.groups.clone().into());
    }
    info
}

fn judged(user: &User, spec: &Value) -> Value {
    let attributes = attributes(spec);
    if super::policy().allows(user, &attributes) {
        return json!({"allowed": true});
    }
    json!({"allowed": false, "evaluationError": NOT_EVALUATED})
}

fn attributes(spec: &Value) -> Attributes {
    if let Some(path) = spec.get("nonResourceAttributes") {
        let text = |name: &str| path.get(name).and_then(Value::as_str).unwrap_or_default();
        return Attributes::path(text("verb"), text("path"));
    }
    let resource = spec.get("resourceAttributes").cloned().unwrap_or(Value::Null);
    let text = |name: &str| resource.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Attributes {
        verb: text("verb"),
        group: text("group"),
        version: text("version"),
        resource: text("resource"),
        subresource: text("subresource"),
        namespace: text("namespace"),
        name: text("name"),
        kind: kinds::find(&text("group"), &text("version"), &text("resource")),
        ..Attributes::default()
    }
}

fn rules(user: &User) -> Value {
    if !user.is_in(crate::model::user::GROUP_MASTERS) {
        return json!({
            "resourceRules": [], "nonResourceRules": [], "incomplete": true, "evaluationError": NOT_EVALUATED,
        });
    }
    json!({
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        "incomplete": false,
    })
}

//! The review kinds: answered from who asks and what is asked, never stored.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::asked::Asked;
use super::standing::Live;
use super::status::Failure;
use super::{Context, access_reviews, respond};
use crate::auth::TokenVerdict;
use crate::clock::rfc3339;
use crate::model::field_error::go_quote;
use crate::model::kinds::Kind;
use crate::model::user::User;
use crate::model::validation::reviews::{self, Refusal};
use crate::rbac::Permit;

#[expect(clippy::disallowed_methods, reason = "a review is read to be answered")]
pub(super) async fn create(
    context: &Context<'_>,
    permit: &Permit,
    kind: &'static Kind,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    let mut asked = Asked::read(context, permit, kind, payload).await?;
    let review = asked.document.expose_mut();
    check(kind, review, permit.namespace()).map_err(|refusal| match refusal {
        Refusal::BadRequest(text) => Failure::bad_request(text),
        // Kubernetes names no kind here.
        Refusal::Invalid(errors) => Failure::invalid_options(&format!(".{}", kind.group), &errors),
    })?;
    let status = answer(context, kind, review).await?;
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
            // A token is a secret: it is not sent back. Clients want the field all the same.
            let spec = if kind.kind == "TokenReview" { json!({"token": ""}) } else { spec };
            fields.insert("spec".to_owned(), spec);
        }
        fields.insert("status".to_owned(), status);
    }
    Ok(respond::value(&asked.style, 201, &body, &asked.warnings))
}

fn check(kind: &Kind, review: &Value, namespace: &str) -> Result<(), Refusal> {
    match kind.kind {
        "SubjectAccessReview" => reviews::subject_access_review(review),
        // Ours are asked like Kubernetes' own.
        "SelfSubjectAccessReview" | "AccessExplanation" | "ResourceAccessReview" => {
            reviews::self_subject_access_review(review)
        }
        "LocalSubjectAccessReview" => reviews::local_subject_access_review(review, namespace),
        "SelfSubjectRulesReview" => reviews::self_subject_rules_review(review).map(|_| ()),
        "TokenReview" => reviews::token_review(review),
        _ => Ok(()),
    }
}

async fn answer(context: &Context<'_>, kind: &'static Kind, review: &Value) -> Result<Value, Failure> {
    let spec = review.get("spec").cloned().unwrap_or(Value::Null);
    match kind.kind {
        "SelfSubjectReview" => Ok(json!({"userInfo": user_info(&context.user)})),
        "SelfSubjectAccessReview" => Ok(judged(context, &context.user, &spec)),
        "SubjectAccessReview" | "LocalSubjectAccessReview" => {
            let text = |name: &str| spec.get(name).and_then(Value::as_str).unwrap_or_default();
            let groups = spec.get("groups").and_then(Value::as_array);
            let groups = groups.into_iter().flatten().filter_map(Value::as_str);
            Ok(judged(context, &User::new(text("user"), text("uid"), groups), &spec))
        }
        "SelfSubjectRulesReview" => {
            let namespace = spec.get("namespace").and_then(Value::as_str).unwrap_or_default();
            Ok(context.access.policy.rules_for(&context.user, namespace).to_status())
        }
        "TokenReview" => Ok(token_review(context, &spec)),
        "AccessExplanation" => access_reviews::explain(context, &spec),
        "ResourceAccessReview" => access_reviews::who_can(context, &spec),
        "GrantUsageReview" => access_reviews::unused(context, &spec).await,
        _ => Err(Failure::no_such_resource()),
    }
}

fn token_review(context: &Context<'_>, spec: &Value) -> Value {
    let token = spec.get("token").and_then(Value::as_str).unwrap_or_default();
    let audiences = spec.get("audiences").and_then(Value::as_array);
    let audiences: Vec<String> = audiences.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let state = context.state;
    let live = Live { access: &context.access, objects: &state.objects };
    match state.authenticator.token_user(token.as_bytes(), &audiences, &live) {
        TokenVerdict::Authenticated { user, audiences } => {
            json!({"authenticated": true, "user": user_info(&user), "audiences": audiences})
        }
        TokenVerdict::WrongAudience { token_audiences } => {
            let asked = if audiences.is_empty() { vec![state.authenticator.issuer().to_owned()] } else { audiences };
            let error = format!(
                "[invalid bearer token, token audiences {} is invalid for the target audiences {}]",
                go_list(&token_audiences),
                go_list(&asked)
            );
            json!({"user": {}, "error": error})
        }
        TokenVerdict::Invalid => json!({"user": {}, "error": "invalid bearer token"}),
    }
}

/// A list of texts as Go's `%q` writes it.
fn go_list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| go_quote(text)).collect();
    format!("[{}]", quoted.join(" "))
}

/// A user as reviews and audit events show it.
pub(super) fn user_info(user: &User) -> Value {
    let mut info = json!({"username": user.name});
    if let Some(fields) = info.as_object_mut() {
        if !user.uid.is_empty() {
            fields.insert("uid".to_owned(), user.uid.as_str().into());
        }
        fields.insert("groups".to_owned(), user.groups.clone().into());
        if !user.extra.is_empty() {
            fields.insert("extra".to_owned(), json!(user.extra));
        }
    }
    info
}

fn judged(context: &Context<'_>, user: &User, spec: &Value) -> Value {
    let decision = context.access.policy.decide(user, &access_reviews::attributes(spec));
    let mut status = json!({"allowed": decision.is_allowed()});
    let reason = decision.reason();
    if let Some(fields) = status.as_object_mut().filter(|_| !reason.is_empty()) {
        fields.insert("reason".to_owned(), reason.into());
    }
    status
}

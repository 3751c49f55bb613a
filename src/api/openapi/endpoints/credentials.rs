//! Signing in and out, one's own password, and the server's own credentials.

use serde_json::{Value, json};
use utoipa::openapi::path::{HttpMethod, OperationBuilder};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{
    AllOfBuilder, AnyOfBuilder, KnownFormat, Object, ObjectBuilder, Schema, SchemaFormat, Type,
};
use utoipa::openapi::{RefOr, Required};

use super::{Access, Listed, answered, operation};
use crate::api::body;
use crate::api::openapi::failures::{self, Case};
use crate::api::openapi::responses::{JSON, Shared, YAML, response};
use crate::api::openapi::schemas::{Components, reference, text};
use crate::api::openapi::{ADMINISTRATION, SESSIONS, examples};
use crate::api::session::{self, BODY_MAX_BYTES, Fields, LOGIN_PATH, REFRESH_PATH};
use crate::api::status::Failure;
use crate::auth::{LoginError, Refusal, RefusalReason, SessionFacts, Tokens, policy_problem};
use crate::model::kinds::{PASSWORD_REQUEST, USER};
use crate::sensitive::SecretBytes;

const FORM: &str = "application/x-www-form-urlencoded";
const REFRESH_TOKEN: &str = "sr_rt_example";

/// All of them.
pub fn all(shared: &mut Shared) -> Vec<Listed> {
    vec![login(shared), refresh(shared), logout(shared), password(shared), rotate_admin(shared), rotate_keys(shared)]
}

/// Adds the schemas of bodies and answers.
pub fn add_schemas(all: &mut Components) {
    let password_grant = ObjectBuilder::new()
        .property("grant_type", text().enum_values(Some(["password"])))
        .property("username", text().description(Some("Name of the User.")))
        .property("password", secret("The password."))
        .required("username")
        .required("password")
        .description(Some("OAuth 2.0's password grant (RFC 6749, 4.3). The grant_type may be left out."));
    all.insert("PasswordGrant".to_owned(), password_grant.into());
    let refresh_token = ObjectBuilder::new()
        .property("refresh_token", secret("The refresh token that was given last."))
        .required("refresh_token")
        .description(Some("A refresh token, which is good for one use."));
    all.insert("RefreshToken".to_owned(), refresh_token.into());
    let tokens = ObjectBuilder::new()
        .property("access_token", text().description(Some("What requests carry: a signed token (RFC 9068).")))
        .property("token_type", text().enum_values(Some(["Bearer"])))
        .property("expires_in", seconds("Seconds for which the access token is valid."))
        .property("refresh_token", text().description(Some("What the next tokens are got with, once.")))
        .property("refresh_expires_in", seconds("Seconds within which the refresh token has to be used."));
    let tokens = ["access_token", "token_type", "expires_in", "refresh_token", "refresh_expires_in"]
        .into_iter()
        .fold(tokens, ObjectBuilder::required)
        .description(Some("What somebody gets who has signed in (RFC 6749, 5.1)."));
    all.insert("Tokens".to_owned(), tokens.into());
    let change = ObjectBuilder::new()
        .property("old_password", secret("The present password."))
        .property("new_password", secret("12 to 1024 bytes of text, and none of those that everybody tries first."))
        .required("old_password")
        .required("new_password")
        .description(Some("One's own new password."));
    all.insert("PasswordChange".to_owned(), change.into());
    let rotation = ObjectBuilder::new()
        .property(
            "revoke",
            ObjectBuilder::new()
                .schema_type(Type::Boolean)
                .default(Some(json!(false)))
                .description(Some("Whether tokens that the former keys have signed end now.")),
        )
        .description(Some("How the keys are replaced."));
    all.insert("KeyRotation".to_owned(), rotation.into());
}

fn login(shared: &mut Shared) -> Listed {
    let id = "login";
    let with_token =
        ObjectBuilder::new().property("grant_type", text().enum_values(Some(["refresh_token"]))).required("grant_type");
    let with_token = AllOfBuilder::new().item(reference("RefreshToken")).item(with_token);
    let schema: Schema = AnyOfBuilder::new().item(reference("PasswordGrant")).item(with_token).into();
    let by_password =
        json!({"grant_type": "password", "username": examples::name(&USER), "password": example_password()});
    let by_token = json!({"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN});
    let body = sent(
        schema,
        &[JSON, FORM],
        vec![("login.password".to_owned(), by_password), ("login.refresh".to_owned(), by_token)],
        "The credentials. As a form it is OAuth 2.0's token request.",
        Required::True,
        shared,
    );
    let grant = refused(JSON, b"{\"grant_type\":\"code\"}", |fields| fields.asks_for_refresh().map(drop));
    let missing = [("field", session::missing("username")), ("grant", grant)];
    let mut failures = of_sessions(missing);
    failures.push((429, too_many()));
    let text = "Exchanges a password for an access token of fifteen minutes and a refresh token. Every failure is answered \
                alike, whatever is wrong; after three of them attempts have to wait. A client's own name and secret, as \
                OAuth 2.0 has them, are not looked at.";
    let operation =
        post(LOGIN_PATH, id, SESSIONS, "Sign in", Access::Public, failures, shared).request_body(Some(body));
    listed(LOGIN_PATH, with_tokens(operation.description(Some(text)), id, shared))
}

fn refresh(shared: &mut Shared) -> Listed {
    let id = "refresh";
    let body = refresh_body("The refresh token.", Required::True, shared);
    let failures = of_sessions([("field", session::missing("refresh_token"))]);
    let text = "The former refresh token is spent. Whoever uses it again, but for a repetition within thirty seconds, \
                ends the session: somebody else may have it.";
    let summary = "Exchange a refresh token for new tokens";
    let operation =
        post(REFRESH_PATH, id, SESSIONS, summary, Access::Public, failures, shared).request_body(Some(body));
    listed(REFRESH_PATH, with_tokens(operation.description(Some(text)), id, shared))
}

fn logout(shared: &mut Shared) -> Listed {
    let (path, id) = ("/strongroom/v1/logout", "logout");
    let body = refresh_body(
        "A refresh token of the session, if not the session of the bearer token is meant.",
        Required::False,
        shared,
    );
    let operation = post(path, id, SESSIONS, "Sign out", Access::PublicOrToken, of_sessions([]), shared)
        .description(Some("Ends a session: its access and refresh tokens are no longer valid."))
        .request_body(Some(body));
    listed(path, with_status(operation, id, &[("output", session::LOGGED_OUT)], "The session has ended.", shared))
}

fn password(shared: &mut Shared) -> Listed {
    let (path, id) = ("/strongroom/v1/password", "changePassword");
    let example = json!({"old_password": example_password(), "new_password": "nine lanterns over quiet water"});
    let body = sent(
        reference("PasswordChange"),
        &[JSON, FORM],
        vec![("changePassword.input".to_owned(), example)],
        "The present and the new password.",
        Required::True,
        shared,
    );
    let mut failures = of_sessions([("field", session::missing("old_password"))]);
    failures.push((429, too_many()));
    let refused = policy_problem(examples::name(&USER), &SecretBytes::new(b"short".to_vec()));
    failures
        .push((422, refused.map(|why| ("password", session::told(&LoginError::Password(why)))).into_iter().collect()));
    let text = "For the session of a user who has signed in with a password. The user's other sessions end, and so do the \
                former tokens of this one: go on with those in the answer.";
    let operation = post(path, id, SESSIONS, "Change one's own password", Access::Granted, failures, shared)
        .description(Some(text))
        .request_body(Some(body));
    listed(path, with_tokens(operation, id, shared))
}

fn rotate_admin(shared: &mut Shared) -> Listed {
    let (path, id) = ("/strongroom/v1/admin/rotate", "rotateAdminToken");
    let mut failures = with_a_body();
    failures.extend([(400, vec![("impersonation", session::impersonating())]), (503, failures::general(503))]);
    let operation =
        post(path, id, ADMINISTRATION, "Replace the administrator's token", Access::Granted, failures, shared)
            .description(Some(
                "The new token is written into `admin.kubeconfig` in the server's home, and nowhere else.",
            ));
    let examples = [("output", session::ADMIN_ROTATED)];
    listed(path, with_status(operation, id, &examples, "The former token is no longer valid.", shared))
}

fn rotate_keys(shared: &mut Shared) -> Listed {
    let (path, id) = ("/strongroom/v1/admin/rotate-signing-keys", "rotateSigningKeys");
    let body = sent(
        reference("KeyRotation"),
        &[JSON],
        vec![("rotateSigningKeys.input".to_owned(), json!({"revoke": false}))],
        "Without a body no token ends.",
        Required::False,
        shared,
    );
    let revoke = refused(JSON, b"{\"revoke\":\"yes\"}", |fields| fields.flag("revoke").map(drop));
    let mut failures = with_a_body();
    failures.extend([
        (400, vec![("json", not_json()), ("revoke", revoke), ("impersonation", session::impersonating())]),
        (415, vec![("media-type", refused("text/csv", b"", |_| Ok(())))]),
        (503, failures::general(503)),
    ]);
    let text = "Access tokens and service accounts' tokens are signed with new keys from now on. With `revoke` those of the \
                former keys end at once; users go on with their refresh tokens.";
    let summary = "Replace the keys that tokens are signed with";
    let operation = post(path, id, ADMINISTRATION, summary, Access::Granted, failures, shared)
        .description(Some(text))
        .request_body(Some(body));
    let examples = [("rotated", session::KEYS_ROTATED), ("revoked", session::KEYS_REVOKED)];
    listed(path, with_status(operation, id, &examples, "The keys were replaced.", shared))
}

fn post(
    path: &str,
    id: &str,
    tag: &str,
    summary: &str,
    access: Access,
    failures: Vec<(u16, Vec<Case>)>,
    shared: &mut Shared,
) -> OperationBuilder {
    operation(("post", path), id, tag, summary, access, failures, shared)
}

fn listed(path: &str, operation: OperationBuilder) -> Listed {
    (path.to_owned(), HttpMethod::Post, operation.build())
}

#[expect(clippy::disallowed_methods, reason = "the tokens are made up")]
fn with_tokens(operation: OperationBuilder, id: &str, shared: &mut Shared) -> OperationBuilder {
    let token = |text: &str| SecretBytes::new(text.as_bytes().to_vec());
    let tokens = Tokens {
        access_token: token("eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl"),
        expires_in_seconds: 900,
        refresh_token: token(REFRESH_TOKEN),
        refresh_expires_in_seconds: 604_800,
        facts: SessionFacts { user: String::new(), uid: String::new(), session: String::new() },
    };
    let answer = answered("Tokens", id, session::shown(&tokens).expose().clone(), "The tokens.", shared);
    operation.response("200", answer)
}

pub(super) fn with_status(
    operation: OperationBuilder,
    id: &str,
    examples: &[(&str, &str)],
    description: &str,
    shared: &mut Shared,
) -> OperationBuilder {
    let examples = examples.iter().map(|(name, message)| (format!("{id}.{name}"), session::done(message)));
    let content = shared.content(reference("Status"), examples.collect::<Vec<_>>());
    operation.response("200", response(description, [(JSON, content.clone()), (YAML, content)]))
}

fn refresh_body(description: &str, required: Required, shared: &mut Shared) -> RequestBody {
    let example = ("RefreshToken.input".to_owned(), json!({"refresh_token": REFRESH_TOKEN}));
    sent(reference("RefreshToken"), &[JSON, FORM], vec![example], description, required, shared)
}

pub(super) fn sent(
    schema: impl Into<RefOr<Schema>>,
    media_types: &[&str],
    examples: Vec<(String, Value)>,
    description: &str,
    required: Required,
    shared: &mut Shared,
) -> RequestBody {
    let content = shared.content(schema, examples);
    let body = RequestBodyBuilder::new().description(Some(description)).required(Some(required));
    media_types.iter().fold(body, |body, media_type| body.content(*media_type, content.clone())).build()
}

/// What can go wrong with whatever somebody sends to sign in or out.
fn of_sessions<const N: usize>(bad_requests: [Case; N]) -> Vec<(u16, Vec<Case>)> {
    let invalid = LoginError::Invalid(Refusal { user: None, reason: RefusalReason::UnknownUser });
    let mut bad_request = vec![("json", not_json())];
    bad_request.extend(bad_requests);
    let mut failures = with_a_body();
    failures.extend([
        (400, bad_request),
        (401, vec![("credentials", session::told(&invalid))]),
        (415, vec![("media-type", refused("text/csv", b"", |_| Ok(())))]),
        (503, vec![("unavailable", session::told(&LoginError::Unavailable))]),
    ]);
    failures
}

/// What can go wrong while a body is read.
pub(super) fn with_a_body() -> Vec<(u16, Vec<Case>)> {
    vec![(408, failures::general(408)), (413, vec![("size", body::too_large(BODY_MAX_BYTES))])]
}

fn too_many() -> Vec<Case> {
    let throttled = session::told(&LoginError::Throttled { retry_after_seconds: 8 });
    vec![("throttled", throttled), ("hashing", session::told(&LoginError::Busy { retry_after_seconds: 2 }))]
}

pub(super) fn not_json() -> Failure {
    refused(JSON, b"{\"username\":", |_| Ok(()))
}

/// What is said of a body that is not taken.
pub(super) fn refused(media_type: &str, bytes: &[u8], read: impl FnOnce(&Fields) -> Result<(), Failure>) -> Failure {
    let fields = Fields::read(Some(media_type), &SecretBytes::new(bytes.to_vec()));
    fields.and_then(|fields| read(&fields)).err().unwrap_or_else(Failure::internal)
}

fn example_password() -> Value {
    examples::input(&PASSWORD_REQUEST).pointer("/spec/password").cloned().unwrap_or_default()
}

pub(super) fn secret(description: &str) -> ObjectBuilder {
    text()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
        .write_only(true)
        .description(Some(description))
}

fn seconds(description: &str) -> Object {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).description(Some(description)).build()
}

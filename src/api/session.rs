//! Endpoints of our own under `/strongroom/v1/`: signing in and out, one's own password, the server's credentials.
//!
//! Signing in speaks OAuth 2.0's password and refresh grants (RFC 6749, 4.3 and 6), as JSON or as a form, so that
//! Swagger UI's dialog and every OAuth library can do it. What it never does: say which part of credentials is wrong.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::standing::Live;
use super::status::Failure;
use super::{Context, body, respond};
use crate::audit::{self, RequestFacts};
use crate::auth::{LoginError, Record, SessionFacts, Tokens};
use crate::codec;
use crate::model::user::{GROUP_AUTHENTICATED, User};
use crate::rbac::{Attributes, Permit};
use crate::sensitive::{Document, SecretBytes};

/// Makes a new administrator's token, stores its hash, writes `admin.kubeconfig`, and ends the former token.
/// Takes the audit record of it. Supplied by `server`, which owns the home.
pub type RotateAdmin = Arc<dyn Fn(Vec<u8>) -> Pin<Box<dyn Future<Output = Result<(), &'static str>>>> + Send + Sync>;

/// The endpoints, all of them POST.
pub(super) const ENDPOINTS: [&str; 6] =
    ["login", "refresh", "logout", "password", "admin/rotate", "admin/rotate-signing-keys"];

/// The largest body of an endpoint here.
pub(super) const BODY_MAX_BYTES: usize = 4096;

/// Where a password is exchanged for tokens.
pub(super) const LOGIN_PATH: &str = "/strongroom/v1/login";
/// Where a refresh token is.
pub(super) const REFRESH_PATH: &str = "/strongroom/v1/refresh";
/// Where tokens are given out. A client may say there, in the `Authorization` header, who it is itself (RFC 6749,
/// 2.3.1), as OAuth's libraries and Swagger UI do unasked. Clients have no names here: it is not looked at.
pub(super) const TOKEN_PATHS: [&str; 2] = [LOGIN_PATH, REFRESH_PATH];

/// What a rotation of the administrator's token answers.
pub(super) const ADMIN_ROTATED: &str =
    "the administrator's token was replaced; admin.kubeconfig in the server's home holds the new one";
/// What a rotation of the signing keys answers.
pub(super) const KEYS_ROTATED: &str =
    "tokens are signed with new keys; those signed with former ones are valid until they end";
/// What a rotation answers that ends the tokens of the former keys.
pub(super) const KEYS_REVOKED: &str =
    "tokens are signed with new keys; those signed with former ones are no longer valid";
/// What a logout answers.
pub(super) const LOGGED_OUT: &str = "the session has ended";

/// The answer; of another path, the payload is given back.
pub(super) async fn route(
    context: &Context<'_>,
    permit: &Permit,
    payload: web::Payload,
) -> Result<Result<HttpResponse, web::Payload>, Failure> {
    let Some(endpoint) = context.http.path().strip_prefix("/strongroom/v1/") else { return Ok(Err(payload)) };
    if !ENDPOINTS.contains(&endpoint) {
        return Ok(Err(payload));
    }
    if context.http.method() != Method::POST {
        return Err(Failure::method_not_allowed());
    }
    if context.standing.impersonates() {
        return Err(impersonating());
    }
    let bytes = body::read_at_most(payload, BODY_MAX_BYTES).await?;
    context.confirm(permit)?;
    let response = match endpoint {
        "login" => login(context, &bytes).await,
        "refresh" => refresh(context, &bytes).await,
        "logout" => logout(context, &bytes).await,
        "password" => password(context, &bytes).await,
        "admin/rotate" => rotate_admin(context, permit).await,
        _ => rotate_signing_keys(context, permit, &bytes).await,
    };
    response.map(Ok)
}

async fn login(context: &Context<'_>, bytes: &SecretBytes) -> Result<HttpResponse, Failure> {
    let fields = Fields::of(context, bytes)?;
    if fields.asks_for_refresh()? {
        return refresh_with(context, &fields).await;
    }
    let username = fields.text("username").ok_or_else(|| missing("username"))?;
    let password = fields.secret("password").ok_or_else(|| missing("password"))?;
    let live = Live { access: &context.access, objects: &context.state.objects };
    let record = record(context);
    let tokens = context.state.authenticator.login(&username, password, client(context), &live, record).await;
    answered(context, tokens)
}

async fn refresh(context: &Context<'_>, bytes: &SecretBytes) -> Result<HttpResponse, Failure> {
    refresh_with(context, &Fields::of(context, bytes)?).await
}

async fn refresh_with(context: &Context<'_>, fields: &Fields) -> Result<HttpResponse, Failure> {
    let token = fields.secret("refresh_token").ok_or_else(|| missing("refresh_token"))?;
    let live = Live { access: &context.access, objects: &context.state.objects };
    let tokens = context.state.authenticator.refresh(token, &live, record(context)).await;
    answered(context, tokens)
}

async fn logout(context: &Context<'_>, bytes: &SecretBytes) -> Result<HttpResponse, Failure> {
    let authenticator = &context.state.authenticator;
    let ended = if bytes.is_empty() {
        authenticator.logout(&context.standing.identity, record(context)).await
    } else {
        match Fields::of(context, bytes)?.secret("refresh_token") {
            Some(token) => authenticator.logout_by_refresh_token(token, record(context)).await,
            None => authenticator.logout(&context.standing.identity, record(context)).await,
        }
    };
    ended.map_err(|error| failure(context, &error))?;
    context.facts.mark_recorded(true);
    Ok(success(context, LOGGED_OUT))
}

async fn password(context: &Context<'_>, bytes: &SecretBytes) -> Result<HttpResponse, Failure> {
    let fields = Fields::of(context, bytes)?;
    let old = fields.secret("old_password").ok_or_else(|| missing("old_password"))?;
    let new = fields.secret("new_password").ok_or_else(|| missing("new_password"))?;
    let live = Live { access: &context.access, objects: &context.state.objects };
    let (identity, client, record) = (&context.standing.identity, client(context), record(context));
    let changed = context.state.authenticator.change_own_password(identity, old, new, client, &live, record).await;
    answered(context, changed)
}

async fn rotate_admin(context: &Context<'_>, permit: &Permit) -> Result<HttpResponse, Failure> {
    let record = audit::mutation(&context.facts, permit.user(), permit.attributes(), "", "", 200);
    (context.state.home.rotate_admin)(record).await.map_err(Failure::unavailable)?;
    context.facts.mark_recorded(true);
    // The token goes into the kubeconfig of the home and nowhere else.
    Ok(success(context, ADMIN_ROTATED))
}

async fn rotate_signing_keys(
    context: &Context<'_>,
    permit: &Permit,
    bytes: &SecretBytes,
) -> Result<HttpResponse, Failure> {
    let revoke = if bytes.is_empty() { false } else { Fields::of(context, bytes)?.flag("revoke")? };
    let record = audit::mutation(&context.facts, permit.user(), permit.attributes(), "", "", 200);
    let rotated = context.state.authenticator.rotate_signing_keys(revoke, Some(record)).await;
    rotated.map_err(|_| Failure::unavailable("the store cannot be written"))?;
    context.facts.mark_recorded(true);
    Ok(success(context, if revoke { KEYS_REVOKED } else { KEYS_ROTATED }))
}

/// The record of a change to a session, in the name of whose session it is.
fn record(context: &Context<'_>) -> Record {
    let facts: RequestFacts = context.facts.clone();
    let path = context.http.path().to_owned();
    Box::new(move |session: &SessionFacts| {
        let user = User::new(&session.user, &session.uid, [GROUP_AUTHENTICATED]);
        facts.annotate("strongroom.dev/session", session.session.clone());
        audit::mutation(&facts, &user, &Attributes::path("post", &path), "", "", 200)
    })
}

fn client(context: &Context<'_>) -> Option<IpAddr> {
    context.http.peer_addr().map(|address| address.ip())
}

#[expect(clippy::disallowed_methods, reason = "tokens are told to the one who signed in")]
fn answered(context: &Context<'_>, tokens: Result<Tokens, LoginError>) -> Result<HttpResponse, Failure> {
    let tokens = tokens.map_err(|error| failure(context, &error))?;
    context.facts.mark_recorded(true);
    Ok(respond::value(&context.style, 200, shown(&tokens).expose(), &[]))
}

/// The answer to somebody who has signed in (RFC 6749, 5.1).
#[expect(clippy::disallowed_methods, reason = "the text goes from one secret into another")]
pub(super) fn shown(tokens: &Tokens) -> Document {
    let text = |token: &SecretBytes| String::from_utf8_lossy(token.expose()).into_owned();
    Document::new(json!({
        "access_token": text(&tokens.access_token), "token_type": "Bearer", "expires_in": tokens.expires_in_seconds,
        "refresh_token": text(&tokens.refresh_token), "refresh_expires_in": tokens.refresh_expires_in_seconds,
    }))
}

/// What the client is told. What the audit is told besides is who it was, if that is known.
fn failure(context: &Context<'_>, error: &LoginError) -> Failure {
    if let LoginError::Invalid(refusal) = error {
        context.facts.annotate("strongroom.dev/refused", refusal.reason.to_string());
        if let Some(user) = &refusal.user {
            context.facts.annotate("strongroom.dev/user", user.clone());
        }
    }
    told(error)
}

/// What the client is told.
pub(super) fn told(error: &LoginError) -> Failure {
    match error {
        LoginError::Invalid(_) => Failure::new(401, "Unauthorized", "invalid credentials", None),
        LoginError::Throttled { retry_after_seconds } => {
            Failure::too_many("too many failed attempts, please try again later", *retry_after_seconds)
        }
        LoginError::Busy { retry_after_seconds } => {
            Failure::too_many("too many passwords are being checked, please try again later", *retry_after_seconds)
        }
        LoginError::Password(why) => Failure::new(422, "Invalid", *why, None),
        LoginError::Unavailable => Failure::unavailable("nobody can sign in now"),
    }
}

pub(super) fn missing(field: &str) -> Failure {
    Failure::bad_request(format!("{field}: required"))
}

pub(super) fn impersonating() -> Failure {
    Failure::bad_request("credentials are one's own: leave out the Impersonate headers")
}

fn success(context: &Context<'_>, message: &str) -> HttpResponse {
    respond::value(&context.style, 200, &done(message), &[])
}

/// The answer that says that something was done.
pub(super) fn done(message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "message": message})
}

/// The fields of a small body, each of which may be a secret.
pub(super) struct Fields(Document);

impl Fields {
    pub(super) fn of(context: &Context<'_>, bytes: &SecretBytes) -> Result<Self, Failure> {
        Self::read(context.header("content-type"), bytes)
    }

    /// JSON, or a form (`application/x-www-form-urlencoded`).
    #[expect(clippy::disallowed_methods, reason = "the body is decoded here")]
    pub(super) fn read(content_type: Option<&str>, bytes: &SecretBytes) -> Result<Self, Failure> {
        let value = match body::media_type(content_type).as_deref() {
            None | Some("application/json") => {
                let parsed = codec::json::parse(bytes.expose());
                // What is wrong with it is not told: the text of the error may hold a part of a password.
                let parsed = parsed.map_err(|_| Failure::bad_request("the body is no JSON object"))?;
                if !parsed.duplicates.is_empty() {
                    return Err(Failure::bad_request("the body names a field twice"));
                }
                parsed.value
            }
            Some("application/x-www-form-urlencoded") => {
                let mut fields = serde_json::Map::new();
                for (name, value) in form_urlencoded::parse(bytes.expose()) {
                    if fields.insert(name.into_owned(), Value::from(value.into_owned())).is_some() {
                        return Err(Failure::bad_request("the body names a field twice"));
                    }
                }
                Value::Object(fields)
            }
            Some(_) => {
                let text = "accepted media types are application/json and application/x-www-form-urlencoded";
                return Err(Failure::unsupported_media_type(text, None));
            }
        };
        if !value.is_object() {
            return Err(Failure::bad_request("the body is no JSON object"));
        }
        Ok(Self(Document::new(value)))
    }

    /// All of them.
    pub(super) fn value(&self) -> &Document {
        &self.0
    }

    /// Whether it is a refresh token, and not a password, that is to be exchanged for tokens.
    pub(super) fn asks_for_refresh(&self) -> Result<bool, Failure> {
        match self.text("grant_type").as_deref() {
            None | Some("password") => Ok(false),
            Some("refresh_token") => Ok(true),
            Some(_) => Err(Failure::bad_request("grant_type: password or refresh_token")),
        }
    }

    /// A field that is no secret.
    #[expect(clippy::disallowed_methods, reason = "the field is no secret")]
    fn text(&self, name: &str) -> Option<String> {
        self.0.expose().get(name).and_then(Value::as_str).map(str::to_owned)
    }

    #[expect(clippy::disallowed_methods, reason = "the field goes from one secret into another")]
    pub(super) fn secret(&self, name: &str) -> Option<SecretBytes> {
        let text = self.0.expose().get(name).and_then(Value::as_str)?;
        Some(SecretBytes::new(text.as_bytes().to_vec()))
    }

    /// A list of texts that are no secrets.
    #[expect(clippy::disallowed_methods, reason = "the field is no secret")]
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, Failure> {
        let Some(value) = self.0.expose().get(name) else { return Ok(Vec::new()) };
        let texts = value.as_array().into_iter().flatten().map(|text| text.as_str().map(str::to_owned));
        let texts = value.is_array().then(|| texts.collect::<Option<Vec<_>>>()).flatten();
        texts.ok_or_else(|| Failure::bad_request(format!("{name}: a list of texts")))
    }

    #[expect(clippy::disallowed_methods, reason = "the field is no secret")]
    pub(super) fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self.0.expose().get(name) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| Failure::bad_request(format!("{name}: true or false"))),
        }
    }
}

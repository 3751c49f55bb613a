//! The keys of the room: `GET /strongroom/v1/keys`, and what changes them below that.
//!
//! Whoever may change a slot can open every copy of the database that is made afterwards: these paths are granted to nobody but
//! administrators by default. What it never does: answer with a key or a secret, or say more of a wrong secret than that it is.

use actix_web::http::Method;
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::session::{Fields, done};
use super::status::Failure;
use super::{Context, body, respond};
use crate::audit;
use crate::clock::rfc3339;
use crate::crypto::{SlotKind, TermState};
use crate::keys::{
    Change, DATA_ROTATED, KeyStatus, KeysError, ROOT_ROTATED, Rewrapped, RootRotation, SLOT_CHANGED, SLOT_REMOVED,
    SlotSecret,
};
use crate::rbac::Permit;

/// Where they are.
pub const PATH: &str = "/strongroom/v1/keys";
/// Where a new data term is made.
pub const ROTATE_DATA: &str = "/strongroom/v1/keys/rotate-data";
/// Where a new root key is.
pub const ROTATE_ROOT: &str = "/strongroom/v1/keys/rotate-root";
/// Where the slots are, each by the name of its kind.
pub const SLOTS: &str = "/strongroom/v1/keys/slots/";

/// The largest body: a secret for each kind of slot.
pub(super) const BODY_MAX_BYTES: usize = 16 * 1024;
/// What a trial is answered with.
pub const TRIAL: &str = "everything was looked at and nothing was changed: it can be done";
/// What a rotation of the root key takes secrets by.
pub const FIELDS: [(&str, SlotKind); 4] = [
    ("passphrase", SlotKind::Passphrase),
    ("keyFile", SlotKind::KeyFile),
    ("systemdCredential", SlotKind::SystemdCredential),
    ("recoveryKey", SlotKind::Recovery),
];

/// Whether this is one of the paths here.
pub(super) fn serves(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

enum Asked {
    Status,
    RotateData,
    RotateRoot,
    SetSlot(SlotKind),
    RemoveSlot(SlotKind),
}

impl Asked {
    fn of(method: &Method, path: &str) -> Result<Self, Failure> {
        let is = |wanted: &Method| if method == wanted { Ok(()) } else { Err(Failure::method_not_allowed()) };
        match path {
            PATH => match method.as_str() {
                "GET" | "HEAD" => Ok(Self::Status),
                _ => Err(Failure::method_not_allowed()),
            },
            ROTATE_DATA => is(&Method::POST).map(|()| Self::RotateData),
            ROTATE_ROOT => is(&Method::POST).map(|()| Self::RotateRoot),
            _ => {
                let kind = path.strip_prefix(SLOTS).and_then(SlotKind::from_name).ok_or_else(no_such_path)?;
                match method.as_str() {
                    "PUT" => Ok(Self::SetSlot(kind)),
                    "DELETE" => Ok(Self::RemoveSlot(kind)),
                    _ => Err(Failure::method_not_allowed()),
                }
            }
        }
    }
}

pub(super) async fn route(
    context: &Context<'_>,
    permit: &Permit,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    let asked = Asked::of(context.http.method(), context.http.path())?;
    let bytes = body::read_at_most(payload, BODY_MAX_BYTES).await?;
    context.confirm(permit)?;
    let fields = || Fields::read(context.header("content-type"), &bytes);
    let keys = &context.state.home.keys;
    let is_trial = !matches!(asked, Asked::Status) && context.is_trial()?;
    let change = if is_trial {
        Change::Trial
    } else {
        Change::Made(audit::mutation(&context.facts, permit.user(), permit.attributes(), "", "", 200))
    };
    let refused = |error: KeysError| failure(&error);
    let message = match asked {
        Asked::Status => return Ok(respond::value(&context.style, 200, &status(&keys.status()), &[])),
        Asked::RotateData => {
            let term = keys.rotate_data(change).await.map_err(refused)?;
            format!("data key {term}: {DATA_ROTATED}")
        }
        Asked::RotateRoot => {
            let rotation = root_rotation(&fields()?)?;
            told(ROOT_ROTATED, &keys.rotate_root(rotation, change).await.map_err(refused)?)
        }
        Asked::SetSlot(kind) => {
            let fields = fields()?;
            let text = fields.secret("secret").ok_or_else(|| super::session::missing("secret"))?;
            let secret = SlotSecret::read(kind, &text).map_err(refused)?;
            let replace = fields.flag("replace")?;
            told(SLOT_CHANGED, &keys.set_slot(secret, replace, change).await.map_err(refused)?)
        }
        Asked::RemoveSlot(kind) => {
            let force = context.query.flag("force");
            told(SLOT_REMOVED, &keys.remove_slot(kind, force, change).await.map_err(refused)?)
        }
    };
    if is_trial {
        return Ok(respond::value(&context.style, 200, &done(TRIAL), &[]));
    }
    context.facts.mark_recorded(true);
    Ok(respond::value(&context.style, 200, &done(&message), &[]))
}

/// What a body asks for of a new root key.
fn root_rotation(fields: &Fields) -> Result<RootRotation, Failure> {
    let given = FIELDS.into_iter().filter_map(|(name, kind)| Some((kind, fields.secret(name)?)));
    let secrets = given.map(|(kind, text)| SlotSecret::read(kind, &text)).collect::<Result<Vec<_>, _>>();
    let drop = fields.texts("drop")?.iter().map(|name| SlotKind::from_name(name)).collect::<Option<Vec<_>>>();
    Ok(RootRotation {
        secrets: secrets.map_err(|error| failure(&error))?,
        drop: drop.ok_or_else(|| Failure::bad_request("drop: names of slots"))?,
        force: fields.flag("force")?,
    })
}

fn told(what: &str, done: &Rewrapped) -> String {
    let mut text = what.to_owned();
    if !done.dropped.is_empty() {
        let names: Vec<&str> = done.dropped.iter().map(|kind| kind.name()).collect();
        text.push_str("; slots that are gone: ");
        text.push_str(&names.join(", "));
    }
    if !done.is_log_emptied {
        text.push_str("; a reader holds the write-ahead log, which keeps the former keys until its next checkpoint");
    }
    text
}

/// The keys, as they are told of.
pub(super) fn status(status: &KeyStatus) -> Value {
    let terms: Vec<Value> = status
        .terms
        .iter()
        .map(|term| {
            let state = match term.state {
                TermState::Active => "Active",
                TermState::DecryptOnly => "DecryptOnly",
            };
            json!({"id": term.id, "state": state, "created": rfc3339(term.created_unix_seconds)})
        })
        .collect();
    let slots: Vec<Value> = status
        .slots
        .iter()
        .map(|slot| {
            json!({
                "id": slot.id, "kind": slot.kind.name(), "highEntropy": slot.is_high_entropy, "inUse": slot.is_in_use,
            })
        })
        .collect();
    let resealing = status.resealing;
    json!({
        "kind": "KeyStatus",
        "apiVersion": "strongroom.dev/v1alpha1",
        "terms": terms,
        "resealing": {
            "finished": resealing.is_finished, "total": resealing.total, "done": resealing.done,
            "damaged": resealing.damaged,
        },
        "slots": slots,
        "protects": status.protects,
        "doesNotProtect": status.does_not_protect,
    })
}

pub(super) fn no_such_path() -> Failure {
    Failure::new(404, "NotFound", "the keys have no such path", None)
}

/// What the client is told.
pub(super) fn failure(error: &KeysError) -> Failure {
    let text = error.to_string();
    match error {
        KeysError::NoSlot(_) => Failure::new(404, "NotFound", text, None),
        KeysError::SlotExists(_) => Failure::new(409, "AlreadyExists", text, None),
        KeysError::LastSlot | KeysError::InUse(_) | KeysError::NotNamed(_) | KeysError::Busy => {
            Failure::new(409, "Conflict", text, None)
        }
        KeysError::WrongSecret(_) | KeysError::NotOfKind(_) | KeysError::Secret(_) => {
            Failure::new(422, "Invalid", text, None)
        }
        KeysError::Unable(_) => Failure::unavailable(text),
        KeysError::Store(_) => Failure::unavailable("the store cannot be written"),
    }
}

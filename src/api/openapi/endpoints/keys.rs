//! The keys of the room.

use serde_json::{Value, json};
use utoipa::openapi::Required;
use utoipa::openapi::path::HttpMethod;
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, Type};

use super::credentials::{not_json, refused, secret, sent, with_status};
use super::{Access, Listed, answered, operation};
use crate::api::keys::{self, FIELDS, PATH, ROTATE_DATA, ROTATE_ROOT, SLOTS};
use crate::api::openapi::ADMINISTRATION;
use crate::api::openapi::failures::{self, Case};
use crate::api::openapi::parameters::{dry_run, path as path_parameter, pretty, query};
use crate::api::openapi::responses::{JSON, Shared};
use crate::api::openapi::schemas::{Components, reference, text};
use crate::api::{body, wrong_trial};
use crate::crypto::{SlotKind, TermInfo, TermState};
use crate::keys::{
    DATA_ROTATED, KeyStatus, KeysError, ROOT_ROTATED, Resealing, SLOT_CHANGED, SLOT_REMOVED, SlotStatus,
};

/// The line of a key file. No room has this key.
const KEY_FILE: &str = "strongroom-unlock-key-v1:RXhhbXBsZSBrZXksIG9mIGRvY3VtZW50YXRpb24gMzI=";

/// All of them.
pub fn all(shared: &mut Shared) -> Vec<Listed> {
    vec![status(shared), rotate_data(shared), rotate_root(shared), set_slot(shared), remove_slot(shared)]
}

/// Adds the schemas of bodies and answers.
pub fn add_schemas(all: &mut Components) {
    let flag = |what: &str| ObjectBuilder::new().schema_type(Type::Boolean).description(Some(what));
    let count = |what: &str| ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).description(Some(what));
    let time = || text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    let required =
        |object: ObjectBuilder, names: &[&str]| names.iter().fold(object, |object, name| object.required(*name));
    let term = ObjectBuilder::new()
        .property("id", count("Its number."))
        .property("state", text().enum_values(Some(["Active", "DecryptOnly"])))
        .property("created", time().description(Some("When it was made.")));
    let resealing = ObjectBuilder::new()
        .property("finished", flag("Nothing is left to be done."))
        .property("total", count("Rows that are to be sealed anew."))
        .property("done", count("Those that are."))
        .property("damaged", count("Those that do not open, and keep their key from being destroyed."));
    let slot = ObjectBuilder::new()
        .property("id", count("Its number."))
        .property("kind", text().enum_values(Some(SlotKind::ALL.map(SlotKind::name))))
        .property("highEntropy", flag("Its secret is random, and not what a person has chosen."))
        .property("inUse", flag("The running server was opened with it."));
    let said = |what: &str| ArrayBuilder::new().items(text()).description(Some(what));
    let status = ObjectBuilder::new()
        .property("kind", text().enum_values(Some(["KeyStatus"])))
        .property("apiVersion", text().enum_values(Some(["strongroom.dev/v1alpha1"])))
        .property("terms", ArrayBuilder::new().items(required(term, &["id", "state", "created"])))
        .property("resealing", required(resealing, &["finished", "total", "done", "damaged"]))
        .property("slots", ArrayBuilder::new().items(required(slot, &["id", "kind", "highEntropy", "inUse"])))
        .property("protects", said("What the keys protect against as they are."))
        .property("doesNotProtect", said("What they do not."));
    let names = ["kind", "apiVersion", "terms", "resealing", "slots", "protects", "doesNotProtect"];
    let status = required(status, &names).description(Some("The keys of the room. Nothing of it is secret."));
    all.insert("KeyStatus".to_owned(), status.into());

    let rotation = ObjectBuilder::new()
        .property("force", flag("Let go of the slot that the running server was opened with, too."));
    let rotation = FIELDS.into_iter().fold(rotation, |rotation, (name, kind)| {
        rotation.property(name, secret(&format!("The secret of the {kind} slot, which stays.")))
    });
    let names = text().enum_values(Some(SlotKind::ALL.map(SlotKind::name)));
    let rotation = rotation
        .property("drop", ArrayBuilder::new().items(names).description(Some("The slots that go.")))
        .description(Some(
            "The secrets of the slots that stay, and the names of those that go: each slot is in one of the two.",
        ));
    all.insert("RootKeyRotation".to_owned(), rotation.into());
    let slot = ObjectBuilder::new()
        .property("secret", secret("A passphrase, the line of a key file, or the text of a recovery key."))
        .property("replace", flag("Whether it takes the place of the slot that there is."))
        .required("secret")
        .description(Some("What opens the slot."));
    all.insert("UnlockSlot".to_owned(), slot.into());
}

fn status(shared: &mut Shared) -> Listed {
    let id = "getKeys";
    let term = |id, state, created_unix_seconds| TermInfo { id, state, created_unix_seconds };
    let slot = |id, kind, is_high_entropy, is_in_use| SlotStatus { id, kind, is_high_entropy, is_in_use };
    let example = keys::status(&KeyStatus {
        terms: vec![term(2, TermState::Active, 1_790_000_000), term(1, TermState::DecryptOnly, 1_780_000_000)],
        resealing: Resealing { total: 100_003, done: 25_600, damaged: 0, ..Resealing::default() },
        slots: vec![slot(1, SlotKind::KeyFile, true, true), slot(2, SlotKind::Passphrase, false, false)],
        protects: vec!["a copy of the database without a secret that opens it"],
        does_not_protect: vec!["whoever has a copy of the database and guesses a passphrase"],
    });
    let answer = answered("KeyStatus", id, example, "The keys.", shared);
    let failures = with_a_body(vec![]);
    let summary = "What keys there are, and what they protect against";
    let operation = operation(("get", PATH), id, ADMINISTRATION, summary, Access::Granted, failures, shared);
    let operation = shared.parameter(operation, pretty());
    (PATH.to_owned(), HttpMethod::Get, operation.response("200", answer).build())
}

fn rotate_data(shared: &mut Shared) -> Listed {
    let id = "rotateDataKey";
    let busy = (409, vec![("busy", keys::failure(&KeysError::Busy))]);
    let failures = with_a_body(vec![(400, vec![("dry-run", wrong_trial())]), busy]);
    let text = "What is written from now on is sealed with a new key. The rest follows in the background: no object changes by it, \
                and no watch tells of it. The former key is destroyed when nothing needs it.";
    let summary = "Make a new data key";
    let operation = operation(("post", ROTATE_DATA), id, ADMINISTRATION, summary, Access::Granted, failures, shared)
        .description(Some(text))
        .parameter(dry_run());
    let message = format!("data key 2: {DATA_ROTATED}");
    let answer = with_status(operation, id, &[("output", &message)], "There is a new data key.", shared);
    (ROTATE_DATA.to_owned(), HttpMethod::Post, answer.build())
}

fn rotate_root(shared: &mut Shared) -> Listed {
    let id = "rotateRootKey";
    let example = json!({"keyFile": KEY_FILE, "drop": ["recovery-key"]});
    let body = body_of("RootKeyRotation", id, example, "Secrets of the slots that stay.", shared);
    let conflicts = vec![
        ("last", keys::failure(&KeysError::LastSlot)),
        ("in-use", keys::failure(&KeysError::InUse(SlotKind::KeyFile))),
        ("not-named", keys::failure(&KeysError::NotNamed(SlotKind::Recovery))),
    ];
    let mut failures = with_secrets();
    failures.push((404, vec![("slot", keys::failure(&KeysError::NoSlot(SlotKind::Passphrase)))]));
    failures.push((409, conflicts));
    let summary = "Make a new root key";
    let text = "The keyring is wrapped with a new root key, and so are the slots whose secrets are given. The others are to be named: they go.";
    let operation = operation(("post", ROTATE_ROOT), id, ADMINISTRATION, summary, Access::Granted, failures, shared)
        .description(Some(text))
        .parameter(dry_run())
        .request_body(Some(body));
    let answer = with_status(operation, id, &[("output", ROOT_ROTATED)], "There is a new root key.", shared);
    (ROTATE_ROOT.to_owned(), HttpMethod::Post, answer.build())
}

fn set_slot(shared: &mut Shared) -> Listed {
    let (path, id) = (format!("{SLOTS}{{slot}}"), "setUnlockSlot");
    let body = body_of("UnlockSlot", id, json!({"secret": KEY_FILE, "replace": true}), "The secret.", shared);
    let mut failures = with_secrets();
    failures.push((409, vec![("exists", keys::failure(&KeysError::SlotExists(SlotKind::KeyFile)))]));
    failures.push((404, vec![("slot", keys::no_such_path())]));
    let summary = "Have a secret open the room";
    let operation = operation(("put", &path), id, ADMINISTRATION, summary, Access::Granted, failures, shared)
        .description(Some("There is one slot of each kind at most."))
        .parameter(dry_run())
        .request_body(Some(body));
    let operation = shared.parameter(operation, slot());
    let answer = with_status(operation, id, &[("output", SLOT_CHANGED)], "The secret opens the room.", shared);
    (path, HttpMethod::Put, answer.build())
}

fn remove_slot(shared: &mut Shared) -> Listed {
    let (path, id) = (format!("{SLOTS}{{slot}}"), "removeUnlockSlot");
    let conflicts = vec![
        ("last", keys::failure(&KeysError::LastSlot)),
        ("in-use", keys::failure(&KeysError::InUse(SlotKind::KeyFile))),
    ];
    let none = keys::failure(&KeysError::NoSlot(SlotKind::Passphrase));
    let trial = (400, vec![("dry-run", wrong_trial())]);
    let failures = with_a_body(vec![trial, (404, vec![("slot", none)]), (409, conflicts)]);
    let summary = "Have a secret open the room no longer";
    let operation = operation(("delete", &path), id, ADMINISTRATION, summary, Access::Granted, failures, shared)
        .description(Some("The last slot stays."))
        .parameter(dry_run());
    let operation = shared.parameter(operation, slot());
    let force = ObjectBuilder::new().schema_type(Type::Boolean);
    let force = query("force", "Let go of the slot that the running server was opened with, too.", force);
    let operation = shared.parameter(operation, force);
    let answer = with_status(operation, id, &[("output", SLOT_REMOVED)], "The slot is gone.", shared);
    (path, HttpMethod::Delete, answer.build())
}

fn slot() -> utoipa::openapi::path::Parameter {
    let schema = text().enum_values(Some(SlotKind::ALL.map(SlotKind::name)));
    path_parameter("slot", "Kind of the slot.", schema, SlotKind::KeyFile.name())
}

fn body_of(
    schema: &str,
    id: &str,
    example: Value,
    description: &str,
    shared: &mut Shared,
) -> utoipa::openapi::request_body::RequestBody {
    sent(reference(schema), &[JSON], vec![(format!("{id}.input"), example)], description, Required::True, shared)
}

/// What can go wrong with any of these, and with this one.
fn with_a_body(more: Vec<(u16, Vec<Case>)>) -> Vec<(u16, Vec<Case>)> {
    let too_large = vec![("size", body::too_large(keys::BODY_MAX_BYTES))];
    let mut failures = vec![(408, failures::general(408)), (413, too_large), (503, failures::general(503))];
    failures.extend(more);
    failures
}

/// What can go wrong with secrets that are sent.
fn with_secrets() -> Vec<(u16, Vec<Case>)> {
    let wrong = vec![
        ("kind", keys::failure(&KeysError::NotOfKind(SlotKind::KeyFile))),
        ("secret", keys::failure(&KeysError::WrongSecret(SlotKind::KeyFile))),
    ];
    with_a_body(vec![
        (400, vec![("json", not_json()), ("dry-run", wrong_trial())]),
        (415, vec![("media-type", refused("text/csv", b"", |_| Ok(())))]),
        (422, wrong),
    ])
}

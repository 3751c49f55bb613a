//! Sealing and unsealing, and how it is told.

use serde_json::json;
use utoipa::openapi::Required;
use utoipa::openapi::path::HttpMethod;
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, Type};

use super::{Access, Listed, answered, get, operation};
use crate::api::body;
use crate::api::openapi::ADMINISTRATION;
use crate::api::openapi::failures::{self, Case};
use crate::api::openapi::parameters::query;
use crate::api::openapi::responses::{JSON, Shared, YAML, response};
use crate::api::openapi::schemas::{Components, reference, text};
use crate::api::sealing::{
    SEAL_PATH, SEALING, STATUS_PATH, SealState, SealStatus, SlotFacts, UNSEAL_PATH, UnsealError, UnsealSecret,
    json_fields, not_local, not_served, told,
};
use crate::api::session::{self, BODY_MAX_BYTES, Fields};
use crate::api::status::Failure;
use crate::crypto::SlotKind;
use crate::sensitive::SecretBytes;

/// All of them.
pub fn all(shared: &mut Shared) -> Vec<Listed> {
    vec![status(shared), seal(shared), unseal(shared)]
}

/// Adds the schemas of bodies and answers.
pub fn add_schemas(all: &mut Components) {
    let slot = ObjectBuilder::new()
        .property("id", number("Its number."))
        .property("kind", text().description(Some("What opens it.")).enum_values(Some(kinds())))
        .required("id")
        .required("kind");
    let status = ObjectBuilder::new()
        .property(
            "state",
            text()
                .enum_values(Some(SealState::ALL.map(SealState::as_str)))
                .description(Some("Where the server is between sealed and ready.")),
        )
        .property("why", text().description(Some("Why it is not ready; empty where it is.")))
        .property("next", text().description(Some("What to do next; empty where there is nothing to do.")))
        .property("slots", ArrayBuilder::new().items(slot).description(Some("The ways to unseal the home.")));
    let status = ["state", "why", "next", "slots"].into_iter().fold(status, ObjectBuilder::required);
    all.insert("SealStatus".to_owned(), status.description(Some("What a server tells of its state.")).into());
    let unseal = ObjectBuilder::new()
        .property("passphrase", secret("What a person chose."))
        .property("key", secret("The 32 bytes of a key file, in base64."))
        .property("recoveryKey", secret("A recovery key, as it was written down."))
        .property("slot", number("Number of the slot that the secret opens, where there are several of its kind."))
        .description(Some("An unlock secret: one of `passphrase`, `key` and `recoveryKey`."));
    all.insert("Unseal".to_owned(), unseal.into());
}

fn status(shared: &mut Shared) -> Listed {
    let id = "getSealStatus";
    let text = "A sealed server answers alike, and so does one that is being opened.";
    let answer = answered("SealStatus", id, example().to_json(), "How it is.", shared);
    let operation = get(STATUS_PATH, id, ADMINISTRATION, "Is the server sealed?", Access::Public, shared)
        .description(Some(text))
        .response("200", answer);
    (STATUS_PATH.to_owned(), HttpMethod::Get, operation.build())
}

fn seal(shared: &mut Shared) -> Listed {
    let id = "seal";
    let dry_run = query("dryRun", "`All`: only say whether one may.", text().enum_values(Some(["All"])));
    let not_json = Fields::read(Some(JSON), &SecretBytes::new(b"[]".to_vec())).err();
    let mut failures = with_a_body();
    failures.extend([
        (
            400,
            not_json
                .map(|failure| ("json", failure))
                .into_iter()
                .chain([("impersonation", session::impersonating())])
                .collect::<Vec<_>>(),
        ),
        (415, media_type()),
        (503, vec![("sealed", not_served(&example()))]),
    ]);
    let text = "Streams end, requests in progress have a second to finish, and the server drops its keys and everything that was opened with \
                them. It goes on to listen: `/livez` answers 200, `/readyz` 503, and requests 503, until somebody unseals it.";
    let content = shared.content(reference("Status"), [(format!("{id}.output"), session::done(SEALING))]);
    let answer = response("The server seals itself now.", [(JSON, content.clone()), (YAML, content)]);
    let operation =
        operation(("post", SEAL_PATH), id, ADMINISTRATION, "Seal the server", Access::Granted, failures, shared)
            .description(Some(text))
            .parameter(dry_run)
            .response("200", answer);
    (SEAL_PATH.to_owned(), HttpMethod::Post, operation.build())
}

fn unseal(shared: &mut Shared) -> Listed {
    let id = "unseal";
    let none = Fields::read(Some(JSON), &SecretBytes::new(b"{}".to_vec()))
        .and_then(|fields| UnsealSecret::read(&fields).map(drop))
        .err();
    let mut failures = with_a_body();
    failures.extend([
        (400, none.map(|failure| ("secret", failure)).into_iter().collect::<Vec<_>>()),
        (401, vec![("wrong", told(UnsealError::Wrong))]),
        (403, vec![("remote", not_local())]),
        (
            415,
            vec![(
                "media-type",
                json_fields(None, &SecretBytes::new(Vec::new())).err().unwrap_or_else(Failure::internal),
            )],
        ),
        (
            429,
            vec![
                ("throttled", told(UnsealError::Throttled { retry_after_seconds: 8 })),
                ("checking", told(UnsealError::Busy)),
            ],
        ),
    ]);
    let text = "Only from the server's own machine: over loopback, or its Unix socket. One secret is checked at a time; every \
                failure is answered alike, and makes the next attempt wait longer, but not the owner's by the Unix socket. \
                The answer tells how the server is then; when it is `ready` or `read-only`, the home is open. A server that is \
                not sealed checks nothing.";
    let example = example_of(SealState::Verifying).to_json();
    let answer = answered("SealStatus", id, example, "The secret opens the home.", shared);
    let content = shared.content(reference("Unseal"), [(format!("{id}.input"), json!({"passphrase": "an example"}))]);
    let body = RequestBodyBuilder::new().description(Some("The secret.")).required(Some(Required::True));
    let operation =
        operation(("post", UNSEAL_PATH), id, ADMINISTRATION, "Unseal the server", Access::Public, failures, shared)
            .description(Some(text))
            .request_body(Some(body.content(JSON, content).build()))
            .response("200", answer);
    (UNSEAL_PATH.to_owned(), HttpMethod::Post, operation.build())
}

fn example() -> SealStatus {
    example_of(SealState::Sealed)
}

fn example_of(state: SealState) -> SealStatus {
    let (why, next) = match state {
        SealState::Sealed => ("it was sealed", "run `strongroom unseal` on its machine"),
        _ => ("every stored row is being authenticated", "wait until it is done"),
    };
    let slots = vec![SlotFacts { id: 1, kind: SlotKind::Passphrase.name().to_owned() }];
    SealStatus { state, why: why.to_owned(), next: next.to_owned(), slots }
}

fn kinds() -> [String; 4] {
    [SlotKind::Passphrase, SlotKind::KeyFile, SlotKind::SystemdCredential, SlotKind::Recovery]
        .map(|kind| kind.name().to_owned())
}

fn with_a_body() -> Vec<(u16, Vec<Case>)> {
    vec![(408, failures::general(408)), (413, vec![("size", body::too_large(BODY_MAX_BYTES))])]
}

fn media_type() -> Vec<Case> {
    let refused: Option<Failure> = Fields::read(Some("text/csv"), &SecretBytes::new(Vec::new())).err();
    refused.map(|failure| ("media-type", failure)).into_iter().collect()
}

fn number(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(0))
        .maximum(Some(u32::MAX))
        .description(Some(description))
}

fn secret(description: &str) -> ObjectBuilder {
    text()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
        .write_only(true)
        .description(Some(description))
}

//! Backups: one is made and sent, and what is known of them.

use serde_json::{Value, json};
use utoipa::openapi::Content;
use utoipa::openapi::Required;
use utoipa::openapi::path::HttpMethod;
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, Object, ObjectBuilder, SchemaFormat, Type};

use super::credentials::{not_json, refused, sent, with_a_body};
use super::{Access, Listed, answered, operation};
use crate::api::backups::{self, BackupRefused, CONTENT_TYPE, PATH};
use crate::api::openapi::ADMINISTRATION;
use crate::api::openapi::parameters::pretty;
use crate::api::openapi::responses::{JSON, Shared, header, response};
use crate::api::openapi::schemas::{Components, nullable, reference, text};

const MADE: &str = "2026-01-15T09:30:00Z";
const NAME: &str = "strongroom-2733dcd8887de431a047554a95e4e157-20260115T093000Z.strongroom-backup";

/// Both of them.
pub fn all(shared: &mut Shared) -> Vec<Listed> {
    vec![report(shared), make(shared)]
}

/// Adds the schemas of what is sent and answered.
pub fn add_schemas(all: &mut Components) {
    let request = ObjectBuilder::new()
        .property(
            "keepPassphraseSlots",
            ObjectBuilder::new().schema_type(Type::Boolean).default(Some(json!(false))).description(Some(
                "Keep slots of passphrases, which can be guessed, where the home opens otherwise too.",
            )),
        )
        .description(Some("How the backup is made."));
    all.insert("BackupRequest".to_owned(), request.into());
    let kept = ArrayBuilder::new().items(
        ObjectBuilder::new()
            .property("name", text())
            .property("created", time())
            .property("bytes", count("Size."))
            .required("name")
            .required("created")
            .required("bytes"),
    );
    let keep = ObjectBuilder::new()
        .property("newest", count("So many are kept."))
        .property("seconds", count("Those of so many seconds are kept."))
        .description(Some("What is kept: either of these."));
    let schedule = ObjectBuilder::new()
        .schema_type(nullable(Type::Object))
        .property("directory", text().description(Some("Where they are written.")))
        .property("everySeconds", count("From one to the next."))
        .property("keep", keep)
        .property("recipients", ArrayBuilder::new().items(text()).description(Some("Age recipients.")))
        .property("next", time())
        .property("files", kept)
        .description(Some("When the server makes backups by itself; null where it does not."));
    let last = ObjectBuilder::new()
        .schema_type(nullable(Type::Object))
        .property("created", time())
        .property("sequence", count("Commits that are in it."))
        .property("revision", count("The latest revision that is in it."))
        .property("bytes", count("Size."))
        .property("by", text().enum_values(Some(["schedule", "request"])))
        .description(Some("The last backup that the server made; null where there is none."));
    let report = ObjectBuilder::new()
        .property("schedule", schedule)
        .property("last", last)
        .property("failures", count("Backups that were not made, since the start."))
        .property(
            "failing",
            ObjectBuilder::new()
                .schema_type(Type::Boolean)
                .description(Some("Whether the last one by the schedule failed.")),
        )
        .description(Some("What is known of backups."));
    let report = ["schedule", "last", "failures", "failing"].into_iter().fold(report, ObjectBuilder::required);
    all.insert("BackupReport".to_owned(), report.into());
}

fn count(description: &str) -> Object {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).description(Some(description)).build()
}

fn time() -> ObjectBuilder {
    text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}

fn report(shared: &mut Shared) -> Listed {
    let id = "getBackups";
    let example: Value = json!({
        "schedule": {
            "directory": "/srv/backups", "everySeconds": 86_400, "keep": {"newest": 7}, "recipients": [],
            "next": "2026-01-16T09:30:00Z", "files": [{"name": NAME, "created": MADE, "bytes": 1_048_906}],
        },
        "last": {"created": MADE, "sequence": 812, "revision": 790, "bytes": 1_048_906, "by": "schedule"},
        "failures": 0, "failing": false,
    });
    let answer = answered("BackupReport", id, example, "The schedule and the last backup.", shared);
    let summary = "When backups are made, and the last one";
    let operation = operation(("get", PATH), id, ADMINISTRATION, summary, Access::Granted, Vec::new(), shared);
    let operation = shared.parameter(operation, pretty()).response("200", answer);
    (PATH.to_owned(), HttpMethod::Get, operation.build())
}

fn make(shared: &mut Shared) -> Listed {
    let id = "createBackup";
    let example = vec![("createBackup.input".to_owned(), json!({"keepPassphraseSlots": false}))];
    let (schema, description) = (reference("BackupRequest"), "Without a body, as by default.");
    let body: RequestBody = sent(schema, &[JSON], example, description, Required::False, shared);
    let wrong =
        refused(JSON, b"{\"keepPassphraseSlots\":\"yes\"}", |fields| fields.flag("keepPassphraseSlots").map(drop));
    let mut failures = with_a_body();
    failures.extend([
        (400, vec![("json", not_json()), ("slots", wrong)]),
        (415, vec![("media-type", refused("text/csv", b"", |_| Ok(())))]),
        (429, vec![("busy", backups::refused(BackupRefused::Busy))]),
        (503, vec![("failed", backups::refused(BackupRefused::Failed))]),
    ]);
    let bytes = text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)));
    let content = Content::builder()
        .schema(Some(bytes))
        .example(Some(json!("strongroom-backup/v1\n{\"format\":1,…}\n9f31…\nSQLite format 3…")))
        .build();
    let answer = response("The backup. Writes go on meanwhile.", [(CONTENT_TYPE, content)])
        .header_ref("Content-Disposition", header("Content-Disposition"));
    let text = "A copy of the database as it is at one moment, sealed as it always is, behind a manifest that says and proves \
                what it is of. Whoever has it and what opens the home has everything. One is made at a time.";
    let summary = "Make a backup";
    let operation = operation(("post", PATH), id, ADMINISTRATION, summary, Access::Granted, failures, shared)
        .description(Some(text))
        .request_body(Some(body))
        .response("200", answer);
    (PATH.to_owned(), HttpMethod::Post, operation.build())
}

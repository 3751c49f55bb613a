//! Bad input: what is wrong gets Kubernetes' Status with the right code and reason, never a 5xx and never a crash,
//! and leaves nothing behind.

mod bodies;
mod connections;
mod patches;
mod requests;

use serde_json::Value;

use crate::support::app::App;
use crate::support::http::{Client, Response};

const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const BODY_MAX_BYTES: usize = 3 << 20;

/// A request that must be refused.
struct Row {
    what: &'static str,
    method: &'static str,
    path: String,
    content_type: Option<&'static str>,
    accept: &'static str,
    body: Vec<u8>,
    code: u16,
    /// The Status's reason; `None` where Kubernetes gives none, or answers in plain text.
    reason: Option<&'static str>,
}

impl Row {
    fn post(what: &'static str, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            what,
            method: "POST",
            path: SECRETS.to_owned(),
            content_type: Some(content_type),
            accept: JSON,
            body: body.into(),
            code: 400,
            reason: Some("BadRequest"),
        }
    }

    fn get(what: &'static str, path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), content_type: None, ..Self::post(what, JSON, "") }
    }

    fn at(self, path: impl Into<String>) -> Self {
        Self { path: path.into(), ..self }
    }

    fn by(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    fn accepting(self, accept: &'static str) -> Self {
        Self { accept, ..self }
    }

    fn is(self, code: u16, reason: &'static str) -> Self {
        Self { code, reason: (!reason.is_empty()).then_some(reason), ..self }
    }

    fn invalid(self) -> Self {
        self.is(422, "Invalid")
    }
}

/// Sends every row, and says of all of them at once what was not as it should be.
fn check(rows: Vec<Row>) {
    let mut app = App::start();
    let mut client = Client::admin(&app);
    client.typed("POST", SECRETS, JSON, br#"{"metadata":{"name":"here"},"data":{"k":"dg=="}}"#).ok();
    let before = listing(&mut client);
    let mut wrong = Vec::new();
    for row in rows {
        let mut headers = vec![("Accept", row.accept)];
        headers.extend(row.content_type.map(|content_type| ("Content-Type", content_type)));
        let answer = match client.send(row.method, &row.path, &headers, &row.body) {
            Ok(answer) => answer,
            Err(error) => {
                wrong.push(format!("{}: no answer: {error}", row.what));
                continue;
            }
        };
        if let Err(difference) = compare(&row, &answer) {
            wrong.push(format!("{}: {difference}", row.what));
        }
    }
    assert_eq!(listing(&mut client), before, "refused requests changed something: {wrong:#?}");
    assert_eq!(client.get("/readyz").ok().text(), "ok");
    assert!(app.is_running());
    assert!(!app.log().contains("panicked"), "{}", app.log());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn compare(row: &Row, answer: &Response) -> Result<(), String> {
    let text: String = answer.text().chars().take(300).collect();
    if answer.status != row.code {
        return Err(format!("{} instead of {}: {text}", answer.status, row.code));
    }
    let Some(reason) = row.reason else { return Ok(()) };
    let status: Value = serde_json::from_slice(&answer.body).map_err(|_| format!("no Status: {text}"))?;
    let has = |field: &str, value: &Value| status[field] == *value;
    let is_status = has("kind", &"Status".into()) && has("status", &"Failure".into()) && has("code", &row.code.into());
    if is_status && has("reason", &reason.into()) && status["message"].as_str().is_some_and(|text| !text.is_empty()) {
        Ok(())
    } else {
        Err(format!("not a Status of reason {reason}: {text}"))
    }
}

/// All Secrets and the revision of the store: both stay as they are when nothing is written.
fn listing(client: &mut Client) -> Value {
    client.get("/api/v1/secrets").ok().json()
}

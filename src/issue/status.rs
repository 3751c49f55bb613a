//! What the status of a Certificate or a GeneratedSecret says. Pure.

use serde_json::{Value, json};

use super::failure::Failure;
use crate::model::condition::condition;
use crate::model::kinds::{CERTIFICATE, Kind};
use crate::model::secret_owner::Marks;
use crate::objects::Occurrence;

/// How it stands with the Secret of an object.
#[derive(Debug, Clone)]
pub struct Standing {
    /// What its marks say, if it is the object's own.
    pub marks: Option<Marks>,
    /// From when and until when its certificate is valid.
    pub valid: Option<(i64, i64)>,
    /// When another is due.
    pub due_at: Option<i64>,
    /// Whether it was made for what is asked for now.
    pub is_as_asked: bool,
    /// Why there is no other, where one is due.
    pub failure: Option<Failure>,
}

/// What came of looking at an object.
pub struct Outcome {
    /// How it stands with its Secret.
    pub standing: Standing,
    /// What is to be told in Events.
    pub occurrences: Vec<Occurrence>,
}

/// The status. `former` is the one that is stored, `attempts` how often in a row it has failed.
pub fn status(
    kind: &'static Kind,
    standing: &Standing,
    generation: i64,
    attempts: u32,
    former: &Value,
    now: i64,
    time: impl Fn(i64) -> String,
) -> Value {
    let at = time(now);
    let is_certificate = kind.id == CERTIFICATE.id;
    let is_valid =
        !is_certificate || standing.valid.is_some_and(|(not_before, not_after)| not_before <= now && now < not_after);
    let is_ready = standing.marks.is_some() && standing.is_as_asked && is_valid;
    let (reason, message) = match (&standing.failure, is_ready) {
        (_, true) => ("Ready", "the Secret is as it is asked for".to_owned()),
        (Some(failure), false) => (failure.reason.as_str(), failure.message.clone()),
        (None, false) if !is_valid && standing.valid.is_some() => {
            ("Expired", "the certificate is not valid now".to_owned())
        }
        (None, false) => ("Pending", "the Secret is not as it is asked for yet".to_owned()),
    };
    let (why, told) = standing
        .failure
        .as_ref()
        .map_or(("Settled", String::new()), |failure| (failure.reason.as_str(), failure.message.clone()));
    let ready = condition(former, "Ready", is_ready, reason, &message, generation, &at);
    let issuing = condition(former, "Issuing", standing.failure.is_some(), why, &told, generation, &at);
    let marks = standing.marks.clone().unwrap_or_default();
    let kept = |field: &str| former.get(field).cloned().unwrap_or_default();
    let when = |at: Option<i64>| at.map_or(Value::Null, |at| time(at).into());
    // The Secret may be gone: what was counted before still was.
    let revision = standing.marks.as_ref().map_or_else(|| kept("revision"), |marks| marks.revision.into());
    let request = standing.marks.as_ref().map_or_else(|| kept("lastHandledRequest"), |_| marks.request.clone().into());
    let mut status = json!({
        "observedGeneration": generation, "conditions": [ready, issuing],
        "revision": revision, "lastHandledRequest": request, "failedAttempts": attempts,
    });
    let times = if is_certificate {
        [
            ("notBefore", when(standing.valid.map(|valid| valid.0))),
            ("notAfter", when(standing.valid.map(|valid| valid.1))),
            ("renewalTime", when(standing.due_at)),
        ]
        .to_vec()
    } else {
        [("lastRotationTime", when(marks.at)), ("nextRotationTime", when(standing.due_at))].to_vec()
    };
    if let Some(fields) = status.as_object_mut() {
        fields.extend(times.into_iter().map(|(name, value)| (name.to_owned(), value)));
        // As it is stored, so that it can be compared.
        fields.retain(|_, value| !value.is_null() && *value != 0 && *value != "");
    }
    status
}

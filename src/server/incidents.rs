//! What the store finds changed from outside while it is served, written into the audit log: one event for each.

use std::sync::Arc;
use std::time::Duration;

use crate::audit::{AuditLog, Event, Refused, RequestFacts};
use crate::clock::SharedClock;
use crate::model::user::User;
use crate::rbac::Attributes;
use crate::store::{Incident, Store};

const VERB: &str = "integrity-failure";
const PATH: &str = "/strongroom/v1/store";
/// Annotation: what was found.
const INTEGRITY: &str = "strongroom.dev/integrity";
/// After which a log that refused is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Records until it is aborted.
pub async fn record(log: Arc<AuditLog>, store: Store, clock: SharedClock) {
    let mut changes = store.incidents();
    let mut recorded = 0;
    loop {
        changes.mark_unchanged();
        let found = store.incidents_behind(recorded);
        let (log, now) = (Arc::clone(&log), clock.unix_millis());
        let written = tokio::task::spawn_blocking(move || {
            let mut written = 0;
            for incident in &found {
                if append(&log, incident, now).is_err() {
                    break;
                }
                written += 1;
            }
            (written, found.len())
        });
        let (written, found) = written.await.unwrap_or_default();
        recorded += written;
        if written < found {
            tokio::time::sleep(RETRY).await;
        } else if changes.changed().await.is_err() {
            return;
        }
    }
}

fn append(log: &AuditLog, incident: &Incident, now_unix_millis: i64) -> Result<(), Refused> {
    let facts = RequestFacts::own(now_unix_millis);
    let mut attributes = match incident {
        Incident::Row { kind: Some(kind), namespace, name, .. } => Attributes::object(VERB, kind, namespace, name),
        Incident::Row { kind: None, .. } | Incident::Schema(_) => Attributes::path(VERB, PATH),
    };
    PATH.clone_into(&mut attributes.path);
    let (user, what) = (User::system("server"), incident.to_string());
    let event = Event {
        decision: None,
        reason: "IntegrityFailure",
        annotations: &[(INTEGRITY, what.as_str())],
        ..Event::new(&facts, &user, &attributes, 500)
    };
    log.append(&event.to_json())
}

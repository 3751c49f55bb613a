//! Whether clusters answer: looked at by the clock, and when a Cluster or its kubeconfig changes.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::controller::Context;
use super::room::COMPONENT;
use crate::clock::rfc3339;
use crate::model::age::parse_rfc3339;
use crate::model::condition::condition;
use crate::model::kinds::CLUSTER;
use crate::model::user::User;
use crate::objects::{Error, Involved, Occurrence};
use crate::rbac::{self, Policy};

const AT_ONCE: usize = 16;
/// A status that says the same is written anew after this time, for its `lastContactTime`.
const STATUS_SECONDS: i64 = 300;

/// Asks every cluster its version, and writes down what became of it.
pub(super) async fn look(context: Arc<Context>) {
    // One at a time: who is still waiting for a cluster will come to the others.
    let Ok(_looking) = context.looking.try_lock() else { return };
    let clusters = context.room.objects.cluster_labels();
    stream::iter(clusters).for_each_concurrent(AT_ONCE, |(name, _)| one(&context, name)).await;
}

async fn one(context: &Context, name: String) {
    let user = Arc::new(User::system(COMPONENT));
    let Ok(permit) = rbac::authorize_use(&Policy::empty(), &user, &name) else { return };
    let asked = match context.pool.permitted(&context.room, &permit) {
        Ok(cluster) => match cluster.remote.version().await {
            Ok(version) => Ok(version),
            Err(error) => Err((error.reason(), error.to_string())),
        },
        Err(error) => Err((error.reason, error.message)),
    };
    let Some(object) = context.room.cluster_object(&name) else { return };
    let former = object.get("status").cloned().unwrap_or_default();
    let generation = object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
    let now = context.room.clock.unix_seconds();
    let (is_healthy, reason, message, version) = match &asked {
        Ok(version) => (true, "Answered", "", Some(version.clone())),
        Err((reason, message)) => (false, *reason, message.as_str(), None),
    };
    let was = |field: &str| former.get(field).cloned().unwrap_or_default();
    let healthy = condition(&former, "Healthy", is_healthy, reason, message, generation, &rfc3339(now));
    let told = former.get("lastContactTime").and_then(Value::as_str).and_then(parse_rfc3339);
    let is_recent = !is_healthy || told.is_some_and(|told| now - told < STATUS_SECONDS);
    let status = json!({
        "observedGeneration": generation,
        "conditions": [healthy],
        "serverVersion": version.map_or_else(|| was("serverVersion"), Value::from),
        "lastContactTime": if is_healthy && !is_recent { rfc3339(now).into() } else { was("lastContactTime") },
    });
    if status == former {
        return;
    }
    let uid = object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
    let happened = news(&former, &status, &name);
    let written = context.room.objects.write_status(COMPONENT, &CLUSTER, "", &name, uid, status).await;
    if written.is_err_and(|error| !matches!(error, Error::NotFound(_) | Error::Conflict(..))) {
        tracing::warn!(object.name = name, "the status of a Cluster could not be written");
    }
    let resource_version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or_default();
    let involved = Involved { kind: &CLUSTER, namespace: "", name: &name, uid, resource_version };
    context.recorder.record(&involved, happened.into_iter().collect()).await;
}

/// That a cluster answers, or does not, where that is news.
fn news(former: &Value, status: &Value, name: &str) -> Option<Occurrence> {
    let healthy =
        |status: &Value, field: &str| status.pointer("/conditions/0")?.get(field)?.as_str().map(str::to_owned);
    let (is, reason) = (healthy(status, "status")?, healthy(status, "reason")?);
    if healthy(former, "status").as_ref() == Some(&is) && healthy(former, "reason").as_ref() == Some(&reason) {
        return None;
    }
    let message = healthy(status, "message").unwrap_or_default();
    Some(match is.as_str() {
        "True" => Occurrence::normal("Healthy", format!("cluster {name:?} answers and takes the credential")),
        _ => Occurrence::warning(&reason, format!("cluster {name:?}: {message}")),
    })
}

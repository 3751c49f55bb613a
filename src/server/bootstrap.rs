//! What every home has: namespace `default`, and the cluster roles and bindings that Kubernetes has.
//!
//! Made at a first start. Later starts put back the rules and subjects that are missing, unless the object says
//! `rbac.authorization.kubernetes.io/autoupdate: "false"`; what was added stays.

use std::sync::Arc;

use futures_util::future::try_join_all;
use serde_json::Value;

use crate::audit::RequestFacts;
use crate::clock::SharedClock;
use crate::model::kinds::{self, Kind};
use crate::model::user::User;
use crate::model::validation::options::{self, WriteOptions};
use crate::objects::{Error, Objects, Request};
use crate::rbac::{self, Attributes, Permit, Policy, bootstrap};
use crate::sensitive::Document;

use super::ServeError;

const DEFAULT_NAMESPACE: &str = "default";

/// Makes what is missing. A store that cannot be written is served as it is.
pub async fn run(objects: &Objects, clock: &SharedClock) -> Result<(), ServeError> {
    let namespace = serde_json::json!({"metadata": {"name": DEFAULT_NAMESPACE}});
    let wanted = bootstrap::objects().into_iter().chain([(&kinds::NAMESPACE, namespace)]);
    // Together, so that they are one or two commits.
    let made = try_join_all(wanted.map(|(kind, object)| ensure(objects, clock, kind, object))).await;
    match made {
        Ok(_) => {
            let permit = permit("update", &kinds::CLUSTER_ROLE, "")?;
            let facts = RequestFacts::own(clock.unix_millis());
            objects.settle_aggregation(Request { permit: &permit, facts: &facts }).await;
            Ok(())
        }
        Err(Failed::Unavailable(why)) => {
            tracing::warn!(why, "what every home has could not be made or brought up to date");
            Ok(())
        }
        Err(Failed::Refused(name)) => Err(ServeError::Store(format!("`{name}` was not made"))),
    }
}

enum Failed {
    Unavailable(&'static str),
    Refused(String),
}

async fn ensure(objects: &Objects, clock: &SharedClock, kind: &'static Kind, wanted: Value) -> Result<(), Failed> {
    let name = wanted.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let failed = |error: Error| match error {
        Error::Unavailable(why) => Failed::Unavailable(why),
        // It is there, and every look at it says what is wrong with it.
        Error::Integrity(_) => Failed::Unavailable("a stored row does not pass authentication"),
        _ => Failed::Refused(name.clone()),
    };
    let refused = |_| Failed::Refused(name.clone());
    let facts = RequestFacts::own(clock.unix_millis());
    let permit = |verb| permit(verb, kind, &name).map_err(refused);
    let get = permit("get")?;
    match objects.get(Request { permit: &get, facts: &facts }) {
        Err(Error::NotFound(_)) => {
            let create = permit("create")?;
            let request = Request { permit: &create, facts: &facts };
            let options = write_options().ok_or_else(|| Failed::Refused(name.clone()))?;
            objects.create(request, Document::new(wanted), &options, &mut Vec::new()).await.map(|_| ()).map_err(failed)
        }
        Err(error) => Err(failed(error)),
        Ok(loaded) => {
            let existing = loaded.bare().map_err(failed)?;
            let Some(merged) = bootstrap::merge(&existing, &wanted) else { return Ok(()) };
            let update = permit("update")?;
            let request = Request { permit: &update, facts: &facts };
            let options = write_options().ok_or_else(|| Failed::Refused(name.clone()))?;
            objects.update(request, Document::new(merged), &options, &mut Vec::new()).await.map(|_| ()).map_err(failed)
        }
    }
}

fn write_options() -> Option<WriteOptions> {
    let mut options = options::create(&[]).ok()?;
    "strongroom".clone_into(&mut options.field_manager);
    Some(options)
}

fn permit(verb: &str, kind: &'static Kind, name: &str) -> Result<Permit, ServeError> {
    let attributes = Attributes::object(verb, kind, "", name);
    rbac::authorize(&Policy::empty(), &Arc::new(User::system("bootstrap")), attributes)
        .map_err(|_| ServeError::Store(format!("`{name}` was not made")))
}

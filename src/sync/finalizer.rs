//! What holds a SecretSync that is deleted, until what it has written is taken back where that is wanted.

use serde_json::{Value, json};

use super::controller::Context;
use super::origin::Sync;
use super::room::{COMPONENT, own_permit};
use crate::audit::RequestFacts;
use crate::model::kinds::SECRET_SYNC;
use crate::model::validation::options;
use crate::objects::{Error, PatchBody, PatchType, Request};
use crate::sensitive::Document;

/// The finalizer.
pub const FINALIZER: &str = "strongroom.dev/sync";

/// Before anything is written that is to be taken back at the end: the finalizer.
pub(super) async fn hold(context: &Context, sync: &Sync, object: &Value) -> Result<(), String> {
    let finalizers = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    let has = finalizers.is_some_and(|finalizers| finalizers.iter().any(|name| name == FINALIZER));
    if sync.is_deleting || has == sync.spec.is_to_be_taken_back() {
        return Ok(());
    }
    set_finalizer(context, sync, object, !has).await
}

pub(super) async fn set_finalizer(context: &Context, sync: &Sync, object: &Value, is_on: bool) -> Result<(), String> {
    let before = object.pointer("/metadata/finalizers").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut finalizers: Vec<Value> = before.into_iter().filter(|name| name != FINALIZER).collect();
    if is_on {
        finalizers.push(FINALIZER.into());
    }
    let body = PatchBody {
        patch_type: PatchType::Merge,
        document: Document::new(json!({"metadata": {
            "uid": sync.uid, "finalizers": finalizers,
            "resourceVersion": object.pointer("/metadata/resourceVersion"),
        }})),
    };
    let permit = own_permit("patch", &SECRET_SYNC, &sync.id.namespace, &sync.id.name).ok_or("no permit")?;
    let facts = RequestFacts::own(context.room.clock.unix_millis());
    let mut options = options::create(&[]).map_err(|_| "the options of no query".to_owned())?;
    COMPONENT.clone_into(&mut options.field_manager);
    let request = Request { permit: &permit, facts: &facts };
    match context.room.objects.patch(request, &body, &options, &mut Vec::new()).await {
        Ok(_) | Err(Error::NotFound(_)) => Ok(()),
        Err(Error::Conflict(..)) => Err("it was changed meanwhile".to_owned()),
        Err(_) => Err("it could not be written".to_owned()),
    }
}

//! What holds a SecretSync that is deleted, until what it has written is taken back where that is wanted.

use serde_json::{Value, json};

use super::origin::{OriginError, Sync};
use super::room::{COMPONENT, Room, own_permit};
use crate::audit::RequestFacts;
use crate::model::kinds::SECRET_SYNC;
use crate::model::validation::options;
use crate::objects::{Error, PatchBody, PatchType, Request};
use crate::sensitive::Document;

/// The finalizer.
pub const FINALIZER: &str = "strongroom.dev/sync";

impl Room {
    /// Before anything is written that is to be taken back at the end: the finalizer. Where that is wanted no longer it goes.
    pub async fn hold(&self, sync: &Sync, object: &Value) -> Result<(), OriginError> {
        if sync.is_deleting || is_held(object) == sync.spec.is_to_be_taken_back() {
            return Ok(());
        }
        self.set_finalizer(sync, object, !is_held(object)).await
    }

    /// After everything is taken back: without the finalizer, so that a SecretSync that is being deleted is gone.
    pub async fn release(&self, sync: &Sync, object: &Value) -> Result<(), OriginError> {
        if !is_held(object) {
            return Ok(());
        }
        self.set_finalizer(sync, object, false).await
    }

    async fn set_finalizer(&self, sync: &Sync, object: &Value, is_on: bool) -> Result<(), OriginError> {
        let failed = |why: &str| OriginError {
            reason: "Finalizer",
            message: format!("the SecretSync's finalizer could not be changed: {why}"),
            is_passing: true,
        };
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
        let permit = own_permit("patch", &SECRET_SYNC, &sync.id.namespace, &sync.id.name);
        let permit = permit.ok_or_else(|| failed("no permit"))?;
        let facts = RequestFacts::own(self.clock.unix_millis());
        let mut options = options::create(&[]).map_err(|_| failed("the options of no query"))?;
        COMPONENT.clone_into(&mut options.field_manager);
        let request = Request { permit: &permit, facts: &facts };
        match self.objects.patch(request, &body, &options, &mut Vec::new()).await {
            Ok(_) | Err(Error::NotFound(_)) => Ok(()),
            Err(Error::Conflict(..)) => Err(failed("it was changed meanwhile")),
            Err(_) => Err(failed("it could not be written")),
        }
    }
}

fn is_held(object: &Value) -> bool {
    let finalizers = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    finalizers.is_some_and(|finalizers| finalizers.iter().any(|name| name == FINALIZER))
}

//! Whose eyes an answer is for: values are left out for a caller who may not `get` the object.
//!
//! Kubernetes answers every write with the whole object, so that `patch` alone would read a Secret. Here the answers of
//! update, patch, delete and deletecollection carry values only for callers with `get`; those of list and watch do as
//! in Kubernetes, unless the server runs with `--redact-lists`.

use std::sync::Arc;

use serde_json::Value;

use super::table::OfSecret;
use crate::issue;
use crate::model::expiry;
use crate::model::kinds::Kind;
use crate::model::user::User;
use crate::objects::{Access, Loaded, Objects};
use crate::rbac::Attributes;

/// The annotation in which client-side apply keeps a copy of the whole object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Which objects' values are shown.
#[derive(Clone)]
pub enum Sight {
    /// All.
    All,
    /// Those that this caller may `get`.
    Of(Caller),
}

/// Who asks, and what decides.
#[derive(Clone)]
pub struct Caller {
    access: Arc<Access>,
    user: Arc<User>,
    kind: &'static Kind,
}

impl Sight {
    /// What the caller may see of objects of `kind`.
    pub fn of_caller(access: &Arc<Access>, user: &Arc<User>, kind: &'static Kind) -> Self {
        if !kind.holds_values() {
            return Self::All;
        }
        let caller = Caller { access: Arc::clone(access), user: Arc::clone(user), kind };
        // A right to every object of the cluster need not be looked up for each.
        if caller.may_get("", "") { Self::All } else { Self::Of(caller) }
    }

    /// Whether the values of this object are shown.
    pub fn shows(&self, namespace: &str, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Of(caller) => caller.may_get(namespace, name),
        }
    }
}

impl Caller {
    fn may_get(&self, namespace: &str, name: &str) -> bool {
        self.access.policy.allows(&self.user, &Attributes::object("get", self.kind, namespace, name))
    }
}

/// What a row shows of a Secret. Its certificate is looked into for a caller who is shown it anyway.
pub fn of_secret(objects: &Objects, loaded: &Loaded, sight: &Sight) -> OfSecret {
    if !loaded.kind().holds_values() {
        return OfSecret::default();
    }
    let ends_at = if sight.shows(loaded.namespace(), loaded.name()) {
        issue::expiry::ends_at(objects, loaded)
    } else if loaded.mentions(expiry::EXPIRES_AT) {
        loaded.bare().ok().and_then(|secret| expiry::annotated(&secret, expiry::EXPIRES_AT))
    } else {
        None
    };
    OfSecret { data_keys: loaded.data_keys(), ends_at }
}

/// Takes out of an object that was not stored what would tell its values, or whether they would change.
pub fn withhold(object: &mut Value) {
    let Some(fields) = object.as_object_mut() else { return };
    for field in ["data", "stringData"] {
        if let Some(mut values) = fields.shift_remove(field) {
            crate::sensitive::wipe(&mut values);
        }
    }
    let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    metadata.shift_remove("managedFields");
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut)
        && let Some(mut copy) = annotations.shift_remove(LAST_APPLIED)
    {
        crate::sensitive::wipe(&mut copy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_withheld_leaves_no_trace_of_values_or_of_their_change() {
        let mut object = json!({
            "metadata": {"name": "a", "managedFields": [{"manager": "m"}], "annotations": {LAST_APPLIED: "{}", "k": "v"}},
            "data": {"a": "YQ=="}, "stringData": {"b": "c"}, "type": "Opaque",
        });
        withhold(&mut object);
        assert_eq!(object, json!({"metadata": {"name": "a", "annotations": {"k": "v"}}, "type": "Opaque"}));
    }
}

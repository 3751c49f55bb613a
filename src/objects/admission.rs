//! What a write needs beyond its verb: nobody hands out what they do not have, or reads by writing.
//!
//! Roles and bindings: Kubernetes' rules against escalation. Users: creating one, adding a group, letting one in again
//! and setting a password are as good as acting as that user, and need the right to. Secrets: a caller who may not
//! `get` one gets no answer that depends on its values.

use std::sync::Arc;

use serde_json::Value;

use super::access::Access;
use super::create::name_of;
use super::fields::{self, Writer};
use super::update::PatchType;
use super::{Error, Objects, Request, Resource};
use crate::model::kinds::{self, Kind};
use crate::model::user::{User, UserAccount};
use crate::rbac::{self, Attributes, Denial, Policy, Refusal};
use crate::sensitive::{Document, wipe};

impl Objects {
    /// Whether the caller may make `new` of `old`. To be asked of the whole object, after defaults.
    pub(super) fn admit(
        &self,
        request: Request<'_>,
        kind: &'static Kind,
        old: Option<&Value>,
        new: &Value,
    ) -> Result<(), Error> {
        if kind.id == kinds::CLUSTER.id {
            return self.admit_cluster(request, old, new);
        }
        if kind.id == kinds::SECRET_SYNC.id {
            return self.admit_sync(request, old, new);
        }
        if kind.id == kinds::CERTIFICATE.id || kind.id == kinds::GENERATED_SECRET.id {
            return self.admit_issued(request, kind, old, new);
        }
        if !kinds::decides_access(kind.id) {
            return Ok(());
        }
        let access = self.access();
        let (user, namespace, name) = (request.permit.user(), request.namespace(), name_of(new));
        let checked = match kind.kind {
            "Role" | "ClusterRole" => {
                rbac::check_role(&access.policy, user, kind, namespace, request.permit.name(), old, new)
            }
            "User" => return guard_user(&access.policy, user, &name, old, new),
            _ => rbac::check_binding(&access.policy, user, kind, namespace, request.permit.name(), old, new),
        };
        checked.map_err(|refusal| refused(refusal, kind, &name))
    }

    /// Whether the caller may act as the user that the permit names, in these groups, which setting a password and
    /// issuing a certificate come to.
    pub(super) fn admit_as_user(&self, request: Request<'_>, groups: &[String]) -> Result<(), Error> {
        let (access, permit) = (self.access(), request.permit);
        may_act_as(&access.policy, permit.user(), permit.name(), groups.iter().map(String::as_str))
    }

    /// Why the caller may not see the values of the objects of the permit; `None` if they may.
    pub(super) fn blind(&self, request: Request<'_>) -> Option<Box<Denial>> {
        let kind = request.permit.kind().filter(|kind| kind.holds_values())?;
        let attributes = Attributes::object("get", kind, request.namespace(), request.permit.name());
        let access: Arc<Access> = self.access();
        rbac::authorize(&access.policy, request.permit.user(), attributes).err().map(Box::new)
    }
}

/// What a caller who may not `get` a Secret is kept from learning by writing to it. All of it is without effect for
/// who may.
impl Objects {
    /// PUT: whether an immutable Secret takes the sent values says whether they are the stored ones.
    pub(super) fn admit_update(&self, request: Request<'_>, old: &Value) -> Result<(), Error> {
        if !is_immutable(old) {
            return Ok(());
        }
        self.blind(request).map_or(Ok(()), |denial| Err(Error::Denied(denial)))
    }

    /// PATCH: a JSON patch can compare and copy values, and an immutable Secret as above.
    pub(super) fn admit_patch(
        &self,
        request: Request<'_>,
        old: &Value,
        patch_type: PatchType,
        patch: &Value,
    ) -> Result<(), Error> {
        let reads = match patch_type {
            PatchType::Json => patch.as_array().into_iter().flatten().any(|operation| {
                let op = operation.get("op").and_then(Value::as_str).unwrap_or_default();
                matches!(op, "test" | "copy" | "move") || (is_immutable(old) && !is_of_metadata(operation))
            }),
            other => is_immutable(old) && names_values(other, patch),
        };
        if !reads {
            return Ok(());
        }
        self.blind(request).map_or(Ok(()), |denial| Err(Error::Denied(denial)))
    }

    /// Server-side apply: that there is no conflict over a value says that it is the stored one. So for the blind
    /// every value of another manager is in conflict.
    #[expect(clippy::disallowed_methods, reason = "the values are replaced, not read")]
    pub(super) fn admit_apply(
        &self,
        request: Request<'_>,
        old: &Value,
        config: &Value,
        force: bool,
        writer: &Writer<'_>,
    ) -> Result<(), Error> {
        if !names_values(PatchType::Apply, config) {
            return Ok(());
        }
        let Some(denial) = self.blind(request) else { return Ok(()) };
        if is_immutable(old) {
            return Err(Error::Denied(denial));
        }
        if force {
            return Ok(());
        }
        let other = obscured(old)?;
        let kind = request.kind()?;
        fields::apply(kind.message, Some(other.expose()), config, false, writer).map_err(Error::Apply)?;
        Ok(())
    }

    /// Any write that names values: the object with other ones, for a caller who may not see those that are stored.
    pub(super) fn obscured(&self, request: Request<'_>, old: &Value) -> Result<Option<Document>, Error> {
        self.blind(request).map(|_| obscured(old)).transpose()
    }
}

/// The fields of a Secret that hold values.
const VALUES: [&str; 2] = ["data", "stringData"];

/// Whether a patch says something of values.
pub(super) fn names_values(patch_type: PatchType, patch: &Value) -> bool {
    match patch_type {
        PatchType::Json => patch.as_array().into_iter().flatten().any(|operation| !is_of_metadata(operation)),
        _ => VALUES.iter().any(|field| patch.get(field).is_some()),
    }
}

/// Whether an operation of a JSON patch is about metadata alone.
fn is_of_metadata(operation: &Value) -> bool {
    operation.get("path").and_then(Value::as_str).is_some_and(|path| path.starts_with("/metadata/"))
}

fn is_immutable(secret: &Value) -> bool {
    secret.get("immutable").and_then(Value::as_bool).unwrap_or_default()
}

/// The object with a value in place of every value of `data` that nobody can have guessed.
#[expect(clippy::disallowed_methods, reason = "the values are replaced, not read")]
fn obscured(secret: &Value) -> Result<Document, Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| Error::Internal("no randomness"))?;
    let other = Value::from(hex::encode(random));
    let mut copy = Document::new(secret.clone());
    let data = copy.expose_mut().get_mut("data").and_then(Value::as_object_mut);
    for value in data.into_iter().flat_map(|data| data.values_mut()) {
        wipe(value);
        *value = other.clone();
    }
    Ok(copy)
}

fn refused(refusal: Refusal, kind: &'static Kind, name: &str) -> Error {
    match refusal {
        Refusal::Denied(denial) => Error::Denied(Box::new(denial)),
        // Kubernetes names the resource of the binding and the name of the role.
        Refusal::RoleNotFound { kind, name } => Error::NotFound(Resource::new(kind, &name)),
        Refusal::TooLarge(error) => Error::Invalid(Resource::new(kind, name), vec![error]),
    }
}

/// Who may make somebody who can sign in, or give them more.
fn guard_user(policy: &Policy, user: &User, name: &str, old: Option<&Value>, new: &Value) -> Result<(), Error> {
    let new = UserAccount::parse(new);
    let Some(old) = old.map(UserAccount::parse) else {
        return may_act_as(policy, user, name, new.groups.iter().map(String::as_str));
    };
    if old.disabled && !new.disabled {
        return may_act_as(policy, user, name, new.groups.iter().map(String::as_str));
    }
    let added: Vec<&str> = new.groups.iter().filter(|group| !old.groups.contains(group)).map(String::as_str).collect();
    if added.is_empty() {
        return Ok(());
    }
    may_act_as(policy, user, name, added)
}

/// The right to impersonate the user `name` and each of `groups`, as the impersonation headers ask for it.
fn may_act_as<'g>(
    policy: &Policy,
    user: &User,
    name: &str,
    groups: impl IntoIterator<Item = &'g str>,
) -> Result<(), Error> {
    let asked = std::iter::once(("users", name)).chain(groups.into_iter().map(|group| ("groups", group)));
    for (resource, name) in asked {
        let attributes = Attributes::impersonate("", resource, "", name);
        if !policy.allows(user, &attributes) {
            return Err(Error::Denied(Box::new(Denial::of_request(user, &attributes, ""))));
        }
    }
    Ok(())
}

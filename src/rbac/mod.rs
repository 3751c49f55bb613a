//! May this user do this? Attributes and a user go in; a [`Permit`] or a [`Denial`] comes out.
//!
//! Pure: no I/O, no async, no clock. A `Permit` has private fields and is made only here, by an allow;
//! everything that touches objects reads kind, namespace and name from it, so that what was checked is
//! what is done.
//!
//! This version decides for the administrator (`system:masters`) and for the public endpoints; stored
//! Role and ClusterRole objects are not consulted yet.

mod attributes;

pub use attributes::Attributes;

use crate::model::kinds::Kind;
use crate::model::user::{GROUP_MASTERS, User};

/// Proof that `user` was allowed to do what `attributes` say.
pub struct Permit {
    user: User,
    attributes: Attributes,
}

impl Permit {
    /// The user who was allowed.
    pub fn user(&self) -> &User {
        &self.user
    }

    /// What was allowed.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// Kind of the objects this permit opens; `None` for a non-resource request.
    pub fn kind(&self) -> Option<&'static Kind> {
        self.attributes.kind
    }

    /// Namespace, or `""` for cluster scope and for all namespaces.
    pub fn namespace(&self) -> &str {
        &self.attributes.namespace
    }

    /// Object name, or `""`.
    pub fn name(&self) -> &str {
        &self.attributes.name
    }

    /// A permit for the server's own work on one kind of one namespace: emptying a namespace that an
    /// allowed request deleted, collecting dependents of an object that an allowed request deleted. It can
    /// only be derived from the permit of that request.
    #[must_use]
    pub fn consequence(&self, component: &str, attributes: Attributes) -> Self {
        Self { user: User::system(component), attributes }
    }

    /// The permit for one object of the collection that was allowed to be deleted.
    #[must_use]
    pub fn consequence_of_collection(&self, namespace: &str, name: &str) -> Self {
        let attributes =
            Attributes { namespace: namespace.to_owned(), name: name.to_owned(), ..self.attributes.clone() };
        Self { user: self.user.clone(), attributes }
    }
}

/// A request that was not allowed, in Kubernetes' words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// `secrets "b" is forbidden: User "bob" cannot get resource …`
    pub message: String,
    /// `details.name`
    pub name: String,
    /// `details.group`
    pub group: String,
    /// `details.kind`: the plural resource; empty for non-resource requests.
    pub resource: String,
}

/// Paths that everyone may read, signed in or not (`system:public-info-viewer`).
const PUBLIC_PATHS: &[&str] = &["/healthz", "/livez", "/readyz", "/version", "/version/"];

/// Decides, and hands out the permit.
pub fn authorize(user: &User, attributes: Attributes) -> Result<Permit, Denial> {
    if allows(user, &attributes) {
        return Ok(Permit { user: user.clone(), attributes });
    }
    Err(denial(user, &attributes))
}

/// Whether `user` may do what `attributes` say.
pub fn allows(user: &User, attributes: &Attributes) -> bool {
    if user.is_in(GROUP_MASTERS) {
        return true;
    }
    !attributes.is_resource() && attributes.verb == "get" && PUBLIC_PATHS.contains(&attributes.path.as_str())
}

fn denial(user: &User, attributes: &Attributes) -> Denial {
    if !attributes.is_resource() {
        return Denial {
            message: html_escape(&format!(
                "forbidden: User \"{}\" cannot {} path \"{}\"",
                user.name, attributes.verb, attributes.path
            )),
            name: String::new(),
            group: String::new(),
            resource: String::new(),
        };
    }
    let qualified = if attributes.group.is_empty() {
        attributes.resource.clone()
    } else {
        format!("{}.{}", attributes.resource, attributes.group)
    };
    let what = if attributes.name.is_empty() { qualified } else { format!("{qualified} \"{}\"", attributes.name) };
    let resource = if attributes.subresource.is_empty() {
        attributes.resource.clone()
    } else {
        format!("{}/{}", attributes.resource, attributes.subresource)
    };
    let scope = if attributes.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace \"{}\"", attributes.namespace)
    };
    Denial {
        message: html_escape(&format!(
            "{what} is forbidden: User \"{}\" cannot {} resource \"{resource}\" in API group \"{}\" {scope}",
            user.name, attributes.verb, attributes.group
        )),
        name: attributes.name.clone(),
        group: attributes.group.clone(),
        resource: attributes.resource.clone(),
    }
}

/// Kubernetes escapes these in every forbidden text, so that a browser cannot be made to run a path.
fn html_escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::kinds;

    #[test]
    fn anonymous_reads_health_and_nothing_else() {
        let user = User::anonymous();
        assert!(authorize(&user, Attributes::path("get", "/readyz")).is_ok());
        assert!(authorize(&user, Attributes::path("post", "/readyz")).is_err());
        let denied = authorize(&user, Attributes::path("get", "/metrics")).err().unwrap();
        assert_eq!(denied.message, "forbidden: User \"system:anonymous\" cannot get path \"/metrics\"");
    }

    #[test]
    fn a_denial_names_who_and_what_in_kubernetes_words() {
        let attributes = Attributes::object("get", &kinds::SECRET, "t4", "b");
        let denied = authorize(&User::anonymous(), attributes).err().unwrap();
        assert_eq!(
            denied.message,
            "secrets \"b\" is forbidden: User \"system:anonymous\" cannot get resource \"secrets\" in API group \"\" in the namespace \"t4\""
        );
        let attributes = Attributes::object("list", &kinds::CLUSTER_ROLE, "", "");
        let denied = authorize(&User::anonymous(), attributes).err().unwrap();
        assert_eq!(
            denied.message,
            "clusterroles.rbac.authorization.k8s.io is forbidden: User \"system:anonymous\" cannot list resource \"clusterroles\" in API group \"rbac.authorization.k8s.io\" at the cluster scope"
        );
    }

    #[test]
    fn markup_in_a_denied_path_is_escaped() {
        let denied = authorize(&User::anonymous(), Attributes::path("get", "/<script>&")).err().unwrap();
        assert!(denied.message.ends_with("path \"/&lt;script&gt;&amp;\""));
    }

    #[test]
    fn the_administrator_may_do_everything() {
        let permit = authorize(&User::admin(), Attributes::object("delete", &kinds::SECRET, "n", "x")).ok().unwrap();
        assert_eq!((permit.namespace(), permit.name()), ("n", "x"));
    }
}

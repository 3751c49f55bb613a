//! Who a request comes from, as Kubernetes' `user.Info`; and who the kernel says is at the other end of a Unix socket.

use std::collections::BTreeMap;

use serde_json::Value;

/// An identity, authenticated or anonymous.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// `admin`, `system:serviceaccount:ns:name`, `system:anonymous`
    pub name: String,
    /// Unique id of the account behind the name; empty where there is none.
    pub uid: String,
    /// Groups, in order.
    pub groups: Vec<String>,
    /// What else is known, by key (`authentication.kubernetes.io/credential-id`).
    pub extra: BTreeMap<String, Vec<String>>,
}

/// The user id of the process at the other end of a Unix socket, as the kernel told it when the process connected.
/// Every connection by Unix socket has one among its data. Alone it is no identity: such a request is anonymous, or
/// who its token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerUid(pub u32);

/// Among the data of a connection by Unix socket whose other end is root, or runs as the user that the server runs as.
/// A request on it that carries no credential is the administrator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerOwner;

/// Members bypass authorization and escalation checks.
pub const GROUP_MASTERS: &str = "system:masters";
/// Every authenticated user is a member.
pub const GROUP_AUTHENTICATED: &str = "system:authenticated";
/// The group of a request without credentials.
pub const GROUP_UNAUTHENTICATED: &str = "system:unauthenticated";

/// The built-in administrator's name.
pub const USER_ADMIN: &str = "admin";
/// A request without credentials.
pub const USER_ANONYMOUS: &str = "system:anonymous";
/// What the names of users and groups begin with that only the server gives.
pub const SYSTEM_PREFIX: &str = "system:";
/// Every service account is a member; those of one namespace of `system:serviceaccounts:NAMESPACE` too.
pub const GROUP_SERVICE_ACCOUNTS: &str = "system:serviceaccounts";
/// Before `NAMESPACE:NAME` in the name of a service account's user.
pub const SERVICE_ACCOUNT_PREFIX: &str = "system:serviceaccount:";

/// A User object as far as deciding and signing in go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserAccount {
    /// `metadata.uid`
    pub uid: String,
    /// `spec.groups`, in order.
    pub groups: Vec<String>,
    /// `spec.disabled`, or being deleted.
    pub disabled: bool,
}

impl UserAccount {
    /// What of a User object matters.
    pub fn parse(object: &Value) -> Self {
        let groups = object.pointer("/spec/groups").and_then(Value::as_array);
        Self {
            uid: object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned(),
            groups: groups.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
            disabled: object.pointer("/spec/disabled").and_then(Value::as_bool).unwrap_or_default()
                || object.pointer("/metadata/deletionTimestamp").is_some(),
        }
    }
}

/// Key under which the store keeps the password of the User of this uid.
pub fn password_state_key(uid: &str) -> String {
    format!("password/{uid}")
}

impl User {
    /// A user without extra.
    pub fn new<'a>(name: &str, uid: &str, groups: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            name: name.to_owned(),
            uid: uid.to_owned(),
            groups: groups.into_iter().map(str::to_owned).collect(),
            extra: BTreeMap::new(),
        }
    }

    /// The user that a service account is.
    pub fn service_account(namespace: &str, name: &str, uid: &str) -> Self {
        let of_namespace = format!("{GROUP_SERVICE_ACCOUNTS}:{namespace}");
        let groups = [GROUP_SERVICE_ACCOUNTS, &of_namespace, GROUP_AUTHENTICATED];
        Self::new(&format!("{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}"), uid, groups)
    }

    /// Namespace and name of the service account that a user of this name is.
    pub fn service_account_of(name: &str) -> Option<(&str, &str)> {
        name.strip_prefix(SERVICE_ACCOUNT_PREFIX)?.split_once(':').filter(|(_, name)| !name.contains(':'))
    }

    /// The built-in administrator.
    pub fn admin() -> Self {
        Self::new(USER_ADMIN, "", [GROUP_MASTERS, GROUP_AUTHENTICATED])
    }

    /// A request that carried no credentials.
    pub fn anonymous() -> Self {
        Self::new(USER_ANONYMOUS, "", [GROUP_UNAUTHENTICATED])
    }

    /// The server acting for itself (bootstrap, namespace deletion, garbage collection), as audit shows it.
    pub fn system(component: &str) -> Self {
        Self::new(&format!("system:strongroom:{component}"), "", [GROUP_MASTERS])
    }

    /// Whether the user is in `group`.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|mine| mine == group)
    }
}

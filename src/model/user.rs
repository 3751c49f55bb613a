//! Who a request comes from, as Kubernetes' `user.Info`; and who the kernel says is at the other end of a Unix socket.

/// An identity, authenticated or anonymous.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// `admin`, `system:serviceaccount:ns:name`, `system:anonymous`
    pub name: String,
    /// Unique id of the account behind the name; empty where there is none.
    pub uid: String,
    /// Groups, in order.
    pub groups: Vec<String>,
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

impl User {
    /// The built-in administrator.
    pub fn admin() -> Self {
        Self {
            name: "admin".to_owned(),
            uid: String::new(),
            groups: vec![GROUP_MASTERS.to_owned(), GROUP_AUTHENTICATED.to_owned()],
        }
    }

    /// A request that carried no credentials.
    pub fn anonymous() -> Self {
        Self { name: "system:anonymous".to_owned(), uid: String::new(), groups: vec![GROUP_UNAUTHENTICATED.to_owned()] }
    }

    /// The server acting for itself (bootstrap, namespace deletion, garbage collection), as audit shows it.
    pub fn system(component: &str) -> Self {
        Self {
            name: format!("system:strongroom:{component}"),
            uid: String::new(),
            groups: vec![GROUP_MASTERS.to_owned()],
        }
    }

    /// Whether the user is in `group`.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|mine| mine == group)
    }
}

//! Those who ask for something: users with a password and a session, service accounts with a token, and what was
//! granted to them. All of it is made through the API.

use serde_json::{Value, json};

use super::http::Client;

/// Where users are.
pub const USERS: &str = "/apis/strongroom.dev/v1alpha1/users";
/// The API group of roles and bindings.
pub const RBAC: &str = "rbac.authorization.k8s.io";
/// A password that may be set.
pub const PASSWORD: &str = "a-staple-of-seven-horses";

/// The path of roles and bindings: of the cluster for `""`.
pub fn rbac(namespace: &str, resource: &str) -> String {
    match namespace {
        "" => format!("/apis/{RBAC}/v1/{resource}"),
        _ => format!("/apis/{RBAC}/v1/namespaces/{namespace}/{resource}"),
    }
}

/// The path of Secrets.
pub fn secrets(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/secrets")
}

/// Makes a namespace.
pub fn namespace(admin: &mut Client, name: &str) {
    admin.json("POST", "/api/v1/namespaces", &json!({"metadata": {"name": name}})).ok();
}

/// Makes a Secret.
pub fn secret(admin: &mut Client, namespace: &str, name: &str, values: &Value) {
    admin.json("POST", &secrets(namespace), &json!({"metadata": {"name": name}, "stringData": values})).ok();
}

/// Makes a user who has a password.
pub fn user(admin: &mut Client, name: &str, groups: &[&str]) {
    admin.json("POST", USERS, &json!({"metadata": {"name": name}, "spec": {"groups": groups}})).ok();
    set_password(admin, name, PASSWORD);
}

/// Sets a user's password.
pub fn set_password(admin: &mut Client, name: &str, password: &str) {
    admin.json("POST", &format!("{USERS}/{name}/password"), &json!({"spec": {"password": password}})).ok();
}

/// A session of a user.
pub struct Session {
    /// Presents the access token.
    pub client: Client,
    /// What new tokens are asked for with.
    pub refresh_token: String,
}

/// Signs a user in by name and [`PASSWORD`].
pub fn sign_in(any: &Client, name: &str) -> Session {
    let credentials = json!({"username": name, "password": PASSWORD});
    // Without a credential of the one who lends the connection's settings.
    let answer = any.without_token().json("POST", "/strongroom/v1/login", &credentials).ok().json();
    let text = |field: &str| answer[field].as_str().unwrap().to_owned();
    Session { client: any.with_token(&text("access_token")), refresh_token: text("refresh_token") }
}

/// A user who was made and signed in.
pub fn signed_in(admin: &mut Client, name: &str, groups: &[&str]) -> Client {
    user(admin, name, groups);
    sign_in(admin, name).client
}

/// Somebody whom the administrator acts as.
pub fn acting_as(admin: &Client, name: &str, groups: &[&str]) -> Client {
    groups.iter().fold(admin.with_header("Impersonate-User", name), |client, group| {
        client.with_header("Impersonate-Group", group)
    })
}

/// A service account that was made, with a token of an hour.
pub fn service_account(admin: &mut Client, namespace: &str, name: &str) -> Client {
    let accounts = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
    admin.json("POST", &accounts, &json!({"metadata": {"name": name}})).ok();
    token_of(admin, namespace, name)
}

/// A client with a new token of a service account.
pub fn token_of(admin: &mut Client, namespace: &str, name: &str) -> Client {
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
    let answer = admin.json("POST", &path, &json!({})).ok().json();
    admin.with_token(answer["status"]["token"].as_str().unwrap())
}

/// A rule.
pub fn rule(verbs: &[&str], group: &str, resources: &[&str]) -> Value {
    json!({"verbs": verbs, "apiGroups": [group], "resources": resources})
}

/// A rule for these names.
pub fn rule_for(verbs: &[&str], group: &str, resources: &[&str], names: &[&str]) -> Value {
    json!({"verbs": verbs, "apiGroups": [group], "resources": resources, "resourceNames": names})
}

/// Makes a Role, or for the namespace `""` a ClusterRole.
pub fn role(admin: &mut Client, namespace: &str, name: &str, rules: &[Value]) {
    let resource = if namespace.is_empty() { "clusterroles" } else { "roles" };
    let role = json!({"metadata": {"name": name}, "rules": rules});
    admin.json("POST", &rbac(namespace, resource), &role).ok();
}

/// A binding of `role` (`Role/x` or `ClusterRole/x`) to `subject` (`User/x`, `Group/x` or `ServiceAccount/ns/x`).
pub fn binding(name: &str, role: &str, subject: &str) -> Value {
    let (kind, role) = role.split_once('/').unwrap();
    let subject = match subject.split('/').collect::<Vec<_>>()[..] {
        ["ServiceAccount", namespace, name] => json!({"kind": "ServiceAccount", "namespace": namespace, "name": name}),
        [kind, name] => json!({"kind": kind, "name": name, "apiGroup": RBAC}),
        _ => panic!("no subject: {subject}"),
    };
    json!({
        "metadata": {"name": name}, "subjects": [subject],
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": role},
    })
}

/// Makes a RoleBinding, or for the namespace `""` a ClusterRoleBinding.
pub fn bind(admin: &mut Client, namespace: &str, name: &str, role: &str, subject: &str) {
    let resource = if namespace.is_empty() { "clusterrolebindings" } else { "rolebindings" };
    admin.json("POST", &rbac(namespace, resource), &binding(name, role, subject)).ok();
}

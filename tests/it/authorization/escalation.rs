//! Nobody gives away what they do not have: with the real kubectl, by every way of writing, for every kind that
//! decides access.

use serde_json::{Value, json};

use super::people::{Person, Place, each};
use crate::support::actors::{self, USERS, bind, binding, rbac, role, rule, rule_for};
use crate::support::kubectl::Output;

const ALL_VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const RBAC_KINDS: [&str; 4] = ["clusterrolebindings", "clusterroles", "rolebindings", "roles"];
const NOT_HELD: &str = "is attempting to grant RBAC permissions not currently held:\n\
                        {APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\"]}";

/// An object and how somebody would make it give more.
struct Target {
    /// `role`, with its namespace if it has one.
    words: Vec<&'static str>,
    path: String,
    name: &'static str,
    /// The object as it would be.
    wanted: Value,
    /// The same change as patches: JSON, merge, strategic.
    patches: [Value; 3],
}

impl Target {
    /// Every way of changing it, and of making it under another name: what it is, kubectl's arguments, its input.
    fn ways(&self) -> Vec<(&'static str, Vec<String>, String)> {
        let of = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let file = ["-f", "-"];
        let server_side = ["apply", "--server-side", "--force-conflicts", "--field-manager=m"];
        let mut all = Vec::new();
        for (what, words) in [("replace", &["replace"][..]), ("apply", &["apply"]), ("server-side apply", &server_side)]
        {
            all.push((what, of(&[words, &file].concat()), self.wanted.to_string()));
        }
        for (patch_type, patch) in ["json", "merge", "strategic"].into_iter().zip(&self.patches) {
            let patch = patch.to_string();
            let words = [&["patch"], &self.words[..], &[self.name, "--type", patch_type, "-p", &patch]].concat();
            all.push((patch_type, of(&words), String::new()));
        }
        for (what, words) in [
            ("create", &["create"][..]),
            ("create by apply", &["apply"]),
            ("create by server-side apply", &server_side),
        ] {
            let mut new = self.wanted.clone();
            new["metadata"]["name"] = format!("{}-{}", self.name, all.len()).into();
            all.push((what, of(&[words, &file].concat()), new.to_string()));
        }
        all
    }

    fn run(person: &Person<'_>, (_, words, input): &(&str, Vec<String>, String)) -> Output {
        person.feed(&words.iter().map(String::as_str).collect::<Vec<_>>(), input)
    }

    /// It as it is, and how many of its kind there are.
    fn state(&self, place: &Place) -> (Value, usize) {
        let mut client = place.client.another();
        let count = client.get(&self.path).ok().json()["items"].as_array().unwrap().len();
        (client.get(&format!("{}/{}", self.path, self.name)).ok().json(), count)
    }

    /// Every way is refused, with this text, and nothing has changed.
    fn is_refused(&self, place: &Place, person: &Person<'_>, text: &str) {
        let before = self.state(place);
        for way in self.ways() {
            let refused = Self::run(person, &way).fails();
            let is_denied = refused.contains("(Forbidden)") || refused.contains("forbidden");
            assert!(refused.contains(text) && is_denied, "{} of {}: {refused}", way.0, self.path);
        }
        assert_eq!(self.state(place), before);
    }

    /// Every way works, from the state that it is in now.
    fn works(&self, place: &Place, person: &Person<'_>) {
        let mut client = place.client.another();
        let (mut before, _) = self.state(place);
        for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] {
            before["metadata"].as_object_mut().unwrap().remove(field);
        }
        for way in self.ways() {
            client.delete(&format!("{}/{}", self.path, self.name)).ok();
            client.json("POST", &self.path, &before).ok();
            let (stored, count) = self.state(place);
            let output = Self::run(person, &way);
            assert_eq!(output.code, 0, "{} of {}: {}", way.0, self.path, output.stderr);
            let (changed, more) = self.state(place);
            assert!(changed != stored || more > count, "{} of {} does something", way.0, self.path);
        }
    }
}

/// Roles that would give `get secrets`, in a namespace and in the cluster.
fn roles() -> [Target; 2] {
    let held = rule(&["get"], "", &["serviceaccounts"]);
    let more = rule(&["get"], "", &["secrets"]);
    [("roles", "dev", "Role"), ("clusterroles", "", "ClusterRole")].map(|(resource, namespace, kind)| {
        let rules = json!([held, more]);
        let patch = json!({"rules": rules});
        Target {
            patches: [json!([{"op": "add", "path": "/rules/-", "value": more}]), patch.clone(), patch],
            wanted: typed(json!({"metadata": {"name": "r"}, "rules": rules}), kind, namespace),
            ..target(resource, namespace, "r")
        }
    })
}

/// Bindings that would give mallory a role that has `get secrets`.
fn bindings() -> [Target; 2] {
    let subject = json!({"apiGroup": actors::RBAC, "kind": "User", "name": "mallory"});
    [("rolebindings", "dev", "Role"), ("clusterrolebindings", "", "ClusterRole")].map(|(resource, namespace, kind)| {
        let patch = json!({"subjects": [subject]});
        let wanted = binding("b", &format!("{kind}/powerful"), "User/mallory");
        Target {
            patches: [json!([{"op": "add", "path": "/subjects/-", "value": subject}]), patch.clone(), patch],
            wanted: typed(wanted, &format!("{kind}Binding"), namespace),
            ..target(resource, namespace, "b")
        }
    })
}

fn target(resource: &'static str, namespace: &'static str, name: &'static str) -> Target {
    let words = if namespace.is_empty() { vec![resource] } else { vec![resource, "-n", namespace] };
    let nothing = [Value::Null, Value::Null, Value::Null];
    Target { words, path: rbac(namespace, resource), name, wanted: Value::Null, patches: nothing }
}

fn typed(mut object: Value, kind: &str, namespace: &str) -> Value {
    object["apiVersion"] = format!("{}/v1", actors::RBAC).into();
    object["kind"] = kind.into();
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = namespace.into();
    }
    object
}

/// Namespace `dev`, mallory, who may write everything that decides access and has little herself, and what she is after.
fn set_up(place: &mut Place) {
    let admin = &mut place.client;
    actors::namespace(admin, "dev");
    let writes = rule(&ALL_VERBS, actors::RBAC, &RBAC_KINDS);
    role(admin, "", "rbac-writer", &[writes, rule(&["get"], "", &["serviceaccounts"])]);
    bind(admin, "", "rbac-writer", "ClusterRole/rbac-writer", "User/mallory");
    for (namespace, kind) in [("dev", "Role"), ("", "ClusterRole")] {
        role(admin, namespace, "r", &[rule(&["get"], "", &["serviceaccounts"])]);
        role(admin, namespace, "powerful", &[rule(&["get"], "", &["secrets"])]);
        bind(admin, namespace, "b", &format!("{kind}/powerful"), "User/somebody");
    }
}

#[test]
fn roles_give_no_more_than_their_writer_has_unless_who_may_escalate() {
    each(|place| {
        set_up(place);
        let mallory = place.user("mallory", &[]);
        for target in roles() {
            target.is_refused(place, &mallory, NOT_HELD);
        }
        // What she has she may give, and she may take away.
        let manifest = typed(
            json!({"metadata": {"name": "own"}, "rules": [rule(&["get"], "", &["serviceaccounts"])]}),
            "ClusterRole",
            "",
        );
        mallory.feed(&["create", "-f", "-"], &manifest.to_string()).ok();
        mallory.does("patch role powerful -n dev --type merge -p {\"rules\":[]}").ok();
        // A role whose rules are those of others could have any.
        let mut aggregating = manifest.clone();
        aggregating["metadata"]["name"] = "aggregating".into();
        aggregating["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]});
        let refused = mallory.feed(&["create", "-f", "-"], &aggregating.to_string()).fails();
        assert!(refused.contains("must have cluster-admin privileges to use the aggregationRule"), "{refused}");

        let admin = place.admin();
        admin.does("create clusterrole escalate --verb=escalate --resource=roles,clusterroles").ok();
        admin.does("create clusterrolebinding escalate --clusterrole=escalate --user=mallory").ok();
        for target in roles() {
            target.works(place, &mallory);
        }
        mallory.feed(&["create", "-f", "-"], &aggregating.to_string()).ok();
        // To escalate is not to bind.
        let [_, in_cluster] = bindings();
        let refused = mallory.feed(&["create", "-f", "-"], &renamed(&in_cluster.wanted, "c", "powerful")).fails();
        assert!(refused.contains(NOT_HELD), "{refused}");
    });
}

#[test]
fn bindings_give_no_more_than_their_writer_has_unless_who_may_bind() {
    each(|place| {
        set_up(place);
        let mallory = place.user("mallory", &[]);
        for target in bindings() {
            target.is_refused(place, &mallory, NOT_HELD);
        }
        // Not even a label, as in Kubernetes; and a role that is not there could come to have any rule.
        assert!(mallory.does("label rolebinding b -n dev a=b").fails().contains(NOT_HELD));
        let [in_namespace, in_cluster] = bindings();
        for target in [&in_namespace, &in_cluster] {
            let dangling = mallory.feed(&["create", "-f", "-"], &renamed(&target.wanted, "c", "nothing")).fails();
            assert!(dangling.contains("\"nothing\" not found"), "{dangling}");
            mallory.feed(&["create", "-f", "-"], &renamed(&target.wanted, "c", "r")).ok();
        }

        let admin = place.admin();
        let create = "create clusterrole bind --verb=bind --resource=roles,clusterroles --resource-name=powerful";
        admin.does(create).ok();
        admin.does("create clusterrolebinding bind --clusterrole=bind --user=mallory").ok();
        for target in bindings() {
            target.works(place, &mallory);
        }
        mallory.does("get secrets").fails();
        let missing = mallory.does("get secret none").fails();
        assert!(missing.contains("(NotFound)"), "now she may read: {missing}");
        // For that one role, and to bind is not to escalate.
        let refused = mallory.feed(&["create", "-f", "-"], &renamed(&in_cluster.wanted, "d", "cluster-admin")).fails();
        assert!(refused.contains("is attempting to grant RBAC permissions not currently held"), "{refused}");
        let star = typed(json!({"metadata": {"name": "star"}, "rules": [rule(&["*"], "*", &["*"])]}), "Role", "dev");
        assert!(mallory.feed(&["create", "-f", "-"], &star.to_string()).fails().contains("not currently held"));
    });
}

fn renamed(binding: &Value, name: &str, role: &str) -> String {
    let mut other = binding.clone();
    other["metadata"]["name"] = name.into();
    other["roleRef"]["name"] = role.into();
    other.to_string()
}

/// The User `u` as it would be, and how it would come to be so.
fn user(name: &'static str, spec: &Value, patch: Value) -> Target {
    let wanted = json!({
        "apiVersion": "strongroom.dev/v1alpha1", "kind": "User", "metadata": {"name": name}, "spec": spec,
    });
    let merge = json!({"spec": spec});
    let patches = [patch, merge.clone(), merge];
    Target { words: vec!["users"], path: USERS.to_owned(), name, wanted, patches }
}

#[test]
fn users_are_made_and_changed_only_by_those_who_may_act_as_them() {
    each(|place| {
        let admin = &mut place.client;
        for (name, spec) in [
            ("u", json!({"groups": ["old"]})),
            ("d", json!({"groups": ["dev"], "disabled": true})),
            ("plain", json!({"groups": []})),
        ] {
            admin.json("POST", USERS, &json!({"metadata": {"name": name}, "spec": spec})).ok();
        }
        let ours = "strongroom.dev";
        let subresources = rule(&["create"], ours, &["users/password", "users/certificate"]);
        role(admin, "", "helpdesk", &[rule(&ALL_VERBS, ours, &["users"]), subresources]);
        bind(admin, "", "helpdesk", "ClusterRole/helpdesk", "User/helpdesk");
        let helpdesk = place.user("helpdesk", &[]);

        let add = json!([{"op": "add", "path": "/spec/groups/-", "value": "dev"}]);
        let group = user("u", &json!({"groups": ["old", "dev"]}), add);
        let enable = json!([{"op": "replace", "path": "/spec/disabled", "value": false}]);
        let enabled = user("d", &json!({"groups": ["dev"], "disabled": false}), enable);
        for target in [&group, &enabled] {
            target.is_refused(place, &helpdesk, "cannot impersonate resource \"users\" in API group \"\"");
        }
        let set_password = |name: &str| {
            let words = ["create", "--raw", &format!("{USERS}/{name}/password"), "-f", "-"];
            helpdesk.feed(&words, &json!({"spec": {"password": actors::PASSWORD}}).to_string())
        };
        let refused = set_password("plain").fails();
        assert!(refused.contains("cannot impersonate resource \"users\""), "{refused}");
        // To shut out, to take away, and to note needs no more.
        let patch = |patch: &str| helpdesk.run(&["patch", "users", "u", "--type", "merge", "-p", patch]);
        patch(r#"{"metadata":{"labels":{"a":"b"}}}"#).ok();
        patch(r#"{"spec":{"disabled":true}}"#).ok();
        assert!(patch(r#"{"spec":{"disabled":false}}"#).fails().contains("cannot impersonate"));

        // The right to act as the user is not one to act as the group.
        let admin = &mut place.client.another();
        admin.typed("PATCH", &format!("{USERS}/u"), "application/merge-patch+json", br#"{"spec":{"disabled":false}}"#);
        role(admin, "", "act", &[rule(&["impersonate"], "", &["users"])]);
        bind(admin, "", "act", "ClusterRole/act", "User/helpdesk");
        set_password("plain").ok();
        for target in [&group, &enabled] {
            target.is_refused(place, &helpdesk, "cannot impersonate resource \"groups\" in API group \"\"");
        }
        role(admin, "", "act-dev", &[rule_for(&["impersonate"], "", &["groups"], &["dev", "old"])]);
        bind(admin, "", "act-dev", "ClusterRole/act-dev", "User/helpdesk");
        group.works(place, &helpdesk);
        enabled.works(place, &helpdesk);

        // What is the server's own nobody has.
        let masters = json!({"groups": ["system:masters"]}).to_string();
        for person in [&helpdesk, &place.admin()] {
            let patch = format!("{{\"spec\":{masters}}}");
            let refused = person.run(&["patch", "users", "u", "--type", "merge", "-p", &patch]).fails();
            assert!(refused.contains("system:masters"), "{refused}");
        }
    });
}

//! What a decision costs among 1,000 Roles and 1,000 RoleBindings, and what it costs to get there.
//!
//! ```text
//! cargo bench --bench decide
//! ```
//!
//! Two layouts: ten namespaces with a hundred bindings each, every binding for other subjects; and the worst, one
//! namespace in which every binding is for the group of who asks. Times are the best of many short rounds, in one thread.
//!
//! What it never does: measure a decision that was not the expected one.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom::model::kinds;
use strongroom::model::user::User;
use strongroom::rbac::{Attributes, Policy, PolicySet, authorize, bootstrap, check_role, explain};

const ROLES: usize = 1_000;
const MEASURED: Duration = Duration::from_millis(700);
const ROUND: Duration = Duration::from_micros(300);

fn main() -> ExitCode {
    // `cargo test --benches` calls by the way.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("nothing was measured: `cargo bench --bench decide` measures");
        return ExitCode::SUCCESS;
    }
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), String> {
    let (spread, crowded) = (spread(), crowded());
    println!("{ROLES} Roles and {ROLES} RoleBindings, the server's own roles besides\n");
    println!("{:<58} {:>12}", "compile, ten namespaces", millis(best(|| spread.compile())));
    println!("{:<58} {:>12}", "compile, one namespace", millis(best(|| crowded.compile())));

    println!("\nten namespaces, a hundred bindings each");
    let policy = spread.compile();
    let outsider = user("nobody", &["system:authenticated", "a", "b", "c"]);
    decide("allowed to a user", &policy, &user("user-555", &["system:authenticated"]), secret("n5", "s"), true)?;
    decide("allowed to a group, of five", &policy, &groups("group-555"), secret("n5", "s"), true)?;
    decide("allowed to a service account", &policy, &account("n5", "sa-555"), secret("n5", "s"), true)?;
    decide("allowed by a ClusterRoleBinding", &policy, &user("operator", &[]), secret("n5", "s"), true)?;
    decide("a path, allowed to everyone", &policy, &outsider, Attributes::path("get", "/apis/x/v1"), true)?;
    decide("not allowed, nothing bound", &policy, &outsider, secret("n5", "s"), false)?;
    decide("not allowed, bound to another verb", &policy, &user("user-555", &[]), list("n5"), false)?;
    let (who, asked) = (user("user-555", &[]), list("n5"));
    time("not allowed, with the refusal's text", || authorize(&policy, &who, asked.clone()).is_err());

    println!("\none namespace, every binding for the group of who asks");
    let policy = crowded.compile();
    decide("allowed by the first", &policy, &groups("everyone"), named("n", "secrets", "s-0000"), true)?;
    decide("allowed by the last", &policy, &groups("everyone"), named("n", "secrets", "s-0999"), true)?;
    decide("not allowed, every name is another", &policy, &groups("everyone"), named("n", "secrets", "none"), false)?;
    decide("not allowed, no rule is for the resource", &policy, &groups("everyone"), named("n", "maps", "x"), false)?;
    let (who, asked) = (groups("everyone"), named("n", "secrets", "none"));
    time("explained", || explain(&policy, &who, &asked).considered.len());

    println!("\nthe largest role that may be written, held piece by piece by 4,096 rules");
    let (policy, new) = largest();
    let alice = user("alice", &[]);
    let check = |who: &User| check_role(&policy, who, &kinds::CLUSTER_ROLE, "", "", None, &new).is_ok();
    if !check(&alice) || check(&outsider) {
        return Err("the check of the largest role decided otherwise than it should".to_owned());
    }
    println!("{:<58} {:>12}", "covered", millis(best(|| check(&alice))));
    println!("{:<58} {:>12}", "nothing of it covered, with the refusal's text", millis(best(|| check(&outsider))));
    Ok(())
}

/// The best of many short rounds, per call. Rounds are short so that some are left alone by whatever else runs.
fn best<T>(mut call: impl FnMut() -> T) -> Duration {
    let round = |times: u32, call: &mut dyn FnMut() -> T| {
        let begun = Instant::now();
        for _ in 0..times {
            black_box(call());
        }
        begun.elapsed() / times
    };
    let mut best = round(1, &mut call);
    let begun = Instant::now();
    while begun.elapsed() < MEASURED {
        let times = ROUND.as_nanos().checked_div(best.as_nanos()).unwrap_or(1).clamp(1, 10_000);
        best = best.min(round(u32::try_from(times).unwrap_or(1), &mut call));
    }
    best
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

fn time<T>(what: &str, call: impl FnMut() -> T) {
    let nanos = best(call).as_nanos();
    println!("{what:<58} {nanos:>9} ns");
}

fn decide(what: &str, policy: &Policy, user: &User, asked: Attributes, allowed: bool) -> Result<(), String> {
    if policy.decide(user, &asked).is_allowed() != allowed {
        return Err(format!("{what}: was decided otherwise"));
    }
    let asked = black_box(asked);
    time(what, || policy.decide(black_box(user), &asked));
    Ok(())
}

fn user(name: &str, groups: &[&str]) -> Arc<User> {
    let groups = groups.iter().map(|&group| group.to_owned()).collect();
    Arc::new(User { name: name.to_owned(), uid: String::new(), groups, extra: std::collections::BTreeMap::new() })
}

fn groups(last: &str) -> Arc<User> {
    user("somebody", &["a", "b", "c", "system:authenticated", last])
}

fn account(namespace: &str, name: &str) -> Arc<User> {
    let group = format!("system:serviceaccounts:{namespace}");
    user(
        &format!("system:serviceaccount:{namespace}:{name}"),
        &["system:serviceaccounts", &group, "system:authenticated"],
    )
}

fn secret(namespace: &str, name: &str) -> Attributes {
    Attributes::object("get", &kinds::SECRET, namespace, name)
}

fn list(namespace: &str) -> Attributes {
    Attributes::object("deletecollection", &kinds::SECRET, namespace, "")
}

fn named(namespace: &str, resource: &str, name: &str) -> Attributes {
    Attributes { resource: resource.to_owned(), ..secret(namespace, name) }
}

fn own() -> PolicySet {
    let mut set = PolicySet::default();
    for (kind, object) in bootstrap::objects() {
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        set.put(kind, "", name, &object);
    }
    let role_ref = json!({"kind": "ClusterRole", "name": "cluster-admin"});
    let binding = json!({"roleRef": role_ref, "subjects": [{"kind": "User", "name": "operator"}]});
    set.put(&kinds::CLUSTER_ROLE_BINDING, "", "zz-operator", &binding);
    set
}

fn put(set: &mut PolicySet, namespace: &str, name: &str, rules: &Value, subjects: &Value) {
    set.put(&kinds::ROLE, namespace, name, &json!({"rules": rules}));
    let role_ref = json!({"kind": "Role", "name": name});
    set.put(&kinds::ROLE_BINDING, namespace, name, &json!({"roleRef": role_ref, "subjects": subjects}));
}

/// Every binding for a user, a group and a service account of its own.
fn spread() -> PolicySet {
    let mut set = own();
    let rules = json!([
        {"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["configmaps", "serviceaccounts"]},
        {"verbs": ["get", "list", "watch", "create", "update"], "apiGroups": [""], "resources": ["secrets"]},
    ]);
    for at in 0..ROLES {
        let subjects = json!([
            {"kind": "User", "name": format!("user-{at}")},
            {"kind": "Group", "name": format!("group-{at}")},
            {"kind": "ServiceAccount", "name": format!("sa-{at}")},
        ]);
        put(&mut set, &format!("n{}", at * 10 / ROLES), &format!("role-{at:04}"), &rules, &subjects);
    }
    set
}

/// Every binding for one group, every role for another name.
fn crowded() -> PolicySet {
    let mut set = own();
    for at in 0..ROLES {
        let rules = json!([{
            "verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": [format!("s-{at:04}")],
        }]);
        put(&mut set, "n", &format!("role-{at:04}"), &rules, &json!([{"kind": "Group", "name": "everyone"}]));
    }
    set
}

/// 98,304 permissions in 24 rules; who holds them does so by a rule for each group and resource.
fn largest() -> (Policy, Value) {
    let texts = |prefix: &str, count: usize| -> Vec<String> { (0..count).map(|at| format!("{prefix}{at}")).collect() };
    let granted: Vec<Value> = (0..24)
        .map(|at| json!({"verbs": [format!("v{at}")], "apiGroups": texts("g", 64), "resources": texts("r", 64)}))
        .collect();
    let mut set = PolicySet::default();
    for at in 0..64 {
        let rule =
            |resource| json!({"verbs": texts("v", 24), "apiGroups": [format!("g{at}")], "resources": [resource]});
        let rules: Vec<Value> = texts("r", 64).into_iter().map(rule).collect();
        let name = format!("h{at}");
        set.put(&kinds::CLUSTER_ROLE, "", &name, &json!({"rules": rules}));
        let role_ref = json!({"kind": "ClusterRole", "name": name});
        let binding = json!({"roleRef": role_ref, "subjects": [{"kind": "User", "name": "alice"}]});
        set.put(&kinds::CLUSTER_ROLE_BINDING, "", &name, &binding);
    }
    (set.compile(), json!({"metadata": {"name": "c"}, "rules": granted}))
}

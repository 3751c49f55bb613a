//! The end of a right counts for the very next request, whatever else goes on: under load, for each way in which a
//! right ends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::actors::{self, PASSWORD, USERS, bind, binding, rbac, role, rule, secret, secrets, sign_in};
use crate::support::app::App;
use crate::support::clients::eventually;
use crate::support::http::Client;

pub const MERGE_PATCH: &str = "application/merge-patch+json";
/// Hashes passwords as cheaply as may be.
pub const CHEAP: [&str; 2] = ["--argon2-memory", "19"];
const CLIENTS: usize = 4;
/// Answers that are looked at before anything is changed again. Those of a former stage may be counted in, one a client.
const ENOUGH: u64 = 16;
/// Held by a load: two at once would wait for each other's processors.
static ONE_LOAD: Mutex<()> = Mutex::new(());
const LIMIT: Duration = Duration::from_mins(1);

/// A server with the Secret `s` in namespace `default`.
fn server() -> (App, Client) {
    let app = App::start_in(tempfile::tempdir().unwrap(), &CHEAP);
    let mut admin = Client::admin(&app);
    secret(&mut admin, "default", "s", &json!({"k": "v"}));
    role(&mut admin, "default", "read", &[rule(&["get"], "", &["secrets"])]);
    (app, admin)
}

/// What clients may expect: in turn nothing, for a change is under way; that they are allowed; nothing; that they are
/// refused. It moves by one.
struct Load {
    stage: AtomicU64,
    /// Answers to requests that were sent and answered within one stage.
    answered: AtomicU64,
    token: RwLock<String>,
    wrong: Mutex<Vec<String>>,
}

/// Ends the load, also where the test fails.
struct End<'a>(&'a Load);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.stage.store(u64::MAX, Ordering::SeqCst);
    }
}

/// A right is granted and ended again and again while clients use it.
///
/// `change` grants (`true`) or ends it and returns when that is acknowledged; where the credential is a new one it
/// returns the token. Every request sent after that and answered before the next change begins must be allowed, or
/// refused with `code`.
fn check(admin: &Client, token: &str, code: u16, rounds: usize, mut change: impl FnMut(bool, usize) -> Option<String>) {
    let _turn = ONE_LOAD.lock().unwrap_or_else(PoisonError::into_inner);
    let path = format!("{}/s", secrets("default"));
    let load = Load {
        stage: AtomicU64::new(0),
        answered: AtomicU64::new(0),
        token: RwLock::new(token.to_owned()),
        wrong: Mutex::default(),
    };
    std::thread::scope(|scope| {
        let _end = End(&load);
        for _ in 0..CLIENTS {
            scope.spawn(|| hammer(&load, admin, &path, code));
        }
        for round in 0..rounds {
            for grants in [true, false] {
                load.stage.fetch_add(1, Ordering::SeqCst);
                if let Some(new) = change(grants, round) {
                    *load.token.write().unwrap() = new;
                }
                load.answered.store(0, Ordering::SeqCst);
                load.stage.fetch_add(1, Ordering::SeqCst);
                let enough = || (load.answered.load(Ordering::SeqCst) >= ENOUGH).then_some(());
                eventually(LIMIT, enough).expect("the load is one");
                let wrong = load.wrong.lock().unwrap().clone();
                assert!(wrong.is_empty(), "round {round}: {wrong:?}");
            }
        }
    });
    let wrong = load.wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Asks until the load ends.
fn hammer(load: &Load, admin: &Client, path: &str, code: u16) {
    let mut token = String::new();
    let mut client = admin.without_token();
    loop {
        let before = load.stage.load(Ordering::SeqCst);
        if before == u64::MAX {
            return;
        }
        if *load.token.read().unwrap() != token {
            token.clone_from(&load.token.read().unwrap());
            client = admin.with_token(&token);
        }
        // Only where nothing began meanwhile is it known what to expect. The token is of the stage, too.
        let status = client.get(path).status;
        if load.stage.load(Ordering::SeqCst) != before {
            continue;
        }
        let expected = match before % 4 {
            0 if before > 0 => code,
            2 => 200,
            _ => continue,
        };
        load.answered.fetch_add(1, Ordering::SeqCst);
        if status != expected {
            load.wrong.lock().unwrap().push(format!("{status} instead of {expected} at stage {before}"));
        }
    }
}

fn put(admin: &mut Client, path: &str, object: &Value) {
    admin.json("PUT", path, object).ok();
}

fn patch(admin: &mut Client, path: &str, patch: &Value) {
    admin.typed("PATCH", path, MERGE_PATCH, patch.to_string().as_bytes()).ok();
}

#[test]
fn no_request_is_allowed_after_the_end_of_a_binding_was_acknowledged() {
    let (_app, mut admin) = server();
    let user = actors::signed_in(&mut admin, "ada", &[]);
    let bindings = rbac("default", "rolebindings");
    let whole = binding("b", "Role/read", "User/ada");
    let mut of_nobody = whole.clone();
    of_nobody["subjects"] = json!([]);
    let path = format!("{bindings}/b");
    let other = admin.another();
    check(&other, user.token().unwrap(), 403, 40, |grants, round| {
        match (grants, round % 4) {
            // By DELETE, by PUT, by PATCH, and together with others.
            (true, _) => put(&mut admin, &path, &whole),
            (false, 0) => drop(admin.delete(&path).ok()),
            (false, 1) => put(&mut admin, &path, &of_nobody),
            (false, 2) => patch(&mut admin, &path, &json!({"subjects": null})),
            (false, _) => drop(admin.delete(&bindings).ok()),
        }
        None
    });
}

#[test]
fn no_request_is_allowed_after_the_end_of_a_rule_a_role_or_a_group_was_acknowledged() {
    let (_app, mut admin) = server();
    let user = actors::signed_in(&mut admin, "ada", &["readers"]);
    bind(&mut admin, "", "b", "ClusterRole/whole", "Group/readers");
    let whole = json!({
        "metadata": {"name": "whole"}, "rules": [],
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"part-of": "whole"}}]},
    });
    admin.json("POST", &rbac("", "clusterroles"), &whole).ok();
    let rules = [rule(&["get"], "", &["secrets"])];
    let part = json!({"metadata": {"name": "part", "labels": {"part-of": "whole"}}, "rules": rules});
    let path = format!("{}/part", rbac("", "clusterroles"));
    let account = format!("{USERS}/ada");
    let other = admin.another();
    check(&other, user.token().unwrap(), 403, 20, |grants, round| {
        match (grants, round % 4) {
            (true, 3) => patch(&mut admin, &account, &json!({"spec": {"groups": ["readers"]}})),
            (true, _) => put(&mut admin, &path, &part),
            (false, 0) => patch(&mut admin, &path, &json!({"rules": []})),
            // The role that is bound has its rules from another.
            (false, 1) => patch(&mut admin, &path, &json!({"metadata": {"labels": {"part-of": null}}})),
            (false, 2) => {
                drop(admin.delete(&path).ok());
                put(&mut admin, &path, &part);
                patch(&mut admin, &account, &json!({"spec": {"groups": []}}));
            }
            (false, _) => {
                drop(admin.delete(&path).ok());
            }
        }
        None
    });
}

#[test]
fn no_request_is_allowed_after_a_user_was_shut_out() {
    let (_app, mut admin) = server();
    actors::user(&mut admin, "ada", &[]);
    bind(&mut admin, "default", "b", "Role/read", "User/ada");
    let account = format!("{USERS}/ada");
    let other = admin.another();
    check(&other, "sr_none", 401, 12, |grants, round| {
        if grants {
            if round > 0 {
                patch(&mut admin, &account, &json!({"spec": {"disabled": false}}));
            }
            return Some(sign_in(&admin, "ada").client.token().unwrap().to_owned());
        }
        patch(&mut admin, &account, &json!({"spec": {"disabled": true}}));
        None
    });
}

#[test]
fn no_request_is_allowed_after_the_end_of_a_session_was_acknowledged() {
    let (_app, mut admin) = server();
    actors::user(&mut admin, "ada", &[]);
    bind(&mut admin, "default", "b", "Role/read", "User/ada");
    let account = format!("{USERS}/ada");
    let other = admin.another();
    let mut session = None;
    check(&other, "sr_none", 401, 16, |grants, round| {
        if grants {
            let new = session.insert(sign_in(&admin, "ada"));
            return Some(new.client.token().unwrap().to_owned());
        }
        let mut ended = session.take().unwrap();
        match round % 4 {
            0 => drop(ended.client.send("POST", "/strongroom/v1/logout", &[], b"").unwrap().ok()),
            1 => {
                let token = json!({"refresh_token": ended.refresh_token});
                admin.without_token().json("POST", "/strongroom/v1/logout", &token).ok();
            }
            // Another session sets another password, or the administrator does.
            2 => {
                let passwords = json!({"old_password": PASSWORD, "new_password": PASSWORD});
                sign_in(&admin, "ada").client.json("POST", "/strongroom/v1/password", &passwords).ok();
            }
            _ => actors::set_password(&mut admin, "ada", PASSWORD),
        }
        if round == 15 {
            admin.delete(&account).ok();
        }
        None
    });
}

#[test]
fn no_request_is_allowed_after_a_service_account_was_deleted() {
    let (_app, mut admin) = server();
    bind(&mut admin, "default", "b", "Role/read", "ServiceAccount/default/robot");
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let robot = json!({"metadata": {"name": "robot"}});
    let other = admin.another();
    check(&other, "sr_none", 401, 20, |grants, round| {
        if grants {
            if round % 2 == 0 {
                admin.json("POST", accounts, &robot).ok();
            }
            return Some(actors::token_of(&mut admin, "default", "robot").token().unwrap().to_owned());
        }
        admin.delete(&format!("{accounts}/robot")).ok();
        if round % 2 == 0 {
            // There is one of that name again, and it is another.
            admin.json("POST", accounts, &robot).ok();
        }
        None
    });
}

#[test]
fn no_request_is_allowed_after_the_signing_keys_were_revoked() {
    let (_app, mut admin) = server();
    actors::user(&mut admin, "ada", &[]);
    bind(&mut admin, "default", "b", "Role/read", "User/ada");
    bind(&mut admin, "default", "robot", "Role/read", "ServiceAccount/default/default");
    let other = admin.another();
    check(&other, "sr_none", 401, 12, |grants, round| match (grants, round % 2) {
        (true, 0) => Some(sign_in(&admin, "ada").client.token().unwrap().to_owned()),
        (true, _) => Some(actors::token_of(&mut admin, "default", "default").token().unwrap().to_owned()),
        (false, _) => {
            admin.json("POST", "/strongroom/v1/admin/rotate-signing-keys", &json!({"revoke": true})).ok();
            None
        }
    });
}

#[test]
fn a_request_whose_body_comes_after_the_end_of_the_right_is_refused() {
    let (_app, mut admin) = server();
    role(&mut admin, "default", "write", &[rule(&["create", "patch", "update", "delete"], "", &["secrets"])]);
    let ada = actors::signed_in(&mut admin, "ada", &[]);
    let item = format!("{}/s", secrets("default"));
    let change = br#"{"metadata":{"name":"s","labels":{"a":"b"}}}"#;
    for (method, path, content_type) in [
        ("PATCH", item.clone(), MERGE_PATCH),
        ("PUT", item.clone(), "application/json"),
        ("POST", secrets("default"), "application/json"),
        ("DELETE", item.clone(), "application/json"),
    ] {
        bind(&mut admin, "default", "ada", "Role/write", "User/ada");
        let before = admin.get(&secrets("default")).ok().json()["items"].clone();
        let body = if method == "DELETE" { &b"{}"[..] } else { change };
        let length = body.len().to_string();
        let mut connection = ada.connect().unwrap();
        let headers = [("Content-Type", content_type), ("Content-Length", &length), ("Expect", "100-continue")];
        connection.write(ada.head(method, &path, &headers).as_bytes()).unwrap();
        // By now it was allowed, and its body is waited for.
        assert!(connection.line().unwrap().contains("100 Continue") && connection.line().unwrap().is_empty());
        admin.delete(&format!("{}/ada", rbac("default", "rolebindings"))).ok();
        connection.write(body).unwrap();
        let refused = connection.response(false).unwrap();
        assert_eq!(refused.status, 403, "{method}: {}", refused.text());
        assert_eq!(admin.get(&secrets("default")).ok().json()["items"], before, "{method}");
    }
}

#[test]
fn a_request_whose_body_comes_after_the_end_of_a_service_account_is_refused() {
    let (_app, mut admin) = server();
    role(&mut admin, "default", "write", &[rule(&["create"], "", &["secrets"])]);
    let robot = actors::service_account(&mut admin, "default", "robot");
    bind(&mut admin, "default", "robot", "Role/write", "ServiceAccount/default/robot");
    let body = br#"{"metadata":{"name":"late"}}"#;
    let length = body.len().to_string();
    let mut connection = robot.connect().unwrap();
    let headers = [("Content-Type", "application/json"), ("Content-Length", &length), ("Expect", "100-continue")];
    connection.write(robot.head("POST", &secrets("default"), &headers).as_bytes()).unwrap();
    assert!(connection.line().unwrap().contains("100 Continue") && connection.line().unwrap().is_empty());
    admin.delete("/api/v1/namespaces/default/serviceaccounts/robot").ok();
    connection.write(body).unwrap();
    assert_eq!(connection.response(false).unwrap().status, 401);
    assert_eq!(admin.get(&format!("{}/late", secrets("default"))).status, 404);
}

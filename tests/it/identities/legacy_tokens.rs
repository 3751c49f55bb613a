//! Tokens of service accounts that never end, in Secrets: filled as Kubernetes' controller does it, good for as long
//! as the Secret holds them, and there only where the server was told to.

use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::site::{ACCOUNTS, SECRETS, Site, TOKEN_REVIEWS, user_info, who};
use crate::support::canary::{Canary, found_in_files};
use crate::support::clients::{eventually, run};
use crate::support::http::Client;
use crate::support::jwt::parts;
use crate::support::kubectl;
use crate::support::watch::Watch;

const ON: &str = "--legacy-service-account-tokens";
const ROBOT: &str = "system:serviceaccount:default:robot";
const NAME: &str = "kubernetes.io/service-account.name";
const UID: &str = "kubernetes.io/service-account.uid";
const SOON: Duration = Duration::from_secs(30);

fn token_secret(name: &str, account: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {"name": name, "annotations": {NAME: account}},
    })
}

fn path(name: &str) -> String {
    format!("{SECRETS}/{name}")
}

fn decoded(secret: &Value, key: &str) -> Option<String> {
    let value = secret["data"][key].as_str()?;
    Some(String::from_utf8(STANDARD.decode(value).unwrap()).unwrap())
}

/// The Secret once it holds a token, and the token.
fn filled(client: &mut Client, name: &str) -> (Value, String) {
    let filled = eventually(SOON, || {
        let secret = client.get(&path(name)).ok().json();
        decoded(&secret, "token").map(|token| (secret, token))
    });
    filled.expect("a token is put into the Secret")
}

fn is_gone(client: &mut Client, name: &str) {
    let gone = eventually(SOON, || (client.get(&path(name)).status == 404).then_some(()));
    gone.expect("the Secret is removed");
}

/// A server with service account `robot`, whose Secret `robot-token` is filled.
fn site_of_robot() -> (Site, String) {
    let mut site = Site::start(&[ON]);
    site.add_account("robot");
    site.admin.json("POST", SECRETS, &token_secret("robot-token", "robot")).ok();
    let (_, token) = filled(&mut site.admin, "robot-token");
    (site, token)
}

fn uid(client: &mut Client, path: &str) -> String {
    client.get(path).ok().json()["metadata"]["uid"].as_str().unwrap().to_owned()
}

#[test]
fn a_secret_of_a_service_account_is_filled_as_kubernetes_does() {
    let mut site = Site::start(&[ON]);
    site.add_account("robot");
    let account = uid(&mut site.admin, &format!("{ACCOUNTS}/robot"));
    let made = site.admin.json("POST", SECRETS, &token_secret("robot-token", "robot")).ok();
    assert_eq!(made.header("warning"), None);
    let (secret, token) = filled(&mut site.admin, "robot-token");
    assert_eq!(decoded(&secret, "namespace").as_deref(), Some("default"));
    assert_eq!(decoded(&secret, "ca.crt").unwrap().into_bytes(), site.app.ca_pem);
    assert_eq!(secret["metadata"]["annotations"], json!({NAME: "robot", UID: account}));
    let (header, claims, _) = parts(&token);
    assert_eq!((&header["alg"], header.get("typ")), (&json!("ES256"), None));
    let expected = json!({
        "iss": "kubernetes/serviceaccount", "sub": ROBOT,
        "kubernetes.io/serviceaccount/namespace": "default",
        "kubernetes.io/serviceaccount/secret.name": "robot-token",
        "kubernetes.io/serviceaccount/service-account.name": "robot",
        "kubernetes.io/serviceaccount/service-account.uid": account,
    });
    assert_eq!(claims, expected);
    let info = user_info(&mut site.with_token(&token));
    let groups = ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"];
    assert_eq!(info, json!({"username": ROBOT, "uid": account, "groups": groups}));

    // Whoever checks it by TokenReview gets Kubernetes' answers.
    for (audiences, good) in [(json!([]), true), (json!(["https://strongroom.local"]), true), (json!(["vault"]), false)]
    {
        let asked = json!({"spec": {"token": token, "audiences": audiences}});
        let status = site.admin.json("POST", TOKEN_REVIEWS, &asked).ok().json()["status"].clone();
        assert_eq!(status["authenticated"] == json!(true), good, "{audiences}: {status}");
        if good {
            assert_eq!(
                (&status["audiences"], &status["user"]["username"]),
                (&json!(["https://strongroom.local"]), &json!(ROBOT))
            );
        }
    }
    // What somebody takes out is put back; what is there stays.
    let patch = |site: &mut Site, data: Value| {
        let body = json!({"data": data}).to_string();
        site.admin.typed("PATCH", &path("robot-token"), "application/merge-patch+json", body.as_bytes()).ok();
    };
    patch(&mut site, json!({"ca.crt": null, "mine": "bQ=="}));
    let whole = eventually(SOON, || {
        let secret = site.admin.get(&path("robot-token")).ok().json();
        secret["data"]["ca.crt"].is_string().then_some(secret)
    });
    let whole = whole.expect("the certificate is put back");
    assert_eq!((decoded(&whole, "token"), &whole["data"]["mine"]), (Some(token.clone()), &json!("bQ==")));
    patch(&mut site, json!({"token": null}));
    let (_, another) = filled(&mut site.admin, "robot-token");
    assert_ne!(another, token);
    assert_eq!(
        (who(&mut site.with_token(&token)).as_str(), who(&mut site.with_token(&another)).as_str()),
        ("401", ROBOT)
    );

    // Each write of the server's own is recorded in the name of what did it.
    let found = site.admin.get("/strongroom/v1/audit?resource=secrets&name=robot-token&verb=update").ok().json();
    let by: Vec<&str> =
        found["items"].as_array().unwrap().iter().map(|event| event["user"]["username"].as_str().unwrap()).collect();
    assert_eq!(by, ["system:strongroom:tokens-controller"; 3], "{found}");
}

#[test]
fn a_secret_of_no_service_account_is_removed() {
    let mut site = Site::start(&[ON]);
    site.add_account("robot");
    site.admin.json("POST", SECRETS, &token_secret("orphan", "nobody-there")).ok();
    is_gone(&mut site.admin, "orphan");
    let mut stale = token_secret("stale", "robot");
    stale["metadata"]["annotations"][UID] = "7e1f2a90-0000-4000-8000-000000000000".into();
    site.admin.json("POST", SECRETS, &stale).ok();
    is_gone(&mut site.admin, "stale");
    // Another type of Secret with the same annotation is nobody's business.
    let mut opaque = token_secret("opaque", "nobody-there");
    opaque["type"] = "Opaque".into();
    site.admin.json("POST", SECRETS, &opaque).ok();
    site.admin.json("POST", SECRETS, &token_secret("last", "robot")).ok();
    filled(&mut site.admin, "last");
    assert!(site.admin.get(&path("opaque")).ok().json()["data"].is_null());
    // With the account go its Secrets.
    site.admin.json("POST", SECRETS, &token_secret("of-default", "default")).ok();
    filled(&mut site.admin, "of-default");
    site.admin.delete(&format!("{ACCOUNTS}/robot")).ok();
    is_gone(&mut site.admin, "last");
    assert_eq!(site.admin.get(&path("of-default")).status, 200);
}

#[test]
fn a_token_ends_with_its_secret_with_its_account_and_with_the_setting() {
    let (mut site, token) = site_of_robot();
    let mut robot = site.with_token(&token);
    assert_eq!(who(&mut robot), ROBOT);
    // One that somebody else's Secret holds too is still the first one's.
    let mut copy = token_secret("copy", "robot");
    copy["data"] = json!({"token": STANDARD.encode(&token)});
    site.admin.json("POST", SECRETS, &copy).ok();
    site.admin.delete(&path("robot-token")).ok();
    assert_eq!(who(&mut robot), "401", "over the connection that it was good on before");
    assert_eq!(decoded(&site.admin.get(&path("copy")).ok().json(), "token").as_deref(), Some(token.as_str()));

    // A Secret that is being deleted, and waits for somebody, holds no good token any more.
    let mut waiting = token_secret("waiting", "robot");
    waiting["metadata"]["finalizers"] = json!(["example.com/wait"]);
    site.admin.json("POST", SECRETS, &waiting).ok();
    let (_, of_waiting) = filled(&mut site.admin, "waiting");
    assert_eq!(who(&mut site.with_token(&of_waiting)), ROBOT);
    site.admin.delete(&path("waiting")).ok();
    assert_eq!(who(&mut site.with_token(&of_waiting)), "401");

    site.admin.json("POST", SECRETS, &token_secret("second", "robot")).ok();
    let (_, second) = filled(&mut site.admin, "second");
    let site = site.killed_and_started();
    assert_eq!(who(&mut site.with_token(&second)), ROBOT);
    let mut off = Site::start_in(site.app.kill(), &[]);
    assert_eq!(who(&mut off.with_token(&second)), "401");
    let status = off.admin.json("POST", TOKEN_REVIEWS, &json!({"spec": {"token": second}})).ok().json();
    assert_eq!(status["status"], json!({"user": {}, "error": "invalid bearer token"}));
    let mut site = Site::start_in(off.app.kill(), &[ON]);
    assert_eq!(who(&mut site.with_token(&second)), ROBOT, "the Secret holds it still");

    site.admin.delete(&format!("{ACCOUNTS}/robot")).ok();
    assert_eq!(who(&mut site.with_token(&second)), "401");
    site.add_account("robot");
    assert_eq!(who(&mut site.with_token(&second)), "401", "an account made again is another");
    is_gone(&mut site.admin, "second");
}

#[test]
fn a_watch_ends_with_the_secret_that_holds_its_token() {
    let (mut site, token) = site_of_robot();
    let role = json!({"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["watch"]}]});
    site.admin.json("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles", &role).ok();
    let binding = json!({
        "metadata": {"name": "r"}, "subjects": [{"kind": "ServiceAccount", "namespace": "default", "name": "robot"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
    });
    site.admin.json("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", &binding).ok();
    let robot = site.with_token(&token);
    let mut watch = Watch::begin(&robot, &format!("{SECRETS}?watch=true"), "application/json");
    site.admin.delete(&path("robot-token")).ok();
    let events: Vec<Value> = std::iter::from_fn(|| watch.event()).collect();
    let last = events.last().unwrap();
    assert_eq!((&last["type"], &last["object"]["code"]), (&json!("ERROR"), &json!(401)), "{last}");
}

#[test]
fn secrets_that_were_there_before_are_filled_at_a_start_and_warned_of_until_then() {
    let mut site = Site::start(&[]);
    site.add_account("robot");
    for (method, name, kind) in
        [("POST", "made", "application/json"), ("PATCH", "applied", "application/apply-patch+yaml")]
    {
        let place = if method == "POST" { SECRETS.to_owned() } else { format!("{}?fieldManager=t", path(name)) };
        let answer = site.admin.typed(method, &place, kind, token_secret(name, "robot").to_string().as_bytes()).ok();
        let warning = answer.header("warning").unwrap();
        assert!(warning.contains("the server runs without --legacy-service-account-tokens"), "{warning}");
    }
    site.admin.json("POST", SECRETS, &token_secret("orphan", "nobody-there")).ok();
    for name in ["made", "applied", "orphan"] {
        assert!(site.admin.get(&path(name)).ok().json()["data"].is_null(), "{name}");
    }
    let mut site = Site::start_in(site.app.kill(), &[ON]);
    for name in ["made", "applied"] {
        let (_, token) = filled(&mut site.admin, name);
        assert_eq!(who(&mut site.with_token(&token)), ROBOT, "{name}");
    }
    is_gone(&mut site.admin, "orphan");
}

#[test]
fn forged_tokens_are_refused_though_a_secret_holds_them() {
    let (mut site, token) = site_of_robot();
    let (head, rest) = token.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let (header, said, _) = parts(&token);
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut unsigned = header.clone();
    unsigned["alg"] = "none".into();
    let mut admin = said.clone();
    admin["sub"] = "system:admin".into();
    let mut elsewhere = said.clone();
    elsewhere["kubernetes.io/serviceaccount/namespace"] = "kube-system".into();
    elsewhere["sub"] = "system:serviceaccount:kube-system:robot".into();
    for (what, bad) in [
        ("alg none, unsigned", format!("{}.{claims}.", encode(&unsigned))),
        ("alg none", format!("{}.{claims}.{signature}", encode(&unsigned))),
        ("another subject", format!("{head}.{}.{signature}", encode(&admin))),
        ("another namespace", format!("{head}.{}.{signature}", encode(&elsewhere))),
        ("without a signature", format!("{head}.{claims}")),
        ("garbage", "token".to_owned()),
    ] {
        // Whoever writes Secrets puts it where the controller leaves it alone.
        let mut secret = token_secret("forged", "robot");
        secret["data"] = json!({"token": STANDARD.encode(&bad)});
        site.admin.json("POST", SECRETS, &secret).ok();
        assert_eq!(who(&mut site.with_token(&bad)), "401", "{what}");
        site.admin.delete(&path("forged")).ok();
    }
    assert_eq!(who(&mut site.with_token(&token)), ROBOT);
}

#[test]
fn a_token_is_found_nowhere_but_in_its_secret() {
    let mut site = Site::start(&[ON, "--log", "trace"]);
    site.add_account("robot");
    site.admin.json("POST", SECRETS, &token_secret("robot-token", "robot")).ok();
    let (_, token) = filled(&mut site.admin, "robot-token");
    assert_eq!(who(&mut site.with_token(&token)), ROBOT);
    // Its header and signature alone would tell of it too.
    let canaries: Vec<Canary> = std::iter::once(token.as_str())
        .chain(token.split('.'))
        .map(|part| Canary::of("the token", part.to_owned()))
        .collect();
    site.admin.delete(&path("robot-token")).ok();
    assert_eq!(who(&mut site.with_token(&token)), "401");
    assert_eq!(site.app.stop(), Some(0));
    let mut found = found_in_files(&canaries, site.app.home());
    found.extend(found_in_files(&canaries, site.app.logs()));
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn kubectl_makes_reads_uses_and_revokes_such_a_token() {
    let mut site = Site::start(&[ON]);
    for kubectl in kubectl::all() {
        kubectl.run(&site.app, &["create", "serviceaccount", "robot"]).ok();
        kubectl.feed(&site.app, &["create", "-f", "-"], &token_secret("robot-token", "robot").to_string()).ok();
        let read = ["get", "secret", "robot-token", "-o", "jsonpath={.data.token}"];
        let token = eventually(SOON, || Some(kubectl.run(&site.app, &read).ok()).filter(|token| !token.is_empty()));
        let token = String::from_utf8(STANDARD.decode(token.unwrap()).unwrap()).unwrap();
        let described = kubectl.run(&site.app, &["describe", "secret", "robot-token"]).ok();
        assert!(
            described.contains("kubernetes.io/service-account-token") && described.contains("ca.crt:"),
            "{described}"
        );
        let folder = tempfile::tempdir().unwrap();
        let (config, authority) = (folder.path().join("config"), folder.path().join("ca.crt"));
        std::fs::write(&config, "").unwrap();
        std::fs::write(&authority, &site.app.ca_pem).unwrap();
        let whoami = || {
            let mut command = Command::new(kubectl.program());
            command.arg("--kubeconfig").arg(&config).arg("--certificate-authority").arg(&authority);
            command.args([
                "--server",
                &site.app.url,
                "--token",
                &token,
                "auth",
                "whoami",
                "-o",
                "jsonpath={.status.userInfo.username}",
            ]);
            let output = run(command.env("HOME", folder.path()), b"", Duration::from_mins(2));
            (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
        };
        assert_eq!(whoami(), (true, ROBOT.to_owned()));
        kubectl.run(&site.app, &["delete", "secret", "robot-token"]).ok();
        assert!(!whoami().0);
        kubectl.run(&site.app, &["delete", "serviceaccount", "robot"]).ok();
    }
    assert!(site.app.is_running());
}

//! Tokens of service accounts: what may be asked for, whom they are good for, when they end, and that others can
//! check them with nothing but the published keys.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::site::{ACCOUNTS, SECRETS, Site, TOKEN_REVIEWS, user_info, who};
use crate::support::clients;
use crate::support::http::{Client, Response};
use crate::support::jwt::parts;

const OURS: &str = "https://strongroom.local";
const ROBOT: &str = "system:serviceaccount:default:robot";

fn site_of_robot() -> Site {
    let mut site = Site::start(&[]);
    site.add_account("robot");
    site
}

fn ask(client: &mut Client, name: &str, body: &Value) -> Response {
    client.json("POST", &format!("{ACCOUNTS}/{name}/token"), body)
}

fn review(site: &mut Site, token: &str, audiences: &[&str]) -> Value {
    let spec =
        if audiences.is_empty() { json!({"token": token}) } else { json!({"token": token, "audiences": audiences}) };
    let answer = site.admin.json("POST", TOKEN_REVIEWS, &json!({"spec": spec}));
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert!(!answer.text().contains(token), "the token is not sent back");
    answer.json()["status"].clone()
}

fn is_good(status: &Value) -> bool {
    status["authenticated"] == json!(true)
}

fn uid(site: &mut Site, path: &str) -> String {
    site.admin.get(path).ok().json()["metadata"]["uid"].as_str().unwrap().to_owned()
}

#[test]
fn a_token_request_is_answered_as_kubernetes_does() {
    let mut site = site_of_robot();
    let uid = uid(&mut site, &format!("{ACCOUNTS}/robot"));
    let answer =
        ask(&mut site.admin, "robot", &json!({"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1"}));
    assert_eq!((answer.status, answer.header("cache-control")), (201, Some("no-store")));
    let body = answer.json();
    assert_eq!((&body["metadata"]["name"], &body["metadata"]["namespace"]), (&json!("robot"), &json!("default")));
    assert_eq!(body["spec"], json!({"audiences": [OURS], "expirationSeconds": 3600, "boundObjectRef": null}));
    let token = body["status"]["token"].as_str().unwrap();
    let (header, claims, _) = parts(token);
    assert_eq!((&header["alg"], header.get("typ")), (&json!("ES256"), None));
    assert_eq!((&claims["sub"], &claims["iss"], &claims["aud"]), (&json!(ROBOT), &json!(OURS), &json!([OURS])));
    let expected = json!({"namespace": "default", "serviceaccount": {"name": "robot", "uid": uid}});
    assert_eq!(claims["kubernetes.io"], expected);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    let info = user_info(&mut site.with_token(token));
    let expected = json!({
        "username": ROBOT, "uid": uid,
        "groups": ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
        "extra": {"authentication.kubernetes.io/credential-id": [format!("JTI={}", claims["jti"].as_str().unwrap())]},
    });
    assert_eq!(info, expected);
    assert_eq!(ask(&mut site.admin, "default", &json!({})).status, 201, "every namespace has an account default");
}

#[test]
fn requests_for_what_may_not_be_are_refused_in_kubernetes_words() {
    let mut site = site_of_robot();
    let bound = |reference: Value| json!({"spec": {"boundObjectRef": reference}});
    for (what, body, code, says) in [
        (
            "too short",
            json!({"spec": {"expirationSeconds": 599}}),
            422,
            "may not specify a duration less than 10 minutes",
        ),
        ("no time", json!({"spec": {"expirationSeconds": 0}}), 422, "less than 10 minutes"),
        ("too long", json!({"spec": {"expirationSeconds": 4_294_967_297_i64}}), 422, "larger than 2^32 seconds"),
        (
            "another name",
            json!({"metadata": {"name": "other"}}),
            422,
            "must match the service account name if specified",
        ),
        ("another place", json!({"metadata": {"namespace": "other"}}), 422, "must match the service account namespace"),
        (
            "a ConfigMap",
            bound(json!({"kind": "ConfigMap", "apiVersion": "v1", "name": "x"})),
            400,
            "cannot bind token to object of type /v1, Kind=ConfigMap",
        ),
        ("a Pod", bound(json!({"kind": "Pod", "apiVersion": "v1", "name": "x"})), 404, "pods \"x\" not found"),
        (
            "a Secret that is not there",
            bound(json!({"kind": "Secret", "apiVersion": "v1", "name": "x"})),
            404,
            "secrets \"x\" not found",
        ),
        (
            "very many audiences",
            json!({"spec": {"audiences": vec!["https://audience.example.com"; 400]}}),
            400,
            "audiences",
        ),
        ("an audience that is a number", json!({"spec": {"audiences": [7]}}), 400, ""),
    ] {
        let refused = ask(&mut site.admin, "robot", &body);
        assert_eq!(refused.status, code, "{what}: {}", refused.text());
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(says), "{what}: {message}");
    }
    assert_eq!(ask(&mut site.admin, "nobody-there", &json!({})).status, 404);
    let path = format!("{ACCOUNTS}/robot/token");
    for method in ["GET", "PUT", "DELETE"] {
        assert_eq!(site.admin.another().send(method, &path, &[], b"").unwrap().status, 405, "{method}");
    }
    // A longer life than may be is shortened, and said so.
    let answer = ask(&mut site.admin, "robot", &json!({"spec": {"expirationSeconds": 90_000}})).ok();
    assert!(answer.header("warning").unwrap().contains("shortened to 86400 seconds"), "{}", answer.head());
    assert_eq!(answer.json()["spec"]["expirationSeconds"], 86_400);
    // Who asks needs the right to.
    let token = site.account_token("robot", &json!({}));
    let mut robot = site.with_token(&token);
    for name in ["robot", "default", "nobody-there"] {
        assert_eq!(ask(&mut robot, name, &json!({})).status, 403, "{name}");
    }
}

#[test]
fn a_token_is_good_for_those_it_is_meant_for() {
    let mut site = site_of_robot();
    let ours = site.account_token("robot", &json!({}));
    let vault = site.account_token("robot", &json!({"audiences": ["vault", "bank"]}));
    let both = site.account_token("robot", &json!({"audiences": ["vault", OURS]}));
    for (token, here) in [(&ours, ROBOT), (&vault, "401"), (&both, ROBOT)] {
        assert_eq!(who(&mut site.with_token(token)), here);
    }
    for (token, asked, good_for) in [
        (&ours, &[][..], Some(vec![OURS])),
        (&ours, &[OURS, "vault"], Some(vec![OURS])),
        (&ours, &["vault"], None),
        (&vault, &[], None),
        (&vault, &["vault"], Some(vec!["vault"])),
        (&vault, &["bank", "x", "vault"], Some(vec!["bank", "vault"])),
        (&vault, &["x"], None),
        (&both, &[], Some(vec![OURS])),
        (&both, &["vault", OURS], Some(vec!["vault", OURS])),
    ] {
        let status = review(&mut site, token, asked);
        if let Some(good_for) = good_for {
            assert!(is_good(&status), "{asked:?}: {status}");
            assert_eq!((&status["audiences"], &status["user"]["username"]), (&json!(good_for), &json!(ROBOT)));
        } else {
            assert!(!is_good(&status) && status["user"] == json!({}), "{asked:?}: {status}");
            let error = status["error"].as_str().unwrap();
            assert!(error.starts_with("[invalid bearer token, token audiences ["), "{error}");
        }
    }
    // What is no token, or somebody else's kind of one.
    for token in ["x", "sr_admin_x", &format!("{ours}A"), &*ours.replace('.', "")] {
        let status = review(&mut site, token, &[]);
        assert_eq!(status, json!({"user": {}, "error": "invalid bearer token"}));
    }
    site.add_person("ada");
    let ada = site.sign_in("ada").access;
    assert_eq!(review(&mut site, &ada, &[])["user"]["username"], "ada");
    assert!(!is_good(&review(&mut site, &ada, &["vault"])), "a user's token is for this server alone");
    assert_eq!(site.admin.json("POST", TOKEN_REVIEWS, &json!({"spec": {}})).status, 400);
    let asked = json!({"spec": {"token": ours}});
    assert_eq!(site.with_token(&ada).json("POST", TOKEN_REVIEWS, &asked).status, 403, "not everybody may ask");
}

#[test]
fn a_token_ends_with_its_account_and_with_the_secret_it_is_bound_to() {
    let mut site = site_of_robot();
    let secret = format!("{SECRETS}/anchor");
    let make_secret = |site: &mut Site| {
        site.admin.json("POST", SECRETS, &json!({"metadata": {"name": "anchor"}})).ok();
    };
    make_secret(&mut site);
    let anchor = uid(&mut site, &secret);
    let reference = json!({"kind": "Secret", "apiVersion": "v1", "name": "anchor"});
    let mut exact = reference.clone();
    exact["uid"] = anchor.clone().into();
    let mut stale = reference.clone();
    stale["uid"] = "7e1f2a90-0000-4000-8000-000000000000".into();
    let refused = ask(&mut site.admin, "robot", &json!({"spec": {"boundObjectRef": stale}}));
    assert_eq!((refused.status, &refused.json()["reason"]), (409, &json!("Conflict")), "{}", refused.text());

    let free = site.account_token("robot", &json!({}));
    let bound = site.account_token("robot", &json!({"boundObjectRef": reference}));
    let bound_exactly = site.account_token("robot", &json!({"boundObjectRef": exact}));
    assert_eq!(parts(&bound).1["kubernetes.io"]["secret"], json!({"name": "anchor", "uid": anchor}));
    let state = |site: &mut Site| {
        [&free, &bound, &bound_exactly].map(|token| {
            let reviewed = is_good(&review(site, token, &[]));
            assert_eq!(reviewed, who(&mut site.with_token(token)) == ROBOT);
            reviewed
        })
    };
    assert_eq!(state(&mut site), [true, true, true]);
    site.admin.json("PUT", &secret, &json!({"metadata": {"name": "anchor"}, "data": {"k": "dg=="}})).ok();
    assert_eq!(state(&mut site), [true, true, true], "a change of it is no end");
    site.admin.delete(&secret).ok();
    assert_eq!(state(&mut site), [true, false, false]);
    make_secret(&mut site);
    assert_eq!(state(&mut site), [true, false, false], "made again it is another");
    let mut site = site.killed_and_started();
    assert_eq!(state(&mut site), [true, false, false]);

    site.admin.delete(&format!("{ACCOUNTS}/robot")).ok();
    assert_eq!(state(&mut site), [false, false, false]);
    site.add_account("robot");
    assert_eq!(state(&mut site), [false, false, false], "and so is an account");
    let again = site.account_token("robot", &json!({}));
    assert_eq!(who(&mut site.with_token(&again)), ROBOT);
}

#[test]
fn tokens_that_never_end_are_not_made() {
    let mut site = site_of_robot();
    let secret = json!({
        "metadata": {"name": "legacy", "annotations": {"kubernetes.io/service-account.name": "robot"}},
        "type": "kubernetes.io/service-account-token",
    });
    let answer = site.admin.json("POST", SECRETS, &secret);
    assert!(!answer.text().contains("\"token\""), "{}", answer.text());
    if answer.status == 201 {
        let stored = site.admin.get(&format!("{SECRETS}/legacy")).ok().json();
        assert!(stored["data"]["token"].is_null(), "{stored}");
    }
}

#[test]
fn another_implementation_checks_tokens_with_the_published_keys_alone() {
    let Some(python) = clients::find("STRONGROOM_TEST_PYTHON", &["python3"]) else { return };
    let mut has = Command::new(&python);
    has.args(["-c", "import jwt, cryptography; print(jwt.__version__, cryptography.__version__)"]);
    let Some(version) = has.output().ok().filter(|output| output.status.success()) else {
        return clients::missing("the Python packages PyJWT and cryptography");
    };
    clients::drives(&format!("PyJWT and cryptography {}", String::from_utf8_lossy(&version.stdout).trim()));
    let mut site = Site::start(&[]);
    site.add_account("robot");
    let first = site.account_token("robot", &json!({"audiences": ["vault"]}));
    site.admin.json("POST", super::site::ROTATE_KEYS, &json!({})).ok();
    let second = site.account_token("robot", &json!({"audiences": ["vault", "bank"]}));
    // Service accounts may read where the keys are.
    let token = site.account_token("robot", &json!({}));
    let mut robot = site.with_token(&token);
    let configuration = robot.get("/.well-known/openid-configuration").ok();
    let keys = robot.get("/openid/v1/jwks").ok();
    assert_eq!(site.anonymous().get("/openid/v1/jwks").status, 403, "as in Kubernetes, not everybody");
    site.add_person("ada");
    let of_user = site.sign_in("ada").access;

    let folder = tempfile::tempdir().unwrap();
    let input = json!({
        "configuration": configuration.json(), "keys": keys.json(), "subject": ROBOT,
        "good": [first, second], "foreign": of_user,
    });
    let path = folder.path().join("input.json");
    fs::write(&path, input.to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/identities/verify_tokens.py");
    let output = clients::run(Command::new(&python).arg("-B").arg(script).arg(path), b"", Duration::from_mins(2));
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && printed.contains("2 tokens verified"), "{printed}");
}

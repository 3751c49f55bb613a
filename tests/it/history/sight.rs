//! Who sees what of former versions: values are for who may get the Secret, and nothing depends on them for others.

use serde_json::{Value, json};

use super::{MERGE, read, revisions, revisions_of, write};
use crate::support::actors::{acting_as, bind, role, rule, rule_for, secrets};
use crate::support::app::App;
use crate::support::canary::Canary;
use crate::support::http::Client;

const GROUP: &str = "strongroom.dev";

#[test]
fn values_are_for_who_may_get_the_secret_too() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    let canary = Canary::new("a former value");
    write(&mut admin, "a", &canary.value);
    write(&mut admin, "a", "now");
    let only = [rule(&["get", "list"], GROUP, &["secretrevisions"])];
    role(&mut admin, "default", "history", &only);
    role(&mut admin, "default", "of-b", &[rule_for(&["get"], "", &["secrets"], &["b"])]);
    role(&mut admin, "default", "of-a", &[rule_for(&["get"], "", &["secrets"], &["a"])]);
    for (user, more) in [("blind", None), ("other", Some("of-b")), ("seeing", Some("of-a"))] {
        bind(&mut admin, "default", user, "Role/history", &format!("User/{user}"));
        if let Some(more) = more {
            bind(&mut admin, "default", &format!("{user}-too"), &format!("Role/{more}"), &format!("User/{user}"));
        }
    }
    bind(&mut admin, "default", "gets", "Role/of-a", "User/gets");
    let former = revisions(&mut admin, "a")[0].clone();
    let path = format!("{}/{}", revisions_of("default"), former["metadata"]["name"].as_str().unwrap());
    for user in ["blind", "other"] {
        let mut user = acting_as(&admin, user, &[]);
        for accept in ["application/json", "application/yaml", "application/json;as=Table;v=v1;g=meta.k8s.io"] {
            let answer = user.send("GET", &format!("{path}?includeObject=Object"), &[("Accept", accept)], b"").unwrap();
            assert_eq!((answer.status, canary.find(&answer.body)), (200, None), "{accept}: {}", answer.text());
        }
        let answer = user.get(&path).ok();
        assert!(answer.header("warning").unwrap().contains("needs the right to get the Secret, too"));
        assert_eq!(answer.json().get("data"), None);
        let list = user.get(&revisions_of("default")).ok();
        assert_eq!(canary.find(&list.body), None);
    }
    let mut seeing = acting_as(&admin, "seeing", &[]);
    assert!(canary.find(read(&mut seeing, &former).to_string().as_bytes()).is_some());
    assert_eq!(canary.find(&seeing.get(&revisions_of("default")).ok().body), None, "a list never has values");
    assert_eq!(acting_as(&admin, "gets", &[]).get(&path).status, 403, "getting the Secret is not enough");
    for user in ["blind", "seeing"] {
        assert_eq!(acting_as(&admin, user, &[]).delete(&path).status, 403);
    }
}

/// Somebody who may write a Secret and not read it, and who sees its history, must not find out what is in it: a guess that
/// is right looks as one that is wrong.
#[test]
fn a_guess_that_is_right_leaves_the_same_history_as_one_that_is_wrong() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    let rules = [rule(&["patch", "update"], "", &["secrets"]), rule(&["get", "list"], GROUP, &["secretrevisions"])];
    role(&mut admin, "default", "write", &rules);
    bind(&mut admin, "default", "write", "Role/write", "User/writer");
    let mut writer = acting_as(&admin, "writer", &[]);
    let apply = "application/apply-patch+yaml";
    for (at, (method, content_type, query, body)) in [
        ("PUT", "application/json", "", json!({"metadata": {"name": "NAME"}, "stringData": {"k": "GUESS"}})),
        ("PATCH", MERGE, "", json!({"stringData": {"k": "GUESS"}})),
        ("PATCH", "application/strategic-merge-patch+json", "", json!({"stringData": {"k": "GUESS"}})),
        (
            "PATCH",
            "application/json-patch+json",
            "",
            json!([{"op": "add", "path": "/stringData", "value": {"k": "GUESS"}}]),
        ),
        (
            "PATCH",
            apply,
            "?fieldManager=m&force=true",
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "NAME"}, "stringData": {"k": "GUESS"}}),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut seen = |guess: &str| -> Vec<Value> {
            let name = format!("s{at}-{guess}");
            write(&mut admin, &name, "right");
            let body = body.to_string().replace("GUESS", guess).replace("NAME", &name);
            let path = format!("{}/{name}{query}", secrets("default"));
            writer.typed(method, &path, content_type, body.as_bytes()).ok();
            let all = revisions(&mut writer, &name);
            all.iter()
                .map(|one| json!([one["spec"]["revision"], one["status"]["keysChanged"], one["status"]["current"]]))
                .collect()
        };
        let (right, wrong) = (seen("right"), seen("wrong"));
        assert_eq!(right, wrong, "{method} {content_type}");
        assert_eq!(right, [json!([1, null, false]), json!([2, ["k"], true])], "{method} {content_type}");
    }
}

//! What makes a revision, what a revision says, and how revisions are found.

use serde_json::{Value, json};

use super::{MERGE, numbers, read, revisions, revisions_of, value, write};
use crate::support::actors::{acting_as, bind, namespace, secrets};
use crate::support::app::App;
use crate::support::http::Client;

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

#[test]
fn every_change_of_what_a_user_says_keeps_the_version_before_it() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    bind(&mut admin, "default", "jane", "ClusterRole/edit", "User/jane");
    let mut jane = acting_as(&admin, "jane", &[]);
    let a = format!("{}/a", secrets("default"));
    let made = json!({"metadata": {"name": "a"}, "stringData": {"k": "one", "old": "x"}});
    admin.json("POST", &secrets("default"), &made).ok();
    let replaced = json!({"metadata": {"name": "a"}, "stringData": {"k": "two", "new": "x"}});
    jane.json("PUT", &a, &replaced).ok();
    jane.typed("PATCH", &a, MERGE, br#"{"stringData": {"k": "three"}}"#).ok();
    let applied = br#"{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "labels": {"app": "web"}}}"#;
    admin.typed("PATCH", &format!("{a}?fieldManager=m"), "application/apply-patch+yaml", applied).ok();
    let add = br#"[{"op": "add", "path": "/data/k", "value": "Zm91cg=="}]"#;
    admin.typed("PATCH", &a, "application/json-patch+json", add).ok();

    // None of these is a revision: nothing changes, or nothing that a user says of the Secret.
    let before = numbers(&mut admin, "a");
    assert_eq!(before, [(1, false), (2, false), (3, false), (4, false), (5, true)]);
    admin.typed("PATCH", &a, MERGE, br#"{"data": {"k": "Zm91cg=="}}"#).ok();
    admin.typed("PATCH", &a, MERGE, br#"{"metadata": {"finalizers": ["example.com/hold"]}}"#).ok();
    admin.delete(&a).ok();
    assert_eq!(numbers(&mut admin, "a"), before);
    admin.typed("PATCH", &a, MERGE, br#"{"metadata": {"finalizers": []}}"#).ok();

    let all = revisions(&mut admin, "a");
    let uid = all[0]["spec"]["secretUID"].as_str().unwrap();
    let said: Vec<Value> = all.iter().map(|one| one["status"].clone()).collect();
    let deleted = |mut status: Value, index: usize| {
        for field in ["supersededAt", "deletedAt"] {
            assert!(said[index][field].is_string(), "{field} of {}", said[index]);
            status[field] = said[index][field].clone();
        }
        status["deleted"] = true.into();
        status["deletedBy"] = "admin".into();
        status["current"] = false.into();
        status
    };
    for (index, expected) in [
        json!({"changedBy": "admin", "keysAdded": ["k", "old"]}),
        json!({"changedBy": "jane", "keysAdded": ["new"], "keysChanged": ["k"], "keysRemoved": ["old"]}),
        json!({"changedBy": "jane", "keysChanged": ["k"]}),
        json!({"changedBy": "admin", "metadataChanged": true}),
        json!({"changedBy": "admin", "keysChanged": ["k"]}),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(said[index], deleted(expected, index), "revision {}", index + 1);
        assert_eq!(all[index]["metadata"]["name"], format!("a.{}.{}", &uid[..8], index + 1));
        assert_eq!((all[index].get("data"), all[index].get("kind")), (None, None));
    }
    assert_eq!(all[3]["metadata"]["labels"], json!({"app": "web"}));
    let values: Vec<String> = all.iter().map(|one| value(&read(&mut admin, one))).collect();
    assert_eq!(values, ["one", "two", "three", "three", "four"]);
    let one = read(&mut admin, &all[0]);
    assert_eq!((&one["kind"], &one["type"]), (&json!("SecretRevision"), &json!("Opaque")));
    assert_eq!(one["data"]["old"], "eA==");
    assert_eq!(one["metadata"]["uid"], all[0]["metadata"]["uid"]);
}

#[test]
fn a_secret_of_the_same_name_has_a_history_of_its_own_beside_the_former_one() {
    let mut app = App::start();
    let mut admin = Client::admin(&app);
    write(&mut admin, "a", "one");
    write(&mut admin, "a", "two");
    admin.delete(&format!("{}/a", secrets("default"))).ok();
    write(&mut admin, "a", "three");
    // The name of a revision is not that of a Secret, though it may look like it.
    let uid = revisions(&mut admin, "a")[0]["spec"]["secretUID"].as_str().unwrap().to_owned();
    write(&mut admin, &format!("a.{}.2", &uid[..8]), "other");
    for round in 0..2 {
        let all = revisions(&mut admin, "a");
        let states: Vec<(Value, Value, Value)> = all
            .iter()
            .map(|one| {
                (one["spec"]["revision"].clone(), one["status"]["current"].clone(), one["status"]["deleted"].clone())
            })
            .collect();
        let gone = |number: u64| (json!(number), json!(false), json!(true));
        assert_eq!(states, [gone(1), gone(2), (json!(1), json!(true), Value::Null)], "round {round}");
        let values: Vec<String> = all.iter().map(|one| value(&read(&mut admin, one))).collect();
        assert_eq!(values, ["one", "two", "three"]);
        assert_ne!(all[0]["spec"]["secretUID"], all[2]["spec"]["secretUID"]);
        // The same after kill -9.
        app = App::start_in(app.kill(), &[]);
        admin = Client::admin(&app);
    }
}

#[test]
fn a_name_of_any_length_leads_to_its_revisions() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    let long = |end: &str| format!("{}{end}", "x".repeat(253 - end.len()));
    let names = [long("-a"), long("-b"), "y".repeat(233), "z".repeat(234), "a.b.0".to_owned()];
    for name in &names {
        write(&mut admin, name, name);
        write(&mut admin, name, "now");
    }
    for name in &names {
        let all = revisions(&mut admin, name);
        assert_eq!(all.len(), 2, "{name}");
        assert!(all.iter().all(|one| one["metadata"]["name"].as_str().unwrap().len() <= 253));
        assert_eq!(value(&read(&mut admin, &all[0])), *name);
    }
    for name in ["a", "a.b", "a.b.1", "a.b.0.00000000.1", "a.b.0.zzzzzzzz.1"] {
        let answer = admin.get(&format!("{}/{name}", revisions_of("default")));
        assert_eq!(answer.status, 404, "{name}");
        assert!(
            answer.text().contains(&format!("secretrevisions.strongroom.dev \\\"{name}\\\" not found")),
            "{}",
            answer.text()
        );
    }
}

#[test]
fn revisions_are_listed_by_selectors_in_pages_and_as_tables() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    namespace(&mut admin, "other");
    for (name, changes) in [("a", 5), ("b", 1), ("c", 3)] {
        for number in 0..changes {
            write(&mut admin, name, &format!("{number}"));
        }
    }
    let labelled = json!({"metadata": {"name": "l", "labels": {"app": "web"}}});
    admin.json("POST", &secrets("other"), &labelled).ok();

    let everywhere = "/apis/strongroom.dev/v1alpha1/secretrevisions";
    let (mut found, mut pages, mut token) = (Vec::new(), 0, String::new());
    loop {
        let page = admin.get(&format!("{everywhere}?limit=2&continue={token}")).ok().json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        found.extend(items.iter().map(|one| {
            (one["spec"]["secretName"].as_str().unwrap().to_owned(), one["spec"]["revision"].as_u64().unwrap())
        }));
        pages += 1;
        match page["metadata"]["continue"].as_str() {
            Some(next) => next.clone_into(&mut token),
            None => break,
        }
    }
    let of = |name: &str, numbers: std::ops::RangeInclusive<u64>| {
        numbers.map(|number| (name.to_owned(), number)).collect::<Vec<_>>()
    };
    assert_eq!(found, [of("a", 1..=5), of("b", 1..=1), of("c", 1..=3), of("l", 1..=1)].concat());
    assert_eq!(pages, 5);

    let mut count =
        |query: &str| admin.get(&format!("{everywhere}?{query}")).ok().json()["items"].as_array().unwrap().len();
    assert_eq!(count("labelSelector=app%3Dweb"), 1);
    assert_eq!(count("fieldSelector=metadata.namespace%3Dother"), 1);
    assert_eq!(count("fieldSelector=spec.secretName!%3Da"), 5);
    assert_eq!(count("fieldSelector=spec.secretName%3Dnone"), 0);
    assert_eq!(count("limit=0"), 10);
    let wrong = admin.get(&format!("{everywhere}?fieldSelector=status.changedBy%3Dadmin"));
    assert_eq!(wrong.status, 400, "{}", wrong.text());
    for (path, status) in
        [("?watch=true", 405), ("?resourceVersion=999999", 504), ("?resourceVersion=1&resourceVersionMatch=Exact", 410)]
    {
        assert_eq!(admin.get(&format!("{everywhere}{path}")).status, status, "{path}");
    }
    for method in ["PUT", "PATCH", "POST"] {
        let answer = admin.typed(method, &format!("{}/x", revisions_of("default")), "application/json", b"{}");
        assert_eq!(answer.status, 405, "{method}: {}", answer.text());
    }

    // Of one Secret in pages, too.
    let of_one = format!("{}?fieldSelector=spec.secretName%3Da&limit=3", revisions_of("default"));
    let first = admin.get(&of_one).ok().json();
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = admin.get(&format!("{of_one}&continue={token}")).ok().json();
    let of_page = |page: &Value| {
        page["items"].as_array().unwrap().iter().map(|one| one["spec"]["revision"].clone()).collect::<Vec<_>>()
    };
    assert_eq!((of_page(&first), of_page(&second)), (vec![json!(1), json!(2), json!(3)], vec![json!(4), json!(5)]));
    assert_eq!(second["metadata"].get("continue"), None);

    let path = format!("{}?fieldSelector=spec.secretName%3Dc&includeObject=Object", revisions_of("default"));
    let table = admin.send("GET", &path, &[("Accept", TABLE)], b"").unwrap().ok();
    assert!(!table.text().contains("\"data\""));
    let cells: Vec<Value> = table.json()["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| json!(row["cells"].as_array().unwrap()[1..5]))
        .collect();
    assert_eq!(
        cells,
        [
            json!(["c", "1", "admin", "+k"]),
            json!(["c", "2", "admin", "~k"]),
            json!(["c", "3 (current)", "admin", "~k"])
        ]
    );
    let partial = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let metadata = admin.send("GET", &revisions_of("default"), &[("Accept", partial)], b"").unwrap().ok().json();
    assert_eq!(metadata["items"].as_array().unwrap().len(), 9);
}

#[test]
fn of_a_token_of_a_service_account_nothing_is_kept() {
    let app = App::start_in(tempfile::tempdir().unwrap(), &["--legacy-service-account-tokens"]);
    let mut admin = Client::admin(&app);
    let secret = json!({
        "metadata": {"name": "t", "annotations": {"kubernetes.io/service-account.name": "default"}},
        "type": "kubernetes.io/service-account-token",
    });
    admin.json("POST", &secrets("default"), &secret).ok();
    let path = format!("{}/t", secrets("default"));
    let token = |admin: &mut Client| {
        crate::support::clients::eventually(std::time::Duration::from_secs(20), || {
            admin.get(&path).json()["data"]["token"].as_str().map(str::to_owned)
        })
    };
    assert!(token(&mut admin).is_some());
    admin.typed("PATCH", &path, MERGE, br#"{"metadata": {"labels": {"a": "b"}}, "data": {"token": null}}"#).ok();
    assert!(token(&mut admin).is_some());
    let all = revisions(&mut admin, "t");
    assert_eq!(all.iter().map(|one| one["status"]["current"].clone()).collect::<Vec<_>>(), [json!(true)]);
    assert_eq!(all[0]["status"]["changedBy"], "system:strongroom:tokens-controller");
    admin.delete(&path).ok();
    assert_eq!(revisions(&mut admin, "t"), Vec::<Value>::new());
}

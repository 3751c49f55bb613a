//! A database that is changed while the server runs: found when it is read, or before the next commit.

use std::time::Duration;

use serde_json::{Value, json};

use super::{SECRETS, run, stopped, verify};
use crate::support::app::App;
use crate::support::clients::eventually;
use crate::support::http::Client;

const SOON: Duration = Duration::from_secs(20);

fn metric(client: &mut Client, name: &str) -> u64 {
    let text = client.get("/metrics").text();
    let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("{text}")).rsplit(' ').next().unwrap().parse().unwrap()
}

fn recorded(client: &mut Client) -> Vec<String> {
    let list = client.get("/strongroom/v1/audit?verb=integrity-failure").json();
    let items = list["items"].as_array().unwrap().iter();
    items.map(|event| event["annotations"]["strongroom.dev/integrity"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_row_that_is_edited_removed_or_exchanged_under_a_running_server_is_found_when_it_is_read() {
    let app = App::start_in(stopped(), &[]);
    let mut client = Client::admin(&app);
    run(app.home(), "DELETE FROM versions WHERE name = 'a'");
    run(
        app.home(),
        "UPDATE versions SET data = CAST(substr(data, 1, 40) || x'00ff' || substr(data, 43) AS BLOB) WHERE name = 'c'",
    );
    run(
        app.home(),
        "UPDATE versions SET (uid, meta, data) = (SELECT uid, meta, data FROM versions WHERE name = 'other-1')
         WHERE name = 'other-0'",
    );
    run(app.home(), "UPDATE versions SET name = 'x' WHERE name = 'other-2'");
    for (found, name) in (1..).zip(["a", "c", "other-0", "other-2"]) {
        for _ in 0..2 {
            let answer = client.get(&format!("{SECRETS}/{name}"));
            assert_eq!((answer.status, &answer.json()["reason"]), (500, &json!("IntegrityFailure")), "{name}");
        }
        assert_eq!(metric(&mut client, "strongroom_store_integrity_failures_total"), found, "each counts once");
        assert!(app.log().contains(&format!("name \\\"{name}\\\"")) || app.log().contains(&format!("name \"{name}\"")));
    }
    for accept in ["application/json", "application/json;as=Table;v=v1;g=meta.k8s.io"] {
        let list = client.with_header("Accept", accept).get(SECRETS);
        assert!(list.header("warning").unwrap().contains("4 of the objects are left out"), "{accept}: {}", list.head());
        let text = list.text();
        assert!(text.contains("other-1") && text.contains("other-3") && !text.contains("other-0"), "{text}");
    }
    // What is left is whole, and can be changed.
    assert_eq!(client.get(&format!("{SECRETS}/b")).json()["data"]["k"], "bmV3");
    client.json("POST", SECRETS, &json!({"metadata": {"name": "d"}})).ok();
    assert_eq!(client.get("/readyz").status, 200);
    let told = eventually(SOON, || Some(recorded(&mut client)).filter(|told| told.len() == 4)).unwrap();
    for name in ["a", "c", "other-0", "other-2"] {
        assert!(told.iter().any(|told| told.contains(&format!("name {name:?}"))), "{told:?}");
    }
    assert!(told.iter().any(|told| told.ends_with(": is missing")), "{told:?}");
}

#[test]
fn a_list_leaves_out_what_is_damaged_and_says_so_however_it_is_asked_for() {
    let app = App::start_in(stopped(), &[]);
    let mut client = Client::admin(&app);
    run(app.home(), "DELETE FROM versions WHERE name = 'a'");
    let list = client.get(&format!("{SECRETS}?limit=3"));
    assert!(list.header("warning").unwrap().contains("1 of the objects are left out"), "{}", list.head());
    run(
        app.home(),
        "UPDATE versions SET meta = CAST(substr(meta, 1, 40) || x'00ff' || substr(meta, 43) AS BLOB) WHERE name = 'other-3'",
    );
    let accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let list = client.with_header("Accept", accept).get(SECRETS);
    assert!(list.header("warning").unwrap().contains("2 of the objects are left out"), "{}", list.head());
    let list = client.get(&format!("{SECRETS}?labelSelector=%21none"));
    assert!(list.header("warning").unwrap().contains("2 of the objects are left out"), "{}", list.head());
    // A watch that begins with a list, too.
    run(app.home(), "DELETE FROM versions WHERE name = 'other-1'");
    let watch = format!(
        "{SECRETS}?watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    );
    let found = client.get(&watch).ok();
    let last: Value = serde_json::from_str(found.text().lines().last().unwrap()).unwrap();
    assert_eq!((&last["type"], &last["object"]["reason"]), (&json!("ERROR"), &json!("IntegrityFailure")), "{last}");
    let again = client.get(&watch).ok();
    assert!(again.header("warning").unwrap().contains("3 of the objects are left out"), "{}", again.head());
    assert!(again.text().contains("k8s.io/initial-events-end") && !again.text().contains("\"ERROR\""));
}

/// The names in a list that is asked for page by page, and whether a page said that something is left out.
fn in_pages_of_one(client: &mut Client, more: &str) -> (Vec<String>, bool) {
    let (mut names, mut is_told, mut token) = (Vec::new(), false, String::new());
    for _ in 0..50 {
        let page = client.get(&format!("{SECRETS}?limit=1{more}&continue={token}")).ok();
        is_told |= page.header("warning").is_some_and(|warning| warning.contains("1 of the objects are left out"));
        let page = page.json();
        let items = page["items"].as_array().unwrap().iter();
        names.extend(items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["metadata"]["continue"].as_str() else { return (names, is_told) };
        next.clone_into(&mut token);
    }
    panic!("the list does not end: {names:?}")
}

#[test]
fn a_row_that_is_changed_between_two_pages_hides_nothing_behind_it() {
    for sql in [
        "UPDATE versions SET name = 'zzz' WHERE name = 'b'",
        "UPDATE versions SET name = '0' WHERE name = 'b'",
        "UPDATE versions SET namespace = 'z' WHERE name = 'b'",
        "UPDATE versions SET kind = 'other' WHERE name = 'b'",
        "DELETE FROM versions WHERE name = 'b'",
    ] {
        for more in ["", "&labelSelector=%21none"] {
            let app = App::start_in(stopped(), &[]);
            let mut client = Client::admin(&app);
            run(app.home(), sql);
            let (names, is_told) = in_pages_of_one(&mut client, more);
            assert_eq!(names, ["a", "c", "other-0", "other-1", "other-2", "other-3"], "{sql} {more}");
            assert!(is_told, "{sql} {more}");
        }
    }
}

#[test]
fn a_long_list_in_which_damage_is_found_behind_its_beginning_is_cut_off_and_then_whole_but_for_that() {
    const ROWS: usize = 200;
    let home = stopped();
    let mut app = App::start_in(home, &[]);
    let value = "eHh4".repeat(600);
    for number in 0..ROWS {
        let secret = json!({"metadata": {"name": format!("long-{number:03}")}, "data": {"k": value}});
        Client::admin(&app).json("POST", SECRETS, &secret).ok();
    }
    assert_eq!(app.stop(), Some(0));
    let app = App::start_in(app.kill(), &[]);
    run(app.home(), "DELETE FROM versions WHERE name IN ('long-001', 'long-150', 'long-190')");
    let client = Client::admin(&app);
    let first = client.another().send("GET", SECRETS, &[], b"");
    assert!(first.is_err() || !first.unwrap().text().ends_with("]}\n"), "half a list does not look like a whole one");
    let list = client.another().get(SECRETS);
    assert!(list.header("warning").unwrap().contains("3 of the objects are left out"), "{}", list.head());
    let names: Vec<String> = list.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
        .filter(|name| name.starts_with("long-"))
        .collect();
    assert_eq!(names.len(), ROWS - 3);
}

#[test]
fn many_damaged_rows_make_the_store_read_only_and_readiness_says_what_to_do() {
    let mut app = App::start_in(stopped(), &[]);
    for number in 0..16 {
        Client::admin(&app).json("POST", SECRETS, &json!({"metadata": {"name": format!("more-{number:02}")}})).ok();
    }
    assert_eq!(app.stop(), Some(0));
    let app = App::start_in(app.kill(), &[]);
    let mut client = Client::admin(&app);
    // Whoever looks through all rows in the background may find them first; the sixteenth is the one too many.
    run(app.home(), "DELETE FROM versions WHERE name LIKE 'more-%' AND name <> 'more-15'");
    for number in 0..15 {
        assert_eq!(client.get(&format!("{SECRETS}/more-{number:02}")).status, 500);
    }
    client.json("POST", SECRETS, &json!({"metadata": {"name": "d"}})).ok();
    assert_eq!(client.get("/readyz").status, 200);
    run(app.home(), "DELETE FROM versions WHERE name = 'more-15'");
    assert_eq!(client.get(&format!("{SECRETS}/more-15")).status, 500);
    let refused = client.json("POST", SECRETS, &json!({"metadata": {"name": "e"}}));
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("strongroom verify"), "{}", refused.text());
    let ready = client.get("/readyz?verbose");
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("[-]store-integrity failed: the store is read-only"), "{}", ready.text());
    assert_eq!(client.get(&format!("{SECRETS}/b")).status, 200, "reads go on");
}

#[test]
fn something_foreign_in_the_schema_is_found_before_the_next_commit() {
    for (sql, what) in [
        (
            "CREATE TRIGGER evil AFTER INSERT ON versions BEGIN DELETE FROM versions WHERE name = 'a'; END",
            "trigger \"evil\" on \"versions\"",
        ),
        ("CREATE VIEW v AS SELECT 1", "view \"v\""),
        ("CREATE INDEX i ON versions (name)", "index \"i\" on \"versions\""),
        ("CREATE TABLE t (a)", "table \"t\""),
        ("DROP TRIGGER commits_insert", "trigger \"commits_insert\" on \"commits\""),
    ] {
        let mut app = App::start_in(stopped(), &[]);
        let mut client = Client::admin(&app);
        client.json("POST", SECRETS, &json!({"metadata": {"name": "before"}})).ok();
        run(app.home(), sql);
        let refused = client.json("POST", SECRETS, &json!({"metadata": {"name": "after"}}));
        assert_eq!(refused.status, 503, "{sql}: {}", refused.text());
        assert!(refused.text().contains("strongroom verify"), "{sql}: {}", refused.text());
        assert_eq!(client.get(&format!("{SECRETS}/a")).json()["data"]["k"], "b2xk", "{sql}");
        let ready = client.get("/readyz?verbose");
        assert!(ready.text().contains("[-]store-integrity failed: "), "{sql}: {}", ready.text());
        let told = eventually(SOON, || Some(recorded(&mut client)).filter(|told| !told.is_empty())).unwrap();
        assert!(told[0].contains(what), "{sql}: {told:?}");
        let log = app.log().replace('\\', "");
        assert!(log.contains(what), "{sql}: {log}");
        app.stop();
        let home = app.kill();
        let (code, text) = verify(home.path(), &["--accept", "--yes"]);
        assert_eq!(code, Some(0), "{sql}: {text}");
        let app = App::start_in(home, &[]);
        Client::admin(&app).json("POST", SECRETS, &json!({"metadata": {"name": "after"}})).ok();
    }
}

#[test]
fn a_schema_that_is_counted_anew_and_is_the_same_is_no_damage() {
    let app = App::start_in(stopped(), &[]);
    let mut client = Client::admin(&app);
    client.json("POST", SECRETS, &json!({"metadata": {"name": "before"}})).ok();
    run(app.home(), "VACUUM");
    client.json("POST", SECRETS, &json!({"metadata": {"name": "after"}})).ok();
    assert_eq!(client.get("/readyz").status, 200);
    assert_eq!(metric(&mut client, "strongroom_store_integrity_failures_total"), 0);
}

//! How many former versions are kept, and how long.

use std::time::Duration;

use serde_json::json;

use super::{MERGE, numbers, revisions, revisions_of, value, write};
use crate::support::actors::{namespace, secrets};
use crate::support::app::App;
use crate::support::clients::eventually;
use crate::support::http::Client;

const NAMESPACE: &str = "/api/v1/namespaces/default";
const LIMIT: Duration = Duration::from_secs(30);

fn annotate(client: &mut Client, name: &str, text: Option<&str>) -> u16 {
    let patch = json!({"metadata": {"annotations": {name: text}}});
    client.typed("PATCH", NAMESPACE, MERGE, patch.to_string().as_bytes()).status
}

#[test]
fn a_namespace_says_how_many_former_versions_are_kept() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    let write_all = |admin: &mut Client, range: std::ops::Range<u64>| {
        for number in range {
            write(admin, "a", &number.to_string());
        }
    };
    write_all(&mut admin, 0..14);
    let last = |count: u64, of: u64| (of - count..=of).map(|number| (number, number == of)).collect::<Vec<_>>();
    assert_eq!(numbers(&mut admin, "a"), last(10, 14), "ten by default, the moment the write is answered");
    assert_eq!(annotate(&mut admin, "strongroom.dev/history-limit", Some("2")), 200);
    let left = eventually(LIMIT, || Some(numbers(&mut admin, "a")).filter(|numbers| *numbers == last(2, 14)));
    assert!(left.is_some(), "what is too much goes without a write: {:?}", numbers(&mut admin, "a"));
    write_all(&mut admin, 14..16);
    assert_eq!(numbers(&mut admin, "a"), last(2, 16));
    assert_eq!(annotate(&mut admin, "strongroom.dev/history-limit", Some("0")), 200);
    write_all(&mut admin, 16..18);
    assert_eq!(numbers(&mut admin, "a"), [(18, true)]);
    assert_eq!(annotate(&mut admin, "strongroom.dev/history-limit", None), 200);
    write_all(&mut admin, 18..20);
    assert_eq!(numbers(&mut admin, "a"), last(2, 20), "the count goes on");
}

#[test]
fn a_former_version_goes_when_it_is_too_old_and_so_does_a_deleted_secret() {
    let app = App::start_in(tempfile::tempdir().unwrap(), &["--history-max-age", "1s"]);
    let mut admin = Client::admin(&app);
    write(&mut admin, "a", "one");
    write(&mut admin, "a", "two");
    write(&mut admin, "gone", "one");
    admin.delete(&format!("{}/gone", secrets("default"))).ok();
    let left = eventually(LIMIT, || Some(()).filter(|()| numbers(&mut admin, "a") == [(2, true)]));
    assert!(left.is_some(), "{:?}", numbers(&mut admin, "a"));
    let gone = eventually(LIMIT, || Some(()).filter(|()| revisions(&mut admin, "gone").is_empty()));
    assert!(gone.is_some(), "{:?}", revisions(&mut admin, "gone"));
    // The namespace says otherwise.
    assert_eq!(annotate(&mut admin, "strongroom.dev/history-max-age", Some("30d")), 200);
    write(&mut admin, "a", "three");
    write(&mut admin, "b", "one");
    write(&mut admin, "b", "two");
    // What would go goes within a second of its time: a Secret of another namespace shows that this has passed.
    namespace(&mut admin, "other");
    let path = format!("{}/c", secrets("other"));
    for text in ["one", "two"] {
        let secret = json!({"metadata": {"name": "c"}, "stringData": {"k": text}});
        if admin.json("PUT", &path, &secret).status == 404 {
            admin.json("POST", &secrets("other"), &secret).ok();
        }
    }
    let passed = eventually(LIMIT, || {
        let listed = admin.get(&revisions_of("other")).ok().json();
        (listed["items"].as_array().unwrap().len() == 1).then_some(())
    });
    assert!(passed.is_some());
    assert_eq!(numbers(&mut admin, "a"), [(2, false), (3, true)]);
    assert_eq!(numbers(&mut admin, "b"), [(1, false), (2, true)]);
}

#[test]
fn nothing_is_kept_where_nothing_is_to_be() {
    for setting in [["--history-limit", "0"], ["--history-max-age", "0"]] {
        let app = App::start_in(tempfile::tempdir().unwrap(), &setting);
        let mut admin = Client::admin(&app);
        write(&mut admin, "a", "one");
        write(&mut admin, "a", "two");
        assert_eq!(numbers(&mut admin, "a"), [(2, true)], "{setting:?}");
        admin.delete(&format!("{}/a", secrets("default"))).ok();
        assert_eq!(revisions(&mut admin, "a").len(), 0, "{setting:?}");
    }
}

#[test]
fn a_setting_that_makes_no_sense_is_refused() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    for (name, text, problem) in [
        ("limit", "many", "must be a number from 0 to 1000"),
        ("limit", "-1", "must be a number from 0 to 1000"),
        ("limit", "1001", "must be a number from 0 to 1000"),
        ("max-age", "90", "must be 0 or a length of time such as 12h, 30d or 2w"),
        ("max-age", "", "must be 0 or a length of time such as 12h, 30d or 2w"),
    ] {
        let name = format!("strongroom.dev/history-{name}");
        let patch = json!({"metadata": {"annotations": {&name: text}}});
        let answer = admin.typed("PATCH", NAMESPACE, MERGE, patch.to_string().as_bytes());
        let expected = format!("metadata.annotations[{name}]: Invalid value: \\\"{text}\\\": {problem}");
        assert_eq!(answer.status, 422);
        assert!(answer.text().contains(&expected), "{}", answer.text());
        let made = json!({"metadata": {"name": "new", "annotations": {&name: text}}});
        assert_eq!(admin.json("POST", "/api/v1/namespaces", &made).status, 422);
    }
}

#[test]
fn the_history_of_a_namespace_ends_with_it() {
    let mut app = App::start();
    let mut admin = Client::admin(&app);
    namespace(&mut admin, "team");
    for text in ["one", "two"] {
        let secret = json!({"metadata": {"name": "a"}, "stringData": {"k": text}});
        if admin.json("PUT", &format!("{}/a", secrets("team")), &secret).status == 404 {
            admin.json("POST", &secrets("team"), &secret).ok();
        }
    }
    let count = |admin: &mut Client| admin.get(&revisions_of("team")).ok().json()["items"].as_array().unwrap().len();
    assert_eq!(count(&mut admin), 2);
    admin.delete("/api/v1/namespaces/team").ok();
    let gone = eventually(LIMIT, || (admin.get("/api/v1/namespaces/team").status == 404).then_some(()));
    assert!(gone.is_some());
    assert_eq!(count(&mut admin), 0);
    namespace(&mut admin, "team");
    assert_eq!(count(&mut admin), 0, "another namespace has another history");
    app = App::start_in(app.kill(), &[]);
    admin = Client::admin(&app);
    assert_eq!(count(&mut admin), 0);
    write(&mut admin, "still", "there");
    let all = revisions(&mut admin, "still");
    assert_eq!(value(&super::read(&mut admin, &all[0])), "there");
}

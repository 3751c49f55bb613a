//! `strongroom secret history`, `get --revision`, `diff`, `rollback` and `destroy`.

use serde_json::json;

use super::{MERGE, numbers, revisions, value, write};
use crate::support::actors::secrets;
use crate::support::app::App;
use crate::support::canary::{Canary, found};
use crate::support::http::Client;
use crate::support::person::{Ended, Person};

fn start() -> (App, Client, Person) {
    let app = App::start();
    let admin = Client::admin(&app);
    (app, admin, Person::new())
}

fn secret(app: &App, person: &Person, arguments: &[&str]) -> Ended {
    let home = app.home().to_str().unwrap();
    person.run(&[&["secret"], arguments, &["--home", home]].concat())
}

#[test]
fn a_secret_is_changed_looked_at_and_rolled_back() {
    let (app, mut admin, person) = start();
    write(&mut admin, "db", "one");
    let two = json!({"metadata": {"labels": {"app": "web"}}, "stringData": {"k": "second", "more": "x"}});
    admin.typed("PATCH", &format!("{}/db", secrets("default")), MERGE, two.to_string().as_bytes()).ok();

    let shown = secret(&app, &person, &["history", "db"]).done();
    let rows: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["REVISION", "STATE", "CHANGED", "BY", "AGE", "CHANGES"]);
    assert_eq!((rows[1][0], rows[1][1], rows[1][3]), ("1", "admin", "+k"), "{shown}");
    assert_eq!((rows[2][0], rows[2][1], &rows[2][4..]), ("2", "current", &["+more", "~k", "metadata"][..]), "{shown}");
    let names = secret(&app, &person, &["history", "default/db", "-o", "name"]).done();
    let uid = revisions(&mut admin, "db")[0]["spec"]["secretUID"].as_str().unwrap()[..8].to_owned();
    assert_eq!(names, format!("secretrevision/db.{uid}.1\nsecretrevision/db.{uid}.2\n"));
    assert_eq!(secret(&app, &person, &["history", "db", "-o", "json"]).json()["items"][1]["status"]["current"], true);

    assert_eq!(secret(&app, &person, &["get", "db", "--revision", "1", "--key", "k"]).done(), "one");
    assert_eq!(secret(&app, &person, &["get", "db", "--revision", &format!("db.{uid}.1"), "--key", "k"]).done(), "one");
    let yaml = secret(&app, &person, &["get", "db", "--revision", "1", "-o", "yaml"]).done();
    assert!(yaml.contains("kind: Secret\n") && yaml.contains("k: b25l"), "{yaml}");
    let missing = secret(&app, &person, &["get", "db", "--revision", "7"]).not_done();
    assert!(missing.contains("Secret default/db has no revision 7; there are: 1, 2"), "{missing}");

    let expected = "default/db: revision 1 → 2\n  ~ k (3 → 6 bytes)\n  + more (1 bytes)\n  + label app\n";
    assert_eq!(secret(&app, &person, &["diff", "db", "1"]).done(), expected);
    assert_eq!(
        secret(&app, &person, &["diff", "db", "2", "2"]).done(),
        "default/db: revision 2 → 2\nnothing differs\n"
    );
    let revealed = secret(&app, &person, &["diff", "db", "1", "2", "--reveal"]).done();
    assert!(revealed.contains("    - one\n    + second\n"), "{revealed}");

    let planned = secret(&app, &person, &["rollback", "db", "1", "--dry-run"]).done();
    assert_eq!(planned, "secret default/db would get the values of revision 1 (dry run)\n");
    assert_eq!(numbers(&mut admin, "db"), [(1, false), (2, true)]);
    let back = secret(&app, &person, &["rollback", "db", "1"]).done();
    assert_eq!(back, "secret default/db rolled back to revision 1; that is revision 3\n");
    let now = admin.get(&format!("{}/db", secrets("default"))).ok().json();
    assert_eq!(
        (value(&now), &now["metadata"]["labels"], now["data"].get("more")),
        ("one".to_owned(), &json!({"app": "web"}), None)
    );
    assert_eq!(
        secret(&app, &person, &["rollback", "db", "1"]).done(),
        "secret default/db: nothing changes, it has the values of revision 1\n"
    );
    let current = secret(&app, &person, &["rollback", "db", "3"]).not_done();
    assert!(current.contains("revision 3 of Secret default/db is the current one"), "{current}");
}

#[test]
fn a_deleted_secret_is_had_back_as_it_was() {
    let (app, mut admin, person) = start();
    let made = json!({"metadata": {"name": "t", "labels": {"app": "web"}}, "type": "example.com/token", "stringData": {"k": "one"}});
    admin.json("POST", &secrets("default"), &made).ok();
    admin.delete(&format!("{}/t", secrets("default"))).ok();
    let shown = secret(&app, &person, &["history", "t"]).done();
    assert!(shown.contains("deleted by admin"), "{shown}");
    let back = secret(&app, &person, &["rollback", "t", "1"]).done();
    assert_eq!(back, "secret default/t made anew from revision 1; that is revision 1\n");
    let now = admin.get(&format!("{}/t", secrets("default"))).ok().json();
    assert_eq!(
        (value(&now), &now["type"], &now["metadata"]["labels"]),
        ("one".to_owned(), &json!("example.com/token"), &json!({"app": "web"}))
    );
    let shown = secret(&app, &person, &["history", "t"]).done();
    assert_eq!(shown.lines().count(), 3, "both are there: {shown}");

    // A type cannot be changed, and a Secret that is immutable keeps its values.
    admin.delete(&format!("{}/t", secrets("default"))).ok();
    write(&mut admin, "t", "other");
    let former = revisions(&mut admin, "t")[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let refused = secret(&app, &person, &["rollback", "t", &former]).not_done();
    assert!(refused.contains("has the type Opaque, and that revision the type example.com/token"), "{refused}");
    write(&mut admin, "t", "another");
    admin.typed("PATCH", &format!("{}/t", secrets("default")), MERGE, br#"{"immutable": true}"#).ok();
    let refused = secret(&app, &person, &["rollback", "t", "1"]).not_done();
    assert!(refused.contains("immutable"), "{refused}");
    let none = secret(&app, &person, &["history", "none"]).not_done();
    assert!(none.contains("there is no Secret default/none, and no version of one is kept"), "{none}");
}

#[test]
fn former_versions_are_destroyed_by_number_and_all_together() {
    let (app, mut admin, person) = start();
    for text in ["one", "two", "three", "four"] {
        write(&mut admin, "db", text);
    }
    let uid = revisions(&mut admin, "db")[0]["spec"]["secretUID"].as_str().unwrap()[..8].to_owned();
    let name = |number: u64| format!("secretrevision/db.{uid}.{number}");
    let current = secret(&app, &person, &["destroy", "db", "4"]).not_done();
    assert!(current.contains("change or delete the Secret first"), "{current}");
    assert!(secret(&app, &person, &["destroy", "db", "1", "9"]).not_done().contains("has no revision 9"));
    assert_eq!(numbers(&mut admin, "db").len(), 4, "nothing is gone where one is not there");
    let planned = secret(&app, &person, &["destroy", "db", "2", "--dry-run"]).done();
    assert_eq!(planned, format!("{} would be destroyed (dry run)\n", name(2)));
    let gone = secret(&app, &person, &["destroy", "db", "2"]);
    assert!(gone.stderr.contains("backups that were made before still hold this revision"), "{}", gone.stderr);
    assert_eq!(gone.done(), format!("{} destroyed\n", name(2)));
    assert_eq!(numbers(&mut admin, "db"), [(1, false), (3, false), (4, true)]);
    let all = secret(&app, &person, &["destroy", "db", "--all"]).done();
    assert_eq!(all, format!("{} destroyed\n{} destroyed\n", name(1), name(3)));
    assert_eq!(numbers(&mut admin, "db"), [(4, true)]);
    assert!(
        secret(&app, &person, &["destroy", "db", "--all"])
            .not_done()
            .contains("no former version of Secret default/db is kept")
    );
    assert_eq!(secret(&app, &person, &["destroy", "db"]).code, 2, "which ones must be said");
}

#[test]
fn no_command_shows_a_value_that_was_not_asked_for() {
    let (app, mut admin, person) = start();
    let canaries = [Canary::new("a former value"), Canary::new("a value")];
    for canary in &canaries {
        write(&mut admin, "db", &canary.value);
    }
    for arguments in [
        &["history", "db", "-o", "yaml"][..],
        &["history", "db"],
        &["diff", "db", "1"],
        &["get", "db", "--revision", "1"],
        &["rollback", "db", "1", "--dry-run"],
        &["rollback", "db", "9"],
        &["rollback", "db", "1"],
        &["destroy", "db", "1"],
    ] {
        let ended = secret(&app, &person, arguments);
        let text = format!("{}{}", ended.stdout, ended.stderr);
        assert_eq!(found(&canaries, text.as_bytes(), &format!("{arguments:?}")), Vec::<String>::new());
    }
}

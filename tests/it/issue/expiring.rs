//! What is told of Secrets that end: in columns, by the command, in numbers and in Events; and to whom.

use serde_json::{Value, json};

use super::{MERGE, Room};
use crate::support::actors::{acting_as, bind, role, rule, secrets};
use crate::support::clients::eventually;
use crate::support::http::Client;
use crate::support::person::Person;

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

fn with(name: &str, annotations: &Value) -> Value {
    json!({"metadata": {"name": name, "annotations": annotations}, "stringData": {"k": "v"}})
}

/// The last cell of each row.
fn ends(client: &mut Client, path: &str) -> Vec<(String, String)> {
    let answer = client.send("GET", path, &[("Accept", TABLE)], b"").unwrap().ok().json();
    let cells = |row: &Value| {
        let cells = row["cells"].as_array().unwrap().clone();
        let text = |cell: &Value| cell.as_str().unwrap().to_owned();
        (text(&cells[0]), text(cells.last().unwrap()))
    };
    answer["rows"].as_array().unwrap().iter().map(cells).collect()
}

#[test]
fn what_ends_is_told_to_those_who_may_see_it() {
    let mut room = Room::start_with(&["--redact-lists"]);
    let collection = secrets("prod");
    for (name, annotations) in [
        ("gone", json!({"strongroom.dev/expires-at": "2020-01-31T12:00:00+01:00"})),
        ("turn", json!({"strongroom.dev/rotate-after": "2021-01-31T12:00:00Z"})),
        ("none", json!({})),
    ] {
        room.admin.json("POST", &collection, &with(name, &annotations)).ok();
    }
    room.certificate("web", &json!({"duration": "48h"}));
    let end = room.ready("certificates", "web")["status"]["notAfter"].as_str().unwrap().to_owned();
    let pair = |name: &str, end: &str| (name.to_owned(), end.to_owned());
    let gone = pair("gone", "2020-01-31T11:00:00Z");
    let others = [pair("none", "<none>"), pair("turn", "<none>")];
    let [none, turn] = others;
    let all = [gone.clone(), none.clone(), turn.clone(), pair("web", &end)];
    assert_eq!(ends(&mut room.admin, &collection), all);
    assert_eq!(ends(&mut room.admin, &format!("{collection}/web")), [pair("web", &end)]);
    // A certificate's end is part of a value; an annotation is not.
    role(&mut room.admin, "prod", "lister", &[rule(&["list"], "", &["secrets"])]);
    bind(&mut room.admin, "prod", "lister", "Role/lister", "User/lister");
    let mut blind = acting_as(&room.admin, "lister", &[]);
    assert_eq!(ends(&mut blind, &collection), [gone, none, turn, pair("web", "<none>")]);

    let person = Person::new();
    let home = room.app.home().to_str().unwrap().to_owned();
    let listed =
        |arguments: &[&str]| person.run(&[&["secret", "expiring", "--home", &home], arguments].concat()).done();
    let shown = listed(&["prod", "--within", "3d"]);
    let rows: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "IN", "AT", "BY"]);
    assert_eq!(rows[1], ["gone", "ended", "2020-01-31T11:00:00Z", "strongroom.dev/expires-at"]);
    assert_eq!(rows[2], ["turn", "ended", "2021-01-31T12:00:00Z", "strongroom.dev/rotate-after"]);
    assert_eq!((rows[3][0], rows[3][2], rows[3][3]), ("web", end.as_str(), "certificate"));
    assert_eq!(rows.len(), 4);
    assert_eq!(listed(&["-A", "--within", "12h"]).lines().count(), 3);
    assert_eq!(listed(&["default"]), "Nothing ends so soon.\n");

    let numbers = eventually(super::LIMIT, || {
        let metrics = room.admin.get("/metrics").ok().text();
        let line = |days: &str, count: u8| {
            metrics.contains(&format!("strongroom_secrets_expiring{{namespace=\"prod\",days=\"{days}\"}} {count}\n"))
        };
        (line("0", 2) && line("7", 3) && line("30", 3)).then_some(())
    });
    assert!(numbers.is_some(), "{}", room.admin.get("/metrics").text());
    let told = eventually(super::LIMIT, || {
        (room.events("gone") == ["Expired"] && room.events("turn") == ["Expired"]).then_some(())
    });
    assert!(told.is_some(), "{:?}", room.events("gone"));
    assert!(!room.events("web").contains(&"Expiring".to_owned()), "it is renewed before");
}

#[test]
fn what_is_no_time_is_refused_by_field() {
    let mut room = Room::start();
    let collection = secrets("prod");
    for annotation in ["strongroom.dev/expires-at", "strongroom.dev/rotate-after"] {
        let refused = room.admin.json("POST", &collection, &with("s", &json!({annotation: "soon"})));
        assert_eq!(refused.status, 422);
        let cause = &refused.json()["details"]["causes"][0];
        assert_eq!(cause["field"], format!("metadata.annotations[{annotation}]"));
    }
    room.admin.json("POST", &collection, &with("s", &json!({}))).ok();
    let patch = json!({"metadata": {"annotations": {"strongroom.dev/expires-at": "2027-02-30T00:00:00Z"}}}).to_string();
    assert_eq!(room.admin.typed("PATCH", &format!("{collection}/s"), MERGE, patch.as_bytes()).status, 422);
}

//! A database that was changed while the server was down: what is found, what is served, what is said.

use std::path::Path;

use serde_json::json;

use crate::support::app::App;
use crate::support::http::Client;

const SECRETS: &str = "/api/v1/namespaces/default/secrets";

/// Objects that nothing is done to. One in a thousand shares the fate of another that it lies in a bucket with.
const OTHERS: usize = 10;

/// A home with secrets `a`, `b` and `c` (of which `b` was changed once) and others, whose database then had `sql`
/// done to it.
fn tampered(sql: &str) -> App {
    let mut app = App::start();
    let mut client = Client::admin(&app);
    let others = (0..OTHERS).map(|number| format!("other-{number}"));
    for name in ["a", "b", "c"].map(str::to_owned).into_iter().chain(others) {
        client.json("POST", SECRETS, &json!({"metadata": {"name": name}, "data": {"k": "b2xk"}})).ok();
    }
    client.json("PUT", &format!("{SECRETS}/b"), &json!({"metadata": {"name": "b"}, "data": {"k": "bmV3"}})).ok();
    assert_eq!(app.stop(), Some(0));
    run(&app.home().join("strongroom.db"), sql);
    App::start_in(app.kill(), &[])
}

fn run(database: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(database).unwrap();
    assert!(connection.execute(sql, []).unwrap() > 0, "{sql}");
}

#[test]
fn an_edited_row_is_left_out_named_and_never_served_while_the_rest_goes_on() {
    let app = tampered(
        "UPDATE versions SET data = CAST(substr(data, 1, 30) || x'00ff' || substr(data, 33) AS BLOB) WHERE name = 'a'",
    );
    let mut client = Client::admin(&app);
    let answer = client.get(&format!("{SECRETS}/a"));
    assert_eq!((answer.status, &answer.json()["reason"]), (500, &json!("IntegrityFailure")), "{}", answer.text());
    let list = client.get(SECRETS);
    let names: Vec<String> =
        list.json()["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].to_string()).collect();
    assert_eq!(names[..2], ["\"b\"", "\"c\""]);
    assert_eq!(names.len(), 2 + OTHERS);
    assert!(list.header("warning").unwrap().contains("1 of the objects are left out"), "{}", list.head());
    assert!(app.log().contains("name \\\"a\\\"") || app.log().contains("name \"a\""), "{}", app.log());
    client.json("POST", SECRETS, &json!({"metadata": {"name": "d"}})).ok();
    assert_eq!(client.get("/readyz").status, 200);
}

#[test]
fn a_row_rolled_back_or_deleted_is_refused_and_nothing_more_is_written() {
    for (sql, name) in [
        ("DELETE FROM versions WHERE revision = (SELECT MAX(revision) FROM versions WHERE name = 'b')", "b"),
        ("DELETE FROM versions WHERE name = 'c'", "c"),
    ] {
        let app = tampered(sql);
        let mut client = Client::admin(&app);
        let answer = client.get(&format!("{SECRETS}/{name}"));
        assert_eq!(answer.status, 500, "{}", answer.text());
        assert!(!answer.text().contains("b2xk"));
        assert!(!client.get(SECRETS).text().contains(&format!("\"name\":\"{name}\"")));
        let served = (0..OTHERS)
            .filter(|number| client.get(&format!("{SECRETS}/other-{number}")).json()["data"]["k"] == "b2xk")
            .count();
        assert!(served >= OTHERS - 2, "{served}");
        let refused = client.json("POST", SECRETS, &json!({"metadata": {"name": "d"}}));
        assert_eq!(refused.status, 503, "{}", refused.text());
        let ready = client.get("/readyz?verbose");
        assert_eq!(ready.status, 503);
        assert!(ready.text().contains("[-]store-integrity failed: "), "{}", ready.text());
        assert!(ready.text().contains("\nthe server is read-only: "), "{}", ready.text());
        let told = Client::anonymous(&app).get("/strongroom/v1/seal-status").ok().json();
        assert_eq!(told["state"], "read-only");
        assert!(told["why"].as_str().unwrap().contains("changed from outside"), "{told}");
        assert!(told["next"].as_str().unwrap().contains("restore a backup"), "{told}");
        assert_eq!(client.get("/livez").status, 200);
    }
}

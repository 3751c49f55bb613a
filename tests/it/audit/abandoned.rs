//! Bodies that break off: a client that is gone is recorded as that, one that is there and sends nonsense is answered.

use std::time::Duration;

use serde_json::{Value, json};

use super::events;
use crate::support::actors::secrets;
use crate::support::app::App;
use crate::support::clients::eventually;
use crate::support::http::{Client, Connection};

const LIMIT: Duration = Duration::from_secs(20);
const LENGTH: (&str, &str) = ("Content-Length", "100");
const CHUNKED: (&str, &str) = ("Transfer-Encoding", "chunked");

/// A connection on which the server has begun to wait for the body of a request.
fn awaited_body(client: &Client, name: &str, framing: (&str, &str)) -> Connection {
    let headers = [("Content-Type", "application/json"), ("Expect", "100-continue"), framing];
    let mut connection = client.connect().unwrap();
    let path = format!("{}/{name}", secrets("default"));
    connection.write(client.head("PUT", &path, &headers).as_bytes()).unwrap();
    assert_eq!(connection.line().unwrap(), "HTTP/1.1 100 Continue");
    assert_eq!(connection.line().unwrap(), "");
    connection
}

fn of(admin: &mut Client, name: &str) -> Vec<Value> {
    events(admin, &format!("resource=secrets&name={name}"))
}

#[test]
fn a_client_that_leaves_within_its_body_is_recorded_once_as_gone() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    let half = r#"{"metadata":"#;
    let chunk = format!("{:x}\r\n{half}\r\n", half.len());
    let rows = [
        ("gone-length", LENGTH, half, false),
        ("gone-length-in-silence", LENGTH, half, true),
        ("gone-chunked", CHUNKED, &chunk, false),
        ("gone-chunked-in-silence", CHUNKED, &chunk, true),
        ("gone-within-a-chunk", CHUNKED, &chunk[..8], false),
        ("gone-at-once", LENGTH, "", false),
        ("gone-at-once-in-silence", LENGTH, "", true),
    ];
    for (name, framing, sent, in_silence) in rows {
        let mut connection = awaited_body(&admin, name, framing);
        connection.write(sent.as_bytes()).unwrap();
        if in_silence {
            drop(connection);
        } else {
            connection.end().unwrap();
        }
    }
    for (name, ..) in rows {
        let found = eventually(LIMIT, || Some(of(&mut admin, name)).filter(|found| !found.is_empty()));
        let found = found.unwrap_or_else(|| panic!("no record of {name}: {}", app.log()));
        let [event] = &found[..] else { panic!("{name}: {found:?}") };
        let said = [&event["stage"], &event["verb"], &event["user"]["username"]];
        assert_eq!(said, ["ResponseComplete", "update", "admin"], "{event}");
        assert_eq!(event["responseStatus"], json!({"code": 499, "reason": "ClientClosedRequest"}), "{name}");
    }
    assert_eq!(admin.get(&secrets("default")).ok().json()["items"], json!([]));
}

#[test]
fn a_body_that_is_malformed_is_a_bad_request_and_recorded_as_one() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    for (name, sent) in [("no-size", "zz\r\n"), ("no-end", "2\r\n{}xx\r\n")] {
        let mut connection = awaited_body(&admin, name, CHUNKED);
        connection.write(sent.as_bytes()).unwrap();
        let answer = connection.response(false).unwrap();
        assert_eq!(answer.status, 400, "{name}: {}", answer.text());
        let found = eventually(LIMIT, || Some(of(&mut admin, name)).filter(|found| !found.is_empty())).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0]["responseStatus"], json!({"code": 400, "reason": "BadRequest"}), "{name}");
    }
}

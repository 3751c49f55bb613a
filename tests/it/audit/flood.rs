//! A flood of denials: it becomes a few lines, and none of them is lost.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::events;
use crate::support::actors::secrets;
use crate::support::app::App;
use crate::support::clients::eventually;
use crate::support::http::Client;

const LIMIT: Duration = Duration::from_secs(30);
const CONNECTIONS: u64 = 4;
/// Denials of one source and second that are written one by one, and one for all others.
const LINES_OF_A_SECOND: u64 = 51;

/// Has so many requests denied on each of a few connections, half of them for want of a valid token and half for want
/// of a right.
fn flood(client: &Client, requests: u64) {
    std::thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            let (mut client, code) =
                if connection % 2 == 0 { (client.with_token("sr_wrong"), 401) } else { (client.without_token(), 403) };
            scope.spawn(move || {
                let path = format!("{}/s-{connection}", secrets("default"));
                (0..requests).for_each(|_| assert_eq!(client.get(&path).status, code));
            });
        }
    });
}

/// How many events there are, and how many requests they stand for.
fn accounted(events: &[Value]) -> (u64, u64) {
    let denials = events.iter().filter(|event| [401, 403].contains(&event["responseStatus"]["code"].as_u64().unwrap()));
    denials.fold((0, 0), |(lines, requests), event| {
        let repeated = event["annotations"]["strongroom.dev/repeated"].as_str().map_or(1, |text| text.parse().unwrap());
        (lines + 1, requests + repeated)
    })
}

/// The events in the files of a log.
fn in_files(folder: &Path) -> Vec<Value> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = files.filter(|path| path.extension().is_some_and(|name| name == "jsonl")).map(fs::read_to_string);
    let lines = texts.flat_map(|text| text.unwrap().lines().map(str::to_owned).collect::<Vec<_>>());
    let all = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
    all.filter(|line| line["kind"] == "Event").collect()
}

#[test]
fn a_flood_of_denials_becomes_a_few_lines_that_account_for_every_one() {
    const REQUESTS: u64 = 1_000;
    let mut app = App::start();
    let mut admin = Client::admin(&app);
    let flooding = admin.from([127, 0, 0, 7]);
    let begun = Instant::now();
    flood(&flooding, REQUESTS);
    let sent = CONNECTIONS * REQUESTS;
    let mut found = (0, 0);
    let all = eventually(LIMIT, || {
        found = accounted(&events(&mut admin, "code=4xx"));
        assert!(found.1 <= sent, "{found:?}: more than was sent");
        Some(()).filter(|()| found.1 == sent)
    });
    let seconds = begun.elapsed().as_secs() + 2;
    assert!(all.is_some(), "{found:?} of {sent}: {}", app.log());
    assert!(found.0 <= LINES_OF_A_SECOND * seconds && found.0 < sent / 2, "{found:?} within {seconds} s");

    // What is still being counted when the server stops is written, too.
    flood(&flooding, REQUESTS / 10);
    assert_eq!(app.stop(), Some(0), "{}", app.log());
    let sent = sent + CONNECTIONS * REQUESTS / 10;
    assert_eq!(accounted(&in_files(&app.home().join("audit"))).1, sent);

    let app = App::start_in(app.kill(), &[]);
    let mut admin = Client::admin(&app);
    assert_eq!(accounted(&events(&mut admin, "code=4xx")).1, sent);
    assert_eq!(admin.get("/strongroom/v1/audit/verify").ok().json()["intact"], true);
}

#[test]
fn who_floods_does_not_take_the_lines_of_others() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    flood(&admin.from([127, 0, 0, 7]), 100);
    let denied = admin.without_token().get(&secrets("default"));
    let id = denied.header("audit-id").unwrap();
    let found = events(&mut admin, "code=403");
    assert_eq!(found.iter().filter(|event| event["auditID"] == id).count(), 1, "its own line, at once");
}

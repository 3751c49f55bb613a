//! Destroyed is destroyed: no row, nothing in the files, and a record of it.

use std::path::Path;

use serde_json::{Value, json};

use super::{numbers, read, revisions, revisions_of, value, write};
use crate::support::actors::secrets;
use crate::support::app::App;
use crate::support::http::Client;

/// Pieces of the sealed columns of a Secret's version, as the database has them.
fn sealed_pieces(home: &Path, revision: &str) -> Vec<Vec<u8>> {
    const PIECE_BYTES: usize = 24;
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = rusqlite::Connection::open_with_flags(home.join("strongroom.db"), flags).unwrap();
    let columns: [Vec<u8>; 2] = connection
        .query_row("SELECT meta, data FROM versions WHERE revision = ?1", [revision], |row| {
            Ok([row.get(0)?, row.get(1)?])
        })
        .unwrap();
    // Behind version, algorithm and term, which others have too.
    columns
        .iter()
        .flat_map(|sealed| [6, sealed.len() - PIECE_BYTES].map(|from| sealed[from..from + PIECE_BYTES].to_vec()))
        .collect()
}

/// How many of them the database and its write-ahead log hold.
fn held(home: &Path, pieces: &[Vec<u8>]) -> usize {
    let files = ["strongroom.db", "strongroom.db-wal"].map(|file| std::fs::read(home.join(file)).unwrap_or_default());
    let holds = |piece: &&Vec<u8>| {
        files.iter().any(|bytes| bytes.windows(piece.len()).any(|window| window == piece.as_slice()))
    };
    pieces.iter().filter(holds).count()
}

#[test]
fn a_former_version_is_gone_from_the_files_and_the_current_one_stays() {
    let mut app = App::start();
    let mut admin = Client::admin(&app);
    for text in ["one", "two", "three"] {
        write(&mut admin, "a", text);
    }
    let all = revisions(&mut admin, "a");
    let path = |one: &Value| format!("{}/{}", revisions_of("default"), one["metadata"]["name"].as_str().unwrap());
    let current = admin.delete(&path(&all[2]));
    assert_eq!(current.status, 409);
    assert!(
        current.text().contains("it is the current revision of the Secret; change or delete the Secret first"),
        "{}",
        current.text()
    );

    let pieces = sealed_pieces(app.home(), all[1]["metadata"]["resourceVersion"].as_str().unwrap());
    assert_eq!(held(app.home(), &pieces), 4, "what is looked for is there before");
    let wrong = json!({"preconditions": {"uid": "4e8a7b52-6d3c-4f19-9a0b-2c1d5e7f8a90"}});
    assert_eq!(admin.json("DELETE", &path(&all[1]), &wrong).status, 409);
    admin.delete(&format!("{}?dryRun=All", path(&all[1]))).ok();
    assert_eq!(held(app.home(), &pieces), 4);
    let destroyed = admin.delete(&path(&all[1])).ok();
    assert!(destroyed.header("warning").unwrap().contains("backups that were made before still hold this revision"));
    assert_eq!(destroyed.json()["details"]["uid"], all[1]["metadata"]["uid"]);
    assert_eq!(held(app.home(), &pieces), 0);
    assert_eq!(admin.delete(&path(&all[1])).status, 404);
    assert_eq!(admin.get(&path(&all[1])).status, 404);
    assert_eq!(numbers(&mut admin, "a"), [(1, false), (3, true)]);

    let records = admin.get("/strongroom/v1/audit?limit=1000&verb=delete&resource=secretrevisions").ok().json();
    let events = records["items"].as_array().unwrap();
    let codes: Vec<u64> = events.iter().map(|event| event["responseStatus"]["code"].as_u64().unwrap()).collect();
    assert_eq!(codes.iter().filter(|code| **code == 200).count(), 2, "{records}");
    assert!(events.iter().any(|event| event["objectRef"]["name"] == all[1]["metadata"]["name"]
        && event["objectRef"]["uid"] == all[1]["metadata"]["uid"]));

    app = App::start_in(app.kill(), &[]);
    admin = Client::admin(&app);
    assert_eq!(numbers(&mut admin, "a"), [(1, false), (3, true)]);
    assert_eq!(value(&read(&mut admin, &all[0])), "one");
    assert_eq!(admin.get("/readyz").status, 200, "{}", app.log());
    write(&mut admin, "a", "four");
    assert_eq!(numbers(&mut admin, "a"), [(1, false), (3, false), (4, true)]);
}

#[test]
fn a_secret_is_deleted_and_then_destroyed_with_all_it_ever_was() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    for text in ["one", "two", "three"] {
        write(&mut admin, "a", text);
        write(&mut admin, "b", text);
    }
    let of_a = format!("{}?fieldSelector=spec.secretName%3Da", revisions_of("default"));
    let all = revisions(&mut admin, "a");
    let pieces: Vec<Vec<u8>> = all
        .iter()
        .flat_map(|one| sealed_pieces(app.home(), one["metadata"]["resourceVersion"].as_str().unwrap()))
        .collect();
    let destroyed = admin.delete(&of_a).ok().json();
    assert_eq!(destroyed["items"].as_array().unwrap().len(), 2, "the current one is left");
    assert!(destroyed["items"][0].get("data").is_none());
    admin.delete(&format!("{}/a", secrets("default"))).ok();
    assert_eq!(numbers(&mut admin, "a"), [(3, false)]);
    admin.delete(&of_a).ok();
    assert_eq!(revisions(&mut admin, "a"), Vec::<Value>::new());
    assert_eq!(held(app.home(), &pieces), 0);
    assert_eq!(numbers(&mut admin, "b"), [(1, false), (2, false), (3, true)]);
}

#[test]
fn whoever_is_behind_a_destroyed_version_lists_anew() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    write(&mut admin, "a", "one");
    let page = admin.get(&format!("{}?limit=1", secrets("default"))).ok().json();
    let old = page["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    write(&mut admin, "a", "two");
    let all = revisions(&mut admin, "a");
    admin.delete(&format!("{}/{}", revisions_of("default"), all[0]["metadata"]["name"].as_str().unwrap())).ok();
    let exact = format!("{}?resourceVersion={old}&resourceVersionMatch=Exact", secrets("default"));
    assert_eq!(admin.get(&exact).status, 410);
    let watch = admin.get(&format!("{}?watch=true&resourceVersion={old}&timeoutSeconds=1", secrets("default"))).ok();
    assert!(watch.text().contains("\"code\":410"), "{}", watch.text());
}

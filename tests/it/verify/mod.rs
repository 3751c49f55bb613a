//! `strongroom verify`: each kind of damage to each kind of row, by SQLite itself; what is found, what a start makes of it, and
//! that what is left can be made the truth.

mod homes;
mod migrations;
mod running;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::app::{App, copy_home};
use crate::support::clients::eventually;
use crate::support::http::Client;

pub const SECRETS: &str = "/api/v1/namespaces/default/secrets";
/// What every list says while rows are missing.
const INCOMPLETE: &str = "rows are missing or were changed from outside: this list may be incomplete";
/// Objects that nothing is done to.
const OTHERS: usize = 4;

/// A home with Secrets `a`, `b` (changed once), `c`, others, and `gone`, which was deleted.
fn fill(app: &App) {
    let mut client = Client::admin(app);
    let others = (0..OTHERS).map(|number| format!("other-{number}"));
    for name in ["a", "b", "c", "gone"].map(str::to_owned).into_iter().chain(others) {
        client.json("POST", SECRETS, &json!({"metadata": {"name": name}, "data": {"k": "b2xk"}})).ok();
    }
    client.json("PUT", &format!("{SECRETS}/b"), &json!({"metadata": {"name": "b"}, "data": {"k": "bmV3"}})).ok();
    client.delete(&format!("{SECRETS}/gone")).ok();
}

/// A copy of such a home, whose server was stopped.
pub fn stopped() -> TempDir {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    copy_home(
        MADE.get_or_init(|| {
            let mut app = App::start();
            fill(&app);
            assert_eq!(app.stop(), Some(0));
            app.kill()
        })
        .path(),
    )
}

/// A copy of such a home, whose server was killed: its last audit records are in the database, and all of that in a
/// write-ahead log.
pub fn killed() -> TempDir {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    copy_home(
        MADE.get_or_init(|| {
            let app = App::start();
            fill(&app);
            app.kill()
        })
        .path(),
    )
}

/// The program, to be run on a home.
fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("STRONGROOM_")) {
        command.env_remove(name);
    }
    command.args(arguments).args(["--log", "error"]).arg("--home").arg(home);
    command
}

/// Runs the program on a home.
pub fn strongroom(home: &Path, arguments: &[&str]) -> Output {
    command(home, arguments).output().unwrap()
}

/// What `verify` says, and its exit code.
pub fn verify(home: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = strongroom(home, &[&["verify"], arguments].concat());
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains("b2xk") && !text.contains("bmV3"), "no value is shown: {text}");
    (output.status.code(), text)
}

/// What a start that is refused says.
pub fn refused(home: &Path) -> String {
    let output = strongroom(home, &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

pub fn run(home: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(home.join("strongroom.db")).unwrap();
    connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

fn names(client: &mut Client) -> Vec<String> {
    let list = client.get(SECRETS).json();
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// What a start makes of damage.
#[derive(Clone, Copy, PartialEq)]
enum Start {
    /// Everything but these is served, and can be written.
    But(&'static [&'static str]),
    /// These are not served, others neither if they lie in the same bucket; nothing is written.
    ReadOnly(&'static [&'static str]),
    /// It is refused.
    Refused,
}

struct Case {
    sql: &'static str,
    /// What `verify` says of it.
    said: &'static str,
    start: Start,
    /// Of `a`, `b` and `c` what is not there any more when what is left was accepted.
    lost: &'static [&'static str],
}

const fn case(sql: &'static str, said: &'static str, start: Start, lost: &'static [&'static str]) -> Case {
    Case { sql, said, start, lost }
}

fn check(home: TempDir, case: &Case) {
    let Case { sql, said, start, lost } = case;
    run(home.path(), sql);
    let database = home.path().join("strongroom.db");
    let before = std::fs::read(&database).unwrap();
    let (code, text) = verify(home.path(), &[]);
    assert_eq!(code, Some(1), "{sql}: {text}");
    assert!(text.contains("WRONG: ") && text.contains(said), "{sql}: {text}");
    assert!(text.contains("`strongroom verify --accept`"), "{sql}: {text}");
    assert!(before == std::fs::read(&database).unwrap(), "{sql}: nothing is changed");
    let (code, json) = verify(home.path(), &["-o", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["intact"], &json["acceptable"]), (Some(1), &json!(false), &json!(true)), "{sql}: {json}");
    let effect = match start {
        Start::But([]) => &["served", "withheld"][..],
        Start::But(_) => &["withheld"],
        Start::ReadOnly(_) => &["read-only"],
        Start::Refused => &["no-start"],
    };
    assert!(effect.contains(&json["effect"].as_str().unwrap()), "{sql}: {json}");

    let home = match start {
        Start::Refused => {
            let text = refused(home.path());
            assert!(text.contains("strongroom verify"), "{sql}: {text}");
            home
        }
        Start::But(missing) | Start::ReadOnly(missing) => {
            let mut app = App::start_in(home, &[]);
            let mut client = Client::admin(&app);
            let list = client.get(SECRETS);
            assert_eq!(list.status, 200, "{sql}");
            let is_writable = matches!(start, Start::But(_));
            let may_lack = matches!(start, Start::ReadOnly([_, ..]));
            assert_eq!(list.head().contains(INCOMPLETE), may_lack, "{sql}: {}", list.head());
            for name in *missing {
                let answer = client.get(&format!("{SECRETS}/{name}"));
                assert_eq!(answer.status, 500, "{sql}: {name}: {}", answer.text());
                assert_eq!(answer.json()["reason"], "IntegrityFailure", "{sql}: {name}");
                assert!(!names(&mut client).contains(&(*name).to_owned()), "{sql}: {name}");
            }
            let served = names(&mut client).len();
            assert!(served >= OTHERS - 1, "{sql}: {served}");
            let written = client.json("POST", SECRETS, &json!({"metadata": {"name": "d"}})).status;
            assert_eq!(written, if is_writable { 201 } else { 503 }, "{sql}");
            assert_eq!(client.get("/readyz").status, if is_writable { 200 } else { 503 }, "{sql}");
            assert_eq!(client.get("/livez").status, 200, "{sql}");
            assert_eq!(app.stop(), Some(0), "{sql}: {}", app.log());
            app.kill()
        }
    };

    let (code, text) = verify(home.path(), &["--accept", "--yes"]);
    assert_eq!(code, Some(0), "{sql}: {text}");
    assert!(text.contains("accepted\n") && text.ends_with("everything is as it was written\n"), "{sql}: {text}");
    let (code, text) = verify(home.path(), &[]);
    assert_eq!(code, Some(0), "{sql}: {text}");
    let audit = strongroom(home.path(), &["audit", "verify"]);
    assert!(audit.status.success(), "{sql}: {}", String::from_utf8_lossy(&audit.stdout));

    let app = App::start_in(home, &[]);
    let mut client = Client::admin(&app);
    client.json("POST", SECRETS, &json!({"metadata": {"name": "e"}})).ok();
    for name in ["a", "b", "c"] {
        let expected = if lost.contains(&name) { 404 } else { 200 };
        assert_eq!(client.get(&format!("{SECRETS}/{name}")).status, expected, "{sql}: {name}");
    }
    let ready = client.get("/readyz?verbose");
    assert_eq!(ready.status, 200, "{sql}: {}", ready.text());
    let found = client.get("/strongroom/v1/audit?verb=accept").text();
    assert!(found.contains("strongroom.dev/accepted"), "{sql}: {found}");
}

#[test]
fn a_home_that_nobody_touched_is_as_it_was_written() {
    for home in [stopped(), killed()] {
        let (code, text) = verify(home.path(), &[]);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.ends_with("everything is as it was written\n"), "{text}");
        let (code, text) = verify(home.path(), &["-o", "json"]);
        let found: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((code, &found["intact"], &found["effect"]), (Some(0), &json!(true), &json!("served")));
        assert_eq!((&found["slots"], &found["findings"]), (&json!(1), &json!([])));
        // There is nothing to accept.
        let (code, text) = verify(home.path(), &["--accept", "--yes"]);
        assert_eq!((code, text.contains("accepted")), (Some(0), false), "{text}");
    }
}

#[test]
fn a_home_that_is_served_is_not_verified() {
    let app = App::start();
    let (code, text) = verify(app.home(), &[]);
    assert_eq!(code, Some(1));
    assert!(text.contains("is in use by another strongroom process"), "{text}");
}

#[test]
fn nothing_is_accepted_without_a_yes() {
    let home = stopped();
    run(home.path(), "DELETE FROM versions WHERE name = 'c'");
    let (code, text) = verify(home.path(), &["--accept"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("--yes"), "{text}");
}

#[test]
fn a_list_says_that_it_may_lack_what_is_missing_or_was_made_an_end_at_rest() {
    for sql in ["UPDATE versions SET flags = 2 WHERE name = 'a'", "DELETE FROM versions WHERE name = 'a'"] {
        let home = stopped();
        run(home.path(), sql);
        let app = App::start_in(home, &[]);
        let mut client = Client::admin(&app);
        assert_eq!(client.get(&format!("{SECRETS}/a")).json()["reason"], "IntegrityFailure", "{sql}");
        for accept in [
            "application/json",
            "application/json;as=Table;v=v1;g=meta.k8s.io",
            "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
        ] {
            for path in [SECRETS, "/api/v1/secrets?limit=1", "/api/v1/secrets?labelSelector=%21none"] {
                let list = client.with_header("Accept", accept).get(path);
                assert!(list.head().contains(INCOMPLETE), "{sql}: {path}: {}", list.head());
            }
        }
        let watch = "watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
        let watch = client.get(&format!("{SECRETS}?{watch}")).ok();
        assert!(watch.head().contains(INCOMPLETE), "{sql}: {}", watch.head());
        let revisions = client.get("/apis/strongroom.dev/v1alpha1/namespaces/default/secretrevisions").ok();
        assert!(revisions.head().contains(INCOMPLETE), "{sql}: {}", revisions.head());
        // Who exports all must not take a part for the whole; what is named is there or is not.
        let exports = "/apis/strongroom.dev/v1alpha1/namespaces/default/secretexports";
        let all = json!({"spec": {"selector": {}, "format": "yaml"}});
        let all = client.json("POST", exports, &all);
        assert_eq!(all.json()["reason"], "IntegrityFailure", "{sql}: {}", all.text());
    }
    let app = App::start_in(stopped(), &[]);
    let list = Client::admin(&app).get(SECRETS);
    assert!(list.header("warning").is_none(), "{}", list.head());
}

#[test]
fn the_audit_log_tells_of_a_database_whose_write_ahead_log_was_dropped() {
    let app = App::start_in(stopped(), &[]);
    let mut client = Client::admin(&app);
    client.json("POST", SECRETS, &json!({"metadata": {"name": "late"}})).ok();
    let copies = || -> String {
        let files = std::fs::read_dir(app.home().join("audit")).unwrap();
        files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap_or_default()).collect()
    };
    let is_copied =
        || copies().lines().any(|line| line.contains("\"late\"") && line.contains("strongroom.dev/mutation"));
    eventually(Duration::from_secs(20), || is_copied().then_some(())).expect("the record is copied");
    let home = app.kill();
    // Who opens the database carries the log over into it.
    let whole = copy_home(home.path());
    let audit = strongroom(whole.path(), &["audit", "verify"]);
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
    std::fs::remove_file(home.path().join("strongroom.db-wal")).unwrap();
    let _ = std::fs::remove_file(home.path().join("strongroom.db-shm"));
    let audit = strongroom(home.path(), &["audit", "verify"]);
    let said = String::from_utf8_lossy(&audit.stdout);
    assert_eq!(audit.status.code(), Some(1), "{said}");
    assert!(said.contains("WRONG: the log has copies of the records of mutations up to "), "{said}");
    assert!(said.contains("the database is an older one"), "{said}");
}

#[test]
fn an_edited_column_of_a_version_is_found() {
    use Start::{But, ReadOnly};
    let cases = [
        case(
            "UPDATE versions SET meta = CAST(substr(meta, 1, 40) || x'00ff' || substr(meta, 43) AS BLOB) WHERE name = 'a'",
            "name \"a\"",
            But(&["a"]),
            &["a"],
        ),
        case(
            "UPDATE versions SET data = CAST(substr(data, 1, 40) || x'00ff' || substr(data, 43) AS BLOB) WHERE name = 'a'",
            "column data: not authentic",
            But(&["a"]),
            &["a"],
        ),
        case("UPDATE versions SET data = x'' WHERE name = 'a'", "name \"a\"", ReadOnly(&["a"]), &["a"]),
        case("UPDATE versions SET kind = 'other' WHERE name = 'a'", "a clear column", ReadOnly(&["a"]), &["a"]),
        case("UPDATE versions SET namespace = 'kube-public' WHERE name = 'a'", "name \"a\"", ReadOnly(&["a"]), &["a"]),
        case("UPDATE versions SET name = 'z' WHERE name = 'a'", "name \"z\"", ReadOnly(&["a"]), &["a"]),
        case("UPDATE versions SET uid = randomblob(16) WHERE name = 'a'", "name \"a\"", ReadOnly(&["a"]), &["a"]),
        case("UPDATE versions SET flags = 9 WHERE name = 'a'", "name \"a\"", ReadOnly(&["a"]), &["a"]),
        case("UPDATE versions SET term = 7 WHERE name = 'a'", "term 7", ReadOnly(&["a"]), &["a"]),
        case("UPDATE versions SET revision = revision + 1000 WHERE name = 'a'", "name \"a\"", ReadOnly(&["a"]), &["a"]),
    ];
    for case in &cases {
        check(stopped(), case);
    }
}

#[test]
fn rows_that_were_taken_away_exchanged_put_back_or_added_are_found() {
    use Start::{But, ReadOnly};
    let cases = [
        case("DELETE FROM versions WHERE name = 'c'", "a row is missing", ReadOnly(&["c"]), &["c"]),
        case(
            "DELETE FROM versions WHERE revision = (SELECT MAX(revision) FROM versions WHERE name = 'b')",
            "a row is missing",
            ReadOnly(&["b"]),
            &[],
        ),
        case(
            "UPDATE versions SET data = (SELECT data FROM versions WHERE name = 'c') WHERE name = 'a'",
            "name \"a\"",
            ReadOnly(&["a"]),
            &["a"],
        ),
        case(
            "INSERT INTO versions SELECT 9000000000000000000, kind, namespace, 'new', uid, flags, created_at, term, meta, data
             FROM versions WHERE name = 'a'",
            "name \"new\"",
            ReadOnly(&["new"]),
            &[],
        ),
        case(
            "INSERT INTO versions SELECT -5, kind, namespace, name, uid, flags, created_at, term, meta, data
             FROM versions WHERE name = 'a'",
            "revision -5",
            But(&[]),
            &[],
        ),
        // With its end gone, what was deleted is back, unless what is left of it is refused.
        case(
            "DELETE FROM versions WHERE revision = (SELECT MAX(revision) FROM versions WHERE name = 'gone')",
            "name \"gone\"",
            ReadOnly(&["gone"]),
            &[],
        ),
    ];
    for case in &cases {
        check(stopped(), case);
    }
}

#[test]
fn a_damaged_value_of_the_stores_own_or_head_refuses_the_start_and_is_named() {
    use Start::Refused;
    let cases = [
        case(
            "UPDATE state SET data = CAST(substr(data, 1, 40) || x'00ff' || substr(data, 43) AS BLOB)
             WHERE key = 'authority.certificate'",
            "name \"authority.certificate\"",
            Refused,
            &[],
        ),
        // Not a newer release's: it opens with the first byte that it had.
        case(
            "UPDATE state SET data = CAST(x'02' || substr(data, 2) AS BLOB) WHERE key = 'authority.key'",
            "unknown format version 2",
            Refused,
            &[],
        ),
        case(
            "UPDATE head SET sealed = CAST(x'02' || substr(sealed, 2) AS BLOB)",
            "unknown format version 2",
            Refused,
            &[],
        ),
        case("UPDATE state SET sequence = sequence + 1 WHERE key = 'authority.key'", "authority.key", Refused, &[]),
        case("DELETE FROM state WHERE key = 'audit.removed'", "one of the store's own values is missing", Refused, &[]),
        case("DELETE FROM state", "one of the store's own values is missing", Refused, &[]),
        // The first bytes stay: another version would be a newer release's.
        case(
            "UPDATE head SET sealed = CAST(substr(sealed, 1, 40) || randomblob(length(sealed) - 40) AS BLOB)",
            "head of the store: not authentic",
            Refused,
            &[],
        ),
        case("UPDATE head SET sealed = CAST(substr(sealed, 1, 99) AS BLOB)", "head", Refused, &[]),
        case("DELETE FROM head", "the head of the store is missing", Refused, &[]),
    ];
    for case in &cases {
        check(stopped(), case);
    }
}

#[test]
fn foreign_objects_in_the_schema_are_named_and_dropped() {
    use Start::Refused;
    let cases = [
        case(
            "CREATE TRIGGER evil AFTER INSERT ON versions BEGIN DELETE FROM versions WHERE name = 'a'; END",
            "trigger \"evil\" on \"versions\" was not made by Strongroom",
            Refused,
            &[],
        ),
        case("CREATE VIEW v AS SELECT 1", "view \"v\" was not made by Strongroom", Refused, &[]),
        case("CREATE INDEX i ON versions (name)", "index \"i\" on \"versions\" was not made", Refused, &[]),
        case("CREATE TABLE \"t\"\"x\" (a); INSERT INTO \"t\"\"x\" VALUES (1)", "table \"t\\\"x\"", Refused, &[]),
        case("DROP TRIGGER commits_insert", "trigger \"commits_insert\" on \"commits\" is missing", Refused, &[]),
        case(
            "DROP VIEW commits; CREATE VIEW commits AS SELECT 1 AS revision",
            "view \"commits\" was changed",
            Refused,
            &[],
        ),
    ];
    for case in &cases {
        let home = stopped();
        check(copy_home(home.path()), case);
        run(home.path(), case.sql);
        let said = case.said.split(" was ").next().unwrap().split(" is ").next().unwrap();
        assert!(refused(home.path()).contains(said), "the start names it: {}", refused(home.path()));
    }
}

#[test]
fn a_damaged_audit_record_is_found() {
    use Start::{But, ReadOnly};
    let cases = [
        case(
            "UPDATE audit SET record = CAST(substr(record, 1, 40) || x'00ff' || substr(record, 43) AS BLOB)
             WHERE sequence = (SELECT MAX(sequence) - 2 FROM audit)",
            "does not pass authentication",
            But(&[]),
            &[],
        ),
        case(
            "DELETE FROM audit WHERE sequence = (SELECT MAX(sequence) FROM audit)",
            "and not as was sealed",
            ReadOnly(&[]),
            &[],
        ),
        case(
            "UPDATE audit SET link = randomblob(32) WHERE sequence = (SELECT MAX(sequence) FROM audit)",
            "is not the one that was linked there",
            ReadOnly(&[]),
            &[],
        ),
        case("DELETE FROM audit", "and not as was sealed", ReadOnly(&[]), &[]),
        case(
            "INSERT INTO audit SELECT 9000000000000000000, term, record, link FROM audit ORDER BY sequence LIMIT 1",
            "does not pass authentication",
            ReadOnly(&[]),
            &[],
        ),
    ];
    for case in &cases {
        check(killed(), case);
    }
}

#[test]
fn what_is_not_bound_and_not_used_changes_nothing() {
    let home = stopped();
    run(home.path(), "UPDATE versions SET created_at = 0 WHERE name = 'a'");
    assert_eq!(verify(home.path(), &[]).0, Some(0));
    let app = App::start_in(home, &[]);
    let object = Client::admin(&app).get(&format!("{SECRETS}/a")).json();
    assert_ne!(object["metadata"]["creationTimestamp"], "1970-01-01T00:00:00Z");
}

#[test]
fn damaged_keys_and_slots_are_named_and_nothing_is_opened() {
    for (sql, said) in [
        ("UPDATE keys SET keyring = CAST(substr(keyring, 1, 90) || x'00ff' || substr(keyring, 93) AS BLOB)", "keyring"),
        ("UPDATE keys SET store_id = randomblob(16)", "does not open this home"),
        ("DELETE FROM keys", "keyring"),
        ("UPDATE slots SET slot = CAST(substr(slot, 1, 60) || x'00ff' || substr(slot, 63) AS BLOB)", "slot is damaged"),
        ("DELETE FROM slots", "no way to unlock"),
    ] {
        let home = stopped();
        run(home.path(), sql);
        for text in [verify(home.path(), &[]).1, refused(home.path())] {
            assert!(text.contains(said), "{sql}: {text}");
        }
        assert_eq!(verify(home.path(), &["--accept", "--yes"]).0, Some(1), "{sql}");
    }
}

#[test]
fn a_second_slot_that_is_damaged_does_not_keep_the_first_from_opening() {
    let home = stopped();
    run(
        home.path(),
        "INSERT INTO slots (slot) SELECT CAST(substr(slot, 1, 60) || x'00ff' || substr(slot, 63) AS BLOB) FROM slots",
    );
    let (code, text) = verify(home.path(), &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("slots: row 2 of slots: the slot is damaged"), "{text}");
    let accepted = copy_home(home.path());
    assert_eq!(verify(accepted.path(), &["--accept", "--yes"]).0, Some(0));
    assert_eq!(verify(accepted.path(), &[]).0, Some(0));
    let app = App::start_in(home, &[]);
    assert_eq!(Client::admin(&app).get(&format!("{SECRETS}/a")).status, 200);
}

#[test]
fn a_page_that_is_overwritten_is_found() {
    let home = stopped();
    let path = home.path().join("strongroom.db");
    let page: i64 = {
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection
            .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'versions'", [], |row| row.get(0))
            .unwrap()
    };
    let mut bytes = std::fs::read(&path).unwrap();
    let begin = usize::try_from(page - 1).unwrap() * 16 * 1024;
    bytes[begin..begin + 64].fill(0xee);
    std::fs::write(&path, bytes).unwrap();
    let (code, text) = verify(home.path(), &[]);
    assert_eq!(code, Some(1));
    assert!(text.contains("WRONG: file: ") && text.contains("restore a backup"), "{text}");
    assert!(!refused(home.path()).is_empty());
    assert_eq!(verify(home.path(), &["--accept", "--yes"]).0, Some(1));
}

#[test]
fn an_acceptance_that_is_killed_is_made_or_not_made() {
    let (mut made, mut unmade) = (0, 0);
    for round in 0..12_u64 {
        let home = stopped();
        run(home.path(), "CREATE VIEW v AS SELECT 1; DELETE FROM versions WHERE name = 'c'");
        let mut command = command(home.path(), &["verify", "--accept", "--yes"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Not a wait for something: kills are spread over what an acceptance takes.
        std::thread::sleep(Duration::from_millis(round * 12));
        child.kill().unwrap();
        child.wait().unwrap();
        match verify(home.path(), &[]) {
            (Some(0), _) => made += 1,
            (code, text) => {
                assert_eq!(code, Some(1), "{text}");
                assert!(text.contains("view \"v\"") && text.contains("a row is missing"), "all or nothing: {text}");
                unmade += 1;
            }
        }
        assert_eq!(verify(home.path(), &["--accept", "--yes"]).0, Some(0));
        assert_eq!(verify(home.path(), &[]).0, Some(0));
    }
    assert_eq!(made + unmade, 12);
    assert!(unmade > 0, "some were killed before they were done");
}

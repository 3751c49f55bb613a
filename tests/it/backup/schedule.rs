//! Backups that the server makes by itself: when they are due, which are kept, and what is told of them.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use super::{BACKUPS, backup, create, key_of, names, put, text};
use crate::support::app::App;
use crate::support::clients::eventually;
use crate::support::http::Client;

const LIMIT: Duration = Duration::from_mins(1);

fn ready(client: &mut Client) -> String {
    client.get("/readyz?verbose").ok().text()
}

fn metric(client: &mut Client, name: &str) -> Option<f64> {
    let text = client.get("/metrics").ok().text();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn backups_are_made_as_scheduled_and_of_those_no_longer_kept_none_stays() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("backups");
    let arguments = ["--backup-directory", text(&directory), "--backup-every", "1s", "--backup-keep", "2"];
    let app = App::start_in(tempfile::tempdir().unwrap(), &arguments);
    let mut admin = Client::admin(&app);
    put(&mut admin, "db", "v");
    let id = eventually(LIMIT, || {
        let report = admin.get(BACKUPS).ok().json();
        let name = report["schedule"]["files"][0]["name"].as_str()?.to_owned();
        Some(name.split('-').nth(1).unwrap().to_owned())
    })
    .unwrap();
    // Files of others, and what a killed process has left.
    let foreign = [
        "notes.txt".to_owned(),
        format!("strongroom-{}-20200101T000000Z.strongroom-backup", "0".repeat(32)),
        format!("strongroom-{id}-20200101T000000Z.strongroom-backup.old"),
    ];
    for name in &foreign {
        fs::write(directory.join(name), b"x").unwrap();
    }
    let old = format!("strongroom-{id}-20200101T000000Z.strongroom-backup");
    fs::write(directory.join(&old), b"x").unwrap();
    let first = names(&directory);
    // A moment at which there are other ones than at first.
    let kept = eventually(LIMIT, || {
        let own: Vec<String> =
            names(&directory).into_iter().filter(|name| name.ends_with("backup") && name.contains(&id)).collect();
        (own.len() == 2 && own.iter().all(|name| !first.contains(name))).then_some(own)
    });
    let kept = kept.unwrap_or_else(|| panic!("{:?}\n{}", names(&directory), app.log()));
    assert!(!kept.contains(&old));
    assert!(foreign.iter().all(|name| directory.join(name).exists()));
    assert!(ready(&mut admin).contains("[+]backup ok: the last one is "), "{}", ready(&mut admin));
    assert!(metric(&mut admin, "strongroom_backups_total").unwrap() >= 3.0);
    assert!(metric(&mut admin, "strongroom_backup_last_success_timestamp_seconds").unwrap() > 1.7e9);
    let told = backup(&["schedule", "--home", text(app.home())]).done();
    assert!(told.contains("Every:     1s\n") && told.contains("Keep:      the newest 2\n"), "{told}");
    // Copied, for the next one may be the one that takes its place.
    let key = key_of(app.home());
    let copy = folder.path().join("copy");
    let whole = eventually(LIMIT, || {
        let newest = names(&directory).into_iter().rfind(|name| name.contains(&id) && name.ends_with("backup"))?;
        fs::copy(directory.join(newest), &copy).ok()
    });
    assert!(whole.is_some());
    backup(&["verify", text(&copy), "--key-file", text(&key)]).done();
}

#[test]
fn one_that_is_due_is_made_at_a_start_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("backups");
    let arguments = ["--backup-directory", text(&directory), "--backup-every", "1d"];
    let mut app = App::start_in(tempfile::tempdir().unwrap(), &arguments);
    let made = eventually(LIMIT, || Some(names(&directory)).filter(|names| !names.is_empty())).unwrap();
    assert_eq!(made.len(), 1);
    assert_eq!(app.stop(), Some(0));
    // What a killed process has left of one is taken away.
    let left = format!(".{}.0123456789abcdef.new", made[0]);
    fs::write(directory.join(&left), b"half").unwrap();
    let app = App::start_in(app.kill(), &arguments);
    let mut admin = Client::admin(&app);
    let gone = eventually(LIMIT, || (!directory.join(&left).exists()).then_some(()));
    assert!(gone.is_some());
    let report = admin.get(BACKUPS).ok().json();
    assert_eq!(report["last"]["by"], "schedule", "what was made is known after a restart");
    assert_eq!(names(&directory), made, "one a day");
    // It was lost: then another one is due.
    drop(admin);
    fs::remove_file(directory.join(&made[0])).unwrap();
    let app = App::start_in(app.kill(), &arguments);
    let again = eventually(LIMIT, || Some(names(&directory)).filter(|names| !names.is_empty()));
    assert!(again.is_some(), "{}", app.log());
}

#[test]
fn a_directory_that_cannot_be_written_is_told_and_keeps_nobody_from_being_served() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("not-mounted/backups");
    let app = App::start_in(tempfile::tempdir().unwrap(), &["--backup-directory", text(&directory)]);
    let mut admin = Client::admin(&app);
    let failed = eventually(LIMIT, || {
        let text = ready(&mut admin);
        text.contains("[+]backup ok: there is none yet, and the last try failed").then_some(())
    });
    assert!(failed.is_some(), "{}", ready(&mut admin));
    assert_eq!(admin.get("/readyz").status, 200);
    assert!(metric(&mut admin, "strongroom_backup_failures_total").unwrap() >= 1.0);
    assert!(app.log().contains("the backup that is due was not made"), "{}", app.log());
    let report: Value = admin.get(BACKUPS).ok().json();
    assert_eq!(report["failing"], true);
    // Somebody's download is none that the schedule keeps.
    assert_eq!(admin.send("POST", BACKUPS, &[], b"").unwrap().status, 200);
    assert!(ready(&mut admin).contains("there is none yet, and the last try failed"), "{}", ready(&mut admin));
    assert_eq!(metric(&mut admin, "strongroom_backup_age_seconds"), None);
}

#[test]
fn who_reads_slowly_does_not_keep_the_schedule_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("backups");
    let arguments = ["--backup-directory", text(&directory), "--backup-every", "1s", "--backup-keep", "100"];
    let app = App::start_in(tempfile::tempdir().unwrap(), &arguments);
    let mut admin = Client::admin(&app);
    // More than lies in the buffers of a connection.
    for number in 0..24 {
        put(&mut admin, &format!("large-{number}"), &"x".repeat(700_000));
    }
    let mut slow = eventually(LIMIT, || {
        let mut slow = admin.connect().unwrap();
        slow.write(admin.head("POST", BACKUPS, &[("Content-Length", "0")]).as_bytes()).unwrap();
        (slow.head().unwrap().status == 200).then_some(slow)
    });
    let before = names(&directory).len();
    let more = eventually(LIMIT, || (names(&directory).len() > before + 2).then_some(()));
    assert!(more.is_some(), "{}", app.log());
    drop(slow.take());
}

#[test]
fn a_folder_of_backups_in_the_home_is_left_alone() {
    let mut app = App::start();
    let folder = app.home().join("backup");
    fs::create_dir(&folder).unwrap();
    let home = app.home().to_owned();
    let monday = folder.join("monday");
    backup(&["create", "-o", text(&monday), "--home", text(&home)]).done();
    assert_eq!(app.stop(), Some(0));
    let tuesday = folder.join("tuesday");
    backup(&["create", "-o", text(&tuesday), "--home", text(&home)]).done();
    let mut app = App::start_in(app.kill(), &[]);
    assert_eq!(app.stop(), Some(0));
    assert_eq!(names(&folder), ["monday", "tuesday"]);
    backup(&["restore", text(&monday), "--home", text(&home), "--accept-rollback"]).done();
    assert_eq!(names(&folder), ["monday", "tuesday"]);
}

#[test]
fn without_a_schedule_nothing_is_said_until_a_backup_was_made() {
    let mut app = App::start();
    let mut admin = Client::admin(&app);
    assert!(!ready(&mut admin).contains("backup"));
    assert_eq!(metric(&mut admin, "strongroom_backup_age_seconds"), None);
    let folder = tempfile::tempdir().unwrap();
    create(&app, &folder.path().join("b"));
    let said = eventually(LIMIT, || Some(ready(&mut admin)).filter(|text| text.contains("[+]backup ok: ")));
    assert!(said.unwrap().contains(" old\n"));
    assert_eq!(app.stop(), Some(0));
    let app = App::start_in(app.kill(), &[]);
    assert!(ready(&mut Client::admin(&app)).contains("[+]backup ok: the last one is "));
}

#[test]
fn a_recipient_that_is_none_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = std::process::Command::new(env!("CARGO_BIN_EXE_strongroom"));
    serve.args(["serve", "--listen", "127.0.0.1:0", "--home", text(&folder.path().join("home"))]);
    serve.args(["--backup-directory", text(folder.path()), "--backup-recipient", "age1x"]);
    let error = super::ended(&mut serve).stderr;
    assert!(error.contains("age1x: not an age recipient"), "{error}");
}

//! No room, no permission, no descriptors: what is refused is refused in clear words, what was acknowledged stays, and the server
//! goes on by itself when it can.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Resource;
use serde_json::json;

use super::home::log;
use super::model::list;
use crate::support::app::{App, Refused};
use crate::support::clients::{eventually, left_out};
use crate::support::disk::{FailingDisk, SmallDisk, limit, limit_files_of};
use crate::support::http::{Client, Response};
use crate::support::load::SECRETS;
use crate::support::process::descriptors;

/// Longer than the store takes to find out that it can write again.
const LIMIT: Duration = Duration::from_secs(45);
const STORE_FULL: &str = "the store cannot be written: see the server's log, then free disk space or mend the disk";

/// Writes Secrets until one is refused: what was acknowledged, and the refusal.
fn write_until_refused(client: &mut Client, tag: &str) -> (BTreeMap<String, String>, Response) {
    let mut acknowledged = BTreeMap::new();
    for number in 0.. {
        let (name, value) = (format!("{tag}-{number}"), format!("{number}").repeat(300));
        let secret = json!({"metadata": {"name": name}, "stringData": {"k": value}});
        let answer = client.json("POST", SECRETS, &secret);
        if answer.status != 201 {
            return (acknowledged, answer);
        }
        acknowledged.insert(name, answer.json()["data"]["k"].as_str().unwrap().to_owned());
    }
    unreachable!("numbers end")
}

/// Exactly this is there.
fn must_hold(client: &mut Client, written: &BTreeMap<String, String>) {
    let (items, _) = list(client);
    let found: BTreeMap<String, String> =
        items.into_iter().map(|(name, item)| (name, item["data"]["k"].as_str().unwrap().to_owned())).collect();
    assert!(found == *written, "{} are there and {} were written", found.len(), written.len());
}

fn is_unavailable(answer: &Response) -> String {
    let status = answer.json();
    assert_eq!((answer.status, &status["reason"]), (503, &json!("ServiceUnavailable")), "{}", answer.text());
    status["message"].as_str().unwrap().to_owned()
}

fn becomes_ready(client: &mut Client, app: &App) {
    let ready = eventually(LIMIT, || (client.get("/readyz").status == 200).then_some(()));
    assert!(ready.is_some(), "{}: {}", client.get("/readyz?verbose").text(), app.log());
}

fn stops_and_starts_cleanly(mut app: App, written: &BTreeMap<String, String>) {
    assert!(!app.log().contains("panicked"), "{}", app.log());
    assert_eq!(app.stop(), Some(0), "{}", app.log());
    let app = App::start_in(app.kill(), &[]);
    let mut client = Client::admin(&app);
    must_hold(&mut client, written);
    assert_eq!(client.get("/strongroom/v1/audit/verify").ok().json()["intact"], true);
}

/// A file system of 16 MiB at `disk` in the folder.
fn small_disk() -> Option<(tempfile::TempDir, SmallDisk)> {
    let root = tempfile::tempdir().unwrap();
    let mounted = root.path().join("disk");
    fs::create_dir(&mounted).unwrap();
    let Some(disk) = SmallDisk::mount(&mounted, 16) else {
        left_out("no file system can be mounted, so none is filled or made read-only");
        return None;
    };
    Some((root, disk))
}

#[test]
fn a_home_on_a_full_disk_refuses_and_recovers_and_a_crash_meanwhile_loses_nothing() {
    let Some((root, disk)) = small_disk() else { return };
    let mounted = root.path().join("disk");
    let app = App::start_in(tempfile::tempdir_in(&mounted).unwrap(), &[]);
    let mut client = Client::admin(&app);
    let mut written = BTreeMap::from([write_one(&mut client, "first")]);
    disk.fill();
    let (acknowledged, refusal) = write_until_refused(&mut client, "a");
    written.extend(acknowledged);
    let message = is_unavailable(&refusal);
    assert!(message == STORE_FULL || message.contains("the disk is full: free disk space"), "{message}");
    let ready = client.get("/readyz");
    assert_eq!((ready.status, ready.text().contains("failed: ")), (503, true), "{}", ready.text());
    assert_eq!(client.get("/livez").ok().text(), "ok");
    // A value is shown only with its record, and there is no room for that either; where there still is, it is shown.
    let read = client.get(&format!("{SECRETS}/first"));
    match read.status {
        200 => assert_eq!(read.json()["data"]["k"], written["first"].as_str()),
        _ => assert!(is_unavailable(&read).contains("free disk space")),
    }
    disk.free();
    becomes_ready(&mut client, &app);
    must_hold(&mut client, &written);
    written.extend([write_one(&mut client, "second")]);

    // And the same with a crash while there is no room.
    disk.fill();
    let (acknowledged, _) = write_until_refused(&mut client, "b");
    written.extend(acknowledged);
    let home = app.kill();
    let home = match App::try_start_in(home) {
        // Where a start needs no more than there is.
        Ok(app) => app.kill(),
        Err(Refused { code, log, home }) => {
            assert!(code.is_some_and(|code| code != 101) && !log.contains("panicked"), "{code:?}: {log}");
            assert!(["disk", "space"].iter().any(|word| log.to_lowercase().contains(word)), "{log}");
            home
        }
    };
    disk.free();
    let app = App::start_in(home, &[]);
    must_hold(&mut Client::admin(&app), &written);
    stops_and_starts_cleanly(app, &written);
}

fn write_one(client: &mut Client, name: &str) -> (String, String) {
    let secret = json!({"metadata": {"name": name}, "stringData": {"k": name}});
    let made = client.json("POST", SECRETS, &secret).ok().json();
    (name.to_owned(), made["data"]["k"].as_str().unwrap().to_owned())
}

#[test]
fn a_limit_on_the_size_of_the_database_refuses_writes_while_reads_go_on() {
    let app = App::start();
    let mut client = Client::admin(&app);
    let mut written = BTreeMap::from([write_one(&mut client, "first")]);
    for number in 0..20 {
        written.extend([write_one(&mut client, &format!("w-{number}"))]);
    }
    // A few writes more and the write-ahead log is as long as it may be; all other files are much shorter.
    limit_files_of(&app, Some(fs::metadata(log(app.home())).unwrap().len() + 200_000));
    let (acknowledged, refusal) = write_until_refused(&mut client, "a");
    written.extend(acknowledged);
    assert_eq!(is_unavailable(&refusal), STORE_FULL);
    for _ in 0..3 {
        must_hold(&mut client, &written);
        assert_eq!(is_unavailable(&client.delete(&format!("{SECRETS}/first"))), STORE_FULL);
    }
    let ready = client.get("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains(&format!("[-]store-writable failed: {STORE_FULL}\n")), "{}", ready.text());
    limit_files_of(&app, None);
    // Nobody has to write for it.
    becomes_ready(&mut client, &app);
    written.extend([write_one(&mut client, "second")]);
    must_hold(&mut client, &written);
    stops_and_starts_cleanly(app, &written);
}

#[test]
fn commits_that_fail_one_after_the_other_do_not_close_the_store_for_good() {
    let app = App::start();
    let mut client = Client::admin(&app);
    let mut written = BTreeMap::from([write_one(&mut client, "first")]);
    limit_files_of(&app, Some(fs::metadata(log(app.home())).unwrap().len()));
    let rotate = "/strongroom/v1/keys/rotate-data";
    for _ in 0..4 {
        // Each in a transaction of several statements.
        assert_eq!(client.send("POST", rotate, &[], b"").unwrap().status, 503, "{}", app.log());
        assert_eq!(is_unavailable(&client.delete(&format!("{SECRETS}/first"))), STORE_FULL);
    }
    limit_files_of(&app, None);
    becomes_ready(&mut client, &app);
    assert_eq!(client.send("POST", rotate, &[], b"").unwrap().status, 200);
    written.extend([write_one(&mut client, "second")]);
    must_hold(&mut client, &written);
    stops_and_starts_cleanly(app, &written);
}

#[test]
fn a_home_on_a_read_only_disk_is_not_started_and_says_why() {
    let Some((root, disk)) = small_disk() else { return };
    let mounted = root.path().join("disk");
    let app = App::start_in(tempfile::tempdir_in(&mounted).unwrap(), &[]);
    let written = BTreeMap::from([write_one(&mut Client::admin(&app), "first")]);
    // Under a running server the system does not do it: files are open for writing.
    assert!(!disk.set_read_only(true), "the server keeps no file open for writing");
    let home = app.kill();
    assert!(disk.set_read_only(true));
    let Err(Refused { code, log, home }) = App::try_start_in(home) else { panic!("it starts on a read-only disk") };
    assert!(code.is_some_and(|code| code != 101), "{code:?}: {log}");
    assert!(log.to_lowercase().contains("read-only") && !log.contains("panicked"), "{log}");
    assert!(disk.set_read_only(false));
    let app = App::start_in(home, &[]);
    must_hold(&mut Client::admin(&app), &written);
    stops_and_starts_cleanly(app, &written);
}

#[test]
fn a_disk_that_the_kernel_makes_read_only_under_a_running_server_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let Some(mut disk) = FailingDisk::make(root.path(), 64) else {
        left_out("there is no ext4 on a loop device here whose errors can be had, so no disk fails");
        return;
    };
    let home = tempfile::tempdir_in(disk.path()).unwrap();
    let mut app = App::start_in(home, &[]);
    let mut client = Client::admin(&app);
    let mut written = BTreeMap::from([write_one(&mut client, "first")]);
    disk.fail();
    let (acknowledged, refusal) = write_until_refused(&mut client, "a");
    written.extend(acknowledged);
    let message = is_unavailable(&refusal);
    assert!(message == STORE_FULL || message.contains("audit"), "{message}");
    for _ in 0..3 {
        is_unavailable(&client.delete(&format!("{SECRETS}/first")));
        let ready = client.get("/readyz");
        assert_eq!((ready.status, ready.text().contains("failed: ")), (503, true), "{}", ready.text());
        assert_eq!(client.get("/livez").ok().text(), "ok");
        // A value is shown only with its record.
        let read = client.get(&format!("{SECRETS}/first"));
        match read.status {
            200 => assert_eq!(read.json()["data"]["k"], written["first"].as_str()),
            _ => drop(is_unavailable(&read)),
        }
    }
    assert!(app.is_running() && !app.log().contains("panicked"), "{}", app.log());

    // Such a disk is mended by hand, with nobody on it; then the server needs nothing more.
    let home = app.kill();
    disk.mend();
    let app = App::start_in(home, &[]);
    must_hold(&mut Client::admin(&app), &written);
    stops_and_starts_cleanly(app, &written);
}

#[test]
fn a_server_without_descriptors_answers_who_is_there_and_takes_others_when_it_has_some_again() {
    let app = App::start();
    let mut client = Client::admin(&app);
    let mut written = BTreeMap::from([write_one(&mut client, "first")]);
    must_hold(&mut client, &written);
    let address = app.url.strip_prefix("https://").unwrap().to_owned();
    let before = descriptors(&app);
    limit(&app, Resource::Nofile, Some(before as u64 + 4));
    let others: Vec<TcpStream> = (0..64).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let is_full = eventually(LIMIT, || (descriptors(&app) >= before + 4).then_some(()));
    assert!(is_full.is_some(), "{} descriptors", descriptors(&app));
    for number in 0..10 {
        assert_eq!(client.get(&format!("{SECRETS}/first")).ok().json()["data"]["k"], written["first"].as_str());
        must_hold(&mut client, &written);
        written.extend([write_one(&mut client, &format!("w-{number}"))]);
        assert_eq!(client.get("/readyz").ok().text(), "ok");
    }
    drop(others);
    limit(&app, Resource::Nofile, None);
    let mut new = client.another();
    let answer = eventually(LIMIT, || new.send("GET", "/readyz", &[], b"").ok());
    assert_eq!(answer.map(|answer| answer.status), Some(200), "{}", app.log());
    must_hold(&mut new, &written);
    drop(new);
    let back = eventually(LIMIT, || (descriptors(&app) <= before + 4).then_some(()));
    assert!(back.is_some(), "{} descriptors, {before} before", descriptors(&app));
    stops_and_starts_cleanly(app, &written);
}

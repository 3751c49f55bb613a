//! kill -9 in the midst of making and of restoring: what is there is whole, what is not there is gone, and the next one works.
//!
//! `STRONGROOM_TEST_KILLS` is the number of kills at random moments (30), `STRONGROOM_TEST_SEED` repeats the choices of a run. What
//! a restore does between its last steps takes microseconds: there are failpoints between them.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{backup, command, create, ended, key_of, names, put, text, value};
use crate::faults::failpoints::{self, BACKUPS, RESTORES};
use crate::support::app::{App, Refused, copy_home};
use crate::support::clients::eventually;
use crate::support::dice::Dice;
use crate::support::http::Client;
use crate::support::load::kills;

/// Bytes that make copying take a while.
const LARGE: usize = 500_000;
const LARGE_SECRETS: usize = 16;

fn fill(admin: &mut Client) {
    for number in 0..LARGE_SECRETS {
        put(admin, &format!("large-{number}"), &"x".repeat(LARGE));
    }
}

/// What is killed again and again: how it goes, and how long it takes when nobody does.
struct Kills {
    seed: u64,
    dice: Dice,
    /// Milliseconds.
    longest: u64,
}

impl Kills {
    /// Of what `once` does.
    fn of(once: impl FnOnce()) -> Self {
        let seed = Dice::seed();
        let begun = Instant::now();
        once();
        Self { seed, dice: Dice::new(seed), longest: u64::try_from(begun.elapsed().as_millis()).unwrap() }
    }

    /// A moment before `longest / part`, counted from `longest / from`.
    fn moment(&mut self, from: u64, part: u64) -> Duration {
        let before = self.longest.checked_div(from).unwrap_or_default();
        Duration::from_millis(before + self.dice.below(self.longest / part + 1))
    }
}

/// A server with Secrets that take a while to copy, and a folder for files.
fn filled() -> (App, tempfile::TempDir) {
    let app = App::start();
    fill(&mut Client::admin(&app));
    (app, tempfile::tempdir().unwrap())
}

/// Starts a command and kills it after a part of the time that it takes.
fn start_and_kill(arguments: &[&str], after: Duration) -> bool {
    let mut child = command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // This is the random moment, not a wait for something.
    std::thread::sleep(after);
    let was_killed = child.try_wait().unwrap().is_none();
    let _ = child.kill();
    child.wait().unwrap();
    was_killed
}

/// Makes one as soon as the server has noticed that who asked for the last one is gone.
fn done_when_free(arguments: &[&str]) {
    let made = eventually(super::LIMIT, || {
        let ended = backup(arguments);
        (!ended.stderr.contains("one at a time")).then_some(ended)
    });
    made.unwrap().done();
}

#[test]
fn a_server_that_is_killed_while_it_makes_a_backup_leaves_nothing_and_makes_the_next() {
    let (mut app, folder) = filled();
    let file = folder.path().join("b");
    let mut kill = Kills::of(|| drop(create(&app, &file)));
    let seed = kill.seed;
    fs::remove_file(&file).unwrap();
    let rounds = (kills() / 6).max(3);
    let mut were_there = 0;
    for round in 0..rounds {
        let client = Client::admin(&app);
        let mut asking = client.connect().unwrap();
        asking.write(client.head("POST", super::BACKUPS, &[("Content-Length", "0")]).as_bytes()).unwrap();
        std::thread::sleep(kill.moment(0, 2));
        app.begin_kill();
        let home = app.kill();
        were_there += usize::from(!names(&home.path().join(".backup-work")).is_empty());
        app = App::start_in(home, &[]);
        let work = names(&app.home().join(".backup-work"));
        assert!(work.is_empty(), "seed {seed}, round {round}: {work:?} was left");
        let mut admin = Client::admin(&app);
        assert_eq!(value(&mut admin, "large-0").map(|value| value.len()), Some(LARGE));
    }
    println!("{rounds} kills, {were_there} of them with a copy half made, seed {seed}");
    create(&app, &file);
}

#[test]
fn a_command_that_is_killed_leaves_no_file_that_looks_whole_and_its_next_run_takes_away_what_it_left() {
    let (mut app, folder) = filled();
    let file = folder.path().join("b");
    let home = app.home().to_owned();
    let arguments = ["create", "-o", text(&file), "--home", text(&home)];
    for is_offline in [false, true] {
        if is_offline {
            assert_eq!(app.stop(), Some(0));
        }
        let _ = fs::remove_file(&file);
        let mut kill = Kills::of(|| done_when_free(&arguments));
        let seed = kill.seed;
        let mut killed = 0;
        for round in 0..(kills() / 6).max(3) {
            fs::remove_file(&file).unwrap();
            killed += u64::from(start_and_kill(&arguments, kill.moment(0, 1)));
            let when = format!("seed {seed}, round {round}, offline {is_offline}");
            if file.exists() {
                backup(&["verify", text(&file), "--key-file", text(&key_of(&home))]).done();
            } else {
                done_when_free(&arguments);
            }
            assert_eq!(names(folder.path()), ["b"], "{when}");
        }
        println!("offline {is_offline}: {killed} kills, seed {seed}");
    }
    let app = App::start_in(app.kill(), &[]);
    assert!(names(&app.home().join(".backup-work")).is_empty());
}

/// What a home holds: the value of `which`, as the server started on it tells.
fn which(home: tempfile::TempDir) -> (String, tempfile::TempDir) {
    let mut app = App::start_in(home, &[]);
    let mut admin = Client::admin(&app);
    let value = value(&mut admin, "which").unwrap();
    assert_eq!(admin.get("/strongroom/v1/audit/verify").ok().json()["intact"], true, "{}", app.log());
    assert!(!app.log().contains("ERROR"), "{}", app.log());
    assert_eq!(app.stop(), Some(0));
    (value, app.kill())
}

fn has_leftovers(home: &Path) -> bool {
    names(home).iter().any(|name| name.contains("restor") && !name.starts_with("before-restore-"))
}

/// Database and audit log of a home that is stopped.
struct Original {
    database: Vec<u8>,
    audit: Vec<(String, Vec<u8>)>,
}

impl Original {
    fn of(home: &Path) -> Self {
        let audit = home.join("audit");
        let read = |name: String| (name.clone(), fs::read(audit.join(name)).unwrap());
        Self {
            database: fs::read(home.join("strongroom.db")).unwrap(),
            audit: names(&audit).into_iter().map(read).collect(),
        }
    }

    fn put_back(&self, home: &Path) {
        for name in names(home).iter().filter(|name| name.starts_with("before-restore-")) {
            fs::remove_dir_all(home.join(name)).unwrap();
        }
        let audit = home.join("audit");
        let _ = fs::remove_dir_all(&audit);
        fs::create_dir(&audit).unwrap();
        for (name, bytes) in &self.audit {
            fs::write(audit.join(name), bytes).unwrap();
        }
        fs::write(home.join("strongroom.db"), &self.database).unwrap();
    }
}

#[test]
fn a_restore_that_is_killed_has_either_not_happened_or_has_happened() {
    let (mut app, folder) = filled();
    let mut admin = Client::admin(&app);
    put(&mut admin, "which", "backup");
    let file = folder.path().join("b");
    create(&app, &file);
    put(&mut admin, "which", "newer");
    assert_eq!(app.stop(), Some(0));
    let mut home = app.kill();
    let path = home.path().to_owned();
    let arguments = ["restore", text(&file), "--home", text(&path), "--accept-rollback"];
    let original = Original::of(&path);
    let mut kill = Kills::of(|| drop(backup(&arguments).done()));
    let seed = kill.seed;
    let (mut happened, mut had_leftovers) = (0, 0);
    let rounds = (kills() / 3).max(3);
    for round in 0..rounds {
        let when = format!("seed {seed}, round {round}");
        original.put_back(&path);
        start_and_kill(&arguments, kill.moment(4, 1));
        had_leftovers += usize::from(has_leftovers(&path));
        let found;
        (found, home) = which(home);
        assert!(!has_leftovers(&path), "{when}: {:?}", names(&path));
        let kept = names(&path).iter().any(|name| name.starts_with("before-restore-"));
        match found.as_str() {
            "newer" => assert!(!kept, "{when}"),
            "backup" => assert!(kept, "{when}"),
            other => panic!("{when}: {other}"),
        }
        happened += u64::from(found == "backup");
        if found == "newer" {
            // The next try succeeds, whatever the last one left.
            backup(&arguments).done();
        }
    }
    drop(home);
    println!(
        "{rounds} kills: {happened} restores had happened, {had_leftovers} left something to take away, seed {seed}"
    );
}

/// Runs a command that is to end at a failpoint.
fn until(failpoint: &str, arguments: &[&str]) {
    let ended = ended(command(arguments).env("STRONGROOM_FAILPOINT", failpoint));
    assert_eq!(ended.code, None, "{failpoint} is never reached: {}{}", ended.stdout, ended.stderr);
}

#[test]
fn a_backup_that_ends_at_a_failpoint_has_no_file_or_a_whole_one() {
    let mut app = App::start();
    put(&mut Client::admin(&app), "a", "value");
    assert_eq!(app.stop(), Some(0));
    let home = app.kill();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b");
    let arguments = ["create", "-o", text(&file), "--home", text(home.path())];
    for _ in 0..failpoints::rounds() {
        for name in BACKUPS {
            until(name, &arguments);
            assert_eq!(file.exists(), name == "backup.after-name", "{name}");
            if !file.exists() {
                backup(&arguments).done();
            }
            backup(&["verify", text(&file), "--key-file", text(&key_of(home.path()))]).done();
            assert_eq!(names(folder.path()), ["b"], "{name}");
            fs::remove_file(&file).unwrap();
        }
    }
    assert!(names(&home.path().join(".backup-work")).is_empty());
}

#[test]
fn a_restore_that_ends_at_a_failpoint_has_either_not_happened_or_has_happened() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    put(&mut admin, "which", "backup");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b");
    create(&app, &file);
    put(&mut admin, "which", "newer");
    // With a write-ahead log, which belongs to what was there.
    let original = app.kill();
    let points = RESTORES.into_iter().flat_map(|(name, times)| (1..=times).map(move |nth| (name, nth)));
    for (name, nth) in (0..failpoints::rounds()).flat_map(|_| points.clone()) {
        let home = copy_home(original.path());
        let path = home.path().to_owned();
        let failpoint = format!("{name}:{nth}");
        until(&failpoint, &["restore", text(&file), "--home", text(&path), "--accept-rollback"]);
        // Whoever finishes it may be cut off, too.
        let again = App::try_start(home, &[], &[("STRONGROOM_FAILPOINT", "restore.moved-aside")]);
        let home = match again {
            Ok(app) => app.kill(),
            Err(Refused { code, home, log }) => {
                assert_eq!(code, None, "{failpoint}: {log}");
                home
            }
        };
        let (found, _home) = which(home);
        let kept = names(&path).into_iter().find(|name| name.starts_with("before-restore-"));
        if name == "restore.before-decision" {
            assert_eq!((found.as_str(), kept), ("newer", None), "{failpoint}");
            continue;
        }
        assert_eq!(found, "backup", "{failpoint}");
        assert!(!has_leftovers(&path), "{failpoint}: {:?}", names(&path));
        // And what was there before is whole.
        let kept = path.join(kept.unwrap_or_else(|| panic!("{failpoint}: nothing is kept")));
        let before = copy_home(&path);
        for name in names(before.path()).iter().filter(|name| name.starts_with("strongroom.db") || *name == "audit") {
            let former = before.path().join(name);
            let _ = fs::remove_dir_all(&former).or_else(|_| fs::remove_file(&former));
        }
        assert!(
            std::process::Command::new("cp")
                .arg("-a")
                .arg(kept.join("."))
                .arg(before.path())
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(which(before).0, "newer", "{failpoint}");
    }
}

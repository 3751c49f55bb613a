//! kill -9 in the midst of making and of restoring: what is there is whole, what is not there is gone, and the next one works.
//!
//! `STRONGROOM_TEST_KILLS` is the number of kills (30), `STRONGROOM_TEST_SEED` repeats the choices of a run. What a restore does
//! between its last steps takes microseconds; each of these is tried by itself beside the code.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{backup, command, create, key_of, names, put, text, value};
use crate::support::app::App;
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
    let seed = Dice::seed();
    let mut dice = Dice::new(seed);
    let mut app = App::start();
    let mut admin = Client::admin(&app);
    fill(&mut admin);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b");
    let begun = Instant::now();
    create(&app, &file);
    let longest = u64::try_from(begun.elapsed().as_millis()).unwrap();
    fs::remove_file(&file).unwrap();
    let rounds = (kills() / 6).max(3);
    let mut were_there = 0;
    for round in 0..rounds {
        let client = Client::admin(&app);
        let mut asking = client.connect().unwrap();
        asking.write(client.head("POST", super::BACKUPS, &[("Content-Length", "0")]).as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(dice.below(longest / 2 + 1)));
        app.begin_kill();
        let home = app.kill();
        were_there += usize::from(!names(&home.path().join("backup")).is_empty());
        app = App::start_in(home, &[]);
        let work = names(&app.home().join("backup"));
        assert!(work.is_empty(), "seed {seed}, round {round}: {work:?} was left");
        let mut admin = Client::admin(&app);
        assert_eq!(value(&mut admin, "large-0").map(|value| value.len()), Some(LARGE));
    }
    println!("{rounds} kills, {were_there} of them with a copy half made, seed {seed}");
    create(&app, &file);
}

#[test]
fn a_command_that_is_killed_leaves_no_file_that_looks_whole_and_its_next_run_takes_away_what_it_left() {
    let seed = Dice::seed();
    let mut dice = Dice::new(seed);
    let mut app = App::start();
    let mut admin = Client::admin(&app);
    fill(&mut admin);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b");
    let home = app.home().to_owned();
    let arguments = ["create", "-o", text(&file), "--home", text(&home)];
    for is_offline in [false, true] {
        if is_offline {
            assert_eq!(app.stop(), Some(0));
        }
        let _ = fs::remove_file(&file);
        let begun = Instant::now();
        done_when_free(&arguments);
        let longest = u64::try_from(begun.elapsed().as_millis()).unwrap();
        let mut killed = 0;
        for round in 0..(kills() / 6).max(3) {
            fs::remove_file(&file).unwrap();
            killed += u64::from(start_and_kill(&arguments, Duration::from_millis(dice.below(longest))));
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
    assert!(names(&app.home().join("backup")).is_empty());
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
    let seed = Dice::seed();
    let mut dice = Dice::new(seed);
    let mut app = App::start();
    let mut admin = Client::admin(&app);
    fill(&mut admin);
    put(&mut admin, "which", "backup");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b");
    create(&app, &file);
    put(&mut admin, "which", "newer");
    assert_eq!(app.stop(), Some(0));
    let mut home = app.kill();
    let path = home.path().to_owned();
    let arguments = ["restore", text(&file), "--home", text(&path), "--accept-rollback"];
    let original = Original::of(&path);
    let begun = Instant::now();
    backup(&arguments).done();
    let longest = u64::try_from(begun.elapsed().as_millis()).unwrap();
    let (mut happened, mut had_leftovers) = (0, 0);
    let rounds = (kills() / 3).max(3);
    for round in 0..rounds {
        let when = format!("seed {seed}, round {round}");
        original.put_back(&path);
        start_and_kill(&arguments, Duration::from_millis(longest / 4 + dice.below(longest)));
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

//! Disks that are full: a backup is made whole or not at all, the home goes on, and it is said why.

use std::fs;
use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::{BACKUPS, backup, command, create, ended, key_of, names, put, text, value};
use crate::support::app::App;
use crate::support::clients::left_out;
use crate::support::http::Client;

/// Bytes of each of the Secrets that make a backup too large.
const LARGE: usize = 800_000;

fn filled() -> App {
    let app = App::start();
    let mut admin = Client::admin(&app);
    for number in 0..8 {
        put(&mut admin, &format!("large-{number}"), &"x".repeat(LARGE));
    }
    app
}

#[test]
fn a_server_that_may_write_no_file_of_that_size_makes_none_and_goes_on() {
    let app = filled();
    let mut admin = Client::admin(&app);
    let pid = Pid::from_raw(app.pid().try_into().unwrap());
    let before = getrlimit(Resource::Fsize);
    // Less than the copy takes. The database's log is shorter than that.
    let limit = Rlimit { current: Some(4 << 20), maximum: before.maximum };
    assert_eq!(admin.send("POST", BACKUPS, &[], b"").unwrap().status, 200);
    prlimit(pid, Resource::Fsize, limit).unwrap();
    let refused = admin.send("POST", BACKUPS, &[], b"").unwrap();
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("the backup was not made: see the server's log"), "{}", refused.text());
    assert!(app.log().contains("a backup was not made"), "{}", app.log());
    assert!(names(&app.home().join(".backup-work")).is_empty());
    assert_eq!(value(&mut admin, "large-0").map(|value| value.len()), Some(LARGE));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b");
    let error = backup(&["create", "-o", text(&file), "--home", text(app.home())]).not_done();
    assert!(error.contains("see the server's log"), "{error}");
    assert!(names(folder.path()).is_empty());
    prlimit(pid, Resource::Fsize, before).unwrap();
    create(&app, &file);
}

/// A file system of its own, of one MiB.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        let status = mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(folder.path()).output();
        if status.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        left_out("no file system can be mounted here to be full");
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_file_that_does_not_fit_its_disk_is_not_there_and_neither_is_a_part_of_it() {
    let Some(small) = Small::mount() else { return };
    let mut app = filled();
    let file = small.0.path().join("b");
    let arguments = ["create", "-o", text(&file), "--home", text(app.home())].map(str::to_owned);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let error = backup(&arguments).not_done();
    assert!(error.contains("No space left"), "{error}");
    assert!(names(small.0.path()).is_empty());
    assert_eq!(app.stop(), Some(0));
    let error = backup(&arguments).not_done();
    assert!(error.contains("No space left"), "{error}");
    assert!(names(small.0.path()).is_empty());
    // Nor can it be looked at, or restored, where there is no room for it.
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    backup(&["create", "-o", text(&whole), "--home", text(app.home())]).done();
    let key = key_of(app.home());
    let verify = ["verify", text(&whole), "--key-file", text(&key)];
    let error = ended(command(&verify).env("TMPDIR", small.0.path())).not_done();
    assert!(error.contains("No space left"), "{error}");
    let home = small.0.path().join("home");
    let error = backup(&["restore", text(&whole), "--home", text(&home), "--key-file", text(&key)]).not_done();
    assert!(error.contains("No space left"), "{error}");
    assert!(!home.join("strongroom.db").exists() && !home.join("strongroom.db.restoring").exists());
    fs::remove_dir_all(&home).unwrap();
}

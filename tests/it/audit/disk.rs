//! A log that cannot be written: nothing is answered and nothing done, the server says why, and it goes on by itself.
//!
//! The store is not concerned: it lies on another file system, or under the limit; what is refused is refused for want
//! of a record.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::events;
use crate::support::actors::{secret, secrets};
use crate::support::app::App;
use crate::support::clients::{eventually, left_out};
use crate::support::disk::{SmallDisk, limit_files_of};
use crate::support::http::{Client, Response};

const LIMIT: Duration = Duration::from_secs(30);
const FULL: &str = "the audit log cannot be written because the disk is full: free disk space";
const TOO_LARGE: &str = "the audit log cannot be written because a quota or a limit on file sizes is reached: raise it";

/// A server with a Secret, `before`, and a log of some length.
struct Server {
    app: App,
    admin: Client,
}

impl Server {
    fn start_in(home: tempfile::TempDir) -> Self {
        let app = App::start_in(home, &[]);
        let mut admin = Client::admin(&app);
        secret(&mut admin, "default", "before", &json!({"k": "v"}));
        for _ in 0..50 {
            admin.get(&one("before")).ok();
        }
        Self { app, admin }
    }

    fn log_file(&self) -> PathBuf {
        self.app.home().join("audit/audit-0000000001.jsonl")
    }

    /// Reads until that is refused; why it is.
    fn read_until_refused(&mut self) -> String {
        let refused = eventually(LIMIT, || Some(self.admin.get(&one("before"))).filter(|answer| answer.status != 200));
        why(&refused.unwrap_or_else(|| panic!("reads go on: {}", self.app.log())))
    }

    /// Nothing is read and nothing written, for this reason; and how the server is can be asked.
    fn must_refuse(&mut self, because: &str) {
        for path in [&one("before"), &secrets("default"), "/version", "/strongroom/v1/audit", "/swagger-ui/"] {
            assert_eq!(why(&self.admin.get(path)), because, "{path}");
        }
        let object = |name: &str| json!({"metadata": {"name": name}});
        assert_eq!(why(&self.admin.json("POST", &secrets("default"), &object("refused"))), because);
        assert_eq!(why(&self.admin.json("PUT", &one("before"), &object("before"))), because);
        assert_eq!(why(&self.admin.delete(&one("before"))), because);
        assert_eq!(why(&self.admin.without_token().get(&one("before"))), because);
        assert_eq!(why(&self.admin.with_token("sr_wrong").get(&one("before"))), because);

        let ready = self.admin.get("/readyz");
        assert_eq!(ready.status, 503);
        assert!(ready.text().contains(&format!("[-]audit-log failed: {because}\n")), "{}", ready.text());
        assert!(ready.text().contains("[+]store-writable ok\n"), "{}", ready.text());
        // How it is is told all the same.
        let told = self.admin.get("/strongroom/v1/seal-status").ok().json();
        assert_eq!((&told["state"], &told["why"]), (&"read-only".into(), &because.into()), "{told}");
        assert_eq!((self.admin.get("/livez").ok().text(), self.app.is_running()), ("ok".to_owned(), true));
    }

    /// It goes on, by itself, in the same process: nothing that was refused was done, and nothing is wrong with the log.
    /// How often the log says that part of a line was cut off.
    fn must_recover(&mut self, system_says: &str) -> usize {
        let answer = eventually(LIMIT, || Some(self.admin.get(&one("before"))).filter(|answer| answer.status == 200));
        let answer = answer.unwrap_or_else(|| panic!("reads are refused: {}", self.app.log())).json();
        assert_eq!(answer["data"], json!({"k": "dg=="}), "what was refused was done");
        let items = self.admin.get(&secrets("default")).ok().json()["items"].clone();
        let names: Vec<&Value> = items.as_array().unwrap().iter().map(|item| &item["metadata"]["name"]).collect();
        assert_eq!(names, ["before"], "what was refused was done");
        secret(&mut self.admin, "default", "after", &json!({"k": "v"}));
        assert_eq!(self.admin.get("/readyz").ok().text(), "ok");

        let report = self.admin.get("/strongroom/v1/audit/verify").ok().json();
        assert_eq!((&report["intact"], &report["problems"]), (&json!(true), &json!([])));
        assert!(!self.app.log().contains("panicked"), "{}", self.app.log());
        let of_log = |event: &Value| event["annotations"]["strongroom.dev/audit-log"].as_str().map(str::to_owned);
        let notes: Vec<String> = events(&mut self.admin, "").iter().filter_map(of_log).collect();
        let refused = format!("nothing was written for a time, and requests were refused: {system_says} ");
        assert_eq!(notes.iter().filter(|note| note.starts_with(&refused)).count(), 1, "{notes:?}");
        let cuts = notes.iter().filter(|note| note.contains(" of a line that was not written whole were cut off "));
        cuts.count()
    }
}

fn one(name: &str) -> String {
    format!("{}/{name}", secrets("default"))
}

/// What a refusal says.
fn why(answer: &Response) -> String {
    assert_eq!(answer.status, 503, "{}", answer.text());
    let status = answer.json();
    assert_eq!(
        [&status["kind"], &status["reason"], &status["code"]],
        [&json!("Status"), &json!("ServiceUnavailable"), &json!(503)]
    );
    assert!(answer.header("retry-after").is_some());
    status["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_limit_on_file_sizes_refuses_reads_and_writes_until_it_is_raised() {
    let mut server = Server::start_in(tempfile::tempdir().unwrap());
    // Within the next line.
    let length = fs::metadata(server.log_file()).unwrap().len() + 100;
    limit_files_of(&server.app, Some(length));
    assert_eq!(server.read_until_refused(), TOO_LARGE);
    server.must_refuse(TOO_LARGE);
    limit_files_of(&server.app, None);
    assert_eq!(server.must_recover("File too large"), 1);
}

#[test]
fn where_not_even_the_servers_own_log_can_be_written_it_lives_and_says_why() {
    let mut server = Server::start_in(tempfile::tempdir().unwrap());
    // Standard error is a file, too.
    limit_files_of(&server.app, Some(0));
    assert_eq!(server.read_until_refused(), TOO_LARGE);
    server.must_refuse(TOO_LARGE);
    limit_files_of(&server.app, None);
    assert_eq!(server.must_recover("File too large"), 0);
}

#[test]
fn a_full_disk_refuses_reads_and_writes_until_there_is_room() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("audit");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(home.path(), Permissions::from_mode(0o700)).unwrap();
    let Some(disk) = SmallDisk::mount(&folder, 1) else {
        // Not a failure in CI either: a container may be without the right. The limit on file sizes is tested anyway.
        left_out("no file system can be mounted, so none is filled");
        return;
    };
    let mut server = Server::start_in(home);
    disk.fill();
    // What is left of the log's last block is used up.
    assert_eq!(server.read_until_refused(), FULL);
    server.must_refuse(FULL);
    disk.free();
    // None where the last line ended with its block.
    assert!(server.must_recover("No space left on device") <= 1);
}

//! Backups are made while writes go on, by whoever may; they hold no clear text and no slot that can be guessed, and a change
//! anywhere is named.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use strongroom::crypto::{Argon2Cost, RootKey, Slot, SlotKind, SlotLimits, UnlockSecret, recovery_text};
use strongroom::sensitive::SecretBytes;

use super::{BACKUPS, DATABASE, backup, command, contains, create, ended, key_of, names, put, text};
use crate::support::actors::{bind, signed_in};
use crate::support::app::App;
use crate::support::clients::eventually;
use crate::support::http::Client;

#[test]
fn a_backup_is_of_one_moment_while_writes_go_on_and_none_of_them_waits_for_it() {
    let app = App::start();
    let admin = Client::admin(&app);
    let folder = tempfile::tempdir().unwrap();
    let (is_over, written) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let mut client = admin.another();
            let (is_over, written) = (&is_over, &written);
            scope.spawn(move || {
                for count in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    put(&mut client, &format!("w{writer}-{}", count % 20), &format!("{count}"));
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for number in 0..5 {
            let before = written.load(Ordering::Relaxed);
            // Sums, counts and the head agree: `create` has it verified.
            create(&app, &folder.path().join(format!("{number}.strongroom-backup")));
            let more = eventually(Duration::from_secs(30), || {
                Some(written.load(Ordering::Relaxed)).filter(|written| *written > before)
            });
            assert!(more.is_some(), "no write went on beside backup {number}");
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(names(&app.home().join(".backup-work")), [] as [&str; 0], "a copy was left");
}

#[test]
fn a_backup_is_closed_to_others_never_in_the_place_of_another_and_holds_no_clear_text() {
    let mut app = App::start();
    let mut admin = Client::admin(&app);
    put(&mut admin, "db", "a-value-in-the-clear");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b.strongroom-backup");
    let printed = create(&app, &file);
    assert!(printed.contains("opened by: key file\n") && printed.contains("Written to "), "{printed}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    let bytes = fs::read(&file).unwrap();
    let head = String::from_utf8_lossy(&bytes[..bytes.iter().position(|byte| *byte == 0).unwrap()]).into_owned();
    let lines: Vec<&str> = head.lines().collect();
    assert_eq!(lines[0], "strongroom-backup/v1");
    let manifest: Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!((&manifest["slots"], &manifest["slotsLeftOut"]), (&json!(["key file"]), &json!(0)));
    let database = bytes.windows(DATABASE.len()).position(|window| window == DATABASE).unwrap();
    assert_eq!(manifest["database"]["bytes"], bytes.len() - database);
    for clear in [&b"a-value-in-the-clear"[..], b"YS12YWx1ZS1pbi10aGUtY2xlYXI", app.token.as_bytes()] {
        assert!(!contains(&bytes, clear));
    }
    // Over a file that is there nothing is written, whether the server runs or not.
    let home = app.home().to_owned();
    let arguments = ["create", "-o", text(&file), "--home", text(&home)];
    assert!(backup(&arguments).not_done().contains("exists"));
    assert_eq!(app.stop(), Some(0));
    assert!(backup(&arguments).not_done().contains("exists"));
    assert_eq!(fs::read(&file).unwrap(), bytes);
    assert_eq!(names(folder.path()), ["b.strongroom-backup"]);
    // Without a server the same is made.
    let offline = folder.path().join("offline.strongroom-backup");
    backup(&["create", "-o", text(&offline), "--home", text(app.home())]).done();
    backup(&["verify", text(&offline), "--key-file", text(&key_of(app.home()))]).done();
}

#[test]
fn who_was_not_given_the_right_gets_none_and_one_is_made_at_a_time() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    put(&mut admin, "db", &"x".repeat(900_000));
    let mut nobody = signed_in(&mut admin, "nobody", &[]);
    let mut operator = signed_in(&mut admin, "operator", &[]);
    bind(&mut admin, "", "operator", "ClusterRole/system:strongroom:backup-operator", "User/operator");
    for (client, code) in [(&mut nobody, 403), (&mut operator, 200), (&mut admin.without_token(), 403)] {
        assert_eq!(client.send("POST", BACKUPS, &[], b"").unwrap().status, code);
        assert_eq!(client.get(BACKUPS).status, code);
    }
    assert_eq!(operator.get(super::SECRETS).status, 403, "a backup gives no right to read");
    // A client that reads the head of an answer and no more keeps the place.
    let mut slow = operator.connect().unwrap();
    slow.write(operator.head("POST", BACKUPS, &[("Content-Length", "0")]).as_bytes()).unwrap();
    let head = slow.head().unwrap();
    assert_eq!((head.status, head.header("content-type")), (200, Some("application/octet-stream")));
    assert!(head.header("content-disposition").unwrap().contains(".strongroom-backup"));
    let refused = admin.send("POST", BACKUPS, &[], b"").unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("5")), "{}", refused.text());
    drop(slow);
    let made = eventually(Duration::from_secs(30), || {
        Some(admin.send("POST", BACKUPS, &[], b"").unwrap()).filter(|answer| answer.status == 200)
    });
    assert!(made.is_some(), "the place is free again");
    for wrong in ["[]", "{", "{\"keepPassphraseSlots\":1}"] {
        assert_eq!(admin.typed("POST", BACKUPS, "application/json", wrong.as_bytes()).status, 400, "{wrong}");
    }
    assert_eq!(admin.json("PUT", BACKUPS, &json!({})).status, 405);
    // What was done is recorded.
    let log = fs::read_to_string(app.home().join("audit/audit-0000000001.jsonl")).unwrap();
    let recorded = |user: &str, code: u16| {
        log.lines().any(|line| {
            let event: Value = serde_json::from_str(line).unwrap();
            event["requestURI"] == BACKUPS
                && event["verb"] == "post"
                && event["user"]["username"] == user
                && event["responseStatus"]["code"] == code
        })
    };
    assert!(recorded("operator", 200) && recorded("nobody", 403) && recorded("admin", 429));
    assert!(names(&app.home().join(".backup-work")).is_empty());
}

/// Adds slots to a stopped home, as `strongroom keys slot add` does: one of a passphrase, one of a recovery key. Returns the
/// bytes of the first, and the recovery key as it is written.
fn add_slots(home: &std::path::Path) -> (Vec<u8>, SecretBytes) {
    let connection = rusqlite::Connection::open(home.join("strongroom.db")).unwrap();
    let store_id: Vec<u8> = connection.query_row("SELECT store_id FROM keys", [], |row| row.get(0)).unwrap();
    let store_id: [u8; 16] = store_id.try_into().unwrap();
    let slot: Vec<u8> = connection.query_row("SELECT slot FROM slots", [], |row| row.get(0)).unwrap();
    let line = fs::read_to_string(key_of(home)).unwrap();
    let key = {
        use base64::Engine as _;
        let encoded = line.trim().strip_prefix("strongroom-unlock-key-v1:").unwrap();
        base64::engine::general_purpose::STANDARD.decode(encoded).unwrap()
    };
    let limits = SlotLimits::default();
    let own = UnlockSecret::key(&SecretBytes::new(key)).unwrap();
    let root: RootKey = Slot::decode(&slot).unwrap().open(&own, store_id, &limits).unwrap();
    let cost = Argon2Cost::new(64 * 1024, 1, 1, &limits).unwrap();
    let passphrase = UnlockSecret::passphrase(SecretBytes::new(b"correct horse".to_vec())).unwrap();
    let guessable = Slot::make(SlotKind::Passphrase, 2, &passphrase, cost, store_id, &root).unwrap().encode();
    let recovery = SecretBytes::new(vec![0x5a; 32]);
    let secret = UnlockSecret::key(&recovery).unwrap();
    let of_recovery = Slot::make(SlotKind::Recovery, 3, &secret, cost, store_id, &root).unwrap().encode();
    for slot in [&guessable, &of_recovery] {
        connection.execute("INSERT INTO slots (slot) VALUES (?1)", [slot]).unwrap();
    }
    (guessable, recovery_text(&recovery).unwrap())
}

fn write_private(path: &std::path::Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test writes the recovery key down")]
fn slots_that_can_be_guessed_are_left_out_byte_for_byte_unless_they_are_to_be_kept() {
    let mut app = App::start();
    assert_eq!(app.stop(), Some(0));
    let (guessable, recovery) = add_slots(app.home());
    let app = App::start_in(app.kill(), &[]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let printed = create(&app, &path("without"));
    assert!(printed.contains("opened by: key file, recovery key (the passphrase's slot was left out)\n"), "{printed}");
    let printed =
        backup(&["create", "-o", text(&path("with")), "--keep-passphrase-slots", "--home", text(app.home())]).done();
    assert!(printed.contains("opened by: key file, passphrase, recovery key\n"), "{printed}");
    let salt = &guessable[24..40];
    for (name, is_there) in [("without", false), ("with", true)] {
        let bytes = fs::read(path(name)).unwrap();
        assert_eq!(contains(&bytes, &guessable), is_there, "{name}");
        assert_eq!(contains(&bytes, salt), is_there, "{name}");
    }
    // What is left opens it.
    write_private(&path("passphrase"), b"correct horse\n");
    write_private(&path("recovery"), recovery.expose());
    let passphrase_file = path("passphrase");
    let verify =
        |name: &str, option: &str, file: &str| backup(&["verify", text(&path(name)), option, text(&path(file))]);
    verify("with", "--passphrase-file", "passphrase").done();
    verify("with", "--recovery-key-file", "recovery").done();
    verify("without", "--recovery-key-file", "recovery").done();
    let error = verify("without", "--passphrase-file", "passphrase").not_done();
    assert!(error.contains("opened with a key file") && error.contains(text(&passphrase_file)), "{error}");
    write_private(&path("recovery"), b"not a recovery key");
    assert!(verify("without", "--recovery-key-file", "recovery").not_done().contains("holds no recovery key"));
}

#[test]
fn where_nothing_but_a_passphrase_opens_the_home_it_is_kept_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let passphrase = folder.path().join("passphrase");
    write_private(&passphrase, b"correct horse battery staple\n");
    let app = App::start_in(tempfile::tempdir().unwrap(), &["--passphrase-file", text(&passphrase)]);
    let file = folder.path().join("b");
    let made = backup(&["create", "-o", text(&file), "--home", text(app.home())]);
    assert!(made.stderr.contains("nothing but a passphrase opens the backup"), "{}", made.stderr);
    assert!(made.done().contains("opened by: passphrase\n"));
    backup(&["verify", text(&file), "--passphrase-file", text(&passphrase)]).done();
}

#[test]
fn a_change_anywhere_in_a_backup_is_named_and_another_key_changes_nothing() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    for number in 0..20 {
        put(&mut admin, &format!("s{number}"), "v");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b");
    create(&app, &file);
    let whole = fs::read(&file).unwrap();
    let key = key_of(app.home());
    let verify = |bytes: &[u8]| {
        let changed = folder.path().join("changed");
        fs::write(&changed, bytes).unwrap();
        backup(&["verify", text(&changed), "--key-file", text(&key)]).not_done()
    };
    let database = whole.windows(DATABASE.len()).position(|window| window == DATABASE).unwrap();
    for at in [database, database + 5000, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        assert!(verify(&changed).contains("its database is not the one that was written"), "{at}");
    }
    assert!(verify(&whole[..whole.len() - 1]).contains("cut off"));
    assert!(verify(&[&whole[..], b"x"].concat()).contains("added at the end"));
    assert!(verify(&whole[..database - 10]).contains("manifest is damaged"));
    assert!(verify(b"hello").contains("no backup of Strongroom's"));
    assert!(verify(&[b"strongroom-backup/v9\n", &whole[20..]].concat()).contains("newer release"));
    // A database and a manifest that agree, but not with the keys: made by hand from the true one.
    let connection_file = folder.path().join("db");
    fs::write(&connection_file, &whole[database..]).unwrap();
    let connection = rusqlite::Connection::open(&connection_file).unwrap();
    connection.execute("DELETE FROM versions WHERE name = 's7'", []).unwrap();
    drop(connection);
    let edited = fs::read(&connection_file).unwrap();
    let head = String::from_utf8(whole[..database].to_vec()).unwrap();
    let mut lines = head.lines();
    let (magic, manifest, tag) = (lines.next().unwrap(), lines.next().unwrap(), lines.next().unwrap());
    let mut manifest: Value = serde_json::from_str(manifest).unwrap();
    manifest["database"] = json!({"bytes": edited.len(), "sha256": sha256(&edited)});
    let forged = [format!("{magic}\n{manifest}\n{tag}\n").as_bytes(), &edited].concat();
    assert!(verify(&forged).contains("manifest was not written by the store whose keys these are"));
    // Another key.
    let other = folder.path().join("other");
    write_private(&other, &[9; 32]);
    let error = backup(&["verify", text(&file), "--key-file", text(&other)]).not_done();
    assert!(error.contains("does not open this home"), "{error}");
}

#[test]
fn a_row_that_was_damaged_before_the_backup_is_named_by_it_and_not_restored() {
    let mut app = App::start();
    let mut admin = Client::admin(&app);
    for name in ["one", "other"] {
        put(&mut admin, name, "v");
    }
    assert_eq!(app.stop(), Some(0));
    let home = app.home().to_owned();
    let key = key_of(&home);
    let folder = tempfile::tempdir().unwrap();
    let change = |name: &str, statement: &str| {
        let connection = rusqlite::Connection::open(home.join("strongroom.db")).unwrap();
        assert_eq!(connection.execute(statement, []).unwrap(), 1);
        drop(connection);
        let file = folder.path().join(name);
        backup(&["create", "-o", text(&file), "--home", text(&home)]).done();
        let error = backup(&["verify", text(&file), "--key-file", text(&key)]).not_done();
        let empty = folder.path().join(format!("{name}-home"));
        let refused = backup(&["restore", text(&file), "--home", text(&empty), "--key-file", text(&key)]).not_done();
        assert_eq!(refused, error);
        assert!(!empty.join("strongroom.db").exists());
        error
    };
    let error = change("edited", "UPDATE versions SET data = CAST(data || x'00' AS BLOB) WHERE name = 'one'");
    assert!(error.contains("not as it was written") && error.contains("\"one\""), "{error}");
    let error = change("removed", "DELETE FROM versions WHERE name = 'other'");
    assert!(error.contains("1 secrets, and the head says 2") && error.contains("of the 1,024 buckets"), "{error}");
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(bytes))
}

#[test]
fn the_folder_that_a_backup_is_checked_in_is_closed_to_others_and_gone_afterwards() {
    let app = App::start();
    let folder = tempfile::tempdir().unwrap();
    let (file, work) = (folder.path().join("b"), folder.path().join("work"));
    create(&app, &file);
    fs::create_dir(&work).unwrap();
    let key = key_of(app.home());
    ended(command(&["verify", text(&file), "--key-file", text(&key)]).env("TMPDIR", &work)).done();
    assert!(names(&work).is_empty());
    fs::write(folder.path().join("wrong"), b"x").unwrap();
    let wrong = folder.path().join("wrong");
    ended(command(&["verify", text(&wrong), "--key-file", text(&key)]).env("TMPDIR", &work)).not_done();
    assert!(names(&work).is_empty());
}

#[test]
fn a_check_that_waits_for_what_it_reads_ends_at_a_signal_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (pipe, work) = (folder.path().join("pipe"), folder.path().join("work"));
    fs::create_dir(&work).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Held open, so that the reader waits for what is never written.
    let _writer = fs::File::options().read(true).write(true).open(&pipe).unwrap();
    let mut checking = command(&["verify", text(&pipe), "--key-file", "/nonexistent"]);
    let mut checking = checking.env("TMPDIR", &work).stderr(std::process::Stdio::piped()).spawn().unwrap();
    // It works in a folder, and heeds SIGTERM (proc_pid_status(5)).
    let status = format!("/proc/{}/status", checking.id());
    let heeds = || {
        let text = fs::read_to_string(&status).ok()?;
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        let caught = u64::from_str_radix(caught.trim(), 16).ok()?;
        (caught & (1 << 14) != 0 && !names(&work).is_empty()).then_some(())
    };
    assert!(eventually(super::LIMIT, heeds).is_some());
    let pid = rustix::process::Pid::from_child(&checking);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let ended = eventually(super::LIMIT, || checking.try_wait().unwrap());
    assert_eq!(ended.and_then(|status| status.code()), Some(1));
    assert!(names(&work).is_empty(), "{:?}", names(&work));
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_leaves_no_half_a_backup() {
    let app = App::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b");
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -f 100; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_strongroom"), "backup", "create"]);
    limited.args(["-o", text(&file), "--home", text(app.home())]);
    let refused = ended(&mut limited).not_done();
    assert!(refused.contains(text(&file)) && refused.contains("too large"), "{refused}");
    assert!(names(folder.path()).is_empty(), "{:?}", names(folder.path()));
}

#[test]
fn a_backup_for_age_recipients_is_read_with_their_identity_alone() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    put(&mut admin, "db", "v");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut random = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|_| strongroom::export::NoRandomness);
    let own = strongroom::export::Identity::make(&mut random).unwrap();
    let other = strongroom::export::Identity::make(&mut random).unwrap();
    fs::write(path("own"), format!("# a comment\n{}\n", *own.reveal())).unwrap();
    fs::write(path("other"), &*other.reveal()).unwrap();
    let (recipient, home) = (own.recipient().to_string(), app.home().to_owned());
    let file = path("b.strongroom-backup.age");
    backup(&["create", "-o", text(&file), "--recipient", &recipient, "--home", text(&home)]).done();
    let bytes = fs::read(&file).unwrap();
    assert!(bytes.starts_with(b"age-encryption.org/v1\n") && !contains(&bytes, DATABASE));
    let key = key_of(&home);
    let verify = |more: &[&str]| {
        let arguments = [&["verify", text(&file), "--key-file", text(&key)], more].concat();
        backup(&arguments)
    };
    verify(&["--identity", text(&path("own"))]).done();
    assert!(verify(&[]).not_done().contains("give an identity with --identity"));
    assert!(verify(&["--identity", text(&path("other"))]).not_done().contains("none of the identities"));
    let wrong = backup(&["create", "-o", text(&path("c")), "--recipient", "age1x", "--home", text(&home)]).not_done();
    assert!(wrong.contains("not an age recipient"), "{wrong}");
    assert!(!path("c").exists());
    // The reference implementation's library, where the machine has it.
    let Some(python) = crate::support::clients::find("STRONGROOM_TEST_PYTHON", &["python3"]) else { return };
    let script = "import sys, pyrage\n\
                  identity = pyrage.x25519.Identity.from_str(open(sys.argv[2]).read().split()[-1])\n\
                  sys.stdout.buffer.write(pyrage.decrypt(open(sys.argv[1], 'rb').read(), [identity]))\n";
    let mut reader = std::process::Command::new(python);
    let output = reader.args(["-c", script, text(&file), text(&path("own"))]).output().unwrap();
    if String::from_utf8_lossy(&output.stderr).contains("No module named 'pyrage'") {
        crate::support::clients::missing("there is no pyrage to decrypt a backup with");
        return;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::write(path("decrypted"), &output.stdout).unwrap();
    backup(&["verify", text(&path("decrypted")), "--key-file", text(&key)]).done();
}

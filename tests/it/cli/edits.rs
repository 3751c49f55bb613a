//! `strongroom secret edit` against the real server, with shell scripts for editors.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use super::secrets::Place;
use crate::support::clients;
use crate::support::person::Ended;

impl Place {
    /// `secret edit` with a shell script for an editor, which finds the draft in `$1`. The place for drafts is empty
    /// afterwards.
    fn edit(&self, script: &str) -> Ended {
        let drafts = self.drafts();
        let ended = Ended::of(&mut self.edit_command(script), "");
        assert_eq!(std::fs::read_dir(drafts).unwrap().count(), 0, "a draft is left behind");
        ended
    }

    fn drafts(&self) -> std::path::PathBuf {
        let drafts = self.person.at("drafts");
        std::fs::create_dir_all(&drafts).unwrap();
        drafts
    }

    fn edit_command(&self, script: &str) -> Command {
        let editor = self.person.file("editor", &format!("#!/bin/sh\nset -e\n{script}\n"));
        std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = self.command(&["edit", "prod/db"]);
        command.env("EDITOR", editor).env("XDG_RUNTIME_DIR", self.drafts());
        command.env("STRONGROOM", env!("CARGO_BIN_EXE_strongroom")).env("ROOM", self.app.home());
        command
    }
}

/// Without the warning of a place on a disk, which the tests' own folder may be.
fn without_disk(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("warning: there is no place in memory for the draft"));
    lines.map(|line| line.to_owned() + "\n").collect::<Vec<_>>().concat()
}

#[test]
fn a_draft_shows_text_and_only_what_was_edited_is_written() {
    let mut place = Place::new();
    place.make("db", &json!({"user": "ada", "pem": "a\nb\n"}));
    let looked = place.edit("ls -ld $(dirname \"$1\") \"$1\" | cut -c1-10 > ~/modes; cp \"$1\" ~/seen");
    assert!(looked.stderr.contains("nothing was changed: the draft was saved as it was"), "{}", looked.stderr);
    let modes = std::fs::read_to_string(place.person.at("modes")).unwrap();
    assert_eq!(modes, "drwx------\n-rw-------\n");
    let seen = std::fs::read_to_string(place.person.at("seen")).unwrap();
    assert!(seen.contains("stringData:\n  pem: |\n    a\n    b\n  user: ada\n"), "{seen}");
    let version = place.secret("db")["metadata"]["resourceVersion"].clone();
    // Another writes another key meanwhile: it survives, and the draft is offered again.
    let script =
        "\"$STRONGROOM\" secret set prod/db other=1 --home \"$ROOM\" 2>/dev/null >&2\nsed -i 's/: ada/: eve/' \"$1\"";
    let edited = place.edit(script);
    assert_eq!(edited.stdout, "secret/db changed\n", "{}", edited.stderr);
    assert!(
        edited.stderr.contains("prod/db was changed by somebody else meanwhile: other. Save this"),
        "{}",
        edited.stderr
    );
    assert_eq!(place.values("db"), json!({"user": "eve", "pem": "a\nb\n", "other": "1"}));
    assert_ne!(place.secret("db")["metadata"]["resourceVersion"], version);
    // What is taken away, and what is new.
    place.edit("sed -i -e '/^  other:/d' -e 's/^  user: eve/  user: eve\\n  port: \"5432\"/' \"$1\"").done();
    assert_eq!(place.values("db"), json!({"user": "eve", "pem": "a\nb\n", "port": "5432"}));
    let emptied = place.edit("printf '# no\\n' > \"$1\"");
    assert!(emptied.code == 0 && emptied.stderr.contains("the draft was emptied"), "{}", emptied.stderr);
}

#[test]
fn a_draft_that_is_wrong_is_offered_again_with_the_reason() {
    let mut place = Place::new();
    place.make("db", &json!({"user": "ada"}));
    // Wrong at first, mended at the second offer, where the first text still is.
    let script = "n=$(cat ~/n 2>/dev/null || echo 0); echo $((n+1)) > ~/n\ncp \"$1\" ~/offer-$n\n\
                  case $n in 0) sed -i 's/user: ada/user: [eve/' \"$1\";; *) sed -i 's/\\[eve/eve/' \"$1\";; esac";
    assert_eq!(place.edit(script).done(), "secret/db changed\n");
    let second = std::fs::read_to_string(place.person.at("offer-1")).unwrap();
    assert!(second.starts_with("# ! yaml: line ") && second.contains("user: [eve"), "{second}");
    assert_eq!(place.values("db"), json!({"user": "eve"}));
    // Given up, nothing is changed, and it is told why.
    let script = "sed -i 's/user: eve/user: [mallory/' \"$1\"";
    let error = without_disk(&place.edit(script).not_done());
    assert!(error.starts_with("strongroom: nothing was changed: yaml: line ") && !error.contains("mallory"), "{error}");
    // What the server refuses is offered again too.
    let script = "grep -q more: \"$1\" || sed -i -e 's/^  user: eve/  user: eve\\n  more: x/' -e 's/^metadata:/metadata:\\n  labels: {\"a b\": c}/' \"$1\"";
    let error = place.edit(script).not_done();
    assert!(error.contains("Error from server (Invalid)"), "{error}");
    assert_eq!(place.values("db"), json!({"user": "eve"}));
}

#[test]
fn nothing_is_changed_where_the_editor_fails_and_the_draft_is_wiped_on_a_signal() {
    let mut place = Place::new();
    place.make("db", &json!({"user": "ada"}));
    let error = without_disk(&place.edit("sed -i 's/ada/eve/' \"$1\"; exit 3").not_done());
    assert_eq!(error, "strongroom: the editor failed (exit status: 3): nothing was changed\n");
    let mut command = place.edit_command("");
    let error = Ended::of(command.env("EDITOR", "/nowhere/editor"), "").not_done();
    assert!(error.contains("the editor /nowhere/editor cannot be run"), "{error}");
    for (signal, code) in [("-TERM", 143), ("-INT", 130), ("-HUP", 129)] {
        let marker = place.person.at("marker");
        let _ = std::fs::remove_file(&marker);
        let mut command = place.edit_command("sed -i 's/ada/eve/' \"$1\"; echo > ~/marker; exec sleep 60");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        clients::eventually(Duration::from_mins(1), || marker.exists().then_some(())).unwrap();
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let status = clients::wait(&mut child, Duration::from_mins(1)).expect("edit does not end");
        assert_eq!(status.code(), Some(code), "{signal}");
        assert_eq!(std::fs::read_dir(place.drafts()).unwrap().count(), 0, "{signal}: a draft is left behind");
    }
    assert_eq!(place.values("db"), json!({"user": "ada"}));
}

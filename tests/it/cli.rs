//! The command line, as its own help tells it: `tests/it/cli.txt` is the reference, and changes in a reviewed way.

mod doctor;
mod edits;
mod journey;
mod progress;
mod requests;
mod secrets;
mod sessions;

use std::path::Path;
use std::process::Command;

const COMMANDS: [&[&str]; 87] = [
    &[],
    &["serve"],
    &["healthcheck"],
    &["seal"],
    &["unseal"],
    &["login"],
    &["logout"],
    &["whoami"],
    &["user"],
    &["user", "create"],
    &["user", "passwd"],
    &["user", "disable"],
    &["user", "enable"],
    &["user", "delete"],
    &["user", "list"],
    &["user", "certificate"],
    &["user", "revoke-certificate"],
    &["token"],
    &["token", "create"],
    &["access"],
    &["access", "explain"],
    &["access", "who-can"],
    &["access", "unused"],
    &["export"],
    &["import"],
    &["secret"],
    &["secret", "get"],
    &["secret", "list"],
    &["secret", "describe"],
    &["secret", "set"],
    &["secret", "unset"],
    &["secret", "edit"],
    &["secret", "generate"],
    &["secret", "copy"],
    &["secret", "rename"],
    &["secret", "delete"],
    &["secret", "inspect"],
    &["secret", "expiring"],
    &["secret", "history"],
    &["secret", "diff"],
    &["secret", "rollback"],
    &["secret", "destroy"],
    &["run"],
    &["mount"],
    &["credentials"],
    &["scan"],
    &["sync"],
    &["sync", "run"],
    &["sync", "plan"],
    &["sync", "status"],
    &["cluster"],
    &["cluster", "rbac"],
    &["kms"],
    &["kms", "serve"],
    &["kms", "config"],
    &["kms", "rotate"],
    &["kms", "report"],
    &["kms", "retire"],
    &["kms", "check"],
    &["audit"],
    &["audit", "tail"],
    &["audit", "query"],
    &["audit", "verify"],
    &["backup"],
    &["backup", "create"],
    &["backup", "verify"],
    &["backup", "restore"],
    &["backup", "schedule"],
    &["credential"],
    &["keys"],
    &["keys", "status"],
    &["keys", "rotate"],
    &["keys", "rotate", "data"],
    &["keys", "rotate", "root"],
    &["keys", "slot"],
    &["keys", "slot", "add"],
    &["keys", "slot", "remove"],
    &["keys", "set-passphrase"],
    &["keys", "recovery-key"],
    &["keys", "harden"],
    &["admin"],
    &["admin", "rotate"],
    &["admin", "rotate-signing-keys"],
    &["admin", "ca-pin"],
    &["verify"],
    &["doctor"],
    &["completion"],
];

#[test]
fn the_reference_is_what_help_prints() {
    let mut printed = String::new();
    for command in COMMANDS {
        let output = Command::new(env!("CARGO_BIN_EXE_strongroom")).args(command).arg("--help").output().unwrap();
        assert!(output.status.success());
        let name = [&["strongroom"], command].concat().join(" ");
        let help = String::from_utf8(output.stdout).unwrap();
        printed.push_str(&["$ ", &name, " --help\n", help.trim_end(), "\n\n"].concat());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cli.txt");
    if std::env::var_os("STRONGROOM_ACCEPT").is_some() {
        std::fs::write(&path, &printed).unwrap();
    }
    let reference = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(printed, reference, "run the test with STRONGROOM_ACCEPT=1, then look at the difference");
}

#[test]
fn the_reference_in_the_repository_is_what_the_commands_say() {
    let output = Command::new(env!("CARGO_BIN_EXE_strongroom")).args(["reference", "markdown"]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    for command in COMMANDS {
        let name = [&["strongroom"], command].concat().join(" ");
        assert!(printed.contains(&format!("\n## {name}\n")), "{name} is missing");
    }
    assert_eq!(printed.matches("\n## ").count(), COMMANDS.len(), "a command is not in COMMANDS");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("COMMANDS.md");
    if std::env::var_os("STRONGROOM_ACCEPT").is_some() {
        std::fs::write(&path, &printed).unwrap();
    }
    let reference = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(printed == reference, "COMMANDS.md: run the test with STRONGROOM_ACCEPT=1, then look at the difference");
}

#[test]
fn every_command_has_a_man_page_that_is_well_formed() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_strongroom")).args(["reference", "man"]).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let pages: Vec<_> = COMMANDS
        .iter()
        .map(|command| folder.path().join([&["strongroom"], *command].concat().join("-") + ".1"))
        .collect();
    for page in &pages {
        let text = std::fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{}", page.display());
    }
    let Ok(checked) = Command::new("groff").args(["-Kutf8", "-man", "-ww", "-z", "-Tutf8"]).args(&pages).output()
    else {
        crate::support::clients::left_out("there is no groff to read the man pages with");
        return;
    };
    assert!(checked.status.success() && checked.stderr.is_empty(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn a_wrong_command_line_is_told_from_a_failure() {
    let code = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_strongroom")).args(arguments).output().unwrap();
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
        output.status.code()
    };
    assert_eq!(code(&["serve", "--listen", "nowhere"]), Some(2));
    assert_eq!(code(&["serve", "--passphrase", "secret"]), Some(2));
    assert_eq!(code(&["healthcheck", "--home", "/nowhere"]), Some(1));
}

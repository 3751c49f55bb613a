//! A pre-commit hook that scans what is about to be committed.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::files::git;
use crate::cli::CliError;
use crate::cli::output::print;

const MARK: &str = "# Installed by `strongroom scan --install-hook`.";
const WHY: &str = "# A commit is refused while a secret is in it; `git commit --no-verify` leaves this out.";

/// Puts the hook where Git looks for it (`core.hooksPath` counts). It scans with these options.
pub fn install(force: bool, options: &[String]) -> Result<(), CliError> {
    let folder = String::from_utf8(git(&["rev-parse", "--git-path", "hooks"])?).unwrap_or_default();
    let folder = PathBuf::from(folder.trim_end_matches('\n'));
    let hook = folder.join("pre-commit");
    let fail = |error: std::io::Error| CliError::NotDone(format!("{}: {error}", hook.display()));
    if let Ok(there) = std::fs::read_to_string(&hook)
        && !there.contains(MARK)
        && !force
    {
        return Err(CliError::NotDone(format!(
            "{} is there already: add `strongroom scan --staged` to it, or write over it with --force",
            hook.display()
        )));
    }
    let command: String = options
        .iter()
        .fold("exec strongroom scan --staged".to_owned(), |command, option| command + " " + &quoted(option));
    std::fs::create_dir_all(&folder).map_err(fail)?;
    // Whole or not at all: Git may be run at any time.
    let new = folder.join(format!(".pre-commit.{}", std::process::id()));
    let mut file = File::create(&new).map_err(fail)?;
    file.write_all(format!("#!/bin/sh\n{MARK}\n{WHY}\n{command}\n").as_bytes()).map_err(fail)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o755)).map_err(fail)?;
    std::fs::rename(&new, &hook).map_err(fail)?;
    print(&format!("{} is installed\n", hook.display()));
    Ok(())
}

/// As a POSIX shell takes it for one word.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@,=+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_stays_one_word() {
        for (word, expected) in
            [("--namespace", "--namespace"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("", "''"), ("$x", "'$x'")]
        {
            assert_eq!(quoted(word), expected);
        }
    }
}

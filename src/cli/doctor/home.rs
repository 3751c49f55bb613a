//! The home: who may read it, and where its key is.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Finding;
use crate::cli::connection::ConnectionOptions;
use crate::config::{Environment, HomePaths};

/// Files that are named; more are counted.
const NAMED_MAX: usize = 3;
const DEPTH_MAX: usize = 4;

pub fn look(options: &ConnectionOptions, environment: &Environment) -> Vec<Finding> {
    let paths = match HomePaths::resolve(options.home(), environment) {
        Ok(paths) => paths,
        Err(error) => return vec![Finding::fail("home", error.to_string(), "set HOME, or give --home")],
    };
    let root = paths.root();
    let shown = root.display();
    let found = match fs::symlink_metadata(root) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let text = format!("there is none in {shown}: this machine is a client");
            return vec![Finding::ok("home", text)];
        }
        Err(error) => return vec![Finding::fail("home", format!("{shown}: {error}"), "run this as the home's owner")],
    };
    let user = rustix::process::geteuid().as_raw();
    let mut findings = vec![if found.uid() != user {
        Finding::fail(
            "home",
            format!("{shown} belongs to user id {}, and you are {user}", found.uid()),
            "run strongroom as that user",
        )
    } else if found.mode() & 0o077 != 0 {
        Finding::fail(
            "home",
            format!("others may enter {shown} (mode {:04o})", found.mode() & 0o7777),
            format!("chmod 700 {shown}"),
        )
    } else {
        Finding::ok("home", format!("{shown}, which only you may enter"))
    }];
    let mut open = Vec::new();
    others_may(root, user, 0, &mut open);
    findings.push(match open.as_slice() {
        [] => Finding::ok("files", "all of the home are yours alone"),
        open => {
            let named: Vec<String> = open.iter().take(NAMED_MAX).map(|path| path.display().to_string()).collect();
            let more = open.len().saturating_sub(NAMED_MAX);
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            Finding::fail(
                "files",
                format!("others have rights on {}{more}, or own them", named.join(", ")),
                format!("chmod -R go= {shown}, and chown what is not yours"),
            )
        }
    });
    findings.push(key(&paths, &found, environment));
    findings
}

/// What below a folder others have rights on. The client authority's certificate is public, but no more open than the rest.
fn others_may(folder: &Path, user: u32, depth: usize, open: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(found) = fs::symlink_metadata(entry.path()) else { continue };
        if found.is_symlink() {
            continue;
        }
        if found.mode() & 0o077 != 0 || found.uid() != user {
            open.push(entry.path());
        }
        if found.is_dir() && depth < DEPTH_MAX {
            others_may(&entry.path(), user, depth + 1, open);
        }
    }
}

/// A copy of the disk is a copy of all that is on it.
fn key(paths: &HomePaths, home: &fs::Metadata, environment: &Environment) -> Finding {
    let file = environment.path("STRONGROOM_KEY_FILE").unwrap_or_else(|| paths.default_key_file().to_owned());
    let shown = file.display();
    let advice = "keep it on another disk (--key-file), or unlock with a passphrase or a systemd credential";
    match fs::metadata(&file) {
        Err(_) => Finding::ok("key", format!("no key file in {shown}: a passphrase or a credential unlocks the home")),
        Ok(_) if file.starts_with(paths.root()) => {
            Finding::warn("key", format!("{shown} lies in the home: a copy of the home is a copy of both"), advice)
        }
        Ok(found) if found.dev() == home.dev() => Finding::warn(
            "key",
            format!("{shown} is on the disk that the home is on: who has the disk has both"),
            advice,
        ),
        Ok(_) => Finding::ok("key", format!("{shown}, on another disk than the home")),
    }
}

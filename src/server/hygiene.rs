//! What the process forbids itself before it touches a secret: readable files, core dumps, debuggers, talkative panics.
//!
//! What it never does: fail a start because a platform lacks one of them; it says so in the log instead.

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};

/// Files that are open besides connections: the database, its readers, logs, libraries.
const FILES_BESIDES_CONNECTIONS: u64 = 256;

/// Call first, while there is one thread. Files are made 0600, no core is written, no other process of the same user
/// may read this one's memory, and a panic is logged by its place only, since its message may quote a value.
pub fn apply(connections: usize) {
    umask(Mode::RWXG | Mode::RWXO);
    report("core dumps", setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }));
    #[cfg(target_os = "linux")]
    report("debuggers", rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable));
    raise_open_files(connections);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        tracing::error!(panic.location = %place, "a panic was caught; its message is withheld");
    }));
}

fn report(what: &str, outcome: rustix::io::Result<()>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "{what} could not be switched off");
    }
}

/// A login shell allows 1,024 open files, which is fewer than the connections that are allowed.
fn raise_open_files(connections: usize) {
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(FILES_BESIDES_CONNECTIONS);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let reachable = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(reachable), maximum: limit.maximum });
    if raised.is_err() || reachable < wanted {
        tracing::warn!(
            limit.open_files = reachable,
            limit.connections = connections,
            "the open-file limit is lower than the connection limit: raise it (ulimit -n) or lower --max-connections"
        );
    }
}

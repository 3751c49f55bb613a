//! What the process forbids itself before it touches a secret: readable files, core dumps, debuggers, swap, talkative
//! panics.
//!
//! What it never does: fail a start because a platform lacks one of them; it says so in the log instead.

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};

/// Files that are open besides connections: the database, its readers, logs, libraries.
const FILES_BESIDES_CONNECTIONS: u64 = 256;

/// Call first, while there is one thread and no secret. Files are made 0600, no core is written, no other process of
/// the same user may read this one's memory, memory stays out of swap where that is allowed, and a panic is logged by
/// its place only, since its message may quote a value.
///
/// What is returned is how it was, for a program that this process turns into, or starts.
pub fn harden() -> Former {
    let core = getrlimit(Resource::Core);
    let former = Former { umask: umask(Mode::RWXG | Mode::RWXO), core };
    let maximum = former.core.maximum;
    report("core dumps", setrlimit(Resource::Core, Rlimit { current: Some(0), maximum }));
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        report("debuggers", set_dumpable_behavior(DumpableBehavior::NotDumpable));
        if may_lock_memory() {
            report("swap", lock_memory());
        }
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        tracing::error!(panic.location = %place, "a panic was caught; its message is withheld");
    }));
    former
}

/// What [`harden`] found.
pub struct Former {
    umask: Mode,
    core: Rlimit,
}

impl Former {
    /// Sets what another program inherits back to how it was: what it keeps in memory is its own affair.
    pub fn give_back(&self) {
        umask(self.umask);
        self.limit_core(self.core.current);
    }

    /// The same for as long as `start` takes. Call while there is one thread.
    pub fn lend<T>(&self, start: impl FnOnce() -> T) -> T {
        self.give_back();
        let started = start();
        umask(Mode::RWXG | Mode::RWXO);
        self.limit_core(Some(0));
        started
    }

    fn limit_core(&self, current: Option<u64>) {
        report("core dumps", setrlimit(Resource::Core, Rlimit { current, maximum: self.core.maximum }));
    }
}

/// What a server needs besides: room for its connections, no core for good, and a word where memory may reach a disk.
pub fn prepare_to_serve(connections: usize) {
    raise_open_files(connections);
    // A server starts nobody that would want it back: nor may another process of the user raise it.
    report("core dumps", setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }));
    #[cfg(target_os = "linux")]
    if !may_lock_memory() && lists_swap(&std::fs::read_to_string("/proc/swaps").unwrap_or_default()) {
        tracing::info!(
            "memory with secrets in it may be swapped to a disk: `ulimit -l unlimited` (systemd: LimitMEMLOCK=infinity) \
             keeps it out"
        );
    }
}

fn report(what: &str, outcome: rustix::io::Result<()>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "{what} could not be switched off");
    }
}

/// Below a limit, whatever is allocated beyond it would fail and end the process. So it is all or nothing.
#[cfg(target_os = "linux")]
fn may_lock_memory() -> bool {
    getrlimit(Resource::Memlock).current.is_none()
}

/// Pages are locked as they are first used: locking reserved ones too would bring all of them into memory.
#[cfg(target_os = "linux")]
fn lock_memory() -> rustix::io::Result<()> {
    use rustix::mm::{MlockAllFlags, mlockall};
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)
}

/// Whether `/proc/swaps` names anything below its heading.
#[cfg(target_os = "linux")]
fn lists_swap(table: &str) -> bool {
    table.lines().skip(1).any(|line| !line.trim().is_empty())
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_heading_alone_is_no_swap() {
        let heading = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        assert!(!lists_swap(heading) && !lists_swap(""));
        assert!(lists_swap(&format!("{heading}/dev/sda2   partition  2097148  0  -2\n")));
    }
}

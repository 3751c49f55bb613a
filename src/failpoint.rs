//! Places at which a test can have the process killed: `STRONGROOM_FAILPOINT=NAME` ends it with SIGKILL when it gets there,
//! `NAME:3` the third time. Builds with debug assertions only; in a release build there is nothing here.
//!
//! Names are `what.where`: `keys.before-commit`. The tests list those that there are (`tests/it/faults`).

/// The process is here.
#[cfg(debug_assertions)]
pub fn reached(name: &str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static WANTED: LazyLock<Option<(String, AtomicU64)>> = LazyLock::new(|| {
        let given = std::env::var("STRONGROOM_FAILPOINT").ok()?;
        let (name, count) = given.split_once(':').unwrap_or((&given, "1"));
        Some((name.to_owned(), AtomicU64::new(count.parse().ok()?)))
    });
    let Some((wanted, left)) = &*WANTED else { return };
    if wanted == name && left.fetch_sub(1, Ordering::Relaxed) == 1 {
        // As a crash would, and not as an exit: nothing is flushed, dropped or told.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// The process is here.
#[cfg(not(debug_assertions))]
pub fn reached(_: &str) {}

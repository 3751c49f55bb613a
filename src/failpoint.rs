//! Places at which a test can have the process killed: `STRONGROOM_FAILPOINT=NAME` ends it with SIGKILL when it gets there,
//! `NAME:3` the third time. Builds with debug assertions only; in a release build there is nothing here.
//!
//! Names are `what.where`: `keys.before-commit`. The tests list those that there are (`tests/it/faults`).
//!
//! `STRONGROOM_TEST_HOLD` names a file: as long as it is there, the opening of a store goes on no further.
//!
//! A clock that is wrong: `STRONGROOM_TEST_CLOCK` names a file that says `offset SECONDS` or `fixed SECONDS`, and may say
//! something else at any time. A file that says neither leaves the time as it is.
//!
//! And the next release's migration: `STRONGROOM_TEST_MIGRATION` names a file with its statements.

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

/// Waits while a test holds up the opening of a store. Blocks.
#[cfg(debug_assertions)]
pub fn hold() {
    let Some(file) = std::env::var_os("STRONGROOM_TEST_HOLD").map(std::path::PathBuf::from) else { return };
    while file.exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Nobody holds anything up.
#[cfg(not(debug_assertions))]
pub fn hold() {}

/// What the clock says instead of `now` (milliseconds since the Unix epoch).
#[cfg(debug_assertions)]
pub fn clock(now: i64) -> i64 {
    use std::path::PathBuf;
    use std::sync::LazyLock;

    static FILE: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| std::env::var_os("STRONGROOM_TEST_CLOCK").map(PathBuf::from));
    let told = || -> Option<i64> {
        let text = std::fs::read_to_string(FILE.as_ref()?).ok()?;
        let (how, seconds) = text.trim().split_once(' ')?;
        let millis = seconds.parse::<i64>().ok()?.checked_mul(1000)?;
        match how {
            "offset" => now.checked_add(millis),
            "fixed" => Some(millis),
            _ => None,
        }
    };
    told().unwrap_or(now)
}

/// What the clock says.
#[cfg(not(debug_assertions))]
pub fn clock(now: i64) -> i64 {
    now
}

/// The statements of a migration that this release does not have.
#[cfg(debug_assertions)]
pub fn next_migration() -> Option<String> {
    std::fs::read_to_string(std::env::var_os("STRONGROOM_TEST_MIGRATION")?).ok()
}

/// None.
#[cfg(not(debug_assertions))]
pub fn next_migration() -> Option<String> {
    None
}

//! Where the genuine clients are that tests drive: named by a variable, or on PATH.
//!
//! Where one is missing the test says so and is left out; in CI it fails, so that nothing is left out there unseen.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The program that `variable` names, else the first of `names` on PATH; it must answer `--version` or `version`.
pub fn find(variable: &str, names: &[&str]) -> Option<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from);
    let candidates = named.into_iter().chain(names.iter().map(PathBuf::from));
    let found = candidates.into_iter().find(|program| answers(program.as_os_str())).map(|program| on_path(&program));
    if found.is_none() {
        missing(&format!("none of {names:?} runs, and {variable} names none that does"));
    }
    found
}

/// Says, past the capture of the test harness, that a test is left out; in CI that is a failure.
pub fn missing(what: &str) {
    let text = format!("LEFT OUT: {what}. Get the genuine clients with: eval \"$(.ci/clients)\"");
    assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "{text}");
    let _ = writeln!(std::io::stderr(), "\n{text}");
}

/// Says, past the capture of the test harness, that a test is left out, in CI too: not every machine can have what it takes.
pub fn left_out(why: &str) {
    let _ = writeln!(std::io::stderr(), "\nLEFT OUT: {why}");
}

/// Says, past the capture of the test harness and once, what the tests drive.
pub fn drives(what: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if SAID.lock().unwrap().insert(what.to_owned()) {
        let _ = writeln!(std::io::stderr(), "drives {what}");
    }
}

/// The file that a bare name means on PATH.
pub fn on_path(program: &Path) -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap();
    let mut candidates = std::env::split_paths(&folders).map(|folder| folder.join(program));
    candidates.find(|candidate| candidate.is_file()).unwrap_or_else(|| program.to_owned())
}

fn answers(program: &OsStr) -> bool {
    Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs to the end, or kills what takes longer than `limit`.
pub fn run(command: &mut Command, input: &[u8], limit: Duration) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = drain(child.stdout.take().unwrap());
    let stderr = drain(child.stderr.take().unwrap());
    // A program that does not read its input closes it.
    let _ = child.stdin.take().unwrap().write_all(input);
    let status = wait(&mut child, limit);
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    let text = || format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    let status = status.unwrap_or_else(|| panic!("{command:?} did not end within {limit:?}: {}", text()));
    Output { status, stdout, stderr }
}

fn drain(mut pipe: impl std::io::Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// The exit status, or `None` for a process that had to be killed.
pub fn wait(child: &mut Child, limit: Duration) -> Option<std::process::ExitStatus> {
    let ended = eventually(limit, || child.try_wait().unwrap());
    if ended.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    ended
}

/// Asks again and again until there is an answer; `None` once `limit` is over.
pub fn eventually<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= until {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Bytes as a pipe delivers them, for a reader that wants lines while the process runs.
pub fn lines(pipe: impl std::io::Read + Send + 'static) -> std::sync::mpsc::Receiver<String> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        use std::io::BufRead as _;
        for line in std::io::BufReader::new(pipe.take(64 << 20)).lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

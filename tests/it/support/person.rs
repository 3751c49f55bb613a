//! A person at a machine: a home directory, and `strongroom` run in it with an empty environment.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::clients;

const LIMIT: Duration = Duration::from_mins(1);

/// Whoever sits there.
pub struct Person {
    home: tempfile::TempDir,
}

/// How a command ended.
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Person {
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    /// The home directory.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.at(".kube/config")
    }

    /// Where tokens are kept.
    pub fn credentials(&self) -> PathBuf {
        self.at(".cache/strongroom/credentials")
    }

    /// Puts a file there; its path.
    pub fn file(&self, name: &str, content: &str) -> String {
        std::fs::write(self.at(name), content).unwrap();
        self.at(name).to_str().unwrap().to_owned()
    }

    /// `strongroom` with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.program(env!("CARGO_BIN_EXE_strongroom"), arguments)
    }

    /// The same with all signals as they are by default: what runs in the background, or under nohup, has some ignored, and
    /// all that it starts as well.
    pub fn signalled(&self, arguments: &[&str]) -> Command {
        self.program("env", &[&["--default-signal", env!("CARGO_BIN_EXE_strongroom")], arguments].concat())
    }

    /// Another program in the same surroundings.
    pub fn program(&self, program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", self.home.path()).current_dir(self.home.path());
        command
    }

    /// Runs `strongroom` to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.feed(arguments, "")
    }

    /// Runs `strongroom` at a terminal of its own, where each question gets its answer. What the terminal showed; `None`
    /// without a Python to do it.
    pub fn type_at(&self, arguments: &[&str], answers: &[(&str, &str)]) -> Option<Ended> {
        self.type_at_a(None, arguments, answers)
    }

    /// The same at a terminal of a kind (`TERM`).
    pub fn type_at_a(&self, kind: Option<&str>, arguments: &[&str], answers: &[(&str, &str)]) -> Option<Ended> {
        let python = clients::find("STRONGROOM_TEST_PYTHON", &["python3"])?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/at_terminal.py");
        let mut all = vec!["-B", script.to_str().unwrap(), env!("CARGO_BIN_EXE_strongroom")];
        all.extend(arguments);
        let mut command = self.program(python, &all);
        command.envs(kind.map(|kind| ("TERM", kind)));
        Some(Ended::of(&mut command, &serde_json::json!(answers).to_string()))
    }

    /// Runs `strongroom` with this standard input.
    pub fn feed(&self, arguments: &[&str], input: &str) -> Ended {
        Ended::of(&mut self.command(arguments), input)
    }
}

impl Ended {
    pub fn of(command: &mut Command, input: &str) -> Self {
        let output = clients::run(command, input.as_bytes(), LIMIT);
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It did what it was asked; what it printed.
    pub fn done(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// It did what it was asked and printed JSON.
    pub fn json(self) -> Value {
        serde_json::from_str(&self.done()).unwrap()
    }

    /// It did not, and printed nothing; what it said on standard error.
    pub fn not_done(self) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (1, ""), "{}", self.stderr);
        self.stderr
    }
}

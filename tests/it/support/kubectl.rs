//! Genuine kubectl, of every version that is on the machine.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::app::App;
use super::clients;

const LIMIT: Duration = Duration::from_mins(2);

/// A kubectl program.
pub struct Kubectl {
    program: PathBuf,
    cache: tempfile::TempDir,
}

/// What a run of kubectl printed.
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<std::process::Output> for Output {
    fn from(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Output {
    /// The standard output of a run that must have succeeded.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "kubectl failed: {}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// The error text of a run that must have failed.
    pub fn fails(self) -> String {
        assert_ne!(self.code, 0, "kubectl succeeded: {}", self.stdout);
        self.stderr
    }
}

/// The programs named in `STRONGROOM_TEST_KUBECTL` (separated by colons), else `kubectl` of PATH.
pub fn all() -> Vec<Kubectl> {
    let named = std::env::var("STRONGROOM_TEST_KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
    let programs: Vec<Kubectl> = named.split(':').filter_map(Kubectl::of).collect();
    if programs.is_empty() {
        clients::missing("no kubectl runs, of PATH or named in STRONGROOM_TEST_KUBECTL");
    }
    programs
}

impl Kubectl {
    fn of(program: &str) -> Option<Self> {
        let kubectl = Self { program: PathBuf::from(program), cache: tempfile::tempdir().unwrap() };
        let output = Command::new(program).args(["version", "--client"]).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        clients::drives(&format!("kubectl: {program}, {}", text.lines().next()?));
        Some(kubectl)
    }

    /// The program.
    pub fn program(&self) -> &std::path::Path {
        &self.program
    }

    /// A command that acts as the administrator.
    pub fn command(&self, app: &App, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(app.kubeconfig()).arg("--cache-dir").arg(self.cache.path());
        command.args(arguments).env("HOME", self.cache.path()).env_remove("KUBECONFIG");
        command
    }

    /// Runs with these arguments.
    pub fn run(&self, app: &App, arguments: &[&str]) -> Output {
        self.feed(app, arguments, "")
    }

    /// Runs with these arguments and this standard input.
    pub fn feed(&self, app: &App, arguments: &[&str], input: &str) -> Output {
        clients::run(&mut self.command(app, arguments), input.as_bytes(), LIMIT).into()
    }

    /// Starts what goes on until it is ended (`get -w`), with its standard output to be read.
    pub fn begin(&self, app: &App, arguments: &[&str]) -> Begun {
        let mut command = self.command(app, arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = clients::lines(child.stdout.take().unwrap());
        Begun { child, lines }
    }
}

/// A kubectl that goes on. Killed when dropped.
pub struct Begun {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Begun {
    /// The next line that it prints.
    pub fn line(&self) -> String {
        self.lines.recv_timeout(LIMIT).expect("kubectl prints another line")
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

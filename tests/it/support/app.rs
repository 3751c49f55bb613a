//! A running server: the real binary, a temporary home, a free port.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;

/// The server under test. Killed when dropped.
pub struct App {
    child: Child,
    home: tempfile::TempDir,
    /// `https://127.0.0.1:PORT`
    pub url: String,
    /// The administrator's token.
    pub token: String,
    /// The server's CA.
    pub ca_pem: Vec<u8>,
}

impl App {
    /// Starts with a fresh home.
    pub fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), &[])
    }

    /// Starts in a home that may be there already.
    pub fn start_in(home: tempfile::TempDir, arguments: &[&str]) -> Self {
        let log = std::fs::File::create(home.path().join("server.log")).unwrap();
        let kubeconfig = home.path().join("admin.kubeconfig");
        // An address of a former run must not be taken for this one's.
        let _ = std::fs::remove_file(&kubeconfig);
        let mut child = Command::new(env!("CARGO_BIN_EXE_strongroom"))
            .arg("serve")
            .arg("--home")
            .arg(home.path())
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        while !kubeconfig.exists() {
            let ended = child.try_wait().unwrap();
            let text = || std::fs::read_to_string(home.path().join("server.log")).unwrap_or_default();
            assert!(ended.is_none(), "the server ended: {}", text());
            assert!(Instant::now() < until, "the server does not start: {}", text());
            std::thread::sleep(Duration::from_millis(5));
        }
        let text = std::fs::read_to_string(&kubeconfig).unwrap();
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.trim().trim_start_matches("- ").strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in the kubeconfig")).trim().trim_matches('"').to_owned()
        };
        let ca_pem = base64::engine::general_purpose::STANDARD.decode(field("certificate-authority-data:")).unwrap();
        Self { child, home, url: field("server:"), token: field("token:"), ca_pem }
    }

    /// The home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("admin.kubeconfig")
    }

    /// What the server has printed and logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("server.log")).unwrap_or_default()
    }

    /// Ends the process as kill -9 does; the home stays.
    pub fn kill(mut self) -> tempfile::TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.home, tempfile::tempdir().unwrap())
    }

    /// Asks the process to end (SIGTERM) and waits for it; its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < until, "the server does not stop: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! A running server: the real binary, a temporary home, a free port.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use tempfile::TempDir;

use super::clients::{eventually, wait};

const START: Duration = Duration::from_mins(1);
const STOP: Duration = Duration::from_secs(30);

/// The server under test. Killed when dropped.
pub struct App {
    child: Child,
    home: TempDir,
    logs: TempDir,
    /// `https://127.0.0.1:PORT`
    pub url: String,
    /// The administrator's token.
    pub token: String,
    /// The server's CA.
    pub ca_pem: Vec<u8>,
}

/// A server that did not start.
pub struct Refused {
    /// Its exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// What it has printed and logged.
    pub log: String,
    /// The home, as it left it.
    pub home: TempDir,
}

/// Another home with everything that is in this one, which is not served.
pub fn copy_home(home: &Path) -> TempDir {
    let made = tempfile::tempdir().unwrap();
    assert!(Command::new("cp").arg("-a").arg(home.join(".")).arg(made.path()).status().unwrap().success());
    made
}

impl App {
    /// Starts with a fresh home.
    pub fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), &[])
    }

    /// Starts in a home that may be there already.
    pub fn start_in(home: TempDir, arguments: &[&str]) -> Self {
        Self::start_at(home, "127.0.0.1:0", arguments)
    }

    /// Starts at an address: where a former run was.
    pub fn start_at(home: TempDir, listen: &str, arguments: &[&str]) -> Self {
        Self::started(Self::spawn(home, listen, arguments, &[]))
    }

    /// Starts, where the server may refuse to; with variables of its environment.
    pub fn try_start(home: TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Self, Refused> {
        Self::spawn(home, "127.0.0.1:0", arguments, variables).wait_for_start()
    }

    /// Starts in a home that may be damaged.
    pub fn try_start_in(home: TempDir) -> Result<Self, Refused> {
        Self::try_start(home, &[], &[])
    }

    /// Starts where the home's server was before, and holds it up while it opens the home: `meanwhile` looks at it. It goes on
    /// when that is done, if it is there still.
    pub fn start_held(home: TempDir, listen: &str, meanwhile: impl FnOnce(&mut Self)) -> Result<Self, Refused> {
        let folder = tempfile::tempdir().unwrap();
        let hold = folder.path().join("hold");
        File::create(&hold).unwrap();
        let mut app = Self::spawn(home, listen, &[], &[("STRONGROOM_TEST_HOLD", hold.to_str().unwrap())]);
        app.url = format!("https://{listen}");
        app.read_kubeconfig();
        meanwhile(&mut app);
        std::fs::remove_file(hold).unwrap();
        app.wait_for_start()
    }

    /// Starts a process that ends as by kill -9 when it gets to a failpoint.
    pub fn start_to_fail(home: TempDir, failpoint: &str) -> Self {
        Self::started(Self::spawn(home, "127.0.0.1:0", &[], &[("STRONGROOM_FAILPOINT", failpoint)]))
    }

    fn started(app: Self) -> Self {
        app.wait_for_start().unwrap_or_else(|refused| panic!("the server ended: {}", refused.log))
    }

    fn wait_for_start(mut self) -> Result<Self, Refused> {
        // The first line of standard output is written once connections are accepted, and after the kubeconfig. The
        // file alone would not do: a former run's may be there still.
        let started = eventually(START, || {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(Err(status.code()));
            }
            let printed = std::fs::read_to_string(self.logs.path().join("stdout")).unwrap();
            let (first, _) = printed.split_once('\n')?;
            Some(Ok(first.strip_prefix("Strongroom listens on ").unwrap_or_else(|| panic!("{printed}")).to_owned()))
        });
        match started.unwrap_or_else(|| panic!("the server does not start: {}", self.log())) {
            Ok(url) => self.url = url,
            Err(code) => return Err(Refused { code, log: self.log(), home: self.kill() }),
        }
        self.read_kubeconfig();
        Ok(self)
    }

    /// Starts in a home and kills the process after a time, started or not.
    pub fn start_and_kill(home: TempDir, after: Duration) -> TempDir {
        let app = Self::spawn(home, "127.0.0.1:0", &[], &[]);
        std::thread::sleep(after);
        app.kill()
    }

    fn spawn(home: TempDir, listen: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let logs = tempfile::tempdir().unwrap();
        let log = |name: &str| File::create(logs.path().join(name)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command.arg("serve").arg("--home").arg(home.path()).args(["--listen", listen]).args(arguments);
        command.stdin(Stdio::null()).stdout(log("stdout")).stderr(log("stderr"));
        // Settings of the person who runs the tests are not this server's.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("STRONGROOM_")) {
            command.env_remove(name);
        }
        command.envs(variables.iter().copied());
        let child = command.spawn().unwrap();
        Self { child, home, logs, url: String::new(), token: String::new(), ca_pem: Vec::new() }
    }

    /// Takes address, token and CA from the kubeconfig, as any client does.
    pub fn read_kubeconfig(&mut self) {
        let text = std::fs::read_to_string(self.kubeconfig()).unwrap();
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.trim().trim_start_matches("- ").strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in the kubeconfig")).trim().trim_matches('"').to_owned()
        };
        assert_eq!(field("server:"), self.url, "the kubeconfig leads to the server");
        self.token = field("token:");
        self.ca_pem = base64::engine::general_purpose::STANDARD.decode(field("certificate-authority-data:")).unwrap();
    }

    /// The home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("admin.kubeconfig")
    }

    /// The folder in which standard output and standard error are kept.
    pub fn logs(&self) -> &Path {
        self.logs.path()
    }

    /// What the server has printed and logged.
    pub fn log(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.logs.path().join(name)).unwrap_or_default();
        format!("{}{}", read("stdout"), read("stderr"))
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends SIGKILL and returns at once.
    pub fn begin_kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Ends the process as kill -9 does; the home stays.
    pub fn kill(mut self) -> TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.home, tempfile::tempdir().unwrap())
    }

    /// Asks the process to end (SIGTERM).
    pub fn begin_stop(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Asks the process to end and waits for it; its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.begin_stop();
        let status = wait(&mut self.child, STOP);
        status.unwrap_or_else(|| panic!("the server does not stop: {}", self.log())).code()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

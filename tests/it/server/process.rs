//! The real binary, run as a person runs it. What it prints and what it logs are kept apart.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Made in debug builds too, where a passphrase takes seconds.
const START_LIMIT: Duration = Duration::from_mins(1);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A folder for one test: `home` in it, and whatever else the test puts there.
pub struct Place(tempfile::TempDir);

/// What a file holds. A failed comparison prints its digest: the files hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Content(pub Vec<u8>);

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use sha2::Digest as _;
        write!(f, "{} bytes, SHA-256 {}", self.0.len(), hex::encode(sha2::Sha256::digest(&self.0)))
    }
}

/// A server that has said that it listens. Killed when dropped.
pub struct Server {
    child: Child,
    outputs: tempfile::TempDir,
    home: PathBuf,
}

/// How a command ended.
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn home(&self) -> PathBuf {
        self.at("home")
    }

    /// A file of mode 0600.
    pub fn secret_file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// `strongroom` with these arguments, an empty environment but for PATH, and nothing to read.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command.args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.0.path()).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    /// `strongroom serve --home home --listen 127.0.0.1:0` and these arguments.
    pub fn serve(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&["serve", "--home", "home", "--listen", "127.0.0.1:0"]);
        command.args(arguments);
        command
    }

    /// Serves, and waits until it listens.
    pub fn start(&self, arguments: &[&str]) -> Server {
        Server::start(self.serve(arguments), self.home())
    }

    /// Runs a command on the home to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        command.args(["--home", "home"]);
        Ended::of(command)
    }

    /// Every file of the home with its content and mode, but for the lock, which says who looked last, and SQLite's
    /// table of who reads.
    pub fn content(&self) -> BTreeMap<PathBuf, (u32, Content)> {
        fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, (u32, Content)>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let content = if path.is_dir() { Vec::new() } else { fs::read(&path).unwrap() };
                found.insert(path.clone(), (mode(&path), Content(content)));
                if path.is_dir() {
                    walk(&path, found);
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(&self.home(), &mut found);
        for passing in ["lock", "strongroom.db-shm"] {
            found.remove(&self.home().join(passing));
        }
        found
    }
}

impl Server {
    pub fn start(mut command: Command, home: PathBuf) -> Self {
        let outputs = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(outputs.path().join(name)).unwrap();
        let child = command.stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap();
        let mut server = Self { child, outputs, home };
        let until = Instant::now() + START_LIMIT;
        while !server.stdout().ends_with("/swagger-ui/\n") {
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none(), "the server ended: {}", server.stderr());
            assert!(Instant::now() < until, "the server does not start: {}", server.stderr());
            std::thread::sleep(Duration::from_millis(5));
        }
        server
    }

    /// What it printed.
    pub fn stdout(&self) -> String {
        fs::read_to_string(self.outputs.path().join("stdout")).unwrap()
    }

    /// What it logged.
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.outputs.path().join("stderr")).unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `https://HOST:PORT`, as it was printed.
    pub fn url(&self) -> String {
        self.stdout().lines().next().unwrap().strip_prefix("Strongroom listens on ").unwrap().to_owned()
    }

    /// The status code that this token gets for a list of Secrets.
    pub fn code_for(&self, token: &str) -> u16 {
        self.code(&format!("{}/api/v1/namespaces/default/secrets", self.url()), token)
    }

    /// The status code of a GET by curl, which trusts the home's own authority.
    pub fn code(&self, url: &str, token: &str) -> u16 {
        let mut curl = Command::new("curl")
            .args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "@-", "--cacert"])
            .arg(self.home.join("tls/ca.crt"))
            .arg(url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(curl.stdin.take().unwrap(), "Authorization: Bearer {token}").unwrap();
        String::from_utf8(curl.wait_with_output().unwrap().stdout).unwrap().parse().unwrap()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for its end; the exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let until = Instant::now() + STOP_LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < until, "the server does not stop: {}", self.stderr());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops it, as a service manager does.
    pub fn stop(mut self) {
        self.signal("TERM");
        assert_eq!(self.wait(), Some(0), "{}", self.stderr());
    }

    /// Ends it without a chance to tidy up.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    pub fn of(mut command: Command) -> Self {
        let output = command.output().unwrap();
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

    /// It did not, printed nothing, and said why in the last line of its log.
    pub fn not_done(self) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (1, ""), "{}", self.stderr);
        let last = self.stderr.lines().last().unwrap();
        last.strip_prefix("strongroom: ").unwrap_or_else(|| panic!("{}", self.stderr)).to_owned()
    }
}

pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// A field of a kubeconfig.
pub fn field(kubeconfig: &Path, name: &str) -> String {
    let text = fs::read_to_string(kubeconfig).unwrap();
    let value = text.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(": "));
    value.unwrap_or_else(|| panic!("no {name} in the kubeconfig")).to_owned()
}

/// The administrator's token.
pub fn token(place: &Place) -> String {
    field(&place.home().join("admin.kubeconfig"), "token")
}

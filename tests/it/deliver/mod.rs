//! What processes are given, by the genuine binary against a genuine server.

mod composed;
mod credentials;
mod mounted;
mod offline;
mod parity;
mod pod;
mod run;
mod supervised;

use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::actors;
use crate::support::app::App;
use crate::support::clients;
use crate::support::http::Client;
use crate::support::person::{Ended, Person};

/// A server, its administrator, and who runs commands.
struct Place {
    app: App,
    admin: Client,
    person: Person,
}

impl Place {
    fn new() -> Self {
        let app = App::start();
        let mut admin = Client::admin(&app);
        actors::namespace(&mut admin, "prod");
        Self { app, admin, person: Person::new() }
    }

    /// A Secret with these values.
    fn secret(&mut self, namespace: &str, name: &str, values: &Value) {
        let object = json!({"metadata": {"name": name}, "stringData": values});
        self.admin.json("POST", &actors::secrets(namespace), &object).ok();
    }

    /// Other values under some keys; null takes one away.
    fn change(&mut self, namespace: &str, name: &str, data: &Value) {
        let path = format!("{}/{name}", actors::secrets(namespace));
        let patch = json!({"data": data}).to_string();
        self.admin.typed("PATCH", &path, "application/merge-patch+json", patch.as_bytes()).ok();
    }

    /// `strongroom VERB --home HOME OPTIONS`, all before `--` if there is one.
    fn command(&self, verb: &str, options: &[&str]) -> Command {
        self.person.signalled(&[&[verb, "--home", self.app.home().to_str().unwrap()], options].concat())
    }

    fn run(&self, options: &[&str]) -> Ended {
        Ended::of(&mut self.command("run", options), "")
    }
}

/// A command that goes on, and its lines. Ended when dropped, and what it runs with it.
struct Running {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
    errors: std::sync::mpsc::Receiver<String>,
}

impl Running {
    fn start(command: Command) -> Self {
        Self::start_fed(command, Stdio::null())
    }

    fn start_fed(mut command: Command, input: Stdio) -> Self {
        let mut child = command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = clients::lines(child.stdout.take().unwrap());
        let errors = clients::lines(child.stderr.take().unwrap());
        Self { child, lines, errors }
    }

    /// The next line that it prints.
    fn line(&self) -> String {
        let line = self.lines.recv_timeout(std::time::Duration::from_mins(1));
        line.unwrap_or_else(|_| panic!("no line; on standard error: {:?}", self.errors.try_iter().collect::<Vec<_>>()))
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    fn end(&mut self) -> std::process::ExitStatus {
        clients::wait(&mut self.child, std::time::Duration::from_mins(1)).expect("the command does not end")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A kill would leave behind what it runs.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
            let _ = clients::wait(&mut self.child, std::time::Duration::from_secs(15));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

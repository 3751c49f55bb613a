//! People at a command line of kubectl, each with a kubeconfig of their own.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::actors;
use crate::support::app::App;
use crate::support::http::Client;
use crate::support::kubectl::{self, Kubectl, Output};

/// A server, a kubectl, and the administrator's client for what is quicker without kubectl.
pub struct Place {
    pub app: App,
    pub kubectl: Kubectl,
    pub client: Client,
    folder: TempDir,
}

/// Somebody with a kubeconfig.
pub struct Person<'a> {
    place: &'a Place,
    kubeconfig: PathBuf,
}

/// Runs a test with every kubectl, and a server of its own for each.
pub fn each(test: impl Fn(&mut Place)) {
    for kubectl in kubectl::all() {
        let app = App::start();
        let client = Client::admin(&app);
        test(&mut Place { app, kubectl, client, folder: tempfile::tempdir().unwrap() });
    }
}

impl Place {
    /// The administrator.
    pub fn admin(&self) -> Person<'_> {
        Person { place: self, kubeconfig: self.app.kubeconfig() }
    }

    /// Somebody who presents this token. The server, and whom it is trusted by, are as in the administrator's file.
    pub fn with_token(&self, name: &str, token: &str) -> Person<'_> {
        let text = std::fs::read_to_string(self.app.kubeconfig()).unwrap();
        let kubeconfig = self.folder.path().join(name);
        std::fs::write(&kubeconfig, text.replace(&self.app.token, token)).unwrap();
        Person { place: self, kubeconfig }
    }

    /// A user who was made with a password and has signed in.
    pub fn user(&self, name: &str, groups: &[&str]) -> Person<'_> {
        let session = actors::signed_in(&mut self.client.another(), name, groups);
        self.with_token(name, session.token().unwrap())
    }
}

impl Person<'_> {
    /// Runs kubectl.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.feed(arguments, "")
    }

    /// Runs kubectl with the words of a line as its arguments.
    pub fn does(&self, line: &str) -> Output {
        self.run(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs kubectl with this standard input.
    pub fn feed(&self, arguments: &[&str], input: &str) -> Output {
        let kubeconfig = self.kubeconfig.to_str().unwrap();
        // The last one counts.
        let all = [arguments, &["--kubeconfig", kubeconfig]].concat();
        self.place.kubectl.feed(&self.place.app, &all, input)
    }

    /// The kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }
}

//! Keys that are lent to clusters: KMSKeys, the plugin's socket, and a genuine API server that encrypts with it.

mod check;
mod cluster;
mod commands;
mod keys;
mod plugin;
mod restored;

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::actors::{bind, namespace};
use crate::support::app::App;
use crate::support::clients::eventually;
use crate::support::http::Client;
use crate::support::kms::Plugin;

const KEYS: &str = "/apis/strongroom.dev/v1alpha1/kmskeys";

/// A server that lends key `etcd` to whoever connects to its socket.
struct Lender {
    app: App,
    admin: Client,
    folder: TempDir,
}

fn options(folder: &TempDir) -> Vec<String> {
    let socket = folder.path().join("kms.sock").display().to_string();
    ["--kms-socket", &socket, "--kms-key", "etcd", "--kms-service-account", "lent/kms"].map(str::to_owned).to_vec()
}

impl Lender {
    /// Starts it with the key, the account and its rights.
    fn start() -> Self {
        let mut lender = Self::start_bare();
        lender.make_account();
        bind(&mut lender.admin, "", "kms", "ClusterRole/system:strongroom:kms-plugin", "ServiceAccount/lent/kms");
        lender.make_key(&json!({}));
        lender
    }

    /// Starts it with none of them.
    fn start_bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let app = App::start_in(tempfile::tempdir().unwrap(), &options);
        let admin = Client::admin(&app);
        Self { app, admin, folder }
    }

    fn make_account(&mut self) {
        namespace(&mut self.admin, "lent");
        let accounts = "/api/v1/namespaces/lent/serviceaccounts";
        self.admin.json("POST", accounts, &json!({"metadata": {"name": "kms"}})).ok();
    }

    fn make_key(&mut self, spec: &Value) -> Value {
        let key = json!({"metadata": {"name": "etcd"}, "spec": spec});
        self.admin.json("POST", KEYS, &key).ok().json()
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("kms.sock")
    }

    fn plugin(&self) -> Plugin {
        Plugin::connect(&self.socket()).expect("the plugin answers")
    }

    fn rotate(&mut self) -> String {
        let answer = self.admin.json("POST", &format!("{KEYS}/etcd/rotate"), &json!({})).ok().json();
        answer["status"]["currentKeyID"].as_str().unwrap().to_owned()
    }

    fn key(&mut self) -> Value {
        self.admin.get(&format!("{KEYS}/etcd")).ok().json()
    }

    /// Kills the server, and starts it again in the same home.
    fn restart(self) -> Self {
        let Self { app, folder, .. } = self;
        let home = app.kill();
        Self::start_again(home, folder)
    }

    fn start_again(home: TempDir, folder: TempDir) -> Self {
        let options = options(&folder);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let app = App::start_in(home, &options);
        let admin = Client::admin(&app);
        Self { app, admin, folder }
    }

    /// Waits until what the status says of the terms is so.
    fn until_terms(&mut self, is_so: impl Fn(&[Value]) -> bool) {
        let seen = eventually(std::time::Duration::from_secs(30), || {
            let key = self.key();
            is_so(key["status"]["terms"].as_array().unwrap()).then_some(())
        });
        seen.unwrap_or_else(|| panic!("{}", self.key()));
    }
}

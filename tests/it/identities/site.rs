//! A server with people, and what a test asks of it most: let somebody in, and say who that is.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::app::App;
use crate::support::http::{Client, Response};

pub const LOGIN: &str = "/strongroom/v1/login";
pub const REFRESH: &str = "/strongroom/v1/refresh";
pub const LOGOUT: &str = "/strongroom/v1/logout";
pub const PASSWORD: &str = "/strongroom/v1/password";
pub const ROTATE_KEYS: &str = "/strongroom/v1/admin/rotate-signing-keys";
pub const USERS: &str = "/apis/strongroom.dev/v1alpha1/users";
pub const SECRETS: &str = "/api/v1/namespaces/default/secrets";
pub const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
pub const WHO_AM_I: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
pub const TOKEN_REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
pub const FORM: &str = "application/x-www-form-urlencoded";

/// A running server, its administrator, and how it was started.
pub struct Site {
    pub app: App,
    pub admin: Client,
    arguments: Vec<String>,
}

/// What signing in gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

impl Tokens {
    /// Of an answer that must be one.
    pub fn of(response: Response) -> Self {
        let body = response.ok().json();
        let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }
}

/// The password that people of tests have.
pub fn password_of(name: &str) -> String {
    format!("seven bridges of {name} over slow water")
}

/// A body of a form.
pub fn form(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    form.finish().into_bytes()
}

/// Who a client is to the server: the name of the user, or the code of the refusal.
pub fn who(client: &mut Client) -> String {
    let response = client.json("POST", WHO_AM_I, &json!({}));
    match response.status {
        201 => response.json()["status"]["userInfo"]["username"].as_str().unwrap().to_owned(),
        code => code.to_string(),
    }
}

/// Everything the server says of who a client is.
pub fn user_info(client: &mut Client) -> Value {
    client.json("POST", WHO_AM_I, &json!({})).ok().json()["status"]["userInfo"].clone()
}

/// An answer but for what is different in every one: code, headers, body.
pub fn lasting(response: &Response) -> (u16, String, Vec<u8>) {
    let head = response.head();
    let head = head.lines().filter(|line| !line.starts_with("audit-id: ") && !line.starts_with("date: "));
    let head = head.fold(String::new(), |mut all, line| {
        writeln!(all, "{line}").unwrap();
        all
    });
    (response.status, head, response.body.clone())
}

impl Site {
    /// A new home, and passwords that are hashed as cheaply as may be.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), arguments)
    }

    /// A home that may be there already.
    pub fn start_in(home: TempDir, arguments: &[&str]) -> Self {
        let mut all = vec!["--argon2-memory", "19"];
        all.extend(arguments);
        let app = App::start_in(home, &all);
        let admin = Client::admin(&app);
        Self { app, admin, arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect() }
    }

    /// The same home, after an orderly stop.
    pub fn stopped_and_started(mut self) -> Self {
        assert_eq!(self.app.stop(), Some(0), "{}", self.app.log());
        self.killed_and_started()
    }

    /// The same home, after kill -9.
    pub fn killed_and_started(self) -> Self {
        let Self { app, arguments, .. } = self;
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Self::start_in(app.kill(), &arguments)
    }

    pub fn anonymous(&self) -> Client {
        Client::anonymous(&self.app)
    }

    pub fn with_token(&self, token: &str) -> Client {
        self.anonymous().with_token(token)
    }

    /// A user without a password.
    pub fn add(&mut self, name: &str, groups: &[&str]) {
        let user = json!({"metadata": {"name": name}, "spec": {"groups": groups}});
        self.admin.json("POST", USERS, &user).ok();
    }

    /// A user with the password of [`password_of`].
    pub fn add_person(&mut self, name: &str) {
        self.add(name, &[]);
        self.set_password(name, &password_of(name)).ok();
    }

    /// Sets a password as the administrator.
    pub fn set_password(&mut self, name: &str, password: &str) -> Response {
        set_password(&mut self.admin, name, password)
    }

    /// Shuts a user out, or lets one in again.
    pub fn disable(&mut self, name: &str, disabled: bool) {
        let patch = json!({"spec": {"disabled": disabled}}).to_string();
        self.admin.typed("PATCH", &format!("{USERS}/{name}"), "application/merge-patch+json", patch.as_bytes()).ok();
    }

    /// Signs somebody in who has the password of [`password_of`].
    pub fn sign_in(&self, name: &str) -> Tokens {
        Tokens::of(login(&mut self.anonymous(), name, &password_of(name)))
    }

    /// A service account of namespace default.
    pub fn add_account(&mut self, name: &str) {
        self.admin.json("POST", ACCOUNTS, &json!({"metadata": {"name": name}})).ok();
    }

    /// A token of a service account of namespace default.
    pub fn account_token(&mut self, name: &str, spec: &Value) -> String {
        let answer = self.admin.json("POST", &format!("{ACCOUNTS}/{name}/token"), &json!({"spec": spec}));
        answer.ok().json()["status"]["token"].as_str().unwrap().to_owned()
    }
}

pub fn set_password(client: &mut Client, name: &str, password: &str) -> Response {
    client.json("POST", &format!("{USERS}/{name}/password"), &json!({"spec": {"password": password}}))
}

pub fn login(client: &mut Client, name: &str, password: &str) -> Response {
    client.json("POST", LOGIN, &json!({"username": name, "password": password}))
}

pub fn refresh(client: &mut Client, token: &str) -> Response {
    client.json("POST", REFRESH, &json!({"refresh_token": token}))
}

//! Headless Chromium, driven through ChromeDriver by the WebDriver protocol.
//!
//! What is typed travels in request bodies on loopback, never in an argument.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use super::clients::{self, eventually};
use super::http::Client;

const START: Duration = Duration::from_mins(1);
/// How long a page may take to show what is waited for.
const PAGE: Duration = Duration::from_mins(1);
/// The key under which WebDriver hands out elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one empty window. Ended when dropped.
pub struct Browser {
    driver: Child,
    client: Client,
    session: String,
    _profile: tempfile::TempDir,
}

/// Something on the page.
pub struct Element(String);

impl Browser {
    /// Starts one, if there is one on this machine.
    pub fn start() -> Option<Self> {
        let chromium = clients::find("STRONGROOM_TEST_CHROMIUM", &["chromium", "chromium-browser"])?;
        let program = clients::find("STRONGROOM_TEST_CHROMEDRIVER", &["chromedriver"])?;
        clients::drives(&format!("Chromium: {} through {}", chromium.display(), program.display()));
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = command.env("HOME", profile.path()).spawn().unwrap();
        let lines = clients::lines(driver.stdout.take().unwrap());
        let port: u16 = loop {
            let line = lines.recv_timeout(START).expect("ChromeDriver says on which port it listens");
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').parse().unwrap();
            }
        };
        let data = format!("--user-data-dir={}", profile.path().join("profile").display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,1600",
            &data,
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            // The server's own CA is not one that the browser knows.
            "acceptInsecureCerts": true,
            "goog:chromeOptions": {"binary": chromium, "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let client = Client::plain(([127, 0, 0, 1], port).into());
        let mut browser = Self { driver, client, session: String::new(), _profile: profile };
        let made = browser.ask("POST", "/session", &wanted).unwrap_or_else(|error| panic!("{error}"));
        browser.session = format!("/session/{}", made["sessionId"].as_str().unwrap());
        Some(browser)
    }

    /// Opens a page and waits until it is loaded.
    pub fn open(&mut self, url: &str) {
        self.command("POST", "/url", &json!({ "url": url }));
    }

    /// Waits for an element that this XPath finds and that is shown.
    pub fn find(&mut self, xpath: &str) -> Element {
        let query = json!({"using": "xpath", "value": xpath});
        let path = format!("{}/element", self.session);
        let found = eventually(PAGE, || {
            let element = self.ask("POST", &path, &query).ok()?[ELEMENT].as_str()?.to_owned();
            let shown = self.ask("GET", &format!("{path}/{element}/displayed"), &Value::Null).ok()?;
            (shown == true).then_some(Element(element))
        });
        found.unwrap_or_else(|| panic!("the page does not show {xpath}: {}", self.report()))
    }

    /// Whether this XPath finds an element now.
    pub fn shows(&mut self, xpath: &str) -> bool {
        let query = json!({"using": "xpath", "value": xpath});
        self.ask("POST", &format!("{}/element", self.session), &query).is_ok()
    }

    /// Clicks what this XPath finds.
    pub fn click(&mut self, xpath: &str) {
        // What covers it for a moment (an animation) makes the click fail, and is waited for.
        let clicked = eventually(PAGE, || {
            let element = self.find(xpath);
            let path = format!("{}/element/{}/click", self.session, element.0);
            self.ask("POST", &path, &json!({})).ok()
        });
        clicked.unwrap_or_else(|| panic!("{xpath} cannot be clicked: {}", self.report()));
    }

    /// Types into what this XPath finds.
    pub fn type_into(&mut self, xpath: &str, text: &str) {
        let element = self.find(xpath);
        self.command("POST", &format!("/element/{}/value", element.0), &json!({ "text": text }));
    }

    /// What stands in the field that this XPath finds.
    pub fn value(&mut self, xpath: &str) -> String {
        let element = self.find(xpath);
        let value = self.command("GET", &format!("/element/{}/property/value", element.0), &Value::Null);
        value.as_str().unwrap_or_default().to_owned()
    }

    /// The text of what this XPath finds.
    pub fn text(&mut self, xpath: &str) -> String {
        let element = self.find(xpath);
        let text = self.command("GET", &format!("/element/{}/text", element.0), &Value::Null);
        text.as_str().unwrap().to_owned()
    }

    /// What the page wrote to the browser's console: refused scripts and the like. Advice to those who write pages, which
    /// Chromium shows only when it is asked to, is left out.
    pub fn console(&mut self) -> Vec<String> {
        let entries = self.command("POST", "/se/log", &json!({"type": "browser"}));
        let entries = entries.as_array().unwrap().iter().filter(|entry| entry["level"] != "DEBUG");
        entries.map(|entry| format!("{}: {}", entry["level"], entry["message"].as_str().unwrap())).collect()
    }

    /// The window as PNG.
    pub fn screenshot(&mut self, file: &Path) {
        let encoded = self.command("GET", "/screenshot", &Value::Null);
        let png = base64::engine::general_purpose::STANDARD.decode(encoded.as_str().unwrap()).unwrap();
        std::fs::write(file, png).unwrap();
    }

    /// Where a picture of the page is now, and what the page said to the console.
    fn report(&mut self) -> String {
        let file = std::env::temp_dir().join(format!("strongroom-page-{}.png", std::process::id()));
        self.screenshot(&file);
        format!("see {}; the console says {:?}", file.display(), self.console())
    }

    fn command(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let path = format!("{}{path}", self.session);
        self.ask(method, &path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn ask(&mut self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let headers = [("Content-Type", "application/json; charset=utf-8")];
        let response = self.client.send(method, path, &headers, &body).map_err(|error| error.to_string())?;
        let value = response.json()["value"].take();
        if response.status == 200 { Ok(value) } else { Err(value["message"].to_string()) }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let session = self.session.clone();
        // Ends Chromium, which the end of the driver alone would leave running.
        let _ = self.client.send("DELETE", &session, &[], b"");
        let _ = self.client.send("GET", "/shutdown", &[], b"");
        let _ = clients::wait(&mut self.driver, Duration::from_secs(5));
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

//! Swagger UI as a person uses it: open, authorize, try an operation, look at the answer.

use serde_json::json;

use crate::support::app::App;
use crate::support::browser::Browser;
use crate::support::http::Client;

const SECRETS: &str = "/api/v1/namespaces/{namespace}/secrets";
const SECRETS_EVERYWHERE: &str = "/api/v1/secrets";
const DIALOG: &str = "//div[contains(@class,'modal-ux')]";
const PASSWORD: &str = "seven herons over a slow river";

#[test]
fn a_person_authorizes_in_swagger_ui_and_lists_secrets() {
    let app = with_a_secret();
    let Some(mut browser) = Browser::start() else { return };
    browser.open(&format!("{}/swagger-ui/", app.url));
    try_out(&mut browser, SECRETS);
    assert_eq!(execute(&mut browser, SECRETS), "403", "who has not authorized is nobody");

    open_dialog(&mut browser);
    browser.type_into(&format!("({DIALOG}//input)[1]"), &app.token);
    authorize(&mut browser, &format!("({DIALOG}//input)[1]"));
    assert_eq!(execute(&mut browser, SECRETS), "200");
    shows_the_secret(&mut browser);
    is_clean(&mut browser);
}

#[test]
fn a_user_authorizes_with_a_password_and_may_what_the_roles_say() {
    let app = with_a_secret();
    with_a_reader_of_default(&mut Client::admin(&app));
    let Some(mut browser) = Browser::start() else { return };
    browser.open(&format!("{}/swagger-ui/", app.url));
    open_dialog(&mut browser);
    browser.type_into(&format!("{DIALOG}//input[@id='oauth_username']"), "ada");
    browser.type_into(&format!("{DIALOG}//input[@id='oauth_password']"), PASSWORD);
    authorize(&mut browser, &format!("{DIALOG}//input[@id='oauth_password']"));

    try_out(&mut browser, SECRETS);
    assert_eq!(execute(&mut browser, SECRETS), "200");
    shows_the_secret(&mut browser);
    try_out(&mut browser, SECRETS_EVERYWHERE);
    assert_eq!(execute(&mut browser, SECRETS_EVERYWHERE), "403", "the role is one of the namespace");
    is_clean(&mut browser);

    // The page keeps no token.
    browser.open(&format!("{}/swagger-ui/?again", app.url));
    try_out(&mut browser, SECRETS);
    assert_eq!(execute(&mut browser, SECRETS), "403");
}

#[test]
fn what_the_dialog_sends_unasked_does_not_matter() {
    let app = App::start();
    with_a_reader_of_default(&mut Client::admin(&app));
    let mut client = Client::anonymous(&app);
    let password = PASSWORD.replace(' ', "+");
    let form = format!("grant_type=password&scope=&username=ada&password={password}");
    // `:`, an empty name and an empty secret.
    let basic = ("Authorization", "Basic Og==");
    let typed = ("Content-Type", "application/x-www-form-urlencoded");
    let tokens = client.send("POST", "/strongroom/v1/login", &[basic, typed], form.as_bytes()).unwrap().ok().json();
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(900)));
    let form = format!("grant_type=refresh_token&refresh_token={}", tokens["refresh_token"].as_str().unwrap());
    client.send("POST", "/strongroom/v1/refresh", &[basic, typed], form.as_bytes()).unwrap().ok();
    let bearer = ("Authorization", "Bearer Og==");
    // As in Kubernetes: it is no credential, while a bearer token that is none is a wrong one.
    assert_eq!(client.send("GET", "/version", &[basic], b"").unwrap().status, 200);
    assert_eq!(client.send("GET", SECRETS, &[basic], b"").unwrap().status, 403);
    assert_eq!(client.send("POST", "/strongroom/v1/login", &[bearer, typed], form.as_bytes()).unwrap().status, 401);
}

fn with_a_secret() -> App {
    let app = App::start();
    let secret = json!({"metadata": {"name": "shown-in-the-browser"}, "data": {"k": "dg=="}});
    Client::admin(&app).json("POST", "/api/v1/namespaces/default/secrets", &secret).ok();
    app
}

/// A user who may read secrets in namespace `default`.
fn with_a_reader_of_default(client: &mut Client) {
    let users = "/apis/strongroom.dev/v1alpha1/users";
    client.json("POST", users, &json!({"metadata": {"name": "ada"}})).ok();
    client.json("POST", &format!("{users}/ada/password"), &json!({"spec": {"password": PASSWORD}})).ok();
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}]);
    client.json("POST", &format!("{rbac}/roles"), &json!({"metadata": {"name": "reader"}, "rules": rules})).ok();
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"});
    let subject = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ada"});
    let binding = json!({"metadata": {"name": "ada-reads"}, "roleRef": role, "subjects": [subject]});
    client.json("POST", &format!("{rbac}/rolebindings"), &binding).ok();
}

fn open_dialog(browser: &mut Browser) {
    browser.click("//button[contains(@class,'authorize') and contains(@class,'btn')]");
}

/// Presses the button that belongs to an input of the dialog, and closes the dialog once it has taken the credentials.
fn authorize(browser: &mut Browser, input: &str) {
    let part = |button: &str| format!("{input}/ancestor::div[.//button[{button}]][1]//button[{button}]");
    browser.click(&part("contains(@class,'authorize')"));
    browser.find(&format!("{DIALOG}//button[text()='Logout']"));
    browser.click(&format!("({DIALOG}//button[contains(@class,'btn-done')])[1]"));
}

/// The block of a GET.
fn block(path: &str) -> String {
    format!("//div[contains(@class,'opblock-get')][.//*[@data-path='{path}']]")
}

/// Unfolds the operation, fills in where.
fn try_out(browser: &mut Browser, path: &str) {
    let operation = block(path);
    if !browser.shows(&operation) {
        browser.click("//*[@id='operations-tag-Secret']");
    }
    browser.click(&format!("{operation}//button[contains(@class,'opblock-summary-control')]"));
    browser.click(&format!("{operation}//button[contains(@class,'try-out__btn')]"));
    if path.contains("{namespace}") {
        let namespace = format!("{operation}//tr[@data-param-name='namespace']//input");
        if browser.value(&namespace).is_empty() {
            browser.type_into(&namespace, "default");
        }
    }
}

/// Sends the request; the status code of the answer that is shown.
fn execute(browser: &mut Browser, path: &str) -> String {
    let operation = block(path);
    let answer = format!("{operation}//table[contains(@class,'live-responses-table')]");
    if browser.shows(&answer) {
        // A former answer would be taken for this one.
        browser.click(&format!("{operation}//button[contains(@class,'btn-clear')]"));
    }
    browser.click(&format!("{operation}//button[contains(@class,'execute')]"));
    let code = format!("{answer}/tbody//td[contains(@class,'response-col_status')]");
    browser.text(&code).split_whitespace().next().unwrap_or_default().to_owned()
}

fn shows_the_secret(browser: &mut Browser) {
    browser.find("//*[contains(@class,'live-responses-table')][.//*[contains(.,'shown-in-the-browser')]]");
}

/// Everything came from this server, and nothing in the page was refused by its own policy.
fn is_clean(browser: &mut Browser) {
    let complaints: Vec<String> = browser.console().into_iter().filter(|line| !line.contains("403")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

//! Swagger UI as a person uses it: open, authorize, try an operation, look at the answer.

use crate::support::app::App;
use crate::support::browser::Browser;
use crate::support::http::Client;

const LIST: &str = "//div[contains(@class,'opblock-get')][.//*[@data-path='/api/v1/namespaces/{namespace}/secrets']]";

#[test]
fn a_person_authorizes_in_swagger_ui_and_lists_secrets() {
    let app = App::start();
    let secret = br#"{"metadata":{"name":"shown-in-the-browser"},"data":{"k":"dg=="}}"#;
    Client::admin(&app).typed("POST", "/api/v1/namespaces/default/secrets", "application/json", secret).ok();
    let Some(mut browser) = Browser::start() else { return };
    browser.open(&format!("{}/swagger-ui/", app.url));
    list_before_and_after_authorizing(&mut browser, &app.token);
    // Everything came from this server, and nothing in the page was refused by its own policy.
    let complaints: Vec<String> = browser.console().into_iter().filter(|line| !line.contains("403")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

fn list_before_and_after_authorizing(browser: &mut Browser, token: &str) {
    browser.click("//*[@id='operations-tag-Secret']");
    browser.click(&format!("{LIST}//button[contains(@class,'opblock-summary-control')]"));
    browser.click(&format!("{LIST}//button[contains(@class,'try-out__btn')]"));
    let namespace = format!("{LIST}//tr[@data-param-name='namespace']//input");
    if browser.value(&namespace).is_empty() {
        browser.type_into(&namespace, "default");
    }
    browser.click(&format!("{LIST}//button[contains(@class,'execute')]"));
    assert_eq!(status(browser), "403", "who has not authorized is nobody");

    browser.click("//button[contains(@class,'authorize') and contains(@class,'btn')]");
    let dialog = "//div[contains(@class,'modal-ux')]";
    browser.type_into(&format!("({dialog}//input)[1]"), token);
    browser.click(&format!("({dialog}//button[contains(@class,'authorize')])[1]"));
    browser.click(&format!("({dialog}//button[contains(@class,'btn-done')])[1]"));
    browser.click(&format!("{LIST}//button[contains(@class,'execute')]"));
    let shown = "//*[contains(@class,'live-responses-table')][.//*[contains(.,'shown-in-the-browser')]]";
    browser.find(shown);
    assert_eq!(status(browser), "200");
}

/// The status code of the answer that is shown.
fn status(browser: &mut Browser) -> String {
    let cell = format!(
        "{LIST}//table[contains(@class,'live-responses-table')]/tbody//td[contains(@class,'response-col_status')]"
    );
    browser.text(&cell).split_whitespace().next().unwrap_or_default().to_owned()
}

//! Patches that meet other writes.

use serde_json::json;

use crate::support::app::App;
use crate::support::http::Client;

const SECRETS: &str = "/api/v1/namespaces/default/secrets";

#[test]
fn a_patch_that_names_no_revision_is_applied_again_whatever_it_meets() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    admin.json("POST", SECRETS, &json!({"metadata": {"name": "busy"}})).ok();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let mut client = admin.another();
            std::thread::spawn(move || {
                for at in 0..50 {
                    let key = format!("k{writer}-{at}");
                    let (content_type, body) = match writer % 3 {
                        0 => ("application/merge-patch+json", json!({"data": {key: "eA=="}})),
                        1 => ("application/strategic-merge-patch+json", json!({"data": {key: "eA=="}})),
                        _ => {
                            let path = format!("/metadata/labels/{key}");
                            let labels = json!({"op": "add", "path": path, "value": "x"});
                            let made = json!({"op": "add", "path": "/metadata/annotations", "value": {"a": key}});
                            ("application/json-patch+json", if at == 0 { json!([made]) } else { json!([made, labels]) })
                        }
                    };
                    let path = format!("{SECRETS}/busy");
                    let answer = client.typed("PATCH", &path, content_type, body.to_string().as_bytes());
                    // A JSON patch may be about a member that is not there (yet).
                    assert!(answer.status == 200 || (writer % 3 == 2 && answer.status == 422), "{}", answer.text());
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    let busy = admin.get(&format!("{SECRETS}/busy")).ok().json();
    assert_eq!(busy["data"].as_object().unwrap().len(), 3 * 50, "no write is lost");
    // One that names a revision is for that revision.
    let body = json!({"metadata": {"resourceVersion": "1"}, "data": {"k": "eA=="}}).to_string();
    let answer = admin.typed("PATCH", &format!("{SECRETS}/busy"), "application/merge-patch+json", body.as_bytes());
    assert_eq!(answer.status, 409, "{}", answer.text());
}

//! A room that is sealed while its Secrets are in a cluster.

use std::time::Duration;

use serde_json::json;

use super::site::{LONG, Site, condition};
use crate::sealing::{seal, unseal};
use crate::support::clients::eventually;
use crate::support::http::Client;

/// In which a room that is open has put right what was changed in the cluster.
const AT_WORK: Duration = Duration::from_secs(3);

#[test]
fn nothing_is_sent_or_made_while_a_room_is_sealed_and_everything_goes_on_afterwards() {
    let Some(mut site) = Site::start("sealed") else { return };
    site.secret("db", &json!({"k": "1"}));
    site.synced("db", &json!({}));
    let path = format!("/api/v1/namespaces/{}/secrets/db", site.namespace);
    let remove = |site: &Site| drop(site.cluster.admin().delete(&path).ok());
    remove(&site);
    assert!(eventually(LONG, || site.there("db")).is_some(), "an open room puts it back");

    seal(&site.app);
    remove(&site);
    assert!(eventually(AT_WORK, || site.there("db")).is_none(), "a sealed one does not");
    unseal(&site.app);
    assert!(eventually(LONG, || site.there("db")).is_some(), "{}", site.app.log());
    site.admin = Client::admin(&site.app);
    site.secret("db", &json!({"k": "2"}));
    let arrived = eventually(LONG, || (site.there("db")?["data"]["k"] == "Mg==").then_some(()));
    assert!(arrived.is_some(), "{}", site.app.log());
    site.wait_until("db", |status| condition(status, "Ready")["reason"] == "InSync");

    let generated = json!({"metadata": {"name": "made"}, "spec": {
        "secretName": "made", "keys": [{"key": "password", "generator": "password"}],
    }});
    let all = "/apis/strongroom.dev/v1alpha1/namespaces/prod/generatedsecrets";
    site.admin.json("POST", all, &generated).ok();
    let secret = "/api/v1/namespaces/prod/secrets/made";
    let made = eventually(LONG, || (site.admin.get(secret).status == 200).then_some(()));
    assert!(made.is_some(), "{}", site.app.log());
}

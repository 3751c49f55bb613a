//! What is recorded of requests: one event each, before the answer, and nothing that is secret.

mod abandoned;
mod crash;
mod disk;
mod flood;
mod operations;
mod records;

use serde_json::Value;

use crate::support::http::Client;

/// The newest events that a query finds; there must be room for more.
pub fn events(client: &mut Client, query: &str) -> Vec<Value> {
    const LIMIT: usize = 10_000;
    let list = client.get(&format!("/strongroom/v1/audit?limit={LIMIT}&{query}")).ok().json();
    let items = list["items"].as_array().unwrap().clone();
    assert!(items.len() < LIMIT, "there may be more than {LIMIT} events");
    items
}

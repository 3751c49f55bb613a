//! What the tests of field management stand on: one object, written by turns.

use serde_json::{Value, json};

use super::test_shapes::SECRET;
use super::*;
use crate::model::schema::Message;

/// One object and a clock that ticks with every request.
pub(super) struct Server {
    pub(super) message: &'static Message,
    pub(super) api_version: &'static str,
    pub(super) live: Option<Value>,
    pub(super) seconds: u32,
}

impl Server {
    pub(super) fn of(message: &'static Message) -> Self {
        let api_version = if message.name.contains("Role") { "rbac.authorization.k8s.io/v1" } else { "v1" };
        Self { message, api_version, live: None, seconds: 0 }
    }

    pub(super) fn secrets() -> Self {
        Self::of(&SECRET)
    }

    pub(super) fn now(&mut self) -> String {
        self.seconds += 1;
        format!("2026-01-01T00:{:02}:{:02}Z", self.seconds / 60, self.seconds % 60)
    }

    pub(super) fn update(&mut self, manager: &str, change: impl FnOnce(&mut Value)) {
        self.update_through("", manager, change);
    }

    pub(super) fn update_through(&mut self, subresource: &str, manager: &str, change: impl FnOnce(&mut Value)) {
        let now = self.now();
        let mut new = self.live.clone().unwrap_or_else(|| json!({"metadata": {"name": "s"}}));
        change(&mut new);
        let writer = Writer { manager, subresource, api_version: self.api_version, now: &now };
        track_update(self.message, self.live.as_ref(), &mut new, &writer);
        self.live = Some(new);
    }

    pub(super) fn try_apply(&mut self, manager: &str, force: bool, mut config: Value) -> Result<bool, ApplyError> {
        let now = self.now();
        config["apiVersion"] = json!(self.api_version);
        config["kind"] = json!(self.message.name);
        config["metadata"]["name"] = json!("s");
        let writer = Writer { manager, subresource: "", api_version: self.api_version, now: &now };
        let applied = apply(self.message, self.live.as_ref(), &config, force, &writer)?;
        self.live = Some(applied.object);
        Ok(applied.changed)
    }

    pub(super) fn apply(&mut self, manager: &str, config: Value) -> bool {
        self.try_apply(manager, false, config).unwrap()
    }

    pub(super) fn conflict(&mut self, manager: &str, config: Value) -> ApplyError {
        self.try_apply(manager, false, config).unwrap_err()
    }

    pub(super) fn live(&self) -> &Value {
        self.live.as_ref().unwrap()
    }

    pub(super) fn entries(&self) -> Vec<Value> {
        self.live()["metadata"]["managedFields"].as_array().cloned().unwrap_or_default()
    }

    pub(super) fn entry(&self, manager: &str) -> Option<Value> {
        self.entries().into_iter().find(|entry| entry["manager"] == manager)
    }

    /// FieldsV1 of a manager as text: order matters.
    pub(super) fn fields(&self, manager: &str) -> String {
        self.entry(manager).map_or_else(|| "none".to_owned(), |entry| entry["fieldsV1"].to_string())
    }
}

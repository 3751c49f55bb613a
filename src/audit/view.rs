//! An event, read back: what queries look at, and how it is shown on one line.
//!
//! It is text that clients had a hand in: what is shown holds no control character.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::event::{DECISION, REPEATED};
use crate::rbac::Attributes;

/// What queries look at.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EventView<'a> {
    #[serde(borrow)]
    stage: Cow<'a, str>,
    #[serde(borrow, rename = "requestURI")]
    request_uri: Cow<'a, str>,
    /// `get`, `list`, …
    #[serde(borrow)]
    pub verb: Cow<'a, str>,
    #[serde(borrow)]
    user: UserView<'a>,
    #[serde(borrow)]
    impersonated_user: Option<UserView<'a>>,
    #[serde(borrow, rename = "sourceIPs")]
    source_ips: Vec<Cow<'a, str>>,
    /// The object, if the request was for one.
    #[serde(borrow)]
    pub object_ref: Option<ObjectView<'a>>,
    response_status: StatusView,
    #[serde(borrow)]
    request_received_timestamp: Cow<'a, str>,
    #[serde(borrow)]
    stage_timestamp: Cow<'a, str>,
    #[serde(borrow)]
    annotations: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UserView<'a> {
    #[serde(borrow)]
    username: Cow<'a, str>,
    #[serde(borrow)]
    groups: Vec<Cow<'a, str>>,
}

/// The object of a request.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectView<'a> {
    /// Plural, as in paths.
    #[serde(borrow)]
    pub resource: Cow<'a, str>,
    /// Its namespace, or `""`.
    #[serde(borrow)]
    pub namespace: Cow<'a, str>,
    /// Its name, or `""`.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// Its group; `""` is core.
    #[serde(borrow)]
    pub api_group: Cow<'a, str>,
    /// `status`, …, or `""`.
    #[serde(borrow)]
    pub subresource: Cow<'a, str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StatusView {
    code: u16,
}

impl<'a> EventView<'a> {
    /// Out of JSON; `None` where it is no event.
    pub fn read(json: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// Who was authenticated, then whom they acted as.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.user).chain(&self.impersonated_user).map(|user| user.username.as_ref())
    }

    /// As whom it was done: name and groups.
    pub fn acting(&self) -> (&str, Vec<String>) {
        let user = self.impersonated_user.as_ref().unwrap_or(&self.user);
        (&user.username, user.groups.iter().map(ToString::to_string).collect())
    }

    /// What was asked of the authorizer.
    pub fn attributes(&self) -> Attributes {
        match &self.object_ref {
            Some(object) => Attributes {
                verb: self.verb.to_string(),
                group: object.api_group.to_string(),
                resource: object.resource.to_string(),
                subresource: object.subresource.to_string(),
                namespace: object.namespace.to_string(),
                name: object.name.to_string(),
                ..Attributes::default()
            },
            None => Attributes::path(&self.verb, self.request_uri.split('?').next().unwrap_or_default()),
        }
    }

    /// HTTP status of the answer.
    pub fn code(&self) -> u16 {
        self.response_status.code
    }

    /// `allow`, `forbid` or, where nobody was asked, `""`.
    pub fn decision(&self) -> &str {
        self.annotations.get(DECISION).map_or("", AsRef::as_ref)
    }

    /// When the stage was reached, microseconds since the epoch; 0 where the event does not say.
    pub fn unix_micros(&self) -> i64 {
        self.time().parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_microsecond)
    }

    fn time(&self) -> &str {
        if self.stage_timestamp.is_empty() { &self.request_received_timestamp } else { &self.stage_timestamp }
    }

    /// `TIME USER VERB WHAT CODE DECISION SOURCE`, without the line's end.
    pub fn text(&self) -> String {
        let users: Vec<&str> = self.users().collect();
        let what = match &self.object_ref {
            None => self.request_uri.to_string(),
            Some(object) => object.text(),
        };
        let mut parts = vec![
            self.time().to_owned(),
            users.join(" as "),
            self.verb.to_string(),
            what,
            self.code().to_string(),
            if self.decision().is_empty() { "-".to_owned() } else { self.decision().to_owned() },
            if self.source_ips.is_empty() { "-".to_owned() } else { self.source_ips.join(",") },
        ];
        if self.stage != "ResponseComplete" {
            parts.push(self.stage.to_string());
        }
        if let Some(repeated) = self.annotations.get(REPEATED) {
            parts.push(format!("x{repeated}"));
        }
        parts.join("  ").chars().map(|c| if c.is_control() { '?' } else { c }).collect()
    }
}

impl ObjectView<'_> {
    /// `roles.rbac.authorization.k8s.io/status prod/db`
    fn text(&self) -> String {
        let mut text = self.resource.to_string();
        for (before, part) in [('.', &self.api_group), ('/', &self.subresource)] {
            if !part.is_empty() {
                text.push(before);
                text.push_str(part);
            }
        }
        let place = match (self.namespace.as_ref(), self.name.as_ref()) {
            ("", "") => return text,
            ("", name) => name.to_owned(),
            (namespace, name) => format!("{namespace}/{name}"),
        };
        text.push(' ');
        text.push_str(&place);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::{Decision, Event, RequestFacts, mutation};
    use super::*;
    use crate::model::kinds;
    use crate::model::user::User;
    use crate::rbac::Attributes;

    #[test]
    fn an_event_is_shown_on_one_line() {
        let facts = RequestFacts {
            source_ip: "10.0.0.1".into(),
            received_unix_millis: 1_790_000_000_123,
            impersonator: Some(std::sync::Arc::new(User::admin())),
            ..RequestFacts::default()
        };
        let bob = User::new("bob\u{1b}[2J", "", []);
        let json = mutation(&facts, &bob, &Attributes::object("create", &kinds::ROLE, "prod", ""), "r", "", 201);
        let view = EventView::read(&json).unwrap();
        assert_eq!(
            view.text(),
            "2026-09-21T14:13:20.123000Z  admin as bob?[2J  create  roles.rbac.authorization.k8s.io prod/r  201  allow  10.0.0.1"
        );
        assert_eq!(view.unix_micros(), 1_790_000_000_123_000);
        assert_eq!(view.users().collect::<Vec<_>>(), ["admin", "bob\u{1b}[2J"]);
    }

    #[test]
    fn what_an_event_lacks_is_shown_as_missing() {
        let (user, attributes) = (User::anonymous(), Attributes::path("get", "/metrics"));
        let facts = RequestFacts::default();
        let event = Event { decision: None, ..Event::new(&facts, &user, &attributes, 401) }.to_json();
        assert!(EventView::read(&event).unwrap().text().ends_with("system:anonymous  get  /metrics  401  -  -"));
        let forbidden = Event { decision: Some(Decision::Forbid), ..Event::new(&facts, &user, &attributes, 403) };
        let forbidden = super::super::event::with_annotation(forbidden.to_json(), REPEATED, "7");
        assert!(EventView::read(&forbidden).unwrap().text().ends_with("403  forbid  -  x7"));
        assert_eq!(EventView::read(b"{}").unwrap().unix_micros(), 0);
        assert!(EventView::read(b"{\"user\":7}").is_none());
    }
}

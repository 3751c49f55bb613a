//! What is asked of the records: which events, and how many. Pure; [`super::search`] reads.

use super::view::EventView;

/// Events of an answer where none is asked for.
const USUAL_LIMIT: usize = 100;
/// Events of an answer, at most.
pub const MOST_LIMIT: usize = 10_000;

/// The parameters, as the read API and the command line spell them.
pub const PARAMETERS: &[(&str, &str)] = &[
    ("user", "name of the user, or of the one whom it acted as"),
    ("verb", "get, list, watch, create, update, patch, delete, deletecollection, …"),
    ("resource", "plural, with .GROUP and /SUBRESOURCE where that is asked for"),
    ("namespace", "namespace of the object"),
    ("name", "name of the object"),
    ("since", "a time (RFC 3339), or how long ago: 90s, 15m, 24h, 7d"),
    ("until", "as since"),
    ("code", "status of the answer: 403, or 4xx"),
    ("decision", "allow or forbid"),
    ("limit", "how many events, newest first"),
];

/// A query that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{parameter}: {problem}")]
pub struct QueryError {
    /// The parameter.
    pub parameter: String,
    /// What is wrong with it. The value is not shown.
    pub problem: &'static str,
}

/// Which events are asked for: all conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditQuery {
    user: Option<String>,
    verb: Option<String>,
    resource: Option<Resource>,
    namespace: Option<String>,
    name: Option<String>,
    /// Not before, microseconds since the epoch.
    pub(super) since: Option<i64>,
    /// Not after.
    pub(super) until: Option<i64>,
    code: Option<Codes>,
    decision: Option<String>,
    /// At most so many events.
    pub limit: usize,
}

impl Default for AuditQuery {
    fn default() -> Self {
        Self {
            user: None,
            verb: None,
            resource: None,
            namespace: None,
            name: None,
            since: None,
            until: None,
            code: None,
            decision: None,
            limit: USUAL_LIMIT,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Resource {
    plural: String,
    group: Option<String>,
    subresource: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Codes {
    first: u16,
    last: u16,
}

impl AuditQuery {
    /// Out of names and values (see [`PARAMETERS`]); a name may occur once.
    pub fn parse<'p>(
        pairs: impl IntoIterator<Item = (&'p str, &'p str)>,
        now_unix_millis: i64,
    ) -> Result<Self, QueryError> {
        let mut query = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in pairs {
            let fail = |problem| QueryError { parameter: name.chars().take(64).collect(), problem };
            if !PARAMETERS.iter().any(|(known, _)| *known == name) {
                return Err(fail("there is no such parameter"));
            }
            if seen.contains(&name) {
                return Err(fail("may be given once"));
            }
            seen.push(name);
            if value.is_empty() {
                return Err(fail("has no value"));
            }
            let text = Some(value.to_owned());
            match name {
                "user" => query.user = text,
                "verb" => query.verb = text,
                "resource" => query.resource = Some(Resource::parse(value)),
                "namespace" => query.namespace = text,
                "name" => query.name = text,
                "since" => query.since = Some(time(value, now_unix_millis).map_err(fail)?),
                "until" => query.until = Some(time(value, now_unix_millis).map_err(fail)?),
                "code" => query.code = Some(Codes::parse(value).ok_or(fail("say a status as 403, or 4xx"))?),
                "decision" if ["allow", "forbid"].contains(&value) => query.decision = text,
                "decision" => return Err(fail("say allow or forbid")),
                _ => {
                    let limit = value.parse().ok().filter(|limit| (1..=MOST_LIMIT).contains(limit));
                    query.limit = limit.ok_or(fail("say a number from 1 to 10000"))?;
                }
            }
        }
        Ok(query)
    }

    /// Whether the event is asked for.
    pub fn matches(&self, event: &EventView<'_>) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        let object = event.object_ref.as_ref();
        let of_object = |wanted: &Option<String>, found: Option<&str>| is(wanted, found.unwrap_or_default());
        self.user.as_ref().is_none_or(|wanted| event.users().any(|user| user == wanted))
            && is(&self.verb, &event.verb)
            && of_object(&self.namespace, object.map(|object| object.namespace.as_ref()))
            && of_object(&self.name, object.map(|object| object.name.as_ref()))
            && self.resource.as_ref().is_none_or(|wanted| {
                object.is_some_and(|object| {
                    wanted.plural == object.resource
                        && is(&wanted.group, &object.api_group)
                        && is(&wanted.subresource, &object.subresource)
                })
            })
            && self.code.is_none_or(|codes| (codes.first..=codes.last).contains(&event.code()))
            && is(&self.decision, event.decision())
            && self.holds_time(event.unix_micros())
    }

    fn holds_time(&self, unix_micros: i64) -> bool {
        self.since.is_none_or(|since| unix_micros >= since) && self.until.is_none_or(|until| unix_micros <= until)
    }
}

impl Resource {
    fn parse(text: &str) -> Self {
        let (qualified, subresource) = match text.split_once('/') {
            Some((qualified, subresource)) => (qualified, Some(subresource.to_owned())),
            None => (text, None),
        };
        let (plural, group) = match qualified.split_once('.') {
            Some((plural, group)) => (plural, Some(group.to_owned())),
            None => (qualified, None),
        };
        Self { plural: plural.to_owned(), group, subresource }
    }
}

impl Codes {
    fn parse(text: &str) -> Option<Self> {
        if let Some(class) = text.strip_suffix("xx") {
            let class: u16 = class.parse().ok().filter(|class| (1..=5).contains(class))?;
            return Some(Self { first: class * 100, last: class * 100 + 99 });
        }
        let code = text.parse().ok().filter(|code| (100..=599).contains(code))?;
        Some(Self { first: code, last: code })
    }
}

/// Microseconds since the epoch.
fn time(text: &str, now_unix_millis: i64) -> Result<i64, &'static str> {
    const PROBLEM: &str = "say a time as 2026-01-31T12:00:00Z, or how long ago as 90s, 15m, 24h or 7d";
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.as_microsecond());
    }
    let seconds = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)].into_iter().find_map(|(unit, seconds)| {
        let number: i64 = text.strip_suffix(unit)?.parse().ok().filter(|number| *number >= 0)?;
        number.checked_mul(seconds)
    });
    let ago = seconds.and_then(|seconds| seconds.checked_mul(1_000_000)).ok_or(PROBLEM)?;
    Ok(now_unix_millis.saturating_mul(1000).saturating_sub(ago))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000_000;

    fn parse(text: &str) -> Result<AuditQuery, QueryError> {
        let pairs: Vec<(&str, &str)> = text.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
        AuditQuery::parse(pairs, NOW)
    }

    fn matches(query: &str) -> bool {
        let event = br#"{"kind":"Event","verb":"get","user":{"username":"admin"},"impersonatedUser":{"username":"bob"},
            "objectRef":{"resource":"roles","namespace":"prod","name":"r","apiGroup":"rbac.authorization.k8s.io","subresource":"x"},
            "responseStatus":{"code":403},"stageTimestamp":"2026-09-21T14:13:20.000000Z",
            "annotations":{"authorization.k8s.io/decision":"forbid"}}"#;
        parse(query).unwrap().matches(&EventView::read(event).unwrap())
    }

    #[test]
    fn each_condition_must_hold() {
        for yes in [
            "user=admin",
            "user=bob",
            "verb=get&namespace=prod&name=r",
            "resource=roles",
            "resource=roles.rbac.authorization.k8s.io",
            "resource=roles/x",
            "code=403",
            "code=4xx",
            "decision=forbid",
            "since=0s&until=0s",
            "since=2026-09-21T14:13:20Z",
            "since=1h",
        ] {
            assert!(matches(yes), "{yes}");
        }
        for no in [
            "user=eve",
            "verb=list",
            "namespace=test",
            "name=s",
            "resource=role",
            "resource=roles.apps",
            "resource=roles/y",
            "code=404",
            "code=2xx",
            "decision=allow",
            "until=1s",
            "since=2026-09-21T14:13:21Z",
            "user=admin&verb=list",
        ] {
            assert!(!matches(no), "{no}");
        }
    }

    #[test]
    fn a_query_that_cannot_be_used_names_the_parameter_and_not_the_value() {
        for (wrong, parameter) in [
            ("password=hunter2", "password"),
            ("user=a&user=b", "user"),
            ("user=", "user"),
            ("since=hunter2", "since"),
            ("since=-1h", "since"),
            ("until=99999999999999999d", "until"),
            ("code=hunter2", "code"),
            ("code=6xx", "code"),
            ("code=42", "code"),
            ("decision=maybe", "decision"),
            ("limit=0", "limit"),
            ("limit=10001", "limit"),
        ] {
            let error = parse(wrong).unwrap_err();
            assert_eq!(error.parameter, parameter);
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn nothing_asked_for_means_the_newest_hundred() {
        let query = AuditQuery::parse([], NOW).unwrap();
        assert_eq!(query, AuditQuery::default());
        assert_eq!(query.limit, 100);
        assert!(query.matches(&EventView::default()));
    }
}

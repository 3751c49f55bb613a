//! What is particular to an Event: it lies where its object lies, and one with an `eventTime` says who reports it.
//!
//! Source: `pkg/apis/core/validation/events.go`, the rules for `v1`.

use serde_json::Value;

use super::names::{dns1123_subdomain, qualified_name};
use super::{FieldError, invalid_each, meta, text};

/// Bytes of `reportingInstance`, `action` and `reason`.
const WORD_MAX_BYTES: usize = 128;
/// Bytes of `message`.
const MESSAGE_MAX_BYTES: usize = 1_024;

pub(super) fn event(object: &Value, errors: &mut Vec<FieldError>) {
    let namespace = text(meta(object), "namespace");
    let of = object.get("involvedObject").map_or("", |involved| text(involved, "namespace"));
    let is_timed = object.get("eventTime").is_some_and(Value::is_string);
    // What lies in no namespace has its events in one that is always there.
    let fits = match (of, namespace) {
        ("", "default") => true,
        ("", "kube-system") => is_timed,
        ("", _) => false,
        _ => is_timed || of == namespace,
    };
    if !fits {
        errors.push(FieldError::invalid("involvedObject.namespace", of, "does not match event.namespace"));
    }
    if is_timed {
        reporter(object, errors);
    }
    invalid_each("namespace", namespace, dns1123_subdomain(namespace), errors);
}

/// What the newer recorders always say.
fn reporter(object: &Value, errors: &mut Vec<FieldError>) {
    let component = text(object, "reportingComponent");
    if component.is_empty() {
        errors.push(FieldError::required("reportingComponent", ""));
    }
    invalid_each("reportingComponent", component, qualified_name(component), errors);
    for field in ["reportingInstance", "action", "reason"] {
        let value = text(object, field);
        if value.is_empty() {
            errors.push(FieldError::required(field, ""));
        }
        at_most(field, value, WORD_MAX_BYTES, errors);
    }
    at_most("message", text(object, "message"), MESSAGE_MAX_BYTES, errors);
}

fn at_most(field: &'static str, value: &str, max_bytes: usize, errors: &mut Vec<FieldError>) {
    if value.len() > max_bytes {
        errors.push(FieldError::invalid(field, "", format!("can have at most {max_bytes} characters")));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::message;
    use super::*;

    fn problems(object: &Value) -> String {
        let mut errors = Vec::new();
        event(object, &mut errors);
        message(&errors)
    }

    #[test]
    fn an_event_lies_where_its_object_lies() {
        let of = |namespace: &str, involved: &str, time: Value| {
            problems(&json!({
                "metadata": {"namespace": namespace}, "involvedObject": {"namespace": involved}, "eventTime": time,
                "reportingComponent": "a.b/c", "reportingInstance": "i", "action": "a", "reason": "r",
            }))
        };
        let time = || json!("2026-01-01T00:00:00.000000Z");
        let mismatch =
            |value: &str| format!("involvedObject.namespace: Invalid value: {value:?}: does not match event.namespace");
        assert_eq!(of("a", "a", Value::Null), "");
        assert_eq!(of("default", "", Value::Null), "");
        assert_eq!(of("kube-system", "", Value::Null), mismatch(""));
        assert_eq!(of("a", "b", Value::Null), mismatch("b"));
        assert_eq!(of("kube-system", "", time()), "");
        assert_eq!(of("a", "", time()), mismatch(""));
        assert_eq!(of("a", "b", time()), "", "as in Kubernetes");
    }

    #[test]
    fn who_gives_a_time_says_who_they_are() {
        let timed = json!({
            "metadata": {"namespace": "a"}, "involvedObject": {"namespace": "a"},
            "eventTime": "2026-01-01T00:00:00.000000Z", "message": "m".repeat(1_025), "action": "a".repeat(129),
        });
        let expected = [
            "reportingComponent: Required value",
            "reportingInstance: Required value",
            "action: Invalid value: \"\": can have at most 128 characters",
            "reason: Required value",
            "message: Invalid value: \"\": can have at most 1024 characters",
        ];
        let found = problems(&timed);
        for text in expected {
            assert!(found.contains(text), "{found}");
        }
    }
}

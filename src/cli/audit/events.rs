//! Events of the audit log as rows of a table.

use serde_json::Value;

use crate::cli::output::{Table, one_line, text_at, texts_at};

/// Where the server hands them out.
pub const PATH: &str = "/strongroom/v1/audit";
/// Of an event that is shown alone, as it comes.
const WIDTHS: [usize; 5] = [27, 20, 16, 48, 4];

/// A table of events.
pub fn table<'a>(events: impl Iterator<Item = &'a Value>) -> String {
    let mut table = Table::new(&["TIME", "USER", "VERB", "OBJECT", "CODE", "SOURCE"]);
    for event in events {
        table.row(cells(event));
    }
    if table.is_empty() { "No event was found.\n".to_owned() } else { table.text() }
}

/// The headings over lines that come one by one.
pub fn heading() -> String {
    laid_out(&["TIME", "USER", "VERB", "OBJECT", "CODE", "SOURCE"].map(str::to_owned))
}

/// One event on a line.
pub fn line(event: &Value) -> String {
    laid_out(&cells(event))
}

fn laid_out(cells: &[String; 6]) -> String {
    let mut text = String::new();
    for (index, cell) in cells.iter().enumerate() {
        let cell = one_line(cell);
        text.push_str(&cell);
        if let Some(width) = WIDTHS.get(index) {
            // A column that is too narrow for once still ends in blanks.
            text.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn cells(event: &Value) -> [String; 6] {
    let user = match (text_at(event, "/user/username"), text_at(event, "/impersonatedUser/username")) {
        ("", "") => "<unknown>".to_owned(),
        (user, "") => user.to_owned(),
        (user, impersonated) => format!("{user} as {impersonated}"),
    };
    let code = event.pointer("/responseStatus/code").and_then(Value::as_i64);
    let source = texts_at(event, "/sourceIPs").first().copied().unwrap_or_default();
    [
        text_at(event, "/requestReceivedTimestamp").to_owned(),
        user,
        text_at(event, "/verb").to_owned(),
        object(event),
        code.map_or_else(|| "-".to_owned(), |code| code.to_string()),
        source.to_owned(),
    ]
}

/// `secrets prod/db`, `serviceaccounts/token prod/app`, or the path.
fn object(event: &Value) -> String {
    let part = |name: &str| text_at(event, &format!("/objectRef/{name}"));
    if part("resource").is_empty() {
        let uri = text_at(event, "/requestURI");
        return uri.split('?').next().unwrap_or_default().to_owned();
    }
    let mut object = part("resource").to_owned();
    for (separator, name) in [(".", "apiGroup"), ("/", "subresource")] {
        if !part(name).is_empty() {
            object.extend([separator, part(name)]);
        }
    }
    match (part("namespace"), part("name")) {
        ("", "") => {}
        ("", name) => object.extend([" ", name]),
        (namespace, "") => object.extend([" ", namespace, "/"]),
        (namespace, name) => object.extend([" ", namespace, "/", name]),
    }
    object
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub fn events() -> Vec<Value> {
        vec![
            json!({"auditID": "1", "verb": "get", "user": {"username": "ada"}, "sourceIPs": ["10.0.0.1", "10.0.0.2"],
                "objectRef": {"resource": "secrets", "namespace": "prod", "name": "db"},
                "responseStatus": {"code": 200}, "requestReceivedTimestamp": "2026-09-21T14:13:20.000001Z"}),
            json!({"auditID": "2", "verb": "list", "user": {"username": "eve"}, "impersonatedUser": {"username": "ada"},
                "objectRef": {"resource": "roles", "apiGroup": "rbac.authorization.k8s.io", "namespace": "prod"},
                "responseStatus": {"code": 403}, "requestReceivedTimestamp": "2026-09-21T14:13:21.000001Z"}),
            json!({"auditID": "3", "verb": "post", "requestURI": "/strongroom/v1/login?x=y",
                "requestReceivedTimestamp": "2026-09-21T14:13:22.000001Z"}),
        ]
    }

    #[test]
    fn an_event_is_a_row() {
        assert_eq!(
            table(events().iter()),
            "TIME                          USER         VERB   OBJECT                                  CODE   SOURCE\n\
             2026-09-21T14:13:20.000001Z   ada          get    secrets prod/db                         200    10.0.0.1\n\
             2026-09-21T14:13:21.000001Z   eve as ada   list   roles.rbac.authorization.k8s.io prod/   403\n\
             2026-09-21T14:13:22.000001Z   <unknown>    post   /strongroom/v1/login                    -\n"
        );
        assert_eq!(table(std::iter::empty()), "No event was found.\n");
    }

    #[test]
    fn lines_that_come_one_by_one_stand_below_each_other() {
        let events = events();
        let at = |line: &str, text: &str| line.find(text).unwrap();
        let (heading, first) = (heading(), line(&events[0]));
        assert_eq!(at(&heading, "SOURCE"), at(&first, "10.0.0.1"));
        assert_eq!(at(&heading, "OBJECT"), at(&first, "secrets"));
        let wide = json!({"user": {"username": "x".repeat(60)}, "verb": "get"});
        assert!(line(&wide).contains(&format!("{} ", "x".repeat(60))));
    }
}

//! Answers: headers that every one carries, pretty JSON for people, YAML, gzip.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::Write as _;

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use serde_json::Value;

use super::negotiate::Encoding;
use super::status::Failure;
use crate::codec::{json, yaml};

/// Larger answers are compressed for clients that ask for it, as in Kubernetes.
const GZIP_FROM_BYTES: usize = 128 * 1024;

/// All warnings of an answer together; beyond it each is cut to [`WARNING_MAX_CHARS`].
const WARNINGS_MAX_CHARS: usize = 4 * 1024;
const WARNING_MAX_CHARS: usize = 256;

/// What of a request decides the form of its answer.
#[derive(Debug, Clone)]
pub struct Style {
    /// `Audit-Id` of the answer.
    pub audit_id: String,
    /// Indented JSON: asked for, or the client is one that people read.
    pub pretty: bool,
    /// `Accept-Encoding` allows gzip.
    pub gzip: bool,
    /// Encoding that was negotiated.
    pub encoding: Encoding,
}

impl Style {
    /// Compact JSON.
    #[cfg(test)]
    pub fn json(audit_id: String) -> Self {
        Self { audit_id, pretty: false, gzip: false, encoding: Encoding::Json }
    }

    /// Whether JSON text can be sent as it was written.
    pub fn is_compact_json(&self) -> bool {
        !self.pretty && self.encoding == Encoding::Json
    }

    /// Media type of the answer.
    pub fn content_type(&self) -> &'static str {
        match self.encoding {
            Encoding::Json => "application/json",
            Encoding::Yaml => "application/yaml",
        }
    }
}

/// Whether JSON is indented: `?pretty`, or a user agent that a person reads.
pub fn wants_pretty(pretty: Option<&str>, user_agent: &str) -> bool {
    match pretty {
        Some(value) => matches!(value, "" | "1" | "true"),
        None => ["curl", "Wget", "Mozilla/5.0"].iter().any(|prefix| user_agent.starts_with(prefix)),
    }
}

/// An answer made of a tree.
pub fn value(style: &Style, code: u16, body: &Value, warnings: &[String]) -> HttpResponse {
    let bytes = match style.encoding {
        Encoding::Yaml => yaml::to_string(body).into_bytes(),
        Encoding::Json => {
            let mut bytes = if style.pretty { json::to_pretty(body) } else { json::to_vec(body) };
            bytes.push(b'\n');
            bytes
        }
    };
    finished(style, code, style.content_type(), bytes, warnings)
}

/// An answer made of compact JSON text.
pub fn json_text(style: &Style, code: u16, text: Vec<u8>, warnings: &[String]) -> HttpResponse {
    if style.is_compact_json() {
        let mut text = text;
        text.push(b'\n');
        return finished(style, code, "application/json", text, warnings);
    }
    let mut tree: Value = serde_json::from_slice(&text).unwrap_or(Value::Null);
    let response = value(style, code, &tree, warnings);
    crate::sensitive::wipe(&mut tree);
    response
}

/// A failure. Only YAML of the negotiated forms applies to a Status.
pub fn failure(style: &Style, failure: &Failure) -> HttpResponse {
    let mut response = value(style, failure.code, &failure.body, &[]);
    if let Some(seconds) = failure.retry_after_seconds {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Plain text.
pub fn text(style: &Style, code: u16, text: &str) -> HttpResponse {
    finished(style, code, "text/plain; charset=utf-8", text.as_bytes().to_vec(), &[])
}

/// An answer whose bytes are settled.
pub fn finished(
    style: &Style,
    code: u16,
    content_type: &'static str,
    bytes: Vec<u8>,
    warnings: &[String],
) -> HttpResponse {
    let mut response = head(style, code, content_type, warnings);
    let body = if style.gzip && bytes.len() > GZIP_FROM_BYTES {
        match compressed(&bytes) {
            Some(small) => {
                mark_compressed(response.headers_mut());
                Bytes::from(small)
            }
            None => Bytes::from(bytes),
        }
    } else {
        Bytes::from(bytes)
    };
    response.set_body(BoxBody::new(body))
}

/// Status line and common headers, without a body.
pub fn head(style: &Style, code: u16, content_type: &'static str, warnings: &[String]) -> HttpResponse<()> {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::with_body(status, ());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    // `no-store`: answers hold secrets, and no cache between us and the client may keep one.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, private"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    name_record(headers, style);
    for warning in bounded(warnings) {
        if let Ok(value) = HeaderValue::from_bytes(warning_header(&warning).as_bytes()) {
            headers.append(header::WARNING, value);
        }
    }
    response
}

/// Says under which id the audit knows the request.
pub fn name_record(headers: &mut HeaderMap, style: &Style) {
    if let Ok(audit_id) = HeaderValue::from_str(&style.audit_id) {
        headers.insert(HeaderName::from_static("audit-id"), audit_id);
    }
}

/// Says that the body is gzip.
pub fn mark_compressed(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
}

/// Whether a client's `If-None-Match` (RFC 9110) names `etag`, which is given with its quotes.
pub fn knows(if_none_match: Option<&str>, etag: &str) -> bool {
    if_none_match.is_some_and(|known| {
        known.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag)
    })
}

/// Warnings as they are sent: each once, and where all together would be too long for a client's header limit,
/// each cut and the last ones left out, as in Kubernetes.
fn bounded(warnings: &[String]) -> Vec<Cow<'_, str>> {
    let mut seen = HashSet::new();
    let once: Vec<&String> = warnings.iter().filter(|text| seen.insert(text.as_str())).collect();
    let is_short = once.iter().map(|text| text.chars().count()).sum::<usize>() <= WARNINGS_MAX_CHARS;
    if is_short {
        return once.into_iter().map(|text| Cow::from(text.as_str())).collect();
    }
    let mut left = WARNINGS_MAX_CHARS;
    let mut kept = Vec::new();
    for text in once {
        let cut: String = text.chars().take(WARNING_MAX_CHARS).collect();
        let Some(rest) = left.checked_sub(cut.chars().count()) else { break };
        left = rest;
        kept.push(Cow::from(cut));
    }
    kept
}

/// RFC 7234 `Warning`: `299 - "text"`, control characters dropped.
fn warning_header(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 10);
    quoted.push_str("299 - \"");
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

fn compressed(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(bytes.len() / 3), flate2::Compression::fast());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_get_indented_json_and_programs_do_not() {
        assert!(wants_pretty(None, "curl/8.5.0"));
        assert!(wants_pretty(Some("true"), "kubectl/v1.32"));
        assert!(!wants_pretty(None, "kubectl/v1.32"));
        assert!(!wants_pretty(Some("false"), "curl/8.5.0"));
    }

    #[test]
    fn an_answer_carries_its_headers_and_each_warning_once() {
        let style = Style::json("a-1".to_owned());
        let text = |text: &str| text.to_owned();
        let response = head(&style, 200, "application/json", &[text("é \"x\""), text("b"), text("b")]);
        let headers = response.headers();
        assert_eq!(headers.get("audit-id").unwrap(), "a-1");
        assert!(headers.get("cache-control").unwrap().to_str().unwrap().contains("private"));
        assert_eq!(headers.get("x-content-type-options").unwrap(), "nosniff");
        let warnings: Vec<&[u8]> = headers.get_all("warning").map(HeaderValue::as_bytes).collect();
        assert_eq!(warnings, ["299 - \"é \\\"x\\\"\"".as_bytes(), b"299 - \"b\""]);
    }

    #[test]
    fn many_or_long_warnings_stay_within_a_client_s_header_limit() {
        let short = vec!["x".repeat(2048), "y".repeat(2048)];
        assert_eq!(bounded(&short), short);
        let long: Vec<String> = (0..100).map(|number| format!("{number}{}", "é".repeat(1000))).collect();
        let kept = bounded(&long);
        assert_eq!(kept.len(), WARNINGS_MAX_CHARS / WARNING_MAX_CHARS);
        assert!(kept.iter().all(|text| text.chars().count() == WARNING_MAX_CHARS));
    }

    #[test]
    fn large_answers_are_compressed_for_those_who_ask_and_small_ones_never() {
        let asks = Style { gzip: true, ..Style::json(String::new()) };
        let encoding = |style: &Style, length: usize| {
            let response = finished(style, 200, "application/json", vec![b'x'; length], &[]);
            response.headers().get("content-encoding").map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(encoding(&asks, GZIP_FROM_BYTES + 1), Some("gzip".to_owned()));
        assert_eq!(encoding(&asks, GZIP_FROM_BYTES), None);
        assert_eq!(encoding(&Style::json(String::new()), GZIP_FROM_BYTES + 1), None);
    }

    #[test]
    fn a_client_that_has_an_answer_says_so_in_one_of_three_ways() {
        for known in ["\"a\"", "\"b\", \"a\"", "W/\"a\"", "*"] {
            assert!(knows(Some(known), "\"a\""), "{known}");
        }
        for other in [None, Some(""), Some("a"), Some("\"b\"")] {
            assert!(!knows(other, "\"a\""), "{other:?}");
        }
    }

    #[test]
    fn a_warning_is_one_quoted_line() {
        assert_eq!(warning_header("unknown field \"bar\"\r\nX: y"), "299 - \"unknown field \\\"bar\\\"X: y\"");
    }
}

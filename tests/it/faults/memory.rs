//! Bodies that mean harm, under an address space of 256 MiB: they are refused or taken, the process lives, and others are served.

use std::time::{Duration, Instant};

use rustix::process::Resource;
use serde_json::json;

use crate::support::app::App;
use crate::support::disk::limit;
use crate::support::http::Client;
use crate::support::load::SECRETS;
use crate::support::process::{peak_address_space_kib, resident_kib};

const ADDRESS_SPACE: u64 = 256 << 20;
const BODY_MAX: usize = 3 << 20;
const AT_ONCE: usize = 4;
/// Longer than a connection is kept after an answer that came early.
const PATIENCE: Duration = Duration::from_secs(25);
const JSON: &str = "application/json";
const YAML: &str = "application/yaml";

struct Body {
    what: &'static str,
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, &'static str)>,
    bytes: Vec<u8>,
}

fn body(what: &'static str, content_type: &'static str, bytes: impl Into<Vec<u8>>) -> Body {
    let headers = vec![("Content-Type", content_type)];
    Body { what, method: "POST", path: SECRETS.to_owned(), headers, bytes: bytes.into() }
}

fn patch(what: &'static str, content_type: &'static str, bytes: impl Into<Vec<u8>>) -> Body {
    Body { method: "PATCH", path: format!("{SECRETS}/here?fieldManager=m"), ..body(what, content_type, bytes) }
}

/// As often as it fits into a body.
fn filled(begin: &str, unit: &str, end: &str) -> String {
    let count = (BODY_MAX - begin.len() - end.len()) / unit.len();
    format!("{begin}{}{end}", unit.repeat(count))
}

fn numbered(begin: &str, unit: impl Fn(usize) -> String, end: &str) -> String {
    let mut text = begin.to_owned();
    for number in 0.. {
        let next = unit(number);
        if text.len() + next.len() + end.len() > BODY_MAX {
            break;
        }
        text += &next;
    }
    text + end
}

fn bodies() -> Vec<Body> {
    let named = r#"{"metadata":{"name":"x""#;
    let aliases = (1..12).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, level| {
        let items = vec![format!("*a{}", level - 1); 9].join(", ");
        text + &format!("a{level}: &a{level} [{items}]\n")
    });
    let copies: Vec<_> = (0..20)
        .map(
            |at| json!({"op": "copy", "from": "/metadata/annotations", "path": format!("/metadata/annotations/a{at}")}),
        )
        .collect();
    let mut copies = json!(copies);
    copies
        .as_array_mut()
        .unwrap()
        .insert(0, json!({"op": "add", "path": "/metadata/annotations", "value": {"a": "x".repeat(200)}}));
    let gzip = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &vec![0; BODY_MAX - 10]].concat();
    vec![
        body("brackets that go deep", JSON, filled("", "[", "")),
        body("braces that go deep", JSON, filled("", "{\"a\":", "")),
        body("a depth that closes", JSON, format!("{}{}", "[".repeat(BODY_MAX / 2), "]".repeat(BODY_MAX / 2))),
        body("many small values", JSON, filled("{\"x\":[", "0,", "0]}")),
        body("many empty objects", JSON, filled("{\"x\":[", "{},", "0]}")),
        body(
            "many keys",
            JSON,
            numbered(&format!("{named}}},\"stringData\":{{"), |at| format!("\"k{at}\":\"\","), "\"k\":\"\"}}"),
        ),
        body(
            "many labels",
            JSON,
            numbered(&format!("{named},\"labels\":{{"), |at| format!("\"k{at}\":\"\","), "\"k\":\"\"}}}"),
        ),
        body("many owners", JSON, filled(&format!("{named},\"ownerReferences\":["), "{},", "{}]}}")),
        body("many managers", JSON, filled(&format!("{named},\"managedFields\":["), "{},", "{}]}}")),
        body("many escapes", JSON, filled("{\"stringData\":{\"k\":\"", "\\u0000", "\"}}")),
        body("a value that is too large", JSON, filled(&format!("{named}}},\"stringData\":{{\"k\":\""), "x", "\"}}")),
        body("nothing but spaces", JSON, filled("", " ", "")),
        body("aliases that multiply", YAML, aliases),
        body("aliases without end", YAML, filled("a: &a [x]\nb: [", "*a,", "x]")),
        body("anchors without end", YAML, numbered("", |at| format!("k{at}: &a{at} x\n"), "")),
        body("lists that go deep", YAML, filled("", "- ", "")),
        body("flows that go deep", YAML, filled("", "[", "")),
        body("many documents", YAML, filled("", "---\n", "")),
        body("protobuf of nothing but small fields", "application/vnd.kubernetes.protobuf", {
            let mut bytes = b"k8s\0".to_vec();
            while bytes.len() + 2 <= BODY_MAX {
                bytes.extend([0x0a, 0]);
            }
            bytes
        }),
        patch("copies that multiply", "application/json-patch+json", copies.to_string()),
        patch(
            "many operations",
            "application/json-patch+json",
            filled("[", "{\"op\":\"test\",\"path\":\"/a\"},", "{}]"),
        ),
        patch(
            "a path that goes deep",
            "application/json-patch+json",
            filled("[{\"op\":\"add\",\"path\":\"", "/a", "\",\"value\":1}]"),
        ),
        patch(
            "a merge of many keys",
            "application/merge-patch+json",
            numbered("{\"data\":{", |at| format!("\"k{at}\":null,"), "\"k\":null}}"),
        ),
        patch("a merge that goes deep", "application/merge-patch+json", filled("", "{\"a\":", "")),
        patch("an apply of many keys", "application/apply-patch+yaml", {
            let begin = "apiVersion: v1\nkind: Secret\nmetadata: {name: here}\nstringData:\n";
            numbered(begin, |at| format!("  k{at}: x\n"), "")
        }),
        Body { headers: vec![("Content-Type", JSON), ("Content-Encoding", "gzip")], ..body("gzip", JSON, gzip) },
        Body {
            path: "/strongroom/v1/login".to_owned(),
            ..body("a login", JSON, filled("{\"username\":\"", "x", "\"}"))
        },
        Body {
            path: "/apis/strongroom.dev/v1alpha1/namespaces/default/secretscans".to_owned(),
            ..body("a scan", JSON, filled("{\"spec\":{\"files\":[", "{},", "{}]}}"))
        },
    ]
}

#[test]
fn bodies_that_mean_harm_do_none_in_a_small_address_space() {
    // Each of glibc's arenas reserves 64 MiB; one is shared here, so that the limit is on what is used.
    let started = App::try_start(tempfile::tempdir().unwrap(), &[], &[("MALLOC_ARENA_MAX", "1")]);
    let mut app = started.unwrap_or_else(|refused| panic!("{}", refused.log));
    let mut client = Client::admin(&app);
    client.json("POST", SECRETS, &json!({"metadata": {"name": "here"}, "stringData": {"k": "v"}})).ok();
    limit(&app, Resource::As, Some(ADDRESS_SPACE));
    let before = client.get(SECRETS).ok().json()["items"].clone();
    let mut wrong = Vec::new();
    for body in bodies() {
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let senders: Vec<_> = (0..AT_ONCE)
                .map(|_| {
                    let (mut client, body) = (client.another(), &body);
                    scope.spawn(move || {
                        client
                            .send(body.method, &body.path, &body.headers, &body.bytes)
                            .map_or(0, |answer| answer.status)
                    })
                })
                .collect();
            senders.into_iter().map(|sender| sender.join().unwrap()).collect()
        });
        assert!(app.is_running(), "{}: the process is gone: {}", body.what, app.log());
        let begun = Instant::now();
        assert_eq!(client.get(&format!("{SECRETS}/here")).ok().json()["data"]["k"], "dg==", "{}", body.what);
        assert!(begun.elapsed() < Duration::from_secs(2), "{}", body.what);
        if !statuses.iter().all(|status| (400..500).contains(status)) {
            wrong.push(format!("{}: {statuses:?}", body.what));
        }
    }
    println!(
        "{} bodies, {AT_ONCE} at once; at most {} KiB of address space",
        bodies().len(),
        peak_address_space_kib(&app)
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(client.get(SECRETS).ok().json()["items"], before, "what was refused was done");
    assert!(!app.log().contains("panicked"), "{}", app.log());
}

#[test]
fn a_body_in_chunks_without_end_is_cut_off_soon_after_its_answer() {
    let app = App::start();
    let mut client = Client::admin(&app);
    let before = resident_kib(&app);
    // One that is too large, one of somebody unknown whose body nobody reads, and one by a name that is not the server's.
    let chunked = [("Content-Type", JSON), ("Transfer-Encoding", "chunked")];
    let foreign = client.head("POST", SECRETS, &chunked).replace("Host: 127", "Host: foreign.example\r\nX: 127");
    let unknown = client.with_token("sr_wrong");
    for (head, status) in
        [(client.head("POST", SECRETS, &chunked), 413), (unknown.head("POST", SECRETS, &chunked), 401), (foreign, 421)]
    {
        let mut connection = client.connect().unwrap();
        connection.write(head.as_bytes()).unwrap();
        let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
        let begun = Instant::now();
        // What was not read when the connection ends may be lost with the answer: then the end is all there is to see.
        while begun.elapsed() < PATIENCE && connection.write(&chunk).is_ok() {}
        assert!(begun.elapsed() < PATIENCE, "{status}: bodies are taken without end");
        if let Ok(answer) = connection.response(false) {
            assert_eq!(answer.status, status);
        }
    }
    assert_eq!(client.get("/readyz").ok().text(), "ok");
    let after = resident_kib(&app);
    assert!(after < before + 64 * 1024, "{after} KiB after {before} KiB");
    assert!(!app.log().contains("panicked"), "{}", app.log());
}

#[test]
fn a_body_in_chunks_that_is_wanted_arrives_and_the_connection_goes_on() {
    let app = App::start();
    let client = Client::admin(&app);
    let mut connection = client.connect().unwrap();
    for number in 0..3 {
        let head = client.head("POST", SECRETS, &[("Content-Type", JSON), ("Transfer-Encoding", "chunked")]);
        let document = format!("{{\"metadata\":{{\"name\":\"s-{number}\"}}}}");
        connection.write(format!("{head}{:x}\r\n{document}\r\n0\r\n\r\n", document.len()).as_bytes()).unwrap();
        let answer = connection.response(false).unwrap();
        assert_eq!((answer.status, answer.header("connection")), (201, None), "{}", answer.text());
    }
}

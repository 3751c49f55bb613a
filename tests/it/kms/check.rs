//! `strongroom kms check` against a played gateway of an etcd.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::commands::strongroom;

/// Objects that it has.
const OBJECTS: u64 = 3;

/// Answers of one connection: one object at a time, and to whoever asks for more an answer that is far too long.
fn answer(stream: TcpStream, limits: &Mutex<Vec<u64>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut length, mut line) = (0, String::new());
        while stream.read_line(&mut line)? > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        let Some(limit) = asked["limit"].as_u64() else { return Ok(()) };
        limits.lock().unwrap().push(limit);
        if limit > 1 {
            write!(stream.get_mut(), "HTTP/1.1 200 x\r\ncontent-length: 99999999\r\n\r\n")?;
            return Ok(());
        }
        let from = STANDARD.decode(asked["key"].as_str().unwrap()).unwrap();
        let key = |number: u64| format!("/registry/secrets/default/{number}");
        let number = (1..=OBJECTS).find(|number| key(*number).into_bytes() >= from).unwrap();
        let told = json!({
            "header": {"revision": "7"}, "more": number < OBJECTS,
            "kvs": [{"key": STANDARD.encode(key(number)), "value": STANDARD.encode("k8s:enc:aescbc:v1:k:x")}],
        });
        let told = told.to_string();
        write!(stream.get_mut(), "HTTP/1.1 200 x\r\ncontent-length: {}\r\n\r\n{told}", told.len())?;
    }
}

#[test]
fn where_objects_are_so_long_that_an_answer_would_be_too_long_fewer_are_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let limits = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&limits);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that goes away ends its connection.
            let _ = answer(stream, &seen);
        }
    });
    let (printed, code) = strongroom(&["kms", "check", "--etcd", &url]);
    assert!(code == 0 && printed.contains("3 objects"), "{code} {printed}");
    assert_eq!(*limits.lock().unwrap(), [250, 125, 62, 31, 15, 7, 3, 1, 1, 1]);
}

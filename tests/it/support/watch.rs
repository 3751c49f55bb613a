//! A watch, event by event.

use serde_json::Value;

use super::http::{Client, Connection};

/// A watch that has begun.
pub struct Watch {
    connection: Connection,
    unread: Vec<u8>,
}

impl Watch {
    /// Begins one on a connection of its own; `path` asks for it. It must be allowed.
    pub fn begin(client: &Client, path: &str, accept: &str) -> Self {
        let mut connection = client.connect().unwrap();
        connection.write(client.head("GET", path, &[("Accept", accept)]).as_bytes()).unwrap();
        let head = connection.head().unwrap();
        assert_eq!(head.status, 200, "{path}");
        Self { connection, unread: Vec::new() }
    }

    /// The next event as it was sent; `None` when the watch has ended.
    pub fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=at).collect();
                return Some(String::from_utf8(line).unwrap());
            }
            self.unread.extend(self.connection.chunk().unwrap()?);
        }
    }

    /// The next event.
    pub fn event(&mut self) -> Option<Value> {
        Some(serde_json::from_str(&self.line()?).unwrap())
    }
}

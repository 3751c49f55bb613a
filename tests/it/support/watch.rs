//! A watch, event by event.

use std::io;

use serde_json::Value;

use super::http::{Client, Connection};

/// A watch that has begun.
pub struct Watch {
    connection: Connection,
    unread: Vec<u8>,
    /// Nothing follows what is unread: the answer was of a known length, and no stream.
    is_whole: bool,
}

impl Watch {
    /// Begins one on a connection of its own; `path` asks for it. It must be allowed.
    pub fn begin(client: &Client, path: &str, accept: &str) -> Self {
        Self::try_begin(client, path, accept).unwrap()
    }

    /// The same of a server that may go away at any time.
    pub fn try_begin(client: &Client, path: &str, accept: &str) -> io::Result<Self> {
        let mut connection = client.connect()?;
        connection.write(client.head("GET", path, &[("Accept", accept)]).as_bytes())?;
        let head = connection.head()?;
        assert_eq!(head.status, 200, "{path}");
        let length: Option<usize> = head.header("content-length").map(|length| length.parse().unwrap());
        let unread = length.map_or(Ok(Vec::new()), |length| connection.exactly(length))?;
        Ok(Self { connection, unread, is_whole: length.is_some() })
    }

    /// The next event as it was sent; `None` when the watch has ended.
    pub fn line(&mut self) -> Option<String> {
        self.try_line().unwrap()
    }

    /// The same of a server that may go away at any time.
    pub fn try_line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(at) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=at).collect();
                return Ok(Some(String::from_utf8(line).unwrap()));
            }
            if self.is_whole {
                return Ok(None);
            }
            let Some(chunk) = self.connection.chunk()? else { return Ok(None) };
            self.unread.extend(chunk);
        }
    }

    /// The next event.
    pub fn event(&mut self) -> Option<Value> {
        Some(serde_json::from_str(&self.line()?).unwrap())
    }
}

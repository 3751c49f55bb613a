//! Finds out that Secrets have changed.
//!
//! A watch is a doorbell here: it is asked for metadata alone, and says which state a Secret is in; the values are then got
//! like the first time. So no value goes through a stream, and what may be got decides, not what may be watched.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use super::fetch::FetchError;
use super::objects::ObjectName;
use crate::kube_client::{Client, ConnectError, Failure, Lines, Request, encode_segment};
use crate::sensitive::SecretBytes;

/// Secrets of one namespace that have a watch each; more share one of the whole namespace, where that is allowed.
const WATCHES_OF_A_NAMESPACE: usize = 4;
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(15);
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// What is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bell {
    /// A Secret is in this state, as [`super::Values::version`] has it; `None` where it is not there. It may be one that is
    /// known already.
    Secret(ObjectName, Option<String>),
    /// Nothing can be heard at present, and why. It is tried again.
    Lost(String),
    /// It can again.
    Back,
}

/// The watches for a set of Secrets.
pub struct Watch<'a> {
    client: &'a Client,
    bells: UnboundedSender<Bell>,
    /// Whether who may not watch is told so at once, and not as of a server that is away.
    gives_up: bool,
}

/// What one watch is of.
struct Place<'a> {
    namespace: &'a str,
    /// One name, or all of the namespace.
    name: Option<&'a str>,
    /// Those that matter.
    names: &'a BTreeSet<&'a ObjectName>,
}

/// How a watch ended.
enum End {
    /// As watches do after a while.
    Ended,
    Failed(FetchError),
}

impl<'a> Watch<'a> {
    /// Of what `client` is asked; what is heard goes to `bells`. Whether it `gives_up` where the caller may not watch.
    pub fn new(client: &'a Client, bells: UnboundedSender<Bell>, gives_up: bool) -> Self {
        Self { client, bells, gives_up }
    }

    /// Listens until it is dropped. First tells the state of every Secret.
    ///
    /// # Errors
    /// Only before anything was heard, and where it gives up: the caller may not watch.
    pub async fn listen(&self, names: &BTreeSet<ObjectName>) -> Result<Infallible, FetchError> {
        let mut namespaces: BTreeMap<&str, BTreeSet<&ObjectName>> = BTreeMap::new();
        for name in names {
            namespaces.entry(name.namespace.as_str()).or_default().insert(name);
        }
        try_join_all(namespaces.iter().map(|(namespace, names)| self.listen_in(namespace, names))).await?;
        // Without a Secret there is nothing to hear.
        std::future::pending().await
    }

    async fn listen_in(&self, namespace: &str, names: &BTreeSet<&ObjectName>) -> Result<(), FetchError> {
        if names.len() > WATCHES_OF_A_NAMESPACE {
            match self.listen_at(&Place { namespace, name: None, names }).await {
                Err(FetchError::Server(failure)) if failure.code == 403 => {}
                other => return other,
            }
        }
        let each = names.iter().map(async |name| {
            let names = BTreeSet::from([*name]);
            self.listen_at(&Place { namespace, name: Some(&name.name), names: &names }).await
        });
        try_join_all(each).await.map(drop)
    }

    async fn listen_at(&self, place: &Place<'_>) -> Result<(), FetchError> {
        let (mut pause, mut was_heard, mut is_lost) = (PAUSE, false, false);
        let is_final = |code| match code {
            401 => self.gives_up,
            // Watches of single Secrets are tried then.
            403 => self.gives_up || place.name.is_none(),
            _ => false,
        };
        loop {
            let end = match self.client.lines(place.request()).await {
                Ok(Ok(lines)) => {
                    (pause, was_heard) = (PAUSE, true);
                    if std::mem::take(&mut is_lost) {
                        self.ring(Bell::Back);
                    }
                    self.hear(place, lines).await
                }
                Ok(Err(failure)) => End::Failed(failure.into()),
                Err(error) => End::Failed(error.into()),
            };
            let End::Failed(error) = end else { continue };
            if !was_heard && matches!(&error, FetchError::Server(failure) if is_final(failure.code)) {
                return Err(error);
            }
            if !std::mem::replace(&mut is_lost, true) {
                self.ring(Bell::Lost(error.to_string().replace('\n', " ")));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Until the watch ends.
    async fn hear(&self, place: &Place<'_>, mut lines: Lines) -> End {
        // Those whose first state has not been told: what is gone has none.
        let mut untold = Some(place.names.clone());
        loop {
            let line = match lines.next().await {
                Ok(Some(line)) => line,
                Ok(None) => return End::Ended,
                Err(error) => return End::Failed(error.into()),
            };
            match Event::read(&line) {
                Some(Event::State { name, version }) => {
                    let found = place.names.iter().find(|known| known.name == name);
                    if let Some(known) = found {
                        untold.as_mut().map(|untold| untold.remove(*known));
                        self.ring(Bell::Secret((*known).clone(), version));
                    }
                }
                Some(Event::AllTold) => {
                    for name in untold.take().into_iter().flatten() {
                        self.ring(Bell::Secret(name.clone(), None));
                    }
                }
                Some(Event::Refused(failure)) => return End::Failed(failure.into()),
                Some(Event::Other) => {}
                None => return End::Failed(ConnectError::NoEvent.into()),
            }
        }
    }

    fn ring(&self, bell: Bell) {
        // Who has gone away hears nothing.
        let _ = self.bells.send(bell);
    }
}

impl Place<'_> {
    fn request(&self) -> Request {
        let request = Request::get(format!("/api/v1/namespaces/{}/secrets", encode_segment(self.namespace)))
            .accepting(METADATA)
            .with("watch", "true")
            .with("allowWatchBookmarks", "true")
            // KEP-3157: the present state first, then a bookmark that says so.
            .with("sendInitialEvents", "true")
            .with("resourceVersionMatch", "NotOlderThan");
        match self.name {
            Some(name) => request.with("fieldSelector", format!("metadata.name={name}")),
            None => request,
        }
    }
}

enum Event {
    State { name: String, version: Option<String> },
    AllTold,
    Refused(Failure),
    Other,
}

impl Event {
    #[expect(clippy::disallowed_methods, reason = "the stream is of metadata; no value is in it")]
    fn read(line: &SecretBytes) -> Option<Self> {
        let event: Value = serde_json::from_slice(line.expose()).ok()?;
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        Some(match text("/type") {
            "ADDED" | "MODIFIED" => Self::State {
                name: text("/object/metadata/name").to_owned(),
                version: Some(format!("{}/{}", text("/object/metadata/uid"), text("/object/metadata/resourceVersion"))),
            },
            "DELETED" => Self::State { name: text("/object/metadata/name").to_owned(), version: None },
            "BOOKMARK" if text("/object/metadata/annotations/k8s.io~1initial-events-end") == "true" => Self::AllTold,
            "ERROR" => {
                let code = event.pointer("/object/code").and_then(Value::as_u64);
                let status = SecretBytes::new(event.get("object")?.to_string().into_bytes());
                Self::Refused(Failure::read(code.and_then(|code| code.try_into().ok()).unwrap_or(500), &status, None))
            }
            "BOOKMARK" => Self::Other,
            _ => return None,
        })
    }
}

//! Keeps Secrets current: hears of changes, gets what has changed.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::fetch::{FetchError, Witness, fetch};
use super::objects::{ObjectName, Objects, States};
use super::watch::{Bell, Watch};
use crate::kube_client::Client;

/// What is changed together arrives together: so long is waited for more.
const SETTLE: Duration = Duration::from_millis(20);
/// Before what could not be got is asked for again: the first time, and at most.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// What became of it.
pub enum Update {
    /// From now on, every change is heard of.
    Listening,
    /// What has changed; the rest is as it was.
    Changed(Objects),
    /// Changes are not heard of, or what has changed cannot be got, and why. It is tried again.
    Lost(String),
    /// All is well again.
    Back,
}

/// Where what is known before comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// The server has just given it.
    Got,
    /// It was kept from an earlier time, for the server does not answer. Once it does, all of it is got again; until then, and
    /// should it be that the caller may not watch, that is told and tried again: there may be a command that runs already.
    Kept,
}

/// Sends updates until it is dropped. `known` is what was got before; `witness` is told of all that is got.
///
/// # Errors
/// Only before [`Update::Listening`], and with [`Begin::Got`]: the caller may not watch.
pub async fn keep(
    client: &Client,
    known: States,
    begin: Begin,
    witness: Witness<'_>,
    updates: UnboundedSender<Update>,
) -> Result<Infallible, FetchError> {
    let names: BTreeSet<ObjectName> = known.keys().cloned().collect();
    let (sender, bells) = unbounded_channel();
    let watch = Watch::new(client, sender, begin == Begin::Got);
    let unconfirmed = if begin == Begin::Kept { names.clone() } else { BTreeSet::new() };
    let untold = names.clone();
    let mut keeper = Keeper { client, untold, unconfirmed, versions: known, witness, updates, bells, is_lost: false };
    tokio::select! {
        never = watch.listen(&names) => never,
        never = keeper.work() => match never {},
    }
}

struct Keeper<'a> {
    client: &'a Client,
    versions: States,
    /// Secrets that no watch has told the state of.
    untold: BTreeSet<ObjectName>,
    /// Secrets that the server has not given since they were kept.
    unconfirmed: BTreeSet<ObjectName>,
    witness: Witness<'a>,
    updates: UnboundedSender<Update>,
    bells: UnboundedReceiver<Bell>,
    is_lost: bool,
}

impl Keeper<'_> {
    async fn work(&mut self) -> Infallible {
        let mut changed = BTreeSet::new();
        let mut pause = PAUSE;
        loop {
            if changed.is_empty() {
                // The watches hold the other end for as long as this runs.
                let Some(bell) = self.bells.recv().await else { return std::future::pending().await };
                self.note(bell, &mut changed);
                continue;
            }
            tokio::time::sleep(SETTLE).await;
            while let Ok(bell) = self.bells.try_recv() {
                self.note(bell, &mut changed);
            }
            match fetch(self.client, &changed, self.witness).await {
                Ok(objects) => {
                    pause = PAUSE;
                    // A watch may begin with a state from before the one that was got, and tell the latter afterwards.
                    let mut is_other = false;
                    for name in std::mem::take(&mut changed) {
                        let version = objects.version(&name).map(str::to_owned);
                        is_other |= self.versions.get(&name) != Some(&version);
                        self.versions.insert(name, version);
                    }
                    if is_other {
                        self.tell(Update::Changed(objects));
                    }
                    if std::mem::take(&mut self.is_lost) {
                        self.tell(Update::Back);
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.is_lost, true) {
                        self.tell(Update::Lost(error.to_string().replace('\n', " ")));
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    fn note(&mut self, bell: Bell, changed: &mut BTreeSet<ObjectName>) {
        match bell {
            Bell::Secret(name, version) => {
                if self.untold.remove(&name) && self.untold.is_empty() {
                    self.tell(Update::Listening);
                }
                if self.unconfirmed.remove(&name) || self.versions.get(&name) != Some(&version) {
                    changed.insert(name);
                }
            }
            Bell::Lost(why) => self.tell(Update::Lost(why)),
            Bell::Back => self.tell(Update::Back),
        }
    }

    fn tell(&self, update: Update) {
        // Who has gone away is told nothing.
        let _ = self.updates.send(update);
    }
}

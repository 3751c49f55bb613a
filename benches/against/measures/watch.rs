//! Watchers: how long an event takes to reach a thousand of them, and what one that never reads costs the others.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{Notify, Semaphore};

use crate::failure::{Outcome, within};
use crate::figures::{Latencies, Spread, length, number};
use crate::http::{Connection, Endpoint, find};
use crate::objects::Objects;
use crate::options::Options;
use crate::report::{Row, Target, Unit};
use crate::servers::{Server, Servers, home, strongroom};

use super::make_namespace;

const CROWD: &str = "crowd";
const STUCK: &str = "stuck";
/// Handshakes at a time.
const OPENING: usize = 32;
/// Writes to the crowd, each after the last one's event has arrived everywhere.
const WRITES: u64 = 100;
/// Watchers that read, beside the one that does not.
const FEW: usize = 8;
/// Large writes of a turn, and how large: more than a stuck watcher's buffers can hold.
const LARGE_WRITES: u64 = 48;
const LARGE_BYTES: usize = 256 * 1024;
const LARGE_TURNS: u64 = 2;
const PAUSE: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the stuck watcher's connection is read at last, until it ends.
const LAST_LOOK: Duration = Duration::from_secs(3);
/// Enough of an event to see what it is and of which object.
const HEAD_BYTES: usize = 4096;

/// Times of single writes.
#[derive(Default)]
struct Times {
    /// Until the write's answer is read.
    answer: Vec<Duration>,
    /// From sending the write until the event has been read by all watchers.
    all: Vec<Duration>,
    /// The same from the answer.
    all_after_answer: Vec<Duration>,
}

/// The watchers of one namespace.
struct Audience {
    size: usize,
    missing: Cell<usize>,
    complete: Notify,
    completed: Cell<Option<Instant>>,
    failure: RefCell<Option<String>>,
    /// The beginning of each watcher's latest event.
    latest: RefCell<Vec<Vec<u8>>>,
}

/// What came of the watcher that never reads.
struct Fate {
    ended: bool,
    received_bytes: usize,
}

/// The crowd, then the stuck one.
pub async fn run(options: &Options, servers: &Servers, rows: &mut Vec<Row>) -> Outcome<()> {
    let (mut crowd, mut stuck) = (None, None);
    if let Some(program) = &servers.program {
        let (server, _) = strongroom::start(program, home(&options.folder())?, None).await?;
        crowd = Some(reach_crowd(&server, options.watchers).await?);
        stuck = Some(beside_stuck(&server).await?);
    }
    let title = format!("write to event at all {} watchers", options.watchers);
    let latencies = |of: fn(&Times) -> &Vec<Duration>| crowd.as_ref().map(|times| Latencies::of(of(times).clone()));
    let (all, after) = (latencies(|times| &times.all), latencies(|times| &times.all_after_answer));
    let at = |latencies: &Option<Latencies>, per_mille| latencies.as_ref().map(|l| l.at(per_mille));
    rows.push(Row::own(format!("{title}: p50"), Unit::Millis, at(&all, 500)));
    rows.push(Row::own(format!("{title}: p99"), Unit::Millis, at(&all, 990)).with_target(Target::below(40.0)));
    rows.push(Row::own(format!("{title}, from its answer: p99"), Unit::Millis, at(&after, 990)));
    push_stuck_rows(stuck.as_ref(), rows);
    Ok(())
}

fn push_stuck_rows(stuck: Option<&(Vec<[Times; 2]>, Fate)>, rows: &mut Vec<Row>) {
    type Of = fn(&Times) -> &Vec<Duration>;
    let columns: [(&str, Of); 2] = [("writes", |times| &times.answer), ("other watchers", |times| &times.all)];
    for (what, of) in columns {
        let p90s = |with: usize| -> Vec<f64> {
            let turns = stuck.map(|(turns, _)| turns.iter()).into_iter().flatten();
            turns.filter_map(|turn| turn.get(with)).map(|times| Latencies::of(of(times).clone()).at(900)).collect()
        };
        let (without, with) = (p90s(0), p90s(1));
        rows.push(
            Row::own(
                format!("a stuck watcher: {what} of 256 KiB, p90"),
                Unit::Millis,
                Spread::of(with.iter().copied()).map(|spread| spread.median),
            )
            .with_ratio(Spread::of_ratios(&with, &without))
            .with_target(Target::at_most(1.5).of_own("without it")),
        );
    }
    let fate = stuck.map(|(_, fate)| fate);
    rows.push(
        Row::own("a stuck watcher: is dropped", Unit::Yes, fate.map(|fate| f64::from(u8::from(fate.ended))))
            .with_target(Target::at_least(1.0)),
    );
    rows.push(Row::own("a stuck watcher: had got", Unit::Megabytes, fate.map(|fate| length(fate.received_bytes))));
}

async fn reach_crowd(server: &Server, watchers: usize) -> Outcome<Times> {
    let endpoint = &server.api.endpoint;
    make_namespace(endpoint, CROWD).await?;
    let begun = Instant::now();
    let audience = Audience::gather(endpoint, CROWD, watchers).await?;
    println!(
        "\n{watchers} watchers connected in {:.1} s; the server has {:.0} MB then",
        begun.elapsed().as_secs_f64(),
        crate::machine::resident_bytes(server.id())? / 1e6
    );
    let times = audience.watch_writes(server, &Objects::new(CROWD, 6), 0..WRITES).await?;
    Ok(times)
}

/// Turns without and with a watcher that never reads.
async fn beside_stuck(server: &Server) -> Outcome<(Vec<[Times; 2]>, Fate)> {
    let endpoint = &server.api.endpoint;
    make_namespace(endpoint, STUCK).await?;
    let audience = Audience::gather(endpoint, STUCK, FEW).await?;
    let objects = Objects::new(STUCK, 7).with_value_bytes(LARGE_BYTES);
    let (mut turns, mut last) = (Vec::new(), Fate { ended: false, received_bytes: 0 });
    for turn in 0..LARGE_TURNS {
        let from = turn * 2 * LARGE_WRITES;
        let without = audience.watch_writes(server, &objects, from..from + LARGE_WRITES).await?;
        let request = watch_request(endpoint, STUCK).await?;
        let mut stuck = endpoint.connect_narrow().await?;
        stuck.send(&request).await?;
        tokio::time::sleep(PAUSE * 30).await;
        let with = audience.watch_writes(server, &objects, from + LARGE_WRITES..from + 2 * LARGE_WRITES).await?;
        last = fate(stuck).await?;
        turns.push([without, with]);
    }
    let written = number(LARGE_WRITES) * f64::from(u32::try_from(LARGE_BYTES)?) * 4.0 / 3.0;
    println!(
        "a stuck watcher was sent {:.1} MB of {:.1} MB and its connection {}",
        length(last.received_bytes) / 1e6,
        written / 1e6,
        if last.ended { "was ended" } else { "goes on" }
    );
    Ok((turns, last))
}

/// Reads what was left for it, to see whether the server has given it up.
async fn fate(mut stuck: Connection) -> Outcome<Fate> {
    let code = within(PATIENCE, "the stuck watcher's head", stuck.head()).await??;
    if code != 200 {
        return Err(format!("the stuck watcher was answered with {code}").into());
    }
    let mut received_bytes = 0;
    loop {
        match tokio::time::timeout(LAST_LOOK, stuck.piece()).await {
            Ok(Ok(Some(piece))) => received_bytes += piece.len(),
            Ok(Ok(None) | Err(_)) => return Ok(Fate { ended: true, received_bytes }),
            Err(_) => return Ok(Fate { ended: false, received_bytes }),
        }
    }
}

impl Audience {
    /// Opens the watches, each on a connection of its own.
    async fn gather(endpoint: &Endpoint, namespace: &str, size: usize) -> Outcome<Rc<Self>> {
        let audience = Rc::new(Self {
            size,
            missing: Cell::new(0),
            complete: Notify::new(),
            completed: Cell::new(None),
            failure: RefCell::new(None),
            latest: RefCell::new(vec![Vec::new(); size]),
        });
        let request = Rc::new(watch_request(endpoint, namespace).await?);
        let door = Rc::new(Semaphore::new(OPENING));
        let mut opening = Vec::new();
        for _ in 0..size {
            let (endpoint, request, door) = (endpoint.clone(), Rc::clone(&request), Rc::clone(&door));
            opening.push(tokio::task::spawn_local(async move {
                let _place = door.acquire().await.map_err(std::io::Error::other)?;
                let mut connection = endpoint.connect().await?;
                let code = connection.begin(&request).await?;
                if code == 200 { Ok(connection) } else { Err(std::io::Error::other(format!("a watch: {code}"))) }
            }));
        }
        for (number, opened) in opening.into_iter().enumerate() {
            let connection = within(PATIENCE, "a watch", opened).await???;
            let audience = Rc::clone(&audience);
            tokio::task::spawn_local(async move {
                let why = audience.follow(number, connection).await;
                audience.failure.borrow_mut().get_or_insert(why);
                audience.complete.notify_one();
            });
        }
        Ok(audience)
    }

    /// Reads one watch for ever. Why it ended.
    async fn follow(&self, number: usize, mut connection: Connection) -> String {
        let mut head = Vec::new();
        loop {
            let mut piece = match connection.piece().await {
                Ok(Some(piece)) => piece,
                Ok(None) => return "a watch ended".to_owned(),
                Err(error) => return format!("a watch broke: {error}"),
            };
            // An event is a line.
            while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
                let (line, after) = piece.split_at(end);
                keep(&mut head, line);
                self.arrived(number, &mut head);
                piece = after.get(1..).unwrap_or_default();
            }
            keep(&mut head, piece);
        }
    }

    fn arrived(&self, number: usize, head: &mut Vec<u8>) {
        if let Some(latest) = self.latest.borrow_mut().get_mut(number) {
            std::mem::swap(latest, head);
        }
        head.clear();
        match self.missing.get() {
            0 => {
                self.failure.borrow_mut().get_or_insert_with(|| "an event that nothing was written for".to_owned());
            }
            1 => {
                self.missing.set(0);
                self.completed.set(Some(Instant::now()));
                self.complete.notify_one();
            }
            more => self.missing.set(more - 1),
        }
    }

    /// Writes objects one by one, each after the last has reached everybody.
    async fn watch_writes(&self, server: &Server, objects: &Objects, numbers: std::ops::Range<u64>) -> Outcome<Times> {
        let mut times = Times::default();
        let mut connection = server.api.endpoint.connect().await?;
        for at in numbers {
            let mut request = Vec::new();
            server.api.create(objects, at, &mut request);
            self.missing.set(self.size);
            let sent = Instant::now();
            let answer = within(PATIENCE, "a watched write", connection.exchange(&request)).await??;
            let answered = Instant::now();
            if answer.code != 201 {
                return Err(format!("a watched write was answered with {}", answer.code).into());
            }
            within(PATIENCE, "an event at all watchers", self.complete.notified()).await?;
            let completed = self.completed.get();
            if let Some(why) = self.failure.borrow().as_ref() {
                return Err(why.clone().into());
            }
            let completed = completed.ok_or("an event that reached nobody")?;
            self.check(&objects.name(at))?;
            times.answer.push(answered - sent);
            times.all.push(completed - sent);
            times.all_after_answer.push(completed.saturating_duration_since(answered));
            tokio::time::sleep(PAUSE).await;
        }
        connection.close().await;
        Ok(times)
    }

    /// Whether the latest event of everybody is the one that was written.
    fn check(&self, name: &str) -> Outcome<()> {
        let name = format!("\"name\":\"{name}\"");
        for event in self.latest.borrow().iter() {
            if !event.starts_with(br#"{"type":"ADDED""#) || find(event, name.as_bytes()).is_none() {
                return Err("a watcher was told of something else than what was written".into());
            }
        }
        Ok(())
    }
}

/// Appends, as long as the beginning of an event is not whole.
fn keep(head: &mut Vec<u8>, bytes: &[u8]) {
    let wanted = HEAD_BYTES.saturating_sub(head.len()).min(bytes.len());
    head.extend_from_slice(bytes.get(..wanted).unwrap_or_default());
}

/// A watch from now on.
async fn watch_request(endpoint: &Endpoint, namespace: &str) -> Outcome<Vec<u8>> {
    let path = format!("/api/v1/namespaces/{namespace}/secrets");
    let (code, body) = endpoint.once("GET", &format!("{path}?limit=1"), "").await?;
    let list: Value = serde_json::from_slice(&body)?;
    let revision = list.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    let revision = revision.ok_or_else(|| format!("a list without a revision (answered with {code})"))?;
    Ok(endpoint.request("GET", &format!("{path}?watch=true&resourceVersion={revision}&timeoutSeconds=1800"), ""))
}

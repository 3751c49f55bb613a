//! The load: closed loop, one task a connection, one request at a time.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Barrier;

use crate::failure::{Outcome, within};
use crate::figures::{Latencies, Spread, length, millis};
use crate::http::{Answer, Connection};
use crate::machine;
use crate::servers::Server;

/// Before a turn counts.
const WARM_UP: Duration = Duration::from_millis(300);
/// Handshakes of all connections, and the last answers.
const PATIENCE: Duration = Duration::from_mins(1);
/// A connection that fails this often in a row ends the turn.
const FAILURES_IN_A_ROW: u32 = 20;

/// Others may use as much of the processors, and the machine is still quiet.
const QUIET_CORES: f64 = 0.15;

/// What an answer must look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The HTTP status.
    pub code: u16,
    /// From shortest to longest.
    pub body_bytes: RangeInclusive<usize>,
}

/// Writes a request, made from the number of requests before it.
pub type Requests = Rc<dyn Fn(u64, &mut Vec<u8>)>;

/// One turn of one server.
pub struct Turn {
    /// Each with one request at a time.
    pub connections: usize,
    /// After warming up.
    pub duration: Duration,
    /// What is asked.
    pub requests: Requests,
    /// What each answer must look like.
    pub expected: Expected,
}

/// What was measured in a turn.
#[derive(Debug, Default)]
pub struct Figures {
    /// Answers, as expected, that ended within the turn.
    pub per_second: f64,
    /// Milliseconds.
    pub p50: f64,
    /// Milliseconds.
    pub p99: f64,
    /// Answers of another kind, and broken connections; warming up included.
    pub errors: u64,
    /// What the first was.
    pub first_error: Option<String>,
    /// Processor time; not measured where a turn is not one piece.
    pub cost: Option<Cost>,
}

/// Who used the processors in a turn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Microseconds a request.
    server: f64,
    generator: f64,
    /// Cores that neither had, on average: a machine that is not quiet makes figures worthless.
    others: f64,
}

impl Expected {
    /// Says what is wrong with an answer.
    pub fn check(&self, answer: Answer) -> Result<(), String> {
        if answer.code != self.code {
            return Err(format!("status {} instead of {}", answer.code, self.code));
        }
        if !self.body_bytes.contains(&answer.body_bytes) {
            return Err(format!("a body of {} bytes instead of {:?}", answer.body_bytes, self.body_bytes));
        }
        Ok(())
    }
}

/// What the tasks of a turn share.
struct Shared {
    next: Cell<u64>,
    until: Cell<Option<Instant>>,
    latencies: RefCell<Vec<Duration>>,
    errors: Cell<u64>,
    first_error: RefCell<Option<String>>,
}

/// Runs a turn. The first request is number `from`; the number after the last is returned too.
pub async fn run(server: &Server, turn: &Turn, from: u64) -> Outcome<(Figures, u64)> {
    let shared = Rc::new(Shared {
        next: Cell::new(from),
        until: Cell::new(None),
        latencies: RefCell::default(),
        errors: Cell::new(0),
        first_error: RefCell::default(),
    });
    let all_connected = Rc::new(Barrier::new(turn.connections + 1));
    let mut tasks = Vec::new();
    for _ in 0..turn.connections {
        let (server, shared, all_connected) =
            (server.api.endpoint.clone(), Rc::clone(&shared), Rc::clone(&all_connected));
        let (requests, expected) = (Rc::clone(&turn.requests), turn.expected.clone());
        tasks.push(tokio::task::spawn_local(async move {
            let mut connection = server.connect().await?;
            all_connected.wait().await;
            let (mut request, mut failures) = (Vec::new(), 0);
            while failures < FAILURES_IN_A_ROW && shared.goes_on() {
                request.clear();
                requests(shared.number(), &mut request);
                let begun = Instant::now();
                let result = one(&mut connection, &request, &expected).await;
                shared.note(begun, &result);
                failures = if result.is_ok() { 0 } else { failures + 1 };
                if let Err((_, true)) = result {
                    connection = server.connect().await?;
                }
            }
            connection.close().await;
            Ok::<(), std::io::Error>(())
        }));
    }
    // A connection that was refused never reaches the barrier: hence the limit.
    within(PATIENCE, "the connections of a turn", all_connected.wait()).await?;
    tokio::time::sleep(WARM_UP).await;
    let before = ProcessorTimes::now(server)?;
    let begun = Instant::now();
    shared.until.set(Some(begun + turn.duration));
    tokio::time::sleep(turn.duration).await;
    let after = ProcessorTimes::now(server)?;
    for task in tasks {
        within(PATIENCE, "the last answers of a turn", task).await???;
    }
    let latencies = Latencies::of(shared.latencies.take());
    let figures = Figures {
        per_second: length(latencies.count()) / turn.duration.as_secs_f64(),
        p50: latencies.at(500),
        p99: latencies.at(990),
        errors: shared.errors.get(),
        first_error: shared.first_error.take(),
        cost: Some(after.since(before, turn.duration, latencies.count())),
    };
    Ok((figures, shared.next.get()))
}

/// Processor time so far.
#[derive(Clone, Copy)]
struct ProcessorTimes {
    server: Duration,
    generator: Duration,
    all: Duration,
}

impl ProcessorTimes {
    fn now(server: &Server) -> Outcome<Self> {
        Ok(Self {
            server: machine::processor_time(Some(server.id()))?,
            generator: machine::processor_time(None)?,
            all: machine::processor_time_of_all()?,
        })
    }

    fn since(self, before: Self, duration: Duration, requests: usize) -> Cost {
        let (server, generator) =
            (self.server.saturating_sub(before.server), self.generator.saturating_sub(before.generator));
        let per_request = |time: Duration| millis(time) * 1e3 / length(requests).max(1.0);
        let others = self.all.saturating_sub(before.all).saturating_sub(server + generator);
        Cost {
            server: per_request(server),
            generator: per_request(generator),
            others: others.as_secs_f64() / duration.as_secs_f64(),
        }
    }
}

/// What was wrong, and whether the connection is of no use any more.
type Failed = (String, bool);

async fn one(connection: &mut Connection, request: &[u8], expected: &Expected) -> Result<(), Failed> {
    match connection.exchange(request).await {
        Ok(answer) => expected.check(answer).map_err(|why| (why, false)),
        Err(error) => Err((error.to_string(), true)),
    }
}

impl Shared {
    fn number(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }

    fn goes_on(&self) -> bool {
        self.until.get().is_none_or(|until| Instant::now() < until)
    }

    /// Answers count if they end within the turn; errors count always.
    fn note(&self, begun: Instant, result: &Result<(), Failed>) {
        match result {
            Ok(()) => {
                let now = Instant::now();
                if self.until.get().is_some_and(|until| now < until) {
                    self.latencies.borrow_mut().push(now - begun);
                }
            }
            Err((why, _)) => {
                self.errors.set(self.errors.get() + 1);
                self.first_error.borrow_mut().get_or_insert_with(|| why.clone());
            }
        }
    }
}

/// A line for people about the rounds of one server.
pub fn describe(name: &str, rounds: &[Figures]) -> String {
    let of = |value: fn(&Figures) -> f64| Spread::of(rounds.iter().map(value));
    let (Some(rate), Some(p50), Some(p99)) = (of(|f| f.per_second), of(|f| f.p50), of(|f| f.p99)) else {
        return format!("{name:<11} not measured");
    };
    let errors: u64 = rounds.iter().map(|f| f.errors).sum();
    let mut text = format!(
        "{name:<11} {:>8.0}/s ({:.0}–{:.0})  p50 {:.3} ms  p99 {:.3} ms",
        rate.median, rate.least, rate.most, p50.median, p99.median,
    );
    let costs: Vec<Cost> = rounds.iter().filter_map(|figures| figures.cost).collect();
    let cost = |value: fn(&Cost) -> f64| Spread::of(costs.iter().map(value));
    if let (Some(server), Some(generator), Some(others)) =
        (cost(|c| c.server), cost(|c| c.generator), cost(|c| c.others))
    {
        let _ = write!(
            text,
            "  processor: server {:.0} µs, generator {:.0} µs a request, others {:.2} cores",
            server.median, generator.median, others.median
        );
        if others.most > QUIET_CORES {
            let _ = write!(text, " (NOT QUIET: up to {:.2})", others.most);
        }
    }
    if let Some(first) = rounds.iter().find_map(|f| f.first_error.as_ref()) {
        let _ = write!(text, "  {errors} ERRORS: {first}");
    }
    text
}

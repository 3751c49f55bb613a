//! Lists: the whole at once, in pages, and what the server's memory does meanwhile.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::failure::Outcome;
use crate::figures::{Latencies, Spread, length, millis};
use crate::fill;
use crate::http::{Connection, Endpoint, find};
use crate::machine;
use crate::objects::Objects;
use crate::options::Options;
use crate::report::{Row, Target, Unit};
use crate::servers::{Server, Servers, home, strongroom};

use super::make_namespace;

const NAMESPACE: &str = "listed";
const PAGE: u64 = 500;
const ROUNDS: usize = 7;
const FILLING_CONNECTIONS: usize = 64;
/// The slow reader rests this long after each of so many bytes.
const REST: Duration = Duration::from_millis(2);
const REST_EVERY_BYTES: usize = 128 * 1024;
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Memory may grow by this while a list is under way: a few buffers, not the list.
const FLAT_BYTES: f64 = 4e6;
/// Where the token of the next page is looked for first: before the items, then after them.
const EDGE_BYTES: usize = 4096;

/// One list of everything.
struct Whole {
    body_bytes: usize,
    first_byte: Duration,
    took: Duration,
}

/// What was measured.
struct Measured {
    body_bytes: usize,
    megabytes_per_second: Spread,
    first_byte: Latencies,
    pages: Spread,
    growth: f64,
    resident: f64,
}

/// LIST of many Secrets, full JSON, one connection.
pub async fn run(options: &Options, servers: &Servers, rows: &mut Vec<Row>) -> Outcome<()> {
    let count = options.listed;
    let measured = match &servers.program {
        Some(program) => {
            let (server, _) = strongroom::start(program, home(&options.folder())?, None).await?;
            make_namespace(&server.api.endpoint, NAMESPACE).await?;
            fill::fill(&server, &Objects::new(NAMESPACE, 3), count, FILLING_CONNECTIONS).await?;
            Some(measure(&server, count).await?)
        }
        None => None,
    };
    let title = format!("LIST of {count} Secrets");
    let of = |value: fn(&Measured) -> f64| measured.as_ref().map(value);
    let body = of(|m| length(m.body_bytes)).map_or_else(String::new, |bytes| format!(" ({:.1} MB)", bytes / 1e6));
    rows.push(
        Row::own(format!("{title}{body}"), Unit::MegabytesPerSecond, of(|m| m.megabytes_per_second.median))
            .with_target(Target::at_least(150e6)),
    );
    let first = Target::below(20.0);
    rows.push(
        Row::own(format!("{title}: first byte of the body, p50"), Unit::Millis, of(|m| m.first_byte.at(500)))
            .with_target(first),
    );
    rows.push(
        Row::own(format!("{title}: first byte, slowest"), Unit::Millis, of(|m| m.first_byte.at(1000)))
            .with_target(first),
    );
    rows.push(
        Row::own(format!("{title}: memory grows by, slow reader"), Unit::Megabytes, of(|m| m.growth))
            .with_target(Target::at_most(FLAT_BYTES)),
    );
    rows.push(Row::own(format!("{title}: memory after"), Unit::Megabytes, of(|m| m.resident)));
    rows.push(
        Row::own(format!("{title}: pages of {PAGE}"), Unit::Ratio, None)
            .with_target(Target::at_most(1.3).of_own("unpaged"))
            .with_ratio(measured.as_ref().map(|m| m.pages)),
    );
    Ok(())
}

async fn measure(server: &Server, count: u64) -> Outcome<Measured> {
    let endpoint = &server.api.endpoint;
    let mut connection = endpoint.connect().await?;
    let expected_bytes = check(&mut connection, endpoint, count).await?;
    let (mut rates, mut first_bytes, mut whole_times, mut page_times) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let whole = list(&mut connection, endpoint, |_| None).await?;
        if whole.body_bytes != expected_bytes {
            return Err(format!("a list of {} bytes instead of {expected_bytes}", whole.body_bytes).into());
        }
        rates.push(length(whole.body_bytes) / whole.took.as_secs_f64());
        first_bytes.push(whole.first_byte);
        whole_times.push(millis(whole.took));
        page_times.push(millis(in_pages(&mut connection, endpoint, count).await?));
    }
    println!(
        "\nLIST: whole {:?} ms, in pages {:?} ms",
        whole_times.iter().map(|time| time.round()).collect::<Vec<_>>(),
        page_times.iter().map(|time| time.round()).collect::<Vec<_>>()
    );
    let before = machine::resident_bytes(server.id())?;
    let most = most_memory_during(server.id(), list_slowly(&mut connection, endpoint)).await?;
    Ok(Measured {
        body_bytes: expected_bytes,
        megabytes_per_second: Spread::of(rates).ok_or("no rounds")?,
        first_byte: Latencies::of(first_bytes),
        pages: Spread::of_ratios(&page_times, &whole_times).ok_or("no rounds")?,
        growth: most - before,
        resident: machine::resident_bytes(server.id())?,
    })
}

/// A first list, whose items are counted. The size of its body.
async fn check(connection: &mut Connection, endpoint: &Endpoint, count: u64) -> Outcome<usize> {
    let (code, body) = connection.fetch(&endpoint.request("GET", &path(""), "")).await?;
    let list: Value = serde_json::from_slice(&body)?;
    let items = list.pointer("/items").and_then(Value::as_array).ok_or("a list without items")?;
    let whole =
        |item: &Value| item.pointer("/data/value").and_then(Value::as_str).is_some_and(|value| !value.is_empty());
    let names: HashSet<&str> = items
        .iter()
        .filter(|item| whole(item))
        .filter_map(|item| item.pointer("/metadata/name").and_then(Value::as_str))
        .collect();
    if code != 200 || u64::try_from(names.len())? != count || items.len() != names.len() {
        return Err(format!("a list answered with {code} has {} Secrets instead of {count}", names.len()).into());
    }
    Ok(body.len())
}

/// Reads a list; `rest` may say to pause, given how many bytes have come.
async fn list<R>(connection: &mut Connection, endpoint: &Endpoint, rest: R) -> Outcome<Whole>
where
    R: Fn(usize) -> Option<Duration>,
{
    let request = endpoint.request("GET", &path(""), "");
    let begun = Instant::now();
    let code = connection.begin(&request).await?;
    let (mut body_bytes, mut first_byte) = (0, None);
    while let Some(piece) = connection.piece().await? {
        first_byte.get_or_insert_with(|| begun.elapsed());
        body_bytes += piece.len();
        if let Some(pause) = rest(body_bytes) {
            tokio::time::sleep(pause).await;
        }
    }
    if code != 200 {
        return Err(format!("a list was answered with {code}").into());
    }
    Ok(Whole { body_bytes, first_byte: first_byte.ok_or("an empty body")?, took: begun.elapsed() })
}

/// A reader that is slower than any server, so that one which does not wait for it has to keep the list.
async fn list_slowly(connection: &mut Connection, endpoint: &Endpoint) -> Outcome<()> {
    let rested = Cell::new(0);
    list(connection, endpoint, |bytes| {
        let due = bytes / REST_EVERY_BYTES > rested.get();
        rested.set(bytes / REST_EVERY_BYTES);
        due.then_some(REST)
    })
    .await?;
    Ok(())
}

async fn most_memory_during(process: u32, work: impl Future<Output = Outcome<()>>) -> Outcome<f64> {
    let most = Rc::new(Cell::new(0.0_f64));
    let seen = Rc::clone(&most);
    let looking = tokio::task::spawn_local(async move {
        while let Ok(bytes) = machine::resident_bytes(process) {
            seen.set(seen.get().max(bytes));
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    let done = work.await;
    looking.abort();
    done?;
    Ok(most.get())
}

async fn in_pages(connection: &mut Connection, endpoint: &Endpoint, count: u64) -> Outcome<Duration> {
    let mut query = format!("?limit={PAGE}");
    let mut pages = 0;
    let begun = Instant::now();
    loop {
        let (code, body) = connection.fetch(&endpoint.request("GET", &path(&query), "")).await?;
        if code != 200 {
            return Err(format!("page {pages} was answered with {code}").into());
        }
        pages += 1;
        match continue_token(&body) {
            Some(token) => query = format!("?limit={PAGE}&continue={token}"),
            None if pages == count.div_ceil(PAGE) => return Ok(begun.elapsed()),
            None => return Err(format!("{pages} pages of {count} Secrets").into()),
        }
    }
}

/// The token, percent-encoded; `None` on the last page. Base64 as values are, it needs no JSON reading.
fn continue_token(body: &[u8]) -> Option<String> {
    const FIELD: &[u8] = b"\"continue\":\"";
    let edges = [body.get(..EDGE_BYTES), body.get(body.len().saturating_sub(EDGE_BYTES)..), Some(body)];
    let after = edges.into_iter().flatten().find_map(|part| part.get(find(part, FIELD)? + FIELD.len()..))?;
    let token = after.split(|byte| *byte == b'"').next()?;
    let text: String = token.iter().map(|byte| char::from(*byte)).collect();
    (!text.is_empty()).then(|| text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"))
}

fn path(query: &str) -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/secrets{query}")
}

//! A new data key for very many Secrets, and reads that go on meanwhile.

use std::time::Instant;

use serde_json::Value;

use crate::failure::Outcome;
use crate::figures::{Spread, millis};
use crate::fill;
use crate::load::Figures;
use crate::objects::Objects;
use crate::options::Options;
use crate::report::{Row, Target, Unit};
use crate::servers::{Comparable, Server, Servers, home, strongroom};

use super::read_at_random;

const FILLING_CONNECTIONS: usize = 256;
const KEYS: &str = "/strongroom/v1/keys";

/// Fills a home, and rotates its data key while somebody reads, as often as there are rounds.
pub async fn run(options: &Options, servers: &Servers, rows: &mut Vec<Row>) -> Outcome<()> {
    let count = options.scale.first().copied().unwrap_or(100_000);
    let (mut quiet, mut busy, mut took) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(program) = &servers.program {
        let (server, _) = strongroom::start(program, home(&options.folder())?, None).await?;
        let objects = Objects::new("default", 4);
        fill::fill(&server, &objects, count, FILLING_CONNECTIONS).await?;
        let server = Comparable::filled(server, objects, count).await?;
        for _ in 0..options.rounds {
            quiet.push(read(options, &server).await?);
            let begun = Instant::now();
            ask(&server.server, "POST", &format!("{KEYS}/rotate-data")).await?;
            let mut slowest = 0.0_f64;
            while terms(&server.server).await? > 1 {
                slowest = slowest.max(read(options, &server).await?);
            }
            took.push(millis(begun.elapsed()));
            busy.push(slowest);
        }
    }
    let median = |values: &[f64]| Spread::of(values.iter().copied()).map(|spread| spread.median);
    let title = format!("{count} Secrets sealed anew, reads going on");
    rows.push(Row::own(title, Unit::Millis, median(&took)).with_target(Target::below(60e3)));
    let title = format!("  p99 of GET meanwhile, {} connections, worst turn", options.connections);
    rows.push(
        Row::own(title, Unit::Millis, median(&busy))
            .with_ratio(Spread::of_ratios(&busy, &quiet))
            .with_target(Target::at_most(2.0).of_own("before the rotation")),
    );
    Ok(())
}

/// Milliseconds of p99 in a turn.
async fn read(options: &Options, server: &Comparable) -> Outcome<f64> {
    let Figures { p99, first_error, .. } = read_at_random(options, server, options.connections).await?;
    match first_error {
        Some(why) => Err(why.into()),
        None => Ok(p99),
    }
}

async fn ask(server: &Server, method: &str, path: &str) -> Outcome<Value> {
    let (code, body) = server.api.endpoint.once(method, path, "").await?;
    if code != 200 {
        return Err(format!("{method} {path}: status {code}").into());
    }
    Ok(serde_json::from_slice(&body)?)
}

/// How many data keys there are.
async fn terms(server: &Server) -> Outcome<usize> {
    let status = ask(server, "GET", KEYS).await?;
    Ok(status.get("terms").and_then(Value::as_array).ok_or("no terms are told of")?.len())
}

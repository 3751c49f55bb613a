//! What it costs that former versions are kept: the same changes of two servers, one of which keeps none.

use std::rc::Rc;

use crate::failure::Outcome;
use crate::figures::Spread;
use crate::load::{Expected, Figures, Turn, run as load};
use crate::machine::resident_bytes;
use crate::objects::{Objects, mix};
use crate::options::Options;
use crate::report::{Row, Target, Unit};
use crate::servers::{Comparable, OBJECTS, Servers, home, strongroom};

/// PUT of another value of 1 KiB into one of the Secrets, over many connections, with a history and without, in turns.
pub async fn run(options: &Options, servers: &Servers, rows: &mut Vec<Row>) -> Outcome<()> {
    let mut starts = None;
    for connections in [options.connections, 1] {
        let title = format!("durable change of 1 KiB, {connections} connection(s), former version kept");
        let (mut with, mut without) = (Vec::new(), Vec::new());
        if let Some(program) = &servers.program {
            let keeping = start(options, program, "10").await?;
            let other = start(options, program, "0").await?;
            let mut next = 0;
            for round in 0..options.rounds {
                // Who goes first changes, so that neither has the warmer machine.
                let turns = if round % 2 == 0 { [true, false] } else { [false, true] };
                for is_kept in turns {
                    let server = if is_kept { &keeping } else { &other };
                    let (figures, after) = change(options, server, connections, next).await?;
                    next = after;
                    if let Some(why) = figures.first_error {
                        return Err(why.into());
                    }
                    if is_kept { with.push(figures.per_second) } else { without.push(figures.per_second) }
                }
            }
            if connections == options.connections {
                starts = Some([restarted(program, keeping, "10").await?, restarted(program, other, "0").await?]);
            }
        }
        let median = Spread::of(with.iter().copied()).map(|spread| spread.median);
        rows.push(
            Row::own(title, Unit::PerSecond, median)
                .with_ratio(Spread::of_ratios(&with, &without))
                .with_target(Target::at_least(0.85).of_own("nothing kept")),
        );
    }
    if let Some(starts) = starts {
        for (title, [took, memory]) in ["with the versions that are kept then", "without any"].into_iter().zip(starts) {
            rows.push(Row::own(format!("start of {OBJECTS} Secrets {title}"), Unit::Millis, Some(took)));
            rows.push(Row::own("  memory behind it", Unit::Megabytes, Some(memory)));
        }
    }
    Ok(())
}

/// Milliseconds from a start to being ready, and resident bytes then.
async fn restarted(program: &std::path::Path, server: Comparable, limit: &str) -> Outcome<[f64; 2]> {
    let address = server.server.api.endpoint.address;
    let (home, _) = server.server.stop().await?;
    let arguments = ["--history-limit", limit];
    let (server, took) = strongroom::start_with(program, home, Some(address), &arguments).await?;
    Ok([took.as_secs_f64() * 1e3, resident_bytes(server.id())?])
}

async fn change(options: &Options, server: &Comparable, connections: usize, from: u64) -> Outcome<(Figures, u64)> {
    let (endpoint, objects) = (server.server.api.endpoint.clone(), server.objects.clone());
    let turn = Turn {
        connections,
        duration: options.turn(),
        expected: Expected { code: 200, body_bytes: 1_500..=3_000 },
        requests: Rc::new(move |at, into| {
            let (name, value) = (objects.name(mix(at) % OBJECTS), objects.value(OBJECTS + at));
            let path = format!("/api/v1/namespaces/{}/secrets/{name}", objects.namespace);
            let body = format!(
                r#"{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"{name}"}},"data":{{"value":"{value}"}}}}"#
            );
            endpoint.write_request("PUT", &path, &body, into);
        }),
    };
    load(&server.server, &turn, from).await
}

async fn start(options: &Options, program: &std::path::Path, limit: &str) -> Outcome<Comparable> {
    let home = home(&options.folder())?;
    let (server, _) = strongroom::start_with(program, home, None, &["--history-limit", limit]).await?;
    Comparable::fill(server, Objects::new("default", 1), OBJECTS).await
}

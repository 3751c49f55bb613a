//! Reads of one Secret: many connections, one connection, and a connection of its own for each.

use std::time::{Duration, Instant};

use crate::failure::Outcome;
use crate::figures::{Latencies, length, millis};
use crate::load::Figures;
use crate::options::Options;
use crate::report::{Row, Target, Unit};
use crate::servers::{Comparable, Servers};

use super::{in_turns, read_at_random, reads};

/// Connections of a turn that are opened for one read each.
const NEW_CONNECTIONS: u64 = 200;

/// GET of a Secret of 1 KiB.
pub async fn run(options: &Options, servers: &Servers, rows: &mut Vec<Row>) -> Outcome<()> {
    let many = options.connections;
    let title = format!("GET of 1 KiB, {many} connections");
    let rounds =
        in_turns(options, servers, &title, async |server| Ok(Some(read_at_random(options, server, many).await?)))
            .await?;
    let (rate, p99) = (|f: &Figures| f.per_second, |f: &Figures| f.p99);
    rows.push(Row::compared(&title, Unit::PerSecond, &rounds, rate, Some(Target::at_least(0.55).of_bare())));
    rows.push(Row::compared(&title, Unit::PerSecond, &rounds, rate, Some(Target::at_least(12.0).of_openbao())));
    rows.push(Row::compared(format!("{title}: p50"), Unit::Millis, &rounds, |f| f.p50, None));
    rows.push(Row::compared(format!("{title}: p99"), Unit::Millis, &rounds, p99, Some(Target::at_most(3.0).of_bare())));

    let title = "GET of 1 KiB, one connection";
    let rounds =
        in_turns(options, servers, title, async |server| Ok(Some(read_at_random(options, server, 1).await?))).await?;
    let target = Target::at_most(0.30).of_openbao();
    rows.push(Row::compared(format!("{title}: p50"), Unit::Millis, &rounds, |f| f.p50, Some(target)));
    rows.push(Row::compared(format!("{title}: p99"), Unit::Millis, &rounds, p99, None));

    let title = "GET on a new connection";
    let rounds = in_turns(options, servers, title, async |server| Ok(Some(on_new_connections(server).await?))).await?;
    let target = Target::below(3.0);
    rows.push(Row::compared(format!("{title}: p50"), Unit::Millis, &rounds, |f| f.p50, Some(target)));
    rows.push(Row::compared(format!("{title}: p99"), Unit::Millis, &rounds, p99, Some(target)));
    Ok(())
}

/// From the first packet to the last byte of the body: TCP, a full TLS handshake, and the request.
async fn on_new_connections(server: &Comparable) -> Outcome<Figures> {
    let requests = reads(server);
    let (mut all, mut took) = (Vec::new(), Duration::ZERO);
    let mut figures = Figures::default();
    let mut request = Vec::new();
    for at in 0..NEW_CONNECTIONS {
        request.clear();
        requests(at, &mut request);
        let begun = Instant::now();
        let mut connection = server.server.api.endpoint.connect().await?;
        let answer = connection.exchange(&request).await?;
        let latency = begun.elapsed();
        connection.close().await;
        match server.expected.check(answer) {
            Ok(()) => all.push(latency),
            Err(why) => {
                figures.errors += 1;
                figures.first_error.get_or_insert(why);
            }
        }
        took += latency;
    }
    let latencies = Latencies::of(all);
    figures.per_second = length(latencies.count()) * 1e3 / millis(took);
    (figures.p50, figures.p99) = (latencies.at(500), latencies.at(990));
    Ok(figures)
}

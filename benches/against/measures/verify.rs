//! How long `strongroom verify` takes over a home with very many Secrets: unlocking, SQLite's own check, every row, the sums.

use std::process::Command;
use std::time::Instant;

use crate::failure::Outcome;
use crate::figures::{Spread, millis};
use crate::fill;
use crate::objects::Objects;
use crate::options::Options;
use crate::report::{Row, Target, Unit};
use crate::servers::{Servers, home, strongroom};

const FILLING_CONNECTIONS: usize = 256;
/// Of 100,000 rows.
const TARGET_MILLIS: f64 = 2_000.0;

/// Fills a home of each size, stops its server, and verifies it.
pub async fn run(options: &Options, servers: &Servers, rows: &mut Vec<Row>) -> Outcome<()> {
    for count in &options.scale {
        let title = format!("{count} Secrets: verify");
        let mut took = Vec::new();
        if let Some(program) = &servers.program {
            eprintln!("  a home of {count}");
            let (server, _) = strongroom::start(program, home(&options.folder())?, None).await?;
            fill::fill(&server, &Objects::new("default", 4), *count, FILLING_CONNECTIONS).await?;
            let (home, _) = server.stop().await?;
            for _ in 0..options.rounds {
                let begun = Instant::now();
                let mut verify = Command::new(program);
                let verified = verify.arg("verify").arg("--home").arg(strongroom::served(home.path())).output()?;
                took.push(millis(begun.elapsed()));
                let told = String::from_utf8_lossy(&verified.stdout).into_owned();
                if !verified.status.success() || !told.contains("everything is as it was written") {
                    return Err(format!("verify ended with {}: {told}", verified.status).into());
                }
            }
        }
        let median = Spread::of(took.iter().copied()).map(|spread| spread.median);
        let row = Row::own(title, Unit::Millis, median);
        rows.push(if *count == 100_000 { row.with_target(Target::below(TARGET_MILLIS)) } else { row });
    }
    Ok(())
}
